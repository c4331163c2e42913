"""The round trip: what is about to be committed is loaded again first, from the very bytes that will be stored.

A value may go into a record and never come out of it: a method bound to a lambda, a class of the program
that is running, an instance whose class wants arguments.  The kinds of a slot keep such values out
(`objects.containers.keep`); this is the net below every door, also those of other code: indexes,
models, programs that speak to the image in Python.  A record that does not load ends the commit before
anything is stored, with the slot in words, and the message that made it fails alone.

The price is one unpickling a record, references left alone, no pickling: the storage's own bytes are
read.  Decided against: asking only about unknown classes, because looking at each value costs Python more
than the C unpickler does.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any, ClassVar

from persistent import Persistent
from ZODB.POSException import ConflictError, InvalidObjectReference, POSError
from ZODB.serialize import ObjectWriter
from zodbpickle import pickle

from batos.errors import Refused
from batos.objects import UvmObject
from batos.objects.containers import loads_again

# A class of this module is another program's tomorrow, or nobody's.
ELSEWHERE = "__main__"


class _Unpickler(pickle.Unpickler):
    """Loads a record but for what it refers to."""

    classes: ClassVar[dict[tuple[str, str], Any]] = {}  # found once a process

    persistent_load = (
        type  # anything that can be a key stands for what a reference leads to; called thousands of times
    )

    def find_class(self, module: str, name: str) -> Any:
        found = self.classes.get((module, name))
        if found is None:
            if module == ELSEWHERE:
                raise pickle.UnpicklingError(f"the class {name} belongs to the program that runs")
            found = self.classes[module, name] = super().find_class(module, name)
        return found


def load(data: bytes) -> Any:
    """The state in a record's bytes; raises whatever loading raises."""
    unpickler = _Unpickler(BytesIO(data))
    unpickler.load()  # the class
    return unpickler.load()


class Checked:
    """An `ObjectWriter` that loads what it has written; raises `Refused` (rule ``unkeepable``)."""

    __slots__ = ("_writer",)

    def __init__(self, writer: ObjectWriter):
        self._writer = writer

    def __iter__(self) -> Iterator[Any]:
        return iter(self._writer)

    def serialize(self, obj: Any) -> bytes:
        try:
            data = self._writer.serialize(obj)
            load(data)
        except (ConflictError, Refused):
            raise
        except Exception as exc:
            if isinstance(exc, POSError) and not isinstance(exc, InvalidObjectReference):
                raise  # the storage could not be read: no fault of the value
            raise refusal(obj, exc) from exc
        return data


def refusal(obj: Any, exc: Exception) -> Refused:
    """What is said of an object that could not be loaded again."""
    name = None
    if isinstance(obj, UvmObject):
        state = {name: value for name, value in obj.__dict__.items() if not name.startswith("_p_")}
        name = next((name for name, value in state.items() if not _passes(value, obj._p_jar)), None)
    what = f"a {type(obj).__name__.lower()}" if name is None else f"{name!r} of {obj!r}"
    return Refused(
        f"{what} holds what could not be loaded again ({type(exc).__name__}: {exc}); nothing was changed",
        rule="unkeepable",
        hint="keep plain data or an object in a slot; behaviour is installed with `define`",
    )


def _passes(value: Any, jar: Any) -> bool:
    """Does one value of a slot make the round trip?"""
    if isinstance(value, Persistent):
        return value._p_jar in (None, jar)
    return loads_again(value)
