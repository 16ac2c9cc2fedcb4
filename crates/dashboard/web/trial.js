// @ts-check
// The page of one trial: what it is, what happened to it, its curve, its log as it is written.

import { button } from "./actions.js";
import { enqueue } from "./enqueue.js";
import { Chart, Scale, colour, through } from "./chart.js";
import { ask, json, listen } from "./data.js";
import { copy, fill, h, number, pill, seconds, table, top, when, whole } from "./dom.js";

const query = new URLSearchParams(location.search);
const key = query.get("s") ?? "";
const wanted = query.has("at") ? { at: query.get("at") } : { id: query.get("id") ?? "" };
const main = document.getElementById("main");
let bar = top(["studies", "index.html"], [key, `study.html?${new URLSearchParams({ s: key })}`], [`trial ${query.get("id") ?? ""}`]);
let trial = null;

const card = (title, width, ...children) => h("section", { class: `card ${width}`, "aria-label": title }, h("header", {}, h("h2", {}, title)), children);
const link = (id) => `trial.html?${new URLSearchParams({ s: key, id })}`;

const chart = new Chart({
  height: 250, label: "learning curve",
  scales() {
    const points = (trial?.curve.points ?? []).filter((point) => point[1] !== null);
    const ys = points.map((point) => point[1]), xs = points.map((point) => point[0]);
    const low = Math.min(...ys), high = Math.max(...ys);
    return { x: new Scale(Math.min(...xs), Math.max(...xs)), y: new Scale(low, high, low > 0 && high / low > 50), xLabel: "step", yLabel: trial?.objectives[0]?.name };
  },
  paint(context, chart) {
    through(context, chart, trial.curve.points, colour("point"), 2.2);
    context.fillStyle = colour("point");
    if (trial.curve.points.length < 80) for (const [x, y] of trial.curve.points) if (y !== null) { context.beginPath(); context.arc(chart.px(x), chart.py(y), 3, 0, 7); context.fill(); }
  },
  hover(x, y, chart) {
    const near = trial.curve.points.find((point) => Math.abs(chart.px(point[0]) - x) < 8);
    return near && [h("b", {}, `step ${number(near[0])}`), ` ${number(near[1])}`];
  },
});

// The log: the end first, and on from there.
const log = h("pre", { class: "log", tabindex: 0, "aria-label": "log" });
const tabs = h("div", { class: "tools", role: "tablist", "aria-label": "files" });
const follow = h("input", { type: "checkbox", checked: true, id: "follow" });
const logNote = h("span", { class: "small quiet" });
const MOST = 2_000_000;
let file = null, from = 0, decoder = new TextDecoder();

async function open(name) {
  file = name;
  decoder = new TextDecoder();
  log.textContent = "";
  from = -262144;
  for (const tab of tabs.children) tab.setAttribute("aria-selected", String(tab.dataset.name === name));
  await more();
}
async function more() {
  if (!file || more.busy) return;
  more.busy = true;
  const own = file;
  try {
    for (;;) {
      const answer = await ask("log", { s: key, ...wanted, name: own, from });
      if (own !== file) break;
      const begin = Number(answer.headers.get("x-from")), length = Number(answer.headers.get("x-length"));
      const bytes = new Uint8Array(await answer.arrayBuffer());
      if (length < begin) { from = 0; log.textContent = ""; continue; }
      if (from < 0 && begin > 0) log.append(`… ${whole(begin)} bytes before\n`);
      const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
      log.append(decoder.decode(bytes, { stream: true }));
      if (log.textContent.length > MOST) log.textContent = log.textContent.slice(-MOST / 2);
      if (follow.checked || atEnd) log.scrollTop = log.scrollHeight;
      from = begin + bytes.length;
      logNote.textContent = `${whole(length)} bytes`;
      if (from >= length || bytes.length === 0) break;
    }
  } catch (error) {
    logNote.textContent = String(error.message ?? error);
  }
  more.busy = false;
}

/** The output of the latest attempt comes first, then that of earlier ones, then the other files. */
function byUse(names) {
  const isOutput = (name) => /(^|\.)(stdout|stderr)\.log$/.test(name);
  const attempt = (name) => Number(name.match(/^attempt-(\d+)\./)?.[1] ?? 0);
  const rank = (name) => [isOutput(name) ? 0 : 1, isOutput(name) ? -attempt(name) : 0, name.endsWith("stdout.log") ? 0 : 1];
  const before = (a, b) => a.findIndex((x, at) => x !== b[at]);
  return [...names].sort((one, other) => {
    const [a, b] = [rank(one), rank(other)];
    const at = before(a, b);
    return at < 0 ? one.localeCompare(other) : a[at] - b[at];
  });
}

