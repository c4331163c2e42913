"""Other minds: any Hugging Face model becomes the mind of an image, out of a folder or from a hub."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from hub_server import REVISION, Hub
from tiny_mind import FAMILIES, make_adapter, make_base

from batos import errors
from batos.config import Settings
from batos.image import LivingImage
from batos.mind import Limits, Mind, conception, dialect, experts, hub, incarnation, loading
from batos.mind.grammar import plan_grammar
from batos.mind.profiles import PROFILES
from batos.objects.genesis import genesis

TOKENS = torch.arange(3, 23).view(2, 10)
ROOT = Path(__file__).resolve().parent.parent


def birth(root) -> None:
    genesis(root, (incarnation.birth,))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for family in FAMILIES:
        make_base(folder / family.lower(), seed=1, family=family)
    (folder / "qwen2" / "README.md").write_text("---\nlicense: apache-2.0\n---\n# a model\n")
    return folder


@pytest.fixture
def image(tmp_path):
    with LivingImage.open(tmp_path / "image", Settings(), birth=birth) as image:
        yield image


def shards(base: Path, folder: Path, size: str = "30KB") -> Path:
    from transformers import AutoModelForCausalLM

    shutil.copytree(base, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    AutoModelForCausalLM.from_pretrained(base).save_pretrained(folder, max_shard_size=size)
    return folder


def logits(mind: Mind):
    assert mind.ready(30), mind.failure
    with torch.inference_mode():
        return mind._engine.model(input_ids=TOKENS).logits


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_of_any_architecture_becomes_the_mind_and_answers_as_its_files_do(family, image, made):
    folder = made / family.lower()
    told = conception.look(image, str(folder), Settings())
    assert told["architecture"] == f"{family}ForCausalLM" and told["memory"] < told["budget"]
    model = loading.load_model(folder, threads=1)[0]
    assert told["parameters"] == sum(each.numel() for each in model.parameters())
    report = conception.conceive(image, str(folder), Settings())
    assert report["model_id"] == family.lower() and report["sha256"] == incarnation.weights_digest(folder)
    mind = Mind(image)
    mind.start_loading()
    with torch.inference_mode():
        assert torch.equal(logits(mind), model(input_ids=TOKENS).logits)
    make_adapter(folder.parent / "experts" / family / "SCRIBE", folder, 1, target_modules=FAMILIES[family])
    (staged,) = experts.stage_experts(image, [folder.parent / "experts" / family])
    assert staged.outcome == "ingested"
    bare, voiced = mind.generate(["deposit"] * 2, [None, "scribe"], limits=Limits(max_tokens=8))
    assert bare.tokens != voiced.tokens


def test_the_licence_the_source_and_the_digests_are_kept_on_the_mind(image, made):
    conception.conceive(image, str(made / "qwen2"), Settings())

    def read(root):
        mind = root["pLLM_obj"]
        weights = mind.files["model.safetensors"]
        return mind.licence, mind.origin, weights.sha256, weights.bytes

    licence, origin, sha256, size = image.run("look", read)
    file = made / "qwen2" / "model.safetensors"
    assert (licence, origin) == ("apache-2.0", str(made / "qwen2"))
    assert (sha256, size) == (incarnation.digest(file)[0], file.stat().st_size)


def test_going_to_another_mind_and_back_finds_each_with_its_own_experts(image, made, tmp_path):
    conception.conceive(image, str(made / "llama"), Settings())
    make_adapter(tmp_path / "SCRIBE", made / "llama", 1)
    experts.stage_experts(image, [tmp_path / "SCRIBE"])
    mind = Mind(image)
    first = mind.generate(["deposit"], "SCRIBE", limits=Limits(max_tokens=8))
    before = logits(mind)
    conception.conceive(image, str(made / "gptneox"), Settings())
    mind.change()
    assert not torch.equal(logits(mind), before)
    with pytest.raises(errors.NoSuchObject, match="SCRIBE"):
        mind.generate(["deposit"], "SCRIBE")
    limits = Limits(max_tokens=8)  # a persona needs no expert: it speaks with the base then
    assert mind.generate(["deposit"], "BRICK", limits=limits) == mind.generate(["deposit"], limits=limits)
    assert [(each["name"], each["base"]) for each in experts.experts(image, mind)] == [("SCRIBE", "llama")]
    assert [(each["name"], each["used"]) for each in incarnation.minds(image)] == [
        ("gptneox", True),
        ("llama", False),
    ]
    assert incarnation.use(image, "llama") and not incarnation.use(image, "llama")
    mind.change()
    assert torch.equal(logits(mind), before)
    assert mind.generate(["deposit"], "SCRIBE", limits=Limits(max_tokens=8)) == first


def test_a_mind_is_kept_until_it_is_forgotten_and_the_one_in_use_is_not_forgotten(image, made):
    conception.conceive(image, str(made / "llama"), Settings())
    conception.conceive(image, str(made / "qwen3"), Settings())
    with pytest.raises(errors.Conflict, match="in use"):
        incarnation.forget(image, "qwen3")
    incarnation.forget(image, "llama")
    with pytest.raises(errors.NoSuchObject, match="no mind 'llama'"):
        incarnation.use(image, "llama")
    assert [each["name"] for each in incarnation.minds(image)] == ["qwen3"]


def test_incarnating_the_same_again_copies_nothing_and_another_of_that_name_is_a_conflict(
    image, made, tmp_path
):
    conception.conceive(image, str(made / "llama"), Settings())
    conception.conceive(image, str(made / "qwen2"), Settings())
    before = image.facts()["blob_bytes"]
    assert conception.conceive(image, str(made / "llama"), Settings())["model_id"] == "llama"
    assert incarnation.model_id(image) == "llama" and image.facts()["blob_bytes"] == before
    make_base(tmp_path / "llama", seed=9)
    with pytest.raises(errors.Conflict, match="another mind called llama"):
        conception.conceive(image, str(tmp_path / "llama"), Settings())


def test_a_generation_that_runs_while_the_mind_changes_ends_on_the_old_one_and_the_next_is_on_the_new(
    image, made
):
    conception.conceive(image, str(made / "llama"), Settings())
    mind = Mind(image)
    expected = mind.generate(["deposit"], limits=Limits(max_tokens=60))
    began, told = threading.Event(), []
    engine = mind._engine
    forward = engine.forward
    engine.forward = lambda *given: began.set() or forward(*given)
    thinking = threading.Thread(target=lambda: told.extend(mind.generate(["deposit"], limits=Limits(60))))
    thinking.start()
    assert began.wait(10)
    conception.conceive(image, str(made / "qwen2"), Settings())
    mind.change()
    new = mind.generate(["deposit"], limits=Limits(max_tokens=60))
    thinking.join(10)
    assert told == expected and new != expected
    assert engine.model is None  # its memory is given back


def test_an_image_from_before_there_were_several_minds_lists_the_one_it_has(image, made):
    def older(root):
        mind = root["pLLM_obj"]
        mind.minds = {}

    incarnation.ingest_model(image, made / "llama", "llama", "made in a test")
    image.run("as it was", older)
    image.run("a newer batos awakens it", birth)
    assert [(each["name"], each["used"]) for each in incarnation.minds(image)] == [("llama", True)]


# what is refused


def without_a_shard(folder: Path) -> None:
    next(folder.glob("model-00002*")).unlink()


def without_a_weight(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = next(folder.glob("model-00002*"))
    tensors = load_file(file)
    tensors.pop(next(iter(tensors)))
    save_file(tensors, file, {"format": "pt"})


def with_another_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))


def of_code_of_its_own(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    auto = {"AutoModelForCausalLM": "mine.Mine", "AutoConfig": "mine.Config"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "mine", "auto_map": auto}))


SPOILED = {
    "a shard is missing": (without_a_shard, "incomplete"),
    "a weight is missing": (without_a_weight, "incomplete"),
    "another shape": (with_another_shape, "shape|size"),
    "a cut file": (lambda f: os.truncate(next(f.glob("model-00001*")), 5_000), "damaged"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer"),
    "a broken config": (lambda f: (f / "config.json").write_text("{"), "damaged"),
    "code of its own": (of_code_of_its_own, "transformers cannot load"),
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_model_that_will_not_do_is_refused_with_the_reason_and_the_mind_before_stays(
    how, image, made, tmp_path
):
    spoil, reason = SPOILED[how]
    conception.conceive(image, str(made / "llama"), Settings())
    folder = shards(made / "llama", tmp_path / "spoiled")
    spoil(folder)
    with pytest.raises(errors.Refused, match=reason):
        conception.conceive(image, str(folder), Settings())
    assert [each["name"] for each in incarnation.minds(image)] == ["llama"]


def test_an_adapter_pickled_weights_and_a_folder_that_is_not_there_are_named_for_what_they_are(
    image, made, tmp_path
):
    make_adapter(tmp_path / "BRICK", made / "llama", 1)
    with pytest.raises(errors.BadRequest, match="adapter, not a model") as told:
        conception.look(image, str(tmp_path / "BRICK"), Settings())
    assert "experts --stage" in told.value.hint
    (tmp_path / "pickled").mkdir()
    shutil.copy(made / "llama" / "config.json", tmp_path / "pickled")
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(errors.BadRequest, match="holds no model") as told:
        conception.look(image, str(tmp_path / "pickled"), Settings())
    assert "never loaded" in told.value.hint
    with pytest.raises(errors.NoSuchFile):
        conception.look(image, str(tmp_path / "nowhere"), Settings())


def test_too_large_for_the_budget_or_the_disk_is_refused_before_the_first_byte(
    image, made, tmp_path, monkeypatch
):
    monkeypatch.setattr(incarnation, "workshop", None)  # it does not come to that
    with pytest.raises(errors.TooLarge, match="weights take") as told:
        conception.conceive(image, str(made / "llama"), Settings(ram_bytes=50_000))
    assert PROFILES["cpu"].mind in told.value.hint
    LivingImage.open(tmp_path / "full", Settings(), birth=birth).close()
    with LivingImage.open(tmp_path / "full", Settings(disk_reserve_bytes=1e18), birth=birth) as full:
        with pytest.raises(errors.ReadOnly, match="reserve"):
            conception.conceive(full, str(made / "llama"), Settings())


# the dispatched road, and four bits


@pytest.mark.parametrize("family", ["Llama", "GPTNeoX"])
def test_the_dispatched_road_answers_bit_for_bit_what_the_direct_road_answers(family, made, tmp_path):
    folder = made / family.lower()
    direct = loading.load_model(folder, dtype="float32", threads=1)[0]
    spread = {"cpu": weights_bytes(folder) * 3 // 4}  # so that something has to be left on the disk
    model = loading.load_model(folder, dtype="float32", spread=spread, spill=tmp_path)[0]
    assert set(model.hf_device_map.values()) == {"cpu", "disk"}
    with torch.inference_mode():
        assert torch.equal(model(input_ids=TOKENS).logits, direct(input_ids=TOKENS).logits)


def weights_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def test_a_base_in_four_bits_is_quantised_once_and_loads_bit_equal_from_the_image(image, made, tmp_path):
    settings = Settings(quantise="nf4")
    base = make_base(tmp_path / "small", hidden=64)
    told = conception.look(image, str(base), settings)
    assert told["quantise"] == "nf4" and told["memory"] < told["bytes"] / 2
    conception.conceive(image, str(base), settings)
    mind = Mind(image)
    mind.start_loading()
    answered = logits(mind)
    with incarnation.load_folder(image) as folder:
        assert torch.equal(loading.load_model(folder)[0](input_ids=TOKENS).logits, answered)
    assert type(mind._engine.model.model.layers[0].mlp.down_proj).__name__ == "Linear4bit"
    # Packed weights tell no shape; experts are fitted to the layers as they were.
    make_adapter(tmp_path / "BRICK", base, 1)
    (staged,) = experts.stage_experts(image, [tmp_path / "BRICK"])
    assert staged.outcome == "ingested"
    assert mind.generate(["x"], "BRICK", limits=Limits(max_tokens=3))[0].tokens
    again = logits(mind)
    assert torch.equal(again, answered)


# the hub


@pytest.fixture
def served(made, tmp_path, monkeypatch):
    """A hub with the Qwen2 of this module, in shards."""
    import stamina
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    folder = shards(made / "qwen2", tmp_path / "served")
    (folder / "pytorch_model.bin").write_bytes(b"pickled")
    one = Hub(folder)
    monkeypatch.setenv("HF_ENDPOINT", one.endpoint)
    stamina.set_testing(True, attempts=hub.ATTEMPTS)
    yield one
    stamina.set_testing(False)
    one.close()


def test_a_hub_id_is_looked_at_fetched_verified_and_becomes_the_mind(image, served, made, monkeypatch):
    told = conception.look(image, "tiny/llama", Settings())
    assert told["licence"] == "apache-2.0" and told["revision"] == REVISION
    assert not any("resolve" in path for path, _ in served.asked)  # not a byte yet
    said = []
    monkeypatch.setattr(hub, "STEP", 4096)
    report = conception.conceive(
        image, "tiny/llama", Settings(), tell=lambda words, **at: said.append((words, at))
    )
    assert report["model_id"] == "tiny/llama" and "pytorch_model.bin" not in report["files"]
    assert any("verified" in words for words, _ in said)
    came = [at["bytes"] for _, at in said if at]
    assert came == sorted(set(came)) and len(came) > 2 and came[-1] <= told["bytes"]
    assert {at["total_bytes"] for _, at in said if at} == {told["bytes"]}
    (one,) = incarnation.minds(image)
    assert (one["origin"], one["revision"], one["licence"]) == ("tiny/llama", REVISION, "apache-2.0")
    assert not list((image.directory / incarnation.WORK).iterdir())
    with torch.inference_mode():
        direct = loading.load_model(made / "qwen2", threads=1)[0](input_ids=TOKENS).logits
    mind = Mind(image)
    mind.start_loading()
    assert torch.equal(logits(mind), direct)


def inodes(image):
    """The files under the blobs of the mind in use."""
    return {name: path.stat().st_ino for name, (path, _) in incarnation.base_files(image).items()}


def test_what_was_fetched_or_quantised_becomes_the_blobs_and_needs_its_size_on_the_disk_once(
    image, served, monkeypatch
):
    seen = {}
    keep = incarnation.own

    def own(file):
        seen[file.name] = file.stat().st_ino
        return keep(file)

    monkeypatch.setattr(incarnation, "own", own)
    told = conception.look(image, "tiny/llama", Settings())
    assert told["disk"] == told["bytes"]
    conception.conceive(image, "tiny/llama", Settings())
    assert inodes(image) == seen
    files = [path for path, _ in incarnation.base_files(image).values()]
    assert all(path.stat().st_nlink == 1 for path in files)  # the other name is gone, and nobody else's file
    with incarnation.load_folder(image) as loaded:
        loading.load_model(loaded, threads=1)
    assert not list((image.directory / incarnation.WORK).iterdir())


def test_what_is_here_of_a_model_needs_no_room_again(image, served):
    found = hub.look("tiny/llama")
    hub.fetch(found, image.directory / incarnation.WORK)
    assert conception.look(image, "tiny/llama", Settings())["disk"] == 0


def test_somebodys_own_folder_is_copied_and_stays_theirs(image, made):
    conception.conceive(image, str(made / "llama"), Settings())
    theirs = {file.stat().st_ino for file in (made / "llama").iterdir()}
    assert not theirs & set(inodes(image).values())
    assert os.access(made / "llama" / "config.json", os.W_OK)


def test_a_broken_connection_goes_on_at_the_byte_where_it_stood(image, served):
    name = next(file.name for file in served.folder.glob("model-00001*"))
    served.cut[name] = [7_000, 11_000]
    conception.conceive(image, "tiny/llama", Settings())
    ranges = [wanted for path, wanted in served.asked if path.endswith(name)]
    assert ranges == [None, "bytes=7000-", "bytes=18000-"]


def test_what_an_earlier_run_fetched_is_not_fetched_again(image, served):
    found = hub.look("tiny/llama")
    name = next(file.name for file in served.folder.glob("model-00002*"))
    served.cut[name] = [1_000] * hub.ATTEMPTS
    with pytest.raises(errors.Refused, match="could not be fetched"):
        hub.fetch(found, image.directory / incarnation.WORK)
    served.asked.clear()
    served.cut.clear()
    conception.conceive(image, "tiny/llama", Settings())
    fetched = {path.rpartition("/")[2]: wanted for path, wanted in served.asked if "resolve" in path}
    assert next(iter(served.folder.glob("model-00001*"))).name not in fetched
    assert fetched[name].startswith("bytes=")


def test_bytes_that_are_not_what_the_hub_promised_never_get_in(image, served):
    for name in ("config.json", next(file.name for file in served.folder.glob("model-00001*"))):
        served.spoiled = {name}
        with pytest.raises(errors.Refused, match=f"{name} of tiny/llama is damaged"):
            conception.conceive(image, "tiny/llama", Settings())
    assert incarnation.minds(image) == []
    served.spoiled = set()
    conception.conceive(image, "tiny/llama", Settings())


def test_what_the_hub_does_not_give_is_told_with_the_remedy(image, served, monkeypatch):
    with pytest.raises(errors.NoSuchFile, match="no such model"):
        conception.look(image, "tiny/nothing", Settings())
    served.gated = True
    with pytest.raises(errors.Refused, match="gated") as told:
        conception.look(image, "tiny/llama", Settings())
    assert "HF_TOKEN" in told.value.hint
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(errors.Refused, match="cannot be asked"):
        conception.look(image, "tiny/llama", Settings())


def test_a_mind_loads_without_a_network(image, made, monkeypatch):
    conception.conceive(image, str(made / "llama"), Settings())
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("it asked the network"))
    mind = Mind(image)
    mind.start_loading()
    assert mind.ready(60)


# kills


KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
from batos.config import Settings
from batos.image import LivingImage
from batos.mind import incarnation
from batos.objects.genesis import genesis

def die(*_): os.kill(os.getpid(), signal.SIGKILL)

keep = incarnation.copied
stage = {stage!r}
if stage == "after a file":
    incarnation.copied = lambda *given: die() if keep(*given).bytes > 9_000 else keep(*given)
if stage == "in the turn":
    incarnation._go_to = die
with LivingImage.open({image!r}, Settings(), birth=lambda root: genesis(root, (incarnation.birth,))) as image:
    incarnation.ingest_model(image, {source!r}, "llama", "tiny/llama", revision="0123456789ab", ours={ours!r})
    die()
"""


