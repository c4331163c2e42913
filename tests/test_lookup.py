"""Lookup: what is remembered of it is never wrong, whoever changes what, and a send knows nothing stale."""

from __future__ import annotations

import threading

import pytest
import transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from ZODB import DB
from ZODB.DemoStorage import DemoStorage

from batos.app import judge_in
from batos.config import Settings
from batos.errors import Ambiguous, BadRequest, NotUnderstood, ReadOnly, Refused, WrongArguments
from batos.guardian.policy import compile_method
from batos.image.image import LivingImage
from batos.objects import Missed, UvmObject, send, traits, use_compiler
from batos.objects.dispatch import MISSING, changed, dispatch, lookup, search, structure_changed
from batos.objects.genesis import genesis
from batos.objects.lookup import Elsewhere, activated, activation, elsewhere
from batos.objects.method import Method, primitive
from batos.objects.undo_log import AFTER, BEFORE, UndoLog, apply, noting


@pytest.fixture(autouse=True)
def policy_compiler():
    """Methods compile as they do in an image: it is their sends that are looked at."""
    before = use_compiler(compile_method)
    yield
    use_compiler(before)
    structure_changed()


class World:
    """A storage in memory, its objects seen through a connection; other connections may be opened beside it."""

    def __init__(self):
        self.db = DB(DemoStorage())
        self.manager = transaction.TransactionManager(explicit=True)
        self.connection = self.db.open(self.manager)
        self.manager.begin()
        self.root = self.connection.root()

    def add(self, name: str, *parents: UvmObject, **slots) -> UvmObject:
        obj = self.root[name] = UvmObject(*parents, **slots)
        obj._name = name
        self.connection.add(obj)
        return obj

    def commit(self) -> None:
        self.manager.commit()
        self.manager.begin()

    def abort(self) -> None:
        self.manager.abort()
        structure_changed()  # as the image does
        self.manager.begin()

    def begin_again(self) -> None:
        """A new transaction, which takes in what others have committed."""
        self.manager.abort()
        self.manager.begin()
        structure_changed()  # as the image does

    def close(self) -> None:
        self.manager.abort()
        self.connection.close()
        self.db.close()


@pytest.fixture
def world():
    made = World()
    made.add("traits_obj")._methods = traits.make_traits()._methods
    yield made
    made.close()


def method(obj: UvmObject, source: str) -> None:
    selector = source.split("def ")[1].split("(")[0]
    made = (obj._method(selector) or Method(selector)).private()
    made.add_version(source, "test", "accepted")
    obj._install(made)


# -- what is remembered is never wrong ---------------------------------------------------------------------

OBJECTS, NAMES = 5, ("a", "b")
which, name = st.integers(0, OBJECTS - 1), st.sampled_from(NAMES)
change = st.one_of(
    st.tuples(st.sampled_from(["put", "drop", "define", "forget", "revert", "clone"]), which, name),
    st.tuples(st.sampled_from(["adopt", "disown", "become", "look"]), which, which),
)
step = st.one_of(
    change,
    st.tuples(st.sampled_from(["commit", "abort", "ghosts", "begin"])),
    st.tuples(st.sampled_from(["rolled_back", "undone", "redone"]), st.lists(change, max_size=4)),
    st.tuples(st.just("elsewhere"), st.lists(change, max_size=3)),
)


