"""Objects: slots, parents, sends, clones, and what ordinary Python finds when it pokes at them."""

from __future__ import annotations

import copy
import datetime
import decimal
import fractions
import inspect
import json
import pickle
import pprint
import threading
import zoneinfo
from unittest import mock

import pytest
from BTrees.OOBTree import OOBTree
from persistent import Persistent
from transaction import TransactionManager
from ZODB import DB
from ZODB.DemoStorage import DemoStorage

from batos.errors import Ambiguous, BadRequest, NotUnderstood, Refused, WrongArguments
from batos.guardian.policy import compile_method
from batos.image.root import Root
from batos.objects import Dict, List, Missed, Set, UvmObject, send, traits, use_compiler
from batos.objects.genesis import genesis
from batos.objects.lookup import lookup, one_slip
from batos.objects.method import PRIMITIVES, Method
from batos.objects.mirrors import MIRROR, mirrors
from batos.objects.plain import NotPlain, decode, encode, plain
from batos.objects.snapshot import OutsideCircle, from_data, to_data


@pytest.fixture(autouse=True)
def plain_compiler():
    """These stories are about objects, not about the policy: methods compile as plain Python."""

    def compile_plainly(source):
        names = {}
        exec(source, names)  # noqa: S102
        return next(value for value in names.values() if inspect.isfunction(value))

    before = use_compiler(compile_plainly)
    yield
    use_compiler(before)


@pytest.fixture
def basis():
    return UvmObject(traits.make_traits())


def method(obj, source):
    selector = source.split("def ")[1].split("(")[0]
    made = (obj._method(selector) or Method(selector)).private()
    made.add_version(source, "test", "accepted")
    obj._install(made)


def test_an_assignment_makes_an_own_slot_and_leaves_the_prototype_alone(basis):
    account = UvmObject(basis, balance=100)
    savings = UvmObject(account)
    savings.balance = 5
    assert (account.balance, savings.balance) == (100, 5)
    assert savings._slots["balance"] == 5 and savings._slots["parent*"] is account


def test_a_method_found_on_a_parent_runs_with_the_receiver_as_self(basis):
    account = UvmObject(basis, balance=100)
    method(account, "def double(self):\n    self.balance = self.balance * 2\n    return self.balance")
    mine = UvmObject(account, balance=7)
    assert send(mine, "double") == 14
    assert (mine.balance, account.balance) == (14, 100)


def test_data_and_methods_share_one_namespace(basis):
    account = UvmObject(basis, balance=100)
    method(account, "def fee(self):\n    return 3")
    with pytest.raises(BadRequest, match="is a method of") as caught:
        account.fee = 4
    assert "forget fee" in caught.value.hint
    with pytest.raises(BadRequest, match="is a data slot of"):
        method(account, "def balance(self):\n    return 3")
    child = UvmObject(account)
    child.fee = 9  # an own slot shadows what a parent has
    assert send(child, "fee") == 9


def test_a_data_slot_takes_no_arguments(basis):
    with pytest.raises(WrongArguments):
        send(UvmObject(basis, balance=1), "balance", (5,))


def test_two_unrelated_parents_that_both_answer_are_reported_and_a_diamond_is_not(basis):
    top = UvmObject(basis, colour="red")
    left, right = UvmObject(top), UvmObject(top)
    both = UvmObject(left, right)
    assert both.colour == "red"
    left.colour = "blue"  # left delegates to top, so it is the nearer answer
    assert both.colour == "blue"
    right.colour = "green"
    with pytest.raises(Ambiguous, match="colour"):
        send(both, "colour")


def test_parents_may_go_round_in_circles(basis):
    a, b = UvmObject(basis), UvmObject(basis)
    a._adopt(b), b._adopt(a)
    b.name = "b"
    assert a.name == "b"
    with pytest.raises(NotUnderstood):
        send(a, "nothing_of_that_name")


