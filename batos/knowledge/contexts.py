"""The fractal levels: what a passage stands in, and what stands in that.

Owned here: the contexts above passages (a section, the section around it, the document) and the messages by
which one climbs and descends: `zoom_out`, `zoom_in`, `text`, `digest_text`, `alike`.  A context keeps the
run of passages it reaches over and its place, never a copy of their text.
"""

from __future__ import annotations

from collections.abc import Sequence

from batos.knowledge.chunking import Piece
from batos.knowledge.search import alike, joined
from batos.objects import UvmObject
from batos.objects.method import Method, primitive

MESSAGES = ("zoom_out", "zoom_in", "alike", "digest_text")
DIGEST_TOKENS = 80


def teach(catalog: UvmObject) -> None:
    """Give the catalog's prototypes what they lack of this: a prototype of contexts, and the messages."""
    traits = catalog.traits_of_memory
    if "memory_context" not in catalog._slots:
        catalog.memory_context = UvmObject(traits, document=None, within=None, title="", first=0, last=0)
    for selector in MESSAGES:
        if traits._method(selector) is None:
            traits._install(Method(selector, primitive=f"memory_{selector}"))
    for prototype in (catalog.memory_context, catalog.memory_document):
        if prototype._method("text") is None:
            prototype._install(Method("text", primitive="memory_text"))


def contexts_of(
    prototype: UvmObject, document: UvmObject, pieces: Sequence[Piece]
) -> tuple[list[UvmObject], dict[int, UvmObject]]:
    """The contexts over the pieces of a document: (all of them in their order, position of a piece -> the
    innermost it stands in)."""
    found: list[UvmObject] = []
    inside: dict[int, UvmObject] = {}
    open_: list[tuple[str, UvmObject]] = []
    for position, piece in enumerate(pieces):
        shared = 0
        while shared < min(len(open_), len(piece.section)) and open_[shared][0] == piece.section[shared]:
            shared += 1
        del open_[shared:]
        for title in piece.section[shared:]:
            context = prototype._clone_persistent_(document=document, title=title, first=position)
            if open_:
                context.within = open_[-1][1]
            open_.append((title, context))
            found.append(context)
        for _, context in open_:
            context.last = position
        if open_:
            inside[position] = open_[-1][1]
    return found, inside


def _chunks(catalog: UvmObject, context: UvmObject) -> list[UvmObject]:
    """The passages of a context, or of a document, in their order."""
    document, first, last = _reach(context)
    chunks = catalog._shelf.chunks
    return [chunks[document._first + position] for position in range(first, last + 1)]


def _reach(context: UvmObject) -> tuple[UvmObject, int, int]:
    if _is_document(context):
        return context, 0, context.chunks - 1
    return context.document, context.first, context.last


def _is_document(obj: UvmObject) -> bool:
    return "origin" in obj._slots


def _contexts(document: UvmObject) -> Sequence[UvmObject]:
    return document._slots.get("contexts") or ()


def _catalog(obj: UvmObject) -> UvmObject:
    """The catalog an object of it hangs on: its prototype's shelf is where its passages are."""
    return obj._p_jar.root()["knowledge_catalog_obj"]


@primitive
def memory_zoom_out(self):
    """What this stands in: the section of a passage, the section or the document around a section, and
    null for a document."""
    if _is_document(self):
        return None
    if "text" in self._slots:
        return self._slots.get("context") or self.document
    return self._slots.get("within") or self.document


@primitive
def memory_zoom_in(self):
    """What stands in this, in its order: of a document or a section the sections right below it and the
    passages in no smaller one; of a passage nothing."""
    if "text" in self._slots:
        return []
    document, first, last = _reach(self)
    within = None if _is_document(self) else self
    below = [
        each
        for each in _contexts(document)
        if each._slots.get("within") is within and first <= each.first <= last and each is not self
    ]
    alone = [each for each in _chunks(_catalog(self), self) if each._slots.get("context") is within]
    return sorted(
        [*below, *alone], key=lambda each: (each.first, 0) if "first" in each._slots else (each.position, 1)
    )


@primitive
def memory_text(self):
    """All the passages of a section or a document as one text, as they stand in the source."""
    return joined(_chunks(_catalog(self), self))["text"]


@primitive
def memory_digest_text(self, tokens=DIGEST_TOKENS):
    """What this says in so many tokens: the passages nearest to the middle of what it means, in their order;
    without vectors those it begins with."""
    import numpy

    if "text" in self._slots:
        return self.text
    catalog = _catalog(self)
    chunks, searcher = _chunks(catalog, self), catalog._shelf.searcher
    rows = [searcher.row_of[each.document._first + each.position] for each in chunks]
    order = list(range(len(chunks)))
    if rows and searcher.scales[rows].all():
        vectors = searcher.vectors[rows].astype(numpy.float32) * searcher.scales[rows][:, None]
        order = numpy.argsort(-(vectors @ vectors.mean(axis=0)), kind="stable").tolist()
    chosen, spent = [], 0
    for at in order:
        if not chosen or spent + chunks[at].tokens <= tokens:
            chosen.append(at)
            spent += chunks[at].tokens
    return "\n".join(chunks[at].text for at in sorted(chosen))


@primitive
def memory_alike(self, top=5):
    """The passages that are most like this one, best first."""
    return [each.chunk for each in alike(_catalog(self)._shelf, self, top)]
