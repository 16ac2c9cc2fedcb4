// What a page costs at a million trials: time to the first plot, bytes, memory, and the frames while one
// scrolls and brushes. Not a test: it prints figures, for docs/dashboard.md.
//
//   tests/web/run million.mjs [TRIALS] [STUDY]     a study that is there is taken, else one is made
//   WEB=crates/dashboard/web tests/web/run …       with these files of the pages instead of the program's own

import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";

const [trials = "1000000", given] = process.argv.slice(2);
const home = fs.mkdtempSync(path.join(os.tmpdir(), "trialmill-million-"));
const study = given ?? path.join(home, "large");
if (!given) execFileSync("python3", [path.join(import.meta.dirname, "make_study.py"), "large", study, trials]);

const server = spawn(process.env.TRIALMILL, ["serve", study, "--port", "0"], { cwd: home });
const url = await new Promise((resolve) => server.stdout.once("data", (data) => resolve(/open (http:\/\/[^/]+\/)/.exec(String(data))[1])));
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--enable-precise-memory-info"] });
const address = `study.html?s=${encodeURIComponent(path.basename(study))}`;
const middle = (list, at = 0.5) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * at))];
const ms = (x) => `${x < 100 ? x.toFixed(1) : Math.round(x)} ms`;
const frames = (list) => `${list.length} frames, median ${ms(middle(list))}, 95 % ${ms(middle(list, 0.95))}, worst ${ms(Math.max(...list))}`;
const memory = (pid, field) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024;

async function open() {
  const page = await browser.newPage({ viewport: { width: 1360, height: 900 } });
  if (process.env.WEB) {
    await page.route(/\.(js|css|html)(\?|$)/, (route) => {
      const file = path.join(process.env.WEB, new URL(route.request().url()).pathname.split("/").at(-1));
      return fs.existsSync(file) ? route.fulfill({ path: file }) : route.continue();
    });
  }
  const seen = { bytes: 0, slow: [] };
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Network.enable");
  cdp.on("Network.loadingFinished", (event) => (seen.bytes += event.encodedDataLength));
  page.on("requestfinished", (request) => {
    const took = request.timing().responseEnd - request.timing().requestStart;
    if (took > 100) seen.slow.push(`${new URL(request.url()).pathname.split("/").at(-1)}${(/name=\w+/.exec(request.url()) ?? [""])[0].replace("name=", " ")} ${ms(took)}`);
  });
  const began = performance.now();
  await page.goto(url + address, { waitUntil: "commit" });
  await page.waitForFunction(() => window.trialmill?.history.chart.frames > 0 && window.trialmill.page.study.rows > 0, null, { timeout: 120000, polling: 10 });
  seen.first = performance.now() - began;
  await page.waitForFunction(() => document.documentElement.dataset.ready === "1", null, { timeout: 120000 });
  seen.whole = performance.now() - began;
  return { page, seen, cdp };
}

/** The times between frames while something goes on. */
async function during(page, act) {
  await page.evaluate(() => {
    window.frameTimes = [];
    let last = performance.now();
    window.measuring = true;
    requestAnimationFrame(function tick(now) { window.frameTimes.push(now - last); last = now; if (window.measuring) requestAnimationFrame(tick); });
  });
  await act();
  return page.evaluate(() => { window.measuring = false; return window.frameTimes.slice(1); });
}

const cold = await open();
console.log(`first page after the start of the server, which reads the journal: first plot after ${ms(cold.seen.first)}, everything after ${ms(cold.seen.whole)}`);
console.log(`  slow answers: ${cold.seen.slow.join(", ")}`);
await cold.page.close();
const firsts = [], wholes = [];
let last;
for (let i = 0; i < 3; i++) {
  await last?.page.close();
  last = await open();
  firsts.push(last.seen.first);
  wholes.push(last.seen.whole);
}
const { page, seen, cdp } = last;
console.log(`each page after that: first plot after ${firsts.map(ms).join(", ")} (median ${ms(middle(firsts))}), everything after ${ms(middle(wholes))}; ${(seen.bytes / 1e6).toFixed(1)} MB`);
console.log(`  slow answers: ${seen.slow.join(", ")}`);

const scroll = async () => {
  await page.mouse.move(600, 500);
  const frame = () => page.evaluate(() => new Promise((go) => requestAnimationFrame(go)));
  for (let i = 0; i < 60; i++) { await page.mouse.wheel(0, 120); await frame(); }
  for (let i = 0; i < 60; i++) { await page.mouse.wheel(0, -120); await frame(); }
};
console.log(`scrolling down for the first time: ${frames(await during(page, scroll))}`);
console.log(`scrolling again: ${frames(await during(page, scroll))}`);
const board = page.locator("section[aria-label='Parallel coordinates'] canvas").first();
for (let box = null, before; before === undefined || JSON.stringify(box) !== before;) {
  before = JSON.stringify(box);
  await board.scrollIntoViewIfNeeded();
  await page.waitForTimeout(500);
  box = await board.boundingBox();
}
const box = await board.boundingBox();
const took = [];
const brushed = await during(page, async () => {
  await page.mouse.move(box.x + 62, box.y + 60);
  await page.mouse.down();
  for (let i = 1; i <= 60; i++) { await page.mouse.move(box.x + 62, box.y + 60 + i * 4); took.push(await page.evaluate(() => window.trialmill.parallel.took)); }
  const began = performance.now();
  await page.mouse.up();
  await page.evaluate(() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go))));
  took.last = performance.now() - began;
});
console.log(`brushing: ${frames(brushed)}; drawing ${ms(middle(took))}; the exact choice after letting go ${ms(took.last)}`);
await page.evaluate(() => window.trialmill.history.chart.canvas.scrollIntoView());
const spot = await page.locator("section[aria-label='History'] canvas").boundingBox();
const moved = await during(page, async () => { for (let i = 0; i < 60; i++) await page.mouse.move(spot.x + 80 + i * 9, spot.y + 60 + i * 2); });
console.log(`pointing at the history: ${frames(moved)}`);
const began = performance.now();
await page.locator("section[aria-label='Trials'] th button", { hasText: "took" }).click();
await page.waitForFunction(() => document.querySelector("section[aria-label='Trials'] th[aria-sort]")?.textContent === "took");
console.log(`the table, sorted anew by the server: ${ms(performance.now() - began)}`);
await cdp.send("HeapProfiler.collectGarbage");
const heap = await cdp.send("Runtime.getHeapUsage");
const processes = await (await browser.newBrowserCDPSession()).send("SystemInfo.getProcessInfo");
const renderer = Math.max(...processes.processInfo.filter((own) => own.type === "renderer").map((own) => memory(own.id, "RssAnon")));
console.log(`memory: page ${((heap.usedSize + heap.backingStorageSize) / 1e6).toFixed(0)} MB (objects ${(heap.usedSize / 1e6).toFixed(0)}, columns ${(heap.backingStorageSize / 1e6).toFixed(0)}), its whole process ${renderer.toFixed(0)} MiB; server ${memory(server.pid, "VmRSS").toFixed(0)} MiB`);
await browser.close();
server.kill();
fs.rmSync(home, { recursive: true, force: true });
