"""The image: turns, group commit, missions' own transactions, the lock, damage, and the past."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from ZODB.blob import Blob

from batos.config import Settings
from batos.errors import AlreadyAwake, Busy, Damaged, Deadline, NoSuchObject, ReadOnly
from batos.image import DATA, LivingImage
from batos.image.history import changes
from batos.image.storage import BIRTH
from batos.objects import UvmObject, send
from batos.objects.fuel import tick
from batos.objects.genesis import genesis


def open_image(directory, **settings):
    return LivingImage.open(directory, Settings(**settings), judge=None, birth=genesis)


@pytest.fixture
def image(tmp_path):
    with open_image(tmp_path / "image") as image:
        with image.turn("make an account") as root:
            send(root["lobby"], "clone", (), {"called": "account", "balance": 100, "tags": []})
        yield image


def balance(image):
    return image.run("look", lambda root: root.account.balance)


def spend(n):
    def pay(root):
        root.account.balance -= n
        return root.account.balance

    return pay


def test_an_image_is_born_once_and_the_same_objects_come_back(tmp_path):
    with open_image(tmp_path / "image") as image:
        assert image.newborn
        with image.turn("make") as root:
            oid = send(root["lobby"], "clone", (), {"called": "account", "balance": 100})._p_oid
    with open_image(tmp_path / "image") as image:
        assert not image.newborn
        with image.turn("look") as root:
            assert (root.account._p_oid, root.account.balance) == (oid, 100)


def test_a_second_birth_changes_nothing(tmp_path):
    open_image(tmp_path / "image").close()
    size = (tmp_path / "image" / DATA).stat().st_size
    open_image(tmp_path / "image").close()
    assert (tmp_path / "image" / DATA).stat().st_size == size


@pytest.mark.parametrize("left", ["nothing", "an empty file", "a head"])
def test_a_birth_that_was_cut_short_is_completed(tmp_path, left):
    open_image(tmp_path / "whole").close()
    directory = tmp_path / "image"
    directory.mkdir()
    (directory / BIRTH).touch()
    if left != "nothing":
        head = (tmp_path / "whole" / DATA).read_bytes()[:4]
        (directory / DATA).write_bytes(head if left == "a head" else b"")
    with open_image(directory) as image:
        assert image.newborn and image.run("look", lambda root: repr(root["lobby"])) == "lobby"
    assert not (directory / BIRTH).exists()


def test_turns_that_wait_share_a_commit_and_one_that_fails_takes_back_only_its_own(image):
    held = threading.Event()
    blocker = image.submit("hold the thread", lambda root: held.wait(5))

    def fails(root):
        root.account.balance -= 1000
        root.account.tags.append("lost")
        raise ValueError("no")

    def tags(root):
        root.account.tags.append("kept")

    work = [spend(1), fails, tags, fails, spend(2)]
    before = image.commits
    futures = [image.submit("work", each) for each in work]
    held.set()
    blocker.result()
    outcomes = [future.exception() or future.result() for future in futures]
    assert [isinstance(each, ValueError) for each in outcomes] == [False, True, False, True, False]
    assert image.commits == before + 1 and outcomes[0].tid == outcomes[2].tid == outcomes[4].tid
    assert image.run("look", lambda root: (root.account.balance, list(root.account.tags))) == (97, ["kept"])


def test_a_read_commits_nothing_and_says_so(image):
    before = image.commits
    assert image.submit("look", lambda root: root.account.balance).result().tid is None
    assert image.commits == before


def test_a_turn_whose_time_is_up_before_it_begins_is_never_run(image):
    held = threading.Event()
    image.submit("hold the thread", lambda root: held.wait(5))
    late = image.submit("late", spend(1), deadline=time.monotonic() + 0.05)
    time.sleep(0.1)
    held.set()
    assert isinstance(late.exception(), Deadline)
    assert balance(image) == 100


def test_a_turn_that_runs_past_its_time_is_ended_and_rolled_back(image):
    def endless(root):
        root.account.balance = 0
        while True:
            tick()

    future = image.submit("endless", endless, deadline=time.monotonic() + 0.2)
    assert isinstance(future.exception(), Deadline)
    assert balance(image) == 100


def test_one_record_that_cannot_be_kept_does_not_take_its_neighbours_down(image):
    held = threading.Event()
    image.submit("hold the thread", lambda root: held.wait(5))

    def poison(root):
        root.account._p_changed = True
        root.account.__dict__["evil"] = threading.Lock()

    good, bad, other = (
        image.submit("good", spend(1)),
        image.submit("bad", poison),
        image.submit("other", spend(2)),
    )
    held.set()
    assert good.result().value == 99 and other.result().value == 97
    assert "nothing was changed" in str(bad.exception())
    assert balance(image) == 97


def test_a_full_disk_refuses_the_change_and_leaves_the_image_working(image, monkeypatch):
    import batos.image.image as module

    real = module.shutil.disk_usage
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: real(path)._replace(free=1000))
    with pytest.raises(ReadOnly, match="free"):
        image.run("pay", spend(1))
    assert balance(image) == 100
    monkeypatch.undo()
    assert image.run("pay", spend(1)) == 99


def test_a_disk_that_fills_up_while_writing_loses_nothing(image, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(image._connection._storage, "tpc_vote", full)
    with pytest.raises(ReadOnly, match="full"):
        image.run("pay", spend(1))
    monkeypatch.undo()
    assert balance(image) == 100
    assert image.run("pay", spend(1)) == 99


def test_more_turns_than_a_group_holds_are_all_answered(tmp_path):
    with open_image(tmp_path / "image", group_size=4) as image:
        with image.turn("make an account") as root:
            send(root["lobby"], "clone", (), {"called": "account", "balance": 100})
        with image._lock:
            futures = [image.submit("pay", spend(1)) for _ in range(11)]
        assert [future.result(5).value for future in futures] == list(range(99, 88, -1))
        assert image.commits <= 2 + 11 // 4 + 2


def test_a_mission_commits_on_its_own_and_is_replayed_on_what_changed_meanwhile(image):
    with image.mission_transaction() as root:
        account = root.resolve("account")
        account.learned = "something"
        assert image.run("pay", spend(1)) == 99  # a turn changes the same object meanwhile

        def again(fresh):
            fresh.account.learned = "something"

        tid = image.commit_mission(root, "learned", "BRICK", "m1", [], again).result().value
    assert image.run("look", lambda r: (r.account.balance, r.account.learned)) == (99, "something")
    told = changes(image, "account")
    assert told[0]["tid"] == tid and told[0]["who"] == "BRICK" and told[0]["mission"] == "m1"


@pytest.mark.parametrize(
    "change",
    [lambda r: setattr(r.account, "balance", 7), lambda r: r.account.tags.append("x"), lambda r: None],
)
def test_what_a_mission_read_and_a_turn_changed_meanwhile_is_thought_over(image, change):
    """The mission writes elsewhere than the turn: without a check of what it read, write skew would commit."""
    with image.turn("make another") as root:
        send(root["lobby"], "clone", (), {"called": "other", "total": 0})
    replayed = []
    with image.mission_transaction() as root:
        account, other = root.resolve("account"), root.resolve("other")
        other.total = account.balance + len(account.tags)
        image.run("meanwhile", change)

        def again(fresh):
            replayed.append(1)
            fresh.other.total = fresh.account.balance + len(fresh.account.tags)

        image.commit_mission(root, "add up", "BRICK", "m2", [account], again).result()
    expected = image.run("look", lambda r: r.account.balance + len(r.account.tags))
    assert image.run("look", lambda r: r.other.total) == expected
    assert len(replayed) == (expected != 100)


def test_a_mission_merges_with_turns_that_changed_what_it_did_not_read(image):
    with image.turn("make another") as root:
        send(root["lobby"], "clone", (), {"called": "other", "total": 0})
    for n in range(300):  # the tree of change records has many buckets by then
        image.run("count", lambda root, n=n: setattr(root.other, "total", n))
    with image.mission_transaction() as root:
        root.resolve("account").learned = "something"
        for n in range(5):
            image.run("meanwhile", lambda root, n=n: setattr(root.other, "total", n))

        def again(fresh):
            raise AssertionError("nothing it read has changed")

        image.commit_mission(root, "learned", "BRICK", "m3", [root.account], again).result()
    assert image.run("look", lambda r: (r.account.learned, r.other.total)) == ("something", 4)
    assert [each["mission"] for each in image.log(2)] == [None, "m3"]


def test_a_doomed_mission_leaves_the_image_byte_for_byte_as_it_was(image):
    size = (image.directory / DATA).stat().st_size
    with image.mission_transaction() as root:
        root.resolve("account").balance = 0
        root.connection.transaction_manager.get().doom()
    assert (image.directory / DATA).stat().st_size == size and balance(image) == 100


def test_the_past_of_an_object_says_what_who_and_why(image):
    image.submit("pay the rent", spend(30), who="ada").result()
    image.run("tag it", lambda root: root.account.tags.append("rent"))
    newest, before, *_ = changes(image, "account")
    assert newest["changes"] == [{"slot": "tags", "before": [], "after": ["rent"]}]
    assert before["changes"] == [{"slot": "balance", "before": 100, "after": 70}]
    assert before["who"] == "ada" and before["why"] == "pay the rent" and before["time"] <= time.time()


def test_a_blob_stands_beside_the_data_and_comes_back(image, tmp_path):
    source = tmp_path / "weights"
    source.write_bytes(os.urandom(3_000_000))

    def keep(root):
        root.account.weights = Blob(source.read_bytes())

    before = image.facts()["data_bytes"]
    image.run("keep", keep)
    assert image.facts()["data_bytes"] - before < 4096
    with image.turn("read") as root:
        assert isinstance(root.account.weights, Blob)
        assert Path(root.account.weights.committed()).read_bytes() == source.read_bytes()


def test_an_object_is_found_by_path_and_by_oid_and_a_wrong_name_is_told_with_what_is_near(image):
    with image.turn("nest") as root:
        root.account.till = UvmObject(root["genesis_obj"], coins=5)
    with image.turn("look") as root:
        assert root.resolve("account.till").coins == 5
        oid = f"0x{int.from_bytes(root.account._p_oid, 'big'):x}"
        assert root.by_oid(oid) is root.account and root.path_of(root.account) == "account"
        with pytest.raises(NoSuchObject) as caught:
            root.resolve("acount")
        assert caught.value.near == ["account"]
        for bad in ("nobody", "account.balance", "account._parents", ""):
            with pytest.raises(NoSuchObject):
                root.resolve(bad)
        for bad in ("0xffff", "what", "", "0x" + "f" * 40):
            with pytest.raises(NoSuchObject):
                root.by_oid(bad)


def test_an_object_that_was_put_out_of_memory_is_found_again_whole(image):
    with image.turn("nest") as root:
        send(root.account, "adopt", (UvmObject(root["genesis_obj"], colour="red"),))
    with image.turn("forget what is loaded") as root:
        account = root.account
        root.connection.cacheMinimize()
        assert account._p_changed is None, "a ghost"
        assert repr(account) == "account"
        root.connection.cacheMinimize()
        assert send(account, "colour") == "red"
        root.connection.cacheMinimize()
        account.tags.append("kept")
        root.connection.cacheMinimize()
        assert root.path_of(account) == "account" and account._clone_persistent_().balance == 100
    assert image.run("look", lambda root: list(root.account.tags)) == ["kept"]


def test_a_turn_that_would_wait_for_another_turn_is_told_so_at_once(image):
    with pytest.raises(RuntimeError, match="waited for another turn"):
        image.run("outer", lambda root: image.run("inner", lambda root: 1))
    assert balance(image) == 100


def test_a_closed_image_takes_no_more_turns(tmp_path):
    image = open_image(tmp_path / "image")
    image.close()
    with pytest.raises(Busy):
        image.run("late", lambda root: 1)


def test_a_second_process_is_told_that_the_image_is_held(tmp_path):
    with open_image(tmp_path / "image"), pytest.raises(AlreadyAwake):
        open_image(tmp_path / "image")


@pytest.mark.parametrize("ruin", ["empty", "garbage", "missing"])
def test_damage_is_told_as_damage_and_never_becomes_a_new_birth(tmp_path, ruin):
    open_image(tmp_path / "image").close()
    data = tmp_path / "image" / DATA
    if ruin == "empty":
        data.write_bytes(b"")
    elif ruin == "garbage":
        data.write_bytes(b"this is no image" * 100)
    else:
        data.rename(data.with_name(DATA + ".old"))
    with pytest.raises(Damaged):
        open_image(tmp_path / "image")
    if ruin == "missing":
        assert not data.exists()


CHILD = """
import sys
from batos.config import Settings
from batos.image import LivingImage
from batos.objects import send
from batos.objects.genesis import genesis

