"""Cutting: exact passages, whole sentences, structure kept, meaning followed, linear time whatever comes."""

from __future__ import annotations

import random
import re
import time

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batos.knowledge.chunking import (
    LIMIT,
    MAX_CHARS,
    approximate_tokens,
    depths,
    join,
    piece_vectors,
    sentences,
    split,
)
from batos.knowledge.embedding import LexicalEmbedder

KINDS = ("markdown", "text", "chat", "python", "code")


def fixed_split(text: str, size: int) -> list[tuple[int, int]]:
    """The naive split by characters: the baseline, and nothing else uses it."""
    return [(at, min(at + size, len(text))) for at in range(0, len(text), size)]


def pieces_of(text: str, kind: str = "markdown"):
    units = split(text, kind)
    return units, join(units, LexicalEmbedder().encode([text[unit.start : unit.end] for unit in units]))


def said(text: str, spans) -> list[str]:
    return [text[a:b] for a, b in spans]


# -- sentences -------------------------------------------------------------------------------------

SENTENCES = [
    ["Dr. Smith paid $3.50 to J. R. R. Tolkien, i.e. the author.", "Was it enough?", "No!"],
    ["The U.S. army came at 5 p.m. on Jan. 4.", "It rained."],
    ["See Fig. 3 and Eq. 12 vs. Sec. 4.", "They differ."],
    ['"Really?" he said.', '"Yes."', "Nobody laughed."],
    ["Wait... what?", "Version 3.14.2 is out.", "Use e.g. pip, etc.", "Good."],
    ["これは文です。", "次の文です！", "終わりか？"],
    ["यह पहला वाक्य है।", "यह दूसरा है।"],
    ["هل هذا سؤال؟", "نعم."],
    ["Это первое предложение.", "Это второе!"],
]


@pytest.mark.parametrize("expected", SENTENCES, ids=lambda each: each[0][:20])
def test_a_text_falls_into_its_sentences(expected):
    gap = "" if "。" in expected[0] else " "
    text = gap.join(expected)
    assert said(text, sentences(text)) == expected


def test_a_wrapped_line_is_no_sentence_and_a_broken_one_is():
    wrapped = "The quick brown fox jumps over the lazy\nDog and Cat, who were both quite asleep\nin the sun."
    assert said(wrapped, sentences(wrapped)) == [wrapped]
    chat = "Ann: are we going then\nBob: yes if it does not rain all afternoon\nAnn: good\nBob: fine"
    assert said(chat, sentences(chat)) == chat.split("\n")


def test_a_text_without_capitals_still_has_sentences():
    text = "this is how some people write. they never use capitals. it is still readable. really it is."
    assert len(sentences(text)) == 4


# -- structure -------------------------------------------------------------------------------------

DOCUMENT = """# House

Intro sentence about the house. Another one follows it.

## Rooms

- kitchen with a stove
- bath
  with a tub

| room | size |
|------|------|
| hall | 12   |

```python
# not a heading
x = 1
```

Closing words.

Cellar
------

It is dark down there.
"""


def test_headings_lists_tables_and_fences_are_found_with_their_section():
    units = split(DOCUMENT, "markdown")
    kinds = [(unit.kind, DOCUMENT[unit.start : unit.end].split("\n")[0], unit.section) for unit in units]
    assert kinds == [
        ("heading", "# House", ("House",)),
        ("sentence", "Intro sentence about the house.", ("House",)),
        ("sentence", "Another one follows it.", ("House",)),
        ("heading", "## Rooms", ("House", "Rooms")),
        ("list", "- kitchen with a stove", ("House", "Rooms")),
        ("table", "| room | size |", ("House", "Rooms")),
        ("code", "```python", ("House", "Rooms")),
        ("sentence", "Closing words.", ("House", "Rooms")),
        ("heading", "Cellar", ("House", "Cellar")),
        ("sentence", "It is dark down there.", ("House", "Cellar")),
    ]


def test_no_piece_reaches_across_a_heading_and_none_is_a_heading_alone():
    _, pieces = pieces_of(DOCUMENT)
    texts = [DOCUMENT[piece.start : piece.end] for piece in pieces]
    headings = ["# House", "## Rooms", "Cellar\n------"]
    starts = [text for text in texts if any(heading in text for heading in headings)]
    assert len(starts) == 3  # each in a piece of its own
    for text, heading in zip(starts, headings, strict=True):
        assert text.startswith(heading) and text != heading


