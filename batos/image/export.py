"""Export and rebuild: the world as text that a person reads and git diffs, and an equal image from it.

    manifest.json                 format, counts and the digest over every other file; written last
    root.json                     the names at the root, and the facts of the image
    objects/account.json          an object with a name: parents, slots, and the past of its methods
    objects/account.py            its methods as they are installed: Python source and nothing else
    anonymous/0x0____/0x12__.json objects without a name or methods, and shared containers, by their oid
    anonymous/0x0____/0x12f3.json one that has methods, with its 0x12f3.py
    anonymous/0x0____/0x12f4.jsonl a BTree, a line an item
    blobs/ab/abcd...              blobs and long bytes, by their sha256

Slots are JSON and methods are `.py`, because each is then read by the tools that know it; what a diff
should show in one line stands on one line.  An object is called by its name, one without a name by its
oid, which never changes: nothing is numbered, so nothing is ever renumbered.  The import keeps the oids,
so the export of an import is equal byte by byte, and an `{"oid"}` that a client has kept still holds.

Left out, because they are about this image's life and not about the world: change records and what `undo`
needs (a method keeps its own past), idempotency records, metrics.  `backup` keeps all of it.  An attribute
that starts with ``_`` must be in `HIDDEN` or in `LEFT_OUT`: a part that keeps something says here how it is
told, or no image can be exported.  Indexes are built anew (`Structure.finish`).

An import reads data only.  No pickle and no class name is ever taken from the text, no method runs; the
guardian that is handed in judges every version of every method again, whatever the text says about it.
Two blobs of the same bytes become one; a subclass of text or number comes back as what it is based on.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import io
import itertools
import json
import os
import re
import shutil
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import transaction
from persistent import Persistent
from persistent.list import PersistentList
from persistent.mapping import PersistentMapping
from zc.lockfile import LockError, LockFile
from ZODB import DB
from ZODB.blob import Blob
from ZODB.Connection import Connection
from ZODB.POSException import POSKeyError
from ZODB.utils import p64, u64

from batos.errors import AlreadyAwake, BatosError, Busy, Conflict, NoSuchFile, ReadOnly, Refused
from batos.image.storage import BLOBS, DATA, end_birth, holder, open_storage
from batos.objects import Dict, List, Method, Set, UvmObject
from batos.objects.genesis import SCHEMA
from batos.objects.method import PRIMITIVES, digest
from batos.objects.plain import NotPlain, decode, encode
from batos.objects.uvm_object import PROTECTED

FORMAT = 1
ABOUT = "A batos image told as text. Make an image of it with: python -m batos --image DIR import THIS_FOLDER"
MANIFEST, ROOT = "manifest.json", "root.json"
UNFINISHED = "unfinished"  # stands in the folder while an export is being written
IMPORTING = "import.part"  # the folder in DIR where an image is built before it is moved into its place

WIDTH = 100  # what fits in a line stands on one line
GROUP_BITS = 8  # objects without a name or methods: 256 consecutive oids a file, so that 1 M objects are 4,000 files
FOLDER_BITS = 16
DEEP = 32  # containers nested deeper are told as entries of their own
DEEPEST = 256  # of what an import reads
LONG_TEXT = 60  # a text of several lines that is longer is told line by line
LONG_BYTES = 4096  # longer bytes stand beside the blobs
MOST_BYTES = 256 << 20  # of one text file that is read, or of one line of a tree
BIG_INT_BITS = 10_000  # Python reads and writes no decimal longer than 4,300 digits
HIGHEST_OID = 1 << 48
BATCH = 2_000  # entries a commit of the import
CHUNK = 1 << 20
BREATH = 1_000  # objects looked at before the cache is told to shrink

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*")
OID = re.compile(r"0x(0|[1-9a-f][0-9a-f]*)")
OURS = re.compile(
    r"manifest\.json|root\.json|unfinished|objects/[A-Za-z][A-Za-z0-9_.]*\.(json|py)"
    r"|anonymous/0x[0-9a-f]+____/0x[0-9a-f]+(__\.json|\.json|\.py|\.jsonl)|blobs/[0-9a-f]{2}/[0-9a-f]{64}"
)
WELCOME = re.compile(r"\.git.*|(README|LICEN[CS]E)[^/]*")  # a person's own beside an export
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no file names on some systems

NO_SURPRISE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # no link, and no pipe that is waited for

MARK = "#~ "  # begins the line above each method of a .py; lines of source that look like it get one more "~"
SOURCE_HEAD = "# Methods as they are installed; who wrote them, and their past, stands beside this in the .json.\n"
FIRST_FIELDS = ("version", "author", "time", "verdict", "mission")
LAST_FIELDS = ("digest", "source")

HIDDEN: dict[str, type] = {"_shipped": dict, "_offered": dict}
LEFT_OUT = {"_last_change", "_rings"}  # of change records, of metrics
OWN = {"_name", "_born", "_prototype", "_methods"}  # told in fields of their own
TREES = {
    f"{kind}{shape}": getattr(import_module(f"BTrees.{kind}BTree"), f"{kind}{shape}")
    for kind in ("OO", "OI", "OL", "IO", "II", "IF", "LO", "LL", "LF")
    for shape in ("BTree", "TreeSet")
}
_kind_of_tree = {kind: name for name, kind in TREES.items()}
LISTED = {"$tuple", "$frozenset", "$set", "$dict", "$text", "$complex", "$timedelta", "$zone", "$at"}
CONTAINERS = {"list": List, "dict": Dict, "set": Set}


@dataclass(frozen=True, slots=True)
class Structure:
    """How a persistent structure that a part of batos keeps is told, and made again.

    tell    `(structure) -> {name: value}`; values as slots may have them, and BTrees
    fill    `(structure, {name: value})` sets the state of a blank one; `ValueError` for what does not fit
    finish  `(structure, commit)` when all the world is there: builds what is derived, `commit()` now and then
    """

    kind: str
    type: type
    tell: Callable[[Any], dict[str, Any]]
    fill: Callable[[Any, dict[str, Any]], None]
    finish: Callable[[Any, Callable[[], None]], None] = lambda structure, commit: None


STRUCTURES: dict[str, Structure] = {}
_structure_of: dict[type, Structure] = {}


def told_as(structure: Structure, **hidden: type) -> None:
    """Register a structure, and the hidden attributes of objects that belong to it, each with its type."""
    STRUCTURES[structure.kind] = _structure_of[structure.type] = structure
    HIDDEN.update(hidden)


# -- where things stand --------------------------------------------------------------------------------


def oid_key(oid: int) -> str:
    return f"0x{oid:x}"


def folder_of(oid: int) -> str:
    return f"anonymous/0x{oid >> FOLDER_BITS:x}____"


def group_of(oid: int) -> str:
    return f"{folder_of(oid)}/0x{oid >> GROUP_BITS:x}__.json"


class _Marks:
    """A number below 256 for an oid; sparse, a byte an oid where oids are dense."""

    PAGE = 16

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def __getitem__(self, oid: int) -> int:
        page = self._pages.get(oid >> self.PAGE)
        return page[oid & (1 << self.PAGE) - 1] if page is not None else 0

    def __setitem__(self, oid: int, mark: int) -> None:
        page = self._pages.get(oid >> self.PAGE)
        if page is None:
            page = self._pages[oid >> self.PAGE] = bytearray(1 << self.PAGE)
        page[oid & (1 << self.PAGE) - 1] = mark

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """(oid, mark) of all that are marked, by oid."""
        for number in sorted(self._pages):
            for at, mark in enumerate(self._pages[number]):
                if mark:
                    yield number << self.PAGE | at, mark


INLINE, SHARED, OBJECT, TREE, STRUCTURE = range(1, 6)


# -- values as JSON ------------------------------------------------------------------------------------

_SURROGATE = re.compile("[\ud800-\udfff]")
# What an editor would not show, or show in another order.
_UNSEEN = re.compile("[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]")


def _flat(data: Any) -> str:
    text = json.dumps(data, ensure_ascii=False)
    return text if text.isascii() else _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _laid_out(data: Any, indent: int = 0, broken: int = 0) -> str:
    """JSON with a line for each thing that does not fit on one; the outer `broken` levels always get lines."""
    if not isinstance(data, (dict, list)) or not data:
        return _flat(data)
    if broken <= 0 and len(data) < WIDTH:
        flat = _flat(data)
        if len(flat) + indent <= WIDTH:
            return flat
    pad = " " * (indent + 1)
    if isinstance(data, dict):
        lines = [f"{pad}{_flat(key)}: {_laid_out(each, indent + 1, broken - 1)}" for key, each in data.items()]
        return "{\n" + ",\n".join(lines) + f"\n{' ' * indent}}}"
    lines = [pad + _laid_out(each, indent + 1, broken - 1) for each in data]
    return "[\n" + ",\n".join(lines) + f"\n{' ' * indent}]"


class _Values:
    """Values of slots as JSON data.  What is kept apart is told by `entry`, `blob` and `long` of a subclass."""

    def entry(self, obj: Any) -> dict[str, str]:
        raise NotImplementedError

    def inline(self, container: Any, depth: int) -> bool:
        raise NotImplementedError

    def blob(self, blob: Blob) -> str:
        raise NotImplementedError

    def long(self, data: bytes) -> str:
        raise NotImplementedError

    def tell(self, value: Any, depth: int = 0, plain: bool = False) -> Any:
        """`value` as JSON data; `plain` where lists and dicts are plain ones and not kinds of ours."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(str.__str__(value))
        if isinstance(value, int):
            value = int(value)
            return value if value.bit_length() < BIG_INT_BITS else {"$int": hex(value)}
        if isinstance(value, float):
            return encode(float(value), _nothing)
        if isinstance(value, UvmObject) or type(value) in _kind_of_tree or type(value) in _structure_of:
            return self.entry(value)
        if depth > DEEPEST // 2:
            raise NotPlain("it is nested too deeply")
        if isinstance(value, (PersistentList, PersistentMapping, Set)):
            if not self.inline(value, depth):
                return self.entry(value)
            return self.container(value.data, depth + 1, plain)
        if isinstance(value, (list, dict, set)):
            told = self.container(value, depth + 1, plain)
            return told if plain else {"$plain": told}
        if isinstance(value, tuple):
            return {"$tuple": [self.tell(each, depth + 1, plain) for each in value]}
        if isinstance(value, frozenset):
            return {"$frozenset": self.members(value, depth + 1, plain)}
        if isinstance(value, Blob):
            return {"$blob": self.blob(value)}
        if isinstance(value, bytes) and len(value) > LONG_BYTES:
            return {"$long": self.long(bytes(value))}
        if isinstance(value, complex):
            return {"$complex": [self.tell(value.real), self.tell(value.imag)]}
        if isinstance(value, datetime.timedelta):
            return {"$timedelta": [value.days, value.seconds, value.microseconds]}
        if isinstance(value, datetime.tzinfo):
            return {"$zone": _zone(value)}
        if isinstance(value, (datetime.datetime, datetime.time)) and (value.tzinfo is not None or value.fold):
            tag = "$datetime" if isinstance(value, datetime.datetime) else "$time"
            zone = None if value.tzinfo is None else _zone(value.tzinfo)
            return {"$at": [{tag: value.replace(tzinfo=None, fold=0).isoformat()}, zone, value.fold]}
        return encode(value, _nothing)

    def text(self, text: str) -> Any:
        if _SURROGATE.search(text):
            return {"$str": base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()}
        if len(text) > LONG_TEXT and "\n" in text:
            return {"$text": text.split("\n")}
        return text

    def container(self, items: Any, depth: int, plain: bool) -> Any:
        if isinstance(items, list):
            return [self.tell(each, depth, plain) for each in items]
        if isinstance(items, dict):
            if all(type(key) is str and key[:1] != "$" and not _SURROGATE.search(key) for key in items):
                return {key: self.tell(each, depth, plain) for key, each in items.items()}
            pairs = items.items()
            return {"$dict": [[self.tell(key, depth, plain), self.tell(each, depth, plain)] for key, each in pairs]}
        return {"$set": self.members(items, depth, plain)}

    def members(self, items: Iterable[Any], depth: int, plain: bool) -> list[Any]:
        return sorted((self.tell(each, depth, plain) for each in items), key=_flat)


