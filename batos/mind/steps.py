"""Steps: one token more for every row of a batch, with a cache that grows or with one that stays where it is.

`Growing` is the ordinary way.  On a card it launches a thousand small kernels for a token, and launching
them takes longer than their work: adapters are said to cost half of the speed there, where their bytes are
a fiftieth.  `Fixed` keeps keys and values, inputs and scores at fixed addresses, as the slots of the
experts are, so that a CUDA graph can record a step once and launch all of it together.

A recording is believed only after it was tried: the same step is run both ways, and the recording is kept
where it says the same and is quicker.  Whatever it meets, the generation goes on without it.  No card has
run this module's recordings yet; everything else in it runs on a CPU, too.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from batos import errors
from batos.mind.engine import Backend
from batos.mind.ledger import out_of_memory
from batos.mind.sampling import Row

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)
BUCKET = 512  # columns of a fixed cache come in multiples of this, so that few shapes serve many prompts
KEPT = 2  # shapes of fixed caches held at once
MOST_ROWS = 8
WORTH = 16  # tokens to come, below which a cache is not moved to fixed addresses


class Growing:
    """Steps with transformers' own growing cache; rows that have ended are taken out of it."""

    def __init__(self, engine: Backend, cache: Any, valid: torch.Tensor | None):
        self.engine, self.cache, self.valid = engine, cache, valid

    def keep(self, alive: list[int]) -> None:
        """Go on with these rows alone."""
        import torch

        kept = torch.tensor(alive, device=self.engine.model.device)
        self.cache.batch_select_indices(kept)
        self.valid = self.valid if self.valid is None else self.valid[kept]

    def step(self, rows: list[Row]) -> torch.Tensor:
        """The scores behind the newest token of each row, (rows, V)."""
        import torch

        device = self.engine.model.device
        tokens, positions = (torch.tensor(each, device=device) for each in newest(rows))
        mask = None
        if self.valid is not None:
            self.valid = torch.cat([self.valid, self.valid.new_ones(len(rows), 1)], dim=1)
            mask = self.valid[:, None, None]  # (rows, 1, 1, T)
        return self.engine.forward(tokens, positions, mask, self.cache)


