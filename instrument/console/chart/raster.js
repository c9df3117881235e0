// A raster of pixels for lines, areas, dots and boxes. A canvas draws such things well, but without a graphics card it
// takes milliseconds for a line of a thousand points, since it is prepared for paths of any shape. These lines go from left
// to right, so each pixel of theirs is met once.
"use strict";

// A Raster is drawn on in pixels of the device and then put on a canvas. Colours are [red, green, blue], each up to 255.
export class Raster {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.g = this.canvas.getContext("2d", { willReadFrequently: true });
    this.width = this.height = 0;
  }

  // clear makes it so large and empty.
  clear(width, height) {
    if (width === this.width && height === this.height) {
      this.pixels.fill(0);
      return;
    }
    [this.width, this.height] = [this.canvas.width, this.canvas.height] = [width, height];
    this.image = new ImageData(width, height);
    this.rows = new Int32Array(this.image.data.buffer);
    this.pixels = new Int32Array(width * height); // column by column: alpha, blue, green, red, multiplied by alpha
  }

  // use chooses the colour and the opacity, up to 1, of what is drawn from here on.
  use([red, green, blue], opacity = 1) {
    this.redBlue = red | (blue << 16);
    this.greenAlpha = green | (255 << 16);
    this.opacity = 256 * opacity;
  }

  // blend lays the colour over a pixel, of which so much is covered.
  blend(at, covered) {
    const a = (covered * this.opacity) | 0;
    const below = this.pixels[at];
    const redBlue = (Math.imul(this.redBlue, a) + Math.imul(below & 0xff00ff, 256 - a)) >>> 8;
    const greenAlpha = Math.imul(this.greenAlpha, a) + Math.imul((below >>> 8) & 0xff00ff, 256 - a);
    this.pixels[at] = (redBlue & 0xff00ff) | (greenAlpha & 0xff00ff00);
  }

  // column covers a part of a column of pixels.
  column(x, top, bottom) {
    top = Math.max(top, 0);
    bottom = Math.min(bottom, this.height);
    if (!(bottom > top)) return;
    const [first, last] = [Math.ceil(top), Math.floor(bottom)]; // of those that are covered altogether
    if (first > last) return this.blend(x * this.height + last, bottom - top);
    if (first > top) this.blend(x * this.height + first - 1, first - top);
    if (bottom > last) this.blend(x * this.height + last, bottom - last);
    this.blendAll(x * this.height + first, x * this.height + last);
  }

  // blendAll lays the colour over pixels that are covered altogether. Areas consist of little else.
  blendAll(at, end) {
    const a = this.opacity | 0;
    const rest = 256 - a;
    const [redBlue, greenAlpha, { pixels }] = [Math.imul(this.redBlue, a), Math.imul(this.greenAlpha, a), this];
    for (; at < end; at++) {
      const below = pixels[at];
      pixels[at] = (((redBlue + Math.imul(below & 0xff00ff, rest)) >>> 8) & 0xff00ff) | ((greenAlpha + Math.imul((below >>> 8) & 0xff00ff, rest)) & 0xff00ff00);
    }
  }

  // row covers a part of a row of pixels.
  row(y, left, right) {
    left = Math.max(left, 0);
    right = Math.min(right, this.width);
    for (let x = Math.floor(left); x < right; x++) this.blend(x * this.height + y, Math.min(x + 1, right) - Math.max(x, left));
  }

  // box fills a rectangle. Its sides are at whole pixels.
  box(left, top, right, bottom) {
    const last = Math.min(Math.round(right), this.width);
    for (let x = Math.max(Math.round(left), 0); x < last; x++) this.column(x, Math.round(top), Math.round(bottom));
  }

  // dot fills a circle.
  dot(x, y, radius) {
    for (let row = Math.floor(y - radius); row <= y + radius; row++) {
      if (row < 0 || row >= this.height) continue;
      const half = Math.sqrt(Math.max((radius + 0.25) ** 2 - (row + 0.5 - y) ** 2, 0));
      this.row(row, x - half, x + half);
    }
  }

  // area fills what is between two lines over the same xs, of which the first n count.
  area(xs, upper, lower, n) {
    for (let k = 1; k < n; k++) {
      const [x, slope] = [xs[k - 1], 1 / (xs[k] - xs[k - 1])];
      const last = Math.min(Math.ceil(xs[k] - 0.5), this.width);
      for (let c = Math.max(Math.ceil(x - 0.5), 0); c < last; c++) {
        const share = (c + 0.5 - x) * slope;
        const a = upper[k - 1] + share * (upper[k] - upper[k - 1]);
        const b = lower[k - 1] + share * (lower[k] - lower[k - 1]);
        this.column(c, Math.min(a, b), Math.max(a, b));
      }
    }
  }

  // line draws a line through the first n points. Dash is [on, off], or nothing for a line without breaks.
  line(xs, ys, n, width, dash) {
    const half = Math.max(width, 1) / 2;
    let along = 0; // what was drawn of the line so far
    for (let k = 1; k < n; k++) {
      const [dx, dy] = [xs[k] - xs[k - 1], ys[k] - ys[k - 1]];
      const length = Math.hypot(dx, dy);
      if (!(length > 0)) continue;
      if (Math.abs(dx) >= Math.abs(dy)) this.flat(xs[k - 1], ys[k - 1], dx, dy, half * (length / dx), dash, along, length / dx);
      else this.steep(xs[k - 1], ys[k - 1], dx, dy, half, dash, along, length / Math.abs(dy));
      along += length;
    }
  }

  // flat draws a part of a line column by column. Reach is how far it covers a column above its middle and below.
  flat(x, y, dx, dy, reach, dash, along, perColumn) {
    const slope = dy / dx;
    const last = Math.min(Math.ceil(x + dx - 0.5), this.width);
    for (let c = Math.max(Math.ceil(x - 0.5), 0); c < last; c++) {
      const from = c + 0.5 - x;
      if (dash && (along + from * perColumn) % (dash[0] + dash[1]) >= dash[0]) continue;
      const middle = y + from * slope;
      this.column(c, middle - reach, middle + reach);
    }
  }

  // steep draws a part of a line row by row, and a little beyond its ends, so that corners are closed.
  steep(x, y, dx, dy, half, dash, along, perRow) {
    const slope = dx / dy;
    const reach = half * perRow;
    const [top, bottom] = [Math.min(y, y + dy) - half / 2, Math.max(y, y + dy) + half / 2];
    const last = Math.min(Math.ceil(bottom - 0.5), this.height);
    for (let r = Math.max(Math.ceil(top - 0.5), 0); r < last; r++) {
      const from = r + 0.5 - y;
      if (dash && (along + Math.abs(from) * perRow) % (dash[0] + dash[1]) >= dash[0]) continue;
      const middle = x + from * slope;
      this.row(r, middle - reach, middle + reach);
    }
  }

  // drawOn puts everything on a canvas, with its left upper corner at a point.
  drawOn(g, x, y) {
    const { pixels, rows, width, height } = this;
    for (let from = 0; from < width; from += 16) { // as many columns as fit into a line of the cache
      const to = Math.min(from + 16, width);
      for (let y = 0; y < height; y++) {
        for (let x = from; x < to; x++) rows[y * width + x] = unmultiplied(pixels[x * height + y]);
      }
    }
    this.g.putImageData(this.image, 0, 0);
    g.drawImage(this.canvas, x, y);
  }
}

// unmultiplied is a pixel as an image has it: with colours that are not multiplied by alpha.
function unmultiplied(p) {
  const a = p >>> 24;
  if (a === 0 || a === 255) return p;
  const back = 255 / a;
  return (p & 0xff000000) | ((((p >>> 16) & 255) * back + 0.5) << 16) | ((((p >>> 8) & 255) * back + 0.5) << 8) | ((p & 255) * back + 0.5);
}
