// @ts-check
// The figures of a study: each is a card with its plot, its numbers as a table, and its picture to keep.

import { Chart, Scale, colour, scatter, steps, through, ticks } from "./chart.js";
import { json } from "./data.js";
import { copy, fill, h, number, seconds, table, whole } from "./dom.js";

/** A card: `{title, width, controls, body, picture}`; `note` and `numbers` are filled later. */
export function card(page, { title, width = "", controls = [], picture, body }) {
  const note = h("span", { class: "note" });
  const numbers = h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": `${title}: numbers` });
  let give = () => null;
  const details = h("details", { class: "numbers", ontoggle: () => { if (details.open) refresh(); } }, h("summary", {}, "numbers"),
    h("button", { class: "plain", onclick: () => { const found = give(); if (found) copy(csv(found)); } }, "copy as CSV"), numbers);
  const refresh = () => {
    const found = give();
    fill(numbers, found ? table(title, found.columns, found.rows.slice(0, 500)) : "nothing yet");
  };
  const save = picture ? h("a", { class: "small", href: `api/picture?${new URLSearchParams({ s: page.key, name: picture })}`, download: `${picture}.svg`, title: "the picture as SVG" }, "SVG") : null;
  const element = h("section", { class: `card ${width}`, "aria-label": title },
    h("header", {}, h("h2", {}, title), note, h("div", { class: "tools" }, controls, save)), body, details);
  return {
    element, hide(off) { element.hidden = off; },
    note(text) { note.textContent = text; },
    numbers(of) { give = of; if (details.open) refresh(); },
    withoutNumbers() { details.remove(); return this; },
  };
}

function csv({ columns, rows }) {
  const cell = (value) => { const text = value instanceof Node ? value.textContent : String(value ?? ""); return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text; };
  return [columns.map(([name]) => name), ...rows].map((row) => row.map(cell).join(",")).join("\n");
}

const choice = (label, options, changed) => h("select", { "aria-label": label, onchange: (event) => changed(event.target.value) },
  options.map(([value, text]) => h("option", { value }, text)));

const trialLink = (page, id) => h("a", { href: page.trial(id) }, id);

export function history(page) {
  let over = "number", figure = null;
  const study = page.study;
  const xs = () => over === "time" ? study.columns.time.values : over === "cost" ? study.columns.cost.values : (i) => i + 1;
  const last = () => over === "number" ? study.rows : Math.max(1e-9, (over === "time" ? study.columns.time : study.columns.cost).values.at(-1) ?? 1);
  const chart = new Chart({
    height: 330, label: "history",
    scales: () => ({ x: new Scale(0, last()), y: new Scale(figure?.range.low ?? 0, figure?.range.high ?? 1, figure?.range.log),
      xText: over === "time" ? seconds : number, xLabel: figure?.label, yLabel: page.objective().name }),
    paint(context, chart, sharp) {
      if (!figure) return;
      scatter(context, chart, xs(), study.objective(page.k), sharp);
      const failed = study.columns.state.values, X = xs(), at = typeof X === "function" ? X : (i) => X[i];
      context.fillStyle = colour("crashed");
      let drawn = -9;
      for (let i = 0; i < failed.length; i++) {
        const state = page.states[failed[i]];
        if (state !== "crashed" && state !== "failed") continue;
        const x = chart.px(at(i));
        if (x - drawn < 1) continue;
        drawn = x;
        context.fillRect(x - 0.75, chart.box.bottom - 8, 1.5, 8);
      }
      steps(context, chart, figure.best, last(), colour("best"), 2.4);
      context.fillStyle = colour("best");
      if (figure.best.length < 60) for (const step of figure.best) { context.beginPath(); context.arc(chart.px(step.x), chart.py(step.y), 3.4, 0, 7); context.fill(); }
    },
    hover(x, y, chart) {
      const values = study.objective(page.k), X = xs(), at = typeof X === "function" ? X : (i) => X[i];
      let nearest = -1, distance = 14 * 14;
      const step = Math.max(1, Math.floor(values.length / 200000));
      for (let i = 0; i < values.length; i += step) {
        if (Number.isNaN(values[i])) continue;
        const dx = chart.px(at(i)) - x;
        if (dx > 14 || dx < -14) continue;
        const dy = chart.py(values[i]) - y, d = dx * dx + dy * dy;
        if (d < distance) { distance = d; nearest = i; }
      }
      chart.hit = nearest;
      if (nearest < 0) return null;
      return [h("b", {}, `trial ${page.idOf(nearest)}`), ` ${number(values[nearest])}`, h("div", { class: "small quiet" }, `ended after ${seconds(study.columns.time.values[nearest])}, took ${seconds(study.columns.duration.values[nearest])}`)];
    },
  });
  chart.canvas.addEventListener("click", () => { if (chart.hit >= 0 && !chart.drag) location.href = page.trialAt(chart.hit); });
  const own = card(page, { title: "History", width: "two", picture: "history", body: chart.element,
    controls: [choice("line up by", [["number", "by number"], ["time", "by time"], ["cost", "by cost"]], (value) => { over = value; chart.zoomed = null; own.update(); })] });
  own.chart = chart;
  own.update = async () => {
    figure = await json("figure", { s: page.key, name: "history", objective: page.k, over });
    page.range = figure.range;
    chart.label(`history: ${study.rows} trials ended, ${figure.best.length} improvements, best ${number(figure.best.at(-1)?.y)}`);
    own.note(`${whole(study.rows)} ended; the line is the best so far`);
    own.numbers(() => ({ columns: [[figure.label, true], [page.objective().name, true], ["trial", true]], rows: figure.best.map((step) => [over === "time" ? seconds(step.x) : number(step.x), number(step.y), trialLink(page, step.trial)]) }));
    chart.paint();
  };
  return own;
}

