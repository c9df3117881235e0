// What is said in a room, in order, as far back as a page needs. Numbers come from the server; what it has not numbered
// yet is at the end.

const MOST = 300;

/**
 * Log keeps entries, which are
 *   {kind: "message", id, seq, from, text, at, trace, place, state: pending | sent | failed, reason}
 *   {kind: "gap", seq, from, to, state: asking | lost}
 *   {kind: "away", seq, count}
 *   {kind: "note", text}
 * sorted by seq, and emits "insert" {entry, before}, "update" and "remove" {entry}.
 */
export class Log extends EventTarget {
  entries = [];
  #byId = new Map();

  /** Returns the message with that id. */
  message(id) {
    return this.#byId.get(id);
  }

  /** Returns the messages that the server has not acknowledged. */
  pending() {
    return this.entries.filter((e) => e.state === "pending");
  }

  /** Returns how many messages with numbers in this range are here. */
  count(from, to) {
    return this.entries.filter((e) => e.kind === "message" && e.seq >= from && e.seq <= to).length;
  }

  /** Adds an entry where its number belongs, and forgets the oldest if there are too many. */
  add(entry) {
    if (entry.kind === "message") this.#byId.set(entry.id, entry);
    const at = this.#place(entry.seq);
    this.entries.splice(at, 0, entry);
    this.#emit("insert", { entry, before: this.entries[at + 1] });
    while (this.entries.length > MOST) this.remove(this.entries[0]);
    return entry;
  }

  /** Changes an entry, which moves if it gets another number. */
  change(entry, changes) {
    const moves = changes.seq !== undefined && changes.seq !== entry.seq;
    if (moves) this.entries.splice(this.entries.indexOf(entry), 1);
    Object.assign(entry, changes);
    this.#emit("update", { entry });
    if (!moves) return;
    const at = this.#place(entry.seq);
    this.entries.splice(at, 0, entry);
    this.#emit("insert", { entry, before: this.entries[at + 1] });
  }

  remove(entry) {
    this.entries.splice(this.entries.indexOf(entry), 1);
    this.#byId.delete(entry.id);
    this.#emit("remove", { entry });
  }

  /** Forgets all but what the server has not got. */
  clear() {
    for (const entry of this.entries.filter((e) => e.state !== "pending")) this.remove(entry);
  }

  // Most entries belong at the end or near it.
  #place(seq) {
    let at = this.entries.length;
    if (seq === undefined) return at;
    for (let i = at - 1; i >= 0; i--) {
      const e = this.entries[i];
      if (e.seq > seq || (e.state === "pending" && at === i + 1)) at = i;
      else if (e.seq <= seq) break;
    }
    return at;
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