def _nothing(obj: Persistent) -> Any:
    raise NotPlain(f"a {type(obj).__module__}.{type(obj).__name__} has no form as text")


def _zone(zone: datetime.tzinfo) -> list[Any]:
    """`[days, seconds, microseconds]` of its distance from UTC, and the name of one that has a name."""
    if type(zone) is not datetime.timezone:
        raise NotPlain(f"a time zone of the type {type(zone).__name__} has no form as text")
    offset, *name = zone.__getinitargs__()
    return [offset.days, offset.seconds, offset.microseconds, *name]


# -- export --------------------------------------------------------------------------------------------


def export(image: Any, directory: Path | str) -> dict[str, Any]:
    """Write the world of an image as text; answers `{"objects", "methods", "blobs", "bytes", "digest"}`.

    What is told is one moment: a snapshot that no message changes, and none waits for it.  A folder that
    holds an earlier export, whole or cut short, is brought up to date: what is the same is not touched,
    what is gone is removed.  Raises `Refused` naming a file that is not of an export, or a slot that has
    no form as text, `ReadOnly` where the disk has no room, `Busy` where a pack came between.
    """
    folder = _Folder(Path(directory))
    with image.past(None) as connection:
        try:
            folder.begin()
            told = _Telling(connection, folder).tell_world()
            told["digest"] = folder.digest()
            facts = {"format": FORMAT, "about": ABOUT, **told, "bytes": folder.bytes}
            folder.end(facts)
        except POSKeyError as exc:
            raise Busy(
                f"a record went while it was read ({exc}): the image was packed meanwhile",
                hint=f"export again: python -m batos export {directory}",
            ) from exc
        except OSError as exc:
            raise ReadOnly(f"{folder.path} cannot be written: {exc}", hint="free some space and export again") from exc
    return {name: facts[name] for name in ("objects", "methods", "blobs", "bytes", "digest")}


