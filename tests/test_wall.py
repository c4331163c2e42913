"""The wall, layer by layer, with the policy off: each holds alone what it holds, and `enter` has them all."""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import pytest

from batos.guardian import wall

if not wall.LINUX or wall._MACHINE is None:
    pytest.skip("the wall is Linux's", allow_module_level=True)
resource = pytest.importorskip("resource")


def behind(code: str, *layers: str, seconds: int = 1, memory: int = 1 << 28) -> tuple[str, int]:
    """(what the code said, wait status) of plain Python behind these layers of the wall alone; none: all."""
    compiled = compile(code, "payload", "exec")
    (reading, writing), parent = os.pipe(), os.getpid()
    space = {
        "os": os,
        "sys": sys,
        "ctypes": wall.ctypes,
        "libc": wall._libc,
        "resource": resource,
        "socket": socket,
    }
    pid = os.fork()
    if pid == 0:
        try:
            nothing = os.open(os.devnull, os.O_RDONLY)
            if not layers or layers == ("all but seccomp",):
                wall.enter(nothing, writing, parent, seconds, memory, seccomp=not layers)
            else:
                if "descriptors" in layers:
                    wall.keep_only(nothing, writing)
                else:
                    os.dup2(writing, wall.OUT)
                bytes_mapped = wall.mapped()
                if "user" in layers:
                    wall.give_up_root()
                if "landlock" in layers or "seccomp" in layers:
                    wall._prctl(38, 1)
                if "alone" in layers:
                    wall._alone(parent)
                if "landlock" in layers:
                    wall._landlock()
                if "limits" in layers:
                    wall.limit(seconds, bytes_mapped + memory)
                if "seccomp" in layers:
                    wall._seccomp()
            try:
                exec(compiled, space)  # noqa: S102 - the attempt, written below
                said = f"done {space.get('answer')}"
            except BaseException as exc:  # noqa: BLE001
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


ALONE = {
    # what each layer holds when every other one is off
    "descriptors": [
        "answer = -1\ntry:\n    answer = os.fstat(FD)\nexcept OSError:\n    pass",
        "answer = len(os.listdir('/proc/self/fd')) - 3 or -1",  # its two, and the one that lists
    ],
    "user": ["open('/etc/shadow').read()", "os.seteuid(0)", "os.chown('/', 0, 0)", "os.setgroups([0])"],
    "landlock": [
        "open('/etc/hostname')", "open(PATH).read()", "open(PATH, 'w')", "os.listdir('/')", "os.unlink(PATH)",
        "os.mkdir(PATH + 'x')", "os.rename(PATH, PATH + 'x')",
        *(["socket.create_connection(('127.0.0.1', PORT), 1)"] if wall.landlock_abi() >= 4 else []),
        *(["os.kill(os.getppid(), 0)"] if wall.landlock_abi() >= 6 else []),
    ],
    "limits": [
        "bytearray(1 << 30)", "x = []\nwhile True:\n    x.append(bytearray(1 << 20))", "os.dup(1)",
        "os.write(os.open(PATH, os.O_WRONLY), b'x')", "socket.socket()",
    ],
    "seccomp": [
        "open(PATH).read()", "os.listdir('/')", "os.dup(1)", "os.pipe()", "os.memfd_create('x')",
        "os.write(2, b'x')", "answer = os.read(FD, 99)", "os.chdir('/')", "os.setuid(1000)",
        "resource.setrlimit(resource.RLIMIT_CPU, (1, 1))",
        "libc.mmap.restype = ctypes.c_void_p\nnone = ctypes.c_size_t(0)\n"
        "answer = libc.mmap(None, ctypes.c_size_t(65536), 3, 0x2022, -1, none)\n"
        "answer = -1 if answer == ctypes.c_void_p(-1).value else answer",
        "page = ctypes.create_string_buffer(8192)\naddress = (ctypes.addressof(page) + 4095) & ~4095\n"
        "libc.madvise(ctypes.c_void_p(address), 4096, 101)\nanswer = -(ctypes.get_errno() == 1) or 1",
    ],
}  # fmt: skip
CANARY = "canary-5b1e"


@pytest.mark.parametrize(
    ("layer", "code"), [(layer, code) for layer, codes in ALONE.items() for code in codes]
)
def test_each_layer_of_the_wall_holds_alone(layer, code, tmp_path):
    if layer == "user" and os.geteuid() != 0:
        pytest.skip("nobody gives up root here")
    if layer == "landlock" and not wall.landlock_abi():
        pytest.skip("this kernel has no Landlock")
    path = tmp_path / "canary"
    path.write_text(CANARY)
    tmp_path.chmod(0o777)
    with path.open() as inherited, socket.create_server(("127.0.0.1", 0)) as listener:
        words = {
            "FD": str(inherited.fileno()),
            "PATH": repr(str(path)),
            "PORT": str(listener.getsockname()[1]),
        }
        for word, value in words.items():
            code = code.replace(word, value)
        said, status = behind(code, layer)
    refused = (
        "raised PermissionError",
        "raised OSError",
        "raised MemoryError",
        "raised ValueError",
        "done -1",
    )
    assert said.startswith(refused) or os.WIFSIGNALED(status), (said, status)
    assert path.read_text() == CANARY and [each.name for each in tmp_path.iterdir()] == ["canary"]


