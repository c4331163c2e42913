"""Rounds of the council: what they learn from each other, when another one pays, missions inside missions, cancels."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import replace

import pytest
from scripted import ScriptedMind, plan, sender

from batos.app import System
from batos.config import Settings
from batos.message import Message
from batos.mind import dialect
from batos.psm import council

LESS, MORE, SAME = (
    "self.§0 -= ¢0\nreturn self.§0",
    "self.§0 += ¢0\nreturn self.§0",
    "self.§0 += ¢0 * 1\nreturn self.§0",
)
ZERO, ONE = "self.§0 = 0\nreturn 0", "self.§0 = ¢0\nreturn ¢0"


@pytest.fixture
def send(system, mind):
    send = sender(system)
    send("lobby", "clone", called="account", balance=100, owner="Ada")
    mind.enqueue(plan=plan("change"))
    return send


def methods(mind):
    return [(name, prompt) for step, name, prompt in mind.prompts if step == "method"]


def test_a_split_vote_is_decided_by_a_second_round_of_more_voices(system, send, mind):
    mind.enqueue(method=[MORE, MORE, LESS, LESS, ONE] + [MORE] * 7)
    reply = send("account", "grow_balance", 5)
    assert reply.result == 105
    told = send("kernel", "mission", reply.mission).result
    assert told["rounds"] == 2 and len(told["drafts"]) == 12, (
        "five voices; then the three that were bold twice, and the base, bolder: nobody who was greedy has two votes"
    )
    assert told["method"]["rehearsal"]["agreeing"] == 9 and told["method"]["rehearsal"]["drafts"] == 12


@pytest.fixture
def reading(image_dir):
    """`send` to an image whose mind reads what it is told, and that mind."""

    class Reading(ScriptedMind):
        semantic, converses = False, True

    mind = Reading()
    system = System(Settings(image=image_dir, heartbeat=False, mission_seconds=20.0), mind)
    send = sender(system)
    send("lobby", "clone", called="account", balance=100, owner="Ada")
    mind.enqueue(plan=plan("change"))
    yield send, mind
    system.close()


def test_in_a_later_round_a_persona_speaks_by_its_facets_to_a_mind_that_reads(reading):
    send, mind = reading
    facets = send("brick_prototype_obj", "facets").result
    send("brick_prototype_obj", "put", "facets", facets | {"tamland_facet_": "Count it on your fingers."})
    mind.enqueue(method=[MORE, MORE, LESS, LESS, ONE] + [MORE, LESS] * 20)
    told = send("kernel", "mission", send("account", "grow_balance", 5).error.mission).result
    later = [each for each in told["drafts"] if each["round"] == 2]
    assert [each["voice"] for each in later] == [
        "BRICK@0", "BRICK@0.6", "BRICK@0.9", "BRICK@1.2", "base@0",
        "BRICK tamland@0", "BRICK tamland@0.6", "BRICK tamland@0.9", "BRICK tamland@1.2", "base@0.6",
    ]  # fmt: skip
    assert [each for each in later if "Count it on your fingers." in each["prompt"]] == later[5:9]


def test_a_mind_that_reads_is_told_where_the_drafts_differ_with_at_most_four_examples(reading):
    send, mind = reading
    mind.enqueue(plan=plan("change"), method=[MORE, MORE, LESS, LESS, ZERO] + [MORE] * 10)
    reply = send("account", "grow_balance", 5)
    assert reply.result == 105
    told = send("kernel", "mission", reply.mission).result
    assert 1 <= len(told["counters"]) <= council.COUNTERS
    first, second = methods(mind)[:5], methods(mind)[5:]
    assert not any("differ" in prompt or "With {" in prompt for _, prompt in first)
    assert all("no majority" in prompt and "With {" in prompt for _, prompt in second)
    assert re.search(r"one answers -?\d+, balance becomes -?\d+", second[0][1])
    assert ("BRICK", None) != tuple(name for name, _ in second[:2]) and len(second) == 10, (
        "the greedy ones too"
    )


def test_a_round_that_brings_nothing_new_is_the_last_one(system, send, mind):
    mind.enqueue(method=[MORE, LESS, ZERO, ONE, "return 7"] + [MORE, LESS, ZERO] * 20)
    send("psm_prototypes_obj.SYNTHESIZING", "put", "rounds", 9)
    reply = send("account", "grow_balance", 5)
    assert reply.error.code == "mission_failed" and "brought nothing new" in str(reply.error)
    assert send("kernel", "mission", reply.error.mission).result["rounds"] == 2


def test_voices_of_one_mind_that_all_err_are_not_asked_again(system, send, mind):
    mind.enqueue(audit='{"sound":false,"finding":"it does something else"}', method=[MORE] * 50)
    reply = send("account", "grow_balance", 5)
    assert "ALFRED says: it does something else; all voices agree in that" in str(reply.error)
    assert len(methods(mind)) == 5


def test_what_a_convention_speaks_against_is_a_counter_example_for_the_next_round(system, send, mind):
    late = "self.§0 -= ¢0\nraise ValueError('too late')"
    mind.enqueue(method=[late] * 5 + [MORE] * 9)
    reply = send("account", "grow_balance", 5)
    assert reply.result == 105
    told = send("kernel", "mission", reply.mission).result
    (wrong,) = told["brief"]["counter_examples"]
    assert wrong["args"] == [5] and wrong["error"] == "ValueError" and wrong["changes"] == {"balance": 95}
    assert len(told["drafts"]) == 14, "the greedy voices too: they are asked something else now"


def test_a_name_of_the_message_that_the_method_never_looks_at_is_objected_to(system, send, mind):
    send("account", "put", "limit", 500)
    mind.enqueue(plan=plan("ask", slots=("§0", "§1"), args=()), method="return self.§0 > 0")
    reply = send("account", "is_balance_above_limit")
    assert "the message names 'limit', and the method never looks at it" in str(reply.error)
    mind.enqueue(plan=plan("change"), method="self.§0 += 1\nreturn self.§0")
    reply = send("account", "grow_balance", 5)
    assert "the message names 'amount'" in str(reply.error)
    send("account", "put", "bills", [{"price": 3, "weight": 2}])
    mind.enqueue(plan=plan("read", args=()), method="return sum(each['£1'] for each in self.§0)")
    assert "names 'price', and the method never looks at it" in str(
        send("account", "total_price_of_bills").error
    )


def test_of_drafts_that_behave_alike_what_most_voices_wrote_is_installed(system, send, mind):
    mind.enqueue(method=[SAME, SAME, SAME, MORE, MORE])
    assert send("account", "grow_balance", 5).result == 105
    assert "* 1" in send("account", "source", "grow_balance").result


@pytest.mark.parametrize(
    ("selector", "kind", "why"),
    [
        ("double_balance", "read", "'double' commands, and the method only reads"),
        ("is_balance_large", "read", "'is' asks, and the method does not"),
    ],
)
def test_a_method_of_another_kind_than_its_name_says_is_objected_to(system, send, mind, selector, kind, why):
    mind.enqueue(plan=plan(kind, args=()), method="return self.§0 * 2")
    assert why in str(send("account", selector).error)
    mind.enqueue(plan=plan(kind, args=()), method="return self.§0 * 2")
    assert send("account", "double_of_balance").result == 200, "a noun after a verb names a value"


def test_a_proposed_example_counts_unless_most_drafts_contradict_it_and_a_person_s_always_does(reading):
    send, mind = reading
    proposing = json.loads(plan("change")) | {
        "examples": [
            {"slots": {"§0": 10}, "args": [5], "result": 15},
            {"args": [1], "result": -1},
            {"args": []},
        ]
    }
    mind.enqueue(plan=json.dumps(proposing), method=[MORE, MORE, MORE, MORE, ONE])
    told = send("kernel", "mission", send("account", "grow_balance", 5).mission).result
    assert [(each["result"], each["stands"]) for each in told["proposed"]] == [(15, True), (-1, False)]
    assert told["method"]["rehearsal"]["agreeing"] == 4 and told["method"]["rehearsal"]["trials"] == 19
    (other,) = [each for each in told["drafts"] if each["objections"]]
    assert "the proposed example {'slots': {'balance': 10}" in other["objections"][0]
    mind.enqueue(method=[MORE, MORE, MORE, MORE, LESS] * 9)
    kept = send("account", "widen_balance", 5, examples=[{"args": [5], "kw": {}, "result": 100}])
    assert "comes out as" in str(kept.error), "a person's example is never dropped"


def test_an_auditor_that_guesses_objects_to_nothing(image_dir):
    class Guessing(ScriptedMind):
        def generate(self, prompts, *rest, **more):
            drafts = super().generate(prompts, *rest, **more)
            return [
                replace(draft, logprob=-1.5) if dialect.AUDIT in prompt else draft
                for prompt, draft in zip(prompts, drafts, strict=True)
            ]

    mind = Guessing()
    system = System(Settings(image=image_dir, heartbeat=False), mind)
    try:
        send = sender(system)
        send("lobby", "clone", called="account", balance=100)
        mind.enqueue(
            plan=plan("change"), method=MORE, audit='{"sound":false,"finding":"it does something else"}'
        )
        mission = send("account", "grow_balance", 5).mission
        assert (
            send("kernel", "mission", mission).result["method"]["audit"]
            == "not sure, but: it does something else"
        )
    finally:
        system.close()


def test_counter_examples_are_the_trials_that_tell_the_behaviours_apart():
    def cluster(*results):
        return council.Cluster([{"result": each, "changes": {}} for each in results])

    calls = [{"slots": {"x": n}, "args": [n], "kw": {}} for n in range(6)]
    found = [cluster(0, 1, 2, 3, 4, 5), cluster(0, 1, 2, 9, 4, 5), cluster(0, 8, 2, 3, 4, 5)]
    chosen = council.counter_examples(found, calls, [])
    assert [each["args"] for each in chosen] == [[1], [3]], "two trials are enough for three behaviours"
    assert chosen[0]["answers"] == ["answers 1", "answers 8"]
    assert council.counter_examples(found, calls, chosen) == []
    many = [cluster(*(n if n != each else -1 for n in range(6))) for each in range(6)]
    assert len(council.counter_examples(many, calls, [])) == council.COUNTERS


def test_what_the_object_answers_now_and_what_stands_beside_it_is_told_to_a_mind_that_reads_it(
    system, send, mind
):
    send("lobby", "clone", called="friend", coins=3)
    send("account", "put", "friend", {"$ref": "friend"})
    send("account", "define", "def tenth(self):\n    return self.balance // 10\n")
    send("account", "define", "def wipe(self):\n    self.balance = 0\n    return 0\n")
    mind.enqueue(method=MORE)
    brief = send("kernel", "mission", send("account", "grow_balance", 5).mission).result["brief"]
    assert brief["answers"] == {"tenth": 10}, "what changes anything is not asked"
    assert brief["others"]["friend"]["slots"] == {"coins": 3}


# -- missions inside missions ---------------------------------------------------------------------------


@pytest.fixture
def nested(system, send, mind):
    """account understands `tally`, which sends `inner_balance`, which nobody understands."""
    send("account", "define", "def tally(self):\n    return self.inner_balance(1)\n")
    generate = mind.generate

    def by_message(prompts, *rest, **more):
        inner = "inner_" in prompts[0]
        mind.enqueue(
            plan=plan("read", slots=(), args=("n",)),
            method="return self.§0 + ¢0" if inner else "return self.¤0() + ¢0",
        )
        return generate(prompts, *rest, **more)

    system.kernel._orchestrator._generate = by_message
    return send


def test_a_mission_that_misses_something_itself_learns_that_first(system, nested):
    reply = nested("account", "tally_and_more", 5)
    assert reply.error is None, str(reply.error)
    assert reply.result == 106
    outer = nested("kernel", "mission", reply.mission).result
    (child,) = outer["children"]
    inner = nested("kernel", "mission", child).result
    assert (inner["send"], inner["parent"], inner["state"]) == ("inner_balance", outer["id"], "COMPLETE")
    again = nested("kernel", "replay", reply.mission).result
    assert again["same"] and again["model_calls"] == 0


def test_a_child_mission_inherits_the_deadline_and_the_purse(system, nested):
    missions = []
    child_of = system.kernel._orchestrator._run

    def run(mission):
        missions.append(mission)
        child_of(mission)

    system.kernel._orchestrator._run = run
    nested("account", "tally_and_more", 5)
    outer, inner = missions
    assert (
        inner.deadline == outer.deadline and inner.tree == outer.id and (outer.depth, inner.depth) == (0, 1)
    )


def test_missions_inside_missions_go_only_so_deep(system, send, mind):
    orchestrator = system.kernel._orchestrator
    from batos.psm.mission import Miss
    from batos.psm.orchestrator import DEPTH

    oid = send("account", "describe").result["object"]["oid"]
    depths = []

    def run(mission):
        depths.append(mission.depth)
        child = orchestrator._child_of(mission)
        try:
            child(Miss(oid, "account", f"deeper_{mission.depth}", [], {}))
        except Exception as exc:  # noqa: BLE001 - as the machine does
            orchestrator._broke(mission, exc)

    orchestrator._run = run
    reply = send("account", "deep_balance")
    assert depths == list(range(DEPTH + 1))
    assert reply.error.code == "mission_failed" and f"{DEPTH} is the most" in str(reply.error)
    assert not orchestrator._pending and not orchestrator._begun and not orchestrator._callbacks


def test_a_mission_that_needs_itself_fails_instead_of_waiting_for_ever(system, send, mind):
    orchestrator = system.kernel._orchestrator
    from batos.psm.mission import Miss

    oid = send("account", "describe").result["object"]["oid"]

    def run(mission):
        other = {"one_balance": "two_balance", "two_balance": "one_balance"}[mission.miss.selector]
        begun.wait(5)
        try:
            orchestrator._child_of(mission)(Miss(oid, "account", other, [], {}))
        except Exception as exc:  # noqa: BLE001 - as the machine does
            orchestrator._broke(mission, exc)

    begun = threading.Event()
    orchestrator._run = run
    futures = [system.kernel.submit(Message("account", name, [])) for name in ("one_balance", "two_balance")]
    deadline = time.monotonic() + 5
    while len(orchestrator._begun) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    begun.set()
    replies = [future.result(10) for future in futures]
    assert {reply.error.code for reply in replies} == {"mission_failed"}
    assert any(
        "wait for each other" in str(reply.error) or "needs itself" in str(reply.error) for reply in replies
    )
    assert not orchestrator._pending and not orchestrator._waits


def test_a_message_that_needs_one_mission_after_another_has_one_deadline_for_all(system, send, mind):
    send("account", "define", "def both(self):\n    return self.one_balance(1) + self.two_balance(1)\n")
    mind.enqueue(plan=plan("change"), method="self.§0 += ¢0\nreturn self.§0")
    seen = []
    opened = system.kernel._orchestrator.open

    def listening(*args, **kw):
        mission = opened(*args, **kw)
        seen.append(mission)
        return mission

    system.kernel._orchestrator.open = listening
    assert send("account", "both").error is None
    first, second = seen
    assert second.deadline == first.deadline and second.tree == first.id and second.depth == 1


# -- cancels ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["thinking", "rehearsing", "waiting in the queue"])
def test_a_cancel_is_answered_within_a_tenth_of_a_second_wherever_the_mission_is(system, send, mind, where):
    orchestrator = system.kernel._orchestrator
    mind.enqueue(method=MORE)
    stuck, go_on = threading.Event(), threading.Event()
    if where == "rehearsing":
        real = orchestrator._rehearse

        def rehearse(*args):
            stuck.set()
            go_on.wait(5)
            return real(*args)

        orchestrator._rehearse = rehearse
    else:
        mind.gate.clear()
        stuck = mind.thinking
    futures = [system.kernel.submit(Message("account", "grow_balance", [5]))]
    if where == "waiting in the queue":
        futures += [
            system.kernel.submit(Message("account", name, [5])) for name in ("widen_balance", "lift_balance")
        ]
    assert stuck.wait(5)
    mission = orchestrator.running()[-1]
    began = time.monotonic()
    assert send("kernel", "cancel", mission.id).result is True
    assert futures[-1].result(1).error.code == "cancelled"
    took = time.monotonic() - began
    assert took < 0.1, f"{took * 1000:.0f} ms"
    mind.gate.set(), go_on.set()
    for future in futures[:-1]:
        assert future.result(10).error is None
    end = time.monotonic() + 5
    while orchestrator.running() and time.monotonic() < end:
        time.sleep(0.01)
    assert mission.state == "FAILED" and send("kernel", "cancel", mission.id).result is False
    assert send("account", "responds_to", mission.miss.selector).result is False


def test_the_likelihood_of_a_sentence_says_nothing_of_a_mind_that_says_it_in_many_ways(reading):
    send, mind = reading
    mind.logprob = -9.0  # of a whole plan in free words, and of an audit
    mind.enqueue(method=MORE)
    told = send("kernel", "mission", send("account", "grow_balance", 5).mission).result
    assert told["method"] is not None and told["confidence"] is None
