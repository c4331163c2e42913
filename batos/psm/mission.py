"""A mission: a miss, reified.  Plain data from the moment the message was not understood to its record.

`Brief` is what a mind is told; `Mission` is one run of the state machine with everything that was
thought, for the journal, for `kernel mission(id)` and for whoever waits.  Oids and encoded values
only: persistent objects never leave a turn.
"""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from batos.message import OWNER
from batos.objects import Method, UvmObject
from batos.objects.lookup import visible
from batos.objects.plain import NotPlain, encode, oid_text

SCHEMA = 1
SHOWN_ITEMS = 24  # of a container: enough to tell its kind, not a burden to the prompt
SHOWN_TEXT = 200


@dataclass(frozen=True, slots=True)
class Miss:
    """What the kernel takes from a `Missed` while its turn is open: the receiver by oid, values encoded."""

    oid: str
    path: str | None
    selector: str
    args: list[Any]
    kw: dict[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """Senders who miss the same selector on the same receiver share one mission."""
        return self.oid, self.selector


@dataclass(slots=True)
class Mission:
    """One mission.  `brief`, `plan`, `drafts` and the rest are filled in by its states."""

    miss: Miss
    deadline: float  # of time.monotonic
    intent: str | None = None
    examples: list[dict[str, Any]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)  # of the arguments of the message
    sender: str = OWNER
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    began: float = field(default_factory=time.time)
    state: str = "IDLE"
    history: list[dict[str, Any]] = field(default_factory=list)
    brief: dict[str, Any] = field(default_factory=dict)
    circle: dict[str, Any] = field(default_factory=dict)
    linked: Any = None
    plan: dict[str, Any] = field(default_factory=dict)
    proposals: list[dict[str, Any]] = field(default_factory=list)  # every plan, refusals too, with its votes
    plans: list[dict[str, Any]] = field(
        default_factory=list
    )  # those that say it can be done, most votes first
    drafts: list[dict[str, Any]] = field(default_factory=list)
    kin: list[Any] | None = None  # methods that may mean the same (`psm.kin`); None: not looked for yet
    rounds: int = 0
    chosen: dict[str, Any] | None = None
    why: str | None = None
    error: BaseException | None = None
    committing: bool = False  # from here on only the image knows whether it was kept
    seconds: float | None = None
    answer: Any = None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def remaining(self) -> float:
        """Seconds until the mission's own deadline."""
        return self.deadline - time.monotonic()

    def told(self) -> dict[str, Any]:
        """The mission as plain data, for `mission(id)` and its record."""
        return {
            "id": self.id,
            "to": self.miss.path or self.miss.oid,
            "send": self.miss.selector,
            "state": self.state,
            "since": self.began,
            "seconds": self.seconds if self.seconds is not None else time.time() - self.began,
            "sender": self.sender,
            "brief": self.brief,
            "plan": self.plan,
            "plans": self.proposals,
            "kin": [{"selector": each.selector, "likeness": each.likeness} for each in self.kin or ()],
            "drafts": self.drafts,
            "rounds": self.rounds,
            "method": self.chosen,
            "why": self.why,
            "states": self.history,
            "answer": self.answer,
        }

    def headline(self) -> dict[str, Any]:
        """One row of `missions`."""
        told = self.told()
        return {name: told[name] for name in ("id", "to", "send", "state", "since", "seconds", "why")}


def abridged(value: Any, depth: int = 0) -> Any:
    """Plain data that shows a value's kind and a little of it: long containers and texts are cut."""
    if isinstance(value, str):
        return value[:SHOWN_TEXT]
    if depth > 4:
        return None
    if isinstance(value, list):
        return [abridged(each, depth + 1) for each in value[:SHOWN_ITEMS]]
    if isinstance(value, dict):
        return {key: abridged(each, depth + 1) for key, each in list(value.items())[:SHOWN_ITEMS]}
    return value


class AnObject:
    """Stands in a brief where an object is: its kind matters, not its content."""

    def __repr__(self):
        return "an object"


AN_OBJECT = AnObject()


def brief_of(
    receiver: UvmObject, selector: str, args: list[Any], kw: dict[str, Any], path: str | None
) -> dict[str, Any]:
    """What a mind is told of a miss: the object's slots and methods, the message and its arguments.

    `args` and `kw` are live values.  The brief is plain Python data, objects as `AN_OBJECT`.
    """
    slots, selectors = {}, {}
    for _, name, value in visible(receiver):
        if not isinstance(value, Method):
            slots[name] = _shown(value)
        elif value.primitive is None:
            selectors[name] = [each.lstrip("*") for each in value.signature()]
    return {
        "schema": SCHEMA,
        "receiver": path,
        "oid": oid_text(receiver),
        "selector": selector,
        "args": [_shown(each) for each in args],
        "kw": {name: _shown(value) for name, value in kw.items()},
        "slots": slots,
        "selectors": selectors,
    }


def _shown(value: Any) -> Any:
    """A live value in a brief: plain Python containers again, sets as sets, cut to what shows the kind."""
    from batos.objects.containers import Set

    if isinstance(value, UvmObject):
        return AN_OBJECT
    if isinstance(value, (Set, set, frozenset)):
        return set(list(value)[:SHOWN_ITEMS])
    try:
        return abridged(encode(value, lambda _: None))
    except NotPlain:
        return AN_OBJECT


def shape_of(brief: dict[str, Any]) -> dict[str, str]:
    """Slot names and the coarse kinds of their values: what a method relies on when it is replayed."""
    return {name: "number" if isinstance(value, (int, float)) else type(value).__name__
            for name, value in brief["slots"].items()}  # fmt: skip
