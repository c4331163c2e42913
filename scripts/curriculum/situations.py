"""Situations: messages whose brief tells more than slots, and the lessons that are drawn from all of them.

    with_examples   what came out and was right; now and then the verb says nothing, and only they do
    with_counters   what came out and was wrong beside what was right: the examples win over the verb
    with_value      a method without arguments that the object has already stands for its value
    with_other      the noun of the selector is a slot of another object, in a slot, a list or an argument
    facet           one of a persona's ways, a sentence in `facets`: the mind is asked with it

Each is made from the operations of the curriculum and has a reference that runs; `lessons` mixes them with
the plain messages and the refusals.
"""

from __future__ import annotations

import copy
import hashlib
import random
import re
from types import SimpleNamespace

from batos.mind import dialect, linking
from batos.mind.dialect import link
from batos.mind.trials import generate_trials, random_value
from scripts.curriculum import OPERATIONS, PROTECTED, REACHING, Operation, _parse, kinds_of, nouns, samples
from scripts.curriculum.samples import Sample, Thing

EXTRA_KINDS = ("int", "int", "float", "text")  # of what methods give that the message does not name
BASIC = frozenset("int float text date bool".split()) | {
    "list int", "list float", "list text", "dict int", "dict float", "dict text", "set text", "set int",
}  # fmt: skip
SHARES = {
    "with_examples": 0.13,
    "with_counters": 0.05,
    "with_value": 0.06,
    "with_other": 0.11,
    "facet": 0.015,
}
REFUSED = 0.23  # of BRICK's lessons


def held_out(kind: str, wording: str, operation: Operation) -> bool:
    """Whether a wording of an operation is never shown in a situation of this kind: one in ten; of those that
    only examples tell (they have no wording), one operation in ten."""
    text = f"{kind.replace('told', 'with_examples')} {wording} {operation.name}"
    return hashlib.sha256(text.encode()).digest()[0] < 26


def draw(rng: random.Random, kind: str, *, unseen: bool = False) -> Sample:
    """A message of one of the kinds of `SHARES`; `unseen` are its nouns, and operation and wording in such a
    situation."""
    make = {
        "with_examples": with_examples, "with_counters": with_counters, "with_value": with_value,
        "with_other": with_other, "told": told, "facet": facet,
    }[kind]  # fmt: skip
    while True:
        sample = make(rng, unseen)
        if sample is None:
            continue
        if kind == "facet" or held_out(kind, sample.wording, sample.operation) == unseen:
            return sample


# -- examples ----------------------------------------------------------------------------------------------


def outcomes(sample: Sample, source: str, trials: list[dict]) -> list[dict]:
    """What a method does in trials, in the form of a brief's examples."""
    function, out = samples.compiled(source), []
    methods = [method.name for method in sample.linked.methods if not method.of]
    for trial in trials:
        thing = Thing(copy.deepcopy(trial["slots"]), methods, trial.get("answers"))
        told = {"slots": trial["slots"], "args": trial["args"], "kw": trial["kw"]}
        try:
            told["result"] = function(thing, *copy.deepcopy(trial["args"]), **copy.deepcopy(trial["kw"]))
        except (ValueError, LookupError) as exc:
            told["error"] = type(exc).__name__
        except Exception:
            continue
        changed = {
            name: value
            for name, value in vars(thing).items()
            if name in trial["slots"] and samples._plain(value) != samples._plain(trial["slots"][name])
        }
        out.append(told | ({"changes": changed} if changed else {}))
    return out


def _bare(example: dict, rng: random.Random) -> dict:
    """An example as a person tells it: without what changed, and of the object as it is without its slots."""
    return {key: value for key, value in example.items() if key != "changes" or rng.random() < 0.3}


def _trials(sample: Sample, rng: random.Random, n: int, as_it_is: bool) -> list[dict]:
    trials = generate_trials(sample.linked, n, rng)
    if as_it_is:  # `examples` of a request: other arguments for the object as it is
        for trial in trials:
            trial["slots"] = copy.deepcopy(trials[0]["slots"])
    return trials


