"""The cases. Each is a function that gets the lab and the variants that were asked for, does the same with
each of them, and returns for each a list of what was wrong and a list of what was seen."""

import dataclasses
import json
import re
import time

from study import WORKERS, Fault, Study

LAYOUTS = ("journal", "neps")
OFFSETS = (0.0, 0.3, 4.0)  # seconds between the starts of the two workers


@dataclasses.dataclass
class Options:
    runs: int = 10
    quick: bool = False


@dataclasses.dataclass
class Verdict:
    problems: list
    facts: list
    seconds: float


class Case:
    """A name, the variants it comes in, and whether all of them go through one fault together."""

    def __init__(self, function, variants, together):
        self.function, self.variants, self.together = function, variants, together
        self.name, self.shows = function.__name__, " ".join(function.__doc__.split())

    def run(self, lab, variants, options):
        """Yields (variant, verdict)."""
        for group in [variants] if self.together else [[each] for each in variants]:
            began = time.monotonic()
            lab.ready()
            try:
                found = self.function(lab, group, options)
            except Exception as error:  # one case that fails must not end the others
                found = {each: ([f"{type(error).__name__}: {error}"], []) for each in group}
            for variant in group:
                problems, facts = found[variant]
                yield variant, Verdict(problems, facts, time.monotonic() - began)


CASES = []


def case(*variants, together=False):
    def add(function):
        CASES.append(Case(function, variants or ("",), together))
        return function
    return add


def named(kind, variant, number=""):
    return "-".join(part for part in (kind, *variant.split(":"), str(number)) if part)


def study_for(lab, kind, variant, number="", **more):
    layout, _, mount = variant.partition(":")
    return Study(lab, named(kind, variant, number), layout or "journal", mount or "v4.2", **more)


def eventually(condition, what, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.05)


def start_both(study, offset):
    """A worker process on each client, the second so much later."""
    jobs = {}
    for client in study.lab.clients:
        if jobs:
            time.sleep(offset)
        jobs[client.role] = study.worker(client)
    return jobs


def shares(study):
    return "+".join(str(study.count("end", client)) for client in study.lab.clients)


def both(study):
    """Both clients must have evaluated, or the run shows nothing."""
    for client in study.lab.clients:
        if not study.count("end", client):
            study.wrong(f"{client.role} evaluated nothing")


@case(*LAYOUTS)
def budget(lab, variants, options):
    """Two clients on one budget, again and again: exactly it, nothing lost, nothing twice, `check` sound."""
    (variant,) = variants
    evaluations, runs = (60, min(options.runs, 2)) if options.quick else (400, options.runs)
    problems, facts, times = [], [], []
    for number in range(runs):
        offset = OFFSETS[number % len(OFFSETS)]
        study = study_for(lab, "budget", variant, number, budget=evaluations, seed=number)
        began = time.monotonic()
        study.create(lab.clients[0])
        jobs = start_both(study, offset)
        study.ended(jobs, 120 + 1.5 * evaluations)
        times.append(f"{time.monotonic() - began:.0f}")
        both(study)
        study.verify()
        facts.append(f"{shares(study)} (seed {number}, +{offset} s)")
        problems += [f"run {number} (seed {number}, +{offset} s): {text}" for text in study.problems]
        if study.problems:
            lab.ready()
    return {variant: (problems, [f"{runs} runs of {evaluations} in {', '.join(times)} s; c1+c2: {', '.join(facts)}"])}


@case("journal", "neps", "journal:v3")
def join_together(lab, variants, options):
    """Both workers start in the same second on a new study: two numbers, both work, nobody waits 60 s."""
    (variant,) = variants
    study = study_for(lab, "join", variant, budget=40, seconds=0.2)
    study.create(lab.clients[0])
    began = time.time_ns()
    jobs = start_both(study, 0)
    study.ended(jobs, 200)
    for client in lab.clients:
        first = min((mark.ns for mark in study.marks(client)), default=None)
        seen = "nothing" if first is None else f"after {(first - began) / 1e9:.1f} s"
        study.facts.append(f"{client.role} began {seen}")
        if first is None or first - began > 30e9:
            study.wrong(f"{client.role} evaluated {seen}")
    study.verify()
    numbers = joined(study.work / "server" / ("" if study.layout == "journal" else ".trialmill") / "journal.jsonl")
    study.facts.append("joined: " + ", ".join(f"p{number} on {host}" for number, host in numbers))
    if len({number for number, _ in numbers}) != 2 or {host for _, host in numbers} != {"c1", "c2"}:
        study.wrong(f"joined: {numbers}")
    return {variant: (study.problems, study.facts)}