class Edits:
    """Random edits of five objects; after each one every cached lookup is compared with an uncached walk."""

    def __init__(self):
        self.world = World()
        for number in range(OBJECTS):
            self.world.add(f"o{number}")
        for child, parent in ((1, 0), (2, 0), (3, 1), (3, 2), (4, 3)):  # a diamond, and a chain below it
            self.object(child)._adopt(self.object(parent))
        self.object(0).a = self.object(0).b = 0
        self.world.commit()
        self.count = 0

    def object(self, number: int, root=None) -> UvmObject:
        return (root or self.world.root)[f"o{number}"]

    def change(self, what: str, number: int, other, root=None) -> None:
        obj = self.object(number, root)
        self.count += 1
        if what in ("adopt", "disown", "become", "look"):
            other = self.object(other, root)
        try:
            if what == "put":
                setattr(obj, other, self.count)
            elif what == "drop":
                delattr(obj, other)
            elif what == "define":
                method(obj, f"def {other}(self):\n    return {self.count}")
            elif what == "forget":
                traits.PRIMITIVES["forget"](obj, other)
            elif what == "revert":
                traits.PRIMITIVES["revert"](obj, other)
            elif what == "clone":
                (root or self.world.root)[f"o{number}"] = clone = obj._clone_persistent_()
                clone._p_jar or obj._p_jar.add(clone)
            elif what == "adopt":
                obj._adopt(other)
            elif what == "disown":
                obj._disown(other)
            elif what == "become" and obj is not other:
                mine, theirs = dict(obj.__dict__), dict(other.__dict__)
                self.swap(obj, theirs), self.swap(other, mine)
        except (BadRequest, NotUnderstood, AttributeError):
            pass

    def swap(self, obj: UvmObject, state: dict) -> None:
        obj._p_changed = True
        obj.__dict__.clear()
        obj.__dict__.update(state)
        changed(obj)

    def do(self, what: str, *given) -> None:
        if what == "commit":
            self.world.commit()
        elif what == "abort":
            self.world.abort()
        elif what == "ghosts":
            self.world.commit()
            self.world.connection.cacheMinimize()
        elif what == "begin":
            self.world.begin_again()
        elif what == "elsewhere":
            self.world.commit()
            manager = transaction.TransactionManager(explicit=True)
            with_other = self.world.db.open(manager)
            manager.begin()
            for each in given[0]:
                self.change(*each, root=with_other.root())
            self.check(with_other.root())
            self.check(self.world.root)  # nobody sees what is not committed
            manager.commit()
            with_other.close()
            self.check(self.world.root)
            self.world.begin_again()
        elif what in ("rolled_back", "undone", "redone"):
            self.world.commit()
            with noting(UndoLog()) as log:
                for each in given[0]:
                    self.change(*each)
            self.check(self.world.root)
            if what == "rolled_back":
                log.rollback(set())
            else:
                entries = log.entries()
                for side in (BEFORE, AFTER)[: 1 if what == "undone" else 2]:
                    for entry in entries if side else reversed(entries):
                        apply(entry, side)
                        self.check(self.world.root)
        else:
            self.change(what, *given)

    def check(self, root) -> None:
        for number in range(OBJECTS):
            obj = self.object(number, root)
            for each in NAMES:
                try:
                    holder, found = search(obj, each)
                except Ambiguous:
                    with pytest.raises(Ambiguous):
                        send(obj, each)
                    continue
                if found is MISSING:
                    with pytest.raises(Missed):
                        send(obj, each)
                    continue
                assert lookup(obj, each) == (holder, found)
                told = int(found.source.split()[-1]) if isinstance(found, Method) else found
                assert send(obj, each) == told


@settings(max_examples=120, deadline=None)
@given(st.lists(step, max_size=15))
def test_a_cached_send_finds_what_a_walk_along_the_parents_finds_after_any_edits(steps):
    structure_changed()
    edits = Edits()
    edits.check(edits.world.root)
    try:
        for each in steps:
            edits.do(*each)
            edits.check(edits.world.root)
    finally:
        edits.world.close()


# -- what drops it, and what does not --------------------------------------------------------------------


def test_a_new_value_in_a_slot_and_new_objects_drop_nothing(world):
    parent = world.add("parent", world.root["traits_obj"], rate=1, x=0)
    method(parent, "def worth(self):\n    return self.rate * 2")
    method(parent, "def breed(self):\n    return self.clone(x=5, y=6)")
    child = world.add("child", parent, rate=3)
    assert (send(child, "worth"), send(child, "rate"), send(child, "x")) == (6, 3, 0)
    send(child, "breed")
    known = dispatch[child]
    child.rate = 4
    parent.x = 9
    send(child, "breed")
    world.commit()
    assert dispatch[child] is known and {"worth", "rate", "x", "breed"} <= set(known)
    assert (send(child, "worth"), send(child, "rate"), send(child, "x")) == (8, 4, 9)


def test_an_object_that_nobody_keeps_is_not_kept_by_what_is_remembered():
    loose = UvmObject(x=1)
    assert send(loose, "x") == 1
    assert loose not in dispatch


def test_what_is_remembered_is_bounded(world, monkeypatch):
    monkeypatch.setattr("batos.objects.dispatch.MOST", 100)
    parent = world.add("parent", world.root["traits_obj"])
    method(parent, "def one(self):\n    return 1")
    for number in range(250):
        world.connection.add(obj := UvmObject(parent, number=number))
        assert send(obj, "one") == 1 and send(obj, "number") == number
    assert 1 < len(dispatch) <= 100


