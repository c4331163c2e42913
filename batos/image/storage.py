"""The storage under an image: a FileStorage with blobs that says what is wrong instead of guessing.

Thin on purpose.  It adds what `ZODB.FileStorage` leaves out and an image needs: blobs and folders are synced
before the commit that names them; every transaction is sealed and has a digest in a sidecar (`digests`);
the index is saved while the image is awake, so that an unclean start reads a few megabytes; a full disk in
the middle of a commit is a failed commit and no more; pack is ours (`packing`); a second process is told who
holds the image, damage is told as damage, and an image is never born silently where one has been.

How an opening decides about the tail of the data file: what the last saved index covers was synced.  Behind
it, a transaction is kept if its digest or its seal fits, or if it has neither (another program wrote it).
One that does not fit is cut off, with its bytes kept beside in a `.trN` file, only where nothing follows it:
then its commit may never have been finished.  Where something follows, it was acknowledged: it is damage,
told in `damage`.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from xxhash import xxh3_128
from zc.lockfile import LockError
from ZODB._compat import FILESTORAGE_MAGIC, Pickler, _protocol
from ZODB.blob import LAYOUTS
from ZODB.FileStorage import FileStorage
from ZODB.FileStorage.FileStorage import (
    CorruptedError,
    CorruptedFileStorageError,
    CorruptedTransactionError,
    FileIterator,
    FileStorageError,
    TempFormatter,
)
from ZODB.fsIndex import fsIndex
from ZODB.POSException import StorageTransactionError
from ZODB.utils import as_bytes, p64, u64, z64

from batos.errors import AlreadyAwake, Damaged
from batos.image import packing
from batos.image.digests import (
    BLOBS,
    DATA,
    FIRST,
    INDEX,
    SIDECAR,
    STATUS,
    TRANSACTION,
    BlobDigest,
    Broken,
    Digests,
    TransactionDigest,
    Whole,
    Window,
    bare,
    blobs_of,
    digest_file,
    index_trailer,
    read_index_trailer,
    records,
    sidecar_of,
    sync,
    unpacked,
    whole_at,
    with_room,
    write_at,
)

log = logging.getLogger(__name__)

AWAKE = "awake.json"
RESTORING = "restoring"  # stands while a restore brings an image back
BIRTH = "live_image.fs.birth"  # stands while an image is being born: what is there then may be incomplete

CHECKPOINT_BYTES = 16 << 20  # of data written since the index was saved: what an unclean start has to read
DRAFT_BYTES = 16 << 20  # of a transaction kept in memory until its vote; a longer one goes to a file


class ImageStorage(FileStorage):
    """A FileStorage that keeps what it acknowledged, and knows it.

    Besides the interface of ZODB:

    damage      sentences about what the opening noticed
    digests     the sidecar (`Digests`)
    unsettled   what the disk refused and a commit has to see done first, by name; see `settle`
    pack_apart  pack in a process of its own where the file is large enough to pay for it
    """

    def __init__(
        self,
        file_name: str,
        create: bool = False,
        read_only: bool = False,
        stop: bytes | None = None,
        quota: int | None = None,
        pack_gc: bool = True,
        pack_keep_old: bool = False,
        packer: Any = None,
        blob_dir: str | None = None,
        pack_apart: bool = True,
    ):
        self.damage: list[str] = []
        self.pack_apart = pack_apart
        self.digests: Digests | None = None
        self._past = stop is not None  # a view of the past, which the saved index and digests do not describe
        self._saving: threading.Thread | None = None
        self._index_lock = threading.Lock()  # held by whoever writes the index file
        self._checkpointed = FIRST  # the index on the disk covers the data up to here
        self._entries: list[bytes] = []  # for the sidecar, of the transaction that is being committed
        self._unknown_blobs: list[tuple[bytes, bytes]] = []
        self._rebuilt = False
        self._sure = FIRST  # what stands before this was on the disk, whatever it looks like now
        self._closing = False
        self.unsettled: dict[str, Callable[[], None]] = {}
        path = os.path.abspath(file_name)
        self._settle = (path, os.path.abspath(blob_dir) if blob_dir else None)
        newborn = create or not os.path.exists(path) or os.path.getsize(path) <= FIRST
        try:
            super().__init__(
                file_name, create, read_only, stop, quota, pack_gc, pack_keep_old, packer, blob_dir
            )
            if not read_only:
                self._begin_writing(newborn)
        except BaseException:
            self._let_go()
            raise

    # -- opening -----------------------------------------------------------------------------------

    def _newIndexes(self):
        # The first thing done after the lock is held and before the data file is opened.
        if not self._is_read_only:
            name, blob_dir = self._settle
            packing.settle(name)
            if blob_dir:
                _mend_layout(Path(blob_dir))
        return super()._newIndexes()

    def _begin_writing(self, newborn: bool) -> None:
        buffered, self._file = self._file, io.FileIO(self._file_name, "r+b")
        self._file.name = buffered.name
        buffered.close()  # unbuffered from here on: no write can fail later than where it is made
        self._tfile.close()
        self._draft_in(io.BytesIO())
        if newborn:
            os.fsync(self._file.fileno())
            if self.blob_dir:
                for each in (f"{self.blob_dir}/.layout", self.blob_dir, os.path.dirname(self.blob_dir)):
                    sync(each)
            sync(os.path.dirname(self._file_name))
        if self._rebuilt:
            self._used_index = 0
        for oid, tid in self._unknown_blobs:
            self._take_in_blob(oid, tid)
        if self.blob_dir:
            for left in Path(self.fshelper.temp_dir).iterdir():  # of commits that a kill cut short
                if left.is_file():
                    left.unlink()
            packing.remove_listed_blobs(self)
        if self._rebuilt:
            self._save_index()

    def _take_in_blob(self, oid: bytes, tid: bytes) -> None:
        """Digest a blob file the sidecar does not know yet."""
        if not self.blob_dir:
            return
        try:
            size, found = digest_file(self.fshelper.getBlobFilename(oid, tid))
        except FileNotFoundError:
            self._note(f"the blob file of object 0x{u64(oid):x} of transaction {tid.hex()} is missing")
        else:
            self._tell(BlobDigest(oid, tid, size, found).packed())

    def _tell(self, entries: bytes) -> None:
        """Add entries that an opening found missing; a full disk keeps nobody from opening."""
        try:
            self.digests.append(entries)
        except OSError as exc:
            log.warning(
                "%s: its digests could not be written (%s); the next opening does", self._file_name, exc
            )

    def _note(self, sentence: str) -> None:
        log.warning("%s: %s", self._file_name, sentence)
        self.damage.append(sentence)

    def _restore_index(self):
        # The constructor calls this between opening the data file and reading it: (index, end, last tid).
        if self._past:
            return super()._restore_index()
        path, size = sidecar_of(self._file_name), os.fstat(self._file.fileno()).st_size
        if size <= FIRST:
            if not self._is_read_only:
                self.digests = Digests.create(path)
                self._clear_index()
            return None
        if os.pread(self._file.fileno(), FIRST, 0) != FILESTORAGE_MAGIC:
            return None  # the constructor says so
        self.digests = Digests.open(path, self._is_read_only)
        if self.digests is None and not self._is_read_only:
            if os.path.exists(path):
                self._note("the file of digests was damaged; it is written anew from the data")
                os.replace(path, path + ".damaged")
            self.digests = Digests.create(path)
        found = self._believable_index(size)
        self._rebuilt = found is None
        index, position, tid, entries = found or (fsIndex(), FIRST, z64, 0)
        self._checkpointed = position
        end, tid = self._read_tail(index, position, tid, entries, size)
        return index, end, tid

    def _believable_index(self, size: int) -> tuple[fsIndex, int, bytes, int] | None:
        """The saved index, if it is what was written, of this data file: (index, position, tid, entries)."""
        path = self._file_name + INDEX
        try:
            trailer = read_index_trailer(Path(path).read_bytes())
            if trailer is None or self.digests is None or trailer[0] != self.digests.generation:
                return None
            _, position, entries = trailer
            if position > size or entries > self.digests.count:
                if self._is_read_only:
                    return None  # whoever is awake has saved it since the sizes were looked at
                raise CorruptedFileStorageError(
                    f"its index was saved when it had {position} bytes and {entries} digests; it has {size} "
                    f"and {self.digests.count} now, so what was acknowledged is missing"
                )
            self._sure = position
            index = fsIndex.load(path)["index"]
        except FileNotFoundError:
            return None
        if position == FIRST:
            return index, position, z64, entries
        tid = self._sane(index, position)
        return (index, position, tid, entries) if tid else None

    def _read_tail(
        self, index: fsIndex, position: int, tid: bytes, first: int, size: int
    ) -> tuple[int, bytes]:
        """Take in what stands behind `position`, in the sidecar too; cut off what was never finished."""
        raw = self.digests.raw(first) if self.digests is not None else b""
        listed: list[TransactionDigest] = []
        blobs: dict[tuple[bytes, bytes], BlobDigest] = {}
        for entry in unpacked(raw):
            if isinstance(entry, TransactionDigest):
                listed.append(entry)
            elif isinstance(entry, BlobDigest):
                blobs[entry.oid, entry.tid] = entry
        window, told, at = Window(self._file.fileno(), size), [], 0
        while position < size:
            while at < len(listed) and listed[at].position < position:
                at += 1
            entry = listed[at] if at < len(listed) and listed[at].position == position else None
            later = position < self._sure or at + (entry is not None) < len(listed)
            txn = whole_at(window, position)
            if txn is None and later:
                raise CorruptedTransactionError(
                    f"the transaction at byte {position} is not whole, though later ones were acknowledged"
                )
            if txn is None:
                break
            if not _proved(txn, entry):
                if not later and not _followed(window, txn):
                    break
                self._note(f"transaction {txn.tid.hex()} at byte {position} is not what was written")
            if txn.status != b"u":
                try:
                    tindex = {oid: position + offset for oid, offset, _ in records(txn)}
                    fresh = {(oid, txn.tid) for oid in blobs_of(txn)}
                except Broken as exc:
                    raise CorruptedTransactionError(str(exc)) from exc
                index.update(tindex)
                self._unknown_blobs += [key for key in fresh if key not in blobs]
                if blobs:
                    told += [blobs[oid, txn.tid].packed() for oid in tindex if (oid, txn.tid) in blobs]
            told.append(TransactionDigest(txn.tid, position, txn.length, txn.digest).packed())
            position, tid = txn.end, txn.tid
        missing = [each for each in listed if each.position >= position]
        if len(missing) > 1:
            raise CorruptedFileStorageError(
                f"it ends at byte {position}, but {len(missing)} acknowledged transactions stood behind, "
                f"from {missing[0].tid.hex()} to {missing[-1].tid.hex()}"
            )
        if missing:
            self._note(f"transaction {missing[0].tid.hex()} is not there; its commit was never acknowledged")
        if not self._is_read_only:
            if position < size:
                self._cut_tail(window, position, size)
            told_raw = b"".join(told)
            if told_raw != raw:
                self.digests.cut(first)
                self._tell(told_raw)
        return position, tid

    def _cut_tail(self, window: Window, position: int, size: int) -> None:
        head = window.take(position, TRANSACTION.size)
        unfinished = len(head) == TRANSACTION.size and head[STATUS : STATUS + 1] == b"c"
        if not unfinished and any(window.take(position, min(size - position, 1 << 20))):
            self._note(
                f"{size - position} bytes at its end were no whole transaction and are cut off; "
                f"{self._kept_aside(position)}"
            )
        else:
            log.info("%s: %d bytes of an unfinished commit are cut off", self._file_name, size - position)
        os.ftruncate(self._file.fileno(), position)
        os.fsync(self._file.fileno())

    def _kept_aside(self, position: int) -> str:
        """Copy the data file from `position` on into a file of its own; answers a sentence about it."""
        number = 0
        while os.path.exists(kept := f"{self._file_name}.tr{number}"):
            number += 1
        try:
            with open(self._file_name, "rb") as source, open(kept, "wb") as target:
                source.seek(position)
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
        except OSError as exc:
            with contextlib.suppress(OSError):
                os.unlink(kept)
            return f"they could not be kept ({exc})"
        return f"they are kept in {kept}"

    # -- committing --------------------------------------------------------------------------------

    def _draft_in(self, file: Any) -> None:
        self._tfile = file
        self._tfmt = TempFormatter(file)

    def store(self, oid, oldserial, data, version, transaction):
        super().store(oid, oldserial, data, version, transaction)
        if self._tfile.tell() > DRAFT_BYTES and isinstance(self._tfile, io.BytesIO):
            held = self._tfile
            self._draft_in(TemporaryFile(dir=os.path.dirname(self._file_name)))
            self._tfile.write(held.getbuffer()[: held.tell()])

    def _clear_temp(self):
        self._tindex.clear()
        self._entries.clear()
        if self._tfile is None:
            return
        if isinstance(self._tfile, io.BytesIO):
            self._tfile.seek(0)
        else:
            with contextlib.suppress(OSError):
                self._tfile.close()  # what a full disk did not take is not wanted any more
            self._draft_in(io.BytesIO())

    def _begin(self, tid, u, d, e):
        self._ude = u, d, e = as_bytes(u), as_bytes(d), with_room(as_bytes(e))
        super()._begin(tid, u, d, e)

    def tpc_vote(self, transaction):
        with self._lock:
            if transaction is not self._transaction:
                raise StorageTransactionError("tpc_vote called with wrong transaction")
            self.settle()
            length = self._tfile.tell()
            user, description, extension = self._ude
            total = self._thl + length
            parts = (total, len(user), len(description), len(extension))
            head = TRANSACTION.pack(self._tid, total, self._tstatus.encode(), *parts[1:])
            head += user + description + extension[:-16]
            sure = xxh3_128(head)
            for chunk in self._draft(length):
                sure.update(chunk)
            sure.update(p64(total))
            seal = sure.digest()
            head = head[:STATUS] + b"c" + head[STATUS + 1 :] + seal
            position = self._pos
            if total > 1 << 20:
                packing.room(self._file_name, total)
            try:
                for chunk in _gathered(head, self._draft(length), p64(total)):
                    write_at(self._file.fileno(), chunk, position)
                    position += len(chunk)
            except BaseException:
                self._take_back(self.digests.count, self._files.flush)
                raise
            self._nextpos = position
            told = TransactionDigest(self._tid, self._pos, total + 8, seal)
            self._entries.append(told.packed())
            return self._resolved

    def _draft(self, length: int) -> Iterator[bytes]:
        """The records of the transaction being committed, a megabyte at a time."""
        self._tfile.seek(0)
        while length:
            chunk = self._tfile.read(min(length, 1 << 20))
            if not chunk:
                raise FileStorageError("the draft of a transaction is shorter than what was stored")
            length -= len(chunk)
            yield chunk

    def _finish(self, tid, u, d, e):
        entries = self.digests.count
        try:
            write_at(self._file.fileno(), self._tstatus.encode(), self._pos + STATUS)
            self._finish_finish(tid)
        except OSError:
            self._take_back(entries, self._files.empty)  # the lock for writing is held
            raise
        except BaseException:
            logging.getLogger("ZODB.FileStorage").critical("Failure in _finish. Closing.", exc_info=True)
            self._give_up()
            raise
        with contextlib.suppress(RuntimeError):  # no thread to be had; the next commit tries again
            self._checkpoint_if_due()

    def _finish_finish(self, tid):
        self.digests.append(b"".join(self._entries))
        os.fsync(self._file.fileno())
        self._pos = self._nextpos
        self._index.update(self._tindex)
        self._ltid = tid
        self._blob_tpc_finish()

    def _take_back(self, entries: int, forget_read: Callable[[], None]) -> None:
        """A commit cannot be finished: the file ends again where the last one ended, now or before the next.

        forget_read  empties the buffers of readers, which may hold bytes from behind the end
        """

        def cut() -> None:
            self.digests.cut(entries)
            os.ftruncate(self._file.fileno(), self._pos)
            os.fsync(self._file.fileno())

        self._nextpos = 0
        with contextlib.suppress(OSError):  # what is left is an orphan, which the next pack removes
            self._blob_tpc_abort()
        try:
            cut()
        except OSError as exc:
            log.error("%s: a failed commit is still to be taken back: %s", self._file_name, exc)
            self.unsettled["the end of the data"] = lambda: (cut(), self._files.flush())
        forget_read()

    def settle(self) -> None:
        """Do what the disk refused to do before; `OSError` where it refuses again, and nobody may write then.

        So a disk that fails makes commits fail for as long as it does, and reading goes on.  What a failed
        commit has left stands behind the end and is read by nobody; a kill before this has succeeded leaves
        it to the next opening, as any commit that was cut short.
        """
        with self._lock:
            for what, step in list(self.unsettled.items()):
                step()
                del self.unsettled[what]
                log.info("%s: %s is settled", self._file_name, what)

    def _give_up(self) -> None:
        """Close with nothing more written; the next opening reads what is on the disk."""
        self._closing = True
        self._let_go()

    def _abort(self):
        if self._nextpos:
            self._take_back(self.digests.count, self._files.flush)
        else:
            self._blob_tpc_abort()  # the base class forgets them where the vote was never reached

    # -- blobs -------------------------------------------------------------------------------------

    def _blob_storeblob(self, oid, serial, blobfilename):
        # A new name in a folder is only durable once the folder is.
        fresh = [self.fshelper.getPathForOID(oid)]
        with self._lock:
            while not os.path.isdir(fresh[-1]):
                fresh.append(os.path.dirname(fresh[-1]))
            super()._blob_storeblob(oid, serial, blobfilename)
        target = self.fshelper.getBlobFilename(oid, serial)
        sync(target)
        for each in fresh:
            sync(each)
        size, found = digest_file(target)
        self._entries.append(BlobDigest(oid, serial, size, found).packed())

    # -- the index and checkpoints -----------------------------------------------------------------

    def checkpoint(self) -> None:
        """Sync the sidecar and save the index now; an unclean start then reads only what is written later."""
        self._join_saving()
        self._save_index()

    def _checkpoint_if_due(self) -> None:
        saving = self._saving
        if self._pos - self._checkpointed < CHECKPOINT_BYTES or (saving is not None and saving.is_alive()):
            return
        snapshot = self._index_snapshot()  # the lock is held
        saving = threading.Thread(
            target=self._save_quietly, args=snapshot, name="index checkpoint", daemon=True
        )
        saving.start()
        self._saving = saving  # only now: who joins it needs it started

    def _index_snapshot(self) -> tuple[int, list[tuple[bytes, bytes]], Digests, int]:
        """The index as it is now, in a form that later commits do not change."""
        return (
            self._pos,
            [(prefix, bucket.toString()) for prefix, bucket in self._index._data.items()],
            self.digests,
            self.digests.count,
        )

    def _save_quietly(self, *snapshot: Any) -> None:
        try:
            with self._index_lock:
                # Else there is a newer one, or a pack has gone by.
                if snapshot[2] is self.digests and snapshot[0] >= self._checkpointed:
                    self._write_index(*snapshot)
        except (OSError, ValueError) as exc:
            log.warning(
                "%s: its index could not be saved (%s); the next opening reads more", self._file_name, exc
            )

    def _write_index(
        self, position: int, buckets: list[tuple[bytes, bytes]], digests: Digests, entries: int
    ) -> None:
        digests.sync()  # the index says how much of it is sure
        out = io.BytesIO()
        pickler = Pickler(out, _protocol)
        pickler.fast = True
        for each in (position, *buckets, None):
            pickler.dump(each)
        body = out.getvalue()
        path = self._file_name + INDEX
        draft = path + ".index_tmp"
        try:
            with open(draft, "wb", buffering=0) as file:
                write_at(file.fileno(), body, 0)
                write_at(file.fileno(), index_trailer(body, digests.generation, position, entries), len(body))
                os.fsync(file.fileno())
            os.replace(draft, path)
            sync(os.path.dirname(path))
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(draft)
            raise
        self._checkpointed = position

    def _save_index(self):
        if self._is_read_only:
            return
        with self._lock:
            snapshot = self._index_snapshot()
        self._save_quietly(*snapshot)
        self._saved += 1

    def _join_saving(self) -> None:
        saving = self._saving
        if saving is not None:
            saving.join()

    # -- packing, reading, closing -----------------------------------------------------------------

    def pack(self, t, referencesf, gc=None):
        """ZODB's pack: history before the time `t` (seconds since the epoch) is dropped; see `packing`."""
        packing.run(self, t, referencesf, self._pack_gc if gc is None else gc)

    @property
    def packing(self) -> bool:
        """Is a pack going on?"""
        return self._pack_is_in_progress

    @property
    def generation(self) -> bytes:
        """16 bytes that change when a pack rewrites the data file: positions of another one mean nothing."""
        return self.digests.generation

    def end_position(self) -> int:
        """Where the last finished transaction ends; the bytes before it change only by a pack."""
        return self._pos

    @contextlib.contextmanager
    def reading(self) -> Iterator[tuple[io.FileIO, int, bytes]]:
        """(file, end, generation): a file of its own on the data, which a pack meanwhile does not disturb."""
        with self._lock:
            file, end, generation = io.FileIO(self._file_name, "rb"), self._pos, self.generation
        with file:
            yield file, end, generation

    def positions(self, start: int = FIRST) -> Iterator[tuple[bytes, int, int]]:
        """(tid, start, end) of every finished transaction from the one that begins at byte `start` on.

        Raises `Damaged` where none begins.
        """
        with self.reading() as (file, end, _):
            window = Window(file.fileno(), end)
            while start < end:
                head = window.take(start, TRANSACTION.size)
                tid, length, *_ = TRANSACTION.unpack(head) if len(head) == TRANSACTION.size else (b"", 0)
                if length < TRANSACTION.size or start + length + 8 > end:
                    raise Damaged(
                        f"{self._file_name}: no transaction begins at byte {start}",
                        hint="look at everything: python -m batos doctor --scrub",
                    )
                yield tid, start, start + length + 8
                start += length + 8

    def iterator(self, start=None, stop=None):
        return _Unsealed(self._file_name, start, stop)

    def cleanup(self):
        super().cleanup()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._file_name + SIDECAR)

    @property
    def closed(self) -> bool:
        """Was it closed, by `close` or because a commit or a pack broke off where nobody knows how far?"""
        return self._file.closed

    def close(self):
        """End a pack, save the index and let everything go, the lock last.  Safe to call twice."""
        self._closing = True
        while self._pack_is_in_progress:  # it looks at `_closing` often, and removes what it has written
            time.sleep(0.01)
        self._join_saving()
        if not self._file.closed and not self._is_read_only:
            with contextlib.suppress(OSError):  # else the next opening judges what is left
                self.settle()
            self._save_index()
        self._let_go()

    def _let_go(self) -> None:
        held = ["_file", "_files", "_tfile", "digests"]
        if not self._pack_is_in_progress:  # else its end calls this again: nobody may open the image before
            held.append("_lock_file")
        for name in held:
            each = getattr(self, name, None)
            if each is not None:
                with contextlib.suppress(OSError):
                    each.close()


