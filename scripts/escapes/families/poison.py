"""Reads like ordinary methods that leave behind what cannot be kept, or change what they were not given."""

from __future__ import annotations

from scripts.escapes.payloads import family

PAYLOADS = family(
    "poisoned objects",
    r"""
## a function in a slot?
self.balance = lambda: 0
return 0
## a bound method in a slot?
self.balance = self.log.append
return 0
## a function in a list?
self.log.append(len)
return 0
## a function in a nested list?
self.log.append([[lambda: 0]])
return 0
## a function as a key?
self.rates[len] = 1
return 0
## a generator in a dict?
self.rates['x'] = (x for x in [1])
return 0
## a generator by setdefault?
self.rates.setdefault('x', iter([1]))
return 0
## a generator by update?
self.rates.update(x=map(str, [1]))
return 0
## a function by extend?
self.log.extend([len])
return 0
## a function by insert?
self.log.insert(0, len)
return 0
## a function by slice?
self.log[:] = [len]
return 0
## a function by adding in place?
self.log += [len]
return 0
## a function by or in place?
self.rates |= {'x': len}
return 0
## a function by the class's method?
list.append(self.log, len)
return 0
## a function by map?
return list(map(self.log.append, [len]))
## a function by heapq?
heapq.heappush(self.log, len)
return 0
## a function by bisect?
bisect.insort(self.log, len, key=lambda x: 0)
return 0
## a function by put?
return self.put('balance', len)
## a function by setattr?
setattr(self, 'balance', len)
return 0
## a function by clone?
return self.clone(balance=len)
## a function through an alias?
x = self.log
x.append(len)
return 0
## a function through a default?
def inner(x=self.log):
    x.append(len)
return inner()
## a function in a default dict's factory?
self.rates = collections.defaultdict(lambda: 0)
return 0
## a deque in a slot?
self.log = collections.deque([len])
return 0
## a Counter of functions in a slot?
self.rates = collections.Counter([len])
return 0
## a compiled pattern in a slot?
self.log = re.compile('a')
return 0
## a match in a slot?
self.log = re.match('a', 'a')
return 0
## an error in a slot?
self.log = ValueError(len)
return 0
## a zone of its own in a slot?
self.log = datetime.timezone(datetime.timedelta(hours=1), 'x')
return 0
## a range, a slice, a view in slots?
self.a = range(5)
self.b = self.rates.keys()
return 0
## a slice in a slot?
self.a = slice(1, 2)
return 0
## a partial in a slot?
self.a = functools.partial(len)
return 0
## a key of functools in a slot?
self.a = functools.cmp_to_key(lambda a, b: 0)(1)
return 0
## not a number in a slot?
self.a = float('nan')
return 0
## half a character in a slot?
self.a = '\ud800'
return 0
## half a character as a slot's name?
return self.put('a\ud800', 1)
## a list nested without end in a slot?
x = []
for _ in range(5_000):
    x = [x]
self.log = x
return 0
## a list nested without end, bit by bit?
for _ in range(5_000):
    self.log = [self.log]
return 0
## a list nested inward, bit by bit?
x = self.log
for _ in range(5_000):
    y = []
    x.append(y)
    x = x[-1]
return 0
## a tuple nested without end?
x = ()
for _ in range(5_000):
    x = (x,)
self.log = x
return 0
## a list that holds itself?
self.log.append(self.log)
return 0
## a tuple with a list in it?
self.log = ([1], [2])
return 0
## a frozenset of functions?
self.log = frozenset([len])
return 0
## a bool as a slot's name?
return self.put(True, 1)
## a number as a slot's name?
return self.put(5, 1)
## a private slot?
return self.put('_name', 'poisoned')
## a private slot, without an underscore that shows?
return self.put('＿name', 'poisoned')
## the flag as a slot?
return self.put('_p_changed', False)
## a parent by put?
return self.put('parent*', self)
## a parent that is no object?
return self.put('parent*', 5)
## its own parent?
return self.adopt(self)
## a cycle of parents?
self.friend.adopt(self)
return self.adopt(self.friend)
## all parents disowned?
for each in self.parents():
    self.disown(each)
return self.nowhere()
## one of the seven names by put?
return self.put('define', 1)
## one of the seven names by clone?
return self.clone(put=1)
## a slot called like a method of everybody?
self.clone = 5
return 0
## a method of its own redefined?
return self.define('def m(self):\n    return 1')
## a method with hostile text?
return self.define('def x(self):\n    import os')
## a method with text without end?
return self.define('def x(self):\n' + '    self.a = 1\n' * 10_000)
## the friend's state in place?
x = self.friend
x.log.append(len)
return 0
## the friend's state by send?
return self.friend.put('log', len)
## the friend's private state?
return self.friend.put('_name', 'poisoned')
## the parents' slots?
return self.parents()[0].put('poisoned', won)
## the parents' methods?
return self.parents()[0].define('def clone(self):\n    return 5')
## the parents' words forgotten?
return self.parents()[0].forget('clone')
## the parents become another?
return self.parents()[0].become(self)
## the parents adopt it?
return self.parents()[0].adopt(self)
## the parents lose their parents?
p = self.parents()[0]
for each in p.parents():
    p.disown(each)
return 0
## everybody becomes nobody?
return self.become(self.friend)
## a name in the lobby?
return self.clone(called='genesis_obj')
## a slot list that is changed?
x = self.slots()
x['own']['balance'] = won
return self.balance
## the selectors that are changed?
x = self.selectors()
x.append('poisoned')
return 0
## versions that are changed?
x = self.versions('m')
x.clear()
return len(self.versions('m'))
## a source that is another's?
return self.source('clone')
## an argument that is kept and changed?
x = [1]
self.log = x
x.append(len)
return 0
## a literal that is shared between calls?
x = [1, 2, 3]
x.append(won)
self.log = x
return len(x)
## a default that is shared between calls?
def inner(x=[]):
    x.append(1)
    return len(x)
inner()
return inner()
## a constant of a facade changed?
x = string.ascii_letters
x += won
return len(string.ascii_letters)
## a facade's list?
math.pi.real
return won if math.pi == 3 else 0
## the words of the language rebound?
def inner(len):
    return len
return inner(won) and len([1])
## the words of the language deleted?
len = 5
return len
## a comprehension that leaks its names?
x = [len for len in [1]]
return x
""",
)