def test_two_connections_in_two_threads_never_serve_each_other(world):
    world.add("account", world.root["traits_obj"])
    method(world.root["account"], "def one(self):\n    return 1")
    world.commit()
    wrong, stop = [], threading.Event()

    def think(mark):
        manager = transaction.TransactionManager(explicit=True)
        connection = world.db.open(manager)
        try:
            while not stop.is_set():
                manager.begin()
                account = connection.root()["account"]
                method(account, f"def one(self):\n    return {mark}")
                wrong.extend(each for _ in range(20) if (each := send(account, "one")) != mark)
                manager.abort()
                structure_changed()
        finally:
            connection.close()

    threads = [threading.Thread(target=think, args=(mark,)) for mark in (2, 3)]
    for each in threads:
        each.start()
    for _ in range(400):
        wrong.extend(each for _ in range(20) if (each := send(world.root["account"], "one")) != 1)
    stop.set()
    for each in threads:
        each.join()
    assert not wrong


def test_a_method_that_redefines_itself_is_another_at_the_next_send(world):
    account = world.add("account", world.root["traits_obj"])
    method(
        account,
        "def twice(self):\n    was = self.answer()\n    self.change()\n    return [was, self.answer()]",
    )
    method(account, "def answer(self):\n    return 1")

    @primitive
    def change(self):
        method(self, "def answer(self):\n    return 2")

    account._install(Method("change", "change"))
    assert send(account, "twice") == [1, 2]


# -- sends of compiled methods ---------------------------------------------------------------------------


def test_every_number_of_arguments_is_a_send_on_an_object_and_a_call_on_a_value(world):
    account = world.add("account", world.root["traits_obj"], words=["b", "a"])
    method(account, "def say(self, *args, **kw):\n    return [len(args), sorted(kw)]")
    method(
        account,
        "def all_of_them(self):\n    more = [1, 2]\n    return [self.say(), self.say(1), self.say(1, 2), "
        "self.say(1, 2, 3), self.say(*more), self.say(1, b=2), self.say(**{'c': 1})]",
    )
    assert send(account, "all_of_them") == [
        [0, []], [1, []], [2, []], [3, []], [2, []], [1, ["b"]], [0, ["c"]],
    ]  # fmt: skip
    method(
        account,
        "def values(self):\n    return ['a b'.split(), 'a-b'.split('-'), 'a-b'.replace('-', '+'), "
        "sorted(self.words)]",
    )
    assert send(account, "values") == [["a", "b"], ["a", "b"], "a+b", ["a", "b"]]


def test_wrong_arguments_inside_a_method_are_told_and_a_type_error_of_the_method_is_its_own(world):
    account = world.add("account", world.root["traits_obj"], balance=1)
    method(account, "def pay(self, amount):\n    return amount + 'x'")
    for call in (
        "self.pay()",
        "self.pay(1, 2)",
        "self.pay(1, 2, 3)",
        "self.pay(2, amount=1)",
        "self.balance(1)",
    ):
        method(account, f"def try_it(self):\n    return {call}")
        with pytest.raises(WrongArguments):
            send(account, "try_it")
    method(account, "def try_it(self):\n    return self.pay(1)")
    with pytest.raises(TypeError) as caught:
        send(account, "try_it")
    assert not isinstance(caught.value, WrongArguments)


def test_a_miss_inside_a_method_names_who_missed_what(world):
    account = world.add("account", world.root["traits_obj"])
    method(account, "def try_it(self):\n    return self.frobnicate(1, k=2)")
    with pytest.raises(Missed) as caught:
        send(account, "try_it")
    missed = caught.value
    assert (missed.selector, missed.arguments, missed.keywords) == ("frobnicate", (1,), {"k": 2})


