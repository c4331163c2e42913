"""A client: the same `send` as inside the image, over a socket.  Light: no ZODB, no torch, no asyncio.

    with Client("tcp://127.0.0.1:5555") as image:
        image.send("account", "deposit", 5)      # -> 5, or raises batos.errors.X
        image.account.deposit(5)                 # the same; image.shop.till.take(3) for a path

The image keeps the deadlines.  A client that names no timeout waits for its one answer as long as
the connection lives; one that does gives the image two seconds more to say `deadline` itself.  When
nobody answers at all, `NobodyAwake` comes at once (refused) or within two seconds (silence).

Below it is a DEALER per conversation, not a REQ: a REQ socket whose answer never came is stuck.

Where the image asks for a key (CURVE: Bernstein's elliptic curve, as ZeroMQ's RFC 26 uses it), `key` or
the environment's BATOS_KEY names the file that holds it.  A door that does not let us in says nothing
at all; the socket's monitor tells, and `Refused` with the rule ``key`` says which side to set right.
"""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import zmq

from batos.errors import (
    BadRequest,
    BatosError,
    Cancelled,
    Deadline,
    Internal,
    NobodyAwake,
    NoSuchFile,
    Refused,
    TooLarge,
    from_wire,
)
from batos.message import Message, Reply, TellEvent

if TYPE_CHECKING:
    import asyncio

GREETING = 0.5  # seconds for a door's greeting
GRACE = 2.0  # seconds beyond a message's own timeout: the image's `deadline` says more than ours
WINDOW = 500  # messages under way in one AsyncClient; above it the image would tell us to read first
LARGE = 32 * 2**20  # bytes; an image drops what is far over its limit, and could not say so
LOOK = 250  # ms between looks at whether the connection still lives

