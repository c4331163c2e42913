"""The curriculum of the embedded mind: which messages it learns, and what each should do.

Everything is generated here from a seed; nothing is read from elsewhere. An operation is four lines and its
code:

    change X:num amount:num
    {withdraw,take}_X take_from_X
    takes amount off X ! amount is more than X -> the new value
        if amount > self.X:
            raise ValueError('not enough X')
        self.X -= amount
        return self.X

**To add an operation**, append such a block to the `operations_*.py` it belongs to. Line 1: `change`,
`read` or `ask` (`call` if it is made of existing methods), the slots (X, Y, Z, with F, G for keys of
records, M, N for existing methods and O for other objects) with their classes (`SLOT_CLASSES`;
`X:num=width/length` where the slot's name matters), then the arguments with theirs (`ARGUMENT_CLASSES`; a name
new to the mind also goes into `dialect.ARGUMENTS`). Line 2: the wordings, braces as in a shell (`synonyms` adds
more). Line 3: what it does, after ` ! ` when it raises (for a read this may also stand on line 1), after ` -> `
what a change answers. Then the code: the conventions of section 4 of the contract, local names from
`dialect.LOCALS`, built-ins and methods that `grammar` knows. `python -m pytest tests/test_curriculum.py
tests/test_grammar.py` checks the conventions, and that no other operation claims the same wording for the same
kinds; then resume `scripts/train_embedded_mind.py`, whose next lessons already draw from it.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import re
from collections import Counter
from dataclasses import dataclass, replace

from scripts.curriculum import (
    operations_known,
    operations_lists,
    operations_mappings,
    operations_numbers,
    operations_objects,
    operations_texts,
    synonyms,
)

SLOT_CLASSES = {
    "num": "int int float",
    "int": "int",
    "text": "text",
    "date": "date",
    "bool": "bool",
    "none": "none",
    "any": "int float text bool date list_int list_text dict_int dict_text list_float list_record set_text"
    " dict_float dict_list",
    "scalar": "int float text date bool",
    "list": "list_int list_float list_text list_text list_record list_int list list_date list_mixed",
    "container": "list_int list_float list_text list_record list dict_int dict_text dict_float dict_list dict"
    " set_text set_int set list_date list_mixed",
    "collection": "list_int list_float list_text list_record list list_date list_mixed set_text set_int set",
    "scalars": "list_int list_float list_text list_text list_date",
    "nums": "list_int list_float list_int list_float list_int list",
    "ints": "list_int",
    "texts": "list_text",
    "bools": "list_bool",
    "listlist": "list_list",
    "records": "list_record",
    "dict": "dict_int dict_float dict_text dict_list dict dict_int dict_text dict_mixed",
    "dictnum": "dict_int dict_float dict_int dict_float dict",
    "dictint": "dict_int dict_int dict",
    "dicttext": "dict_text",
    "dictlist": "dict_list",
    "dictscalar": "dict_int dict_float dict_text",
    "dictof": "dict_int dict_float dict_text dict_mixed",
    "dictofnum": "dict_int dict_float",
    "set": "set_text set_int set",
    "setnum": "set_int set_float",
    "settext": "set_text",
}
SAME = ("same", "samecontainer", "samedict", "sameset")
ARGUMENT_CLASSES = {
    "num": "int int float",
    "int": "int",
    "small": "int",
    "posint": "int",
    "index": "int",
    "text": "text",
    "part": "text",
    "letter": "text",
    "sep": "text",
    "key": "text",
    "newkey": "text",
    "date": "date",
    "bool": "bool",
    "any": "int float text bool date list_int list_text",
    "scalar": "int float text",
    "keylist": "list_text",
    "argslist": "list_int list_text list_float",
}
PROTECTED = re.compile(  # the families the contract names are never held out of training
    r"(increase|withdraw|double|reset|reverse|clear|rename|add|remove|put_in|upper|sorted|largest|average"
    r"|total_of|words_in|count|current|has|is|best_in|discounted|tally_in)_X|X_(length|above)|move_X_to_Y"
    r"|cap_X_at|is_X_above"
)

EVERYDAY = re.compile(  # nor are wordings that everybody tries first
    r"(take|pop|reversed|smallest|length_of|how_many|remove_from|mean|update|put|take_from|biggest|maximum_of"
    r"|delete|erase)_X|X_(below|size|reversed|contains|count)|add_X_to_Y|X_minus_Y|set_X_to|last_X"
)


@dataclass(frozen=True)
class Operation:
    name: str
    kind: str
    slots: tuple[tuple[str, str], ...]  # (letter, class); F, G, M, N too
    args: tuple[tuple[str, str], ...]  # (name, class)
    wordings: tuple[str, ...]
    do: str
    unless: str
    answer: str
    code: str  # normal form, letters and argument names standing for the real ones
    known: tuple[
        tuple[str, tuple[str, ...]], ...
    ] = ()  # (letter, what its slot may be called), where that matters
    later: tuple[str, ...] = ()  # those of the wordings that it has by `synonyms`

    @property
    def calls(self) -> bool:
        """Whether it is made of the object's existing methods."""
        return any(letter in "MN" for letter, _ in self.slots)

    @property
    def tell(self) -> str:
        text = {"read": f"answers {self.do}", "ask": f"answers whether {self.do}"}.get(
            self.kind, f"{self.do} and answers {self.answer}"
        )
        return text + (f", unless {self.unless}" if self.unless else "")


