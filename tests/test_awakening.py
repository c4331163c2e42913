"""The whole of it, through the front door: a real process, the real embedded mind, a real kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from batos import Client
from batos.errors import MethodError, MissionFailed, NotUnderstood
from batos.image import BLOBS, DATA

CONTRACT_NAMES = """genesis_obj traits_obj lobby pLLM_obj memory_manager_obj knowledge_catalog_obj psm_prototypes_obj
orchestrator_obj alfred_prototype_obj brick_prototype_obj robin_prototype_obj babs_prototype_obj
system_metrics_obj""".split()


def test_a_stranger_sends_a_message_nobody_taught_and_it_is_understood_for_ever(awaken):
    image = awaken()
    assert image.line["event"] == "awake" and image.line["born"] is True and image.line["mind"] == "embedded"
    assert image.said(
        "send", "lobby", "clone", "-k", "called=account", "-k", "balance=100", "-k", "owner=Ada"
    )
    first = image.said("--json", "send", "account", "withdraw_balance", 30)
    assert first["result"] == 70 and first["mission"] and first["tid"]
    again = image.said("--json", "send", "account", "withdraw_balance", 30)
    assert again["result"] == 40 and "mission" not in again
    refused = image.cli("send", "account", "withdraw_balance", 500)
    assert refused.returncode == 1 and refused.stdout == "" and "Traceback" not in refused.stderr
    assert image.said("send", "account", "balance") == 40
    assert image.said("send", "account", "source", "withdraw_balance").startswith("def withdraw_balance(self")
    image.kill9()
    image.start()
    assert image.line["born"] is False
    later = image.said("--json", "send", "account", "withdraw_balance", 15)
    assert later["result"] == 25 and "mission" not in later


@pytest.mark.parametrize(
    ("slots", "messages"),
    [
        ({"wuggles": [3, 1, 2], "colour": "red"},
         [("add_to_wuggles", [7], 4), ("total_of_wuggles", [], 13), ("largest_wuggle", [], 7), ("sorted_wuggles", [], [1, 2, 3, 7])]),
        ({"zorbel": "hello world", "size": 3},
         [("upper_zorbel", [], "HELLO WORLD"), ("reversed_zorbel", [], "dlrow olleh"), ("words_in_zorbel", [], 2)]),
        ({"quibs": {"tin": 5, "oak": 9}, "owner": "Bo"},
         [("put_in_quibs", ["elm", 2], 2), ("best_in_quibs", [], "oak"), ("tally_in_quibs", ["tin"], 6)]),
        ({"plimsy": 10, "owner": "Bo"},
         [("double_plimsy", [], 20), ("increase_plimsy", [5], 25), ("cap_plimsy_at", [12], 12), ("reset_plimsy", [], 0)]),
    ],
    ids=["a list", "a text", "a dictionary", "a number"],
)  # fmt: skip
def test_nouns_the_mind_never_saw(awake, slots, messages):
    name = next(iter(slots))
    with awake.client() as image:
        image.send("lobby", "clone", called=f"the_{name}", **slots)
        for selector, args, wanted in messages:
            assert image.send(f"the_{name}", selector, *args) == wanted, selector
            calls = len(image.send("kernel", "missions"))
            image.send(f"the_{name}", "responds_to", selector)
            assert len(image.send("kernel", "missions")) == calls


def test_what_lies_outside_its_reach_is_refused_with_the_next_command(awake):
    with awake.client() as image:
        image.send("lobby", "clone", called="letter", text="good morning", stamps=3)
        for selector in ("translate_text_to_french", "frobnicate_stamps", "email_text_to_boss"):
            with pytest.raises(MissionFailed) as caught:
                image.send("letter", selector)
            assert "define letter" in caught.value.hint and caught.value.mission
            assert image.send("letter", "responds_to", selector) is False


def test_every_name_of_the_design_is_there_and_describes_itself(awake):
    with awake.client() as image:
        for name in CONTRACT_NAMES:
            assert image.send(name, "describe")["object"]["path"] == name
        for state in ("IDLE", "DECOMPOSING", "DELEGATING", "SYNTHESIZING", "COMPLETE", "FAILED"):
            assert image.send(f"psm_prototypes_obj.{state}", "name") == state
            assert "def _process_synthesis_" in image.send(
                f"psm_prototypes_obj.{state}", "source", "_process_synthesis_"
            )
        assert {each["name"] for each in image.send("kernel", "experts")} >= {"BRICK", "ALFRED", "ROBIN"}


def test_an_expert_is_activated_by_a_message(awake):
    with awake.client() as image:
        assert image.send("memory_manager_obj", "activate_expert_", "brick") is True
        assert image.send("memory_manager_obj", "activate_expert_", "NOBODY") is False
        assert (
            next(each for each in image.send("kernel", "experts") if each["name"] == "BRICK")["tier"] == "hot"
        )


def test_a_person_teaches_a_method_and_takes_it_back(awake, tmp_path):
    awake.said("send", "lobby", "clone", "-k", "called=till", "-k", "coins=5")
    file = tmp_path / "worth.py"
    file.write_text("def worth(self):\n    return self.coins * 2\n")
    assert awake.cli("define", "till", file).returncode == 0
    assert awake.said("send", "till", "worth") == 10
    file.write_text("def worth(self):\n    return self.coins * 3\n")
    assert awake.cli("define", "till", file).returncode == 0
    assert awake.said("send", "till", "worth") == 15
    assert awake.cli("revert", "till", "worth").returncode == 0
    assert awake.said("send", "till", "worth") == 10
    assert "worth" in awake.cli("history", "till").stdout


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("def worth(self)\n    return 1", "syntax"),
        ("import os\ndef worth(self):\n    return os.getcwd()", None),
        ("def worth(self):\n    import os\n    return os.getcwd()", "import"),
        ("def worth(self):\n    return self.__class__", None),
        ("worth = 3", None),
        ("", None),
    ],
)
def test_a_method_that_may_not_enter_is_refused_with_line_and_rule(awake, source, rule):
    awake.cli("send", "lobby", "clone", "-k", "called=guarded", "-k", "coins=5")
    done = awake.cli("--json", "define", "guarded", "-", stdin=source)
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 1 and error["code"] == "refused" and error["rule"]
    assert rule is None or error["rule"] == rule
    assert "Traceback" not in done.stderr and done.stderr.strip()
    assert awake.said("send", "guarded", "responds_to", "worth") is False


def test_a_method_that_never_ends_is_ended_and_everybody_else_goes_on(awaken):
    image = awaken(None, BATOS_TURN_SECONDS="1.5")
    with image.client() as client:
        client.send("lobby", "clone", called="loop", n=1)
        client.send(
            "loop",
            "define",
            "def spin(self):\n    self.n = 2\n    while self.n:\n        pass\n    return self.n",
        )
        with ThreadPoolExecutor() as pool:
            spinning = pool.submit(lambda: image.client().send("loop", "spin"))
            time.sleep(0.3)
            began = time.monotonic()
            assert client.send("kernel", "ping")
            assert time.monotonic() - began < 1.0
            assert spinning.exception(20).code == "deadline"
        assert client.send("loop", "n") == 1


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["send", "nobody", "balance"], 3, "nobody"),
        (["send", "wallet", "put", "coins"], 2, "put"),
        (["send", "wallet", "coins", "5"], 2, "coins"),
        (["send", "wallet", "boom"], 1, "ZeroDivisionError"),
        (["send", "wallet", "_hidden"], 3, "_hidden"),
        (["send", "wallet", "two words"], 2, "two words"),
        (["define", "wallet", "/nowhere/at_all.py"], 3, "at_all.py"),
        (["inspect", "nobody"], 3, "nobody"),
        (["revert", "wallet", "nothing_like_it"], 3, "nothing_like_it"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_a_mistake_gets_a_clear_word_and_its_exit_code(awake, words, code, says):
    awake.cli("send", "lobby", "clone", "-k", "called=wallet", "-k", "coins=5")
    awake.cli("define", "wallet", "-", stdin="def boom(self):\n    return 1 / 0")
    done = awake.cli(*words)
    assert done.returncode == code, done.stderr
    assert done.stdout == "" and says in done.stderr and "Traceback" not in done.stderr
    assert awake.said("send", "wallet", "coins") == 5


def test_nobody_at_the_endpoint_is_told_within_two_seconds(cli, free_endpoint, tmp_path):
    began = time.monotonic()
    done = cli("--image", tmp_path / "none", "--endpoint", free_endpoint, "send", "account", "balance")
    assert done.returncode == 5 and "awaken" in done.stderr and time.monotonic() - began < 4


def test_a_second_process_on_the_image_is_told_who_holds_it(awake, free_endpoint, cli):
    done = cli("--image", awake.image, "--endpoint", free_endpoint, "awaken", "--no-repl")
    assert done.returncode == 6 and str(awake.pid) in done.stderr and awake.endpoint in done.stderr


def test_sigterm_puts_it_to_sleep_in_time_and_answers_who_waits(awaken):
    image = awaken()
    with image.client() as client, ThreadPoolExecutor() as pool:
        client.send("lobby", "clone", called="account", balance=100)
        thinking = pool.submit(lambda: image.client().send("account", "withdraw_balance", 30))
        time.sleep(0.2)
        began = time.monotonic()
        assert image.stop() == 0
        assert time.monotonic() - began < 5
        outcome = thinking.exception(10)
        assert outcome is None or outcome.code in ("cancelled", "busy", "no_mind", "nobody_awake")
    assert not (image.image / "awake.json").exists()
    image.start()
    assert image.said("send", "account", "balance") in (70, 100)


def test_a_damaged_blob_is_found_and_told_not_used(awaken):
    image = awaken()
    image.said("send", "lobby", "clone", "-k", "called=account", "-k", "balance=100")
    assert image.stop() == 0
    weights = max((image.image / BLOBS).rglob("*.blob"), key=lambda each: each.stat().st_size)
    weights.chmod(0o644)
    with weights.open("r+b") as file:
        file.seek(weights.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    image.start()
    doctor = image.cli("doctor")
    assert doctor.returncode == 1 and "fail" in doctor.stdout
    done = image.cli("send", "account", "withdraw_balance", 30)
    assert done.returncode == 7 and "Traceback" not in done.stderr
    assert image.said("send", "account", "balance") == 100


def test_a_damaged_or_vanished_data_file_is_exit_9_and_never_a_new_birth(awaken, cli, free_endpoint):
    image = awaken()
    assert image.stop() == 0
    data = image.image / DATA
    kept = data.read_bytes()
    data.write_bytes(b"\0" * 64 + kept[64:])
    done = cli("--image", image.image, "--endpoint", free_endpoint, "awaken", "--no-repl")
    assert done.returncode == 9 and "damaged" in done.stderr and "Traceback" not in done.stderr
    data.unlink()
    done = cli("--image", image.image, "--endpoint", free_endpoint, "awaken", "--no-repl")
    assert done.returncode == 9 and not data.exists()
    data.write_bytes(kept)
    image.start()
    assert image.said("send", "kernel", "ping")


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare to make a small disk")
def test_a_full_disk_refuses_and_keeps_what_there_is(tmp_path):
    """A real small disk (tmpfs in a mount namespace of its own) that is really filled."""
    script = tmp_path / "full.py"
    script.write_text(FULL_DISK)
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True)
    if probe.returncode:
        pytest.skip("this machine allows no mount namespace")
    done = subprocess.run(
        ["unshare", "-m", sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, timeout=60,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
    )  # fmt: skip
    if "no tmpfs" in done.stdout:
        pytest.skip("this machine allows no tmpfs mount")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["read_only", "kept", "again"]


FULL_DISK = """
import os, subprocess, sys
from pathlib import Path
from batos.app import Image
from batos.config import Settings
from batos.errors import ReadOnly

