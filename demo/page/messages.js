// Shows what is said in a room.

import { avatar, count, element } from "./element.js";

const NEAR_END = 60; // pixels

export class Messages {
  #list;
  #traceURL;
  #chat;
  #room = null;
  #lines = new Map(); // entry → line
  #forget = new AbortController();
  #following = true; // the end is in view, and stays there
  #frame = 0; // that will show the end

  constructor(list, chat, traceURL) {
    this.#list = list;
    this.#chat = chat;
    this.#traceURL = traceURL;
    list.addEventListener("scroll", () => {
      this.#following = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_END;
      this.#look();
    });
    new ResizeObserver(() => this.#follow()).observe(list);
    document.addEventListener("visibilitychange", () => this.#look());
    window.addEventListener("focus", () => this.#look());
  }

  /** Shows a room in place of the one before, null for none. */
  show(room) {
    this.#forget.abort();
    this.#forget = new AbortController();
    this.#lines.clear();
    this.#room = room;
    this.#list.setAttribute("aria-busy", "true"); // so that what was said before is not read out
    this.#list.replaceChildren();
    if (!room) return;
    for (const entry of room.log.entries) this.#list.append(this.#line(entry));
    const { signal } = this.#forget;
    room.log.addEventListener("insert", ({ detail }) => this.#insert(detail), { signal });
    room.log.addEventListener("update", ({ detail }) => this.#update(detail.entry), { signal });
    room.log.addEventListener("remove", ({ detail }) => this.#remove(detail.entry), { signal });
    room.addEventListener("reads", () => this.#markReads(), { signal });
    room.addEventListener("state", () => room.loaded && this.#list.removeAttribute("aria-busy"), { signal });
    this.#following = true;
    this.#follow();
    setTimeout(() => this.#list.removeAttribute("aria-busy"), 500);
  }

  // Whoever reads further up is not pulled away from there.
  #insert({ entry, before }) {
    this.#list.insertBefore(this.#lines.get(entry) ?? this.#line(entry), this.#lines.get(before) ?? null);
    this.#following ||= entry.state === "pending";
    this.#follow();
  }

  #update(entry) {
    const before = this.#lines.get(entry);
    if (before) before.replaceWith(this.#line(entry));
    this.#follow();
  }

  #remove(entry) {
    this.#lines.get(entry)?.remove();
    this.#lines.delete(entry);
  }

  // Once for all that comes before the next frame.
  #follow() {
    if (!this.#following || this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#list.scrollTop = this.#list.scrollHeight;
      this.#look();
    });
  }

  // What is in view has been read.
  #look() {
    if (this.#room && document.visibilityState === "visible" && this.#following) this.#chat.read(this.#room);
  }

  #line(entry) {
    const line =
      entry.kind === "message" ? this.#message(entry) : element("div", { className: entry.kind }, noteOf(entry));
    if (entry.kind === "gap") line.classList.add(entry.state);
    this.#lines.set(entry, line);
    return line;
  }

  #message(entry) {
    const own = entry.from === this.#chat.me;
    const line = element("div", { className: `message ${entry.state}${own ? " own" : ""}`, dataset: { id: entry.id } });
    if (!own) line.append(avatar(entry.from));
    const at = new Date(entry.at);
    const meta = element(
      "div",
      { className: "meta" },
      element("span", { className: "from" }, entry.from),
      element(
        "time",
        { dateTime: at.toISOString(), title: at.toLocaleString() },
        at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" }),
      ),
    );
    if (entry.trace) meta.append(this.#trace(entry));
    line.append(
      element(
        "div",
        { className: "bubble" },
        meta,
        element("div", { className: "text" }, entry.text),
        ...(own ? [this.#fate(entry)] : []),
      ),
    );
    return line;
  }

  #trace({ trace: id, place }) {
    const text = id.slice(0, 8);
    const title = place
      ? `trace ${id}; ${place.direction} message ${place.number} of connection ${place.connection}`
      : `trace ${id}`;
    if (!this.#traceURL) return element("span", { className: "trace", title }, text);
    return element(
      "a",
      {
        className: "trace",
        href: this.#traceURL + id,
        target: "_blank",
        rel: "noopener",
        title,
        "aria-label": `trace ${text}`,
      },
      text,
    );
  }

  // What has become of a message of one's own.
  #fate(entry) {
    const fate = element("div", { className: "fate" });
    if (entry.state === "pending") {
      fate.append(entry.reason ? `sending again: ${entry.reason}` : "sending…");
    } else if (entry.state === "failed") {
      fate.append(
        `not sent: ${entry.reason} `,
        element(
          "button",
          {
            type: "button",
            className: "link",
            onclick: () => this.#chat.again(this.#room, entry),
          },
          "Try again",
        ),
      );
    } else {
      const readers = this.#room.readers(entry.seq);
      fate.append(readers.length === 0 ? "✓ sent" : `✓✓ seen by ${named(readers)}`);
      fate.classList.toggle("seen", readers.length > 0);
    }
    return fate;
  }

  #markReads() {
    for (const [entry, line] of this.#lines) {
      if (entry.state === "sent" && entry.from === this.#chat.me)
        line.querySelector(".fate").replaceWith(this.#fate(entry));
    }
    this.#follow();
  }
}

function noteOf(entry) {
  switch (entry.kind) {
    case "gap":
      return entry.state === "asking"
        ? `${count(entry.missing, "message")} missing, asking for them…`
        : `${count(entry.missing, "message")} missing: the server does not have them`;
    case "away":
      return `${count(entry.count, "message")} while you were away`;
    default:
      return entry.text;
  }
}

function named(users) {
  return users.length > 3 ? `${users.slice(0, 2).join(", ")} and ${users.length - 2} more` : users.join(", ");
}
