"""Digests: of every transaction and every blob of an image, so that one flipped bit is found.

A FileStorage believes its bytes.  Here a digest (xxh3, 128 bits) stands twice: in the transaction itself,
as a *seal* at the end of its extension field (a pickle may be followed by anything), so that a transaction
torn by a power cut is known without any other file; and in the sidecar `live_image.fs.digests`, an append-only
file of entries of one size that check themselves, which also knows where every transaction begins, what a
blob file must hold, and that a transaction was there at all.  The sidecar is written with each commit but
synced at checkpoints only: its tail can be computed again.  The price is 20 bytes in a transaction and 48
beside it, and one small write in a commit.

`scrub` reads everything and yields what is wrong.  What decides about a damaged tail at an opening is in
`storage`; this module only reads and compares.
"""

from __future__ import annotations

import os
import re
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from xxhash import xxh3_128, xxh3_128_digest
from ZODB._compat import FILESTORAGE_MAGIC
from ZODB.blob import BushyLayout, LawnLayout, is_blob_record
from ZODB.utils import p64, u64

DATA = "live_image.fs"
BLOBS = "live_image.fs.blob"
SIDECAR = ".digests"  # each of these follows the name of the data file
PACKED = ".pack"
NEW_SIDECAR = ".digests.pack"
INDEX = ".index"

TRANSACTION = struct.Struct(">8sQcHHH")  # tid, length - 8, status, lengths of user, description, extension
RECORD = struct.Struct(">8s8sQQHQ")  # oid, tid, previous record, transaction, 0, length of the data
FIRST = len(FILESTORAGE_MAGIC)  # where the first transaction begins
STATUS = 16  # offset of the status byte in a transaction
WINDOW = 4 << 20  # bytes read at once

MARK = b"\xb5sl1"  # begins a seal
SEAL = len(MARK) + 16
NOTHING = b"}."  # an empty dict, pickled: the extension of a transaction that has none

digest = xxh3_128_digest


# -- seals -----------------------------------------------------------------------------------------


def with_room(extension: bytes) -> bytes:
    """An extension field with room for a seal at its end, still a pickle for whoever reads it."""
    return (bare(extension) or NOTHING) + MARK + bytes(16)


def bare(extension: bytes) -> bytes:
    """An extension field as it was given, without its seal."""
    if len(extension) < SEAL or extension[-SEAL:-16] != MARK:
        return extension
    extension = extension[:-SEAL]
    return b"" if extension == NOTHING else extension


def digest_file(path: str | Path) -> tuple[int, bytes]:
    """(size in bytes, digest) of a file."""
    sure, size = xxh3_128(), 0
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(WINDOW):
            sure.update(chunk)
            size += len(chunk)
    return size, sure.digest()


# -- transactions in the data file -----------------------------------------------------------------


class Whole(NamedTuple):
    """One whole transaction as it stands in a data file."""

    tid: bytes
    position: int
    length: int  # with the redundant length at its end
    status: bytes
    head: int  # length of the header, with user, description and extension
    seal: bytes | None  # what its seal says, None for one written without
    digest: bytes  # of the bytes that are there, but those of the seal
    view: memoryview

    @property
    def end(self) -> int:
        return self.position + self.length


class Window:
    """Bytes of a file in order, read a few megabytes at a time; `end` is where reading stops."""

    def __init__(self, descriptor: int, end: int):
        self._descriptor = descriptor
        self.end = end
        self._at = 0
        self._view = memoryview(b"")

    def take(self, position: int, length: int) -> memoryview:
        """`length` bytes at `position`; fewer only where the end is."""
        offset = position - self._at
        if offset < 0 or offset + length > len(self._view):
            wanted = min(max(length, WINDOW), max(self.end - position, 0))
            self._view = memoryview(read_at(self._descriptor, wanted, position))
            self._at, offset = position, 0
        return self._view[offset : offset + length]


def read_at(descriptor: int, length: int, position: int) -> bytes:
    """`length` bytes of a file at `position`; fewer only at its end."""
    data = os.pread(descriptor, length, position)
    if len(data) == length or not data:
        return data
    pieces, got = [data], len(data)
    while got < length and (data := os.pread(descriptor, length - got, position + got)):
        pieces.append(data)
        got += len(data)
    return b"".join(pieces)


def write_at(descriptor: int, data: bytes | memoryview, position: int) -> None:
    """All of `data` at `position`; raises `OSError` where the disk does not take it."""
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, position)
        view, position = view[done:], position + done


