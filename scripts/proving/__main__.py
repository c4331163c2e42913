"""`scripts/prove_guardian`: one table of what was counted, to stdout; progress and disagreements to stderr."""

from __future__ import annotations

import argparse
import platform
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from scripts.escapes import trying
from scripts.escapes.payloads import every
from scripts.proving import clocks, corpus, foreign, generated, loops, ordinary, rehearsals, walled
from scripts.proving.telling import Row, progress, share, table

Part = Callable[[argparse.Namespace], list[Row]]


def of_generated(asked: argparse.Namespace) -> list[Row]:
    """methods drawn from a grammar: the analysis against the oracle"""
    tally = generated.Tally()
    for first in range(0, asked.methods, 250):
        last = min(first + 250, asked.methods)
        tally.add(generated.prove(asked.seed, range(first, last)))
        progress(f"{last} methods drawn, {len(tally.bugs)} disagreements")
    told(tally.bugs)
    passed = tally.outcomes["repaired"] + tally.outcomes["accepted"]
    return [
        Row(
            "generated methods on which analysis and oracle agree",
            share(passed - tally.disputed, passed),
            "100 %",
            f"of {asked.methods:,} drawn (seed {asked.seed}) those that pass; {tally.changing:,} of them change state; "
            f"{tally.outcomes['refused']} refused; each run on {len(generated.ARGUMENTS)} arguments as written, as "
            "repaired, and with an exception and a save at every line",
        )
    ]


def of_library(asked: argparse.Namespace) -> list[Row]:
    """the library's own classes turned Persistent: recognised changes, false alarms, repairs"""
    found = corpus.classes()
    by_function = {method.function: method for method in corpus.methods(found)}
    found = _sampled(found, asked)
    tally = foreign.prove(found, by_function, asked.seed, walled.Kept(asked.kept), progress)
    told(foreign.disagreements(tally))
    return foreign.rows(tally, len(found))


def of_ordinary(asked: argparse.Namespace) -> list[Row]:
    """ordinary methods under the policy: do they compile, and do they still behave?"""
    return ordinary.measure(corpus.methods(_sampled(corpus.classes(), asked)))


def of_clocks(asked: argparse.Namespace) -> list[Row]:
    """what a verdict costs"""
    return clocks.measure(corpus.methods(corpus.classes()))


def of_loops(asked: argparse.Namespace) -> list[Row]:
    """what a guarded loop costs against the same plain Python"""
    return loops.measure()


def of_rehearsals(asked: argparse.Namespace) -> list[Row]:
    """what a rehearsal costs with a warm zygote"""
    return rehearsals.measure()


def of_escapes(asked: argparse.Namespace) -> list[Row]:
    """attempts to break out, in process under the policy and behind the wall without it"""
    rows = []
    for where, reports in (
        ("in process, under the policy", trying.under_policy()),
        ("behind the wall, the policy off", trying.behind_wall(every())),
    ):
        through = [each for each in reports if each.found]
        told([f"got through {where}: {each.payload}: {', '.join(each.found)}" for each in through])
        tried = sum(sum(each.attempted.values()) for each in reports)
        rows.append(
            Row(
                f"escapes, leaked state, poisoned objects, {where}",
                f"{len(through)} of {len(reports)}", "0",
                f"{tried} events of files, processes and sockets attempted" if tried else "",
            )  # fmt: skip
        )
    return rows


def _sampled(found: list[corpus.Found], asked: argparse.Namespace) -> list[corpus.Found]:
    return found if asked.classes >= len(found) else random.Random(asked.seed).sample(found, asked.classes)


PARTS: dict[str, Part] = {
    "generated": of_generated,
    "library": of_library,
    "ordinary": of_ordinary,
    "clocks": of_clocks,
    "rehearsals": of_rehearsals,
    "loops": of_loops,
    "escapes": of_escapes,
}
_disagreed = 0


def told(disagreements: list[str]) -> None:
    global _disagreed
    _disagreed += len(disagreements)
    for each in disagreements:
        print(each, file=sys.stderr, flush=True)


def main() -> int:
    parts = "; ".join(f"{name}: {part.__doc__}" for name, part in PARTS.items())
    parser = argparse.ArgumentParser(prog="scripts/prove_guardian", description=parts)
    parser.add_argument("part", nargs="*", metavar="PART", help="what to prove (all): " + ", ".join(PARTS))
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--methods", type=int, default=5_000, help="how many are drawn (5,000)")
    parser.add_argument("--classes", type=int, default=1_000_000, help="how many classes are sampled (all)")
    parser.add_argument(
        "--kept", type=Path, metavar="FILE",
        help="what the library's classes did is written there, and not run again if it stands there",
    )  # fmt: skip
    asked = parser.parse_args()
    if unknown := [name for name in asked.part if name not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    began = time.monotonic()
    rows: list[Row] = []
    for name in asked.part or PARTS:
        progress(PARTS[name].__doc__ or name)
        rows += PARTS[name](asked)
    print(table(rows))
    print(
        f"\nPython {platform.python_version()}, seed {asked.seed}, {(time.monotonic() - began) / 60:.0f} minutes"
    )
    return 1 if _disagreed else 0


if __name__ == "__main__":
    sys.exit(main())