export function importance(page) {
  const list = h("div", {});
  const own = card(page, { title: "Importance", width: "third", picture: "importance", body: list });
  own.update = async () => {
    const found = await json("figure", { s: page.key, name: "importance", objective: page.k });
    page.important = found.map((one) => one.name);
    own.note("how the best tenth differs from all (PED-ANOVA)");
    const most = found[0]?.share || 1;
    fill(list, found.length === 0 ? h("p", { class: "empty" }, "needs two trials with an objective") : found.slice(0, 12).map((one) =>
      h("div", { class: "importance", style: { display: "grid", "grid-template-columns": "minmax(90px, 38%) 1fr 56px", gap: "10px", "align-items": "center", padding: "4px 0" } },
        h("span", { style: { overflow: "hidden", "text-overflow": "ellipsis", "white-space": "nowrap" }, title: one.name }, one.name),
        h("span", { style: { background: "var(--sunken)", "border-radius": "4px", height: "12px", overflow: "hidden" } },
          h("span", { style: { display: "block", height: "100%", width: `${(100 * one.share) / most}%`, background: "var(--point)" } })),
        h("span", { style: { "text-align": "right" } }, `${(one.share * 100).toFixed(1)} %`))));
    own.numbers(() => ({ columns: [["parameter"], ["share", true]], rows: found.map((one) => [one.name, one.share.toFixed(4)]) }));
  };
  return own;
}

export function slice(page) {
  const grid = h("div", { class: "grid-slices" });
  const own = card(page, { title: "Slices", picture: "slice", body: grid });
  const charts = new Map();
  let range = null, columns = new Map();
  own.update = async () => {
    if (!page.near(own)) return;
    const axes = page.shownAxes(12);
    range = page.range;
    const places = await page.study.on(axes);
    axes.forEach((axis, i) => columns.set(axis, places[i]));
    for (const axis of axes) {
      const info = page.axes[axis];
      if (!charts.has(axis)) {
        const chart = new Chart({
          height: 190, label: `objective over ${info.name}`, zoom: false, left: 48,
          scales: () => ({ x: new Scale(0, 1), y: new Scale(range.low, range.high, range.log), xLabel: info.name + (info.log ? " (log)" : ""),
            xMarks: info.ticks.filter((_, at) => at % Math.ceil(info.ticks.length / 6) === 0).map((tick) => [tick.at, tick.label.length > 9 ? `${tick.label.slice(0, 8)}…` : tick.label]) }),
          paint(context, chart, sharp) {
            const xs = columns.get(axis);
            if (xs) scatter(context, chart, xs, page.study.objective(page.k).subarray(0, xs.length), sharp, 6000);
          },
        });
        charts.set(axis, chart);
      }
      charts.get(axis).paint();
    }
    const wanted = axes.map((axis) => charts.get(axis).element);
    if (wanted.some((element, i) => grid.children[i] !== element) || grid.children.length !== wanted.length) grid.replaceChildren(...wanted);
    own.note(axes.length < page.axes.length ? `${axes.length} of ${page.axes.length} parameters, the important ones` : "the objective over each parameter");
    own.numbers(() => ({ columns: [["trial", true], [page.objective().name, true], ...axes.map((axis) => [page.axes[axis].name, true])],
      rows: page.bestRows(50).map((row) => [trialLink(page, page.idOf(row)), number(page.study.objective(page.k)[row]), ...axes.map((axis) => page.valueAt(axis, columns.get(axis)[row]))]) }));
  };
  return own;
}

