"""The memory manager: which experts are where, and what fits.

Owns three tiers of LoRA experts over one base model, and the ledger of bytes.

* hot: a fixed number of slots of one maximum rank, laid out as one flat tensor (slots, numbers); the
  matrices of every linear layer are views into it.  Activating an expert is one in-place copy of one
  row, whatever the number of layers; peft's load, set and delete costs hundreds of milliseconds of
  Python for the same bytes (FACTS).
* warm: the same flat row in RAM as bf16, least recently used out first, counted in bytes.
* cold: the adapter's own file, `adapter_model.safetensors` in peft's words, mapped and checked with a
  fast checksum before a byte of it is believed.

The price of fixed slots: smaller adapters carry zeros, and one of a higher rank than any before makes
all slots anew.  Rows of one batch may use different slots: the engine says
which rows through `routed`.  With nobody routed a layer answers exactly what the bare base answers, bit
for bit.

How adapters get into the image is `incarnation`'s business, how tokens are made `engine`'s.
"""

from __future__ import annotations

import asyncio
import json
import math
import struct
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos import errors

if TYPE_CHECKING:
    import torch

Metrics = Callable[..., None]  # metrics(event, value, **labels)


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


def weight_bytes(folder: Path, itemsize: int | None = None) -> int:
    """Bytes the weights in `folder` will take, from the shapes in the safetensors headers alone.

    itemsize is the width they are converted to; None keeps the width of the file.
    """
    total = 0
    for file in sorted(Path(folder).glob("*.safetensors")):
        for name, entry in read_header(file)[0].items():
            begin, end = entry["data_offsets"]
            numbers = 1
            for side in entry["shape"]:
                numbers *= side
            floating = entry["dtype"] in ("F64", "F32", "F16", "BF16")
            total += numbers * itemsize if itemsize and floating else end - begin
    return total


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


class Layout:
    """Where each linear layer's A (rank, in) and B (out, rank) lie in a slot's flat row.

    Layers stand in the order of their paths, A before B: the order in which `incarnation` writes an
    adapter's file, so that an adapter of the full rank over all layers is one contiguous copy.
    """

    def __init__(self, model: torch.nn.Module, rank: int):
        from torch import nn

        self.rank = rank
        head = model.get_output_embeddings()
        self.layers = {
            path: module
            for path, module in sorted(model.named_modules())
            if isinstance(module, nn.Linear) and module is not head
        }
        self.places: dict[str, tuple[int, int, int]] = {}  # path -> start of A, start of B, end of B
        at = 0
        for path, layer in self.layers.items():
            middle = at + rank * layer.in_features
            end = middle + layer.out_features * rank
            self.places[path] = (at, middle, end)
            at = end
        self.numbers = at

    def views(self, flat: torch.Tensor, path: str, rank: int | None = None) -> tuple[torch.Tensor, ...]:
        """(A, B) of a layer as views into `flat` (..., numbers), cut to the first `rank` dimensions."""
        start, middle, end = self.places[path]
        layer = self.layers[path]
        a = flat[..., start:middle].unflatten(-1, (self.rank, layer.in_features))  # (..., R, in)
        b = flat[..., middle:end].unflatten(-1, (layer.out_features, self.rank))  # (..., out, R)
        return a[..., :rank, :], b[..., :rank]

    def pack(self, expert: ColdExpert, out: torch.Tensor) -> None:
        """Read the expert's file into one flat row of bf16, ranks padded with zeros.

        Raises `Damaged` when the checksum differs from the one taken at ingestion, `Refused` when a
        tensor has no place in this base.
        """
        import numpy
        import torch
        import xxhash

        try:
            # Copy on write: torch asks for writable memory, the blob is never written.
            raw = numpy.memmap(expert.path, numpy.uint8, "c")
        except (OSError, ValueError) as exc:
            raise errors.Damaged(
                f"the file of expert {expert.name} cannot be read: {exc}", hint=_STAGE_AGAIN
            ) from exc
        if expert.xxh3 and xxhash.xxh3_64_hexdigest(raw) != expert.xxh3:
            raise errors.Damaged(
                f"expert {expert.name} is damaged: {expert.path} differs from what was ingested",
                hint=_STAGE_AGAIN,
            )
        tensors, _, base = read_header(expert.path)
        pairs = adapter_tensors(tensors)
        if expert.rank == self.rank and list(pairs) == list(self.places) and self._contiguous(tensors, pairs):
            out.copy_(torch.from_numpy(raw[base:]).view(torch.bfloat16))
            return
        out.zero_()
        for path, names in pairs.items():
            if path not in self.places:
                raise errors.Refused(f"expert {expert.name} adapts {path}, which this mind does not have")
            for name, place in zip(names, self.views(out, path, expert.rank), strict=True):
                entry = tensors[name]
                begin, end = entry["data_offsets"]
                numbers = torch.from_numpy(raw[base + begin : base + end]).view(_dtype(entry["dtype"]))
                if tuple(entry["shape"]) != tuple(place.shape):
                    raise errors.Refused(
                        f"expert {expert.name}: {name} is {entry['shape']}, this mind wants "
                        f"{list(place.shape)}"
                    )
                place.copy_(numbers.view(entry["shape"]))

    def _contiguous(self, tensors: dict[str, Any], pairs: dict[str, tuple[str, str]]) -> bool:
        at = 0
        for path, (a, b) in pairs.items():
            start, middle, end = self.places[path]
            for name, size in ((a, middle - start), (b, end - middle)):
                entry = tensors[name]
                if entry["dtype"] != "BF16" or entry["data_offsets"] != [at, at + 2 * size]:
                    return False
                at += 2 * size
        return True


