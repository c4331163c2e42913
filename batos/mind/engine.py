"""The engine: prompts in, drafts out.  The one protocol that every mind answers, and the plain data of it.

Two keep it: `inprocess`, over a model of transformers in this process, and `remote`, over somebody's
server.  Nothing here knows torch: whoever only needs `Limits` pays nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from batos import errors


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a generation.

    temperature  0 is greedy; one number, or one per prompt
    top_p        the nucleus sampled from, after the grammar
    seed         row i draws from seed + i; or one per prompt; None draws differently every time.
                 With its own seed a row comes out the same whatever else is in the batch, as far
                 as the sums of a larger batch round alike
    deadline     absolute, by `time.monotonic()`
    over         what becomes of a prompt that leaves no room in the window: "refuse", or tokens are left out
                 of its "middle" or at its "front" (but never of a prefix), and the draft says how many
    """

    max_tokens: int = 256
    temperature: float | Sequence[float] = 0.0
    top_p: float = 1.0
    seed: int | Sequence[int] | None = None
    deadline: float | None = None
    over: str = "refuse"


@dataclass(frozen=True, slots=True)
class Draft:
    """One answer.

    tokens   ids, the end of sequence not among them
    logprob  natural log of the probability of the tokens, and of ending where it ended, under the
             model at temperature 1 with all that the grammar forbids left out
    finish   "stop", "length" (the limit, the window, or a grammar at its own limits), "deadline",
             "cancelled"
    cut      tokens of the prompt that were left out, because it was over the window
    read     tokens of the prompt, and `written` those of the draft, as a server counts what it is paid for
    """

    text: str
    tokens: tuple[int, ...]
    logprob: float
    finish: str
    cut: int = 0
    read: int = 0
    written: int = 0


class Stop(Protocol):
    def is_set(self) -> bool: ...


Tell = Callable[[int, str], None]  # tell(which prompt, the text that came to its draft since)


class Engine(Protocol):
    def generate(
        self,
        prompts: Sequence[str],
        expert: str | None | Sequence[str | None] = None,
        grammar: str | None | Sequence[str | None] = None,
        limits: Limits = Limits(),
        cancel: Stop | None = None,
        tell: Tell | None = None,
    ) -> list[Draft]:
        """One draft per prompt, in the order of the prompts.

        expert   a name, None for the base alone, or one of these per prompt
        grammar  Lark source for llguidance, None for free text, or one of these per prompt
        cancel   a `threading.Event`, or what looks like one: once set, the generation ends after the
                 token it is at
        tell     called with each draft's new text as it comes, in the thread of the generation; all it
                 was told of a draft is the draft's text

        Raises `NoSuchObject` (no such expert), `TooLarge` (a prompt over the window, or over the
        budget), `BadRequest` (a grammar that is none), `NoMind`.
        """
        ...


class Backend(Protocol):
    """What decoding is handed of the engine it decodes for."""

    model: Any
    memory: Any
    prefixes: Any
    shapes: Any  # of caches at fixed addresses, and whether they are wanted
    fixed: bool
    vocabulary: int
    window: int
    kv_bytes_per_token: int
    ends: set[int]

    def forward(self, tokens: Any, positions: Any, mask: Any, cache: Any) -> Any:
        """The scores of what comes next, (rows, V), for tokens behind what is in the cache already."""
        ...

    def text_of(self, row: Any) -> str: ...


class Closed(errors.Busy):
    """This engine was let go: the image has another mind by now."""


def each(what: str, value: Any, count: int) -> list[Any]:
    """One value per prompt."""
    if value is None or isinstance(value, str | int | float):
        return [value] * count
    if len(value) != count:
        raise errors.BadRequest(f"{len(value)} values of {what} for {count} prompts")
    return list(value)


def stopped_by(limits: Limits, cancel: Stop | None) -> str | None:
    if cancel is not None and cancel.is_set():
        return "cancelled"
    if limits.deadline is not None and time.monotonic() >= limits.deadline:
        return "deadline"
    return None
