"""Incarnation: model files become part of the image, and are loaded from it again.

Owns the road between a folder of model files and `pLLM_obj`.  Each file of a base model or of an expert
is one blob behind a proxy object; it is hashed while it is read, compared after it is written, and only
then committed.  Loading makes a folder of links to the committed blobs and maps them: no archive, no
second copy on the disk.

`pLLM_obj` holds: model_id, origin, licence, files (file name -> proxy with blob, sha256, xxh3, bytes),
digests (weights: over all weight files), max_rank, and lora_repository (upper-case name -> proxy with
adapter_name, model_blob, rank, alpha, scale, sha256, xxh3, bytes, base, base_sha256, targets, config).

Experts are staged without torch, so that an image that is asleep takes them in within seconds; they are
kept as bf16 in peft's own words, layer by layer in the order of the memory manager's slots.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import xxhash
from BTrees.OOBTree import OOBTree
from ZODB.blob import Blob
from ZODB.POSException import POSKeyError

from batos import errors
from batos.mind.memory_manager import ColdExpert, adapter_scale, adapter_tensors, read_header
from batos.objects import UvmObject
from batos.objects.genesis import child

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
EMBEDDED = Path(__file__).parent / "embedded"  # the mind that ships with the package: base/, experts/NAME/
EMBEDDED_NAME = "embedded"
BATOS = "batos"  # who takes in what ships with the package: nobody asked for it
CHUNK = 1 << 20

# What a model folder may hold; pickled weights and code are left where they are.
MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.md", "LICENSE*", "LICENCE*")


@dataclass(frozen=True, slots=True)
class Staged:
    """What became of one adapter that was handed to `stage_experts`."""

    name: str
    path: str
    outcome: str  # "ingested", "replaced", "unchanged", "refused"
    reason: str | None = None
    rank: int | None = None
    bytes: int | None = None
    sha256: str | None = None

    def to_data(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


def birth(root: Any) -> None:
    """A newborn image's `pLLM_obj`: a place for a mind, and none in it yet."""
    child(
        root, "pLLM_obj",
        model_id=None, files={}, digests={}, origin="", licence="", max_rank=0, lora_repository=OOBTree(),
    )  # fmt: skip


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


def _ingest(image: Any, file: Path) -> dict[str, Any]:
    """A file as a blob that was read back and found equal; the slots of its proxy."""
    sha256, xxh3, size = digest(file)
    blob = image.blob_from(file)
    with blob.open("r") as kept:
        written = hashlib.file_digest(kept, "sha256").hexdigest()
    if written != sha256:
        raise errors.Damaged(
            f"{file} came out differently when it was copied into the image; nothing was changed",
            hint="the file changed meanwhile, or the disk is failing: try again, then python -m batos doctor",
        )
    return {"blob": blob, "sha256": sha256, "xxh3": xxh3, "bytes": size}


def _proxy(root: Any, name: str, **slots: Any) -> UvmObject:
    """An object that stands for a file."""
    proxy = UvmObject(root["genesis_obj"])
    proxy._name = name
    for slot, value in slots.items():
        setattr(proxy, slot, value)
    return proxy


def _committed(blob: Blob, what: str, remedy: str) -> Path:
    try:
        return Path(blob.committed())
    except (POSKeyError, OSError) as exc:
        raise errors.Damaged(f"the blob of {what} is missing: {exc}", hint=remedy) from exc


def _check(path: Path, xxh3: str, what: str, remedy: str) -> None:
    try:
        found = digest(path)[1]
    except OSError as exc:
        raise errors.Damaged(f"{what} cannot be read: {exc}", hint=remedy) from exc
    if found != xxh3:
        raise errors.Damaged(f"{what} is damaged: {path} differs from what was ingested", hint=remedy)


# The base


def ingest_model(
    image: Any, folder: str | Path, name: str, origin: str, licence: str = "", who: str = "user"
) -> dict[str, Any]:
    """Make the model in `folder` the mind of the image: `{"model_id", "files", "bytes", "sha256"}`.

    The folder is only read.  Raises `BadRequest` if it holds no model, `ReadOnly` if the disk has no
    room, `Damaged` if a copy differs; nothing is changed then.  The experts in the repository stay;
    those of another base are not found until it returns.
    """
    folder = Path(folder)
    files = sorted({file for pattern in MODEL_FILES for file in folder.glob(pattern) if file.is_file()})
    names = {file.name for file in files}
    if "config.json" not in names or not any(each.endswith(".safetensors") for each in names):
        raise errors.BadRequest(
            f"{folder} holds no model: it needs config.json, tokenizer files and *.safetensors",
            hint="pickled weights (*.bin) are never loaded; save the model with safe_serialization",
        )
    for file in files:
        if file.suffix == ".safetensors":
            read_header(file)
    image.check_space(sum(file.stat().st_size for file in files))
    kept = {file.name: _ingest(image, file) for file in files}
    weights = _weights_digest({file: slots["sha256"] for file, slots in kept.items()})

    def keep(root: Any) -> None:
        mind = root["pLLM_obj"]
        mind.model_id = name
        mind.origin = origin
        mind.licence = licence
        mind.digests = {"weights": weights}
        mind.files = {file: _proxy(root, file, **slots) for file, slots in kept.items()}

    image.run(f"incarnate {name}", keep, who)
    size = sum(slots["bytes"] for slots in kept.values())
    return {"model_id": name, "files": sorted(kept), "bytes": size, "sha256": weights}


