"""The world as text: where each thing stands in an export, and how a value is told there and read again.

    manifest.json                   format, counts and the digest over every other file
    root.json                       the names at the root, and the facts of the image
    objects/account.json            an object with a name: parents, slots, and the past of its methods
    objects/account.py              its methods as they are installed: Python source and nothing else
    anonymous/0x0____/0x12__.json   objects without a name or methods, and shared containers, by their oid
    anonymous/0x0____/0x12f3.json   one without a name that has methods, with its 0x12f3.py
    anonymous/0x0____/0x12f4.jsonl  a BTree, a line an item
    blobs/ab/abcd...                blobs and long bytes, by their sha256

Slots are JSON and methods are `.py`, because each is then read by the tools that know it; what a diff
should show in one line stands on one line.  An object is called by its name, one without a name by its
oid, which never changes: nothing is numbered, so nothing is ever renumbered.

Values are those of `objects.plain` and more: what a slot can keep comes back as it was.  A container that
is met twice, or nested too deeply, stands in an entry of its own.  A subclass of text or number comes back
as what it is based on, two blobs of the same bytes as one.

Of an image's life, as opposed to its world, nothing is told: change records and what `undo` needs (a method
keeps its own past), idempotency records, metrics.  `backup` keeps all of it.  An attribute that starts with
``_`` must be in `HIDDEN` or in `LEFT_OUT`: a part that keeps something says here how it is told (`told_as`),
or no image can be exported.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from persistent import Persistent
from persistent.list import PersistentList
from persistent.mapping import PersistentMapping
from ZODB.blob import Blob

from batos.errors import Refused
from batos.objects import Dict, List, Set, UvmObject
from batos.objects.plain import NotPlain, decode, encode

FORMAT = 1
MANIFEST, ROOT = "manifest.json", "root.json"
UNFINISHED = "unfinished"  # stands in the folder while an export is being written

WIDTH = 100  # what fits in a line stands on one line
GROUP_BITS = 8  # 256 consecutive oids share a file, so that a million objects are 4,000 files
FOLDER_BITS = 16
DEEP = 32  # containers nested deeper are told as entries of their own
DEEPEST = 256  # of what an import reads
LONG_TEXT = 60  # a text of several lines that is longer is told line by line
LONG_BYTES = 4096  # longer bytes stand beside the blobs
BIG_INT_BITS = 10_000  # Python reads and writes no decimal longer than 4,300 digits
HIGHEST_OID = 1 << 48

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*")
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no file names on some systems
OID = re.compile(r"0x(0|[1-9a-f][0-9a-f]*)")
OURS = re.compile(
    r"manifest\.json|root\.json|unfinished|objects/[A-Za-z][A-Za-z0-9_.]*\.(json|py)"
    r"|anonymous/0x[0-9a-f]+____/0x[0-9a-f]+(__\.json|\.json|\.py|\.jsonl)|blobs/[0-9a-f]{2}/[0-9a-f]{64}"
)
WELCOME = re.compile(r"\.git.*|(README|LICEN[CS]E)[^/]*")  # a person's own beside an export

MARK = "#~ "  # begins the line above each method of a .py; lines of source that look like it get one more "~"
SOURCE_HEAD = "# Methods as they are installed; who wrote them, and their past, stands in the .json beside.\n"

HIDDEN: dict[str, type] = {
    "_shipped": dict, "_offered": dict, "_permission": dict, "_reach": tuple, "_reflectee": UvmObject,
}  # fmt: skip
LEFT_OUT = {"_last_change", "_rings"}  # of change records, of metrics
TREES = {
    f"{kind}{shape}": getattr(import_module(f"BTrees.{kind}BTree"), f"{kind}{shape}")
    for kind in ("OO", "OI", "OL", "IO", "II", "IF", "LO", "LL", "LF")
    for shape in ("BTree", "TreeSet")
}
LISTED = {"$tuple", "$frozenset", "$set", "$dict", "$text", "$complex", "$timedelta", "$zone", "$at"}
KIND_OF_TREE = {kind: name for name, kind in TREES.items()}


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
STRUCTURE_OF: dict[type, Structure] = {}


def told_as(structure: Structure, **hidden: type) -> None:
    """Register a structure, and the hidden attributes of objects that belong to it, each with its type."""
    STRUCTURES[structure.kind] = STRUCTURE_OF[structure.type] = structure
    HIDDEN.update(hidden)


# -- where things stand --------------------------------------------------------------------------------


def oid_key(oid: int) -> str:
    return f"0x{oid:x}"


def folder_of(oid: int) -> str:
    return f"anonymous/0x{oid >> FOLDER_BITS:x}____"


def group_of(oid: int) -> str:
    return f"{folder_of(oid)}/0x{oid >> GROUP_BITS:x}__.json"


def oid_of(key: Any) -> int:
    """The number of an oid as it is written; `ValueError` for anything else."""
    if not isinstance(key, str) or not OID.fullmatch(key) or not 0 < int(key, 16) < HIGHEST_OID:
        raise ValueError(f"{key!r} is no oid, and no name of an object")
    return int(key, 16)


def blob_name(sha256: str) -> str:
    return f"blobs/{sha256[:2]}/{sha256}"


def digest_of(files: dict[str, str]) -> str:
    """The digest of an export, of the sha256 of its files by path: sha256 over `path sha256` lines."""
    return hashlib.sha256("".join(f"{name} {files[name]}\n" for name in sorted(files)).encode()).hexdigest()


def files_below(folder: Path) -> Iterator[str]:
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


def stuffed(source: str) -> str:
    """Source in which no line looks like a mark."""
    return re.sub(r"^#~", "#~~", source, flags=re.MULTILINE)


def unstuffed(source: str) -> str:
    return re.sub(r"^#~~", "#~", source, flags=re.MULTILINE)


# -- values as JSON ------------------------------------------------------------------------------------

SURROGATE = re.compile("[\ud800-\udfff]")
# What an editor would not show, or show in another order.
_UNSEEN = re.compile("[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]")
_encoded = json.JSONEncoder(ensure_ascii=False).encode


def flat(data: Any) -> str:
    text = _encoded(data)
    return text if text.isascii() else _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def laid_out(data: Any, indent: int = 0, broken: int = 0) -> str:
    """JSON with a line for what does not fit on one line; the outer `broken` levels always get lines."""
    kind = type(data)
    if not data or (kind is not dict and kind is not list):
        return flat(data)
    if broken <= 0 and len(data) < WIDTH:
        line = flat(data)
        if len(line) + indent <= WIDTH:
            return line
    pad = " " * (indent + 1)
    if kind is dict:
        lines = [f"{pad}{flat(key)}: {laid_out(each, indent + 1, broken - 1)}" for key, each in data.items()]
        return "{\n" + ",\n".join(lines) + f"\n{' ' * indent}}}"
    lines = [pad + laid_out(each, indent + 1, broken - 1) for each in data]
    return "[\n" + ",\n".join(lines) + f"\n{' ' * indent}]"


class Telling:
    """Values of slots as JSON data.  What stands apart is told by the methods that a subclass has."""

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
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is UvmObject or kind in KIND_OF_TREE or kind in STRUCTURE_OF:
            return self.entry(value)
        if isinstance(value, str):
            return self.text(str.__str__(value))
        if isinstance(value, int):
            value = int(value)
            return value if value.bit_length() < BIG_INT_BITS else {"$int": hex(value)}
        if isinstance(value, float):
            return encode(float(value), _nothing)
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
        if SURROGATE.search(text):
            return {"$str": base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()}
        if len(text) > LONG_TEXT and "\n" in text:
            return {"$text": text.split("\n")}
        return text

    def container(self, items: Any, depth: int, plain: bool) -> Any:
        if isinstance(items, list):
            return [self.tell(each, depth, plain) for each in items]
        if isinstance(items, dict):
            if all(type(key) is str and key[:1] != "$" and not SURROGATE.search(key) for key in items):
                return {key: self.tell(each, depth, plain) for key, each in items.items()}
            return {"$dict": [[self.tell(each, depth, plain) for each in pair] for pair in items.items()]}
        return {"$set": self.members(items, depth, plain)}

    def members(self, items: Iterable[Any], depth: int, plain: bool) -> list[Any]:
        return sorted((self.tell(each, depth, plain) for each in items), key=flat)


def _nothing(obj: Persistent) -> Any:
    raise NotPlain(f"a {type(obj).__module__}.{type(obj).__name__} has no form as text")


def _zone(zone: datetime.tzinfo) -> list[Any]:
    """`[days, seconds, microseconds]` of its distance from UTC, and the name of one that has a name."""
    if type(zone) is not datetime.timezone:
        raise NotPlain(f"a time zone of the type {type(zone).__name__} has no form as text")
    offset, *name = zone.__getinitargs__()
    return [offset.days, offset.seconds, offset.microseconds, *name]


class Reading:
    """The way back.  What stands apart is found by `entry`, `blob` and `long` of a subclass.

    Whatever the data, it answers a value that a slot can keep, or raises a `BatosError` or one of `WRONG`.
    """

    def entry(self, key: Any, kind: type = object) -> Any:
        raise NotImplementedError

    def blob(self, sha256: Any) -> Blob:
        raise NotImplementedError

    def long(self, sha256: Any) -> bytes:
        raise NotImplementedError

    def read(self, data: Any, depth: int = 0, plain: bool = False) -> Any:
        """The value that `Telling.tell` told."""
        if data is None or isinstance(data, (bool, int, float, str)):
            return data
        if depth > DEEPEST:
            raise ValueError("it is nested too deeply")
        depth += 1
        if isinstance(data, list):
            made = [self.read(each, depth, plain) for each in data]
            return made if plain else List(made)
        tag = next(iter(data), "")
        if tag[:1] != "$":
            made = {name: self.read(each, depth, plain) for name, each in data.items()}
            return made if plain else Dict(made)
        if len(data) > 1:
            raise ValueError(f"beside {tag!r} nothing else stands")
        inner = data[tag]
        if tag == "$plain":
            return self.read(inner, depth, True)
        if tag == "$ref":
            return self.entry(inner)
        if tag == "$blob":
            return self.blob(inner)
        if tag in LISTED:
            if not isinstance(inner, list):
                raise ValueError(f"{tag} holds a list, not a {type(inner).__name__}")
            return self._listed(tag, inner, depth, plain)
        return self._worded(tag, inner)

    def _listed(self, tag: str, inner: list[Any], depth: int, plain: bool) -> Any:
        if tag == "$text":
            return "\n".join(inner)
        if tag == "$timedelta":
            days, seconds, microseconds = inner
            return datetime.timedelta(days, seconds, microseconds)
        if tag == "$zone":
            return _made_zone(inner)
        if tag == "$dict":
            pairs = [(self.read(key, depth, plain), self.read(each, depth, plain)) for key, each in inner]
            return dict(pairs) if plain else Dict(pairs)
        made = [self.read(each, depth, plain) for each in inner]
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

    def _worded(self, tag: str, inner: Any) -> Any:
        a_text(inner, tag)
        if tag == "$int":
            if not re.fullmatch("-?0x[0-9a-f]+", inner):
                raise ValueError(f"{inner[:40]!r} is no number")
            return int(inner, 16)
        if tag == "$str":
            return base64.b64decode(inner, validate=True).decode("utf-8", "surrogatepass")
        if tag == "$long":
            return self.long(inner)
        if tag == "$fraction" and not re.fullmatch(r"-?\d{1,4000}(/\d{1,4000})?", inner, re.ASCII):
            raise ValueError(f"{inner[:40]!r} is no fraction")
        return decode({tag: inner}, _no_tag)


# What reading raises for data that is not as it should be; anything else is a bug of ours.
WRONG = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError)


def a_text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} is a text, not a {type(value).__name__}")
    return value


def _no_tag(data: dict[str, Any]) -> None:
    raise ValueError(f"there is no tag {next(iter(data))!r}")


def _made_zone(told: list[Any]) -> datetime.tzinfo:
    days, seconds, microseconds, *name = told
    offset = datetime.timedelta(days, seconds, microseconds)
    # UTC is one object, and is told by its own name.
    return datetime.timezone(offset, *name) if name or offset else datetime.UTC
