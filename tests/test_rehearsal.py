"""Rehearsal: drafts run on copies in walled children, and what they say is taken for what it is.

What a trial tells is told alike by both tiers, the zygote behind the kernel's wall and the separate
interpreters of other systems.  The wall itself is in `test_wall`, attempts to break out in `test_escapes`.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from batos import doctor
from batos.errors import Deadline, Internal, Refused
from batos.guardian import judge, rehearsal, trial, wall, zygote
from batos.guardian.policy import compile_method
from batos.guardian.rehearsal import Rehearsal
from batos.objects import UvmObject, snapshot
from batos.objects.method import Method, use_compiler
from batos.objects.traits import make_traits

ROOT = Path(__file__).resolve().parent.parent
linux = pytest.mark.skipif(not wall.LINUX, reason="the wall is Linux's")

WITHDRAW = """def withdraw(self, amount):
    self._p_changed = True
    if amount > self.balance:
        raise ValueError("there is not so much")
    self.balance -= amount
    self._p_changed = True
    return self.balance
"""


@pytest.fixture(scope="module", params=["zygote", "interpreters"])
def stage(request):
    """Both tiers, one after the other."""
    if request.param == "zygote" and not wall.LINUX:
        pytest.skip("the zygote is Linux's")
    started = Rehearsal.start(request.param == "interpreters", request.param == "interpreters")
    yield started
    started.stop()


@pytest.fixture(scope="module")
def zygotes():
    """The tier behind the kernel's wall alone."""
    started = Rehearsal.start()
    yield started
    started.stop()


def account(**slots) -> UvmObject:
    traits = make_traits()
    traits._name = "traits_obj"
    obj = UvmObject(traits, **{"balance": 100, "log": [1], "rates": {"a": 2}, **slots})
    obj._name = "account"
    return obj


def with_method(obj: UvmObject, selector: str, source: str) -> UvmObject:
    method = Method(selector)
    method.add_version(source, "test", "accepted")
    obj._install(method)
    return obj


def trial_of(
    *drafts: str, selector: str = "withdraw", calls=None, obj: UvmObject | None = None, seconds: float = 0.5
):
    return {
        "circle": snapshot.to_data(obj or account(), []),
        "selector": selector,
        "drafts": list(drafts),
        "calls": calls or [{"slots": None, "args": [30], "kw": {}}],
        "seconds": seconds,
    }


def run(stage: Rehearsal, *drafts: str, **how):
    return stage.run(trial_of(*drafts, **how), time.monotonic() + 20)


def draft(body: str, head: str = "def m(self, v=None):") -> str:
    return judge(head + "\n" + "\n".join("    " + line for line in body.split("\n")) + "\n").source


def one(stage: Rehearsal, body: str, **how):
    how.setdefault("calls", [{"slots": None, "args": [], "kw": {}}])
    return run(stage, draft(body), selector="m", **how)[0][0]


# -- what a trial tells ------------------------------------------------------------------------------


def test_every_draft_answers_for_every_call(stage):
    calls = [
        {"slots": None, "args": [30], "kw": {}},
        {"slots": {"balance": 5}, "args": [30], "kw": {}},
        {"slots": None, "args": [], "kw": {"amount": 1}},
    ]
    first, second = run(stage, WITHDRAW, "def withdraw(self, amount):\n    return -amount\n", calls=calls)
    assert first == [
        {"result": 70, "changes": {"balance": 70}, "flagged": True},
        {"error": "ValueError", "message": "there is not so much", "changes": {}, "flagged": True},
        {"result": 99, "changes": {"balance": 99}, "flagged": True},
    ]
    assert [each["result"] for each in second] == [-30, -30, -1]


def test_no_call_sees_what_another_changed(stage):
    calls = [{"slots": None, "args": [30], "kw": {}}] * 3
    assert [each["result"] for each in run(stage, WITHDRAW, calls=calls)[0]] == [70, 70, 70]