def ensure_embedded(image: Any, folder: Path = EMBEDDED) -> list[Staged]:
    """Give an image without a mind the embedded one, and its experts by the road of `lora_staging`.

    Does nothing where there is a mind; what a kill interrupted is completed.
    """

    def state(root: Any) -> tuple[str | None, bool]:
        mind = root["pLLM_obj"]
        return mind.model_id, mind._slots.get("embedded_staged", False)

    name, staged = image.run("is there a mind?", state)
    if name not in (None, EMBEDDED_NAME) or staged or not (folder / "base" / "config.json").is_file():
        return []
    if name is None:
        ingest_model(image, folder / "base", EMBEDDED_NAME, "made by this project", "as the package", BATOS)
    reports = stage_experts(image, [folder / "experts"], BATOS) if (folder / "experts").is_dir() else []

    def done(root: Any) -> None:
        root["pLLM_obj"].embedded_staged = True

    image.run("the embedded mind is whole", done, BATOS)
    return reports


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
            name: (_committed(proxy.blob, f"the mind's {name}", _INCARNATE_AGAIN), proxy.xxh3)
            for name, proxy in files.items()
        }

    return image.run("where the mind's files are", read)


_INCARNATE_AGAIN = (
    "restore the image from a backup, or incarnate the mind again: python -m batos incarnate DIR_OR_HUB_ID"
)


@contextmanager
def load_folder(image: Any) -> Iterator[Path]:
    """A folder to load the mind from: links to the committed blobs, each checked, gone at the end.

    What was mapped from it stays valid.  Raises `NoMind`, or `Damaged` naming the file.
    """
    with tempfile.TemporaryDirectory(prefix="batos-mind-") as made:
        folder = Path(made)
        for name, (path, xxh3) in base_files(image).items():
            _check(path, xxh3, f"the mind's {name}", _INCARNATE_AGAIN)
            (folder / name).symlink_to(path.resolve())
        yield folder


# Experts


def stage_experts(image: Any, paths: Iterable[str | Path], who: str = "user") -> list[Staged]:
    """Take adapters into the repository, each in a turn of its own; answers what became of each.

    A path is an adapter's folder, a folder of such folders, or an `adapter_model.safetensors` with its
    `adapter_config.json` beside it; the name is the folder's, upper-cased.  What is the same already is
    left alone, what has the same name is replaced, what does not fit is refused with the reason.
    Raises `NoSuchFile` for a path that is not there and `NoMind` if there is no base to compare with.
    """
    folders = [folder for path in paths for folder in _adapter_folders(Path(path))]
    base = _base(image) if folders else None
    reports: list[Staged] = []
    for folder in folders:
        name = folder.resolve().name.upper()
        try:
            if any(name == report.name and report.outcome != "refused" for report in reports):
                raise errors.Refused(f"there are two adapters called {name} among the given ones")
            report = _stage(image, folder, name, base, who)
        except (errors.Refused, errors.Damaged) as exc:
            report = Staged(name, str(folder), "refused", str(exc))
        reports.append(report)
    return reports


def _adapter_folders(path: Path) -> list[Path]:
    if not path.exists():
        raise errors.NoSuchFile(
            f"there is no {path}", hint="python -m batos experts --stage lora_staging/NAME"
        )
    if path.is_file() and path.name == WEIGHTS:
        return [path.parent]
    if path.is_file() or (path / WEIGHTS).exists() or (path / CONFIG).exists():
        return [path]
    return sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))


@dataclass(frozen=True, slots=True)
class _Base:
    model_id: str
    sha256: str
    shapes: dict[str, list[int]]  # layer path -> (out, in)


