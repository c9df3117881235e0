// The switches by which the server misbehaves on request. Which there are is for the server to say.

import { byId, count, element } from "./element.js";

const LOOK_EVERY = 2_000;
const NOT_FOR_US = new Set([401, 403, 404]);
const EVERYWHERE = "?instances=all";

export class Faults {
  #rows = new Map(); // name → {state, row, …}
  #trouble = { looking: "", switching: "" };
  #closed = false; // the server does not let us
  #instances = []; // of the server, if there are several

  constructor() {
    this.#look();
    setInterval(() => this.#look(), LOOK_EVERY);
    setInterval(() => this.#countdown(), 1_000);
    byId("heal").addEventListener("click", () => this.#heal());
  }

  async #look() {
    if (this.#closed || document.visibilityState !== "visible") return;
    try {
      const response = await fetch("/fault", { signal: AbortSignal.timeout(LOOK_EVERY) });
      this.#closed = NOT_FOR_US.has(response.status);
      const answer = await response.json().catch(() => ({}));
      if (!response.ok) throw new Error(answer.error ?? "faults can't be switched here");
      this.#tell({ looking: "" });
      this.#instances = answer.instances ?? [];
      for (const fault of answer.faults) this.#update(fault);
    } catch (error) {
      this.#tell({ looking: error.name === "Error" ? error.message : "the server does not answer" });
    }
  }

  async #switch(fault, row) {
    const turnOff = isOn(row.fault);
    const body = JSON.stringify({ strength: row.strength.valueAsNumber, duration: `${row.duration.valueAsNumber}s` });
    if (turnOff) await this.#ask(fault.name, EVERYWHERE, { method: "DELETE" });
    else
      await this.#ask(fault.name, row.everywhere.checked ? EVERYWHERE : "", {
        method: "PUT",
        body,
        headers: { "Content-Type": "application/json" },
      });
  }

  async #heal() {
    const on = [...this.#rows.values()].filter((row) => isOn(row.fault));
    await Promise.all(on.map((row) => this.#ask(row.fault.name, EVERYWHERE, { method: "DELETE" })));
  }

  async #ask(name, query, request) {
    try {
      const response = await fetch(`/fault/${encodeURIComponent(name)}${query}`, {
        ...request,
        signal: AbortSignal.timeout(5_000),
      });
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.error);
      this.#tell({ switching: "" });
      this.#update(answer);
    } catch (error) {
      this.#tell({ switching: `${name}: ${error.message}` });
    }
  }

  #update(fault) {
    const row = this.#rows.get(fault.name) ?? this.#add(fault);
    row.fault = fault;
    const on = isOn(fault);
    row.node.classList.toggle("on", on);
    row.button.textContent = on ? "Turn off" : "Turn on";
    row.strength.disabled = row.duration.disabled = row.everywhere.disabled = on;
    row.all.hidden = this.#instances.length < 2;
    row.button.disabled = Boolean(fault.unavailable);
    row.unavailable.textContent = fault.unavailable ?? "";
    if (fault.on) row.strength.value = fault.strength;
    this.#countdown();
  }

  #add(fault) {
    const fixed = fault.min === fault.max;
    const strength = element("input", {
      type: "number",
      min: fault.min,
      max: fault.max,
      step: "any",
      required: true,
      value: middle(fault),
    });
    const duration = element("input", { type: "number", min: 1, max: 1_800, step: 1, required: true, value: 30 });
    const button = element("button", { className: "small" });
    const state = element("span", { className: "switched" });
    const unavailable = element("p", { className: "unavailable" });
    const everywhere = element("input", { type: "checkbox" });
    const all = element("label", { hidden: true }, everywhere, "On all instances");
    const row = { fault, strength, duration, everywhere, all, button, state, unavailable };
    const form = element(
      "form",
      { onsubmit: (event) => (event.preventDefault(), this.#switch(fault, row)) },
      element("label", { hidden: fixed }, `Strength in ${fault.unit}`, strength),
      element("label", {}, "Seconds", duration),
      all,
      button,
    );
    const range = fixed
      ? ""
      : ` (${fault.min.toLocaleString("en")} to ${fault.max.toLocaleString("en")} ${fault.unit})`;
    row.node = element(
      "details",
      { className: "fault", dataset: { fault: fault.name } },
      element("summary", {}, element("span", { className: "name" }, fault.name.replaceAll("_", " ")), state),
      element("p", {}, fault.description + range),
      unavailable,
      form,
    );
    byId("fault-list").append(element("li", {}, row.node));
    this.#rows.set(fault.name, row);
    return row;
  }

  #countdown() {
    let on = 0;
    for (const { fault, state } of this.#rows.values()) {
      const left = fault.on ? Math.max(0, Math.ceil((Date.parse(fault.ends) - Date.now()) / 1_000)) : 0;
      if (isOn(fault)) on++;
      const where = fault.instances?.length ? ` · ${fault.instances.join(", ")}` : "";
      const strength = fault.min === fault.max ? "" : ` · ${fault.strength.toLocaleString("en")} ${fault.unit}`;
      if (fault.on) state.textContent = `on${strength} · ${left} s left${where}`;
      else if (isOn(fault)) state.textContent = `on${where}`;
      else state.textContent = fault.unavailable ? "not here" : "off";
    }
    byId("fault-count").textContent = on === 0 ? "" : `${count(on, "fault")} on`;
    byId("heal").hidden = on === 0;
  }

  #tell(trouble) {
    Object.assign(this.#trouble, trouble);
    byId("fault-trouble").textContent = this.#trouble.switching || this.#trouble.looking;
  }
}

// Of several instances any may have the fault, whichever has answered.
function isOn(fault) {
  return fault.on || fault.instances?.length > 0;
}

// A strength to begin with: in the middle of what may be orders of magnitude.
function middle({ min, max }) {
  return Number((min > 0 ? Math.sqrt(min * max) : (min + max) / 2).toPrecision(1));
}
