"""How the proofs of the guardian tell what they counted: one table, each share with its interval."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import NamedTuple


class Row(NamedTuple):
    """One line of the table; `goal` and `note` may be empty.  `note` says what was counted, and how it was drawn."""

    what: str
    measured: str
    goal: str = ""
    note: str = ""


def wilson(hits: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score, as two shares."""
    if not of:
        return 0.0, 1.0
    share, square = hits / of, z * z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = z / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def share(hits: int, of: int) -> str:
    """A share in words: `98.7 % (230 of 233; 95 %: 96.3 to 99.6)`."""
    if not of:
        return "nothing to count"
    low, high = wilson(hits, of)
    return f"{100 * hits / of:.1f} % ({hits:,} of {of:,}; 95 %: {100 * low:.1f} to {100 * high:.1f})"


def quantile(took: list[float], part: float) -> float:
    """By the nearest rank; 0 where nothing was measured."""
    ranked = sorted(took)
    return ranked[min(len(ranked) - 1, int(part * len(ranked)))] if ranked else 0.0


def progress(words: str) -> None:
    print(f"prove_guardian: {words}", file=sys.stderr, flush=True)


def table(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | measured | goal | how |", "|---|---|---|---|"]
    return "\n".join(
        [*lines, *(f"| {row.what} | {row.measured} | {row.goal} | {row.note} |" for row in rows)]
    )
