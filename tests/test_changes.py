"""Change records: who did what, taken back and done again, dry runs, and the image as it was."""

from __future__ import annotations

import threading
import time

import pytest
from scripted import ScriptedMind, plan, sender

from batos.app import System
from batos.config import Settings
from batos.image.changes import Changes, newest
from batos.image.history import changes
from batos.message import Message
from batos.objects.undo_log import unrecorded

DEFINED = '''def pay(self, n):
    """Pay n."""
    self.balance -= n
    self.bills.append(n)
    self.book["last"] = n
    self.payees.add(str(n))
    return self.balance
'''


@pytest.fixture
def mind():
    return ScriptedMind()


@pytest.fixture
def system(image_dir, mind):
    system = System(Settings(image=image_dir, heartbeat=False), mind)
    yield system
    system.close()


@pytest.fixture
def send(system):
    send = sender(system)
    send("lobby", "clone", called="account", balance=100, bills=[5], book={"last": 0}, payees=[])
    send("account", "put", "payees", [])
    system.image.run("a set", lambda root: setattr(root.account, "payees", {"x"}))
    assert send("account", "define", DEFINED).error is None
    return send


def state(system):
    """What the account is, as plain data, methods included."""
    return system.kernel.send(Message("account", "describe")).result


def slots(send):
    return send("account", "slots").result["own"]


def test_a_message_is_undone_whole_and_redone_whole(system, send):
    before = slots(send)
    assert send("account", "pay", 30, id="first").result == 70
    after = slots(send)
    assert after == {"balance": 70, "bills": [5, 30], "book": {"last": 30}, "payees": ["30", "x"]}
    told = send("kernel", "undo").result
    assert [each["message"] for each in told["taken"]] == ["first"] and told["tid"]
    assert slots(send) == before
    assert [each["message"] for each in send("kernel", "redo").result["taken"]] == ["first"]
    assert slots(send) == after
    send("kernel", "undo", "first")
    assert slots(send) == before


def test_undo_goes_further_back_each_time_and_redo_comes_forward_again(system, send):
    states = [slots(send)]
    for n in (1, 2, 3):
        send("account", "pay", n)
        states.append(slots(send))
    for expected in states[2::-1]:
        send("kernel", "undo")
        assert slots(send) == expected
    for expected in states[1:]:
        send("kernel", "redo")
        assert slots(send) == expected
    told = send("kernel", "redo")
    assert told.error.code == "not_understood"


def test_strangers_who_shared_a_commit_are_taken_back_apart(system, send):
    with system.image._lock:  # nobody is served meanwhile, so both share the next commit
        futures = [
            system.kernel.submit(Message("account", "pay", [30], id="ada", who="ada")),
            system.kernel.submit(Message("account", "put", ["owner", "Bob"], id="bob", who="bob")),
            system.kernel.submit(Message("account", "pay", ["x"], id="wrong")),
            system.kernel.submit(Message("lobby", "clone", [], {"called": "other", "balance": 1}, id="new")),
            system.kernel.submit(Message("other", "put", ["balance", 2], id="on the new one")),
        ]
        time.sleep(0.05)
    replies = [future.result() for future in futures]
    assert [each.error and each.error.code for each in replies] == [None, None, "method_error", None, None]
    assert len({each.tid for each in replies if each.tid}) == 1, "they were to share a commit"
    assert send("kernel", "undo", replies[0].tid).error.code == "conflict"
    assert slots(send)["bills"] == [5, 30], "the failed one left nothing behind"
    assert send("kernel", "undo", "ada").error is None
    assert slots(send)["balance"] == 100 and slots(send)["owner"] == "Bob" and slots(send)["bills"] == [5]
    assert send("kernel", "undo", "on the new one").error is None
    assert send("other", "balance").result == 1
    assert send("kernel", "undo", "new").error is None
    assert send("other", "balance").error.code == "no_such_object"


def test_what_changed_again_since_is_not_taken_back_and_the_error_says_so(system, send):
    send("account", "pay", 30, id="first")
    send("account", "put", "balance", 1, id="second")
    reply = send("kernel", "undo", "first")
    assert reply.error.code == "conflict" and "balance" in str(reply.error)
    assert slots(send)["bills"] == [5, 30], "nothing of it was taken back"
    assert send("kernel", "undo", "second").error is None
    assert send("kernel", "undo", "first").error is None
    assert slots(send)["balance"] == 100
    assert send("kernel", "undo", "first").error.code == "conflict"
    assert send("kernel", "undo", "nobody").error.code == "not_understood"


