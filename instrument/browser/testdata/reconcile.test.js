import assert from "node:assert/strict";
import { test } from "node:test";

import { metric, run, socket, text, until } from "./harness.js";

const book = (...numbers) => numbers.map((first) => text({ stream: "book", first }));

/** Runs a client of a book whose snapshots are what snapshot returns. applied is all that was restored and handled. */
function reconciled(t, steps, snapshot, { handle, restore, ...options } = {}) {
  const applied = [];
  const stream = {
    name: "book",
    snapshot,
    restore(value) {
      restore?.(value);
      applied.push(`= ${value}`);
      return value === "drifted";
    },
  };
  const feed = {
    streams: [stream],
    handle(event) {
      handle?.(event);
      applied.push(event.first);
    },
  };
  return { applied, ...run(t, socket(steps), feed, options) };
}

const results = (client) =>
  Object.fromEntries(
    client
      .metrics()
      .filter(({ name }) => name === "websocket_client_reconciliations_total")
      .map(({ labels, value }) => [`${labels.trigger} ${labels.result}`, value]),
  );

test("handles what comes after the snapshot, in order", async (t) => {
  let fetched;
  const { client, applied } = reconciled(t, book(8, 11, 10, 9, 12), () => new Promise((resolve) => (fetched = resolve)));
  await until(() => fetched && metric(client, "websocket_client_out_of_order_total") === 2 && client.lastNumber("book") === 12);
  assert.equal(client.state, "reconciling");
  assert.deepEqual(applied, []);
  fetched({ last: 9, value: 9 });
  await until(() => client.state === "live");
  assert.deepEqual(applied, ["= 9", 10, 11, 12]);
});

test("fetches a snapshot again that is too old", async (t) => {
  let n = 0;
  const { client, applied } = reconciled(t, book(5, 6), async () => {
    if (n === 0) await until(() => client.lastNumber("book") === 6);
    return { last: [2, 3, 5][n], value: [2, 3, 5][n++] };
  });
  await until(() => client.state === "live");
  assert.deepEqual(applied, ["= 5", 6]);
  assert.deepEqual(results(client), { "connect behind": 2, "connect ok": 1 });
});

test("reconciles after a gap", async (t) => {
  let last = 0;
  const { client, applied } = reconciled(t, [], async () => ({ last, value: last }));
  await until(() => client.state === "live");
  for (const first of [1, 2]) client.send(JSON.stringify({ stream: "book", first }));
  await until(() => client.lastNumber("book") === 2);
  last = 5;
  for (const first of [5, 6]) client.send(JSON.stringify({ stream: "book", first }));
  await until(() => client.state === "live" && applied.includes(6));
  assert.deepEqual(applied, ["= 0", 1, 2, "= 5", 6]);
  assert.deepEqual(results(client), { "connect ok": 1, "gap ok": 1 });
});

test("survives snapshots that fail, hang or make no sense", async (t) => {
  const answers = [
    () => Promise.reject(new Error("no answer")), () => { throw new Error("none"); }, () => undefined, () => null,
    () => ({ last: -1 }), () => ({ last: "7" }), () => ({ last: { valueOf: 1 } }), () => ({ last: 3, value: "drifted" }),
  ];
  let n = 0;
  const { client, applied } = reconciled(t, [], () => answers[n++]());
  await until(() => client.state === "live");
  assert.deepEqual(applied, ["= drifted"]);
  assert.deepEqual(results(client), { "connect error": 7, "connect ok": 1 });
  assert.equal(metric(client, "websocket_client_drift_total", { stream: "book" }), 1);
});

test("reconciles when a function of the page fails", async (t) => {
  const fail = ({ value }) => {
    if (value === "bad") throw new Error("in doubt");
  };
  let restored = 0;
  const restore = () => {
    if (restored++ === 1) throw new Error("can't be restored");
  };
  const { client, applied, failures } = reconciled(t, [], async () => ({ last: 0, value: "s" }), { handle: fail, restore });
  await until(() => client.state === "live");
  client.send(JSON.stringify({ stream: "book", first: 1, value: "bad" }));
  await until(() => client.state === "live" && restored === 3);
  assert.deepEqual(applied, ["= s", "= s"]);
  assert.deepEqual(failures.map(({ kind }) => kind), ["handler", "handler"]);
  assert.deepEqual(results(client), { "connect ok": 1, "handler error": 1, "handler ok": 1 });
});

test("holds back only so many events", async (t) => {
  let fetched = [];
  const { client, applied } = reconciled(t, book(1, 2, 3, 4), () => new Promise((resolve) => fetched.push(resolve)), { buffer: 3 });
  await until(() => client.lastNumber("book") === 4 && fetched.length === 1);
  fetched[0]({ last: 0, value: 0 });
  await until(() => fetched.length === 2);
  fetched[1]({ last: 4, value: 4 });
  await until(() => client.state === "live");
  assert.deepEqual(applied, ["= 4"]);
  assert.deepEqual(results(client), { "connect overflow": 1, "connect ok": 1 });
});

test("forgets a snapshot of a connection that is gone", async (t) => {
  const fetched = [];
  const { client, applied } = reconciled(t, [], () => new Promise((resolve) => fetched.push(resolve)));
  await until(() => fetched.length === 1);
  client.reconnect();
  await until(() => fetched.length === 2);
  fetched[0]({ last: 1, value: "old" });
  fetched[1]({ last: 2, value: "new" });
  await until(() => client.state === "live");
  assert.deepEqual(applied, ["= new"]);
  assert.deepEqual(results(client), { "connect aborted": 1, "reconnect ok": 1 });
});

test("reconciles on demand, and when the numbers restart", async (t) => {
  let n = 0;
  const { client, applied } = reconciled(t, [], async () => ({ last: n++ === 2 ? 1 : 9, value: n }));
  await until(() => client.state === "live");
  client.reconcile("book");
  assert.equal(client.state, "reconciling");
  await until(() => client.state === "live");
  client.send(JSON.stringify({ stream: "book", first: 1, restart: true }));
  client.send(JSON.stringify({ stream: "book", first: 2 }));
  await until(() => applied.includes(2) && client.state === "live");
  assert.deepEqual(results(client), { "connect ok": 1, "manual ok": 1, "restart ok": 1 });
});
