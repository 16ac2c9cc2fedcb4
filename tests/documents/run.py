#!/usr/bin/env python3
"""Does what the documents say: runs their blocks of shell, and holds what they show against what comes.

    tests/documents/run.py target/debug/trialmill             # a minute
    tests/documents/run.py target/debug/trialmill --cargo     # also those that `cargo` is needed for

Before each block of shell in README.md, CONTRIBUTING.md and docs/*.md stands how it is run:

    <!-- run: a study -->                  its lines one by one, where a world of that name was made (WORLDS)
    <!-- run as a script: a study -->      as a whole, by bash
    <!-- run with cargo -->                with --cargo; its output is the block below it that says so
    <!-- output -->                        what the block before printed; times are masked, … is anything
    <!-- not run: REASON -->               the reason

A block without is an error. Blocks of YAML are study files, or parts of one, and are tried with `create`;
`<!-- file: NAME -->` makes one a file of the worlds of its document. `<!-- a result -->` is what a command may
answer. Of the tables, the exit codes, and which tests a promise is checked by, are held against the program and
the tree; and so is each verb and flag that a document names.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(sys.argv[1]).resolve()
WITH_CARGO = "--cargo" in sys.argv[2:]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

# These go on until they are ended.
LONG = re.compile(r"^trialmill (serve|watch|sample|logs .*-f)\b")

TRAIN = """import sys, math
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
print(0.5 + (math.log10(float(given["--lr"])) + 3) ** 2)
"""
STUDY = """space:
  lr:        {type: float, lower: 1e-5, upper: 1e-1, log: true}
  layers:    {type: int, lower: 1, upper: 8}
  optimizer: [sgd, adam]
optimizer: random_search
budget: {evaluations: 24}
workers: 2
command: [python3, train.py, --lr, "{lr}"]
"""
TRIALS = "lr,layers,optimizer,objective\n0.001,3,adam,0.6\n0.02,8,sgd,2.5\n"

problems = []
done = {"lines": 0, "left out": 0}


def problem(where, text):
    problems.append(f"{where}: {text}")
    print(f"  WRONG {where}: {text}", file=sys.stderr)


def call(words, cwd, **options):
    options = {"capture_output": True, "text": True, "timeout": 300, "stdin": subprocess.DEVNULL, **options}
    return subprocess.run(words, cwd=cwd, env=environment(cwd), **options)


def environment(cwd):
    """`trialmill` is ours, and nothing of an outer run is known."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("TRIALMILL_")}
    return {**own, "PATH": f"{cwd}/bin:{own['PATH']}"}


def world(files):
    """A directory with what the documents take to be there."""
    home = Path(tempfile.mkdtemp(prefix="documents-"))
    (home / "bin").mkdir()
    (home / "bin/trialmill").symlink_to(BINARY)
    for name, text in {"train.py": TRAIN, "study.yaml": STUDY, "trials.csv": TRIALS, **files}.items():
        # Shorter than a reader's.
        (home / name).write_text(text.replace("evaluations: 200", "evaluations: 24"))
    (home / "train.sh").write_text("#!/bin/sh\nexec python3 train.py --lr $1\n")
    (home / "train.sh").chmod(0o755)
    return home


def prepared(home, *lines):
    for line in lines:
        ran = call(["bash", "-c", line], home)
        if ran.returncode:
            sys.exit(f"the world cannot be made: {line}: {ran.stderr}")


def a_study(home):
    prepared(home, "trialmill run study.yaml --dir runs/x -q --buffered")


def trials_elsewhere(home):
    # The next four are 17 to 20.
    prepared(home, "trialmill create study.yaml --dir runs/x", "trialmill ask runs/x -n 16")


def nothing(_):
    pass


def a_directory_of_neps(home):
    shutil.copy(ROOT / "tests/documents/neps.yaml", home / "study.yaml")
    prepared(home, "trialmill run study.yaml --layout neps --dir DIR -q --evaluations 4 -- ./train.sh {lr}")


