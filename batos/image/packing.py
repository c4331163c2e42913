"""Packing: the data file written anew without what nobody can reach, and one atomic step to it.

The old part (up to the pack time) and what was there when the pack began are copied by a process of its
own, which also proves the source by its digests and reads the copy back; so turns go on, and a flipped
bit is never copied as if it were true.  What is committed meanwhile is copied in rounds, the last small one
while commits wait.  Then, in this order:

    1. live_image.fs.pack and live_image.fs.digests.pack are on the disk, and their names
    2. live_image.fs.pack replaces live_image.fs            the one step; before it nothing has happened
    3. live_image.fs.digests.pack replaces live_image.fs.digests, the index is removed (`name_sidecar`)
    4. blobs nobody can reach are removed

A disk that refuses step 3 ends nobody: the new file is read from then on, but nothing is committed and no
blob is removed before 3 is done (`ImageStorage.settle`), because a power cut may bring the old file back.
`settle` here brings an image in which a kill cut this short to one side of step 2: a `.pack` file means
before (both are removed), a `.digests.pack` without it means after (3 is completed).  An index or digests of
the other file are never believed, because both name the generation of the data file.  A blob is removed only
if no record names it.

Reaching is what ZODB's packer says it is (this uses it), and more: what a transaction after the pack time
refers to is kept too, also where it was garbage at that time.  The price is disk space for a whole copy.
"""

from __future__ import annotations

import binascii
import contextlib
import ctypes
import errno
import filecmp
import io
import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from persistent.TimeStamp import TimeStamp
from ZODB._compat import FILESTORAGE_MAGIC
from ZODB.blob import is_blob_record
from ZODB.FileStorage.FileStorage import FileStorageError, RedundantPackWarning
from ZODB.FileStorage.format import CorruptedError
from ZODB.FileStorage.fspack import GC, FileStoragePacker, PackCopier
from ZODB.fsIndex import fsIndex
from ZODB.POSException import ReadOnlyError
from ZODB.serialize import referencesf as plain_references
from ZODB.utils import u64, z64

from batos.errors import Busy, Damaged, Internal, ReadOnly
from batos.image.digests import (
    FIRST,
    INDEX,
    NEW_SIDECAR,
    PACKED,
    RECORD,
    SIDECAR,
    BlobDigest,
    Broken,
    Digests,
    TransactionDigest,
    Window,
    records,
    sync,
    whole_at,
    write_at,
)

log = logging.getLogger(__name__)

LISTED = ".removed"  # in the folder of blobs: oids, or oids with tids, in hex
APART_BYTES = 8 << 20  # a smaller file is copied sooner than a process starts
LAST_ROUND = 256 << 10  # bytes that may be left for the round in which commits wait
ROUNDS = 20  # a writer that is quicker than the copy waits after so many


@dataclass(slots=True)
class Packed:
    """What a pack came to.

    stall_seconds  how long commits waited at its end
    """

    before_bytes: int
    after_bytes: int
    blob_bytes: int  # given back
    seconds: float
    stall_seconds: float


def space_needed(storage: Any) -> int:
    """Bytes a pack may need on the disk of the image before it gives any back."""
    return storage.getSize() + 2 * 48 * (storage.digests.count + 1) + 16 * len(storage._index)


def room(path: str, wanted: int) -> None:
    """Raise `ReadOnly` where the disk that holds the file `path` has not `wanted` bytes free."""
    free = shutil.disk_usage(os.path.dirname(path)).free
    if free < wanted:
        raise ReadOnly(
            f"the disk of {path} has {free / 1e6:.0f} MB free and {wanted / 1e6:.0f} MB are needed; "
            f"nothing was changed",
            hint="free some space on that disk and do it again",
            retryable=True,
        )


