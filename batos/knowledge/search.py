"""From a question to passages: what a score is worth, which answers are given, and why.

Owned here: how the words and the meaning of a question become one score, what counts as an answer, and the
choice among answers (nothing twice, newer before what it replaced, the best text for so many tokens).

Scores are sums of two calibrated halves rather than of ranks: a rank says "best" even where nothing is
good, and a search must be able to find nothing.  A passage is also judged by its neighbours' words, because
an answer often leans on the sentence before it; what neighbours mean is in its own vector already.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from batos.knowledge.shelf import Shelf, copies_of, shelf_in, shelf_of
from batos.knowledge.words import Words
from batos.objects import UvmObject
from batos.objects.method import primitive

# Chosen on the tuning halves of scripts/knowledge_sets; `scripts/bench knowledge` reports the other halves.
COSINE_OF_NOISE = 0.12  # what two unrelated texts have in common, for all-MiniLM
COSINE_OF_SURE = 0.75
WORDS_OF_SURE = 1.4  # the Okapi sum, per unit of the question's weight, of a passage with every word
MEANING = 0.6  # the share of meaning in the sum where there are vectors
NEIGHBOURS = 0.2  # the share of each neighbour's words that a passage is found by
FLOOR = 0.2  # where not even the best answer reaches it, nothing was found
TAIL = 0.1  # the other answers, where there is a best one, reach this
PHRASE = 0.5  # what a passage gains that has words in quotes as they stand there: who quotes means it
SUPERSEDED = 0.5  # what a fact is worth that a newer one has replaced
CANDIDATES = 200  # rows that each half offers
LONG = 4  # letters of an unknown word that may be the beginning of known ones
BEGUN = 16  # words that a beginning stands for

_PHRASE = re.compile(r'"([^"]{3,200})"')
_PREFIX = re.compile(r"(\w{2,})\*(?!\w)")
_SAID = re.compile(r"\w+")
_PHRASES = 4  # of a question that are looked at
_LOOKED_AT = 200  # passages that are read in search of a phrase


@dataclass(frozen=True, slots=True)
class Where:
    """Which passages may answer: of sources that start so, of a kind, of a persona, remembered from when to
    when (seconds since the epoch)."""

    source: str = ""
    kind: str | None = None
    persona: str | None = None
    since: float | None = None
    until: float | None = None

    def rows(self, shelf: Shelf) -> Any:
        """Which rows of the searcher these are, bool (size,); None for all of them."""
        if self == Where():
            return None
        import numpy

        found: set[int] | None = None
        for chosen in (
            set(shelf.kinds.get(self.kind, ())) if self.kind is not None else None,
            set(shelf.personas.get(self.persona, ())) if self.persona is not None else None,
            {
                each._first
                for source, each in shelf.documents.items(self.source)
                if source.startswith(self.source)
            }
            if self.source
            else None,
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
    shelf: Shelf | None, query: str, vector: Any, top: int, where: Where = Where(), besides: int | None = None
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
        same = searcher.document[1 : searcher.size] == searcher.document[: searcher.size - 1]
        worded = okapi.copy()
        worded[1:] += NEIGHBOURS * okapi[:-1] * same
        worded[:-1] += NEIGHBOURS * okapi[1:] * same
        worded *= searcher.alive[: searcher.size]
    if allowed is not None:
        worded = worded * allowed
    (rows,) = worded.nonzero()
    if len(rows) > many:
        rows = rows[numpy.argpartition(-worded[rows], many)[:many]]
    phrased = _with_phrases(shelf, query, allowed)
    rows = numpy.union1d(rows, list(phrased)).astype(numpy.int64)
    if vector is not None:
        vector = numpy.asarray(vector, dtype=numpy.float32)
        rows = numpy.union1d(rows, searcher.nearest(vector, many, allowed))
    if besides is not None:
        rows = rows[searcher.numbers[rows] != besides]
    by_words = numpy.minimum(1.0, worded[rows] / max(WORDS_OF_SURE * weight, 1e-9))
    scores = by_words.copy()
    by_meaning = None
    if vector is not None:
        cosines = searcher.cosines(vector, rows)
        by_meaning = ((cosines - COSINE_OF_NOISE) / (COSINE_OF_SURE - COSINE_OF_NOISE)).clip(0.0, 1.0)
        # A passage remembered without the embedder is judged by its words alone.
        has = searcher.scales[rows] > 0
        scores = numpy.where(has, MEANING * by_meaning + (1 - MEANING) * by_words, by_words)
    if phrased:
        scores += [PHRASE * (int(row) in phrased) for row in rows]
    order = numpy.lexsort((rows, -scores))
    answers = [
        Answer(
            min(1.0, float(scores[at])),
            None,  # type: ignore[arg-type] - looked up by `_chosen`
            int(searcher.numbers[rows[at]]),
            int(rows[at]),
            float(by_words[at]),
            None if by_meaning is None else float(by_meaning[at]),
        )
        for at in order[: 2 * top + 4]
    ]
    return _chosen(shelf, answers, top)


def _wids(lexicon: Words, query: str) -> list[int]:
    """The numbers of a question's words, each once; ``walr*`` stands for every word that starts so, and so
    does a longer word nobody has used as it is."""
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


def _chosen(shelf: Shelf, ranked: list[Answer], top: int) -> list[Answer]:
    """The answers that are given: above the floor, nothing twice, a replaced fact behind what replaced it."""
    looked_up = []
    told: set[str] = set()
    for each in ranked:
        chunk = shelf.chunks[each.number]
        document = chunk.document
        document._p_activate()
        score = each.score * (SUPERSEDED if "superseded_by" in document.__dict__ else 1.0)
        looked_up.append(Answer(score, chunk, each.number, each.row, each.words, each.meaning))
    found: list[Answer] = []
    for each in sorted(looked_up, key=lambda each: -each.score):
        if each.score < (TAIL if found else FLOOR) or len(found) == top:
            break
        # The same words in another dress say nothing new; near in meaning is not enough, for two prices or
        # two dates are near in meaning too.
        said = " ".join(_SAID.findall(each.chunk.text.casefold()))
        if said not in told:
            told.add(said)
            found.append(each)
    return found


def search(
    root: Any, query: str, vector: Any = None, top: int = 5, where: Where = Where(), why: bool = False
) -> list[dict[str, Any]]:
    """What `find` finds as plain data: ``{"text", "source", "start", "end", "score"}``, best first.

    why  also "oid", "words" and "meaning" (what each half gave, 0 to 1), "section", "remembered", "also"
         (other sources with the same bytes), "superseded_by"
    """
    shelf = shelf_in(root)
    return [_told(shelf, each, why) for each in _find(shelf, query, vector, top, where)]


def _told(shelf: Shelf, answer: Answer, why: bool = False) -> dict[str, Any]:
    chunk, document = answer.chunk, answer.chunk.document
    told = {
        "text": chunk.text,
        "source": document.origin,
        "start": chunk.start,
        "end": chunk.end,
        "score": round(answer.score, 4),
    }
    if why:
        told |= {
            "oid": chunk._number(),
            "words": round(answer.words, 4),
            "meaning": None if answer.meaning is None else round(answer.meaning, 4),
            "section": chunk._slots.get("section", ""),
            "remembered": document.remembered,
            "also": copies_of(shelf, document.origin),
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


def context(
    root: Any, query: str, vector: Any = None, tokens: int = 1000, where: Where = Where()
) -> list[dict[str, Any]]:
    """The best text for so many tokens: passages of the best answers, those that touch joined to one.

    Half of the budget goes to answers, the other half first to the neighbours of the best ones, because a
    passage is understood from what stands around it.  Answers ``{"text", "source", "start", "end",
    "tokens"}`` in the order of the best passage of each.
    """
    shelf = shelf_in(root)
    answers = _find(shelf, query, vector, max(4, tokens // 16), where)
    chosen: dict[tuple[int, int], UvmObject] = {}
    spent = 0

    def take(chunk: UvmObject | None, limit: float) -> None:
        nonlocal spent
        if chunk is None or spent + chunk.tokens > limit:
            return
        place = (chunk.document._first, chunk.position)
        if place not in chosen:
            chosen[place] = chunk
            spent += chunk.tokens

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
    return [joined([chosen[place] for place in places]) for places in spans]


def joined(chunks: list[UvmObject]) -> dict[str, Any]:
    """Passages that follow each other as one: ``{"text", "source", "start", "end", "tokens"}``."""
    text = chunks[0].text
    for before, chunk in zip(chunks, chunks[1:], strict=False):
        text += ("\n\n" if chunk.start - before.end > 1 else " " * (chunk.start - before.end)) + chunk.text
    return {
        "text": text,
        "source": chunks[0].document.origin,
        "start": chunks[0].start,
        "end": chunks[-1].end,
        "tokens": sum(chunk.tokens for chunk in chunks),
    }


@primitive
def catalog_search(self, query, top=5):
    """The passages that answer a question best, by their words alone, as MemoryChunk objects."""
    return [each.chunk for each in _find(shelf_of(self), query, None, top)]
