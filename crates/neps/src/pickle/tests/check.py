"""Compares pickles by what Python reads from them, without importing anything that they name.

check.py make DIR      writes pickles with everything that Python's picklers can write
check.py compare DIR   fails unless each NAME.pkl there and its NAME.pkl.again have the same content
"""

import enum
import pickle
import sys
from pathlib import Path


def stand_in(module, name):
    """A class that records how it is used, in place of the one with this name."""

    class Recorded:
        what = (module, name)

        def __new__(cls, *args, **keywords):
            self = object.__new__(cls)
            object.__setattr__(self, "log", [("args", args), ("keywords", keywords)])
            return self

        def __init__(self, *args, **keywords):
            pass

        def __setstate__(self, state):
            self.log.append(("state", state))

        def append(self, item):
            self.log.append(("item", item))

        def extend(self, items):
            for item in items:
                self.log.append(("item", item))

        def __setitem__(self, key, value):
            self.log.append(("pair", (key, value)))

        def __call__(self, *args):
            made = stand_in("called", "")(*args)
            made.log.append(("callable", self))
            return made

    return Recorded


class Inert(pickle.Unpickler):
    def __init__(self, file):
        super().__init__(file)
        self.classes = {}

    def find_class(self, module, name):
        key = (module, name)
        if key not in self.classes:
            self.classes[key] = stand_in(*key)
        return self.classes[key]


def shape(value, seen):
    """A value in a comparable form; an object that occurs again becomes its number."""
    kind = type(value).__name__
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return (kind, repr(value))
    if isinstance(value, tuple) and not value:
        return ("tuple",)
    if id(value) in seen:
        return ("seen", seen[id(value)][0])
    seen[id(value)] = (len(seen), value)
    if isinstance(value, bytearray):
        return (kind, bytes(value))
    if isinstance(value, (list, tuple)):
        return (kind, [shape(item, seen) for item in value])
    if isinstance(value, (set, frozenset)):
        plain = all(isinstance(item, (int, str)) for item in value)
        return (kind, sorted(map(repr, value)) if plain else len(value))
    if isinstance(value, dict):
        return (kind, [(shape(k, seen), shape(v, seen)) for k, v in value.items()])
    if isinstance(value, type):
        return ("class", value.what)
    return ("object", type(value).what, [(how, shape(it, seen)) for how, it in value.log])


def shapes(path):
    found = []
    with open(path, "rb") as file:
        while file.peek(1):
            found.append(shape(Inert(file).load(), {}))
    return found


class Color(enum.Enum):
    RED = 1


class Slots:
    __slots__ = ("a", "b")


class Keywords(int):
    def __new__(cls, *, value):
        return int.__new__(cls, value)

    def __getnewargs_ex__(self):
        return (), {"value": 7}


class Knot:
    def __init__(self, items):
        self.items = items

    def __reduce__(self):
        return Knot, (self.items,)


class List(list):
    pass


def everything():
    import collections
    import datetime
    import decimal
    import fractions
    import pathlib
    import uuid

    slots, items, ring, several = Slots(), List([1, 2]), [], [[], {}]
    slots.a, slots.b, items.extra = 1, "two", {"x": items}
    ring.append((ring, 1))
    several[1]["all"] = (several[0], several, 3, 4, 5)
    several[0].append(several[1]["all"])
    knot = Knot([])
    knot.items.append(knot)
    ordered = collections.OrderedDict((str(i), i) for i in range(1500))
    shared = ["shared text"] * 3
    return {
        "scalars": [None, True, False, 0.5, -0.0, float("nan"), float("inf"), 1j],
        "ints": [s * (1 << n) + d for n in range(0, 90) for d in (-1, 0, 1) for s in (-1, 1)],
        "long": [1 << 4000, -(1 << 4000), 10**700],
        "texts": ["", "a", "ü" * 300, "x" * 70_000, "\udcff\udce4 name", "\n\\\0"],
        "bytes": [b"", b"a", b"x" * 300, b"y" * 70_000, bytearray(b"z" * 300), bytearray()],
        "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), ((((),),),), (None,) * 1500],
        "lists": [list(range(n)) for n in (0, 1, 2, 1000, 1001, 2500)],
        "dicts": [{i: str(i) for i in range(n)} for n in (0, 1, 2, 1000, 1001, 2500)],
        "sets": [set(), {1}, frozenset(), frozenset({1, 2}), set(range(1500))],
        "shared": [shared, shared, list(shared), (shared, "shared text")],
        "ring": ring,
        "ring_tuple": ring[0],
        "several": several,
        "knot": knot,
        "objects": [Color.RED, slots, items, Keywords(value=7), ordered],
        "library": [
            datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc), decimal.Decimal("1.5"),
            fractions.Fraction(1, 3), pathlib.PurePosixPath("/a/b"), uuid.UUID(int=5),
            collections.defaultdict(list, a=[1]), collections.Counter("aab"),
            collections.deque([1, 2], 5), range(3), slice(1, 2), ValueError("a", 1), len,
            collections.OrderedDict.fromkeys, int,
        ],
    }


def main():
    action, directory = sys.argv[1], Path(sys.argv[2])
    if action == "make":
        for name, value in everything().items():
            for protocol in range(2, 6):
                # Both picklers, because the C one splits its output into other frames.
                for dumps in (pickle.dumps, pickle._dumps):
                    path = directory / f"{name}-{protocol}{dumps.__name__}.pkl"
                    path.write_bytes(dumps(value, protocol))
        return
    compared = 0
    for path in sorted(directory.glob("*.pkl")):
        before, after = shapes(path), shapes(f"{path}.again")
        if before != after:
            sys.exit(f"{path.name} is another now:\n{before!r:.2000}\n{after!r:.2000}")
        if "-" in path.name and path.name.split("-")[0] in ("scalars", "ints", "dicts", "bytes"):
            # Also with Python's own unpickler, where the pickle contains nothing but data.
            one, other = pickle.loads(path.read_bytes()), pickle.loads(Path(f"{path}.again").read_bytes())
            assert repr(one) == repr(other), path
        compared += 1
    print(compared, "compared")


main()
