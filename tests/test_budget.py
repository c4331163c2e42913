"""Budgets: nothing is spent twice, nothing is spent past a limit, and a crash forgives nothing."""

from __future__ import annotations

import pytest
from scripted import ScriptedMind, plan, sender

from batos.app import Image, System
from batos.config import Settings
from batos.errors import Refused
from batos.objects.genesis import genesis
from batos.psm import budget as budgets
from batos.psm.budget import Budget, Cost, Price
from batos.psm.speaking import Speaking
from scripts.gauntlet_sets import raced


@pytest.fixture
def image(tmp_path):
    with Image.open(tmp_path / "image", Settings(image=tmp_path / "image")) as image:
        yield image


@pytest.fixture
def budget(image):
    return Budget(image, lambda: "2026-11-21", Price(1.0, 1.0))


def limits(image, **scopes):
    def write(root):
        for scope, limit in scopes.items():
            root["budget_obj"].limits[scope].update(limit)

    image.run("limits", write)


def test_a_call_is_counted_when_it_has_ended(budget):
    with budget.spending(Cost(1000, 5.0, 0.01), "m1") as spent:
        assert budget.told()["reserved"] == 1
        spent.tokens, spent.seconds, spent.usd = 120, 0.5, 0.002
    told = budget.told()
    assert told["today"] == {"tokens": 120, "seconds": 0.5, "usd": 0.002}
    assert told["reserved"] == 0


def test_a_call_that_could_cost_more_than_a_request_may_is_refused_before_it_begins(budget):
    with pytest.raises(Refused, match="nothing was spent") as told, budget.spending(Cost(10, 1.0, 0.03)):
        raise AssertionError("it ran")
    assert told.value.rule == "budget"
    assert budget.told()["today"]["usd"] == 0


def test_a_call_that_broke_counts_with_all_it_could_have_cost(budget):
    with pytest.raises(OSError, match="gone"), budget.spending(Cost(10, 1.0, 0.02), "m1"):
        raise OSError("gone")
    assert budget.told()["today"]["usd"] == 0.02


def test_a_mission_with_its_children_has_a_limit_of_its_own(image, budget):
    limits(image, day={"usd": None})
    for _ in range(2):
        with budget.spending(Cost(1, 1.0, 0.02), "m1") as spent:
            spent.tokens, spent.usd = 1, 0.02
    with pytest.raises(Refused, match="a mission may cost"), budget.spending(Cost(1, 1.0, 0.02), "m1"):
        pass
    with budget.spending(Cost(1, 1.0, 0.02), "m2"):
        pass


def test_a_new_day_begins_with_a_full_purse(image):
    day = ["2026-11-21"]
    budget = Budget(image, lambda: day[0], Price(1.0, 1.0))
    for _ in range(5):
        with budget.spending(Cost(1, 1.0, 0.02)):
            pass
    with pytest.raises(Refused, match="a day may cost"), budget.spending(Cost(1, 1.0, 0.001)):
        pass
    day[0] = "2026-11-22"
    with budget.spending(Cost(1, 1.0, 0.02)):
        pass


def test_tokens_of_a_mind_that_costs_nothing_are_counted_and_can_be_limited(image):
    budget = Budget(image, lambda: "2026-11-21")
    with budget.spending(Cost(1000, 1.0), "m1") as spent:
        assert budget.told()["reserved"] == 0, "nothing is reserved where nothing is limited"
        spent.tokens = 500
    image.run("the mission's record", budget.take("m1"))
    assert budget.told()["today"]["tokens"] == 500
    image.run("told twice", budget.take("m1"))
    assert budget.told()["today"]["tokens"] == 500
    limits(image, day={"tokens": 1000})
    with pytest.raises(Refused, match="500 are left"), budget.spending(Cost(501, 1.0), "m2"):
        pass


def test_a_mission_over_its_budget_ends_before_the_mind_is_asked(image_dir):
    mind = ScriptedMind()
    system = System(Settings(image=image_dir, heartbeat=False), mind)
    try:
        send = sender(system)
        send("lobby", "clone", called="account", balance=100)
        limits(system.image, mission={"tokens": 100})
        reply = send("account", "withdraw_balance", 30)
        assert reply.error.code == "mission_failed"
        assert reply.error.rule == "budget"
        assert mind.calls == 0
        limits(system.image, mission={"tokens": None})
        mind.enqueue(plan=plan("change"), method="self.§0 -= ¢0\nreturn self.§0")
        assert send("account", "withdraw_balance", 30).result == 70
        assert send("kernel", "budget").result["today"]["tokens"] > 0
    finally:
        system.close()


def test_what_a_crash_left_reserved_counts_as_spent(image, budget):
    budget._reserve(Cost(7, 1.0, 0.015), "m1")  # and the process dies before it settles
    image.run("awaken again", lambda root: genesis(root, (budgets.birth,)))
    told = budget.told()
    assert told["today"] == {"tokens": 7, "seconds": 1.0, "usd": 0.015}
    assert told["reserved"] == 0


def test_of_many_that_race_none_spends_past_the_limit(image, budget):
    limits(image, day={"usd": None}, mission={"usd": 0.05})
    for number in range(3):
        assert 12 * 0.001 < raced(budget, f"m{number}") <= 0.05 + 1e-9


def test_all_that_is_asked_for_one_message_is_one_request(image, budget):
    class Talking:
        converses, answer_tokens = True, 100

        def converse(self, messages, persona, seconds, tell, spent):
            spent(0, 100)
            return "a hundred tokens"

    limits(image, request={"usd": None, "tokens": 150})
    speaking = Speaking(Talking(), budget, lambda ident, event, **facts: None, window=10)
    answer, cost = speaking([{"role": "user", "content": "a"}], None, "message-1", 1.0)
    assert (answer, cost.tokens) == ("a hundred tokens", 100)
    with pytest.raises(Refused, match="50 are left"):
        speaking([{"role": "user", "content": "b"}], None, "message-1", 1.0)
    assert speaking([{"role": "user", "content": "b"}], None, "message-2", 1.0)[1].tokens == 100
