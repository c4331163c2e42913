"""Queries: who sends, who implements, who refers to what, and why an object is kept."""

from __future__ import annotations

import threading
import time

import pytest

from batos.app import judge_in
from batos.config import Settings
from batos.errors import Busy, NoSuchObject, NotUnderstood
from batos.guardian.policy import compile_method
from batos.image import references as indexes
from batos.image.image import LivingImage
from batos.image.references import References, implementors, references, senders, why_kept
from batos.objects import send, use_compiler
from batos.objects.genesis import genesis
from batos.objects.queries import words_in


@pytest.fixture
def image(image_dir):
    before = use_compiler(compile_method)
    with LivingImage.open(image_dir, Settings(), judge=judge_in, birth=genesis) as opened:
        with opened.turn("a shop") as root:
            account = send(root["lobby"], "clone", (), {"called": "account", "balance": 100})
            source = "def deposit(self, n):\n    self.balance += n\n    return self.balance"
            send(account, "define", (source,))
            shop = send(root["lobby"], "clone", (), {"called": "shop", "till": account, "guests": []})
            send(shop, "define", ("def sell(self, n):\n    return self.till.deposit(n)",))
        yield opened
    use_compiler(before)


def told(rows, *names):
    return [tuple(each[name] for name in names) for each in rows]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def m(self):\n    return self.a", {"a"}),
        ("def m(self, x):\n    x.go(self.b.c())", {"go", "b", "c"}),
        ("def m(self):\n    self.a = 1", set()),
        ("def m(self):\n    self.a += 1", {"a"}),
        ("def m(self):\n    return [self.resend('m', 1), self.resend]", {"m"}),
        ("def m(self:", set()),
    ],
)
def test_the_words_of_a_method_are_what_it_sends_and_reads(source, words):
    assert words_in(source) == words


def test_senders_and_implementors_are_told_with_oid_path_and_selector(image):
    assert told(implementors(image, "deposit"), "path", "selector") == [("account", "deposit")]
    assert told(senders(image, "deposit"), "path", "selector") == [("shop", "sell")]
    assert told(senders(image, "balance"), "path", "selector") == [("account", "deposit")]
    assert told(implementors(image, "clone"), "path", "selector") == [("traits_obj", "clone")]
    assert senders(image, "frobnicate") == implementors(image, "frobnicate") == []
    with pytest.raises(NotUnderstood):
        senders(image, "no selector")


def test_answers_follow_every_commit_and_nothing_that_was_rolled_back(image):
    assert senders(image, "deposit")
    with image.turn("change") as root:
        account, shop = root.account, root.shop
        send(shop, "define", ("def sell(self, n):\n    return n",))
        send(account, "clone", (), {"called": "savings"})
        send(shop, "define", ("def gift(self):\n    return self.till.balance",))
    assert senders(image, "deposit") == []
    assert told(implementors(image, "deposit"), "path") == [("account",), ("savings",)], "a clone has it, too"
    assert told(senders(image, "balance"), "path", "selector") == [
        ("account", "deposit"), ("savings", "deposit"), ("shop", "gift"),
    ]  # fmt: skip
    with image.turn("revert and forget") as root:
        send(root.shop, "revert", ("sell", 1))
        send(root.savings, "forget", ("deposit",))
    assert told(senders(image, "deposit"), "path") == [("shop",)]
    assert told(implementors(image, "deposit"), "path") == [("account",)]
    with pytest.raises(RuntimeError), image.turn("in vain") as root:
        send(root.shop, "define", ("def other(self):\n    return self.till.deposit(1)",))
        raise RuntimeError
    assert told(senders(image, "deposit"), "path", "selector") == [("shop", "sell")]


def test_references_name_the_slot_also_through_containers(image):
    with image.turn("guests") as root:
        root.shop.guests.append({"who": [root.account]})
    rows = references(image, "account")
    assert told(rows, "path", "slot") == [("lobby", "account"), ("shop", "till"), ("shop", "guests")]
    with image.turn("look") as root:
        oid = f"0x{int.from_bytes(root.account._p_oid, 'big'):x}"
    assert references(image, oid) == rows
    with image.turn("no guests") as root:
        root.shop.guests.clear()
        root.shop.till = None
    assert told(references(image, "account"), "path") == [("lobby",)]
    with pytest.raises(NoSuchObject):
        references(image, "nobody")


def test_why_an_object_is_kept_is_the_shortest_way_from_the_root(image):
    with image.turn("nested") as root:
        inner = send(root["lobby"], "clone")
        root.shop.guests.append({"who": inner})
        oid = f"0x{int.from_bytes(inner._p_oid, 'big'):x}"
        loose = send(root["lobby"], "clone")
        loose_oid = f"0x{int.from_bytes(loose._p_oid, 'big'):x}"
    way = why_kept(image, oid)
    assert told(way, "kind", "slot") == [
        ("PersistentMapping", "lobby"), ("UvmObject", "shop"), ("UvmObject", "guests"), ("List", "[0]"),
        ("Dict", "['who']"), ("UvmObject", None),
    ]  # fmt: skip
    assert [each["path"] for each in way][1:3] == ["lobby", "shop"] and way[-1]["oid"] == oid
    assert why_kept(image, loose_oid) == []
    with image.turn("drop") as root:
        root.shop.guests.clear()
    records = why_kept(image, oid)
    assert "Changes" in [each["kind"] for each in records], "only the change record keeps it"


def test_the_index_is_built_anew_after_an_awakening_of_an_image_that_never_had_one(image_dir, image):
    image.close()
    with LivingImage.open(image_dir, Settings(), judge=judge_in, birth=genesis) as again:
        assert told(senders(again, "deposit"), "path", "selector") == [("shop", "sell")]


def test_a_question_that_comes_while_the_index_is_built_is_told_to_come_again(image, monkeypatch):
    monkeypatch.setattr(indexes, "PATIENCE", 0.0)
    build = References._build
    monkeypatch.setattr(References, "_build", lambda self: (time.sleep(0.3), build(self)))
    with pytest.raises(Busy, match="is being built") as caught:
        senders(image, "deposit")
    assert caught.value.retryable
    monkeypatch.setattr(indexes, "PATIENCE", 10.0)
    assert senders(image, "deposit")


def test_many_references_read_after_the_building_are_merged(image, monkeypatch):
    monkeypatch.setattr(indexes, "MERGED_AT", 20)
    assert references(image, "account")
    for number in range(8):
        with image.turn("more") as root:
            for _ in range(5):
                send(root["lobby"], "clone", (), {"called": f"c{number}_{_}", "pal": root.account})
        rows = references(image, "account")
        assert len([each for each in rows if each["slot"] == "pal"]) == 5 * (number + 1)
        assert len({each["oid"] for each in rows}) == len(rows)


def test_a_question_takes_no_turn(image):
    with image._lock:  # a turn is running on another thread
        answers = []
        asking = threading.Thread(target=lambda: answers.append(senders(image, "deposit")))
        asking.start()
        asking.join(10)
        assert answers and answers[0][0]["selector"] == "sell"
