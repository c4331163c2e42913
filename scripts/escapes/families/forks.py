"""Processes and threads, by every door that leads to them."""

from __future__ import annotations

from scripts.escapes.payloads import family

PAYLOADS = family(
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