class _Folder:
    """The folder an export is written into."""

    def __init__(self, path: Path):
        self.path = path
        self.bytes = 0
        self._written: dict[str, str] = {}  # path -> sha256
        self._made: set[Path] = set()

    def begin(self) -> None:
        """Mark the folder as being written; `Refused` where it holds what no export writes."""
        files = list(_files(self.path)) if self.path.exists() else []
        ours = any(name in (MANIFEST, UNFINISHED) for name in files)
        for name in files:
            if WELCOME.fullmatch(name.split("/")[0]):
                continue
            if not ours or not OURS.fullmatch(name.removesuffix(".part")):
                raise Refused(
                    f"{self.path / name} is not of an export; nothing was written",
                    rule="foreign",
                    hint="export into an empty folder, or one that holds an earlier export and nothing else",
                )
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / UNFINISHED).touch()

    def put(self, name: str, text: str) -> None:
        """Write a file of the export, or leave it where it is the same already."""
        data = text.encode()
        path = self._place(name)
        self._count(name, hashlib.sha256(data).hexdigest(), len(data))
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size == len(data) and path.read_bytes() == data:
                return
        path.write_bytes(data)

    @contextlib.contextmanager
    def stream(self, name: str) -> Iterator[Callable[[str], None]]:
        """As `put`, for what is too long for memory: `with folder.stream(name) as write: write(text)`."""
        path = self._place(name)
        part = path.with_name(path.name + ".part")
        sure = hashlib.sha256()
        with open(part, "wb") as out:

            def write(text: str) -> None:
                data = text.encode()
                sure.update(data)
                out.write(data)

            yield write
        self._count(name, sure.hexdigest(), part.stat().st_size)
        if path.exists() and path.stat().st_size == part.stat().st_size and _sha256(path) == sure.hexdigest():
            part.unlink()
        else:
            os.replace(part, path)

    def keep(self, source: BinaryIO) -> str:
        """Bytes by their digest; answers it."""
        sha256 = hashlib.file_digest(source, "sha256").hexdigest()
        name = blob_name(sha256)
        path = self._place(name)
        size = source.seek(0, os.SEEK_END)
        if name in self._written:
            return sha256
        self._count(name, sha256, size)
        if not (path.exists() and path.stat().st_size == size and _sha256(path) == sha256):
            part = path.with_name(path.name + ".part")
            source.seek(0)
            with open(part, "wb") as out:
                shutil.copyfileobj(source, out, CHUNK)
            os.replace(part, path)
        return sha256

    def digest(self) -> str:
        """The digest of all that was written: sha256 over `path sha256` lines, by path."""
        return _digest_of(self._written)

    def end(self, facts: dict[str, Any]) -> None:
        """Remove what is stale, write the manifest, and then say that the export is whole."""
        for name in _files(self.path):
            if name not in self._written and name not in (MANIFEST, UNFINISHED) and OURS.fullmatch(
                name.removesuffix(".part")
            ):  # fmt: skip
                (self.path / name).unlink()
        for each in sorted((path for path in self.path.glob("*/**/") if path.is_dir()), reverse=True):
            top = each.relative_to(self.path).parts[:1]
            if top and top[0] in ("objects", "anonymous", "blobs") and not any(each.iterdir()):
                each.rmdir()
        part = self.path / f"{MANIFEST}.part"
        part.write_text(_laid_out(facts, broken=1) + "\n")
        if (self.path / MANIFEST).exists() and (self.path / MANIFEST).read_bytes() == part.read_bytes():
            part.unlink()
        else:
            os.replace(part, self.path / MANIFEST)
        (self.path / UNFINISHED).unlink()

    def _place(self, name: str) -> Path:
        path = self.path / name
        if path.parent not in self._made:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)
        return path

    def _count(self, name: str, sha256: str, size: int) -> None:
        self._written[name] = sha256
        self.bytes += size


def blob_name(sha256: str) -> str:
    return f"blobs/{sha256[:2]}/{sha256}"


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest_of(files: dict[str, str]) -> str:
    return hashlib.sha256("".join(f"{name} {files[name]}\n" for name in sorted(files)).encode()).hexdigest()


def _files(folder: Path) -> Iterator[str]:
    """The paths of all files below a folder, as text with "/"; a link is `Refused`, whatever it leads to."""
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        with os.scandir(folder / inside) as found:
            for each in found:
                name = f"{inside}{each.name}"
                if each.is_symlink():
                    raise Refused(f"{folder / name} is a link; an export has none", rule="foreign")
                if each.is_dir():
                    if inside or not WELCOME.fullmatch(each.name):
                        waiting.append(f"{name}/")
                elif each.is_file():
                    yield name
                else:
                    raise Refused(f"{folder / name} is no ordinary file; an export has none", rule="foreign")


