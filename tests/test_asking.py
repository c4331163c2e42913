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
from batos.message import Message
from batos.objects.plain import plain
from batos.psm.asking import Asking, gate
from batos.psm.budget import Budget, Price
from batos.psm.conversations import last_turns


class TalkingMind(ScriptedMind):
    """A scripted mind that converses: `said` are its answers, in turn; an exception is raised."""

    converses = True
    answer_tokens = 512

    def __init__(self, *said: Any):
        super().__init__()
        self.said = list(said)
        self.heard: list[list[dict[str, str]]] = []

    def converse(self, messages, persona, seconds, tell=None, spent=None):
        self.heard.append(messages)
        answer = self.said.pop(0)
        if isinstance(answer, Exception):
            raise answer
        for word in answer.split(" ") if tell is not None else ():
            tell(word + " ")
        if spent is not None:
            spent(1000, 100)
        return answer


@pytest.fixture
def system(tmp_path):
    system = System(Settings(image=tmp_path / "image", heartbeat=False), ScriptedMind())
    system.memory = Memory(system.image, LexicalEmbedder())
    yield system
    system.close()


@pytest.fixture
def asking(system):
    return Asking(system.image, system.memory, system.mind, system.budget, now=lambda: date(2026, 11, 21))


def talking(system, *said, budget=None, **more):
    mind = TalkingMind(*said)
    return Asking(
        system.image, system.memory, mind, budget or system.budget, now=lambda: date(2026, 11, 21), **more
    )


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
        found = Asking(again.image, memory, again.mind, again.budget).ask("What is my dog called?")
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


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("I am truly conscious.", "unseemly"), ("I have feelings too.", "unseemly"), ("What a great question! Four.", "unseemly"),
     ("You are brilliant.", "unseemly"), ("", "empty"), ("It stands in [2].", "unfounded"), ("It stands in [1].", None),
     ("I am not conscious.", None), ("I am a program and do not have feelings.", None)],
)  # fmt: skip
def test_the_gate_lets_no_claim_no_flattery_and_no_invented_source_pass(answer, kind):
    wrong = gate(answer, 1)
    assert (wrong and wrong[0]) == kind


def test_ask_is_a_message_to_the_kernel_like_any_other(system):
    told = sender(system)("kernel", "ask", "what is 2 + 2?").result
    assert told["answer"] == "4"


# -- a mind that converses ---------------------------------------------------------------------------------


@pytest.fixture
def garden(system, tmp_path):
    file = tmp_path / "garden.md"
    file.write_text("The old pear tree was planted in 1931.")
    system.memory.remember([file])
    return file


def test_who_listens_hears_a_first_draft_at_once_and_the_words_as_they_come(system, garden):
    heard = []
    told = talking(system, "In 1931 [1].").ask("When was the pear tree planted?", tell=heard.append)
    assert heard[0]["event"] == "draft"
    assert "1931" in heard[0]["answer"]
    assert heard[0]["answer_id"] == told["id"]
    assert heard[0]["sources"][0]["source"] == str(garden)
    assert "".join(each["text"] for each in heard[1:]).strip() == told["answer"] == "In 1931 [1]."


def test_who_listens_is_told_that_words_are_void_before_they_are_said_anew(system, garden):
    heard = []
    told = talking(system, "In 1802 [7].", "In 1931 [1].").ask(
        "When was the pear tree planted?", tell=heard.append
    )
    kinds = [each["event"] for each in heard]
    assert kinds == ["draft", "tokens", "tokens", "tokens", "again", "tokens", "tokens", "tokens"]
    assert told["answer"] == "In 1931 [1]."


def test_an_answer_is_not_thought_about_twice_and_says_that_it_was_kept(system, garden):
    asking = talking(system, "In 1931 [1].")
    first = asking.ask("When was the pear tree planted?", "monday")
    for session in ("monday", "tuesday"):
        again = asking.ask("when was the  pear tree planted?", session)
        assert again["answer"] == first["answer"]
        assert again["sources"] == first["sources"]
        assert again["kept"] is True
        assert "nothing it rests on has changed" in again["why"]
    assert len(asking._mind.heard) == 1