def _examples(sample: Sample, rng: random.Random) -> list[dict]:
    as_it_is = rng.random() < 0.4
    found = outcomes(sample, sample.source(), _trials(sample, rng, 6, as_it_is))
    right = [each for each in found if "result" in each][: rng.choice((1, 1, 2, 2, 3))]
    if as_it_is:
        right = [{key: value for key, value in each.items() if key != "slots"} for each in right]
    return [_bare(each, rng) for each in right]


def taught(sample: Sample, rng: random.Random, n: int) -> Sample:
    """The message with so many examples; as it is where they would not come out."""
    found = outcomes(sample, sample.source(), _trials(sample, rng, 4 * n, False)) if n else []
    right = [_bare(each, rng) for each in found if "result" in each][:n]
    return (right and _relinked(sample, examples=right)) or sample


def _relinked(sample: Sample, **more) -> Sample | None:
    """The sample with more in its brief, None where that moves its handles."""
    brief = {**sample.brief, **more}
    linked = link(brief)
    if linked.slots != sample.linked.slots or linked.fields != sample.linked.fields:
        return None
    return Sample(brief, linked, sample.operation, sample.wording, sample.letters)


def _telling(linked: dialect.LinkedBrief) -> bool:
    """Whether the examples say more than a kind."""
    return any(line.split(" ")[0] in ("eg", "now") and set(line) & set("§¢") for line in linked.told)


def with_examples(rng: random.Random, unseen: bool = False, senseless: float = 0.4) -> Sample | None:
    sample = samples._draw(rng, None, None, unseen, "seen", "seen", rng.random() < 0.7)
    if sample is None or sample.operation.calls or sample.operation.known or sample.linked.want:
        return None
    alone = rng.random() < senseless and {letter for letter, _ in sample.operation.slots} <= set("XYZ")
    if held_out("with_examples", "" if alone else sample.wording, sample.operation) != unseen:
        return None
    examples = _examples(sample, rng)
    if not examples:
        return None
    if alone:
        named = [slot.name for slot in sample.linked.slots if slot.linked]
        verb = samples._senseless(rng, unseen)
        brief = {
            **sample.brief,
            "selector": "_".join([verb, *named] if rng.random() < 0.8 else [*named, verb]),
        }
        linked = link(brief)
        if linked.slots != sample.linked.slots or linked.fields != sample.linked.fields:
            return None
        sample = Sample(brief, linked, sample.operation, "", sample.letters)
        with_them = _relinked(sample, examples=examples)
        if with_them is None or not _telling(with_them.linked) or not _settled(with_them, rng):
            return None
        return with_them
    return _relinked(sample, examples=examples)


def told(rng: random.Random, unseen: bool = False) -> Sample | None:
    """A message whose verb says nothing: only the examples do."""
    return with_examples(rng, unseen, 1.0)


def _rivals(sample: Sample) -> list[Operation]:
    """Operations that fit the same slots and arguments of a message."""
    op = sample.operation
    letters = [letter for letter, _ in op.slots]
    kinds = {letter: kind for letter, kind in _kinds(sample).items() if letter in "XYZ"}
    out = []
    for other in OPERATIONS:
        if other is op or other.calls or other.known or [letter for letter, _ in other.slots] != letters:
            continue
        if len(other.args) != len(op.args) or set(letters) & set("FG"):
            continue
        if all(kinds[letter] in kinds_of(cls, kinds.get("X")) for letter, cls in other.slots):
            if all(
                samples._fits(param.kind, samples.argument_kinds(cls, kinds.get("X"), None))
                for param, (_, cls) in zip(sample.linked.params, other.args, strict=True)
                if cls != "fieldvalue"
            ):
                out.append(other)
    return out


def _kinds(sample):
    handles = {slot.handle: slot.kind for slot in sample.linked.slots}
    return {letter: handles.get(handle) for letter, handle in sample.letters.items()}


