"""Backups: what an image said is what the restored one says, and nothing damaged comes back as whole."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import shutil
import threading
import time
from pathlib import Path

import pytest
from ZODB.blob import Blob
from ZODB.serialize import referencesf

from batos.cli import main
from batos.config import Settings, load
from batos.errors import BadRequest, Conflict, Damaged, NoSuchFile, ReadOnly
from batos.image import DATA, LivingImage
from batos.image import backup as module
from batos.image.backup import MANIFEST, RESTORING, backup, last_backup, restore, tid_of, verify
from batos.image.export import export
from batos.objects import send
from batos.objects.genesis import genesis


def open_image(directory, **settings):
    return LivingImage.open(directory, Settings(**settings), judge=None, birth=genesis)


@pytest.fixture
def image(tmp_path):
    with open_image(tmp_path / "image") as image:
        with image.turn("make an account") as root:
            send(root["lobby"], "clone", (), {"called": "account", "balance": 0, "tags": []})
        yield image


def storage_of(image):
    return image._db.storage


def backed_up(image, directory, **options):
    return backup(storage_of(image), directory, **options)


def pay(image, n=1):
    def deposit(root):
        root.account.balance += n

    return image.submit("pay", deposit).result().tid


def give_blob(image, slot, content):
    def keep(root):
        blob = Blob()
        with blob.open("w") as file:
            file.write(content)
        setattr(root.account, slot, blob)

    return image.submit("keep a blob", keep).result().tid


def said_by(directory):
    """What an image of these stories says: everything in the account, blobs by content."""
    with open_image(directory) as image:
        return image.run("look", told)


def told(root):
    def plain(value):
        if isinstance(value, Blob):
            with value.open("r") as file:
                return file.read()
        return list(value) if hasattr(value, "append") else value

    return {name: plain(value) for name, value in root.account._slots.items() if not name.endswith("*")}


def pack(image):
    storage_of(image).pack(time.time() + 1, referencesf)


def test_a_backup_of_an_awake_image_comes_back_as_the_image_it_was(image, tmp_path):
    pay(image, 7)
    give_blob(image, "weights", b"w" * 3_000_000)
    (image.directory / "batos.toml").write_text("group_size = 17\n")
    (image.directory / "metacognition.jsonl").write_text('{"event_type": "X"}\n')
    done = backed_up(image, tmp_path / "backup")
    assert done["kind"] == "full" and done["blobs"] == 1 and done["blob_bytes"] == 3_000_000
    assert done["bytes"] == (image.directory / DATA).stat().st_size
    whole = verify(tmp_path / "backup")
    assert whole["to_tid"] == done["to_tid"] and whole["transactions"] == done["transactions"]
    back = restore(tmp_path / "backup", tmp_path / "again")
    assert back["transactions"] == done["transactions"] and back["to_tid"] == done["to_tid"]
    assert back["blobs"] == 1 and not back["missing"]
    expected = image.run("look", told)
    assert said_by(tmp_path / "again") == expected
    assert (tmp_path / "again" / "batos.toml").read_text() == "group_size = 17\n"
    assert (tmp_path / "again" / "metacognition.jsonl").read_text() == '{"event_type": "X"}\n'


def test_a_restored_image_is_where_it_was_restored_to_whatever_its_settings_said(image, tmp_path):
    (image.directory / "batos.toml").write_text('group_size = 17\nstorage = "file:///elsewhere"\n')
    backed_up(image, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "again")
    settings = load({"image": tmp_path / "again"}, {})
    assert settings.storage == "" and settings.group_size == 17
    assert "elsewhere" in (tmp_path / "again" / "batos.toml").read_text()


def test_an_image_knows_when_it_was_last_backed_up(image, tmp_path):
    assert last_backup(image.directory) is None
    backed_up(image, tmp_path / "backup")
    done = backed_up(image, tmp_path / "backup")
    assert last_backup(image.directory) == done and done["directory"] == str(tmp_path / "backup")


def test_what_is_damaged_in_the_image_is_named_and_copied_as_it_is(image, tmp_path):
    tid = give_blob(image, "weights", b"w" * 1000)
    pay(image, 5)
    with image.turn("where is it") as root:
        blob = Path(root.account.weights.committed())
    blob.chmod(0o600)
    blob.write_bytes(b"w" * 999 + b"?")
    (entry,) = [each for each in storage_of(image).positions() if each[0].hex() == tid]
    with open(image.directory / DATA, "r+b") as file:
        file.seek(entry[2] - 20)
        byte = file.read(1)
        file.seek(entry[2] - 20)
        file.write(bytes([byte[0] ^ 4]))
    assert backed_up(image, tmp_path / "backup")["damaged"] == 2
    (generation,) = json.loads((tmp_path / "backup" / MANIFEST).read_text())["generations"]
    (transaction_, blob_) = generation["segments"][0]["damaged"]
    assert transaction_ == f"transaction {tid}" and blob_.endswith(f"of {tid}")
    verify(tmp_path / "backup")


def test_a_backup_during_packs_and_commits_is_whole(image, tmp_path):
    """Blobs come and go, packs take what is gone; whatever a backup says it has, it has."""
    stop, failures = threading.Event(), []

    def churn():
        n = 0
        while not stop.is_set():
            n += 1
            try:
                content = b"%d" % n * 1000
                image.run("note", lambda root, c=content: root.connection.root().update(blob=Blob(c)))
                pay(image)
                if n % 5 == 0:
                    pack(image)
            except Exception as exc:  # noqa: BLE001 - told below
                failures.append(exc)
                return

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(12):
            with contextlib.suppress(Conflict):  # packed again and again under it: it says so
                assert backed_up(image, tmp_path / "backup")["missing"] == 0
    finally:
        stop.set()
        thread.join()
    assert not failures
    done = backed_up(image, tmp_path / "backup")
    assert verify(tmp_path / "backup")["to_tid"] == done["to_tid"]
    restore(tmp_path / "backup", tmp_path / "again")
    assert said_by(tmp_path / "again") == image.run("look", told)


def test_the_second_backup_takes_only_what_came_since(image, tmp_path):
    content = os.urandom(500_000)
    give_blob(image, "first", content)
    full = backed_up(image, tmp_path / "backup")
    before = (image.directory / DATA).stat().st_size
    pay(image)
    give_blob(image, "same", content)
    give_blob(image, "other", b"o" * 1000)
    done = backed_up(image, tmp_path / "backup")
    assert done["kind"] == "incremental" and done["generation"] == full["generation"]
    assert done["bytes"] == (image.directory / DATA).stat().st_size - before and done["transactions"] == 3
    assert done["blobs"] == 2 and done["blob_bytes"] == 1000, "equal bytes are kept once"
    again = backed_up(image, tmp_path / "backup")
    assert again["kind"] == "unchanged" and again["bytes"] == 0 and again["to_tid"] == done["to_tid"]
    restore(tmp_path / "backup", tmp_path / "again")
    assert said_by(tmp_path / "again") == image.run("look", told)


def test_an_image_comes_back_as_it_was_at_any_of_its_moments(image, tmp_path):
    said = {}
    for n in range(6):
        tid = give_blob(image, "picture", bytes([n]) * 1000) if n % 2 else pay(image, n)
        said[tid] = image.run("look", told)
        if n in (1, 3, 5):
            backed_up(image, tmp_path / "backup")
    for n, (tid, expected) in enumerate(said.items()):
        back = restore(tmp_path / "backup", tmp_path / f"again{n}", moment=tid)
        assert back["to_tid"] == tid
        assert said_by(tmp_path / f"again{n}") == expected
    with pytest.raises(BadRequest, match="does not reach back"):
        restore(tmp_path / "backup", tmp_path / "before", moment="2001-01-01T00:00:00")
    assert not (tmp_path / "before").exists()


def test_a_moment_is_a_time_too(image, tmp_path):
    pay(image, 1)
    time.sleep(0.05)
    moment = time.time()
    time.sleep(0.05)
    pay(image, 10)
    backed_up(image, tmp_path / "backup")
    assert restore(tmp_path / "backup", tmp_path / "a", moment=str(moment))["time"] < moment
    assert said_by(tmp_path / "a")["balance"] == 1
    restore(tmp_path / "backup", tmp_path / "b", moment="2100-01-01")
    assert said_by(tmp_path / "b")["balance"] == 11
    with pytest.raises(BadRequest, match="no moment"):
        restore(tmp_path / "backup", tmp_path / "c", moment="yesterday")
    assert tid_of("1970-01-01T00:01:00+00:00") == tid_of("60")


def test_messages_go_on_while_a_backup_runs_and_all_of_it_is_from_one_moment(image, tmp_path):
    """A writer moves money between two accounts; no backup ever sees the sum half moved."""
    with image.turn("another") as root:
        send(root["lobby"], "clone", (), {"called": "till", "balance": 1000})
    stop, moved = threading.Event(), []

    def move(root):
        root.account.balance += 1
        root.till.balance -= 1
        return root.account.balance

    def writer():
        while not stop.is_set():
            moved.append(image.run("move", move))

    thread = threading.Thread(target=writer)
    thread.start()
    try:
        seen = []
        for _ in range(8):
            before = moved[-1] if moved else 0
            done = backed_up(image, tmp_path / "backup")
            seen.append((before, done["to_tid"]))
    finally:
        stop.set()
        thread.join()
    assert len(moved) > 8 and verify(tmp_path / "backup")["to_tid"] == seen[-1][1]
    for n in (0, 4, 7):
        restore(tmp_path / "backup", tmp_path / f"again{n}", moment=seen[n][1])
        with open_image(tmp_path / f"again{n}") as back:
            account, till = back.run("look", lambda root: (root.account.balance, root.till.balance))
        assert account + till == 1000 and account >= seen[n][0]


def test_a_pack_begins_a_new_generation_and_the_old_one_still_knows_what_was_packed_away(image, tmp_path):
    tid = pay(image, 1)
    with image.turn("a blob nobody can undo") as root:
        root.connection.root()["old"] = Blob(b"old" * 1000)
    known = backed_up(image, tmp_path / "backup")["to_tid"]
    unseen = pay(image, 10)
    with image.turn("forget the blob") as root:
        del root.connection.root()["old"]
    pack(image)
    done = backed_up(image, tmp_path / "backup")
    assert done["kind"] == "full" and done["generation"] == "g0002"
    assert verify(tmp_path / "backup")["generations"] == 2
    assert restore(tmp_path / "backup", tmp_path / "then", moment=tid)["note"] is None
    assert said_by(tmp_path / "then")["balance"] == 1
    between = restore(tmp_path / "backup", tmp_path / "between", moment=unseen)
    assert between["to_tid"] == known and "nothing is known between" in between["note"]
    assert restore(tmp_path / "backup", tmp_path / "now")["note"] is None
    assert said_by(tmp_path / "now") == image.run("look", told)
    pay(image, 100)
    assert backed_up(image, tmp_path / "backup")["kind"] == "incremental"
    for n in range(2):
        pay(image, 1000)
        pack(image)
        assert backed_up(image, tmp_path / "backup")["kind"] == "full"
    assert sorted(each.name for each in (tmp_path / "backup" / "generations").iterdir()) == ["g0003", "g0004"]
    assert not list((tmp_path / "backup" / "blobs").glob("??/*")), "nobody names them any more"
    with pytest.raises(BadRequest, match="does not reach back"):
        restore(tmp_path / "backup", tmp_path / "too far", moment=tid)
    verify(tmp_path / "backup")


def test_another_image_in_the_same_folder_is_a_generation_of_its_own(image, tmp_path):
    pay(image, 5)
    backed_up(image, tmp_path / "backup")
    with open_image(tmp_path / "other") as other:
        with other.turn("make") as root:
            send(root["lobby"], "clone", (), {"called": "account", "balance": 99})
        assert backed_up(other, tmp_path / "backup")["kind"] == "full"
    restore(tmp_path / "backup", tmp_path / "again")
    assert said_by(tmp_path / "again")["balance"] == 99


def test_a_restored_image_lives_on_and_is_backed_up_in_turn(image, tmp_path):
    tid = pay(image, 1)
    pay(image, 10)
    backed_up(image, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "again", moment=tid)
    with open_image(tmp_path / "again") as again:
        pay(again, 100)
        assert backed_up(again, tmp_path / "backup")["kind"] == "full", "its past is another from there on"
    restore(tmp_path / "backup", tmp_path / "third")
    assert said_by(tmp_path / "third")["balance"] == 101


def test_any_flipped_bit_of_a_backup_is_found_by_verify_and_by_restore(image, tmp_path):
    give_blob(image, "weights", os.urandom(10_000))
    (image.directory / "batos.toml").write_text("group_size = 17\n")
    backed_up(image, tmp_path / "backup")
    pay(image)
    give_blob(image, "more", os.urandom(10_000))
    backed_up(image, tmp_path / "backup")
    luck = random.Random(3)
    files = [each for each in (tmp_path / "backup").rglob("*") if each.is_file() and each.name != "lock"]
    assert len(files) == 8  # the manifest, two segments with their lists, two blobs, the settings
    for n in range(80):
        file = files[n % len(files)]
        whole = file.read_bytes()
        at, bit = luck.randrange(len(whole)), 1 << luck.randrange(8)
        file.chmod(0o600)
        file.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        with pytest.raises(Damaged, match=file.name[:8]):
            verify(tmp_path / "backup")
        with pytest.raises(Damaged):
            restore(tmp_path / "backup", tmp_path / "again")
        assert not (tmp_path / "again" / DATA).exists()
        file.write_bytes(whole)
    verify(tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "again")
    assert said_by(tmp_path / "again") == image.run("look", told)


def test_a_person_has_a_backup_read_through_and_is_told_which_file_is_damaged(image, tmp_path, capfd):
    copies = tmp_path / "copies"
    backed_up(image, copies)
    assert main(["backup", str(copies), "--verify", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["generations"] == 1
    file = next(each for each in copies.rglob("*") if each.is_file() and each.stat().st_size > 1000)
    file.chmod(0o600)
    file.write_bytes(b"?" + file.read_bytes()[1:])
    assert main(["backup", str(copies), "--verify"]) == 9
    told = capfd.readouterr()
    assert told.out == "" and file.name[:8] in told.err and "next: make another: python -m batos backup" in told.err
    assert main(["backup", str(tmp_path / "nowhere"), "--verify"]) == 3


def test_what_came_before_a_damaged_segment_is_still_brought_back(image, tmp_path):
    tid = pay(image, 1)
    backed_up(image, tmp_path / "backup")
    pay(image, 10)
    backed_up(image, tmp_path / "backup")
    (segment,) = (tmp_path / "backup").rglob("00002.fs")
    segment.write_bytes(segment.read_bytes()[:-1] + b"?")
    with pytest.raises(Damaged) as caught:
        restore(tmp_path / "backup", tmp_path / "again")
    assert f"--to {tid}" in caught.value.hint
    restore(tmp_path / "backup", tmp_path / "again", moment=tid)
    assert said_by(tmp_path / "again")["balance"] == 1


def dying_at(step: int, work) -> bool:
    """Run `work` in a child that dies at its `step`-th touch of a file; did it get to the end?"""
    child = os.fork()
    if child == 0:
        count = 0

        def counted(function):
            def call(*args, **kw):
                nonlocal count
                count += 1
                if count == step:
                    os._exit(9)
                return function(*args, **kw)

            return call

        for name in ("fsync", "replace", "unlink", "mkdir", "rmdir", "pread"):
            setattr(module.os, name, counted(getattr(os, name)))
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 9)
    return code == 0


@pytest.mark.parametrize("kind", ["incremental", "full"])
def test_a_backup_killed_at_any_step_leaves_the_one_before(image, tmp_path, kind):
    give_blob(image, "weights", b"w" * 1000)
    (image.directory / "metacognition.jsonl").write_text('{"event_type": "X"}\n')
    backed_up(image, tmp_path / "first")
    before = image.run("look", told)
    pay(image, 10)
    give_blob(image, "other", b"o" * 1000)
    (image.directory / "metacognition.jsonl").write_text('{"event_type": "X"}\n{"event_type": "Y"}\n')
    if kind == "full":
        pack(image)
    after = image.run("look", told)
    step, ends = 0, set()
    while True:
        step += 1
        place = tmp_path / "place"
        shutil.copytree(tmp_path / "first", place)
        whole = dying_at(step, lambda: backed_up(image, tmp_path / "place", keep=0))
        verify(place)
        restore(place, tmp_path / "again")
        said = said_by(tmp_path / "again")
        assert said in (before, after)
        ends.add(said == after)
        shutil.rmtree(tmp_path / "again")
        done = backed_up(image, place, keep=0)  # and the next one goes on as if nothing had been
        verify(place)
        assert done["to_tid"] == storage_of(image).lastTransaction().hex()
        assert not list(place.rglob("*.part"))
        names = {each.name for each in (place / "generations").iterdir()}
        assert names == ({"g0002"} if kind == "full" else {"g0001"})
        shutil.rmtree(place)
        if whole:
            break
    assert step > 20 and ends == {True, False}


def test_a_restore_killed_at_any_step_leaves_no_half_image_and_the_next_one_ends_it(image, tmp_path):
    give_blob(image, "weights", b"w" * 1000)
    (image.directory / "metacognition.jsonl").write_text('{"event_type": "X"}\n')
    backed_up(image, tmp_path / "backup")
    expected = image.run("look", told)
    step = 0
    while True:
        step += 1
        place = tmp_path / "place"
        whole = dying_at(step, lambda: restore(tmp_path / "backup", tmp_path / "place"))
        if not (place / DATA).exists():
            restore(tmp_path / "backup", place)
        assert said_by(place) == expected
        shutil.rmtree(place)
        if whole:
            break
    assert step > 20


def test_a_restore_overwrites_nothing(image, tmp_path):
    backed_up(image, tmp_path / "backup")
    before = (image.directory / DATA).read_bytes()
    for place in (image.directory, tmp_path / "mine"):
        place.mkdir(exist_ok=True)
        (place / "letter").write_text("dear")
        with pytest.raises(Conflict, match="not empty") as caught:
            restore(tmp_path / "backup", place)
        assert "--image" in caught.value.hint
    assert (image.directory / DATA).read_bytes() == before
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["letter"]
    (tmp_path / "empty").mkdir()
    restore(tmp_path / "backup", tmp_path / "empty")
    assert not (tmp_path / "empty" / RESTORING).exists()


def test_a_folder_that_is_no_backup_is_left_as_it_is(image, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("dear")
    with pytest.raises(BadRequest, match="letter"):
        backed_up(image, tmp_path / "mine")
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["letter"]
    with pytest.raises(BadRequest, match="inside the image"):
        backed_up(image, image.directory / "backup")
    with pytest.raises(BadRequest, match="no backup"):
        restore(tmp_path / "mine", tmp_path / "again")
    with pytest.raises(NoSuchFile):
        verify(tmp_path / "nowhere")


def test_a_disk_without_room_is_told_before_anything_is_written(image, tmp_path, monkeypatch):
    give_blob(image, "weights", b"w" * 1000)
    backed_up(image, tmp_path / "backup")
    pay(image)
    manifest = (tmp_path / "backup" / MANIFEST).read_bytes()
    real = shutil.disk_usage
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: real(path)._replace(free=100))
    with pytest.raises(ReadOnly, match="free"):
        backed_up(image, tmp_path / "backup")
    with pytest.raises(ReadOnly, match="free"):
        restore(tmp_path / "backup", tmp_path / "again")
    monkeypatch.undo()
    assert (tmp_path / "backup" / MANIFEST).read_bytes() == manifest
    restore(tmp_path / "backup", tmp_path / "again")
    assert backed_up(image, tmp_path / "backup")["kind"] == "incremental"


@pytest.mark.parametrize("kind", ["first", "incremental"])
def test_a_disk_that_fills_up_at_any_step_leaves_the_backup_before_and_nothing_else(
    image, tmp_path, monkeypatch, kind
):
    give_blob(image, "weights", b"w" * 1000)
    if kind == "incremental":
        backed_up(image, tmp_path / "backup")
        give_blob(image, "other", b"o" * 1000)
    manifest, steps = tmp_path / "backup" / MANIFEST, 0
    while True:
        steps += 1
        left = steps

        def full(descriptor, real=os.fsync):
            nonlocal left
            left -= 1
            if not left:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(descriptor)

        monkeypatch.setattr(module.os, "fsync", full)
        try:
            backed_up(image, tmp_path / "backup")
            break
        except ReadOnly as exc:
            assert "full" in str(exc)
        finally:
            monkeypatch.undo()
        if manifest.exists():
            verify(tmp_path / "backup")
        # A whole blob may lie in the pool already, by the name of what it holds: the next backup takes it.
        there = {each.name for each in (tmp_path / "backup" / "generations").rglob("*") if each.is_file()}
        assert all(f'"{each}"' in manifest.read_text() for each in there)
        assert not list((tmp_path / "backup").rglob("*.part"))
    assert steps > 8
    verify(tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "again")
    assert said_by(tmp_path / "again") == image.run("look", told)


def test_a_restore_that_fails_leaves_the_folder_as_empty_as_it_was(image, tmp_path):
    give_blob(image, "weights", b"w" * 1000)
    backed_up(image, tmp_path / "backup")
    (pooled,) = (tmp_path / "backup" / "blobs").glob("??/*")
    pooled.write_bytes(b"?" * 1000)
    with pytest.raises(Damaged, match=pooled.name):
        restore(tmp_path / "backup", tmp_path / "again")
    assert list((tmp_path / "again").iterdir()) == []


def test_two_backups_do_not_write_into_one_folder(image, tmp_path):
    with module._locked(tmp_path / "backup"), pytest.raises(Conflict, match="another backup"):
        backed_up(image, tmp_path / "backup")
    assert backed_up(image, tmp_path / "backup")["kind"] == "full"


def test_a_blob_the_image_has_lost_is_named_and_the_rest_is_kept(image, tmp_path):
    give_blob(image, "weights", b"w" * 1000)
    pay(image, 3)
    with image.turn("where is it") as root:
        path = Path(root.account.weights.committed())
    path.unlink()
    assert backed_up(image, tmp_path / "backup")["missing"] == 1
    assert restore(tmp_path / "backup", tmp_path / "again")["missing"] == 1
    with open_image(tmp_path / "again") as back:
        assert back.run("look", lambda root: root.account.balance) == 3


def test_a_backup_of_an_undone_blob_has_the_bytes_the_undo_brought_back(image, tmp_path):
    """ZODB's own undo writes a record that only points back; the blob it stands for is a file of its own."""
    import transaction

    give_blob(image, "weights", b"one" * 100)
    with image.turn("change it") as root, root.account.weights.open("w") as file:
        file.write(b"two" * 100)
    change = next(each for each in image._db.undoLog(0, 5) if "change it" in str(each["description"]))
    image._db.undo(change["id"])
    transaction.commit()
    done = backed_up(image, tmp_path / "backup")
    assert done["blobs"] == 3
    restore(tmp_path / "backup", tmp_path / "again")
    assert said_by(tmp_path / "again")["weights"] == b"one" * 100


