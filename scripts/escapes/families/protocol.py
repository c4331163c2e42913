"""What a child may write into its one pipe, and what it may do to it."""

from __future__ import annotations

from scripts.escapes.payloads import family

PAYLOADS = family(
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
