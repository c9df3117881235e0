// A client that stays connected and says whether its state may be trusted: what the Go package client is to programs.

import { CONNECT_WITHIN, Connection } from "./connection.js";
import { Metrics } from "./metrics.js";
import { Sequence } from "./sequence.js";
import { cause } from "./socket.js";
import { STABLE_AFTER, Stream } from "./stream.js";
import { after, Backoff, within } from "./timing.js";
import { parseTraceparent } from "./tracing.js";

const STATES = ["closed", "waiting", "connecting", "reconciling", "stale", "live"]; // the worst first
const OTHER = "other";
const RESTART_SPREAD = 5_000; // over which clients come back that a server has disconnected all at once
const MOST_POSTPONED = 600_000;
const COUNTERS = {
  gap: "sequence_gaps_total",
  duplicate: "duplicates_total",
  out_of_order: "out_of_order_total",
  superseded: "superseded_total",
};

/** An error that ends the client, because to try again is useless. */
export class Permanent extends Error {}

export class Client extends EventTarget {
  state = "closed"; // the worst of its streams
  #url;
  #feed;
  #options;
  #metrics;
  #streams = new Map();
  #all; // the last stream stands for those that are not registered
  #backoff;
  #connection = null;
  #attempt = null; // what is being made: another one makes it void
  #timer = 0; // of the wait before the next attempt
  #lostAt = 0; // since when there is no connection, 0 for never
  #notBefore = 0; // by the server's wish
  #again = false; // there was a connection
  #lastEventId = "";

