import assert from "node:assert/strict";
import { test } from "node:test";

import { Client, Permanent } from "../index.js";
import { events, metric, ofClient, run, SERVER, socket, text, until } from "./harness.js";

test("receives, measures and closes", async (t) => {
  const ping = () => (client.send(JSON.stringify({ pong: 7 })), 7);
  const decode = ({ data }) => {
    const message = JSON.parse(data);
    if (message.pong) client.ponged(message.pong);
    return message.pong ? [] : [message];
  };
  const feed = { streams: [{ name: "book" }], decode };
  const { client, handled, changes } = run(t, socket([text({ stream: "book", first: 1, time: Date.now() - 50 }), text({ stream: "?" })]), feed, {
    heartbeat: { ping, interval: 5 },
  });
  await until(() => handled.length === 2 && metric(client, "websocket_client_ping_rtt_seconds_count") >= 2);
  assert.equal(client.state, "live");
  assert.equal(client.streamState("book"), "live");
  assert.equal(client.lastNumber("book"), 1);
  assert.equal(handled[0].messageNumber, 1);
  assert.equal(metric(client, "websocket_client_connected", { client: "test" }), 1);
  assert.equal(metric(client, "websocket_client_connect_attempts_total", { result: "connected" }), 1);
  assert.ok(metric(client, "websocket_client_event_lag_seconds_sum", { stream: "book" }) >= 0.05);
  client.close();
  assert.deepEqual(ofClient(changes), ["connecting", "live", "closed"]);
  assert.equal(metric(client, "websocket_client_connected"), 0);
  assert.equal(metric(client, "websocket_client_disconnections_total", { initiator: "local", reason: "normal" }), 1);
  assert.equal(client.send("late"), 0);
});

test("refuses what can't work", () => {
  const feed = { decode() {}, handle() {} };
  for (const make of [
    () => new Client("/ws", {}),
    () => new Client("/ws", feed, { transport: "carrier pigeon" }),
    () => new Client("/ws", feed, { backoff: { shortest: 0 } }),
    () => new Client("/ws", feed, { backoff: { shortest: 10, longest: 5 } }),
    () => new Client("/ws", { ...feed, streams: [{ name: "a" }, { name: "a" }] }),
    () => new Client("/ws", { ...feed, streams: [{ name: "other" }] }),
    () => new Client("/ws", { ...feed, streams: [{ name: "" }] }),
    () => new Client("/ws", { ...feed, streams: [{ name: "a", expect: -1 }] }),
    () => new Client("/ws", { ...feed, streams: [{ name: "a", restore() {} }] }),
    () => new Client("/ws", { ...feed, streams: [{ name: "a", resume: true, restore() {}, snapshot() {} }] }),
    () => new Client("/ws", feed).reconcile("a"),
  ])
    assert.throws(make, /TypeError|RangeError/, String(make));
});

test("survives messages that are not understood", async (t) => {
  const hostile = { valueOf: 1, toString: 1 };
  const steps = [
    text("{"), text("null"), text("17"), text('"text"'), text("[]"), text(""), text("\u0000"),
    text({ stream: "book", first: hostile, time: hostile, traceparent: hostile }),
    text({ stream: hostile, first: 1 }), text({ stream: "__proto__", first: "x" }),
    text({ stream: "book", first: -1 }), text({ stream: "book", first: 1e300 }), text({ stream: "book", first: 3, last: 1 }),
    text({ stream: "book", first: 1, value: "good" }),
  ];
  const { client, handled, failures } = run(t, socket(steps), { streams: [{ name: "book" }] });
  await until(() => handled.some((event) => event.value === "good"));
  assert.equal(client.state, "live");
  assert.ok(failures.length >= 5 && failures.every(({ kind }) => kind === "decode"));
  assert.equal(metric(client, "websocket_client_errors_total", { kind: "decode" }), failures.length);
  assert.ok(client.metrics().every(({ value }) => Number.isFinite(value)));
  assert.ok(client.metrics().every(({ labels }) => [undefined, "book", "other"].includes(labels.stream)));
});

