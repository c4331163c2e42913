"""Missions with an exception at a random line of batos' own code: nothing half done may stay, and nobody waits for ever.

A real image, kernel, guardian and walled child; the mind follows a script (`tests/scripted.py`).  Each
mission is a message that nobody understands, and in each an exception is raised at the k-th line that
Python executes of `batos/psm`, of `batos/guardian`, or (under the mission's transaction or its commit) of
`batos/image`; the part and k are drawn anew.  `SPARED` says which functions are left alone, and why.

After each mission: the sender has an answer in time; what failed committed nothing but batos' own notes
and left no object changed in memory; what succeeded is installed whole; no mission stays in a table, no
worker ended.  Every so often, and at the end: every record compared with what is in memory, and
connections, threads and descriptors counted.
"""

from __future__ import annotations

import argparse
import ast
import collections
import errno
import functools
import gc
import logging
import os
import random
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import ZODB.Connection
from scripted import ScriptedMind, plan
from ZODB.utils import u64

from batos.app import System
from batos.config import Settings
from batos.image import LivingImage, Root
from batos.message import Message
from batos.objects import Missed, UvmObject
from batos.objects.lookup import lookup
from batos.psm.orchestrator import Orchestrator
from scripts.proving.telling import Row, table

PACKAGE = str(ROOT / "batos") + os.sep
PARTS = ("psm", "guardian", "image")
SCOPE = tuple(PACKAGE + part + os.sep for part in PARTS)
SPARED = frozenset(
    {
        # They catch what breaks; behind them is nobody.
        Orchestrator._work.__code__, Orchestrator._take_up.__code__, Orchestrator._end.__code__,
        Orchestrator._broke.__code__,
        # They make a connection: there is always a line between the making and what will take it back.
        LivingImage.mission_transaction.__wrapped__.__code__, LivingImage._begin_connection.__code__,
    }
)  # fmt: skip
EXPECTED = (
    b"record of mission",
    b"metrics",
    b"spent",
    b"put balance to",
)  # what a failed mission leaves in the image
PATIENCE = 20.0  # seconds for an answer; a mission here takes some hundredths
WHOLE = 500  # missions between two looks at everything
AN_OBJECT = 10  # missions, then another one: an object of ten thousand methods measures something else


class Injected(Exception):
    """What is raised: no code of ours knows it."""


KINDS: tuple[Callable[[], BaseException], ...] = (
    lambda: Injected("injected"),
    lambda: MemoryError("injected"),
    lambda: OSError(errno.ENOSPC, "injected: no space left"),
    lambda: KeyError("injected"),
    lambda: RuntimeError("injected"),
    lambda: TypeError("injected"),
)


class Injector:
    """Raises once, at the `at`-th line of a part since `arm`; on every thread that it traces."""

    def __init__(self) -> None:
        self.lines: collections.Counter[str] = collections.Counter()
        self.at: int | None = None
        self.part = PARTS[0]
        self.raised: str | None = None
        self._makes = KINDS[0]
        self._scope: dict[CodeType, bool] = {}
        self._lock = threading.Lock()

    def arm(self, part: str, at: int, makes: Callable[[], BaseException]) -> None:
        with self._lock:
            self.lines.clear()
            self.part, self.at, self.raised, self._makes = part, at, None, makes

    def trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        """A thread's trace function: which calls are looked into."""
        code = frame.f_code
        known = self._scope.get(code)
        if known is None:
            known = (
                code.co_filename.startswith(SCOPE)
                and code not in SPARED
                and "Rehearsal" not in code.co_qualname
            )
            self._scope[code] = known
        if not known or (code.co_filename.startswith(SCOPE[2]) and not _of_a_mission(frame)):
            return None
        return self._line

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        if (
            event == "line"
            and self.at is not None
            and frame.f_lineno not in _spared(frame.f_code.co_filename)
        ):
            code = frame.f_code
            part = code.co_filename.removeprefix(PACKAGE).partition(os.sep)[0]
            with self._lock:
                self.lines[part] += 1
                if part == self.part and self.lines[part] == self.at:
                    self.at = None
                    self.raised = (
                        f"{code.co_filename.removeprefix(PACKAGE)}:{frame.f_lineno} in {code.co_name}"
                    )
                    raise self._makes()
        return self._line


@functools.cache
def _spared(file: str) -> frozenset[int]:
    """Lines where no exception of a program can begin: `try:`, which does nothing, and those of `with`
    statements, to which Python comes back to leave, outside of what they protect."""
    lines: set[int] = set()
    for each in ast.walk(ast.parse(Path(file).read_text())):
        if isinstance(each, (ast.With, ast.Try)):
            lines |= set(range(each.lineno, each.body[0].lineno))
    return frozenset(lines)