@pytest.mark.parametrize(
    ("stage", "ours"),
    [("after a file", False), ("in the turn", False), ("done", False), ("in the turn", True), ("done", True)],
)
def test_a_kill_at_any_stage_leaves_the_mind_before_or_the_new_one_and_again_completes_it(
    stage, ours, made, tmp_path
):
    folder = tmp_path / "image"
    with LivingImage.open(folder, Settings(), birth=birth) as image:
        incarnation.ingest_model(image, made / "qwen2", "before", "made in a test")
    source = made / "llama"
    if ours:  # as a fetched one lies there
        source = shutil.copytree(source, folder / incarnation.WORK / "tiny--llama@0123456789ab")
    code = KILLED.format(root=str(ROOT), stage=stage, image=str(folder), source=str(source), ours=ours)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with LivingImage.open(folder, Settings(), birth=birth) as image:
        incarnation.tidy(image)
        left = [each.name for each in (folder / incarnation.WORK).iterdir()]
        assert left == ([source.name] if ours and stage != "done" else [])  # what was fetched waits, and once
        assert incarnation.model_id(image) == ("llama" if stage == "done" else "before")
        assert all(damage is None for _, damage in incarnation.scrub(image))
        incarnation.ingest_model(image, made / "llama", "llama", "made in a test")
        assert incarnation.model_id(image) == "llama"
        with incarnation.load_folder(image) as loaded:
            loading.load_model(loaded, threads=1)