def give_back_memory() -> None:
    """What was needed for a while goes back to the machine: the allocator of glibc keeps it otherwise, in
    pieces between what lives on (tens of megabytes after a pack)."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def pack(source: Any, days: float = 0.0) -> Packed:
    """Pack the image of an open storage or `ZODB.DB`, keeping the history of the last `days` days, and of a
    database what its open connections read: a mission that runs goes on with the image it began with.

    Call it from any thread but the one that commits.  Raises `ReadOnly` where the disk has no room for
    the copy, `Busy` where a pack goes on, `Damaged` where the data is not what was written; nothing was
    done then.
    """
    storage = getattr(source, "storage", source)
    references = getattr(source, "references", plain_references)
    try:
        try:
            until = min(time.time() - days * 86400, oldest_read(source))
            return run(storage, until, references, storage._pack_gc)
        finally:
            give_back_memory()
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ReadOnly(
            f"the disk became full while {storage._file_name} was packed; nothing was changed",
            hint="free some space on that disk and pack again",
            retryable=True,
        ) from exc
    except (AlreadyPacking, Asleep) as exc:
        raise Busy(str(exc), hint="pack again later") from exc
    except Unnamed as exc:
        raise ReadOnly(
            str(exc), hint="see to the disk; the next message that changes something ends it"
        ) from exc
    except FileStorageError as exc:
        raise Internal(f"{storage._file_name} was not packed: {exc}", hint="pack again") from exc
    except CorruptedError as exc:
        raise Damaged(
            f"{storage._file_name} was not packed: {exc}",
            hint="look at everything: python -m batos doctor --scrub",
        ) from exc


def oldest_read(source: Any) -> float:
    """When the oldest snapshot was taken that a transaction of a `ZODB.DB` reads, in seconds since the epoch.

    Who looks at the past (`at`) asked for what may go any time, and holds back nothing.
    """
    connections: list[Any] = []
    if hasattr(source, "pool"):
        with source._lock:  # whoever opens a connection meanwhile adds it to the pool
            connections = [each for each in source.pool if each.opened]
    reading = [each for each in connections if getattr(each.transaction_manager, "_txn", None) is not None]
    starts = [getattr(each._storage, "_start", None) for each in reading]
    # The state at this very moment is needed: a transaction's time is rounded on its way through seconds.
    return min((TimeStamp(start).timeTime() - 0.001 for start in starts if start), default=float("inf"))


class AlreadyPacking(FileStorageError):
    """One pack at a time."""


class Asleep(FileStorageError):
    """The storage is being closed."""


class Unnamed(FileStorageError):
    """The image is packed, but the disk has not taken the names yet."""


def _go_on(storage: Any) -> None:
    if storage._closing:
        raise Asleep("the image went to sleep while it was packed; nothing was changed")


# -- a whole pack ----------------------------------------------------------------------------------


def run(storage: Any, t: float, references: Callable, gc: bool) -> Packed:
    """Pack an open storage; `t` is in seconds since the epoch.  `ImageStorage.pack` is this."""
    if storage._is_read_only:
        raise ReadOnlyError()
    stop = TimeStamp(*time.gmtime(t)[:5] + (t % 60,)).raw()
    if stop == z64:
        raise FileStorageError("Invalid pack time")
    before, begun = storage.getSize(), time.perf_counter()
    nothing = Packed(before, before, 0, 0.0, 0.0)
    if not storage._index:
        return nothing
    with storage._lock:
        if storage._pack_is_in_progress:
            raise AlreadyPacking("Already packing")
        if storage._closing:
            raise Asleep("the image is going to sleep")
        storage._pack_is_in_progress = True
    name = storage._file_name
    try:
        storage.settle()
        room(name, space_needed(storage))
        discard(name)
        _forget_old(storage)
        plan = Plan(name, storage.blob_dir, stop, storage.getSize(), gc)
        foreign = vars(storage).get("packer")
        if foreign is not None:
            copy = _copy_by(foreign, storage, plan, references)
        elif storage.pack_apart and before >= APART_BYTES and references is plain_references:
            copy = copy_apart(plan, lambda: _go_on(storage))
        else:
            copy = copy_here(plan, references, storage.is_blob_record)
        if copy is None:
            discard(name)
            blob_bytes = _remove_blobs(storage) if not storage.pack_keep_old else 0
            return Packed(before, before, blob_bytes, time.perf_counter() - begun, 0.0)
        stall = _catch_up_and_swap(storage, plan, copy, references, locked=foreign is not None)
        try:
            storage.settle()
        except OSError as exc:
            raise Unnamed(f"{name} is packed, but the disk refused to take its name for sure: {exc}") from exc
        storage.checkpoint()
        blob_bytes = _remove_blobs(storage)
    except BaseException:
        with contextlib.suppress(OSError):
            discard(name)
        raise
    finally:
        with storage._lock:
            storage._pack_is_in_progress = False
            if storage._file.closed:
                storage._let_go()
    return Packed(before, storage.getSize(), blob_bytes, time.perf_counter() - begun, stall)


def _forget_old(storage: Any) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(storage._file_name + ".old")
    if storage.blob_dir and os.path.exists(storage.blob_dir + ".old"):
        shutil.rmtree(storage.blob_dir + ".old")


def _copy_by(packer: Callable, storage: Any, plan: Plan, references: Callable) -> Copy | None:
    """A copy by a packer the storage was configured with: whole, and it left the lock of commits held."""
    made = packer(storage, references, plan.stop, plan.gc)
    if made is None:
        return None
    try:
        with io.FileIO(plan.name + PACKED, "r+b") as file:
            return Copy(storage.getSize(), *made, seal(file.fileno(), FIRST, *made))
    except BaseException:
        storage._commit_lock.release()
        raise


def _catch_up_and_swap(
    storage: Any, plan: Plan, copy: Copy, references: Callable, locked: bool = False
) -> float:
    """Copy what was committed meanwhile and make the copy the data file; answers how long commits waited.

    `locked`: they wait already.
    """
    name, locks = storage._file_name, storage._commit_lock
    waits = time.perf_counter()
    with contextlib.ExitStack() as held:
        if locked:
            held.callback(locks.release)
        rest = held.enter_context(contextlib.closing(Rest(plan, copy, references)))
        new = Digests.create(name + NEW_SIDECAR)
        try:
            listed = storage.digests.count
            new.append(_blobs_kept(storage.digests, plan))
            new.append(copy.entries)
            for _ in range(ROUNDS):
                if storage.getSize() - copy.read_to <= LAST_ROUND:
                    break
                _go_on(storage)
                new.append(rest.up_to(storage.getSize(), storage._index))
            rest.sync()
            new.sync()
            storage._join_saving()
            if not locked:
                locks.acquire()
                held.callback(locks.release)
                waits = time.perf_counter()
            _go_on(storage)
            new.append(rest.up_to(storage.getSize(), storage._index))
            rest.sync()
            later = storage.digests.entries(listed)  # blobs that came since
            new.append(b"".join(each.packed() for each in later if isinstance(each, BlobDigest)))
            new.sync()
            sync(os.path.dirname(name))
            before = _swap(storage, copy, new)
        except BaseException:
            if storage.digests is not new:
                new.close()
            raise
        stall = time.perf_counter() - waits
    with contextlib.suppress(OSError):
        before.close()
    return stall


def _swap(storage: Any, copy: Copy, new: Digests) -> io.FileIO:
    """Step 2, and what follows in memory; answers the file that was replaced, still open."""
    name = storage._file_name
    storage._join_saving()
    with storage._files.write_lock(), storage._lock:
        _go_on(storage)
        storage._files.empty()
        file = io.FileIO(name + PACKED, "r+b")
        if storage.pack_keep_old:
            os.link(name, name + ".old")
        os.replace(name + PACKED, name)  # the one step
        try:
            storage.unsettled["the name of a packed file"] = lambda: name_sidecar(storage)
            # Closed by our caller: its last descriptor gives back a large file's blocks, which takes long, and a
            # storage whose file is closed counts as gone to whoever looks without a lock.
            file.name, before, storage._file = storage._file.name, storage._file, file
            storage._initIndex(copy.index, storage._tindex)
            storage._pos = copy.written_to
            storage.digests.close()
            storage.digests = new
        except BaseException:
            log.critical("%s: a pack was cut short after its last step; closing", name, exc_info=True)
            storage._let_go()
            raise
    return before


def name_sidecar(storage: Any) -> None:
    """Step 3, as often as it takes; `OSError` where the disk refuses it.  The lock of the storage is held."""
    name = storage._file_name
    sync(os.path.dirname(name))  # first: a sidecar never has its name where the data file has not
    if storage.digests.path != name + SIDECAR:
        os.replace(storage.digests.path, name + SIDECAR)
        storage.digests.path = name + SIDECAR
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name + INDEX)
    storage._checkpointed = FIRST
    sync(os.path.dirname(name))


# -- what was cut short ----------------------------------------------------------------------------


def settle(name: str) -> None:
    """Bring the files of an image whose pack was cut short to one side of the swap.  The lock is held."""
    if os.path.exists(name + PACKED):
        if not _same_file(name, name + PACKED):
            discard(name)
            return
        os.unlink(name + PACKED)  # a rename may leave both names when the power goes: the step was made
        sync(os.path.dirname(name))
    if os.path.exists(name + NEW_SIDECAR):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name + INDEX)
        new = Digests.open(name + NEW_SIDECAR, read_only=True)
        if new is not None and _describes(new, name):
            os.replace(name + NEW_SIDECAR, name + SIDECAR)
        else:
            for each in (SIDECAR, NEW_SIDECAR):  # written anew from the data
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name + each)
        if new is not None:
            new.close()
        sync(os.path.dirname(name))
        log.info("%s: a pack that was cut short after its last step is completed", name)


def _same_file(name: str, other: str) -> bool:
    """Are these two names of one file, or of equal ones?"""
    return os.path.samefile(name, other) or filecmp.cmp(name, other, shallow=False)


def _describes(digests: Digests, name: str) -> bool:
    """Is the first transaction of a data file the first one the sidecar speaks of?"""
    first = next(digests.transactions(), None)
    if first is None:
        return os.path.getsize(name) <= FIRST
    with io.FileIO(name, "rb") as file:
        found = whole_at(Window(file.fileno(), os.path.getsize(name)), FIRST)
    return found is not None and (found.tid, found.digest) == (first.tid, first.digest)


def discard(name: str) -> None:
    """Remove what a pack wrote before the swap; the `.pack` file last, for it says that there was none."""
    if not os.path.exists(name + PACKED):
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name + NEW_SIDECAR)
        sync(os.path.dirname(name))
    os.unlink(name + PACKED)


# -- the copy of what was there when the pack began ------------------------------------------------


@dataclass(slots=True)
class Plan:
    """What is to be packed: `end` is where the source ended when the pack began."""

    name: str
    blob_dir: str | None
    stop: bytes
    end: int
    gc: bool


@dataclass(slots=True)
class Copy:
    """How far a copy has come: `read_to` in the source, `written_to` in the copy."""

    read_to: int
    written_to: int
    index: fsIndex
    entries: bytes  # packed digests of the transactions in the copy


def copy_here(plan: Plan, references: Callable, is_blob: Callable[[bytes], bool]) -> Copy | None:
    """Write the `.pack` file with everything reachable up to `plan.end`; None where nothing would be won."""
    packer = _Packer(plan, references, is_blob)
    try:
        packer.gc.findReachable()
        packer.begin()
        read_to, written_to = packer.copyToPacktime()
        if read_to == written_to:
            return None
        if read_to < plan.end:
            packer.copyRest(read_to)
        written_to = packer.end()
        prove(plan.name, FIRST, plan.end)
        entries = seal(packer._tfile.fileno(), FIRST, written_to, packer.index)
        os.fsync(packer._tfile.fileno())
        if plan.blob_dir:
            sync(os.path.join(plan.blob_dir, LISTED))
            sync(plan.blob_dir)
        return Copy(plan.end, written_to, packer.index, entries)
    except RedundantPackWarning as exc:
        log.info("%s", exc)
        return None
    except (OSError, CorruptedError):
        raise
    except Exception:
        prove(plan.name, FIRST, plan.end)  # whatever it stumbled over: is it damage?
        raise
    finally:
        packer.close()


class _Until(io.FileIO):
    """A file that ends where it is told to, whatever is written behind that."""

    def __init__(self, name: str, end: int):
        super().__init__(name, "rb")
        self._end = end

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)[: max(self._end - self.tell(), 0)]
        return super().readinto(view) if view else 0

    def seek(self, offset: int, whence: int = 0) -> int:
        return super().seek(self._end + offset) if whence == 2 else super().seek(offset, whence)


def _open_until(name: str, end: int) -> io.BufferedReader:
    return io.BufferedReader(_Until(name, end), 1 << 16)


class _Source:
    """As much of a storage as ZODB's packer asks for: its files, and locks that are nobody's."""

    def __init__(self, plan: Plan, is_blob: Callable[[bytes], bool]):
        self.blob_dir = plan.blob_dir
        self._file = SimpleNamespace(name=plan.name)
        self.getSize = lambda: plan.end
        self.is_blob_record = is_blob
        self._lock = self._commit_lock = _NoLock()


class _Reachable(GC):
    """What is reachable at the pack time, from there or from any record written later."""

    def findReachableAtPacktime(self, roots):
        # As ZODB's, but a reference to nothing stops nobody: it leads nowhere after the pack as it did before.
        todo = list(roots)
        while todo:
            oid = todo.pop()
            if oid in self.reachable:
                continue
            position = self.oid2curpos.get(oid)
            if position is None:
                if oid == z64 and len(self.oid2curpos):
                    raise CorruptedError("there is no root")
                continue
            self.reachable[oid] = position
            todo += [each for each in self.findrefs(position) if each not in self.reachable]

    def findReachableFromFuture(self):
        super().findReachableFromFuture()
        window = Window(self._file.fileno(), self.eof)
        position = self.packpos
        while position < self.eof and (txn := whole_at(window, position)) is not None:
            position = txn.end
            for data in _data_of(txn):
                known = [oid for oid in self.referencesf(data) if oid in self.oid2curpos]
                self.findReachableAtPacktime(known)


class _Packer(FileStoragePacker):
    """ZODB's packer without its storage: reads the data file up to `plan.end`, writes the `.pack` file."""

    def __init__(self, plan: Plan, references: Callable, is_blob: Callable[[bytes], bool]):
        super().__init__(_Source(plan, is_blob), references, plan.stop, plan.gc)
        self._file.close()
        self._file = _open_until(plan.name, plan.end)
        self.gc = _Reachable(self._file, plan.end, plan.stop, plan.gc, references)

    def begin(self) -> None:
        self._tfile = open(self._name + PACKED, "w+b")  # noqa: SIM115 - closed by `close`
        sync(os.path.dirname(self._name))  # from now on a `.digests.pack` file means what `settle` says
        self._tfile.write(FILESTORAGE_MAGIC)
        self._copier = PackCopier(self._tfile, self.index, self.tindex)

    def end(self) -> int:
        """Write out what is buffered; answers the length."""
        length = self._tfile.tell()
        self._tfile.flush()
        if self.blob_removed is not None:
            self.blob_removed.flush()
        return length


