// Waits: how long, and what to do when they are over.

const LATE = 1_000;

/**
 * Calls f after a while and returns what cancels that. A page that was frozen gets its timers before the messages that have
 * come meanwhile. Then f waits a second more, so that it sees them.
 */
export function after(milliseconds, f) {
  const due = performance.now() + milliseconds;
  let timer = setTimeout(() => {
    if (performance.now() - due > LATE) timer = setTimeout(f, LATE);
    else f();
  }, milliseconds);
  return () => clearTimeout(timer);
}

/** Returns what a promise comes to, or fails if that takes longer. */
export async function within(milliseconds, promise) {
  let cancel;
  const late = new Promise((_, reject) => {
    cancel = after(milliseconds, () => reject(new Error(`no answer within ${milliseconds} ms`)));
  });
  return Promise.race([promise, late]).finally(cancel);
}

/**
 * Backoff says how long to wait before another attempt: a random part ("full jitter") of a ceiling that doubles with every
 * attempt, so that clients that lost their connections together do not come back together.
 */
export class Backoff {
  #shortest;
  #longest;
  #tries = 0;

  constructor({ shortest = 250, longest = 30_000 } = {}) {
    if (!(shortest > 0 && longest >= shortest && longest < 2 ** 31))
      throw new RangeError(`backoff from ${shortest} to ${longest} ms: must be positive and ascending, and below 25 days`);
    this.#shortest = shortest;
    this.#longest = longest;
  }

  /** Returns the next wait in milliseconds. Its ceiling is at least spread, for clients that were all cut off at once. */
  next(spread = 0) {
    return Math.random() * Math.max(this.#ceiling(), Math.min(spread, this.#longest));
  }

  /** Returns a wait from half of the longest on, for when it is useless to try soon. */
  long() {
    this.#ceiling();
    return (this.#longest / 2) * (1 + Math.random());
  }

  reset() {
    this.#tries = 0;
  }

  #ceiling() {
    return Math.min(this.#longest, this.#shortest * 2 ** this.#tries++); // which may be Infinity, and is capped, too
  }
}
