"""The decode loop: right tokens, honest likelihoods, grammars kept by random weights, and stops that stop."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import threading
import time
import types
from collections import Counter

import pytest
import torch
from tiny_mind import FAMILIES, WINDOW, make_adapter, make_base

from batos import errors
from batos.mind.engine import Limits
from batos.mind.loading import open_engine

METHOD = """%llguidance {"no_forcing": true}
start: "def " NAME "(self):\\n" ("    self." NAME " = " NUMBER "\\n"){0,2} "    return " NUMBER "\\n"
NAME: /[a-z][a-z_]{0,6}/
NUMBER: /[0-9]{1,3}/
"""
METHOD_SHAPE = re.compile(
    r"def [a-z][a-z_]{0,6}\(self\):\n(    self\.[a-z][a-z_]{0,6} = [0-9]{1,3}\n){0,2}    return [0-9]{1,3}\n"
)
PROMPTS = ["<|ask|>deposit", "<|ask|>withdraw an amount from the balance", "x"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("mind")
    base = make_base(made / "base")
    make_adapter(made / "experts" / "BRICK", base, 1)
    make_adapter(made / "experts" / "alfred", base, 2, rank=2)
    return made


@pytest.fixture(scope="module")
def engine(folder):
    return open_engine(folder / "base", folder / "experts", threads=1)


def texts(drafts):
    return [draft.text for draft in drafts]


def next_logits(engine, prompt: str, tokens=(), expert: str | None = None):
    """(tokens + 1, V): what the whole model says at the end of the prompt and after each token."""
    ids = engine.tokenizer(prompt, add_special_tokens=False)["input_ids"] + list(tokens)
    with torch.inference_mode(), engine.memory.pinned(expert) as (slot,):
        with engine.memory.routed([(0, 1, slot)]):
            return engine.model(input_ids=torch.tensor([ids])).logits[0, -len(tokens) - 1 :]


def test_importing_the_mind_imports_no_torch():
    code = "import batos.mind, sys; print('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_greedy_tokens_are_those_of_transformers_own_generate(engine):
    for prompt in PROMPTS:
        inputs = engine.tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        told = engine.model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=torch.ones_like(inputs["input_ids"]),
            do_sample=False,
            max_new_tokens=20,
            pad_token_id=0,
        )[0, inputs["input_ids"].shape[1] :].tolist()
        (draft,) = engine.generate([prompt], limits=Limits(max_tokens=20))
        assert list(draft.tokens) == [token for token in told if token not in engine.ends]


@pytest.mark.parametrize("family", ["Qwen2", "Qwen3", "GPTNeoX"])
def test_other_architectures_decode_and_take_experts(family, tmp_path):
    base = make_base(tmp_path / "base", seed=3, family=family)
    make_adapter(tmp_path / "experts" / "BRICK", base, 1, target_modules=FAMILIES[family])
    engine = open_engine(base, tmp_path / "experts", threads=1)
    alone, brick = engine.generate(PROMPTS[:1] * 2, [None, "BRICK"], limits=Limits(max_tokens=12))
    assert alone.tokens != brick.tokens
    for draft, expert in ((alone, None), (brick, "BRICK")):
        picked = next_logits(engine, PROMPTS[0], draft.tokens[:-1], expert).argmax(-1)
        assert tuple(picked.tolist()) == draft.tokens


def test_a_row_comes_out_the_same_alone_and_in_a_batch_of_other_lengths_and_experts(engine):
    experts = [None, "BRICK", "ALFRED", "brick", None, "ALFRED"]
    batch = engine.generate(PROMPTS * 2, experts, limits=Limits(max_tokens=16))
    for prompt, expert, draft in zip(PROMPTS * 2, experts, batch, strict=True):
        (alone,) = engine.generate([prompt], expert, limits=Limits(max_tokens=16))
        assert alone.tokens == draft.tokens
        assert alone.logprob == pytest.approx(draft.logprob, rel=1e-4, abs=1e-3)


def test_a_prompt_in_chunks_is_the_same_prompt(engine, monkeypatch):
    prompts = ["deposit an amount, " * 6, "withdraw"]
    whole = engine.generate(prompts, "BRICK", limits=Limits(max_tokens=10))
    monkeypatch.setattr("batos.mind.decoding.PREFILL_CHUNK", 7)
    assert texts(engine.generate(prompts, "BRICK", limits=Limits(max_tokens=10))) == texts(whole)


def test_drafts_of_one_prompt_and_expert_compute_it_once(engine, monkeypatch):
    shapes = []
    forward = engine.forward
    monkeypatch.setattr(
        engine, "forward", lambda tokens, *rest: shapes.append(tuple(tokens.shape)) or forward(tokens, *rest)
    )
    engine.generate(PROMPTS[:1] * 5 + PROMPTS[1:2], ["BRICK"] * 4 + [None] * 2, limits=Limits(max_tokens=3))
    assert shapes[0][0] == 3  # (prompt 0, BRICK), (prompt 0, base), (prompt 1, base)
    assert [rows for rows, _ in shapes[1:]] == [6, 6]


def test_a_beginning_that_prompts_share_is_computed_once_for_each_expert(engine, monkeypatch):
    beginning = "<|ask|>an account with a balance and an owner: "
    prompts = [beginning + end for end in ("deposit", "withdraw an amount", "x", "deposit")]
    experts = ["BRICK", "BRICK", None, None]
    alone = [
        engine.generate([prompt], expert, limits=Limits(max_tokens=8))[0]
        for prompt, expert in zip(prompts, experts, strict=True)
    ]
    shapes = []
    forward = engine.forward
    monkeypatch.setattr(
        engine, "forward", lambda tokens, *rest: shapes.append(tuple(tokens.shape)) or forward(tokens, *rest)
    )
    together = engine.generate(prompts, experts, limits=Limits(max_tokens=8))
    assert [draft.tokens for draft in together] == [draft.tokens for draft in alone]
    (two, shared), (four, rest) = shapes[:2]
    assert (two, four) == (2, 4) and shared + rest == max(engine.count(prompt) for prompt in prompts)
    assert shared >= engine.count(beginning) - 1


def test_random_weights_keep_to_the_grammar(engine):
    limits = Limits(max_tokens=80, temperature=1.5, seed=5)
    drafts = engine.generate(["<|ask|>"] * 30, "BRICK", METHOD, limits)
    assert {draft.finish for draft in drafts} == {"stop"}
    assert all(METHOD_SHAPE.fullmatch(draft.text) for draft in drafts)
    assert len(set(texts(drafts))) > 25


def test_each_row_has_a_grammar_of_its_own_or_none(engine):
    digits, letters, free = engine.generate(
        ["x"] * 3, grammar=["start: /[0-9]{3}/", "start: /[a-z]{3}/", None], limits=Limits(max_tokens=9)
    )
    assert re.fullmatch("[0-9]{3}", digits.text) and re.fullmatch("[a-z]{3}", letters.text)
    assert free.finish == "length" and len(free.tokens) == 9


def test_a_grammar_that_is_none_is_a_bad_request(engine):
    with pytest.raises(errors.BadRequest, match="grammar"):
        engine.generate(["x"], grammar="start: nothing_of_that_name")


def test_the_logprob_is_the_models_own(engine):
    for draft in engine.generate(["<|ask|>x"] * 3, "BRICK", limits=Limits(12, [0, 0.7, 1.3], seed=2)):
        logprobs = next_logits(engine, "<|ask|>x", draft.tokens[:-1], "BRICK").log_softmax(-1)
        expected = sum(line[token].item() for line, token in zip(logprobs, draft.tokens, strict=True))
        assert draft.finish == "length" and draft.logprob == pytest.approx(expected, rel=1e-3)


def test_the_logprob_is_renormalised_over_what_the_grammar_allows(engine):
    vocabulary = engine.tokenizer.get_vocab()
    (draft,) = engine.generate(["x"], grammar='start: "q" | "z"', limits=Limits(temperature=1.0, seed=1))
    q, z = next_logits(engine, "x")[0, [vocabulary["q"], vocabulary["z"]]].tolist()
    chosen = q if draft.text == "q" else z
    expected = chosen - math.log(math.exp(q) + math.exp(z))
    assert draft.text in ("q", "z") and draft.finish == "stop"
    assert draft.logprob == pytest.approx(expected, rel=1e-3)


def test_samples_follow_the_models_probabilities_at_their_temperature(engine):
    words = engine.tokenizer.get_vocab()
    letters = "abcd"
    for temperature in (1.0, 3.0):
        scores = next_logits(engine, "x")[0, [words[letter] for letter in letters]]
        expected = (scores / temperature).softmax(-1).tolist()
        drafts = engine.generate(
            ["x"] * 800, grammar='start: "a" | "b" | "c" | "d"', limits=Limits(4, temperature, seed=0)
        )
        seen = Counter(texts(drafts))
        for letter, share in zip(letters, expected, strict=True):
            # Four standard deviations of a share of 800 draws.
            assert abs(seen[letter] / 800 - share) < 4 * math.sqrt(share * (1 - share) / 800) + 1e-6


def test_top_p_draws_only_from_the_nucleus(engine):
    words = engine.tokenizer.get_vocab()
    scores = {letter: next_logits(engine, "x")[0, words[letter]].item() for letter in "abcd"}
    best = max(scores, key=scores.get)
    drafts = engine.generate(
        ["x"] * 50, grammar='start: "a" | "b" | "c" | "d"', limits=Limits(4, 1.0, top_p=0.01, seed=0)
    )
    assert set(texts(drafts)) == {best}


def test_the_same_seed_draws_the_same_and_a_row_replays_alone_from_its_own_seed(engine):
    limits = Limits(12, 1.0, seed=40)
    first = engine.generate(["deposit"] * 4, ["BRICK", None] * 2, limits=limits)
    assert first == engine.generate(["deposit"] * 4, ["BRICK", None] * 2, limits=limits)
    assert first[0].tokens != first[2].tokens
    (third,) = engine.generate(["deposit"], "BRICK", limits=Limits(12, 1.0, seed=42))
    assert third.tokens == first[2].tokens
    assert texts(engine.generate(["deposit"] * 2, limits=Limits(12, 1.0, seed=[7, 7])))[0] != ""
    free = [engine.generate(["deposit"], limits=Limits(12, 1.0))[0].tokens for _ in range(3)]
    assert len(set(free)) == 3


def test_a_generation_ends_at_the_end_token_and_does_not_tell_it(engine, monkeypatch):
    (long,) = engine.generate(["deposit"], limits=Limits(max_tokens=10))
    monkeypatch.setattr(engine, "ends", {long.tokens[4]})
    (short,) = engine.generate(["deposit"], limits=Limits(max_tokens=10))
    assert short.finish == "stop" and short.tokens == long.tokens[: long.tokens.index(long.tokens[4])]
    assert 0 > short.logprob > long.logprob


def test_what_has_ended_early_does_not_disturb_the_others(engine):
    grammars = ["start: /[0-9]{2}/", None, "start: /[0-9]{5}/", None]
    batch = engine.generate(PROMPTS[:2] * 2, ["BRICK", None] * 2, grammars, Limits(max_tokens=14))
    for place, (prompt, grammar) in enumerate(zip(PROMPTS[:2] * 2, grammars, strict=True)):
        (alone,) = engine.generate([prompt], ["BRICK", None][place % 2], grammar, Limits(max_tokens=14))
        assert alone.tokens == batch[place].tokens


def test_a_deadline_ends_it_in_the_middle_and_one_that_has_passed_before_it_starts(engine):
    started = time.monotonic()
    (draft,) = engine.generate(["x"], limits=Limits(max_tokens=200, deadline=started + 0.05))
    assert draft.finish == "deadline" and 0 < len(draft.tokens) < 200
    assert time.monotonic() - started < 0.5
    (late,) = engine.generate(["x"], limits=Limits(deadline=started))
    assert late.finish == "deadline" and late.tokens == () and late.text == ""


def test_a_cancel_ends_it_at_the_token_it_is_at(engine):
    cancel = threading.Event()
    threading.Timer(0.05, cancel.set).start()
    drafts = engine.generate(["x", "y"], limits=Limits(max_tokens=200), cancel=cancel)
    assert [draft.finish for draft in drafts] == ["cancelled"] * 2
    assert all(0 < len(draft.tokens) < 200 for draft in drafts)


@pytest.mark.parametrize("why", ["cancelled", "deadline"])
def test_a_batch_of_voices_under_grammars_ends_at_the_very_token_it_is_told_to(engine, monkeypatch, why):
    steps, cancel, forward = [], threading.Event(), engine.forward
    hour = time.monotonic() + 3600

    def until_five(*given):
        steps.append(1)
        if len(steps) == 5:
            cancel.set()
            if why == "deadline":
                monkeypatch.setattr("batos.mind.engine.time", types.SimpleNamespace(monotonic=lambda: hour + 1))
        return forward(*given)

    monkeypatch.setattr(engine, "forward", until_five)
    drafts = engine.generate(
        PROMPTS[:1] * 3, ["BRICK", None, "ALFRED"], ["start: /[a-z]{40}/", METHOD, None],
        Limits(max_tokens=40, temperature=[0, 0.8, 1.2], seed=3, deadline=hour),
        cancel if why == "cancelled" else None,
    )  # fmt: skip
    assert [draft.finish for draft in drafts] == [why] * 3
    assert {len(draft.tokens) for draft in drafts} == {len(steps) - 1} and len(steps) == 5


def test_one_generation_at_a_time_and_who_waits_too_long_gets_deadline(engine):
    began = threading.Event()
    forward = engine.forward

    def slow(*arguments):
        began.set()
        time.sleep(0.05)
        return forward(*arguments)

    engine.forward = slow
    try:
        first = threading.Thread(target=engine.generate, args=(["x"], None, None, Limits(max_tokens=6)))
        first.start()
        began.wait(5)
        (second,) = engine.generate(["y"], limits=Limits(max_tokens=2, deadline=time.monotonic() + 0.06))
        first.join()
    finally:
        del engine.forward
    assert second.finish == "deadline"


def test_a_prompt_over_the_window_is_refused_and_an_answer_ends_where_the_window_does(engine):
    with pytest.raises(errors.TooLarge, match=f"window of this mind is {WINDOW}"):
        engine.generate(["Q" * 300])
    prompt = "Q" * (WINDOW - 5)
    (draft,) = engine.generate([prompt], limits=Limits(max_tokens=50))
    assert draft.finish == "length" and len(draft.tokens) == WINDOW - engine.count(prompt)


def test_what_does_not_fit_the_budget_is_refused_and_the_next_one_that_fits_is_answered(folder):
    from batos.mind.ledger import Ledger

    engine = open_engine(folder / "base", ledger=Ledger(1_000_000, "RAM"), threads=1)
    with pytest.raises(errors.TooLarge, match="kv"):
        engine.generate(["x"] * 50, limits=Limits(max_tokens=200))
    assert engine.generate(["x"], limits=Limits(max_tokens=2))[0].finish == "length"


def test_mistakes_in_a_request_are_named(engine):
    with pytest.raises(errors.BadRequest, match="2 values of expert for 3 prompts"):
        engine.generate(PROMPTS, ["BRICK", None])
    with pytest.raises(errors.BadRequest, match="empty prompt"):
        engine.generate([""])
    with pytest.raises(errors.NoSuchObject, match="NOBODY"):
        engine.generate(["x"], "nobody")
    assert engine.generate([]) == []


# streaming, cutting, prefixes, memory


def test_what_is_told_token_by_token_is_the_text_of_each_draft(engine):
    told: dict[int, list[str]] = {0: [], 1: [], 2: []}
    drafts = engine.generate(
        PROMPTS, ["BRICK", None, "ALFRED"], [None, METHOD, "start: /[0-9]{2}/"], Limits(max_tokens=20),
        tell=lambda place, text: told[place].append(text),
    )  # fmt: skip
    assert ["".join(told[place]) for place in range(3)] == texts(drafts)
    assert len(told[0]) > 3  # as it comes, not at the end


def test_what_is_told_stops_with_a_cancel_and_is_still_the_text(engine):
    cancel, told = threading.Event(), []

    def tell(_, text):
        told.append(text)
        if len(told) == 5:
            cancel.set()

    (draft,) = engine.generate(["deposit"], limits=Limits(max_tokens=200), cancel=cancel, tell=tell)
    assert draft.finish == "cancelled" and "".join(told) == draft.text and len(draft.tokens) < 100


def test_a_prompt_over_the_window_is_cut_where_the_policy_says_and_the_draft_says_how_much(engine):
    letters = "".join(chr(97 + i % 26) for i in range(WINDOW + 40))
    count = engine.count(letters)
    for over, kept in (("front", letters[-100:]), ("middle", letters[:50])):
        (draft,) = engine.generate([letters], limits=Limits(max_tokens=20, over=over))
        assert len(draft.tokens) == 20  # the answer has the room it asked for
        assert draft.cut == count - (WINDOW - 21)
        rows = engine._rows([letters], None, None, Limits(max_tokens=20, over=over), ())
        text = engine.tokenizer.decode(rows[0].prompt)
        assert text.endswith(kept) if over == "front" else text.startswith(kept)
    assert engine.generate(["x"], limits=Limits(max_tokens=2, over="middle"))[0].cut == 0
    with pytest.raises(errors.BadRequest, match="over is"):
        engine.generate(["x"], limits=Limits(over="somewhere"))


class Kept(dict):
    """A shelf in memory."""

    find = dict.get

    def keep(self, key, tokens, expert, tensors):
        self[key] = [(keys.clone(), values.clone()) for keys, values in tensors]


@pytest.mark.parametrize("experts", [None, "BRICK", ["BRICK", None, "ALFRED"]], ids=["base", "one", "mixed"])
def test_a_prefix_that_is_kept_answers_what_the_whole_prompt_answers_and_is_read_once(
    folder, experts, monkeypatch
):
    prefix = "<|ask|>an account that has a balance: "
    limits = Limits(max_tokens=12)
    first = open_engine(folder / "base", folder / "experts", threads=1)
    whole = first.generate([prefix + prompt for prompt in PROMPTS], experts, limits=limits)
    shelf = Kept()
    first.prefixes._shelf = shelf
    cold = first.generate(PROMPTS, experts, limits=limits, prefix=prefix)
    assert [draft.tokens for draft in cold] == [draft.tokens for draft in whole]
    voices = 3 if isinstance(experts, list) else 1
    assert first.prefixes.counters["computed"] == voices == len(shelf)
    again = open_engine(folder / "base", folder / "experts", threads=1)  # another awakening
    again.prefixes._shelf = shelf
    shapes = []
    forward = again.forward
    monkeypatch.setattr(
        again, "forward", lambda tokens, *rest: shapes.append(tuple(tokens.shape)) or forward(tokens, *rest)
    )
    assert again.generate(PROMPTS, experts, limits=limits, prefix=prefix) == cold  # bit for bit
    assert max(width for _, width in shapes) <= max(first.count(prompt) for prompt in PROMPTS)
    assert again.prefixes.counters == {"hit": 0, "from_image": voices, "computed": 0, "dropped": 0}
    assert again.memory.ledger()["prefixes"] == first.count(prefix) * voices * again.kv_bytes_per_token
    monkeypatch.setattr("batos.mind.prefixes.ARITHMETIC", 0)  # as an edition kept them that computed otherwise
    again.prefixes.clear()
    again.generate(PROMPTS, experts, limits=limits, prefix=prefix)
    assert again.prefixes.counters["computed"] == voices and again.prefixes.counters["from_image"] == voices


def test_a_prefix_makes_room_when_a_context_needs_it(folder):
    from batos.mind.ledger import Ledger

    engine = open_engine(folder / "base", threads=1)
    engine.generate(["x"], limits=Limits(max_tokens=2), prefix="an account " * 8)
    held = engine.memory.ledger()["prefixes"]
    assert held
    engine.memory.books.budget = sum(engine.memory.books._held.values()) + held // 2
    with engine.memory.reserve("kv", held):
        assert engine.memory.ledger()["prefixes"] == 0
    assert isinstance(engine.memory.books, Ledger) and engine.prefixes.counters["dropped"] == 1


@pytest.fixture
def fixed(folder, monkeypatch):
    """An engine that decodes at fixed addresses, as on a card; there each step is recorded besides."""
    monkeypatch.setattr("batos.mind.steps.BUCKET", 64)
    engine = open_engine(folder / "base", folder / "experts", threads=1)
    engine.fixed = True
    return engine


def test_at_fixed_addresses_the_same_tokens_come_out_also_of_rows_that_outlive_others(engine, fixed):
    grammars = ["start: /[0-9]{2}/", None, "start: /[0-9]{25}/", None]
    asked = (PROMPTS[:2] * 2, ["BRICK", None, "ALFRED", "BRICK"], grammars, Limits(max_tokens=30))
    grown = engine.generate(*asked)
    for _ in range(2):  # the second time finds the shape there already, with another generation's numbers in it
        drafts = fixed.generate(*asked)
        assert [draft.tokens for draft in drafts] == [draft.tokens for draft in grown]
        assert [draft.logprob for draft in drafts] == pytest.approx([each.logprob for each in grown], rel=1e-3)
    assert len({len(draft.tokens) for draft in drafts}) == 3
    ((rows, columns),) = fixed.shapes._held
    layers = fixed.shapes._held[rows, columns].cache.layers
    assert fixed.memory.ledger()["graphs"] == sum(each.keys.nbytes + each.values.nbytes for each in layers)


def test_fixed_addresses_are_given_up_for_a_context_and_are_not_taken_without_room(fixed):
    limits = Limits(max_tokens=20)
    (told,) = fixed.generate(["deposit"], "BRICK", limits=limits)
    for prompt in ("x" * 70, "y" * 140):
        fixed.generate([prompt], limits=limits)
    assert len(fixed.shapes._held) == 2  # of three shapes
    books = fixed.memory.books
    books.budget = books.budget - books.free + 1
    with fixed.memory.reserve("kv", 2):
        assert len(fixed.shapes._held) == 1
    fixed.shapes.clear()
    assert fixed.memory.ledger()["graphs"] == 0
    columns = fixed.count("deposit") + 20
    books.budget = sum(books._held.values()) + columns * fixed.kv_bytes_per_token + fixed.workspace(1, columns)
    (again,) = fixed.generate(["deposit"], "BRICK", limits=limits)
    assert again.tokens == told.tokens and not fixed.shapes._held


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: recorded steps run only on one")
def test_a_recorded_step_says_what_an_ordinary_one_says_and_is_quicker(folder):
    engine = open_engine(folder / "base", folder / "experts", device="cuda", dtype="bfloat16")
    limits = Limits(max_tokens=40)
    recorded = [engine.generate(PROMPTS, ["BRICK", None, "ALFRED"], limits=limits) for _ in range(2)][1]
    (held,) = engine.shapes._held.values()
    assert all(held.recordings.values())
    engine.fixed = False
    assert texts(engine.generate(PROMPTS, ["BRICK", None, "ALFRED"], limits=limits)) == texts(recorded)


def failing(times, error):
    left = [times]

    def fail(forward):
        def step(*given):
            if left[0]:
                left[0] -= 1
                raise error
            return forward(*given)

        return step

    return fail


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_out_of_memory_evicts_and_tries_once_more_then_fails_that_generation_alone(
    engine, monkeypatch, error
):
    expected = engine.generate(["deposit"], "BRICK", limits=Limits(max_tokens=8))
    engine.generate(["deposit"], limits=Limits(max_tokens=2), prefix="an account ")
    forward = engine.forward
    with monkeypatch.context() as once:
        once.setattr(engine, "forward", failing(1, error)(forward))
        assert engine.generate(["deposit"], "BRICK", limits=Limits(max_tokens=8)) == expected
        assert engine.memory.ledger()["prefixes"] == 0 and engine.memory.residents()["warm"] == []
    with monkeypatch.context() as twice:
        twice.setattr(engine, "forward", failing(2, error)(forward))
        with pytest.raises(errors.TooLarge, match="memory ran out"):
            engine.generate(["deposit"], "BRICK", limits=Limits(max_tokens=8))
    held = engine.memory.ledger()
    assert held["kv"] == held["workspace"] == 0 and engine.memory.residents()["pinned"] == []
    assert engine.generate(["deposit"], "BRICK", limits=Limits(max_tokens=8)) == expected


def test_another_error_of_the_model_is_not_taken_for_want_of_memory(engine, monkeypatch):
    monkeypatch.setattr(engine, "forward", failing(1, RuntimeError("shapes differ"))(engine.forward))
    with pytest.raises(RuntimeError, match="shapes differ"):
        engine.generate(["deposit"], limits=Limits(max_tokens=8))
