"""The primer: what a mind that never saw batos is told before each question, so that it can answer in the dialect.

The embedded mind was trained on the dialect and needs none.  Any other one gets the persona's codex, the rules and
a few worked examples, built by the dialect's own functions, so that they are never out of step with it.  It is the
same text for every question to one persona: engines keep its keys and values (`prefixes`).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from batos.mind import dialect
from batos.mind.personas import PERSONAS

CODEX = {slots["name"]: slots["codex"] for slots in PERSONAS.values()}
RULES = """\
You write one method of an object in Python, in a notation of its own.
§0 §1 ... are the object's data slots, ¤0 ... its methods, ¢0 ... the arguments, £0 ... keys of records.
<|brief|> tells the slots with their kinds and the message that was not understood.
In a brief, `gives int` marks a method ¤0 to be used as a value, self.¤0(); £0 and ¤1 behind an object are its own
slots and methods, self.§1.£0 and self.§1.¤1(¢0), changed by self.§1.put('£0', value). `eg` and `now §0` tell what
an example answered and left in a slot, and `no` what came out and was wrong: a kind, and what it is of the rest.
<|plan|> wants one line of JSON: whether it can be done, what kind of message it is, what is read and answered.
It may end with at most four examples of what should come out, where that is certain and drafts could differ:
"examples":[{"slots":{"§0":100},"args":[30],"result":70}].
<|method|> wants the body of the method and nothing else. Readers answer a value, changers answer the new one.
What cannot be done (more than there is, a missing key) raises ValueError or KeyError and changes nothing.

"""
EXAMPLES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        {"selector": "withdraw_balance", "args": [30], "slots": {"owner": "Ada", "balance": 100}},
        {
            "can": True, "kind": "change", "slots": ["balance"], "args": ["amount"],
            "do": "take the amount from the balance", "unless": "the amount is more than the balance",
            "answer": "the new balance",
        },
        "def withdraw_balance(self, amount):\n"
        "    if amount > self.balance:\n"
        "        raise ValueError('there is not so much')\n"
        "    self.balance -= amount\n"
        "    return self.balance\n",
    ),
    (
        {"selector": "guests_above", "args": [5], "slots": {"guests": [3, 9, 4]}},
        {
            "can": True, "kind": "read", "slots": ["guests"], "args": ["limit"],
            "do": "keep the guests above the limit", "answer": "a list of them",
        },
        "def guests_above(self, limit):\n    return [each for each in self.guests if each > limit]\n",
    ),
    (
        {"selector": "is_till_empty", "args": [], "slots": {"till": 20, "stock": {"apple": 3}}},
        {
            "can": True, "kind": "ask", "slots": ["till"], "args": [],
            "do": "see whether the till is zero", "answer": "true or false",
        },
        "def is_till_empty(self):\n    return self.till == 0\n",
    ),
]  # fmt: skip


@cache
def primer(persona: str | None) -> str:
    """The text before each question to a persona, by its upper-case name; None is nobody in particular."""
    parts = [CODEX[persona] + "\n" if persona in CODEX else "", RULES]
    for brief, plan, source in EXAMPLES:
        linked = dialect.link(brief)
        parts.append(dialect.method_prompt(linked, plan) + dialect.body_text(source, linked) + "\n\n")
    return "".join(parts)


def wants_primer(prompt: str) -> bool:
    """Whether a prompt is in the dialect, and not just any text."""
    return prompt.startswith(dialect.BRIEF)
