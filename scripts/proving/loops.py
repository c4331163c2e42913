"""What a guarded loop costs against the same loop in plain Python.

Each loop is judged (and so repaired), compiled by the policy and run as a method of an object that is
kept in a database; its peer is the same text compiled by Python, run on an instance of a plain class.
The least of several runs counts, in the processor's own time, each pair in one breath.
"""

from __future__ import annotations

import collections
import gc
import heapq
import statistics
import time
from collections.abc import Callable
from typing import Any

import transaction
from ZODB import DB

from batos.guardian import judge
from batos.guardian.policy import compile_method
from batos.objects import fuel
from batos.objects.containers import keep
from batos.objects.method import Method, use_compiler
from batos.objects.uvm_object import UvmObject
from scripts.proving.telling import Row

TURNS, TIMES = 20_000, 7
GOAL = 4.0
WORDS = "the quick brown fox jumps over another ant "
LOOPS = {
    "arithmetic": "t = 0\nfor i in range(n):\n    t += i * 3 - i // 2\nreturn t",
    "arithmetic on arguments": "t = 0\nfor i in range(n):\n    t = (t * v + w) % 1000003\nreturn t",
    "floats": "x = 0.0\nfor i in range(n):\n    x = x * 0.5 + i\nreturn x",
    "while": "i = 0\nwhile i < n:\n    i += 1\nreturn i",
    "nested loops": "t = 0\nfor i in range(n // 100):\n    for j in range(100):\n        t += i ^ j\nreturn t",
    "list append": "rows = []\nfor i in range(n):\n    rows.append(i)\nreturn len(rows)",
    "comprehension": "return len([i * 2 for i in range(n) if i % 3])",
    "generator": "return sum(i * i for i in range(n))",
    "sorting by exchange": """
a = [(i * 7919) % 100 for i in range(150)]
for i in range(len(a)):
    for j in range(len(a) - 1 - i):
        if a[j] > a[j + 1]:
            a[j], a[j + 1] = a[j + 1], a[j]
return a[0]""",
    "dict counting": "d = {}\nfor x in words:\n    d[x] = d.get(x, 0) + 1\nreturn len(d)",
    "string building": "s = ''\nfor i in range(n):\n    s += 'x'\nreturn len(s)",
    "string join": "return len(','.join(str(i) for i in range(n)))",
    "string methods": "k = 0\nfor x in words:\n    if x.startswith('a') and x.upper() != x:\n        k += 1\nreturn k",
    "f-strings": "rows = []\nfor i in range(n):\n    rows.append(f'{i}: {i + 1}')\nreturn len(rows)",
    "attribute reads": "t = 0\nfor i in range(n):\n    t += self.x\nreturn t",
    "attributes of another": "t = 0\nfor i in range(n):\n    t += other.x\nreturn t",
    "a list in a slot": "t = 0\nfor x in self.rows:\n    t += x\nreturn t",
    "a list in a slot by index": "t = 0\nfor i in range(len(self.rows)):\n    t += self.rows[i]\nreturn t",
    "inner calls": "def f(a):\n    return a + 1\nt = 0\nfor i in range(n):\n    t = f(t)\nreturn t",
    "recursion": "def fib(k):\n    return k if k < 2 else fib(k - 1) + fib(k - 2)\nreturn fib(18)",
    "sends": "t = 0\nfor i in range(n):\n    t = self.next_of(t)\nreturn t",
    "membership in a list": "k = 0\nfor x in words[:2000]:\n    if x in few:\n        k += 1\nreturn k",
    "membership in a dict": "d = {}\nk = 0\nfor x in words:\n    if x in d:\n        k += 1\n    d[x] = 1\nreturn k",
    "membership in a set": """
seen = set()
k = 0
for x in words:
    if x not in seen:
        seen.add(x)
        k += 1
return k""",
    "keys of counted pairs": "d = {}\nfor i in range(n):\n    d[i % v, w] = i\nreturn len(d)",
    "keys of pairs": "d = {}\nfor x in words:\n    d[(x, w)] = v\nreturn len(d)",
    "comparing names": """
k = 0
for x in words:
    for y in few:
        if x == y:
            k += 1
return k""",
    "comparing attributes": "k = 0\nfor i in range(n):\n    if self.x < other.x + i:\n        k += 1\nreturn k",
    "the greater of two": "t = 0\nfor x in self.rows:\n    t = max(t, x)\nreturn t",
    "the least of few": "t = 0\nfor i in range(n):\n    t += min([i, 3, v])\nreturn t",
    "the least of many": "t = 0\nfor i in range(20):\n    t += min(self.rows) + len(max(words))\nreturn t",
    "differences": "t = 0\nfor x in self.rows:\n    t = x - t\nreturn t",
    "sorted": "return sorted(words)[0]",
    "sorted by a key": "return len(sorted(words, key=lambda x: x[-1]))",
    "a heap": """
h = []
for i in range(n // 4):
    heapq.heappush(h, (i * 7919) % 10007)
t = 0
while h:
    t += heapq.heappop(h)
return t""",
    "a heap of pairs": """
h = []
for i in range(n // 4):
    heapq.heappush(h, ((i * 7919) % 10007, i))
t = 0
while h:
    t += heapq.heappop(h)[1]
return t""",
    "sets of lists": "t = 0\nfor i in range(20):\n    t += len(set(words)) + len(set(self.rows[:1000]))\nreturn t",
    "a counter": "return len(collections.Counter(words))",
    "a method mapped": "return len(list(map(str.upper, words)))",
}


