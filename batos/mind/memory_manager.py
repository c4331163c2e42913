"""The memory manager: which experts are where.

Owns three tiers of LoRA experts over one base model.

* hot: in a slot beside the layers (`slots`), ready for the next token.
* warm: the same flat row in RAM as bf16, pinned where there is a card, least recently used out first,
  counted in bytes.
* cold: the adapter's own file, `adapter_model.safetensors` in peft's words, mapped and checked with a fast
  checksum before a byte of it is believed.

An expert of a higher rank than any before makes all slots anew; who is pinned is not evicted.  What fits is
the `ledger`'s word, and is asked before anything is allocated.

How adapters get into the image is `experts`' business, how tokens are made `decoding`'s.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from batos import errors
from batos.mind.adapters import ColdExpert
from batos.mind.ledger import Ledger, kv_bytes_per_token
from batos.mind.slots import Layout, Route, SlottedLinear, slot_dtype

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

Metrics = Callable[..., None]  # metrics(event, value, **labels)
GONE = "\0"  # begins the name of a slot whose expert was renamed or removed while it was at work


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
        self._ahead: set[str] = set()  # fetched because a plan names them, and not needed yet
        self._warm: OrderedDict[str, tuple[torch.Tensor, float]] = OrderedDict()  # name -> row, scale
        self._warm_bytes = int(warm_bytes)
        self.counters: Counter[str] = Counter()
        self._lay_out(Layout(model, rank))

    def _lay_out(self, layout: Layout) -> None:
        """Make the slots and put them beside the layers."""
        import torch

        dtype = slot_dtype(self.model)
        size = self.slots * layout.numbers * dtype.itemsize
        self.books.admit("slots", size)
        self.layout = layout
        self.flat = torch.zeros(self.slots, layout.numbers, dtype=dtype, device=self.model.device)
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
            self.route.clear()

    def segments(self, segments: Iterable[tuple[int, int, int | None]]) -> list[tuple[int, int, int, float]]:
        return [(first, end, slot, self._scale[slot]) for first, end, slot in segments if slot is not None]

    def prefetch(self, names: Iterable[str]) -> threading.Thread:
        """Warm the experts a plan will need, in the background; into free slots if there are any.

        Counted as "prefetched" where they had to be read, and "hit_prefetched" when somebody then needs them.
        """

        def warm() -> None:
            for name in dict.fromkeys(name.upper() for name in names):
                with self._lock:
                    if name in self._hot or name in self._warm:
                        continue
                    expert = self._lookup(name)
                    if expert is None or expert.rank > self.layout.rank or self.model is None:
                        continue
                    try:
                        if len(self._hot) < self.slots:
                            self._slot_of(name)
                        else:
                            self._read(expert)
                    except errors.BatosError as exc:  # told to who needs it, when they do
                        log.warning("the expert %s could not be fetched ahead: %s", name, exc)
                    else:
                        self._ahead.add(name)
                        self.counters["prefetched"] += 1

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
        if name in self._ahead:
            self._ahead.discard(name)
            self.counters["hit_prefetched"] += tier != "cold"
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
        """Hold `size` bytes of the budget; `relievers`, then warm experts make room for it, then `TooLarge`."""
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
        """Give up what can be had again: what `relievers` have, the warm tier, what torch's allocator keeps."""
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
        table = self.books.table()
        return {
            "context": max(0, table["free"]) // each,  # tokens that fit into what is free now
            "device": self.books.device,
            **table,
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
