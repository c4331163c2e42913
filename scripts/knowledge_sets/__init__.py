"""Texts with known evidence, and questions about them: what the fractal memory is measured on.

Owned here: three sets of the project's own, the same on every machine with the same Python, because no text
of anybody else is in this repository.

    library        what the standard library says about itself.  The names are taken out of the text, and a
                   question is such a name in words, so that question and evidence were written by people
                   and share few words
    fiction        reports about invented places and people; a fact is told in one wording and asked for in
                   another, among other facts of the same kind and of the same place
    conversations  long talks of two people over months, where an answer often leans on the turn before it
    documents      the documentation strings again, each a document of its own, ranked: one of them is meant
    notices        short notices about sixteen matters, ranked: on the point, on the matter, or beside it

Each is split once, by document, into a tuning half and a held-out half.  Constants of `batos.knowledge` were
chosen on the tuning half; what is reported comes from the other one.
"""

from __future__ import annotations

import ast
import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from scripts.knowledge_sets import fiction as told
from scripts.knowledge_sets import matters, talks

__all__ = ["Question", "RankedSet", "TextSet", "conversations", "documents", "fiction", "library", "notices"]

HALVES = ("tuning", "held-out")


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and where its answer stands: (document, start, end) of each span of evidence."""

    text: str
    evidence: tuple[tuple[str, int, int], ...]


@dataclass(slots=True)
class TextSet:
    """Documents by name, and questions about them."""

    name: str
    documents: dict[str, str] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(map(len, self.documents.values()))

    def shortened(self, questions: int, seed: int = 1) -> TextSet:
        """The same documents with at most so many of the questions."""
        some = self.questions
        if len(some) > questions:
            some = random.Random(seed).sample(some, questions)
        return TextSet(self.name, self.documents, some)


@dataclass(slots=True)
class RankedSet:
    """Documents by name, and for each question what every document that is worth anything is worth."""

    name: str
    documents: dict[str, str]
    questions: list[tuple[str, dict[str, int]]]

    def shortened(self, questions: int, seed: int = 1) -> RankedSet:
        """The same documents with at most so many of the questions."""
        some = self.questions
        if len(some) > questions:
            some = random.Random(seed).sample(some, questions)
        return RankedSet(self.name, self.documents, some)


def _in_half(name: str, half: str) -> bool:
    return (crc32(name.encode()) & 1) == HALVES.index(half)


# -- what every machine has --------------------------------------------------------------------------------

_NAME_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ASKED = ("how to {}", "{}", "what does {} do", "which one is for {}", "I want to {}", "find out about {}")


def library(half: str) -> TextSet:
    """Documentation strings of the standard library, a module each; see the module's text."""
    found = TextSet(f"library, {half}")
    folder = Path(os.__file__).parent
    packages = (
        "asyncio collections concurrent/futures email http importlib json logging urllib xml/dom unittest"
    )
    paths = sorted(folder.glob("*.py"))
    for package in packages.split():
        paths += sorted((folder / package).glob("*.py"))
    for path in paths:
        name = str(path.relative_to(folder))
        if not _in_half(name, half) or path.name.startswith("_") and path.name != "__init__.py":
            continue
        said = list(_docstrings(path))
        if len(said) < 4:
            continue
        parts, at, questions = [], 0, []
        for words, text in said:
            # What is asked for must not stand there letter by letter.
            text = re.sub(rf"\b{re.escape(''.join(words))}\b", "it", text, flags=re.IGNORECASE)
            first = text.split("\n\n")[0][:600]
            if len(words) >= 2 and len(first) >= 40:
                draw = random.Random(crc32(f"{name} {' '.join(words)}".encode()))
                asked = draw.choice(_ASKED).format(" ".join(words))
                questions.append(Question(asked, ((name, at, at + len(first)),)))
            parts.append(text)
            at += len(text) + 2
        found.documents[name] = "\n\n".join(parts)
        found.questions += questions
    return found


def _docstrings(path: Path) -> Iterator[tuple[list[str], str]]:
    """(the words of a name, what is said of it) of the public definitions of a module, in their order."""
    seen = set()
    for node in ast.walk(ast.parse(path.read_text(errors="replace"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
            text = (ast.get_docstring(node) or "").strip()
            words = [each.lower() for each in _NAME_PARTS.findall(node.name)]
            if len(text) >= 40 and words and text not in seen:
                seen.add(text)
                yield words, text


# -- generated ---------------------------------------------------------------------------------------------


def fiction(half: str, documents: int = 60) -> TextSet:
    """Reports of invented places, each with facts of its own among those of its neighbours."""
    found = TextSet(f"fiction, {half}")
    draw = random.Random(f"fiction {half}")
    kinds = [each for number, each in enumerate(told.FACTS) if number % 2 == HALVES.index(half)]
    names = told.names(draw, 4 * documents)
    for number in range(documents):
        place, *people = names[4 * number : 4 * number + 4]
        text, questions = told.report(draw, place, people, kinds)
        found.documents[place] = text
        found.questions += [
            Question(asked, tuple((place, a, b) for a, b in spans)) for asked, spans in questions
        ]
    return found


def conversations(half: str, talks_of: int = 8) -> TextSet:
    """Long conversations as text, a turn a line, with the turn that answers each question."""
    found = TextSet(f"conversations, {half}")
    draw = random.Random(f"conversations {half}")
    for one, other in talks.pairs(draw, talks_of):
        name = f"{one} and {other}"
        text, questions = talks.conversation(draw, one, other, HALVES.index(half))
        found.documents[name] = text
        found.questions += [Question(asked, ((name, a, b),)) for asked, (a, b) in questions]
    return found


# -- ranked whole ------------------------------------------------------------------------------------------


def documents(half: str) -> RankedSet:
    """Documentation strings, each a document; a question means one of them."""
    whole = library(half)
    parts, meant = {}, {}
    for name, text in whole.documents.items():
        for number, part in enumerate(text.split("\n\n")):
            if len(part) >= 40:
                parts[f"{name}:{number:04}"] = part
                meant[(name, text.index(part))] = f"{name}:{number:04}"
    questions = [
        (q.text, {meant[q.evidence[0][:2]]: 1}) for q in whole.questions if q.evidence[0][:2] in meant
    ]
    return RankedSet(f"documents of the library, {half}", parts, questions)


def notices(half: str, each: int = 8) -> RankedSet:
    """Notices about every second matter, `each` about each side of it; 2 is on the point, 1 on the matter."""
    texts, questions = matters.notices(random.Random(f"notices {half}"), HALVES.index(half), each)
    return RankedSet(f"notices, {half}", texts, questions)
