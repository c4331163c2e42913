"""The knowledge catalog: what `knowledge_catalog_obj` keeps, and how documents come and go.

Owned here: how passages and documents get onto the `shelf` and off it, with all of its indexes in the same
transaction.  How passages are found by words and vectors is `postings`, what becomes an answer is `search`,
and the levels above passages are `contexts`.  Everything here runs inside a turn and is quick; cutting,
embedding and reading happen before, outside (`ingestion`).

A document is one atomic unit: it is there with all its passages or not at all.  A large one comes in by many
short turns, and goes by many; meanwhile it stands aside, where nobody finds it, and the turn that has it found
is short, too.  Its passages take a run of numbers of their own, so that its words and vectors are records of
their own too and its going touches nobody else's.  The same bytes under another name are no second document:
the name is kept beside the first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import Any

from BTrees.LLBTree import LLTreeSet
from BTrees.LOBTree import LOBTree
from BTrees.OOBTree import OOBTree

from batos.errors import Conflict, NoSuchObject
from batos.knowledge import contexts, likeness
from batos.knowledge.chunking import Piece
from batos.knowledge.postings import ROWS, blocks_of
from batos.knowledge.shelf import (  # noqa: F401 - VectorBlock: images of the last edition name it here
    KeptText,
    Shelf,
    VectorBlock,
    copies_of,
    enter,
    imprint,
    kinds_of,
    shelf_in,
    shelf_of,
    subject,
    words_of,
)
from batos.objects import UvmObject
from batos.objects.genesis import child
from batos.objects.method import Method, primitive

_MESSAGES = {"search_": "catalog_search", "sources": "catalog_sources", "text_of": "catalog_text_of"}
BLOCKS_A_SWEEP = 8  # some 2,000 passages: what one turn takes out, a tenth of a second
HANDED_OVER_A_TURN = 500  # passages that others are linked to


def catalog(root: Any) -> UvmObject:
    """`knowledge_catalog_obj` with its prototypes and shelf; makes what is missing (a part of genesis)."""
    obj = child(root, "knowledge_catalog_obj")
    shelf = shelf_of(obj)
    if shelf is None:
        # Prototypes delegate to traits of their own: a method defined there reaches every clone.
        traits = UvmObject(root["genesis_obj"])
        obj.traits_of_memory = traits
        obj.memory_document = UvmObject(
            traits, origin=None, kind="text", digest=None, remembered=None, chunks=0
        )
        obj.memory_chunk = UvmObject(traits, document=None, position=0, start=0, end=0, text="")
        obj._shelf = Shelf()
    elif shelf is not obj._shelf:
        obj._shelf = shelf  # of the last edition, laid out anew
    else:
        if "aside" not in shelf.__dict__:
            shelf.aside = OOBTree()
        shelf.postings.be_linked()
    contexts.teach(obj)
    for selector, name in _MESSAGES.items():
        if obj._method(selector) is None:
            obj._install(Method(selector, primitive=name))
    return obj


@primitive
def catalog_sources(self, under=""):
    """The sources that are remembered, those that start with `under`."""
    shelf = shelf_of(self)
    return [] if shelf is None else _sources(shelf, under)


def _under(tree: Any, start: str) -> Iterator[str]:
    """The keys of a tree that start with `start`, in order, without looking at the others."""
    return takewhile(lambda key: key.startswith(start), tree.keys(start))


def _sources(shelf: Shelf, under: str) -> list[str]:
    return sorted([*_under(shelf.documents, under), *_under(shelf.copies, under)])


def _document(shelf: Shelf | None, source: str) -> UvmObject | None:
    """The document under a source, or of which it is a copy."""
    return None if shelf is None else shelf.documents.get(shelf.copies.get(source, source))


def is_current(root: Any, source: str, digest: str, space: str | None) -> bool:
    """Is this very text there already, with vectors at least as good as those of `space`?"""
    document = _document(shelf_in(root), source)
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
              "extracted" (a `KeptText`: the text is not the file's own and is kept; one that is begun with
              an empty text grows by each stretch), "persona", "remembered"
              (seconds since the epoch), "about" (of a fact: it replaces the one before about the same), and
              anything else that is plain data and worth a slot

    Answers ``{"chunks": n, "replaced": passages that went, "current": true if nothing had to be done}``,
    and "copy": the source that has the same bytes, where there is one.
    """
    told = {**(metadata or {}), "space": (metadata or {}).get("space") if vectors is not None else None}
    there = _there_already(root, source, told)
    if there is not None:
        return {**there, "chunks": len(pieces) if there["current"] else 0}
    obj = catalog(root)
    shelf = obj._shelf
    replaced = unindex_document(root, source) if _stands(shelf, source) else 0
    document = _blank(obj, source, told, len(pieces))
    _put_passages(obj, document, 0, text, pieces)
    words, marks = words_of(shelf, document)
    marks = likeness.link(shelf, document, 0, words, marks, vectors)
    shelf.postings.put(document._first, words, vectors, marks)
    enter(shelf, source, document)
    return {"chunks": len(pieces), "replaced": replaced, "current": False}