disk = Path(sys.argv[1]) / "disk"
disk.mkdir()
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]).returncode:
    print("no tmpfs")
    sys.exit(0)
with Image.open(disk / "image", Settings(image=disk / "image", disk_reserve_bytes=0)) as image:
    with image.turn("make") as root:
        root["lobby"].box = root["lobby"]._clone_persistent_(words=["kept"])
    filler = disk / "filler"
    try:
        filler.write_bytes(b"x" * (16 << 20))
    except OSError:
        pass
    try:
        with image.turn("too much") as root:
            root.box.words.append("lost" * 100_000)
    except ReadOnly as error:
        print(error.code)
    with image.turn("look") as root:
        print(root.box.words[-1])
    filler.unlink()
    with image.turn("more") as root:
        root.box.words.append("again")
with Image.open(disk / "image", Settings(image=disk / "image", disk_reserve_bytes=0)) as image:
    with image.turn("look") as root:
        print(root.box.words[-1])
"""


def test_malformed_frames_get_bad_request_and_disturb_nobody(awake):
    import msgspec
    import zmq

    with zmq.Context() as context, awake.client() as image:
        context.linger = 0
        image.send("lobby", "clone", called="calm", n=0)
        image.send("calm", "define", "def step(self):\n    self.n += 1\n    return self.n")
        for body in (b"", b"\xff\xfe", b"{", b"[]", b"{}", b'{"to":1,"send":2}', b'{"to":"calm"}', b"null", b"\x00" * 1000,
                     b'{"to":"calm","send":"n","frob":1}', b'{"to":"calm","send":"n","args":[NaN]}',
                     b'{"to":"calm","send":"n","at":"0"}', b"[" * 100_000):  # fmt: skip
            with context.socket(zmq.REQ) as rough:
                rough.connect(awake.endpoint)
                rough.send(body)
                assert rough.poll(5000), body[:40]
                told = rough.recv()
            # The reply comes in the encoding that the first byte asked for.
            reply = json.loads(told) if told[:1] == b"{" else msgspec.msgpack.decode(told)
            assert reply["error"]["code"] in ("bad_request", "too_large"), (body[:40], reply)
        with context.socket(zmq.DEALER) as silent:
            silent.connect(awake.endpoint)
            silent.send_multipart([b"a", b"b", b"c", b"d"])
        assert [image.send("calm", "step") for _ in range(3)] == [1, 2, 3]


def test_the_client_raises_what_happened(awake):
    with Client(awake.endpoint) as image:
        image.send("lobby", "clone", called="purse", coins=1)
        with pytest.raises(NotUnderstood):
            image.send("purse", "frobnicate", miss="error")
        image.purse.define("def pay(self):\n    raise ValueError('nothing there')")
        with pytest.raises(MethodError, match="nothing there"):
            image.purse.pay()
        assert image.purse.coins() == 1


def test_kill_9_in_the_middle_of_a_mission_leaves_no_half_of_it(awaken):
    image = awaken()
    image.said("send", "lobby", "clone", "-k", "called=account", "-k", "balance=100")
    with ThreadPoolExecutor() as pool, image.client() as client:
        pool.submit(lambda: client.send("account", "withdraw_balance", 30, wait=False))
        time.sleep(0.7)
        image.process.send_signal(signal.SIGKILL)
        image.process.wait()
    image.start()
    assert image.said("send", "account", "balance") in (70, 100)
    assert image.said("send", "account", "withdraw_balance", 10) in (60, 90)


def test_a_birth_killed_at_any_stage_is_completed_by_the_next_awakening(awaken, tmp_path):
    for number, pause in enumerate((0.3, 0.45, 0.6, 0.8, 1.1)):
        directory = tmp_path / f"cut{number}"
        child = subprocess.Popen(
            [sys.executable, "-m", "batos", "--image", str(directory), "--endpoint", "ipc://" + str(tmp_path / "s"),
             "--no-repl"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(pause)
        child.kill()
        child.wait()
        image = awaken(directory)
        assert image.line["mind"] == "embedded"
        assert {each["name"] for each in image.said("experts", "--json")} >= {"BRICK", "ALFRED", "ROBIN"}
        assert image.stop() == 0


def test_an_idempotency_key_holds_across_a_crash(awaken):
    image = awaken()
    image.said("send", "lobby", "clone", "-k", "called=account", "-k", "balance=100")
    image.cli(
        "define", "account", "-", stdin="def pay(self, n):\n    self.balance -= n\n    return self.balance"
    )
    assert image.said("send", "account", "pay", 30, "--idem", "rent-1") == 70
    image.kill9()
    image.start()
    again = image.said("--json", "send", "account", "pay", 30, "--idem", "rent-1")
    assert again["result"] == 70 and again["replayed"] is True
    assert image.cli("send", "account", "pay", 31, "--idem", "rent-1").returncode == 4
    assert image.said("send", "account", "balance") == 70


def test_a_busy_object_is_taught_while_it_goes_on_changing(awake):
    """The real mind thinks on a snapshot; what it learned is replayed on an object that changed meanwhile."""
    with awake.client() as image:
        image.send("memory_manager_obj", "activate_expert_", "BRICK", timeout=60)
        for attempt in range(3):
            name = f"busy{attempt}"
            image.send("lobby", "clone", called=name, snirps=100)
            mission = image.send(name, "withdraw_snirps", 30, wait=False)["mission"]
            end = time.monotonic() + 20
            puts = 0
            while image.send("kernel", "mission", mission)["answer"] is None and time.monotonic() < end:
                puts += 1
                image.send(name, "put", "snirps", 100 + puts)
            told = image.send("kernel", "mission", mission)
            assert told["state"] == "COMPLETE" and puts > 1
            assert image.send(name, "withdraw_snirps", 1, miss="error") == image.send(name, "snirps")
