"""Names that are others after normalisation, and texts that hide what they do."""

from __future__ import annotations

from scripts.escapes.payloads import family

PAYLOADS = family(
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
x = 'a' # {U+202E} {U+2066} return open(path) {U+2069}
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
