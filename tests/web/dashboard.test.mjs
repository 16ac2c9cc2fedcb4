// The pages in Debian's chromium: counts grow while a run writes, nothing on the console, no serious finding
// of axe, actions with and without the token, a hostile study, two studies laid over each other.
//
//   TRIALMILL=target/debug/trialmill node --test tests/web/       (tests/web/run installs what is needed)

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const here = import.meta.dirname;
const program = path.resolve(process.env.TRIALMILL ?? "target/debug/trialmill");
const home = fs.mkdtempSync(path.join(os.tmpdir(), "trialmill-web-"));
const fixtures = process.env.FIXTURES ?? path.join(here, "../fixtures");
const axe = fs.readFileSync(path.join(process.env.NODE_MODULES ?? path.join(here, "node_modules"), "axe-core/axe.min.js"), "utf8");
let browser, base, token, server;

const run = (...args) => execFileSync(program, args, { cwd: home, encoding: "utf8" });
const make = (kind, name, n) => execFileSync("python3", [path.join(here, "make_study.py"), kind, path.join(home, "runs", name), String(n)]);

function serve(...args) {
  const child = spawn(program, ["serve", "--port", "0", ...args], { cwd: home });
  return new Promise((resolve, reject) => {
    child.on("exit", () => reject(new Error("the server ended")));
    child.stdout.once("data", (data) => {
      const [, url, token] = /open (http:\S+?\/)(?:#token=(\w+))?\s/.exec(String(data));
      resolve({ child, url, token });
    });
  });
}

before(async () => {
  fs.mkdirSync(path.join(home, "runs"));
  make("front", "front", 200);
  make("hostile", "hostile", 40);
  make("wide", "wide", 30);
  make("beyond", "beyond", 3);
  // Directories of NePS: one that NePS itself wrote, and one whose names, values and errors are hostile.
  fs.cpSync(path.join(fixtures, "neps/0.17.0/hyperband"), path.join(home, "runs/neps"), { recursive: true });
  const bad = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>';
  fs.writeFileSync(path.join(home, "bad.sh"), `echo '${bad}'; [ $TRIALMILL_TRIAL_ID = 2 ] && { echo '${bad}' >&2; exit 1; }; echo 0.5`);
  fs.writeFileSync(path.join(home, "bad.yaml"), JSON.stringify({ space: { [bad]: [0.0, 1.0], "</script>": { choices: [bad, "'\"&"] } }, seed: 7, budget: { evaluations: 6 } }));
  run("run", "bad.yaml", "--dir", "runs/hostile-neps", "--layout", "neps", "-q", "--", "sh", "bad.sh");
  fs.writeFileSync(path.join(home, "train.sh"), `sleep 0.05; [ $(($TRIALMILL_TRIAL_ID % 9)) = 0 ] && { echo broken >&2; exit 3; }; echo "trial $TRIALMILL_TRIAL_ID says"; echo 0.$TRIALMILL_TRIAL_ID`);
  fs.writeFileSync(path.join(home, "study.yaml"), "space: {x: [0.0, 1.0], kind: {choices: [a, b]}}\nseed: 7\nbudget: {evaluations: 40}\n");
  run("run", "study.yaml", "--dir", "runs/done", "-q", "--workers", "3", "--", "sh", "train.sh");
  ({ child: server, url: base, token } = await serve("runs"));
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
});

after(async () => {
  await browser?.close();
  server?.kill();
  fs.rmSync(home, { recursive: true, force: true });
});

/** Opens a page; what it says on its console goes into `said`. */
async function open(address, { theme = "light", width = 1300, url = base } = {}) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme: theme });
  page.said = [];
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) page.said.push(message.text()); });
  page.on("pageerror", (error) => page.said.push(String(error)));
  await page.goto(url + address);
  await page.waitForFunction(() => document.documentElement.dataset.ready === "1", null, { timeout: 60000 });
  return page;
}