def _settled(sample: Sample, rng: random.Random) -> bool:
    """Whether the examples fit no other operation of the curriculum that does something else: at most the
    plainest of a few is asked for, so what stays open is not taught as if it were told."""
    trials = generate_trials(sample.linked, 8, rng)
    examples = sample.brief["examples"]
    mine = None
    rivals = _rivals(sample)
    for rival in rng.sample(rivals, min(len(rivals), 12)):
        other = Sample(sample.brief, sample.linked, rival, "", sample.letters)
        try:
            given = [{"slots": sample.linked.state, **each} for each in examples]
            theirs = outcomes(other, other.source(), given)
        except (ValueError, SyntaxError, RecursionError):
            continue
        if len(theirs) != len(examples) or any(
            samples._plain(each.get("result")) != samples._plain(known["result"])
            or (
                "changes" in known and samples._plain(each.get("changes")) != samples._plain(known["changes"])
            )
            for each, known in zip(theirs, examples, strict=True)
        ):
            continue
        mine = mine or samples.behave(sample.source(), sample.linked, trials)
        if samples.behave(other.source(), sample.linked, trials) != mine:
            return False
    return True


def with_counters(rng: random.Random, unseen: bool = False) -> Sample | None:
    """A message whose wording was followed and was wrong; or whose wording is right and another draft was not."""
    sample = samples._draw(rng, None, None, unseen, "seen", "seen", True)
    if sample is None or sample.operation.calls or sample.operation.known:
        return None
    rivals = _rivals(sample)
    if not rivals:
        return None
    alike = [rival for rival in rivals if rival.kind == sample.operation.kind]
    chosen = rng.choice(alike if alike and rng.random() < 0.8 else rivals)
    other = Sample(sample.brief, sample.linked, chosen, sample.wording, sample.letters)
    right, wrong = (sample, other) if rng.random() < 0.5 else (other, sample)
    if PROTECTED.fullmatch(sample.wording) and right is other and rng.random() < 0.6:
        return None
    if held_out("with_counters", sample.wording, right.operation) != unseen:
        return None
    try:
        trials = _trials(right, rng, 6, rng.random() < 0.5)
        ours, theirs = outcomes(right, right.source(), trials), outcomes(wrong, wrong.source(), trials)
    except (ValueError, SyntaxError, RecursionError):
        return None
    if len(ours) != len(trials) or len(theirs) != len(trials):
        return None
    apart = [
        (mine, his)
        for mine, his in zip(ours, theirs, strict=True)
        if "result" in mine and (samples._plain(mine.get("result")) != samples._plain(his.get("result")) or
                                 samples._plain(mine.get("changes")) != samples._plain(his.get("changes")))
    ]  # fmt: skip
    if not apart:
        return None
    pairs = apart[: rng.choice((1, 1, 2))]
    counters = [his for _, his in pairs]
    examples = [mine for mine, _ in pairs]
    if right is other or rng.random() < 0.5:
        both = _relinked(right, examples=[_bare(each, rng) for each in examples], counter_examples=counters)
        if both is None or (right is other and not (_telling(both.linked) and _settled(both, rng))):
            return None
        return both
    return _relinked(right, counter_examples=counters)


# -- methods for values, other objects ---------------------------------------------------------------------


def _base(rng, unseen, letters):
    """A plain message of an operation with just these slots, which no name hangs on."""
    op = rng.choices(OPERATIONS, samples.WEIGHTS)[0]
    if op.calls or op.known or [letter for letter, _ in op.slots] not in letters:
        return None
    return samples._draw(rng, op, None, unseen, None, "seen", True)


def _spelled(wording, names):
    return "_".join(names.get(part, part) for part in wording.split("_"))


