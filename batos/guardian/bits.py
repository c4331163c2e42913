"""The abstract values of the alias analysis: sets of bits, and what elements and containers of them are.

More bits mean more that may be; nothing certain is said by a bit that is missing but for the value of no bit
at all, which is a number or text, or something of unknown origin that is not the receiver's.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

SELF = 1  # the receiver
PART = 2  # state reachable from it, perhaps mutable
HOLDS = 4  # a value of the method's own whose elements may be state
HOLDS_2 = 8  # the same, of the elements of its elements
HOLDS_3 = 16  # the same, further down
FOREIGN = 32  # a slot of another object
HOLDS_FOREIGN = 64  # a value of the method's own whose elements may be another object's
OWN = 128  # a container the method made itself
MODULE = 256  # a module facade or something of it
CHANGES = 512  # calling it changes state
CHANGES_ARGUMENT = 1024  # calling it changes what it is handed
ANSWERS_STATE = 2048  # calling it may answer state
ANSWERS_CHANGER = 4096  # calling it may answer something that changes state when it is called
UNKEEPABLE = 8192  # a function: never to rest in a slot
LAZY = 16384  # a generator or iterator: not to rest in a slot, but what it yields may
PENDING = 32768  # an iterator that changes state when it is consumed
HOLDS_OWN = 131072  # a container whose elements may be containers the method made itself
ASSUMED = 65536  # of a CHANGES or PENDING: only because it calls what is not known

HOLDING = HOLDS | HOLDS_2 | HOLDS_3
STATE = SELF | PART | HOLDING
CALLABLE = CHANGES | CHANGES_ARGUMENT | UNKEEPABLE | ANSWERS_STATE | ANSWERS_CHANGER | ASSUMED
COUNTED = ": counted as a change"  # how the reason ends where a change is assumed


def element(bits: int) -> int:
    """What iterating or indexing a value with these bits may give."""
    out = bits & (FOREIGN | CALLABLE | MODULE | PENDING)
    if bits & (SELF | PART):
        out |= PART
    if bits & HOLDS:
        out |= PART
    if bits & HOLDS_2:
        out |= HOLDS | OWN
    if bits & HOLDS_3:
        out |= HOLDS_2 | HOLDS_3 | OWN
    if bits & HOLDS_FOREIGN:
        out |= FOREIGN | HOLDS_FOREIGN
    if bits & HOLDS_OWN:
        out |= OWN | HOLDS_OWN
    return out


def held(bits: int) -> int:
    """What a container of such a value is."""
    out = bits & (CALLABLE | LAZY | PENDING)
    if bits & (SELF | PART):
        out |= HOLDS
    if bits & HOLDS:
        out |= HOLDS_2
    if bits & (HOLDS_2 | HOLDS_3):
        out |= HOLDS_3
    if bits & (FOREIGN | HOLDS_FOREIGN):
        out |= HOLDS_FOREIGN
    if bits & (OWN | HOLDS_OWN):
        out |= HOLDS_OWN
    return out


def shell(bits: int) -> int:
    """A new container of the elements of such a value."""
    return OWN | held(element(bits)) | (bits & CALLABLE)


def pairs(bits: int) -> int:
    """A new container of tuples of the elements of such a value."""
    return OWN | held(shell(bits))


def assumed(changes: Iterable[tuple[object, str]]) -> bool:
    """Are these changes (place, why) all assumed, because what is called is not known?"""
    return all(why.endswith(COUNTED) for _, why in changes)


def changing(changes: list[tuple[ast.AST, str]]) -> int:
    """The bits of something that does these changes when it is called."""
    return (CHANGES | ASSUMED if assumed(changes) else CHANGES) if changes else 0


def told(bits: int) -> str:
    """The end of a reason, from the bits of what is called: is the change only assumed?"""
    return COUNTED if bits & ASSUMED else ""
