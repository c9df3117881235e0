// Draws what the desk's API says of a panel: charts on a canvas, everything else as elements. Everything from outside is
// put into the page as text, never as markup.
"use strict";

import { Chart, unitOf } from "./chart.js";

export function element(tag, className, ...content) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...content.filter((c) => c !== null && c !== undefined && c !== ""));
  return e;
}

function shape(tag, attributes) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  return e;
}

function link(href, ...content) {
  const a = element("a", "", ...content);
  a.href = href;
  return a;
}

// cssColour is a colour of the style sheet by its word, or a colour that was written out.
function cssColour(name) {
  if (!name) return "";
  return /^[a-z]/.test(name) && !name.startsWith("rgb") ? `var(--${name})` : name;
}

const clock = (t) => new Date(t).toLocaleTimeString([], { hour12: false });
const dated = (t) => new Date(t).toLocaleString([], { hour12: false });

// A PanelView draws a panel into a host, again and again.
export class PanelView {
  constructor(group, host, title) {
    this.group = group;
    this.host = host;
    this.title = title;
    this.chart = null;
  }

  draw(panel) {
    const kinds = {
      timeseries: drawChart, heatmap: drawChart, "state-timeline": drawLanes, stat: drawStats, gauge: drawGauges,
      bargauge: drawBars, barchart: drawBars, table: drawTable, logs: drawRecords, alertlist: drawAlerts,
    };
    this.host.classList.toggle("empty", isEmpty(panel));
    (kinds[panel.kind] ?? drawNothing)(this, panel);
  }

  // put replaces what is drawn, unless it is the same.
  put(...content) {
    const next = element("div", "", ...content);
    if (next.innerHTML === this.drawn) return;
    this.drawn = next.innerHTML;
    const open = new Set([...this.host.querySelectorAll("details[open]")].map((d) => d.dataset.key));
    this.host.replaceChildren(...next.childNodes);
    for (const d of this.host.querySelectorAll("details")) d.open = open.has(d.dataset.key);
  }
}

function isEmpty(p) {
  const some = (list) => Boolean(list?.length);
  return !some(p.series) && !some(p.stats) && !some(p.records) && !some(p.alerts) && !some(p.lanes) && !some(p.table?.rows) && !some(p.heat?.bounds);
}

function drawNothing(view, panel) {
  view.put(element("p", "quiet", `The desk draws no ${panel.kind}.`));
}

function drawChart(view, panel) {
  if (!view.chart) {
    view.host.replaceChildren();
    view.chart = new Chart(view.group, view.host, { title: view.title, traceURL: "/trace/" });
  }
  const axes = (panel.axes ?? []).map((axis) => ({ ...axis, unit: unitOf(axis.unit) }));
  view.chart.set(panel.times ?? [], panel.series ?? [], {
    axes: axes.length ? axes : [{ unit: unitOf({ form: "number" }) }], stacked: panel.stacked, gap: panel.step * 2.5,
    thresholds: panel.thresholds, exemplars: panel.exemplars, heat: panel.heat,
  });
}

// --- single values -----------------------------------------------------------------------------------------------------

function valueText(stat) {
  if (stat.text) return stat.text;
  return stat.value === null ? "–" : unitOf(stat.unit)(stat.value);
}

function share(stat) {
  return stat.value === null ? 0 : Math.min(Math.max((stat.value - stat.min) / (stat.max - stat.min || 1), 0), 1);
}

function named(stat, className, ...content) {
  const box = stat.href ? link(stat.href) : element("div", "");
  box.className = className;
  box.append(...content);
  return box;
}

function drawStats(view, panel) {
  const items = (panel.stats ?? []).map((stat) => {
    const value = element("b", "value", valueText(stat));
    const item = named(stat, "stat", stat.name ? element("span", "quiet", stat.name) : "", value);
    const colour = cssColour(stat.color);
    if (panel.colorMode.startsWith("background") && colour) {
      item.classList.add("filled");
      item.style.setProperty("--state", colour);
    } else if (panel.colorMode !== "none" && colour) value.style.color = colour;
    const line = spark(stat);
    if (line) item.append(line);
    return item;
  });
  view.put(items.length ? element("div", `stats${items.length > 12 ? " many" : ""}`, ...items) : noData());
}

