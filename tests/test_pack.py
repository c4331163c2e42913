"""Packing: it can be killed at any step, never copies a flipped bit, and never keeps messages waiting long."""

from __future__ import annotations

import errno
import io
import os
import random
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
import transaction
from persistent.mapping import PersistentMapping
from ZODB.blob import Blob
from ZODB.Connection import TransactionMetaData

import batos.image.packing as packing_module
from batos.errors import Busy, Damaged, ReadOnly
from batos.image.digests import BLOBS, DATA, INDEX, SIDECAR, scrub
from batos.image.packing import pack, space_needed
from tests.test_storage import Shop, fill, flip, missed_flips

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "image"


@pytest.fixture
def shop(directory: Path):
    shop = Shop(directory)
    yield shop
    if not shop.storage._file.closed:
        shop.close()


@pytest.fixture(params=["here", "apart"])
def where(request, monkeypatch) -> str:
    """Is the copy made in this process or in one of its own?"""
    monkeypatch.setattr(packing_module, "APART_BYTES", 0 if request.param == "apart" else 1 << 60)
    return request.param


def wear(shop: Shop) -> None:
    """Give an image something to pack: old values, and objects and blobs nobody can reach."""
    fill(shop)
    for number in range(8):
        shop.root["thing 3"]["value"] = number
        shop.manager.commit()
    with shop.root["thing 8 blob"].open("w") as file:
        file.write(b"newer")
    del shop.root["thing 4"], shop.root["thing 4 blob"]
    shop.manager.commit()


def blob_files(directory: Path) -> list[Path]:
    return sorted((directory / BLOBS).rglob("*.blob"))


def expect(shop: Shop) -> None:
    """All that `wear` acknowledged, and nothing else."""
    assert shop.get("thing 3") == 7 and shop.blob("thing 8") == b"newer" and len(shop.blob("thing 0")) == 300
    assert "thing 4" not in shop.root and shop.get("thing 11") == 11
    assert list(scrub(shop.storage)) == [] and shop.storage.damage == []


# -- what a pack does ------------------------------------------------------------------------------


def test_a_pack_drops_the_past_and_garbage_and_keeps_all_else(shop, where):
    wear(shop)
    before = shop.storage.getSize()
    told = pack(shop.db)
    assert told.before_bytes == before > told.after_bytes == shop.storage.getSize()
    assert told.blob_bytes > 300 and len(blob_files(shop.directory)) == 2
    expect(shop)
    assert not list(shop.directory.glob("*.pack")) and not list(shop.directory.glob("*.old"))
    shop.put("next", 1)
    shop.close()
    again = Shop(shop.directory)
    expect(again)
    assert again.get("next") == 1 and again.storage._used_index
    again.close()
    assert missed_flips(shop.directory, 40, seed=1) == []


def test_a_pack_keeps_the_history_of_the_days_it_is_asked_to_keep(shop, where):
    wear(shop)
    size, blobs = shop.storage.getSize(), len(blob_files(shop.directory))
    told = pack(shop.db, days=1)
    assert told.after_bytes == size and len(blob_files(shop.directory)) == blobs
    assert len(shop.storage.history(shop.root["thing 3"]._p_oid, 20)) == 9


def test_a_mission_that_runs_goes_on_with_the_image_it_began_with(shop, where):
    """A pack that keeps no day of history keeps what a transaction still reads; the next one drops it."""
    wear(shop)
    manager = transaction.TransactionManager(explicit=True)
    mission = shop.db.open(manager)
    manager.begin()
    size = [shop.storage.getSize()]
    for number in range(20, 24):
        shop.root["thing 3"]["value"] = number
        del shop.root[f"thing {number - 15}"]
        shop.manager.commit()
    pack(shop.db)
    size.append(shop.storage.getSize())
    mission.cacheMinimize()
    assert mission.root()["thing 3"]["value"] == 7
    assert [mission.root()[f"thing {number}"]["value"] for number in range(5, 9)] == [5, 6, 7, 8]
    manager.abort()
    mission.close()
    pack(shop.db)
    size.append(shop.storage.getSize())
    assert size[0] > size[1] > size[2] and shop.get("thing 3") == 23


