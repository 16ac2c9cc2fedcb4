// @ts-check
// Several studies laid over each other: best so far, and how many are that good.

import { Chart, Scale, colour, steps, through } from "./chart.js";
import { json } from "./data.js";
import { fill, h, number, seconds, table, top, whole } from "./dom.js";
import "./actions.js";

const main = document.getElementById("main");
const bar = top(["studies", "index.html"], ["compare"]);
const query = new URLSearchParams(location.search);
let keys = query.getAll("s");
let over = "number", found = [], all = [];

const ranges = () => {
  const low = Math.min(...found.map((own) => own.history.range.low)), high = Math.max(...found.map((own) => own.history.range.high));
  return [low, high, found.every((own) => own.history.range.log) && low > 0];
};
const until = () => Math.max(1e-9, ...found.map((own) => own.until));
const bestRange = () => {
  const ys = found.flatMap((own) => own.history.best.map((step) => step.y)).filter(Number.isFinite).sort((a, b) => a - b);
  const [low, high] = [ys[0] ?? 0, ys[Math.floor((ys.length - 1) * 0.95)] ?? 1];
  const log = low > 0 && high / low > 50;
  return log ? new Scale(low * 0.9, high * 1.1, true) : new Scale(low - (high - low) * 0.05, high + (high - low) * 0.05);
};
const history = new Chart({
  height: 360, label: "best so far of each study",
  scales: () => ({ x: new Scale(0, found.length ? until() : 1), y: found.length ? bestRange() : new Scale(0, 1), xText: over === "time" ? seconds : number, xLabel: found[0]?.history.label, yLabel: "best so far" }),
  paint(context, chart) { found.forEach((own, i) => steps(context, chart, own.history.best, own.until, colour(`s${i % 8}`), 2.4)); },
  hover(x, y, chart) {
    const value = chart.scale.x.value((x - chart.box.left) / (chart.box.right - chart.box.left));
    return found.length ? found.map((own, i) => h("div", {}, dot(i), ` ${own.key} `, h("b", {}, number(own.history.best.findLast((step) => step.x <= value)?.y)))) : null;
  },
});
const distribution = new Chart({
  height: 320, label: "share of trials that are as good as a value",
  scales: () => ({ x: found.length ? new Scale(...ranges()) : new Scale(0, 1), y: new Scale(0, 1), xLabel: "objective", yLabel: "share of trials" }),
  paint(context, chart) { found.forEach((own, i) => through(context, chart, own.ecdf.values.map((x, k) => [x, own.ecdf.shares[k]]), colour(`s${i % 8}`), 2.2, i >= 8 ? [6, 3] : [])); },
});
const dot = (i) => h("span", { style: { display: "inline-block", width: "14px", "border-top": `3px ${i >= 8 ? "dashed" : "solid"} var(--s${i % 8})`, "vertical-align": "middle" } });
const numbers = h("div", { class: "scroll" }), picker = h("div", { class: "tools" });

async function refresh() {
  try {
    all = (await json("studies")).studies;
    keys = keys.filter((key) => all.some((own) => own.key === key));
    found = await Promise.all(keys.slice(0, 16).map(async (key) => {
      const [info, history, ecdf, budget] = await Promise.all([json("study", { s: key }), json("figure", { s: key, name: "history", over }), json("figure", { s: key, name: "ecdf" }), json("figure", { s: key, name: "budget" })]);
      const last = history.best.at(-1)?.x ?? 0;
      const cost = budget.burns.find((burn) => burn.name === "cost")?.spent ?? 0;
      return { key, info, history, ecdf, until: Math.max(last, over === "number" ? info.ended : over === "time" ? (info.last ?? 0) - (info.began ?? 0) : cost) };
    }));
    if (!main.contains(numbers)) {
      fill(main, h("div", { class: "head" }, h("div", {}, h("h1", {}, "Compare"), h("p", { class: "quiet" }, "the first objective of each study")),
        h("div", { class: "tools" }, h("select", { "aria-label": "line up by", onchange: (event) => { over = event.target.value; refresh(); } }, [["number", "by number"], ["time", "by time"], ["cost", "by cost"]].map(([value, text]) => h("option", { value }, text))))),
      h("div", { class: "cards" }, h("section", { class: "card", "aria-label": "studies" }, h("header", {}, h("h2", {}, "Studies")), picker, numbers),
        h("section", { class: "card half", "aria-label": "best so far" }, h("header", {}, h("h2", {}, "Best so far")), history.element),
        h("section", { class: "card half", "aria-label": "how many are that good" }, h("header", {}, h("h2", {}, "How many are that good")), distribution.element)));
    }
    const others = all.filter((own) => !keys.includes(own.key));
    fill(picker, others.length ? h("select", { "aria-label": "add a study", onchange: (event) => { keys.push(event.target.value); remember(); refresh(); } }, h("option", { value: "" }, "add a study…"), others.map((own) => h("option", { value: own.key }, own.key))) : null);
    fill(numbers, found.length ? table("studies compared", [[""], ["study"], ["best", true], ["trials ended", true], ["errors", true], ["took", true], ["optimizer"], [""]], found.map((own, i) => [dot(i), h("a", { href: `study.html?${new URLSearchParams({ s: own.key })}` }, own.key), number(own.history.best.at(-1)?.y), whole(own.info.ended), whole(own.info.errors.reduce((sum, one) => sum + one.count, 0)), seconds((own.info.last ?? 0) - (own.info.began ?? 0)), own.info.optimizer.name,
      h("button", { class: "plain", "aria-label": `take ${own.key} out`, onclick: () => { keys = keys.filter((key) => key !== own.key); remember(); refresh(); } }, "×")])) : h("p", { class: "empty" }, "choose studies above, or in the list of all"));
    history.paint();
    distribution.paint();
    bar.set("on", "live");
  } catch (error) {
    bar.set("off", "no connection");
    if (!main.contains(numbers)) fill(main, h("p", { class: "problem", role: "alert" }, String(error.message ?? error)));
  }
  document.documentElement.dataset.ready = "1";
}
const remember = () => window.history.replaceState(null, "", `compare.html?${keys.map((key) => `s=${encodeURIComponent(key)}`).join("&")}`);
refresh();
setInterval(() => { if (!document.hidden && document.activeElement?.tagName !== "SELECT") refresh(); }, 4000);
