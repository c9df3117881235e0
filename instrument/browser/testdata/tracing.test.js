import assert from "node:assert/strict";
import { test } from "node:test";

import { Client, parseTraceparent, Tracer } from "../index.js";
import { events, metric, run, SERVER, until } from "./harness.js";

const ID = "4bf92f3577b34da6a3ce929d0e0e4736";

let senders = 0;

/** Returns a tracer that exports to the server, and what the server has got of it. */
function traced(t, query = "", options = {}) {
  const endpoint = `${SERVER}/v1/traces?from=${process.pid}-${++senders}`;
  const tracer = new Tracer({ service: "page", endpoint: endpoint + query, sampleRatio: 1, ...options });
  t.after(() => tracer.shutdown());
  const bodies = async () => (await (await fetch(endpoint)).json()) ?? [];
  const spans = async () => (await bodies()).flatMap((body) => body.resourceSpans[0].scopeSpans[0].spans);
  return { tracer, bodies, spans };
}

const attributesOf = ({ attributes }) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
const count = (tracer, result) => tracer.metrics().find(({ labels }) => labels.result === result).value;

test("a message's ends are joined", async (t) => {
  const { tracer, spans } = traced(t);
  const { client, handled } = run(t, `${SERVER}/observed`, { streams: [{ name: "chat" }] }, { tracer });
  await until(() => client.state === "live");
  const sent = ["one", "two"].map((value) => {
    const span = client.begin("chat");
    const number = client.send(JSON.stringify({ stream: "chat", value, traceparent: span.traceparent }), span);
    span.end();
    return { number, ...span, traceId: span.traceId };
  });
  await until(() => handled.length === 2);
  client.close();
  await tracer.shutdown();
  const ours = await spans();
  const handshake = ours.find(({ name }) => name === "websocket.handshake");
  assert.equal(handshake.kind, 3);
  assert.deepEqual(attributesOf(handshake), {
    "network.protocol.name": "websocket",
    "http.request.method": "GET",
    "http.response.status_code": "101",
    "server.address": new URL(SERVER).hostname,
    "server.port": new URL(SERVER).port,
    "websocket.client": "test",
  });

  // The server does not trust us: its spans are linked to ours.
  let theirs;
  await until(async () => {
    theirs = await (await fetch(`${SERVER}/spans`)).json();
    return theirs.filter(({ Name }) => Name === "websocket.message chat").length === 2;
  });
  assert.deepEqual(theirs.find(({ Name }) => Name === "websocket.handshake").Links, [handshake.traceId]);
  for (const { number, traceId } of sent) {
    const span = ours.find((s) => s.traceId === traceId);
    assert.equal(span.name, "websocket.message chat");
    assert.equal(span.kind, 4);
    const { "websocket.message.number": n, "websocket.handshake.trace_id": id } = attributesOf(span);
    assert.deepEqual([n, id], [String(number), handshake.traceId]);
    assert.deepEqual(span.links.map((link) => link.traceId), [handshake.traceId]);
    const other = theirs.find(({ Attributes }) => Attributes["websocket.message.number"] === number);
    assert.ok(other.Links.includes(traceId), "the server's span of the message links to ours");
  }
  const received = ours.filter(({ kind }) => kind === 5);
  assert.deepEqual(received.map((span) => attributesOf(span)["websocket.message.number"]), ["1", "2"]);
  assert.deepEqual(received[0].links.map((link) => link.traceId), [handshake.traceId, sent[0].traceId]);
  assert.deepEqual(handled.map(({ messageNumber, handshakeTraceId }) => [messageNumber, handshakeTraceId]), [[1, handshake.traceId], [2, handshake.traceId]]);
});

test("an event stream says its context in the query, and only if it is exported", async (t) => {
  for (const [options, want] of [[{}, true], [{ endpoint: "" }, false]]) {
    const { tracer } = traced(t, "", options);
    const { handled } = run(t, () => ({ url: events(), types: ["head"] }), {}, { transport: "sse", tracer });
    await until(() => handled.length === 1);
    assert.equal(parseTraceparent(handled[0].traceparent) !== undefined, want);
  }
});

test("exports what OTLP asks for", async (t) => {
  const { tracer, bodies } = traced(t, "", { resource: { "deployment.environment.name": "test" } });
  const span = tracer.begin("work", { attributes: { text: "x".repeat(1_000), whole: 7, part: 0.5, yes: true, no: undefined, half: "\ud83d" } });
  span.set({ more: null, big: 2 ** 60 });
  span.end(new TypeError("wss://user:secret@host/path?token=1 is refused"));
  span.end();
  tracer.begin("unsampled", { sampled: false }).end();
  await tracer.shutdown();
  const [body, ...rest] = await bodies();
  assert.equal(rest.length, 0);
  const { resource, scopeSpans } = body.resourceSpans[0];
  assert.deepEqual(attributesOf(resource), { "service.name": "page", "telemetry.sdk.language": "webjs", "deployment.environment.name": "test" });
  const [{ scope, spans }] = scopeSpans;
  assert.equal(scope.name, "github.com/sockscope/sockscope/instrument/browser");
  assert.equal(spans.length, 1);
  const [made] = spans;
  assert.match(made.traceId, /^[0-9a-f]{32}$/);
  assert.match(made.spanId, /^[0-9a-f]{16}$/);
  assert.match(made.startTimeUnixNano, /^\d{19}$/);
  assert.ok(BigInt(made.endTimeUnixNano) >= BigInt(made.startTimeUnixNano));
  assert.deepEqual(made.status, { code: 2, message: "wss://… is refused" });
  const attributes = attributesOf(made);
  assert.equal(attributes.text.length, 257);
  assert.equal(attributes.half, "\ufffd");
  assert.deepEqual([attributes.whole, attributes.part, attributes.yes, "no" in attributes, attributes["error.type"]], ["7", 0.5, true, false, "TypeError"]);
  assert.equal(count(tracer, "exported"), 1);
});