def test_parents_are_looked_at_in_their_order_and_the_nearer_of_two_wins(basis):
    first, second = UvmObject(basis, mark="first", only="one"), UvmObject(basis, mark="second", other="two")
    both = UvmObject(first, second)
    assert [each.mark for each in both._parents()] == ["first", "second"]
    assert (both.only, both.other) == ("one", "two")
    with pytest.raises(Ambiguous) as caught:
        send(both, "mark")
    assert "put a slot 'mark' of its own there" in caught.value.hint
    both.mark = "own"
    assert send(both, "mark") == "own"
    del both.mark
    second._adopt(first)  # now second delegates to first, and is the nearer one
    assert send(both, "mark") == "second"
    send(both, "disown", (second,))
    assert send(both, "mark") == "first"


def test_two_parents_that_delegate_to_each_other_and_both_answer_are_reported(basis):
    one, other = UvmObject(basis, mark=1), UvmObject(basis, mark=2)
    one._adopt(other), other._adopt(one)
    with pytest.raises(Ambiguous):
        send(UvmObject(one, other), "mark")
    assert send(UvmObject(one), "mark") == 1


def test_resend_goes_to_the_parents_of_the_holder_with_the_same_self(basis):
    use_compiler(compile_method)
    account = UvmObject(basis, balance=10)
    method(account, "def worth(self):\n    return self.balance")
    gold = UvmObject(account, balance=50)
    method(gold, "def worth(self):\n    return self.resend('worth') * 2")
    mine = UvmObject(gold, balance=3)
    assert send(mine, "worth") == 6


def test_only_a_public_selector_can_be_missed(basis):
    with pytest.raises(Missed) as caught:
        send(UvmObject(basis), "frobnicate", (1,), {"b": 2})
    assert (caught.value.selector, caught.value.arguments, caught.value.keywords) == (
        "frobnicate",
        (1,),
        {"b": 2},
    )
    with pytest.raises(NotUnderstood) as caught:
        send(UvmObject(basis), "_secret")
    assert not isinstance(caught.value, Missed)


def test_wrong_arguments_are_told_with_the_signature_and_a_type_error_inside_is_not_mistaken_for_them(basis):
    account = UvmObject(basis)
    method(account, "def pay(self, amount):\n    return amount + 'x'")
    with pytest.raises(WrongArguments, match=r"\(amount\)"):
        send(account, "pay")
    with pytest.raises(TypeError) as caught:
        send(account, "pay", (5,))
    assert not isinstance(caught.value, WrongArguments)


PROBES = """__array__ __array_interface__ __array_struct__ __await__ __aiter__ __anext__ __bytes__ __ceil__ __complex__
__contains__ __conform__ __copy_me__ __enter__ __exit__ __float__ __fspath__ __getinitargs__ __getnewargs__
__getnewargs_ex__ __html__ __index__ __int__ __iter__ __len__ __length_hint__ __next__ __numpy_ufunc__ __objclass__
__origin__ __parameters__ __pretty__ __provides__ __providedBy__ __rich__ __rich_repr__ __signature__ __text_signature__
__wrapped__ __trunc__ _asdict _fields _ipython_canary_method_should_not_exist_ _ipython_display_ _is_coroutine _is_mock
_mock_methods _repr_html_ _repr_json_ _repr_latex_ _repr_markdown_ _repr_mimebundle_ _repr_pdf_ _repr_png_ _repr_svg_
_p_resolveConflict _p_independent _v_missing _ni __custom_documentations__ __isabstractmethod__ __self__
__func__ __code__ __defaults__ __kwdefaults__ __globals__ __closure__ __annotations__ __name__ __qualname__ __mro_entries__
__class_getitem__ __instancecheck__ __subclasscheck__ __set_name__ __get__ __set__ __delete__ __prepare__ __cause__
__context__ __traceback__ __torch_function__ __torch_dispatch__ __cuda_array_interface__ __dlpack__ __dataframe__
__sklearn_tags__ __arrow_array__ __geo_interface__ __jsonable__ __json__ __clause_element__ __composite_values__
__pydantic_serializer__ __attrs_attrs__ __dataclass_fields__ __struct_fields__ __zope_interface_default__ __path__ __file__
__loader__ __spec__ __all__ __version__""".split()