function spark(stat) {
  const values = stat.spark ?? [];
  const present = values.filter((v) => v !== null);
  if (present.length < 2) return null;
  const low = Math.min(...present, 0);
  const span = Math.max(...present) - low || 1;
  const svg = shape("svg", { viewBox: "0 0 100 20", preserveAspectRatio: "none", class: "spark", "aria-hidden": "true" });
  const points = values.flatMap((v, i) => (v === null ? [] : [`${((100 * i) / (values.length - 1)).toFixed(2)},${(19 - (18 * (v - low)) / span).toFixed(2)}`]));
  svg.append(shape("polyline", { points: points.join(" "), "vector-effect": "non-scaling-stroke" }));
  if (stat.color) svg.style.color = cssColour(stat.color);
  return svg;
}

// drawGauges draws half circles with the thresholds around them.
function drawGauges(view, panel) {
  const arc = (from, to, radius) => {
    const point = (s) => `${(50 - radius * Math.cos(Math.PI * s)).toFixed(2)} ${(52 - radius * Math.sin(Math.PI * s)).toFixed(2)}`;
    return `M ${point(from)} A ${radius} ${radius} 0 0 1 ${point(to)}`;
  };
  const items = (panel.stats ?? []).map((stat) => {
    const svg = shape("svg", { viewBox: "0 0 100 56", class: "dial", role: "img", "aria-label": `${stat.name ?? view.title} ${valueText(stat)}` });
    svg.append(shape("path", { d: arc(0, 1, 38), class: "rest" }));
    const filled = shape("path", { d: arc(0, Math.max(share(stat), 0.001), 38), class: "filled" });
    filled.style.stroke = cssColour(stat.color) || "var(--accent)";
    svg.append(filled);
    (stat.steps ?? []).forEach((step, i, all) => {
      const at = (v) => Math.min(Math.max((v - stat.min) / (stat.max - stat.min || 1), 0), 1);
      const [from, to] = [at(step.from), at(all[i + 1]?.from ?? stat.max)];
      if (to <= from) return;
      const part = shape("path", { d: arc(from, to, 46), class: "segment" });
      part.style.stroke = cssColour(step.color) || "none";
      svg.append(part);
    });
    const text = shape("text", { x: 50, y: 50, "text-anchor": "middle" });
    text.textContent = valueText(stat);
    svg.append(text);
    return named(stat, "gauge", svg, stat.name ? element("span", "quiet", stat.name) : "");
  });
  view.put(items.length ? element("div", "stats", ...items) : noData());
}

function drawBars(view, panel) {
  const items = (panel.stats ?? []).map((stat) => {
    const bar = element("i", "bar");
    bar.style.width = `${(100 * share(stat)).toFixed(2)}%`;
    bar.style.background = cssColour(stat.color) || "var(--accent)";
    return named(stat, "bars", element("span", "name", stat.name ?? ""), element("span", "track", bar), element("span", "n", valueText(stat)));
  });
  view.put(items.length ? element("div", "barlist", ...items) : noData());
}

function noData() {
  return element("p", "quiet none", "No data");
}

// --- timelines of states -----------------------------------------------------------------------------------------------

function drawLanes(view, panel) {
  const span = panel.to - panel.from;
  const at = (t) => `${Math.min(Math.max((100 * (t - panel.from)) / span, 0), 100).toFixed(3)}%`;
  const items = (panel.lanes ?? []).map((lane) => {
    const track = element("span", "track");
    for (const s of lane.states) {
      const colour = cssColour(s.color);
      if (!colour) continue;
      const part = element("i", "");
      part.style.left = at(s.from);
      part.style.width = `max(2px, calc(${at(s.to)} - ${at(s.from)}))`;
      part.style.background = colour;
      part.title = `${lane.name}: ${s.text}, ${dated(s.from)} to ${dated(s.to)}`;
      track.append(part);
    }
    const last = lane.states.at(-1);
    track.setAttribute("role", "img");
    track.setAttribute("aria-label", `${lane.name}: ${last.text} until ${dated(last.to)}`);
    return element("div", "lane", element("span", "name", lane.name), track);
  });
  view.put(items.length ? element("div", "lanes", ...items) : noData());
}

