"""Model files become part of an image and think from there: nothing outside it, nothing damaged or half."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path

import pytest
import torch
from tiny_mind import make_adapter, make_base, peft_logits

from batos import errors
from batos.config import Settings
from batos.image import LivingImage
from batos.mind import Limits, Mind, conception, experts, incarnation
from batos.mind.loading import load_model
from batos.objects.genesis import genesis

TOKENS = torch.arange(3, 23).view(2, 10)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    base = make_base(folder / "base")
    make_adapter(folder / "experts" / "brick", base, 1)
    make_adapter(folder / "experts" / "ALFRED", base, 2, rank=2)
    (folder / "experts" / ".cache").mkdir()
    (folder / "experts" / "README.md").write_text("adapters")
    return folder


def birth(root) -> None:
    genesis(root, (incarnation.birth,))


@pytest.fixture
def opened(tmp_path):
    """Open (again) the image of this test."""
    images = []

    def again(**settings) -> LivingImage:
        if images:
            images.pop().close()
        images.append(LivingImage.open(tmp_path / "image", Settings(**settings), birth=birth))
        return images[-1]

    yield again
    for image in images:
        image.close()


@pytest.fixture
def image(opened, made):
    image = opened()
    incarnation.ingest_model(image, made / "base", "tiny", "made in a test")
    return image


def blob_path(image, what: str) -> Path:
    """Where the committed blob of a model file, or of an expert, lies."""

    def read(root):
        mind = root["pLLM_obj"]
        proxy = mind.files[what] if what in mind.files else mind.lora_repository[what]
        return (proxy.blob if what in mind.files else proxy.model_blob).committed()

    return Path(image.run("where?", read))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 4
    path.chmod(0o644)
    path.write_bytes(data)


# the base


def test_a_model_loads_from_the_image_bit_equal_after_its_folder_is_gone(opened, made, tmp_path):
    shutil.copytree(made / "base", tmp_path / "base")
    report = incarnation.ingest_model(opened(), tmp_path / "base", "tiny", "made in a test", licence="MIT")
    assert report["sha256"] == incarnation.weights_digest(tmp_path / "base")
    assert (tmp_path / "base" / "model.safetensors").exists()  # a blob must not eat its source
    shutil.rmtree(tmp_path / "base")
    image = opened()
    with incarnation.load_folder(image) as folder:
        assert all(file.resolve().suffix == ".blob" for file in folder.iterdir())
        ours, tokenizer = load_model(folder, threads=1)
    assert not folder.exists()
    plain, plain_tokenizer = load_model(made / "base", threads=1)
    with torch.inference_mode():
        assert torch.equal(ours(input_ids=TOKENS).logits, plain(input_ids=TOKENS).logits)
    assert tokenizer("deposit") == plain_tokenizer("deposit")
    assert incarnation.model_id(image) == "tiny"
    slots = image.run("look", lambda root: (root["pLLM_obj"].origin, root["pLLM_obj"].licence))
    assert slots == ("made in a test", "MIT")


def test_weights_in_the_files_own_width_are_mapped_from_the_blob_not_copied(opened, tmp_path):
    import transformers

    base = make_base(tmp_path / "base", hidden=64)
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    model.save_pretrained(base)
    image = opened()
    incarnation.ingest_model(image, base, "tiny", "made in a test")
    with incarnation.load_folder(image) as folder:
        model, _ = load_model(folder, dtype="bfloat16", threads=1)
    lines = Path("/proc/self/maps").read_text().splitlines()
    spans = [
        [int(end, 16) for end in line.split()[0].split("-")]
        for line in lines
        if line.endswith(str(blob_path(image, "model.safetensors").resolve()))
    ]
    weight = model.get_submodule("model.layers.0.mlp.down_proj").weight.data_ptr()
    assert any(start <= weight < end for start, end in spans)


def test_a_folder_without_a_model_is_a_bad_request_and_changes_nothing(opened, tmp_path, made):
    image = opened()
    (tmp_path / "empty").mkdir()
    with pytest.raises(errors.BadRequest, match="holds no model"):
        incarnation.ingest_model(image, tmp_path / "empty", "none", "nowhere")
    shutil.copytree(made / "base", tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    with pytest.raises(errors.Refused, match="model.safetensors is damaged"):
        incarnation.ingest_model(image, tmp_path / "cut", "cut", "nowhere")
    assert incarnation.model_id(image) is None


def test_a_full_disk_is_told_before_anything_is_copied(opened, made):
    opened()
    image = opened(disk_reserve_bytes=1e18)
    with pytest.raises(errors.ReadOnly, match="reserve"):
        incarnation.ingest_model(image, made / "base", "tiny", "made in a test")
    assert incarnation.model_id(opened()) is None


def test_a_copy_that_differs_is_found_before_the_commit(image, made, monkeypatch):
    keep = shutil.copyfile

    def failing_disk(source, target):
        keep(source, target)
        with open(target, "r+b") as stream:
            stream.write(b"?")

    monkeypatch.setattr(shutil, "copyfile", failing_disk)
    with pytest.raises(errors.Damaged, match="came out differently"):
        incarnation.ingest_model(image, made / "base", "other", "made in a test")
    assert incarnation.model_id(image) == "tiny"


def test_a_damaged_model_blob_is_named_when_it_is_loaded_and_when_it_is_scrubbed(image):
    assert all(damage is None for _, damage in incarnation.scrub(image))
    flip(blob_path(image, "model.safetensors"))
    with pytest.raises(errors.Damaged, match="the mind's model.safetensors is damaged") as told:
        with incarnation.load_folder(image):
            pass
    assert "incarnate" in told.value.hint
    assert [what for what, damage in incarnation.scrub(image) if damage] == ["the mind's model.safetensors"]
    blob_path(image, "config.json").unlink()
    with pytest.raises(errors.Damaged):
        incarnation.base_files(image)


def test_an_image_without_a_mind_gets_the_embedded_one_once(opened, made):
    image = opened()
    staged = conception.ensure_embedded(image, made)
    assert [(each.name, each.outcome) for each in staged] == [("ALFRED", "ingested"), ("BRICK", "ingested")]
    assert conception.ensure_embedded(opened(), made) == []
    assert incarnation.model_id(opened()) == "embedded"


def test_a_birth_that_was_killed_before_its_experts_is_completed_at_the_next(opened, made, monkeypatch):
    with monkeypatch.context() as killed:
        killed.setattr(experts, "stage_experts", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            conception.ensure_embedded(opened(), made)
    assert [each.outcome for each in conception.ensure_embedded(opened(), made)] == ["ingested"] * 2
    assert conception.ensure_embedded(opened(), made) == []


# experts


def test_a_folder_of_adapters_is_staged_listed_and_staged_again_without_effect(image, made):
    staged = experts.stage_experts(image, [made / "experts"])
    assert [(each.name, each.outcome, each.rank) for each in staged] == [
        ("ALFRED", "ingested", 2),
        ("BRICK", "ingested", 4),
    ]
    listed = experts.experts(image)
    assert [(each["name"], each["base"], each["rank"], each["tier"]) for each in listed] == [
        ("ALFRED", "tiny", 2, "cold"),
        ("BRICK", "tiny", 4, "cold"),
    ]
    sizes = [blob_path(image, name).stat().st_size for name in ("ALFRED", "BRICK")]
    assert [each["bytes"] for each in listed] == sizes
    assert incarnation.max_rank(image) == 4
    before = image.commits
    again = experts.stage_experts(image, [made / "experts"])
    assert {each.outcome for each in again} == {"unchanged"} and image.commits == before


def test_an_adapter_is_named_by_its_folder_or_by_its_file(image, made):
    (by_folder,) = experts.stage_experts(image, [made / "experts" / "brick"])
    (by_file,) = experts.stage_experts(image, [made / "experts" / "brick" / "adapter_model.safetensors"])
    assert (by_folder.name, by_folder.outcome) == ("BRICK", "ingested")
    assert (by_file.name, by_file.outcome) == ("BRICK", "unchanged")
    with pytest.raises(errors.NoSuchFile, match="nowhere"):
        experts.stage_experts(image, [made / "nowhere"])


def test_listing_reads_no_blob(image, made, monkeypatch):
    experts.stage_experts(image, [made / "experts"])
    monkeypatch.setattr("ZODB.blob.Blob.open", None)
    monkeypatch.setattr("ZODB.blob.Blob.committed", None)
    assert len(experts.experts(image)) == 2


def test_another_adapter_of_the_same_name_replaces_it(image, made, tmp_path):
    experts.stage_experts(image, [made / "experts"])
    make_adapter(tmp_path / "BRICK", made / "base", 9)
    (report,) = experts.stage_experts(image, [tmp_path / "BRICK"])
    assert report.outcome == "replaced"
    assert [each["name"] for each in experts.experts(image)] == ["ALFRED", "BRICK"]
    assert [each.outcome for each in experts.stage_experts(image, [tmp_path / "BRICK"])] == ["unchanged"]


def edited_config(folder: Path, **changes) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def other_base(folder: Path) -> None:
    base = make_base(folder.parent / "bigger", hidden=48, num_attention_heads=4)
    shutil.rmtree(folder)
    make_adapter(folder, base, 1)


def renamed_layers(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = folder / "adapter_model.safetensors"
    save_file({name.replace("q_proj", "query"): each for name, each in load_file(file).items()}, file)


def one_not_a_number(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = folder / "adapter_model.safetensors"
    tensors = load_file(file)
    next(iter(tensors.values()))[0, 0] = float("nan")
    save_file(tensors, file)


def without_one_half(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = folder / "adapter_model.safetensors"
    tensors = load_file(file)
    tensors.pop(next(name for name in tensors if "lora_B" in name))
    save_file(tensors, file)


def cut(folder: Path) -> None:
    file = folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


SPOILED = {
    "wrong shapes": (other_base, "wrong base"),
    "wrong layers": (renamed_layers, "query"),
    "wrong digest of the base": (lambda f: edited_config(f, base_sha256="0" * 64), "made for another base"),
    "rank and tensors differ": (lambda f: edited_config(f, r=8), "rank 8"),
    "no lora": (lambda f: edited_config(f, peft_type="LOHA"), "LOHA"),
    "dora": (lambda f: edited_config(f, use_dora=True), "use_dora"),
    "no alpha": (lambda f: edited_config(f, lora_alpha=None), "lora_alpha"),
    "not a number": (one_not_a_number, "not finite"),
    "half a pair": (without_one_half, "missing"),
    "cut": (cut, "safetensors"),
    "not even json": (lambda f: (f / "adapter_config.json").write_text("{"), "configuration"),
    "no config": (lambda f: (f / "adapter_config.json").unlink(), "no adapter_config.json"),
    "no weights": (lambda f: (f / "adapter_model.safetensors").unlink(), "no adapter_model.safetensors"),
}


@pytest.mark.parametrize("how", SPOILED)
def test_an_adapter_that_will_not_do_is_refused_and_the_others_are_taken(how, image, made, tmp_path):
    spoil, reason = SPOILED[how]
    shutil.copytree(made / "experts", tmp_path / "staging", ignore=shutil.ignore_patterns("ALFRED"))
    shutil.copytree(made / "experts" / "brick", tmp_path / "staging" / "SPOILED")
    spoil(tmp_path / "staging" / "SPOILED")
    staged = {each.name: each for each in experts.stage_experts(image, [tmp_path / "staging"])}
    assert staged["SPOILED"].outcome == "refused" and reason in staged["SPOILED"].reason
    assert staged["BRICK"].outcome == "ingested"
    assert [each["name"] for each in experts.experts(image)] == ["BRICK"]


def test_a_name_nobody_could_type_is_refused(image, made, tmp_path):
    shutil.copytree(made / "experts" / "brick", tmp_path / "my expert")
    (report,) = experts.stage_experts(image, [tmp_path / "my expert"])
    assert report.outcome == "refused" and "name" in report.reason


def test_a_damaged_expert_is_named_and_staging_it_again_repairs_it(image, made):
    experts.stage_experts(image, [made / "experts"])
    flip(blob_path(image, "BRICK"))
    assert [what for what, damage in incarnation.scrub(image) if damage] == ["expert BRICK"]
    mind = Mind(image)
    with pytest.raises(errors.Damaged, match="expert BRICK is damaged") as told:
        mind.generate(["x"], "BRICK", limits=Limits(max_tokens=2))
    assert "experts --stage" in told.value.hint
    assert mind.activate("ALFRED")
    (report,) = experts.stage_experts(image, [made / "experts" / "brick"])
    assert report.outcome == "replaced"
    mind.refresh([report.name])
    assert mind.activate("BRICK")


# the mind at run time


@pytest.fixture
def mind(image, made):
    experts.stage_experts(image, [made / "experts"])
    return Mind(image, Settings(hot_slots=1))


def test_an_expert_out_of_the_image_answers_what_peft_answers_with_the_staged_file(mind, made):
    assert mind.activate("brick")
    memory = mind._engine.memory
    with torch.inference_mode(), memory.pinned("BRICK") as (slot,), memory.routed([(0, 2, slot)]):
        ours = memory.model(input_ids=TOKENS).logits
    theirs = peft_logits(made / "base", made / "experts" / "brick", TOKENS)
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_mind_is_loaded_in_the_background_and_who_comes_early_waits(mind):
    assert mind.state == "asleep" and mind.tier("BRICK") == "cold"
    mind.start_loading()
    drafts = mind.generate(["<|ask|>x"] * 2, "brick", "start: /[0-9]{2}/", Limits(max_tokens=8))
    assert mind.state == "ready" and mind.ready(0)
    assert all(draft.text.isdigit() and draft.finish == "stop" for draft in drafts)
    assert mind.tier("BRICK") == "hot" and mind.activate("NOBODY") is False
    told = mind.describe()
    assert told["model_id"] == "tiny" and told["parameters"] == 28_320 and told["ledger"]["weights"]
    assert told["experts"]["hot"] == ["BRICK"]
    json.dumps(told)


def test_swaps_and_generations_reach_the_metrics(image, made):
    told = []
    experts.stage_experts(image, [made / "experts"])
    mind = Mind(image, metrics=lambda event, value, **labels: told.append((event, labels)))
    mind.generate(["x"], "BRICK", limits=Limits(max_tokens=3))
    assert ("swap_ms", {"tier": "cold", "expert": "BRICK"}) in told
    assert ("generation_ms", {"drafts": 1, "tokens": 3}) in told
    assert told[0][0] == "mind_loaded_ms"


def test_an_expert_that_is_staged_while_the_mind_is_awake_is_found(mind, made, tmp_path):
    assert mind.activate("WIDE") is False
    make_adapter(tmp_path / "WIDE", made / "base", 3, rank=8)
    staged = experts.stage_experts(mind._image, [tmp_path / "WIDE"])
    mind.refresh([each.name for each in staged])
    assert mind.activate("WIDE") and mind.tier("wide") == "hot"


def test_without_a_mind_whoever_asks_is_told_what_to_do(opened):
    mind = Mind(opened())
    with pytest.raises(errors.NoMind, match="no mind yet") as told:
        mind.generate(["x"])
    assert "incarnate" in told.value.hint
    assert mind.state == "failed" and not mind.ready(0) and "no mind" in mind.describe()["failure"]


def test_a_mind_that_does_not_fit_or_is_damaged_is_no_mind_in_words(image):
    with pytest.raises(errors.NoMind, match="weights .* do not fit"):
        Mind(image, Settings(ram_bytes=1000, vram_bytes=1000)).generate(["x"])
    flip(blob_path(image, "model.safetensors"))
    with pytest.raises(errors.NoMind, match="model.safetensors is damaged"):
        Mind(image).generate(["x"])


def test_an_image_that_goes_to_sleep_ends_the_generation_there_is(mind):
    assert mind.activate("BRICK")
    threading.Timer(0.05, mind.stop).start()
    (draft,) = mind.generate(["x"], "BRICK", limits=Limits(max_tokens=200))
    assert draft.finish == "cancelled" and len(draft.tokens) < 200


def test_waiting_for_the_load_ends_with_the_deadline_a_cancel_or_the_images_sleep(mind, monkeypatch):
    forever = threading.Event()
    monkeypatch.setattr(mind, "_incarnated", forever.wait)
    try:
        with pytest.raises(errors.Deadline, match="still loading"):
            mind.generate(["x"], limits=Limits(deadline=time.monotonic() + 0.05))
        cancel = threading.Event()
        threading.Timer(0.05, cancel.set).start()
        with pytest.raises(errors.Cancelled):
            mind.generate(["x"], cancel=cancel)
        started = time.monotonic()
        threading.Timer(0.05, mind.stop).start()
        with pytest.raises(errors.Cancelled, match="sleep"):
            mind.generate(["x"])
        assert time.monotonic() - started < 1
    finally:
        forever.set()