def with_value(rng: random.Random, unseen: bool = False) -> Sample | None:
    base = _base(rng, unseen, (["X"], ["X", "Y"]))
    if base is None or base.operation.kind == "change":
        return None
    op, names = base.operation, {slot.handle: slot.name for slot in base.linked.slots}
    letter = rng.choice([letter for letter, _ in op.slots])
    gone = names[base.letters[letter]]
    state = dict(base.brief["slots"])
    value = state.pop(gone)
    if dialect.kind_of(value) not in BASIC or (dialect.kind_of(value) == "bool"):
        return None
    if rng.random() < 0.55:
        method = nouns.noun(rng, unseen)
    else:  # a reading method as batos names them
        other = samples._draw(rng, None, None, unseen, None, "seen", True)
        if other is None or other.operation.kind != "read" or other.linked.params or other.operation.known:
            return None
        method = other.brief["selector"]
    if method in state or method in base.brief["selectors"] or samples._close(method, state):
        return None
    mentioned = {each: names[handle] for each, handle in base.letters.items()} | {letter: method}
    selectors = {**base.brief["selectors"], method: []}
    answers = {method: value}
    if rng.random() < 0.4:
        extra = nouns.noun(rng, unseen)
        if extra not in state and extra not in selectors:
            selectors[extra] = []
            answers[extra] = random_value(rng.choice(EXTRA_KINDS), rng)
    order = list(selectors)
    rng.shuffle(order)
    brief = {
        **base.brief, "slots": state, "selector": _spelled(base.wording, mentioned),
        "selectors": {name: selectors[name] for name in order}, "answers": answers,
    }  # fmt: skip
    if brief["selector"] in state or brief["selector"] in selectors:
        return None
    linked = link(brief)
    found = next((each for each in linked.methods if each.name == method and each.gives), None)
    handles = {slot.name: slot.handle for slot in linked.slots if slot.linked}
    if found is None or found.handle not in linked.said:
        return None
    letters = {letter: f"{found.handle}()"}
    for each, name in mentioned.items():
        if each != letter:
            if name not in handles:
                return None
            letters[each] = handles[name]
    if len(handles) != len(letters) - 1 or any(handle[:2] not in linked.said for handle in letters.values()):
        return None
    return Sample(brief, linked, op, base.wording, letters)


def _object():
    return SimpleNamespace()


def _fields(rng, unseen, n):
    out = {}
    for _ in range(n):
        kind = rng.choice(("int", "int", "float", "text", "text", "bool", "date", "list text", "list int"))
        out.setdefault(samples._slot_name(kind, rng, unseen), random_value(kind, rng))
    return out


def _shuffled(mapping, rng):
    items = list(mapping.items())
    rng.shuffle(items)
    return dict(items)


def with_other(rng: random.Random, unseen: bool = False) -> Sample | None:
    roll = rng.random()
    if roll < 0.45:
        return _theirs(rng, unseen)
    if roll < 0.6:
        return _listed(rng, unseen)
    return _reaching(rng, unseen)


def _theirs(rng, unseen):
    """A noun of the message is a slot of the object in another slot."""
    base = _base(rng, unseen, (["X"], ["X", "Y"]))
    if base is None:
        return None
    op, names = base.operation, {slot.handle: slot.name for slot in base.linked.slots}
    letter = rng.choice([letter for letter, _ in op.slots])
    field = names[base.letters[letter]]
    state = dict(base.brief["slots"])
    value = state.pop(field)
    holder = nouns.noun(rng, unseen)
    if dialect.kind_of(value) not in BASIC or holder in state or samples._close(holder, {**state, field: 0}):
        return None
    theirs = _shuffled({field: value} | _fields(rng, unseen, rng.choice((0, 1, 2))), rng)
    said = rng.choice((f"{holder}_{field}", f"{holder}_{field}", field))
    if op.kind == "read" and op.wordings[0].endswith("X") and rng.random() < 0.3:
        said = f"{field}_of_{holder}"
    mentioned = {each: names[handle] for each, handle in base.letters.items()} | {letter: said}
    brief = {
        **base.brief, "slots": _shuffled({**state, holder: _object()}, rng),
        "selector": _spelled(base.wording, mentioned), "others": {holder: {"slots": theirs, "selectors": {}}},
    }  # fmt: skip
    return _reached(rng, brief, op, base.wording, {**{k: v for k, v in mentioned.items() if k != letter}},
                    letter, holder, field, said != field)  # fmt: skip


