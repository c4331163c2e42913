"""A disk as a power cut may leave it: the trace of recorder.c, played with the least a file system promises.

What is durable: the bytes of a file as of its last fsync, the names in a folder as of the folder's last
fsync.  What came later may be there wholly, partly or not at all: of the names in one folder those up to
some moment, of the bytes of one file any of the writes, the last of them torn at a sector.  That is
less than ext4 gives in its default mode (which also syncs a new file's name with the file), and what
POSIX lets every file system do.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.faults.telling import demand

CREATE, WRITE, TRUNCATE, RENAME, LINK, UNLINK, MKDIR, RMDIR, SYNC, FAILED, MARK = range(1, 12)
NAMES = [
    "-",
    "create",
    "write",
    "truncate",
    "rename",
    "link",
    "unlink",
    "mkdir",
    "rmdir",
    "sync",
    "failed",
    "mark",
]
HEAD = struct.Struct("=IIQQq")  # struct head of recorder.c
SECTOR = 512
# How the power goes: what of the unsynced reaches the disk.
WAYS = (
    "nothing unsynced",
    "names without their bytes",
    "bytes without their names",
    "some of it, torn",
    "everything",
)


def build_recorder(folder: Path) -> Path:
    """recorder.c as a shared object in `folder`; raises `FileNotFoundError` where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise FileNotFoundError("there is no C compiler here")
    made = folder / "recorder.so"
    source = Path(__file__).with_name("recorder.c")
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", made, source, "-ldl", "-lpthread"], check=True)
    return made


@dataclass(slots=True)
class Event:
    """One call: its kind, the paths relative to the root, and what it did to which inode."""

    kind: int
    ino: int
    offset: int
    paths: list[str]
    data: bytes

    def __str__(self) -> str:
        what = f"{NAMES[self.kind]} {' -> '.join(self.paths)}".strip()
        return f"{what} inode {self.ino} {len(self.data)} bytes at {self.offset}"


@dataclass
class Trace:
    """The file a recorder writes into, to which marks can be added between its records."""

    path: Path
    root: Path

    def mark(self, told: Any) -> None:
        """Add a mark: it stands behind everything the image had done before it was acknowledged."""
        body = json.dumps(told).encode()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, HEAD.pack(MARK, 0, 0, len(body), 0) + body)
        finally:
            os.close(descriptor)

    def events(self) -> Iterator[Event]:
        told = self.path.read_bytes()
        at = 0
        while at < len(told):
            kind, names, ino, size, offset = HEAD.unpack_from(told, at)
            at += HEAD.size
            paths = [os.fsdecode(each) for each in told[at : at + names].split(b"\0")[:-1]]
            at += names
            yield Event(kind, ino, offset, [self._inside(each) for each in paths], told[at : at + size])
            at += size

    def _inside(self, path: str) -> str:
        return os.path.normpath(path).removeprefix(str(self.root)).lstrip("/")


@dataclass(eq=False)
class File:
    """A file: its bytes now, its bytes as of the last fsync, and the changes since."""

    data: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # (offset, bytes) or (size, None)

    def write(self, offset: int, data: bytes | None) -> None:
        put(self.data, offset, data)
        self.pending.append((offset, data))

    def sync(self) -> None:
        if self.pending:
            self.durable, self.pending = bytes(self.data), []

    def after(self, way: str, rng: random.Random) -> bytes:
        if way in ("bytes without their names", "everything"):
            return bytes(self.data)
        if way != "some of it, torn" or not self.pending:
            return self.durable
        left = bytearray(self.durable)
        if rng.random() < 0.5:  # in order, up to some moment
            kept = self.pending[: rng.randrange(len(self.pending) + 1)]
        else:  # written back in any order
            kept = [each for each in self.pending if rng.random() < 0.5]
        for number, (offset, data) in enumerate(kept, 1):
            if number == len(kept) and data and rng.random() < 0.7:
                end = (offset + rng.randrange(len(data) + 1)) // SECTOR * SECTOR - offset
                data = data[: max(0, end)]
            if data != b"":
                put(left, offset, data)
        return bytes(left)


def put(content: bytearray, offset: int, data: bytes | None) -> None:
    """Write `data` at `offset`, or set the size to `offset` where there is no data."""
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