def test_a_kill_while_it_is_fetched_leaves_what_came_for_the_next_time(image, served, tmp_path):
    name = next(file.name for file in served.folder.glob("model-00001*"))
    part = image.directory / incarnation.WORK / f"tiny--llama@{REVISION[:12]}" / f"{name}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes((served.folder / name).read_bytes()[:9_000])  # what a killed run leaves
    conception.conceive(image, "tiny/llama", Settings())
    assert [wanted for path, wanted in served.asked if path.endswith(name)] == ["bytes=9000-"]


# as a person does it


def test_a_person_goes_to_another_mind_and_back_at_the_command_line(made, awaken, tmp_path):
    make_adapter(tmp_path / "SCRIBE", made / "llama", 1)
    one = awaken()
    done = one.cli("incarnate", made / "llama", "--json")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("batos: ")]
    assert "parameters" in told[0] and "MB are free" in told[1] and "profile cpu" in told[2]
    assert json.loads(done.stdout)["model_id"] == "llama"
    assert [each["name"] for each in one.said("minds", "--json") if each["used"]] == ["llama"]
    one.said("experts", "--stage", tmp_path / "SCRIBE", "--json")
    listed = one.said("experts", "--json")
    assert listed[0] == {
        "name": "SCRIBE",
        "base": "llama",
        "rank": 4,
        "bytes": listed[0]["bytes"],
        "tier": "cold",
    }
    assert one.said("experts", "--rename", "scribe", "poet", "--json") == {"name": "POET", "was": "SCRIBE"}
    one.said("experts", "--export", "POET", tmp_path / "out", "--json")
    assert (tmp_path / "out" / "POET" / "adapter_config.json").is_file()
    for words, code in (
        (("experts", "--rename", "NOBODY", "X"), 3),
        (("experts", "--export", "POET"), 2),
        (("experts", "--remove", "POET", "X"), 2),
        (("incarnate", tmp_path / "nowhere"), 3),
        (("incarnate", tmp_path / "out" / "POET"), 2),
        (("minds", "--use", "nobody"), 3),
        (("minds", "--forget", "llama"), 4),
    ):
        done = one.cli(*words)
        assert done.returncode == code and "batos: next: " in done.stderr, (words, done.stderr)
    assert one.stop() == 0
    asleep = one.said("minds", "--use", "embedded", "--json")  # asleep too
    assert [each["name"] for each in asleep if each["used"]] == ["embedded"]
    assert [each["name"] for each in one.said("minds", "--forget", "llama", "--json")] == ["embedded"]
    assert one.said("experts", "--remove", "ROBIN", "--json") == {"removed": "ROBIN"}
    assert {each["name"] for each in one.said("experts", "--json")} == {"ALFRED", "BRICK"}


