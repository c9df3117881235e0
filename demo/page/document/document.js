// A document that several people edit at the same time.

import { Connection } from "/connection.js";
import { avatar, byId, element } from "/element.js";
import { uuid } from "/envelope.js";
import { enter } from "/use/enter.js";
import { difference, moved } from "/document/edit.js";
import { Editor } from "/document/editor.js";

const NAME = new URLSearchParams(location.search).get("name") || "notes";
const AGAIN_LATER = new Set(["unavailable", "rate_limited"]);
const LATER = 1_000;
const CURSOR_EVERY = 100;
const CURSOR_AGAIN = 10_000; // so that others know that it is still there
const CURSOR_GONE = 30_000;

class Page {
  #connection;
  #area = byId("text");
  #me = ""; // the connection
  #editor = new Editor({
    send: (id, version, operations) => this.#send(id, version, operations),
    changed: (edit) => this.#changed(edit),
    newId: uuid,
  });
  #cursors = new Map(); // connection → {user, start, end, version, at}
  #told = { text: "", at: 0 };
  #timer = 0;

  constructor(connection) {
    this.#connection = connection;
    connection.addEventListener("welcome", ({ detail }) => {
      this.#me = detail.session;
      this.#cursors.clear();
      this.#open();
    });
    connection.addEventListener("frame", ({ detail }) => this.#receive(detail));
    connection.addEventListener("state", () => this.#show());
    this.#area.addEventListener("input", () => this.#typed());
    this.#area.addEventListener("keydown", (event) => this.#key(event));
    this.#area.addEventListener("beforeinput", (event) => this.#browserUndo(event));
    document.addEventListener("selectionchange", () => this.#tellSoon());
    byId("undo").addEventListener("click", () => this.#back("undo"));
    byId("redo").addEventListener("click", () => this.#back("redo"));
    byId("document-name").textContent = NAME;
    setInterval(() => this.#tell(), CURSOR_AGAIN / 2);
  }

  async #open() {
    try {
      await this.#connection.request("document_open", { document: NAME, ...this.#editor.has });
      this.#area.disabled = false;
      this.#trouble("");
      this.#editor.resume();
    } catch (error) {
      this.#trouble(error.message);
      if (AGAIN_LATER.has(error.code)) this.#later(() => this.#open());
    }
    this.#show();
  }

  async #send(id, version, operations) {
    if (!this.#me) return;
    try {
      await this.#connection.request("document_edit", { document: NAME, version, operations }, id);
      this.#trouble("");
    } catch (error) {
      if (error.code === "lost" || error.code === "not_in_room") return; // it is sent again when the document is open
      this.#trouble(error.message);
      if (AGAIN_LATER.has(error.code)) this.#later(() => this.#editor.resume());
      else if (error.code !== "outdated") this.#begin(error.message); // else the text comes anyway
    }
  }

  // The server does not take what is here: what it has counts.
  async #begin(reason) {
    this.#editor.opened = false;
    await this.#open();
    this.#trouble(`Your last change was not kept: ${reason}`);
  }

  #later(again) {
    const connection = this.#me;
    setTimeout(() => connection === this.#me && again(), LATER);
  }

  #receive({ type, messageId, payload }) {
    if (payload?.document !== NAME) return;
    switch (type) {
      case "document":
        if (this.#editor.open(payload)) this.#trouble("Your last change was not kept: too much has changed meanwhile");
        break;
      case "document_edit":
        if (!this.#editor.receive(messageId, payload)) this.#open();
        this.#tellSoon();
        break;
      case "document_cursor":
        this.#cursor(payload);
        break;
      case "document_close":
        this.#area.disabled = true;
        this.#trouble("your token does not open this document any more");
    }
    this.#show();
  }

  // What the browser has done to the text, as an edit.
  #typed() {
    this.#editor.edit(difference(this.#editor.text, this.#area.value));
    this.#show();
  }

  #key(event) {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    const key = event.key.toLowerCase();
    const back = key === "z" ? (event.shiftKey ? "redo" : "undo") : key === "y" ? "redo" : "";
    if (!back) return;
    event.preventDefault(); // the browser would undo what others have done
    this.#back(back);
  }

  #browserUndo(event) {
    if (event.inputType !== "historyUndo" && event.inputType !== "historyRedo") return;
    event.preventDefault();
    this.#back(event.inputType === "historyUndo" ? "undo" : "redo");
  }

  #back(way) {
    const edit = this.#editor[way]();
    if (edit) this.#changed(edit);
    this.#area.focus();
    this.#show();
  }

  // Puts the text where it is shown. The cursor stays at what it was at.
  #changed(edit) {
    const { selectionStart: start, selectionEnd: end } = this.#area;
    this.#area.value = this.#editor.text;
    if (edit) this.#area.setSelectionRange(moved(start, edit, true), moved(end, edit, true));
  }

  #cursor({ session, user, start, end, version, gone }) {
    if (session === this.#me) return;
    if (gone) this.#cursors.delete(session);
    else this.#cursors.set(session, { user, start, end, version, at: Date.now() });
  }

  #tellSoon() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.#tell();
    }, CURSOR_EVERY);
  }

  // Tells the others where the cursor is, in a text that they know.
  #tell() {
    this.#show();
    if (!this.#editor.opened || !this.#editor.settled) return;
    const { version } = this.#editor;
    const { selectionStart: start, selectionEnd: end } = this.#area;
    const text = `${start} ${end} ${version}`;
    if (text === this.#told.text && Date.now() - this.#told.at < CURSOR_AGAIN / 2) return;
    const sent = this.#connection.send("document_cursor", { document: NAME, version, start, end });
    if (sent) this.#told = { text, at: Date.now() };
  }

  #show() {
    const { settled, opened, undoable, redoable, version } = this.#editor;
    byId("saved").textContent = !opened ? "opening…" : settled ? "all changes are saved" : "saving…";
    byId("version").textContent = version;
    byId("undo").disabled = !undoable;
    byId("redo").disabled = !redoable;
    for (const [session, { at }] of this.#cursors) if (Date.now() - at > CURSOR_GONE) this.#cursors.delete(session);
    this.#mirror();
    byId("others").replaceChildren(
      ...[...this.#cursors.values()].map(({ user }) => element("li", { className: "person" }, avatar(user), user)),
    );
  }

  // A copy of the text below the area, which has the cursors of others where they are.
  #mirror() {
    const { text } = this.#editor;
    const places = [...this.#cursors.values()]
      .map(({ user, start, end, version }) => ({
        user,
        start: this.#editor.place(start, version),
        end: this.#editor.place(end, version),
      }))
      .sort((a, b) => a.end - b.end);
    const parts = [];
    let at = 0;
    for (const { user, start, end } of places) {
      parts.push(text.slice(at, end));
      const hue = avatar(user).className.split(" ").at(-1);
      const title = start === end ? user : `${user} has selected ${end - start}`;
      parts.push(element("span", { className: `cursor ${hue}`, title, dataset: { user, at: end } }));
      at = end;
    }
    // The line after the last one would have no height.
    byId("mirror").replaceChildren(...parts, `${text.slice(at)}\n`);
  }

  #trouble(text) {
    byId("trouble").textContent = text;
  }
}

enter((tokens) => {
  const connection = new Connection(tokens);
  new Page(connection);
  byId("text").focus();
  return connection;
});
