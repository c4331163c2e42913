"""The wall around a trial: what the kernel of the operating system enforces, whatever Python does.

`enter` is called in a freshly forked child and cannot be undone: limits of CPU, memory, processes and
files (rlimits), no file system and no TCP (Landlock, where the kernel has it), and an allow-list of
system calls (seccomp): memory, clocks, ending, and writing to the one pipe.  It holds for root too.
`probe` tries it and says what this machine really enforces.  On systems other than Linux only the
rlimits are there, and `probe` says so.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import signal
import struct
import sys
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None

OUT = 3  # the only file descriptor a walled child has: the pipe its answer goes to

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_RET_KILL, _RET_ALLOW, _RET_ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_LD_WORD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # classic BPF

# Numbers from the kernel's tables; what does not exist on a machine is left out.
_CALLS: dict[str, dict[str, Any]] = {
    "x86_64": {
        "audit": 0xC000003E,
        "write": 1,
        "allow": {
            "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14,
            "rt_sigreturn": 15, "sched_yield": 24, "mremap": 25, "madvise": 28, "nanosleep": 35, "getpid": 39,
            "exit": 60, "gettimeofday": 96, "getrusage": 98, "sigaltstack": 131, "gettid": 186, "futex": 202,
            "time": 201, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
            "clock_nanosleep": 230,
            "exit_group": 231, "getrandom": 318, "membarrier": 324, "rseq": 334,
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
        "write": 64,
        "allow": {
            "exit": 93, "exit_group": 94, "futex": 98, "nanosleep": 101, "clock_gettime": 113,
            "clock_getres": 114,
            "clock_nanosleep": 115, "restart_syscall": 128, "sched_yield": 124, "sigaltstack": 132,
            "rt_sigaction": 134,
            "rt_sigprocmask": 135, "rt_sigreturn": 139, "getrusage": 165, "gettimeofday": 169, "getpid": 172,
            "gettid": 178,
            "brk": 214, "munmap": 215, "mremap": 216, "mmap": 222, "mprotect": 226, "madvise": 233,
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
_LINUX = sys.platform.startswith("linux")

_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446  # the same on every machine
# File-system rights by ABI: 13 in the first, then refer, truncate, ioctl; TCP bind and connect from the
# fourth; abstract sockets and signals to others from the sixth.
_LANDLOCK_FILES = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}

_libc = ctypes.CDLL(None, use_errno=True) if _LINUX else None


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
    # write, but to one descriptor only (the low word of its first argument stands at offset 16)
    program += [
        _op(_JUMP_EQUAL, _MACHINE["write"], 0, 3), _op(_LD_WORD, 16), _op(_JUMP_EQUAL, OUT, 0, 1),
        _op(_RETURN, _RET_ALLOW), refuse,
    ]  # fmt: skip
    return b"".join(program)


_FILTER = ctypes.create_string_buffer(_filter()) if _LINUX and _MACHINE else None


def _prctl(option: int, *values: int) -> None:
    arguments = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    if _libc.prctl(option, *arguments) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def landlock_abi() -> int:
    """The Landlock ABI of the running kernel, 0 where there is none."""
    if not _LINUX:
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


def _seccomp() -> None:
    program = _Program((len(_FILTER) - 1) // 8, ctypes.cast(_FILTER, ctypes.c_void_p))
    if _libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(program)) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def keep_only(out: int) -> None:
    """Close every descriptor but `out`, which becomes `OUT`."""
    if out != OUT:
        os.dup2(out, OUT)
    os.closerange(0, OUT)
    os.closerange(
        OUT + 1, 65536 if resource is None else min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 65536)
    )


def limit(seconds: int, memory: int) -> None:
    """The rlimits: CPU seconds, bytes of address space beyond what is mapped now, no processes, no files."""
    if resource is None:
        return
    mapped = 0
    if _LINUX:
        with open("/proc/self/statm") as statm:
            mapped = int(statm.read().split()[0]) * resource.getpagesize()
    wanted = {
        "RLIMIT_CPU": seconds, "RLIMIT_AS": mapped + memory, "RLIMIT_FSIZE": 0, "RLIMIT_NPROC": 0,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0, "RLIMIT_NOFILE": OUT + 1, "RLIMIT_MSGQUEUE": 0,
    }  # fmt: skip
    for name, value in wanted.items():
        if hasattr(resource, name):
            with contextlib.suppress(ValueError, OSError):  # macOS refuses some; `probe` tells
                resource.setrlimit(getattr(resource, name), (value, value))


def enter(out: int, parent: int, seconds: int, memory: int, seccomp: bool = True) -> None:
    """Wall this process in: from here on it computes, writes to `OUT`, and ends.

    `parent` is the process that forked it, with which it dies.  Raises `OSError` if the kernel
    refuses; the caller then ends the process without running anything.
    """
    limit_now = (seconds, memory)
    if _LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            raise OSError(errno.ESRCH, "the zygote is gone")
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        _prctl(_PR_SET_DUMPABLE, 0)
    limit(*limit_now)
    keep_only(out)
    if _LINUX:
        _landlock_once()
        if seccomp:
            _seccomp()


def _landlock_once() -> None:
    if resource is not None:  # making the ruleset takes a descriptor for a moment
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (OUT + 2, OUT + 2))
    _landlock()
    if resource is not None:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (OUT + 1, OUT + 1))


def probe() -> dict[str, Any]:
    """What holds on this machine, found by trying: seccomp, landlock ("abi 4" or None), rlimits."""
    told: dict[str, Any] = {
        "seccomp": False,
        "landlock": None,
        "rlimits": resource is not None,
        "system": platform.system(),
    }
    if not hasattr(os, "fork"):
        return told
    if _LINUX and _MACHINE:
        told["seccomp"] = _dies_of_fork()
    abi = landlock_abi()
    if abi and _cannot_open():
        told["landlock"] = f"abi {abi}"
    return told


def _tried(attempt: Any) -> int:
    """The wait status of a forked child that runs `attempt`."""
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(attempt(parent))
        finally:
            os._exit(9)
    return os.waitpid(pid, 0)[1]


def _dies_of_fork() -> bool:
    def attempt(parent: int) -> int:
        _, writing = os.pipe()
        enter(writing, parent, 1, 1 << 28)
        try:
            os.open("/", os.O_RDONLY)
            return 1
        except PermissionError:
            pass
        os.fork()
        return 2

    status = _tried(attempt)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSYS


def _cannot_open() -> bool:
    def attempt(parent: int) -> int:
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        _landlock()
        try:
            os.close(os.open("/", os.O_RDONLY))
            return 1
        except PermissionError:
            return 0

    status = _tried(attempt)
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
