"""What all the tortures share: how a broken promise is told, and how numbers are shown."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any


class Violation(AssertionError):
    """batos broke a promise; the sentence says which, about which object, and what was seen."""


def demand(holds: bool, sentence: str) -> None:
    """Raise `Violation(sentence)` unless it holds."""
    if not holds:
        raise Violation(sentence)


def progress(words: str) -> None:
    print(f"torture: {words}", file=sys.stderr, flush=True)


def table(rows: Iterable[tuple[str, Any]]) -> None:
    """Rows of a name and a number, to stdout."""
    for name, value in rows:
        print(f"  {name:<58} {spoken(value)}", flush=True)


def spoken(value: Any) -> str:
    if isinstance(value, Counter | dict):
        return ", ".join(f"{name} {count:,}" for name, count in sorted(value.items())) or "none"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def curve(points: list[tuple[float, float]], unit: str, width: int = 60) -> None:
    """A small curve in text, one line a point: where, how much, a bar."""
    most = max((height for _, height in points), default=1.0) or 1.0
    for at, height in points:
        print(f"  {at:>12,.0f} {height:>12,.1f} {unit} {'#' * round(width * height / most)}", flush=True)


def quantile(took: list[float], share: float) -> float:
    """By the nearest rank; 0 where nothing was measured."""
    ranked = sorted(took)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else 0.0


def as_text(value: Any) -> str:
    """Plain data as one text, so that two readings can be compared and a difference shown."""
    return json.dumps(value, sort_keys=True)


def kept_from(work: Callable[[], None], broken: list[BaseException]) -> None:
    """`work()` in a thread; what it raises is kept for whoever waits for it."""
    try:
        work()
    except BaseException as exc:  # noqa: BLE001 - raised again by whoever joins the thread
        broken.append(exc)


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() - self.began
