#!/usr/bin/env python3
"""Train a small neural network on the digits; report each epoch, keep a checkpoint, go on from it.

    trialmill run examples/network.yaml --dir runs/network

Kill that at any moment, and start it again: each trial that was under way goes on at the epoch that its
checkpoint has. The pruner ends networks that learn too slowly. Only the standard library is needed.
"""

import json
import math
import os
import random
import sys
import time
from pathlib import Path

PIXELS, HIDDEN, CLASSES, SEED = 64, 12, 10, 20240229
CHECKPOINT = Path(os.environ.get("TRIALMILL_TRIAL_DIR", ".")) / "checkpoint.json"


class Steps:
    """Reports steps to trialmill, and hears whether the evaluation should end."""

    def __init__(self):
        self.progress = open(os.environ["TRIALMILL_PROGRESS"], "a", buffering=1)
        self.answers = open(os.environ["TRIALMILL_ANSWERS"])

    def report(self, step, value):
        print(json.dumps({"step": step, "value": value}), file=self.progress)
        line = ""
        while not line.endswith("\n"):
            line += self.answers.readline()
            time.sleep(0 if line.endswith("\n") else 0.005)
        return json.loads(line).get("prune", False)


def load():
    """Returns (training, validation), of each label three of five train; every second digit is left out."""
    seen, parts = [0] * CLASSES, ([], [])
    lines = (Path(__file__).resolve().parent / "data" / "digits.csv").read_text().splitlines()
    for line in lines[::2]:
        *pixels, label = map(int, line.split(","))
        parts[seen[label] % 5 >= 3].append(([value / 16 for value in pixels] + [1.0], label))
        seen[label] += 1
    return parts


def forward(first, second, x):
    hidden = [math.tanh(sum(map(float.__mul__, row, x))) for row in first] + [1.0]
    logits = [sum(map(float.__mul__, row, hidden)) for row in second]
    top = max(logits)
    exps = [math.exp(value - top) for value in logits]
    total = sum(exps)
    return hidden, [value / total for value in exps]


def train_epoch(first, second, digits, rate):
    for x, label in digits:
        hidden, delta = forward(first, second, x)
        delta[label] -= 1.0
        back = [sum(delta[k] * second[k][h] for k in range(CLASSES)) for h in range(HIDDEN)]
        for k, d in enumerate(delta):
            second[k] = [w - rate * d * h for w, h in zip(second[k], hidden)]
        for h in range(HIDDEN):
            step = rate * back[h] * (1 - hidden[h] ** 2)
            first[h] = [w - step * v for w, v in zip(first[h], x)]


def main():
    rate, epochs = float(sys.argv[1]), int(sys.argv[2])
    training, validation = load()
    draw = random.Random(SEED)
    state = {
        "epoch": 0,
        "first": [[draw.gauss(0, 0.1) for _ in range(PIXELS + 1)] for _ in range(HIDDEN)],
        "second": [[draw.gauss(0, 0.1) for _ in range(HIDDEN + 1)] for _ in range(CLASSES)],
    }
    if CHECKPOINT.exists():
        state = json.loads(CHECKPOINT.read_text())
        print(f"goes on after epoch {state['epoch']}", file=sys.stderr)
    steps, error = Steps(), state.get("error")
    # Whoever was killed between the checkpoint and the report has not reported it.
    prune = state["epoch"] > 0 and steps.report(state["epoch"], error)
    for epoch in range(state["epoch"] + 1, epochs + 1):
        if prune:
            break
        # The order of an epoch depends on its number alone, so that to go on changes nothing.
        random.Random(SEED + epoch).shuffle(training)
        try:
            train_epoch(state["first"], state["second"], training, rate)
            wrong = 0
            for x, label in validation:
                _, odds = forward(state["first"], state["second"], x)
                wrong += odds.index(max(odds)) != label
            error = wrong / len(validation)
        except (OverflowError, ValueError):
            error = 1.0
        # The checkpoint first, and in one piece.
        state.update(epoch=epoch, error=error)
        new = CHECKPOINT.with_suffix(".new")
        new.write_text(json.dumps(state))
        new.replace(CHECKPOINT)
        prune = steps.report(epoch, error) and epoch < epochs
        training.sort()
    if prune:
        print(json.dumps({"pruned": True, "info_dict": {"epochs": state["epoch"]}}))
        return
    print(json.dumps({"objective_to_minimize": error, "info_dict": {"epochs": epochs}}))


if __name__ == "__main__":
    main()
