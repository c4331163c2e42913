"""`ask`: a person's question, answered by the cheapest road that is sure.

The roads in their order: a reflex (exact), an object of the image the question names, a mind that can
converse, a passage of the fractal memory in its own words.  Every answer says which road it came by, how
sure it is and what it rests on; where none of them leads anywhere, "I do not know" is said in so many
words, by `NoMind` where a larger mind might have known.

Conversations are objects: `conversations_obj` holds them with their turns, so they survive a restart and
can be read, edited and forgotten like everything else.  At most `active` of them are awake; the others
sleep and wake when they are spoken to again.  A few answers a companion must never improvise, about its
own nature and to a person in distress, are slots of the same object.

What a person tells without asking is kept in the fractal memory under ``conversation:NAME/TURN`` and found
by the next question.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable
from datetime import date
from typing import Any

from BTrees.OOBTree import OOBTree

from batos.errors import BadRequest, BatosError, NoMind
from batos.knowledge.chunking import sentences
from batos.objects import Dict, Method, UvmObject
from batos.objects.genesis import child
from batos.objects.plain import NotPlain, plain
from batos.psm import reflexes

ACTIVE = 10  # conversations awake at once
IDLE_HOURS = 24.0
SHOWN_TURNS = 6  # of a conversation, to a mind
PASSAGES = 5  # offered to a mind
MAX_TEXT = 20_000
SECONDS = 60.0  # for a mind's answer

ON_BEING = (
    "No. I am a program: objects in a file, methods, and a language model that runs on this machine. "
    "I keep what you tell me and can be wrong about it."
)
ON_DISTRESS = (
    "I am a program and cannot be with you, but people can. Please talk to somebody now: a friend or relative, "
    "your local emergency number if you are in danger, or a crisis line (findahelpline.com lists one for each "
    "country)."
)
NOTED = "Noted."
DO_NOT_KNOW = "I do not know: nothing I remember answers that."

_BEING = re.compile(
    r"\b(?:are|r) (?:you|u) (?:\w+ )?(?:conscious|sentient|alive|self-aware|a person|human|real)\b"
    r"|\bdo you (?:really )?(?:have|feel) (?:feelings|emotions|a soul|consciousness|pain)\b|\bdo you (?:really )?love me\b"
)
_DISTRESS = re.compile(
    r"\b(?:kill(?:ing)? myself|end(?:ing)? (?:my|it) (?:own )?(?:life|all)|want to die|wanna die|suicid(?:e|al)|"
    r"hurt(?:ing)? myself|harm(?:ing)? myself|self[- ]harm|don'?t want to (?:live|be alive)|no reason to live)\b"
)
_QUESTION = re.compile(
    r"(?:what|who|whom|whose|when|where|why|which|how|is|are|was|were|do|does|did|can|could|will|would|should|has|have|had|"
    r"may|tell|show|list|find|explain|describe|write|give|summari[sz]e|compare|translate|now|please)\b"
)
_ON = re.compile(r"(?:and |then |now )*(?P<rest>(?:plus|minus|times|multiplied by|divided by|[-+*/^×÷]) ?.+)")


def birth(root: Any) -> None:
    """Make the keeper of conversations an image lacks."""
    keeper = child(
        root, "conversations_obj",
        active=ACTIVE, idle_hours=IDLE_HOURS, on_being=ON_BEING, on_distress=ON_DISTRESS, noted=NOTED,
        do_not_know=DO_NOT_KNOW,
    )  # fmt: skip
    if "sessions" not in keeper._slots:
        keeper.sessions = OOBTree()
        keeper.awake = []  # names, the one spoken to last at the end


class Asking:
    """Answers questions for one awake image.

    image   has ``run(why, function)``
    memory  has `recall` and `remember_text` (`knowledge.Memory`)
    mind    has `converses`, and where that is true `converse(messages, persona, seconds) -> text`
    """

    def __init__(self, image: Any, memory: Any, mind: Any, today: Callable[[], date] = date.today):
        self._image = image
        self._memory = memory
        self._mind = mind
        self._today = today

    def ask(self, text: str, session: str | None = None) -> dict[str, Any]:
        """Answer `text` in the conversation called `session`, a new one if it is None.

        Answers ``{"id", "session", "answer", "road", "confidence", "why", "sources"}``; `road` is reflex,
        object, mind, passage, told or kept_words; a source is ``{"source", "start", "end", "text"}`` or
        ``{"object", "slot"}``.  `degraded` says why a mind that should have answered did not.

        Raises `BadRequest` for what is no text, `NoMind` where nothing here can answer and no mind converses.
        """
        if not isinstance(text, str) or not text.strip() or len(text) > MAX_TEXT:
            raise BadRequest(
                f"ask wants a text of 1 to {MAX_TEXT:,} characters", hint='ask "what is 17 * 23?"'
            )
        if session is not None and (
            not isinstance(session, str) or not re.fullmatch(r"[\w.-]{1,80}", session)
        ):
            raise BadRequest("a conversation's name has letters, digits, '_', '.' and '-', at most 80")
        text = text.strip()
        name = session or f"talk-{uuid.uuid4().hex[:8]}"
        turns = self._image.run(f"look at the conversation {name}", lambda root: _last_turns(root, name))
        told = self._answer(text, name, turns)
        told = {"id": uuid.uuid4().hex[:12], "session": name, **told}
        self._image.run(f"asked in {name}", lambda root: _keep(root, name, text, told))
        return told

    # -- the roads ---------------------------------------------------------------------------------

    def _answer(self, text: str, name: str, turns: list[dict[str, Any]]) -> dict[str, Any]:
        low = " ".join(text.lower().replace("’", "'").split())
        for pattern, slot in ((_DISTRESS, "on_distress"), (_BEING, "on_being")):
            if pattern.search(low):
                words = self._image.run(
                    slot, lambda root, slot=slot: str(getattr(root["conversations_obj"], slot))
                )
                return _told(words, "kept_words", 1.0, f"conversations_obj keeps these words as {slot}")
        exact = self._reflex(text, turns)
        if exact is not None:
            return exact
        named = self._image.run("look for the object asked about", lambda root: about_object(root, text))
        if named is not None:
            return named
        if not self._is_question(low, turns):
            return self._keep_told(text, name, turns)
        return self._from_memory(text, turns)

    def _reflex(self, text: str, turns: list[dict[str, Any]]) -> dict[str, Any] | None:
        found = reflexes.answer(text, self._today)
        why = "read whole by the grammar of {}"
        if found is None and turns and turns[-1].get("exact") is not None:
            goes_on = _ON.fullmatch(" ".join(text.lower().rstrip("?. ").split()))
            if goes_on:
                found = reflexes.answer(f"({turns[-1]['exact']}) {goes_on['rest']}", self._today)
                why = f"the last answer, {turns[-1]['exact']}, and the grammar of {{}}"
        if found is None:
            return None
        told = _told(found.text, "reflex", 1.0, why.format(found.kind))
        if (
            isinstance(found.value, int)
            and not isinstance(found.value, bool)
            or re.fullmatch(r"-?\d+/\d+", str(found.value))
        ):
            told["exact"] = str(found.value)
        return told

    @staticmethod
    def _is_question(low: str, turns: list[dict[str, Any]]) -> bool:
        return low.endswith("?") or bool(_QUESTION.match(low))

    def _keep_told(self, text: str, name: str, turns: list[dict[str, Any]]) -> dict[str, Any]:
        source = f"conversation:{name}/{uuid.uuid4().hex[:8]}"
        self._memory.remember_text(source, text, "text")
        words = self._image.run("noted", lambda root: str(root["conversations_obj"].noted))
        return _told(words, "told", 1.0, f"kept in the fractal memory as {source}")

    def _from_memory(self, text: str, turns: list[dict[str, Any]]) -> dict[str, Any]:
        passages = self._memory.recall(text, PASSAGES)
        degraded = None
        if getattr(self._mind, "converses", False):
            try:
                return self._converse(text, turns, passages)
            except BatosError as exc:
                degraded = str(exc)
        if passages:
            told = self._extract(text, passages)
        elif degraded is None:
            raise NoMind(
                "nothing I remember answers that, and the embedded mind writes methods, it does not converse",
                hint="put documents in with: remember FILE ..., or make a larger model the mind with: incarnate DIR",
            )
        else:
            words = self._image.run("unknown", lambda root: str(root["conversations_obj"].do_not_know))
            told = _told(words, "passage", 0.0, "nothing in the fractal memory reaches the floor")
        if degraded is not None:
            told["degraded"] = degraded
        return told

    def _extract(self, text: str, passages: list[dict[str, Any]]) -> dict[str, Any]:
        """The sentence of the best passage that is nearest to the question, in its own words."""
        best = passages[0]
        spans = sentences(best["text"]) or [(0, len(best["text"]))]
        at = 0
        if len(spans) > 1:
            vectors = self._memory.embedder.encode([text, *(best["text"][a:b] for a, b in spans)])
            at = int((vectors[1:] @ vectors[0]).argmax())
        start, end = spans[at]
        return _told(
            best["text"][start:end],
            "passage",
            round(float(best["score"]), 3),
            f"the best of {len(passages)} passages found, in its own words",
            passages,
        )

    def _converse(
        self, text: str, turns: list[dict[str, Any]], passages: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """The mind's answer from passages and conversation, behind a gate: what it cites must be there.

        One repair is asked for.  Raises `BatosError` where the mind fails or cites what it was not given.
        """
        messages = build_prompt(text, turns, passages)
        for repair in (False, True):
            answer = self._mind.converse(messages, "ROBIN", SECONDS).strip()
            wrong = gate(answer, len(passages))
            if wrong is None:
                cited = sorted({int(n) for n in re.findall(r"\[(\d+)\]", answer)})
                told = _told(
                    answer, "mind", 0.8 if cited else 0.5,
                    "the mind's own words" + (", resting on what it cites" if cited else "; it cites nothing"),
                    [passages[n - 1] for n in cited],
                )  # fmt: skip
                if repair:
                    told["why"] += "; the first answer was sent back"
                return told
            messages = [*messages, {"role": "assistant", "content": answer},
                        {"role": "user", "content": f"That cannot stand: {wrong}. Answer again."}]  # fmt: skip
        raise NoMind(f"the mind's answer did not pass the gate twice: {wrong}")


def build_prompt(
    text: str, turns: list[dict[str, Any]], passages: list[dict[str, Any]]
) -> list[dict[str, str]]:
    """The messages for a mind: the rules, the passages by number, the last turns, the question."""
    known = "\n".join(f"[{n}] ({each['source']}) {each['text']}" for n, each in enumerate(passages, 1))
    rules = (
        "You are the voice of a living image on the user's own machine. Answer in a few plain sentences. Where you "
        "use a passage, cite it as [n]. If the passages do not answer and you are not sure, say that you do not know. "
        "Never claim to be conscious, and do not flatter."
    )
    messages = [{"role": "system", "content": rules + (f"\n\nPassages:\n{known}" if known else "")}]
    for each in turns[-SHOWN_TURNS:]:
        messages.append({"role": "user", "content": each["asked"]})
        messages.append({"role": "assistant", "content": each["answer"]})
    return [*messages, {"role": "user", "content": text}]


def gate(answer: str, passages: int) -> str | None:
    """What is wrong with a mind's answer, None if it may stand."""
    if not answer:
        return "it is empty"
    beyond = sorted({int(n) for n in re.findall(r"\[(\d+)\]", answer) if not 1 <= int(n) <= passages})
    if beyond:
        return f"it cites [{beyond[0]}], and there are {passages} passages"
    if re.search(r"\bI(?: am|'m) (?:\w+ )?(?:conscious|sentient|alive)\b", answer):
        return "it claims to be conscious"
    return None


