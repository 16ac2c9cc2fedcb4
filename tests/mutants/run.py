#!/usr/bin/env python3
"""Tries all mutants of the core, in one build.

cargo-mutants says what to change (.cargo/mutants.toml), and would build the workspace for each change. Here every
change is written beside the original, behind a switch, so that the workspace is built once. With --more, there are those
that it does not list: a statement is left out, or its error ignored; a lock is not held; a condition is negated; a number
is one more; two arguments are swapped. Each test then runs
alone and notes which mutants it reaches; and each mutant is tried on the tests that reach it, until one fails. Those
come first that saw other changes of the same function, are in the same crate, or have words of its name in theirs: a few
one by one, and then, the quick ones first, many tests of a program at a time.

Ends with 1 if a mutant was missed. Everything is kept in target/mutants/: a run that was stopped goes on where it was,
until a file of the tree changes. Needs cargo-mutants; ends no process but those of its tests, which have a PID namespace.
"""

import argparse
import collections
import hashlib
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
OUT = ROOT / "target/mutants"
TREE = OUT / "tree"
# The tests of the core, and of what is above it as far as they run by themselves and in seconds.
TESTS = """trialmill_core contradictions corrections decisions results study spaces warm_start trialmill_store appearing
    journal trialmill_neps trialmill_runtime objectives pruners live brought resumed actors crash_images
    formats hostile io_errors many_processes neps_sharing network_caches own_workers running same_seed seeds
    steps torn_journal waiting without_session cli""".split()
# How many tests are tried one by one, which are quick, and how many of these run in one process.
SINGLY, QUICK_SECONDS, BATCH = 6, 1, 40
ALONE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
# The first process of a namespace has no parent, and gets everybody's orphans: no test is to be that.
BEHIND = ["sh", "-c", '"$@"; exit $?', "first"]
# The kinds of mutants that cargo-mutants does not list.
OWN_KINDS = "statement condition held literal arguments".split()
ENVIRONMENT = dict(os.environ, CARGO_PROFILE_DEV_DEBUG="none", RUSTFLAGS="--cap-lints allow", RUST_BACKTRACE="0")


def read(name, default=None):
    path = OUT / name
    return json.loads(path.read_text()) if path.exists() else default


def write(name, value):
    path = OUT / name
    path.with_suffix(".new").write_text(json.dumps(value))
    path.with_suffix(".new").rename(path)


def tracked():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [name for name in names.decode().split("\0") if name and (ROOT / name).is_file()]


def fingerprint():
    sums = (hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in tracked())
    return hashlib.sha256("".join(sums).encode()).hexdigest()


def put(name, content, mode=0o644):
    """Writes a file of the copy, if it is another one: what is the same is not built again."""
    path = TREE / name
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)


def cargo(*arguments, **options):
    return subprocess.run(["cargo", *arguments], capture_output=True, text=True, **options)


