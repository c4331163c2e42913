"""The past of an object: what each message changed in it, slot by slot, with who did it and why.

Read from the change records alone, backwards: a *shadow* of the object and of its containers starts as
they are now, and each record found along their chains is taken back in it.  So the past can be told
after a pack, as far back as records are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from persistent import Persistent

from batos.image.changes import Changes
from batos.image.root import Root
from batos.objects.containers import KINDS
from batos.objects.plain import NotPlain, plain
from batos.objects.undo_log import Entry

MOST = 200  # messages told at once
LONGEST = 1000  # items of a container that are told; of a longer one only how long it was


def changes(image: Any, path: str, most: int = MOST) -> list[dict[str, Any]]:
    """Newest first: `{"tid", "time", "message", "who", "why", "mission", "changes": [{"slot", "before", "after"}]}`.

    Raises `NoSuchObject`.
    """
    return image.run(f"history of {path}", lambda root: list(_Shadow(root, root.resolve(path)).past(most)))


class _Shadow:
    """An object and its containers, going backwards in time."""

    def __init__(self, root: Root, obj: Any):
        self._root = root
        self._records = root.connection.root().get("changes") or {}
        self._obj = obj
        self._content: dict[int, Any] = {}
        self._next: dict[int, tuple[Persistent, int | None]] = {}  # whose newest record not yet taken back
        self._enter(obj)
        self._find_containers(None)

    def past(self, most: int) -> Iterator[dict[str, Any]]:
        """Each message that changed something, newest first, at most `most`."""
        told = 0
        while told < most:
            moment = max((moment for _, moment in self._next.values() if moment is not None), default=None)
            if moment is None:
                return
            commit = self._records.get(moment)
            if commit is None:  # gone by the rule of retention, and all before it
                for key, (obj, newest) in self._next.items():
                    if newest == moment:
                        self._next[key] = obj, None
                continue
            for index in range(len(commit.messages) - 1, -1, -1):
                differing = self._take_back(commit, moment, index)
                if differing:
                    said = commit.messages[index]
                    about = {name: said[name] for name in ("time", "who", "why", "mission")}
                    told += 1
                    yield {
                        "tid": commit._p_serial.hex(), "message": said["id"], **about, "changes": differing,
                    }  # fmt: skip
            self._step(moment, commit)

    def _take_back(self, commit: Changes, moment: int, index: int) -> list[dict[str, Any]]:
        entries = [each for each in commit.messages[index]["entries"] if id(each[0]) in self._content]
        if not entries:
            return []
        changed = {id(each[0]) for each in entries}
        after = self._told(changed, entries)
        for entry in reversed(entries):
            _reverse(self._content, entry)
        self._find_containers((moment, index))
        before = self._told(changed, entries)
        return [
            {"slot": slot, "before": before.get(slot), "after": after.get(slot)}
            for slot in sorted({*before, *after})
            if before.get(slot) != after.get(slot)
        ]

    def _step(self, moment: int, commit: Changes) -> None:
        for key, (obj, newest) in self._next.items():
            if newest == moment:
                self._next[key] = obj, commit.previous.get(obj._p_oid)

    def _enter(self, obj: Persistent) -> None:
        obj._p_activate()
        state = obj.__dict__
        if isinstance(obj, KINDS):
            content = state["data"].copy()
        else:
            content = dict(state)
            for selector, method in state.get("_methods", {}).items():
                if method.primitive is None and method.current is not None:
                    content[f"{selector}()"] = method, method.current
        self._content[id(obj)] = content
        self._next[id(obj)] = obj, state.get("_last_change")

    def _find_containers(self, at: tuple[int, int] | None) -> None:
        """Enter the containers that the shadow holds now, as they were `at` (moment, index) (None: as they are)."""
        waiting = list(self._content[id(self._obj)].values())
        seen: set[int] = set()
        while waiting:
            each = waiting.pop()
            if isinstance(each, tuple):
                waiting.extend(each)
            elif isinstance(each, KINDS) and id(each) not in seen:
                seen.add(id(each))
                if id(each) not in self._content:
                    self._enter(each)
                    self._rewind(each, at)
                content = self._content[id(each)]
                waiting.extend(content.values() if isinstance(content, dict) else content)

    def _rewind(self, container: Persistent, at: tuple[int, int] | None) -> None:
        while at is not None:
            moment = self._next[id(container)][1]
            commit = self._records.get(moment) if moment is not None and moment >= at[0] else None
            if commit is None:
                return
            for index in range(len(commit.messages) - 1, -1, -1):
                if (moment, index) >= at:
                    for entry in reversed(commit.messages[index]["entries"]):
                        if entry[0] is container:
                            _reverse(self._content, entry)
            if moment == at[0]:
                return
            self._next[id(container)] = container, commit.previous.get(container._p_oid)

    def _told(self, changed: set[int], entries: list[Entry]) -> dict[str, Any]:
        """The slots an entry names, or that hold a changed container, as plain data."""
        content = self._content[id(self._obj)]
        named = {name for obj, kind, data in entries if obj is self._obj and kind == "slots" for name in data}
        told = {}
        for slot, value in content.items():
            if slot.startswith("_") or not (slot in named or self._holds(value, changed)):
                continue
            if slot.endswith("()"):
                told[slot] = value[1] and f"version {value[1]}"
                continue
            try:
                told[slot] = plain(self._thawed(value), self._root.path_of)
            except NotPlain as exc:
                told[slot] = f"({exc})"
        return told

    def _holds(self, value: Any, changed: set[int], depth: int = 0) -> bool:
        if id(value) in changed:
            return True
        if depth > 64 or not isinstance(value, (tuple, *KINDS)):
            return False
        inner = value if isinstance(value, tuple) else self._content.get(id(value), ())
        return any(
            self._holds(each, changed, depth + 1)
            for each in (inner.values() if isinstance(inner, dict) else inner)
        )

    def _thawed(self, value: Any, depth: int = 0) -> Any:
        """A value with the shadow's contents in its containers."""
        if isinstance(value, tuple):
            return [self._thawed(each, depth + 1) for each in value]
        if not isinstance(value, KINDS):
            return value
        content = self._content.get(id(value), ())
        if len(content) > LONGEST or depth > 64:
            return f"({len(content)} items)"
        if isinstance(content, dict):
            return {key: self._thawed(each, depth + 1) for key, each in content.items()}
        return type(content)(self._thawed(each, depth + 1) for each in content)


def _reverse(contents: dict[int, Any], entry: Entry) -> None:
    """Take an entry back in a shadow's content, as far as it is there."""
    obj, kind, data = entry
    content = contents[id(obj)]
    if kind == "list":
        index, out, came = data
        content[index : index + len(came)] = out
    elif kind == "set":
        content.difference_update(data[1])
        content.update(data[0])
    else:
        for name, (before, _) in data.items():
            if before:
                content[name] = before[0]
            else:
                content.pop(name, None)