export function ecdf(page) {
  let figure = null;
  const chart = new Chart({
    height: 260, label: "distribution of the objective",
    scales: () => ({ x: new Scale(page.range.low, page.range.high, page.range.log), y: new Scale(0, 1), xLabel: page.objective().name, yLabel: "share of trials" }),
    paint(context, chart) { if (figure) through(context, chart, figure.values.map((x, i) => [x, figure.shares[i]]), colour("point"), 2.2); },
    hover(x, y, chart) {
      if (!figure?.values.length) return null;
      const value = chart.scale.x.value((x - chart.box.left) / (chart.box.right - chart.box.left));
      const better = figure.objective.direction === "maximize" ? (v) => v >= value : (v) => v <= value;
      const share = figure.shares[figure.values.findLastIndex(better)] ?? 0;
      return [h("b", {}, `${(share * 100).toFixed(1)} %`), ` are ${number(value)} or better`];
    },
  });
  const own = card(page, { title: "How many are that good", width: "third", picture: "ecdf", body: chart.element });
  own.update = async () => {
    figure = await json("figure", { s: page.key, name: "ecdf", objective: page.k });
    own.note("of all that ended, errors too");
    own.numbers(() => ({ columns: [[page.objective().name, true], ["share", true]], rows: figure.values.map((x, i) => [number(x), figure.shares[i].toFixed(4)]) }));
    chart.paint();
  };
  return own;
}

export function curves(page) {
  let figure = null;
  const chart = new Chart({
    height: 260, label: "learning curves",
    scales() {
      const points = figure?.curves.flatMap((curve) => curve.points) ?? [];
      const ys = points.map((point) => point[1]).filter((y) => y !== null).sort((a, b) => a - b);
      const xs = points.map((point) => point[0]);
      const low = ys[0] ?? 0, high = ys[Math.floor((ys.length - 1) * 0.97)] ?? 1;
      return { x: new Scale(Math.min(...xs, 1), Math.max(...xs, 2)), y: new Scale(low, high, low > 0 && high / low > 50), xLabel: "step", yLabel: page.objective().name };
    },
    paint(context, chart) {
      figure?.curves.toReversed().forEach((curve, back) => {
        const at = figure.curves.length - 1 - back;
        through(context, chart, curve.points, colour(`s${at % 8}`), at === 0 ? 3 : 1.6, curve.state === "evaluating" ? [5, 3] : []);
      });
    },
    hover(x, y, chart) {
      let best = null, distance = 196;
      for (const curve of figure?.curves ?? []) for (const [a, b] of curve.points) {
        const d = (chart.px(a) - x) ** 2 + (chart.py(b ?? 0) - y) ** 2;
        if (b !== null && d < distance) { distance = d; best = [curve, a, b]; }
      }
      return best && [h("b", {}, `trial ${best[0].trial}`), ` step ${number(best[1])}: ${number(best[2])}`, best[0].state === "evaluating" ? " (runs)" : ""];
    },
  });
  const own = card(page, { title: "Learning curves", width: "third", picture: "curves", body: chart.element });
  own.update = async () => {
    figure = await json("figure", { s: page.key, name: "curves", objective: page.k, n: 10 });
    own.hide(figure.curves.length === 0);
    own.note(`the best of ${whole(figure.trials_with_curve)}, and those that run (dashed)`);
    own.numbers(() => ({ columns: [["trial", true], ["state"], ["steps", true], ["last value", true], ["objective", true]],
      rows: figure.curves.map((curve) => [trialLink(page, curve.trial), curve.state, curve.points.length, number(curve.points.at(-1)?.[1]), curve.objective === null ? "" : number(curve.objective)]) }));
    chart.paint();
  };
  return own;
}