@dataclass(eq=False)
class Folder:
    """A folder: its names now, as of its last fsync, and the changes since, in order."""

    names: dict[str, File | Folder] = field(default_factory=dict)
    durable: dict[str, File | Folder] = field(default_factory=dict)
    pending: list[tuple[str, File | Folder | None]] = field(default_factory=list)

    def put(self, name: str, what: File | Folder | None) -> None:
        if what is None:
            self.names.pop(name, None)
        else:
            self.names[name] = what
        self.pending.append((name, what))

    def sync(self) -> None:
        self.durable, self.pending = dict(self.names), []

    def after(self, way: str, rng: random.Random) -> dict[str, File | Folder]:
        if way in ("names without their bytes", "everything"):
            return self.names
        left = dict(self.durable)
        if way == "some of it, torn":
            for name, what in self.pending[: rng.randrange(len(self.pending) + 1)]:
                if what is None:
                    left.pop(name, None)
                else:
                    left[name] = what
        return left


class Disk:
    """The root folder while a trace is played."""

    def __init__(self) -> None:
        self.root = Folder()
        self.inodes: dict[int, File | Folder] = {}

    def begin_with(self, root: Path, folders: list[str]) -> None:
        """What was there before the recording: the root and these empty folders in it, as they are there now."""
        self.inodes[root.stat().st_ino] = self.root
        for name in folders:
            self.root.put(name, Folder())
            if (root / name).exists():
                self.inodes[(root / name).stat().st_ino] = self.root.names[name]
        self.root.sync()

    def find(self, path: str) -> tuple[Folder | None, str]:
        """(the folder that has this name, the name), or (None, name)."""
        try:
            parent, name = self._place(path)
        except KeyError:
            return None, path
        return (parent if name in parent.names else None), name

    def play(self, event: Event) -> None:
        """One call's effect.  `KeyError` means that the recorder missed one before it."""
        kind = event.kind
        if kind in (CREATE, MKDIR):
            made = File() if kind == CREATE else Folder()
            parent, name = self._place(event.paths[0])
            parent.put(name, made)
            self.inodes[event.ino] = made
        elif kind == WRITE:
            self.inodes[event.ino].write(event.offset, event.data)
        elif kind == TRUNCATE:
            self.inodes[event.ino].write(event.offset, None)
        elif kind == SYNC:
            self.inodes[event.ino].sync()
        elif kind in (RENAME, LINK):
            (parent, name), (target, new) = map(self._place, event.paths)
            what = parent.names[name]
            target.put(new, what)
            if kind == RENAME:
                parent.put(name, None)
        elif kind in (UNLINK, RMDIR):
            parent, name = self._place(event.paths[0])
            parent.put(name, None)

    def _place(self, path: str) -> tuple[Folder, str]:
        *folders, name = path.split("/")
        at = self.root
        for each in folders:
            at = at.names[each]
        return at, name

    def leave(self, target: Path, way: str, rng: random.Random) -> None:
        """Write what a power cut leaves into `target`, which is made."""
        waiting = [(self.root, target)]
        while waiting:
            folder, path = waiting.pop()
            path.mkdir(parents=True)
            for name, what in folder.after(way, rng).items():
                if isinstance(what, Folder):
                    waiting.append((what, path / name))
                else:
                    (path / name).write_bytes(what.after(way, rng))

    def compare(self, folder: Path, apart_from: tuple[str, ...]) -> None:
        """The played disk is the real one: nothing was missed.  Raises `Violation` with the first differences."""
        told = {}
        waiting = [("", self.root)]
        while waiting:
            path, at = waiting.pop()
            for name, what in at.names.items():
                if isinstance(what, Folder):
                    waiting.append((f"{path}{name}/", what))
                told[f"{path}{name}"] = what
        # A symbolic link holds nothing of the image: a model that is loaded has a folder of them, for as long.
        real = {str(each.relative_to(folder)): each for each in folder.rglob("*") if not each.is_symlink()}
        told, real = (
            {name: what for name, what in side.items() if not name.startswith(apart_from)}
            for side in (told, real)
        )
        demand(
            told.keys() == real.keys(),
            f"the recorder missed a call: only played {sorted(told.keys() - real.keys())[:3]}, "
            f"only real {sorted(real.keys() - told.keys())[:3]}",
        )
        for name, path in real.items():
            if path.is_file():
                demand(bytes(told[name].data) == path.read_bytes(), f"the recorder missed a write to {name}")
