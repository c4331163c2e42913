"""The object world against a model: slots, delegation, clones, identity, versions of methods, rebuilding.

The model is written from section 4 of the contract and knows nothing of batos: things with slots, parents
and methods, in plain Python.  Hypothesis drives both with the same messages, commits, aborts, empties the
cache, opens the image again, or goes on in an image made of its export; after every step both must answer
the same.  More of it by hand: `MODEL_EXAMPLES=2000 scripts/test tests/test_model.py` (runs).
"""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from batos.app import judge_in
from batos.config import Settings
from batos.errors import Ambiguous, BadRequest, BatosError, NotUnderstood
from batos.guardian.policy import compile_method
from batos.image import LivingImage
from batos.image.export import export
from batos.image.rebuild import import_
from batos.objects import Dict, List, Set, UvmObject, send, use_compiler
from batos.objects.genesis import genesis

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "60"))
STEPS = 30
MOST = 7  # things at once: enough for every shape of a family

DATA = ("a", "b", "c")  # these are data slots only
SELECTORS = ("m", "n")  # methods most of the time, and data slots now and then
WORDS = (
    "clone", "slots", "selectors", "parents", "describe", "get", "put", "forget", "define", "source",
    "versions", "revert", "responds_to", "become", "adopt", "disown",
)  # fmt: skip

# -- the model -----------------------------------------------------------------------------------------


@dataclass(eq=False)
class Thing:
    """An object: its data, whom it delegates to, and its methods with every version."""

    oid: int = 0
    slots: dict[str, Any] = field(default_factory=dict)
    parents: list[Thing] = field(default_factory=list)
    methods: dict[str, Versions] = field(default_factory=dict)


@dataclass(eq=False)
class Versions:
    """What one selector ever did: bodies from version 1 on, and which is installed."""

    bodies: list[tuple] = field(default_factory=list)
    current: int | None = None

    @property
    def body(self) -> tuple:
        return self.bodies[self.current - 1]


class Failure(Exception):
    """The code of the error that a message must end in."""


def own(thing: Thing, name: str) -> bool:
    return name in thing.slots or (name in thing.methods and thing.methods[name].current is not None)


def find(thing: Thing, name: str, path: frozenset = frozenset()) -> Thing | None:
    """Who answers `name` for a thing: itself, else the one whom its parents agree on."""
    return thing if own(thing, name) else find_above(thing, name, path)


def find_above(thing: Thing, name: str, path: frozenset = frozenset()) -> Thing | None:
    path = path | {thing}
    found: list[Thing] = []
    for parent in thing.parents:
        holder = find(parent, name, path) if parent not in path else None
        if holder is not None and holder not in found:
            found.append(holder)
    # The more special one wins: who delegates to another, without being delegated to by it.
    nearer = lambda one, other: above(one, other) and not above(other, one)  # noqa: E731
    left = [each for each in found if not any(nearer(other, each) for other in found)]
    if len(left) > 1:
        raise Failure("ambiguous")
    return left[0] if left else None


def above(thing: Thing, ancestor: Thing) -> bool:
    """Does `thing` delegate to `ancestor`, itself or through others?"""
    seen: set[Thing] = set()
    waiting = list(thing.parents)
    while waiting:
        each = waiting.pop()
        if each is ancestor and each is not thing:
            return True
        if each not in seen:
            seen.add(each)
            waiting.extend(each.parents)
    return False


def message(receiver: Thing, name: str) -> Any:
    """What a send without arguments answers."""
    return run(receiver, find(receiver, name), name, 0)


def run(receiver: Thing, holder: Thing | None, name: str, depth: int) -> Any:
    if holder is None:
        raise Failure("not_understood")
    if depth > 60:
        raise Failure("recursion")
    if name in holder.slots:
        return holder.slots[name]
    kind, detail = holder.methods[name].body
    if kind == "constant":
        return detail
    if kind == "slot":
        at = find(receiver, detail)
        if at is None:
            raise Failure("not_understood")
        return at.slots[detail]
    if kind == "send":
        return run(receiver, find(receiver, detail), detail, depth + 1)
    return run(receiver, find_above(holder, name), name, depth + 1)  # resend


@functools.cache
def judged(source: str, selector: str | None) -> Any:
    return judge_in(source, selector, UvmObject())


def source_of(selector: str, body: tuple) -> str:
    kind, detail = body
    answers = {
        "constant": repr(detail), "slot": f"self.{detail}", "send": f"self.{detail}()",
        "resend": f"self.resend({selector!r})",
    }  # fmt: skip
    return f"def {selector}(self):\n    return {answers[kind]}\n"


