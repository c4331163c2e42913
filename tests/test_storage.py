"""The storage: what was acknowledged is there, damage is told, a full disk is a failed commit and no more."""

from __future__ import annotations

import errno
import logging
import os
import random
import shutil
import threading
import time
from pathlib import Path

import pytest
import transaction
from persistent.mapping import PersistentMapping
from ZODB import DB
from ZODB.blob import Blob
from ZODB.FileStorage import FileStorage
from ZODB.FileStorage.FileStorage import FileIterator

import batos.image.storage as storage_module
from batos.errors import AlreadyAwake, Damaged
from batos.image.digests import BLOBS, DATA, FIRST, INDEX, SIDECAR, digest_file, scrub
from batos.image.storage import end_birth, open_storage


class Shop:
    """An open image of raw persistent objects, and a ledger of what was acknowledged."""

    def __init__(self, directory: Path, **more):
        self.directory = directory
        self.storage = open_storage(directory, **more)
        self.db = DB(self.storage)
        self.manager = transaction.TransactionManager(explicit=False)
        self.connection = self.db.open(self.manager)
        self.root = self.connection.root()

    def put(self, name, value=None, blob: bytes | None = None, note: str = "") -> None:
        """One commit: an object by that name, with a blob beside it if asked for."""
        self.root[name] = PersistentMapping({"value": value})
        if blob is not None:
            self.root[f"{name} blob"] = made = Blob()
            with made.open("w") as file:
                file.write(blob)
        self.manager.get().note(note or f"put {name}")
        self.manager.commit()

    def get(self, name):
        return self.root[name]["value"]

    def blob(self, name) -> bytes:
        with self.root[f"{name} blob"].open("r") as file:
            return file.read()

    def close(self) -> None:
        self.manager.abort()
        self.db.close()

    def kill(self) -> None:
        """What `kill -9` leaves behind: nothing more is written, the lock is gone."""
        self.storage._join_saving()
        self.storage._let_go()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "image"


@pytest.fixture
def shop(directory: Path):
    shop = Shop(directory)
    yield shop
    if not shop.storage._file.closed:
        shop.close()


def fill(shop: Shop, count: int = 12) -> None:
    for number in range(count):
        shop.put(f"thing {number}", number, blob=os.urandom(300) if number % 4 == 0 else None)


def files_of(directory: Path) -> list[Path]:
    """Every file whose bytes matter."""
    blobs = [each for each in (directory / BLOBS).rglob("*") if each.is_file()]
    return [directory / f"{DATA}{end}" for end in ("", SIDECAR, INDEX)] + sorted(blobs)


def looks_of(directory: Path) -> dict[Path, tuple[int, bytes]]:
    """When each file was written last, and what is in it."""
    there = [each for each in files_of(directory) if each.exists()]
    return {each: (each.stat().st_mtime_ns, each.read_bytes()) for each in there}


def synced_by(monkeypatch) -> list[str]:
    """The paths that are synced from now on, in order."""
    synced, real = [], os.fsync

    def fsync(descriptor):
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return synced


def missed_flips(directory: Path, count: int, seed: int) -> list[str]:
    """Flip `count` random bits, one at a time, in the files of a sleeping image: those no scrub finds."""
    chance, missed = random.Random(seed), []
    files = files_of(directory)
    weights = [each.stat().st_size for each in files]
    for number in range(count):
        # Every other flip in a file chosen evenly, so that small files are met as often as large ones.
        path = chance.choice(files) if number % 2 else chance.choices(files, weights)[0]
        at, bit = chance.randrange(path.stat().st_size), 1 << chance.randrange(8)
        flip(path, at, bit)
        if not list(scrub(directory)):
            missed.append(f"{path.name} byte {at} bit {bit}")
        flip(path, at, bit)
    return missed


def flip(path: Path, at: int, bit: int = 1) -> None:
    mode = path.stat().st_mode
    path.chmod(0o644)
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ bit]))
    path.chmod(mode)


