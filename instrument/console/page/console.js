// The live console: it listens to the service's events, asks for the table of connections every two seconds, and writes
// both into the page. Everything that comes from the service is put into the page as text, never as markup.
"use strict";

import { Chart, Group, bytes, plain, seconds } from "./chart.js";
import { released } from "./pointer.js";

const keep = 15 * 60 * 1000;
const $ = (id) => document.getElementById(id);

function element(tag, className, ...content) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...content.filter((c) => c !== null && c !== undefined && c !== ""));
  return e;
}

async function get(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(10_000) });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

// outside is a link to what another page knows of an id, or just the text if the service has not said where that page is.
function outside(url, id, text) {
  if (!url) return text;
  const link = element("a", "", text);
  link.href = url + encodeURIComponent(id);
  return link;
}

const { traceUrl, storyUrl } = document.body.dataset;
const allowClose = document.body.dataset.allowClose === "true";
const traceLink = (id) => outside(traceUrl, id, `trace ${id}`);
const storyLink = (id) => (storyUrl ? outside(storyUrl, id, "story") : null);

// --- samples -------------------------------------------------------------------------------------------------------

let samples = [];

function addSamples(more) {
  const newest = samples.at(-1)?.ms ?? 0;
  for (const s of more) {
    s.ms = Date.parse(s.time);
    if (s.ms > newest) samples.push(s);
  }
  const oldest = (samples.at(-1)?.ms ?? 0) - keep;
  while (samples.length && samples[0].ms < oldest) samples.shift();
}

// total adds up a number of all endpoints that are shown. A sample after a break has no rates.
function total(sample, value) {
  if (!sample.seconds) return null;
  return sample.endpoints.filter(shown).reduce((sum, e) => sum + value(e), 0);
}

function gauge(sample, value) {
  return sample.endpoints.filter(shown).reduce((sum, e) => sum + value(e), 0);
}

// worst is the largest of a number that can't be added up.
function worst(sample, value) {
  const values = sample.endpoints.filter(shown).map(value).filter((v) => v !== undefined);
  return values.length ? Math.max(...values) : null;
}

const sumOf = (object) => Object.values(object ?? {}).reduce((a, b) => a + b, 0);
const shown = (e) => !endpoint || endpoint === endpointName(e);
const endpointName = (e) => `${e.namespace} · ${e.protocol}`;
let endpoint = "";

// --- charts --------------------------------------------------------------------------------------------------------

const group = new Group();
const one = (name, of) => () => [{ name, values: samples.map(of) }];
const quantiles = (key) => () => ["p50", "p95", "p99"].map((p) => ({
  name: p, values: samples.map((s) => worst(s, (e) => e[key]?.[p])),
}));
const by = (key) => () => {
  const names = new Set();
  for (const s of samples) for (const e of s.endpoints.filter(shown)) for (const name in e[key] ?? {}) names.add(name);
  return [...names].sort().map((name) => ({ name, values: samples.map((s) => total(s, (e) => e[key]?.[name] ?? 0)) }));
};