def joined(journal):
    """The processes that joined: number and host. Damage is told elsewhere."""
    line = rb'.*"event":"joined".*"process":(\d+),"host":"(\w+)".*'
    found = (re.fullmatch(line, each) for each in journal.read_bytes().split(b"\n"))
    return [(int(match[1]), match[2].decode()) for match in found if match]


def with_fault(lab, kind, variants, evaluations, seconds, fault, bound,
               codes=None, again_within=None, unreachable=False):
    """Works on all variants at once, does something to the lab in the middle, and verifies each.

    fault(studies): does it, and gives when it struck c1, or None where c1 is to keep its trials.
    bound: how many seconds it may take from then to the end; again_within: until c1's trials run again.
    unreachable: whether c1's evaluations may go on where nobody can know of them.
    """
    c1, c2 = lab.clients
    studies = {variant: study_for(lab, kind, variant, budget=evaluations, seconds=seconds) for variant in variants}
    jobs = {}
    for variant, study in studies.items():
        study.create(c1)
        jobs[variant] = {c1.role: study.worker(c1)}
    for variant, study in studies.items():
        eventually(lambda: study.count("end", c1) >= 2, f"{study}: c1 works", 90)
        jobs[variant][c2.role] = study.worker(c2)
    for study in studies.values():
        eventually(lambda: study.count("end", c1) >= 4 and study.count("end", c2) >= 4, f"{study}: both work", 120)
    harmed = fault(list(studies.values()))
    struck = harmed or time.time_ns()
    found = {}
    for variant, study in studies.items():
        waited = {role: job for role, job in jobs[variant].items() if lab.guests[role].is_alive()}
        try:
            study.ended(waited, max(1.0, bound - (time.time_ns() - struck) / 1e9), codes)
            if c1.role in waited:
                study.facts.append(f"c1's exit code {waited['c1'].result().code}")
            study.facts.append(f"c1+c2: {shares(study)}")
            if harmed:
                again = [mark.ns for mark in study.again()]
                after = f"{(min(again) - struck) / 1e9:.1f} s" if again else "never"
                study.facts.append(f"c1's trials were started again after {after}")
                in_hand = in_progress(study, c1, struck)
                if again_within and in_hand and (not again or min(again) - struck > again_within * 1e9):
                    study.wrong(f"c1's trials were started again after {after}, not within {again_within} s")
                last = max(mark.ns for mark in study.marks())
                study.facts.append(f"all was done {(last - struck) / 1e9:.1f} s after the fault")
            study.verify(Fault(c1.role, struck, unreachable) if harmed else None)
        except Exception as error:  # of one variant; the others are looked at as well
            study.wrong(f"{type(error).__name__}: {error}")
        found[variant] = (study.problems, study.facts)
    return found


def in_progress(study, client, ns):
    """How many evaluations a client had begun and not ended then."""
    marks = [mark for mark in study.marks(client) if mark.ns < ns]
    return sum(+1 if mark.what == "start" else -1 for mark in marks)


@case("journal", "neps", "journal:v3", together=True)
def kill_worker(lab, variants, options):
    """SIGKILL of the worker processes on c1: c2 has their trials again within seconds, and ends the budget."""
    def fault(_):
        struck = time.time_ns()
        lab.clients[0].run("killall -9 trialmill")
        return struck

    return with_fault(lab, "kill", variants, 80 if options.quick else 120, 1.0, fault, 240,
                      {"c1": (137,)}, again_within=20)


@case("journal", "neps", together=True)
def server_stopped(lab, variants, options):
    """The server stands still for 20 s: everybody waits, and then goes on as if nothing had been."""
    def fault(_):
        server = lab.guests["srv"]
        server.stop()
        time.sleep(20)
        server.resume()

    return with_fault(lab, "stopped", variants, 40 if options.quick else 80, 0.3, fault, 240)


@case("journal", "neps", together=True)
def cut_off(lab, variants, options):
    """c1 has no network for 100 s, and then again: what it gives late does not count, and it ends too."""
    def fault(_):
        struck = time.time_ns()
        lab.clients[0].spawn("ip link set eth0 down; sleep 100; ip link set eth0 up")
        return struck

    # Whatever c1 ends with is shown; that it ends, and what is stored, is checked.
    return with_fault(lab, "cut", variants, 60 if options.quick else 250, 0.8, fault, 400,
                      {"c1": range(256)}, again_within=180, unreachable=True)


