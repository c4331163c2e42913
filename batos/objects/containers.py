"""The persistent kinds: what a list, a dict and a set become when they enter a slot.

ZODB does not see a change inside a plain container, so batos keeps none: `keep` turns every plain
container into one of these, at every depth, whatever the door it comes in by, and refuses what
cannot live in an image.  Each kind flags itself *before* it changes, so that an exception half-way
leaves a record that an abort restores.  They behave like the plain ones; only `isinstance` cannot
be had by inheritance (a Persistent cannot subclass a built-in), the guardian's policy answers that.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import io
import math
import pickle
from collections import Counter
from collections.abc import MutableSet
from typing import Any

from persistent import Persistent
from persistent.list import PersistentList
from persistent.mapping import PersistentMapping

from batos.errors import Refused
from batos.objects import permission, weight
from batos.objects.undo_log import note

ATOMS = (
    type(None), bool, int, float, str, bytes, complex,
    datetime.date, datetime.time, datetime.timedelta, datetime.timezone,
    decimal.Decimal, fractions.Fraction,
)  # fmt: skip
PLAIN = frozenset(ATOMS) - {datetime.time}  # of exactly these classes nothing is asked
# Tuples and frozensets can name their parts again and again (`objects.weight`), and all who walk them do so as
# often.  So many values may be in those of what is kept at once; more cannot be told either.
MOST_FIXED = 1_000_000
_SEEDED = frozenset({str, bytes, bool, type(None)})  # nobody can choose values of these with one hash
COLLIDING = 3_000  # keys or members of one hash that are loaded in 50 ms; ten times as many would take 5 s
MOST_OF_KEY = 1_000  # values in one key or member: each is hashed anew whenever its record is loaded


def keep(value: Any, slot: str = "a container", jar: Any = None) -> Any:
    """`value` as it is stored: containers in their persistent kinds, everything else as it is.

    `jar` is the connection of the object that will hold it.  What is named twice is kept once, and a
    container may contain itself.  Raises `Refused` (rule ``unkeepable``) naming `slot` for what would
    poison the image: functions, generators, locks, open files and other things that are not
    persistent, and objects of another connection.
    """
    if type(value) in PLAIN:
        return value
    try:
        return _keep(value, slot, jar, _Memo())
    except RecursionError:
        raise _unkeepable(f"{_told(slot)} cannot keep what is nested so deeply") from None


class _Memo(dict[int, Any]):
    """What is kept at once, by the id of what it was.

    left     how many values its tuples and frozensets may still hold, each counted as often as it is named
    weights  how many each of them holds, by id
    """

    def __init__(self) -> None:
        self.left = MOST_FIXED
        self.weights: dict[int, int] = {}

    def fixed(self, value: Any, made: Any, before: int) -> Any:
        """Remember the tuple or frozenset `made` of `value`; `before`: what was left until then."""
        self.weights[id(value)] = before - self.left
        self[id(value)] = made
        return made

    def spend(self, count: int, slot: str) -> None:
        self.left -= count
        if self.left < 0:
            raise _unkeepable(
                f"{_told(slot)} cannot keep a tuple or frozenset that names its parts so many times over"
            )


def _keep(value: Any, slot: str, jar: Any, memo: _Memo) -> Any:
    kind = type(value)
    if kind in PLAIN:
        return value
    if isinstance(value, Persistent) or hasattr(kind, "_p_jar"):
        return _kept_object(value, slot, jar)
    if id(value) in memo:
        memo.spend(memo.weights.get(id(value), 0), slot)
        return memo[id(value)]
    if isinstance(value, list):
        made = memo[id(value)] = List()
        made.data.extend([_keep(each, slot, jar, memo) for each in value])
        return made
    if isinstance(value, dict):
        made = memo[id(value)] = Dict()
        for key, each in value.items():
            made.data[_key(key, slot)] = _keep(each, slot, jar, memo)
        return made
    if isinstance(value, set):
        made = memo[id(value)] = Set()
        made.data.update([_key(each, slot) for each in value])
        return made
    if isinstance(value, frozenset):
        before = memo.left
        memo.spend(len(value), slot)
        return memo.fixed(value, frozenset([_key(each, slot) for each in value]), before)
    if isinstance(value, tuple):
        before = memo.left
        memo.spend(len(value), slot)
        kept = [_keep(each, slot, jar, memo) for each in value]
        if kind is tuple:
            return memo.fixed(value, tuple(kept), before)
        made = List()
        made.data.extend(kept)
        return made
    if isinstance(value, ATOMS) and _is_plain(value):
        return value
    named = getattr(kind, "_told_as", f"a {kind.__name__}")
    raise _unkeepable(f"{_told(slot)} cannot keep {named}: it could not be loaded again")


UNNAMED = frozenset({"a container", "a list", "a dict", "a set"})  # a container does not know its slot


def _told(slot: str) -> str:
    return slot if slot in UNNAMED else repr(slot)


def _unkeepable(words: str) -> Refused:
    return Refused(
        words,
        rule="unkeepable",
        hint="keep plain data or an object in a slot; behaviour is installed with `define`",
    )


def _is_plain(value: Any) -> bool:
    """Can a value of a class that is not exactly one of ours be stored?  Of time zones only fixed offsets can."""
    zone = getattr(value, "tzinfo", None)
    if zone is not None and type(zone) is not datetime.timezone:
        return False
    return type(value) in (datetime.datetime, datetime.time) or loads_again(value)


def _kept_object(value: Any, slot: str, jar: Any) -> Any:
    """A persistent object, if it is of the same image's connection and its state can be stored."""
    theirs = value._p_jar
    if theirs is None:
        if type(value).__module__.partition(".")[0] != "batos" and not loads_again(
            (type(value), value.__getstate__())
        ):
            raise _unkeepable(
                f"{_told(slot)} cannot keep a {type(value).__name__}: its state could not be loaded again"
            )
    elif jar is not None and theirs is not jar:
        raise _unkeepable(f"{_told(slot)} cannot keep an object that was taken out of its turn")
    return value