class _NoLock:
    def acquire(self) -> None:
        pass

    def release(self) -> None:
        pass


def _data_of(txn: Any) -> Iterator[bytes]:
    for _, at, length in records(txn):
        if length:
            yield txn.view[at + RECORD.size : at + RECORD.size + length].tobytes()


def prove(name: str, start: int, end: int) -> None:
    """Raise `CorruptedError` where a data file from `start` to `end` is not what was written.

    Seals prove what was written by this storage, the sidecar also what is older.
    """
    digests = Digests.open(name + SIDECAR, read_only=True) if start == FIRST else None
    try:
        _prove(name, start, end, digests.transactions() if digests is not None else iter(()))
    finally:
        if digests is not None:
            digests.close()


def _prove(name: str, start: int, end: int, listed: Iterator[TransactionDigest]) -> None:
    told = next(listed, None)
    with io.FileIO(name, "rb") as file:
        window = Window(file.fileno(), end)
        while start < end:
            txn = whole_at(window, start)
            while told is not None and told.position < start:
                told = next(listed, None)
            if (
                txn is None
                or (told is not None and told.position == start and told.digest != txn.digest)
                or (txn.seal is not None and txn.seal != txn.digest)
            ):
                raise CorruptedError(f"the transaction at byte {start} is not what was written")
            start = txn.end