def test_history_behind_the_pack_time_stays_readable(shop, where):
    wear(shop)
    time.sleep(0.05)
    at = time.time()
    time.sleep(0.05)
    for number in range(3):
        shop.root["thing 3"]["value"] = 100 + number
        shop.manager.commit()
    shop.storage.pack(at, shop.db.references)
    oid = shop.root["thing 3"]._p_oid
    assert len(shop.storage.history(oid, 20)) == 4
    assert [each.status for each in shop.storage.iterator()][-3:] == [" "] * 3
    assert list(scrub(shop.storage)) == []


def test_an_object_that_was_garbage_at_the_pack_time_but_is_referred_to_again_is_kept(shop, where):
    wear(shop)
    held = shop.root["thing 5"]
    del shop.root["thing 5"]
    shop.manager.commit()
    time.sleep(0.05)
    at = time.time()
    time.sleep(0.05)
    shop.root["thing 5 again"] = held
    shop.manager.commit()
    shop.storage.pack(at, shop.db.references)
    shop.connection.cacheMinimize()
    assert shop.root["thing 5 again"]["value"] == 5


def test_a_pack_with_nothing_to_win_changes_nothing(shop, where):
    wear(shop)
    pack(shop.db)
    size, generation = shop.storage.getSize(), shop.storage.generation
    told = pack(shop.db)
    assert told.after_bytes == size and shop.storage.generation == generation
    expect(shop)


def test_orphan_blobs_of_a_killed_process_are_removed(shop):
    wear(shop)
    shop.root["lost"] = made = Blob()
    with made.open("w") as file:
        file.write(b"never acknowledged")
    shop.storage._finish = lambda *args: None
    shop.manager.commit()
    shop.kill()
    again = Shop(shop.directory)
    again.put("next", 1)
    kept = {path for path in blob_files(shop.directory) if path.read_bytes() != b"never acknowledged"}
    assert len(kept) == len(blob_files(shop.directory)) - 1
    pack(again.db)
    assert b"never acknowledged" not in {path.read_bytes() for path in blob_files(shop.directory)}
    expect(again)
    again.close()


def test_what_is_committed_while_the_copy_is_made_is_in_it(shop, monkeypatch):
    wear(shop)
    real = packing_module.copy_here

    def slow(*args):
        copy = real(*args)
        for number in range(200):
            shop.put(f"meanwhile {number}", "x" * 2000, blob=b"b" if number % 50 == 0 else None)
        return copy

    monkeypatch.setattr(packing_module, "copy_here", slow)
    monkeypatch.setattr(packing_module, "LAST_ROUND", 10_000)
    pack(shop.db)
    expect(shop)
    assert all(shop.get(f"meanwhile {number}") == "x" * 2000 for number in range(200))
    shop.close()
    again = Shop(shop.directory)
    expect(again)
    assert again.blob("meanwhile 150") == b"b"
    again.close()


def test_an_object_put_back_while_the_copy_is_made_stops_the_pack_and_is_not_lost(shop, monkeypatch):
    wear(shop)
    held = shop.root["thing 5"]
    del shop.root["thing 5"]
    shop.manager.commit()
    real = packing_module.copy_here

    def slow(*args):
        copy = real(*args)
        shop.root["thing 5 again"] = held
        shop.manager.commit()
        return copy

    monkeypatch.setattr(packing_module, "copy_here", slow)
    with pytest.raises(Busy, match="came back into use"):
        pack(shop.db)
    shop.connection.cacheMinimize()
    assert shop.root["thing 5 again"]["value"] == 5 and not list(shop.directory.glob("*.pack"))
    monkeypatch.undo()
    pack(shop.db)
    shop.connection.cacheMinimize()
    assert shop.root["thing 5 again"]["value"] == 5


# -- what a pack refuses ---------------------------------------------------------------------------


def test_a_pack_never_copies_a_flipped_bit(shop, where):
    wear(shop)
    shop.put("till", "unmistakable")
    shop.put("after", 1)
    path = shop.directory / DATA
    flip(path, path.read_bytes().index(b"unmistakable"))
    before = path.read_bytes()
    with pytest.raises(Damaged, match="not packed.*not what was written") as told:
        pack(shop.db)
    assert "scrub" in told.value.hint and path.read_bytes() == before
    assert not list(shop.directory.glob("*.pack")) and not shop.storage.packing
    shop.put("next", 1)