def _of_a_mission(frame: FrameType | None) -> bool:
    """Does a line of `batos/image` run for a mission: on its own thread, or in its commit on the image thread?

    Not in a message that its end sends again, whose turn is a turn like any other.
    Not in the last step of the storage, where what breaks closes the image (`scripts/torture` looks at that), and
    not in the rollback itself, which ZODB allows no failure.
    """
    found = threading.current_thread().name.startswith("mission-")
    while frame is not None:
        if frame.f_code.co_name in ("_finish", "tpc_abort", "_abort", "_learned"):
            return False
        found = found or frame.f_code.co_qualname.startswith("LivingImage.commit_mission.<locals>")
        frame = frame.f_back
    return found


GROW = "self.§0 += ¢0\nreturn self.§0"
WITHDRAW = "if ¢0 > self.§0:\n    raise ValueError('there is not that much')\nself.§0 -= ¢0\nreturn self.§0"
LOOP = "for each in range(3):\n    self.§0 += ¢0\nreturn self.§0"


class Mind(ScriptedMind):
    """The script, and now and then the receiver is changed by another while the mind thinks."""

    meanwhile: Callable[[], Any] | None = None

    def generate(self, prompts: Any, expert: Any, grammar: Any, limits: Any, cancel: Any = None) -> Any:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().generate(prompts, expert, grammar, limits, cancel)


SCENARIOS = {
    "learned": GROW,
    "learned, with a check": WITHDRAW,
    "learned, with a loop": LOOP,
    "learned, though the receiver changed meanwhile": GROW,
    "a miss inside a method": GROW,
    "refused by the guardian": "import os\nreturn os.getcwd()",
    "no majority": [
        "self.§0 += ¢0\nreturn self.§0",
        "return ¢0",
        "self.§0 = 0\nreturn 0",
        "return 1",
        "return 2",
    ]
    * 6,
    "the mind cannot": None,
}


