// The market: prices as they come, and whether any were missed.

import { byId, count, element } from "./element.js";

const POINTS = 60;
const WIDTH = 100;
const HEIGHT = 24;
const STALE_AFTER = 4_000;

export class Ticker {
  #connection;
  #quotes = new Map(); // symbol → {price, points, nodes}
  #last = 0;
  #gaps = 0;
  #missed = 0;
  #at = 0; // when prices came

  constructor(connection) {
    this.#connection = connection;
    connection.addEventListener("welcome", () => this.#subscribe());
    connection.addEventListener("frame", ({ detail }) => detail.type === "ticks" && this.#batch(detail.payload));
    setInterval(() => this.#look(), 1_000);
  }

  async #subscribe() {
    try {
      await this.#connection.request("subscribe", { stream: "market" });
      await this.#reconcile();
    } catch {
      // #look tells that no prices come
    }
  }

  // The feed is the trigger, the snapshot the truth: after a gap, and at first, prices are what it says.
  async #reconcile() {
    const response = await fetch("/api/market", { signal: AbortSignal.timeout(5_000) });
    if (!response.ok) return;
    const snapshot = await response.json();
    if (snapshot.seq < this.#last) return; // newer ones have come meanwhile
    for (const [symbol, quote] of Object.entries(snapshot.quotes)) this.#price(symbol, quote.price);
  }

  #batch({ firstSeq, lastSeq, ticks }) {
    if (this.#last > 0 && firstSeq > this.#last + 1) {
      this.#gaps++;
      this.#missed += firstSeq - this.#last - 1;
      this.#reconcile().catch(() => {}); // the next batch has prices, too
    }
    if (lastSeq <= this.#last) return; // a repetition
    this.#last = lastSeq;
    this.#at = Date.now();
    const newest = new Map(ticks.map((tick) => [tick.symbol, tick.price]));
    for (const [symbol, price] of newest) this.#price(symbol, price);
    this.#look();
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
    const age = Date.now() - this.#at;
    const stale = age > STALE_AFTER;
    byId("market").classList.toggle("stale", stale);
    const gaps = this.#gaps === 0 ? "no gaps" : `${count(this.#gaps, "gap")}, ${count(this.#missed, "tick")} missed`;
    byId("market-state").textContent = stale ? `no prices for ${Math.round(age / 1_000)} s · ${gaps}` : gaps;
    byId("market-state").dataset.gaps = this.#gaps;
  }
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
