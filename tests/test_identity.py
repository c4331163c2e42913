"""Who speaks: the owner over a file that is theirs alone or the loopback interface, and what is told of that."""

from __future__ import annotations

import os

import pytest
from fake_image import image  # noqa: F401 - fixtures
from scripted import ScriptedMind, sender

from batos import Client, doctor
from batos.app import System
from batos.config import Settings
from batos.errors import BadRequest
from batos.keys import kind_of, wants_keys
from batos.message import OWNER
from batos.server import Server


@pytest.fixture
def system(tmp_path):
    system = System(Settings(image=tmp_path / "image", heartbeat=False), ScriptedMind())
    yield system
    system.close()


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701, 0o777 | 0o1000])
def test_a_file_in_a_folder_that_others_may_enter_is_not_served_and_the_fix_is_named(image, tmp_path, mode):  # noqa: F811
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    endpoint = f"ipc://{folder}/door"
    with pytest.raises(BadRequest, match=f"others may enter the folder {folder}") as caught:
        Server(image, Settings(endpoint=endpoint)).start()
    assert caught.value.hint == f"chmod 700 {folder}" and not list(folder.iterdir())
    folder.chmod(0o700)
    server = Server(image, Settings(endpoint=endpoint))
    server.start()
    try:
        with Client(endpoint) as client:
            assert client.account.owner() == "Ada"
        assert image.heard[-1].who == OWNER and image.heard[-1].key is None
    finally:
        server.stop()


def test_a_folder_that_is_missing_or_somebody_elses_and_a_name_without_a_folder_are_refused(
    image,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    with pytest.raises(BadRequest) as caught:
        Server(image, Settings(endpoint=f"ipc://{tmp_path}/none/door")).start()
    assert caught.value.hint == f"mkdir -p -m 700 {tmp_path}/none"
    with pytest.raises(BadRequest, match="endpoint"):
        Server(image, Settings(endpoint="ipc://@batos"))
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    with pytest.raises(BadRequest, match="belongs to another user"):
        Server(image, Settings(endpoint=f"ipc://{tmp_path}/door")).start()


@pytest.mark.parametrize(
    ("endpoint", "kind"),
    [("ipc:///a/b", "file"), ("tcp://127.0.0.1:5555", "loopback"), ("tcp://localhost:*", "loopback"),
     ("tcp://[::1]:5555", "loopback"), ("tcp://127.9.9.9:1", "loopback"), ("tcp://0.0.0.0:5555", "network"),
     ("tcp://*:5555", "network"), ("tcp://[::]:5555", "network"), ("tcp://10.0.0.7:5555", "network"),
     ("tcp://example.org:5555", "network"), ("tcp://localhost.example.org:5555", "network"),
     ("tcp://127.0.0.1.example.org:5555", "network"), ("tcp://[::ffff:10.0.0.7]:5555", "network")],
)  # fmt: skip
def test_what_an_endpoint_asks_for_is_known_before_it_is_bound(endpoint, kind):
    assert kind_of(endpoint) == kind
    assert wants_keys(Settings(endpoint=endpoint)) is (kind == "network")
    assert wants_keys(Settings(endpoint=endpoint, curve=True)) is (kind != "file")


def test_nobody_says_who_they_are_in_a_message(image):  # noqa: F811
    server = Server(image, Settings(endpoint="tcp://127.0.0.1:*"))
    server.start()
    try:
        import zmq

        for claim in ({"who": "batos"}, {"key": "ada"}):
            peer = zmq.Context.instance().socket(zmq.REQ)
            peer.linger, peer.rcvtimeo = 0, 3000
            peer.connect(server.endpoint)
            peer.send_json({"to": "account", "send": "balance", **claim})
            assert peer.recv_json()["error"]["code"] == "bad_request"
            peer.close()
        assert not image.heard
    finally:
        server.stop()


def test_what_the_owner_does_is_theirs_in_every_record_however_it_came(system):
    send = sender(system)
    send("lobby", "clone", called="account", balance=1)
    send("account", "define", "def fee(self):\n    return 1\n")
    assert {each["who"] for each in send("kernel", "log", 2).result} == {OWNER}
    assert send("account", "versions", "fee").result[0]["author"] == OWNER


def test_a_method_that_defines_another_is_named_with_its_author_whoever_sends(system):
    send = sender(system)
    system.kernel.admit = lambda *_: None
    send("lobby", "clone", called="account", balance=1)
    teach = "def teach(self, text):\n    return self.define(text)\n"
    if send("account", "define", teach, who="ada", key="ada").error is not None:
        pytest.skip("the guardian lets no method define another")
    told = send("account", "teach", "def fee(self):\n    return 1\n")
    assert told.error is None, told.error
    assert send("account", "versions", "fee").result[0]["author"] == "ada"


def rows(system):
    told = {}
    for row in doctor.examine(system):
        told.setdefault(row["check"], []).append((row["state"], row["detail"]))
    return told


def test_doctor_says_who_may_speak_and_who_else_is_on_the_machine(system, monkeypatch):
    monkeypatch.setattr(doctor, "strangers", lambda: set())
    told = rows(system)
    assert told["door"][0][0] == "ok" and "whoever speaks is the owner" in told["door"][0][1]
    assert told["keys"] == [("ok", "none: only the owner speaks")]
    monkeypatch.setattr(doctor, "strangers", lambda: {1001, 1002})
    told = rows(system)
    assert told["door"][0][0] == "warn" and "2 other users can log in" in told["door"][0][1]
    assert "ipc://" in told["door"][0][1] and "curve = true" in told["door"][0][1]
    system.settings.image.chmod(0o755)
    assert rows(system)["folder"][0] == (
        "warn", f"{system.settings.image} has mode 755, others may look in: chmod 700 {system.settings.image}"
    )  # fmt: skip
    system.settings.image.chmod(0o700)
    assert rows(system)["folder"][0][0] == "ok"


def test_doctor_names_every_key_what_it_may_and_a_secret_that_others_can_read(system):
    from batos.client import Key

    system.keys.serve(add="ada", public=Key.made("ada").public, may=["account balance"])
    system.keys.serve(add="bob", public=Key.made("bob").public, may=["* *"])
    told = rows(system)
    assert told["keys"][0] == ("ok", "ada: may account balance; spoke last never")
    assert told["keys"][1][0] == "warn" and "* *" in told["keys"][1][1]
    secret = system.settings.image / "keys" / "owner"
    secret.chmod(0o640)
    assert ("fail", f"{secret} has mode 640, and whoever reads it is the owner: chmod go= {secret}") in rows(
        system
    )["folder"]


def test_the_strangers_on_a_machine_are_the_others_who_can_log_in():
    assert os.geteuid() not in doctor.strangers() and all(1000 <= uid < 65_000 for uid in doctor.strangers())