def seal(copy: int, start: int, end: int, index: fsIndex) -> bytes:
    """Seal the transactions of a copy (a descriptor) from `start` to `end`; answers their packed digests.

    Reads the copy back and raises `CorruptedError` where the index does not lead into it.
    """
    told, position, window = [], start, Window(copy, end)
    while position < end:
        txn = whole_at(window, position)
        if txn is None:
            raise CorruptedError(f"the copy is not whole at byte {position}")
        try:
            for oid, at, _ in records(txn):
                if index.get(oid, 0) < position + at:
                    raise CorruptedError(f"the copy of object 0x{u64(oid):x} is not in its index")
        except Broken as exc:
            raise CorruptedError(f"the copy: {exc}") from exc
        if txn.seal is not None:
            write_at(copy, txn.digest, position + txn.head - 16)
        told.append(TransactionDigest(txn.tid, position, txn.length, txn.digest).packed())
        position = txn.end
    return b"".join(told)


# -- in a process of its own -----------------------------------------------------------------------


def copy_apart(plan: Plan, go_on: Callable[[], None]) -> Copy | None:
    """`copy_here` in a child process, so that the messages of this one do not wait for it.

    `go_on()` is called a few times a second; the child is ended where it raises.
    """
    home = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(each for each in (home, os.environ.get("PYTHONPATH")) if each)
    fields = (
        str(os.getpid()),
        plan.name,
        plan.blob_dir or "",
        plan.stop.hex(),
        str(plan.end),
        str(int(plan.gc)),
    )
    with subprocess.Popen(
        [sys.executable, "-m", "batos.image.packing", *fields],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": path},
    ) as child:
        try:
            while True:
                go_on()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    out, err = child.communicate(timeout=0.1)
                    break
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0 or not out:
        raise FileStorageError(
            f"the process that packs ended with {child.returncode}: "
            f"{err.decode(errors='replace').strip()[-500:]}"
        )
    kind, told = pickle.loads(out)  # noqa: S301 - our own child wrote it
    if kind == "full":
        raise OSError(*told)
    if kind == "corrupted":
        raise CorruptedError(told)
    if told is None:
        return None
    read_to, written_to, buckets, entries = told
    return Copy(read_to, written_to, _index_of(buckets), entries)