# -- scrub -----------------------------------------------------------------------------------------


def test_an_untouched_image_has_no_finding_awake_or_asleep(shop):
    fill(shop)
    awake = scrub(shop.storage)
    assert list(awake) == []
    shop.close()
    asleep = scrub(shop.directory)
    assert list(asleep) == [] and not asleep.notes
    assert awake.transactions == asleep.transactions == 13 and awake.blobs == asleep.blobs == 3
    assert asleep.bytes >= sum(each.stat().st_size for each in files_of(shop.directory))


def test_every_flipped_bit_in_any_file_is_found(shop):
    fill(shop)
    shop.storage.pack(time.time(), shop.db.references)
    fill(shop)
    shop.close()
    assert missed_flips(shop.directory, 200, seed=7) == []
    assert list(scrub(shop.directory)) == []


def test_every_bit_of_the_last_transaction_and_of_the_magic_counts(shop):
    fill(shop, 1)
    shop.close()
    path = shop.directory / DATA
    before = path.read_bytes()
    start = FIRST + int.from_bytes(before[FIRST + 8 : FIRST + 16]) + 8
    for at in [*range(FIRST), *range(start, len(before))]:
        flip(path, at)
        assert list(scrub(shop.directory)), f"byte {at}"
        flip(path, at)


def test_a_finding_names_the_object_and_the_next_command(shop):
    shop.put("till", "unmistakable")
    oid = shop.root["till"]._p_oid
    path = shop.directory / DATA
    flip(path, path.read_bytes().index(b"unmistakable"))
    (found,) = scrub(shop.storage)
    assert found.kind == "data" and f"0x{int.from_bytes(oid):x}" in str(found)
    assert shop.storage.lastTransaction().hex() in str(found) and "restore" in found.hint


def test_a_damaged_blob_is_told_with_its_object(shop):
    shop.put("song", blob=b"la la la")
    oid = shop.root["song blob"]._p_oid
    (path,) = (shop.directory / BLOBS).rglob("*.blob")
    flip(path, 3)
    (found,) = scrub(shop.storage)
    assert found.kind == "blob" and f"0x{int.from_bytes(oid):x}" in found.where
    path.unlink()
    (found,) = scrub(shop.storage)
    assert "missing" in found.what


def test_commits_and_packs_while_scrubbing_give_no_false_alarm(shop):
    fill(shop)
    stop, failures = threading.Event(), []

    def write():
        manager = transaction.TransactionManager()
        connection = shop.db.open(manager)
        number = 0
        while not stop.is_set():
            number += 1
            connection.root()["busy"] = PersistentMapping({"n": number})
            if number % 5 == 0:
                connection.root()["busy blob"] = made = Blob()
                with made.open("w") as file:
                    file.write(b"x" * number)
            manager.commit()
            if number % 40 == 0:
                shop.storage.pack(time.time(), shop.db.references)
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    until = time.monotonic() + 2
    while time.monotonic() < until:
        failures += list(scrub(shop.storage))
    stop.set()
    writer.join()
    assert failures == []


# -- seals, and what others see of them ------------------------------------------------------------


def test_the_extension_of_a_transaction_comes_back_as_it_was_given(shop):
    shop.manager.get().setExtendedInfo("mission", "m1")
    shop.put("thing", 1)
    shop.put("other", 2)
    seen = [each.extension for each in shop.storage.iterator()]
    assert seen[1:] == [{"mission": "m1"}, {}]
    assert shop.storage.history(shop.root._p_oid)[0]["description"] == b"put other"
    assert [each.extension_bytes for each in shop.storage.iterator()][2] == b""


def test_plain_zodb_reads_what_we_wrote(shop):
    fill(shop)
    shop.close()
    plain = FileStorage(str(shop.directory / DATA), blob_dir=str(shop.directory / BLOBS))
    db = DB(plain)
    assert db.open().root()["thing 3"]["value"] == 3
    assert len(list(FileIterator(str(shop.directory / DATA)))) == 13
    db.close()


