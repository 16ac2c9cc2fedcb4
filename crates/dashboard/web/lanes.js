// @ts-check
// A lane for each worker over time: what it evaluated, when it was idle, and what was given back.

import { Board, colour, line, ticks } from "./chart.js";
import { h, pill, seconds } from "./dom.js";

const MARKS = { died: "its worker died", released: "given back", expired: "its deadline passed", pruned: "pruned", crashed: "crashed", failed: "failed" };
const LEFT = 150;

export class Lanes {
  /** @param {(from?: number, to?: number, columns?: number) => Promise<any>} fetchWindow */
  constructor(fetchWindow, openTrial) {
    this.fetchWindow = fetchWindow;
    this.openTrial = openTrial;
    this.figure = null;
    this.view = null;
    this.board = new Board(() => this.tall(), "workers over time", (context, width) => this.draw(context, width));
    this.element = this.board.element;
    const canvas = this.board.canvas;
    canvas.tabIndex = 0;
    canvas.title = "scroll to zoom with Ctrl, drag to move, double click to see all; keys: + − ← → Home";
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
      event.preventDefault();
      if (event.shiftKey) this.move((event.deltaY || event.deltaX) / 1500);
      else this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.timeAt(event.offsetX));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const does = { "+": () => this.zoom(0.7), "=": () => this.zoom(0.7), "-": () => this.zoom(1.4), ArrowLeft: () => this.move(-0.2), ArrowRight: () => this.move(0.2), Home: () => this.all() }[event.key];
      if (does) { event.preventDefault(); does(); }
    });
    let drag = null;
    canvas.addEventListener("pointerdown", (event) => { if (event.button === 0 && event.pointerType !== "touch") { drag = event.clientX; this.moved = 0; } });
    window.addEventListener("pointerup", () => (drag = null));
    canvas.addEventListener("pointermove", (event) => {
      if (drag !== null && this.figure) {
        const by = event.clientX - drag;
        this.moved += Math.abs(by);
        if (this.moved > 3) { this.move(-by / (this.board.element.clientWidth - LEFT)); drag = event.clientX; }
        return;
      }
      const hit = this.under(event.offsetX, event.offsetY);
      canvas.style.cursor = hit ? "pointer" : "default";
      if (!hit) return this.board.show(0, 0);
      const { lane, segment } = hit;
      const text = segment.count > 1 ? [h("b", {}, `${segment.count} attempts`), ` from trial ${segment.trial}, most `, pill(segment.state)] : [h("b", {}, `trial ${segment.trial}`), segment.attempt > 1 ? `, attempt ${segment.attempt} ` : " ", pill(segment.state)];
      this.board.show(event.offsetX, event.offsetY, text, h("div", { class: "small quiet" }, `${lane.worker}${lane.host ? ` on ${lane.host}` : ""}, ${seconds(segment.to - segment.from)} from ${seconds(segment.from)} on`));
    });
    canvas.addEventListener("pointerleave", () => this.board.show(0, 0));
    canvas.addEventListener("dblclick", () => this.all());
    canvas.addEventListener("click", (event) => {
      const hit = this.moved > 3 ? null : this.under(event.offsetX, event.offsetY);
      if (hit && hit.segment.count === 1) this.openTrial(hit.segment.trial);
    });
  }

  rowHeight() {
    const n = this.figure?.lanes.length || 1;
    return n > 64 ? 11 : n > 24 ? 16 : 24;
  }
  tall() { return 34 + this.rowHeight() * Math.min(512, this.figure?.lanes.length || 2); }
  timeAt(x) {
    const [from, to] = this.window();
    return from + ((x - LEFT) / (this.board.element.clientWidth - LEFT - 8)) * (to - from);
  }
  window() { return this.view ?? [0, this.figure?.end ?? 1]; }

  zoom(by, at) {
    const [from, to] = this.window();
    const middle = at ?? (from + to) / 2;
    const low = Math.max(0, middle - (middle - from) * by), high = Math.min(this.figure.end, middle + (to - middle) * by);
    this.view = low <= 0 && high >= this.figure.end ? null : [low, Math.max(high, low + 1e-3)];
    this.later();
  }
  move(by) {
    if (!this.view) return;
    const [from, to] = this.view;
    const shift = Math.max(-from, Math.min(this.figure.end - to, by * (to - from)));
    this.view = [from + shift, to + shift];
    this.later();
  }
  all() { this.view = null; this.later(); }
  later() {
    this.board.paint();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.update(), 120);
  }

  async update() {
    const columns = Math.max(100, Math.round(this.board.element.clientWidth || 900));
    this.figure = await this.fetchWindow(this.view?.[0], this.view?.[1], columns);
    this.board.label(`${this.figure.lanes.length} workers over ${seconds(this.figure.end)}`);
    this.board.paint();
    return this.figure;
  }

  under(x, y) {
    if (!this.figure || x < LEFT) return null;
    const lane = this.figure.lanes[Math.floor((y - 4) / this.rowHeight())];
    if (!lane) return null;
    const time = this.timeAt(x), slack = this.timeAt(x + 2) - time;
    const near = lane.segments.filter((own) => own.from - slack <= time && time <= own.to + slack);
    return near.length ? { lane, segment: near.at(-1) } : null;
  }

  draw(context, width) {
    const figure = this.figure;
    if (!figure) return;
    const [from, to] = this.window();
    const row = this.rowHeight(), right = width - 8;
    const shown = figure.lanes.slice(0, 512);
    const bottom = 4 + row * shown.length;
    const px = (time) => LEFT + ((time - from) / (to - from || 1)) * (right - LEFT);
    context.textAlign = "center";
    for (const mark of ticks(from, to, false, Math.max(2, (right - LEFT) / 100))) {
      const x = Math.round(px(mark)) + 0.5;
      context.strokeStyle = colour("grid");
      line(context, x, 0, x, bottom);
      context.fillStyle = colour("muted");
      context.fillText(seconds(mark), Math.min(x, right - 14), bottom + 18);
    }
    const inks = new Map();
    const ink = (state) => {
      if (!inks.has(state)) inks.set(state, colour(state === "external" ? "success" : state) || colour("pending"));
      return inks.get(state);
    };
    const muted = colour("muted"), strong = colour("strong"), text = colour("text");
    shown.forEach((lane, i) => {
      const y = 4 + row * i;
      if (row >= 14 || i % 2 === 0) {
        context.textAlign = "right";
        context.fillStyle = muted;
        const label = `${lane.worker}${lane.host && row >= 14 ? ` ${lane.host}` : ""}`;
        const letters = label.length > 21 ? `${label.slice(0, 20)}…` : label;
        context.font = `${row >= 20 ? 12 : 10}px Inter, 'Segoe UI', Ubuntu, 'DejaVu Sans', sans-serif`;
        context.fillText(letters, LEFT - 10, y + row / 2 + 4);
      }
      const there = [Math.max(LEFT, px(lane.joined ?? 0)), Math.min(right, px(lane.left ?? figure.end))];
      if (there[1] > there[0]) { context.strokeStyle = strong; context.lineWidth = 1; line(context, there[0], Math.round(y + row / 2) + 0.5, there[1], Math.round(y + row / 2) + 0.5); }
      const high = row - (row >= 20 ? 6 : 2);
      for (const segment of lane.segments) {
        const a = Math.max(LEFT, px(segment.from)), b = Math.min(right, px(segment.to));
        if (b < LEFT || a > right) continue;
        const gap = b - a > 3 ? 0.8 : 0;
        context.fillStyle = ink(segment.state);
        context.globalAlpha = segment.state === "success" ? 0.88 : 1;
        context.fillRect(a, y + (row - high) / 2, Math.max(0.7, b - a - gap), high);
        context.globalAlpha = 1;
        if (segment.state === "running" && b - a > 6) {
          // What runs has an open end.
          context.fillStyle = colour("surface");
          for (let k = 0; k < 3; k++) context.fillRect(b - 3 - k * 4, y + (row - high) / 2, 1.5, high);
        }
        if (segment.count === 1 && b - a > 8 * segment.trial.length + 6 && row >= 20) {
          context.textAlign = "left";
          context.fillStyle = colour("surface");
          context.font = "10.5px Inter, 'Segoe UI', Ubuntu, 'DejaVu Sans', sans-serif";
          context.fillText(segment.trial, a + 4, y + row / 2 + 4);
        }
      }
      context.lineWidth = 2;
      for (const mark of lane.marks) {
        const x = px(mark.at);
        if (x < LEFT || x > right + 4) continue;
        sign(context, Math.min(x, right - 2), y + row / 2, Math.min(5, row / 3), mark.kind, text);
      }
    });
  }
}

