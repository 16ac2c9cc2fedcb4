#!/usr/bin/env python3
"""Train a digit classifier once and report how good it is.

This is the program behind one trial: it takes hyperparameters as arguments,
trains softmax regression by mini-batch gradient descent with momentum, writes
its progress to stderr and, as the last line of stdout, one JSON object:

    {"objective_to_minimize": 0.05, "cost": 0.9, "info_dict": {...},
     "learning_curve": [0.12, 0.08, 0.05]}

The objective is the share of validation digits that are classified wrongly
after the last epoch, the cost is the training time in seconds, and the
learning curve has the validation error after each epoch. The same arguments
always give the same errors. Only the standard library is needed.
"""

import argparse
import json
import math
import random
import sys
import time
from operator import mul
from pathlib import Path

DATA = Path(__file__).resolve().parent / "data" / "digits.csv"
PIXELS, CLASSES, SCALE = 64, 10, 16.0
MOMENTUM = 0.9
SEED = 20240229


def number(kind, low, high, above=False):
    """An argparse type: a `kind` in [low, high], or in (low, high] if `above`."""

    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {'an integer' if kind is int else 'a number'}")
        if not (low < value <= high if above else low <= value <= high):  # also refuses NaN
            raise argparse.ArgumentTypeError(f"{text} is not in {'(' if above else '['}{low}, {high}]")
        return value

    return parse


def parse_arguments():
    parser = argparse.ArgumentParser(
        description="Train a digit classifier once; the last line of stdout is the result as JSON.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--learning-rate", type=number(float, 0, 100, above=True), default=0.001, metavar="F",
                        help="step size of gradient descent")
    parser.add_argument("--l2", type=number(float, 0, 100), default=0.01, metavar="F",
                        help="strength of the L2 penalty on the weights")
    parser.add_argument("--epochs", type=number(int, 1, 1000), default=5, metavar="N",
                        help="passes over the training digits")
    parser.add_argument("--batch", type=number(int, 1, 1000), default=32, metavar="N",
                        help="digits per gradient step")
    return parser.parse_args()


def load(path):
    """Returns (training, validation): lists of (pixels and a constant 1, label).

    Of each five digits with the same label, three train and two validate.
    """
    seen, parts = [0] * CLASSES, ([], [])
    for count, line in enumerate(path.read_text(encoding="ascii").splitlines(), 1):
        try:
            *pixels, label = map(int, line.split(","))
        except ValueError:
            raise ValueError(f"{path.name}, line {count}: not integers separated by commas")
        if len(pixels) != PIXELS or not 0 <= label < CLASSES:
            raise ValueError(f"{path.name}, line {count}: not {PIXELS} pixels and a label below {CLASSES}")
        parts[seen[label] % 5 >= 3].append(([value / SCALE for value in pixels] + [1.0], label))
        seen[label] += 1
    if not all(parts):
        raise ValueError(f"{path.name}: too few digits")
    return parts


def scores(weights, x):
    return [sum(map(mul, row, x)) for row in weights]


def probabilities(weights, x):
    logits = scores(weights, x)
    top = max(logits)
    exps = [math.exp(value - top) for value in logits]
    total = sum(exps)
    return [value / total for value in exps]


def count_errors(weights, digits):
    wrong = 0
    for x, label in digits:
        logits = scores(weights, x)
        wrong += logits.index(max(logits)) != label
    return wrong


def train_epoch(weights, velocity, digits, args):
    """One pass over `digits`, changing `weights` and `velocity`; returns the mean loss."""
    loss = 0.0
    for start in range(0, len(digits), args.batch):
        batch = digits[start:start + args.batch]
        gradient = [[0.0] * (PIXELS + 1) for _ in range(CLASSES)]
        for x, label in batch:
            delta = probabilities(weights, x)
            loss -= math.log(max(delta[label], 1e-300))
            delta[label] -= 1.0
            for k, d in enumerate(delta):
                gradient[k] = [g + d * v for g, v in zip(gradient[k], x)]
        rate, shrink = args.learning_rate / len(batch), args.learning_rate * args.l2
        for k in range(CLASSES):
            bias = weights[k][PIXELS]  # the L2 penalty leaves the bias alone
            velocity[k] = [MOMENTUM * v - rate * g - shrink * w
                           for v, g, w in zip(velocity[k], gradient[k], weights[k])]
            velocity[k][PIXELS] += shrink * bias
            weights[k] = [w + v for w, v in zip(weights[k], velocity[k])]
    return loss / len(digits)


def main():
    args = parse_arguments()
    try:
        training, validation = load(DATA)
    except (OSError, ValueError) as error:
        sys.exit(f"train_digits: cannot load the data: {error}")

    started = time.perf_counter()
    shuffle = random.Random(SEED).shuffle
    weights = [[0.0] * (PIXELS + 1) for _ in range(CLASSES)]
    velocity = [[0.0] * (PIXELS + 1) for _ in range(CLASSES)]
    curve, loss, diverged = [], None, False
    for epoch in range(1, args.epochs + 1):
        shuffle(training)
        try:
            loss = train_epoch(weights, velocity, training, args)
            # Far above any useful weight, and far below overflow in the scores.
            diverged = not all(abs(w) < 1e100 for row in weights for w in row)
        except (OverflowError, ValueError):  # an infinite or undefined score
            diverged = True
        # A model whose weights exploded classifies nothing.
        wrong = len(validation) if diverged else count_errors(weights, validation)
        curve.append(wrong / len(validation))
        if diverged:
            print(f"epoch {epoch}/{args.epochs}: diverged", file=sys.stderr, flush=True)
            break
        print(f"epoch {epoch}/{args.epochs}: loss {loss:.4f}, validation error {curve[-1]:.4f}",
              file=sys.stderr, flush=True)

    print(json.dumps({
        "objective_to_minimize": curve[-1],
        "cost": round(time.perf_counter() - started, 6),
        "info_dict": {
            "train_loss": None if diverged else loss,
            "misclassified": wrong,
            "validation_size": len(validation),
            "train_size": len(training),
            "epochs_run": len(curve),
            "diverged": diverged,
        },
        "learning_curve": curve,
    }, allow_nan=False))


if __name__ == "__main__":
    main()
