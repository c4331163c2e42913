"""The shelf: what stands beside the catalog's prototypes in the image, and finding it.

Owned here: the indexes of `knowledge_catalog_obj` as records, and what a document is entered under in them.
How documents come and go is `catalog`'s business.  A shelf of the last edition, which is still there in an
image's past, is laid out anew for whoever looks, in memory: all its passages are read for it.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from typing import Any

import xxhash
from BTrees.LLBTree import LLBTree, LLTreeSet
from BTrees.LOBTree import LOBTree
from BTrees.OOBTree import OOBTree, OOTreeSet
from persistent import Persistent
from zope.index.text.textindex import TextIndex

from batos.knowledge.chunking import approximate_tokens
from batos.knowledge.postings import ASKS, TURN, Postings, Searcher
from batos.knowledge.structure import STRETCH
from batos.knowledge.words import Words
from batos.objects import UvmObject

_CLOSING = " \t\r\n\"'*_)]”’»"  # what may stand behind a question mark
_QUESTION = ("?", "？", "؟")


class VectorBlock(Persistent):
    """Vectors of images made before words and vectors shared a record; `_laid_out_anew` turns them into those."""

    rows = scales = b""

    def vectors(self) -> Any:
        import numpy

        scales = numpy.frombuffer(self.scales, dtype=numpy.float32)
        return numpy.frombuffer(self.rows, dtype=numpy.int8).reshape(len(scales), -1) * scales[:, None]


class KeptText(Persistent):
    """The text that was extracted from a document, for whoever opens a citation.

    A record of its own, and of a long text one for each stretch of it: so it comes in by short turns, and a
    citation is opened without unpacking the whole.
    """

    _parts: LOBTree | None = None  # where it begins -> KeptText, of what is behind the first part
    # Characters so far; not known of texts that were kept in one record, however long.
    length: int | None = None

    def __init__(self, text: str):
        self._packed = _packed(text[:STRETCH])
        self.length = len(text[:STRETCH])
        for at in range(STRETCH, len(text), STRETCH):
            self.add(text[at : at + STRETCH])

    def add(self, text: str) -> None:
        """Keep more text behind what is there."""
        if self._parts is None:
            self._parts = LOBTree()
        self._parts[self.length] = KeptText(text)
        self.length += len(text)

    def __str__(self) -> str:
        return "".join(text for _, text in self._from(0))

    def between(self, start: int, end: int) -> str:
        """``str(self)[start:end]``."""
        found, first = [], None
        for at, text in self._from(start):
            first = at if first is None else first
            if at >= end:
                break
            found.append(text)
        return "".join(found)[start - (first or 0) : max(0, end - (first or 0))]

    def _from(self, start: int) -> Iterator[tuple[int, str]]:
        """(where it begins, text) of the part in which `start` stands and those behind it."""
        self._p_activate()
        behind = self._parts if self._parts is not None else {}
        try:
            first = behind.maxKey(start)  # type: ignore[union-attr]
        except (AttributeError, ValueError):
            yield 0, zlib.decompress(self._packed).decode("utf-8", "surrogatepass")
            first = 0
        for at, part in behind.items(first) if behind else ():
            yield at, str(part)
            part._p_deactivate()


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode("utf-8", "surrogatepass"))


class Shelf(Persistent):
    """The catalog's indexes: passages by number, words and meaning; documents by source, kind and time.

    A passage's number is about the microsecond it came in, so none is ever given out twice: not after an
    abort, not after an undo.
    """

    forgotten = 0.0  # when something was taken out for good, seconds since the epoch
    aside = OOBTree()  # of shelves made before documents could stand aside; `catalog` gives each its own

    def __init__(self):
        lexicon = Words()
        self.text = TextIndex(lexicon, Postings(lexicon))
        self.chunks = LOBTree()  # number -> MemoryChunk
        self.documents = OOBTree()  # source -> MemoryDocument
        # source -> MemoryDocument that is still read in; "\0..." -> one being taken out
        self.aside = OOBTree()
        self.copies = OOBTree()  # source -> the source of the document with the same bytes
        self.originals = OOTreeSet()  # (source, source of a copy)
        # A document is named by the number of its first passage where a path would make long records.
        self.digests = LLBTree()  # of digest and kind -> number
        self.kinds = OOBTree()  # kind -> numbers
        self.personas = OOBTree()  # persona -> numbers
        self.facts = OOBTree()  # what a fact is about -> source of the newest
        self.times = OOTreeSet()  # (seconds since the epoch, number)
        self.next = 1  # below which every number is given out

    @property
    def postings(self) -> Postings:
        return self.text.index

    @property
    def searcher(self) -> Searcher:
        return self.text.index.searcher()

    def numbers(self, count: int) -> int:
        """The first of a run of numbers nobody has had."""
        first = max(self.next, time.time_ns() // 1000)
        self.next = first + count + 1  # the gap tells the documents of a turn apart
        return first


def imprint(digest: str, kind: str) -> int:
    """Digest and kind as a key of `Shelf.digests`; what is found under it must be compared."""
    return xxhash.xxh3_64_intdigest(f"{kind} {digest}".encode("utf-8", "surrogatepass")) >> 1


def words_of(shelf: Shelf, document: UvmObject, since: int = 0) -> tuple[list[list[int]], bytes]:
    """(the numbers of the words that each passage of a document is found by, the mark of each), from the
    position `since`."""
    first = document._first
    chunks = [shelf.chunks[number] for number in range(first + since, first + document.chunks)]
    turn = TURN if document.kind == "chat" else 0
    marks = bytes(turn | (ASKS if asks(each.text) else 0) for each in chunks)
    # The headings above a passage say what it is about as much as its own words do.
    texts = [f"{each._slots.get('section', '')}\n{each.text}" for each in chunks]
    return shelf.text.lexicon.numbers(texts), marks


def asks(text: str) -> bool:
    """Does a text end with a question?"""
    return text.rstrip(_CLOSING).endswith(_QUESTION)


def tokens_of(chunk: UvmObject) -> int:
    """How long a passage is; passages of the last edition were not counted, and are estimated."""
    return chunk._slots.get("tokens") or approximate_tokens([chunk.text])[0]


def enter(shelf: Shelf, source: str, document: UvmObject) -> None:
    """Have a document found by its source, kind, persona, time, digest and what it is about."""
    shelf.documents[source] = document
    first = document._first
    if document.chunks:
        shelf.times.insert((document.remembered, first))
        if document.digest is not None:
            shelf.digests[imprint(document.digest, document.kind)] = first
        for tree, value in kinds_of(shelf, document):
            if value not in tree:
                tree[value] = LLTreeSet()
            tree[value].insert(first)
    about = document._slots.get("about")
    if about is not None:
        before = shelf.documents.get(shelf.facts.get(subject(about), ""))
        if before is not None and before is not document:
            document.supersedes = before.origin
            before.superseded_by, before.superseded = source, document.remembered
        shelf.facts[subject(about)] = source


def kinds_of(shelf: Shelf, document: UvmObject) -> list[tuple[Any, str]]:
    """(tree, key) under which a document's number stands."""
    told = ((shelf.kinds, document.kind), (shelf.personas, document._slots.get("persona")))
    return [(tree, value) for tree, value in told if value is not None]