def test_a_hundred_library_probes_find_an_ordinary_missing_attribute(basis):
    account = UvmObject(basis, balance=1)
    assert len(PROBES) >= 100
    for name in PROBES:
        assert not hasattr(account, name), name
    for name in ("frobnicate", "shape", "dtype", "keys", "to_dict", "getchildren"):
        assert not hasattr(account, name) and getattr(account, name, None) is None


def test_copy_pickle_inspect_json_pprint_and_mock_leave_an_object_alone(basis):
    account = UvmObject(basis, balance=1, tags=["a"])
    assert copy.copy(account).balance == 1
    twin = copy.deepcopy(account)
    twin.tags.append("b")
    assert list(account.tags) == ["a"]
    assert twin._parents() == account._parents(), "a copy shares its parents"
    pickle.dumps(account)
    assert (
        not inspect.isfunction(account)
        and not inspect.iscoroutine(account)
        and not inspect.isawaitable(account)
    )
    inspect.getmembers(account)
    inspect.unwrap(account)
    with pytest.raises(TypeError):
        json.dumps(account)
    pprint.pformat(account), repr(account), str(account), dir(account), bool(account), hash(account)
    mock.Mock(spec=account), mock.create_autospec(account)
    assert not callable(account) and not isinstance(account, (list, dict))


def test_a_clone_copies_what_it_owns_and_shares_the_rest(basis):
    friend = UvmObject(basis)
    original = UvmObject(basis, tags=[{"a": [1]}], friend=friend)
    original.loop = [original]
    method(original, "def hello(self):\n    return 'hello'")
    clone = original._clone_persistent_(age=3)
    clone.tags[0]["a"].append(2)
    assert plain(original.tags) == [{"a": [1]}] and plain(clone.tags) == [{"a": [1, 2]}]
    assert clone.friend is friend and clone.age == 3 and send(clone, "hello") == "hello"
    assert clone._methods["hello"] is original._methods["hello"], "a clone costs one record"
    method(clone, "def hello(self):\n    return 'hi'")
    assert (send(original, "hello"), send(clone, "hello")) == ("hello", "hi")


@pytest.mark.parametrize(
    "poison",
    [
        lambda: 1,
        (each for each in ()),
        threading.Lock(),
        open,
        object(),
        [print],
        {"a": {1: object}},
        {"a": {object(): 1}},
        {1, print},
        (1, [print]),
        ...,
        [].append,
        Refused("no"),
        json,
        int,
        type("Local", (int,), {})(5),
        type("Unheard", (Persistent,), {})(),
        OOBTree({"a": lambda: 1}),
        zoneinfo.ZoneInfo("UTC"),
        datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
        {datetime.time(1, tzinfo=zoneinfo.ZoneInfo("UTC")): 1},
    ],
)
def test_what_cannot_live_in_an_image_is_refused_with_the_slots_name(basis, poison):
    account = UvmObject(basis)
    for way in (
        lambda: setattr(account, "wallet", poison),
        lambda: setattr(account, "wallet", [{"deep": (1, [poison])}]),
        lambda: send(account, "put", ("wallet", poison)),
        lambda: send(account, "clone", (), {"wallet": poison}),
        lambda: UvmObject(basis, wallet=poison),
    ):
        with pytest.raises(Refused, match="'wallet' cannot keep") as caught:
            way()
        assert caught.value.rule == "unkeepable"
    assert "wallet" not in account._slots
    account.wallet, account.purse = [], {}
    wallet, purse = account.wallet, account.purse
    for way in (
        lambda: wallet.append(poison), lambda: wallet.insert(0, poison), lambda: wallet.extend([1, poison]),
        lambda: wallet.__iadd__([poison]), lambda: wallet.__setitem__(slice(0, 0), [poison]),
        lambda: purse.__setitem__("a", poison), lambda: purse.update(b=poison),
        lambda: purse.__ior__({"c": poison}), lambda: purse.setdefault("d", poison),
        lambda: wallet.append([[poison]]),
    ):  # fmt: skip
        with pytest.raises(Refused, match="cannot keep"):
            way()
    assert list(wallet) == [] and dict(purse) == {}


