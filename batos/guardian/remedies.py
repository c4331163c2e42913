"""What to do about each rule, in words for somebody who meets it for the first time.

A finding says what is wrong in which line; here stands what to write instead, one sentence a rule, as
every face shows it behind the finding.  A rule without a sentence does not pass the tests.
"""

from __future__ import annotations

REMEDIES = {
    "syntax": "mend that line: Python itself cannot read it",
    "shape": "send one method, `def name(self, ...):` with its body, and nothing before or behind it",
    "selector": "give the method the name that was asked for",
    "import": "take the import out and write the module's name where you need it, as in `math.sqrt(2)`",
    "class": "make another object with `self.clone(called='name')` and define its methods there",
    "async": "write it with plain `def` and without `await`: a send gives its answer at once",
    "generator": "put the values into a list, `found = []` and `found.append(value)`, and return the list",
    "global": "keep what is to last in a slot, as in `self.count = 1`",
    "decorator": "take the decorator out: a method without arguments is sent by its name, no `@property` is needed",
    "dunder": "use what the object answers, as in `self.slots()`, or an operator instead of its method",
    "private-name": "choose a name without the underscore in front",
    "frame": "leave it out: a method sees its arguments and its object, not the interpreter that runs it",
    "power": 'ask a person to put the power into a slot, as in `account put clock {"$ref": "caps_obj.clock"}`',
    "unknown-name": "use what a method knows: its parameters and own names, slots as `self.name`, built-ins, modules",
    "policy": "write it in simpler Python: `python -m batos send OBJECT source SELECTOR` shows how others do",
    "match-pattern": "write `if` and `isinstance(value, kind)` instead of that case",
    "too-large": "split it into several methods that send to each other, as in `self.next_step(value)`",
    "computed-name": "write the slot's name out, as in `self.total = 1`, or send `self.put(name, value)`",
    "covenant-line": "leave `_p_changed` alone: batos puts `self._p_changed = True` where it is needed",
    "endless-loop": "give the loop an end: a condition that turns false, a `break` or a `return`",
    "escape": "call the function here and return its result, or make it a method of its own",
    "finally-exit": "move the `return`, `break` or `continue` out of the `finally`, behind it",
    "foreign-slot": "send the other object a message that changes it, as in `other.put('total', 1)`",
    "no-change": "leave the line out: it sets the slot to what it is",
    "needless-flag": "leave the line `self._p_changed = True` out: nothing changes here",
    "rebinds-self": "give the other thing a name of its own, as in `other = ...`",
    "unkeepable": "keep data in slots, and make behaviour a method of the object with `define`",
    "unproved": "change the slot in a line of its own, as in `self.rows.append(1)`",
    "with-exit": "give the answer a name inside the `with`, and return it behind it",
}


# What people write who come from elsewhere: (what stands in the line, what to write).
_ELSEWHERE = (
    ("```", "leave the marks of the chat out"),
    (">>>", "leave the prompt of the session out"),
    ("++", "Python has no `++`; write `x += 1`"),
    ("--", "Python has no `--`; write `x -= 1`"),
    ("&&", "write `and`"),
    ("||", "write `or`"),
    ("\u201c", "write plain quotes"),
    ("\u201d", "write plain quotes"),
    ("\u2018", "write plain quotes"),
    ("\u2019", "write plain quotes"),
    ("function ", "a method begins with `def name(self):`"),
    ("else if", "write `elif`"),
)


def elsewhere(line: str) -> str:
    """What to write in a line that is no Python, where it is the habit of another language or a chat; else nothing."""
    return next((advice for mark, advice in _ELSEWHERE if mark in line), "")


def remedy(rule: str | None) -> str:
    """What to do about a rule; for one of another part of batos only that something is to be changed."""
    return REMEDIES.get(rule or "", "change it")
