"""The short run of `scripts/torture`, and the tortures themselves under test: each must see what it looks for."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from batos.errors import NoSuchObject
from batos.message import Message
from scripts.faults import checker, disks, flips, full, histories, kills, power, soak
from scripts.faults.__main__ import main
from scripts.faults.checker import Transaction, check
from scripts.faults.disks import Disk, Trace
from scripts.faults.load import COINS, Life, Sent, check_mission
from scripts.faults.telling import Violation

recorded = pytest.mark.skipif(
    sys.platform != "linux" or not (shutil.which("cc") or shutil.which("gcc")),
    reason="recording what a process writes needs Linux and a C compiler",
)


def history(*told) -> list[Transaction]:
    """Transactions from (sent, answered, steps, outcome="answered")."""
    return [
        Transaction(number, list(steps), sent, answered, *rest)
        for number, (sent, answered, steps, *rest) in enumerate(told, 1)
    ]


LAST = (90, 91)  # a read when all is over
BROKEN = {
    "a lost update of a register": (
        history(
            (0, 9, [("swap", "r", 1, None)]),
            (1, 8, [("swap", "r", 2, None)]),
        ),
        "lost update",
    ),
    "a lost update of a list: both read it empty, both appended": (
        history(
            (0, 9, [("read", "x", []), ("append", "x", 1)]),
            (1, 8, [("read", "x", []), ("append", "x", 2)]),
            (*LAST, [("read", "x", [1, 2])]),
        ),
        "G-single",
    ),
    "an append that was acknowledged and is gone": (
        history((0, 1, [("append", "x", 1)]), (2, 3, [("append", "x", 2)]), (*LAST, [("read", "x", [2])])),
        "lost append",
    ),
    "write skew: each read what the other wrote": (
        history(
            (0, 9, [("read", "x", []), ("append", "y", 1)]),
            (1, 8, [("read", "y", []), ("append", "x", 2)]),
            (*LAST, [("read", "x", [2]), ("read", "y", [1])]),
        ),
        "G2",
    ),
    "write skew of registers": (
        history(
            (0, 9, [("look", "a", None), ("swap", "b", 1, None)]),
            (1, 8, [("look", "b", None), ("swap", "a", 2, None)]),
        ),
        "G2",
    ),
    "a dirty read of what was refused": (
        history((0, 9, [("append", "x", 1)], "refused"), (1, 8, [("read", "x", [1])])),
        "G1a",
    ),
    "a read of the middle of a transaction": (
        history(
            (0, 9, [("append", "x", 1), ("append", "x", 2)]),
            (1, 8, [("read", "x", [1])]),
            (*LAST, [("read", "x", [1, 2])]),
        ),
        "G1b",
    ),
    "read skew: half of somebody's transaction": (
        history(
            (0, 9, [("append", "x", 1), ("append", "y", 2)]),
            (1, 8, [("read", "x", [1]), ("read", "y", [])]),
            (*LAST, [("read", "y", [2])]),
        ),
        "G-single",
    ),
    "writes in different orders in two places": (
        history(
            (0, 9, [("append", "x", 1), ("append", "y", 1)]),
            (1, 8, [("append", "x", 2), ("append", "y", 2)]),
            (*LAST, [("read", "x", [1, 2]), ("read", "y", [2, 1])]),
        ),
        "G0",
    ),
    "two that each saw the other": (
        history(
            (0, 9, [("append", "x", 1), ("read", "y", [2])]),
            (1, 8, [("append", "y", 2), ("read", "x", [1])]),
        ),
        "G1c",
    ),
    "a stale read: answered before it was sent, and not seen": (
        history((0, 1, [("append", "x", 1)]), (2, 3, [("read", "x", [])]), (*LAST, [("read", "x", [1])])),
        "G-single-realtime",
    ),
    "a stale look at a register": (
        history((0, 1, [("swap", "r", 1, None)]), (2, 3, [("look", "r", None)])),
        "G-single-realtime",
    ),
    "reads that contradict one another": (
        history(
            (0, 9, [("append", "x", 1)]), (0, 9, [("append", "x", 2)]),
            (1, 8, [("read", "x", [1, 2])]), (1, 8, [("read", "x", [2])]),
        ),
        "incompatible order",
    ),
    "something applied twice": (
        history((0, 1, [("append", "x", 1)]), (2, 3, [("read", "x", [1, 1])])),
        "duplicate",
    ),
    "something nobody wrote": (history((2, 3, [("read", "x", [7])])), "garbage"),
    "a transaction that does not see itself": (
        history((0, 1, [("append", "x", 1), ("read", "x", [])]), (*LAST, [("read", "x", [1])])),
        "internal",
    ),
    "half of an unanswered transaction": (
        history(
            (0, float("inf"), [("append", "x", 1), ("append", "y", 1)], "unanswered"),
            (*LAST, [("read", "x", [1])]),
            (92, 93, [("read", "y", [])]),
        ),
        "lost append",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("told", "name"), BROKEN.values(), ids=BROKEN)
def test_the_checker_rejects_and_names(told, name):
    verdict = check(told)
    assert name in verdict.names, verdict.anomalies
    assert not verdict.order


def test_the_checker_accepts_what_one_after_another_explains():
    verdict = check(
        history(
            (0, 9, [("append", "x", 1), ("swap", "r", 1, None)]),
            (1, 8, [("read", "x", [1]), ("append", "x", 2), ("swap", "r", 2, 1), ("look", "r", 2)]),
            (10, 11, [("append", "z", 6), ("read", "z", [6]), ("append", "z", 7), ("read", "z", [6, 7])]),
            (0, float("inf"), [("append", "x", 3), ("append", "y", 3)], "unanswered"),
            (0, float("inf"), [("append", "x", 4)], "unanswered"),
            (5, 6, [("append", "x", 5)], "refused"),
            (*LAST, [("read", "x", [1, 2, 3]), ("read", "y", [3]), ("look", "r", 2)]),
        )
    )
    assert verdict.anomalies == []
    order = [each.number for each in verdict.order]
    assert sorted(order) == [1, 2, 3, 4, 7] and order.index(1) < order.index(2) and order[-1] == 7


@pytest.mark.parametrize("seed", range(30))
def test_the_checker_agrees_with_a_store_that_is_serial_and_with_one_that_is_not(seed):
    """Random histories: a true serial store is always accepted; one that sometimes reads an old state never survives
    long.  Overlap in time is made up around the moment at which each transaction ran."""
    rng = random.Random(seed)
    honest = made_up(rng, stale=0.0)
    assert check(honest).anomalies == []
    assert check(made_up(rng, stale=0.2)).anomalies


def made_up(rng: random.Random, stale: float) -> list[Transaction]:
    lists: dict[str, list[int]] = {key: [] for key in "xyz"}
    registers: dict[str, int | None] = dict.fromkeys("rs")
    old = ({key: [] for key in "xyz"}, dict(registers))
    told = []
    for number in range(1, 120):
        if rng.random() < 0.1:
            old = ({key: list(value) for key, value in lists.items()}, dict(registers))
        seen_lists, seen_registers = old if rng.random() < stale else (lists, registers)
        steps = []
        for at in range(rng.randrange(1, 4)):
            key, register, value = rng.choice("xyz"), rng.choice("rs"), number * 10 + at
            what = rng.choice(["append", "read", "swap", "look"])
            if what == "append":
                lists[key].append(value)
                steps.append((what, key, value))
            elif what == "read":
                steps.append((what, key, list(seen_lists[key])))
            elif what == "swap":
                steps.append((what, register, value, seen_registers[register]))
                registers[register] = value
            else:
                steps.append((what, register, seen_registers[register]))
        told.append(Transaction(number, steps, number - 5 * rng.random(), number + 5 * rng.random()))
    told.append(Transaction(200, [("read", key, value) for key, value in lists.items()], 200, 201))
    rng.shuffle(told)
    return told


def test_the_checker_refuses_to_judge_values_that_are_not_unique():
    with pytest.raises(ValueError, match="twice"):
        check(history((0, 1, [("append", "x", 1)]), (2, 3, [("append", "x", 1)])))
    assert checker.check([]).anomalies == []


# -- the recorder and the disk ---------------------------------------------------------------------------------

PROGRAM = """
import os, shutil, sys
from pathlib import Path
here = Path(sys.argv[1])
def sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
(here / "careless").write_text("bytes")
(here / "half").write_text("bytes")
sync(here / "half")
(here / "careful").write_text("bytes")
sync(here / "careful")
sync(here)
with open(here / "careful", "a") as file:
    file.write(" and more")
