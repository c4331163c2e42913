"""From a question to answers: filters, phrases, neighbours, copies, facts that were replaced, text for n tokens."""

from __future__ import annotations

import random
from pathlib import Path

import numpy
import pytest

from batos.config import Settings
from batos.image import LivingImage
from batos.knowledge import Memory, catalog, itself, search
from batos.knowledge.chunking import join, split
from batos.knowledge.embedding import LexicalEmbedder
from batos.knowledge.postings import Block, Postings, Searcher
from batos.knowledge.words import Words
from batos.objects import UvmObject
from batos.objects.genesis import genesis
from batos.objects.lookup import send
from tests.test_catalog import BREAD, HARBOUR, file


@pytest.fixture
def image(tmp_path):
    birth = lambda root: genesis(root, [catalog.catalog])  # noqa: E731
    with LivingImage.open(tmp_path / "image", Settings(), birth=birth) as opened:
        yield opened


@pytest.fixture
def memory(image):
    return Memory(image, LexicalEmbedder())


# -- which passages may answer -----------------------------------------------------------------------


def test_only_sources_kinds_personas_and_times_that_were_asked_for_answer(memory):
    memory.remember_text("/a/pier.md", "The pier was broken by the storm.", persona="BRICK", remembered=100.0)
    memory.remember_text(
        "/a/late.md", "The storm broke the lighthouse too.", persona="ROBIN", remembered=300.0
    )
    memory.remember_text("/b/storm.txt", "A storm is a strong wind.", kind="text", remembered=200.0)

    def found(**only):
        return sorted(each["source"] for each in memory.recall("storm", **only))

    assert found() == ["/a/late.md", "/a/pier.md", "/b/storm.txt"]
    assert found(source="/a/") == ["/a/late.md", "/a/pier.md"]
    assert found(kind="text") == ["/b/storm.txt"]
    assert found(persona="BRICK") == ["/a/pier.md"]
    assert found(since=150.0) == ["/a/late.md", "/b/storm.txt"]
    assert found(since=150.0, until=250.0) == ["/b/storm.txt"]
    assert found(source="/a/", since=150.0) == ["/a/late.md"]
    assert found(source="/c/") == found(kind="latin") == []


def test_words_in_quotes_come_first_where_they_stand_as_they_are(memory):
    memory.remember_text(
        "/apart", "The master of ships met the harbour pilot, harbour after harbour, master of all."
    )
    memory.remember_text(
        "/together", "Somebody asked the harbour master about boats and about other things too."
    )
    assert memory.recall('"harbour master"')[0]["source"] == "/together"


def test_a_star_and_a_word_nobody_has_used_stand_for_what_begins_so(memory):
    memory.remember_text("/a", "The lighthouse keeper sleeps in the morning.")
    assert memory.recall("lighth*") and memory.recall("lightho?") and memory.recall("lighth")
    assert memory.recall("li* xyz")[0]["source"] == "/a"


def test_who_types_nothing_but_a_number_finds_what_has_it_however_much_else_that_says(memory):
    words = [f"word{n}" for n in range(120)]
    memory.remember_text("/codes", " ".join([*words, "E20", *words[:20]]), "text")
    for n in range(40):
        memory.remember_text(f"/short{n}", f"Remark {n}.", "text")
    (found,) = memory.recall("E20", why=True)
    assert found["source"] == "/codes" and found["words"] < found["score"] == search.FLOOR
    assert memory.recall("E20 walrus") == [] == memory.recall("E20", least=0.5)


def test_a_turn_that_leans_on_the_one_before_it_is_found_by_what_that_one_asked(memory):
    talk = "Ann: Which instrument did you pick?\nBob: The oboe.\nAnn: Rain again.\nBob: All week.\n"
    memory.remember_text("/talk", talk, kind="chat")
    found = [each["text"] for each in memory.recall("which instrument", top=2)]
    assert found == ["Ann: Which instrument did you pick?", "Bob: The oboe."]


def test_why_a_passage_answers_is_told(memory):
    memory.remember_text("/a.md", HARBOUR)
    memory.remember_text("/copy.md", HARBOUR)
    (told,) = memory.recall("harbour master storm", why=True)
    assert told["also"] == ["/copy.md"] and told["section"] == "Harbour"
    assert 0 < told["words"] <= 1 and told["meaning"] is None and told["oid"].startswith("0x")