@case("journal", "neps")
def readers(lab, variants, options):
    """c2 only looks while c1 works: never older than what was acknowledged on c1, never a false alarm."""
    (variant,) = variants
    c1, c2 = lab.clients
    study = study_for(lab, "readers", variant, budget=40 if options.quick else 80, seconds=0.3)
    study.create(c1)
    where, ledger = study.at(c2), f"/c/ledger/{study.name}"
    # Each look leaves an empty file first, so that its time is of the ledger's clock.
    looks = c2.spawn(f"""
        look() {{
            : > {ledger}/$1.$i
            trialmill $2 {where} > {ledger}/$1.$i.out 2> {ledger}/$1.$i.err; echo $? > {ledger}/$1.$i.code
        }}
        i=0
        while [ ! -e {ledger}/enough ]; do
            i=$((i + 1))
            look status 'status --json'; look check 'check --json'; look best best
            sleep 0.2
        done""")
    study.ended({"c1": study.worker(c1)}, 240)
    time.sleep(1)
    (study.ledger_of(c2) / "enough").touch()
    looks.wait(60)
    starts = [mark.ns for mark in study.marks(c1) if mark.what == "start"]
    number = strictly_behind = harmless = 0
    for path in sorted(study.ledger_of(c2).glob("*.code")):
        look = path.stem
        code, out, err = (path.with_name(f"{look}.{kind}").read_text() for kind in ("code", "out", "err"))
        ns = path.with_name(look).stat().st_mtime_ns
        number += 1
        # A worker begins its next trial when its last is acknowledged: all but the last of each.
        known = lambda ns: max(0, sum(start < ns for start in starts) - WORKERS)
        acknowledged, some_seconds_ago = known(ns), known(ns - 5_000_000_000)
        if int(code) and not (look.startswith("best") and not acknowledged):
            study.wrong(f"{look}: exit code {code.strip()}: {' '.join((out + err).split())[-300:]}")
        elif look.startswith("status"):
            seen = json.loads(out)["counts"]["success"]
            strictly_behind += seen < acknowledged
            if seen < some_seconds_ago:
                study.wrong(f"{look}: {seen} trials, and {some_seconds_ago} were acknowledged 5 s before")
        elif look.startswith("check"):
            told = json.loads(out)
            # Of each acknowledged trial there are two records.
            if told["records"] is not None and told["records"] < 2 * some_seconds_ago:
                study.wrong(f"{look}: {told['records']} records are sound, and {some_seconds_ago} trials "
                            "were acknowledged 5 s before")
            # A directory of a trial that began after the journal was read, say, is told as harmless.
            harm = [each for each in told["findings"] if not each.get("harmless")]
            harmless += len(told["findings"]) - len(harm)
            if harm:
                study.wrong(f"{look}: finds {harm}")
    study.facts.append(f"{number} looks; `status` was behind by less than 5 s in {strictly_behind} of {number // 3}; "
                       f"`check` found {harmless} harmless things")
    if number < 15:
        study.wrong("too few looks to say anything")
    study.problems[9:] = [f"and {len(study.problems) - 9} more"] if len(study.problems) > 9 else []
    study.verify()
    return {variant: (study.problems, study.facts)}


@case("journal", "neps", "journal:v3")
def appears(lab, variants, options):
    """A directory that c2 has looked for before c1 created it: c2 finds it at once."""
    (variant,) = variants
    c1, c2 = lab.clients
    study = study_for(lab, "appears", variant, budget=10)
    for _ in range(3):
        before = study.ask(c2, "status")
    if before.code != 3:
        study.wrong(f"status before the creation: exit code {before.code}: {before}")
    study.create(c1)
    began = time.monotonic()
    for verb in ("status", "check"):
        done = study.ask(c2, verb)
        study.facts.append(f"{verb} {time.monotonic() - began:.1f} s after: exit code {done.code}")
        if done.code:
            study.wrong(f"{verb} after the creation: exit code {done.code}: {done}")
    study.ended({"c2": study.worker(c2)}, 120)
    if not study.problems:
        study.verify()
    return {variant: (study.problems, study.facts)}