test("ends a connection for a message that is too large", async (t) => {
  const { client, handled, changes } = run(t, socket([{ Huge: 3 << 20 }]));
  await until(() => metric(client, "websocket_client_disconnections_total", { initiator: "local", reason: "message_too_big" }) >= 2);
  assert.equal(handled.length, 0);
  assert.ok(changes.some(({ cause }) => cause?.text === `a message of ${3 << 20} bytes`));
});

test("counts gaps, repetitions and late events, and handles each once", async (t) => {
  const numbers = [1, 2, 2, 5, 4, 1, 6];
  const steps = numbers.map((first) => text({ stream: "book", first }));
  const { client, handled } = run(t, socket(steps), { streams: [{ name: "book" }] });
  await until(() => handled.at(-1)?.first === 6);
  assert.deepEqual(handled.map(({ first }) => first), [1, 2, 5, 6]);
  const stream = { stream: "book" };
  assert.equal(metric(client, "websocket_client_sequence_gaps_total", stream), 1);
  assert.equal(metric(client, "websocket_client_missing_messages_total", stream), 2);
  assert.equal(metric(client, "websocket_client_duplicates_total", stream), 2);
  assert.equal(metric(client, "websocket_client_out_of_order_total", stream), 1);
});

test("goes back when the server says so, and not otherwise", async (t) => {
  const steps = [{ first: 100 }, { first: 1 }, { first: 2 }, { first: 1, restart: true }, { first: 2 }];
  const { client, handled } = run(t, socket(steps.map((event) => text({ stream: "book", ...event }))), { streams: [{ name: "book" }] });
  await until(() => handled.length === 3);
  assert.deepEqual(handled.map(({ first }) => first), [100, 1, 2]);
  assert.equal(client.lastNumber("book"), 2);
});

test("replaces a connection that is open but silent", async (t) => {
  const { client, changes } = run(t, socket([text({ stream: "book", first: 1 })]), { streams: [{ name: "book", expect: 30 }] });
  await until(() => metric(client, "websocket_client_disconnections_total", { initiator: "local", reason: "idle_timeout" }) >= 2);
  const states = changes.filter(({ stream }) => stream === "book").map(({ to }) => to);
  assert.deepEqual(states.slice(0, 5), ["connecting", "live", "stale", "waiting", "connecting"]);
});

// Traffic does not prove health.
test("takes only what is new for a sign of life", async (t) => {
  const { client, handled } = run(t, socket(), {
    streams: [{ name: "book", expect: 200 }],
    subscribe() {
      client.send(JSON.stringify({ stream: "book", first: 7 }));
      const repeat = setInterval(() => client.send(JSON.stringify({ stream: "book", first: 7 })) || clearInterval(repeat), 5);
      t.after(() => clearInterval(repeat));
    },
  });
  const duplicates = () => metric(client, "websocket_client_duplicates_total", { stream: "book" });
  await until(() => metric(client, "websocket_client_disconnections_total", { reason: "idle_timeout" }) >= 1 && duplicates() > 1);
  assert.ok(handled.length <= metric(client, "websocket_client_connect_attempts_total", { result: "connected" }));
});

test("keeps the connection of a stale stream that is tolerated", async (t) => {
  const { client } = run(t, socket(), { streams: [{ name: "book", expect: 20, tolerate: true }] });
  await until(() => client.streamState("book") === "stale");
  assert.equal(metric(client, "websocket_client_stale", { stream: "book" }), 1);
  client.send(JSON.stringify({ stream: "book", first: 1 }));
  await until(() => client.streamState("book") === "live");
  assert.equal(metric(client, "websocket_client_connect_attempts_total", { result: "connected" }), 1);
});

