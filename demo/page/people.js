// Who is in the room, who is writing, and a word to one of them.

import { avatar, byId, element } from "./element.js";

export class People {
  #chat;
  #room = null;
  #forget = new AbortController();

  constructor(chat, tell) {
    this.#chat = chat;
    byId("notify").addEventListener("submit", async (event) => {
      event.preventDefault();
      const user = byId("notify-user").value.trim();
      try {
        await chat.notify(user, byId("notify-text").value.trim());
        byId("notify-text").value = "";
        tell(`${user} was notified`, "wherever they are connected");
      } catch (error) {
        tell("not notified", error.message);
      }
    });
  }

  show(room) {
    this.#forget.abort();
    this.#forget = new AbortController();
    this.#room = room;
    const { signal } = this.#forget;
    room?.addEventListener("people", () => this.#render(), { signal });
    room?.addEventListener("typing", () => this.#renderTyping(), { signal });
    this.#render();
    this.#renderTyping();
  }

  #render() {
    const users = [...(this.#room?.users ?? [])].sort((a, b) => a.localeCompare(b));
    const total = this.#room?.count ?? 0;
    byId("count").textContent = total;
    byId("users").replaceChildren(
      ...users.map((user) =>
        element(
          "li",
          {},
          element(
            "button",
            {
              type: "button",
              className: "person",
              title: `Notify ${user}`,
              onclick: () => this.#address(user),
            },
            avatar(user),
            element("span", {}, user),
            ...(user === this.#chat.me ? [element("small", {}, "you")] : []),
          ),
        ),
      ),
    );
    if (total > users.length && users.length > 0)
      byId("users").append(element("li", { className: "quiet" }, `and ${total - users.length} more`));
  }

  #renderTyping() {
    const users = [...(this.#room?.typing.keys() ?? [])];
    byId("typing").textContent =
      users.length === 0
        ? ""
        : users.length > 2
          ? "several people are typing…"
          : `${users.join(" and ")} ${users.length === 1 ? "is" : "are"} typing…`;
  }

  #address(user) {
    byId("notify").parentElement.open = true;
    byId("notify-user").value = user;
    byId("notify-text").focus();
  }
}
