// Renews the page's content every few seconds without moving what the reader is
// at: open folds stay open, the focus stays where it is, and nothing changes
// while text is selected or typed, the pointer is down, the tab is hidden, or a
// fold is open in a list that new entries would push away.
"use strict";

import { released } from "./pointer.js";

const seconds = Number(document.body.dataset.refresh);
const lost = document.getElementById("lost");
let last = "";

export async function renew() {
  if (document.hidden || String(getSelection()) || ["INPUT", "SELECT"].includes(document.activeElement.tagName) ||
    document.querySelector("[data-held] details[open]")) return;
  let text;
  try {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout(10000) });
    text = await answer.text();
    lost.hidden = true;
  } catch {
    lost.hidden = false;
    return;
  }
  await released();
  if (text === last) return;
  last = text;
  const next = new DOMParser().parseFromString(text, "text/html");
  document.title = next.title;
  if (!next.body.dataset.refresh) clearInterval(timer); // what was waited for is there
  for (const part of document.querySelectorAll("[data-renew]")) replace(part, next.getElementById(part.id));
}

function replace(old, next) {
  if (!old || !next || old.innerHTML === next.innerHTML) return;
  for (const fold of old.querySelectorAll("details[open][id]")) {
    const same = next.querySelector("#" + CSS.escape(fold.id));
    if (same) same.open = true;
  }
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  old.replaceChildren(...next.childNodes);
  if (focused && focused !== old.id) document.getElementById(focused)?.focus({ preventScroll: true });
}

const timer = setInterval(renew, seconds * 1000);
document.addEventListener("visibilitychange", renew);