def _there_already(root: Any, source: str, told: dict[str, Any]) -> dict[str, Any] | None:
    """What `index_document` answers where nothing has to be stored: the text is there under this source, or
    under another, of which this becomes a copy."""
    digest, space = told.get("digest"), told.get("space")
    if digest is None:
        return None
    if is_current(root, source, digest, space):
        return {"replaced": 0, "current": True}
    shelf = catalog(root)._shelf
    twin = None if "about" in told else _with_bytes(shelf, digest, told.get("kind", "text"))
    if twin is None or twin.origin == source or (space is not None and twin.space != space):
        return None
    origin = twin.origin
    replaced = unindex_document(root, source) if _stands(shelf, source) else 0
    _link(shelf, source, origin)
    return {"replaced": replaced, "current": False, "copy": origin}


def _stands(shelf: Shelf, source: str) -> bool:
    return _document(shelf, source) is not None or source in shelf.aside


def _blank(obj: UvmObject, source: str, told: dict[str, Any], room: int) -> UvmObject:
    """A document without passages, with numbers for `room` of them."""
    told = {"kind": "text", "digest": None, **told}
    kept = told.pop("extracted", None)
    document = obj.memory_document._clone_persistent_(
        origin=source, remembered=told.pop("remembered", None) or time.time(), chunks=0, **told
    )
    document._first = obj._shelf.numbers(room)
    if kept is not None:
        document._extracted = kept
    return document


def _put_passages(
    obj: UvmObject, document: UvmObject, start: int, text: str, pieces: Sequence[Piece]
) -> None:
    """Add the pieces of a text, which begins at `start` of the source, behind the passages of a document."""
    chunks, first, at = obj._shelf.chunks, document._first, document.chunks
    before = chunks[first + at - 1] if at else None
    above = before._slots.get("context") if before is not None else None
    inside = contexts.contexts_of(obj.memory_context, document, pieces, at, above)
    for position, piece in enumerate(pieces, at):
        chunk = obj.memory_chunk._clone_persistent_(
            document=document,
            position=position,
            start=start + piece.start,
            end=start + piece.end,
            tokens=piece.tokens,
            text=text[piece.start : piece.end],
        )
        if piece.section:
            chunk.section = " > ".join(piece.section)
            chunk.context = inside[position]
        if before is not None:
            chunk.previous, before.next = before, chunk
        before = chunk
        chunks[first + position] = chunk
    document.chunks = at + len(pieces)


# -- documents that come and go in several turns --------------------------------------------------------


def begin_document(
    root: Any, source: str, metadata: dict[str, Any], room: int
) -> dict[str, Any] | tuple[int, str]:
    """Begin to read in a document of at most `room` passages, which nobody finds before `finish_document`.

    Where the same text was begun before, reading goes on from there.  Answers (characters that are done, what
    was handed to `add_passages` with the last of them), or what `index_document` answers where nothing has
    to be read.
    """
    there = _there_already(root, source, metadata)
    if there is not None:
        return {"chunks": 0, **there}
    obj = catalog(root)
    begun = obj._shelf.aside.get(source)
    if begun is not None and (begun.digest, begun.space) == (metadata["digest"], metadata["space"]):
        return begun._through, begun._standing
    if begun is not None:
        _break_off(obj._shelf, source)
    document = _blank(obj, source, metadata, room)
    document._aside, document._wids, document._through, document._standing = LOBTree(), LLTreeSet(), 0, ""
    obj._shelf.aside[source] = document
    return 0, ""


