"""The part `knowledge` of `scripts/bench`: what the fractal memory finds and costs, beside its peers.

Owned here: how retrieved text is judged, the peers, and the rows.  The texts and questions are those of
`knowledge_sets`, the held-out halves only.  Peers get the same embedder and the same number of characters,
and the best of three sizes of piece for each row; those that are not installed are left out.

    .venv/bin/python -m pip install -e '.[bench]' -c scripts/constraints.txt

Shares are told with the half width of their 95 % interval (bootstrap over questions).
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy

from batos.config import Settings
from batos.image import LivingImage
from batos.knowledge import Memory, catalog, embedder, search
from batos.knowledge.chunking import Piece, join, split
from batos.knowledge.ingestion import windows_of
from batos.knowledge.reading import Document
from batos.knowledge.sentences import sentences
from batos.objects.genesis import genesis
from scripts.knowledge_sets import (
    Question,
    RankedSet,
    TextSet,
    conversations,
    documents,
    fiction,
    library,
    notices,
)
from scripts.knowledge_sets.shapes import DOCUMENTS, fuzzed
from scripts.knowledge_sets.shapes import QUESTIONS as SHAPES

BUDGETS = (1600, 3600)  # characters retrieved
QUESTIONS = 300  # of a set at most
SIZES = (100, 50, 28)  # tokens of the peers' pieces, about; the last is what batos aims at
PASSAGES = 50_000
FUZZED = 1_000
Span = tuple[str, int, int]
Row = Callable[..., None]


# -- judging -----------------------------------------------------------------------------------------------


def within(ranked: Sequence[Span], budget: int) -> Iterator[Span]:
    """The first so many characters of ranked spans."""
    for name, start, end in ranked:
        if budget <= 0:
            return
        end = min(end, start + budget)
        budget -= end - start
        yield name, start, end


def covered(evidence: Sequence[Span], found: Sequence[Span]) -> int:
    """How many characters of the evidence stand in what was found; no character counts twice."""
    total = 0
    for name, start, end in evidence:
        there = numpy.zeros(end - start, dtype=bool)
        for other, a, b in found:
            if other == name and a < end and b > start:
                there[max(0, a - start) : b - start] = True
        total += int(there.sum())
    return total


def judged(questions: Sequence[Any], ranked: Sequence[Sequence[Span]]) -> dict[str, list[float]]:
    """For each question: the share of its evidence within each budget, and the overlap with what was
    retrieved as a share of their union (IoU), within the first budget and in the first five passages."""
    told: dict[str, list[float]] = {"iou": [], "five": [], **{str(budget): [] for budget in BUDGETS}}
    for question, spans in zip(questions, ranked, strict=True):
        size = sum(end - start for _, start, end in question.evidence)
        five = list(spans[:5])
        met = covered(question.evidence, five)
        told["five"].append(met / (sum(b - a for _, a, b in five) + size - met))
        for budget in BUDGETS:
            found = list(within(spans, budget))
            met = covered(question.evidence, found)
            told[str(budget)].append(met / size)
            if budget == BUDGETS[0]:
                told["iou"].append(met / (sum(b - a for _, a, b in found) + size - met))
    return told


def shown(values: Sequence[float]) -> str:
    """A mean in percent with the half width of its 95 % interval."""
    draw = numpy.random.default_rng(0)
    sample = numpy.array(values, dtype=float)
    means = draw.choice(sample, (1000, len(sample))).mean(axis=1)
    low, high = numpy.quantile(means, [0.025, 0.975])
    return f"{100 * sample.mean():.1f} ± {50 * (high - low):.1f}"


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


# -- peers -------------------------------------------------------------------------------------------------


def cutters(model: Any) -> dict[str, Callable[[str], list[tuple[int, int]]]]:
    """The splitters that are installed, each at several sizes: a text into the spans of its pieces."""
    found: dict[str, Callable[[str], list[tuple[int, int]]]] = {}

    def placed(cut: Callable[[str], list[str]], text: str) -> list[tuple[int, int]]:
        spans, at = [], 0
        for piece in cut(text):
            start = text.find(piece, at)
            start = text.find(piece) if start < 0 else start
            if start >= 0 and piece.strip():
                spans.append((start, start + len(piece)))
                at = start + 1
        return spans

    def count(text: str) -> int:
        return model.count([text])[0]

    for size in SIZES:
        with contextlib.suppress(ImportError):
            from langchain_text_splitters import RecursiveCharacterTextSplitter

            splitter = RecursiveCharacterTextSplitter(chunk_size=4 * size, chunk_overlap=0)
            found[f"langchain {4 * size} characters"] = partial(placed, splitter.split_text)
        with contextlib.suppress(ImportError):
            import semchunk

            found[f"semchunk {size} tokens"] = partial(placed, semchunk.chunkerify(count, size))
        with contextlib.suppress(ImportError):
            from chonkie import RecursiveChunker

            chunker = RecursiveChunker(tokenizer="character", chunk_size=4 * size)
            found[f"chonkie {4 * size} characters"] = lambda text, chunker=chunker: [
                (each.start_index, each.end_index) for each in chunker(text) if each.text.strip()
            ]
        found[f"every {4 * size} characters"] = lambda text, size=4 * size: [
            (at, min(at + size, len(text)))
            for at in range(0, len(text), size)
            if text[at : at + size].strip()
        ]
    return found


def cosine_ranking(vectors: Any, asked: Any) -> list[list[int]]:
    return [numpy.argsort(-(vectors @ each), kind="stable")[:400].tolist() for each in asked]


def bm25_ranking(texts: Sequence[str], questions: Sequence[str]) -> list[list[int]] | None:
    """By bm25s with its English stop words; None where it is not installed."""
    try:
        import bm25s
    except ImportError:
        return None
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, stopwords="en", show_progress=False), show_progress=False)
    tokens = bm25s.tokenize(questions, stopwords="en", show_progress=False)
    found, scores = index.retrieve(tokens, k=min(400, len(texts)), show_progress=False)
    return [[int(n) for n, s in zip(a, b, strict=True) if s > 0] for a, b in zip(found, scores, strict=True)]


def fused(*rankings: list[list[int]]) -> list[list[int]]:
    """Reciprocal rank fusion with k = 60 (Cormack and others, 2009)."""
    together = []
    for each in zip(*rankings, strict=True):
        scores: dict[int, float] = {}
        for ranking in each:
            for rank, number in enumerate(ranking):
                scores[number] = scores.get(number, 0.0) + 1 / (60 + rank)
        together.append(sorted(scores, key=lambda number: -scores[number]))
    return together


# -- quality -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def an_image() -> Iterator[LivingImage]:
    """A newborn image with a catalog and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        birth = partial(genesis, parts=[catalog.catalog])
        with LivingImage.open(Path(folder) / "image", Settings(), birth=birth) as image:
            yield image


