// Charts on a canvas: lines, bars, points and heatmaps over time. All charts of a page share one time range and one
// crosshair, as members of a Group. Text and grid take their colours from the page's style sheet.
"use strict";

import { Plot, sharesOf } from "./plot.js";
import { Raster } from "./raster.js";
import { clock, day, nearest, plain, ticks, visible } from "./scale.js";

export { bytes, nearest, plain, seconds, ticks, unitOf, visible } from "./scale.js";

// Okabe and Ito's colours, which people with any colour vision can tell apart, made darker or lighter until they stand
// out from the ground. After the last of them they begin again, dashed and then dotted.
const palettes = {
  light: ["#0072b2", "#b87400", "#00805d", "#d04a00", "#2b93cf", "#b8588f", "#7d7d1a", "#882255"],
  dark: ["#4aa8e8", "#e69f00", "#2fc598", "#ff8650", "#9bd5f7", "#e5a0c8", "#cfcf62", "#d873a3"],
};
const dashes = { dash: [6, 4], dot: [1.5, 3] };
const margin = { left: 58, right: 10, top: 14, bottom: 22 };
// Marks stand above the plot, in lanes of this height. What is marked at the same time is in lanes of its own, as far as
// there are any.
const lane = { height: 3, every: 4, most: 3 };
const theme = matchMedia("(prefers-color-scheme: dark)");

// A Group keeps its charts in step. Changed is told of every new range, null for the one of before.
export class Group {
  constructor({ changed = null } = {}) {
    this.charts = [];
    this.changed = changed;
    this.whole = null; // [from, to] in ms that a page shows; null for what the data spans
    this.range = null; // [from, to] in ms that was chosen by zooming
    this.at = null; // of the crosshair, in ms
    this.marks = []; // [{from, to, title, text, color}]
    this.waiting = false;
    this.raster = new Raster(); // on which one chart after the other draws its data
    this.colours = new Map(); // of the style sheet, by their words
    theme.addEventListener("change", () => {
      this.colours.clear();
      this.redraw();
    });
  }

  add(chart) {
    this.charts.push(chart);
  }

  // draw paints everything in the next frame, however often it is called before.
  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.paint();
    });
  }

  // paint paints the charts that are in view. It asks for sizes first and changes texts last, so that the page is laid
  // out once.
  paint() {
    const seen = this.charts.filter((chart) => chart.measure());
    for (const chart of seen) chart.paint();
    for (const chart of seen) chart.label();
  }

  // redraw paints the data anew, too, and not only the crosshair.
  redraw() {
    for (const chart of this.charts) chart.stale = true;
    this.draw();
  }

  zoom(range) {
    this.range = range;
    this.redraw();
    this.changed?.(range);
  }

  mark(marks) {
    this.marks = inLanes(marks);
    this.redraw();
  }

  point(at) {
    this.at = at;
    this.draw();
  }
}

// A Chart draws what it is set to. Exemplars lead to traceURL and the trace's id.
export class Chart {
  constructor(group, host, { title, unit = plain, stacked = false, traceURL = "" }) {
    this.group = group;
    this.title = title;
    this.options = { axes: [{ unit }], stacked };
    this.traceURL = traceURL;
    this.times = [];
    this.series = [];
    this.layers = [];
    this.hidden = new Set();
    this.stale = true;
    this.width = this.height = 0;
    this.base = document.createElement("canvas"); // the data, without the crosshair

    this.figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    caption.textContent = title;
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", title);
    this.legend = document.createElement("ul");
    this.legend.className = "legend";
    this.hint = document.createElement("p");
    this.hint.className = "hint";
    this.hint.hidden = true;
    this.figure.append(caption, this.canvas, this.hint, this.legend);
    host.append(this.figure);

    this.listen();
    new ResizeObserver(() => group.draw()).observe(this.canvas);
    new IntersectionObserver(() => group.draw()).observe(this.canvas);
    group.add(this);
  }

  // set takes the times in ms and series: [{name, values}], with one value (or null) for each of times. A series may
  // also have a color, a style (line, bars or points), dash, width, fill, stairs, dots, span, axis and calcs
  // ([{name, value}]). Options
  // are stacked, gap (ms after which a line breaks), thresholds, exemplars, heat ({bounds, counts}) and axes, of which
  // each has a unit and may have a min, max, softMin, softMax, label and log.
  set(times, series, options = {}) {
    this.times = times;
    this.series = series;
    this.options = { ...this.options, ...options };
    this.stack();
    this.group.draw();
  }

