"""A client: the same `send` as inside the image, over a socket.  Light: no ZODB, no torch, no asyncio.

    with Client("tcp://127.0.0.1:5555") as image:
        image.send("account", "deposit", 5)      # -> 5, or raises batos.errors.X
        image.account.deposit(5)                 # the same; image.shop.till.take(3) for a path

The image keeps the deadlines.  A client that names no timeout waits for its one answer as long as
the connection lives; one that does gives the image two seconds more to say `deadline` itself.  When
nobody answers at all, `NobodyAwake` comes at once (refused) or within two seconds (silence).

Where the image asks for a key, `key` or the environment's BATOS_KEY names the file that holds it (`keyfile`).
How a connection is made, and why it came to nothing, is `line`'s.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from batos.client.keyfile import Key, key_of
from batos.client.line import (
    GONE,
    Line,
    Meeting,
    connect,
    disconnect,
    event_of,
    late,
    left,
    patience_of,
    read,
)
from batos.errors import BadRequest, BatosError, Cancelled, from_wire
from batos.message import Message, Reply, TellEvent

if TYPE_CHECKING:
    import asyncio

__all__ = ["AsyncClient", "Client", "DryRun", "Key", "Proxy", "Ref"]

WINDOW = 500  # messages under way in one AsyncClient; above it the image would tell us to read first


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
        self._key = key_of(key)
        self._idle: list[Line] = []
        self._lock = threading.Lock()
        self._closed = False

    def call(self, message: Message, tell: TellEvent | None = None) -> Reply:
        """The whole reply; `tell` hears the events before it where the message says `stream`.

        Raises only what no image said: `NobodyAwake`, `Deadline`, `BadRequest`.
        """
        _, body = _body(message)
        line = self._take()
        try:
            reply = _reply(line.ask(body, message.timeout, tell))
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

    def _take(self) -> Line:
        while True:
            with self._lock:
                if self._closed:
                    raise BadRequest("this client is closed")
                line = self._idle.pop() if self._idle else None
            if line is None:
                return Line(self.endpoint, self._patience, self._key)
            if line.lives():
                return line
            line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.endpoint!r})"


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
        self._key = key_of(key)
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
            return await asyncio.wait_for(answer, patience_of(timeout))
        except TimeoutError:
            raise late(self.endpoint, timeout) from None
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
        socket, monitor = connect(context, self.endpoint, self._key)
        try:
            await self._meet(monitor)
        except BaseException:
            disconnect(socket, monitor)
            raise
        self._socket, self._monitor = socket, monitor
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._watch())]

    async def _meet(self, monitor: Any) -> None:
        import asyncio

        meeting = Meeting(self.endpoint, self._key)
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    event = event_of(await monitor.recv_multipart())
                    if await asyncio.to_thread(
                        meeting.done, *event
                    ):  # it may look at the door by itself, and wait
                        return
        except TimeoutError:
            meeting.done(0, 0)

    async def _read(self) -> None:
        while True:
            try:
                told = read((await self._socket.recv_multipart())[-1])
            except BatosError as error:
                self._hang_up(error)
                return
            answer, tell = self._asked.get(str(told.get("id")), (None, None))
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
        while not event_of(await self._monitor.recv_multipart())[0] & GONE:
            pass
        self._hang_up(left(self.endpoint))

    def _hang_up(self, error: BatosError) -> None:
        """Tell everybody who waits, and be ready to connect anew."""
        for task in self._tasks:
            task.cancel()
        for answer, _ in self._asked.values():
            if not answer.done():
                answer.set_exception(error)
        disconnect(self._socket, self._monitor)
        self._socket = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self.endpoint!r})"


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
