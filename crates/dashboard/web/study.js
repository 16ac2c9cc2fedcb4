// @ts-check
// The page of one study.

import { button } from "./actions.js";
import { enqueue } from "./enqueue.js";
import { Scale, ticks } from "./chart.js";
import { Study, json, listen } from "./data.js";
import { copy, fill, h, number, pill, seconds, short, stateBar, table, top, when, whole } from "./dom.js";
import * as figures from "./figures.js";
import { Lanes, legend } from "./lanes.js";
import { Parallel, objectiveAxis } from "./parallel.js";
import { TrialTable } from "./table.js";

const key = new URLSearchParams(location.search).get("s") ?? "";
const main = document.getElementById("main");
const bar = top(["studies", "index.html"], [key]);
document.title = `${key} – trialmill`;

const page = {
  key, k: 0, study: new Study(key), info: null, axes: [], objectives: [], states: [], important: [], range: { low: 0, high: 1, log: false },
  objective() { return this.objectives[this.k] ?? { name: "objective", direction: "minimize" }; },
  trial(id) { return `trial.html?${new URLSearchParams({ s: key, id })}`; },
  trialAt(row) { return `trial.html?${new URLSearchParams({ s: key, at: String(this.study.columns.place.values[row]) })}`; },
  idOf(row) { const id = this.study.columns.id.values[row]; return id === 0xffffffff ? `at place ${this.study.columns.place.values[row] + 1}` : String(id); },
  shownAxes(most) {
    const all = this.axes.map((_, i) => i).filter((i) => this.axes[i].kind !== "constant");
    if (all.length <= most) return all;
    const order = [...this.important.map((name) => this.axes.findIndex((axis) => axis.name === name)), ...all];
    return [...new Set(order)].filter((i) => i >= 0).slice(0, most).sort((a, b) => a - b);
  },
  /** What stands at a place of an axis. */
  valueAt(i, unit) {
    const axis = this.axes[i];
    if (Number.isNaN(unit)) return "";
    if (!axis.bounds) return axis.ticks.reduce((best, tick) => (Math.abs(tick.at - unit) < Math.abs(best.at - unit) ? tick : best), axis.ticks[0] ?? { at: 0, label: "" }).label;
    const whole = axis.kind === "int", pad = whole ? 0.5 : 0;
    const scale = new Scale(axis.bounds[0] - pad, axis.bounds[1] + pad, axis.log);
    return number(whole ? Math.round(scale.value(unit)) : scale.value(unit));
  },
  bestRows(n, selected) {
    const ranks = this.study.ranks(this.k, this.objective().direction === "maximize"), values = this.study.objective(this.k);
    const of = new Uint32Array(256);
    for (let i = 0; i < ranks.length; i++) if (!selected || selected[i]) of[ranks[i]]++;
    let cut = 0;
    for (let sum = of[0]; sum < n && cut < 254; ) sum += of[++cut];
    const rows = [];
    for (let i = 0; i < ranks.length; i++) if (ranks[i] <= cut && (!selected || selected[i])) rows.push(i);
    const sign = this.objective().direction === "maximize" ? -1 : 1;
    return rows.sort((a, b) => sign * (values[a] - values[b])).slice(0, n);
  },
};

const title = h("div", {}, h("h1", {}, key.split("/").at(-1)), (page.subtitle = h("p", { class: "quiet" })));
const tools = h("div", { class: "tools" });
const alarm = h("div", {});
const facts = h("dl", { class: "facts" });
const cards = h("div", { class: "cards" });

/** Whether a card is seen, or nearly so; if not, it is updated once it is. What it needs is not fetched before. */
function near(own) {
  own.watcher ??= (() => {
    const watcher = new IntersectionObserver((entries) => {
      own.isNear = entries.at(-1).isIntersecting;
      if (own.isNear && own.waits) { own.waits = false; own.update().catch((error) => own.note(String(error.message ?? error))); }
    }, { rootMargin: "500px" });
    watcher.observe(own.element);
    return watcher;
  })();
  own.waits = !own.isNear && !own.element.hidden;
  return !own.waits;
}
page.near = near;

// The workers over time.
const lanes = new Lanes(async (from, to, columns) => {
  const wanted = { s: key, name: "timeline", columns };
  if (from !== undefined) Object.assign(wanted, { from, to });
  return json("figure", wanted);
}, (id) => (location.href = page.trial(id)));
const lanesLegend = h("div", {});
const timeline = figures.card(page, { title: "Workers over time", picture: "timeline", body: h("div", {}, h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "lanes", style: { "max-height": "560px", overflow: "auto" } }, lanes.element), lanesLegend),
  controls: [h("button", { class: "plain", "aria-label": "zoom in", onclick: () => lanes.zoom(0.6) }, "+"), h("button", { class: "plain", "aria-label": "zoom out", onclick: () => lanes.zoom(1.6) }, "−"), h("button", { class: "plain", onclick: () => lanes.all() }, "all")] });
