// @ts-check
// All studies that are served: which runs, how good it is, how far.

import { json } from "./data.js";
import { fill, h, number, seconds, stateBar, top, when, whole } from "./dom.js";
import "./actions.js";

const main = document.getElementById("main");
const bar = top(["studies"]);
const chosen = new Set();
let sort = ["last_event", true], text = "", found = { studies: [], now: 0 };
const body = h("div", { class: "card" });
const compare = h("button", { disabled: true, onclick: () => (location.href = `compare.html?${[...chosen].map((key) => `s=${encodeURIComponent(key)}`).join("&")}`) }, "compare");
const note = h("p", { class: "quiet" });
const alarm = h("div", {});

function show() {
  const columns = [["", null], ["study", "key"], ["best", "best"], ["trials", "trials"], ["done", "share"], ["workers", "evaluating"], ["rate", "trials_per_second"], ["left", "seconds_left"], ["last event", "last_event"]];
  const studies = found.studies.filter((own) => `${own.key} ${own.optimizer} ${own.path}`.toLowerCase().includes(text));
  const [by, down] = sort;
  studies.sort((a, b) => {
    const [x, y] = [a[by], b[by]];
    if (x === null || x === undefined) return y === null || y === undefined ? 0 : 1;
    if (y === null || y === undefined) return -1;
    return (typeof x === "string" ? x.localeCompare(y) : x - y) * (down ? -1 : 1);
  });
  const head = columns.map(([name, key]) => h("th", { scope: "col", class: key && !["key", "trials", "share"].includes(key) ? "n" : undefined, "aria-sort": key === by ? (down ? "descending" : "ascending") : undefined },
    key ? h("button", { onclick: () => { sort = [key, by === key ? !down : key !== "key"]; show(); } }, name) : h("span", { class: "skip" }, "compare")));
  const rows = studies.map((own) => h("tr", {},
    h("td", {}, h("input", { type: "checkbox", checked: chosen.has(own.key), "aria-label": `compare ${own.key}`, onchange: (event) => { if (event.target.checked) chosen.add(own.key); else chosen.delete(own.key); compare.disabled = chosen.size < 2; } })),
    h("td", { class: "wide" }, h("a", { href: `study.html?${new URLSearchParams({ s: own.key })}` }, own.key), h("div", { class: "small quiet" }, own.problem ? h("span", { style: { color: "var(--crashed)" } }, own.problem.slice(0, 160)) : `${own.optimizer}${own.paused ? ", paused" : ""}`)),
    h("td", { class: "n" }, own.best === null ? (own.front > 1 ? `${own.front} on the front` : "–") : number(own.best), own.direction === "maximize" ? h("span", { class: "small quiet" }, " max") : null),
    h("td", { style: { "min-width": "150px" } }, whole(own.trials), stateBar(own.counts)),
    h("td", { style: { "min-width": "90px" } }, own.share === null ? "–" : `${Math.min(100, own.share * 100).toFixed(0)} %`, own.share === null ? null : h("div", { class: "bar" }, h("i", { style: { width: `${Math.min(100, own.share * 100)}%`, background: "var(--accent)" } }))),
    h("td", { class: "n" }, own.alive ? `${own.evaluating} in ${own.alive}` : "–"),
    h("td", { class: "n" }, own.trials_per_second ? `${number(own.trials_per_second)} /s` : "–"),
    h("td", { class: "n" }, own.seconds_left ? seconds(own.seconds_left) : "–"),
    h("td", { class: "n" }, when(own.last_event))));
  fill(body, studies.length ? h("div", { class: "scroll" }, h("table", { "aria-label": "studies" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows))) : h("p", { class: "empty" }, found.studies.length ? "no study is called like that" : "There is no study in these folders yet. One that is created there appears here."));
  const running = found.studies.filter((own) => own.alive > 0).length;
  note.textContent = `${found.studies.length} found, ${running} running`;
}

async function refresh() {
  try {
    found = await json("studies");
    if (!main.contains(body)) fill(main, h("div", { class: "head" }, h("div", {}, h("h1", {}, "Studies"), note), h("div", { class: "tools" }, h("input", { type: "search", placeholder: "find", "aria-label": "find a study", oninput: (event) => { text = event.target.value.toLowerCase(); show(); } }), compare)), alarm, body);
    if (!body.contains(document.activeElement) || document.activeElement.tagName !== "INPUT") show();
    fill(alarm);
    bar.set("on", "live");
  } catch (error) {
    bar.set("off", "no connection");
    fill(main.contains(alarm) ? alarm : main, h("p", { class: "problem", role: "alert" }, String(error.message ?? error)));
  }
  document.documentElement.dataset.ready = "1";
}
refresh();
setInterval(() => { if (!document.hidden) refresh(); }, 3000);
