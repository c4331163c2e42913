"""The knowledge catalog: passages in the image, found again by their words and by their meaning.

Owned here: what `knowledge_catalog_obj` keeps.  Beside its prototypes (`memory_chunk`,
`memory_document`) it holds one `Shelf` with the indexes; all of them change in the same transaction as
the passages they find.  Everything here runs inside a turn and is quick; cutting, embedding and reading
happen before, outside.

A document is one atomic unit: it is there with all its passages or not at all.  Its passages take a run
of numbers of their own, so that its vectors are records of their own too and its going touches nobody
else's.

Scores are sums of two calibrated halves rather than of ranks: a rank says "best" even where nothing is
good, and a search must be able to find nothing.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from BTrees import family64
from BTrees.LOBTree import LOBTree
from BTrees.OOBTree import OOBTree, OOTreeSet
from persistent import Persistent
from zope.index.text.baseindex import inverse_doc_frequency
from zope.index.text.okapiindex import OkapiIndex
from zope.index.text.setops import mass_weightedUnion
from zope.index.text.textindex import TextIndex

from batos.errors import NoSuchObject
from batos.knowledge.chunking import Piece
from batos.knowledge.words import Words
from batos.objects import UvmObject
from batos.objects.genesis import child
from batos.objects.method import Method, primitive

BLOCK = 256  # vectors a record: 100 KB, one read

# How the halves become one score between 0 and 1; `tests/test_catalog.py` measures what they are worth.
COSINE_OF_NOISE = 0.12  # what two unrelated texts have in common, for all-MiniLM
COSINE_OF_SURE = 0.75
WORDS_OF_SURE = 1.4  # the Okapi sum, per unit of the question's weight, of a passage with every word
MEANING = 0.6  # the share of meaning in the sum where there are vectors
FLOOR = 0.2  # where not even the best answer reaches it, nothing was found
TAIL = 0.1  # the other answers, where there is a best one, reach this
QUESTION_WORDS = 64  # a longer question is asked by its rarest words


class Okapi(OkapiIndex):
    """BM25 with 64-bit ids that tells its scores apart from the question's weight."""

    family = family64

    def scores(self, wids: Sequence[int]) -> tuple[Any, float]:
        """What the words of a question find: (a mapping of id to Okapi sum, the weight of the question).

        `wids` are the lexicon's numbers, 0 for a word it has never seen; such a word finds nothing and
        weighs as much as the rarest there is, so a passage that misses it is not taken for an answer.
        """
        total = float(self.documentCount())
        known = set(self._remove_oov_wids(wids))
        rarest = sorted(known, key=lambda wid: len(self._wordinfo[wid]))[:QUESTION_WORDS]
        weight = sum(inverse_doc_frequency(len(self._wordinfo[wid]), total) for wid in rarest)
        unseen = min(QUESTION_WORDS - len(rarest), len(wids) - len(known))
        weight += unseen * inverse_doc_frequency(1, max(total, 1.0))
        return mass_weightedUnion(self._search_wids(rarest), self.family), weight

    def unindex_doc(self, number: int) -> None:
        """Forget a passage, and the words only it had."""
        if number not in self._docwords:
            return
        wids = set(self.get_words(number))
        super().unindex_doc(number)
        for wid in wids:
            if wid not in self._wordinfo:
                self._lexicon.forget(wid)


class VectorBlock(Persistent):
    """Up to `BLOCK` vectors of one document as int8, each row with a scale of its own."""

    def __init__(self, vectors: Any):
        import numpy

        scales = numpy.maximum(numpy.abs(vectors).max(axis=1), 1e-9) / 127
        self.rows = numpy.rint(vectors / scales[:, None]).astype(numpy.int8).tobytes()
        self.scales = scales.astype(numpy.float32).tobytes()

    def vectors(self) -> Any:
        """The vectors again, float32 (n, d)."""
        import numpy

        scales = numpy.frombuffer(self.scales, dtype=numpy.float32)
        rows = numpy.frombuffer(self.rows, dtype=numpy.int8).reshape(len(scales), -1)
        return rows * scales[:, None]


class KeptText(Persistent):
    """The text that was extracted from a document, for whoever opens a citation: a record of its own."""

    def __init__(self, text: str):
        self._packed = zlib.compress(text.encode("utf-8", "surrogatepass"))

    def __str__(self) -> str:
        return zlib.decompress(self._packed).decode("utf-8", "surrogatepass")


