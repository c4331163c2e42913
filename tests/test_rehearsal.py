"""Rehearsal: drafts run on copies behind a wall; the wall holds whatever Python code does, for root too."""

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

import pytest

from batos.errors import Deadline, Internal, Refused
from batos.guardian import judge, rehearsal, trial, wall, zygote
from batos.guardian.policy import compile_method
from batos.guardian.rehearsal import Rehearsal
from batos.objects import UvmObject, snapshot
from batos.objects.method import Method, use_compiler
from batos.objects.traits import make_traits

ROOT = Path(__file__).resolve().parent.parent
WALLED = sys.platform.startswith("linux")
linux = pytest.mark.skipif(not WALLED, reason="the wall is Linux's")

WITHDRAW = """def withdraw(self, amount):
    self._p_changed = True
    if amount > self.balance:
        raise ValueError("there is not so much")
    self.balance -= amount
    self._p_changed = True
    return self.balance
"""


@pytest.fixture(scope="module")
def stage():
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
def test_no_depth_of_nesting_ends_the_process(stage, body):
    told = one(stage, body, seconds=3)
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
    sources = [draft(body) for body, _ in ORDINARY]
    calls = [{"slots": None, "args": [], "kw": {}}]
    told = run(stage, *sources, selector="m", calls=calls, obj=thing())
    from batos.objects.plain import plain

    for (body, wanted), row in zip(ORDINARY, told, strict=True):
        assert row[0].get("result", row[0]) == json.loads(json.dumps(plain(wanted))), body


# -- the zygote --------------------------------------------------------------------------------------


def test_a_killed_zygote_is_started_again_and_says_so(caplog):
    stage = Rehearsal.start()
    try:
        assert run(stage, WITHDRAW)[0][0]["result"] == 70
        os.kill(stage._zygote.pid, signal.SIGKILL)
        with caplog.at_level(logging.WARNING):
            assert run(stage, WITHDRAW)[0][0]["result"] == 70
        assert stage.restarts == 1 and "zygote" in caplog.text
    finally:
        stage.stop()
        stage.stop()
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


def test_without_a_wall_nothing_runs_unless_the_settings_say_so(stage):
    bare = Rehearsal(unwalled=False)
    bare._zygote, bare._wall = stage._zygote, {**stage.wall, "seccomp": False}
    with pytest.raises(Refused, match="wall") as refused:
        run(bare, WITHDRAW)
    assert refused.value.rule == "no-wall" and "unwalled" in refused.value.hint
    bare.unwalled = True
    assert run(bare, WITHDRAW)[0][0]["result"] == 70


def test_the_zygote_imports_no_storage_no_model_and_no_network():
    code = "import batos.guardian.zygote, sys; print([m for m in ('ZODB', 'torch', 'zmq', 'asyncio', 'transaction', 'socket') if m in sys.modules])"
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
        "r = Rehearsal.start(); r.wall; print(r._zygote.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
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


@pytest.mark.parametrize(
    "said",
    [
        "not json\n", "[1]\n", '{"result": 1}', '{"result": 1, "error": "x"}\n', '{"changes": {}}\n', '{"error": 5}\n',
        '{"result": 1, "surplus": 2}\n',
    ],
)  # fmt: skip
def test_a_misshapen_answer_is_unknown(said):
    told = rehearsal._outcomes({"said": said, "end": "ended"}, 2)
    assert [list(each)[0] for each in told] == ["unknown", "unknown"]


def test_a_child_that_says_too_much_is_ended(monkeypatch):
    def chatter(given, source):
        while True:
            yield {"result": "x" * 60_000}

    monkeypatch.setattr(trial, "outcomes", chatter)
    told = zygote._tried(trial_of(WITHDRAW), time.monotonic() + 10, True)[0]
    assert told["end"] == "said too much" and len(told["said"]) <= zygote.MAX_TOLD


def test_a_child_that_hangs_in_c_is_ended_at_its_time(monkeypatch):
    monkeypatch.setattr(trial, "outcomes", lambda given, source: iter([{"result": sum(range(10**12))}]))
    started = time.monotonic()
    told = zygote._tried(trial_of(WITHDRAW, seconds=0.2), time.monotonic() + 10, True)[0]
    assert told["end"] == "deadline" and time.monotonic() - started < 5


# -- the wall, with the policy off -------------------------------------------------------------------


def behind_the_wall(
    code: str, names: dict | None = None, seconds: int = 1, memory: int = 1 << 28
) -> tuple[str, int]:
    """(what the code said, wait status) of plain Python run behind the wall, without policy or guardian."""
    zygote_pid = os.getpid()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            compiled = compile(code, "payload", "exec")
            wall.enter(writing, zygote_pid, seconds, memory)
            space = {"os": os, "sys": sys, "ctypes": wall.ctypes, "libc": wall._libc, **(names or {})}
            try:
                exec(compiled, space)
                said = f"done {space.get('answer')}"
            except BaseException as exc:
                said = f"raised {type(exc).__name__}"
            os.write(wall.OUT, said.encode()[:1000])
        finally:
            os._exit(0)
    os.close(writing)
    parts = []
    while part := os.read(reading, 1 << 16):
        parts.append(part)
    os.close(reading)
    return b"".join(parts).decode(), os.waitpid(pid, 0)[1]


