"""Text into passages: where a text may be cut, and where it is best cut.

Owned here: the structure of a text (headings, lists, tables, fences, paragraphs, Python by its syntax
tree), its sentences, and the choice among the possible cuts.  Reading files is `reading`'s business,
vectors come from `embedding`, storing is `catalog`'s.

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

import ast
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

TARGET = 28  # word pieces a passage aims at; see above
LIMIT = 200  # word pieces a passage may have; the embedder cuts silently at 254
CLASS_CHARS = 320  # a class of more is cut at its methods
MAX_CHARS = 2000  # a passage is something one reads at a glance; the contract promises it

Counter = Callable[[Sequence[str]], list[int]]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Unit:
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


SAME, PARAGRAPH, BLOCK, WALL = range(4)


@dataclass(frozen=True, slots=True)
class Piece:
    """A passage: ``text[start:end]``, made of ``units[first:last]``."""

    start: int
    end: int
    tokens: int
    first: int
    last: int
    section: tuple[str, ...] = ()


# ------------------------------------------------------------------------------------ structure


@dataclass(frozen=True, slots=True)
class _Block:
    """A run of text of one kind, before it is cut into units; `parts` is where it may be cut if it must."""

    start: int
    end: int
    kind: str
    section: tuple[str, ...] = ()
    seam: int = BLOCK
    parts: tuple[Span, ...] = ()


_LINE = re.compile(r"[^\r\n]*+(?:\r\n|\r|\n|\Z)")
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+|$)")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"[ \t]{0,40}(?:[-*+•‣◦]|\d{1,4}[.)])[ \t]+\S")
_RULE = re.compile(r" {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$")
_ROW = re.compile(r"[ \t]*(?:\|.*\||\+(?:[-=]+\+)+)[ \t]*$")
_DELIMITER = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)+\|?[ \t]*$")
_MARKUP_LINE = 2000  # a longer line is prose or minified code, never markup


def _lines(text: str) -> list[Span]:
    """Offsets of the lines without their line ends, numbered as Python's parser numbers them."""
    found = []
    for match in _LINE.finditer(text):
        start, end = match.span()
        if start == end:  # the empty match at the end of the text
            continue
        while end > start and text[end - 1] in "\r\n":
            end -= 1
        found.append((start, end))
    return found


def _blocks_of_markdown(text: str, headings_too: bool) -> Iterator[_Block]:
    """Markdown's blocks; plain text is the same without ``#`` headings, which are comments there."""
    spans = _lines(text)
    lines = [text[a:b] if b - a <= _MARKUP_LINE else "x" for a, b in spans]
    blank = [not line.strip(" \t\f\v\u00a0\ufeff\x00") for line in lines]
    count = len(lines)
    open_headings: list[tuple[int, str]] = []

    def opened(level: int, title: str) -> tuple[str, ...]:
        while open_headings and open_headings[-1][0] >= level:
            open_headings.pop()
        open_headings.append((level, title.strip().rstrip("#").strip()[:200]))
        return tuple(name for _, name in open_headings if name)

    def is_underlined(at: int) -> bool:
        return at + 1 < count and len(lines[at]) < 200 and _UNDERLINE.match(lines[at + 1]) is not None

    def starts_table(at: int) -> bool:
        line = lines[at]
        if "|" not in line and not line.lstrip().startswith("+"):
            return False
        return bool(_ROW.match(line) or (at + 1 < count and _DELIMITER.match(lines[at + 1])))

    def starts_item(at: int) -> bool:
        return bool(_ITEM.match(lines[at])) and not _RULE.match(lines[at])

    def starts_something(at: int) -> bool:
        line = lines[at]
        return bool(
            _FENCE.match(line)
            or (headings_too and _HEADING.match(line))
            or starts_table(at)
            or starts_item(at)
        )

    section: tuple[str, ...] = ()
    at = 0
    while at < count:
        if blank[at]:
            at += 1
            continue
        first = at
        if fence := _FENCE.match(lines[at]):
            mark = fence.group(1)
            at += 1
            while at < count:
                line = lines[at].strip()
                at += 1
                if line.startswith(mark) and not line.strip(mark[0]):
                    break
            kind, seam = "code", BLOCK
        elif headings_too and (heading := _HEADING.match(lines[at])):
            section = opened(len(heading.group(1)), lines[at][heading.end() :])
            at += 1
            kind, seam = "heading", WALL
        elif starts_table(at):
            at += 1
            while at < count and "|" in lines[at] or at < count and _ROW.match(lines[at]):
                at += 1
            kind, seam = "table", BLOCK
        elif starts_item(at):
            last = at
            at += 1
            while at < count:
                if blank[at]:
                    # A list goes on after blank lines with another item or an indented continuation.
                    ahead = at
                    while ahead < count and blank[ahead]:
                        ahead += 1
                    if ahead == count or not (starts_item(ahead) or lines[ahead][:2].isspace()):
                        break
                    at = ahead
                elif not starts_item(at) and not lines[at][:1].isspace() and starts_something(at):
                    break
                else:
                    last = at
                    at += 1
            at = last + 1
            kind, seam = "list", BLOCK
        elif is_underlined(at):
            section = opened(1 if "=" in lines[at + 1] else 2, lines[at])
            at += 2
            kind, seam = "heading", WALL
        else:
            at += 1
            while at < count and not blank[at] and not starts_something(at):
                at += 1
            kind, seam = "prose", PARAGRAPH
        parts: tuple[Span, ...] = ()
        if kind == "list":
            starts = [number for number in range(first, at) if starts_item(number)]
            parts = tuple(
                (spans[a][0], spans[b - 1][1]) for a, b in zip(starts, [*starts[1:], at], strict=True)
            )
        elif kind in ("table", "code"):
            parts = tuple(spans[first:at])
        yield _Block(spans[first][0], spans[at - 1][1], kind, section, seam, parts)


