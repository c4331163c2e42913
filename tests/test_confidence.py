"""How sure a decision says it is: curves that are fitted on one draw and held against another."""

from __future__ import annotations

import ast
import math
import random

import pytest
from scripted import plan, sender

from batos.psm import confidence
from scripts import gauntlet_missions
from scripts.paraphrases import FAMILIES, cases


def drawn(seed, curve, count=4000):
    """Scores, and whether each was right: as often as the curve says."""
    rng = random.Random(seed)
    scores = [-rng.expovariate(4.0) for _ in range(count)]
    return [(score, rng.random() < 1 / (1 + math.exp(-(curve[0] * score + curve[1])))) for score in scores]


def test_a_curve_fitted_on_one_draw_holds_on_another():
    curve = confidence.fitted(drawn(1, (6.0, 2.0)))
    assert curve == pytest.approx((6.0, 2.0), rel=0.15)
    told = [(confidence.platt(score, curve), right) for score, right in drawn(2, (6.0, 2.0))]
    assert confidence.reliability(told)[1] < 0.03
    raw = [(math.exp(score), right) for score, right in drawn(2, (6.0, 2.0))]
    assert confidence.reliability(raw)[1] > 0.08, "the score itself is no probability"


def test_the_error_of_calibration_is_the_gap_between_what_is_told_and_what_is_true():
    curve, error = confidence.reliability([(0.9, True), (0.9, False), (0.2, False), (0.2, False)])
    assert curve == [(0.2, 0.0, 2), (0.9, 0.5, 2)] and error == pytest.approx((0.2 * 2 + 0.4 * 2) / 4)
    assert confidence.reliability([]) == ([], 0.0)


def test_a_set_without_errors_has_a_curve_too_and_no_plan_is_called_certain():
    slope, offset = confidence.fitted([(-0.1, True)] * 50)
    assert math.isfinite(slope) and confidence.platt(-0.1, (slope, offset)) > 0.9
    assert confidence.of_plan(0.0) == confidence.MOST < 1.0
    assert confidence.of_plan(-0.5) < confidence.of_plan(-0.2) < confidence.MOST


def test_a_mission_tells_how_sure_it_is_and_why(system, mind):
    send = sender(system)
    send("lobby", "clone", called="account", balance=100)
    mind.enqueue(plan=plan("change"), method="self.§0 += ¢0\nreturn self.§0")
    sure = send("kernel", "mission", send("account", "grow_balance", 5).mission).result
    mind.logprob = -0.3
    less = send("kernel", "mission", send("account", "widen_balance", 5).mission).result
    assert less["confidence"] < sure["confidence"] == confidence.MOST
    assert "drafts behave alike" in sure["why"]


def test_the_paraphrases_are_two_halves_of_sound_families():
    halves = [list(cases(held_out=half)) for half in (False, True)]
    assert all(
        sum(each.means for each in half) > 80 and sum(not each.means for each in half) > 40 for half in halves
    )
    assert not {each.known.split("_")[0] + each.source for each in halves[0]} & {
        each.known.split("_")[0] + each.source for each in halves[1]
    }
    for family in FAMILIES:
        same, other = family.same.split(), family.other.split()
        assert len(set(same)) == len(same) and not set(same) & set(other) and family.known not in same + other
        assert len(family.args) <= 2
    for case in halves[0] + halves[1]:
        assert ast.parse(case.source).body[0].name == case.known and case.selector != case.known


def test_the_gauntlet_goes_on_where_its_record_stops_and_compares_what_each_installs(tmp_path, capsys):
    record = gauntlet_missions.Record(tmp_path / "ran")
    for n in range(20):
        came = "wrong" if n == 0 else "refused" if n < 5 else "right"
        record.add(gauntlet_missions.Ran(7, "easy", n, came, 0.5, 0.9, -n / 10, "..."), told={"plans": []})
        greedy = "wrong" if n < 4 else "right"
        record.add(gauntlet_missions.Alone(7, "easy", n, greedy, -1.0 if n in (1, 2) else 0.0))
    record.add(gauntlet_missions.Ran(8, "easy", 0, "wrong", 0.5, None, None, "of another seed"))
    kept = gauntlet_missions.Record(tmp_path / "ran")
    assert kept.ran == record.ran and kept.alone == record.alone and len(kept.ran) == 21
    gauntlet_missions.told_rows(kept, 7, {"easy": 20, "middle": 0, "hard": 0, "beyond": 0})
    rows = dict(line.strip("| ").split(" | ")[:2] for line in capsys.readouterr().out.splitlines())
    assert rows["installed and wrong, of all installed"].startswith("6.2 % (1 of 16;")
    assert rows["errors of the greedy draft : of the council, each in what it installs"] == "4 : 1"
    assert rows["... at equal coverage, the 16 it is surest of"] == "2 : 1"
