"""Keeps trials waiting in a directory of NePS, sampled by NePS's own optimizer; it evaluates nothing.

    python3 neps_sampler.py DIR [--ahead N]

`trialmill sample DIR -- python3` runs this with a Python that has NePS (0.13 to 0.17). It ends when the
budget of the directory is used.
"""

import argparse
import pathlib
import sys
import time

POLL_SECONDS = 0.05


def load(directory):
    """The state of the run, and its optimizer, made from what the run has stored."""
    from neps.optimizers import load_optimizer
    from neps.state import NePSState

    state = NePSState.create_or_load(directory, load_only=True)
    info = state.lock_and_get_optimizer_info()
    if not hasattr(state, "lock_and_get_search_space"):
        sys.exit("neps_sampler: this NePS does not store the search space: use NePS's own workers")
    space = state.lock_and_get_search_space()
    if space is None:
        sys.exit(f"neps_sampler: the search space is not stored in {directory}: use NePS's own workers")
    chosen = (info["name"], dict(info["info"]))
    return state, load_optimizer(optimizer=chosen, space=converted(space, chosen))[0]


def converted(space, chosen):
    """The space as `neps.run` hands it to this optimizer."""
    try:
        from neps.space.neps_spaces.neps_space import (
            check_neps_space_compatibility,
            convert_classic_to_neps_search_space,
            convert_neps_to_classic_search_space,
        )
        from neps.space.neps_spaces.parameters import PipelineSpace
        from neps.space.parsing import convert_to_space
    except ImportError:
        return space
    kind = check_neps_space_compatibility(chosen[0])
    if kind in ("both", "classic") and isinstance(space, PipelineSpace):
        space = convert_neps_to_classic_search_space(space) or space
    space = convert_to_space(space)
    if kind == "neps" and not isinstance(space, PipelineSpace):
        space = convert_classic_to_neps_search_space(space)
    return space


def room(state, trials):
    """How many trials the budget still has room for, beside those that there are."""
    budget = state.lock_and_get_optimizer_state().budget
    limit = lambda name: getattr(budget, name, None) if budget is not None else None
    cost = sum(t.report.cost or 0 for t in trials.values() if t.report is not None)
    if limit("total_cost_to_spend") is not None and cost >= limit("total_cost_to_spend"):
        return 0
    fidelity = limit("total_fidelities_to_spend")
    if fidelity is not None and (name := getattr(state, "fidelity_name", None)) is not None:
        if sum(t.config.get(name) or 0 for t in trials.values()) >= fidelity:
            return 0
    total = limit("total_evaluations_to_spend")
    return sys.maxsize if total is None else max(0, total - len(trials))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--ahead", type=int, default=1, help="how many trials wait at a time")
    arguments = parser.parse_args()
    directory = arguments.directory
    if (directory / "root_directory").is_dir():
        directory = directory / "root_directory"
    state, ask = load(directory)
    sampled = 0
    while True:
        trials = state.lock_and_read_trials()
        left = room(state, trials)
        if left == 0:
            break
        waiting = sum(t.metadata.state == "pending" for t in trials.values())
        if waiting < arguments.ahead:
            state.lock_and_sample_trial(ask, worker_id="neps_sampler")
            sampled += 1
        else:
            time.sleep(POLL_SECONDS)
    print(f"sampled {sampled} trials; the budget is used")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
