"""How the gauntlet tells what it counted: rows of one table, shares with their intervals, times as quantiles."""

from __future__ import annotations

from batos.psm.confidence import reliability
from scripts.benchmarks import quantile, spoken
from scripts.proving.telling import share


def row(what: str, measured: str, goal: str = "") -> None:
    print(f"| {what} | {measured} | {goal} |", flush=True)


def share_row(what: str, k: int, n: int, goal: str = "") -> None:
    row(what, share(k, n), goal)


def time_row(what: str, took: list[float], goal: str = "") -> None:
    marks = ", ".join(
        f"p{part:.0%}".rstrip("%") + f" {spoken(quantile(took, part))}" for part in (0.5, 0.95, 0.99)
    )
    row(f"{what} ({len(took)})", marks, goal)


def confidence_rows(what: str, pairs: list[tuple[float, bool]]) -> None:
    """How well some `(confidence, right)` hold: the expected calibration error, then the reliability curve."""
    curve, error = reliability(pairs)
    row(f"{what}: expected calibration error ({len(pairs)})", f"{error:.3f}")
    for confidence, right, count in curve:
        row(f"... {count} told at {confidence:.2f}", f"{right:.1%} right")
