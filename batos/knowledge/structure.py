"""The structure of a text: its headings, lists, tables, fences and paragraphs; Python by its syntax tree.

Owned here: `blocks`, the runs of one kind that a text falls into, and `stretches`, which part a large text
before anything else is done, so that reading it takes a bounded room however long it is.  What stands across
the border of two stretches, the headings above it and a fence that is still open, goes along in `Standing`.
The price is a piece that ends at a border, and a list or table that is two there.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

CLASS_CHARS = 320  # a class of more is cut at its methods
STRETCH = 2**16  # characters that are taken apart at once, some 500 passages
SAME, PARAGRAPH, BLOCK, WALL = range(4)

Span = tuple[int, int]


class TextBlock(NamedTuple):
    """A run of text of one kind, before it is cut into units; `parts` is where it may be cut if it must."""

    start: int
    end: int
    kind: str
    section: tuple[str, ...] = ()
    seam: int = BLOCK
    parts: tuple[Span, ...] = ()


@dataclass(slots=True)
class Standing:
    """What holds where a stretch of a text begins; reading it leaves here what holds behind it."""

    headings: list[tuple[int, str]] = field(default_factory=list)  # level and title, outermost first
    fence: str = ""  # the mark that will close it

    def told(self) -> str:
        """All of it as text, for `again`."""
        return json.dumps([self.headings, self.fence])

    @classmethod
    def again(cls, told: str) -> Standing:
        headings, fence = json.loads(told) if told else ([], "")
        return cls([(level, title) for level, title in headings], fence)

    @property
    def section(self) -> tuple[str, ...]:
        return tuple(title for _, title in self.headings if title)


# Where a text is best parted, best first: an empty line, a line, a sentence, a word.
_PARTINGS = ("\n\n", "\r\n\r\n", "\n", "\r", ". ", "。", " ")
_BETTER = {"markdown": ("\n#",), "chat": ("\n#",), "python": ("\n\n\n", "\nclass ", "\ndef ")}


def stretches(text: str, kind: str) -> Iterator[Span]:
    """A text in stretches of at most `STRETCH` characters, each as long as it can well be."""
    start = 0
    while len(text) - start > STRETCH:
        end = start + STRETCH
        for mark in (*_BETTER.get(kind, ()), *_PARTINGS):
            at = text.rfind(mark, start + STRETCH // 2, end)
            if at >= 0:
                end = at + (len(mark) if mark.isspace() or mark in _PARTINGS else 1)
                break
        else:
            while end > start + STRETCH - 16 and (text[end] in "\u200d\ufe0f\n" or text[end - 1] == "\u200d"):
                end -= 1
        yield start, end
        start = end
    yield start, len(text)


def blocks(text: str, kind: str, standing: Standing) -> list[TextBlock]:
    """The blocks of a text, or of one stretch of it, in order."""
    if kind == "python":
        found = _blocks_of_python(text)
        return list(_blocks_of_code(text)) if found is None else found
    if kind == "code":
        return list(_blocks_of_code(text))
    if kind == "chat":
        return list(_blocks_of_chat(text, standing))
    return list(_blocks_of_markdown(text, kind == "markdown", standing))


_LINE = re.compile(r"[^\r\n]*+(?:\r\n|\r|\n|\Z)")
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+|$)")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"[ \t]{0,40}(?:[-*+•‣◦]|\d{1,4}[.)])[ \t]+\S")
_RULE = re.compile(r" {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$")
_ROW = re.compile(r"[ \t]*(?:\|.*\||\+(?:[-=]+\+)+)[ \t]*$")
_DELIMITER = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)+\|?[ \t]*$")
_MARKS = frozenset("`~#|+-=*_•‣◦0123456789")  # what a line of markup begins with
_MARKUP_LINE = 2000  # a longer line is prose or minified code, never markup


def lines_of(text: str) -> list[Span]:
    """Offsets of the lines without their line ends, numbered as Python's parser numbers them."""
    found = []
    if "\r" not in text:
        at = 0
        for line in text.split("\n"):
            found.append((at, at + len(line)))
            at += len(line) + 1
        if found[-1][0] == len(text):  # nothing stands behind the last line end
            found.pop()
        return found
    for match in _LINE.finditer(text):
        start, end = match.span()
        if start == end:  # the empty match at the end of the text
            continue
        while end > start and text[end - 1] in "\r\n":
            end -= 1
        found.append((start, end))
    return found