# -- the same bytes twice ----------------------------------------------------------------------------


def test_a_copy_of_a_document_is_linked_and_outlives_the_first(memory, image, tmp_path):
    one, two, three = (file(tmp_path, f"{n}.md", HARBOUR) for n in range(3))
    told = memory.remember([one, two, three])
    chunks = image.run("look", lambda root: len(root["knowledge_catalog_obj"]._shelf.chunks))
    assert (told["documents"], chunks) == (3, 1)
    assert image.run("look", catalog.sources) == [str(one), str(two), str(three)]
    assert memory.remember([one, two, three])["unchanged"] == 3
    memory.forget(one)
    assert memory.recall("harbour master storm")[0]["source"] == str(two)
    file(tmp_path, "1.md", BREAD)
    memory.remember([two])
    assert memory.recall("harbour master storm")[0]["source"] == str(three)
    memory.forget(three)
    assert memory.recall("harbour master storm") == [] and memory.recall("dough rise")
    memory.forget(two)
    shelf = image.run(
        "look",
        lambda root: {
            n: len(v)
            for n, v in root["knowledge_catalog_obj"]._shelf.__dict__.items()
            if hasattr(v, "__len__")
        },
    )
    assert not any(shelf.values()), shelf


# -- facts that were replaced ------------------------------------------------------------------------


def test_a_fact_that_was_replaced_is_kept_and_dated_and_the_newer_one_wins(memory):
    memory.learn("The harbour master of Wick is called Ada.", about="harbour master of Wick")
    memory.learn("The baker of Wick is called Udo.", about="baker of Wick")
    memory.learn("The harbour master of Wick is called Bea.", about="harbour master of Wick")
    first, *others = memory.recall("who is the harbour master of Wick", why=True)
    assert "Bea" in first["text"] and first["superseded_by"] is None
    (old,) = [each for each in others if "Ada" in each["text"]]
    assert old["superseded_by"] == first["source"] and old["score"] < first["score"]
    assert old["remembered"] <= first["remembered"]
    memory.forget(first["source"])  # the newer one was wrong: the older one holds again
    assert memory.recall("who is the harbour master of Wick", why=True)[0]["superseded_by"] is None


# -- text for so many tokens -------------------------------------------------------------------------


def test_the_text_for_a_budget_keeps_to_it_joins_neighbours_and_cites_exactly(memory, tmp_path):
    draw = random.Random(1)
    words = "grass wheat stone cloud river meadow hill sheep fence gate lane brook".split()
    parts = [" ".join(draw.choices(words, k=25)).capitalize() + "." for _ in range(40)]
    parts[20] = "The walrus was seen by the ferryman at dawn, on the ice."
    text = "\n\n".join(parts)
    path = file(tmp_path, "long.txt", text)
    memory.remember([path])
    for tokens in (30, 100, 300):
        found = memory.context("where was the walrus seen", tokens)
        assert 0 < sum(each["tokens"] for each in found) <= tokens
        assert "walrus" in found[0]["text"]
        for each in found:
            assert "".join(each["text"].split()) == "".join(text[each["start"] : each["end"]].split())
    assert (
        memory.context("where was the walrus seen", 300)[0]["text"].count("\n\n") >= 1
    )  # with its neighbours
    assert memory.context("nothing of the kind", 300) == []


def test_a_question_about_a_whole_document_gets_its_digest_first(memory):
    chapters = [
        f"# {n}\n\nChapter {n} of the report tells of the harvest in the valley of {n}." for n in range(30)
    ]
    memory.remember_text("/report.md", "\n\n".join(["The report was written in autumn.", *chapters]))
    narrow = memory.context("the valley of 17", 60)
    assert "valley of 17" in narrow[0]["text"]
    broad = memory.context("what is the report of the valley of 17 about?", 120)
    # Without vectors the digest is how the document begins.
    assert broad[0]["text"].startswith("The report was written in autumn.")
    assert any("valley of 17" in each["text"] for each in broad)
    assert sum(each["tokens"] for each in broad) <= 120


