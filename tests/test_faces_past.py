"""The past, seen through the faces: log, undo, dry runs, `at`, care and bringing back, on a real image."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from types import SimpleNamespace

import pytest
import zmq

from batos import AsyncClient, doctor
from batos.errors import BadRequest, NotUnderstood, ReadOnly, WrongArguments
from batos.message import Message
from batos.repl import Conversation
from scripts.living import Awake, free_tcp_endpoint, run_batos

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """An image awake for this module alone: what is undone here is nobody else's."""
    image = Awake(tmp_path_factory.mktemp("past") / "image", free_tcp_endpoint(), ["--no-repl"])
    try:
        yield image.start()
    finally:
        image.end()


@pytest.fixture
def client(one):
    with one.client() as client:
        yield client


@pytest.fixture
def account(client):
    """The name of a new object that holds 100, of this test's own."""
    name = f"account_{next(NUMBERS)}"
    client.send("lobby", "clone", called=name, balance=100, entries=[1, 2])
    return name


def line(text, words):
    """The line of `log` that holds all these words."""
    return next(each for each in text.splitlines() if all(word in each for word in words))


def test_a_change_stands_in_the_log_and_is_taken_back_by_its_message(one, client, account):
    reply = client.call(Message(account, "put", ["balance", 70], id="mine-1"))
    client.send(account, "put", "entries", [3])
    told = one.cli("log")
    assert told.returncode == 0 and "owner" in line(told.stdout, ["mine-1", f"put balance to {account}"])
    assert reply.tid in line(told.stdout, ["mine-1"])
    undone = one.cli("undo", "mine-1")
    assert undone.stdout == f"taken back: put balance to {account} (message mine-1)\n"
    assert client.send(account, "balance") == 100 and client.send(account, "entries") == [3]
    assert "undone" in line(one.cli("log").stdout, ["mine-1"])
    assert one.cli("redo").stdout == f"done again: put balance to {account} (message mine-1)\n"
    assert client.send(account, "balance") == 70
    assert one.cli("undo", reply.tid).returncode == 0  # where a commit held one message, its id will do
    assert client.send(account, "balance") == 100


def test_undo_without_a_name_means_the_last_change_of_a_message(one, client, account):
    client.send(account, "put", "balance", 70)
    client.send(account, "balance")
    assert f"put balance to {account}" in one.cli("undo").stdout and client.send(account, "balance") == 100


def test_what_cannot_be_taken_back_is_a_sentence_and_the_next_command(one, client, account):
    client.call(Message(account, "put", ["balance", 70], id="mine-2"))
    client.send(account, "put", "balance", 60)
    late = one.cli("undo", "mine-2")
    assert late.returncode == 4 and "changed again since" in late.stderr and account in late.stderr
    assert client.send(account, "balance") == 60
    nobody = one.cli("undo", "nobody-1")
    assert nobody.returncode == 3 and "nobody-1" in nobody.stderr
    assert re.search(rf"next: .*--image {re.escape(str(one.image))} log", nobody.stderr)
    assert "Traceback" not in late.stderr + nobody.stderr


def test_a_dry_run_keeps_nothing_on_any_road(one, client, account):
    name = f'"{account}"'
    result, changes = client.dry(account, "put", "balance", 70)
    assert result == 70 and [(each["slot"], each["before"], each["after"]) for each in changes] == [
        ("balance", 100, 70)
    ]
    assert changes[0]["object"]["path"] == account
    told = one.cli("send", account, "put", "balance", "70", "--dry")
    assert told.stdout == "70\n" and told.stderr == f"batos: would change {account}.balance: 100 -> 70\n"
    reply = json.loads(one.cli("--json", "send", account, "put", "balance", "70", "--dry").stdout)
    assert reply["changes"] == changes and "tid" not in reply

    async def awaited():
        async with AsyncClient(one.endpoint) as other:
            return await other.dry(account, "put", "balance", 70)

    assert asyncio.run(awaited()) == (70, changes)
    assert client.send(account, "balance") == 100 and name not in one.cli("log").stdout
    with pytest.raises(NotUnderstood):  # never a mission
        client.dry(account, "double_balance")
    tried = one.cli("send", account, "double_balance", "--dry", "--miss", "mission")
    assert tried.returncode == 3 and "did not understand" in tried.stderr


def test_the_past_answers_and_cannot_be_changed(one, client, account):
    then = client.call(Message(account, "put", ["balance", 70])).tid
    client.send(account, "put", "balance", 60)
    assert client.send(account, "balance", at=then) == 70
    assert one.cli("send", account, "balance", "--at", then).stdout == "70\n"
    assert client.send(account, "describe", at=then)["slots"]["own"]["balance"] == 70
    with pytest.raises(ReadOnly):
        client.send(account, "put", "balance", 5, at=then)
    with pytest.raises(NotUnderstood):
        client.send(account, "double_balance", at=then)
    with pytest.raises(BadRequest):
        client.send(account, "balance", at="f" * 16)
    assert client.send(account, "balance") == 60