# minds that were not trained here


def test_a_mind_that_never_saw_batos_is_told_how_to_answer_and_that_is_kept_in_the_image(image, tmp_path):
    base = make_base(tmp_path / "stranger", max_position_embeddings=4096)
    conception.conceive(image, str(base), Settings())
    linked = dialect.link({"selector": "double_till", "args": [], "slots": {"till": 4}})
    limits = Limits(max_tokens=60)

    def planned() -> tuple[Mind, object]:
        mind = Mind(image)
        (draft,) = mind.generate([dialect.plan_prompt(linked)], "BRICK", plan_grammar(linked), limits)
        return mind, draft

    mind, first = planned()
    counters = mind._engine.prefixes.counters
    assert counters["computed"] == 1 and mind.describe()["ledger"]["prefixes"] > 0
    (plain,) = mind.generate(["till"], "BRICK", limits=limits)  # what is not in the dialect is left alone
    assert plain.text and counters == {"hit": 0, "from_image": 0, "computed": 1, "dropped": 0}
    deadline = time.monotonic() + 20

    def kept(root) -> int:
        return len(root["pLLM_obj"].minds["stranger"]._slots.get("prefixes", {}))

    while not image.run("kept?", kept) and time.monotonic() < deadline:
        time.sleep(0.01)
    again, second = planned()
    assert again._engine.prefixes.counters["from_image"] == 1 and second == first
    assert again._engine.prefixes.counters["computed"] == 0


