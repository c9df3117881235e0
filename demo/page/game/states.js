// The states of the game as the server sends them: each is the difference to one that this client has acknowledged.

/** States keeps those of the newest ticks. */
export class States {
  #keep;
  #states = new Map(); // tick → Map of player → {name, x, y}
  newest = 0;

  constructor(keep) {
    this.#keep = keep;
  }

  /** Takes a state and returns whether it could be understood, which it can't without the one it differs from. */
  take({ tick, base = 0, players = [], gone = [] }) {
    const before = this.#states.get(base);
    if (base !== 0 && !before) return false;
    const now = new Map(before);
    for (const id of gone) now.delete(id);
    for (const { id, name, x, y } of players) now.set(id, { name: name ?? now.get(id)?.name ?? "", x, y });
    this.#states.set(tick, now);
    this.newest = Math.max(this.newest, tick);
    for (const old of this.#states.keys()) if (old + this.#keep <= this.newest) this.#states.delete(old);
    return true;
  }

  /**
   * Returns where players are at a tick, which may be a fraction: on the line between the states before and after. A
   * player who is in one of the two only is where that one says.
   */
  at(tick) {
    let before = 0;
    let after = Infinity;
    for (const t of this.#states.keys()) {
      if (t <= tick && t > before) before = t;
      if (t >= tick && t < after) after = t;
    }
    const from = this.#states.get(before);
    const to = this.#states.get(after);
    if (!from || !to || before === after) return to ?? from ?? new Map();
    const part = (tick - before) / (after - before);
    const between = new Map();
    for (const [id, end] of to) {
      const start = from.get(id) ?? end;
      between.set(id, { name: end.name, x: start.x + (end.x - start.x) * part, y: start.y + (end.y - start.y) * part });
    }
    return between;
  }
}

/** Clock tells what tick it is on the server, by when states come: the quickest ones tell best. */
export class Clock {
  #interval;
  #start = Infinity; // when tick 0 was, by this machine's clock

  constructor(rate) {
    this.#interval = 1_000 / rate;
  }

  /** Notes that a state has come. */
  state(tick, now) {
    const start = now - tick * this.#interval;
    // A clock that runs slower than the server's is found out bit by bit.
    this.#start = Math.min(start, this.#start + this.#interval / 100);
  }

  /** Returns the tick, with a fraction. */
  tick(now) {
    return (now - this.#start) / this.#interval;
  }
}
