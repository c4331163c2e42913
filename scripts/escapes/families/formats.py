"""Templates whose fields walk along attributes, and widths that fill the memory."""

from __future__ import annotations

from scripts.escapes.payloads import family

PAYLOADS = family(
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