def test_an_object_of_another_connection_is_refused_where_it_would_break_the_commit():
    database = DB(DemoStorage())
    ours, theirs = (database.open(TransactionManager(explicit=True)) for _ in range(2))
    for each in (ours, theirs):
        each.transaction_manager.begin()
    ours.root()["a"] = mine = UvmObject(friends=[])
    ours.add(mine)
    theirs.root()["b"] = other = UvmObject()
    theirs.add(other)
    for way in (
        lambda: setattr(mine, "friend", other), lambda: setattr(mine, "friend", [(other,)]),
        lambda: mine.__setattr__("friend*", other),
    ):  # fmt: skip
        with pytest.raises(Refused, match="'friend.*taken out of its turn"):
            way()
    mine.friends = []
    ours.transaction_manager.commit(), ours.transaction_manager.begin()
    with pytest.raises(Refused, match="taken out of its turn"):
        mine.friends.append(other)
    for each in (ours, theirs):
        each.transaction_manager.abort()
        each.close()
    database.close()


def test_times_and_numbers_of_every_plain_kind_are_kept_as_they_are(basis):
    offset = datetime.timezone(datetime.timedelta(hours=2))
    values = (
        datetime.datetime(2026, 1, 1), datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        datetime.time(1, tzinfo=offset), datetime.date(2026, 1, 1), datetime.timedelta(1), offset,
        decimal.Decimal("1.5"), fractions.Fraction(1, 3), 1j, b"x", None, True, frozenset({1, ("a", 2)}),
    )  # fmt: skip
    thing = UvmObject(basis)
    for value in values:
        thing.value = value
        assert thing.value is value or thing.value == value
        thing.value = {value: [value]}
        assert thing.value == {value: [value]}


def test_what_is_named_twice_is_kept_once_and_a_container_may_contain_itself(basis):
    twice = [1]
    loop = [twice, twice, {"same": twice}]
    loop.append(loop)
    thing = UvmObject(basis, loop=loop)
    thing.loop[0].append(2)
    assert thing.loop[1] == [1, 2] == thing.loop[2]["same"] and thing.loop[3] is thing.loop
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Refused, match="'abyss' cannot keep what is nested so deeply"):
        thing.abyss = deep


def test_the_bare_name_of_a_method_sends_but_is_not_kept(basis):
    account = UvmObject(basis)
    method(account, "def rank(self, word):\n    return len(word)")
    assert sorted(["ccc", "a", "bb"], key=account.rank) == ["a", "bb", "ccc"]
    for poison in (account.rank, [account.rank]):
        with pytest.raises(Refused, match="'how' cannot keep the bare name of a method"):
            account.how = poison


