"""The weave: facets asked side by side, one voice that names what it used and where it was contradicted, a gate."""

from __future__ import annotations

import json
import threading

import pytest
from openai_server import OpenAiServer
from scripted import plan, sender

from batos.app import System
from batos.config import Settings
from batos.errors import Cancelled, MissionFailed, NoMind
from batos.mind.engine import Draft

PLAN = {"strategy": "hear both", "facets": [{"facet": "sage_facet_", "query": "What is there?"},
                                            {"facet": "tamland_facet_", "query": "What is literally there?"}]}  # fmt: skip
WOVEN = {"answer": "The project is stuck, and that is where it begins [1].", "used": ["A", "B"],
         "contradictions": [{"between": ["A", "B"], "about": "whether it is stuck"}]}  # fmt: skip
GOOD = {"coherence": 5, "style": 4, "synthesis": 4, "fulfilment": 5, "why": ""}
BAD = {"coherence": 2, "style": 2, "synthesis": 1, "fulfilment": 3, "why": "it is a list"}
PASSAGES = [{"source": "notes.txt", "start": 0, "end": 20, "text": "The project stands still."}]
FACETS = "def {0}(self, query):\n    return self.infer_(query, self.facets['{0}'])\n"


class Speaker:
    """Says what a script says to each step, a list one after another; a facet says who it is."""

    def __init__(self, **says):
        self.says = {"plan": PLAN, "weave": WOVEN, "gate": GOOD} | says
        self.heard: list[tuple[str, str | None, list[dict[str, str]]]] = []
        self.together = threading.Barrier(2, timeout=5)
        self.side_by_side = False

    def __call__(self, messages, expert):
        rules = messages[0]["content"]
        step = next((name for name, word in (("plan", "Take the question apart"), ("weave", "in one voice"), ("gate", "Mark the answer"))
                     if word in rules), "facet")  # fmt: skip
        self.heard.append((step, expert, messages))
        if step == "facet":
            if self.side_by_side:
                self.together.wait()
            return f"{expert} says: {messages[-1]['content']}"
        said = self.says[step]
        said = said.pop(0) if isinstance(said, list) else said
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, str) else json.dumps(said)

    def steps(self):
        return [step for step, *_ in self.heard]


@pytest.fixture
def send(system):
    send = sender(system)
    send("robin_prototype_obj", "define", FACETS.format("sage_facet_"))
    send("brick_prototype_obj", "define", FACETS.format("tamland_facet_"))
    return send


def weave(system, speak, text="Why is my project stuck?", **more):
    return system.kernel._orchestrator.weave(text, speak, PASSAGES, **more)


def test_a_question_is_taken_apart_asked_of_several_and_told_as_one(system, send):
    speak = Speaker()
    speak.side_by_side = True  # each facet waits for the other: one after the other would never end
    told = weave(system, speak)
    assert told["answer"] == WOVEN["answer"] and told["used"] == ["A", "B"]
    assert told["contradictions"] == WOVEN["contradictions"]
    assert [(each["facet"], each["persona"]) for each in told["partials"]] == [
        ("sage_facet_", "ROBIN"), ("tamland_facet_", "BRICK"),
    ]  # fmt: skip
    assert speak.steps()[0] == "plan" and speak.steps()[-2:] == ["weave", "gate"]
    woven = next(messages for step, _, messages in speak.heard if step == "weave")[-1]["content"]
    assert "Why is my project stuck?" in woven and "[1] (notes.txt)" in woven
    assert "A. sage_facet_ of ROBIN" in woven and "ROBIN says: What is there?" in woven
    assert [expert for step, expert, _ in speak.heard if step == "gate"] == [None], (
        "nobody marks their own answer"
    )
    assert (
        "sage_facet_, tamland_facet_" in told["why"]
        and "A and B differ on whether it is stuck" in told["why"]
    )


