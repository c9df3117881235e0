// A connection that comes back by itself.

import { Backoff, causeOf } from "./backoff.js";
import { envelope } from "./envelope.js";
import { Heartbeat } from "./heartbeat.js";
import { Refused } from "./token.js";

const WELCOME_WITHIN = 10_000;
const ANSWER_WITHIN = 10_000;
const STEADY_AFTER = 10_000;
const TOKEN_EXPIRED = 4401;

/** Why a request was not granted: code and reason of the server, or "lost" where no answer has come. */
export class RequestError extends Error {
  constructor(code, reason) {
    super(reason);
    this.code = code;
  }
}

/**
 * Connection emits
 *   "state"   {state: connecting | connected | waiting | stopped, cause, retryAt}
 *   "welcome" what the server says first, each time
 *   "rtt"     milliseconds
 *   "frame"   all else that isn't an answer to a request
 */
export class Connection extends EventTarget {
  #tokens;
  #ws = null;
  #welcomed = 0; // when, 0 while it isn't
  #id = ""; // of the connection, on the server's spans and log records
  #sent = 0; // messages on the connection, as the server numbers them on its spans
  #received = 0;
  #timer = 0;
  #stopped = false;
  #backoff = new Backoff();
  #heartbeat = new Heartbeat(
    () => this.send("ping"),
    () => this.#giveUp("no answer to a ping"),
  );
  #requests = new Map(); // messageId → {granted, refused, timer, place, history}

  constructor(tokens) {
    super();
    this.#tokens = tokens;
    window.addEventListener("online", this.#online);
    window.addEventListener("offline", this.#offline);
    this.#connect();
  }

  /** Sends what is not answered, and returns its id, or undefined while there is no connection. */
  send(type, payload) {
    const env = envelope(type, payload);
    return this.#write(env) ? env.messageId : undefined;
  }

  /**
   * Sends a request and returns what the server acknowledges: {ack, history, env, place}. It fails with a RequestError. A
   * request is not sent again; whoever does has to use the same envelope's id.
   */
  request(type, payload, id) {
    const env = envelope(type, payload, id);
    return new Promise((granted, refused) => {
      const place = this.#write(env);
      if (!place) {
        refused(new RequestError("lost", "there is no connection"));
        return;
      }
      const timer = setTimeout(() => this.#settle(env.messageId, new RequestError("lost", "no answer")), ANSWER_WITHIN);
      this.#requests.set(env.messageId, { granted, refused, timer, place });
    });
  }

  /** Ends the connection for good. */
  close() {
    this.#stop("closed");
    this.#ws?.close(1000);
  }

  /** Connects at once if it is waiting to. */
  retry() {
    if (this.#ws || this.#stopped || !this.#timer) return;
    this.#connect();
  }

  async #connect() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#state("connecting");
    let token;
    try {
      token = await this.#tokens.get();
    } catch (error) {
      if (this.#stopped) return;
      if (error instanceof Refused) this.#stop(error.message);
      else this.#wait(this.#backoff.next(1006), "the server does not answer");
      return;
    }
    if (!this.#stopped) this.#open(token);
  }

  #open(token) {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const ws = new WebSocket(`${scheme}//${location.host}/ws`, ["sockscope.json", `bearer.${token}`]);
    this.#ws = ws;
    this.#sent = this.#received = 0;
    this.#timer = setTimeout(() => this.#giveUp("no welcome"), WELCOME_WITHIN);
    ws.onmessage = (event) => ws === this.#ws && this.#receive(JSON.parse(event.data), ++this.#received);
    ws.onclose = (event) => ws === this.#ws && this.#lost(event.code, causeOf(event));
  }

  #receive(env, number) {
    switch (env.type) {
      case "welcome":
        clearTimeout(this.#timer);
        this.#welcomed = Date.now();
        this.#id = env.payload.session;
        this.#heartbeat.ping();
        this.#state("connected");
        this.#emit("welcome", env.payload);
        return;
      case "pong": {
        const rtt = this.#heartbeat.pong(env.messageId);
        if (rtt !== undefined) this.#emit("rtt", rtt);
        return;
      }
      case "ack":
        if (env.payload.success) this.#settle(env.messageId, null, env);
        else this.#settle(env.messageId, new RequestError(env.payload.error, env.payload.reason));
        return;
      case "error":
        if (!this.#settle(env.messageId, new RequestError(env.payload.code, env.payload.reason)))
          this.#emit("frame", env);
        return;
      case "history":
        if (this.#requests.has(env.messageId)) this.#requests.get(env.messageId).history = env.payload;
        else this.#emit("frame", env);
        return;
      case "token_expiring":
        this.#renewSoon(Date.parse(env.payload.expires) - Date.now());
        return;
      case "going_away":
        this.#backoff.postpone(env.payload.reconnectAfterMs);
    }
    this.#emit("frame", { ...env, place: this.#place("transmit", number) });
  }

  // Where a message is found among the server's spans, whatever its payload carries. The directions are the server's.
  #place(direction, number) {
    return { connection: this.#id, direction, number };
  }

  // At any time in the first half of what is left, so that clients that came together don't all ask at once.
  #renewSoon(left) {
    const ws = this.#ws;
    setTimeout(() => ws === this.#ws && this.#renew(), (Math.random() * Math.max(left, 0)) / 2);
  }

  // The connection outlives its token if a new one comes in time. If none does, the server ends it, see #lost.
  async #renew() {
    try {
      await this.request("auth", { token: await this.#tokens.renew() });
    } catch (error) {
      this.#emit("frame", { type: "error", payload: { code: "unauthorized", reason: error.message } });
    }
  }

  // A dead connection can't be closed in order: the answer to the close frame would never come.
  #giveUp(cause) {
    const ws = this.#ws;
    this.#lost(1006, cause);
    ws?.close();
  }

  #lost(code, cause) {
    this.#ws = null;
    clearTimeout(this.#timer);
    this.#heartbeat.stop();
    for (const id of [...this.#requests.keys()]) this.#settle(id, new RequestError("lost", "the connection was lost"));
    // Browsers don't tell why a handshake failed. That may be the token, after the server has got another key.
    if (!this.#welcomed || code === TOKEN_EXPIRED) this.#tokens.forget();
    if (this.#welcomed && Date.now() - this.#welcomed > STEADY_AFTER) this.#backoff.reset();
    this.#welcomed = 0;
    if (!this.#stopped) this.#wait(this.#backoff.next(code), cause);
  }

  #wait(delay, cause) {
    this.#state("waiting", { cause, retryAt: Date.now() + delay });
    this.#timer = setTimeout(() => this.#connect(), delay);
  }

  #stop(cause) {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#heartbeat.stop();
    window.removeEventListener("online", this.#online);
    window.removeEventListener("offline", this.#offline);
    this.#state("stopped", { cause });
  }

  #write(env) {
    if (!this.#welcomed || this.#ws?.readyState !== WebSocket.OPEN) return undefined;
    this.#ws.send(JSON.stringify(env));
    return this.#place("receive", ++this.#sent);
  }

  #settle(id, error, env) {
    const request = this.#requests.get(id);
    if (!request) return false;
    this.#requests.delete(id);
    clearTimeout(request.timer);
    if (error) request.refused(error);
    else request.granted({ ack: env.payload, history: request.history, env, place: request.place });
    return true;
  }

  // What the browser thinks of the network is a hint to look, no more.
  #online = () => this.retry();
  #offline = () => this.#welcomed && this.#heartbeat.ping();

  #state(state, more) {
    this.#emit("state", { state, ...more });
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