const charts = [
  ["Open connections", {}, one("open", (s) => gauge(s, (e) => e.open))],
  ["Opened and refused per second", {}, () => [
    { name: "opened", values: samples.map((s) => total(s, (e) => e.opened)) },
    { name: "refused", values: samples.map((s) => total(s, (e) => sumOf(e.refused))) },
  ]],
  ["Closed per second, by reason", { stacked: true }, by("closed")],
  ["Messages per second", {}, () => [
    { name: "received", values: samples.map((s) => total(s, (e) => e.received)) },
    { name: "sent", values: samples.map((s) => total(s, (e) => e.sent)) },
  ]],
  ["Time to handle a message", { unit: seconds }, quantiles("handling_seconds")],
  ["Time in the send queue", { unit: seconds }, quantiles("delivery_seconds")],
  ["Messages that wait to be sent", {}, one("queued", (s) => gauge(s, (e) => e.queued))],
  ["Age of the oldest queued message", { unit: seconds }, one("oldest", (s) => worst(s, (e) => e.queue_oldest_seconds))],
  ["Dropped per second, by reason", { stacked: true }, by("dropped")],
  ["Round trip time of pings", { unit: seconds }, quantiles("rtt_seconds")],
  ["Errors and broken connections per second", {}, () => [
    { name: "errors", values: samples.map((s) => total(s, (e) => e.errors)) },
    { name: "broken", values: samples.map((s) => total(s, (e) => e.broken)) },
  ]],
  ["Goroutines", {}, one("goroutines", (s) => s.goroutines)],
  ["Heap per connection", { unit: bytes }, one("heap", (s) => {
    const open = s.endpoints.reduce((sum, e) => sum + e.open, 0);
    return open ? s.heap_bytes / open : null;
  })],
].map(([title, options, series]) => ({ chart: new Chart(group, $("grid"), { title, ...options }), series }));

function drawCharts() {
  const times = samples.map((s) => s.ms);
  for (const { chart, series } of charts) chart.set(times, series());
}

// --- what is now ---------------------------------------------------------------------------------------------------

function drawNow() {
  const s = samples.at(-1);
  if (!s) return;
  const fact = (name, value) => element("li", "fact", element("b", "", value), ` ${name}`);
  const rate = (of) => { const v = total(s, of); return v === null ? "–" : plain(v); };
  const p99 = worst(s, (e) => e.handling_seconds?.p99);
  const facts = [
    fact("open", plain(gauge(s, (e) => e.open))),
    fact("opened/s", rate((e) => e.opened)),
    fact("closed/s", rate((e) => sumOf(e.closed))),
    fact("in/s", rate((e) => e.received)),
    fact("out/s", rate((e) => e.sent)),
    fact("p99 handling", p99 === null ? "–" : seconds(p99)),
    fact("queued", plain(gauge(s, (e) => e.queued))),
    fact("goroutines", plain(s.goroutines)),
    fact("heap", bytes(s.heap_bytes)),
  ];
  if (s.endpoints.some((e) => e.draining)) facts.push(element("li", "fact bad", "draining"));
  $("now").replaceChildren(...facts);

  const select = query.elements.endpoint;
  for (const e of s.endpoints) {
    const name = endpointName(e);
    if (![...select.options].some((o) => o.value === name)) select.add(new Option(name, name));
  }
}

let findingsText = "";

// parts are where a finding that has no connections to show leads on.
const parts = {
  slow_handling: ["messages", "See slow messages"],
  connections_broken: ["closes", "See how they closed"],
  reconnects: ["closes", "See how they closed"],
  closed_at_one_age: ["closes", "See how they closed"],
  handshakes_refused: ["trouble", "See warnings"],
};

function drawFindings(findings) {
  const text = JSON.stringify(findings);
  if (text === findingsText) return; // or a screen reader would read them every second
  findingsText = text;
  $("findings").replaceChildren(...findings.map((f) => {
    const item = element("li", `banner ${f.severity}`, f.text);
    if (f.sort) {
      const show = element("button", "", "Show them");
      show.type = "button";
      show.addEventListener("click", () => {
        query.elements.sort.value = f.sort;
        query.elements.q.value = f.search ?? "";
        drawTable();
        $("connections").scrollIntoView();
      });
      item.append(" ", show);
    } else if (parts[f.name]) {
      const [part, text] = parts[f.name];
      const link = element("a", "", text);
      link.href = `#${part}`;
      item.append(" ", link);
    }
    return item;
  }));
}

// --- the table -----------------------------------------------------------------------------------------------------

const query = $("query");

function age(s) {
  return s === undefined || s === null ? "–" : seconds(s < 1 ? Number(s.toFixed(3)) : Math.round(s));
}

