"""Decoding: one generation, from its prompts to the last token of its last row.

The loop is our own because a mission wants what `model.generate` does not give at once: one grammar,
temperature and expert per row, the same prompt computed once for all its drafts, a deadline and a cancel
looked at after every token, and the likelihood of each draft under its grammar.
"""

from __future__ import annotations

from os.path import commonprefix
from typing import TYPE_CHECKING, Any

from batos.mind.engine import Backend, Limits, Stop, Tell, stopped_by
from batos.mind.prefixes import key_of
from batos.mind.sampling import Row, allowed_words, choose
from batos.mind.steps import WORTH, Fixed, Growing

if TYPE_CHECKING:
    import torch

PREFILL_CHUNK = 512  # columns of a prompt between two looks at the clock
SHARED_WORTH = 16  # tokens a shared beginning must save to be worth a forward of its own


class Decoding:
    """A generation that runs.

    slots   where the experts of its rows are, by name; they stay pinned while it runs
    prefix  how many tokens at the beginning of every prompt are the same, and kept
    """

    def __init__(
        self,
        engine: Backend,
        slots: dict[str | None, int | None],
        limits: Limits,
        cancel: Stop | None,
        tell: Tell | None,
        prefix: int,
    ):
        self.engine = engine
        self.memory = engine.memory
        self.device = engine.model.device
        self.slots, self.limits, self.cancel, self.tell, self.prefix = slots, limits, cancel, tell, prefix

    def run(self, rows: list[Row]) -> None:
        """Write every row to its end.  Rows of one expert stand together."""
        import torch

        every, limits, ends = rows, self.limits, self.engine.ends
        # Without the guard rows past the window would read positions that were never trained.
        last = min(limits.max_tokens, self.engine.window - max(len(row.prompt) for row in rows))
        with torch.inference_mode(), self.memory.routed([]):
            logits, cache, valid, stopped = self._prefill(rows)
            steps = None if stopped else self._steps(rows, cache, valid, last)
            del cache  # a fixed one took it over
            for step in range(last):
                stopped = stopped or self._stopped()
                if stopped:
                    break
                choose(rows, logits, allowed_words(rows, self.engine.vocabulary), limits.top_p, ends)
                if self.tell is not None:
                    self._tell(rows)
                alive = [place for place, row in enumerate(rows) if row.finish is None]
                if not alive or step + 1 == last:
                    break
                if len(alive) < len(rows):  # what has ended costs nothing more
                    rows = [rows[place] for place in alive]
                    steps.keep(alive)
                    if isinstance(steps, Growing):
                        self._route(rows)
                logits = steps.step(rows)
        for row in every:
            row.finish = row.finish or stopped or "length"
        if self.tell is not None:
            self._tell(every, whole=True)

    def _steps(
        self, rows: list[Row], cache: Any, valid: torch.Tensor | None, last: int
    ) -> Growing | Fixed:
        """How the rows go on: at fixed addresses on a card, where there is room and enough to come."""
        fixed = None
        if self.engine.fixed and last >= WORTH:
            fixed = self.engine.shapes.find(len(rows), cache.get_seq_length() + last)
        if fixed is None:
            return Growing(self.engine, cache, valid)
        fixed.load(cache, valid)
        return fixed

    def _stopped(self) -> str | None:
        return stopped_by(self.limits, self.cancel)

    def _route(self, rows: list[Row]) -> None:
        """From here on row i of the batch thinks with the expert of rows[i]."""
        self.memory.route.segments = self.memory.segments(segments_of(rows, self.slots))

    def _tell(self, rows: list[Row], whole: bool = False) -> None:
        """Tell what each row says more than it was told to say; half a character waits for its other half."""
        for row in rows:
            text = self.engine.text_of(row)
            if not whole and text.endswith("\ufffd"):
                continue
            if len(text) > row.told:
                self.tell(row.index, text[row.told :])
                row.told = len(text)

    def _prefill(
        self, rows: list[Row]
    ) -> tuple[torch.Tensor | None, Any, torch.Tensor | None, str | None]:
        """The prompts' keys and values: logits (rows, V), cache, valid columns (rows, T) or None.

        Rows of the same prompt and expert are computed once, and so is, for each expert, the
        beginning that all prompts share.  Behind it shorter prompts are padded; `valid` says which
        columns are real and is None when all are.
        """
        import torch
        from transformers import DynamicCache

        distinct: list[Row] = []
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
            shared = self.prefix
        device = self.device
        width = max(len(row.prompt) for row in distinct)
        padded = [
            row.prompt[:shared] + (0,) * (width - len(row.prompt)) + row.prompt[shared:] for row in distinct
        ]
        tokens = torch.tensor(padded, device=device)  # (rows, T)
        missing = torch.tensor([[width - len(row.prompt)] for row in distinct], device=device)
        columns = torch.arange(width, device=device)[None]
        positions = (columns - missing * (columns >= shared)).clamp(min=0)
        valid = (columns < shared) | (columns >= shared + missing) if bool(missing.any()) else None
        cache = DynamicCache(config=self.engine.model.config)
        stopped = None
        if self.prefix:
            stopped = self._recall([distinct[head] for head in heads], cache)
        if shared and not stopped:
            self._route([distinct[head] for head in heads])
            _, stopped = self._read(tokens[heads, :shared], positions[heads], None, self.prefix, cache)
            parent = [sum(head <= place for head in heads) - 1 for place in range(len(distinct))]
            if not stopped:
                cache.batch_select_indices(torch.tensor(parent, device=device))
        self._route(distinct)
        logits = None
        if not stopped:
            logits, stopped = self._read(tokens, positions, valid, shared, cache)
        if not stopped and len(distinct) < len(rows):
            repeat = torch.tensor(owner, device=device)
            cache.batch_select_indices(repeat)
            logits = logits[repeat]
            valid = valid if valid is None else valid[repeat]
        self._route(rows)
        return logits, cache, valid, stopped

    def _recall(self, heads: list[Row], cache: Any) -> str | None:
        """Put the first `prefix` tokens of each head into the cache: kept ones as they are, the others are
        computed, each by itself so that it comes out the same whoever else is in the batch, and kept."""
        import torch
        from transformers import DynamicCache

        found, prefixes, model = [], self.engine.prefixes, self.engine.model
        computed = f"{model.dtype} {self.device.type} torch {torch.__version__}"
        for head in heads:
            beginning = head.prompt[: self.prefix]
            key = key_of(beginning, self.memory.digest_of(head.expert), computed)
            tensors = prefixes.find(key)
            if tensors is None:
                alone = DynamicCache(config=model.config)
                tokens = torch.tensor([beginning], device=self.device)
                positions = torch.arange(self.prefix, device=self.device)[None]
                self._route([head])
                _, stopped = self._read(tokens, positions, None, 0, alone)
                if stopped:
                    return stopped
                tensors = [(layer.keys, layer.values) for layer in alone.layers]
                prefixes.add(key, self.prefix, head.expert, tensors)
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
    ) -> tuple[torch.Tensor | None, str | None]:
        """Put columns from `begin` on into the cache, chunk by chunk: (logits (rows, V), why it stopped)."""
        import torch

        width = tokens.shape[1]
        columns = torch.arange(width, device=tokens.device)[None]
        logits = None
        for start in range(begin, width, PREFILL_CHUNK):
            stopped = self._stopped()
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
            logits = self.engine.forward(tokens[:, start:end], positions[:, start:end], mask, cache)
        return logits, None


def segments_of(rows: list[Row], slots: dict[str | None, int | None]) -> list[tuple[int, int, int | None]]:
    """Runs of rows of one expert: (first, end, slot)."""
    runs: list[tuple[int, int, int | None]] = []
    for place, row in enumerate(rows):
        slot = slots[row.expert]
        if runs and runs[-1][2] == slot:
            runs[-1] = (runs[-1][0], place + 1, slot)
        else:
            runs.append((place, place + 1, slot))
    return runs
