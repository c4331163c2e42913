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
from batos.knowledge import catalog
from batos.knowledge.chunking import Piece, join, piece_vectors, split
from batos.knowledge.embedding import Embedder, LexicalEmbedder, embedder
from batos.knowledge.reading import Document, Unreadable, files, read

__all__ = ["Embedder", "LexicalEmbedder", "Memory", "Unreadable", "embedder"]

BYTES_A_TURN = 128 * 2**10  # some 400 passages: the image thread is free again after a tenth of a second
READ_AHEAD = 4 * 2**20  # bytes of files held at once while asking which of them are new
TEXTS_A_STEP = 512  # embedded between two reports of progress
SURE = 0.75  # a score by words alone that is not worth waiting for the embedder
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

    def forget(self, source: str | Path) -> dict[str, int]:
        """Take a document out of the image, or every document under a folder.

        Answers ``{"documents", "chunks"}``; `NoSuchObject` where nothing is remembered from there.
        """
        named = [str(source), os.path.abspath(source)]

        def which(root: Any) -> list[str]:
            for name in named:
                if name in catalog.sources(root, name):
                    return [name]
            return catalog.sources(root, named[1].rstrip(os.sep) + os.sep)

        going = self._image.run(f"look for {source}", which)
        if not going:
            raise NoSuchObject(
                f"nothing is remembered from {named[1]}",
                hint="see what is: send knowledge_catalog_obj sources",
            )
        chunks = 0
        for each in going:
            chunks += self._image.run(
                f"forget {each}", lambda root, each=each: catalog.unindex_document(root, each)
            )
        return {"documents": len(going), "chunks": chunks}

    # -- taking out --------------------------------------------------------------------------------

    def recall(self, query: str, top: int = 5, wait: float | None = 60.0) -> list[dict[str, Any]]:
        """The passages that answer a question best: ``{"text", "source", "start", "end", "score"}``.

        Until the embedder is loaded a question is answered by its words, if that answer is sure;
        otherwise the embedder is waited for up to `wait` seconds (None: as long as it takes).  Nothing
        that answers gives an empty list.
        """
        if not isinstance(query, str) or isinstance(top, bool) or not isinstance(top, int) or top < 1:
            raise BadRequest(
                "recall wants a question and a number of answers above 0", hint="recall QUESTION --top 5"
            )
        top = min(top, MOST)

        def look(vector: Any = None) -> list[dict[str, Any]]:
            return self._image.run("recall", lambda root: catalog.search(root, query, vector, top))

        if not self.embedder.semantic or not query.strip():
            return look()
        if not self.embedder.loaded:
            if not self._image.run("recall", lambda root: bool(catalog.sources(root))):
                return []
            self.embedder.wait(0)
            found = look()
            if (found and found[0]["score"] >= SURE) or not self.embedder.wait(wait):
                return found
        return look(self.embedder.encode([query])[0])

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

        The vector of a passage is the mean of two: its sentences' and its own.  The first knows each
        fact in it, the second what it is about; together they find more than either.
        """
        import numpy

        size = sum(each.size for each in documents)
        units = [split(each.text, each.kind, self.embedder.count) for each in documents]
        texts = [
            doc.text[u.start : u.end] for doc, found in zip(documents, units, strict=True) for u in found
        ]
        parts = []
        for at in range(0, len(texts), TEXTS_A_STEP):
            parts.append(self.embedder.encode(texts[at : at + TEXTS_A_STEP]))
            step(size // 2 * min(at + TEXTS_A_STEP, len(texts)) // len(texts))
        ends = numpy.cumsum([len(found) for found in units])
        vectors = numpy.split(numpy.concatenate(parts), ends[:-1]) if parts else [None] * len(documents)
        pieces = [join(found, their) for found, their in zip(units, vectors, strict=True)]
        if not self.embedder.semantic:
            return [(each, None) for each in pieces]
        kept = [
            piece_vectors(each, found, their) if each else None
            for each, found, their in zip(pieces, units, vectors, strict=True)
        ]
        # A passage of one unit has its own vector already.
        wide = [(n, k) for n, each in enumerate(pieces) for k, p in enumerate(each) if p.last - p.first > 1]
        for at in range(0, len(wide), TEXTS_A_STEP):
            some = wide[at : at + TEXTS_A_STEP]
            own = self.embedder.encode(
                [documents[n].text[pieces[n][k].start : pieces[n][k].end] for n, k in some]
            )
            for (n, k), vector in zip(some, own, strict=True):
                both = kept[n][k] + vector
                kept[n][k] = both / max(float(numpy.linalg.norm(both)), 1e-9)
            step(size // 2 + size // 2 * min(at + TEXTS_A_STEP, len(wide)) // len(wide))
        return list(zip(pieces, kept, strict=True))

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

        names = [document.source for document in documents]
        return self._image.run(
            f"remember {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else ""), put
        )


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
