"""The modules a method may use by name, as far as they compute and reach nothing else.

Each facade lists what it hands on; what could run for ever or grow without bound inside one call is
wrapped (`guards`).  No module here opens a file, imports, keeps state between messages, or tells one
method about another.  `re` runs on the `regex` package, because its matching takes a time limit.
"""

from __future__ import annotations

import _strptime  # noqa: F401  `datetime.strptime` imports it late, but behind the wall nothing imports
import bisect
import collections
import collections.abc
import copy
import datetime
import decimal
import fractions
import functools
import heapq
import itertools
import json
import math
import random
import re
import statistics
import string
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import regex

from batos.guardian import consumers, growth, guards, kinds, texts
from batos.guardian.growth import MAX_BITS, MAX_ITEMS, countable, sized, ticking, too_big
from batos.guardian.guards import Facade
from batos.guardian.kinds import Guarded
from batos.objects import fuel, undo_log, weight
from batos.objects.containers import Dict, List, Set
from batos.objects.weight import weigh

MATCH_SECONDS = 0.5  # of one search; a pattern that needs longer backtracks without end
MAX_PATTERN = 1_000
MAX_COPIES = 5_000  # parts of a pattern once its counted repeats are written out: 15 ms to compile
MAX_SEARCHED = 100_000  # characters one search may look at

MAX_DRAWN = 200_000  # elements one call may draw, shuffle or take the mean of: 0.2 s
MAX_CHOSEN = 10_000  # elements of one combination
MAX_EXACT = 10_000  # fractions and the like, which the modules add in Python

generator = random.Random()  # seeds each message's own, and draws where there is no message: in a rehearsal


def facade(name: str, **handed: Any) -> Facade:
    """An object with these attributes, which nothing can change."""
    members = {
        key: value
        if isinstance(value, (type, Guarded, Facade)) or not callable(value)
        else staticmethod(value)
        for key, value in handed.items()
    }
    members |= {"__slots__": (), "__repr__": lambda self: f"<the module {name}, as methods see it>"}
    return type(name, (Facade,), members)()


def taken(module: Any, names: str) -> dict[str, Any]:
    return {name: getattr(module, name) for name in names.split()}


# -- numbers ---------------------------------------------------------------------------------------


def _at_most(limit: int, function):
    @functools.wraps(function)
    def call(*numbers):
        if any(isinstance(number, int) and number > limit for number in numbers[:1]):
            raise too_big("a number")
        return function(*numbers)

    return call


def _product(items, *, start=1):
    result = start
    for item in ticking(items):
        result = growth.multiply(result, item)
    return result


def _divisor(*numbers):
    result = 0
    for number in ticking(numbers):
        result = math.gcd(result, number)
    return result


def _multiple(*numbers):
    result = 1
    for number in ticking(numbers):
        result = math.lcm(result, number)
        if result.bit_length() > MAX_BITS:
            raise too_big("a number")
    return result


_MATH = """
    acos acosh asin asinh atan atan2 atanh cbrt copysign cos cosh degrees dist e erf erfc exp exp2 expm1
    fabs fmod frexp fsum gamma hypot inf isclose isfinite isinf isnan isqrt ldexp lgamma log log10
    log1p log2 modf nan nextafter pi pow radians remainder sin sinh sqrt tan tanh tau ulp
"""
MATH = facade(
    "math",
    **taken(math, _MATH),
    ceil=lambda number: math.ceil(countable(number)),
    floor=lambda number: math.floor(countable(number)),
    trunc=lambda number: math.trunc(countable(number)),
    factorial=_at_most(5_000, math.factorial),
    comb=_at_most(10_000, math.comb),
    perm=_at_most(5_000, math.perm),
    prod=_product,
    lcm=_multiple,
    gcd=_divisor,
)


def _on_finite(function):
    @functools.wraps(function)
    def call(data, *more, **kw):
        if kw.get("n", 0) > MAX_ITEMS:
            raise too_big("a list")
        data = list(ticking(data))
        exact = not set(map(type, data)) <= {int, float, bool}
        if len(data) > (MAX_EXACT if exact else MAX_DRAWN):
            raise too_big("the data")
        weigh(data)
        for each in data if exact else ():
            countable(each)
        return function(data, *more, **kw)

    return call


