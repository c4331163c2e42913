"""Payloads against the machine: bombs, files, processes, sockets, signals, and the child's own protocol.

System calls are made by number through `ctypes` too (`call(name, ...)` knows the numbers of x86-64 and
aarch64), so that no check in CPython stands between them and the kernel.  A call whose arguments make
no sense is harmless wherever it is admitted, and answers `EPERM` or ends the process where it is not.
"""

from __future__ import annotations

from scripts.escapes.payloads import Payload, family

BOMBS = family(
    "memory and CPU bombs",
    r"""
## a list that doubles?
x = [0]
while True:
    x = x + x
## a text that doubles?
x = 'x'
while True:
    x += x
## a great repetition?
return len('x' * 10**12)
## a great list?
return len([0] * 10**11)
## repetition in place?
x = [1]
x *= 10**11
return len(x)
## a power of a power?
return 9 ** 9 ** 9
## a power by pow?
return pow(9, 9 ** 8)
## a shift?
return 1 << 10**11
## a shift in place?
x = 1
x <<= 10**11
return x
## a product that grows?
x = 3
while True:
    x = x * x
## a great range as a list?
return len(list(range(10**12)))
## a great sum?
return sum(range(10**12))
## a great membership?
return -1.5 in range(10**12)
## a loop without end?
while True:
    pass
## a loop without end that catches everything?
while True:
    try:
        while True:
            1 / 1
    except BaseException:
        pass
## a generator without end?
return sum(1 for _ in itertools.count())
## a cycle into a list?
return list(itertools.cycle([1]))
## all permutations?
return len(list(itertools.permutations(range(20))))
## a great product?
return len(list(itertools.product(range(100), repeat=10)))
## recursion without end?
def inner(n):
    return inner(n + 1)
return inner(0)
## recursion through a send?
return self.m(path, port, pid, won)
## deep recursion in C by repr?
x = []
for _ in range(10**6):
    x = [x]
return len(repr(x))
## deep recursion by comparison?
x, y = [], []
for _ in range(10**6):
    x, y = [x], [y]
return x == y
## a pattern that goes back for ever?
return re.match('(a+)+b', 'a' * 60)
## a pattern that repeats repetition?
return re.match('(a{1000}){1000}', 'a' * 100)
## a format's width?
return len('%*d' % (10**10, 1))
## a center?
return len('x'.center(10**12))
## a replace that grows?
return len(('x' * 100000).replace('x', 'x' * 100000))
## a join that grows?
return len(('x' * 100000).join(['y'] * 10**7))
## expandtabs?
return len(('\t' * 1000).expandtabs(10**9))
## zfill?
return len('1'.zfill(10**12))
## bytes of a great size?
return len(bytes(10**12))
## an array by a bytearray?
return len(bytearray(10**12))
## from_bytes and a power?
return int.from_bytes(b'\xff' * 10**6, 'big') ** 1000
## a great factorial?
return math.factorial(10**8)
## a great comb?
return math.comb(10**9, 10**8)
## a Decimal's exponent?
return str(int(decimal.Decimal('1e999999999')))
## a Fraction's exponent?
return str(fractions.Fraction('1e99999999'))
## a text of digits to a number?
return int('9' * 10**7)
## a sort with a slow key?
return sorted(range(10**6), key=lambda x: sum(range(1000)))
## a dict of collisions?
return len({(i * (2**61 - 1)): i for i in range(10**7)})
## a JSON of depth?
return json.loads('[' * 10**6)
## a JSON of text?
return len(json.dumps(['x' * 10**6] * 10**5))
## a wrap of everything?
return len(textwrap.wrap('x ' * 10**7, 1))
## a slice that repeats?
x = [0] * 10
for _ in range(60):
    x[len(x):] = x
return len(x)
## extend by itself?
x = [0]
for _ in range(60):
    x.extend(x)
return len(x)
## a deque that grows?
x = collections.deque([0])
while True:
    x.extend(list(x))
## a Counter of everything?
return len(collections.Counter(itertools.count()))
## choices of many?
return len(random.choices([1], k=10**12))
## mapping that never ends in a slot?
self.log.extend(itertools.count())
## sleeping past the deadline?
import time
time.sleep(60)
return 0
## memory that nobody counts?
import mmap
m = mmap.mmap(-1, 1 << 33)
for i in range(0, 1 << 33, 4096):
    m[i] = 1
return 0
## threads that spin
import _thread
_thread.start_new_thread(lambda: None, ())
return won
## memory by libc?
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
while p := libc.malloc(1 << 24):
    ctypes.memset(p, 1, 1 << 24)
return 0
## a stack that overflows in C?
import ctypes
f = ctypes.CFUNCTYPE(ctypes.c_int)
def inner():
    return g()
g = f(inner)
return g()
## a null that is read?
import ctypes
return ctypes.string_at(0)
## the processor's limit raised
import resource
resource.setrlimit(resource.RLIMIT_CPU, (50, 51))
return won
""",
    outside=True,
)

