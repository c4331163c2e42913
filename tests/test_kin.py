"""The same meaning under another selector: reused where a draft behaves like it, never because it reads like it."""

from __future__ import annotations

import numpy
import pytest
from scripted import ScriptedMind, plan, sender

from batos.app import System
from batos.config import Settings

WITHDRAW = "if ¢0 > self.§0:\n    raise ValueError('there is not that much')\nself.§0 -= ¢0\nreturn self.§0"
LOWER = "self.§0 -= ¢0\nreturn self.§0"


class Thesaurus:
    """An embedder for which texts that share a word of `same` mean the same."""

    name, semantic, loaded = "thesaurus", True, True
    same = ("withdraw", "spend", "pay", "lower", "send", "give")

    def encode(self, texts):
        return numpy.array([[1.0, 0.0] if any(w in t for w in self.same) else [0.0, 1.0] for t in texts])


@pytest.fixture
def mind():
    return ScriptedMind()


@pytest.fixture
def system(image_dir, mind):
    system = System(Settings(image=image_dir, heartbeat=False, mission_seconds=20.0), mind)
    system.memory.embedder = Thesaurus()
    yield system
    system.close()


@pytest.fixture
def send(system, mind):
    send = sender(system)
    send("lobby", "clone", called="account", balance=100, owner="Ada")
    mind.enqueue(plan=plan("change", unless="more than there is"), method=WITHDRAW)
    assert send("account", "withdraw_balance", 30).result == 70
    return send


def test_a_paraphrase_is_answered_by_the_known_method_after_one_draft(system, send, mind):
    mind.prompts.clear()
    reply = send("account", "spend_balance", 20)
    assert reply.result == 50
    source = send("account", "source", "spend_balance").result
    assert "return self.withdraw_balance(a0)" in source
    assert [step for step, *_ in mind.prompts].count("method") == 1, "no council was called"
    told = send("kernel", "mission", reply.mission).result
    assert told["kin"] == [{"selector": "withdraw_balance", "likeness": 1.0}]
    assert "an alias is kept" in told["why"]


def test_an_alias_follows_the_method_it_stands_for(system, send):
    send("account", "spend_balance", 20)
    send(
        "account",
        "define",
        "def withdraw_balance(self, n):\n    self.balance = self.balance - 2 * n\n    return self.balance\n",
    )
    assert send("account", "spend_balance", 5).result == 40


def test_what_only_reads_alike_and_behaves_otherwise_becomes_a_method_of_its_own(system, send, mind):
    mind.enqueue(plan=plan("change"), method=LOWER)
    mind.prompts.clear()
    reply = send("account", "lower_balance", 100)
    assert reply.result == -30
    assert "withdraw_balance" not in send("account", "source", "lower_balance").result
    steps = [step for step, *_ in mind.prompts]
    assert steps.count("method") == 5, "one draft, and then the other four voices"


def test_what_reads_unlike_is_not_even_tried(system, send, mind):
    mind.prompts.clear()
    reply = send("account", "burn_balance", 10)
    assert reply.result == 60
    assert "withdraw" not in send("account", "source", "burn_balance").result
    assert send("kernel", "mission", reply.mission).result["kin"] == []


def test_two_arguments_may_come_in_the_other_order(system, send, mind):
    send(
        "account",
        "define",
        "def pay_balance(self, amount, times):\n    self.balance = self.balance - amount * times * times\n    return self.balance\n",
    )
    mind.enqueue(
        plan=plan("change", args=("times", "amount")), method="self.§0 -= ¢1 * ¢0 * ¢0\nreturn self.§0"
    )
    reply = send("account", "give_balance", 3, 2)
    assert reply.error is None, reply.error
    assert "self.pay_balance(a1, a0)" in send("account", "source", "give_balance").result


def test_a_persons_example_outweighs_the_likeness(system, send, mind):
    reply = send("account", "spend_balance", 20, examples=[{"args": [20], "result": 49}])
    assert reply.error is not None
    assert reply.error.code == "mission_failed"


def test_without_an_embedder_the_council_is_called_as_before(system, send, mind):
    system.memory.embedder.loaded = False
    mind.prompts.clear()
    assert send("account", "spend_balance", 20).result == 50
    assert [step for step, *_ in mind.prompts].count("method") == 5


def test_where_the_first_draft_is_objected_to_the_council_is_called_all_the_same(system, send, mind):
    late = "self.§0 -= ¢0\nraise ValueError('too late')"
    mind.enqueue(plan=plan("change"), method=[late, LOWER, LOWER, LOWER, LOWER])
    reply = send("account", "lower_balance", 100)
    assert reply.error is None and reply.result == -30
