"""The names of an image, within one turn or one mission: a path or an oid to its object, and back."""

from __future__ import annotations

import struct
import threading
from difflib import get_close_matches
from typing import Any

from ZODB.Connection import Connection
from ZODB.utils import p64

from batos.errors import NoSuchObject
from batos.objects import UvmObject
from batos.objects.undo_log import UndoLog


class Root:
    """The names of an image within one turn: the lobby's slots first, then the root's.

    >>> with image.turn("pay in") as root:                                       # doctest: +SKIP
    ...     root.account.deposit(5)
    """

    def __init__(self, connection: Connection):
        self._connection = connection
        self.undo_log = UndoLog()  # of this turn, where whoever began it notes changes

    def __getitem__(self, name: str) -> Any:
        return self._connection.root()[name]

    def __setitem__(self, name: str, obj: Any) -> None:
        self._connection.root()[name] = obj

    def __contains__(self, name: str) -> bool:
        return name in self._connection.root()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.resolve(name)

    @property
    def connection(self) -> Connection:
        """The connection of this turn, for code that needs oids, blobs or indexes."""
        return self._connection

    def names(self) -> list[str]:
        """The names at the root."""
        return [name for name, value in self._connection.root().items() if isinstance(value, UvmObject)]

    def resolve(self, path: str) -> UvmObject:
        """The object a dotted path of slot names leads to; `NoSuchObject` names the step that fails."""
        names = path.split(".")
        root = self._connection.root()
        lobby = root["lobby"]
        lobby._p_activate()
        first = "" if names[0].startswith("_") else names[0]
        # Read from its own state: `_slots` is made anew each time, and a lobby may hold thousands.
        found = lobby.__dict__.get(first, root.get(first))
        if not isinstance(found, UvmObject):
            known = [name for name, value in lobby._slots.items() if isinstance(value, UvmObject)]
            raise NoSuchObject(
                f"there is no object {names[0]!r}",
                near=get_close_matches(names[0], [*known, *self.names()], n=3, cutoff=0.7),
                hint=f"make one: send lobby clone -k called={names[0]}",
            )
        for at, name in enumerate(names[1:], 1):
            holder, found = found, (None if name.startswith("_") else getattr(found, name, None))
            if not isinstance(found, UvmObject):
                raise NoSuchObject(
                    f"{'.'.join(names[:at])} has no object in a slot {name!r}: {holder!r} ends there"
                )
        return found

    def by_oid(self, text: str) -> UvmObject:
        """The object with an oid written as ``0x1f``; `NoSuchObject` if there is none."""
        try:
            obj = self._connection.get(p64(int(text, 16)))
        except (KeyError, ValueError, OverflowError, struct.error) as exc:
            raise NoSuchObject(f"there is no object with the oid {text!r}") from exc
        if not isinstance(obj, UvmObject):
            raise NoSuchObject(f"{text!r} is not an object one can send to")
        return obj

    def path_of(self, obj: Any) -> str | None:
        """The name an object is found by, None if it has none."""
        root = self._connection.root()
        if not isinstance(obj, UvmObject):
            return None
        obj._p_activate()
        name, lobby = obj.__dict__.get("_name"), root["lobby"]
        lobby._p_activate()
        if name and (lobby.__dict__.get(name) is obj or root.get(name) is obj):
            return name
        return next((name for name, value in lobby.__dict__.items() if value is obj and name[0] != "_"), None)


class MissionRoot(Root):
    """The names of an image within a mission's transaction, which two threads work on in turn: the mission's
    own, and the image thread in the commit.  Whoever does holds `busy`; after `ended` nobody may."""

    def __init__(self, connection: Connection):
        super().__init__(connection)
        self.busy = threading.Lock()
        self.ended = False
