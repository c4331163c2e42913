"""The linker: which words of a message name what, and the handles that are given out for it.

Pure functions over plain data: `link(brief)` makes the `LinkedBrief` that the dialect writes and reads; which
handles there are and why stands in `batos.mind.dialect`.  A brief is

    {"selector", "args", "kw", "slots": {name: value}, "selectors": {name: [params]}, "intent"?}

and what it may tell beyond that, each leaving the rest as it is without it:

    "examples", "counter_examples"   what came out and was right or wrong, as relations (`relations.lines`)
    "answers": {selector: value}     methods without arguments that read, and what they answer now: one that
                                     the selector names stands for its value, as a slot does    is_¤0_above
    "others": {slot or "¢0": {"slots": {...}, "selectors": {...}}}
                                     the object (or the first of the objects) in a slot, or that came as an
                                     argument: its slots are £0 £1 ..., its methods ¤1 ...      self.§0.¤1(¢0)

The price of linking by words: an irregular plural or a synonym of a slot's name is not found; the mind then
has the kinds and the words alone.
"""

from __future__ import annotations

import datetime
import keyword
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from batos.mind import relations

SLOTS_SHOWN, METHODS_SHOWN, PARAMS_SHOWN, FIELDS_SHOWN = 10, 4, 4, 6
OTHERS_SHOWN = 2  # objects whose slots and methods are told

# First words of selectors that name what to do. A slot of the same name is not meant when the rest of the
# selector names another slot: `count_items` with slots count and items counts the items.
OPERATION_WORDS = frozenset(
    "count total sum average mean number length size max min maximum minimum largest smallest highest "
    "lowest first last "
    "order sort reverse name rename set put add remove take move cap limit level rate double half "
    "clear reset is has "
    "can of in at by to from and or above below over under between with without per the a an current "
    "latest best worst "
    "new old next previous unique distinct text list words word letters letter key keys value values "
    "entries items item "
    "difference product ratio share percent sorted reversed upper lower range median mode tally all "
    "any each every "
    "times twice thrice then".split()
)
# With these words around its name, and only these, an existing method is called by the new one.
COMPOSITION_WORDS = frozenset(
    "twice thrice times all each every many and then repeatedly again for with them two three".split()
)

# Slots that are meant without being named come first, in this order, when a message names none.
_RANK = {
    name: rank
    for rank, name in enumerate(
        "width length height breadth depth side radius first_name last_name name owner nickname price "
        "unit_price revenue income sales cost costs expenses spending quantity amount distance miles time hours "
        "duration "
        "mass weight volume celsius temperature fahrenheit age birth_year year_of_birth guests members items "
        "players passengers capacity seats places start_date start begin end_date end finish balance "
        "account_balance".split()
    )
}

_IRREGULAR = {
    "people": "person",
    "children": "child",
    "men": "man",
    "women": "woman",
    "mice": "mouse",
    "feet": "foot",
    "geese": "goose",
    "teeth": "tooth",
    "indices": "index",
    "data": "datum",
    "oxen": "ox",
}
_DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?)?\Z")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d*|\d+|_+|[^\W_]+")


@dataclass(frozen=True)
class Slot:
    handle: str
    name: str
    kind: str
    linked: bool


@dataclass(frozen=True)
class Method:
    handle: str
    name: str
    params: tuple[str, ...]
    of: str | None = None  # the handle of the other object that understands it; None: the receiver itself
    gives: str | None = None  # the kind of its answer, of one that stands for its value


@dataclass(frozen=True)
class Other:
    """Another object in reach, by the handle of the slot or parameter it stands in."""

    handle: str
    fields: tuple[tuple[str, str, str], ...]  # (handle, slot name, kind)


@dataclass(frozen=True)
class Param:
    handle: str
    name: str | None  # the keyword it was sent by; None: it came by position and the plan names it
    kind: str


