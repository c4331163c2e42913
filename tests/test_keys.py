"""Keys: who has one says who they are, sends what it was granted and nothing beside, and is told when it fails.

The image is real, its mind follows a script; the door asks for keys on the loopback interface as it would
off it.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
import time

import pytest
import zmq
from scripted import ScriptedMind

from batos import AsyncClient, Client
from batos.app import System
from batos.client import Key
from batos.config import Settings
from batos.errors import BadRequest, BatosError, Conflict, NoSuchFile, NoSuchObject, Refused
from batos.server import Server

MAY = ["account *", "shop.till coins", "kernel log"]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """An image awake behind a door that asks for keys; `(system, server, folder of key files)`."""
    here = tmp_path_factory.mktemp("house")
    settings = Settings(image=here / "image", endpoint="tcp://127.0.0.1:*", curve=True, heartbeat=False)
    system = System(settings, ScriptedMind())
    system.keys.provide()
    server = Server(system.kernel, settings, system.keys)
    server.start()
    yield system, server, here
    server.stop()
    system.close()


@pytest.fixture
def owner(house):
    """The owner's own client, over the wire, with objects to talk about."""
    _, server, here = house
    with Client(server.endpoint, key=here / "image" / "keys" / "owner") as client:
        for name in ("account", "other"):
            client.send("lobby", "clone", called=name, balance=100, items=[1, [2]], miss="error")
        till = client.send("lobby", "clone", coins=3)
        client.send("lobby", "clone", called="shop", till={"$oid": till["oid"]})
        yield client
        for name in ("account", "other", "shop"):
            client.send("lobby", "forget", name)
        for key in client.send("kernel", "keys"):
            client.send("kernel", "keys", remove=key["name"])


@pytest.fixture
def key(house, owner):
    """`key("ada", "account balance")`: a new key, granted that."""
    system, _, _ = house

    def make(name, *may):
        pair = Key.made(name, system.keys.server_public)
        system.keys.serve(add=name, public=pair.public, may=list(may))
        return pair

    return make


def told(error):
    """The code and rule of a refusal, and its words with what to do."""
    return error.value.code, error.value.rule, f"{error.value} {error.value.hint}"


def test_who_has_a_key_sends_what_it_was_granted_and_is_refused_the_rest_by_name(house, owner, key):
    with Client(house[1].endpoint, key=key("ada", *MAY)) as ada:
        assert ada.account.balance() == 100 and ada.shop.till.coins() == 3
        assert ada.account.put("balance", 90) == 90
        assert ada.kernel.ping() == "pong" and "who" in ada.kernel.log(1)[0]
        for to, selector, args in (
            ("other", "balance", ()), ("shop.till", "put", ("coins", 0)), ("kernel", "stats", ()),
            ("kernel", "keys", ()), ("lobby", "slots", ()), ("keys_obj.ada", "put", ("may", ["* *"])),
        ):  # fmt: skip
            with pytest.raises(Refused) as caught:
                ada.send(to, selector, *args)
            code, rule, words = told(caught)
            assert (code, rule) == ("refused", "key")
            assert "'ada'" in words and repr(selector) in words and to.split(".")[0] in words
    assert owner.shop.till.coins() == 3


def test_a_grant_means_the_object_by_whatever_path_or_oid_it_is_sent_to(house, owner, key):
    oids = {name: owner.send(name, "describe")["object"] for name in ("account", "other")}
    with Client(house[1].endpoint, key=key("ada", "shop.till *", "account balance")) as ada:
        assert ada.send({"oid": oids["account"]["oid"]}, "balance") == 100
        assert ada.send("lobby.account", "balance") == 100
        for to in ({"oid": oids["other"]["oid"]}, "lobby.other"):
            with pytest.raises(Refused, match="'balance' to other"):
                ada.send(to, "balance")
        owner.send("lobby", "forget", "account")
        owner.send("lobby", "clone", called="account", balance=1)
        with pytest.raises(Refused):  # the name means another object now, and the old one is granted no more
            ada.send({"oid": oids["account"]["oid"]}, "balance")
        assert ada.account.balance() == 1


def test_what_a_key_may_is_changed_by_a_message_of_the_owner_and_counts_at_once(house, owner, key):
    with Client(house[1].endpoint, key=key("ada")) as ada:
        with pytest.raises(Refused) as caught:
            ada.account.balance()
        assert "send keys_obj.ada put may '[\"account balance\"]'" in told(caught)[2]
        owner.send("keys_obj.ada", "put", "may", ["account balance"])
        assert ada.account.balance() == 100
        owner.send("keys_obj.ada", "put", "may", ["account", 5, "* * *", "nobody.here balance"])
        with pytest.raises(Refused):
            ada.account.balance()


