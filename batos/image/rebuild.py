"""Rebuild: an image made of an export (`worldtext`), in data-only fashion.

No pickle and no class name is ever taken from the text, and no method runs.  The guardian that is handed in
judges every version of every method again, whatever the text says about it; an awakening is tried in the
new world and taken back.  Whatever is wrong is `Refused` with the file and the line or field.

The objects keep the oids they had, so the export of an import is equal byte by byte, and an `{"oid"}` that a
client has kept still holds.  A blank for every entry is made first, because entries refer to one another;
they are filled and committed some thousands at a time, so what memory must hold is a blank an entry.  The
image is built in a folder apart and moved into its place when it is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import transaction
from zc.lockfile import LockError, LockFile
from ZODB import DB
from ZODB.blob import Blob
from ZODB.Connection import Connection
from ZODB.utils import p64, u64

from batos.errors import AlreadyAwake, BatosError, Conflict, NoSuchFile, ReadOnly, Refused
from batos.image.digests import BLOBS, DATA, sync
from batos.image.places import REMEMBERED
from batos.image.root import Root
from batos.image.storage import end_birth, holder, open_storage
from batos.image.worldtext import (
    FORMAT,
    HIDDEN,
    MANIFEST,
    MARK,
    OURS,
    ROOT,
    STRUCTURES,
    TREES,
    UNFINISHED,
    WELCOME,
    WRONG,
    Reading,
    Structure,
    a_text,
    blob_name,
    digest_of,
    files_below,
    folder_of,
    group_of,
    oid_key,
    oid_of,
    unstuffed,
)  # fmt: skip
from batos.objects import Activation, Dict, List, Method, Set, UvmObject, activated
from batos.objects.dispatch import structure_changed
from batos.objects.genesis import SCHEMA
from batos.objects.method import PRIMITIVES, digest
from batos.objects.uvm_object import PROTECTED

IMPORTING = "import.part"  # the folder in DIR where an image is built before it is moved into its place
MOST_BYTES = 256 << 20  # of one text file that is read, or of one line of a tree
BATCH = 2_000  # entries a commit
CHUNK = 1 << 20
NO_SURPRISE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # no link, no wait for a pipe
Judge = Callable[[str, str | None, UvmObject], Any]
CONTAINERS = {"list": List, "dict": Dict, "set": Set}


def import_(
    source: Path | str,
    directory: Path | str,
    *,
    judge: Judge,
    birth: Callable[[Root], None] | None = None,
    edited: bool = False,
) -> dict[str, Any]:
    """Make an image in `directory` of the export in `source`; answers what `export` answers, and `refused`:
    a list of `{"object", "selector", "version", "line", "rule", "why"}`, one for each version of a method
    that the guardian refused.  Such a version is kept to be read; if it was installed, it is not any more.

    judge   `(source, selector, holder) -> verdict`; the guardian
    birth   what an awakening does first; it is tried, and taken back, so that what is imported awakens
    edited  the text was changed on purpose: the digest of the manifest, and those of methods, do not count,
            and a method whose text is another than its digest says was written by who imports it

    Raises `NoSuchFile` where there is no export, `Conflict` where there is an image, `AlreadyAwake` where it
    is awake, `Refused` naming the file, with its line or field, for everything that is not as an export
    writes it.  `directory` then is as it was.
    """
    source, directory = Path(source), Path(directory)
    _nothing_there(directory)
    reading = _Files(source, edited)
    reading.scan()
    part = directory / IMPORTING
    part.mkdir(parents=True)
    try:
        db = DB(open_storage(part), large_record_size=1 << 26)
        try:
            told = _Making(reading, db, judge).make_world(birth)
        finally:
            db.close()
        end_birth(part)
        _move_in(part, directory)
    except OSError as exc:
        raise ReadOnly(f"nothing was imported: {exc}", hint="free some space and import again") from exc
    finally:
        structure_changed()  # what was looked up while judging is of no living image
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
        shutil.rmtree(directory / BLOBS, ignore_errors=True)  # moved before the data, and nothing without it
    kept = (DATA, f"{DATA}.old", f"{DATA}.pack", BLOBS, REMEMBERED)
    there = [name for name in kept if (directory / name).exists()]
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
    for each in (directory, *directory.absolute().parents):
        with contextlib.suppress(OSError):  # of somebody else, or read only: nothing was made there
            sync(each)


def _refused(where: str, why: str, line: int | None = None) -> Refused:
    hint = "export again, or put the file back from git"
    return Refused(f"{where}: {why}", line=line, rule="import", hint=hint)


@contextlib.contextmanager
def _at(where: str) -> Iterator[None]:
    """Whatever is wrong inside is told with the file and field where it stands."""
    try:
        yield
    except Refused as exc:
        raise exc if exc.rule == "import" else _refused(where, str(exc)) from exc
    except (*WRONG, BatosError) as exc:
        words = f"there is no {exc}" if isinstance(exc, KeyError) else str(exc)
        raise _refused(where, words or type(exc).__name__) from exc


class _Files:
    """An export as files: which there are, what is in them, whether they are what the manifest says."""

    def __init__(self, folder: Path, edited: bool):
        self.folder = folder
        self.edited = edited
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
        for name in sorted(files_below(self.folder)):
            if WELCOME.fullmatch(name.split("/")[0]):
                continue
            if not OURS.fullmatch(name):
                raise _refused(str(self.folder / name), "it is not of an export")
            self.names[name] = (self.folder / name).stat().st_size
        manifest = self.json(MANIFEST)
        with _at(MANIFEST):
            if manifest["format"] != FORMAT:
                raise ValueError(f"the format is {manifest['format']!r}, not {FORMAT}: use a newer batos")
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
            line = data[: exc.start].count(b"\n") + 1
            raise _refused(name, f"it is no UTF-8: {exc.reason}", line) from exc

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
        """Is all of it what was written?  Asked last, so that what is malformed is told by its place."""
        for name in self.names:
            if name.startswith("blobs/"):
                self._sha256[name] = name[-64:]  # those that were used were compared
            elif name not in self._sha256:
                raise _refused(name, "it belongs to no object")
        self._sha256.pop(MANIFEST)
        if not self.edited and digest_of(self._sha256) != self._wanted:
            raise Refused(
                f"the files in {self.folder} are not those its {MANIFEST} was written for: "
                "some were changed, added or removed",
                rule="import",
                hint="see what changed with git; if it is meant, import with edited=True (--edited)",
            )

    @property
    def digest(self) -> str:
        """The digest of what was read, once it is checked."""
        return digest_of(self._sha256)


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


class _Making(Reading):
    """One import: first a blank for every entry, under its oid, then their contents, then the judgement."""

    def __init__(self, reading: _Files, db: DB, judge: Callable):
        self._files = reading
        self._judge = judge
        self._manager = transaction.TransactionManager(explicit=True)
        self._connection: Connection = db.open(self._manager)
        self._blanks: dict[int, Any] = {}
        self._oids: dict[str, int] = {}  # file name of a named object -> oid
        self._blobs: dict[str, Blob] = {}
        self._entries = 0
        self._methods: dict[tuple[int, str], Method] = {}  # by holder and selector
        self._filled: set[tuple[int, str]] = set()
        self._clashes: list[tuple[str, Method]] = []  # (file, method) of slots that are methods elsewhere
        self._structures: list[tuple[Structure, Any]] = []
        self._holders: list[int] = []  # objects with methods of their own

    def make_world(self, birth: Callable[[Root], None] | None) -> dict[str, Any]:
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
                why = f"another object has {selector!r} from it, and it has no such method of its own"
                raise _refused(repr(self._blanks[oid]), why)
            for path, method in self._clashes:
                if method.current is not None:
                    raise _refused(path, f"{method.selector!r} is a slot and a method")
            self._make_root()
            self._files.check()
            self._commit()
            for structure, obj in self._structures:
                with _at(f"the {structure.kind}"):
                    structure.finish(obj, self._commit)
            self._commit()
            refused = self._judge_methods()
            self._commit()
            if birth is not None:
                self._try(birth)
        finally:
            self._manager.abort()
            self._connection.close()
        return {
            "objects": sum(isinstance(each, UvmObject) for each in self._blanks.values()),
            "methods": len(self._methods),
            "blobs": len(self._blobs),
            "bytes": sum(size for name, size in self._files.names.items() if name != MANIFEST),
            "digest": self._files.digest,
            "refused": refused,
        }

    # -- entries -----------------------------------------------------------------------------------

    def _read(self) -> Iterator[tuple[str, str, dict[str, Any] | str, int]]:
        """(file, key in it, data, oid) of every entry; a tree has the file's name for its data."""
        for name in self._files.names:
            if name.startswith("objects/") and name.endswith(".json"):
                data = self._files.json(name)
                with _at(f"{name}, oid"):
                    oid = oid_of(data.get("oid"))
                yield name, "", data, oid
            elif name.endswith("__.json"):
                for key, data in self._files.json(name).items():
                    with _at(name):
                        oid = oid_of(key)
                        if group_of(oid) != name:
                            raise ValueError(f"{key} belongs into {group_of(oid)}")
                    yield name, key, _object(data, f"{name}, {key}"), oid
            elif name.startswith("anonymous/") and name.endswith((".json", ".jsonl")):
                with _at(name):
                    oid = oid_of(Path(name).stem)
                if not name.startswith(f"{folder_of(oid)}/"):
                    raise _refused(name, f"it belongs into {folder_of(oid)}")
                if name.endswith(".jsonl"):
                    yield name, "", name, oid
                    continue
                data = self._files.json(name)
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
            _, head = next(self._files.lines(path), (1, None))
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
            made = self.read(data["value"])
            if type(made) is not type(obj):
                raise ValueError(f"it is said to be a {data['kind']} and is none")
            obj.data = made.data
        else:
            structure = STRUCTURES[data["kind"]]
            values = {name: self.read(value) for name, value in data.items() if name != "kind"}
            structure.fill(obj, values)
            self._structures.append((structure, obj))
        obj._p_changed = True

    def _fill_tree(self, path: str, tree: Any) -> None:
        width = 2 if hasattr(tree, "items") else 1
        for number, line in self._files.lines(path):
            if number == 1:
                continue
            with _at(f"{path}, line {number}"):
                item = self.read({"$tuple": line})
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
            obj._name = a_text(self.read(name), "name")
        if "born" in data:
            obj._born = _number(data["born"], "born")
        if "prototype" in data:
            obj._prototype = self.entry(data["prototype"], UvmObject)
        for hidden, value in _object(data.get("hidden", {}), "hidden").items():
            made = self.read(value)
            if type(made) is not HIDDEN.get(hidden):
                raise ValueError(f"{hidden!r} is no attribute of an object, or not of this type")
            setattr(obj, hidden, made)
        slots = _object(data.get("slots", {}), "slots")
        self._fill_methods(path, _object(data.get("methods", {}), "methods"), obj, slots)
        for slot, key in _object(data.get("parents", {}), "parents").items():
            with _at(f"{path}, parents.{slot}"):
                if slot.startswith("_") or not slot.endswith("*"):
                    raise ValueError("the name of a parent slot ends with '*'")
                setattr(obj, slot, self.entry(key, UvmObject))
        for slot, value in slots.items():
            with _at(f"{path}, slots.{slot}"):
                if slot.startswith("_") or slot.endswith("*") or not slot:
                    raise ValueError("a data slot cannot have this name")
                setattr(obj, slot, self.read(value))

    def _fill_methods(self, path: str, told: dict[str, Any], obj: UvmObject, slots: dict[str, Any]) -> None:
        beside = f"{path[:-5]}.py"
        sources = self._sources(beside) if beside in self._files.names else {}
        for selector, data in told.items():
            with _at(f"{path}, methods.{selector}"):
                protected = selector in PROTECTED and "primitive" not in _object(data, selector)
                if protected or not selector.isidentifier():
                    raise ValueError(f"{selector!r} cannot be the selector of a method")
                if "as" in data:
                    method = self._method_at(u64(self.entry(data["as"], UvmObject)._p_oid), selector)
                    method.shared = True
                    if selector in slots:  # right where the method was forgotten; it may not be read yet
                        self._clashes.append((path, method))
                else:
                    method = self._method_at(u64(obj._p_oid), selector)
                    self._fill_method(method, data, sources)
                    self._filled.add((u64(obj._p_oid), selector))
                obj._install(method)
        if sources:
            raise _refused(beside, f"{next(iter(sources))!r} is no method in the .json beside it")
        if any("as" not in data for data in told.values()):
            self._holders.append(u64(obj._p_oid))

    def _method_at(self, oid: int, selector: str) -> Method:
        """The method of an object, to be filled when its entry is read."""
        return self._methods.setdefault((oid, selector), Method(selector))

    def _sources(self, name: str) -> dict[str, str]:
        """The installed sources of an object by selector."""
        sources: dict[str, list[str]] = {}
        current = None
        for number, line in enumerate(self._files.text(name).split("\n"), 1):
            if line.startswith(MARK):
                selector = line[len(MARK) :].strip()
                if selector in sources or not selector.isidentifier():
                    raise _refused(name, f"{selector!r} stands there twice, or is no selector", number)
                current = sources[selector] = []
            elif current is not None:
                current.append(line)
            elif line and not line.startswith("#"):
                raise _refused(name, f"source stands before the first {MARK.strip()!r} line", number)
        return {each: unstuffed("\n".join(lines).strip("\n") + "\n") for each, lines in sources.items()}

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
            record = {name: self.read(value, plain=True) for name, value in told.items() if name != "source"}
            before = records[-1]["version"] if records else 0
            if type(record["version"]) is not int or record["version"] <= before:
                raise ValueError(f"{record['version']!r} is no number of a version after {before}")
            a_text(record["author"], "author")
            a_text(record["verdict"], "verdict")
            _number(record["time"], "time")
            if isinstance(source := told.get("source"), list):
                record["source"] = "\n".join(source)
            elif source is not None:
                record["source"] = a_text(self.read(source), "source")
            elif record["version"] == installed:
                record["source"] = sources.pop(selector)
            else:
                raise ValueError(f"version {record['version']} has no source")
            self._vouch(record)
            records.append(record)
        if installed is not None and all(each["version"] != installed for each in records):
            raise ValueError(f"version {installed!r} is said to be installed and is not there")
        method.keep_versions(records)
        method.current = installed
        probation = {}
        for number, told in self.read(data.get("probation", []), plain=True):
            if type(number) is not int or not _is_probation(told):
                raise ValueError(f"{number!r} and {told!r} are no version and its probation")
            probation[number] = told
        if probation:
            method.probation = probation

    def _vouch(self, record: dict[str, Any]) -> None:
        """Is the source the one that was exported?  One that was edited is nobody's but who imports it."""
        actual = digest(record["source"])
        if record["digest"] != actual:
            if not self._files.edited:
                raise ValueError(f"the digest of version {record['version']} is of another source")
            record |= {"digest": actual, "author": "import", "mission": None}

    def _make_root(self) -> None:
        told = self._files.json(ROOT)
        with _at(ROOT):
            facts = self.read(_object(told["facts"], "facts"), plain=True)
            if type(facts["schema"]) is not int or facts["schema"] > SCHEMA:
                raise ValueError(f"the schema is {facts['schema']!r}, not {SCHEMA}: use a newer batos")
            _number(facts["born"], "born")
            root = self._connection.root()
            root["batos"] = facts
            for name, key in _object(told["names"], "names").items():
                if not name.isidentifier() or name.startswith("_") or name == "batos":
                    raise ValueError(f"{name!r} cannot be a name at the root")
                root[name] = self.entry(key, UvmObject)
            for name in ("lobby", "genesis_obj", "traits_obj"):
                if name not in root:
                    raise ValueError(f"names: there is no {name}")

    # -- values ------------------------------------------------------------------------------------

    def entry(self, key: Any, kind: type = object) -> Any:
        oid = self._oids.get(key) if isinstance(key, str) else None
        if oid is None:
            oid = oid_of(key)
        obj = self._blanks.get(oid)
        if obj is None or not isinstance(obj, kind):
            raise ValueError(f"{key!r} is not there, or cannot stand here")
        return obj

    def blob(self, sha256: str) -> Blob:
        if sha256 not in self._blobs:
            blob = Blob()
            with blob.open("w") as into:
                self._files.kept(sha256, into)
            self._blobs[sha256] = blob
        return self._blobs[sha256]

    def long(self, sha256: Any) -> bytes:
        into = io.BytesIO()
        self._files.kept(sha256, into)
        return into.getvalue()

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
        for oid in self._holders:
            holder = self._blanks[oid]
            holder._p_activate()
            own = {name: each for name, each in holder.__dict__["_methods"].items() if each.primitive is None}
            # A verdict depends on the source and on the other methods of the holder and its parents.
            around = (
                tuple((name, each.current and each.record()["digest"]) for name, each in own.items()),
                tuple(each._p_oid for each in holder._parents()),
            )
            for selector, method in own.items():
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

    def _try(self, birth: Callable[[Root], None]) -> None:
        """Awaken in the new world, and take it back."""
        try:
            with activated(Activation(who="batos", judge=self._judge)):
                birth(Root(self._connection))
        except Exception as exc:  # whatever a world that is put together wrongly makes of it
            raise _refused(ROOT, f"batos cannot awaken in this world: {type(exc).__name__}: {exc}") from exc
        finally:
            self._manager.abort()
            self._manager.begin()

    @staticmethod
    def _apply(
        holder: UvmObject, method: Method, seen: list[tuple[dict[str, Any], Any]]
    ) -> list[dict[str, Any]]:
        """Do to a method as its verdicts, of (version, verdict), say; answers what was refused."""
        refused, records = [], []
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
            method.keep_versions(records)
        verdict = next((each for record, each in seen if record["version"] == method.current), None)
        if verdict is not None and not verdict.passed:
            method.current = None
        elif verdict is not None and verdict.outcome == "repaired":
            repairs = list(verdict.repairs)
            method.add_version(verdict.source, "import", verdict.outcome, repairs=repairs, mission=None)
        return refused


def _is_probation(told: Any) -> bool:
    """Is it what `Method.probation` keeps of a version?"""
    return (
        isinstance(told, dict)
        and told.keys() - {"ended"} == {"state", "calls", "failed", "why", "kinds"}
        and told["state"] in ("on", "passed", "reverted")
        and all(type(told[name]) is int and told[name] >= 0 for name in ("calls", "failed"))
        and (told["why"] is None or isinstance(told["why"], str))
        and (told["kinds"] is None or {type(each) for each in told["kinds"]} <= {str})
        and not isinstance(told["kinds"], str)
        and type(told.get("ended", 0.0)) in (int, float)
    )


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{what} is a number of seconds, not a {type(value).__name__}")
    return value