def expand(pattern: str) -> list[str]:
    """`{a,b}_X` -> ['a_X', 'b_X']."""
    parts = re.split(r"\{([^}]*)\}", pattern)
    choices = [part.split(",") if i % 2 else [part] for i, part in enumerate(parts)]
    return [re.sub("_+", "_", "".join(choice)).strip("_") for choice in itertools.product(*choices)]


def _parse(block: str) -> Operation:
    head, wordings, says, *code = block.strip("\n").split("\n")
    head, _, early = head.partition(" ! ")
    kind, *parts = head.split()
    pairs = [tuple(part.split(":")) for part in parts]
    known = tuple((letter, tuple(cls.split("=")[1].split("/"))) for letter, cls in pairs if "=" in cls)
    slots = tuple((letter, cls.split("=")[0]) for letter, cls in pairs if letter in "XYZFGMNO")
    args = [pair for pair in pairs if pair[0] not in "XYZFGMNO"]
    text = ast.unparse(ast.parse("\n".join(line[4:] for line in code)))
    if kind == "call":
        args = [(name, "any") for name in ("value", "other") if re.search(rf"\b{name}\b", text)] + args
    says, _, answer = says.partition(" -> ")
    do, _, unless = says.partition(" ! ")
    wordings = tuple(dict.fromkeys(itertools.chain.from_iterable(expand(word) for word in wordings.split())))
    name = f"{wordings[0]}({','.join([cls for _, cls in slots] + [name for name, _ in args])})"
    answer = answer or {"read": "the value", "ask": "true or false"}[kind]
    return Operation(
        name,
        "change" if kind == "call" else kind,
        slots,
        tuple(args),
        wordings,
        do,
        unless or early,
        answer,
        text,
        known,
    )


def load() -> list[Operation]:
    blocks = []
    for module in (
        operations_numbers,
        operations_texts,
        operations_lists,
        operations_mappings,
        operations_known,
    ):
        blocks += [block for block in module.OPERATIONS.strip().split("\n\n")]
    return [_parse(block) for block in blocks]


FIRST = load()  # as the blocks have them
REACHING = [_parse(block) for block in operations_objects.OPERATIONS.strip().split("\n\n")]


def kinds_of(cls: str, first: str | None = None) -> list[str]:
    """The kinds of value a slot class admits (repeats are weights); classes like `same` follow the kind of
    X."""
    if cls in SAME:
        return [first]
    if cls == "elemof":
        return [first.partition(" ")[2] or "text"]
    return [kind.replace("_", " ") for kind in SLOT_CLASSES[cls].split()]


