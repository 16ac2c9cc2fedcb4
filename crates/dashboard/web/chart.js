// @ts-check
// A canvas with two axes: scales, marks, points by the million, zoom, and what is under the pointer.

import { h, number } from "./dom.js";

/** The value of a CSS variable, as the page has it now. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** The three parts of a colour `#rrggbb`. */
export function parts(hex) {
  const value = parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** From good (0) to bad (1), getting lighter evenly on a light page and darker on a dark one. */
export function scaleColour(at) {
  const dark = document.documentElement.dataset.theme === "dark";
  const stops = dark
    ? [[255, 214, 90], [128, 205, 130], [70, 160, 170], [62, 105, 165], [58, 62, 110]]
    : [[50, 24, 110], [40, 86, 155], [36, 140, 140], [120, 190, 100], [214, 205, 90]];
  const x = Math.min(0.9999, Math.max(0, at)) * (stops.length - 1);
  const i = Math.floor(x);
  return stops[i].map((one, k) => Math.round(one + (stops[i + 1][k] - one) * (x - i)));
}

/** Round marks of an axis. */
export function ticks(low, high, log, n) {
  if (!(low < high)) return [low];
  if (log && low > 0) {
    const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
    if (last - first >= 1) {
      const every = Math.floor((last - first) / n) + 1, marks = [];
      for (let e = first; e <= last; e += every) marks.push(Number(`1e${e}`));
      return marks;
    }
  }
  const rough = (high - low) / Math.max(1, n);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * (rough / power < 1.5 ? 1 : rough / power < 3.5 ? 2 : rough / power < 7.5 ? 5 : 10);
  const marks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9 && marks.length < 50; i++) marks.push(i * step);
  return marks;
}

/** A stretch of values, linear or logarithmic, and the way from a value to 0…1 and back. */
export class Scale {
  constructor(low, high, log = false) {
    if (!(low < high)) { const pad = Math.max(Math.abs(low || 0) * 0.1, 0.5); low = (low || 0) - pad; high = low + 2 * pad; }
    this.low = low; this.high = high; this.log = log && low > 0;
    this.a = this.log ? Math.log(low) : low;
    this.b = this.log ? Math.log(high) : high;
  }
  unit(x) { return ((this.log ? Math.log(Math.max(x, 1e-300)) : x) - this.a) / (this.b - this.a); }
  value(u) { const x = this.a + u * (this.b - this.a); return this.log ? Math.exp(x) : x; }
}

// What is to be drawn. A frame draws for as long as it has time, so that a page of many large plots scrolls on.
const queue = [];
const FRAME_MS = 9;
function drawNext(began) {
  while (queue.length && performance.now() - began < FRAME_MS) queue.shift()();
  if (queue.length) requestAnimationFrame(() => drawNext(performance.now()));
}
function soon(draw) {
  if (queue.push(draw) === 1) requestAnimationFrame(() => drawNext(performance.now()));
}

/** A canvas that keeps its size and sharpness. `draw(context, width, height)` is called when it must. */
export class Board {
  constructor(height, label, draw) {
    this.canvas = h("canvas", { role: "img", "aria-label": label });
    this.element = h("div", { class: "plot" }, this.canvas);
    this.tip = null;
    this.height = height;
    this.draw = draw;
    this.seen = false;
    this.dirty = true;
    new ResizeObserver(() => this.paint()).observe(this.element);
    new IntersectionObserver((entries) => {
      this.seen = entries.some((entry) => entry.isIntersecting);
      if (this.seen && this.dirty) this.paint();
    }, { rootMargin: "200px" }).observe(this.element);
    window.addEventListener("theme", () => this.paint());
  }

  label(text) { this.canvas.setAttribute("aria-label", text); }

  /** Draws at the next frame, or once it is seen. */
  paint() {
    this.dirty = true;
    if (!this.seen || this.waiting) return;
    this.waiting = true;
    soon(() => {
      this.waiting = false;
      this.dirty = false;
      const width = this.element.clientWidth;
      if (width < 10) return;
      const height = typeof this.height === "function" ? this.height(width) : this.height;
      const sharp = Math.min(devicePixelRatio || 1, 2);
      if (this.canvas.width !== Math.round(width * sharp) || this.canvas.height !== Math.round(height * sharp)) {
        this.canvas.width = Math.round(width * sharp);
        this.canvas.height = Math.round(height * sharp);
        this.canvas.style.height = `${height}px`;
      }
      const context = this.canvas.getContext("2d");
      context.setTransform(sharp, 0, 0, sharp, 0, 0);
      context.clearRect(0, 0, width, height);
      context.font = "12px Inter, 'Segoe UI', Ubuntu, 'DejaVu Sans', sans-serif";
      const began = performance.now();
      this.draw(context, width, height, sharp);
      this.took = performance.now() - began;
      this.frames = (this.frames ?? 0) + 1;
    });
  }