def test_changes_in_containers_and_of_other_objects_are_told_by_value(stage):
    till = UvmObject(coins=1)
    till._name = "till"
    obj = account(till=till)
    with_method(till, "fill", draft("self.coins += 1\nself._p_changed = True", "def fill(self):"))
    told = one(
        stage, "self.log.append(2)\nself.till.fill()\nself.new = {'x': [1]}\nself.rates['a'] = 2", obj=obj
    )
    assert told["changes"] == {"log": [1, 2], "till.coins": 2, "new": {"x": [1]}}
    assert one(stage, "self.forget('balance')")["changes"] == {"balance": {"$forgotten": None}}


def test_a_change_that_is_not_flagged_is_told(stage):
    told = run(stage, "def withdraw(self, amount):\n    self.log.append(amount)\n")[0][0]
    assert told["changes"] == {"log": [1, 30]} and told["flagged"] is False


def test_parents_and_their_methods_are_there(stage):
    shop = with_method(UvmObject(rate=3), "scaled", "def scaled(self, x):\n    return x * self.rate\n")
    assert one(stage, "return self.scaled(2) + self.rate", obj=UvmObject(shop))["result"] == 9
    child = with_method(
        UvmObject(shop), "scaled", draft("return self.resend('scaled', x) + 1", "def scaled(self, x):")
    )
    assert one(stage, "return self.scaled(2)", obj=UvmObject(child))["result"] == 7


def test_clones_work_and_names_do_not(stage):
    told = one(stage, "other = self.clone(balance=1)\nself.friend = other\nreturn other.balance")
    fresh = told["changes"]["friend"]["$new"]
    assert told["result"] == 1 and {name: fresh[name] for name in ("balance", "log")} == {
        "balance": 1,
        "log": [1],
    }
    assert "unknown" in one(stage, "return self.clone('savings')")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("return self.not_there()", "not understood"),
        ("while v is None:\n    pass", "out of fuel"),
        ("return lambda: 1", "plain"),
        ("return float('nan')", "nan"),
        ("return 'x' * 100000", "more than"),
        ("return self.define('def x(self):\\n    return 1')", "rehearsal"),
    ],
)
def test_what_a_rehearsal_cannot_tell_is_unknown(stage, body, why):
    told = one(stage, body)
    assert why in told["unknown"].lower() and "result" not in told


def test_an_object_outside_the_circle_is_unknown(stage):
    far = UvmObject(n=1)
    given = trial_of(
        draft("return self.far.n"),
        selector="m",
        obj=account(far=far),
        calls=[{"slots": None, "args": [], "kw": {}}],
    )
    given["circle"] = snapshot.to_data(account(far=far), [], bound=1)
    assert "unknown" in stage.run(given, time.monotonic() + 20)[0][0]


def test_a_primitive_of_the_running_system_is_unknown(stage):
    obj = UvmObject()
    obj._install(Method("think", primitive="think_of_the_running_system"))
    assert "unknown" in one(stage, "return self.think()", obj=obj)


def test_state_that_cannot_be_kept_is_an_error_with_its_rule(stage):
    told = run(
        stage,
        "def m(self):\n    self.log = lambda: 1\n",
        selector="m",
        calls=[{"slots": None, "args": [], "kw": {}}],
    )[0][0]
    assert told["error"] == "Refused" and told["rule"] == "unkeepable" and told["changes"] == {}


def test_a_draft_that_never_ends_does_not_disturb_the_others(stage):
    endless = "def withdraw(self, amount):\n    while amount:\n        pass\n"
    rows = run(stage, endless, WITHDRAW, seconds=0.2)
    assert rows[0][0]["unknown"] == "out of fuel" and rows[1][0]["result"] == 70


