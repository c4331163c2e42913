"""The round trip: what cannot be loaded again never enters the image, whatever door it comes by."""

from __future__ import annotations

import decimal
import threading

import pytest
from persistent import Persistent
from scripted import ScriptedMind, sender

from batos import Image
from batos.app import System
from batos.config import Settings
from batos.errors import Refused
from batos.image import roundtrip
from batos.message import Message
from batos.objects import uvm_object
from scripts.proving import missions, slots


class Rude(Persistent):
    """An object of a program's own."""


class TwoWords(Exception):
    """A value that is written and cannot be read: it is made anew with one argument and wants two."""

    def __init__(self, one, two):
        super().__init__(one)


@pytest.fixture
def image(image_dir):
    with Image.open(image_dir) as image:
        yield image


@pytest.fixture
def system(image_dir):
    system = System(Settings(image=image_dir, heartbeat=False), ScriptedMind())
    yield system
    system.close()


@pytest.fixture
def send(system):
    send = sender(system)
    send("lobby", "clone", called="account", balance=100, rows=[1])
    return send


def test_an_object_of_another_program_that_would_not_load_ends_the_turn_and_nothing_is_lost(image):
    with image.turn("a good one") as root:
        root["rude"] = Rude()
    with pytest.raises(Refused) as told, image.turn("a bad one") as root:
        root["rude"].error = TwoWords("a", "b")
        root["lobby"].balance = 5
    assert told.value.rule == "unkeepable" and "could not be loaded again" in str(told.value)
    with image.turn("look") as root:
        assert not hasattr(root["rude"], "error") and "balance" not in root["lobby"]._slots
        assert not image.unreadable(root, 100_000)


def test_the_slot_that_holds_it_is_named(image):
    with pytest.raises(Refused) as told, image.turn("a bad one") as root:
        lobby = root["lobby"]
        lobby._p_activate()
        lobby.__dict__["odd"] = TwoWords("a", "b")  # past every rule, as a bug of ours would
        lobby._p_changed = True
    assert "'odd' of lobby" in str(told.value) and "nothing was changed" in str(told.value)
    with image.turn("look") as root:
        assert "odd" not in root["lobby"]._slots


def test_a_class_of_the_program_that_runs_is_refused_because_the_next_one_has_another(image, monkeypatch):
    import __main__

    kind = type("Passing", (Persistent,), {"__module__": "__main__"})
    monkeypatch.setattr(__main__, "Passing", kind, raising=False)
    with pytest.raises(Refused, match="belongs to the program that runs"), image.turn("x") as root:
        root["passing"] = kind()


def test_one_message_of_a_shared_commit_fails_alone(system, send, monkeypatch):
    def forgetful(value, slot="a container", jar=None):  # the door left open, as a bug of ours would
        return TwoWords("a", "b") if value == "bad" else value

    send("account", "define", "def keep_odd(self, value):\n    self.odd = value\n    return 1")
    monkeypatch.setattr(uvm_object, "keep", forgetful)
    monkeypatch.setattr(uvm_object, "PLAIN", frozenset())
    gate = threading.Event()
    system.image.submit("hold the thread", lambda root: gate.wait(5))
    told = [("put", ["balance", 1]), ("keep_odd", ["bad"]), ("put", ["rate", 2])]
    futures = [system.kernel.submit(Message("account", *each)) for each in told]
    gate.set()
    first, bad, last = (future.result(10) for future in futures)
    assert (bad.error.code, bad.error.rule) == ("refused", "unkeepable")
    assert "'odd' of account" in str(bad.error) and bad.error.hint
    assert (first.error, last.error) == (None, None)
    assert send("account", "slots").result["own"] == {"balance": 1, "rows": [1], "rate": 2}


def test_a_value_that_cannot_be_compared_disturbs_nobody(send):
    send("account", "define", "def set_x(self):\n    self.x = decimal.Decimal('sNaN')\n    return 1")
    send("account", "define", "def add_x(self):\n    self.rows.append(decimal.Decimal('sNaN'))\n    return 1")
    for _ in range(3):
        assert send("account", "set_x").error is None
        assert send("account", "add_x").error is None
    assert send("account", "balance").result == 100


def test_arguments_that_are_nested_without_measure_are_a_bad_request(send):
    value = 1
    for _ in range(5000):
        value = [value]
    assert send("account", "put", "x", value).error.code == "bad_request"


def test_a_records_bytes_are_read_as_they_will_be_stored():
    from ZODB.serialize import ObjectWriter

    data = ObjectWriter(None).serialize(decimal_holder())
    assert roundtrip.load(data) == {"amount": decimal.Decimal("1.5")}


def decimal_holder():
    made = Rude()
    made.amount = decimal.Decimal("1.5")
    made._p_oid, made._p_jar = None, None
    return made


def test_a_mission_that_breaks_as_it_begins_leaves_no_connection_with_a_view_of_the_past(image):
    def balance():
        with image.mission_transaction() as root:
            return root["lobby"]._slots.get("balance"), root.connection

    _, connection = balance()
    with image.turn("change") as root:
        root["lobby"].balance = 5

    def broken(poll=connection._storage.poll_invalidations):
        del connection._storage.poll_invalidations
        poll()
        raise MemoryError("in the middle of the beginning")

    connection._storage.poll_invalidations = broken
    with pytest.raises(MemoryError):
        balance()
    assert balance() == (5, connection), "the same connection, out of the pool"


def test_values_of_every_kind_by_every_door_leave_nothing_that_does_not_load():
    fuzz, rows = slots.prove(150, 11)
    assert not fuzz.faults, "\n".join(fuzz.faults[:5])
    assert fuzz.counts["kept"] > 30 and fuzz.counts["unkeepable"] > 5, rows


def test_missions_that_break_at_any_line_leave_nothing_half_done():
    proof = missions.prove(30, 3)
    assert not proof.faults, "\n".join(proof.faults[:5])
    assert proof.counts["injected"] > 20