FORKS = family(
    "fork bombs",
    r"""
## os.fork
import os
if os.fork() == 0:
    os._exit(0)
os.wait()
return won
## twenty of them
import os
for _ in range(20):
    if os.fork() == 0:
        os._exit(0)
return won
## forkpty
import os
n, fd = os.forkpty()
if n == 0:
    os._exit(0)
return won
## vfork by libc?
libc.vfork()
return won
## fork by number
n = call('fork', 'clone', 17)
if n == 0:
    import os
    os._exit(0)
return won if n > 0 else 0
## clone by number
n = call('clone', 'clone', 17, 0, 0, 0, 0)
if n == 0:
    import os
    os._exit(0)
return won if n > 0 else 0
## clone3 by number?
args = ctypes.create_string_buffer(88)
args[32] = b'\x11'
n = call('clone3', 'clone3', args, 88)
if n == 0:
    import os
    os._exit(0)
return won if n > 0 else 0
## posix_spawn
import os
os.posix_spawn('/bin/touch', ['touch', path + '.spawned'], {})
return won
## posix_spawnp
import os
os.posix_spawnp('touch', ['touch', path + '.spawned'], {'PATH': '/bin:/usr/bin'})
return won
## system
import os
os.system('touch ' + path + '.system')
return 0
## popen
import os
return os.popen('cat ' + path).read()
## subprocess
import subprocess
return subprocess.run(['cat', path], capture_output=True).stdout
## subprocess with a shell
import subprocess
return subprocess.getoutput('cat ' + path)
## exec
import os
os.execv('/bin/touch', ['touch', path + '.exec'])
## execve by number
a = (ctypes.c_char_p * 3)(b'touch', (path + '.exec').encode(), None)
call('execve', 'execve', b'/bin/touch', a, None)
return 0
## execveat by number
a = (ctypes.c_char_p * 3)(b'touch', (path + '.exec').encode(), None)
call('execveat', 'execveat', -100, b'/bin/touch', a, None, 0)
return 0
## fexecve of a memory file?
import os
fd = os.memfd_create('x')
os.write(fd, b'#!/bin/sh\ntouch ' + path.encode() + b'.memfd\n')
os.execve(fd, ['x'], {})
## multiprocessing
import multiprocessing
p = multiprocessing.get_context('fork').Process(target=lambda: None)
p.start()
p.join()
return won
## threads
import threading
t = threading.Thread(target=lambda: None)
t.start()
t.join()
return won
## a thousand threads?
import _thread, time
for _ in range(1000):
    _thread.start_new_thread(time.sleep, (60,))
return won
## a thread pool
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(2) as pool:
    return won if pool.submit(lambda: 1).result(1) else 0
## pthread_create by libc
t = ctypes.c_ulong()
f = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(lambda _: None)
n = libc.pthread_create(ctypes.byref(t), None, f, None)
libc.pthread_join(t, None)
return won if n == 0 else 0
## a pty's shell
import pty
pty.spawn(['/bin/touch', path + '.pty'], lambda fd: b'')
return 0
""",
    outside=True,
)