def test_a_mission_for_words_is_kept_in_the_record_and_replayed_without_the_mind(system, send):
    told = weave(system, Speaker())
    record = send("kernel", "mission", told["mission"]).result
    assert record["state"] == "COMPLETE" and record["words"]["woven"]["answer"] == WOVEN["answer"]
    assert [each["state"] for each in record["states"]] == [
        "IDLE",
        "DECOMPOSING",
        "DELEGATING",
        "SYNTHESIZING",
        "COMPLETE",
    ]
    again = send("kernel", "replay", told["mission"]).result
    assert again["same"] and again["method"] == WOVEN["answer"] and again["model_calls"] == 0
    assert again["answered_from_journal"] == 5


def test_an_answer_below_the_floor_is_woven_again_with_what_was_wrong(system, send):
    speak = Speaker(gate=[BAD, GOOD])
    told = weave(system, speak)
    assert speak.steps().count("weave") == 2 and speak.steps().count("facet") == 2, "nobody is asked again"
    assert "it is a list" in speak.heard[-2][2][-1]["content"] and told["marks"]["why"] == ""


def test_an_answer_that_stays_below_the_floor_is_no_answer(system, send):
    with pytest.raises(MissionFailed, match=r"marked 2 of 5, below 4: it is a list"):
        weave(system, Speaker(gate=BAD))
    send("psm_prototypes_obj.SYNTHESIZING", "put", "floor", 1.5)
    assert weave(system, Speaker(gate=BAD))["answer"]


@pytest.mark.parametrize(
    "step, said, why",
    [
        ("plan", "I think so.", "no JSON"),
        ("plan", {"strategy": "x", "facets": [{"facet": "oracle_facet_", "query": "?"}]}, "names none of"),
        ("plan", {"strategy": "x", "facets": [{"facet": "sage_facet_", "query": " "}]}, "asked nothing"),
        ("weave", WOVEN | {"used": ["Z"]}, '"used" is a list of A, B'),
        ("weave", WOVEN | {"used": []}, "none of the partial answers"),
        ("weave", WOVEN | {"answer": "as [7] says"}, "it cites [7]"),
        ("weave", WOVEN | {"contradictions": [{"between": ["A"], "about": "x"}]}, "between two"),
        ("gate", GOOD | {"style": 9}, "from 1 to 5"),
    ],
)
def test_what_is_no_answer_is_sent_back_once_with_the_reason_and_then_the_mission_fails(
    system, send, step, said, why
):
    good = {"plan": PLAN, "weave": WOVEN, "gate": GOOD}[step]
    speak = Speaker(**{step: [said, good]})
    assert weave(system, speak)["answer"]
    assert any(why in messages[-1]["content"] for _, _, messages in speak.heard)
    with pytest.raises(MissionFailed) as failed:
        weave(system, Speaker(**{step: [said, said]}))
    assert why in str(failed.value)


def test_a_simple_question_asks_no_facet_and_an_exact_one_no_voice(system, send):
    simple = Speaker(
        plan={"strategy": "plain", "facets": []}, weave=WOVEN | {"used": [], "contradictions": []}
    )
    assert weave(system, simple)["partials"] == [] and "facet" not in simple.steps()
    sums = {"strategy": "count", "facets": [{"facet": "sage_facet_", "query": "what is 17 * 23?"}]}
    speak = Speaker(plan=sums, weave={"answer": "391.", "used": ["A"], "contradictions": []})
    (partial,) = weave(system, speak)["partials"]
    assert (
        partial["answer"] == "391"
        and partial["facet"] == "reflex (arithmetic)"
        and "facet" not in speak.steps()
    )


def test_a_facet_that_is_still_a_sentence_becomes_a_method_first_by_a_mission_of_its_own(system, send, mind):
    from test_personas import learn_facet

    send("robin_prototype_obj", "forget", "sage_facet_")
    learn_facet(send, mind)
    told = weave(system, Speaker())
    record = send("kernel", "mission", told["mission"]).result
    (child,) = record["children"]
    inner = send("kernel", "mission", child).result
    assert (inner["send"], inner["state"], inner["parent"]) == ("sage_facet_", "COMPLETE", told["mission"])
    assert "infer_" in send("robin_prototype_obj", "source", "sage_facet_").result


