"""What runs because something is loaded, copied or kept."""

from __future__ import annotations

from scripts.escapes.payloads import family

PAYLOADS = family(
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