def test_everything_means_every_object_but_not_the_kernel(house, owner, key):
    with Client(house[1].endpoint, key=key("ada", "* *")) as ada:
        assert ada.account.balance() == 100 and ada.other.balance() == 100
        for selector in ("stats", "undo", "keys", "pack"):
            with pytest.raises(Refused, match=f"{selector!r} to kernel"):
                ada.send("kernel", selector)


def test_no_key_changes_its_own_rights_or_anothers_by_any_road(house, owner, key):
    key("bob", "account balance")
    with Client(house[1].endpoint, key=key("ada", "* *")) as ada:
        ada.account.define("def grab(self, key):\n    return key.put('may', ['* *', 'kernel *'])\n")
        bob = {"$ref": "keys_obj.bob"}
        for attempt in (
            lambda: ada.send("keys_obj.bob", "put", "may", ["* *"]),
            lambda: ada.send("keys_obj.bob", "define", "def may(self):\n    return ['* *']\n"),
            lambda: ada.send("keys_obj", "forget", "bob"),
            lambda: ada.send("keys_obj", "put", "eve", {"$ref": "keys_obj.ada"}),
            lambda: ada.send("keys_obj.bob", "adopt", {"$ref": "account"}),
            lambda: ada.send("keys_obj.bob", "become", {"$ref": "account"}),
            lambda: ada.account.grab(bob),
            lambda: owner.account.grab(bob),  # the owner runs it, but it is ada's doing
            lambda: ada.send("permissions_obj", "permit", bob, define=["ada"]),
            lambda: ada.send("permissions_obj", "lift", bob),
            lambda: ada.send("mirrors_obj", "on_", bob, called="glass") and ada.glass.put("may", ["* *"]),
        ):
            with pytest.raises(Refused) as caught:
                attempt()
            assert caught.value.rule == "permission", caught.value
    assert owner.send("keys_obj.bob", "may") == ["account balance"]


def test_a_key_that_is_taken_back_is_refused_in_the_middle_of_its_session(house, owner, key):
    pair = key("ada", "account *")
    with Client(house[1].endpoint, key=pair) as ada:
        ada.account.put("balance", 5)
        owner.send("kernel", "keys", remove="ada")
        with pytest.raises(Refused, match="taken back") as caught:
            ada.account.put("balance", 6)
        assert caught.value.rule == "key" and owner.account.balance() == 5
    began = time.monotonic()
    with (
        pytest.raises(Refused, match="does not know the key 'ada'"),
        Client(house[1].endpoint, key=pair) as ada,
    ):
        ada.account.balance()
    assert time.monotonic() - began < 1.5
    with pytest.raises(NoSuchObject):
        owner.send("kernel", "keys", remove="ada")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_who_is_not_let_in_is_told_in_words_and_at_once(house, owner, key, asynchronous, tmp_path):
    system, server, _ = house
    plain = Server(system.kernel, Settings(endpoint="tcp://127.0.0.1:*"))
    plain.start()
    good = key("ada", "account *")
    stranger = Key.made("eve", system.keys.server_public)
    elsewhere = Key("ada", good.public, good.secret, Key.made("another").public)
    try:
        for endpoint, given, words in (
            (server.endpoint, stranger, "does not know the key 'eve'"),
            (server.endpoint, "", "speaks only with who has a key"),
            (plain.endpoint, good, "asks for no key"),
            (server.endpoint, elsewhere, "not the server key"),
        ):
            began = time.monotonic()
            with pytest.raises(Refused, match=words) as caught:
                if asynchronous:
                    asyncio.run(_ask(endpoint, given))
                else:
                    with Client(endpoint, key=given) as client:
                        client.account.balance()
            assert time.monotonic() - began < 4  # less than a timeout of any message
            assert caught.value.rule == "key" and caught.value.hint and caught.value.exit_code == 1
    finally:
        plain.stop()


async def _ask(endpoint, key):
    async with AsyncClient(endpoint, key=key) as client:
        return await client.account.balance()


def test_a_key_works_awaited_too_and_from_the_environment(house, owner, key, tmp_path, monkeypatch):
    pair = key("ada", "account *")
    assert asyncio.run(_ask(house[1].endpoint, pair)) == 100
    pair.write(tmp_path / "ada.key")
    monkeypatch.setenv("BATOS_KEY", str(tmp_path / "ada.key"))
    with Client(house[1].endpoint) as ada:
        assert ada.account.balance() == 100


