"""What names its parts again and again is small and has no end: weighed before C walks it, at every door."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time

import pytest

from batos.errors import BatosError, Refused
from batos.guardian import judge
from batos.guardian.policy import compile_method
from batos.objects import UvmObject, fuel, weight
from batos.objects.containers import MOST_OF_KEY, Dict, List, Set, containers_in, keep, kind_of, own_copy
from batos.objects.method import Method, use_compiler
from batos.objects.plain import NotPlain, plain
from batos.objects.traits import make_traits
from batos.objects.weight import weigh

SECONDS = 0.3  # of fuel
PAIRS = {
    "tuples": ("(1,)", "({0}, {0})"),
    "lists": ("[1]", "[{0}, {0}]"),
    "dicts": ("{{1: 1}}", "{{1: {0}, 2: {0}}}"),
    "deques": ("collections.deque([1])", "collections.deque([{0}, {0}])"),
    "tuples and lists": ("[1]", "({0}, [{0}])"),
}
FROZEN = {"tuples": PAIRS["tuples"], "frozensets": ("frozenset([1])", "frozenset([{0}, ({0},)])")}
COMPARING = """
    x == y; [0, x] != [0, y]; 0 < 1 == 1 and x == y == x; (x,) < (y,); [x] <= [y]; x in [y]; x not in (y,); x in map(lambda n: y, [1]); x in {1: y}.values(); 1 == 1 in [x] == [y]
    [y].index(x); [1].index(x); range(3).index(x); collections.deque([1]).index(x); [y].count(x); (y,).count(x); [y].remove(x); collections.deque([y]).remove(x); sorted([(x,), (y,)])
    [(x,), (y,)].sort(); sorted([1, 2], key=lambda n: (x,) if n == 1 else (y,)); max((x,), (y,)); min([(x,), (y,)])
    max(iter([(x,), (y,)])); max([1, 2], key=lambda n: (x,) if n == 1 else (y,)); heapq.heapify([(x,), (y,)])
    (lambda h: [heapq.heappop(h), heapq.heappop(h)])([(0, 0), (0, x), (0, y)]); (lambda n: heapq.heapreplace([(0, 0), (n, x), (n, y)], (1, 1)))(float('nan'))
    heapq.heappush([(y,)], (x,)); heapq.nlargest(1, [(x,), (y,)]); list(heapq.merge([(x,)], [(y,)])); heapq.heappushpop([(x,)], (y,))
    bisect.bisect([(y,)], (x,)); bisect.insort([(y,)], (x,)); bisect.insort([y], x, key=lambda n: n); list(itertools.groupby([x, y])); {1: x} == {1: y}
    {1: x}.items() == {1: y}.items(); collections.Counter({1: (x,), 2: (y,)}).most_common(); list.index([y], x); [x == y for _ in [1]]
    (lambda: x == y)(); self.put('kept', [x]) == [y]
""".replace("\n", ";")
HASHING = """
    {x: 1}; {x}; {*[x]}; {x: 1 for x in [x]}; {x for x in [x]}; {}[x]; {}.get(x); {}.pop(x, 1); {}.setdefault(x, 1); {1: x}.items() & {1: y}.items(); (x, 1) in {1: 2}.items(); x in {1: 2}.keys(); list(map(x, [1]))
    {1: 2}.keys() & [x]; {1} | {1: x}.items(); self.tags | [x]; self.tags - {x: 1}.keys(); x in {1: 1}; x in {1}; set([x]); frozenset([x]); dict([(x, 1)]); dict.fromkeys([x]); {1}.union([x]); {1}.issuperset([x]); {1}.add(x)
    {1}.discard(x); {1}.update([x]); {1}.isdisjoint([x]); {}.update([(x, 1)]); collections.Counter([x]); collections.Counter().update([x])
    collections.OrderedDict([(x, 1)]); collections.OrderedDict(a=1).move_to_end(x); collections.defaultdict(list, [(x, 1)])
    collections.defaultdict(list)[x]; statistics.mode([x, x]); statistics.multimode([x]); self.log.index(x); self.rates.get(x); self.rates.update([(x, 1)])
    set.union({1}, [x]); self.rates.setdefault(x, 1); {}.keys().isdisjoint([x]); {}.fromkeys([x])
