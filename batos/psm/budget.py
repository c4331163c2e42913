"""Budgets: what thinking may cost, reserved before it begins and settled when it ends.

`budget_obj` keeps the limits and what was spent, in tokens, seconds and US dollars, by the request, by the
mission with its child missions, and by the day (UTC).  A request is a question of `ask` with all that is tried
to answer it, or one call of a mission.  A call of a mind reserves the most it can cost in
one turn of the image, so that neither two calls at once nor a crash between can spend the same dollar
twice: what is still reserved when an image awakens counts as spent.  A call that does not fit is refused
before any work, and what was made so far is kept.

What a token costs is the settings' to say (`mind_usd_read`, `mind_usd_written`): servers do not tell.

Minds that cost nothing reserve nothing: an embedded mind's tokens and seconds are counted when it has
spoken, and limited only where the owner says so.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from BTrees.OOBTree import OOBTree

from batos.errors import Refused
from batos.objects.genesis import child

KINDS = ("tokens", "seconds", "usd")
# No limit is `None`.  The dollars are for remote minds; a mind of one's own costs none.
LIMITS = {
    "request": {"tokens": None, "seconds": None, "usd": 0.02},
    "mission": {"tokens": None, "seconds": None, "usd": 0.05},
    "day": {"tokens": None, "seconds": None, "usd": 0.10},
}
DAYS_KEPT = 90
MISSIONS_KEPT = 200
NOTHING = (0, 0.0, 0.0, 0.0)  # spent; the last is when
TINY = 1e-12  # dollars: below what floats of a day's sum can tell apart


@dataclass(slots=True)
class Cost:
    """What a call costs, or can cost at most."""

    tokens: int = 0
    seconds: float = 0.0
    usd: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.tokens + other.tokens, self.seconds + other.seconds, self.usd + other.usd)


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars that a million tokens cost, read by the mind and written by it.

    >>> Price(read=3.0, written=15.0).of(1000, 100)
    0.0045
    """

    read: float = 0.0
    written: float = 0.0

    @property
    def free(self) -> bool:
        return not (self.read or self.written)

    def of(self, read: int, written: int) -> float:
        return (read * self.read + written * self.written) / 1e6

    def most(self, prompts: Sequence[str], written: int, window: int, seconds: float) -> Cost:
        """What a call can cost at most whose every answer has at most `written` tokens.

        No token is shorter than a byte and no prompt longer than the mind's `window`, which are the only bounds
        that hold for every tokenizer.
        """
        read = sum(min(len(each.encode("utf-8", "surrogatepass")), window) for each in prompts)
        written *= len(prompts)
        return Cost(read + written, seconds, self.of(read, written))


def birth(root: Any) -> None:
    """Make the ledger an image lacks; what a crash left reserved counts as spent."""
    budget = child(root, "budget_obj", limits=LIMITS)
    for slot in ("days", "missions", "reserved"):
        if slot not in budget._slots:
            # Trees and not our own containers: upkeep leaves no change records, and nobody takes it back.
            setattr(budget, slot, OOBTree())
    for key, (day, mission, *most) in list(budget.reserved.items()):
        _add(budget, day, mission, Cost(*most))
        del budget.reserved[key]


