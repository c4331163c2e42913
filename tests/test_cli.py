"""The command line: what is typed, what is printed where, and with which code it ends."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_image import DEPOSIT, image, server  # noqa: F401 - fixtures

from batos import errors
from batos.cli import main, telling
from batos.cli.calls import Call
from batos.cli.verbs import VERBS
from batos.errors import AlreadyAwake, NobodyAwake
from batos.message import Reply


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A current directory without an image."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def batos(nowhere, server, capfd):
    """`batos("send account balance")` -> code, stdout, stderr, of a command aimed at the fake image."""

    def run(*words, at=True):
        given = words[0].split() if len(words) == 1 else list(words)
        code = main([*(["--endpoint", server.endpoint] if at else []), *given])
        told = capfd.readouterr()
        return SimpleNamespace(code=code, out=told.out, err=told.err)

    return run


@pytest.fixture
def sleeping(image, nowhere, monkeypatch):
    """A folder with an image that is asleep, and how often it was opened."""
    folder = nowhere / "image"
    folder.mkdir()
    (folder / "live_image.fs").write_bytes(b"")
    opened = []

    @contextlib.contextmanager
    def asleep(settings):
        opened.append(settings.image)
        yield SimpleNamespace(send=image.call)

    monkeypatch.setitem(sys.modules, "batos.app", SimpleNamespace(asleep=asleep))
    return SimpleNamespace(folder=folder, opened=opened)


# -- what is typed ----------------------------------------------------------------------------------


def test_send_prints_the_result_as_json(batos):
    assert batos("send account deposit 5").out == "5\n"
    assert batos("send", "account", "echo", "Zoë").out == '"Zoë"\n'
    assert json.loads(batos("--json send account balance").out)["result"] == 5


@pytest.mark.parametrize(
    ("typed", "value"),
    [("5", 5), ("-5", -5), ("-.5", "-.5"), ("1.5", 1.5), ("true", True), ("null", None), ('"5"', "5"),
     ("five", "five"), ("", ""), ("-", "-"), ("NaN", "NaN"), ("Infinity", "Infinity"), ("[NaN]", "[NaN]"),
     ("[1, {\"a\": 2}]", [1, {"a": 2}]), ("{half", "{half"), ("two words", "two words"), ("1e3", 1000.0),
     ("0x1f", "0x1f"), ("True", "True")],
)  # fmt: skip
def test_an_argument_is_json_or_else_text(batos, typed, value):
    done = batos("send", "account", "echo", typed)
    assert json.loads(done.out) == value and done.code == 0


def test_arguments_by_name_and_flags_stand_anywhere_until_two_dashes(batos, image):
    done = batos(
        "send", "-k", "a=5", "account", "--timeout", "3", "echo", "-kb=x=y", "-5", "--", "--json", "-k"
    )
    assert json.loads(done.out) == {"args": [-5, "--json", "-k"], "kw": {"a": 5, "b": "x=y"}}
    assert image.heard[-1].timeout == 3.0
    batos("--json --timeout=2 --miss error send account balance --idem k1 --no-wait")
    heard = image.heard[-1]
    assert (heard.timeout, heard.miss, heard.idem, heard.wait) == (2.0, "error", "k1", False)


def test_a_receiver_may_be_an_object_id(batos, image):
    batos("send", '{"oid": "0x1f"}', "balance")
    assert image.heard[-1].to == {"oid": "0x1f"}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("snd account balance", "did you mean send?"),
        ("dream", "there is no verb 'dream'"),
        ("pakc", "did you mean pack?"),
        ("undo a b", "undo [MESSAGE_OR_MISSION]"),
        ("redo a", "redo was given 1 arguments"),
        ("backup", "backup DIR"),
        ("restore . --to", "--to wants MOMENT"),
        ("log -n none", "-n wants"),
        ("log -n 0", "-n wants"),
        ("doctor --dry", "doctor has no flag --dry"),
        ("send account balance --at yesterday", "'at'"),
        ("send account balance --at 5 --dry", "'at' and 'dry'"),
        ("send account", "RECEIVER SELECTOR"),
        ("send account balance --tiemout 5", "did you mean --timeout?"),
        ("send account balance --timeout soon", "wants seconds"),
        ("send account balance --timeout -1", "wants seconds"),
        ("send account balance --timeout", "--timeout wants SECONDS"),
        ("send account balance --json=yes", "takes no value"),
        ("send account balance -k", "-k wants NAME=VALUE"),
        ("send account balance -k a", "-k wants NAME=VALUE"),
        ("send account balance -k a=1 -k a=2", "given twice"),
        ("missions --miss error", "missions has no flag --miss"),
        ("revert account", "PATH SELECTOR [VERSION]"),
        ("recall x --top many", "--top wants"),
        ("recall x --top 0", "--top wants"),
        ("experts BRICK", "only after --stage"),
        ("remember", "remember wants a FILE"),
        ("send account balance --miss perhaps", "'miss'"),
        ("send account echo " + "[" * 2000, "cannot be read"),
        ("send account echo " + "9" * 5000, "cannot be read"),
        ("send account echo 1e999", "cannot be sent"),
    ],
)
def test_a_slip_of_usage_ends_with_2_a_sentence_and_the_next_command(batos, typed, said):
    done = batos(typed)
    assert done.code == 2 and said in done.err and done.out == ""
    assert re.search(r"^batos: next: python -m batos .*", done.err, re.M)


def test_help_lists_exactly_the_verbs_there_are_and_each_has_its_own(capfd):
    assert main(["--help"]) == 0
    told = capfd.readouterr()
    listed = re.findall(r"^  (\w+) ", told.out.split("verbs:")[1].split("flags")[0], re.M)
    assert listed == list(VERBS) and told.err == ""
    built = """awaken send define repl missions mission replay cancel ask inspect history log revert undo redo
        remember recall audit incarnate minds experts doctor keys pack backup restore export import stop"""
    assert listed == built.split()
    for name, verb in VERBS.items():
        for typed in ([name, "--help"], ["--help", name], ["-h", name]):
            assert main(typed) == 0
            out = capfd.readouterr().out
            assert f"usage: python -m batos [FLAGS] {name}" in out
            assert all(flag.meaning in out for flag in verb.flags)


def test_version_says_series_and_protocol(capfd):
    assert main(["--version"]) == 0
    assert re.fullmatch(r"batos \d+\.\d+\.\d+ \(Series VIII, batos message 1\)\n", capfd.readouterr().out)


# -- what is said -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "code", "name"),
    [
        ("send nobody balance", 3, "no_such_object"),
        ("send account depozit", 3, "not_understood"),
        ("send account balance 5", 2, "wrong_arguments"),
        ("send account deposit [1]", 1, "method_error"),
    ],
)
def test_an_error_of_the_image_has_its_code_its_sentence_and_the_next_command(batos, typed, code, name):
    done = batos(typed)
    assert done.code == code and done.out == ""
    assert "Traceback" not in done.err and "next: python -m batos --endpoint" in done.err
    whole = batos(f"--json {typed}")
    told = json.loads(whole.out)
    assert whole.code == code and told["error"]["code"] == name and told["id"] and "result" not in told
    assert whole.err == done.err


def test_every_error_there_is_has_an_exit_code_and_a_next_command(capfd):
    call = Call(VERBS["send"], ["account", "deposit", "a b"])
    for kind in [*errors.WIRE_ERRORS.values(), errors.Damaged, errors.AlreadyAwake, errors.NobodyAwake]:
        error = kind("it happened", near=["a"], mission="m-1", line=3, rule="covenant")
        assert telling.fail(call, Reply("", error=error)) == kind.exit_code
        said = capfd.readouterr().err
        assert (
            said.startswith("batos: it happened (rule covenant, line 3)\n")
            and "next: python -m batos " in said
        )


@pytest.mark.parametrize("typed", ["frob", "--frob", "send account", "stop --timeout never"])
def test_a_line_that_cannot_be_read_still_names_the_image_it_was_aimed_at(capfd, typed):
    assert main(["--image", "my world", *typed.split()]) == 2
    assert "next: python -m batos --image 'my world' " in capfd.readouterr().err


def test_an_error_without_a_reply_is_json_too_when_asked(nowhere, capfd):
    assert main(["--json", "send", "account"]) == 2
    assert json.loads(capfd.readouterr().out)["error"]["code"] == "usage"
    assert main(["send", "account", "--", "--json"]) != 2
    assert capfd.readouterr().out == ""


def test_define_takes_a_file_or_standard_input(batos, nowhere, monkeypatch):
    (nowhere / "deposit.py").write_text(DEPOSIT)
    done = batos("define account deposit.py")
    assert done.code == 0 and "selector: deposit" in done.out and "flagged the change" in done.out
    monkeypatch.setattr(
        sys, "stdin", SimpleNamespace(buffer=io.BytesIO(DEPOSIT.encode()), isatty=lambda: False)
    )
    assert json.loads(batos("--json define account -").out)["verdict"] == "repaired"
    (nowhere / "bad.py").write_text("def f(self):\n    import os\n")
    refused = batos("define account bad.py")
    assert (
        refused.code == 1
        and "(rule import, line 2)" in refused.err
        and "next: python -m batos" in refused.err
    )
    (nowhere / "latin.py").write_bytes(b"# \xe9")
    assert batos("define account latin.py").code == 2
    gone = batos("define account gone.py")
    assert gone.code == 3 and "gone.py" in gone.err and "next: ls" in gone.err
    assert batos("define account .").code == 3


def test_inspect_and_the_lists_are_pages_for_people_and_json_for_programs(batos, image):
    page = batos("inspect account").out
    assert "balance: 0" in page and "parents: <traits_obj 0x1>" in page and "deposit(amount)" in page
    assert json.loads(batos("--json inspect account").out)["slots"]["own"] == {"balance": 0, "owner": "Ada"}
    assert batos("missions").out == "none\n"
    image.said["missions"] = [{"id": "m-1", "to": "account", "send": "dream", "state": "COMPLETE"}]
    assert batos("missions").out.split()[:4] == ["id", "to", "send", "state"]
    image.said["mission"] = {"id": "m-1", "to": "account", "send": "dream", "state": "FAILED", "why": "nobody knew"}
    assert "sent dream to account" in batos("mission m-1").out and "why: nobody knew" in batos("mission m-1").out
    assert json.loads(batos("--json mission m-1").out) == image.said["mission"]
    image.said["history"] = {"versions": [], "changes": []}
    assert batos("history account").out == "nothing has changed yet\n"
    assert image.heard[-1].args == ["account"]
    assert json.loads(batos("--json revert account deposit 2").out) == {"selector": "deposit", "version": 2}


def test_a_dry_run_prints_its_result_and_tells_beside_it_what_would_change(batos):
    tried = batos("send account deposit 5 --dry")
    assert tried.out == "5\n" and tried.err == "batos: would change account.balance: 0 -> 5\n"
    assert batos("send account balance --dry").err == "batos: would change nothing\n"
    told = json.loads(batos("--json send account deposit 5 --dry").out)
    account = {"oid": "0x1f", "path": "account"}
    assert told["changes"] == [{"object": account, "slot": "balance", "before": 0, "after": 5}]
    assert batos("send account balance").out == "0\n"


def test_the_past_is_asked_by_the_id_of_a_transaction(batos, image):
    assert batos("send account balance --at 03fd1c2a9b7e5500").out == "0\n"
    assert image.heard[-1].at == "03fd1c2a9b7e5500"


def test_log_undo_and_redo_are_lines_for_people_and_json_for_programs(batos, image):
    image.said["log"] = [
        {"message": "a-1", "time": 1.0e9, "tid": "03fd", "who": "Ada", "why": "deposit to account",
         "mission": None, "changes": 1, "undone": True},
    ]  # fmt: skip
    head, line = batos("log").out.splitlines()
    assert head.split() == ["time", "message", "who", "why", "mission", "changes", "tid"]
    assert line.split()[2:] == ["a-1", "Ada", "deposit", "to", "account", "-", "undone", "03fd"]
    assert image.heard[-1].args == []
    assert json.loads(batos("--json log -n 7").out) == image.said["log"] and image.heard[-1].args == [7]
    image.said["log"] = []
    assert batos("log").out == "nothing has changed yet\n"
    image.said["undo"] = image.said["redo"] = {"taken": [{"message": "a-1", "why": "deposit to account"}]}
    assert batos("undo").out == "taken back: deposit to account (message a-1)\n"
    assert batos("undo a-1").code == 0 and image.heard[-1].args == ["a-1"]
    assert batos("redo").out == "done again: deposit to account (message a-1)\n"
    assert json.loads(batos("--json redo").out) == image.said["redo"]


def test_paths_are_made_absolute_before_they_travel_and_long_verbs_have_no_limit(batos, image, nowhere):
    image.said["pack"] = {"before_bytes": 10, "after_bytes": 5}
    image.said["backup"] = image.said["export"] = {"bytes": 5}
    assert batos("pack").out == "before_bytes: 10\nafter_bytes: 5\n"
    assert json.loads(batos("backup copies --json").out) == {"bytes": 5}
    assert image.heard[-1].args == [str(nowhere / "copies")] and image.heard[-1].timeout is None
    assert batos("export ../world --timeout 9").code == 0
    assert image.heard[-1].args == [str(nowhere.parent / "world")] and image.heard[-1].timeout == 9.0


def test_a_verb_that_works_long_says_on_what(batos, image, nowhere, monkeypatch):
    image.said["backup"] = image.said["pack"] = {"bytes": 5}
    assert batos("backup copies").err == ""
    monkeypatch.setattr(telling, "REMARKABLE", 0.0)
    image.slow = 0.3
    told = batos("backup copies")
    assert told.out == "bytes: 5\n" and f"is copied to {nowhere / 'copies'}" in told.err


def test_who_waits_for_a_mission_is_told_that_one_is_at_work_and_who_does_not_wait_long_is_not(
    batos, image, monkeypatch
):
    assert batos("send account dream_deep").err == ""
    monkeypatch.setattr(telling, "REMARKABLE", 0.1)
    told = batos("send account dream_deep")
    assert told.out == '"dreamt"\n'
    assert told.err == "batos: mission m-2 teaches account 'dream_deep'; that takes a while\n"
    for flag in ("--no-wait", "--dry", "--at 03fd"):  # nobody waits for a mission
        assert batos(f"send account balance {flag}").code == 0 and not image.heard[-1].stream


LOOKED = {
    "name": "llama", "parameters": 1_000_000, "quantise": "nf4", "licence": "mit", "files": 3, "bytes": 2e6,
    "disk": 2e6, "disk_free": 9e9, "memory": 5e5, "budget": 8e9, "device": "RAM", "profile": "cpu",
}  # fmt: skip


@pytest.mark.parametrize("where", ["awake", "asleep"])
def test_making_a_model_the_mind_tells_each_step_and_a_terminal_how_many_bytes_are_done(
    batos, image, sleeping, monkeypatch, where, nowhere
):
    """A download or a quantisation of hours is not silent, whether the image is awake or asleep."""
    (nowhere / "model").mkdir()
    image.said["incarnate"] = LOOKED
    done = {"event": "progress", "told": "model-1.safetensors", "total_bytes": 2_000_000}
    image.before["incarnate"] = [
        done | {"bytes": 500_000},
        done | {"bytes": 2_000_000},
        {"event": "progress", "told": "it is quantised to 4 bits, once and for all"},
    ]
    typed = "incarnate model" if where == "awake" else f"--image {sleeping.folder} incarnate model"
    plain = batos(typed, at=where == "awake")
    assert plain.code == 0 and "batos: it is quantised to 4 bits, once and for all\n" in plain.err
    assert "500k" not in plain.err and "model-1" not in plain.err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    shown = batos(typed, at=where == "awake")
    assert shown.code == 0 and re.search(r"model-1\.safetensors: +25%.*500k/2\.00M", shown.err)
    assert "\rbatos: it is quantised to 4 bits, once and for all\n" in shown.err


def test_remember_sends_absolute_paths_and_names_what_was_left_out(batos, image, nowhere):
    for name in ("a.txt", "b.bin"):
        (nowhere / name).write_text(name)
    image.said["remember"] = {"documents": 1, "skipped": []}
    assert batos("remember a.txt b.bin").code == 0
    assert image.heard[-1].args == [[str(nowhere / "a.txt"), str(nowhere / "b.bin")]]
    image.said["remember"] = {
        "documents": 1,
        "skipped": [{"source": str(nowhere / "b.bin"), "why": "is no text"}],
    }
    left = batos("remember a.txt b.bin")
    assert left.code == 1 and "b.bin was left out: is no text" in left.err
    assert batos("remember .").code == 0  # inside a folder it is no failure
    gone = batos("remember gone.txt")
    assert gone.code == 3 and "gone.txt" in gone.err
    batos("remember --forget old.txt")
    assert image.heard[-1].kw == {"forget": [str(nowhere / "old.txt")]}


def test_recall_prints_passages_with_source_and_score_or_the_list_itself(batos, image):
    found = [{"text": "Ada owns it.\nAll.", "source": "/d/a.txt", "start": 3, "end": 20, "score": 0.51234}]
    image.said["recall"] = found
    assert batos("recall who owns it --top 2").out == "0.512  /d/a.txt:3-20\n    Ada owns it.\n    All.\n"
    assert image.heard[-1].args == ["who owns it", 2]
    assert json.loads(batos("--json recall who").out) == found
    image.said["recall"] = []
    assert "nothing is remembered" in batos("recall who").out


def test_recall_asks_in_other_ways_by_its_flags(batos, image, nowhere):
    found = [{"text": "Ada owns it.", "source": "/d/a.txt", "start": 3, "end": 15, "score": 0.5}]
    image.said |= {"recall": found, "context_for": found, "alike": found}
    assert batos("recall who --exact --persona BRICK --until 2026-05-01").code == 0
    heard = image.heard[-1]
    day = time.mktime((2026, 5, 2, 0, 0, 0, 0, 0, -1))  # a day is meant whole
    assert (heard.send, heard.args) == ("recall", ["who", 5])
    assert heard.kw == {"persona": "BRICK", "until": day, "exact": True}
    assert "Ada owns it." in batos("recall who owns it --tokens 300").out
    assert (image.heard[-1].send, image.heard[-1].args) == ("context_for", ["who owns it", 300])
    assert batos("recall --like notes/a.txt:120 --top 2").code == 0
    assert (image.heard[-1].send, image.heard[-1].args) == ("alike", [str(nowhere / "notes/a.txt"), 120, 2])
    for wrong in ("recall", "recall who --like a.txt", "recall who --tokens 5 --top 2", "recall x --until soon", "recall x --kind html"):
        assert batos(wrong).code == 2, wrong


def test_experts_are_listed_or_taken_in_and_each_refused_one_is_named(batos, image, nowhere):
    image.said["experts"] = [{"name": "BRICK", "base": "embedded", "rank": 8, "bytes": 9, "tier": "hot"}]
    assert "BRICK" in batos("experts").out and json.loads(batos("experts --json").out)[0]["rank"] == 8
    image.said["stage"] = {"staged": ["A"], "refused": []}
    assert batos("experts --stage").code == 0
    assert image.heard[-1].args == [[str(nowhere / "lora_staging")]]
    (nowhere / "b").mkdir()
    image.said["stage"] = {
        "staged": [],
        "refused": [{"path": "/x/b", "reason": "has no adapter_config.json"}],
    }
    done = batos("experts --stage b")
    assert done.code == 1 and "/x/b was refused: has no adapter_config.json" in done.err
    assert image.heard[-1].args == [[str(nowhere / "b")]]
    assert batos("experts --stage gone").code == 3


def test_the_doctor_speaks_in_lines_and_fails_with_its_patient(batos, image):
    image.said["doctor"] = [
        {"check": "disk", "state": "ok", "detail": "5 GB free"},
        {"check": "mind", "state": "warn", "detail": "-"},
    ]
    well = batos("doctor")
    assert well.code == 0 and well.out == "ok    disk  5 GB free\nwarn  mind  -\n"
    image.said["doctor"].append({"check": "wall", "state": "fail", "detail": "no seccomp"})
    assert batos("doctor").code == 1 and len(json.loads(batos("--json doctor").out)) == 3


def test_the_scrub_is_asked_for_by_name(batos, image):
    image.said["doctor"] = [{"check": "wall", "state": "fail", "detail": "no seccomp"}]
    assert batos("doctor").code == 1 and image.heard[-1].args == []
    image.said["doctor"].append({"check": "scrub", "state": "fail", "detail": "a blob differs"})
    assert batos("doctor --scrub").code == 9 and image.heard[-1].args == [True]


def test_audit_is_now_or_the_last_one(batos, image):
    image.said["audit"] = "All is well.\nNothing was slow."
    assert batos("audit").out == "All is well.\nNothing was slow.\n" and image.heard[-1].kw == {}
    batos("audit --last")
    assert image.heard[-1].kw == {"last": True}


# -- whom it asks -----------------------------------------------------------------------------------


def test_nobody_awake_is_exit_5_within_two_seconds_with_the_command_that_helps(free_endpoint, cli):
    began = time.monotonic()
    done = cli("--endpoint", free_endpoint, "send", "account", "balance")
    assert done.returncode == 5 and time.monotonic() - began < 2.0
    assert free_endpoint in done.stderr and "awaken" in done.stderr and done.stdout == ""


def test_without_an_endpoint_an_image_here_is_asked_through_its_own_record(sleeping, server, capfd):
    record = {"endpoint": server.endpoint, "pid": os.getpid(), "since": "now"}
    (sleeping.folder / "awake.json").write_text(json.dumps(record))
    assert main(["send", "account", "deposit", "5"]) == 0
    assert main(["inspect", "account"]) == 0
    assert not sleeping.opened and "balance: 5" in capfd.readouterr().out


@pytest.mark.parametrize(
    "left", [None, "", "{}", "[]", '{"endpoint": "tcp://127.0.0.1:1", "pid": "x"}', "stale"]
)
def test_an_image_that_sleeps_is_read_where_reading_is_enough_and_else_exit_5(sleeping, capfd, left):
    if left == "stale":  # killed hard: the record stayed, the process did not
        with subprocess.Popen([sys.executable, "-c", ""]) as dead:
            dead.wait()
        left = json.dumps({"endpoint": "tcp://127.0.0.1:1", "pid": dead.pid, "since": "then"})
    if left is not None:
        (sleeping.folder / "awake.json").write_text(left)
    assert main(["inspect", "account"]) == 0 and len(sleeping.opened) == 1
    assert "balance: 0" in capfd.readouterr().out
    for typed in (
        ["send", "account", "balance"],
        ["missions"],
        ["stop"],
        ["audit"],
        ["revert", "account", "x"],
        ["undo"],
        ["redo"],
        ["repl"],
    ):
        assert main(typed) == 5
        told = capfd.readouterr()
        assert "asleep" in told.err and "next: python -m batos awaken" in told.err
    assert len(sleeping.opened) == 1


def test_care_is_taken_of_an_image_that_sleeps(sleeping, image, capfd):
    for name in ("log", "history", "pack", "backup", "export", "doctor"):
        image.said[name] = [] if name in ("log", "doctor") else {"bytes": 5}
    for typed in (["log"], ["history", "account"], ["pack"], ["backup", "b"], ["export", "e"], ["doctor"]):
        assert main(typed) == 0
    assert len(sleeping.opened) == 6 and [message.send for message in image.heard][-1] == "doctor"


def test_what_is_brought_back_is_brought_back_asleep(nowhere, monkeypatch, capfd):
    asked = []

    def bring(verb):
        return lambda settings, source, *more, **flags: (
            asked.append((verb, settings.image, source, *more, *flags.values())) or {"bytes": 5, **told}
        )

    told = {}

    app = SimpleNamespace(restore=bring("restore"), import_image=bring("import"))
    monkeypatch.setitem(sys.modules, "batos.app", app)
    (nowhere / "copies").mkdir()
    assert main(["--image", "new", "restore", "copies"]) == 0
    assert main(["restore", "copies", "--to", "2026-01-31T18:30", "--json"]) == 0
    assert main(["import", "copies"]) == 0
    source = str(nowhere / "copies")
    assert asked == [
        ("restore", Path("new"), source, None),
        ("restore", Path("image"), source, "2026-01-31T18:30"),
        ("import", Path("image"), source, False),
    ]
    assert capfd.readouterr().out == 'bytes: 5\n{"bytes": 5}\nbytes: 5\n'
    assert main(["restore", "gone"]) == 3 and main(["import", "gone"]) == 3 and len(asked) == 3
    refused = {"object": "account", "selector": "fee", "version": 2, "line": 3, "rule": "import", "why": "no"}
    told["refused"] = [refused]
    assert main(["import", "copies", "--edited"]) == 1 and asked[-1][-1] is True
    said = capfd.readouterr()
    assert said.out == "bytes: 5\n"
    assert "account fee version 2 is kept but not installed: no (rule import, line 3)" in said.err


def test_nothing_is_brought_back_over_an_image_that_is_awake(sleeping, server, capfd, monkeypatch):
    record = {"endpoint": server.endpoint, "pid": os.getpid(), "since": "2026-01-31"}
    (sleeping.folder / "awake.json").write_text(json.dumps(record))
    for typed in (["restore", "."], ["import", "."]):
        assert main(["--image", str(sleeping.folder), *typed]) == 6
        told = capfd.readouterr().err
        assert f"process {os.getpid()} serves it at {server.endpoint} since 2026-01-31" in told
        assert f"next: python -m batos --image {sleeping.folder} stop" in told


def test_a_next_command_is_aimed_at_the_image_that_was_meant(capfd):
    call = Call(VERBS["undo"], [], {"image": "shop"})
    for hint, told in (
        ("look at: python -m batos log", "look at: python -m batos --image shop log"),
        ("python -m batos --image OTHER awaken", "python -m batos --image OTHER awaken"),
    ):
        telling.fail(call, Reply("", error=errors.Conflict("no", hint=hint)))
        assert f"next: {told}\n" in capfd.readouterr().err


def test_a_record_whose_process_lives_but_does_not_answer_is_asleep_too(sleeping, free_endpoint, capfd):
    (sleeping.folder / "awake.json").write_text(
        json.dumps({"endpoint": free_endpoint, "pid": os.getpid(), "since": ""})
    )
    assert main(["inspect", "account"]) == 0 and sleeping.opened
    assert main(["send", "account", "balance"]) == 5


def test_an_endpoint_from_flag_or_environment_never_opens_the_image_here(
    sleeping, free_endpoint, monkeypatch, server, capfd
):
    assert main(["--endpoint", free_endpoint, "inspect", "account"]) == 5
    monkeypatch.setenv("BATOS_ENDPOINT", free_endpoint)
    assert main(["inspect", "account"]) == 5
    assert main(["--endpoint", server.endpoint, "inspect", "account"]) == 0  # a flag beats the environment
    assert not sleeping.opened


def test_a_named_folder_without_an_image_is_exit_5_and_stays_empty(nowhere, capfd, monkeypatch):
    for typed in (["send", "account", "balance"], ["inspect", "account"], ["doctor"]):
        assert main(["--image", "none", *typed]) == 5
        told = capfd.readouterr().err
        assert "there is no image in none" in told and "--image none awaken" in told
    monkeypatch.setenv("BATOS_IMAGE", "none")
    assert main(["inspect", "account"]) == 5
    assert not (nowhere / "none").exists()


def test_settings_come_from_flag_then_environment_then_file_then_default(
    sleeping, image, server, monkeypatch, capfd
):
    (sleeping.folder / "awake.json").write_text(
        json.dumps({"endpoint": server.endpoint, "pid": os.getpid(), "since": ""})
    )

    def waited(*flags):
        assert main([*flags, "send", "account", "balance"]) == 0
        return image.heard[-1].timeout

    assert waited() is None
    (sleeping.folder / "batos.toml").write_text("timeout = 7")
    assert waited() == 7.0
    monkeypatch.setenv("BATOS_TIMEOUT", "8")
    assert waited() == 8.0
    assert waited("--timeout", "9") == 9.0
    (sleeping.folder / "batos.toml").write_text("timeot = 7")
    assert main(["send", "account", "balance"]) == 2
    assert "timeot" in capfd.readouterr().err


def test_an_error_while_opening_a_sleeping_image_is_a_sentence(sleeping, monkeypatch, capfd):
    for error, code in (
        (AlreadyAwake("pid 5 holds it"), 6),
        (NobodyAwake("none"), 5),
        (errors.Damaged("torn"), 9),
    ):

        @contextlib.contextmanager
        def asleep(settings, error=error):
            raise error
            yield

        monkeypatch.setitem(sys.modules, "batos.app", SimpleNamespace(asleep=asleep))
        assert main(["inspect", "account"]) == code
        assert str(error) in capfd.readouterr().err


def test_awaken_is_the_verb_when_none_is_given_and_gets_the_settings(nowhere, monkeypatch):
    asked = []
    awaken = lambda settings, repl, as_json: asked.append((settings, repl, as_json)) or 0  # noqa: E731
    monkeypatch.setitem(sys.modules, "batos.app", SimpleNamespace(awaken=awaken))
    assert main(["--image", "x", "--json", "--no-repl"]) == 0
    assert main(["awaken", "--endpoint", "tcp://127.0.0.1:1"]) == 0
    (first, repl, as_json), (second, _, plain) = asked
    assert first.image == Path("x") and repl is None and as_json is True
    assert second.endpoint == "tcp://127.0.0.1:1" and plain is False


def test_stop_waits_until_the_process_has_gone(batos, image):
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.4)"]) as going:
        image.said["stop"] = {"pid": going.pid, "image": "x"}
        began = time.monotonic()
        assert batos("stop").code == 0
        assert 0.2 < time.monotonic() - began < 4


# -- as a process -----------------------------------------------------------------------------------


def test_a_reader_that_leaves_and_a_full_disk_end_without_a_traceback(server):
    command = [
        sys.executable,
        "-m",
        "batos",
        "--endpoint",
        server.endpoint,
        "send",
        "account",
        "echo",
        "x" * 100_000,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as leaving:
        leaving.stdout.close()
        assert leaving.wait() == 141 and leaving.stderr.read() == b""
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
        failed = subprocess.run(
            [*command[:-4], "--json", "nonsense"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    for one in (done, failed):
        assert one.returncode == 1 and "No space left" in one.stderr and "Traceback" not in one.stderr
    closed = subprocess.run(["sh", "-c", f"{' '.join(command[:-1])} 5 >&- 2>&-"])
    assert closed.returncode == 0


def test_ctrl_c_ends_a_waiting_command_with_130(server):
    command = [sys.executable, "-m", "batos", "--endpoint", server.endpoint, "send", "account", "sleep", "5"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as waiting:
        time.sleep(1.0)
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(3) == 130 and "Traceback" not in waiting.stderr.read()


def test_arguments_that_are_not_utf8_are_refused_in_words(server):
    command = [
        sys.executable,
        "-m",
        "batos",
        "--endpoint",
        server.endpoint,
        "send",
        "account",
        "echo",
        b"\xff",
    ]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.returncode == 2 and b"Traceback" not in done.stderr and b"cannot be sent" in done.stderr


def test_help_and_send_import_nothing_slow(server):
    for typed in (["--help"], ["--endpoint", server.endpoint, "send", "account", "balance"]):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "batos", *typed], capture_output=True, text=True
        )
        loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert done.returncode == 0 and "batos.cli" in loaded
        assert (
            not {"asyncio", "ZODB", "torch", "prompt_toolkit", "pygments", "msgspec", "numpy", "logging"}
            & loaded
        )
