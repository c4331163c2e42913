"""The storage under an image: a FileStorage with blobs that says what is wrong instead of guessing.

Thin on purpose.  It adds what `ZODB.FileStorage` leaves out and an image needs: blobs are synced
before the commit that names them, a second process is told who holds the image, damage is told as
damage, and an image is never born silently where one has been.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from zc.lockfile import LockError
from ZODB.FileStorage import FileStorage
from ZODB.FileStorage.FileStorage import CorruptedError, FileStorageError

from batos.errors import AlreadyAwake, Damaged

DATA = "live_image.fs"
BLOBS = "live_image.fs.blob"
AWAKE = "awake.json"
BIRTH = "live_image.fs.birth"  # stands while an image is being born: what is there then may be incomplete


def _sync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class ImageStorage(FileStorage):
    """A FileStorage whose blobs are on the disk before the transaction that refers to them."""

    def storeBlob(self, oid, oldserial, data, blobfilename, version, transaction):
        _sync(blobfilename)
        super().storeBlob(oid, oldserial, data, blobfilename, version, transaction)
        folder = Path(self.fshelper.getPathForOID(oid))
        for each in (folder, *folder.parents):
            _sync(each)  # a new name in a folder is only durable once the folder is
            if each.name == BLOBS:
                break


def exists(directory: Path) -> bool:
    """Is there an image in `directory`?"""
    return (directory / DATA).exists()


def in_birth(directory: Path) -> bool:
    """Is an image in `directory` being born, or was its birth cut short?"""
    return (directory / BIRTH).exists()


def end_birth(directory: Path) -> None:
    """The image is whole: from now on a missing or empty data file is damage."""
    (directory / BIRTH).unlink(missing_ok=True)
    _sync(directory)


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
        remains = [name for name in (f"{DATA}.old", f"{DATA}.pack") if (directory / name).exists()]
        remains += [f"{BLOBS}/"] if blobs.is_dir() and any(each.is_dir() for each in blobs.iterdir()) else []
        if remains:
            raise Damaged(
                f"{data} is missing, but {' and '.join(remains)} beside it say that an image has been here",
                hint=f"put {DATA} back (from {DATA}.old or a copy), or awaken elsewhere: "
                f"python -m batos --image OTHER awaken",
            )
        directory.mkdir(parents=True, exist_ok=True)
        (directory / BIRTH).touch()
        _sync(directory)
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