class Proof:
    """One run: an image in a folder of its own, and what was counted."""

    def __init__(self, folder: Path, seed: int):
        self.rng = random.Random(seed)
        self.injector = Injector()
        threading.settrace(self.injector.trace)  # of every thread started from here on
        try:
            self.mind = Mind()
            self.system = System(
                Settings(image=folder / "image", heartbeat=False, mission_seconds=PATIENCE), self.mind
            )
            self.image, self.kernel = self.system.image, self.system.kernel
            self.missions = self.kernel._orchestrator
            self.counts: collections.Counter[str] = collections.Counter()
            self.where: collections.Counter[str] = collections.Counter()
            self.faults: list[str] = []
            self.slowest = 0.0
            self.long: dict[str, dict[str, int]] = {}
            self.account, self.was_put = "", False
            self.send("lobby", "clone", called="warm", balance=100)
        finally:
            threading.settrace(None)
        run = self.missions._run

        def traced(mission: Any) -> None:
            sys.settrace(self.injector.trace)  # an exception out of a trace function ends the tracing
            run(mission)

        self.missions._run = traced

    def send(self, to: str, selector: str, *args: Any, **kw: Any) -> Any:
        reply = self.kernel.submit(Message(to, selector, list(args), kw)).result(PATIENCE + 10)
        if reply.error is not None:
            raise reply.error
        return reply.result

    def run(self, times: int, tell: Callable[[str], None]) -> None:
        self.plain_lengths()
        before = self.standing()
        began = time.monotonic()
        for number in range(times):
            if number % AN_OBJECT == 0:
                self.account = f"account{number // AN_OBJECT}"
                self.send("lobby", "clone", called=self.account, balance=100)
                self.send(self.account, "define", "def asked(self, n):\n    return self.inner_balance(n)")
            self.one(number)
            if (number + 1) % WHOLE == 0 or number + 1 == times:
                self.look_at_everything(before)
                tell(
                    f"{number + 1:,} missions in {time.monotonic() - began:.0f} s, {len(self.faults)} faults"
                )

    # -- one mission ------------------------------------------------------------------------------------

    def plain_lengths(self) -> None:
        """How many lines a mission of each kind executes where nothing breaks."""
        for number, scenario in enumerate(SCENARIOS):
            self.account = f"plain{number}"
            self.send("lobby", "clone", called=self.account, balance=100)
            self.send(self.account, "define", "def asked(self, n):\n    return self.inner_balance(n)")
            self.injector.arm(PARTS[0], -1, KINDS[0])
            self.ask(scenario, f"plain_{number}")
            self.settle()
            self.long[scenario] = dict(self.injector.lines)

    def ask(self, scenario: str, selector: str) -> Any:
        answer, self.was_put = SCENARIOS[scenario], False
        self.mind.answers["plan"] = plan("change") if answer is not None else '{"can":false,"why":"no"}'
        self.mind.answers["method"] = list(answer) if isinstance(answer, list) else answer
        if "meanwhile" in scenario:
            self.mind.meanwhile = self.put
        inside = "inside" in scenario
        message = Message(self.account, "asked" if inside else selector, [1], miss="mission")
        return self.kernel.submit(message)

    def put(self) -> None:
        """Somebody else's message.  It is sent on the mission's thread, where nothing may be raised in its sender."""
        traced = sys.gettrace()
        sys.settrace(None)
        try:
            self.was_put = self.kernel.send(Message(self.account, "put", ["balance", 50])).error is None
        finally:
            sys.settrace(traced)

    def one(self, number: int) -> None:
        scenario = self.rng.choice(list(SCENARIOS))
        selector = "inner_balance" if "inside" in scenario else f"grow_{number}_balance"
        if "inside" in scenario and self.method(selector) is not None:
            scenario, selector = "learned", f"grow_{number}_balance"
        # The image thread may have been lost to tracing by the last exception.
        self.image.run("trace", lambda root: sys.settrace(self.injector.trace))
        balance, last = self.balance(), self.image._db.storage.lastTransaction()
        part = self.rng.choice(list(self.long[scenario]))
        self.injector.arm(part, self.rng.randint(1, self.long[scenario][part]), self.rng.choice(KINDS))
        began = time.monotonic()
        try:
            reply = self.ask(scenario, selector).result(PATIENCE + 5)
        except TimeoutError:
            self.fault(number, scenario, "nobody answered")
            return
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.settle()
        raised, self.injector.at = self.injector.raised, None
        self.counts["missions"] += 1
        self.counts["injected"] += raised is not None
        if raised:
            self.where[raised.split(" in ")[0].rsplit(":", 1)[0]] += 1
        method = self.method(selector)
        expected = 50 if self.was_put else balance
        if reply.error is None:
            self.counts["learned all the same" if raised else "learned"] += 1
            grown = {WITHDRAW: -1, LOOP: 3}.get(SCENARIOS[scenario], 1)
            if method is None or method["selector"] != selector or self.balance() != expected + grown:
                self.fault(
                    number, scenario, f"answered {reply.result}, but {method} and balance {self.balance()}"
                )
        else:
            self.counts[f"failed: {reply.error.code}"] += 1
            if reply.error.code in ("deadline", "busy"):
                self.fault(number, scenario, f"{reply.error.code}: {reply.error}")
            if method is not None and not self.counted_as_kept(selector):
                self.fault(number, scenario, f"failed ({reply.error}), but {method} stands there")
            if self.balance() != expected:
                self.fault(
                    number, scenario, f"failed, but the balance is {self.balance()} and not {expected}"
                )
        self.mind.meanwhile = None
        self.look(number, scenario, last, failed=reply.error is not None and method is None)

    def counted_as_kept(self, selector: str) -> bool:
        """Did the mission complete?  Its message may have met an error of its own, before it or behind it."""
        ended = list(self.missions._ended.values())
        return any(each.miss.selector == selector and each.state == "COMPLETE" for each in ended)

    def settle(self) -> None:
        """Until the mission is out of every table, its record written."""
        end = time.monotonic() + 5.0
        tables = (self.missions._pending, self.missions._callbacks, self.kernel._waiting)
        while any(tables) and time.monotonic() < end:
            time.sleep(0.001)
        self.image.run("settled", lambda root: None)

    def balance(self) -> int:
        return self.image.run("look", lambda root: root.resolve(self.account).balance)

    def method(self, selector: str) -> dict[str, Any] | None:
        def look(root: Root) -> dict[str, Any] | None:
            method = root.resolve(self.account)._method(selector)
            if method is None:
                return None
            found = method.record()
            return {"selector": selector, "version": found["version"], "verdict": found["verdict"]}

        return self.image.run("look", look)

    # -- looking ----------------------------------------------------------------------------------------

    def look(self, number: int, scenario: str, last: bytes, failed: bool) -> None:
        """After every mission: tables, workers, what was committed, what is changed in memory."""
        if self.missions._pending or self.missions._callbacks or self.kernel._waiting:
            left = [*self.missions._pending, *self.missions._callbacks]
            waiting = [str(each.message) for each in list(self.kernel._waiting.values())]
            self.fault(number, scenario, f"somebody still waits: {left} {waiting}")
        if not all(thread.is_alive() for thread in (*self.missions._threads, self.image._thread)):
            self.fault(number, scenario, "a thread ended")
        if failed:
            for transaction in self.image._db.storage.iterator(_next(last)):
                if not transaction.description.startswith(EXPECTED):
                    self.fault(number, scenario, f"committed: {transaction.description.decode()}")

        def dirty(root: Root) -> list[str]:
            connection = root.connection
            return [repr(obj) for obj in connection._cache.cache_data.copy().values() if obj._p_changed]

        for each in self.image.run("look", dirty):
            self.fault(number, scenario, f"left changed in memory: {each}")

    def standing(self) -> dict[str, int]:
        """What there is of what could leak."""
        gc.collect()
        connections = sum(isinstance(each, ZODB.Connection.Connection) for each in gc.get_objects())
        return {
            "connections": connections,
            "threads": threading.active_count(),
            "descriptors": len(os.listdir("/proc/self/fd")),
        }

    def look_at_everything(self, before: dict[str, int]) -> None:
        """Every record, loaded anew, against the same object in memory; every selector one understands."""
        now = self.standing()
        for what, count in now.items():
            # ZODB keeps connections for the next to use, one for each that was open at the same time, and of the
            # data file a descriptor for each that read it at the same time.
            if count > before[what] + {"connections": 2, "descriptors": 3}.get(what, 0):
                self.fault(-1, "in the end", f"{count} {what}, {before[what]} before")

        def compare(root: Root) -> list[str]:
            wrong = []
            with self.image.past(None) as fresh:
                for oid, obj in root.connection._cache.cache_data.copy().items():
                    if obj._p_changed is None:
                        continue
                    there = fresh.get(oid)
                    there._p_activate()
                    if _told(obj) != _told(there):
                        wrong.append(
                            f"0x{u64(oid):x} is {_told(obj)} in memory and {_told(there)} in its record"
                        )
                for name, value in root["lobby"]._slots.items():
                    if isinstance(value, UvmObject):
                        for selector in value.__dict__.get("_methods", ()):
                            _, found = lookup(value, selector)
                            found.signature()
                            if isinstance(found, Missed):
                                wrong.append(f"{name}.{selector}")
            return wrong

        for each in self.image.run("compare", compare):
            self.fault(-1, "in the end", each)
        for each in self.image.run("load", lambda root: self.image.unreadable(root, 10_000_000)):
            self.fault(-1, "in the end", f"cannot be loaded: {each}")

    def fault(self, number: int, scenario: str, words: str) -> None:
        self.faults.append(f"mission {number} ({scenario}), raised at {self.injector.raised}: {words}")
        print(self.faults[-1], file=sys.stderr, flush=True)

    def close(self) -> None:
        self.system.close()

    def rows(self) -> list[Row]:
        counts = self.counts
        rows = [
            Row("missions", f"{counts['missions']:,}", "", f"{len(SCENARIOS)} kinds"),
            Row(
                "exceptions raised inside",
                f"{counts['injected']:,}",
                "",
                f"at {len(self.where)} modules' lines",
            ),
        ]
        rows += [
            Row(name, f"{n:,}") for name, n in sorted(counts.items()) if name not in ("missions", "injected")
        ]
        rows += [Row(f"raised in {name}", f"{n:,}") for name, n in self.where.most_common()]
        rows.append(Row("longest wait for an answer", f"{self.slowest:.2f} s"))
        rows.append(Row("leaked state, half installed methods, stuck waiters", str(len(self.faults)), "0"))
        return rows


