"""What a rehearsal costs with a warm zygote, as a mission asks for it, and what the portable tier takes.

Drafts of one method differ, as they do in a mission, so each is compiled in its own child.  Between two
rehearsals a moment passes, as the models of a mission take, in which the zygote makes new children ready.
"""

from __future__ import annotations

import itertools
import time

from batos.guardian import judge
from batos.guardian.rehearsal import Rehearsal
from batos.objects import UvmObject, snapshot
from batos.objects.traits import make_traits
from scripts.proving.telling import Row, quantile

METHODS = (
    "def m(self, amount):\n    return self.balance - amount\n",
    "def m(self, amount):\n    if amount <= 0:\n        raise ValueError('not positive')\n"
    "    self.balance += amount\n    return self.balance\n",
    "def m(self, limit):\n    kept = self.entries\n    for entry in list(kept):\n        if entry > limit:\n"
    "            kept.remove(entry)\n    self.count = len(kept)\n    return self.count\n",
)
CALLS = 11  # the message itself and ten that were made up, as a mission tries its drafts on
THINKING = {"zygote": 0.05, "portable": 0.5}  # seconds between two rehearsals: a mission's models take longer
COUNT = {"zygote": 60, "portable": 10}
GOALS = {"zygote": "p50 5 ms, p95 25 ms", "portable": ""}
TRIED = ((1, 1), (1, CALLS), (5, CALLS))  # (drafts, calls)


def times(tier: str, drafts: int, calls: int) -> list[float]:
    """Seconds of each of some rehearsals on this tier, with so many different drafts and calls."""
    account = UvmObject(make_traits(), balance=100, entries=[1, 5, 9], count=3)
    circle = snapshot.to_data(account, [])
    turn = itertools.cycle([judge(text).source for text in METHODS])
    rehearsal = Rehearsal.start(tier == "portable", tier == "portable")
    took = []
    try:
        rehearsal.wall  # noqa: B018 - waits until it is warm
        for _ in range(COUNT[tier]):
            source = next(turn)
            given = {
                "circle": circle, "selector": "m", "seconds": 1.0,
                "drafts": [f"{source}    # draft {number}\n" for number in range(drafts)],
                "calls": [{"slots": None, "args": [5], "kw": {}}] * calls,
            }  # fmt: skip
            time.sleep(THINKING[tier])
            began = time.perf_counter()
            told = rehearsal.run(given, time.monotonic() + 30)
            took.append(time.perf_counter() - began)
            assert all("unknown" not in outcome for row in told for outcome in row), told
    finally:
        rehearsal.stop()
    return took


def named(tier: str, drafts: int, calls: int) -> str:
    return f"rehearsal, {tier}: drafts {drafts}, each on {calls} message{'s' * (calls > 1)}"


def measure() -> list[Row]:
    """The rows of the table about rehearsals behind the wall."""
    rows = []
    for drafts, calls in TRIED:
        took = [each * 1e3 for each in times("zygote", drafts, calls)]
        measured = f"p50 {quantile(took, 0.5):.1f} ms, p95 {quantile(took, 0.95):.1f} ms"
        rows.append(Row(named("zygote", drafts, calls), measured, GOALS["zygote"], f"{len(took)} rehearsals"))
    return rows
