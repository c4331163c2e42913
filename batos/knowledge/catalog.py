"""The knowledge catalog: what `knowledge_catalog_obj` keeps, and how documents come and go.

Owned here: how passages and documents get onto the `shelf` and off it, with all of its indexes in the same
transaction.  How passages are found by words and vectors is `postings`, what becomes an answer is `search`,
and the levels above passages are `contexts`.  Everything here runs inside a turn and
is quick; cutting, embedding and reading happen before, outside.

A document is one atomic unit: it is there with all its passages or not at all.  Its passages take a run
of numbers of their own, so that its words and vectors are records of their own too and its going touches
nobody else's.  The same bytes under another name are no second document: the name is kept beside the first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

from BTrees.LLBTree import LLTreeSet

from batos.errors import NoSuchObject
from batos.knowledge import contexts
from batos.knowledge.chunking import Piece
from batos.knowledge.shelf import KeptText, Shelf, VectorBlock, copies_of, imprint, shelf_in, shelf_of  # noqa: F401
from batos.objects import UvmObject
from batos.objects.genesis import child
from batos.objects.method import Method, primitive


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
    elif "digests" not in shelf.__dict__:
        obj._shelf = _laid_out_anew(shelf)
    contexts.teach(obj)
    for selector, name in (("search_", "catalog_search"), ("sources", "catalog_sources")):
        if obj._method(selector) is None:
            obj._install(Method(selector, primitive=name))
    return obj


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
        put_on_shelf(new, source, document, vectors)
    return new


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
              "extracted" (true: the text is not the file's own and is kept), "persona", "remembered"
              (seconds since the epoch), "about" (of a fact: it replaces the one before about the same), and
              anything else that is plain data and worth a slot

    Answers ``{"chunks": n, "replaced": passages that went, "current": true if nothing had to be done}``,
    and "copy": the source that has the same bytes, where there is one.
    """
    told = {"kind": "text", "digest": None, **(metadata or {})}
    space = told.pop("space", None) if vectors is not None else None
    told.pop("space", None)
    extracted = told.pop("extracted", False)
    digest = told["digest"]
    if digest is not None and is_current(root, source, digest, space):
        return {"chunks": len(pieces), "replaced": 0, "current": True}
    obj = catalog(root)
    shelf = obj._shelf
    replaced = unindex_document(root, source) if _document(shelf, source) is not None else 0
    twin = None if digest is None or "about" in told else _with_bytes(shelf, digest, told["kind"])
    if twin is not None and (space is None or twin.space == space):
        _link(shelf, source, twin.origin)
        return {"chunks": 0, "replaced": replaced, "current": False, "copy": twin.origin}
    document = obj.memory_document._clone_persistent_(
        origin=source,
        space=space,
        remembered=told.pop("remembered", None) or time.time(),
        chunks=len(pieces),
        **told,
    )
    document._first = first = shelf.numbers(len(pieces))
    if extracted:
        document._extracted = KeptText(text)
    levels, inside = contexts.contexts_of(obj.memory_context, document, pieces)
    if levels:
        document.contexts = levels
    before = None
    for position, piece in enumerate(pieces):
        chunk = obj.memory_chunk._clone_persistent_(
            document=document,
            position=position,
            start=piece.start,
            end=piece.end,
            tokens=piece.tokens,
            text=text[piece.start : piece.end],
        )
        if piece.section:
            chunk.section = " > ".join(piece.section)
            chunk.context = inside[position]
        if before is not None:
            chunk.previous, before.next = before, chunk
        before = chunk
        shelf.chunks[first + position] = chunk
    put_on_shelf(shelf, source, document, vectors)
    return {"chunks": len(pieces), "replaced": replaced, "current": False}


def put_on_shelf(shelf: Shelf, source: str, document: UvmObject, vectors: Any = None) -> None:
    """Index a document whose passages stand in `shelf.chunks`."""
    shelf.postings.put(document._first, words_of(shelf, document), vectors)
    enter(shelf, source, document)


def words_of(shelf: Shelf, document: UvmObject) -> list[list[int]]:
    """The numbers of the words that each passage of a document is found by."""
    first = document._first
    chunks = [shelf.chunks[number] for number in range(first, first + document.chunks)]
    # The headings above a passage say what it is about as much as its own words do.
    return shelf.text.lexicon.numbers([f"{each._slots.get('section', '')}\n{each.text}" for each in chunks])


def enter(shelf: Shelf, source: str, document: UvmObject) -> None:
    """Have a document found by its source, kind, persona, time, digest and what it is about."""
    shelf.documents[source] = document
    first = document._first
    if document.chunks:
        shelf.times.insert((document.remembered, first))
        if document.digest is not None:
            shelf.digests[imprint(document.digest, document.kind)] = first
        for tree, value in _kinds(shelf, document):
            if value not in tree:
                tree[value] = LLTreeSet()
            tree[value].insert(first)
    about = document._slots.get("about")
    if about is not None:
        before = shelf.documents.get(shelf.facts.get(_subject(about), ""))
        if before is not None and before is not document:
            document.supersedes = before.origin
            before.superseded_by, before.superseded = source, document.remembered
        shelf.facts[_subject(about)] = source


def _kinds(shelf: Shelf, document: UvmObject) -> list[tuple[Any, str]]:
    told = ((shelf.kinds, document.kind), (shelf.personas, document._slots.get("persona")))
    return [(tree, value) for tree, value in told if value is not None]


def _with_bytes(shelf: Shelf, digest: str, kind: str) -> UvmObject | None:
    """The document of these bytes."""
    first = shelf.digests.get(imprint(digest, kind))
    document = None if first is None else shelf.chunks[first].document
    return document if document is not None and (document.digest, document.kind) == (digest, kind) else None


def _subject(about: str) -> str:
    return " ".join(about.casefold().split())


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
        for tree, value in _kinds(shelf, document):
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
        shelf.facts[_subject(about)] = before.origin
    else:
        del shelf.facts[_subject(about)]


def unindex_document(root: Any, source: str) -> int:
    """Take a document and all its passages off the shelf; answers how many those were.

    Where it has copies, the first of them takes its place, and no passage goes.  Raises `NoSuchObject`
    where nothing is remembered from that source.
    """
    shelf = shelf_in(root)
    if shelf is not None and source in shelf.copies:
        shelf.originals.remove((shelf.copies.pop(source), source))
        return 0
    document = _document(shelf, source)
    if document is None:
        raise NoSuchObject(
            f"nothing is remembered from {source}", hint="see what is: send knowledge_catalog_obj sources"
        )
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
    shelf.postings.remove(numbers)
    for number in numbers:
        del shelf.chunks[number]
    return len(numbers)


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
    document = _document(shelf_in(root), source)
    document._p_activate()
    kept = document.__dict__.get("_extracted")
    return None if kept is None else str(kept)
