"""Moving an image: all of it, past and blobs too, from one storage to another, verified before it counts.

Every transaction is copied as it is, with its id, so that histories, `at` and what refers to transaction
ids stay true.  The image must be asleep, everywhere.  The source is only read and stays as it was; what
arrives is compared record by record and blob by blob, and until that is done nobody can awaken it: in
files it stands under another name, and DIR remembers a storage that was begun.  The price is that a move
reads everything three times.

`scripts/move_image [--image DIR] TARGET` is this module on the command line.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import transaction
from ZODB.blob import is_blob_record
from ZODB.utils import load_current, z64

from batos.config import load
from batos.errors import BadRequest, BatosError, Conflict, Damaged
from batos.image import places
from batos.image import storage as files
from batos.image.digests import sync

CHUNK = 1 << 20


def move(directory: Path, uri: str, target: str) -> dict[str, Any]:
    """Copy the image of `directory`, kept at `uri` (empty: in its files), to the storage `target`.

    Answers `{"source", "target", "transactions", "records", "blobs", "bytes"}`.  Raises `Conflict` where
    the target holds something, `Damaged` where what arrived is not what was sent, and what `open_place`
    raises.
    """
    to_files = places.scheme_of(target) == "file"
    folder = places.folder_of(directory, target) if to_files else None
    if places.scheme_of(target) == "zeo":
        raise BadRequest(
            "a ZEO server keeps files of its own, and they are written where it runs",
            hint="there: scripts/move_image file://FOLDER, and then start the server over that folder",
        )
    if not places.exists(directory, uri):
        raise BadRequest(f"there is no image in {directory} to be moved", hint="name its folder: --image DIR")
    if to_files and files.exists(folder):
        raise Conflict(
            f"{folder} holds an image already", hint="move it away, or name another folder: file://FOLDER"
        )
    source = places.open_place(directory, uri)
    try:
        with _arriving(directory, folder, target) as place:
            if not _is_empty(place.storage):
                raise Conflict(
                    f"{place.uri} holds something already", hint="name an empty database, which it may create"
                )
            place.storage.copyTransactionsFrom(source.storage)
            told = _compared(source.storage, place.storage)
        return {"source": source.uri, "target": place.uri, **told}
    finally:
        source.close()


@contextlib.contextmanager
def _arriving(directory: Path, folder: Path | None, target: str) -> Iterator[Any]:
    """The place an image is copied to; awake-able only once the block has ended well."""
    if folder is not None:
        with _in_files(directory, folder) as place:
            yield place
        return
    marker, cache = directory / places.MOVING, directory / "moving"
    # A folder of its own: the source may hold the lock of DIR.
    place = places.SCHEMES[places.scheme_of(target)](cache, target)
    try:
        if marker.exists() and marker.read_text() == place.uri:
            place.storage.zap_all()  # ours: a move that was cut short
        elif _is_empty(place.storage):
            _write(marker, place.uri)
        yield place
        places.remember(directory, {"storage": place.uri, "born": _born(place)})
        marker.unlink(missing_ok=True)
    finally:
        place.close()
        shutil.rmtree(cache, ignore_errors=True)


@contextlib.contextmanager
def _in_files(directory: Path, folder: Path) -> Iterator[Any]:
    part = folder.parent / f".{folder.name}.moving"
    shutil.rmtree(part, ignore_errors=True)  # of a move that was cut short
    place = places.FilePlace(part, part)
    try:
        yield place
    except BaseException:
        place.close()
        shutil.rmtree(part, ignore_errors=True)
        raise
    place.close()
    files.end_birth(part)
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / places.MOVING
    if marker.exists():  # a move that was cut short here: its blobs stand without a data file
        shutil.rmtree(folder / files.BLOBS, ignore_errors=True)
    _write(marker, str(folder))
    # The data file goes last: until it stands, the rest of it says that an image was here, and none is born.
    for name in sorted((each.name for each in part.iterdir()), key=lambda name: name == files.DATA):
        os.replace(part / name, folder / name)
        sync(folder)
    marker.unlink()
    part.rmdir()
    if folder.resolve() == directory.resolve():
        (directory / places.REMEMBERED).unlink(missing_ok=True)
        sync(directory)


def _write(marker: Path, text: str) -> None:
    marker.write_text(text)
    sync(marker)
    sync(marker.parent)


def _is_empty(storage: Any) -> bool:
    try:
        load_current(storage, z64)
    except KeyError:
        return True
    return False


def _born(place: Any) -> float:
    database = place.database()
    connection = database.open(transaction.TransactionManager())
    try:
        return connection.root()["batos"]["born"]
    finally:
        connection.close()
        database.close()


def _compared(source: Any, target: Any) -> dict[str, int]:
    """Count what both storages hold; `Damaged` names the first transaction in which they differ."""
    told = {"transactions": 0, "records": 0, "blobs": 0, "bytes": 0}
    for sent, came in zip_longest(source.iterator(), target.iterator()):
        if sent is None or came is None or _facts(sent) != _facts(came):
            raise _differs(sent or came, "is not in both, or says something else about itself")
        told["transactions"] += 1
        records = sorted((each.oid, each.data) for each in sent)
        if records != sorted((each.oid, each.data) for each in came):
            raise _differs(sent, "holds other records")
        for oid, data in records:
            told["records"] += 1
            told["bytes"] += len(data or b"")
            if data is not None and is_blob_record(data):
                told["blobs"] += 1
                told["bytes"] += _same_blob(source, target, oid, sent.tid)
    return told


def _facts(sent: Any) -> tuple:
    return sent.tid, sent.user, sent.description, sent.extension


def _differs(sent: Any, how: str) -> Damaged:
    return Damaged(
        f"the copy is not what was sent: transaction {sent.tid.hex()} {how}",
        hint="the source is as it was; look at its doctor, and move it again",
    )


def _same_blob(source: Any, target: Any, oid: bytes, tid: bytes) -> int:
    paths = [Path(each.loadBlob(oid, tid)) for each in (source, target)]
    if _digest(paths[0]) != _digest(paths[1]):
        raise Damaged(
            f"the copy is not what was sent: the blob 0x{int.from_bytes(oid, 'big'):x} differs",
            hint="the source is as it was; move it again",
        )
    return paths[0].stat().st_size


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def main(arguments: list[str] | None = None) -> int:
    """The command line; answers the exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/move_image", description="Copy an image with its whole past to another storage."
    )
    parser.add_argument("--image", help="its folder; default image/")
    parser.add_argument("target", help="postgresql://USER@HOST/DATABASE, or file://FOLDER")
    given = parser.parse_args(arguments)
    try:
        settings = load({"image": given.image})
        told = move(settings.image, settings.storage, given.target)
    except BatosError as exc:
        print(f"batos: {exc}" + (f"\n  {exc.hint}" if exc.hint else ""), file=sys.stderr)
        return exc.exit_code
    print(json.dumps(told))
    if places.scheme_of(given.target) != "file":
        print(f"batos: now make that the storage in {settings.image / 'batos.toml'}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
