"""Replay: a mission run again from the journal, to the same end, without a call of the mind.

What the mind and the embedder said stands in the journal, and so does the circle the mission thought
about; everything else (the guardian, the rehearsal, the votes) is run again on objects rebuilt from that
circle.  Nothing of it is kept.  Where the states' prompts have been edited since, the replay goes on with
what was answered then and says that the question is another one now.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from batos.errors import BatosError, Conflict, NoSuchObject
from batos.mind.engine import Draft
from batos.objects.probation import kinds_of
from batos.objects.snapshot import from_data
from batos.psm.machine import COMPLETE, FAILED
from batos.psm.mission import Miss, Mission, brief_of
from batos.psm.states import Tools
from batos.psm.weaving import Question


@dataclass(slots=True)
class Recording:
    """What the journal has of one mission."""

    mission: str
    miss: dict[str, Any] = field(default_factory=dict)  # of DOES_NOT_UNDERSTAND
    circle: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[dict[str, Any], dict[str, Any]]] = field(
        default_factory=list
    )  # what was asked, what came
    likeness: list[list[float] | None] = field(default_factory=list)
    passages: list[dict[str, Any]] = field(default_factory=list)  # none in journals of the last edition
    read: bool = False  # they stood in the prompts
    words: dict[str, Any] | None = None  # passages and turns of a question that was asked
    spoken: dict[str, list[str]] = field(
        default_factory=dict
    )  # what was said to whom, by the expert's messages
    children: list[str] = field(default_factory=list)  # what the missions inside it came to
    outcome: str = ""
    method: str | None = None


def recording(mission: str, events: Iterable[dict[str, Any]]) -> Recording:
    """Gather a mission's events.

    Raises `NoSuchObject` where the journal has none, `Conflict` where it has not all of them.
    """
    found = Recording(mission)
    asked: dict[str, Any] | None = None
    for event in events:
        if event.get("redacted"):
            raise Conflict(
                f"mission {mission} cannot be replayed: a part of its journal was forgotten on request"
            )
        kind = event["event_type"]
        if kind == "DOES_NOT_UNDERSTAND":
            found.miss = event
        elif kind == "MISSION_BEGINS":
            found.circle, found.words = event["circle"], event.get("words")
        elif kind == "LIKENESS":
            found.likeness.append(event["cosines"])
        elif kind == "RETRIEVED":
            found.passages, found.read = event["passages"], event["read"]
        elif kind == "SPOKEN":
            key = json.dumps([event["active_persona"], event["llm_prompt"]])
            found.spoken.setdefault(key, []).append(event["llm_response_raw"])
        elif kind == "CHILD_LEARNED":
            found.children.append(event["method"])
        elif kind == "LLM_CALL_START":
            asked = event
        elif kind == "LLM_CALL_END" and asked is not None:
            found.calls.append((asked, event))
            asked = None
        elif kind == "FINAL_OUTCOME":
            found.outcome, found.method = event["final_outcome"], event["method"]
    if not found.miss:
        raise NoSuchObject(
            f"the journal has nothing of a mission {mission!r}",
            hint="list them with: python -m batos missions",
        )
    if not found.circle or not found.outcome:
        raise Conflict(
            f"mission {mission} cannot be replayed: it has not ended, or began before replays were kept"
        )
    return found


class Voices:
    """The mind and the embedder of a recording: they say what they said."""

    def __init__(self, recording: Recording):
        self._calls = iter(recording.calls)
        self._likeness = iter(recording.likeness)
        self._children = iter(recording.children)
        self._spoken = {key: iter(said) for key, said in recording.spoken.items()}
        self.calls = 0
        self.differs: list[str] = []

    def generate(self, prompts: list[str], expert: Any, grammar: Any, limits: Any) -> list[Draft]:
        """The drafts of the next call; raises `Conflict` where the recording has no such call."""
        asked, came = self._next(self._calls, "call of the mind")
        self.calls += 1
        if asked["llm_prompt"] != list(dict.fromkeys(prompts)):
            self.differs.append(f"call {self.calls}: the prompt is another one now")
        if len(came["llm_response_raw"]) != len(prompts):
            raise Conflict(
                f"call {self.calls} asks {len(prompts)} voices, and {len(came['llm_response_raw'])} answered then"
            )
        return [
            Draft(text, (), logprob, finish)
            for text, logprob, finish in zip(
                came["llm_response_raw"], came["logprob"], came["finish"], strict=True
            )
        ]

    def speak(self, messages: list[dict[str, str]], expert: str | None) -> str:
        """What was said to these messages; raises `Conflict` where nothing was."""
        said = self._next(
            self._spoken.get(json.dumps([expert, messages]), iter(())), "answer of the mind to this"
        )
        self.calls += 1
        return said

    def child(self, miss: Any, intent: str | None = None) -> Any:
        """A mission inside that ended: what it came to."""
        return SimpleNamespace(chosen={"source": self._next(self._children, "mission inside it")})

    def alike(self, words: str, others: list[str]) -> list[float] | None:
        """The cosines that were found; raises `Conflict` where none were."""
        return self._next(self._likeness, "likeness")

    def _next(self, said: Iterator[Any], what: str) -> Any:
        try:
            return next(said)
        except StopIteration:
            raise Conflict(
                f"the replay goes another way than the mission went: there is no further {what}"
            ) from None


class Silence:
    """A journal that keeps nothing: what a replay does is in the journal already."""

    def note(self, mission: str | None, event: str, **facts: Any) -> None:
        """Forget it."""


def again(
    image: Any, then: Recording, seconds: float, step: Callable, rehearse: Callable, judge: Callable,
    model: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Run an ended mission again, without the mind, and keep nothing of it.

    seconds  it may take
    step     `(mission, tools)`: runs the machine to its end
    rehearse, judge, model   see `psm.states.Tools`

    Answers ``{"mission", "state", "was", "method", "same", "model_calls", "answered_from_journal", "differs", "why",
    "seconds"}``: `same` says whether state and method are those of then.  Raises `Conflict` where the journal
    does not hold enough of it.
    """
    began = time.monotonic()
    voices, said = Voices(then), then.miss
    path = said["to"] if said["to"] != said["oid"] else None
    miss = Miss(said["oid"], path, said["send"], said["args"], said["kw"])
    mission = Mission(miss, began + seconds, said["intent"], list(said["examples"] or ()))
    with image.mission_transaction() as root:
        receiver, args, kw = from_data(then.circle)
        mission.kinds = kinds_of(args, kw)
        mission.brief = brief_of(receiver, miss.selector, args, kw, miss.path)
        mission.brief |= {"oid": miss.oid, "intent": mission.intent or mission.brief["facet"]}
        mission.brief["examples"] = mission.examples
        mission.circle = then.circle
        at = Tools(
            mission, root, receiver, voices.generate, rehearse, judge, Silence(), model,
            likeness=voices.alike, retrieve=lambda question: then.passages, reads=then.read, child=voices.child,
        )  # fmt: skip
        if then.words is not None:
            mission.question = Question(miss.args[0], voices.speak, **then.words)
        at.doom()
        try:
            step(mission, at)
        except BatosError as exc:
            mission.state, mission.why = FAILED, str(exc)
    product = mission.product if mission.state == COMPLETE else None
    same = (mission.state, product) == (then.outcome, then.method if then.outcome == COMPLETE else None)
    return {
        "mission": then.mission,
        "state": mission.state,
        "was": then.outcome,
        "method": product,
        "same": same,
        "model_calls": 0,
        "answered_from_journal": voices.calls,
        "differs": voices.differs,
        "why": mission.why,
        "seconds": round(time.monotonic() - began, 6),
    }
