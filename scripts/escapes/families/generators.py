"""From what is suspended to the frame it keeps."""

from __future__ import annotations

from scripts.escapes.payloads import family

PAYLOADS = family(
    "generators and coroutines",
    r"""
## the frame of a generator expression
g = (x for x in [1])
!builtins g.gi_frame.f_builtins
## with getattr
g = (x for x in [1])
!builtins getattr(getattr(g, 'gi_' + 'frame'), 'f_' + 'builtins')
## the frame behind a running generator
g = (g.gi_frame.f_back.f_back for _ in [1])
f = list(g)[0]
!builtins (f or (x for x in '').gi_frame).f_builtins
## its code with other names
g = (x for x in [1])
c = g.gi_code.replace(co_names=('open',))
return c.co_names[0] and g.gi_frame.f_builtins['open'](path).read()
## yield in a method?
g = (yield)
!builtins g.gi_frame.f_builtins
## a generator function inside
def inner():
    yield 1
!builtins inner().gi_frame.f_builtins
## yield from
def inner():
    yield from [1]
g = inner()
next(g)
!builtins g.gi_frame.f_builtins
## what a generator delegates to
def inner():
    yield from (x for x in [1, 2])
g = inner()
next(g)
!builtins g.gi_yieldfrom.gi_frame.f_builtins
## throw into a generator
def inner():
    try:
        yield 1
    except ValueError as exc:
        yield exc.__traceback__.tb_frame.f_builtins
g = inner()
next(g)
!builtins g.throw(ValueError('x'))
## throw into a generator expression
g = (x for x in [1, 2])
next(g)
try:
    g.throw(ValueError)
except ValueError as exc:
    t = exc.__traceback__
!builtins t.tb_next.tb_frame.f_builtins
## send into a generator
def inner():
    got = yield
    yield got.f_builtins
import sys
g = inner()
next(g)
!builtins g.send(sys._getframe())
## a coroutine's frame
async def inner():
    return 1
c = inner()
b = c.cr_frame.f_builtins
c.close()
return b['open'](path).read()
## a coroutine's await
async def inner():
    return 1
async def outer():
    await inner()
c = outer()
b = c.cr_frame.f_builtins
c.close()
return b['open'](path).read()
## an asynchronous generator
async def inner():
    yield 1
!builtins inner().ag_frame.f_builtins
## an asynchronous comprehension
async def inner():
    return [x async for x in y]
c = inner()
b = c.cr_frame.f_builtins
c.close()
return b['open'](path).read()
## a generator in an iterator of ours
g = map(lambda x: x, (x for x in [1]))
!builtins (x for x in [1]).gi_frame.f_builtins if g else 0
## the items inside a lazy iterator?
g = enumerate([1])
return [c for c in g._items.__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__['__builtins__']['open'](path).read()
## chain's iterators
g = itertools.chain([1])
!function type(g).__init__.__class__.__base__.__subclasses__()[140].__init__
## tee's copy
a, b = itertools.tee([1])
!function [c for c in a.__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__
## the reduction of an iterator
f = iter([1]).__reduce__()[0]
return f.__self__.open(path).read()
## the reduction of a reversed
f = iter([1]).__reduce_ex__(4)[0]
return f.__self__.open(path).read()
## types.coroutine
import types
@types.coroutine
def inner():
    yield
!builtins inner().gi_frame.f_builtins
## asyncio runs it
import asyncio
async def inner():
    with open(path) as file:
        return file.read()
return asyncio.run(inner())
## contextmanager
import contextlib
@contextlib.contextmanager
def inner():
    yield
!builtins inner().gen.gi_frame.f_builtins
""",
)
