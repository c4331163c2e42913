"""How the catalog's shelf is told as text in an export, and made again by an import.

Told are the passages by number, the documents by source, the vectors and which passages are linked, so that
recall gives the same answers without embedding anything again.  The index of words and the lists by kind and
time follow from them and are built anew.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from BTrees.LOBTree import LOBTree
from BTrees.OOBTree import OOBTree

from batos.image.worldtext import LEFT_OUT, Structure, told_as
from batos.knowledge.postings import SAME, Block
from batos.knowledge.shelf import KeptText, Shelf, enter, words_of
from batos.objects import UvmObject

DOCUMENTS_A_COMMIT = 100


def _tell_shelf(shelf: Shelf) -> dict[str, Any]:
    # What stands aside is told as runs of numbers alone: it is not all there, and is not made again.
    aside = [[each._first, each._first + each.chunks] for each in shelf.aside.values()]
    links = [
        [number, target]
        for number, target in shelf.postings.links.items()
        if not any(start <= number < end for start, end in aside)
    ]
    return {
        "next": shelf.next, "documents": shelf.documents, "chunks": shelf.chunks, "copies": shelf.copies,
        "blocks": shelf.postings.blocks, "aside": aside, "links": links,
    }  # fmt: skip


def _fill_shelf(shelf: Shelf, told: dict[str, Any]) -> None:
    shelf.__init__()
    kinds = (
        ("next", int),
        ("documents", OOBTree),
        ("chunks", LOBTree),
        ("copies", OOBTree),
        ("blocks", LOBTree),
    )
    for name, kind in kinds:
        if type(told[name]) is not kind:
            raise ValueError(f"{name} is a {kind.__name__}, not a {type(told[name]).__name__}")
        setattr(shelf, name, told[name])
    shelf.left_out = told.get("aside", ())
    shelf.told_links = told.get("links", ())


def _finish_shelf(shelf: Shelf, commit: Callable[[], None]) -> None:
    """Index what the shelf holds; `ValueError` where its parts do not fit together."""
    known = 0
    for start, end in shelf.__dict__.pop("left_out"):
        for number in list(shelf.chunks.keys(start, end, excludemax=True)):
            del shelf.chunks[number]
    links = {number: target for number, target in shelf.__dict__.pop("told_links")}
    for number, target in links.items():
        if number not in shelf.chunks or target not in shelf.chunks or target in links:
            raise ValueError(f"the passage {number} is linked to {target!r}, which it cannot be")
        shelf.postings.link(number, target)
    documents = list(shelf.documents.items())
    blocks = shelf.text.index.blocks = shelf.__dict__.pop("blocks")
    for done, (source, document) in enumerate(documents, 1):
        first, count = _slot(document, "_first", int), _slot(document, "chunks", int)
        if _slot(document, "origin", str) != source:
            raise ValueError(f"the document of {source!r} says that it is of {document.origin!r}")
        for number in range(first, first + min(count, len(shelf.chunks))):
            chunk = shelf.chunks.get(number)
            if chunk is None:
                raise ValueError(f"the passage {number} of {source!r} is missing")
            _slot(chunk, "text", str)
            known += 1
        _slot(document, "kind", str), _slot(document, "remembered", float)
        words, unlinked = words_of(shelf, document)
        marks = bytes(mark | (SAME if first + at in links else 0) for at, mark in enumerate(unlinked))
        starts = list(blocks.keys(first, first + count, excludemax=True))
        for number, end in pairwise([*starts, first + count]):
            block = blocks[number]
            here = slice(number - first, end - first)
            own = sum(not mark & SAME for mark in marks[here])
            if not isinstance(block, Block) or len(block.scales) // 4 not in (0, own):
                raise ValueError(f"the vectors at {number} are none, or not of its passages")
            block.tally(words[here], marks[here])
        enter(shelf, source, document)
        if first + count > shelf.next:
            raise ValueError(f"the passages of {source!r} have numbers that are not given out yet")
        if done % DOCUMENTS_A_COMMIT == 0:
            commit()
    if known != len(shelf.chunks):
        raise ValueError(f"{len(shelf.chunks) - known} passages belong to no document")
    if sum(map(len, blocks.values())) != known:
        raise ValueError("there are more or fewer words than passages")
    shelf.text.index.stamp = shelf.next
    for copy, original in shelf.copies.items():
        if original not in shelf.documents:
            raise ValueError(f"{copy!r} is a copy of {original!r}, which is not there")
        shelf.originals.insert((original, copy))
    shelf._p_changed = True


def _slot(obj: Any, name: str, kind: type) -> Any:
    if not isinstance(obj, UvmObject):
        raise ValueError(f"a {type(obj).__name__} is no document and no passage")
    obj._p_activate()
    value = obj.__dict__.get(name)
    if value is None and not name.startswith("_"):
        value = getattr(obj, name, None)  # a prototype may hold it
    if type(value) is not kind:
        raise ValueError(f"{name!r} of {obj!r} is a {kind.__name__}, not a {type(value).__name__}")
    return value


def _tell_block(block: Block) -> dict[str, Any]:
    return {"rows": block.vectors, "scales": block.scales}


def _fill_block(block: Block, told: dict[str, Any]) -> None:
    rows, scales = told["rows"], told["scales"]
    if type(rows) is not bytes or type(scales) is not bytes or len(scales) % 4 or (
        len(rows) % (len(scales) // 4) if scales else rows
    ):  # fmt: skip
        raise ValueError("rows and scales are bytes, and there is a scale for every row")
    block.__init__([])
    block.vectors, block.scales = rows, scales


def _tell_text(kept: KeptText) -> dict[str, Any]:
    return {"text": str(kept).encode("utf-8", "surrogatepass")}


def _fill_text(kept: KeptText, told: dict[str, Any]) -> None:
    kept.__init__(told["text"].decode("utf-8", "surrogatepass"))


LEFT_OUT.update({"_aside", "_wids", "_through", "_standing"})  # of documents that stand aside
told_as(Structure("shelf", Shelf, _tell_shelf, _fill_shelf, _finish_shelf), _shelf=Shelf, _first=int)
told_as(Structure("vectors", Block, _tell_block, _fill_block))
told_as(Structure("extracted", KeptText, _tell_text, _fill_text), _extracted=KeptText)