_STAGE_AGAIN = "stage the adapter again: python -m batos experts --stage lora_staging/NAME"


def _dtype(word: str) -> torch.dtype:
    import torch

    return {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[word]


class Route:
    """Which rows of the batch now in the model use which slot: (first row, end row, slot, scale)."""

    def __init__(self) -> None:
        self.segments: list[tuple[int, int, int, float]] = []


class SlottedLinear:
    """The forward of one linear layer with slots beside it: y = Wx + scale · B(Ax) for routed rows.

    It takes the place of the layer's own `forward` rather than wrapping the module: the names of the
    weights stay, a 4-bit layer keeps its own arithmetic, and no second module call is paid.
    """

    __slots__ = ("a", "b", "plain", "route")

    def __init__(self, plain: Callable, a: torch.Tensor, b: torch.Tensor, route: Route):
        self.plain, self.route = plain, route
        self.a = [matrix.T for matrix in a]  # (in, R) each: a view, taken once rather than at every token
        self.b = [matrix.T for matrix in b]  # (R, out) each

    def __call__(self, x: torch.Tensor) -> torch.Tensor:  # (rows, tokens, in) -> (rows, tokens, out)
        y = self.plain(x)
        for first, end, slot, scale in self.route.segments:
            into, out = (x, y) if end - first == len(x) else (x[first:end], y[first:end])
            part = into.reshape(-1, into.shape[-1]).mm(self.a[slot])  # (rows * tokens, R)
            out.view(-1, out.shape[-1]).addmm_(part, self.b[slot], alpha=scale)
        return y


class MemoryManager:
    """Experts of one base model in three tiers.

    model          the loaded base; its linear layers get slots at once
    lookup(name)   the `ColdExpert` of an upper-case name, or None
    slots, rank    how many experts are hot at once, and the highest rank they may have
    warm_bytes     RAM for experts that are not hot
    ledger         where slots, warm rows (without CUDA) and `reserve` are admitted
    metrics        called as metrics("swap_ms", 0.3, tier="warm", expert="BRICK") and
                   metrics("expert_hit", 1, tier="hot", expert="BRICK"); its answer is not looked at
    """

    def __init__(
        self,
        model: torch.nn.Module,
        lookup: Callable[[str], ColdExpert | None],
        *,
        slots: int = 4,
        rank: int = 16,
        warm_bytes: float = 20e9,
        ledger: Ledger | None = None,
        metrics: Metrics | None = None,
    ):
        self.model = model
        self._ledger = ledger or Ledger(2**63 - 1, "RAM")
        self._lookup = lookup
        self._metrics = metrics or (lambda event, value, **labels: None)
        self._lock = threading.RLock()  # bookkeeping and copies; a generation holds pins, not this
        self._cuda = model.device.type == "cuda"
        self.route = Route()
        self._hot: OrderedDict[str, int] = OrderedDict()  # name -> slot, least recently used first
        self._scale = [0.0] * slots
        self._pins: Counter[str] = Counter()
        self._warm: OrderedDict[str, tuple[torch.Tensor, float]] = OrderedDict()  # name -> row, scale
        self._warm_bytes = int(warm_bytes)
        self.counters: Counter[str] = Counter()
        self._lay_out(Layout(model, rank))

    def _lay_out(self, layout: Layout) -> None:
        """Make the slots and put them beside the layers."""
        import torch

        size = self.slots * layout.numbers * self.model.dtype.itemsize
        self._ledger.admit("slots", size)
        self.layout = layout
        self.flat = torch.zeros(self.slots, layout.numbers, dtype=self.model.dtype, device=self.model.device)
        for path, layer in layout.layers.items():
            plain = getattr(layer.forward, "plain", layer.forward)
            layer.forward = SlottedLinear(plain, *layout.views(self.flat, path), self.route)

    def _widen(self, rank: int) -> None:
        """Slots of a higher rank; everybody is cold again.  `Busy` while somebody is pinned."""
        if +self._pins:
            raise errors.Busy(
                f"an expert of rank {rank} needs wider slots, and {', '.join(self._pins)} is at work",
                hint="try again when its generation has ended",
            )
        before = self.flat.nbytes
        for name in list(self._warm):
            self._drop(name)
        self._lay_out(Layout(self.model, rank))  # the old slots are there until the new ones are
        self._hot.clear()
        self._ledger.release("slots", before)

    # activation

    def activate(self, name: str) -> bool:
        """Bring the expert into a hot slot; False if there is none of that name.

        Raises `Busy` when every slot is pinned, `Damaged` or `Refused` when its file will not do.
        """
        with self._lock:
            self._fit([name.upper()])
            return self._slot_of(name.upper()) is not None

    def _fit(self, names: Iterable[str]) -> None:
        """Wider slots, if one of these needs them: before any of them is pinned."""
        cold = [self._lookup(name) for name in names if name not in self._hot and name not in self._warm]
        rank = max((expert.rank for expert in cold if expert is not None), default=0)
        if rank > self.layout.rank:
            self._widen(rank)

    @contextmanager
    def _held(self, names: Sequence[str | None]) -> Iterator[list[int | None]]:
        pinned: list[str] = []
        slots: list[int | None] = []
        try:
            with self._lock:
                self._fit(name.upper() for name in names if name is not None)
                for name in names:
                    slot = None
                    if name is not None:
                        slot = self._slot_of(name.upper())
                        if slot is None:
                            raise errors.NoSuchObject(
                                f"there is no expert {name.upper()}",
                                hint="see which there are: python -m batos experts",
                            )
                        self._pins[name.upper()] += 1
                        pinned.append(name.upper())
                    slots.append(slot)
            yield slots
        finally:
            with self._lock:
                for name in pinned:
                    self._pins[name] -= 1
                self._pins += Counter()  # drops the zeros

    def pinned(self, *names: str | None) -> Pinned:
        """`with memory.pinned("BRICK", None) as (slot, no_slot):` hot, and not evicted inside.

        None stands for the base alone.  Also `async with`, where the swap happens in a thread.
        """
        return Pinned(self._held(names))

    @contextmanager
    def routed(self, segments: list[tuple[int, int, int | None]]) -> Iterator[Route]:
        """Run the model with rows [first, end) on a pinned slot each, None being the base alone."""
        self.route.segments = self.segments(segments)
        try:
            yield self.route
        finally:
            self.route.segments = []

    def segments(self, segments: Iterable[tuple[int, int, int | None]]) -> list[tuple[int, int, int, float]]:
        return [(first, end, slot, self._scale[slot]) for first, end, slot in segments if slot is not None]

    def prefetch(self, names: Iterable[str]) -> threading.Thread:
        """Warm the experts a plan will need, in the background; into free slots if there are any."""

        def warm() -> None:
            for name in dict.fromkeys(name.upper() for name in names):
                with self._lock:
                    if name in self._hot:
                        continue
                    if len(self._hot) < self.slots:
                        self.activate(name)
                    elif name not in self._warm:
                        expert = self._lookup(name)
                        if expert is not None and expert.rank <= self.layout.rank:
                            self._read(expert)

        # A daemon: at shutdown nobody waits for an expert that nobody waits for.
        thread = threading.Thread(target=warm, name="expert prefetch", daemon=True)
        thread.start()
        return thread

    def forget(self, name: str) -> None:
        """Drop what is kept of an expert above the cold tier: its file was replaced or removed.

        Raises `Busy` while it is pinned.
        """
        with self._lock:
            name = name.upper()
            if self._pins[name]:
                raise errors.Busy(f"expert {name} is at work; try again when its generation has ended")
            slot = self._hot.pop(name, None)
            if slot is not None:
                self.flat[slot].zero_()
            self._drop(name)

    def _slot_of(self, name: str) -> int | None:
        """The slot of `name`, filled if it has to be; None if there is no such expert."""
        if name in self._hot:
            self._hot.move_to_end(name)
            self._hit("hot", name)
            return self._hot[name]
        started = time.perf_counter()
        expert = None
        if name not in self._warm and (expert := self._lookup(name)) is None:
            self._hit("unknown", name)
            return None
        slot = self._room()  # before anything is read
        if expert is None:
            tier = "warm"
            self._warm.move_to_end(name)
            row, scale = self._warm[name]
        else:
            tier = "cold"
            row, scale = self._read(expert)
        self.flat[slot].copy_(row, non_blocking=True)  # one copy, whatever the number of layers
        if self._cuda:
            import torch

            torch.cuda.current_stream(self.flat.device).synchronize()
        self._scale[slot] = scale
        self._hot[name] = slot
        self._hit(tier, name)
        self._metrics("swap_ms", (time.perf_counter() - started) * 1e3, tier=tier, expert=name)
        return slot

    def _room(self) -> int:
        """A free slot, or that of the least recently used expert nobody has pinned, now evicted."""
        if len(self._hot) < self.slots:
            return min(set(range(self.slots)) - set(self._hot.values()))
        for name, slot in self._hot.items():
            if not self._pins[name]:
                del self._hot[name]
                self.counters["evicted_hot"] += 1
                return slot
        raise errors.Busy(
            f"all {self.slots} expert slots are at work ({', '.join(self._hot)})",
            hint="try again, or raise hot_slots in batos.toml",
        )

    def _read(self, expert: ColdExpert) -> tuple[torch.Tensor, float]:
        """From the cold tier to the warm one, as far as it has room."""
        import torch

        row = torch.empty(self.layout.numbers, dtype=torch.bfloat16, pin_memory=self._cuda)
        self.layout.pack(expert, row)
        while row.nbytes <= self._warm_bytes:
            try:
                if self.warm_in_use + row.nbytes > self._warm_bytes:
                    raise errors.TooLarge("the warm tier is full")
                if not self._cuda:
                    self._ledger.admit("warm", row.nbytes)
            except errors.TooLarge:
                if not self._warm:
                    break  # it goes to its slot and is not kept
                self._drop(next(iter(self._warm)))
                self.counters["evicted_warm"] += 1
            else:
                self._warm[expert.name] = (row, expert.scale)
                break
        return row, expert.scale

    def _drop(self, name: str) -> None:
        row, _ = self._warm.pop(name, (None, 0.0))
        if row is not None and not self._cuda:
            self._ledger.release("warm", row.nbytes)

    def _hit(self, tier: str, name: str) -> None:
        self.counters[f"hit_{tier}"] += 1
        self._metrics("expert_hit", 1, tier=tier, expert=name)

    # what is where, and what fits

    @property
    def warm_in_use(self) -> int:
        return sum(row.nbytes for row, _ in self._warm.values())

    @property
    def slots(self) -> int:
        return len(self._scale)

    def tier(self, name: str) -> str | None:
        """ "hot", "warm" or "cold"; None if there is no such expert."""
        return self.resident(name) or ("cold" if self._lookup(name.upper()) is not None else None)

    def resident(self, name: str) -> str | None:
        """ "hot" or "warm", None for what is in neither; asks nobody."""
        with self._lock:
            return "hot" if name.upper() in self._hot else "warm" if name.upper() in self._warm else None

    def residents(self) -> dict[str, list[str]]:
        """Names in the hot and the warm tier, least recently used first."""
        with self._lock:
            return {"hot": list(self._hot), "warm": list(self._warm), "pinned": sorted(self._pins)}

    @contextmanager
    def reserve(self, entry: str, size: int) -> Iterator[None]:
        """Hold `size` bytes of the budget; warm experts make room for it, then `TooLarge`."""
        with self._lock:
            while True:
                try:
                    self._ledger.admit(entry, size)
                    break
                except errors.TooLarge:
                    if self._cuda or not self._warm:
                        raise
                    self._drop(next(iter(self._warm)))
                    self.counters["evicted_warm"] += 1
        try:
            yield
        finally:
            self._ledger.release(entry, size)

    def ledger(self) -> dict[str, Any]:
        """Bytes by entry, the budget, what is free, and what one token of context costs."""
        return {
            "device": self._ledger.device,
            **self._ledger.table(),
            "slot": self.layout.numbers * self.flat.itemsize,
            "kv_per_token": kv_bytes_per_token(self.model.config, self.model.dtype.itemsize),
            "warm_in_use": self.warm_in_use,
            "warm_budget": self._warm_bytes,
        }


class Pinned:
    """The context of `MemoryManager.pinned`, for `with` and `async with` alike."""

    def __init__(self, held: Any):
        self._held = held

    def __enter__(self) -> list[int | None]:
        return self._held.__enter__()

    def __exit__(self, *exc: Any) -> bool | None:
        return self._held.__exit__(*exc)

    async def __aenter__(self) -> list[int | None]:
        return await asyncio.to_thread(self._held.__enter__)

    async def __aexit__(self, *exc: Any) -> bool | None:
        return self._held.__exit__(*exc)


def kv_bytes_per_token(config: Any, itemsize: int) -> int:
    """Keys and values of one token over all layers.

    Llama-3.1-8B in bf16: 2 * 32 layers * 8 heads * 128 * 2 bytes = 131,072.
    """
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers * heads * size * itemsize
