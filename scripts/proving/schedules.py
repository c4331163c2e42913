"""Schedules of several clients against missions that fail at any step: nobody is stuck, nothing leaks, the world is right.

A real image, kernel, guardian and walled child; the mind follows a script.  In each schedule some clients send
messages to one object: readers and changers it understands, changers it has to learn, the same under an
idempotency key, some with hardly any time, some that are cancelled, some that change the object while others
think about it.  Whatever a mission waits for (its turns, the mind, the guardian, the child, its likenesses, the
journal, the commit, the record) is a step; at steps that are drawn beforehand the next messages are sent, a
mission or a message is cancelled, or that very step breaks.

Afterwards every message has exactly one reply; the object's balance is what the answered messages add up to, no
more and no less; a method stands there whole or not at all; and kernel, orchestrator, ledger and threads hold
nothing of it any more.  Now and then every record is compared with what is in memory.

Not drawn here: an exception at any single line (`missions`), a kill of the process and a failing disk
(`scripts/torture`).
"""

from __future__ import annotations

import argparse
import collections
import errno
import gc
import logging
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from scripted import ScriptedMind, plan
from ZODB.POSException import ConflictError

from batos.app import System
from batos.config import Settings
from batos.errors import Busy, NoMind
from batos.image import Root
from batos.image.storage import ImageStorage
from batos.message import Message, Reply
from batos.mind.engine import Draft
from scripts.proving.missions import Proof
from scripts.proving.telling import Row, table

GROW = "self.§0 += ¢0\nreturn self.§0"
SELECTORS = (
    "grow_balance",
    "raise_balance",
    "inner_balance",
)  # what has to be learned, each by its own mission
DEFINED = """def deposit(self, n):
    self.balance = self.balance + n
    return self.balance
"""
ASKED = "def asked(self, n):\n    return self.inner_balance(n)\n"
PATIENCE = 20.0  # seconds for the last reply of a schedule
MISSION_SECONDS = 5.0
SHORT_SECONDS = 0.15  # of a mission whose mind falls silent
WHOLE = 500  # schedules between two looks at everything
LONG_STEPS = 60  # steps of a schedule where nothing breaks, about; what is drawn beyond never happens


class Injected(Exception):
    """What is raised: no code of ours knows it."""


FAULTS: dict[str, Callable[[], BaseException]] = {
    "unknown": lambda: Injected("injected"),
    "memory": lambda: MemoryError("injected"),
    "disk": lambda: OSError(errno.ENOSPC, "injected: no space left"),
    "mind": lambda: NoMind("injected: the mind is away"),
    "busy": lambda: Busy("injected: too much to do"),
    "conflict": lambda: ConflictError("injected"),
}


@dataclass
class Plan:
    """One schedule, drawn beforehand."""

    number: int
    messages: list[Message]
    at_step: dict[
        int, list[tuple[str, Any]]
    ]  # step -> what happens there: ("send", n), ("cancel", n), ("break", kind)
    answers: Any  # of the mind that drafts
    silent: int | None  # this call of the mind says nothing until it is stopped
    seconds: float


@dataclass
class Run:
    """What came of one schedule."""

    plan: Plan
    steps: int = 0
    begun: set[int] = field(default_factory=set)
    sent: dict[int, Future[Reply]] = field(default_factory=dict)
    replies: collections.Counter[int] = field(default_factory=collections.Counter)
    broke: list[str] = field(default_factory=list)
    calls: int = 0

    def answered(self) -> bool:
        """Has everything that was sent, or is just being sent, its reply?"""
        return all(self.replies[n] for n in list(self.begun))


