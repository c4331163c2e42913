"""The dialect of the embedded mind: how a brief becomes a prompt and an answer becomes plain Python.

Pure functions over plain data; nothing here knows torch, a tokenizer or an object of the image.

The one decision: **names are not spelled, they are pointed at.** A small model copies a rare name letter by
letter and errs; so a deterministic linker finds the words of the selector that name slots and puts *handles*
in their place (delexicalisation, Wen et al. 2015; pointers, Vinyals et al. 2015), and the answer is written
with handles too. Each handle is one token of the mind:

    §0 §1 ...   data slots, those the selector names first, in its order      self.§0
    ¤0 ¤1 ...   methods the object already understands                        self.¤0(...)
    ¢0 ¢1 ...   the parameters of the new method, as they were sent           ¢0
    £0 £1 ...   keys of records (a list of dicts, a dict of unlike values)    each['£0']

So a noun never seen is as easy as a noun seen. The price: what the linker does not link (an irregular plural,
a synonym of a slot's name) the model must guess from kinds and words alone.

    >>> slots = {"owner": "Ada", "balance": 100}
    >>> linked = link({"selector": "withdraw_balance", "args": [30], "slots": slots})
    >>> print(brief_text(linked))
    <|brief|>
    §0 balance int
    §1 owner text
    say withdraw_§0 ¢0 int
    <BLANKLINE>
    >>> print(parse_method("self.§0 -= ¢0\\nreturn self.§0", linked, {"args": ["amount"]}))
    def withdraw_balance(self, amount):
        self.balance -= amount
        return self.balance

One text carries a whole mission: brief, plan, method. `plan_prompt` is a prefix of `method_prompt` (with the
default meta), so the keys and values of the first serve the second.
"""

from __future__ import annotations

import ast
import builtins
import datetime
import json
import keyword
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

PLAN_META = "plan the method"
METHOD_META = "write the method"
AUDIT_META = "is it sound"
RETELL_META = "say what it does"

BRIEF, PLAN, METHOD, SOURCE, AUDIT, RETELL = (
    "<|brief|>",
    "<|plan|>",
    "<|method|>",
    "<|source|>",
    "<|audit|>",
    "<|retell|>",
)
PAD, END = "<|pad|>", "<|end|>"
SPECIALS = (PAD, END, BRIEF, PLAN, METHOD, SOURCE, AUDIT, RETELL)

SLOTS_SHOWN, METHODS_SHOWN, PARAMS_SHOWN, FIELDS_SHOWN = 10, 4, 4, 6
HANDLES = tuple(
    [f"§{i}" for i in range(SLOTS_SHOWN)]
    + [f"¤{i}" for i in range(METHODS_SHOWN)]
    + [f"¢{i}" for i in range(PARAMS_SHOWN)]
    + [f"£{i}" for i in range(FIELDS_SHOWN)]
)

# Local names a method may use; disjoint from the names plans give to parameters, so that putting the names
# of the parameters back never captures a local.
LOCALS = (
    "each",
    "k",
    "v",
    "word",
    "letter",
    "i",
    "j",
    "old",
    "best",
    "row",
    "rest",
    "result",
    "kept",
    "found",
    "pair",
    "total",
    "seen",
    "middle",
    "first_day",
    "last_day",
    "when",
    "gap",
    "part",
    "groups",
    "x",
    "y",
)
ARGUMENTS = (
    "amount",
    "value",
    "key",
    "item",
    "text",
    "other",
    "limit",
    "low",
    "high",
    "index",
    "count",
    "percent",
    "factor",
    "name",
    "new",
    "suffix",
    "prefix",
    "size",
    "width",
    "days",
    "date",
    "items",
    "entries",
    "old_key",
    "new_key",
    "separator",
    "step",
    "position",
    "size_of_part",
    "letter_of",
    "start",
    "stop",
    "power",
    "divisor",
    "flag",
    "default",
    "words",
    "old_text",
    "new_text",
    "old_item",
    "new_item",
    "keys",
    "places",
    "times",
    "second",
    "third",
    "year",
)

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
_HANDLE = re.compile("[§¤¢£][0-9]|¤")
_HIDEABLE = frozenset(dir(builtins)) | {"math", "statistics", "datetime", "re"}


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
    fields: tuple[tuple[str, str, str], ...]  # (handle, key, kind of what stands there)
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


def _agree(left, right):
    return all(
        left_word == right_word or folds(left_word) & folds(right_word)
        for left_word, right_word in zip(left, right, strict=True)
    )


def _spans(words, names):
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
            if _agree(words[start : start + size], parts):
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
            if len(parts) > 1 and name not in found.values() and any(_agree([word], [part]) for part in parts)
        ]
        if len(matches) == 1:
            end = start + 1
            parts = split[matches[0]]
            while (
                end < len(words) and end not in taken and any(_agree([words[end]], [part]) for part in parts)
            ):
                end += 1
            claim(start, end, matches[0])
    return found


