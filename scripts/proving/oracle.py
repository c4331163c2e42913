"""The dynamic oracle: what a method really changes, and what of it the database would never be told.

It knows nothing of the analysis it judges.  A method runs on an object whose containers are plain, so
that only the covenant stands between a change and oblivion.  It runs once undisturbed; once for every
line it reaches with an exception thrown there; and once for every line with the object saved there.
Each time: does the state differ from what was saved last while the flag is down?  Then it is forgotten.
"""

from __future__ import annotations

import collections
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

from persistent import Persistent

DEPTH, NODES = 14, 4_000  # of one picture; what lies beyond is not looked at
LINES = 4_000  # a run that takes more is ended: it has no end, or is no use to us

_ATOMS = (int, float, complex, str, bytes, bool, type(None), type(...), range)
_BY_NAME = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType, types.CodeType)


class Thrown(Exception):
    """What the oracle throws into a method."""


class Endless(BaseException):
    """The run took more lines than the oracle waits for."""


class Jar:
    """As much of a connection as makes the flag of an object observable."""

    def register(self, obj: Persistent) -> None:
        pass

    def setstate(self, obj: Persistent) -> None:
        pass


def watched(obj: Persistent) -> Persistent:
    """The object as if just loaded: kept, and not changed."""
    obj._p_jar, obj._p_oid = Jar(), b"\0" * 8
    obj._p_changed = False
    return obj


def picture(value: Any) -> str:
    """The state that a pickle of the value would keep, as text; aliases within it are told apart."""
    seen: dict[int, int] = {}
    out: list[str] = []

    def draw(each: Any, depth: int) -> None:
        kind = type(each)
        if kind in _ATOMS:
            out.append(f"{each!r}")
        elif isinstance(each, _BY_NAME):
            out.append(f"<{getattr(each, '__qualname__', getattr(each, '__name__', kind.__name__))}>")
        elif id(each) in seen:
            out.append(f"&{seen[id(each)]}")
        elif depth > DEPTH or len(out) > 4 * NODES:
            out.append("...")
        else:
            if kind is not tuple:  # equal tuples are one value, whichever of them a text's constants make one object
                seen[id(each)] = len(seen)
            out.append(f"{kind.__name__}(")
            parts(each, kind, depth + 1)
            out.append(")")

    def parts(each: Any, kind: type, depth: int) -> None:
        if isinstance(each, types.MethodType):
            out.append(each.__func__.__qualname__)
            draw(each.__self__, depth)
            return
        if isinstance(each, (list, tuple, collections.deque)):
            for item in kind_iter(each):
                draw(item, depth)
        elif isinstance(each, dict):
            for key in list(dict.keys(each)):
                draw(key, depth)
                out.append(":")
                draw(dict.get(each, key), depth)
        elif isinstance(each, (set, frozenset)):
            out.extend(
                sorted(picture(item) for item in list(set.__iter__(each) if isinstance(each, set) else each))
            )
        elif isinstance(each, (bytearray,)):
            out.append(bytes(each).hex())
        state = getattr(each, "__dict__", None)
        if isinstance(state, dict):
            for name in list(state):
                if isinstance(name, str) and name.startswith(("_p_", "_v_")):
                    continue
                out.append(f" {name}=")
                draw(state[name], depth)
        for base in kind.__mro__:
            for name in _slots(base):
                try:
                    found = object.__getattribute__(each, name)
                except AttributeError:
                    continue
                out.append(f" {name}=")
                draw(found, depth)

    def kind_iter(each: Any) -> list[Any]:
        for base in (list, tuple, collections.deque):
            if isinstance(each, base):
                return list(base.__iter__(each))
        return []

    draw(value, 0)
    return "".join(out)


def _slots(kind: type) -> list[str]:
    if kind is Persistent or kind.__module__ == "builtins":
        return []
    named = vars(kind).get("__slots__", ())
    named = [named] if isinstance(named, str) else list(named)
    mangle = kind.__name__.lstrip("_")
    return [
        f"_{mangle}{name}" if name.startswith("__") and not name.endswith("__") else name
        for name in named
        if name not in ("__dict__", "__weakref__")
    ]


