// Pages that renew themselves leave everything in place while the pointer is down: where a link is replaced between the
// press and the release, the browser sees no click.
"use strict";

let down = false;
const waiting = [];

// released waits until the pointer is up.
export function released() {
  return down ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve();
}

function up() {
  down = false;
  for (const resolve of waiting.splice(0)) resolve();
}

addEventListener("pointerdown", () => { down = true; }, true);
// The click comes right after its pointerup.
for (const end of ["pointerup", "pointercancel", "blur"]) addEventListener(end, () => setTimeout(up), true);