DEEP = [
    "x = iter([1])\nfor _ in range(100000):\n    x = map(str, x)\nreturn next(x)",
    "x = iter([1])\nfor _ in range(100000):\n    x = (y for y in x)\nreturn next(x)",
    "x = iter([1])\nfor _ in range(100000):\n    x = zip(x)\nreturn sum(1 for _ in x)",
    "x = iter([1])\nfor _ in range(100000):\n    x = enumerate(filter(None, x))\nreturn list(x)",
    "x = iter([1])\nfor _ in range(100000):\n    x = itertools.chain(x)\nreturn list(x)",
    "x = iter([1])\nfor _ in range(100000):\n    x = itertools.tee(x)[0]\nreturn list(x)",
    "x = 1\nfor _ in range(200000):\n    x = slice(x)",
    "x = 1\nfor _ in range(200000):\n    x = collections.deque([x])",
    "x = 1\nfor _ in range(200000):\n    x = collections.defaultdict(None, {1: x})",
    "x, key = 1, functools.cmp_to_key(lambda a, b: 0)\nfor _ in range(200000):\n    x = key(x)",
    "x = []\nfor _ in range(200000):\n    x = [x]\nself.log = x",
    "x = {}\nfor _ in range(200000):\n    x = {1: x}\nreturn str(x)",
    "x = []\ny = []\nfor _ in range(100000):\n    x, y = [x], [y]\nreturn x == y",
]


@linux
@pytest.mark.parametrize("body", DEEP)
def test_no_depth_of_nesting_ends_the_process(zygotes, body):
    told = one(zygotes, body, seconds=3)
    assert "signal" not in told.get("unknown", "") and "broke off" not in told.get("unknown", ""), told


def test_random_is_the_same_in_every_call_of_every_draft(stage):
    source = draft("return [random.random(), random.choice(self.log), str({'b', 'a'})]")
    rows = run(stage, source, source, selector="m", calls=[{"slots": None, "args": [], "kw": {}}] * 2)
    assert len({json.dumps(told) for row in rows for told in row}) == 1


def test_everything_the_language_offers_works_behind_the_wall(stage):
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        from test_policy import ORDINARY, thing
    finally:
        sys.path.pop(0)
    use_compiler(compile_method)
    ordinary = (
        ORDINARY if stage.wall["tier"] == "kernel" else ORDINARY[::12]
    )  # interpreters are slow to start
    sources = [draft(body) for body, _ in ordinary]
    calls = [{"slots": None, "args": [], "kw": {}}]
    told = run(stage, *sources, selector="m", calls=calls, obj=thing())
    from batos.objects.plain import plain

    for (body, wanted), row in zip(ordinary, told, strict=True):
        assert row[0].get("result", row[0]) == json.loads(json.dumps(plain(wanted))), body


# -- the tiers ---------------------------------------------------------------------------------------


@linux
def test_a_killed_zygote_is_started_again_and_says_so(caplog):
    stage = Rehearsal.start()
    try:
        assert run(stage, WITHDRAW)[0][0]["result"] == 70
        os.kill(stage._tier._process.pid, signal.SIGKILL)
        with caplog.at_level(logging.WARNING):
            assert run(stage, WITHDRAW)[0][0]["result"] == 70
        assert stage.restarts == 1 and "zygote" in caplog.text
    finally:
        stage.stop()
        stage.stop()
    with pytest.raises(Internal):
        run(stage, WITHDRAW)


def test_a_stopped_tier_of_interpreters_leaves_none_behind():
    stage = Rehearsal.start(True, True)
    assert run(stage, WITHDRAW)[0][0]["result"] == 70
    live = list(stage._tier._live)
    stage.stop()
    stage.stop()
    assert live and all(process.poll() is not None for process in live)
    with pytest.raises(Internal):
        run(stage, WITHDRAW)


