"""Passages that stand in two documents: linked and kept once, and nobody loses a word where one goes."""

from __future__ import annotations

import numpy
import pytest

from batos.app import judge_in
from batos.image.export import export
from batos.image.rebuild import import_
from batos.knowledge import Memory, catalog, ingestion, structure, telling  # noqa: F401 - exports
from batos.knowledge.embedding import LexicalEmbedder
from batos.knowledge.postings import SAME, Searcher
from tests.test_catalog import file, image, open_image  # noqa: F401 - a fixture


class Meaning(LexicalEmbedder):
    """Its vectors are kept, as those of the sentence embedder are: same words, same meaning."""

    name = "meaning"
    semantic = True


@pytest.fixture
def memory(image):
    return Memory(image, Meaning())


def rule(number: int) -> str:
    return (
        f"Rule {number} of the mill says that nobody grinds barley number {number} before the bell has rung, "
        f"and that whoever does it all the same pays {number} shillings to the miller of the brook and waits."
    )


def handbook(title: str, numbers: range, more: str = "") -> str:
    return f"# {title}\n\n" + "\n\n".join(map(rule, numbers)) + f"\n\n{more}\n"


def vectors_of(image, source):
    """What a searcher of its own lays out for the passages of a source, and how many of them are linked."""

    def look(root):
        shelf = catalog.shelf_in(root)
        anew = Searcher()
        anew.follow(shelf.postings)
        first = shelf.documents[source]._first
        rows = [anew.row_of[first + n] for n in range(shelf.documents[source].chunks)]
        return anew.vectors[rows] * anew.scales[rows][:, None], int(((anew.marks[rows] & SAME) > 0).sum())

    return image.run("look", look)


def texts_of(image, source):
    def look(root):
        shelf = catalog.shelf_in(root)
        first = shelf.documents[source]._first
        return [shelf.chunks[first + n].text for n in range(shelf.documents[source].chunks)]

    return image.run("look", look)


def test_what_two_documents_share_is_kept_once_and_each_still_cites_its_own_place(memory, image, tmp_path):
    one = file(tmp_path, "one.md", handbook("Handbook", range(40)))
    two = file(tmp_path, "two.md", handbook("Handbook", range(40), "The mill is closed on Sundays."))
    sizes = []
    for path in (one, two, file(tmp_path, "other.md", handbook("Handbook", range(100, 140)))):
        memory.remember([path])
        image.pack(0)
        sizes.append((tmp_path / "image" / "live_image.fs").stat().st_size)
    assert sizes[1] - sizes[0] < 0.6 * (sizes[2] - sizes[1])
    assert vectors_of(image, str(two))[1] >= 39 and vectors_of(image, str(one))[1] == 0
    for path in (one, two):
        assert all(text in path.read_text() for text in texts_of(image, str(path)))
        found = memory.recall("barley number 17 shillings", source=str(path), why=True)[0]
        assert path.read_text()[found["start"] : found["end"]] == found["text"] and rule(17) in found["text"]
        assert found["also"] == [str({one: two, two: one}[path])]
    assert [each["text"] for each in memory.recall("barley number 17 shillings", 9)].count(found["text"]) == 1


def test_forgetting_one_leaves_the_others_whole(memory, image, tmp_path, monkeypatch):
    """Even where what was shared is handed over by several turns, and between those."""
    monkeypatch.setattr(catalog, "HANDED_OVER_A_TURN", 7)
    paths = [
        file(tmp_path, f"{name}.md", handbook("Handbook", range(30), f"It ends with the word {name}."))
        for name in ("first", "second", "third")
    ]
    memory.remember(paths)
    before = {path: (texts_of(image, str(path)), vectors_of(image, str(path))[0]) for path in paths}
    for gone in range(2):
        assert image.run("begin", lambda root, path=paths[gone]: catalog.hand_over(root, str(path)))
        for path in paths[gone:]:
            assert texts_of(image, str(path)) == before[path][0]
            assert (numpy.linalg.norm(vectors_of(image, str(path))[0], axis=1) > 0.9).all()
        memory.forget(paths[gone])
        for path in paths[gone + 1 :]:
            assert texts_of(image, str(path)) == before[path][0]
            assert numpy.abs(vectors_of(image, str(path))[0] - before[path][1]).max() < 0.2
            assert memory.recall("barley number 17 shillings", source=str(path))
    memory.forget(paths[2])
    image.pack(0)
    assert b"barley" not in (tmp_path / "image" / "live_image.fs").read_bytes()
    assert image.run("look", lambda root: len(catalog.shelf_in(root).postings.links)) == 0