def _base(image: Any) -> _Base:
    shapes = {}
    for name, (path, _) in base_files(image).items():
        if name.endswith(".safetensors"):
            for tensor, entry in read_header(path)[0].items():
                if tensor.endswith(".weight") and len(entry["shape"]) == 2:
                    shapes[tensor.removesuffix(".weight")] = entry["shape"]
    return _Base(*identity(image), shapes)


def _stage(image: Any, folder: Path, name: str, base: _Base, who: str) -> Staged:
    if not re.fullmatch(r"[A-Z0-9][A-Z0-9_.-]{0,63}", name):
        raise errors.Refused(
            f"{name!r} cannot be an expert's name: letters, digits, _ . - and at most 64 of them"
        )
    for each in (WEIGHTS, CONFIG):
        if not (folder / each).is_file():
            raise errors.Refused(f"there is no {each} in {folder}")
    config = _read_config(folder / CONFIG, base)
    source = hashlib.sha256((digest(folder / WEIGHTS)[0] + digest(folder / CONFIG)[0]).encode()).hexdigest()

    def known(root: Any) -> tuple[str, str | None, str | None] | None:
        proxy = root["pLLM_obj"].lora_repository.get(name)
        if proxy is None:
            return None
        try:
            return proxy.source_sha256, proxy.xxh3, proxy.model_blob.committed()
        except (POSKeyError, OSError):
            return proxy.source_sha256, None, None

    before = image.run(f"is there an expert {name}?", known)
    if before and before[0] == source and before[2] and digest(Path(before[2]))[1] == before[1]:
        return Staged(name, str(folder), "unchanged", rank=config["r"])
    header, numbers, targets = _convert(folder / WEIGHTS, config["r"], base)
    with tempfile.TemporaryDirectory(prefix="batos-expert-") as made:
        file = Path(made) / WEIGHTS
        with open(file, "wb") as stream:
            stream.write(struct.pack("<Q", len(header)) + header)
            for array in numbers:
                stream.write(array.tobytes())
        kept = _ingest(image, file)
    slots = {
        "adapter_name": name,
        "model_blob": kept["blob"],
        "rank": config["r"],
        "alpha": config["lora_alpha"],
        "scale": adapter_scale(config),
        "sha256": kept["sha256"],
        "xxh3": kept["xxh3"],
        "bytes": kept["bytes"],
        "base": base.model_id,
        "base_sha256": base.sha256,
        "targets": targets,
        "config": config,
        "source_sha256": source,
    }

    def keep(root: Any) -> None:
        mind = root["pLLM_obj"]
        mind.lora_repository[name] = _proxy(root, name, **slots)
        if config["r"] > mind.max_rank:
            mind.max_rank = config["r"]

    image.run(f"stage the expert {name}", keep, who)
    return Staged(
        name,
        str(folder),
        "replaced" if before else "ingested",
        rank=config["r"],
        bytes=kept["bytes"],
        sha256=kept["sha256"],
    )


# Variants of LoRA that the slots cannot hold; an adapter that uses one would answer wrongly.
UNSUPPORTED = (
    "use_dora", "modules_to_save", "rank_pattern", "alpha_pattern", "fan_in_fan_out", "layer_replication",
    "alora_invocation_tokens", "target_parameters", "lora_bias", "trainable_token_indices", "arrow_config",
)  # fmt: skip


