"""A person says what was expected: a counter-example, a new version, and a rule that later versions must pass."""

from __future__ import annotations

import pytest
from scripted import plan, sender


WRONG = "self.§0 += ¢0\nreturn self.§0"
RIGHT = "self.§0 -= ¢0\nreturn self.§0"


@pytest.fixture
def send(system, mind):
    send = sender(system)
    send("lobby", "clone", called="account", balance=100, owner="Ada")
    mind.enqueue(plan=plan("change"), method=WRONG)
    assert send("account", "lower_balance", 40).result == 140
    return send


def test_what_was_wrong_is_taken_back_and_learned_anew_with_the_example(send, mind):
    mind.enqueue(method=RIGHT)
    told = send("kernel", "wrong", 60).result
    assert (told["result"], told["send"]) == (60, "lower_balance")
    assert send("account", "balance").result == 60
    versions = send("account", "versions", "lower_balance").result
    assert len(versions) == 2
    assert send("kernel", "examples", "account", "lower_balance").result == [
        {"slots": {"balance": 100, "owner": "Ada"}, "args": [40], "kw": {}, "result": 60}
    ]


def test_where_no_method_gives_the_expected_answer_all_is_as_it_was(send, mind):
    reply = send("kernel", "wrong", 60)  # every voice says the same as before
    assert reply.error.code == "mission_failed"
    assert "define account" in reply.error.hint
    assert send("account", "balance").result == 140
    assert send("account", "lower_balance", 1).result == 141


def test_a_later_mission_and_a_persons_own_version_must_pass_the_example(send, mind):
    mind.enqueue(method=RIGHT)
    send("kernel", "wrong", 60)
    refused = send("account", "define", "def lower_balance(self, n):\n    return self.balance\n").error
    assert refused.code == "refused"
    assert refused.rule == "example"
    assert "answers 60" in str(refused)
    assert (
        send(
            "account",
            "define",
            "def lower_balance(self, amount):\n    self.balance = self.balance - amount\n    return self.balance\n",
        ).error
        is None
    )  # noqa: E501
    send("account", "forget", "lower_balance")
    mind.enqueue(method=WRONG)
    assert send("account", "lower_balance", 5).error.code == "mission_failed"


def test_an_example_can_be_taken_back(send, mind):
    mind.enqueue(method=RIGHT)
    send("kernel", "wrong", 60)
    assert send("kernel", "unteach", "account", "lower_balance", 0).result == []
    assert send("account", "define", "def lower_balance(self, n):\n    return self.balance\n").error is None
    assert send("kernel", "unteach", "account", "lower_balance", 0).error.code == "no_such_object"


def test_an_answer_that_changed_nothing_can_be_wrong_too(send, mind):
    mind.enqueue(plan=plan("read"), method="return self.§0 + ¢0")
    assert send("account", "balance_without", 40).result == 180
    mind.enqueue(method="return self.§0 - ¢0")
    assert send("kernel", "wrong", 100).result["result"] == 100
    assert send("account", "balance_without", 10).result == 130


def test_a_message_nobody_remembers_and_a_method_of_another_are_named(system, send):
    assert send("kernel", "wrong", 1, "no-such-id").error.code == "no_such_object"
    send("account", "balance")
    assert "no method of account" in str(send("kernel", "wrong", 1).error)