def argument_kinds(cls: str, first: str | None, field: str | None = None) -> list[str]:
    """The kinds of value an argument class admits beside a slot of kind `first`."""
    inner = (first or "").partition(" ")[2]
    if cls == "elem":
        return {"": ["int", "text"], "record": ["dict mixed"], "mixed": ["int", "text"]}.get(inner, [inner])
    if cls == "valueof":
        return {
            "": ["int", "text", "float"],
            "mixed": ["int", "text"],
            "list": ["list int", "list text"],
        }.get(inner, [inner])
    if cls == "samelist":
        return (
            ["list " + inner] if inner and not (first or "").startswith("set") else [f"list {inner or 'int'}"]
        )
    if cls == "samedict":
        return [first]
    if cls == "fieldvalue":
        return [field]
    return [kind.replace("_", " ") for kind in ARGUMENT_CLASSES[cls].split()]


def _fits(kind, kinds):
    return kind in kinds or (kind in ("int", "float") and ("int" in kinds or "float" in kinds))


def claims(operation: Operation, wordings=None):
    """Every (wording, kind of X, number of arguments) the operation answers to, with the kinds of the
    rest."""
    wordings = operation.wordings if wordings is None else wordings
    first = dict(operation.slots).get("X")
    for kind in dict.fromkeys(kinds_of(first)) if first else [""]:
        second = tuple(
            sorted(set(kinds_of(cls, kind))) if cls in SLOT_CLASSES or cls in (*SAME, "elemof") else (cls,)
            for letter, cls in operation.slots
            if letter not in "X"
        )
        args = tuple(tuple(sorted(set(argument_kinds(cls, kind, "any")))) for _, cls in operation.args)
        for wording in wordings:
            yield wording, kind, second, args


def clash(one: Operation, rest, two: Operation, rest2) -> bool:
    """Whether two operations under one wording and kind of X would be taught for the same message."""
    (second, args), (second2, args2) = rest, rest2
    return (
        len(second) == len(second2)
        and len(args) == len(args2)
        and one.code != two.code
        and not (one.known and two.known and set(one.known[0][1]).isdisjoint(two.known[0][1]))
        and all(set(left) & set(right) for left, right in zip(second + args, second2 + args2, strict=True))
    )


def _keyed(operation, wordings):
    for wording, kind, second, args in claims(operation, wordings):
        yield (wording, kind), (second, args)


LATER = synonyms.widened([operation for operation in FIRST if not operation.calls], _keyed, clash)
OPERATIONS = [
    replace(operation, wordings=operation.wordings + more, later=more)
    for operation in FIRST
    for more in [LATER.get(operation.name, ())]
]


def index() -> dict:
    """{(wording, kind of X): [(operation, kinds of other slots, kinds of arguments)]}."""
    out: dict = {}
    for operation in OPERATIONS:
        for wording, kind, second, args in claims(operation):
            out.setdefault((wording, kind), []).append((operation, second, args))
    return out


INDEX = index()


def conflicts() -> list[str]:
    """Wordings that two operations claim for the same kinds: each would be taught two answers."""
    out = []
    for (wording, kind), entries in INDEX.items():
        for (one, second, args), (two, second2, args2) in itertools.combinations(entries, 2):
            if clash(one, (second, args), two, (second2, args2)):
                out.append(f"{wording} [{kind}] {one.name} | {two.name}")
    return out


def pair_held_out(wording: str, operation: Operation) -> bool:
    """Whether a wording and an operation are never shown together: the wording is seen with other
    operations, the operation with other wordings.  Wordings by `synonyms` are held out apart from the blocks'
    own, so that more of them never hold out what an earlier edition was shown, nor show what was kept from it."""
    if (
        PROTECTED.fullmatch(wording)
        or EVERYDAY.fullmatch(wording)
        or len(operation.wordings) - len(operation.later) < 5
        or {letter for letter, _ in operation.slots} & set("FGMNO")
    ):
        return False
    if wording not in operation.later and WORDING_USERS[wording] < 2:
        return False
    return hashlib.sha256(f"pair {wording} {operation.name}".encode()).digest()[0] < 30


def shape_held_out(kinds) -> bool:
    """Whether objects with just these kinds of slots are kept from training: one shape in ten, of two slots
    and more."""
    shape = " ".join(sorted(kinds))
    return len(kinds) > 1 and hashlib.sha256(b"shape " + shape.encode()).digest()[0] < 26


WORDING_USERS = Counter(wording for operation in FIRST for wording in operation.wordings)