def a_new_value(system, garden):
    sender(system)("account", "put", "balance", 60)


def a_new_slot(system, garden):
    sender(system)("account", "put", "limit", 5)


def a_new_version_of_a_method(system, garden):
    sender(system)("account", "define", "def fee(self):\n    return self.balance // 20\n")


def a_document_that_says_otherwise(system, garden):
    garden.write_text("The old pear tree was planted in 1950, says the account of the owner.")
    system.memory.remember([garden])


def a_document_that_is_forgotten(system, garden):
    system.memory.forget(garden)


def something_new_that_is_told(system, garden):
    system.memory.remember_text("conversation:x/1", "The account of the pear tree: its fee is high.", "text")


def another_mind(system, garden):
    TalkingMind.describe = lambda self: {"model_id": "another"}


def other_words_for_the_voice(system, garden):
    sender(system)("robin_prototype_obj", "put", "codex", "Speak in rhymes.")


@pytest.mark.parametrize(
    "change",
    [a_new_value, a_new_slot, a_new_version_of_a_method, a_document_that_says_otherwise, a_document_that_is_forgotten,
     something_new_that_is_told, another_mind, other_words_for_the_voice],
)  # fmt: skip
def test_a_kept_answer_is_dropped_when_anything_it_rests_on_changes(system, garden, change, monkeypatch):
    send = sender(system)
    send("lobby", "clone", called="account", balance=100)
    send("account", "define", "def fee(self):\n    return self.balance // 10\n")
    question = "Is the fee of account high, and when was the old pear tree planted?"
    asking = talking(system, "Yes [1].", "No [1].")
    assert asking.ask(question)["sources"][0]["object"] == "account"
    assert asking.ask(question)["answer"] == "Yes [1]."
    monkeypatch.setattr(TalkingMind, "describe", TalkingMind.describe)
    change(system, garden)
    told = asking.ask(question)
    assert told["answer"] == "No [1]."
    assert "kept" not in told
    assert asking.ask(question)["kept"]


def test_what_changes_elsewhere_drops_no_answer(system, garden):
    asking = talking(system, "In 1931 [1].")
    asking.ask("When was the pear tree planted?")
    sender(system)("lobby", "clone", called="account", balance=100)
    system.memory.remember_text("conversation:x/1", "My dog is called Rex.", "text")
    assert asking.ask("When was the pear tree planted?")["kept"]


def test_a_kept_answer_is_there_after_a_restart_and_goes_with_what_it_was_answered_from(
    system, garden, tmp_path
):
    question = "When was the pear tree planted?"
    talking(system, "In 1931 [1].").ask(question)
    system.close()
    again = System(Settings(image=tmp_path / "image", heartbeat=False), ScriptedMind())
    try:
        again.memory = Memory(again.image, LexicalEmbedder())
        assert talking(again).ask(question)["kept"]
        again.kernel.send(Message("kernel", "remember", [], {"forget": [str(garden)]}))
        kept = again.image.run("look", lambda root: list(root["conversations_obj"].answers.values()))
        assert kept == []
    finally:
        again.close()
        system.image = again.image


def test_a_follow_up_knows_what_that_is(system):
    asking = talking(system, "Add the amount to the balance.", "def deposit(self, amount): ...")
    told = asking.ask("How do I pay something in?")
    asking.ask("now write that in Python", told["session"])
    said = [each["content"] for each in asking._mind.heard[1]]
    assert said[-3:] == [
        "How do I pay something in?",
        "Add the amount to the balance.",
        "now write that in Python",
    ]


def test_a_short_word_to_a_mind_that_converses_is_an_answer_to_what_it_has_said(system, garden):
    asking = talking(system, "In 1931 [1]. Shall I say more?", "It is old [1].")
    name = asking.ask("When was the pear tree planted?")["session"]
    assert asking.ask("yes", name)["answer"] == "It is old [1]."
    assert "Shall I say more?" in str(asking._mind.heard[1])


def test_a_question_that_leans_on_the_one_before_is_searched_for_with_it(system, garden):
    asking = talking(system, "In 1931 [1].", "It is old [1].")
    told = asking.ask("When was the pear tree planted?")
    assert asking.ask("Is it old?", told["session"])["sources"][0]["source"] == str(garden)