def test_where_the_kernel_has_no_seccomp_a_trial_still_has_every_other_layer(request):
    folder = tempfile.TemporaryDirectory()  # unlike `tmp_path` it lies where nobody may go
    request.addfinalizer(folder.cleanup)
    os.chmod(folder.name, 0o777)
    path = Path(folder.name) / "canary"
    path.write_text(CANARY)

    def tried(code):
        return behind(code, "all but seccomp")[0]

    with path.open() as inherited:
        assert tried(f"answer = os.fstat({inherited.fileno()})") == "raised OSError"
    if wall.landlock_abi():
        assert tried(f"os.mkdir({str(path) + 'x'!r})") == "raised PermissionError"  # it takes no descriptor
    assert tried("bytearray(1 << 30)") == "raised MemoryError"
    limits = "RLIMIT_NPROC RLIMIT_FSIZE RLIMIT_CORE RLIMIT_MEMLOCK RLIMIT_MSGQUEUE RLIMIT_SIGPENDING"
    assert (
        tried(f"answer = {{resource.getrlimit(getattr(resource, each)) for each in {limits.split()}}}")
        == "done {(0, 0)}"
    )
    assert tried(
        "answer = resource.getrlimit(resource.RLIMIT_CPU), resource.getrlimit(resource.RLIMIT_NOFILE)"
    ) == ("done ((1, 1), (2, 2))")
    assert os.geteuid() != 0 or tried("answer = 0 in os.getresuid() + os.getresgid()") == "done False"
    # (is dumpable, may gain rights, the signal that comes when the parent ends)
    signalled = "import struct\nsignalled = ctypes.c_int()\nlibc.prctl(2, ctypes.byref(signalled))\n"
    assert (
        tried(signalled + "answer = libc.prctl(3), libc.prctl(39, 0, 0, 0, 0), signalled.value")
        == "done (0, 1, 9)"
    )


@pytest.mark.parametrize(
    "code", ["os.fork()", "import _thread\n_thread.start_new_thread(print, ())", "socket.socket()"]
)
def test_seccomp_ends_who_makes_processes_and_sockets(code):
    said, status = behind(code, "seccomp")
    assert said == "" and os.WTERMSIG(status) == signal.SIGSYS


@pytest.mark.parametrize("name", [*wall._MACHINE["kill"], "getpid of x32"])
def test_what_no_computation_asks_for_ends_the_trial(name):
    number = wall._MACHINE["kill"].get(name, 0x40000000 | wall._MACHINE["allow"]["getpid"])
    said, status = behind(f"libc.syscall({number}, 0, 0, 0, 0, 0, 0)", "seccomp")
    if name.endswith("x32") and wall._MACHINE["audit"] != 0xC000003E:
        pytest.skip("there is no x32 here")
    assert said == "" and os.WTERMSIG(status) == signal.SIGSYS


def test_nobody_of_the_same_user_looks_into_a_trial():
    assert behind("answer = libc.prctl(3), libc.prctl(39, 0, 0, 0, 0)", "alone")[0] == "done (0, 1)"


def test_no_processes_are_made_by_the_limits_once_root_is_given_up():
    said, _ = behind("answer = os.fork()", "user", "limits")
    assert said.startswith("raised BlockingIOError")


def test_processor_time_is_bounded():
    started = time.monotonic()
    said, status = behind("while True:\n    pass", "limits", seconds=1)
    assert os.WIFSIGNALED(status) and said == "" and time.monotonic() - started < 30


def test_what_is_allowed_still_works():
    said, status = behind(
        "import time\nanswer = [time.time() > 0, len(os.urandom(4)), sum(range(10)), [0] * 100000 and 1]"
    )
    assert said == "done [True, 4, 45, 1]" and status == 0


@pytest.mark.parametrize(
    ("layer", "part", "without"),
    [("_seccomp", "seccomp", False), ("_landlock", "landlock", None), ("limit", "rlimits", False),
     ("give_up_root", "user", "root")],
)  # fmt: skip
def test_the_probe_notices_a_layer_that_does_not_hold(layer, part, without, monkeypatch):
    if layer == "give_up_root" and os.geteuid() != 0:
        pytest.skip("nobody gives up root here")
    monkeypatch.setattr(wall, layer, lambda *_: None)
    assert wall.probe()[part] == without