test("ends a connection whose pings are not answered", async (t) => {
  const { client } = run(t, socket([], "&mute"), {}, { heartbeat: { ping: () => client.send("{}"), timeout: 20 } });
  await until(() => metric(client, "websocket_client_disconnections_total", { initiator: "network", reason: "ping_timeout" }) >= 2);
});

test("takes an answer to no ping for nothing", async (t) => {
  const { client } = run(t, socket(), { decode: ({ data }) => (client.ponged(JSON.parse(data)), []) }, { heartbeat: { ping: () => 1, timeout: 20 } });
  client.ponged(1);
  await until(() => client.state === "live");
  for (const id of [undefined, null, "1", {}, 2]) client.ponged(id);
  await until(() => metric(client, "websocket_client_disconnections_total", { reason: "ping_timeout" }) >= 1);
  assert.equal(metric(client, "websocket_client_ping_rtt_seconds_count"), 0);
});

// The clock is set while the page is open, by days in both directions.
test("does not mind a clock that jumps", async (t) => {
  const now = Date.now;
  t.after(() => (Date.now = now));
  let pings = 0;
  const { client, changes } = run(
    t,
    socket(),
    { streams: [{ name: "book", expect: 20_000 }], decode: ({ data }) => (client.ponged(Number(data)), [{ stream: "book" }]) },
    { heartbeat: { ping: () => (client.send(String(++pings)), pings), interval: 1, timeout: 20_000 } },
  );
  for (const days of [400, -400, 0.5]) {
    Date.now = () => now() + days * 86_400_000;
    const before = metric(client, "websocket_client_ping_rtt_seconds_count");
    await until(() => metric(client, "websocket_client_ping_rtt_seconds_count") > before + 3);
  }
  assert.deepEqual(ofClient(changes), ["connecting", "live"]);
  assert.ok(metric(client, "websocket_client_ping_rtt_seconds_sum") < 20);
});

test("reconnects, says why, and when", async (t) => {
  const ends = [{ Close: 1000 }, { Close: 1011 }, { Close: 1012 }, { Close: 4401 }, { Cut: true }];
  let attempts = 0;
  const { client, changes } = run(t, () => (attempts < ends.length ? socket([ends[attempts++]]) : socket()));
  const losses = () => changes.filter(({ stream, to }) => !stream && to === "waiting");
  await until(() => losses().length === ends.length && client.state === "live");
  const lost = losses();
  assert.deepEqual(
    lost.map(({ cause: { initiator, reason, code, text: said } }) => [initiator, reason, code, said].join(" ")),
    ["remote normal 1000 as asked", "remote internal 1011 as asked", "remote restart 1012 as asked", "remote other 4401 as asked", "network abnormal 1006 "],
  );
  assert.ok(lost.every(({ retryAt }) => Number.isFinite(retryAt)));
});

test("waits longer and longer, up to a limit, and as the server asks", async (t) => {
  t.mock.method(Math, "random", () => 1); // the ceilings
  t.mock.method(performance, "now", () => 1_000);
  const client = new Client(`${SERVER}/refused`, { decode() {}, handle() {} }, { backoff: { shortest: 100_000, longest: 1_000_000 } });
  t.after(() => client.close());
  let before = 0;
  const wait = async () => {
    await until(() => client.state === "waiting");
    const sum = metric(client, "websocket_client_backoff_seconds_sum");
    const seconds = Math.round(sum - before);
    before = sum;
    return seconds;
  };
  client.run();
  const waits = [];
  for (const asked of [0, 0, 0, 0, 0, 20_000, 1e12, NaN, -1, Infinity, "1", {}, undefined]) {
    waits.push(await wait());
    client.postpone(asked);
    client.retry();
  }
  assert.deepEqual(waits, [100, 200, 400, 800, 1_000, 1_000, 1_020, 1_600, ...Array(5).fill(1_000)]);
  assert.equal(metric(client, "websocket_client_connect_attempts_total", { result: "error" }), 13);
});