def _reached(rng, brief, op, wording, own, letter, holder, field, named):
    if brief["selector"] in brief["slots"] or brief["selector"] in brief["selectors"]:
        return None
    linked = link(brief)
    handles = {slot.name: slot.handle for slot in linked.slots}
    linked_names = {slot.name for slot in linked.slots if slot.linked}
    if linked_names != {*own.values(), *([holder] if named else [])} or holder not in handles:
        return None
    key = next((handle for handle, name, _ in linked.fields if name == field), None)
    if key is None or key not in linked.said:
        return None
    letters = {each: handles[name] for each, name in own.items()} | {letter: f"{handles[holder]}.{key}"}
    sample = Sample(brief, linked, op, wording, letters)
    if op.kind == "change" and letter == "X":
        body = sample.body()
        if ".put(" not in body:
            return None
    elif op.kind == "change" and re.search(
        rf"self\.{handles[holder]}\.{key}( [-+*]?=|\.\w|\[)", sample.body()
    ):
        return None  # it changes what is in there some other way
    return sample


RECORDS = [
    op
    for op in OPERATIONS
    if op.kind != "change"
    and dict(op.slots).get("X") == "records"
    and not any(letter in "YZG" for letter, _ in op.slots)
]


def _listed(rng, unseen):
    """A list of objects instead of records."""
    op = rng.choice(RECORDS)
    base = samples._draw(rng, op, None, unseen, None, "seen", True)
    if base is None:
        return None
    names = {slot.handle: slot.name for slot in base.linked.slots}
    keys = {handle: key for handle, key, _ in base.linked.fields}
    listed, field = names[base.letters["X"]], keys[base.letters["F"]]
    rows = base.brief["slots"][listed]
    if not rows or any(not key.isidentifier() for key in rows[0]):
        return None
    brief = {
        **base.brief, "slots": {**base.brief["slots"], listed: [_object() for _ in rows]},
        "others": {listed: {"slots": dict(rows[0]), "selectors": {}}},
    }  # fmt: skip
    linked = link(brief)
    handles = {slot.name: slot.handle for slot in linked.slots if slot.linked}
    key = next((handle for handle, name, _ in linked.fields if name == field), None)
    if set(handles) != {listed} or key is None or key not in linked.said:
        return None
    return Sample(brief, linked, _of_objects(op), base.wording, {"X": handles[listed], "F": key})


_OBJECTS: dict[str, Operation] = {}


def _of_objects(op):
    """The operation on records as one on objects: what was a key is a slot."""
    if op.name not in _OBJECTS:
        made = {field: getattr(op, field) for field in op.__dataclass_fields__}
        _OBJECTS[op.name] = Operation(**(made | {"code": op.code.replace("['F']", ".F")}))
    return _OBJECTS[op.name]


