"""Many clients at once: random transactions over lists and registers, written down, then judged by `checker`.

A transaction is one message: `perform`, a method installed with `define` that reads, appends to and
swaps several objects in one turn, or a plain message to one object.  Some change their mind: they
raise after they have written, and nothing of them may be seen.  With kills the image dies and wakes
in between; what was not answered may or may not have happened, but not half of it.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from batos import AsyncClient, Client
from batos.errors import NobodyAwake
from batos.message import Message
from scripts.faults.checker import UNKNOWN, Transaction, check
from scripts.faults.telling import Clock, Violation, demand, progress, quantile, table
from scripts.living import Awake, free_tcp_endpoint

ACTIVE = 6  # lists, and as many registers, that everybody works on at a time
LONGEST = 40  # appends to a list before another takes its place: every read carries all of it
CELL = [
    "def push(self, item):\n    self.values.append(item)\n    return len(self.values)",
    "def swap(self, item):\n    old = self.value\n    self.value = item\n    return old",
]
PERFORM = """def perform(self, steps):
    answers = []
    for step in steps:
        what, cell = step[0], step[1]
        if what == 'append':
            answers.append(cell.push(step[2]))
        elif what == 'swap':
            answers.append(cell.swap(step[2]))
        elif what == 'look':
            answers.append(cell.value)
        elif what == 'read':
            answers.append(list(cell.values))
        else:
            raise ValueError('this transaction has changed its mind')
    return answers