def test_who_did_it_stands_in_the_records_the_log_the_history_and_with_the_method(house, owner, key):
    pair = key("ada", "account *")
    with Client(house[1].endpoint, key=pair) as ada:
        ada.account.put("balance", 7)
        ada.account.define("def fee(self):\n    return self.balance // 7\n")
    owner.account.put("balance", 8)
    log = owner.send("kernel", "log", 3)
    assert [each["who"] for each in log] == ["ada", "ada", "owner"]
    history = owner.send("kernel", "history", "account")
    assert [each["author"] for each in history["versions"]] == ["ada"]
    assert [each["who"] for each in history["changes"]] == ["ada", "ada", "owner"]
    assert owner.account.balance() == 8


def test_a_key_takes_back_what_came_by_it_and_nothing_that_others_did(house, owner, key):
    """`kernel undo` concerns the whole image; what a key may not send to an object, it does not undo there either."""
    pair = key("ada", "account *", "kernel undo", "kernel redo")
    owner.account.put("balance", 5)
    with Client(house[1].endpoint, key=pair) as ada:
        ada.account.put("motto", "mine")
        others, own = (each["message"] for each in owner.send("kernel", "log", 2))
        for attempt in (lambda: ada.kernel.undo(others), lambda: ada.kernel.undo(own) and ada.kernel.undo()):
            with pytest.raises(Refused, match="done by owner, and the key 'ada'") as caught:
                attempt()
            assert caught.value.rule == "key" and f"undo {others}" in caught.value.hint
            assert owner.account.balance() == 5
        ada.kernel.redo()
        assert owner.account.motto() == "mine"
        owner.send("kernel", "undo", others)
        with pytest.raises(Refused):
            ada.kernel.redo()
    assert owner.account.balance() == 100


def test_a_mission_knows_whose_message_it_was_for(house, owner, key):
    system = house[0]
    system.mind.enqueue(plan='{"can":false,"why":"it cannot"}')
    with Client(house[1].endpoint, key=key("ada", "account *")) as ada, pytest.raises(BatosError) as caught:
        ada.send("account", "translate_it", miss="mission")
    assert owner.send("kernel", "mission", caught.value.mission)["sender"] == "ada"


def test_keys_share_no_idempotency_key_with_others(house, owner, key):
    assert owner.send("account", "balance", idem="mine") == 100
    with Client(house[1].endpoint, key=key("ada", "account *")) as ada:
        with pytest.raises(Conflict):
            ada.send("account", "balance", idem="mine")
        assert ada.send("account", "balance", idem="hers") == 100
    with Client(house[1].endpoint, key=key("bob", "other *")) as bob, pytest.raises(Refused):
        bob.send("account", "balance", idem="hers")


def test_the_past_and_a_dry_run_are_granted_like_the_present(house, owner, key):
    tid = owner.send("kernel", "log", 1)[0]["tid"]
    with Client(house[1].endpoint, key=key("ada", "account balance")) as ada:
        assert ada.send("account", "balance", at=tid) == 100 and ada.dry("account", "balance").result == 100
        with pytest.raises(Refused):
            ada.send("other", "balance", at=tid)
        with pytest.raises(Refused):
            ada.dry("account", "put", "balance", 1)


def test_when_a_key_spoke_last_is_known_and_kept(house, owner, key):
    began = time.time()
    with Client(house[1].endpoint, key=key("ada", "account *")) as ada:
        assert house[0].keys.told()[0]["last_seen"] is None
        ada.account.balance()
    assert began < house[0].keys.told()[0]["last_seen"] < time.time()
    deadline = time.monotonic() + 5
    while owner.send("keys_obj.ada", "last_seen") is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert owner.send("keys_obj.ada", "last_seen") > began
    assert all(each["who"] != "batos" for each in owner.send("kernel", "log", 3)), "being there is no change"


def test_names_and_keys_that_cannot_be_are_refused(house, owner, key):
    add = house[0].keys.serve
    pair = key("ada", "account *")
    for name, public, error in (
        ("owner", None, BadRequest), ("Missions", None, BadRequest), ("BRICK", None, BadRequest),
        ("a b", None, BadRequest), ("_x", None, BadRequest), ("clone", None, Conflict), ("ada", None, Conflict),
        ("bob", pair.public, Conflict), ("bob", "short", BadRequest), ("bob", "é" * 40, BadRequest),
    ):  # fmt: skip
        with pytest.raises(error):
            add(add=name, public=public or Key.made("x").public)
    with pytest.raises(BadRequest, match="RECEIVER SELECTOR"):
        add(add="bob", public=Key.made("x").public, may=["account"])
    assert [each["name"] for each in add()] == ["ada"]