_STATISTICS = """
    mean fmean geometric_mean harmonic_mean median median_low median_high median_grouped mode multimode pstdev
    pvariance stdev variance quantiles
"""
STATISTICS = facade(
    "statistics",
    **{name: _on_finite(function) for name, function in taken(statistics, _STATISTICS).items()},
    **taken(statistics, "correlation covariance linear_regression StatisticsError"),
)
_ROUNDING = (
    "ROUND_CEILING ROUND_DOWN ROUND_FLOOR ROUND_HALF_DOWN ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP ROUND_05UP"
)
DECIMALS = facade(
    "decimal",
    Decimal=kinds.DECIMAL,
    **taken(decimal, _ROUNDING + " InvalidOperation DivisionByZero DecimalException"),
)
FRACTIONS = facade("fractions", Fraction=kinds.FRACTION)
DATETIME = facade(
    "datetime",
    **taken(datetime, "date datetime time timedelta timezone MINYEAR MAXYEAR"),
    UTC=datetime.UTC,
)


def _drawing() -> random.Random:
    """What draws for the message that runs: seeded anew for each, and the seed stands in its change record."""
    log = undo_log.current()
    if log is None:
        return generator
    if log.drawing is None:
        log.seed = generator.getrandbits(48)
        log.drawing = random.Random(log.seed)
    return log.drawing


def _drawn(name: str) -> Callable[..., Any]:
    def draw(*args, **kw):
        return getattr(_drawing(), name)(*args, **kw)

    draw.__name__ = name
    return draw


def _choices(population, weights=None, *, cum_weights=None, k=1):
    if k > MAX_DRAWN:
        raise too_big("a list")
    return _drawing().choices(list(population), weights, cum_weights=cum_weights, k=k)


def _sample(population, k, **kw):
    if k > MAX_DRAWN:
        raise too_big("a list")
    return _drawing().sample(list(population), k, **kw)


def _shuffle(items):
    if len(items) > MAX_DRAWN:
        raise too_big("a list")
    _drawing().shuffle(items)


def _finite(name: str) -> Callable[..., float]:
    """A distribution that draws until it likes what it drew, which with NaN or infinity is never."""

    def draw(first: float, second: float) -> float:
        if not (math.isfinite(first) and math.isfinite(second)):
            raise ValueError("the parameters of a distribution are finite numbers")
        return getattr(_drawing(), name)(first, second)

    draw.__name__ = name
    return draw


RANDOM = facade(
    "random",
    **{
        name: _drawn(name)
        for name in (
            "random", "uniform", "randint", "randrange", "choice", "triangular", "expovariate", "gauss",
            "lognormvariate", "normalvariate", "paretovariate", "weibullvariate",
        )
    },
    **{name: _finite(name) for name in ("betavariate", "gammavariate", "vonmisesvariate")},
    sample=_sample,
    shuffle=_shuffle,
    choices=_choices,
)

# -- text ------------------------------------------------------------------------------------------


_COUNT = re.compile(r"\{([0-9]*)(?:,([0-9]*))?\}")
_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]?|\{[0-9]*(?:,[0-9]*)?\}|.", re.DOTALL)


def _copies(pattern: str) -> int:
    """How many parts a pattern has once its counted repeats are written out, as compiling it does."""
    sizes, last = [0], 0  # of the groups that are open; of what a repeat would repeat
    for part in _PART.findall(pattern):
        count = _COUNT.fullmatch(part)
        if part == "(":
            sizes.append(0)
        elif part == ")" and len(sizes) > 1:
            last = max(1, sizes.pop())
            sizes[-1] += last
        elif count and last:
            times = max(int(each[:7]) for each in (*filter(None, count.groups()), "1"))
            sizes[-1] += last * (times - 1)
            last *= times
        else:
            last = 1
            sizes[-1] += 1
    return sum(sizes)


def _checked_pattern(pattern: Any) -> Any:
    """A pattern that can be compiled soon: compiling knows no time limit."""
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    if isinstance(text, str):
        bare = re.sub(r"#[^\n]*|\s", "", text)  # as it reads with the flag VERBOSE
        if len(text) > MAX_PATTERN or max(_copies(text), _copies(bare)) > MAX_COPIES:
            raise too_big("a pattern")
    return pattern