image = LivingImage.open(sys.argv[1], Settings(), None, genesis)
with image.turn("make") as root:
    if "account" not in root["lobby"]._slots:
        send(root["lobby"], "clone", (), {"called": "account", "balance": 0})

def pay(root):
    root.account.balance += 1
    return root.account.balance

while True:
    print(image.run("pay", pay), flush=True)
"""


def test_kill_9_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path):
    acknowledged = 0
    for pause in (0.05, 0.11, 0.2):
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(CHILD), str(tmp_path / "image")],
            stdout=subprocess.PIPE,
            text=True,
        )
        first = child.stdout.readline()
        time.sleep(pause)
        child.send_signal(signal.SIGKILL)
        lines = [first, *child.stdout.read().splitlines()]
        child.wait()
        assert int(first) > acknowledged
        acknowledged = int([line for line in lines if line.strip()][-1])
    with open_image(tmp_path / "image") as image:
        assert balance(image) >= acknowledged


def test_an_image_whose_storage_had_to_close_says_so_instead_of_going_on_half_alive(image):
    image.place.storage._give_up()  # what a commit does that can neither be finished nor taken back
    with pytest.raises(Busy, match="closed itself"):
        image.run("pay", spend(1))
    assert image.gone
    image.close()
    assert not image.gone
    with open_image(image.directory) as again:
        assert balance(again) == 100
