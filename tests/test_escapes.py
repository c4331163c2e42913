"""Escapes: hundreds of attempts, in process under the policy and as plain Python behind the wall.

The attempts are data in `scripts.escapes`; that they are real is proved there too, by running them where
nothing stops them (`python -m scripts.escapes --control`), and here by a sample.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from batos.guardian import wall
from batos.objects.traits import make_traits
from scripts.escapes import policy, trying
from scripts.escapes.payloads import Payload, every

pytestmark = pytest.mark.skipif(not wall.LINUX, reason="the wall is Linux's")
ROOT = Path(__file__).resolve().parent.parent

FAMILIES = {
    "subclass walks", "frames and tracebacks", "generators and coroutines", "format strings",
    "decorators and descriptors", "__class__ and __globals__", "exceptions' attributes",
    "type and metaclass tricks", "pickle", "Unicode look-alikes", "memory and CPU bombs",
    "values that name themselves", "fork bombs",
    "file attempts", "socket attempts",
    "signal and process attempts", "writes to the child's protocol", "what the language hands out",
    "poisoned objects",
}  # fmt: skip
BOMBS = {"memory and CPU bombs", "values that name themselves"}


def got_through(reports: list[trying.Report]) -> dict[str, list[str]]:
    return {str(each.payload): [*each.found, each.said[:120]] for each in reports if each.found}


def test_there_are_hundreds_of_payloads_in_all_families_and_no_two_alike():
    payloads = every()
    assert len(payloads) >= 300 and {each.family for each in payloads} == FAMILIES
    assert min(Counter(each.family for each in payloads).values()) >= 15
    assert len({str(each) for each in payloads}) == len({each.body for each in payloads}) == len(payloads)


def test_under_the_policy_no_payload_gets_anywhere():
    """Refused with rule and line, or run without a canary read, an audit event, or a change not its own."""
    reports = trying.under_policy()
    assert [str(each.payload) for each in reports] == [str(each) for each in every()]
    assert got_through(reports) == {}
    assert sum(each.end == "refused" for each in reports) > len(reports) / 2


def test_the_watch_over_the_image_notices_what_it_is_there_for(monkeypatch):
    bystander = policy.account(make_traits())
    before = policy.sentinel(bystander)
    assert policy.sentinel(bystander) == before and policy.unkeepable(bystander) is None
    monkeypatch.setattr(policy.growth, "add", len)
    bystander.log.append(3)
    after = policy.sentinel(bystander)
    assert {name for name in before if after[name] != before[name]} == {
        "batos.guardian.growth.add",
        "bystander",
    }
    bystander.__dict__["balance"] = lambda: 0
    assert "lambda" in policy.unkeepable(bystander)


def sample(payloads: list[Payload], step: int) -> list[Payload]:
    """All, but of the bombs, each of which burns its whole deadline, one in `step`."""
    bombs = [each for each in payloads if each.family in BOMBS]
    return [each for each in payloads if each.family not in BOMBS] + bombs[::step]


def test_behind_the_wall_no_payload_gets_anywhere_with_the_policy_off():
    payloads = [
        each for each in every() if each.family not in ("what the language hands out", "poisoned objects")
    ]
    reports = trying.behind_wall(sample(payloads, 8))
    assert got_through(reports) == {}
    ends = Counter(each.end for each in reports)
    assert ends["violation"] > 50, "hostile system calls end the child"
    attempted = Counter(event.partition(".")[0] for each in reports for event in each.attempted)
    assert attempted["open"] > 50 and attempted["os"] > 20, "they did try"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can keep root")
def test_the_wall_holds_for_root_too_who_does_not_give_it_up():
    payloads = [each for each in every() if each.outside and each.family not in BOMBS]
    assert got_through(trying.behind_wall(payloads[::2], "root")) == {}


def test_payloads_do_get_through_where_neither_policy_nor_wall_stands():
    """The control: without it a payload that never worked would count as stopped."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "scripts.escapes", "--control", "--json", "--every", "12"],
        capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"where"')]
    stopped = [each["payload"] for each in reports if not each["found"]]
    assert len(reports) > 30 and stopped == []
