// When to try again: exponential backoff with full jitter, so that clients that were cut off together don't come back
// together, and what the server has asked for.

const FIRST = 500;
const LONGEST = 15_000;
const AFTER_RESTART = 1_000; // a restart is planned: the others are up
const OVERLOADED = 5_000; // at least, where the server has sent us away

const RESTART = 1012;
const TRY_AGAIN_LATER = 1013;
const POLICY = 1008;
const TOKEN_EXPIRED = 4401;

export class Backoff {
  #attempt = 0;
  #notBefore = 0;

  /** The server is going away and wants to be left alone for that long. */
  postpone(ms) {
    this.#notBefore = Date.now() + Math.min(Math.max(ms, 0), 60_000);
  }

  /** The connection has held: the next loss is the first one again. */
  reset() {
    this.#attempt = 0;
  }

  /** Returns the milliseconds until the next attempt, after a connection was closed with a code. */
  next(code) {
    const asked = Math.max(0, this.#notBefore - Date.now());
    this.#notBefore = 0;
    const attempt = this.#attempt++;
    if (attempt === 0 && code === RESTART) return asked + Math.random() * AFTER_RESTART;
    if (attempt === 0 && code === TOKEN_EXPIRED) return Math.random() * FIRST;
    const jitter = Math.random() * Math.min(LONGEST, FIRST * 2 ** Math.min(attempt, 16));
    return asked + jitter + (code === TRY_AGAIN_LATER || code === POLICY ? OVERLOADED : 0);
  }
}

/** Says in words how a connection ended. */
export function causeOf({ code, reason }) {
  const known = {
    1000: "closed",
    1001: "the server goes away",
    1006: "lost",
    [POLICY]: "refused",
    1009: "a message was too long",
    1011: "the server failed",
    [RESTART]: "the server restarts",
    [TRY_AGAIN_LATER]: "the server is overloaded",
    [TOKEN_EXPIRED]: "the token has expired",
  };
  return reason || known[code] || `closed with ${code}`;
}
