"""The dialect of the embedded mind: how a brief becomes a prompt and an answer becomes plain Python.

Pure functions over plain data; nothing here knows torch, a tokenizer or an object of the image.

The one decision: **names are not spelled, they are pointed at.** A small model copies a rare name letter by
letter and errs; so a deterministic linker finds the words of the selector that name slots and puts *handles*
in their place (delexicalisation, Wen et al. 2015; pointers, Vinyals et al. 2015), and the answer is written
with handles too. Each handle is one token of the mind:

    §0 §1 ...   data slots, those the selector names first, in its order      self.§0
    ¤0 ¤1 ...   methods the object, or another in reach, already understands  self.¤0(...)
    ¢0 ¢1 ...   the parameters of the new method, as they were sent           ¢0
    £0 £1 ...   keys of records (a list of dicts, a dict of unlike values)    each['£0']
                and slots of another object in reach                          self.§0.£0

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
import json
import keyword
import re
from collections.abc import Mapping

from batos.mind.linking import (
    FIELDS_SHOWN,
    METHODS_SHOWN,
    PARAMS_SHOWN,
    SLOTS_SHOWN,
    LinkedBrief,
    keys_of,
    kind_of,
    link,
    said_with,
    spans_of,
    words_of,
)

__all__ = ["LinkedBrief", "kind_of", "link"]  # the dialect's own words for what a brief is

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

_HANDLE = re.compile("[§¤¢£][0-9]|¤")
_HIDEABLE = frozenset(dir(builtins)) | {"math", "statistics", "datetime", "re"}


# -- prompts -----------------------------------------------------------------------------------------------


def brief_text(linked: LinkedBrief) -> str:
    """The brief as the mind reads it, ending with a newline."""
    lines = [BRIEF]
    for slot in linked.slots:
        line = f"{slot.handle} {'_'.join(words_of(slot.name))[:40]} {slot.kind}"
        if slot.kind in ("list record", "dict mixed") or slot.kind.startswith("dict "):
            keys = (
                keys_of(slot, linked.state[slot.name], [])
                if slot.kind == "list record"
                else [(key, kind) for _, key, kind in linked.fields if key in linked.state[slot.name]]
            )
            for key, kind in keys:
                handle = next((handle for handle, known, _ in linked.fields if known == key), None)
                if handle:
                    line += f" {handle} {key.lower()[:24]} {kind}"
        lines.append(line + _other_text(slot.handle, linked))
    for param in linked.params:
        known = _other_text(param.handle, linked)
        if known:
            lines.append(f"{param.handle} {param.kind}{known}")
    for method in linked.methods:
        if method.of:
            continue
        names = {slot.name: slot.handle for slot in linked.slots}
        said = said_with(method.name, spans_of(words_of(method.name), list(names)), names)
        gives = ["gives", method.gives] if method.gives else []
        lines.append(" ".join([method.handle, said, *method.params, *gives]))
    if linked.want:
        lines.append(f"want {linked.want}")
    lines += linked.told
    said = [f"say {linked.said}"]
    for param in linked.params:
        said.append(f"{param.handle} {param.name + ' is ' if param.name else ''}{param.kind}")
    lines.append(" ".join(said))
    return "\n".join(lines) + "\n"


def _other_text(holder, linked):
    """What is told of the object in a slot or argument, after its kind: its slots, and its methods in question."""
    other = next((each for each in linked.others if each.handle == holder), None)
    if other is None:
        return ""
    parts = [f" {handle} {'_'.join(words_of(name))[:24]} {kind}" for handle, name, kind in other.fields]
    parts += [
        " " + " ".join([method.handle, "_".join(words_of(method.name))[:40], *method.params])
        for method in linked.methods
        if method.of == holder
    ]
    return "".join(parts)


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
PROPOSED = 4  # examples of one plan


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


def proposed_examples(text: str, linked: LinkedBrief) -> list[dict]:
    """What a plan says must come out, in the form of a person's examples: `{"slots"?, "args", "kw", "result"}` each,
    the names put back.  What is no such thing is left out: nothing rests on it yet."""
    try:
        told = json.loads(text).get("examples")
    except (ValueError, AttributeError):
        return []
    names = {slot.handle: slot.name for slot in linked.slots}
    found = []
    for each in told if isinstance(told, list) else ():
        if not isinstance(each, dict) or "result" not in each or not isinstance(each.get("args"), list):
            continue
        slots = each.get("slots", {})
        if (
            len(each["args"]) != len(linked.params)
            or not isinstance(slots, dict)
            or not slots.keys() <= names.keys()
        ):
            continue
        given = list(zip(linked.params, each["args"], strict=True))
        example = {
            "args": [value for param, value in given if not param.name],
            "kw": {param.name: value for param, value in given if param.name},
            "result": each["result"],
        }
        found.append(
            {"slots": {names[handle]: value for handle, value in slots.items()}} | example
            if slots
            else example
        )
    return found[:PROPOSED]


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
        self.methods = {method.name: method.handle for method in linked.methods if not method.of}
        self.methods |= {linked.selector: "¤"}
        self.theirs = {name: handle for other in linked.others for handle, name, _ in other.fields}
        self.theirs |= {method.name: method.handle for method in linked.methods if method.of}
        self.params = dict(zip(params, (f"¢{i}" for i in range(PARAMS_SHOWN)), strict=False))
        self.keys = {key: handle for handle, key, _ in linked.fields}

    def visit_Attribute(self, node):
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            node.attr = _spell(self.slots.get(node.attr) or self.methods.get(node.attr) or node.attr)
        else:
            node.attr = _spell(self.theirs.get(node.attr, node.attr))
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
