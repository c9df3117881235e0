// Finds out a connection that is open but dead, which a browser doesn't tell: pings as messages, since pages can't send
// those of WebSocket.

const EVERY = 10_000;
const WITHIN = 5_000;

export class Heartbeat {
  #send;
  #dead;
  #timer = 0;
  #waiting = null; // {id, sent}

  /** Pings by send(), which returns the ping's id, and calls dead() when no answer has come in time. */
  constructor(send, dead) {
    this.#send = send;
    this.#dead = dead;
  }

  /** Pings now, and from time to time. */
  ping() {
    if (this.#waiting) return;
    clearTimeout(this.#timer);
    this.#waiting = { sent: performance.now(), id: this.#send() };
    this.#timer = setTimeout(() => {
      this.stop();
      this.#dead();
    }, WITHIN);
  }

  /** Takes an answer and returns the round trip in milliseconds, or nothing if it answers no ping. */
  pong(id) {
    if (this.#waiting?.id !== id) return undefined;
    const rtt = performance.now() - this.#waiting.sent;
    this.#waiting = null;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.ping(), EVERY);
    return rtt;
  }

  stop() {
    clearTimeout(this.#timer);
    this.#waiting = null;
  }
}
