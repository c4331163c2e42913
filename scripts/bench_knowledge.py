"""The part `knowledge` of `scripts/bench`: what the fractal memory finds and costs, beside its peers.

Owned here: how retrieved text is judged, the peers, and the rows.  The texts and questions are those of
`knowledge_sets`, the held-out halves only.  Peers get the same embedder and the same number of characters,
and the better of two sizes of piece; those that are not installed are left out and named.

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
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy

from batos.config import Settings
from batos.image import LivingImage
from batos.knowledge import Memory, catalog, embedder, search
from batos.knowledge.chunking import Piece, join, split
from batos.knowledge.reading import Document
from batos.objects.genesis import genesis
from scripts.knowledge_sets import TextSet, conversations, fiction, library

BUDGETS = (1600, 3600)  # characters retrieved
QUESTIONS = 300  # of a set at most
PASSAGES = 50_000
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
    retrieved as a share of their union (IoU) within the first."""
    told: dict[str, list[float]] = {"iou": [], **{str(budget): [] for budget in BUDGETS}}
    for question, spans in zip(questions, ranked, strict=True):
        size = sum(end - start for _, start, end in question.evidence)
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
    """The splitters that are installed, each at two sizes: a text into the spans of its pieces."""
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

    for size in (100, 50):
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


def through_the_image(model: Any, texts: TextSet, top: int, kind: str = "markdown") -> list[list[Span]]:
    """What `recall` answers to every question, in an image that remembers these texts."""
    with an_image() as image:
        memory = Memory(image, model)
        for name, text in texts.documents.items():
            memory.remember_text(name, text, kind)
        vectors = model.encode([each.text for each in texts.questions])

        def ask(root: Any) -> list[list[Span]]:
            return [
                [(each["source"], each["start"], each["end"]) for each in search.search(root, q.text, v, top)]
                for q, v in zip(texts.questions, vectors, strict=True)
            ]

        return image.run("ask", ask)


def quality(row: Row, say: Callable[[str], None], questions: int = QUESTIONS) -> None:
    """Evidence within a budget: the chunker alone, and the whole way from a text to an answer."""
    model = embedder()
    if not model.semantic:
        row("quality of what is found", "the sentence model is not installed: nothing to compare")
        return
    for texts in (library("held-out"), fiction("held-out")):
        texts = texts.shortened(questions)
        asked = model.encode([each.text for each in texts.questions])
        peers: dict[str, dict[str, list[float]]] = {}
        pieces: dict[str, tuple[list[Span], list[str], Any]] = {}
        for name, cut in cutters(model).items():
            say(f"{texts.name}: {name}")
            spans = [(doc, a, b) for doc, text in texts.documents.items() for a, b in cut(text)]
            said = [texts.documents[doc][a:b] for doc, a, b in spans]
            pieces[name] = spans, said, model.encode(said)
            ranked = cosine_ranking(pieces[name][2], asked)
            peers[name] = judged(texts.questions, [[spans[n] for n in each] for each in ranked])
        say(f"{texts.name}: batos")
        spans, vectors = cut_by_batos(model, texts)
        ranked = cosine_ranking(vectors, asked)
        ours = judged(texts.questions, [[spans[n] for n in each] for each in ranked])
        best = max(peers, key=lambda name: mean(peers[name]["1600"]))
        for key, what in (("1600", "evidence within 1,600 characters"), ("3600", "within 3,600 characters"),
                          ("iou", "precision (IoU)")):  # fmt: skip
            goal = {"1600": "+3.4", "3600": "+3.0", "iou": "+1.9"}[key]
            row(f"{texts.name}: {what}, chunker and vectors alone", shown(ours[key]), f"peer {goal}",
                f"{best}: {shown(peers[best][key])}", mean(ours[key]) / max(mean(peers[best][key]), 1e-9))  # fmt: skip
        whole = {}
        for name in (best, next(each for each in pieces if each.startswith("every"))):
            spans, said, vectors = pieces[name]
            dense, worded = (
                cosine_ranking(vectors, asked),
                bm25_ranking(said, [q.text for q in texts.questions]),
            )
            whole[f"naive: {name}, cosine"] = dense
            if worded is not None:
                whole[f"{name}, bm25s"] = worded
                whole[f"{name}, rank fusion"] = fused(dense, worded)
            for each in [each for each in whole if isinstance(whole[each], list)]:
                whole[each] = judged(texts.questions, [[spans[n] for n in r] for r in whole[each]])
        best = max(whole, key=lambda name: mean(whole[name]["1600"]))
        ours = judged(texts.questions, through_the_image(model, texts, 60))
        for key, what, goal in (("1600", "evidence within 1,600 characters", "+7.8"),
                                ("3600", "within 3,600 characters", "+5.7")):  # fmt: skip
            row(f"{texts.name}: {what}, whole pipeline", shown(ours[key]), f"peer {goal}",
                f"{best}: {shown(whole[best][key])}", mean(ours[key]) / max(mean(whole[best][key]), 1e-9))  # fmt: skip
    talking(row, say, model, questions)
    ranking(row, say, model, questions)


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
    asked = [each.text for each in texts.questions]
    dense = cosine_ranking(model.encode(said), model.encode(asked))
    worded = bm25_ranking(said, asked)
    peers = {"cosine": dense} | (
        {} if worded is None else {"bm25s": worded, "rank fusion": fused(dense, worded)}
    )

    def at_most(ranked: Sequence[Sequence[Span]], top: int) -> list[float]:
        return [
            float(covered(q.evidence, found[:top]) >= 0.9 * sum(b - a for _, a, b in q.evidence))
            for q, found in zip(texts.questions, ranked, strict=True)
        ]

    ours = through_the_image(model, texts, 10, "chat")
    for top, goal in ((5, "+14.9"), (10, "+16.7")):
        told = {name: at_most([[spans[n] for n in each] for each in r], top) for name, r in peers.items()}
        best = max(told, key=lambda name: mean(told[name]))
        met = at_most(ours, top)
        row(f"{texts.name}: evidence recall@{top}", shown(met), f"peer {goal}", f"{best}: {shown(told[best])}",
            mean(met) / max(mean(told[best]), 1e-9))  # fmt: skip


