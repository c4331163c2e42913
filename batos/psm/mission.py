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
from batos.mind.personas import INFER, facet_intent
from batos.objects import List, Method, UvmObject
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
    parent: Mission | None = None  # the mission that missed something itself and waits for this one
    depth: int = 0  # of missions inside missions, and of missions one message has needed before
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    tree: str = ""  # the id of the outermost mission
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
    # Examples that plans propose, and whether they stand.
    proposed: list[dict[str, Any]] = field(default_factory=list)
    drafts: list[dict[str, Any]] = field(default_factory=list)
    counters: list[dict[str, Any]] = field(default_factory=list)  # where the drafts so far disagree
    known: set[str] = field(default_factory=set)  # what the rounds so far have shown; see `learned_anything`
    children: list[str] = field(default_factory=list)  # ids of the missions it opened
    passages: list[dict[str, Any]] | None = None  # of the fractal memory; None: not looked for yet
    kin: list[Any] | None = None  # methods that may mean the same (`psm.kin`); None: not looked for yet
    rounds: int = 0
    chosen: dict[str, Any] | None = None
    confidence: float | None = None  # that what was agreed on is right, calibrated (`psm.confidence`)
    why: str | None = None
    error: BaseException | None = None
    committing: bool = False  # from here on only the image knows whether it was kept
    seconds: float | None = None
    # The last reply to a message that did not wait, and all of them by their messages' ids.
    answer: Any = None
    answers: dict[str, Any] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)  # of its calls of the mind: tokens, seconds, usd
    question: Any = (
        None  # what a mission for words is asked (`psm.weaving.Question`); None: it is for a method
    )
    cancelled: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.tree = self.tree or (self.parent.tree if self.parent else self.id)

    def learned_anything(self, shown: set[str]) -> bool:
        """Has a round shown anything that no earlier one had?  A round that has not is a loop, however much
        it waited for; `shown` are digests of what it brought."""
        new = shown - self.known
        self.known |= shown
        return bool(new)

    @property
    def key(self) -> tuple[str, str]:
        """What senders share it by; a question is nobody else's."""
        return self.miss.key if self.question is None else (self.miss.oid, self.id)

    @property
    def product(self) -> str | None:
        """What it came to: the source of a method, or the words of an answer; None before."""
        if self.question is not None:
            return self.question.woven.get("answer")
        return (self.chosen or {}).get("source")

    def spend(self, cost: Any) -> None:
        """Count what a call of the mind cost."""
        for name in ("tokens", "seconds", "usd"):
            self.cost[name] = self.cost.get(name, 0) + getattr(cost, name)

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
            "proposed": self.proposed,
            "kin": [{"selector": each.selector, "likeness": each.likeness} for each in self.kin or ()],
            "passages": self.passages or [],
            "drafts": self.drafts,
            "rounds": self.rounds,
            "counters": self.counters,
            "method": self.chosen,
            "confidence": self.confidence,
            "why": self.why,
            "parent": self.parent.id if self.parent else None,
            "children": self.children,
            "states": self.history,
            "answer": self.answer,
            "answers": self.answers,
            "cost": self.cost,
            "words": self.question.told() if self.question is not None else None,
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
    facet = facet_intent(receiver, selector)
    if facet is not None:  # first, so that it is among those a small mind is shown
        selectors = {INFER: ["query", "system_prompt"], **selectors}
    near = {name: value for _, name, value in visible(receiver) if not isinstance(value, Method)}
    near |= {f"¢{index}": value for index, value in enumerate(args)}
    return {
        "schema": SCHEMA,
        "others": {name: told for name, value in near.items() if (told := _neighbour(value)) is not None},
        "receiver": path,
        "oid": oid_text(receiver),
        "selector": selector,
        "args": [_shown(each) for each in args],
        "kw": {name: _shown(value) for name, value in kw.items()},
        "slots": slots,
        "selectors": selectors,
        "facet": facet,
    }


def _neighbour(value: Any) -> dict[str, Any] | None:
    """What a mind is told of an object in a slot or an argument, or of the first of a list of them: its own data
    slots and methods; None for anything else."""
    if isinstance(value, List) and len(value):
        value = value[0]
    if type(value) is not UvmObject:  # in a replay what lies outside the circle is a kind of its own
        return None
    own = list(value._own_slots())
    return {
        "slots": {name: _shown(each) for name, each in own if not isinstance(each, Method)},
        "selectors": {name: [one.lstrip("*") for one in each.signature()]
                      for name, each in own if isinstance(each, Method) and each.primitive is None},
    }  # fmt: skip


def _shown(value: Any) -> Any:
    """A live value in a brief: plain Python containers again, sets as sets, cut to what shows the kind."""
    from batos.objects.containers import Set

    if isinstance(value, UvmObject):
        return AN_OBJECT
    if isinstance(value, (Set, set, frozenset)):
        return {AN_OBJECT if isinstance(each, UvmObject) else each for each in list(value)[:SHOWN_ITEMS]}
    try:
        return abridged(encode(value, lambda _: AN_OBJECT))
    except (NotPlain, TypeError):  # a set in it holds objects, which have no order
        return AN_OBJECT


def shape_of(brief: dict[str, Any]) -> dict[str, str]:
    """Slot names and the coarse kinds of their values: what a method relies on when it is replayed."""
    return {name: "number" if isinstance(value, (int, float)) else type(value).__name__
            for name, value in brief["slots"].items()}  # fmt: skip