def _reaching(rng, unseen):
    """The operations of `operations_objects`: sends, and what lies between two objects."""
    op = rng.choice(REACHING)
    wording = rng.choice(op.wordings)
    classes = dict(op.slots)
    state = {}
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        kind = rng.choice(samples.DISTRACTOR_KINDS[:-5])
        state.setdefault(samples._slot_name(kind, rng, unseen), samples._value(kind, rng))
    names, values, others = {}, [], {}
    theirs = _fields(rng, unseen, rng.choice((1, 1, 2)))
    if "X" in classes:
        kind = rng.choice(
            ("int", "int", "float")
            if classes["X"] != "any"
            else ("int", "text", "float", "list text", "date")
        )
        names["X"] = samples._slot_name(kind, rng, unseen)
        state[names["X"]] = random_value(kind, rng)
    selectors = {}
    if "M" in classes:
        other = rng.choices(OPERATIONS, samples.WEIGHTS)[0]
        if other.calls or [letter for letter, _ in other.slots] != ["X"] or other.kind == "ask":
            return None
        kind = "any1" if other.args else "any0"
        if kind != classes["M"] or len(other.args) > 1:
            return None
        noun = rng.choice([*theirs, nouns.noun(rng, unseen)])
        bare = rng.choice(other.wordings).split("_")[0]
        names["M"] = rng.choice(
            (samples._spell(rng.choice(other.wordings), {"X": noun}, rng), bare if bare != "X" else noun)
        )
        selectors = {names["M"]: [name for name, _ in other.args]}
        if "M" in op.wordings[0] and set(linking.words_of(names["M"])) & set(theirs):
            theirs = {name: value for name, value in theirs.items() if name not in names["M"]}
        if op.args:
            values = [samples._value(rng.choice(("int", "int", "text", "float", "date")), rng)]
    if "O" in classes:
        holder = nouns.noun(rng, unseen)
        if classes["O"] == "objects":
            holder = nouns.plural(holder)
        if holder in state or samples._close(holder, {**state, **theirs}):
            return None
        names["O"] = holder
        state[holder] = [_object(), _object()] if classes["O"] == "objects" else _object()
    else:
        holder = "¢0"
        theirs = {names["X"]: random_value(dialect.kind_of(state[names["X"]]), rng), **theirs}
        values = [_object()] + [random_value(rng.choice(("int", "float")), rng) for _ in op.args[1:]]
    if "F" in classes:
        same = rng.random() < 0.4 and "_F" not in f"_{wording}"
        names["F"] = names["X"] if same else samples._slot_name("int", rng, unseen)
        if not same and names["F"] in state:
            return None
        theirs = ({} if not same and "F" not in wording.split("_") else theirs) | {
            names["F"]: random_value("int", rng)
        }
        if "F" not in wording.split("_") and not same:
            theirs = {
                names["F"]: theirs[names["F"]],
                **{k: v for k, v in _fields(rng, unseen, 1).items() if isinstance(v, str)},
            }
        values = [random_value(rng.choice(("int", "float")), rng)]
    if len(theirs) > 4:
        return None
    others = {holder: {"slots": _shuffled(theirs, rng), "selectors": selectors}}
    selector = _spelled(wording, names)
    existing = {}
    if rng.random() < 0.3:
        existing = {nouns.noun(rng, unseen): ["amount"]}
    brief = {
        "receiver": None, "selector": selector, "args": values, "kw": {}, "slots": _shuffled(state, rng),
        "selectors": existing, "intent": None, "examples": [], "others": others,
    }  # fmt: skip
    if selector in state or selector in existing or not selector.isidentifier():
        return None
    linked = link(brief)
    handles = {slot.name: slot.handle for slot in linked.slots}
    expected = {names[letter] for letter in "XO" if letter in names}
    if {slot.name for slot in linked.slots if slot.linked} != expected or len(linked.others) != 1:
        return None
    letters = {letter: handles[names[letter]] for letter in "XO" if letter in names}
    if "M" in names:
        method = next((each for each in linked.methods if each.name == names["M"] and each.of), None)
        if method is None or method.handle not in linked.said:
            return None
        letters["M"] = method.handle
    field = names.get("F", names.get("X") if holder == "¢0" else None)
    if field is not None:
        key = next((handle for handle, name, _ in linked.fields if name == field), None)
        if key is None:
            return None
        letters["F"] = key
    return Sample(brief, linked, op, wording, letters)


FACET = _parse(
    """read X:dicttext F:keyof M:any2 text:text
F
what M says to text in the way of F in X
    return self.M(text, self.X['F'])"""
)
PERSONA = ("name", "title", "question", "codex", "expert", "meta_prompt")