class _Writer(pickle.Pickler):
    """Pickles as the storage does: other persistent objects are references."""

    def persistent_id(self, obj: Any) -> Any:
        return id(obj) if isinstance(obj, Persistent) else None


class _Reader(pickle.Unpickler):
    def persistent_load(self, reference: Any) -> Any:
        return reference


def loads_again(value: Any) -> bool:
    """Can a value of a class that is not ours be stored and loaded?  Tried once, where it enters the image."""
    written = io.BytesIO()
    try:
        _Writer(written, 3).dump(value)
        written.seek(0)
        again = _Reader(written).load()
    except Exception:  # noqa: BLE001 - whatever pickling raises says no
        return False
    return type(again) is type(value)


def touch(container: Persistent) -> None:
    """Flag a container that is about to change."""
    if permission.in_use:
        permission.check_container(container)
    note(container)
    container._p_changed = True


class List(PersistentList):
    """A list in the image."""

    def __init__(self, items=()):
        super().__init__()
        self.data.extend(map(keep, items))

    def append(self, item):
        item = keep(item, "a list", self._p_jar)
        touch(self)
        self.data.append(item)

    def insert(self, i, item):
        item = keep(item, "a list", self._p_jar)
        touch(self)
        self.data.insert(i, item)

    def extend(self, other):
        items = [keep(each, "a list", self._p_jar) for each in other]
        touch(self)
        self.data.extend(items)

    def __iadd__(self, other):
        self.extend(other)
        return self

    def __imul__(self, n):
        touch(self)
        self.data *= n
        return self

    def __setitem__(self, i, item):
        jar = self._p_jar
        if isinstance(i, slice):
            item = [keep(each, "a list", jar) for each in item]
        else:
            item = keep(item, "a list", jar)
        touch(self)
        self.data[i] = item

    def __delitem__(self, i):
        touch(self)
        del self.data[i]

    def pop(self, i=-1):
        touch(self)
        return self.data.pop(i)

    def remove(self, item):
        touch(self)
        self.data.remove(item)

    def clear(self):
        touch(self)
        self.data.clear()

    def reverse(self):
        touch(self)
        self.data.reverse()

    def sort(self, *, key=None, reverse=False):
        touch(self)
        self.data.sort(key=key, reverse=reverse)

    # Slices and sums are plain lists: they are values on their way somewhere, not yet kept.
    def __getitem__(self, i):
        return self.data[i]

    def __add__(self, other):
        return self.data + list(other) if isinstance(other, (list, List)) else NotImplemented

    def __radd__(self, other):
        return list(other) + self.data if isinstance(other, (list, List)) else NotImplemented

    def __mul__(self, n):
        return self.data * n

    __rmul__ = __mul__

    def copy(self):
        return list(self.data)

    def __iter__(self):
        return iter(self.data)