def test_one_facet_that_fails_leaves_the_others_their_say(system, send):
    send(
        "brick_prototype_obj",
        "define",
        "def tamland_facet_(self, query):\n    raise ValueError('I cannot look')\n",
    )
    speak = Speaker(weave={"answer": "It is stuck.", "used": ["A"], "contradictions": []})
    told = weave(system, speak)
    assert [each["answer"] is None for each in told["partials"]] == [False, True]
    assert "I cannot look" in told["partials"][1]["why_not"]


def test_a_mind_that_fails_ends_the_mission_with_its_own_words(system, send):
    with pytest.raises(NoMind, match="away"):
        weave(system, Speaker(plan=NoMind("the mind is away")))
    assert send("kernel", "missions").result[-1]["state"] == "FAILED"


def test_cancelling_ends_a_weave_between_two_words_of_its_voices(system, send):
    speak = Speaker()

    class Cancelling(Speaker):
        def __call__(self, messages, expert):
            if "in one voice" in messages[0]["content"]:
                (row,) = [each for each in send("kernel", "missions").result if each["send"] == "weave"]
                assert send("kernel", "cancel", row["id"]).result is True
            return super().__call__(messages, expert)

    with pytest.raises(Cancelled):
        weave(system, Cancelling())
    assert speak.steps() == []


def test_prompts_of_the_weave_are_slots_of_the_states(system, send):
    send("psm_prototypes_obj.SYNTHESIZING", "put", "weave_prompt", "Answer in one voice, as a pirate.")
    send("robin_prototype_obj", "put", "codex", "You are Robin of the sea.")
    speak = Speaker()
    weave(system, speak)
    (rules,) = [messages[0]["content"] for step, _, messages in speak.heard if step == "weave"]
    assert "as a pirate" in rules and "Robin of the sea" in rules


def test_a_question_is_woven_by_a_mind_behind_the_remote_protocol(image_dir):
    class Chat:
        """A mind of the server: what it says follows from the last rules it was given."""

        def generate(self, prompts, expert=None, grammar=None, limits=None, cancel=None, tell=None):
            said = [self.says(prompt) for prompt in prompts]
            for number, text in enumerate(said):
                tell(number, text)
            return [Draft(text, (1,), 0.0, "stop") for text in said]

        def says(self, prompt):
            for word, said in (
                ("Mark the answer", GOOD),
                ("in one voice", WOVEN),
                ("Take the question apart", PLAN),
            ):
                if word in prompt:
                    return json.dumps(said)
            return "It stands still."

    server = OpenAiServer(Chat(), "tiny", ["ROBIN", "BRICK"])
    system = System(Settings(image=image_dir, heartbeat=False, mind_url=server.url))
    try:
        send = sender(system)
        send("robin_prototype_obj", "define", FACETS.format("sage_facet_"))
        send("brick_prototype_obj", "define", FACETS.format("tamland_facet_"))
        speak = system.kernel.speak
        told = weave(system, lambda messages, expert: speak(messages, expert, "test", 10.0)[0])
        assert told["answer"] == WOVEN["answer"]
        assert [each["answer"] for each in told["partials"]] == ["It stands still."] * 2
        assert send("robin_prototype_obj", "sage_facet_", "And you?").result == "It stands still."
    finally:
        system.close()
        server.close()


def test_a_plan_for_methods_knows_nothing_of_it(system, send, mind):
    send("lobby", "clone", called="account", balance=100)
    mind.enqueue(plan=plan("change"), method="self.§0 += ¢0\nreturn self.§0")
    told = send("kernel", "mission", send("account", "grow_balance", 5).mission).result
    assert told["words"] is None
