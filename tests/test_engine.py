"""The decode loop: right tokens, honest likelihoods, grammars kept by random weights, and stops that stop."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest
import torch
from tiny_mind import WINDOW, make_adapter, make_base

from batos import errors
from batos.mind.engine import Limits, open_engine

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


@pytest.mark.parametrize("family", ["Qwen2", "GPTNeoX"])
def test_other_architectures_decode_and_take_experts(family, tmp_path):
    import transformers

    base = make_base(tmp_path / "base")  # for its tokenizer
    config = getattr(transformers, f"{family}Config")(
        vocab_size=304, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=WINDOW, initializer_range=0.3, eos_token_id=0,
        **({"num_key_value_heads": 2} if family == "Qwen2" else {}),
    )  # fmt: skip
    torch.manual_seed(3)
    getattr(transformers, f"{family}ForCausalLM")(config).save_pretrained(base)
    targets = ["q_proj", "down_proj"] if family == "Qwen2" else ["query_key_value", "dense_4h_to_h"]
    make_adapter(tmp_path / "experts" / "BRICK", base, 1, target_modules=targets)
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
    monkeypatch.setattr("batos.mind.engine.PREFILL_CHUNK", 7)
    assert texts(engine.generate(prompts, "BRICK", limits=Limits(max_tokens=10))) == texts(whole)


def test_drafts_of_one_prompt_and_expert_compute_it_once(engine, monkeypatch):
    shapes = []
    forward = engine._forward
    monkeypatch.setattr(
        engine, "_forward", lambda tokens, *rest: shapes.append(tuple(tokens.shape)) or forward(tokens, *rest)
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
    forward = engine._forward
    monkeypatch.setattr(
        engine, "_forward", lambda tokens, *rest: shapes.append(tuple(tokens.shape)) or forward(tokens, *rest)
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


def test_one_generation_at_a_time_and_who_waits_too_long_gets_deadline(engine):
    began = threading.Event()
    forward = engine._forward

    def slow(*arguments):
        began.set()
        time.sleep(0.05)
        return forward(*arguments)

    engine._forward = slow
    try:
        first = threading.Thread(target=engine.generate, args=(["x"], None, None, Limits(max_tokens=6)))
        first.start()
        began.wait(5)
        (second,) = engine.generate(["y"], limits=Limits(max_tokens=2, deadline=time.monotonic() + 0.06))
        first.join()
    finally:
        del engine._forward
    assert second.finish == "deadline"


def test_a_prompt_over_the_window_is_refused_and_an_answer_ends_where_the_window_does(engine):
    with pytest.raises(errors.TooLarge, match=f"window of this mind is {WINDOW}"):
        engine.generate(["Q" * 300])
    prompt = "Q" * (WINDOW - 5)
    (draft,) = engine.generate([prompt], limits=Limits(max_tokens=50))
    assert draft.finish == "length" and len(draft.tokens) == WINDOW - engine.count(prompt)


def test_what_does_not_fit_the_budget_is_refused_and_the_next_one_that_fits_is_answered(folder):
    from batos.mind.memory_manager import Ledger

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
