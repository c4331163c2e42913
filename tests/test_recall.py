"""Whatever is asked, however it is typed, whenever it is meant: an answer, or nothing, and never an error."""

from __future__ import annotations

import json
import os
import random
import time

import pytest
from scripted import plan, sender

from batos.config import Settings
from batos.errors import BadRequest, NoSuchObject
from batos.image import LivingImage
from batos.knowledge import Memory, catalog, curating, embedder, search
from batos.knowledge.chunking import join, split
from batos.knowledge.embedding import LexicalEmbedder
from batos.objects.genesis import genesis
from batos.psm.retrieving import Retrieval, question_of
from scripts.knowledge_sets.shapes import DOCUMENTS, QUESTIONS, fuzzed
from tests.test_search import laid_out_as_before


@pytest.fixture
def image(tmp_path):
    birth = lambda root: genesis(root, [catalog.catalog])  # noqa: E731
    with LivingImage.open(tmp_path / "image", Settings(), birth=birth) as opened:
        yield opened


@pytest.fixture(scope="module")
def model():
    """The sentence embedder; questions need no torch."""
    found = embedder()
    if not found.semantic:
        pytest.skip("the sentence model is not installed")
    return found


# -- questions of every shape ------------------------------------------------------------------------


def test_everyday_questions_of_every_shape_find_what_answers_them(image, model):
    memory = Memory(image, model)
    for name, text in DOCUMENTS.items():
        memory.remember_text(name, text, "text")
    asked = [(question, right, memory.recall(question, 3)) for question, right in QUESTIONS]
    wrong = {q[:40]: [each["source"] for each in found] for q, right, found in asked
             if right and [each["source"] for each in found][:1] != [right]}  # fmt: skip
    assert wrong == {} and len(QUESTIONS) > 31


def test_a_thousand_fuzzed_questions_raise_nothing_and_what_they_find_is_there(image):
    draw = random.Random(7)
    memory = Memory(image, LexicalEmbedder())
    for name, text in DOCUMENTS.items():
        memory.remember_text(name, text, "text")
    for _ in range(1000):
        question = fuzzed(draw)
        found = memory.recall(question, draw.randint(1, 20), why=draw.random() < 0.3)
        assert all(each["text"] in DOCUMENTS[each["source"]] for each in found)
        assert memory.context(question, draw.randint(1, 200)) is not None
    assert memory.recall("harbour master")[0]["source"] == "pier"


@pytest.mark.parametrize(
    "more",
    [{"since": "yesterday"}, {"until": float("nan")}, {"source": 7}, {"kind": ["text"]}, {"persona": True}],
)
def test_a_filter_that_is_none_is_told_what_one_looks_like(image, more):
    memory = Memory(image, LexicalEmbedder())
    memory.remember_text("pier", DOCUMENTS["pier"], "text")
    with pytest.raises(BadRequest) as told:
        memory.recall("storm", **more)
    assert told.value.hint.startswith("recall QUESTION")


# -- conversations -----------------------------------------------------------------------------------


def test_what_stands_behind_a_question_is_found_by_what_was_asked(image, model):
    talk = (
        "Ann: Did you see the match?\nBob: Only the end of it.\n"
        "Ann: Where do you keep the spare key?\nBob: Under the third flower pot.\n"
        "Ann: Rain again.\nBob: All week, they say.\n"
    )
    memory = Memory(image, model)
    memory.remember_text("/talk", talk, "chat")
    found = [each["text"] for each in memory.recall("where is the spare key kept", 2)]
    assert "Bob: Under the third flower pot." in found


def test_an_exact_answer_is_the_sentence_and_no_question_answers_itself(image, model):
    memory = Memory(image, model)
    text = (
        "The market is held on Fridays. Whoever wants to sell cheese there pays two crowns for the stall. "
        "It rains often in spring."
    )
    memory.remember_text("/market", text, "text")
    memory.remember_text("/faq", "Where is the spare key? It lies under the third flower pot.", "text")
    (found,) = memory.recall("what does a cheese stall cost", exact=True)
    assert found["text"] == "Whoever wants to sell cheese there pays two crowns for the stall."
    assert text[found["start"] : found["end"]] == found["text"]
    assert (
        memory.recall("where is the spare key?", exact=True)[0]["text"]
        == "It lies under the third flower pot."
    )
    assert memory.recall("who won the chess olympiad of 1974", exact=True) == []