def test_containers_behave_like_the_plain_ones_and_convert_at_every_depth():
    numbers = List([3, 1, 2])
    assert (
        numbers == [3, 1, 2]
        and sorted(numbers) == [1, 2, 3]
        and numbers[1:] == [1, 2]
        and type(numbers[1:]) is list
    )
    numbers += [9]
    numbers[0:2] = [7]
    assert numbers == [7, 2, 9] and numbers + [1] == [7, 2, 9, 1] and [0] + numbers == [0, 7, 2, 9]
    nested = Dict(a=[{"b": {1, 2}}])
    assert type(nested["a"]) is List and type(nested["a"][0]) is Dict and type(nested["a"][0]["b"]) is Set
    nested.setdefault("c", []).append(1)
    nested |= {"d": 2}
    assert nested == {"a": [{"b": {1, 2}}], "c": [1], "d": 2} and {**nested}["d"] == 2
    mixed = Set([1, "a", None])
    mixed |= {2}
    mixed.update([3], [4])
    assert mixed == {1, "a", None, 2, 3, 4} and mixed & {1, 2} == {1, 2} and mixed >= {1}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda c: c.append(1), List), (lambda c: c.insert(0, 1), List), (lambda c: c.extend([1]), List),
        (lambda c: c.sort(), List), (lambda c: c.reverse(), List), (lambda c: c.clear(), List),
        (lambda c: c.__setitem__("a", 1), Dict), (lambda c: c.update(a=1), Dict), (lambda c: c.clear(), Dict),
        (lambda c: c.setdefault("a", 1), Dict), (lambda c: c.pop("a", None), Dict),
        (lambda c: c.add(1), Set), (lambda c: c.discard(1), Set), (lambda c: c.clear(), Set),
        (lambda c: c.update([1]), Set), (lambda c: c.symmetric_difference_update([1]), Set),
    ],
)  # fmt: skip
def test_every_mutator_flags_its_record(change, kind):
    class Jar:
        def __init__(self):
            self.registered = []

        def register(self, obj):
            self.registered.append(obj)

        def readCurrent(self, obj):
            pass

    container = kind()
    container._p_jar, container._p_oid = Jar(), b"12345678"
    change(container)
    assert container._p_changed and container._p_jar.registered == [container]


def test_plain_data_is_as_the_contract_says():
    when = datetime.datetime(2026, 11, 21, 10, 0)
    assert plain({"b": {2, 1}, 3: (1, 2), None: b"hi", "when": when}) == {
        "b": [1, 2], "3": [1, 2], "null": "aGk=", "when": "2026-11-21T10:00:00",
    }  # fmt: skip
    assert plain({1, "a"}) == ["a", 1]
    loop = List()
    loop.append(loop)
    for value in (float("nan"), float("inf"), loop, print):
        with pytest.raises(NotPlain):
            plain(value)


def test_a_small_structure_that_says_billions_of_values_is_refused_at_once():
    bomb = [1]
    for _ in range(40):
        bomb = [bomb, bomb]
    for tell in (plain, lambda value: encode(value, None)):
        with pytest.raises(NotPlain, match="more than"):
            tell(bomb)


def test_encoding_is_lossless():
    value = {
        "a": (1, [2.5, {"x"}]),
        3: datetime.date(2026, 1, 2),
        "nan": float("inf"),
        "raw": b"\0",
        "$odd": 1,
    }
    told = json.loads(json.dumps(encode(value, None)))
    assert decode(told, None) == value


def test_a_snapshot_is_an_object_anew_and_what_is_beyond_its_bound_cannot_be_touched(basis):
    friend = UvmObject(basis, name="far")
    account = UvmObject(basis, balance=100, tags=[{"a": {1}}], friend=friend)
    account._name = "account"
    method(account, "def double(self):\n    self.balance = self.balance * 2\n    return self.balance")
    data = json.loads(json.dumps(to_data(account, [friend, 5], {"k": [1]}, bound=2)))
    copy_of, args, kw = from_data(data)
    assert repr(copy_of) == "account" and send(copy_of, "double") == 200 and account.balance == 100
    assert copy_of.tags == [{"a": {1}}] and args[1] == 5 and kw == {"k": [1]}
    assert args[0] is not copy_of
    tight, args, _ = from_data(json.loads(json.dumps(to_data(account, [friend], bound=1))))
    with pytest.raises(OutsideCircle):
        _ = args[0].name