def _index_of(buckets: Iterable[tuple[bytes, bytes]]) -> fsIndex:
    index = fsIndex()
    index.__setstate__({"state_version": 1, "_data": buckets})
    return index


def main(parent: str, name: str, blob_dir: str, stop: str, end: str, gc: str) -> None:
    """The child: copies, and writes what came of it to its standard output as a pickle.

    It ends with its parent: somebody else may open the image then, and pack it.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, where there is one
    threading.Thread(target=_end_with, args=(int(parent),), daemon=True).start()
    if os.getppid() != int(parent):
        return
    os.nice(5)
    plan = Plan(name, blob_dir or None, bytes.fromhex(stop), int(end), gc == "1")
    try:
        copy = copy_here(plan, plain_references, is_blob_record)
        buckets = copy and copy.index.__getstate__()["_data"]
        told = ("done", copy and (copy.read_to, copy.written_to, buckets, copy.entries))
    except OSError as exc:
        told = ("full", (exc.errno, exc.strerror))
    except CorruptedError as exc:
        told = ("corrupted", str(exc))
    sys.stdout.buffer.write(pickle.dumps(told, protocol=5))
    sys.stdout.buffer.flush()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


# -- what is committed meanwhile -------------------------------------------------------------------


class Rest:
    """Copies behind a `Copy` what the source has got since."""

    def __init__(self, plan: Plan, copy: Copy, references: Callable):
        self._plan, self._copy, self._references = plan, copy, references
        self._packer = _Packer.__new__(_Packer)
        self._packer._name = plan.name
        self._packer._commit_lock = _NoLock()
        self._packer.index, self._packer.tindex = copy.index, {}
        self._packer._tfile = open(plan.name + PACKED, "r+b")  # noqa: SIM115 - closed by `close`
        self._packer._tfile.seek(copy.written_to)
        self._packer._copier = PackCopier(self._packer._tfile, copy.index, self._packer.tindex)

    def up_to(self, end: int, source_index: fsIndex) -> bytes:
        """Copy the source up to `end`; answers the packed digests of what was added."""
        copy, packer = self._copy, self._packer
        if end <= copy.read_to:
            return b""
        prove(self._plan.name, copy.read_to, end)
        packer._file = _open_until(self._plan.name, end)
        try:
            packer.copyRest(copy.read_to)
        finally:
            packer._file.close()
        packer._tfile.flush()
        written_to = packer._tfile.tell()
        self._refers_to_nothing_left_out(copy.read_to, end, source_index)
        entries = seal(packer._tfile.fileno(), copy.written_to, written_to, copy.index)
        copy.read_to, copy.written_to = end, written_to
        return entries

    def _refers_to_nothing_left_out(self, start: int, end: int, source_index: fsIndex) -> None:
        # Somebody who still held an object that was garbage may have put it back while this went on.
        with io.FileIO(self._plan.name, "rb") as file:
            window = Window(file.fileno(), end)
            while start < end:
                txn = whole_at(window, start)
                for data in _data_of(txn):
                    for oid in self._references(data):
                        if oid not in self._copy.index and oid in source_index:
                            raise Busy(
                                f"object 0x{u64(oid):x} came back into use while the image was packed; "
                                f"nothing was changed",
                                hint="pack again",
                                retryable=True,
                            )
                start = txn.end

    def sync(self) -> None:
        os.fsync(self._packer._tfile.fileno())

    def close(self) -> None:
        self._packer._tfile.close()


# -- blobs and their digests -----------------------------------------------------------------------


def _listed(blob_dir: str | None) -> Iterator[tuple[bytes, bytes | None]]:
    """(oid, tid) of each blob a pack has listed as unreachable; tid None for all of the object's."""
    if not blob_dir:
        return
    try:
        lines = Path(blob_dir, LISTED).read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        with contextlib.suppress(binascii.Error):
            raw = binascii.unhexlify(line.strip())
            if len(raw) in (8, 16):
                yield raw[:8], raw[8:] or None


