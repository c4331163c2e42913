"""Incarnation: model files become part of the image, and are loaded from it again.

Owns the road between a folder of model files and `pLLM_obj`.  Each file of a base model is one blob behind
a proxy object.  A file of somebody else's is copied into the image's own folder, hashed while it is read
and compared after it is written; one that is the image's own already (fetched, quantised) *becomes* the
blob, by a second name for the same bytes, so that a model needs its size on the disk once and not twice.
Only then is it committed.  Loading makes a folder of links to the committed blobs and maps them: no
archive, no network.

What is on its way lies in `incarnating/` beside the blobs, never in the machine's own folder for such
things, which may be small or memory; `tidy` takes away what a killed process left there.

`pLLM_obj` is the mind in use: model_id, origin, revision, licence, files (file name -> proxy with blob,
sha256, xxh3, bytes), digests (weights: over all weight files), shapes (of the layers an expert may adapt,
where the files do not tell them), max_rank and lora_repository.  `pLLM_obj.minds` keeps a record with the
same slots for each mind the image ever took in, until it is forgotten; going to another one copies its
record into `pLLM_obj`, in one transaction.  A mind has its own experts, because no adapter fits two.

What a model costs and whether it fits is `survey`'s; how a hub's files come here is `hub`'s, how files
become a model in memory `loading`'s, how adapters come in `experts`'.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash
from BTrees.OOBTree import OOBTree
from ZODB.blob import Blob
from ZODB.POSException import POSKeyError

from batos import errors
from batos.message import OWNER
from batos.mind.adapters import read_header
from batos.objects import UvmObject
from batos.objects.genesis import child

EMBEDDED = Path(__file__).parent / "embedded"  # the mind that ships with the package: base/, experts/NAME/
EMBEDDED_NAME = "embedded"
BATOS = "batos"  # who takes in what ships with the package: nobody asked for it
CHUNK = 1 << 20
WORK = "incarnating"  # the folder in the image's own where files wait until they are blobs
PASSING = "passing-"  # begins the name of a folder in it that no process but this one has any use for

# What a model folder may hold; pickled weights and code are left where they are.
MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.md", "LICENSE*", "LICENCE*")
INDEX = "model.safetensors.index.json"
# The slots that a record of a mind shares with `pLLM_obj`.
SHARED = ("model_id", "origin", "revision", "licence", "files", "digests", "shapes", "max_rank",
          "lora_repository")  # fmt: skip


def birth(root: Any) -> None:
    """A newborn image's `pLLM_obj`: a place for a mind, and none in it yet."""
    mind = child(
        root, "pLLM_obj",
        model_id=None, files={}, digests={}, origin="", revision="", licence="", shapes={}, max_rank=0,
        lora_repository=OOBTree(), minds={},
    )  # fmt: skip
    if (
        mind.model_id is not None and mind.model_id not in mind.minds
    ):  # an image from before there were several
        mind.minds[mind.model_id] = _record(root, {slot: mind._slots[slot] for slot in SHARED})


# Files and blobs


def digest(file: Path) -> tuple[str, str, int]:
    """(sha256, xxh3, bytes) of a file."""
    sure, fast, size = hashlib.sha256(), xxhash.xxh3_64(), 0
    with open(file, "rb") as stream:
        while chunk := stream.read(CHUNK):
            sure.update(chunk)
            fast.update(chunk)
            size += len(chunk)
    return sure.hexdigest(), fast.hexdigest(), size


def checksum(file: Path) -> str:
    """xxh3 of a file, as quick as it can be read."""
    fast = xxhash.xxh3_64()
    with open(file, "rb") as stream:
        while chunk := stream.read(CHUNK):
            fast.update(chunk)
    return fast.hexdigest()


def weights_digest(folder: str | Path) -> str:
    """One digest for all weight files of a model folder: what an adapter may name as its base.

    >>> weights_digest("batos/mind/embedded/base")                               # doctest: +SKIP
    '7c1f...'
    """
    return _weights_digest(
        {file.name: digest(file)[0] for file in sorted(Path(folder).glob("*.safetensors"))}
    )


