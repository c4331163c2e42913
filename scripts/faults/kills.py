"""`kill -9` at random instants under mixed load, and what every next awakening must find.

A life is: awaken (sometimes killed while it does), look at what the life before left, send under load,
kill.  The instant is drawn from the whole life, and often from the milliseconds after a pack, a backup
or an ingestion has begun.  Everything about a life follows from its seed except what the machine decides.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from batos import Client, Image
from batos.errors import NobodyAwake, NotUnderstood
from batos.message import Message
from scripts.faults.files import adapter, blobs_of
from scripts.faults.load import (
    Life,
    Sent,
    check_mission,
    client_load,
    crowd_load,
    deliver,
    inside,
    make_kinds,
)
from scripts.faults.telling import Clock, Violation, demand, kept_from, progress, quantile, table
from scripts.living import Awake, free_tcp_endpoint

CLIENTS = 5  # with a connection each
CROWD = 24  # in half of the lives more of them, over one connection
SHORT = 1.2  # seconds of a life, at most
LOADING, LEARNING = 25.0, 3.0  # seconds of a long one: until the first mission is answered, and then
NO_PAST = {"BATOS_HISTORY_DAYS": "0"}  # so that a pack has something to let go
DOCUMENT = "In life {life} the till of shop {shop} was counted and found right.\n"
CARE = ("pack", "backup", "stage", "remember")  # what the caretaker of a life does, where it is served


class Killing:
    """One image under torture, through all its lives."""

    def __init__(self, folder: Path, seed: int, long_lives: float):
        self.folder = folder
        self.seed = seed
        self.rng = random.Random(seed)
        self.long_lives = long_lives
        self.awake = Awake(folder / "image", free_tcp_endpoint(), environ=NO_PAST)
        self.count: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.cared: Counter[str] = Counter()
        self.missing_care: set[str] = set()
        self.kept: dict[int, tuple[Life, str]] = {}  # what each finished life must read as, for ever
        self.unfinished: list[Life] = []  # lives with missions still to be asked again
        self.starts: list[float] = []
        self.staged: set[str] = set()  # experts whose ingestion was acknowledged
        self.remembered: set[str] = set()  # documents that were
        self.backups: dict[Path, int] = {}  # acknowledged backups: how many lives were finished before each

    # -- one life ------------------------------------------------------------------------------------

    def live(self, number: int) -> None:
        """One life from its awakening to its kill, the life before it checked in between."""
        self._awaken()
        with self._client() as door:
            if number == 1:
                make_kinds(door.send)
            self.look(door, missions=False)
            life = Life(number)
            life.make(door.send)
        long = self.rng.random() < self.long_lives
        self._load_and_kill(life, long)
        self.unfinished.append(life)

    def look(self, door: Client, missions: bool) -> None:
        """Check what unfinished lives left, and one finished life drawn at random.

        `missions`: the mind is there, so unanswered missions are sent again too."""
        ask = door.send
        for life in self.unfinished:
            if life.number in self.kept:
                continue
            for sent in life.of("mission"):
                check_mission(ask, sent)
            self.count += life.retry(door, self.rng, missions=False)
            life.check(ask)
            for each in life.sent:
                self.sent[each.outcome] += 1
                if each.outcome == "refused":
                    self.refused[f"{each.kind}: {each.error[:90]}"] += 1
            self.kept[life.number] = (life, life.reading(ask))
        if missions:
            for life in self.unfinished:
                self.count += life.retry(door, self.rng, missions=True)
                life.check(ask)
        waiting = [
            life for life in self.unfinished if any(s.outcome == "unanswered" for s in life.of("mission"))
        ]
        self.unfinished = [] if missions else waiting
        if self.kept:
            self._same(ask, self.rng.choice(list(self.kept)))

    def _same(self, ask: Any, number: int) -> None:
        life, wanted = self.kept[number]
        now = life.reading(ask)
        demand(now == wanted, f"life {number} read {wanted[:300]} when it was over, and now {now[:300]}")

    def _awaken(self) -> None:
        if self.rng.random() < 0.15:  # killed while it awakens
            child = subprocess.Popen(
                [sys.executable, "-m", "batos", "--image", str(self.awake.image), "--endpoint", self.awake.endpoint,
                 "--no-repl", "--json"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=os.environ | NO_PAST,
            )  # fmt: skip
            time.sleep(self.rng.random() * 0.7)
            child.kill()
            child.wait()
            self.count["kills while awakening"] += 1
        began = time.monotonic()
        try:
            self.awake.start()
        except AssertionError as exc:
            raise Violation(f"the image did not awaken after a kill: {exc}") from exc
        self.starts.append(time.monotonic() - began)

    def _client(self) -> Client:
        return Client(self.awake.endpoint, patience=10.0)

    def _load_and_kill(self, life: Life, long: bool) -> None:
        stop = threading.Event()
        busy = threading.Event()  # the caretaker has just begun something
        learned = threading.Event()  # the mind is loaded: a mission was answered
        where, seed = self.awake.endpoint, str(self.seed)
        work: list[Callable[[], None]] = [
            partial(client_load, where, life, number, seed, stop) for number in range(CLIENTS)
        ]
        if self.rng.random() < 0.5:
            work.append(partial(crowd_load, where, life, range(CLIENTS, CLIENTS + CROWD), seed, stop))
        work.append(partial(self._care, life, busy))
        if long or self.rng.random() < 0.2:
            work.append(partial(self._missions, life, learned))
        broken: list[BaseException] = []
        threads = [threading.Thread(target=kept_from, args=(each, broken)) for each in work]
        for each in threads:
            each.start()
        if long:
            learned.wait(LOADING)
            time.sleep(LEARNING * self.rng.random())
        elif self.rng.random() < 0.4:
            busy.wait(SHORT)
            time.sleep(self.rng.random() ** 2 * 0.15)
            self.count["kills aimed at a pack, backup or ingestion"] += busy.is_set()
        else:
            time.sleep(SHORT * self.rng.random())
        os.kill(self.awake.pid, signal.SIGKILL)
        self.awake.process.wait()
        self.count["kills"] += 1
        stop.set()
        for each in threads:
            each.join(30)
            demand(not each.is_alive(), "a client still waits for its answer 30 s after the image was killed")
        if broken:
            raise broken[0]

    # -- missions, packs, backups, ingestion ----------------------------------------------------------

    def _missions(self, life: Life, learned: threading.Event) -> None:
        with contextlib.suppress(NobodyAwake), self._client() as door:
            for count in range(1, 100):
                sent = life.mission(door, count)
                if sent.outcome == "unanswered":
                    return
                if sent.mission is not None:
                    self.count["missions answered"] += 1
                    learned.set()

    def _care(self, life: Life, busy: threading.Event) -> None:
        rng = random.Random(f"{self.seed}/{life.number}/care")
        with contextlib.suppress(NobodyAwake), self._client() as door:
            for turn in range(1000):
                time.sleep(rng.random() * 0.4)
                what = rng.choice([each for each in CARE if each not in self.missing_care])
                if what == "remember" and rng.random() < 0.7:
                    continue  # it waits seconds for the embedder, and nothing else would be done meanwhile
                sent = self._prepare(what, life, turn, rng)
                busy.set()
                if deliver(door, sent) is None:
                    self.cared[f"{what} killed"] += 1
                    return
                busy.clear()
                if sent.error.startswith("not_understood"):
                    self.missing_care.add(what)
                    progress(f"`kernel {what}` is not served yet: left out of the mix")
                elif sent.outcome == "refused":
                    self.cared[f"{what} refused"] += 1
                    progress(f"life {life.number}: `kernel {what}` was refused: {sent.error}")
                else:
                    self.cared[what] += 1
                    self._cared(what, sent, life)

    def _prepare(self, what: str, life: Life, turn: int, rng: random.Random) -> Sent:
        args: list[Any] = []
        if what == "backup":
            args = [str(self.folder / "backups" / f"{life.number // 20}")]  # full, then increments
        elif what == "stage":
            name = f"TORTURED{rng.randrange(3)}"
            args = [[str(adapter(self.folder / "adapters" / name, life.number * 100 + turn))]]
        elif what == "remember":
            file = self.folder / "documents" / f"{rng.randrange(5)}.txt"
            file.parent.mkdir(exist_ok=True)
            file.write_text(DOCUMENT.format(life=life.number, shop=turn) * 3)
            args = [[str(file)]]
        return Sent(what, -1, Message("kernel", what, args))

    def _cared(self, what: str, sent: Sent, life: Life) -> None:
        if what == "backup":
            self.backups[Path(sent.message.args[0])] = max(self.kept, default=0)
        elif what == "stage":
            demand(not sent.result["refused"], f"an adapter was refused: {sent.result['refused']}")
            self.staged |= set(sent.result["staged"])
        elif what == "remember":
            self.remembered |= set(sent.message.args[0])
        elif what == "pack":
            self.cared["pack that gave back room"] += sent.result["after_bytes"] < sent.result["before_bytes"]

    # -- at the end of some lives, and of all -----------------------------------------------------------

    def settle(self, restore: bool) -> None:
        """In quiet: pack, sleep, and look at files; `restore`: also bring an acknowledged backup back."""
        self._awaken()
        with self._client() as door:
            self.look(door, missions=False)
            packed = self._tidied(door)
        self._sleep(packed)
        if restore and self.backups:
            self._restore(*self.rng.choice(sorted(self.backups.items())))

    def _tidied(self, door: Client) -> bool:
        """Every expert that was taken in can be activated; answers whether packs are served, and one was made."""
        packed = False
        with contextlib.suppress(NotUnderstood):
            door.send("kernel", "pack")
            packed = True
        experts = {each["name"] for each in door.send("kernel", "experts")}
        demand(self.staged <= experts, f"experts were taken in and are lost: {self.staged - experts}")
        for name in experts:
            demand(
                door.send("memory_manager_obj", "activate_expert_", name, timeout=60) is True,
                f"the expert {name} cannot be activated any more",
            )
        return packed

    def _sleep(self, packed: bool) -> None:
        code = self.awake.stop()
        demand(
            code == 0, f"the image went to sleep with exit code {code}: {self.awake.log.read_text()[-2000:]}"
        )
        blobs = blobs_of(self.awake.image)
        demand(not blobs.missing, f"blobs are named by records and gone: {blobs.missing}")
        if packed:
            demand(not blobs.orphans, f"after a pack these files belong to no record: {blobs.orphans}")
            self.count["packs in quiet, no orphan blob"] += 1

    def _restore(self, backup: Path, lives: int) -> None:
        target = self.folder / "restored"
        shutil.rmtree(target, ignore_errors=True)
        again = Awake(target, free_tcp_endpoint())
        done = again.cli("restore", backup)
        demand(done.returncode == 0, f"the acknowledged backup {backup} cannot be restored: {done.stderr}")
        demand(not blobs_of(target).missing, f"the restored image lacks blobs: {blobs_of(target).missing}")
        try:
            again.start()
            with again.client() as door:
                for number in [each for each in self.kept if each <= lives]:
                    self._same(door.send, number)
        finally:
            again.end()
        shutil.rmtree(target)
        self.count["backups restored and compared"] += 1

    def finish(self) -> None:
        """Awaken once more, send what is still unanswered again, and compare every life there was, awake, asleep
        and in a backup that is brought back."""
        self._awaken()
        with self._client() as door:
            self.look(door, missions=True)
            if self.remembered:
                found = door.send("kernel", "recall", DOCUMENT.format(life="", shop=""), 10)
                lost = self.remembered - {each["source"] for each in found}
                demand(not lost, f"documents were remembered and are not recalled: {lost}")
            for number in self.kept:
                self._same(door.send, number)
            packed = self._tidied(door)
        self._sleep(packed)
        with Image.open(self.awake.image) as image:
            for number in self.kept:
                self._same(inside(image), number)
        if self.backups:
            self._restore(*self.rng.choice(sorted(self.backups.items())))


def lived(folder: Path, lives: int, seed: int) -> Path:
    """An image that was killed so many times and sleeps now."""
    killing = Killing(folder, seed, long_lives=0.0)
    try:
        for number in range(1, lives + 1):
            killing.live(number)
        killing.finish()
    finally:
        killing.awake.end()
    return killing.awake.image


def run(times: int, seed: int, long_lives: float = 0.1, keep: Path | None = None) -> None:
    """`times` kills, then the last look; raises `Violation`."""
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        killing = Killing(Path(folder), seed, long_lives)
        try:
            for number in range(1, times + 1):
                killing.live(number)
                if number % 25 == 0:
                    killing.settle(restore=number % 100 == 0)
                    progress(f"{number} kills in {clock():.0f} s")
            killing.finish()
        except BaseException:
            if keep is not None:
                shutil.copytree(killing.awake.image, keep)
                progress(f"the image as it was is kept in {keep}")
            raise
        finally:
            killing.awake.end()
    table(
        [
            ("kills", killing.count.pop("kills")),
            ("messages", killing.sent),
            ("refused", killing.refused),
            *killing.count.items(),
            ("care taken", killing.cared),
            ("awakenings, p50 s", quantile(killing.starts, 0.5)),
            ("awakenings, slowest s", max(killing.starts)),
            ("seconds", clock()),
        ]
    )