@dataclass(frozen=True)
class LinkedBrief:
    """A brief with its handles. `said` is the selector as the mind reads it."""

    selector: str
    said: str
    want: str | None
    slots: tuple[Slot, ...]
    methods: tuple[Method, ...]
    params: tuple[Param, ...]
    fields: tuple[tuple[str, str, str], ...]  # (handle, key or other's slot, kind of what stands there)
    others: tuple[Other, ...] = ()
    told: tuple[str, ...] = ()  # what the examples say, in lines
    state: Mapping = field(default_factory=dict, repr=False)
    args: tuple = ()
    kw: Mapping = field(default_factory=dict)

    def slot(self, name: str) -> str:
        """The handle of a slot: KeyError if the slot is not shown."""
        for slot in self.slots:
            if slot.name == name:
                return slot.handle
        raise KeyError(name)


# -- kinds of values ---------------------------------------------------------------------------------------


def kind_of(value) -> str:
    """What the mind is told of a value: int, float, bool, text, date, none, object, or a container and what
    is in it: `list int`, `dict text`, `set`, `list record`; an empty container has the bare word."""
    if isinstance(value, bool):
        return "bool"
    if value is None:
        return "none"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "date" if _DATE.match(value) else "text"
    if isinstance(value, (datetime.date, datetime.datetime)):
        return "date"
    if isinstance(value, Mapping):
        return _container("dict", value.values())
    if isinstance(value, Set):
        return _container("set", value)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return _container("list", value)
    return "object"


def _container(word, values):
    kinds = {kind_of(value).split(" ")[0] for value in list(values)[:50]}
    if not kinds:
        return word
    if kinds <= {"int", "float"}:
        return f"{word} {'float' if 'float' in kinds else 'int'}"
    if kinds <= {"text", "date"} and len(kinds) == 2:
        return f"{word} text"
    if len(kinds) > 1:
        return f"{word} mixed"
    kind = kinds.pop()
    return f"{word} record" if kind == "dict" and word == "list" else f"{word} {kind}"


# -- the linker --------------------------------------------------------------------------------------------


def words_of(name: str) -> list[str]:
    """`unit_price`, `unitPrice` -> ['unit', 'price']."""
    return [word.lower() for word in _WORD.findall(name) if not word.startswith("_")]


def folds(word: str) -> frozenset[str]:
    """The word and what it may be the plural of; two words agree if their folds meet."""
    out = {word, _IRREGULAR.get(word, word)}
    if len(word) > 2 and word.endswith("s") and not word.endswith("ss"):
        out.add(word[:-1])
        if word.endswith("ies"):
            out.add(word[:-3] + "y")
        elif word.endswith("ves"):
            out.update((word[:-3] + "f", word[:-3] + "fe"))
        if word.endswith("es"):
            out.add(word[:-2])
    return frozenset(out)


def agree(left, right):
    return all(
        left_word == right_word or folds(left_word) & folds(right_word)
        for left_word, right_word in zip(left, right, strict=True)
    )


def spans_of(words, names):
    """Which words of a selector name what: {(start, end): name}, longest first, slots in full before slots
    in part."""
    found, taken = {}, set()

    def claim(start, end, name):
        if not taken & set(range(start, end)):
            found[start, end] = name
            taken.update(range(start, end))

    split = {name: words_of(name) for name in names}
    exact = []
    for order, (name, parts) in enumerate(split.items()):
        size = len(parts)
        for start in range(len(words) - size + 1 if size else 0):
            if agree(words[start : start + size], parts):
                same = words[start : start + size] == parts
                exact.append((-size, not same, order, start, name))
    # `count_items`: the first word says what to do if another word already names a slot
    others = {start for _, _, _, start, _ in exact}
    for size, _, _, start, name in sorted(exact):
        if start == 0 and size == -1 and len(words) > 1 and words[0] in OPERATION_WORDS and others - {0}:
            continue
        claim(start, start - size, name)
    for start, word in enumerate(words):
        if start in taken or word in OPERATION_WORDS:
            continue
        matches = [
            name
            for name, parts in split.items()
            if len(parts) > 1 and name not in found.values() and any(agree([word], [part]) for part in parts)
        ]
        if len(matches) == 1:
            end = start + 1
            parts = split[matches[0]]
            while (
                end < len(words) and end not in taken and any(agree([words[end]], [part]) for part in parts)
            ):
                end += 1
            claim(start, end, matches[0])
    return found