def cut_by_batos(model: Any, texts: TextSet, kind: str = "markdown") -> tuple[list[Span], Any]:
    """(spans, vectors) of what `remember` would keep."""
    told = [Document(name, text, kind, "", len(text), 0.0) for name, text in texts.documents.items()]
    cut = Memory(None, model)._cut(told)
    spans = [(doc.source, p.start, p.end) for doc, (found, _) in zip(told, cut, strict=True) for p in found]
    return spans, numpy.vstack([vectors for _, vectors in cut if vectors is not None])


@contextlib.contextmanager
def remembering(
    model: Any, texts: TextSet, kind: str = "markdown"
) -> Iterator[Callable[..., list[list[Span]]]]:
    """An image that remembers these texts: a function that says what `recall` answers to every question."""
    with an_image() as image:
        memory = Memory(image, model)
        for name, text in texts.documents.items():
            memory.remember_text(name, text, kind)

        def ask(top: int, **more: Any) -> list[list[Span]]:
            found = [memory.recall(each.text, top, **more) for each in texts.questions]
            return [[(each["source"], each["start"], each["end"]) for each in told] for told in found]

        yield ask


def beside(
    row: Row, what: str, ours: Sequence[float], peers: dict[str, Sequence[float]], margin: float
) -> None:
    """A row against the best of its peers, with the goal: so many points above that one."""
    best = max(peers, key=lambda name: mean(peers[name]))
    goal = 100 * mean(peers[best]) + margin
    met = "met" if 100 * mean(ours) >= goal else "missed"
    row(what, shown(ours), f"{goal:.1f} (+{margin}): {met}", f"{best}: {shown(peers[best])}",
        mean(ours) / max(mean(peers[best]), 1e-9))  # fmt: skip