  // stack lays the visible series upon each other, if they are stacked, positive and negative ones apart.
  stack() {
    const n = this.times.length;
    const above = new Float64Array(n);
    const below = new Float64Array(n);
    this.layers = [];
    this.series.forEach((s, i) => {
      if (this.hidden.has(s.name)) return;
      const upper = new Float64Array(n);
      const lower = new Float64Array(n);
      for (let k = 0; k < n; k++) {
        const v = s.values[k] ?? NaN;
        const sum = v < 0 ? below : above;
        if (this.options.stacked) lower[k] = sum[k];
        upper[k] = v + lower[k];
        if (this.options.stacked && !Number.isNaN(v)) sum[k] += v;
      }
      this.layers.push({ series: s, index: i, upper, lower });
    });
    this.stale = true;
  }

  listen() {
    const c = this.canvas;
    let from = null;
    c.addEventListener("pointerdown", (e) => {
      from = e.offsetX;
      c.setPointerCapture(e.pointerId);
    });
    c.addEventListener("pointermove", (e) => {
      this.selected = from === null || Math.abs(e.offsetX - from) < 5 ? null : [from, e.offsetX];
      this.y = e.offsetY;
      c.style.cursor = this.exemplarAt(e.offsetX, e.offsetY) ? "pointer" : "";
      this.group.point(this.timeAt(e.offsetX));
    });
    c.addEventListener("pointerup", (e) => {
      const selected = this.selected;
      from = this.selected = null;
      if (selected) this.group.zoom(selected.map((x) => this.timeAt(x)).sort((a, b) => a - b));
      else this.open(this.exemplarAt(e.offsetX, e.offsetY));
    });
    c.addEventListener("pointercancel", () => (from = this.selected = null));
    c.addEventListener("pointerleave", () => {
      this.y = undefined;
      this.group.point(null);
    });
    c.addEventListener("dblclick", () => this.group.zoom(null));
    c.addEventListener("wheel", (e) => {
      if (!e.ctrlKey && !e.shiftKey) return; // the page scrolls
      e.preventDefault();
      const [first, last] = this.extent();
      const at = this.timeAt(e.offsetX);
      const by = (e.deltaY || e.deltaX) > 0 ? 1.25 : 0.8;
      if (e.ctrlKey) this.group.zoom([at - (at - first) * by, at + (last - at) * by]);
      else this.group.zoom([first, last].map((t) => t + (last - first) * (by - 1)));
    }, { passive: false });
    c.addEventListener("keydown", (e) => this.key(e));
  }

  // key moves the crosshair, pans, zooms and opens exemplars by the keyboard.
  key(e) {
    const [first, last] = this.extent();
    const step = (last - first) / 60;
    const at = this.group.at ?? last;
    const moves = { ArrowLeft: -step, ArrowRight: step };
    if (e.key in moves && e.shiftKey) this.group.zoom([first + 6 * moves[e.key], last + 6 * moves[e.key]]);
    else if (e.key in moves) this.group.point(Math.min(Math.max(at + moves[e.key], first), last));
    else if (e.key === "+") this.group.zoom([at - (at - first) / 2, at + (last - at) / 2]);
    else if (e.key === "-") this.group.zoom([first - (last - first) / 2, last + (last - first) / 2]);
    else if (e.key === "Escape" || e.key === "0") this.group.zoom(null);
    else if (e.key === "Enter") this.open(this.exemplarNear(at));
    else return;
    e.preventDefault();
  }

  open(exemplar) {
    if (exemplar && this.traceURL) location.assign(this.traceURL + encodeURIComponent(exemplar.trace));
  }

  exemplarAt(x, y) {
    return (this.dots ?? []).find((d) => Math.abs(d.x - x) <= 7 && Math.abs(d.y - y) <= 7)?.exemplar;
  }

  exemplarNear(at) {
    let best;
    for (const d of this.dots ?? []) if (!best || Math.abs(d.exemplar.at - at) < Math.abs(best.exemplar.at - at)) best = d;
    return best?.exemplar;
  }