class Fixed:
    """Steps over one shape, (rows, columns), at fixed addresses; rows that have ended are computed and not looked at.

    Recordings are kept by what they have in them besides addresses: which rows use which slot, at which scale.
    """

    def __init__(self, engine: Backend, rows: int, columns: int):
        import torch
        from transformers import StaticCache

        self.engine, self.rows, self.columns = engine, rows, columns
        device = engine.model.device
        self.cache = StaticCache(config=engine.model.config, max_cache_len=columns)
        self.tokens = torch.zeros(rows, 1, dtype=torch.long, device=device)
        self.positions = torch.zeros(rows, 1, dtype=torch.long, device=device)
        self.mask = torch.zeros(rows, 1, 1, columns, dtype=torch.bool, device=device)
        self.recordings: dict[Any, tuple[Any, torch.Tensor] | None] = {}
        self.places: list[int] = []
        self.used = 0

    def load(self, cache: Any, valid: torch.Tensor | None) -> None:
        """Take over what a prompt left in a growing cache."""
        for fixed, grown in zip(self.cache.layers, cache.layers, strict=True):
            if not fixed.is_initialized:
                fixed.lazy_initialization(grown.keys, grown.values)
            width = grown.keys.shape[2]
            fixed.keys[:, :, :width].copy_(grown.keys)
            fixed.values[:, :, :width].copy_(grown.values)
        self.used, self.places = width, list(range(self.rows))
        self.mask.zero_()
        self.mask[..., :width] = True if valid is None else valid[:, None, None]
        self._rewind()

    def keep(self, alive: list[int]) -> None:
        """Go on with these rows alone."""
        self.places = [self.places[place] for place in alive]

    def step(self, rows: list[Row]) -> torch.Tensor:
        """The scores behind the newest token of each row, (rows, V)."""
        import torch

        tokens, positions = (torch.tensor(each) for each in newest(rows))
        self.tokens[self.places] = tokens.to(self.tokens.device)
        self.positions[self.places] = positions.to(self.positions.device)
        self.mask[..., self.used] = True
        recorded = self._recording()
        if recorded is None:
            scores = self._run()
        else:
            graph, scores = recorded
            graph.replay()
        self.used += 1
        return scores[self.places]

    def _run(self) -> torch.Tensor:
        return self.engine.forward(self.tokens, self.positions, self.mask, self.cache)  # (rows, V)

    def _rewind(self) -> None:
        """The next step writes its keys and values into column `used`."""
        for layer in self.cache.layers:
            layer.cumulative_length.fill_(self.used)

    def _recording(self) -> tuple[Any, torch.Tensor] | None:
        """The recording for the rows' experts as they are now, made and tried where there is none yet."""
        if self.tokens.device.type != "cuda":
            return None
        memory = self.engine.memory
        key = (tuple(memory.route.segments), memory.layout.rank, memory.flat.data_ptr())  # an address is used again
        if key not in self.recordings:
            try:
                self.recordings[key] = self._record()
            except Exception as exc:
                if out_of_memory(exc):
                    raise
                log.warning("a step could not be recorded as a CUDA graph: %s", exc)
                self.recordings[key] = None
            self._rewind()
        return self.recordings[key]

    def _record(self) -> tuple[Any, torch.Tensor] | None:
        import torch

        def timed(run: Any) -> float:
            self._rewind()
            torch.cuda.synchronize()
            start = time.perf_counter()
            run()
            torch.cuda.synchronize()
            return time.perf_counter() - start

        # What a first run sets up must not be recorded, and recording wants a stream of its own.
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(2):
                self._rewind()
                told = self._run()
        torch.cuda.current_stream().wait_stream(aside)
        told, graph = told.clone(), torch.cuda.CUDAGraph()
        self._rewind()
        with torch.cuda.graph(graph):
            scores = self._run()
        ordinary, recorded = timed(self._run), timed(graph.replay)
        same = torch.allclose(scores, told, rtol=1e-2, atol=1e-2)
        log.info("a step of %s rows: %.2f ms, recorded %.2f ms, %s", self.rows, 1e3 * ordinary, 1e3 * recorded,
                 "the same" if same else "NOT THE SAME")  # fmt: skip
        return (graph, scores) if same and recorded < ordinary else None


class Shapes:
    """The fixed caches there are, by their shape; counted in the ledger, and given back when room is wanted."""

    def __init__(self, engine: Backend):
        self._engine = engine
        self._held: OrderedDict[tuple[int, int], Fixed] = OrderedDict()

    def find(self, rows: int, columns: int) -> Fixed | None:
        """A fixed cache for so many rows of so many columns, or None where one has no room or no use here."""
        from transformers import StaticCache
        from transformers.cache_utils import StaticLayer

        columns = -(-columns // BUCKET) * BUCKET
        found = self._held.pop((rows, columns), None)
        if found is None:
            kinds = StaticCache(config=self._engine.model.config, max_cache_len=BUCKET).layers
            if rows > MOST_ROWS or any(type(layer) is not StaticLayer for layer in kinds):
                return None  # windows that slide keep their places otherwise
            while len(self._held) >= KEPT:
                self.drop_one()
            try:
                self._engine.memory.books.admit("graphs", self._size(rows, columns))
            except errors.TooLarge:
                return None
            found = Fixed(self._engine, rows, columns)
        self._held[rows, columns] = found
        return found

    def drop_one(self) -> bool:
        """Give back the room of the shape used longest ago; False if there is none."""
        if not self._held:
            return False
        shape, _ = self._held.popitem(last=False)
        self._engine.memory.books.release("graphs", self._size(*shape))
        return True

    def clear(self) -> None:
        while self.drop_one():
            pass

    def _size(self, rows: int, columns: int) -> int:
        return rows * columns * self._engine.kv_bytes_per_token


def newest(rows: list[Row]) -> tuple[list[list[int]], list[list[int]]]:
    """(tokens, positions), (rows, 1) each: the newest token of every row, and where it stands."""
    return [[row.tokens[-1]] for row in rows], [[len(row.prompt) + len(row.tokens) - 1] for row in rows]