_AWAKE = zmq.EVENT_HANDSHAKE_SUCCEEDED
_UNMET = (  # somebody is there, but we do not get on
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_REFUSED = zmq.EVENT_CONNECT_RETRIED | _UNMET
_OTHER_MECHANISM = 0x11000002  # ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH: only one side asks for keys
_GONE = zmq.EVENT_DISCONNECTED

_KEY_LINE = re.compile(r'^\s*([a-z-]+)\s*=\s*"(.*)"\s*$', re.MULTILINE)
_KEY_FILE = """\
# A key to speak to a batos image with.  Whoever has this file is {name}: keep it to yourself.
metadata
    name = "{name}"
    server-key = "{server}"
curve
    public-key = "{public}"
    secret-key = "{secret}"
"""


@dataclass(frozen=True, slots=True)
class Key:
    """A CURVE key pair, and the public key of the image it speaks to ("" where that is not known).

    Its file is a certificate as ZeroMQ's tools write them, readable by its owner alone.
    """

    name: str
    public: str
    secret: str
    server: str = ""

    @classmethod
    def made(cls, name: str, server: str = "") -> Self:
        """A new key pair."""
        public, secret = zmq.curve_keypair()
        return cls(name, public.decode(), secret.decode(), server)

    @classmethod
    def read(cls, file: str | Path) -> Self:
        """The key in a file.  Raises `NoSuchFile`, and `Refused` where others can read it too."""
        path = Path(file).expanduser()
        try:
            text, mode = path.read_text(), path.stat().st_mode
        except (OSError, UnicodeDecodeError) as exc:
            why = exc.strerror.lower() if isinstance(exc, OSError) and exc.strerror else str(exc)
            raise NoSuchFile(f"the key {file} cannot be read: {why}", hint=f"ls -l {file}") from exc
        if os.name == "posix" and mode & 0o077:
            raise Refused(
                f"the key {file} can be read by others (mode {mode & 0o777:o}), so it proves nothing",
                rule="key", hint=f"chmod 600 {file}; if somebody may have read it, have a new one made",
            )  # fmt: skip
        told = dict(_KEY_LINE.findall(text))
        if len(told.get("public-key", "")) != 40 or len(told.get("secret-key", "")) != 40:
            raise BadRequest(
                f"{file} is no key file: it wants a public-key and a secret-key of 40 characters each",
                hint="have one made by the image's owner: python -m batos keys --add NAME",
            )
        return cls(told.get("name", ""), told["public-key"], told["secret-key"], told.get("server-key", ""))

    def write(self, file: str | Path) -> None:
        """Write a new file of mode 0600; `FileExistsError` where there is one."""
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w") as out:
            out.write(
                _KEY_FILE.format(name=self.name, server=self.server, public=self.public, secret=self.secret)
            )

    def __repr__(self) -> str:  # never the secret
        return f"<key {self.name} {self.public}>"


def _key(key: Key | str | Path | None) -> Key | None:
    """The key to speak with, from what a client was given or the environment says."""
    key = key or os.environ.get("BATOS_KEY")
    if not key:
        return None
    found = key if isinstance(key, Key) else Key.read(key)
    if not found.server:
        raise BadRequest(
            f"the key {found.name or key} does not say which image it is for",
            hint='put the line `server-key = "..."` into it, as `python -m batos keys --server` tells it '
            "where the image is",
        )
    return found


class Ref:
    """An object as an argument: `Ref("shop.till")`, `Ref(oid="0x1f")`, or `Ref(result)` of a send."""

    __slots__ = ("_told",)

    def __init__(self, path: str | dict[str, Any] | None = None, *, oid: str | None = None):
        if isinstance(path, dict):
            path, oid = None, path["oid"]  # the oid, because a name may have been given to another since
        if (path is None) == (oid is None):
            raise BadRequest("Ref wants a path, or an oid, or a result that is an object")
        self._told = {"$ref": path} if oid is None else {"$oid": oid}

    def to_wire(self) -> dict[str, str]:
        return self._told

    def __repr__(self) -> str:
        return f"Ref({next(iter(self._told.values()))!r})"


class DryRun(NamedTuple):
    """What a message came to that was only tried."""

    result: Any
    changes: list[dict[str, Any]]


class Proxy:
    """A path on the way to a message: attributes make it longer, calling it sends its last name."""

    __slots__ = ("_client", "_path")

    def __init__(self, client: Client | AsyncClient, path: str):
        self._client = client
        self._path = path

    def __getattr__(self, name: str) -> Proxy:
        # Names that start with `_` are never messages; copy, pickle and notebooks probe for them.
        if name.startswith("_"):
            raise AttributeError(name)
        return Proxy(self._client, f"{self._path}.{name}")

    def __call__(self, *args: Any, **kw: Any) -> Any:
        receiver, _, selector = self._path.rpartition(".")
        if not receiver:
            raise BadRequest(
                f"{selector!r} names an object, not a message", hint=f"image.{selector}.describe()"
            )
        return self._client.send(receiver, selector, *args, **kw)

    def __repr__(self) -> str:
        return f"<{self._path} at {self._client.endpoint}>"


class _Told:
    """What both clients are: options into a message, messages into bytes, attributes into paths."""

    endpoint: str

    def send(
        self,
        to: str | dict[str, str],
        selector: str,
        *args: Any,
        timeout: float | None = None,
        miss: str | None = None,
        wait: bool = True,
        intent: str | None = None,
        examples: list[dict[str, Any]] | None = None,
        idem: str | None = None,
        at: str | None = None,
        dry: bool = False,
        tell: TellEvent | None = None,
        **kw: Any,
    ) -> Any:
        """Send one message and return its result, or raise the error it was answered with.

        The options are those of the protocol: `at` is the id of a transaction, after which the image is
        asked as it was; with `dry` nothing is kept (`dry(...)` also tells what would have changed); `tell` is
        called with each event that comes before the answer, the states of a mission and the text of its
        drafts: `{"event": "tokens", "seq": 3, "draft": 0, "text": "def ", ...}`.  A message with an argument
        of its own called `timeout` or the like goes through `call(Message(...))`.
        """
        return self._send(
            Message(
                to, selector, list(args), kw, "", timeout, wait, intent, examples, miss,
                stream=tell is not None, idem=idem, at=at, dry=dry,
            ),
            tell,
        )  # fmt: skip

    def dry(
        self, to: str | dict[str, str], selector: str, *args: Any, timeout: float | None = None, **kw: Any
    ) -> Any:
        """Run a message and keep nothing: a `DryRun`, its result and what it would have changed.

        `changes` is a list of `{"object", "slot", "before", "after"}`.  Raises what the message raises; one
        that nobody understands is `NotUnderstood`, never a mission.
        """
        return self._try(Message(to, selector, list(args), kw, timeout=timeout, dry=True))

    def __getattr__(self, name: str) -> Proxy:
        if name.startswith("_"):
            raise AttributeError(name)
        return Proxy(self, name)


class Client(_Told):
    """Blocking, and safe to share between threads: each message under way has a socket of its own.

    `patience` is how many seconds an endpoint may stay silent before `NobodyAwake`, `key` the file of the
    key to speak with (default: BATOS_KEY of the environment, else none).
    """

    def __init__(
        self,
        endpoint: str = "tcp://127.0.0.1:5555",
        patience: float = 1.5,
        key: Key | str | Path | None = None,
    ):
        self.endpoint = endpoint
        self._patience = patience
        self._key = _key(key)
        # One context a process, never ended: a client of its own that nobody closed would, when it is collected,
        # wait for ever in the end of its context.
        self._context = zmq.Context.instance()
        self._idle: list[_Line] = []
        self._lock = threading.Lock()
        self._closed = False

    def call(self, message: Message, tell: TellEvent | None = None) -> Reply:
        """The whole reply; `tell` hears the events before it where the message says `stream`.

        Raises only what no image said: `NobodyAwake`, `Deadline`, `BadRequest`.
        """
        _, body = _body(message)
        line = self._take()
        try:
            line.socket.send_multipart((b"", body))
            reply = line.answer(message.timeout, len(body), tell)
        except BaseException:
            line.close()  # an answer may still come; this line must not hand it to somebody else
            raise
        with self._lock:
            if not self._closed:
                self._idle.append(line)
                return reply
        line.close()
        return reply

    def _send(self, message: Message, tell: TellEvent | None = None) -> Any:
        return _result(self.call(message, tell))

    def _try(self, message: Message) -> DryRun:
        return _tried(self.call(message))

    def close(self) -> None:
        """Close the idle sockets; one that waits for an answer in another thread closes after it."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for line in idle:
            line.close()

    def _take(self) -> _Line:
        while True:
            with self._lock:
                if self._closed:
                    raise BadRequest("this client is closed")
                line = self._idle.pop() if self._idle else None
            if line is None:
                return _Line(self._context, self.endpoint, self._patience, self._key)
            if line.lives():
                return line
            line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.endpoint!r})"


class _Line:
    """One connected DEALER and the monitor that says whether anybody is at the other end."""

    def __init__(self, context: zmq.Context, endpoint: str, patience: float, key: Key | None):
        self.endpoint = endpoint
        self._patience = -1  # ms a read of the socket waits, as it was set last
        self.socket, self.monitor = _connect(context, endpoint, key)
        deadline, meeting = time.monotonic() + patience, _Meeting(endpoint, key)
        try:
            while not meeting.done(*self._event(max(0, int((deadline - time.monotonic()) * 1000)))):
                pass
        except BaseException:
            self.close()
            raise

    def lives(self) -> bool:
        # Asked before every message: reading the flag costs 1 us, a poll 10.
        while self.monitor.get(zmq.EVENTS) & zmq.POLLIN:
            if _event(self.monitor.recv_multipart())[0] & _GONE:
                return False
        return True

    def answer(self, timeout: float | None, size: int, tell: TellEvent | None) -> Reply:
        """The next reply, which is ours: a line carries one message at a time and ends with a lost answer."""
        deadline = None if timeout is None else time.monotonic() + timeout + GRACE
        while True:
            patience = LOOK if deadline is None else min(LOOK, int((deadline - time.monotonic()) * 1000))
            if patience <= 0:
                raise _late(self.endpoint, timeout)
            if not self.lives():
                patience = 0  # one more look: the answer may have come in front of the hang-up
            if patience != self._patience:
                self._patience = patience
                self.socket.set(zmq.RCVTIMEO, patience)
            try:
                body = self.socket.recv_multipart()[-1]
            except zmq.Again:
                if not patience:
                    raise _left(self.endpoint, size) from None
                continue
            told = _read(body)
            if "event" not in told:
                return _reply(told)
            if tell is not None:
                tell(told)

    def close(self) -> None:
        _disconnect(self.socket, self.monitor)

    def _event(self, patience: int) -> tuple[int, int]:
        """The next event and its value; (0, 0) where none came."""
        return _event(self.monitor.recv_multipart()) if self.monitor.poll(patience) else (0, 0)


class AsyncClient(_Told):
    """The same, awaited: any number of messages at once over one socket, in one event loop."""

    def __init__(
        self,
        endpoint: str = "tcp://127.0.0.1:5555",
        patience: float = 1.5,
        key: Key | str | Path | None = None,
    ):
        self.endpoint = endpoint
        self._patience = patience
        self._key = _key(key)
        self._socket: Any = None  # None: not connected
        self._asked: dict[str, tuple[asyncio.Future[Reply], TellEvent | None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._opening: asyncio.Future[None] | None = None
        self._window: asyncio.Semaphore | None = None
        self._closed = False

    async def call(self, message: Message, tell: TellEvent | None = None) -> Reply:
        """The whole reply; `tell` hears the events before it where the message says `stream`.

        Raises only what no image said: `NobodyAwake`, `Deadline`, `BadRequest`.
        """
        import asyncio

        ident, body = _body(message)
        if self._window is None:
            self._window = asyncio.Semaphore(WINDOW)
        async with self._window:
            return await self._converse(ident, body, message.timeout, tell)

    async def _converse(
        self, ident: str, body: bytes, timeout: float | None, tell: TellEvent | None
    ) -> Reply:
        import asyncio

        if self._socket is None:
            await self._open()
        if ident in self._asked:
            raise BadRequest(f"a message with the id {ident!r} is under way already")
        answer = asyncio.get_running_loop().create_future()
        self._asked[ident] = answer, tell
        try:
            await self._socket.send_multipart((b"", body))
            if timeout is None:
                return await answer
            return await asyncio.wait_for(answer, timeout + GRACE)
        except TimeoutError:
            raise _late(self.endpoint, timeout) from None
        finally:
            del self._asked[ident]

    async def _send(self, message: Message, tell: TellEvent | None = None) -> Any:
        return _result(await self.call(message, tell))

    async def _try(self, message: Message) -> DryRun:
        return _tried(await self.call(message))

    async def close(self) -> None:
        """Close the socket; who still waits is told `cancelled`."""
        self._closed = True
        if self._socket is not None:
            self._hang_up(Cancelled("this client was closed before the answer came"))

    async def _open(self) -> None:
        """Connect once, however many senders wait for it."""
        import asyncio

        if self._closed:
            raise BadRequest("this client is closed")
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._connect())
            self._opening.add_done_callback(lambda _: setattr(self, "_opening", None))
        await asyncio.shield(self._opening)

    async def _connect(self) -> None:
        import asyncio

        import zmq.asyncio

        context = zmq.asyncio.Context.shadow(zmq.Context.instance())
        socket, monitor = _connect(context, self.endpoint, self._key)
        try:
            await self._meet(monitor)
        except BaseException:
            _disconnect(socket, monitor)
            raise
        self._socket, self._monitor = socket, monitor
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._watch())]

    async def _meet(self, monitor: Any) -> None:
        import asyncio

        meeting = _Meeting(self.endpoint, self._key)
        try:
            async with asyncio.timeout(self._patience):
                while not meeting.done(*await _next_event(monitor)):
                    pass
        except TimeoutError:
            meeting.done(0, 0)

    async def _read(self) -> None:
        while True:
            try:
                told = _read((await self._socket.recv_multipart())[-1])
            except BatosError as error:
                self._hang_up(error)
                return
            answer, tell = self._asked.get(told.get("id"), (None, None))
            if answer is None or answer.done():
                continue
            if "event" not in told:
                answer.set_result(_reply(told))
            elif tell is not None:
                try:
                    tell(told)
                except Exception as exc:  # noqa: BLE001 - it is the sender's own, and nobody else's
                    answer.set_exception(exc)

    async def _watch(self) -> None:
        while not (await _next_event(self._monitor))[0] & _GONE:
            pass
        self._hang_up(_left(self.endpoint))

    def _hang_up(self, error: BatosError) -> None:
        """Tell everybody who waits, and be ready to connect anew."""
        for task in self._tasks:
            task.cancel()
        for answer, _ in self._asked.values():
            if not answer.done():
                answer.set_exception(error)
        _disconnect(self._socket, self._monitor)
        self._socket = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self.endpoint!r})"


async def _next_event(monitor: Any) -> tuple[int, int]:
    return _event(await monitor.recv_multipart())


def _event(frames: list[bytes]) -> tuple[int, int]:
    return struct.unpack_from("=HI", frames[0])  # zmq.utils.monitor does this too, and imports asyncio


def _connect(context: zmq.Context, endpoint: str, key: Key | None) -> tuple[Any, Any]:
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RCVHWM, 0)  # answers we asked for are read as they come
    socket.setsockopt(zmq.IPV6, int("[" in endpoint))
    # A stopped or wedged process keeps its connection; the heartbeat is answered by its io thread.
    socket.setsockopt(zmq.HEARTBEAT_IVL, 5_000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 15_000)
    if key is not None:
        try:
            socket.curve_publickey, socket.curve_secretkey = key.public.encode(), key.secret.encode()
            socket.curve_serverkey = key.server.encode()
        except zmq.ZMQError as exc:
            socket.close(0)
            raise BadRequest(
                f"the key {key.name!r} is not written as CURVE keys are: {exc.strerror}"
            ) from exc
    monitor = socket.get_monitor_socket(_AWAKE | _REFUSED | _GONE)
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as exc:
        _disconnect(socket, monitor)
        raise BadRequest(
            f"{endpoint!r} is no endpoint: {exc.strerror}", hint="an endpoint looks like tcp://127.0.0.1:5555"
        ) from exc
    return socket, monitor


def _disconnect(socket: Any, monitor: Any) -> None:
    socket.disable_monitor()
    monitor.close(0)
    socket.close(0)


def _body(message: Message) -> tuple[str, bytes]:
    ident = message.id or os.urandom(8).hex()
    if not isinstance(ident, str) or len(ident) > 256:  # the image would refuse it, and could not echo it
        raise BadRequest("an id is text of at most 256 characters")
    told: dict[str, Any] = {"to": message.to, "send": message.send, "id": ident}
    for name in ("args", "kw", "timeout", "intent", "examples", "miss", "idem", "at"):
        value = getattr(message, name)
        if value is not None and value != [] and value != {}:
            told[name] = value
    if not message.wait:
        told["wait"] = False
    for name in ("stream", "dry"):
        if getattr(message, name):
            told[name] = True
    try:
        return ident, _encoder.encode(told).encode()
    except (TypeError, ValueError, RecursionError) as exc:  # UnicodeEncodeError is a ValueError
        raise BadRequest(
            f"{message.send!r} cannot be sent: {exc}", hint="arguments are plain data or Ref(path)"
        ) from exc


def _plain(value: Any) -> Any:
    """Arguments that JSON does not know, in the form in which the image writes them in results."""
    import base64  # rare, and the command line pays for every import
    import datetime
    import decimal

    if isinstance(value, Ref):
        return value.to_wire()
    if isinstance(value, Proxy):
        return {"$ref": value._path}
    if isinstance(value, set | frozenset):
        return sorted(value, key=lambda item: (type(item).__name__, item))
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    raise TypeError(f"a {type(value).__name__} is not plain data")


_encoder = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _read(body: bytes) -> dict[str, Any]:
    """The body of a reply or an event."""
    try:
        told = json.loads(body)
    except ValueError as exc:
        raise _stranger() from exc
    if not isinstance(told, dict):
        raise _stranger()
    return told


def _stranger() -> Internal:
    return Internal("what answered does not speak batos message 1", hint="is that the right endpoint?")


def _reply(told: dict[str, Any]) -> Reply:
    error = told.get("error")
    return Reply(
        id=told.get("id", ""),
        result=told.get("result"),
        error=None if error is None else from_wire(error),
        tid=told.get("tid"),
        mission=told.get("mission"),
        replayed=told.get("replayed", False),
        changes=told.get("changes"),
    )


def _result(reply: Reply) -> Any:
    if reply.error is not None:
        raise reply.error
    return reply.result


def _tried(reply: Reply) -> DryRun:
    return DryRun(_result(reply), reply.changes or [])


def _nobody(endpoint: str) -> NobodyAwake:
    return NobodyAwake(
        f"no image is awake at {endpoint}", hint=f"python -m batos --endpoint {endpoint} awaken"
    )


class _Meeting:
    """What comes of a connection, event by event.

    A door that hangs up says nothing, and where both sides do so at once even what we see ourselves is lost;
    so after a silent end the door's greeting is read, which names what it asks for, and we look again, as the
    library connects anew, for as long as the patience lasts.
    """

    def __init__(self, endpoint: str, key: Key | None):
        self._endpoint = endpoint
        self._key = key
        self._silent = (0, 0)  # of the last handshake that ended without a reason

    def done(self, event: int, value: int) -> bool:
        """Are we in?  Raises why not, once that is settled; (0, 0) says that the patience is over."""
        if event == _AWAKE:
            return True
        if event & _UNMET:
            if event & zmq.EVENT_HANDSHAKE_FAILED_AUTH or value == _OTHER_MECHANISM:
                raise _unmet(self._endpoint, self._key, event, value)
            if not self._silent[0] and _asked_for(self._endpoint) not in ("", "NULL" if self._key is None else "CURVE"):
                raise _unmet(self._endpoint, self._key, event, _OTHER_MECHANISM)
            self._silent = event, value
        elif not event or (event & _REFUSED and not self._silent[0]):
            raise _unmet(self._endpoint, self._key, *self._silent)
        return False


def _asked_for(endpoint: str) -> str:
    """The mechanism a ZeroMQ door names in its greeting (ZMTP 3.1, RFC 37), "" where none is to be had."""
    scheme, _, where = endpoint.partition("://")
    try:
        if scheme == "ipc":
            door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            door.settimeout(GREETING)
            door.connect(where)
        else:
            host, _, port = where.rpartition(":")
            door = socket.create_connection((host.strip("[]"), int(port)), timeout=GREETING)
        with door:
            door.settimeout(GREETING)
            # Signature and version only: a door that has heard our mechanism too may hang up before we have read its.
            door.sendall(b"\xff" + bytes(8) + b"\x7f" + b"\x03\x01")
            greeting = b""
            while len(greeting) < 32 and (more := door.recv(64)):
                greeting += more
    except (OSError, ValueError):
        return ""
    return greeting[12:32].rstrip(b"\0").decode("ascii", "replace") if len(greeting) >= 32 else ""


def _unmet(endpoint: str, key: Key | None, event: int, value: int) -> BatosError:
    """Why a connection came to nothing: nobody is there, or who is there and we do not get on."""
    if event & zmq.EVENT_HANDSHAKE_FAILED_AUTH and key is not None:
        return Refused(
            f"the image at {endpoint} does not know the key {key.name or key.public!r}: it was never added, "
            "or taken back",
            rule="key", hint=f"its owner adds it with: keys --add NAME --public '{key.public}'",
        )  # fmt: skip
    if event & _UNMET and value == _OTHER_MECHANISM and key is None:
        return Refused(
            f"the image at {endpoint} speaks only with who has a key of it",
            rule="key", hint=f"python -m batos --endpoint {endpoint} --key FILE send kernel ping",
        )  # fmt: skip
    if event & _UNMET and value == _OTHER_MECHANISM:
        return Refused(
            f"the image at {endpoint} asks for no key, and takes none",
            rule="key", hint="leave --key and BATOS_KEY away, or look whether this is the endpoint you mean",
        )  # fmt: skip
    if event & _UNMET and key is not None:
        return Refused(
            f"who answers at {endpoint} has not the server key that your key {key.name!r} was made for: it is "
            "another image, or its keys were made anew",
            rule="key", hint="compare with what `keys --server` tells where the image is",
        )  # fmt: skip
    if event & _UNMET:
        return NobodyAwake(
            f"what answers at {endpoint} hangs up: it is no batos image, or one that asks for a key",
            hint=f"python -m batos --endpoint {endpoint} --key FILE send kernel ping",
        )
    return _nobody(endpoint)


def _left(endpoint: str, size: int = 0) -> BatosError:
    if size > LARGE:
        return TooLarge(
            f"the image at {endpoint} closed the connection on a message of {size} bytes",
            hint="documents enter through `remember`, which reads files; `kernel describe` states the limits",
        )
    return NobodyAwake(
        f"the image at {endpoint} went away before it answered; whether the message was done is not known",
        hint="awaken it and look, or send with an idempotency key, which makes asking again safe",
    )


def _late(endpoint: str, timeout: float | None) -> Deadline:
    return Deadline(
        f"no answer from {endpoint} in {timeout:g} s and {GRACE:g} more; "
        "whether the message was done is not known",
        hint="look at the object, or send with an idempotency key, which makes asking again safe",
    )