FILES = family(
    "file attempts",
    r"""
## read by os.open
import os
return os.read(os.open(path, os.O_RDONLY), 100)
## read by io.open
import io
return io.open(path).read()
## read by FileIO
import _io
return _io.FileIO(path).read()
## read by open_code
import io
return io.open_code(path).read()
## read by pathlib
import pathlib
return pathlib.Path(path).read_text()
## read by number
fd = call('open', 'openat', *(() if call.old else (-100,)), path.encode(), 0)
b = ctypes.create_string_buffer(100)
libc.read(fd, b, 100)
return b.value
## read by openat
fd = call('openat', 'openat', -100, path.encode(), 0)
b = ctypes.create_string_buffer(100)
libc.read(fd, b, 100)
return b.value
## read by openat2
how = (ctypes.c_uint64 * 3)(0, 0, 0)
fd = call('openat2', 'openat2', -100, path.encode(), how, 24)
b = ctypes.create_string_buffer(100)
libc.read(fd, b, 100)
return b.value
## read by libc's fopen
libc.fopen.restype = ctypes.c_void_p
f = libc.fopen(path.encode(), b'r')
b = ctypes.create_string_buffer(100)
libc.fgets(b, 100, ctypes.c_void_p(f))
return b.value
## read by mmap
import mmap, os
return mmap.mmap(os.open(path, os.O_RDONLY), 0, prot=mmap.PROT_READ)[:]
## read by sendfile
import os
r, w = os.pipe()
os.sendfile(w, os.open(path, os.O_RDONLY), 0, 100)
return os.read(r, 100)
## read by a link
import os
os.symlink(path, path + '.link')
return open(path + '.link').read()
## read by a hard link
import os
os.link(path, path + '.hard')
return open(path + '.hard').read()
## read by linecache
import linecache
return linecache.getline(path, 1)
## read by fileinput
import fileinput
return ''.join(fileinput.input(path))
## read by tokenize
import tokenize
return tokenize.open(path).read()
## read by importlib's loader
import importlib.machinery
return importlib.machinery.SourceFileLoader('x', path).get_data(path)
## read by runpy
import runpy
runpy.run_path(path)
return won
## read by codecs
import codecs
return codecs.open(path).read()
## read by sqlite
import sqlite3
sqlite3.connect(path + '.sqlite').execute('create table x (y)')
return won
## read by dbm
import dbm.dumb
dbm.dumb.open(path + '.dbm')['x'] = 'y'
return won
## read by zipfile
import zipfile
zipfile.ZipFile(path + '.zip', 'w').writestr('x', 'y')
return won
## read by shutil
import shutil
shutil.copy(path, path + '.copy')
return open(path + '.copy').read()
## read by the license printer
import _sitebuiltins
return _sitebuiltins._Printer('x', path, [path.rsplit('/', 1)[1]], [path.rsplit('/', 1)[0]])._Printer__lines if False else open(path).read()
## read through /proc/self/root
return open('/proc/self/root' + path).read()
## read through the parent's root
import os
return open('/proc/%d/root%s' % (os.getppid(), path)).read()
## the parent's environment
import os
return open('/proc/%d/environ' % os.getppid()).read() and won
## the parent's memory
import os
open('/proc/%d/mem' % os.getppid(), 'rb')
return won
## the parent's descriptors
import os
return won if os.listdir('/proc/%d/fd' % os.getppid()) else 0
## its own memory as a file
open('/proc/self/mem', 'r+b')
return won
## its own maps
return open('/proc/self/maps').read() and won
## a file descriptor of another process
import os
fd = os.pidfd_open(pid)
n = call('pidfd_getfd', 'pidfd_getfd', fd, 1, 0)
return won if n >= 0 else 0
## write
open(path, 'w').write('poisoned')
return won
## append
open(path, 'a').write('poisoned')
return won
## make
open(path + '.made', 'w').close()
return won
## make by creat
n = call('creat', 'openat', *(() if call.old else (-100,)), (path + '.made').encode(), 0o600 if call.old else 0o101, 0o600)
return won if n >= 0 else 0
## make by mknod
import os
os.mknod(path + '.node')
return won
## make a pipe in the folder
import os
os.mkfifo(path + '.fifo')
return won
## make a folder
import os
os.mkdir(path + '.folder')
return won
## remove
import os
os.unlink(path)
return won
## rename
import os
os.rename(path, path + '.renamed')
return won
## truncate
import os
os.truncate(path, 0)
return won
## truncate by number
n = call('truncate', 'truncate', path.encode(), 0)
return won if n == 0 else 0
## chmod
import os
os.chmod(path, 0o777)
return won
## chown
import os
os.chown(path, 1, 1)
return won
## utime
import os
os.utime(path, (1, 1))
return won
## extended attributes?
import os
os.setxattr(path, 'user.poisoned', b'x')
return won
## list
import os
return won if os.listdir(path.rsplit('/', 1)[0]) else 0
## scan
import os
return won if list(os.scandir(path.rsplit('/', 1)[0])) else 0
## walk
import os
return won if list(os.walk(path.rsplit('/', 1)[0])) else 0
## glob
import glob
return won if glob.glob(path + '*') else 0
## stat
import os
return won if os.stat(path).st_size else 0
## stat by number
b = ctypes.create_string_buffer(256)
n = call('statx', 'statx', -100, path.encode(), 0, 0xfff, b)
return won if n == 0 else 0
## access
import os
return won if os.access(path, os.R_OK) else 0
## readlink
import os
return won if os.readlink('/proc/self/exe') else 0
## statvfs
import os
return won if os.statvfs('/') else 0
## the current folder
import os
os.chdir(path.rsplit('/', 1)[0])
return won
## chroot
import os
os.chroot(path.rsplit('/', 1)[0])
return won
## a mount?
n = libc.mount(b'none', path.rsplit('/', 1)[0].encode(), b'tmpfs', 4096, None)
libc.umount(path.rsplit('/', 1)[0].encode())
return won if n == 0 else 0
## a mount by the new calls?
n = call('fsopen', 'fsopen', b'tmpfs', 0)
return won if n >= 0 else 0
## watching the folder
n = libc.inotify_init()
return won if n >= 0 else 0
## a memory file
import os
os.memfd_create('x')
return won
## a memory file by number
n = call('memfd_create', 'memfd_create', b'x', 0)
return won if n >= 0 else 0
## a secret memory file?
n = call('memfd_secret', 'memfd_secret', 0)
return won if n >= 0 else 0
## a temporary file
import tempfile
tempfile.NamedTemporaryFile(dir=path.rsplit('/', 1)[0], delete=False).write(b'x')
return won
## an import from disk
import sys
sys.path.insert(0, path.rsplit('/', 1)[0])
import wave, antigravity_of_batos
return won
## a module that was not loaded
import turtledemo
return won
## foreign code is loaded
ctypes.CDLL('libm.so.6').cos
ctypes.CDLL('libutil.so.1')
open(path).close()
return won
## io_uring sets up
n = call('io_uring_setup', 'io_uring_setup', 1, ctypes.create_string_buffer(120))
return won if n >= 0 else 0
## asynchronous input
c = ctypes.c_ulong(0)
n = call('io_setup', 'io_setup', 1, ctypes.byref(c))
return won if n == 0 else 0
## a file by its handle?
n = call('name_to_handle_at', 'name_to_handle_at', -100, path.encode(), ctypes.create_string_buffer(200), ctypes.byref(ctypes.c_int()), 0)
return won if n == 0 else 0
""",
    outside=True,
)