@case("journal", "neps")
def root_squash(lab, variants, options):
    """An export that makes nobody of root: whose directory it is not reads it, and is told why it cannot write."""
    (variant,) = variants
    server, (c1, c2) = lab.guests["srv"], lab.clients
    study = study_for(lab, "rs", variant, budget=6)
    problems, facts = study.problems, study.facts
    squash = "exportfs -o rw,sync,{}root_squash,insecure,fsid=0,no_subtree_check '*:/srv/x'"
    parent = Study(lab, named("owned", variant), study.layout)

    def expect(what, done, code, *words):
        facts.append(f"{what} {done.code}")
        if done.code != code or not all(word.lower() in done.err.lower() for word in words):
            problems.append(f"{what}: exit code {done.code}, expected {code}{', with ' if words else ''}"
                            f"{' and '.join(words)}: {str(done)[-400:]}")

    server.run(f"mkdir {parent.at(server)} && chmod 755 {parent.at(server)}")
    study.name, study.budget = f"{parent.name}/s", 6
    for client in lab.clients:
        study.ledger_of(client).mkdir(parents=True)
        study.ledger_of(client).parent.chmod(0o777)
        study.ledger_of(client).chmod(0o777)
    server.run(squash.format(""))
    try:
        expect("create by root, squashed", c1.run(study.create_command(c1)), 4, "permission denied", "owner")
        server.run(f"chown 1001:1001 {parent.at(server)}")
        as_user = "setpriv --reuid {} --regid {} --clear-groups "
        owner, stranger = as_user.format(1001, 1001), as_user.format(65533, 65533)
        time.sleep(4)  # the directory's attributes are kept by the clients for 3 s
        expect("create by the owner", c1.run(owner + study.create_command(c1)), 0)
        expect("worker of root, squashed", c2.run(study.worker_command(c2).format("")), 4, "permission denied")
        expect("worker of a stranger", c2.run(study.worker_command(c2).format(stranger)), 4, "permission denied")
        expect("worker of the owner", c1.run(study.worker_command(c1).format(owner)), 0)
        for who, prefix in (("root, squashed", ""), ("a stranger", stranger)):
            done = c2.run(f"{prefix}trialmill status {study.at(c2)} --json")
            expect(f"status by {who}", done, 0)
            if done.code == 0 and json.loads(done.out)["counts"]["success"] != study.budget:
                problems.append(f"status by {who}: {json.loads(done.out)['counts']}")
    finally:
        server.run(squash.format("no_"))
    return {variant: (problems, facts)}


@case("journal:nolock", "journal:local_lock=all", "journal:local_lock=flock", "neps:nolock")
def no_locks(lab, variants, options):
    """A mount whose locks are the client's own: the second host is refused, by the name of the option."""
    (variant,) = variants
    c1, c2 = lab.clients
    study = study_for(lab, "nolocks", variant, budget=100, seconds=0.3)
    option = study.mount.partition("=")[0]

    def refuses(what, done):
        study.facts.append(f"{what}: exit code {done.code}")
        return done.code not in (0, None) and any(word in done.err for word in (option, "local_lock"))

    done = c1.run(study.create_command(c1))
    if refuses("create on c1", done):
        return {variant: (study.problems, study.facts)}
    if done.code:
        study.wrong(f"create on c1: {done}")
        return {variant: (study.problems, study.facts)}
    first = study.worker(c1)
    eventually(lambda: first.is_done() or study.count("end", c1) >= 4, "c1 works", 60)
    if first.is_done() and refuses("worker on c1, alone", first.result()):
        return {variant: (study.problems, study.facts)}
    done = c2.run(study.worker_command(c2).format("timeout 60 "), 90)
    if not refuses("worker on c2", done):
        study.wrong(f"the worker on c2 is not refused by {option}: exit code {done.code}: {str(done)[-300:]}")
    done = study.ask(c2, "status")
    if done.code:
        study.wrong(f"status on c2: exit code {done.code}: {done}")
    study.ended({"c1": first}, 150)
    return {variant: (study.problems, study.facts)}


@case("journal", "neps", "journal:v3", "neps:v3", together=True)
def kill_host(lab, variants, options):
    """c1's power fails: c2 buries it by itself, with version 3 too, where c1's locks never come free."""
    def fault(_):
        lab.clients[0].kill()
        return time.time_ns()

    # The lease of the server is 90 s; a bound of trialmill's own is to hold where there is none.
    return with_fault(lab, "host", variants, 60, 0.4, fault, 300, again_within=180)


# Resets its guest at the moment at which a lock on one of some files is held there. Nothing but the shell's
# own words in the loop: a turn is over in milliseconds. (The line of one who waits has an arrow more.)
RESET_WHILE_IT_HOLDS = """
held=" $(stat -c %i {files} 2> /dev/null | tr '\\n' ' ')"
while :; do
    while read -r _ _ _ mode _ place _; do
        [ "$mode" = WRITE ] || continue
        case "$held" in *" ${{place##*:}} "*) echo b > /proc/sysrq-trigger ;; esac
    done < /proc/locks
done
"""
TURN_LOCKS = {"journal": ("journal.lock", "journal.jsonl"), "neps": (".configs.lock", "configs/.trial_cache.pkl")}


@case("journal", "neps", "journal:v3", "neps:v3")
def kill_holder(lab, variants, options):
    """c1's power fails while it holds the lock that every turn needs: c2 waits it out, or passes it."""
    def fault(studies):
        (study,), c1 = studies, lab.clients[0]
        files = " ".join(f"{study.at(c1)}/{name}" for name in TURN_LOCKS[study.layout])
        c1.spawn(RESET_WHILE_IT_HOLDS.format(files=files))
        eventually(lambda: not c1.is_alive(), "c1 holds the lock and is reset", 60)
        return time.time_ns()

    return with_fault(lab, "holder", variants, 60, 0.4, fault, 300, again_within=180)
