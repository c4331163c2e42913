"""A full disk, and a disk that fails: the n-th write or fsync of a session is refused, for every n.

Each n is a process of its own on a copy of one image: messages, an ingestion, a pack and a backup
where they are served.  It may answer errors, even end; but what it acknowledged must be there, once the
disk has space again in the same process or after a `kill -9` in the next one, and the image must awaken.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

from batos import Client
from batos.errors import NobodyAwake
from batos.message import Message
from scripts.faults import disks
from scripts.faults.disks import Trace
from scripts.faults.files import adapter, blobs_of
from scripts.faults.kills import NO_PAST
from scripts.faults.load import Life, Sent, deliver, make_kinds
from scripts.faults.telling import Clock, Violation, demand, progress, table
from scripts.living import Awake, free_tcp_endpoint

MESSAGES = 14  # in each of the two parts of a session
WAYS = {  # how the disk fails -> which recorded calls can
    "space": (disks.CREATE, disks.WRITE, disks.MKDIR, disks.RENAME, disks.LINK),
    "short": (disks.WRITE,),
    "sync": (disks.SYNC,),
}


class Full:
    """One image to begin with, and what a session on a copy of it does."""

    def __init__(self, folder: Path, seed: int):
        self.folder = folder
        self.seed = seed
        self.recorder = disks.build_recorder(folder)
        self.first = folder / "first"
        self.count: Counter[str] = Counter()
        self.served: set[str] = set()
        born = Awake(self.first, free_tcp_endpoint()).start()
        try:
            with born.client() as door:
                make_kinds(door.send)
                Life(1).make(door.send)
        finally:
            born.end()

    def session(self, number: int, fail: str) -> str:
        """One session in which `fail` ("space 7", "" for none) happens; answers what was hit.  Raises `Violation`."""
        disk = self.folder / f"disk{number}"
        shutil.copytree(self.first, disk / "image")
        freed = self.folder / f"freed{number}"
        trace = Trace(self.folder / f"trace{number}", disk)
        environ = {
            "LD_PRELOAD": str(self.recorder), "BATOS_RECORD_ROOT": str(disk), "BATOS_RECORD_TRACE": str(trace.path),
            "BATOS_RECORD_FREED": str(freed), "BATOS_RECORD_FAIL": fail, "TMPDIR": str(disk),
            "BATOS_DISK_RESERVE_BYTES": "0", **NO_PAST,
        }  # fmt: skip
        awake = Awake(disk / "image", free_tcp_endpoint(), environ=environ)
        life = Life(1)
        hit = ""
        try:
            awoke = self._awaken(awake)
            if awoke:
                self._live(awake, life, freed, disk, to_the_end=number % 2 == 0)
                awake.kill9()
            freed.touch()
            if trace.path.exists():  # not where the process ended before it touched a file
                failed = [event for event in trace.events() if event.kind == disks.FAILED]
                self.calls = Counter(event.kind for event in trace.events())
                hit = f"{disks.NAMES[failed[0].offset]} {failed[0].paths[0]}" if failed else ""
            self._afterwards(awake, life)
        finally:
            awake.end()
            shutil.rmtree(disk)
            trace.path.unlink(missing_ok=True)
            freed.unlink(missing_ok=True)
        return hit

    def _awaken(self, awake: Awake) -> bool:
        """False where the disk was full already: then it has to say so and end at once."""
        began = time.monotonic()
        try:
            awake.start()
        except AssertionError as exc:
            demand(time.monotonic() - began < 30, f"it neither awoke nor ended on the failing disk: {exc}")
            last = awake.log.read_text().strip().splitlines()[-2:]
            demand(any(each.startswith("batos: ") for each in last), f"it ended without a sentence: {last}")
            self.count["did not awaken on the failing disk, and said why"] += 1
            return False
        return True

    def _live(self, awake: Awake, life: Life, freed: Path, disk: Path, to_the_end: bool) -> None:
        """Messages and care while the disk fails, and after it has space again.

        to_the_end  False: return at the first refusal, so that the kill comes before anything is written over it
        """
        rng = random.Random(self.seed)
        cares = {
            "stage": [[str(adapter(self.folder / "adapters" / "FULL", 1))]],
            "pack": [],
            "backup": [str(disk / "backup")],
        }
        with Client(awake.endpoint, patience=10.0) as door:
            first = [life.draw(rng, at % 3, at) for at in range(MESSAGES)]
            first += [Sent(what, -1, Message("kernel", what, args)) for what, args in cares.items()]
            for sent in first:
                self._send(door, life, sent)
                if sent.outcome != "answered" and not to_the_end:
                    self.count["sessions killed at the first refusal"] += 1
                    return
            freed.touch()  # there is space again: the same process must work again, unless it has ended
            again = [life.draw(rng, at % 3, 100 + at) for at in range(MESSAGES)]
            for sent in again:
                self._send(door, life, sent)
            if awake.process.poll() is None:
                refused = [each.error for each in again if each.outcome != "answered"]
                demand(not refused, f"after there was space again: {refused[0] if refused else ''}")
            else:
                self.count["processes that ended by themselves"] += 1

    def _send(self, door: Client, life: Life, sent: Sent) -> None:
        try:
            deliver(door, sent)
        except NobodyAwake:
            return
        self.count[sent.outcome] += 1
        if sent.outcome == "refused":
            code = sent.error.split(":")[0]
            self.count[f"  refused with {code}"] += 1
            demand(
                "Traceback" not in sent.error,
                f"{sent.message.send} was answered with a traceback: {sent.error}",
            )
        if sent.message.to == "kernel" and sent.outcome == "answered":
            self.served.add(sent.message.send)

    def _afterwards(self, awake: Awake, life: Life) -> None:
        """The next awakening, without faults, finds everything."""
        awake.environ = {}
        try:
            awake.start()
        except AssertionError as exc:
            raise Violation(f"it does not awaken any more: {exc}") from exc
        with awake.client() as door:
            life.retry(door, random.Random(self.seed), missions=False)
            life.check(door.send)
            door.send("lobby", "clone", called="after_the_full_disk", n=1)
        demand(awake.stop() == 0, "the image did not go to sleep with exit code 0")
        demand(
            not blobs_of(awake.image).missing,
            f"blobs are named by records and gone: {blobs_of(awake.image).missing}",
        )


def run(every: int, seed: int) -> None:
    """Refuse every `every`-th possible call of a session, one session each; raises `Violation` after the last."""
    clock = Clock()
    broken: dict[str, list[str]] = {}
    places: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="torture-") as told:
        full = Full(Path(told).resolve(), seed)
        full.session(0, "")
        calls = full.calls
        chosen = [
            (way, at)
            for way, kinds in WAYS.items()
            for at in range(1 + seed % every, sum(calls[kind] for kind in kinds) + 1, every)
        ]
        progress(
            f"{len(chosen)} sessions; one without faults writes {disks_told(calls)}; served: {sorted(full.served)}"
        )
        for number, (way, at) in enumerate(chosen, 1):
            try:
                hit = full.session(number, f"{way} {at}")
                places[f"{way}: {hit.split(' ')[0] or 'never came so far'}"] += 1
            except Violation as exc:
                alike = broken.setdefault(str(exc)[:60], [])
                alike.append(f"{way} {at}: {exc}")
                if len(alike) == 1:
                    progress(alike[0][:3000])
            if number % 50 == 0:
                progress(f"{number} of {len(chosen)} in {clock():.0f} s")
    table(
        [
            ("sessions with a fault", len(chosen)),
            ("which call was refused", places),
            ("messages", full.count),
            ("sessions in which something was broken", sum(map(len, broken.values()))),
            *(("  of them: " + alike[0][:120], len(alike)) for alike in broken.values()),
            ("seconds", clock()),
        ]
    )
    if broken:
        raise Violation(
            f"a failing disk broke something in {len(broken)} ways, one of them: {next(iter(broken.values()))[0]}"
        )


def disks_told(calls: Counter[int]) -> str:
    return ", ".join(f"{disks.NAMES[kind]} {count}" for kind, count in sorted(calls.items()))