class File:
    """One file, and the mutants that are written into it."""

    def __init__(self, name, places):
        self.name, self.places = name, places
        self.text = (ROOT / name).read_text()
        self.lines = [0]
        for line in self.text.split("\n"):
            self.lines.append(self.lines[-1] + len(line) + 1)
        self.switch = ("crate" if name.startswith("crates/core/") else "trialmill_core") + "::switch::is_on"
        self.edits = []

    def at(self, line, column):
        return self.lines[line - 1] + column - 1

    def range(self, place):
        return self.at(*place[:2]), self.at(*place[2:])

    def find(self, kind, field, start):
        """The innermost place of a kind whose field (or, for a body, whose inside) begins there."""
        for place in self.places:
            if place["kind"] == kind and place.get(field) and self.range(place[field])[0] == start:
                return place
        return None

    def body_around(self, start):
        bodies = [self.range(p["at"]) for p in self.places if p["kind"] == "body"]
        around = [body for body in bodies if body[0] < start < body[1]]
        return min(around, key=lambda body: body[1] - body[0], default=None)

    def edit(self, span, kind, place):
        for edit in self.edits:
            if edit["span"] == span and edit["kind"] == kind:
                return edit
        self.edits.append({"span": span, "kind": kind, "place": place, "mutants": []})
        return self.edits[-1]

    def add(self, number, mutant):
        """Whether the mutant can be switched."""
        span, genre = mutant["span"], mutant["genre"]
        start = self.at(span["start"]["line"], span["start"]["column"])
        if genre == "FnValue":
            body = self.body_around(start)
            if body is None:
                return False
            edit = self.edit((body[0] + 1, body[0] + 1), "body", None)
        elif genre in ("BinaryOperator", "UnaryOperator"):
            kind = "binary" if genre == "BinaryOperator" else "unary"
            place = self.find(kind, "at", start)
            if place is None:
                return False
            edit = self.edit(self.range(place["whole"]), kind, place)
        elif genre in ("MatchArm", "MatchArmGuard"):
            place = self.find("arm", "whole" if genre == "MatchArm" else "guard", start)
            if place is None:
                return False
            arrow = self.range(place["arrow"])[0]
            edit = self.edit(self.range(place["guard"]) if place["guard"] else (arrow, arrow), "arm", place)
        elif genre in OWN_KINDS:
            place = mutant["place"]
            edit = self.edit(self.range(place["at"]), place["kind"], place)
        else:
            return False
        edit["mutants"].append((number, mutant["replacement"]))
        return True

    def rendered(self):
        # The outer before the inner, and an arm before a guard of the same range.
        inside = ["arm", "condition", "held"]
        rank = lambda kind: inside.index(kind) if kind in inside else len(inside)
        self.edits.sort(key=lambda e: (e["span"][0], -e["span"][1], rank(e["kind"])))
        return self.between(0, len(self.text))

    def between(self, start, end, without=()):
        parts, at = [], start
        for edit in self.edits:
            first, last = edit["span"]
            if first < at or first < start or last > end or any(edit is other for other in without):
                continue
            parts += [self.text[at:first], self.written(edit, without)]
            at = last
        return "".join(parts) + self.text[at:end]

    def written(self, edit, without):
        is_on = lambda number: f"{self.switch}({number})"
        place, mutants = edit["place"], edit["mutants"]
        if edit["kind"] == "body":
            return "".join(f" if {is_on(n)} {{ return {value}; }}" for n, value in mutants)
        if edit["kind"] == "arm":
            deleted = "".join(f"!{is_on(n)} && " for n, value in mutants if value == "")
            if not place["guard"]:
                return f"if {deleted[:-4]} "
            guard = f"({self.between(*edit['span'], without=[*without, edit])})"
            for number, value in mutants:
                if value == "true":
                    guard = f"({is_on(number)} || {guard})"
                elif value == "false":
                    guard = f"(!{is_on(number)} && {guard})"
            return deleted + guard
        if edit["kind"] in OWN_KINDS:
            return self.own_written(edit, is_on, [*without, edit])
        operator = self.text[slice(*self.range(place["at"]))]
        left = self.between(*self.range(place["left"]))
        if edit["kind"] == "unary":
            return f"(if {is_on(mutants[0][0])} {{ {left} }} else {{ {operator}{left} }})"
        right = self.between(*self.range(place["right"]))
        others = "".join(f"if {is_on(n)} {{ {left} {other} {right} }} else " for n, other in mutants)
        return f"({others}{{ {left} {operator} {right} }})"


    def own_written(self, edit, is_on, without):
        (start, end), place, mutants = edit["span"], edit["place"], edit["mutants"]
        now = self.between(start, end, without)
        if edit["kind"] == "condition":
            return f"(({now}) != {is_on(mutants[0][0])})"
        if edit["kind"] == "held":
            return f"if {is_on(mutants[0][0])} {{ None }} else {{ Some({now}) }}"
        others = []
        for number, other in mutants:
            if edit["kind"] == "arguments":
                (a, b), (c, d) = map(self.range, (place["arguments"][int(other)], place["arguments"][int(other) + 1]))
                part = lambda *span: self.between(*span, without)
                other = part(start, a) + part(c, d) + part(b, c) + part(a, b) + part(d, end)
            elif other == "tried":
                other = f"let _ = {self.between(*self.range(place['tried']), without)};"
            others.append(f"if {is_on(number)} {{ {other} }} else ")
        written = f"{''.join(others)}{{ {now} }}"
        return written if edit["kind"] == "statement" else f"({written})"


