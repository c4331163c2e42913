"""What passages are found by: their words and their vectors, kept in blocks and laid out for searching.

Owned here: `Block`, the record of up to `ROWS` passages of one document; `Postings`, the text index that
holds the blocks and speaks zope.index's language; and `Searcher`, which lays the blocks of a connection
out in memory.  What a score is worth, and what becomes an answer, is `search`'s business.

A block says which words stand in which passage, not the other way round.  So a document that comes or goes
writes its own records and nobody else's, a small add stays small, and what is forgotten leaves no trace in
a list that others share.  The inverted lists are built in memory, from blocks alone, and follow the image
block by block.  The price is their building in a fresh process: a quarter of a second for 50,000 passages.
Only the vector of a passage that says what another one says is not kept again: which is whose is `likeness`'s
business, and who is linked to whom is kept here, because laying out asks for it.

Scores by words are Okapi BM25 (k1 = 1.2, b = 0.75).  Numbers of passages have 64 bits and are never given
out twice, not even after an abort or an undo: that is how a searcher knows a block without looking into it.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from BTrees import family64
from BTrees.LFBTree import LFBucket
from BTrees.LLBTree import LLBTree
from BTrees.LOBTree import LOBTree
from BTrees.OOBTree import OOTreeSet
from persistent import Persistent
from zope.index.interfaces import IStatistics
from zope.index.text.interfaces import IExtendedQuerying, ILexiconBasedIndex
from zope.interface import implementer

ROWS = 256  # passages a block: 150 KB, one read
BLOCKS_AT_ONCE = 64  # in memory while they are laid out: 10 MB
TAIL = 100_000  # entries searched without being sorted, before they join the inverted lists
CANDIDATES = 1_000  # rows whose cosines are looked at; where there are more, the signs of vectors choose them
FEW = 16  # prints that are looked for one by one
K1, B = 1.2, 0.75
QUESTION_WORDS = 64  # a longer question is asked by its rarest words
# Marks of a passage: it ends with a question; it is what somebody said in a conversation; its vector is that
# of the passage it is linked to.
ASKS, TURN, SAME = 1, 2, 4


class Block(Persistent):
    """The words and vectors of some passages in a row.

    counts  uint16 (n,): different words of each passage
    wids    uint32 (sum of counts,): which; times, uint8: how often
    vectors int8 (m, d) and scales float32 (m,), of the m passages that are not `SAME`; both empty for
            passages that have no vectors
    marks   uint8 (n,): `ASKS`, `TURN` and `SAME`; empty where nothing is marked
    """

    marks = b""

    def __init__(self, words: Sequence[Sequence[int]], vectors: Any = None, marks: bytes = b""):
        import numpy

        self.tally(words, marks)
        self.vectors = self.scales = b""
        if vectors is not None and any(marks):
            vectors = vectors[self.own_rows()]
        if vectors is not None and len(vectors):
            scales = numpy.maximum(numpy.abs(vectors).max(axis=1), 1e-9) / 127
            self.vectors = numpy.rint(vectors / scales[:, None]).astype(numpy.int8).tobytes()
            self.scales = scales.astype(numpy.float32).tobytes()

    def tally(self, words: Sequence[Sequence[int]], marks: bytes = b"") -> None:
        """Keep which words stand in each passage, and how it is marked."""
        import numpy

        if any(marks):
            self.marks = marks
        tallies = [Counter(each) for each in words]
        self.counts = numpy.array([len(each) for each in tallies], dtype=numpy.uint16).tobytes()
        self.wids = numpy.array([wid for each in tallies for wid in each], dtype=numpy.uint32).tobytes()
        self.times = bytes(min(255, times) for each in tallies for times in each.values())

    def __len__(self) -> int:
        return len(self.counts) // 2

    def words(self) -> tuple[Any, Any, Any]:
        """(counts (n,), wids, times) as arrays."""
        import numpy

        return (
            numpy.frombuffer(self.counts, dtype=numpy.uint16),
            numpy.frombuffer(self.wids, dtype=numpy.uint32),
            numpy.frombuffer(self.times, dtype=numpy.uint8),
        )

    def own_rows(self) -> Any:
        """The places of the passages that are not `SAME`, ascending."""
        import numpy

        if not self.marks:
            return numpy.arange(len(self))
        return numpy.flatnonzero((numpy.frombuffer(self.marks, dtype=numpy.uint8) & SAME) == 0)

    def own(self, at: int, kept: tuple[Any, Any] | None) -> None:
        """Have the passage at a place be `SAME` no longer, and keep its vector, (int8 (d,), scale)."""
        import numpy

        before = int(numpy.searchsorted(self.own_rows(), at))
        marks = bytearray(self.marks)
        marks[at] &= ~SAME
        self.marks = bytes(marks)
        if kept is not None:
            row, scale = kept[0].tobytes(), kept[1].tobytes()
            self.vectors = self.vectors[: before * len(row)] + row + self.vectors[before * len(row) :]
            self.scales = self.scales[: before * 4] + scale + self.scales[before * 4 :]

    def kept_vectors(self) -> tuple[Any, Any] | None:
        """(int8 (m, d), scales (m,)) of the passages that are not `SAME`, None where there are none."""
        import numpy

        if not self.scales:
            return None
        scales = numpy.frombuffer(self.scales, dtype=numpy.float32)
        return numpy.frombuffer(self.vectors, dtype=numpy.int8).reshape(len(scales), -1), scales


def blocks_of(
    first: int, words: Sequence[Sequence[int]], vectors: Any = None, marks: bytes = b""
) -> dict[int, Block]:
    """The passages ``first, first + 1, ...`` in blocks, each under the number of its first passage."""
    found = {}
    for at in range(0, len(words), ROWS):
        some = slice(at, at + ROWS)
        found[first + at] = Block(words[some], None if vectors is None else vectors[some], marks[some])
    return found


def block_with(blocks: Mapping[int, Block], number: int) -> tuple[int, Block]:
    """(the number of its first passage, the block) in which a passage stands; `KeyError` where none does."""
    try:
        first = blocks.maxKey(number)  # type: ignore[attr-defined]
    except ValueError:
        raise KeyError(number) from None
    block = blocks[first]
    if number - first >= len(block):
        raise KeyError(number)
    return first, block


def prints_of(words: Sequence[Sequence[int]]) -> Any:
    """A number for each passage that others with the same words have too, uint64 (n,); 0 of no words."""
    import numpy

    counts = numpy.array([len(each) for each in words], dtype=numpy.int64)
    wids = numpy.array([wid for each in words for wid in each], dtype=numpy.uint32)
    return _prints(counts, wids, numpy.ones(len(wids), dtype=numpy.uint8))


def _prints(counts: Any, wids: Any, times: Any) -> Any:
    """The same of a block's arrays: a sum over words, each scattered as splitmix64 does it (Steele, 2014)."""
    import numpy

    told = wids.astype(numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        told ^= told >> numpy.uint64(shift)
        told *= numpy.uint64(factor)
    told ^= told >> numpy.uint64(31)
    sums = numpy.concatenate([numpy.zeros(1, dtype=numpy.uint64), numpy.cumsum(told * times)])
    ends = numpy.cumsum(counts, dtype=numpy.int64)
    return sums[ends] - sums[ends - counts]


@implementer(ILexiconBasedIndex, IExtendedQuerying, IStatistics)
class Postings(Persistent):
    """The text index: blocks by the number of their first passage.

    It can stand in a `zope.index.text.textindex.TextIndex`, whose query language it then answers.
    """

    family = family64
    # Of an index that was made before passages were linked; `catalog` gives it its own.
    links, _linked = LLBTree(), OOTreeSet()

    def __init__(self, lexicon: Any):
        self.lexicon = lexicon
        self.blocks = LOBTree()
        self.links = LLBTree()  # the number of a passage -> of the one that says the same, which has no link
        self._linked = OOTreeSet()  # (that one, the first)
        self.stamp = 0  # another one after every change

    def put(
        self, first: int, words: Sequence[Sequence[int]], vectors: Any = None, marks: bytes = b""
    ) -> None:
        """Add the passages ``first, first + 1, ...``: the lexicon's numbers of the words of each."""
        self.attach(blocks_of(first, words, vectors, marks))

    def attach(self, blocks: Mapping[int, Block]) -> None:
        """Have blocks found from now on, each under the number of its first passage."""
        self.blocks.update(blocks)
        self.stamp = secrets.randbits(62)

    def detach(self, numbers: range) -> LOBTree:
        """Take out the blocks of a run of passages, none of which is looked into; answers them."""
        found = LOBTree(self.blocks.items(numbers.start, numbers.stop, excludemax=True))
        for first in found:
            del self.blocks[first]
        self.stamp = secrets.randbits(62)
        return found

    def remove(self, numbers: range, used: Callable[[int], bool] = lambda wid: False) -> None:
        """Take out the blocks of a run of passages, and the words that only they had."""
        self.forget_words(self.detach(numbers).values(), used)

    def forget_words(self, blocks: Iterable[Block], used: Callable[[int], bool]) -> None:
        """Forget the words of blocks that are taken out where no passage has them any more; `used` says
        which are wanted all the same."""
        import numpy

        searcher = self.searcher()
        there: set[int] = set()
        for block in blocks:
            there.update(numpy.unique(block.words()[1]).tolist())
        for wid in there:
            if not searcher.documents_with(wid) and not used(wid):
                self.lexicon.forget(wid)

    def be_linked(self) -> None:
        """Have room for links, in an index that was made before there were any."""
        self._p_activate()
        if "links" not in self.__dict__:
            self.links, self._linked = LLBTree(), OOTreeSet()

    def link(self, number: int, target: int) -> None:
        """Have a passage be linked to one that says the same, is found and has no link itself."""
        self.links[number] = target
        self._linked.insert((target, number))

    def unlink(self, number: int) -> None:
        """Take a passage's link away."""
        self._linked.remove((self.links.pop(number), number))

    def linked_to(self, numbers: range) -> dict[int, list[int]]:
        """Which passages are linked to those of a run, each with its own, ascending."""
        found: dict[int, list[int]] = {}
        for target, number in self._linked.keys((numbers.start, 0), (numbers.stop, 0)):
            found.setdefault(target, []).append(number)
        return found

    def linked_from(self, numbers: range) -> list[int]:
        """Which passages of a run are linked to another."""
        return list(self.links.keys(numbers.start, numbers.stop, excludemax=True))

    def kept_row(self, number: int) -> tuple[Any, Any] | None:
        """The vector of a passage that has no link, (int8 (d,), scale); None where it has none, or is not there."""
        try:
            first, block = block_with(self.blocks, number)
        except KeyError:
            return None
        kept = block.kept_vectors()
        if kept is None:
            return None
        at = int(block.own_rows().searchsorted(number - first))
        return kept[0][at], kept[1][at]

    def searcher(self) -> Searcher:
        """All of it laid out in memory, as this connection sees it now."""
        jar = self._p_jar
        if jar is None:
            found = getattr(self, "_v_searcher", None)
            if found is None:
                found = self._v_searcher = Searcher()
        else:
            found = _searchers.get(jar)
            if found is None or found.oid != self._p_oid:
                found = _searchers[jar] = Searcher(self._p_oid)
        found.follow(self)
        return found

    # -- zope.index ----------------------------------------------------------------------------------

    def index_doc(self, docid: int, text: Any) -> None:
        self.unindex_doc(docid)
        self.put(docid, [self.lexicon.sourceToWordIds(text)])

    def unindex_doc(self, docid: int) -> None:
        if docid in self.blocks and len(self.blocks[docid]) == 1:
            self.remove(range(docid, docid + 1))

    def clear(self) -> None:
        self.blocks.clear()
        self.stamp = secrets.randbits(62)

    def documentCount(self) -> int:  # noqa: N802 - zope's name
        return self.searcher().living

    def wordCount(self) -> int:  # noqa: N802
        return len(self.lexicon._wids)

    def has_doc(self, docid: int) -> bool:
        return docid in self.searcher().row_of

    def get_words(self, docid: int) -> list[int]:
        first = self.blocks.maxKey(docid)
        counts, wids, _ = self.blocks[first].words()
        start = int(counts[: docid - first].sum())
        return wids[start : start + int(counts[docid - first])].tolist()

    def search(self, term: str) -> Any:
        return self._scored(self.lexicon.termToWordIds(term))

    def search_glob(self, pattern: str) -> Any:
        return self._scored(self.lexicon.globToWordIds(pattern))

    def search_phrase(self, phrase: str) -> Any:
        """Passages that have all the words; in which order they stand is seen in the passage (`search`)."""
        wids = set(self.lexicon.termToWordIds(phrase))
        searcher = self.searcher()
        rows = searcher.rows_with_all(wids)
        return self._told(searcher, searcher.okapi(wids)[0], rows)

    def query_weight(self, terms: Iterable[str]) -> float:
        return self.searcher().okapi({wid for term in terms for wid in self.lexicon.termToWordIds(term)})[1]

    def _scored(self, wids: Iterable[int]) -> Any:
        searcher = self.searcher()
        scores, _ = searcher.okapi(set(wids))
        return self._told(searcher, scores, scores.nonzero()[0])

    def _told(self, searcher: Searcher, scores: Any, rows: Any) -> Any:
        told = LFBucket()
        told.update({int(searcher.numbers[row]): float(scores[row]) for row in rows})
        return told


_searchers: WeakKeyDictionary[Any, Searcher] = WeakKeyDictionary()  # of each connection


class Searcher:
    """The blocks of a `Postings` as one inverted file and one matrix.

    Row r is a passage: ``numbers[r]`` its number, ``document[r]`` another value in every document,
    ``alive[r]`` whether it is still there.  Rows of a document stand in its order, one after the other.
    """

    def __init__(self, oid: bytes | None = None):
        self.oid = oid
        self._empty()

    def _empty(self) -> None:
        import numpy

        self.stamp: int | None = 0
        self.size = 0  # rows, dead ones too
        self.living = 0
        self.words = 0.0  # in living rows together
        self.row_of: dict[int, int] = {}  # number -> row
        self.first_rows: dict[int, tuple[int, int]] = {}  # number of a block -> (row, rows)
        self.numbers = numpy.zeros(0, dtype=numpy.int64)
        self.lengths = numpy.zeros(0, dtype=numpy.float32)
        self.alive = numpy.zeros(0, dtype=bool)
        self.document = numpy.zeros(0, dtype=numpy.int32)
        self.marks = numpy.zeros(0, dtype=numpy.uint8)
        self.prints = numpy.zeros(0, dtype=numpy.uint64)  # see `prints_of`
        self.scales = numpy.zeros(0, dtype=numpy.float32)  # 0: no vector
        self.vectors = numpy.zeros((0, 0), dtype=numpy.int8)
        self.signs = numpy.zeros((0, 0), dtype=numpy.uint64)  # (d / 64, rows)
        self._wids = numpy.zeros(0, dtype=numpy.uint32)  # ascending
        self._rows = numpy.zeros(0, dtype=numpy.int32)
        self._times = numpy.zeros(0, dtype=numpy.uint8)
        self._new: list[tuple[Any, Any, Any]] = []
        self._tail: tuple[Any, Any, Any] | None = None
        self._norms: Any = None
        self._followed: Any = None
        self._with_vectors: Any = None  # bool (size,)

    # -- following -----------------------------------------------------------------------------------

    def follow(self, postings: Postings) -> None:
        """Become what `postings` is now."""
        if self.stamp == postings.stamp:
            return
        there = set(postings.blocks.keys())
        for first in [each for each in self.first_rows if each not in there]:
            self._drop(first)
        if self.size - self.living > max(1000, self.living // 3):
            self._empty()  # too many graves: lay it out anew
        fresh = sorted(there.difference(self.first_rows))
        for at in range(0, len(fresh), BLOCKS_AT_ONCE):
            firsts = fresh[at : at + BLOCKS_AT_ONCE]
            blocks = [postings.blocks[first] for first in firsts]
            self._add(firsts, blocks, postings)
            for block in blocks:
                block._p_deactivate()  # what it holds stands here now
        self.stamp = postings.stamp
        self._norms = self._followed = self._with_vectors = None  # laid out when somebody asks

    @property
    def followed(self) -> Any:
        """Which rows are followed by another of their document, bool (size - 1,)."""
        if self._followed is None:
            size = self.size
            self._followed = self.document[1:size] == self.document[: max(0, size - 1)]
        return self._followed

    def _drop(self, first: int) -> None:
        row, count = self.first_rows.pop(first)
        self.alive[row : row + count] = False
        self.living -= count
        self.words -= float(self.lengths[row : row + count].sum())
        for number in range(first, first + count):
            del self.row_of[number]

    def _add(self, firsts: Sequence[int], blocks: Sequence[Block], postings: Postings) -> None:
        import numpy

        count = sum(map(len, blocks))
        self._grow(
            self.size + count, next((4 * len(b.vectors) // len(b.scales) for b in blocks if b.scales), 0)
        )
        row = self.size
        after = int(self.numbers[row - 1]) + 1 if row else None
        entries = []
        for first, block in zip(firsts, blocks, strict=True):
            counts, wids, times = block.words()
            n = len(counts)
            here = slice(row, row + n)
            rows = numpy.repeat(numpy.arange(row, row + n, dtype=numpy.int32), counts)
            entries.append((wids, rows, times))
            self.numbers[here] = numpy.arange(first, first + n)
            self.lengths[here] = numpy.bincount(rows - row, weights=times, minlength=n)
            # The blocks of a document follow each other without a gap; documents seldom do, and then
            # only a neighbour too many is looked at.
            before = int(self.document[row - 1]) if row else 0
            self.document[here] = before if first == after else before + 1
            self.alive[here] = True
            self.marks[here] = numpy.frombuffer(block.marks, dtype=numpy.uint8) if block.marks else 0
            self.prints[here] = _prints(counts.astype(numpy.int64), wids, times)
            self.scales[here] = 0
            kept = block.kept_vectors()
            if kept is not None:
                own = row + block.own_rows()
                self.vectors[own], self.scales[own] = kept
            self.first_rows[first] = (row, n)
            self.row_of.update(zip(range(first, first + n), range(row, row + n), strict=True))
            row, after = row + n, first + n
        self.words += float(self.lengths[self.size : row].sum())
        fresh = slice(self.size, row)
        for at in numpy.flatnonzero(self.marks[fresh] & SAME) + self.size:
            target = postings.links.get(int(self.numbers[at]), 0)  # of nobody: found by its words alone
            there = self.row_of.get(target)
            if there is not None:
                self.vectors[at], self.scales[at] = self.vectors[there], self.scales[there]
            elif (kept := postings.kept_row(target)) is not None:
                self.vectors[at], self.scales[at] = kept
        if self.vectors.shape[1]:
            bits = numpy.packbits(self.vectors[fresh] > 0, axis=1)  # (n, d / 8)
            self.signs[:, fresh] = bits.view(numpy.uint64).T
        self.size, self.living = row, self.living + count
        self._new.extend(entries)
        self._tail = None

    def _grow(self, size: int, width: int) -> None:
        import numpy

        if width and not self.vectors.shape[1]:
            self.vectors = numpy.zeros((len(self.numbers), width), dtype=numpy.int8)
            self.signs = numpy.zeros((width // 64, len(self.numbers)), dtype=numpy.uint64)
        if size <= len(self.numbers):
            return
        size = max(size, len(self.numbers) * 3 // 2)
        for name in ("numbers", "lengths", "alive", "document", "marks", "prints", "scales", "vectors"):
            old = getattr(self, name)
            new = numpy.zeros((size, *old.shape[1:]), dtype=old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)
        signs = numpy.zeros((len(self.signs), size), dtype=numpy.uint64)
        signs[:, : self.signs.shape[1]] = self.signs
        self.signs = signs

    def _entries(self) -> tuple[Any, Any, Any]:
        """(wids, rows, times) that are not sorted yet; sorts all when they are many."""
        import numpy

        if self._tail is None:
            parts = list(zip(*self._new, strict=True)) or [
                [self._wids[:0]],
                [self._rows[:0]],
                [self._times[:0]],
            ]
            tail = tuple(numpy.concatenate(each) for each in parts)
            if len(tail[0]) > max(TAIL, len(self._wids) // 8):
                wids, rows, times = (
                    numpy.concatenate(pair)
                    for pair in zip((self._wids, self._rows, self._times), tail, strict=True)
                )
                if self.living < self.size:
                    left = self.alive[rows]
                    wids, rows, times = wids[left], rows[left], times[left]
                order = numpy.argsort(wids, kind="stable")
                self._wids, self._rows, self._times = wids[order], rows[order], times[order]
                tail = self._wids[:0], self._rows[:0], self._times[:0]
            self._new = [tail]
            self._tail = tail
        return self._tail

    # -- passages that say the same ------------------------------------------------------------------

    def with_prints(self, prints: Any) -> dict[int, list[int]]:
        """Which living rows have some prints, but for 0: place among those -> rows, ascending."""
        import numpy

        ours = self.prints[: self.size]
        if len(prints) < FEW:
            among = numpy.zeros(self.size, dtype=bool)
            for each in prints:
                among |= ours == each
        else:
            order = numpy.argsort(prints, kind="stable")
            at = numpy.searchsorted(prints[order], ours)
            at[at == len(prints)] = 0
            among = prints[order[at]] == ours
        of_print: dict[int, list[int]] = {}
        for row in numpy.flatnonzero(among & self.alive[: self.size] & (ours != 0)).tolist():
            of_print.setdefault(int(ours[row]), []).append(row)
        if not of_print:
            return {}
        told = ((place, of_print.get(each)) for place, each in enumerate(prints.tolist()))
        return {place: rows for place, rows in told if rows is not None}

    # -- words ---------------------------------------------------------------------------------------

    def _postings(self, wid: int) -> tuple[Any, Any]:
        """(rows, times) of the living passages with a word."""
        import numpy

        tail_wids, tail_rows, tail_times = self._entries()
        # Of the array's own type, or all of it would be converted first.
        a, b = numpy.searchsorted(self._wids, numpy.array([wid, wid + 1], dtype=numpy.uint32))
        rows, times = self._rows[a:b], self._times[a:b]
        if len(tail_wids):
            (at,) = numpy.nonzero(tail_wids == wid)
            if len(at):
                rows = numpy.concatenate([rows, tail_rows[at]])
                times = numpy.concatenate([times, tail_times[at]])
        if self.living < self.size:
            left = self.alive[rows]
            rows, times = rows[left], times[left]
        return rows, times

    def documents_with(self, wid: int) -> int:
        """How many passages have a word."""
        return len(self._postings(wid)[0])

    def rows_with_all(self, wids: Iterable[int]) -> Any:
        """The rows that have every one of some words, ascending."""
        import numpy

        found = sorted((self._postings(wid)[0] for wid in wids), key=len)
        rows = found[0] if found else numpy.zeros(0, dtype=numpy.int32)
        for each in found[1:]:  # the rarest first: mostly there is soon nothing left to look for
            if not len(rows):
                break
            at = numpy.searchsorted(each, rows)  # rows of a word ascend, as they came in
            rows = rows[each[numpy.minimum(at, len(each) - 1)] == rows]
        return rows

    def okapi(self, wids: Iterable[int]) -> tuple[Any, float]:
        """What some words find: (the Okapi sum of every row, float32 (size,); the weight of the question).

        0 stands for a word nobody has seen: it finds nothing and weighs as much as the rarest there is,
        so a passage that misses it is not taken for an answer.
        """
        import numpy

        scores = numpy.zeros(self.size, dtype=numpy.float32)
        wids = list(wids)
        found = [
            (rows, times) for wid in set(wids) - {0} for rows, times in [self._postings(wid)] if len(rows)
        ]
        found.sort(key=lambda each: len(each[0]))
        found = found[:QUESTION_WORDS]
        unseen = min(QUESTION_WORDS - len(found), len(set(wids)) - len(found))
        total = max(float(self.living), 1.0)
        weight = unseen * float(numpy.log1p(total))
        if self._norms is None:
            mean = self.words / total or 1.0
            self._norms = K1 * (1 - B + B * self.lengths[: self.size] / mean)
        for rows, times in found:
            idf = float(numpy.log1p(total / len(rows)))
            weight += idf
            often = times.astype(numpy.float32)
            scores[rows] += idf * (K1 + 1) * often / (often + self._norms[rows])
        return scores, weight

    # -- meaning -------------------------------------------------------------------------------------

    def cosines(self, vector: Any, rows: Any) -> Any:
        """The cosine of a vector with those of some rows; 0 for a row that has none."""
        import numpy

        if not self.vectors.shape[1]:
            return self.scales[rows]
        # Not by BLAS, which wakes all cores for a millionth of a second's work.
        return numpy.einsum("rd,d->r", self.vectors[rows].astype(numpy.float32), vector) * self.scales[rows]

    def nearest(self, vector: Any, count: int, among: Any = None) -> Any:
        """The rows with the highest cosines, in no order: all of them looked at, or those of like signs.

        among  bool (size,): no others
        """
        import numpy

        if self._with_vectors is None:
            self._with_vectors = self.alive[: self.size] & (self.scales[: self.size] > 0)
        there = self._with_vectors if among is None else self._with_vectors & among
        some = max(CANDIDATES, 4 * count)
        many = int(there.sum())
        if many > some:
            bits = numpy.packbits(vector > 0).view(numpy.uint64)
            apart = numpy.zeros(self.size, dtype=numpy.uint16)
            for mine, theirs in zip(bits, self.signs, strict=True):
                apart += numpy.bitwise_count(theirs[: self.size] ^ mine)
            if many < self.size:
                apart[~there] = 65_535
            # The value that parts them first: that is ten times as fast as asking for the places at once.
            border = numpy.partition(apart, some)[some]
            rows = numpy.flatnonzero(apart < border)
            rows = numpy.concatenate([rows, numpy.flatnonzero(apart == border)[: some - len(rows)]])
        else:
            rows = numpy.flatnonzero(there)
        if len(rows) > count:
            rows = rows[numpy.argpartition(-self.cosines(vector, rows), count - 1)[:count]]
        return rows
