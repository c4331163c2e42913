"""Change records: who changed what, when and why, message by message.

A commit that changed objects writes one `Changes`, with one record for each of its messages, so that
strangers who shared the commit are told apart.  It stands in the root's tree ``changes`` under its
*moment*, and each object it changed carries that moment as `_last_change`; the record in turn knows
the object's moment before.  So the past of an object is a chain that starts in the object itself and
costs no index.  Entries (`objects.undo_log`) hold the values themselves, an object as a reference and
of a container what went in and out; what a record refers to stays in the image as long as the record.

Records outlive a pack; they go by the rule of `retention`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from BTrees.OOBTree import OOTreeSet
from persistent import Persistent

from batos.errors import Conflict, NotUnderstood
from batos.image.trees import ByMoment
from batos.objects import UvmObject
from batos.objects.containers import containers_in
from batos.objects.plain import NotPlain, plain
from batos.objects.undo_log import AFTER, BEFORE, Entry, UndoLog, apply

OF_ITS_OWN = frozenset({"batos", "heartbeat"})  # what batos did unasked is taken back by its id only
LOOKED_AT = 20_000  # records; a message further back is not found by its id


class Changes(Persistent):
    """The change records of one commit.

    messages  a tuple of dicts: id, who, why, mission, time (seconds since the epoch), entries, and
              `undoes` or `redoes` (a list of (moment, index)) where it took something back; `more` is
              true where it also changed what has no entries (an index, a blob)
    previous  the moment before this one of each object changed here, by oid

    Never written again, so its serial is the commit's transaction id for ever; what was taken back
    stands in the root's tree ``undone``.
    """

    def __init__(self, messages: tuple[dict[str, Any], ...], previous: dict[bytes, int | None]):
        self.messages = messages
        self.previous = previous


@dataclass(slots=True)
class Said:
    """One message's part of a commit, before it is written."""

    id: str
    who: str
    why: str
    mission: str | None
    log: UndoLog
    entries: list[Entry]
    more: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


class Moments:
    """The clock of the records: microseconds since the epoch times 1,024, and never twice the same.

    Processes that share a storage rarely meet in one number; where they do, one of them gets a conflict
    and commits again.
    """

    def __init__(self) -> None:
        self.last = 0

    def next(self) -> int:
        self.last = max(self.last + 1, int(time.time() * 1_000_000) << 10)
        return self.last


def tree(names: Any) -> ByMoment:
    """The tree of records in a connection's root; it and that of what was taken back are made if missing."""
    if "changes" not in names:
        names["changes"] = ByMoment()
    if "undone" not in names:
        names["undone"] = OOTreeSet()
    return names["changes"]


def write(names: Any, moment: int, said: list[Said]) -> Changes:
    """Write the records of a commit, just before it, into the tree; changed objects get the moment."""
    previous: dict[bytes, int | None] = {}
    for each in said:
        for obj, _, _ in each.entries:
            if obj._p_oid not in previous:
                previous[obj._p_oid] = each.log.before(obj).get("_last_change")
    now = time.time()
    messages = tuple(
        {
            "id": each.id or uuid.uuid4().hex[:16], "who": each.who, "why": each.why, "mission": each.mission, "time": now,
            "entries": tuple(each.entries), **({"more": True} if each.more else {}), **each.facts,
        }
        for each in said
    )  # fmt: skip
    commit = tree(names)[moment] = Changes(messages, previous)
    for each in said:
        for obj, _, _ in each.entries:
            Persistent.__setattr__(obj, "_last_change", moment)
    return commit


# -- looking back ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """One message in the past: its place, and the record itself."""

    moment: int
    index: int
    commit: Changes

    @property
    def message(self) -> dict[str, Any]:
        return self.commit.messages[self.index]

    @property
    def place(self) -> tuple[int, int]:
        return self.moment, self.index

    def told(self, undone: Container[tuple[int, int]]) -> dict[str, Any]:
        """The record as `log` tells it, without its entries; `undone` are the places of what was taken back."""
        said = self.message
        return {
            "message": said["id"],
            "time": said["time"],
            "tid": self.commit._p_serial.hex(),
            "who": said["who"],
            "why": said["why"],
            "mission": said["mission"],
            "changes": sum(
                len(data) if kind in ("slots", "dict") else 1 for _, kind, data in said["entries"]
            ),
            "undone": self.place in undone,
            **({"seed": said["seed"]} if "seed" in said else {}),  # of the random numbers its methods drew
        }


def newest(names: Any) -> Iterator[Record]:
    """Every record, the newest first."""
    records = names.get("changes")
    if records is None:
        return
    top = None
    while len(found := list(_some_before(records, top))):
        for moment in found:
            commit = records[moment]
            for index in range(len(commit.messages) - 1, -1, -1):
                yield Record(moment, index, commit)
        top = found[-1]


def _some_before(records: ByMoment, top: int | None) -> Iterator[int]:
    """Some moments before `top` (None: the newest), newest first: a BTree goes forwards only."""
    if not records:
        return
    span, least = 1 << 36, records.minKey()  # about a minute, doubled until something is found
    try:
        end = records.maxKey() if top is None else records.maxKey(top - 1)
    except ValueError:
        return
    while not (found := list(records.keys(max(least, end - span), end))):
        span *= 2
    yield from reversed(found)


