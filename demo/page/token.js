// Tokens, which say who is connected. The server issues them to whoever asks on its own machine; elsewhere people bring
// their own.

import { Permanent } from "./instrument/index.js";

const RENEW_BEFORE = 30_000; // a token that ends sooner than that is not begun with
const ANSWER_WITHIN = 10_000;
const NOT_THERE = new Set([404, 405]);
const REFUSED = 401;

/** Why there is no token and will be none: asking again does not help. */
export class Refused extends Permanent {}

export class Tokens {
  #user;
  #own; // brought along; can't be renewed
  #doubted = false; // of one that was brought along: it may be refused
  #token = "";
  #expires = 0;

  constructor(user, own = "") {
    this.#user = user;
    this.#own = own;
  }

  /** Returns a token that holds for a while. */
  async get() {
    if (this.#own) {
      await this.#check();
      return this.#own;
    }
    if (!this.#token || this.#expires - Date.now() < RENEW_BEFORE) await this.renew();
    return this.#token;
  }

  /** Returns a new token. */
  async renew() {
    if (this.#own) throw new Refused("your token is about to run out and can't be renewed from here");
    const response = await fetch("/auth/token", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ user: this.#user }),
      signal: AbortSignal.timeout(ANSWER_WITHIN),
    });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) {
      const reason =
        answer.error ??
        (NOT_THERE.has(response.status) ? "this server issues no tokens: bring one" : `status ${response.status}`);
      throw response.status < 500 && response.status !== 429 ? new Refused(reason) : new Error(reason);
    }
    this.#token = answer.token;
    this.#expires = Date.parse(answer.expires);
    return this.#token;
  }

  /** Takes the token for worth nothing: it has expired or may not be accepted, because the server has another key. */
  forget() {
    this.#token = "";
    this.#doubted = true;
  }

  // Browsers don't tell why the handshake of a WebSocket failed. What a plain request for it is answered they do tell.
  async #check() {
    if (!/^[\w.-]+$/.test(this.#own)) throw new Refused("that is no token: it has letters, digits, dots, - and _");
    if (!this.#doubted) return;
    const response = await fetch("/ws", {
      headers: { Authorization: `Bearer ${this.#own}` },
      signal: AbortSignal.timeout(ANSWER_WITHIN),
    });
    if (response.status === REFUSED) throw new Refused(`your token is refused: ${await response.text()}`);
    this.#doubted = false;
  }
}
