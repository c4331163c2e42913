"""Files into the image: read, cut, embedded, and kept, a bounded part at a time.

Owned here: the order of these steps, what is done in one turn, and how far it is.  Reading, cutting and
embedding happen outside the image thread; a turn only stores, `CHARACTERS_A_TURN` at most.  Small documents
share turns.  A large one is read in stretch by stretch and stands aside until its last one is there
(`catalog.begin_document`), so whoever asks finds all of it or nothing, and whoever interrupts it, with a
signal or by pulling the plug, goes on from the last stretch by remembering it again.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from batos.knowledge import catalog
from batos.knowledge.chunking import Piece, Unit, join, piece_vectors, split
from batos.knowledge.embedding import Embedder, LexicalEmbedder
from batos.knowledge.reading import Document, Unreadable, files, read
from batos.knowledge.shelf import KeptText
from batos.knowledge.structure import STRETCH, Standing, stretches
from batos.objects.undo_log import unrecorded

CHARACTERS_A_TURN = STRETCH  # the image thread is free again after a twentieth of a second
READ_AHEAD = 4 * 2**20  # bytes of files held at once while asking which of them are new
TEXTS_A_STEP = 512  # embedded between two reports of progress
WINDOWS_A_STEP = 128
WINDOW = 220  # tokens read together; with their headings they fit into what the embedder reads at once

Progress = Callable[[dict[str, Any]], None]
Cut = tuple[list[Piece], Any]


class Ingestion:
    """Putting documents into an image.  Its methods may be called from any thread but the image's own.

    image     has ``run(why, function)``: `function(root)` in one committed turn
    embedder  `embedding.embedder()` unless a test wants another
    """

    def __init__(self, image: Any, embedder: Embedder | LexicalEmbedder):
        self._image = image
        self.embedder = embedder
        self._large = threading.Lock()  # two who read in the same large document would be in each other's way

    def remember(self, paths: Sequence[str | Path], progress: Progress | None = None) -> dict[str, Any]:
        """Read files and folders into the image.

        What is there already, unchanged, costs nothing; a changed file takes the place of its old
        passages in one transaction.  A file that cannot be read is named and the others go on.  When it
        is interrupted, what was reported is kept, and the same call goes on from there.

        Answers ``{"documents", "chunks", "unchanged", "replaced", "bytes", "seconds", "embedder",
        "skipped": [{"source", "why"}]}``; `progress` is told the same so far, with "source" and
        "total_bytes", and ends the whole by raising.
        """
        begun = time.monotonic()
        told = {"documents": 0, "chunks": 0, "unchanged": 0, "replaced": 0, "bytes": 0, "seconds": 0.0}
        told |= {"embedder": self.embedder.name, "skipped": []}
        found = list(files(paths))
        total = sum(
            os.path.getsize(source) for source, why in found if why is None and os.path.isfile(source)
        )

        def report(source: str, part: int = 0) -> None:
            told["seconds"] = round(time.monotonic() - begun, 3)
            if progress is not None:
                progress({**told, "bytes": told["bytes"] + part, "source": source, "total_bytes": total})

        for documents in self._read(found, told["skipped"]):
            fresh = self._fresh(documents)
            told["unchanged"] += len(documents) - len(fresh)
            told["bytes"] += sum(each.size for each in documents if each.source not in fresh)
            for group in _groups([each for each in documents if each.source in fresh]):
                for came in self._take_in(group, lambda part, at=group: report(at[-1].source, part)):
                    told["replaced"] += bool(came["replaced"])
                    told["unchanged"] += came["current"]
                    told["documents"] += not came["current"]
                    told["chunks"] += 0 if came["current"] else came["chunks"]
                told["bytes"] += sum(each.size for each in group)
                report(group[-1].source)
        told["seconds"] = round(time.monotonic() - begun, 3)
        return told

    def remember_text(
        self, source: str, text: str, kind: str = "markdown", **metadata: Any
    ) -> dict[str, Any]:
        """Put a text that is no file under a source of its own; it is kept whole for its citations."""
        data = text.encode("utf-8", "surrogatepass")
        document = Document(
            source, text, kind, hashlib.sha256(data).hexdigest(), len(data), time.time(), True
        )
        if document.source not in self._fresh([document]):
            return {"chunks": 0, "replaced": 0, "current": True}
        return self._take_in([document], metadata=metadata)[0]

    # -- steps ---------------------------------------------------------------------------------------

    @property
    def _space(self) -> str | None:
        return self.embedder.name if self.embedder.semantic else None

    def _read(
        self, found: Iterable[tuple[str, Any]], skipped: list[dict[str, str]]
    ) -> Iterator[list[Document]]:
        """Documents in batches of about `READ_AHEAD` bytes; those that cannot be read join `skipped`."""
        documents: list[Document] = []
        for source, why in found:
            try:
                if why is not None:
                    raise why
                documents.append(read(source))
            except Unreadable as exc:
                skipped.append({"source": source, "why": str(exc)})
                continue
            if sum(each.size for each in documents) >= READ_AHEAD or len(documents) == 256:
                yield documents
                documents = []
        if documents:
            yield documents

    def _fresh(self, documents: Sequence[Document]) -> set[str]:
        space = self._space

        def new(root: Any) -> set[str]:
            return {
                each.source
                for each in documents
                if not catalog.is_current(root, each.source, each.digest, space)
            }

        return self._image.run("look what is new", new)

    def _take_in(
        self,
        group: Sequence[Document],
        step: Callable[[int], None] = lambda part: None,
        metadata: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Documents that share a turn, or one that is too large for that; answers what each came to."""
        if len(group) == 1 and len(group[0].text) > CHARACTERS_A_TURN:
            with self._large:
                came = [self._take_in_large(group[0], step, metadata)]
        else:
            came = self._keep(group, self._cut(group, step), metadata)
        if any(each["replaced"] for each in came):
            self._sweep()
        return came

    def _take_in_large(
        self, document: Document, step: Callable[[int], None], metadata: dict[str, Any] | None
    ) -> dict[str, Any]:
        source, length = document.source, len(document.text)
        told = self._told(document, metadata)
        begun = self._unrecorded(
            "begin a document", lambda root: catalog.begin_document(root, source, told, length)
        )
        if isinstance(begun, dict):
            return begun
        done, left = begun
        standing = Standing.again(left)
        for start, end in stretches(document.text, document.kind):
            if start < done:
                continue
            part = replace(
                document, text=document.text[start:end], size=document.size * (end - start) // length
            )
            before = document.size * start // length
            ((pieces, vectors),) = self._cut(
                [part], lambda more, before=before: step(before + more), standing
            )

            def add(root: Any, part=part, span=(start, end), pieces=pieces, vectors=vectors) -> None:
                catalog.add_passages(root, source, span, part.text, pieces, vectors, standing.told())

            self._unrecorded("remember a stretch of a document", add)
            step(document.size * end // length)
        self._hand_over(source)
        return self._unrecorded("have a document found", lambda root: catalog.finish_document(root, source))

    def _hand_over(self, source: str) -> None:
        """Of a document that goes, give others what they have only a link to, a turn at a time."""
        while self._unrecorded("hand over shared passages", lambda root: catalog.hand_over(root, source)):
            pass

    def _sweep(self) -> None:
        """Take what nobody finds any more off the disk's next pack, a turn at a time."""
        while self._unrecorded("take out forgotten passages", catalog.sweep):
            pass

    def _unrecorded(self, why: str, function: Callable[[Any], Any]) -> Any:
        """A turn whose record says that it was, and not what it changed: what a record refers to stays in the
        image, and what is forgotten would."""

        def turn(root: Any) -> Any:
            with unrecorded():
                return function(root)

        return self._image.run(why, turn)

    def _cut(
        self,
        documents: Sequence[Document],
        step: Callable[[int], None] = lambda part: None,
        standing: Standing | None = None,
    ) -> list[Cut]:
        """The pieces of each document and their vectors; `step` is told how many bytes are done, `standing`
        goes along where a document is a stretch of one.

        The text is read twice.  First in windows as long as the embedder can read, which gives each
        sentence a vector that knows its surroundings: they show where the subject turns, and what is meant
        by "he" and "there".  Then piece by piece under its headings, which says what a piece is about on
        its own.  The vector of a piece is the mean of both; together they find more than either.
        """
        import numpy

        size = sum(each.size for each in documents)
        units = [split(each.text, each.kind, self.embedder.count, standing) for each in documents]
        windows = [
            each for doc, found in zip(documents, units, strict=True) for each in windows_of(doc.text, found)
        ]
        parts = []
        for at in range(0, len(windows), WINDOWS_A_STEP):
            parts.append(self.embedder.encode_parts(windows[at : at + WINDOWS_A_STEP]))
            step(size // 2 * min(at + WINDOWS_A_STEP, len(windows)) // len(windows))
        ends = numpy.cumsum([len(found) for found in units])
        vectors = numpy.split(numpy.concatenate(parts), ends[:-1]) if parts else [None] * len(documents)
        pieces = [join(found, their) for found, their in zip(units, vectors, strict=True)]
        if not self.embedder.semantic:
            return [(each, None) for each in pieces]
        texts = [
            " > ".join(p.section) + "\n" + doc.text[p.start : p.end]
            if p.section
            else doc.text[p.start : p.end]
            for doc, each in zip(documents, pieces, strict=True)
            for p in each
        ]
        own = []
        for at in range(0, len(texts), TEXTS_A_STEP):
            own.append(self.embedder.encode(texts[at : at + TEXTS_A_STEP]))
            step(size // 2 + size // 2 * min(at + TEXTS_A_STEP, len(texts)) // len(texts))
        ends = numpy.cumsum([len(each) for each in pieces])
        kept = numpy.split(numpy.concatenate(own), ends[:-1]) if own else [None] * len(documents)
        told = []
        for each, found, surrounded, alone in zip(pieces, units, vectors, kept, strict=True):
            if not each:
                told.append((each, None))
                continue
            both = alone + piece_vectors(each, found, surrounded)
            told.append((each, both / numpy.maximum(numpy.linalg.norm(both, axis=1, keepdims=True), 1e-9)))
        return told

    def _keep(
        self,
        documents: Sequence[Document],
        cut: Sequence[Cut],
        metadata: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """One turn: every document of the group with all its passages, or nothing of it."""

        told = [self._told(each, metadata) for each in documents]

        def put(root: Any) -> list[dict[str, Any]]:
            return [
                catalog.index_document(root, document.source, document.text, pieces, vectors, about)
                for document, (pieces, vectors), about in zip(documents, cut, told, strict=True)
            ]

        # No source is named: change records outlive what is forgotten.
        return self._unrecorded(f"remember {len(documents)} document{'s' * (len(documents) != 1)}", put)

    def _told(self, document: Document, metadata: dict[str, Any] | None) -> dict[str, Any]:
        """What is kept of a document beside its passages."""
        large = len(document.text) > CHARACTERS_A_TURN  # its text comes in by stretches
        return {
            "kind": document.kind,
            "digest": document.digest,
            "modified": document.modified,
            "extracted": KeptText("" if large else document.text) if document.extracted else None,
            "space": self._space,
            **(metadata or {}),
        }


def windows_of(text: str, units: Sequence[Unit]) -> Iterator[tuple[str, list[str]]]:
    """Units that are read together: (their heading, their texts); units under one heading, as many as fit."""
    heading, parts, tokens = "", [], 0
    section: tuple[str, ...] | None = None
    for unit in units:
        if parts and (unit.section != section or tokens + unit.tokens > WINDOW):
            yield heading, parts
            parts, tokens = [], 0
        if not parts:
            section, heading = unit.section, " > ".join(unit.section)
        parts.append(text[unit.start : unit.end])
        tokens += unit.tokens
    if parts:
        yield heading, parts


def _groups(documents: Sequence[Document]) -> Iterator[list[Document]]:
    """Documents that are embedded and kept together: as many as fit in `CHARACTERS_A_TURN`, one at
    least."""
    group: list[Document] = []
    for document in documents:
        if group and sum(len(each.text) for each in group) + len(document.text) > CHARACTERS_A_TURN:
            yield group
            group = []
        group.append(document)
    if group:
        yield group