  // extent is what the horizontal axis spans.
  extent() {
    if (this.group.range ?? this.group.whole) return this.group.range ?? this.group.whole;
    const last = this.times.at(-1) ?? Date.now();
    return [Math.min(this.times[0] ?? last, last - 60_000), last];
  }

  right() {
    return this.options.axes.length > 1 ? margin.left : margin.right;
  }

  timeAt(x) {
    const [first, last] = this.extent();
    return first + ((x - margin.left) / (this.width - margin.left - this.right())) * (last - first);
  }

  // measure asks how large the chart is, and returns whether it is in view. It is painted once it is scrolled there.
  measure() {
    const { top, bottom } = this.canvas.getBoundingClientRect();
    [this.width, this.height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    return this.width > 0 && bottom >= 0 && top <= innerHeight;
  }

  paint() {
    const { width, height } = this;
    const ratio = devicePixelRatio || 1;
    const [first, last] = this.extent();
    const shape = [width, height, ratio, first, last].join();
    if (this.stale || this.shape !== shape) {
      this.stale = false;
      this.shape = shape;
      this.paintBase(empty(this.base, width, height, ratio), ratio, first, last);
    }
    const g = empty(this.canvas, width, height, ratio);
    g.drawImage(this.base, 0, 0, width, height);
    this.paintCrosshair(g, height);
  }

  paintBase(g, ratio, first, last) {
    const { width, height } = this;
    this.ink = getComputedStyle(this.legend).color;
    this.line = getComputedStyle(this.figure).borderTopColor;
    const right = width - this.right();
    this.x = (t) => margin.left + ((t - first) / (last - first)) * (right - margin.left);
    const [from, to] = visible(this.times, first, last);
    const bottom = height - margin.bottom;
    this.scales = this.options.heat ? [this.heatScale(bottom)] : this.options.axes.map((axis, i) => this.scale(axis, i, from, to, bottom));

    g.font = "11px system-ui, sans-serif";
    g.textBaseline = "middle";
    this.scales.forEach((scale, i) => {
      g.textAlign = i ? "left" : "right";
      for (const { at, text } of scale.ticks) {
        g.fillStyle = this.line;
        if (!i) g.fillRect(margin.left, Math.round(at), right - margin.left, 1);
        g.fillStyle = this.ink;
        g.fillText(text, i ? right + 6 : margin.left - 6, at);
      }
    });
    this.paintTimes(g, first, last, width, height);
    g.save();
    g.beginPath();
    g.rect(margin.left, 0, right - margin.left, bottom + 1);
    g.clip();
    this.paintMarks(g, bottom);
    if (!this.options.heat) this.paintThresholds(g, right);
    this.paintData(g, ratio, from, to, right, bottom);
    this.paintExemplars(g, first, last);
    g.restore();
  }

  // paintData draws what the chart is about, in pixels of the device, of which there are ratio to each of the page's.
  paintData(g, ratio, from, to, right, bottom) {
    const { raster } = this.group;
    raster.clear(Math.max(Math.round((right - margin.left) * ratio), 1), Math.max(Math.round((bottom + 1) * ratio), 1));
    const plot = new Plot(raster, ratio, { times: this.times, from, to, x: (t) => this.x(t) - margin.left });
    const { heat, gap } = this.options;
    if (heat) plot.heat(heat.counts, this.scales[0].row, gap / 2.5 || 1, theme.matches);
    for (const layer of this.layers) {
      const { y } = this.scales[layer.series.axis ?? 0] ?? this.scales[0];
      plot.layer({ ...layer, y, ...this.lookOf(layer), colour: sharesOf(g, this.colourOf(layer.series, layer.index)) });
    }
    g.save();
    g.setTransform(1, 0, 0, 1, 0, 0);
    raster.drawOn(g, Math.round(margin.left * ratio), 0);
    g.restore();
  }

  // lookOf is how a series is drawn. Where more lines than there are colours would each fill the area below, the areas
  // only dim each other, and are left out.
  lookOf({ series: s, index }) {
    const { gap, stacked } = this.options;
    const crowded = !stacked && s.style !== "bars" && this.layers.length > palettes.light.length;
    return {
      style: s.style, stairs: s.stairs, dots: s.dots, width: s.width || 1.5,
      fill: crowded ? 0 : s.fill ?? (s.style === "bars" ? 0.8 : stacked ? 0.35 : 0),
      dash: dashes[s.dash] ?? (s.color ? null : [null, dashes.dash, dashes.dot][Math.floor(index / 8) % 3]),
      gap: s.span || gap || 5000, // without one, in a longer break nobody looked
    };
  }

  // scale places the values of the series of one axis. Zero is part of it, unless it is logarithmic.
  scale(axis, index, from, to, bottom) {
    let low = axis.softMin ?? 0;
    let high = axis.softMax ?? 0;
    let least = Infinity;
    for (const { series, upper, lower } of this.layers) {
      if ((series.axis ?? 0) !== index) continue;
      for (let k = from; k < to; k++) {
        if (Number.isNaN(upper[k])) continue;
        low = Math.min(low, upper[k], lower[k]);
        high = Math.max(high, upper[k], lower[k]);
        if (upper[k] > 0) least = Math.min(least, upper[k]);
      }
    }
    if (axis.log && least < Infinity) return logScale(axis, least, Math.max(high, least * 10), bottom);
    for (const t of index ? [] : this.options.thresholds ?? []) {
      if (t.line && t.value <= high * 3) high = Math.max(high, t.value); // one that is far away would hide the rest
    }
    const steps = ticks(axis.min ?? low, axis.max ?? high, axis.unit.base);
    low = axis.min ?? steps[0];
    high = axis.max ?? steps.at(-1);
    const y = (v) => bottom - ((v - low) / (high - low || 1)) * (bottom - margin.top);
    return { y, ticks: steps.filter((v) => v >= low && v <= high).map((v) => ({ at: y(v), text: axis.unit(v) })) };
  }

  heatScale(bottom) {
    const { bounds } = this.options.heat;
    const rows = Math.max(bounds.length - 1, 1);
    const row = (i) => bottom - (i / rows) * (bottom - margin.top);
    const every = Math.ceil(bounds.length / 6);
    const y = (v) => { // of a value, such as an exemplar's
      const i = bounds.findIndex((b) => v <= b);
      if (i <= 0) return row(i ? rows : 0);
      const [low, high] = [bounds[i - 1], bounds[i]];
      return row(i - 1 + (low > 0 ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low)));
    };
    const labels = bounds.map((b, i) => ({ at: row(i), text: this.options.axes[0].unit(b) })).filter((_, i) => i % every === 0);
    return { y, row, ticks: labels };
  }