def sync(path: str | Path) -> None:
    """A file's bytes, or a folder's names, are on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def whole_at(window: Window, position: int) -> Whole | None:
    """The transaction at `position`; None where none stands there whole, unfinished ones included."""
    view = window.take(position, TRANSACTION.size)
    if len(view) < TRANSACTION.size:
        return None
    tid, length, status, user, description, extension = TRANSACTION.unpack(view)
    head = TRANSACTION.size + user + description + extension
    if status not in (b" ", b"p", b"u") or length < head or position + length + 8 > window.end:
        return None
    view = window.take(position, length + 8)
    if len(view) < length + 8 or u64(view[length:].tobytes()) != length:
        return None
    seal = None
    if extension >= SEAL and view[head - SEAL : head - 16] == MARK:
        seal = view[head - 16 : head].tobytes()
        sure = xxh3_128(view[: head - 16])
        sure.update(view[head:])
        found = sure.digest()
    else:
        found = digest(view)
    return Whole(tid, position, length + 8, status, head, seal, found, view)


class Broken(ValueError):
    """The data records of a transaction do not add up."""


def records(txn: Whole) -> Iterator[tuple[bytes, int, int]]:
    """(oid, offset in the transaction, length of the data) of its records; `Broken` if they do not add up."""
    at, stop, position, view = txn.head, txn.length - 8, txn.position, txn.view
    while at < stop:
        if at + RECORD.size > stop:
            raise Broken(f"the transaction at byte {position} ends within a record")
        oid, _, _, where, nothing, length = RECORD.unpack_from(view, at)
        size = RECORD.size + (length or 8)
        if where != position or nothing or at + size > stop:
            raise Broken(f"the record at byte {position + at} does not belong to the transaction around it")
        yield oid, at, length
        at += size


_BLOB = re.compile(rb"ZODB\.blob")


def blobs_of(txn: Whole) -> Iterator[bytes]:
    """The oids of the blobs a transaction wrote."""
    if _BLOB.search(txn.view):
        for oid, at, length in records(txn):
            data = at + RECORD.size
            if length and is_blob_record(txn.view[data : data + length].tobytes()):
                yield oid


# -- the sidecar -----------------------------------------------------------------------------------

_HEADER = struct.Struct(">8s16s20xI")  # magic, generation, crc of what stands before it
_ENTRY = struct.Struct(">4s8sQQ16sI")  # kind, tid, position or oid, length or size, digest, crc
_MAGIC = b"batosdg1"
_OF_TRANSACTION, _OF_BLOB = b"txn ", b"blob"
assert _HEADER.size == _ENTRY.size == 48


class TransactionDigest(NamedTuple):
    """What the sidecar knows of a transaction; `length` counts its redundant length."""

    tid: bytes
    position: int
    length: int
    digest: bytes

    @property
    def end(self) -> int:
        return self.position + self.length

    def packed(self) -> bytes:
        return _checked(_OF_TRANSACTION, self.tid, self.position, self.length, self.digest)


class BlobDigest(NamedTuple):
    """What the sidecar knows of a blob file."""

    oid: bytes
    tid: bytes
    size: int
    digest: bytes

    def packed(self) -> bytes:
        return _checked(_OF_BLOB, self.tid, u64(self.oid), self.size, self.digest)


class BadEntry(NamedTuple):
    """An entry that is not what was written; `number` counts from 0."""

    number: int


Entry = TransactionDigest | BlobDigest | BadEntry


def _checked(kind: bytes, tid: bytes, where: int, size: int, found: bytes) -> bytes:
    entry = _ENTRY.pack(kind, tid, where, size, found, 0)
    return entry[:-4] + zlib.crc32(entry[:-4]).to_bytes(4)


def unpacked(raw: bytes, first: int = 0) -> Iterator[Entry]:
    """The entries in `raw`, the first of them being number `first`; half an entry at the end is none."""
    crc = zlib.crc32
    for number in range(len(raw) // _ENTRY.size):
        at = number * _ENTRY.size
        kind, tid, where, size, found, check = _ENTRY.unpack_from(raw, at)
        if crc(raw[at : at + 44]) != check:
            yield BadEntry(first + number)
        elif kind == _OF_TRANSACTION:
            yield TransactionDigest(tid, where, size, found)
        elif kind == _OF_BLOB:
            yield BlobDigest(p64(where), tid, size, found)
        else:
            yield BadEntry(first + number)


class Digests:
    """The sidecar of one data file: entries in the order of the commits.

    `generation` changes when the data file is rewritten (a pack); what was said of another
    generation is not believed.
    """

    def __init__(self, path: str, descriptor: int, generation: bytes, entries: int):
        self.path = path
        self._descriptor = descriptor
        self.generation = generation
        self.count = entries

    @classmethod
    def create(cls, path: str) -> Digests:
        """An empty sidecar of a new generation, in place of what is at `path`."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            generation = os.urandom(16)
            header = _HEADER.pack(_MAGIC, generation, 0)[:-4]
            write_at(descriptor, header + zlib.crc32(header).to_bytes(4), 0)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, generation, 0)

    @classmethod
    def open(cls, path: str, read_only: bool = False) -> Digests | None:
        """The sidecar at `path`; None if there is none or its header is not what was written."""
        try:
            descriptor = os.open(path, os.O_RDONLY if read_only else os.O_RDWR)
        except FileNotFoundError:
            return None
        header = read_at(descriptor, _HEADER.size, 0)
        if not _header_is_well(header):
            os.close(descriptor)
            return None
        entries = os.fstat(descriptor).st_size // _ENTRY.size - 1
        return cls(path, descriptor, _HEADER.unpack(header)[1], entries)

    def append(self, entries: bytes) -> None:
        """Add packed entries; nothing of them is kept if it raises `OSError`."""
        try:
            write_at(self._descriptor, entries, self._end)
        except OSError:
            os.ftruncate(self._descriptor, self._end)
            raise
        self.count += len(entries) // _ENTRY.size

    def cut(self, count: int) -> None:
        """Forget all but the first `count` entries."""
        self.count = count
        os.ftruncate(self._descriptor, self._end)

    def raw(self, first: int = 0) -> bytes:
        """The packed entries from number `first` on."""
        start = (first + 1) * _ENTRY.size
        return read_at(self._descriptor, max(self._end - start, 0), start)

    def entries(self, first: int = 0, at_once: int = 65536) -> Iterator[Entry]:
        """The entries from number `first` on; more may be added meanwhile, they are left out."""
        last = self.count
        descriptor = os.dup(self._descriptor)  # a pack may close ours meanwhile
        try:
            while first < last:
                number = min(at_once, last - first)
                raw = read_at(descriptor, number * _ENTRY.size, (first + 1) * _ENTRY.size)
                yield from unpacked(raw, first)
                first += number
        finally:
            os.close(descriptor)

    def transactions(self) -> Iterator[TransactionDigest]:
        """The entries of transactions, in the order of the data file."""
        return (each for each in self.entries() if isinstance(each, TransactionDigest))

    def blobs(self) -> Iterator[BlobDigest]:
        """The entries of blobs, in the order they were written."""
        return (each for each in self.entries() if isinstance(each, BlobDigest))

    def sync(self) -> None:
        """Everything appended so far is on the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    @property
    def _end(self) -> int:
        return (self.count + 1) * _ENTRY.size


def sidecar_of(name: str) -> str:
    """The path of the sidecar that describes the data file `name`: a pack that has replaced the data file
    but has not come so far as to give its sidecar the name left it under the other one."""
    swapped = os.path.exists(name + NEW_SIDECAR) and not os.path.exists(name + PACKED)
    return name + (NEW_SIDECAR if swapped else SIDECAR)


def _header_is_well(header: bytes) -> bool:
    return (
        len(header) == _HEADER.size
        and header.startswith(_MAGIC)
        and zlib.crc32(header[:-4]).to_bytes(4) == header[-4:]
    )


# -- the index file --------------------------------------------------------------------------------

_TRAILER = struct.Struct(">8s16sQQ16s")  # magic, generation, position, entries, digest of all before
_INDEX_MAGIC = b"batosix1"


def index_trailer(body: bytes, generation: bytes, position: int, entries: int) -> bytes:
    """What stands behind a saved index, so that a damaged or a stale one is never believed."""
    head = _TRAILER.pack(_INDEX_MAGIC, generation, position, entries, bytes(16))[:-16]
    return head + digest(body + head)


def read_index_trailer(raw: bytes) -> tuple[bytes, int, int] | None:
    """(generation, position, entries in the sidecar) of an index file that is what was written, else None."""
    if len(raw) < _TRAILER.size or digest(raw[:-16]) != raw[-16:]:
        return None
    magic, generation, position, entries, _ = _TRAILER.unpack(raw[-_TRAILER.size :])
    return (generation, position, entries) if magic == _INDEX_MAGIC else None


# -- scrubbing -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written, and what to do about it.

    kind  "data", "blob", "digests" or "index": what kind of file it is in
    """

    kind: str
    where: str
    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.hint}"