test("a span lasts as long as it does, whatever the clock says", (t) => {
  const now = Date.now();
  let exported;
  t.mock.method(globalThis, "fetch", async (_, { body }) => ((exported = JSON.parse(body)), new Response("{}")));
  const tracer = new Tracer({ service: "page", endpoint: "http://collector.example" });
  const span = tracer.begin("work");
  t.mock.method(Date, "now", () => now - 86_400_000);
  span.end();
  return tracer.shutdown().then(() => {
    const [made] = exported.resourceSpans[0].scopeSpans[0].spans;
    const took = BigInt(made.endTimeUnixNano) - BigInt(made.startTimeUnixNano);
    assert.ok(took >= 0n && took < 60_000_000_000n, `${took} ns`);
  });
});

test("keeps a bounded number of spans while there is no Collector", async (t) => {
  const fetched = t.mock.method(globalThis, "fetch", async () => {
    throw new TypeError("Failed to fetch");
  });
  const tracer = new Tracer({ service: "page", endpoint: "http://collector.example" });
  for (let i = 0; i < 1_000; i++) tracer.begin("work").end();
  await tracer.shutdown();
  assert.equal(fetched.mock.callCount(), 1);
  assert.equal(count(tracer, "dropped"), 1_000 - 512);
  assert.equal(count(tracer, "exported"), 0);
});

test("sends again what the Collector has no room for, and nothing that it refuses", async (t) => {
  for (const [answers, want] of [
    [[[503], [429], [200]], { exported: 3, refused: 0 }],
    [[[400]], { exported: 0, refused: 3 }],
    [[[200, '{"partialSuccess":{"rejectedSpans":"2"}}']], { exported: 1, refused: 2 }],
    [[[200, '{"partialSuccess":{"rejectedSpans":"-5"}}']], { exported: 3, refused: 0 }],
    [[[200, '{"partialSuccess":{"rejectedSpans":"99"}}']], { exported: 0, refused: 3 }],
    [[[200, '{"partialSuccess":{"rejectedSpans":{"valueOf":1,"toString":1}}}']], { exported: 3, refused: 0 }],
    [[[200, "nonsense"]], { exported: 3, refused: 0 }],
    [[[200, "null"]], { exported: 3, refused: 0 }],
  ]) {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    let asked = 0;
    const { mock } = t.mock.method(globalThis, "fetch", async () => {
      const [status, body = ""] = answers[asked++];
      return new Response(body, { status });
    });
    const tracer = new Tracer({ service: "page", endpoint: "http://collector.example" });
    for (let i = 0; i < 3; i++) tracer.begin("work").end();
    await until(() => {
      t.mock.timers.tick(40_000); // longer than any wait
      return count(tracer, "exported") + count(tracer, "refused") === 3;
    });
    assert.deepEqual({ exported: count(tracer, "exported"), refused: count(tracer, "refused") }, want);
    assert.equal(asked, answers.length);
    mock.restore();
    t.mock.timers.reset();
  }
});

test("a traceparent is one or none", () => {
  assert.deepEqual(parseTraceparent(`00-${ID}-00f067aa0ba902b7-01`), { traceId: ID, spanId: "00f067aa0ba902b7" });
  for (const text of [
    "", undefined, null, 7, {}, { toString: 1 }, `00-${ID}-00f067aa0ba902b7`, `01-${ID}-00f067aa0ba902b7-01`, `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
    `00-${ID}-${"0".repeat(16)}-01`, `00-${ID.toUpperCase()}-00f067aa0ba902b7-01`, ` 00-${ID}-00f067aa0ba902b7-01`, `00-${ID}-00f067aa0ba902b7-01\n`,
  ])
    assert.equal(parseTraceparent(text), undefined, JSON.stringify(text));
});

test("without a tracer there are no spans", async (t) => {
  const { client } = run(t, `${SERVER}/observed`);
  await until(() => client.state === "live");
  assert.equal(client.begin("chat"), undefined);
  assert.equal(client.send("{}"), 1);
  assert.equal(metric(client, "sockscope_spans_total"), 0);
});

test("a tracer is told what it needs", () => {
  assert.throws(() => new Tracer({}), TypeError);
  for (const sampleRatio of [-1, 2, NaN, "x"]) assert.throws(() => new Tracer({ service: "page", sampleRatio }), RangeError);
  assert.equal(new Client("/ws", { decode() {}, handle() {} }, { tracer: new Tracer({ service: "page" }) }).begin("x").traceparent.length, 55);
});

test("samples a share, and at most 100 a second", () => {
  const tracer = new Tracer({ service: "page", sampleRatio: 1 });
  const sampled = Array.from({ length: 1_000 }, () => tracer.sample()).filter(Boolean).length;
  assert.ok(sampled >= 100 && sampled <= 200, `${sampled}`); // a second may end meanwhile
  assert.equal(Array.from({ length: 1_000 }, () => new Tracer({ service: "page", sampleRatio: 0 }).sample()).some(Boolean), false);
});