async function drawTable() {
  if (query.elements.hold.checked) return;
  const parameters = new URLSearchParams({
    sort: query.elements.sort.value, limit: query.elements.limit.value, q: query.elements.q.value,
  });
  const [namespace, protocol] = query.elements.endpoint.value.split(" · ");
  if (namespace) {
    parameters.set("namespace", namespace);
    parameters.set("protocol", protocol);
  }
  const answer = await get(`api/v1/connections?${parameters}`);
  await released();
  document.title = `${answer.open} open · ${answer.service}`;
  $("service").textContent = answer.service;
  $("instance").textContent = answer.instance;
  $("matching").textContent = answer.connections.length < answer.matching
    ? `${answer.connections.length} of ${answer.matching}` : String(answer.matching);
  const body = $("table").tBodies[0];
  const focused = body.contains(document.activeElement) ? document.activeElement.textContent : null;
  body.replaceChildren(...answer.connections.map(row));
  if (!answer.connections.length) body.append(element("tr", "", emptyRow(answer.open ? "None of them matches." : "No connection is open.")));
  if (focused) [...body.querySelectorAll("a")].find((a) => a.textContent === focused)?.focus({ preventScroll: true });
}

function emptyRow(text) {
  const cell = element("td", "quiet", text);
  cell.colSpan = $("table").tHead.rows[0].cells.length;
  return cell;
}

function row(c) {
  const number = (text, warn) => element("td", warn ? "n warn" : "n", text);
  const link = element("a", "", c.id);
  link.href = `#c=${encodeURIComponent(c.id)}`;
  const queue = c.queue_capacity ? `${c.queued} / ${c.queue_capacity}` : String(c.queued);
  const rtt = c.ping_unanswered_seconds >= 10 ? `> ${seconds(Math.round(c.ping_unanswered_seconds))}` : c.rtt_seconds ? seconds(c.rtt_seconds) : "–";
  const rate = (v) => (v === undefined ? "–" : plain(v));
  return element("tr", "",
    element("th", "id", link, element("small", "", ` ${c.namespace} · ${c.protocol} `, storyLink(c.id))),
    element("td", "", element("span", `state ${c.state}`, c.state)),
    number(age(c.age_seconds)), number(rtt, c.ping_unanswered_seconds >= 10),
    number(rate(c.received_per_second)), number(rate(c.sent_per_second)),
    number(`${plain(c.received_messages)} · ${bytes(c.received_bytes)}`), number(`${plain(c.sent_messages)} · ${bytes(c.sent_bytes)}`),
    number(queue, c.queue_capacity && c.queued >= c.queue_capacity), number(c.queued ? age(c.queue_oldest_seconds) : "–", c.queue_oldest_seconds >= 1),
    number(age(c.since_received_seconds)), number(age(c.since_sent_seconds)));
}

// --- records and traces ----------------------------------------------------------------------------------------------

const lists = { closed: [], trouble: [], message: [] };

function addRecords(records) {
  for (const kind of Object.keys(lists)) {
    const known = lists[kind][0]?.number ?? 0;
    const more = records.filter((r) => r.kind === kind && r.number > known);
    lists[kind] = [...more, ...lists[kind]].slice(0, 100);
  }
}

function drawRecords() {
  $("closed").replaceChildren(...lists.closed.slice(0, 30).map((r) => record(r)), ...none(lists.closed, "No connection has closed since the console was there, or records don't pass through Console.LogHandler."));
  $("warnings").replaceChildren(...lists.trouble.slice(0, 30).map((r) => record(r)), ...none(lists.trouble, "None."));
}

function none(list, text) {
  return list.length ? [] : [element("li", "quiet", text)];
}

// closing says in one line how a connection ended.
function closing(a) {
  const code = a.code ? ` (${a.code})` : "";
  const error = a.error ? `: ${a.error}` : "";
  return `${a.initiator} · ${a.reason}${code} after ${age(a.duration_seconds)}, ` +
    `${a.received_messages} in, ${a.sent_messages} out${error}`;
}

