// Where one writes.

import { byId } from "./element.js";

export class Composer {
  #chat;
  #room = null;
  #text = byId("text");

  constructor(chat) {
    this.#chat = chat;
    byId("say").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#text.value.trim();
      if (!text || !this.#room) return;
      this.#text.value = "";
      chat.say(this.#room, text);
    });
    // Enter sends and Shift+Enter breaks the line. Keyboards on screens tell of the line break alone, not of the key.
    let shift = false;
    this.#text.addEventListener("keydown", (event) => (shift = event.shiftKey));
    this.#text.addEventListener("beforeinput", (event) => {
      if (event.inputType !== "insertLineBreak" || shift) return;
      event.preventDefault();
      byId("say").requestSubmit();
    });
    this.#text.addEventListener("input", () => {
      if (!this.#room) return;
      if (this.#text.value.trim()) chat.startTyping(this.#room);
      else chat.stopTyping(this.#room);
    });
    this.#text.addEventListener("blur", () => this.#room && chat.stopTyping(this.#room));
  }

  /** Changes the room. What was written and not sent stays in its own. */
  show(room) {
    if (this.#room) {
      this.#room.draft = this.#text.value;
      this.#chat.stopTyping(this.#room);
    }
    this.#room = room;
    this.#text.value = room?.draft ?? "";
    this.#text.disabled = byId("send").disabled = !room;
    this.#text.placeholder = room ? `Write to ${room.name}` : "Enter a room first";
  }
}