def test_the_sentence_that_answers_brings_its_passage_to_the_front_and_is_what_a_long_one_is_cut_to(
    image, model
):
    minutes = (
        "- We postponed version three because the importer loses umlauts.\n"
        "- Ben takes over the rota from Dmitri, starting on Monday.\n"
        "- The price of the basic plan stays at nine, and that of the team plan goes up to twenty-four.\n"
        "- Chloe will interview five customers about the export before the next meeting.\n"
        "- The office moves to Wilhelmstrasse 8 in September.\n"
    )
    memory = Memory(image, model)
    memory.remember_text("/minutes", minutes)
    memory.remember_text("/mail", "A painter did the office in spring.", "text")
    question = "when does the office move"
    vector = model.encode([question])[0]
    alone = image.run("by passages alone", lambda root: search.search(root, question, vector))
    assert alone[0]["source"] == "/mail"
    first = memory.recall(question, why=True)[0]
    assert first["source"] == "/minutes" and "Wilhelmstrasse" in first["text"]
    assert minutes[first["start"] : first["end"]] == first["text"] and len(first["text"]) < len(minutes) / 2
    assert first["sentence"] > first["meaning"]
    memory.remember_text("/short", "The mill is closed. Bread is baked twice a week.", "text")
    assert memory.recall("how often is bread baked")[0]["text"].startswith("The mill is closed.")


def test_a_fact_that_was_replaced_is_told_behind_the_newer_one_however_far_behind(image, model):
    memory = Memory(image, model)
    memory.learn("The harbour master of Wick is called Ada.", about="harbour master of Wick")
    memory.learn("The harbour master of Wick is called Bea.", about="harbour master of Wick")
    newer, older = memory.recall("who is the harbour master of Wick")
    assert "Bea" in newer["text"] and "Ada" in older["text"] and older["score"] < newer["score"]


def test_what_stays_under_the_floor_is_told_to_who_asks_for_whatever_there_is(image):
    memory = Memory(image, LexicalEmbedder())
    memory.remember_text("/a", "The storm broke the pier in November, and nobody repaired the lighthouse.")
    question = "which olympiad of november"
    assert memory.recall(question, least=0.5) == [] and memory.recall(question, least=0)[0]["source"] == "/a"
    with pytest.raises(BadRequest, match="between 0 and 1"):
        memory.recall(question, least="none")


def test_a_folder_is_no_beginning_of_a_name_and_a_copy_is_found_under_its_own(image):
    memory = Memory(image, LexicalEmbedder())
    memory.remember_text("/notes/pier", "A storm broke the pier.")
    memory.remember_text("/notes2/pier", "A storm broke the pier.")
    memory.remember_text("/notes2/bread", "A storm kept the bread from rising.")
    assert [each["source"] for each in memory.recall("storm", source="/notes")] == ["/notes/pier"]
    found = {each["source"]: each["also"] for each in memory.recall("storm", source="/notes2/", why=True)}
    assert found == {"/notes2/pier": ["/notes/pier"], "/notes2/bread": []}


def test_a_passage_is_named_by_a_place_in_it_and_others_like_it_are_found(image):
    memory = Memory(image, LexicalEmbedder())
    memory.remember_text(
        "/a", "# Pier\n\nA storm broke the pier.\n\n# Bread\n\nBread is baked twice a week.\n"
    )
    memory.remember_text("/b", "The pier was broken when a storm came.")
    memory.remember_text("/c", "The dough of the bread rests a week.")
    assert memory.alike("/a", 12)[0]["source"] == "/b" and memory.alike("/a", 45)[0]["source"] == "/c"
    assert memory.alike("/a", 10_000)[0]["source"] == "/c"
    with pytest.raises(NoSuchObject, match="nothing is remembered from /d"):
        memory.alike("/d")
    with pytest.raises(BadRequest, match="a place in it"):
        memory.alike("/a", "12")
    with pytest.raises(BadRequest, match="what it is about"):
        memory.learn("The baker is called Udo.", " ")