class Schedules:
    """One run over an image in a folder of its own, and what was counted."""

    standing = Proof.standing
    look_at_everything = Proof.look_at_everything

    def __init__(self, folder: Path, seed: int):
        self.seed = seed
        self._lock = threading.RLock()
        self.current: Run | None = None
        self.counts: collections.Counter[str] = collections.Counter()
        self.broken_at: collections.Counter[str] = collections.Counter()
        self.faults: list[str] = []
        self.slowest = 0.0
        vote = ImageStorage.tpc_vote

        def voted(storage: Any, *args: Any, **kw: Any) -> Any:
            self.step("commit", (*FAULTS,))
            return vote(storage, *args, **kw)

        ImageStorage.tpc_vote = voted  # ZODB copies it from the class when a connection is made
        try:
            self.mind = ScriptedMind()
            settings = Settings(image=folder / "image", heartbeat=False, mission_seconds=MISSION_SECONDS)
            self.system = System(settings, self.mind)
        finally:
            ImageStorage.tpc_vote = vote
        self.image, self.kernel, self.budget = self.system.image, self.system.kernel, self.system.budget
        self.missions = self.kernel._orchestrator
        self._watch()

    def _watch(self) -> None:
        """Put a step before everything that a mission waits for."""
        missions, generate = self.missions, self.mind.generate

        def thought(
            prompts: Any, expert: Any, grammar: Any, limits: Any, cancel: Any = None, *more: Any, **kw: Any
        ) -> Any:
            self.step("mind", (*FAULTS, "garbage", "cut", "nothing"))
            run = self.current
            with self._lock:
                run.calls += 1
                silent = run.calls == run.plan.silent
            while silent and time.monotonic() < limits.deadline and not cancel.is_set():
                time.sleep(0.002)
            garbage = run.broke and run.broke[-1]
            if garbage in ("mind: garbage", "mind: cut", "mind: nothing"):
                run.broke[-1] += " said"
                text, finish = {
                    "garbage": ("%§", "stop"),
                    "cut": ("self.", "length"),
                    "nothing": ("", "stop"),
                }[garbage[6:]]
                return [Draft(text, (1,), 0.0, finish) for _ in prompts]
            return generate(prompts, expert, grammar, limits, cancel, *more, **kw)

        missions._generate = thought
        for name, kinds in (("_rehearse", (*FAULTS, "unknown outcomes")), ("_judge", (*FAULTS,)), ("_model", (*FAULTS,)),
                            ("_note", (*FAULTS,))):  # fmt: skip
            setattr(missions, name, self._stepping(getattr(missions, name), name.strip("_"), kinds))
        journal = missions._journal
        journal.note = self._stepping(journal.note, "journal", (*FAULTS,))
        image = self.image
        image.run = self._stepping(image.run, "turn", (*FAULTS,), ours=True)
        image.commit_mission = self._stepping(image.commit_mission, "hand-over", (*FAULTS,))

    def _stepping(
        self, function: Callable, name: str, kinds: tuple[str, ...], ours: bool = False
    ) -> Callable:
        def stepped(*args: Any, **kw: Any) -> Any:
            # What looks at the image afterwards runs turns too: only a mission's thread makes steps.
            if not ours or threading.current_thread().name.startswith("mission-"):
                self.step(name, kinds)
                run = self.current
                if run is not None and run.broke and run.broke[-1] == f"{name}: unknown outcomes":
                    run.broke[-1] += " told"
                    return [[{"unknown": "injected"} for _ in args[0]["calls"]] for _ in args[0]["drafts"]]
            return function(*args, **kw)

        return stepped

    # -- a schedule ---------------------------------------------------------------------------------------

    def drawn(self, number: int) -> Plan:
        """The schedule of a number: the same one for the same seed."""
        rng = random.Random(f"{self.seed}/{number}")
        to, messages = _name(number), []
        for n in range(rng.randint(2, 7)):
            kind = rng.choices(["learn", "asked", "deposit", "balance", "put", "again"], [5, 2, 3, 1, 2, 1])[
                0
            ]
            ident = f"{number}-{n}"
            short = rng.choice([0.0005, 0.02, 0.08]) if rng.random() < 0.15 else None
            if kind == "learn":
                messages.append(Message(to, rng.choice(SELECTORS), [1 << n], id=ident, timeout=short, miss="mission",
                                        wait=rng.random() < 0.85))  # fmt: skip
            elif kind == "asked":
                messages.append(Message(to, "asked", [1 << n], id=ident, timeout=short, miss="mission"))
            elif kind == "deposit":
                messages.append(Message(to, "deposit", [1 << n], id=ident, timeout=short))
            elif kind == "balance":
                messages.append(Message(to, "balance", id=ident, timeout=short))
            elif kind == "put":
                messages.append(Message(to, "put", ["other", n], id=ident, timeout=short))
            else:  # the same message twice under one key
                twice = Message(
                    to, rng.choice(SELECTORS), [1 << n], id=ident, miss="mission", idem=f"key{number}-{n}"
                )
                messages += [twice, replace(twice, id=f"{ident}b")]
        at_step: dict[int, list[tuple[str, Any]]] = collections.defaultdict(list)
        first = [n for n in range(len(messages)) if rng.random() < 0.5] or [0]
        at_step[0] = [("send", n) for n in first]
        for n in range(len(messages)):
            if n not in first:
                at_step[rng.randint(1, LONG_STEPS)].append(("send", n))
            if rng.random() < 0.15:
                at_step[rng.randint(1, LONG_STEPS)].append(("cancel", n))
        for _ in range(rng.choices([0, 1, 2, 3], [2, 5, 2, 1])[0]):
            at_step[rng.randint(1, LONG_STEPS)].append(("break", rng.random()))
        answers: Any = GROW
        if rng.random() < 0.1:
            answers = ["return ¢0", GROW, "self.§0 = 0\nreturn 0", "return 1", "import os\nreturn 2"] * 12
        silent = rng.randint(1, 3) if rng.random() < 0.05 else None
        return Plan(
            number, messages, dict(at_step), answers, silent, SHORT_SECONDS if silent else MISSION_SECONDS
        )

    def step(self, name: str, kinds: tuple[str, ...]) -> None:
        """A mission is about to wait for something: do what the schedule says, on its own thread."""
        with self._lock:
            run = self.current
            if run is None:
                return
            run.steps += 1
            due = run.plan.at_step.pop(run.steps, ())
        broken = None
        for what, which in due:
            if what == "send":
                self._send(run, which)
            elif what == "cancel":
                self._cancel(run, which)
            else:
                broken = kinds[int(which * len(kinds))]
        if broken is not None:
            run.broke.append(f"{name}: {broken}")
            if broken in FAULTS:
                raise FAULTS[broken]()

    def _send(self, run: Run, which: int) -> None:
        with self._lock:
            if which in run.begun:
                return
            run.begun.add(which)
        future = self.kernel.submit(run.plan.messages[which])
        run.sent[which] = future
        future.add_done_callback(lambda _: run.replies.update([which]))

    def _cancel(self, run: Run, which: int) -> None:
        running = self.missions.running()
        if which % 2 and running:
            self.kernel.cancel(running[which % len(running)].id)
        else:
            self.kernel.cancel(run.plan.messages[which].id)

    def run(self, times: int, tell: Callable[[str], None], first: int = 0) -> None:
        for number in range(-3, 0):  # threads begin and files are opened when they are first needed
            self.one(self.drawn(number))
        before = self.standing()
        began = time.monotonic()
        for number in range(first, first + times):
            self.one(self.drawn(number))
            if (number + 1 - first) % WHOLE == 0 or number + 1 == first + times:
                self.look_at_everything(before)
                tell(
                    f"{number + 1 - first:,} schedules in {time.monotonic() - began:.0f} s, {len(self.faults)} faults"
                )

    def one(self, plan_: Plan) -> None:
        """Run one schedule and look what came of it."""
        to = _name(plan_.number)
        self._must(Message("lobby", "clone", kw={"called": to, "balance": 0, "other": -1}))
        self._must(Message(to, "define", [DEFINED]))
        self._must(Message(to, "define", [ASKED]))
        self.missions._settings = replace(self.system.settings, mission_seconds=plan_.seconds)
        self.mind.answers["plan"] = plan("change")
        self.mind.answers["method"] = (
            list(plan_.answers) if isinstance(plan_.answers, list) else plan_.answers
        )
        run = self.current = Run(plan_)
        began = time.monotonic()
        for what, which in plan_.at_step.pop(0):
            if what == "send":
                self._send(run, which)
        self._settle(run)
        # What was to be sent at a step that never came is sent now, so that every schedule sends all of it.
        while left := [n for n in range(len(plan_.messages)) if n not in run.begun]:
            self._send(run, left[0])
            self._settle(run)
        self._settle(run)  # a mission's last step may have sent one since
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.current = None
        self._look(run, to)

    def _settle(self, run: Run) -> None:
        """Until all that was sent is answered and no mission runs."""
        end = time.monotonic() + PATIENCE
        # One that was cancelled is answered before its thread has noticed.
        tables = (
            self.missions._pending,
            self.missions._begun,
            self.missions._callbacks,
            self.kernel._waiting,
        )
        while (any(tables) or not run.answered()) and time.monotonic() < end:
            time.sleep(0.0005)
        self.image.submit("settled", lambda root: None).result(PATIENCE)

    def _must(self, message: Message) -> Any:
        reply = self.kernel.submit(message).result(PATIENCE)
        if reply.error is not None:
            raise reply.error
        return reply.result

    # -- looking ------------------------------------------------------------------------------------------

    def _look(self, run: Run, to: str) -> None:
        self.counts["schedules"] += 1
        self.counts["steps"] += run.steps
        for each in run.broke:
            self.broken_at[each.removesuffix(" said").removesuffix(" told")] += 1
        wrong, expected, put = [], 0, {-1}
        keyed: set[str] = set()
        for n, message in enumerate(run.plan.messages):
            future = run.sent[n]
            if not future.done():
                wrong.append(f"{message.send} (message {n}) was never answered")
                continue
            if run.replies[n] != 1:
                wrong.append(f"{message.send} (message {n}) was answered {run.replies[n]} times")
            reply = future.result()
            error, done = reply.error, reply.error is None
            self.counts[f"answered: {'a result' if done else error.code}"] += 1
            if (
                not message.wait
                and reply.mission is not None
                and done
                and reply.result == {"mission": reply.mission}
            ):
                ended = self.missions.find(reply.mission)  # it was answered with its mission, and ran later
                told = ended.answers.get(message.id) if ended is not None else None
                if told is None:
                    wrong.append(f"{message.send} (message {n}) was detached and its answer is not kept")
                    continue
                done = "error" not in told
            if done and message.send == "put":
                put.add(message.args[1])
            elif done and message.send != "balance" and (message.idem is None or message.idem not in keyed):
                expected += message.args[0]
                keyed.add(message.idem or "")
        balance, other, methods = (
            self.image.submit("look", lambda root: _standing(root, to)).result(PATIENCE).value
        )
        if balance != expected:
            wrong.append(
                f"the balance is {balance} ({balance:b}), and the answers add up to {expected} ({expected:b})"
            )
        if other not in put:
            wrong.append(f"other is {other}, and what was put is {sorted(put)}")
        for selector, (version, verdict) in methods.items():
            if verdict not in ("accepted", "repaired") or not version:
                wrong.append(f"{selector} stands there as version {version}, {verdict}")
            self.counts["methods learned"] += 1
            self.counts["... in more than one version"] += version > 1
        tables = {
            "pending missions": self.missions._pending, "callbacks": self.missions._callbacks,
            "listeners": self.missions._hearing, "begun missions": self.missions._begun, "waits": self.missions._waits,
            "waiting messages": self.kernel._waiting, "running keys": self.kernel._running_keys,
            "queued missions": self.missions._queue.queue,
        }  # fmt: skip
        wrong += [f"left among the {name}: {list(each)}" for name, each in tables.items() if each]
        if not all(thread.is_alive() for thread in (*self.missions._threads, self.image._thread)):
            wrong.append("a thread ended")
        if reserved := self.budget.told()["reserved"]:
            wrong.append(f"{reserved} reservations are left in the ledger")
        dirty = self.image.submit("look", _dirty).result(PATIENCE).value
        wrong += [f"left changed in memory: {each}" for each in dirty]
        for each in wrong:
            self.fault(run.plan.number, f"broken at {run.broke or 'nothing'}", each)

    def fault(self, number: int, scenario: str, words: str) -> None:
        self.faults.append(f"schedule {number} ({scenario}): {words}")
        print(self.faults[-1], file=sys.stderr, flush=True)

    def close(self) -> None:
        self.system.close()

    def rows(self) -> list[Row]:
        rows = [Row(name, f"{n:,}") for name, n in sorted(self.counts.items())]
        rows += [Row(f"broke at {name}", f"{n:,}") for name, n in sorted(self.broken_at.items())]
        rows.append(Row("longest schedule", f"{self.slowest:.2f} s"))
        rows.append(
            Row("stuck clients, second replies, wrong worlds, leaked state", str(len(self.faults)), "0")
        )
        return rows


