"""The past of an object: what each transaction changed in it, read from the storage's own records.

The grain is a commit.  What was changed is told slot by slot, with who did it and why, from the
metadata that the image writes into every transaction.
"""

from __future__ import annotations

from typing import Any

from persistent import Persistent
from ZODB.POSException import POSKeyError

from batos.image.image import Root
from batos.objects import UvmObject
from batos.objects.containers import KINDS
from batos.objects.method import Method
from batos.objects.plain import NotPlain, plain

MOST = 200  # revisions looked at


def changes(image: Any, path: str, most: int = MOST) -> list[dict[str, Any]]:
    """Newest first: `{"tid", "time", "who", "why", "mission", "changes": [{"slot", "before", "after"}]}`.

    Raises `NoSuchObject`.
    """

    def look(root: Root) -> tuple[bytes, list[bytes]]:
        obj = root.resolve(path)
        return obj._p_oid, _own_oids(obj)

    oid, parts = image.run(f"history of {path}", look)
    revisions: dict[bytes, dict[str, Any]] = {}
    for each in (oid, *parts):
        try:
            found = image.revisions(each, most)
        except (KeyError, POSKeyError):
            continue  # a part that was added and taken out again
        for revision in found:
            revisions.setdefault(revision["tid"], revision)
    told, after = [], _state_at(image, oid, None)
    for tid in sorted(revisions, reverse=True)[:most]:
        before = _state_at(image, oid, tid)
        revision = revisions[tid]
        differing = [
            {"slot": slot, "before": (before or {}).get(slot), "after": (after or {}).get(slot)}
            for slot in sorted({*(before or {}), *(after or {})})
            if (before or {}).get(slot) != (after or {}).get(slot)
        ]
        if differing:
            told.append(
                {
                    "tid": tid.hex(),
                    "time": revision["time"],
                    "who": _text(revision["user_name"]).split(" ")[-1],
                    "why": _text(revision["description"]),
                    "mission": revision.get("mission"),
                    "changes": differing,
                }
            )
        after = before
    return told


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _own_oids(obj: UvmObject) -> list[bytes]:
    """The oids of what an object owns: its containers at every depth, and its methods."""
    oids, waiting = [], [*obj._slots.values(), *obj.__dict__.get("_methods", {}).values()]
    while waiting:
        each = waiting.pop()
        if isinstance(each, (*KINDS, Method)) and each._p_oid:
            oids.append(each._p_oid)
            each._p_activate()
            inner = getattr(each, "data", ())
            waiting.extend(inner.values() if isinstance(inner, dict) else inner)
        elif isinstance(each, tuple):
            waiting.extend(each)
    return oids


def _state_at(image: Any, oid: bytes, before: bytes | None) -> dict[str, Any] | None:
    """Public slots and method versions of an object just before a transaction (None: now), as plain data."""
    with image.past(before) as connection:
        try:
            obj = connection.get(oid)
            obj._p_activate()
        except (KeyError, POSKeyError):
            return None
        root = Root(connection)
        told: dict[str, Any] = {}
        for name, value in obj._slots.items():
            told[name] = _told(value, root)
        for selector, method in obj.__dict__.get("_methods", {}).items():
            if method.primitive is None:
                told[f"{selector}()"] = f"version {method.current}" if method.current else "forgotten"
        return told


def _told(value: Persistent | Any, root: Root) -> Any:
    try:
        return plain(value, root.path_of)
    except NotPlain as exc:
        return f"({exc})"