export function budget(page) {
  let figure = null;
  const whole1 = (burn) => Math.max(burn.limit, 1e-300);
  const ends = () => Math.max(1e-9, ...figure.burns.map((burn) => burn.line.at(-1)?.[0] ?? 0));
  const until = () => { const end = ends(); const left = figure.seconds_left; return left === null ? end : Math.min(end + left, end * 4 + 1); };
  const chart = new Chart({
    height: 260, label: "budget over time",
    scales: () => ({ x: new Scale(0, figure ? until() : 1), y: new Scale(0, 1.05), xText: seconds, yText: (y) => `${Math.round(y * 100)} %`, xLabel: "time since the start" }),
    paint(context, chart) {
      figure?.burns.forEach((burn, i) => {
        if (burn.limit === null) return;
        const all = whole1(burn);
        through(context, chart, burn.line.map(([x, y]) => [x, y / all]), colour(`s${i}`), 2.2);
        const end = burn.line.at(-1);
        if (burn.seconds_left && end) through(context, chart, [[end[0], end[1] / all], [end[0] + burn.seconds_left, 1]], colour(`s${i}`), 1.4, [4, 4]);
      });
    },
  });
  const legend = h("ul", { class: "legend" });
  const own = card(page, { title: "Budget", width: "third", picture: "budget", body: h("div", {}, chart.element, legend) });
  own.update = async () => {
    figure = await json("figure", { s: page.key, name: "budget" });
    own.hide(figure.burns.every((burn) => burn.limit === null));
    own.note(figure.seconds_left === null ? "no end in sight" : figure.seconds_left <= 0 ? "used up" : `used up in ${seconds(figure.seconds_left)} at this pace`);
    fill(legend, figure.burns.map((burn, i) => h("li", {}, burn.limit === null ? null : h("span", { style: { width: "16px", "border-top": `3px solid var(--s${i})` } }),
      `${burn.name.replaceAll("_", " ")} ${number(burn.spent)}${burn.limit === null ? "" : ` of ${number(burn.limit)}`}`)));
    own.numbers(() => ({ columns: [["budget"], ["spent", true], ["limit", true], ["left at this pace", true]],
      rows: figure.burns.map((burn) => [burn.name, number(burn.spent), burn.limit === null ? "none" : number(burn.limit), burn.seconds_left === null ? "" : seconds(burn.seconds_left)]) }));
    chart.paint();
  };
  return own;
}

export function pareto(page) {
  let figure = null, i = 0, j = 1;
  const pick = (which) => h("select", { "aria-label": which, onchange: (event) => { if (which === "across") i = Number(event.target.value); else j = Number(event.target.value); own.update(); } });
  const across = pick("across"), up = pick("up");
  const extent = (k) => {
    const values = page.study.objective(k);
    let low = Infinity, high = -Infinity;
    for (const x of values) if (Number.isFinite(x)) { if (x < low) low = x; if (x > high) high = x; }
    const pad = (high - low) * 0.04;
    return low <= high ? new Scale(low - pad, high + pad) : new Scale(0, 1);
  };
  const chart = new Chart({
    height: 320, label: "Pareto front",
    scales: () => ({ x: extent(i), y: extent(j), xLabel: figure?.x.name, yLabel: figure?.y.name }),
    paint(context, chart, sharp) {
      if (!figure) return;
      scatter(context, chart, page.study.objective(i), page.study.objective(j), sharp);
      steps(context, chart, figure.front, figure.front.at(-1)?.x ?? 0, colour("best"), 1.6);
      context.fillStyle = colour("best");
      for (const point of figure.front) { context.beginPath(); context.arc(chart.px(point.x), chart.py(point.y), 4, 0, 7); context.fill(); }
    },
    hover(x, y, chart) {
      const near = figure?.front.find((point) => Math.hypot(chart.px(point.x) - x, chart.py(point.y) - y) < 10);
      return near && [h("b", {}, `trial ${near.trial}`), ` ${number(near.x)}, ${number(near.y)}`];
    },
  });
  const own = card(page, { title: "Pareto front", width: "half", picture: "pareto", body: chart.element, controls: [across, up] });
  own.update = async () => {
    own.hide(page.objectives.length < 2);
    if (page.objectives.length < 2) return;
    if (across.children.length !== page.objectives.length) {
      page.objectives.forEach((own, k) => { across.append(h("option", { value: k, selected: k === 0 }, own.name)); up.append(h("option", { value: k, selected: k === 1 }, own.name)); });
    }
    figure = await json("figure", { s: page.key, name: "pareto", objective: i, other: j });
    own.note(`${figure.front.length} trials are beaten by none`);
    own.numbers(() => ({ columns: [["trial", true], [figure.x.name, true], [figure.y.name, true]], rows: figure.front.map((point) => [trialLink(page, point.trial), number(point.x), number(point.y)]) }));
    chart.paint();
  };
  return own;
}

export { ticks };
