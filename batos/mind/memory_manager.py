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
import gc
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


GONE = "\0"  # begins the name of a slot whose expert was renamed or removed while it was at work
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

    A row comes out the same bit for bit whichever rows share its expert: each is a product of its own in one
    batched call (`bmm`), because a plain product of one row and of five round differently in float32.  In
    bfloat16 on a CPU they do not (measured), and the batched call is twice as slow: `flat_rows`.
    """

    __slots__ = ("a", "b", "flat_rows", "plain", "route")

    def __init__(self, plain: Callable, a: torch.Tensor, b: torch.Tensor, route: Route):
        self.plain, self.route = plain, route
        self.flat_rows = a.dtype.itemsize == 2 and a.device.type == "cpu"
        self.a = [matrix.T for matrix in a]  # (in, R) each: a view, taken once rather than at every token
        self.b = [matrix.T for matrix in b]  # (R, out) each

    def __call__(self, x: torch.Tensor) -> torch.Tensor:  # (rows, tokens, in) -> (rows, tokens, out)
        y = self.plain(x)
        for first, end, slot, scale in self.route.segments:
            rows = end - first
            into, out = (x, y) if rows == len(x) else (x[first:end], y[first:end])
            a, b = self.a[slot], self.b[slot]
            if self.flat_rows:
                part = into.reshape(-1, into.shape[-1]).mm(a)  # (rows * tokens, R)
                out.view(-1, out.shape[-1]).addmm_(part, b, alpha=scale)
            else:
                part = into.bmm(a.expand(rows, *a.shape))  # (rows, tokens, R)
                out.baddbmm_(part, b.expand(rows, *b.shape), alpha=scale)
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
        self.books = ledger or Ledger(2**63 - 1, "RAM")
        # Who else can give room back, asked before the warm tier is: each answers whether it had any.
        self.relievers: list[Callable[[], bool]] = []
        self._lookup = lookup
        self._metrics = metrics or (lambda event, value, **labels: None)
        self._lock = threading.RLock()  # bookkeeping and copies; a generation holds pins, not this
        self._cuda = model.device.type == "cuda"
        self.route = Route()
        self._hot: OrderedDict[str, int] = OrderedDict()  # name -> slot, least recently used first
        self._scale = [0.0] * slots
        self._pins: Counter[int] = Counter()  # by slot: an expert may be renamed while it is at work
        self._kept: dict[str, int] = {}  # pinned by a person, until they unpin: name -> slot
        self._warm: OrderedDict[str, tuple[torch.Tensor, float]] = OrderedDict()  # name -> row, scale
        self._warm_bytes = int(warm_bytes)
        self.counters: Counter[str] = Counter()
        self._lay_out(Layout(model, rank))

    def _lay_out(self, layout: Layout) -> None:
        """Make the slots and put them beside the layers."""
        import torch

        size = self.slots * layout.numbers * self.model.dtype.itemsize
        self.books.admit("slots", size)
        self.layout = layout
        self.flat = torch.zeros(self.slots, layout.numbers, dtype=self.model.dtype, device=self.model.device)
        for path, layer in layout.layers.items():
            plain = getattr(layer.forward, "plain", layer.forward)
            layer.forward = SlottedLinear(plain, *layout.views(self.flat, path), self.route)

    def close(self) -> None:
        """Take the slots from the layers and drop everything: the model is let go."""
        with self._lock:
            for layer in self.layout.layers.values():
                layer.__dict__.pop("forward", None)
            self._hot.clear()
            self._warm.clear()
            self.layout.layers.clear()
            self.model = self.flat = None

    def _widen(self, rank: int) -> None:
        """Slots of a higher rank; everybody is cold again.  `Busy` while somebody is pinned."""
        kept = list(self._kept)
        for name in kept:
            self.unpin(name)
        if +self._pins:
            raise errors.Busy(
                f"an expert of rank {rank} needs wider slots, and {', '.join(self._pinned_names())} is at work",
                hint="try again when its generation has ended",
            )
        before = self.flat.nbytes
        for name in list(self._warm):
            self._drop(name)
        self._lay_out(Layout(self.model, rank))  # the old slots are there until the new ones are
        self._hot.clear()
        self.books.release("slots", before)
        for name in kept:
            self.pin(name)

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
                        self._pins[slot] += 1
                    slots.append(slot)
            yield slots
        finally:
            with self._lock:
                for slot in slots:
                    if slot is not None:
                        self._unpin(slot)

    def _unpin(self, slot: int) -> None:
        self._pins[slot] -= 1
        self._pins += Counter()  # drops the zeros
        for name in [each for each in self._hot if each.startswith(GONE)]:
            if not self._pins[self._hot[name]]:
                del self._hot[name]

    def pinned(self, *names: str | None) -> Pinned:
        """`with memory.pinned("BRICK", None) as (slot, no_slot):` hot, and not evicted inside.

        None stands for the base alone.  Also `async with`, where the swap happens in a thread.
        """
        return Pinned(self._held(names))

    def pin(self, name: str) -> bool:
        """Make the expert hot and keep it there, whoever else comes, until `unpin`; False if there is none.

        One slot stays for the others: `Busy` where this would take the last.
        """
        with self._lock:
            name = name.upper()
            if name in self._kept:
                return True
            if self.tier(name) is None:
                return False
            if len(self._kept) >= self.slots - 1:
                raise errors.Busy(
                    f"{len(self._kept)} of {self.slots} slots are pinned, and one stays for the others",
                    hint="unpin_expert_ one, or raise hot_slots in batos.toml",
                )
            self._fit([name])
            slot = self._kept[name] = self._slot_of(name)
            self._pins[slot] += 1
            return True

    def unpin(self, name: str) -> bool:
        """Let the expert be evicted again; False if it was not pinned so."""
        with self._lock:
            slot = self._kept.pop(name.upper(), None)
            if slot is None:
                return False
            self._unpin(slot)
            return True

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
        """Drop what is kept of an expert above the cold tier: its file was replaced, renamed or removed.

        Who is at work with it ends its work with it; who comes later asks the repository.
        """
        with self._lock:
            name = name.upper()
            self.unpin(name)
            slot = self._hot.pop(name, None)
            if slot is not None and self._pins[slot]:
                self._hot[f"{GONE}{slot}"] = slot
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
            if not self._pins[slot]:
                del self._hot[name]
                self.counters["evicted_hot"] += 1
                return slot
        raise errors.Busy(
            f"all {self.slots} expert slots are at work ({', '.join(self._pinned_names())})",
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
                    self.books.admit("warm", row.nbytes)
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
            self.books.release("warm", row.nbytes)

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
            hot = [name for name in self._hot if not name.startswith(GONE)]
            return {"hot": hot, "warm": list(self._warm), "pinned": self._pinned_names()}

    def _pinned_names(self) -> list[str]:
        return sorted(name.removeprefix(GONE) for name, slot in self._hot.items() if self._pins[slot])

    @contextmanager
    def reserve(self, entry: str, size: int) -> Iterator[None]:
        """Hold `size` bytes of the budget; prefixes and warm experts make room for it, then `TooLarge`."""
        with self._lock:
            while True:
                try:
                    self.books.admit(entry, size)
                    break
                except errors.TooLarge:
                    if any(relieved() for relieved in self.relievers):
                        continue
                    if self._cuda or not self._warm:
                        raise
                    self._drop(next(iter(self._warm)))
                    self.counters["evicted_warm"] += 1
        try:
            yield
        finally:
            self.books.release(entry, size)

    def relieve(self) -> None:
        """Give up what can be had again: prefixes, the warm tier, what torch's allocator keeps for later."""
        import torch

        with self._lock:
            for relieved in self.relievers:
                while relieved():
                    pass
            for name in list(self._warm):
                self._drop(name)
            self.counters["relieved"] += 1
        gc.collect()
        if self._cuda:
            torch.cuda.empty_cache()

    def digest_of(self, name: str | None) -> str | None:
        """What tells one file of an expert from another; None for the base alone."""
        expert = self._lookup(name) if name else None
        return (expert.xxh3 or str(expert.path)) if expert is not None else None

    def ledger(self) -> dict[str, Any]:
        """Bytes by entry, the budget, what is free, and what one token of context costs."""
        each = kv_bytes_per_token(self.model.config, self.model.dtype.itemsize)
        return {
            "context": max(0, self.books.free) // each,  # tokens that fit into what is free now
            "device": self.books.device,
            **self.books.table(),
            "slot": self.layout.numbers * self.flat.itemsize,
            "kv_per_token": each,
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
