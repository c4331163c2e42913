"""Images beyond one machine: the stories of images in files, told again on ZEO and on PostgreSQL, and
those that only a shared storage has: two processes on one image, the heartbeat's lease, servers that go
away, and an image that moves.

The servers are processes of this run (`servers`).  Where PostgreSQL is not installed its stories are
skipped by name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import inspect
import json
import os
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path

import pytest
import servers
import test_changes
import test_image
import test_kernel
import test_missions
from scripted import ScriptedMind
from ZODB.blob import Blob, is_blob_record
from ZODB.serialize import referencesf

from batos.app import System, judge_in
from batos.autotelic import Clock, Heartbeat
from batos.config import Settings
from batos.errors import AlreadyAwake, BadRequest, BatosError, Busy, Conflict, Damaged
from batos.guardian.policy import compile_method
from batos.image import LivingImage, lease, moving
from batos.image.lease import Lease
from batos.message import Message
from batos.objects import send as send_to
from batos.objects import use_compiler
from batos.objects.genesis import genesis

# Stories of files: what they look at is a file, or a road that an image in files alone has.
OF_FILES = {
    "test_a_doomed_mission_leaves_the_image_byte_for_byte_as_it_was",
    "test_a_mission_that_fails_leaves_the_image_byte_for_byte_as_it_was",
    "test_the_size_of_the_data_file_does_not_grow_by_a_failed_thought_alone",
    "test_a_blob_stands_beside_the_data_and_comes_back",
    "test_the_method_keeps_who_wrote_it_and_why",
    "test_what_was_learned_survives_sleep",
    "test_what_is_known_to_read_is_answered_without_the_image_thread",
    "test_an_image_whose_storage_had_to_close_says_so_instead_of_going_on_half_alive",
}


def told_again(module):
    """The stories of a module that take an image or a running system, which are given one of ours here."""
    return {
        name: story
        for name, story in vars(module).items()
        if name.startswith("test_")
        and name not in OF_FILES
        and {"image", "system"} & set(inspect.signature(story).parameters)
    }


globals().update(told_again(test_image))


def class_of(module):
    """Its stories as a class, because it has a fixture `send` of its own."""
    send = pytest.fixture(lambda self, system: module.send.__wrapped__(system), name="send")
    return type(module.__name__, (), {"send": send} | {n: staticmethod(s) for n, s in told_again(module).items()})


on_postgresql = pytest.mark.parametrize("server", ["postgresql"], indirect=True)

TestChanges = class_of(test_changes)
TestKernel = on_postgresql(class_of(test_kernel))
TestMissions = on_postgresql(class_of(test_missions))


@pytest.fixture(scope="session")
def postgres():
    try:
        with servers.postgres() as server:
            yield server
    except LookupError as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope="session")
def zeo(tmp_path_factory):
    server = servers.Zeo(tmp_path_factory.mktemp("zeo"), most=100).start()
    yield server
    server.stop()


@pytest.fixture(params=["zeo", "postgresql"])
def server(request):
    return request.getfixturevalue("zeo" if request.param == "zeo" else "postgres")


@pytest.fixture
def storage(server):
    """The URI of a storage in which nothing is yet."""
    uri = server.database()
    yield uri
    server.drop(uri)


@pytest.fixture
def other_storage(server):
    """The URI of another such storage of the same server."""
    uri = server.database()
    yield uri
    server.drop(uri)


@pytest.fixture
def awaken_at(tmp_path, storage):
    """`awaken_at()`: an image awake on the storage, in a folder of its own."""
    numbers, opened = count(1), []

    def awaken(**settings):
        directory = tmp_path / f"image{next(numbers)}"
        image = LivingImage.open(directory, Settings(image=directory, storage=storage, **settings), judge_in, genesis)
        opened.append(image)
        return image

    yield awaken
    for image in opened:
        image.close()


@pytest.fixture
def image(awaken_at):
    image = awaken_at()
    with image.turn("make an account") as root:
        send_to(root["lobby"], "clone", (), {"called": "account", "balance": 100, "tags": []})
    return image


@pytest.fixture
def mind():
    return ScriptedMind()


@pytest.fixture
def system(image_dir, storage, mind):
    system = System(Settings(image=image_dir, storage=storage, heartbeat=False, mission_seconds=20.0), mind)
    yield system
    system.close()


send = test_missions.send


# -- what other stories tell by looking at a file ---------------------------------------------------------


def test_a_blob_of_a_mind_comes_back_though_the_folder_is_new(awaken_at, tmp_path, image):
    source = tmp_path / "weights"
    source.write_bytes(os.urandom(3_000_000))

    def keep(root):
        root.account.weights = Blob(source.read_bytes())

    image.run("keep", keep)
    other = awaken_at()  # its folder has no copy of the blob yet
    read = other.run("read", lambda root: Path(root.account.weights.committed()).read_bytes())
    assert read == source.read_bytes()


def test_what_was_learned_by_the_embedded_minds_image_survives_sleep(system, send, mind):
    system.incarnate()
    mind.enqueue(plan=test_missions.plan("change", unless="more than there is"), method=test_missions.WITHDRAW)
    assert send("account", "withdraw_balance", 30).result == 70
    system.close()
    again = System(system.settings, ScriptedMind())
    try:
        assert again.kernel.send(Message("account", "withdraw_balance", [1])).result == 69
        assert again.experts()
    finally:
        again.close()


def test_the_past_can_be_asked(image):
    tid = image.submit("pay", test_image.spend(30)).result().tid
    image.run("pay again", test_image.spend(30))
    with image.past(bytes.fromhex(tid)) as connection:
        assert connection.root()["lobby"].account.balance == 100


def test_a_pack_leaves_the_image_whole_and_takes_the_past(image, tmp_path):
    (tmp_path / "weights").write_bytes(b"w" * 100_000)

    def keep(root):
        root.account.weights = Blob((tmp_path / "weights").read_bytes())

    image.run("keep", keep)
    for _ in range(5):
        image.run("pay", test_image.spend(1))
    image._db.pack()
    with image.turn("look") as root:
        assert root.account.balance == 95 and len(Path(root.account.weights.committed()).read_bytes()) == 100_000
        assert image.unreadable(root, 10_000) == []


# -- two processes on one image ------------------------------------------------------------------------------

NEIGHBOUR = """
import json, sys
from pathlib import Path
from batos.config import Settings
from batos.errors import BatosError
from batos.guardian.policy import compile_method
from batos.image import LivingImage
from batos.objects import send, use_compiler
from batos.objects.genesis import genesis

