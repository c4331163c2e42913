"""Sampling: the next token of every row, out of the model's scores and what the row's grammar allows."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(slots=True)
class Row:
    """One draft being written."""

    index: int
    prompt: tuple[int, ...]
    expert: str | None
    cut: int
    matcher: Any
    temperature: float
    draw: random.Random
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    finish: str | None = None
    told: int = 0  # characters of its text


def allowed_words(rows: list[Row], vocabulary: int) -> Any:
    """(rows, V) of 0 and 1: what each row's grammar lets come next; None if none has one.

    Some 20 us a row: computing them in a thread beside the forward was measured and gained nothing.
    """
    import numpy

    if all(row.matcher is None for row in rows):
        return None
    words = numpy.full((len(rows), (vocabulary + 31) // 32), -1, numpy.int32)
    for place, row in enumerate(rows):
        if row.matcher is not None:
            line = words[place]
            row.matcher.unsafe_compute_mask_ptr(line.ctypes.data, line.nbytes)
    return numpy.unpackbits(words.view(numpy.uint8), axis=1, count=vocabulary, bitorder="little")


def choose(rows: list[Row], logits: torch.Tensor, allowed: Any, top_p: float, ends: set[int]) -> None:
    """Append one token to every row, or end it."""
    import torch

    if allowed is not None:
        forbidden = torch.from_numpy(allowed == 0).to(logits.device)
        logits = logits.masked_fill(forbidden, -math.inf)
    chosen = logits.argmax(-1)
    warm = [place for place, row in enumerate(rows) if row.temperature > 0]
    if warm:
        chosen[warm] = _sample([rows[place] for place in warm], logits[warm], top_p)
    logprobs = logits.log_softmax(-1).gather(1, chosen[:, None])[:, 0].tolist()
    for row, token, logprob in zip(rows, chosen.tolist(), logprobs, strict=True):
        if math.isnan(logprob):  # the grammar knows no way on: it ran into a limit of its own
            row.finish = "length"
            continue
        row.logprob += logprob
        if token in ends:
            # A matcher past its limits allows nothing but the end, wherever it stands.
            lost = row.matcher is not None and row.matcher.is_error()
            row.finish = "length" if lost else "stop"
            continue
        row.tokens.append(token)
        if row.matcher is not None:
            row.matcher.consume_token(token)
            if row.matcher.is_error():
                row.finish = "length"
            elif row.matcher.is_stopped():  # only the end can follow, at probability 1
                row.finish = "stop"


def _sample(rows: list[Row], logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """(rows,) tokens by inversion, one number of the row's own generator each: the draw of a
    row depends on no other row, and on no device."""
    import torch

    heat = torch.tensor([row.temperature for row in rows], device=logits.device)
    probabilities, order = (logits / heat[:, None]).softmax(-1).sort(-1, descending=True)
    mass = probabilities.cumsum(-1)
    inside = torch.tensor([row.draw.random() for row in rows], device=logits.device)
    if top_p < 1:
        # The nucleus: the fewest tokens whose mass reaches top_p.
        size = (mass < top_p).sum(-1, keepdim=True).clamp(max=mass.shape[-1] - 1)
        inside = inside * mass.gather(1, size)[:, 0]
    else:
        inside = inside * mass[:, -1]
    # The first place that reaches it: never one of no mass, even where rounding makes them equal.
    place = torch.searchsorted(mass, inside[:, None]).clamp(max=mass.shape[-1] - 1)
    return order.gather(1, place)[:, 0]