class Run:
    """One run of a call: how many lines it took, what was saved last, how it ended.

    `inside` says which code's lines count; at the line number `at` (from 1) the run throws `Thrown`, or
    with `save` takes what `look` shows as saved and lowers the flag with `lower`.
    """

    def __init__(
        self,
        call: Callable[[], Any],
        look: Callable[[], str],
        inside: Callable[[types.CodeType], bool],
        at: int | None = None,
        save: bool = False,
        lower: Callable[[], None] = lambda: None,
        steps: bool = False,
    ):
        self.lines = 0
        self.saved = self.before = look()
        self.looks: set[str] = set()
        self.reached: set[int] = set()

        def line(frame: types.FrameType, event: str, arg: Any) -> Any:
            if event == "line":
                self.lines += 1
                self.reached.add(frame.f_lineno)
                if self.lines > LINES:
                    raise Endless
                if steps and self.lines < 200:
                    self.looks.add(look())
                if self.lines == at:
                    if not save:
                        raise Thrown
                    self.saved = look()
                    lower()
            return line

        def enter(frame: types.FrameType, event: str, arg: Any) -> Any:
            return line if inside(frame.f_code) else None

        def outcome() -> Iterator[tuple[Any, BaseException | None]]:
            # A throw where a handler begins leaves CPython handling what that one caught: here until the
            # generator ends, without one in every test that follows.
            try:
                yield call(), None
            except Exception as exc:  # noqa: BLE001 - whatever a method raises is an answer of the run
                yield None, exc
            except Endless as exc:
                yield None, exc

        traced = sys.gettrace()
        sys.settrace(enter)
        try:
            self.answer, self.error = next(outcome())
        finally:
            sys.settrace(traced)
        self.after = look()


def forgotten(
    fresh: Callable[[], tuple[Persistent, Callable[[], Any]]],
    inside: Callable[[types.CodeType], bool],
    most: int = 200,
) -> list[str]:
    """What the database would not be told of, over every line of one call.

    `fresh` makes the same object and call anew.  With more than `most` lines, that many of them, evenly
    spread, are tried.
    """
    lost: list[str] = []

    def lost_in(where: str, at: int | None = None, save: bool = False) -> Run:
        obj, call = fresh()

        def lower() -> None:
            obj._p_changed = False

        run = Run(call, lambda: picture(obj), inside, at, save, lower)
        # A run that was saved and then failed is rolled back whole: nothing of it can be forgotten.
        failed_after_save = save and run.error is not None
        if run.after != run.saved and not obj._p_changed and not failed_after_save:
            lost.append(where)
        return run

    lines = lost_in("after the call").lines
    every = max(1, lines // most)
    for at in range(1, lines + 1, every):
        lost_in(f"thrown at line event {at}", at)
        lost_in(f"saved at line event {at}", at, True)
    return lost


def changing_lines(
    call: Callable[[], Any], look: Callable[[], str], code: types.CodeType, apart: set[types.CodeType]
) -> set[int]:
    """The lines of `code` at which the state was seen to change, those that call what changes it among them.

    What functions of the codes `apart` change is their own business: they flag it.
    """
    found: set[int] = set()
    at: int | None = None
    before = look()

    within = 0  # how many functions apart are running
    outermost: types.FrameType | None = None  # a recursion is another call: it flags what it changes

    def settle(line: int | None) -> None:
        nonlocal at, before
        now = look()
        if at is not None and now != before and not within:
            found.add(at)
        at, before = line, now

    def step(frame: types.FrameType, event: str, arg: Any) -> Any:
        settle(frame.f_lineno if event == "line" else at if event == "exception" else None)
        return step

    def elsewhere(frame: types.FrameType, event: str, arg: Any) -> Any:
        nonlocal within, before
        if event == "return":
            within -= 1
            before = look()
        return elsewhere

    def enter(frame: types.FrameType, event: str, arg: Any) -> Any:
        nonlocal within, outermost
        if frame.f_code in apart or (frame.f_code is code and outermost is not None):
            settle(at)
            within += 1
            return elsewhere
        if frame.f_code is not code or within:
            return None
        outermost = frame
        return step

    traced = sys.gettrace()
    sys.settrace(enter)
    try:
        call()
    except Exception:  # noqa: BLE001, S110 - whatever a method raises, its changes were seen
        pass
    finally:
        sys.settrace(traced)
    settle(None)
    return found