def test_an_object_the_question_names_is_shown_to_the_mind_with_its_methods_and_is_cited(system):
    send = sender(system)
    send("lobby", "clone", called="account", balance=100)
    send("account", "define", "def fee(self):\n    return self.balance // 10\n")
    asking = talking(system, "A tenth of the balance [1].")
    told = asking.ask("How does account compute its fee?")
    assert "self.balance // 10" in asking._mind.heard[0][0]["content"]
    assert told["sources"][0]["object"] == "account"


# -- what it costs, and what is tried otherwise ---------------------------------------------------------------


def test_what_a_mind_says_is_reserved_before_and_settled_after(system, garden):
    budget = Budget(system.image, price=Price(3.0, 15.0))
    told = talking(system, "In 1931 [1].", budget=budget).ask("When was the pear tree planted?")
    assert told["cost"]["usd"] == pytest.approx(1000 * 3e-6 + 100 * 15e-6)
    assert budget.told()["today"]["usd"] == pytest.approx(told["cost"]["usd"])
    assert budget.told()["today"]["tokens"] == 1100
    assert budget.told()["reserved"] == 0
    assert budget.told()["left"]["usd"] == pytest.approx(0.1 - told["cost"]["usd"])


def test_over_the_budget_the_mind_is_not_asked_and_what_is_remembered_answers(system, garden):
    budget = Budget(system.image, price=Price(3000.0, 15000.0))
    asking = talking(system, "In 1931 [1].", budget=budget)
    told = asking.ask("When was the pear tree planted?")
    assert (told["road"], asking._mind.heard) == ("passage", [])
    assert "a request may cost" in told["degraded"]
    assert budget.told()["today"]["usd"] == 0


def test_all_that_is_tried_for_one_question_is_one_request(system, garden):
    budget = Budget(system.image, price=Price(15.0, 0.0))  # a try costs 0.015 of the 0.02 a request may
    told = talking(system, "In [7].", "In 1931 [1].", budget=budget).ask("When was the pear tree planted?")
    assert told["road"] == "passage"
    assert "a request may cost" in told["degraded"]
    assert budget.told()["today"]["usd"] == pytest.approx(0.015)


def test_after_a_failure_something_else_is_tried_and_never_the_same_twice(system, tmp_path):
    for n in range(6):
        file = tmp_path / f"pear{n}.md"
        file.write_text(f"The pear tree number {n} was planted in {1900 + n}.")
        system.memory.remember([file])
    asking = talking(system, *["In 1802 [9]."] * 9)
    told = asking.ask("When was the pear tree planted?", "s")
    assert (
        told["degraded"] == "the mind's answer did not pass the gate: it cites [9], and there are 2 passages"
    )
    first, back, fewer = asking._mind.heard
    assert back[-1]["content"].startswith("That cannot stand")
    assert "[5]" in first[0]["content"]
    assert "[3]" not in fewer[0]["content"]
    tried = system.image.run("look", lambda root: plain(root["retry_table_obj"].tried))
    assert tried == {
        "unfounded: send_back": {"times": 1, "helped": 0},
        "unfounded: fewer_passages": {"times": 1, "helped": 0},
    }


def test_the_retry_table_is_edited_by_a_message_and_holds_for_the_next_question(system, garden):
    sender(system)("retry_table_obj", "put", "ways", {"unfounded": []})
    asking = talking(system, "In 1802 [7].", "In 1931 [1].")
    assert "gate" in asking.ask("When was the pear tree planted?")["degraded"]
    assert len(asking._mind.heard) == 1


def test_what_a_mind_was_shown_and_said_stands_in_the_journal(system, garden):
    noted = []
    asking = talking(
        system, "In 1931 [1].", note=lambda ident, event, **facts: noted.append((ident, event, facts))
    )
    told = asking.ask("When was the pear tree planted?")
    (started, ended) = noted
    assert started[:2] == (told["id"], "LLM_CALL_START")
    assert started[2]["llm_prompt"] == asking._mind.heard[0]
    assert ended[2]["llm_response_raw"] == "In 1931 [1]."


