"""The wire, "batos message 1": frames to messages, replies to bytes.  Pure; sockets are elsewhere.

One table, `FIELDS`, says what a request may hold; `decode` obeys it and `describe` prints it, so
the stated contract and the enforced one cannot drift apart.  Decoding never raises: what is wrong
with a request is part of its `Request`, because somebody waits for an answer either way.  What a
field *means* is the kernel's business (does the path exist, is the selector understood).

JSON and msgpack carry the same values: null, booleans, whole and finite floating numbers, text,
lists and maps with text keys.  msgpack's further kinds (binary, timestamps, other keys) are refused,
so that a message means the same, and has the same idempotency digest, in both encodings.
"""

from __future__ import annotations

import gc
import itertools
import json
import math
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from batos.config import Settings
from batos.errors import WIRE_ERRORS, BadRequest, BatosError, Internal, TooLarge
from batos.message import PROTOCOL, WAIT_FOR_THOUGHT, WAIT_FOR_TURN, Message, Reply

MAX_DEPTH = 64  # lists and maps inside each other; pickling, copying and digests recurse on them
MAX_NODES = 250_000  # lists and maps in one message: each becomes a record, about 6 s of one turn
MAX_KEY = 256  # characters of an id or an idempotency key; both are kept and echoed
MAX_FRAMES = 16  # envelope and body; real envelopes have two or three frames
MAX_TIMEOUT = 7 * 86_400.0  # seconds; above it a waiting message is a leak

_json = msgspec.json.Decoder()
_msgpack = msgspec.msgpack.Decoder()
_LIMITS = "documents enter through `remember`, which reads files; ask `kernel describe` for the limits"
_oid = re.compile(r"0x[0-9a-f]{1,16}\Z")
_tid = re.compile(r"(0x)?[0-9a-fA-F]{1,16}\Z")
_ids = (f"{uuid.uuid4().hex[:12]}-{number}" for number in itertools.count(1))


@dataclass(frozen=True, slots=True)
class Field:
    """One request field: `check(value)` answers a sentence where the value does not fit, else None."""

    name: str
    kind: str
    meaning: str
    check: Callable[[Any], str | None]


def _text(value: Any) -> str | None:
    if type(value) is not str:
        return f"wants text, not {_name(value)}"
    return None if value else "is empty"


def _key(value: Any) -> str | None:
    if type(value) is str and len(value) > MAX_KEY:
        return f"has {len(value)} characters, at most {MAX_KEY} are kept"
    return _text(value)


def _id(value: Any) -> str | None:
    if type(value) is int and -(2**63) <= value < 2**64:
        return None
    return f"wants text or a whole number, not {_name(value)}" if type(value) is not str else _key(value)


def _receiver(value: Any) -> str | None:
    if type(value) is dict:
        fits = set(value) == {"oid"} and type(value["oid"]) is str and _oid.match(value["oid"])
        return None if fits else 'wants a path like "shop.till", or {"oid": "0x1f"} and nothing beside it'
    return _text(value) if type(value) is str else f'wants a path or {{"oid": "0x1f"}}, not {_name(value)}'


def _seconds(value: Any) -> str | None:
    if type(value) not in (int, float):
        return f"wants a number of seconds, not {_name(value)}"
    if not 0 < value <= MAX_TIMEOUT:  # NaN compares false, and is refused with the rest
        return f"wants more than 0 and at most {MAX_TIMEOUT:.0f} seconds, not {_short(value)}"
    return None


def _boolean(value: Any) -> str | None:
    return None if type(value) is bool else f"wants true or false, not {_name(value)}"


def _moment(value: Any) -> str | None:
    if type(value) is not str:
        return f"wants a transaction id as text, not {_name(value)}"
    return (
        None
        if _tid.match(value)
        else f"wants a transaction id such as 03fd1c2a9b7e5500, from `log` or a reply, not {_short(value)}"
    )


def _list(value: Any) -> str | None:
    return None if type(value) is list else f"wants a list, not {_name(value)}"


def _map(value: Any) -> str | None:
    return None if type(value) is dict else f"wants a map, not {_name(value)}"