def test_a_resend_begins_at_the_parents_of_whoever_holds_the_method(world):
    top = world.add("top", world.root["traits_obj"])
    middle = world.add("middle", top)
    bottom = world.add("bottom", middle)
    source = "def story(self, *more):\n    return [self.mark, *self.resend('story', *more)]"
    method(top, "def story(self, *more):\n    return list(more)")
    method(middle, source), method(bottom, source)  # one source, two holders
    mine = world.add("mine", bottom, mark="m")
    assert send(mine, "story", (1, 2)) == ["m", "m", 1, 2]
    method(bottom, "def story(self):\n    return [(lambda: self.resend('story'))()]")
    assert send(mine, "story") == [["m"]]
    bottom._disown(middle), bottom._adopt(world.root["traits_obj"])
    with pytest.raises(NotUnderstood, match="no parent of"):
        send(mine, "story")
    assert "_holder_" not in "".join(bottom._method("story").signature())


def test_a_method_that_calls_itself_without_end_ends(world):
    account = world.add("account", world.root["traits_obj"])
    method(account, "def round(self):\n    return self.round()")
    method(account, "def deep(self, n):\n    return 0 if n == 0 else 1 + self.deep(n - 1)")
    with pytest.raises(RecursionError):
        send(account, "round")
    assert send(account, "deep", (200,)) == 200


def test_slow_work_is_refused_inside_a_method_and_done_elsewhere_for_a_message_of_its_own(world):
    @primitive
    def ponder(self):
        elsewhere(lambda: 42)

    account = world.add("account", world.root["traits_obj"])
    account._install(Method("ponder", "ponder"))
    with activated(activation()), pytest.raises(Elsewhere) as left:
        send(account, "ponder")
    assert left.value.work() == 42
    method(account, "def hurry(self):\n    return self.ponder()")
    with pytest.raises(Refused, match="no turn may wait"):
        send(account, "hurry")


def test_a_ghost_reads_as_if_it_were_loaded(world):
    account = world.add("account", world.root["traits_obj"], balance=7, tags=["a"])
    method(account, "def look(self):\n    return [self.balance, list(self.tags)]")
    world.commit()
    for read in (
        lambda: send(account, "look"), lambda: account.balance, lambda: account._slots["balance"],
        lambda: send(account, "balance"), lambda: getattr(account, "parent*"), lambda: account._born,
    ):  # fmt: skip
        world.connection.cacheMinimize()
        assert account._p_changed is None
        try:
            read()
        except AttributeError as exc:
            assert "_born" in str(exc)
        assert account._p_changed is not None
    account.balance = 8
    assert account._p_changed


# -- in an image ---------------------------------------------------------------------------------------------


@pytest.fixture
def image(image_dir):
    with LivingImage.open(image_dir, Settings(), judge=judge_in, birth=genesis) as opened:
        opened.run("account", lambda root: send(root["lobby"], "clone", (), {"called": "account"})._p_oid)
        opened.run("one", lambda root: send(root.account, "define", ("def one(self):\n    return 1",)))
        yield opened


def test_a_commit_that_fails_takes_its_methods_back_from_every_later_send(image, monkeypatch):
    def change(root):
        send(root.account, "define", ("def one(self):\n    return 2",))
        send(root.account, "define", ("def two(self):\n    return 2",))
        return [send(root.account, "one"), send(root.account, "two")]

    full = lambda wanted=0: (_ for _ in ()).throw(ReadOnly("the disk is full; nothing was changed"))  # noqa: E731
    assert image.run("look", lambda root: send(root.account, "one")) == 1
    with monkeypatch.context() as patched:
        patched.setattr(image, "check_space", full)
        with pytest.raises(ReadOnly):
            image.run("change", change)
        with pytest.raises(ReadOnly), image.turn("change") as root:
            change(root)
    for run in (image.run, lambda why, function: _in_a_turn(image, function)):
        assert run("look", lambda root: send(root.account, "one")) == 1
        with pytest.raises(Missed):
            run("look", lambda root: send(root.account, "two"))
    assert image.run("change", change) == [2, 2]


def _in_a_turn(image, function):
    with image.turn("look") as root:
        return function(root)


def test_what_a_mission_installs_is_found_by_the_next_send_of_everybody(image):
    look = lambda root: send(root.account, "one")  # noqa: E731
    assert image.run("look", look) == 1
    with image.mission_transaction() as root:
        assert look(root) == 1
        method(root.account, "def one(self):\n    return 2")
        assert look(root) == 2
        assert image.run("look", look) == 1, "nobody sees what a mission has not committed"
        image.commit_mission(root, "learned", "batos", "m1", [], lambda root: None).result(10)
    assert image.run("look", look) == 2
    with image.past(None) as connection:
        assert send(connection.root()["lobby"].account, "one") == 2
