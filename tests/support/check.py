#!/usr/bin/env python3
"""An independent checker of a trialmill directory: shares no code, and so no bug, with it.

    check.py DIR [--ledger FILE ...] [--expect-evaluations N] [--finished]

Reads study.json and journal.jsonl byte by byte, folds the events into states by its own table, and
compares them with the ledgers that the processes of a test wrote by themselves:

    opened PID 0 NS             the process has opened the study
    start TRIAL ATTEMPT NS      an evaluation began   (NS: CLOCK_BOOTTIME in nanoseconds)
    end TRIAL ATTEMPT NS        it ended
    acked TRIAL ATTEMPT VALUE   its report was acknowledged as durable
    killed LEDGER NS            written by the killer: the process of that ledger was alive until NS

I1  every acknowledged (trial, attempt, value) is in the journal, with that value
I2  ids are unique, none stands for two configs; on a continuous space no two configs are equal
I3  the evaluations of one trial do not overlap, across all ledgers
I4  claims - requeues = trials in progress or ended; between two attempts of a trial a requeue is
    recorded; every evaluation in a ledger has its claim, and no claim is evaluated twice
I5  evaluations charged never exceed the budget; with --expect-evaluations N, N have ended
I7  no event of an attempt that is not the current one; no claim by a process that is not a member;
    nothing is held by a process that left
With --finished every trial must have ended. Exit code: 0 sound, 1 violated, 2 usage.
"""
import argparse
import json
import re
import sys
import zlib
from collections import Counter
from pathlib import Path

LINE = re.compile(rb'\{"crc":"([0-9a-f]{8})",(.*)', re.DOTALL)
TRIAL_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
WORKER = re.compile(r"p(\d+)-w\d+")
ENDED = ("success", "failed", "crashed", "pruned")
CHARGED = ("evaluating",) + ENDED


class Violation(Exception): ...


def need(condition, rule, text):
    if not condition:
        raise Violation(f"{rule}: {text}")


def parse(text, where):
    """JSON as RFC 8259 says: no NaN, and no key twice."""
    def pairs(items):
        need(len(dict(items)) == len(items), "format", f"{where} has a key twice")
        return dict(items)

    try:
        # The empty table refuses NaN and Infinity.
        return json.loads(text.decode(), object_pairs_hook=pairs, parse_constant={}.__getitem__)
    except (ValueError, KeyError) as error:
        raise Violation(f"format: {where} is not JSON: {error}") from None


def read_journal(path):
    """The events, each line's shape, checksum and number verified."""
    data = path.read_bytes()
    need(not data or data.endswith(b"\n"), "format", f"{path} ends in the middle of a record")
    offset = 0
    for seq, line in enumerate(data.split(b"\n")[:-1]):
        where = f"{path.name} line {seq + 1} (byte {offset})"
        match = LINE.fullmatch(line)
        need(match, "format", f"{where} is not a record: {line[:60]!r}")
        crc = f"{zlib.crc32(match[2]):08x}"
        need(crc == match[1].decode(), "format", f"{where}: checksum {match[1]!r}, computed {crc}")
        event = parse(line, where)
        need(event["seq"] == seq, "format", f"{where} has seq {event['seq']}, expected {seq}")
        offset += len(line) + 1
        yield dict(event, where=where)


class Trial:
    holder, lost, failures = None, 0, 0

    def __init__(self, config, state="pending", attempts=0):
        self.config, self.state, self.attempts, self.notes = config, state, attempts, {}