def own_mutants(places):
    """The mutants that cargo-mutants does not list, in its form."""
    mutants = []
    for name, found in places.items():
        file = File(name, found)
        for place in (place for place in found if place["kind"] in OWN_KINDS):
            text = lambda at: " ".join(file.text[slice(*file.range(at))].split())[:60]
            at, kind = place["at"], place["kind"]
            said = {"statement": [("", "leave out")], "condition": [("", "negate")], "held": [("", "do not hold")],
                    "literal": [(place.get("other"), f"{place.get('other')} for")]}.get(kind, [])
            if place.get("tried"):
                said.append(("tried", "ignore the error of"))
            for i, pair in enumerate(itertools.pairwise(place.get("arguments", []))):
                if text(pair[0]) != text(pair[1]):
                    said.append((str(i), f"swap {text(pair[0])} and {text(pair[1])} in"))
            mutants += [{"file": name, "genre": kind, "place": place, "replacement": other,
                         "function": {"function_name": place["function"]},
                         "span": {"start": {"line": at[0], "column": at[1]}, "end": {"line": at[2], "column": at[3]}},
                         "name": f"{name}:{at[0]}:{at[1]}: {what} `{text(at)}` in {place['function']}"}
                        for other, what in said]
    return mutants


def write_mutants(mutants, places, unviable):
    """Writes all files with the mutants that compile; returns those that cannot be switched."""
    left_out = []
    for name, found in places.items():
        file = File(name, found)
        for number, mutant in enumerate(mutants, 1):
            if mutant["file"] == name and number not in unviable and not file.add(number, mutant):
                left_out.append(number)
        put(name, file.rendered().encode())
    return left_out


def list_all(more):
    """The mutants, and the places of their files."""
    said = cargo("mutants", "--workspace", "--list", "--json", cwd=ROOT)
    if said.returncode:
        sys.exit(f"{said.stderr}cargo install cargo-mutants --locked")
    mutants = json.loads(said.stdout)
    files = sorted({mutant["file"] for mutant in mutants})
    said = cargo("run", "-q", "--manifest-path", HERE / "places/Cargo.toml", "--", *files, cwd=ROOT,
                 env=dict(os.environ, CARGO_TARGET_DIR=str(OUT / "places")))
    if said.returncode:
        sys.exit(said.stderr)
    places = json.loads(said.stdout)
    return mutants + own_mutants(places) if more else mutants, places


def build(mutants, places):
    """Writes and checks until all that is left compiles; then builds the tests."""
    for name in tracked():
        put(name, (ROOT / name).read_bytes(), (ROOT / name).stat().st_mode)
    put("crates/core/src/switch.rs", (HERE / "switch.rs").read_bytes())
    root = (ROOT / "crates/core/src/lib.rs").read_text()
    root = re.sub(r"^(pub )?mod ", r"pub mod switch;\n\g<0>", root, count=1, flags=re.M)
    put("crates/core/src/lib.rs", root.encode())
    unviable = set()
    while True:
        left_out = write_mutants(mutants, places, unviable)
        said = cargo("check", "-q", "-p", "trialmill-runtime", "--message-format=json", cwd=TREE, env=ENVIRONMENT)
        found = set().union(*map(lambda line: guilty(line, mutants), said.stdout.splitlines()))
        print(f"{len(mutants) - len(unviable) - len(left_out)} mutants are switched, {len(unviable)} do not compile, "
              f"{len(left_out)} have no switch", flush=True)
        if said.returncode == 0:
            break
        if not found - unviable:
            sys.exit(f"does not compile, for no mutant's sake:\n{said.stderr}")
        unviable |= found
    said = cargo("test", "-q", "--workspace", "--no-run", "--message-format=json", cwd=TREE, env=ENVIRONMENT)
    if said.returncode:
        sys.exit(said.stderr)
    built = [json.loads(line) for line in said.stdout.splitlines()]
    programs = [(m["target"]["name"], m["executable"], os.path.dirname(m["manifest_path"]))
                for m in built if m.get("executable") and m["profile"]["test"]]
    write("built.json", {"unviable": sorted(unviable), "left_out": left_out,
                         "programs": [program for program in programs if program[0] in TESTS]})


