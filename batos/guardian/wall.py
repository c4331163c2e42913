"""The wall around a trial: what the kernel of the operating system enforces, whatever Python does.

`enter` is called in a freshly forked child and cannot be undone.  Its layers hold apart from one
another: every descriptor is closed but the trial's own two pipes; root is given up; Landlock takes away
files, TCP and signals to others (where the kernel has it); rlimits bound CPU, memory, processes and
files; seccomp leaves an allow-list of system calls: memory, clocks, ending, reading from one pipe and
writing to the other.  `probe` tries each of them and says what this machine really enforces.

What is not held: time can be measured; and what breaks out of the restricted language can forge its
own answer, since it shares a process with what tells it.  It can reach nobody else's.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import platform
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any

try:
    import pwd
    import resource
except ImportError:  # Windows
    pwd = resource = None

IN, OUT = 0, 1  # the only file descriptors of a walled child: the pipes of its trial and of its answer
MOST_DESCRIPTORS = 65_536  # of a process of ours; the zygote has a dozen

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_RET_KILL, _RET_ALLOW, _RET_ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_LD_WORD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # classic BPF
_MAP_LOCKED, _MAP_HUGETLB, _MADV_HWPOISON = 0x2000, 0x40000, 100

# Numbers from the kernel's tables; what does not exist on a machine is left out.
_CALLS: dict[str, dict[str, Any]] = {
    "x86_64": {
        "audit": 0xC000003E,
        "read": 0, "write": 1, "mmap": 9, "madvise": 28,
        "allow": {
            "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14,
            "rt_sigreturn": 15, "sched_yield": 24, "mremap": 25, "nanosleep": 35, "getpid": 39,
            "exit": 60, "gettimeofday": 96, "getrusage": 98, "sigaltstack": 131, "gettid": 186, "futex": 202,
            "time": 201, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
            "clock_nanosleep": 230, "exit_group": 231, "getrandom": 318, "membarrier": 324, "rseq": 334,
        },
        "kill": {
            "socket": 41, "connect": 42, "socketpair": 53, "clone": 56, "fork": 57, "vfork": 58, "execve": 59,
            "kill": 62,
            "ptrace": 101, "tkill": 200, "tgkill": 234, "process_vm_readv": 310, "process_vm_writev": 311,
            "bpf": 321,
            "execveat": 322, "userfaultfd": 323, "io_uring_setup": 425, "pidfd_open": 434, "clone3": 435,
            "mount": 165,
            "unshare": 272, "setns": 308, "reboot": 169, "init_module": 175, "kexec_load": 246,
        },
    },
    "aarch64": {
        "audit": 0xC00000B7,
        "read": 63, "write": 64, "mmap": 222, "madvise": 233,
        "allow": {
            "exit": 93, "exit_group": 94, "futex": 98, "nanosleep": 101, "clock_gettime": 113,
            "clock_getres": 114,
            "clock_nanosleep": 115, "restart_syscall": 128, "sched_yield": 124, "sigaltstack": 132,
            "rt_sigaction": 134,
            "rt_sigprocmask": 135, "rt_sigreturn": 139, "getrusage": 165, "gettimeofday": 169, "getpid": 172,
            "gettid": 178,
            "brk": 214, "munmap": 215, "mremap": 216, "mprotect": 226,
            "getrandom": 278,
            "membarrier": 283, "rseq": 293,
        },
        "kill": {
            "ptrace": 117, "kill": 129, "tkill": 130, "tgkill": 131, "socket": 198, "socketpair": 199,
            "connect": 203,
            "clone": 220, "execve": 221, "process_vm_readv": 270, "process_vm_writev": 271, "bpf": 280,
            "execveat": 281,
            "userfaultfd": 282, "io_uring_setup": 425, "pidfd_open": 434, "clone3": 435, "mount": 40,
            "unshare": 97,
            "setns": 268, "reboot": 142, "init_module": 105, "kexec_load": 104,
        },
    },
}  # fmt: skip
_MACHINE = _CALLS.get(
    {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
)
LINUX = sys.platform.startswith("linux")

_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446  # the same on every machine
# File-system rights by ABI: 13 in the first, then refer, truncate, ioctl; TCP bind and connect from the
# fourth; abstract sockets and signals to others from the sixth.
_LANDLOCK_FILES = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}

_libc = ctypes.CDLL(None, use_errno=True) if LINUX else None


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def _filter() -> bytes:
    """The seccomp program: allowed calls pass, hostile ones end the process, others answer EPERM."""
    refuse = _op(_RETURN, _RET_ERRNO | errno.EPERM)
    program = [
        _op(_LD_WORD, 4),
        _op(_JUMP_EQUAL, _MACHINE["audit"], 1, 0),
        _op(_RETURN, _RET_KILL),
        _op(_LD_WORD, 0),
    ]
    if _MACHINE["audit"] == 0xC000003E:  # the x32 numbers would walk around the list
        program += [_op(_JUMP_AT_LEAST, 0x40000000, 0, 1), _op(_RETURN, _RET_KILL)]
    for number in _MACHINE["allow"].values():
        program += [_op(_JUMP_EQUAL, number, 0, 1), _op(_RETURN, _RET_ALLOW)]
    for number in _MACHINE["kill"].values():
        program += [_op(_JUMP_EQUAL, number, 0, 1), _op(_RETURN, _RET_KILL)]
    # By an argument (the low word of the first stands at offset 16, of the next at 24): reading and
    # writing one descriptor only; no memory that is locked or of huge pages; no advice that takes pages away.
    for call, offset, admitted in (
        ("read", 16, _op(_JUMP_EQUAL, IN, 0, 1)),
        ("write", 16, _op(_JUMP_EQUAL, OUT, 0, 1)),
        ("mmap", 40, _op(_JUMP_ANY_BIT, _MAP_LOCKED | _MAP_HUGETLB, 1, 0)),
        ("madvise", 32, _op(_JUMP_AT_LEAST, _MADV_HWPOISON, 1, 0)),
    ):
        number = _op(_JUMP_EQUAL, _MACHINE[call], 0, 4)
        program += [number, _op(_LD_WORD, offset), admitted, _op(_RETURN, _RET_ALLOW), refuse]
    return b"".join([*program, refuse])


_FILTER = ctypes.create_string_buffer(_filter()) if LINUX and _MACHINE else None


def _nobody() -> int:
    try:
        return pwd.getpwnam("nobody").pw_uid
    except (AttributeError, KeyError):
        return 65_534


NOBODY = _nobody()


def _prctl(option: int, *values: int) -> None:
    arguments = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    if _libc.prctl(option, *arguments) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


# -- the layers ------------------------------------------------------------------------------------------


def keep_only(reading: int, writing: int) -> None:
    """Close every descriptor but these two, which become `IN` and `OUT`."""
    if reading == OUT:
        reading = os.dup(reading)
    if writing != OUT:
        os.dup2(writing, OUT)
    if reading != IN:
        os.dup2(reading, IN)
    # Not up to the rlimit: what was opened before it was lowered lies above it.
    os.closerange(OUT + 1, MOST_DESCRIPTORS)


def give_up_root() -> None:
    """Root becomes nobody: no rlimit on processes binds root, and its rights go past the other layers."""
    if getattr(os, "geteuid", lambda: 1)() != 0:
        return
    with contextlib.suppress(OSError):  # a container may have no right to change users; `probe` tells
        os.setgroups([])
        os.setgid(NOBODY)  # of root these set the saved ids too: there is no way back
        os.setuid(NOBODY)


def _alone(parent: int) -> None:
    """Die with the parent, never gain rights, be looked into by nobody of the same user."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # after the user has changed, which forgets it
    if os.getppid() != parent:
        raise OSError(errno.ESRCH, "the zygote is gone")
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_DUMPABLE, 0)