class Study:
    """The fold of the events."""

    def __init__(self, space):
        self.trials, self.configs, self.reports, self.claims = {}, {}, {}, set()
        self.counts, self.seen, self.charged_max = Counter(), Counter(), 0
        self.members, self.last_process = set(), 0
        self.steps, self.stopped, self.evaluations, self.deleted = set(), False, [], set()
        self.policy = {"budget": {}, "count_in_progress": True, "max_attempts": 3}
        self.continuous = any(d["type"] == "float" and not d.get("is_fidelity") for d in space)

    def apply(self, event):
        handler = getattr(self, "on_" + event["event"], None)
        need(handler, "format", f"{event['where']}: the event '{event['event']}' is unknown")
        self.seen[event["event"]] += 1
        handler(event, event["where"])
        states = CHARGED if self.policy["count_in_progress"] else ENDED
        charged, n = sum(self.counts[s] for s in states), self.policy["budget"].get("evaluations")
        charged -= self.counts["pruned"] if self.policy.get("pruned_are_free") else 0
        claims = event["event"] in ("sampled", "claimed") and "attempt" in event
        need(not (claims and self.stopped), "I5", f"{event['where']}: a claim after the end")
        need(not claims or n is None or charged <= n, "I5", f"{event['where']}: {charged} charged")
        self.charged_max = max(self.charged_max, charged)

    def become(self, trial, state):
        self.counts[trial.state] -= 1
        self.counts[state] += 1
        trial.state = state

    def add(self, name, trial, where, again=False):
        need(TRIAL_ID.fullmatch(name), "I2", f"{where}: '{name}' cannot be a trial id")
        need(name not in self.trials, "I2", f"{where}: trial '{name}' exists already")
        need(name not in self.deleted, "I2", f"{where}: '{name}' was the id of another trial")
        if self.continuous and not again:
            key = json.dumps(trial.config, sort_keys=True)
            other = self.configs.setdefault(key, name)
            need(other == name, "I2", f"{where}: trials '{other}' and '{name}' are both {key}")
        self.trials[name] = trial
        self.counts[trial.state] += 1

    def current(self, event, where, states, after=0):
        """The trial of an event allowed in these states, for its latest attempt or the next."""
        trial = self.trials.get(event["trial"])
        need(trial, "I7", f"{where}: there is no trial '{event['trial']}'")
        need(trial.state in states, "I7", f"{where}: {event['event']}, and it is {trial.state}")
        need(event["attempt"] == trial.attempts + after, "I7",
             f"{where}: attempt {event['attempt']}, and it is at attempt {trial.attempts}")
        trial.holder = None
        return trial

    def on_reserved(self, event, where): ...

    def on_policy(self, event, where):
        self.policy, self.stopped = event["policy"], False

    def on_evaluation(self, event, where):
        number, what = event["evaluation"], event["runs"]
        need(what["command"], "format", f"{where}: an evaluation without a command")
        need(1 <= number <= len(self.evaluations) + 1, "I7", f"{where}: {number} comes too early")
        if number > len(self.evaluations):
            need(what not in self.evaluations, "I7", f"{where}: it has a number already")
            self.evaluations.append(what)
        need(self.evaluations[number - 1] == what, "I7", f"{where}: {number} is another one")

    def on_joined(self, event, where):
        need(event["process"] > self.last_process, "I7", f"{where}: its number was used before")
        self.last_process = event["process"]
        self.members.add(event["process"])

    def on_left(self, event, where):
        need(1 <= event["process"] <= self.last_process, "I7", f"{where}: it never joined")
        held = [name for name, trial in self.trials.items() if trial.holder == event["process"]]
        need(not held, "I7", f"{where}: it left and holds {held}")
        self.members.discard(event["process"])

    def on_sampled(self, event, where):
        self.add(event["trial"], Trial(event["config"]), where, again="previous" in event)
        if "attempt" in event:
            self.on_claimed(event, where)

    def on_claimed(self, event, where):
        trial = self.current(event, where, ("pending",), after=1)
        runs = event.get("evaluation", 0)
        need(0 <= runs <= len(self.evaluations), "I7", f"{where}: there is no evaluation {runs}")
        worker = WORKER.fullmatch(event["worker"])
        if worker and "lease" not in event:
            trial.holder = int(worker[1])
            need(trial.holder in self.members, "I7", f"{where}: p{trial.holder} is not a member")
        trial.attempts = event["attempt"]
        self.claims.add((event["trial"], trial.attempts))
        self.become(trial, "evaluating")

    def on_reported(self, event, where):
        need(event["state"] in ENDED, "I7", f"{where}: reported as {event['state']}")
        self.become(self.current(event, where, ("evaluating",)), event["state"])
        self.reports[event["trial"], event["attempt"]] = event

    def on_stepped(self, event, where):
        trial = self.trials.get(event["trial"])
        need(trial, "I7", f"{where}: there is no trial '{event['trial']}'")
        need(1 <= event["attempt"] <= trial.attempts, "I7", f"{where}: no attempt that was begun")
        need(event["steps"], "format", f"{where}: no steps")
        for step, value, *more in event["steps"]:
            key = (event["trial"], event["attempt"], step)
            need(key not in self.steps, "I2", f"{where}: {key} a second time")
            self.steps.add(key)

    def on_noted(self, event, where):
        trial = self.trials.get(event["trial"])
        need(trial, "I7", f"{where}: there is no trial '{event['trial']}'")
        trial.notes = {**trial.notes, **event["notes"]}
        trial.notes = {name: note for name, note in trial.notes.items() if note is not None}
        need(len(json.dumps(trial.notes, separators=(",", ":"), ensure_ascii=False).encode()) <= 64 << 10,
             "format", f"{where}: more notes than are kept")

    def on_deleted(self, event, where):
        name = event["trial"]
        need(name not in self.trials and name not in self.deleted, "I2", f"{where}: '{name}' is there")
        self.deleted.add(name)

    def on_stopped(self, event, where):
        need(event["reason"] in ("target", "no_improvement", "regret_bound"), "format", f"{where}: why?")
        need(not self.stopped, "I7", f"{where}: it had stopped")
        self.stopped = True

    def on_requeued(self, event, where):
        retry, again = event["reason"] == "retry", event["reason"] == "crashed"
        before = ("failed", "crashed") if retry else ("crashed",) if again else ("evaluating",)
        trial = self.current(event, where, before)
        trial.lost = 0 if retry else trial.lost + (event["reason"] in ("died", "expired"))
        trial.failures = 0 if retry else trial.failures + again
        need(trial.failures <= self.policy.get("max_failures", 0) or not again, "I4",
             f"{where}: tried again {trial.failures} times")
        need(trial.lost < self.policy["max_attempts"], "I4", f"{where}: lost {trial.lost} times")
        self.become(trial, "pending")

    def on_put(self, event, where):
        new = Trial(event["config"], event["put_state"], event["attempt"])
        old = self.trials.pop(event["trial"], None)
        if old:
            need(old.config == new.config, "I2", f"{where}: an id stands for two configs")
            self.counts[old.state] -= 1
            new.notes = old.notes
        self.add(event["trial"], new, where, again=True)


