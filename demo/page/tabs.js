// The list of rooms, with what is unread in each.

import { byId, element } from "./element.js";

export class Tabs {
  #list = byId("rooms");
  #chat;
  #choose;
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

  #render() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const focused = document.activeElement?.dataset.focus;
    const rooms = [...this.#chat.rooms.values()];
    this.#list.replaceChildren(...rooms.map((room) => this.#tab(room)));
    if (focused) this.#list.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
    const unread = rooms.reduce((sum, room) => sum + room.unread, 0);
    document.title = (unread > 0 ? `(${unread}) ` : "") + "Sockscope demo";
  }

  #tab(room) {
    const open = element(
      "button",
      { type: "button", className: "tab", dataset: { focus: `open ${room.name}` }, onclick: () => this.choose(room) },
      element("span", { className: "name" }, room.name),
    );
    if (room === this.active) open.setAttribute("aria-current", "true");
    if (room.unread > 0) {
      open.append(
        element(
          "span",
          { className: "unread" },
          String(room.unread),
          element("span", { className: "unseen" }, " unread"),
        ),
      );
    }
    const leave = element(
      "button",
      {
        type: "button",
        className: "leave",
        title: "Leave",
        "aria-label": `Leave ${room.name}`,
        dataset: { focus: `leave ${room.name}` },
        onclick: () => this.#leave(room),
      },
      "×",
    );
    return element("li", {}, open, leave);
  }
}
