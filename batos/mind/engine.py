"""The engine: prompts in, drafts out, in this process.

Owns the one protocol every mind answers, `generate`, and its backend over transformers: loading a
folder, the decode loop, grammar masks and sampling.  The loop is our own because a mission wants what
`model.generate` does not give at once: one grammar, temperature and expert per row, the same prompt
computed once for all its drafts, a deadline and a cancel looked at after every token, and the
likelihood of each draft under its grammar.

torch and transformers are imported inside functions: whoever only needs `Limits` pays nothing.
Experts and what fits in memory are `memory_manager`'s; prompts and grammars are their writers'.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from os.path import commonprefix
from typing import TYPE_CHECKING, Any, Protocol

from batos import errors
from batos.mind import dialect
from batos.mind.memory_manager import MemoryManager, kv_bytes_per_token, workspace_bytes
from batos.mind.prefixes import Prefixes, Shelf, key_of

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)


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
    """

    text: str
    tokens: tuple[int, ...]
    logprob: float
    finish: str
    cut: int = 0


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


@dataclass(slots=True)
class _Row:
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


PREFILL_CHUNK = 512  # columns of a prompt between two looks at the clock
SHARED_WORTH = 16  # tokens a shared beginning must save to be worth a forward of its own
GRAMMARS_KEPT = 256  # compiled grammars, a few hundred KB each at most


class Closed(errors.Busy):
    """This engine was let go: the image has another mind by now."""


