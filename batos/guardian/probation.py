"""Life after installation: a method batos wrote is on probation, and is taken back by itself if it does badly.

`objects.probation` sees the calls; here they are counted and judged.  Decided:

* A call is a message in which the method took part.  The first `probation_calls` of them are watched; as
  soon as more than `probation_error_rate` of so many have failed, nothing can save it and it is taken
  back: the version before runs again, or none, and the selector is a miss that a mission may learn anew.
  A change that nobody flagged takes it back at once.
* Only what batos installed of its own accord is watched.  Whoever defines a method has read it, and is told
  of its errors; nobody likes his own work undone.
* It is taken back by a turn of batos's own, right behind the message that failed: the message is answered
  with its error as ever, and a hint that says what became of the method.  `log`, `history` and `versions`
  tell it, and `undo` with its id takes it back like any other change.
* Counts are kept in memory and written when a call fails, when probation ends and when the image goes to
  sleep.  A killed process forgets some good calls, which makes probation longer and costs no reader a commit.
* Of a method that clones share only the holder it failed in is rid of it; the count is the method's, so the
  next failure takes it from the next holder.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from batos.errors import BatosError
from batos.image import Root
from batos.objects import Method
from batos.objects.probation import ON, PASSED, REVERTED, Seen
from batos.objects.traits import own_method

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Count:
    """One version of a method that is watched."""

    seen: Seen  # the last
    calls: int
    failed: int
    why: str | None
    state: str = ON
    written: bool = True

    def told(self) -> dict[str, Any]:
        """What `Method.probation` keeps of it."""
        more = {} if self.state == ON else {"ended": time.time()}
        kinds = self.seen.told.get("kinds")
        return {
            "state": self.state,
            "calls": self.calls,
            "failed": self.failed,
            "why": self.why,
            "kinds": kinds,
            **more,
        }


class Probation:
    """Counts what is seen of methods on probation, for one awake image; safe to use from any thread.

    calls, error_rate   see the settings of that name
    note                `(outcome, selector=, mission=, calls=, failed=, why=)`, told of every end
    """

    def __init__(self, image: Any, calls: int, error_rate: float, note: Callable[..., None]):
        self._image = image
        self._calls = calls
        self._most = int(calls * error_rate + 1e-9)  # failures that are still within the limit
        self._note = note
        self._lock = threading.Lock()
        self._counts: dict[tuple[bytes, int], _Count] = {}

    def take(self, found: Iterable[Seen]) -> str | None:
        """Count what a message saw; the sentence for its sender if a method is taken back."""
        words = None
        for seen in found:
            if not seen.counts:
                continue
            with self._lock:
                count = self._count(seen)
                if count.state == PASSED:
                    continue  # ended, and not yet forgotten by every lookup
                self._judge(count, seen)
            if count.state == REVERTED:
                words = self._taken_back(count) if seen.failure else words
            elif count.state == PASSED or seen.failure:
                self._write(count)
        return words

    def keep(self) -> None:
        """Write what is not written yet; the image goes to sleep."""
        with self._lock:
            left = [count for count in self._counts.values() if count.state == ON and not count.written]
        for turn in [self._write(count) for count in left]:
            with contextlib.suppress(BatosError):
                turn.result()

    def _count(self, seen: Seen) -> _Count:
        key = seen.method, seen.version
        if key not in self._counts:
            told = seen.told
            self._counts[key] = _Count(seen, told.get("calls", 0), told.get("failed", 0), told.get("why"))
        return self._counts[key]

    def _judge(self, count: _Count, seen: Seen) -> None:
        count.seen, count.written = seen, False
        count.calls += 1
        if seen.failure:
            count.failed += 1
            count.why = seen.failure
        if self._calls <= 0:
            count.state = PASSED
        elif seen.forgotten or count.failed > self._most:
            count.state = REVERTED
        elif count.calls >= self._calls:
            count.state = PASSED

    def _write(self, count: _Count) -> Any:
        told = count.told()
        count.written = True
        if count.state != ON:
            self._ended(count)

        def write(root: Root) -> None:
            method = _method(root, count.seen)
            if method is not None:
                method.probation = {**method.probation, count.seen.version: told}

        return self._image.submit(f"probation of {count.seen.selector}", write, who="batos")

    def _taken_back(self, count: _Count) -> str:
        seen, told = count.seen, count.told()
        count.written = True
        self._ended(count)
        what = f"{count.failed} of its first {count.calls} calls failed"

        def revert(root: Root) -> None:
            method, holder = _method(root, seen), _kept(root, seen.holder)
            if method is None or holder is None or method.current != seen.version:
                return
            if holder._method(seen.selector) is not method:
                return  # forgotten, or a person's own version stands there by now
            mine = own_method(holder, seen.selector)
            mine.probation = {**mine.probation, seen.version: told}
            mine.current = _before(mine, seen.version)

        why = f"took back {seen.selector} of {seen.where}, {what}: {count.why}"
        self._image.submit(why, revert, who="batos")
        return (
            f"batos took {seen.selector!r} back, because {what}; `versions {seen.selector}` tells what it was"
        )

    def _ended(self, count: _Count) -> None:
        seen, bad = count.seen, count.state == REVERTED
        log.log(
            logging.WARNING if bad else logging.INFO,
            "%s of %s, version %d, %s its probation: %d of %d calls failed%s",
            seen.selector, seen.where, seen.version, "did not pass" if bad else "passed",
            count.failed, count.calls, f" ({count.why})" if count.why else "",
        )  # fmt: skip
        told = {"calls": count.calls, "failed": count.failed, "why": count.why}
        self._note(count.state, selector=seen.selector, mission=seen.mission, **told)


def _kept(root: Root, oid: bytes | None) -> Any:
    """The object with an oid, None where there is none: it was made by a message that failed."""
    try:
        return root.connection.get(oid) if oid is not None else None
    except KeyError:
        return None


def _method(root: Root, seen: Seen) -> Method | None:
    """The method that was seen, if it is there and still on probation."""
    method = _kept(root, seen.method)
    still = isinstance(method, Method) and method.probation.get(seen.version, {}).get("state") == ON
    return method if still else None


def _before(method: Method, version: int) -> int | None:
    """The version that runs again: the one before that was neither refused nor taken back itself."""
    good = (
        each["version"]
        for each in reversed(method.versions)
        if each["version"] < version
        and each["verdict"] != "refused"
        and method.probation.get(each["version"], {}).get("state") != REVERTED
    )
    return next(good, None)