def _miss(value: Any) -> str | None:
    return None if value in ("mission", "error") else f'wants "mission" or "error", not {_short(value)}'


def _examples(value: Any) -> str | None:
    if type(value) is not list:
        return f"wants a list, not {_name(value)}"
    for number, example in enumerate(value):
        if type(example) is not dict:
            return f"wants maps, but item {number} is {_name(example)}"
        for name in example:
            if name not in ("args", "kw", "result"):
                return f"wants maps of args, kw and result; item {number} has {_short(name)}"
        if "result" not in example:
            return f"wants a result in every item; item {number} has none"
        wrong = _list(example.get("args", [])) or _map(example.get("kw", {}))
        if wrong:
            return f"has an item {number} whose args or kw {wrong}"
    return None


FIELDS = {
    field.name: field
    for field in (
        Field(
            "to",
            'text or {"oid": "0x1f"}',
            "the receiver: a dotted path of slot names, or an object id",
            _receiver,
        ),
        Field("send", "text", "the selector", _text),
        Field("args", "list", 'arguments; {"$ref": "PATH"} and {"$oid": "0x1f"} stand for objects', _list),
        Field("kw", "map", "arguments by name", _map),
        Field("id", "text or whole number", "the client's own id, echoed; made by the image if absent", _id),
        Field("timeout", "number", "seconds the client will wait; past it nothing was done", _seconds),
        Field("wait", "boolean", 'false: answer {"mission": ID} at once where a mission is needed', _boolean),
        Field("intent", "text", "a sentence for the mission, if one is needed", _text),
        Field("examples", "list", "maps of args, kw and result for the mission, if one is needed", _examples),
        Field("miss", '"mission" or "error"', "what becomes of a message nobody understands", _miss),
        Field("idem", "text", "idempotency key, image-wide, kept 7 days", _key),
        Field(
            "stream",
            "boolean",
            "true: event frames before the reply, for who reads more than one frame (a DEALER, never a REQ)",
            _boolean,
        ),
        Field("at", "hex text", "a transaction id: a read-only answer from the image as it was", _moment),
        Field("dry", "boolean", "run, answer with the changes, keep nothing", _boolean),
    )
}
_NESTED = ("args", "kw", "examples")
_REQUIRED = ("to", "send")


# Event frames of a message with `stream: true`, beside `id`, `event` and `seq`.
EVENTS = {
    "state": {
        "state": "the state a mission is in",
        "mission": "its id",
        "told": "what the state before came to: the plan, how many drafts, the verdict",
    },
    "tokens": {
        "text": "what came to a draft since the event before",
        "draft": "which of those that are written side by side, from 0",
        "mission": "its id, where a mission thinks",
    },
    "progress": {
        "told": "a sentence about work that takes long",
        "bytes": "how many are done, where they are counted",
        "total_bytes": "of how many",
    },
    "draft": {
        "answer": "of `ask`, to begin with; the reply is its revision",
        "answer_id": "the `id` of that reply",
        "road": "by which it came",
        "sources": "what it rests on",
    },
    "again": {"why": "of `ask`: what was told so far is void, and said anew"},
}


@dataclass(frozen=True, slots=True)
class Request:
    """One frame, read: a message, or the error its sender is told.

    `id` is the client's own, as it came (a number stays one), or made here; `msgpack` says in which
    encoding the reply goes back.
    """

    id: str | int
    msgpack: bool
    message: Message | None = None
    error: BatosError | None = None


