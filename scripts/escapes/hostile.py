"""The zygote with the policy off: what it tries is plain Python, with every module an attempt may want.

`python -m scripts.escapes.hostile` takes the place of `batos.guardian.zygote` (or `hostile portable` that
of `batos.guardian.portable`): the same process, pipes and wall, but a draft is run as it stands, with all
built-ins and `ctypes`, and no audit hook ends it (but in the portable tier, which has no other net).
`hostile root` keeps root where it is root, so that the other layers are proved against all rights a process
can have.  What a draft answers is told as its outcome, and what it attempted, as CPython reports it, as
`changes`.
"""

from __future__ import annotations

import importlib
import platform
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

from batos.guardian import portable, trial, wall, zygote
from batos.objects import UvmObject
from batos.objects.snapshot import from_data
from batos.objects.traits import make_traits

OFFERED = """
    bisect collections copy datetime decimal fractions functools heapq itertools json math random re
    statistics string textwrap ctypes
"""
# Found while files can still be read: a module that cannot be imported would make an attempt look stopped.
LOADED = """
    _io _multiprocessing _pickle _posixsubprocess _sitebuiltins _socket _thread abc asyncio codecs
    concurrent.futures.thread contextlib copyreg dataclasses dbm.dumb enum fcntl fileinput ftplib gc glob
    http.client importlib.machinery inspect io linecache logging marshal mmap multiprocessing.pool
    multiprocessing.popen_fork multiprocessing.shared_memory operator pathlib pickle pty resource runpy select
    selectors shelve shutil signal smtplib socket socketserver sqlite3 ssl subprocess syslog tempfile
    threading tokenize traceback types typing unittest.mock urllib.request warnings weakref webbrowser xml.sax
    xml.sax.expatreader zipfile zmq
"""
# (x86-64, aarch64), from the kernel's tables
NUMBERS = {
    "open": (2, None), "close": (3, 57), "stat": (4, None), "connect": (42, 203), "socket": (41, 198),
    "sendto": (44, 206), "clone": (56, 220), "fork": (57, None), "execve": (59, 221), "kill": (62, 129),
    "truncate": (76, 45), "creat": (85, None), "personality": (135, 92), "reboot": (169, 142),
    "init_module": (175, 105), "tkill": (200, 130), "io_setup": (206, 0), "timer_create": (222, 107),
    "clock_settime": (227, 112), "tgkill": (234, 131), "add_key": (248, 217), "openat": (257, 56),
    "tee": (276, 77), "perf_event_open": (298, 241), "rt_sigqueueinfo": (129, 138), "prlimit64": (302, 261),
    "name_to_handle_at": (303, 264), "seccomp": (317, 277), "memfd_create": (319, 279), "bpf": (321, 280),
    "execveat": (322, 281), "userfaultfd": (323, 282), "statx": (332, 291), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "fsopen": (430, 430), "pidfd_open": (434, 434), "clone3": (435, 435),
    "openat2": (437, 437), "pidfd_getfd": (438, 438), "memfd_secret": (447, 447), "capget": (125, 90),
    "sethostname": (170, 161),
}  # fmt: skip
OLD = platform.machine().lower() in ("x86_64", "amd64")


def call(name: str, elsewhere: str, *arguments: Any) -> int:
    """A system call by number: `name` on x86-64, `elsewhere` where the older calls are gone."""
    number = NUMBERS[name][0] if OLD else NUMBERS[elsewhere][1]
    return wall._libc.syscall(number, *arguments)


call.old = OLD
_attempted: Counter[str] = Counter()


def receiver() -> UvmObject:
    """The object that payloads are methods of."""
    made = UvmObject(make_traits(), balance=100, log=[1, 2], rates={"a": 2})
    made._name = "account"
    return made


def outcomes(given: dict[str, Any], draft: str) -> Iterator[dict[str, Any]]:
    """In place of `trial.outcomes`: the draft as plain Python, once a call."""
    for each in given["calls"]:
        yield tried(draft, given["circle"], each["args"])


def tried(draft: str, circle: dict[str, Any], arguments: list[Any]) -> dict[str, Any]:
    account, _, _ = from_data(circle)
    space = {name: sys.modules[name] for name in OFFERED.split()}
    space |= {"call": call, "libc": wall._libc}
    told: dict[str, Any]
    sys.addaudithook(_watch)
    try:
        exec(compile(draft, "<payload>", "exec"), space)  # noqa: S102 - that is what this module is for
        answer = space["m"](account, *arguments)
        told = {"result": (answer if isinstance(answer, str) else repr(answer))[:2000]}
    except BaseException as exc:  # noqa: BLE001
        said = [repr(each)[:300] for each in exc.args[:3]]
        told = {"error": type(exc).__name__, "message": " ".join(said)[: trial.MAX_SAID]}
    return {**told, "changes": {"attempted": dict(_attempted)}, "flagged": False}


def _watch(event: str, _: Any) -> None:
    if event.partition(".")[0] in trial.OUTSIDE:
        _attempted[event] += 1


def prepare(watched: bool = False) -> None:
    """Load what attempts may want and take the policy off, and the audit hook, unless it is the last net."""
    for name in (OFFERED + LOADED).split():
        try:
            importlib.import_module(name)
        except ImportError:
            print(f"{name} is not there", file=sys.stderr)
    trial.outcomes = outcomes
    if not watched:
        trial._watch = lambda event, args: None
    trial.warm_up = lambda: None


if __name__ == "__main__":
    prepare(watched="portable" in sys.argv)
    if "root" in sys.argv:
        wall.give_up_root = lambda: None
    sys.stdin = sys.stdout = None
    (portable if "portable" in sys.argv else zygote).main()