""".replace("\n", ";")
WRITING = """
    repr(x); str([x]); f'{x}'; f'{x!r:>5}'; '%s' % (x,); '{}'.format(x); ascii(x); format([x]); json.dumps(x); copy.deepcopy(x); str(ValueError(x))
    repr(functools.partial(max, x)); self.clone(kept=x); self.put('kept', x); self.put(x, 1); self.get(x); self.forget(x);
    self.define(x); self.revert(x); self.revert('m', x); self.source(x); self.versions(x); self.responds_to(x); self.disown(x); self.become(x); self.log.append(x); self.rates.update({1: x}); self.friend.put('kept', (x,))
""".replace("\n", ";")  # fmt: skip


def every(statements):
    return [each.strip() for each in statements.split(";") if each.strip()]


def pair(kind):
    first, more = {**PAIRS, **FROZEN}[kind]
    lines = [f"{name} = {first.format()}" for name in "xy"]
    return [*lines, "for _ in range(40):", *(f"    {name} = {more.format(name)}" for name in "xy")]


@pytest.fixture
def account():
    before = use_compiler(compile_method)
    traits = make_traits()
    made = UvmObject(traits, log=[1, 2], rates={"a": 2}, tags={1}, friend=UvmObject(traits))
    yield made
    use_compiler(before)


def runs(account, *lines):
    """(what a method of these lines answers or raises, the seconds it took); the method is judged first."""
    verdict = judge("def m(self):\n" + "".join(f"    {line}\n" for line in lines))
    assert verdict.passed, verdict.refusal()
    method = Method("m")
    method.add_version(verdict.source, "a test", "accepted")
    account._install(method)
    began = time.monotonic()
    try:
        with fuel.spend(began + SECONDS):
            answer = method.function(account)(account)
    except (Exception, fuel.OutOfFuel) as exc:  # noqa: BLE001 - whatever it is
        answer = exc
    return answer, time.monotonic() - began


@pytest.mark.parametrize(
    "kind, deed",
    [
        *itertools.product(("lists", "tuples and lists"), every(COMPARING)), *itertools.product(("tuples",), every(HASHING)),
        *itertools.product(("tuples", "lists"), every(WRITING)), *((kind, "x == y") for kind in PAIRS),
        *(("frozensets", deed) for deed in every(HASHING)[::4]),
    ],
)  # fmt: skip
def test_no_call_into_c_walks_what_names_itself_without_end(account, kind, deed):
    answer, took = runs(account, *pair(kind), f"return {deed}")
    assert took < SECONDS + 1.0, f"{took:.1f} s"
    assert not isinstance(answer, (TypeError, AttributeError)) or any(
        word in str(answer) for word in ("not supported", "hash", "callable")
    ), answer


@pytest.mark.parametrize(
    "deed, expected",
    [
        ("[1 < 2 < 3, 3 > 2 >= 3, (1, 2) < (1, 3) <= (1, 3), 1 == 1 in [1], 1 in [1] == [1]]", [True, False, True, True, True]),
        ("[x in [(1, 2)] for x in [(1, 2), [1, 2], 3]]", [True, False, False]),
        ("sorted([(2, 'a'), (1, 'b'), (1, 'a')], key=lambda p: p[0])", [(1, "b"), (1, "a"), (2, "a")]),
        ("sorted([(2, 'a'), (1, 'b'), (2, 'c')], key=lambda p: p[0], reverse=True)", [(2, "a"), (2, "c"), (1, "b")]),
        ("sorted(range(120000), key=lambda n: -n)[:3]", [119999, 119998, 119997]),
        ("sorted([(n % 7, n) for n in range(120000)], key=lambda p: p[0], reverse=True)[:2]", [(6, 6), (6, 13)]),
        ("[max(1, 2), min('b', 'a'), max([3, 1]), max(n for n in [2, 5, 3]), min([], default=7), max('aa', 'b', key=len)]",
         [2, "a", 3, 5, 7, "aa"]),
        ("[max([(1, 'a'), (1, 'b')], key=lambda p: p[0]), min([(1, 'a'), (1, 'b')], key=lambda p: p[0])]", [(1, "a"), (1, "a")]),
        ("[{(1, (2, 3)): 4}[1, (2, 3)], {*[1, 2], 3}, dict([(1, 2)], a=3), set(), frozenset('ab') == {'a', 'b'}]",
         [4, {1, 2, 3}, {1: 2, "a": 3}, set(), True]),
        ("[type(set()) is set, isinstance({}, dict), isinstance(self.rates, dict), isinstance((1,), (list, tuple)), type([]) is list]",
         [True] * 5),
        ("[dict.fromkeys('ab', 1), set.union({1}, [2]), list.index([1, 2], 2), tuple([1]), list('ab'), isinstance(1, int | None)]",
         [{"a": 1, "b": 1}, {1, 2}, 1, (1,), ["a", "b"], True]),
        ("list(map(len, ['a', 'bb'])) + list(filter(None, [0, 1])) + list(map(max, [1, 5], [3, 4]))", [1, 2, 1, 3, 5]),
        ("heapq.nlargest(2, [3, 1, 2]) + heapq.nsmallest(1, [3, 1], key=lambda n: -n) + list(heapq.merge([1, 4], [2]))", [3, 2, 3, 1, 2, 4]),
        ("[bisect.bisect([1, 3, 5], 3), bisect.bisect_left([(1,), (2,)], 2, key=lambda p: p[0]), math.gcd(12, 18, 27), math.gcd()]",
         [2, 1, 3, 0]),
        ("collections.Counter('aab').most_common(1) + [collections.defaultdict(list)['a'], collections.OrderedDict([(1, 2)]) == {1: 2}]",
         [("a", 2), [], True]),
        ("[(5).from_bytes(b'a', 'big'), {}.fromkeys([1]), 'a'.maketrans('a', 'b'), 'abc'.translate({97: 'xx'}), 'abc'.translate(['z'] * 98)]",
         [97, {1: None}, {97: 98}, "xxbc", "zbc"]),
        ("len(set(range(30000)) | {1}) + len(list(itertools.combinations([1, 2, 3], 2)))", 30003),
    ],
)  # fmt: skip
def test_what_is_light_behaves_as_python_has_it(account, deed, expected):
    assert runs(account, f"return {deed}")[0] == expected


def test_heaps_of_any_size_and_kind_behave_as_pythons(account):
    body = (
        "h, out = [], []",
        "for n in range(500):",
        "    heapq.heappush(h, ((n * 7919) % 503, [n]))",
        "    if n % 3 == 2:",
        "        out.append(heapq.heappop(h)[0])",
        "out.append(heapq.heapreplace(h, (1000, []))[0])",
        "out.append(heapq.heappushpop(h, (-1, []))[0])",
        "while h:",
        "    out.append(heapq.heappop(h)[0])",
        "return out",
    )
    answer, _ = runs(account, *body)
    given = {}
    exec("import heapq\ndef m():\n" + "".join(f"    {line}\n" for line in body), given)  # noqa: S102 - the peer
    assert answer == given["m"]()


@pytest.mark.parametrize(
    "value, least",
    [([0] * 10, 11), ([[1, 2]] * 3, 10), ({1: (2, 3)}, 5), (List([1, [2]]), 6), ("abc", 1), (Dict({"a": Set([1])}), 5)],
    ids=str,
)  # fmt: skip
def test_a_weight_is_how_many_values_c_visits(value, least):
    assert weigh(value) >= least and weigh(value) <= least + 3


def test_what_is_shared_weighs_as_often_as_it_is_named_and_is_soon_refused():
    wide = [0]
    for _ in range(4):
        wide = [wide] * 1000
    deep = ()
    for _ in range(40):
        deep = (deep, deep)
    for heavy in (wide, deep, [deep], {1: deep}, [["x" * 1_000_000] * 1_000_000], [1 << 100_000] * 900_000):
        began = time.process_time()
        with pytest.raises(ValueError, match="too many values"):
            weigh(heavy)
        assert time.process_time() - began < 2.0  # to visit them all would take years
    chain = ()
    for _ in range(100_000):
        chain = (chain,)
    with pytest.raises(RecursionError):
        weigh(chain)
    assert weigh([[0] * 1000] * 1000) > 1_000_000 and weigh(list(range(weight.MOST // 2))) > 1


# -- what the image keeps ------------------------------------------------------------------------------------


def doubled(value, times):
    for _ in range(times):
        value = (value, value)
    return value


def test_an_image_keeps_no_tuple_that_names_its_parts_without_end_and_no_key_that_is_long():
    for value in (doubled(1, 40), [doubled(1, 40)], {"a": doubled(1, 40)}):
        with pytest.raises(Refused, match="so many times over"):
            keep(value, "notes")
    for key in (doubled(1, 12), tuple(range(MOST_OF_KEY + 1)), frozenset({doubled(1, 12)})):
        for value in ({key: 1}, {key}):
            with pytest.raises(Refused, match="key or member"):
                keep(value, "notes")
    assert keep(doubled(1, 10)) == doubled(1, 10) and keep({(1, (2, 3)): 4})[1, (2, 3)] == 4


def test_whoever_walks_what_is_kept_meets_each_container_once():
    shared = List([1])
    for _ in range(60):
        shared = List([shared, shared])
    assert kind_of(shared).startswith("list of list of") and len(containers_in(shared, (shared,) * 3)) == 61
    assert len(containers_in(own_copy((shared, shared)))) == 61
    with pytest.raises(NotPlain):
        plain(shared)
    with pytest.raises(NotPlain, match="characters"):
        plain(["x" * 1_000_000] * 1_000)


# -- the end from outside --------------------------------------------------------------------------------------


def test_what_never_looks_at_its_fuel_is_ended_from_outside_and_nothing_comes_after(account):
    """A library's loop in Python: no look of ours is in it."""
    began = time.monotonic()
    answer, took = runs(
        account, "return sum([fractions.Fraction(1, 2**60000 + 2 * k + 1) for k in range(4000)])"
    )
    assert isinstance(answer, fuel.OutOfFuel) and took < SECONDS + 1.0
    for _ in range(200):  # an end that came too late would hit here
        time.sleep(0.001)
    assert time.monotonic() - began < 5


