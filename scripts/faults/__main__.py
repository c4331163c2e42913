"""The command line of `scripts/torture`: one verb for each torture, numbers to stdout, exit 1 at a violation."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scripts.faults import flips, full, histories, kills, power, soak
from scripts.faults.telling import Violation


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/torture", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=text, description=text)
        made.add_argument("--seed", type=int, default=1, help="of everything drawn at random (1)")
        return made

    one = verb("kill", "`kill -9` at random instants under mixed load")
    one.add_argument("--times", type=int, default=500, help="kills (500)")
    one.add_argument(
        "--long-lives", type=float, default=0.1, help="share of lives long enough for missions (0.1)"
    )
    one.add_argument("--keep", type=Path, help="where to leave the image after a violation")
    one.set_defaults(run=lambda told: kills.run(told.times, told.seed, told.long_lives, told.keep))

    one = verb("power", "a power cut at many moments of a session: writes that were not synced are dropped")
    one.add_argument("--cuts", type=int, default=1200, help="disks that a cut may leave (1,200)")
    one.add_argument("--messages", type=int, default=150, help="messages in the session (150)")
    one.add_argument("--apart", type=Path, help="a folder on another file system, for temporary files")
    one.set_defaults(run=lambda told: power.run(told.cuts, told.seed, told.messages, told.apart))

    one = verb("disk", "a full disk, or a failing one, at every write and every sync")
    one.add_argument("--every", type=int, default=1, help="refuse each so many-th possible call (1: all)")
    one.set_defaults(run=lambda told: full.run(told.every, told.seed))

    one = verb("flips", "one flipped bit at a time, anywhere in the files: the scrub finds it")
    one.add_argument("--times", type=int, default=1000, help="flips (1,000)")
    one.add_argument(
        "--processes", type=int, default=20, help="more of them, by `doctor --scrub` itself (20)"
    )
    one.set_defaults(run=lambda told: flips.run(told.times, told.seed, told.processes))

    one = verb("histories", "many clients at once: is what they saw strictly serializable?")
    one.add_argument("--operations", type=int, default=100_000, help="transactions (100,000)")
    one.add_argument("--clients", type=int, default=16, help="clients (16)")
    one.add_argument("--kills", type=int, default=0, help="`kill -9` in between (0)")
    one.set_defaults(run=lambda told: histories.run(told.operations, told.seed, told.clients, told.kills))

    one = verb("soak", "a long run under load: memory, latency, file growth")
    one.add_argument("--minutes", type=float, default=30.0, help="how long (30)")
    one.add_argument("--every", type=float, default=60.0, help="seconds between two samples (60)")
    one.set_defaults(run=lambda told: soak.run(told.minutes, told.seed, told.every))

    one = verb("walk", "resident memory while walking over many objects")
    one.add_argument("--objects", type=int, default=1_000_000, help="objects (1,000,000)")
    one.add_argument(
        "--cache", type=int, default=20_000, help="objects the image may keep in memory (20,000)"
    )
    one.set_defaults(run=lambda told: soak.walk(told.objects, told.seed, told.cache))

    told = parser.parse_args(words)
    print(f"{told.verb}, seed {told.seed}", flush=True)
    try:
        told.run(told)
    except Violation as broken:
        print(f"VIOLATION, seed {told.seed}: {broken}", flush=True)
        return 1
    print("nothing was broken", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