class _Telling(_Values):
    """One export: first everything is looked at, to know what is reached and what is shared, then written."""

    def __init__(self, connection: Connection, folder: _Folder):
        self._connection = connection
        self._folder = folder
        self._marks = _Marks()
        self._waiting: deque[int] = deque()
        self._names: dict[int, str] = {}
        self._blobs: dict[int, str] = {}
        self._owners: dict[int, int] = {}  # oid of a shared method -> oid of the object where it is told
        self._writing = False
        self._counts = dict.fromkeys(("objects", "methods", "blobs"), 0)

    def tell_world(self) -> dict[str, int]:
        """Write every file but the manifest; answers the counts."""
        root = self._connection.root()
        objects = {name: obj for name, obj in root.items() if isinstance(obj, UvmObject)}
        self._name(objects)
        for name in sorted(objects):
            self.entry(objects[name])
        for number in itertools.count():
            if not self._waiting:
                break
            self._look(self._connection.get(p64(self._waiting.popleft())))
            if number % BREATH == 0:
                self._connection.cacheGC()
        self._writing = True
        names = {name: self._key(u64(obj._p_oid)) for name, obj in sorted(objects.items())}
        facts = self.tell(dict(root.get("batos", {})), plain=True)
        self._folder.put(ROOT, _laid_out({"facts": facts, "names": names}, broken=2) + "\n")
        group: dict[str, Any] = {}
        number = 0
        for oid, mark in self._marks:
            if mark == INLINE:
                continue
            if group and (oid >> GROUP_BITS) != number:
                self._write_group(number, group)
                group = {}
            number = oid >> GROUP_BITS
            obj = self._connection.get(p64(oid))
            if mark == TREE:
                self._write_tree(oid, obj)
            else:
                told, sources = self._entry_of(obj, oid)
                if oid in self._names or any("versions" in each for each in told.get("methods", {}).values()):
                    self._write_apart(oid, told, sources)
                else:
                    group[oid_key(oid)] = told
            self._counts["objects"] += isinstance(obj, UvmObject)
            if self._counts["objects"] % BREATH == 0:
                self._connection.cacheGC()
        if group:
            self._write_group(number, group)
        self._counts["blobs"] = len(set(self._blobs.values()))
        return self._counts

    # -- names -------------------------------------------------------------------------------------

    def _name(self, at_root: dict[str, UvmObject]) -> None:
        """Give every object that a lone word leads to its name: the word it is called by, or the first."""
        lobby = {name: obj for name, obj in at_root["lobby"]._slots.items() if isinstance(obj, UvmObject)}
        paths = {**at_root, **{name: obj for name, obj in lobby.items() if not name.endswith("*")}}
        taken: set[str] = set()
        called = sorted(paths, key=lambda name: (_hidden(paths[name], "_name") != name, name))
        for name in called:
            oid = u64(paths[name]._p_oid)
            if oid not in self._names and _can_name_a_file(name) and name.casefold() not in taken:
                taken.add(name.casefold())
                self._names[oid] = name
        self._paths, self._taken = paths, taken

    def _name_by_path(self, obj: UvmObject, oid: int) -> None:
        """Name an object by a dotted path that it says of itself, if that leads to it."""
        path = _hidden(obj, "_name")
        if oid in self._names or not isinstance(path, str) or "." not in path or not _can_name_a_file(path):
            return
        first, *steps = path.split(".")
        found = self._paths.get(first)
        for step in steps:
            found = found._slots.get(step) if isinstance(found, UvmObject) else None
        if found is obj and path.casefold() not in self._taken:
            self._taken.add(path.casefold())
            self._names[oid] = path

    def _key(self, oid: int) -> str:
        return self._names.get(oid) or oid_key(oid)

    # -- what is reached ---------------------------------------------------------------------------

    def entry(self, obj: Any) -> dict[str, str]:
        oid = u64(obj._p_oid)
        if not self._writing and not self._marks[oid]:
            self._marks[oid] = (
                TREE if type(obj) in _kind_of_tree else STRUCTURE if type(obj) in _structure_of else OBJECT
            )
            self._waiting.append(oid)
        return {"$ref": self._key(oid)}

    def inline(self, container: Any, depth: int) -> bool:
        """Is a container told where it stands?  Not one that is met twice, and not one too deep to be read."""
        oid = u64(container._p_oid)
        if not self._writing:
            first = not self._marks[oid]
            if first and depth < DEEP:
                self._marks[oid] = INLINE
                return True
            if first or self._marks[oid] == INLINE:
                self._marks[oid] = SHARED
                if first:
                    self._waiting.append(oid)
            return False
        return self._marks[oid] == INLINE

    def blob(self, blob: Blob) -> str:
        if not self._writing:
            return ""
        oid = u64(blob._p_oid)
        if oid not in self._blobs:
            with open(blob.committed(), "rb") as stream:
                self._blobs[oid] = self._folder.keep(stream)
        return self._blobs[oid]

    def long(self, data: bytes) -> str:
        if not self._writing:
            return ""
        return self._folder.keep(io.BytesIO(data))

    def _look(self, obj: Any) -> None:
        oid = u64(obj._p_oid)
        if isinstance(obj, UvmObject):
            self._name_by_path(obj, oid)
        if self._marks[oid] == TREE:
            for item in _items(obj):
                self._tell_at(obj, "an item", item)
        else:
            self._entry_of(obj, oid)

    # -- entries -----------------------------------------------------------------------------------

    def _entry_of(self, obj: Any, oid: int) -> tuple[dict[str, Any], str]:
        """An entry as data, and the text of its installed methods."""
        if isinstance(obj, UvmObject):
            return self._object(obj, oid)
        if self._marks[oid] == STRUCTURE:
            structure = _structure_of[type(obj)]
            return {"kind": structure.kind, **{
                name: self._tell_at(obj, name, value) for name, value in structure.tell(obj).items()
            }}, ""  # fmt: skip
        kind = "list" if isinstance(obj, PersistentList) else "set" if isinstance(obj, Set) else "dict"
        return {"kind": kind, "value": self._tell_at(obj, "an item", obj.data, True)}, ""

    def _tell_at(self, obj: Any, slot: str, value: Any, bare: bool = False) -> Any:
        try:
            return self.container(value, 1, False) if bare else self.tell(value)
        except (NotPlain, RecursionError) as exc:
            raise Refused(
                f"{slot!r} of {_face(obj)} cannot be exported: {exc}", rule="export",
                hint="put plain data or an object there, and export again",
            ) from exc  # fmt: skip

    def _object(self, obj: UvmObject, oid: int) -> tuple[dict[str, Any], str]:
        obj._p_activate()
        state = obj.__dict__
        told: dict[str, Any] = {}
        if state.get("_name") != self._names.get(oid):
            told["name"] = self._tell_at(obj, "_name", state.get("_name"))
        if "_born" in state:
            told["born"] = self._tell_at(obj, "_born", state["_born"])
        if state.get("_prototype") is not None:
            told["prototype"] = self._tell_at(obj, "_prototype", state["_prototype"])["$ref"]
        inside = state.keys() - obj._slots.keys() - OWN - LEFT_OUT
        for name in sorted(inside - HIDDEN.keys()):
            raise Refused(f"{name!r} of {obj!r} cannot be exported: nobody has said how it is told", rule="export")
        hidden = {name: self._tell_at(obj, name, state[name]) for name in sorted(inside)}
        if hidden:
            told["hidden"] = hidden
        parents = {
            name: self._tell_at(obj, name, value)["$ref"] for name, value in obj._slots.items() if name[-1:] == "*"
        }
        if parents:
            told["parents"] = parents
        slots = {name: self._tell_at(obj, name, value) for name, value in obj._slots.items() if name[-1:] != "*"}
        if slots:
            told["slots"] = slots
        methods, source = {}, []
        for selector, method in state.get("_methods", {}).items():
            methods[selector], text = self._method(obj, oid, selector, method)
            if text is not None:
                source.append(f"{MARK}{selector}\n{_stuffed(text)}")
        if methods:
            told["methods"] = methods
        return told, SOURCE_HEAD + "\n\n" + "\n\n".join(source) if source else ""

    def _method(self, obj: UvmObject, oid: int, selector: str, method: Method) -> tuple[dict[str, Any], str | None]:
        """A method's past as data, and the installed source where it can stand in a file of Python.

        One that a clone shares with its prototype is told once, where it has the lowest oid.
        """
        if method.shared and method.primitive is None:
            shared = u64(method._p_oid)
            owner = self._owners.setdefault(shared, oid)
            if oid < owner:
                self._owners[shared] = oid
            elif oid > owner:
                return {"as": self._key(owner)}, None
        self._counts["methods"] += self._writing
        if method.primitive is not None:
            return {"primitive": method.primitive} | ({} if method.current is not None else {"installed": None}), None
        records, text = [], None
        for record in method.versions:
            last = {name: record[name] for name in LAST_FIELDS if name in record}
            first = {name: record[name] for name in FIRST_FIELDS if name in record}
            rest = {name: record[name] for name in sorted(record.keys() - first.keys() - last.keys())}
            told = {
                name: self._tell_plain(obj, f"{selector} {name}", each) for name, each in {**first, **rest}.items()
            }
            told["digest"] = last["digest"]
            source = last["source"]
            if record["version"] == method.current and selector.isidentifier() and _can_stand_in_a_file(source):
                text = source
            else:
                told["source"] = self.text(source) if _SURROGATE.search(source) else source.split("\n")
            records.append(told)
        return {"installed": method.current, "versions": records}, text

    def _tell_plain(self, obj: UvmObject, what: str, value: Any) -> Any:
        try:
            return self.tell(value, plain=True)
        except (NotPlain, RecursionError) as exc:
            raise Refused(f"{what!r} of {_face(obj)} cannot be exported: {exc}", rule="export") from exc

    # -- files -------------------------------------------------------------------------------------

    def _write_apart(self, oid: int, told: dict[str, Any], source: str) -> None:
        name = self._names.get(oid)
        path = f"objects/{name}" if name else f"{folder_of(oid)}/{oid_key(oid)}"
        self._folder.put(f"{path}.json", _laid_out({"oid": oid_key(oid), **told}, broken=2) + "\n")
        if source:
            self._folder.put(f"{path}.py", source)

    def _write_group(self, number: int, group: dict[str, Any]) -> None:
        self._folder.put(group_of(number << GROUP_BITS), _laid_out(group, broken=3) + "\n")

    def _write_tree(self, oid: int, tree: Any) -> None:
        with self._folder.stream(f"{folder_of(oid)}/{oid_key(oid)}.jsonl") as write:
            write(_flat({"tree": _kind_of_tree[type(tree)]}) + "\n")
            for item in _items(tree):
                told = self._tell_at(tree, "an item", item)
                write(_flat(told["$tuple"]) + "\n")