/** Presses a button until its question is there: the page may have drawn itself anew under the first press. */
async function asks(page, button) {
  for (;;) {
    await button.click();
    try { return await page.locator("dialog").waitFor({ timeout: 2000 }); } catch { /* once more */ }
  }
}

/** What axe finds that is serious. It is given as a script by the browser, past the page's own rules. */
async function findings(page) {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
    return violations.filter((own) => ["serious", "critical"].includes(own.impact)).map((own) => `${own.id}: ${own.nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`).join(" | ")}`);
  });
}

for (const theme of ["light", "dark"]) {
  for (const [name, address] of [["all studies", "index.html"], ["a study", "study.html?s=runs/done"], ["two objectives", "study.html?s=runs/front"], ["a trial", "trial.html?s=runs/done&id=9"], ["compare", "compare.html?s=runs/done&s=runs/front"]]) {
    test(`${name}, ${theme}: no console error, no serious finding, nothing wider than the page`, async () => {
      const page = await open(address, { theme });
      assert.deepEqual(await findings(page), []);
      await page.setViewportSize({ width: 380, height: 800 });
      // Not wider than a phone, once it has followed.
      await page.waitForFunction(() => innerWidth === 380 && document.documentElement.scrollWidth <= innerWidth + 1);
      assert.deepEqual(page.said, []);
      await page.close();
    });
  }
}

test("counts grow while a run of another process writes", async () => {
  const go = path.join(home, "go");
  fs.writeFileSync(path.join(home, "gated.sh"), `[ $TRIALMILL_TRIAL_ID -gt 10 ] && while [ ! -e '${go}' ]; do sleep 0.02; done; . '${home}/train.sh'`);
  const child = spawn(program, ["run", "study.yaml", "--dir", "runs/live", "-q", "--workers", "2", "--", "sh", path.join(home, "gated.sh")], { cwd: home });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  // The server looks for new studies every few seconds.
  const listed = async () => (await (await fetch(`${base}api/studies`)).json()).studies.some((own) => own.key === "runs/live" && own.trials > 0);
  while (!(await listed())) await new Promise((resolve) => setTimeout(resolve, 100));
  const page = await open("study.html?s=runs/live");
  await page.waitForFunction(() => window.trialmill.page.study.rows === 10, null, { timeout: 60000 });
  fs.writeFileSync(go, "");
  await page.waitForFunction(() => window.trialmill.page.study.rows === 40, null, { timeout: 60000 });
  await page.waitForFunction(() => document.querySelectorAll("section[aria-label='Errors by kind'] tbody tr").length === 1);
  await ended;
  assert.deepEqual(page.said, []);
  await page.close();
});

test("a hostile study is shown as text, and runs nothing", async () => {
  const of = (key) => [`study.html?s=${key}#token=${token}`, `trial.html?s=${key}&id=1`, `trial.html?s=${key}&id=2`, `compare.html?s=${key}`];
  for (const address of ["index.html", ...of("runs/hostile"), ...of("runs/hostile-neps")]) {
    const page = await open(address);
    if (address.startsWith("study")) {
      // All of it, and the form with its names and choices.
      for (const name of ["Parallel coordinates", "Slices", "Trials"]) await page.locator(`section[aria-label='${name}']`).scrollIntoViewIfNeeded();
      await page.locator(".head button", { hasText: "enqueue" }).click();
      await page.locator("dialog.form").waitFor();
      assert.deepEqual(await findings(page), [], address);
    }
    await page.waitForTimeout(300);
    assert.equal(await page.evaluate(() => window.hacked), undefined, address);
    assert.equal(await page.locator("main img, main script").count(), 0, address);
    assert.deepEqual(page.said, [], address);
    await page.close();
  }
  const trial = await (await fetch(`${base}api/trial?s=runs/hostile&id=1`)).json();
  assert.ok(!trial.files.some((file) => file.name === "passwd"));
  assert.equal((await fetch(`${base}api/log?s=runs/hostile&id=1&name=passwd&from=0`)).status, 404);
  assert.equal((await fetch(`${base}api/log?s=runs/hostile&id=2&name=passwd&from=0`)).status, 404);
});

