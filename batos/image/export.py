"""Export: the world of an image, written as text that a person reads and git diffs (`worldtext`).

What is told is one moment: a snapshot through a connection of its own, so no message waits for it.  Two
passes are made.  The first tells everything to nobody, to learn what is reached, under which name, and which
containers are met twice; the second writes, by oid, one file at a time, so that memory holds no more than a
file.  The price is that every object is loaded twice.

A folder with an earlier export is brought up to date: what is the same is not touched, what is gone is
removed.  `unfinished` stands in it until all is written; files are not synced one by one, the manifest's
digest tells whether they are what was written.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from persistent.list import PersistentList
from ZODB.blob import Blob
from ZODB.Connection import Connection
from ZODB.POSException import POSKeyError
from ZODB.utils import p64, u64

from batos.errors import Busy, ReadOnly, Refused
from batos.image.worldtext import (
    DEEP,
    FORMAT,
    GROUP_BITS,
    HIDDEN,
    KIND_OF_TREE,
    LEFT_OUT,
    MANIFEST,
    MARK,
    NAME,
    OURS,
    RESERVED,
    ROOT,
    SOURCE_HEAD,
    STRUCTURE_OF,
    SURROGATE,
    UNFINISHED,
    WELCOME,
    Telling,
    blob_name,
    digest_of,
    files_below,
    flat,
    folder_of,
    group_of,
    laid_out,
    oid_key,
    stuffed,
)  # fmt: skip
from batos.objects import Method, Set, UvmObject
from batos.objects.plain import NotPlain

ABOUT = "A batos image told as text. Make an image of it with: python -m batos --image DIR import THIS_FOLDER"
GIT = (
    ".gitattributes",
    "* -text\nblobs/** -diff\n",
)  # no line end is git's to change; a person may say otherwise
CHUNK = 1 << 20
BREATH = 1_000  # objects looked at before the cache is told to shrink
OWN = {"_name", "_born", "_prototype", "_methods"}  # told in fields of their own
FIRST_FIELDS = ("version", "author", "time", "verdict", "mission")  # of a version; the rest by name
LAST_FIELDS = ("digest", "source")


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
            told = _World(connection, folder).tell_world()
            told["digest"] = folder.digest()
            facts = {"format": FORMAT, "about": ABOUT, **told, "bytes": folder.bytes}
            folder.end(facts)
        except POSKeyError as exc:
            raise Busy(
                f"a record was gone when it was to be read ({exc}); was the image packed meanwhile?",
                hint=f"export again: python -m batos export {directory}; then python -m batos doctor --scrub",
            ) from exc
        except OSError as exc:
            hint = "free some space and export again"
            raise ReadOnly(f"{folder.path} cannot be written: {exc}", hint=hint) from exc
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
        files = list(files_below(self.path)) if self.path.exists() else []
        ours = UNFINISHED in files or (MANIFEST in files and self._is_ours())
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
        if not (self.path / GIT[0]).exists():
            part = self.path / f"{GIT[0]}.part"  # half a file would be taken for a person's own
            part.write_text(GIT[1])
            os.replace(part, self.path / GIT[0])

    def _is_ours(self) -> bool:
        """Is the manifest one of an export?  Others use that name too."""
        try:
            return json.loads((self.path / MANIFEST).read_bytes()).keys() >= {"format", "digest", "objects"}
        except (ValueError, AttributeError):
            return False

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
        return digest_of(self._written)

    def end(self, facts: dict[str, Any]) -> None:
        """Remove what is stale, write the manifest, and then say that the export is whole."""
        for name in files_below(self.path):
            if name not in self._written and name not in (MANIFEST, UNFINISHED) and OURS.fullmatch(
                name.removesuffix(".part")
            ):  # fmt: skip
                (self.path / name).unlink()
        for each in sorted((path for path in self.path.glob("*/**/") if path.is_dir()), reverse=True):
            top = each.relative_to(self.path).parts[:1]
            if top and top[0] in ("objects", "anonymous", "blobs") and not any(each.iterdir()):
                each.rmdir()
        part = self.path / f"{MANIFEST}.part"
        part.write_text(laid_out(facts, broken=1) + "\n")
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


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


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


class _World(Telling):
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
        self._folder.put(ROOT, laid_out({"facts": facts, "names": names}, broken=2) + "\n")
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
                TREE if type(obj) in KIND_OF_TREE else STRUCTURE if type(obj) in STRUCTURE_OF else OBJECT
            )
            self._waiting.append(oid)
        return {"$ref": self._key(oid)}

    def inline(self, container: Any, depth: int) -> bool:
        """Is a container told where it stands?  Not one that is met twice, nor one too deep to be read."""
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
            structure = STRUCTURE_OF[type(obj)]
            return {"kind": structure.kind, **{
                name: self._tell_at(obj, name, value) for name, value in structure.tell(obj).items()
            }}, ""  # fmt: skip
        kind = "list" if isinstance(obj, PersistentList) else "set" if isinstance(obj, Set) else "dict"
        return {"kind": kind, "value": self._tell_at(obj, "an item", obj.data, bare=True)}, ""

    def _tell_at(self, obj: Any, slot: str, value: Any, bare: bool = False, plain: bool = False) -> Any:
        """`tell`, with the place told of what cannot be; `bare`: the inside of a container is meant."""
        try:
            return self.container(value, 1, plain) if bare else self.tell(value, plain=plain)
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
        slots = obj._slots
        inside = state.keys() - slots.keys() - OWN - LEFT_OUT
        for name in sorted(inside - HIDDEN.keys()):
            why = "nobody has said how it is told"
            raise Refused(f"{name!r} of {obj!r} cannot be exported: {why}", rule="export")
        hidden = {name: self._tell_at(obj, name, state[name]) for name in sorted(inside)}
        if hidden:
            told["hidden"] = hidden
        parents = {
            name: self._tell_at(obj, name, value)["$ref"] for name, value in slots.items() if name[-1:] == "*"
        }
        if parents:
            told["parents"] = parents
        data = {name: self._tell_at(obj, name, value) for name, value in slots.items() if name[-1:] != "*"}
        if data:
            told["slots"] = data
        methods, source = {}, []
        for selector, method in state.get("_methods", {}).items():
            methods[selector], text = self._method(obj, oid, selector, method)
            if text is not None:
                source.append(f"{MARK}{selector}\n{stuffed(text)}")
        if methods:
            told["methods"] = methods
        return told, SOURCE_HEAD + "\n\n" + "\n\n".join(source) if source else ""

    def _method(
        self, obj: UvmObject, oid: int, selector: str, method: Method
    ) -> tuple[dict[str, Any], str | None]:
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
            told = {"primitive": method.primitive}
            return told if method.current is not None else {**told, "installed": None}, None
        records, text = [], None
        for record in method.versions:
            last = {name: record[name] for name in LAST_FIELDS if name in record}
            first = {name: record[name] for name in FIRST_FIELDS if name in record}
            rest = {name: record[name] for name in sorted(record.keys() - first.keys() - last.keys())}
            told = {
                name: self._tell_at(obj, f"{selector} {name}", value, plain=True)
                for name, value in {**first, **rest}.items()
            }
            told["digest"], source = last["digest"], last["source"]
            if record["version"] == method.current and _can_stand_in_a_file(selector, source):
                text = source
            else:
                told["source"] = self.text(source) if SURROGATE.search(source) else source.split("\n")
            records.append(told)
        told = {"installed": method.current, "versions": records}
        if method.probation:
            pairs = [[number, dict(each)] for number, each in sorted(method.probation.items())]
            told["probation"] = self._tell_at(obj, f"{selector} probation", pairs, plain=True)
        return told, text

    # -- files -------------------------------------------------------------------------------------

    def _write_apart(self, oid: int, told: dict[str, Any], source: str) -> None:
        name = self._names.get(oid)
        path = f"objects/{name}" if name else f"{folder_of(oid)}/{oid_key(oid)}"
        self._folder.put(f"{path}.json", laid_out({"oid": oid_key(oid), **told}, broken=2) + "\n")
        if source:
            self._folder.put(f"{path}.py", source)

    def _write_group(self, number: int, group: dict[str, Any]) -> None:
        self._folder.put(group_of(number << GROUP_BITS), laid_out(group, broken=3) + "\n")

    def _write_tree(self, oid: int, tree: Any) -> None:
        with self._folder.stream(f"{folder_of(oid)}/{oid_key(oid)}.jsonl") as write:
            write(flat({"tree": KIND_OF_TREE[type(tree)]}) + "\n")
            for item in _items(tree):
                told = self._tell_at(tree, "an item", item)
                write(flat(told["$tuple"]) + "\n")


def _items(tree: Any) -> Iterator[tuple]:
    """The items of a BTree as pairs, the keys of a tree of keys alone as tuples of one."""
    return iter(tree.items()) if hasattr(tree, "items") else ((key,) for key in tree)


def _hidden(obj: UvmObject, name: str) -> Any:
    obj._p_activate()
    return obj.__dict__.get(name)


def _face(obj: Any) -> str:
    return repr(obj) if isinstance(obj, UvmObject) else f"the {type(obj).__name__} {oid_key(u64(obj._p_oid))}"


def _can_name_a_file(name: str) -> bool:
    return len(name) <= 100 and NAME.fullmatch(name) is not None and not RESERVED.fullmatch(name)


def _can_stand_in_a_file(selector: str, source: str) -> bool:
    """A source that a text file and an editor leave as it is: normalised, as `define` keeps it."""
    normalised = source == source.strip("\n") + "\n" and not re.search("[\r\0]", source)
    return normalised and selector.isidentifier() and SURROGATE.search(source) is None