def guilty(line, mutants):
    """The mutants because of which the compiler says this."""
    message = json.loads(line).get("message") or {}
    if message.get("level") != "error":
        return set()
    found = set()
    for span in message["spans"]:
        path = TREE / span["file_name"]
        if not span["is_primary"] or not path.is_file():
            continue
        if "non-exhaustive" in message["message"]:
            # The arms of one match are deleted together, and one of them is needed.
            arms = [(n, m) for n, m in enumerate(mutants, 1)
                    if m["file"] == span["file_name"] and m["genre"] == "MatchArm"
                    and m["span"]["start"]["line"] >= span["line_start"]]
            first = arms[0][1]
            found |= {n for n, m in arms if m["function"] == first["function"]
                      and m["span"]["start"]["column"] == first["span"]["start"]["column"]}
            continue
        before = path.read_bytes()[:span["byte_start"]].decode(errors="ignore")
        numbers = re.findall(r"switch::is_on\((\d+)\)", before)
        found |= {int(number) for number in numbers[-1:]}
        if "moved value" in message["message"] and numbers:
            # Whoever does not return there goes on without what was given away.
            last = mutants[int(numbers[-1]) - 1]
            here = lambda m: m["file"] == last["file"] and m["function"] == last["function"]
            goes_away = lambda m: re.search("leave out `(return|break|continue)", m["name"])
            found |= {n for n, m in enumerate(mutants, 1) if here(m) and goes_away(m)}
    return found


