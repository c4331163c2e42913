"""The door: one ROUTER in a thread of its own, a plain poll loop.  Only messages pass through it.

It hands each `Message` to the kernel and each `Reply` back to whoever asked, and decides nothing
about either.  A plain loop, not asyncio: it costs less than a bare asyncio echo, and asyncio stays
with the mind.

Who speaks is settled here, before a message is read: whoever reaches an `ipc://` file in a folder of
mode 0700, or the loopback interface, is the owner.  Off loopback, and where the settings say so on it,
a CURVE key is asked for; its public half comes with every message as the library's own metadata, so
that nobody can claim another's and a key that was taken back is refused within its session too.

No client can disturb another: sends never block, what a client does not read waits in a queue of
its own with an end, and a frame that is no message is answered and counted.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import stat
import threading
import time
from collections import Counter, deque
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from typing import Any, Protocol

import zmq

from batos import wire
from batos.config import Settings
from batos.errors import AlreadyAwake, BadRequest, BatosError, Busy, Cancelled, Internal, Refused, TooLarge
from batos.keys import check_folder, kind_of, wants_keys
from batos.message import OWNER, Message, Reply, TellEvent

log = logging.getLogger(__name__)

# libzmq drops the connection above this, without a word; below it and above the stated limit the
# sender is told `too_large`.
SILENCE = 4
RETRY = 0.02  # seconds between tries for a client that does not read: ROUTER cannot say when it will
BATCH = 64  # messages read before replies are looked after again, fewer where they are large
OVERFLOW = 10  # times the queue: what no longer runs is still told `busy` up to here, then dropped
QUEUE_BYTES = 64 * 2**20  # kept for one client that does not read, however few replies that is
HANDSHAKE_SECONDS = 5  # for a connection to say who it is; libzmq's 30 would let silent ones pile up
DOMAIN = b"batos"  # of the authentication, so that no key is taken while nobody looks at keys (RFC 27)

_FAILED = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


class Kernel(Protocol):
    def submit(self, message: Message, tell: TellEvent | None = None) -> Future[Reply]:
        """The answer to come; never blocks, never raises.  `tell` hears what comes before the answer."""


class Keys(Protocol):
    """Who may speak by which key, as the image says now; asked from the server's thread and another."""

    server_public: str
    server_secret: str

    def name_of(self, public: str) -> str | None:
        """The name of a key, `OWNER` for that of the image's own folder, None for one that is not known."""


class _Asked:
    """A message on its way: where its answer goes, and the events of it that have not left yet.

    An event is numbered as it leaves.  Text that waits is joined to the text before it, and of progress that
    waits the newest is kept: who reads slowly gets fewer and larger events, no text is missing, and what is kept
    for them has an end.
    """

    __slots__ = ("ended", "envelope", "events", "request", "seq")

    def __init__(self, envelope: list[bytes], request: wire.Request):
        self.envelope, self.request = envelope, request
        self.events: deque[dict[str, Any]] = deque()
        self.seq = 0
        self.ended = False

    def add(self, event: dict[str, Any]) -> None:
        if event["event"] == "progress" and self.events and self.events[-1]["event"] == "progress":
            self.events.pop()  # the newer one says it better
        elif event["event"] == "tokens":
            told = {name: value for name, value in event.items() if name != "text"}
            for before in reversed(self.events):
                if before["event"] != "tokens":
                    break  # text stays behind the state it came in
                if all(before.get(name) == value for name, value in told.items()):
                    before["text"] += event["text"]
                    return
        self.events.append(dict(event))

    def frames(self) -> list[bytes]:
        """The frames of the oldest event."""
        body = wire.encode_event(self.request.id, self.seq, self.events[0], self.request.msgpack)
        return [*self.envelope, body]

    def left(self) -> None:
        """The oldest event is on its way."""
        self.events.popleft()
        self.seq += 1