test("a directory of NePS has its page", async () => {
  for (const address of ["study.html?s=runs/neps", "trial.html?s=runs/neps&id=7_rung_2", "compare.html?s=runs/neps&s=runs/done"]) {
    const page = await open(address);
    assert.deepEqual(await findings(page), [], address);
    assert.deepEqual(page.said, [], address);
    if (address.startsWith("study")) {
      assert.equal(await page.evaluate(() => window.trialmill.page.study.rows), 16);
      assert.match(await page.locator(".head").textContent(), /layout neps/);
    }
    await page.close();
  }
});

test("more parameters than a study may have are said, and not read again and again", async () => {
  const page = await open("study.html?s=runs/beyond");
  await page.locator(".problem", { hasText: "more than 4096 parameters" }).waitFor();
  await page.close();
  const list = await (await fetch(`${base}api/studies`)).json();
  assert.match(list.studies.find((own) => own.key === "runs/beyond").problem, /more than 4096/);
});

test("four thousand parameters leave the page usable", async () => {
  const page = await open("study.html?s=runs/wide");
  // What is not seen is not fetched.
  await page.locator("section[aria-label='Slices']").scrollIntoViewIfNeeded();
  await page.waitForFunction(() => document.querySelectorAll("section[aria-label='Slices'] canvas").length === 12);
  assert.deepEqual(page.said, []);
  await page.close();
});

// A page that hears of an event drew its buttons anew, and whoever held one down pressed in vain.
test("a button that is held down while the page hears of something is still pressed", async () => {
  const page = await open(`study.html?s=runs/done#token=${token}`);
  const retry = page.locator("button", { hasText: "retry all" });
  // Until nothing moves any more: what is above it grows while the page is filled.
  const place = async () => { await retry.hover(); return JSON.stringify(await retry.boundingBox()); };
  const still = async () => { for (let before; before !== (before = await place());) await page.waitForTimeout(700); return place(); };
  // A press under which it moved away says nothing: it is made again.
  for (let evaluations = 41, before, after; before === undefined || before !== after; evaluations++) {
    before = await still();
    await page.mouse.down();
    const heard = page.waitForResponse((answer) => answer.url().includes("api/study?"));
    run("set", "runs/done", "--evaluations", String(evaluations));
    await heard;
    await page.waitForTimeout(400);
    after = JSON.stringify(await retry.boundingBox());
    await page.mouse.up();
  }
  await page.locator("dialog").waitFor();
  await page.close();
});

test("nothing is done without the token, and with it after a yes", async () => {
  run("note", "runs/done", "9", "seen=by Ada");
  const without = await open("trial.html?s=runs/done&id=9");
  await without.getByText("by Ada").waitFor();
  assert.ok(await without.locator("button", { hasText: "retry" }).isDisabled());
  await without.close();
  const page = await open(`study.html?s=runs/done#token=${token}`);
  assert.ok(!page.url().includes(token), "the token does not stay in the address");
  const retry = page.locator("button", { hasText: "retry all" });
  await asks(page, retry);
  await page.locator("dialog button", { hasText: "No" }).click();
  assert.ok(run("status", "runs/done").includes("crashed"));
  await asks(page, retry);
  await page.locator("dialog button", { hasText: "Yes" }).click();
  await page.waitForFunction(() => window.trialmill.page.info.counts.pending === 4);
  assert.ok(run("status", "runs/done").includes("4 pending"));
  await page.close();
  const other = await serve("runs", "--read-only");
  const still = await open("study.html?s=runs/done", { url: other.url });
  assert.equal(await still.locator("button", { hasText: "retry" }).count(), 0);
  await still.close();
  other.child.kill();
});