timeline.update = async () => {
  const figure = await lanes.update();
  timeline.hide(figure.lanes.length === 0);
  const busy = figure.lanes.reduce((sum, lane) => sum + lane.busy, 0) / (figure.lanes.length || 1);
  timeline.note(`${figure.lanes.length} workers, busy ${Math.round(busy * 100)} % of their time`);
  fill(lanesLegend, legend(figure));
  timeline.numbers(() => ({ columns: [["worker"], ["host"], ["attempts", true], ["busy", true], ["joined"], ["left"], ["ended without a result"]],
    rows: figure.lanes.map((lane) => [lane.worker, lane.host ?? "–", whole(lane.attempts), `${Math.round(lane.busy * 100)} %`, lane.joined === null ? "–" : seconds(lane.joined), lane.left === null ? "takes part" : seconds(lane.left), lane.marks.slice(0, 6).map((mark) => `${mark.trial} ${mark.kind}`).join(", ")]) }));
};

// Parallel coordinates.
const chosen = h("p", { class: "small quiet", "aria-live": "polite" });
const parallel = new Parallel(() => {
  if (!parallel.selected) return fill(chosen, "drag along an axis to select trials");
  const best = page.bestRows(5, parallel.selected);
  fill(chosen, `${whole(parallel.count)} of ${whole(page.study.rows)} selected`, best.length ? ", the best: " : "",
    best.flatMap((row, i) => [i ? ", " : "", h("a", { href: page.trialAt(row) }, page.idOf(row)), ` ${number(page.study.objective(page.k)[row])}`]), " ",
    h("button", { class: "plain", onclick: () => parallel.clear() }, "clear"));
}, (selected) => page.bestRows(20, selected));
const parallelCard = figures.card(page, { title: "Parallel coordinates", picture: "parallel", body: h("div", {}, parallel.element, chosen) });
parallelCard.update = async () => {
  if (!near(parallelCard)) return;
  const axes = page.shownAxes(10);
  parallelCard.hide(axes.length === 0 || page.study.rows === 0);
  if (axes.length === 0 || page.study.rows === 0) return;
  const places = await page.study.on(axes);
  const range = new Scale(page.range.low, page.range.high, page.range.log);
  const values = page.study.objective(page.k);
  const own = new Float32Array(values.length);
  for (let i = 0; i < own.length; i++) own[i] = Math.min(1, Math.max(0, range.unit(values[i])));
  const list = axes.map((axis) => ({ ...page.axes[axis], name: page.axes[axis].name + (page.axes[axis].log ? " (log)" : "") }));
  parallel.set([...list, objectiveAxis(page.objective().name, range, ticks(range.low, range.high, range.log, 6))], [...places, own],
    page.study.ranks(page.k, page.objective().direction === "maximize"));
  parallelCard.note(`${axes.length < page.axes.length ? `${axes.length} of ${page.axes.length} parameters; ` : ""}colour: from good to bad${page.study.rows > 3000 ? "; the 20 best as lines of their own" : ""}`);
  parallelCard.numbers(() => ({ columns: [["trial", true], [page.objective().name, true], ...list.map((axis) => [axis.name, true])],
    rows: page.bestRows(50, parallel.selected).map((row) => [h("a", { href: page.trialAt(row) }, page.idOf(row)), number(values[row]), ...axes.map((axis, i) => page.valueAt(axis, places[i][row]))]) }));
};

// What runs now.
const running = h("div", { class: "scroll" });
const runningCard = figures.card(page, { title: "Running now", width: "half", body: running }).withoutNumbers();
runningCard.update = () => {
  const { evaluating, read_only, processes } = page.info;
  runningCard.hide(evaluating.length === 0 && processes.length === 0);
  runningCard.note(`${page.info.alive} of ${processes.length} processes alive`);
  fill(running, evaluating.length === 0 ? null : table("trials that are evaluated", [["trial", true], ["worker"], ["since", true], [""]], evaluating.slice(0, 60).map((own) => [
    h("a", { href: page.trial(own.id) }, own.id, own.attempt > 1 ? ` (attempt ${own.attempt})` : ""), `${own.worker}${own.host ? ` on ${own.host}` : ""}`, seconds(own.seconds),
    own.lease ? button("release", [`Release trial ${own.id}?`, "It is handed out again, and what its caller reports later does not count."], { s: key, action: "release", trial: own.id }, refresh, read_only, "plain") : ""])),
  processes.some((own) => !own.alive) ? h("p", { class: "small quiet" }, `${processes.filter((own) => !own.alive).map((own) => `${own.process} on ${own.host}`).join(", ")} died: the next worker that comes takes its trials back`) : null);
};