def split(frames: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """What a ROUTER received as (envelope, rest): the envelope goes before the reply as it stands.

    The envelope ends with the first empty frame; without one (a plain DEALER) it is the routing id
    alone.  A well-formed rest is one frame, the body.
    """
    try:
        end = frames.index(b"") + 1
    except ValueError:
        end = 1
    return frames[:end], frames[end:]


def decode(rest: list[bytes], limit: int) -> Request:
    """Read the frames after the envelope; never raises.  `limit` is in bytes of the whole body."""
    size = sum(map(len, rest))
    msgpack = bool(rest) and _is_msgpack(rest[0])
    if size > limit:
        error = TooLarge(
            f"the message has {size} bytes, this image takes {limit}",
            hint=_LIMITS,
        )
        return Request(_only_id(rest, msgpack), msgpack, error=error)
    if len(rest) != 1:
        why = (
            "there is no body frame after the envelope"
            if not rest
            else f"the message has {len(rest)} body frames, not one"
        )
        return Request(next(_ids), msgpack, error=_bad(why))
    body = rest[0]
    ident: str | int | None = None
    try:
        fields = _parse(body, msgpack)
        if _id(fields.get("id")) is None:
            ident = fields["id"]
        message = _message(fields, flat=not msgpack and body.count(b"[") + body.count(b"{") <= MAX_DEPTH)
    except BatosError as error:
        return Request(next(_ids) if ident is None else ident, msgpack, error=error)
    return Request(message.id if ident is None else ident, msgpack, message)


class _Id(msgspec.Struct):
    """A request of which everything but the id is skipped unread."""

    id: str | int


_id_of = {False: msgspec.json.Decoder(_Id), True: msgspec.msgpack.Decoder(_Id)}


def _only_id(rest: list[bytes], msgpack: bool) -> str | int:
    """The client's id out of a body too large to read: who sent several has to know which one it was."""
    try:
        ident = _id_of[msgpack].decode(rest[0]).id if len(rest) == 1 else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        ident = None
    return next(_ids) if _id(ident) else ident


def encode(reply: Reply, msgpack: bool) -> bytes:
    """The body of a reply; never raises, because whatever happened was done and must be told."""
    told = reply.to_wire()
    try:
        return _encode(told, msgpack)
    except Exception as exc:
        # A result outside plain data is the kernel's slip; the sender still learns what it can.
        error = Internal(f"the answer cannot be written as {'msgpack' if msgpack else 'JSON'}: {exc}")
        told = Reply(id=reply.id, error=error, tid=reply.tid, mission=reply.mission).to_wire()
        return _encode(told, msgpack)


def encode_event(ident: str | int, seq: int, event: dict[str, Any], msgpack: bool) -> bytes:
    """The body of an event frame: the id of its message, `event` (its kind), `seq` from 0 without a gap."""
    return _encode({**event, "id": ident, "seq": seq}, msgpack)


def describe(settings: Settings) -> dict[str, Any]:
    """The contract as data, as far as this edition serves it: `kernel describe` answers with it."""
    return {
        "protocol": PROTOCOL,
        "encodings": ["json", "msgpack"],
        "request": [
            {
                "field": field.name,
                "kind": field.kind,
                "meaning": field.meaning,
                "required": field.name in _REQUIRED,
            }
            for field in FIELDS.values()
        ],
        "reply": ["id", "result", "error", "tid", "mission", "replayed", "changes"],
        "events": EVENTS,
        "error": ["code", "message", "retryable", "hint", "near", "mission", "line", "rule"],
        "codes": list(WIRE_ERRORS),
        "limits": {
            "frame_bytes": settings.max_frame_bytes,
            "frames": MAX_FRAMES,
            "depth": MAX_DEPTH,
            "lists_and_maps": MAX_NODES,
            "key_characters": MAX_KEY,
            "timeout_seconds": MAX_TIMEOUT,
            "waiting": settings.max_waiting,
            "replies_kept": settings.client_queue,
        },
        "waits": {"turn": WAIT_FOR_TURN, "thought": WAIT_FOR_THOUGHT},
    }


def _is_msgpack(body: bytes) -> bool:
    # ASCII starts every JSON text; a byte order mark is JSON gone wrong, not msgpack.
    return body[:1] >= b"\x80" and not body.startswith(b"\xef\xbb\xbf")


def _parse(body: bytes, msgpack: bool) -> dict[str, Any]:
    paused = len(body) > 65_536 and gc.isenabled()
    if paused:
        gc.disable()  # a large body makes many containers and no garbage: collecting took 4/5 of the time,
    try:  # all of it with the interpreter lock held
        fields = (_msgpack if msgpack else _json).decode(body)
    except UnicodeDecodeError as exc:
        raise _bad("the body holds text that is not UTF-8") from exc
    except RecursionError as exc:
        raise _bad(f"the body is nested deeper than {MAX_DEPTH}") from exc
    except Exception as exc:  # msgspec's own, and TypeError for a map whose key is a map
        raise _bad(f"the body is not {'msgpack' if msgpack else 'JSON'}: {_short(exc, repr=str)}") from exc
    finally:
        if paused:
            gc.enable()
    if type(fields) is not dict:
        raise _bad(f"the body is a map of fields, not {_name(fields)}")
    return fields


def _message(fields: dict[Any, Any], flat: bool) -> Message:
    """Raises `BadRequest` naming the first field that does not fit.  `flat`: known not to be deep."""
    for name, value in fields.items():
        field = FIELDS.get(name) if type(name) is str else None
        if field is None:
            raise _bad(f"there is no field {_short(name)}; there are {', '.join(FIELDS)}")
        wrong = field.check(value)
        if wrong:
            raise _bad(f"field {name!r} {wrong}")
        if name in _NESTED and not flat:
            _plain(name, value)
    for name in _REQUIRED:
        if name not in fields:
            raise _bad(f"field {name!r} is missing")
    if fields.get("dry") or "at" in fields:
        _check_kept(fields)
    ident = fields.pop("id", None)
    return Message(id=next(_ids) if ident is None else str(ident), **fields)


def _check_kept(fields: dict[str, Any]) -> None:
    """Raises where a message that keeps nothing asks for something to be kept."""
    name = "at" if "at" in fields else "dry"
    if name == "at" and fields.get("dry"):
        raise _bad("fields 'at' and 'dry' exclude each other: the past cannot change, not even to try")
    if "idem" in fields:
        raise _bad(f"field 'idem' makes no sense with {name!r}: nothing is kept, so nothing happens twice")
    if fields["to"] == "kernel":
        raise _bad(f"field {name!r} is for messages to objects; the kernel's own have no past and no dry run")


def _plain(name: str, value: Any) -> None:
    """Raises where a value is too deep, holds too many lists and maps, or is outside what JSON can say."""
    level, depth, nodes = [value], 1, 1
    while level:
        if depth > MAX_DEPTH:
            raise _bad(f"field {name!r} is nested deeper than {MAX_DEPTH}")
        if nodes > MAX_NODES:
            raise TooLarge(f"field {name!r} holds more than {MAX_NODES} lists and maps", hint=_LIMITS)
        below: list[Any] = []
        for node in level:
            if type(node) is dict:
                for key in node:
                    if type(key) is not str:
                        raise _bad(f"field {name!r} holds a map whose key is {_name(key)}, not text")
                node = node.values()
            for leaf in node:
                kind = type(leaf)
                if kind is dict or kind is list:
                    below.append(leaf)
                elif kind is float:
                    if not math.isfinite(leaf):
                        raise _bad(f"field {name!r} holds {leaf}, which is not a number batos keeps")
                elif kind is not str and kind is not int and kind is not bool and leaf is not None:
                    raise _bad(f"field {name!r} holds {_name(leaf)}; send text instead")
        level, depth, nodes = below, depth + 1, nodes + len(below)


def _encode(told: dict[str, Any], msgpack: bool) -> bytes:
    if not msgpack:
        return msgspec.json.encode(told)
    try:
        return msgspec.msgpack.encode(told)
    except OverflowError:  # msgpack ends at 64 bits, a Python number does not: larger ones go as text
        return msgspec.msgpack.encode(json.loads(msgspec.json.encode(told), parse_int=_narrow))


def _narrow(digits: str) -> int | str:
    number = int(digits)
    return number if -(2**63) <= number < 2**64 else digits


_NAMES = {dict: "a map", list: "a list", str: "text", bool: "a boolean", int: "a number", float: "a number",
          type(None): "null", bytes: "binary data"}  # fmt: skip


def _name(value: Any) -> str:
    return _NAMES.get(type(value), f"a {type(value).__name__}")


def _short(value: Any, repr: Callable[[Any], str] = repr) -> str:
    told = repr(value)
    return told if len(told) <= 80 else f"{told[:77]}..."


def _bad(why: str) -> BadRequest:
    return BadRequest(why, hint="ask `kernel describe` for the fields of a message")