@pytest.mark.parametrize(
    ("typed", "meant", "slip"),
    [
        ("depozit", "deposit", True), ("deposi", "deposit", True), ("depositt", "deposit", True),
        ("dpeosit", "deposit", True), ("deposit", "deposit", False), ("withdraw", "deposit", False),
        ("a", "b", True), ("ab", "ba", True), ("abc", "cba", False), ("balance_x", "balance", False),
    ],
)  # fmt: skip
def test_one_slip_of_the_keyboard(typed, meant, slip):
    assert one_slip(typed, meant) is slip


def test_the_words_of_every_object(basis):
    account = UvmObject(basis, balance=100)
    assert send(account, "slots") == {"own": {"balance": 100}, "inherited": {}}
    assert send(account, "get", ("balance",)) == 100
    assert send(account, "put", ("owner", "Ada")) == "Ada"
    assert send(account, "forget", ("owner",)) == "Ada"
    assert send(account, "responds_to", ("balance",)) and not send(account, "responds_to", ("_slots",))
    assert "clone" in send(account, "selectors")["inherited"]
    other = UvmObject(basis, balance=1)
    send(account, "become", (other,))
    assert (account.balance, other.balance) == (1, 100)
    extra = UvmObject(basis, colour="red")
    assert extra in send(account, "adopt", (extra,)) and account.colour == "red"
    assert extra not in send(account, "disown", (extra,))
    for word in ("define", "revert", "source", "versions", "get", "put", "forget"):
        with pytest.raises(BadRequest):
            send(account, "put", (word, 1))
    with pytest.raises(BadRequest):
        send(account, "put", ("_p_changed", 1))
    with pytest.raises(BadRequest):
        send(account, "put", ("parent*", 1))


def test_become_swaps_what_two_objects_are_and_not_what_they_are_called(basis):
    account, savings = UvmObject(basis, balance=100), UvmObject(basis, rate=2)
    account._name, savings._name = "account", "savings"
    method(account, "def worth(self):\n    return self.balance")
    holder = UvmObject(basis, mine=account)
    send(account, "become", (savings,))
    assert holder.mine is account and account.rate == 2 and "_methods" not in vars(account)
    assert send(savings, "worth") == 100 and (repr(account), repr(savings)) == ("account", "savings")
    with pytest.raises(Missed):
        send(account, "worth")
    send(account, "become", (savings,))
    assert send(account, "worth") == 100 and savings.rate == 2
    assert send(account, "become", (account,)) is None


def test_become_between_an_object_and_its_ancestor_is_refused(basis):
    parent = UvmObject(basis)
    child = UvmObject(UvmObject(parent))
    for one, other in ((child, parent), (parent, child)):
        with pytest.raises(BadRequest, match="would become an ancestor of itself"):
            send(one, "become", (other,))
    with pytest.raises(WrongArguments):
        send(child, "become", (5,))


def test_nobody_becomes_the_lobby_or_what_else_batos_stands_on():
    database = DB(DemoStorage())
    connection = database.open(TransactionManager(explicit=True))
    connection.transaction_manager.begin()
    genesis(Root(connection))
    lobby, traits_obj = connection.root()["lobby"], connection.root()["traits_obj"]
    account = send(lobby, "clone", (), {"called": "account", "balance": 3})
    for one, other in ((lobby, account), (account, lobby), (account, traits_obj)):
        with pytest.raises(BadRequest, match="stays who it is"):
            send(one, "become", (other,))
    for word in ("define", "clone"):
        with pytest.raises(BadRequest, match="stays as it is"):
            send(traits_obj, "forget", (word,))
    twin = send(account, "clone", (), {"called": "twin", "balance": 4})
    send(account, "become", (twin,))
    assert (lobby.account.balance, lobby.twin.balance) == (4, 3)
    assert (repr(lobby.account), repr(lobby.twin)) == ("account", "twin")
    connection.transaction_manager.abort()
    connection.close()
    database.close()


