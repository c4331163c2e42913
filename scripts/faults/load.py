"""The mixed load of one life of an image, what its senders wrote down, and what the image must then say.

Every life has objects of its own, so that what it left can be compared to the letter, also many lives
later.  A message is `answered`, `refused` (an error came: nothing was done) or `unanswered` (the image
died first: done or not, but never half and never twice).  Each check below states one of those promises
about one kind of message.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from batos import AsyncClient, Client, Image
from batos.errors import BatosError, NobodyAwake
from batos.message import Message, Reply
from batos.objects import send
from batos.objects.plain import plain
from scripts.faults.telling import as_text, demand

COINS = 1_000_000
KINDS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "ledger_kind": (
        {"entries": []},
        ["def add(self, entry):\n    self.entries.append(entry)\n    return len(self.entries)"],
    ),
    "counter_kind": ({"n": 0}, ["def increase(self, by):\n    self.n += by\n    return self.n"]),
    "shelf_kind": (
        {"books": {}},
        ["def place(self, key, value):\n    self.books[key] = value\n    return value"],
    ),
    "purse_kind": ({"coins": COINS}, ["def pay_in(self, n):\n    self.coins += n\n    return self.coins"]),
    "bank_kind": (
        {"name": "bank"},
        [
            "def move(self, n):\n    self.left.pay_in(-n)\n    self.right.pay_in(n)\n    return n",
            "def total(self):\n    return self.left.coins + self.right.coins",
        ],
    ),
}
# What a client sends next, drawn with these weights.
MIX = {
    "add": 25, "increase": 12, "loosely": 8, "place": 14, "move": 12, "total": 8, "clone": 4, "define": 3, "pair": 4,
}  # fmt: skip
KEYED = 0.6  # of the messages that may carry an idempotency key
NOUNS = ["snirps", "wuggles", "zorbels", "quibs", "plims", "dreeks", "flooms", "gravs"]


@dataclass(slots=True, eq=False)
class Sent:
    """One message: what it was for, and what became of it as far as its sender knows."""

    kind: str
    client: int
    message: Message
    detail: Any = None
    outcome: str = "unanswered"
    result: Any = None
    error: str = ""
    mission: str | None = None

    @property
    def key(self) -> str | None:
        return self.message.idem

    def take(self, reply: Reply) -> None:
        """Write down what came back."""
        if reply.error is None:
            self.outcome, self.result, self.mission = "answered", reply.result, reply.mission
        else:
            self.outcome, self.error = "refused", f"{reply.error.code}: {reply.error}"


def deliver(client: Client, sent: Sent) -> Reply | None:
    """Send it and write down what came back; None if nothing did."""
    try:
        reply = client.call(sent.message)
    except NobodyAwake:
        return None
    sent.take(reply)
    return reply


Ask = Callable[..., Any]  # ask(receiver, selector, *args) -> plain data, or raises


def make_kinds(ask: Ask) -> None:
    """The prototypes that the objects of every life are clones of."""
    for name, (slots, methods) in KINDS.items():
        ask("lobby", "clone", called=name, **slots)
        for source in methods:
            ask(name, "define", source)


@dataclass
class Life:
    """The objects of one life and every message that was sent to them."""

    number: int
    sent: list[Sent] = field(default_factory=list)  # list.append is atomic: all clients write here

    def name(self, kind: str) -> str:
        return f"{kind}_{self.number}"

    def make(self, ask: Ask) -> None:
        """The objects of this life, acknowledged before the load begins."""
        ask("ledger_kind", "clone", called=self.name("ledger"))
        for kind in ("counter", "loose"):
            ask("counter_kind", "clone", called=self.name(kind))
        ask("shelf_kind", "clone", called=self.name("shelf"))
        for kind in ("left", "right"):
            ask("purse_kind", "clone", called=self.name(kind))
        ask(
            "bank_kind", "clone", called=self.name("bank"),
            left={"$ref": self.name("left")}, right={"$ref": self.name("right")},
        )  # fmt: skip
        ask("lobby", "clone", called=self.name("taught"), told=0)

    # -- sending -------------------------------------------------------------------------------------

    def draw(self, rng: random.Random, client: int, count: int) -> Sent:
        """The next message of a client; `count` is unique within the client."""
        kind = rng.choices(list(MIX), weights=list(MIX.values()))[0]
        unique = f"{self.number}-{client}-{count}"
        key = f"key-{unique}" if rng.random() < KEYED else None
        if kind == "add":
            return self._sent("add", client, "ledger", "add", [unique], key, unique)
        if kind == "increase":
            return self._sent("increase", client, "counter", "increase", [count % 7 + 1], f"key-{unique}")
        if kind == "loosely":
            return self._sent("loosely", client, "loose", "increase", [count % 5 + 1], None)
        if kind == "place":
            book = f"book {client}-{count % 5}"
            return self._sent("place", client, "shelf", "place", [book, count], key, (book, count))
        if kind == "move":
            return self._sent("move", client, "bank", "move", [count % 9 + 1], key)
        if kind == "total":
            return self._sent("total", client, "bank", "total", [], None)
        if kind == "define":
            selector = f"chapter_{client}"
            source = f"def {selector}(self):\n    return {count}"
            return self._sent("define", client, "taught", "define", [source], key, (selector, count))
        if kind == "pair":  # two slots of one object in one message: both or neither
            name = f"pair_{unique}".replace("-", "_")
            made = {"called": name, "words": [unique, unique], "n": count}
            return self._sent("clone", client, "lobby", "clone", [], key, (name, made), made)
        name = f"thing_{unique}".replace("-", "_")
        made = {"called": name, "n": count}
        return self._sent("clone", client, "lobby", "clone", [], key, (name, made), made)

    def _sent(
        self,
        kind: str,
        client: int,
        receiver: str,
        selector: str,
        args: list[Any],
        key: str | None,
        detail: Any = None,
        kw: dict[str, Any] | None = None,
    ) -> Sent:
        to = receiver if receiver == "lobby" else self.name(receiver)
        sent = Sent(kind, client, Message(to, selector, args, kw or {}, idem=key), detail)
        self.sent.append(sent)
        return sent

    def mission(self, client: Client, count: int) -> Sent:
        """A message nobody taught, to an object of its own: its mission subtracts 30 of 100."""
        noun = NOUNS[count % len(NOUNS)]
        name, selector = f"pupil_{self.number}_{count}", f"withdraw_{noun}"
        made = Sent(
            "made", -1, Message("lobby", "clone", [], {"called": name, noun: 100}, idem=f"key-{name}")
        )
        if deliver(client, made) is None or made.outcome != "answered":
            return made
        message = Message(name, selector, [30], idem=f"key-{name}-{selector}", miss="mission")
        sent = Sent("mission", -1, message, (name, noun, selector))
        self.sent.append(sent)
        deliver(client, sent)
        return sent

    def of(self, kind: str) -> list[Sent]:
        return [each for each in self.sent if each.kind == kind]

    # -- what must be true ---------------------------------------------------------------------------

    def retry(self, client: Client, rng: random.Random, missions: bool) -> Counter[str]:
        """Send every unanswered keyed message again under its key, and a few answered ones: they must be
        answered from the record.  `missions`: also those for which the mind has to be there."""
        count: Counter[str] = Counter()
        for sent in self.sent:
            if sent.key is None or sent.outcome != "unanswered" or (sent.kind == "mission" and not missions):
                continue
            reply = deliver(client, sent)
            demand(reply is not None, f"{describe(sent)}: the image went away while nobody killed it")
            count["retried"] += 1
            count["replayed"] += reply.replayed
            demand(
                not sent.error.startswith("conflict"),
                f"{describe(sent)}: its effect was there without the record of its key: {sent.error}",
            )
        answered = [each for each in self.sent if each.key and each.outcome == "answered"]
        for sent in rng.sample(answered, min(8, len(answered))):
            again = client.call(sent.message)
            demand(
                again.error is None and again.replayed and as_text(again.result) == as_text(sent.result),
                f"{describe(sent)} was answered {sent.result!r}; under the same key again it was "
                f"{again.error or again.result!r}, replayed: {again.replayed}",
            )
            count["answered ones asked again"] += 1
        return count

    def check(self, ask: Ask) -> None:
        """Everything this life acknowledged is there, once, whole; raises `Violation`."""
        for check in (self._adds, self._counters, self._places, self._moves, self._clones, self._definitions):
            check(ask)
        for sent in self.of("mission"):
            check_mission(ask, sent)

    def _adds(self, ask: Ask) -> None:
        entries = ask(self.name("ledger"), "entries")
        count, sent = Counter(entries), {each.detail: each for each in self.of("add")}
        for entry, times in count.items():
            demand(entry in sent, f"{self.name('ledger')} holds {entry!r}, which nobody added")
            demand(times == 1, f"{describe(sent[entry])} was applied {times} times")
        for entry, each in sent.items():
            demand(
                each.outcome != "answered" or count[entry] == 1,
                f"{describe(each)} was acknowledged and is lost",
            )
            demand(
                each.outcome != "refused" or count[entry] == 0,
                f"{describe(each)} was refused, yet it is there",
            )
        where = {entry: at for at, entry in enumerate(entries, 1)}
        for entry, each in sent.items():
            demand(
                each.outcome != "answered" or each.result == where[entry],
                f"{describe(each)} was answered {each.result}, but stands at {where.get(entry)}",
            )
        for client in {each.client for each in sent.values()}:
            mine = [
                where[each.detail]
                for each in self.of("add")
                if each.client == client and each.detail in where
            ]
            demand(
                mine == sorted(mine),
                f"{self.name('ledger')}: the entries of client {client} changed their order",
            )

    def _counters(self, ask: Ask) -> None:
        for kind, receiver in (("increase", "counter"), ("loosely", "loose")):
            n = ask(self.name(receiver), "n")
            low = sum(each.message.args[0] for each in self.of(kind) if each.outcome == "answered")
            high = low + sum(each.message.args[0] for each in self.of(kind) if each.outcome == "unanswered")
            demand(
                low <= n <= high,
                f"{self.name(receiver)} counts {n}; acknowledged were {low}, at most {high} sent",
            )

    def _places(self, ask: Ask) -> None:
        books = ask(self.name("shelf"), "books")
        sent: dict[str, list[Sent]] = {}
        for each in self.of("place"):
            sent.setdefault(each.detail[0], []).append(each)
        demand(
            set(books) <= set(sent),
            f"{self.name('shelf')} holds books nobody placed: {set(books) - set(sent)}",
        )
        for book, puts in sent.items():
            answered = [each.detail[1] for each in puts if each.outcome == "answered"]
            later = [
                each.detail[1]
                for each in puts
                if each.outcome == "unanswered" and each.detail[1] > max(answered, default=-1)
            ]
            possible = [max(answered, default=None), *later]
            demand(
                books.get(book) in possible,
                f"{self.name('shelf')}: {book!r} is {books.get(book)}, possible were {possible}",
            )

    def _moves(self, ask: Ask) -> None:
        left, right = ask(self.name("left"), "coins"), ask(self.name("right"), "coins")
        demand(
            left + right == 2 * COINS,
            f"{self.name('bank')}: half a move: {left} and {right} are not {2 * COINS}",
        )
        low = sum(each.message.args[0] for each in self.of("move") if each.outcome == "answered")
        high = low + sum(each.message.args[0] for each in self.of("move") if each.outcome == "unanswered")
        demand(
            low <= right - COINS <= high,
            f"{self.name('right')} got {right - COINS}; acknowledged were {low}, at most {high} sent",
        )
        for each in self.of("total"):
            demand(
                each.outcome != "answered" or each.result == 2 * COINS,
                f"{describe(each)} saw half a move: {each.result} instead of {2 * COINS}",
            )

    def _clones(self, ask: Ask) -> None:
        for each in self.of("clone"):
            name, made = each.detail
            try:
                own = ask(name, "slots")["own"]
            except BatosError as error:
                demand(error.code == "no_such_object", f"{describe(each)} left {name} unusable: {error}")
                demand(
                    each.outcome != "answered", f"{describe(each)} was acknowledged, but there is no {name}"
                )
                continue
            demand(each.outcome != "refused", f"{describe(each)} was refused, yet there is {name}")
            wanted = {slot: value for slot, value in made.items() if slot != "called"}
            seen = {slot: own.get(slot) for slot in wanted}
            demand(seen == wanted, f"{describe(each)} left half a clone: {own}")

    def _definitions(self, ask: Ask) -> None:
        by_selector: dict[str, list[Sent]] = {}
        for each in self.of("define"):
            by_selector.setdefault(each.detail[0], []).append(each)
        taught = self.name("taught")
        for selector, sent in by_selector.items():
            answered = [each.detail[1] for each in sent if each.outcome == "answered"]
            if not ask(taught, "responds_to", selector):
                demand(
                    not answered,
                    f"{taught} forgot {selector!r}, whose version {answered[-1:]} was acknowledged",
                )
                continue
            versions = whole_versions(ask, taught, selector)
            numbers = [
                int(re.findall(r"^\+ *return (\d+)", each["diff"], re.MULTILINE)[0]) for each in versions
            ]
            demand(
                set(answered) <= set(numbers)
                and numbers == sorted(numbers)
                and len(set(numbers)) == len(numbers),
                f"{taught} {selector!r} has the versions {numbers}; acknowledged were {answered}",
            )
            demand(
                set(numbers) <= {each.detail[1] for each in sent if each.outcome != "refused"},
                f"{taught} {selector!r} has versions that were refused: {numbers}",
            )
            said = ask(taught, selector), ask(taught, "source", selector).split()[-1]
            demand(
                said == (numbers[-1], str(numbers[-1])),
                f"{taught} {selector!r} answers {said}, its newest version {numbers[-1]}",
            )

    def reading(self, ask: Ask) -> str:
        """What this life's objects say, as one text: it must never change again."""
        names = {
            "ledger": "entries",
            "counter": "n",
            "loose": "n",
            "shelf": "books",
            "left": "coins",
            "right": "coins",
        }
        told = {name: ask(self.name(name), slot) for name, slot in names.items()}
        return as_text(told | {"taught": ask(self.name("taught"), "slots")["own"]})


