"""Personas are live objects: edited by messages, cloned, and their facets become methods when first used."""

from __future__ import annotations

import pytest
from scripted import ScriptedMind, plan, sender

from batos.app import System
from batos.autotelic import audits
from batos.config import Settings
from batos.message import Message

GROW = "self.§0 += ¢0\nreturn self.§0"
ASKS = "return self.¤0(¢0, self.§3['sage_facet_'])"


class Talking(ScriptedMind):
    """It talks, too: every question is answered by what it was told and asked."""

    converses, answer_tokens, semantic = True, 64, False

    def __init__(self):
        super().__init__()
        self.spoken: list[tuple[str | None, list[dict[str, str]]]] = []

    def converse(self, messages, persona=None, seconds=60.0, tell=None, spent=None):
        self.spoken.append((persona, messages))
        if spent is not None:
            spent(10, 5)
        return f"({messages[0]['content']}) {messages[-1]['content']}"


@pytest.fixture
def mind():
    return Talking()


@pytest.fixture
def send(system, mind):
    send = sender(system)
    send("lobby", "clone", called="account", balance=100, owner="Ada")
    mind.enqueue(plan=plan("change"), method=GROW)
    return send


def learn_facet(send, mind, method=ASKS):
    # A mind that reads slots by handles: `facets` is the fourth that a persona shows.
    names = [each.name for each in linked(send).slots]
    mind.enqueue(
        plan=plan("read", slots=(), args=("query",)), method=method.replace("§3", f"§{names.index('facets')}")
    )


def linked(send):
    from batos.mind import dialect

    slots = send("robin_prototype_obj", "slots").result["own"]
    brief = {"selector": "sage_facet_", "args": ["x"], "kw": {}, "slots": slots, "selectors": {}}
    return dialect.link(brief)


def test_a_facet_begins_as_a_sentence_and_is_a_method_after_its_first_use(system, send, mind):
    learn_facet(send, mind)
    first = send("robin_prototype_obj", "sage_facet_", "I am stuck.")
    assert first.error is None, str(first.error)
    assert first.mission and "I am stuck." in first.result
    assert (
        "Accept what is before looking for what to do." in first.result
        and "one sentence a friend" in first.result
    )
    calls = mind.calls
    again = send("robin_prototype_obj", "sage_facet_", "And now?")
    assert again.mission is None and "And now?" in again.result and mind.calls == calls
    assert "self.infer_(query" in send("robin_prototype_obj", "source", "sage_facet_").result
    assert mind.spoken[-1][0] == "ROBIN", "a facet speaks with its persona's expert"
    told = system.audit()
    assert (told["measured"]["facets_written"], told["measured"]["facets_reused"]) == (1, 1)
    assert "Facets: 1 written, 1 answers by one that was there already (50%)." in audits.written(told)


def test_an_edited_intent_and_an_edited_codex_count_from_the_next_question_on(system, send, mind):
    learn_facet(send, mind)
    send("robin_prototype_obj", "sage_facet_", "I am stuck.")
    facets = send("robin_prototype_obj", "facets").result
    send("robin_prototype_obj", "put", "facets", facets | {"sage_facet_": "Ask one question back."})
    send("robin_prototype_obj", "put", "codex", "Speak like a sailor.")
    told = send("robin_prototype_obj", "sage_facet_", "I am stuck.").result
    assert "Ask one question back." in told and "Speak like a sailor." in told
    send("kernel", "undo")
    assert "one sentence a friend" in send("robin_prototype_obj", "sage_facet_", "I am stuck.").result


def test_a_facet_is_edited_and_taken_back_like_any_method(system, send, mind):
    learn_facet(send, mind)
    send("robin_prototype_obj", "sage_facet_", "I am stuck.")
    send(
        "robin_prototype_obj",
        "define",
        "def sage_facet_(self, query):\n    return self.infer_(query, 'Be brief.') + '!'\n",
    )
    assert send("robin_prototype_obj", "sage_facet_", "I am stuck.").result.endswith(
        "Be brief.) I am stuck.!"
    )
    assert send("robin_prototype_obj", "revert", "sage_facet_").result == 1
    assert "Accept what is" in send("robin_prototype_obj", "sage_facet_", "I am stuck.").result


