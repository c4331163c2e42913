"""The curriculum: its own methods obey the conventions, and what is held out stays out."""

import random
import re

import pytest

from batos.mind import dialect, linking
from batos.mind.trials import generate_trials
from scripts.curriculum import (
    FIRST,
    OPERATIONS,
    conflicts,
    nouns,
    pair_held_out,
    samples,
    shape_held_out,
    situations,
    synonyms,
)

CHANGING_WORDS = re.compile(r"(increase|withdraw|double|reset|reverse|clear|rename|add|remove|put_in)_X")
READING_WORDS = re.compile(
    r"(upper|sorted|largest|average|total_of|words_in|current|reversed|discounted|best_in)_X|X_(length|above)"
)


def draw(operation, rng, tries=4000):
    for _ in range(tries):
        sample = samples._draw(rng, operation, None, False, "seen", "seen", True)
        if sample is not None:
            return sample
    pytest.fail(f"no message for {operation.name}")


@pytest.fixture(scope="module")
def drawn():
    rng = random.Random("tests")
    return [draw(operation, rng) for operation in OPERATIONS]


def test_the_curriculum_is_broad():
    assert len(OPERATIONS) >= 150
    assert sum(len(operation.wordings) for operation in OPERATIONS) > 3000


def test_no_two_operations_claim_the_same_wording_for_the_same_kinds():
    assert conflicts() == []


def test_imperatives_change_and_nouns_read():
    for operation in OPERATIONS:
        for wording in operation.wordings:
            if CHANGING_WORDS.fullmatch(wording):
                assert operation.kind == "change", (wording, operation.name)
            if READING_WORDS.fullmatch(wording):
                assert operation.kind != "change", (wording, operation.name)


def test_readers_leave_the_state_alone_and_questions_answer_true_or_false(drawn):
    for sample in drawn:
        trials = generate_trials(sample.linked, 12, random.Random("trials"))
        done = samples.behave(sample.source(), sample.linked, trials)
        for trial, (answer, state, _) in zip(trials, done, strict=True):
            assert answer[0] != "failed" or answer[1] == "ZeroDivisionError" or sample.operation.calls, (
                sample.source(),
                trial,
                answer,
            )
            if sample.operation.kind != "change":
                assert state == samples._plain(trial["slots"]), sample.source()
            if sample.operation.kind == "ask" and answer[0] == "answered":
                assert answer[1] in ("True", "False"), sample.source()
            if answer[0] == "refused":
                assert state == samples._plain(trial["slots"]), sample.source()


def test_changers_answer_as_their_plan_says(drawn):
    for sample in drawn:
        if sample.operation.answer not in ("the new value", "the new size") or "X" not in sample.letters:
            continue
        slot = next(slot for slot in sample.linked.slots if slot.handle == sample.letters["X"])
        function = samples.compiled(sample.source())
        for trial in generate_trials(sample.linked, 8, random.Random("answers")):
            thing = samples.Thing(trial["slots"])
            try:
                answer = function(thing, *trial["args"], **trial["kw"])
            except (ValueError, LookupError, ZeroDivisionError):
                continue
            value = getattr(thing, slot.name)
            assert answer == (len(value) if sample.operation.answer == "the new size" else value), (
                sample.source()
            )


def test_every_answer_goes_through_the_dialect_and_back(drawn):
    for sample in drawn:
        plan = sample.plan()
        assert dialect.parse_plan(dialect.plan_text(plan, sample.linked), sample.linked) == plan
        assert dialect.body_text(sample.source(), sample.linked) == sample.body()
        assert dialect.parse_retell(sample.tell(), sample.linked, sample.source())[0].isupper()


def test_a_seed_gives_the_same_lessons():
    mix = {"brick": 1.0, "alfred": 0.5, "robin": 0.5}
    first, second = situations.lessons(random.Random(4), mix), situations.lessons(random.Random(4), mix)
    assert [next(first) for _ in range(30)] == [next(second) for _ in range(30)]


def test_what_is_held_out_never_enters_training():
    rng = random.Random("held out")
    for _ in range(600):
        sample = samples.draw(rng)
        words = {word for slot in sample.linked.slots for word in re.split(r"_|\d", slot.name)}
        for word in filter(None, words - set(nouns.ADJECTIVES)):
            assert any(not nouns.held_out(single) for single in linking.folds(word)), word
        assert not pair_held_out(sample.wording, sample.operation)
        assert not shape_held_out([dialect.kind_of(value) for value in sample.brief["slots"].values()])


