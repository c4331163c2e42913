"""Words as the text index counts them: found, folded, stemmed, and without those that say nothing.

The same road for what is indexed and for what is asked, so the two always meet.  The class names are
kept in the image (the lexicon is persistent): rename them only with an alias.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator, Sequence

from zope.index.text.lexicon import Lexicon

STOP_WORDS = frozenset(
    "a about after all also am an and any are as at be because been before being but by can could did do "
    "does doing for from had has have having he her here hers him his how i if in into is it its just me my "
    "no nor not of on or our ours over please she should so some such than that the their them then there "
    "these they this those through to too under until up very was we were what when where which while who "
    "whom whose why will with would you your yours s t d ll re ve m".split()
)

_WORD = re.compile(r"\w+|[\u2600-\u27bf\U0001f300-\U0001faff]")  # a pictogram is a word
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\dA-Za-z_]+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f]+")
_ACCENT = re.compile(r"[\u0300-\u036f]")
_LONGEST = 64  # a longer run of letters is data, not a word; its start is enough to find it again


class Words(Lexicon):
    """A lexicon that finds words in any script and can forget those nobody uses any more.

    Its numbers count up, so that the words of one document stand together in its trees.
    """

    def __init__(self):
        super().__init__(WordFinder())

    def numbers(self, texts: Sequence[str]) -> list[list[int]]:
        """The numbers of the words of each text, in their order; a word that is new here gets one."""
        known: dict[str, int] = {}
        found = []
        for text in texts:
            here = []
            for word in _words(text):
                wid = known.get(word)
                if wid is None:
                    wid = known[word] = self._getWordIdCreate(word)
                here.append(wid)
            found.append(here)
        return found

    def parse(self, text: str) -> list[str]:
        """The words of a text as they are indexed, in their order."""
        return list(_words(text))

    def forget(self, wid: int) -> None:
        """Remove a word, so that a forgotten text leaves none of its words behind."""
        word = self._words.pop(wid, None)
        if word is not None:
            del self._wids[word]


class WordFinder:
    """The one element of the lexicon's pipeline: texts in, stems out."""

    def process(self, texts: Sequence[str]) -> list[str]:
        return [word for text in texts for word in _words(text)]

    def processGlob(self, texts: Sequence[str]) -> list[str]:  # noqa: N802 - zope's name
        """A pattern with * or ? is looked up as it is written, in small letters."""
        return [text.lower() for text in texts]


def _words(text: str) -> Iterator[str]:
    for match in _WORD.findall(text):
        yield from _stems(match) if len(match) <= _LONGEST else _stemmed(match)


def _stemmed(match: str) -> tuple[str, ...]:
    return tuple(stem(word) for word in _found(match) if word not in STOP_WORDS)


_stems = functools.lru_cache(maxsize=100_000)(_stemmed)


def _found(match: str) -> Iterator[str]:
    """The words of a run of letters, folded: an identifier also by its parts, unspaced scripts in pairs of
    letters."""
    word = match[:_LONGEST]
    if word.isascii():
        folded = word.lower()
        yield folded
        if folded != word[:1].lower() + word[1:] or "_" in word:
            parts = [part.lower() for part in _PART.findall(word)]
            if len(parts) > 1:
                yield from parts
    else:
        folded = _ACCENT.sub("", unicodedata.normalize("NFKD", match.casefold()))[:_LONGEST]
        if _UNSPACED.search(folded):
            for run in _UNSPACED.findall(match):
                yield from (run[i : i + 2] for i in range(max(1, len(run) - 1)))
            yield from _UNSPACED.sub(" ", folded).split()
        else:
            yield folded


_ENDINGS = (
    ("ational", 3, "ate"), ("ization", 3, "ize"), ("ations", 3, "ate"), ("ation", 3, "ate"),
    ("nesses", 3, ""), ("ments", 4, ""), ("ences", 5, ""), ("ances", 5, ""), ("ness", 3, ""), ("ment", 4, ""),
    ("ence", 5, ""), ("ance", 5, ""), ("ents", 5, ""), ("ants", 5, ""), ("ible", 4, ""), ("able", 4, ""),
    ("ings", 3, ""), ("ions", 4, ""), ("ing", 3, ""), ("ion", 4, ""), ("ent", 5, ""), ("ant", 5, ""),
    ("ers", 4, ""), ("ors", 5, ""), ("ely", 4, ""), ("ies", 2, "y"), ("ied", 2, "y"), ("ed", 3, ""),
    ("er", 4, ""), ("or", 5, ""), ("ly", 4, ""), ("es", 3, "e"),
)  # fmt: skip
_VOWEL = re.compile(r"[aeiouy]")


@functools.lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """What a word has in common with its other forms; a stem is its own stem.

    >>> [stem(word) for word in "store stored storing stores delegation delegates persistence".split()]
    ['stor', 'stor', 'stor', 'stor', 'delegat', 'delegat', 'persist']
    """
    if not word.isascii() or not word.isalpha():
        return word
    while (shorter := _shortened(word)) != word:
        word = shorter
    return word


def _shortened(word: str) -> str:
    if len(word) <= 3:
        return word
    for ending, least, instead in _ENDINGS:
        left = len(word) - len(ending)
        if left >= least and word.endswith(ending) and (instead or _VOWEL.search(word, 0, left)):
            word = word[:left]
            if not instead and len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]  # running, stopped
            return word + instead
    if word[-1] == "s" and word[-2] not in "sui":
        return word[:-1]
    if word[-1] == "e" and _VOWEL.search(word, 0, len(word) - 1):
        return word[:-1]
    if word[-1] == "y" and word[-2] not in "aeiou":
        return word[:-1] + "i"
    return word
