"""The weave: a question answered by several voices and told as one.

A mission for words goes through the same states as one for a method.  DECOMPOSING: BRICK picks the facets that
have something to say and writes each its own question.  DELEGATING: they are asked side by side, each by the
message to its persona that anybody could send; one that is still an intent becomes a method first, by a
child mission; what a reflex can answer exactly is not left to a voice.  SYNTHESIZING: ROBIN weaves, naming the
partial answers that were used and where they contradict each other; the base alone then marks the
answer from 1 to 5 on four counts, and below `floor` it is woven again with what was found wrong.  Below it
still, the mission fails.

A mind answers in JSON, checked against what is asked for; what is none is sent back once, with the reason.
Nothing is installed or committed: the answer is told to whoever asked.  Prompts and the floor are slots
of the states.
"""

from __future__ import annotations

import contextvars
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from batos.errors import BatosError, MissionFailed, NoMind
from batos.mind import personas
from batos.objects import Method, UvmObject
from batos.objects.lookup import lookup, send
from batos.objects.plain import oid_text
from batos.psm import reflexes
from batos.psm.mission import Miss
from batos.psm.states import Tools

DECOMPOSE = (
    "Take the question apart. Below are ways of thinking, each with what it is for. Pick those that have something "
    "to say, at most {most}, and write each of them a question of its own. Answer with one line of JSON and nothing "
    'else: {"strategy": "one sentence", "facets": [{"facet": "name", "query": "its question"}]}. A simple question '
    "needs none: then the list is empty."
)
WEAVE = (
    "Answer the person's question in one voice, your own, from the partial answers and passages below. Do not string them "
    "together: say what follows from them. Where they contradict each other, say which you follow and why. Where you "
    "use a passage, cite it as [n]. Answer with one line of JSON and nothing else: "
    '{"answer": "...", "used": ["A", ...], "contradictions": [{"between": ["A", "B"], "about": "..."}]}.'
)
GATE = (
    "Mark the answer from 1 (bad) to 5 (very good): is it coherent, does it keep one style, is it a synthesis of the "
    "partial answers and no list of them, does it answer the question. Answer with one line of JSON and nothing else: "
    '{"coherence": n, "style": n, "synthesis": n, "fulfilment": n, "why": "what is wrong, if anything"}.'
)
FLOOR = 4.0  # the mean mark an answer must have
MARKS = ("coherence", "style", "synthesis", "fulfilment")
MOST = 3  # facets of one question
ROUNDS = 2  # of weaving
REPAIRS = 1
THOUGHTS = 4  # times a facet is run, anew whenever the mind has answered it; the last has to come to an answer
LABELS = "ABCDEFGH"

Speak = Callable[..., str]


@dataclass(slots=True)
class Question:
    """What is asked, and what has been thought about it.

    speak     `(messages, expert) -> text`, on several threads at once: one call of the mind, paid for by whoever asks
    passages  ``{"source", "text", ...}`` that may be used, cited by their number from 1
    turns     of the conversation so far, ``{"asked", "answer"}``
    """

    text: str
    speak: Speak
    passages: list[dict[str, Any]] = field(default_factory=list)
    turns: list[dict[str, Any]] = field(default_factory=list)
    partials: list[dict[str, Any]] = field(
        default_factory=list
    )  # {"label", "facet", "persona", "query", "answer"}
    woven: dict[str, Any] = field(default_factory=dict)
    marks: list[dict[str, Any]] = field(default_factory=list)  # of each answer that was woven

    def told(self) -> dict[str, Any]:
        """For the mission's record."""
        return {"question": self.text, "partials": self.partials, "woven": self.woven, "marks": self.marks}


# -- the three steps -------------------------------------------------------------------------------------