def read_ledgers(paths):
    tables, killed = {"start": {}, "end": {}, "acked": {}}, {}
    for path in paths:
        # The last line of a killed process may be torn; it then tells nothing.
        for line in path.read_bytes().decode().split("\n")[:-1]:
            what, name, number, *rest = line.split()
            if what == "killed":
                killed[name] = int(number)
            elif what != "opened":
                key = (name, int(number))
                need(key not in tables[what], "I4", f"{path.name}: '{line}' happens a second time")
                tables[what][key] = (path.name, *rest)
    return tables["start"], tables["end"], tables["acked"], killed


def check_ledgers(study, starts, ends, acks, killed):
    for key, (ledger, value) in acks.items():
        report = study.reports.get(key)
        need(report, "I1", f"{ledger}: (trial, attempt) {key} was acknowledged and is not stored")
        stored = float(report.get("objective_to_minimize", "nan"))
        need(repr(stored) == repr(float(value)), "I1", f"{ledger}: {key} is {stored}, not {value}")
    spans = {}
    for key, (ledger, start) in starts.items():
        need(key in study.claims, "I4", f"{ledger}: {key} was evaluated and never claimed")
        end = int(ends[key][1]) if key in ends else killed.get(ledger)
        need(end is not None, "I3", f"{ledger}: {key} never ended, and nobody killed its process")
        spans.setdefault(key[0], []).append((int(start), end, key[1], ledger))
    for name, list_of in spans.items():
        for one, two in zip(sorted(list_of), sorted(list_of)[1:]):
            need(one[1] <= two[0] and one[2] < two[2], "I3",
                 f"attempts of '{name}' overlap by {(one[1] - two[0]) / 1e6} ms: {one} and {two}")
    for key, report in study.reports.items():
        evaluated = key in ends or report.get("err_type") == "worker-died"
        need(evaluated or not starts, "I7", f"{report['where']}: {key} was not evaluated")


def check(args):
    definition = parse((args.dir / "study.json").read_bytes(), "study.json")
    need((definition["layout"], definition["format"]) == ("journal", 1), "format", "study.json")
    study = Study(definition["space"].values())
    for event in read_journal(args.dir / "journal.jsonl"):
        study.apply(event)
    counts, seen, n = study.counts, study.seen, args.expect_evaluations
    balance, begun = len(study.claims) - seen["requeued"], sum(counts[s] for s in CHARGED)
    need(seen["put"] or balance == begun, "I4", f"claims - requeues = {balance}, begun {begun}")
    starts, ends, acks, killed = read_ledgers(args.ledger)
    if args.ledger:
        check_ledgers(study, starts, ends, acks, killed)
    ended = sum(counts[s] for s in ENDED)
    left = {name: trial.state for name, trial in study.trials.items() if trial.state not in ENDED}
    need(not (args.finished and left), "finished", f"{len(left)} trials are left: {list(left)[:5]}")
    need(n is None or ended == n, "I5", f"{ended} evaluations have ended, expected {n}")
    print(f"sound: events={sum(seen.values())} trials={len(study.trials)} ended={ended} "
          f"success={counts['success']} crashed={counts['crashed']} claims={len(study.claims)} "
          f"requeued={seen['requeued']} joined={seen['joined']} left={seen['left']} "
          f"charged_max={study.charged_max} started={len(starts)} acked={len(acks)} "
          f"killed={len(killed)} torn={len(list(args.dir.glob('torn-*')))}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Checks a trialmill directory.")
    parser.add_argument("dir", type=Path)
    parser.add_argument("--ledger", type=Path, nargs="*", action="extend", default=[])
    parser.add_argument("--expect-evaluations", type=int)
    parser.add_argument("--finished", action="store_true")
    try:
        check(parser.parse_args())
    except Violation as violation:
        sys.exit(f"VIOLATED {violation}")  # with exit code 1