def test_an_end_from_outside_leaves_no_alarm_ringing_in_the_interpreter():
    """With one, every call looks aside from then on, and a traced function never gets past its first line."""
    code = """if True:
        import sys, time
        from batos.objects import fuel
        with fuel.spend(time.monotonic() + 1.0):
            pass
        method = compile("while True: pass", "<method m>", "exec")
        for _ in range(5):
            try:
                with fuel.spend(time.monotonic()):
                    exec(method)
            except fuel.OutOfFuel:
                pass
        def traced():
            return 1
        sys.settrace(lambda *_: None)
        print(traced())
        sys.settrace(None)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "1\n"


def test_only_code_that_may_be_left_at_any_line_is_ended_from_outside(account):
    def library():
        until = time.monotonic() + 3 * fuel.GRACE
        while time.monotonic() < until:
            pass
        return "done"

    with fuel.spend(time.monotonic() - 1.0):
        assert library() == "done"


def test_a_turn_that_ends_just_as_its_end_is_on_its_way_is_over_when_it_is_over(account):
    """Turns of all lengths around the moment at which they are ended: each ends once, inside, and nothing else is hit."""
    with fuel.spend(time.monotonic() + 1.0):
        pass  # from now on somebody watches
    code = compile("while clock() < until:\n    pass\n", "<method m>", "exec")
    ends = 0
    for n in range(40):
        began = time.monotonic()
        until = began + fuel.GRACE + (n - 20) * 0.002
        try:
            with fuel.spend(began):
                exec(code, {"clock": time.monotonic, "until": until})  # noqa: S102
        except fuel.OutOfFuel:
            ends += 1
        for _ in range(20):
            assert time.monotonic() > began
    assert 0 < ends < 40


# -- memory ------------------------------------------------------------------------------------------------------


def test_what_a_model_takes_meanwhile_is_not_charged_to_the_method_that_runs(monkeypatch):
    held = [0]
    monkeypatch.setattr(fuel, "_held", lambda: held[0])
    watch = fuel._Watch()

    def glanced(run):
        watch.weigh(run, held[0])
        return run.hungry

    with fuel.announced(3 << 30):  # a model is loading when the turn begins ...
        run = fuel._Run(fuel.Limit(0.0))
        assert not glanced(run)
        held[0] = 3 << 30
        assert not glanced(run)
        held[0] += 1
        assert not glanced(run)
    held[0] = (
        4 << 30
    )  # ... what it took stays excused as long as the turn lasts, and the method has its own besides
    assert not glanced(run)
    held[0] += 1
    assert glanced(run)
    after = fuel._Run(fuel.Limit(0.0))  # the next turn begins with what is there
    assert not glanced(after)
    held[0] += fuel.MEMORY
    assert not glanced(after)
    held[0] += 1
    assert glanced(after)


def test_what_makes_large_values_looks_at_the_memory_by_itself(monkeypatch):
    """Between two glances of the watch a busy machine has time for hundreds of them."""
    held = [0]
    monkeypatch.setattr(fuel, "_held", lambda: held[0])
    made = compile_method("def m(self, n):\n    return 'x' * n\n")
    with pytest.raises(fuel.OutOfFuel), fuel.spend(time.monotonic() + 60):
        assert len(made(None, 3_000_000)) == 3_000_000
        held[0] = fuel.MEMORY + 1
        assert made(None, 3) == "xxx"
        made(None, 3_000_000)
    made(None, 3_000_000)  # nobody's turn


def test_one_method_that_begins_gives_another_no_new_allowance(monkeypatch):
    monkeypatch.setattr(fuel, "_held", lambda: 0)
    watch, long = fuel._Watch(), fuel._Run(fuel.Limit(0.0))
    watch.weigh(long, 0)
    short = fuel._Run(fuel.Limit(0.0))
    watch.weigh(short, fuel.MEMORY)
    watch.weigh(long, fuel.MEMORY + 1)
    assert long.hungry and not short.hungry


@pytest.mark.parametrize("kind", [Set, Dict.fromkeys], ids=["a set", "a dict"])
def test_numbers_chosen_to_have_one_hash_are_not_kept_once_loading_them_would_take_long(kind):
    """They may have come over many turns, each of which was short enough; one call of C has to load them all."""
    few = keep(kind(n * (2**61 - 1) for n in range(2_000)))
    assert len(few.__getstate__()["data"]) == 2_000
    many = keep(kind(n * (2**61 - 1) for n in range(3_100)))
    with pytest.raises(Refused, match="of one hash"):
        many.__getstate__()
    for harmless in (range(100_000), map(float, range(-50_000, 50_000)), map(str, range(100_000)), zip(range(50_000), range(50_000))):
        keep(kind(harmless)).__getstate__()


def test_a_change_that_cannot_be_compared_in_time_is_no_change():
    """Comparing what a turn changed is part of the turn: equal and not the same, without end."""
    from batos.objects.undo_log import _same

    def built():
        return doubled((1,), 25)

    one, other = built(), built()
    with pytest.raises(fuel.OutOfFuel), fuel.spend(time.monotonic() + 0.1):
        _same(one, other)


def test_the_errors_are_sentences():
    with pytest.raises(ValueError, match="what it names again and again counts each time"):
        weigh(doubled(1, 40))
    with pytest.raises(BatosError) as told:
        keep(doubled(1, 40), "notes")
    assert "'notes' cannot keep a tuple" in str(told.value) and told.value.hint