const clock = (time) => new Date(time).toLocaleTimeString([], { hour12: false });

// record is a line of a list. In the story of a connection its id would only repeat.
function record(r, ofStory = false) {
  const a = r.attributes ?? {};
  const details = Object.entries(a).filter(([key]) => !["connection_id", "namespace", "trace_id", "span_id"].includes(key));
  const text = r.kind === "closed" && "reason" in a ? closing(a) : details.map(([key, value]) => `${key}=${value}`).join("  ");
  const item = element("li", `record ${r.level.toLowerCase()}`,
    element("time", "", clock(r.time)), " ", element("span", "badge", r.level), " ", element("b", "", r.message), " ",
    element("span", "fields", text));
  if (a.connection_id && !ofStory) {
    const link = element("a", "id", a.connection_id);
    link.href = `#c=${encodeURIComponent(a.connection_id)}`;
    item.append(" ", link, " ", storyLink(a.connection_id) ?? "");
  }
  if (a.trace_id) item.append(" ", element("span", "quiet", traceLink(a.trace_id)));
  return item;
}

// drawMessages shows a trace where there is one, and else the record.
async function drawMessages() {
  const { traces } = await get("api/v1/traces");
  await released();
  const traced = new Set(traces.map((t) => t.id));
  const untraced = lists.message.filter((r) => !traced.has(r.attributes?.trace_id));
  $("traces").replaceChildren(...traces.slice(0, 15).map(waterfall), ...untraced.slice(0, 15).map((r) => record(r)),
    ...none([...traces, ...untraced], "None."));
}

function waterfall(trace) {
  const start = Math.min(...trace.spans.map((s) => Date.parse(s.start)));
  const end = Math.max(...trace.spans.map((s) => Date.parse(s.start) + 1000 * s.seconds));
  const length = Math.max(end - start, 0.001);
  const item = element("li", "trace", element("div", "quiet", `${clock(trace.spans[0].start)}  `, traceLink(trace.id)));
  for (const s of trace.spans) {
    const bar = element("i", s.failed ? "bar failed" : "bar");
    bar.style.marginLeft = `${(100 * (Date.parse(s.start) - start)) / length}%`;
    bar.style.width = `${Math.max((100_000 * s.seconds) / length, 0.5)}%`;
    const id = s.attributes?.["connection.id"];
    const name = element("span", "name", s.name, s.error ? element("small", "bad", ` ${s.error}`) : null);
    if (id) {
      const link = element("a", "id", String(id));
      link.href = `#c=${encodeURIComponent(id)}`;
      name.append(" ", link, " ", storyLink(id) ?? "");
    }
    item.append(element("div", "bars", name, element("span", "track", bar), element("span", "n", seconds(s.seconds))));
  }
  return item;
}

// --- one connection --------------------------------------------------------------------------------------------------

function wantedConnection() {
  return location.hash.startsWith("#c=") ? decodeURIComponent(location.hash.slice(3)) : "";
}

