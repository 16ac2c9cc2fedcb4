"""One study that several guests work on, and what is known of it without asking trialmill.

Each evaluation leaves an empty file when it begins and when it ends (guest/eval.sh), outside NFS; their
times are of one clock. That is the ledger. It is held against the server's own files: for the journal
layout by ../support/check.py, which shares no code with trialmill; for NePS's layout by reading its cache.
"""

import collections
import dataclasses
import json
import pathlib
import pickle
import shutil
import subprocess
import sys
import tarfile
import time

HERE = pathlib.Path(__file__).resolve().parent
CHECK = HERE.parent / "support" / "check.py"
MOUNTS = {
    # name: mount options, the export as that version names it
    "v4.2": ("vers=4.2", "/"),
    "v3": ("vers=3", "/srv/x"),
    "nolock": ("vers=3,nolock", "/srv/x"),
    "local_lock=all": ("vers=3,local_lock=all", "/srv/x"),
    "local_lock=flock": ("vers=3,local_lock=flock", "/srv/x"),
}
WORKERS = 2  # of each process


class Wrong(Exception):
    """What trialmill did wrong."""


@dataclasses.dataclass(frozen=True)
class Mark:
    """A line of the ledger: an evaluation that began or ended."""

    what: str
    trial: str
    attempt: int
    pid: str
    client: str
    ns: int


@dataclasses.dataclass(frozen=True)
class Fault:
    """What was done to a client, and when."""

    client: str
    ns: int
    # Whether its evaluations go on where nobody can know of them, beside the trials' next attempts.
    unreachable: bool

    def hides(self, mark):
        return self.unreachable and mark.client == self.client and mark.ns > self.ns