use_compiler(compile_method)
directory, storage = sys.argv[1:]
image = LivingImage.open(directory, Settings(image=Path(directory), storage=storage), None, genesis)
print(json.dumps(image.newborn), flush=True)
for line in sys.stdin:
    path, selector, times, *args = json.loads(line)
    told = []
    futures = [image.submit(selector, lambda root: send(root.resolve(path), selector, args)) for _ in range(times)]
    for future in futures:
        try:
            told.append(future.result().value)
        except BatosError as exc:
            told.append([exc.code, exc.retryable])
    print(json.dumps(told), flush=True)
image.close()
"""


@pytest.fixture
def neighbour(tmp_path, storage):
    """`neighbour()`: another process on the same image; `neighbour().send(path, selector, *args)`."""
    started = []

    class Neighbour:
        def __init__(self):
            self.folder = tmp_path / f"neighbour{len(started)}"
            self.process = subprocess.Popen(
                [sys.executable, "-c", NEIGHBOUR, str(self.folder), storage],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            started.append(self)

        def told(self):
            return json.loads(self.process.stdout.readline())

        def ask(self, path, selector, *args, times=1):
            print(json.dumps([path, selector, times, *args]), file=self.process.stdin, flush=True)

        def send(self, path, selector, *args):
            self.ask(path, selector, *args)
            return self.told()[0]

    yield Neighbour
    for each in started:
        each.process.stdin.close()
        each.process.stdout.close()
        each.process.wait(20)


def increment(path, slot="balance"):
    def count_up(root):
        obj = root.resolve(path)
        setattr(obj, slot, getattr(obj, slot) + 1)

    return count_up


def test_two_processes_that_awaken_on_nothing_at_once_find_one_image(neighbour):
    both = [neighbour(), neighbour(), neighbour()]
    assert sorted(each.told() for each in both) == [False, False, True]
    both[0].send("lobby", "put", "word", "shared")
    assert [each.send("lobby", "word") for each in both] == ["shared"] * 3


def test_what_one_process_changes_the_next_message_of_the_other_sees(image, neighbour):
    other = neighbour()
    assert other.told() is False
    for amount in range(3):
        image.run("pay", test_image.spend(1))
        assert other.send("account", "balance") == 99 - 2 * amount
        other.send("account", "put", "balance", 98 - 2 * amount)
        assert test_image.balance(image) == 98 - 2 * amount


def test_conflicting_and_disjoint_work_of_two_processes_loses_nothing(image, neighbour):
    other = neighbour()
    other.told()
    with image.turn("make another, and a method") as root:
        send_to(root.account, "define", ("def more(self):\n    self.balance += 1\n    return self.balance",))
        send_to(root["lobby"], "clone", (), {"called": "till", "coins": 0})
    other.ask("account", "more", times=60)
    futures = [image.submit("more", increment("account")) for _ in range(40)]
    futures += [image.submit("coins", increment("till", "coins")) for _ in range(20)]
    told = other.told()
    ours = [future.exception() for future in futures]
    refused = [each for each in told if isinstance(each, list)] + [each for each in ours if each is not None]
    assert all(each == ["conflict", True] for each in refused), refused
    done = sum(isinstance(each, int) for each in told) + sum(each is None for each in ours[:40])
    assert image.run("look", lambda root: (root.account.balance, root.till.coins)) == (100 + done, 20)
    assert done >= 90, "a conflict is tried again before anybody is told"
    assert len(set(each for each in told if isinstance(each, int))) == sum(isinstance(each, int) for each in told)


def test_two_processes_never_each_act_on_what_the_other_is_changing(awaken_at):
    image, other = awaken_at(), awaken_at()
    with image.turn("two accounts") as root:
        for name in ("left", "right"):
            send_to(root["lobby"], "clone", (), {"called": name, "balance": 60})

    def withdraw(mine, meet, looked, root):
        """Together they must keep 0; each looks at both and takes from one."""
        if root.left.balance + root.right.balance < 100:
            return "no"
        if mine not in looked:
            looked.add(mine)
            meet.wait(10.0)  # both have looked
        root.resolve(mine).balance -= 100
        return "yes"

    for _ in range(3):
        meet, looked = threading.Barrier(2), set()
        futures = [
            each.submit("withdraw", functools.partial(withdraw, mine, meet, looked))
            for each, mine in ((image, "left"), (other, "right"))
        ]
        assert sorted(future.result().value for future in futures) == ["no", "yes"]
        with image.turn("again") as root:
            root.left.balance = root.right.balance = 60


@pytest.mark.parametrize("law", ["a method", "a parent"])
def test_a_send_counts_the_method_and_the_parent_it_went_through_as_read(awaken_at, law):
    """One acts on a law; the other changes it because it has not been acted on.  One of them has to look again."""
    use_compiler(compile_method)
    image, other = awaken_at(), awaken_at()

    def make(root):
        for name in ("strict", "lax", "gate", "door"):
            send_to(root["lobby"], "clone", (), {"called": name})
        for name, says in (("strict", "no"), ("lax", "yes")):
            send_to(root.resolve(name), "define", (f"def open_now(self):\n    return '{says}'",))
        send_to(root.gate, "adopt", (root.lax,))
        root.door.state = "closed"

    def warm():
        """Both have looked the method up, after both have heard of the last commit."""
        for each in (image, other) * 2:
            assert each.run("warm", lambda root: send_to(root.gate, "open_now")) == "yes"

    image.run("make", make)
    warm()

    def go_through(meet, looked, root):
        if send_to(root.gate, "open_now") != "yes":
            return "stood before it"
        if "one" not in looked:
            looked.add("one")
            meet.wait(10.0)
        root.door.state = "passed"
        return "passed"

    def forbid(meet, looked, root):
        if root.door.state != "closed":
            return "too late"
        if "other" not in looked:
            looked.add("other")
            meet.wait(10.0)
        if law == "a method":
            send_to(root.lax, "define", ("def open_now(self):\n    return 'no'",))
        else:
            send_to(root.gate, "adopt", (root.strict,))
            send_to(root.gate, "disown", (root.lax,))
        return "forbidden"

    for _ in range(3):
        meet, looked = threading.Barrier(2), set()
        futures = [image.submit("go", functools.partial(go_through, meet, looked))]
        futures += [other.submit("forbid", functools.partial(forbid, meet, looked))]
        told = {future.result().value for future in futures}
        assert told in ({"passed", "too late"}, {"stood before it", "forbidden"}), "each acted unseen"

        def again(root):
            root.door.state = "closed"
            if law == "a method":
                send_to(root.lax, "define", ("def open_now(self):\n    return 'yes'",))
            elif root.lax not in root.gate._parents():
                send_to(root.gate, "adopt", (root.lax,))
                send_to(root.gate, "disown", (root.strict,))

        image.run("again", again)
        warm()


def test_a_method_taught_in_one_process_is_understood_in_the_other_at_the_next_message(system, send, mind, neighbour):
    other = neighbour()
    assert other.told() is False
    assert other.send("account", "withdraw_balance", 30)[0] == "not_understood"
    mind.enqueue(plan=test_missions.plan("change", unless="more than there is"), method=test_missions.WITHDRAW)
    assert send("account", "withdraw_balance", 30).result == 70
    assert other.send("account", "withdraw_balance", 30) == 40
    send("account", "define", "def withdraw_balance(self, amount):\n    return 'closed'")
    assert other.send("account", "withdraw_balance", 30) == "closed"
    send("account", "revert", "withdraw_balance")
    assert other.send("account", "withdraw_balance", 30) == 10


def test_a_key_is_used_once_whichever_process_it_comes_to(image_dir, storage, system, send):
    with contextlib.ExitStack() as stack:
        other = System(dataclasses.replace(system.settings, image=image_dir.with_name("other")), ScriptedMind())
        stack.callback(other.close)
        systems = [system, other]
        send("account", "define", "def pay(self, amount):\n    self.balance = self.balance - amount\n    return self.balance")
        for key in ("one", "two", "three"):
            futures = [each.kernel.submit(Message("account", "pay", [1], idem=key)) for each in systems * 3]
            replies = [future.result() for future in futures]
            assert len({reply.result for reply in replies}) == 1, [reply.to_wire() for reply in replies]
        assert send("account", "balance").result == 97
        again = other.kernel.send(Message("account", "pay", [2], idem="one"))
        assert again.error.code == "conflict"


# -- who beats -----------------------------------------------------------------------------------------------


def test_one_of_two_processes_holds_the_lease_until_it_gives_it_up(awaken_at):
    one, other = Lease(awaken_at()), Lease(awaken_at())
    assert one.held() and not other.held() and one.held()
    one.release()
    assert other.held() and not one.held()


def test_a_lease_that_is_not_renewed_passes_on_by_the_clock(awaken_at):
    now = [1000.0]
    one = Lease(awaken_at(), lambda: now[0], seconds=60.0)
    other = Lease(awaken_at(), lambda: now[0], seconds=60.0)
    assert one.held()
    now[0] += 59.0
    assert not other.held() and one.held()
    now[0] += 60.0 + lease.SKEW + 1
    assert other.held() and not one.held()


def test_the_lease_of_a_process_that_is_gone_is_taken_at_once(awaken_at):
    image = awaken_at()
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    one = Lease(image)
    one._me |= {"holder": "another", "pid": int(gone.stdout), "started": 1}
    assert one.held()
    assert Lease(image).held()


def test_a_lease_that_is_held_is_rarely_written(awaken_at):
    image, now = awaken_at(), [1000.0]
    one = Lease(image, lambda: now[0], seconds=60.0)
    one.held()
    before = image.commits
    for _ in range(5):
        now[0] += 2.0
        assert one.held()
    assert image.commits == before


def test_only_the_heartbeat_with_the_lease_beats_and_the_other_takes_over_when_it_stops(awaken_at):
    audits, settings = [], Settings(heartbeat_delay=0.0, heartbeat_cron="0 0 1 1 *")
    beats = []
    for name in ("one", "other"):
        image = awaken_at()
        beats.append(
            Heartbeat(Clock(), image, lambda name=name: audits.append(name), settings, Lease(image, seconds=0.3))
        )
    for beat in beats:
        beat.start()
        time.sleep(0.3)
    assert audits == ["one"] and beats[1].next_due() is None
    beats[0].stop()
    end = time.monotonic() + 10
    while beats[1].next_due() is None:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert beats[1].next_due() == beats[0].next_due(), "the night that is written down is not repeated"
    beats[1].stop()


# -- servers that go away --------------------------------------------------------------------------------------


def paid(image, most=20.0):
    """Pay until it succeeds; what was told before that."""
    told, end = [], time.monotonic() + most
    while time.monotonic() < end:
        try:
            image.run("pay", test_image.spend(1))
            return told
        except Busy as exc:
            told.append(exc)
            time.sleep(0.05)
    raise AssertionError(told)


@on_postgresql
def test_a_database_that_is_restarted_is_told_as_out_of_reach_and_then_the_image_goes_on(image, server):
    server.stop()
    try:
        with pytest.raises(Busy, match="out of reach") as caught:
            image.run("pay", test_image.spend(1))
        assert caught.value.retryable
        with pytest.raises(Busy):
            image.run("look", lambda root: root.account.balance)
    finally:
        server.start()
    assert paid(image) == []
    assert test_image.balance(image) == 99


@on_postgresql
def test_sessions_that_are_ended_under_load_lose_nothing_and_repeat_nothing(image, server):
    stop, done, unknown = threading.Event(), 0, 0

    def drop():
        while not stop.wait(0.05):
            server.drop_connections()

    dropper = threading.Thread(target=drop)
    dropper.start()
    try:
        for _ in range(40):
            try:
                image.run("pay", test_image.spend(1))
                done += 1
            except Busy as exc:
                unknown += "not known" in str(exc)
            time.sleep(0.01)
    finally:
        stop.set()
        dropper.join()
    paid(image)
    assert done and done + 1 <= 100 - test_image.balance(image) <= done + 1 + unknown


def test_a_connection_that_breaks_after_the_commit_gives_the_true_answer(image, monkeypatch):
    storage, lost = image._connection._storage, image.place.lost[0]
    real = storage.tpc_finish

    def kept_but_not_told(*args):
        monkeypatch.undo()
        real(*args)
        raise lost("the server closed the connection unexpectedly")

    monkeypatch.setattr(storage, "tpc_finish", kept_but_not_told)
    future = image.submit("pay", test_image.spend(1))
    assert future.result().value == 99 and len(future.result().tid) == 16
    assert test_image.balance(image) == 99


def test_a_connection_that_breaks_before_the_commit_changes_nothing_and_says_so(image, monkeypatch):
    storage, lost = image._connection._storage, image.place.lost[0]

    def broken(*args):
        monkeypatch.undo()
        raise lost("the server closed the connection unexpectedly")

    monkeypatch.setattr(storage, "tpc_vote", broken)
    with pytest.raises(Busy, match="nothing was changed"):
        image.run("pay", test_image.spend(1))
    assert test_image.balance(image) == 100
    assert image.run("pay", test_image.spend(1)) == 99


# -- never a silent birth ---------------------------------------------------------------------------------------


def test_a_folder_remembers_where_its_image_lives(awaken_at, storage, other_storage):
    image = awaken_at()
    directory = image.directory
    image.close()
    for settings in (Settings(), Settings(storage=other_storage)):
        with pytest.raises((BadRequest, Damaged)) as caught:
            LivingImage.open(directory, settings, None, genesis)
        assert str(directory) in str(caught.value) and caught.value.hint
    other = LivingImage.open(directory.with_name("else"), Settings(storage=other_storage), None, genesis)
    other.close()
    with pytest.raises(BadRequest, match="belongs to another image"):
        LivingImage.open(directory, Settings(storage=other_storage), None, genesis)
    LivingImage.open(directory, Settings(storage=storage), None, genesis).close()


def test_an_empty_storage_is_no_place_for_an_image_that_stands_in_files(tmp_path, storage):
    LivingImage.open(tmp_path / "image", Settings(), None, genesis).close()
    with pytest.raises(BadRequest, match="holds an image in files"):
        LivingImage.open(tmp_path / "image", Settings(storage=storage), None, genesis)


def test_a_second_process_in_the_same_folder_is_refused(image, storage):
    with pytest.raises(AlreadyAwake):
        LivingImage.open(image.directory, Settings(storage=storage), None, genesis)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("mysql://u:secret@host/name", "no storage that batos knows"),
        ("nonsense", "no storage that batos knows"),
        ("postgresql://u:secret@127.0.0.1:1/", "names no database"),
        ("postgresql://u:secret@127.0.0.1:1/x?colour=red", "colour"),
        ("postgresql://u:secret@127.0.0.1:1/x?keep_history=0", "keep_history"),
        ("postgresql://u:secret@127.0.0.1:1/x", "out of reach"),
        ("zeo://127.0.0.1:1?wait_timeout=1", "out of reach"),
        ("zeo://", "no ZEO server"),
        ("file://somewhere?quota=1", "no options"),
    ],
)
def test_a_storage_that_means_nothing_is_refused_without_telling_its_password(tmp_path, uri, said):
    if uri.startswith("postgresql"):
        pytest.importorskip("relstorage")
    with pytest.raises(BatosError, match=said) as caught:
        LivingImage.open(tmp_path / "image", Settings(storage=uri), None, genesis)
    assert "secret" not in str(caught.value) + str(caught.value.hint)


def test_a_file_uri_is_our_own_storage(tmp_path):
    with LivingImage.open(tmp_path / "a", Settings(storage=f"file://{tmp_path}/b"), None, genesis) as image:
        assert type(image.place.storage).__name__ == "ImageStorage" and not image.place.shared
    assert (tmp_path / "b/live_image.fs").exists() and not (tmp_path / "a/live_image.fs").exists()


def test_what_works_on_files_says_what_to_use_instead(image):
    with pytest.raises(BadRequest, match="works on an image in files") as caught:
        image.place.only_files("backup")
    assert caught.value.hint


# -- moving ----------------------------------------------------------------------------------------------------------


def graph(image):
    """All that an image holds, as plain data: every record as it is stored, and its blobs' digests."""
    with image.turn("look") as root:
        connection, found, waiting = root.connection, {}, [b"\0" * 8]
        while waiting:
            oid = waiting.pop()
            if oid in found:
                continue
            data, tid = connection._storage.load(oid)
            found[oid] = (data, tid)
            if is_blob_record(data):
                found[oid] += (hashlib.sha256(Path(connection.get(oid).committed()).read_bytes()).hexdigest(),)
            waiting += referencesf(data)
        return found