@pytest.mark.parametrize(
    "block",
    [
        "- an item with several words in it\n" * 60,
        "| a cell | another cell | a third |\n" * 60,
        "```\n" + "call(some, arguments, here)\n" * 60 + "```\n",
    ],
    ids=["list", "table", "fence"],
)
def test_a_block_too_large_for_a_piece_is_cut_at_its_lines_and_shares_no_piece(block):
    text = f"Words before it.\n\n{block}\nWords after it."
    _, pieces = pieces_of(text)
    texts = [text[piece.start : piece.end] for piece in pieces]
    assert texts[0] == "Words before it." and texts[-1] == "Words after it."
    lines = set(block.split("\n"))
    assert all(set(each.split("\n")) <= lines for each in texts[1:-1])


PROGRAM = '''"""A module."""

import os


# What follows counts.
@decorated
def first(a):
    return a + 1


class Shop:
    """Sells things."""

    def open(self):
        return "open " + self.name * 20

    def close(self):
        return "closed " + self.name * 20
''' + "".join(
    f"\n    def number_{n}(self):\n        value = self.count + {n}\n        return value * {n}\n"
    for n in range(20)
)


def test_python_is_cut_at_its_definitions_with_their_comments_and_decorators():
    units = split(PROGRAM, "python")
    texts = {unit.section: PROGRAM[unit.start : unit.end] for unit in units}
    assert texts[("first",)].startswith("# What follows counts.\n@decorated\ndef first")
    assert (
        texts[("Shop", "number_7")].strip().startswith("def number_7")
        and "number_8" not in texts[("Shop", "number_7")]
    )


def test_python_that_does_not_parse_is_cut_as_any_other_source():
    broken = "def f(:\n    pass\n\n\ndef g():\n    pass\n"
    assert [broken[unit.start : unit.end] for unit in split(broken, "python")] == [
        "def f(:\n    pass",
        "def g():\n    pass",
    ]


# -- what always holds -------------------------------------------------------------------------------