class Budget:
    """The ledger of an awake image.

    image  has ``run(why, function)``; every entry is one turn, and turns never overlap
    today  the day as text; tests hand in their own
    price  of the mind that thinks for the image; one of its own costs nothing
    """

    def __init__(
        self,
        image: Any,
        today: Callable[[], str] = lambda: time.strftime("%Y-%m-%d", time.gmtime()),
        price: Price = Price(),
    ):
        self._image = image
        self._today = today
        self.price = price
        self._lock = threading.Lock()
        self._free: dict[str, Cost] = {}  # spent and not yet written, by mission

    @contextmanager
    def spending(self, most: Cost, mission: str = "", whole: bool = False) -> Iterator[Cost]:
        """Reserve `most`, give the cost to fill in, settle what it says: of a call that raised, all of `most`
        unless it filled something in.  Where the mind costs no money and no limit on tokens or seconds is set,
        what it spent is only counted, and written by whoever keeps the mission's record (`take`).

        mission  the id of the outermost mission the call is made for
        whole    all calls of the mission are one request, and not each of its own

        Raises `Refused` (rule ``budget``) before anything is spent where a limit would be passed.
        """
        if self.price.free and not self._limited():
            spent = Cost()
            try:
                yield spent
            finally:
                with self._lock:
                    self._free[mission] = self._free.get(mission, Cost()) + spent
            return
        key = self._reserve(most, mission, whole)
        spent = Cost(-1)
        try:
            yield spent
        finally:
            self._settle(key, most if spent.tokens < 0 else spent)

    def told(self) -> dict[str, Any]:
        """Limits, what was spent today and what is left of it, what is reserved, and the price of the mind."""
        day = self._today()

        def look(root: Any) -> dict[str, Any]:
            budget = root["budget_obj"]
            spent, limit = budget.days.get(day, NOTHING), budget.limits.get("day") or {}
            left = zip(KINDS, spent, strict=False)
            return {
                "limits": {scope: dict(limit) for scope, limit in budget.limits.items()},
                "today": dict(zip(KINDS, spent, strict=False)),
                "left": {kind: limit[kind] - gone for kind, gone in left if limit.get(kind) is not None},
                "reserved": len(budget.reserved),
                "usd_a_million_tokens": {"read": self.price.read, "written": self.price.written},
            }

        return self._image.run("look at the budget", look)

    def _limited(self) -> bool:
        def look(root: Any) -> bool:
            limits = root["budget_obj"].limits.values()
            return any(each.get(kind) is not None for each in limits for kind in ("tokens", "seconds"))

        return self._image.run("look at the budget", look)

    def take(self, mission: str) -> Callable[[Any], None]:
        """What writes down, in a turn of the caller's, what the mission has spent without being asked."""
        day = self._today()
        with self._lock:
            spent = self._free.pop(mission, None)

        def write(root: Any) -> None:
            if spent is not None:
                _add(root["budget_obj"], day, mission, spent)

        return write

    def _reserve(self, most: Cost, mission: str, whole: bool = False) -> str:
        day, key = self._today(), uuid.uuid4().hex

        def write(root: Any) -> None:
            budget = root["budget_obj"]
            _check(budget, day, mission, most, whole)
            budget.reserved[key] = (day, mission, most.tokens, most.seconds, most.usd)

        self._image.run("reserve", write)
        return key

    def _settle(self, key: str, spent: Cost) -> None:
        def write(root: Any) -> None:
            budget = root["budget_obj"]
            one = budget.reserved.pop(key, None)
            if one is not None:
                _add(budget, *one[:2], spent)

        self._image.run("settle", write)


def _check(budget: Any, day: str, mission: str, most: Cost, whole: bool) -> None:
    """Does `most` fit below every limit, with what is spent and reserved?"""
    by_mission = budget.missions.get(mission, NOTHING) if mission else NOTHING
    spent_of = {"request": by_mission if whole else NOTHING, "day": budget.days.get(day, NOTHING)}
    if mission:
        spent_of["mission"] = by_mission
    all_held = list(budget.reserved.values())
    of_mission = [one for one in all_held if one[1] == mission]
    held_by = {
        "request": of_mission if whole else [],
        "mission": of_mission,
        "day": [one for one in all_held if one[0] == day],
    }
    for scope, spent in spent_of.items():
        limits = budget.limits.get(scope) or {}
        for number, kind in enumerate(KINDS):
            limit = limits.get(kind)
            if limit is None:
                continue
            left = limit - spent[number] - sum(one[2 + number] for one in held_by[scope])
            if getattr(most, kind) > left + TINY:
                raise Refused(
                    f"this could cost {getattr(most, kind):g} {kind}, and of the {limit:g} a {scope} may cost "
                    f"{left:g} are left; nothing was spent",
                    rule="budget",
                    hint="look with: send kernel budget, and raise it with: send budget_obj put limits JSON",
                )


def _add(budget: Any, day: str, mission: str, spent: Cost) -> None:
    for table, name, kept in ((budget.days, day, DAYS_KEPT), (budget.missions, mission, MISSIONS_KEPT)):
        if not name:
            continue
        before = table.get(name, NOTHING)
        table[name] = (*(before[n] + getattr(spent, kind) for n, kind in enumerate(KINDS)), time.time())
        if len(table) > 2 * kept:
            for _, old in sorted((each[-1], key) for key, each in table.items())[:kept]:
                del table[old]