// Errors by kind.
const wrong = h("div", { class: "scroll" });
const wrongCard = figures.card(page, { title: "Errors by kind", width: "half", body: wrong }).withoutNumbers();
wrongCard.update = () => {
  const { errors, read_only } = page.info;
  wrongCard.hide(errors.length === 0);
  const n = errors.reduce((sum, own) => sum + own.count, 0);
  wrongCard.note(`${whole(n)} trials`);
  fill(wrong, table("errors", [["kind"], ["trials", true], ["last message"], ["last", true]], errors.map((own) => [own.err_type, whole(own.count), own.message, h("a", { href: page.trial(own.trial) }, own.trial)])),
    n > 0 ? button("retry all", ["Retry all of them?", `${n} trials are handed out again.`], { s: key, action: "retry" }, refresh, read_only) : null);
};

const trials = new TrialTable(key);
const trialsCard = figures.card(page, { title: "Trials", body: trials.element, controls: [trials.filters] }).withoutNumbers();
trialsCard.update = () => { trials.set(page.axes, page.objectives, page.info.counts); trials.asked.objective ||= page.k; return trials.update(); };

const history = figures.history(page), importance = figures.importance(page), slices = figures.slice(page);
const all = [history, importance, timeline, parallelCard, figures.curves(page), figures.budget(page), figures.ecdf(page), figures.pareto(page), slices, runningCard, wrongCard, trialsCard];
window.trialmill = { page, lanes, parallel, history };

/** What may be done to the study as a whole. */
function controls(info, limits) {
  const ours = info.shared ? " NePS's own workers know of no such thing, and go on." : "";
  const names = (name) => name.replaceAll("_", " ");
  const amount = h("input", { type: "number", min: 0, step: "any", value: limits[0] === "evaluations" ? 100 : 10, "aria-label": "how much more", style: { width: "84px" } });
  const which = limits.length > 1 ? h("select", { "aria-label": "of which budget" }, limits.map((name) => h("option", { value: name }, names(name)))) : null;
  const larger = () => {
    const name = which?.value ?? limits[0], more = Number(amount.value);
    return { s: key, action: "budget", [name]: ["evaluations", "steps"].includes(name) ? Math.round(more) : more };
  };
  return [
    limits.length ? [amount, which, button(which ? "more" : `more ${names(limits[0])}`, ["A larger budget?", "Workers that run go on at once."], larger, refresh)] : null,
    button("enqueue…", null, () => enqueue(key, undefined, refresh)),
    info.policy.paused
      ? button("resume", ["Go on?", "Trials are handed out again."], { s: key, action: "resume" }, refresh)
      : button("pause", ["Pause the study?", `Nothing is handed out until it is resumed; what is being evaluated goes on, and the workers wait.${ours}`], { s: key, action: "pause" }, refresh),
    info.processes.length ? button("stop…", ["Stop all processes?", `The next worker that starts goes on.${ours}`, [["After their evaluations", { now: false }], ["Now: their trials wait", { now: true }]]], { s: key, action: "stop" }, refresh, false, "danger") : null,
  ];
}

