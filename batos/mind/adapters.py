"""Adapters: safetensors files, and what peft's words in them mean.

Reads headers only.  Where an adapter's numbers go is `slots`' business, which of them may enter the image
`experts`'.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batos import errors


@dataclass(frozen=True, slots=True)
class ColdExpert:
    """Where an expert's file lies and what is known of it without reading it.

    scale is the factor of B·A·x, alpha / rank (alpha / sqrt(rank) for rank-stabilised adapters);
    xxh3 the checksum of the whole file, or None where nobody keeps one (a training script's folder).
    """

    name: str
    path: Path
    rank: int
    scale: float
    bytes: int
    xxh3: str | None = None


def read_header(file: Path) -> tuple[dict[str, Any], dict[str, str], int]:
    """(tensors, metadata, offset of the data) of a safetensors file; raises `Damaged` if it is none.

    The format: eight bytes length, that much JSON, then the numbers without gaps
    (https://github.com/huggingface/safetensors#format).
    """
    try:
        size = file.stat().st_size
        with open(file, "rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > min(size - 8, 100_000_000):
                raise ValueError("the header is longer than the file")
            tensors = json.loads(stream.read(length))
        metadata = tensors.pop("__metadata__", {})
        end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
        if 8 + length + end != size:
            raise ValueError(f"{size} bytes where {8 + length + end} belong")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as exc:
        raise errors.Damaged(f"{file} is not a whole safetensors file: {exc}") from exc
    return tensors, metadata, 8 + length


def adapter_tensors(tensors: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Layer path -> names of its (A, B), of the tensors of a file that peft wrote.

    >>> adapter_tensors({"base_model.model.q.lora_A.weight": 0, "base_model.model.q.lora_B.weight": 0})
    {'q': ('base_model.model.q.lora_A.weight', 'base_model.model.q.lora_B.weight')}
    """
    pairs = {}
    for name in tensors:
        path, found, _ = name.partition(".lora_A.")
        if found:
            pairs[path.removeprefix("base_model.model.")] = (name, name.replace(".lora_A.", ".lora_B."))
    return pairs


def adapter_scale(config: dict[str, Any]) -> float:
    """The factor of an adapter's product, from its `adapter_config.json`: alpha / rank, or
    alpha / sqrt(rank) where it is rank-stabilised.

    >>> adapter_scale({"r": 16, "lora_alpha": 32})
    2.0
    """
    rank = config["r"]
    return config["lora_alpha"] / (math.sqrt(rank) if config.get("use_rslora") else rank)
