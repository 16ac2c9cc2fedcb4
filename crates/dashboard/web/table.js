// @ts-check
// The table of trials, which the server sorts and filters.

import { json } from "./data.js";
import { fill, h, number, pill, seconds, whole } from "./dom.js";

const PAGE = 25;

export class TrialTable {
  constructor(key) {
    this.key = key;
    this.asked = { sort: "", desc: false, state: "", text: "", offset: 0, objective: 0 };
    this.axes = [];
    this.objectives = [];
    this.body = h("div", { class: "scroll" });
    this.pager = h("div", { class: "pager" });
    let timer;
    this.filters = h("div", { class: "tools" },
      h("input", { type: "search", placeholder: "find id, value, worker, error", "aria-label": "find in trials", oninput: (event) => {
        clearTimeout(timer);
        timer = setTimeout(() => this.change({ text: event.target.value, offset: 0 }), 250);
      } }),
      (this.states = h("select", { "aria-label": "state", onchange: (event) => this.change({ state: event.target.value, offset: 0 }) })));
    this.element = h("div", {}, this.body, this.pager);
  }

  set(axes, objectives, counts) {
    this.axes = axes.filter((axis) => axis.kind !== "constant").slice(0, 16);
    this.objectives = objectives;
    const wanted = ["", ...Object.keys(counts)];
    if (wanted.join() !== this.known) {
      this.known = wanted.join();
      fill(this.states, wanted.map((state) => h("option", { value: state, selected: state === this.asked.state }, state || "every state")));
    }
  }

  change(what) { Object.assign(this.asked, what); return this.update(); }

  async update() {
    const wanted = (this.turn = (this.turn ?? 0) + 1);
    const page = await json("trials", { s: this.key, limit: PAGE, ...this.asked });
    if (wanted !== this.turn) return;
    const columns = [["id", "trial", true], ["state", "state"],
      ...this.objectives.map((own, k) => ["objective", own.name, true, k]),
      ...this.axes.map((axis) => [`config.${axis.name}`, axis.name, axis.kind !== "categorical"]),
      ["cost", "cost", true], ["duration", "took", true], ["attempts", "attempts", true], ["ended", "worker"]];
    const cut = (text) => text.length > 120 ? h("span", { title: text }, `${text.slice(0, 119)}…`) : text;
    const head = columns.map(([sort, text, n, k]) => {
      const active = this.asked.sort === sort && (k === undefined || k === this.asked.objective);
      return h("th", { scope: "col", class: n ? "n" : undefined, "aria-sort": active ? (this.asked.desc ? "descending" : "ascending") : undefined },
        h("button", { onclick: () => this.change({ sort, desc: active && !this.asked.desc, offset: 0, objective: k ?? this.asked.objective }) }, cut(text)));
    });
    const link = (id) => h("a", { href: `trial.html?${new URLSearchParams({ s: this.key, id })}` }, id);
    const shown = (value) => value === null || value === undefined ? "" : typeof value === "number" ? number(value) : typeof value === "object" ? cut(JSON.stringify(value)) : cut(String(value));
    const rows = page.rows.map((row) => h("tr", {},
      h("td", { class: "n" }, link(row.id)),
      h("td", { class: "wide" }, pill(row.state), row.error ? h("div", { class: "small quiet" }, row.error) : null),
      this.objectives.map((_, k) => h("td", { class: "n" }, row.objectives[k] === undefined || row.objectives[k] === null ? "" : number(row.objectives[k]))),
      this.axes.map((axis) => h("td", { class: axis.kind !== "categorical" ? "n" : "wide" }, shown(row.config[axis.name]))),
      h("td", { class: "n" }, row.cost === null ? "" : number(row.cost)),
      h("td", { class: "n" }, row.duration === null ? "" : seconds(row.duration)),
      h("td", { class: "n" }, row.attempts),
      h("td", {}, row.worker ?? "")));
    const focused = document.activeElement?.closest("th") ? [...(document.activeElement.closest("tr")?.children ?? [])].indexOf(document.activeElement.closest("th")) : -1;
    fill(this.body, h("table", { "aria-label": "trials" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)),
      page.rows.length === 0 ? h("p", { class: "empty" }, "no trial is like that") : null);
    if (focused >= 0) this.body.querySelectorAll("th button")[focused]?.focus();
    const last = Math.max(0, Math.floor((page.total - 1) / PAGE) * PAGE);
    const go = (text, offset, off) => h("button", { disabled: off, onclick: () => this.change({ offset }) }, text);
    fill(this.pager, `${page.total === 0 ? 0 : whole(page.offset + 1)}–${whole(page.offset + page.rows.length)} of ${whole(page.total)}`,
      go("first", 0, page.offset === 0), go("back", Math.max(0, page.offset - PAGE), page.offset === 0),
      go("on", page.offset + PAGE, page.offset >= last), go("last", last, page.offset >= last));
  }
}