class _Unsealed(FileIterator):
    """Transactions with the extension field they were given."""

    def __next__(self):
        record = super().__next__()
        record.extension_bytes = bare(record.extension_bytes)
        return record


def _mend_layout(folder: Path) -> None:
    """A folder of blobs whose `.layout` a power cut emptied or took away gets it back."""
    marker = folder / ".layout"
    known = marker.exists() and marker.read_text(errors="replace").strip() in LAYOUTS
    if not known and (marker.exists() or any(folder.glob("0x??"))):
        marker.write_text("bushy")  # the only one an image has had
        sync(marker)
        sync(folder)


def _proved(txn: Whole, entry: TransactionDigest | None) -> bool:
    """Is a transaction what was written, as far as anybody can say?"""
    if entry is not None and (entry.length, entry.digest) != (txn.length, txn.digest):
        return False
    return txn.seal is None or txn.seal == txn.digest


def _followed(window: Window, txn: Whole) -> bool:
    """Has a later commit begun?  It begins only when the one before it is on the disk."""
    head = window.take(txn.end, TRANSACTION.size)
    begun = len(head) == TRANSACTION.size and head[STATUS : STATUS + 1] in (b" ", b"c", b"p")
    return begun and head[:8].tobytes() > txn.tid


def _gathered(head: bytes, chunks: Iterator[bytes], tail: bytes) -> Iterator[bytes]:
    """The same bytes in as few pieces as a small transaction deserves: one."""
    held = head
    for chunk in chunks:
        if len(held) + len(chunk) > 1 << 20:
            yield held
            held = chunk
        else:
            held += chunk
    yield held + tail