def _blocks_of_markdown(text: str, headings_too: bool, standing: Standing) -> Iterator[TextBlock]:
    """Markdown's blocks; plain text is the same without ``#`` headings, which are comments there."""
    spans = lines_of(text)
    lines = [text[a:b] if b - a <= _MARKUP_LINE else "x" for a, b in spans]
    blank = [not line.strip(" \t\f\v\u00a0\ufeff\x00") for line in lines]
    marked = [line.lstrip(" \t")[:1] in _MARKS or "|" in line for line in lines]  # the others are prose
    count = len(lines)
    headings = standing.headings

    def opened(level: int, title: str) -> tuple[str, ...]:
        while headings and headings[-1][0] >= level:
            headings.pop()
        headings.append((level, title.strip().rstrip("#").strip()[:200]))
        return standing.section

    def is_underlined(at: int) -> bool:
        return (
            at + 1 < count
            and marked[at + 1]
            and len(lines[at]) < 200
            and _UNDERLINE.match(lines[at + 1]) is not None
        )

    def starts_table(at: int) -> bool:
        line = lines[at]
        if "|" not in line and not line.lstrip().startswith("+"):
            return False
        return bool(_ROW.match(line) or (at + 1 < count and _DELIMITER.match(lines[at + 1])))

    def starts_item(at: int) -> bool:
        return marked[at] and bool(_ITEM.match(lines[at])) and not _RULE.match(lines[at])

    def starts_something(at: int) -> bool:
        line = lines[at]
        return marked[at] and bool(
            _FENCE.match(line)
            or (headings_too and _HEADING.match(line))
            or starts_table(at)
            or starts_item(at)
        )

    section = standing.section
    at = 0
    while at < count:
        if blank[at] and not standing.fence:
            at += 1
            continue
        first = at
        if standing.fence or marked[at] and (fence := _FENCE.match(lines[at])):
            if not standing.fence:
                standing.fence = fence.group(1)
                at += 1
            while at < count and standing.fence:
                line = lines[at].strip()
                at += 1
                if line.startswith(standing.fence) and not line.strip(standing.fence[0]):
                    standing.fence = ""
            kind, seam = "code", BLOCK
        elif headings_too and marked[at] and (heading := _HEADING.match(lines[at])):
            section = opened(len(heading.group(1)), lines[at][heading.end() :])
            at += 1
            kind, seam = "heading", WALL
        elif marked[at] and starts_table(at):
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
        yield TextBlock(spans[first][0], spans[at - 1][1], kind, section, seam, parts)


def _blocks_of_code(text: str) -> Iterator[TextBlock]:
    """Source in any language: a block ends at a blank line that is followed by an unindented one."""
    spans = lines_of(text)
    first: int | None = None
    after_blank = False
    for at, (start, end) in enumerate(spans):
        if not text[start : min(end, start + _MARKUP_LINE)].strip():
            after_blank = True
            continue
        if first is None:
            first = at
        elif after_blank and text[start] not in " \t)}]":
            yield TextBlock(spans[first][0], spans[at - 1][1], "code", parts=tuple(spans[first:at]))
            first = at
        after_blank = False
    if first is not None:
        yield TextBlock(spans[first][0], spans[-1][1], "code", parts=tuple(spans[first:]))


def _blocks_of_python(text: str) -> list[TextBlock] | None:
    """Python by its syntax tree: a definition is a block, and a large class one block per method.

    None where the text does not parse; it is then cut as any other source.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its invalid escapes are its author's business
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    spans = lines_of(text)
    blocks: list[TextBlock] = []

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
            blocks.append(TextBlock(parts[0][0], parts[-1][1], "code", section, BLOCK, parts))

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


# Somebody's name or number and a colon; before it what messengers write: "[12.05.21, 10:31:02] ", "5/12/21, 9:31 PM - ".
_SPEAKER = re.compile(
    r"[\u200e\u200f]?(?:\[[^\]\n]{1,40}\] ?|\d[\d/.:, T-]{3,24}(?:[ \u202f]?[AaPp]\.?[Mm]\.?)?[\] -]+)?"
    r"([^\s:][^:\n]{0,38}): "
)
_NAME = re.compile(r"[^\W\d][\w .'’&()-]{0,30}|\+\d[\d ()-]{5,20}")
_TALK_LINES = 2000  # that are looked at


def is_talk(text: str) -> bool:
    """Is a plain text what some people said in turn, each line "Ann: ..."?

    Nine lines in ten are, of 2 to 20 people with two turns each on average.  Three labels or more that come in
    the same order again and again are records and no people.
    """
    lines = [text[a : min(b, a + 100)] for a, b in lines_of(text[: _TALK_LINES * 100])[:_TALK_LINES]]
    lines = [line for line in lines if line.strip()]
    said = [
        match.group(1)
        for line in lines
        if (match := _SPEAKER.match(line)) and _NAME.fullmatch(match.group(1))
    ]
    people = len(set(said))
    if len(lines) < 4 or len(said) < 0.9 * len(lines) or not 2 <= people <= 20 or len(said) < 2 * people:
        return False
    return people == 2 or any(said[at] != said[at - people] for at in range(people, len(said)))


def _blocks_of_chat(text: str, standing: Standing) -> Iterator[TextBlock]:
    """A conversation: a turn is a piece of its own, under the heading of its day, which is its section and no
    piece; lines without a speaker go on with the turn before them."""
    section = standing.section
    spans = lines_of(text)
    first: int | None = None
    for at, (start, end) in enumerate([*spans, (len(text), len(text))]):
        line = text[start : min(end, start + 100)]
        heading = _HEADING.match(line)
        over = start == end == len(text)
        if first is not None and (over or heading or _SPEAKER.match(line)):
            begin, finish = spans[first][0], spans[at - 1][1]
            if text[begin:finish].strip():
                yield TextBlock(begin, finish, "turn", section, WALL, tuple(spans[first:at]))
            first = None
        if heading:
            standing.headings[:] = [(1, text[start + heading.end() : end].strip()[:200])]
            section = standing.section
        elif first is None and not over:
            first = at