test("a study is paused, enlarged, added to and stopped from its page, which says what was done", async () => {
  const gate = path.join(home, "gate");
  fs.writeFileSync(path.join(home, "held.sh"), `while [ ! -e '${gate}' ]; do sleep 0.02; done; echo 0.5`);
  const child = spawn(program, ["run", "study.yaml", "--dir", "runs/held", "-q", "--workers", "1", "--", "sh", path.join(home, "held.sh")], { cwd: home });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  const listed = async () => (await (await fetch(`${base}api/studies`)).json()).studies.some((own) => own.key === "runs/held" && own.evaluating > 0);
  while (!(await listed())) await new Promise((resolve) => setTimeout(resolve, 100));
  const page = await open(`study.html?s=runs/held#token=${token}`);
  const tools = page.locator(".head .tools"), said = page.locator(".toast");
  const does = async (name, answer, says) => {
    await asks(page, tools.locator("button", { hasText: name }));
    await page.locator("dialog button", { hasText: answer }).click();
    await said.filter({ hasText: says }).waitFor();
  };
  await does("pause", "Yes", "paused; 1 trial in progress");
  await page.locator(".head .pill", { hasText: "paused" }).waitFor();
  await does("resume", "Yes", "trials are handed out again");
  await does("more evaluations", "Yes", "140 evaluations are allowed now");
  await asks(page, tools.locator("button", { hasText: "enqueue" }));
  const form = page.locator("dialog.form");
  await form.locator("label", { hasText: "x" }).locator("input").fill("7");
  await form.locator("label", { hasText: "kind" }).locator("select").selectOption({ label: "b" });
  assert.deepEqual(await findings(page), []);
  await form.locator("button", { hasText: "Enqueue" }).click();
  await form.locator(".problem", { hasText: "'x'" }).waitFor();
  await form.locator("label", { hasText: "x" }).locator("input").fill("0.125");
  await form.locator("button", { hasText: "Enqueue" }).click();
  await said.filter({ hasText: "is evaluated next" }).waitFor();
  const [pending] = JSON.parse(run("trials", "runs/held", "--state", "pending", "--json"));
  assert.deepEqual(pending.config, { x: 0.125, kind: "b" });
  await does("stop", "After their evaluations", "asked to end: p1");
  await page.locator(".head .pill", { hasText: "stopping" }).waitFor();
  fs.writeFileSync(gate, "");
  assert.equal(await ended, 130);
  // The browser's own words for the refusal above.
  assert.deepEqual(page.said.filter((text) => !text.includes("409 (Conflict)")), []);
  await page.close();
});

test("brushing parallel coordinates selects trials", async () => {
  const page = await open("study.html?s=runs/front");
  const canvas = page.locator("section[aria-label='Parallel coordinates'] canvas").first();
  // What is above it is drawn, and grows, only once it is near: so until it stays where it is.
  let box = null, before;
  do {
    before = JSON.stringify(box);
    await canvas.scrollIntoViewIfNeeded();
    await page.waitForFunction(() => window.trialmill.parallel.board.frames > 0);
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    box = await canvas.boundingBox();
  } while (JSON.stringify(box) !== before);
  await page.mouse.move(box.x + 62, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + 62, box.y + 200, { steps: 8 });
  await page.mouse.up();
  const count = await page.evaluate(() => window.trialmill.parallel.count);
  assert.ok(count > 10 && count < 190, String(count));
  assert.match(await page.locator("section[aria-label='Parallel coordinates'] p").textContent(), /selected, the best/);
  await page.close();
});

test("the table is sorted and filtered by the server", async () => {
  const page = await open("study.html?s=runs/done");
  const table = page.locator("section[aria-label='Trials']");
  await table.locator("th button", { hasText: "objective_to_minimize" }).click();
  await page.waitForFunction(() => document.querySelector("section[aria-label='Trials'] th[aria-sort='ascending'] button")?.textContent === "objective_to_minimize");
  const best = await page.evaluate(() => window.trialmill.page.info.best.id);
  assert.equal(await table.locator("tbody tr td").first().textContent(), best);
  await table.locator("input[type=search]").fill("kind=b");
  await page.waitForFunction(() => !document.querySelector("section[aria-label='Trials'] .pager").textContent.includes("of 40"));
  await page.close();
});
