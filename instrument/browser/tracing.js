// Spans, and their export by OTLP over HTTP in JSON. What waits is bounded, and nothing here throws into the page.

import { Metrics } from "./metrics.js";
import { Backoff } from "./timing.js";

const SCOPE = { name: "github.com/sockscope/sockscope/instrument/browser", version: "0.1.0" };
const SCHEMA = "https://opentelemetry.io/schemas/1.43.0";
const KINDS = { internal: 1, client: 3, producer: 4, consumer: 5 };
const ERROR = 2;

const MOST_WAITING = 512; // spans
const BATCH = 64; // spans, so that a batch stays below the 64 KiB that a page may send while it closes
const MOST_TEXT = 256; // characters of an attribute
const EXPORT_EVERY = 2_000;
const EXPORT_WITHIN = 10_000;
const SPANS_PER_SECOND = 100; // of messages
const RETRYABLE = [429, 502, 503, 504];

/** Makes spans and exports them. Without an endpoint it only makes trace contexts. */
export class Tracer {
  #resource;
  #endpoint;
  #ratio;
  #waiting = []; // spans in the form of OTLP
  #timer = 0;
  #flight = Promise.resolve(); // the last export
  #backoff = new Backoff();
  #metrics = new Metrics("sockscope_", {});
  #second = -Infinity;
  #made = 0;

  constructor({ service, endpoint = "", sampleRatio = 0.01, resource = {} }) {
    if (!service) throw new TypeError("Tracer needs a service, which names the page in traces");
    if (!(sampleRatio >= 0 && sampleRatio <= 1)) throw new RangeError(`sampleRatio ${sampleRatio}: must be from 0 to 1`);
    this.#resource = { attributes: encode({ "service.name": service, "telemetry.sdk.language": "webjs", ...resource }) };
    this.#endpoint = endpoint;
    this.#ratio = sampleRatio;
    for (const result of ["exported", "refused", "dropped"]) this.#count(result, 0);
    if (endpoint) this.#watchLeaving("addEventListener");
  }

  /** Whether spans are exported. */
  get exports() {
    return this.#endpoint !== "";
  }