def run(tests, timeout, **variables):
    """How tests of one program end, and how long they take."""
    begin = time.monotonic()
    command = [*ALONE, *BEHIND, tests[0]["program"], *(test["name"] for test in tests), "--exact"]
    process = subprocess.Popen(command, cwd=tests[0]["directory"],
                               env=dict(ENVIRONMENT, **variables), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        code = None
    return code, time.monotonic() - begin


def each(items, work, jobs):
    """Calls `work` for each item, on threads."""
    items, lock = iter(items), threading.Lock()

    def loop():
        while True:
            with lock:
                item = next(items, None)
            if item is None:
                return
            work(item)

    threads = [threading.Thread(target=loop, daemon=True) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def record(jobs):
    """Runs each test alone: how long it takes, and which mutants it reaches."""
    tests = []
    for _, program, directory in read("built.json")["programs"]:
        listed = lambda *more: subprocess.run([program, "--list", *more], cwd=directory, capture_output=True,
                                              text=True, check=True).stdout.splitlines()
        ignored = set(listed("--ignored"))
        tests += [{"name": line.removesuffix(": test"), "program": program, "directory": directory}
                  for line in listed() if line.endswith(": test") and line not in ignored]
    reached = OUT / "reached"
    shutil.rmtree(reached, ignore_errors=True)
    reached.mkdir()

    def once(item):
        at, test = item
        path = reached / str(at)
        code, test["seconds"] = run([test], 300, MUTANT="0", MUTANTS_REACHED=str(path))
        test["reaches"] = sorted({int(line) for line in path.read_text().split()}) if path.exists() else []
        test["passes"] = code == 0
        if code != 0:
            print(f"left out, fails without a mutant: {test['name']}", flush=True)

    each(enumerate(tests), once, jobs)
    write("tests.json", [test for test in tests if test["passes"] and test["reaches"]])


def words(name):
    """The beginnings of its words: what a test is called often says which function it is about."""
    return {word[:5].lower() for word in re.findall("[A-Z]?[a-z]{3,}", name)}


def try_all(mutants, wanted, seconds, jobs):
    tests, built = read("tests.json"), read("built.json")
    reaching = collections.defaultdict(list)
    for at, test in enumerate(tests):
        for number in test["reaches"]:
            reaching[number].append(at)
    results = {int(number): result for number, result in read("results.json", {}).items()}
    saw = collections.Counter()
    lock = threading.Lock()

    def places(number):
        mutant = mutants[number - 1]
        return (mutant["file"], (mutant["function"] or {}).get("function_name")), mutant["file"]

    def note(number, result, *rest):
        results[number] = [result, *rest]
        if result != "missed":
            saw.update((rest[-1], place) for place in places(number))

    for number, result in list(results.items()):
        note(number, *result)

    def batches(number):
        """The tests that reach a mutant, in the order in which they are tried."""
        mutant = mutants[number - 1]
        about, crate = words(mutant["name"]), mutant["file"].split("/src/")[0]
        def far(at):
            test = tests[at]
            saw_it = [-saw[at, place] for place in places(number)]
            return [*saw_it, not test["directory"].endswith(crate), -len(about & words(test["name"])), test["seconds"]]
        order = sorted(reaching[number], key=far)
        yield from ([at] for at in order[:SINGLY])
        near = lambda at: not tests[at]["directory"].endswith(crate)
        kind = lambda at: (tests[at]["seconds"] > QUICK_SECONDS, near(at), tests[at]["program"])
        for (is_slow, *_), same in itertools.groupby(sorted(order[SINGLY:], key=kind), kind):
            same, size = list(same), 5 if is_slow else BATCH
            yield from (same[begin:begin + size] for begin in range(0, len(same), size))

    def once(number):
        begin, tried, result, at = time.monotonic(), 0, "missed", None
        for batch in batches(number):
            if time.monotonic() - begin > seconds:
                break
            tried += len(batch)
            some = [tests[at] for at in batch]
            code, _ = run(some, sum(test["seconds"] for test in some) * 4 + 15, MUTANT=str(number))
            if code != 0:
                result = "hung" if code is None else "seen"
                at = batch[0] if len(batch) == 1 else None
                break
        with lock:
            note(number, result, tried, len(reaching[number]), at)
            if result == "missed":
                print(f"missed ({tried} of {len(reaching[number])} tests): {mutants[number - 1]['name']}", flush=True)
            write("results.json", results)

    out = {*built["unviable"], *built["left_out"]}
    # With more time, those that were not tried on all tests are tried again.
    is_done = lambda n: n in results and (results[n][0] != "missed" or results[n][1] == results[n][2])
    each((n for n in wanted if n not in out and not is_done(n)), once, jobs)
    return {number: results[number] for number in wanted if number in results}


def named_since(revision, mutants):
    diff = subprocess.run(["git", "diff", revision, "--", "crates"], cwd=ROOT, capture_output=True, check=True).stdout
    if not diff:
        return set()
    (OUT / "since.diff").write_bytes(diff)
    said = cargo("mutants", "--workspace", "--list", "--json", "--in-diff", str(OUT / "since.diff"), cwd=ROOT)
    name, at, lines = None, 0, set()
    for line in diff.decode(errors="replace").splitlines():
        if line.startswith("+++ b/"):
            name = line.removeprefix("+++ b/")
        elif hunk := re.match(r"@@ -\S+ \+(\d+)", line):
            at = int(hunk[1])
        elif line[:1] in ("+", " "):
            lines |= {(name, at)} if line[0] == "+" else set()
            at += 1
    is_in = lambda m: m["genre"] in OWN_KINDS and (m["file"], m["span"]["start"]["line"]) in lines
    own = filter(is_in, mutants)
    return {mutant["name"] for mutant in [*json.loads(said.stdout or "[]"), *own]}


def table(mutants, results):
    files = collections.defaultdict(collections.Counter)
    for number, (result, *_) in results.items():
        files[mutants[number - 1]["file"]][result] += 1
    total = sum(files.values(), collections.Counter())
    print("| file | mutants | seen | hung | missed | score |\n|---|---|---|---|---|---|")
    for name, counts in [*sorted(files.items()), ("all", total)]:
        caught = counts["seen"] + counts["hung"]
        print(f"| `{name}` | {counts.total()} | {counts['seen']} | {counts['hung']} | {counts['missed']} "
              f"| {caught / max(1, counts.total()):.0%} |")
    return total["missed"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="mutants whose name has this pattern, as crates/core/src/budget.rs")
    parser.add_argument("--more", action="store_true", help="also kinds that cargo-mutants does not list")
    parser.add_argument("--since", metavar="REVISION", help="mutants of what changed since this revision")
    parser.add_argument("--seconds", type=float, default=300, help="how long one mutant is tried (%(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="tests at a time (%(default)s)")
    options = parser.parse_args()
    if subprocess.run([*ALONE, "true"], capture_output=True).returncode:
        ALONE[1:1] = ["--user", "--map-root-user"]
        if subprocess.run([*ALONE, "true"], capture_output=True).returncode:
            sys.exit("no PID namespace can be made here: a mutant might kill your processes")
    OUT.mkdir(parents=True, exist_ok=True)
    now = fingerprint() + " more" * options.more
    if read("of.json") != now:
        for name in OUT.glob("*.json"):
            name.unlink()
        mutants, places = list_all(options.more)
        write("mutants.json", mutants)
        build(mutants, places)
        record(options.jobs)
        write("of.json", now)
    mutants = read("mutants.json")
    wanted = [n for n, mutant in enumerate(mutants, 1) if re.search(options.only, mutant["name"])]
    if options.since:
        changed = named_since(options.since, mutants)
        wanted = [n for n in wanted if mutants[n - 1]["name"] in changed]
    missed = table(mutants, try_all(mutants, wanted, options.seconds, options.jobs))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