def test_a_key_file_is_written_once_and_read_only_where_nobody_else_can(tmp_path):
    file, pair = tmp_path / "ada.key", Key.made("ada", Key.made("server").public)
    pair.write(file)
    assert file.stat().st_mode & 0o777 == 0o600 and Key.read(file) == pair and pair.secret not in repr(pair)
    from zmq.auth import load_certificate

    assert load_certificate(file) == (pair.public.encode(), pair.secret.encode()), "as other tools read it"
    with pytest.raises(FileExistsError):
        pair.write(file)
    file.chmod(0o644)
    with pytest.raises(Refused, match="read by others") as caught:
        Client("tcp://127.0.0.1:1", key=file)
    assert f"chmod 600 {file}" in caught.value.hint
    with pytest.raises(NoSuchFile):
        Client("tcp://127.0.0.1:1", key=tmp_path / "none")
    file.chmod(0o600)
    file.write_text("hello")
    with pytest.raises(BadRequest, match="no key file"):
        Client("tcp://127.0.0.1:1", key=file)
    with pytest.raises(BadRequest, match="ada does not say") as caught:
        Client("tcp://127.0.0.1:1", key=Key.made("ada"))
    assert "keys --server" in caught.value.hint


def test_the_secrets_are_in_one_folder_and_in_no_image_journal_backup_or_export(house, owner, key, tmp_path):
    _, _, here = house
    folder = here / "image" / "keys"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "server": 0o600,
        "owner": 0o600,
    }
    key("ada", "account *")
    owner.send("kernel", "backup", str(tmp_path / "copies"))
    owner.send("kernel", "export", str(tmp_path / "world"))
    secrets = [Key.read(path).secret.encode() for path in folder.iterdir()]
    looked = 0
    for path in [*(here / "image").rglob("*"), *tmp_path.rglob("*")]:
        if path.is_file() and folder not in path.parents:
            data = path.read_bytes()
            assert not any(secret in data for secret in secrets), path
            looked += 1
    assert looked > 5


def _handshake(endpoint, pair):
    """What a client sends to get in, byte for byte, up to its first message."""
    listener = socket.create_server(("127.0.0.1", 0))
    heard = bytearray()

    def pass_on():
        inside, _ = listener.accept()
        outside = socket.create_connection(("127.0.0.1", int(endpoint.rpartition(":")[2])))

        def pump(source, target, keep):
            try:
                while data := source.recv(65_536):
                    if keep:
                        heard.extend(data)
                    target.sendall(data)
            except OSError:
                pass

        threading.Thread(target=pump, args=(outside, inside, False), daemon=True).start()
        pump(inside, outside, True)
        outside.close()
        inside.close()

    thread = threading.Thread(target=pass_on, daemon=True)
    thread.start()
    with Client(f"tcp://127.0.0.1:{listener.getsockname()[1]}", key=pair) as client:
        assert client.account.put("balance", 101) == 101
    thread.join(5)
    listener.close()
    return bytes(heard)


def test_a_thousand_bad_handshakes_disturb_nobody_and_are_counted(house, owner, key):
    system, server, _ = house
    pair, chance = key("ada", "account *"), random.Random(8)
    replay = _handshake(server.endpoint, pair)
    owner.account.put("balance", 100)
    null = b"\xff" + b"\0" * 8 + b"\x7f\x03\x01NULL" + b"\0" * 48
    before, port = server.stats()["handshakes_failed"], int(server.endpoint.rpartition(":")[2])
    commits, wrong, slow = system.image.commits, [], []
    done = threading.Event()

    def work():
        with Client(server.endpoint, key=pair) as ada:
            while not done.is_set():
                began = time.monotonic()
                if ada.account.balance() != 100:
                    wrong.append("another answer")
                slow.append(time.monotonic() - began)

    worker = threading.Thread(target=work)
    worker.start()
    open_ones = []
    for number in range(1000):
        raw = socket.create_connection(("127.0.0.1", port))
        kind = number % 4
        data = (chance.randbytes(200), null, replay[: chance.randrange(1, len(replay))], replay)[kind]
        raw.sendall(data)
        open_ones.append(raw)
        if len(open_ones) > 50:
            open_ones.pop(0).close()
    for raw in open_ones:
        raw.close()
    deadline = time.monotonic() + 10
    while server.stats()["handshakes_failed"] - before < 500 and time.monotonic() < deadline:
        time.sleep(0.05)
    done.set()
    worker.join(10)
    counted = server.stats()["handshakes_failed"] - before
    assert not wrong and len(slow) > 20 and max(slow) < 2.0
    # What hung up before it was answered may not have failed yet, and counts as gone.
    assert counted >= 500 and system.image.commits - commits <= 1, counted
    with Client(server.endpoint, key=pair) as ada:
        assert ada.account.balance() == 100
    # A replayed session opens no other: nobody has put what the recorded message puts.
    assert [each["who"] for each in owner.send("kernel", "log", 2)] == ["ada", "owner"]