def quality(row: Row, say: Callable[[str], None], questions: int = QUESTIONS) -> None:
    """Evidence within a budget: the chunker alone, and the whole way from a text to an answer."""
    model = embedder()
    if not model.semantic:
        row("quality of what is found", "the sentence model is not installed: nothing to compare")
        return
    for texts in (library("held-out"), fiction("held-out")):
        passages(row, say, model, texts.shortened(questions))
    talking(row, say, model, questions)
    subjects(row, say, model)
    for ranked in (documents("held-out"), notices("held-out")):
        ranking(row, say, model, ranked.shortened(questions))


def passages(row: Row, say: Callable[[str], None], model: Any, texts: TextSet) -> None:
    """The rows of one set: evidence within a budget, and how much of what is retrieved is evidence."""
    asked = model.encode([each.text for each in texts.questions])
    pieces: dict[str, tuple[list[Span], list[str]]] = {}
    dense: dict[str, list[list[int]]] = {}
    for name, cut in cutters(model).items():
        say(f"{texts.name}: {name}")
        spans = [(doc, a, b) for doc, text in texts.documents.items() for a, b in cut(text)]
        said = [texts.documents[doc][a:b] for doc, a, b in spans]
        pieces[name] = spans, said
        dense[name] = cosine_ranking(model.encode(said), asked)
    say(f"{texts.name}: batos")
    spans, vectors = cut_by_batos(model, texts)
    ours = judged(texts.questions, [[spans[n] for n in each] for each in cosine_ranking(vectors, asked)])

    def judge(name: str, ranked: list[list[int]]) -> dict[str, list[float]]:
        return judged(texts.questions, [[pieces[name][0][n] for n in each] for each in ranked])

    peers = {name: judge(name, ranked) for name, ranked in dense.items()}
    alone = "chunker and vectors alone"
    for key, what, margin in (("1600", "evidence within 1,600 characters", 3.4),
                              ("3600", "evidence within 3,600 characters", 3.0),
                              ("five", "precision (IoU) of the first five passages", 1.9)):  # fmt: skip
        told = {name: judged_[key] for name, judged_ in peers.items()}
        beside(row, f"{texts.name}: {what}, {alone}", ours[key], told, margin)
    best = max(peers, key=lambda name: mean(peers[name]["1600"]))
    whole = {}
    for name in dict.fromkeys((best, next(each for each in pieces if each.startswith("every")))):
        whole[f"naive: {name}, cosine"] = peers[name]
        worded = bm25_ranking(pieces[name][1], [q.text for q in texts.questions])
        if worded is not None:
            whole[f"{name}, bm25s"] = judge(name, worded)
            whole[f"{name}, rank fusion"] = judge(name, fused(dense[name], worded))
    with remembering(model, texts) as ask:
        ours = judged(texts.questions, ask(60))
        ours["five"] = judged(texts.questions, ask(5))["five"]
        ours["exact"] = judged(texts.questions, ask(5, exact=True))["five"]
    for key, what, margin in (("1600", "evidence within 1,600 characters", 7.8),
                              ("3600", "evidence within 3,600 characters", 5.7),
                              ("five", "precision (IoU) of the answers of `recall`", 1.9),
                              ("exact", "precision (IoU) of the answers of `recall --exact`", 1.9)):  # fmt: skip
        told = {name: judged_["five" if key == "exact" else key] for name, judged_ in whole.items()}
        if key in ("five", "exact"):  # of any peer: small pieces are more precise and find less
            told |= {name: judged_["five"] for name, judged_ in peers.items()}
        beside(row, f"{texts.name}: {what}, whole pipeline", ours[key], told, margin)
    most = mean([min(1.0, sum(b - a for _, a, b in q.evidence) / BUDGETS[0]) for q in texts.questions])
    row(f"{texts.name}: IoU within 1,600 characters, of {100 * most:.1f} that can be had", shown(ours["iou"]), "",
        f"{best}, cosine: {shown(peers[best]['iou'])}", mean(ours["iou"]) / max(mean(peers[best]["iou"]), 1e-9))  # fmt: skip


