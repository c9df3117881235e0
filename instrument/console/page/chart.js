// Charts on a canvas: lines or stacked areas over time. All charts of a page share one time range and one crosshair, as
// members of a Group. Text and grid take their colours from the page's style sheet.
"use strict";

// Okabe and Ito's colours, which people with any colour vision can tell apart.
const palette = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#999933", "#882255"];

const margin = { left: 58, right: 10, top: 10, bottom: 22 };

// A Group keeps its charts in step.
export class Group {
  constructor() {
    this.charts = [];
    this.range = null; // [from, to] in ms, null for everything
    this.at = null; // of the crosshair, in ms
    this.waiting = false;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  add(chart) {
    this.charts.push(chart);
  }

  // draw redraws everything in the next frame, however often it is called before.
  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      for (const chart of this.charts) chart.paint();
    });
  }

  zoom(range) {
    this.range = range;
    this.draw();
  }

  point(at) {
    this.at = at;
    this.draw();
  }
}

// A Chart draws series: [{name, values}], with one value (or null) for each of times.
export class Chart {
  constructor(group, host, { title, unit = plain, stacked = false }) {
    this.group = group;
    this.unit = unit;
    this.stacked = stacked;
    this.times = [];
    this.series = [];
    this.hidden = new Set();

    this.figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    caption.textContent = title;
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", title);
    this.legend = document.createElement("ul");
    this.legend.className = "legend";
    this.figure.append(caption, this.canvas, this.legend);
    host.append(this.figure);

    this.listen();
    new ResizeObserver(() => group.draw()).observe(this.figure);
    group.add(this);
  }

  set(times, series) {
    this.times = times;
    this.series = series;
    this.group.draw();
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
      this.group.point(this.timeAt(e.offsetX));
    });
    c.addEventListener("pointerup", (e) => {
      const selected = this.selected;
      from = this.selected = null;
      if (selected) this.group.zoom(selected.map((x) => this.timeAt(x)).sort((a, b) => a - b));
    });
    c.addEventListener("pointercancel", () => (from = this.selected = null));
    c.addEventListener("pointerleave", () => this.group.point(null));
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

  // key moves the crosshair, pans and zooms by the keyboard.
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
    else return;
    e.preventDefault();
  }

  // extent is what the horizontal axis spans.
  extent() {
    if (this.group.range) return this.group.range;
    const last = this.times.at(-1) ?? Date.now();
    return [Math.min(this.times[0] ?? last, last - 60_000), last];
  }

  timeAt(x) {
    const [first, last] = this.extent();
    const width = this.canvas.clientWidth - margin.left - margin.right;
    return first + ((x - margin.left) / width) * (last - first);
  }

  paint() {
    const ratio = devicePixelRatio || 1;
    const width = this.canvas.clientWidth;
    const height = this.canvas.clientHeight;
    if (!width) return;
    if (this.canvas.width !== Math.round(width * ratio)) this.canvas.width = Math.round(width * ratio);
    if (this.canvas.height !== Math.round(height * ratio)) this.canvas.height = Math.round(height * ratio);
    const g = this.canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, height);

    const ink = getComputedStyle(this.legend).color;
    const line = getComputedStyle(this.figure).borderTopColor;
    const [first, last] = this.extent();
    const [from, to] = visible(this.times, first, last);
    const layers = this.layers(from, to);
    const top = ceiling(layers.flatMap((l) => l.upper));
    const x = (t) => margin.left + ((t - first) / (last - first)) * (width - margin.left - margin.right);
    const y = (v) => height - margin.bottom - (v / top) * (height - margin.top - margin.bottom);

    g.font = "11px system-ui, sans-serif";
    g.textBaseline = "middle";
    g.textAlign = "right";
    for (let i = 0; i <= 4; i++) {
      const v = (top * i) / 4;
      g.fillStyle = line;
      g.fillRect(margin.left, Math.round(y(v)), width - margin.left - margin.right, 1);
      g.fillStyle = ink;
      g.fillText(this.unit(v), margin.left - 6, y(v));
    }
    this.paintTimes(g, x, first, last, height, ink);
    g.save();
    g.beginPath();
    g.rect(margin.left, 0, width - margin.left - margin.right, height - margin.bottom + 1);
    g.clip();
    for (const layer of layers) this.paintLayer(g, layer, from, x, y);
    g.restore();
    this.paintCrosshair(g, x, height, ink);
    this.label();
  }

  // layers are the visible series with what is below them, from the bottom up.
  layers(from, to) {
    const layers = [];
    let below = null;
    this.series.forEach((s, i) => {
      if (this.hidden.has(s.name)) return;
      const values = s.values.slice(from, to);
      const lower = this.stacked && below;
      const upper = values.map((v, k) => (v === null ? null : v + (lower ? lower[k] ?? 0 : 0)));
      layers.push({ colour: palette[i % palette.length], upper, lower });
      if (this.stacked) below = upper.map((v, k) => v ?? (lower ? lower[k] : 0));
    });
    return layers;
  }

  paintLayer(g, layer, from, x, y) {
    g.strokeStyle = g.fillStyle = layer.colour;
    g.lineWidth = 1.5;
    g.lineJoin = "round";
    let start = null;
    const finish = (end) => {
      if (start === null) return;
      g.beginPath();
      for (let k = start; k < end; k++) g.lineTo(x(this.times[from + k]), y(layer.upper[k]));
      if (end - start === 1) g.arc(x(this.times[from + start]), y(layer.upper[start]), 1, 0, 7);
      g.stroke();
      if (this.stacked) {
        for (let k = end - 1; k >= start; k--) g.lineTo(x(this.times[from + k]), y(layer.lower ? layer.lower[k] ?? 0 : 0));
        g.globalAlpha = 0.35;
        g.fill();
        g.globalAlpha = 1;
      }
      start = null;
    };
    for (let k = 0; k < layer.upper.length; k++) {
      // A break of more than five seconds is one in which nobody looked.
      const gap = k > 0 && this.times[from + k] - this.times[from + k - 1] > 5000;
      if (layer.upper[k] === null || gap) finish(k);
      if (layer.upper[k] !== null && start === null) start = k;
    }
    finish(layer.upper.length);
  }

  paintTimes(g, x, first, last, height, ink) {
    g.fillStyle = ink;
    g.textAlign = "center";
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400].map((s) => s * 1000);
    const step = steps.find((s) => (last - first) / s <= Math.max(2, this.canvas.clientWidth / 90)) ?? steps.at(-1);
    for (let t = Math.ceil(first / step) * step; t <= last; t += step) {
      const edge = Math.min(Math.max(x(t), margin.left + 20), this.canvas.clientWidth - 24);
      g.fillText(clock(t, step < 60_000), edge, height - margin.bottom / 2);
    }
  }

  paintCrosshair(g, x, height, ink) {
    if (this.selected) {
      g.fillStyle = palette[0];
      g.globalAlpha = 0.2;
      g.fillRect(Math.min(...this.selected), margin.top, Math.abs(this.selected[1] - this.selected[0]), height - margin.top - margin.bottom);
      g.globalAlpha = 1;
    }
    if (this.group.at === null) return;
    g.strokeStyle = ink;
    g.lineWidth = 1;
    g.setLineDash([3, 3]);
    g.beginPath();
    g.moveTo(x(this.group.at), margin.top);
    g.lineTo(x(this.group.at), height - margin.bottom);
    g.stroke();
    g.setLineDash([]);
  }

  // label writes the values under the crosshair, or the newest ones, into the legend.
  label() {
    const k = this.group.at === null ? this.times.length - 1 : nearest(this.times, this.group.at);
    const names = this.series.map((s) => s.name).join("\n");
    if (this.names !== names) {
      this.names = names;
      this.legend.replaceChildren(...this.series.map((s, i) => this.entry(s.name, palette[i % palette.length])));
    }
    this.series.forEach((s, i) => {
      const v = s.values[k];
      const text = v === null || v === undefined ? "–" : this.unit(v);
      const cell = this.legend.children[i].querySelector("b");
      if (cell.textContent !== text) cell.textContent = text;
    });
    const time = this.group.at === null || k < 0 ? "" : ` at ${clock(this.times[k], true)}`;
    this.canvas.setAttribute("aria-label", this.figure.firstChild.textContent + time + ": " +
      this.series.map((s, i) => `${s.name} ${this.legend.children[i].querySelector("b").textContent}`).join(", "));
  }

  entry(name, colour) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    const swatch = document.createElement("i");
    swatch.style.background = colour;
    button.append(swatch, `${name} `, document.createElement("b"));
    button.addEventListener("click", () => {
      const shown = this.hidden.delete(name);
      if (!shown) this.hidden.add(name);
      button.setAttribute("aria-pressed", String(shown));
      this.group.draw();
    });
    item.append(button);
    return item;
  }
}

