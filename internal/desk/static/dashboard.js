// A page with panels: it asks the desk for the data of those that are in view, again after every refresh and for every
// range of time that is chosen.
"use strict";

import { Group } from "./chart.js";
import { PanelView } from "./panels.js";
import { released } from "./pointer.js";

const controls = document.getElementById("controls");
const lost = document.getElementById("lost");
const parameters = () => new URLSearchParams(location.search);

let range = null; // that was zoomed to, in ms
let zooming;
const group = new Group({
  changed(chosen) {
    range = chosen?.map(Math.round) ?? null;
    clearTimeout(zooming);
    zooming = setTimeout(load, 300);
  },
});

// query is what every panel is asked with: the address of the page, and the range that was zoomed to.
function query(more = {}) {
  const all = parameters();
  for (const field of controls?.querySelectorAll("input:not([type=checkbox]), select") ?? []) {
    if (field.name && field.value && !all.has(field.name)) all.set(field.name, field.value);
  }
  if (range) {
    all.set("from", range[0]);
    all.set("to", range[1]);
  }
  for (const [name, value] of Object.entries(more)) all.set(name, value);
  return all;
}

class Panel {
  constructor(section) {
    this.section = section;
    this.view = new PanelView(group, section.querySelector(".drawn"), section.querySelector("h3")?.textContent ?? "");
    this.visible = false;
    this.stale = true;
  }

  async load() {
    if (!this.visible || document.hidden) {
      this.stale = true;
      return;
    }
    this.stale = false;
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    const points = Math.round(Math.max(this.section.clientWidth, 100) / 2);
    try {
      const answer = await fetch(`${this.section.dataset.source}?${query({ points })}`, { signal: AbortSignal.any([asking.signal, AbortSignal.timeout(20_000)]) });
      const panel = await answer.json();
      await released();
      lost.hidden = true;
      if (answer.ok) this.draw(panel);
      else this.problem([panel.error]);
    } catch (error) {
      if (asking.signal.aborted) return;
      if (error instanceof TypeError) lost.hidden = false;
      else this.problem([error.name === "TimeoutError" ? "no answer within 20 s" : String(error)]);
    }
    this.section.dataset.loaded = String(Number(this.section.dataset.loaded ?? 0) + 1);
  }

  draw(panel) {
    if (!range) group.whole = [panel.from, panel.to];
    const left = panel.more ? [`${panel.more} more ${panel.more === 1 ? "is" : "are"} not shown`] : [];
    this.problem([...(panel.problems ?? []), ...left]);
    this.view.draw(panel);
  }

  problem(texts) {
    const line = this.section.querySelector(".problem");
    line.textContent = texts.join("; ");
    line.hidden = !texts.length;
  }
}

const panels = [...document.querySelectorAll("[data-source]")].map((section) => new Panel(section));
const watcher = new IntersectionObserver((entries) => {
  for (const e of entries) {
    const panel = panels.find((p) => p.section === e.target);
    panel.visible = e.isIntersecting;
    if (panel.visible && panel.stale) panel.load();
  }
}, { rootMargin: "200px" });
for (const panel of panels) watcher.observe(panel.section);

async function loadMarks() {
  const source = document.getElementById("board")?.dataset.marks;
  if (!source || document.hidden) return;
  try {
    const answer = await fetch(`${source}?${query()}`, { signal: AbortSignal.timeout(20_000) });
    if (answer.ok) group.mark((await answer.json()).marks);
  } catch {
    // The panels say what is wrong.
  }
}

function load() {
  for (const panel of panels) panel.load();
  loadMarks();
}

// --- the range of time -------------------------------------------------------------------------------------------------

// choose shows a range in the controls and in the address, and draws it.
function choose(from, to) {
  const all = parameters();
  all.set("from", from);
  all.set("to", to);
  history.replaceState(null, "", `${location.pathname}?${all}`);
  controls.elements.from.value = from;
  controls.elements.to.value = to;
  for (const b of controls.querySelectorAll("[data-range]")) b.setAttribute("aria-pressed", String(to === "now" && from === `now-${b.dataset.range}`));
  range = null;
  group.whole = null;
  group.zoom(null);
}

function move(by, wider = 0) {
  const [first, last] = range ?? group.whole ?? [Date.now() - 3600_000, Date.now()];
  const length = last - first;
  choose(Math.round(first + by * length - wider * length), Math.round(Math.min(last + by * length + wider * length, Date.now())));
}

let timer;

function refresh() {
  clearInterval(timer);
  const every = { "5s": 5, "10s": 10, "30s": 30, "1m": 60, "5m": 300 }[controls?.elements.refresh?.value];
  if (!every) return;
  timer = setInterval(() => {
    if (range || document.hidden || controls.elements.to.value !== "now") return; // what is past stays as it is
    load();
  }, every * 1000);
}

if (controls) {
  for (const b of controls.querySelectorAll("[data-range]")) b.addEventListener("click", () => choose(`now-${b.dataset.range}`, "now"));
  document.getElementById("earlier").addEventListener("click", () => move(-0.5));
  document.getElementById("later").addEventListener("click", () => move(0.5));
  document.getElementById("wider").addEventListener("click", () => move(0, 0.5));
  controls.elements.refresh?.addEventListener("change", () => {
    const all = parameters();
    all.set("refresh", controls.elements.refresh.value);
    history.replaceState(null, "", `${location.pathname}?${all}`);
    refresh();
  });
  for (const select of controls.querySelectorAll("select[name^=var-]")) select.addEventListener("change", () => controls.requestSubmit());
  for (const choice of controls.querySelectorAll(".choice")) {
    choice.addEventListener("change", (e) => {
      // All excludes the others.
      for (const box of choice.querySelectorAll("input")) if (box !== e.target && (e.target.value === "$__all" || box.value === "$__all")) box.checked = false;
    });
    choice.addEventListener("toggle", () => { if (!choice.open && choice.dataset.changed) controls.requestSubmit(); });
    choice.addEventListener("input", () => (choice.dataset.changed = "yes"));
  }
}
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  for (const panel of panels) if (panel.stale) panel.load();
});
loadMarks();
refresh();
