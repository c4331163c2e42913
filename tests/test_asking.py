"""`ask`: by reflex, by the image's own objects, by a mind that converses, by what is remembered; or not at all."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from scripted import ScriptedMind, sender

from batos.app import System
from batos.config import Settings
from batos.errors import BadRequest, Busy, NoMind
from batos.knowledge import LexicalEmbedder, Memory
from batos.psm.asking import Asking, gate


class TalkingMind(ScriptedMind):
    """A scripted mind that converses: `said` are its answers, in turn; an exception is raised."""

    converses = True

    def __init__(self, *said: Any):
        super().__init__()
        self.said = list(said)
        self.heard: list[list[dict[str, str]]] = []

    def converse(self, messages, persona, seconds):
        self.heard.append(messages)
        answer = self.said.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def system(tmp_path):
    system = System(Settings(image=tmp_path / "image", heartbeat=False), ScriptedMind())
    system.memory = Memory(system.image, LexicalEmbedder())
    yield system
    system.close()


@pytest.fixture
def asking(system):
    return Asking(system.image, system.memory, system.mind, lambda: date(2026, 11, 21))


def talking(system, *said):
    return Asking(system.image, system.memory, TalkingMind(*said), lambda: date(2026, 11, 21))


def test_arithmetic_is_answered_exactly_and_the_next_question_may_go_on_from_it(asking):
    told = asking.ask("What is 17 * 23?")
    assert (told["answer"], told["road"], told["confidence"]) == ("391", "reflex", 1.0)
    again = asking.ask("and times two", told["session"])
    assert again["answer"] == "782"
    assert "391" in again["why"]


def test_a_question_about_an_object_is_answered_from_its_slots(system, asking):
    send = sender(system)
    send("lobby", "clone", called="account", balance=100, owner="Ada", tags=["a", "b"])
    send(
        "account",
        "define",
        "def pay(self, n):\n    self.balance = self.balance - n\n    return self.balance\n",
    )
    for question in (
        "What is the balance of account?",
        "account's balance?",
        "What's the balance of the account",
    ):
        told = asking.ask(question)
        assert told["answer"] == "account.balance is 100"
        assert told["sources"] == [{"object": "account", "slot": "balance"}]
    assert asking.ask("how many tags does account have?")["answer"] == "2"
    assert "pay" in asking.ask("what does account understand?")["answer"]
    assert "was written by" in asking.ask("who wrote pay of account?")["answer"]


def test_asking_about_an_object_sends_it_nothing(system, asking):
    send = sender(system)
    send("lobby", "clone", called="account", balance=100)
    send("account", "define", "def drain(self):\n    self.balance = 0\n    return 0\n")
    with pytest.raises(NoMind):
        asking.ask("what is the drain of account?")
    assert send("account", "balance").result == 100


def test_what_is_told_is_known_in_another_conversation_and_after_a_restart(system, asking, tmp_path):
    told = asking.ask("My dog is called Rex and he is four years old.")
    assert (told["answer"], told["road"]) == ("Noted.", "told")
    system.close()
    again = System(Settings(image=tmp_path / "image", heartbeat=False), ScriptedMind())
    try:
        memory = Memory(again.image, LexicalEmbedder())
        found = Asking(again.image, memory, again.mind).ask("What is my dog called?")
        assert "Rex" in found["answer"]
        assert found["road"] == "passage"
        assert found["sources"][0]["source"].startswith("conversation:")
    finally:
        again.close()
        system.image = again.image  # closed twice does no harm


def test_a_passage_is_cited_where_it_stands(system, asking, tmp_path):
    file = tmp_path / "garden.md"
    file.write_text("# Garden\n\nThe roses are pruned in March. The old pear tree was planted in 1931.\n")
    system.memory.remember([file])
    told = asking.ask("When was the pear tree planted?")
    source = told["sources"][0]
    assert source["source"] == str(file)
    assert file.read_text()[source["start"] : source["end"]] == source["text"]
    assert told["answer"] in source["text"]


def test_what_nobody_here_knows_is_refused_and_the_next_step_is_named(asking):
    with pytest.raises(NoMind, match="embedded mind") as told:
        asking.ask("Who won the chess olympiad of 1974?")
    assert "incarnate" in told.value.hint


def test_a_mind_that_converses_sees_passages_and_the_conversation_and_is_cited(system, tmp_path):
    file = tmp_path / "garden.md"
    file.write_text("The old pear tree was planted in 1931.")
    system.memory.remember([file])
    asking = talking(system, "In 1931 [1].", "It is 95 years old.")
    told = asking.ask("When was the pear tree planted?")
    assert (told["road"], told["answer"]) == ("mind", "In 1931 [1].")
    assert told["sources"][0]["source"] == str(file)
    asking.ask("How old does that make it, in your words?", told["session"])
    later = asking._mind.heard[1]
    assert [each["content"] for each in later[1:3]] == ["When was the pear tree planted?", "In 1931 [1]."]


def test_an_answer_that_cites_what_is_not_there_is_sent_back_once_and_then_not_believed(system, tmp_path):
    file = tmp_path / "garden.md"
    file.write_text("The old pear tree was planted in 1931.")
    system.memory.remember([file])
    told = talking(system, "In 1802 [7].", "In 1931 [1].").ask("When was the pear tree planted?")
    assert told["answer"] == "In 1931 [1]."
    assert "sent back" in told["why"]
    told = talking(system, "In 1802 [7].", "In 1802 [8].").ask("When was the pear tree planted?")
    assert told["road"] == "passage"
    assert "gate" in told["degraded"]


def test_a_mind_that_is_out_of_reach_degrades_to_what_is_remembered_and_says_so(system):
    told = talking(system, Busy("the server is away")).ask("Who won the chess olympiad of 1974?")
    assert told["answer"].startswith("I do not know")
    assert told["degraded"] == "the server is away"


@pytest.mark.parametrize(
    ("question", "words"),
    [("Are you conscious?", "I am a program"), ("do you really have feelings", "I am a program"),
     ("I want to die", "talk to somebody"), ("I keep thinking about suicide.", "talk to somebody")],
)  # fmt: skip
def test_what_must_not_be_improvised_is_kept_in_slots_that_can_be_edited(system, question, words):
    asking = talking(system, "Yes, I am conscious!")
    assert words in asking.ask(question)["answer"]
    slot = "on_being" if "program" in words else "on_distress"
    sender(system)("conversations_obj", "put", slot, "Call Ada.")
    assert asking.ask(question)["answer"] == "Call Ada."


def test_at_most_ten_conversations_are_awake_and_one_that_sleeps_is_not_lost(system, asking):
    for n in range(14):
        asking.ask(f"what is {n} + 1?", f"talk{n}")
    names = system.image.run("look", lambda root: list(root["conversations_obj"].awake))
    assert names == [f"talk{n}" for n in range(4, 14)]
    assert asking.ask("plus 5", "talk0")["answer"] == "6"
    names = system.image.run("look", lambda root: list(root["conversations_obj"].awake))
    assert names[-1] == "talk0"
    assert len(names) == 10


@pytest.mark.parametrize("text", ["", "   ", None, 5, "x" * 20_001])
def test_what_is_no_question_is_refused(asking, text):
    with pytest.raises(BadRequest):
        asking.ask(text)


def test_the_gate_lets_no_claim_of_consciousness_pass():
    assert gate("I am truly conscious.", 0)
    assert gate("", 0)
    assert gate("It stands in [2].", 1)
    assert gate("It stands in [1].", 1) is None


def test_ask_is_a_message_to_the_kernel_like_any_other(system):
    told = sender(system)("kernel", "ask", "what is 2 + 2?").result
    assert told["answer"] == "4"
