"""Powers: a clock, a log and a post, which a person hands to an object by putting one in a slot.

A method reaches what its object reaches and nothing beside: no time, no other object by name, no line
in a log.  `caps_obj` holds one of each power; `account put clock {"$ref": "caps_obj.clock"}` gives it
away, `account forget clock` takes it back.  Like a mirror, a post is made by a post and by nothing else:
a clone of one reaches nobody.

The world is handed in (`use_world`).  In a rehearsal it is the trial's: one moment that stands still, a
log that goes nowhere, and nobody beyond the circle, so that every draft meets the same world and none
touches ours.  What a power was used for is in the change record of the message like any other change:
lines of the log, what the moment was put in, what became of the objects that were sent to.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from typing import Any

from batos.errors import NoSuchObject, Refused, WrongArguments
from batos.objects.genesis import child
from batos.objects.lookup import send
from batos.objects.method import Method, primitive
from batos.objects.permission import writer
from batos.objects.traits import lobby_of
from batos.objects.uvm_object import UvmObject

LINES_KEPT = 200  # of a log: it is one record, written anew with every line
LINE = 2_000  # characters of a line
EVERYBODY = ("*",)
# 2026-01-01 12:00 UTC: of every rehearsal, so that a mission can be replayed and drafts can be compared.
TRIAL_MOMENT = 1_767_268_800.0

_now: Callable[[], float] = time.time
_named: Callable[[str], UvmObject | None] | None = None


def use_world(
    now: Callable[[], float] = time.time, named: Callable[[str], UvmObject | None] | None = None
) -> None:
    """Hand in the world: its clock (seconds since the epoch), and in a rehearsal who of its circle has a name."""
    global _now, _named
    _now, _named = now, named


def _moment() -> datetime.datetime:
    return datetime.datetime.fromtimestamp(_now(), datetime.UTC)


@primitive
def clock_now(self):
    """This moment, as a datetime in UTC."""
    return _moment()


@primitive
def clock_today(self):
    """Today's date, in UTC."""
    return _moment().date()


@primitive
def clock_seconds(self):
    """Seconds since the epoch (1970-01-01 in UTC)."""
    return _now()


@primitive
def log_note(self, text):
    """Write a line into the log; answers how many there are.  The newest 200 are kept."""
    if not isinstance(text, str):
        raise WrongArguments(f"a line of the log is a text, not a {type(text).__name__}")
    if _named is not None:
        return 1  # a rehearsal's log goes nowhere
    if "lines" not in self.__dict__:
        self.lines = []
    lines = self.__dict__["lines"]
    lines.append((_moment().isoformat(timespec="seconds"), writer().author, text[:LINE]))
    if len(lines) > LINES_KEPT:
        del lines[: len(lines) - LINES_KEPT]
    return len(lines)


def _reach_of(post: UvmObject) -> Any:
    post._p_activate()
    reach = post.__dict__.get("_reach")
    if reach is None and _named is None:
        raise Refused(
            "this post reaches nobody: only `caps_obj.post` and the posts it makes do, no clone of them",
            rule="capability", hint="have one put there: put post '{\"$ref\": \"caps_obj.post\"}'",
        )  # fmt: skip
    return reach


@primitive
def post_send_to(self, name, selector, *args, **kw):
    """Send a message to the object of that name in the lobby; a dotted path leads on through slots."""
    reach = _reach_of(self)
    if not isinstance(name, str) or not isinstance(selector, str):
        raise WrongArguments("send_to takes the name of an object, a selector, and the arguments")
    if reach not in (None, EVERYBODY) and name not in reach:
        raise Refused(f"this post reaches {', '.join(reach)}, and not {name!r}", rule="capability")
    return send(_resolved(self, name), selector, args, kw)


@primitive
def post_only_to(self, *names):
    """A post that reaches these names only, to be given away instead of this one."""
    reach = _reach_of(self)
    if not names or not all(isinstance(each, str) for each in names):
        raise WrongArguments("only_to takes the names that the new post shall reach")
    beyond = [each for each in names if reach not in (None, EVERYBODY) and each not in reach]
    if beyond:
        raise Refused(f"this post does not reach {beyond[0]!r} itself", rule="capability")
    post = UvmObject(*self._parents())
    for selector, name in POST.items():
        post._install(Method(selector, name))
    post._reach = tuple(names)
    if self._p_jar is not None:
        self._p_jar.add(post)  # it finds the lobby from now on, not only once it is kept
    return post


def _resolved(post: UvmObject, path: str) -> UvmObject:
    """The object a dotted path leads to from the lobby; what batos itself stands on has no name there."""
    first, *rest = path.split(".")
    if _named is not None:
        found: Any = _named(first)
        if found is None:
            raise Refused(f"the rehearsal has no {first!r} in its circle", rule="outside")
    else:
        lobby = lobby_of(post)
        found = None if lobby is None or first.startswith("_") else lobby._slots.get(first)
    for name in rest:
        found = None if name.startswith("_") else getattr(found, name, None)
    if not isinstance(found, UvmObject):
        raise NoSuchObject(f"the post finds no object {path!r} in the lobby")
    return found


CLOCK = {"now": "clock_now", "today": "clock_today", "seconds": "clock_seconds"}
LOG = {"note": "log_note"}
POST = {"send_to": "post_send_to", "only_to": "post_only_to"}


def caps(root: Any) -> None:
    """The part of genesis that makes `caps_obj` with its powers, or adds what they lack."""
    giver = child(root, "caps_obj")
    for name, words in (("clock", CLOCK), ("log", LOG), ("post", POST)):
        if name not in giver._slots:
            power = UvmObject(root["traits_obj"])
            power._name = f"caps_obj.{name}"
            root.connection.add(power)
            setattr(giver, name, power)
        power = giver._slots[name]
        for selector, of in words.items():
            if power._method(selector) is None:
                power._install(Method(selector, of))
        if name == "post" and "_reach" not in power.__dict__:
            power._reach = EVERYBODY
