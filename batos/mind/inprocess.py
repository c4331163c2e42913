"""The engine in this process: a causal LM of transformers, its tokenizer, and the experts beside it.

Owns what is settled before the first token: tokens, grammars, whether it fits the ledger, whose turn it is;
and what becomes of a generation that runs out of memory.  The tokens themselves are `decoding`'s, experts
and what fits `memory_manager`'s, prompts and grammars their writers'.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from batos import errors
from batos.mind import dialect
from batos.mind.decoding import PREFILL_CHUNK, Decoding
from batos.mind.engine import Closed, Draft, Limits, Stop, Tell, each, stopped_by
from batos.mind.ledger import kv_bytes_per_token, out_of_memory, workspace_bytes
from batos.mind.memory_manager import MemoryManager
from batos.mind.prefixes import Prefixes, Shelf
from batos.mind.sampling import Row
from batos.mind.steps import Shapes

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

GRAMMARS_KEPT = 256  # compiled grammars, a few hundred KB each at most


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
        self.fixed = model.device.type == "cuda"  # decode at fixed addresses, for CUDA graphs
        self.shapes = Shapes(self)
        memory.relievers += [self.shapes.drop_one, self.prefixes.drop_one]
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
                    Decoding(self, known, limits, cancel, tell, len(head)).run(batch)
        return [self._draft(row, stopped) for row in rows]

    def close(self, hurry: Stop | None = None) -> None:
        """Let the model go, after the generation that runs; who comes later gets `Closed`."""
        while not self._turn.acquire(timeout=0.05):
            if hurry is not None and hurry.is_set():
                return
        try:
            self.shapes.clear()
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
    ) -> list[Row]:
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
            Row(
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

    def forward(self, tokens: Any, positions: Any, mask: Any, cache: Any) -> torch.Tensor:
        """The scores of what comes next, (rows, V), for tokens behind what is in the cache already."""
        import torch

        # By its number and not as a slice: a product with a strided row copies the whole head first, which took
        # 137 of the 204 ms to a first token of the 190 M model.
        last = torch.tensor([tokens.shape[1] - 1], device=tokens.device)
        out = self.model(
            input_ids=tokens,
            position_ids=positions,
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=last,
        )
        return out.logits[:, -1].float()  # (rows, V)

    def text_of(self, row: Row) -> str:
        return self.tokenizer.decode(row.tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def _draft(self, row: Row, stopped: str | None) -> Draft:
        finish = row.finish or stopped or "length"
        return Draft(self.text_of(row), tuple(row.tokens), row.logprob, finish, row.cut)


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    for source in (model.generation_config, model.config, tokenizer):
        ends = getattr(source, "eos_token_id", None)
        if ends is not None:
            return set(ends) if isinstance(ends, list | tuple) else {ends}
    raise errors.NoMind("the model names no end of sequence (eos_token_id), so no answer would end")