class TransformersEngine:
    """A causal LM of transformers, its tokenizer, and the experts beside it."""

    def __init__(self, model: Any, tokenizer: Any, memory: MemoryManager, shelf: Shelf | None = None):
        import llguidance.hf

        self.model = model
        self.tokenizer = tokenizer
        self.memory = memory
        self.vocabulary = model.config.vocab_size
        self.window = getattr(model.config, "max_position_embeddings", None) or 2**31
        self.kv_bytes_per_token = kv_bytes_per_token(model.config, model.dtype.itemsize)
        self.ends = _end_tokens(model, tokenizer)
        tokenizer.backend_tokenizer.no_truncation()  # a prompt is refused, never cut silently
        tokenizer.backend_tokenizer.no_padding()
        # A configuration may name ends that its tokenizer has no word for.
        known = [end for end in sorted(self.ends) if end < len(tokenizer)] or None
        self._grammar_words = llguidance.hf.from_tokenizer(
            tokenizer, n_vocab=self.vocabulary, eos_token=known
        )
        self._grammars: OrderedDict[str, Any] = OrderedDict()
        self.prefixes = Prefixes(memory.books, shelf)
        memory.relievers.append(self.prefixes.drop_one)
        self.semantic = dialect.BRIEF in tokenizer.get_vocab()  # it was trained on the dialect
        self._turn = threading.Lock()  # one generation at a time: one model, one route

    def generate(
        self,
        prompts: Sequence[str],
        expert: str | None | Sequence[str | None] = None,
        grammar: str | None | Sequence[str | None] = None,
        limits: Limits = Limits(),
        cancel: Stop | None = None,
        tell: Tell | None = None,
        prefix: str = "",
    ) -> list[Draft]:
        """See `Engine.generate`.  Prompts are complete: no token is added to them but those of `prefix`, which
        stands before each of them and whose keys and values are kept for the next time.

        Out of memory all the same: what can be given up is, and it is tried once more; then `TooLarge`.
        """
        for last in (False, True):
            try:
                return self._generate(prompts, expert, grammar, limits, cancel, tell, prefix)
            except Exception as exc:
                if not out_of_memory(exc):
                    raise
                log.warning("the mind ran out of memory: %s", exc)
                if last:
                    raise errors.TooLarge(
                        f"memory ran out in the middle of a generation, twice: {exc}",
                        hint="a shorter prompt, fewer drafts or hot_slots, or a smaller mind",
                    ) from exc
            self.memory.relieve()
        raise AssertionError("unreachable")

    def _generate(
        self,
        prompts: Sequence[str],
        expert: Any,
        grammar: Any,
        limits: Limits,
        cancel: Stop | None,
        tell: Tell | None,
        prefix: str,
    ) -> list[Draft]:
        head = tuple(self._encode(prefix)) if prefix else ()
        rows = self._rows(prompts, expert, grammar, limits, head)
        # Rows of one expert stand together, so that a layer treats them in one product.
        batch = sorted(rows, key=lambda row: (row.expert or "", row.prompt))
        names = list(dict.fromkeys(row.expert for row in batch))
        longest = max((len(row.prompt) for row in batch), default=0)
        columns = min(longest + limits.max_tokens, self.window)
        with self._alone(limits, cancel) as stopped:
            if stopped is None and batch:
                with (
                    self.memory.reserve("kv", len(batch) * columns * self.kv_bytes_per_token),
                    self.memory.reserve("workspace", self.workspace(len(batch), columns)),
                    self.memory.pinned(*names) as slots,
                ):
                    known = dict(zip(names, slots, strict=True))
                    self._decode(batch, known, limits, cancel, tell, len(head))
        return [self._draft(row, stopped) for row in rows]

    def close(self, hurry: Stop | None = None) -> None:
        """Let the model go, after the generation that runs; who comes later gets `Closed`."""
        while not self._turn.acquire(timeout=0.05):
            if hurry is not None and hurry.is_set():
                return
        try:
            self.prefixes.clear()
            self.memory.close()
            self.model = None
            self._grammars.clear()
        finally:
            self._turn.release()

    def workspace(self, rows: int, columns: int) -> int:
        """Bytes a step holds for a moment beside weights, keys and values; see `workspace_bytes`."""
        return workspace_bytes(self.model.config, rows, columns, PREFILL_CHUNK, self.model.dtype.itemsize)

    def describe(self) -> dict[str, Any]:
        """What the mind is, as plain data."""
        if self.model is None:
            return {}
        return {
            "parameters": sum(weight.numel() for weight in self.model.parameters()),
            "architecture": type(self.model).__name__,
            "vocabulary": self.vocabulary,
            "window": self.window,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "device": str(self.model.device),
            "prefixes": dict(self.prefixes.counters),
        }

    def count(self, text: str) -> int:
        """Tokens of a prompt."""
        return len(self._encode(text))

    # before the first token

    def _encode(self, text: str) -> list[int]:
        # The tokenizer's own call resets its padding each time, and two threads then disturb each other.
        return self.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids

    def _rows(
        self, prompts: Sequence[str], expert: Any, grammar: Any, limits: Limits, head: tuple[int, ...]
    ) -> list[_Row]:
        count = len(prompts)
        experts = each("expert", expert, count)
        grammars = each("grammar", grammar, count)
        temperatures = each("temperature", limits.temperature, count)
        seeds = limits.seed
        if seeds is None:
            seeds = [None] * count
        elif isinstance(seeds, int):
            seeds = [seeds + place for place in range(count)]
        seeds = each("seed", seeds, count)
        encoded = {text: self._fitted(head, text, limits) for text in dict.fromkeys(prompts)}
        return [
            _Row(
                place,
                encoded[text][0],
                experts[place] and experts[place].upper(),
                encoded[text][1],
                self._matcher(grammars[place]),
                float(temperatures[place]),
                random.Random(seeds[place]),
            )
            for place, text in enumerate(prompts)
        ]

    def _fitted(self, head: tuple[int, ...], text: str, limits: Limits) -> tuple[tuple[int, ...], int]:
        """(tokens of a prompt behind its prefix, how many were left out by the policy)."""
        if limits.over not in ("refuse", "front", "middle"):
            raise errors.BadRequest(f"over is refuse, front or middle, not {limits.over!r}")
        tokens = tuple(self._encode(text))
        if not tokens:
            raise errors.BadRequest("an empty prompt has no next token")
        if len(head) + len(tokens) < self.window - (0 if limits.over == "refuse" else limits.max_tokens):
            return head + tokens, 0
        # The answer gets the room it asked for, up to half of the window.
        room = self.window - len(head) - min(limits.max_tokens, self.window // 2) - 1
        if limits.over == "refuse" or room < 1:
            raise errors.TooLarge(
                f"the prompt has {len(head) + len(tokens)} tokens, the window of this mind is {self.window}",
                hint="ask about a smaller object, or incarnate a mind with a larger window",
            )
        cut = max(0, len(tokens) - room)
        kept = room // 2 if limits.over == "middle" else 0
        return head + tokens[:kept] + tokens[kept + cut :], cut

    def _matcher(self, grammar: str | None) -> Any:
        """A fresh matcher for the grammar, which is compiled once."""
        import llguidance

        if grammar is None:
            return None
        compiled = self._grammars.pop(grammar, None)
        if compiled is None:
            compiled = llguidance.LLMatcher(
                self._grammar_words, llguidance.LLMatcher.grammar_from_lark(grammar), log_level=0
            )
            if compiled.is_error():
                raise errors.BadRequest(f"the grammar does not compile: {compiled.get_error()}")
        self._grammars[grammar] = compiled
        while len(self._grammars) > GRAMMARS_KEPT:
            self._grammars.popitem(last=False)
        return compiled.deep_copy()

    @contextmanager
    def _alone(self, limits: Limits, cancel: Stop | None) -> Iterator[str | None]:
        """Wait for the generation before this one; yields why it must not start, or None."""
        stopped = stopped_by(limits, cancel)
        while stopped is None and not self._turn.acquire(timeout=0.02):
            stopped = stopped_by(limits, cancel)
        try:
            if self.model is None:
                raise Closed("the image has another mind now", hint="send it again")
            yield stopped
        finally:
            if stopped is None:
                self._turn.release()

    # the loop

    def _decode(
        self,
        rows: list[_Row],
        slots: dict[str | None, int | None],
        limits: Limits,
        cancel: Stop | None,
        tell: Tell | None,
        head: int,
    ) -> None:
        import torch

        every = rows

        # Without the guard rows past the window would read positions that were never trained.
        last = min(limits.max_tokens, self.window - max(len(row.prompt) for row in rows))
        with torch.inference_mode():
            with self.memory.routed([]) as route:
                logits, cache, valid, stopped = self._prefill(rows, slots, route, limits, cancel, head)
                for step in range(last):
                    stopped = stopped or stopped_by(limits, cancel)
                    if stopped:
                        break
                    self._choose(rows, logits, self._allowed(rows), limits.top_p)
                    if tell is not None:
                        self._tell(rows, tell)
                    alive = [place for place, row in enumerate(rows) if row.finish is None]
                    if not alive or step + 1 == last:
                        break
                    if len(alive) < len(rows):  # what has ended costs nothing more
                        rows = [rows[place] for place in alive]
                        kept = torch.tensor(alive, device=self.model.device)
                        cache.batch_select_indices(kept)
                        valid = valid if valid is None else valid[kept]
                    route.segments = self.memory.segments(_segments(rows, slots))
                    logits, valid = self._step(rows, cache, valid)
        for row in every:
            row.finish = row.finish or stopped or "length"
        if tell is not None:
            self._tell(every, tell, whole=True)

    def _tell(self, rows: list[_Row], tell: Tell, whole: bool = False) -> None:
        """Tell what each row says more than it was told to say; half a character waits for its other half."""
        for row in rows:
            text = self._text(row)
            if not whole and text.endswith("\ufffd"):
                continue
            if len(text) > row.told:
                tell(row.index, text[row.told :])
                row.told = len(text)

    def _prefill(
        self,
        rows: list[_Row],
        slots: dict[str | None, int | None],
        route: Any,
        limits: Limits,
        cancel: Stop | None,
        prefix: int,
    ) -> tuple[torch.Tensor | None, Any, torch.Tensor | None, str | None]:
        """The prompts' keys and values: logits (rows, V), cache, valid columns (rows, T) or None.

        The first `prefix` tokens are the same in all of them, and kept.

        Rows of the same prompt and expert are computed once, and so is, for each expert, the
        beginning that all prompts share.  Behind it shorter prompts are padded; `valid` says which
        columns are real and is None when all are.
        """
        import torch
        from transformers import DynamicCache

        distinct: list[_Row] = []
        owner: list[int] = []
        for row in rows:
            if not distinct or (distinct[-1].prompt, distinct[-1].expert) != (row.prompt, row.expert):
                distinct.append(row)
            owner.append(len(distinct) - 1)
        heads = [  # the first row of each expert
            place
            for place, row in enumerate(distinct)
            if not place or distinct[place - 1].expert != row.expert
        ]
        shortest = min(len(row.prompt) for row in distinct)
        shared = min(len(commonprefix([row.prompt for row in distinct])), shortest - 1)
        if shared * (len(distinct) - len(heads)) < SHARED_WORTH:
            shared = prefix
        device = self.model.device
        width = max(len(row.prompt) for row in distinct)
        padded = [
            row.prompt[:shared] + (0,) * (width - len(row.prompt)) + row.prompt[shared:] for row in distinct
        ]
        tokens = torch.tensor(padded, device=device)  # (rows, T)
        missing = torch.tensor([[width - len(row.prompt)] for row in distinct], device=device)
        columns = torch.arange(width, device=device)[None]
        positions = (columns - missing * (columns >= shared)).clamp(min=0)
        valid = (columns < shared) | (columns >= shared + missing) if bool(missing.any()) else None
        cache = DynamicCache(config=self.model.config)
        stopped = None
        if prefix:
            stopped = self._recall(
                [distinct[head] for head in heads], prefix, slots, route, cache, limits, cancel
            )
        if shared and not stopped:
            route.segments = self.memory.segments(_segments([distinct[head] for head in heads], slots))
            beginnings = tokens[heads, :shared], positions[heads]
            _, stopped = self._read(*beginnings, None, prefix, cache, limits, cancel)
            parent = [sum(head <= place for head in heads) - 1 for place in range(len(distinct))]
            if not stopped:
                cache.batch_select_indices(torch.tensor(parent, device=device))
        route.segments = self.memory.segments(_segments(distinct, slots))
        logits = None
        if not stopped:
            logits, stopped = self._read(tokens, positions, valid, shared, cache, limits, cancel)
        if not stopped and len(distinct) < len(rows):
            repeat = torch.tensor(owner, device=device)
            cache.batch_select_indices(repeat)
            logits = logits[repeat]
            valid = valid if valid is None else valid[repeat]
        return logits, cache, valid, stopped

    def _recall(
        self,
        heads: list[_Row],
        prefix: int,
        slots: dict[str | None, int | None],
        route: Any,
        cache: Any,
        limits: Limits,
        cancel: Stop | None,
    ) -> str | None:
        """Put the first `prefix` tokens of each head into the cache: kept ones as they are, the others are
        computed, each by itself so that it comes out the same whoever else is in the batch, and kept."""
        import torch
        from transformers import DynamicCache

        found = []
        for head in heads:
            expert = self.memory.digest_of(head.expert)
            key = key_of(head.prompt[:prefix], expert, str(self.model.dtype))
            tensors = self.prefixes.find(key)
            if tensors is None:
                alone = DynamicCache(config=self.model.config)
                tokens = torch.tensor([head.prompt[:prefix]], device=self.model.device)
                positions = torch.arange(prefix, device=self.model.device)[None]
                route.segments = self.memory.segments(_segments([head], slots))
                _, stopped = self._read(tokens, positions, None, 0, alone, limits, cancel)
                if stopped:
                    return stopped
                tensors = [(layer.keys, layer.values) for layer in alone.layers]
                self.prefixes.add(key, prefix, head.expert, tensors)
            found.append(tensors)
        for layer, parts in enumerate(zip(*found, strict=True)):
            keys, values = (torch.cat([part[which] for part in parts]) for which in (0, 1))
            cache.update(keys, values, layer)
        return None

    def _read(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        valid: torch.Tensor | None,
        begin: int,
        cache: Any,
        limits: Limits,
        cancel: Stop | None,
    ) -> tuple[torch.Tensor | None, str | None]:
        """Put columns from `begin` on into the cache, chunk by chunk: (logits (rows, V), why it stopped)."""
        import torch

        width = tokens.shape[1]
        columns = torch.arange(width, device=tokens.device)[None]
        logits = None
        for start in range(begin, width, PREFILL_CHUNK):
            stopped = stopped_by(limits, cancel)
            if stopped:
                return None, stopped
            end = min(start + PREFILL_CHUNK, width)
            mask = None
            if valid is not None or start:
                seen = columns[:, None, :end] <= columns[:, start:end, None]  # (1, t, T)
                if valid is not None:
                    # A padding column looks at itself: a row that sees nothing would become NaN.
                    itself = columns[:, None, :end] == columns[:, start:end, None]
                    seen = (seen & valid[:, None, :end]) | itself
                mask = seen.expand(len(tokens), -1, -1)[:, None]  # (rows, 1, t, T)
            logits = self._forward(tokens[:, start:end], positions[:, start:end], mask, cache)
        return logits, None

    def _step(
        self, rows: list[_Row], cache: Any, valid: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        import torch

        device = self.model.device
        tokens = torch.tensor([[row.tokens[-1]] for row in rows], device=device)
        positions = torch.tensor([[len(row.prompt) + len(row.tokens) - 1] for row in rows], device=device)
        mask = None
        if valid is not None:
            valid = torch.cat([valid, valid.new_ones(len(rows), 1)], dim=1)
            mask = valid[:, None, None]  # (rows, 1, 1, T)
        return self._forward(tokens, positions, mask, cache), valid

    def _forward(self, tokens: Any, positions: Any, mask: Any, cache: Any) -> torch.Tensor:
        out = self.model(
            input_ids=tokens,
            position_ids=positions,
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return out.logits[:, -1].float()  # (rows, V)

    def _allowed(self, rows: list[_Row]) -> Any:
        """(rows, V) of 0 and 1: what each row's grammar lets come next; None if none has one.

        Some 20 us a row: computing them in a thread beside the forward was measured and gained nothing.
        """
        import numpy

        if all(row.matcher is None for row in rows):
            return None
        words = numpy.full((len(rows), (self.vocabulary + 31) // 32), -1, numpy.int32)
        for place, row in enumerate(rows):
            if row.matcher is not None:
                line = words[place]
                row.matcher.unsafe_compute_mask_ptr(line.ctypes.data, line.nbytes)
        return numpy.unpackbits(words.view(numpy.uint8), axis=1, count=self.vocabulary, bitorder="little")

    def _choose(self, rows: list[_Row], logits: torch.Tensor, allowed: Any, top_p: float) -> None:
        """Append one token to every row, or end it."""
        import torch

        if allowed is not None:
            forbidden = torch.from_numpy(allowed == 0).to(logits.device)
            logits = logits.masked_fill(forbidden, -math.inf)
        chosen = logits.argmax(-1)
        warm = [place for place, row in enumerate(rows) if row.temperature > 0]
        if warm:
            chosen[warm] = self._sample([rows[place] for place in warm], logits[warm], top_p)
        logprobs = logits.log_softmax(-1).gather(1, chosen[:, None])[:, 0].tolist()
        for row, token, logprob in zip(rows, chosen.tolist(), logprobs, strict=True):
            if math.isnan(logprob):  # the grammar knows no way on: it ran into a limit of its own
                row.finish = "length"
                continue
            row.logprob += logprob
            if token in self.ends:
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

    def _sample(self, rows: list[_Row], logits: torch.Tensor, top_p: float) -> torch.Tensor:
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

    def _text(self, row: _Row) -> str:
        return self.tokenizer.decode(row.tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def _draft(self, row: _Row, stopped: str | None) -> Draft:
        finish = row.finish or stopped or "length"
        return Draft(self._text(row), tuple(row.tokens), row.logprob, finish, row.cut)


def out_of_memory(exc: BaseException) -> bool:
    """Whether an allocator has nothing left: CUDA's own error, or what the CPU's says in words."""
    import torch

    told = isinstance(exc, RuntimeError) and "allocate memory" in str(exc)
    return told or isinstance(exc, MemoryError | torch.OutOfMemoryError)


def each(what: str, value: Any, count: int) -> list[Any]:
    """One value per prompt."""
    if value is None or isinstance(value, str | int | float):
        return [value] * count
    if len(value) != count:
        raise errors.BadRequest(f"{len(value)} values of {what} for {count} prompts")
    return list(value)


def _segments(rows: list[_Row], slots: dict[str | None, int | None]) -> list[tuple[int, int, int | None]]:
    """Runs of rows of one expert: (first, end, slot)."""
    runs: list[tuple[int, int, int | None]] = []
    for place, row in enumerate(rows):
        slot = slots[row.expert]
        if runs and runs[-1][2] == slot:
            runs[-1] = (runs[-1][0], place + 1, slot)
        else:
            runs.append((place, place + 1, slot))
    return runs


def stopped_by(limits: Limits, cancel: Stop | None) -> str | None:
    if cancel is not None and cancel.is_set():
        return "cancelled"
    if limits.deadline is not None and time.monotonic() >= limits.deadline:
        return "deadline"
    return None


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    for source in (model.generation_config, model.config, tokenizer):
        ends = getattr(source, "eos_token_id", None)
        if ends is not None:
            return set(ends) if isinstance(ends, list | tuple) else {ends}
    raise errors.NoMind("the model names no end of sequence (eos_token_id), so no answer would end")
