"""The texts the fractal memory is measured on, and how what was retrieved is judged."""

from __future__ import annotations

import pytest

from batos.knowledge.embedding import LexicalEmbedder
from scripts import bench_knowledge
from scripts.knowledge_sets import Question, conversations, fiction, library


@pytest.mark.parametrize("make", [library, fiction, conversations], ids=lambda each: each.__name__)
def test_evidence_stands_where_it_is_said_and_the_halves_share_no_text(make):
    halves = [make("tuning"), make("held-out")]
    told = []
    for half in halves:
        assert len(half.questions) >= 100
        for question in half.questions:
            for name, start, end in question.evidence:
                assert half.documents[name][start:end].strip() and start < end
        told.append({half.documents[name][a:b] for each in half.questions for name, a, b in each.evidence})
    assert not set(halves[0].documents.values()) & set(halves[1].documents.values())
    shared = (
        told[0] & told[1]
    )  # the same sentence may stand in two modules of the library, and now and then does
    assert len(shared) <= 0.05 * len(told[0]), sorted(shared)[:3]


def test_the_sets_are_the_same_every_time():
    assert fiction("tuning").documents == fiction("tuning").documents
    assert conversations("held-out").questions == conversations("held-out").questions


def test_retrieved_text_is_judged_by_the_characters_of_the_evidence_within_the_budget():
    question = Question("?", (("a", 100, 200),))
    ranked = [("b", 0, 1000), ("a", 150, 300), ("a", 50, 160), ("a", 150, 200)]
    told = bench_knowledge.judged([question], [ranked])
    assert told["1600"] == [1.0] and told["3600"] == [1.0]
    assert told["iou"] == [pytest.approx(100 / (1000 + 150 + 110 + 50 + 100 - 100))]
    assert bench_knowledge.judged([question], [[("b", 0, 1590), ("a", 100, 200)]])["1600"] == [0.1]


def test_rank_fusion_is_the_formula():
    assert bench_knowledge.fused([[1, 2, 3]], [[3, 1]]) == [[1, 3, 2]]


def test_everyday_questions_of_every_shape_find_what_is_there(monkeypatch):
    told = []
    monkeypatch.setattr(bench_knowledge, "embedder", LexicalEmbedder)
    bench_knowledge.shapes(lambda *row: told.append(row), lambda words: None)
    raised, missed = map(int, told[0][1].split("; "))
    assert raised == 0 and missed <= 1  # by words alone "resignation" is missed
