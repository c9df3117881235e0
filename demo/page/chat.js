// The rooms that the page is in, kept as they are on the server: joined again after a loss, what was missed asked for,
// and what was not acknowledged sent again under the same id, which the server saves once.

import { uuid } from "./envelope.js";
import { parseTraceparent } from "./instrument/index.js";
import { Room } from "./room.js";

const MOST_ATTEMPTS = 5;
const TYPING_EVERY = 3_000;
const READ_EVERY = 500;
const LATER = 2_000;
const AGAIN_LATER = new Set(["lost", "unavailable", "rate_limited"]);

/** Chat emits "rooms", "state" and "unread" {room}, "gaps", "trouble" {text} and "notification" {from, text}. */
export class Chat extends EventTarget {
  rooms = new Map();
  gaps = 0; // how often numbers did not follow each other
  recovered = 0; // messages that were got afterwards
  connections = 0; // so far, this one included
  #connection;
  #me = "";
  #typed = new Map(); // room → when it was told last that we are writing
  #reading = new Map(); // room → timer

  constructor(connection) {
    super();
    this.#connection = connection;
    connection.addEventListener("welcome", (event) => this.#welcome(event.detail));
    connection.addEventListener("frame", (event) => this.#receive(event.detail));
    connection.addEventListener("state", (event) => {
      if (event.detail.state !== "connected") for (const room of this.rooms.values()) room.suspend();
    });
  }

  get me() {
    return this.#me;
  }

  /** Enters a room, as soon as there is a connection, and returns it. */
  join(name) {
    let room = this.rooms.get(name);
    if (!room || room.state === "refused") {
      room = new Room(name, this.#me);
      room.addEventListener("gap", (event) => this.#gap(room, event.detail.after));
      room.addEventListener("forgotten", () => this.#enter(room)); // to get what there is
      room.addEventListener("state", () => this.#emit("state", { room }));
      this.rooms.set(name, room);
      this.#emit("rooms");
      if (this.#me) this.#enter(room);
    }
    return room;
  }

  leave(name) {
    if (!this.rooms.delete(name)) return;
    clearTimeout(this.#reading.get(name));
    this.#connection.request("leave", { room: name }).catch(() => {}); // one that was not in has left, too
    this.#emit("rooms");
  }

  /** Says something. It is shown at once and sent when there is a connection. */
  say(room, text) {
    const entry = room.log.add({
      kind: "message",
      id: uuid(),
      from: this.#me,
      text,
      at: new Date().toISOString(),
      state: "pending",
      attempts: 0,
    });
    this.stopTyping(room);
    this.#send(room, entry);
  }

  /** Tries again what has failed. */
  again(room, entry) {
    room.log.change(entry, { state: "pending", reason: "", attempts: 0 });
    this.#send(room, entry);
  }

  /** Tells the others that we are writing, not at every key. */
  startTyping(room) {
    const now = Date.now();
    if (now - (this.#typed.get(room.name) ?? 0) < TYPING_EVERY || room.state !== "joined") return;
    this.#typed.set(room.name, now);
    this.#connection.send("typing", { room: room.name, typing: true });
  }

  stopTyping(room) {
    if (this.#typed.delete(room.name) && room.state === "joined") {
      this.#connection.send("typing", { room: room.name, typing: false });
    }
  }

  /** Tells the room that we have read it, soon and once for many messages. */
  read(room) {
    if (room.unread > 0) {
      room.unread = 0;
      this.#emit("unread", { room });
    }
    if (this.#reading.has(room.name)) return;
    this.#reading.set(
      room.name,
      setTimeout(() => {
        this.#reading.delete(room.name);
        const seq = room.last;
        if (room.state !== "joined" || !seq || seq <= (room.reads.get(this.#me) ?? 0)) return;
        // A crowd is not told, this page as little as the others. One that is lost is made good by the next.
        this.#connection.request("read", { room: room.name, seq }).then(
          () => room.setRead(this.#me, seq),
          () => {},
        );
      }, READ_EVERY),
    );
  }

  /** Notifies a user. It fails if that is refused. */
  notify(user, text) {
    return this.#connection.request("notify", { user, text });
  }

  #welcome({ user }) {
    this.#me = user;
    this.connections++;
    for (const room of this.rooms.values()) {
      room.me = user;
      this.#enter(room);
    }
  }

  async #enter(room) {
    room.suspend();
    const after = room.loaded ? { after: room.last } : {};
    try {
      const { ack } = await this.#connection.request("join", { room: room.name, ...after });
      if (this.rooms.get(room.name) !== room) return;
      const more = room.joined(ack.seq ?? 0);
      for (const entry of room.log.pending()) this.#send(room, entry);
      if (more) await this.#fill(room, room.loaded ? room.last : undefined);
      else this.#settle(room);
      room.resumed();
    } catch (error) {
      if (AGAIN_LATER.has(error.code)) this.#later(room, error, () => this.#enter(room));
      else this.#refused(room, error);
    }
  }

  #refused(room, error) {
    room.refuse(error.message);
    for (const entry of room.log.pending()) this.#send(room, entry);
  }

  async #send(room, entry) {
    if (room.state === "refused") room.log.change(entry, { state: "failed", reason: room.reason });
    if (room.state !== "joined" || entry.sending) return; // it is sent when the room is joined
    entry.sending = true;
    try {
      const { ack, env, place } = await this.#connection.request("message", { room: room.name, text: entry.text }, entry.id);
      const changes = { state: "sent", reason: "", trace: entry.trace || parseTraceparent(env.traceparent)?.traceId, place };
      room.log.change(entry, entry.seq === undefined ? { ...changes, seq: ack.seq } : changes);
    } catch (error) {
      if (entry.state === "pending") this.#failed(room, entry, error);
    } finally {
      entry.sending = false;
    }
  }

  #failed(room, entry, error) {
    if (room.state !== "joined") return; // it is sent again when the room is
    const attempts = entry.attempts + 1;
    if (!AGAIN_LATER.has(error.code) || attempts >= MOST_ATTEMPTS) {
      room.log.change(entry, { state: "failed", reason: error.message, attempts });
      return;
    }
    room.log.change(entry, { reason: error.message, attempts });
    setTimeout(() => entry.state === "pending" && this.#send(room, entry), 500 * 2 ** attempts);
  }

  #gap(room, after) {
    this.gaps++;
    this.#emit("gaps");
    room.refill = room.filling;
    if (room.loaded && !room.filling) this.#fillGap(room, after);
  }

  async #fillGap(room, after) {
    try {
      await this.#fill(room, after);
    } catch (error) {
      this.#later(room, error, () => this.#fillGap(room, after));
    }
  }

  // Tries again, unless the connection is lost: with the next one every room is entered anew.
  #later(room, error, again) {
    if (error.code !== "lost") this.#emit("trouble", { text: `${room.name}: ${error.message}` });
    const { connections } = this;
    setTimeout(() => this.rooms.get(room.name) === room && connections === this.connections && again(), LATER);
  }

  #settle(room) {
    this.recovered += room.settle();
    this.#emit("gaps");
  }

  // Asks for all after a number or, without one, for the newest.
  async #fill(room, after) {
    room.filling = true;
    try {
      for (let more = true; more;) {
        const { history } = await this.#connection.request("history", { room: room.name, after });
        const messages = (history?.messages ?? []).map(fromHistory);
        const news = room.fill(messages);
        if (room.loaded) this.#unread(room, news);
        more = messages.length > 0 && (history.more === true || room.refill);
        room.refill = false;
        after = messages.at(-1)?.seq ?? after;
      }
      this.#settle(room);
    } finally {
      room.filling = false;
    }
  }

  #receive(env) {
    const p = env.payload;
    if (env.type === "notification") this.#emit("notification", p);
    if (env.type === "error") this.#emit("trouble", { text: p.reason });
    if (env.type === "going_away") this.#emit("trouble", { text: p.reason });
    const room = this.rooms.get(p?.room);
    if (!room) return;
    switch (env.type) {
      case "message":
        this.#unread(room, room.deliver(fromFrame(env)) ? 1 : 0);
        return;
      case "history": // what was missed
        this.#unread(room, room.fill(p.messages.map(fromHistory)));
        return;
      case "room_users":
        return room.setPeople(p);
      case "joined":
        return room.enters(p.user);
      case "left":
        return room.leaves(p.user);
      case "typing":
        return room.setTyping(p.user, p.typing);
      case "read":
        return room.setRead(p.user, p.seq);
    }
  }

  #unread(room, news) {
    if (news === 0) return;
    room.unread += news;
    this.#emit("unread", { room });
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

// A message comes in two forms, of which rooms know one.
function fromFrame({ payload, seq, messageId, timestamp, traceparent, place }) {
  return { ...payload, seq, id: messageId, at: timestamp, traceparent, place };
}

function fromHistory(m) {
  return { ...m, id: m.messageId, at: m.timestamp };
}