def _blobs_kept(digests: Digests, plan: Plan) -> bytes:
    """The packed digests of the blobs a pack keeps."""
    gone = set(_listed(plan.blob_dir))
    return b"".join(
        each.packed()
        for each in digests.blobs()
        if (each.oid, each.tid) not in gone and (each.tid > plan.stop or (each.oid, None) not in gone)
    )


def remove_listed_blobs(storage: Any) -> int:
    """Remove the blobs a pack has listed, those of them no record names; answers the bytes given back."""
    gone = list(_listed(storage.blob_dir))
    if not gone and not os.path.exists(os.path.join(storage.blob_dir, LISTED)):
        return 0
    given = 0
    for oid, tid in gone:
        folder = storage.fshelper.getPathForOID(oid)
        for path in sorted(Path(folder).glob("*.blob")):
            serial = storage.fshelper.splitBlobFilename(str(path))[1]
            if (tid is None or serial == tid) and not _recorded(storage, oid, serial):
                given += path.stat().st_size
                path.unlink()
        _prune(storage, folder)
    os.unlink(os.path.join(storage.blob_dir, LISTED))
    return given


def remove_orphans(storage: Any) -> int:
    """Remove blob files of no finished transaction, left by a process that was killed; answers the bytes."""
    if not storage.blob_dir:
        return 0
    given = 0
    for oid, folder in list(storage.fshelper.listOIDs()):
        for path in sorted(Path(folder).glob("*.blob")):
            serial = storage.fshelper.splitBlobFilename(str(path))[1]
            with storage._lock:  # no commit ends meanwhile
                in_flight = storage._transaction is not None and serial > storage._ltid
                if not in_flight and not _recorded(storage, oid, serial):
                    given += path.stat().st_size
                    path.unlink()
        _prune(storage, folder)
    return given


def _remove_blobs(storage: Any) -> int:
    if not storage.blob_dir:
        return 0
    if storage.pack_keep_old:
        storage._remove_blob_files_tagged_for_removal_during_pack()
        return 0
    return remove_listed_blobs(storage) + remove_orphans(storage)


def _recorded(storage: Any, oid: bytes, tid: bytes) -> bool:
    try:
        storage.loadSerial(oid, tid)
    except KeyError:
        return False
    return True


def _prune(storage: Any, folder: str) -> None:
    """Remove a folder of blobs that is empty, and those around it that are empty then."""
    root = os.path.abspath(storage.blob_dir)
    with storage._lock, contextlib.suppress(OSError):  # a blob may be on its way into one of them
        while os.path.abspath(folder) != root:
            os.rmdir(folder)
            folder = os.path.dirname(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
