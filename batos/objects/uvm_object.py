"""UvmObject: the one kind of thing in the image.  An object is its slots.

Data slots are attributes of the object's own state, so that an ordinary read costs an ordinary read;
methods stand beside them in one mapping; slots whose name ends in ``*`` are parents, in their order.
The class has no public names of its own, so every word can be a slot; its Python methods start with
``_``, and names that start with ``_`` are never messages: copy, pickle, inspect and their kind probe
such names all day and must find nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

from persistent import Persistent

from batos.errors import BadRequest, NotUnderstood
from batos.objects import lookup
from batos.objects.containers import keep, own_copy
from batos.objects.method import Method
from batos.objects.undo_log import note

# These seven are how a person takes back what batos did; no object may put something else in their place.
PROTECTED = frozenset({"define", "revert", "source", "versions", "get", "put", "forget"})


class Sender:
    """The bare name of a method: a callable that sends.  Good for ``sorted(key=self.rank)``; not for a slot."""

    __slots__ = ("_receiver", "_selector")

    def __init__(self, receiver: UvmObject, selector: str):
        self._receiver = receiver
        self._selector = selector

    def __call__(self, *args, **kw):
        return lookup.send(self._receiver, self._selector, args, kw)

    def __repr__(self):
        return f"<{self._selector} of {self._receiver!r}>"


class UvmObject(Persistent):
    """A prototype object.

    >>> account = UvmObject(balance=100)
    >>> savings = account._clone_persistent_(balance=5)
    >>> savings.balance, account.balance
    (5, 100)
    """

    def __init__(self, *parents: UvmObject, **slots: Any):
        for parent in parents:
            self._adopt(parent)
        for name, value in slots.items():
            setattr(self, name, value)

    # -- slots ---------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            if name in PROTECTED:
                raise BadRequest(f"{name!r} is one of the words every object keeps; choose another name")
            if isinstance(value, Sender):
                raise_unkeepable(name)
            value = keep(value, name)
            if name.endswith("*") and not isinstance(value, UvmObject):
                raise BadRequest(
                    f"{name!r} is a parent slot and holds an object, not a {type(value).__name__}"
                )
            methods = self._p_activate() or self.__dict__.get("_methods")
            if methods and name in methods and methods[name].current is not None:
                raise BadRequest(
                    f"{name!r} is a method of {self!r}",
                    hint=f"forget it first: `forget {name}`, then put the value",
                )
            note(self)
        elif not name.startswith("_v_") and (name == "_p_changed" or not name.startswith("_p_")):
            note(self)
        Persistent.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        note(self)
        Persistent.__delattr__(self, name)

    def __getattr__(self, name: str) -> Any:
        # Reached only where the object's own state has no such attribute.
        if name.startswith("_"):
            raise AttributeError(name)
        _, found = lookup.lookup(self, name)
        if found is lookup.MISSING:
            raise NotUnderstood(f"{self!r} has no slot {name!r}", near=lookup.near_selectors(self, name))
        return Sender(self, name) if isinstance(found, Method) else found

    @property
    def _slots(self) -> MappingProxyType[str, Any]:
        """The object's own data slots and parents, read only."""
        self._p_activate()
        return MappingProxyType(
            {name: value for name, value in self.__dict__.items() if not name.startswith("_")}
        )

    def _own_slots(self) -> Iterator[tuple[str, Any]]:
        """(name, value or Method) of own public slots; parents are not among them."""
        self._p_activate()
        state = self.__dict__
        for name, value in state.items():
            if not name.startswith("_") and not name.endswith("*"):
                yield name, value
        for selector, method in state.get("_methods", {}).items():
            if method.current is not None:
                yield selector, method

    def _parents(self) -> list[UvmObject]:
        """The parents, in their order."""
        self._p_activate()
        return [value for name, value in self.__dict__.items() if name.endswith("*")]

    def _adopt(self, parent: UvmObject) -> None:
        """Delegate to `parent` too, after the parents there are."""
        if any(parent is each for each in self._parents()):
            return
        name, number = "parent*", 1
        while name in self.__dict__:
            number += 1
            name = f"parent{number}*"
        setattr(self, name, parent)

    def _disown(self, parent: UvmObject) -> None:
        """Delegate to `parent` no longer; `NotUnderstood` if it is no parent."""
        for name, value in list(self._slots.items()):
            if name.endswith("*") and value is parent:
                delattr(self, name)
                return
        raise NotUnderstood(f"{parent!r} is not a parent of {self!r}")

    # -- methods -------------------------------------------------------------------------------

    def _method(self, selector: str) -> Method | None:
        """The object's own method of that name, forgotten ones included."""
        self._p_activate()
        return self.__dict__.get("_methods", {}).get(selector)

    def _install(self, method: Method) -> None:
        """Put a method in its slot.  What it does was judged before: see `traits.install`."""
        if method.selector in PROTECTED and method.primitive is None:
            raise BadRequest(
                f"{method.selector!r} is one of the words every object keeps; choose another name"
            )
        self._p_activate()
        if method.selector in self.__dict__:
            raise BadRequest(
                f"{method.selector!r} is a data slot of {self!r}",
                hint=f"forget it first: `forget {method.selector}`, then define the method",
            )
        self._methods = {**self.__dict__.get("_methods", {}), method.selector: method}

    # -- copies --------------------------------------------------------------------------------

    def _clone_persistent_(self, **slots: Any) -> UvmObject:
        """A new object: own state copied (containers deeply), parents, blobs and other objects shared."""
        self._p_activate()
        clone = UvmObject()
        memo: dict[int, Any] = {}
        for name, value in self.__dict__.items():
            if name == "_methods":
                clone._methods = {selector: _copy_of(method) for selector, method in value.items()}
            elif not name.startswith("_"):
                Persistent.__setattr__(clone, name, own_copy(value, memo))
        clone._born = time.time()
        clone._prototype = self
        for name, value in slots.items():
            setattr(clone, name, value)
        return clone

    def __copy__(self):
        return self._clone_persistent_()

    def __deepcopy__(self, memo):
        clone = memo[id(self)] = self._clone_persistent_()
        return clone

    # -- faces ---------------------------------------------------------------------------------

    def __dir__(self):
        return sorted({name for _, name, _ in lookup.visible(self)})

    def __repr__(self):
        try:
            self._p_activate()
        except Exception:  # noqa: BLE001 - an object that cannot be loaded still has a face, for the error about it
            return f"<object {self._number()} that cannot be loaded>"
        return self.__dict__.get("_name") or f"<object {self._number()}>"

    def _number(self) -> str:
        return f"0x{int.from_bytes(self._p_oid, 'big'):x}" if self._p_oid else "not kept yet"


def _copy_of(method: Method) -> Method:
    """A clone's own copy of a method: it may be changed and reverted apart from the original."""
    copy = Method(method.selector, method.primitive)
    copy.versions, copy.current = method.versions, method.current
    return copy


def raise_unkeepable(name: str) -> None:
    """Refuse the bare name of a method in a slot: it is behaviour, not state."""
    from batos.errors import Refused

    raise Refused(
        f"{name!r} cannot keep the bare name of a method",
        rule="unkeepable",
        hint="keep the object and send it the message, or define a method of that name",
    )
