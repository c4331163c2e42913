"""What a verdict costs: methods of about thirty lines not written by us, judged one after another.

A method is taken if it passes, since most of the library's are refused at once for their names; each is
judged a few times, and its least time counts, because what is asked is what the work costs and not what
else the machine does.  The processor's own time is told as well.
"""

from __future__ import annotations

import time

from batos.guardian import judge
from scripts.proving.corpus import Method
from scripts.proving.telling import Row, quantile

LINES = range(25, 36)
TIMES = 5
MOST = 400


def measure(methods: list[Method]) -> list[Row]:
    """The rows of the table about the speed of verdicts."""
    texts = [each.text for each in methods if each.text.count("\n") in LINES]
    texts = [text for text in texts if judge(text).passed][:MOST]
    walls, processor = [], []
    for text in texts:
        took, worked = [], []
        for _ in range(TIMES):
            began, before = time.perf_counter(), time.process_time()
            judge(text)
            worked.append(time.process_time() - before)
            took.append(time.perf_counter() - began)
        walls.append(min(took) * 1e3)
        processor.append(min(worked) * 1e3)
    note = (
        f"{len(texts)} methods of {LINES[0]} to {LINES[-1]} lines that pass, the least of {TIMES} times each; "
        f"of the processor p50 {quantile(processor, 0.5):.2f} ms, p95 {quantile(processor, 0.95):.2f} ms"
    )
    measured = f"p50 {quantile(walls, 0.5):.2f} ms, p95 {quantile(walls, 0.95):.2f} ms"
    return [Row("verdict for a 30-line method", measured, "5 ms", note)]
