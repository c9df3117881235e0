// One stream of a client: its sequence, and the events that are held back until there is a snapshot.

import { Sequence } from "./sequence.js";
import { Backoff, within } from "./timing.js";

export const STABLE_AFTER = 10_000; // what has worked for so long counts as stable
const SNAPSHOT_WITHIN = 10_000;

export class Stream {
  state = "closed";
  sequence = new Sequence();
  holding = false; // events are held back
  newsAt = 0; // when something new was received
  epoch = 0; // counts reconciliations and connections: what was begun in another is void
  cancelWatch = () => {};
  #held = [];
  #overflowed = false; // there were too many of them
  #liveAt = Infinity;
  #backoff;
  #metrics;

  constructor({ name, expect = 0, tolerate = false, resume = false, snapshot, restore }, backoff, metrics) {
    const wrong =
      (!name && "has no name") ||
      (!(expect >= 0) && `expects something every ${expect} ms: must be positive, or 0 if it may be silent`) ||
      (!snapshot !== !restore && "has only one of snapshot and restore") ||
      (resume && restore && "can't have both resume and restore: a snapshot has what was missed");
    if (wrong) throw new TypeError(`stream ${name} ${wrong}`);
    Object.assign(this, { name, expect, tolerate, resume, snapshot, restore });
    this.#backoff = new Backoff(backoff);
    this.#metrics = metrics;
  }

  count(name, by = 1) {
    this.#metrics.add(name, { stream: this.name }, by);
  }

  /** Prepares the stream for a new connection. */
  open() {
    this.close();
    if (!this.resume) this.sequence = new Sequence();
    this.holding = Boolean(this.restore);
    this.#liveAt = -Infinity; // the first snapshot need not wait
  }

  /** Forgets what belongs to a connection that has ended. */
  close() {
    this.epoch++;
    this.cancelWatch();
    this.release();
  }

  release() {
    this.#held = [];
    this.#overflowed = false;
  }

  /** Moves the sequence on by an event, and returns the verdict and how many numbers are missing. */
  follow({ first, last, restart }) {
    const sequence = restart ? new Sequence() : this.sequence;
    const judged = sequence.observe(first, last);
    if (judged.verdict !== "invalid") this.sequence = sequence;
    return judged;
  }

  hold(event, limit) {
    this.#overflowed ||= this.#held.length >= limit;
    if (this.#overflowed) this.#held = [];
    else this.#held.push(event);
  }

  /** Notes that the stream is live, and so may be reconciled at once after a while. */
  live() {
    this.#liveAt = performance.now();
    this.#metrics.set("stale", { stream: this.name }, 0);
  }

  /** Fetches snapshots until one fits the held events, restores it and has those after it handled. Returns whether. */
  async reconcile(trigger, handle, failed) {
    const epoch = ++this.epoch;
    const began = performance.now();
    let wait = began - this.#liveAt < STABLE_AFTER;
    if (!wait) this.#backoff.reset();
    this.holding = true;
    for (let result; result !== "ok" && result !== "aborted"; wait = true) {
      if (wait) await new Promise((resolve) => setTimeout(resolve, this.#backoff.next()));
      result = epoch === this.epoch ? await this.#attempt(epoch, handle, failed) : "aborted";
      this.#metrics.add("reconciliations_total", { trigger, result });
    }
    if (epoch !== this.epoch) return false;
    this.#metrics.observe("reconciliation_duration_seconds", {}, performance.now() - began);
    return true;
  }

  async #attempt(epoch, handle, failed) {
    this.#liveAt = Infinity;
    this.#overflowed = false;
    try {
      const snapshot = await within(SNAPSHOT_WITHIN, this.snapshot(AbortSignal.timeout(SNAPSHOT_WITHIN)));
      if (epoch !== this.epoch) return "aborted";
      if (this.#overflowed) return "overflow";
      const rest = this.#join(snapshot);
      if (!rest) return "behind";
      if (this.restore(snapshot.value)) this.count("drift_total");
      this.release();
      this.holding = false;
      for (const event of rest) if (epoch === this.epoch) handle(event);
      return epoch === this.epoch ? "ok" : "aborted"; // an event has failed, or the connection has ended
    } catch (error) {
      if (epoch !== this.epoch) return "aborted";
      failed(error);
      return "error";
    }
  }

  // Returns the held events after a snapshot, or nothing if it is too old for them.
  #join({ last = 0, restart = false }) {
    const sequence = new Sequence(last);
    const rest = [];
    for (const event of [...this.#held].sort((a, b) => (a.first ?? 0) - (b.first ?? 0))) {
      const { verdict } = sequence.observe(event.first, event.last);
      if (verdict === "gap") return undefined;
      if (verdict === "in_order") rest.push(event);
    }
    if (sequence.last < this.sequence.last && !restart && last !== 0) return undefined;
    this.count("superseded_total", this.#held.length - rest.length);
    this.sequence = sequence;
    return rest;
  }
}