class Shelf(Persistent):
    """The catalog's indexes: passages by number, words and meaning; documents by source, kind and time."""

    def __init__(self):
        lexicon = Words()
        self.text = TextIndex(lexicon, Okapi(lexicon))
        self.chunks = LOBTree()  # number -> MemoryChunk
        self.vectors = LOBTree()  # number of the first of its rows -> VectorBlock
        self.documents = OOBTree()  # source -> MemoryDocument
        self.kinds = OOBTree()  # kind -> sources
        self.times = OOBTree()  # (seconds since the epoch, source) -> source
        self.next = 1  # the next passage's number
        self.changes = 0  # so that another connection's `_v_meanings` falls with this record

    def meanings(self) -> tuple[Any, Any]:
        """All vectors at hand: (numbers (n,), vectors (n, d)), the numbers ascending."""
        found = getattr(self, "_v_meanings", None)
        if found is None:
            import numpy

            numbers, rows = [numpy.zeros(0, dtype=numpy.int64)], []
            for first, block in self.vectors.items():
                rows.append(block.vectors())
                numbers.append(numpy.arange(first, first + len(rows[-1]), dtype=numpy.int64))
            vectors = numpy.vstack(rows) if rows else numpy.zeros((0, 1), dtype=numpy.float32)
            found = self._v_meanings = (numpy.concatenate(numbers), vectors)
        return found


def catalog(root: Any) -> UvmObject:
    """`knowledge_catalog_obj` with its prototypes and shelf; makes what is missing (a part of genesis)."""
    obj = child(root, "knowledge_catalog_obj")
    if _shelf_of(obj) is None:
        # Prototypes delegate to traits of their own: a method defined there reaches every clone.
        traits = UvmObject(root["genesis_obj"])
        obj.traits_of_memory = traits
        obj.memory_document = UvmObject(
            traits, origin=None, kind="text", digest=None, remembered=None, chunks=0
        )
        obj.memory_chunk = UvmObject(traits, document=None, position=0, start=0, end=0, text="")
        obj._shelf = Shelf()
    for selector, name in (("search_", "catalog_search"), ("sources", "catalog_sources")):
        if obj._method(selector) is None:
            obj._install(Method(selector, primitive=name))
    return obj


@primitive
def catalog_search(self, query, top=5):
    """The passages that answer a question best, by their words alone, as MemoryChunk objects."""
    return [chunk for _, chunk in _find(_shelf_of(self), query, None, top)]


@primitive
def catalog_sources(self, under=""):
    """The sources that are remembered, those that start with `under`."""
    shelf = _shelf_of(self)
    return [] if shelf is None else _under(shelf.documents, under)


def _under(tree: Any, start: str) -> list[str]:
    """The keys of a tree that start with `start`, in order, without looking at the others."""
    return list(takewhile(lambda key: key.startswith(start), tree.keys(start))) if tree else []


def _shelf(root: Any) -> Shelf | None:
    return _shelf_of(root["knowledge_catalog_obj"]) if "knowledge_catalog_obj" in root else None


def _shelf_of(obj: UvmObject) -> Shelf | None:
    obj._p_activate()  # an object that is not loaded yet has an empty __dict__
    return obj.__dict__.get("_shelf")


def is_current(root: Any, source: str, digest: str, space: str | None) -> bool:
    """Is this very text there already, with vectors at least as good as those of `space`?"""
    shelf = _shelf(root)
    document = shelf.documents.get(source) if shelf is not None else None
    return document is not None and document.digest == digest and (space is None or document.space == space)


