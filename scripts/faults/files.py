"""Files as an outsider sees them: adapters made up for ingestion, blobs against the records that name them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import batos

DATA, BLOBS = "live_image.fs", "live_image.fs.blob"  # section 6 of the contract
EMBEDDED = Path(batos.__file__).parent / "mind" / "embedded" / "experts"


def adapter(folder: Path, number: int) -> Path:
    """A valid adapter that differs from every other number's: BRICK's, with other low bits in its last weights."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in (EMBEDDED / "BRICK").iterdir():
        shutil.copyfile(each, folder / each.name)
    with (folder / "adapter_model.safetensors").open("r+b") as file:
        for place in range(1, 5):  # low bytes of little-endian bf16: still ordinary numbers
            file.seek(-2 * place, 2)
            file.write(bytes([number >> (8 * (place - 1)) & 0xFF]))
    return folder


@dataclass
class Blobs:
    """What the records of an image name, against the files in its blob folder."""

    whole: list[Path]  # files that a record names, relative to the image's folder
    missing: list[str]  # blobs that a record names and that are not there
    orphans: list[str]  # files that no record names


def blobs_of(image: Path) -> Blobs:
    """Read from the data file of an image nobody has open, record by record: ZODB's own format, not batos."""
    from ZODB.blob import is_blob_record
    from ZODB.FileStorage import FileIterator

    named = set()
    for transaction in FileIterator(str(image / DATA)):
        for record in transaction:
            if record.data and is_blob_record(record.data):
                named.add((record.oid, record.tid))
    folder = image / BLOBS
    found: dict[object, Path] = {}
    for path in folder.rglob("*"):
        if path.is_dir() or path.name in (".layout", ".lock"):
            continue
        oid = bytes(int(part, 16) for part in path.parent.relative_to(folder).parts if part.startswith("0x"))
        tid = path.name.removesuffix(".blob")
        is_blob = len(oid) == 8 and path.suffix == ".blob" and tid.startswith("0x")
        found[(oid, bytes.fromhex(tid[2:])) if is_blob else path] = path.relative_to(image)
    return Blobs(
        sorted(found[each] for each in found.keys() & named),
        sorted(f"oid 0x{oid.hex()} of 0x{tid.hex()}" for oid, tid in named - found.keys()),
        sorted(str(found[each]) for each in found.keys() - named),
    )