function head() {
  const info = page.info, { best, budget, counts } = info;
  const total = info.trials;
  const state = info.stopping ? ["released", "stopping"] : info.policy.paused ? ["pending", "paused"] : info.alive > 0 ? ["running", "running"] : info.ended_early ? ["success", "ended early"] : budget.seconds_left !== null && budget.seconds_left <= 0 ? ["success", "budget used"] : ["pending", "nobody works"];
  fill(page.subtitle, pill(state[0], state[1]), " ", `${info.optimizer.name}, seed ${info.seed ?? "–"}${info.layout === "journal" ? "" : `, layout ${info.layout}`} · `, h("span", { class: "mono" }, info.path));
  const choice = page.objectives.length > 1 ? h("select", { "aria-label": "objective", onchange: (event) => { page.k = Number(event.target.value); refresh(true); } }, page.objectives.map((own, k) => h("option", { value: k, selected: k === page.k }, own.name))) : null;
  const limits = Object.keys(info.policy.budget);
  const drawn = JSON.stringify([limits, info.policy.paused ?? false, info.processes.length > 0, info.shared]);
  if (tools.dataset.drawn !== drawn) {
    tools.dataset.drawn = drawn;
    fill(tools, choice, info.read_only ? null : controls(info, limits),
      h("button", { onclick: () => copy(`trialmill worker ${info.path} --workers 4`), title: "the command that adds workers" }, "copy worker command"),
      h("a", { class: "small", href: `compare.html?${new URLSearchParams({ s: key })}` }, "compare"));
  }
  fill(alarm, info.problem ? h("p", { class: "problem", role: "alert" }, info.problem) : null);
  const fact = (name, big, ...rest) => h("div", { class: "fact" }, h("dt", {}, name), h("dd", {}, h("div", { class: "big" }, big), rest));
  const used = (own) => own.spent / Math.max(own.limit, 1e-300);
  const limit = budget.burns.filter((own) => own.limit !== null).sort((a, b) => used(b) - used(a))[0];
  const words = Object.entries(counts).map(([name, n]) => `${whole(n)} ${name}`).join(", ");
  fill(facts,
    best ? fact(page.objectives[0].direction === "maximize" ? "best (largest)" : "best (smallest)", h("a", { href: page.trial(best.id) }, number(Array.isArray(best.objective) ? best.objective[0] : best.objective)), h("div", { class: "small quiet" }, `trial ${best.id}: ${short(best.config).slice(0, 160)}`))
      : info.front.length > 1 ? fact("on the front", whole(info.front.length), h("div", { class: "small quiet" }, info.front.slice(0, 8).flatMap((id, i) => [i ? ", " : "trials ", h("a", { href: page.trial(id) }, id)]))) : fact("best", "none yet"),
    fact("trials", whole(total), stateBar(counts), h("div", { class: "small quiet" }, words || "none")),
    fact(limit ? `budget used: ${limit.name.replaceAll("_", " ")}` : "rate", limit ? `${Math.min(100, (100 * limit.spent) / Math.max(limit.limit, 1e-300)).toFixed(limit.spent < limit.limit ? 1 : 0)} %` : budget.trials_per_second ? `${number(budget.trials_per_second)} / s` : "–",
      limit ? h("div", { class: "bar" }, h("i", { style: { width: `${Math.min(100, (100 * limit.spent) / Math.max(limit.limit, 1e-300))}%`, background: "var(--accent)" } })) : null,
      h("div", { class: "small quiet" }, info.alive > 0 && budget.seconds_left > 0 ? `done in ${seconds(budget.seconds_left)}, at about ${when(info.now + budget.seconds_left)}` : budget.seconds_left === 0 ? "all of it" : info.alive > 0 ? "no limit" : "nobody works on it")),
    fact("workers", whole(info.evaluating.length), h("div", { class: "small quiet" }, `evaluating now, in ${info.alive} ${info.alive === 1 ? "process" : "processes"}; ${budget.trials_per_second && info.alive ? `${number(budget.trials_per_second)} trials a second` : `last event ${when(info.last)}`}`)),
    fact("given back", whole(info.requeues), h("div", { class: "small quiet" }, info.requeues ? `of ${whole(info.claims)} attempts: stopped, died, expired or retried` : `every one of ${whole(info.claims)} attempts reported`)));
}

// A button that is drawn anew between its press and its click is not clicked. A press that ends elsewhere
// (outside the window, say) keeps the page from drawing for two seconds at the most.
let pressed = false;
addEventListener("pointerdown", () => { pressed = true; }, true);
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => setTimeout(() => { pressed = false; }), true);
async function released() {
  for (let i = 0; pressed && i < 100; i++) await new Promise((go) => setTimeout(go, 20));
}

let busy = false, again = null, last = 0, shown = "";
/** Fetches what is new and draws what has changed; one at a time, and not more often than it pays. */
async function refresh(anew = true) {
  if (busy) { again ||= anew; return; }
  busy = true;
  const began = performance.now();
  try {
    const [info] = await Promise.all([json("study", { s: key }), page.study.update()]);
    await released();
    Object.assign(page, { info, axes: info.axes, objectives: info.objectives, states: info.states });
    if (page.k >= page.objectives.length) page.k = 0;
    if (!main.contains(cards)) { fill(main, h("div", { class: "head" }, title, tools), alarm, facts, cards); fill(cards, all.map((own) => own.element)); }
    head();
    // Where nothing has happened, only the time has gone on.
    const state = `${info.epoch} ${info.version}`;
    const list = anew || state !== shown ? all : info.evaluating.length ? [timeline, runningCard] : [runningCard];
    for (const own of list) {
      try { await released(); await own.update(); } catch (error) { own.note(String(error.message ?? error)); }
    }
    shown = state;
  } catch (error) {
    fill(main.contains(alarm) ? alarm : main, h("p", { class: "problem", role: "alert" }, String(error.message ?? error)));
  }
  last = performance.now() - began;
  window.trialmill.took = last;
  busy = false;
  document.documentElement.dataset.ready = "1";
  // A large study takes longer to show than to change: it gets its time, and the machine most of it.
  if (again !== null) { const next = again; again = null; setTimeout(() => refresh(next), Math.max(900, last * 4)); }
}

refresh();
listen(key, () => refresh(false), bar);
// A worker that dies writes nothing: what runs is looked at now and then.
setInterval(() => { if (!document.hidden && (page.info?.evaluating.length || page.info?.processes.length)) refresh(false); }, 5000);
