"""Names that lead out: of a function, of a class, of a module, of the language itself."""

from __future__ import annotations

from scripts.escapes.payloads import family

PAYLOADS = family(
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
import batos.guardian.names as p
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
