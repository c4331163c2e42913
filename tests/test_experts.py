"""Experts of an image: given out as peft wrote them, renamed, replaced and taken back, and ten thousand of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny_mind import FAMILIES, make_adapter, make_base, peft_logits

from batos import errors
from batos.config import Settings
from batos.image import LivingImage
from batos.mind import Limits, Mind, experts, incarnation
from batos.objects.genesis import genesis

ROOT = Path(__file__).resolve().parent.parent
TOKENS = torch.arange(3, 23).view(2, 10)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experts")
    base = make_base(folder / "base")
    make_adapter(folder / "one" / "BRICK", base, 1)
    make_adapter(folder / "two" / "BRICK", base, 2, rank=8)
    return folder


@pytest.fixture
def image(tmp_path, made):
    def birth(root) -> None:
        genesis(root, (incarnation.birth,))

    with LivingImage.open(tmp_path / "image", Settings(), birth=birth) as image:
        incarnation.ingest_model(image, made / "base", "tiny", "made in a test")
        experts.stage_experts(image, [made / "one"])
        yield image


def names(image) -> list[str]:
    return [each["name"] for each in experts.experts(image)]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_exported_answers_in_peft_as_what_was_staged(family, image, tmp_path):
    base = make_base(tmp_path / "base", seed=5, family=family)
    staged = make_adapter(tmp_path / "SCRIBE", base, 3, target_modules=FAMILIES[family], alpha=6)
    incarnation.ingest_model(image, base, family, "made in a test")
    assert experts.stage_experts(image, [staged])[0].outcome == "ingested"
    told = experts.export_expert(image, "scribe", tmp_path / "out")
    folder = tmp_path / "out" / "SCRIBE"
    assert told["path"] == str(folder)
    assert {file.name for file in folder.iterdir()} == {"adapter_model.safetensors", "adapter_config.json"}
    assert torch.equal(peft_logits(base, folder, TOKENS), peft_logits(base, staged, TOKENS))
    # Staged again it is the same expert: nothing is written.
    assert [each.outcome for each in experts.stage_experts(image, [folder])] == ["unchanged"]


def test_an_export_has_what_vllm_asks_of_an_adapters_folder(image, tmp_path):
    from safetensors import safe_open

    experts.export_expert(image, "BRICK", tmp_path)
    config = json.loads((tmp_path / "BRICK" / "adapter_config.json").read_text())
    assert config["peft_type"] == "LORA" and config["bias"] == "none" and not config["modules_to_save"]
    assert {"r", "lora_alpha", "target_modules"} <= set(config)
    with safe_open(tmp_path / "BRICK" / "adapter_model.safetensors", "pt") as tensors:
        for name in tensors.keys():  # noqa: SIM118 - it is no mapping
            assert name.startswith("base_model.model.") and name.endswith(("lora_A.weight", "lora_B.weight"))
            assert tensors.get_slice(name).get_dtype() == "BF16"


def test_an_export_that_is_there_already_is_left_and_something_else_is_not_overwritten(image, tmp_path):
    experts.export_expert(image, "BRICK", tmp_path)
    before = (tmp_path / "BRICK" / "adapter_model.safetensors").stat().st_mtime_ns
    experts.export_expert(image, "BRICK", tmp_path)
    assert (tmp_path / "BRICK" / "adapter_model.safetensors").stat().st_mtime_ns == before
    (tmp_path / "BRICK" / "adapter_config.json").write_text("{}")
    with pytest.raises(errors.Conflict, match="something else"):
        experts.export_expert(image, "BRICK", tmp_path)
    with pytest.raises(errors.NoSuchObject, match="NOBODY"):
        experts.export_expert(image, "nobody", tmp_path)
    assert [each.name for each in tmp_path.iterdir() if each.name not in ("BRICK", "image")] == []


def test_a_damaged_expert_is_not_given_out(image, tmp_path):
    path = image.run("where?", lambda root: root["pLLM_obj"].lora_repository["BRICK"].model_blob.committed())
    shutil.copy(path, tmp_path / "kept")

    os.chmod(path, 0o644)
    with open(path, "r+b") as stream:
        stream.seek(-5, 2)
        stream.write(b"!!")
    with pytest.raises(errors.Damaged, match="BRICK is damaged"):
        experts.export_expert(image, "BRICK", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_expert_that_is_renamed_is_found_under_its_new_name_alone(image):
    mind = Mind(image)
    before = mind.generate(["deposit"], "BRICK", limits=Limits(max_tokens=8))
    experts.rename_expert(image, "brick", "mason")
    mind.refresh(["BRICK", "MASON"])
    assert names(image) == ["MASON"]
    assert mind.generate(["deposit"], "MASON", limits=Limits(max_tokens=8)) == before
    assert mind.activate("MASON") and not mind.activate("BRICK")
    experts.rename_expert(image, "MASON", "BRICK")
    with pytest.raises(errors.NoSuchObject, match="no expert MASON"):
        experts.rename_expert(image, "MASON", "X")
    with pytest.raises(errors.Refused, match="name"):
        experts.rename_expert(image, "BRICK", "my expert")


def test_a_name_that_is_taken_is_a_conflict_and_nothing_is_changed(image, made):
    make_adapter(made / "three" / "ALFRED", made / "base", 3)
    experts.stage_experts(image, [made / "three"])
    with pytest.raises(errors.Conflict, match="ALFRED already"):
        experts.rename_expert(image, "BRICK", "alfred")
    assert names(image) == ["ALFRED", "BRICK"]


def test_an_expert_that_is_removed_while_it_is_at_work_ends_its_work_and_is_gone(image):
    mind = Mind(image)
    assert mind.activate("BRICK")
    memory = mind._engine.memory
    with memory.pinned("BRICK") as (slot,):
        kept = memory.flat[slot].clone()
        experts.remove_expert(image, "BRICK")
        mind.refresh(["BRICK"])
        assert memory.residents()["hot"] == [] and torch.equal(memory.flat[slot], kept)
        assert memory._room() != slot  # nobody else gets its slot meanwhile
    assert mind.activate("BRICK") is False and names(image) == []
    with pytest.raises(errors.NoSuchObject):
        experts.remove_expert(image, "BRICK")


def test_what_an_expert_replaces_is_kept_as_a_version_and_comes_back(image, made):
    mind = Mind(image)
    (first,) = mind.generate(["deposit"], "BRICK", limits=Limits(max_tokens=8))
    assert experts.stage_experts(image, [made / "two"])[0].outcome == "replaced"
    mind.refresh(["BRICK"])
    (second,) = mind.generate(["deposit"], "BRICK", limits=Limits(max_tokens=8))
    assert second.tokens != first.tokens
    told = experts.expert_versions(image, "BRICK")
    assert [(each["version"], each["installed"], each["rank"]) for each in told] == [
        (1, False, 4),
        (2, True, 8),
    ]
    assert experts.revert_expert(image, "BRICK") == 1
    mind.refresh(["BRICK"])
    (again,) = mind.generate(["deposit"], "BRICK", limits=Limits(max_tokens=8))
    assert again.tokens == first.tokens
    assert experts.revert_expert(image, "BRICK", 2) == 2
    with pytest.raises(errors.NoSuchObject, match="version 7"):
        experts.revert_expert(image, "BRICK", 7)


def test_ten_thousand_experts_slow_neither_the_awakening_nor_a_swap(image, monkeypatch):
    def swaps(mind: Mind) -> float:
        took = []
        for name in ["MASON", "BRICK"] * 20:
            mind.refresh([name])
            mind._engine.memory.forget(name)
            start = time.perf_counter()
            assert mind.activate(name)
            took.append(time.perf_counter() - start)
        return sorted(took)[len(took) // 2]

    def another(root):
        repository = root["pLLM_obj"].lora_repository
        repository["MASON"] = repository["BRICK"]

    def fill(root):
        repository = root["pLLM_obj"].lora_repository
        like = repository["BRICK"]
        slots = dict(like._slots)
        for number in range(10_000):
            repository[f"PERSONA_{number}"] = incarnation.proxy(root, f"PERSONA_{number}", **slots)

    image.run("one more", another)
    mind = Mind(image, Settings(hot_slots=1))
    mind.start_loading()
    assert mind.ready(30)
    few = swaps(mind)
    image.run("ten thousand", fill)
    many = swaps(mind)
    assert many < 3 * few + 2e-3, (few, many)
    assert mind.activate("PERSONA_9999")
    monkeypatch.setattr("ZODB.blob.Blob.open", None)
    monkeypatch.setattr("ZODB.blob.Blob.committed", None)
    assert len(experts.experts(image)) == 10_002
    start = time.perf_counter()
    assert incarnation.max_rank(image) == 4 and incarnation.model_id(image) == "tiny"
    assert time.perf_counter() - start < 0.5  # what an awakening asks of the repository


KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
from batos.config import Settings
from batos.image import LivingImage
from batos.mind import experts

def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)

stage = {stage!r}
keep = experts.own
if stage == "after its file":
    experts.own = lambda *given: keep(*given) and die()
if stage == "in the turn":
    experts._widen = die
with LivingImage.open({image!r}, Settings(), birth=lambda root: None) as image:
    experts.stage_experts(image, [{source!r}])
    die()
"""