def exists(directory: Path) -> bool:
    """Is there an image in `directory`?"""
    return (directory / DATA).exists()


def in_birth(directory: Path) -> bool:
    """Is an image in `directory` being born, or was its birth cut short?"""
    return (directory / BIRTH).exists()


def end_birth(directory: Path) -> None:
    """The image is whole: from now on a missing or empty data file is damage."""
    (directory / BIRTH).unlink(missing_ok=True)
    sync(directory)
    for each in directory.absolute().parents:
        with contextlib.suppress(OSError):  # whoever made them; not every one may be read
            sync(each)


def open_storage(directory: Path, read_only: bool = False) -> ImageStorage:
    """The storage of the image in `directory`, made if nothing has been there.

    Raises `AlreadyAwake` if another live process holds it, `Damaged` if the data file cannot be read
    or is missing where other files say that an image has been.
    """
    data, blobs = directory / DATA, directory / BLOBS
    if in_birth(directory):
        pass  # a birth was cut short; opening completes it
    elif not data.exists():
        if read_only:
            raise Damaged(
                f"there is no image in {directory}", hint="give birth to one: python -m batos awaken"
            )
        beside = [f"{DATA}{each}" for each in (".old", ".pack", SIDECAR, INDEX, packing.NEW_SIDECAR)]
        if (directory / RESTORING).exists():
            raise Damaged(
                f"a restore into {directory} was cut short",
                hint=f"run it again: python -m batos --image {directory} restore BACKUP",
            )
        remains = [name for name in beside if (directory / name).exists()]
        remains += [f"{BLOBS}/"] if blobs.is_dir() and any(each.is_dir() for each in blobs.iterdir()) else []
        if remains:
            raise Damaged(
                f"{data} is missing, but {' and '.join(remains)} beside it say that an image has been here",
                hint=f"put {DATA} back (from {DATA}.old or a copy), or awaken elsewhere: "
                f"python -m batos --image OTHER awaken",
            )
        directory.mkdir(parents=True, exist_ok=True)
        (directory / BIRTH).touch()
        sync(directory)
    elif data.stat().st_size == 0:
        raise Damaged(
            f"{data} is empty: it is no image any more", hint="restore it from a copy, or move it away"
        )
    try:
        return ImageStorage(str(data), blob_dir=str(blobs), read_only=read_only)
    except LockError as exc:
        raise AlreadyAwake(holder(directory), hint="stop it with: python -m batos stop") from exc
    except (CorruptedError, FileStorageError, EOFError, ValueError) as exc:
        raise Damaged(
            f"{data} is damaged: {exc}",
            hint="keep the file, restore a copy of the image beside it and awaken that",
        ) from exc


def holder(directory: Path) -> str:
    """A sentence about who holds the image, from what the holder wrote when it awoke."""
    try:
        told = json.loads((directory / AWAKE).read_text())
        return (
            f"the image {directory} is already awake: process {told['pid']} serves it "
            f"at {told['endpoint']} since {told['since']}"
        )
    except (OSError, ValueError, KeyError):
        return f"the image {directory} is already open in another process"
