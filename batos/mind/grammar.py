"""The grammars the embedded mind is decoded under: llguidance's Lark, one text per brief.

They know the handles that exist, how many arguments the message has, the built-ins and the methods of
ordinary values; so a draft can be wrong, but never point at a slot that is not there or call what is out of
reach. The same brief shape gives the same text, which an engine compiles once.

Forced text is not fast-forwarded (`no_forcing`): it would be cut into other tokens than in training, and a
small model derails on that.
"""

from __future__ import annotations

from functools import lru_cache

from batos.mind.dialect import ARGUMENTS, LOCALS, LinkedBrief

Grammar = str

HEAD = '%llguidance {"no_forcing": true}\n'
CALLS = (
    "abs all any bool dict divmod enumerate float format int len list max min pow range repr reversed "
    "round set sorted "
    "str sum tuple zip"
).split()
MODULES = (
    "math.sqrt math.floor math.ceil math.factorial math.prod math.gcd math.pi math.log math.isqrt "
    "statistics.median "
    "statistics.stdev statistics.mean statistics.mode datetime.date.fromisoformat datetime.timedelta "
    "datetime.datetime.fromisoformat re.sub re.findall re.split"
).split()
ATTRIBUTES = (
    "append extend insert remove pop clear sort reverse index count copy add discard update union "
    "intersection "
    "difference get items keys values setdefault popitem fromkeys upper lower title capitalize "
    "swapcase strip "
    "lstrip rstrip split rsplit splitlines join replace startswith endswith find isdigit isalpha "
    "isalnum isupper "
    "islower isspace center ljust rjust zfill isoformat weekday days year month day casefold"
).split()


PROPOSED = r"""proposed: ",\"examples\":[" example ("," example){0,3} "]"
example: "{" ("\"slots\":" record ",")? "\"args\":" array ",\"result\":" value "}"
value: NUMBER | STRING | "true" | "false" | "null" | array | record
array: "[" (value ("," value)*)? "]"
record: "{" (STRING ":" value ("," STRING ":" value)*)? "}"
NUMBER: /-?[0-9]{1,12}(\.[0-9]{1,6})?/
STRING: /"[^"\\\n]{0,80}"/
"""


def _choice(words) -> str:
    return " | ".join(f'"{word}"' for word in words)


def _rule(name, words):
    return f"{name}: {_choice(words)}\n" if words else ""


@lru_cache(maxsize=512)
def _plan(slots: tuple[str, ...], args: tuple[str | None, ...], proposes: bool = False) -> Grammar:
    arguments = ' "," '.join(
        rf'"\"" {"argument" if arg is None else chr(34) + arg + chr(34)} "\""' for arg in args
    )
    named = '(slot ("," slot)*)?' if slots else ""
    return HEAD + (
        "start: can | cannot\n"
        r'cannot: "{\"can\":false,\"why\":\"" TEXT "\"}"'
        "\n"
        r'can: "{\"can\":true,\"kind\":\"" kind "\",\"slots\":[" '
        + named
        + r' "],\"args\":[" '
        + arguments
        + r' "],\"do\":\"" TEXT "\"" (",\"unless\":\"" TEXT "\"")? ",\"answer\":\"" TEXT "\""'
        + (' proposed? "}"\n' + PROPOSED if proposes else ' "}"\n')
        + _rule("kind", ("read", "change", "ask"))
        + (r'slot: "\"" handle "\""' "\n" + _rule("handle", slots) if slots else "")
        + (_rule("argument", ARGUMENTS) if None in args else "")
        + "TEXT: /[a-zA-Z][a-zA-Z0-9 ,_']{0,140}/\n"
    )


def plan_grammar(linked: LinkedBrief, proposes: bool = False) -> Grammar:
    """proposes: it may end with examples of what should come out; the embedded mind was not trained to."""
    return _plan(
        tuple(slot.handle for slot in linked.slots),
        tuple(param.handle if param.name else None for param in linked.params),
        proposes,
    )


