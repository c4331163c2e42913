"""Passages that say the same: linked, not kept twice.

Owned here: when two passages of different documents are the same, what the later one then leaves to the
earlier, and who takes over where the earlier one goes.  The same are passages with the same words, but for
case and marks, and, where there are vectors, of nearly the same meaning where they stand: "It costs 5 pounds"
under another heading says something else.

The later one delegates to the earlier as a clone to its prototype, and has no text of its own unless it differs
by a letter; its vector is not kept, and laid out from the earlier one's.  So whoever searches sees two passages,
each with its place, neighbours and score.  All links lead to a passage that has none itself.  Where it is
taken out, the first of those linked to it becomes what the others are linked to: forgetting one document costs
no other a word.

Price: passages of a document that is still being read in are linked to others, and others not to them; what a
document says twice itself it keeps twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from BTrees.LOBTree import LOBTree

from batos.knowledge.postings import SAME, block_with, prints_of
from batos.knowledge.shelf import Shelf
from batos.objects import UvmObject
from batos.objects.undo_log import unrecorded

# Of the same sentences under other headings nearly all are above .93, amid other texts most below .9.
LIKE = 0.9
WORTH = 120  # letters: without a vector to spare, a link costs as much as a shorter text
LOOKED_AT = 4  # passages with the same words that one is compared with

_SAID = re.compile(r"\w+")
# What a passage has no slot for where it has none of it: what it delegates to must not answer instead.
_NOTHING = {"section": "", "context": None, "previous": None, "next": None}


def link(
    shelf: Shelf,
    document: UvmObject,
    since: int,
    words: Sequence[Sequence[int]],
    marks: bytes,
    vectors: Any = None,
) -> bytes:
    """Link the passages of a document, from the position `since`, to what is found already and says the same;
    answers their marks, `SAME` among them.  `words`, `marks` and `vectors` are those of the passages."""
    postings, searcher = shelf.postings, shelf.searcher
    found = searcher.with_prints(prints_of(words))
    if not found:
        return marks
    first = document._first + since
    told = bytearray(marks)
    for at, rows in found.items():
        chunk = shelf.chunks[first + at]
        if vectors is None and len(chunk.text) < WORTH:
            continue
        for row in rows[:LOOKED_AT]:
            if bool(searcher.scales[row]) != (vectors is not None):
                continue
            if vectors is not None and searcher.cosines(vectors[at], [row])[0] < LIKE:
                continue
            number = int(searcher.numbers[row])
            other = shelf.chunks[postings.links.get(number, number)]
            # The edition that this one takes the place of goes in a moment.
            if other.document.origin != document.origin and _said(other) == _said(chunk):
                _delegate(chunk, other)
                postings.link(first + at, other.document._first + other.position)
                told[at] |= SAME
                break
    return bytes(told)


def _said(chunk: UvmObject) -> list[str]:
    return _SAID.findall(chunk.text.casefold())


def _delegate(chunk: UvmObject, other: UvmObject) -> None:
    for name, nothing in _NOTHING.items():
        if name not in chunk.__dict__:
            setattr(chunk, name, nothing)
    if chunk.text == other.text:
        del chunk.text
    chunk._adopt(other)


def hand_over(shelf: Shelf, numbers: range, most: int | None = None) -> bool:
    """Link nothing to the passages of a run any more, or nothing to at most `most` of them; answers whether there
    are others."""
    targets = shelf.postings.linked_to(numbers)
    # No record of a message may keep the text that an heir is given: records outlive what is forgotten.
    with unrecorded():
        for target, others in list(targets.items())[:most]:
            _inherit(shelf, target, others)
    return most is not None and len(targets) > most


def part(shelf: Shelf, numbers: range) -> None:
    """Unlink the passages of a run, which are taken out, from others and others from them."""
    hand_over(shelf, numbers)
    for number in shelf.postings.linked_from(numbers):
        shelf.postings.unlink(number)


def _inherit(shelf: Shelf, target: int, others: list[int]) -> None:
    """Others are linked to a passage that goes: the first that is found takes its place.  Those that are not
    found yet, because their document is still read in, get all of their own."""
    going = shelf.chunks[target]
    text = going.text
    kept = shelf.postings.kept_row(target)
    heir: UvmObject | None = None
    for number in others:
        chunk = shelf.chunks[number]
        shelf.postings.unlink(number)
        delegated = "text" not in chunk.__dict__
        chunk._disown(going)
        blocks, found = _blocks_of(shelf, number)
        if heir is not None and found:
            chunk._adopt(heir)
            if delegated and heir.text != text:
                chunk.text = text
            shelf.postings.link(number, heir.document._first + heir.position)
            continue
        if delegated:
            chunk.text = text
        first, block = block_with(blocks, number)
        block.own(number - first, kept)
        if found:
            heir = chunk


def _blocks_of(shelf: Shelf, number: int) -> tuple[LOBTree, bool]:
    """(the blocks with a passage in them, whether they are found)."""
    document = shelf.chunks[number].document
    document._p_activate()
    aside = document.__dict__.get("_aside")
    return (shelf.postings.blocks, True) if aside is None else (aside, False)


def also(shelf: Shelf, number: int) -> list[str]:
    """The other sources in which a passage stands, but for case and marks."""
    postings = shelf.postings
    target = postings.links.get(number, number)
    same = [target, *postings.linked_to(range(target, target + 1)).get(target, ())]
    found = {shelf.chunks[each].document.origin for each in same if each != number}
    return sorted(found - {shelf.chunks[number].document.origin})