  paintThresholds(g, right) {
    const list = this.options.thresholds ?? [];
    const [{ y }] = this.scales;
    list.forEach((t, i) => {
      const colour = this.colour(t.color);
      if (!colour) return;
      g.strokeStyle = g.fillStyle = colour;
      if (t.area) {
        const top = i + 1 < list.length ? y(list[i + 1].value) : 0;
        g.globalAlpha = 0.1;
        g.fillRect(margin.left, top, right - margin.left, Math.max(y(t.value) - top, 0));
        g.globalAlpha = 1;
      }
      if (t.line) {
        g.lineWidth = 1;
        g.setLineDash([8, 4]);
        g.beginPath();
        g.moveTo(margin.left, y(t.value));
        g.lineTo(right, y(t.value));
        g.stroke();
        g.setLineDash([]);
      }
    });
  }

  // paintMarks paints a band above the plot for each mark, and a line where it begins.
  paintMarks(g, bottom) {
    for (const m of this.group.marks) {
      const left = this.x(m.from);
      g.fillStyle = this.colour(m.color) || this.ink;
      g.fillRect(left, 1 + lane.every * m.lane, Math.max(this.x(m.to) - left, lane.height), lane.height);
      g.globalAlpha = 0.35; // where it begins, through the data
      g.fillRect(Math.round(left), margin.top, 1, bottom - margin.top);
      g.globalAlpha = 1;
    }
  }