WORLDS = {
    "nothing yet": nothing,
    "a study": a_study,
    "trials elsewhere": trials_elsewhere,
    "a directory of NePS": a_directory_of_neps,
}


def blocks(text):
    """Each fenced block: its line, its language, its text, and the comment before it."""
    mark = None
    fence = None
    for number, line in enumerate(text.splitlines(), 1):
        if fence is not None:
            if line.startswith("```"):
                yield fence[0], fence[1], "\n".join(fence[2]) + "\n", mark
                fence = mark = None
            else:
                fence[2].append(line)
        elif line.startswith("```"):
            fence = (number, line[3:].strip(), [])
        elif match := re.fullmatch(r"<!-- (.*) -->", line.strip()):
            mark = match[1]
        elif line.strip():
            mark = None


def bare(line):
    """A line without its comment, and without what a reader fills in."""
    line = re.sub(r"(^|\s+)# .*$", "", line).strip()
    return line.replace(" …", " -- python3 train.py --lr {lr}") if line.startswith("trialmill run") else line


def run_line(where, line, home):
    done["lines"] += 1
    if LONG.match(line):
        return run_long(where, line, home)
    # Braces and quotes as a shell has them.
    ran = call(["bash", "-c", line], home)
    if ran.returncode:
        problem(where, f"`{line}` ends with {ran.returncode}: {ran.stdout[-300:]}{ran.stderr[-600:]}")


def run_long(where, line, home):
    with open(home / "said", "w+") as said:
        options = {"stdout": said, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        child = subprocess.Popen(["bash", "-c", f"exec {line}"], cwd=home, env=environment(home), **options)
        try:
            child.wait(timeout=2)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGTERM)
        code = child.wait(timeout=60)
        said.seek(0)
        text = said.read()
    if code not in (0, 130, -signal.SIGTERM):
        problem(where, f"`{line}` ends with {code}: {text[-600:]}")


def masked(line):
    line = re.sub(r"\d+(\.\d+)? s\b", "# s", line)
    line = re.sub(r"\d+(\.\d+)? a second", "# a second", line)
    return re.sub(r"\d+ bytes", "# bytes", line).rstrip()


def same(wanted, printed):
    """Whether all lines that are shown come in this order; between them others only where … stands."""
    wanted, printed = [[masked(line) for line in text.strip().splitlines()] for text in (wanted, printed)]
    at = printed.index(wanted[0]) if wanted[0] in printed else None
    if at is None:
        return f"no line is {wanted[0]!r}"
    anywhere = False
    for line in wanted:
        if line == "…":
            anywhere = True
            continue
        rest = printed[at:] if anywhere else printed[at : at + 1]
        if line not in rest:
            return f"{line!r} is shown, and {rest[:1]} comes"
        at += rest.index(line) + 1
        anywhere = False
    return None


def study_file(where, text, files):
    """A study file, or a part of one."""
    has_space = re.search(r"^space:", text, re.M)
    home = world(files)
    # The studies that it begins with.
    for directory in re.findall(r"[^\[\], ]+", "".join(re.findall(r"^warm_start: \[(.*?)\]", text, re.M))):
        prepared(home, f"trialmill run study.yaml --dir {directory} -q --evaluations 4")
    (home / "tried.yaml").write_text(text if has_space else text + "space: {lr: [0.0, 1.0]}\n")
    ran = call(["bash", "-c", "trialmill create tried.yaml --dir tried"], home)
    if ran.returncode:
        problem(where, f"is no study file: {ran.stderr}")
    shutil.rmtree(home)


def result(where, text, files):
    home = world(files)
    (home / "result.json").write_text(text)
    line = "trialmill run study.yaml --dir r -q --evaluations 1 -- sh -c 'cp result.json $TRIALMILL_RESULT'"
    ran = call(["bash", "-c", line], home)
    if ran.returncode:
        problem(where, f"is no result: {ran.stdout}{ran.stderr}")
    shutil.rmtree(home)