def test_many_strangers_with_keys_of_their_own_are_refused_and_counted(house, owner):
    system, server, _ = house
    before = server.stats()["handshakes_failed"]
    context = zmq.Context()
    for _ in range(40):
        pair = Key.made("eve", system.keys.server_public)
        peer = context.socket(zmq.DEALER)
        peer.linger = 0
        peer.curve_publickey, peer.curve_secretkey = pair.public.encode(), pair.secret.encode()
        peer.curve_serverkey = pair.server.encode()
        peer.connect(server.endpoint)
        peer.send(json.dumps({"to": "account", "send": "put", "args": ["balance", 0]}).encode())
    deadline = time.monotonic() + 5
    while server.stats()["handshakes_failed"] - before < 40 and time.monotonic() < deadline:
        time.sleep(0.02)
    context.destroy(linger=0)
    assert server.stats()["handshakes_failed"] - before >= 40
    assert owner.account.balance() == 100


def test_a_door_off_this_machine_is_not_opened_without_keys(house, tmp_path):
    system, _, _ = house
    for settings in (
        Settings(image=tmp_path, endpoint="tcp://192.0.2.7:5555"), Settings(endpoint="tcp://0.0.0.0:5555"),
        Settings(endpoint="tcp://127.0.0.1:*", curve=True),
    ):  # fmt: skip
        with pytest.raises(BadRequest, match="key") as caught:
            Server(system.kernel, settings).start()
        assert "keys --server" in caught.value.hint


def test_the_verb_lets_somebody_in_and_takes_the_key_back(awaken, tmp_path):
    image = awaken()
    image.stop()
    # Asleep as well: the key is a thing of the image, its secret is not.
    file = tmp_path / "ada.key"
    added = image.said("keys", "--add", "ada", "--may", "account balance", "--out", file, "--json")
    assert file.stat().st_mode & 0o777 == 0o600 and added["file"] == str(file)
    secret = Key.read(file).secret
    assert secret not in json.dumps(added)
    image.environ |= {"BATOS_CURVE": "true"}
    image.start()
    image.said("send", "lobby", "clone", "-k", "called=account", "-k", "balance=5")  # by the owner's own key

    def ada(*words, key=file):
        from scripts.living import run_batos

        return run_batos("--endpoint", image.endpoint, "--key", key, *words)

    assert ada("send", "account", "balance").stdout == "5\n"
    refused = ada("send", "account", "put", "balance", 6)
    assert refused.returncode == 1 and "'put' to account" in refused.stderr and "'ada'" in refused.stderr
    made = image.said(
        "keys", "--make", "bob", "--server-key", added["server_key"], "--out", tmp_path / "bob", "--json"
    )
    image.said("keys", "--add", "bob", "--public", made["public"], "--may", "account *", "--json")
    assert ada("send", "account", "put", "balance", 7, key=tmp_path / "bob").stdout == "7\n"
    image.said("keys", "--remove", "bob", "--json")
    for code, words in (
        (4, ("--add", "ada", "--out", tmp_path / "x")), (4, ("--add", "bob", "--out", file)),
        (2, ("--may", "account *")), (3, ("--remove", "eve")),
    ):  # fmt: skip
        assert image.cli("keys", *words).returncode == code
    listed = image.said("keys", "--json")
    assert [(each["name"], each["may"]) for each in listed] == [("ada", ["account balance"])]
    assert listed[0]["last_seen"] > listed[0]["since"]
    image.said("keys", "--remove", "ada", "--json")
    refused = ada("send", "account", "balance")
    assert refused.returncode == 1 and "does not know the key 'ada'" in refused.stderr
    assert image.said("send", "kernel", "stats")["door"]["handshakes_failed"] >= 1
    without = image.cli("--endpoint", image.endpoint, "send", "account", "balance")
    assert without.returncode == 0, "who can read the image's folder is the owner"
