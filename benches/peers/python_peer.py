"""One measurement of a Python peer: python_peer.py STORE threads|processes WORKERS TRIALS DIR

Prints {"seconds": …, "trials": …}: from the moment all workers are ready until the last has ended,
and how many trials the store then has. Imports and the creation of the study do not count.
"""

import json
import multiprocessing
import os
import sys
import threading
import time

CHOICES = ["sgd", "adam", "rmsprop"]


def objective(trial):
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    trial.suggest_int("layers", 1, 8)
    trial.suggest_categorical("optimizer", CHOICES)
    return lr * lr


def optuna_study(store, directory):
    import optuna
    from optuna.storages import InMemoryStorage, JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if store == "optuna-memory":
        storage = InMemoryStorage()
    elif store == "optuna-journal":
        storage = JournalStorage(JournalFileBackend(os.path.join(directory, "journal.log")))
    else:
        storage = f"sqlite:///{directory}/study.db"
    return optuna.create_study(
        storage=storage,
        study_name="bench",
        load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(),
    )


def rustuna_study(store, directory):
    import rustuna
    from rustuna.storages import InMemoryStorage, JournalFileStorage, SQLite3Storage

    if store == "rustuna-memory":
        storage = InMemoryStorage()
    elif store == "rustuna-journal":
        storage = JournalFileStorage(os.path.join(directory, "journal.log"))
    else:
        storage = SQLite3Storage(os.path.join(directory, "study.db"))
    return rustuna.create_study(
        storage=storage,
        study_name="bench",
        load_if_exists=True,
        sampler=rustuna.samplers.RandomSampler(),
    )


def open_study(store, directory):
    return (rustuna_study if store.startswith("rustuna") else optuna_study)(store, directory)


def neps_run(directory, trials):
    import logging

    import neps

    logging.disable(logging.WARNING)

    class Space(neps.PipelineSpace):
        lr = neps.Float(1e-5, 1e-1, log=True)
        layers = neps.Integer(1, 8)
        optimizer = neps.Categorical(CHOICES)

    neps.run(
        lambda lr, layers, optimizer: lr * lr,
        Space(),
        root_directory=os.path.join(directory, "root"),
        optimizer="neps_random_search",
        worker_evaluations_to_spend=trials,
    )


def work(store, directory, share, study=None):
    if store == "neps":
        neps_run(directory, share)
    else:
        (study or open_study(store, directory)).optimize(objective, n_trials=share)


def in_threads(store, directory, shares):
    study = open_study(store, directory)
    if len(shares) == 1:
        begin = time.monotonic()
        work(store, directory, shares[0], study)
        return time.monotonic() - begin
    ready = threading.Barrier(len(shares) + 1)

    def thread(share):
        ready.wait()
        work(store, directory, share, study)

    threads = [threading.Thread(target=thread, args=(share,)) for share in shares]
    for one in threads:
        one.start()
    ready.wait()
    begin = time.monotonic()
    for one in threads:
        one.join()
    return time.monotonic() - begin


def process(store, directory, share, ready):
    if store == "neps":
        import neps  # noqa: F401
    else:
        open_study(store, directory)
    ready.wait()
    work(store, directory, share)


def in_processes(store, directory, shares):
    # Imported before the fork, so that the import is paid once and not measured.
    __import__(store.split("-")[0])
    if store != "neps":
        open_study(store, directory)
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(len(shares) + 1)
    workers = [
        context.Process(target=process, args=(store, directory, share, ready)) for share in shares
    ]
    for one in workers:
        one.start()
    ready.wait()
    begin = time.monotonic()
    for one in workers:
        one.join()
    return time.monotonic() - begin


def stored(store, directory, trials):
    """How many ended trials the store has; what is in memory alone is believed."""
    if store == "neps":
        configs = os.path.join(directory, "root", "configs")
        return sum(
            os.path.exists(os.path.join(configs, name, "report.yaml"))
            for name in os.listdir(configs)
        )
    if store.endswith("memory"):
        return trials
    return sum(trial.state.is_finished() for trial in open_study(store, directory).trials)


def main():
    store, way, workers, trials, directory = sys.argv[1:]
    workers, trials = int(workers), int(trials)
    shares = [trials // workers + (n < trials % workers) for n in range(workers)]
    run = in_threads if way == "threads" else in_processes
    seconds = run(store, directory, shares)
    print(json.dumps({"seconds": seconds, "trials": stored(store, directory, trials)}))


if __name__ == "__main__":
    main()
