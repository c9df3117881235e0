// The page's connection: requests and their answers, tokens, and what the module instrument/browser does for any page.

import { Client } from "./instrument/index.js";
import { envelope } from "./envelope.js";

const WELCOME_WITHIN = 10_000;
const ANSWER_WITHIN = 10_000;
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
  #client;
  #tokens;
  #market;
  #welcomed = null; // called when the server says welcome
  #id = ""; // of the connection, on the server's spans and log records; empty without one
  #requests = new Map(); // messageId → {granted, refused, timer, span, place, history}

  /** Connects. The market, if the page shows it, has a stream of its own, and handles its events. */
  constructor(tokens, { tracer, market } = {}) {
    super();
    this.#tokens = tokens;
    this.#market = market;
    this.#client = new Client(
      () => this.#endpoint(),
      {
        streams: market ? [market.stream] : [],
        subscribe: () => this.#subscribe(),
        decode: ({ data }) => this.#decode(JSON.parse(data)),
        handle: ({ stream, value, messageNumber }) =>
          market && stream === market.stream.name
            ? market.handle(value)
            : this.#emit("frame", { ...value, place: this.#place("transmit", messageNumber) }),
      },
      { name: "page", heartbeat: { ping: () => this.send("ping") }, tracer },
    );
    this.#client.addEventListener("state", ({ detail }) => (detail.stream ? market?.changed(detail.to) : this.#changed(detail)));
    this.#client.addEventListener("rtt", ({ detail }) => this.#emit("rtt", detail));
    this.#client.addEventListener("failed", ({ detail }) => console.error(detail.error));
    this.#client.run();
  }

  /** Sends what is not answered, and returns its id, or undefined while there is no connection. */
  send(type, payload) {
    const env = envelope(type, payload);
    return this.#id && this.#client.send(JSON.stringify(env)) ? env.messageId : undefined;
  }

  /**
   * Sends a request and returns what the server acknowledges: {ack, history, env, place}. It fails with a RequestError. A
   * request is not sent again; whoever does has to use the same envelope's id. Its span lasts until the answer.
   */
  request(type, payload, messageId) {
    const span = this.#client.begin(type);
    const env = envelope(type, payload, { messageId, traceparent: span?.traceparent });
    return new Promise((granted, refused) => {
      const number = this.#id ? this.#client.send(JSON.stringify(env), span) : 0;
      const timer = setTimeout(() => this.#settle(env.messageId, new RequestError("lost", "no answer")), ANSWER_WITHIN);
      this.#requests.set(env.messageId, { granted, refused, timer, span, env, place: this.#place("receive", number) });
      if (number === 0) this.#settle(env.messageId, new RequestError("lost", "there is no connection"));
    });
  }

  /** Connects at once if it is waiting to. */
  retry() {
    this.#client.retry();
  }

  async #endpoint() {
    const token = await this.#tokens.get();
    return { url: "/ws", protocols: ["sockscope.json", `bearer.${token}`] };
  }

  async #subscribe() {
    await new Promise((welcomed, failed) => {
      this.#welcomed = welcomed;
      setTimeout(() => failed(new Error("no welcome")), WELCOME_WITHIN);
    });
    // Without it no prices come, which the market tells.
    if (this.#market) await this.request("subscribe", { stream: "market" }).catch(() => {});
  }

  #decode(env) {
    switch (env.type) {
      case "welcome":
        this.#id = env.payload.session;
        this.#welcomed();
        this.#emit("welcome", env.payload);
        return [];
      case "pong":
        this.#client.ponged(env.messageId);
        return [];
      case "ack":
        if (env.payload.success) this.#settle(env.messageId, null, env.payload);
        else this.#settle(env.messageId, new RequestError(env.payload.error, env.payload.reason));
        return [];
      case "error":
        if (this.#settle(env.messageId, new RequestError(env.payload.code, env.payload.reason))) return [];
        break;
      case "history":
        if (!this.#requests.has(env.messageId)) break;
        this.#requests.get(env.messageId).history = env.payload;
        return [];
      case "token_expiring":
        this.#renewSoon(Date.parse(env.payload.expires) - Date.now());
        return [];
      case "going_away":
        this.#client.postpone(env.payload.reconnectAfterMs);
        break;
      case "ticks": {
        const { firstSeq, lastSeq } = env.payload;
        return [{ stream: "market", first: firstSeq, last: lastSeq, value: env.payload }];
      }
    }
    return [{ value: env, time: Date.parse(env.timestamp), traceparent: env.traceparent }];
  }

  // Where a message is found among the server's spans, whatever its payload carries. The directions are the server's.
  #place(direction, number) {
    return { connection: this.#id, direction, number };
  }

  // At any time in the first half of what is left, so that clients that came together don't all ask at once.
  #renewSoon(left) {
    const id = this.#id;
    setTimeout(() => id === this.#id && this.#renew(), (Math.random() * Math.max(left, 0)) / 2);
  }

  // The connection outlives its token if a new one comes in time. If none does, the server ends it, see #changed.
  async #renew() {
    try {
      await this.request("auth", { token: await this.#tokens.renew() });
    } catch (error) {
      this.#emit("frame", { type: "error", payload: { code: "unauthorized", reason: error.message } });
    }
  }

  // A connection with stale or old prices is one all the same.
  #changed({ from, to, cause, error, retryAt }) {
    const open = (state) => ["reconciling", "stale", "live"].includes(state);
    if (open(to)) {
      if (!open(from)) this.#emit("state", { state: "connected" });
      return;
    }
    // Browsers don't tell why a handshake failed. That may be the token, after the server has got another key.
    if (to === "waiting" && (!this.#id || cause.code === TOKEN_EXPIRED)) this.#tokens.forget();
    this.#id = "";
    for (const id of [...this.#requests.keys()]) this.#settle(id, new RequestError("lost", "the connection was lost"));
    if (to === "closed") this.#emit("state", { state: "stopped", cause: error.message });
    else this.#emit("state", { state: to, cause: cause && inWords(cause, error), retryAt });
  }

  #settle(id, error, ack) {
    const request = this.#requests.get(id);
    if (!request) return false;
    this.#requests.delete(id);
    clearTimeout(request.timer);
    request.span?.end(error);
    const { env, place, history } = request;
    if (error) request.refused(error);
    else request.granted({ ack, history, env, place });
    return true;
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** Says in words how a connection ended. An error is of what the page asked for before. */
function inWords({ code, reason, text }, error) {
  if (error) return "the server does not answer";
  const known = {
    abnormal: "lost",
    going_away: "the server goes away",
    internal: "the server failed",
    normal: "closed",
    ping_timeout: "no answer to a ping",
    policy: "refused",
    restart: "the server restarts",
    try_again_later: "the server is overloaded",
  };
  if (code === TOKEN_EXPIRED) return text || "the token has expired";
  return text || known[reason] || `closed with ${code}`;
}