(here / "new").write_text("new")
os.replace(here / "new", here / "careful")
os.mkdir(here / "folder")
shutil.copyfile(here / "half", here / "folder" / "copy")
os.link(here / "half", here / "folder" / "link")
os.truncate(here / "half", 2)
os.unlink(here / "careless")
"""


@pytest.fixture(scope="module")
def recorder(tmp_path_factory) -> Path:
    return disks.build_recorder(tmp_path_factory.mktemp("recorder"))


def recording(
    recorder: Path, folder: Path, program: str, fail: str = ""
) -> tuple[Trace, subprocess.CompletedProcess]:
    disk = (folder / "disk").resolve()
    disk.mkdir()
    trace = Trace(folder / "trace", disk)
    environ = {
        "LD_PRELOAD": str(recorder), "BATOS_RECORD_ROOT": str(disk), "BATOS_RECORD_TRACE": str(trace.path),
        "BATOS_RECORD_FAIL": fail,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", program, str(disk)], env=environ, capture_output=True, text=True, check=False
    )
    return trace, done


def left(disk: Disk, folder: Path, way: str, seed: int = 0) -> dict[str, str]:
    target = folder / f"left {way} {seed}"
    disk.leave(target, way, random.Random(seed))
    return {str(each.relative_to(target)): each.read_text() for each in target.rglob("*") if each.is_file()}


@recorded
def test_a_played_recording_is_the_real_folder_and_a_cut_leaves_what_was_synced(recorder, tmp_path):
    trace, done = recording(recorder, tmp_path, PROGRAM)
    assert done.returncode == 0, done.stderr
    disk = Disk()
    disk.begin_with(trace.root, [])
    for event in trace.events():
        disk.play(event)
    disk.compare(trace.root, apart_from=("nothing",))
    everything = {"careful": "new", "half": "by", "folder/copy": "bytes", "folder/link": "by"}
    assert left(disk, tmp_path, "everything") == everything
    assert left(disk, tmp_path, "nothing unsynced") == {"careless": "", "half": "bytes", "careful": "bytes"}
    assert left(disk, tmp_path, "names without their bytes") == {
        "careful": "", "half": "bytes", "folder/copy": "", "folder/link": "bytes",
    }  # fmt: skip
    assert left(disk, tmp_path, "bytes without their names")["careful"] == "bytes and more"
    torn = [left(disk, tmp_path, "some of it, torn", seed) for seed in range(20)]
    assert (
        len({str(each) for each in torn}) > 5
    )  # many disks are possible, and all of them hold what was synced
    assert all(each["half"] in ("bytes", "by") for each in torn)


@recorded
def test_a_write_that_the_recorder_missed_is_found_out(recorder, tmp_path):
    trace, _ = recording(recorder, tmp_path, PROGRAM)
    (trace.root / "half").write_text("changed behind its back")
    disk = Disk()
    disk.begin_with(trace.root, [])
    for event in trace.events():
        disk.play(event)
    with pytest.raises(Violation, match="half"):
        disk.compare(trace.root, apart_from=("nothing",))


@recorded
@pytest.mark.parametrize(
    ("fail", "said"),
    [("space 1", "No space"), ("short 4", "No space"), ("sync 1", "Input/output error"), ("space 99", "")],
)
def test_a_disk_fails_at_the_call_that_was_named(recorder, tmp_path, fail, said):
    trace, done = recording(recorder, tmp_path, PROGRAM, fail)
    failed = [event for event in trace.events() if event.kind == disks.FAILED]
    assert (said in done.stderr and failed) if said else (not done.stderr and not failed)


# -- what the image must say of a load ---------------------------------------------------------------------------


class Fake:
    """An image that says what it is told to say."""

    def __init__(self, **told):
        self.told = {
            ("ledger_1", "entries"): [], ("counter_1", "n"): 0, ("loose_1", "n"): 0, ("shelf_1", "books"): {},
            ("left_1", "coins"): COINS, ("right_1", "coins"): COINS,
        } | {tuple(name.split("__")): value for name, value in told.items()}  # fmt: skip

    def __call__(self, to, selector, *args):
        if (to, selector) not in self.told:
            raise NoSuchObject(f"there is no {to}")
        return self.told[to, selector]


def sent(kind, outcome, *args, detail=None, result=None) -> Sent:
    return Sent(kind, 0, Message("x", kind, list(args), idem="key"), detail, outcome, result)


def add(entry, outcome, result=None) -> Sent:
    return sent("add", outcome, entry, detail=entry, result=result)


THING = ("thing", {"called": "thing", "n": 7})
LIES = {
    "an entry that was acknowledged is lost": ([add("a", "answered", 1)], {}),
    "an entry stands there twice": ([add("a", "answered", 1)], {"ledger_1__entries": ["a", "a"]}),
    "an unanswered entry stands there twice": ([add("a", "unanswered")], {"ledger_1__entries": ["a", "a"]}),
    "an entry that was refused is there": ([add("a", "refused")], {"ledger_1__entries": ["a"]}),
    "an entry nobody added": ([], {"ledger_1__entries": ["a"]}),
    "an answer that was not true": ([add("a", "answered", 2)], {"ledger_1__entries": ["a"]}),
    "entries of one client in another order": (
        [add("a", "unanswered"), add("b", "unanswered")], {"ledger_1__entries": ["b", "a"]}),
    "a count too small": ([sent("increase", "answered", 3)], {"counter_1__n": 2}),
    "a count too large": ([sent("increase", "answered", 3)], {"counter_1__n": 6}),
    "an older value": (
        [sent("place", "answered", detail=("b", 1)), sent("place", "answered", detail=("b", 2))],
        {"shelf_1__books": {"b": 1}}),
    "half a move": ([sent("move", "unanswered", 5)], {"left_1__coins": COINS - 5}),
    "a move that is lost": ([sent("move", "answered", 5)], {}),
    "a total that saw half a move": ([sent("total", "answered", result=2 * COINS - 1)], {}),
    "a clone that is lost": ([sent("clone", "answered", detail=THING)], {}),
    "half a clone": ([sent("clone", "unanswered", detail=THING)], {"thing__slots": {"own": {}}}),
    "a clone that was refused": ([sent("clone", "refused", detail=THING)], {"thing__slots": {"own": {"n": 7}}}),
    "a method that is forgotten": (
        [sent("define", "answered", detail=("worth", 1))], {"taught_1__responds_to": False}),
    "a method without a version": (
        [sent("define", "unanswered", detail=("worth", 1))],
        {"taught_1__responds_to": True, "taught_1__versions": []}),
}  # fmt: skip


@pytest.mark.parametrize(("messages", "told"), LIES.values(), ids=LIES)
def test_a_life_that_reads_otherwise_than_it_was_acknowledged_is_a_violation(messages, told):
    life = Life(1, messages)
    with pytest.raises(Violation):
        life.check(Fake(**told))


def test_a_life_that_reads_as_it_was_acknowledged_is_none():
    messages = [
        add("a", "answered", 1),
        add("b", "unanswered"),
        add("c", "refused"),
        sent("increase", "answered", 3),
    ]
    messages += [sent("clone", "answered", detail=THING), sent("move", "unanswered", 5)]
    truth = {"ledger_1__entries": ["a"], "counter_1__n": 3, "thing__slots": {"own": {"n": 7}}}
    Life(1, messages).check(Fake(**truth))


@pytest.mark.parametrize(
    ("told", "outcome", "says"),
    [
        ({"responds_to": False, "snirps": 70}, "unanswered", "does not understand"),
        ({"responds_to": False, "snirps": 100}, "answered", "acknowledged"),
        ({"responds_to": True, "snirps": 70, "versions": []}, "unanswered", "without any version"),
        ({"responds_to": True, "snirps": 40, "state": "COMPLETE"}, "unanswered", "is 40"),
        ({"responds_to": True, "snirps": 70, "state": "DELEGATING"}, "unanswered", "is DELEGATING"),
    ],
)
def test_half_a_mission_is_a_violation(told, outcome, says):
    version = {
        "version": 1,
        "author": "BRICK",
        "time": 1.0,
        "verdict": "accepted",
        "diff": "+",
        "mission": "m1",
    }
    ask = Fake(
        pupil__responds_to=told["responds_to"], pupil__snirps=told["snirps"],
        pupil__versions=told.get("versions", [version]),
        kernel__mission={"state": told.get("state"), "send": "withdraw_snirps"},
    )  # fmt: skip
    mission = Sent(
        "mission",
        -1,
        Message("pupil", "withdraw_snirps", [30]),
        ("pupil", "snirps", "withdraw_snirps"),
        outcome,
    )
    with pytest.raises(Violation, match=says):
        check_mission(ask, mission)


def minutes(resident=lambda at: 400.0, took=lambda at: 0.002, bytes_=lambda at: 900) -> list[soak.Minute]:
    return [
        soak.Minute(60.0 * at, 1000, 500, took=[took(at)] * 100, resident=resident(at), data=bytes_(at) * 500)
        for at in range(30)
    ]


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (minutes(resident=lambda at: 400 + 4 * at), "memory grows"),
        (minutes(took=lambda at: 0.002 + 0.0002 * at), "latency grows"),
        (minutes(bytes_=lambda at: 900 + 40 * at), "bytes"),
    ],
)
def test_a_soak_that_is_not_flat_is_a_violation(samples, says):
    with pytest.raises(Violation, match=says):
        soak.judge(samples, 60.0)


def test_a_soak_whose_warm_up_alone_grows_is_none():
    soak.judge(minutes(resident=lambda at: min(400, 300 + 50 * at)), 60.0)


# -- the command line ----------------------------------------------------------------------------------------


def test_a_violation_is_told_with_its_seed_and_exit_1(monkeypatch, capsys):
    def broken(*told):
        raise Violation("an entry is lost")

    monkeypatch.setattr(kills, "run", broken)
    assert main(["kill", "--times", "3", "--seed", "77"]) == 1
    assert "VIOLATION, seed 77: an entry is lost" in capsys.readouterr().out
    monkeypatch.setattr(kills, "run", lambda *told: None)
    assert main(["kill"]) == 0 and "nothing was broken" in capsys.readouterr().out


# -- the short run: each of them goes on for as long as you like by `scripts/torture` -------------------------------


@pytest.mark.slow
def test_kills_under_load_lose_nothing_and_every_flipped_bit_of_what_is_left_is_found(tmp_path):
    image = kills.lived(tmp_path, lives=4, seed=20_261)
    flips.flip_many(image, tmp_path / "copy", times=60, seed=1, processes=2)


@recorded
@pytest.mark.slow
def test_a_power_cut_loses_nothing_that_was_acknowledged():
    power.run(cuts=80, seed=20_261, messages=60)


@recorded
@pytest.mark.slow
def test_a_disk_that_fails_leaves_a_working_image():
    full.run(every=150, seed=7)


@pytest.mark.slow
def test_three_thousand_interleaved_operations_are_strictly_serializable():
    histories.run(operations=3000, seed=20_261, kills=1)


@pytest.mark.slow
def test_a_walk_leaves_no_more_in_memory_than_the_cache():
    soak.walk(objects=5000, seed=1, cache=1000)


@pytest.mark.slow
def test_a_soak_of_seconds_runs_and_tells():
    soak.run(minutes=0.05, seed=1, every=1.0)
