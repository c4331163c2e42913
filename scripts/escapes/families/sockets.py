"""The listeners of the canaries, and sockets of every kind."""

from __future__ import annotations

from scripts.escapes.payloads import family

PAYLOADS = family(
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