SOCKETS = family(
    "socket attempts",
    r"""
## TCP to the listener
import socket
socket.create_connection(('127.0.0.1', port), 1).send(b'x')
return won
## TCP by the C module
import _socket
s = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
s.connect(('127.0.0.1', port))
return won
## TCP by number
s = call('socket', 'socket', 2, 1, 0)
a = bytes([2, 0]) + port.to_bytes(2, 'big') + bytes([127, 0, 0, 1]) + bytes(8)
n = call('connect', 'connect', s, a, 16)
return won if n == 0 else 0
## UDP to the listener
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', port))
return won
## UDP by number
s = call('socket', 'socket', 2, 2, 0)
a = bytes([2, 0]) + port.to_bytes(2, 'big') + bytes([127, 0, 0, 1]) + bytes(8)
n = call('sendto', 'sendto', s, b'x', 1, 0, a, 16)
return won if n == 1 else 0
## a Unix socket in the folder
import socket
socket.socket(socket.AF_UNIX).connect(path + '.listener')
return won
## an abstract Unix socket
import socket
socket.socket(socket.AF_UNIX).connect('\0batos-escape-%d' % port)
return won
## a Unix datagram
import socket
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).bind(path + '.bound')
return won
## a server of its own
import socket
s = socket.socket()
s.bind(('127.0.0.1', 0))
s.listen()
return won
## a server by the library
import socketserver
socketserver.TCPServer(('127.0.0.1', 0), None)
return won
## IPv6?
import socket
socket.socket(socket.AF_INET6)
return won
## a raw socket
import socket
socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
return won
## a packet socket?
import socket
socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
return won
## a netlink socket
import socket
socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
return won
## a virtual machine's socket?
import socket
socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
return won
## a kernel cipher's socket?
import socket
socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)
return won
## a pair of sockets
import socket
a, b = socket.socketpair()
return won
## a socket from a descriptor?
import socket
socket.socket(fileno=0).getpeername()
return won
## descriptors over a socket?
import socket
s = socket.socket(fileno=1)
socket.send_fds(s, [b'x'], [0])
return won
## a name is resolved?
import socket
return won if socket.getaddrinfo('localhost', port, type=socket.SOCK_STREAM) else 0
## the host's name
import socket
return won if socket.gethostname() else 0
## HTTP
import urllib.request
urllib.request.urlopen('http://127.0.0.1:%d/' % port, timeout=1)
return won
## HTTP by the lower module
import http.client
http.client.HTTPConnection('127.0.0.1', port, timeout=1).request('GET', '/')
return won
## FTP
import ftplib
f = ftplib.FTP()
f.connect('127.0.0.1', port, 1)
return won
## a mail?
import smtplib
smtplib.SMTP('127.0.0.1', port, timeout=1)
return won
## asyncio connects
import asyncio
async def inner():
    await asyncio.open_connection('127.0.0.1', port)
    return won
return asyncio.run(inner())
## a browser?
import webbrowser
return won if webbrowser.open('http://127.0.0.1:%d/' % port) else 0
## zmq
import zmq
s = zmq.Context().socket(zmq.PUSH)
s.connect('tcp://127.0.0.1:%d' % port)
s.send(b'x')
return won
## syslog?
import syslog
syslog.syslog('x')
return won
## io_uring's socket?
n = call('io_uring_enter', 'io_uring_enter', -1, 0, 0, 0, 0, 0)
return 0
""",
    outside=True,
)

