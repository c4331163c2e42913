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
from batos.objects import dispatch, lookup, permission
from batos.objects.containers import PLAIN, keep, own_copy
from batos.objects.holding import hold
from batos.objects.method import Method
from batos.objects.undo_log import note

_set = Persistent.__setattr__
GHOST = -1  # `_p_state` of an object whose state is not loaded

# These seven are how a person takes back what batos did; no object may put something else in their place.
PROTECTED = frozenset({"define", "revert", "source", "versions", "get", "put", "forget"})


class Sender:
    """The bare name of a method: a callable that sends.  Good for ``sorted(key=self.rank)``; not for a slot."""

    __slots__ = ("_receiver", "_selector")
    _told_as = "the bare name of a method"

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

    # A ghost has no attribute yet, so `__getattr__` loads it; going round Persistent's own reading makes a
    # slot as quick as a plain attribute.  Price: the storage's cache knows when an object was loaded or
    # changed last, not when it was read.
    __getattribute__ = object.__getattribute__

    def __setattr__(self, name: str, value: Any) -> None:
        if name[:1] == "_":
            # Loading, keeping and caching set `_p_` names all day; of them only the flag, raised, is a change.
            if name[:3] == "_p_":
                if name == "_p_changed" and value:
                    note(self)
                    if permission.in_use:
                        hold(self)
            elif name[:3] != "_v_":
                if name == permission.NAME:
                    permission.only_owner(self)
                    dispatch.changed(self)
                note(self)
                if name == "_methods":
                    dispatch.changed(self)
            return _set(self, name, value)
        if name in PROTECTED:
            raise BadRequest(f"{name!r} is one of the words every object keeps; choose another name")
        if type(value) not in PLAIN:
            value = keep(value, name, self._p_jar)
        if name.endswith("*") and not isinstance(value, UvmObject):
            raise BadRequest(f"{name!r} is a parent slot and holds an object, not a {type(value).__name__}")
        self._p_activate()
        state = self.__dict__
        if permission.in_use:  # before what is remembered is dropped: the check remembers too
            permission.check_slot(self, name)
        if name not in state:
            methods = state.get("_methods")
            if methods and name in methods and methods[name].current is not None:
                raise BadRequest(
                    f"{name!r} is a method of {self!r}",
                    hint=f"forget it first: `forget {name}`, then put the value",
                )
            dispatch.changed(self)
        elif name.endswith("*"):
            dispatch.changed(self)
        note(self)
        _set(self, name, value)
        if permission.in_use and type(value) not in PLAIN:
            hold(self, *(() if name.endswith("*") else (name,)))

    def __delattr__(self, name: str) -> None:
        if not name.startswith("_p_"):
            if name == permission.NAME:
                permission.only_owner(self)
            elif permission.in_use and name[0] != "_":
                permission.check_slot(self, name)
            note(self)
            dispatch.changed(self)
        Persistent.__delattr__(self, name)

    def __getattr__(self, name: str) -> Any:
        # Reached only where the object's own state has no such attribute, or is not loaded.
        if self._p_state == GHOST:
            self._p_activate()
            if name in self.__dict__:
                return self.__dict__[name]
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
        """A new object: own state copied (containers deeply), parents, blobs and other objects shared.

        Methods are shared until one side changes its own (`Method.shared`): a clone costs one record.
        """
        self._p_activate()
        clone = UvmObject.__new__(UvmObject)
        state = clone.__dict__  # nobody looked it up and nobody keeps it yet: no rule is passed by
        memo: dict[int, Any] = {}
        for name, value in self.__dict__.items():
            if name[0] != "_":
                state[name] = value if type(value) in PLAIN else own_copy(value, memo)
        methods = self.__dict__.get("_methods")
        if methods:
            for method in methods.values():
                if not method.shared:
                    method.shared = True
            state["_methods"] = methods
        state["_born"] = time.time()
        state["_prototype"] = self
        if permission.in_use:
            if permission.NAME in self.__dict__:
                state[permission.NAME] = self.__dict__[permission.NAME]
            hold(clone)
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