// visible is the range of indices that a chart draws: what is between two times, and one more on each side.
export function visible(times, first, last) {
  let from = lowerBound(times, first);
  let to = lowerBound(times, last);
  if (from > 0) from--;
  return [from, Math.min(to + 1, times.length)];
}

function lowerBound(times, t) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < t) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function nearest(times, t) {
  const k = lowerBound(times, t);
  if (k === 0) return times.length ? 0 : -1;
  if (k === times.length) return k - 1;
  return times[k] - t < t - times[k - 1] ? k : k - 1;
}

// ceiling is a round number that no value exceeds.
export function ceiling(values) {
  const most = values.reduce((m, v) => Math.max(m, v ?? 0), 0);
  if (most === 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 2.5, 4, 5, 8, 10].map((f) => f * power).find((v) => v >= most * 0.9999);
}

function clock(ms, withSeconds) {
  const two = (n) => String(n).padStart(2, "0");
  const t = new Date(ms);
  return `${two(t.getHours())}:${two(t.getMinutes())}` + (withSeconds ? `:${two(t.getSeconds())}` : "");
}

// The units of the vertical axis.
export function plain(v) {
  if (v >= 1e6) return `${short(v / 1e6)} M`;
  if (v >= 1e4) return `${short(v / 1e3)} k`;
  return short(v);
}

export function seconds(v) {
  if (v === 0) return "0";
  if (v < 1e-3) return `${short(v * 1e6)} µs`;
  if (v < 1) return `${short(v * 1e3)} ms`;
  if (v < 120) return `${short(v)} s`;
  if (v < 7200) return `${short(v / 60)} min`;
  if (v < 172800) return `${short(v / 3600)} h`;
  return `${short(v / 86400)} d`;
}

export function bytes(v) {
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (v < 1024 || unit === "GiB") return `${short(v)} ${unit}`;
    v /= 1024;
  }
  return "";
}

function short(v) {
  if (Number.isInteger(v)) return String(v);
  return v >= 100 ? v.toFixed(0) : String(Number(v.toPrecision(3)));
}