def document(path):
    name, text = str(path.relative_to(ROOT)), path.read_text()
    files, printed = {}, None
    for number, language, block, mark in blocks(text):
        where = f"{name}:{number}"
        kind, _, rest = (mark or "").partition(": ")
        if kind == "file":
            files[rest] = block
        if kind == "a result":
            result(where, block, files)
        elif kind == "output":
            if printed is not None and (difference := same(block, printed)):
                problem(where, difference)
        elif language == "yaml":
            study_file(where, block, files)
        elif language != "sh":
            continue
        elif kind in ("run", "run as a script"):
            home = world(files)
            WORLDS[rest](home)
            lines = [block] if kind != "run" else [bare(line) for line in block.splitlines()]
            for line in filter(None, lines):
                run_line(where, line, home)
            shutil.rmtree(home)
        elif kind == "run with cargo":
            printed = with_cargo(where, block) if WITH_CARGO else None
            done["left out"] += not WITH_CARGO
        elif kind != "not run" or not rest:
            problem(where, "a block of shell needs `<!-- run: WORLD -->` or `<!-- not run: REASON -->`")
    named_verbs(name, text)


def with_cargo(where, block):
    """The first line; what a reader would write into the tree is written elsewhere."""
    home = tempfile.mkdtemp(prefix="documents-")
    done["lines"] += 1
    line = bare(block.splitlines()[0])
    ran = subprocess.run(f"{line} -- {home}/runs/digits", shell=True, cwd=ROOT, capture_output=True, text=True)
    shutil.rmtree(home)
    if ran.returncode:
        problem(where, f"`{line}` ends with {ran.returncode}: {ran.stderr[-600:]}")
        return None
    return ran.stdout.replace(f"{home}/", "")


HELP = {}


def help_of(verb):
    if verb not in HELP:
        ran = call([BINARY, verb, "--help"], ROOT)
        HELP[verb] = ran.stdout if ran.returncode == 0 else None
    return HELP[verb]


def named_verbs(name, text):
    """Each `trialmill verb --flag` in a line of text."""
    for verb, rest in re.findall(r"`trialmill ([a-z-]+)([^`\n]*)`", text):
        known = help_of(verb)
        if known is None:
            problem(name, f"`trialmill {verb}` is no verb")
            continue
        for flag in re.findall(r"(?<= )--[a-z-]+", rest.split(" -- ")[0]):
            if not re.search(rf"{flag}\b", known):
                problem(name, f"`trialmill {verb}` has no {flag}")


def exit_codes():
    """README's table has the codes of `--help`."""
    table = (ROOT / "README.md").read_text().split("## Exit codes")[1].split("## ")[0]
    shown = re.findall(r"^\| (\d+) \|", table, re.M)
    said = re.findall(r"^ +(\d+)  ", call([BINARY, "--help"], ROOT).stdout, re.M)
    if shown != said:
        problem("README.md, the exit codes", f"{shown} are shown, and --help has {said}")


def promises():
    """Each test that a promise is said to be checked by is there."""
    table = (ROOT / "README.md").read_text().split("## What you may rely on")[1].split("## ")[0]
    tests = "\n".join(path.read_text() for path in ROOT.rglob("*.rs") if "target" not in path.parts)
    for row in re.findall(r"^\| .* \| .* \| (.*) \|$", table, re.M):
        for name in re.findall(r"`([^`]+)`", row):
            last = name.split("::")[-1]
            there = [ROOT / name, ROOT / f"tests/{name}.rs", ROOT / f"tests/cli/{name}.rs"]
            if not any(path.exists() for path in there) and not re.search(rf"(fn|mod) {last}\b", tests):
                problem("README.md, what you may rely on", f"there is no test {name}")


for path in DOCUMENTS:
    print(f"-- {path.relative_to(ROOT)}", flush=True)
    document(path)
exit_codes()
promises()
left = f", {done['left out']} left out without --cargo" if done["left out"] else ""
print(f"{done['lines']} commands of the documents were run{left}; {len(problems)} problems")
sys.exit(1 if problems else 0)
