"""Backups: an image copied while it is awake, only what came since the last time; brought back to a moment.

A backup is a folder anybody can look into:

    DIR/manifest.json                    what belongs to it, every file with its sha256; written last, whole
    DIR/generations/g0001/00001.fs       bytes of live_image.fs: whole transactions, one file a backup
    DIR/generations/g0001/00001.json     the blobs those transactions name: [oid, tid, sha256, bytes] each
    DIR/generations/g0001/00002.batos.toml, 00002.metacognition.jsonl
    DIR/blobs/ab/ab12...                 blobs by their sha256

The data file of an image only grows at its end, so a second backup into the same folder takes the bytes
behind the first one's.  Where the bytes before are no longer what they were (a pack, another image) a new
generation is begun beside the old one.  Rule: the newest generation and `keep` older ones stay, because only
they know what was packed away; older ones go once a newer manifest stands.

Nothing is waited for and nobody waits: a backup reads through descriptors of its own, up to where the last
commit ended.  What the manifest does not name is not part of the backup, so a backup that is killed leaves
the one before.  The price: what was packed away in the image is kept here as long as its generation.

What was redacted in the image stays in the backups made before; make a new one and delete those.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from persistent import Persistent
from persistent.TimeStamp import TimeStamp
from ZODB import DB
from ZODB.blob import FilesystemHelper
from ZODB.FileStorage import FileStorage

from batos.errors import BadRequest, BatosError, Conflict, Damaged, NoSuchFile, ReadOnly
from batos.image.digests import (
    BLOBS,
    DATA,
    FIRST,
    STATUS,
    Digests,
    Whole,
    Window,
    blobs_of,
    digest_file,
    whole_at,
)
from batos.image.storage import ImageStorage, sync

FORMAT = "batos backup 1"
MANIFEST = "manifest.json"
WELCOME = re.compile(
    r"README|LICEN[CS]E|\.git|repl_history"
)  # beside an image: a person's own, or what git keeps
RESTORING = "restoring"  # stands in a folder while an image is brought back into it
SETTINGS = "batos.toml"
BESIDE = (SETTINGS, "metacognition.jsonl")  # files of an image that are kept with it
ELSEWHERE = re.compile(rb"^[ \t]*storage[ \t]*=", re.MULTILINE)  # the setting that says where an image is
LAST = "backup.json"  # beside an image: when it was last backed up, and where
CHUNK = 1 << 20
AT_ONCE = 8 << 20  # bytes given to the disk at once: a commit of the image waits behind them
KEEP = 1  # older generations that stay: the one that still has what the last pack took away
WITNESS = 1 << 16  # bytes of the last transaction that must be unchanged for a backup to go on behind it
PACKED = b"p"  # status of a transaction that a pack has been over
TRIES = 3  # a pack that ends while a backup runs starts it again, from the packed file


def backup(
    storage: ImageStorage,
    directory: Path | str,
    keep: int = KEEP,
    reserve: float = 0.0,
    beside: Path | None = None,
) -> dict[str, Any]:
    """Copy what an open storage has committed into `directory`.  Not on the image thread.

    keep     older generations that stay beside the newest
    reserve  bytes that must stay free on the disk of `directory`
    beside   the folder of the settings and the journal, by default that of the data file

    Answers `{"directory", "kind": "full" | "incremental" | "unchanged", "generation", "transactions",
    "bytes", "blobs", "blob_bytes", "missing", "damaged", "to_tid", "time", "seconds"}`: counts are of what
    this backup added; `missing` are blobs the image has lost, `damaged` transactions and blobs that are not
    what was committed: they are copied as they are, and named in the manifest.  Raises `BadRequest` for a
    folder that is no backup, `Conflict` while another backup writes into it, `ReadOnly` where the disk has no
    room, `Damaged` where the image holds no transactions any more.
    """
    began, target = time.monotonic(), Path(directory)
    data = Path(storage.getName())
    _check_target(target, data.parent)
    with _locked(target):
        for _ in range(TRIES):
            told = _Backup(storage, beside or data.parent, target, keep, reserve).run()
            if told is not None:
                for each in target.absolute().parents:  # whoever made it, its name is to be on the disk
                    with contextlib.suppress(OSError):
                        sync(each)
                told |= {"seconds": round(time.monotonic() - began, 3)}
                _remember(data.parent, told)
                return told
    raise Conflict(
        f"{data} was packed {TRIES} times while it was copied; the backup in {target} is as it was",
        hint=f"try again: python -m batos backup {target}",
    )


def last_backup(image: Path) -> dict[str, Any] | None:
    """What the last backup of the image in a folder was, as `backup` answered it; None if there was none."""
    try:
        return json.loads((image / LAST).read_text())
    except (OSError, ValueError):
        return None


def _remember(image: Path, told: dict[str, Any]) -> None:
    """Leave a word beside the image, for the doctor; where the disk does not take it, the backup stands."""
    part = image / f"{LAST}.part"
    with contextlib.suppress(OSError):
        part.write_text(json.dumps(told | {"directory": os.path.abspath(told["directory"])}) + "\n")
        os.replace(part, image / LAST)


def verify(directory: Path | str) -> dict[str, Any]:
    """Read every byte of a backup and compare it with its digest; answers what is in it.

    `{"generations", "transactions", "bytes", "blobs", "blob_bytes", "from_tid", "to_tid", "time"}`.  Raises
    `Damaged` naming the files that differ, `BadRequest` where there is no backup.
    """
    target = Path(directory)
    generations = _read_manifest(target)["generations"]
    faults, blobs, size, transactions = [], {}, 0, 0
    for generation in generations:
        folder = target / "generations" / generation["name"]
        for segment in generation["segments"]:
            size += segment["end"] - segment["start"]
            transactions += segment["transactions"]
            faults += _faults(folder / segment["file"], segment["sha256"])
            found = _faults(folder / segment["list"], segment["list_sha256"])
            faults += found
            if not found:
                blobs |= {sha256: bytes_ for _, _, sha256, bytes_ in _read_list(folder, segment)}
        for each in generation["files"].values():
            faults += _faults(folder / each["file"], each["sha256"])
    for sha256 in blobs:
        faults += _faults(_pool(target, sha256), sha256)
    if faults:
        raise Damaged(
            f"{len(faults)} files of the backup {target} are damaged: {'; '.join(faults[:5])}",
            hint="make another: python -m batos backup OTHER_DIR",
        )
    newest = generations[-1]
    return {
        "generations": len(generations),
        "transactions": transactions,
        "bytes": size,
        "blobs": len(blobs),
        "blob_bytes": sum(blobs.values()),
        "from_tid": newest["whole_from"],
        "to_tid": newest["segments"][-1]["to_tid"],
        "time": _seconds(newest["segments"][-1]["to_tid"]),
    }


def restore(
    source: Path | str, directory: Path | str, moment: str | None = None, reserve: float = 0.0
) -> dict[str, Any]:
    """Bring an image back into `directory`, which must be empty; answers what was brought back.

    moment   a transaction id in hex, an ISO time (local where it names no zone) or seconds since the epoch:
             the image as it was after the last transaction at or before it.  None: all there is
    reserve  bytes that must stay free on the disk of `directory`

    `{"transactions", "bytes", "blobs", "missing", "to_tid", "time", "note", "seconds"}`; the note says where
    the backup knows nothing of the time just before the moment, and is None where all is known.

    Every byte is compared with its digest, and the result is opened and looked at, before it becomes an
    image; a restore that is killed leaves no image, and the next one begins anew.  Raises `Conflict` where
    something is in `directory`, `BadRequest` for a moment the backup does not know, `ReadOnly` where the disk
    has no room, `Damaged`.
    """
    began, source, target = time.monotonic(), Path(source), Path(directory)
    generations = _read_manifest(source)["generations"]
    limit = b"\xff" * 8 if moment is None else tid_of(moment)
    generation = _covering(generations, limit, source)
    folder = source / "generations" / generation["name"]
    segments = [each for each in generation["segments"] if bytes.fromhex(each["from_tid"]) <= limit]
    blobs = []
    for segment in segments:
        if faults := _faults(folder / segment["list"], segment["list_sha256"]):
            raise _damaged_backup(source, faults)
        blobs += [each for each in _read_list(folder, segment) if bytes.fromhex(each[1]) <= limit]
    _clear_for(target)
    _make_folder(target)
    _check_room(target, segments[-1]["end"] + sum(each[3] for each in blobs), reserve)
    try:
        (target / RESTORING).touch()
        sync(target)
        data = target / f"{DATA}.{RESTORING}"
        _join(source, folder, segments, data)
        cut = _cut(data, segments, limit)
        _bring_blobs(source, blobs, target / BLOBS)
        _bring_files(source, folder, generation["files"], target)
        _look_at(data, target / BLOBS)
        os.replace(data, target / DATA)
    except (OSError, BatosError) as exc:
        with contextlib.suppress(OSError):
            _withdraw(target)
        raise _no_room(exc, target) from exc
    sync(target)
    (target / RESTORING).unlink()
    sync(target)
    lost = [tid for each in segments for _, tid in each["missing"] if bytes.fromhex(tid) <= limit]
    return {
        "transactions": cut.transactions,
        "bytes": cut.end,
        "blobs": len(blobs),
        "missing": len(lost),
        "to_tid": cut.to_tid.hex(),
        "time": _seconds(cut.to_tid.hex()),
        "note": _gap(generations, generation, limit),
        "seconds": round(time.monotonic() - began, 3),
    }


def tid_of(moment: str) -> bytes:
    """The transaction id that stands for a moment: hex, an ISO time, or seconds since the epoch.

    >>> tid_of("2026-11-21T03:00:00+00:00") == tid_of("1795230000")
    True
    """
    text = str(moment).strip()
    if re.fullmatch(r"(0x)?[0-9a-fA-F]{16}", text):
        return bytes.fromhex(text.removeprefix("0x"))
    try:
        when = datetime.datetime.fromtimestamp(float(text), datetime.UTC)
    except (ValueError, OverflowError, OSError):
        try:
            when = datetime.datetime.fromisoformat(text).astimezone(datetime.UTC)
        except (ValueError, OverflowError, OSError):
            raise BadRequest(
                f"{moment!r} is no moment: neither a transaction id of 16 hex digits nor a time such as "
                f"2026-11-21T03:00:00",
                hint="see the moments there are: python -m batos log",
            ) from None
    second = when.second + when.microsecond / 1e6
    return TimeStamp(when.year, when.month, when.day, when.hour, when.minute, second).raw()


# -- making ------------------------------------------------------------------------------------------------


class _Backup:
    """One backup on its way; `run` answers None where a pack took away what it was copying: begin again."""

    def __init__(self, storage: ImageStorage, beside: Path, target: Path, keep: int, reserve: float):
        self.storage, self.beside, self.target = storage, beside, target
        self.keep, self.reserve = keep, reserve
        self.generations = _generations(target)

    def run(self) -> dict[str, Any] | None:
        with self.storage.reading() as (source, end, generation):
            _sweep(self.target, self.generations)
            going_on = bool(self.generations) and self._goes_on(source, end, generation)
            start = self.generations[-1]["segments"][-1]["end"] if going_on else 0
            _check_room(self.target, end - start, self.reserve)
            name = self.generations[-1]["name"] if going_on else self._new_name()
            folder = self.target / "generations" / name
            number = len(self.generations[-1]["segments"]) + 1 if going_on else 1
            try:
                _make_folder(folder)
                segment, whole_from = None, None
                if end > start:
                    blobs = self._blob_digests(generation)
                    if blobs is None:
                        return None
                    segment, whole_from = self._segment(source, folder, number, start, end, going_on, blobs)
                    segment["file_generation"] = generation.hex()
                    if segment["missing"] and self.storage.generation != generation:
                        return None
                files = self._files(folder, number)
                return self._finish(name, going_on, segment, whole_from, files)
            except OSError as exc:
                with contextlib.suppress(OSError, BatosError):
                    _sweep(self.target, _generations(self.target))
                raise _no_room(exc, self.target) from exc

    def _new_name(self) -> str:
        last = int(self.generations[-1]["name"][1:]) if self.generations else 0
        return f"g{last + 1:04d}"

    def _goes_on(self, source: BinaryIO, end: int, generation: bytes) -> bool:
        """Are the bytes up to the end of the last segment still those that were backed up?"""
        last = self.generations[-1]["segments"][-1]
        if end < last["end"] or generation.hex() != last["file_generation"]:
            return False
        return _witness(source, last["last_at"], last["end"]) == last["witness"]

    def _segment(
        self,
        source: BinaryIO,
        folder: Path,
        number: int,
        start: int,
        end: int,
        going_on: bool,
        digests: dict[tuple[bytes, bytes], bytes],
    ) -> tuple[dict[str, Any], str | None]:
        """Copy the bytes from `start` to `end` and their blobs: (the segment's record, last packed tid)."""
        file = folder / f"{number:05d}.fs"
        sha256 = _copy(source, start, end - start, file)
        found = _look_through(source, max(start, FIRST), end, set(digests))
        known = self._known()
        fresh = [key for key in found.blobs if (key[0].hex(), key[1].hex()) not in known]
        _check_room(self.target, sum(self._blob_size(*key) for key in fresh), self.reserve)
        listed, missing, blob_bytes = [], [], 0
        for oid, tid in found.blobs:
            kept = known.get((oid.hex(), tid.hex()))
            # Of a new generation every blob is read again: what rotted in the backup is copied anew.
            if kept is None or not going_on and _faults(_pool(self.target, kept[0]), kept[0]):
                path = Path(self.storage.fshelper.getBlobFilename(oid, tid))
                try:
                    kept, size = self._blob(path)
                except FileNotFoundError:
                    missing.append([oid.hex(), tid.hex()])
                    continue
                blob_bytes += size
                if (oid, tid) in digests and digest_file(_pool(self.target, kept[0]))[1] != digests[oid, tid]:
                    found.damaged.append(f"blob 0x{oid.hex().lstrip('0')} of {tid.hex()}")
            listed.append([oid.hex(), tid.hex(), *kept])
        text = json.dumps(listed, separators=(",", ":")).replace("],[", "],\n[").encode()
        _write(folder / f"{number:05d}.json", text)
        return {
            "file": file.name,
            "sha256": sha256,
            "start": start,
            "end": end,
            "transactions": found.transactions,
            "from_tid": found.from_tid.hex(),
            "to_tid": found.to_tid.hex(),
            "last_at": found.last_at,
            "witness": _witness(source, found.last_at, end),
            "list": f"{number:05d}.json",
            "list_sha256": hashlib.sha256(text).hexdigest(),
            "blobs": len(listed),
            "blob_bytes": blob_bytes,
            "missing": missing,
            "damaged": found.damaged,
            "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }, found.packed_to.hex() if found.packed_to else None

    def _blob_digests(self, generation: bytes) -> dict[tuple[bytes, bytes], bytes] | None:
        """(oid, tid) -> digest of the image's blobs; None where a pack has begun another list meanwhile."""
        # The storage's own list is closed under us when a pack ends.
        listed = Digests.open(self.storage.digests.path, read_only=True)
        if listed is None:
            return {}  # damaged: then nothing can be compared, and the scrub says so
        try:
            if listed.generation != generation:
                return None
            return {(each.oid, each.tid): each.digest for each in listed.blobs()}
        finally:
            listed.close()

    def _known(self) -> dict[tuple[str, str], tuple[str, int]]:
        """(oid, tid) -> (sha256, bytes) of every blob an earlier backup has."""
        known = {}
        for generation in self.generations:
            folder = self.target / "generations" / generation["name"]
            for segment in generation["segments"]:
                if segment["blobs"] and not _faults(folder / segment["list"], segment["list_sha256"]):
                    known |= {(oid, tid): (sha, size) for oid, tid, sha, size in _read_list(folder, segment)}
        return known

    def _blob_size(self, oid: bytes, tid: bytes) -> int:
        try:
            return os.stat(self.storage.fshelper.getBlobFilename(oid, tid)).st_size
        except FileNotFoundError:
            return 0

    def _blob(self, file: Path) -> tuple[tuple[str, int], int]:
        """((sha256, bytes) of a blob that is in the pool now, bytes that had to be put there)."""
        with open(file, "rb", buffering=0) as source:
            size = os.fstat(source.fileno()).st_size
            part = self.target / "blobs" / "copy.part"
            _make_folder(part.parent)
            sha256 = _copy(source, 0, size, part)
        pooled = _pool(self.target, sha256)
        if not _faults(pooled, sha256):
            part.unlink()
            return (sha256, size), 0
        _make_folder(pooled.parent)
        os.replace(part, pooled)
        sync(pooled.parent)
        return (sha256, size), size

    def _files(self, folder: Path, number: int) -> dict[str, dict[str, Any]]:
        """Copy what stands beside the data file; of a journal that grows meanwhile, what there is now."""
        files = {}
        # What did not change is not copied again.
        before = self.generations[-1]["files"] if self.generations else {}
        for name in BESIDE:
            path = self.beside / name
            with contextlib.suppress(FileNotFoundError), open(path, "rb", buffering=0) as source:
                size = os.fstat(source.fileno()).st_size
                last = before.get(name)
                same_place = self.generations and folder.name == self.generations[-1]["name"]
                if last and same_place and last["bytes"] == size and last["sha256"] == _digest(source, size):
                    files[name] = last
                    continue
                file = folder / f"{number:05d}.{name}"
                taken = 2
                while file.exists():  # of a backup that brought no transaction
                    file = folder / f"{number:05d}-{taken}.{name}"
                    taken += 1
                files[name] = {"file": file.name, "sha256": _copy(source, 0, size, file), "bytes": size}
        return files

    def _finish(
        self,
        name: str,
        going_on: bool,
        segment: dict[str, Any] | None,
        whole_from: str | None,
        files: dict[str, dict[str, Any]],
    ) -> dict[str, Any]:
        """Let the manifest say what there is now, then take out what it no longer names."""
        if going_on:
            newest = dict(self.generations[-1], files=files)
            newest["segments"] = [*newest["segments"], *([segment] if segment else [])]
            generations = [*self.generations[:-1], newest]
        else:
            newest = {"name": name, "whole_from": whole_from, "segments": [segment], "files": files}
            generations = [*self.generations, newest][-(self.keep + 1) :]
        if generations != self.generations:
            _write_manifest(self.target, generations)
        _sweep(self.target, generations)
        if not going_on:
            _sweep_pool(self.target, generations)
        last = newest["segments"][-1]
        return {
            "directory": str(self.target),
            "kind": ("incremental" if segment else "unchanged") if going_on else "full",
            "generation": name,
            "transactions": segment["transactions"] if segment else 0,
            "bytes": segment["end"] - segment["start"] if segment else 0,
            "blobs": segment["blobs"] if segment else 0,
            "blob_bytes": segment["blob_bytes"] if segment else 0,
            "missing": len(segment["missing"]) if segment else 0,
            "damaged": len(segment["damaged"]) if segment else 0,
            "to_tid": last["to_tid"],
            "time": _seconds(last["to_tid"]),
        }


def _check_target(target: Path, image: Path) -> None:
    if target.resolve().is_relative_to(image.resolve()):
        raise BadRequest(
            f"{target} is inside the image it would be a backup of, and would be lost with it",
            hint="name a folder elsewhere, best on another disk: python -m batos backup DIR",
        )
    if target.exists() and not target.is_dir():
        raise BadRequest(f"{target} is a file, not a folder", hint="python -m batos backup DIR")
    if target.is_dir() and not (target / MANIFEST).exists():
        ours = ("generations", "blobs", "lock")
        strange = [each.name for each in target.iterdir() if each.name not in ours]
        if strange:
            raise BadRequest(
                f"{target} holds {strange[0]!r} and is no backup; nothing was written",
                hint=f"name a new folder: python -m batos backup {target}/backup",
            )


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Hold the folder against another backup; a killed holder holds nothing."""
    try:
        _make_folder(target)
    except OSError as exc:
        raise _no_room(exc, target) from exc
    with open(target / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise Conflict(f"another backup is being written into {target}", hint="wait for it") from exc
        yield


def _sweep(target: Path, generations: list[dict[str, Any]]) -> None:
    """Take out what the manifest no longer, or never, named: what killed backups and old generations left."""
    folders = target / "generations"
    if not folders.is_dir():
        return
    named = {each["name"]: each for each in generations}
    for folder in folders.iterdir():
        if not re.fullmatch(r"g\d{4,}", folder.name):
            continue
        if folder.name not in named:
            shutil.rmtree(folder)
            continue
        generation = named[folder.name]
        wanted = {each["file"] for each in generation["files"].values()}
        wanted |= {name for each in generation["segments"] for name in (each["file"], each["list"])}
        for file in folder.iterdir():
            if file.name not in wanted and re.match(r"\d{5}[.-]", file.name):
                file.unlink()
    (target / "blobs" / "copy.part").unlink(missing_ok=True)
    (target / f"{MANIFEST}.part").unlink(missing_ok=True)


def _sweep_pool(target: Path, generations: list[dict[str, Any]]) -> None:
    """Take out the blobs that no generation names."""
    wanted = set()
    for generation in generations:
        folder = target / "generations" / generation["name"]
        for segment in generation["segments"]:
            if _faults(folder / segment["list"], segment["list_sha256"]):
                return  # a list that cannot be read may name any of them
            wanted |= {sha256 for _, _, sha256, _ in _read_list(folder, segment)}
    if (target / "blobs").is_dir():
        for file in (target / "blobs").glob("??/*"):
            if file.name not in wanted:
                file.unlink()


# -- transactions in a file --------------------------------------------------------------------------------


@dataclass(slots=True)
class _Found:
    """What stands between two places of a data file."""

    transactions: int = 0
    end: int = 0
    from_tid: bytes = b""
    to_tid: bytes = b""
    last_at: int = 0
    packed_to: bytes | None = None
    blobs: list[tuple[bytes, bytes]] = field(default_factory=list)  # (oid, tid)
    damaged: list[str] = field(default_factory=list)

    def take_in(self, txn: Whole) -> None:
        self.transactions += 1
        self.end = txn.end
        self.from_tid = self.from_tid or txn.tid
        self.to_tid, self.last_at = txn.tid, txn.position
        if txn.status == PACKED:
            self.packed_to = txn.tid
        if txn.seal is not None and txn.seal != txn.digest:
            self.damaged.append(f"transaction {txn.tid.hex()}")


def _transactions(source: BinaryIO, start: int, end: int) -> Iterator[Whole]:
    """The transactions of an open data file from `start` to `end`; `Damaged` where there are none."""
    window = Window(source.fileno(), end)
    while start < end:
        txn = whole_at(window, start)
        if txn is None:
            raise Damaged(
                f"{source.name}: no transaction stands at byte {start}",
                hint="look at everything: python -m batos doctor --scrub",
            )
        yield txn
        start = txn.end


def _look_through(source: BinaryIO, start: int, end: int, known: set[tuple[bytes, bytes]]) -> _Found:
    """What was copied: its transactions, and the blobs they name.  `known` are the storage's blobs, because
    the record of an undo only points back to what it brought back."""
    found = _Found()
    of_tid: dict[bytes, set[bytes]] = {}
    for oid, tid in known:
        of_tid.setdefault(tid, set()).add(oid)
    for txn in _transactions(source, start, end):
        found.take_in(txn)
        oids = of_tid.get(txn.tid, set()) | set(blobs_of(txn))
        found.blobs += [(oid, txn.tid) for oid in sorted(oids)]
        if not found.transactions % 64:
            time.sleep(0)  # this thread is patient; the image's is not
    return found


def _cut(data: Path, segments: list[dict[str, Any]], limit: bytes) -> _Found:
    """End a joined data file behind the last transaction at or before a moment; what it holds then."""
    cut = _Found(end=segments[-1]["start"])
    with open(data, "r+b", buffering=0) as file:
        for txn in _transactions(file, max(cut.end, FIRST), segments[-1]["end"]):
            if txn.tid > limit:
                break
            cut.take_in(txn)
        os.ftruncate(file.fileno(), cut.end)
        os.fsync(file.fileno())
    cut.transactions += sum(each["transactions"] for each in segments[:-1])
    return cut


def _witness(source: BinaryIO, at: int, end: int) -> str:
    """A digest of the transaction from `at` to `end`; its status does not count, a pack may set it."""
    data = os.pread(source.fileno(), min(end - at, WITNESS), at)
    return hashlib.sha256(data[:STATUS] + data[STATUS + 1 :]).hexdigest()


# -- bringing back -----------------------------------------------------------------------------------------


def _covering(generations: list[dict[str, Any]], limit: bytes, source: Path) -> dict[str, Any]:
    """The newest generation that knows the image as it was at a moment."""
    for generation in reversed(generations):
        earliest = generation["whole_from"] or generation["segments"][0]["from_tid"]
        if bytes.fromhex(earliest) <= limit:
            return generation
    raise BadRequest(
        f"the backup {source} does not reach back to that moment: it begins with {earliest}, "
        f"{_iso(earliest)}",
        hint=f"take that or a later moment: python -m batos --image NEW restore {source} --to {earliest}",
    )


def _gap(generations: list[dict[str, Any]], used: dict[str, Any], limit: bytes) -> str | None:
    """A moment between two generations: what happened there was packed away before it was backed up."""
    last = used["segments"][-1]["to_tid"]
    if used is generations[-1] or limit <= bytes.fromhex(last):
        return None
    following = generations[generations.index(used) + 1]["whole_from"]
    return f"nothing is known between {_iso(last)} and {_iso(following)}: packed away before it was backed up"


def _clear_for(target: Path) -> None:
    """Make sure that nothing is in `target`; what a killed restore left there goes."""
    if target.exists() and not target.is_dir():
        raise Conflict(f"{target} is a file; nothing was written", hint="name a new folder with --image NEW")
    if not target.is_dir():
        return
    _withdraw(target)
    there = sorted(each.name for each in target.iterdir() if not WELCOME.match(each.name))
    if there:
        raise Conflict(
            f"{target} is not empty: {there[0]!r} is in it; a restore overwrites nothing",
            hint="restore beside it: python -m batos --image NEW restore DIR",
        )


def _withdraw(target: Path) -> None:
    """Take out what a restore that did not come to its end has left."""
    if not (target / RESTORING).exists() or (target / DATA).exists():
        return
    for name in (BLOBS, f"{DATA}.{RESTORING}", *BESIDE, RESTORING):
        each = target / name
        if each.is_dir():
            shutil.rmtree(each)
        else:
            each.unlink(missing_ok=True)


def _join(source: Path, folder: Path, segments: list[dict[str, Any]], data: Path) -> None:
    """Write the segments one behind the other, each compared with its digest."""
    good_to = None  # the last transaction that was proven
    with open(data, "wb", buffering=0) as joined:
        for segment in segments:
            sha256 = hashlib.sha256()
            with _backup_file(folder / segment["file"], source) as stream:
                while chunk := stream.read(CHUNK):
                    sha256.update(chunk)
                    joined.write(chunk)
            if sha256.hexdigest() != segment["sha256"] or joined.tell() != segment["end"]:
                raise _damaged_backup(source, [f"{folder / segment['file']} differs"], good_to)
            good_to = segment["to_tid"]


def _bring_blobs(source: Path, blobs: list[list[Any]], target: Path) -> None:
    helper = FilesystemHelper(str(target), layout_name="bushy")
    helper.create()
    touched = {target}
    for oid, tid, sha256, size in blobs:
        pooled = _pool(source, sha256)
        helper.getPathForOID(bytes.fromhex(oid), create=True)
        place = Path(helper.getBlobFilename(bytes.fromhex(oid), bytes.fromhex(tid)))
        with _backup_file(pooled, source) as stream:
            if _copy(stream, 0, size, place) != sha256:
                raise _damaged_backup(source, [f"{pooled} differs"])
        place.chmod(0o400)
        touched |= {each for each in place.parents if each.is_relative_to(target)}
    for each in sorted(touched, reverse=True):
        sync(each)


def _bring_files(source: Path, folder: Path, files: dict[str, dict[str, Any]], target: Path) -> None:
    for name, told in ((name, files[name]) for name in BESIDE if name in files):
        with _backup_file(folder / told["file"], source) as stream:
            if _copy(stream, 0, told["bytes"], target / name) != told["sha256"]:
                raise _damaged_backup(source, [f"{folder / told['file']} differs"])
    settings = target / SETTINGS
    if SETTINGS in files and ELSEWHERE.search(text := settings.read_bytes()):
        # It names the place of the image that was backed up; what was brought back is here.
        _write(settings, ELSEWHERE.sub(rb"# where this image was when it was backed up: \g<0>", text))
    sync(target)


def _look_at(data: Path, blobs: Path) -> None:
    """Open what was brought back, read only, and load its root and everything with a name there."""
    try:
        storage = FileStorage(str(data), read_only=True, blob_dir=str(blobs))
        try:
            db = DB(storage)
            try:
                with db.transaction() as connection:
                    for each in connection.root().values():
                        if isinstance(each, Persistent):
                            each._p_activate()
            finally:
                db.close()
        finally:
            storage.close()
    except BatosError:
        raise
    except Exception as exc:  # whatever unpickling raises is what is looked for
        raise Damaged(
            f"what was brought back cannot be loaded: {type(exc).__name__}: {exc}",
            hint="restore to an earlier moment: --to TIME",
        ) from exc
    finally:
        for suffix in (".index", ".tmp", ".lock"):
            data.with_name(data.name + suffix).unlink(missing_ok=True)


# -- files -------------------------------------------------------------------------------------------------


def _read_manifest(target: Path) -> dict[str, Any]:
    """The manifest, proven; `BadRequest` where there is none."""
    path = target / MANIFEST
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as exc:
        if not target.exists():
            raise NoSuchFile(f"there is no {target}", hint="python -m batos restore DIR") from exc
        raise BadRequest(
            f"{target} is no backup: it has no {MANIFEST}", hint="make one: python -m batos backup DIR"
        ) from exc
    try:
        told = json.loads(raw)
        if {"format", "digest", "objects"} <= told.keys():  # what an export's manifest has
            raise BadRequest(
                f"{target} is no backup but an export",
                hint=f"build an image from it: python -m batos import {target}",
            )
        if raw == _manifest_bytes(told["generations"]) and told["format"] == FORMAT:
            return told
        fact = "differs from what was written"
        if told["format"] != FORMAT:
            fact = f"is of the format {told['format']!r}, not {FORMAT!r}"
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        fact = f"cannot be read ({type(exc).__name__})"
    raise Damaged(f"{path} {fact}", hint="make another backup: python -m batos backup OTHER_DIR")


def _generations(target: Path) -> list[dict[str, Any]]:
    """What the manifest names, oldest first; nothing where there is none yet."""
    return _read_manifest(target)["generations"] if (target / MANIFEST).exists() else []


def _manifest_bytes(generations: list[dict[str, Any]]) -> bytes:
    body = {"format": FORMAT, "generations": generations}
    sha256 = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return (json.dumps(body | {"sha256": sha256}, indent=1, sort_keys=True) + "\n").encode()


def _write_manifest(target: Path, generations: list[dict[str, Any]]) -> None:
    part = target / f"{MANIFEST}.part"
    _write(part, _manifest_bytes(generations))
    os.replace(part, target / MANIFEST)
    sync(target)


def _read_list(folder: Path, segment: dict[str, Any]) -> list[list[Any]]:
    return json.loads((folder / segment["list"]).read_bytes())


def _pool(target: Path, sha256: str) -> Path:
    return target / "blobs" / sha256[:2] / sha256


def _make_folder(folder: Path) -> None:
    """A folder whose name is on the disk."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync(path.parent)


def _copy(source: BinaryIO, start: int, length: int, target: Path) -> str:
    """Copy bytes of an open file into a new one, synced and read back; answers their sha256."""
    sha256, at, end = hashlib.sha256(), start, start + length
    with open(target, "wb", buffering=0) as file:
        while at < end:
            chunk = os.pread(source.fileno(), min(CHUNK, end - at), at)
            if not chunk:
                raise Damaged(f"{source.name} ends at byte {at}, before its last transaction does")
            sha256.update(chunk)
            at += file.write(chunk)
            if (at - start) % AT_ONCE < CHUNK:
                os.fsync(file.fileno())
        os.fsync(file.fileno())
        if hasattr(os, "posix_fadvise"):  # so that it is read back from the disk and not from memory
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    sync(target.parent)
    if faults := _faults(target, sha256.hexdigest()):
        raise Damaged(f"{faults[0]} from what was just written", hint="the disk is failing; use another")
    return sha256.hexdigest()


def _digest(source: BinaryIO, length: int) -> str:
    sha256, at = hashlib.sha256(), 0
    while at < length and (chunk := os.pread(source.fileno(), min(CHUNK, length - at), at)):
        sha256.update(chunk)
        at += len(chunk)
    return sha256.hexdigest()


def _faults(file: Path, sha256: str) -> list[str]:
    """What is wrong with a file that should have a digest: nothing, or one sentence."""
    try:
        with open(file, "rb", buffering=0) as stream:
            same = _digest(stream, os.fstat(stream.fileno()).st_size) == sha256
    except OSError as exc:
        return [f"{file} cannot be read ({exc.strerror})"]
    return [] if same else [f"{file} differs"]


@contextlib.contextmanager
def _backup_file(file: Path, source: Path) -> Iterator[BinaryIO]:
    try:
        stream = open(file, "rb", buffering=0)  # noqa: SIM115 - closed below
    except FileNotFoundError as exc:
        raise _damaged_backup(source, [f"{file} is missing"]) from exc
    with stream:
        yield stream


def _damaged_backup(source: Path, faults: list[str], good_to: str | None = None) -> Damaged:
    hint = "use another backup, or an earlier moment: --to TIME"
    if good_to is not None:
        hint = f"what came before it is whole: python -m batos --image NEW restore {source} --to {good_to}"
    return Damaged(f"the backup {source} is damaged: {'; '.join(faults)}", hint=hint)


def _check_room(target: Path, wanted: int, reserve: float) -> None:
    free = shutil.disk_usage(target).free
    if free - wanted < reserve:
        raise ReadOnly(
            f"the disk of {target} has {free / 1e6:.0f} MB free, and {wanted / 1e6:.0f} MB are wanted beside "
            f"a reserve of {reserve / 1e6:.0f} MB; nothing was written",
            hint="free some space there, or name a folder on another disk",
            retryable=True,
        )


def _no_room(exc: Exception, target: Path) -> Exception:
    """A write that failed, in words."""
    if isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return ReadOnly(
            f"the disk of {target} is full; what was there before stands",
            hint="free some space there and do it again, or name a folder on another disk",
            retryable=True,
        )
    return exc


def _seconds(tid: str) -> float:
    """The time of a transaction id, seconds since the epoch."""
    return TimeStamp(bytes.fromhex(tid)).timeTime()


def _iso(tid: str) -> str:
    return datetime.datetime.fromtimestamp(_seconds(tid)).astimezone().isoformat(timespec="seconds")