def landlock_abi() -> int:
    """The Landlock ABI of the running kernel, 0 where there is none."""
    if not LINUX:
        return 0
    return max(0, _libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))


def _landlock() -> None:
    abi = landlock_abi()
    if not abi:
        return
    files = (1 << _LANDLOCK_FILES[min(abi, 5)]) - 1
    fields = [files] + ([3] if abi >= 4 else []) + ([3] if abi >= 6 else [])
    rights = ctypes.create_string_buffer(struct.pack(f"{len(fields)}Q", *fields))
    ruleset = _libc.syscall(_LANDLOCK_CREATE, rights, ctypes.c_size_t(8 * len(fields)), ctypes.c_uint32(0))
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    if _libc.syscall(_LANDLOCK_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(0)) != 0:
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    os.close(ruleset)


def mapped() -> int:
    """Bytes of address space this process has now, 0 where that cannot be told."""
    if not LINUX:
        return 0
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[0]) * mmap.PAGESIZE


def limit(seconds: int, space: int) -> None:
    """The rlimits: CPU seconds, bytes of address space, no processes, no files, nothing left behind."""
    if resource is None:
        return
    wanted = {
        "RLIMIT_CPU": seconds, "RLIMIT_AS": space, "RLIMIT_FSIZE": 0, "RLIMIT_NPROC": 0, "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0, "RLIMIT_NOFILE": OUT + 1, "RLIMIT_MSGQUEUE": 0, "RLIMIT_SIGPENDING": 0,
    }  # fmt: skip
    for name, value in wanted.items():
        if hasattr(resource, name):
            with contextlib.suppress(ValueError, OSError):  # macOS refuses some; `probe` tells
                resource.setrlimit(getattr(resource, name), (value, value))


