"""Fractal memory: documents in, passages out, each with the place it came from.

`Memory` is the door.  How files come in is `ingestion`, which files are text `reading`; how a text is cut is
`structure`, `sentences` and `chunking`, what vectors are `embedding`; what the image keeps is `catalog`, and
what is found in it `search`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from batos.errors import BadRequest
from batos.knowledge import catalog, itself, search
from batos.knowledge.embedding import Embedder, LexicalEmbedder, embedder
from batos.knowledge.ingestion import Ingestion
from batos.knowledge.pointing import BESIDE, pointed
from batos.knowledge.reading import Unreadable

__all__ = ["Embedder", "LexicalEmbedder", "Memory", "Unreadable", "embedder"]

MOST = 1000  # answers to one question
ANSWER = ("text", "source", "start", "end", "score")


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
        source = f"{itself.FACTS}{about}/{time.time_ns() // 1000}"
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

    def forget(self, source: str | Path) -> dict[str, Any]:
        """Take a document out of the image, or every document under a folder.

        Answers ``{"documents", "chunks", "sources"}``; `NoSuchObject` where nothing is remembered from there.
        """
        named = [str(source), os.path.abspath(source)]
        meant = named[0] if named[0].startswith(itself.NO_FILES) else named[1]

        def which(root: Any) -> list[str]:
            for name in named:
                if name in catalog.sources(root, name) or name in catalog.unfinished(root, name):
                    return [name]
            under = meant.rstrip(os.sep) + os.sep
            return sorted({*catalog.sources(root, under), *catalog.unfinished(root, under)})

        going = self._image.run(f"look for {source}", which)
        if not going:
            raise catalog.nothing_from(meant)
        chunks = 0
        for each in going:
            self._hand_over(each)
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
        least: float = search.FLOOR,
    ) -> list[dict[str, Any]]:
        """What answers a question, best first: ``{"text", "source", "start", "end", "score"}`` of passages,
        long ones without what is far from the question (`pointing`).

        Of `source` or those under it, of a kind or a persona, remembered `since` or `until` (seconds
        since the epoch); `at` a transaction: what was known then; `why` adds what made each an answer;
        `exact` cuts each down to the sentence or few that answer; `least` is what the best must be worth, 0
        to rank whatever there is.  Nothing that answers gives an empty list.
        """
        _check(query, top, "recall wants a question and a number of answers above 0", "--top 5")
        _check_least(least)
        top = min(top, MOST)
        where = search.Where(source, kind, persona, since, until)
        vector = self._vector(query)
        closely = exact or vector is not None  # without meaning a sentence knows no more than its passage
        many = top + BESIDE * closely
        found = self._look(lambda root: search.search(root, query, vector, many, where, True, least), at)
        if closely:
            found = pointed(self.embedder, query, found, top, exact)
        return found if why else [{name: each[name] for name in ANSWER} for each in found]

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
        least: float = search.FLOOR,
        but: str = "",
    ) -> list[dict[str, Any]]:
        """The best text for so many tokens, for whoever writes an answer: see `search.context`, and `recall`
        for the rest; nothing of sources that start like `but`."""
        _check(query, tokens, "context wants a question and a number of tokens above 0", "--tokens 500")
        _check_least(least)
        vector = self._vector(query)
        where = search.Where(source, kind, persona, since, until, but)
        judged: dict[str, float] = {}
        if vector is not None:
            found = self._look(
                lambda root: search.search(root, query, vector, 5 + BESIDE, where, True, least), at
            )
            judged = {
                each["oid"]: each["score"] for each in pointed(self.embedder, query, found, exact=False)
            }
        return self._look(lambda root: search.context(root, query, vector, tokens, where, least, judged), at)

    def alike(
        self, source: str, place: int = 0, top: int = 5, *, at: str | None = None
    ) -> list[dict[str, Any]]:
        """The passages most like the one that stands at `place` of a source, as of `recall`.

        Raises `NoSuchObject` where nothing is remembered from there.
        """
        if not isinstance(source, str) or not all(type(each) is int and each >= 0 for each in (place, top)):
            raise BadRequest(
                "alike wants a source, a place in it and a number of answers",
                hint="recall --like PATH:OFFSET",
            )

        def look(root: Any) -> list[dict[str, Any]] | None:
            found = search.passage_at(root, source, place)
            return None if found is None else search.told_alike(root, found, min(top, MOST))

        found = self._look(look, at)
        if found is None:
            raise catalog.nothing_from(source)
        return found

    def _vector(self, query: str) -> Any:
        """What a question means; None where words are all there is to go by."""
        with suppress(RuntimeError):  # it cannot be loaded: words find something too
            if self.embedder.semantic and self.embedder.knows(query):
                return self.embedder.encode([query])[0]
        return None

    def _look(self, function: Callable[[Any], Any], at: str | None) -> Any:
        if at is None:
            return self._image.run("recall", function)
        return self._image.run_past(at, "recall", function, "owner", time.monotonic() + 60.0)


def _check(query: Any, number: Any, wanted: str, flag: str) -> None:
    if not isinstance(query, str) or isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise BadRequest(wanted, hint=f"recall QUESTION {flag}")


def _check_least(least: Any) -> None:
    if not isinstance(least, int | float) or not 0 <= least <= 1:
        raise BadRequest("`least` is a number between 0 and 1", hint="send kernel recall QUESTION -k least=0")
