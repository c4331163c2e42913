"""The last look at the best passages, sentence by sentence: which comes first, and which part of it answers.

Owned here: what the sentences of found passages are worth, and what follows from it: their order, where the
answers end, and how much of each is shown.  The vector of a passage is the mean of all it says, so a list of
ten things is near to no question about one of them; its sentences are, read under their headings.  On the
tuning halves of scripts/knowledge_sets the first answer holds the evidence in 67 instead of 57 of 100
questions (reports) and in 34 instead of 33 (docstrings), and twice as much of what is shown is evidence.  The
price is one more pass of the embedder, over `READ` tokens at most; what stands behind those stays as `search`
has it.

Turns of a conversation keep the worth `search` gave them, which knows what was said before: "In May", on its
own, is near to nothing.  A sentence that stands behind a question is found by what was asked, like a passage
behind one, and a question answers nobody: it is quoted only where nothing else is there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import Any

from batos.knowledge.search import ANSWERS
from batos.knowledge.sentences import sentences
from batos.knowledge.shelf import asks
from batos.knowledge.words import WordFinder

# Chosen on the tuning halves of scripts/knowledge_sets.
BESIDE = 5  # passages beyond those wanted that may come to the front by a sentence
READ = 590  # tokens of question and sentences: numpy embeds as many before torch is there (`embedding`)
ENDS = 2  # tokens that the embedder puts around a text
CLOSELY = 0.5  # what the best sentence of a passage counts beside the passage
SAID = 0.3  # what the question's words count where a passage is cut; its place they have decided already
NEAR = 0.75  # the share of the best that the others reach where five are wanted; of more it is less
GLANCE = 160  # characters up to which a passage is shown whole
ALSO = 0.5  # a sentence beside the best of its passage is shown with it from this share of its worth ...
QUOTED = 0.8  # ... and quoted with it from this one
ASKING = 0.5  # the worth of a sentence that asks
_LINES = re.compile(r"^[ \t]*(?:```|~~~|\|)", re.MULTILINE)
APART = 2  # characters between two passages that follow each other


def pointed(
    embedder: Any, question: str, passages: Sequence[dict[str, Any]], top: int = 5, exact: bool = True
) -> list[dict[str, Any]]:
    """The best `top` of the passages of `search`, each without what is far from the question; those far
    behind the best are left out.  Never empty where there are passages.

    A long passage is cut down to the sentences around its best one, with `exact` every passage, down to the
    one or few that answer: `text` is always what stands there.  Passages told without "why" keep their order.
    """
    found, rest = [], []
    for each, read in zip(passages, _read(embedder, question, passages), strict=True):
        if read is None:
            rest.append(each)
            continue
        spans, worth, answers = read
        score = each["score"]
        if each.get("kind", "chat") != "chat":
            score = (score + CLOSELY * max(worth)) / (1 + CLOSELY)
            each = each | {"sentence": round(max(worth), 4)}
        if exact and not answers:
            score *= ASKING
        if exact or not _is_whole(each):
            worded = [a + SAID * b for a, b in zip(worth, _said(question, each["text"], spans), strict=True)]
            each = _cut(each, spans, worded, QUOTED if exact else ALSO)
        found.append(each | {"score": round(score, 4)})
    found.sort(key=lambda each: -each["score"])
    for each in rest:
        found.append(each | {"score": min(each["score"], found[-1]["score"])})
    least = NEAR * min(1.0, 5 / top) * found[0]["score"] if found else 0.0
    # What a newer fact has replaced stands behind it, and is told all the same.
    return [each for each in found[:top] if each["score"] >= least or each.get("superseded_by")]


_Read = tuple[list[tuple[int, int]], list[float], bool]


def _read(embedder: Any, question: str, passages: Sequence[dict[str, Any]]) -> list[_Read | None]:
    """(the sentences of each passage, what each of them is worth, whether any of them says something instead
    of asking); None for passages behind `READ`."""
    parts = [sentences(each["text"]) or [(0, len(each["text"]))] for each in passages]
    texts = [
        [f"{each.get('section') or ''}\n{each['text'][a:b]}".lstrip("\n") for a, b in spans]
        for each, spans in zip(passages, parts, strict=True)
    ]
    sizes = iter(embedder.count([question, *chain(*texts)]))
    left = READ - next(sizes)
    some = 0
    for each in texts:
        left -= sum(next(sizes) + ENDS for _ in each)
        if some and left < 0:
            break
        some += 1
    if not some:
        return []
    del parts[some:], texts[some:]
    vectors = embedder.encode([question, *chain(*texts)])
    cosines = iter((vectors[1:] @ vectors[0]).clip(0.0, 1.0).tolist())
    own = [[next(cosines) for _ in spans] for spans in parts]
    found: list[_Read | None] = [None] * len(passages)
    asked, reached = 0.0, ("", 0)  # by the sentence before, and where that one ended
    for at in sorted(range(some), key=lambda at: (passages[at]["source"], passages[at]["start"])):
        each, spans = passages[at], parts[at]
        if not (reached[0] == each["source"] and each["start"] - reached[1] <= APART):
            asked = 0.0
        worth, answers = [], False
        for (start, end), near in zip(spans, own[at], strict=True):
            asking = asks(each["text"][start:end])
            worth.append(min(1.0, near * (ASKING if asking else 1.0) + ANSWERS * asked))
            asked = near if asking else 0.0
            answers = answers or not asking
        reached = (each["source"], each["end"])
        found[at] = spans, worth, answers
    return found


def _is_whole(passage: dict[str, Any]) -> bool:
    """Whether a passage is shown as it is: read at a glance, or code or a table, of which a line says little
    without the others."""
    text = passage["text"]
    return len(text) <= GLANCE or passage.get("kind") in ("python", "code") or _LINES.search(text) is not None


def _said(question: str, text: str, spans: Sequence[tuple[int, int]]) -> list[float]:
    """The share of a question's words that stand in each sentence; none in one that asks itself."""
    asked = set(WordFinder().process([question]))
    said = [
        set() if asks(text[a:b]) else asked.intersection(WordFinder().process([text[a:b]])) for a, b in spans
    ]
    return [len(each) / max(1, len(asked)) for each in said]


def _cut(
    passage: dict[str, Any], spans: Sequence[tuple[int, int]], worth: Sequence[float], also: float
) -> dict[str, Any]:
    """A passage down to its best sentence and those next to it that are worth `also` as much."""
    first = last = max(range(len(worth)), key=worth.__getitem__)
    least = also * worth[first]
    while first > 0 and worth[first - 1] >= least:
        first -= 1
    while last < len(worth) - 1 and worth[last + 1] >= least:
        last += 1
    start, end = spans[first][0], spans[last][1]
    here = {"start": passage["start"] + start, "end": passage["start"] + end}
    return passage | {"text": passage["text"][start:end]} | here
