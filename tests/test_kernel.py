"""The kernel: what is answered at a glance, and idempotency keys over turns that share a commit."""

from __future__ import annotations

import threading
import time

import pytest
from scripted import ScriptedMind, sender

from batos.app import System
from batos.config import Settings
from batos.message import Message


@pytest.fixture
def system(image_dir):
    system = System(Settings(image=image_dir, heartbeat=False), ScriptedMind())
    yield system
    system.close()


@pytest.fixture
def send(system):
    send = sender(system)
    send("lobby", "clone", called="account", balance=100)
    return send


def turns(system, monkeypatch):
    """Every turn that goes through the image thread from now on."""
    taken = []
    submit = system.image.submit
    monkeypatch.setattr(
        system.image, "submit", lambda why, *args, **kw: taken.append(why) or submit(why, *args, **kw)
    )
    return taken


def test_what_is_known_to_read_is_answered_without_the_image_thread(system, send, monkeypatch):
    assert send("account", "balance").result == 100
    taken = turns(system, monkeypatch)
    assert [send("account", "balance").result for _ in range(3)] == [100] * 3
    assert taken == []
    assert send("account", "put", "balance", 5).tid
    assert send("account", "balance").result == 5


def test_a_reader_that_becomes_a_changer_still_changes_and_is_acknowledged(system, send):
    send("account", "define", "def total(self):\n    return self.balance\n")
    assert [send("account", "total").result for _ in range(2)] == [100, 100]
    send("account", "define", "def total(self):\n    self.balance += 1\n    return self.balance\n")
    replies = [send("account", "total") for _ in range(3)]
    assert [each.result for each in replies] == [101, 102, 103] and all(each.tid for each in replies)
    assert len({each.tid for each in replies}) == 3


def test_a_reader_that_grows_slow_leaves_the_door_free(system, send, monkeypatch):
    source = "def count_to(self, n):\n    k = 0\n    for i in range(n):\n        k += 1\n    return k\n"
    send("account", "define", source)
    assert [send("account", "count_to", 3).result for _ in range(2)] == [3, 3]
    began = time.monotonic()
    future = system.kernel.submit(Message("account", "count_to", [500_000]))
    assert time.monotonic() - began < 0.1, "submit does not wait for it"
    assert future.result().result == 500_000


def test_a_reading_never_overtakes_a_change_of_the_same_sender(system, send):
    send("account", "balance")
    for n in range(200):
        change = system.kernel.submit(Message("account", "put", ["balance", n]))
        read = system.kernel.submit(Message("account", "balance"))
        assert (change.result().result, read.result().result) == (n, n)


def test_an_error_and_a_miss_take_the_ordinary_road(system, send):
    send("account", "define", "def half(self, n):\n    return self.balance / n\n")
    assert [send("account", "half", 2).result for _ in range(2)] == [50.0, 50.0]
    assert send("account", "half", 0).error.code == "method_error"
    send("account", "forget", "half")
    assert send("account", "half", 2, miss="error").error.code == "not_understood"


def test_one_key_is_one_effect_however_many_send_it_at_once(system, send):
    source = "def step(self):\n    self.balance += 1\n    return self.balance\n"
    send("account", "define", source)
    replies = []
    threads = [
        threading.Thread(target=lambda: replies.append(send("account", "step", idem="once")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.result for each in replies} == {101} and sum(not each.replayed for each in replies) == 1
    assert send("account", "step", idem="once").replayed
    assert send("account", "balance", idem="once").error.code == "conflict"
    assert send("account", "balance").result == 101


def test_a_failed_message_under_a_key_may_be_sent_again(system, send):
    send("account", "define", "def pay(self, n):\n    self.balance -= n\n    return self.balance\n")
    assert send("account", "pay", "x", idem="k").error.code == "method_error"
    assert send("account", "pay", "x", idem="k").error.code == "method_error"
    assert send("account", "balance").result == 100


def test_a_selector_without_end_is_refused_before_anybody_thinks_about_it(system, send):
    calls = system.mind.calls
    error = send("account", "x" * 1_000_000).error
    assert error.code == "bad_request"
    assert len(str(error)) < 400
    assert system.mind.calls == calls
