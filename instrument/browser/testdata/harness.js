// What the tests share: clients of the server that the Go test runs, and waiting for what happens.

import { Client } from "../index.js";

export const SERVER = process.env.SERVER;
const PATIENCE = 30_000;
const sleep = setTimeout; // some tests have timers of their own

/** Returns the address of a WebSocket that does these steps. */
export function socket(steps = [], more = "") {
  return `${SERVER}/ws?steps=${encodeURIComponent(JSON.stringify(steps))}${more}`;
}

export function events(steps = []) {
  return `${SERVER}/events?steps=${encodeURIComponent(JSON.stringify(steps.map((Event) => ({ Event }))))}`;
}

export const text = (value) => ({ Text: typeof value === "string" ? value : JSON.stringify(value) });

/** Runs a client whose messages are events in JSON until the end of the test. */
export function run(t, url, feed = {}, options = {}) {
  const handled = [];
  const changes = [];
  const failures = [];
  const client = new Client(
    url,
    { decode: ({ data }) => [JSON.parse(data)], handle: (event) => handled.push(event), ...feed },
    { name: "test", backoff: { shortest: 1, longest: 20 }, ...options },
  );
  client.addEventListener("state", ({ detail }) => changes.push(detail));
  client.addEventListener("failed", ({ detail }) => failures.push(detail));
  t.after(() => client.close());
  client.run();
  return { client, handled, changes, failures };
}

/** Waits until something holds. */
export async function until(holds, what = String(holds)) {
  for (const deadline = Date.now() + PATIENCE; !(await holds()); ) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => sleep(resolve, 5));
  }
}

/** Returns a metric's value, 0 if there is none. */
export function metric(client, name, labels = {}) {
  const sample = client
    .metrics()
    .find((s) => s.name === name && Object.entries(labels).every(([key, value]) => s.labels[key] === value));
  return sample?.value ?? 0;
}

export const ofClient = (changes) => changes.filter((change) => change.stream === undefined).map((change) => change.to);