def test_an_object_adopts_others_once_never_itself_and_keeps_a_way_to_what_every_object_understands(basis):
    account, extra = UvmObject(basis), UvmObject(basis, colour="red")
    assert send(account, "adopt", (extra,)) == [basis, extra] == send(account, "adopt", (extra,))
    with pytest.raises(BadRequest, match="parent of itself"):
        send(account, "adopt", (account,))
    for word in ("adopt", "disown"):
        with pytest.raises((WrongArguments, NotUnderstood)):
            send(account, word, (5,))
    with pytest.raises(NotUnderstood, match="is not a parent"):
        send(account, "disown", (UvmObject(basis),))
    assert send(account, "disown", (basis,)) == [extra]  # extra knows the words, too
    with pytest.raises(BadRequest, match="would not understand even `adopt`"):
        send(account, "disown", (extra,))
    assert send(account, "parents") == [extra]


def test_a_method_shared_with_a_clone_is_changed_reverted_and_forgotten_on_one_side_only(basis):
    original = UvmObject(basis)
    for n in (1, 2):
        method(original, f"def fee(self):\n    return {n}")
    clones = [original._clone_persistent_() for _ in range(3)]
    assert all(each._methods["fee"] is original._methods["fee"] for each in clones)
    send(clones[0], "revert", ("fee", 1))
    send(clones[1], "forget", ("fee",))
    method(original, "def fee(self):\n    return 3")
    assert (send(original, "fee"), send(clones[0], "fee"), send(clones[2], "fee")) == (3, 1, 2)
    with pytest.raises(Missed):
        send(clones[1], "fee")
    assert [len(send(each, "versions", ("fee",))) for each in (original, *clones)] == [3, 2, 2, 2]


def test_a_version_is_found_by_its_number_when_older_ones_were_let_go(basis):
    account = UvmObject(basis)
    for n in range(1, 6):
        method(account, f"def fee(self):\n    return {n}")
    fee = account._methods["fee"]
    fee.keep_versions(fee.versions[2:])
    assert send(account, "revert", ("fee",)) == 4 and send(account, "fee") == 4
    assert send(account, "revert", ("fee", 3)) == 3
    with pytest.raises(NotUnderstood, match="no earlier version"):
        send(account, "revert", ("fee",))
    with pytest.raises(NotUnderstood, match="there are 3, 4, 5"):
        send(account, "revert", ("fee", 1))
    method(account, "def fee(self):\n    return 6")
    assert [each["version"] for each in fee.versions] == [3, 4, 5, 6]


def test_a_method_as_an_older_edition_kept_it_is_read_with_all_its_versions():
    fee = Method("fee")
    records = [
        {"version": n, "source": f"def fee(self):\n    return {n}", "digest": str(n)} for n in range(1, 60)
    ]
    fee.__setstate__({"selector": "fee", "versions": tuple(records), "current": 2})
    assert fee.installed["version"] == 2 and [dict(each) for each in fee.versions] == records
    fee.add_version("def fee(self):\n    return 60", "ada", "accepted")
    assert [each["version"] for each in fee.versions] == [*range(1, 61)] and fee.record(1)["digest"] == "1"


def test_revert_goes_back_and_forth_and_a_forgotten_method_keeps_its_versions(basis):
    account = UvmObject(basis)
    for n in (1, 2, 3):
        method(account, f"def fee(self):\n    return {n}")
    assert send(account, "revert", ("fee",)) == 2 and send(account, "fee") == 2
    assert send(account, "revert", ("fee", 1)) == 1 and send(account, "fee") == 1
    with pytest.raises(NotUnderstood):
        send(account, "revert", ("fee", 9))
    assert "return 1" in send(account, "forget", ("fee",))
    with pytest.raises(Missed):
        send(account, "fee")
    told = send(account, "versions", ("fee",))
    assert [each["version"] for each in told] == [1, 2, 3] and "+    return 2" in told[1]["diff"]
    assert send(account, "revert", ("fee", 3)) == 3 and send(account, "fee") == 3


