"""Reads like ordinary methods: every name is one that methods are given, used beyond what it was meant for.

Under the policy most of these run; what they must not do is touch a canary, print, or hold the interpreter
and its memory past their fuel."""

from __future__ import annotations

from scripts.escapes.payloads import family

PAYLOADS = family(
    "what the language hands out",
    r"""
## a template of the regex module?
text = re.match('(a)', 'a').expandf('{0.__class__.__init__}')
return won if 'wrapper' in text else 0
## a template of a match by getattr?
text = getattr(re.match('(a)', 'a'), 'expandf')('{1.__class__.__base__}')
return won if 'object' in text else 0
## a replacement with a format?
return re.subf('(a)', '{1.__class__}', 'a')
## the pattern behind a match?
return str(re.match('a', 'a').re.__class__)
## the pattern behind a match, quietly?
return str(re.match('a', 'a').re)
## the text a match keeps?
m = re.match('a', 'a')
return str([m.string, m.pos, m.regs, m.re])
## a match's captures as a dict?
return re.match('(?P<x>a)', 'a').capturesdict()
## a match detaches its text?
m = re.match('a', 'a')
m.detach_string()
return m.group()
## a pattern that reads a list by name?
return re.match('\\L<words>', 'a', words=['a'])
## a pattern that calls itself?
return re.match('(?R)?a', 'a' * 50)
## a pattern with errors allowed?
return re.search('(?:abcdefghij){e<=9}', 'xyz' * 3000)
## a pattern that looks far behind?
return re.search('(?<=' + 'a?' * 200 + ')b', 'a' * 5000 + 'b')
## a pattern of nested counts?
return re.match('(((a?){100}){100}){50}', 'a')
## a pattern of nested counts, compiled?
return re.compile('(?:a{999}){999}').pattern
## a pattern of one great count?
return re.compile('a{99999999}').pattern
## a pattern of many groups?
return re.compile('(a)' * 2000).groups
## a pattern with flags as words?
return re.compile('(?DEBUG)a', 128).pattern
## the flags of debugging print?
return re.compile('a(b|c)', flags=512).pattern
## the clock?
return won if datetime.datetime.now() else 0
## the day?
return won if datetime.date.today() else 0
## the clock of another zone?
return won if datetime.datetime.now(datetime.timezone.utc) else 0
## the local zone?
return won if datetime.datetime(2020, 1, 1).astimezone() else 0
## a timestamp read locally?
return str(datetime.datetime.fromtimestamp(0))
## a day from a text?
return str(datetime.datetime.strptime('2020-01-01', '%Y-%m-%d'))
## a day as a text?
return datetime.date(2020, 1, 1).strftime('%A %d %B %Y %Z %c')
## a day with a spec without end?
return len(format(datetime.date(2020, 1, 1), '%A' * 900_000))
## a day in an f-string without end?
return len(f"{datetime.date(2020, 1, 1):{'%A' * 900_000}}")
## bytes of a number, without end?
return len((1).to_bytes(10**11, 'big'))
## bytes of a number, quietly?
return len(getattr(1, 'to_bytes')(10**11, 'big'))
## bytes by the class?
return len(int.to_bytes(1, 10**11, 'big'))
## a text from its hex?
return len(bytes.fromhex('00' * 1_900_000))
## left and right?
return len('x'.ljust(10**11)) + len('x'.rjust(10**11))
## a text that translates itself greater?
return len(('a' * 1_000_000).translate({97: 'b' * 1_000_000}))
## a join of itself?
return len(('x' * 1_000_000).join('y' * 1_000_000))
## a join, quietly?
f = ('x' * 1_000_000).join
return len(f(['y'] * 1_000_000))
## a join by the class?
return len(str.join('x' * 1_000_000, ['y'] * 1_000_000))
## a replacement, quietly?
f = ('x' * 1_000_000).replace
return len(f('x', 'y' * 1_000_000))
## a replacement by map?
return len(list(map(('x' * 1_000_000).replace, ['x'], ['y' * 1_000_000]))[0])
## a template with many numbers?
return len('{0:>4000000}{0:>4000000}{0:>4000000}'.format(1))
## a template with a nested width?
return len('{0:>{1}}'.format(1, 10**11))
## a percent with a star?
return len('%*s' % (10**11, 'x'))
## a percent with a star, of bytes?
return len(b'%*s' % (10**11, b'x'))
## an f-string with a width?
n = 10**11
return len(f'{1:>{n}}')
## a number's format?
return len(format(1, '>99999999999'))
## a round with many digits?
return round(10**5000, -10**9)
## a round, quietly?
return round(1.5, 10**18)
## Decimals that grow?
x = decimal.Decimal('9.9e9999')
for _ in range(60):
    x = x * x
return str(x)
## a Decimal scaled?
return len(str(int(decimal.Decimal(1).scaleb(999999))))
## a Decimal shifted?
return len(format(decimal.Decimal('1e9999'), 'f'))
## a Decimal's power?
return str(decimal.Decimal(10) ** 999999999)
## a Decimal's context?
return str(decimal.Decimal(1).exp(decimal.Context(prec=10**9)))
## a Fraction's power?
return str(fractions.Fraction(3, 2) ** 10**9)
## a Fraction of a float?
return str(fractions.Fraction(1e308) ** 1000)
## a modular power?
return pow(3, 10**100_000, 10**100_000)
## an isqrt of much?
return math.isqrt(1 << 199_999) > 0
## a gcd of much?
return math.gcd((1 << 199_999) - 1, (1 << 199_998) - 1)
## a product by prod?
return math.prod(range(1, 10**6))
## a sum of lists?
return len(sum([[0] * 1000] * 1_000_000, []))
## a sum of texts in tuples?
return len(sum([(0,) * 1000] * 1_000_000, ()))
## a product of pools?
return sum(1 for _ in itertools.product(range(1000), repeat=5))
## combinations of everything?
return len(list(itertools.combinations(range(200), 100)))
## accumulate that grows?
return len(str(list(itertools.accumulate([10**1000] * 10**6, lambda a, b: a * b))[-1]))
## tee of what never ends?
a, b = itertools.tee(itertools.count())
return sum(1 for _ in a)
## groupby of what never ends?
return sum(1 for _ in itertools.groupby(itertools.count()))
## zip_longest of what never ends?
return sum(1 for _ in itertools.zip_longest(itertools.count(), [1]))
## islice far out?
return next(itertools.islice(itertools.count(), 10**15, None))
## a membership in what never ends?
return -1 in itertools.count()
## a comparison that never ends?
return list(zip(itertools.count(), itertools.repeat(1)))
## any and all of what never ends?
return all(itertools.repeat(1)) or any(itertools.repeat(0))
## max of what never ends?
return max(itertools.count())
## min of a map that never ends?
return min(map(lambda x: -x, itertools.count()))
## sorted of what never ends?
return sorted(itertools.count())
## set of what never ends?
return len(set(itertools.count()))
## dict from what never ends?
return len(dict(zip(itertools.count(), itertools.count())))
## dict.fromkeys of what never ends?
return len(dict.fromkeys(itertools.count()))
## a tuple of what never ends?
return len(tuple(itertools.count()))
## unpacking what never ends?
a, *b = itertools.count()
return b
## arguments of what never ends?
return max(*itertools.count())
## a filter that never finds?
return next(filter(None, itertools.repeat(0)))
## a dropwhile that never ends?
return next(itertools.dropwhile(lambda x: True, itertools.count()))
## statistics of what never ends?
return statistics.mean(itertools.count())
## statistics of much?
return statistics.multimode(range(4_000_000))
## quantiles of much?
return len(statistics.quantiles([1, 2, 3], n=10**11))
## heapq of what never ends?
return heapq.nlargest(3, itertools.count())
## heapq merges what never ends?
return sum(1 for _ in heapq.merge(itertools.count(), itertools.count()))
## heapq, quietly many?
return len(heapq.nsmallest(10**12, range(10)))
## bisect of a long range?
return bisect.bisect(range(4_000_000), 5)
## insort of much?
x = []
for i in range(10**7):
    bisect.insort(x, -i)
return len(x)
## reduce that grows?
return len(functools.reduce(lambda a, b: a + a, range(100), 'x'))
## partial within partial?
f = functools.partial(max, 1)
for _ in range(100_000):
    f = functools.partial(f, 1)
return f()
## a lambda that calls lambdas?
f = lambda: 0
for _ in range(50_000):
    f = (lambda g: lambda: g())(f)
return f()
## a counter minus a counter?
c = collections.Counter(range(100_000))
for _ in range(10_000):
    c = c + c
return len(c)
## a default made by a default?
d = collections.defaultdict(lambda: collections.defaultdict(list))
for i in range(10**7):
    d[i][i].append(i)
return len(d)
## a deque with a length?
return len(collections.deque(itertools.count(), maxlen=10))
## an OrderedDict that moves?
o = collections.OrderedDict.fromkeys(range(1000))
while won:
    o.move_to_end(0)
## random of great numbers?
return random.randrange(10**100_000) >= 0
## random's shuffle of much?
x = list(range(4_000_000))
random.shuffle(x)
return x[0]
## random's sample of much?
return len(random.sample(range(4_000_000), 3_000_000))
## the seed is set from outside?
return random.seed(1)
## the generator's state?
return random.getstate()
## JSON of a great indent?
return len(json.dumps([[[1]]], indent=10**9))
## JSON with separators that grow?
return len(json.dumps([1] * 100_000, separators=(',' * 100_000, ':')))
## JSON that contains itself?
x = []
x.append(x)
return json.dumps(x)
## JSON with a default that returns itself?
return json.dumps({'a': {1, 2}}, default=lambda o: o)
## JSON with a default that grows?
return len(json.dumps({'a': {1}}, default=lambda o: [o, o]))
## JSON of great numbers?
return len(str(json.loads('9' * 100_000)))
## a wrap of one character?
return len(textwrap.fill('x ' * 500_000, 1))
## an indent that calls?
return len(textwrap.indent('x\n' * 100_000, 'y' * 100_000))
## a shorten with a placeholder?
return textwrap.shorten('x ' * 500_000, 10**9, placeholder='y' * 1_000_000)
## capwords with a separator?
return len(string.capwords('x ' * 500_000, ' '))
## a codec of the dark?
return b'\x00' * 100_000 and ('x' * 100_000).encode('idna')
## a codec that runs text?
return 'x'.encode('rot13')
## a codec by a strange name?
return b'eJw='.decode('zlib')
## a codec by bytes?
return str(b'x', 'unicode_escape')
## an error handler of the dark?
return 'é'.encode('ascii', 'xmlcharrefreplace')
## a casefold that grows?
return len(('ŉ' * 1_300_000).upper())
## splitting into millions?
return len(('x ' * 1_900_000).split())
## partition, and again?
x = 'a,' * 1_000_000
while x:
    _, _, x = x.partition(',')
return x
## a slice without end?
return len([0][:10**18] * 1)
## a slice that steps?
return len(range(5_000_000)[::-1])
## a slice object that is huge?
return slice(0, 10**100).indices(10**6)
## a complex power?
return (1 + 1j) ** 10**18
## texts kept by the thousand?
x = []
while won:
    x.append('x' * 3_999_000 + str(len(x)))
## lists kept by the thousand?
x = []
while won:
    x.append([len(x)] * 4_999_999)
## numbers kept by the thousand?
x = []
n = 1 << 199_000
while won:
    x.append(n + len(x))
## bytes kept by the thousand?
x = []
while won:
    x.append(bytes(3_999_999))
## sets kept by the thousand?
x = []
while won:
    x.append(set(range(100_000)))
## closures kept by the thousand?
x = []
while won:
    x.append((lambda a: lambda: a)('y' * 100_000))
## a dict of texts that grow?
d = {}
while won:
    d[len(d)] = ('x' * 100_000 + str(len(d)))
## a slot of texts that grow?
while won:
    self.log.append('x' * 1_000_000 + str(len(self.log)))
## a send within a send?
return self.responds_to('m') and self.m(path, port, pid, won)
## a handler that goes on?
while won:
    try:
        while won:
            [][1]
    except Exception:
        pass
## a handler within a handler?
def inner():
    try:
        return inner()
    except RecursionError:
        return inner()
return inner()
## a finally that goes on?
def inner():
    try:
        return inner()
    finally:
        inner()
return inner()
## an error with a great text?
raise ValueError('x' * 3_999_999)
## an error that holds an object?
raise ValueError(self)
## an error that holds a function?
raise ValueError(lambda: 0)
## an error with itself?
e = ValueError()
raise e from e
## an error raised by a class?
raise ValueError
## the text of a function?
return str(lambda: 0)
## the text of a method?
return str(self.log.append)
## the text of a facade?
return str(math) + repr(random)
## the text of a class?
return repr(functools.cmp_to_key(lambda a, b: 0))
## a key's class asks its instance?
k = functools.cmp_to_key(lambda a, b: 0)
return isinstance(k(1), k)
## an answer that is a function?
return lambda: open(path).read()
## an answer that is a facade?
return math
## an answer that is a class?
return int
## an answer nested without end?
x = []
for _ in range(10_000):
    x = [x]
return x
## an answer that holds itself?
x = []
x.append(x)
return x
## an answer that is an iterator?
return itertools.count()
## an answer of a text that cannot be written?
return '\ud800'
## an answer that is not a number?
return float('nan')
## an answer that is an error?
return ValueError('x')
## comparing what cannot be compared?
return self < self or self.friend > self
## sorting by a key that changes?
x = list(range(100_000))
x.sort(key=lambda i: x.append(i) or i)
return len(x)
## a loop over what grows?
for each in self.log:
    self.log.append(each)
return 0
## a loop over a dict that changes?
for each in self.rates:
    self.rates[each + 'x'] = 1
return 0
## a heavy function of C for each of many?
return list(map(max, [[0] * 5000000] * 100000))
## a search of C for each of many?
return sum(map(('a' * 4000000).count, ['b' * 2] * 5000000))
## a filter of C over the long?
return list(filter(any, [[0] * 4000000] * 100000))
## all of any?
return all(map(any, [[0] * 4000000 + [1]] * 100000))
## a key of C?
return sorted([[0] * 4000000] * 10000, key=max)
## the greatest by a key of C?
return max([[0] * 4000000] * 10000, key=min)
## a reduction in C?
return functools.reduce(max, [[0] * 4000000] * 100000)
## starmap in C?
return list(itertools.starmap(max, [([0] * 4000000, [0] * 4000000)] * 10000))
## dropwhile in C?
return list(itertools.dropwhile(max, [[1] * 4000000] * 100000))
## groups by C?
return list(itertools.groupby([[0] * 4000000] * 10000, max))
## a factory of C?
d = collections.defaultdict(functools.partial(max, [0] * 4000000))
return [d[n] for n in range(100000)]
## a partial of C?
return list(map(functools.partial(max, [0] * 4000000), [[0]] * 100000))
## a replacement by C?
return re.sub('a', functools.partial(str.replace, 'x', 'x'), 'a' * 99999)
## long texts compared very often?
a = 'x' * 3999999
return [a + 'b'] * 4000000 == [a + 'c'] * 4000000
## long texts looked for?
a = 'x' * 3999999
return a + 'b' in [a + 'c'] * 4000000
## long bytes counted?
a = b'x' * 3999999
return ([a + b'c'] * 4000000).count(a + b'b')
## the greatest of long texts?
t = 'x' * 3999999
return max([t + 'a', t + 'b'] * 2000000) == t
## long texts sorted?
t = 'x' * 3999999
return len(sorted([t + 'a', t + 'b'] * 1000000))
## great numbers looked for?
n = 1 << 199990
return n + 1 in [n + 2] * 5000000
## numbers of one hash as a set?
return len(set([n * (2**61 - 1) for n in range(200000)]))
## numbers of one hash as keys?
return len(dict.fromkeys([n * (2**61 - 1) for n in range(200000)]))
## numbers of one hash counted?
return len(collections.Counter([n * (2**61 - 1) for n in range(200000)]))
## numbers of one hash by pairs?
return len(dict(zip([n * (2**61 - 1) for n in range(200000)], range(200000))))
## many sorted?
return len(sorted([random.random() for _ in range(100000)] * 50))
## many sorted in a slot?
self.log = [(n * 7919) % 100003 for n in range(100000)]
self.log.sort()
return self.log[0]
## a table that writes more?
return len(('a' * 1000).translate(['x' * 4000000] * 128))
## a great choice of one?
return len(list(itertools.combinations([1], 10**9)))
## a great choice with repeats?
return len(list(itertools.combinations_with_replacement([1], 5 * 10**8)))
## a deque that doubles itself?
x = collections.deque([0])
for _ in range(60):
    x.extend(x)
return len(x)
## a deque that doubles to the left?
x = collections.deque([0])
for _ in range(60):
    x.extendleft(x)
return len(x)
## the divisor of a million great numbers?
g = 3**60000
return math.gcd(*[g * 7**30000, g * 11**25000] * 1000000)
## a decimal of millions of digits?
d = decimal.Decimal('0.' + '7' * 3999990)
while True:
    d * d
## a decimal of a tuple of digits?
return decimal.Decimal((0, (7,) * 4000000, -4000000)).exp()
## a date read by a great form?
return datetime.datetime.strptime('x', '%d' + 'a' * 1000000)
## a date read by its instance?
return datetime.datetime(2020, 1, 1).strptime('x', '%d' + 'a' * 1000000)
## a date written by a great form?
return datetime.date(2020, 1, 1).strftime('%c' * 1000000)[:3]
## a date in a field of a great form?
return f"{datetime.date(2020, 1, 1):{'%c' * 1000000}}"[:4]
## where the machine stands, by an instance?
return str(datetime.datetime(2020, 1, 1).fromtimestamp(0))
## the clock, by an instance?
return won if datetime.datetime(2020, 1, 1).now() else 0
## a number of bytes, by an instance?
n = (0).from_bytes(b'\xff' * 3999999, 'big')
while True:
    n = n * n
## keys by an instance?
return len({}.fromkeys([n * (2**61 - 1) for n in range(200000)]))
## an indent that is long?
return len(textwrap.indent('a\n' * 50000, 'x' * 4000000))
## an indent of what is wrapped?
return len(textwrap.fill('a ' * 50000, 1, subsequent_indent='x' * 3999990))
## an answer of gigabytes?
return ['x' * 4000000] * 100000
## an answer of many objects?
return [self] * 900000
## a number too long to be told?
return 10**5000
## half a character?
return chr(0xD800)
## a key that is missing and long?
return {}[tuple(range(1000000))]
## a name that is long?
return getattr(self, 'x' * 4000000)
## a text that is no number and long?
return float('x' * 4000000)
## a list that holds itself, written out?
x = []
x.append(x)
return repr(x)
## fractions that grow?
return sum([fractions.Fraction(1, 2**90000 + 2 * k + 1) for k in range(4000)])
## a codec by the class of bytes?
return bytes('x', 'idna') + bytes('x', 'punycode')
## a codec by the class of text?
return str(b'x', 'unicode_escape') + str(b'x', 'idna')
## a codec with a zero in its name?
return 'x'.encode('utf-8\0')
## an unknown way with errors?
return chr(0xD800).encode('utf-8', 'no_such_handler')
## the receiver's name bound to a text?
self = '{0.__class__.__base__}'
f = self.format
text = f(1)
return won if 'object' in text else 0
## the receiver's name bound by a walrus?
(self := '{0.__class__}')
f = self.format
text = f(1)
return won if 'int' in text else 0
## the receiver's name bound by a loop?
for self in ['{0.__class__}']:
    f = self.format
text = f(1)
return won if 'int' in text else 0
## the receiver's name bound by a case?
match '{0.__class__}':
    case self:
        f = self.format
text = f(1)
return won if 'int' in text else 0
## the receiver's name bound in a lambda?
text = (lambda self: self.format)('{0.__class__}')(1)
return won if 'int' in text else 0
## the receiver's name bound in a comprehension?
text = [self.format for self in ['{0.__class__}']][0](1)
return won if 'int' in text else 0
## the receiver's name of an inner function?
def inner(self):
    return self.format
text = inner('{0.__class__}')(1)
return won if 'int' in text else 0
## the receiver's name of a caught error?
try:
    raise ValueError('{0.__class__}')
except ValueError as self:
    text = self.with_traceback
return won if text else 0
## what an error remembers of its object?
try:
    (1).nothing
except AttributeError as e:
    return str(e.obj) + str(e.name)
## what a stop brings along?
try:
    next(iter([]))
except StopIteration as e:
    return str(e.value)
## a note on an error?
try:
    1 / 0
except ZeroDivisionError as e:
    e.add_note('x')
    return str(e)
## a partial's parts?
p = functools.partial(max, 1)
return str(p.func) + str(p.keywords)
## a slot's name in keywords?
return str(self.clone(**{'_p_oid': 5}))
## a parent in keywords?
return str(self.clone(**{'parent*': 5}))
## a covenant's line by put?
return self.put('_p_changed', 1)
## stars on a guarded name?
return getattr(*[self, '__class__'])
## stars on a send?
return self.resend(*['__init__'])
## timeouts by place?
return str(re.compile('(a+)+b').search('a' * 60, 0, 60, None, None, 9999))
""",
)