def _weights_digest(sha256_of: dict[str, str]) -> str:
    lines = [f"{sha256}\n" for name, sha256 in sorted(sha256_of.items()) if name.endswith(".safetensors")]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@contextmanager
def workshop(image: Any) -> Iterator[Path]:
    """A folder beside the blobs for what is on its way in; gone at the end."""
    place = image.directory / WORK
    place.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=PASSING, dir=place) as made:
        yield Path(made)


def tidy(image: Any) -> None:
    """Take away what killed processes left: folders nobody works in, and fetched files that are blobs by now."""
    place = image.directory / WORK
    if not place.is_dir():
        return
    known = {
        f"{each['origin'].replace('/', '--')}@{each['revision'][:12]}"
        for each in minds(image)
        if each["revision"]
    }
    for each in place.iterdir():
        if each.name.startswith(PASSING) or each.name in known:
            shutil.rmtree(each, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file of the image's own, verified, that becomes a blob in the turn that refers to it."""

    path: Path
    sha256: str
    xxh3: str
    bytes: int

    def slots(self, root: Any) -> dict[str, Any]:
        """The slots of its proxy, the blob among them, in a turn.

        The blob is the file itself under a second name: no byte is copied, and until the commit stands the first
        name keeps it for another try.  Where the blobs lie on another disk it is copied by the storage.
        """
        blob = Blob()
        root.connection.add(blob)  # before it takes the file: so it takes it to the blobs' own disk
        other = self.path.with_name(f"{self.path.name}.blob")
        other.unlink(missing_ok=True)
        os.link(self.path, other)
        blob.consumeFile(str(other))
        return {"blob": blob, "sha256": self.sha256, "xxh3": self.xxh3, "bytes": self.bytes}


def own(file: Path) -> Waiting:
    """A file that lies in the image's own folder already, digested."""
    return Waiting(file, *digest(file))


def copied(file: Path, place: Path) -> Waiting:
    """A copy of somebody's file in `place`, read back and found equal; `Damaged` where it is not."""
    target = place / file.name
    shutil.copyfile(file, target)
    waiting = own(target)
    if digest(file)[0] != waiting.sha256:
        raise errors.Damaged(
            f"{file} came out differently when it was copied into the image; nothing was changed",
            hint="the file changed meanwhile, or the disk is failing: try again, then python -m batos doctor",
        )
    return waiting


def proxy(root: Any, name: str, **slots: Any) -> UvmObject:
    """An object that stands for a file."""
    made = UvmObject(root["genesis_obj"])
    made._name = name
    for slot, value in slots.items():
        setattr(made, slot, value)
    return made


def committed(blob: Blob, what: str, remedy: str) -> Path:
    """Where a blob's file lies; `Damaged` where it is gone."""
    try:
        return Path(blob.committed())
    except (POSKeyError, OSError) as exc:
        raise errors.Damaged(f"the blob of {what} is missing: {exc}", hint=remedy) from exc


def _check(path: Path, xxh3: str, what: str, remedy: str) -> None:
    try:
        found = checksum(path)
    except OSError as exc:
        raise errors.Damaged(f"{what} cannot be read: {exc}", hint=remedy) from exc
    if found != xxh3:
        raise errors.Damaged(f"{what} is damaged: {path} differs from what was ingested", hint=remedy)


# What a folder holds


def model_files(folder: str | Path) -> list[Path]:
    """The files of the model in `folder`, whole by their own word: every shard that is named is there, and
    every weight file is as long as its header says.

    Raises `BadRequest` where there is no model, `Refused` naming what is missing or damaged.
    """
    folder = Path(folder)
    files = sorted({file for pattern in MODEL_FILES for file in folder.glob(pattern) if file.is_file()})
    names = {file.name for file in files}
    if "config.json" not in names and "adapter_config.json" in names:
        raise errors.BadRequest(
            f"{folder} holds an adapter, not a model", hint=f"python -m batos experts --stage {folder}"
        )
    wanted = _weight_files(folder, names)
    if "config.json" not in names or not wanted:
        raise errors.BadRequest(
            f"{folder} holds no model: it needs config.json, tokenizer files and *.safetensors",
            hint="pickled weights (*.bin) are never loaded; save the model with safe_serialization",
        )
    if missing := sorted(wanted - names):
        raise errors.Refused(
            f"the model in {folder} is incomplete: {', '.join(missing[:3])} of {len(wanted)} weight files "
            f"{'is' if len(missing) == 1 else 'are'} missing",
            hint="fetch the whole model again",
        )
    if not names & {"tokenizer.json", "vocab.json", "tokenizer.model"}:
        raise errors.Refused(f"the model in {folder} is incomplete: it has no tokenizer (tokenizer.json)")
    files = [file for file in files if file.suffix != ".safetensors" or file.name in wanted]
    for file in files:
        try:
            if file.suffix == ".safetensors":
                read_header(file)
            elif file.suffix == ".json":
                json.loads(file.read_text())
        except (errors.Damaged, OSError, ValueError) as exc:
            raise errors.Refused(
                f"{file} is damaged: {exc}; nothing was changed", hint="fetch the model again"
            ) from exc
    return files


def _weight_files(folder: Path, names: set[str]) -> set[str]:
    """The safetensors files that are the model: those of the index, else the one, else all there are."""
    if INDEX in names:
        try:
            return set(json.loads((folder / INDEX).read_text())["weight_map"].values())
        except (ValueError, KeyError, AttributeError, OSError) as exc:
            raise errors.Refused(
                f"{folder / INDEX} is damaged: {exc!r}", hint="fetch the model again"
            ) from exc
    if "model.safetensors" in names:
        return {"model.safetensors"}
    return {name for name in names if name.endswith(".safetensors") and not name.startswith("adapter_")}


def licence_of(folder: str | Path) -> str:
    """The licence a model's folder tells: its card's, else the first line of its licence file, else "".

    >>> licence_of("batos/mind/embedded/base")                                   # doctest: +SKIP
    'MIT'
    """
    folder = Path(folder)
    card = folder / "README.md"
    if card.is_file():
        head = card.read_text(errors="replace")[:20_000]
        if head.startswith("---") and (found := re.search(r"^license:\s*(\S.*)$", head, re.MULTILINE)):
            return found[1].strip().strip("'\"")
    for file in sorted([*folder.glob("LICENSE*"), *folder.glob("LICENCE*")]):
        lines = [line.strip() for line in file.read_text(errors="replace").splitlines() if line.strip()]
        if lines:
            return lines[0][:80]
    return ""


# Minds


def ingest_model(
    image: Any,
    folder: str | Path,
    name: str,
    origin: str,
    licence: str = "",
    who: str = OWNER,
    *,
    revision: str = "",
    shapes: dict[str, list[int]] | None = None,
    ours: bool = False,
) -> dict[str, Any]:
    """Make the model in `folder` the mind of the image: `{"model_id", "files", "bytes", "sha256"}`.

    The folder is only read, unless it is `ours`: then its files become the blobs themselves.  A mind of that
    name and those weights that the image already has is only gone to.  Raises `BadRequest` or `Refused` if the
    folder holds no whole model, `Conflict` if another mind has the name, `ReadOnly` if the disk has no room,
    `Damaged` if a copy differs; nothing is changed then.

    shapes  layer path -> (out, in) of what experts may adapt, for weights whose files do not tell it
            (4-bit ones are packed); None: the files' own
    """
    files = model_files(folder)
    before = _known(image, name)
    if before is not None and before["weights"] != weights_digest_of(files):
        raise errors.Conflict(
            f"this image has another mind called {name}",
            hint=f"python -m batos minds --forget {name}, or give the folder another name",
        )
    if before is not None and before["whole"]:
        use(image, name, who)
        return {
            "model_id": name,
            **{key: before[key] for key in ("files", "bytes")},
            "sha256": before["weights"],
        }
    if not ours:
        image.check_space(sum(file.stat().st_size for file in files))

    def keep(root: Any) -> None:
        mind = root["pLLM_obj"]
        slots = {
            "model_id": name, "origin": origin, "revision": revision, "licence": licence,
            "files": {file: proxy(root, file, **each.slots(root)) for file, each in waiting.items()},
            "digests": {"weights": weights}, "shapes": shapes or {},
        }  # fmt: skip
        known = mind.minds.get(name)  # the same weights, whose blobs were damaged: its experts stay
        slots |= {
            "max_rank": known.max_rank if known else 0,
            "lora_repository": known.lora_repository if known else OOBTree(),
        }
        mind.minds[name] = _record(root, slots)
        _go_to(mind, name)

    with workshop(image) as place:
        waiting = {file.name: own(file) if ours else copied(file, place) for file in files}
        weights = _weights_digest({file: each.sha256 for file, each in waiting.items()})
        image.run(f"incarnate {name}", keep, who)
    size = sum(each.bytes for each in waiting.values())
    return {"model_id": name, "files": sorted(waiting), "bytes": size, "sha256": weights}


def weights_digest_of(files: list[Path]) -> str:
    """The digest of exactly these weight files."""
    return _weights_digest({file.name: digest(file)[0] for file in files if file.suffix == ".safetensors"})


def _known(image: Any, name: str) -> dict[str, Any] | None:
    """The mind of that name: weights, files, bytes, and whether its blobs are still what was ingested."""

    def read(root: Any) -> tuple[str, dict[str, tuple[str | None, str, int]]] | None:
        record = root["pLLM_obj"].minds.get(name)
        if record is None:
            return None
        files = record.files.items()
        return record.digests["weights"], {
            file: (path_or_none(each.blob), each.xxh3, each.bytes) for file, each in files
        }

    found = image.run(f"is there a mind {name}?", read)
    if found is None:
        return None
    weights, files = found
    try:
        whole = all(path and checksum(Path(path)) == xxh3 for path, xxh3, _ in files.values())
    except OSError:
        whole = False
    size = sum(size for _, _, size in files.values())
    return {"weights": weights, "files": sorted(files), "bytes": size, "whole": whole}


def _record(root: Any, slots: dict[str, Any]) -> UvmObject:
    return proxy(root, slots["model_id"], **slots)


def _go_to(mind: UvmObject, name: str) -> None:
    record = mind.minds[name]
    for slot in SHARED:
        value = record._slots[slot]
        # A mapping of its own: a change of one must not look like a change of the other.
        setattr(mind, slot, dict(value) if slot in ("files", "digests", "shapes") else value)


def minds(image: Any) -> list[dict[str, Any]]:
    """`[{"name", "used", "origin", "revision", "licence", "bytes", "experts", "sha256"}]`; reads no blob."""

    def read(root: Any) -> list[dict[str, Any]]:
        mind = root["pLLM_obj"]
        return [
            {
                "name": name,
                "used": name == mind.model_id,
                "origin": record.origin,
                "revision": record.revision,
                "licence": record.licence,
                "bytes": sum(each.bytes for each in record.files.values()),
                "experts": len(record.lora_repository),
                "sha256": record.digests["weights"],
            }
            for name, record in sorted(mind.minds.items())
        ]

    return image.run("which minds there are", read)


def use(image: Any, name: str, who: str = OWNER) -> bool:
    """Go to another mind of the image; False if it is the one in use.  Raises `NoSuchObject`."""

    def keep(root: Any) -> bool:
        mind = root["pLLM_obj"]
        _there(mind, name)
        if mind.model_id == name:
            return False
        _go_to(mind, name)
        return True

    return image.run(f"use the mind {name}", keep, who)


def forget(image: Any, name: str, who: str = OWNER) -> None:
    """Let a mind and its experts go; the next pack gives their room back.

    Raises `NoSuchObject`, and `Conflict` for the one in use.
    """

    def drop(root: Any) -> None:
        mind = root["pLLM_obj"]
        _there(mind, name)
        if mind.model_id == name:
            others = [each for each in sorted(mind.minds) if each != name]
            raise errors.Conflict(
                f"{name} is the mind in use",
                hint=f"python -m batos minds --use {others[0]}"
                if others
                else "python -m batos incarnate DIR_OR_HUB_ID",
            )
        del mind.minds[name]

    image.run(f"forget the mind {name}", drop, who)


def _there(mind: UvmObject, name: str) -> None:
    if name not in mind.minds:
        raise errors.NoSuchObject(
            f"this image has no mind {name!r}; it has {', '.join(sorted(mind.minds)) or 'none'}",
            hint="python -m batos minds",
        )


def identity(image: Any) -> tuple[str | None, str | None]:
    """(model_id, digest of the weights) of the image's mind, None where it has none."""

    def read(root: Any) -> tuple[str | None, str | None]:
        mind = root["pLLM_obj"]
        return mind.model_id, mind.digests.get("weights")

    return image.run("which mind this is", read)


def model_id(image: Any) -> str | None:
    """The name of the image's mind, None if it has none."""
    return identity(image)[0]


def max_rank(image: Any) -> int:
    """The highest rank in the repository: what the slots of a mind are made for."""
    return image.run("how wide experts are", lambda root: root["pLLM_obj"].max_rank)


def base_files(image: Any) -> dict[str, tuple[Path, str]]:
    """File name -> (committed blob, xxh3) of the mind; `NoMind` if the image has none."""

    def read(root: Any) -> dict[str, tuple[Path, str]]:
        files = root["pLLM_obj"].files
        if not files:
            raise errors.NoMind(
                "this image has no mind yet", hint="give it one: python -m batos incarnate DIR_OR_HUB_ID"
            )
        return {
            name: (committed(each.blob, f"the mind's {name}", INCARNATE_AGAIN), each.xxh3)
            for name, each in files.items()
        }

    return image.run("where the mind's files are", read)


INCARNATE_AGAIN = (
    "restore the image from a backup, or incarnate the mind again: python -m batos incarnate DIR_OR_HUB_ID"
)


@contextmanager
def load_folder(image: Any) -> Iterator[Path]:
    """A folder to load the mind from: links to the committed blobs, gone at the end.

    Every file is checked while the body loads it, and the end waits for that: what was loaded is to be believed
    behind the block and not before.  What was mapped from the folder stays valid.  Raises `NoMind`, or `Damaged`
    naming the file, whatever a damaged one did to the body.
    """
    files = base_files(image)
    damage: list[errors.Damaged] = []

    def check() -> None:
        for name, (path, xxh3) in files.items():
            try:
                _check(path, xxh3, f"the mind's {name}", INCARNATE_AGAIN)
            except errors.Damaged as exc:
                damage.append(exc)

    with workshop(image) as folder:
        for name, (path, _) in files.items():
            (folder / name).symlink_to(path.resolve())
        reader = threading.Thread(target=check, name="checksum", daemon=True)  # nobody waits for it at the end
        reader.start()
        try:
            yield folder
        finally:
            reader.join()
            if damage:
                raise damage[0]


def scrub(image: Any) -> Iterator[tuple[str, errors.Damaged | None]]:
    """(what, its damage or None) for every model file of the image, by sha256."""

    def read(root: Any) -> list[tuple[str, str, str, str | None]]:
        mind = root["pLLM_obj"]
        files = []
        for name, record in [(None, mind), *sorted(mind.minds.items())]:
            if name == mind.model_id:
                continue  # told as the mind in use
            of = "" if name is None else f" {name}"
            files += [
                (f"the mind{of}'s {file}", INCARNATE_AGAIN, each.sha256, path_or_none(each.blob))
                for file, each in record.files.items()
            ]
            for expert, each in record.lora_repository.items():
                remedy = f"python -m batos experts --stage lora_staging/{expert}"
                what = f"expert {expert}" + (f" of {name}" if name else "")
                files.append((what, remedy, each.sha256, path_or_none(each.model_blob)))
        return files

    for what, remedy, sha256, path in image.run("which model files there are", read):
        try:
            found = digest(Path(path))[0] if path else None
        except OSError:
            found = None
        damage = None
        if found != sha256:
            state = "is missing or cannot be read"
            if found is not None:
                state = f"is damaged: {path} differs from what was ingested"
            damage = errors.Damaged(f"{what} {state}", hint=remedy)
        yield what, damage


def path_or_none(blob: Blob) -> str | None:
    """Where a blob's file lies, None where it is gone."""
    try:
        return blob.committed()
    except (POSKeyError, OSError):
        return None
