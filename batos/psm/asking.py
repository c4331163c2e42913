"""`ask`: a person's question, answered by the cheapest road that is sure.

The roads in their order: words that are kept for it, a reflex (exact), the records of conversations and missions,
an object of the image the question names, a mind that can converse, a passage of the fractal memory in its own
words.  Every answer says which road it came by, how sure it is and what it rests on; where none of them leads
anywhere, "I do not know" is said in so many words, by `NoMind` where a larger mind might have known.

A mind is never waited for with empty hands: who listens is told the best passage at once as a first draft, then the
mind's words as they come, and the reply is the revision, under the same id.  What a mind says is checked against
what it was shown; where it fails, the retry table says what is tried otherwise (`psm.steady`), the ledger what it may
cost (`psm.budget`), and at the end of both the passage stands, labelled as degraded.

What a person tells without asking is kept in the fractal memory under ``conversation:NAME/TURN`` and found
by the next question.
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from typing import Any

from batos.errors import BadRequest, BatosError, Busy, NoMind
from batos.knowledge.pointing import pointed
from batos.message import TellEvent
from batos.objects.method import digest
from batos.objects.plain import plain
from batos.psm import reflexes
from batos.psm.about import about_object, answered, objects_named
from batos.psm.budget import Budget, Cost
from batos.psm.conversations import (
    SHOWN_TURNS,
    keep_answer,
    keep_turn,
    last_turns,
    question_key,
    remembered_answer,
)
from batos.psm.looking_back import looked_back, said_before
from batos.psm.reflexes import units
from batos.psm.small_talk import (
    LEFT_TO_A_MIND,
    about_of,
    asks_nothing,
    commands,
    composes,
    grieves,
    kept_words,
    speaks_of_me,
    words_in,
)
from batos.psm.speaking import Speaking
from batos.psm.steady import Retries, count_ways, failure_kind

PASSAGES = 5  # offered to a mind
FEWER = 2  # of them, where it did not do well with all
MAX_TEXT = 20_000
SECONDS = 60.0  # for a mind's answer, all its repairs included
VOICE = "ROBIN"
TELLING = 3  # words that say something which could be asked for

_QUESTION = re.compile(
    r"(?:and |so |but |then |now |ok(?:ay)?,? |please |can you |could you )*"
    r"(?:what|who|whom|whose|when|where|why|which|how|is|are|was|were|do|does|did|can|could|will|would|should|"
    r"has|have|had|may|tell|show|list|find|explain|describe|write|give|summari[sz]e|compare|translate|solve|convert|calculate|"
    r"compute|look|prove|define|recommend|suggest|advise|guess|spell|estimate|predict|discuss|analy[sz]e|help me)\b"
)
_ON = re.compile(r"(?:and |then |now )*(?P<rest>(?:plus|minus|times|multiplied by|divided by|[-+*/^×÷]) ?.+)")
_HELLO = re.compile(
    r"^(?:hello|hi|hey|good (?:morning|afternoon|evening))(?: there| batos)?[,.!]+ (?=\S+ \S)", re.IGNORECASE
)
_THAT = re.compile(
    r"\b(?:that|this|it|its|he|him|his|she|her|hers|they|them|their|there|those|these|then|one|ones|same|else)\b"
)
# Questions that want weighing, for which several voices are worth their price.
_DEEP = re.compile(
    r"(?:please |can you |could you |so |and |but |then )*"
    r"(?:why |how (?:should|would|could|might|can|do) (?:i|we|one|you) |what (?:should|would) (?:i|we) |"
    r"should (?:i|we) |compare |plan |weigh |help me (?:to )?(?:decide|choose|plan|understand) |"
    r"what do you (?:think|make) |"
    r"what (?:are|would be) the (?:pros|advantages|arguments|reasons|risks))"
)
_REMEMBER = re.compile(
    r"(?:please )?(?:remember|note|keep in mind)(?: that|:)? (?P<fact>.+)", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True)
class Shown:
    """What a mind is shown for one question."""

    text: str
    turns: list[dict[str, Any]]
    passages: list[dict[str, Any]]
    voice: str  # ROBIN's codex
    said: list[dict[str, str]] = field(default_factory=list)  # its answers that were sent back, and why

    def rests(self, mind: str) -> list[list[str]]:
        """``[kind, place, digest]`` of everything an answer to this rests on."""
        told = [["mind", mind, ""], ["rules", "", digest(RULES + self.voice)]]
        for each in self.passages:
            told += each.get("rests") or [
                ["passage", f"{each['source']}:{each['start']}-{each['end']}", digest(each["text"])]
            ]
        return told


# What is done otherwise -> what a mind is shown then.
OTHERWISE: dict[str, Callable[[Shown, str, str], Shown]] = {
    "send_back": lambda shown, answer, why: replace(
        shown,
        said=[
            *shown.said, {"role": "assistant", "content": answer},
            {"role": "user", "content": f"That cannot stand: {why}. Answer again."},
        ],
    ),
    "fewer_passages": lambda shown, answer, why: replace(shown, passages=shown.passages[:FEWER], said=[]),
    "no_conversation": lambda shown, answer, why: replace(shown, turns=[], said=[]),
}  # fmt: skip


class Asking:
    """Answers questions for one awake image.

    image   has ``run(why, function)``
    memory  has `recall`, `remember_text` and `embedder` (`knowledge.Memory`)
    mind    has `converses`, and where that is true `converse(messages, persona, seconds, tell, spent) -> text`
    budget  the ledger every call of the mind is entered in
    weave   `Orchestrator.weave`: several voices, where a question wants more than an answer at once; None: never
    now     the moment; a date alone tells no time of day
    note    `Journal.note`: what a mind was shown and what it said, to be looked at afterwards
    metric  `Metrics.note`: which road answered, and how long it took
    window, resting  see `Speaking`
    """

    def __init__(
        self,
        image: Any,
        memory: Any,
        mind: Any,
        budget: Budget,
        weave: Callable[..., dict[str, Any]] | None = None,
        now: Callable[[], date] = datetime.now,
        note: Callable[..., None] = lambda ident, event, **facts: None,
        metric: Callable[..., None] = lambda kind, **numbers: None,
        window: int = 4096,
        resting: Callable[[], Busy | None] = lambda: None,
    ):
        self._image = image
        self._memory = memory
        self._mind = mind
        self._budget = budget
        self._weave = weave
        self._now = now
        self._speaking = Speaking(mind, budget, note, window, resting)
        self._metric = metric

    def ask(self, text: str, session: str | None = None, tell: TellEvent | None = None) -> dict[str, Any]:
        """Answer `text` in the conversation called `session`, a new one if it is None.

        Answers ``{"id", "session", "answer", "road", "confidence", "why", "sources"}``; `road` is reflex,
        object, mind, passage, told or kept_words; a source is ``{"source", "start", "end", "text"}`` or
        ``{"object", "slot"}``.  `degraded` says why a mind that should have answered did not, `kept` that the
        answer was given before and nothing it rests on has changed, `cost` what a mind's answer has cost.

        tell  hears what comes before the answer: ``draft`` (an answer to begin with, under the same id),
              ``tokens`` (the mind's words) and ``again`` (the words so far are void, and why)

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
        if tell is not None and not callable(tell):
            raise BadRequest(
                "`tell` is no argument of ask: send it with `stream: true` to hear the answer grow"
            )
        began = time.monotonic()
        text = text.strip()
        name, ident = session or f"talk-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex[:12]
        turns = self._image.run(f"look at the conversation {name}", partial(last_turns, name=name))
        asked = _Question(ident, name, text, turns, tell, began + SECONDS)
        unknown = None
        try:
            told = {"id": ident, "session": name, **self._answer(asked)}
        except NoMind as exc:  # the next question may be why
            unknown = exc
            told = {
                "id": ident,
                "session": name,
                **answered(str(exc), "none", 0.0, "no road leads to an answer"),
            }
        except Exception:
            self._image.run(f"what a question in {name} cost", self._budget.take(ident))
            raise
        spent = self._budget.take(ident)

        def keep(root: Any) -> None:
            spent(root)
            keep_turn(root, name, text, told)
            if asked.retries is not None and asked.retries.gone:
                count_ways(root, asked.retries.gone, "degraded" not in told)
            if asked.to_keep is not None:
                keep_answer(root, *asked.to_keep)

        self._image.run(f"asked in {name}", keep)
        came = next((each for each in ("degraded", "kept") if each in told), "anew")
        self._metric("answers", ms=(time.monotonic() - began) * 1000, road=told["road"], came=came)
        if unknown is not None:
            raise unknown
        return told

    # -- the roads ---------------------------------------------------------------------------------

    def _answer(self, asked: _Question) -> dict[str, Any]:
        slot = kept_words(_low(asked.text))
        if slot is not None and not (self._converses and slot in LEFT_TO_A_MIND):
            return self._kept(slot)
        text = asked.text = _HELLO.sub("", asked.text)
        low = _low(text)
        exact = self._reflex(text, asked.turns)
        if exact is not None:
            return exact
        now = self._now()
        today = now.date() if isinstance(now, datetime) else now

        def look(root: Any) -> dict[str, Any] | None:
            return (
                said_before(root, asked.turns, low, reasons=not self._converses)
                or looked_back(root, text, today)
                or about_object(root, text)
            )

        named = self._image.run("look for what is asked about", look)
        if named is not None:
            return named
        if asks_nothing(low) and not self._converses:
            return self._kept("on_fragment")
        if fact := _REMEMBER.fullmatch(text):
            return self._keep_told(fact["fact"], asked.session)
        if composes(low) and not self._converses:
            raise NoMind(
                "that wants words of a mind's own, and the embedded mind writes methods, it does not converse",
                hint="make a larger model the mind: python -m batos incarnate DIR, or mind_url in batos.toml",
            )
        if commands(low) and not self._converses:
            return self._kept("on_command")
        leads_on = self._converses and words_in(text) < TELLING  # "yes", to what the mind has said
        if _asks(low) or commands(low) or composes(low) or leads_on:
            return self._from_memory(asked)
        return self._keep_told(text, asked.session)

    @property
    def _converses(self) -> bool:
        return getattr(self._mind, "converses", False)

    def _kept(self, slot: str, road: str = "kept_words", confidence: float = 1.0) -> dict[str, Any]:
        words = self._image.run(slot, lambda root: str(getattr(root["conversations_obj"], slot)))
        return answered(words, road, confidence, f"conversations_obj keeps these words as {slot}")

    def _reflex(self, text: str, turns: list[dict[str, Any]]) -> dict[str, Any] | None:
        found = reflexes.answer(text, self._now)
        why = "read whole by the grammar of {}"
        if found is None and turns and turns[-1].get("exact") is not None:
            goes_on = _ON.fullmatch(" ".join(text.lower().rstrip("?. ").split()))
            if goes_on:
                found = reflexes.answer(f"({turns[-1]['exact']}) {goes_on['rest']}", self._now)
                why = f"the last answer, {turns[-1]['exact']}, and the grammar of {{}}"
        if found is None:
            return None
        told = answered(found.text, "reflex", 1.0, why.format(found.kind))
        if (
            isinstance(found.value, int)
            and not isinstance(found.value, bool)
            or re.fullmatch(r"-?\d+/\d+", str(found.value))
        ):
            told["exact"] = str(found.value)
        return told

    def _keep_told(self, text: str, name: str) -> dict[str, Any]:
        sad = grieves(_low(text))
        if words_in(text) < TELLING:
            return self._kept("on_sorrow" if sad else "on_fragment")
        source = f"conversation:{name}/{uuid.uuid4().hex[:8]}"
        about = about_of(text)
        self._memory.remember_text(source, text, "text", **({"about": about} if about else {}))
        told = self._kept("on_sorrow" if sad else "noted", "told")
        return told | {
            "why": "kept in the fractal memory",
            "sources": [{"source": source, "start": 0, "end": len(text), "text": text}],
        }

    def _from_memory(self, asked: _Question) -> dict[str, Any]:
        passages = self._memory.recall(asked.sought, PASSAGES)
        if not self._converses:
            return self._extract(asked.text, passages) if passages else self._unknown(asked.text)
        draft = None
        if asked.tell is not None and passages:
            draft = self._extract(asked.text, passages)
            asked.tell({"event": "draft", "answer_id": asked.id, "session": asked.session, **draft})
        try:
            return self._by_mind(asked, passages)
        except BatosError as exc:
            if draft is None:
                draft = (
                    self._extract(asked.text, passages) if passages
                    else self._kept("do_not_know", "passage", 0.0)
                    | {"why": "nothing in the fractal memory reaches the floor"}
                )  # fmt: skip
            return draft | {"degraded": str(exc)}

    def _unknown(self, text: str) -> dict[str, Any]:
        """Nothing here knows.  Who asked about batos itself is told what it is; for others the next step is to look at
        the object they speak of, or to give more to remember."""
        if speaks_of_me(_low(text)):
            return self._kept("on_who")
        named = self._image.run("look for what is spoken of", lambda root: objects_named(root, text))
        raise NoMind(
            "nothing I remember answers that, and the embedded mind writes methods, it does not converse",
            hint=f"see what it has: python -m batos inspect {named[0]['object']}" if named
            else "python -m batos remember FILE   (or incarnate DIR, which makes a larger model the mind)",
        )  # fmt: skip

    def _extract(self, text: str, passages: list[dict[str, Any]]) -> dict[str, Any]:
        """The sentence that answers best, in its own words."""
        best = pointed(self._memory.embedder, text, passages)[0]
        others = [
            each
            for each in passages
            if each["source"] != best["source"] or not each["start"] <= best["start"] < each["end"]
        ]
        return answered(
            best["text"],
            "passage",
            round(float(best["score"]), 3),
            f"the best of {len(passages)} passages found, in its own words",
            [best, *others],
        )

    # -- by a mind -----------------------------------------------------------------------------------

    def _by_mind(self, asked: _Question, passages: list[dict[str, Any]]) -> dict[str, Any]:
        """The mind's answer, or the one it gave before where nothing that one rests on has changed.

        Raises `BatosError` where the mind fails and no way of the retry table is left.
        """
        mind = str(self._mind.describe().get("model_id"))
        key = question_key(asked.text, asked.turns)

        def look(root: Any) -> tuple[Shown, dict[str, list[str]], dict[str, Any] | None]:
            shown = Shown(
                asked.text, asked.turns, objects_named(root, asked.text) + passages,
                str(root["robin_prototype_obj"].codex),
            )  # fmt: skip
            return shown, plain(root["retry_table_obj"].ways), remembered_answer(root, key, shown.rests(mind))

        shown, ways, kept = self._image.run("look whether it was answered before", look)
        if kept is not None:
            return kept | {
                "kept": True,
                "why": f"{kept['why']}; given before, and nothing it rests on has changed",
            }
        asked.retries = Retries(ways)
        told = self._converse(asked, shown)
        if self._weave is not None and _DEEP.match(_low(asked.text)):
            told = self._woven(asked, shown, told)
        told["cost"] = asked.spent.told()
        if not asked.retries.gone:  # what took several tries rests on less than was found
            asked.to_keep = (key, shown.rests(mind), {each: told[each] for each in told if each != "cost"})
        return told

    def _converse(self, asked: _Question, shown: Shown) -> dict[str, Any]:
        """The mind's answer behind a gate: what it cites must be there.  Raises what no way of the table mends."""
        while True:
            answer, failed = "", None
            try:
                answer = self._speak(asked, build_prompt(shown), VOICE, asked.hear)
                wrong = gate(answer, len(shown.passages))
                if wrong is None:
                    break
                kind, why = wrong
            except BatosError as exc:
                kind, why, failed = failure_kind(exc), str(exc), exc
            way = asked.retries.after(kind, partial(_changes, shown))
            if way is None:
                raise failed or NoMind(f"the mind's answer did not pass the gate: {why}")
            if asked.tell is not None:
                asked.tell({"event": "again", "why": why})
            shown = OTHERWISE[way](shown, answer, why)
        cited = _cited(answer, shown.passages)
        told = answered(
            answer, "mind", 0.8 if cited else 0.5,
            "the mind's own words" + (", resting on what it cites" if cited else "; it cites nothing"), cited,
        )  # fmt: skip
        if asked.retries.gone:
            ways = ", ".join(f"{kind}: {way}" for kind, way in asked.retries.gone)
            told["why"] += f"; the first answer was sent back ({ways})"
        return told

    def _woven(self, asked: _Question, shown: Shown, first: dict[str, Any]) -> dict[str, Any]:
        """The answer of several voices in place of the first one, which stands where they come to none."""
        if asked.tell is not None:
            asked.tell({"event": "draft", "answer_id": asked.id, "session": asked.session, **first})
        try:
            woven = self._weave(
                shown.text,
                partial(self._speak, asked),
                shown.passages,
                shown.turns,
                seconds=asked.end - time.monotonic(),
            )
        except BatosError as exc:
            return first | {"why": f"{first['why']}; several voices came to nothing better: {exc}"}
        answer = woven["answer"]
        wrong = gate(answer, len(shown.passages))
        if wrong is not None:
            return first | {"why": f"{first['why']}; what several voices came to cannot stand: {wrong[1]}"}
        told = answered(answer, "mind", first["confidence"], woven["why"], _cited(answer, shown.passages))
        return told | {each: woven[each] for each in ("mission", "contradictions")}

    def _speak(
        self,
        asked: _Question,
        messages: list[dict[str, str]],
        persona: str | None,
        hear: Callable[[str], None] | None = None,
    ) -> str:
        """One call of the mind, which belongs to this question's cost."""
        answer, cost = self._speaking(messages, persona, asked.id, asked.end - time.monotonic(), hear)
        asked.spent.add(cost)
        return answer


class _Spent:
    """What the calls for one question have cost; several voices add to it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sum = Cost()

    def add(self, cost: Cost) -> None:
        with self._lock:
            self._sum += cost

    def told(self) -> dict[str, Any]:
        return {
            "tokens": self._sum.tokens,
            "seconds": round(self._sum.seconds, 3),
            "usd": round(self._sum.usd, 6),
        }


@dataclass
class _Question:
    """One question on its way; `end` is when the mind has to have answered, of `time.monotonic`."""

    id: str
    session: str
    text: str
    turns: list[dict[str, Any]]
    tell: TellEvent | None
    end: float
    spent: _Spent = field(default_factory=_Spent)
    retries: Retries | None = None
    to_keep: tuple[str, list[list[str]], dict[str, Any]] | None = None

    @property
    def hear(self) -> Callable[[str], None] | None:
        """What the mind's words are told to as they come."""
        tell = self.tell
        return None if tell is None else lambda text: tell({"event": "tokens", "text": text})

    @property
    def sought(self) -> str:
        """What the memory is searched for: a question that leans on the one before goes with it."""
        words = re.findall(r"\w+", self.text.lower())
        leans = bool(_THAT.search(self.text.lower())) or len(words) < 4
        if leans and self.turns:
            return f"{self.turns[-1]['asked']} {self.text}"[:MAX_TEXT]
        return self.text


def _asks(low: str) -> bool:
    """Does a text ask something, with a question mark or without?"""
    return low.endswith(("?", "？", "؟")) or bool(_QUESTION.match(low)) or units.asks(low)


def _low(text: str) -> str:
    """A text as the patterns of small talk and of questions read it."""
    return " ".join(text.lower().replace("’", "'").split())


RULES = (
    "You are the voice of a living image on the user's own machine. Answer in a few plain sentences. Where you "
    "use a passage, cite it as [n]. If the passages do not answer and you are not sure, say that you do not know. "
    "Never claim to be conscious or to have feelings, and do not flatter."
)


def build_prompt(shown: Shown) -> list[dict[str, str]]:
    """The messages for a mind: the rules, the passages by number, the last turns, the question."""
    known = "\n".join(f"[{n}] ({each['source']}) {each['text']}" for n, each in enumerate(shown.passages, 1))
    rules = f"{RULES} {shown.voice}"
    messages = [{"role": "system", "content": rules + (f"\n\nPassages:\n{known}" if known else "")}]
    for each in shown.turns[-SHOWN_TURNS:]:
        messages.append({"role": "user", "content": each["asked"]})
        messages.append({"role": "assistant", "content": each["answer"]})
    return [*messages, {"role": "user", "content": shown.text}, *shown.said]


_CLAIMS = re.compile(
    r"\b(?:I|i)(?: am|'m|’m) (?:\w+ ){0,2}(?:conscious|sentient|alive|self-aware|a (?:real )?person|human)\b"
    r"|\bI (?:truly |really |do )?(?:have (?:real )?(?:feelings|emotions|a soul|consciousness)|love you)\b"
)
_DENIES = re.compile(r"\b(?:not|never|no|nor|n't)\b", re.IGNORECASE)
_FLATTERS = re.compile(
    r"\b(?:what an? (?:\w+ )?(?:great|brilliant|excellent|wonderful|amazing|fantastic|insightful) "
    r"(?:question|idea|thought)|great question"
    r"|you(?: are|'re|’re) (?:so |very |truly |incredibly )?(?:brilliant|a genius|amazing|so smart|wonderful))\b",
    re.IGNORECASE,
)


def gate(answer: str, passages: int) -> tuple[str, str] | None:
    """The kind of failure and what is wrong with a mind's answer, None if it may stand."""
    if not answer:
        return "empty", "it is empty"
    beyond = sorted({int(n) for n in re.findall(r"\[(\d+)\]", answer) if not 1 <= int(n) <= passages})
    if beyond:
        return "unfounded", f"it cites [{beyond[0]}], and there are {passages} passages"
    if any(not _DENIES.search(found.group()) for found in _CLAIMS.finditer(answer)):
        return "unseemly", "it claims to be conscious or to feel"
    if _FLATTERS.search(answer):
        return "unseemly", "it flatters"
    return None


def _changes(shown: Shown, way: str) -> bool:
    """Would a way change what the mind is shown?"""
    return (
        way == "send_back"
        or (way == "fewer_passages" and len(shown.passages) > FEWER)
        or (way == "no_conversation" and bool(shown.turns))
    )


def _cited(answer: str, passages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The passages that an answer cites, as its sources: objects, or places in texts."""
    cited = [passages[n - 1] for n in sorted({int(n) for n in re.findall(r"\[(\d+)\]", answer)})]
    return [
        {"object": each["object"], "slot": None, "text": each["text"]} if "object" in each else each
        for each in cited
    ]