def said_with(selector, spans, handle_of):
    words, out, position = words_of(selector), [], 0
    while position < len(words):
        for (start, end), name in spans.items():
            if start == position:
                out.append(handle_of[name])
                position = end
                break
        else:
            out.append(words[position])
            position += 1
    return "_".join(out) + ("_" if selector.endswith("_") else "")


def link(brief: Mapping) -> LinkedBrief:
    """Find what the words of the message name and give out handles. Never fails on a well-formed brief;
    ValueError if the message has more arguments than the mind has handles for."""
    selector = brief["selector"]
    state = {
        name: value
        for name, value in (brief.get("slots") or {}).items()
        if isinstance(name, str)
        and name.isidentifier()
        and not name.startswith("_")
        and not keyword.iskeyword(name)  # `self.class` is no Python
    }
    args, kw = tuple(brief.get("args") or ()), dict(brief.get("kw") or {})
    if len(args) + len(kw) > PARAMS_SHOWN:
        raise ValueError(
            f"{selector} has {len(args) + len(kw)} arguments; the embedded mind reads {PARAMS_SHOWN}"
        )
    words = words_of(selector)

    existing = {
        name: tuple(params) for name, params in (brief.get("selectors") or {}).items() if name != selector
    }
    calls = _composition(words, existing)
    spans = spans_of(words, list(state)) if not calls else {}
    answers = {
        name: brief["answers"][name] for name in brief.get("answers") or () if existing.get(name) == ()
    }
    valued = _values(words, answers, spans) if not calls else {}
    spans = {
        (start, end): name
        for (start, end), name in spans.items()
        if not any(start < after and before < end for before, after in valued)
    }
    in_order = [name for _, name in sorted(spans.items())]
    named = list(dict.fromkeys(in_order))
    others = [name for name in state if name not in named]
    if not named:  # `area` names no slot, but means width before height before any other
        others.sort(key=lambda name: _RANK.get(name, len(_RANK)))
    shown = (named + others)[:SLOTS_SHOWN]
    slots = tuple(Slot(f"§{i}", name, kind_of(state[name]), name in named) for i, name in enumerate(shown))

    fields, free = (
        [],
        [
            word
            for position, word in enumerate(words)
            if not any(start <= position < end for start, end in spans)
        ],
    )
    for slot in slots:
        for key, kind in keys_of(slot, state[slot.name], free):
            if len(fields) < FIELDS_SHOWN and key not in [known for _, known, _ in fields]:
                fields.append((f"£{len(fields)}", key, kind))
    params = tuple(
        Param(f"¢{i}", name, kind_of(value))
        for i, (name, value) in enumerate([(None, value) for value in args] + list(kw.items()))
    )
    ordered = list(dict.fromkeys([*(calls or valued).values(), *existing]))[: METHODS_SHOWN if calls else 2]
    methods = [
        Method(
            f"¤{i}", name, existing[name], None, kind_of(answers[name]) if name in valued.values() else None
        )
        for i, name in enumerate(ordered)
    ]
    others = _others(brief.get("others") or {}, slots, params, words, fields, methods) if not calls else ()

    handle_of = {slot.name: slot.handle for slot in slots}
    if not calls:
        keys = {key: handle for handle, key, _ in fields}
        theirs = {method.name: method.handle for method in methods if method.of}
        for found, handles in (
            (spans_of(words, [key for key in keys if key not in state]), keys),
            (_exactly(words, [name for name in theirs if name not in state]), theirs),
        ):
            for span, name in found.items():
                if not any(start < span[1] and span[0] < end for start, end in [*spans, *valued]):
                    spans[span] = name
                    handle_of[name] = handles[name]
    chosen = (calls or valued).values()
    handle_of |= {method.name: method.handle for method in methods if not method.of and method.name in chosen}

    intent = brief.get("intent")
    compared = [slot for slot in slots if slot.linked] or slots
    told = relations.lines(
        brief.get("examples") or (),
        brief.get("counter_examples") or (),
        {slot.name: slot.handle for slot in compared[: relations.TERMS]},
        [param.handle for param in params],
        [param.name for param in params],
        state,
        kind_of,
    )
    return LinkedBrief(
        selector,
        said_with(selector, calls or spans | valued, handle_of),
        _want(intent, slots) if intent else None,
        slots,
        tuple(methods),
        params,
        tuple(fields),
        others,
        told,
        state,
        args,
        kw,
    )