def test_nouns_never_seen_are_never_seen():
    rng = random.Random(9)
    seen = {part for _ in range(3000) for part in re.split(r"_|\d", nouns.noun(rng))}
    unseen = {nouns.noun(rng, unseen=True) for _ in range(300)}
    assert not any(nouns.held_out(word) for word in seen if word and word not in nouns.ADJECTIVES)
    assert all(any(nouns.held_out(part) for part in re.split(r"_|\d", noun) if part) for noun in unseen)


def test_refusals_have_reasons_and_no_method():
    rng = random.Random(5)
    drawn = [samples.draw_refusal(rng) for _ in range(150)]
    assert {sample.why for sample in drawn} == set(samples.REFUSALS.values())
    for sample in drawn:
        plan = sample.plan()
        assert dialect.parse_plan(dialect.plan_text(plan, sample.linked), sample.linked) == plan


def test_audits_tell_the_sound_from_the_spoiled():
    rng = random.Random(6)
    verdicts = []
    while len(verdicts) < 60:
        sample = samples.draw(rng, plain=True)
        if sample.operation.calls:
            continue
        spoiled = samples.spoil(sample, rng)
        if spoiled is None:
            continue
        sound = samples.judged(sample, samples.vary(sample.body(), rng), rng)
        assert sound is None or sound[1] == samples.FINDINGS["sound"], sample.source()
        verdicts.append(samples.judged(sample, spoiled, rng))
    found = {verdict[1] for verdict in verdicts if verdict}
    assert len(found) >= 5


def test_synonyms_stand_where_an_operation_has_two_of_a_family():
    assert "hike_X" in synonyms.alike(["increase_X", "raise_X"])
    assert synonyms.alike(["increase_X", "lower_X"]) == []
    assert sum(len(operation.later) for operation in OPERATIONS) > 2000


def test_more_synonyms_neither_hold_out_what_was_shown_nor_show_what_was_held_out():
    for first, now in zip(FIRST, OPERATIONS, strict=True):
        assert now.wordings == first.wordings + now.later
        for wording in first.wordings:
            assert pair_held_out(wording, now) == pair_held_out(wording, first)


def test_every_situation_is_answered_by_its_reference_and_goes_through_the_dialect():
    rng = random.Random("situations")
    for kind in situations.SHARES:
        for _ in range(40):
            sample = situations.draw(rng, kind)
            plan = sample.plan()
            assert dialect.parse_plan(dialect.plan_text(plan, sample.linked), sample.linked) == plan
            assert dialect.body_text(sample.source(), sample.linked) == sample.body()
            trials = samples.trials_of(sample.linked, 6, rng)
            done = samples.behave(sample.source(), sample.linked, trials)
            assert not any(answer[0] == "failed" for answer, _, _ in done), sample.source()


def test_examples_are_what_the_reference_does_and_counter_examples_are_not():
    rng = random.Random("examples")
    seen = 0
    for kind in ("with_examples", "with_counters"):
        for _ in range(40):
            sample = situations.draw(rng, kind)
            for name in ("examples", "counter_examples"):
                for example in sample.brief.get(name) or ():
                    trial = {"slots": sample.linked.state, **example}
                    (came,) = situations.outcomes(sample, sample.source(), [trial])
                    same = samples._plain([came.get("result"), came.get("changes")]) == samples._plain(
                        [example.get("result"), example.get("changes")]
                    )
                    if name == "examples":
                        assert samples._plain(came["result"]) == samples._plain(example["result"])
                    else:
                        assert not same or "error" in example
                    seen += 1
    assert seen > 60


def test_a_verb_that_says_nothing_is_settled_by_its_examples():
    rng = random.Random("settled")
    for _ in range(15):
        sample = situations.draw(rng, "told")
        assert any(line.startswith(("eg", "now")) and set("§¢") & set(line) for line in sample.linked.told)


def test_wordings_held_out_of_a_situation_are_not_drawn_for_training():
    rng = random.Random("held out")
    for kind in ("with_examples", "told", "with_counters", "with_value", "with_other"):
        drawn = [situations.draw(rng, kind) for _ in range(30)] + [situations.draw(rng, kind, unseen=True)]
        held = [situations.held_out(kind, sample.wording, sample.operation) for sample in drawn]
        assert held == [False] * 30 + [True], kind
