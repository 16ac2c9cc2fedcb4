#!/usr/bin/env python3
"""Writes a study's directory by itself, for tests and pictures: `make_study.py KIND DIR [N]`.

`large` has N trials of 64 workers, `front` two objectives, `wide` thousands of parameters, `hostile` names
and messages that a page could take for its own, a torn end, and files that lead out of the directory.
"""

import json
import math
import os
import random
import sys
import zlib

kind, directory = sys.argv[1:3]
n = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
random.seed(7)
os.makedirs(directory + "/trials", exist_ok=True)
BAD = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
spaces = {
    "large": {
        "learning_rate": {"type": "float", "lower": 1e-5, "upper": 0.1, "log": True},
        "layers": {"type": "int", "lower": 1, "upper": 12, "log": False},
        "dropout": {"type": "float", "lower": 0.0, "upper": 0.6, "log": False},
        "momentum": {"type": "float", "lower": 0.5, "upper": 0.99, "log": False},
        "optimizer": {"type": "categorical", "choices": ["sgd", "adam", "lion"]},
    },
    "front": {
        "width": {"type": "float", "lower": 0.0, "upper": 1.0, "log": False},
        "depth": {"type": "float", "lower": 0.0, "upper": 1.0, "log": False},
    },
    "wide": {f"p{i:04}": {"type": "float", "lower": 0.0, "upper": 1.0, "log": False} for i in range(4000)},
    "beyond": {f"p{i:05}": {"type": "float", "lower": 0.0, "upper": 1.0, "log": False} for i in range(10000)},
    "hostile": {
        BAD: {"type": "float", "lower": 0.0, "upper": 1.0, "log": False},
        "\u202egnp.exe": {"type": "categorical", "choices": [BAD, "</script>", "'\"&", "x" * 4000]},
        "constructor": {"type": "float", "lower": 0.0, "upper": 1.0, "log": False},
        "__proto__": {"type": "int", "lower": 0, "upper": 3, "log": False},
    },
}
space = spaces[kind]
study = {"format": 1, "layout": "journal", "study_id": f"{kind:0>16.16}", "created_by": "trialmill 0.1.0",
         "time_created": 1.7956e9, "seed": 7, "optimizer": {"name": "random_search"}, "space": space,
         "evaluation": {"command": ["python3", "train.py", BAD if kind == "hostile" else "--lr"], "timeout_seconds": None}}
json.dump(study, open(directory + "/study.json", "w"), indent=1)
out = open(directory + "/journal.jsonl", "wb")
seq = 0


def event(name, time, **fields):
    global seq
    body = json.dumps({"seq": seq, "event": name, "time": time, **fields}, separators=(",", ":"), ensure_ascii=False)
    body = body[1:].encode()
    out.write(b'{"crc":"%08x",' % zlib.crc32(body) + body + b"\n")
    seq += 1


def value(parameter):
    if parameter["type"] == "categorical":
        return random.choice(parameter["choices"])
    if parameter["type"] == "int":
        return random.randint(parameter["lower"], parameter["upper"])
    low, high = parameter["lower"], parameter["upper"]
    if parameter.get("log"):
        return math.exp(random.uniform(math.log(low), math.log(high)))
    return random.uniform(low, high)


t = 1.7956e9
event("policy", t, policy={"budget": {"evaluations": max(n * 2, 10)}, "count_in_progress": True, "max_attempts": 3})
workers, free = (64 if kind == "large" else 4), []
for process in range(1, workers // 4 + 1):
    event("joined", t, process=process, host=BAD if kind == "hostile" else f"node{process:02}", boot="another", pid=4000 + process)
    free += [(t, f"p{process}-w{w}") for w in range(1, 5)]
import heapq

heapq.heapify(free)
pending = []
for i in range(1, n + 1):
    at, worker = heapq.heappop(free)
    while pending and pending[0][0] <= at:
        end, fields = heapq.heappop(pending)[0], None
    config = {name: value(parameter) for name, parameter in space.items()}
    event("sampled", at, trial=str(i), worker=worker, attempt=1, config=config)
    took = random.lognormvariate(2, 0.5)
    lr = config.get("learning_rate", 1e-3)
    if random.random() < 0.01:
        event("reported", at + took, trial=str(i), attempt=1, state="crashed", err_type="exit",
              err=BAD if kind == "hostile" else "RuntimeError: out of memory", evaluation_duration=took)
    else:
        if kind == "front":
            x, y = config["width"], config["depth"]
            objective = [x + 0.2 * random.random(), (1 - math.sqrt(x)) + y * 0.6]
        else:
            drift = 0.25 / (1 + 6 * i / n)
            objective = 0.05 + 0.03 * (math.log10(lr) + 2.6) ** 2 + 0.002 * (config.get("layers", 5) - 5) ** 2 + drift * random.random() + 0.02 * abs(random.gauss(0, 1))
        event("reported", at + took, trial=str(i), attempt=1, state="success", objective_to_minimize=objective,
              cost=took / 100, evaluation_duration=took)
    heapq.heappush(free, (at + took + random.expovariate(2), worker))
if kind == "hostile":
    event("sampled", t + 1e4, trial="..hidden".lstrip("."), worker="p1-w1", attempt=1, config={name: value(p) for name, p in space.items()})
    trial = directory + "/trials/1"
    os.makedirs(trial)
    open(trial + "/stdout.log", "wb").write(b"\x1b[31m" + BAD.encode() + b"\xff\xfe\0 end\n")
    open(trial + "/" + BAD.replace("/", "") + ".txt", "w").write(BAD)
    os.symlink("/etc/passwd", trial + "/passwd")
    os.symlink("/etc", directory + "/trials/2")
    os.symlink(directory, directory + "/../loop")
    out.write(b'{"crc":"00000000","seq":999,"event":"samp')
out.close()
