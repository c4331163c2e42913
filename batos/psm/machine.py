"""The prototypal state machine: one table says what comes next.

A state reports what happened, in the past tense; the table says which state that leads to.  The
machine is pure: it knows no model, no image, no clock.
"""

from __future__ import annotations

IDLE = "IDLE"
DECOMPOSING = "DECOMPOSING"
DELEGATING = "DELEGATING"
SYNTHESIZING = "SYNTHESIZING"
COMPLETE = "COMPLETE"
FAILED = "FAILED"

STATES = (IDLE, DECOMPOSING, DELEGATING, SYNTHESIZING, COMPLETE, FAILED)
FINAL = frozenset({COMPLETE, FAILED})

TRANSITIONS = {
    (IDLE, "opened"): DECOMPOSING,
    (DECOMPOSING, "planned"): DELEGATING,
    (DELEGATING, "drafted"): SYNTHESIZING,
    (SYNTHESIZING, "disagreed"): DELEGATING,  # another round, with what was learned
    (SYNTHESIZING, "agreed"): COMPLETE,
}

_GIVEN_UP = "gave_up"
EVENTS = frozenset({event for _, event in TRANSITIONS} | {_GIVEN_UP})


class IllegalTransition(ValueError):
    """A state reported something that the table has no row for."""


def after(state: str, event: str) -> str:
    """The state that follows; every state but the final ones may give up.

    Raises `IllegalTransition`, naming what the state may report.
    """
    if event == _GIVEN_UP and state not in FINAL:
        return FAILED
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        known = sorted(each for at, each in TRANSITIONS if at == state)
        raise IllegalTransition(f"{state} reported {event!r}; it may report {known or 'nothing'}") from None
