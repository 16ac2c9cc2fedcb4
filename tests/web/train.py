#!/usr/bin/env python3
"""Stands in for a training: a few epochs with a learning curve, that sometimes diverges or breaks.

What it answers follows from its configuration alone, so a demonstration looks the same each time.
"""

import hashlib
import json
import math
import os
import sys
import time

config = json.load(open(os.environ["TRIALMILL_CONFIG"]))
seed = int(hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest(), 16)
noise = lambda k: ((seed >> (8 * k)) & 255) / 255 - 0.5
pace = float(sys.argv[1]) if len(sys.argv) > 1 else 0.05

lr, layers, dropout = config["learning_rate"], config["layers"], config["dropout"]
epochs = 4 + 2 * layers
floor = (
    0.04
    + 0.035 * (math.log10(lr) + 2.6) ** 2
    + 0.006 * (layers - 5) ** 2
    + 0.12 * (dropout - 0.2) ** 2
    + {"sgd": 0.05, "adam": 0.0, "lion": 0.02}[config["optimizer"]]
    + 0.02 * abs(noise(1))
)
print(f"training with {config}", flush=True)
if lr > 0.06 and noise(2) > 0:
    print("loss is nan at step 17", file=sys.stderr, flush=True)
    time.sleep(pace)
    print(json.dumps({"exception": f"loss is nan at step {17 + seed % 40}"}))
    sys.exit(0)
curve = []
for epoch in range(1, epochs + 1):
    if layers > 7 and noise(3) > 0.3 and epoch == 3:
        print("RuntimeError: out of memory on device 0", file=sys.stderr, flush=True)
        sys.exit(1)
    time.sleep(pace * (0.6 + abs(noise(4))) / 4)
    curve.append(floor + 0.9 * math.exp(-epoch * (0.5 + abs(noise(5)))) + 0.01 * noise(epoch % 20))
    print(f"trialmill-step {epoch} {curve[-1]}", flush=True)
    print(f"epoch {epoch:2}  validation error {curve[-1]:.4f}", flush=True)
print(json.dumps({"objective_to_minimize": min(curve), "cost": epochs * 0.02}))
