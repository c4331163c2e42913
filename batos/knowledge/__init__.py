"""Fractal memory: documents in, passages out, each with the place it came from.

`Memory` is the door: it reads files, cuts and embeds them outside the image, and enters a turn only to
keep or to look up.  How a text is cut is `chunking`, what vectors are is `embedding`, what the image
keeps is `catalog`; which files are text is `reading`.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from batos.errors import BadRequest, NoSuchObject
from batos.knowledge import catalog, itself, search
from batos.knowledge.chunking import Piece, Unit, join, piece_vectors, split
from batos.knowledge.embedding import Embedder, LexicalEmbedder, embedder
from batos.knowledge.reading import Document, Unreadable, files, read

__all__ = ["Embedder", "LexicalEmbedder", "Memory", "Unreadable", "embedder"]

BYTES_A_TURN = 128 * 2**10  # some 400 passages: the image thread is free again after a tenth of a second
READ_AHEAD = 4 * 2**20  # bytes of files held at once while asking which of them are new
TEXTS_A_STEP = 512  # embedded between two reports of progress
WINDOWS_A_STEP = 128
WINDOW = 220  # tokens read together; with their headings they fit into what the embedder reads at once
MOST = 1000  # answers to one question

Progress = Callable[[dict[str, Any]], None]


class Memory:
    """What an image remembers.  Its methods may be called from any thread but the image's own.

    image     has ``run(why, function)``: `function(root)` in one committed turn
    embedder  `embedding.embedder()` unless a test wants another
    """

    def __init__(self, image: Any, embedder: Embedder | LexicalEmbedder):
        self._image = image
        self.embedder = embedder

    # -- putting in --------------------------------------------------------------------------------

    def remember(self, paths: Sequence[str | Path], progress: Progress | None = None) -> dict[str, Any]:
        """Read files and folders into the image.

        What is there already, unchanged, costs nothing; a changed file takes the place of its old
        passages in one transaction.  A file that cannot be read is named and the others go on.  When it
        is interrupted, what was reported is kept, and the same call goes on from there.

        Answers ``{"documents", "chunks", "unchanged", "replaced", "bytes", "seconds", "embedder",
        "skipped": [{"source", "why"}]}``; `progress` is told the same so far, with "source" and
        "total_bytes".
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
                cut = self._cut(group, lambda part, at=group: report(at[-1].source, part))
                for came in self._keep(group, cut):
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
        return self._keep([document], self._cut([document]), metadata)[0]

    def learn(self, fact: str, about: str) -> dict[str, Any]:
        """Put a fact, a sentence or two, in place of what was known before about the same.

        Both are kept and dated; the newer one wins, and the older one holds again where the newer one is
        forgotten.
        """
        source = f"fact:{about}/{time.time_ns() // 1000}"
        return {"source": source, **self.remember_text(source, fact, "text", about=about)}

    def remember_object(self, path: str) -> dict[str, Any]:
        """Put an object of the image, as it is now, under ``image:PATH``: its slots and its methods."""
        name = path.removeprefix(itself.SCHEME)
        text = self._image.run(
            f"look at {name}", lambda root: itself.text_of_object(root.resolve(name), name)
        )
        return {"source": itself.SCHEME + name, **self.remember_text(itself.SCHEME + name, text)}

    def remember_missions(self, records: Iterable[dict[str, Any]]) -> dict[str, Any]:
        """Put the missions of each day and each week under ``image:missions/``; answers how many were new."""
        told = [
            (source, self.remember_text(source, text)) for source, text in itself.texts_of_missions(records)
        ]
        return {
            "documents": sum(not came["current"] for _, came in told),
            "chunks": sum(came["chunks"] for _, came in told if not came["current"]),
        }

    def forget(self, source: str | Path) -> dict[str, int]:
        """Take a document out of the image, or every document under a folder.

        Answers ``{"documents", "chunks", "sources"}``; `NoSuchObject` where nothing is remembered from there.
        """
        named = [str(source), os.path.abspath(source)]

        def which(root: Any) -> list[str]:
            for name in named:
                if name in catalog.sources(root, name):
                    return [name]
            folder = named[0] if named[0].startswith(itself.SCHEME) else named[1]
            return catalog.sources(root, folder.rstrip(os.sep) + os.sep)

        going = self._image.run(f"look for {source}", which)
        if not going:
            raise NoSuchObject(
                f"nothing is remembered from {named[0] if named[0].startswith(itself.SCHEME) else named[1]}",
                hint="see what is: send knowledge_catalog_obj sources",
            )
        chunks = 0
        for each in going:
            chunks += self._image.run(
                "forget a document", lambda root, each=each: catalog.unindex_document(root, each)
            )
        return {"documents": len(going), "chunks": chunks, "sources": going}

    # -- taking out --------------------------------------------------------------------------------

    def recall(
        self,
        query: str,
        top: int = 5,
        *,
        source: str = "",
        kind: str | None = None,
        persona: str | None = None,
        since: float | None = None,
        until: float | None = None,
        at: str | None = None,
        why: bool = False,
    ) -> list[dict[str, Any]]:
        """The passages that answer a question best: ``{"text", "source", "start", "end", "score"}``.

        Of sources that start with `source`, of a kind or a persona, remembered `since` or `until` (seconds
        since the epoch); `at` a transaction: what was known then; `why` adds what made each an answer.
        Nothing that answers gives an empty list.
        """
        if not isinstance(query, str) or isinstance(top, bool) or not isinstance(top, int) or top < 1:
            raise BadRequest(
                "recall wants a question and a number of answers above 0", hint="recall QUESTION --top 5"
            )
        top = min(top, MOST)
        where = search.Where(source, kind, persona, since, until)
        vector = self._vector(query)
        return self._look(lambda root: search.search(root, query, vector, top, where, why), at)

    def context(
        self, query: str, tokens: int = 1000, *, source: str = "", at: str | None = None
    ) -> list[dict[str, Any]]:
        """The best text for so many tokens, for whoever writes an answer: see `search.context`."""
        vector = self._vector(query)
        return self._look(lambda root: search.context(root, query, vector, tokens, search.Where(source)), at)

    def _vector(self, query: str) -> Any:
        return self.embedder.encode([query])[0] if self.embedder.semantic and query.strip() else None

    def _look(self, function: Callable[[Any], Any], at: str | None) -> Any:
        if at is None:
            return self._image.run("recall", function)
        return self._image.run_past(at, "recall", function, "owner", time.monotonic() + 60.0)

    # -- steps ---------------------------------------------------------------------------------------

    @property
    def _space(self) -> str | None:
        return self.embedder.name if self.embedder.semantic else None

    def _read(
        self, found: Iterable[tuple[str, Any]], skipped: list[dict[str, str]]
    ) -> Iterable[list[Document]]:
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

    def _cut(
        self, documents: Sequence[Document], step: Callable[[int], None] = lambda part: None
    ) -> list[tuple[list[Piece], Any]]:
        """The pieces of each document and their vectors; `step` is told how many bytes are done.

        The text is read twice.  First in windows as long as the embedder can read, which gives each
        sentence a vector that knows its surroundings: they show where the subject turns, and what is meant
        by "he" and "there".  Then piece by piece under its headings, which says what a piece is about on
        its own.  The vector of a piece is the mean of both; together they find more than either.
        """
        import numpy

        size = sum(each.size for each in documents)
        units = [split(each.text, each.kind, self.embedder.count) for each in documents]
        windows = [
            each for doc, found in zip(documents, units, strict=True) for each in _windows(doc.text, found)
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
        cut: Sequence[tuple[list[Piece], Any]],
        metadata: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """One turn: every document of the group with all its passages, or nothing of it."""

        def put(root: Any) -> list[dict[str, Any]]:
            return [
                catalog.index_document(
                    root,
                    document.source,
                    document.text,
                    pieces,
                    vectors,
                    {
                        "kind": document.kind,
                        "digest": document.digest,
                        "modified": document.modified,
                        "extracted": document.extracted,
                        "space": self._space,
                        **(metadata or {}),
                    },
                )
                for document, (pieces, vectors) in zip(documents, cut, strict=True)
            ]

        # No source is named: change records outlive what is forgotten.
        return self._image.run(f"remember {len(documents)} document{'s' * (len(documents) != 1)}", put)


def _windows(text: str, units: Sequence[Unit]) -> Iterator[tuple[str, list[str]]]:
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
    """Documents that are embedded and kept together: as many as fit in `BYTES_A_TURN`, one at least."""
    group: list[Document] = []
    for document in documents:
        if group and sum(each.size for each in group) + document.size > BYTES_A_TURN:
            yield group
            group = []
        group.append(document)
    if group:
        yield group