def _items(tree: Any) -> Iterator[tuple]:
    """The items of a BTree as pairs, the keys of a tree of keys alone as tuples of one."""
    return iter(tree.items()) if hasattr(tree, "items") else ((key,) for key in tree.keys())


def _hidden(obj: UvmObject, name: str) -> Any:
    obj._p_activate()
    return obj.__dict__.get(name)


def _face(obj: Any) -> str:
    return repr(obj) if isinstance(obj, UvmObject) else f"the {type(obj).__name__} {oid_key(u64(obj._p_oid))}"


def _can_name_a_file(name: str) -> bool:
    return len(name) <= 100 and NAME.fullmatch(name) is not None and not RESERVED.fullmatch(name)


def _can_stand_in_a_file(source: str) -> bool:
    """A source that a text file and an editor leave as it is: normalised, as `define` keeps it."""
    return source.endswith("\n") and not source.endswith("\n\n") and "\r" not in source and "\0" not in source and (
        _SURROGATE.search(source) is None
    )  # fmt: skip


def _stuffed(source: str) -> str:
    """Source in which no line looks like a mark."""
    return re.sub(r"^#~", "#~~", source, flags=re.MULTILINE)


def _unstuffed(source: str) -> str:
    return re.sub(r"^#~~", "#~", source, flags=re.MULTILINE)


# -- import --------------------------------------------------------------------------------------------


def import_(
    source: Path | str,
    directory: Path | str,
    *,
    judge: Callable[[str, str | None, UvmObject], Any],
    edited: bool = False,
) -> dict[str, Any]:
    """Make an image in `directory` of the export in `source`; answers what `export` answers, and `refused`:
    a list of `{"object", "selector", "version", "line", "rule", "why"}`, one for each version of a method
    that the guardian refused.  Such a version is kept to be read; if it was installed, it is not any more.

    judge   `(source, selector, holder) -> verdict`; the guardian
    edited  the text was changed on purpose: the digest of the manifest, and those of methods, do not count,
            and a method whose text is another than its digest says was written by who imports it

    Raises `NoSuchFile` where there is no export, `Conflict` where there is an image, `AlreadyAwake` where it
    is awake, `Refused` naming the file, with its line or field, for everything that is not as an export
    writes it.  `directory` then is as it was.
    """
    source, directory = Path(source), Path(directory)
    _nothing_there(directory)
    reading = _Reading(source, edited)
    reading.scan()
    part = directory / IMPORTING
    part.mkdir(parents=True)
    try:
        db = DB(open_storage(part), large_record_size=1 << 26)
        try:
            told = _Making(reading, db, judge).make_world()
        finally:
            db.close()
        end_birth(part)
        _move_in(part, directory)
    except OSError as exc:
        raise ReadOnly(f"{directory} cannot be written: {exc}", hint="free some space and import again") from exc
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return told


def _nothing_there(directory: Path) -> None:
    """Refuse a folder with an image, awake or not; remove what an import that was cut short has left."""
    data = directory / DATA
    if data.exists():
        try:
            LockFile(f"{data}.lock").close()
        except LockError as exc:
            raise AlreadyAwake(holder(directory), hint="import into another folder") from exc
    elif (directory / IMPORTING).exists():
        shutil.rmtree(directory / IMPORTING)
        shutil.rmtree(directory / BLOBS, ignore_errors=True)  # moved before the data, without which it is nothing
    there = [name for name in (DATA, f"{DATA}.old", f"{DATA}.pack", BLOBS) if (directory / name).exists()]
    if there:
        raise Conflict(
            f"there is an image in {directory} already ({', '.join(there)}); nothing was imported",
            hint="import into another folder: python -m batos --image OTHER import DIR",
        )


def _move_in(part: Path, directory: Path) -> None:
    """The finished image into its place, the data last: without it there is no image."""
    names = sorted((each.name for each in part.iterdir()), key=lambda name: (name == DATA, name != BLOBS))
    for name in names:
        if not name.endswith(".lock"):
            os.replace(part / name, directory / name)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refused(where: str, why: str, line: int | None = None) -> Refused:
    return Refused(f"{where}: {why}", line=line, rule="import", hint="export again, or put the file back from git")


# What decoding raises for data that is not as it should be; anything else is a bug of ours.
_WRONG = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError, BatosError)


@contextlib.contextmanager
def _at(where: str) -> Iterator[None]:
    """Whatever is wrong inside is told with the file and field where it stands."""
    try:
        yield
    except Refused as exc:
        raise exc if exc.rule == "import" else _refused(where, str(exc)) from exc
    except _WRONG as exc:
        words = f"there is no {exc}" if isinstance(exc, KeyError) else str(exc)
        raise _refused(where, words or type(exc).__name__) from exc


