"""From passages to the sentences that answer, in their own words and with their own place.

Owned here: which sentences of the passages found are pointed at.  A passage is what a reader wants to see;
whoever quotes wants the sentence.  The price is one more pass of the embedder over the sentences of a handful
of passages.

Which passage answers is `search`'s judgement, which knows headings and neighbours; here it is only which part
of it.  A sentence that stands behind a question is found by what was asked, like a passage behind one, and a
question answers nobody: it is quoted only where nothing else is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from batos.knowledge.chunking import sentences
from batos.knowledge.search import ANSWERS
from batos.knowledge.shelf import asks

# Chosen on the tuning halves of scripts/knowledge_sets.
ALSO = 0.8  # a sentence beside the best of its passage is quoted with it from this share of its worth
NEAR = 0.7  # a passage that is worth less than this share of the best says nothing
ASKING = 0.5  # the worth of a sentence that asks
APART = 2  # characters between two passages that follow each other


def pointed(embedder: Any, question: str, passages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The passages of `search`, each cut down to what answers, best first; those far behind are left out.

    ``{"text", "source", "start", "end", "score"}`` of one sentence, or of a few that follow each other;
    `text` is what stands there.  Never empty where there are passages.
    """
    parts = [sentences(each["text"]) or [(0, len(each["text"]))] for each in passages]
    texts = [each["text"][a:b] for each, spans in zip(passages, parts, strict=True) for a, b in spans]
    if not texts:
        return []
    vectors = embedder.encode([question, *texts])
    cosines = iter((vectors[1:] @ vectors[0]).clip(0.0, 1.0).tolist())
    worth = [[next(cosines) for _ in spans] for spans in parts]
    found: list[dict[str, Any]] = []
    asked, reached = 0.0, ("", 0)  # by the sentence before, and where that one ended
    for at in sorted(range(len(passages)), key=lambda at: (passages[at]["source"], passages[at]["start"])):
        each, spans = passages[at], parts[at]
        if not (reached[0] == each["source"] and each["start"] - reached[1] <= APART):
            asked = 0.0
        here, answers = [], False
        for (start, end), own in zip(spans, worth[at], strict=True):
            asking = asks(each["text"][start:end])
            here.append(own * (ASKING if asking else 1.0) + ANSWERS * asked)
            asked = own if asking else 0.0
            answers = answers or not asking
        reached = (each["source"], each["end"])
        first = last = max(range(len(here)), key=here.__getitem__)
        least = ALSO * here[first]
        while first > 0 and here[first - 1] >= least:
            first -= 1
        while last < len(here) - 1 and here[last + 1] >= least:
            last += 1
        start, end = spans[first][0], spans[last][1]
        found.append({
            **each,
            "text": each["text"][start:end],
            "start": each["start"] + start,
            "end": each["start"] + end,
            "score": round(each["score"] * (1.0 if answers else ASKING), 4),
        })  # fmt: skip
    found.sort(key=lambda each: -each["score"])
    return [each for each in found if each["score"] >= NEAR * found[0]["score"]]
