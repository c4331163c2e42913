"""The shelf: what stands beside the catalog's prototypes in the image, and finding it.

Owned here: the indexes of `knowledge_catalog_obj` as records.  What goes onto the shelf, and off it, is
`catalog`'s business.
"""

from __future__ import annotations

import time
import zlib
from typing import Any

import xxhash
from BTrees.LLBTree import LLBTree
from BTrees.LOBTree import LOBTree
from BTrees.OOBTree import OOBTree, OOTreeSet
from persistent import Persistent
from zope.index.text.textindex import TextIndex

from batos.knowledge.postings import Postings, Searcher
from batos.knowledge.words import Words
from batos.objects import UvmObject


class VectorBlock(Persistent):
    """Vectors of images made before words and vectors shared a record; `catalog` turns them into those."""

    rows = scales = b""

    def vectors(self) -> Any:
        import numpy

        scales = numpy.frombuffer(self.scales, dtype=numpy.float32)
        return numpy.frombuffer(self.rows, dtype=numpy.int8).reshape(len(scales), -1) * scales[:, None]


class KeptText(Persistent):
    """The text that was extracted from a document, for whoever opens a citation: a record of its own."""

    def __init__(self, text: str):
        self._packed = zlib.compress(text.encode("utf-8", "surrogatepass"))

    def __str__(self) -> str:
        return zlib.decompress(self._packed).decode("utf-8", "surrogatepass")


class Shelf(Persistent):
    """The catalog's indexes: passages by number, words and meaning; documents by source, kind and time.

    A passage's number is about the microsecond it came in, so none is ever given out twice: not after an
    abort, not after an undo.
    """

    def __init__(self):
        lexicon = Words()
        self.text = TextIndex(lexicon, Postings(lexicon))
        self.chunks = LOBTree()  # number -> MemoryChunk
        self.documents = OOBTree()  # source -> MemoryDocument
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


def shelf_in(root: Any) -> Shelf | None:
    return shelf_of(root["knowledge_catalog_obj"]) if "knowledge_catalog_obj" in root else None


def shelf_of(obj: UvmObject) -> Shelf | None:
    obj._p_activate()  # an object that is not loaded yet has an empty __dict__
    shelf = obj.__dict__.get("_shelf")
    if shelf is not None:
        shelf._p_activate()
    return shelf


def copies_of(shelf: Shelf, source: str) -> list[str]:
    """The other sources whose bytes are those of a document."""
    return [copy for original, copy in shelf.originals.keys((source, ""), (source + "\0", ""))]