def talking(row: Row, say: Callable[[str], None], model: Any, questions: int) -> None:
    """Conversations: is the turn that answers among the first five, ten; a turn is a piece for everybody."""
    texts = conversations("held-out").shortened(questions)
    say(texts.name)
    spans: list[Span] = []
    for name, text in texts.documents.items():
        at = 0
        for line in text.split("\n"):
            if line and not line.startswith("#"):
                spans.append((name, at, at + len(line)))
            at += len(line) + 1
    said = [texts.documents[name][a:b] for name, a, b in spans]
    peers = rankings(model, said, [each.text for each in texts.questions])

    def at_most(ranked: Sequence[Sequence[Span]], top: int) -> list[float]:
        return [
            float(covered(q.evidence, found[:top]) >= 0.9 * sum(b - a for _, a, b in q.evidence))
            for q, found in zip(texts.questions, ranked, strict=True)
        ]

    with remembering(model, texts, "chat") as ask:
        ours = ask(10)
    for top, margin in ((5, 14.9), (10, 16.7)):
        told = {name: at_most([[spans[n] for n in each] for each in r], top) for name, r in peers.items()}
        beside(row, f"{texts.name}: evidence recall@{top}", at_most(ours, top), told, margin)


def changing(texts: TextSet, seed: int = 7, many: int = 40) -> Iterator[tuple[str, list[int]]]:
    """Texts of ten segments, as Choi (2000) makes them: the first 3 to 11 sentences of documents drawn by chance,
    joined in one paragraph; and where a segment begins, but for the first."""
    said = [
        [" ".join(text[a:b].split()) for a, b in sentences(text)]
        for _, text in sorted(texts.documents.items())
    ]
    said = [each for each in said if len(each) >= 3]
    draw = random.Random(seed)
    for _ in range(many):
        text, borders = "", []
        for each in draw.sample(said, 10):
            borders.append(len(text))
            text += " ".join(each[: draw.randint(3, 11)]) + " "
        yield text, borders[1:]


def window_errors(length: int, found: Sequence[int], true: Sequence[int]) -> tuple[float, float]:
    """(Pk, WindowDiff) of borders: how often two places, half a segment apart, are wrongly held to be of one
    segment or not (Beeferman and others, 1999); how often there is another number of borders between them
    (Pevzner and Hearst, 2002)."""
    width = length // (2 * (len(true) + 1))
    told, meant = (
        numpy.cumsum(numpy.bincount(numpy.asarray(each, dtype=int), minlength=length)[:length])
        for each in (found, true)
    )
    ours, theirs = told[width:] - told[:-width], meant[width:] - meant[:-width]
    return float(((ours > 0) != (theirs > 0)).mean()), float((ours != theirs).mean())


