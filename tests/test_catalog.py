"""The catalog and its door: what goes in is found, what goes out leaves nothing, no question is an error."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy
import pytest

from batos.config import Settings
from batos.errors import BadRequest, NoSuchObject
from batos.image import LivingImage
from batos.knowledge import Memory, catalog, ingestion, search
from batos.knowledge.chunking import join, split
from batos.knowledge.embedding import LexicalEmbedder
from batos.knowledge.postings import Block
from batos.knowledge.reading import text_of_html
from batos.knowledge.words import STOP_WORDS, stem
from batos.objects.genesis import genesis
from batos.objects.lookup import send


def open_image(directory: Path) -> LivingImage:
    return LivingImage.open(directory, Settings(), birth=lambda root: genesis(root, [catalog.catalog]))


@pytest.fixture
def image(tmp_path):
    with open_image(tmp_path / "image") as opened:
        yield opened


@pytest.fixture
def memory(image):
    return Memory(image, LexicalEmbedder())


@pytest.fixture
def shelf_of(image):
    """A function that looks at the shelf within a turn: `shelf_of(lambda shelf: ...)`."""
    return lambda look: image.run("look", lambda root: look(root["knowledge_catalog_obj"]._shelf))


def file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


HARBOUR = "# Harbour\n\nThe harbour master resigned after the storm broke the pier. He moved inland.\n"
BREAD = "# Bread\n\nKnead the dough until it is smooth. Let it rise for two hours.\n"

# -- in and out ------------------------------------------------------------------------------------


def test_what_is_remembered_is_recalled_with_the_place_it_stands_at(memory, tmp_path):
    path = file(tmp_path, "docs/harbour.md", HARBOUR)
    file(tmp_path, "docs/bread.md", BREAD)
    told = memory.remember([tmp_path / "docs"])
    assert (told["documents"], told["chunks"], told["skipped"]) == (2, 2, [])
    best = memory.recall("why did the harbour master resign?")[0]
    assert best["source"] == str(path) and best["score"] > 0.5
    assert best["text"] == HARBOUR[best["start"] : best["end"]] and "resigned" in best["text"]
    assert set(best) == {"text", "source", "start", "end", "score"}


def test_offsets_are_those_of_the_file_as_it_is_decoded(memory, tmp_path):
    text = "\ufeffTitle line\r\n\r\nSecond paragraph about walruses, with ünïcode 漢字 👩‍👩‍👧.\r\n"
    path = file(tmp_path, "crlf.txt", text)
    memory.remember([path])
    found = memory.recall("walruses")[0]
    assert path.read_bytes().decode()[found["start"] : found["end"]] == found["text"]


def test_the_same_file_again_changes_nothing_and_a_changed_one_takes_its_own_place(memory, image, tmp_path):
    path = file(tmp_path, "a.md", HARBOUR)
    memory.remember([path])
    commits = image.commits
    told = memory.remember([path])
    assert (told["documents"], told["unchanged"]) == (0, 1) and image.commits == commits
    file(tmp_path, "a.md", BREAD)
    told = memory.remember([path])
    assert (told["documents"], told["replaced"]) == (1, 1) and image.commits == commits + 1
    assert memory.recall("harbour master pier storm") == []
    assert "dough" in memory.recall("how long must the dough rise")[0]["text"]


def test_a_changed_document_is_replaced_in_one_transaction_or_not_at_all(
    memory, image, tmp_path, monkeypatch
):
    path = file(tmp_path, "a.md", HARBOUR)
    memory.remember([path])
    file(tmp_path, "a.md", BREAD)
    whole = catalog.index_document

    def breaks_off(*args, **kw):
        whole(*args, **kw)
        raise OSError("the disk is gone")

    monkeypatch.setattr(catalog, "index_document", breaks_off)
    with pytest.raises(OSError, match="the disk is gone"):
        memory.remember([path])
    assert "resigned" in memory.recall("harbour master")[0]["text"] and memory.recall("dough rise") == []


def test_what_is_forgotten_leaves_neither_passages_nor_words_nor_vectors(memory, image, shelf_of, tmp_path):
    kept = file(tmp_path, "docs/bread.md", BREAD)
    gone = file(tmp_path, "docs/harbour.md", HARBOUR)
    memory.remember([tmp_path / "docs"])
    before = shelf_of(lambda shelf: len(shelf.chunks))
    assert memory.forget(gone) == {"documents": 1, "chunks": 1, "sources": [str(gone)]}
    assert memory.recall("harbour master storm") == []
    assert shelf_of(lambda shelf: list(shelf.documents)) == [str(kept)]
    assert shelf_of(lambda shelf: len(shelf.chunks)) == before - 1
    assert "harbour" not in shelf_of(lambda shelf: set(shelf.text.lexicon.words()))
    assert memory.forget(tmp_path / "docs") == {"documents": 1, "chunks": 1, "sources": [str(kept)]}
    left = shelf_of(
        lambda shelf: (
            [
                len(each)
                for each in (shelf.chunks, shelf.postings.blocks, shelf.documents, shelf.kinds, shelf.times)
            ]
            + [
                shelf.text.documentCount(),
                shelf.text.index.wordCount(),
                len(list(shelf.text.lexicon.words())),
            ]
        )
    )
    assert left == [0] * 8
    with pytest.raises(NoSuchObject, match="nothing is remembered from"):
        memory.forget(gone)


def test_many_documents_share_turns_and_each_turn_is_small(memory, image, tmp_path, monkeypatch):
    for n in range(200):
        file(tmp_path, f"docs/{n}.md", "".join(f"# Part {k}\n\nText {n} {k}.\n\n" for k in range(10)))
    commits, size = image.commits, sum(path.stat().st_size for path in (tmp_path / "docs").iterdir())
    monkeypatch.setattr(ingestion, "CHARACTERS_A_TURN", size // 4)
    told = memory.remember([tmp_path / "docs"])
    assert told["chunks"] == 2000
    assert 4 <= image.commits - commits <= 5


def test_progress_tells_how_far_it_is(memory, tmp_path):
    for n in range(3):
        file(tmp_path, f"docs/{n}.md", HARBOUR * 20)
    told: list[dict] = []
    memory.remember([tmp_path / "docs"], told.append)
    assert [each["bytes"] for each in told] == sorted(each["bytes"] for each in told)
    assert told[-1]["bytes"] == told[-1]["total_bytes"] == 3 * 20 * len(HARBOUR)


# -- files -------------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_named_with_the_reason_and_the_others_go_on(memory, tmp_path):
    file(tmp_path, "docs/good.md", HARBOUR)
    file(tmp_path, "docs/empty.txt", " \n")
    file(tmp_path, "docs/latin.txt", "café".encode("latin-1"))
    file(tmp_path, "docs/paper.pdf", b"%PDF-1.7 ...")
    file(tmp_path, "docs/picture.png", b"\x89PNG\r\n\x1a\n" + bytes(100))
    os.mkfifo(tmp_path / "docs/pipe")
    file(tmp_path, "docs/.git/config", "hidden")
    (tmp_path / "docs/nowhere.md").symlink_to(tmp_path / "gone")
    told = memory.remember([tmp_path / "docs", tmp_path / "missing.md"])
    why = {os.path.basename(each["source"]): each["why"] for each in told["skipped"]}
    assert told["documents"] == 1
    assert set(why) == {
        "empty.txt",
        "latin.txt",
        "paper.pdf",
        "picture.png",
        "pipe",
        "nowhere.md",
        "missing.md",
    }
    assert "no text" in why["empty.txt"] and "UTF-8 (byte 3)" in why["latin.txt"]
    assert "the PDF is broken" in why["paper.pdf"] and "binary" in why["picture.png"]
    assert "no such file" in why["missing.md"] and "No such file" in why["nowhere.md"]


def test_utf_16_and_other_scripts_are_text(memory, tmp_path):
    file(tmp_path, "a.txt", "Ein Wal schwimmt im Meer.".encode("utf-16"))
    file(tmp_path, "b.txt", "全文検索は便利です。鯨は海を泳ぐ。")
    assert memory.remember([tmp_path / "a.txt", tmp_path / "b.txt"])["documents"] == 2
    assert memory.recall("Wal im Meer")[0]["source"].endswith("a.txt")
    assert memory.recall("全文検索")[0]["source"].endswith("b.txt")


PAGE = """<!DOCTYPE html><html><head><title>All about cats</title><style>p {color: red}</style>
<script>var hidden = "dogs";</script></head><body><nav>Home</nav><h1>Cats &amp; kittens</h1>
<p>A cat sleeps for <b>sixteen</b>
hours.<br>Really.<ul><li>one<li>two</ul><table><tr><th>name<th>age<tr><td>Tom<td>7</table>
<pre>x = 1
  y</pre>"""


def test_the_text_of_a_page_keeps_its_structure_and_loses_what_is_never_shown():
    assert text_of_html(PAGE) == (
        "# All about cats\n\nHome\n\n# Cats & kittens\n\nA cat sleeps for sixteen hours.\nReally.\n\n"
        "- one\n- two\n\n| name | age |\n| Tom | 7 |\n\n```\nx = 1\n  y\n```\n"
    )
    assert text_of_html("<title>Tides</title><h1>Tides</h1><p>High.") == "# Tides\n\nHigh.\n"


def test_a_page_is_cited_from_the_extracted_text_that_is_kept(memory, image, tmp_path):
    path = file(tmp_path, "cats.html", PAGE)
    memory.remember([path])
    found = memory.recall("how many hours does a cat sleep")[0]
    kept = image.run("open the citation", lambda root: catalog.text_of(root, str(path)))
    assert "sixteen" in found["text"] and kept[found["start"] : found["end"]] == found["text"]
    assert memory.recall("dogs") == []


# -- asking ------------------------------------------------------------------------------------------

ODD = [
    "", " ", "?", "the of and", "AND", "OR", "NOT", "and or not", "cat AND", "OR cat", "NOT cat", "(cat",
    "cat)", "((", '"', '"cat', 'say "cat" twice', "-cat", "--cat", "cat -dog", "*", "c*", "*at", "?at",
    "cat?", "What's a cat's age?", "C++ && ||", "\x00", "\ud800", "漢字", "e" * 5000, "word " * 2000,
    "snake_case_name", "%s {0} \\", "\n\t", "👩‍👩‍👧",
]  # fmt: skip


@pytest.mark.parametrize("question", ODD, ids=lambda text: ascii(text[:12]))
def test_no_question_is_an_error(memory, tmp_path, question):
    memory.remember([file(tmp_path, "a.md", "# Cat\n\nA cat is an animal. Its age is seven.\n")])
    for each in memory.recall(question):
        assert "cat" in each["text"].lower()


@pytest.mark.parametrize("question, top", [(3, 5), (None, 5), ("a", 0), ("a", -1), ("a", "5"), ("a", True)])
def test_what_is_no_question_is_a_bad_request(memory, question, top):
    with pytest.raises(BadRequest):
        memory.recall(question, top)


def test_a_question_is_a_choice_of_words_and_not_all_of_them_need_be_there(memory, tmp_path):
    memory.remember([file(tmp_path, "a.md", HARBOUR), file(tmp_path, "b.md", BREAD)])
    found = memory.recall("tell me about the resignation of masters in stormy harbours")
    assert found and "resigned" in found[0]["text"]


def test_a_copy_of_a_passage_is_no_second_answer(memory, tmp_path):
    for n in range(5):
        file(tmp_path, f"docs/{n}.md", HARBOUR.replace(" ", " " * (n + 1)))
    memory.remember([tmp_path / "docs"])
    assert len(memory.recall("harbour master resigned storm", top=5)) == 1


def test_an_empty_memory_answers_nothing(memory):
    assert memory.recall("anything") == []


def test_what_was_known_then_is_asked_of_a_transaction(memory, image, tmp_path):
    path = file(tmp_path, "a.md", HARBOUR)
    memory.remember([path])
    then = image.submit("mark", lambda root: setattr(root["lobby"], "mark", 1)).result().tid
    file(tmp_path, "a.md", BREAD)
    memory.remember([path])
    assert "resigned" in memory.recall("why did the harbour master resign", at=then)[0]["text"]
    assert memory.recall("why did the harbour master resign") == []


# -- the catalog itself --------------------------------------------------------------------------------


def put(root, source: str, text: str, vectors=None, **metadata):
    return catalog.index_document(root, source, text, join(split(text)), vectors, metadata)


def test_passages_are_live_objects_that_know_their_document_and_their_neighbours(image):
    text = "\n".join(f"# Part {n}\n\nText of part {n}.\n" for n in range(3))

    def story(root):
        put(root, "/a.md", text, kind="markdown", digest="1")
        obj = root["knowledge_catalog_obj"]
        chunk = search.find(root, "text of part 1", None, 1)[0].chunk
        assert chunk._prototype is obj.memory_chunk and chunk.document._prototype is obj.memory_document
        assert (chunk.position, chunk.section, chunk.document.origin) == (1, "Part 1", "/a.md")
        assert chunk.previous.next is chunk and chunk.next.previous is chunk
        obj.traits_of_memory.colour = "blue"  # what the traits learn, every passage knows
        assert chunk.colour == "blue"
        assert send(obj, "search_", ("part 2",), {})[0].position == 2
        assert send(obj, "sources", (), {}) == ["/a.md"]

    image.run("story", story)


def test_documents_are_found_by_source_kind_and_time(image):
    def story(root):
        put(root, "/a/1.md", "one", kind="markdown", remembered=100.0)
        put(root, "/a/2.py", "two = 2", kind="python", remembered=200.0)
        put(root, "/ab.md", "three", kind="markdown", remembered=300.0)
        assert catalog.sources(root, "/a/") == ["/a/1.md", "/a/2.py"]
        assert catalog.sources(root, kind="markdown") == ["/a/1.md", "/ab.md"]
        assert catalog.sources(root, since=200.0) == ["/a/2.py", "/ab.md"]
        assert catalog.sources(root, kind="latin") == []

    image.run("story", story)


def unit(*values: float):
    vector = numpy.zeros(384, dtype=numpy.float32)
    vector[: len(values)] = values
    return vector / numpy.linalg.norm(vector)


def test_words_and_meaning_add_up_and_either_is_enough(image):
    def story(root):
        put(root, "/words", "The zebra drank.", numpy.array([unit(0, 1)]), space="s")
        put(root, "/meaning", "A striped horse had water.", numpy.array([unit(1, 0)]), space="s")
        put(root, "/both", "The zebra was thirsty.", numpy.array([unit(1, 0.2)]), space="s")
        put(root, "/neither", "Bread is baked.", numpy.array([unit(0, 0, 1)]), space="s")
        put(root, "/unseen", "Another zebra, remembered before there were vectors.")
        found = search.search(root, "zebra", unit(1, 0), 10)
        assert [each["source"] for each in found][:2] == ["/both", "/meaning"]
        assert {each["source"] for each in found} == {"/both", "/meaning", "/words", "/unseen"}
        assert all(0 < each["score"] <= 1 for each in found)

    image.run("story", story)


def test_vectors_kept_small_are_still_the_vectors():
    vectors = numpy.random.default_rng(1).normal(size=(200, 384)).astype(numpy.float32)
    vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
    block = Block([[]] * 200, vectors)
    kept = pickle.loads(pickle.dumps(block.__getstate__()))
    assert len(kept["vectors"]) + len(kept["scales"]) == 200 * 388
    rows, scales = block.kept_vectors()
    assert numpy.abs((rows * scales[:, None] * vectors).sum(axis=1) - 1).max() < 0.003


def test_another_reader_sees_new_vectors_and_an_aborted_turn_leaves_none(image):
    def put_one(root, name, vector):
        put(root, name, f"Text of {name}.", numpy.array([vector]), space="s")

    def nearest(root):
        return [each["source"] for each in search.search(root, "", unit(1, 0), 5)]

    image.run("first", lambda root: put_one(root, "/one", unit(1, 0)))
    assert image.run("ask", nearest) == ["/one"]

    def fails(root):
        put_one(root, "/two", unit(1, 0.1))
        assert nearest(root) == ["/one", "/two"]
        raise ValueError("no")

    with pytest.raises(ValueError):
        image.run("fails", fails)
    assert image.run("ask", nearest) == ["/one"]
    image.run("third", lambda root: put_one(root, "/three", unit(1, 0.2)))
    assert image.run("ask", nearest) == ["/one", "/three"]


def test_scores_by_words_are_okapi_bm25(image):
    """Against an independent computation of the formula."""
    from collections import Counter
    from math import log

    texts = {"/a": "storm storm pier", "/b": "storm bread oven flour yeast", "/c": "oven"}

    def story(root):
        for source, text in texts.items():
            put(root, source, text)
        shelf = root["knowledge_catalog_obj"]._shelf
        searcher = shelf.searcher
        found, weight = searcher.okapi(shelf.text.lexicon.termToWordIds("storm pier"))
        told = {
            shelf.chunks[int(searcher.numbers[row])].document.origin: found[row] for row in found.nonzero()[0]
        }
        return told, weight

    found, weight = image.run("story", story)
    words = {source: Counter(text.split()) for source, text in texts.items()}
    mean = sum(map(len, (text.split() for text in texts.values()))) / 3
    idf = {word: log(1 + 3 / sum(word in each for each in words.values())) for word in ("storm", "pier")}
    for source in ("/a", "/b"):
        length = len(texts[source].split())
        expected = sum(
            idf[word]
            * words[source][word]
            * 2.2
            / (words[source][word] + 1.2 * (0.25 + 0.75 * length / mean))
            for word in idf
            if words[source][word]
        )
        assert found[source] == pytest.approx(expected, rel=1e-4)
    assert weight == pytest.approx(sum(idf.values())) and "/c" not in found


def test_a_stem_is_its_own_stem_and_forms_of_a_word_share_it():
    for group in ("store stored storing stores", "delegate delegates delegation delegating",
                  "query queries querying", "company companies", "run running runs", "box boxes",
                  "persist persistent persistence",
                  "manage manager management", "class classes"):  # fmt: skip
        assert len({stem(word) for word in group.split()}) == 1, group
    vocabulary = {word for word in Path(__file__).read_text().lower().split() if word.isalpha()} | STOP_WORDS
    assert all(stem(stem(word)) == stem(word) for word in vocabulary)


def test_a_document_that_was_changed_forgotten_and_packed_leaves_nothing_on_the_disk(memory, image, tmp_path):
    file(tmp_path, "kept.md", BREAD)
    memory.remember([tmp_path / "kept.md"])
    image.pack(0)
    folder = tmp_path / "image"

    def bytes_of_image():
        return b"".join(each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file())

    empty = (folder / "live_image.fs").stat().st_size
    for secret in ("xylographer", "zymurgist"):
        lines = "".join(f"# Part {n}\n\nThe {secret} number {n} lives in the mill.\n\n" for n in range(200))
        memory.remember([file(tmp_path, "gone.md", lines)])
    assert b"zymurgist" in bytes_of_image() and b"xylographer" in bytes_of_image()  # the past is still there
    memory.forget(tmp_path / "gone.md")
    image.pack(0)
    assert not [each for each in (b"zymurgist", b"xylographer", b"gone.md") if each in bytes_of_image()]
    assert (folder / "live_image.fs").stat().st_size < empty + 4096
    assert memory.recall("how long must the dough rise")
