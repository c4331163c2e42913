"""A line to an image: one connected socket, and the monitor that says what is at its other end.

Below it is a DEALER, not a REQ: a REQ socket whose answer never came is stuck.  A door that does not let us in says
nothing at all; the monitor tells, and `Refused` with the rule ``key`` says which side to set right.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any

import zmq

from batos.client.keyfile import Key
from batos.errors import BadRequest, BatosError, Deadline, Internal, NobodyAwake, Refused, TooLarge
from batos.message import TellEvent

GRACE = 2.0  # seconds beyond a message's own timeout: the image's `deadline` says more than ours
GREETING = 0.5  # seconds for a door's greeting
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
GONE = zmq.EVENT_DISCONNECTED


class Line:
    """One connected DEALER and the monitor that says whether anybody is at the other end."""

    def __init__(self, endpoint: str, patience: float, key: Key | None):
        self.endpoint = endpoint
        self._patience = -1  # ms a read of the socket waits, as it was set last
        # One context a process, never ended: a client of its own that nobody closed would, when it is collected,
        # wait for ever in the end of its context.
        self.socket, self.monitor = connect(zmq.Context.instance(), endpoint, key)
        deadline, meeting = time.monotonic() + patience, Meeting(endpoint, key)
        try:
            while not meeting.done(*self._event(max(0, int((deadline - time.monotonic()) * 1000)))):
                pass
        except BaseException:
            self.close()
            raise

    def lives(self) -> bool:
        # Asked before every message: reading the flag costs 1 us, a poll 10.
        while self.monitor.get(zmq.EVENTS) & zmq.POLLIN:
            if event_of(self.monitor.recv_multipart())[0] & GONE:
                return False
        return True

    def ask(self, body: bytes, timeout: float | None, tell: TellEvent | None) -> dict[str, Any]:
        """Send a message and read its reply; `tell` hears the events before it.

        A line carries one message at a time and ends with a lost answer.
        """
        self.socket.send_multipart((b"", body))
        deadline = None if timeout is None else time.monotonic() + patience_of(timeout)
        while True:
            patience = LOOK if deadline is None else min(LOOK, int((deadline - time.monotonic()) * 1000))
            if patience <= 0:
                raise late(self.endpoint, timeout)
            if not self.lives():
                patience = 0  # one more look: the answer may have come in front of the hang-up
            if patience != self._patience:
                self._patience = patience
                self.socket.set(zmq.RCVTIMEO, patience)
            try:
                told = read(self.socket.recv_multipart()[-1])
            except zmq.Again:
                if not patience:
                    raise left(self.endpoint, len(body)) from None
                continue
            if "event" not in told:
                return told
            if tell is not None:
                tell(told)

    def close(self) -> None:
        disconnect(self.socket, self.monitor)

    def _event(self, patience: int) -> tuple[int, int]:
        """The next event and its value; (0, 0) where none came."""
        return event_of(self.monitor.recv_multipart()) if self.monitor.poll(patience) else (0, 0)


def event_of(frames: list[bytes]) -> tuple[int, int]:
    """(event, its value) of what a monitor says."""
    return struct.unpack_from("=HI", frames[0])  # zmq.utils.monitor does this too, and imports asyncio


def connect(context: Any, endpoint: str, key: Key | None) -> tuple[Any, Any]:
    """A DEALER on its way to an endpoint, and its monitor."""
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
    monitor = socket.get_monitor_socket(_AWAKE | _REFUSED | GONE)
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as exc:
        disconnect(socket, monitor)
        raise BadRequest(
            f"{endpoint!r} is no endpoint: {exc.strerror}", hint="an endpoint looks like tcp://127.0.0.1:5555"
        ) from exc
    return socket, monitor


def disconnect(socket: Any, monitor: Any) -> None:
    socket.disable_monitor()
    monitor.close(0)
    socket.close(0)


def read(body: bytes) -> dict[str, Any]:
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


class Meeting:
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
            ours = "NULL" if self._key is None else "CURVE"
            if not self._silent[0] and _asked_for(self._endpoint) not in ("", ours):
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
    return NobodyAwake(
        f"no image is awake at {endpoint}", hint=f"python -m batos --endpoint {endpoint} awaken"
    )


def left(endpoint: str, size: int = 0) -> BatosError:
    """What became of a message of so many bytes whose connection ended before the answer."""
    if size > LARGE:
        return TooLarge(
            f"the image at {endpoint} closed the connection on a message of {size} bytes",
            hint="documents enter through `remember`, which reads files; `kernel describe` states the limits",
        )
    return NobodyAwake(
        f"the image at {endpoint} went away before it answered; whether the message was done is not known",
        hint="awaken it and look, or send with an idempotency key, which makes asking again safe",
    )


def patience_of(timeout: float | None) -> float | None:
    """How many seconds to wait for the answer to a message; None: as long as the connection lives."""
    return None if timeout is None else timeout + GRACE


def late(endpoint: str, timeout: float | None) -> Deadline:
    """No answer came to a message with this timeout."""
    return Deadline(
        f"no answer from {endpoint} in {timeout:g} s and {GRACE:g} more; "
        "whether the message was done is not known",
        hint="look at the object, or send with an idempotency key, which makes asking again safe",
    )
