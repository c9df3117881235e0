// One room as the page knows it: what was said, who is there, and what is missing.

import { Log } from "./log.js";
import { parseTraceparent } from "./instrument/index.js";

const TYPING_FOR = 6_000;
const MOST_AHEAD = 200;

/** Room emits "people", "typing", "reads", "state", "gap" and "forgotten"; what is said is in its log. */
export class Room extends EventTarget {
  log = new Log();
  state = "joining"; // joined | refused
  reason = "";
  loaded = false; // whether its history was asked for once
  unread = 0;
  draft = "";
  users = new Set(); // of a large room not all of them
  count = 0;
  reads = new Map(); // user → seq
  typing = new Map(); // user → timer
  last; // up to which number nothing is missing
  #ahead = new Set(); // numbers beyond that
  #said = 0; // when the newest message was said, by the server's clock
  #away = null; // the entry that says what was missed, while the room is resumed

  constructor(name, me) {
    super();
    this.name = name;
    this.me = me;
  }

  /** Takes a message as it is delivered, and returns whether it is news from somebody else. */
  deliver(m) {
    const known = this.log.message(m.id);
    this.last ??= m.seq - 1;
    this.#stopTyping(m.from);
    // One that is newer than all before and has a number from before: the server has forgotten the room.
    const forgotten = m.seq <= this.last && Date.parse(m.at) > this.#said;
    if (m.seq <= this.last && known && !forgotten) return false; // a repetition
    if (forgotten) this.#forget(m.seq - 1);
    this.#put(m, false);
    if (forgotten) this.#emit("forgotten");
    // What one has said oneself may be here already, by its acknowledgement.
    if (m.seq > this.last && this.log.count(this.last + 1, m.seq) === m.seq - this.last) this.#advance(m.seq);
    else this.#miss(m.seq);
    return !known && m.from !== this.me;
  }

  /** Takes a piece of history, which is the truth about numbers, and returns how many of its messages are news. */
  fill(messages) {
    let news = 0;
    for (const m of messages) {
      if (!this.log.message(m.id) && m.from !== this.me) {
        news++;
        this.#missed(m);
      }
      this.#put(m, true);
    }
    if (messages.length > 0) this.#advance(messages.at(-1).seq);
    return news;
  }

  /** The history has no more: whatever is still missing is lost. Returns how many messages were found. */
  settle() {
    this.#ahead.clear();
    let found = 0;
    for (const gap of this.log.entries.filter((e) => e.kind === "gap" && e.state === "asking")) {
      const missing = gap.to - gap.from + 1;
      const here = this.log.count(gap.from, gap.to);
      found += here;
      if (here >= missing) this.log.remove(gap);
      else this.log.change(gap, { state: "lost", missing: missing - here });
    }
    return found;
  }

  /** There is no connection, or none yet: what comes first then is what was missed. */
  suspend() {
    if (this.state === "joined") this.#setState("joining");
    this.#away ??= { kind: "away", count: 0 };
    for (const user of [...this.typing.keys()]) this.#stopTyping(user);
  }

  /** The room is joined; its last message has that number. Returns whether something older is still to be got. */
  joined(seq) {
    this.#setState("joined");
    this.last ??= seq;
    return !this.loaded || this.last < seq;
  }

  /** All of what was missed is here. */
  resumed() {
    this.loaded = true;
    this.#away = null;
  }

  refuse(reason) {
    this.reason = reason;
    this.#setState("refused");
  }

  note(text) {
    const end = this.log.entries.at(-1);
    if (end?.kind === "note" && end.text.length < 120) this.log.change(end, { text: `${end.text} · ${text}` });
    else this.log.add({ kind: "note", text });
  }

  /** Takes who is there as one joins, and how far the room is at that moment. */
  setPeople({ users, count, read, seq }) {
    if (this.last > seq) this.#forget(seq);
    this.users = new Set(users);
    this.count = count;
    this.reads = new Map(Object.entries(read ?? {}));
    this.#emit("people");
    this.#emit("reads");
  }

  enters(user) {
    if (this.users.has(user)) return;
    this.users.add(user);
    this.count++;
    if (user !== this.me) this.note(`${user} joined`);
    this.#emit("people");
  }

  leaves(user) {
    this.#stopTyping(user);
    this.count = Math.max(0, this.count - 1);
    this.users.delete(user);
    this.note(`${user} left`);
    this.#emit("people");
  }

  setTyping(user, typing) {
    if (user === this.me) return;
    clearTimeout(this.typing.get(user));
    if (typing)
      this.typing.set(
        user,
        setTimeout(() => this.#stopTyping(user), TYPING_FOR),
      );
    else this.typing.delete(user);
    this.#emit("typing");
  }

  setRead(user, seq) {
    if (seq <= (this.reads.get(user) ?? 0)) return;
    this.reads.set(user, seq);
    this.#emit("reads");
  }

  /** Returns who else has read up to a message. */
  readers(seq) {
    return [...this.reads].filter(([user, upTo]) => user !== this.me && upTo >= seq).map(([user]) => user);
  }

  #stopTyping(user) {
    if (this.typing.has(user)) this.setTyping(user, false);
  }

  // The same message comes as an acknowledgement, a delivery and a piece of history.
  #put(m, truth) {
    this.#said = Math.max(this.#said, Date.parse(m.at));
    const trace = parseTraceparent(m.traceparent)?.traceId ?? "";
    const known = this.log.message(m.id);
    if (!known) {
      this.log.add({
        kind: "message",
        id: m.id,
        seq: m.seq,
        from: m.from,
        text: m.text,
        at: m.at,
        trace,
        place: m.place,
        state: "sent",
      });
      return;
    }
    const changes = { state: "sent", at: m.at, trace: known.trace || trace };
    if (known.seq === undefined || truth) changes.seq = m.seq;
    this.log.change(known, changes);
  }

  #advance(seq) {
    this.last = Math.max(this.last ?? 0, seq);
    while (this.#ahead.delete(this.last + 1)) this.last++;
  }

  #miss(seq) {
    if (seq > this.last) {
      if (this.#ahead.size < MOST_AHEAD) this.#ahead.add(seq);
      const from = Math.max(this.last, ...[...this.#ahead].filter((s) => s < seq)) + 1;
      if (from < seq)
        this.log.add({ kind: "gap", seq: seq - 0.5, from, to: seq - 1, missing: seq - from, state: "asking" });
    }
    this.#emit("gap", { after: Math.min(this.last, seq - 1) });
  }

  // The numbers from before are no longer true, and the server counts on from this one.
  #forget(seq) {
    this.log.clear();
    this.#ahead.clear();
    this.loaded = false;
    this.last = seq;
    this.note("the server no longer has what was said before");
  }

  #missed(m) {
    if (!this.loaded || !this.#away) return;
    if (++this.#away.count === 1) this.log.add(Object.assign(this.#away, { seq: m.seq - 0.4 }));
    else this.log.change(this.#away, { count: this.#away.count });
  }

  #setState(state) {
    this.state = state;
    this.#emit("state");
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
