"""Growing old: half an hour of load, and a walk over a million objects.

The soak asks three things of an image that is used all the time: is its memory flat, is its latency
flat, is the growth of its files explained by what was written?  The first minutes are warm-up: the mind
and the embedder load, caches fill.  The walk asks a fourth: does what was looked at leave memory again?
"""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batos import Client, Image
from batos.config import Settings
from batos.errors import BatosError, NotUnderstood
from batos.message import Message
from scripts.faults.files import DATA
from scripts.faults.kills import NO_PAST
from scripts.faults.telling import Clock, Violation, curve, demand, progress, quantile, table
from scripts.living import Awake, free_tcp_endpoint

CLIENTS = 4
PAUSE = 0.004  # seconds a client rests between two messages: load, not saturation
CACHE = 10_000  # objects: full after minutes, so that what still grows then is no cache
CUSTOMERS = 400  # objects under change
# Bounds on what is left after the warm-up.
MEMORY_AN_HOUR = 0.10  # growth of resident memory an hour, as a share of what it is
LATENCY = 1.5  # p50 of the last fifth against the first fifth
JUDGED = 600.0  # seconds; what is shorter is all warm-up
BYTES = 1.25  # bytes a changing message in the last fifth against the first fifth

METHODS = [
    """def note(self, word):
    self.words.append(word)
    if len(self.words) > 60:
        self.words.clear()
    return len(self.words)""",
    "def pay(self, n):\n    self.coins -= n\n    return self.coins",
    "def rate(self, key, value):\n    self.marks[key] = value\n    return value",
]


@dataclass
class Minute:
    """What one stretch of the soak came to."""

    at: float
    messages: int = 0
    changes: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)
    resident: float = 0.0  # MB, the process and its children
    data: int = 0  # bytes of all files of the image
    packed: bool = False


def resident(pid: int) -> float:
    """Resident memory of a process and of those it started, in MB; shared pages are counted once for each."""
    total, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{one}/status").read_text()
            total += int(status.split("VmRSS:")[1].split()[0]) if "VmRSS:" in status else 0
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += [int(each) for each in (task / "children").read_text().split()]
    return total / 1024