def test_the_same_words_that_mean_something_else_where_they_stand_are_no_duplicate(memory, image):
    """The price under one heading is not the price under another."""
    price = "It costs five pounds a night and the breakfast is served until ten in the morning."

    class Apart(Meaning):
        def encode(self, texts):
            told = super().encode(texts)
            for row, text in zip(told, texts, strict=True):
                if "Inn" in text:
                    row[:] = numpy.roll(row, 7)
            return told

        def encode_parts(self, windows):
            return self.encode([f"{heading}\n{each}" for heading, parts in windows for each in parts])

    apart = Memory(image, Apart())
    apart.remember_text("/a", f"# Hotel\n\n{price}")
    apart.remember_text("/b", f"# Inn\n\n{price}")
    apart.remember_text("/c", f"# Hotel\n\n{price.upper()}")
    links = image.run("look", lambda root: dict(catalog.shelf_in(root).postings.links))
    first = image.run("look", lambda root: {s: d._first for s, d in catalog.shelf_in(root).documents.items()})
    assert links == {first["/c"]: first["/a"]}
    assert texts_of(image, "/c") == [
        f"# Hotel\n\n{price.upper()}"
    ]  # near is not the same: it has its own words


def test_a_large_document_shares_too_even_while_it_is_read_in(memory, image, tmp_path, monkeypatch):
    """The first edition goes while the second is half read; what that had linked is its own then."""
    monkeypatch.setattr(structure, "STRETCH", 2000)
    monkeypatch.setattr(ingestion, "CHARACTERS_A_TURN", 2000)
    one = file(tmp_path, "one.md", handbook("Handbook", range(40)))
    two = file(tmp_path, "two.md", handbook("Handbook", range(40), "Closed on Sundays."))
    memory.remember([one])
    reports = iter(range(8))

    def stop(told):
        if next(reports, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        memory.remember([two], stop)
    assert image.run("look", lambda root: len(catalog.shelf_in(root).postings.links)) > 3
    memory.forget(one)
    assert image.run("look", lambda root: len(catalog.shelf_in(root).postings.links)) == 0
    memory.remember([two])
    assert all(rule(n) in " ".join(texts_of(image, str(two))) for n in range(40))
    assert (numpy.linalg.norm(vectors_of(image, str(two))[0], axis=1) > 0.9).all()


def test_a_changed_copy_takes_its_own_place_and_export_and_import_keep_the_links(memory, image, tmp_path):
    one = file(tmp_path, "one.md", handbook("Handbook", range(30)))
    two = file(tmp_path, "two.md", handbook("Handbook", range(30), "Closed on Sundays."))
    memory.remember([one, two])
    file(tmp_path, "one.md", handbook("Handbook", range(15), "The rest was struck out."))
    memory.remember([one])
    before = {path: vectors_of(image, str(path)) for path in (one, two)}
    assert before[one][1] >= 14 and before[two][1] == 0
    asked = ("barley number 20 shillings", "barley number 5 shillings", "struck out")
    found = [memory.recall(each, why=True) for each in asked]
    export(image, tmp_path / "export")
    import_(tmp_path / "export", tmp_path / "again", judge=judge_in)
    with open_image(tmp_path / "again") as again:
        for path in (one, two):
            assert (vectors_of(again, str(path))[0] == before[path][0]).all()
            assert vectors_of(again, str(path))[1] == before[path][1]
            assert texts_of(again, str(path)) == texts_of(image, str(path))
        keys = ("text", "source", "start", "score", "also")
        assert [
            [{k: e[k] for k in keys} for e in Memory(again, Meaning()).recall(a, why=True)] for a in asked
        ] == [[{k: e[k] for k in keys} for e in each] for each in found]


def test_links_are_the_same_in_memory_whoever_lays_them_out(memory, image, tmp_path):
    """A searcher that follows change by change, and one laid out anew at the end."""
    for turn in range(6):
        for name in "abc":
            if turn % 3 == "abc".index(name):
                memory.remember(
                    [file(tmp_path, f"{name}.md", handbook("H", range(turn, turn + 9), name * turn))]
                )
    memory.forget(tmp_path / "a.md")

    def look(root):
        postings = catalog.shelf_in(root).postings
        followed, anew = postings.searcher(), Searcher()
        anew.follow(postings)
        told = []
        for each in (followed, anew):
            told.append({n: (each.vectors[r] * each.scales[r]).tolist() for n, r in each.row_of.items()})
        assert told[0].keys() == told[1].keys()
        return max(numpy.abs(numpy.subtract(told[0][n], told[1][n])).max() for n in told[0])

    assert image.run("look", look) == 0
