"""A power cut at every moment of a session: what the disk then holds must still be an image with all that was
acknowledged.

The session is a real process on a recorded folder: a birth, messages of several clients, ingestion of
blobs, pack and backup where they are served.  Each acknowledgement is a mark in the trace, written by the
client when the answer has come.  Then the trace is cut at many moments in several ways, and each disk that may be left
is opened with `batos.Image`, some of them also with a real process.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
import re
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from copy import copy
from functools import partial
from pathlib import Path

from batos import Client, Image
from batos.app import restore as bring_back
from batos.config import Settings
from batos.errors import BatosError, NobodyAwake
from batos.message import Message
from scripts.faults import disks
from scripts.faults.disks import Disk, Event, Trace
from scripts.faults.files import DATA, adapter, blobs_of
from scripts.faults.kills import NO_PAST
from scripts.faults.load import Life, Sent, deliver, inside, make_kinds
from scripts.faults.telling import Clock, Violation, demand, kept_from, progress, table
from scripts.living import Awake, free_tcp_endpoint

CLIENTS = 3


class Session:
    """A recorded session: the trace, and the life whose messages it acknowledges."""

    def __init__(self, folder: Path, seed: int, messages: int, apart: Path | None):
        self.folder = folder
        self.disk = folder / "disk"
        self.disk.mkdir()
        temporary = apart or self.disk / "tmp"  # a blob that has no image yet is written there
        temporary.mkdir(exist_ok=True)
        self.trace = Trace(folder / "trace", self.disk.resolve())
        self.life = Life(1)
        self.seed = seed
        self.messages = messages
        self.served: Counter[str] = Counter()
        self.refused: list[str] = []
        self.awake = Awake(
            self.disk / "image", free_tcp_endpoint(),
            environ={
                "LD_PRELOAD": str(disks.build_recorder(folder)), "TMPDIR": str(temporary),
                "BATOS_RECORD_ROOT": str(self.disk), "BATOS_RECORD_TRACE": str(self.trace.path), **NO_PAST,
            },
        )  # fmt: skip

    def record(self) -> None:
        """Live through it, and compare the played trace with the real folder."""
        self.awake.start()
        try:
            self.trace.mark("awake")
            with Client(self.awake.endpoint) as door:
                make_kinds(door.send)
                self.life.make(door.send)
                self.trace.mark("made")
                for part in range(3):
                    caring = threading.Thread(target=self._care, args=(door, part))
                    caring.start()
                    self._send_many(self.messages // 3, part, caring)
                    caring.join()
                    demand(not self.refused, f"in the recorded session: {self.refused}")
            self._send_many(self.messages // 10 + 1, 3)
            self.awake.stop()
            self.awake.start()  # a second life: what opening and closing write
            self.trace.mark("awake")
            self._send_many(self.messages // 10 + 1, 4)
        finally:
            if self.awake.process.poll() is None:
                self.awake.process.send_signal(signal.SIGKILL)
                self.awake.process.wait()
        self.events = list(self.trace.events())
        played = Disk()
        played.begin_with(self.disk, ["tmp"])
        for event in self.events:
            played.play(event)
        swaps = [
            each for each in self.events if each.kind == disks.RENAME and each.paths[1] == f"image/{DATA}"
        ]
        demand(
            bool(swaps) or not self.served["pack"], "no pack of the session let anything go: nothing is tried"
        )
        played.compare(self.disk, apart_from=("tmp", "image.log"))
        self.last = played

    def _send_many(self, count: int, part: int, caring: threading.Thread | None = None) -> None:
        """So many messages, and on until the pack and the backup beside them are done."""

        def client(number: int) -> None:
            rng = random.Random(f"{self.seed}/{part}/{number}")
            with Client(self.awake.endpoint) as door:
                at = 0
                while at <= count // CLIENTS or (caring is not None and caring.is_alive() and at < count):
                    self._send(door, self.life.draw(rng, number, part * 10_000 + at))
                    at += 1
                    if at > count // CLIENTS:
                        time.sleep(0.01)

        broken: list[BaseException] = []
        threads = [
            threading.Thread(target=kept_from, args=(partial(client, number), broken))
            for number in range(CLIENTS)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        if broken:
            raise broken[0]

    def _send(self, door: Client, sent: Sent) -> None:
        place = self.life.sent.index(sent)
        deliver(door, sent)
        self.trace.mark({"sent": place})

    def _care(self, door: Client, part: int) -> None:
        wanted = {
            "stage": [[str(adapter(self.folder / "adapters" / f"CUT{part % 2}", part))]],
            "pack": [],
            "backup": [str(self.disk / "backup")],
        }
        for what, args in wanted.items():
            sent = Sent(what, -1, Message("kernel", what, args))
            self.trace.mark({"begun": what})
            with contextlib.suppress(NobodyAwake):
                deliver(door, sent)
            if sent.error.startswith("not_understood"):
                self.served[f"{what} is not served yet"] = 1
            elif sent.outcome == "answered":
                self.served[what] += 1
                self.trace.mark({"done": what})
            else:
                self.refused.append(f"kernel {what}: {sent.outcome} {sent.error}")

    def backed_up(self, events: int) -> Life | None:
        """What the last backup that was acknowledged before so many events must hold: what was when it began."""
        done = False
        for at in range(events, 0, -1):
            told = json.loads(self.events[at - 1].data) if self.events[at - 1].kind == disks.MARK else None
            done |= told == {"done": "backup"}
            if done and told == {"begun": "backup"}:
                return self.known(at)[0]
        return None

    def known(self, events: int) -> tuple[Life | None, bool]:
        """What had been acknowledged after so many events: the life, and whether the image had been awake."""
        born, made, answered = False, False, set()
        for event in self.events[:events]:
            if event.kind == disks.MARK:
                told = json.loads(event.data)
                born |= told == "awake"
                made |= told == "made"
                if isinstance(told, dict):
                    answered.add(told.get("sent"))
        if not made:
            return None, born
        life = Life(1)
        for place, sent in enumerate(self.life.sent):
            one = copy(sent)
            if place not in answered:
                one.outcome = "unanswered"
            life.sent.append(one)
        return life, born


def run(cuts: int, seed: int, messages: int = 150, apart: Path | None = None) -> None:
    """Cut the power in a recorded session, `cuts` times; raises `Violation` after the last one.

    apart  a folder on another file system for temporary files: from there blobs are copied, not renamed
    """
    clock = Clock()
    logging.getLogger("ZODB").setLevel(logging.CRITICAL)  # what it says of a torn index is known
    count: Counter[str] = Counter()
    broken: dict[str, list[str]] = {}  # by what was said, numbers left out
    with tempfile.TemporaryDirectory(prefix="torture-") as told:
        folder = Path(told).resolve()
        session = Session(folder, seed, messages, apart)
        session.record()
        recorded = clock()
        for what, times in session.served.items():
            progress(f"in the session: {what} {times}")
        rng = random.Random(seed)
        chosen = moments(session.events, cuts, rng)
        disk = Disk()
        disk.begin_with(session.disk, ["tmp"])
        for at, event in enumerate(session.events, 1):
            disk.play(event)
            for way in chosen.get(at, ()):
                count[way] += 1
                target = folder / "cut"
                disk.leave(target, way, random.Random(f"{seed}/{at}/{way}"))
                try:
                    examine(session, target, at, whole_process=rng.random() < 0.03)
                    if (backed_up := session.backed_up(at)) is not None and rng.random() < 0.1:
                        restore(target / "backup", backed_up, folder / "restored")
                        count["backups restored from them"] += 1
                except Violation as exc:
                    alike = broken.setdefault(re.sub(r"[0-9][0-9a-fx]*|/[^ :]*", "#", str(exc))[:150], [])
                    alike.append(f"cut after event {at} ({event}), {way}: {exc}")
                    if len(alike) == 1:
                        progress(alike[0][:1500])
                shutil.rmtree(target)
    table(
        [
            ("events recorded", Counter(disks.NAMES[event.kind] for event in session.events)),
            ("in the session", session.served),
            ("moments at which the power was cut", len(chosen)),
            ("disks opened", count),
            ("disks on which something was broken", sum(map(len, broken.values()))),
            *(("  of them: " + " ".join(alike[0].split())[-120:], len(alike)) for alike in broken.values()),
            ("seconds recording; cutting", f"{recorded:.1f}; {clock() - recorded:.1f}"),
        ]
    )
    if broken:
        raise Violation(
            f"a power cut broke something in {len(broken)} ways, one of them: {next(iter(broken.values()))[0]}"
        )


def moments(events: list[Event], cuts: int, rng: random.Random) -> dict[int, list[str]]:
    """After which events to cut, and in which ways: a third at changes of names and the two events behind them,
    a third at syncs, marks and new files, a third anywhere."""
    named, telling = (
        (disks.RENAME, disks.LINK, disks.UNLINK, disks.TRUNCATE),
        (disks.SYNC, disks.MARK, disks.CREATE),
    )
    near = {at + more for at, event in enumerate(events, 1) if event.kind in named for more in range(3)}
    told = {at for at, event in enumerate(events, 1) if event.kind in telling} - near
    rest = set(range(1, len(events) + 1)) - near - told
    chosen: dict[int, list[str]] = {}
    left = cuts
    for share, places in ((3, near), (2, told), (1, rest)):
        pairs = [(at, way) for at in sorted(places) if at <= len(events) for way in disks.WAYS]
        for at, way in rng.sample(pairs, min(len(pairs), left // share)):
            chosen.setdefault(at, []).append(way)
            left -= 1
    return chosen


def restore(backup: Path, life: Life, target: Path) -> None:
    """A backup that was acknowledged can be restored, and holds what was acknowledged before it."""
    try:
        bring_back(Settings(image=target), str(backup))
        with Image.open(target) as image:
            life.check(inside(image))
    except BatosError as exc:
        raise Violation(f"an acknowledged backup cannot be restored: {exc}") from exc
    finally:
        shutil.rmtree(target, ignore_errors=True)


def examine(session: Session, disk: Path, at: int, whole_process: bool) -> None:
    """The disk a cut left: it opens, holds what was acknowledged, and takes a message."""
    life, born = session.known(at)
    directory = disk / "image"
    if not directory.exists():
        demand(not born, "an image was awake and its folder is gone")
        return
    try:
        with Image.open(directory) as image:
            demand(not (born and image.newborn), "an image that had been awake was silently born again")
            ask = inside(image)
            if life is not None:
                life.check(ask)
            ask("lobby", "clone", called="after_the_cut", n=1)
            demand(ask("after_the_cut", "n") == 1, "what is sent after the cut is not kept")
    except Violation:
        raise
    except Exception as exc:  # whatever it is, the image is not there
        raise Violation(f"the image does not open, or does not answer: {type(exc).__name__}: {exc}") from exc
    blobs = blobs_of(directory)
    demand(not blobs.missing, f"blobs are named by records and gone: {blobs.missing}")
    for name in blobs.whole:
        parent, last = session.last.find(f"image/{name}")
        if parent is not None:
            content = (directory / name).read_bytes()
            demand(bytes(parent.names[last].data) == content, f"the blob {name} is not what was written")
    if whole_process:
        again = Awake(directory, free_tcp_endpoint())
        try:
            again.start()
            with again.client() as door:
                if life is not None:
                    life.check(door.send)
                demand(door.send("after_the_cut", "n") == 1, "what was sent after the cut is gone")
            demand(again.stop() == 0, "the image did not go to sleep with exit code 0")
        except (AssertionError, BatosError) as exc:
            raise Violation(f"as a process: {exc}") from exc
        finally:
            again.end()