class Plain:
    def __init__(self, **state: Any):
        self.__dict__.update(state)

    def next_of(self, t: int) -> int:
        return t + 1


def ratios() -> dict[str, float]:
    """Loop -> how many times as long as plain Python the guarded one takes."""
    before = use_compiler(compile_method)
    database = DB(None)
    manager = transaction.TransactionManager()
    try:
        state = {"x": 3, "rows": list(range(TURNS))}
        plain, kept = Plain(**state), UvmObject(**state)
        method = Method("next_of")
        method.add_version("def next_of(self, t):\n    return t + 1\n", "loops", "accepted")
        kept._install(method)
        database.open(manager).root.kept = kept
        manager.commit()
        return {name: _ratio(body, plain, kept) for name, body in LOOPS.items()}
    finally:
        manager.abort()
        database.close()
        use_compiler(before)


def _ratio(body: str, plain: Plain, kept: UvmObject) -> float:
    lines = "".join(f"    {line}\n" for line in body.strip().split("\n"))
    text = f"def loop(self, other, n, words, few, v, w):\n{lines}"
    made: dict[str, Any] = {"collections": collections, "heapq": heapq}
    exec(text, made)  # noqa: S102 - the peer: the same text, written above
    guarded = compile_method(judge(text).source)
    rest = (TURNS, (WORDS * TURNS).split()[:TURNS], WORDS.split(), 31, 7)
    given = [keep(each) for each in rest]  # as the arguments of a message come
    with fuel.spend(time.monotonic() + 600):
        assert made["loop"](plain, plain, *rest) == guarded(kept, kept, *given)
        pairs = [
            (_took(made["loop"], plain, plain, *rest), _took(guarded, kept, kept, *given))
            for _ in range(TIMES)
        ]
    return min(ours for _, ours in pairs) / min(theirs for theirs, _ in pairs)


def _took(call: Callable[..., Any], *args: Any) -> float:
    gc.disable()
    began = time.process_time()
    call(*args)
    took = time.process_time() - began
    gc.enable()
    return took


def measure() -> list[Row]:
    """The row of the table about guarded loops."""
    found = ratios()
    told = ", ".join(f"{name} {ratio:.1f}" for name, ratio in found.items())
    slowest = max(found, key=found.__getitem__)
    return [
        Row(
            "a guarded loop against the same plain Python",
            f"median {statistics.median(found.values()):.2f}, at most {found[slowest]:.2f} times ({slowest})",
            f"{GOAL:.0f} times",
            f"{len(found)} loops of {TURNS:,} turns: {told}",
        )
    ]
