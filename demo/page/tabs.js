// The list of rooms, with what is unread in each.

import { byId, element } from "./element.js";

export class Tabs {
  #list = byId("rooms");
  #chat;
  #choose;
  #tabs = new Map(); // room → its item, the button that opens it, and what tells how much is unread
  #timer = 0;

  /** Shows the rooms of a chat and calls choose(room) when one is chosen, with null when there is none. */
  constructor(chat, choose) {
    this.#chat = chat;
    this.#choose = choose;
    this.active = null;
    chat.addEventListener("rooms", () => this.#render());
    chat.addEventListener("unread", () => this.#renderSoon());
    byId("open").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = byId("room").value.trim();
      if (!name) return;
      byId("room").value = "";
      this.choose(chat.join(name));
    });
  }

  choose(room) {
    this.active = room;
    this.#choose(room);
    this.#render();
  }

  #leave(room) {
    this.#chat.leave(room.name);
    if (room === this.active) this.choose(this.#chat.rooms.values().next().value ?? null);
    (this.#list.querySelector("[aria-current]") ?? byId("room")).focus();
  }

  // Once for all that comes meanwhile.
  #renderSoon() {
    this.#timer ||= setTimeout(() => this.#render(), 100);
  }

  // What is there stays there: a button that is replaced while it is pressed is never clicked.
  #render() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const rooms = [...this.#chat.rooms.values()];
    for (const [room, tab] of this.#tabs) {
      if (rooms.includes(room)) continue;
      tab.item.remove();
      this.#tabs.delete(room);
    }
    for (const room of rooms) {
      if (!this.#tabs.has(room)) this.#tabs.set(room, this.#tab(room));
      const { open, unread } = this.#tabs.get(room);
      if (room === this.active) open.setAttribute("aria-current", "true");
      else open.removeAttribute("aria-current");
      if (room.unread > 0) {
        unread.firstChild.data = String(room.unread);
        if (!unread.isConnected) open.append(unread);
      } else unread.remove();
    }
    const unread = rooms.reduce((sum, room) => sum + room.unread, 0);
    document.title = (unread > 0 ? `(${unread}) ` : "") + "Sockscope demo";
  }

  #tab(room) {
    const open = element(
      "button",
      { type: "button", className: "tab", onclick: () => this.choose(room) },
      element("span", { className: "name" }, room.name),
    );
    const unread = element("span", { className: "unread" }, "0", element("span", { className: "unseen" }, " unread"));
    const leave = element(
      "button",
      {
        type: "button",
        className: "leave",
        title: "Leave",
        "aria-label": `Leave ${room.name}`,
        onclick: () => this.#leave(room),
      },
      "×",
    );
    const item = element("li", {}, open, leave);
    this.#list.append(item);
    return { item, open, unread };
  }
}