def test_what_plain_zodb_wrote_is_kept_and_gets_digests(shop):
    fill(shop)
    shop.close()
    plain = DB(FileStorage(str(shop.directory / DATA), blob_dir=str(shop.directory / BLOBS)))
    with plain.transaction() as connection:
        connection.root()["stranger"] = 1
    plain.close()
    again = Shop(shop.directory)
    assert again.root["stranger"] == 1 and again.storage.damage == []
    assert len(list(again.storage.digests.transactions())) == 14
    again.close()
    assert missed_flips(shop.directory, 40, seed=3) == []


def test_an_image_without_digests_gets_them_when_it_is_opened(directory):
    directory.mkdir()
    plain = DB(FileStorage(str(directory / DATA), blob_dir=str(directory / BLOBS)))
    with plain.transaction() as connection:
        connection.root()["old"] = 1
        connection.root()["blob"] = made = Blob()
        with made.open("w") as file:
            file.write(b"older than digests")
    plain.close()
    Shop(directory).close()
    run = scrub(directory)
    assert list(run) == [] and (run.transactions, run.blobs) == (2, 1)
    assert missed_flips(directory, 60, seed=5) == []


# -- openings --------------------------------------------------------------------------------------


def test_a_killed_image_opens_from_its_checkpoint_and_reads_only_the_rest(shop, monkeypatch):
    monkeypatch.setattr(storage_module, "CHECKPOINT_BYTES", 20_000)
    for number in range(30):
        shop.put(f"thing {number}", "x" * 2000)
    shop.kill()
    covered = shop.storage._checkpointed
    assert shop.storage._pos - covered < 40_000 < covered
    again = Shop(shop.directory)
    assert again.storage._used_index and again.storage._checkpointed >= covered
    assert [again.get(f"thing {number}") for number in range(30)] == ["x" * 2000] * 30
    assert list(scrub(again.storage)) == [] and again.storage.damage == []
    again.close()


