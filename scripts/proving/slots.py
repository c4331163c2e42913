"""Values of every kind a method or a message can make, put into slots by every door: none may stay that does not load.

An image of its own; each value is an expression in the language of methods, drawn from what its built-ins
and modules answer (every name of every module, called with drawn arguments too), nested in containers at
any depth, recursive, shared, ten thousand levels deep; or JSON over the wire.  The doors: assignment, `put`,
`clone`, everything that changes a list, a dict or a set.  A value is kept or refused; nothing else may
happen.  At the end a fresh process loads every record and compares what it finds with what was kept.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import logging
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from scripted import ScriptedMind

from batos import Image
from batos.app import System
from batos.config import Settings
from batos.guardian import facades
from batos.image import Root
from batos.message import Message
from batos.objects import UvmObject
from batos.objects.plain import NotPlain, encode, oid_text
from scripts.proving.telling import Row, table

AN_OBJECT = 40  # values, then another object
EXPECTED = (
    "refused",
    "method_error",
    "bad_request",
    "wrong_arguments",
    "not_understood",
    "no_such_object",
    "deadline",
)

LEAVES = (
    "1", "-7", "2 ** 900", "-(2 ** 63)", "True", "None", "1.5", "-0.0", "float('nan')", "float('inf')", "complex(1, 2)",
    "''", "'text'", "'\\ud800'", "'a\\udfffb'", "'\\x00'", "'é' * 300", "b''", "b'\\xff\\x00'",
    "decimal.Decimal('1.10')", "decimal.Decimal('NaN')", "decimal.Decimal('sNaN')", "decimal.Decimal('-Infinity')",
    "decimal.Decimal('1E+900')", "fractions.Fraction(1, 3)", "datetime.date(2020, 2, 29)", "datetime.time(1, 2, fold=1)",
    "datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)", "datetime.timedelta(days=-1, microseconds=1)",
    "datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30), 'odd'))",
    "datetime.time(1, tzinfo=datetime.timezone(datetime.timedelta(seconds=-1)))", "datetime.datetime.max",
    "datetime.timezone(datetime.timedelta(hours=-3))", "self", "self.friend", "self.rows", "self.box",
)  # fmt: skip
ODD = (
    "len", "int", "str", "list", "ValueError", "isinstance", "lambda: 1", "lambda self: self.rows", "self.helper", "self.rows.append",
    "iter([1, 2])", "(n for n in range(3))", "zip([1], [2])", "map(str, [1])", "filter(None, [1])", "enumerate([1])",
    "reversed([1])", "range(3)", "slice(1, 2)", "ValueError('x')", "KeyError(1)", "{'a': 1}.keys()", "{'a': 1}.values()",
    "{'a': 1}.items()", "self.box.keys()", "self.rows.copy()", "re.match('a', 'a')", "re.compile('a+')", "re.finditer('a', 'aa')",
    "collections.Counter('aab')", "collections.deque([1])", "collections.OrderedDict(a=1)", "collections.defaultdict(list)",
    "collections.namedtuple('Point', 'x y')(1, 2)", "collections.ChainMap({'a': 1})", "collections.defaultdict(lambda: 1)",
    "itertools.count()", "itertools.chain([1], [2])", "itertools.cycle([1])", "itertools.groupby('aab')", "itertools.tee([1])",
    "math", "math.sqrt", "datetime.datetime", "decimal.Decimal", "random.random", "string.digits", "datetime.datetime.fromisoformat",
)  # fmt: skip
SHAPES = (
    "a = []\n    a.append(a)", "a = {}\n    a['me'] = a", "a = []\n    a.append((a, [a]))", "b = [1]\n    a = [b, b, {'b': b}]",
    "a = []\n    for n in range(10000):\n        a = [a]", "a = ()\n    for n in range(10000):\n        a = (a,)",
    "a = {}\n    for n in range(10000):\n        a = {'a': a}", "a = ()\n    for n in range(300):\n        a = (a, n)",
    "a = frozenset()\n    for n in range(200):\n        a = frozenset([a])", "a = self.rows\n    a.append(a)",
    "a = 1\n    for n in range(40):\n        a = [a, a]", "a = []\n    for n in range(500):\n        a = [a, {n: (a,)}]",
)  # fmt: skip
DOORS = (
    "self.slot = {}", "self.put('slot', {})", "self.box['k'] = {}", "self.box.update({{'k': {}}})", "self.box.setdefault(str(self.count), {})",
    "self.rows.append({})", "self.rows.insert(0, {})", "self.rows.extend([{}])", "self.rows += [{}]", "self.rows[0] = {}",
    "self.rows[:1] = [{}]", "self.seen.add({})", "self.seen |= {{{}}}", "self.box[{}] = 1", "self.clone(slot={})",
    "setattr(self, 'slot', {})", "self.slot, self.other = {}, 2", "a = self.box['deep'] = {}", "self.clone().put('slot', {})",
    "self.friend.put('slot', {})", "self.box = {{'in': [{}]}}",
)  # fmt: skip


def reachable() -> list[str]:
    """Every name of every module methods are handed."""
    return [
        f"{module}.{name}"
        for module, handed in facades.MODULES.items()
        for name in dir(handed)
        if not name.startswith("_")
    ]


class Drawing:
    """Draws expressions and JSON values."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.names = reachable()

    def expression(self, depth: int = 0) -> str:
        draw = self.rng.random()
        if depth > 4 or draw < 0.3:
            return self.rng.choice(LEAVES)
        if draw < 0.45:
            return self.rng.choice(ODD)
        if draw < 0.6:
            name = self.rng.choice(self.names)
            args = ", ".join(self.expression(depth + 3) for _ in range(self.rng.randint(0, 3)))
            return f"{name}({args})" if self.rng.random() < 0.8 else name
        items = [self.expression(depth + 1) for _ in range(self.rng.randint(0, 3))]
        inside = ", ".join(items)
        kind = self.rng.choice(("[{}]", "({})", "{{{}}}", "dict", "frozenset([{}])", "set([{}])"))
        if kind == "dict":
            keys = (self.rng.choice((*LEAVES[:16], "(1, 'a')")) for _ in items)
            return "{" + ", ".join(f"{key}: {each}" for key, each in zip(keys, items, strict=True)) + "}"
        if kind == "({})":
            return f"({inside}{',' * (len(items) == 1)})"
        return kind.format(inside) if items else "[]"

    def method(self, name: str) -> str:
        """A method that puts a drawn value through a drawn door."""
        door = self.rng.choice(DOORS)
        if self.rng.random() < 0.03:
            body = f"{self.rng.choice(SHAPES)}\n    {door.format('a')}"
        elif self.rng.random() < 0.3:
            body = f"a = {self.expression()}\n    {door.format('a')}"
        else:
            body = door.format(self.expression())
        return f"def {name}(self):\n    self.count += 1\n    {body}\n    return 1\n"

    def json(self, depth: int = 0) -> Any:
        draw = self.rng.random()
        if depth > 6 or draw < 0.5:
            return self.rng.choice(
                (1, -(2**70), 10**400, 1.5, -0.0, 1e308, None, True, "", "text", "\ud800", "x" * 5000, "\x00")
            )
        if draw < 0.55:
            value: Any = 1
            for _ in range(self.rng.choice((30, 60, 900))):
                value = [value]
            return value
        if draw < 0.6:
            return {"$ref": self.rng.choice(("thing0", "lobby", "thing0.rows", "nobody"))}
        if draw < 0.8:
            return [self.json(depth + 1) for _ in range(self.rng.randint(0, 4))]
        return {str(self.json(9)): self.json(depth + 1) for _ in range(self.rng.randint(0, 4))}


