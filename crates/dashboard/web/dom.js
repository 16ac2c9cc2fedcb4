// @ts-check
// Elements, numbers and times. A text of a study only ever becomes a text node.

/**
 * An element with attributes, listeners (`onclick`) and children.
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...any} children
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  put(element, ...children);
  return element;
}

/** Puts children into an element, after those that it has. */
export function put(element, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Replaces all children, and keeps the focus where the same key had it. */
export function fill(element, ...children) {
  element.replaceChildren();
  put(element, ...children);
}

/** A number with about four digits. */
export function number(x) {
  if (x === null || x === undefined || Number.isNaN(x)) return "–";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "-∞";
  const size = Math.abs(x);
  if (x === 0) return "0";
  if (size < 1e-3 || size >= 1e6) return x.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  return String(Number(x.toPrecision(Math.max(4, Math.ceil(Math.log10(size + 1))))));
}

/** A whole number with its thousands apart. */
export const whole = (n) => (n ?? 0).toLocaleString("en-US").replaceAll(",", "\u202f");

/** A configuration in one line, with short numbers. */
export const short = (config) => Object.entries(config ?? {}).map(([name, value]) => `${name} ${typeof value === "number" ? number(value) : typeof value === "object" ? JSON.stringify(value) : value}`).join(", ");

/** A duration as a person says it. */
export function seconds(s) {
  if (s === null || s === undefined || !Number.isFinite(s) || s < 0) return "–";
  if (s === 0) return "0";
  if (s < 0.001) return `${number(s * 1e6)} µs`;
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 60) return `${Number(s.toFixed(1))} s`;
  const w = Math.round(s);
  if (s < 3600) return `${Math.floor(w / 60)} min ${w % 60} s`;
  if (s < 86400) return `${Math.floor(w / 3600)} h ${Math.floor(w / 60) % 60} min`;
  return `${Math.floor(w / 86400)} d ${Math.floor(w / 3600) % 24} h`;
}

/** When something was, as a time of day, with the date where it was another day. */
export function when(time) {
  if (!time) return "–";
  const at = new Date(time * 1000);
  const today = new Date().toDateString() === at.toDateString();
  const clock = at.toLocaleTimeString("en-GB");
  return today ? clock : `${at.toLocaleDateString("en-CA")} ${clock}`;
}

/** The colour of a state, or of how an attempt ended. */
export function colourOf(state) {
  const known = ["success", "failed", "crashed", "pruned", "died", "released", "expired", "pending", "running"];
  if (state === "evaluating") return "var(--running)";
  if (state === "external") return "var(--success)";
  return known.includes(state) ? `var(--${state})` : "var(--pending)";
}

/** A state as a word with its colour beside it. */
export const pill = (state, text = state) => h("span", { class: "pill", style: { "--c": colourOf(state) } }, text);

/** A bar with a stretch for each state. */
export function stateBar(counts) {
  const total = Object.values(counts).reduce((a, b) => a + b, 0) || 1;
  const parts = Object.entries(counts).filter(([, n]) => n > 0);
  const text = parts.map(([state, n]) => `${n} ${state}`).join(", ");
  return h("div", { class: "bar", role: "img", "aria-label": text || "no trials" },
    parts.map(([state, n]) => h("i", { style: { width: `${(100 * n) / total}%`, background: colourOf(state) } })));
}

/** The bar at the top: where one is, whether it is live, and the theme. */
export function top(...crumbs) {
  const live = h("span", { class: "live", role: "status" }, "connecting");
  const bar = document.getElementById("top");
  const path = crumbs.flatMap(([text, link], at) => [
    at > 0 ? "/" : null,
    link ? h("a", { href: link }, text) : h("span", { "aria-current": "page" }, text),
  ]);
  fill(bar,
    h("a", { class: "brand", href: "index.html", "aria-label": "trialmill, all studies" }, h("img", { src: "icon.svg", alt: "" }), h("span", {}, "trialmill")),
    h("nav", { "aria-label": "where you are" }, path), live, themeButton());
  return { set(state, text) { live.className = `live ${state}`; live.textContent = text; } };
}

const themes = ["auto", "light", "dark"];
const asked = matchMedia("(prefers-color-scheme: dark)");
const chosen = () => { try { return localStorage.getItem("trialmill-theme") || "auto"; } catch { return "auto"; } };
function applyTheme() {
  const theme = chosen();
  document.documentElement.dataset.theme = theme === "auto" ? (asked.matches ? "dark" : "light") : theme;
  window.dispatchEvent(new Event("theme"));
}
asked.addEventListener("change", applyTheme);
applyTheme();

function themeButton() {
  const text = () => ({ auto: "◐ auto", light: "○ light", dark: "● dark" })[chosen()];
  const button = h("button", { class: "plain", title: "light or dark", onclick() {
    try { localStorage.setItem("trialmill-theme", themes[(themes.indexOf(chosen()) + 1) % 3]); } catch { /* none then */ }
    applyTheme();
    button.textContent = text();
  } }, text());
  return button;
}

/** A table with a heading for each column: `[text, isNumber]`. */
export function table(caption, columns, rows) {
  return h("table", {}, h("caption", { class: "skip" }, caption),
    h("thead", {}, h("tr", {}, columns.map(([text, n]) => h("th", { scope: "col", class: n ? "n" : undefined }, text)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, at) => h("td", { class: columns[at][1] ? "n" : "wide" }, cell))))));
}

/** Copies a text, also where a page may not (plain http under another name). */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", {}, text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say("copied");
}

let toast;
/** Says something for a moment, to screen readers too; what went wrong stays until it is clicked away. */
export function say(text, isProblem = false) {
  if (!toast) document.body.append((toast = h("div", { class: "toast", role: "status", onclick: () => (toast.textContent = "") })));
  toast.textContent = text;
  toast.classList.toggle("wrong", isProblem);
  clearTimeout(toast.timer);
  if (!isProblem) toast.timer = setTimeout(() => (toast.textContent = ""), 8000);
}
