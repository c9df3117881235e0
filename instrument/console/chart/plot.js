// The data of a chart, drawn on a raster.
"use strict";

// From few to many, with nothing but lightness to tell them apart.
const ramps = {
  light: [[222, 235, 247], [107, 174, 214], [33, 113, 181], [8, 48, 107], [60, 10, 80]],
  dark: [[24, 48, 66], [24, 98, 138], [45, 155, 190], [130, 215, 200], [253, 240, 160]],
};

// A Plot draws the values at times from one index to another. X places a time, in pixels of the page, of which each is as
// wide as ratio of the raster's.
export class Plot {
  constructor(raster, ratio, { times, from, to, x }) {
    Object.assign(this, { raster, ratio, times, from, to });
    this.x = (t) => x(t) * ratio;
    this.run = new Run(2 * (to - from));
  }

  // heat draws a box for each count, between the rows of its bounds, for so many ms before its time.
  heat(counts, row, step, dark) {
    let most = 0;
    for (let k = this.from; k < this.to; k++) for (const n of counts[k] ?? []) most = Math.max(most, n);
    if (!most) return;
    const ramp = ramps[dark ? "dark" : "light"];
    for (let k = this.from; k < this.to; k++) {
      const left = this.x(this.times[k] - step);
      const right = Math.max(this.x(this.times[k]), left + 1);
      (counts[k] ?? []).forEach((n, i) => {
        if (!(n > 0)) return;
        this.raster.use(mix(ramp, Math.sqrt(n / most)));
        this.raster.box(left, row(i + 1) * this.ratio, right, row(i) * this.ratio);
      });
    }
  }

  // layer draws a series as bars, points or lines, of which each ends in a break that is longer than its gap.
  layer(layer) {
    if (layer.style === "bars") return this.bars(layer);
    const { upper, lower, y, gap, stairs } = layer;
    const { run, ratio, times } = this;
    let before = 0; // the time of the last point
    for (let k = this.from; k < this.to; k++) {
      if (Number.isNaN(upper[k])) continue;
      if (run.n && times[k] - before > gap) this.finish(layer);
      before = times[k];
      run.add(this.x(before), y(upper[k]) * ratio, y(lower[k]) * ratio, stairs);
    }
    this.finish(layer);
  }

  // finish draws the points without a break that there are by now.
  finish({ style, colour, fill, width, dash, dots }) {
    const { raster, run, ratio } = this;
    if (run.n && style !== "points") {
      if (fill) {
        raster.use(colour, fill);
        raster.area(run.xs, run.upper, run.lower, run.n);
      }
      raster.use(colour);
      raster.line(run.xs, run.upper, run.n, width * ratio, dash?.map((n) => n * ratio));
    }
    if (run.n === 1 || dots || style === "points") {
      raster.use(colour);
      for (let i = 0; i < run.n; i++) raster.dot(run.xs[i], run.upper[i], (style === "points" ? 2.5 : 1.5) * ratio);
    }
    run.n = 0;
  }

  bars({ upper, lower, y, colour, fill }) {
    const { times, ratio } = this;
    this.raster.use(colour, Math.max(fill, 0.2));
    const half = Math.max(times.length > 1 ? (this.x(times[1]) - this.x(times[0])) * 0.4 : 3 * ratio, ratio / 2);
    for (let k = this.from; k < this.to; k++) {
      if (Number.isNaN(upper[k]) || upper[k] === lower[k]) continue;
      const middle = this.x(times[k]);
      const [a, b] = [y(upper[k]) * ratio, y(lower[k]) * ratio];
      this.raster.box(middle - half, Math.min(a, b), middle + half, Math.max(a, b, Math.min(a, b) + 1));
    }
  }
}

// A Run is points of a line without a break.
class Run {
  constructor(most) {
    this.n = 0;
    [this.xs, this.upper, this.lower] = [new Float64Array(most), new Float64Array(most), new Float64Array(most)];
  }

  // add adds a point, and for stairs the corner that leads there.
  add(x, upper, lower, stairs) {
    if (stairs && this.n) this.put(x, this.upper[this.n - 1], this.lower[this.n - 1]);
    this.put(x, upper, lower);
  }

  put(x, upper, lower) {
    this.xs[this.n] = x;
    this.upper[this.n] = upper;
    this.lower[this.n] = lower;
    this.n++;
  }
}

// mix is the colour of a ramp at a share of its length.
function mix(ramp, share) {
  const at = Math.min(share, 1) * (ramp.length - 1);
  const i = Math.min(Math.floor(at), ramp.length - 2);
  return ramp[i].map((c, n) => Math.round(c + (ramp[i + 1][n] - c) * (at - i)));
}

// sharesOf are the red, green and blue of a colour that a canvas can read.
export function sharesOf(g, colour) {
  g.fillStyle = colour; // and is then written in one of two forms
  const text = g.fillStyle;
  if (text.startsWith("#")) return [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
  return text.match(/[\d.]+/g).slice(0, 3).map(Number);
}