def test_a_client_that_does_not_wait_reads_what_it_wrote_just_before(one, client, account):
    client.send(account, "balance")
    client.send(account, "balance")  # known to read: answered without a turn where the image is idle
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.connect(one.endpoint)
    try:
        for amount in range(1, 301):
            for words in ({"send": "put", "args": ["balance", amount]}, {"send": "balance"}):
                socket.send_json({"to": account, "id": f"{words['send']}-{amount}", **words})
            if amount % 7 == 0:
                time.sleep(0.002)  # the image is idle again
        told = {}
        for _ in range(600):
            reply = socket.recv_json()
            told[reply["id"]] = reply["result"]
    finally:
        socket.close(0)
    assert all(told[f"balance-{amount}"] == amount for amount in range(1, 301))


def test_history_says_who_changed_which_slot_when_and_why(one, client, account):
    client.send(account, "put", "balance", 70)
    client.send(account, "define", "def fee(self):\n    return self.balance // 10\n")
    told = one.cli("history", account).stdout
    assert re.search(rf"\d\d:\d\d:\d\d +owner +balance: 100 -> 70 +put balance to {account}", told)
    assert re.search(r"fee version 1: owner, .*accepted", told) and "+def fee(self):" in told
    blame = json.loads(one.cli("--json", "history", account).stdout)["changes"]
    assert [(each["slot"], each["before"], each["after"]) for each in blame][0] == ("balance", 100, 70)
    assert all(each["who"] == "owner" and each["tid"] and each["time"] for each in blame)


def test_the_conversation_takes_back_and_looks_back_too(client, account, capsys):
    then = client.call(Message(account, "put", ["balance", 70])).tid
    conversation = Conversation(client, lambda _: None)
    for words in (
        f"dry {account}.put('balance', 5)",
        f"{account}.balance = 60",
        f"at {then} {account}.balance",
        "undo",
        f"{account}.balance",
        "redo",
        f"{account}.balance",
        "log 2",
        f"history {account}",
    ):
        assert conversation.handle(words)
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[:4] == ["5", f"{account}.balance: 70 -> 5", "60", "70"] and told.err == ""
    assert lines[4].startswith(f"taken back: put balance to {account}") and lines[5] == "70"
    assert lines[6].startswith("done again") and lines[7] == "60"
    assert sum("balance: 70 -> 60" in each for each in lines) == 2  # the put, and its redo


def test_the_contract_as_data_tells_of_the_past(client):
    told = client.send("kernel", "describe")
    fields = {row["field"] for row in told["request"]}
    assert {"at", "dry"} <= fields and "changes" in told["reply"]


def test_the_doctor_explains_storage_schema_and_disk_and_reads_every_byte_when_asked(one, tmp_path):
    rows = json.loads(one.cli("--json", "doctor").stdout)
    found = {row["check"]: row["detail"] for row in rows}
    assert str(one.image) in found["storage"] and "digest" in found["storage"]
    assert "the one this batos writes" in found["schema"]
    assert any("blobs of the mind" in row["detail"] for row in rows if row["check"] == "disk use")
    assert "every user and program of this machine" in found["door"] and "scrub" not in found
    assert "there is none yet" in found["backup"] and "newer" not in found["shipped texts"]
    one.said("--json", "backup", tmp_path / "copies")
    told = line(one.cli("doctor").stdout, ["backup"])
    assert told.startswith("ok") and f"{tmp_path / 'copies'}, up to the transaction" in told
    scrubbed = json.loads(one.cli("--json", "doctor", "--scrub").stdout)
    assert re.search(r"^0 findings in \d+ transactions and \d+ blobs", scrubbed[-1]["detail"])


def test_the_doctor_remarks_on_an_old_backup_and_on_one_that_lacks_something(monkeypatch, tmp_path):
    told = {"directory": "/copies", "to_tid": "03fd", "damaged": 0, "missing": 0}
    told["time"] = time.time() - 86_400
    monkeypatch.setattr(doctor, "last_backup", lambda image: told)
    place = SimpleNamespace(shared=False)
    system = SimpleNamespace(settings=SimpleNamespace(image=tmp_path), image=SimpleNamespace(place=place))
    assert doctor.backups(system) == ("ok", "/copies, up to the transaction 03fd, 1.0 days ago")
    told["missing"] = 2
    state, detail = doctor.backups(system)
    assert state == "warn" and "2 blobs missing; again: python -m batos backup /copies" in detail
    told |= {"missing": 0, "time": time.time() - 30 * 86_400}
    assert doctor.backups(system)[0] == "warn"
    place.shared = True
    assert doctor.backups(system) == ("ok", "its server keeps them")


