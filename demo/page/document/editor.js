// An editor of a document: what the server has, what is on its way there, and what is still to be sent.

import { apply, changes, compose, invert, moved, transform } from "./edit.js";

const MOST_UNDONE = 200;
const MOST_MISSED = 100;

/**
 * Editor keeps a text the same as those of all other editors. One edit is on its way at a time; those that are made
 * meanwhile are joined to one that waits. It knows neither the page nor the connection:
 *   send(id, version, operations)  sends an edit; it is sent again under the same id after a break
 *   changed(edit)                  tells that somebody else's edit was applied, null if it is another text
 */
export class Editor {
  text = "";
  version = 0; // what the server has, without the two edits below
  savedId = ""; // of that version
  opened = false;
  #send;
  #changed;
  #newId;
  #sent = null; // {id, edit}: on its way
  #waiting = null; // an edit
  #undo = []; // edits that undo one's own
  #redo = [];
  #recent = []; // {version, edit}: what others' cursors are moved by

  constructor({ send, changed, newId }) {
    this.#send = send;
    this.#changed = changed;
    this.#newId = newId;
  }

  /** Whether all is with the server. */
  get settled() {
    return this.#sent === null;
  }

  /** What to say when opening the document: nothing the first time. */
  get has() {
    return this.opened ? { after: this.version, ...(this.savedId && { savedId: this.savedId }) } : {};
  }

  get undoable() {
    return this.#undo.length > 0;
  }

  get redoable() {
    return this.#redo.length > 0;
  }

  /** Applies an edit of one's own. */
  edit(edit) {
    if (!changes(edit)) return;
    this.#remember(this.#undo, invert(this.text, edit));
    this.#redo = [];
    this.#apply(edit);
  }

  /** Undoes the last edit of one's own that is not undone, and returns what that does to the text. */
  undo() {
    return this.#back(this.#undo, this.#redo);
  }

  redo() {
    return this.#back(this.#redo, this.#undo);
  }

  /**
   * Takes the document as the server sends it. Returns whether an edit of one's own was lost. Without a text the edits
   * follow that are missing here: some may have come meanwhile.
   */
  open({ version, savedId = "", text }) {
    if (text === undefined) return false;
    const lost = this.#sent !== null || this.#waiting !== null;
    this.text = text;
    this.version = version;
    this.savedId = savedId;
    this.opened = true;
    this.#sent = this.#waiting = null;
    this.#undo = [];
    this.#redo = [];
    this.#recent = [];
    this.#changed(null);
    return lost;
  }

  /** Takes an edit that the server has given its place. Returns false if one before it is missing. */
  receive(id, { base, version, savedId, operations }) {
    if (version <= this.version) return true;
    if ((base ?? 0) > this.version) return false;
    this.version = version;
    this.savedId = savedId;
    if (id === this.#sent?.id) this.#acknowledged();
    else this.#foreign(operations);
    return true;
  }

  /** Sends what was on its way when the connection broke once more. */
  resume() {
    // One that others have made needless comes to nothing, whether it was saved or not.
    while (this.#sent && !changes(this.#sent.edit)) this.#next();
    if (this.#sent) this.#send(this.#sent.id, this.version, this.#sent.edit);
  }

  /** Returns where somebody else's place in the text of a version is now. */
  place(at, version) {
    let now = at;
    for (const past of this.#recent) if (past.version > version) now = moved(now, past.edit);
    for (const own of [this.#sent?.edit, this.#waiting]) if (own) now = moved(now, own);
    return Math.min(Math.max(0, now), this.text.length);
  }

  #acknowledged() {
    this.#recall(this.#sent.edit);
    this.#next();
    this.resume();
  }

  #next() {
    this.#sent = this.#waiting && { id: this.#newId(), edit: this.#waiting };
    this.#waiting = null;
  }

  #foreign(operations) {
    this.#recall(operations);
    let edit = operations;
    if (this.#sent) [edit, this.#sent.edit] = transform(edit, this.#sent.edit);
    if (this.#waiting) [edit, this.#waiting] = transform(edit, this.#waiting);
    this.text = apply(this.text, edit);
    this.#undo = rebased(this.#undo, edit);
    this.#redo = rebased(this.#redo, edit);
    this.#changed(edit);
  }

  #apply(edit) {
    this.text = apply(this.text, edit);
    this.#waiting = this.#waiting ? compose(this.#waiting, edit) : edit;
    if (this.#sent) return;
    this.#next();
    this.resume();
  }

  #back(from, to) {
    const edit = from.pop();
    if (!edit) return null;
    this.#remember(to, invert(this.text, edit));
    if (changes(edit)) this.#apply(edit);
    return edit;
  }

  #remember(stack, edit) {
    stack.push(edit);
    if (stack.length > MOST_UNDONE) stack.shift();
  }

  #recall(edit) {
    this.#recent.push({ version: this.version, edit });
    if (this.#recent.length > MOST_MISSED) this.#recent.shift();
  }
}

// Returns edits that follow each other from the last to the first as they are after another edit.
function rebased(stack, edit) {
  const now = [];
  let other = edit;
  for (const own of stack.toReversed()) {
    let after;
    [other, after] = transform(other, own);
    now.unshift(after);
  }
  return now;
}