class _Backlog:
    """What one client has not taken yet, oldest first: a reply's frames, or a message whose events wait."""

    __slots__ = ("bytes", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[list[bytes] | _Asked] = deque()
        self.bytes = 0


class Server:
    """Serves `kernel` at `settings.endpoint` between `start` and `stop`; safe to call from any thread.

    keys  who may speak where a key is asked for; None: nobody has one
    """

    def __init__(self, kernel: Kernel, settings: Settings, keys: Keys | None = None):
        self._kernel = kernel
        self._image = settings.image
        self._keys = keys if wants_keys(settings) else None
        self._curve = wants_keys(settings)
        self._limit = settings.max_frame_bytes
        self._queue = settings.client_queue
        self._wanted = settings.endpoint
        self.endpoint = settings.endpoint  # the bound one once started: a port `*` has become a number
        self._count: Counter[str] = Counter()
        self._waiting: dict[Future[Reply], _Asked] = {}
        self._news: deque[Future[Reply] | tuple[_Asked, dict[str, Any]]] = deque()  # answers and events
        self._backlogs: dict[bytes, _Backlog] = {}
        self._refusal: str | None = None
        self._deadline: float | None = None
        self._poked = False
        self._thread: threading.Thread | None = None

    @property
    def server_key(self) -> str | None:
        """The public key a client has to know, None where no key is asked for."""
        return self._keys.server_public if self._keys is not None else None

    def start(self) -> None:
        """Bind and serve.  Raises `BadRequest` where keys are asked for and there are none, or the file's folder
        is open to others, `AlreadyAwake` where the endpoint is taken."""
        if self._curve and self._keys is None:
            raise BadRequest(
                f"cannot serve at {self._wanted!r}: off the loopback interface, and on it with `curve = true`, every "
                "message needs a key, and this image has no server key yet",
                hint=f"python -m batos --image {self._image} keys --server",
            )
        if kind_of(self._wanted) == "file":
            check_folder(self._wanted)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # say who is gone or full instead of dropping
        self._socket.setsockopt(zmq.MAXMSGSIZE, self._limit * SILENCE)
        self._socket.setsockopt(zmq.SNDHWM, 64)  # what is over waits here, where it is counted
        self._socket.setsockopt(zmq.IPV6, int("[" in self._wanted))
        self._socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_SECONDS * 1000)
        self._failed = self._socket.get_monitor_socket(_FAILED)
        self._door = self._lock_door() if self._keys is not None else None
        try:
            self._bind()
        except BaseException:
            self._close(0)
            raise
        self._bell, self._pull = socket.socketpair()
        for end in (self._bell, self._pull):
            end.setblocking(False)
        self._thread = threading.Thread(target=self._serve, name="batos-server", daemon=True)
        self._thread.start()

    def refuse(self, why: str) -> None:
        """From now on every new message is answered `busy` with this sentence, and not run."""
        self._refusal = why

    def stop(self, grace: float = 2.0) -> None:
        """Refuse, answer what is in flight (after `grace` seconds with `cancelled`), send it all, close."""
        if self._thread is None:
            return
        self._refusal = self._refusal or "the image is going to sleep"
        self._deadline = time.monotonic() + grace
        self._wake(None)
        self._thread.join()
        self._thread = None
        self._close(linger=1000)  # ms, for what the network has not taken yet
        self._bell.close()
        self._pull.close()

    def stats(self) -> dict[str, int]:
        """Counters since `start`, and the messages now in flight."""
        names = (
            "frames",
            "replies",
            "events",
            "bad_request",
            "too_large",
            "busy",
            "dropped",
            "refused",
            "handshakes_failed",
        )
        return {name: self._count[name] for name in names} | {"in_flight": len(self._waiting)}

    def _lock_door(self) -> Any:
        """Ask for a CURVE key from now on; whose it is, is looked up in the image at every handshake."""
        from zmq.auth.thread import ThreadAuthenticator  # asyncio: only who asks for keys pays for it

        keys = self._keys

        class Provider:
            def callback(self, domain: str, key: bytes) -> bool:
                try:
                    return keys.name_of(key.decode()) is not None
                except Exception:  # one that got out would end the thread, and let nobody in any more
                    log.exception("the keys cannot be read")
                    return False

        self._socket.set(zmq.ZAP_DOMAIN, DOMAIN)
        self._socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
        self._socket.set(zmq.CURVE_SERVER, 1)
        self._socket.set(zmq.CURVE_PUBLICKEY, keys.server_public.encode())
        self._socket.set(zmq.CURVE_SECRETKEY, keys.server_secret.encode())
        door = ThreadAuthenticator(self._context, log=logging.getLogger(f"{__name__}.keys"))
        door.start()
        door.configure_curve_callback(DOMAIN.decode(), Provider())
        return door

    def _close(self, linger: int) -> None:
        self._socket.disable_monitor()
        self._failed.close(0)
        self._socket.close(linger)
        if self._door is not None:
            self._door.stop()
        self._context.term()

    def _bind(self) -> None:
        scheme, _, path = self._wanted.partition("://")
        # libzmq unlinks an ipc file before it binds, though another live process may be answering there.
        if scheme == "ipc" and _somebody_answers(path):
            raise self._taken()
        try:
            self._socket.bind(self._wanted)
        except zmq.ZMQError as exc:
            if exc.errno == errno.EADDRINUSE:
                raise self._taken() from exc
            raise BadRequest(
                f"cannot serve at {self._wanted}: {exc.strerror}",
                hint="python -m batos --endpoint tcp://127.0.0.1:5555 awaken",
            ) from exc
        if scheme == "ipc" and not path.startswith("@"):
            os.chmod(path, stat.S_IRUSR | stat.S_IWUSR)  # the file is the key: its owner alone
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def _taken(self) -> AlreadyAwake:
        return AlreadyAwake(
            f"another process serves at {self._wanted}",
            hint="python -m batos --endpoint tcp://127.0.0.1:5556 awaken",
        )

    def _wake(self, news: Future[Reply] | tuple[_Asked, dict[str, Any]] | None) -> None:
        """Called by whichever thread finishes a message, or has something to tell of it before."""
        if news is not None:
            self._news.append(news)
        if not self._poked:
            self._poked = True
            with contextlib.suppress(OSError):  # full: the bell rings already; closed: nobody waits
                self._bell.send(b"\0")

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._pull, zmq.POLLIN)
        poller.register(self._failed, zmq.POLLIN)
        while True:
            try:
                ready = dict(poller.poll(self._patience()))
                if self._pull.fileno() in ready:
                    self._pull.recv(4096)
                    self._poked = False  # before `_news` is emptied: what comes later rings again
                while self._news:
                    news = self._news.popleft()
                    if isinstance(news, tuple):
                        self._tell(*news)
                    else:
                        self._answer(news)
                if self._backlogs:
                    self._send_backlogs()
                if self._failed in ready:
                    self._count_failed()
                if self._socket in ready:
                    self._receive()
                if self._deadline is not None and self._finished():
                    return
            except Exception:
                log.exception("the server loop met a bug; it goes on")
                time.sleep(RETRY)

    def _patience(self) -> int | None:
        """Milliseconds to sleep in the poll; None is until something happens."""
        return int(RETRY * 1000) if self._backlogs or self._deadline is not None else None

    def _finished(self) -> bool:
        """Whether everybody is answered, or the grace is over and they have been told so."""
        late = time.monotonic() >= self._deadline
        if late:
            for future, asked in list(self._waiting.items()):
                self._waiting.pop(future)
                future.cancel()
                error = Cancelled("the image went to sleep before this message was answered", retryable=True)
                self._end(asked, Reply(asked.request.id, error=error))
        return late or not (self._waiting or self._news or self._backlogs)

    def _receive(self) -> None:
        # All that waits is read before the first of it is handed over: each call into zmq gives the
        # interpreter away, and between two messages that would be in the middle of the first one's turn.
        batch: list[tuple[list[bytes], str | None]] = []  # frames, and the public key they came by
        size = 0
        with contextlib.suppress(zmq.Again):
            while len(batch) < BATCH and size <= self._limit:
                if self._keys is None:
                    batch.append((self._socket.recv_multipart(zmq.NOBLOCK), None))
                else:
                    parts = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
                    batch.append(([part.bytes for part in parts], parts[-1].get("User-Id")))
                size += sum(map(len, batch[-1][0]))
        for frames, public in batch:
            self._count["frames"] += 1
            if len(frames) > wire.MAX_FRAMES:  # no reply without an envelope to trust
                self._count["bad_request"] += 1
                continue
            envelope, rest = wire.split(frames)
            request = wire.decode(rest, self._limit)
            backlog = self._backlogs.get(envelope[0])
            if request.error is not None:
                self._send(envelope, request, Reply(request.id, error=request.error))
            elif self._refusal is not None:
                self._send(envelope, request, Reply(request.id, error=Busy(self._refusal)))
            elif backlog is not None and len(backlog.waiting) >= self._queue:
                error = Busy(
                    f"{len(backlog.waiting)} answers wait for you to read them; read on, then send again"
                )
                self._send(envelope, request, Reply(request.id, error=error))
            elif isinstance(who := self._speaker(public), BatosError):
                self._send(envelope, request, Reply(request.id, error=who))
            else:
                message = request.message
                if who != OWNER:
                    message = replace(message, who=who, key=who)
                asked = _Asked(envelope, request)
                future = self._submit(message, asked)
                self._waiting[future] = asked
                if future.done() and not message.stream:  # events of it may wait in `_news`
                    self._answer(future)
                else:
                    future.add_done_callback(self._wake)

    def _speaker(self, public: str | None) -> str | BatosError:
        """Whose key a message came by, or what its sender is told instead of an answer."""
        if self._keys is None:
            return OWNER
        try:
            name = self._keys.name_of(public)
        except Exception:
            log.exception("the keys cannot be read")
            return Busy(
                "the image cannot look up whose key this is; nothing was done", hint="send it again later"
            )
        return name or Refused(
            "this key was taken back while you were connected, and nothing it sends is done",
            rule="key", hint=f"the image's owner adds it again with: keys --add NAME --public '{public}'",
        )  # fmt: skip

    def _count_failed(self) -> None:
        """Count connections that did not get as far as a message; libzmq has closed them already."""
        with contextlib.suppress(zmq.Again):
            while True:
                self._failed.recv_multipart(zmq.NOBLOCK)
                self._count["handshakes_failed"] += 1

    def _submit(self, message: Message, asked: _Asked) -> Future[Reply]:
        try:
            if not message.stream:
                return self._kernel.submit(message)
            return self._kernel.submit(message, lambda event: self._wake((asked, event)))
        except Exception as exc:  # a bug there must not cost the sender its answer
            future: Future[Reply] = Future()
            future.set_exception(exc)
            return future

    def _answer(self, future: Future[Reply]) -> None:
        asked = self._waiting.pop(future, None)
        if asked is None:
            return
        request = asked.request
        try:
            reply = future.result()
        except CancelledError:
            reply = Reply(request.id, error=Cancelled("the message was cancelled; nothing was done"))
        except BatosError as error:
            reply = Reply(request.id, error=error)
        except BaseException as exc:
            log.error("the kernel broke its promise and raised", exc_info=exc)
            reply = Reply(request.id, error=Internal(f"a bug in batos: {type(exc).__name__}: {exc}"))
        self._end(asked, reply)

    def _tell(self, asked: _Asked, event: dict[str, Any]) -> None:
        """Send an event, or let it wait behind what its client has not read; none follows the reply."""
        if asked.ended:
            return
        waited = bool(asked.events)
        asked.add(event)
        who = asked.envelope[0]
        backlog = self._backlogs.get(who)
        if waited or (backlog is None and self._leave(asked)):
            return
        if backlog is None:
            backlog = self._backlogs[who] = _Backlog()
        backlog.waiting.append(asked)

    def _leave(self, asked: _Asked) -> bool:
        """Whether all events of it that waited are on their way."""
        while asked.events:
            if not self._try(asked.frames(), "events"):
                return False
            asked.left()
        return True

    def _end(self, asked: _Asked, reply: Reply) -> None:
        asked.ended = True
        self._send(asked.envelope, asked.request, reply)

    def _send(self, envelope: list[bytes], request: wire.Request, reply: Reply) -> None:
        if reply.id != request.id:
            reply = replace(reply, id=request.id)  # a number the client chose comes back as a number
        if isinstance(reply.error, BadRequest | TooLarge | Busy | Refused):
            self._count[reply.error.code] += 1
        frames = [*envelope, wire.encode(reply, request.msgpack)]
        who = envelope[0]
        backlog = self._backlogs.get(who)
        if backlog is None and self._try(frames):
            return
        if backlog is None:
            backlog = self._backlogs[who] = _Backlog()
        size = len(frames[-1])
        full = len(backlog.waiting) >= self._queue * OVERFLOW or backlog.bytes + size > QUEUE_BYTES
        if backlog.waiting and full:
            self._count["dropped"] += 1
            return
        backlog.waiting.append(frames)
        backlog.bytes += size

    def _send_backlogs(self) -> None:
        for who, backlog in list(self._backlogs.items()):
            while backlog.waiting:
                first = backlog.waiting[0]
                if not (self._leave(first) if isinstance(first, _Asked) else self._try(first)):
                    break
                backlog.waiting.popleft()
                backlog.bytes -= 0 if isinstance(first, _Asked) else len(first[-1])
            if not backlog.waiting:
                del self._backlogs[who]

    def _try(self, frames: list[bytes], what: str = "replies") -> bool:
        """Whether these frames need no further care: sent, or the client is gone."""
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            return False
        except zmq.ZMQError as exc:
            if exc.errno != errno.EHOSTUNREACH:
                raise
            self._count["dropped"] += 1
            return True
        self._count[what] += 1
        return True


def _somebody_answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect("\0" + path[1:] if path.startswith("@") else path)
        except OSError:
            return False
    return True