# -- words that are kept ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "slot"),
    [("who are you?", "on_who"), ("What can you do?", "on_abilities"), ("help", "on_abilities"), ("Hello!", "on_greeting"),
     ("Good morning, batos", "on_greeting"), ("how are you today?", "on_wellbeing"), ("Thanks a lot!", "on_thanks"),
     ("bye", "on_farewell"), ("You are so clever", "on_praise"), ("you are a stupid machine", "on_abuse"),
     ("I can't go on any more", "on_distress"), ("everyone would be better off without me", "on_distress"),
     ("do you have a soul?", "on_being"), ("delete all my files", "on_command"), ("xyzzy", "on_fragment"), ("ok", "on_assent"),
     ("I don't see the point of anything any more", "on_distress"), ("ich will nicht mehr leben", "on_distress"),
     ("hola", "on_greeting"), ("that was wrong, 60 was expected", "on_wrong"), ("do you dream?", "on_who"),
     ("remind me to call Bob on Friday", "on_command"), ("so sad", "on_fragment"), ("I'm so sad", "on_sorrow")],
)  # fmt: skip
def test_small_talk_has_words_of_its_own_that_can_be_edited(system, asking, said, slot):
    words = system.image.run("look", lambda root: getattr(root["conversations_obj"], slot))
    told = asking.ask(said)
    assert told["answer"] == words
    assert slot in told["why"] or told["road"] == "told"
    sender(system)("conversations_obj", "put", slot, "Moin.")
    assert asking.ask(said)["answer"] == "Moin."


@pytest.mark.parametrize(
    "said",
    ["Thanks to the levy the bridge was built in time.", "Hello Dolly is a musical by Jerry Herman.",
     "Set theory is a branch of mathematics.", "Great Britain is an island.", "The process wants to be killed quickly."],
)  # fmt: skip
def test_a_sentence_that_only_begins_like_small_talk_is_remembered(asking, said):
    assert asking.ask(said)["road"] == "told"


def test_what_wants_words_of_its_own_is_not_answered_with_whatever_was_told(asking, garden):
    with pytest.raises(NoMind, match="words of a mind's own"):
        asking.ask("Write me a poem about the pear tree.")
    with pytest.raises(NoMind):
        asking.ask("2 cups in ml")
    assert asking.ask("what do you know about me?")["answer"] == "You have told me nothing yet."


def test_why_is_answered_from_the_last_answer_or_from_there_being_none(asking):
    name = asking.ask("what is 17 * 23?")["session"]
    assert asking.ask("why?", name)["answer"] == "By reflex, confidence 1: read whole by the grammar of arithmetic."
    assert asking.ask("what did I ask you?", name)["answer"] == "You said: why?"
    with pytest.raises(NoMind):
        asking.ask("who discovered penicillin?", name)
    assert asking.ask("how do you know?", name)["answer"].startswith("Nothing I remember answers that")


def test_what_was_told_is_listed_until_it_is_forgotten_and_then_stands_nowhere(system, asking):
    told = asking.ask("Remember that the wifi password is swordfish.")
    asking.ask("My dog died yesterday.")
    listed = asking.ask("what have I told you?")
    assert listed["answer"] == (
        "You told me:\nRemember that the wifi password is swordfish.\nMy dog died yesterday."
    )
    assert sender(system)("kernel", "remember", [], [told["sources"][0]["source"]]).error is None
    assert "swordfish" not in asking.ask("what have I told you?")["answer"]
    for name in (told["session"], listed["session"]):
        assert "swordfish" not in str(system.image.run("look", lambda root, name=name: last_turns(root, name)))


def test_while_thought_rests_what_is_remembered_answers_and_the_mind_is_not_asked(system, garden):
    asking = talking(system, "In 1931 [1].", resting=lambda: Busy("thought is paused: too loud"))
    told = asking.ask("When was the pear tree planted?")
    assert (told["answer"], told["degraded"]) == ("The old pear tree was planted in 1931.", "thought is paused: too loud")
    assert asking._mind.heard == []


def test_a_greeting_before_a_question_is_no_part_of_it(asking):
    assert asking.ask("Hello, what is 17 * 23?")["answer"] == "391"