class _Reading:
    """An export as files: which there are, what is in them, whether they are what the manifest says."""

    def __init__(self, folder: Path, edited: bool):
        self.folder = folder
        self._edited = edited
        self.names: dict[str, int] = {}  # file name -> size
        self._sha256: dict[str, str] = {}

    def scan(self) -> None:
        """Look at the files' names and the manifest; `NoSuchFile`, `Refused`."""
        if not (self.folder / MANIFEST).is_file() and not (self.folder / UNFINISHED).exists():
            raise NoSuchFile(
                f"there is no export in {self.folder}: it has no {MANIFEST}",
                hint="write one: python -m batos export DIR",
            )
        if (self.folder / UNFINISHED).exists():
            raise _refused(str(self.folder), "the export was cut short, or is being written")
        for name in sorted(_files(self.folder)):
            if WELCOME.fullmatch(name.split("/")[0]):
                continue
            if not OURS.fullmatch(name):
                raise _refused(str(self.folder / name), "it is not of an export")
            self.names[name] = (self.folder / name).stat().st_size
        manifest = self.json(MANIFEST)
        with _at(MANIFEST):
            if manifest["format"] != FORMAT:
                raise ValueError(f"the format is {manifest['format']!r}, this batos reads {FORMAT}: use a newer one")
            self._wanted = manifest["digest"]
        if ROOT not in self.names:
            raise _refused(str(self.folder / ROOT), "the file is missing")

    def open(self, name: str) -> BinaryIO:
        """An ordinary file of the export, never through a link."""
        if name not in self.names:
            raise _refused(name, "the file is missing")
        descriptor = os.open(self.folder / name, os.O_RDONLY | NO_SURPRISE)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise _refused(name, "it is no ordinary file")
        return os.fdopen(descriptor, "rb")

    def bytes(self, name: str) -> bytes:
        with self.open(name) as stream:
            data = stream.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise _refused(name, f"it has more than {MOST_BYTES >> 20} MiB")
        self._sha256[name] = hashlib.sha256(data).hexdigest()
        return data

    def text(self, name: str) -> str:
        data = self.bytes(name)
        try:
            return data.decode()
        except UnicodeDecodeError as exc:
            raise _refused(name, f"it is no UTF-8: {exc.reason}", data[: exc.start].count(b"\n") + 1) from exc

    def json(self, name: str) -> dict[str, Any]:
        return _object(_json(self.text(name), name), name)

    def lines(self, name: str) -> Iterator[tuple[int, Any]]:
        """(number, data) of each line of a tree."""
        sure = hashlib.sha256()
        with self.open(name) as stream:
            for number, line in enumerate(iter(lambda: stream.readline(MOST_BYTES + 1), b""), 1):
                sure.update(line)
                if not line.endswith(b"\n"):
                    raise _refused(name, "the last line is cut off, or a line is too long", number)
                try:
                    text = line.decode()
                except UnicodeDecodeError as exc:
                    raise _refused(name, f"it is no UTF-8: {exc.reason}", number) from exc
                yield number, _json(text, name, number)
        self._sha256[name] = sure.hexdigest()

    def kept(self, sha256: Any, into: BinaryIO) -> None:
        """Copy the bytes with that digest; `Refused` where they are missing or others."""
        if not isinstance(sha256, str) or not re.fullmatch("[0-9a-f]{64}", sha256):
            raise ValueError(f"{sha256!r} is no sha256")
        name, sure = blob_name(sha256), hashlib.sha256()
        with self.open(name) as stream:
            while chunk := stream.read(CHUNK):
                sure.update(chunk)
                into.write(chunk)
        if sure.hexdigest() != sha256:
            raise _refused(name, "its bytes are not those its name says")

    def check(self) -> None:
        """Is all of it what was written?  After the reading, so that what is malformed is told by its place."""
        for name in self.names:
            if name.startswith("blobs/"):
                self._sha256[name] = name[-64:]  # those that were used were compared
        self._sha256.pop(MANIFEST)
        if not self._edited and _digest_of(self._sha256) != self._wanted:
            raise Refused(
                f"the files in {self.folder} are not those its {MANIFEST} was written for: "
                "some were changed, added or removed",
                rule="import",
                hint="see what changed with git; if it is meant, import with edited=True (--edited)",
            )

    @property
    def edited(self) -> bool:
        return self._edited

    @property
    def digest(self) -> str:
        return _digest_of({name: each for name, each in self._sha256.items() if name != MANIFEST})


def _json(text: str, name: str, line: int | None = None) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_no_pair_twice, parse_constant=_no_constant)
    except json.JSONDecodeError as exc:
        raise _refused(name, f"{exc.msg}, at column {exc.colno}", line or exc.lineno) from exc
    except RecursionError as exc:
        raise _refused(name, "it is nested too deeply", line) from exc
    except ValueError as exc:
        raise _refused(name, str(exc), line) from exc


def _no_pair_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return made


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of an export")


