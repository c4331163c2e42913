"""Experts in three tiers: the numbers of peft, whatever was swapped, pinned, evicted or damaged before."""

from __future__ import annotations

import asyncio
import random
import threading
from dataclasses import replace

import pytest
import torch
from tiny_mind import make_adapter, make_base, peft_logits

from batos import errors
from batos.mind.ledger import Ledger, kv_bytes_per_token, weight_bytes
from batos.mind.loading import cap_device, folder_expert, load_model
from batos.mind.memory_manager import MemoryManager

NAMES = ["BRICK", "ALFRED", "ROBIN", "BABS"]
TOKENS = torch.arange(3, 43).view(4, 10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("mind")
    base = make_base(made / "base")
    make_adapter(made / "BRICK", base, 1)
    make_adapter(made / "ALFRED", base, 2, rank=2, alpha=6)
    make_adapter(made / "ROBIN", base, 3, rank=3, target_modules=["q_proj", "v_proj"])
    make_adapter(made / "BABS", base, 4, use_rslora=True)
    make_adapter(made / "WIDE", base, 5, rank=8)
    return made


@pytest.fixture(scope="module")
def peft(folder):
    return {name: peft_logits(folder / "base", folder / name, TOKENS) for name in [*NAMES, "WIDE"]}


@pytest.fixture
def cold(folder):
    return {name: folder_expert(folder / name) for name in [*NAMES, "WIDE"]}


@pytest.fixture
def manager(folder, cold):
    def make(**options) -> MemoryManager:
        model, _ = load_model(folder / "base", threads=1)
        return MemoryManager(model, cold.get, **{"slots": 2, "rank": 4, **options})

    return make


def logits(memory: MemoryManager, *names: str | None, tokens=TOKENS):
    """What the model answers when row i thinks with names[i]; one name stands for all rows."""
    rows = names if len(names) > 1 else names * len(tokens)
    with torch.inference_mode(), memory.pinned(*rows) as slots:
        with memory.routed([(row, row + 1, slot) for row, slot in enumerate(slots)]):
            return memory.model(input_ids=tokens).logits


@pytest.mark.parametrize("name", NAMES)
def test_an_expert_answers_what_peft_answers_with_the_same_adapter(manager, peft, name):
    memory = manager()
    assert torch.allclose(logits(memory, name), peft[name], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(logits(memory, None), peft[name], rtol=1e-2, atol=1e-2)


def test_sixty_swaps_leave_the_base_and_every_expert_bit_equal(manager):
    memory = manager()
    plain = {path: layer.weight.clone() for path, layer in memory.layout.layers.items()}
    before = {name: logits(memory, name) for name in [None, *NAMES]}
    chance = random.Random(7)
    for _ in range(60):
        name = chance.choice([None, *NAMES])
        assert torch.equal(logits(memory, name), before[name]), name
    assert all(torch.equal(layer.weight, plain[path]) for path, layer in memory.layout.layers.items())


def test_without_an_expert_a_model_with_slots_is_bit_equal_to_one_without(folder, manager):
    model, _ = load_model(folder / "base", threads=1)
    with torch.inference_mode():
        assert torch.equal(model(input_ids=TOKENS).logits, logits(manager(), None))


def test_a_batch_that_mixes_experts_answers_row_by_row_what_each_answers_alone(manager):
    memory = manager(slots=4)
    mixed = logits(memory, "BRICK", None, "ALFRED", "ROBIN")
    for row, name in enumerate(["BRICK", None, "ALFRED", "ROBIN"]):
        assert torch.allclose(mixed[row], logits(memory, name)[row], rtol=1e-4, atol=1e-4)


def test_an_expert_of_a_higher_rank_than_any_before_widens_the_slots(manager, peft):
    memory = manager()
    before = memory.ledger()["slots"]
    logits(memory, "BRICK")
    assert torch.allclose(logits(memory, "WIDE"), peft["WIDE"], rtol=1e-4, atol=1e-4)
    assert memory.ledger()["slots"] == 2 * before
    assert torch.allclose(logits(memory, "BRICK"), peft["BRICK"], rtol=1e-4, atol=1e-4)


def test_slots_are_not_widened_under_an_expert_that_is_at_work(manager):
    memory = manager()
    with memory.pinned("BRICK"), pytest.raises(errors.Busy, match="WIDE|rank 8"):
        memory.activate("WIDE")
    assert memory.activate("WIDE")


def test_names_are_matched_without_case_and_an_unknown_one_is_false(manager):
    memory = manager()
    assert memory.activate("brick") and memory.tier("Brick") == "hot"
    assert memory.activate("nobody") is False and memory.tier("nobody") is None
    with pytest.raises(errors.NoSuchObject, match="NOBODY"), memory.pinned("nobody"):
        pass


def test_the_warm_tier_forgets_the_least_recently_used_by_bytes(manager):
    row = manager().layout.numbers * 2
    memory = manager(slots=1, warm_bytes=2 * row + row // 2)
    for name in ("BRICK", "ALFRED", "BRICK", "ROBIN"):
        memory.activate(name)
    assert memory.residents()["warm"] == ["BRICK", "ROBIN"]
    assert memory.warm_in_use == memory.ledger()["warm"] == 2 * row
    assert memory.tier("ALFRED") == "cold"
    assert memory.counters["evicted_warm"] == 1


def test_an_expert_larger_than_the_whole_warm_tier_still_becomes_hot(manager, peft):
    memory = manager(warm_bytes=10)
    assert torch.allclose(logits(memory, "BRICK"), peft["BRICK"], rtol=1e-4, atol=1e-4)
    assert memory.residents()["warm"] == []


def test_what_is_pinned_is_not_evicted_and_with_all_slots_pinned_the_next_is_told_so(manager):
    memory = manager()
    with memory.pinned("BRICK"):
        for name in ("ALFRED", "ROBIN", "BABS"):
            memory.activate(name)
            assert memory.tier("BRICK") == "hot"
        with memory.pinned("ROBIN"), pytest.raises(errors.Busy, match="2 expert slots.*BRICK"):
            memory.activate("ALFRED")
    assert memory.activate("ALFRED") and memory.activate("ROBIN")
    assert memory.tier("BRICK") == "warm" and memory.residents()["pinned"] == []


def test_a_pin_that_cannot_be_had_leaves_no_other_pin_behind(manager):
    memory = manager()
    with pytest.raises(errors.NoSuchObject), memory.pinned("BRICK", "NOBODY"):
        pass
    assert memory.residents()["pinned"] == []


def test_pinning_can_be_awaited(manager):
    memory = manager()

    async def think():
        async with memory.pinned("BRICK") as (slot,):
            return slot, memory.residents()["pinned"]

    assert asyncio.run(think()) == (0, ["BRICK"])
    assert memory.residents()["pinned"] == []


def test_a_file_that_differs_from_what_was_ingested_is_found_before_it_is_used(manager, cold, tmp_path):
    good = cold["BRICK"]
    bytes_ = bytearray(good.path.read_bytes())
    bytes_[-3] ^= 1
    (tmp_path / "bad").write_bytes(bytes_)
    import xxhash

    known = xxhash.xxh3_64_hexdigest(good.path.read_bytes())
    cold["BRICK"] = replace(good, path=tmp_path / "bad", xxh3=known)
    memory = manager()
    with pytest.raises(errors.Damaged, match="BRICK is damaged") as told:
        memory.activate("BRICK")
    assert "experts --stage" in told.value.hint and memory.tier("BRICK") == "cold"
    cold["BRICK"] = replace(good, xxh3=known)
    assert memory.activate("BRICK")


def test_a_missing_or_cut_file_is_damage_in_words(manager, cold, tmp_path):
    (tmp_path / "cut").write_bytes(cold["BRICK"].path.read_bytes()[:-10])
    for path in (tmp_path / "cut", tmp_path / "nowhere"):
        cold["BRICK"] = replace(cold["BRICK"], path=path)
        with pytest.raises(errors.Damaged, match="BRICK|safetensors"):
            manager().activate("BRICK")


def test_forgetting_an_expert_makes_its_replacement_answer(manager, cold, peft):
    memory = manager()
    logits(memory, "BRICK")
    cold["BRICK"] = replace(cold["BABS"], name="BRICK")
    assert torch.allclose(logits(memory, "BRICK"), peft["BRICK"], rtol=1e-4, atol=1e-4)
    memory.forget("brick")
    assert torch.allclose(logits(memory, "BRICK"), peft["BABS"], rtol=1e-4, atol=1e-4)


def test_every_hit_and_every_swap_reaches_the_metrics(manager):
    told = []
    memory = manager(slots=1, metrics=lambda event, value, **labels: told.append((event, value, labels)))
    for name in ("BRICK", "BRICK", "ALFRED", "BRICK", "NOBODY"):
        memory.activate(name)
    hits = [labels["tier"] for event, _, labels in told if event == "expert_hit"]
    swaps = [(labels["tier"], labels["expert"]) for event, _, labels in told if event == "swap_ms"]
    assert hits == ["cold", "hot", "cold", "warm", "unknown"]
    assert swaps == [("cold", "BRICK"), ("cold", "ALFRED"), ("warm", "BRICK")]
    assert all(0 < value < 1000 for event, value, _ in told if event == "swap_ms")
    assert memory.counters["hit_cold"] == 2 and memory.counters["hit_hot"] == 1


def test_prefetch_fills_free_slots_then_the_warm_tier(manager):
    memory = manager()
    memory.prefetch(["brick", "alfred", "robin", "nobody"]).join(10)
    assert [memory.tier(name) for name in ("BRICK", "ALFRED", "ROBIN")] == ["hot", "hot", "warm"]
    assert (memory.counters["prefetched"], memory.counters["hit_prefetched"]) == (3, 0)
    for name in ("ROBIN", "BRICK", "ROBIN", "BABS"):  # hit once each, and BABS was not foreseen
        memory.activate(name)
    assert memory.counters["hit_prefetched"] == 2 and memory.counters["hit_cold"] == 3


def test_what_cannot_be_fetched_ahead_is_told_to_who_needs_it_and_not_before(manager, cold, tmp_path):
    memory, good = manager(), cold["BRICK"]
    cold["BRICK"] = replace(good, path=tmp_path / "nowhere")
    memory.prefetch(["BRICK", "ALFRED"]).join(10)
    assert memory.tier("ALFRED") == "hot" and memory.counters["prefetched"] == 1
    with pytest.raises(errors.Damaged, match="BRICK"):
        memory.activate("BRICK")


def test_the_ledger_counts_what_the_tensors_take(folder, manager):
    ledger = Ledger(1e9, "RAM")
    model, _ = load_model(folder / "base", threads=1, ledger=ledger)
    weights = {weight.data_ptr(): weight.nbytes for weight in model.parameters()}
    assert ledger.table()["weights"] + ledger.table()["embeddings"] == sum(weights.values())
    assert ledger.table()["embeddings"] == model.get_input_embeddings().weight.nbytes
    memory = manager()
    assert memory.ledger()["slots"] == memory.flat.nbytes
    with torch.inference_mode():
        cache = memory.model(input_ids=TOKENS, use_cache=True).past_key_values
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert memory.ledger()["kv_per_token"] * TOKENS.numel() == held


def test_a_token_of_context_of_the_eight_billion_llama_costs_128_kib():
    from transformers import LlamaConfig

    config = LlamaConfig(
        hidden_size=4096, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8
    )
    assert kv_bytes_per_token(config, 2) == 131_072


def test_what_does_not_fit_is_refused_before_it_is_allocated(folder, manager):
    size = weight_bytes(folder / "base", 4)
    with pytest.raises(errors.TooLarge, match="(weights|embeddings) .* do not fit") as told:
        load_model(folder / "base", ledger=Ledger(size - 1, "VRAM"))
    assert "vram_bytes" in told.value.hint
    with pytest.raises(errors.TooLarge, match="slots"):
        manager(slots=1000, ledger=Ledger(1e6, "RAM"))


def test_warm_experts_make_room_for_a_context_and_then_the_context_is_refused(manager):
    slots = manager().flat.nbytes
    memory = manager(ledger=Ledger(slots + 100_000, "RAM"))
    memory.activate("BRICK")
    assert memory.residents()["warm"]
    with memory.reserve("kv", 95_000):
        assert not memory.residents()["warm"]
        with pytest.raises(errors.TooLarge, match="kv"), memory.reserve("kv", 50_000):
            pass
    assert memory.ledger()["free"] == 100_000


def test_threads_that_swap_and_think_at_once_never_see_another_ones_expert(manager, peft):
    memory = manager(slots=3)
    wrong, thinking = [], threading.Lock()

    def think(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(15):
            name = chance.choice(NAMES)
            try:
                with memory.pinned(name) as (slot,), thinking, memory.routed([(0, 4, slot)]):
                    with torch.inference_mode():
                        answer = memory.model(input_ids=TOKENS).logits
                if not torch.allclose(answer, peft[name], rtol=1e-4, atol=1e-4):
                    wrong.append(name)
            except errors.Busy:
                continue  # three slots, and the prefetcher may hold none, but three thinkers can

    threads = [threading.Thread(target=think, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        memory.prefetch(NAMES).join()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rows_of_a_mixed_batch_are_bit_equal_to_the_same_batch_with_one_expert_throughout(
    folder, cold, dtype
):
    model, _ = load_model(folder / "base", dtype=dtype, threads=1)
    memory = MemoryManager(model, cold.get, slots=4, rank=4)
    tokens = torch.randint(3, 300, (8, 12), generator=torch.Generator().manual_seed(1))
    rows = ["BRICK", None, "ALFRED", "ROBIN", "BABS", "BRICK", "ALFRED", None]
    for width in (12, 1):  # a prompt, and a step of one token
        mixed = logits(memory, *rows, tokens=tokens[:, :width])
        for name in {*rows}:
            alike = logits(memory, *[name] * 8, tokens=tokens[:, :width])
            for row, each in enumerate(rows):
                if each == name:
                    assert torch.equal(mixed[row], alike[row]), (dtype, width, name)


def test_what_a_person_pins_stays_hot_whoever_comes_and_one_slot_is_left_for_the_others(manager):
    memory = manager(slots=2)
    assert memory.pin("brick") and memory.pin("BRICK") and not memory.pin("NOBODY")
    for name in ("ALFRED", "ROBIN", "BABS"):
        memory.activate(name)
    assert memory.tier("BRICK") == "hot" and memory.residents()["pinned"] == ["BRICK"]
    with pytest.raises(errors.Busy, match="one stays for the others"):
        memory.pin("ALFRED")
    assert memory.activate("WIDE") and memory.residents()["pinned"] == ["BRICK"]  # the slots were made anew
    assert memory.unpin("BRICK") and not memory.unpin("BRICK")
    assert memory.activate("ALFRED") and memory.activate("ROBIN")
    assert memory.tier("BRICK") == "warm"


def test_a_pinned_expert_that_is_removed_is_pinned_no_more(manager):
    memory = manager(slots=2)
    memory.pin("BRICK")
    memory.forget("BRICK")
    assert memory.residents() == {"hot": [], "warm": [], "pinned": []}
    assert memory.activate("ALFRED") and memory.activate("ROBIN")
    assert memory.residents()["hot"] == ["ALFRED", "ROBIN"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: pinned RAM and the cap exist only with one")
def test_on_a_card_warm_rows_are_pinned_and_the_allocator_is_capped_at_the_budget(folder, cold):
    ledger = Ledger(2e9, "VRAM")
    cap_device(ledger)
    _, total = torch.cuda.mem_get_info()
    assert torch.cuda.get_per_process_memory_fraction() * total + ledger.table()["context"] <= 2.001e9
    model, _ = load_model(folder / "base", dtype="bfloat16", device="cuda", ledger=ledger)
    memory = MemoryManager(model, cold.get, slots=2, rank=4, ledger=ledger)
    memory.activate("BRICK")
    assert memory.flat.device.type == "cuda" and all(row.is_pinned() for row, _ in memory._warm.values())
    held = sum(ledger.table()[name] for name in ("weights", "embeddings", "slots"))
    assert abs(torch.cuda.memory_allocated() - held) < 0.03 * held + 1e6