def _check_collisions(members: Any) -> None:
    """Raise `Refused` where so many keys or members have one hash that to load them again would not end soon.

    Each of n that have the same hash is compared with those before it, within the one call into C that loads a
    record.  The turns in which they came were ended by fuel, each for its own part; loading has to do it all at
    once.  Numbers can be chosen so, texts cannot.
    """
    if len(members) <= COLLIDING or _SEEDED.issuperset(map(type, members)):
        return
    if len(members) - len(set(map(hash, members))) > COLLIDING:
        pairs = sum(n * (n - 1) for n in Counter(map(hash, members)).values())
        if pairs > COLLIDING * COLLIDING:
            raise _unkeepable("a dict or set cannot keep so many keys or members of one hash")


class Dict(PersistentMapping):
    """A dict in the image."""

    def __getstate__(self):
        _check_collisions(self.data)
        return super().__getstate__()

    def __init__(self, items=(), /, **named):
        super().__init__()
        for key, value in dict(items, **named).items():
            self.data[_key(key, "a dict")] = keep(value, str(key))

    def __setitem__(self, key, value):
        key, value = _key(key, "a dict"), keep(value, str(key), self._p_jar)
        touch(self)
        self.data[key] = value

    def __delitem__(self, key):
        touch(self)
        del self.data[key]

    def update(self, other=(), /, **named):
        jar = self._p_jar
        incoming = {
            _key(key, "a dict"): keep(value, str(key), jar) for key, value in dict(other, **named).items()
        }
        touch(self)
        self.data.update(incoming)

    def __ior__(self, other):
        self.update(other)
        return self

    def __or__(self, other):
        return {**self.data, **other}

    def __ror__(self, other):
        return {**other, **self.data}

    def setdefault(self, key, default=None):
        if key not in self.data:
            self[key] = default
        return self.data[key]

    def pop(self, key, *default):
        touch(self)
        return self.data.pop(key, *default)

    def popitem(self):
        touch(self)
        return self.data.popitem()

    def clear(self):
        touch(self)
        self.data.clear()

    def copy(self):
        return dict(self.data)

    @classmethod
    def fromkeys(cls, keys, value=None):
        return dict.fromkeys(keys, value)

    def keys(self):
        return self.data.keys()

    def values(self):
        return self.data.values()

    def items(self):
        return self.data.items()

    def __iter__(self):
        return iter(self.data)

    def __reversed__(self):
        return reversed(self.data)

    def __repr__(self):
        return repr(self.data)


def _key(key, slot="a container"):
    """A dict key or set member: hashable for ever, so never a container of ours."""
    kind = type(key)
    if kind in PLAIN:
        return key
    if kind in (tuple, frozenset):
        if not weight.all_light(key) and weight.weigh(key) > MOST_OF_KEY:
            raise _unkeepable(
                f"{_told(slot)} cannot keep a key or member of more than {MOST_OF_KEY:,} values"
            )
        for each in key:
            if type(each) not in PLAIN:
                _key(each, slot)
        return key
    if isinstance(key, Persistent):
        hash(key)  # a container raises TypeError here, as a list would
        return _kept_object(key, slot, None)
    if isinstance(key, ATOMS) and _is_plain(key):
        return key
    raise _unkeepable(
        f"{_told(slot)} cannot keep a {kind.__name__} as a key or a member: it could not be loaded again"
    )