def _said(selector, spans, handle_of):
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
        if isinstance(name, str) and name.isidentifier() and not name.startswith("_")
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
    spans = _spans(words, list(state)) if not calls else {}
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
        for key, kind in _keys(slot, state[slot.name], free):
            if len(fields) < FIELDS_SHOWN and key not in [known for _, known, _ in fields]:
                fields.append((f"£{len(fields)}", key, kind))
    handle_of = {slot.name: slot.handle for slot in slots}
    if fields and not calls:
        keys = {key: handle for handle, key, _ in fields}
        rest = {
            span: key
            for span, key in _spans(words, [key for key in keys if key not in state]).items()
            if not any(start < span[1] and span[0] < end for start, end in spans)
        }
        spans = {**spans, **rest}
        handle_of.update({key: keys[key] for key in rest.values()})

    ordered = list(dict.fromkeys(list(calls.values()) + list(existing)))[: METHODS_SHOWN if calls else 2]
    methods = tuple(Method(f"¤{i}", name, existing[name]) for i, name in enumerate(ordered))
    handle_of.update({method.name: method.handle for method in methods if method.name in calls.values()})

    params = tuple(
        Param(f"¢{i}", name, kind_of(value))
        for i, (name, value) in enumerate([(None, value) for value in args] + list(kw.items()))
    )
    intent = brief.get("intent")
    return LinkedBrief(
        selector,
        _said(selector, calls or spans, handle_of),
        _want(intent, slots) if intent else None,
        slots,
        methods,
        params,
        tuple(fields),
        state,
        args,
        kw,
    )


def _composition(words, existing):
    """{span: selector} if the message is only existing methods and words like twice, each, and."""
    spans = _spans(words, [name for name in existing if len(words_of(name)) < len(words)])
    spans = {(start, end): name for (start, end), name in spans.items() if words[start:end] == words_of(name)}
    left = [
        word
        for position, word in enumerate(words)
        if not any(start <= position < end for start, end in spans)
    ]
    return spans if spans and left and set(left) <= COMPOSITION_WORDS else {}


def _keys(slot, value, free):
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
        named = [
            key for key in keys if any(_agree([word], [part]) for word in free for part in words_of(key))
        ]
        return [(key, kind_of(value[key])) for key in named]
    return []


def _want(intent, slots):
    """The intent with handles for the names in it, in one clean line."""
    text = re.sub(r"\s+", " ", re.sub(r"[^\x20-\x7e]|<\|", " ", str(intent))).strip().lower()[:160]
    for slot in sorted(slots, key=lambda slot: -len(slot.name)):
        pattern = r"[_ ]".join(map(re.escape, words_of(slot.name)))
        text = re.sub(rf"\b{pattern}\b", slot.handle, text) if pattern else text
    return text


# -- prompts -----------------------------------------------------------------------------------------------


def brief_text(linked: LinkedBrief) -> str:
    """The brief as the mind reads it, ending with a newline."""
    lines = [BRIEF]
    for slot in linked.slots:
        line = f"{slot.handle} {'_'.join(words_of(slot.name))[:40]} {slot.kind}"
        if slot.kind in ("list record", "dict mixed") or slot.kind.startswith("dict "):
            keys = (
                _keys(slot, linked.state[slot.name], [])
                if slot.kind == "list record"
                else [(key, kind) for _, key, kind in linked.fields if key in linked.state[slot.name]]
            )
            for key, kind in keys:
                handle = next((handle for handle, known, _ in linked.fields if known == key), None)
                if handle:
                    line += f" {handle} {key.lower()[:24]} {kind}"
        lines.append(line)
    for method in linked.methods:
        names = {slot.name: slot.handle for slot in linked.slots}
        said = _said(method.name, _spans(words_of(method.name), list(names)), names)
        lines.append(" ".join([method.handle, said, *method.params]))
    if linked.want:
        lines.append(f"want {linked.want}")
    said = [f"say {linked.said}"]
    for param in linked.params:
        said.append(f"{param.handle} {param.name + ' is ' if param.name else ''}{param.kind}")
    lines.append(" ".join(said))
    return "\n".join(lines) + "\n"


def _meta(meta):
    return re.sub(r"\s+", " ", re.sub(r"[§¤¢£]|<\|", " ", meta)).strip()


def plan_prompt(linked: LinkedBrief, meta: str = PLAN_META) -> str:
    return f"{brief_text(linked)}{PLAN}{_meta(meta)}\n"


def method_prompt(linked: LinkedBrief, plan: Mapping, meta: str = METHOD_META) -> str:
    return f"{plan_prompt(linked)}{plan_text(plan, linked)}{END}{METHOD}{_meta(meta)}\n"


