"""Files into text: which files a path means, what kind each is, and why one cannot be read.

Owned here: walking folders, decoding, and the text of an HTML page.  A text is the file's own, decoded
and otherwise untouched, so that an offset into it is an offset into the file; what has to be extracted from
a page, a PDF, a mailbox or an exported conversation (`extracting`) is kept in the image for its citations.
Nothing here knows the image.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from batos.knowledge.extracting import (
    Unreadable,
    parsed_json,
    text_of_chat,
    text_of_email,
    text_of_mailbox,
    text_of_pdf,
)
from batos.knowledge.structure import is_talk

LARGEST = 128 * 2**20  # bytes of a file read at once; a larger one is data, not something one reads

_KINDS = {
    **dict.fromkeys((".md", ".markdown", ".mdown", ".mkd", ".rst", ".adoc"), "markdown"),
    **dict.fromkeys((".py", ".pyi", ".pyw"), "python"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    **dict.fromkeys(
        ".c .h .cc .cpp .hpp .cs .java .kt .js .mjs .ts .tsx .jsx .go .rs .rb .php .pl .lua .sh .bash .zsh "
        ".sql .r .jl .swift .scala .hs .ml .ex .exs .erl .clj .lisp .el .css .scss .xml .json .jsonl .yaml "
        ".yml .toml .ini .cfg .conf .csv .tsv .log .tex .bib .proto .cmake .mk".split(),
        "code",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Document:
    """A file as text.

    source     its absolute path
    kind       how `chunking.split` shall take it: "markdown", "text", "chat", "python" or "code"
    digest     sha256 of the file's bytes
    extracted  True where `text` is not the file's own
    """

    source: str
    text: str
    kind: str
    digest: str
    size: int
    modified: float
    extracted: bool = False


def files(paths: Iterable[str | Path]) -> Iterator[tuple[str, Unreadable | None]]:
    """The files that paths mean, folders walked in order: (absolute path, None or why it is not one).

    In a folder, what a name hides (``.git``) and Python's caches are passed over; a path named outright
    is always taken.
    """
    seen: set[str] = set()
    for path in paths:
        top = os.path.abspath(path)
        if not os.path.isdir(top):
            found = [top]
        else:
            found = []
            for folder, inner, names in os.walk(top):
                inner[:] = sorted(
                    each for each in inner if not each.startswith(".") and each != "__pycache__"
                )
                found.extend(os.path.join(folder, name) for name in sorted(names) if not name.startswith("."))
            if not found:
                yield top, Unreadable("the folder has no files in it")
        for file in found:
            if file not in seen:
                seen.add(file)
                yield file, None if os.path.lexists(file) else Unreadable("there is no such file or folder")


def read(path: str) -> Document:
    """A file as a document; `Unreadable` with the reason where it cannot be one."""
    try:
        facts = os.stat(path)
        if not stat.S_ISREG(facts.st_mode):
            raise Unreadable("it is not a regular file")
        if facts.st_size > LARGEST:
            raise Unreadable(f"it is larger than {LARGEST >> 20} MiB: split it, and remember the parts")
        data = Path(path).read_bytes()
    except OSError as exc:
        raise Unreadable(exc.strerror or str(exc)) from exc
    try:
        text, kind, extracted = _text_of(data, os.path.splitext(path)[1].lower())
    except RecursionError:
        raise Unreadable("it is nested more deeply than anybody can read") from None
    if not text.strip("\ufeff \t\r\n\f\v"):
        raise Unreadable("there is no text in it")
    return Document(path, text, kind, hashlib.sha256(data).hexdigest(), len(data), facts.st_mtime, extracted)


def _text_of(data: bytes, ending: str) -> tuple[str, str, bool]:
    """(text, kind, whether it was extracted) of a file's bytes."""
    if data.startswith(b"%PDF-"):
        return text_of_pdf(data), "markdown", True
    if ending == ".eml":
        return text_of_email(data, text_of_html), "markdown", True
    if ending in (".mbox", ".mbx"):
        return text_of_mailbox(data, text_of_html), "markdown", True
    kind = _KINDS.get(ending, "text")
    text = _decoded(data, kind)
    if kind == "html":
        return text_of_html(text), "markdown", True
    if ending in (".json", ".jsonl"):
        talk = text_of_chat(parsed_json(text.lstrip("\ufeff"), ending == ".jsonl"))
        if talk is not None:
            return talk, "chat", True
    return text, "chat" if kind == "text" and is_talk(text) else kind, False


_CHARSET = re.compile(
    rb"""<meta[^>]{0,200}charset\s{0,10}=\s{0,10}["']?([A-Za-z0-9_:-]{1,40})""", re.IGNORECASE
)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f]")