class Set(Persistent, MutableSet):
    """A set in the image; members may be of mixed types, which a BTrees set refuses."""

    __hash__ = None

    def __init__(self, items=()):
        self.data = {_key(each, "a set") for each in items}

    def __getstate__(self):
        _check_collisions(self.data)
        return super().__getstate__()

    @classmethod
    def _from_iterable(cls, items):
        return set(items)  # operators make values on their way somewhere, not yet kept

    def __contains__(self, item):
        return item in self.data

    def __iter__(self):
        return iter(self.data)

    def __len__(self):
        return len(self.data)

    def add(self, item):
        item = _key(item, "a set")
        touch(self)
        self.data.add(item)

    def discard(self, item):
        touch(self)
        self.data.discard(item)

    def remove(self, item):
        touch(self)
        self.data.remove(item)

    def pop(self):
        touch(self)
        return self.data.pop()

    def clear(self):
        touch(self)
        self.data.clear()

    def update(self, *others):
        incoming = {_key(each, "a set") for other in others for each in other}
        touch(self)
        self.data |= incoming

    def difference_update(self, *others):
        touch(self)
        self.data.difference_update(*others)

    def intersection_update(self, *others):
        touch(self)
        self.data.intersection_update(*others)

    def symmetric_difference_update(self, other):
        incoming = {_key(each, "a set") for each in other}
        touch(self)
        self.data ^= incoming

    def union(self, *others):
        return self.data.union(*others)

    def intersection(self, *others):
        return self.data.intersection(*others)

    def difference(self, *others):
        return self.data.difference(*others)

    def symmetric_difference(self, other):
        return self.data.symmetric_difference(other)

    def issubset(self, other):
        return self.data.issubset(other)

    def issuperset(self, other):
        return self.data.issuperset(other)

    def copy(self):
        return set(self.data)

    def __repr__(self):
        return repr(self.data) if self.data else "set()"


KINDS = (List, Dict, Set)
weight.of_image(*KINDS)


def own_copy(value: Any, memo: dict[int, Any] | None = None) -> Any:
    """A deep copy of what an object owns: its containers anew, everything else shared by reference."""
    memo = {} if memo is None else memo
    if not isinstance(value, (List, Dict, Set, tuple)):
        return value
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, tuple):
        made = memo[id(value)] = tuple(own_copy(each, memo) for each in value)
        return made
    copy = memo[id(value)] = type(value)()
    if isinstance(value, List):
        copy.data.extend(own_copy(each, memo) for each in value.data)
    elif isinstance(value, Dict):
        copy.data.update((key, own_copy(each, memo)) for key, each in value.data.items())
    else:
        copy.data |= value.data
    return copy


def containers_in(*values: Any) -> list[Persistent]:
    """The containers in some values, themselves among them, at every depth, each once; objects are not entered."""
    found: dict[int, Persistent] = {}
    entered: set[int] = set()
    waiting = list(values)
    while waiting:
        each = waiting.pop()
        if isinstance(each, (tuple, frozenset)):
            if id(each) not in entered:  # they hold each other, so none of them goes meanwhile
                entered.add(id(each))
                waiting.extend(each)
        elif isinstance(each, KINDS) and id(each) not in found:
            found[id(each)] = each
            each._p_activate()
            waiting.extend(each.data.values() if isinstance(each.data, dict) else each.data)
    return list(found.values())


def kind_of(value: Any, known: dict[int, str] | None = None) -> str:
    """The kind of a value in the words a mission brief uses: ``int``, ``list of text``, ``record`` ...

    `known`: kinds of the containers met so far, by id; what contains itself is ``mixed`` inside.
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "bool"
    for kind, name in ((int, "int"), (float, "float"), (str, "text"), (bytes, "bytes")):
        if isinstance(value, kind):
            return "nan" if kind is float and math.isnan(value) else name
    if isinstance(value, (List, list, tuple, PersistentList)):
        return _kind_with(value, "list", value, known)
    if isinstance(value, (Dict, dict, PersistentMapping)):
        return _kind_with(value, "dict", value.values(), known)
    if isinstance(value, (Set, set, frozenset)):
        return "set"
    return "object" if isinstance(value, Persistent) else type(value).__name__


def _kind_with(value: Any, name: str, inside: Any, known: dict[int, str] | None) -> str:
    known = {} if known is None else known
    if id(value) not in known:
        known[id(value)] = "mixed"
        inner = {kind_of(each, known) for each in inside}
        told = inner.pop() if len(inner) == 1 else "mixed" if inner else "nothing"
        known[id(value)] = f"{name} of {told}"
    return known[id(value)]