def find(names: Any, what: str | None) -> list[Record]:
    """What `undo` means: a message by its id, all of a mission by its id, a commit by its transaction id
    if one message was in it; None is the newest message that changed something and was not taken back.

    Raises `NotUnderstood` (nothing of that name) and `Conflict` (several messages shared the commit).
    """
    undone = names.get("undone", ())
    for record in islice(newest(names), LOOKED_AT):
        said = record.message
        if what is None:
            again = "undoes" in said or "redoes" in said or record.place in undone
            if said["entries"] and said["who"] not in OF_ITS_OWN and not again:
                return [record]
        elif said["id"] == what:
            return [record]
        elif said["mission"] == what:
            return [each for each in islice(newest(names), LOOKED_AT) if each.message["mission"] == what]
        elif record.commit._p_serial.hex() == what:
            if len(record.commit.messages) > 1:
                ids = ", ".join(each["id"] for each in record.commit.messages)
                raise Conflict(
                    f"{len(record.commit.messages)} messages share the commit {what}: {ids}",
                    hint="take one of them back by its own id",
                )
            return [record]
    if what is None:
        raise NotUnderstood(
            "there is nothing to undo", hint="look at what was done with: python -m batos log"
        )
    raise NotUnderstood(
        f"there is no message, mission or transaction {what!r} in the change records",
        hint="look at what was done with: python -m batos log",
    )


def undo(names: Any, what: str | None) -> tuple[list[Record], dict[str, Any]]:
    """Take back what `find` finds, newest first, in the turn that runs; answers it and the facts to record.

    Raises `Conflict` where it was taken back already, changed more than records hold, or a later message
    changed the same again.
    """
    tree(names)
    records, undone = find(names, what), names["undone"]
    for record in records:
        said = record.message
        if record.place in undone:
            raise Conflict(f"{said['why']!r} was taken back already", hint="do it again with `redo`")
        if said.get("more") and not said["entries"]:
            raise Conflict(
                f"{said['why']!r} changed what has no change record (documents, models, indexes); "
                "it has a verb of its own that takes it back",
                hint="documents: `remember --forget SOURCE`; experts: `experts`",
            )
        for entry in reversed(said["entries"]):
            apply(entry, BEFORE)
        undone.insert(record.place)
    return records, {"undoes": [record.place for record in records]}


def redo(names: Any) -> tuple[list[Record], dict[str, Any]]:
    """Do again what was taken back last; raises `NotUnderstood` and `Conflict` as `undo` does."""
    undone = names.get("undone", ())
    for record in islice(newest(names), LOOKED_AT):
        if "undoes" not in record.message or record.place in undone:
            continue
        places = [place for place in record.message["undoes"] if place[0] in names["changes"]]
        records = [Record(moment, index, names["changes"][moment]) for moment, index in places]
        if len(records) < len(record.message["undoes"]):
            break  # the record of what was taken back has gone by the rule of retention
        for each in reversed(records):
            for entry in each.message["entries"]:
                apply(entry, AFTER)
            undone.remove(each.place)
        undone.insert(record.place)
        return records, {"redoes": [each.place for each in records]}
    raise NotUnderstood(
        "nothing was taken back that could be done again", hint="look at: python -m batos log"
    )


# -- telling -----------------------------------------------------------------------------------------------


def told_of_dry_run(
    log: UndoLog, path_of: Callable[[Any], str | None], take_back: Callable[[], None]
) -> list[dict[str, Any]]:
    """What a turn changed, `{"object", "slot", "before", "after"}` each, as plain data; takes it back on the way.

    A container that belongs to no object the turn touched is told under its own oid, with no slot.
    """
    places = list(dict.fromkeys(_places(log)))
    after = [value_at(obj, slot, path_of) for obj, slot in places]
    named = [plain(obj, path_of) for obj, _ in places]
    take_back()
    return [
        {"object": name, "slot": slot, "before": value_at(obj, slot, path_of), "after": now}
        for (obj, slot), name, now in zip(places, named, after, strict=True)
    ]


def _places(log: UndoLog) -> Iterator[tuple[Any, str | None]]:
    """(object, slot) of everything that differs; a slot that holds a changed container counts as different."""
    inside: list[Any] = []
    for obj, kind, data in log.entries():
        if kind == "slots":
            yield from ((obj, name) for name in data if not name.startswith("_") and name != "*")
        else:
            inside.append(obj)
    owners = [obj for obj in log.objects() if isinstance(obj, UvmObject)] if inside else []
    for container in inside:
        found = [
            (obj, name)
            for obj in owners
            for name, value in obj._slots.items()
            if any(each is container for each in containers_in(value))
        ]
        yield from found or [(container, None)]


def value_at(obj: Any, slot: str | None, path_of: Callable[[Any], str | None]) -> Any:
    """A slot's value as plain data: a method as its version, what is missing as null."""
    if slot is None:
        value = obj
    elif slot.endswith("()"):
        method = obj._method(slot[:-2])
        return method and method.current and f"version {method.current}"
    else:
        value = obj._slots.get(slot)
    try:
        return plain(value, path_of)
    except NotPlain as exc:
        return f"({exc})"
