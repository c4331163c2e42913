"""The hot slots: LoRA matrices of several experts beside each linear layer of one base model.

All slots are one flat tensor (slots, numbers) of one maximum rank, and the matrices of every layer are
views into it: an expert is put into a slot by one in-place copy of one row, whatever the number of layers;
peft's load, set and delete costs hundreds of milliseconds of Python for the same bytes (FACTS).  The price:
smaller adapters carry zeros.

Rows of one batch may use different slots: `Route` says which.  With nobody routed a layer answers exactly
what the bare base answers, bit for bit.  Who is in which slot is `memory_manager`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from batos import errors
from batos.mind.adapters import ColdExpert, adapter_tensors, read_header

if TYPE_CHECKING:
    import torch

_STAGE_AGAIN = "stage the adapter again: python -m batos experts --stage lora_staging/NAME"


class Layout:
    """Where each linear layer's A (rank, in) and B (out, rank) lie in a slot's flat row.

    Layers stand in the order of their paths, A before B: the order in which `experts` writes an
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


def _dtype(word: str) -> torch.dtype:
    import torch

    return {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[word]


class Route:
    """Which rows of the batch now in the model use which slot: (first row, end row, slot, scale)."""

    __slots__ = ("_given", "_widened", "segments")

    def __init__(self) -> None:
        self.segments: list[tuple[int, int, int, float]] = []
        self._given: torch.Tensor | None = None
        self._widened: torch.Tensor | None = None

    def widened(self, x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """x in the width of the slots; made once for all layers that read the same x (q, k and v do)."""
        if x is not self._given:
            self._given, self._widened = x, x.to(dtype)
        return self._widened

    def clear(self) -> None:
        """Nobody is routed any more, and nothing of the last batch is held."""
        self.segments, self._given, self._widened = [], None, None


class SlottedLinear:
    """The forward of one linear layer with slots beside it: y = Wx + scale · B(Ax) for routed rows.

    It takes the place of the layer's own `forward` rather than wrapping the module: the names of the
    weights stay, a 4-bit layer keeps its own arithmetic, and no second module call is paid.

    A row comes out the same bit for bit whichever rows share its expert: each is a product of its own in one
    batched call (`bmm`), because a plain product of one row and of five round differently.  A batch of one row
    that decodes has the cheapest calls there are: there what counts is their number.
    """

    __slots__ = ("a", "b", "plain", "route")

    def __init__(self, plain: Callable, a: torch.Tensor, b: torch.Tensor, route: Route):
        self.plain, self.route = plain, route
        self.a, self.b = list(a), list(b)  # (R, in) and (out, R) of each slot: views, taken once

    def __call__(self, x: torch.Tensor) -> torch.Tensor:  # (rows, tokens, in) -> (rows, tokens, out)
        y = self.plain(x)
        segments = self.route.segments
        if not segments:
            return y
        dtype = self.a[0].dtype
        x, out = self.route.widened(x, dtype), y.to(dtype)
        if len(x) == x.shape[1] == 1:
            _, _, slot, scale = segments[0]
            out.view(-1).addmv_(self.b[slot], self.a[slot].mv(x.view(-1)), alpha=scale)
        else:
            for first, end, slot, scale in segments:
                a = self.a[slot].T.expand(end - first, -1, -1)  # (rows, in, R)
                b = self.b[slot].T.expand(end - first, -1, -1)  # (rows, R, out)
                out[first:end].baddbmm_(x[first:end].bmm(a), b, alpha=scale)
        return out.to(y.dtype)


def slot_dtype(model: torch.nn.Module) -> torch.dtype:
    """The width that slots have: the model's own on a card, float32 on a CPU.

    A product in bfloat16 costs a CPU 20 us however small it is, one in float32 3 to 8: with it an expert takes
    5 % of the time of a token of the 190 M model instead of 15.
    """
    import torch

    return model.dtype if model.device.type == "cuda" else torch.float32
