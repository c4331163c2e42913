"""Values that name their parts again and again: a few dozen containers that C would walk a million million times.

Nothing here is large, and each is one call into C, which looks neither at fuel nor at anybody else.  `!pair KIND`
makes two of them, `x` and `y`, that are equal and share nothing but what is innermost.
"""

from __future__ import annotations

from scripts.escapes.payloads import family

_PAIRS = {
    "tuples": ("(1,)", "({0}, {0})"),
    "lists": ("[1]", "[{0}, {0}]"),
    "dicts": ("{{1: 1}}", "{{1: {0}, 2: {0}}}"),
    "frozensets": ("frozenset([1])", "frozenset([{0}, ({0},)])"),
    "deques": ("collections.deque([1])", "collections.deque([{0}, {0}])"),
    "mixed": ("[1]", "({0}, [{0}])"),
    "views": ("{{1: 1}}.items()", "{{1: {0}, 2: {0}}}.items()"),
}


def _spelt(text: str) -> str:
    for kind, (first, more) in _PAIRS.items():
        lines = [f"{name} = {first.format()}" for name in "xy"]
        lines += ["for _ in range(40):", *(f"    {name} = {more.format(name)}" for name in "xy")]
        text = text.replace(f"!pair {kind}\n", "\n".join(lines) + "\n")
    return text


PAYLOADS = family(
    "values that name themselves",
    _spelt(r"""
## compared?
!pair tuples
return x == y
## lists compared?
!pair lists
return x != y
## dicts compared?
!pair dicts
return x == y
## frozensets compared?
!pair frozensets
return x == y
## deques compared?
!pair deques
return x < y
## views compared?
!pair views
return x == y
## ordered?
!pair tuples
return x < y
## in a chain of comparisons?
!pair mixed
return 0 < 1 == 1 and (1,) <= x <= y
## inside others?
!pair lists
return [0, (1, x)] < [0, (1, y)]
## as a key?
!pair tuples
return {x: 1}
## put under a key?
!pair tuples
d = {}
d[x] = 1
d[x] += 1
return len(d)
## as a member?
!pair tuples
return len({1, x})
## as members of a star?
!pair tuples
return len({*[x, y]})
## as a key of a comprehension?
!pair tuples
return len({k: 1 for k in [x, y]}) + len({k for k in [x, y]})
## asked for?
!pair tuples
return {}.get(x, 1)
## taken away?
!pair tuples
return {1: 1}.pop(x, 2)
## set as a default?
!pair tuples
return collections.OrderedDict().setdefault(x, 1)
## added?
!pair tuples
s = set()
s.add(x)
return len(s)
## made a set of?
!pair tuples
return len(set([x, y])) + len(frozenset((x, y)))
## made a dict of?
!pair tuples
return len(dict([(x, 1), (y, 2)])) + len(dict.fromkeys([x, y]))
## counted?
!pair tuples
return collections.Counter([x, y])
## updated with?
!pair tuples
s = {1}
s.update([x], [y])
return s.issuperset([x])
## looked for in a list?
!pair lists
return x in [1, y]
## not in a tuple?
!pair tuples
return x not in (1, y)
## looked for in a dict?
!pair tuples
return x in {1: 2}
## index, count and remove?
!pair lists
rows = [y]
return rows.index(x) + rows.count(x)
## removed from a deque?
!pair tuples
rows = collections.deque([y])
rows.remove(x)
return len(rows)
## sorted?
!pair tuples
return len(sorted([x, y]))
## sorted in place by a key?
!pair lists
rows = [1, 2]
rows.sort(key=lambda n: x if n == 1 else y)
return rows
## the greater of two?
!pair tuples
return max(x, y) is x
## the least of many?
!pair mixed
return min([x, y]) is x
## by a key?
!pair tuples
return max([1, 2], key=lambda n: x if n == 1 else y)
## on a heap?
!pair tuples
heap = [(1, y)] * 200
heapq.heappush(heap, (1, x))
return len(heapq.nsmallest(2, heap))
## put on a heap by the back door?
!pair tuples
heap = [(1, 1)] * 300
heap[1] = (0, x)
heap[2] = (0, y)
return heapq.heappop(heap)
## bisected?
!pair tuples
return bisect.bisect([y], x)
## put in where its key belongs?
!pair tuples
rows = [2]
bisect.insort(rows, 1, key=lambda n: x if n == 1 else y)
return rows
## long texts in one list, named again and again?
x, y = ['x' * 3999999 + 'b'], ['x' * 3999999 + 'b']
return [x] * 100000 == [y] * 100000
## numbers of one hash by the operators of sets?
return len({}.keys() | [n * (2**61 - 1) for n in range(200000)])
## grouped?
!pair tuples
return len(list(itertools.groupby([x, y])))
## the commonest?
!pair tuples
return statistics.mode([x, y])
## the middle?
!pair lists
return statistics.median([x, y, x])
## written out?
!pair lists
return repr(x)
## formatted?
!pair tuples
return f'{x!r:>5}' + '%s' % (x,) + '{}'.format(x)
## as JSON?
!pair lists
return json.dumps(x)
## copied?
!pair tuples
return copy.deepcopy(x) is x
## raised?
!pair tuples
raise ValueError(x)
## missing?
!pair frozensets
return {}[x]
## put into a slot?
!pair tuples
self.kept = x
return self.kept == y
## lists put into slots and compared?
!pair lists
self.kept, self.other = x, y
return self.kept == self.other
## grown in slots?
self.kept, self.other = [1], [1]
for _ in range(40):
    self.kept = [self.kept, self.kept]
    self.other = [self.other, self.other]
return self.kept == self.other
## grown in slots and written out?
self.kept = [1]
for _ in range(40):
    self.kept = [self.kept, self.kept]
return str(self.kept)
## as the key of a slot's dict?
!pair tuples
self.rates[x] = 1
return self.rates.get(y)
## as the name of a slot?
!pair tuples
return self.get(x)
## as the name of a method?
!pair tuples
return self.source(x)
## as what is taken back?
!pair tuples
return self.revert(x) or self.versions(x)
## as a parent?
!pair tuples
return self.disown(x)
## in a sentence about it?
!pair tuples
return self.put(x, 1)
## in Python's own sentence about it?
!pair tuples
return [1].index(x)
## by the operators of sets?
!pair tuples
return len({1: 2}.keys() & [x]) + len({1: x}.items() | {1: y}.items())
## as a pair of a dict?
!pair tuples
return (x, 1) in {1: 2}.items()
## among what comes one by one?
!pair lists
return x in map(lambda n: y, [1])
## as a function?
!pair tuples
return list(map(x, [1]))
## handed to another?
!pair lists
return self.friend.put('kept', x) == y
## answered?
!pair tuples
return x
## deeper than anybody can follow?
x = (1,)
for _ in range(10**6):
    x = (x,)
return len({x})
## twice on every level, far below?
!pair tuples
for _ in range(850):
    x, y = [x], [y]
return x == y
## wide instead of deep?
x, y = [0], [0]
for _ in range(4):
    x, y = [x] * 1000, [y] * 1000
return x == y
## a class of classes?
x = int
for _ in range(40):
    x = list[x, x]
return repr(x)
## a class of classes as a key?
x = int
for _ in range(40):
    x = tuple[x, x]
return len({x: 1})
## kinds of kinds?
x, y = int | None, int | None
for _ in range(40):
    x, y = x | (x, x), y | (y, y)
return x == y
## a call with its arguments, written out?
x = functools.partial(max, 1)
for _ in range(40):
    x = functools.partial(max, x, (x, x))
return repr(x)
"""),
    outside=True,
)