def audit_prompt(linked: LinkedBrief, source: str, meta: str = AUDIT_META) -> str:
    return f"{brief_text(linked)}{SOURCE}\n{body_text(source, linked)}{AUDIT}{_meta(meta)}\n"


def retell_prompt(linked: LinkedBrief, source: str, meta: str = RETELL_META) -> str:
    return f"{brief_text(linked)}{SOURCE}\n{body_text(source, linked)}{RETELL}{_meta(meta)}\n"


# -- plans -------------------------------------------------------------------------------------------------

KINDS_OF_PLAN = ("read", "change", "ask")


def plan_text(plan: Mapping, linked: LinkedBrief) -> str:
    """A plan as the mind writes it: compact JSON with handles."""
    if not plan.get("can", True):
        return json.dumps({"can": False, "why": plan["why"]}, separators=(",", ":"))
    args = [
        param.handle if param.name else name for param, name in zip(linked.params, plan["args"], strict=True)
    ]
    out = {
        "can": True,
        "kind": plan["kind"],
        "slots": [linked.slot(name) for name in plan["slots"]],
        "args": args,
        "do": plan["do"],
    }
    if plan.get("unless"):
        out["unless"] = plan["unless"]
    out["answer"] = plan["answer"]
    return json.dumps(out, separators=(",", ":"), ensure_ascii=False)


def parse_plan(text: str, linked: LinkedBrief) -> dict:
    """The plan with the names put back: `{"can": true, "kind", "slots", "args", "do", "unless"?, "answer"}`
    or `{"can": false, "why"}`. ValueError says what is wrong with it."""
    try:
        plan = json.loads(text)
    except ValueError as exc:
        raise ValueError(f"the plan is not JSON: {exc}") from exc
    if not isinstance(plan, dict) or not isinstance(plan.get("can"), bool):
        raise ValueError("the plan does not say whether it can be done")
    if not plan["can"]:
        if not isinstance(plan.get("why"), str):
            raise ValueError("the plan refuses without a reason")
        return {"can": False, "why": plan["why"]}
    if plan.get("kind") not in KINDS_OF_PLAN:
        raise ValueError(f"the plan has no kind of {', '.join(KINDS_OF_PLAN)}")
    names = {slot.handle: slot.name for slot in linked.slots}
    slots, args = plan.get("slots"), plan.get("args")
    if not isinstance(slots, list) or not all(handle in names for handle in slots):
        raise ValueError(f"the plan names a slot that is not there: {slots}")
    if not isinstance(args, list) or len(args) != len(linked.params):
        raise ValueError(f"the plan has not the {len(linked.params)} arguments of the message")
    if not all(isinstance(plan.get(part), str) for part in ("do", "answer")):
        raise ValueError("the plan does not say what to do and what to answer")
    out = {
        "can": True,
        "kind": plan["kind"],
        "slots": [names[handle] for handle in slots],
        "args": list(_parameter_names(linked, args)),
        "do": plan["do"],
    }
    if isinstance(plan.get("unless"), str):
        out["unless"] = plan["unless"]
    out["answer"] = plan["answer"]
    return out


def _parameter_names(linked, args):
    """Names of the parameters, all different and fit for Python: keywords as sent, the others as planned."""
    used = {param.name for param in linked.params if param.name}
    names = []
    for param, wish in zip(linked.params, args, strict=True):
        if param.name:
            names.append(param.name)
            continue
        name = (
            wish if isinstance(wish, str) and wish.isidentifier() and not keyword.iskeyword(wish) else "value"
        )
        base, number = name, 2
        while name in used or name == "self":
            name, number = f"{base}_{number}", number + 1
        used.add(name)
        names.append(name)
    return tuple(names)


# -- methods -----------------------------------------------------------------------------------------------


def parse_method(text: str, linked: LinkedBrief, plan: Mapping | None = None) -> str:
    """The mind's body as a full `def`, names put back. ValueError if it is no Python or points at nothing."""
    wishes = list((plan or {}).get("args") or [])
    wishes = (wishes + ["value"] * len(linked.params))[: len(linked.params)]
    names = _parameter_names(linked, wishes)
    lookup = {slot.handle: slot.name for slot in linked.slots}
    lookup |= {method.handle: method.name for method in linked.methods} | {"¤": linked.selector}
    lookup |= {handle: key for handle, key, _ in linked.fields}
    lookup |= {param.handle: name for param, name in zip(linked.params, names, strict=True)}
    missing = [handle for handle in _HANDLE.findall(text) if handle not in lookup]
    if missing:
        raise ValueError(f"the method points at {missing[0]}, which is not there")
    body = text.strip("\n")
    for name in names:
        if name in _HIDEABLE and re.search(rf"(?<![\w.]){name}[(.]", body):
            raise ValueError(f"the parameter {name!r} hides the built-in that the method needs")
        if name in LOCALS:
            body = re.sub(rf"(?<![\w'.]){name}\b", f"{name}_", body)
    body = _HANDLE.sub(lambda match: lookup[match.group()], body)
    header = f"def {linked.selector}({', '.join(['self', *names])}):\n"
    source = header + "\n".join("    " + line for line in body.split("\n"))
    try:
        ast.parse(source)
    except SyntaxError as exc:
        raise ValueError(f"the method is no Python: {exc.msg} in line {exc.lineno}") from exc
    return source


