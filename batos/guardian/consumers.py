"""What compiled methods call where C walks a value by itself: comparing, hashing, searching and sorting.

Three things make one call into C too long for fuel, and are met here before it begins:

    a value that is heavy (`objects.weight`)       it is weighed
    a function in C, called for each of many       a step in Python lies between (`stepped`, `mapped`)
    many values, however light                     the work is done in parts, with a look at the fuel between

Whoever lets a method call another function that compares or hashes puts it in here; `bound` is what values'
own methods do (`list.index`, `dict.get`), the rest stands in `names` and `facades`.
"""

from __future__ import annotations

import collections
import functools
import heapq
import itertools
import operator
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from batos.guardian.growth import Lazy, ticking
from batos.guardian.guards import bound, of_class
from batos.guardian.kinds import Guarded
from batos.objects import fuel, weight
from batos.objects.containers import Dict, List, Set
from batos.objects.fuel import tank as _tank
from batos.objects.uvm_object import UvmObject
from batos.objects.weight import LIGHT, all_light, check_pair, keyed, weigh

weight.light(UvmObject, type, types.FunctionType, Guarded, Lazy, functools.partial)

AT_ONCE = 50_000  # values sorted or searched in one call: some ten milliseconds
LONG = 4_096  # characters of a text that is compared with very many others
GREAT = 1 << 62  # a whole number that is
COLLIDING = 10_000  # numbers hashed in one call: they can be chosen so that all have one hash
_SEEDED = frozenset({str, bytes, type(None), bool})  # nobody can choose values of these with one hash


# -- comparing ------------------------------------------------------------------------------------------


def weighed(one: Any, other: Any) -> bool:
    """True, once it is sure that comparing the two ends soon."""
    check_pair(one, other)
    return True