@pytest.mark.parametrize(
    "method, why",
    [
        ("return ¢0", "just once"),
        ("return self.¤0(¢0)", "without a system prompt"),
        ("return self.¤0('something else', 'be kind')", "does not put the question"),
        ("self.§0 = 'x'\nreturn self.¤0(¢0, 'be kind')", "more than ask"),
    ],
    ids=["asks nobody", "is told nothing", "asks something else", "changes the persona"],
)
def test_what_does_not_put_the_question_to_its_own_mind_is_no_facet(system, send, mind, method, why):
    learn_facet(send, mind, method)
    reply = send("robin_prototype_obj", "sage_facet_", "I am stuck.")
    assert reply.error.code == "mission_failed"
    told = send("kernel", "mission", reply.error.mission).result
    assert any(why in objection for draft in told["drafts"] for objection in draft["objections"])
    assert mind.spoken == []


def test_a_mind_that_only_writes_methods_learns_the_facet_and_says_that_it_cannot_talk(system, send, mind):
    mind.converses = False
    learn_facet(send, mind)
    reply = send("robin_prototype_obj", "sage_facet_", "I am stuck.")
    assert reply.error.code == "no_mind" and "incarnate" in reply.error.hint
    assert send("robin_prototype_obj", "responds_to", "sage_facet_").result is True


def test_a_method_that_asks_the_mind_is_run_again_and_keeps_nothing_of_the_runs_before(system, send, mind):
    send("robin_prototype_obj", "put", "count", 0)
    send(
        "robin_prototype_obj", "define",
        "def twice(self, query):\n    self.count += 1\n    a = self.infer_(query, 'one')\n    b = self.infer_(a, 'two')\n    return b\n",
    )  # fmt: skip
    told = send("robin_prototype_obj", "twice", "Why?")
    assert told.error is None, str(told.error)
    assert len(mind.spoken) == 2 and told.result.count("Why?") == 1
    assert send("robin_prototype_obj", "count").result == 1
    dry = send("robin_prototype_obj", "twice", "Why?", dry=True)
    assert dry.error.code == "refused" and len(mind.spoken) == 2


def test_a_method_that_asks_the_mind_for_ever_is_ended(system, send, mind):
    source = "def on(self, query):\n    for each in range(99):\n        query = self.infer_(query, 'go on')\n    return query\n"
    assert send("robin_prototype_obj", "define", source).error is None
    reply = send("robin_prototype_obj", "on", "x")
    assert reply.error.code == "method_error" and "8 times" in str(reply.error)


def test_a_clone_of_a_persona_takes_part_in_the_next_mission(system, send, mind):
    send("brick_prototype_obj", "clone", called="cara", name="CARA", expert="CARA")
    send("cara", "put", "meta_prompts", {"DELEGATING": "write it carefully"})
    send("cara", "put", "sampling", {"temperatures": [0.0, 0.9]})
    send("psm_prototypes_obj.DELEGATING", "put", "others", [{"$ref": "cara"}])
    reply = send("account", "grow_balance", 5)
    assert reply.result == 105
    told = send("kernel", "mission", reply.mission).result
    voices = {draft["voice"] for draft in told["drafts"]}
    assert {"CARA@0", "CARA@0.9", "BRICK@0", "base@0"} <= voices
    assert [name for step, name, prompt in mind.prompts if "write it carefully" in prompt] == ["CARA", "CARA"]
    assert any(
        voice.startswith("CARA") for voice in send("account", "versions", "grow_balance").result[0]["voices"]
    )
    send("psm_prototypes_obj.DELEGATING", "put", "others", [])
    mind.prompts.clear()
    assert send("account", "widen_balance", 5).result == 110
    assert "CARA" not in {name for _, name, _ in mind.prompts}


def test_what_a_persona_is_told_and_how_boldly_it_drafts_are_its_own_slots(system, send, mind):
    send("brick_prototype_obj", "put", "meta_prompts", {"DECOMPOSING": "plan like a mason"})
    send("brick_prototype_obj", "put", "sampling", {"temperatures": [0.0]})
    assert send("account", "grow_balance", 5).result == 105
    plans = [prompt for step, _, prompt in mind.prompts if step == "plan"]
    assert len(plans) == 1 and "plan like a mason" in plans[0]
    assert [step for step, *_ in mind.prompts].count("method") == 2, "BRICK once, and the base"


def test_personas_survive_sleep_with_what_was_made_of_them(system, send, mind):
    learn_facet(send, mind)
    send("robin_prototype_obj", "sage_facet_", "I am stuck.")
    system.close()
    again = System(Settings(image=system.settings.image, heartbeat=False), Talking())
    try:
        reply = again.kernel.send(Message("robin_prototype_obj", "sage_facet_", ["Still?"]))
        assert reply.mission is None and "Still?" in reply.result
    finally:
        again.close()