@pytest.mark.parametrize("stage", ["after its file", "in the turn", "done"])
def test_a_kill_while_an_expert_is_staged_leaves_the_one_before_or_the_new_one(stage, made, tmp_path):
    def birth(root) -> None:
        genesis(root, (incarnation.birth,))

    folder = tmp_path / "image"
    with LivingImage.open(folder, Settings(), birth=birth) as image:
        incarnation.ingest_model(image, made / "base", "tiny", "made in a test")
        experts.stage_experts(image, [made / "one"])
    code = KILLED.format(root=str(ROOT), stage=stage, image=str(folder), source=str(made / "two"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with LivingImage.open(folder, Settings(), birth=birth) as image:
        assert experts.experts(image)[0]["rank"] == (8 if stage == "done" else 4)
        assert all(damage is None for _, damage in incarnation.scrub(image))
        (again,) = experts.stage_experts(image, [made / "two"])
        assert again.outcome == ("unchanged" if stage == "done" else "replaced")
        assert experts.find_expert(image, "BRICK").rank == 8 == incarnation.max_rank(image)


SWAPPING = """
import os, signal, sys
sys.path.insert(0, {root!r})
from batos.config import Settings
from batos.image import LivingImage
from batos.mind import Mind
from batos.mind.slots import Layout

pack = Layout.pack

def die(self, expert, out):
    pack(self, expert, out)
    os.kill(os.getpid(), signal.SIGKILL)  # read and checked, and not in its slot yet

Layout.pack = die
with LivingImage.open({image!r}, Settings(), birth=lambda root: None) as image:
    Mind(image).activate("BRICK")
"""


def test_a_kill_in_the_middle_of_a_swap_leaves_a_working_image(made, tmp_path):
    folder = tmp_path / "image"
    with LivingImage.open(folder, Settings(), birth=lambda root: genesis(root, (incarnation.birth,))) as image:
        incarnation.ingest_model(image, made / "base", "tiny", "made in a test")
        experts.stage_experts(image, [made / "one"])
    code = SWAPPING.format(root=str(ROOT), image=str(folder))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with LivingImage.open(folder, Settings(), birth=lambda root: None) as image:
        incarnation.tidy(image)
        assert not list((folder / incarnation.WORK).iterdir())
        assert all(damage is None for _, damage in incarnation.scrub(image))
        mind = Mind(image)
        assert mind.activate("BRICK") and mind.tier("BRICK") == "hot"