def subjects(row: Row, say: Callable[[str], None], model: Any) -> None:
    """Where joined texts change their subject: our cuts, asked for about as many pieces as there are segments,
    beside as many of equal length and a splitter's."""
    texts = documents("held-out")
    say("changes of subject")
    pk: dict[str, list[float]] = {}
    diff: dict[str, list[float]] = {}
    met: Counter[str] = Counter()
    borders = 0
    for text, true in changing(TextSet(texts.name, texts.documents)):
        units = split(text, "text", model.count)
        size = min(150, model.count([text])[0] // 10)  # no passage of ours is above 200 tokens
        pieces = join(units, model.encode_parts(list(windows_of(text, units))), size)
        found = {"batos": [each.start for each in pieces[1:]]}
        size = len(text) // len(pieces) + 1
        found["cuts of equal length"] = list(range(size, len(text), size))
        with contextlib.suppress(ImportError):
            import semchunk

            size = model.count([text])[0] // len(pieces) + 1
            _, at = semchunk.chunkerify(lambda part: model.count([part])[0], size)(text, offsets=True)
            found["semchunk"] = [start for start, _ in at[1:]]
        borders += len(true)
        for name, each in found.items():
            wrong = window_errors(len(text), each, true)
            pk.setdefault(name, []).append(wrong[0])
            diff.setdefault(name, []).append(wrong[1])
            met[name] += len(set(true) & set(each))
    others = sorted((each for each in pk if each != "batos"), key=lambda name: mean(pk[name]))

    def told(name: str) -> str:
        return f"{name}: {shown(pk[name])}, {100 * mean(diff[name]):.1f}, {100 * met[name] / borders:.0f}"

    row("changes of subject in joined texts: Pk, WindowDiff (lower is better), borders met", told("batos"), "",
        "; ".join(map(told, others)), mean(pk[others[0]]) / mean(pk["batos"]))  # fmt: skip


def rankings(model: Any, texts: Sequence[str], questions: Sequence[str]) -> dict[str, list[list[int]]]:
    """What the peers make of some texts: by cosine, by bm25s, and both by rank fusion."""
    dense = cosine_ranking(model.encode(texts), model.encode(questions))
    worded = bm25_ranking(texts, questions)
    return {"cosine": dense} | (
        {} if worded is None else {"bm25s": worded, "rank fusion": fused(dense, worded)}
    )


def ranking(row: Row, say: Callable[[str], None], model: Any, ranked: RankedSet) -> None:
    """Whole documents in the order of their use."""
    say(ranked.name)
    names = list(ranked.documents)
    peers = rankings(model, list(ranked.documents.values()), [asked for asked, _ in ranked.questions])

    def ndcg(found: Sequence[Sequence[str]]) -> list[float]:
        """nDCG@10, with gains of 2^worth - 1 (Burges and others, 2005)."""
        told = []
        for (_, worth), order in zip(ranked.questions, found, strict=True):
            gains = [2 ** worth.get(name, 0) - 1 for name in list(dict.fromkeys(order))[:10]]
            ideal = sorted((2**each - 1 for each in worth.values()), reverse=True)[:10]
            told.append(discounted(gains) / discounted(ideal))
        return told

    told = {name: ndcg([[names[n] for n in each] for each in found]) for name, found in peers.items()}
    texts = TextSet(ranked.name, ranked.documents, [Question(asked, ()) for asked, _ in ranked.questions])
    with remembering(model, texts) as ask:
        ours, floored = (
            ndcg([[span[0] for span in found] for found in ask(60, **more)]) for more in ({"least": 0.0}, {})
        )
    beside(row, f"{ranked.name}: nDCG@10", ours, told, 1.8)
    row(f"{ranked.name}: the same where what stays under the floor counts 0", shown(floored), "",
        f"ranked: {shown(ours)}", mean(floored) / max(mean(ours), 1e-9))  # fmt: skip


def discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))


# -- questions as people type them -------------------------------------------------------------------------


def shapes(row: Row, say: Callable[[str], None]) -> None:
    """Questions of every shape: which raise, which do not find what answers them."""
    say("questions of every shape")
    from zope.index.text.textindex import TextIndex

    peer = TextIndex()
    for number, text in enumerate(DOCUMENTS.values()):
        peer.index_doc(number, text)
    raised, lost = Counter(), Counter()

    def ask(who: str, found: Callable[[str], list[str]], question: str, right: str) -> None:
        try:
            answers = found(question)
            lost[who] += bool(right) and right not in answers
        except Exception:  # noqa: BLE001 - whatever it raises is counted
            raised[who] += 1

    with an_image() as image:
        memory = Memory(image, embedder())
        for name, text in DOCUMENTS.items():
            memory.remember_text(name, text, "text")
        names = list(DOCUMENTS)
        for question, right in SHAPES:
            ask("batos", lambda q: [each["source"] for each in memory.recall(q)], question, right)
            ask("zope", lambda q: [names[n] for n in peer.apply(q) or ()], question, right)
        draw = random.Random(11)
        for question in [fuzzed(draw) for _ in range(FUZZED)]:
            ask("batos, fuzzed", lambda q: [each["source"] for each in memory.recall(q)], question, "")
            ask("zope, fuzzed", lambda q: [names[n] for n in peer.apply(q) or ()], question, "")
    row(f"{len(SHAPES)} everyday questions that raise; that do not find what answers them",
        f"{raised['batos']}; {lost['batos']}", "0; 0",
        f"zope TextIndex as it comes: {raised['zope']}; {lost['zope']}")  # fmt: skip
    row(f"{FUZZED:,} fuzzed questions that raise", f"{raised['batos, fuzzed']}", "0",
        f"zope TextIndex as it comes: {raised['zope, fuzzed']}")  # fmt: skip