def test_many_threads_may_rehearse_at_once(stage):
    told: list[int] = []
    threads = [
        threading.Thread(target=lambda: told.append(run(stage, WITHDRAW)[0][0]["result"])) for _ in range(6)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert told == [70] * 6


def test_no_time_left_is_said_before_anything_runs(stage):
    with pytest.raises(Deadline):
        stage.run(trial_of(WITHDRAW), time.monotonic() - 1)


def test_starting_does_not_wait_for_the_zygote():
    started = time.monotonic()
    stage = Rehearsal.start()
    try:
        assert time.monotonic() - started < 0.3
    finally:
        stage.stop()


def test_without_a_wall_nothing_runs_unless_the_settings_say_so():
    careful, careless = Rehearsal.start(False, True), Rehearsal.start(True, True)
    try:
        with pytest.raises(Refused, match="cannot wall generated code in") as refused:
            run(careful, WITHDRAW)
        assert refused.value.rule == "no-wall"
        assert "unwalled = true" in refused.value.hint and "doctor" in refused.value.hint
        assert run(careless, WITHDRAW)[0][0]["result"] == 70
    finally:
        careful.stop()
        careless.stop()


@linux
def test_a_kernel_without_seccomp_is_refused_too(zygotes, monkeypatch):
    monkeypatch.setitem(zygotes._tier.held(), "seccomp", False)
    with pytest.raises(Refused) as refused:
        run(zygotes, WITHDRAW)
    assert refused.value.rule == "no-wall"
    monkeypatch.setattr(zygotes, "unwalled", True)
    assert run(zygotes, WITHDRAW)[0][0]["result"] == 70


@linux
def test_the_doctor_says_what_is_held_and_what_is_not(zygotes):
    def rows(rehearsal, unwalled=False):
        settings = SimpleNamespace(unwalled=unwalled)
        return doctor.wall(SimpleNamespace(rehearsal=rehearsal, settings=settings))

    told = dict(map(reversed, rows(zygotes)))
    assert set(told.values()) == {"ok"} and any("seccomp" in words for words in told)
    interpreters = Rehearsal.start(False, True)
    try:
        (state, words), *_ = rows(interpreters)
        assert state == "fail" and "unwalled = true" in words
        not_held = " ".join(words for state, words in rows(interpreters, unwalled=True) if state == "warn")
        assert "files" in not_held and "network" in not_held and "signals" in not_held
    finally:
        interpreters.stop()
    missing = {"tier": "kernel", "seccomp": True, "landlock": None, "rlimits": False, "user": "root"}
    states = [state for state, _ in rows(SimpleNamespace(wall=missing))]
    assert states == ["ok", "warn", "warn", "warn"]


@linux
def test_an_answer_to_an_older_question_is_not_taken_for_this_one(zygotes, caplog):
    asked = zygotes._tier._asked
    zygotes._tier._asked += 1  # as if one had been asked whose answer nobody read
    zygotes._tier._write(
        json.dumps({"id": asked + 1, "drafts": [], "seconds": 1, "deadline": 0}).encode() + b"\n{}",
        time.monotonic() + 5,
    )
    before = zygotes.restarts
    assert run(zygotes, WITHDRAW)[0][0]["result"] == 70
    assert zygotes.restarts == before + 1


def test_the_zygote_imports_no_storage_no_model_and_no_network():
    code = (
        "import batos.guardian.zygote, sys\n"
        "print([m for m in 'ZODB torch zmq asyncio transaction socket'.split() if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_the_zygote_ends_with_the_process_it_serves():
    code = (
        "import os, signal, time\nfrom batos.guardian.rehearsal import Rehearsal\n"
        "r = Rehearsal.start(); r.wall; print(r._tier._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
        check=False,
    )
    pid = int(done.stdout)
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the zygote outlived its image")


OUTCOME = '{{"result": {}, "changes": {{}}, "flagged": true}}\n'


@pytest.mark.parametrize(
    "said",
    [
        "not json\n", "[1]\n", '{"result": 1}', '{"result": 1, "error": "x"}\n', '{"changes": {}}\n',
        '{"error": 5}\n',
        '{"unknown": "x", "missed": {"object": 5, "selector": "m", "args": [], "kw": {}}}\n',
        '{"unknown": "x", "missed": {"selector": "m"}}\n',
        '{"result": 1, "surplus": 2}\n', '{"unknown": "x", "violation": false}\n', OUTCOME.format("NaN"),
        OUTCOME.format("-Infinity"), OUTCOME.format("1e999"), OUTCOME.format("[" * 900 + "]" * 900),
        OUTCOME.format("[" * 60_000), OUTCOME.format('"\\ud800"'), OUTCOME.format('{"\\ud800": 1}'),
        OUTCOME.format("9" * 60_000), OUTCOME.format('"' + "x" * 70_000 + '"'),
        '{"error": "E", "message": "' + "x" * 2_000 + '"}\n',
    ],
)  # fmt: skip
def test_a_misshapen_answer_is_unknown(said):
    told = rehearsal._outcomes({"said": said, "end": "ended"}, 2)
    assert [list(each)[0] for each in told] == ["unknown", "unknown"]


def test_what_says_more_than_it_was_asked_is_not_believed_at_all():
    told = rehearsal._outcomes({"said": OUTCOME.format(1) * 2, "end": "ended"}, 1)
    assert "unknown" in told[0] and told[0]["violation"] is True


def by_zygote(monkeypatch, outcomes, seconds: float = 0.5, drafts=(WITHDRAW,), watched=False) -> list[dict]:
    """What the real zygote tells of drafts that are run by `outcomes` instead of the trial."""
    monkeypatch.setattr(trial, "outcomes", outcomes)
    monkeypatch.setattr(trial, "warm_up", lambda: None)
    if not watched:
        monkeypatch.setattr(trial, "_watch", lambda event, args: None)
    rest = json.dumps({**trial_of(seconds=seconds), "drafts": []}).encode()
    made = zygote.Zygote(seccomp=True)
    try:
        return made.tried(list(drafts), rest, seconds, time.monotonic() + 10)
    finally:
        made.reap()
        made.end()
        for spare in made.spares:
            os.waitpid(spare.pid, 0)


@linux
def test_a_child_that_says_too_much_is_ended(monkeypatch):
    def chatter(given, source):
        while True:
            yield {"result": "x" * 60_000}

    (told,) = by_zygote(monkeypatch, chatter)
    assert told["end"] == "said too much" and len(told["said"]) <= zygote.MAX_TOLD


@linux
def test_a_child_that_hangs_in_c_is_ended_at_its_time(monkeypatch):
    started = time.monotonic()
    (told,) = by_zygote(monkeypatch, lambda given, source: iter([{"result": sum(range(10**12))}]), 0.2)
    assert told["end"] == "deadline" and time.monotonic() - started < 5


@linux
def test_a_child_that_goes_on_after_closing_its_pipe_holds_nobody_up(monkeypatch):
    def silent(given, source):
        os.closerange(0, 10)
        time.sleep(60)
        yield {}

    monkeypatch.setattr(wall, "_seccomp", lambda: None)  # which would not let it close anything
    started = time.monotonic()
    (told,) = by_zygote(monkeypatch, silent)
    assert told["said"] == "" and time.monotonic() - started < 5


@linux
def test_a_child_that_says_it_is_done_is_ended_at_once_whatever_it_goes_on_with(monkeypatch):
    def liar(given, source):
        os.write(wall.OUT, OUTCOME.format(1).encode() + trial.END)
        while True:
            pass
        yield

    killed = []
    monkeypatch.setattr(zygote.os, "kill", lambda pid, with_, kill=os.kill: (killed.append(pid), kill(pid, with_)))
    started = time.monotonic()
    (told,) = by_zygote(monkeypatch, liar, seconds=10)
    assert told == {"said": OUTCOME.format(1), "end": "done"} and killed
    assert time.monotonic() - started < 5


@linux
def test_a_spare_that_has_died_is_passed_over():
    made = zygote.Zygote(seccomp=True)
    for _ in range(2):
        made.fill()
    os.kill(made.spares[0].pid, signal.SIGKILL)
    time.sleep(0.1)
    rest = json.dumps({**trial_of(), "drafts": []}).encode()
    (told,) = made.tried([WITHDRAW], rest, 0.5, time.monotonic() + 10)
    made.reap()
    made.end()
    for spare in made.spares:
        os.waitpid(spare.pid, 0)
    assert json.loads(told["said"])["result"] == 70


@linux
def test_a_spare_dies_with_its_zygote():
    reading, writing = os.pipe()
    zygote_pid = os.fork()
    if zygote_pid == 0:
        made = zygote.Zygote(seccomp=True)
        made.fill()
        os.write(writing, str(made.spares[0].pid).encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(zygote_pid, 0)
    pid = int(os.read(reading, 20))
    os.close(reading), os.close(writing)
    for _ in range(100):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] in "ZX":
            return
        time.sleep(0.02)
    pytest.fail("a spare outlived its zygote")


@linux
def test_the_machine_is_asked_what_it_enforces(zygotes):
    told = zygotes.wall
    assert told["tier"] == "kernel" and told["seccomp"] is True and told["rlimits"] is True
    assert told["landlock"] == (f"abi {wall.landlock_abi()}" if wall.landlock_abi() else None)
    assert told["user"] == ("nobody" if os.geteuid() == 0 else "the same")


@linux
def test_where_memory_ends_a_trial_goes_before_the_image(zygotes):
    assert zygotes.wall  # it has spoken
    assert Path(f"/proc/{zygotes._tier._process.pid}/oom_score_adj").read_text().strip() == "1000"


@linux
def test_the_zygote_has_one_thread_and_neither_environment_nor_descriptors_of_the_image(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("A_SECRET_OF_THE_IMAGE", "x")
    with (tmp_path / "storage").open("w") as storage:
        os.set_inheritable(storage.fileno(), True)
        stage = Rehearsal.start()
        try:
            assert run(stage, WITHDRAW)[0][0]["result"] == 70  # it is warm
            process = Path(f"/proc/{stage._tier._process.pid}")
            assert b"A_SECRET" not in (process / "environ").read_bytes()
            assert str(storage.name) not in {os.readlink(each) for each in (process / "fd").iterdir()}
            assert len(list((process / "task").iterdir())) == 1, "no thread may be there when it forks"
        finally:
            stage.stop()


@linux
def test_a_draft_sees_none_of_the_others(monkeypatch):
    secret = "def withdraw(self):\n    return 'my secret draft'\n"
    told = by_zygote(
        monkeypatch,
        lambda given, source: iter([{"result": [sorted(given), source]}]),
        drafts=[WITHDRAW, secret],
    )
    assert "my secret draft" not in told[0]["said"] and "my secret draft" in told[1]["said"]


@linux
def test_a_trial_that_reaches_for_a_file_is_ended_and_told_as_such(monkeypatch):
    def curious(given, source):
        yield {"result": str(open("/etc/hostname"))}  # the kernel alone would only say no

    (told,) = by_zygote(monkeypatch, curious, watched=True)
    assert told == {"said": "", "end": "violation"}


@linux
def test_a_trial_against_the_wall_is_told_as_such(monkeypatch):
    def hostile(given, source):
        yield {"result": os.fork()}

    (told,) = by_zygote(monkeypatch, hostile)
    outcome = rehearsal._outcomes(told, 1)[0]
    assert outcome["violation"] is True and "wall" in outcome["unknown"]


@pytest.mark.parametrize(
    "reach",
    ["open('/dev/null')", "os.listdir('.')", "os.kill(os.getpid(), 0)", "__import__('socket').socket()",
     "__import__('ctypes').CDLL(None)", "os.system('true')", "__import__('subprocess').run(['true'])"],
)  # fmt: skip
def test_what_reaches_outside_ends_the_interpreter_that_has_no_wall(reach):
    code = (
        "import os, sys, socket, ctypes, subprocess\nfrom batos.guardian import trial\n"
        f"sys.addaudithook(trial._watch)\n{reach}\nos.write(1, b'went on')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={"PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == trial.VIOLATION and done.stdout == b""
