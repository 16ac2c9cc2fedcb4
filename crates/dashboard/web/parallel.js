// @ts-check
// Parallel coordinates with brushing: lines where the trials are few, densities between axes where they
// are many. A brush on an axis selects; several select what is in all of them.

import { Board, colour, line, scaleColour } from "./chart.js";
import { number } from "./dom.js";

// Stretches of an axis where densities are drawn, fewer while a brush moves; and how many inks they are drawn in.
const BINS = 64, MOVING = 32, SHADES = 24, LEVELS = 8;
const LINES = 3000;
// Trials that densities are drawn of.
const DRAWN = 200000;
const TOP = 44, BOTTOM = 22;

export class Parallel {
  /** @param {() => void} changed @param {(selected: Uint8Array | null) => number[]} best */
  constructor(changed, best) {
    this.best = best;
    this.top = [];
    this.axes = [];
    this.columns = [];
    this.ranks = new Uint8Array(0);
    this.brushes = new Map();
    this.changed = changed;
    this.board = new Board(380, "parallel coordinates", (context, width, height) => this.draw(context, width, height));
    this.element = this.board.element;
    const canvas = this.board.canvas;
    canvas.title = "drag along an axis to select; click it to clear";
    let drag = null;
    const at = (event) => {
      const rect = canvas.getBoundingClientRect();
      return [event.clientX - rect.left, event.clientY - rect.top, rect.height];
    };
    const unit = (y, height) => Math.min(1, Math.max(0, (height - BOTTOM - y) / (height - BOTTOM - TOP)));
    canvas.addEventListener("pointerdown", (event) => {
      const [x, y, height] = at(event);
      const axis = this.axisAt(x);
      if (axis < 0 || event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      drag = { axis, from: unit(y, height) };
      event.preventDefault();
    });
    canvas.addEventListener("pointermove", (event) => {
      const [x, y, height] = at(event);
      canvas.style.cursor = this.axisAt(x) >= 0 ? "ns-resize" : "default";
      if (!drag) return;
      const to = unit(y, height);
      this.brushes.set(drag.axis, [Math.min(drag.from, to), Math.max(drag.from, to)]);
      this.select(true);
    });
    canvas.addEventListener("pointerup", () => {
      if (!drag) return;
      const brush = this.brushes.get(drag.axis);
      if (!brush || brush[1] - brush[0] < 0.01) this.brushes.delete(drag.axis);
      drag = null;
      this.select(false);
    });
  }

  /** The last axis is the objective: `{name, ticks: [{at, label}]}` each. */
  set(axes, columns, ranks) {
    if (axes.map((axis) => axis.name).join("\0") !== this.axes.map((axis) => axis.name).join("\0")) this.brushes.clear();
    this.axes = axes;
    this.columns = columns;
    this.ranks = ranks;
    this.select(false);
  }

  clear() { this.brushes.clear(); this.select(false); }
  place(i, width) { return 62 + ((width - 62 - 70) * i) / Math.max(1, this.axes.length - 1); }
  axisAt(x) {
    const width = this.element.clientWidth;
    let nearest = -1, distance = 22;
    this.axes.forEach((_, i) => { const d = Math.abs(x - this.place(i, width)); if (d < distance) { distance = d; nearest = i; } });
    return nearest;
  }

  /** What is selected is exact, once no brush moves; of very many trials an even choice is drawn, and the best. */
  select(moving) {
    const n = this.ranks.length;
    this.moving = moving;
    const every = moving ? Math.max(1, Math.ceil(n / (DRAWN / 2))) : 1;
    if (this.brushes.size === 0) this.selected = null;
    else {
      const selected = new Uint8Array(n);
      const brushes = [...this.brushes].map(([axis, [low, high]]) => [this.columns[axis], low, high]);
      let count = 0;
      for (let row = 0; row < n; row += every) {
        let inside = 1;
        for (const [column, low, high] of brushes) if (!(column[row] >= low && column[row] <= high)) { inside = 0; break; }
        selected[row] = inside;
        count += inside;
      }
      this.selected = selected;
      this.count = count * every;
    }
    if (!moving) this.top = this.best(this.selected);
    this.every = Math.max(1, Math.ceil(n / (moving ? DRAWN / 2 : DRAWN)));
    this.board.paint();
    if (!moving) this.changed?.();
  }

  draw(context, width, height) {
    const began = performance.now();
    const n = this.ranks.length, axes = this.axes;
    if (axes.length < 2) return;
    const top = TOP, bottom = height - BOTTOM;
    const py = (u) => bottom - u * (bottom - top);
    if (n <= LINES) this.lines(context, width, py, [...Array(n).keys()]);
    else { this.densities(context, width, py, n); this.lines(context, width, py, this.moving ? [] : this.top); }
    const text = colour("text"), muted = colour("muted"), surface = colour("surface"), accent = colour("accent");
    axes.forEach((axis, i) => {
      const x = Math.round(this.place(i, width)) + 0.5;
      const last = i === axes.length - 1;
      context.strokeStyle = last ? colour("best") : text;
      context.lineWidth = last ? 2 : 1.2;
      line(context, x, top, x, bottom);
      const room = (width - 132) / (axes.length - 1);
      const letters = Math.max(5, Math.floor(room / 7.2));
      const name = axis.name.length > letters ? `${axis.name.slice(0, letters - 1)}…` : axis.name;
      context.fillStyle = last ? colour("best") : text;
      context.textAlign = i === 0 ? "left" : last ? "right" : "center";
      context.fillText(name, i === 0 ? 4 : last ? width - 4 : x, i % 2 && room < 90 ? 14 : 28);
      context.font = "10.5px Inter, 'Segoe UI', Ubuntu, 'DejaVu Sans', sans-serif";
      context.textAlign = last ? "left" : "right";
      context.lineJoin = "round";
      for (const tick of axis.ticks.slice(0, 14)) {
        const y = py(tick.at) - (axis.kind === "categorical" ? 9 : 0), label = tick.label.length > 12 ? `${tick.label.slice(0, 11)}…` : tick.label;
        context.strokeStyle = surface;
        context.lineWidth = 4;
        context.strokeText(label, last ? x + 6 : x - 6, y + 3.5);
        context.fillStyle = text;
        context.fillText(label, last ? x + 6 : x - 6, y + 3.5);
        context.strokeStyle = last ? colour("best") : text;
        context.lineWidth = 1;
        line(context, x - 2, py(tick.at), x + 2, py(tick.at));
      }
      context.font = "12px Inter, 'Segoe UI', Ubuntu, 'DejaVu Sans', sans-serif";
      const brush = this.brushes.get(i);
      if (brush) {
        context.fillStyle = accent;
        context.globalAlpha = 0.3;
        context.fillRect(x - 7, py(brush[1]), 14, py(brush[0]) - py(brush[1]));
        context.globalAlpha = 1;
        context.strokeStyle = accent;
        context.lineWidth = 1.4;
        context.strokeRect(x - 7, py(brush[1]), 14, py(brush[0]) - py(brush[1]));
      }
    });
    this.took = performance.now() - began;
  }

  lines(context, width, py, rows) {
    // The best last, so that they are on top.
    const order = rows.filter((row) => this.ranks[row] < 255).sort((a, b) => this.ranks[b] - this.ranks[a]);
    const faint = colour("strong");
    const draw = (row, ink, alpha, wide) => {
      context.strokeStyle = ink;
      context.globalAlpha = alpha;
      context.lineWidth = wide;
      context.beginPath();
      let open = false;
      this.columns.forEach((column, i) => {
        const u = column[row];
        if (Number.isNaN(u)) { open = false; return; }
        const x = this.place(i, width), y = py(Math.min(1, Math.max(0, u)));
        if (open) context.lineTo(x, y); else context.moveTo(x, y);
        open = true;
      });
      context.stroke();
    };
    if (this.selected) for (const row of order) if (!this.selected[row]) draw(row, faint, 0.25, 0.8);
    for (const row of order) {
      if (this.selected && !this.selected[row]) continue;
      const [r, g, b] = scaleColour(this.ranks[row] / 254);
      const good = this.ranks[row] < 5;
      draw(row, `rgb(${r} ${g} ${b})`, good ? 1 : order.length > 400 && !this.selected ? 0.22 : 0.5, good ? 2 : 1.1);
    }
    context.globalAlpha = 1;
  }

  densities(context, width, py, n) {
    const bins = this.moving ? MOVING : BINS, cells = bins * bins;
    const faint = colour("strong");
    for (let i = 0; i + 1 < this.columns.length; i++) {
      const a = this.columns[i], b = this.columns[i + 1];
      const counts = new Uint32Array(cells), sums = new Float64Array(cells), others = new Uint32Array(cells);
      for (let row = 0; row < n; row += this.every) {
        const rank = this.ranks[row];
        if (rank === 255) continue;
        const u = a[row], v = b[row];
        if (u !== u || v !== v) continue;
        const cell = Math.min(bins - 1, u < 0 ? 0 : (u * bins) | 0) * bins + Math.min(bins - 1, v < 0 ? 0 : (v * bins) | 0);
        if (this.selected && !this.selected[row]) { others[cell]++; continue; }
        counts[cell]++;
        sums[cell] += rank;
      }
      const x0 = this.place(i, width), x1 = this.place(i + 1, width);
      // Lines of one ink are one path: thousands of single strokes take longer than all the counting.
      const join = (path, cell) => {
        path.moveTo(x0, py((Math.floor(cell / bins) + 0.5) / bins));
        path.lineTo(x1, py(((cell % bins) + 0.5) / bins));
      };
      if (this.selected) {
        const path = new Path2D();
        for (let cell = 0; cell < cells; cell++) if (others[cell] > 0 && counts[cell] === 0) join(path, cell);
        context.lineWidth = 1;
        context.strokeStyle = faint;
        context.globalAlpha = 0.16;
        context.stroke(path);
      }
      let most = 1;
      for (let cell = 0; cell < cells; cell++) if (counts[cell] > most) most = counts[cell];
      const per = 1 / Math.log1p(most), paths = [];
      for (let cell = 0; cell < cells; cell++) {
        if (counts[cell] === 0) continue;
        const group = (SHADES - 1 - Math.min(SHADES - 1, ((sums[cell] / counts[cell]) * SHADES) / 255 | 0)) * LEVELS + Math.min(LEVELS - 1, (Math.log1p(counts[cell]) * per * LEVELS) | 0);
        join((paths[group] ??= new Path2D()), cell);
      }
      // From bad to good, so that the good are on top.
      context.lineWidth = bins === BINS ? 1.6 : 2.4;
      paths.forEach((path, group) => {
        const [r, g, bl] = scaleColour(1 - Math.floor(group / LEVELS) / (SHADES - 1));
        context.strokeStyle = `rgb(${r} ${g} ${bl})`;
        context.globalAlpha = 0.05 + (0.55 * ((group % LEVELS) + 1)) / LEVELS;
        context.stroke(path);
      });
    }
    context.globalAlpha = 1;
  }
}

/** The objective as the last axis. */
export function objectiveAxis(name, range, marks) {
  return { name, ticks: marks.map((x) => ({ at: range.unit(x), label: number(x) })) };
}