@lru_cache(maxsize=512)
def _method(
    slots: int, methods: int, params: int, fields: int, theirs: int = 0, others: bool = False
) -> Grammar:
    """theirs: methods of other objects, whose handles follow those of the receiver's own; others: whether the
    slots of other objects are in reach."""
    slot, method = [f"§{i}" for i in range(slots)], [f"¤{i}" for i in range(methods)]
    foreign = [f"¤{i}" for i in range(methods, methods + theirs)]
    param, key = [f"¢{i}" for i in range(params)], [f"£{i}" for i in range(fields)]
    inside = [name for name, words in (("slot", slot), ("param", param), ("field", key)) if words]
    text = " | ".join(["CHARS", *inside])
    return HEAD + (
        'start: statement ("\\n" statement)*\n'
        "statement: simple | compound\n"
        'compound: "if " expr ":" body ("\\nelif " expr ":" body)* ("\\nelse:" body)?'
        ' | "for " names " in " expr ":" body | "while " expr ":" body\n'
        'body: ("\\n    " inner)+\n'
        'inner: simple | "if " expr ":" deep ("\\n    else:" deep)? | "for " names " in " expr ":" deep\n'
        'deep: ("\\n        " deeper)+\n'
        'deeper: simple | "if " expr ":" ("\\n            " simple)+\n'
        'simple: "return" (" " expr)? | target (", " target)* " = " ("(" expr (", " expr)+ ")" | expr)\n'
        '  | target AUGMENTED expr | call | "raise " error | "del " place | "continue" | "break" | "pass"\n'
        "AUGMENTED: / (\\+|-|\\*|\\*\\*|\\/|\\/\\/|%|&|\\|)= /\n"
        'error: ("ValueError" | "KeyError") "(" string ")"\n'
        "target: own | local | place\n"
        'place: (own | local) ("[" subscript "]")+\n'
        'call: primary "(" arguments? ")"'
        + (" | sent" if methods else "")
        + (" | primary put" if others and key else "")
        + "\n"
        + ('own: "self." slot\n' if slots else 'own: "self.none"\n')
        + 'expr: choice | "lambda " local ": " choice\n'
        'choice: test (" if " test " else " choice)?\n'
        'test: negation ((" and " | " or ") negation)*\n'
        'negation: "not "* comparison\n'
        "comparison: sum (COMPARE sum)*\n"
        "COMPARE: / (<|>|<=|>=|==|!=|in|not in|is|is not) /\n"
        "sum: factor (OPERATOR factor)*\n"
        "OPERATOR: / (\\+|-|\\*|\\*\\*|\\/|\\/\\/|%|&|\\||\\^) /\n"
        'factor: "-"? primary\n'
        "primary: atom trailer*\n"
        'trailer: "." ATTRIBUTE | "(" arguments? ")" | "[" subscript "]"'
        + (' | "." foreign "(" arguments? ")"' if foreign else "")
        + (' | "." field | put\nput: ".put(\'" field "\', " expr ")"' if others and key else "")
        + "\n"
        'arguments: argument (", " argument)*\n'
        'argument: (KEYWORD "=")? expr\n'
        'subscript: expr | expr? ":" expr? (":" expr?)?\n'
        'atom: own | local | NUMBER | string | CALL | MODULE | "True" | "False" | "None"\n'
        "  | group | list | mapping"
        + (" | param" if params else "")
        + (" | sent" if methods else "")
        + "\n"
        + ('sent: "self." method "(" arguments? ")"\n' if methods else "")
        + 'group: "(" expr (loop | (", " expr)+ | ",")? ")"\n'
        'list: "[" (expr (loop | (", " expr)*))? "]"\n'
        'mapping: "{" (expr (loop | (", " expr)*) | entry (loop | (", " entry)*))? "}"\n'
        'entry: expr ": " expr | "**" expr\n'
        'loop: (" for " names " in " test (" if " test)*)+\n'
        'names: local (", " local)?\n'
        'string: "\'" (' + text + ')* "\'" | "f\'" (' + text + ' | "{" expr "}")* "\'"\n'
        'CHARS: /[a-zA-Z0-9 ,.;:!?_=+*\\/()"-]{1,60}/\n'
        "NUMBER: /[0-9]{1,6}(\\.[0-9]{1,6})?/\n"
        + _rule("local", LOCALS)
        + f"CALL: {_choice(CALLS)}\n"
        + f"MODULE: {_choice(MODULES)}\n"
        + f"ATTRIBUTE: {_choice(ATTRIBUTES)}\n"
        + 'KEYWORD: "key" | "reverse" | "default" | "days" | "start"\n'
        + _rule("slot", slot)
        + _rule("method", method)
        + _rule("foreign", foreign)
        + _rule("param", param)
        + _rule("field", key)
    )


def method_grammar(linked: LinkedBrief) -> Grammar:
    own = sum(method.of is None for method in linked.methods)
    theirs = len(linked.methods) - own
    return _method(
        len(linked.slots), own, len(linked.params), len(linked.fields), theirs, bool(linked.others)
    )


@lru_cache(maxsize=1)
def audit_grammar() -> Grammar:
    return (
        HEAD
        + r"""start: "{\"asks\":\"" TEXT "\",\"does\":\"" TEXT "\",\"sound\":" sound finding
finding: ",\"finding\":\"" TEXT "\"}"
sound: "true" | "false"
TEXT: /[a-zA-Z][a-zA-Z0-9 ,_']{0,140}/
"""
    )


@lru_cache(maxsize=512)
def _retell(handles: tuple[str, ...]) -> Grammar:
    return HEAD + (
        "start: (TEXT"
        + (" | handle" if handles else "")
        + "){1,24}\n"
        + _rule("handle", handles)
        + "TEXT: /[a-zA-Z0-9 ,_']{1,80}/\n"
    )


def retell_grammar(linked: LinkedBrief) -> Grammar:
    return _retell(
        tuple(
            [slot.handle for slot in linked.slots]
            + [method.handle for method in linked.methods]
            + [param.handle for param in linked.params]
            + [handle for handle, _, _ in linked.fields]
        )
    )
