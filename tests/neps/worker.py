"""One genuine NePS worker process, whatever the version of NePS that is on the path.

worker.py DIR --evaluations N --ledger FILE [--seconds S] [--no-summary] [--ready FILE --go FILE] [--beside FILE]

Each evaluation leaves two lines in the ledger, one when it starts and one when it ends, so that a trial that
is evaluated twice, and one that a kill interrupts, are both seen. At the end one line of JSON on stdout.
"""

import argparse
import inspect
import json
import os
import pathlib
import pickle
import sys
import time

import neps

# What NePS raises when it reads a state that another worker is just rewriting in place (it does so outside
# its own retries). Starting again is what a user does; it is counted and shown.
HALF_WRITTEN = (EOFError, pickle.UnpicklingError)
STARTS = 5


def note(ledger, **line):
    """One write to a file opened for appending, synced: the line is whole, and there after a kill."""
    os.write(ledger, (json.dumps(line) + "\n").encode())
    os.fsync(ledger)


def evaluation(ledger, seconds, beside):
    """The objective of evaluate.sh. Times are since boot, as in /proc/uptime. Ends when `beside` is there, if it is named."""

    def evaluate(pipeline_directory, x, lr, layers, kind):
        trial = pathlib.Path(pipeline_directory).name.removeprefix("config_")
        who = {"side": "neps", "trial": trial, "pid": os.getpid()}
        note(ledger, event="start", at=time.clock_gettime(time.CLOCK_BOOTTIME), **who)
        if seconds:
            time.sleep(seconds)
        wait_for(beside)
        objective = x * x + lr + layers
        note(ledger, event="end", at=time.clock_gettime(time.CLOCK_BOOTTIME), objective=objective, **who)
        return objective

    return evaluate


def space():
    """The space of study.yaml, in the form that this version of NePS wants."""
    if hasattr(neps, "PipelineSpace"):  # 0.15 and later

        class Space(neps.PipelineSpace):
            kind = neps.Categorical([1, 2, 4])
            layers = neps.Integer(1, 8)
            lr = neps.Float(1e-5, 1e-1, log=True)
            x = neps.Float(-5.0, 5.0)

        return Space()
    suffix = "Parameter" if hasattr(neps, "FloatParameter") else ""  # 0.12
    real, whole, choice = (getattr(neps, name + suffix) for name in ("Float", "Integer", "Categorical"))
    return {"kind": choice([1, 2, 4]), "layers": whole(1, 8), "lr": real(1e-5, 1e-1, log=True), "x": real(-5.0, 5.0)}


def arguments(directory, evaluations, evaluate, summary):
    """The arguments of `neps.run`, by the names that this version has."""
    known = inspect.signature(neps.run).parameters
    name = lambda *names: next(each for each in names if each in known)
    # NePS 0.12's summary at the end fails where a trial failed, its own included: it reads no report of one.
    quiet = {"post_run_summary": False} if not summary and "post_run_summary" in known else {}
    return {
        **quiet,
        name("evaluate_pipeline", "run_pipeline"): evaluate,
        "pipeline_space": space(),
        "root_directory": directory,
        name("optimizer", "searcher"): "random_search",
        name("total_evaluations_to_spend", "evaluations_to_spend", "max_evaluations_total"): evaluations,
        "ignore_errors": True,
    }


def wait_for(file):
    while file and not os.path.exists(file):
        time.sleep(0.005)


def wait_for_go(ready, go):
    """Says that NePS is loaded (which takes seconds) and waits for the others to be."""
    if ready:
        pathlib.Path(ready).touch()
    wait_for(go)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("--evaluations", type=int, required=True)
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--no-summary", action="store_true")
    parser.add_argument("--ready")
    parser.add_argument("--go")
    parser.add_argument("--beside", help="no evaluation ends before this file is there")
    args = parser.parse_args()

    ledger = os.open(args.ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    wait_for_go(args.ready, args.go)
    began = time.monotonic()
    for start in range(1, STARTS + 1):
        try:
            neps.run(**arguments(args.directory, args.evaluations, evaluation(ledger, args.seconds, args.beside), not args.no_summary))
            break
        except HALF_WRITTEN as error:
            if os.fstat(ledger).st_size or start == STARTS:
                raise
            print(f"NePS could not start, again: {error!r}", file=sys.stderr)
            time.sleep(0.1)
    print(json.dumps({"pid": os.getpid(), "starts": start, "seconds": round(time.monotonic() - began, 3)}))


if __name__ == "__main__":
    main()
