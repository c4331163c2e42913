"""Conversations: objects that hold what was asked and answered.

`conversations_obj` keeps them all.  A conversation survives a restart and can be read, edited and forgotten like
everything else; at most `active` of them are awake, the others sleep and wake when they are spoken to again.

Kept beside them are the answers of a mind, each with what it rested on (`remembered_answer`): the same question
in the same company is answered again without the mind as long as nothing of that has changed, and the answer is
dropped as soon as something has.

The words of small talk are slots of the same object (`psm.small_talk`).
"""

from __future__ import annotations

import json
import time
from typing import Any

from BTrees.OOBTree import OOBTree

from batos.objects import Dict, UvmObject
from batos.objects.genesis import child
from batos.objects.method import digest
from batos.objects.plain import plain
from batos.psm.small_talk import WORDS

ACTIVE = 10  # conversations awake at once
IDLE_HOURS = 24.0
SHOWN_TURNS = 6  # of a conversation, to a mind
ANSWERS_KEPT = 500  # of minds, the oldest go


def birth(root: Any) -> None:
    """Make the keeper of conversations an image lacks."""
    keeper = child(root, "conversations_obj", active=ACTIVE, idle_hours=IDLE_HOURS, **WORDS)
    if "sessions" not in keeper._slots:
        keeper.sessions = OOBTree()
        keeper.awake = []  # names, the one spoken to last at the end
    if "answers" not in keeper._slots:
        keeper.answers = OOBTree()  # of minds, by the digest of question and company


def last_turns(root: Any, name: str) -> list[dict[str, Any]]:
    """The last turns of a conversation as plain data, oldest first."""
    session = root["conversations_obj"].sessions.get(name)
    if session is None:
        return []
    keys = list(session.turns.keys())[-SHOWN_TURNS:]
    return [plain(session.turns[key]) for key in keys]


def keep_turn(root: Any, name: str, asked: str, told: dict[str, Any]) -> None:
    """Write one turn down; the conversations that have been silent longest go to sleep."""
    keeper = root["conversations_obj"]
    now = time.time()
    session = keeper.sessions.get(name)
    if session is None:
        session = UvmObject(root["genesis_obj"])
        session.began = now
        session.turns = OOBTree()
        keeper.sessions[name] = session
    session.state = "active"
    session.last = now
    wanted = ("id", "answer", "road", "confidence", "why", "exact", "degraded")
    sources = [{key: each[key] for key in each if key != "text"} for each in told["sources"]]
    session.turns[f"{now:017.6f}-{told['id']}"] = Dict(
        {
            "asked": asked,
            "time": now,
            "sources": sources,
            **{each: told[each] for each in wanted if each in told},
        }
    )
    awake = [each for each in keeper.awake if each != name] + [name]
    idle = now - float(keeper.idle_hours) * 3600
    for number, each in enumerate(list(awake)):
        if len(awake) - number > int(keeper.active) or keeper.sessions[each].last < idle:
            keeper.sessions[each].state = "asleep"
            awake.remove(each)
    keeper.awake = awake


# -- answers that are kept -----------------------------------------------------------------------------


def question_key(text: str, turns: list[dict[str, Any]]) -> str:
    """The digest of a question in its company; asked again at once it is in the same company as before."""
    low = " ".join(text.lower().split())
    said = [(" ".join(each["asked"].lower().split()), each["answer"]) for each in turns]
    while said and said[-1][0] == low:
        said.pop()
    return digest(json.dumps([low, said]))


def remembered_answer(root: Any, key: str, rests: list[list[str]]) -> dict[str, Any] | None:
    """The answer kept under `key`, where it rests on what `rests` says and nothing of that has changed.

    rests  ``[kind, place, digest]`` of all that a mind would be shown now: its own name, the rules, slots,
           methods and passages
    """
    answers = root["conversations_obj"].answers
    kept = answers.get(key)
    if kept is None:
        return None
    if plain(kept["rests"]) != rests:
        del answers[key]
        return None
    return plain(kept["told"])


def keep_answer(root: Any, key: str, rests: list[list[str]], told: dict[str, Any]) -> None:
    """Keep a mind's answer with what it rests on; the oldest one goes where there are too many."""
    answers = root["conversations_obj"].answers
    if len(answers) >= ANSWERS_KEPT:
        del answers[min(answers, key=lambda each: answers[each]["time"])]
    answers[key] = Dict({"told": told, "rests": rests, "time": time.time()})


def unanswer(root: Any, sources: set[str]) -> None:
    """Take out of the conversations what was answered from sources that are forgotten."""
    if "conversations_obj" not in root:
        return
    keeper = root["conversations_obj"]
    for session in keeper.sessions.values():
        for turn in session.turns.values():
            if any(each.get("source") in sources for each in turn["sources"]):
                turn["answer"] = "(what this was answered from is forgotten)"
                if turn["road"] == "told":
                    turn["asked"] = "(what was told here is forgotten)"
                turn["sources"] = [each for each in turn["sources"] if each.get("source") not in sources]
    for key, kept in list(keeper.answers.items()):
        if any(place.rpartition(":")[0] in sources for kind, place, _ in kept["rests"] if kind == "passage"):
            del keeper.answers[key]
