// The same study in our page and in optuna-dashboard: time to the first plot, bytes, memory. Not a test: it prints a
// table, for docs/dashboard.md, and takes a picture of ours.
//
//   OPTUNA=VENV/bin tests/web/run beside_optuna.mjs [TRIALS] [ROUNDS]     (pip install optuna-dashboard, in VENV)

import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";

const [trials = "20000", rounds = "3"] = process.argv.slice(2);
const home = fs.mkdtempSync(path.join(os.tmpdir(), "trialmill-beside-"));
const study = path.join(home, "large"), log = path.join(home, "large.log");
execFileSync("python3", [path.join(import.meta.dirname, "make_study.py"), "large", study, trials]);
execFileSync(process.env.TRIALMILL, ["export", study, "--to", "optuna", "-o", log]);
const middle = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const resident = (pid) => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024;
const answers = async (url) => { for (;;) { try { await fetch(url); return; } catch { await new Promise((go) => setTimeout(go, 50)); } } };

const tools = [
  { name: "trialmill serve", start: (port) => [process.env.TRIALMILL, ["serve", study, "--port", port]], address: "study.html?s=large",
    drawn: () => window.trialmill?.history.chart.frames > 0 && window.trialmill.page.study.rows > 0 },
  { name: "optuna-dashboard", start: (port) => [path.join(process.env.OPTUNA ?? "", "optuna-dashboard"), [log, "--port", port]], address: "dashboard/studies/0",
    drawn: () => document.querySelectorAll(".js-plotly-plot path.point").length > 100 },
];
for (const [at, tool] of tools.entries()) {
  const port = String(18400 + Math.floor(Math.random() * 1000) * 2 + at);
  const [program, words] = tool.start(port);
  const server = spawn(program, words, { cwd: home, stdio: "ignore" });
  const url = `http://127.0.0.1:${port}/`;
  await answers(url);
  const found = { cold: 0, first: [], bytes: 0 };
  for (let i = 0; i <= Number(rounds); i++) {
    // A browser of its own each time: nothing is in its cache.
    const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
    const page = await browser.newPage({ viewport: { width: 1360, height: 900 } });
    const cdp = await page.context().newCDPSession(page);
    await cdp.send("Network.enable");
    let bytes = 0;
    cdp.on("Network.loadingFinished", (event) => (bytes += event.encodedDataLength));
    const began = performance.now();
    await page.goto(url + tool.address, { waitUntil: "commit" });
    await page.waitForFunction(tool.drawn, null, { timeout: 180000, polling: 20 });
    const took = (performance.now() - began) / 1000;
    if (i === 0) found.cold = took; else found.first.push(took);
    found.atFirst = bytes;
    await page.waitForTimeout(5000);
    found.bytes = bytes;
    if (i === Number(rounds)) {
      await cdp.send("HeapProfiler.collectGarbage");
      const heap = await cdp.send("Runtime.getHeapUsage");
      found.heap = (heap.usedSize + (heap.backingStorageSize ?? 0)) / 1e6;
      const own = await (await browser.newBrowserCDPSession()).send("SystemInfo.getProcessInfo");
      found.page = Math.max(...own.processInfo.filter((one) => one.type === "renderer").map((one) => resident(one.id)));
      found.elements = await page.evaluate(() => document.querySelectorAll("*").length);
      await page.screenshot({ path: path.join(process.env.SHOTS ?? home, `${tool.name.split(" ")[0]}.png`) });
    }
    await browser.close();
  }
  console.log(`${tool.name}: first plot ${middle(found.first).toFixed(2)} s (the first time ${found.cold.toFixed(2)} s), by then ${(found.atFirst / 1e6).toFixed(2)} MB, after 5 s more ${(found.bytes / 1e6).toFixed(2)} MB; page ${found.heap.toFixed(0)} MB of objects, ${found.page.toFixed(0)} MiB resident, ${found.elements} elements; server ${resident(server.pid).toFixed(0)} MiB`);
  server.kill();
}
console.log(`${trials} trials, medians of ${rounds}, load ${os.loadavg()[0].toFixed(1)} on ${os.cpus().length} cores`);
fs.rmSync(home, { recursive: true, force: true });