RESTORE = "bring a backup back beside it: python -m batos --image OTHER restore BACKUP"
FORGET_DIGESTS = "put the image to sleep, remove {}, and awaken it: it is written anew from the data"
FORGET_INDEX = "nothing is lost: put the image to sleep, remove {}, and awaken it: it is built anew"


class Scrub:
    """One reading of everything an image consists of; iterate over it for the findings.

    After the iteration `bytes`, `seconds`, `transactions` and `blobs` say what was read, and `notes` what
    was seen that is no damage (an unfinished transaction at the end of an image that was killed).
    """

    def __init__(self, source: Any):
        """`source` is an open `ImageStorage` (commits and packs go on), or the folder of one that sleeps."""
        self._storage = None if isinstance(source, (str, os.PathLike)) else source
        if self._storage is None:
            self._data = str(Path(source) / DATA)
            self._blobs: str | None = str(Path(source) / BLOBS)
        else:
            self._data, self._blobs = self._storage._file_name, self._storage.blob_dir
        self.bytes = self.transactions = self.blobs = 0
        self.seconds = 0.0
        self.notes: list[str] = []

    def __iter__(self) -> Iterator[Finding]:
        begun = time.perf_counter()
        try:
            yield from self._findings()
        finally:
            self.seconds = time.perf_counter() - begun

    def _findings(self) -> Iterator[Finding]:
        digests = None
        try:
            if self._storage is None:
                data = open(self._data, "rb", buffering=0)
                end = os.fstat(data.fileno()).st_size
                digests = Digests.open(sidecar_of(self._data), read_only=True)
            else:
                with self._storage._lock:  # a pack exchanges both files under this lock
                    data = open(self._data, "rb", buffering=0)
                    end = self._storage.end_position()
                    digests = Digests.open(self._storage.digests.path, read_only=True)
                    if digests is not None:
                        digests.count = self._storage.digests.count
            with data:
                if digests is None:
                    path = self._data + SIDECAR
                    what = "it is damaged in its header" if os.path.exists(path) else "it is missing"
                    yield Finding("digests", path, what, FORGET_DIGESTS.format(path))
                else:
                    self.bytes += (digests.count + 1) * _ENTRY.size
                blobs: dict[tuple[bytes, bytes], BlobDigest] = {}
                yield from self._transactions(Window(data.fileno(), end), digests, blobs)
            yield from self._index_file()
            if self._blobs and os.path.isdir(self._blobs):
                yield from self._blob_files(blobs)
        finally:
            if digests is not None:
                digests.close()

    # The sidecar leads: it knows where each transaction begins even where a length in the data is wrong.
    def _transactions(
        self, window: Window, digests: Digests | None, blobs: dict[tuple[bytes, bytes], BlobDigest]
    ) -> Iterator[Finding]:
        if window.take(0, FIRST) != FILESTORAGE_MAGIC:
            yield Finding("data", f"{self._data}, the first {FIRST} bytes", "no data file begins so", RESTORE)
        position = FIRST
        for entry in digests.entries() if digests is not None else ():
            if isinstance(entry, BlobDigest):
                blobs[entry.oid, entry.tid] = entry
                continue
            if isinstance(entry, BadEntry):
                where = f"{digests.path}, entry {entry.number}"
                hint = FORGET_DIGESTS.format(digests.path)
                yield Finding("digests", where, "it is not what was written", hint)
                continue
            while position < entry.position and (found := whole_at(window, position)) is not None:
                yield from self._unlisted(found, blobs)  # its own entry is damaged or was never written
                position = found.end
            if position != entry.position:
                yield self._gap(position, entry.position)
                position = entry.position
            self.transactions += 1
            if not _is_as_written(window.take(position, entry.length), entry):
                yield from self._differs(window, entry)
            position = entry.end
        while position < window.end and (found := whole_at(window, position)) is not None:
            yield from self._unlisted(found, blobs)
            position = found.end
        self.bytes += window.end
        if position < window.end:
            if self._storage is None and _unfinished(window, position):
                self.notes.append(
                    f"{window.end - position} bytes of a transaction that was never finished stand at the end "
                    f"of {self._data}; the next awakening cuts them off"
                )
            else:
                yield self._gap(position, window.end)

    def _differs(self, window: Window, entry: TransactionDigest) -> Iterator[Finding]:
        found = whole_at(window, entry.position)
        if found is None and entry.end >= window.end > entry.position and _unfinished(window, entry.position):
            self.notes.append(f"transaction {entry.tid.hex()} was being written when the image was stopped")
            return
        where = f"{self._data}, transaction {entry.tid.hex()} (bytes {entry.position} to {entry.end})"
        if entry.position >= window.end:
            what = "it is not there any more"
        elif found is None:
            what = "its header, its length or its end is not what was written"
        else:
            what = f"its bytes are not what was written; it holds {_named(found)}"
        yield Finding("data", where, what, RESTORE)

    def _unlisted(self, found: Whole, blobs: dict[tuple[bytes, bytes], BlobDigest]) -> Iterator[Finding]:
        """A whole transaction the sidecar says nothing about: its seal must do."""
        self.transactions += 1
        if found.seal is not None and found.seal != found.digest:
            where = f"{self._data}, transaction {found.tid.hex()} (bytes {found.position} to {found.end})"
            yield Finding(
                "data", where, f"its bytes are not what was written; it holds {_named(found)}", RESTORE
            )

    def _gap(self, start: int, end: int) -> Finding:
        return Finding(
            "data", f"{self._data}, bytes {start} to {end}", "no transaction begins or ends there", RESTORE
        )

    def _index_file(self) -> Iterator[Finding]:
        path = self._data + INDEX
        try:
            raw = Path(path).read_bytes()
        except FileNotFoundError:
            return
        self.bytes += len(raw)
        if read_index_trailer(raw) is None:
            yield Finding("index", path, "it is not what was written", FORGET_INDEX.format(path))

    def _blob_files(self, blobs: dict[tuple[bytes, bytes], BlobDigest]) -> Iterator[Finding]:
        layout = Path(self._blobs, ".layout").read_bytes().strip()
        if layout not in (b"bushy", b"lawn"):
            path = f"{self._blobs}/.layout"
            yield Finding("blob", path, f"it says {layout!r}", "the next awakening writes it anew")
        self.bytes += len(layout)
        kind = LawnLayout() if layout == b"lawn" else BushyLayout()
        for entry in blobs.values():
            path = os.path.join(self._blobs, kind.getBlobFilePath(entry.oid, entry.tid))
            try:
                size, found = digest_file(path)
            except FileNotFoundError:
                size, found = 0, None
            except OSError as exc:
                yield Finding("blob", path, f"it cannot be read ({exc})", RESTORE)
                continue
            self.blobs += 1
            self.bytes += size
            if (size, found) == (entry.size, entry.digest) or not self._wanted(entry):
                continue
            what = "it is missing" if found is None else "its bytes are not what was written"
            yield Finding("blob", f"{path} (the blob of object 0x{u64(entry.oid):x})", what, RESTORE)

    def _wanted(self, entry: BlobDigest) -> bool:
        """Is the blob still part of the image?  A pack may have taken it out meanwhile."""
        if self._storage is None:
            return True
        try:
            self._storage.loadSerial(entry.oid, entry.tid)
        except KeyError:
            return False
        return True