# -- passages are objects ----------------------------------------------------------------------------


def test_contexts_are_climbed_and_descended_by_messages(memory, image):
    text = "# House\n\nIt is old.\n\n## Rooms\n\nThe kitchen has a stove.\n\n## Cellar\n\nThe cellar is dark and wet.\n"
    memory.remember_text("/house.md", text)

    def story(root):
        chunk = send(root["knowledge_catalog_obj"], "search_", ("cellar dark",), {})[0]
        section = send(chunk, "zoom_out", (), {})
        assert (section.title, send(section, "text", (), {})) == (
            "Cellar",
            "## Cellar\n\nThe cellar is dark and wet.",
        )
        house = send(section, "zoom_out", (), {})
        assert house.title == "House" and "It is old." in send(house, "digest_text", (), {})
        assert [each.title for each in send(house, "zoom_in", (), {}) if "title" in each._slots] == [
            "Rooms",
            "Cellar",
        ]
        document = send(house, "zoom_out", (), {})
        assert document is chunk.document and send(document, "zoom_out", (), {}) is None
        assert [each.title for each in send(document, "zoom_in", (), {})] == ["House"]
        assert send(section, "zoom_in", (), {}) == [chunk]

    image.run("story", story)


def test_passages_alike_are_found_from_one_of_them(memory, image):
    memory.remember_text("/a", "A storm broke the pier of the harbour.")
    memory.remember_text("/b", "The harbour's pier was broken when a storm came.")
    memory.remember_text("/c", "Knead the dough until it is smooth.")

    def story(root):
        chunk = send(root["knowledge_catalog_obj"], "search_", ("storm broke pier",), {})[0]
        alike = send(chunk, "alike", (), {})
        assert [each.document.origin for each in alike] == ["/b" if chunk.document.origin == "/a" else "/a"]

    image.run("story", story)


# -- batos remembers itself --------------------------------------------------------------------------


def test_an_object_is_remembered_with_its_slots_and_methods(memory, image):
    def make(root):
        account = UvmObject(root["genesis_obj"], balance=40, owner="Ada")
        root["account"] = account
        root.connection.add(account)

    image.run("make", make)
    memory.remember_object("image:account")
    found = memory.recall("who is the owner of the account")[0]
    assert found["source"] == "image:account" and "Ada" in found["text"]
    assert memory.forget("image:account")["documents"] == 1


def test_what_failed_most_last_week_is_answered(memory):
    day = 86_400.0
    records = [
        {
            "id": f"m{n}",
            "to": "account",
            "send": send_,
            "state": state,
            "since": 10 * day + n,
            "seconds": 2.0,
            "why": why,
        }
        for n, (send_, state, why) in enumerate(
            [("fee", "FAILED", "no draft was right")] * 3
            + [("tax", "FAILED", "refused")]
            + [("rate", "COMPLETE", None)]
        )
    ]
    memory.remember_missions(records)
    assert "fee of account (3 times)" in memory.recall("what failed most last week?")[0]["text"]
    assert memory.remember_missions(records)["documents"] == 0  # nothing new happened
    assert memory.forget(itself.MISSIONS)["documents"] == 2


# -- the index itself --------------------------------------------------------------------------------


def test_the_nearest_by_signs_are_the_nearest():
    """Against all cosines, on 6,000 vectors in clusters, as those of sentences are."""
    draw = numpy.random.default_rng(0)
    topics = draw.normal(size=(100, 384)).astype(numpy.float32)
    vectors = topics[draw.integers(0, 100, 6000)] + 0.7 * draw.normal(size=(6000, 384)).astype(numpy.float32)
    vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
    postings = Postings(Words())
    postings.put(1, [[]] * 6000, vectors)
    searcher = postings.searcher()
    met = 0
    for vector in vectors[:50] + 0.02 * draw.normal(size=(50, 384)).astype(numpy.float32):
        exact = set(numpy.argsort(-(vectors @ vector))[:10].tolist())
        met += len(exact & set(searcher.nearest(vector, 10).tolist()))
    assert met >= 0.98 * 500