def _read_config(file: Path, base: _Base) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text())
        kind, rank, alpha = config["peft_type"], config["r"], config["lora_alpha"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise errors.Refused(f"{file} is not the configuration of an adapter: {exc!r}") from exc
    if kind != "LORA":
        raise errors.Refused(f"{file}: {kind} is not LORA")
    if not isinstance(rank, int) or not 1 <= rank <= 1024:
        raise errors.Refused(f"{file}: r = {rank!r} is no rank")
    if not isinstance(alpha, int | float) or not math.isfinite(alpha):
        raise errors.Refused(f"{file}: lora_alpha = {alpha!r} is no number")
    used = [option for option in UNSUPPORTED if config.get(option)]
    if config.get("bias", "none") != "none":
        used.append("bias")
    if used:
        raise errors.Refused(f"{file}: {', '.join(used)} cannot be kept in a slot; train a plain LoRA")
    named = config.get("base_sha256")
    if named and named != base.sha256:
        raise errors.Refused(
            f"{file}: it was made for another base ({config.get('base_model_name_or_path')}, "
            f"digest {named[:12]}), the mind here is {base.model_id}, digest {base.sha256[:12]}"
        )
    return config


def _convert(file: Path, rank: int, base: _Base) -> tuple[bytes, list[Any], list[str]]:
    """(header, arrays, targets) of the adapter as bf16, layers in order, A before B.

    Refuses what does not fit the base's shapes and what is not a finite number.
    """
    import numpy

    tensors, _, start = read_header(file)
    pairs = adapter_tensors(tensors)
    strange = set(tensors) - {name for pair in pairs.values() for name in pair}
    if not pairs or strange:
        what = f"{min(strange)!r} is not half of a LoRA pair" if strange else "it holds no LoRA"
        raise errors.Refused(f"{file}: {what}")
    raw = numpy.memmap(file, numpy.uint8, "r")
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    arrays, at = [], 0
    for path in sorted(pairs):
        if path not in base.shapes or path.rpartition(".")[2] in ("lm_head", "embed_out"):
            raise errors.Refused(
                f"{file}: it adapts {path}, which {base.model_id} does not let adapt: wrong base?"
            )
        out, into = base.shapes[path]
        for name, shape in zip(pairs[path], ([rank, into], [out, rank]), strict=True):
            entry = tensors.get(name)
            if entry is None:
                raise errors.Refused(f"{file}: {name!r} is missing")
            if entry["shape"] != shape:
                raise errors.Refused(
                    f"{file}: {name} is {entry['shape']}, {base.model_id} with rank {rank} wants {shape}: "
                    "wrong base?"
                )
            begin, end = entry["data_offsets"]
            array = _as_bf16(raw[start + begin : start + end], entry["dtype"])
            if array is None or array.size != shape[0] * shape[1]:
                raise errors.Refused(
                    f"{file}: {name} holds {entry['dtype']}, not floating-point numbers in full"
                )
            if not ((array & 0x7F80) != 0x7F80).all():
                raise errors.Refused(f"{file}: {name} holds numbers that are not finite")
            arrays.append(array)
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + array.nbytes]}
            at += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8), arrays, sorted(pairs)


def _as_bf16(raw: Any, dtype: str) -> Any:
    """The numbers as bf16, which numpy knows only by their bits, rounded to nearest even."""
    import numpy

    if dtype == "BF16":
        return raw.view(numpy.uint16)
    if dtype not in ("F32", "F16"):
        return None
    numbers = raw.view(numpy.float32 if dtype == "F32" else numpy.float16).astype(numpy.float32)
    bits = numbers.view(numpy.uint32)
    rounded = ((bits + (((bits >> 16) & 1) + 0x7FFF)) >> 16).astype(numpy.uint16)
    # The carry of the rounding would turn a not-a-number into something else.
    return numpy.where(numpy.isfinite(numbers), rounded, numpy.uint16(0x7FC0))


def experts(image: Any, mind: Any = None) -> list[dict[str, Any]]:
    """`[{"name", "base", "rank", "bytes", "tier"}]`, by name; reads no blob.

    mind is the `Mind` that may hold some of them; without one every expert is cold.
    """

    def read(root: Any) -> list[dict[str, Any]]:
        return [
            {"name": name, "base": proxy.base, "rank": proxy.rank, "bytes": proxy.bytes}
            for name, proxy in root["pLLM_obj"].lora_repository.items()
        ]

    listed = image.run("which experts there are", read)
    return [{**each, "tier": mind.tier(each["name"]) if mind else "cold"} for each in listed]


def find_expert(image: Any, name: str) -> ColdExpert | None:
    """The expert of that name for the mind the image has now, or None."""

    def read(root: Any) -> ColdExpert | None:
        mind = root["pLLM_obj"]
        proxy = mind.lora_repository.get(name.upper())
        if proxy is None or proxy.base_sha256 != mind.digests["weights"]:
            return None
        remedy = f"python -m batos experts --stage lora_staging/{name.upper()}"
        path = _committed(proxy.model_blob, f"expert {name.upper()}", remedy)
        return ColdExpert(name.upper(), path, proxy.rank, proxy.scale, proxy.bytes, proxy.xxh3)

    return image.run(f"where the expert {name.upper()} is", read)


def scrub(image: Any) -> Iterator[tuple[str, errors.Damaged | None]]:
    """(what, its damage or None) for every model file of the image, by sha256."""

    def read(root: Any) -> list[tuple[str, str, str, Blob]]:
        mind = root["pLLM_obj"]
        files = [
            (f"the mind's {name}", _INCARNATE_AGAIN, proxy.sha256, _path_or_none(proxy.blob))
            for name, proxy in mind.files.items()
        ]
        for name, proxy in mind.lora_repository.items():
            remedy = f"python -m batos experts --stage lora_staging/{name}"
            files.append((f"expert {name}", remedy, proxy.sha256, _path_or_none(proxy.model_blob)))
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


def _path_or_none(blob: Blob) -> str | None:
    try:
        return blob.committed()
    except (POSKeyError, OSError):
        return None
