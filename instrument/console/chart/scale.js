// What charts write and where: ticks, times and units. Nothing here knows of a page.
"use strict";

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

// ticks are four to eight round numbers around a range. Of bytes, they are round in multiples of 1024.
export function ticks(low, high, base = 10) {
  if (!(high > low)) high = low + (Math.abs(low) || 1);
  const rough = (high - low) / 5;
  const power = base === 1024 ? 1024 ** Math.max(Math.floor(Math.log(Math.max(high, -low)) / Math.log(1024)), 0) : 1;
  const ten = 10 ** Math.floor(Math.log10(rough / power));
  const step = [1, 2, 2.5, 5, 10].map((f) => f * ten * power).find((s) => s >= rough * 0.9999);
  const list = [];
  for (let i = Math.floor(low / step + 1e-9); ; i++) {
    list.push(Number((i * step).toPrecision(12)));
    if (i * step >= high * (high > 0 ? 0.9999 : 1.0001)) return list;
  }
}

function two(n) {
  return String(n).padStart(2, "0");
}

export function clock(ms, withSeconds) {
  const t = new Date(ms);
  return `${two(t.getHours())}:${two(t.getMinutes())}` + (withSeconds ? `:${two(t.getSeconds())}` : "");
}

export function day(ms) {
  const t = new Date(ms);
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}`;
}

// The units of the vertical axis.
export function plain(v) {
  const size = Math.abs(v);
  if (size >= 1e9) return `${short(v / 1e9)} G`;
  if (size >= 1e6) return `${short(v / 1e6)} M`;
  if (size >= 1e4) return `${short(v / 1e3)} k`;
  return short(v);
}

export function seconds(v) {
  const size = Math.abs(v);
  if (size === 0) return "0";
  if (size < 1e-6) return `${short(v * 1e9)} ns`;
  if (size < 1e-3) return `${short(v * 1e6)} µs`;
  if (size < 1) return `${short(v * 1e3)} ms`;
  if (size < 120) return `${short(v)} s`;
  if (size < 7200) return `${short(v / 60)} min`;
  if (size < 172800) return `${short(v / 3600)} h`;
  return `${short(v / 86400)} d`;
}

export function bytes(v) {
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (Math.abs(v) < 1024 || unit === "GiB") return `${short(v)} ${unit}`;
    v /= 1024;
  }
  return "";
}
bytes.base = 1024;

// unitOf returns the function that writes a number as a description says: {form, factor, prefix, suffix, decimals}.
export function unitOf({ form, factor = 1, prefix = "", suffix = "", decimals }) {
  const forms = {
    number: decimals === undefined ? plain : (v) => (Math.abs(v) < 1e4 ? v.toFixed(decimals) : plain(v)),
    plain: (v) => (decimals === undefined ? short(v) : v.toFixed(decimals)),
    seconds, bytes,
    time: (v) => `${day(v * 1000)} ${clock(v * 1000, true)}`,
  };
  const write = forms[form] ?? plain;
  const unit = (v) => {
    const text = write(v * factor);
    // As in 12 kB/s, but 12%.
    const space = /^[A-Za-z]/.test(suffix) && !/[A-Za-z]$/.test(text) ? " " : "";
    return prefix + text + space + suffix;
  };
  unit.base = write.base;
  return unit;
}

function short(v) {
  if (Number.isInteger(v)) return String(v);
  return Math.abs(v) >= 100 ? v.toFixed(0) : String(Number(v.toPrecision(3)));
}
