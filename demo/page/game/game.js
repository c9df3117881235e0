// The game: players who move in one arena.

import { Connection } from "/connection.js";
import { byId, count } from "/element.js";
import { enter } from "/use/enter.js";
import { Clock, States } from "/game/states.js";

const BEHIND = 2; // ticks: so that there are states on both sides of what is shown
const ACK_EVERY = 100; // milliseconds
const TAP = 100; // milliseconds that a key counts at least: of the inputs within a tick, only the last one does
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const NEAR = 12; // a finger that is that near to the player moves it nowhere
const RADIUS = 14;

class Game {
  #connection;
  #canvas = byId("arena");
  #game = null; // what the server says of it
  #states = null;
  #clock = null;
  #keys = new Map(); // that are down, and since when
  #finger = null; // where it is, in units
  #sent = { x: 0, y: 0, ack: 0, at: 0 };

  constructor(connection) {
    this.#connection = connection;
    connection.addEventListener("welcome", () => this.#join());
    connection.addEventListener("frame", ({ detail }) => this.#receive(detail));
    connection.addEventListener("state", ({ detail }) => detail.state !== "connected" && this.#stop());
    this.#canvas.addEventListener("keydown", (event) => this.#key(event, true));
    this.#canvas.addEventListener("keyup", (event) => this.#key(event, false));
    this.#canvas.addEventListener("blur", () => this.#keys.clear());
    for (const type of ["pointerdown", "pointermove"]) this.#canvas.addEventListener(type, (event) => this.#point(event));
    for (const type of ["pointerup", "pointercancel"]) this.#canvas.addEventListener(type, () => (this.#finger = null));
    // A browser may keep a page that was left, and its connection.
    window.addEventListener("pagehide", () => this.#game && connection.send("game_leave"));
    window.addEventListener("pageshow", (event) => event.persisted && this.#join());
    requestAnimationFrame(() => this.#frame());
  }

  async #join() {
    try {
      await this.#connection.request("game_join");
      byId("trouble").textContent = "";
    } catch (error) {
      byId("trouble").textContent = error.message;
    }
  }

  #stop() {
    this.#game = this.#states = this.#clock = null;
  }

  #receive({ type, payload }) {
    if (type === "game") {
      this.#game = payload;
      this.#states = new States(payload.keep);
      this.#clock = new Clock(payload.rate);
      this.#sent = { x: 0, y: 0, ack: 0, at: 0 };
      this.#canvas.width = payload.width;
      this.#canvas.height = payload.height;
    }
    if (type === "game_state" && this.#states?.take(payload)) {
      this.#clock.state(payload.tick, performance.now());
      this.#input();
    }
  }

  #key(event, down) {
    if (!(event.key in KEYS)) return;
    event.preventDefault(); // it would scroll the page
    if (down) {
      if (!this.#keys.has(event.key)) this.#keys.set(event.key, performance.now());
      this.#input();
      return;
    }
    const since = this.#keys.get(event.key);
    setTimeout(() => {
      if (this.#keys.get(event.key) !== since) return; // it was pressed again
      this.#keys.delete(event.key);
      this.#input();
    }, since + TAP - performance.now());
  }

  #point(event) {
    if (!this.#game || (event.type === "pointermove" && !this.#finger)) return;
    const box = this.#canvas.getBoundingClientRect();
    this.#finger = {
      x: ((event.clientX - box.x) / box.width) * this.#game.width,
      y: ((event.clientY - box.y) / box.height) * this.#game.height,
    };
    this.#input();
  }

  // Where to go: where the arrow keys say, else to the finger.
  #heading() {
    let [x, y] = [0, 0];
    for (const key of this.#keys.keys()) {
      x += KEYS[key][0];
      y += KEYS[key][1];
    }
    const own = this.#states.at(this.#states.newest).get(this.#game.player);
    if (this.#keys.size === 0 && this.#finger && own) {
      x = Math.abs(this.#finger.x - own.x) > NEAR ? Math.sign(this.#finger.x - own.x) : 0;
      y = Math.abs(this.#finger.y - own.y) > NEAR ? Math.sign(this.#finger.y - own.y) : 0;
    }
    return { x, y };
  }

  // Says where to go as soon as that changes, and which state has come now and then.
  #input() {
    if (!this.#states) return;
    const { x, y } = this.#heading();
    const now = performance.now();
    const sent = this.#sent;
    const late = this.#states.newest > sent.ack && now - sent.at >= ACK_EVERY;
    if (x === sent.x && y === sent.y && !late) return;
    const ack = this.#states.newest;
    if (this.#connection.send("game_input", { x, y, ack })) this.#sent = { x, y, ack, at: now };
  }

  #frame() {
    requestAnimationFrame(() => this.#frame());
    const players = this.#states?.at(this.#clock.tick(performance.now()) - BEHIND) ?? new Map();
    this.#draw(players);
    byId("players").textContent = count(players.size, "player");
    // For who does not see the canvas, and for tests.
    const own = players.get(this.#game?.player);
    byId("place").textContent = own ? `${Math.round(own.x)}, ${Math.round(own.y)}` : "–";
    const text = [...players].map(([, p]) => `${p.name} at ${Math.round(p.x)}, ${Math.round(p.y)}`).join("; ");
    if (this.#canvas.textContent !== text) this.#canvas.textContent = text;
  }

  #draw(players) {
    const to = this.#canvas.getContext("2d");
    const style = getComputedStyle(this.#canvas);
    to.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    to.font = "22px system-ui, sans-serif";
    to.textAlign = "center";
    for (const [id, { name, x, y }] of players) {
      to.fillStyle = id === this.#game?.player ? style.getPropertyValue("--accent") : style.getPropertyValue("--quiet");
      to.beginPath();
      to.arc(x, y, RADIUS, 0, 2 * Math.PI);
      to.fill();
      to.fillStyle = style.color;
      to.fillText(name, Math.min(Math.max(x, 60), this.#canvas.width - 60), y > 60 ? y - 22 : y + 40);
    }
  }
}

enter((tokens) => {
  const connection = new Connection(tokens);
  new Game(connection);
  byId("arena").focus();
  return connection;
});