def bytes_of(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


class Soaking:
    def __init__(self, awake: Awake, seed: int):
        self.awake = awake
        self.seed = seed
        self.now = Minute(0.0)
        self.stop = threading.Event()

    def make(self, door: Client) -> None:
        door.send("lobby", "clone", called="customer", words=[], coins=0, marks={})
        for source in METHODS:
            door.send("customer", "define", source)
        for number in range(CUSTOMERS):
            door.send("customer", "clone", called=f"customer{number}")

    def client(self, number: int) -> None:
        rng = random.Random(f"{self.seed}/{number}")
        with Client(self.awake.endpoint, patience=10.0) as door:
            count = 0
            while not self.stop.is_set():
                count += 1
                message, changes = self.draw(rng, f"{number}-{count}")
                began = time.perf_counter()
                reply = door.call(message)
                now = self.now
                now.took.append(time.perf_counter() - began)
                now.messages += 1
                now.changes += changes and reply.error is None
                if reply.error is not None:
                    now.errors[reply.error.code] += 1
                time.sleep(PAUSE * 2 * rng.random())

    def draw(self, rng: random.Random, unique: str) -> tuple[Message, bool]:
        """A message, and whether it changes anything.  What it leaves behind is bounded: nothing grows but history."""
        name = f"customer{rng.randrange(CUSTOMERS)}"
        idem = f"soak-{unique}" if rng.random() < 0.2 else None
        what = rng.random()
        if what < 0.35:
            return Message(name, "coins"), False
        if what < 0.45:
            return Message(name, "describe"), False
        if what < 0.70:
            return Message(name, "pay", [rng.randrange(9)], idem=idem), True
        if what < 0.85:
            return Message(name, "note", [f"word {rng.randrange(10**6)}"], idem=idem), True
        if what < 0.96:
            return Message(name, "rate", [f"shop {rng.randrange(20)}", rng.randrange(10**6)], idem=idem), True
        if what < 0.97:
            source = f"def chapter_{rng.randrange(5)}(self):\n    return {rng.random()}"
            return Message(name, "define", [source]), True
        if what < 0.98:  # a clone nobody keeps: garbage for the pack
            return Message("customer", "clone", [], {"coins": rng.randrange(99)}), True
        return Message(name, rng.choice(["no_such_thing", "nobody_said_this"]), miss="error"), False

    def missions(self) -> None:
        """A mission a minute: a noun nobody knows, learned and used."""
        with Client(self.awake.endpoint, patience=10.0) as door:
            count = 0
            while not self.stop.wait(30.0):
                count += 1
                name = f"pupil{count % 20}"
                with contextlib.suppress(BatosError):
                    door.send("lobby", "clone", called=name, snirps=100)
                reply = door.call(Message(name, "withdraw_snirps", [1], miss="mission"))
                if reply.error is not None:
                    self.now.errors[f"mission: {reply.error.code}"] += 1

    def pack(self, door: Client) -> bool:
        """Pack, where that is served."""
        try:
            door.send("kernel", "pack")
        except NotUnderstood:
            return False
        return True


def run(minutes: float, seed: int, every: float = 60.0) -> None:
    """Soak for `minutes`, a sample each `every` seconds, a pack in the middle; raises `Violation`."""
    samples: list[Minute] = []
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        environ = {"BATOS_CACHE_OBJECTS": str(CACHE)} | NO_PAST
        awake = Awake(Path(folder) / "image", free_tcp_endpoint(), environ=environ).start()
        try:
            soaking = Soaking(awake, seed)
            with Client(awake.endpoint, patience=10.0) as door:
                soaking.make(door)
                threads = [
                    threading.Thread(target=soaking.client, args=(n,), daemon=True) for n in range(CLIENTS)
                ]
                threads.append(threading.Thread(target=soaking.missions, daemon=True))
                for each in threads:
                    each.start()
                print(
                    "   minute  msgs/s  changes   p50 ms   p95 ms   RSS MB     files MB  bytes/change",
                    flush=True,
                )
                size = bytes_of(awake.image)
                began, packs = clock(), False
                soaking.now = Minute(clock())
                while clock() - began < minutes * 60:
                    time.sleep(every)
                    demand(awake.process.poll() is None, "the image ended in the middle of the soak")
                    done, soaking.now = soaking.now, Minute(clock())
                    done.resident, done.data = resident(awake.pid), bytes_of(awake.image)
                    samples.append(done)
                    grown, size = done.data - size, done.data
                    print(
                        f"  {(clock() - began) / 60:7.1f} {done.messages / every:7.0f} {done.changes:8,}"
                        f" {quantile(done.took, 0.5) * 1e3:8.2f} {quantile(done.took, 0.95) * 1e3:8.2f}"
                        f" {done.resident:8.1f} {done.data / 1e6:12.2f} {grown / max(1, done.changes):13.0f}",
                        flush=True,
                    )
                    done.data = grown
                    if not packs and clock() - began > minutes * 30:
                        packs = True
                        before = bytes_of(awake.image)
                        began_pack = clock()
                        soaking.now.packed = soaking.pack(door)
                        size = bytes_of(awake.image)
                        told = f"{before / 1e6:.2f} MB before, {size / 1e6:.2f} MB after, {clock() - began_pack:.1f} s"
                        print(f"  pack: {told if soaking.now.packed else 'not served yet'}", flush=True)
                soaking.stop.set()
                for each in threads[:-1]:
                    each.join(30)
        finally:
            awake.end()
        explain(awake.image)
    judge(samples, every)


def explain(image: Path) -> None:
    """What the bytes of the data file are, by the class of the objects whose records they are."""
    from ZODB.FileStorage import FileIterator
    from ZODB.utils import get_pickle_metadata

    count, size = Counter(), Counter()
    commits = FileIterator(str(image / DATA))
    for number, commit in enumerate(commits, 1):
        for record in commit:
            if record.data:
                kind = get_pickle_metadata(record.data)[1] or "(unknown)"
                count[kind] += 1
                size[kind] += len(record.data)
    whole = (image / DATA).stat().st_size
    print(
        f"the data file: {whole / 1e6:.1f} MB in {number:,} commits, since the last pack written record by record"
    )
    for kind, total in size.most_common(8):
        print(
            f"  {kind:<20} {count[kind]:>9,} records {total / count[kind]:>8.0f} bytes each"
            f" {100 * total / whole:>6.1f} % of the file"
        )
    print(f"  {'headers and digests':<69} {100 * (whole - sum(size.values())) / whole:>6.1f} %", flush=True)


def judge(samples: list[Minute], every: float) -> None:
    """Print what came of it; raise `Violation` where it was not flat."""
    settled = samples[len(samples) // 5 :]
    errors = sum((each.errors for each in samples), Counter())
    fifth = max(1, len(settled) // 5)
    first, last = settled[:fifth], settled[-fifth:]
    slope = slope_of([each.at / 3600 for each in settled], [each.resident for each in settled])
    level = sum(each.resident for each in settled) / len(settled)

    def middle(part: list[Minute]) -> float:
        return quantile([took for each in part for took in each.took], 0.5)

    def written(part: list[Minute]) -> float:
        kept = [each for each in part if not each.packed]
        return sum(each.data for each in kept) / max(1, sum(each.changes for each in kept))

    print("resident memory, MB, by seconds")
    curve([(each.at, each.resident) for each in samples], "MB")
    table(
        [
            ("messages", sum(each.messages for each in samples)),
            ("errors (not_understood is part of the load)", errors),
            ("resident memory after warm-up, MB", level),
            ("its slope, MB an hour", slope),
            (
                "p50 ms of the first fifth; of the last",
                f"{middle(first) * 1e3:.2f}; {middle(last) * 1e3:.2f}",
            ),
            ("bytes a change of the first fifth; of the last", f"{written(first):.0f}; {written(last):.0f}"),
        ]
    )
    if len(samples) * every < JUDGED:
        print(f"  shorter than {JUDGED / 60:.0f} minutes: shown, not judged", flush=True)
        return
    strange = {code for code in errors if code not in ("not_understood",)}
    demand(not strange, f"messages were answered with errors: {errors}")
    hours = len(settled) * every / 3600
    allowed = MEMORY_AN_HOUR * level * max(hours, 0.5)
    demand(slope * hours <= allowed, f"memory grows by {slope:.1f} MB an hour on {level:.0f} MB")
    demand(middle(last) <= LATENCY * middle(first), "the latency grows")
    demand(written(last) <= BYTES * written(first), "the bytes that a change costs grow")


def slope_of(where: list[float], heights: list[float]) -> float:
    """Of the line through the points with the least squares."""
    mean_x, mean_y = sum(where) / len(where), sum(heights) / len(heights)
    spread = sum((x - mean_x) ** 2 for x in where)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(where, heights, strict=True)) / spread


# -- the walk ------------------------------------------------------------------------------------------------

SHELF = 1000  # objects in one list
OBJECT_BYTES = 2500  # generous for one small object in memory, its slots and its place in the cache included


def walk(objects: int, seed: int, cache: int = 20_000) -> None:
    """Build an image of `objects` small objects, walk over all of them twice, and watch resident memory."""
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        directory = Path(folder) / "image"
        child = os.fork()  # what building needed must not hide what walking needs
        if not child:
            code = 1
            try:
                build(directory, objects)
                code = 0
            finally:
                os._exit(code)
        demand(os.waitpid(child, 0)[1] == 0, "the image could not be built")
        built = clock()
        progress(f"{objects:,} objects built in {built:.0f} s, {bytes_of(directory) / 1e6:.0f} MB")
        points: list[tuple[float, float]] = []
        with Image.open(directory, Settings(image=directory, cache_objects=cache)) as image:
            opened = clock() - built
            base = resident(os.getpid())
            shelves = -(-objects // SHELF)
            seen = 0
            for lap in range(2):
                for shelf in range(shelves):
                    with image.turn("walk") as root:
                        seen += sum(1 for each in root.resolve("bookcase").get_shelf(shelf) if each.n >= 0)
                    if shelf % max(1, shelves // 15) == 0 or shelf == shelves - 1:
                        points.append((seen, resident(os.getpid())))
                progress(f"lap {lap + 1}: {seen:,} objects seen, {clock() - built:.0f} s")
    demand(seen == 2 * objects, f"{seen} objects were seen instead of {2 * objects}")
    most = max(height for _, height in points)
    bound = base + (cache + SHELF) * OBJECT_BYTES / 2**20
    print("resident memory, MB, by objects seen")
    curve(points, "MB")
    table(
        [
            ("objects; cache", f"{objects:,}; {cache:,} objects"),
            ("seconds to open (index of a clean stop)", opened),
            ("resident MB before the walk; at most; bound", f"{base:.0f}; {most:.0f}; {bound:.0f}"),
            ("bytes above the start for each object of the cache", (most - base) * 2**20 / cache),
        ]
    )
    if most > bound:
        raise Violation(
            f"resident memory reached {most:.0f} MB in the walk, the cache of {cache} objects explains {bound:.0f}"
        )


def build(directory: Path, objects: int) -> None:
    with Image.open(directory) as image:
        with image.turn("the library") as root:
            lobby: Any = root["lobby"]
            lobby.bookcase = lobby._clone_persistent_(shelves=[])
            lobby.bookcase.define("def get_shelf(self, at):\n    return self.shelves[at].books")
            lobby.book = lobby._clone_persistent_(n=0, title="none")
        for first in range(0, objects, SHELF):
            with image.turn("a shelf") as root:
                lobby, book = root["lobby"], root.resolve("book")
                books = [
                    book._clone_persistent_(n=n, title=f"volume {n}")
                    for n in range(first, min(first + SHELF, objects))
                ]
                root.resolve("bookcase").shelves.append(lobby._clone_persistent_(books=books))
