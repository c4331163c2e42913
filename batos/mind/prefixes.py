"""Prefixes: the keys and values of a prompt's beginning, computed once and kept.

What a persona is told before every question is the same text each time; its keys and values depend only on
the tokens, the base and the expert, so they are computed once, counted in the ledger and kept in the image as
a blob of safetensors beside the mind they belong to.  A later awakening maps the blob and answers its first
token without reading the text again.

`Prefixes` holds those in memory, least recently used out first; where they come from and go to is a `Shelf`:
two functions, so that the engine knows no image.  `ImageShelf` is the one that keeps them there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from batos import errors
from batos.mind.adapters import read_header
from batos.mind.incarnation import checksum, committed, own, proxy, workshop
from batos.mind.ledger import Ledger

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)
KEPT = 64  # prefixes of a mind in the image; the one used longest ago goes first
ARITHMETIC = 2  # another number when a forward of ours comes out otherwise, be it in the last digit

Tensors = list[tuple["torch.Tensor", "torch.Tensor"]]  # by layer: keys and values (1, heads, T, size)


class Shelf(Protocol):
    def find(self, key: str) -> Tensors | None: ...

    def keep(self, key: str, tokens: int, expert: str | None, tensors: Tensors) -> None: ...


def key_of(tokens: Sequence[int], expert: str | None, computed: str) -> str:
    """What keys and values depend on, besides the base they are kept with: tokens, expert (its digest), and how they
    were `computed` (width, device, library).  What an earlier edition kept is not what this one would compute."""
    told = json.dumps([list(tokens), expert, computed, ARITHMETIC])
    return hashlib.sha256(told.encode()).hexdigest()


class Prefixes:
    """Prefixes in memory, by key; none larger than the ledger admits."""

    def __init__(self, ledger: Ledger, shelf: Shelf | None = None):
        self._ledger = ledger
        self._shelf = shelf
        self._held: OrderedDict[str, Tensors] = OrderedDict()
        self.counters = {"hit": 0, "from_image": 0, "computed": 0, "dropped": 0}

    def find(self, key: str) -> Tensors | None:
        """The prefix, from memory or from the shelf; None where nobody computed it yet."""
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
            self.counters["hit"] += 1
            return found
        found = self._shelf.find(key) if self._shelf is not None else None
        if found is not None:
            self.counters["from_image"] += 1
            self._hold(key, found)
        return found

    def add(self, key: str, tokens: int, expert: str | None, tensors: Tensors) -> None:
        """Hold what was computed, and put it on the shelf."""
        self.counters["computed"] += 1
        self._hold(key, tensors)
        if self._shelf is not None:
            self._shelf.keep(key, tokens, expert, tensors)

    def _hold(self, key: str, tensors: Tensors) -> None:
        size = size_of(tensors)
        while True:
            try:
                self._ledger.admit("prefixes", size)
            except errors.TooLarge:
                if not self.drop_one():
                    return  # it serves this once and is not held
            else:
                self._held[key] = tensors
                return

    def drop_one(self) -> bool:
        """Give back the room of the one used longest ago; False if there is none."""
        if not self._held:
            return False
        _, tensors = self._held.popitem(last=False)
        self._ledger.release("prefixes", size_of(tensors))
        self.counters["dropped"] += 1
        return True

    def clear(self) -> None:
        while self.drop_one():
            pass


def size_of(tensors: Tensors) -> int:
    return sum(keys.nbytes + values.nbytes for keys, values in tensors)


class ImageShelf:
    """Prefixes in the image, in `prefixes` of the record of the mind in use."""

    def __init__(self, image: Any, device: str):
        self._image = image
        self._device = device

    def find(self, key: str) -> Tensors | None:
        """Mapped from its blob; what is damaged counts as not there and is computed again."""
        import torch

        def read(root: Any) -> tuple[Path, str] | None:
            found = _shelf(root).get(key)
            return found and (committed(found.blob, f"the prefix {key[:12]}", ""), found.xxh3)

        try:
            found = self._image.run("where a prefix is", read)
            if found is None or checksum(found[0]) != found[1]:
                return None
            tensors, _, start = read_header(found[0])
        except errors.BatosError as exc:
            log.warning("a prefix cannot be read and is computed again: %s", exc)
            return None
        import numpy

        raw = torch.from_numpy(numpy.memmap(found[0], numpy.uint8, "c"))

        def tensor(name: str) -> torch.Tensor:
            entry = tensors[name]
            begin, end = entry["data_offsets"]
            dtype = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[entry["dtype"]]
            return raw[start + begin : start + end].view(dtype).view(entry["shape"]).to(self._device)

        return [(tensor(f"keys.{i:04d}"), tensor(f"values.{i:04d}")) for i in range(len(tensors) // 2)]

    def keep(self, key: str, tokens: int, expert: str | None, tensors: Tensors) -> None:
        """In a thread of its own: who waits for the first token does not wait for the disk."""
        copies = [(keys.cpu().clone(), values.cpu().clone()) for keys, values in tensors]
        work = (key, tokens, expert, copies)
        threading.Thread(target=self._keep, args=work, name="prefix", daemon=True).start()

    def _keep(self, key: str, tokens: int, expert: str | None, tensors: Tensors) -> None:
        from safetensors.torch import save_file

        try:
            with workshop(self._image) as place:
                file = place / "prefix.safetensors"
                named = {}
                for layer, (keys, values) in enumerate(tensors):
                    named[f"keys.{layer:04d}"] = keys.contiguous()
                    named[f"values.{layer:04d}"] = values.contiguous()
                save_file(named, file)
                waiting = own(file)
                self._image.check_space()

                def store(root: Any) -> None:
                    shelf = _shelf(root)
                    slots = waiting.slots(root)
                    shelf[key] = proxy(root, f"prefix {key[:12]}", tokens=tokens, expert=expert, **slots)
                    while len(shelf) > KEPT:
                        del shelf[min(shelf, key=lambda each: shelf[each]._p_serial)]  # written longest ago

                self._image.run(f"keep the beginning of a prompt, {tokens} tokens", store, "batos")
        except errors.BatosError as exc:
            log.warning("a prefix could not be kept: %s", exc)


def _shelf(root: Any) -> Any:
    mind = root["pLLM_obj"]
    record = mind.minds[mind.model_id]
    if "prefixes" not in record._slots:
        record.prefixes = {}
    return record.prefixes