test("asks for the address each time, and ends for good if that is refused for good", async (t) => {
  let asked = 0;
  const { client, changes } = run(t, async () => {
    if (++asked === 1) throw new Error("not now");
    if (asked === 2) return "http://[";
    if (asked === 3) return { url: socket([{ Cut: true }]) };
    throw new Permanent("never again");
  });
  await until(() => client.state === "closed");
  assert.equal(asked, 4);
  assert.equal(changes.at(-1).error.message, "never again");
  assert.equal(metric(client, "websocket_client_connect_attempts_total", { result: "error" }), 3);
  client.run();
  await until(() => asked === 5 && client.state === "closed");
});

test("starts again if it can't subscribe", async (t) => {
  let asked = 0;
  const { client, changes } = run(t, socket(), {
    async subscribe() {
      if (++asked < 3) throw new Error("busy");
    },
  });
  await until(() => client.state === "live");
  assert.equal(asked, 3);
  assert.equal(changes.find(({ cause }) => cause).cause.text, "subscribe: busy");
});

test("ends where a handler ends it", async (t) => {
  const { client, handled } = run(t, socket([text({ value: 1 }), text({ value: 2 })]), {
    decode: ({ data }) => [JSON.parse(data), JSON.parse(data)],
    handle(event) {
      handled.push(event);
      client.close();
    },
  });
  await until(() => client.state === "closed");
  assert.equal(handled.length, 1);
});

test("resumes over connections", async (t) => {
  const message = (first) => text({ stream: "chat", first });
  let attempts = 0;
  const after = [];
  const { client, handled } = run(
    t,
    () => {
      after.push(client?.lastNumber("chat"));
      return [socket([message(1), message(2), { Close: 1000 }]), socket([message(2), message(3), message(5)])][attempts++];
    },
    { streams: [{ name: "chat", resume: true }] },
  );
  await until(() => handled.at(-1)?.first === 5);
  assert.equal(after[1], 2);
  assert.deepEqual(handled.map(({ first }) => first), [1, 2, 3, 5]);
  assert.equal(metric(client, "websocket_client_missing_messages_total", { stream: "chat" }), 1);
});

test("reads an event stream", async (t) => {
  let asked = 0;
  const first = events(["id: 41\nevent: tick\ndata: {\"first\":1}\n\n", "event: open\ndata: {}\n\n", "event: error\ndata: {}\n\n", "data: {\"value\":\"unnamed\"}\n\n"]);
  const { client, handled } = run(
    t,
    () => ({ url: first + (asked++ ? "&again" : ""), types: ["head", "tick", "message", "open"] }),
    { decode: ({ data, type, lastEventId }) => [{ ...JSON.parse(data), type, lastEventId }] },
    { transport: "sse" },
  );
  await until(() => handled.some(({ value }) => value === "unnamed"));
  assert.equal(client.state, "live");
  assert.deepEqual(handled.map(({ type }) => type), ["head", "tick", "open", "message"]);
  assert.equal(handled[1].lastEventId, "41");
  assert.equal(metric(client, "sse_client_connect_attempts_total", { result: "connected" }), 1);
  assert.equal(client.send("a stream has no way back"), 0);
  client.reconnect();
  await until(() => handled.filter(({ type }) => type === "head").length === 2);
  assert.equal(handled.findLast(({ type }) => type === "head").after, "41");
});

test("comes back when an event stream ends or is refused", async (t) => {
  let asked = 0;
  const { client } = run(t, () => [`${SERVER}/refused`, `${SERVER}/events?steps=[{"Cut":true}]`, events()][Math.min(asked++, 2)], {}, { transport: "sse" });
  await until(() => asked === 3 && client.state === "live");
  assert.equal(metric(client, "sse_client_disconnections_total", { initiator: "network", reason: "abnormal" }), 1);
});