def decompose(state: UvmObject, at: Tools) -> str:
    """BRICK's plan: which facets are asked what.  Reports `planned` or `gave_up`."""
    mission, question = at.mission, at.mission.question
    known = personas.facets_of(_personas(at))
    ways = "\n".join(f"{name}: {intent}" for name, (_, intent) in known.items())
    prompt = f"{state.question_prompt.replace('{most}', str(MOST))}\n\n{ways}"
    messages = _asked(state.persona, prompt, question, f"Question: {question.text}")
    try:
        mission.plan = _mended(
            lambda said: question.speak(said, state.persona.expert),
            messages,
            lambda text: parse_plan(text, set(known)),
        )
    except ValueError as exc:
        mission.why = f"the mind made no plan: {exc}"
        return "gave_up"
    return "planned"


def delegate(state: UvmObject, at: Tools) -> str:
    """Ask the facets of the plan, side by side.  Reports `drafted`, or `gave_up` where all of them failed."""
    mission, question = at.mission, at.mission.question
    if question.partials:
        return "drafted"  # another round of weaving asks nobody again
    known = personas.facets_of(_personas(at))
    written = {
        each["facet"] for each in mission.plan["facets"]
        if _learn(at, known[each["facet"]][0], each["facet"], each["query"])
    }  # fmt: skip
    known = personas.facets_of(_personas(at))  # read again: a child mission may have changed them
    waiting = []
    for label, each in zip(LABELS, mission.plan["facets"], strict=False):
        persona = known[each["facet"]][0]
        partial = {"label": label, "facet": each["facet"], "persona": persona.name, "query": each["query"], "answer": None,
                   "why_not": None, "came": "written" if each["facet"] in written else "reused"}  # fmt: skip
        question.partials.append(partial)
        exact = reflexes.answer(each["query"])
        if exact is not None:
            partial |= {"facet": f"reflex ({exact.kind})", "answer": exact.text, "came": "reflex"}
        else:
            waiting.append((persona, partial, {}))
    for _ in range(THOUGHTS):
        waiting = _side_by_side(question.speak, waiting)
    for _, partial, _ in waiting:
        partial["why_not"] = f"it asked the mind {THOUGHTS} times and had not answered"
    if question.partials and not any(each["answer"] for each in question.partials):
        mission.why = "; ".join(f"{each['facet']}: {each['why_not']}" for each in question.partials)
        return "gave_up"
    return "drafted"


def weave(state: UvmObject, at: Tools) -> str:
    """ROBIN's answer, behind the gate.  Reports `agreed`, `disagreed` (below the floor: again) or `gave_up`."""
    mission, question = at.mission, at.mission.question
    mission.rounds += 1
    robin = state.teller
    labels = {each["label"] for each in question.partials if each["answer"]}
    messages = build_prompt(state.weave_prompt, robin, question)
    try:
        woven = _mended(
            lambda said: question.speak(said, robin.expert),
            messages,
            lambda text: parse_woven(text, labels, len(question.passages)),
        )
        question.woven = woven
        marks = _mended(
            lambda said: question.speak(said, None), gate_prompt(state.gate_prompt, question), parse_marks
        )  # fmt: skip
    except ValueError as exc:
        mission.why = f"nothing was woven: {exc}"
        return "gave_up"
    question.marks.append(marks)
    mean = sum(marks[each] for each in MARKS) / len(MARKS)
    if mean < float(state.floor):
        mission.why = f"the answer was marked {mean:g} of 5, below {float(state.floor):g}: {marks['why']}"
        return "disagreed" if mission.rounds < ROUNDS and mission.remaining() > 1.0 else "gave_up"
    used = (
        ", ".join(each["facet"] for each in question.partials if each["label"] in woven["used"]) or "no facet"
    )
    clash = "; ".join(
        f"{' and '.join(each['between'])} differ on {each['about']}" for each in woven["contradictions"]
    )
    mission.why = f"woven from {used}, marked {mean:g} of 5" + (f"; {clash}" if clash else "")
    return "agreed"


# -- prompts and their answers ----------------------------------------------------------------------------


