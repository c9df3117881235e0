// The market: prices as they come, and whether any were missed.

import { byId, count, element } from "./element.js";

const POINTS = 60;
const WIDTH = 100;
const HEIGHT = 24;
const EXPECTED_EVERY = 4_000;

export class Ticker {
  /** The feed is the trigger, the snapshot the truth: at first and after a gap, prices are what it says. */
  stream = {
    name: "market",
    expect: EXPECTED_EVERY,
    tolerate: true,
    snapshot: fetchMarket,
    restore: (snapshot) => this.#restore(snapshot),
  };
  #quotes = new Map(); // symbol → {price, points, nodes}
  #last = 0;
  #gaps = 0;
  #missed = 0;
  #stale = false;
  #at = 0; // when prices came

  constructor() {
    setInterval(() => this.#look(), 1_000);
  }

  /** Takes prices that follow those before. */
  handle({ lastSeq, ticks }) {
    this.#last = lastSeq;
    this.#at = Date.now();
    const newest = new Map(ticks.map((tick) => [tick.symbol, tick.price]));
    for (const [symbol, price] of newest) this.#price(symbol, price);
    this.#look();
  }

  /** Takes the state of the stream. */
  changed(state) {
    this.#stale = state !== "live" && state !== "reconciling";
    this.#look();
  }

  #restore({ seq, quotes }) {
    if (this.#last > 0 && seq > this.#last) {
      this.#gaps++;
      this.#missed += seq - this.#last;
    }
    this.#last = seq;
    for (const [symbol, quote] of Object.entries(quotes)) this.#price(symbol, quote.price);
  }

  #price(symbol, price) {
    const quote = this.#quotes.get(symbol) ?? this.#add(symbol);
    const change = quote.price === undefined ? 0 : price - quote.price;
    quote.price = price;
    quote.points = [...quote.points, price].slice(-POINTS);
    quote.cell.dataset.move = change > 0 ? "up" : change < 0 ? "down" : "none";
    quote.value.textContent = cents(price);
    quote.move.textContent = change === 0 ? "=" : `${change > 0 ? "▲" : "▼"} ${cents(Math.abs(change))}`;
    quote.line.setAttribute("points", curve(quote.points));
  }

  #add(symbol) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    svg.append(line);
    const value = element("span", { className: "price" });
    const move = element("span", { className: "move" });
    const cell = element(
      "li",
      { dataset: { symbol } },
      element("span", { className: "symbol" }, symbol),
      move,
      value,
      svg,
    );
    byId("quotes").append(cell);
    const quote = { points: [], cell, value, move, line };
    this.#quotes.set(symbol, quote);
    return quote;
  }

  #look() {
    if (this.#at === 0) return;
    byId("market").classList.toggle("stale", this.#stale);
    const gaps = this.#gaps === 0 ? "no gaps" : `${count(this.#gaps, "gap")}, ${count(this.#missed, "tick")} missed`;
    const age = `no prices for ${Math.round((Date.now() - this.#at) / 1_000)} s`;
    byId("market-state").textContent = this.#stale ? `${age} · ${gaps}` : gaps;
    byId("market-state").dataset.gaps = this.#gaps;
  }
}

async function fetchMarket(signal) {
  const response = await fetch("/api/market", { signal });
  if (!response.ok) throw new Error(`the market answers ${response.status}`);
  const value = await response.json();
  return { last: value.seq, value };
}

function cents(n) {
  return (n / 100).toFixed(2);
}

function curve(points) {
  const low = Math.min(...points);
  const range = Math.max(...points) - low || 1;
  const step = WIDTH / (POINTS - 1);
  const from = POINTS - points.length;
  return points
    .map((p, i) => `${((from + i) * step).toFixed(1)},${(HEIGHT - 2 - ((p - low) / range) * (HEIGHT - 4)).toFixed(1)}`)
    .join(" ");
}