def check_mission(ask: Ask, sent: Sent) -> None:
    """No half mission: a selector is understood with a whole version record and its mission's own, or not at all."""
    name, noun, selector = sent.detail
    value = ask(name, noun)
    if not ask(name, "responds_to", selector):
        demand(value == 100, f"{name} was changed to {value} by {selector!r}, which it does not understand")
        demand(
            sent.outcome != "answered",
            f"{describe(sent)} was acknowledged, but {selector!r} is not understood",
        )
        return
    newest = whole_versions(ask, name, selector)[-1]
    demand(
        bool(newest["mission"]),
        f"{name} learned {selector!r} without a mission in its version record: {newest}",
    )
    record = ask("kernel", "mission", newest["mission"])
    demand(
        record["state"] == "COMPLETE" and record["send"] == selector,
        f"{name} understands {selector!r}, but its mission {newest['mission']} is {record['state']}",
    )
    wanted = (70,) if sent.outcome == "answered" else (100,) if sent.outcome == "refused" else (70, 100)
    demand(value in wanted, f"{name} {noun} is {value} after {describe(sent)} ({sent.outcome})")


def whole_versions(ask: Ask, name: str, selector: str) -> list[dict[str, Any]]:
    """The versions of a method, oldest first, each of which must be complete."""
    versions = sorted(ask(name, "versions", selector), key=lambda each: each["version"])
    demand(bool(versions), f"{name} understands {selector!r} without any version of it")
    for each in versions:
        missing = [part for part in ("version", "author", "time", "verdict", "diff") if not each.get(part)]
        demand(not missing, f"{name} {selector!r}: version {each.get('version')} has no {', '.join(missing)}")
    return versions