  /** Begins a span of a trace of its own. One that is not sampled has a context but is not exported. */
  begin(name, { kind = "internal", attributes = {}, links = [], sampled = true } = {}) {
    return new Span(name, kind, attributes, links, sampled, (span) => this.#ended(span));
  }

  /** Decides whether a message gets a span: a share of them, and at most 100 a second. */
  sample() {
    if (Math.random() >= this.#ratio) return false;
    const now = performance.now();
    if (now - this.#second >= 1_000) {
      this.#second = now;
      this.#made = 0;
    }
    return ++this.#made <= SPANS_PER_SECOND;
  }

  /** Returns how many spans were exported, refused and dropped, as samples. */
  metrics() {
    return this.#metrics.read();
  }

  /** Exports what waits, as long as that succeeds, and then no more. */
  async shutdown() {
    this.#watchLeaving("removeEventListener");
    await this.#flight;
    while (this.#waiting.length > 0 && (await this.#export()));
    clearTimeout(this.#timer);
    this.#endpoint = "";
  }

  #ended(span) {
    if (!this.#endpoint) return;
    if (this.#waiting.length < MOST_WAITING) this.#waiting.push(span);
    else this.#count("dropped", 1);
    this.#exportIn(EXPORT_EVERY);
  }

  #exportIn(milliseconds) {
    this.#timer ||= setTimeout(() => (this.#flight = this.#export()), milliseconds);
  }

  // Exports one batch and says whether it is gone.
  async #export(keepalive = false) {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const batch = this.#waiting.splice(0, BATCH);
    if (batch.length === 0) return true;
    const gone = await this.#post(batch, keepalive);
    if (gone) this.#backoff.reset();
    else {
      const kept = batch.slice(0, MOST_WAITING - this.#waiting.length);
      this.#count("dropped", batch.length - kept.length);
      this.#waiting.unshift(...kept);
    }
    if (this.#waiting.length > 0) this.#exportIn(gone ? 0 : EXPORT_EVERY + this.#backoff.next());
    return gone;
  }

  async #post(batch, keepalive) {
    const scopeSpans = [{ scope: SCOPE, spans: batch, schemaUrl: SCHEMA }];
    try {
      const response = await fetch(this.#endpoint, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ resourceSpans: [{ resource: this.#resource, scopeSpans }] }),
        credentials: "omit",
        keepalive,
        signal: AbortSignal.timeout(EXPORT_WITHIN),
      });
      if (RETRYABLE.includes(response.status)) return false;
      const rejected = (await response.json().catch(() => null))?.partialSuccess?.rejectedSpans;
      const some = /^\d+$/.test(JSON.stringify(rejected)?.replaceAll('"', "")) ? Number(rejected) : 0; // a number or its text
      const refused = response.ok ? Math.min(some, batch.length) : batch.length;
      this.#count("refused", refused);
      this.#count("exported", batch.length - refused);
      return true;
    } catch {
      return false; // no network, or the Collector does not allow this page's origin: a page can't tell them apart
    }
  }

  #count(result, n) {
    this.#metrics.add("spans_total", { result }, n);
  }

  // A page that is hidden may never be shown again: what waits goes now, as far as the browser lets it.
  #leave = ({ type }) => {
    if (type === "pagehide" || document.visibilityState === "hidden") this.#export(true);
  };

  #watchLeaving(addOrRemove) {
    globalThis[addOrRemove]?.("pagehide", this.#leave);
    globalThis.document?.[addOrRemove]("visibilitychange", this.#leave);
  }
}

class Span {
  traceId = randomHex(16);
  spanId = randomHex(8);
  #span; // null when it has ended
  #sampled;
  #start = Date.now(); // only the start is of the clock, which may jump
  #began = performance.now();
  #done;

  constructor(name, kind, attributes, links, sampled, done) {
    this.#span = { name: cut(name), kind: KINDS[kind], attributes: { ...attributes }, links: [] };
    this.#sampled = sampled;
    this.#done = done;
    for (const context of links) this.link(context);
  }

  /** The context as W3C's header, for a message's payload. */
  get traceparent() {
    return `00-${this.traceId}-${this.spanId}-0${Number(this.#sampled)}`;
  }

  set(attributes) {
    Object.assign(this.#span?.attributes ?? {}, attributes);
  }

  link(context) {
    if (context) this.#span?.links.push({ traceId: context.traceId, spanId: context.spanId });
  }

  /** Ends the span, with an error if there was one. Only the first call counts. */
  end(error, type = error?.name ?? "Error") {
    const span = this.#span;
    this.#span = null;
    if (!span || !this.#sampled) return;
    if (error) span.attributes["error.type"] = type;
    this.#done({
      ...span,
      traceId: this.traceId,
      spanId: this.spanId,
      startTimeUnixNano: nanoseconds(this.#start),
      endTimeUnixNano: nanoseconds(this.#start + performance.now() - this.#began),
      attributes: encode(span.attributes),
      status: error ? { code: ERROR, message: withoutURLs(String(error.message ?? error)) } : {},
    });
  }
}

/** Returns the context in a traceparent, or nothing if it is malformed: it comes from a peer. */
export function parseTraceparent(text) {
  const form = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}$/;
  const parts = typeof text === "string" && form.exec(text); // an object might fail to become a text
  return parts ? { traceId: parts[1], spanId: parts[2] } : undefined;
}

function encode(attributes) {
  return Object.entries(attributes).flatMap(([key, value]) => (value === undefined ? [] : [{ key, value: encodeValue(value) }]));
}

function encodeValue(value) {
  if (typeof value === "boolean") return { boolValue: value };
  if (Number.isSafeInteger(value)) return { intValue: String(value) };
  if (Number.isFinite(value)) return { doubleValue: value };
  return { stringValue: cut(String(value)) };
}

// An error's text may have an address in it, and the address a token.
function withoutURLs(text) {
  return cut(text.replace(/\b([a-z][a-z0-9+.-]*):\/\/\S*/gi, "$1://…"));
}

// Half a character would make the Collector refuse the whole batch.
function cut(text) {
  return (text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}…` : text).toWellFormed();
}

// Microseconds are exact in a number, nanoseconds are not.
function nanoseconds(milliseconds) {
  return `${Math.round(milliseconds * 1_000)}000`;
}

// An id of zeros alone means none.
function randomHex(bytes) {
  const id = Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (b) => b.toString(16).padStart(2, "0")).join("");
  return /[1-9a-f]/.test(id) ? id : randomHex(bytes);
}
