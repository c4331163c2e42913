"""Text into passages: where a text may be cut, and where it is best cut.

Owned here: the units of a text, and the choice among the possible cuts between them.  Its structure is
`structure`'s business, its sentences `sentences`', reading files `reading`'s; vectors come from `embedding`,
storing is `catalog`'s.

Two steps, because the embedder runs once and in between:

    units  = split(text, kind, count)          the smallest parts worth a vector: a sentence, a list,
                                               a table, a function; none above the limits below
    pieces = join(units, vectors)              neighbours put together into passages

Every unit and every piece is exactly ``text[start:end]``.  Both steps take time linear in the text.
What is decided, and its price:

- A piece aims at `TARGET` tokens.  At an equal budget of retrieved text small pieces win over every
  semantic splitter measured so far, so meaning decides *where* to cut, never how much to keep.  On the
  tuning halves of scripts/knowledge_sets 28 tokens find 10 points more than 80, and a strong seam between
  paragraphs 4 to 7 more than a weak one; valleys in meaning are worth no more than a point either way.
  The price is three times as many passages as of 80.
- A heading is a wall: no piece reaches across one.  A list, table, fence or definition is a seam: it is
  never torn unless it is larger than a piece may be, and then its parts hold nothing else; tiny ones
  may share a piece with the sentence that introduces them, which is what a reader wants to find.
- Where sentences follow each other, the cut falls into valleys of the cosine between neighbours
  (the depth score of Hearst's TextTiling, 1997), chosen over a whole run by dynamic programming.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from batos.knowledge.sentences import sentences, trimmed
from batos.knowledge.structure import PARAGRAPH, SAME, WALL, Span, Standing, blocks

TARGET = 28  # word pieces a passage aims at; see above
LIMIT = 200  # word pieces a passage may have; the embedder cuts silently at 254
MAX_CHARS = 2000  # a passage is something one reads at a glance; the contract promises it

Counter = Callable[[Sequence[str]], list[int]]


class Unit(NamedTuple):
    """The smallest part, which is never cut again.

    kind     "sentence", "list", "table", "code", "turn" or "heading"
    seam     how good structure alone finds a cut in front of it: SAME inside a paragraph, PARAGRAPH
             between paragraphs, BLOCK around lists, tables, code and definitions, WALL for a cut that
             must be made
    section  the headings (or the definitions of a program) it stands under
    """

    start: int
    end: int
    tokens: int
    kind: str = "sentence"
    seam: int = 0
    section: tuple[str, ...] = ()


class Piece(NamedTuple):
    """A passage: ``text[start:end]``, made of ``units[first:last]``."""

    start: int
    end: int
    tokens: int
    first: int
    last: int
    section: tuple[str, ...] = ()


# ------------------------------------------------------------------------------------ units


def approximate_tokens(texts: Sequence[str]) -> list[int]:
    """A count for where no tokenizer is at hand: words, marks, and one more for every four letters beyond
    the first eight of a word; letters of scripts written without spaces count one each."""
    return [
        sum(1 + max(0, len(word) - 5) // 4 if word.isascii() else len(word) for word in _TOKEN.findall(text))
        for text in texts
    ]


_TOKEN = re.compile(r"\w+|[^\w\s]")


def split(
    text: str, kind: str = "markdown", count: Counter = approximate_tokens, standing: Standing | None = None
) -> list[Unit]:
    """The units of a text in order, none above `LIMIT` tokens or `MAX_CHARS` characters.

    kind is "markdown", "text", "chat", "python" or "code"; `count` counts the tokens of each text of a list;
    `standing` goes along from one stretch of a text to the next.
    """
    # A candidate is (span, kind, seam, section, parts); those that are too large become their parts,
    # and the parts that still are become sentences or, at last, windows.  Counting goes by the list
    # because a tokenizer is twenty times as fast on many texts at once.
    candidates: list[tuple[Span, str, int, tuple[str, ...], tuple[Span, ...]]] = []
    for block in blocks(text, kind, standing or Standing()):
        if block.kind == "prose":
            for number, span in enumerate(sentences(text, block.start, block.end)):
                seam = SAME if number else block.seam
                candidates.append((span, "sentence", seam, block.section, ()))
        else:
            span = trimmed(text, block.start, block.end)
            if span[0] < span[1]:
                candidates.append((span, block.kind, block.seam, block.section, block.parts))
    units: list[Unit] = []
    wall_next = False  # the parts of something too large share no piece with what follows it
    for candidate, tokens in zip(candidates, _counted(text, candidates, count), strict=True):
        span, what, seam, section, parts = candidate
        if wall_next:
            seam, wall_next = WALL, False
        if what == "heading" and units and units[-1].kind == "heading" and tokens <= LIMIT:
            seam = SAME  # a title and its first subtitle say one thing
        if tokens <= LIMIT and span[1] - span[0] <= MAX_CHARS:
            units.append(Unit(*span, tokens, what, seam, section))
            continue
        torn = what in ("list", "table", "code")
        if torn and not (units and units[-1].kind == "heading"):
            seam = WALL
        for number, (part, size, inner) in enumerate(_torn(text, span, what, parts, count)):
            units.append(Unit(*part, size, what, inner if number else seam, section))
        wall_next = torn
    return units


def _counted(text: str, candidates: Sequence[tuple[Any, ...]], count: Counter) -> list[int]:
    """Tokens of each candidate; what is too long to be kept whole is not counted."""
    small = [i for i, each in enumerate(candidates) if each[0][1] - each[0][0] <= MAX_CHARS]
    sizes = [LIMIT + 1] * len(candidates)
    for i, tokens in zip(small, count([text[slice(*candidates[i][0])] for i in small]), strict=True):
        sizes[i] = max(1, tokens)
    return sizes


def _torn(
    text: str, span: Span, kind: str, parts: Sequence[Span], count: Counter
) -> list[tuple[Span, int, int]]:
    """What is too large, cut at its own joints: items, rows, lines, sentences, and at last anywhere.

    Answers (span, tokens, seam); items, and lines after an empty one, are as paragraphs are in prose.
    """
    if parts:
        spans = [trimmed(text, *part) for part in parts]
    elif kind == "sentence":
        spans = _windows(text, span, 400)
    else:
        spans = sentences(text, *span)
    smaller = {"list": "item", "item": "sentence"}.get(kind, "sentence")
    candidates: list[tuple[Span, int]] = []
    seam = SAME
    for each in spans:
        if each[0] < each[1]:
            candidates.append((each, PARAGRAPH if kind == "list" else seam))
            seam = SAME
        else:
            seam = PARAGRAPH
    done: list[tuple[Span, int, int]] = []
    for (each, seam), tokens in zip(candidates, _counted(text, candidates, count), strict=True):
        if tokens <= LIMIT and each[1] - each[0] <= MAX_CHARS:
            done.append((each, tokens, seam))
            continue
        if each != span:
            inner = _torn(text, each, smaller, (), count)
        else:  # windows small enough whatever they hold: a character is a few word pieces at most
            crumbs = _windows(text, each, LIMIT // 4)
            sizes = count([text[slice(*crumb)] for crumb in crumbs])
            inner = [(crumb, max(1, size), SAME) for crumb, size in zip(crumbs, sizes, strict=True)]
        done.extend(
            (part, size, within if number else seam) for number, (part, size, within) in enumerate(inner)
        )
    return done


_JOINTS = (
    re.compile(r"[\r\n]"),
    re.compile(r"[;:,—–、，；：][)\]\"'”’]?(?=\s|[^\x00-\x7f])"),
    re.compile(r"\s"),
)


def _windows(text: str, span: Span, size: int) -> list[Span]:
    """Cut at most `size` characters at a time: behind a line break, a comma or a space of the second half
    of the window, in this order of preference, else between two characters that do not combine."""
    start, end = span
    done: list[Span] = []
    while end - start > size:
        cut = 0
        for joint in _JOINTS:
            for match in joint.finditer(text, start + size // 2, start + size):
                cut = match.end()
            if cut:
                break
        if not cut:
            cut = start + size
            while cut > start + size - 16 and (
                unicodedata.combining(text[cut]) or text[cut] in "\u200d\ufe0f\n"
            ):
                cut -= 1
        done.append(trimmed(text, start, cut))
        start = cut
    done.append(trimmed(text, start, end))
    return [each for each in done if each[0] < each[1]]


# ------------------------------------------------------------------------------------ pieces

# How much a cut is worth against a piece of the wrong size.  A larger share for valleys finds more
# changes of subject in joined texts, and no more answers at an equal budget.
_SEAM_GAIN = (0.0, 0.8, 0.8, 0.0)
_VALLEY_GAIN = 0.25
_AFTER_HEADING = -2.0


def depths(vectors: Any) -> Any:
    """The depth score of each of the n - 1 gaps between n vectors, (n, d) -> (n - 1,).

    The cosine of a gap is that of the two sentences before it with the two after it; one on each side is
    as likely to meet an aside as a change of subject (boundaries found on joined texts: 72 % with one,
    80 % with two).  The depth is how far the cosine climbs from there to the nearest peak on its left and
    on its right, so a valley is judged against its surroundings and not against the whole text.
    """
    import numpy

    before, after = vectors[:-1].copy(), vectors[1:].copy()
    before[1:] += vectors[:-2]
    after[:-1] += vectors[2:]
    lengths = numpy.linalg.norm(before, axis=1) * numpy.linalg.norm(after, axis=1)
    similar = numpy.einsum("ij,ij->i", before, after) / numpy.maximum(lengths, 1e-9)
    left, right = similar.copy(), similar.copy()
    for i in range(1, len(similar)):
        if similar[i - 1] >= similar[i]:
            left[i] = left[i - 1]
    for i in range(len(similar) - 2, -1, -1):
        if similar[i + 1] >= similar[i]:
            right[i] = right[i + 1]
    return left + right - 2 * similar


def join(units: Sequence[Unit], vectors: Any = None, target: int = TARGET) -> list[Piece]:
    """Units put together into pieces; with the units' vectors (n, d), cut where the meaning turns.

    The cuts minimise, over each run between walls, the sum of how far each piece is from `target` less
    what each cut gains by structure and by its valley.
    """
    gains = [_SEAM_GAIN[unit.seam] for unit in units]
    if vectors is not None and len(units) > 2:
        depth = depths(vectors)
        spread = float(depth.std()) or 1.0
        for number, value in enumerate(((depth - depth.mean()) / spread).clip(-1.0, 2.0), start=1):
            gains[number] += _VALLEY_GAIN * float(value)
    for number in range(1, len(units)):
        if units[number - 1].kind == "heading":
            gains[number] = _AFTER_HEADING
    pieces: list[Piece] = []
    run = 0
    for number in range(1, len(units) + 1):
        if number == len(units) or units[number].seam == WALL:
            pieces.extend(_best_cuts(units, gains, run, number, target))
            run = number
    return pieces


def _best_cuts(units: Sequence[Unit], gains: Sequence[float], run: int, end: int, target: int) -> list[Piece]:
    best = [0.0]  # the least cost of cutting units[run:run + k] into pieces
    back = [run]
    for last in range(run + 1, end + 1):
        least, chosen, tokens = float("inf"), last - 1, 0
        for first in range(last - 1, run - 1, -1):
            tokens += units[first].tokens
            if first < last - 1 and (tokens > LIMIT or units[last - 1].end - units[first].start > MAX_CHARS):
                break
            off = (target - tokens) / target if tokens <= target else (tokens - target) / (LIMIT - target)
            cost = best[first - run] + off * off - (gains[first] if first > run else 0.0)
            if cost < least:
                least, chosen = cost, first
        best.append(least)
        back.append(chosen)
    pieces = []
    last = end
    while last > run:
        first = back[last - run]
        tokens = sum(unit.tokens for unit in units[first:last])
        pieces.append(
            Piece(units[first].start, units[last - 1].end, tokens, first, last, units[first].section)
        )
        last = first
    return pieces[::-1]


def piece_vectors(pieces: Sequence[Piece], units: Sequence[Unit], vectors: Any) -> Any:
    """The vector of each piece, (n, d) -> (m, d): the mean of its units' by their tokens, normalised."""
    import numpy

    weights = numpy.array([unit.tokens for unit in units], dtype=numpy.float32)
    sums = numpy.add.reduceat(vectors * weights[:, None], [piece.first for piece in pieces], axis=0)
    return sums / numpy.maximum(numpy.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
