"""What a method's bytecode alone proves: some methods certainly change their object, some certainly cannot.

This truth knows nothing of the analysis and needs no instance, so it covers every method of the corpus whose
code is of one of the two kinds; about all others it says nothing.

    changes   an attribute of the first parameter is stored or deleted, or an item of such an attribute, by
              instructions that stand next to each other
    reads     no instruction that stores anywhere but into local names, calls, iterates, enters or works in place
"""

from __future__ import annotations

import dis
import types

_LOADS = ("LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW")
_KEYS = (*_LOADS, "LOAD_CONST", "LOAD_SMALL_INT")
_QUIET = frozenset(
    "RESUME NOP CACHE LOAD_FAST LOAD_FAST_CHECK LOAD_FAST_BORROW LOAD_CONST LOAD_SMALL_INT LOAD_ATTR LOAD_GLOBAL "
    "STORE_FAST RETURN_VALUE RETURN_CONST COMPARE_OP CONTAINS_OP IS_OP POP_TOP COPY SWAP BUILD_TUPLE BUILD_LIST "
    "BUILD_STRING FORMAT_VALUE FORMAT_SIMPLE UNARY_NOT TO_BOOL POP_JUMP_IF_FALSE POP_JUMP_IF_TRUE PUSH_NULL "
    "POP_JUMP_IF_NONE POP_JUMP_IF_NOT_NONE POP_JUMP_FORWARD_IF_FALSE POP_JUMP_FORWARD_IF_TRUE "
    "POP_JUMP_FORWARD_IF_NONE POP_JUMP_FORWARD_IF_NOT_NONE JUMP_FORWARD JUMP_IF_FALSE_OR_POP JUMP_IF_TRUE_OR_POP "
    "BINARY_SUBSCR NOT_TAKEN".split()
)


def truth(function: types.FunctionType) -> str | None:
    """ "changes", "reads", or None where the bytecode alone does not decide."""
    code = function.__code__
    if not code.co_argcount:
        return None
    steps = [
        step for step in dis.get_instructions(code) if step.opname not in ("CACHE", "NOP", "EXTENDED_ARG")
    ]
    receiver = code.co_varnames[0]

    def loads_receiver(at: int) -> bool:
        return at >= 0 and steps[at].opname in _LOADS and steps[at].argval == receiver

    if any(step.opname == "STORE_FAST" and step.argval == receiver for step in steps):
        return None
    for at, step in enumerate(steps):
        if step.opname in ("STORE_ATTR", "DELETE_ATTR") and loads_receiver(at - 1):
            return "changes"
        if step.opname == "STORE_ATTR" and steps[at - 1].opname == "SWAP":  # `self.n += 1`
            for back in range(at - 3, 0, -1):
                loaded = steps[back].opname == "LOAD_ATTR" and steps[back].argval == step.argval
                if loaded and steps[back - 1].opname == "COPY" and loads_receiver(back - 2):
                    return "changes"
        if step.opname in ("STORE_SUBSCR", "DELETE_SUBSCR"):
            slot = steps[at - 2].opname == "LOAD_ATTR" and steps[at - 1].opname in _KEYS
            if slot and loads_receiver(at - 3):
                return "changes"
    return "reads" if all(step.opname in _QUIET for step in steps) else None
