"""A mission run again from the journal: the same end, no model call, nothing kept."""

from __future__ import annotations

import pytest
from scripted import ScriptedMind, plan, sender
from test_missions import WITHDRAW, graph

from batos.app import System
from batos.psm.journal import about


@pytest.fixture
def send(system, mind):
    send = sender(system)
    send("lobby", "clone", called="account", balance=100, owner="Ada")
    mind.enqueue(plan=plan("change", unless="more than there is"), method=WITHDRAW)
    return send


def test_a_mission_is_replayed_to_the_same_method_without_the_mind_and_nothing_is_kept(system, send, mind):
    mission = send("account", "withdraw_balance", 30).mission
    send("account", "withdraw_balance", 30)  # the object has changed since
    calls, before = mind.calls, graph(system)
    told = send("kernel", "replay", mission).result
    assert told["same"] is True
    assert (told["state"], told["was"]) == ("COMPLETE", "COMPLETE")
    assert told["method"] == send("account", "source", "withdraw_balance").result
    assert told["answered_from_journal"] == calls
    assert (mind.calls, told["model_calls"]) == (calls, 0)
    assert graph(system) == before


def test_a_mission_that_failed_fails_again_for_the_same_reason(system, send, mind):
    mind.enqueue(method="return self.nowhere.balance")
    mission = send("account", "withdraw_balance", 30).error.mission
    told = send("kernel", "replay", mission).result
    assert told["same"] is True
    assert told["state"] == "FAILED"


def test_a_replay_in_another_life_needs_only_the_journal(system, send, mind):
    mission = send("account", "withdraw_balance", 30).mission
    system.close()
    again = System(system.settings, ScriptedMind())
    try:
        again.mind.broken = AssertionError("the mind was asked")
        assert sender(again)("kernel", "replay", mission).result["same"] is True
    finally:
        again.close()


def test_an_edited_prompt_is_named_and_the_old_answers_are_used(system, send, mind):
    mission = send("account", "withdraw_balance", 30).mission
    send("psm_prototypes_obj.DECOMPOSING", "put", "meta_prompt", "Plan differently.")
    told = send("kernel", "replay", mission).result
    assert told["differs"] == ["call 1: the prompt is another one now"]
    assert told["same"] is True


def test_what_was_forgotten_cannot_be_replayed(system, send):
    mission = send("account", "withdraw_balance", 30).mission
    system.journal.redact(about("withdraw_balance"))
    reply = send("kernel", "replay", mission)
    assert reply.error.code == "conflict"
    assert "forgotten" in str(reply.error)


def test_a_mission_nobody_knows_is_named(send):
    assert send("kernel", "replay", "0123456789ab").error.code == "no_such_object"