def _seccomp() -> None:
    program = _Program((len(_FILTER) - 1) // 8, ctypes.cast(_FILTER, ctypes.c_void_p))
    if _libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(program)) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def enter(
    reading: int,
    writing: int,
    parent: int,
    seconds: int,
    memory: int,
    seccomp: bool = True,
    landlock: bool = True,
) -> None:
    """Wall this process in: from here on it reads from `IN`, computes, writes to `OUT`, and ends.

    `parent` is the process that forked it, with which it dies; `seconds` of CPU; `memory` in bytes beyond
    what is mapped now; `seccomp` and `landlock` as `probe` found them.  Raises `OSError` if the kernel
    refuses; the caller then ends the process without running anything.
    """
    keep_only(reading, writing)
    space = mapped() + memory  # while it can be read
    give_up_root()
    _alone(parent)
    if landlock:
        _landlock()  # before the limits: making the ruleset takes a descriptor for a moment
    limit(seconds, space)
    if seccomp:
        _seccomp()


# -- what holds here -------------------------------------------------------------------------------------


def probe() -> dict[str, Any]:
    """What holds on this machine, found by trying each layer alone in a child:

    seccomp   other system calls are denied, hostile ones end the process
    landlock  files, TCP and signals: "abi 7", or None
    rlimits   memory, descriptors and the size of files are bounded
    user      whom a trial runs as: "nobody", "root" where it cannot be given up, or "the same"
    """
    return {
        "tier": "kernel",
        "seccomp": bool(_MACHINE) and _holds(_stopped_by_seccomp, signal.SIGSYS),
        "landlock": f"abi {landlock_abi()}" if landlock_abi() and _holds(_stopped_by_landlock) else None,
        "rlimits": _holds(_stopped_by_limits),
        "user": "the same" if os.geteuid() != 0 else "nobody" if _holds(_no_longer_root) else "root",
    }


def _holds(attempt: Callable[[], None], signalled: int = 0) -> bool:
    """Did a forked child return from `attempt`, or was it ended by the signal that was expected?"""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            attempt()
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    return os.WTERMSIG(status) == signalled if signalled else status == 0


def _denied(attempt: Callable[[], Any]) -> None:
    try:
        attempt()
    except (OSError, MemoryError):
        return
    raise AssertionError("that was not denied")


def _stopped_by_seccomp() -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _seccomp()
    _denied(lambda: os.open("/", os.O_RDONLY))
    os.fork()


def _stopped_by_landlock() -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _landlock()
    _denied(lambda: os.open("/", os.O_RDONLY))


def _stopped_by_limits() -> None:
    os.closerange(0, MOST_DESCRIPTORS)
    os.pipe()
    limit(1, mapped() + (1 << 26))
    _denied(os.pipe)
    _denied(lambda: bytearray(1 << 27))


def _no_longer_root() -> None:
    give_up_root()
    if 0 in os.getresuid():
        raise AssertionError("still root")