# -- speed and size ----------------------------------------------------------------------------------------


def speed(row: Row, say: Callable[[str], None], passages: int = PASSAGES) -> None:
    """Cutting, reading in, writing, adding one, looking up, waking up."""
    model = embedder()
    texts = "\n\n".join(library("held-out").documents.values())
    say("splitting")
    split(texts[:20_000], "text", model.count)
    (ours, cpu), _ = cost(lambda: split(texts, "text", model.count))
    rates = {}
    for name, cut in cutters(model).items():
        if not name.startswith("every"):
            (_, spent), _ = cost(lambda cut=cut: cut(texts))
            rates[name] = len(texts) / spent
    best = max(rates, key=rates.get) if rates else ""
    row("splitter alone, token-exact", f"{len(texts) / cpu / 1e6:.2f} MB per CPU second", "5 MB/s",
        best and f"{best}: {rates[best] / 1e6:.2f}", best and len(texts) / cpu / rates[best] or None)  # fmt: skip
    with an_image() as image:
        memory = Memory(image, model)
        model.encode(["to load it"] * 200)
        say("reading in")
        with tempfile.TemporaryDirectory() as folder:
            for number in range(20):
                size = len(texts) // 20
                (Path(folder) / f"{number}.txt").write_text(texts[number * size : (number + 1) * size])
            (took, cpu), _ = cost(lambda: memory.remember([folder]))
        row("ingestion end to end", f"{len(texts) / took / 1e3:.0f} KB/s, {len(texts) / cpu / 1e3:.0f} per CPU second",
            "45 KB/s on two cores")  # fmt: skip
    stored(row, say, passages)


def cost(run: Callable[[], Any]) -> tuple[tuple[float, float], Any]:
    """((seconds, CPU seconds of this process), what it answers)."""
    wall, cpu = time.perf_counter(), time.process_time()
    told = run()
    return (time.perf_counter() - wall, time.process_time() - cpu), told


