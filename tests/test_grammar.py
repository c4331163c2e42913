"""The grammars: every answer of the curriculum is in them, and nothing points at what is not there."""

import json
import random
from pathlib import Path

import pytest

from batos.mind import dialect
from batos.mind.dialect import link
from batos.mind.grammar import audit_grammar, method_grammar, plan_grammar, retell_grammar
from scripts.curriculum import OPERATIONS, samples, situations
from tests.test_curriculum import draw

llguidance = pytest.importorskip("llguidance")
BASE = Path(dialect.__file__).parent / "embedded" / "base"


@pytest.fixture(scope="module")
def words():
    from tokenizers import Tokenizer

    return llguidance.LLTokenizer(str(BASE / "tokenizer.json")), Tokenizer.from_file(
        str(BASE / "tokenizer.json")
    )


def accepts(words, grammar, text):
    tokens, tokenizer = words
    matcher = llguidance.LLMatcher(tokens, grammar)
    assert not matcher.is_error(), matcher.get_error()
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return matcher.try_consume_tokens(ids) == len(ids) and matcher.is_accepting()


def test_every_answer_of_the_curriculum_is_in_its_grammar(words):
    rng = random.Random("grammar")
    for operation in OPERATIONS:
        sample = draw(operation, rng)
        assert accepts(words, plan_grammar(sample.linked), dialect.plan_text(sample.plan(), sample.linked)), (
            operation.name
        )
        assert accepts(words, method_grammar(sample.linked), sample.body()), sample.body()
        assert accepts(words, retell_grammar(sample.linked), sample.tell()), sample.tell()


def test_every_answer_about_other_objects_and_methods_for_values_is_in_its_grammar(words):
    rng = random.Random("situations")
    for kind in situations.SHARES:
        for _ in range(20):
            sample = situations.draw(rng, kind)
            assert accepts(
                words, plan_grammar(sample.linked), dialect.plan_text(sample.plan(), sample.linked)
            )
            assert accepts(words, method_grammar(sample.linked), sample.body()), sample.body()
            assert accepts(words, retell_grammar(sample.linked), sample.tell()), sample.tell()


@pytest.mark.parametrize(
    ("body", "inside"),
    [
        ("return self.§0.£0", True),
        ("self.§0.put('£0', self.§0.£0 + ¢0)\nreturn ¢0", True),
        ("return self.§0.¤0(¢0)", True),
        ("return self.¤0(¢0)", False),  # the till understands it, the shop does not
        ("self.§0.£0 += ¢0", False),  # another object's slot is changed by a message
        ("self.§0.£0 = ¢0", False),
        ("return self.§0.£3", False),
        ("return self.§0.put('owner', ¢0)", False),
        ("return self.§0.wheel", False),
    ],
)
def test_another_object_is_reached_by_what_it_holds_and_understands(words, body, inside):
    others = {"till": {"slots": {"balance": 3}, "selectors": {"deposit": ["amount"]}}}
    brief = {"selector": "deposit_in_till", "args": [3], "slots": {"till": object()}, "others": others}
    assert accepts(words, method_grammar(link(brief)), body) == inside


def test_every_finding_and_refusal_is_in_its_grammar(words):
    linked = link({"selector": "spin", "slots": {"wheel": 1}})
    for finding in samples.FINDINGS.values():
        assert accepts(
            words,
            audit_grammar(),
            samples.audit_text(finding, "takes amount off it, unless amount is more than it", "fails"),
        )
    for why in samples.REFUSALS.values():
        assert accepts(words, plan_grammar(linked), dialect.plan_text({"can": False, "why": why}, linked))


@pytest.mark.parametrize(
    "body",
    [
        "return self.§1",
        "return ¢0",
        "return self.¤0()",
        "import os",
        "return open('x')",
        "return self.wheel",
        "return __import__('os')",
        "return eval('1')",
        "return self.§0.system()",
        "raise SystemExit('x')",
        "self._p_changed = True",
        "return '§3'",
    ],
)
def test_no_draft_reaches_what_is_not_there(words, body):
    assert not accepts(words, method_grammar(link({"selector": "spin", "slots": {"wheel": 1}})), body)


def test_the_number_of_arguments_is_the_message_s(words):
    linked = link({"selector": "turn_wheel", "args": [1], "kw": {"by": 2}, "slots": {"wheel": 1}})
    good = '{"can":true,"kind":"change","slots":["§0"],"args":["amount","¢1"],"do":"turns it","answer":"the new value"}'
    assert accepts(words, plan_grammar(linked), good)
    assert not accepts(words, plan_grammar(linked), good.replace('"amount",', ""))
    assert not accepts(words, plan_grammar(linked), good.replace('"¢1"', '"other"'))


def test_only_a_mind_that_reads_may_end_a_plan_with_examples_and_they_are_read_with_their_names(words):
    linked = link({"selector": "withdraw_balance", "args": [30], "slots": {"balance": 100}})
    plan = {
        "can": True,
        "kind": "change",
        "slots": ["balance"],
        "args": ["amount"],
        "do": "it",
        "answer": "it",
    }
    told = '"examples":[{"slots":{"§0":10},"args":[4],"result":6},{"args":[-1.5],"result":["a",{"b":null}]}]}'
    text = dialect.plan_text(plan, linked)[:-1] + "," + told
    assert accepts(words, plan_grammar(linked, proposes=True), text)
    assert not accepts(words, plan_grammar(linked), text)
    assert dialect.proposed_examples(text, linked) == [
        {"slots": {"balance": 10}, "args": [4], "kw": {}, "result": 6},
        {"args": [-1.5], "kw": {}, "result": ["a", {"b": None}]},
    ]
    wrong = [{"slots": {"§7": 1}, "args": [4], "result": 6}, {"args": [], "result": 1}, {"args": [1]}, 5]
    assert dialect.proposed_examples(json.dumps({"examples": wrong}), linked) == []
    assert dialect.proposed_examples("no plan", linked) == dialect.proposed_examples("[1]", linked) == []


def test_equal_shapes_share_one_grammar():
    one, other = ({"selector": "grow_" + noun, "args": [1], "slots": {noun: 3}} for noun in ("tree", "debt"))
    assert method_grammar(link(one)) is method_grammar(link(other))