def add_passages(
    root: Any,
    source: str,
    span: tuple[int, int],
    text: str,
    pieces: Sequence[Piece],
    vectors: Any,
    standing: str,
) -> int:
    """Add the next stretch of a text, ``text`` being its characters `span`, to a document that was begun."""
    obj = catalog(root)
    document = obj._shelf.aside[source]
    document._p_activate()
    if document._through != span[0]:
        raise Conflict(
            f"{source} is being read in by somebody else", hint="wait for that, and remember it again"
        )
    at = document.chunks
    _put_passages(obj, document, span[0], text, pieces)
    words, marks = words_of(obj._shelf, document, at)
    marks = likeness.link(obj._shelf, document, at, words, marks, vectors)
    document._aside.update(blocks_of(document._first + at, words, vectors, marks))
    document._wids.update({wid for each in words for wid in each})
    kept = document.__dict__.get("_extracted")
    if kept is not None and kept.length == span[0]:
        kept.add(text)
    document._through, document._standing = span[1], standing
    return len(pieces)


def finish_document(root: Any, source: str) -> dict[str, Any]:
    """Have a document found from now on whose passages are all there, in place of the one before it."""
    shelf = catalog(root)._shelf
    document = shelf.aside.pop(source)
    replaced = unindex_document(root, source) if _document(shelf, source) is not None else 0
    document._p_activate()
    blocks = document._aside
    del document._aside, document._wids, document._through, document._standing
    shelf.postings.attach(blocks)
    document.remembered = time.time()
    enter(shelf, source, document)
    return {"chunks": document.chunks, "replaced": replaced, "current": False}


def unfinished(root: Any, under: str = "") -> list[str]:
    """The sources whose reading was begun and not finished."""
    shelf = shelf_in(root)
    return [] if shelf is None else [each for each in _under(shelf.aside, under) if not each.startswith("\0")]


def _break_off(shelf: Shelf, source: str) -> int:
    document = shelf.aside.pop(source)
    likeness.part(shelf, range(document._first, document._first + document.chunks))
    _take_aside(shelf, document, document._aside)
    return document.chunks


def _take_aside(shelf: Shelf, document: UvmObject, blocks: LOBTree) -> None:
    """Leave a document that nobody finds any more, and its passages, to `sweep`."""
    document._aside = blocks
    shelf.aside[f"\0{document._first}"] = document


def sweep(root: Any) -> bool:
    """Take out some of the passages that nobody finds any more; answers whether there may be others."""
    shelf = shelf_in(root)
    going = None if shelf is None else next(iter(_under(shelf.aside, "\0")), None)
    if going is None:
        return False
    document = shelf.aside[going]
    document._p_activate()
    blocks = document._aside
    some = [(first, blocks[first]) for first, _ in zip(blocks, range(BLOCKS_A_SWEEP), strict=False)]
    for first, block in some:
        del blocks[first]
        for number in range(first, first + len(block)):
            del shelf.chunks[number]
    shelf.postings.forget_words([block for _, block in some], _wanted(shelf))
    if not blocks:
        del shelf.aside[going]
    return True


def _wanted(shelf: Shelf) -> Callable[[int], bool]:
    """Whether a word is of a document that is being read in, and so in no index yet."""
    trees = [document._wids for source, document in shelf.aside.items() if not source.startswith("\0")]
    return lambda wid: any(wid in tree for tree in trees)


# -- out -------------------------------------------------------------------------------------------------


def _with_bytes(shelf: Shelf, digest: str, kind: str) -> UvmObject | None:
    """The document of these bytes."""
    first = shelf.digests.get(imprint(digest, kind))
    document = None if first is None else shelf.chunks[first].document
    return document if document is not None and (document.digest, document.kind) == (digest, kind) else None


def _leave(shelf: Shelf, source: str, document: UvmObject) -> None:
    del shelf.documents[source]
    first = document._first
    if document.chunks:
        shelf.times.remove((document.remembered, first))
        if (
            document.digest is not None
            and shelf.digests.get(imprint(document.digest, document.kind)) == first
        ):
            del shelf.digests[imprint(document.digest, document.kind)]
        for tree, value in kinds_of(shelf, document):
            tree[value].remove(first)
            if not tree[value]:
                del tree[value]
    about = document._slots.get("about")
    if about is None:
        return
    # The facts about one thing are a chain by time; what is taken out of it leaves no gap.
    before = shelf.documents.get(document._slots.get("supersedes", ""))
    after = shelf.documents.get(document._slots.get("superseded_by", ""))
    if after is not None:
        if before is not None:
            after.supersedes, before.superseded_by = before.origin, after.origin
        else:
            del after.supersedes
    elif before is not None:
        del before.superseded_by, before.superseded
        shelf.facts[subject(about)] = before.origin
    else:
        del shelf.facts[subject(about)]


