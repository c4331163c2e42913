"""The ledger: what a mind takes, in bytes, before it takes them.

Owns the budget of one device and the sizes that are admitted to it, all computed from a model's own shapes:
its files' headers, its configuration.  Nothing here allocates, and nothing here is a constant of one
architecture.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from batos import errors
from batos.mind.adapters import read_header


class Ledger:
    """The byte budget of one device: every large allocation asks here first.

    >>> ledger = Ledger(100, "RAM"); ledger.admit("weights", 90); ledger.free
    10
    """

    def __init__(self, budget: float, device: str):
        self.budget = int(budget)
        self.device = device
        self._held: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def free(self) -> int:
        return self.budget - sum(self._held.values())

    def admit(self, entry: str, size: int) -> None:
        """Count `size` bytes more under `entry`, or raise `TooLarge` and count nothing."""
        with self._lock:
            if size > self.free:
                setting = "vram_bytes" if self.device == "VRAM" else "ram_bytes"
                raise errors.TooLarge(
                    f"{entry} of {size / 1e6:.1f} MB do not fit: {self.free / 1e6:.1f} of "
                    f"{self.budget / 1e6:.1f} MB {self.device} are free",
                    hint=f"raise {setting} in batos.toml, or choose a smaller mind, fewer slots or a "
                    "shorter prompt",
                )
            self._held[entry] = self._held.get(entry, 0) + size

    def release(self, entry: str, size: int) -> None:
        with self._lock:
            self._held[entry] -= size

    def table(self) -> dict[str, int]:
        with self._lock:
            return {**self._held, "budget": self.budget, "free": self.free}


def weight_bytes(folder: Path, itemsize: int | None = None, named: Iterable[str] = ("",)) -> int:
    """Bytes the weights in `folder` will take, from the shapes in the safetensors headers alone.

    itemsize is the width they are converted to; None keeps the width of the file.  named: only those with one
    of these words in their names.
    """
    total = 0
    for file in sorted(Path(folder).glob("*.safetensors")):
        for name, entry in read_header(file)[0].items():
            if not any(word in name for word in named):
                continue
            begin, end = entry["data_offsets"]
            numbers = 1
            for side in entry["shape"]:
                numbers *= side
            floating = entry["dtype"] in ("F64", "F32", "F16", "BF16")
            total += numbers * itemsize if itemsize and floating else end - begin
    return total


EMBEDDINGS = ("embed", "wte", "wpe", "lm_head")  # what the tables of words are called, whoever made the model


def embedding_bytes(folder: Path, itemsize: int | None = None) -> int:
    """The part of `weight_bytes` that are embeddings and the head: 2.1 of the 5.7 GB of an 8B in four bits."""
    return weight_bytes(folder, itemsize, EMBEDDINGS)


def workspace_bytes(config: Any, rows: int, columns: int, chunk: int, itemsize: int) -> int:
    """What one step holds for a moment at its worst, from the model's own shapes.

    A chunk of the prompt passes one layer at a time: its stream (in and out), the products of attention and
    of the larger of the two feed-forward sides, a mask of (rows, chunk, columns); then scores over the
    vocabulary in float32, sorted and summed where they are drawn from.  In four bits the largest matrix
    is unpacked to 16 bits.

    Llama-3.1-8B, one row of 4,096 columns in chunks of 512: 114 MB.
    """
    tokens = rows * min(chunk, columns)
    hidden = config.hidden_size
    wide = getattr(config, "intermediate_size", None) or 4 * hidden
    stream = tokens * (6 * hidden + 2 * wide) * itemsize
    mask = tokens * columns * itemsize
    scores = rows * config.vocab_size * 4 * 4
    packed = getattr(config, "quantization_config", None) is not None
    return stream + mask + scores + (hidden * wide * 2 if packed else 0)


def kv_bytes_per_token(config: Any, itemsize: int) -> int:
    """Keys and values of one token over all layers.

    Llama-3.1-8B in bf16: 2 * 32 layers * 8 heads * 128 * 2 bytes = 131,072.
    """
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers * heads * size * itemsize


def out_of_memory(exc: BaseException) -> bool:
    """Whether an allocator has nothing left: CUDA's own error, or what the CPU's says in words."""
    import torch

    told = isinstance(exc, RuntimeError) and "allocate memory" in str(exc)
    return told or isinstance(exc, MemoryError | torch.OutOfMemoryError)
