"""The tiers as objects that answer messages, and what their use leaves in the metrics."""

from __future__ import annotations

import pytest
from scripted import sender

from batos import errors
from batos.app import System
from batos.config import Settings


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    system = System(Settings(image=tmp_path_factory.mktemp("tiers") / "image", hot_slots=2))
    system.incarnate()
    system.mind.start_loading()
    assert system.mind.ready(60)
    yield system
    system.close()


@pytest.fixture
def say(system):
    send = sender(system)

    def said(to, selector, *args):
        reply = send(to, selector, *args)
        if reply.error is not None:
            raise reply.error
        return reply.result

    return said


def test_each_tier_tells_its_residents_and_its_bytes(say):
    assert say("memory_manager_obj", "activate_expert_", "brick") is True
    assert say("vram_manifest_obj", "residents")[-1] == "BRICK"
    assert say("nvme_repository_obj", "residents") == ["ALFRED", "BRICK", "ROBIN"]
    ledger = say("vram_manifest_obj", "ledger")
    held = [ledger[name] for name in ("weights", "embeddings", "slots", "warm", "kv", "workspace", "prefixes")
            if name in ledger]  # fmt: skip
    assert sum(held) == ledger["budget"] - ledger["free"]
    assert ledger["context"] == ledger["free"] // ledger["kv_per_token"]
    warm = say("ram_cache_obj", "ledger")
    assert 0 < warm["used"] == ledger["warm"] <= warm["budget"]
    assert "BRICK" in say("ram_cache_obj", "residents")
    cold = say("nvme_repository_obj", "ledger")
    assert cold["experts"] == 3 and cold["bytes"] > 100_000


def test_an_expert_is_pinned_and_let_go_by_messages(say):
    assert say("memory_manager_obj", "pin_expert_", "robin") is True
    for name in ("BRICK", "ALFRED", "BRICK"):
        say("memory_manager_obj", "activate_expert_", name)
    assert "ROBIN" in say("vram_manifest_obj", "residents")
    with pytest.raises(errors.Busy):
        say("memory_manager_obj", "pin_expert_", "BRICK")
    assert say("memory_manager_obj", "unpin_expert_", "robin") is True
    assert say("memory_manager_obj", "unpin_expert_", "robin") is False
    assert say("memory_manager_obj", "pin_expert_", "nobody") is False


def test_hits_by_tier_and_swap_times_reach_the_metrics(say, system):
    for name in ("BRICK", "ALFRED", "ROBIN", "ROBIN"):
        say("memory_manager_obj", "activate_expert_", name)
    system._keep_metrics()
    hits = {each["tier"] for each in say("system_metrics_obj", "events", "expert_hits")}
    assert hits >= {"hot", "warm", "cold"}
    swaps = say("system_metrics_obj", "events", "lora_swap_latencies")
    assert {each["tier"] for each in swaps} >= {"warm", "cold"} and all(each["ms"] > 0 for each in swaps)
    assert say("system_metrics_obj", "events", "vram")[-1]["budget"] > 1e9


def test_the_doctor_says_which_profile_this_machine_has(system):
    from batos import doctor

    rows = [row for row in doctor.examine(system) if row["check"] == "profile"]
    assert rows[0]["state"] == "ok" and "chosen by a look at the machine" in rows[0]["detail"]