def test_a_flip_anywhere_in_the_data_stops_a_pack(shop):
    wear(shop)
    path, size, chance = shop.directory / DATA, shop.storage.getSize(), random.Random(5)
    for _ in range(80):
        at, bit = chance.randrange(4, size), 1 << chance.randrange(8)
        flip(path, at, bit)
        with pytest.raises(Damaged):
            pack(shop.db)
        flip(path, at, bit)
    pack(shop.db)
    expect(shop)


def test_a_reference_to_nothing_stops_no_pack(shop):
    wear(shop)
    oid, meta = shop.root["thing 5"]._p_oid, TransactionMetaData()
    shop.storage.tpc_begin(meta)
    shop.storage.deleteObject(oid, shop.storage.getTid(oid), meta)
    shop.storage.tpc_vote(meta)
    shop.storage.tpc_finish(meta)
    pack(shop.db)
    assert shop.get("thing 3") == 7


def test_an_image_that_goes_to_sleep_ends_its_pack_first(shop, monkeypatch):
    wear(shop)
    begun, told = threading.Event(), []

    def endless(plan, go_on):
        begun.set()
        while True:
            go_on()
            time.sleep(0.01)

    monkeypatch.setattr(packing_module, "APART_BYTES", 0)
    monkeypatch.setattr(packing_module, "copy_apart", endless)

    def work():
        try:
            pack(shop.db)
        except Busy as exc:
            told.append(str(exc))

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(5)
    shop.close()
    thread.join(5)
    assert told and "sleep" in told[0]
    again = Shop(shop.directory)
    expect(again)
    again.close()


def test_a_pack_asks_for_room_before_it_begins(shop, monkeypatch):
    wear(shop)
    assert space_needed(shop.storage) > shop.storage.getSize()
    monkeypatch.setattr(packing_module.shutil, "disk_usage", lambda path: type("", (), {"free": 1000})())
    with pytest.raises(ReadOnly, match="nothing was changed"):
        pack(shop.db)
    assert not list(shop.directory.glob("*.pack"))


def test_two_packs_at_once_are_one_and_a_word(shop):
    wear(shop)
    shop.storage._pack_is_in_progress = True
    with pytest.raises(Busy):
        pack(shop.db)
    shop.storage._pack_is_in_progress = False
    pack(shop.db)


def test_a_child_that_is_killed_leaves_the_image_as_it_was(shop, monkeypatch):
    wear(shop)
    monkeypatch.setattr(packing_module, "APART_BYTES", 0)
    monkeypatch.setattr(packing_module.sys, "executable", "/bin/false")
    with pytest.raises(Exception, match="ended with 1"):
        pack(shop.db)
    monkeypatch.undo()
    expect(shop)
    pack(shop.db)
    expect(shop)


# -- killed at every step --------------------------------------------------------------------------

_STEPS = """
    import builtins, os, sys
    from pathlib import Path
    sys.path.insert(0, {repository!r})
    from tests.test_storage import Shop
    import batos.image.packing as packing

    packing.APART_BYTES = {apart_bytes}
    shop = Shop(Path({directory!r}))
    for number in range(5):
        shop.root["thing 2"]["value"] = number
        shop.manager.commit()
    left = {step}

    def counted(module, name):
        real = getattr(module, name)
        def step(*args, **kwargs):
            global left
            left -= 1
            if left < 0:
                os._exit(9)
            return real(*args, **kwargs)
        setattr(module, name, step)

    for name in "replace rename fsync unlink remove link rmdir pwrite ftruncate open".split():
        counted(os, name)
    counted(builtins, "open")
    copied = packing.copy_here
    def slow(*args):
        copy = copied(*args)
        shop.put("meanwhile", 1, blob=b"meanwhile")
        print("acknowledged meanwhile", flush=True)
        return copy
    packing.copy_here = slow
    packing.pack(shop.db)
    print("packed", flush=True)
    shop.put("next", 1)
    print("acknowledged next", flush=True)
    os._exit(0)
"""