class Fuzz:
    """One run; `faults` is empty where all is well."""

    def __init__(self, folder: Path, seed: int):
        self.folder = folder / "image"
        self.system = System(Settings(image=self.folder, heartbeat=False, turn_seconds=5.0), ScriptedMind())
        self.drawing = Drawing(random.Random(seed))
        self.counts: collections.Counter[str] = collections.Counter()
        self.faults: list[str] = []

    def send(self, to: str, selector: str, *args: Any, **kw: Any) -> Any:
        message = Message(to, selector, list(args), kw, miss="error")
        return self.system.kernel.submit(message).result(30)

    def run(self, times: int) -> None:
        for number in range(times):
            thing = f"thing{number // AN_OBJECT}"
            if number % AN_OBJECT == 0:
                friend = {"friend": {"$ref": "thing0"}} if number else {"friend": None}
                self.send("lobby", "clone", called=thing, count=0, rows=[0], box={}, seen=[], **friend)
                self.send(thing, "define", "def helper(self):\n    return 1\n")
                self.send(thing, "define", "def begin(self):\n    self.seen = set()\n    return 1\n")
                self.send(thing, "begin")
            self.one(thing, number)

    def one(self, thing: str, number: int) -> None:
        rng = self.drawing.rng
        draw = rng.random()
        if draw < 0.15:
            words = value = self.drawing.json()
            doors: tuple[Callable[[], Any], ...] = (
                lambda: self.send(thing, "put", "slot", value),
                lambda: self.send(thing, "clone", slot=value, other=[value]),
            )
            reply = rng.choice(doors)()
        else:
            words = self.drawing.method(f"keep_{number}")
            reply = self.send(thing, "define", words)
            if reply.error is not None:
                self.tell("the guardian refused the method", reply, words)
                return
            reply = self.send(thing, f"keep_{number}")
        self.tell("kept" if reply.error is None else reply.error.rule or reply.error.code, reply, words)

    def tell(self, what: str, reply: Any, words: Any) -> None:
        self.counts[what] += 1
        if reply.error is not None and reply.error.code not in EXPECTED:
            self.faults.append(f"{reply.error.code}: {reply.error} of {str(words)[:300]!r}")

    def end(self) -> int:
        """Close, and let a fresh process load everything; answers how many records it loaded."""
        before = self.system.image.run("what is there", lambda root: dict(values(root)))
        self.system.close()
        done = subprocess.run(
            [sys.executable, "-m", "scripts.proving.slots", "--look", str(self.folder)],
            check=False,
            cwd=ROOT, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        if done.returncode != 0:
            self.faults.append(f"the fresh process failed: {done.stderr[-500:]}")
            return 0
        told = json.loads(done.stdout)
        self.faults += [f"cannot be loaded: {each}" for each in told["unreadable"]]
        after = told["values"]
        differ = [place for place in {*before, *after} if before.get(place) != after.get(place)]
        self.faults += [f"{place} is another value in a fresh process" for place in differ]
        self.counts["values compared"] = len(before)
        return told["records"]

    def rows(self, records: int) -> list[Row]:
        rows = [Row(what, f"{n:,}") for what, n in self.counts.most_common()]
        return [
            *rows,
            Row("records a fresh process loaded", f"{records:,}"),
            Row("faults", str(len(self.faults)), "0"),
        ]


def values(root: Root) -> Iterator[tuple[str, str]]:
    """(place, digest of the value) of every slot of every object in the lobby that can be told as data."""
    for name, obj in root["lobby"]._slots.items():
        if isinstance(obj, UvmObject):
            for slot, value in obj._slots.items():
                try:
                    told = json.dumps(encode(value, oid_text), sort_keys=True)
                except (NotPlain, RecursionError):
                    continue
                yield f"{name}.{slot}", hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()


def look(folder: Path) -> dict[str, Any]:
    """What a fresh process finds in an image."""
    with Image.open(folder) as image, image.turn("look") as root:
        count = image.facts()["objects"]
        return {
            "records": count,
            "unreadable": image.unreadable(root, 10_000_000),
            "values": dict(values(root)),
        }


def prove(times: int, seed: int) -> tuple[Fuzz, list[Row]]:
    with tempfile.TemporaryDirectory() as folder:
        fuzz = Fuzz(Path(folder), seed)
        fuzz.run(times)
        return fuzz, fuzz.rows(fuzz.end())


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/prove_slots", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--times", type=int, default=5_000, help="values (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn (%(default)s)")
    parser.add_argument("--look", metavar="DIR", help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if options.look:
        print(json.dumps(look(Path(options.look))))
        return 0
    fuzz, rows = prove(options.times, options.seed)
    print(table(rows))
    for each in fuzz.faults[:50]:
        print(each)
    return 1 if fuzz.faults else 0


if __name__ == "__main__":
    sys.exit(main())