  paintExemplars(g, first, last) {
    this.dots = [];
    for (const exemplar of this.options.exemplars ?? []) {
      if (exemplar.at < first || exemplar.at > last || exemplar.value === null) continue;
      const [x, y] = [this.x(exemplar.at), Math.max(this.scales[0].y(exemplar.value), margin.top)];
      this.dots.push({ x, y, exemplar });
      g.beginPath();
      for (const [dx, dy] of [[0, -4], [4, 0], [0, 4], [-4, 0]]) g.lineTo(x + dx, y + dy);
      g.closePath();
      g.fillStyle = palettes[theme.matches ? "dark" : "light"][5];
      g.fill();
      g.strokeStyle = this.ink;
      g.lineWidth = 0.7;
      g.stroke();
    }
  }

  paintTimes(g, first, last, width, height) {
    g.fillStyle = this.ink;
    g.textAlign = "center";
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800, 2592000].map((s) => s * 1000);
    const step = steps.find((s) => (last - first) / s <= Math.max(2, width / 90)) ?? steps.at(-1);
    const zone = new Date(last).getTimezoneOffset() * 60_000;
    for (let t = Math.ceil((first - zone) / step) * step + zone; t <= last; t += step) {
      const edge = Math.min(Math.max(this.x(t), margin.left + 20), width - 24);
      g.fillText(step >= 86400_000 ? day(t) : clock(t, step < 60_000), edge, height - margin.bottom / 2);
    }
  }

  paintCrosshair(g, height) {
    const span = height - margin.top - margin.bottom;
    if (this.selected) {
      g.fillStyle = palettes.light[0];
      g.globalAlpha = 0.2;
      g.fillRect(Math.min(...this.selected), margin.top, Math.abs(this.selected[1] - this.selected[0]), span);
      g.globalAlpha = 1;
    }
    if (this.group.at === null) return;
    const x = this.x(this.group.at);
    if (x < margin.left) return;
    g.strokeStyle = this.ink;
    g.lineWidth = 1;
    g.setLineDash([3, 3]);
    g.beginPath();
    g.moveTo(x, margin.top);
    g.lineTo(x, margin.top + span);
    g.stroke();
    g.setLineDash([]);
  }

  // colour resolves a word of the style sheet (good, bad, …), p0 to p7 of the palette, or a colour.
  colour(name) {
    if (!name || name.startsWith("#") || name.startsWith("rgb")) return name;
    if (/^p[0-7]$/.test(name)) return palettes[theme.matches ? "dark" : "light"][name[1]];
    const { colours } = this.group;
    if (!colours.has(name)) {
      const before = this.legend.style.color;
      this.legend.style.color = `var(--${name}, var(--accent))`;
      colours.set(name, getComputedStyle(this.legend).color);
      this.legend.style.color = before;
    }
    return colours.get(name);
  }

  colourOf(series, index) {
    const palette = palettes[theme.matches ? "dark" : "light"];
    return this.colour(series.color) || palette[index % palette.length];
  }

  // label writes the values under the crosshair, or the newest ones, into the legend.
  label() {
    const at = this.group.at;
    const k = at === null ? this.times.length - 1 : nearest(this.times, at);
    const time = at === null || k < 0 ? "" : ` at ${clock(this.times[k], true)}`;
    const marks = this.marksAt(at);
    const said = this.options.heat ? [this.labelHeat(k)] : this.labelSeries(k);
    said.push(...marks.map(saidOf));
    if (this.options.exemplars?.length) said.push(`${this.options.exemplars.length} traces, Enter opens the nearest`);
    this.tell(marks);
    const label = `${this.title}${time}: ${said.filter(Boolean).join(", ")}`;
    if (this.canvas.getAttribute("aria-label") !== label) this.canvas.setAttribute("aria-label", label);
  }

  // marksAt are the marks at a time, or some pixels from it.
  marksAt(at) {
    if (at === null) return [];
    const slack = this.timeAt(lane.every) - this.timeAt(0);
    return this.group.marks.filter((m) => at >= m.from - slack && at <= m.to + slack);
  }

  // tell says beside the pointer what the marks are, if it is at their bands.
  tell(marks) {
    const text = this.y < margin.top ? marks.map(saidOf).join("\n") : "";
    if (this.hint.textContent !== text) this.hint.textContent = text;
    this.hint.hidden = !text;
    if (!text) return;
    const x = this.x(this.group.at);
    this.hint.style.left = x < this.width / 2 ? `${x}px` : "";
    this.hint.style.right = x < this.width / 2 ? "" : `${this.width - x}px`;
    this.hint.style.top = `${this.canvas.offsetTop + margin.top + 2}px`;
  }

  labelSeries(k) {
    const shown = this.series.filter((s) => !s.hidden);
    const names = JSON.stringify([theme.matches, shown.map((s) => [s.name, s.color, s.calcs])]);
    if (this.names !== names) {
      this.names = names;
      this.legend.replaceChildren(...shown.map((s) => this.entry(s)));
    }
    return shown.map((s, i) => {
      const v = s.values[k];
      const { unit } = this.options.axes[s.axis ?? 0] ?? this.options.axes[0];
      const text = v === null || v === undefined ? "–" : unit(v);
      const cell = this.legend.children[i].querySelector("b");
      if (cell.textContent !== text) cell.textContent = text;
      return `${s.name} ${text}`;
    });
  }

  // labelHeat says how many were where the pointer is, or else in the fullest row.
  labelHeat(k) {
    const { bounds, counts } = this.options.heat;
    const column = counts[k] ?? [];
    const { row } = this.scales[0];
    let i = column.indexOf(Math.max(...column));
    if (this.y !== undefined && this.group.at !== null) i = bounds.findIndex((_, n) => n + 1 < bounds.length && this.y <= row(n) && this.y > row(n + 1));
    const { unit } = this.options.axes[0];
    const text = i < 0 || !column.length ? "–" : `${unit(bounds[i])} to ${unit(bounds[i + 1])}: ${plain(column[i])}`;
    if (this.legend.textContent !== text) this.legend.replaceChildren(Object.assign(document.createElement("li"), { textContent: text }));
    return text;
  }

  entry(series) {
    const { name } = series;
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
    const swatch = document.createElement("i");
    const index = this.series.indexOf(series);
    const colour = this.colourOf(series, index);
    if (series.dash || (!series.color && index >= 8)) swatch.style.border = `2px ${series.dash === "dot" || index >= 16 ? "dotted" : "dashed"} ${colour}`;
    else swatch.style.background = colour;
    button.append(swatch, `${name} `, document.createElement("b"));
    for (const { name: calc, value } of series.calcs ?? []) {
      const { unit } = this.options.axes[series.axis ?? 0] ?? this.options.axes[0];
      button.append(` ${calc} ${value === null ? "–" : unit(value)}`);
    }
    button.addEventListener("click", () => {
      const shown = this.hidden.delete(name);
      if (!shown) this.hidden.add(name);
      button.setAttribute("aria-pressed", String(shown));
      this.stack();
      this.group.draw();
    });
    item.append(button);
    return item;
  }
}

