"""The fractal levels: what a passage stands in, and what stands in that.

Owned here: the contexts above passages (a section, the section around it, the document) and the messages by
which one climbs and descends: `zoom_out`, `zoom_in`, `text`, `digest_text`, `alike`.  A context keeps the
run of passages it reaches over and its place, never a copy of their text.
"""

from __future__ import annotations

from collections.abc import Sequence

from batos.knowledge.chunking import Piece
from batos.knowledge.search import alike, digest, joined
from batos.knowledge.shelf import shelf_of
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
    prototype: UvmObject,
    document: UvmObject,
    pieces: Sequence[Piece],
    at: int = 0,
    before: UvmObject | None = None,
) -> dict[int, UvmObject]:
    """The contexts over the pieces of a document: position of a piece -> the innermost it stands in.

    The first piece has the position `at`, and what stands in front of it is in the context `before`.
    """
    inside: dict[int, UvmObject] = {}
    open_: list[tuple[str, UvmObject]] = []
    while before is not None:
        open_.insert(0, (before.title, before))
        before = before._slots.get("within")
    for position, piece in enumerate(pieces, at):
        shared = 0
        while shared < min(len(open_), len(piece.section)) and open_[shared][0] == piece.section[shared]:
            shared += 1
        del open_[shared:]
        for title in piece.section[shared:]:
            context = prototype._clone_persistent_(document=document, title=title, first=position)
            if open_:
                context.within = open_[-1][1]
            open_.append((title, context))
        for _, context in open_:
            context.last = position
        if open_:
            inside[position] = open_[-1][1]
    return inside


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


def _catalog(obj: UvmObject) -> UvmObject:
    """The catalog an object of it hangs on: its prototype's shelf is where its passages are."""
    return obj._p_jar.root()["knowledge_catalog_obj"]


@primitive
def memory_zoom_out(self):
    """What this stands in: the section of a passage, the section or the document around a section, and
    null for a document."""
    if _is_document(self):
        return None
    if "position" in self._slots:
        return self._slots.get("context") or self.document
    return self._slots.get("within") or self.document


@primitive
def memory_zoom_in(self):
    """What stands in this, in its order: of a document or a section the sections right below it and the
    passages in no smaller one; of a passage nothing."""
    if "position" in self._slots:
        return []
    within = None if _is_document(self) else self
    found: list[UvmObject] = []
    for chunk in _chunks(_catalog(self), self):
        below, above = chunk, chunk._slots.get("context")
        while above is not within:
            below, above = above, above._slots.get("within")
        if not found or below is not found[-1]:
            found.append(below)
    return found


@primitive
def memory_text(self):
    """All the passages of a section or a document as one text, as they stand in the source."""
    return joined(_chunks(_catalog(self), self))["text"]


@primitive
def memory_digest_text(self, tokens=DIGEST_TOKENS):
    """What this says in so many tokens: the passages nearest to the middle of what it means, in their order;
    without vectors those it begins with."""
    if "position" in self._slots:
        return self.text
    catalog = _catalog(self)
    return "\n".join(each.text for each in digest(shelf_of(catalog), _chunks(catalog, self), tokens))


@primitive
def memory_alike(self, top=5):
    """The passages that are most like this one, best first."""
    return [each.chunk for each in alike(shelf_of(_catalog(self)), self, top)]