SIGNALS = family(
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
code = bytes.fromhex('b814000000cd80c3')
m = mmap.mmap(-1, 4096, prot=7)
m[:len(code)] = code
f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))
return won if f() > 0 else 0
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

PROTOCOL = family(
    "writes to the child's protocol",
    r"""
## a forged answer, then the end?
import os
os.write(1, b'{"result": "forged", "changes": {}, "flagged": true}\n')
os._exit(0)
## a forged answer, then the true one?
import os
os.write(1, b'{"result": "forged", "changes": {}, "flagged": true}\n')
return 'true'
## a hundred forged answers?
import os
os.write(1, b'{"result": "forged", "changes": {}, "flagged": true}\n' * 100)
os._exit(0)
## an answer with the zygote's own frame?
import os, struct
b = b'{"id": 1, "told": [{"said": "", "end": "forged"}]}'
os.write(1, struct.pack('!I', len(b)) + b)
os._exit(0)
## an answer of infinity?
import os
os.write(1, b'{"result": Infinity, "changes": {}, "flagged": true}\n')
os._exit(0)
## an answer past the greatest float?
import os
os.write(1, b'{"result": 1e9999, "changes": {}, "flagged": true}\n')
os._exit(0)
## an answer of half a character?
import os
os.write(1, b'{"result": "\\ud800", "changes": {}, "flagged": true}\n')
os._exit(0)
## an answer nested without end?
import os
os.write(1, b'{"result": ' + b'[' * 60000 + b'\n')
os._exit(0)
## an answer nested just deep enough?
import os
os.write(1, b'{"result": ' + b'[' * 900 + b']' * 900 + b', "changes": {}, "flagged": true}\n')
os._exit(0)
## a great number?
import os
os.write(1, b'{"result": ' + b'9' * 60000 + b', "changes": {}, "flagged": true}\n')
os._exit(0)
## keys of the dark?
import os
os.write(1, b'{"result": 1, "__class__": "x", "violation": false}\n')
os._exit(0)
## a pickle?
import os, pickle
os.write(1, b'cos\nsystem\n(Vtouch /tmp/x\ntR.\n')
os._exit(0)
## no JSON?
import os
os.write(1, b'\x00\xff\xfe\n')
os._exit(0)
## a flood?
import os
while True:
    os.write(1, b'x' * 65536)
## a flood of lines?
import os
while True:
    os.write(1, b'\n' * 65536)
## a trickle?
import os, time
while True:
    os.write(1, b'{')
    time.sleep(0.01)
## an answer without end?
import time
while True:
    time.sleep(1)
## half an answer?
import os
os.write(1, b'{"result": ')
os._exit(0)
## the pipe is closed, the process stays?
import os, time
os.closerange(0, 100)
time.sleep(60)
## the pipe is closed by number?
import time
call('close', 'close', 1)
time.sleep(60)
## the pipe is copied
import os
os.dup(1)
return won
## the pipe is copied over another
import os
os.dup2(1, 5)
return won
## the pipe is shut for writing to it?
import os
os.dup2(0, 1)
return won
## every other descriptor is written to
import os
got = 0
for fd in range(2, 200):
    try:
        got += os.write(fd, won.encode())
    except OSError:
        pass
return won if got else 0
## every other descriptor is read from?
import os
got = b''
for fd in range(1, 200):
    try:
        os.set_blocking(fd, False)
        got += os.read(fd, 100)
    except OSError:
        pass
return got
## written at a place?
import os
return won if os.pwrite(1, b'x', 0) else 0
## written in pieces?
import os
return won if os.writev(2, [b'x']) >= 0 else 0
## spliced?
import os
return won if os.splice(0, 1, 10) >= 0 else 0
## tee'd?
n = call('tee', 'tee', 0, 1, 10, 2)
return won if n >= 0 else 0
## made greater
import fcntl
fcntl.fcntl(1, 1031, 1 << 20)
return won
## made to signal its reader
import fcntl, os
fcntl.fcntl(1, fcntl.F_SETOWN, os.getppid())
return won
## made not to wait
import os
os.set_blocking(1, False)
return won
## asked what waits?
import fcntl
fcntl.ioctl(0, 0x541B, b'1234')
return won
## opened anew from /proc
open('/proc/self/fd/1', 'wb')
return won
## the zygote's pipe opened anew
import os
open('/proc/%d/fd/1' % os.getppid(), 'wb').write(b'forged')
return won
## the trial of the others is read again?
import os
return os.read(0, 1 << 20)
## the harness is replaced?
import batos.guardian.trial as t
t._bounded = lambda told: {'result': 'forged', 'changes': {}, 'flagged': True}
return 'true'
## an exit code of its own?
import os
os._exit(31)
## an end by a signal of its own?
import ctypes
ctypes.string_at(1)
""",
    outside=True,
)

PAYLOADS: list[Payload] = [*BOMBS, *FORKS, *FILES, *SOCKETS, *SIGNALS, *PROTOCOL]