# -- what was known then -----------------------------------------------------------------------------


def test_recall_answers_from_a_past_whose_shelf_had_another_shape(image):
    memory = Memory(image, LexicalEmbedder())
    text = "# Harbour\n\nThe harbour master resigned after the storm."
    image.run(
        "make",
        lambda root: catalog.index_document(root, "/a.md", text, join(split(text)), None, {"digest": "1"}),
    )
    image.run("as before", laid_out_as_before)
    then = image.run("look", lambda root: root.connection.db().lastTransaction()).hex()
    image.run("of this edition", lambda root: catalog.catalog(root))
    memory.forget("/a.md")
    assert memory.recall("harbour master") == []
    (found,) = memory.recall("harbour master", at=then, why=True)
    assert (found["source"], found["section"]) == ("/a.md", "Harbour")
    assert memory.context("harbour master", 50, at=then)[0]["source"] == "/a.md"


# -- BABS curates ------------------------------------------------------------------------------------


def test_the_curator_reads_again_what_changed_and_names_what_is_gone(send, tmp_path):
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("The harbour master of Wick is called Ada.")
    two.write_text("Bread is baked twice a week.")
    send("kernel", "remember", [str(tmp_path), "image:invoice"])
    assert send("kernel", "curate").result["read_again"] == []
    one.write_text("The harbour master of Wick is called Bea.")
    os.utime(one, (time.time() + 60, time.time() + 60))
    two.unlink()
    send("invoice", "put", "net", 250)
    told = send("kernel", "curate").result
    assert sorted(told["read_again"]) == [str(one), "image:invoice"] and told["gone"] == [str(two)]
    assert send("babs_prototype_obj", "curation").result == told
    assert "Bea" in send("kernel", "recall", "harbour master").result[0]["text"]
    assert send("kernel", "recall", "bread").result[0]["source"] == str(two)  # only `forget` forgets
    send("kernel", "remember", forget=[str(two)])
    assert send("babs_prototype_obj", "curation").result is None


def test_the_curator_gives_vectors_to_what_was_told_while_there_was_no_embedder(image):
    memory = Memory(image, LexicalEmbedder())
    memory.remember_text("talk:1", "My sister's cat is called Mimi.", "text", remembered=100.0)
    memory.learn("The baker is called Udo.", "baker")
    memory.embedder = type("There", (LexicalEmbedder,), {"semantic": True, "name": "there"})()
    assert curating.curate(memory, image)["given_vectors"] == 1
    (found,) = memory.recall("sister's cat", why=True)
    assert found["meaning"] is not None and found["remembered"] == 100.0
    assert curating.curate(memory, image)["given_vectors"] == 0


# -- a mission looks first ---------------------------------------------------------------------------

VAT = "Sales tax is nineteen percent of the net amount, except for books, where it is seven."


@pytest.fixture
def send(system):
    send = sender(system)
    send("lobby", "clone", called="invoice", net=100)
    return send


def test_the_kernel_answers_every_way_of_recalling(send, tmp_path):
    (tmp_path / "tax.txt").write_text(VAT)
    send("kernel", "remember", [str(tmp_path / "tax.txt")])
    assert send("kernel", "context_for", "sales tax", 60).result[0]["text"] == VAT
    assert send("kernel", "recall", "sales tax on books", exact=True).result[0]["source"].endswith("tax.txt")
    told = send(
        "kernel", "learn", "The sales tax on books is now eight percent.", "sales tax on books"
    ).result
    assert send("kernel", "alike", str(tmp_path / "tax.txt"), 0).result[0]["source"] == told["source"]
    refused = send("kernel", "alike", 5)
    assert refused.error.code == "bad_request"


def _looked_up(system, mission):
    return [each for each in system.journal.events(mission) if each["event_type"] == "RETRIEVED"]