def scrub(source: Any) -> Scrub:
    """A reading of everything: iterate over it.  `source` is an open storage or an image's directory."""
    return Scrub(source)


def _is_as_written(view: memoryview, entry: TransactionDigest) -> bool:
    if len(view) < TRANSACTION.size or len(view) != entry.length:
        return False
    _, _, _, user, description, extension = TRANSACTION.unpack_from(view)
    head = TRANSACTION.size + user + description + extension
    if view[head - 16 : head] != entry.digest:  # no seal, or a damaged one
        return digest(view) == entry.digest
    sure = xxh3_128(view[: head - 16])
    sure.update(view[head:])
    return sure.digest() == entry.digest


def _unfinished(window: Window, position: int) -> bool:
    """Does what stands at `position` look like a transaction that was being written?"""
    view = window.take(position, TRANSACTION.size)
    return len(view) < TRANSACTION.size or view[STATUS : STATUS + 1] == b"c" or not any(view)


def _named(found: Whole) -> str:
    try:
        oids = [f"0x{u64(oid):x}" for oid, _, _ in records(found)]
    except Broken as exc:
        return f"records that do not add up ({exc})"
    more = f" and {len(oids) - 5} more" if len(oids) > 5 else ""
    return f"object{'s' if len(oids) != 1 else ''} {', '.join(oids[:5])}{more}"