CANARY = "canary-5b1e"
KILLED = {
    "fork": "os.fork()",
    "fork by number": "libc.syscall(57, 0)",
    "vfork": "libc.vfork()",
    "spawn": "os.posix_spawn('/bin/true', ['true'], {})",
    "system": "os.system('true')",
    "exec": "os.execv('/bin/true', ['true'])",
    "thread": "import _thread\n_thread.start_new_thread(print, ())",
    "TCP socket": "_socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)",
    "Unix socket": "_socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)",
    "raw socket": "_socket.socket(_socket.AF_INET, _socket.SOCK_RAW, 1)",
    "kill the parent": "os.kill(parent, 9)",
    "kill everybody": "os.kill(-1, 9)",
    "ptrace": "libc.ptrace(16, parent, 0, 0)",
    "read the parent's memory": "libc.process_vm_readv(parent, 0, 0, 0, 0, 0)",
    "new namespace": "libc.unshare(0x10000000)",
    "mount": "libc.mount(b'none', b'/tmp', b'tmpfs', 0, 0)",
    "another machine's numbers": "libc.syscall(0x40000000 | 2, b'/etc/passwd', 0)",
    "bpf": "libc.syscall(321, 0, 0, 0)",
    "io_uring": "libc.syscall(425, 1, 0)",
}
STOPPED = {
    "read a file": "answer = open(path).read()",
    "read a file by number": "answer = libc.syscall(2, path.encode(), 0)",
    "write a file": "open(path, 'w').write('x')",
    "make a file": "open(path + '2', 'w').write('x')",
    "remove a file": "os.unlink(path)",
    "list a folder": "answer = os.listdir('/')",
    "look at a file": "answer = os.stat(path)",
    "another descriptor": "os.write(1, b'x')",
    "another descriptor, 2": "os.write(4, b'x')",
    "copy a descriptor": "os.dup(3)",
    "pipe": "os.pipe()",
    "memory file": "os.memfd_create('x')",
    "its own memory as a file": "answer = open('/proc/self/mem', 'rb')",
    "environment of init": "answer = open('/proc/1/environ', 'rb').read()",
    "chmod": "os.chmod(path, 0o777)",
    "chdir": "os.chdir('/tmp')",
    "chroot": "os.chroot('/tmp')",
    "setuid": "os.setuid(1000)",
    "more limits": "import resource\nresource.setrlimit(resource.RLIMIT_NPROC, (100, 100))",
    "import": "import wave",
    "alarm": "import signal\nsignal.setitimer(signal.ITIMER_REAL, 1)",
    "shared memory": "assert libc.shmget(0, 4096, 0o1600) >= 0",
    "read from the pipe": "os.read(3, 1)",
}


@linux
@pytest.mark.parametrize("name", KILLED)
def test_what_is_hostile_ends_the_child(name, tmp_path):
    import _socket

    said, status = behind_the_wall(KILLED[name], {"_socket": _socket, "parent": os.getpid()})
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSYS, (said, status)
    assert said == ""


@linux
@pytest.mark.parametrize("name", STOPPED)
def test_what_reaches_out_is_stopped(name, tmp_path):
    path = tmp_path / "canary"
    path.write_text(CANARY)
    said, status = behind_the_wall(STOPPED[name], {"path": str(path)})
    assert CANARY not in said
    refused = (
        "raised PermissionError",
        "raised OSError",
        "raised AssertionError",
        "raised ModuleNotFoundError",
        "raised ValueError",
    )
    assert said.startswith((*refused, "raised itimer_error", "done -1")), (said, status)
    assert path.read_text() == CANARY and [each.name for each in tmp_path.iterdir()] == ["canary"]


@linux
def test_memory_is_bounded():
    said, _ = behind_the_wall("x = bytearray(1 << 30)")
    assert said == "raised MemoryError"
    said, status = behind_the_wall("x = []\nwhile True:\n    x.append(bytearray(1 << 20))")
    assert said == "raised MemoryError" or os.WIFSIGNALED(status)


@linux
def test_processor_time_is_bounded():
    started = time.monotonic()
    said, status = behind_the_wall("while True:\n    pass", seconds=1)
    assert os.WIFSIGNALED(status) and said == "" and time.monotonic() - started < 30


@linux
def test_what_is_allowed_still_works():
    said, status = behind_the_wall(
        "import time\nanswer = [time.time() > 0, len(os.urandom(4)), sum(range(10)), [0] * 100000 and 1]"
    )
    assert said == "done [True, 4, 45, 1]" and status == 0


@linux
def test_the_machine_is_asked_what_it_enforces(stage):
    assert stage.wall["seccomp"] is True and stage.wall["rlimits"] is True
    abi = wall.landlock_abi()
    assert stage.wall["landlock"] == (f"abi {abi}" if abi else None)


@linux
def test_a_trial_against_the_wall_is_told_as_such(stage, monkeypatch):
    def hostile(given, source):
        yield {"result": os.fork()}

    monkeypatch.setattr(trial, "outcomes", hostile)
    told = zygote._tried(trial_of(WITHDRAW), time.monotonic() + 10, True)
    outcome = rehearsal._outcomes(told[0], 1)[0]
    assert outcome["violation"] is True and "wall" in outcome["unknown"]