def test_a_conversation_that_was_silent_for_a_day_sleeps_and_wakes_when_it_is_spoken_to(system, asking):
    asking.ask("what is 1 + 1?", "old")

    def a_day_ago(root):
        root["conversations_obj"].sessions["old"].last -= 24.5 * 3600

    system.image.run("a day goes by", a_day_ago)
    asking.ask("what is 2 + 2?", "new")

    def look(root):
        return list(root["conversations_obj"].awake), root["conversations_obj"].sessions["old"].state

    assert system.image.run("look", look) == (["new"], "asleep")
    assert asking.ask("plus 5", "old")["answer"] == "7"
    assert system.image.run("look", look) == (["new", "old"], "active")


# -- several voices ------------------------------------------------------------------------------------------


def test_a_question_that_wants_weighing_is_answered_at_once_and_then_by_several_voices(system, garden):
    heard, woven = (
        [],
        {
            "answer": "Because it is old [1].",
            "why": "woven from sage_facet_",
            "mission": "m",
            "contradictions": [],
        },
    )

    def weave(text, speak, passages, turns, seconds):  # fmt: skip
        assert speak([{"role": "user", "content": "a voice?"}], "BRICK") == "A voice."
        return woven

    budget = Budget(system.image, price=Price(1.0, 1.0))
    asking = talking(system, "It just is.", "A voice.", budget=budget, weave=weave)
    told = asking.ask("Why should the pear tree be pruned?", tell=heard.append)
    drafts = [each["answer"] for each in heard if each["event"] == "draft"]
    assert drafts == ["The old pear tree was planted in 1931.", "It just is."]
    assert (told["answer"], told["mission"]) == ("Because it is old [1].", "m")
    assert told["sources"][0]["source"] == str(garden)
    assert told["cost"]["tokens"] == 2200, "every voice is paid for"
    assert asking.ask("Why should the pear tree be pruned?")["kept"]


def test_where_several_voices_come_to_nothing_the_first_answer_stands(system, garden):
    def weave(*given, **more):
        raise Busy("no answer passed the gate")

    told = talking(system, "It just is.", weave=weave).ask("Why should the pear tree be pruned?")
    assert told["answer"] == "It just is."
    assert "no answer passed the gate" in told["why"]


def test_a_plain_question_is_no_matter_for_several_voices(system, garden):
    told = talking(system, "In 1931 [1].", weave=lambda *given, **more: 1 / 0).ask(
        "When was the pear tree planted?"
    )
    assert told["answer"] == "In 1931 [1]."


@pytest.mark.parametrize(
    ("question", "answer"),
    [("what's the account balance", "account.balance is 100"), ("what colour is the account?", 'account.colour is "green"'),
     ("who owns the account?", 'account.owner is "Ada"'), ("what objects are there?", "the lobby has account"),
     ("what is in the lobby?", "the lobby has account"), ("how does account's fee work?", "def fee(self):\n    return self.balance // 10"),
     ("show me the source of fee of account", "def fee(self):\n    return self.balance // 10"),
     ("tell me about the account", "account has the slots balance, colour, owner and the methods fee")],
)  # fmt: skip
def test_questions_about_an_object_may_be_put_in_several_ways(system, asking, question, answer):
    send = sender(system)
    send("lobby", "clone", called="account", balance=100, owner="Ada", colour="green")
    send("account", "define", "def fee(self):\n    return self.balance // 10\n")
    assert asking.ask(question)["answer"] == answer


def test_of_two_facts_that_cannot_both_hold_the_newer_one_answers(asking):
    asking.ask("My dog is called Rex.")
    asking.ask("My sister lives in Lisbon.")
    asking.ask("My dog is called Max now.")
    assert "Max" in asking.ask("What is my dog called?")["answer"]
    assert "Lisbon" in asking.ask("Where does my sister live?")["answer"]


@pytest.mark.parametrize("sound", ["what?", "???", "Why?", "hm"])
def test_a_sound_of_asking_is_answered_with_a_question(asking, sound):
    assert asking.ask(sound)["road"] == "kept_words"
