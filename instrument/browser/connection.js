// One connection: its handshake, its messages in both directions, its heartbeat and its end.

import { cause, openEvents, openSocket } from "./socket.js";
import { after } from "./timing.js";

export const CONNECT_WITHIN = 10_000;
const LARGEST = 1 << 20; // bytes of a received message
const MOST_BUFFERED = 1 << 20; // bytes that the browser has not sent yet

// By transport: the scheme of its address, the protocol in spans, and the status of the answer that opens it.
const TRANSPORTS = {
  websocket: { scheme: "ws", protocol: "websocket", status: 101, open: openSocket },
  sse: { scheme: "http", protocol: "http", status: 200, open: openEvents },
};

export class Connection {
  began = performance.now();
  openedAt = 0; // 0 before it is open
  newsAt = 0; // when a stream received something new
  heard = false; // there was an event
  handshake; // span
  #options;
  #on;
  #socket;
  #cancel; // of what is waited for: the handshake, then pings and pongs in turn
  #ping = null; // the one without an answer: {id, sent}
  #ended = false;
  #received = 0;
  #sent = 0;

  /** Connects and calls on.open(), on.message(message) and, once, on.ended(cause). */
  constructor(endpoint, options, on) {
    const { transport, tracer, name } = options;
    const { scheme, protocol, status, open } = TRANSPORTS[transport];
    const url = new URL(endpoint.url, globalThis.location?.href);
    url.protocol = scheme + (/^(https|wss):$/.test(url.protocol) ? "s:" : ":");
    this.#options = options;
    this.#on = on;
    this.handshake = tracer?.begin(`${transport}.handshake`, {
      kind: "client",
      attributes: {
        "network.protocol.name": protocol,
        "http.request.method": "GET",
        "server.address": url.hostname,
        "server.port": Number(url.port) || (url.protocol.endsWith("s:") ? 443 : 80),
        [`${transport}.client`]: name,
      },
    });
    // A browser lets a page set no headers here, so they are in the query: see Headers of the Go package browser.
    if (tracer?.exports) url.searchParams.set("traceparent", this.handshake.traceparent);
    if (options.lastEventId) url.searchParams.set("last-event-id", options.lastEventId);
    this.#cancel = after(CONNECT_WITHIN, () => this.end(cause("local", "other", 0, "no answer")));
    this.#socket = open(url.href, endpoint, {
      open: () => this.#opened(status),
      message: (data, event) => this.#message(data, event),
      close: (why) => this.end(why),
    });
  }

  /** Sends a message and returns its number on the connection, or 0 if it can't be sent. */
  send(data, span) {
    if (!this.openedAt || this.#ended || this.#socket.buffered() > MOST_BUFFERED) return 0;
    this.#socket.send(data);
    const number = ++this.#sent;
    span?.set(this.attributes(sizeOf(data), number));
    span?.link(this.handshake);
    return number;
  }

  /** The attributes of a message's span. Trace id, direction and number are the same at the other end. */
  attributes(size, number) {
    const { transport } = this.#options;
    return {
      [`${transport}.message.size`]: size,
      [`${transport}.message.number`]: number,
      [`${transport}.handshake.trace_id`]: this.handshake?.traceId,
    };
  }

  /** Pings now and from time to time, and ends the connection when there is no answer. */
  ping() {
    const { heartbeat } = this.#options;
    if (!heartbeat || this.#ping || this.#ended) return;
    this.#cancel();
    this.#ping = { sent: performance.now() };
    this.#ping.id = heartbeat.ping();
    this.#cancel = after(heartbeat.timeout ?? 5_000, () => this.end(cause("network", "ping_timeout", 1006)));
  }

  /** Takes an answer and returns the round trip in milliseconds, or nothing if it answers no ping. */
  ponged(id) {
    if (!this.#ping || this.#ping.id !== id) return undefined;
    const rtt = performance.now() - this.#ping.sent;
    this.#ping = null;
    this.#cancel();
    this.#cancel = after(this.#options.heartbeat.interval ?? 10_000, () => this.ping());
    return rtt;
  }

  /** Ends the connection. Only the first cause counts. */
  end(why) {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancel();
    this.#socket?.close();
    this.handshake?.end(new Error(why.text || "refused, or not reached"), "error"); // if it has not ended before
    this.#on.ended(why);
  }

  #opened(status) {
    if (this.#ended) return;
    this.#cancel();
    this.openedAt = performance.now();
    this.handshake?.set({ "http.response.status_code": status });
    this.handshake?.end();
    this.#on.open();
  }

  #message(data, { type, lastEventId = "" }) {
    if (this.#ended) return;
    const message = { data, type, lastEventId, size: sizeOf(data), number: ++this.#received, received: Date.now() };
    if (message.size <= LARGEST) this.#on.message(message);
    else this.end(cause("local", "message_too_big", 0, `a message of ${message.size} bytes`));
  }
}

// The characters of a text stand for its bytes: to count those takes as long as to send them.
function sizeOf(data) {
  return typeof data === "string" ? data.length : (data.byteLength ?? data.size ?? 0);
}
