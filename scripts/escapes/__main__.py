"""`python -m scripts.escapes [--only WORD] [--root | --portable | --control] [--json]`

Runs every payload in process under the policy and behind the wall with the policy off, and prints what became
of them by family.  Exit code 1 if one got through.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter

from scripts.escapes import trying
from scripts.escapes.payloads import every


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.escapes", description=__doc__)
    parser.add_argument("--only", default="", help="payloads whose family or name holds this")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth payload")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--root", action="store_true", help="behind the wall alone, without giving up root")
    where.add_argument(
        "--portable", action="store_true", help="the portable tier, which is no wall: counts only"
    )
    where.add_argument("--control", action="store_true", help="neither policy nor wall: counts what works")
    parser.add_argument("--json", action="store_true", help="a line for each payload")
    options = parser.parse_args()
    payloads = [each for each in every() if options.only in str(each)][:: options.every]
    began = time.monotonic()
    if options.control:
        runs = {"neither": trying.unwalled([each for each in payloads if each.real])}
    elif options.root or options.portable:
        how = "root" if options.root else "portable"
        runs = {how: trying.behind_wall(payloads, how)}
    else:
        inside = trying.under_policy(options.only) if options.every == 1 else []
        runs = {"policy": inside, "wall": trying.behind_wall(payloads)}
    through = 0
    for where, reports in runs.items():
        families: dict[str, Counter[str]] = {}
        for each in reports:
            row = families.setdefault(each.payload.family, Counter())
            row["payloads"] += 1
            row[each.end] += 1
            row["got through"] += bool(each.found)
            row["events attempted"] += sum(each.attempted.values())
            if options.json:
                print(json.dumps({"where": where, "payload": str(each.payload), "end": each.end,
                                  "said": each.said, "attempted": each.attempted,
                                  "found": each.found}))  # fmt: skip
            elif each.found and where in ("policy", "wall", "root"):
                print(f"{where}: {each.payload} got through: {', '.join(each.found)} ({each.said[:120]})")
        through += sum(row["got through"] for row in families.values())
        for family, row in [*families.items(), ("all", sum(families.values(), Counter()))]:
            told = ", ".join(f"{n} {what}" for what, n in row.items() if n and what != "payloads")
            print(f"{where:12} {family:30} {row['payloads']:4}: {told}", file=sys.stderr)
    print(
        f"{through} got through, as user {os.geteuid()}, in {time.monotonic() - began:.1f} s", file=sys.stderr
    )
    return int(bool(through) and not (options.control or options.portable))


if __name__ == "__main__":
    sys.exit(main())
