"""How sure a decision is, as a probability that holds: of a hundred told at 0.9, ninety should be right.

Raw scores (the likelihood of a plan, the score of a passage) say which of two is surer and not how sure either
is.  That of a plan is turned into a probability by a logistic curve (Platt 1999) with two numbers, fitted on
missions that are not the ones reported; that of a passage `ask` tells as it is.  How well what is told holds, as
a reliability curve and its expected calibration error, is printed by `scripts/gauntlet` on others.
"""

from __future__ import annotations

import math

# Natural logarithm of the greedy plan's probability -> was what was installed right?  Fitted on 675 installed
# methods of the seed 104272, 14 of them wrong (`gauntlet missions --missions 700 --seed 104272 --sure -9`).
PLAN = (5.53, 4.80)
# More than this is never claimed: of the 501 surest of them 499 were right, which is at least this share (Wilson).
MOST = 0.986


def of_plan(logprob: float) -> float:
    """That what is installed by a plan of this likelihood is right."""
    return round(min(platt(logprob, PLAN), MOST), 3)


def platt(score: float, curve: tuple[float, float]) -> float:
    """The probability that a raw score stands for.

    >>> round(platt(0.0, (5.53, 4.80)), 3)
    0.992
    """
    slope, offset = curve
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, slope * score + offset))))


def fitted(pairs: list[tuple[float, bool]], steps: int = 100) -> tuple[float, float]:
    """The two numbers of the curve that makes `(score, right)` likeliest (Newton's method, a trace of a prior
    so that a set without errors has a curve too)."""
    slope, offset = 1.0, 0.0
    for _ in range(steps):
        gs = go = hso = 0.0
        hss = hoo = 1e-3
        for score, right in pairs:
            p = platt(score, (slope, offset))
            gs, go = gs + score * (right - p), go + (right - p)
            weight = p * (1 - p)
            hss, hso, hoo = hss + weight * score * score, hso + weight * score, hoo + weight
        gs, go = gs - 1e-3 * slope, go - 1e-3 * offset
        det = hss * hoo - hso * hso
        slope, offset = slope + (hoo * gs - hso * go) / det, offset + (hss * go - hso * gs) / det
    return slope, offset


def reliability(
    pairs: list[tuple[float, bool]], bins: int = 10
) -> tuple[list[tuple[float, float, int]], float]:
    """The reliability curve of `(confidence, right)`, as (mean confidence, share right, count) of each bin that
    holds any, and the expected calibration error: the mean gap between the two, weighted by count.

    >>> reliability([(0.95, True)] * 19 + [(0.95, False)])
    ([(0.95, 0.95, 20)], 0.0)
    """
    held: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for confidence, right in pairs:
        held[min(bins - 1, int(confidence * bins))].append((confidence, right))
    curve = [
        (round(sum(c for c, _ in each) / len(each), 6), sum(right for _, right in each) / len(each), len(each))
        for each in held if each
    ]  # fmt: skip
    gap = sum(abs(confidence - share) * count for confidence, share, count in curve)
    return curve, round(gap / len(pairs), 6) if pairs else 0.0
