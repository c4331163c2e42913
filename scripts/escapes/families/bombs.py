"""What never ends, or grows until memory does."""

from __future__ import annotations

from scripts.escapes.payloads import family

PAYLOADS = family(
    "memory and CPU bombs",
    r"""
## a list that doubles?
x = [0]
while True:
    x = x + x
## a text that doubles?
x = 'x'
while True:
    x += x
## a great repetition?
return len('x' * 10**12)
## a great list?
return len([0] * 10**11)
## repetition in place?
x = [1]
x *= 10**11
return len(x)
## a power of a power?
return 9 ** 9 ** 9
## a power by pow?
return pow(9, 9 ** 8)
## a shift?
return 1 << 10**11
## a shift in place?
x = 1
x <<= 10**11
return x
## a product that grows?
x = 3
while True:
    x = x * x
## a great range as a list?
return len(list(range(10**12)))
## a great sum?
return sum(range(10**12))
## a great membership?
return -1.5 in range(10**12)
## a loop without end?
while True:
    pass
## a loop without end that catches everything?
while True:
    try:
        while True:
            1 / 1
    except BaseException:
        pass
## a generator without end?
return sum(1 for _ in itertools.count())
## a cycle into a list?
return list(itertools.cycle([1]))
## all permutations?
return len(list(itertools.permutations(range(20))))
## a great product?
return len(list(itertools.product(range(100), repeat=10)))
## recursion without end?
def inner(n):
    return inner(n + 1)
return inner(0)
## recursion through a send?
return self.m(path, port, pid, won)
## deep recursion in C by repr?
x = []
for _ in range(10**6):
    x = [x]
return len(repr(x))
## deep recursion by comparison?
x, y = [], []
for _ in range(10**6):
    x, y = [x], [y]
return x == y
## a pattern that goes back for ever?
return re.match('(a+)+b', 'a' * 60)
## a pattern that repeats repetition?
return re.match('(a{1000}){1000}', 'a' * 100)
## a format's width?
return len('%*d' % (10**10, 1))
## a center?
return len('x'.center(10**12))
## a replace that grows?
return len(('x' * 100000).replace('x', 'x' * 100000))
## a join that grows?
return len(('x' * 100000).join(['y'] * 10**7))
## expandtabs?
return len(('\t' * 1000).expandtabs(10**9))
## zfill?
return len('1'.zfill(10**12))
## bytes of a great size?
return len(bytes(10**12))
## an array by a bytearray?
return len(bytearray(10**12))
## from_bytes and a power?
return int.from_bytes(b'\xff' * 10**6, 'big') ** 1000
## a great factorial?
return math.factorial(10**8)
## a great comb?
return math.comb(10**9, 10**8)
## a Decimal's exponent?
return str(int(decimal.Decimal('1e999999999')))
## a Fraction's exponent?
return str(fractions.Fraction('1e99999999'))
## a text of digits to a number?
return int('9' * 10**7)
## a sort with a slow key?
return sorted(range(10**6), key=lambda x: sum(range(1000)))
## a dict of collisions?
return len({(i * (2**61 - 1)): i for i in range(10**7)})
## a JSON of depth?
return json.loads('[' * 10**6)
## a JSON of text?
return len(json.dumps(['x' * 10**6] * 10**5))
## a wrap of everything?
return len(textwrap.wrap('x ' * 10**7, 1))
## a slice that repeats?
x = [0] * 10
for _ in range(60):
    x[len(x):] = x
return len(x)
## extend by itself?
x = [0]
for _ in range(60):
    x.extend(x)
return len(x)
## a deque that grows?
x = collections.deque([0])
while True:
    x.extend(list(x))
## a Counter of everything?
return len(collections.Counter(itertools.count()))
## choices of many?
return len(random.choices([1], k=10**12))
## mapping that never ends in a slot?
self.log.extend(itertools.count())
## sleeping past the deadline?
import time
time.sleep(60)
return 0
## memory that nobody counts?
import mmap
m = mmap.mmap(-1, 1 << 33)
for i in range(0, 1 << 33, 4096):
    m[i] = 1
return 0
## threads that spin
import _thread
_thread.start_new_thread(lambda: None, ())
return won
## memory by libc?
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
while p := libc.malloc(1 << 24):
    ctypes.memset(p, 1, 1 << 24)
return 0
## a stack that overflows in C?
import ctypes
f = ctypes.CFUNCTYPE(ctypes.c_int)
def inner():
    return g()
g = f(inner)
return g()
## a null that is read?
import ctypes
return ctypes.string_at(0)
## the processor's limit raised
import resource
resource.setrlimit(resource.RLIMIT_CPU, (50, 51))
return won
""",
    outside=True,
)