// --- tables, log records, alerts -----------------------------------------------------------------------------------------

function drawTable(view, { table }) {
  if (!table?.rows.length) return view.put(noData());
  const units = table.columns.map((c) => unitOf(c.unit));
  const head = element("tr", "", ...table.columns.map((c) => {
    const th = element("th", c.numbers ? "n" : "", c.name);
    th.scope = "col";
    return th;
  }));
  const rows = table.rows.map((row) => element("tr", "", ...row.map((cell, i) => {
    const column = table.columns[i];
    const text = cell.text || (cell.number === null ? "" : units[i](cell.number));
    const td = element("td", column.numbers ? "n" : "", cell.href ? link(cell.href, text) : text);
    const colour = cssColour(cell.color);
    if (column.bar && cell.number !== null) {
      const bar = element("i", "bar");
      bar.style.width = `${Math.min(Math.max((100 * cell.number) / (column.max || 1), 0), 100).toFixed(2)}%`;
      bar.style.background = colour || "var(--accent)";
      td.prepend(element("span", "track", bar));
    } else if (column.fill && colour) {
      td.classList.add("filled");
      td.style.setProperty("--state", colour);
    } else if (colour) td.style.color = colour;
    return td;
  })));
  const box = element("div", "scroll", element("table", "numbers", element("thead", "", head), element("tbody", "", ...rows)));
  box.tabIndex = 0;
  return view.put(box);
}

function drawRecords(view, panel) {
  const items = (panel.records ?? []).map((r) => {
    const level = r.level === "warn" ? "warning" : r.level ?? "";
    const details = element("details", "",
      element("summary", "", element("time", "", clock(r.time)), " ", element("span", `badge ${level}`, r.level || "log"), " ", element("span", "what", r.message), " ", element("span", "quiet", r.service ?? "")));
    details.dataset.key = `${r.time} ${r.spanId ?? ""} ${r.message}`.slice(0, 300);
    const inside = element("div", "inside", element("p", "", dated(r.time), r.traceId ? " · " : "", r.traceId ? link(`/trace/${r.traceId}`, `trace ${r.traceId}`) : ""));
    const fields = element("table", "attributes");
    for (const { key, value } of r.fields ?? []) {
      const id = key === "connection_id" || key === "connection.id";
      fields.append(element("tr", "", element("th", "", key), element("td", "", id ? link(`/connection/${encodeURIComponent(value)}`, value) : value)));
    }
    inside.append(fields);
    details.append(inside);
    return element("li", `record ${level}`, details);
  });
  view.put(items.length ? element("ol", "records", ...items) : element("p", "quiet none", "No log record."));
}

function drawAlerts(view, panel) {
  const items = (panel.alerts ?? []).map((a) => element("li", "",
    element("span", `badge ${a.state === "firing" ? a.severity || "critical" : ""}`, a.state), " ", a.board ? link(localBoard(a.board), a.name) : a.name, " ",
    element("span", "quiet", `${a.of ?? ""} since ${dated(a.since)} `), a.runbook ? link(a.runbook, "runbook") : "", a.summary ? element("div", "quiet", a.summary) : ""));
  view.put(items.length ? element("ul", "alerts", ...items) : element("p", "quiet none", "No alert."));
}

// localBoard is where a link to Grafana's dashboard leads to at the desk.
function localBoard(address) {
  try {
    const url = new URL(address, location.href);
    return url.pathname.startsWith("/d/") ? url.pathname + url.search : address;
  } catch {
    return "/dashboards";
  }
}