def test_methods_parents_names_and_identity_are_taken_back_too(system, send):
    send("lobby", "clone", called="other", colour="red")
    send("lobby", "clone", called="traits", rate=3)
    for selector, args in [
        ("define", [DEFINED.replace("-=", "+=")]),
        ("revert", ["pay", 1]),
        ("forget", ["pay"]),
        ("adopt", [{"$ref": "traits"}]),
        ("disown", [{"$ref": "traits_obj"}]),
        ("forget", ["bills"]),
        ("become", [{"$ref": "other"}]),
        ("clone", []),
    ]:
        before = state(system), slots(send)
        reply = send("account", selector, *args, id=f"the {selector}")
        assert reply.error is None, reply.error
        if selector == "clone":
            continue
        now = state(system), slots(send)
        assert send("kernel", "undo").error is None, selector
        assert (state(system), slots(send)) == before, selector
        assert send("kernel", "redo").error is None, selector
        assert (state(system), slots(send)) == now, selector
        if selector in ("disown", "become"):
            send("kernel", "undo")


def test_a_mission_is_undone_whole(system, send, mind):
    mind.enqueue(plan=plan("change"), method="self.§0 -= ¢0\nreturn self.§0")
    reply = send("account", "withdraw_balance", 30)
    assert reply.mission and reply.result == 70
    reply_again = send("kernel", "undo", reply.mission)
    assert reply_again.error is None
    assert send("account", "responds_to", "withdraw_balance").result is False
    assert slots(send)["balance"] == 70, "the message that was answered is a message of its own"
    assert len(send("account", "versions", "withdraw_balance").result) == 1, "its past stays"
    assert send("kernel", "redo").error is None
    assert send("account", "withdraw_balance", 1).result == 69


def test_a_dry_run_says_what_would_change_and_keeps_nothing(system, send):
    before, commits = slots(send), system.image.commits
    reply = send("account", "pay", 30, dry=True)
    assert reply.result == 70 and reply.tid is None
    account = {"oid": send("lobby", "get", "account").result["oid"], "path": "account"}
    assert sorted(reply.changes, key=lambda each: each["slot"]) == [
        {"object": account, "slot": "balance", "before": 100, "after": 70},
        {"object": account, "slot": "bills", "before": [5], "after": [5, 30]},
        {"object": account, "slot": "book", "before": {"last": 0}, "after": {"last": 30}},
        {"object": account, "slot": "payees", "before": ["x"], "after": ["30", "x"]},
    ]
    assert slots(send) == before and system.image.commits == commits
    assert send("account", "pay", "x", dry=True).error.code == "method_error"
    assert send("account", "never_heard", 1, dry=True).error.code == "not_understood"
    made = send("lobby", "clone", called="dream", dry=True)
    assert [each["slot"] for each in made.changes] == ["dream"]
    assert send("dream", "slots").error.code == "no_such_object"
    reply = send("account", "define", "def twice(self):\n    return self.balance * 2\n", dry=True)
    assert [(each["slot"], each["before"], each["after"]) for each in reply.changes] == [
        ("twice()", None, "version 1")
    ]
    assert send("account", "twice", miss="error").error.code == "not_understood"


def test_the_image_answers_as_it_was_and_the_past_cannot_be_changed(system, send):
    tids = [send("account", "pay", n).tid for n in (1, 2, 3)]
    assert [send("account", "balance", at=tid).result for tid in tids] == [99, 97, 94]
    assert send("account", "bills", at=tids[1]).result == [5, 1, 2]
    reply = send("account", "pay", 1, at=tids[0])
    assert reply.error.code == "read_only"
    assert send("account", "balance").result == 94
    assert send("account", "never_heard", at=tids[0]).error.code == "not_understood"
    for wrong in ("yesterday", "ffffffffffffff00", "1"):
        assert send("account", "balance", at=wrong).error.code == "bad_request", wrong
    send("account", "define", "def balance_twice(self):\n    return self.balance * 2\n")
    assert send("account", "balance_twice", at=tids[0]).error.code == "not_understood"


