"""What keeps thought steady when something fails, as live objects whose state survives a restart.

`circuit_breaker_obj` holds the state of the breaker before a remote mind (pybreaker's, through `KeptBreaker`): one
that was open when the image went to sleep is open when it awakens, and whoever sets its slot `state` to ``closed``
has it closed.

`retry_table_obj` holds in `ways` what is tried next after each kind of failure, and in `tried` how often each way
was gone and how often it helped.  `Retries` walks the table for one question: no way is gone twice, whatever fails
in between, so that every question comes to an end.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from batos.errors import BatosError, Busy, Deadline, NoMind, Refused, TooLarge
from batos.objects import Dict
from batos.objects.genesis import child

CLOSED = "closed"
# Kind of failure -> what is done otherwise the next time, in this order.  A server that is away is not asked again
# the same minute: what is remembered answers instead.
WAYS = {
    "empty": ["send_back", "fewer_passages"],
    "unfounded": ["send_back", "fewer_passages", "no_conversation"],
    "unseemly": ["send_back"],
    "too_large": ["fewer_passages", "no_conversation"],
    "late": ["fewer_passages"],
    "over_budget": ["fewer_passages", "no_conversation"],
    "away": [],
}
KINDS: list[tuple[type[BatosError], str]] = [
    (TooLarge, "too_large"), (Deadline, "late"), (Refused, "over_budget"), (NoMind, "away"), (Busy, "away"),
]  # fmt: skip


def birth(root: Any) -> None:
    """Make the objects an image lacks."""
    child(root, "circuit_breaker_obj", state=CLOSED, failures=0, opened_at=None)
    table = child(root, "retry_table_obj", ways=WAYS)
    if "tried" not in table._slots:
        table.tried = Dict()


def failure_kind(exc: BatosError) -> str:
    """The row of the table for what a mind raised; ``away`` for what no row knows."""
    return next((kind for each, kind in KINDS if isinstance(exc, each)), "away")


class Retries:
    """The ways that are left for one question.

    ways  of `retry_table_obj`, as plain data
    """

    def __init__(self, ways: dict[str, list[str]]):
        self._ways = ways
        self.gone: list[tuple[str, str]] = []  # (kind of failure, way), in their order

    def after(self, kind: str, possible: Callable[[str], bool]) -> str | None:
        """The next way after a failure of a kind, None where none is left; `possible` says which would change
        anything."""
        before = {way for _, way in self.gone}
        for way in self._ways.get(kind) or ():
            if way not in before and possible(way):
                self.gone.append((kind, way))
                return way
        return None


def count_ways(root: Any, gone: list[tuple[str, str]], helped: bool) -> None:
    """Write down which ways were gone; the last of them is the one that helped, where anything did."""
    tried = root["retry_table_obj"].tried
    for number, (kind, way) in enumerate(gone, 1):
        row = tried.setdefault(f"{kind}: {way}", {"times": 0, "helped": 0})
        row["times"] += 1
        row["helped"] += helped and number == len(gone)


class KeptBreaker:
    """pybreaker's state in `circuit_breaker_obj`; a `CircuitBreakerStorage` by its methods.

    image  has ``run(why, function)``; asked from the threads of the mind, never from the image's own
    """

    name = "image"

    def __init__(self, image: Any):
        self._image = image
        self._successes = 0  # since it was half open: one is enough to close it

    def _get(self, slot: str) -> Any:
        return self._image.run(
            "look at the circuit breaker", lambda root: getattr(root["circuit_breaker_obj"], slot)
        )

    def _put(self, slot: str, value: Any) -> None:
        def write(root: Any) -> None:
            if getattr(root["circuit_breaker_obj"], slot) != value:
                setattr(root["circuit_breaker_obj"], slot, value)

        self._image.run(f"the circuit breaker's {slot}", write, "batos")

    @property
    def state(self) -> str:
        return self._get("state")

    @state.setter
    def state(self, state: str) -> None:
        self._put("state", state)

    @property
    def counter(self) -> int:
        return self._get("failures")

    def increment_counter(self) -> None:
        def write(root: Any) -> None:
            root["circuit_breaker_obj"].failures += 1

        self._image.run("the mind did not answer", write, "batos")

    def reset_counter(self) -> None:
        self._put("failures", 0)

    @property
    def success_counter(self) -> int:
        return self._successes

    def increment_success_counter(self) -> None:
        self._successes += 1

    def reset_success_counter(self) -> None:
        self._successes = 0

    @property
    def opened_at(self) -> datetime | None:
        seconds = self._get("opened_at")
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

    @opened_at.setter
    def opened_at(self, moment: datetime) -> None:
        self._put("opened_at", moment.timestamp())