def test_the_manifest_says_in_plain_words_what_is_there(image, tmp_path):
    done = backed_up(image, tmp_path / "backup")
    told_ = json.loads((tmp_path / "backup" / MANIFEST).read_text())
    assert told_["format"] == "batos backup 1"
    (generation,) = told_["generations"]
    (segment,) = generation["segments"]
    assert segment["to_tid"] == done["to_tid"] and segment["start"] == 0 and segment["end"] == done["bytes"]
    listed = tmp_path / "backup" / "generations" / generation["name"] / segment["list"]
    assert json.loads(listed.read_text()) == []


def test_an_image_comes_back_into_a_folder_that_only_says_what_it_is_for(image, tmp_path):
    backed_up(image, tmp_path / "backup")
    folder = tmp_path / "image of a checkout"
    folder.mkdir()
    (folder / "README.md").write_text("here lives the image")
    (folder / ".gitignore").write_text("*")
    restore(tmp_path / "backup", folder)
    assert said_by(folder) == image.run("look", told)
    assert (folder / "README.md").read_text() == "here lives the image"


def test_an_export_is_no_backup_and_says_what_to_do_with_it(image, tmp_path):
    export(image, tmp_path / "world")
    with pytest.raises(BadRequest, match="export") as caught:
        restore(tmp_path / "world", tmp_path / "again")
    assert "import" in caught.value.hint