class Study:
    def __init__(self, lab, name, layout="journal", mount="v4.2", budget=60, seconds=0.0, seed=7):
        self.lab, self.name, self.layout, self.mount = lab, name, layout, mount
        self.budget, self.seconds, self.seed = budget, seconds, seed
        self.work = lab.results / name
        self.work.mkdir(parents=True)
        for client in lab.clients:
            ledger = self.ledger_of(client)
            ledger.mkdir(exist_ok=True)
            ledger.chmod(0o777)
        self.problems, self.facts, self.codes = [], [], {}

    def __str__(self):
        return f"{self.name} (seed {self.seed})"

    # What is done with it.

    def at(self, guest):
        """Where it is, on a guest."""
        if guest.role == "srv":
            return f"/srv/x/{self.name}"
        return f"{guest.mount(self.mount, *MOUNTS[self.mount])}/{self.name}"

    def create_command(self, guest):
        shutil.copy(HERE / "study.yaml", guest.share)
        return (f"trialmill create /c/study.yaml --dir {self.at(guest)} --layout {self.layout} "
                f"--evaluations {self.budget} --seed {self.seed}")

    def create(self, guest):
        done = guest.run(self.create_command(guest), 120)
        if done.code:
            raise Wrong(f"{self}: create: exit code {done.code}: {done}")

    def worker_command(self, guest, arguments="--wait"):
        seconds = f"{self.seconds:g}" if self.seconds else ""
        return (f"export LEDGER=/c/ledger/{self.name}; "
                f"{{}}trialmill worker {self.at(guest)} --workers {WORKERS} -q {arguments} "
                f"-- /bin/eval.sh {seconds}")

    def worker(self, guest):
        return guest.spawn(self.worker_command(guest).format("exec "))

    def ask(self, guest, verb, seconds=90):
        """`status`, `check`, …: what a guest is told about it."""
        return guest.run(f"trialmill {verb} {self.at(guest)}", seconds)

    # What is known of it.

    def ledger_of(self, guest):
        return guest.share / "ledger" / self.name

    def marks(self, *clients):
        marks = []
        for client in clients or self.lab.clients:
            for path in self.ledger_of(client).glob("*,*,*,*"):
                what, trial, attempt, pid = path.name.split(",")
                marks.append(Mark(what, trial, int(attempt), pid, client.role, path.stat().st_mtime_ns))
        return sorted(marks, key=lambda mark: mark.ns)

    def count(self, what, *clients):
        return sum(mark.what == what for mark in self.marks(*clients))

    def again(self):
        """The evaluations of trials that somebody had begun before."""
        return [mark for mark in self.marks() if mark.what == "start" and mark.attempt > 1]

    def fetch(self):
        """Copies the server's own files, past every client, and gives the folder."""
        server, target = self.lab.guests["srv"], self.work / "server"
        done = server.run(f"cd /srv/x && tar cf /c/files.tar {self.name}", 120)
        if done.code:
            raise Wrong(f"{self}: it is not on the server: {done}")
        with tarfile.open(server.share / "files.tar") as archive:
            archive.extractall(self.work)
        (self.work / self.name).rename(target)
        return target

    # Whether it is as it should be.

    def wrong(self, text):
        self.problems.append(text)

    def ended(self, jobs, seconds, allowed=None):
        """Waits for workers, given by client, and looks at their exit codes."""
        deadline = time.monotonic() + seconds
        for role, job in jobs.items():
            try:
                done = job.wait(max(0.0, deadline - time.monotonic()))
            except TimeoutError as error:
                self.wrong(f"worker {error}")
                done = job.result()
            self.codes[role] = done.code
            (self.work / f"{role}.worker").write_text(f"exit code {done.code}\n{done.out}{done.err}")
            if done.code not in (allowed or {}).get(role, (0,)) and done.code is not None:
                self.wrong(f"worker on {role}: exit code {done.code}: {str(done)[-600:]}")

    def verify(self, fault=None):
        """Holds the server's files, and what trialmill says on each guest, against the ledger."""
        server = self.fetch()
        marks = self.marks()
        starts = [mark for mark in marks if mark.what == "start"]
        ends = [mark for mark in marks if mark.what == "end"]
        stored = read_journal(server) if self.layout == "journal" else read_cache(server)
        self.problems += stored.damage
        twice = sorted(key for key, n in collections.Counter((m.trial, m.attempt) for m in starts).items() if n > 1)
        if twice:
            self.wrong(f"evaluated twice as one attempt: {twice[:9]}")
        again = [(mark.trial, mark.attempt, mark.client) for mark in self.again()]
        if again and fault is None:
            self.wrong(f"nobody died, and trials were started again: {again[:9]}")
        if len(stored.reports) != self.budget:
            self.wrong(f"{len(stored.reports)} of {self.budget} evaluations are stored")
        begun = {mark.trial for mark in starts}
        unknown = sorted(set(stored.reports) - begun)
        if unknown:
            self.wrong(f"stored, and never evaluated: {unknown[:9]}")
        given = {(mark.trial, f"{mark.trial}.{mark.attempt}") for mark in ends}
        false = sorted(set(stored.reports.items()) - given)
        if false:
            self.wrong(f"stored with another result than any that was given: {false[:9]}")
        for client in self.lab.clients:
            self.look_for_lost(client.role, ends, stored, fault)
        if stored.torn and fault is None:
            self.wrong(f"cut off, though nobody died: {stored.torn}")
        self.overlaps(marks, fault)
        if self.layout == "journal":
            self.check_independently(server, marks, fault)
        for guest in self.lab.guests.values():
            if guest.is_alive():
                self.says_sound(guest)
        self.facts.append(f"{len(stored.reports)} of {self.budget}")

    def all_acknowledged(self, role, fault):
        """Whether every evaluation that ended on a client was acknowledged."""
        return self.codes.get(role) == 0 and not (fault and role == fault.client)

    def look_for_lost(self, role, ends, stored, fault):
        """A trial of which an attempt was acknowledged keeps that attempt's result."""
        lost = [(m.trial, m.attempt) for m in ends if m.client == role and not (fault and fault.hides(m))
                and stored.reports.get(m.trial) != f"{m.trial}.{m.attempt}"]
        if lost and self.all_acknowledged(role, fault):
            self.wrong(f"acknowledged on {role}, and not stored: {lost[:9]}")
        elif len(lost) > WORKERS:
            # Each worker had at most one that was not acknowledged.
            self.wrong(f"ended on {role}, and not stored: {lost[:9]}; at most {WORKERS} were not acknowledged")

    def overlaps(self, marks, fault):
        """No two evaluations of one trial at once, as far as anybody could know."""
        spans, begun = collections.defaultdict(list), {}
        for mark in marks:
            key = (mark.client, mark.trial, mark.attempt, mark.pid)
            if mark.what == "start":
                begun[key] = mark
            elif key in begun:
                start = begun.pop(key).ns
                spans[mark.trial].append((start, fault.ns if fault and fault.hides(mark) else mark.ns, mark))
        for mark in begun.values():
            if fault and mark.client == fault.client:
                spans[mark.trial].append((mark.ns, fault.ns, mark))
            else:
                self.wrong(f"attempt {mark.attempt} of trial {mark.trial} on {mark.client} did not end")
        for trial, some in spans.items():
            some.sort(key=lambda span: span[0])
            for (_, end, one), (start, _, two) in zip(some, some[1:]):
                if start < end:
                    self.wrong(f"trial {trial} was evaluated twice at once: attempt {one.attempt} on {one.client}, "
                               f"{two.attempt} on {two.client}")

    def check_independently(self, server, marks, fault):
        """The journal against the ledger, by check.py."""
        begun = {(mark.trial, mark.attempt) for mark in marks if mark.what == "start"}
        ledgers = []
        for client in self.lab.clients:
            role, lines = client.role, []
            for mark in (mark for mark in marks if mark.client == role):
                if mark.what == "end" and fault and fault.hides(mark) and (mark.trial, mark.attempt + 1) in begun:
                    continue  # late, beside the next attempt
                lines.append(f"{mark.what} {mark.trial} {mark.attempt} {mark.ns}")
                if mark.what == "end" and self.all_acknowledged(role, fault):
                    lines.append(f"acked {mark.trial} {mark.attempt} {mark.trial}.{mark.attempt}")
            if fault and role == fault.client:
                lines.append(f"killed {role} {fault.ns}")
            path = self.work / role
            path.write_text("".join(f"{line}\n" for line in lines))
            ledgers += ["--ledger", path]
        done = subprocess.run(
            [sys.executable, "-B", CHECK, server, *ledgers, "--expect-evaluations", str(self.budget), "--finished"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        (self.work / "check.py.out").write_text(done.stdout)
        if done.returncode:
            self.wrong(f"check.py: {done.stdout.strip()[-500:]}")

    def says_sound(self, guest):
        """What trialmill itself says, there, of the whole study."""
        done = self.ask(guest, "check")
        if done.code or "is sound" not in done.out:
            self.wrong(f"check on {guest.role}: exit code {done.code}: {str(done)[:400]}")
        done = self.ask(guest, "status --json")
        counts = json.loads(done.out)["counts"] if done.code == 0 else done
        if done.code or counts["success"] != self.budget or counts["evaluating"]:
            self.wrong(f"status on {guest.role}: exit code {done.code}: {str(counts)[:400]}")


@dataclasses.dataclass
class Stored:
    """What the server's files hold."""

    reports: dict  # the result of each trial that succeeded, as the evaluation printed it
    damage: list = dataclasses.field(default_factory=list)
    torn: list = dataclasses.field(default_factory=list)


def read_journal(directory):
    """Every line a record, numbered one after the other, each trial reported once."""
    stored = Stored({}, torn=sorted(path.name for path in directory.glob("torn-*")))
    offset, expected = 0, 0
    for line in (directory / "journal.jsonl").read_bytes().split(b"\n")[:-1]:
        try:
            event = json.loads(line)
            if event["seq"] != expected:
                stored.damage.append(f"journal, byte {offset}: record {event['seq']}, expected {expected}")
            expected = event["seq"] + 1
            if event["event"] == "reported":
                if event["trial"] in stored.reports:
                    stored.damage.append(f"journal, byte {offset}: trial {event['trial']} is reported twice")
                if event["state"] == "success":
                    stored.reports[event["trial"]] = str(event["objective_to_minimize"])
        except (ValueError, KeyError):
            nuls = line.count(0)
            stored.damage.append(f"journal, byte {offset}: {len(line)} bytes are no record, {nuls} of them NULs")
        offset += len(line) + 1
    return stored


class AnyClass:
    """Stands for every class in NePS's pickles."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __setstate__(self, state):
        self.__dict__.update(state)


class Reader(pickle.Unpickler):
    def find_class(self, module, name):
        return AnyClass


def read_cache(directory):
    """NePS's cache: pickles one behind the other, the last of each trial counts; and its files beside it."""
    stored, trials = Stored({}), {}
    for path in directory.glob(".trialmill/torn-*"):
        stored.torn.append(path.name)
    cache = directory / "configs" / ".trial_cache.pkl"
    size = cache.stat().st_size
    with open(cache, "rb") as file:
        while file.tell() < size:
            offset = file.tell()
            try:
                value = Reader(file).load()
            except Exception as error:  # a damaged pickle may raise anything
                stored.damage.append(f"NePS's cache, byte {offset} of {size}: {error!r}")
                break
            many = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
            trials.update((trial.metadata.id, trial) for trial in many)
    for name, trial in trials.items():
        state = trial.metadata.state.arguments[0]
        if state != "success":
            stored.damage.append(f"NePS's cache: trial {name} is {state}")
            continue
        stored.reports[name] = str(trial.report.objective_to_minimize)
        report = directory / "configs" / f"config_{name}" / "report.yaml"
        if f"objective_to_minimize: {stored.reports[name]}\n" not in (report.read_text() if report.exists() else ""):
            stored.damage.append(f"{report.name} of trial {name} is not as the cache")
    return stored