@on_postgresql
def test_an_image_moves_to_a_database_and_back_and_is_the_same_with_all_its_past(tmp_path, storage):
    home = tmp_path / "image"
    (tmp_path / "weights").write_bytes(os.urandom(200_000))
    with LivingImage.open(home, Settings(), None, genesis) as image:
        with image.turn("make") as root:
            send_to(root["lobby"], "clone", (), {"called": "account", "balance": 100, "tags": ["a"]})
            root.account.weights = Blob((tmp_path / "weights").read_bytes())
        tids = [image.submit("pay", test_image.spend(1)).result().tid for _ in range(5)]
        before = graph(image)
    there = moving.move(home, "", storage)
    assert there["blobs"] == 1 and there["transactions"] >= 7
    with LivingImage.open(home, Settings(storage=storage), None, genesis) as image:
        assert not image.newborn and graph(image) == before
        image.run("pay", test_image.spend(1))
        with image.turn("make") as root:
            send_to(root["lobby"], "clone", (), {"called": "new", "n": 1})
        with image.past(bytes.fromhex(tids[0])) as connection:
            assert connection.root()["lobby"].account.balance == 100
        after = graph(image)
    with pytest.raises(Conflict, match="already"):
        moving.move(home, storage, f"file://{home}")
    back = moving.move(home, storage, f"file://{tmp_path / 'back'}")
    assert back["transactions"] == there["transactions"] + 2
    with LivingImage.open(tmp_path / "back", Settings(), None, genesis) as image:
        assert graph(image) == after
        assert image.run("pay", test_image.spend(1)) == 93
        with image.past(bytes.fromhex(tids[0])) as connection:
            assert connection.root()["lobby"].account.balance == 100


@on_postgresql
def test_a_move_that_is_cut_short_is_no_image_and_can_be_done_again(tmp_path, storage, monkeypatch):
    home = tmp_path / "image"
    LivingImage.open(home, Settings(), None, genesis).close()

    def cut(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(moving, "_compared", cut)
    with pytest.raises(KeyboardInterrupt):
        moving.move(home, "", storage)
    with pytest.raises(KeyboardInterrupt):
        moving.move(home, "", f"file://{tmp_path / 'back'}")
    assert not (tmp_path / "back").exists()
    with pytest.raises(Damaged, match="cut short"):
        LivingImage.open(home, Settings(storage=storage), None, genesis)
    monkeypatch.undo()
    moving.move(home, "", storage)
    LivingImage.open(home, Settings(storage=storage), None, genesis).close()
    other = tmp_path / "other"
    LivingImage.open(other, Settings(), None, genesis).close()
    with pytest.raises(Conflict, match="holds something already"):
        moving.move(other, "", storage)
    LivingImage.open(other, Settings(), None, genesis).close()
