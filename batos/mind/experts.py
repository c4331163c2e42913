"""Experts: LoRA adapters in the image's repository, taken in, renamed, replaced, given out again.

Each expert is a proxy in `pLLM_obj.lora_repository` (upper-case name -> proxy with adapter_name, model_blob,
rank, alpha, scale, sha256, xxh3, bytes, base, base_sha256, targets, config, version, earlier) and one blob:
the adapter as bf16 in peft's own words, layer by layer in the order of the memory manager's slots.

Staging needs no torch, so that an image that is asleep takes adapters in within seconds.  What an expert
replaces is kept as an earlier version, a few of them, and comes back with one word.  Where an expert is in
memory is `memory_manager`'s business.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import struct
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ZODB.POSException import POSKeyError

from batos import errors
from batos.message import OWNER
from batos.mind.adapters import ColdExpert, adapter_scale, adapter_tensors, read_header
from batos.mind.incarnation import base_files, checksum, committed, digest, identity, own, proxy, workshop

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
EARLIER = 4  # versions of an expert kept beside the newest


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


def stage_experts(image: Any, paths: Iterable[str | Path], who: str = OWNER) -> list[Staged]:
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
    files = base_files(image)
    shapes = image.run("what experts may adapt", lambda root: dict(root["pLLM_obj"].shapes))
    if shapes:
        return _Base(*identity(image), {path: list(shape) for path, shape in shapes.items()})
    for name, (path, _) in files.items():
        if name.endswith(".safetensors"):
            for tensor, entry in read_header(path)[0].items():
                if tensor.endswith(".weight") and len(entry["shape"]) == 2:
                    shapes[tensor.removesuffix(".weight")] = entry["shape"]
    return _Base(*identity(image), shapes)


def _stage(image: Any, folder: Path, name: str, base: _Base, who: str) -> Staged:
    checked_name(name)
    for each in (WEIGHTS, CONFIG):
        if not (folder / each).is_file():
            raise errors.Refused(f"there is no {each} in {folder}")
    config = _read_config(folder / CONFIG, base)
    source = hashlib.sha256((digest(folder / WEIGHTS)[0] + digest(folder / CONFIG)[0]).encode()).hexdigest()

    before = image.run(f"is there an expert {name}?", lambda root: _known(root, name))
    if before and before["source"] == source and _whole(before):
        return Staged(name, str(folder), "unchanged", rank=config["r"])
    header, numbers, targets = _convert(folder / WEIGHTS, config["r"], base)
    with workshop(image) as place:
        file = place / WEIGHTS
        with open(file, "wb") as stream:
            stream.write(struct.pack("<Q", len(header)) + header)
            stream.writelines(array.tobytes() for array in numbers)
        waiting = own(file)
        if before and before["sha256"] == waiting.sha256 and before["config"] == config and _whole(before):
            return Staged(name, str(folder), "unchanged", rank=config["r"])  # the same, written another way
        image.check_space()

        def keep(root: Any) -> None:
            mind = root["pLLM_obj"]
            if mind.digests.get("weights") != base.sha256:
                raise errors.Conflict("the image went to another mind meanwhile; nothing was changed")
            slots = waiting.slots(root)
            slots["model_blob"] = slots.pop("blob")
            slots |= {
                "adapter_name": name, "rank": config["r"], "alpha": config["lora_alpha"],
                "scale": adapter_scale(config), "base": base.model_id, "base_sha256": base.sha256,
                "targets": targets, "config": config, "source_sha256": source,
            }  # fmt: skip
            old = mind.lora_repository.get(name)
            earlier = [*old._slots.get("earlier", ()), old][-EARLIER:] if old is not None else []
            version = old._slots.get("version", 1) + 1 if old is not None else 1
            mind.lora_repository[name] = proxy(root, name, **slots, version=version, earlier=earlier)
            _widen(mind, config["r"])

        image.run(f"stage the expert {name}", keep, who)
    return Staged(
        name,
        str(folder),
        "replaced" if before else "ingested",
        rank=config["r"],
        bytes=waiting.bytes,
        sha256=waiting.sha256,
    )


def checked_name(name: str) -> str:
    """The name as experts are called; `Refused` where nobody could type it."""
    name = name.upper()
    if not re.fullmatch(r"[A-Z0-9][A-Z0-9_.-]{0,63}", name):
        raise errors.Refused(
            f"{name!r} cannot be an expert's name: letters, digits, _ . - and at most 64 of them"
        )
    return name


def _known(root: Any, name: str) -> dict[str, Any] | None:
    """What is known of an expert: where its blob lies, its digests and configuration."""
    found = root["pLLM_obj"].lora_repository.get(name)
    if found is None:
        return None
    try:
        path = found.model_blob.committed()
    except (POSKeyError, OSError):
        path = None
    return {
        "path": path,
        "source": found.source_sha256,
        "xxh3": found.xxh3,
        "sha256": found.sha256,
        "config": plain_config(found.config),
    }


def _whole(known: dict[str, Any]) -> bool:
    try:
        return known["path"] is not None and checksum(Path(known["path"])) == known["xxh3"]
    except OSError:
        return False


def plain_config(value: Any) -> Any:
    """A configuration out of the image as plain data."""
    if isinstance(value, Mapping):
        return {key: plain_config(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain_config(each) for each in value]
    return value


def _widen(mind: Any, rank: int) -> None:
    """Both the mind in use and its record say how wide its experts are."""
    for each in (mind, mind.minds[mind.model_id]):
        if rank > each.max_rank:
            each.max_rank = rank


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


# The repository


def experts(image: Any, mind: Any = None) -> list[dict[str, Any]]:
    """`[{"name", "base", "rank", "bytes", "tier"}]`: those of the mind in use by name, then those of the
    other minds; reads no blob.

    mind is the `Mind` that may hold some of them; without one every expert is cold.
    """

    def read(root: Any) -> tuple[str | None, list[dict[str, Any]]]:
        core = root["pLLM_obj"]
        others = [record for name, record in sorted(core.minds.items()) if name != core.model_id]
        return core.model_id, [
            {"name": name, "base": each.base, "rank": each.rank, "bytes": each.bytes}
            for of in (core, *others)
            for name, each in of.lora_repository.items()
        ]

    used, listed = image.run("which experts there are", read)
    return [
        {**each, "tier": mind.tier(each["name"]) if mind and each["base"] == used else "cold"}
        for each in listed
    ]


def find_expert(image: Any, name: str) -> ColdExpert | None:
    """The expert of that name for the mind the image has now, or None."""

    def read(root: Any) -> ColdExpert | None:
        mind = root["pLLM_obj"]
        found = mind.lora_repository.get(name.upper())
        if found is None or found.base_sha256 != mind.digests["weights"]:
            return None
        remedy = f"python -m batos experts --stage lora_staging/{name.upper()}"
        path = committed(found.model_blob, f"expert {name.upper()}", remedy)
        return ColdExpert(name.upper(), path, found.rank, found.scale, found.bytes, found.xxh3)

    return image.run(f"where the expert {name.upper()} is", read)


def _there(mind: Any, name: str) -> Any:
    found = mind.lora_repository.get(name)
    if found is None:
        others = [each for each in sorted(mind.minds) if name in mind.minds[each].lora_repository]
        raise errors.NoSuchObject(
            f"the mind {mind.model_id} has no expert {name}" + (f"; {others[0]} has one" if others else ""),
            hint=f"python -m batos minds --use {others[0]}" if others else "python -m batos experts",
        )
    return found


def export_expert(image: Any, name: str, directory: str | Path) -> dict[str, Any]:
    """Write an expert to `directory/NAME/` in the form that peft and vLLM load: its weights as bf16 in
    safetensors and `adapter_config.json`; `{"name", "path", "bytes", "sha256"}`.

    The folder appears whole or not at all.  Raises `NoSuchObject`, `Conflict` where something else is in
    its place, `Damaged` where the blob differs from what was ingested.
    """
    name = name.upper()

    def read(root: Any) -> tuple[Path, str, dict[str, Any]]:
        found = _there(root["pLLM_obj"], name)
        path = committed(found.model_blob, f"expert {name}", f"python -m batos experts --remove {name}")
        return path, found.sha256, plain_config(found.config)

    path, sha256, config = image.run(f"where the expert {name} is", read)
    target = Path(directory) / name
    text = json.dumps({**config, "inference_mode": True}, indent=2, sort_keys=True) + "\n"
    if target.exists():
        if not _same(target, sha256, text):
            raise errors.Conflict(
                f"{target} is there already and is something else; nothing was written",
                hint=f"python -m batos experts --export {name} ANOTHER_DIR",
            )
    else:
        Path(directory).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=directory) as made:
            part = Path(made) / name
            part.mkdir()
            shutil.copyfile(path, part / WEIGHTS)
            if digest(part / WEIGHTS)[0] != sha256:
                raise errors.Damaged(
                    f"expert {name} is damaged: {path} differs from what was ingested",
                    hint=f"python -m batos experts --stage lora_staging/{name}",
                )
            (part / CONFIG).write_text(text)
            os.rename(part, target)
    size = (target / WEIGHTS).stat().st_size
    return {"name": name, "path": str(target), "bytes": size, "sha256": sha256}


def _same(folder: Path, sha256: str, config: str) -> bool:
    try:
        return digest(folder / WEIGHTS)[0] == sha256 and (folder / CONFIG).read_text() == config
    except OSError:
        return False


def rename_expert(image: Any, old: str, new: str, who: str = OWNER) -> None:
    """Call an expert otherwise.  Raises `NoSuchObject`, `Refused` (no name), `Conflict` (a name taken)."""
    old, new = old.upper(), checked_name(new)

    def rename(root: Any) -> None:
        mind = root["pLLM_obj"]
        found = _there(mind, old)
        if new == old:
            return
        if new in mind.lora_repository:
            raise errors.Conflict(
                f"there is an expert {new} already", hint=f"python -m batos experts --remove {new}"
            )
        del mind.lora_repository[old]
        mind.lora_repository[new] = found
        found.adapter_name = new

    image.run(f"rename the expert {old} to {new}", rename, who)


def remove_expert(image: Any, name: str, who: str = OWNER) -> None:
    """Take an expert, and its earlier versions, out of the repository.  Raises `NoSuchObject`."""
    name = name.upper()

    def remove(root: Any) -> None:
        mind = root["pLLM_obj"]
        _there(mind, name)
        del mind.lora_repository[name]

    image.run(f"remove the expert {name}", remove, who)


def expert_versions(image: Any, name: str) -> list[dict[str, Any]]:
    """`[{"version", "installed", "rank", "bytes", "sha256"}]` of an expert, oldest first."""
    name = name.upper()

    def read(root: Any) -> list[dict[str, Any]]:
        found = _there(root["pLLM_obj"], name)
        return [
            {
                "version": each._slots.get("version", 1),
                "installed": each is found,
                "rank": each.rank,
                "bytes": each.bytes,
                "sha256": each.sha256,
            }
            for each in sorted(
                [*found._slots.get("earlier", ()), found], key=lambda each: each._slots.get("version", 1)
            )
        ]

    return image.run(f"versions of the expert {name}", read)


def revert_expert(image: Any, name: str, version: int | None = None, who: str = OWNER) -> int:
    """Put an earlier version of an expert in its place again, by default the one before; its number.

    What it replaces stays among the versions.  Raises `NoSuchObject` where there is no such version.
    """
    name = name.upper()

    def revert(root: Any) -> int:
        mind = root["pLLM_obj"]
        found = _there(mind, name)
        earlier = list(found._slots.get("earlier", ()))
        kept = [each for each in earlier if version is None or each._slots.get("version", 1) == version]
        if not kept:
            wanted = "earlier version" if version is None else f"version {version}"
            raise errors.NoSuchObject(f"expert {name} has no {wanted}", hint="python -m batos experts")
        chosen = kept[-1]
        chosen.earlier = [each for each in [*earlier, found] if each is not chosen][-EARLIER:]
        found.earlier = []
        mind.lora_repository[name] = chosen
        _widen(mind, chosen.rank)
        return chosen._slots.get("version", 1)

    return image.run(f"revert the expert {name}", revert, who)