def test_the_log_is_a_list_of_thoughts(system, send, mind):
    mind.enqueue(plan=plan("change"), method="self.§0 -= ¢0\nreturn self.§0")
    send("account", "withdraw_balance", 30, who="ada")
    mind.enqueue(method="")
    failed = send("account", "frobnicate_balance", 30)
    assert failed.error.code == "mission_failed"
    time.sleep(0.2)  # the record of a mission is written after its answer
    send("kernel", "undo")
    told = send("kernel", "log").result
    assert [each["why"] for each in told][-4:] == [
        "learned withdraw_balance", "withdraw_balance to account",
        f"frobnicate_balance to account was not learned: {told[-2]['why'].partition(': ')[2]}",
        "undo of the last change",
    ]  # fmt: skip
    learned, taken, _, _ = told[-4:]
    assert learned["who"] == "BRICK" and learned["mission"] and learned["tid"] and not learned["undone"]
    assert taken["who"] == "ada" and taken["undone"] and taken["changes"] == 1
    assert len(send("kernel", "log", 2).result) == 2


def test_the_past_of_an_object_is_told_after_a_pack(system, send):
    for n in (1, 2):
        send("account", "pay", n, who="ada")
    system.image.run("replace", lambda root: setattr(root.account, "bills", []))
    system.image.run("grow", lambda root: root.account.bills.append(9))
    expected = changes(system.image, "account")
    assert [(each["slot"], each["before"], each["after"]) for each in expected[0]["changes"]] == [
        ("bills", [], [9])
    ]
    assert expected[1]["changes"] == [{"slot": "bills", "before": [5, 1, 2], "after": []}]
    assert {each["slot"]: (each["before"], each["after"]) for each in expected[2]["changes"]} == {
        "balance": (99, 97), "bills": ([5, 1], [5, 1, 2]), "book": ({"last": 1}, {"last": 2}),
        "payees": (["1", "x"], ["1", "2", "x"]),
    }  # fmt: skip
    assert expected[2]["who"] == "ada"
    system.image._db.pack(time.time() + 1)
    assert changes(system.image, "account") == expected


def test_a_group_writes_its_records_once_and_a_container_never_twice(system, send):
    system.image.run("much", lambda root: setattr(root.account, "bills", list(range(5000))))
    system.image.run("one more", lambda root: root.account.bills.append(7))

    def newest_entry(root):
        record = next(newest(root.connection.root()))
        size = len(root.connection._storage.load(record.commit._p_oid)[0])
        return [(kind, data) for _, kind, data in record.message["entries"]], size, type(record.commit)

    entries, size, kind = system.image.run("look", newest_entry)
    assert entries == [("list", (5000, (), (7,)))] and size < 500 and kind is Changes


def test_what_fails_unrecorded_is_taken_back_from_a_shared_commit_and_nothing_else(system, send):
    def fails(root):
        with unrecorded():
            root.account.balance = 7
            root.account.bills.append(7)
            raise ValueError("no")

    with system.image._lock:  # nobody is served meanwhile, so both share the next commit
        pays = system.kernel.submit(Message("account", "pay", [30]))
        failed = system.image.submit("fails", fails)
        time.sleep(0.05)
    assert pays.result().error is None
    with pytest.raises(ValueError, match="no"):
        failed.result()
    assert slots(send)["balance"] == 70 and slots(send)["bills"] == [5, 30]


def test_many_at_once_with_failures_among_them_come_out_as_if_alone(system, send):
    """Each client moves its own counter and now and then fails half-way; nobody sees another's half."""
    source = '''def step(self, n):
    """Change, then fail for some."""
    self.balance += 1
    self.bills.append(n)
    if n % 3 == 0:
        raise ValueError("no")
    return n
'''
    assert send("account", "define", source).error is None
    start, replies = send("account", "balance").result, []

    def client(base):
        for n in range(base, base + 60):
            replies.append((n, system.kernel.send(Message("account", "step", [n]))))

    threads = [threading.Thread(target=client, args=(base,)) for base in (0, 1000, 2000, 3000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = sorted(n for n, reply in replies if reply.error is None)
    assert done == sorted(n for n, _ in replies if n % 3) and len(replies) == 240
    assert send("account", "balance").result == start + len(done)
    assert sorted(send("account", "bills").result[1:]) == done