def run_to(directory: Path, step: int, apart: bool = False) -> subprocess.CompletedProcess:
    script = textwrap.dedent(_STEPS).format(
        repository=str(REPOSITORY), directory=str(directory), step=step, apart_bytes=0 if apart else 1 << 60
    )
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)


def forked_to(directory: Path, step: int) -> tuple[int, str]:
    """The same as `run_to` in a fork of this process, which is much quicker: (exit code, what it printed)."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(read)
            os.dup2(write, 1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            sys.stdout = open(1, "w", buffering=1, closefd=False)
            exec(
                textwrap.dedent(_STEPS).format(
                    repository=str(REPOSITORY), directory=str(directory), step=step, apart_bytes=1 << 60
                ),
                {"__name__": "steps"},
            )
        finally:
            os._exit(code)
    os.close(write)
    with open(read) as told:
        out = told.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), out


def test_a_pack_killed_at_any_step_loses_nothing_and_the_next_opening_settles_it(tmp_path):
    worn = Shop(tmp_path / "worn")
    wear(worn)
    worn.close()
    step = 0
    while True:
        directory = tmp_path / f"step {step}"
        shutil.copytree(tmp_path / "worn", directory)
        code, out = forked_to(directory, step)
        assert code in (0, 9), (step, code, out)
        again = Shop(directory)
        expect(again)
        assert again.get("thing 2") == 4
        for name in ("meanwhile", "next"):
            if f"acknowledged {name}" in out:
                assert again.get(name) == 1, (step, name)
        if "acknowledged meanwhile" in out:
            assert again.blob("meanwhile") == b"meanwhile"
        left = [each.name for each in directory.iterdir() if each.name.endswith((".pack", ".old"))]
        assert left == [] and not (directory / BLOBS / ".removed").exists(), (step, left)
        pack(again.db)
        assert len(blob_files(directory)) == 2 + ("meanwhile" in again.root), step
        expect(again)
        again.close()
        if code == 0:
            assert "packed" in out
            break
        step += 1
    assert step > 40  # there is much to be killed at


@pytest.mark.parametrize("pause", [0.0, 0.1, 0.2, 0.3, 0.5])
def test_a_pack_with_a_child_killed_from_outside_loses_nothing(tmp_path, pause):
    directory = tmp_path / "image"
    worn = Shop(directory)
    wear(worn)
    worn.close()
    script = textwrap.dedent(_STEPS).format(
        repository=str(REPOSITORY), directory=str(directory), step=1 << 30, apart_bytes=0
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        time.sleep(0.4 + pause)
        process.kill()
        out = process.stdout.read()
    again = Shop(directory)
    expect(again)
    assert ("acknowledged next" not in out) or again.get("next") == 1
    pack(again.db)
    expect(again)
    again.close()


@pytest.mark.parametrize("way", ["two names", "two files"])
def test_a_rename_of_which_a_power_cut_left_both_names_was_made(shop, way):
    """A journal may have written the new name and not yet taken the old one away."""
    wear(shop)
    data, sidecar = shop.directory / DATA, shop.directory / f"{DATA}{SIDECAR}"
    old_sidecar = sidecar.read_bytes()
    pack(shop.db)
    shop.kill()
    (shop.directory / f"{DATA}.digests.pack").write_bytes(sidecar.read_bytes())
    sidecar.write_bytes(old_sidecar)
    other = shop.directory / f"{DATA}.pack"
    other.hardlink_to(data) if way == "two names" else other.write_bytes(data.read_bytes())
    again = Shop(shop.directory)
    expect(again)
    assert not other.exists() and not (shop.directory / f"{DATA}.digests.pack").exists()
    again.close()


def test_an_index_of_the_file_before_the_pack_is_never_believed(shop):
    wear(shop)
    shop.storage.checkpoint()
    index, sidecar = shop.directory / f"{DATA}{INDEX}", shop.directory / f"{DATA}{SIDECAR}"
    old_index, old_sidecar = index.read_bytes(), sidecar.read_bytes()
    pack(shop.db)
    shop.kill()
    new_sidecar = sidecar.read_bytes()
    # As if the process had ended right after the swap: the old index and digests beside the new data.
    index.write_bytes(old_index)
    sidecar.write_bytes(old_sidecar)
    (shop.directory / f"{DATA}.digests.pack").write_bytes(new_sidecar)
    again = Shop(shop.directory)
    assert not again.storage._used_index
    expect(again)
    again.close()


@pytest.mark.parametrize("refused", ["the name of the digests", "a sync of the folder"])
@pytest.mark.parametrize("then", ["goes on", "killed"])
def test_a_disk_that_refuses_the_last_names_of_a_pack_leaves_an_image_that_works(
    shop, monkeypatch, refused, then
):
    wear(shop)
    (shop.directory / f"{DATA}{INDEX}").unlink(missing_ok=True)
    replace, fsync, swapped = os.replace, os.fsync, []

    def failing_replace(source, target):
        if swapped and refused == "the name of the digests":
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)
        swapped.append(target)

    def failing_fsync(descriptor):
        if swapped and refused == "a sync of the folder":
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    with monkeypatch.context() as failing:
        failing.setattr(os, "replace", failing_replace)
        failing.setattr(os, "fsync", failing_fsync)
        with pytest.raises(ReadOnly, match="is packed, but the disk refused"):
            pack(shop.db)
        assert len(swapped) == 1 and not shop.storage.closed
        for _ in range(2):  # as long as it goes on: everything is read, nothing is taken
            shop.connection.cacheMinimize()
            expect(shop)
            with pytest.raises(OSError, match=r"No space|Input/output"):
                shop.put("too soon", 1)
            shop.manager.abort()
        with (
            pytest.raises(ReadOnly, match="full")
            if refused != "a sync of the folder"
            else pytest.raises(OSError)
        ):
            pack(shop.db)
        assert (
            list(scrub(shop.directory)) == []
        )  # asleep or awake: the digests of the new file are the true ones
        assert len(blob_files(shop.directory)) > 2, "blobs wait until the new file is there for sure"
    if then == "goes on":
        shop.put("next", 1)
        pack(shop.db)
        assert len(blob_files(shop.directory)) == 2
        expect(shop)
    shop.kill()
    again = Shop(shop.directory)
    expect(again)
    assert ("next" in again.root) == (then == "goes on") and "too soon" not in again.root
    assert not list(shop.directory.glob("*.pack"))
    again.close()


def test_the_old_file_of_a_pack_is_closed_last_when_nobody_waits_and_the_storage_never_looks_closed(shop):
    wear(shop)
    seen = []

    class File(io.FileIO):
        def close(self):
            super().close()
            free = shop.storage._commit_lock.acquire(blocking=False)
            seen.append((shop.storage.closed, free))
            if free:
                shop.storage._commit_lock.release()

    before, shop.storage._file = shop.storage._file, File(shop.storage._file.name, "r+b")
    before.close()
    pack(shop.db)
    assert seen == [(False, True)], "what takes long comes after the locks are given back"
    expect(shop)


# -- writers ---------------------------------------------------------------------------------------


def test_writers_go_on_while_an_image_is_packed(shop, where):
    for number in range(30):
        shop.root[f"shelf {number}"] = PersistentMapping({i: PersistentMapping({"n": i}) for i in range(200)})
        shop.manager.commit()
    stop, longest, acknowledged = threading.Event(), [0.0], []

    def write():
        manager = transaction.TransactionManager()
        connection = shop.db.open(manager)
        while not stop.is_set():
            begun = time.perf_counter()
            connection.root()["counter"] = PersistentMapping({"value": len(acknowledged)})
            manager.commit()
            acknowledged.append(connection.root()["counter"]["value"])
            longest[0] = max(longest[0], time.perf_counter() - begun)
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(3):
        told = pack(shop.db)
        assert told.stall_seconds < 1.0
    stop.set()
    writer.join()
    shop.connection.sync()
    assert shop.get("counter") == acknowledged[-1] and len(acknowledged) > 20
    assert shop.root["shelf 7"][5]["n"] == 5
    assert list(scrub(shop.storage)) == []
