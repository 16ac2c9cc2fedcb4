"""Answers what PyYAML and json do: one JSON question per line of the file in argv[1]."""
import json
import math
import sys

import yaml

INF = float("inf")


class Loader(yaml.CSafeLoader):
    """CSafeLoader, except that a timestamp stays a string."""


Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: node.value)


def decode(notation):
    if isinstance(notation, list):
        return [decode(item) for item in notation]
    if isinstance(notation, dict):
        if len(notation) == 1:
            (key, inner), = notation.items()
            if key == "$float":
                return float(inner)
            if key == "$int":
                return int(inner)
            if key == "$map":
                return {decode(k): decode(v) for k, v in inner}
        return {key: decode(inner) for key, inner in notation.items()}
    return notation


def encode(value):
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else {"$int": str(value)}
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, list):
        return [encode(item) for item in value]
    if not isinstance(value, dict):
        raise TypeError(type(value))
    plain = all(isinstance(key, str) for key in value)
    if not plain or len(value) == 1 and next(iter(value)).startswith("$"):
        return {"$map": [[encode(k), encode(v)] for k, v in value.items()]}
    return {key: encode(inner) for key, inner in value.items()}


def answer(question):
    if "value" in question:
        value = decode(question["value"])
        return {
            "sorted": yaml.dump(value, Dumper=yaml.CDumper, sort_keys=True),
            "unsorted": yaml.dump(value, Dumper=yaml.CDumper, sort_keys=False),
            "python": yaml.dump(value, Dumper=yaml.SafeDumper, sort_keys=False),
            "json": json.dumps(value),
            # May differ from "json": the keys None and "null" become one.
            "json_again": json.dumps(json.loads(json.dumps(value))),
        }
    try:
        if "json" in question:
            return {"value": encode(json.loads(question["json"]))}
        return {"value": encode(yaml.load(question["yaml"], Loader))}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


with open(sys.argv[1], encoding="utf-8") as questions:
    for line in questions:
        print(json.dumps(answer(json.loads(line))))