def describe(sent: Sent) -> str:
    message = sent.message
    key = f" under {message.idem}" if message.idem else ""
    return f"{message.send} {message.args or message.kw} to {message.to}{key}"


def client_load(endpoint: str, life: Life, client: int, seed: str, stop: threading.Event) -> None:
    """One client of a life: messages one after another until it is told to stop or nobody is there."""
    rng = random.Random(f"{seed}/{life.number}/{client}")
    with Client(endpoint) as door:
        count = 0
        while not stop.is_set():
            count += 1
            if deliver(door, life.draw(rng, client, count)) is None:
                return
            if rng.random() < 0.02:
                time.sleep(rng.random() * 0.05)


def crowd_load(endpoint: str, life: Life, clients: range, seed: str, stop: threading.Event) -> None:
    """Many clients over one connection, so that many messages share a commit and many are unanswered at a kill."""

    async def one(door: AsyncClient, client: int) -> None:
        rng = random.Random(f"{seed}/{life.number}/{client}")
        count = 0
        while not stop.is_set():
            count += 1
            sent = life.draw(rng, client, count)
            try:
                sent.take(await door.call(sent.message))
            except NobodyAwake:
                return

    async def all_of_them() -> None:
        async with AsyncClient(endpoint) as door:
            await asyncio.gather(*(one(door, client) for client in clients))

    asyncio.run(all_of_them())


def inside(image: Image) -> Any:
    """`ask(receiver, selector, ...)` in a turn of an image opened in this process."""

    def ask(to: str, selector: str, *args: Any, **kw: Any) -> Any:
        with image.turn(f"{selector} to {to}") as root:
            return plain(send(root.resolve(to), selector, args, kw), root.path_of)

    return ask
