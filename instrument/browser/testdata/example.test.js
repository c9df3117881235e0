import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { SERVER, until } from "./harness.js";

// Runs the guide's example as it stands, as if it were part of a page of the server.
test("the guide's example", async (t) => {
  globalThis.location = { href: `${SERVER}/page` };
  globalThis.document = { body: { dataset: {} }, addEventListener() {} };
  const { fetch } = globalThis;
  const exported = [];
  globalThis.fetch = async (url, options) => {
    if (!url.startsWith("https://collector.example.org/")) return fetch(new URL(url, location.href), options);
    exported.push(...JSON.parse(options.body).resourceSpans[0].scopeSpans[0].spans);
    return new Response("{}");
  };
  const path = join(process.env.SCRATCH, "example.mjs");
  const module = new URL("../index.js", import.meta.url).href;
  await writeFile(path, process.env.EXAMPLE.replace("@sockscope/browser", module) + "\nexport { client, stock };\n");
  const example = await import(pathToFileURL(path));
  const { client } = example;
  t.after(() => client.close());
  await until(() => document.body.dataset.stock === "live" && client.lastNumber("stock") === 9);
  assert.deepEqual(example.stock, { tea: 7, coffee: 5 });
  const rtts = () => client.metrics().find(({ name }) => name === "websocket_client_ping_rtt_seconds_count")?.value;
  await until(() => rtts() >= 1);
  client.close();
  await until(() => exported.some(({ name }) => name === "websocket.handshake"));
});