def _decoded(data: bytes, kind: str) -> str:
    encoding = "utf-8"
    if data.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        encoding = "utf-32"
    elif data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif kind == "html" and (told := _CHARSET.search(data[:4096])):
        encoding = told.group(1).decode("ascii")
    try:
        text = data.decode(encoding)
    except (UnicodeDecodeError, LookupError) as exc:
        if isinstance(exc, LookupError):
            raise Unreadable(f"it says it is written in {encoding!r}, which nobody here can read") from exc
        what = "a binary file" if b"\x00" in data[:4096] else f"not {encoding.upper()} (byte {exc.start})"
        raise Unreadable(f"it is {what}: convert it to UTF-8 text and remember that") from exc
    start = text[:4096]
    if len(_CONTROL.findall(start)) > len(start) / 10:
        raise Unreadable("it is a binary file: convert it to UTF-8 text and remember that")
    return text


def text_of_html(page: str) -> str:
    """The text of an HTML page, with the marks of Markdown for headings, items, tables and code."""
    reader = _Page()
    reader.feed(page)
    reader.close()
    return reader.text()


class _Page(HTMLParser):
    """Collects the text of a page block by block; what is never shown is left out."""

    HIDDEN = frozenset("script style template noscript svg math head object iframe select".split())
    BLOCKS = frozenset(
        "p div section article main header footer nav aside ul ol dl dt dd blockquote figure figcaption form "
        "fieldset address details summary table thead tbody tfoot caption hr body html".split()
    )

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.blocks: list[str] = []
        self.line: list[str] = []
        self.hidden: list[str] = []
        self.lists: list[int] = []  # the number of the next item, 0 where items have none
        self.row: list[str] | None = None
        self.mark = ""
        self.verbatim = False
        self.title: list[str] | None = None

    def text(self) -> str:
        self._end_row()
        self._end_block()
        if len(self.blocks) > 2 and self.blocks[0].startswith("# ") and self.blocks[2] == self.blocks[0]:
            del self.blocks[:2]  # its title is its first heading
        return "\n".join(self.blocks).strip("\n") + "\n"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.title is not None:  # it is not closed, and holds no tags
            self.handle_endtag("title")
        if tag == "title" and self.hidden in ([], ["head"]):
            self.title = []
        if tag in self.HIDDEN:
            self.hidden.append(tag)
        if self.hidden:
            # A page without </head> must not vanish.
            if tag == "body" and self.hidden[0] == "head":
                self.hidden.clear()
            return
        if tag == "br":
            self.line.append("\n")
        elif tag == "pre":
            self._end_block()
            self.verbatim = True
        elif len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
            self._end_block()
            self.mark = "#" * int(tag[1]) + " "
        elif tag in ("ul", "ol"):
            self._end_block()
            self.lists.append(1 if tag == "ol" else 0)
        elif tag == "li":
            self._end_block()
            number = self.lists[-1] if self.lists else 0
            self.mark = "  " * max(0, len(self.lists) - 1) + (f"{number}. " if number else "- ")
            if number:
                self.lists[-1] += 1
        elif tag == "tr":
            self._end_row()
            self._end_block()
            self.row = []
        elif tag in ("td", "th"):
            self._end_cell()
        elif tag in self.BLOCKS:
            self._end_block()

    def handle_endtag(self, tag: str) -> None:
        if tag == "title" and self.title is not None:
            title = " ".join("".join(self.title).split())
            self.blocks.extend([f"# {title}", ""] if title else [])
            self.title = None
        if self.hidden:
            if tag in self.hidden:
                del self.hidden[self.hidden.index(tag) :]
            return
        if tag == "pre" and self.verbatim:
            code = "".join(self.line).strip("\n")
            self.line = []
            self.verbatim = False
            self.blocks.extend(["```", code, "```", ""] if code.strip() else [])
        elif tag in ("td", "th"):
            self._end_cell()
        elif tag == "tr":
            self._end_row()
        elif tag in ("ul", "ol"):
            self._end_block()
            self.lists = self.lists[:-1]
            if not self.lists:
                self.blocks.append("")
        elif tag == "table":
            self._end_row()
            self._end_block()
            self.blocks.append("")
        elif tag in self.BLOCKS or tag == "li" or (len(tag) == 2 and tag[0] == "h" and tag[1] in "123456"):
            self._end_block()

    def handle_data(self, data: str) -> None:
        if self.title is not None:
            self.title.append(data)
        elif not self.hidden:
            self.line.append(data)

    def _end_cell(self) -> None:
        said = " ".join("".join(self.line).split()).replace("|", "/")
        self.line = []
        if self.row is not None and said:
            self.row.append(said)

    def _end_row(self) -> None:
        if self.row is not None:
            self._end_cell()
            if self.row:
                self.blocks.append("| " + " | ".join(self.row) + " |")
            self.row = None

    def _end_block(self) -> None:
        if self.row is not None:  # a block inside a cell is a word of the cell
            self.line.append(" ")
            return
        # The page's own line breaks are spaces; only <br> breaks a line.
        lines = [" ".join(each.split()) for each in "".join(_spaced(self.line)).split("\x01")]
        self.line = []
        said = "\n".join(each for each in lines if each)
        if said:
            self.blocks.append(self.mark + said)
            if not self.lists:
                self.blocks.append("")
            self.mark = ""


def _spaced(parts: list[str]) -> Iterator[str]:
    for part in parts:
        yield "\x01" if part == "\n" else part