def build_prompt(prompt: str, robin: UvmObject, question: Question) -> list[dict[str, str]]:
    """The messages for the weave: whose voice it is, the question as it was put, every partial with its source."""
    told = [f"Question: {question.text}"]
    told += [f"[{n}] ({each['source']}) {each['text']}" for n, each in enumerate(question.passages, 1)]
    told += [
        f"{each['label']}. {each['facet']} of {each['persona']}, asked {each['query']!r}: {each['answer']}"
        for each in question.partials if each["answer"]
    ]  # fmt: skip
    if question.marks:
        told.append(f"Your last answer was: {question.woven['answer']}")
        told.append(f"It cannot stand: {question.marks[-1]['why']}. Answer better.")
    return _asked(robin, prompt, question, "\n".join(told))


def gate_prompt(prompt: str, question: Question) -> list[dict[str, str]]:
    """The messages for the marks: the question, the partial answers, the answer; nobody's voice."""
    told = [f"Question: {question.text}"]
    told += [f"{each['label']}. {each['answer']}" for each in question.partials if each["answer"]]
    told.append(f"Answer: {question.woven['answer']}")
    return [{"role": "system", "content": prompt}, {"role": "user", "content": "\n".join(told)}]


def parse_plan(text: str, known: set[str]) -> dict[str, Any]:
    """``{"strategy", "facets": [{"facet", "query"}]}``; `ValueError` says what is wrong with it."""
    plan = _json(text)
    facets = plan.get("facets")
    if not isinstance(plan.get("strategy"), str) or not isinstance(facets, list) or len(facets) > MOST:
        raise ValueError(f'it wants a "strategy" and a list of at most {MOST} "facets"')
    for each in facets:
        if not isinstance(each, dict) or each.get("facet") not in known:
            raise ValueError(f"{each!r} names none of {', '.join(sorted(known))}")
        if not isinstance(each.get("query"), str) or not each["query"].strip():
            raise ValueError(f"{each['facet']} is asked nothing")
    if len({each["facet"] for each in facets}) < len(facets):
        raise ValueError("a facet is asked twice")
    return {
        "strategy": plan["strategy"],
        "facets": [{"facet": each["facet"], "query": each["query"].strip()} for each in facets],
    }


def parse_woven(text: str, labels: set[str], passages: int) -> dict[str, Any]:
    """``{"answer", "used", "contradictions"}``; `ValueError` where it names what was not there, or uses nothing
    of what it was given."""
    woven = _json(text)
    answer, used, clashes = woven.get("answer"), woven.get("used"), woven.get("contradictions", [])
    if not isinstance(answer, str) or not answer.strip():
        raise ValueError('it wants an "answer"')
    if not isinstance(used, list) or not set(map(str, used)) <= labels:
        raise ValueError(f'"used" is a list of {", ".join(sorted(labels)) or "nothing"}')
    if labels and not used:
        raise ValueError("it uses none of the partial answers")
    if not isinstance(clashes, list):
        raise ValueError('"contradictions" is a list')
    for each in clashes:
        between = each.get("between") if isinstance(each, dict) else None
        if not isinstance(between, list) or len(between) < 2 or not set(map(str, between)) <= labels:
            raise ValueError("a contradiction is between two of the partial answers")
        if not isinstance(each.get("about"), str) or not each["about"].strip():
            raise ValueError("a contradiction is about something")
    beyond = sorted({int(n) for n in re.findall(r"\[(\d+)\]", answer) if not 1 <= int(n) <= passages})
    if beyond:
        raise ValueError(f"it cites [{beyond[0]}], and there are {passages} passages")
    return {
        "answer": answer.strip(),
        "used": list(used),
        "contradictions": [{"between": each["between"], "about": each["about"]} for each in clashes],
    }


def parse_marks(text: str) -> dict[str, Any]:
    """The four marks and why; `ValueError` where one is missing or none from 1 to 5."""
    marks = _json(text)
    for each in MARKS:
        mark = marks.get(each)
        if not isinstance(mark, (int, float)) or isinstance(mark, bool) or not 1 <= mark <= 5:
            raise ValueError(f"{each!r} is a mark from 1 to 5, not {mark!r}")
    return {each: marks[each] for each in MARKS} | {"why": str(marks.get("why") or "")}


