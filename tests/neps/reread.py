"""Whether genuine NePS reads the same trials from two directories: reread.py BEFORE AFTER [--only-common].

The second is what trialmill made of the first. Prints how many trials are equal; exit code 1 and the difference
otherwise. Errors are compared by their texts, as NePS itself does; where a trial is, is another place.
"""

import pathlib
import pickle
import sys

import numpy as np
from neps.state.neps_state import TrialRepo


def latest(directory):
    return TrialRepo(pathlib.Path(directory) / "configs").latest()


def same(a, b):
    if isinstance(a, BaseException) or isinstance(b, BaseException):
        return type(a) is type(b) and str(a) == str(b)
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return repr(a) == repr(b)
    return a == b


def fields(trial):
    metadata = {key: value for key, value in vars(trial.metadata).items() if not key.endswith("location")}
    for key in ("time_submitted", "evaluation_duration"):
        metadata[key] = None if metadata[key] is None else float(metadata[key])
    report = None if trial.report is None else dict(vars(trial.report))
    return {"config": dict(trial.config), "metadata": metadata, "report": report}


def main():
    before, after = latest(sys.argv[1]), latest(sys.argv[2])
    ids = before.keys() & after.keys() if "--only-common" in sys.argv else before.keys() | after.keys()
    wrong = 0
    for id in ids:
        a, b = before.get(id), after.get(id)
        if a is None or b is None or not same(fields(a), fields(b)):
            wrong += 1
            print(f"trial {id}:\n  {a and fields(a)}\n  {b and fields(b)}", file=sys.stderr)
    assert ids, "no trials"
    pickle.loads(pickle.dumps(after))
    print(f"{len(ids) - wrong} equal, {wrong} different")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