@pytest.mark.parametrize("harm", ["flipped", "cut short", "of another generation", "stale"])
def test_a_damaged_or_stale_index_is_never_believed(shop, harm):
    fill(shop)
    index = shop.directory / f"{DATA}{INDEX}"
    shop.storage.checkpoint()
    stale = index.read_bytes()
    shop.put("later", 1)
    if harm in ("of another generation", "stale"):
        shop.put("later", 2)
        if harm == "of another generation":
            shop.storage.pack(time.time(), shop.db.references)
    shop.close()
    if harm == "flipped":
        flip(index, index.stat().st_size // 2)
    elif harm == "cut short":
        index.write_bytes(index.read_bytes()[:-30])
    else:
        index.write_bytes(stale)
    again = Shop(shop.directory)
    assert bool(again.storage._used_index) == (harm == "stale")  # a stale one is a checkpoint like any other
    assert again.get("later") == (1 if harm in ("flipped", "cut short") else 2) and again.get("thing 3") == 3
    again.close()
    assert list(scrub(shop.directory)) == []


def test_a_commit_that_was_being_written_is_cut_off_at_the_next_opening(shop):
    fill(shop, 3)
    shop.root["torn"] = PersistentMapping({"value": "never acknowledged"})
    told = shop.storage._finish
    shop.storage._finish = lambda *args: None  # the process ends between vote and finish
    shop.manager.commit()
    shop.storage._finish = told
    shop.kill()
    again = Shop(shop.directory)
    assert "torn" not in again.root and again.get("thing 2") == 2
    assert again.storage.damage == [] and list(scrub(again.storage)) == []
    again.close()


@pytest.mark.parametrize("lost", ["a page in the middle", "the end", "everything but the header"])
@pytest.mark.parametrize("sidecar", ["kept its entry", "lost its entry"])
def test_a_commit_torn_by_a_power_cut_is_cut_off_and_kept_beside(shop, lost, sidecar):
    fill(shop, 3)
    before = shop.storage.end_position()
    entries = shop.storage.digests.count
    shop.put("torn", os.urandom(20_000))
    end = shop.storage.end_position()
    shop.kill()
    (shop.directory / f"{DATA}{INDEX}").unlink(missing_ok=True)
    with open(shop.directory / DATA, "r+b") as file:
        if lost == "the end":
            file.truncate(end - 4096)
        else:
            page = lost == "a page in the middle"
            start, stop = (before + 8192, before + 12288) if page else (before + 100, end)
            file.seek(start)
            file.write(bytes(stop - start))
    if sidecar == "lost its entry":
        os.truncate(shop.directory / f"{DATA}{SIDECAR}", 48 * (entries + 1))
    again = Shop(shop.directory)
    assert "torn" not in again.root and again.get("thing 2") == 2
    assert again.storage.end_position() == before and (shop.directory / f"{DATA}.tr0").exists()
    assert any("kept in" in each for each in again.storage.damage)
    again.put("next", 1)
    again.close()
    assert list(scrub(shop.directory)) == []


@pytest.mark.parametrize("sidecar", ["there", "lost"])
def test_damage_in_the_middle_is_told_and_does_not_cut_what_follows(shop, sidecar):
    shop.put("till", "unmistakable")
    shop.put("after", 1)
    shop.kill()
    if sidecar == "lost":
        (shop.directory / f"{DATA}{SIDECAR}").unlink()
    path = shop.directory / DATA
    flip(path, path.read_bytes().index(b"unmistakable"))
    again = Shop(shop.directory)
    assert again.get("after") == 1 and any("not what was written" in each for each in again.storage.damage)
    again.close()


def test_a_data_file_that_lost_acknowledged_transactions_is_damaged(shop):
    fill(shop)
    ends = [end for _, _, end in shop.storage.positions()]
    shop.close()
    os.truncate(shop.directory / DATA, ends[-2])
    with pytest.raises(Damaged, match="acknowledged"):
        open_storage(shop.directory)
    (shop.directory / f"{DATA}{INDEX}").unlink()
    os.truncate(shop.directory / DATA, ends[-4])
    with pytest.raises(Damaged, match="acknowledged"):
        open_storage(shop.directory)
    assert list(scrub(shop.directory))


@pytest.mark.parametrize("left", [SIDECAR, INDEX, ".pack", ".digests.pack", ".old"])
def test_no_image_is_born_where_any_file_says_that_one_has_been(directory, left):
    directory.mkdir()
    (directory / f"{DATA}{left}").write_bytes(b"something")
    with pytest.raises(Damaged, match=f"{DATA}{left}"):
        open_storage(directory)
    assert not (directory / DATA).exists()


def test_a_length_that_was_flipped_never_cuts_off_the_rest_of_the_image(shop):
    fill(shop)
    _, start, _ = list(shop.storage.positions())[4]
    shop.close()
    (shop.directory / f"{DATA}{INDEX}").unlink()
    size = (shop.directory / DATA).stat().st_size
    flip(shop.directory / DATA, start + 9)  # the transaction seems to be longer than the file
    with pytest.raises(Damaged):
        open_storage(shop.directory)
    assert (shop.directory / DATA).stat().st_size == size


def test_damage_to_the_last_transaction_of_an_image_that_slept_is_damage_not_a_torn_commit(shop):
    fill(shop)
    *_, (_, start, end) = shop.storage.positions()
    shop.close()
    size = (shop.directory / DATA).stat().st_size
    for at in (start + 9, start + 16, end - 3):  # the length, the status, the length at its end
        flip(shop.directory / DATA, at, 0x80)
        with pytest.raises(Damaged):
            open_storage(shop.directory)
        assert (shop.directory / DATA).stat().st_size == size
        flip(shop.directory / DATA, at, 0x80)
    Shop(shop.directory).close()


def test_damaged_digests_are_written_anew_from_the_data(shop):
    fill(shop)
    shop.close()
    flip(shop.directory / f"{DATA}{SIDECAR}", 3)
    again = Shop(shop.directory)
    assert any("digests" in each for each in again.storage.damage) and again.get("thing 3") == 3
    again.close()
    run = scrub(shop.directory)
    assert list(run) == [] and run.blobs == 3


def test_a_second_opening_is_told_and_a_failed_one_lets_the_lock_go(shop):
    fill(shop)
    with pytest.raises(AlreadyAwake):
        open_storage(shop.directory)
    shop.close()
    path = shop.directory / DATA
    flip(path, 1)
    with pytest.raises(Damaged):
        open_storage(shop.directory)
    flip(path, 1)
    Shop(shop.directory).close()


def test_reading_only_changes_no_file(shop):
    fill(shop)
    shop.kill()
    before = looks_of(shop.directory)
    storage = open_storage(shop.directory, read_only=True)
    db = DB(storage)
    assert db.open().root()["thing 3"]["value"] == 3
    db.close()
    assert looks_of(shop.directory) == before


@pytest.mark.parametrize("left", ["", "b5shy", None])
def test_a_marker_of_the_blob_folder_that_a_power_cut_took_is_written_again(shop, left):
    shop.put("song", blob=b"la")
    shop.close()
    marker = shop.directory / BLOBS / ".layout"
    marker.unlink() if left is None else marker.write_text(left)
    again = Shop(shop.directory)
    assert again.blob("song") == b"la" and marker.read_text() == "bushy"
    again.close()


def test_a_restore_that_was_cut_short_is_no_place_to_be_born(directory):
    directory.mkdir()
    (directory / "restoring").touch()
    with pytest.raises(Damaged, match="cut short"):
        open_storage(directory)
    assert not (directory / DATA).exists()


def test_an_image_opens_on_a_full_disk(shop, monkeypatch):
    fill(shop)
    shop.kill()
    (shop.directory / f"{DATA}{INDEX}").unlink(missing_ok=True)
    os.truncate(shop.directory / f"{DATA}{SIDECAR}", 48 * 5)
    with open(shop.directory / DATA, "ab") as file:
        file.write(b"torn" * 100)
    full = Full(monkeypatch, 0)
    monkeypatch.setattr(os, "fsync", full._fsync)
    again = open_storage(shop.directory)
    assert full.met and DB(again).open().root()["thing 3"]["value"] == 3
    again.close()
    full.more()
    Shop(shop.directory).close()
    assert list(scrub(shop.directory)) == []


def test_a_fresh_image_is_durable_with_every_folder_that_was_made_for_it(tmp_path, monkeypatch):
    synced = synced_by(monkeypatch)
    far = tmp_path / "far"
    open_storage(far / "away").close()
    end_birth(far / "away")
    image = far / "away"
    wanted = [tmp_path, far, image, image / DATA, image / BLOBS, image / BLOBS / ".layout"]
    assert {str(each) for each in wanted} <= set(synced)


# -- what a commit syncs ---------------------------------------------------------------------------


def test_a_blob_and_its_folders_are_synced_before_the_commit_that_names_them(shop, monkeypatch):
    shop.put("first", 1)
    synced = synced_by(monkeypatch)
    shop.put("song", blob=b"la")
    (blob,) = (shop.directory / BLOBS).rglob("*.blob")
    data = str(shop.directory / DATA)
    folders = [str(each) for each in blob.parents if each.is_relative_to(shop.directory / BLOBS)]
    assert synced.index(str(blob)) < synced.index(data)
    assert all(synced.index(each) < synced.index(data) for each in folders)


def test_undo_of_a_blob_syncs_and_digests_the_copy(shop):
    shop.put("song", blob=b"la")
    with shop.root["song blob"].open("w") as file:
        file.write(b"lalala")
    shop.manager.commit()
    shop.db.undo(shop.db.undoLog(0, 1)[0]["id"])
    transaction.commit()
    shop.connection.sync()
    assert shop.blob("song") == b"la"
    run = scrub(shop.storage)
    assert list(run) == [] and run.blobs == 3
    shop.kill()
    (shop.directory / f"{DATA}{INDEX}").unlink(missing_ok=True)
    again = Shop(shop.directory)
    assert again.blob("song") == b"la" and len(list(again.storage.digests.blobs())) == 3
    again.close()


def test_an_ordinary_commit_syncs_once(shop, monkeypatch):
    shop.put("first", 1)
    synced = synced_by(monkeypatch)
    shop.put("second", 2)
    assert len(synced) == 1


# -- a full disk -----------------------------------------------------------------------------------


class Full:
    """A disk that takes `left` more writes of the process, half of the last one, then none until `more`."""

    def __init__(self, monkeypatch, left: int):
        self.left, self.met = left, False
        self._pwrite, self._fsync = os.pwrite, os.fsync
        monkeypatch.setattr(os, "pwrite", self.pwrite)
        monkeypatch.setattr(os, "fsync", self.fsync)

    def pwrite(self, descriptor, data, position):
        self.left -= 1
        if self.left < 0:
            self.met = True
            if self.left == -1 and len(data) > 1:
                return self._pwrite(descriptor, bytes(data)[: len(data) // 2], position)
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._pwrite(descriptor, data, position)

    def fsync(self, descriptor):
        self.left -= 1
        if self.left == -1:
            self.met = True
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._fsync(descriptor)

    def more(self) -> None:
        self.left = 1 << 30


@pytest.mark.parametrize("blob", [None, b"a blob"])
def test_a_disk_that_fills_at_any_write_fails_that_commit_and_no_later_one(shop, monkeypatch, blob):
    fill(shop, 4)
    failed = 0
    for left in range(12):
        before = shop.storage.end_position()
        full = Full(monkeypatch, left)
        try:
            shop.put(f"perhaps {left}", left, blob=blob)
            kept = True
        except OSError:
            shop.manager.abort()
            kept, failed = False, failed + 1
        full.more()
        monkeypatch.undo()
        if not kept:
            assert shop.storage.end_position() == before == (shop.directory / DATA).stat().st_size
        assert (f"perhaps {left}" in shop.root) == kept
        shop.put(f"after {left}", left, blob=blob)
        assert list(scrub(shop.storage)) == [], left
    assert failed >= 3
    shop.kill()
    again = Shop(shop.directory)
    assert all(again.get(f"after {left}") == left for left in range(12)) and again.storage.damage == []
    blobs = {each.name for each in (shop.directory / BLOBS).rglob("*.blob")}
    assert len(blobs) == len(list(again.storage.digests.blobs()))  # nothing of a failed commit lies around
    again.close()


def test_a_disk_that_fills_while_a_long_transaction_is_drafted_fails_only_that_one(shop, monkeypatch):
    fill(shop, 2)
    monkeypatch.setattr(storage_module, "DRAFT_BYTES", 1000)

    class Refuses:
        """A file on a full disk."""

        def __init__(self, **_):
            self._at = 0

        def tell(self):
            return self._at

        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        flush = seek = close = lambda self, *_: self.write(b"")

    with monkeypatch.context() as full:
        full.setattr(storage_module, "TemporaryFile", Refuses)
        shop.root["long"] = PersistentMapping({"value": "x" * 5000})
        with pytest.raises(OSError, match="No space"):
            shop.manager.commit()
        shop.manager.abort()
    shop.put("next", 1)
    shop.put("long", "x" * 5000)
    shop.kill()
    again = Shop(shop.directory)
    assert again.get("next") == 1 and len(again.get("long")) == 5000
    again.close()


@pytest.mark.parametrize("then", ["goes on", "closed", "killed"])
def test_a_disk_that_syncs_nothing_refuses_commits_for_as_long_as_it_does(shop, monkeypatch, caplog, then):
    fill(shop, 2)

    def broken(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as failing, caplog.at_level(logging.ERROR):
        failing.setattr(os, "fsync", broken)
        if then != "killed":  # a whole commit is left at the end; it must not come back to life
            failing.setattr(os, "ftruncate", lambda descriptor, length: broken(descriptor))
        for blob in (None, b"a blob", None):
            with pytest.raises(OSError, match="Input/output"):
                shop.put("lost", 1, blob=blob)
            shop.manager.abort()
            shop.connection.cacheMinimize()
            assert shop.get("thing 1") == 1 and "lost" not in shop.root
    assert "still to be taken back" in caplog.text and not shop.storage.closed
    if then == "goes on":
        shop.put("next", 1)
        assert list(scrub(shop.storage)) == []
    if then == "closed":
        shop.close()
    else:
        shop.kill()
    again = Shop(shop.directory)
    assert again.get("thing 1") == 1 and "lost" not in again.root
    assert ("next" in again.root) == (then == "goes on") and again.storage.damage == []
    again.close()


def test_a_checkpoint_that_does_not_fit_on_the_disk_stops_nobody(shop, monkeypatch):
    fill(shop, 2)
    full = Full(monkeypatch, 0)
    shop.storage.checkpoint()
    assert full.met
    full.more()
    assert not list(shop.directory.glob("*index_tmp"))
    shop.put("next", 1)
    shop.storage.checkpoint()
    assert list(scrub(shop.storage)) == []


# -- positions, for backups ------------------------------------------------------------------------


def test_positions_are_whole_transactions_that_add_up_to_the_file(shop):
    fill(shop)
    told = list(shop.storage.positions())
    assert [tid for tid, _, _ in told] == [each.tid for each in shop.storage.iterator()]
    assert told[0][1] == FIRST and told[-1][2] == shop.storage.end_position()
    assert all(one[2] == two[1] for one, two in zip(told, told[1:]))
    assert list(shop.storage.positions(told[5][1])) == told[5:]
    with pytest.raises(Damaged):
        list(shop.storage.positions(told[5][1] + 1))
    assert [(each.tid, each.position, each.end) for each in shop.storage.digests.transactions()] == told


def test_a_reader_keeps_its_file_and_sees_the_generation_change_when_a_pack_goes_by(shop):
    fill(shop)
    with shop.storage.reading() as (file, end, generation):
        before = os.pread(file.fileno(), end, 0)
        shop.root["thing 3"]["value"] = 4
        shop.manager.commit()
        shop.storage.pack(time.time(), shop.db.references)
        assert shop.storage.generation != generation
        assert os.pread(file.fileno(), end, 0) == before


def test_who_reads_the_digests_is_not_disturbed_by_a_pack(shop):
    fill(shop)
    before = list(shop.storage.digests.entries())
    reading = shop.storage.digests.entries(at_once=2)
    assert next(reading) == before[0]
    shop.root["thing 3"]["value"] = 4
    shop.manager.commit()
    shop.storage.pack(time.time(), shop.db.references)
    assert list(reading) == before[1:]


def test_the_digest_of_a_blob_is_that_of_its_file(shop):
    shop.put("song", blob=b"la la la")
    (entry,) = shop.storage.digests.blobs()
    (path,) = (shop.directory / BLOBS).rglob("*.blob")
    assert (entry.size, entry.digest) == digest_file(path) and entry.oid == shop.root["song blob"]._p_oid


def test_a_copy_of_the_files_alone_is_an_image(shop, tmp_path):
    fill(shop)
    end = shop.storage.end_position()
    other = tmp_path / "copy"
    other.mkdir()
    (other / DATA).write_bytes((shop.directory / DATA).read_bytes()[:end])
    shutil.copytree(shop.directory / BLOBS, other / BLOBS)
    copy = Shop(other)
    assert copy.get("thing 3") == 3 and len(copy.blob("thing 4")) == 300 and copy.storage.damage == []
    copy.close()