  constructor(url, feed, options = {}) {
    super();
    const { name = "default", transport = "websocket", backoff } = options;
    if (typeof feed?.decode !== "function" || typeof feed.handle !== "function")
      throw new TypeError("Client needs the functions decode and handle");
    if (transport !== "websocket" && transport !== "sse") throw new TypeError(`no transport ${transport}: websocket or sse`);
    this.#url = url;
    this.#feed = feed;
    this.#options = { buffer: 4096, ...options, name, transport };
    this.#metrics = new Metrics(`${transport}_client_`, { client: name });
    this.#backoff = new Backoff(backoff);
    for (const stream of [...(feed.streams ?? []), { name: OTHER }]) {
      if (this.#streams.has(stream.name)) throw new TypeError(`stream ${stream.name} is registered twice, or means all others`);
      this.#streams.set(stream.name, new Stream(stream, backoff, this.#metrics));
    }
    this.#all = [...this.#streams.values()];
  }

  streamState(name) {
    return this.#stream(name).state;
  }

  /** The highest number received on a stream, or 0 before the first, to resume after. */
  lastNumber(name) {
    return this.#stream(name).sequence.last;
  }

  /** Connects, and reconnects until close is called or an error is Permanent. */
  run() {
    if (this.state !== "closed") return;
    for (const stream of this.#all) stream.sequence = new Sequence();
    this.#lostAt = performance.now();
    this.#watchNetwork("addEventListener");
    this.#connect();
  }

  /** Ends the connection and the client, which can run again. */
  close() {
    this.#stop(cause("local", "normal", 1000));
  }

  /** Replaces the connection, after the usual wait. */
  reconnect() {
    this.#connection?.end(cause("local", "normal", 1000, "replaced"));
  }

  /** Connects at once if the client waits to. */
  retry() {
    if (this.state === "waiting") this.#connect();
  }

  /** Makes the next wait begin after a time, because the server asks for it. */
  postpone(milliseconds) {
    const asked = Number.isFinite(milliseconds) ? Math.max(milliseconds, 0) : 0; // a peer may have said anything
    this.#notBefore = performance.now() + Math.min(asked, MOST_POSTPONED);
  }

  /** Begins the span of a message to send. Its traceparent is for the payload. Without a tracer there is no span. */
  begin(type) {
    const { tracer, transport } = this.#options;
    return tracer?.begin(`${transport}.message ${type}`, {
      kind: "producer",
      attributes: { [`${transport}.message.type`]: type },
      sampled: tracer.sample(),
    });
  }

  /** Sends a message and returns its number on the connection, or 0 if there is none or the browser has no room. */
  send(data, span) {
    return this.#connection?.send(data, span) ?? 0;
  }

  /** Notes the answer to a ping of the heartbeat. */
  ponged(id) {
    const rtt = this.#connection?.ponged(id);
    if (rtt === undefined) return;
    this.#metrics.observe("ping_rtt_seconds", {}, rtt);
    this.#emit("rtt", rtt);
  }

  /** Makes a live stream fetch a snapshot and start from it. */
  reconcile(name) {
    const stream = this.#stream(name);
    if (!stream.restore) throw new TypeError(`stream ${name} is unknown or has no snapshot`);
    if (stream.state === "live") this.#reconcile(stream, "manual");
  }

  /** Returns the metrics as samples: {name, labels, value}. */
  metrics() {
    this.#metrics.set("connected", {}, this.#connection?.openedAt ? 1 : 0);
    this.#countOutage();
    return this.#metrics.read();
  }

  #stream(name) {
    return this.#streams.get(name) ?? this.#streams.get(OTHER);
  }

  async #connect() {
    clearTimeout(this.#timer);
    const attempt = (this.#attempt = {});
    const current = () => attempt === this.#attempt;
    for (const stream of this.#all) this.#enter(stream, "connecting");
    try {
      const asked = typeof this.#url === "function" ? await within(CONNECT_WITHIN, this.#url()) : this.#url;
      if (!current()) return;
      const endpoint = typeof asked === "string" ? { url: asked } : asked;
      const connection = new Connection(endpoint, { ...this.#options, lastEventId: this.#lastEventId }, {
        open: () => current() && this.#opened(connection),
        message: (message) => current() && this.#message(connection, message),
        ended: (why) => current() && this.#ended(connection, why),
      });
      this.#connection = connection;
    } catch (error) {
      if (!current()) return;
      this.#metrics.add("connect_attempts_total", { result: "error" });
      this.#over(cause("local", "other", 0, String(error?.message ?? error)), error);
    }
  }

  async #opened(connection) {
    this.#metrics.add("connect_attempts_total", { result: "connected" });
    this.#metrics.observe("connect_duration_seconds", {}, connection.openedAt - connection.began);
    this.#countOutage();
    this.#lostAt = 0;
    for (const stream of this.#all) stream.open();
    try {
      await within(CONNECT_WITHIN, this.#feed.subscribe?.());
    } catch (error) {
      if (connection !== this.#connection) return;
      const why = cause("local", "internal", 1000, `subscribe: ${error?.message ?? error}`);
      if (error instanceof Permanent) this.#stop(why, error);
      else connection.end(why);
    }
    if (connection === this.#connection) this.#subscribed();
  }

  #subscribed() {
    for (const stream of this.#all) {
      stream.newsAt = performance.now();
      this.#watch(stream, stream.expect);
      if (stream.restore) this.#reconcile(stream, this.#again ? "reconnect" : "connect");
      else this.#enter(stream, "live");
    }
    this.#again = true;
    this.#connection.ping();
  }

  #message(connection, message) {
    let events;
    try {
      events = Array.from(this.#feed.decode(message) ?? [], (event) => ({ ...event }));
    } catch (error) {
      this.#failed("decode", error);
      return;
    }
    this.#lastEventId = message.lastEventId;
    if (events.length === 0) return;
    if (!connection.heard) this.#metrics.observe("first_message_seconds", {}, performance.now() - connection.openedAt);
    connection.heard = true;
    const span = this.#received(connection, message, events[0]);
    const { received, number: messageNumber } = message;
    let failure;
    for (const event of events) {
      if (connection !== this.#connection) break;
      failure ??= this.#event({ ...event, received, messageNumber, handshakeTraceId: connection.handshake?.traceId });
    }
    span?.end(failure);
  }

  #received(connection, { size, number }, { stream, traceparent }) {
    const { tracer, transport } = this.#options;
    if (!tracer?.sample()) return undefined;
    const type = this.#stream(stream).name;
    return tracer.begin(`${transport}.message ${type}`, {
      kind: "consumer",
      attributes: { [`${transport}.message.type`]: type, ...connection.attributes(size, number) },
      links: [connection.handshake, parseTraceparent(traceparent)],
    });
  }

  // Counts an event and then holds it back, handles it or leaves it out. Returns the error of handling it.
  #event(event) {
    const stream = this.#stream(event.stream);
    // The others are many streams: there is no sequence to follow.
    const { verdict, missing } = stream.follow(stream.name === OTHER ? {} : event);
    if (COUNTERS[verdict]) stream.count(COUNTERS[verdict]);
    if (verdict === "gap") stream.count("missing_messages_total", missing);
    if (verdict === "invalid") this.#failed("decode", new RangeError(`invalid numbers on ${stream.name}`));
    if (Number.isFinite(event.time))
      this.#metrics.observe("event_lag_seconds", { stream: stream.name }, event.received - event.time);
    const news = verdict === "in_order" || verdict === "gap";
    if (news) {
      stream.newsAt = this.#connection.newsAt = performance.now();
      this.#metrics.set("last_message_timestamp_seconds", { stream: stream.name }, event.received / 1_000);
    }
    if (!stream.restore) {
      if (news && stream.state === "stale") this.#enter(stream, "live");
      return news ? this.#handle(stream, event) : undefined;
    }
    if (event.restart && news) stream.release();
    const trigger = (event.restart && "restart") || (verdict === "gap" && "gap") || (stream.state === "stale" && "stale");
    if (news && trigger && (!stream.holding || event.restart) && stream.state !== "connecting")
      this.#reconcile(stream, trigger);
    if (!stream.holding) return news ? this.#handle(stream, event) : undefined;
    if (news || verdict === "out_of_order") stream.hold(event, this.#options.buffer); // the snapshot may lack a late one
    return undefined;
  }

  #handle(stream, event) {
    try {
      this.#feed.handle(event);
      return undefined;
    } catch (error) {
      this.#failed("handler", error);
      if (stream.restore) this.#reconcile(stream, "handler");
      return error;
    }
  }

  async #reconcile(stream, trigger) {
    this.#enter(stream, "reconciling");
    const handle = (event) => this.#handle(stream, event);
    if (await stream.reconcile(trigger, handle, (error) => this.#failed("handler", error))) this.#enter(stream, "live");
  }

  #failed(kind, error) {
    this.#metrics.add("errors_total", { kind });
    this.#emit("failed", { kind, error });
  }

  // Watches for silence: the connection is open, but nothing new comes.
  #watch(stream, delay) {
    if (!stream.expect) return;
    stream.cancelWatch = after(delay, () => {
      const left = stream.expect - (performance.now() - stream.newsAt);
      if (left > 0) {
        this.#watch(stream, left);
        return;
      }
      this.#metrics.set("stale", { stream: stream.name }, 1);
      if (stream.state === "live") this.#enter(stream, "stale");
      if (stream.tolerate) this.#watch(stream, stream.expect);
      else this.#connection?.end(cause("local", "idle_timeout", 1000, `nothing new on ${stream.name}`));
    });
  }

  #ended(connection, why) {
    const { initiator, reason } = why;
    if (connection.openedAt) this.#metrics.add("disconnections_total", { initiator, reason });
    else this.#metrics.add("connect_attempts_total", { result: "error" });
    if (connection.openedAt) this.#lostAt = performance.now();
    // One that was given up for its silence has worked until something new came.
    const worked = (reason === "idle_timeout" ? connection.newsAt : performance.now()) - connection.openedAt;
    if (connection.openedAt && worked >= STABLE_AFTER) this.#backoff.reset();
    this.#over(why);
  }

  // Waits before another attempt, unless that is useless.
  #over(why, error) {
    if (error instanceof Permanent) {
      this.#stop(why, error);
      return;
    }
    this.#leave();
    const delay = Math.max(0, this.#notBefore - performance.now()) + this.#wait(why);
    this.#notBefore = 0;
    this.#metrics.observe("backoff_seconds", {}, delay);
    this.#timer = setTimeout(() => this.#connect(), delay);
    for (const stream of this.#all) this.#enter(stream, "waiting", { cause: why, error, retryAt: Date.now() + delay });
  }

  #wait({ reason }) {
    if (reason === "try_again_later") return this.#backoff.long();
    // An event stream does not say whether its server restarts.
    const together = reason === "restart" || reason === "going_away" || this.#options.transport === "sse";
    return this.#backoff.next(together ? RESTART_SPREAD : 0);
  }

  #stop(why, error) {
    const connection = this.#connection;
    clearTimeout(this.#timer);
    this.#leave();
    connection?.end(why);
    if (connection?.openedAt) this.#metrics.add("disconnections_total", { initiator: why.initiator, reason: why.reason });
    this.#countOutage();
    this.#lostAt = 0;
    this.#watchNetwork("removeEventListener");
    for (const stream of this.#all) this.#enter(stream, "closed", { cause: why, error });
  }

  #leave() {
    this.#attempt = this.#connection = null;
    for (const stream of this.#all) stream.close();
  }

  #countOutage() {
    const now = performance.now();
    this.#metrics.add("disconnected_seconds_total", {}, this.#lostAt ? (now - this.#lostAt) / 1_000 : 0);
    if (this.#lostAt) this.#lostAt = now;
  }

  // What the browser thinks of the network is a hint to look, no more.
  #online = () => this.retry();
  #offline = () => this.#connection?.openedAt && this.#connection.ping();

  #watchNetwork(addOrRemove) {
    globalThis[addOrRemove]?.("online", this.#online);
    globalThis[addOrRemove]?.("offline", this.#offline);
  }

  #enter(stream, to, why = {}) {
    const from = stream.state;
    if (from === to) return;
    stream.state = to;
    if (to === "live") stream.live();
    if (stream.name !== OTHER) this.#emit("state", { stream: stream.name, from, to, ...why });
    const worst = STATES.find((state) => this.#all.some((s) => s.state === state));
    if (worst === this.state) return;
    const change = { from: this.state, to: worst, ...why };
    this.state = worst;
    this.#emit("state", change);
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
