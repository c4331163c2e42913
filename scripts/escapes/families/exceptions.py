"""What errors carry, and what swallows the end of a turn."""

from __future__ import annotations

from scripts.escapes.payloads import family

PAYLOADS = family(
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