def subject(about: str) -> str:
    """What a fact is about, as `Shelf.facts` has it."""
    return " ".join(about.casefold().split())


def _laid_out_anew(old: Shelf) -> Shelf:
    """The shelf of an image whose words stood in lists by word: its passages and vectors, indexed again."""
    import numpy

    new = Shelf()
    new.chunks, new.next = old.chunks, old.next
    for source, document in old.documents.items():
        document._p_activate()
        first, count = document._first, document.chunks
        parts = [old.vectors[at].vectors() for at in old.vectors.keys(first, first + count, excludemax=True)]
        vectors = numpy.vstack(parts) if parts else None
        words, marks = words_of(new, document)
        new.postings.put(first, words, vectors, marks)
        enter(new, source, document)
    return new


def shelf_in(root: Any) -> Shelf | None:
    return shelf_of(root["knowledge_catalog_obj"]) if "knowledge_catalog_obj" in root else None


def shelf_of(obj: UvmObject) -> Shelf | None:
    """The catalog's shelf, always in its present shape; None where it has none."""
    obj._p_activate()  # an object that is not loaded yet has an empty __dict__
    shelf = obj.__dict__.get("_shelf")
    if shelf is None:
        return None
    shelf._p_activate()
    return shelf if "digests" in shelf.__dict__ else _laid_out_anew(shelf)


def copies_of(shelf: Shelf, source: str) -> list[str]:
    """The other sources whose bytes are those of a document."""
    return [copy for original, copy in shelf.originals.keys((source, ""), (source + "\0", ""))]