def test_a_version_that_was_refused_when_it_came_in_cannot_be_installed(basis):
    account = UvmObject(basis)
    fee = Method("fee")
    fee.add_version("def fee(self):\n    return 1", "import", "refused")
    fee.add_version("def fee(self):\n    return 2", "import", "accepted")
    account._install(fee)
    with pytest.raises(Refused) as caught:
        send(account, "revert", ("fee",))
    assert caught.value.rule == "refused" and send(account, "fee") == 2


def test_lookup_says_who_holds_the_slot(basis):
    account = UvmObject(basis, balance=1)
    child = UvmObject(account)
    assert lookup(child, "balance") == (account, 1)


# -- mirrors ---------------------------------------------------------------------------------------------


@pytest.fixture
def mirrors_obj(basis):
    maker = UvmObject(basis, mirror=UvmObject(basis))
    for obj, words in ((maker, {"on_": "mirror_on_"}), (maker.mirror, MIRROR)):
        for selector, name in words.items():
            obj._install(Method(selector, name))
    return maker


def test_a_mirror_looks_beneath_what_an_object_says_of_itself(basis, mirrors_obj):
    liar = UvmObject(basis, balance=1, slots="none of your business", parents=7)
    method(liar, "def describe(self):\n    return 'nothing here'")
    assert send(liar, "slots") == "none of your business" and send(liar, "describe") == "nothing here"
    mirror = send(mirrors_obj, "on_", (liar,))
    assert send(mirror, "slots")["own"] == {"balance": 1, "slots": "none of your business", "parents": 7}
    assert send(mirror, "parents") == [basis] and send(mirror, "reflectee") is liar
    assert send(mirror, "describe")["methods"]["own"][0]["selector"] == "describe"
    assert send(mirror, "holder_of", ("describe",)) is liar
    assert send(mirror, "holder_of", ("clone",)) in basis._parents()
    assert send(mirror, "put", ("balance", 5)) == 5 == liar.balance
    assert "return 'nothing here'" in send(mirror, "versions", ("describe",))[0]["source"]
    send(mirror, "forget", ("describe",))
    assert send(liar, "describe")["object"] is liar
    with pytest.raises(WrongArguments):
        send(mirror, "put", ("balance",))
    with pytest.raises(NotUnderstood):
        send(mirror, "holder_of", ("frobnicate",))


def test_a_mirror_cannot_be_forged_from_another(basis, mirrors_obj):
    secret = UvmObject(basis, pin=1234)
    mirror = send(mirrors_obj, "on_", (UvmObject(basis),))
    forged = PRIMITIVES["clone"](mirror, reflectee=secret)
    for each in (forged, PRIMITIVES["parents"](mirror)[0]):
        with pytest.raises(Refused, match="reflects nothing"):
            send(each, "get", ("pin",))
    with pytest.raises(WrongArguments):
        send(mirrors_obj, "on_", (5,))


def test_genesis_makes_the_maker_of_mirrors_and_a_named_mirror_is_kept():
    database = DB(DemoStorage())
    connection = database.open(TransactionManager(explicit=True))
    connection.transaction_manager.begin()
    genesis(Root(connection), [mirrors])
    genesis(Root(connection), [mirrors])
    lobby, maker = connection.root()["lobby"], connection.root()["mirrors_obj"]
    account = send(lobby, "clone", (), {"called": "account", "balance": 3})
    assert send(maker, "on_", (account,))._p_oid is None, "a mirror is not kept unless somebody keeps it"
    send(maker, "on_", (account,), {"called": "glass"})
    connection.transaction_manager.commit()
    connection.cacheMinimize()
    connection.transaction_manager.begin()
    assert send(lobby.glass, "get", ("balance",)) == 3
    connection.transaction_manager.abort()
    connection.close()
    database.close()