def _blocks_of_code(text: str) -> Iterator[_Block]:
    """Source in any language: a block ends at a blank line that is followed by an unindented one."""
    spans = _lines(text)
    first: int | None = None
    after_blank = False
    for at, (start, end) in enumerate(spans):
        if not text[start : min(end, start + _MARKUP_LINE)].strip():
            after_blank = True
            continue
        if first is None:
            first = at
        elif after_blank and text[start] not in " \t)}]":
            yield _Block(spans[first][0], spans[at - 1][1], "code", parts=tuple(spans[first:at]))
            first = at
        after_blank = False
    if first is not None:
        yield _Block(spans[first][0], spans[-1][1], "code", parts=tuple(spans[first:]))


def _blocks_of_python(text: str) -> list[_Block] | None:
    """Python by its syntax tree: a definition is a block, and a large class one block per method.

    None where the text does not parse; it is then cut as any other source.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its invalid escapes are its author's business
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    spans = _lines(text)
    blocks: list[_Block] = []

    def first_line(node: Any) -> int:
        return min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))]) - 1

    def take(first: int, last: int, section: tuple[str, ...]) -> None:
        """The lines first..last-1 as one block, without blank edges."""
        while first < last and not text[slice(*spans[first])].strip():
            first += 1
        while last > first and not text[slice(*spans[last - 1])].strip():
            last -= 1
        if first < last:
            parts = tuple(spans[first:last])
            blocks.append(_Block(parts[0][0], parts[-1][1], "code", section, BLOCK, parts))

    def walk(body: list[Any], first: int, last: int, section: tuple[str, ...]) -> None:
        """Cut the lines first..last-1, which hold the statements of `body`, at its definitions."""
        done = first
        for node in body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            start, end = first_line(node), min(node.end_lineno or last, last)
            while start > done and text[slice(*spans[start - 1])].lstrip().startswith("#"):
                start -= 1  # the comment above a definition belongs to it
            if start < done:  # two statements on one line
                continue
            take(done, start, section)
            inner = (*section, node.name)
            if isinstance(node, ast.ClassDef) and spans[end - 1][1] - spans[start][0] > CLASS_CHARS:
                walk(node.body, start, end, inner)
            else:
                take(start, end, inner)
            done = end
        take(done, last, section)

    walk(tree.body, 0, len(spans), ())
    return blocks


_SPEAKER = re.compile(r"(?:\[[^\]\n]{1,40}\] ?)?[^\s:][^:\n]{0,38}: ")


def _blocks_of_chat(text: str) -> Iterator[_Block]:
    """A conversation: a turn is a piece of its own, under the heading of its day, which is its section and no
    piece; lines without a speaker go on with the turn before them."""
    section: tuple[str, ...] = ()
    spans = _lines(text)
    first: int | None = None
    for at, (start, end) in enumerate([*spans, (len(text), len(text))]):
        line = text[start : min(end, start + 100)]
        heading = _HEADING.match(line)
        over = start == end == len(text)
        if first is not None and (over or heading or _SPEAKER.match(line)):
            begin, finish = spans[first][0], spans[at - 1][1]
            if text[begin:finish].strip():
                yield _Block(begin, finish, "turn", section, WALL, tuple(spans[first:at]))
            first = None
        if heading:
            section = (text[start + heading.end() : end].strip()[:200],)
        elif first is None and not over:
            first = at


# ------------------------------------------------------------------------------------ sentences

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
_STOP = re.compile(
    r"(?<![.!?…‽؟۔।॥])[.!?…‽؟۔।॥]++[\"'”’»)\]}*_`]*+(?=\s|\Z)"
    r"|[。！？｡]++[」』”’）】》〉\"')]*+"
    r"|\r\n|\r|\n"
)
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘«]+\Z")
_NEXT_WORD = re.compile(r"\s*[\"'“‘«(\[{¿¡*_`]*(\w+|\S)?")
_LOWER_STYLE = re.compile(r"(?<=\w\w\w)[.!?]\s++(?:([a-z])|[A-Z])")
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
    styles = _LOWER_STYLE.findall(text, start, min(end, start + 50_000))
    lower_style = len(styles) >= 3 and sum(map(bool, styles)) > len(styles) / 2
    width = _wrap_width(text, start, end)
    spans: list[Span] = []
    begun = line = start
    for stop in _STOP.finditer(text, start, end):
        mark = stop.group()[0]
        if mark in "\r\n":
            ends = _breaks_here(text, begun, line, stop.start(), stop.end(), width)
            line = stop.end()
        elif mark in "。！？｡":
            ends = True
        else:
            ends = _stops_here(text, begun, stop.start(), stop.end(), mark, stop.group(), lower_style)
        if ends:
            spans.append((begun, stop.end()))
            begun = stop.end()
    spans.append((begun, end))
    return [span for span in (_trimmed(text, a, b) for a, b in spans) if span[0] < span[1]]


def _stops_here(text: str, begun: int, at: int, after: int, mark: str, stop: str, lower_style: bool) -> bool:
    following = _NEXT_WORD.match(text, after, after + 80)
    following_word = (following.group(1) or "") if following else ""
    if not following_word:
        return True
    if following_word[0].islower() and not lower_style:
        return False
    if mark != "." or stop.startswith(".."):
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
    lines = [text[start + a : start + b] for a, b in _lines(text[start:end])]
    width = max(map(len, lines), default=0)
    fitting = sum(
        len(line) + 1 + len(after.split(maxsplit=1)[0] if after.strip() else "") <= width
        for line, after in pairwise(lines)
    )
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


def _trimmed(text: str, start: int, end: int) -> Span:
    while start < end and text[start] in _SPACE:
        start += 1
    while end > start and text[end - 1] in _SPACE:
        end -= 1
    return start, end


# ------------------------------------------------------------------------------------ units


def approximate_tokens(texts: Sequence[str]) -> list[int]:
    """A count for where no tokenizer is at hand: words, marks, and one more for every four letters beyond
    the first eight of a word; letters of scripts written without spaces count one each."""
    return [
        sum(1 + max(0, len(word) - 5) // 4 if word.isascii() else len(word) for word in _TOKEN.findall(text))
        for text in texts
    ]


_TOKEN = re.compile(r"\w+|[^\w\s]")


def split(text: str, kind: str = "markdown", count: Counter = approximate_tokens) -> list[Unit]:
    """The units of a text in order, none above `LIMIT` tokens or `MAX_CHARS` characters.

    kind is "markdown", "text", "chat", "python" or "code"; `count` counts the tokens of each text of a list.
    """
    if kind == "python":
        found = _blocks_of_python(text)
        blocks = list(_blocks_of_code(text)) if found is None else found
    elif kind == "code":
        blocks = list(_blocks_of_code(text))
    elif kind == "chat":
        blocks = list(_blocks_of_chat(text))
    else:
        blocks = list(_blocks_of_markdown(text, headings_too=kind == "markdown"))
    # A candidate is (span, kind, seam, section, parts); those that are too large become their parts,
    # and the parts that still are become sentences or, at last, windows.  Counting goes by the list
    # because a tokenizer is twenty times as fast on many texts at once.
    candidates: list[tuple[Span, str, int, tuple[str, ...], tuple[Span, ...]]] = []
    for block in blocks:
        if block.kind == "prose":
            for number, span in enumerate(sentences(text, block.start, block.end)):
                seam = SAME if number else block.seam
                candidates.append((span, "sentence", seam, block.section, ()))
        else:
            span = _trimmed(text, block.start, block.end)
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
        spans = [_trimmed(text, *part) for part in parts]
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
        done.append(_trimmed(text, start, cut))
        start = cut
    done.append(_trimmed(text, start, end))
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