def hand_over(root: Any, source: str) -> bool:
    """Of a document that will go, give some of what others have only a link to over to them; answers whether there
    is more.  `unindex_document` does what is left in its one turn."""
    shelf = shelf_in(root)
    if shelf is None or source not in shelf.documents or copies_of(shelf, source):
        return False
    document = shelf.documents[source]
    numbers = range(document._first, document._first + document.chunks)
    return likeness.hand_over(shelf, numbers, HANDED_OVER_A_TURN)


def unindex_document(root: Any, source: str) -> int:
    """Take a document and all its passages off the shelf; answers how many those were.

    Where it has copies, the first of them takes its place, and no passage goes.  Raises `NoSuchObject`
    where nothing is remembered from that source.
    """
    shelf = shelf_in(root)
    begun = _break_off(shelf, source) if shelf is not None and source in shelf.aside else None
    if shelf is not None and source in shelf.copies:
        shelf.originals.remove((shelf.copies.pop(source), source))
        return 0
    document = _document(shelf, source)
    if document is None:
        if begun is not None:
            return begun
        raise nothing_from(source)
    _leave(shelf, source, document)
    heir, *others = copies_of(shelf, source) or [None]
    if heir is not None:
        for each in (heir, *others):
            shelf.originals.remove((shelf.copies.pop(each), each))
        for each in others:
            _link(shelf, each, heir)
        document.origin = heir
        enter(shelf, heir, document)
        return 0
    numbers = range(document._first, document._first + document.chunks)
    likeness.part(shelf, numbers)
    if len(numbers) > BLOCKS_A_SWEEP * ROWS:
        _take_aside(shelf, document, shelf.postings.detach(numbers))
    else:
        shelf.postings.remove(numbers, _wanted(shelf))
        for number in numbers:
            del shelf.chunks[number]
    return len(numbers)


def nothing_from(source: str) -> NoSuchObject:
    """What is raised where nothing is remembered under a source."""
    return NoSuchObject(
        f"nothing is remembered from {source}", hint="see what is: send knowledge_catalog_obj sources"
    )


def forget_past(root: Any) -> None:
    """Note that something was forgotten: the next pack keeps no past from before now."""
    shelf = shelf_in(root)
    if shelf is not None:
        shelf.forgotten = time.time()


def forgotten(root: Any) -> float:
    """When something was forgotten the last time, in seconds since the epoch; 0 for never."""
    shelf = shelf_in(root)
    return 0.0 if shelf is None else shelf.forgotten


def _link(shelf: Shelf, source: str, original: str) -> None:
    shelf.copies[source] = original
    shelf.originals.insert((original, source))


def sources(root: Any, under: str = "", kind: str | None = None, since: float | None = None) -> list[str]:
    """The sources remembered whose name starts with `under`, in their order; of one kind, or since a time."""
    shelf = shelf_in(root)
    if shelf is None:
        return []
    if kind is None:
        found = _sources(shelf, under)
    else:
        told = (shelf.chunks[first].document.origin for first in shelf.kinds.get(kind, ()))
        found = sorted(each for each in told if each.startswith(under))
    if since is not None:
        late = {first for (_, first) in shelf.times.keys((since, 0))}
        found = [each for each in found if shelf.documents[shelf.copies.get(each, each)]._first in late]
    return found


def text_of(root: Any, source: str) -> str | None:
    """The extracted text of a source, None where the file itself is the text."""
    kept = _kept_text(shelf_in(root), source)
    return None if kept is None else str(kept)


def _kept_text(shelf: Shelf | None, source: str) -> KeptText | None:
    document = _document(shelf, source)
    if document is None:
        raise nothing_from(source)
    document._p_activate()
    return document.__dict__.get("_extracted")


@primitive
def catalog_text_of(self, source, start=0, end=None):
    """A text that was extracted and is kept (of a PDF, a page, mail), from one place of it to another: so a
    citation is opened.  Where the file itself is the text, the file is to be opened."""
    kept = _kept_text(shelf_of(self), source)
    if kept is None:
        raise ValueError(f"{source} is text itself: open the file")
    return str(kept)[max(0, start) :] if end is None else kept.between(max(0, start), end)