def ranking(row: Row, say: Callable[[str], None], model: Any, questions: int) -> None:
    """Documents in the order of their use: each documentation string a document, one of them meant."""
    whole = library("held-out").shortened(questions)
    say(f"{whole.name}: documents")
    texts = TextSet("documents of the library, held-out")
    meant = {}
    for name, text in whole.documents.items():
        for number, part in enumerate(text.split("\n\n")):
            if len(part) >= 40:
                texts.documents[f"{name}:{number:04}"] = part
                meant[(name, text.index(part))] = f"{name}:{number:04}"
    texts.questions = [q for q in whole.questions if q.evidence[0][:2] in meant]
    names, said = list(texts.documents), list(texts.documents.values())
    asked = [each.text for each in texts.questions]
    dense, worded = cosine_ranking(model.encode(said), model.encode(asked)), bm25_ranking(said, asked)
    peers = {"cosine": dense} | (
        {} if worded is None else {"bm25s": worded, "rank fusion": fused(dense, worded)}
    )

    def ndcg(ranked: Sequence[Sequence[str]]) -> list[float]:
        told = []
        for question, found in zip(texts.questions, ranked, strict=True):
            right = meant[question.evidence[0][:2]]
            order = list(dict.fromkeys(found))[:10]
            told.append(1 / math.log2(order.index(right) + 2) if right in order else 0.0)
        return told

    told = {name: ndcg([[names[n] for n in each] for each in ranked]) for name, ranked in peers.items()}
    best = max(told, key=lambda name: mean(told[name]))
    ours = ndcg([[span[0] for span in found] for found in through_the_image(model, texts, 30)])
    row(f"{texts.name}: nDCG@10", shown(ours), "peer +1.8", f"{best}: {shown(told[best])}",
        mean(ours) / max(mean(told[best]), 1e-9))  # fmt: skip


# -- questions as people type them -------------------------------------------------------------------------

FACT = "The harbour master of Wick resigned because a storm had broken the old pier in November.\n"
SHAPES = [
    "why did the harbour master resign?", "harbour master", "HARBOUR MASTER", "harbor master's resignation",
    "What broke the pier (in Wick)?", "pier AND storm", "pier OR", "AND pier", "NOT a pier", "pier NOT",
    '"harbour master"', '"harbour master', "storm*", "stor?", "who resigned -- and why?!", "pier/storm",
    "what's the pier's problem", "tell me about the storm", "storm; pier; master", "resign?", "(storm",
    "storm)", "the the the storm", "storm\n\npier", "STORM!!!", "Wick, November", "pier & storm | master",
    "is it true that the pier is broken", "harbour-master", "<b>storm</b>", "storm: pier",
]  # fmt: skip


def shapes(row: Row, say: Callable[[str], None]) -> None:
    """Questions of every shape: which raise, which find nothing."""
    say("questions of every shape")
    from zope.index.text.textindex import TextIndex

    peer = TextIndex()
    peer.index_doc(1, FACT)
    raised = empty = lost = 0
    with an_image() as image:
        memory = Memory(image, embedder())
        memory.remember_text("fact", FACT)
        for question in SHAPES:
            try:
                lost += not peer.apply(question)
            except Exception:  # noqa: BLE001 - whatever it raises is counted
                raised += 1
            empty += not memory.recall(question)
    row(f"{len(SHAPES)} everyday questions that raise, find nothing", f"0, {empty}", "0, 0",
        f"zope TextIndex as it comes: {raised}, {lost}")  # fmt: skip


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
