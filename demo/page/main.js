// The page: who one is, and what is connected with what.

import { Chat } from "./chat.js";
import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { Dashboard } from "./dashboard.js";
import { byId } from "./element.js";
import { Faults } from "./faults.js";
import { Tracer } from "./instrument/index.js";
import { Messages } from "./messages.js";
import { People } from "./people.js";
import { Status } from "./status.js";
import { Tabs } from "./tabs.js";
import { Ticker } from "./ticker.js";
import { toast } from "./toasts.js";
import { Tokens } from "./token.js";

// Who one is and where survives a reload, and each tab of the browser has its own.
const saved = JSON.parse(sessionStorage.getItem("entered") ?? "null");
const firstRoom = new URLSearchParams(location.search).get("room") || "lobby";

function enter(user, token, rooms) {
  byId("welcome").hidden = true;
  byId("app").hidden = false;
  byId("connection").hidden = false;
  const { traceUrl, spansUrl } = document.body.dataset;
  const tracer = new Tracer({ service: "sockscope-page", endpoint: spansUrl, sampleRatio: 1 });
  const connection = new Connection(new Tokens(user, token), { tracer, market: new Ticker() });
  const chat = new Chat(connection);
  const messages = new Messages(byId("log"), chat, traceUrl);
  const people = new People(chat, toast);
  const composer = new Composer(chat);
  new Status(connection, chat);
  new Dashboard(connection);
  new Faults();

  const tabs = new Tabs(chat, (room) => {
    messages.show(room);
    people.show(room);
    composer.show(room);
    showRoom(room);
  });
  chat.addEventListener("state", ({ detail }) => detail.room === tabs.active && showRoom(detail.room));
  chat.addEventListener("notification", ({ detail }) => toast(`From ${detail.from}`, detail.text));
  connection.addEventListener("welcome", ({ detail }) => (byId("me").textContent = detail.user));
  connection.addEventListener("state", ({ detail }) => detail.state === "stopped" && refused(detail.cause));
  // A pasted token is not kept: whoever gets at the tab's storage would have it.
  const save = () =>
    !token && sessionStorage.setItem("entered", JSON.stringify({ user, rooms: [...chat.rooms.keys()] }));
  chat.addEventListener("rooms", save);
  for (const name of rooms) chat.join(name);
  tabs.choose(chat.rooms.get(rooms[0]) ?? null);
  byId("text").focus();
}

function showRoom(room) {
  byId("room-name").textContent = room ? room.name : "No room";
  byId("room-state").textContent =
    !room || room.state === "joined" ? "" : room.state === "refused" ? room.reason : "joining…";
}

// There is no way on but from the beginning.
function refused(cause) {
  sessionStorage.removeItem("entered");
  byId("app").hidden = true;
  byId("welcome").hidden = false;
  byId("refusal").textContent = cause;
  byId("enter").textContent = "Begin again";
  byId("entry").onsubmit = (event) => {
    event.preventDefault();
    location.reload();
  };
  byId("enter").focus();
}

byId("name").value = saved?.user ?? `guest-${Math.random().toString(36).slice(2, 6)}`;
byId("entry").onsubmit = (event) => {
  event.preventDefault();
  enter(byId("name").value.trim(), byId("token").value.trim(), [firstRoom]);
};
// Not before: without this program the browser would send the form, with what is in it, as an address.
byId("enter").disabled = false;
if (saved) enter(saved.user, "", saved.rooms);
else byId("name").select();
