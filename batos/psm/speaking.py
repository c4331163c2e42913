"""Speaking: one call of a mind that talks, entered in the ledger and in the journal.

Whoever wants words and not a method goes through here: a question of `ask` with its weave, a facet that a person
sends a message to.  The call is reserved before and settled after, what was asked and said stands in the
journal under the id it was said for, and all that is said for one id is one request to the ledger.  While thought
rests nobody is asked, and a mind that only writes methods says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from batos.errors import Busy, NoMind
from batos.psm.budget import Budget, Cost

Messages = list[dict[str, str]]


class Speaking:
    """Asks the mind of one awake image.

    mind     has `converses`, and where that is true `converse(messages, persona, seconds, tell, spent) -> text`
    note     `Journal.note`
    window   tokens the mind can look at
    resting  `Review.resting`: why nobody may think now, None while they may
    """

    def __init__(
        self,
        mind: Any,
        budget: Budget,
        note: Callable[..., None],
        window: int,
        resting: Callable[[], Busy | None] = lambda: None,
    ):
        self._mind = mind
        self._budget = budget
        self._note = note
        self._window = window
        self._resting = resting

    def __call__(
        self,
        messages: Messages,
        expert: str | None,
        purse: str,
        seconds: float,
        tell: Callable[[str], None] | None = None,
    ) -> tuple[str, Cost]:
        """What the mind says next with an expert's voice, and what it cost.

        purse  the id it is said for: of an ask, of a message
        tell   hears its words as they come

        Raises `NoMind` where the mind does not talk, `Busy` while thought rests, `Refused` where the budget has not
        so much.
        """
        if not getattr(self._mind, "converses", False):
            raise NoMind(
                "this needs a mind that talks, and the one of this image writes methods",
                hint="a mind that can: python -m batos incarnate DIR_OR_HUB_ID, or mind_url in batos.toml",
            )
        if (resting := self._resting()) is not None:
            raise resting
        price = self._budget.price
        prompt = "\n".join(each["content"] for each in messages)
        most = price.most([prompt], self._mind.answer_tokens, self._window, seconds)
        self._note(purse, "LLM_CALL_START", active_persona=expert, llm_prompt=messages)
        began = time.monotonic()
        used = [0, 0]

        def count(read: int, written: int) -> None:
            used[:] = read, written

        with self._budget.spending(most, purse, whole=True) as cost:
            answer = self._mind.converse(messages, expert, seconds, tell, count).strip()
            cost.tokens, cost.seconds, cost.usd = sum(used), time.monotonic() - began, price.of(*used)
        self._note(purse, "LLM_CALL_END", active_persona=expert, llm_response_raw=answer,
                   tokens=cost.tokens, usd=cost.usd, seconds=round(cost.seconds, 6))  # fmt: skip
        return answer, cost
