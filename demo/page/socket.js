// A connection that comes back: exponential backoff with full jitter, pings of
// its own, and the envelope of the protocol.

const FIRST_DELAY = 500;
const LONGEST_DELAY = 15_000;
const PING_EVERY = 5_000;
const PONG_WITHIN = 10_000;
const STEADY_AFTER = 10_000; // a connection that held that long starts the backoff afresh

/** Envelope returns a message as the server expects it. */
export function envelope(type, payload) {
  const env = { type, timestamp: new Date().toISOString(), messageId: uuid() };
  if (payload) env.payload = payload;
  return env;
}

// crypto.randomUUID exists in secure contexts only, and a demo is also looked
// at by plain HTTP from another machine.
function uuid() {
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  const hex = Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/**
 * Socket emits "state" (connecting, connected, silent, offline), "rtt",
 * "open" and "message" events, and reconnects until it is closed.
 */
export class Socket extends EventTarget {
  #url;
  #ws = null;
  #attempt = 0;
  #timer = 0;
  #pinging = 0;
  #pings = new Map(); // messageId → when it was sent
  #closed = false;

  constructor(url) {
    super();
    this.#url = url;
    this.#connect();
    window.addEventListener("online", this.#retryNow);
  }

  /** send hands an envelope to the connection and says whether there is one. */
  send(env) {
    if (this.#ws?.readyState !== WebSocket.OPEN) return false;
    this.#ws.send(JSON.stringify(env));
    return true;
  }

  close() {
    this.#closed = true;
    window.removeEventListener("online", this.#retryNow);
    clearTimeout(this.#timer);
    clearInterval(this.#pinging);
    this.#ws?.close(1000);
  }

  #connect() {
    this.#emit("state", { state: "connecting", attempt: this.#attempt });
    const ws = new WebSocket(this.#url);
    this.#ws = ws;
    let opened = 0;
    ws.onopen = () => {
      opened = Date.now();
      this.#emit("state", { state: "connected" });
      this.#emit("open", { again: this.#attempt > 0 });
      this.#pings.clear();
      this.#pinging = setInterval(() => this.#ping(ws), PING_EVERY);
      this.#ping(ws);
    };
    ws.onmessage = (event) => this.#receive(event.data);
    ws.onclose = () => this.#lost(ws, opened);
  }

  #lost(ws, opened) {
    if (ws !== this.#ws) return;
    this.#ws = null;
    clearInterval(this.#pinging);
    if (this.#closed) {
      this.#emit("state", { state: "offline" });
      return;
    }
    this.#attempt = opened && Date.now() - opened > STEADY_AFTER ? 1 : this.#attempt + 1;
    const delay = Math.random() * Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (this.#attempt - 1));
    this.#emit("state", { state: "offline", retry: delay });
    this.#timer = setTimeout(() => this.#connect(), delay);
  }

  #retryNow = () => {
    if (this.#ws || this.#closed) return;
    clearTimeout(this.#timer);
    this.#connect();
  };

  // A socket that is open but says nothing is not a connection.
  #ping(ws) {
    const oldest = this.#pings.values().next().value;
    const waited = oldest === undefined ? 0 : performance.now() - oldest;
    if (waited > PONG_WITHIN) {
      ws.onclose = null;
      ws.close();
      this.#lost(ws, 0);
      return;
    }
    if (waited > PING_EVERY / 2) this.#emit("state", { state: "silent" });
    const env = envelope("ping");
    this.#pings.set(env.messageId, performance.now());
    this.send(env);
  }

  #receive(data) {
    const env = JSON.parse(data);
    if (env.type !== "pong") {
      this.#emit("message", env);
      return;
    }
    const sent = this.#pings.get(env.messageId);
    if (sent === undefined) return;
    this.#pings.clear();
    this.#emit("rtt", performance.now() - sent);
    this.#emit("state", { state: "connected" });
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
