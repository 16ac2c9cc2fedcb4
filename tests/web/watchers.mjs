// What watching costs a run: its trials a second alone, with three watchers (a page, `watch --plain`, a loop of `status`)
// whose page asks the server for all that a page asks for and is drawn elsewhere, and with that page drawn by chromium
// on the machine of the run, too; in turn, in one session. Not a test: it prints figures, for docs/dashboard.md.
//
//   tests/web/run watchers.mjs [ROUNDS] [SECONDS OF AN EVALUATION] [TRIALS]

import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";

const [rounds = "5", pause = "0.05", trials = "400"] = process.argv.slice(2);
const program = process.env.TRIALMILL;
const home = fs.mkdtempSync(path.join(os.tmpdir(), "trialmill-watchers-"));
fs.writeFileSync(path.join(home, "study.yaml"), "space: {x: [0.0, 1.0], n: {type: int, lower: 1, upper: 9}}\noptimizer: random_search\n");
fs.writeFileSync(path.join(home, "evaluate.sh"), `sleep ${pause}; echo 0.$TRIALMILL_TRIAL_ID`);
// The browser is on the run's machine only because this is one machine: it steps back behind the run.
const chrome = path.join(home, "chromium");
fs.writeFileSync(chrome, `#!/bin/sh\nexec nice -n 19 ${process.env.CHROMIUM ?? "/usr/bin/chromium"} "$@"\n`, { mode: 0o755 });
const browser = await chromium.launch({ executablePath: chrome, args: ["--no-sandbox"] });
const devtools = await browser.newBrowserCDPSession();
const browsing = async () => (await devtools.send("SystemInfo.getProcessInfo")).processInfo.reduce((sum, own) => sum + own.cpuTime, 0);
const server = spawn(program, ["serve", home, "--port", "0"], { cwd: home });
const url = await new Promise((resolve) => server.stdout.once("data", (data) => resolve(/open (http:\/\/[^/]+\/)/.exec(String(data))[1])));
const seconds = (pid) => fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1).split(" ").slice(11, 13).reduce((a, b) => a + Number(b), 0) / 100;
const middle = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/** Asks for what a page asks for, whenever it hears of something. */
async function asks(key, isOver) {
  const s = encodeURIComponent(key), stop = new AbortController();
  let news = true, from = 0, epoch = 0;
  (async () => { try { for await (const _ of (await fetch(`${url}api/events?s=${s}`, { signal: stop.signal })).body) news = true; } catch { /* it is over */ } })();
  while (!isOver()) {
    if (news) {
      news = false;
      await (await fetch(`${url}api/study?s=${s}`)).text();
      const head = new Uint32Array((await (await fetch(`${url}api/columns?s=${s}&epoch=${epoch}&from=${from}`)).arrayBuffer()).slice(0, 20));
      [epoch, from] = [head[1], head[2] + head[3]];
      for (const own of ["figure?name=history", "figure?name=importance", "figure?name=timeline&columns=900", "figure?name=curves&n=10", "figure?name=budget", "figure?name=ecdf", "trials?limit=25"]) await (await fetch(`${url}api/${own}&s=${s}`)).text();
    }
    await new Promise((go) => setTimeout(go, 900));
  }
  stop.abort();
}

const [ALONE, ELSEWHERE, HERE] = ["alone", "watched from elsewhere", "watched from here"];

async function run(name, kind) {
  const watched = kind !== ALONE;
  const runs = spawn(program, ["run", "study.yaml", "--dir", name, "-q", "--workers", "8", "--evaluations", trials, "--", "sh", "evaluate.sh"], { cwd: home, stdio: "ignore" });
  const ended = new Promise((resolve) => runs.on("exit", resolve));
  let page, plain, statuses = 0, over = false, server0 = 0, browser0 = 0, began = 0, loop, asking;
  if (watched) {
    while (!fs.existsSync(path.join(home, name, "journal.jsonl"))) await new Promise((go) => setTimeout(go, 20));
    server0 = seconds(server.pid);
    browser0 = await browsing();
    began = performance.now();
    plain = spawn(program, ["watch", name, "--plain"], { cwd: home, stdio: "ignore" });
    loop = (async () => { while (!over) { const one = spawn(program, ["status", name], { cwd: home, stdio: "ignore" }); await new Promise((go) => one.on("exit", go)); statuses++; await new Promise((go) => setTimeout(go, 1000)); } })();
    const key = `${path.basename(home)}/${name}`;
    while (!(await (await fetch(`${url}api/studies`)).json()).studies.some((own) => own.key === key)) await new Promise((go) => setTimeout(go, 100));
    if (kind === HERE) {
      page = await browser.newPage({ viewport: { width: 1360, height: 900 } });
      await page.goto(`${url}study.html?s=${encodeURIComponent(key)}`);
    } else asking = asks(key, () => over);
  }
  let plains = 0;
  const looks = plain && setInterval(() => { try { plains = seconds(plain.pid); } catch { /* it has ended */ } }, 200);
  await ended;
  clearInterval(looks);
  over = true;
  await Promise.all([loop, asking]);
  const share = (s) => `${((100 * s) / ((performance.now() - began) / 1000)).toFixed(1)} %`;
  const costs = watched ? `; of a core the server took ${share(seconds(server.pid) - server0)}, watch --plain ${share(plains)}, the browser ${share((await browsing()) - browser0)}; ${statuses} × status` : "";
  await page?.close();
  plain?.kill();
  const lines = fs.readFileSync(path.join(home, name, "journal.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
  const first = lines.find((line) => line.event === "sampled").time, last = lines.findLast((line) => line.event === "reported").time;
  console.log(`${kind}: ${(trials / (last - first)).toFixed(1)} trials a second${costs}`);
  return trials / (last - first);
}

const kinds = [ALONE, ELSEWHERE, HERE], found = kinds.map(() => []);
for (let i = 0; i < Number(rounds); i++) {
  for (let k = 0; k < kinds.length; k++) {
    const own = (k + i) % kinds.length;
    found[own].push(await run(`study-${i}-${own}`, kinds[own]));
  }
}
const [alone] = found.map(middle);
kinds.forEach((kind, k) => console.log(`median ${kind}: ${middle(found[k]).toFixed(1)} trials a second, ${((100 * middle(found[k])) / alone).toFixed(1)} %`));
console.log(`load ${os.loadavg()[0].toFixed(1)} on ${os.cpus().length} cores`);
await browser.close();
server.kill();
fs.rmSync(home, { recursive: true, force: true });