async function drawStory() {
  const id = wantedConnection();
  $("story").hidden = !id;
  if (!id) return;
  $("story-id").textContent = id;
  $("story-whole").hidden = !storyUrl;
  $("story-whole").href = storyUrl + encodeURIComponent(id);
  let story;
  try {
    story = await get(`api/v1/connections/${encodeURIComponent(id)}`);
    await released();
  } catch (error) {
    $("story-facts").replaceChildren(element("p", "quiet", error.message));
    $("story-events").replaceChildren();
    return;
  }
  const c = story.connection;
  $("story-disconnect").hidden = !(c && allowClose);
  const fact = (name, value) => element("span", "fact", element("b", "", value), ` ${name}`);
  $("story-facts").replaceChildren(...(c ? [
    element("span", `state ${c.state}`, c.state), fact("old", age(c.age_seconds)), fact("round trip", c.rtt_seconds ? seconds(c.rtt_seconds) : "–"),
    fact("received", `${plain(c.received_messages)} · ${bytes(c.received_bytes)}`), fact("sent", `${plain(c.sent_messages)} · ${bytes(c.sent_bytes)}`),
    fact("queued", String(c.queued)), fact("oldest queued", c.queued ? age(c.queue_oldest_seconds) : "–"),
    fact("since the last message in", age(c.since_received_seconds)), fact("since the last message out", age(c.since_sent_seconds)),
  ] : [element("span", "state closed", "closed")]));
  const events = [
    ...story.records.map((r) => ({ at: Date.parse(r.time), item: () => record(r, true) })),
    ...story.spans.map((s) => ({ at: Date.parse(s.start), item: () => spanItem(s) })),
  ].sort((a, b) => b.at - a.at);
  $("story-events").replaceChildren(...events.map((e) => e.item()),
    ...none(events, "No record or span of it is kept. Messages without a span, and without trouble, leave none."));
}

function spanItem(s) {
  const details = Object.entries(s.attributes ?? {}).filter(([key]) => key !== "connection.id");
  return element("li", s.failed ? "record error" : "record",
    element("time", "", clock(s.start)), " ", element("span", "badge", "span"), " ", element("b", "", s.name), ` ${seconds(s.seconds)} `,
    s.error ? element("span", "bad", s.error) : null, traceUrl ? traceLink(s.trace_id) : null,
    element("span", "fields", ` ${details.map(([key, value]) => `${key}=${value}`).join("  ")}`));
}

// --- keeping it up ---------------------------------------------------------------------------------------------------

function alive(ok, text) {
  $("alive").textContent = text;
  $("alive").className = ok ? "good" : "bad";
}

// quietly runs an update of a part of the page, which waits for the next one where it fails.
async function quietly(update) {
  if (document.hidden) return;
  try {
    await update();
  } catch (error) {
    if (!(error instanceof TypeError) && error.name !== "TimeoutError") console.error(error);
  }
}

function listen() {
  const events = new EventSource("api/v1/events");
  events.addEventListener("tick", async (message) => {
    await released();
    const event = JSON.parse(message.data);
    addSamples(event.samples);
    addRecords(event.records);
    alive(true, "live");
    if (document.hidden) return;
    drawNow();
    drawFindings(event.findings);
    drawCharts();
    if (event.records.length) drawRecords();
  });
  events.onerror = () => alive(false, "the service does not answer: what you see is old");
}

async function begin() {
  addSamples((await get("api/v1/series")).samples);
  addRecords((await get("api/v1/records")).records);
  drawNow();
  drawCharts();
  drawRecords();
}

query.addEventListener("submit", (e) => e.preventDefault());
query.addEventListener("input", () => {
  endpoint = query.elements.endpoint.value;
  quietly(drawTable);
  drawNow();
  drawCharts();
});
$("story-disconnect").addEventListener("click", async () => {
  const id = wantedConnection();
  if (!confirm(`Close connection ${id}? Its client is told that the service goes away, and may come back.`)) return;
  const answer = await fetch(`api/v1/connections/${encodeURIComponent(id)}/close`, { method: "POST" });
  if (!answer.ok) alert(await answer.text());
  await quietly(drawStory);
});
$("story-close").addEventListener("click", () => {
  history.replaceState(null, "", location.pathname + location.search);
  quietly(drawStory);
});
addEventListener("hashchange", async () => {
  await quietly(drawStory);
  if (wantedConnection()) $("story").scrollIntoView();
});
document.addEventListener("visibilitychange", () => quietly(drawTable));
setInterval(() => { quietly(drawTable); quietly(drawMessages); quietly(drawStory); }, 2000);
quietly(begin).then(listen);
quietly(drawTable);
quietly(drawMessages);
quietly(drawStory);