def assert_lawful(text: str, kind: str) -> None:
    units = split(text, kind)
    pieces = join(units, numpy.random.default_rng(0).normal(size=(len(units), 8)))
    end = 0
    for piece in pieces:
        assert end <= piece.start < piece.end <= len(text)
        assert piece.end - piece.start <= MAX_CHARS
        assert piece.tokens <= LIMIT
        assert not text[piece.start].isspace() and not text[piece.end - 1].isspace()
        end = piece.end
    edges = [0, *(edge for unit in units for edge in (unit.start, unit.end)), len(text)]
    between = "".join(text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
    if kind == "chat":  # the heading of a day is the section of its turns, and no piece
        lines = re.split(r"[\r\n]", between)
        between = "".join(line for line in lines if not re.fullmatch(r" {0,3}#{1,6}(?:[ \t].*)?", line, re.DOTALL))
    assert not between.strip(" \t\r\n\f\v\u00a0\ufeff\x00")  # nothing but white space is left out
    assert [n for piece in pieces for n in range(piece.first, piece.last)] == list(range(len(units)))


@settings(max_examples=150, deadline=None)
@given(
    st.text(
        alphabet=st.one_of(
            st.sampled_from("aB .!?\n\r\t-#|`*=>1,;:'\"()[]{}\\"),
            st.sampled_from("é。！世ภ\u0301\u200d👩\x00\ufeff"),
        ),
        max_size=400,
    ),
    st.sampled_from(KINDS),
)
def test_whatever_the_text_every_piece_is_lawful_and_nothing_is_lost(text, kind):
    assert_lawful(text, kind)


SIZE = 120_000
HARD = {
    "empty": "",
    "one giant line": "lorem ipsum dolor " * (SIZE // 18),
    "one giant word": "x" * SIZE,
    "full stops": "." * SIZE,
    "quotes": ".\"'" * (SIZE // 3),
    "spaces": " " * SIZE,
    "line ends": "\n" * SIZE,
    "nulls": "\x00" * SIZE,
    "unspaced script": "好的天气真不错" * (SIZE // 7),
    "emoji": "👩‍👩‍👧‍👦" * (SIZE // 7),
    "crlf": "line one\r\n" * (SIZE // 10),
    "deep list": "".join(" " * (n % 300) + "- item\n" for n in range(2000)),
    "backticks": "`" * SIZE,
    "hashes": "#" * SIZE,
    "pipes": "|" * SIZE,
    "table": "| a | b |\n" * (SIZE // 10),
    "minified": "function(a){return a+1};" * (SIZE // 24),
    "brackets": "(" * SIZE,
    "abbreviations": "e.g. " * (SIZE // 5),
    "bom": "\ufeff# Title\n\ntext",
}


@pytest.mark.parametrize("name", HARD)
def test_hard_inputs_are_cut_lawfully_in_linear_time(name):
    text = HARD[name]
    for kind in KINDS:
        begun = time.process_time()
        assert_lawful(text, kind)
        assert time.process_time() - begun < 2.5  # a quadratic step takes far longer


# -- meaning -----------------------------------------------------------------------------------------


def test_the_depth_of_a_gap_is_how_far_the_cosine_climbs_on_both_sides():
    one, other = numpy.eye(2, dtype=numpy.float32)
    found = depths(numpy.array([one, one, one, other, other, other]))
    assert found.argmax() == 2 and found[2] == pytest.approx(2.0) and found[0] == pytest.approx(0.0)


WORDS = {
    "sea": "ship harbour sailor wave anchor tide storm captain deck mast rope gull".split(),
    "bread": "flour oven dough yeast crust baker salt knead loaf rise slice butter".split(),
    "stars": "planet orbit comet telescope galaxy moon light night sky dust ring sun".split(),
    "court": "judge lawyer witness trial verdict jury oath law appeal clerk bench case".split(),
}


def joined_text(seed: int) -> tuple[str, list[int]]:
    """Segments of three to nine sentences on changing subjects in one paragraph, and where they change."""
    draw = random.Random(seed)
    text, borders, subject = "", [], ""
    for _ in range(12):
        subject = draw.choice([each for each in WORDS if each != subject])
        if text:
            borders.append(len(text))
        for _ in range(draw.randint(3, 9)):
            words = draw.sample(WORDS[subject], 5)
            text += f"The {words[0]} and the {words[1]} had a {words[2]} near {words[3]} with {words[4]}. "
    return text, borders


def window_error(length: int, found: list[int], true: list[int]) -> float:
    """Pk: how often two places, half a segment apart, are wrongly called the same subject or not."""
    width = length // (2 * (len(true) + 1))
    there = [numpy.cumsum(numpy.isin(numpy.arange(length), borders)) for borders in (found, true)]
    apart = [line[width:] != line[:-width] for line in there]
    return float((apart[0] != apart[1]).mean())


def test_cuts_find_the_changes_of_subject_by_a_margin_over_the_fixed_split():
    ours, naive, met, borders = [], [], 0, 0
    for seed in range(12):
        text, true = joined_text(seed)
        _, pieces = pieces_of(text, "text")
        starts = [piece.start for piece in pieces[1:]]
        size = len(text) // len(pieces) + 1  # as many pieces, so neither has the smaller ones
        ours.append(window_error(len(text), starts, true))
        naive.append(window_error(len(text), [a for a, _ in fixed_split(text, size)[1:]], true))
        met += sum(border in starts for border in true)
        borders += len(true)
    assert sum(ours) / len(ours) < sum(naive) / len(naive) - 0.08
    assert met / borders > 0.6


def test_no_piece_begins_or_ends_inside_a_sentence():
    text, _ = joined_text(1)
    starts = {a for a, _ in sentences(text)}
    ends = {b for _, b in sentences(text)}
    _, pieces = pieces_of(text, "text")
    assert all(piece.start in starts and piece.end in ends for piece in pieces)


def test_the_vector_of_a_piece_is_the_mean_of_its_units_by_their_tokens():
    text, _ = joined_text(2)
    units, pieces = pieces_of(text, "text")
    vectors = LexicalEmbedder().encode([text[unit.start : unit.end] for unit in units])
    found = piece_vectors(pieces, units, vectors)
    piece = pieces[3]
    mean = sum(units[i].tokens * vectors[i] for i in range(piece.first, piece.last))
    assert numpy.allclose(found[3], mean / numpy.linalg.norm(mean), atol=1e-5)


def test_the_count_without_a_tokenizer_is_not_far_below_a_tokenizers():
    assert approximate_tokens(["hello world", "", "internationalisation!", "好的天气"]) == [2, 0, 5, 4]