def _name(number: int) -> str:
    return f"thing{number}" if number >= 0 else f"thing_before{-number}"


def _standing(root: Root, path: str) -> tuple[int, int, dict[str, tuple[int, str]]]:
    obj = root.resolve(path)
    methods = {}
    for selector in SELECTORS:
        method = obj._method(selector)
        if method is not None:
            installed = method.record()
            methods[selector] = (installed["version"], installed["verdict"])
    return obj.balance, obj.other, methods


def _dirty(root: Root) -> list[str]:
    return [repr(obj) for obj in root.connection._cache.cache_data.copy().values() if obj._p_changed]


def prove(
    times: int, seed: int, tell: Callable[[str], None] = lambda words: None, first: int = 0
) -> Schedules:
    """Run `times` schedules from number `first` on; `faults` is empty where nothing was wrong."""
    with tempfile.TemporaryDirectory() as folder:
        proof = Schedules(Path(folder), seed)
        try:
            proof.run(times, tell, first)
        finally:
            proof.close()
    gc.collect()
    return proof


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.proving.schedules", description=__doc__.partition("\n\n")[0]
    )
    parser.add_argument("--times", type=int, default=10_000, help="schedules (%(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first one (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn (%(default)s)")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # what breaks is told below, and here it breaks all the time
    proof = prove(
        options.times, options.seed, lambda words: print(words, file=sys.stderr, flush=True), options.first
    )
    print(table(proof.rows()))
    return 1 if proof.faults else 0


if __name__ == "__main__":
    sys.exit(main())
