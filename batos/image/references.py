"""Who refers to what: the image read backwards, for `senders`, `implementors`, `references` and `why_kept`.

A record says what it refers to, not who refers to it.  The index kept here turns that round.  It lives
in memory, is built from the raw records by a thread of its own when somebody asks for the first time,
and reads what was committed since before every answer; nothing is written for it, so a change costs
nothing and a rollback cannot leave it wrong.  It may name a record that referred there once: every
answer is checked against the record as it is now.  Price: some seconds and 16 bytes a reference at the
first question after an awakening, and the first one after many commits is slower.

Change records refer to everything that ever changed.  They are kept apart: `references` tells of the
world, and `why_kept` names them only for what nothing else keeps.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from persistent import Persistent
from ZODB._compat import PersistentUnpickler
from ZODB.Connection import Connection
from ZODB.POSException import POSKeyError
from ZODB.serialize import referencesf
from ZODB.utils import load_current, p64, u64, z64

from batos.errors import Busy, NotUnderstood
from batos.image.image import LivingImage
from batos.image.root import Root
from batos.objects import UvmObject
from batos.objects.containers import Dict, List, Set
from batos.objects.queries import words_in

logger = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds a question waits for the index; the building goes on
MOST = 500  # rows of an answer
STEPS = 20_000  # objects looked at on the way from an object back to the root
MERGED_AT = 1 << 18  # references read since the building that are merged into its arrays

# A reference is written as eight bytes, then the class: what else looks so is told apart by the check.
_REFERENCE = re.compile(rb"C\x08(.{8})", re.DOTALL)
_METHOD = b"\x80\x03cbatos.objects.method\nMethod\n"
_CHANGES = b"\x80\x03cbatos.image.changes\nChanges\n"


class Table:
    """Pairs (referred to, refers), looked up by the first: sorted arrays, and what came since as a dict."""

    def __init__(self) -> None:
        self._targets = np.empty(0, np.uint64)
        self._sources = np.empty(0, np.uint64)
        self._raw_targets, self._raw_sources = bytearray(), bytearray()
        self._since: dict[int, set[int]] = {}
        self._count = 0

    def add(self, source: bytes, targets: list[bytes]) -> None:
        """Note what a record refers to, while the table is built."""
        self._raw_targets += b"".join(targets)
        self._raw_sources += source * len(targets)

    def add_later(self, source: bytes, targets: list[bytes]) -> None:
        """The same for a record that was committed afterwards."""
        number = u64(source)
        for target in targets:
            sources = self._since.setdefault(u64(target), set())
            if number not in sources:
                sources.add(number)
                self._count += 1
        if self._count > MERGED_AT:
            self._raw_targets += b"".join(p64(to) * len(sources) for to, sources in self._since.items())
            self._raw_sources += b"".join(p64(each) for sources in self._since.values() for each in sources)
            self._since, self._count = {}, 0
            self.sort()

    def sort(self) -> None:
        """Take in what was added."""
        targets = np.concatenate([self._targets, np.frombuffer(self._raw_targets, ">u8").astype(np.uint64)])
        sources = np.concatenate([self._sources, np.frombuffer(self._raw_sources, ">u8").astype(np.uint64)])
        self._raw_targets, self._raw_sources = bytearray(), bytearray()
        order = np.lexsort((sources, targets))
        targets, sources = targets[order], sources[order]
        fresh = np.ones(len(targets), bool)
        fresh[1:] = (targets[1:] != targets[:-1]) | (sources[1:] != sources[:-1])
        self._targets, self._sources = targets[fresh], sources[fresh]

    def _slice(self, oid: int) -> tuple[int, int]:
        return tuple(int(np.searchsorted(self._targets, np.uint64(oid), side)) for side in ("left", "right"))

    def knows(self, oid: int, source: int) -> bool:
        """Does, or did, `source` refer to the object?"""
        first, last = self._slice(oid)
        at = first + int(np.searchsorted(self._sources[first:last], np.uint64(source)))
        return (at < last and int(self._sources[at]) == source) or source in self._since.get(oid, ())

    def referrers(self, oid: int) -> Iterator[int]:
        """Who refers, or once referred, to an object; smallest oid first, the newest references last."""
        first, last = self._slice(oid)
        since = self._since.get(oid, ())
        for start in range(first, last, 4096):  # traits_obj has a million of them
            for each in self._sources[start : min(start + 4096, last)].tolist():
                if each not in since:
                    yield each
        yield from sorted(since)

    def __len__(self) -> int:
        return len(self._targets) + self._count


class References:
    """The index of one image; `of(image)` answers it, made the first time somebody asks."""

    _all: weakref.WeakKeyDictionary[LivingImage, References] = weakref.WeakKeyDictionary()

    def __init__(self, image: LivingImage):
        self._storage = image._db.storage
        self._lock = threading.Lock()  # held while records are read
        self._built = threading.Event()
        self._failure: Exception | None = None
        self._tid = z64  # of the last transaction that was read
        self._read = 0
        self.world = Table()
        self.records = Table()
        self._methods: dict[int, tuple[str, frozenset[str]]] = {}  # oid -> (selector, words)
        self._unspoken: dict[int, bytes] = {}  # method -> the version it runs, which is still to be read
        self._implementing: dict[str, set[int]] = {}
        self._saying: dict[str, set[int]] = {}
        self._words: dict[str, frozenset[str]] = {}  # by digest of the source
        threading.Thread(target=self._build, name="references", daemon=True).start()

    @classmethod
    def of(cls, image: LivingImage) -> References:
        """The index, up to date with what is committed.

        Raises `Busy` (retryable) while it is still being built after `PATIENCE` seconds.
        """
        found = cls._all.get(image)
        if found is None or found._failure is not None:
            found = cls._all[image] = cls(image)
        if not found._built.wait(PATIENCE):
            raise Busy(
                f"the index of who refers to what is being built, {found._read:,} records so far",
                hint="ask again in some seconds",
                retryable=True,
            )
        if found._failure is not None:
            raise found._failure
        with found._lock:
            found._follow(found.world.add_later, found.records.add_later)
        return found

    def _build(self) -> None:
        try:
            with self._lock:
                self._follow(self.world.add, self.records.add)
                self.world.sort(), self.records.sort()
            logger.info("who refers to what: %d references in %d records", len(self.world), self._read)
        except Exception as exc:  # noqa: BLE001 - told to whoever asked
            self._failure = exc
        finally:
            self._built.set()

    def _follow(self, in_world: Callable, in_records: Callable) -> None:
        """Read what was committed since the last time."""
        with _reading(self._storage) as storage:
            if storage.lastTransaction() == self._tid:
                return
            start = p64(u64(self._tid) + 1) if self._tid != z64 else None
            for transaction in storage.iterator(start):
                for record in transaction:
                    self._take(record.oid, record.data, in_world, in_records)
                self._tid = transaction.tid
            self._listen(storage)

    def _take(self, oid: bytes, data: bytes | None, in_world: Callable, in_records: Callable) -> None:
        if data is None:
            return  # a creation that was undone
        if data.startswith(_METHOD):
            self._take_method(u64(oid), data)
        targets = _REFERENCE.findall(data)
        if targets:
            (in_records if data.startswith(_CHANGES) else in_world)(oid, targets)
        self._read += 1

    # -- methods -----------------------------------------------------------------------------------

    def _take_method(self, oid: int, data: bytes) -> None:
        before = self._methods.pop(oid, None)
        if before is not None:
            self._implementing[before[0]].discard(oid)
            for word in before[1]:
                self._saying[word].discard(oid)
        self._unspoken.pop(oid, None)
        state = _state_of(data)
        if state is None or state["current"] is None:
            return  # forgotten
        self._implementing.setdefault(state["selector"], set()).add(oid)
        self._methods[oid] = state["selector"], frozenset()
        if state.get("installed") is not None:  # an edition of schema 2 has written no such thing
            self._unspoken[oid] = state["installed"]

    def _listen(self, storage: Any) -> None:
        """Read what the methods say that were met since; only the version that is installed counts."""
        for oid, version in self._unspoken.items():
            try:
                state = _state_of(load_current(storage, version)[0])
            except POSKeyError:
                continue
            facts = state and state["facts"]
            if not facts:
                continue
            words = self._words.get(facts["digest"])
            if words is None:
                words = self._words[facts["digest"]] = words_in(facts["source"])
            self._methods[oid] = self._methods[oid][0], words
            for word in words:
                self._saying.setdefault(word, set()).add(oid)
        self._unspoken = {}

    def implementing(self, selector: str) -> list[int]:
        """The installed methods of that name."""
        return sorted(self._implementing.get(selector, ()))

    def saying(self, word: str) -> list[int]:
        """The installed methods whose source sends or reads that name."""
        return sorted(self._saying.get(word, ()))


@contextlib.contextmanager
def _reading(storage: Any) -> Iterator[Any]:
    """The storage, ready to be read to its last transaction by this thread."""
    if not hasattr(storage, "new_instance"):
        if hasattr(storage, "sync"):
            storage.sync()
        yield storage  # any thread may read it
        return
    instance = storage.new_instance()
    try:
        instance.poll_invalidations()
        yield instance
    finally:
        instance.release()


def _state_of(data: bytes) -> dict[str, Any] | None:
    """The state of the record of a method or a version, which is plain data; no class is looked up for it,
    and what it refers to is an oid."""
    reader = PersistentUnpickler(_no_class, _oid_of, io.BytesIO(data))
    try:
        reader.load()
        return reader.load()
    except Exception:  # noqa: BLE001 - a record that cannot be read answers no question
        return None


def _oid_of(reference: Any) -> Any:
    return reference[0] if isinstance(reference, tuple) else None


class _Opaque:
    """Stands for whatever a record of ours is not expected to hold."""

    def __new__(cls, *args: Any, **kw: Any) -> _Opaque:
        return object.__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass


def _no_class(module: str, name: str) -> type:
    return _Opaque


# -- questions ---------------------------------------------------------------------------------------------


class _View:
    """The image as it is now, on a connection of its own, off the image thread."""

    def __init__(self, connection: Connection, index: References):
        self.connection = connection
        self.index = index
        self.root = Root(connection)
        names = connection.root()
        self._names = {value._p_oid: name for name, value in names.items() if isinstance(value, Persistent)}
        lobby = names.get("lobby")
        for name, value in (lobby._slots if lobby is not None else {}).items():
            if isinstance(value, UvmObject) and not name.endswith("*"):
                self._names[value._p_oid] = name

    def row(self, oid: bytes, **more: Any) -> dict[str, Any]:
        return {"oid": f"0x{u64(oid):x}", "path": self._names.get(oid), **more}

    def refers(self, source: int, target: bytes, tables: Iterable[Table] = ()) -> bool:
        """Does a record refer to an object now?  With `tables`, only one they know of is read."""
        if tables and not any(table.knows(u64(target), source) for table in tables):
            return False
        try:
            data, _ = self.connection._storage.load(p64(source))
        except POSKeyError:
            return False
        return target in referencesf(data)

    def referrers(self, table: Table, target: bytes) -> Iterator[bytes]:
        for source in table.referrers(u64(target)):
            if self.refers(source, target):
                yield p64(source)

    def holders(self, methods: Iterable[int]) -> list[dict[str, Any]]:
        """Where these methods are installed."""
        told: list[dict[str, Any]] = []
        for method in methods:
            for source in self.index.world.referrers(method):
                try:
                    holder = self.connection.get(p64(source))
                    holder._p_activate()
                except POSKeyError:
                    continue
                own = holder.__dict__.get("_methods", {}) if isinstance(holder, UvmObject) else {}
                for selector, each in own.items():
                    if each._p_oid == p64(method):
                        told.append(self.row(p64(source), selector=selector))
                if len(told) >= MOST:
                    return told
        return told


def _asked(image: LivingImage, question: Callable[[_View], Any]) -> Any:
    with image.past(None) as connection:
        connection.sync()  # a served storage may be behind; and first, so that the index is never behind it
        return question(_View(connection, References.of(image)))


def _named(selector: Any) -> str:
    if not isinstance(selector, str) or not selector.isidentifier():
        raise NotUnderstood(f"{selector!r} is no selector", hint="ask for the name of a slot or method")
    return selector


def implementors(image: LivingImage, selector: str) -> list[dict[str, Any]]:
    """`{"oid", "path", "selector"}` of every object with an installed method of that name, at most `MOST`."""
    return _asked(image, lambda view: view.holders(view.index.implementing(_named(selector))))


def senders(image: LivingImage, selector: str) -> list[dict[str, Any]]:
    """`{"oid", "path", "selector"}` of every installed method that sends that name or reads it as a slot."""
    return _asked(image, lambda view: view.holders(view.index.saying(_named(selector))))


def references(image: LivingImage, path: str) -> list[dict[str, Any]]:
    """`{"oid", "path", "slot"}` of every object that refers to the one at `path` (or with the oid ``0x1f``).

    What refers to it from inside a container is told as the object whose slot holds the container.
    Change records do not count.  Raises `NoSuchObject`.
    """

    def question(view: _View) -> list[dict[str, Any]]:
        target = _found(view.root, path)._p_oid
        told: dict[tuple, dict[str, Any]] = {}
        waiting, seen = [target], {target}
        while waiting and len(told) < MOST and len(seen) < STEPS:
            inner = waiting.pop(0)
            for source in view.referrers(view.index.world, inner):
                holder = view.connection.get(source)
                slot = _slot_of(holder, inner)
                if isinstance(holder, UvmObject) or source == z64:
                    told[source, slot] = view.row(source, slot=slot)
                elif source not in seen:
                    seen.add(source)
                    waiting.append(source)
                if len(told) >= MOST:
                    break
        return list(told.values())

    return _asked(image, question)


def why_kept(image: LivingImage, path: str) -> list[dict[str, Any]]:
    """A shortest way from the root to the object at `path`: `{"oid", "path", "kind", "slot"}` a step.

    `slot` is by what the next step is reached.  Empty where nothing leads there: a pack will let it go.
    """

    def question(view: _View) -> list[dict[str, Any]]:
        target = _found(view.root, path)._p_oid
        way = _way(view, target, [view.index.world]) or _way(
            view, target, [view.index.world, view.index.records]
        )
        told = []
        for step, oid in enumerate(way):
            obj = view.connection.get(oid)
            slot = _slot_of(obj, way[step + 1]) if oid != target else None
            told.append(view.row(oid, kind=type(obj).__name__, slot=slot))
        return told

    return _asked(image, question)


def _way(view: _View, target: bytes, tables: list[Table]) -> list[bytes]:
    """Oids from the root to `target`, breadth first backwards; empty where there is no way."""
    lobby = view.connection.root()["lobby"]._p_oid
    after: dict[bytes, bytes | None] = {target: None}  # the next step towards the target
    waiting = [target]
    for reached in waiting:  # grows while we walk
        if reached == z64 or view.refers(0, reached, tables):
            way, step = ([z64] if reached != z64 else []), reached
            while step is not None:
                way.append(step)
                step = after[step]
            return way
        if len(after) > STEPS:
            break
        if lobby not in after and view.refers(u64(lobby), reached, tables):
            after[lobby] = reached  # before the others, of which there may be a million
            waiting.append(lobby)
            continue
        for table in tables:
            for source in view.referrers(table, reached):
                if source not in after:
                    after[source] = reached
                    waiting.append(source)
                if len(after) > STEPS:
                    break
    return []


def _found(root: Root, path: str) -> UvmObject:
    return root.by_oid(path) if path.startswith("0x") else root.resolve(path)


def _slot_of(holder: Any, oid: bytes) -> str | None:
    """By which slot, key or place `holder` refers to an object; None where its kind has no words for it."""
    holder._p_activate()
    if isinstance(holder, UvmObject):
        for name, value in holder.__dict__.items():
            if name == "_methods":
                selector = next((name for name, each in value.items() if each._p_oid == oid), None)
                if selector is not None:
                    return f"{selector}()"
            elif _holds(value, oid):
                return name
    elif isinstance(holder, List):
        return next((f"[{index}]" for index, value in enumerate(holder.data) if _holds(value, oid)), None)
    elif isinstance(holder, Dict) or hasattr(holder, "items"):
        for key, value in holder.items():
            if _holds(value, oid) or _holds(key, oid):
                return f"[{key!r}]" if isinstance(holder, Dict) else str(key)
    elif isinstance(holder, Set):
        return "a member"
    return None


def _holds(value: Any, oid: bytes) -> bool:
    if isinstance(value, Persistent):
        return value._p_oid == oid
    if isinstance(value, (tuple, frozenset, list, set)):
        return any(_holds(each, oid) for each in value)
    if isinstance(value, dict):
        return any(_holds(each, oid) for pair in value.items() for each in pair)
    return False