def _object(data: Any, what: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise _refused(what, f"it holds a {type(data).__name__}, not names with values")
    return data


@dataclass(slots=True)
class _Left:
    """What is to be done when all the world is there."""

    structures: list[tuple[Structure, Any]] = field(default_factory=list)
    holders: list[int] = field(default_factory=list)  # objects with methods of their own


class _Making:
    """One import: first a blank for every entry, under its oid, then their contents, then the judgement."""

    def __init__(self, reading: _Reading, db: DB, judge: Callable):
        self._reading = reading
        self._judge = judge
        self._manager = transaction.TransactionManager(explicit=True)
        self._connection: Connection = db.open(self._manager)
        self._blanks: dict[int, Any] = {}
        self._oids: dict[str, int] = {}  # file name of a named object -> oid
        self._blobs: dict[str, Blob] = {}
        self._left = _Left()
        self._entries = 0
        self._methods: dict[tuple[int, str], Method] = {}  # by holder and selector
        self._filled: set[tuple[int, str]] = set()
        self._clashes: list[tuple[str, Method]] = []

    def make_world(self) -> dict[str, Any]:
        """Fill the storage; answers the report of `import_`."""
        try:
            self._manager.begin()
            for path, _, data, oid in self._read():
                self._blank(path, data, oid)
            self._reserve()
            for path, key, data, oid in self._read():
                with _at(f"{path}, {key}" if key else path):
                    self._fill(path, data, oid)
                self._breathe()
            for oid, selector in self._methods.keys() - self._filled:
                raise _refused(self._where(oid), f"it has no method {selector!r}, and another object has it from there")
            for path, method in self._clashes:
                if method.current is not None:
                    raise _refused(path, f"{method.selector!r} is a slot and a method")
            self._make_root()
            self._reading.check()
            self._commit()
            for structure, obj in self._left.structures:
                with _at(f"the {structure.kind}"):
                    structure.finish(obj, self._commit)
            self._commit()
            refused = self._judge_methods()
            self._commit()
        finally:
            self._manager.abort()
            self._connection.close()
        return {
            "objects": sum(isinstance(each, UvmObject) for each in self._blanks.values()),
            "methods": len(self._methods),
            "blobs": len(self._blobs),
            "bytes": sum(size for name, size in self._reading.names.items() if name != MANIFEST),
            "digest": self._reading.digest,
            "refused": refused,
        }

    # -- entries -----------------------------------------------------------------------------------

    def _read(self) -> Iterator[tuple[str, str, dict[str, Any] | str, int]]:
        """(file, key in it, data, oid) of every entry; a tree has the file's name for its data."""
        for name in self._reading.names:
            if name.startswith("objects/") and name.endswith(".json"):
                data = self._reading.json(name)
                with _at(f"{name}, oid"):
                    oid = _oid(data.get("oid"))
                yield name, "", data, oid
            elif name.endswith("__.json"):
                for key, data in self._reading.json(name).items():
                    with _at(name):
                        oid = _oid(key)
                        if group_of(oid) != name:
                            raise ValueError(f"{key} does not belong into this file but into {group_of(oid)}")
                    yield name, key, _object(data, f"{name}, {key}"), oid
            elif name.startswith("anonymous/") and name.endswith((".json", ".jsonl")):
                with _at(name):
                    oid = _oid(Path(name).stem)
                if not name.startswith(f"{folder_of(oid)}/"):
                    raise _refused(name, f"it belongs into {folder_of(oid)}")
                if name.endswith(".jsonl"):
                    yield name, "", name, oid
                    continue
                data = self._reading.json(name)
                if data.get("oid") != oid_key(oid):
                    raise _refused(name, f"the oid inside is {data.get('oid')!r}")
                yield name, "", data, oid

    def _blank(self, path: str, data: dict[str, Any] | str, oid: int) -> None:
        if oid in self._blanks:
            raise _refused(path, f"there is another entry with the oid {oid_key(oid)}")
        kind = data.get("kind") if isinstance(data, dict) else "tree"
        if kind is None:
            blank = UvmObject()
            if path.startswith("objects/"):
                self._oids[path[len("objects/") : -len(".json")]] = oid
        elif kind == "tree":
            _, head = next(self._reading.lines(path), (1, None))
            with _at(f"{path}, line 1"):
                blank = TREES[_object(head, path)["tree"]]()
        elif isinstance(kind, str) and kind in CONTAINERS and path.endswith("__.json"):
            blank = CONTAINERS[kind]()
        elif isinstance(kind, str) and kind in STRUCTURES and path.endswith("__.json"):
            blank = STRUCTURES[kind].type.__new__(STRUCTURES[kind].type)
        else:
            raise _refused(path, f"there is no kind {kind!r}")
        # Under its oid at once, so that whoever refers to it before it is filled writes that reference.
        blank._p_jar, blank._p_oid = self._connection, p64(oid)
        self._blanks[oid] = blank

    def _reserve(self) -> None:
        """No new record gets the oid of an entry."""
        if self._blanks:
            self._connection.db().storage.set_max_oid(p64(max(self._blanks)))

    def _fill(self, path: str, data: dict[str, Any] | str, oid: int) -> None:
        obj = self._blanks[oid]
        self._entries += 1
        if isinstance(data, str):
            self._fill_tree(data, obj)
        elif isinstance(obj, UvmObject):
            self._fill_object(path, data, obj)
        elif "value" in data:
            made = self._decode(data["value"])
            if type(made) is not type(obj):
                raise ValueError(f"it is said to be a {data['kind']} and is none")
            obj.data = made.data
        else:
            structure = STRUCTURES[data["kind"]]
            values = {name: self._decode(value) for name, value in data.items() if name != "kind"}
            structure.fill(obj, values)
            self._left.structures.append((structure, obj))
        obj._p_changed = True

    def _fill_tree(self, path: str, tree: Any) -> None:
        width = 2 if hasattr(tree, "items") else 1
        for number, line in self._reading.lines(path):
            if number == 1:
                continue
            with _at(f"{path}, line {number}"):
                item = self._decode({"$tuple": line})
                if len(item) != width:
                    raise ValueError(f"it is a list of {len(item)}, not of {width}")
                if width == 2:
                    tree[item[0]] = item[1]
                else:
                    tree.add(item[0])
            if number % BATCH == 0:
                self._commit()

    def _fill_object(self, path: str, data: dict[str, Any], obj: UvmObject) -> None:
        known = {"oid", "name", "born", "prototype", "hidden", "parents", "slots", "methods"}
        for name in data.keys() - known:
            raise ValueError(f"there is no field {name!r}")
        name = data["name"] if "name" in data else path[8:-5] if path.startswith("objects/") else None
        if name is not None:
            obj._name = _text(self._decode(name), "name")
        if "born" in data:
            obj._born = _number(data["born"], "born")
        if "prototype" in data:
            obj._prototype = self._entry(data["prototype"], UvmObject)
        for hidden, value in _object(data.get("hidden", {}), "hidden").items():
            made = self._decode(value)
            if type(made) is not HIDDEN.get(hidden):
                raise ValueError(f"{hidden!r} is no attribute of an object, or not of this type")
            setattr(obj, hidden, made)
        slots = _object(data.get("slots", {}), "slots")
        self._fill_methods(path, _object(data.get("methods", {}), "methods"), obj, slots)
        for slot, key in _object(data.get("parents", {}), "parents").items():
            with _at(f"{path}, parents.{slot}"):
                if slot.startswith("_") or not slot.endswith("*"):
                    raise ValueError("the name of a parent slot ends with '*'")
                setattr(obj, slot, self._entry(key, UvmObject))
        for slot, value in slots.items():
            with _at(f"{path}, slots.{slot}"):
                if slot.startswith("_") or slot.endswith("*") or not slot:
                    raise ValueError("a data slot cannot have this name")
                setattr(obj, slot, self._decode(value))

    def _fill_methods(self, path: str, told: dict[str, Any], obj: UvmObject, slots: dict[str, Any]) -> None:
        beside = f"{path[:-5]}.py"
        sources = self._sources(beside) if beside in self._reading.names else {}
        for selector, data in told.items():
            with _at(f"{path}, methods.{selector}"):
                if selector in PROTECTED and "primitive" not in _object(data, selector) or not selector.isidentifier():
                    raise ValueError(f"{selector!r} cannot be the selector of a method")
                if "as" in data:
                    method = self._method_at(u64(self._entry(data["as"], UvmObject)._p_oid), selector)
                    method.shared = True
                    if selector in slots:  # right where the method was forgotten; it may not be read yet
                        self._clashes.append((path, method))
                else:
                    method = self._method_at(u64(obj._p_oid), selector)
                    self._fill_method(method, data, sources)
                    self._filled.add((u64(obj._p_oid), selector))
                obj._install(method)
        if sources:
            raise _refused(beside, f"{next(iter(sources))!r} is not among the methods of the .json beside it")
        if any("as" not in data for data in told.values()):
            self._left.holders.append(u64(obj._p_oid))

    def _method_at(self, oid: int, selector: str) -> Method:
        """The method of an object, to be filled when its entry is read."""
        return self._methods.setdefault((oid, selector), Method(selector))

    def _sources(self, name: str) -> dict[str, str]:
        """The installed sources of an object by selector."""
        sources: dict[str, list[str]] = {}
        current = None
        for number, line in enumerate(self._reading.text(name).split("\n"), 1):
            if line.startswith(MARK):
                selector = line[len(MARK) :].strip()
                if selector in sources or not selector.isidentifier():
                    raise _refused(name, f"{selector!r} stands there twice, or is no selector", number)
                current = sources[selector] = []
            elif current is not None:
                current.append(line)
            elif line and not line.startswith("#"):
                raise _refused(name, f"source stands before the first {MARK.strip()!r} line", number)
        return {selector: _unstuffed("\n".join(lines).strip("\n") + "\n") for selector, lines in sources.items()}

    def _fill_method(self, method: Method, data: dict[str, Any], sources: dict[str, str]) -> None:
        selector = method.selector
        if "primitive" in data:
            if data["primitive"] not in PRIMITIVES:
                raise ValueError(f"there is no primitive {data['primitive']!r} in this batos")
            if data.get("installed", 0) not in (0, None):
                raise ValueError("a primitive has no versions")
            method.primitive, method.current = data["primitive"], data.get("installed", 0)
            return
        installed, records = data["installed"], []
        for told in data["versions"]:
            record = {name: self._decode(value, plain=True) for name, value in told.items() if name != "source"}
            if "source" in told:
                source = told["source"]
                source = "\n".join(source) if isinstance(source, list) else _text(self._decode(source), "source")
            elif record["version"] == installed:
                source = sources.pop(selector)
            else:
                raise ValueError(f"version {record['version']!r} has no source")
            if type(record["version"]) is not int or record["version"] <= max((r["version"] for r in records), default=0):
                raise ValueError(f"{record['version']!r} is no number of a version, in order")
            _text(record["author"], "author"), _text(record["verdict"], "verdict"), _number(record["time"], "time")
            record["source"] = source
            self._vouch(record)
            records.append(record)
        if installed is not None and not any(each["version"] == installed for each in records):
            raise ValueError(f"version {installed!r} is said to be installed and is not there")
        method.versions, method.current = tuple(records), installed

    def _vouch(self, record: dict[str, Any]) -> None:
        """Is the source the one that was exported?  One that was edited is nobody's but who imports it."""
        actual = digest(record["source"])
        if record["digest"] != actual:
            if not self._reading.edited:
                raise ValueError(f"the source of version {record['version']} is not the one its digest is of")
            record |= {"digest": actual, "author": "import", "mission": None}

    def _make_root(self) -> None:
        told = self._reading.json(ROOT)
        with _at(ROOT):
            facts = self._decode(_object(told["facts"], "facts"), plain=True)
            if type(facts["schema"]) is not int or facts["schema"] > SCHEMA:
                raise ValueError(
                    f"the image has the schema {facts['schema']!r}, this batos knows {SCHEMA}: use a newer one"
                )
            _number(facts["born"], "born")
            root = self._connection.root()
            root["batos"] = facts
            for name, key in _object(told["names"], "names").items():
                if not name.isidentifier() or name.startswith("_") or name == "batos":
                    raise ValueError(f"{name!r} cannot be a name at the root")
                root[name] = self._entry(key, UvmObject)
            for name in ("lobby", "genesis_obj", "traits_obj"):
                if name not in root:
                    raise ValueError(f"names: there is no {name}")

    def _where(self, oid: int) -> str:
        return repr(self._blanks[oid])

    # -- values ------------------------------------------------------------------------------------

    def _entry(self, key: Any, kind: type = object) -> Any:
        oid = self._oids.get(key) if isinstance(key, str) else None
        if oid is None:
            oid = _oid(key)
        obj = self._blanks.get(oid)
        if obj is None or not isinstance(obj, kind):
            raise ValueError(f"{key!r} is not there, or cannot stand here")
        return obj

    def _decode(self, data: Any, depth: int = 0, plain: bool = False) -> Any:
        """The value that `_Values.tell` told."""
        if data is None or isinstance(data, (bool, int, float, str)):
            return data
        if depth > DEEPEST:
            raise ValueError("it is nested too deeply")
        depth += 1
        if isinstance(data, list):
            made = [self._decode(each, depth, plain) for each in data]
            return made if plain else List(made)
        tag = next(iter(data), "")
        if tag[:1] != "$":
            made = {name: self._decode(each, depth, plain) for name, each in data.items()}
            return made if plain else Dict(made)
        if len(data) > 1:
            raise ValueError(f"beside {tag!r} nothing else stands")
        inner = data[tag]
        if tag == "$plain":
            return self._decode(inner, depth, True)
        if tag == "$ref":
            return self._entry(inner)
        if tag == "$blob":
            return self._blob(inner)
        if tag in LISTED:
            if not isinstance(inner, list):
                raise ValueError(f"{tag} holds a list, not a {type(inner).__name__}")
            return self._decode_list(tag, inner, depth, plain)
        return self._decode_text(tag, inner)

    def _decode_list(self, tag: str, inner: list[Any], depth: int, plain: bool) -> Any:
        if tag == "$text":
            return "\n".join(inner)
        if tag == "$timedelta":
            days, seconds, microseconds = inner
            return datetime.timedelta(days, seconds, microseconds)
        if tag == "$zone":
            return _made_zone(inner)
        if tag == "$dict":
            pairs = [(self._decode(key, depth, plain), self._decode(each, depth, plain)) for key, each in inner]
            return dict(pairs) if plain else Dict(pairs)
        made = [self._decode(each, depth, plain) for each in inner]
        if tag == "$tuple":
            return tuple(made)
        if tag == "$complex":
            return complex(*made)
        if tag == "$at":
            when, zone, fold = made
            return when.replace(tzinfo=None if zone is None else _made_zone(inner[1]), fold=fold)
        if tag == "$frozenset":
            return frozenset(made)
        return set(made) if plain else Set(made)

    def _decode_text(self, tag: str, inner: Any) -> Any:
        _text(inner, tag)
        if tag == "$int":
            if not re.fullmatch("-?0x[0-9a-f]+", inner):
                raise ValueError(f"{inner[:40]!r} is no number")
            return int(inner, 16)
        if tag == "$str":
            return base64.b64decode(inner, validate=True).decode("utf-8", "surrogatepass")
        if tag == "$long":
            into = io.BytesIO()
            self._reading.kept(inner, into)
            return into.getvalue()
        if tag == "$fraction" and not re.fullmatch(r"-?\d{1,4000}(/\d{1,4000})?", inner, re.ASCII):
            raise ValueError(f"{inner[:40]!r} is no fraction")
        return decode({tag: inner}, _no_tag)

    def _blob(self, sha256: str) -> Blob:
        if sha256 not in self._blobs:
            blob = Blob()
            with blob.open("w") as into:
                self._reading.kept(sha256, into)
            self._blobs[sha256] = blob
        return self._blobs[sha256]

    # -- commits and judgement ---------------------------------------------------------------------

    def _breathe(self) -> None:
        if self._entries % BATCH == 0:
            self._commit()

    def _commit(self) -> None:
        self._manager.commit()
        self._connection.cacheGC()
        self._manager.begin()

    def _judge_methods(self) -> list[dict[str, Any]]:
        """Let the guardian see every version; answers those it refused, which are installed no more."""
        verdicts: dict[Any, Any] = {}
        refused: list[dict[str, Any]] = []
        found: list[tuple[UvmObject, Method, list[tuple[dict[str, Any], Any]]]] = []
        for oid in self._left.holders:
            holder = self._blanks[oid]
            methods = {
                selector: each for selector, each in _hidden(holder, "_methods").items() if each.primitive is None
            }
            # A verdict depends on the source and on the other methods of the holder and its parents.
            around = (
                tuple((selector, each.current and each.record()["digest"]) for selector, each in methods.items()),
                tuple(each._p_oid for each in holder._parents()),
            )
            for selector, method in methods.items():
                seen = []
                for record in method.versions:
                    key = (selector, record["digest"], around)
                    if key not in verdicts:
                        verdicts[key] = self._judge(record["source"], selector, holder)
                    seen.append((record, verdicts[key]))
                found.append((holder, method, seen))
        for holder, method, seen in found:
            refused += self._apply(holder, method, seen)
        return refused

    def _apply(self, holder: UvmObject, method: Method, seen: list[tuple[dict[str, Any], Any]]) -> list[dict[str, Any]]:
        refused = []
        records = []
        for record, verdict in seen:
            if not verdict.passed:
                refusal = verdict.refusal()
                refused.append(
                    {
                        "object": repr(holder), "selector": method.selector, "version": record["version"],
                        "line": refusal.line, "rule": refusal.rule, "why": str(refusal),
                    }
                )  # fmt: skip
                record = {**record, "verdict": "refused"}
            records.append(record)
        if refused:
            method.versions = tuple(records)
        installed = next((pair for pair in seen if pair[0]["version"] == method.current), None)
        if installed is not None and not installed[1].passed:
            method.current = None
        elif installed is not None and installed[1].outcome == "repaired":
            verdict = installed[1]
            method.add_version(verdict.source, "import", verdict.outcome, repairs=list(verdict.repairs), mission=None)
        return refused


def _oid(key: Any) -> int:
    if not isinstance(key, str) or not OID.fullmatch(key) or not 0 < int(key, 16) < HIGHEST_OID:
        raise ValueError(f"{key!r} is no oid, and no name of an object")
    return int(key, 16)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} is a text, not a {type(value).__name__}")
    return value


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{what} is a number of seconds, not a {type(value).__name__}")
    return value


def _no_tag(data: dict[str, Any]) -> None:
    raise ValueError(f"there is no tag {next(iter(data))!r}")


def _made_zone(told: list[Any]) -> datetime.tzinfo:
    days, seconds, microseconds, *name = told
    offset = datetime.timedelta(days, seconds, microseconds)
    # UTC is one object, and is told by its own name.
    return datetime.timezone(offset, *name) if name or offset else datetime.UTC