def test_a_chat_model_talks_in_its_own_form_and_one_without_says_that_it_cannot(image, made, tmp_path):
    base = make_base(tmp_path / "talker", max_position_embeddings=1024)
    config = json.loads((base / "tokenizer_config.json").read_text())
    form = "{% for m in messages %}<|ask|>{{ m.role }}: {{ m.content }}\n{% endfor %}<|ask|>"
    (base / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": form}))
    conception.conceive(image, str(base), Settings())
    mind = Mind(image)
    assert not mind.converses  # not loaded yet
    asked = []
    mind.start_loading()
    assert mind.ready(30) and mind.converses
    generate = mind._engine.generate
    mind._engine.generate = lambda prompts, *rest: asked.append(prompts[0]) or generate(prompts, *rest)
    told, spent = [], []
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
    said = mind.converse(messages, "ROBIN", 5, told.append, lambda *counted: spent.append(counted))
    assert said == "".join(told).strip()
    assert asked == ["<|ask|>system: Be brief.\n<|ask|>user: hello\n<|ask|>"]
    ((read, written),) = spent
    assert read == mind._engine.count(asked[0]) and 0 < written <= mind.answer_tokens
    conception.conceive(image, str(made / "llama"), Settings())
    mind.change()
    with pytest.raises(errors.NoMind, match="cannot talk"):
        mind.converse([{"role": "user", "content": "hello"}])