  /** Shows something beside the pointer; nothing hides it. */
  show(x, y, ...content) {
    this.tip?.remove();
    this.tip = null;
    if (content.length === 0) return;
    this.tip = h("div", { class: "tip" }, content);
    this.element.append(this.tip);
    const width = this.element.clientWidth, own = this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(0, x + 14 + own > width ? x - own - 14 : x + 14)}px`;
    this.tip.style.top = `${Math.max(0, y - this.tip.offsetHeight / 2)}px`;
  }
}

/** Two axes on a board. `state` gives `{x: Scale, y: Scale, xText, yText, xLabel, yLabel}` when it draws. */
export class Chart extends Board {
  constructor({ height = 300, label, scales, paint, hover, zoom = true, left = 62 }) {
    super(height, label, (context, width, tall, sharp) => {
      const whole = scales();
      this.whole = whole;
      const scale = { ...whole };
      if (this.zoomed) scale.x = new Scale(this.zoomed[0], this.zoomed[1], whole.x.log);
      if (this.zoomed?.length === 4) scale.y = new Scale(this.zoomed[2], this.zoomed[3], whole.y.log);
      const box = { left, top: 10, right: width - 14, bottom: tall - 40 };
      const px = (x) => box.left + scale.x.unit(x) * (box.right - box.left);
      const py = (y) => box.bottom - Math.min(1, Math.max(0, scale.y.unit(y))) * (box.bottom - box.top);
      Object.assign(this, { scale, box, px, py });
      frame(context, box, scale, px, py);
      context.save();
      context.beginPath();
      context.rect(box.left - 1, box.top - 4, box.right - box.left + 6, box.bottom - box.top + 6);
      context.clip();
      paint(context, this, sharp);
      context.restore();
      if (this.drag) {
        const [x0, y0, x1, y1] = this.drag;
        context.fillStyle = colour("accent-soft");
        context.globalAlpha = 0.5;
        context.fillRect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
        context.globalAlpha = 1;
        context.strokeStyle = colour("accent");
        context.strokeRect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
      }
    });
    const at = (event) => {
      const rect = this.canvas.getBoundingClientRect();
      return [event.clientX - rect.left, event.clientY - rect.top];
    };
    if (zoom) {
      this.canvas.classList.add("can-zoom");
      this.canvas.title = "drag to zoom in, double click to see all again";
      this.canvas.addEventListener("pointerdown", (event) => {
        if (event.button !== 0 || event.pointerType === "touch") return;
        this.canvas.setPointerCapture(event.pointerId);
        const [x, y] = at(event);
        this.drag = [x, y, x, y];
      });
      this.canvas.addEventListener("pointerup", () => {
        if (!this.drag) return;
        const [x0, y0, x1, y1] = this.drag;
        this.drag = null;
        if (Math.abs(x1 - x0) > 8 && Math.abs(y1 - y0) > 8 && this.box) {
          const ux = (x) => (x - this.box.left) / (this.box.right - this.box.left);
          const uy = (y) => (this.box.bottom - y) / (this.box.bottom - this.box.top);
          const { x, y } = this.scale;
          this.zoomed = [x.value(ux(Math.min(x0, x1))), x.value(ux(Math.max(x0, x1))), y.value(uy(Math.max(y0, y1))), y.value(uy(Math.min(y0, y1)))];
        }
        this.paint();
      });
      this.canvas.addEventListener("dblclick", () => { this.zoomed = null; this.paint(); });
    }
    this.canvas.addEventListener("pointermove", (event) => {
      const [x, y] = at(event);
      if (this.drag) { this.drag[2] = x; this.drag[3] = y; this.show(0, 0); this.paint(); return; }
      const found = hover && this.box ? hover(x, y, this) : null;
      if (found) this.show(x, y, ...found); else this.show(0, 0);
    });
    this.canvas.addEventListener("pointerleave", () => this.show(0, 0));
  }
}

function frame(context, box, scale, px, py) {
  const muted = colour("muted"), grid = colour("grid");
  context.lineWidth = 1;
  context.fillStyle = muted;
  context.textAlign = "center";
  const marksX = scale.xMarks ?? ticks(scale.x.low, scale.x.high, scale.x.log, Math.max(2, Math.floor((box.right - box.left) / 95))).map((x) => [x, (scale.xText ?? number)(x)]);
  for (const [x, text] of marksX) {
    const at = Math.round(px(x)) + 0.5;
    if (at < box.left - 1 || at > box.right + 1) continue;
    context.strokeStyle = grid;
    line(context, at, box.top, at, box.bottom);
    // The last one may stand at the edge.
    context.fillText(text, Math.min(at, box.right + 13 - context.measureText(text).width / 2), box.bottom + 16);
  }
  context.textAlign = "right";
  for (const y of ticks(scale.y.low, scale.y.high, scale.y.log, Math.max(2, Math.floor((box.bottom - box.top) / 45)))) {
    const at = Math.round(py(y)) + 0.5;
    context.strokeStyle = grid;
    line(context, box.left, at, box.right, at);
    context.fillText((scale.yText ?? number)(y), box.left - 8, at + 4);
  }
  context.strokeStyle = colour("strong");
  line(context, box.left, box.bottom + 0.5, box.right, box.bottom + 0.5);
  context.textAlign = "center";
  if (scale.xLabel) context.fillText(scale.xLabel, (box.left + box.right) / 2, box.bottom + 33);
  if (scale.yLabel) {
    context.save();
    context.translate(12, (box.top + box.bottom) / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(scale.yLabel, 0, 0);
    context.restore();
  }
}

export function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

/** Points from two columns: each where they are few, else how many there are in each pixel. */
export function scatter(context, chart, xs, ys, sharp, few = 15000) {
  const { box, scale } = chart;
  const [r, g, b] = parts(colour("point"));
  const n = ys.length;
  const width = box.right - box.left, height = box.bottom - box.top;
  const ax = scale.x.a, kx = 1 / (scale.x.b - ax), logX = scale.x.log;
  const ay = scale.y.a, ky = 1 / (scale.y.b - ay), logY = scale.y.log;
  const X = typeof xs === "function" ? xs : (i) => xs[i];
  if (n <= few) {
    context.fillStyle = `rgb(${r} ${g} ${b} / ${n > 2000 ? 0.4 : 0.55})`;
    const size = n > 4000 ? 3 : n > 1000 ? 4 : 5;
    for (let i = 0; i < n; i++) {
      if (Number.isNaN(ys[i])) continue;
      const x = ((logX ? Math.log(Math.max(X(i), 1e-300)) : X(i)) - ax) * kx;
      const y = ((logY ? Math.log(Math.max(ys[i], 1e-300)) : ys[i]) - ay) * ky;
      if (!(x >= 0 && x <= 1)) continue;
      const at = box.left + x * width, up = box.bottom - Math.min(1, Math.max(0, y)) * height;
      context.beginPath();
      context.arc(at, up, size / 2, 0, 7);
      context.fill();
    }
    return;
  }
  // A cell is two pixels of the screen: single points are still seen.
  const cell = 2;
  const columns = Math.max(1, Math.floor((width * sharp) / cell)), lines = Math.max(1, Math.floor((height * sharp) / cell));
  const counts = new Uint32Array(columns * lines);
  let most = 1;
  for (let i = 0; i < n; i++) {
    const value = ys[i];
    const x = ((logX ? Math.log(Math.max(X(i), 1e-300)) : X(i)) - ax) * kx;
    if (!(x >= 0 && x <= 1) || value !== value) continue;
    let y = ((logY ? Math.log(Math.max(value, 1e-300)) : value) - ay) * ky;
    y = y < 0 ? 0 : y > 1 ? 1 : y;
    const c = Math.min(columns - 1, (x * columns) | 0), l = Math.min(lines - 1, ((1 - y) * lines) | 0);
    const count = ++counts[l * columns + c];
    if (count > most) most = count;
  }
  const image = new ImageData(columns, lines);
  const words = new Uint32Array(image.data.buffer);
  const ink = (b << 16) | (g << 8) | r, per = 1 / Math.log1p(most);
  for (let i = 0; i < counts.length; i++) {
    if (counts[i] > 0) words[i] = (Math.round(60 + 195 * Math.log1p(counts[i]) * per) << 24) | ink;
  }
  const off = new OffscreenCanvas(columns, lines);
  off.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(off, box.left, box.top, width, height);
}

/** A line that keeps each value until the next. */
export function steps(context, chart, points, until, ink, width = 2) {
  if (points.length === 0) return;
  context.strokeStyle = ink;
  context.lineWidth = width;
  context.lineJoin = "round";
  context.beginPath();
  points.forEach((point, i) => {
    const x = chart.px(point.x), y = chart.py(point.y);
    if (i === 0) context.moveTo(x, y);
    else { context.lineTo(x, chart.py(points[i - 1].y)); context.lineTo(x, y); }
  });
  context.lineTo(chart.px(until), chart.py(points.at(-1).y));
  context.stroke();
}

/** Lines through points `[x, y]`. */
export function through(context, chart, points, ink, width = 1.8, dash = []) {
  context.strokeStyle = ink;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.beginPath();
  let open = false;
  for (const [x, y] of points) {
    if (y === null || x === null) { open = false; continue; }
    if (open) context.lineTo(chart.px(x), chart.py(y)); else context.moveTo(chart.px(x), chart.py(y));
    open = true;
  }
  context.stroke();
  context.setLineDash([]);
}
