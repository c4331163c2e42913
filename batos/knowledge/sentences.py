"""Sentences: where one ends, in any script, with or without punctuation, on wrapped lines and broken ones."""

from __future__ import annotations

import re
from itertools import pairwise

from batos.knowledge.structure import Span, lines_of

# A full stop after these never ends a sentence, in any case of letters.
_TITLES = frozenset(
    "mr mrs ms dr prof rev hon st sen rep gov gen col lt capt sgt cmdr adm fr sr sra mme mlle "
    "vs e.g i.e cf viz al approx resp incl esp ca bzw z.b d.h usw".split()
)
# After these only a number continues the sentence ("Fig. 3", "No. 5", "Jan. 4").
_BEFORE_NUMBERS = frozenset(
    "fig figs no nos vol sec eq eqs ch p pp art par app ref jan feb mar apr jun jul aug sep sept oct "
    "nov dec nr abs s".split()
)
# A word that opens a sentence far more often than it follows an initial or an acronym.
_STARTERS = frozenset(
    "the a an in it he she we they this that these those then but and or so i you if when there however "
    "for as at on his her its my our their to with after before while what who how why no not".split()
)
_STOP = re.compile(  # begins with one set of letters, which the regular expression engine looks for quickly
    r"[.!?…‽؟۔।॥。！？｡\r\n](?:"
    r"(?<=[.!?…‽؟۔।॥])(?<![.!?…‽؟۔।॥]{2})[.!?…‽؟۔।॥]*+[\"'”’»)\]}*_`]*+(?=\s|\Z)"
    r"|(?<=[。！？｡])[。！？｡]*+[」』”’）】》〉\"')]*+"
    r"|(?<=\r)\n?+|(?<=\n))"
)
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘«]+\Z")
_NEXT_WORD = re.compile(r"\s*[\"'“‘«(\[{¿¡*_`]*(\w+|\S)?")
_LOWER_STYLE = re.compile(r"[.!?](?<=\w\w\w.)\s++(?:([a-z])|[A-Z])")
_RUNAWAY = 600  # characters after which a lower-case line start is taken for a new sentence after all


def sentences(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """The sentences of ``text[start:end]`` as spans without the white space around them.

    A full stop ends one unless what stands before it is an abbreviation or an initial, or what comes
    after goes on in lower case.  A line break ends one where the writer broke the line on purpose: the
    next word would still have fitted, and it does not start in lower case.

    >>> [text[a:b] for text in ["Dr. Ada paid 3.50 for tea. Why not? 好。行。"] for a, b in sentences(text)]
    ['Dr. Ada paid 3.50 for tea.', 'Why not?', '好。', '行。']
    """
    end = len(text) if end is None else end
    spans: list[Span] = []
    begun = line = start
    width: float | None = None
    styles = _LOWER_STYLE.findall(text, start, min(end, start + 50_000))
    lower_style = len(styles) >= 3 and sum(map(bool, styles)) > len(styles) / 2
    for stop in _STOP.finditer(text, start, end):
        at, after = stop.span()
        mark = text[at]
        if mark in "\r\n":
            if width is None:
                width = _wrap_width(text, start, end)
            ends = _breaks_here(text, begun, line, at, after, width)
            line = after
        else:
            ends = mark in "。！？｡" or _stops_here(text, begun, at, after, lower_style)
        if ends:
            spans.append((begun, after))
            begun = after
    spans.append((begun, end))
    return [span for span in (trimmed(text, a, b) for a, b in spans) if span[0] < span[1]]


def _stops_here(text: str, begun: int, at: int, after: int, lower_style: bool) -> bool:
    """Does a sentence that began at `begun` end with the marks ``text[at:after]``?"""
    following = _NEXT_WORD.match(text, after, after + 80)
    following_word = (following.group(1) or "") if following else ""
    if not following_word:
        return True
    if following_word[0].islower() and not lower_style:
        return False
    if text[at] != "." or text[at : at + 2] == "..":
        return True
    before = _LAST_WORD.search(text[max(begun, at - 24) : at])
    word = before.group() if before else ""
    if word.lower() in _TITLES:
        return False
    if word.lower() in _BEFORE_NUMBERS and following_word[0].isdigit():
        return False
    if word.isdigit() and not text[begun : at - len(word)].strip():
        return False  # "1. First of all"
    if (len(word) == 1 and word.isupper() or re.fullmatch(r"(?:[A-Z]\.)+[A-Z]", word)) and word != "I":
        return following_word.lower() in _STARTERS
    return True


def _wrap_width(text: str, start: int, end: int) -> float:
    """The width the lines of a paragraph were wrapped at; infinite where the writer broke most of them.

    A wrapped line ends because the next word did not fit any more.
    """
    told = text[start:end]
    lines = told.split("\n") if "\r" not in told else [told[a:b] for a, b in lines_of(told)]
    width = max(map(len, lines), default=0)
    fitting = 0
    for line, after in pairwise(lines):
        if len(line) < width:
            word = after.split(None, 1)
            fitting += len(line) + 1 + (len(word[0]) if word else 0) <= width
    return float("inf") if fitting > (len(lines) - 1) / 2 else width


def _breaks_here(text: str, begun: int, line: int, at: int, after: int, width: float) -> bool:
    following = _NEXT_WORD.match(text, after, after + 80)
    word = (following.group(1) or "") if following else ""
    if not word:
        return True
    if word[0].islower() and after - begun < _RUNAWAY:
        return False
    return at - line + 1 + len(word) <= width


_SPACE = " \t\r\n\f\v\u00a0\u2028\u2029\ufeff\x00\u3000"


def trimmed(text: str, start: int, end: int) -> Span:
    """A span without the white space at its ends."""
    while start < end and text[start] in _SPACE:
        start += 1
    while end > start and text[end - 1] in _SPACE:
        end -= 1
    return start, end
