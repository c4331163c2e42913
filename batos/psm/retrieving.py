"""What a mission finds in the fractal memory before it drafts.

Owned here: what is looked for, how much of it is taken, and how it is told to a mind.  A rate, a rule or a
formula that somebody put in with `remember` belongs into the method that needs it.  Each passage keeps the
place it came from, in the mission's record and in the prompt, so that forgetting a source also finds the
prompts it stood in.  A mind that was trained on the dialect alone has no room for prose: for it, what was
found is only recorded.

A mission looks once, however many rounds it drafts; what it found stands in the journal, and a replay does
not look again.
"""

from __future__ import annotations

from typing import Any

from batos.knowledge import itself, search
from batos.psm.mission import Mission

SHARE = 16  # of the mind's window that passages may fill: brief, plan and draft stand there too
MOST = 480  # tokens, by the embedder's counting, however large the window: more only distracts
LEAST = 0.35  # of questions about something else one in thirty finds a passage worth this (`search.FLOOR`)
_PLACE = ("oid", "source", "start", "end", "score")


class Retrieval:
    """Looks into an image's memory.

    mind    has `converses`, where it takes more than the dialect
    window  tokens that it reads and writes together
    """

    def __init__(self, image: Any, memory: Any, mind: Any, window: int):
        self._image = image
        self._memory = memory
        self._mind = mind
        self._tokens = min(MOST, window // SHARE)

    @property
    def is_read(self) -> bool:
        """Whether the mind reads what is found."""
        return bool(getattr(self._mind, "converses", False))

    def __call__(self, question: str) -> list[dict[str, Any]]:
        """Passages ``{"oid", "source", "start", "end", "score", "text"}``, best first."""
        # What earlier missions came to is no knowledge of the world, and every selector reads like it.
        but = itself.MISSIONS
        if not self._image.run("look whether anything is known", lambda root: search.holds_any(root, but)):
            return []
        found = self._memory.context(question, self._tokens, least=LEAST, but=but)
        return [{name: each[name] for name in (*_PLACE, "text")} for each in found]


def question_of(brief: dict[str, Any]) -> str:
    """What a mission looks for: what was meant, the words of the selector, and whom it was sent to.

    >>> question_of({"intent": None, "selector": "add_sales_tax", "receiver": "shop.invoice"})
    'add sales tax invoice'
    """
    receiver = (brief.get("receiver") or "").rpartition(".")[2]
    words = f"{brief.get('intent') or ''} {brief['selector']} {receiver}".replace("_", " ")
    return " ".join(words.split())


def told(passages: list[dict[str, Any]]) -> str:
    """Passages as a line of a prompt, each with its number, id and source; empty if there are none."""
    if not passages:
        return ""
    cited = " ".join(
        f"[{n}] ({each['oid']} of {each['source']}) {each['text']}" for n, each in enumerate(passages, 1)
    )
    return f" What is known, to be used where it applies: {cited}"


def cited(passages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Where passages stand, without their text: what a mission's record keeps of them."""
    return [{name: each[name] for name in _PLACE} for each in passages]


def uncite(root: Any, sources: set[str]) -> None:
    """Take sources that are forgotten out of the missions' records."""
    for record in root["orchestrator_obj"].missions.values():
        found = record.get("passages") or ()
        kept = [each for each in found if each["source"] not in sources]
        if len(kept) < len(found):
            record["passages"] = kept


def unread(mission: Mission, sources: set[str]) -> None:
    """Take sources that are forgotten out of a mission, and out of the prompts they stood in."""
    if not any(each["source"] in sources for each in mission.passages or ()):
        return
    mission.passages = [each for each in mission.passages if each["source"] not in sources]
    for draft in mission.drafts:
        if any(source in draft["prompt"] for source in sources):
            draft["prompt"] = "(what stood in it is forgotten)"
