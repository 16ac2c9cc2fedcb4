// @ts-check
// What a page knows of a study: the columns of all ends, and where they stand on the axes that were asked
// for. Only what is new is fetched.

/** Asks the server; the address is relative, so that it works below any path of a proxy. */
export async function ask(path, parameters = {}) {
  const answer = await fetch(`api/${path}?${new URLSearchParams(parameters)}`);
  if (!answer.ok) {
    const text = await answer.text();
    let why = text;
    try { why = JSON.parse(text).error; } catch { /* it is the text */ }
    throw new Error(why || answer.statusText);
  }
  return answer;
}

/** @returns {Promise<any>} */
export const json = async (path, parameters) => (await ask(path, parameters)).json();

/** An array that grows at its end. */
class Grown {
  constructor(kind) { this.all = new kind(1024); this.length = 0; }
  add(values) {
    if (this.length + values.length > this.all.length) {
      const larger = new this.all.constructor(Math.max(this.length + values.length, Math.ceil(this.all.length * 1.5)));
      larger.set(this.all.subarray(0, this.length));
      this.all = larger;
    }
    this.all.set(values, this.length);
    this.length += values.length;
  }
  get values() { return this.all.subarray(0, this.length); }
}

export class Study {
  constructor(key) {
    this.key = key;
    this.forget();
    this.places = new Map();
  }

  forget() {
    this.epoch = 0;
    this.rows = 0;
    this.columns = { time: new Grown(Float32Array), cost: new Grown(Float32Array), duration: new Grown(Float32Array),
      id: new Grown(Uint32Array), place: new Grown(Uint32Array), state: new Grown(Uint8Array), objectives: [] };
    this.places = new Map();
    this.ranked = null;
  }

  /** Fetches the rows that are new; returns whether there were any. */
  async update() {
    const bytes = await (await ask("columns", { s: this.key, epoch: this.epoch, from: this.rows })).arrayBuffer();
    const [, epoch, from, rows, k] = new Uint32Array(bytes, 0, 5);
    if (epoch !== this.epoch || from !== this.rows) this.forget();
    this.epoch = epoch;
    let at = 20;
    const next = (kind) => {
      const part = new kind(bytes, at, rows);
      at += part.byteLength;
      return part;
    };
    const columns = this.columns;
    for (const name of ["time", "cost", "duration"]) columns[name].add(next(Float32Array));
    columns.id.add(next(Uint32Array));
    columns.place.add(next(Uint32Array));
    for (let i = 0; i < k; i++) {
      const column = (columns.objectives[i] ??= new Grown(Float32Array));
      if (column.length < from) column.add(new Float32Array(from - column.length).fill(NaN));
      column.add(next(Float32Array));
    }
    columns.state.add(next(Uint8Array));
    this.rows = from + rows;
    if (rows > 0) this.ranked = null;
    return rows > 0;
  }

  /** Where all rows stand on these axes, from 0 to 1. */
  async on(axes) {
    const missing = axes.filter((axis) => (this.places.get(axis)?.length ?? 0) < this.rows);
    const groups = Map.groupBy ? Map.groupBy(missing, (axis) => this.places.get(axis)?.length ?? 0)
      : missing.reduce((all, axis) => { const n = this.places.get(axis)?.length ?? 0; all.set(n, [...(all.get(n) ?? []), axis]); return all; }, new Map());
    for (const [from, wanted] of groups) {
      const epoch = this.epoch;
      const bytes = await (await ask("places", { s: this.key, epoch, from, axes: wanted.join(",") })).arrayBuffer();
      const [, now, begin, rows] = new Uint32Array(bytes, 0, 5);
      if (now !== this.epoch || begin !== from) continue;
      wanted.forEach((axis, i) => {
        const column = this.places.get(axis) ?? new Grown(Float32Array);
        column.add(new Float32Array(bytes, 20 + i * rows * 4, rows));
        this.places.set(axis, column);
      });
    }
    return axes.map((axis) => this.places.get(axis)?.values ?? new Float32Array(0));
  }

  /** The values of an objective. */
  objective(k) { return this.columns.objectives[k]?.values ?? new Float32Array(0); }

  /** For each row its rank from 0 (best) to 254; 255 where it has no objective. */
  ranks(k, maximize) {
    if (this.ranked?.k === k) return this.ranked.ranks;
    const values = this.objective(k);
    const every = Math.max(1, Math.floor(values.length / 20000));
    const sample = [];
    for (let i = 0; i < values.length; i += every) if (!Number.isNaN(values[i])) sample.push(values[i]);
    sample.sort((a, b) => (maximize ? b - a : a - b));
    const cuts = new Float64Array(255);
    for (let i = 0; i < 255; i++) cuts[i] = sample[Math.min(sample.length - 1, Math.floor(((i + 1) * sample.length) / 255))] ?? NaN;
    const ranks = new Uint8Array(values.length);
    for (let i = 0; i < values.length; i++) {
      const x = values[i];
      if (Number.isNaN(x)) { ranks[i] = 255; continue; }
      let low = 0, high = 254;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (maximize ? x >= cuts[middle] : x <= cuts[middle]) high = middle; else low = middle + 1;
      }
      ranks[i] = low;
    }
    this.ranked = { k, ranks };
    return ranks;
  }
}


/** Listens to what happens to a study; the browser connects again by itself. */
export function listen(key, heard, top) {
  const source = new EventSource(`api/events?${new URLSearchParams({ s: key })}`);
  source.onopen = () => top.set("on", "live");
  source.onerror = () => {
    top.set("off", "no connection");
    // A study that is not there yet, or a server that was started again with other folders, is an answer after
    // which a browser does not try again.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(key, heard, top), 2000);
  };
  source.onmessage = (event) => { top.set("on", "live"); heard(JSON.parse(event.data)); };
  return source;
}