def _bounded_search(function, *args, **kw):
    """A function of `regex` under bounds of text and time."""
    if sum(len(each) for each in (*args, *kw.values()) if isinstance(each, (str, bytes))) > MAX_SEARCHED:
        raise too_big("a searched text")
    try:
        return function(*args, timeout=MATCH_SECONDS, **kw)
    except TimeoutError:
        raise ValueError("this pattern takes too long to match; write it without nested repeats") from None


_FLAGS = regex.I | regex.M | regex.S | regex.X | regex.A


def _checked_flags(flags: Any) -> int:
    if flags & ~_FLAGS:
        raise ValueError("the flags of a pattern are I, M, S, X and A")
    return int(flags)


def _searching(function, *between):
    """A function of `regex` on a pattern and a text; `between` names what it takes before the flags."""

    @functools.wraps(function)
    def call(pattern, text, *rest, **kw):
        places = (*between, "flags")
        if len(rest) > len(places):
            raise TypeError(f"{function.__name__} takes at most {2 + len(places)} arguments")
        given = dict(zip(places, rest, strict=False))
        given |= kw
        if not given.keys() <= {*places}:
            raise TypeError(f"{function.__name__} takes no {', '.join(given.keys() - {*places})}")
        if isinstance(pattern, Pattern):
            pattern = pattern._pattern
        given["flags"] = _checked_flags(given.get("flags", 0))
        return _bounded_search(function, _checked_pattern(pattern), text, **given)

    return call


def _counted(replacement):
    """A function that makes replacements, as long as all of them together stay within bounds."""
    made = 0

    def call(match):
        nonlocal made
        text = replacement(match)
        made += len(text)
        if made > growth.MAX_TEXT:
            raise too_big("a text")
        return text

    return call


def _replacing(function):
    @functools.wraps(function)
    def call(pattern, replacement, text, count=0, flags=0):
        if isinstance(replacement, (str, bytes)):
            if len(replacement) * (len(text) + 1) > growth.MAX_TEXT:
                raise too_big("a text")
        else:
            replacement = _counted(replacement)
        if isinstance(pattern, Pattern):
            pattern = pattern._pattern
        flags = _checked_flags(flags)
        return _bounded_search(
            function, _checked_pattern(pattern), replacement, text, count=count, flags=flags
        )

    return call


class Pattern:
    """A compiled pattern whose every use is bounded."""

    __slots__ = ("_pattern",)
    shown_attributes = frozenset(
        "match fullmatch search findall finditer split sub subn pattern groups".split()
    )

    def __init__(self, pattern):
        self._pattern = pattern

    def match(self, text, *bounds):
        return _bounded_search(self._pattern.match, text, *bounds)

    def fullmatch(self, text, *bounds):
        return _bounded_search(self._pattern.fullmatch, text, *bounds)

    def search(self, text, *bounds):
        return _bounded_search(self._pattern.search, text, *bounds)

    def findall(self, text, *bounds):
        return _bounded_search(self._pattern.findall, text, *bounds)

    def finditer(self, text, *bounds):
        return _bounded_search(self._pattern.finditer, text, *bounds)

    def split(self, text, maxsplit=0):
        return _bounded_search(self._pattern.split, text, maxsplit)

    def sub(self, replacement, text, count=0):
        return RE.sub(self._pattern, replacement, text, count)

    def subn(self, replacement, text, count=0):
        return RE.subn(self._pattern, replacement, text, count)

    @property
    def pattern(self):
        return self._pattern.pattern

    @property
    def groups(self):
        return self._pattern.groups


def _expanded(match, template):
    if len(template) + template.count("\\") * len(match.string) > growth.MAX_TEXT:
        raise too_big("a text")
    return match.expand(template)


def _compile(pattern, flags=0):
    if isinstance(pattern, Pattern):
        return pattern
    return Pattern(regex.compile(_checked_pattern(pattern), _checked_flags(flags)))