def _json(text: str) -> dict[str, Any]:
    """The object in an answer; a fence round it is taken off."""
    found = re.search(r"\{.*\}", text, re.DOTALL)
    try:
        value = json.loads(found[0]) if found else None
    except ValueError as exc:
        raise ValueError(f"it is no JSON: {exc}") from None
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value


def _asked(persona: UvmObject, prompt: str, question: Question, text: str) -> list[dict[str, str]]:
    messages = personas.said_by(persona, text, prompt)
    for each in question.turns[-3:]:
        messages.insert(-1, {"role": "user", "content": each["asked"]})
        messages.insert(-1, {"role": "assistant", "content": each["answer"]})
    return messages


def _mended(
    speak: Callable[[list[dict[str, str]]], str], messages: list[dict[str, str]], parse: Callable
) -> Any:
    """What `parse` makes of what is said; what it cannot read is sent back, `REPAIRS` times, with the reason."""
    for repair in range(REPAIRS + 1):
        said = speak(messages)
        try:
            return parse(said)
        except ValueError as exc:
            if repair == REPAIRS:
                raise
            messages = [*messages, {"role": "assistant", "content": said},
                        {"role": "user", "content": f"That cannot stand: {exc}. Answer again."}]  # fmt: skip
    raise AssertionError("unreachable")


# -- facets -----------------------------------------------------------------------------------------------


def _personas(at: Tools) -> list[UvmObject]:
    """The personas of the image and the others that take part."""
    root = at.root
    others = root["psm_prototypes_obj"]._slots["DELEGATING"].others
    return [*(root[name] for name in personas.PERSONAS), *others]


def _learn(at: Tools, persona: UvmObject, selector: str, query: str) -> bool:
    """Make a facet that is still an intent a method, by a mission of its own; false where it is one already."""
    if isinstance(lookup(persona, selector)[1], Method):
        return False
    at.child(Miss(oid_text(persona), at.root.path_of(persona), selector, [query], {}))
    at.look_again()
    return True


def _side_by_side(
    speak: Speak, waiting: list[tuple[UvmObject, dict, dict]]
) -> list[tuple[UvmObject, dict, dict]]:
    """Run each facet until it answers or asks the mind; ask for all of them at once; those that asked."""
    asking = []
    for persona, partial, heard in waiting:
        try:
            with personas.hearing(heard):
                answer = send(persona, partial["facet"], (partial["query"],))
            if isinstance(answer, str) and answer.strip():
                partial["answer"] = answer
            else:
                partial["why_not"] = f"it answered {answer!r} and no text"
        except personas.Thought as thought:
            asking.append((persona, partial, heard, thought))
        except Exception as exc:  # noqa: BLE001 - one facet that fails leaves the others their say
            partial["why_not"] = str(exc)
    if not asking:
        return []
    with ThreadPoolExecutor(len(asking), "facet") as threads:
        # Each in a copy of this context: what is spent belongs to the mission.
        futures = [
            threads.submit(contextvars.copy_context().run, speak, thought.messages, thought.expert)
            for *_, thought in asking
        ]
    still = []
    for (persona, partial, heard, thought), future in zip(asking, futures, strict=True):
        try:
            heard[thought.key] = future.result()
            still.append((persona, partial, heard))
        except NoMind:
            raise
        except BatosError as exc:
            partial["why_not"] = str(exc)
    return still


def outcome(mission: Any) -> dict[str, Any]:
    """What whoever asked is told of a mission for words that completed; raises what ended it otherwise."""
    if mission.error is not None:
        raise mission.error
    question = mission.question
    if not question.woven:
        raise MissionFailed(f"nothing was woven: {mission.why}", mission=mission.id)
    return {"mission": mission.id, **question.woven, "partials": question.partials, "marks": question.marks[-1],
            "why": mission.why}  # fmt: skip
