"""What the system notes about itself: bounded, typed, in the image, cheap to write.

Owned here: the kinds of events there are, the rings that keep them in `system_metrics_obj`, and the
buffer in memory that gathers them.  Events are noted from any thread and written in batches by a turn of
their own, never in the transaction they describe: a mission that fails leaves its event all the same.
What the events mean is `audits`' business.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from BTrees.LOBTree import LOBTree
from persistent import Persistent

from batos.objects import UvmObject
from batos.objects.genesis import child
from batos.objects.method import Method, primitive
from batos.objects.weight import shortly

KEPT = 5000  # events of a kind; at one a minute three days and a half, and no more than a megabyte
BUFFERED = 20_000  # events in memory before the oldest are dropped: something is wrong with writing then

Number = (int, float)

# kind -> (fields an event must have, fields it may have), each with its types.
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "psm_cycle_durations": ({"ms": Number, "outcome": str}, {"selector": str, "mission": str}),
    "psm_transitions": ({"old": str, "new": str}, {"mission": str, "ms": Number}),
    "lora_swap_latencies": ({"ms": Number, "expert": str}, {"tier": str, "evicted": (str, type(None))}),
    "guardian_verdicts": ({"verdict": str}, {"rule": (str, type(None)), "selector": str, "mission": str}),
    "probations": (
        {"outcome": str, "selector": str, "calls": int, "failed": int},
        {"why": (str, type(None)), "mission": (str, type(None))},
    ),
    "transaction_commits": ({"count": int}, {}),
    "transaction_aborts": ({"count": int}, {}),
    "expert_hits": ({"tier": str, "count": int}, {}),  # since the last time, by where they were found
    "vram": ({"used": Number, "budget": Number}, {}),
    "facets": ({"facet": str, "came": str}, {"mission": str}),  # of each answer: written for it, or reused
    "answers": ({"ms": Number, "road": str}, {"came": str}),  # of `ask`: anew, kept or degraded
}
TALLIES = ("transaction_commits", "transaction_aborts")


class Ring(Persistent):
    """The last `KEPT` events of a kind, each (seconds since the epoch, its numbers), in the order written."""

    def __init__(self):
        self._events = LOBTree()

    def add(self, events: list[tuple[float, dict[str, Any]]]) -> None:
        first = self._events.maxKey() + 1 if self._events else 0
        self._events.update(dict(enumerate(events, first)))
        # The oldest go by number: counting a BTree would load all of it.
        for old in list(self._events.keys(max=first + len(events) - 1 - KEPT)):
            del self._events[old]

    def events(self, since: float | None, last: int | None) -> list[tuple[float, dict[str, Any]]]:
        if last is not None and since is None and self._events:
            return list(self._events.values(min=self._events.maxKey() - last + 1))
        found = [event for event in self._events.values() if since is None or event[0] >= since]
        return found if last is None else found[-last:]


def system_metrics(root: Any) -> UvmObject:
    """`system_metrics_obj` with a ring for every kind, and the words to read them; a part of genesis."""
    obj = child(root, "system_metrics_obj")
    obj._p_activate()  # an object that is not loaded yet has an empty __dict__
    if "_rings" not in obj.__dict__:
        obj._rings = {}
    if set(obj._rings) != set(KINDS):
        obj._rings = {kind: obj._rings.get(kind) or Ring() for kind in KINDS}
    for selector, name in (("events", "metrics_events"), ("kinds", "metrics_kinds")):
        if obj._method(selector) is None:
            obj._install(Method(selector, primitive=name))
    return obj


def events(root: Any, kind: str, since: float | None = None, last: int | None = None) -> list[dict[str, Any]]:
    """Events of a kind in the order written, each with its "time"; since a time, or only the last ones."""
    if "system_metrics_obj" not in root:
        return []
    return _told(root["system_metrics_obj"], kind, since, last)


def _told(obj: UvmObject, kind: str, since: float | None, last: int | None) -> list[dict[str, Any]]:
    _checked(kind)
    obj._p_activate()
    ring = obj.__dict__.get("_rings", {}).get(kind)
    return (
        [{"time": when, **numbers} for when, numbers in ring.events(since, last)] if ring is not None else []
    )


def performance(root: Any, since: float) -> dict[str, dict[str, dict[str, Any]]]:
    """How long what is timed has taken since a moment: by kind, and by road or outcome,
    ``{"count", "p50_ms", "p95_ms"}``."""
    told: dict[str, dict[str, dict[str, Any]]] = {}
    for kind, names in (("answers", ("road", "came")), ("psm_cycle_durations", ("outcome",))):
        took: dict[str, list[float]] = {}
        for each in events(root, kind, since):
            took.setdefault(" ".join(each[name] for name in names if name in each), []).append(each["ms"])
        told[kind] = {
            name: {"count": len(ms), "p50_ms": round(_quantile(ms, 0.5), 3), "p95_ms": round(_quantile(ms, 0.95), 3)}
            for name, ms in sorted(took.items())
        }
    return told


def _quantile(numbers: list[float], share: float) -> float:
    return sorted(numbers)[min(len(numbers) - 1, int(share * len(numbers)))]


def record(root: Any, kind: str, **numbers: Any) -> None:
    """Write one event at once, in the turn of `root`."""
    write(root, {kind: [(time.time(), _typed(kind, numbers))]})


def write(root: Any, batch: dict[str, list[tuple[float, dict[str, Any]]]]) -> None:
    """Write events, (time, numbers) by kind, in the turn of `root`."""
    obj = system_metrics(root)
    for kind, found in batch.items():
        obj._rings[kind].add(found)


@primitive
def metrics_events(self, kind, last=100):
    """The last events of a kind."""
    return _told(self, kind, None, last)


@primitive
def metrics_kinds(self):
    """The kinds of events there are, each with the names of its numbers."""
    return {kind: [*must, *may] for kind, (must, may) in KINDS.items()}


def _checked(kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"there is no kind of event {shortly(kind)}; there are {', '.join(KINDS)}")
    return KINDS[kind]


def _typed(kind: str, numbers: dict[str, Any]) -> dict[str, Any]:
    """`numbers` if they are what events of this kind are made of, else `ValueError`: an event that no
    query understands is worse than a loud mistake."""
    must, may = _checked(kind)
    fields = must | may
    for name, value in numbers.items():
        if name not in fields or not isinstance(value, fields[name]) or isinstance(value, bool):
            raise ValueError(f"{kind}: {name}={value!r} does not belong in such an event")
    if missing := must.keys() - numbers.keys():
        raise ValueError(f"{kind}: an event needs {', '.join(sorted(missing))}")
    return numbers


class Metrics:
    """Events on their way into the image.  Thread-safe; noting one costs about a microsecond."""

    def __init__(self, clock: Callable[[], float] = time.time):
        self._clock = clock
        self._lock = threading.Lock()
        self._events: list[tuple[str, float, dict[str, Any]]] = []
        self._tallies: Counter[str] = Counter()
        self.dropped = 0

    def note(self, kind: str, **numbers: Any) -> None:
        """Note an event that happened now."""
        event = (kind, self._clock(), _typed(kind, numbers))
        with self._lock:
            self._events.append(event)
            if len(self._events) > BUFFERED:
                del self._events[: BUFFERED // 10]
                self.dropped += BUFFERED // 10

    def tally(self, kind: str, n: int = 1) -> None:
        """Count something too frequent for an event each; what was counted becomes one at the next flush."""
        if kind not in TALLIES:
            raise ValueError(f"{kind!r} is noted, not counted; counted are {', '.join(TALLIES)}")
        if n:
            with self._lock:
                self._tallies[kind] += n

    @property
    def pending(self) -> int:
        """Events that wait to be written."""
        with self._lock:
            return len(self._events) + len(self._tallies)

    def flush_into(self, image: Any) -> int:
        """Write what has gathered in one turn; answers how many events.  Not from the image thread.

        If the turn fails they are kept for the next time, and the failure is raised.
        """
        with self._lock:
            events, self._events = self._events, []
            tallies, self._tallies = self._tallies, Counter()
        if not events and not tallies:
            return 0
        batch: dict[str, list[tuple[float, dict[str, Any]]]] = {}
        for kind, when, numbers in events:
            batch.setdefault(kind, []).append((when, numbers))
        now = self._clock()
        for kind, count in tallies.items():
            batch.setdefault(kind, []).append((now, {"count": count}))
        try:
            image.run("metrics", lambda root: write(root, batch), "batos")
        except BaseException:
            with self._lock:
                self._events = events + self._events
                self._tallies.update(tallies)
            raise
        return sum(map(len, batch.values()))