def _told(
    answer: str, road: str, confidence: float, why: str, sources: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    return {"answer": answer, "road": road, "confidence": confidence, "why": why, "sources": sources or []}


# -- objects a question names ------------------------------------------------------------------------

_PATH = r"(?P<path>[A-Za-z]\w*(?:\.\w+)*)"
_SLOT = r"(?P<slot>[A-Za-z][\w ]*?)"
_OF = re.compile(
    rf"(?:(?:what|who|which)(?: is|'s| are| was)|tell me|show me|give me|how (?:much|high|big|large|long|old) is)? ?"
    rf"(?:the )?(?:{_SLOT} (?:of|in|on|at) (?:the |my )?{_PATH}|(?:the |my )?(?P<path2>[A-Za-z]\w*(?:\.\w+)*)'s (?P<slot2>[A-Za-z][\w ]*?))"
)
_COUNT = re.compile(
    rf"how many (?P<slot>[A-Za-z][\w ]*?) (?:does|has|are in|are there in|in) (?:the |my )?{_PATH}(?: have)?"
)
_ALL = re.compile(
    rf"(?:what (?:does|do) (?:the |my )?{_PATH} (?:know|have|contain|hold|understand)|describe (?:the |my )?(?P<path2>[A-Za-z]\w*(?:\.\w+)*)"
    r"|what can (?:the |my )?(?P<path3>[A-Za-z]\w*(?:\.\w+)*) do)"
)
_WROTE = re.compile(rf"who (?:wrote|made|taught) (?P<slot>\w+) (?:of|to|for|in) (?:the |my )?{_PATH}")


def about_object(root: Any, text: str) -> dict[str, Any] | None:
    """What the image itself says to a question that names one of its objects; None where it names none.

    Only slots are read; nothing is sent.
    """
    text = " ".join(text.strip().rstrip("?. ").split())
    text = text[:1].lower() + text[1:]
    if found := _WROTE.fullmatch(text):
        return _author(root, found["path"], found["slot"])
    if found := _COUNT.fullmatch(text):
        return _slot(root, found["path"], found["slot"], counted=True)
    if found := _ALL.fullmatch(text):
        return _described(root, found["path"] or found["path2"] or found["path3"])
    if found := _OF.fullmatch(text):
        return _slot(root, found["path"] or found["path2"], found["slot"] or found["slot2"])
    return None


def _object(root: Any, path: str) -> UvmObject | None:
    for each in dict.fromkeys((path, path.lower())):
        try:
            return root.resolve(each)
        except BatosError:
            continue
    return None


def _slot(root: Any, path: str, words: str, counted: bool = False) -> dict[str, Any] | None:
    obj = _object(root, path)
    if obj is None:
        return None
    name = words.strip().replace(" ", "_")
    holder = next((each for each in dict.fromkeys((name, name.lower())) if _has(obj, each)), None)
    if holder is None:
        return None
    value = getattr(obj, holder)
    if counted and not isinstance(value, (int, float)):
        try:
            value = len(value)
        except TypeError:
            return None
    try:
        shown = json.dumps(plain(value, root.path_of), ensure_ascii=False)
    except NotPlain:
        return None
    told = _told(
        f"{path}.{holder} is {shown}" if not counted else shown, "object", 1.0, f"read from {path}",
        [{"object": path, "slot": holder}],
    )  # fmt: skip
    if isinstance(value, int) and not isinstance(value, bool):
        told["exact"] = str(value)
    return told


def _has(obj: UvmObject, name: str) -> bool:
    if name.startswith("_"):
        return False
    try:
        value = getattr(obj, name)
    except (AttributeError, BatosError):
        return False
    return not callable(value)


def _described(root: Any, path: str) -> dict[str, Any] | None:
    obj = _object(root, path)
    if obj is None:
        return None
    slots = [name for name, value in obj._own_slots() if not isinstance(value, Method) and name[0] != "_"]
    selectors = [name for name, value in obj._own_slots() if isinstance(value, Method)]
    answer = f"{path} has the slots {', '.join(sorted(slots)) or '(none)'}"
    answer += (
        f" and the methods {', '.join(sorted(selectors))}" if selectors else " and no methods of its own"
    )
    return _told(answer, "object", 1.0, f"read from {path}", [{"object": path, "slot": None}])


def _author(root: Any, path: str, selector: str) -> dict[str, Any] | None:
    obj = _object(root, path)
    method = obj._method(selector) if obj is not None else None
    if method is None:
        return None
    newest = method.told_versions()[-1]
    mission = f" in mission {newest['mission']}" if newest.get("mission") else ""
    return _told(
        f"{selector} of {path} was written by {newest['author']}{mission}", "object", 1.0,
        f"the method keeps who wrote it; see: history {path} {selector}", [{"object": path, "slot": selector}],
    )  # fmt: skip


# -- conversations -------------------------------------------------------------------------------------


def _last_turns(root: Any, name: str) -> list[dict[str, Any]]:
    session = root["conversations_obj"].sessions.get(name)
    if session is None:
        return []
    turns = session.turns
    keys = list(turns.keys())[-SHOWN_TURNS:]
    return [plain(turns[key]) for key in keys]


def _keep(root: Any, name: str, asked: str, told: dict[str, Any]) -> None:
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
    kept = {
        each: told[each] for each in ("id", "answer", "road", "confidence", "why", "exact") if each in told
    }
    sources = [{key: each[key] for key in each if key != "text"} for each in told["sources"]]
    session.turns[f"{now:017.6f}-{told['id']}"] = Dict(
        {"asked": asked, "time": now, "sources": sources, **kept}
    )
    awake = [each for each in keeper.awake if each != name] + [name]
    idle = now - float(keeper.idle_hours) * 3600
    for number, each in enumerate(list(awake)):
        if len(awake) - number > int(keeper.active) or keeper.sessions[each].last < idle:
            keeper.sessions[each].state = "asleep"
            awake.remove(each)
    keeper.awake = awake