def _comparison(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def compared(one: Any, other: Any) -> Any:
        if type(one) not in LIGHT and type(other) not in LIGHT:
            check_pair(one, other)
        return compare(one, other)

    return compared


equal, unequal = _comparison(operator.eq), _comparison(operator.ne)
less, at_most = _comparison(operator.lt), _comparison(operator.le)
greater, at_least = _comparison(operator.gt), _comparison(operator.ge)

_HASHING = (dict, set, frozenset, Dict, Set, type({}.keys()), type({}.items()))
HASHING = frozenset(_HASHING)  # in which the compiled code looks for what is light by itself


def contains(one: Any, many: Any) -> bool:
    """`one in many`."""
    kind = type(one)
    if type(many) is List:
        many = many.data
    if (kind is int and -GREAT < one < GREAT) or (kind is str and len(one) < LONG):
        return one in many
    if isinstance(many, _HASHING):
        return keyed(one) in many
    if kind not in LIGHT and hasattr(many, "__next__"):
        return any(each is one or equal(each, one) for each in ticking(many))
    _check_search(many, one)
    return one in many


def excludes(one: Any, many: Any) -> bool:
    """`one not in many`."""
    return not contains(one, many)


def _check_search(many: Any, one: Any) -> None:
    """Raise where looking for `one` among `many` would take C too long."""
    if isinstance(many, (str, bytes, range)) or not hasattr(many, "__len__"):
        return
    kind = type(one)
    if kind in LIGHT:
        long = kind in (str, bytes) and len(one) >= LONG
        if long or (kind is int and not -GREAT < one < GREAT):
            weigh(many)  # which counts lengths too, where there are many
        return
    try:  # no pair takes longer than the lighter of the two
        if weigh(one) * len(many) <= weight.MOST:
            return
    except (ValueError, RecursionError):
        pass
    weigh(many)


# -- functions called for each of many --------------------------------------------------------------------

_QUICK = frozenset({len, chr, ord, bool, float, callable, abs})


def stepped(function: Any) -> Any:
    """A function that looks at the fuel whenever it is called, as those written in Python do."""
    kind = type(function)
    if function is None or kind in (types.FunctionType, Guarded):
        return function
    if kind in (types.BuiltinFunctionType, type) and function in _QUICK:
        return function

    def step(*args: Any, **kw: Any) -> Any:
        if _tank.low:
            fuel.look()
        return function(*args, **kw)

    return step


def _stepped_by_one(function: Any) -> Any:
    """`stepped` of a function that is given one value: packing and unpacking it would double the cost."""
    if stepped(function) is function:
        return function

    def step(value: Any) -> Any:
        if _tank.low:
            fuel.look()
        return function(value)

    return step


def mapped(function: Any, *items: Any) -> Iterator:
    return map(_stepped_by_one(function) if len(items) == 1 else stepped(function), *items)


def filtered(function: Any, items: Any) -> Iterator:
    return filter(_stepped_by_one(function), items)


# -- sorting --------------------------------------------------------------------------------------------


def _by(keys: list[Any]) -> Callable[[Any], Any]:
    """A key function that answers these one after another, whatever it is asked."""
    return functools.partial(next, iter(keys))


def _keys(items: list[Any], key: Any) -> list[Any]:
    """What the items are compared by, weighed."""
    keys = items if key is None else list(map(stepped(key), items))
    if not all_light(keys):
        weigh(keys)
    return keys


def _sort(items: list[Any], key: Any, reverse: bool) -> None:
    keys = _keys(items, key)
    if len(items) <= AT_ONCE:
        items.sort(key=None if key is None else _by(keys), reverse=reverse)
        return
    # Timsort merges what is in order already: sorted parts are put together two and two, a look between each.
    pairs = list(zip(keys, items, strict=True))
    parts = [pairs[at : at + AT_ONCE] for at in range(0, len(pairs), AT_ONCE)]
    first = operator.itemgetter(0)
    for part in parts:
        fuel.tick()
        part.sort(key=first, reverse=reverse)
    while len(parts) > 1:
        parts = [
            parts[at] + parts[at + 1] if at + 1 < len(parts) else parts[at] for at in range(0, len(parts), 2)
        ]
        for part in parts:
            fuel.tick()
            part.sort(key=first, reverse=reverse)
    items[:] = [item for _, item in parts[0]]


def ordered(items: Iterable[Any], /, *, key: Any = None, reverse: bool = False) -> list[Any]:
    """`sorted`."""
    made = list(items)
    _sort(made, key, reverse)
    return made


def _sort_list(items: Any, *, key: Any = None, reverse: bool = False) -> None:
    """`list.sort`, of a plain list or one of the image."""
    made = list(items)
    _sort(made, key, reverse)
    items[:] = made


def _extreme(best: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`min` or `max`."""
    of_two = _comparison(best)

    def of_one(items: Any) -> Any:
        if type(items) is List:
            items = items.data
        if type(items) not in (list, tuple) or len(items) > AT_ONCE:
            return _streamed(best, iter(items), None, {})
        if not all_light(items):
            weigh(items)
        return best(items)

    def found(*given: Any, key: Any = None, **default: Any) -> Any:
        if not given or default.keys() - {"default"} or (default and len(given) != 1):
            return best(*given, **default)  # raises what Python says to that
        if len(given) == 2 and key is None:
            return of_two(*given)
        items = given[0] if len(given) == 1 else given
        return of_one(items) if key is None and not default else _streamed(best, iter(items), key, default)

    found.__name__ = of_one.__name__ = of_two.__name__ = name
    found.of_one, found.of_two = of_one, of_two
    return found


def _streamed(best: Callable[..., Any], items: Iterator, key: Any, default: dict[str, Any]) -> Any:
    """The best of an iterator, a part at a time: the first of equals, as Python has it."""
    found: list[tuple[Any, Any]] = []  # (key, item)
    while part := list(itertools.islice(items, AT_ONCE)):
        if _tank.low:
            fuel.look()
        keys = _keys(part, key)
        at = best(range(len(part)), key=keys.__getitem__)
        found.append((keys[at], part[at]))
        if len(found) == 2:
            check_pair(found[0][0], found[1][0])
            found = [best(found, key=operator.itemgetter(0))]
    return found[0][1] if found else best((), **default)


least, greatest = _extreme(min, "min"), _extreme(max, "max")

# -- hashing --------------------------------------------------------------------------------------------


def hashable(items: Any) -> Iterable[Any]:
    """The items, all of which are about to be hashed in one call."""
    if type(items) is List:
        items = items.data
    kind = type(items)
    if kind in (set, frozenset, dict, Dict, Set, str, bytes):
        return items  # hashed already, or hashed at once
    if kind in (list, tuple):
        kinds = set(map(type, items))
        if kinds <= _SEEDED or (len(items) <= COLLIDING and kinds <= LIGHT):
            return items
    return map(keyed, ticking(items))


def _pairs(items: Any) -> Iterator:
    for key, value in ticking(items):
        yield keyed(key), value


def pairs_of(items: Any) -> Any:
    """What `dict` or `update` is given: a mapping as it is, pairs with their keys weighed."""
    if isinstance(items, (dict, Dict)) or hasattr(items, "keys"):
        return items
    return _pairs(items)


def _dict(*given: Any, **named: Any) -> dict:
    return dict(*map(pairs_of, given), **named)


def _set(*given: Any) -> set:
    return set(*map(hashable, given))


def _frozenset(*given: Any) -> frozenset:
    return frozenset(*map(hashable, given))


DICT, SET, FROZENSET = Guarded(dict, _dict), Guarded(set, _set), Guarded(frozenset, _frozenset)
# Not for what they do: `list[x, x]` is a value that names its parts again and again, and nobody could weigh it.
LIST, TUPLE = Guarded(list, list), Guarded(tuple, tuple)


def _combination(combine: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """An operator of sets, which views of dicts and sets of the image have too: what was in no set yet is hashed."""

    def combined(one: Any, other: Any) -> Any:
        if type(one) in LIGHT or type(other) in LIGHT:
            return combine(one, other)
        return combine(_combinable(one), _combinable(other))

    return combined


def _combinable(value: Any) -> Any:
    if isinstance(value, (set, frozenset, Set)):
        return value
    if isinstance(value, collections.Counter):
        weigh(list(value.values()))  # which are compared
        return value
    if isinstance(value, (dict, Dict, UvmObject)):
        return value
    if not hasattr(value, "__len__"):
        return map(keyed, ticking(value)) if hasattr(value, "__next__") else value
    if isinstance(value, (list, tuple, List)):
        return hashable(value)
    for each in ticking(value):
        keyed(each)
    return value


intersected, united = _combination(operator.and_), _combination(operator.or_)
differing, less_by = _combination(operator.xor), _combination(operator.sub)
intersected_in_place, united_in_place = _combination(operator.iand), _combination(operator.ior)
differing_in_place, less_by_in_place = _combination(operator.ixor), _combination(operator.isub)

# -- what values' own methods do --------------------------------------------------------------------------


def _first_keyed(kind: type, name: str) -> Callable[..., Any]:
    function = getattr(kind, name)

    def call(value: Any, *rest: Any, **kw: Any) -> Any:
        if rest and type(rest[0]) not in LIGHT:
            keyed(rest[0])
        return function(value, *rest, **kw)

    return call


def _first_sought(kind: type, name: str) -> Callable[..., Any]:
    function = getattr(kind, name)

    def call(value: Any, *rest: Any) -> Any:
        if rest:
            _check_search(value, rest[0])
            if name == "index" and type(rest[0]) not in LIGHT and rest[0] not in value:
                raise ValueError("it is not in there")  # Python would write the whole value into the sentence
        return function(value, *rest)

    return call


def _all_hashable(kind: type, name: str) -> Callable[..., Any]:
    function = getattr(kind, name)

    def call(value: Any, *others: Any) -> Any:
        return function(value, *map(hashable, others))

    return call


def _merging(kind: type, name: str) -> Callable[..., Any]:
    function = getattr(kind, name)

    def call(value: Any, *others: Any, **named: Any) -> Any:
        return function(value, *map(pairs_of, others), **named)

    return call


def counted(items: Any) -> Any:
    """What a `Counter` is given: counts as they are, else what is about to be hashed."""
    return items if isinstance(items, (dict, Dict)) else hashable(items)


def _counting(kind: type, name: str) -> Callable[..., Any]:
    function = getattr(kind, name)

    def call(value: Any, *others: Any, **named: Any) -> Any:
        return function(value, *map(counted, others), **named)

    return call


def _most_common(counter: Any, n: int | None = None) -> list[tuple[Any, Any]]:
    weigh(list(counter.values()))
    return counter.most_common(n)


def _fromkeys(kind: type, keys: Any, *value: Any) -> Any:
    return kind.fromkeys(hashable(keys), *value)


def of_mapping(kind: type) -> None:
    """Let the methods of a kind of mapping go through here."""
    for name in ("get", "pop", "setdefault", "move_to_end"):
        if hasattr(kind, name):
            bound(kind, name, _first_keyed(kind, name))
    bound(kind, "update", _merging(kind, "update"))
    of_class(kind, "fromkeys", functools.partial(_fromkeys, kind))


def of_sequence(kind: type) -> None:
    """Let the methods of a kind of sequence go through here."""
    for name in ("index", "count", "remove"):
        if hasattr(kind, name):
            bound(kind, name, _first_sought(kind, name))
    if hasattr(kind, "sort"):
        bound(kind, "sort", _sort_list)


def _of_set(kind: type) -> None:
    for name in ("add", "discard", "remove"):
        if hasattr(kind, name):
            bound(kind, name, _first_keyed(kind, name))
    for name in (
        "update union intersection difference symmetric_difference issubset issuperset isdisjoint "
        "intersection_update difference_update symmetric_difference_update"
    ).split():
        if hasattr(kind, name):
            bound(kind, name, _all_hashable(kind, name))


for _kind in (dict, Dict, collections.Counter, collections.OrderedDict, collections.defaultdict):
    of_mapping(_kind)
for _kind in (list, tuple, range, List, collections.deque):
    of_sequence(_kind)
for _kind in (set, Set, frozenset):
    _of_set(_kind)
for _name in ("update", "subtract"):
    bound(collections.Counter, _name, _counting(collections.Counter, _name))
bound(collections.Counter, "most_common", _most_common)
for _kind in (type({}.keys()), type({}.items())):
    bound(_kind, "isdisjoint", lambda view, others: view.isdisjoint(hashable(others)))

# -- modules ----------------------------------------------------------------------------------------------


def _sift_down(heap: list[Any], start: int, at: int) -> None:
    # The heap algorithms as `heapq` has them in Python, with comparisons that are weighed.
    item = heap[at]
    while at > start:
        above = (at - 1) >> 1
        if not less(item, heap[above]):
            break
        heap[at] = heap[above]
        at = above
    heap[at] = item


def _sift_up(heap: list[Any], at: int) -> None:
    end, start, item, light = len(heap), at, heap[at], LIGHT
    child = 2 * at + 1
    while child < end:
        found = heap[child]
        beside = child + 1
        if beside < end:
            other = heap[beside]
            if type(found) not in light and not _differ_soon(found, other):
                check_pair(found, other)
            if not found < other:
                child, found = beside, other
        heap[at] = found
        at, child = child, 2 * child + 1
    heap[at] = item
    _sift_down(heap, start, at)


def _differ_soon(one: Any, other: Any) -> bool:
    """Are these pairs, or longer tuples, that the first of their values tells apart?"""
    if type(one) is not tuple or type(other) is not tuple or not one or not other:
        return False
    # Not by `!=` alone: a number that is not itself is the same to a tuple, which looks on.
    return type(one[0]) in LIGHT and one[0] is not other[0] and one[0] != other[0]


def _push(heap: list[Any], item: Any) -> None:
    if type(item) in LIGHT or (type(item) is tuple and all_light(item)):
        return heapq.heappush(heap, item)  # in C: nothing is compared but this with others
    heap.append(item)
    _sift_down(heap, 0, len(heap) - 1)


def _pop(heap: list[Any]) -> Any:
    last = heap.pop()
    return _replace(heap, last) if heap else last


def _replace(heap: list[Any], item: Any) -> Any:
    best = heap[0]
    heap[0] = item
    _sift_up(heap, 0)
    return best


def _push_pop(heap: list[Any], item: Any) -> Any:
    return _replace(heap, item) if heap and less(heap[0], item) else item


def _heapify(heap: list[Any]) -> None:
    weigh(heap)
    heapq.heapify(heap)


def _on_heap(in_c: Callable[..., Any], weighed_one: Callable[..., Any]) -> Callable[..., Any]:
    """A heapq function that works on a list of the image too: those in C insist on a plain one."""

    @functools.wraps(in_c)
    def call(heap: Any, *rest: Any) -> Any:
        if isinstance(heap, list):
            return weighed_one(heap, *rest)
        if not isinstance(heap, List):
            return in_c(heap, *rest)  # raises what Python says to that
        plain = list(heap)
        answer = weighed_one(plain, *rest)
        heap[:] = plain
        return answer

    return call


def _ends(reverse: bool) -> Callable[..., list[Any]]:
    def call(n: int, items: Iterable[Any], key: Any = None) -> list[Any]:
        return ordered(items, key=key, reverse=reverse)[: max(n, 0)]

    return call


def keyed_by(key: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A key function whose answers are weighed: they are about to be compared."""
    step = stepped(key)
    return lambda item: keyed(step(item))


def _merge(*items: Any, key: Any = None, reverse: bool = False) -> Iterator:
    by = None if key is None else keyed_by(key)
    return ticking(heapq.merge(*(map(keyed, ticking(each)) for each in items), key=by, reverse=reverse))


HEAPQ = {
    "heapify": _on_heap(heapq.heapify, _heapify),
    "heappush": _on_heap(heapq.heappush, _push),
    "heappop": _on_heap(heapq.heappop, _pop),
    "heapreplace": _on_heap(heapq.heapreplace, _replace),
    "heappushpop": _on_heap(heapq.heappushpop, _push_pop),
    "nlargest": _ends(True),
    "nsmallest": _ends(False),
    "merge": _merge,
}


def seeking(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of `bisect`: what is sought, or its key, is compared with some twenty others."""

    @functools.wraps(function)
    def call(items: Any, sought: Any, *rest: Any, key: Any = None, **kw: Any) -> Any:
        by = None if key is None else keyed_by(key)
        return function(items, keyed(sought), *rest, key=by, **kw)

    return call
