// Editors of the page for a Go test, which says line by line what they do, and is answered what came of it.
import { createInterface } from "node:readline";
import { Editor } from "./editor.js";

const editors = new Map();
let ids = 0;

for await (const line of createInterface({ input: process.stdin })) {
  const { editor: name, act, id, payload } = JSON.parse(line);
  if (!editors.has(name)) {
    const sends = [];
    const send = (id, version, operations) => sends.push({ id, version, operations });
    const newId = () => `00000000-0000-4000-8000-${String(++ids).padStart(12, "0")}`;
    editors.set(name, { editor: new Editor({ send, changed() {}, newId }), sends });
  }
  const { editor, sends } = editors.get(name);
  let ok = true;
  if (act === "edit") editor.edit(payload);
  if (act === "undo") editor.undo();
  if (act === "redo") editor.redo();
  if (act === "open") editor.open(payload);
  if (act === "receive") ok = editor.receive(id, payload);
  if (act === "resume") editor.resume();
  const { text, has, settled } = editor;
  console.log(JSON.stringify({ ok, text, has, settled, sends: sends.splice(0) }));
}
