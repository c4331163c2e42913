"""Files, folders and what names them; by the library, by `ctypes` and by number."""

from __future__ import annotations

from scripts.escapes.payloads import family

PAYLOADS = family(
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
## the environment that was handed down
import os
return str(dict(os.environ)) + str(os.environb)
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
