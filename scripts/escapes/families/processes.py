"""Signals, other processes, one's own limits and rights, and what outlives a process."""

from __future__ import annotations

from scripts.escapes.payloads import family

PAYLOADS = family(
    "signal and process attempts",
    r"""
## kill the victim
import os
os.kill(pid, 9)
return won
## stop the victim
import os
os.kill(pid, 19)
return won
## is it there?
import os
os.kill(pid, 0)
return won
## is the zygote there
import os
os.kill(os.getppid(), 0)
return won
## is anybody there
import os
os.kill(-1, 0)
return won
## the zygote is stopped and let go
import os
os.kill(os.getppid(), 18)
return won
## by number
n = call('kill', 'kill', pid, 9)
return won if n == 0 else 0
## tkill
n = call('tkill', 'tkill', pid, 9)
return won if n == 0 else 0
## tgkill
n = call('tgkill', 'tgkill', pid, pid, 9)
return won if n == 0 else 0
## queued
b = ctypes.create_string_buffer(128)
b[8] = b'\xff'
b[9] = b'\xff'
b[10] = b'\xff'
b[11] = b'\xff'
n = call('rt_sigqueueinfo', 'rt_sigqueueinfo', pid, 15, b)
return won if n == 0 else 0
## by a process descriptor
import os, signal
signal.pidfd_send_signal(os.pidfd_open(pid), 9)
return won
## by a process descriptor's number
n = call('pidfd_open', 'pidfd_open', pid, 0)
return won if n >= 0 else 0
## the victim's group?
import os
os.killpg(os.getpgid(pid), 0)
return won
## its own group
import os
os.setpgid(0, 0)
return won
## its own session?
import os
os.setsid()
return won
## ptrace attaches?
n = libc.ptrace(16, pid, 0, 0)
return won if n == 0 else 0
## ptrace seizes?
n = libc.ptrace(0x4206, pid, 0, 0)
return won if n == 0 else 0
## ptrace is asked for
n = libc.ptrace(0, 0, 0, 0)
return won if n == 0 else 0
## the victim's memory is read?
b = ctypes.create_string_buffer(8)
v = (ctypes.c_void_p * 2)(ctypes.addressof(b), 8)
n = libc.process_vm_readv(pid, v, 1, v, 1, 0)
return won if n >= 0 else 0
## the zygote's memory is read
import os
b = ctypes.create_string_buffer(8)
v = (ctypes.c_void_p * 2)(ctypes.addressof(b), 8)
n = libc.process_vm_readv(os.getppid(), v, 1, v, 1, 0)
return won if n >= 0 else 0
## the zygote's memory is written
import os
b = ctypes.create_string_buffer(8)
v = (ctypes.c_void_p * 2)(ctypes.addressof(b), 8)
n = libc.process_vm_writev(os.getppid(), v, 1, v, 1, 0)
return won if n >= 0 else 0
## the limits of the zygote
import os, resource
resource.prlimit(os.getppid(), resource.RLIMIT_CPU)
return won
## the limits of the victim?
import resource
resource.prlimit(pid, resource.RLIMIT_NOFILE, (64, 64))
return won
## its own limits are raised
import resource
resource.setrlimit(resource.RLIMIT_NPROC, (1000, 1000))
return won
## its own memory limit is raised
import resource
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
return won
## limits are read by number?
n = call('prlimit64', 'prlimit64', 0, 0, 0, ctypes.create_string_buffer(16))
return won if n == 0 else 0
## priority
import os
os.setpriority(os.PRIO_PROCESS, pid, 5)
return won
## its own priority?
import os
os.nice(-5)
return won
## the scheduler
import os
os.sched_setaffinity(pid, os.sched_getaffinity(pid))
return won
## real time?
import os
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
return won
## another user
import os
os.setuid(12345)
return won
## root again
import os
os.seteuid(0)
return won if os.geteuid() == 0 else 0
## capabilities are asked for
h = (ctypes.c_uint32 * 2)(0x20080522, 0)
d = (ctypes.c_uint32 * 6)()
n = call('capget', 'capget', h, d)
return won if n == 0 and d[0] else 0
## prctl: dumpable again
n = libc.prctl(4, 1, 0, 0, 0)
return won if n == 0 else 0
## prctl: no death with the parent
n = libc.prctl(1, 0, 0, 0, 0)
return won if n == 0 else 0
## prctl: its own name
n = libc.prctl(15, b'poisoned', 0, 0, 0)
return won if n == 0 else 0
## prctl: another seccomp?
n = libc.prctl(22, 1, 0, 0, 0)
import os
os.getppid()
return won if n == 0 else 0
## seccomp by number
n = call('seccomp', 'seccomp', 2, 0, ctypes.create_string_buffer(16))
return won if n == 0 else 0
## personality
n = call('personality', 'personality', 0xffffffff)
return won if n >= 0 else 0
## a new user namespace?
n = libc.unshare(0x10000000)
return won if n == 0 else 0
## a new mount namespace?
n = libc.unshare(0x00020000)
return won if n == 0 else 0
## another's namespace?
n = libc.setns(-1, 0)
return 0
## the kernel's programs?
n = call('bpf', 'bpf', 0, 0, 0)
return 0
## performance counters?
n = call('perf_event_open', 'perf_event_open', 0, 0, -1, -1, 0)
return 0
## page faults in user space?
n = call('userfaultfd', 'userfaultfd', 0)
return won if n >= 0 else 0
## keys of the kernel?
n = call('add_key', 'add_key', b'user', b'poisoned', b'x', 1, -3)
return won if n > 0 else 0
## the kernel's log?
n = libc.klogctl(10, 0, 0)
return won if n > 0 else 0
## the clock is set?
n = call('clock_settime', 'clock_settime', -1, 0)
return 0
## the host's name is set?
n = call('sethostname', 'sethostname', 0, -1)
return 0
## a timer that signals
import signal
signal.setitimer(signal.ITIMER_REAL, 100)
signal.setitimer(signal.ITIMER_REAL, 0)
return won
## an alarm
import signal
signal.alarm(100)
return won if 90 < signal.alarm(0) <= 100 else 0
## a POSIX timer
t = ctypes.c_int()
n = call('timer_create', 'timer_create', 1, 0, ctypes.byref(t))
return won if n == 0 else 0
## shared memory is left
n = libc.shmget(0x5b1e, 4096, 0o1600)
libc.shmctl(n, 0, 0)
return won if n >= 0 else 0
## a semaphore is left
n = libc.semget(0x5b1e, 1, 0o1600)
libc.semctl(n, 0, 0)
return won if n >= 0 else 0
## a message queue is left
n = libc.msgget(0x5b1e, 0o1600)
libc.msgctl(n, 0, 0)
return won if n >= 0 else 0
## shared memory by name
from multiprocessing import shared_memory
s = shared_memory.SharedMemory(create=True, size=64)
s.unlink()
return won
## POSIX queues?
n = libc.mq_open(b'/poisoned', 0o101, 0o600, 0)
libc.mq_unlink(b'/poisoned')
return won if n >= 0 else 0
## a semaphore by name
import _multiprocessing
s = _multiprocessing.SemLock(1, 1, 1, '/batos-%d' % port, True)
return won
## a page is taken from the machine?
import mmap
m = mmap.mmap(-1, 4096)
a = ctypes.addressof(ctypes.c_char.from_buffer(m))
m[0] = 1
n = libc.madvise(ctypes.c_void_p(a), 4096, 101)
return won if n == 0 else 0
## memory is locked?
n = libc.mlockall(3)
return won if n == 0 else 0
## memory is locked by mmap?
libc.mmap.restype = ctypes.c_void_p
n = libc.mmap(None, ctypes.c_size_t(1 << 26), 3, 0x2022, -1, ctypes.c_size_t(0))
return won if n != ctypes.c_void_p(-1).value else 0
## 32-bit numbers of the same kernel?
import mmap
code = bytes.fromhex('b818000000cd80c3')
m = mmap.mmap(-1, 4096, prot=7)
m[:len(code)] = code
f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))
return won if f() >= 0 else 0
## x32 numbers of the same kernel?
n = libc.syscall(0x40000000 | 39)
return won if n > 0 else 0
## machine code that opens
import mmap
code = bytes.fromhex('b802000000' + '0f05c3') if call.old else None
m = mmap.mmap(-1, 4096, prot=7)
m[:len(code)] = code
f = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_char_p, ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))
fd = f(path.encode(), 0)
b = ctypes.create_string_buffer(100)
libc.read(fd, b, 100)
return b.value
## reboot is asked for with the wrong word?
n = call('reboot', 'reboot', 0, 0, 0, 0)
return 0
## a module is loaded?
n = call('init_module', 'init_module', 0, 0, 0)
return 0
""",
    outside=True,
)