/** The sign of an end without a result: its shape says it, not its colour. */
export function sign(context, x, y, s, kind, ink) {
  context.strokeStyle = ink;
  context.lineWidth = 1.7;
  context.beginPath();
  if (kind === "crashed") { context.moveTo(x - s, y - s); context.lineTo(x + s, y + s); context.moveTo(x - s, y + s); context.lineTo(x + s, y - s); }
  else if (kind === "failed") { context.moveTo(x - s, y + s); context.lineTo(x, y - s); context.lineTo(x + s, y + s); context.closePath(); }
  else if (kind === "died") { context.moveTo(x, y - 1.5 * s); context.lineTo(x, y + 1.5 * s); context.moveTo(x - s, y - s * 0.5); context.lineTo(x + s, y - s * 0.5); }
  else if (kind === "released") { context.moveTo(x + s, y - s); context.lineTo(x - s, y); context.lineTo(x + s, y + s); }
  else if (kind === "pruned") { context.moveTo(x - s, y - s); context.lineTo(x + s, y - s); context.lineTo(x, y + s); context.closePath(); }
  else { context.moveTo(x - s, y); context.lineTo(x, y - s); context.lineTo(x + s, y); context.lineTo(x, y + s); context.closePath(); }
  context.stroke();
}

/** What the colours and signs of a timeline mean. */
export function legend(figure) {
  const states = new Set(figure.lanes.flatMap((lane) => lane.segments.map((own) => own.state)));
  const kinds = new Set(figure.lanes.flatMap((lane) => lane.marks.map((own) => own.kind)));
  const icon = (kind) => {
    const canvas = h("canvas", { width: 28, height: 28, "aria-hidden": "true", style: { width: "14px", height: "14px" } });
    const context = canvas.getContext("2d");
    context.scale(2, 2);
    sign(context, 7, 7, 4.5, kind, colour("text"));
    return canvas;
  };
  return h("ul", { class: "legend" },
    [...states].map((state) => h("li", {}, pill(state))),
    [...kinds].map((kind) => h("li", {}, icon(kind), MARKS[kind] ?? kind)),
    h("li", {}, "a thin line is idle time"));
}