def _exactly(words, names):
    """{span: name} where the very words of a name stand together, longest names first."""
    found: dict = {}
    for name in sorted(names, key=lambda name: -len(words_of(name))):
        parts = words_of(name)
        for start in range(len(words) - len(parts) + 1 if parts else 0):
            end = start + len(parts)
            if words[start:end] == parts and not any(a < end and start < b for a, b in found):
                found[start, end] = name
                break
    return found


def _values(words, answers, spans):
    """{span: selector} of reading methods that a selector names as it would a slot; longer than the slots there."""
    return {
        (start, end): name
        for (start, end), name in _exactly(words, answers).items()
        if end - start < len(words)
        and all(start <= a and b <= end and b - a < end - start for a, b in spans if a < end and start < b)
    }


def _others(told, slots, params, words, fields, methods):
    """The other objects that a message may be about: those it names, or names something of, and its arguments;
    what they hold enters `fields`, what they understand `methods`."""
    folded = [folds(word) for word in words]

    def named(name):
        return all(any(folds(part) & fold for fold in folded) for part in words_of(name))

    def meant(slot):
        about = told.get(slot.name) or {}
        return slot.linked or any(map(named, [*(about.get("slots") or ()), *(about.get("selectors") or ())]))

    holders = {slot.name: slot.handle for slot in slots if slot.kind.endswith("object") and meant(slot)}
    holders |= {param.handle: param.handle for param in params if param.kind == "object"}
    out = []
    for holder in [name for name in told if name in holders][:OTHERS_SHOWN]:
        theirs, own = told[holder].get("slots") or {}, []
        for name in sorted(
            (name for name in theirs if name.isidentifier()), key=lambda name: not named(name)
        ):
            known = next((handle for handle, key, _ in fields if key == name), None)
            if known is None and len(fields) < FIELDS_SHOWN:
                known = f"£{len(fields)}"
                fields.append((known, name, kind_of(theirs[name])))
            if known is not None:
                own.append((known, name, kind_of(theirs[name])))
        out.append(Other(holders[holder], tuple(own)))
        selectors = told[holder].get("selectors") or {}
        for name in [name for name in selectors if named(name)][: METHODS_SHOWN - len(methods)]:
            methods.append(Method(f"¤{len(methods)}", name, tuple(selectors[name]), holders[holder]))
    return tuple(out)


def _composition(words, existing):
    """{span: selector}, in the order of the words, if the message is only existing methods and words like twice,
    each, and."""
    spans = spans_of(words, [name for name in existing if len(words_of(name)) < len(words)])
    spans = {
        (start, end): name
        for (start, end), name in sorted(spans.items())
        if words[start:end] == words_of(name)
    }
    left = [
        word
        for position, word in enumerate(words)
        if not any(start <= position < end for start, end in spans)
    ]
    return spans if spans and left and set(left) <= COMPOSITION_WORDS else {}


def keys_of(slot, value, free):
    if slot.kind == "list record":
        record = next((each for each in value if isinstance(each, Mapping)), {})
        return [
            (key, kind_of(record[key]))
            for key in record
            if isinstance(key, str)
            and key.isprintable()
            and len(key) < 40
            and not set("'\\{}§¤¢£<") & set(key)
        ]
    if slot.kind.startswith("dict "):
        keys = [key for key in list(value)[:200] if isinstance(key, str) and key.isidentifier()]
        named = [key for key in keys if any(agree([word], [part]) for word in free for part in words_of(key))]
        return [(key, kind_of(value[key])) for key in named]
    return []


def _want(intent, slots):
    """The intent with handles for the names in it, in one clean line."""
    text = re.sub(r"\s+", " ", re.sub(r"[^\x20-\x7e]|<\|", " ", str(intent))).strip().lower()[:160]
    for slot in sorted(slots, key=lambda slot: -len(slot.name)):
        pattern = r"[_ ]".join(map(re.escape, words_of(slot.name)))
        text = re.sub(rf"\b{pattern}\b", slot.handle, text) if pattern else text
    return text
