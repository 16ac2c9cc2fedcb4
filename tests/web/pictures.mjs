// Makes the pictures of docs/img: real studies, run here, seen in the browser.
//
//   tests/web/run pictures.mjs        (TRIALMILL, as in `run`; PICTURES is where they go)

import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";

const here = import.meta.dirname;
const program = process.env.TRIALMILL;
const out = process.env.PICTURES ?? "docs/img";
const home = fs.mkdtempSync(path.join(os.tmpdir(), "trialmill-pictures-"));
const sleep = (s) => new Promise((resolve) => setTimeout(resolve, s * 1000));
const study = path.join(here, "study.yaml"), train = path.join(here, "train.py");
const start = (...args) => spawn(program, args, { cwd: home, stdio: "ignore" });
const end = (child, signal) => new Promise((resolve) => { child.on("exit", resolve); child.kill(signal); });

fs.mkdirSync(path.join(home, "runs"));
fs.mkdirSync(out, { recursive: true });
for (const optimizer of ["random_search", "sobol"]) {
  execFileSync(program, ["run", study, "--dir", `runs/${optimizer}`, "--optimizer", optimizer, "-q", "--evaluations", "120", "--workers", "8", "--", "python3", train, "0.01"], { cwd: home, stdio: "ignore" });
}
execFileSync("python3", [path.join(here, "make_study.py"), "front", path.join(home, "runs/front"), "400"]);
const first = start("run", study, "--dir", "runs/vision", "-q", "--workers", "5", "--", "python3", train, "1.5");
await sleep(8);
const second = start("worker", "runs/vision", "-q", "--workers", "3", "--", "python3", train, "1.5");
await sleep(20);
await end(second, "SIGKILL");
await sleep(5);
const third = start("worker", "runs/vision", "-q", "--workers", "2", "--", "python3", train, "1.5");
await sleep(15);
await end(third, "SIGINT");
await sleep(4);
const fourth = start("worker", "runs/vision", "-q", "--workers", "3", "--", "python3", train, "1.5");
const server = spawn(program, ["serve", "runs", "--port", "0"], { cwd: home });
const base = await new Promise((resolve) => server.stdout.once("data", (data) => resolve(/open (http:\S+?)(#\S+)?\s/.exec(String(data))[0].slice(5).trim())));
const [url, token] = base.split("#");
await sleep(12);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
async function shot(name, address, { theme = "light", width = 1360, height = 900, until } = {}) {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme: theme, deviceScaleFactor: 1 });
  await page.goto(`${url}${address}#${token}`);
  await page.waitForFunction(() => document.documentElement.dataset.ready === "1", null, { timeout: 60000 });
  await page.waitForTimeout(800);
  const tall = await page.evaluate(() => document.body.scrollHeight);
  await page.setViewportSize({ width, height: Math.min(tall, until ?? 5000) });
  await page.waitForTimeout(1200);
  await page.screenshot({ path: path.join(out, `${name}.png`) });
  await page.close();
}
await shot("study", "study.html?s=runs/vision", { until: 1560 });
await shot("study-dark", "study.html?s=runs/vision", { theme: "dark", until: 1560 });
await shot("study-phone", "study.html?s=runs/vision", { theme: "dark", width: 400, until: 1700 });
await shot("studies", "index.html", { height: 560, until: 560 });
await shot("front", "study.html?s=runs/front", { theme: "dark", until: 2500 });
await shot("compare", "compare.html?s=runs/random_search&s=runs/sobol&s=runs/vision", { until: 800 });
const info = await (await fetch(`${url}api/study?s=runs/vision`)).json();
const error = info.errors[0]?.trial ?? info.best.id;
await shot("trial", `trial.html?s=runs/vision&id=${info.best.id}`, { until: 1150 });
await shot("trial-error", `trial.html?s=runs/vision&id=${error}`, { theme: "dark", until: 1300 });
await browser.close();
server.kill();
for (const kind of ["timeline", "parallel", "history"]) execFileSync(program, ["plot", "runs/vision", kind, "-o", path.resolve(out, `${kind}.svg`)], { cwd: home });
await end(fourth, "SIGINT");
await end(first, "SIGINT");
fs.rmSync(home, { recursive: true, force: true });