def installed(selector: str, body: tuple) -> str:
    """The source as the guardian lets it in: a send may change something, so flags are put around it."""
    return judged(source_of(selector, body), selector).source


# -- the machine ---------------------------------------------------------------------------------------


def judge(source: str, selector: str | None, _: UvmObject) -> Any:
    return judged(source, selector)


NUMBERS = st.integers(-3, 9)
ATOMS = st.one_of(NUMBERS, st.sampled_from(["", "text", None, True, 1.5, b"\x00", (1, (2,))]))
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from("pqr"), inner, max_size=2),
        st.sets(NUMBERS, max_size=3),
    ),
    max_leaves=5,
)  # fmt: skip
BODIES = {
    "m": st.one_of(
        st.tuples(st.just("constant"), NUMBERS), st.tuples(st.just("slot"), st.sampled_from(DATA)),
        st.just(("resend", None)),
    ),
    "n": st.one_of(st.tuples(st.just("constant"), NUMBERS), st.just(("send", "m")), st.just(("resend", None))),
}  # fmt: skip
NAMES = st.sampled_from(DATA)
SLOTS = st.dictionaries(st.sampled_from(DATA), VALUES, max_size=2)
WHICH = st.integers(0, MOST - 1)


class World(RuleBasedStateMachine):
    """A few things in a real image, and the same in the model."""

    def __init__(self):
        super().__init__()
        use_compiler(compile_method)
        self.folder = Path(tempfile.mkdtemp(prefix="batos-model-"))
        self.number = 0
        self.traits = Thing(methods={word: Versions([("primitive", word)], 1) for word in WORDS})
        self.things: list[Thing] = []
        self.open()

    def open(self) -> None:
        directory = self.folder / f"image{self.number}"
        self.image = LivingImage.open(directory, Settings(image=directory), judge=judge, birth=genesis)
        self.begin()

    def begin(self) -> None:
        self.turn = self.image.turn("a step")
        self.root = self.turn.__enter__()
        self.kept = copy.deepcopy((self.traits, self.things))

    def end(self) -> None:
        self.turn.__exit__(None, None, None)

    def give_up(self) -> None:
        with contextlib.suppress(Abandoned):
            self.turn.__exit__(Abandoned, Abandoned(), None)
        self.traits, self.things = self.kept

    def teardown(self) -> None:
        self.give_up()
        self.image.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def real(self, thing: Thing) -> UvmObject:
        return self.root.by_oid(f"0x{thing.oid:x}")

    def pick(self, which: int) -> Thing:
        return self.things[which % len(self.things)]

    def told(self, thing: Thing, obj: UvmObject) -> None:
        thing.oid = int.from_bytes(obj._p_oid, "big")
        self.things.append(thing)

    # -- objects and slots -------------------------------------------------------------------------

    @initialize(made=st.lists(SLOTS, min_size=3, max_size=5))
    def some(self, made):
        for slots in made:
            self.make(slots)
        self.commit()

    @precondition(lambda self: len(self.things) < MOST)
    @rule(slots=SLOTS)
    def make(self, slots):
        name = f"thing_{self.number}_{len(self.things)}_{os.urandom(4).hex()}"
        obj = send(self.root["lobby"], "clone", (), {"called": name, **copy.deepcopy(slots)})
        self.told(Thing(slots=slots, parents=[self.traits]), obj)

    @precondition(lambda self: 0 < len(self.things) < MOST)
    @rule(which=WHICH, value=VALUES, given=st.booleans())
    def clone(self, which, value, given):
        thing = self.pick(which)
        name = f"clone_{self.number}_{len(self.things)}_{os.urandom(4).hex()}"
        more = {"b": value} if given else {}
        obj = send(self.real(thing), "clone", (), {"called": name, **copy.deepcopy(more)})
        memo = {
            id(each): each for each in (*self.things, self.traits)
        }  # objects are shared, containers copied
        made = Thing(
            slots=copy.deepcopy(thing.slots, memo),
            parents=list(thing.parents),
            methods={each: Versions(list(past.bodies), past.current) for each, past in thing.methods.items()},
        )
        made.slots |= more
        self.told(made, obj)

    @rule(which=WHICH, name=st.sampled_from(DATA + SELECTORS), value=VALUES)
    def put(self, which, name, value):
        thing = self.pick(which)
        taken = name in thing.methods and thing.methods[name].current is not None
        with self.expect(BadRequest if taken else None):
            send(self.real(thing), "put", (name, copy.deepcopy(value)))
        if not taken:
            thing.slots[name] = value

    @rule(which=WHICH, other=WHICH, name=NAMES, into=NAMES, inside=st.booleans())
    def share(self, which, other, name, into, inside):
        """Two slots with the very same value, or an object in a slot."""
        thing, giver = self.pick(which), self.pick(other)
        if name in giver.slots:
            value, real = giver.slots[name], self.real(giver)._slots[name]
        else:
            value, real = giver, self.real(giver)
        if inside and isinstance(thing.slots.get(into), list) and value is not thing:
            self.real(thing)._slots[into].append(real)
            thing.slots[into].append(value)
        else:
            send(self.real(thing), "put", (into, real))
            thing.slots[into] = value

    @rule(which=WHICH, name=st.sampled_from(DATA), value=NUMBERS)
    def change_inside(self, which, name, value):
        thing = self.pick(which)
        held = thing.slots.get(name)
        real = self.real(thing)._slots.get(name)
        if isinstance(held, list):
            held.append(value), real.append(value)
        elif isinstance(held, dict):
            held[f"k{value}"] = value
            real[f"k{value}"] = value
        elif isinstance(held, set):
            held.symmetric_difference_update({value})
            real.symmetric_difference_update({value})

    @rule(which=WHICH, name=st.sampled_from(DATA + SELECTORS))
    def forget(self, which, name):
        thing = self.pick(which)
        with self.expect(None if own(thing, name) else NotUnderstood):
            answer = send(self.real(thing), "forget", (name,))
        if not own(thing, name):
            return
        if name in thing.slots:
            self.same(thing.slots.pop(name), answer, {})
        else:
            assert answer == installed(name, thing.methods[name].body)
            thing.methods[name].current = None

    # -- delegation and identity -------------------------------------------------------------------

    @rule(which=WHICH, other=WHICH)
    def adopt(self, which, other):
        thing, parent = self.pick(which), self.pick(other)
        with self.expect(BadRequest if thing is parent else None):
            send(self.real(thing), "adopt", (self.real(parent),))
        if thing is not parent and parent not in thing.parents:
            thing.parents.append(parent)

    @rule(which=WHICH, one=WHICH, two=WHICH, name=st.sampled_from(DATA))
    def inherit_from_two(self, which, one, two, name):
        """The shape that lookup is about: no slot of its own, and two who may have one."""
        self.adopt(which, one)
        self.adopt(which, two)
        if own(self.pick(which), name):
            self.forget(which, name)

    @rule(which=WHICH, other=st.integers(0, MOST))
    def disown(self, which, other):
        thing = self.pick(which)
        parent = self.traits if other == MOST else self.pick(other)
        left = [each for each in thing.parents if each is not parent]
        helpless = not any(each is self.traits or above(each, self.traits) for each in left)
        if helpless and parent in thing.parents:
            wanted = BadRequest
        else:
            wanted = None if parent in thing.parents else NotUnderstood
        real = self.root["traits_obj"] if parent is self.traits else self.real(parent)
        with self.expect(wanted):
            send(self.real(thing), "disown", (real,))
        if wanted is None:
            thing.parents = left

    @rule(which=WHICH, other=WHICH)
    def become(self, which, other):
        one, two = self.pick(which), self.pick(other)
        impossible = one is not two and (above(one, two) or above(two, one))
        with self.expect(BadRequest if impossible else None):
            send(self.real(one), "become", (self.real(two),))
        if not impossible:
            for name in ("slots", "parents", "methods"):
                mine, theirs = getattr(one, name), getattr(two, name)
                setattr(one, name, theirs), setattr(two, name, mine)

    # -- methods and their versions ----------------------------------------------------------------

    @rule(which=WHICH, selector=st.sampled_from(SELECTORS), data=st.data())
    def define(self, which, selector, data):
        thing, body = self.pick(which), data.draw(BODIES[selector])
        with self.expect(BadRequest if selector in thing.slots else None):
            answer = send(self.real(thing), "define", (source_of(selector, body),))
        if selector not in thing.slots:
            past = thing.methods.setdefault(selector, Versions())
            past.bodies.append(body)
            past.current = len(past.bodies)
            assert (answer["selector"], answer["version"]) == (selector, past.current)

    @rule(which=WHICH, selector=st.sampled_from(SELECTORS), version=st.none() | st.integers(0, 4))
    def revert(self, which, selector, version):
        thing = self.pick(which)
        past = thing.methods.get(selector)
        wanted, to = None, version
        if past is None:
            wanted = NotUnderstood
        elif version is None:
            to = len(past.bodies) if past.current is None else past.current - 1
        if past is not None and not 1 <= to <= len(past.bodies):
            wanted = NotUnderstood
        elif past is not None and selector in thing.slots:
            wanted = BadRequest
        with self.expect(wanted):
            answer = send(self.real(thing), "revert", (selector, version))
        if wanted is None:
            assert answer == to
            past.current = to

    # -- what happens to images --------------------------------------------------------------------

    @rule()
    def commit(self):
        self.end()
        self.begin()

    @rule()
    def abort(self):
        self.give_up()
        self.begin()

    @rule()
    def empty_the_cache(self):
        self.root.connection.cacheMinimize()

    @rule()
    def sleep_and_awake(self):
        self.end()
        self.image.close()
        self.open()

    @rule()
    def go_on_in_a_rebuilt_image(self):
        self.end()
        one, two = self.folder / "one", self.folder / "two"
        told = export(self.image, one)
        self.image.close()
        self.number += 1
        assert import_(
            one, self.folder / f"image{self.number}", judge=judge
        ) == {**told, "refused": []}  # fmt: skip
        self.open()
        assert export(self.image, two) == told

    # -- both answer the same ----------------------------------------------------------------------

    @contextlib.contextmanager
    def expect(self, error: type[BatosError] | None):
        if error is None:
            yield
            return
        try:
            yield
        except error:
            return
        raise AssertionError(f"{error.__name__} was expected")

    @invariant()
    def both_answer_the_same(self):
        pairs: dict[int, Any] = {}
        for thing in self.things:
            obj = self.real(thing)
            told = send(obj, "slots")["own"]
            assert list(told) == list(thing.slots)
            for name, value in thing.slots.items():
                self.same(value, told[name], pairs)
            assert [each._p_oid for each in send(obj, "parents")] == [
                self.root["traits_obj"]._p_oid if each is self.traits else each.oid.to_bytes(8, "big")
                for each in thing.parents
            ]
            own_methods = sorted(each for each, past in thing.methods.items() if past.current is not None)
            assert send(obj, "selectors")["own"] == own_methods
            for selector, past in thing.methods.items():
                if own(thing, selector) and selector not in thing.slots:
                    versions = send(obj, "versions", (selector,))
                    assert [each["source"] for each in versions] == [
                        installed(selector, body) for body in past.bodies
                    ]
                    assert [each["version"] for each in versions if each["installed"]] == [past.current]
            for name in DATA + SELECTORS:
                self.ask(thing, obj, name, pairs)

    def ask(self, thing: Thing, obj: UvmObject, name: str, pairs: dict[int, Any]) -> None:
        """One message to both; the same value, or the same error."""
        try:
            wanted: Any = message(thing, name)
            code = None
        except Failure as failure:
            code = str(failure)
        try:
            got = send(obj, name)
        except (Ambiguous, NotUnderstood, RecursionError) as exc:
            assert code == ("recursion" if isinstance(exc, RecursionError) else exc.code), (name, exc)
        else:
            assert code is None, f"{name} answered {got!r} and not {code}"
            self.same(wanted, got, pairs)

    def same(self, value: Any, real: Any, pairs: dict[int, Any]) -> None:
        """The same value; what is one container in the model is one in the image."""
        if isinstance(value, Thing):
            assert real._p_oid == value.oid.to_bytes(8, "big")
        elif isinstance(value, (list, dict, set)):
            assert type(real) is {list: List, dict: Dict, set: Set}[type(value)]
            if id(value) in pairs:
                assert pairs[id(value)] is real
                return
            assert not any(each is real for each in pairs.values())
            pairs[id(value)] = real
            assert len(value) == len(real)
            if isinstance(value, set):
                assert value == real.data
            elif isinstance(value, dict):
                assert list(value) == list(real)
                for key in value:
                    self.same(value[key], real[key], pairs)
            else:
                for left, right in zip(value, real, strict=True):
                    self.same(left, right, pairs)
        else:
            assert value == real and type(value) is type(real)


class Abandoned(Exception):
    """A turn is taken back on purpose."""


World.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
test_the_image_answers_as_the_model_whatever_happens_between = World.TestCase