def index_document(
    root: Any,
    source: str,
    text: str,
    pieces: Sequence[Piece],
    vectors: Any = None,
    metadata: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Put a document on the shelf in place of what stood there under the same source.

    vectors   float32 (len(pieces), d) of length 1, or None: it is then found by its words alone
    metadata  "digest" (without it nothing is ever found current), "kind", "space" (the embedder's name),
              "extracted" (true: the text is not the file's own and is kept), and anything else that is
              plain data and worth a slot

    Answers ``{"chunks": n, "replaced": passages that went, "current": true if nothing had to be done}``.
    """
    told = {"kind": "text", "digest": None, **(metadata or {})}
    space = told.pop("space", None) if vectors is not None else None
    told.pop("space", None)
    extracted = told.pop("extracted", False)
    if told["digest"] is not None and is_current(root, source, told["digest"], space):
        return {"chunks": len(pieces), "replaced": 0, "current": True}
    replaced = unindex_document(root, source) if source in (_sources(root)) else 0
    obj = catalog(root)
    shelf = obj._shelf
    document = obj.memory_document._clone_persistent_(
        origin=source,
        space=space,
        remembered=told.pop("remembered", None) or time.time(),
        chunks=len(pieces),
        **told,
    )
    document._first = first = shelf.next
    if extracted:
        document._extracted = KeptText(text)
    before = None
    for position, piece in enumerate(pieces):
        chunk = obj.memory_chunk._clone_persistent_(
            document=document,
            position=position,
            start=piece.start,
            end=piece.end,
            text=text[piece.start : piece.end],
        )
        if piece.section:
            chunk.section = " > ".join(piece.section)
        if before is not None:
            chunk.previous, before.next = before, chunk
        before = chunk
        shelf.chunks[first + position] = chunk
        # The headings above a passage say what it is about as much as its own words do.
        shelf.text.index_doc(first + position, f"{' '.join(piece.section)}\n{chunk.text}")
    if vectors is not None:
        for at in range(0, len(pieces), BLOCK):
            shelf.vectors[first + at] = VectorBlock(vectors[at : at + BLOCK])
    shelf.documents[source] = document
    if document.kind not in shelf.kinds:
        shelf.kinds[document.kind] = OOTreeSet()
    shelf.kinds[document.kind].insert(source)
    shelf.times[(document.remembered, source)] = source
    shelf.next = first + len(pieces)
    _changed(shelf)
    return {"chunks": len(pieces), "replaced": replaced, "current": False}


def unindex_document(root: Any, source: str) -> int:
    """Take a document and all its passages off the shelf; answers how many those were.

    Raises `NoSuchObject` where nothing is remembered from that source.
    """
    shelf = _shelf(root)
    document = shelf.documents.get(source) if shelf is not None else None
    if document is None:
        raise NoSuchObject(
            f"nothing is remembered from {source}", hint="see what is: send knowledge_catalog_obj sources"
        )
    numbers = range(document._first, document._first + document.chunks)
    for number in numbers:
        shelf.text.unindex_doc(number)
        del shelf.chunks[number]
    for first in list(shelf.vectors.keys(numbers.start, numbers.stop, excludemax=True)):
        del shelf.vectors[first]
    del shelf.documents[source]
    shelf.kinds[document.kind].remove(source)
    if not shelf.kinds[document.kind]:
        del shelf.kinds[document.kind]
    del shelf.times[(document.remembered, source)]
    _changed(shelf)
    return len(numbers)


def _changed(shelf: Shelf) -> None:
    shelf.changes += 1
    shelf._v_meanings = None


def _sources(root: Any) -> Any:
    shelf = _shelf(root)
    return shelf.documents if shelf is not None else ()


def sources(root: Any, under: str = "", kind: str | None = None, since: float | None = None) -> list[str]:
    """The sources remembered whose name starts with `under`, in their order; of one kind, or since a time."""
    shelf = _shelf(root)
    if shelf is None:
        return []
    found = _under(shelf.documents if kind is None else shelf.kinds.get(kind, {}), under)
    if since is not None:
        late = {source for (_, source) in shelf.times.keys((since, ""))}
        found = [each for each in found if each in late]
    return found


def text_of(root: Any, source: str) -> str | None:
    """The extracted text of a source, None where the file itself is the text."""
    document = _sources(root)[source]
    document._p_activate()
    kept = document.__dict__.get("_extracted")
    return None if kept is None else str(kept)


def find(root: Any, query: str, vector: Any = None, top: int = 5) -> list[tuple[float, UvmObject]]:
    """The passages that answer a question best, as (score, MemoryChunk), best first; none if none does."""
    return _find(_shelf(root), query, vector, top)


def _find(shelf: Shelf | None, query: str, vector: Any, top: int) -> list[tuple[float, UvmObject]]:
    import numpy

    if shelf is None or top < 1 or not shelf.documents:
        return []
    wids = list(dict.fromkeys(shelf.text.lexicon.termToWordIds(query)))
    worded, weight = shelf.text.index.scores(wids)
    scores: dict[int, float] = {
        number: min(1.0, value / (WORDS_OF_SURE * weight)) for number, value in worded.items()
    }
    if vector is not None:
        numbers, vectors = shelf.meanings()
        if len(numbers):
            cosines = vectors @ numpy.asarray(vector, dtype=numpy.float32)
            meant = ((cosines - COSINE_OF_NOISE) / (COSINE_OF_SURE - COSINE_OF_NOISE)).clip(
                0.0, 1.0
            ) * MEANING
            rows = numpy.searchsorted(numbers, list(scores)) if scores else ()
            for number, row in zip(list(scores), rows, strict=True):
                # A passage remembered without the embedder is judged by its words alone.
                if row < len(numbers) and numbers[row] == number:
                    meant[row] += (1 - MEANING) * scores.pop(number)
            best = numpy.argsort(-meant, kind="stable")[: 4 * top]  # some may be copies
            scores.update((int(numbers[row]), float(meant[row])) for row in best)
    found: list[tuple[float, UvmObject]] = []
    for number, score in sorted(scores.items(), key=lambda item: (-item[1], item[0])):
        if score < (TAIL if found else FLOOR) or len(found) == top:
            break
        chunk = shelf.chunks[number]
        if all(chunk.text != other.text for _, other in found):  # the same passage of a copy says nothing new
            found.append((score, chunk))
    return found


def search(root: Any, query: str, vector: Any = None, top: int = 5) -> list[dict[str, Any]]:
    """What `find` finds as plain data: ``{"text", "source", "start", "end", "score"}``, best first."""
    return [
        {
            "text": chunk.text,
            "source": chunk.document.origin,
            "start": chunk.start,
            "end": chunk.end,
            "score": round(score, 4),
        }
        for score, chunk in find(root, query, vector, top)
    ]
