// How pages of one use begin: who one is, and whether there is a connection.

import { byId } from "/element.js";
import { Tokens } from "/token.js";

// The chat keeps who one is in the tab, see main.js.
const saved = JSON.parse(sessionStorage.getItem("entered") ?? "null");

/** Asks for a name unless that is known, and calls begin(tokens), which returns the connection. */
export function enter(begin) {
  const start = (user) => {
    byId("welcome").hidden = true;
    byId("app").hidden = false;
    const connection = begin(new Tokens(user));
    connection.addEventListener("welcome", ({ detail }) => {
      byId("me").textContent = detail.user;
      byId("node").textContent = detail.node;
    });
    connection.addEventListener("state", ({ detail }) => {
      byId("state").textContent = detail.state;
      byId("state").dataset.state = detail.state;
      byId("why").textContent = detail.cause ?? "";
    });
  };
  byId("name").value = saved?.user ?? `guest-${Math.random().toString(36).slice(2, 6)}`;
  byId("entry").onsubmit = (event) => {
    event.preventDefault();
    const user = byId("name").value.trim();
    sessionStorage.setItem("entered", JSON.stringify({ user, rooms: ["lobby"] }));
    start(user);
  };
  byId("enter").disabled = false;
  if (saved) start(saved.user);
  else byId("name").select();
}
