"""What the analysis knows by name: built-ins, container methods, modules, and sends all objects understand.

Whoever teaches methods a new built-in, module or trait says here what it may do to what it is handed; a
name that stands nowhere here counts as unknown, and what is unknown may change all it is given.
"""

from __future__ import annotations

import builtins
import datetime
import decimal
import fractions

MUTATORS = frozenset(
    "append extend insert remove pop clear sort reverse update popitem setdefault add discard "
    "difference_update intersection_update symmetric_difference_update appendleft extendleft popleft "
    "rotate subtract move_to_end".split()
)
_IMMUTABLE = (
    str, bytes, int, float, complex, tuple, frozenset, datetime.datetime, datetime.date, datetime.time,
    datetime.timedelta, decimal.Decimal, fractions.Fraction,
)  # fmt: skip
# A method of a name that a built-in kind has is taken for theirs: sends of these names change nothing.
PURE_METHODS = frozenset(
    name for kind in (*_IMMUTABLE, list, dict, set) for name in dir(kind) if not name.startswith("_")
) - MUTATORS | {"most_common", "elements", "total"}
TAKING_ELEMENTS = frozenset(
    "extend extendleft update difference_update intersection_update symmetric_difference_update "
    "subtract".split()
)
ELEMENT_METHODS = frozenset({"get", "pop", "popitem", "setdefault", "popleft"})
SHELL_METHODS = frozenset(
    "copy values keys union intersection difference symmetric_difference elements fromkeys".split()
)
PAIRS_METHODS = frozenset({"items", "most_common"})

SCALAR_BUILTINS = frozenset(
    "len int float str bool repr abs round any all isinstance ord chr hash bin hex oct divmod pow callable "
    "format complex bytes range slice hasattr type ascii".split()
)
SHELL_BUILTINS = frozenset("list dict set tuple frozenset sorted".split())
LAZY_BUILTINS = frozenset("map filter zip enumerate reversed iter".split())
ELEMENT_BUILTINS = frozenset("min max next sum getattr".split())
BUILTINS_BY_CALL = frozenset({"setattr", "delattr"})  # to be judged they must be called where they stand
CONTAINER_TYPES = frozenset("list dict set tuple frozenset str bytes int float".split())

# Making one of these runs nothing of the object's.
EXCEPTIONS = frozenset(
    name
    for name, each in vars(builtins).items()
    if isinstance(each, type) and issubclass(each, BaseException)
)

MODULES = frozenset(
    "math statistics datetime decimal fractions re itertools collections random json textwrap string heapq "
    "bisect functools copy".split()
)
SCALAR_MODULES = frozenset("math decimal fractions datetime re json string textwrap".split())
MODULE_CHANGERS = frozenset(
    "shuffle heappush heappop heapify heapreplace heappushpop insort insort_left insort_right".split()
)
MODULE_ELEMENTS = frozenset({"choice", "mode", "median", "median_low", "median_high"})
MODULE_SHELLS = frozenset(
    "copy nlargest nsmallest merge sample choices deque OrderedDict islice compress repeat".split()
)
FRESH = frozenset({"deepcopy", "Counter"})  # they hold nothing but what is new or immutable
LAZY_MODULE_FUNCTIONS = frozenset(
    "chain accumulate groupby starmap takewhile dropwhile filterfalse islice zip_longest cycle compress "
    "pairwise repeat tee merge count product permutations combinations".split()
)
# Where a module's function takes something to call, by position; `self.rank` standing there is a send.
CALLBACK_AT = {
    "reduce": 0, "starmap": 0, "takewhile": 0, "dropwhile": 0, "filterfalse": 0, "partial": 0,
    "cmp_to_key": 0, "defaultdict": 0, "accumulate": 1, "groupby": 1, "sub": 1, "subn": 1,
}  # fmt: skip
CALLBACK_KEYWORDS = frozenset("key default func function repl default_factory".split())
KEEPS_CALLBACK = frozenset({"partial", "cmp_to_key", "defaultdict"})

# What every object understands (the traits): reading, and changing with its own flag.
READING_SENDS = frozenset("slots selectors parents describe get responds_to source versions clone".split())
FLAGGING_SENDS = frozenset("put forget define revert become adopt disown".split())
ANSWERING_SLOTS = frozenset({"get", "slots", "describe", "put", "forget"})