def facet(rng: random.Random, unseen: bool = False) -> Sample | None:
    """The first use of a facet: `NAME_facet_(text)` to who holds its sentence and understands `infer_`."""
    keys = [f"{nouns.noun(rng, unseen)}_facet_" for _ in range(rng.randint(1, 6))]
    if any(not key.isidentifier() for key in keys):
        return None
    ways = {key: samples._intent(rng) for key in keys}
    state = {name: random_value("text", rng) for name in PERSONA if rng.random() < 0.8} | {"facets": ways}
    selectors = {"infer_": ["query", "system_prompt"]}
    if rng.random() < 0.3:
        selectors[keys[-1]] = ["text"]  # one that has become a method
    selector = keys[0]
    if selector in selectors:
        return None
    brief = {
        "receiver": None, "selector": selector, "args": [random_value("text", rng)], "kw": {},
        "slots": _shuffled(state, rng), "selectors": _shuffled(selectors, rng),
        "intent": ways[selector] if rng.random() < 0.8 else None, "examples": [],
    }  # fmt: skip
    linked = link(brief)
    handles = {slot.name: slot.handle for slot in linked.slots}
    methods = {method.name: method.handle for method in linked.methods}
    key = next((handle for handle, name, _ in linked.fields if name == selector), None)
    if key is None or "facets" not in handles or "infer_" not in methods:
        return None
    letters = {"X": handles["facets"], "F": key, "M": methods["infer_"]}
    return Sample(brief, linked, FACET, "F", letters)


# -- lessons -----------------------------------------------------------------------------------------------


def any_of(rng: random.Random) -> Sample:
    """A message that can be done, of any kind."""
    roll = rng.random()
    for kind, share in SHARES.items():
        roll -= share
        if roll < 0:
            return draw(rng, kind)
    return samples.draw(rng)


def refusal(rng: random.Random, unseen: bool = False) -> Sample:
    """A message that should be refused; now and then with other objects or values about."""
    while True:
        roll = rng.random()
        if roll < 0.86:
            return samples.draw_refusal(rng, unseen)
        sample = _untold(rng, unseen) if roll < 0.92 else _senseless_reach(rng, unseen)
        if sample is not None:
            return sample


def _untold(rng, unseen):
    """A verb without meaning, and examples that tell no more than a kind."""
    sample = samples._draw(rng, None, None, unseen, None, "seen", True)
    if sample is None or sample.operation.calls or sample.operation.known:
        return None
    named = [slot.name for slot in sample.linked.slots if slot.linked]
    brief = {**sample.brief, "selector": "_".join([samples._senseless(rng, unseen), *named])}
    examples = _examples(sample, rng)
    linked = link({**brief, "examples": examples})
    if not linked.told or _telling(linked):
        return None
    return Sample({**brief, "examples": examples}, linked, None, "", {}, samples.REFUSALS["meaning"])


def _senseless_reach(rng, unseen):
    """A verb without meaning, and a method for a value or another object's slot."""
    sample = with_value(rng, unseen) if rng.random() < 0.5 else _theirs(rng, unseen)
    if sample is None:
        return None
    held = [*(sample.brief.get("answers") or ()), *(name for each in sample.brief.get("others", {}).values()
                                                    for name in each["slots"])]  # fmt: skip
    verb = samples._senseless(rng, unseen)
    if rng.random() < 0.3:
        selector = samples._outside(rng, unseen).replace("X", held[0])
    else:
        selector = f"{verb}_{held[0]}" if rng.random() < 0.8 else f"{held[0]}_{verb}"
    why = samples.REFUSALS["meaning" if verb in selector else "outside"]
    brief = {**sample.brief, "selector": selector}
    if selector in brief["slots"] or selector in brief["selectors"]:
        return None
    return Sample(brief, link(brief), None, "", {}, why)


def lessons(rng: random.Random, mix: dict[str, float]):
    """Lessons without end, drawn from a mix of tasks: "brick", "alfred", "robin"."""
    tasks, weights = list(mix), list(mix.values())
    while True:
        task = rng.choices(tasks, weights)[0]
        share = REFUSED if task == "brick" else 0.05 if task == "alfred" else 0.0
        sample = refusal(rng) if rng.random() < share else any_of(rng)
        make = {
            "brick": samples.lesson_plan_and_method, "alfred": samples.lesson_audit,
            "robin": samples.lesson_retell,
        }[task]  # fmt: skip
        lesson = make(sample, rng)
        if lesson is not None:
            yield lesson