def invented(count: int, seed: int = 1) -> Iterator[tuple[str, str, list[Piece], Any]]:
    """Documents of a hundred passages of real words: (source, text, pieces, vectors like real ones)."""
    words = " ".join(library("held-out").documents.values()).split()
    draw, numbers = random.Random(seed), numpy.random.default_rng(seed)
    topics = numbers.normal(size=(200, 384)).astype(numpy.float32)
    for number in range(count // 100):
        parts = [" ".join(draw.choices(words, k=40)) for _ in range(100)]
        text, pieces, at = "\n\n".join(parts), [], 0
        for n, part in enumerate(parts):
            pieces.append(Piece(at, at + len(part), 55, n, n + 1))
            at += len(part) + 2
        vectors = topics[numbers.integers(0, 200, 100)] + numbers.normal(size=(100, 384)).astype(
            numpy.float32
        )
        vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
        yield f"/invented/{number:05}", text, pieces, vectors


FRESH = """
import sys, time
begun = time.perf_counter()
from pathlib import Path
from batos.app import Image
from batos.knowledge import Memory, embedder
with Image.open(Path(sys.argv[1])) as image:
    found = Memory(image, embedder()).recall("which file is opened for reading and how")
    took = time.perf_counter() - begun
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(took, peak / 1024, time.process_time())
"""


def stored(row: Row, say: Callable[[str], None], passages: int) -> None:
    """What an image of many passages costs."""
    with tempfile.TemporaryDirectory() as folder:
        place, birth = Path(folder) / "image", partial(genesis, parts=[catalog.catalog])
        file = place / "live_image.fs"
        with LivingImage.open(place, Settings(), birth=birth) as image:
            say(f"writing {passages} passages")
            prepared, done, written = [], 0, {}
            wall = cpu = 0.0

            def put(root: Any) -> None:
                for source, text, pieces, vectors in prepared:
                    told = {"digest": source, "space": "invented"}
                    catalog.index_document(root, source, text, pieces, vectors, told)

            for each in invented(passages):
                prepared.append(each)
                if len(prepared) == 10:
                    (a, b), _ = cost(lambda: image.run("remember", put))
                    wall, cpu, done = wall + a, cpu + b, done + 1000
                    prepared.clear()
                    if done in (10_000, 50_000):
                        written[done] = done / wall, done / cpu
            for size, (a, b) in written.items():
                row(f"durable batched writes into {size:,} passages", f"{a:,.0f} a second, {b:,.0f} per CPU second",
                    "8,000" if size == 10_000 else "6,000")  # fmt: skip
            one = "The walrus number {} sleeps on the northern ice near the broken pier in winter."
            vector = next(iter(invented(100, 9)))[3][:1]

            def add(n: int) -> None:
                pieces = join(split(one.format(n), "text"))
                told = {"digest": str(n), "space": "invented"}
                image.run("add", lambda root: catalog.index_document(
                    root, f"/one/{n}", one.format(n), pieces, vector, told))  # fmt: skip

            add(-1)
            image.run("remove", lambda root: catalog.unindex_document(root, "/one/-1"))  # lays the index out
            for what, run, goal in (
                ("adding", add, "2 ms, 12 KB"),
                ("removing", lambda n: image.run("remove", lambda root: catalog.unindex_document(root, f"/one/{n}")),
                 "1.5 ms, 8 KB"),
            ):  # fmt: skip
                before = file.stat().st_size
                (_, cpu), _ = cost(lambda run=run: [run(n) for n in range(50)])
                row(f"{what} one passage, CPU time and bytes written", f"{cpu / 50 * 1e3:.2f} ms, "
                    f"{(file.stat().st_size - before) / 50 / 1e3:.1f} KB", goal)  # fmt: skip
            say("asking")
            draw = random.Random(5)
            words = " ".join(library("held-out").documents.values()).split()
            vectors = next(iter(invented(100, 3)))[3]
            took: list[float] = []
            spent: list[float] = []

            def ask(root: Any) -> None:
                for vector in vectors:
                    query = " ".join(draw.choices(words, k=8))
                    wall, cpu = time.perf_counter(), time.thread_time()
                    search.search(root, query, vector, 5)
                    took.append(time.perf_counter() - wall)
                    spent.append(time.thread_time() - cpu)

            image.run("ask", ask)
            image.run("ask", ask)
            took, spent = sorted(took[100:]), sorted(spent[100:])
            row(f"hybrid query over {passages:,} passages", f"p50 {took[50] * 1e3:.2f}, p95 {took[95] * 1e3:.2f} ms; "
                f"CPU {spent[50] * 1e3:.2f}, {spent[95] * 1e3:.2f} ms", "2 / 4 ms")  # fmt: skip
            image.pack(0)
            row(
                "size of a passage, packed, with its vector",
                f"{file.stat().st_size / passages:,.0f} B",
                "2,000 B",
            )
        say("a fresh process")
        told = []
        for _ in range(3):
            done = subprocess.run([sys.executable, "-c", FRESH, str(place)], capture_output=True, text=True,
                                  check=True, cwd=Path(__file__).parent.parent)  # fmt: skip
            told.append([float(each) for each in done.stdout.split()])
        best = min(told)
        row(f"fresh process to its first answer over {passages:,} passages",
            f"{best[0]:.2f} s, CPU {best[2]:.2f} s, {best[1]:.0f} MB", "1.5 s, 400 MB")  # fmt: skip


def measure(row: Row, say: Callable[[str], None]) -> None:
    """All of it."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    shapes(row, say)
    quality(row, say)
    speed(row, say)