def test_a_check_that_breaks_is_a_finding_and_a_scrub_takes_true_or_false(monkeypatch):
    def lame(system):
        """Leg: whether it walks."""
        raise OSError("it hurts")

    monkeypatch.setattr(doctor, "CHECKS", [lame])
    (row,) = doctor.examine(None)
    assert row == {"check": "leg", "state": "fail", "detail": "the check itself broke: OSError: it hurts"}
    with pytest.raises(WrongArguments):
        doctor.examine(None, "yes")


def test_a_flipped_bit_is_found_asleep_and_the_way_back_is_named(awaken, tmp_path):
    one = awaken()
    with one.client() as client:
        client.send("lobby", "clone", called="account", secret="findme" * 10)
    one.stop()
    data = one.image / "live_image.fs"
    found = bytearray(data.read_bytes())
    found[found.index(b"findme")] ^= 1
    data.write_bytes(found)
    told = run_batos("--image", one.image, "doctor", "--scrub")
    assert told.returncode == 9 and "Traceback" not in told.stderr
    assert re.search(r"^fail  scrub .*live_image\.fs.*restore BACKUP", told.stdout, re.M)
    found[: len(found) // 2] = bytes(len(found) // 2)  # so much that no image opens any more
    data.write_bytes(found)
    gone = run_batos("--image", one.image, "doctor", "--scrub")
    assert gone.returncode == 9 and "findings in" in gone.stdout and "Traceback" not in gone.stderr


def test_a_backup_of_an_image_that_is_awake_comes_back_as_it_was_at_a_moment(awaken, tmp_path):
    one = awaken()
    copies = tmp_path / "copies"
    with one.client() as client:
        client.send("lobby", "clone", called="account", balance=100)
        then = client.call(Message("account", "put", ["balance", 70])).tid
        full = one.said("--json", "backup", copies)
        client.send("account", "put", "balance", 60)
        more = one.said("--json", "backup", copies)
    assert (full["kind"], more["kind"]) == ("full", "incremental") and more["bytes"] < full["bytes"]
    over = one.cli("restore", copies)
    assert over.returncode == 6 and one.endpoint in over.stderr and f"--image {one.image} stop" in over.stderr
    one.kill9()
    beside = one.cli("restore", copies)  # nothing is overwritten
    assert beside.returncode == 4 and "Traceback" not in beside.stderr
    for folder, flags, balance in (("last", (), 60), ("then", ("--to", then), 70)):
        image = tmp_path / folder
        told = run_batos("--image", image, "restore", copies, *flags)
        assert told.returncode == 0 and "transactions:" in told.stdout, told.stderr
        assert f"balance: {balance}\n" in run_batos("--image", image, "inspect", "account").stdout
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "README.md").write_text("Here lives the image.")  # as git brings it
    assert run_batos("--image", tmp_path / "checkout", "restore", copies).returncode == 0
    lost = run_batos("--image", tmp_path / "no", "restore", copies, "--to", "1999-01-01")
    assert lost.returncode == 2 and not (tmp_path / "no" / "live_image.fs").exists()


def test_the_world_is_written_as_text_and_an_equal_image_is_built_from_it(awaken, tmp_path):
    one = awaken()
    with one.client() as client:
        client.send("lobby", "clone", called="account", balance=100)
        client.send("account", "define", "def fee(self):\n    return self.balance // 10\n")
        before = one.said("--json", "export", tmp_path / "before")
        client.send("account", "put", "balance", 70)
        one.said("--json", "export", tmp_path / "after")
    lines = [
        set((tmp_path / name / "objects" / "account.json").read_text().splitlines())
        for name in ("before", "after")
    ]
    differing = lines[0] ^ lines[1]
    assert len(differing) == 2 and all("balance" in each for each in differing)
    other = tmp_path / "other"
    assert run_batos("--image", other, "import", tmp_path / "before").returncode == 0
    assert run_batos("--image", other, "--json", "export", tmp_path / "again").returncode == 0
    again = json.loads((tmp_path / "again" / "manifest.json").read_text())
    assert again == json.loads((tmp_path / "before" / "manifest.json").read_text()) and before["objects"] > 5
    full = run_batos("--image", other, "import", tmp_path / "before")
    assert full.returncode == 4 and "Traceback" not in full.stderr


def test_an_image_packs_awake_and_asleep_and_keeps_its_log(awaken):
    one = awaken()
    with one.client() as client:
        client.send("lobby", "clone", called="account", balance=0)
        for amount in range(1, 51):
            client.send("account", "put", "balance", amount)
    assert one.said("--json", "pack")["after_bytes"] > 0
    one.stop()
    told = run_batos("--image", one.image, "--json", "pack")
    assert told.returncode == 0 and json.loads(told.stdout)["before_bytes"] > 0
    log = json.loads(run_batos("--image", one.image, "--json", "log", "-n", "60").stdout)
    assert sum(row["why"] == "put balance to account" for row in log) == 50