"""


class Recorder:
    """The shared state of all clients: which objects are in use, and the history so far."""

    def __init__(self, awake: Awake, operations: int, seed: int):
        self.awake = awake
        self.operations = operations
        self.seed = seed
        self.history: list[Transaction] = []
        self.lengths: list[tuple[Transaction, str, Any, int]] = []  # an append, and the length it was told
        self.appends: Counter[str] = Counter()
        self.lists: list[str] = []
        self.spare: list[str] = []
        self.begun = 0
        self.alive = asyncio.Event()
        self.alive.set()
        self.took: list[float] = []

    def make(self, door: Client, cells: int) -> None:
        """The cells, all of them, and the desk."""
        door.send("lobby", "clone", called="cell", values=[], value=None)
        for source in CELL:
            door.send("cell", "define", source)
        door.send("lobby", "clone", called="desk", name="desk")
        door.send("desk", "define", PERFORM)
        for number in range(cells):
            door.send("cell", "clone", called=f"cell{number}")
        self.spare = [f"cell{number}" for number in range(cells)]
        self.lists = [self.spare.pop() for _ in range(ACTIVE)]
        self.registers = [f"cell{number}" for number in range(ACTIVE)]  # a cell's value, beside its list

    def next(self, rng: random.Random, client: int) -> tuple[Transaction, Message]:
        """A transaction, its answers still unknown, and the message that performs it."""
        self.begun += 1
        number = self.begun
        steps: list[tuple[Any, ...]] = []
        for at in range(rng.choice((1, 1, 2, 2, 3, 4))):
            what = rng.choices(("append", "read", "swap", "look"), (35, 30, 20, 15))[0]
            value = number * 10 + at
            if what in ("append", "read"):
                key = rng.choice(self.lists)
                steps.append((what, key, value if what == "append" else UNKNOWN))
                self.appends[key] += what == "append"
                if self.appends[key] >= LONGEST and key in self.lists and self.spare:
                    self.lists[self.lists.index(key)] = self.spare.pop()
            else:
                key = rng.choice(self.registers)
                steps.append(
                    (what, "=" + key, value, UNKNOWN) if what == "swap" else (what, "=" + key, UNKNOWN)
                )
        made = Transaction(number, steps, 0.0, outcome="unanswered", client=client)
        idem = f"t{number}" if rng.random() < 0.2 else None
        if len(steps) == 1 and rng.random() < 0.7:
            (what, key, *rest) = steps[0]
            selector = {"append": "push", "swap": "swap", "read": "values", "look": "value"}[what]
            args = rest[:1] if what in ("append", "swap") else []
            return made, Message(key.lstrip("="), selector, args, idem=idem)
        told = [[what, {"$ref": key.lstrip("=")}, *([] if rest[0] is UNKNOWN else rest[:1])]
                for what, key, *rest in steps]  # fmt: skip
        if rng.random() < 0.05:
            told.append(["change my mind", {"$ref": self.lists[0]}])
        return made, Message("desk", "perform", [told], idem=idem)

    async def client(self, client: int) -> None:
        """One client: transactions one after another until enough have been begun."""
        rng = random.Random(f"{self.seed}/{client}")
        door = AsyncClient(self.awake.endpoint, patience=10.0)
        while self.begun < self.operations:
            made, message = self.next(rng, client)
            self.history.append(made)
            made.sent = time.perf_counter()
            try:
                reply = await door.call(message)
            except NobodyAwake:
                await door.close()
                await self.alive.wait()
                door = AsyncClient(self.awake.endpoint, patience=10.0)
                continue
            made.answered = time.perf_counter()
            self.took.append(made.answered - made.sent)
            if reply.error is None:
                made.outcome = "answered"
                self.fill(made, reply.result if message.to == "desk" else [reply.result])
            else:
                made.outcome = "refused"
                demand(
                    reply.error.code == "method_error" and "changed its mind" in str(reply.error),
                    f"{made} was answered {reply.error.code}: {reply.error}",
                )
            if rng.random() < 0.05:
                await asyncio.sleep(rng.random() * 0.01)
        await door.close()

    def fill(self, made: Transaction, answers: list[Any]) -> None:
        """Put what it saw into the steps of an answered transaction."""
        steps: list[tuple[Any, ...]] = []
        for (what, key, value, *_), answer in zip(made.steps, answers, strict=True):
            if what == "append":
                steps.append((what, key, value))
                self.lengths.append((made, key, value, answer))
            else:
                steps.append((what, key, value, answer) if what == "swap" else (what, key, answer))
        made.steps = steps

    async def kill_and_awaken(self, kills: int) -> None:
        """`kills` times, spread over the operations: kill -9, and awaken on the same image."""
        rng = random.Random(f"{self.seed}/kills")
        for at in sorted(
            rng.randrange(self.operations // 10, self.operations * 9 // 10) for _ in range(kills)
        ):
            while self.begun < at:
                await asyncio.sleep(0.005)
            self.alive.clear()
            self.awake.kill9()
            await asyncio.to_thread(self.awake.start)
            self.alive.set()

    def last_look(self, door: Client) -> None:
        """Read everything once more, when nobody writes any more."""
        now = time.perf_counter()
        for key in sorted(self.appends | dict.fromkeys(self.registers, 0)):
            steps = [("read", key, door.send(key, "values")), ("look", "=" + key, door.send(key, "value"))]
            self.history.append(
                Transaction(len(self.history) + 1, steps, now, time.perf_counter(), "answered")
            )


def run(operations: int, seed: int, clients: int = 16, kills: int = 0) -> None:
    """Record a history of `operations` transactions and judge it; raises `Violation`."""
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        awake = Awake(Path(folder) / "image", free_tcp_endpoint())
        try:
            recorder = asyncio.run(record(awake.start(), operations, seed, clients, kills))
        finally:
            awake.end()
    recorded = clock()
    verdict = check(recorder.history)
    for name, seen in verdict.anomalies[:5]:
        progress(f"{name}: {seen[:1000]}")
    if verdict.anomalies:
        raise Violation(
            f"{len(verdict.anomalies)} anomalies: {Counter(name for name, _ in verdict.anomalies)}"
        )
    played = {}  # where each append stands in the serial order, against the length its sender was told
    lists: Counter[str] = Counter()
    for each in verdict.order:
        for what, key, value, *_ in each.steps:
            if what == "append":
                lists[key] += 1
                played[key, value] = lists[key]
    for made, key, value, length in recorder.lengths:
        demand(
            played[key, value] == length,
            f"{made}: {key} was said to be {length} long, it was {played[key, value]}",
        )
    table(
        [
            ("transactions", Counter(each.outcome for each in recorder.history)),
            ("steps", Counter(step[0] for each in recorder.history for step in each.steps)),
            ("clients; kills in between", f"{clients}; {kills}"),
            ("latency ms, p50 / p95",
             f"{quantile(recorder.took, 0.5) * 1e3:.1f} / {quantile(recorder.took, 0.95) * 1e3:.1f}"),
            ("transactions a second", operations / recorded),
            ("dependencies", verdict.edges),
            ("anomalies", 0),
            ("transactions played one after another, all reads equal", len(verdict.order)),
            ("seconds recording; judging", f"{recorded:.1f}; {clock() - recorded:.1f}"),
        ]
    )  # fmt: skip


async def record(awake: Awake, operations: int, seed: int, clients: int, kills: int) -> Recorder:
    recorder = Recorder(awake, operations, seed)
    with Client(awake.endpoint) as door:
        recorder.make(door, cells=2 * ACTIVE + int(operations * 0.8 / LONGEST))
    killer = asyncio.create_task(recorder.kill_and_awaken(kills))
    async with asyncio.TaskGroup() as group:
        for client in range(clients):
            group.create_task(recorder.client(client))
    await killer
    with Client(awake.endpoint, patience=10.0) as door:
        recorder.last_look(door)
    return recorder
