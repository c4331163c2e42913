"""Fractal memory: documents in, passages out, each with the place it came from.

`Memory` is the door.  How files come in is `ingestion`, which files are text `reading`; how a text is cut is
`structure`, `sentences` and `chunking`, what vectors are `embedding`; what the image keeps is `catalog`, and
what is found in it `search`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from batos.errors import BadRequest, NoSuchObject
from batos.knowledge import catalog, itself, search
from batos.knowledge.embedding import Embedder, LexicalEmbedder, embedder
from batos.knowledge.ingestion import Ingestion
from batos.knowledge.pointing import pointed
from batos.knowledge.reading import Unreadable

__all__ = ["Embedder", "LexicalEmbedder", "Memory", "Unreadable", "embedder"]

MOST = 1000  # answers to one question


class Memory(Ingestion):
    """What an image remembers: `remember` and the other ways in, `forget`, `recall` and the other ways out.

    Its methods may be called from any thread but the image's own.
    """

    # -- putting in --------------------------------------------------------------------------------

    def learn(self, fact: str, about: str) -> dict[str, Any]:
        """Put a fact, a sentence or two, in place of what was known before about the same.

        Both are kept and dated; the newer one wins, and the older one holds again where the newer one is
        forgotten.
        """
        if not all(isinstance(each, str) and each.strip() for each in (fact, about)):
            raise BadRequest(
                "learn wants a fact and what it is about, both as text",
                hint='send kernel learn "The baker is called Udo." "baker"',
            )
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
                if name in catalog.sources(root, name) or name in catalog.unfinished(root, name):
                    return [name]
            folder = named[0] if named[0].startswith(itself.SCHEME) else named[1]
            under = folder.rstrip(os.sep) + os.sep
            return sorted({*catalog.sources(root, under), *catalog.unfinished(root, under)})

        going = self._image.run(f"look for {source}", which)
        if not going:
            raise NoSuchObject(
                f"nothing is remembered from {named[0] if named[0].startswith(itself.SCHEME) else named[1]}",
                hint="see what is: send knowledge_catalog_obj sources",
            )
        chunks = 0
        for each in going:
            chunks += self._unrecorded(
                "forget a document", lambda root, each=each: catalog.unindex_document(root, each)
            )
        self._sweep()
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
        exact: bool = False,
    ) -> list[dict[str, Any]]:
        """The passages that answer a question best: ``{"text", "source", "start", "end", "score"}``.

        Of sources that start with `source`, of a kind or a persona, remembered `since` or `until` (seconds
        since the epoch); `at` a transaction: what was known then; `why` adds what made each an answer; `exact`
        cuts each down to the sentences that answer, and leaves out what is far behind the best.
        Nothing that answers gives an empty list.
        """
        if not isinstance(query, str) or isinstance(top, bool) or not isinstance(top, int) or top < 1:
            raise BadRequest(
                "recall wants a question and a number of answers above 0", hint="recall QUESTION --top 5"
            )
        top = min(top, MOST)
        where = search.Where(source, kind, persona, since, until)
        vector = self._vector(query)
        found = self._look(lambda root: search.search(root, query, vector, top, where, why), at)
        return pointed(self.embedder, query, found) if exact else found

    def context(
        self,
        query: str,
        tokens: int = 1000,
        *,
        source: str = "",
        kind: str | None = None,
        persona: str | None = None,
        since: float | None = None,
        until: float | None = None,
        at: str | None = None,
    ) -> list[dict[str, Any]]:
        """The best text for so many tokens, for whoever writes an answer: see `search.context`, and `recall`
        for the rest."""
        if (
            not isinstance(query, str)
            or isinstance(tokens, bool)
            or not isinstance(tokens, int)
            or tokens < 1
        ):
            raise BadRequest(
                "context wants a question and a number of tokens above 0", hint="recall QUESTION --tokens 500"
            )
        vector = self._vector(query)
        where = search.Where(source, kind, persona, since, until)
        return self._look(lambda root: search.context(root, query, vector, tokens, where), at)

    def alike(
        self, source: str, place: int = 0, top: int = 5, *, at: str | None = None
    ) -> list[dict[str, Any]]:
        """The passages most like the one that stands at `place` of a source, as of `recall`.

        Raises `NoSuchObject` where nothing is remembered from there.
        """
        if not isinstance(source, str) or not all(type(each) is int and each >= 0 for each in (place, top)):
            raise BadRequest(
                "alike wants a source, a place in it and a number of answers", hint="recall --like PATH:OFFSET"
            )

        def look(root: Any) -> list[dict[str, Any]] | None:
            found = search.passage_at(root, source, place)
            return None if found is None else search.told_alike(root, found, min(top, MOST))

        found = self._look(look, at)
        if found is None:
            raise NoSuchObject(
                f"nothing is remembered from {source}", hint="see what is: send knowledge_catalog_obj sources"
            )
        return found

    def _vector(self, query: str) -> Any:
        return self.embedder.encode([query])[0] if self.embedder.semantic and query.strip() else None

    def _look(self, function: Callable[[Any], Any], at: str | None) -> Any:
        if at is None:
            return self._image.run("recall", function)
        return self._image.run_past(at, "recall", function, "owner", time.monotonic() + 60.0)