def test_a_searcher_that_follows_is_the_same_as_one_laid_out_anew():
    draw = random.Random(4)
    lexicon = Words()
    postings = Postings(lexicon)
    vocabulary = [f"word{n}" for n in range(60)]
    runs: dict[int, int] = {}
    number = 1
    for _ in range(120):
        if runs and draw.random() < 0.4:
            first = draw.choice(list(runs))
            postings.remove(range(first, first + runs.pop(first)))
        else:
            texts = [
                " ".join(draw.choices(vocabulary, k=draw.randint(0, 9))) for _ in range(draw.randint(1, 5))
            ]
            postings.put(number, lexicon.numbers(texts))
            runs[number] = len(texts)
            number += len(texts) + 1
        followed, anew = postings.searcher(), Searcher()
        anew.follow(postings)
        assert followed.living == anew.living == sum(runs.values())
        wids = lexicon.termToWordIds(" ".join(draw.choices(vocabulary, k=4)))
        told = []
        for each in (followed, anew):
            scores, weight = each.okapi(wids)
            told.append(
                (
                    {int(each.numbers[r]): round(float(scores[r]), 4) for r in scores.nonzero()[0]},
                    round(weight, 4),
                )
            )
        assert told[0] == told[1]
    used = {wid for block in postings.blocks.values() for wid in block.words()[1].tolist()}
    assert set(lexicon.wids()) == used  # what nobody uses any more is forgotten


def test_the_index_speaks_the_query_language_of_zope(memory, image):
    memory.remember_text("/a", "The harbour master resigned.")
    memory.remember_text("/b", "The master baked bread.")

    def story(root):
        shelf = root["knowledge_catalog_obj"]._shelf

        def sources(query):
            return {shelf.chunks[number].document.origin for number in shelf.text.apply(query)}

        assert sources("master AND harbour") == {"/a"} and sources("harbour OR bread") == {"/a", "/b"}
        assert sources("master AND NOT bread") == {"/a"} and sources("harb*") == {"/a"}
        assert shelf.text.index.documentCount() == 2

    image.run("story", story)


def laid_out_as_before(root):
    """Put the shelf as the last edition kept it: vectors in records of their own, an index that is gone now."""
    from BTrees.LOBTree import LOBTree
    from BTrees.OOBTree import OOBTree

    obj = root["knowledge_catalog_obj"]
    new, old = obj._shelf, catalog.Shelf.__new__(catalog.Shelf)
    old.__dict__.update(chunks=new.chunks, documents=new.documents, next=new.next, vectors=LOBTree(),
                        kinds=OOBTree(), times=OOBTree(), changes=3)  # fmt: skip
    for first, kept in new.postings.blocks.items():
        if kept.scales:
            old.vectors[first] = block = catalog.VectorBlock()
            block.rows, block.scales = kept.vectors, kept.scales
    for chunk in new.chunks.values():
        del chunk.tokens
    obj._shelf = old


def test_an_image_whose_words_stood_in_lists_by_word_is_laid_out_anew(image):
    def make(root):
        text = "# Harbour\n\nThe harbour master resigned after the storm."
        vector = numpy.zeros((1, 384), dtype=numpy.float32)
        vector[0, 0] = 1
        catalog.index_document(root, "/a.md", text, join(split(text)), vector, {"digest": "1", "space": "s"})

    image.run("make", make)
    image.run("as before", laid_out_as_before)
    image.run("open", lambda root: catalog.catalog(root))
    vector = numpy.zeros(384, dtype=numpy.float32)
    vector[0] = 1
    found = image.run("ask", lambda root: search.search(root, "harbour master", vector, why=True))
    assert found[0]["source"] == "/a.md" and found[0]["meaning"] == 1.0
    assert image.run("ask", lambda root: search.context(root, "harbour master", vector, 50))[0]["tokens"] > 5


def test_a_block_is_as_long_as_what_it_holds():
    block = Block([[1, 1, 2], [], [3]])
    counts, wids, times = block.words()
    assert (len(block), counts.tolist(), wids.tolist(), times.tolist()) == (
        3,
        [2, 0, 1],
        [1, 2, 3],
        [2, 1, 1],
    )
    assert block.kept_vectors() is None and Path(__file__).exists()