// inLanes lays marks beside each other that are at the same time.
function inLanes(marks) {
  const ends = []; // of what is in each lane so far
  return marks.toSorted((a, b) => a.from - b.from).map((m) => {
    const free = ends.findIndex((end) => end < m.from);
    const at = free < 0 ? Math.min(ends.length, lane.most - 1) : free;
    ends[at] = Math.max(ends[at] ?? m.to, m.to);
    return { ...m, lane: at };
  });
}

// saidOf puts a mark into words.
function saidOf({ title, text, from, to }) {
  const times = to > from ? `${clock(from, true)} to ${clock(to, true)}` : clock(from, true);
  return `${[title, text].filter(Boolean).join(" ")}, ${times}`;
}

// logScale has a tick for each power of ten, or for some of them.
function logScale(axis, low, high, bottom) {
  const [from, to] = [Math.floor(Math.log10(axis.min ?? low)), Math.ceil(Math.log10(axis.max ?? high))];
  const y = (v) => bottom - ((Math.log10(Math.max(v, 10 ** from)) - from) / (to - from)) * (bottom - margin.top);
  const every = Math.ceil((to - from) / 6);
  const list = [];
  for (let p = from; p <= to; p += every) list.push({ at: y(10 ** p), text: axis.unit(10 ** p) });
  return { y, ticks: list };
}

// empty makes a canvas so large and empty, and returns its context in pixels of the page.
function empty(canvas, width, height, ratio) {
  const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
  const g = canvas.getContext("2d");
  if (canvas.width !== across || canvas.height !== down) [canvas.width, canvas.height] = [across, down];
  g.setTransform(1, 0, 0, 1, 0, 0);
  g.clearRect(0, 0, across, down);
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  return g;
}