def test_a_mission_looks_into_the_fractal_memory_and_hands_the_mind_what_it_finds(
    system, send, mind, tmp_path
):
    (tmp_path / "tax.txt").write_text(VAT)
    (tmp_path / "bread.txt").write_text("Bread is baked twice a week.")
    send("kernel", "remember", [str(tmp_path / "tax.txt"), str(tmp_path / "bread.txt")])
    mind.converses = True
    mind.enqueue(plan=plan("change", args=()), method="self.§0 += 19\nreturn self.§0")
    reply = send("invoice", "add_sales_tax")
    assert reply.result == 119
    told = send("kernel", "mission", reply.mission).result
    assert [each["source"] for each in told["passages"]] == [str(tmp_path / "tax.txt")]
    assert told["passages"][0]["text"] == VAT
    prompts = [prompt for step, _, prompt in mind.prompts if step == "method"]
    assert prompts and all(f" of {tmp_path / 'tax.txt'}) {VAT}" in prompt for prompt in prompts)
    assert len(_looked_up(system, reply.mission)) == 1
    # A replay reads what was found, whatever is remembered by now.
    (tmp_path / "tax.txt").write_text(VAT.replace("nineteen", "twenty"))
    send("kernel", "remember", [str(tmp_path / "tax.txt")])
    again = send("kernel", "replay", reply.mission).result
    assert again["same"] and again["differs"] == [] and len(_looked_up(system, reply.mission)) == 1


def test_a_mind_of_the_dialect_alone_is_told_nothing_and_the_record_still_cites(system, send, mind, tmp_path):
    (tmp_path / "tax.txt").write_text(VAT)
    send("kernel", "remember", [str(tmp_path / "tax.txt")])
    mind.enqueue(plan=plan("change", args=()), method="self.§0 += 19\nreturn self.§0")
    reply = send("invoice", "add_sales_tax")
    assert not any("percent" in prompt for _, _, prompt in mind.prompts)
    assert send("kernel", "mission", reply.mission).result["passages"][0]["source"] == str(
        tmp_path / "tax.txt"
    )


def test_what_is_forgotten_is_gone_from_the_missions_it_was_cited_in(system, send, mind, tmp_path):
    (tmp_path / "tax.txt").write_text(VAT)
    send("kernel", "remember", [str(tmp_path / "tax.txt")])
    mind.converses = True
    mind.enqueue(plan=plan("change", args=()), method="self.§0 += 19\nreturn self.§0")
    mission = send("invoice", "add_sales_tax").mission
    send("kernel", "remember", forget=[str(tmp_path)])
    assert "percent" not in system.journal.path.read_text()
    records = system.image.run(
        "look", lambda root: json.dumps([repr(each) for each in root["orchestrator_obj"].missions.values()])
    )
    assert mission in records and "tax.txt" not in records
    assert "percent" not in json.dumps(send("kernel", "mission", mission).result)


def test_a_mission_does_not_take_what_earlier_ones_came_to_for_knowledge(system, send, mind):
    mind.enqueue(plan=plan("change", args=()), method="self.§0 += 19\nreturn self.§0")
    first = send("invoice", "add_sales_tax").mission
    send("kernel", "remember", ["image:missions"])
    assert send("kernel", "recall", "add sales tax").result
    second = send("invoice", "add_more_sales_tax").mission
    for mission in (first, second):
        assert (
            _looked_up(system, mission) == [] and send("kernel", "mission", mission).result["passages"] == []
        )


def test_what_is_handed_to_a_mind_is_bounded_by_its_window(image):
    text = "\n\n".join(f"Sales tax number {n} is added to an invoice in the land of {n}." for n in range(200))
    memory = Memory(image, LexicalEmbedder())
    memory.remember_text("/tax", text, "text")
    question = question_of({"intent": None, "selector": "add_sales_tax", "receiver": "shop.invoice"})
    small, large = (Retrieval(image, memory, None, window)(question) for window in (1024, 4096))
    assert question == "add sales tax invoice"
    assert 0 < sum(len(each["text"]) for each in small) < 64 * 6
    assert 2 * sum(len(each["text"]) for each in small) < sum(len(each["text"]) for each in large) < 256 * 6