guards.admit(
    regex.Match, "group groups groupdict start end span string pos endpos lastindex lastgroup captures expand"
)
guards.bound(regex.Match, "expand", _expanded)
RE = facade(
    "re",
    **{
        name: _searching(getattr(regex, name))
        for name in ("match", "fullmatch", "search", "findall", "finditer")
    },
    split=_searching(regex.split, "maxsplit"),
    sub=_replacing(regex.sub),
    subn=_replacing(regex.subn),
    compile=_compile,
    escape=re.escape,
    error=regex.error,
    **taken(regex, "I IGNORECASE M MULTILINE S DOTALL X VERBOSE A ASCII"),
)


def _kinds_as_json(value):
    if isinstance(value, List):
        return list(value)
    if isinstance(value, Dict):
        return dict(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _dumps(value, *, indent=None, sort_keys=False, ensure_ascii=True, separators=None, default=None):
    def other(each):
        return _kinds_as_json(each) if default is None or isinstance(each, (List, Dict)) else default(each)

    if (len(indent) if isinstance(indent, str) else indent or 0) > 100:
        raise too_big("a text")
    if sum(map(len, separators or ())) > 100:
        raise too_big("a text")
    return json.dumps(
        growth.shown(value),
        indent=indent,
        sort_keys=sort_keys,
        ensure_ascii=ensure_ascii,
        separators=separators,
        default=other,
    )


JSON = facade("json", dumps=_dumps, loads=lambda text: json.loads(text), JSONDecodeError=json.JSONDecodeError)


def _wrapping(function):
    @functools.wraps(function)
    def call(text, *rest, **kw):
        if len(text) > MAX_SEARCHED:
            raise too_big("a text")
        return sized(function(text, *rest, **kw))

    return call


TEXTWRAP = facade(
    "textwrap",
    **{name: _wrapping(getattr(textwrap, name)) for name in ("dedent", "fill", "indent", "shorten", "wrap")},
)
STRING = facade(
    "string",
    **taken(
        string,
        "ascii_letters ascii_lowercase ascii_uppercase capwords digits hexdigits octdigits printable "
        "punctuation whitespace",
    ),
)

# -- containers ------------------------------------------------------------------------------------


def _steps(function):
    """An itertools function whose every step costs fuel, on the way in and on the way out."""

    def call(*args, **kw):
        return ticking(function(*args, **kw))

    return call


class _Chain(Facade):
    __slots__ = ()

    def __call__(self, *iterables):
        return ticking(itertools.chain(*iterables))

    def from_iterable(self, iterables):
        return ticking(itertools.chain.from_iterable(iterables))


def _product_of(*iterables, repeat=1):
    pools = [list(ticking(each)) for each in iterables]
    if repeat > 20 or len(pools) * repeat > 100:
        raise too_big("a product")
    return ticking(itertools.product(*pools, repeat=repeat))


def _pools(function):
    def call(items, r=None):
        pool = list(ticking(items))
        if r is not None and r > max(len(pool), MAX_CHOSEN):
            raise too_big("a combination")
        return ticking(function(pool, len(pool) if r is None and function is itertools.permutations else r))

    return call


def _asking(function):
    return lambda asked, items: function(consumers.stepped(asked), items)


def _grouping(key):
    """Groups are told by comparing one key with the next."""
    return consumers.keyed if key is None else consumers.keyed_by(key)


_ITERTOOLS = "compress count cycle islice pairwise repeat zip_longest"
_ASKING = ("dropwhile", "filterfalse", "starmap", "takewhile")
ITERTOOLS = facade(
    "itertools",
    **{name: _steps(getattr(itertools, name)) for name in _ITERTOOLS.split()},
    **{name: _steps(_asking(getattr(itertools, name))) for name in _ASKING},
    accumulate=_steps(
        lambda items, function=None, **kw: itertools.accumulate(items, consumers.stepped(function), **kw)
    ),
    **{
        name: _pools(getattr(itertools, name))
        for name in ("combinations", "combinations_with_replacement", "permutations")
    },
    chain=_Chain(),
    product=_product_of,
    groupby=lambda items, key=None: (
        (each, list(group)) for each, group in itertools.groupby(ticking(items), _grouping(key))
    ),
    tee=lambda items, n=2: tuple(growth.Lazy(each) for each in itertools.tee(ticking(items), min(n, 1_000))),
)


class _Deque(collections.deque):
    # The class in C lets go of a deque in a deque in a deque by recursion, beyond the stack; this does not.
    __slots__ = ()


class _DefaultDict(collections.defaultdict):
    __slots__ = ()


_Deque.__name__, _DefaultDict.__name__ = "deque", "defaultdict"
guards.admit(_Deque), guards.admit(_DefaultDict)
consumers.of_sequence(_Deque), consumers.of_mapping(_DefaultDict)
for _name in ("extend", "extendleft"):
    guards.bound(_Deque, _name, growth.extending(_name))


def _counter(*given, **named):
    return collections.Counter(*map(consumers.counted, given), **named)


def _ordered_dict(*given, **named):
    return collections.OrderedDict(*map(consumers.pairs_of, given), **named)


def _default_dict(factory=None, *given, **named):
    made_by = factory if isinstance(factory, type) else consumers.stepped(factory)
    return _DefaultDict(made_by, *map(consumers.pairs_of, given), **named)


_KINDS = """
    Callable Collection Container Hashable Iterable Iterator Mapping MutableMapping MutableSequence MutableSet
    Reversible Sequence Set Sized
"""
COLLECTIONS = facade(
    "collections",
    Counter=Guarded(collections.Counter, _counter),
    OrderedDict=Guarded(collections.OrderedDict, _ordered_dict),
    deque=Guarded(_Deque, _Deque),
    defaultdict=Guarded(_DefaultDict, _default_dict),
    abc=facade(  # to be asked for with `isinstance`
        "collections.abc",
        **{
            name: Guarded(kind, kinds.cannot_make(kind))
            for name, kind in taken(collections.abc, _KINDS).items()
        },
    ),
)


HEAPQ = facade("heapq", **consumers.HEAPQ)
BISECT = facade(
    "bisect",
    **{
        name: consumers.seeking(function)
        for name, function in taken(
            bisect, "bisect bisect_left bisect_right insort insort_left insort_right"
        ).items()
    },
)


def _reduce(function, items, *initial):
    return functools.reduce(consumers.stepped(function), ticking(items), *initial)


def _key_of(compare):
    class Key:
        __slots__ = ("_value",)

        def __init__(self, value):
            self._value = value

        def __lt__(self, other):
            return compare(self._value, other._value) < 0

    return Key


FUNCTOOLS = facade("functools", reduce=_reduce, cmp_to_key=_key_of, partial=functools.partial)


def _deep(value):
    """Containers anew and plain, everything else as it is: a copy that is not state of anybody."""
    if isinstance(value, (List, list)):
        return [_deep(each) for each in value]
    if isinstance(value, (Dict, dict)):
        return {key: _deep(each) for key, each in value.items()}
    if isinstance(value, (Set, set)):
        return set(value)
    return tuple(_deep(each) for each in value) if type(value) is tuple else value


def _shallow(value):
    return (
        copy.copy(value)
        if isinstance(value, (list, dict, set))
        else value.copy()
        if isinstance(value, (List, Dict, Set))
        else value
    )


COPY = facade("copy", copy=_shallow, deepcopy=lambda value: _deep(growth.shown(value)))

MODULES: dict[str, Facade] = {
    "math": MATH, "statistics": STATISTICS, "decimal": DECIMALS, "fractions": FRACTIONS, "datetime": DATETIME,
    "random": RANDOM, "re": RE, "json": JSON, "textwrap": TEXTWRAP, "string": STRING, "itertools": ITERTOOLS,
    "collections": COLLECTIONS, "heapq": HEAPQ, "bisect": BISECT, "functools": FUNCTOOLS, "copy": COPY,
}  # fmt: skip

# What these do with a method's values in Python may be left at any line; the rest is in C or bounded.
fuel.ends_in(
    __file__,
    *(
        each.__file__
        for each in (
            guards, consumers, growth, kinds, texts, weight, collections, fractions, functools, heapq, random,
            statistics, string, textwrap, sys.modules["json.encoder"], sys.modules["json.decoder"],
        )
    ),
)  # fmt: skip