def _next(tid: bytes) -> bytes:
    return (int.from_bytes(tid, "big") + 1).to_bytes(8, "big")


def _told(obj: Any) -> Any:
    """An object's state with references by oid, to compare that of two connections."""

    def told(value: Any) -> Any:
        oid = getattr(value, "_p_oid", None)
        if oid is not None:
            return oid
        if isinstance(value, dict):
            return {told(key): told(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [told(each) for each in value]
        return re.sub(r" at 0x[0-9a-f]+", "", repr(value))

    return told(obj.__getstate__())


def prove(times: int, seed: int, tell: Callable[[str], None] = lambda words: None) -> Proof:
    """Run `times` missions; the proof's `faults` is empty where nothing leaked."""
    with tempfile.TemporaryDirectory() as folder:
        proof = Proof(Path(folder), seed)
        try:
            proof.run(times, tell)
        finally:
            proof.close()
    return proof


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/prove_missions", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--times", type=int, default=10_000, help="missions (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn (%(default)s)")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # what breaks is told below, and here it breaks all the time
    proof = prove(options.times, options.seed, lambda words: print(words, file=sys.stderr, flush=True))
    print(table(proof.rows()))
    if proof.faults:
        print(f"broke with: scripts/prove_missions --times {options.times} --seed {options.seed}")
    return 1 if proof.faults else 0


if __name__ == "__main__":
    sys.exit(main())
