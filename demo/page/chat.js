import { Socket, envelope } from "./socket.js";

const MAX_LINES = 500;

const $ = (id) => document.getElementById(id);
const traceURL = document.body.dataset.traceUrl;

let socket = null;
let name = "";
let room = "";
let reconnects = 0;
let users = [];
let total = 0;
const pending = new Map(); // messageId → line of a message that is not acknowledged yet

// The name and room survive a reload of the tab, and each tab has its own.
$("name").value = sessionStorage.getItem("name") || "guest-" + Math.random().toString(36).slice(2, 6);
$("room").value = new URLSearchParams(location.search).get("room") || sessionStorage.getItem("room") || "lobby";

$("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  const wanted = $("name").value.trim();
  if (!wanted) return;
  const before = room;
  room = $("room").value;
  sessionStorage.setItem("name", wanted);
  sessionStorage.setItem("room", room);
  if (!socket || wanted !== name) {
    name = wanted;
    connect();
  } else if (before !== room) {
    socket.send(envelope("leave", { room: before }));
    join();
  }
  $("text").disabled = $("send").disabled = false;
  $("join").textContent = "Change";
  $("text").focus();
});

$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  const env = envelope("message", { room, text });
  if (!socket.send(env)) {
    notice("not sent: there is no connection");
    return;
  }
  pending.set(env.messageId, line({ own: true, pending: true, from: name, text, at: env.timestamp }));
  $("text").value = "";
});

function connect() {
  socket?.close();
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const mine = new Socket(`${scheme}//${location.host}/ws?name=${encodeURIComponent(name)}`);
  socket = mine;
  const on = (what, handle) => mine.addEventListener(what, (event) => socket === mine && handle(event.detail));
  on("state", showState);
  on("rtt", (ms) => ($("rtt").textContent = ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`));
  on("message", receive);
  on("open", ({ again }) => {
    if (again) $("reconnects").textContent = ++reconnects;
    join();
  });
}

function join() {
  socket.send(envelope("join", { room }));
}

function showState({ state, retry }) {
  $("state").dataset.state = state;
  $("state").textContent = retry === undefined ? state : `${state}, again in ${(retry / 1000).toFixed(1)} s`;
  if (state !== "offline") return;
  $("rtt").textContent = "–";
  for (const item of pending.values()) fail(item, "no acknowledgement");
  pending.clear();
}

function receive(env) {
  const p = env.payload;
  if (env.type === "ack" || env.type === "message") showTrace(env.traceparent);
  switch (env.type) {
    case "message":
      return showMessage(env, p);
    case "ack":
      return showAck(env, p);
    case "room_users":
      if (p.room !== room) return;
      users = p.users;
      total = p.count;
      notice(`you are in ${p.room}`);
      return showUsers();
    case "joined":
      if (p.room !== room) return;
      users.push(p.user);
      total++;
      notice(`${p.user} joined`);
      return showUsers();
    case "left":
      if (p.room !== room) return;
      users = without(users, p.user);
      total--;
      notice(`${p.user} left`);
      return showUsers();
    case "error":
      return notice(`refused: ${p.reason} (${p.code})`);
    case "going_away":
      return notice(p.reason);
  }
}

function showMessage(env, p) {
  const mine = pending.get(env.messageId);
  if (mine) link(mine, env.traceparent);
  else if (p.room === room) {
    const own = document.querySelector(`[data-id="${env.messageId}"]`);
    if (!own) link(line({ from: p.from, text: p.text, at: env.timestamp }), env.traceparent);
  }
}

function showAck(env, p) {
  const item = pending.get(env.messageId);
  pending.delete(env.messageId);
  if (p.success) {
    if (!item) return;
    item.classList.remove("pending");
    item.dataset.id = env.messageId;
    link(item, env.traceparent);
  } else if (item) fail(item, p.reason);
  else notice(`refused: ${p.reason} (${p.error})`);
}

function fail(item, reason) {
  item.classList.remove("pending");
  item.classList.add("failed");
  item.querySelector(".meta").append(reason);
}

// A traceparent is version-trace-parent-flags.
function traceOf(traceparent) {
  return /^00-[0-9a-f]{32}-/.test(traceparent ?? "") ? traceparent.slice(3, 35) : "";
}

function traceLink(trace, text) {
  if (!traceURL) return text;
  const a = document.createElement("a");
  a.href = traceURL + trace;
  a.target = "_blank";
  a.rel = "noopener";
  a.title = `trace ${trace}`;
  a.textContent = text;
  return a;
}

function showTrace(traceparent) {
  const trace = traceOf(traceparent);
  if (trace) $("trace").replaceChildren(traceLink(trace, trace));
}

function link(item, traceparent) {
  const trace = traceOf(traceparent);
  if (!trace || item.dataset.trace) return;
  item.dataset.trace = trace;
  if (traceURL) item.querySelector(".meta").append(traceLink(trace, "trace"));
}

function line({ own, pending, from, text, at }) {
  const item = document.createElement("li");
  item.classList.toggle("own", !!own);
  item.classList.toggle("pending", !!pending);
  const meta = document.createElement("div");
  meta.className = "meta";
  const who = document.createElement("span");
  who.textContent = from;
  const when = document.createElement("time");
  when.dateTime = at;
  when.textContent = new Date(at).toLocaleTimeString();
  meta.append(who, when);
  const body = document.createElement("div");
  body.className = "text";
  body.textContent = text;
  item.append(meta, body);
  return append(item);
}

function notice(text) {
  const item = document.createElement("li");
  item.className = "notice";
  item.textContent = text;
  append(item);
}

function append(item) {
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(item);
  while (log.childElementCount > MAX_LINES) log.firstElementChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
  return item;
}

// Of a large room not everybody is listed.
function without(list, user) {
  const at = list.indexOf(user);
  return at < 0 ? list : list.toSpliced(at, 1);
}

function showUsers() {
  $("count").textContent = total;
  $("users").replaceChildren(
    ...users.map((user) => {
      const item = document.createElement("li");
      item.textContent = user;
      return item;
    }),
  );
}
