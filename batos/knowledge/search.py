"""From a question to passages: what a score is worth, which answers are given, and why.

Owned here: how the words and the meaning of a question become one score, what counts as an answer, and the
choice among answers (nothing twice, newer before what it replaced, the best text for so many tokens).

Scores are sums of two calibrated halves rather than of ranks: a rank says "best" even where nothing is
good, and a search must be able to find nothing.  A passage is also judged by its neighbours' words, because
an answer often leans on the sentence before it.  What neighbours mean is in its own vector already, but for
talk: "Since May, and I still get lost" says nothing without the question before it, so what stands behind a
question is judged by what was asked as well, and every turn a little by the one before.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import pairwise
from typing import Any

from batos.errors import BadRequest
from batos.knowledge.likeness import also
from batos.knowledge.postings import ASKS, TURN, Searcher
from batos.knowledge.shelf import Shelf, copies_of, shelf_in, shelf_of, tokens_of
from batos.knowledge.words import Words
from batos.objects import UvmObject
from batos.objects.method import primitive

# Chosen on the tuning halves of scripts/knowledge_sets; `scripts/bench knowledge` reports the other halves.
COSINE_OF_NOISE = 0.12  # what two unrelated texts have in common, for all-MiniLM
COSINE_OF_SURE = 0.75
WORDS_OF_SURE = 1.4  # the Okapi sum, per unit of the question's weight, of a passage with every word
MEANING = 0.6  # the share of meaning in the sum where there are vectors
NEIGHBOURS = 0.2  # the share of each neighbour's words that a passage is found by
# Where not even the best answer reaches this, nothing was found: of the tuning halves' own questions all but
# one in 100 reach it, of those about other texts a third.  At 0.25 it is a fifth of those, but then one
# question in ten that shares no word with its answer finds nothing.
FLOOR = 0.2
TAIL = 0.35  # the share of the best that the others reach where five are wanted; of more it is less
AFTER = 0.2  # the share of what the turn before means that a turn of a conversation is found by
ANSWERS = 0.6  # the same of a question, by what stands behind it: there is its answer
ASKING = 0.8  # what a passage is worth that ends with a question: it answers nobody
PHRASE = 0.5  # what a passage gains that has words in quotes as they stand there: who quotes means it
SUPERSEDED = 0.5  # what a fact is worth that a newer one has replaced
CANDIDATES = 200  # rows that each half offers
LONG = 4  # letters of an unknown word that may be the beginning of known ones
BEGUN = 16  # words that a beginning stands for

_PHRASE = re.compile(r'"([^"]{3,200})"')
_PREFIX = re.compile(r"(?<!\w)(\w{2,}+)\*(?!\w)")  # looks at each letter once, however long a word is
_SAID = re.compile(r"\w+")
_WHOLE = re.compile(
    r"\b(?:summ(?:ary|ari[sz]e)|overview|main points|gist|in short|what\b.* (?:is|are) .*\babout)\b",
    re.IGNORECASE,
)
_PHRASES = 4  # of a question that are looked at
_LOOKED_AT = 200  # passages that are read in search of a phrase


@dataclass(frozen=True, slots=True)
class Where:
    """Which passages may answer: of a source or those under it, of a kind, of a persona, remembered from when
    to when (seconds since the epoch); not those of sources that start like `but`."""

    source: str = ""
    kind: str | None = None
    persona: str | None = None
    since: float | None = None
    until: float | None = None
    but: str = ""

    def __post_init__(self) -> None:
        texts = (self.source, self.kind or "", self.persona or "", self.but)
        moments = (self.since or 0.0, self.until or 0.0)
        if not all(isinstance(each, str) for each in texts):
            raise BadRequest("source, kind and persona are texts", hint="recall QUESTION --source PATH")
        if not all(isinstance(each, int | float) and math.isfinite(each) for each in moments):
            raise BadRequest(
                "since and until are seconds since the epoch", hint="recall QUESTION --since 2026-05-01"
            )

    def takes(self, source: str) -> bool:
        """Whether this source is meant."""
        folder = self.source if self.source.endswith(("/", ":")) else self.source + "/"
        there = not self.source or source == self.source or source.startswith(folder)
        return there and not (self.but and source.startswith(self.but))

    def named(self, shelf: Shelf) -> Iterator[tuple[str, UvmObject]]:
        """The sources that are meant, each with its document; one with the bytes of another, too."""
        last = self.source + chr(0x10FFFF)
        for source, document in shelf.documents.items(self.source, last):
            if self.takes(source):
                yield source, document
        for copy, original in shelf.copies.items(self.source, last):
            if self.takes(copy):
                yield copy, shelf.documents[original]

    def rows(self, shelf: Shelf) -> Any:
        """Which rows of the searcher these are, bool (size,); None for all of them."""
        if self == Where():
            return None
        import numpy

        found: set[int] | None = None
        for chosen in (
            set(shelf.kinds.get(self.kind, ())) if self.kind is not None else None,
            set(shelf.personas.get(self.persona, ())) if self.persona is not None else None,
            {document._first for _, document in self.named(shelf)} if self.source or self.but else None,
            {first for _, first in shelf.times.keys((self.since or 0.0, 0), (self.until or float("inf"), 0))}
            if self.since is not None or self.until is not None
            else None,
        ):
            if chosen is not None:
                found = chosen if found is None else found & chosen
        searcher = shelf.searcher
        allowed = numpy.zeros(searcher.size, dtype=bool)
        for first in found or ():
            while first in searcher.first_rows:  # its blocks follow each other
                row, count = searcher.first_rows[first]
                allowed[row : row + count] = True
                first += count
        return allowed


@dataclass(frozen=True, slots=True)
class Answer:
    """A passage that answers, and why: what its words and its meaning gave, each between 0 and 1."""

    score: float
    chunk: UvmObject
    number: int
    row: int
    words: float
    meaning: float | None


def find(root: Any, query: str, vector: Any = None, top: int = 5, where: Where = Where()) -> list[Answer]:
    """The passages that answer a question best, best first; none if none does.

    vector  the question's own, float32 (d,); without it the words alone decide
    """
    return _find(shelf_in(root), query, vector, top, where)


def _find(
    shelf: Shelf | None,
    query: str,
    vector: Any,
    top: int,
    where: Where = Where(),
    besides: int | None = None,
    least: float = FLOOR,
) -> list[Answer]:
    if shelf is None or top < 1 or not shelf.documents:
        return []
    import numpy

    searcher, lexicon = shelf.searcher, shelf.text.lexicon
    wids = _wids(lexicon, query)
    okapi, weight = searcher.okapi(wids)
    allowed = where.rows(shelf)
    many = max(CANDIDATES, 4 * top)
    worded = okapi
    if NEIGHBOURS and searcher.size > 1:
        same = searcher.followed
        worded = okapi.copy()
        worded[1:] += NEIGHBOURS * okapi[:-1] * same
        worded[:-1] += NEIGHBOURS * okapi[1:] * same
        if vector is None:  # else what was asked is looked up by its meaning
            asked = (searcher.marks[: searcher.size - 1] & ASKS) > 0
            worded[1:] += ANSWERS * okapi[:-1] * (same & asked)
        worded *= searcher.alive[: searcher.size]
    if allowed is not None:
        worded = worded * allowed
    rows = numpy.flatnonzero(worded > 0)
    if len(rows) > many:
        rows = rows[numpy.argpartition(-worded[rows], many)[:many]]
    phrased = _with_phrases(shelf, query, allowed)
    rows = numpy.union1d(rows, list(phrased)).astype(numpy.int64)
    if vector is not None:
        vector = numpy.asarray(vector, dtype=numpy.float32)
        near = searcher.nearest(vector, many, allowed)
        behind = near[near < searcher.size - 1] + 1
        behind = behind[_lean(searcher, behind) > 0]
        if allowed is not None:
            behind = behind[allowed[behind]]
        rows = numpy.unique(numpy.concatenate([rows, near, behind]))
    if besides is not None:
        rows = rows[searcher.numbers[rows] != besides]
    by_words = numpy.minimum(1.0, worded[rows] / max(WORDS_OF_SURE * weight, 1e-9))
    scores = by_words.copy()
    by_meaning = None
    if vector is not None:
        by_meaning = _meant(searcher, vector, rows)
        # A passage remembered without the embedder is judged by its words alone.
        has = searcher.scales[rows] > 0
        scores = numpy.where(has, MEANING * by_meaning + (1 - MEANING) * by_words, by_words)
    if phrased:
        scores += [PHRASE * (int(row) in phrased) for row in rows]
    scores[(searcher.marks[rows] & ASKS) > 0] *= ASKING
    if len(rows) and float(scores.max()) < FLOOR and wids and 0 not in wids:
        # Who types nothing but an article's number wants what has it, however long the passage.
        scores[numpy.isin(rows, searcher.rows_with_all(wids))] = FLOOR
    order = numpy.lexsort((rows, -scores))
    answers = [
        Answer(
            min(1.0, float(scores[at])),
            None,  # type: ignore[arg-type] - looked up by `_chosen`, where it comes to that
            int(searcher.numbers[rows[at]]),
            int(rows[at]),
            float(by_words[at]),
            None if by_meaning is None else min(1.0, float(by_meaning[at])),
        )
        for at in order[: 2 * top + 4]
    ]
    return _chosen(shelf, answers, top, least)


def _meant(searcher: Searcher, vector: Any, rows: Any) -> Any:
    """What the vectors of some rows are worth, from 0; above 1 where the row before is like the question,
    too."""
    import numpy

    def worth(rows: Any) -> Any:
        cosines = searcher.cosines(vector, rows)
        return ((cosines - COSINE_OF_NOISE) / (COSINE_OF_SURE - COSINE_OF_NOISE)).clip(0.0, 1.0)

    found = worth(rows)
    lean = _lean(searcher, rows)
    (some,) = lean.nonzero()
    if len(some):
        found[some] += lean[some] * worth(rows[some] - 1)
    return found.astype(numpy.float32, copy=False)


def _lean(searcher: Searcher, rows: Any) -> Any:
    """How much each row leans on the one before it, float (len(rows),): a turn of a conversation a little,
    and whatever stands behind a question much more."""
    before = rows - 1  # of the first row the last one, which is of another document or asks nothing
    same = searcher.alive[rows] & (searcher.document[before] == searcher.document[rows]) & (rows > 0)
    turn = (searcher.marks[rows] & TURN) > 0
    asked = (searcher.marks[before] & ASKS) > 0
    return same * (AFTER * turn + ANSWERS * asked)


def _wids(lexicon: Words, query: str) -> list[int]:
    """The numbers of a question's words, each once, and one 0 for all that nobody has used; ``walr*`` stands
    for every word that starts so, and so does a longer word nobody has used as it is."""
    found: dict[int, None] = {}
    for word in dict.fromkeys(lexicon.parse(query)):
        wid = lexicon.get_wid(word)
        begun = lexicon.globToWordIds(f"{word}*")[:BEGUN] if not wid and len(word) >= LONG else []
        found.update(dict.fromkeys(begun or [wid]))
    for start in _PREFIX.findall(query)[:8]:
        found.update(dict.fromkeys(lexicon.globToWordIds(f"{start.lower()}*")[:BEGUN]))
    return list(found)


def _with_phrases(shelf: Shelf, query: str, allowed: Any) -> set[int]:
    """The rows of passages in which the words in quotes stand as they do in the question."""
    found: set[int] = set()
    for phrase in _PHRASE.findall(query)[:_PHRASES]:
        said = " ".join(phrase.casefold().split())
        wids = set(shelf.text.lexicon.termToWordIds(said))
        if not wids or 0 in wids or " " not in said:
            continue
        for row in shelf.searcher.rows_with_all(wids)[:_LOOKED_AT]:
            if allowed is None or allowed[row]:
                text = shelf.chunks[int(shelf.searcher.numbers[row])].text
                if said in " ".join(text.casefold().split()):
                    found.add(int(row))
    return found


def _chosen(shelf: Shelf, ranked: list[Answer], top: int, least: float) -> list[Answer]:
    """The answers that are given: the best worth `least`, nothing twice, a replaced fact behind the newer."""
    tail = TAIL * min(1.0, 5 / top)
    waiting = [(-each.score, place, each) for place, each in enumerate(ranked)]  # a heap: they are sorted
    told: set[str] = set()
    found: list[Answer] = []
    while waiting and len(found) < top and -waiting[0][0] >= (tail * found[0].score if found else least):
        _, place, each = heappop(waiting)
        if each.chunk is None:
            each = replace(each, chunk=shelf.chunks[each.number])
            each.chunk.document._p_activate()
            if "superseded_by" in each.chunk.document.__dict__:
                each = replace(each, score=SUPERSEDED * each.score)
                heappush(waiting, (-each.score, place, each))
                continue
        # The same words in another dress say nothing new; near in meaning is not enough, for two prices or
        # two dates are near in meaning too.
        said = " ".join(_SAID.findall(each.chunk.text.casefold()))
        if said not in told:
            told.add(said)
            found.append(each)
    return found


def holds_any(root: Any, but: str) -> bool:
    """Whether anything is remembered, apart from sources that start so."""
    shelf = shelf_in(root)
    if shelf is None or not shelf.documents:
        return False
    # Those that start so stand together: where both ends do, all do.
    return not (shelf.documents.minKey().startswith(but) and shelf.documents.maxKey().startswith(but))


def search(
    root: Any,
    query: str,
    vector: Any = None,
    top: int = 5,
    where: Where = Where(),
    why: bool = False,
    least: float = FLOOR,
) -> list[dict[str, Any]]:
    """What `find` finds as plain data: ``{"text", "source", "start", "end", "score"}``, best first.

    least  what the best answer must be worth; 0 ranks whatever there is
    why    also "oid", "kind", "words" and "meaning" (what each half gave, 0 to 1), "section", "remembered",
           "also" (other sources in which the same stands), "superseded_by"
    """
    shelf = shelf_in(root)
    found = _find(shelf, query, vector, top, where, least=least)
    return [_told(shelf, each, why, where) for each in found]


def _told(shelf: Shelf, answer: Answer, why: bool = False, where: Where = Where()) -> dict[str, Any]:
    chunk, document = answer.chunk, answer.chunk.document
    source = document.origin
    if not where.takes(source):  # it was found by another name of the same bytes
        source = next(each for each in copies_of(shelf, source) if where.takes(each))
    told = {
        "text": chunk.text,
        "source": source,
        "start": chunk.start,
        "end": chunk.end,
        "score": round(answer.score, 4),
    }
    if why:
        told |= {
            "oid": chunk._number(),
            "kind": document.kind,
            "words": round(answer.words, 4),
            "meaning": None if answer.meaning is None else round(answer.meaning, 4),
            "section": chunk._slots.get("section", ""),
            "remembered": document.remembered,
            "also": sorted(
                {document.origin, *copies_of(shelf, document.origin), *also(shelf, answer.number)} - {source}
            ),
            "superseded_by": document._slots.get("superseded_by"),
        }
    return told


def alike(shelf: Shelf, chunk: UvmObject, top: int = 5) -> list[Answer]:
    """The passages that are most like one of them."""
    number = chunk.document._first + chunk.position
    row = shelf.searcher.row_of[number]
    scale = shelf.searcher.scales[row]
    vector = shelf.searcher.vectors[row].astype("float32") * scale if scale else None
    return _find(shelf, chunk.text, vector, top, besides=number)


def passage_at(root: Any, source: str, place: int) -> UvmObject | None:
    """The passage of a source that reaches to `place` or beyond, the last one if none does; None where
    nothing is remembered from there."""
    shelf = shelf_in(root)
    document = None if shelf is None else shelf.documents.get(shelf.copies.get(source, source))
    if document is None or not document.chunks:
        return None
    first = document._first
    chunks = [shelf.chunks[number] for number in range(first, first + document.chunks)]
    return chunks[min(bisect_right(chunks, place, key=lambda chunk: chunk.end), len(chunks) - 1)]


def told_alike(root: Any, chunk: UvmObject, top: int = 5) -> list[dict[str, Any]]:
    """What `alike` finds as plain data, like `search`."""
    shelf = shelf_in(root)
    return [_told(shelf, each) for each in alike(shelf, chunk, top)]


def context(
    root: Any,
    query: str,
    vector: Any = None,
    tokens: int = 1000,
    where: Where = Where(),
    least: float = FLOOR,
    judged: Mapping[str, float] = {},
) -> list[dict[str, Any]]:
    """The best text for so many tokens: passages of the best answers, those that touch joined to one.

    A question about a whole ("what is the report about?", "summarise ...") gets the digest of the document
    that answers best first, for half of the budget.

    Half of the budget goes to answers, the other half first to the neighbours of the best ones, because a
    passage is understood from what stands around it.  Nothing is taken where no passage is worth `least`.
    Answers what `joined` does, and "score", by the best passage of each.

    judged  what passages are worth whose sentences were read (`pointing`), by oid: they come first
    """
    shelf = shelf_in(root)
    answers = _find(shelf, query, vector, max(4, tokens // 16), where)
    if answers:
        least = max(least, TAIL * answers[0].score)
        answers = [each for each in answers if each.score >= least]
    if judged:
        lowest = min(judged.values())
        told = [(each, judged.get(each.chunk._number())) for each in answers]
        answers = [replace(each, score=min(each.score, lowest) if own is None else own) for each, own in told]
        answers.sort(key=lambda each: -each.score)
    worth = {(each.chunk.document._first, each.chunk.position): round(each.score, 4) for each in answers}
    chosen: dict[tuple[int, int], UvmObject] = {}
    spent = 0

    def take(chunk: UvmObject | None, limit: float) -> None:
        nonlocal spent
        if chunk is None or spent + tokens_of(chunk) > limit:
            return
        place = (chunk.document._first, chunk.position)
        if place not in chosen:
            chosen[place] = chunk
            spent += tokens_of(chunk)

    if answers and _WHOLE.search(query):
        document = answers[0].chunk.document
        whole = [shelf.chunks[document._first + position] for position in range(document.chunks)]
        for chunk in digest(shelf, whole, tokens // 2):
            take(chunk, tokens)
    for each in answers:
        take(each.chunk, tokens / 2 if spent else tokens)
    for each in answers:
        if (each.chunk.document._first, each.chunk.position) in chosen:
            take(each.chunk._slots.get("previous"), tokens)
            take(each.chunk._slots.get("next"), tokens)
    for each in answers:
        take(each.chunk, tokens)
    order = {place: at for at, place in enumerate(chosen)}
    spans: list[list[tuple[int, int]]] = []
    for place in sorted(chosen):
        if spans and spans[-1][-1] == (place[0], place[1] - 1):
            spans[-1].append(place)
        else:
            spans.append([place])
    spans.sort(key=lambda places: min(order[place] for place in places))
    return [
        joined([chosen[place] for place in places])
        | {"score": max(worth.get(place, 0.0) for place in places)}
        for places in spans
    ]


def digest(shelf: Shelf, chunks: list[UvmObject], tokens: int) -> list[UvmObject]:
    """What some passages say in so many tokens: those nearest to the middle of what they mean, in their
    order; without vectors those they begin with.  One at least."""
    import numpy

    searcher = shelf.searcher
    rows = [searcher.row_of[each.document._first + each.position] for each in chunks]
    order = list(range(len(chunks)))
    if rows and searcher.scales[rows].all():
        vectors = searcher.vectors[rows].astype(numpy.float32) * searcher.scales[rows][:, None]
        order = numpy.argsort(-(vectors @ vectors.mean(axis=0)), kind="stable").tolist()
    chosen, spent = [], 0
    for at in order:
        if not chosen or spent + tokens_of(chunks[at]) <= tokens:
            chosen.append(at)
            spent += tokens_of(chunks[at])
    return [chunks[at] for at in sorted(chosen)]


def joined(chunks: list[UvmObject]) -> dict[str, Any]:
    """Passages that follow each other as one: ``{"oid", "text", "source", "start", "end", "tokens"}``; the
    oid is the first one's."""
    text = chunks[0].text
    for before, chunk in pairwise(chunks):
        text += ("\n\n" if chunk.start - before.end > 1 else " " * (chunk.start - before.end)) + chunk.text
    return {
        "oid": chunks[0]._number(),
        "text": text,
        "source": chunks[0].document.origin,
        "start": chunks[0].start,
        "end": chunks[-1].end,
        "tokens": sum(map(tokens_of, chunks)),
    }


@primitive
def catalog_search(self, query, top=5):
    """The passages that answer a question best, by their words alone, as MemoryChunk objects."""
    return [each.chunk for each in _find(shelf_of(self), query, None, top)]