function show() {
  const { row, attempts } = trial;
  const report = row.report;
  document.title = `trial ${row.id} – ${key} – trialmill`;
  const shown = (value) => typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
  const objective = report ? report.objectives ?? report.objective_to_minimize ?? report.objective : null;
  const spaces = Object.fromEntries(trial.space);
  const fact = (name, big, ...rest) => h("div", { class: "fact" }, h("dt", {}, name), h("dd", {}, h("div", { class: "big" }, big), rest));
  const objectives = objective && typeof objective === "object" && !Array.isArray(objective) ? Object.entries(objective).map(([name, x]) => `${name} ${number(Number(x))}`).join(", ") : Array.isArray(objective) ? objective.map((x) => number(Number(x))).join(", ") : objective === null || objective === undefined ? "–" : number(Number(objective));
  const names = trial.files.map((own) => own.name);
  const logs = byUse(names);
  if (logs.join("\0") !== tabs.dataset.names) {
    tabs.dataset.names = logs.join("\0");
    fill(tabs, logs.slice(0, 24).map((name) => h("button", { role: "tab", "data-name": name, "aria-selected": String(name === file), onclick: () => open(name) }, name)));
    if (!file && logs.length) open((trial.is_error && logs.slice(0, 2).find((name) => name.endsWith("stderr.log") && trial.files.find((own) => own.name === name).bytes > 0)) || logs[0]);
  }
  const failure = report?.err_type || report?.err ? [h("p", {}, h("b", {}, `${report.err_type ?? "error"}: `), report.err ?? ""), report.tb ? h("pre", { class: "log", tabindex: 0, style: { height: "auto", "max-height": "260px" } }, report.tb) : null] : null;
  const readOnly = trial.read_only;
  fill(main,
    h("div", { class: "head" }, h("div", {}, h("h1", {}, `Trial ${row.id}`), h("p", { class: "quiet" }, pill(row.state), ` ${row.metadata.location}`)),
      h("div", { class: "tools" },
        trial.is_error ? button("retry", [`Retry trial ${row.id}?`, "It is handed out again."], { s: key, action: "retry", trial: row.id }, refresh, readOnly) : null,
        trial.is_lease ? button("release", [`Release trial ${row.id}?`, "It is handed out again, and what its caller reports later does not count."], { s: key, action: "release", trial: row.id }, refresh, readOnly) : null,
        button("enqueue one like it…", null, () => enqueue(key, row.id, refresh), null, readOnly),
        trial.previous ? h("a", { href: link(trial.previous), rel: "prev" }, `← ${trial.previous}`) : null, trial.next ? h("a", { href: link(trial.next), rel: "next" }, `${trial.next} →`) : null)),
    h("dl", { class: "facts" }, fact("objective", objectives), fact("took", seconds(row.metadata.evaluation_duration ?? (row.state === "evaluating" ? trial.now - row.metadata.time_started : null)), h("div", { class: "small quiet" }, row.metadata.time_started ? `from ${when(row.metadata.time_started)} on` : "not started")),
      fact("attempts", `${row.metadata.attempts} of ${trial.max_attempts}`), fact("cost", report?.cost === null || report?.cost === undefined ? "–" : number(Number(report.cost))), fact("sampled", when(row.metadata.time_sampled), row.metadata.previous_trial_id ? h("div", { class: "small quiet" }, "continues trial ", h("a", { href: link(row.metadata.previous_trial_id) }, row.metadata.previous_trial_id)) : null)),
    h("div", { class: "cards" },
      card("Configuration", trial.curve.points.length ? "half" : "", h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "configuration", style: { "max-height": "420px", overflow: "auto" } }, table("configuration", [["parameter"], ["value"], ["domain"]], Object.entries(row.config).map(([name, value]) => [name, h("b", {}, shown(value)), h("span", { class: "small quiet" }, spaces[name] ?? "")])))),
      trial.curve.points.length ? card("Learning curve", "half", chart.element, h("details", { class: "numbers" }, h("summary", {}, "numbers"), h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "numbers" }, table("learning curve", [["step", true], ["value", true]], trial.curve.points.map(([x, y]) => [number(x), number(y)]))))) : null,
      failure ? card("What went wrong", "", failure) : null,
      card("Attempts", "", h("div", { class: "scroll" }, table("attempts", [["attempt"], ["worker"], ["began"], ["took"], ["how it ended"]], attempts.map((own) => [own.number, `${own.worker}${own.host ? ` on ${own.host}` : ""}`, when(own.start), seconds((own.end ?? trial.now) - own.start), pill(own.ending)]))), attempts.length ? null : h("p", { class: "empty" }, "it has not been started")),
      logs.length ? card("Files", "", h("div", { class: "tools", style: { "margin-bottom": "8px" } }, tabs, h("label", { class: "small", for: "follow" }, follow, " follow the end"), logNote), log) : null,
      trial.command ? card("Command line", "", h("div", { class: "command" }, h("code", {}, trial.command), h("button", { onclick: () => copy(trial.command) }, "copy"))) : null,
      report?.extra ? card("Extra values", "", h("div", { class: "scroll" }, table("extra", [["name"], ["value"]], Object.entries(report.extra).map(([name, value]) => [name, shown(value)])))) : null,
      row.notes ? card("Notes", "", h("div", { class: "scroll" }, table("notes", [["name"], ["value"]], Object.entries(row.notes).map(([name, value]) => [name, shown(value)])))) : null));
  chart.paint();
}

let busy = false;
async function refresh() {
  if (busy) return;
  busy = true;
  try {
    const [found, study] = await Promise.all([json("trial", { s: key, ...wanted }), trial ? null : json("study", { s: key })]);
    const before = trial && JSON.stringify([trial.row, trial.attempts, trial.files.map((own) => own.name)]);
    found.read_only = trial ? trial.read_only : study.read_only;
    const first = !trial;
    trial = found;
    if (first) bar = top(["studies", "index.html"], [key, `study.html?${new URLSearchParams({ s: key })}`], [`trial ${trial.row.id}`]);
    if (first) listen(key, () => refresh(), { set: (state, text) => bar.set(state, text) });
    if (first || before !== JSON.stringify([trial.row, trial.attempts, trial.files.map((own) => own.name)])) show();
    await more();
  } catch (error) {
    if (!trial) fill(main, h("p", { class: "problem", role: "alert" }, String(error.message ?? error)));
  }
  busy = false;
  document.documentElement.dataset.ready = "1";
}
refresh();
setInterval(() => { if (trial?.row.state === "evaluating") refresh(); }, 1500);
