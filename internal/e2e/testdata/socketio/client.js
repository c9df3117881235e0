// What the original client of Socket.IO sees of the demo: node client.js URL TOKEN. Every line on stdout is one thing
// that it has seen. A line that begins with "do" asks the test to do something.
"use strict";

const { randomUUID } = require("node:crypto");
const { decode, encode } = require("@msgpack/msgpack");
const { io } = require("socket.io-client");

const [url, token] = process.argv.slice(2);
const say = (...words) => console.log(words.join(" "));
const once = (emitter, name) => new Promise((resolve) => emitter.once(name, (...args) => resolve(args)));
const open = (path, auth, options) => io(url + path, { auth, forceNew: true, reconnectionDelay: 50, ...options });
const connected = async (socket) => {
  await once(socket, "connect");
  return socket;
};
// seqs resolves with the sequence numbers of the next messages.
const seqs = (socket, n) => new Promise((resolve) => {
  const got = [];
  const on = (m) => {
    got.push(m.seq);
    if (got.length === n) {
      socket.off("message", on);
      resolve(got);
    }
  };
  socket.on("message", on);
});
const isRun = (got, first) => got.every((seq, i) => seq === first + i);

async function refusals() {
  const bad = open("/", { token: "made up" });
  const [refused] = await once(bad, "connect_error");
  say("refused", refused.data.code);
  bad.close();
  const none = open("/secret", { token });
  say("no namespace:", (await once(none, "connect_error"))[0].message);
  none.close();
}

async function transports() {
  for (const list of [["polling"], ["websocket"], ["polling", "websocket"]]) {
    const socket = open("/", { token }, { transports: list });
    const upgraded = list.length > 1 && once(socket.io, "open").then(() => once(socket.io.engine, "upgrade"));
    await connected(socket);
    if (upgraded) await upgraded;
    const { payload } = await socket.timeout(5000).emitWithAck("join", { payload: { room: "lobby" } });
    say(list.join(" then "), "joins", payload.success, "over", socket.io.engine.transport.name);
    socket.close();
  }
}

async function binary() {
  const socket = await connected(open("/", { token, encoding: "msgpack" }, { transports: ["polling"] }));
  const pack = (type, payload) => encode({ type, payload, timestamp: new Date().toISOString(), messageId: randomUUID() });
  const join = decode(await socket.timeout(5000).emitWithAck("join", pack("join", { room: "binary" })));
  const heard = once(socket, "message");
  const ack = decode(await socket.timeout(5000).emitWithAck("message", pack("message", { room: "binary", text: "päckchen" })));
  say("binary", join.payload.success, ack.payload.seq, decode((await heard)[0]).payload.text);
  socket.close();
}

async function namespaces() {
  const chat = await connected(open("/", { token }));
  const feed = await connected(chat.io.socket("/feed", { auth: { token } }));
  feed.emit("subscribe", { payload: { stream: "market" } });
  const [ticks] = await once(feed, "ticks");
  say("feed", ticks.type, "on the same connection:", feed.io.engine === chat.io.engine);
  feed.disconnect();
  const { type } = await chat.timeout(5000).emitWithAck("ping");
  say("chat stays", type);
  chat.disconnect();
}

// upgrade has others talk while it goes over from polling.
async function upgrade() {
  const socket = open("/", { token });
  await once(socket.io, "open");
  const first = socket.io.engine.transport.name;
  await connected(socket);
  await socket.emitWithAck("join", { payload: { room: "lobby" } });
  const heard = seqs(socket, 200);
  say("do say 200");
  const got = await heard;
  say("upgrade", first, "to", socket.io.engine.transport.name, got.length, "in order:", isRun(got, 1));
  socket.close();
}

// recovery loses the network while others talk.
async function recovery(list) {
  const socket = await connected(open("/", { token }, { transports: list }));
  await socket.emitWithAck("join", { payload: { room: "lobby" } });
  const id = socket.id;
  const before = seqs(socket, 3);
  say("do say 3");
  const last = (await before).at(-1);
  const after = seqs(socket, 233);
  const back = once(socket, "connect");
  const lost = once(socket, "disconnect");
  say("do cut");
  const [reason] = await lost;
  say("do mend");
  await back;
  say("recovery over", list.join(), reason, "recovered", socket.recovered, "same id", socket.id === id);
  say("do say 3");
  const got = await after;
  say("missed", got.length, "in order:", isRun(got, last + 1));
  socket.close();
}

async function drain() {
  const socket = await connected(open("/", { token }, { reconnection: false }));
  const goes = once(socket, "going_away");
  const ends = once(socket, "disconnect");
  say("do drain");
  const told = await Promise.race([goes.then(() => "told"), ends.then(() => "not told")]);
  say("drained:", told, (await ends)[0]);
}

(async () => {
  await refusals();
  await transports();
  await binary();
  await namespaces();
  await upgrade();
  await recovery(["polling"]);
  await recovery(["websocket"]);
  await recovery(["polling", "websocket"]);
  await drain();
  process.exit(0);
})().catch((err) => {
  console.error(err);
  process.exit(1);
});