class _Delexicalise(ast.NodeTransformer):
    """Names of the source -> identifiers that stand for handles; the lines the guardian adds are left out."""

    def __init__(self, linked, params):
        self.slots = {slot.name: slot.handle for slot in linked.slots}
        self.methods = {method.name: method.handle for method in linked.methods} | {linked.selector: "¤"}
        self.params = dict(zip(params, (f"¢{i}" for i in range(PARAMS_SHOWN)), strict=False))
        self.keys = {key: handle for handle, key, _ in linked.fields}

    def visit_Attribute(self, node):
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            node.attr = _spell(self.slots.get(node.attr) or self.methods.get(node.attr) or node.attr)
        return node

    def visit_Name(self, node):
        node.id = _spell(self.params.get(node.id, node.id))
        return node

    def visit_Constant(self, node):
        if isinstance(node.value, str):
            if node.value in self.keys:
                node.value = _spell(self.keys[node.value])
            else:
                text = node.value
                for name, handle in (self.slots | self.keys).items():
                    text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", _spell(handle), text)
                node.value = text
        return node

    def visit_Assign(self, node):
        if any(isinstance(target, ast.Attribute) and target.attr == "_p_changed" for target in node.targets):
            return None
        return self.generic_visit(node)


def _spell(handle):
    return (
        handle
        if handle[:1] not in "§¤¢£"
        else "H_" + {"§": "s", "¤": "m", "¢": "p", "£": "f"}[handle[0]] + handle[1:]
    )


def body_text(source: str, linked: LinkedBrief) -> str:
    """A finished method as the mind reads it: its body, in one normal form, with handles. ValueError: no
    method."""
    try:
        function = ast.parse(source).body[0]
        if not isinstance(function, ast.FunctionDef):
            raise ValueError("the source is no method")
    except (SyntaxError, IndexError) as exc:
        raise ValueError(f"the source is no method: {exc}") from exc
    if (
        len(function.body) > 1
        and isinstance(function.body[0], ast.Expr)
        and isinstance(function.body[0].value, ast.Constant)
    ):
        del function.body[0]  # a docstring tells what should be checked
    params = [arg.arg for arg in function.args.args[1:]]
    module = ast.fix_missing_locations(_Delexicalise(linked, params).visit(ast.Module(function.body, [])))
    text = ast.unparse(module)
    return re.sub(r"\bH_([smpf])(\d?)\b", lambda match: "§¤¢£"["smpf".index(match[1])] + match[2], text)


def _names_back(text, linked):
    lookup = {slot.handle: slot.name for slot in linked.slots}
    lookup |= {method.handle: method.name for method in linked.methods} | {"¤": linked.selector}
    lookup |= {param.handle: param.name or "the argument" for param in linked.params}
    lookup |= {handle: key for handle, key, _ in linked.fields}
    return _HANDLE.sub(lambda match: lookup.get(match.group(), "something"), text)


# -- findings and sentences --------------------------------------------------------------------------------


def parse_audit(text: str) -> dict:
    """`{"sound": bool, "finding": sentence}`; ValueError if it is neither. The auditor first writes what
    the message asks for and what the method does; where these differ, a method is not sound whatever the
    auditor concludes from them."""
    try:
        audit = json.loads(text)
    except ValueError as exc:
        raise ValueError(f"the finding is not JSON: {exc}") from exc
    if (
        not isinstance(audit, dict)
        or not isinstance(audit.get("sound"), bool)
        or not isinstance(audit.get("finding"), str)
    ):
        raise ValueError("the finding does not say whether the method is sound")
    if audit["sound"] and audit.get("asks") != audit.get("does"):
        return {"sound": False, "finding": f"asked for: {audit.get('asks')}; done: {audit.get('does')}"}
    return {"sound": audit["sound"], "finding": audit["finding"]}


def parse_retell(text: str, linked: LinkedBrief, source: str | None = None) -> str:
    """One English sentence, names put back; ValueError if nothing was said."""
    text = text.strip()
    if not text:
        raise ValueError("nothing was told")
    if source is not None:
        function = ast.parse(source).body[0]
        for i, arg in enumerate(function.args.args[1:]):
            text = text.replace(f"¢{i}", arg.arg)
    text = _names_back(text, linked)
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")
