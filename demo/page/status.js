// How the connection is, and how it was.

import { byId, count, element } from "./element.js";

const MOST_EVENTS = 40;

export class Status {
  #state = { state: "connecting" };
  #lost = 0; // when the connection was lost
  #reconnects = 0;
  #timer = 0;

  constructor(connection, chat) {
    connection.addEventListener("state", ({ detail }) => this.#change(detail));
    connection.addEventListener("rtt", ({ detail }) => {
      byId("rtt").textContent = detail < 10 ? `${detail.toFixed(1)} ms` : `${Math.round(detail)} ms`;
    });
    chat.addEventListener("gaps", () => {
      byId("gaps").textContent =
        chat.gaps === 0 ? "0" : `${chat.gaps}, ${count(chat.recovered, "message")} got afterwards`;
    });
    chat.addEventListener("trouble", ({ detail }) => this.#record(detail.text));
    byId("retry").addEventListener("click", () => connection.retry());
  }

  #change(next) {
    this.#state = next;
    if (next.state === "connected") {
      if (this.#lost > 0) byId("reconnects").textContent = ++this.#reconnects;
      this.#record(this.#lost > 0 ? `connected again after ${seconds(Date.now() - this.#lost)}` : "connected");
      this.#lost = 0;
    }
    if (next.state === "waiting") {
      this.#lost ||= Date.now();
      byId("rtt").textContent = "–";
      this.#record(`${next.cause}; again in ${seconds(next.retryAt - Date.now())}`);
    }
    if (next.state === "stopped") this.#record(next.cause);
    clearInterval(this.#timer);
    if (next.state === "waiting") this.#timer = setInterval(() => this.#countdown(), 100);
    byId("state").textContent = this.#lost > 0 && next.state === "connecting" ? "reconnecting" : next.state;
    byId("state").dataset.state = next.state;
    byId("retry").hidden = next.state !== "waiting";
    this.#countdown();
  }

  // Outside what is read out, which would be told ten times a second otherwise.
  #countdown() {
    const { state, cause, retryAt } = this.#state;
    byId("why").textContent =
      state === "waiting"
        ? `${cause}; again in ${seconds(Math.max(0, retryAt - Date.now()))}`
        : state === "stopped"
          ? cause
          : "";
  }

  #record(text) {
    const now = new Date();
    byId("events").prepend(
      element("li", {}, element("time", { dateTime: now.toISOString() }, now.toLocaleTimeString()), ` ${text}`),
    );
    while (byId("events").childElementCount > MOST_EVENTS) byId("events").lastElementChild.remove();
  }
}

function seconds(ms) {
  return `${(ms / 1_000).toFixed(1)} s`;
}
