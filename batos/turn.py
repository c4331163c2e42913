"""What one message does inside its turn: whom it reaches, what it comes to as plain data, what it leaves behind.

Owned here: references in arguments, a miss as plain data that may become a mission, an exception of a method as
one sentence, and the answers under idempotency keys.  Nothing here waits for anything; who waits for what is the
`kernel`'s.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from batos.errors import BadRequest, BatosError, Conflict, MethodError, NotUnderstood, Refused
from batos.image import Root
from batos.image.retention import IDEM_SECONDS
from batos.image.trees import ByKey
from batos.message import Message
from batos.objects import Missed, UvmObject, permission, send
from batos.objects.lookup import LeftTurn, one_slip
from batos.objects.method import digest
from batos.objects.plain import NotPlain, encode, oid_text, plain
from batos.objects.weight import briefly
from batos.psm.mission import Miss

ABOUT_A_SLOT = frozenset({"put", "forget", "revert"})  # whose first argument says more than the selector
LONGEST_WORDS = 2_000  # characters of what a method said when it raised

Admit = Callable[[Message, UvmObject | None, Root | None], None]


def birth(root: Root) -> None:
    """What turns keep in an image: the answers under idempotency keys."""
    if "idempotency" not in root:
        root["idempotency"] = ByKey()


class MissedHere(LeftTurn):
    """A miss that leaves the turn: plain data, because the live objects stay behind."""

    def __init__(self, miss: Miss, told: NotUnderstood, slip: bool):
        super().__init__(str(told))
        self.miss = miss
        self.told = told
        self.slip = slip  # one slip of the keyboard away from something understood


class Replayed(LeftTurn):
    """A message whose idempotency key has its answer already."""

    def __init__(self, result: Any):
        super().__init__("answered before")
        self.result = result


def perform(message: Message, root: Root, admit: Admit) -> Any:
    """One message inside its turn; answers its result as plain data.

    admit  raises what a message by a key may not do

    Raises `Replayed` where its idempotency key has an answer already, `MissedHere` where nobody understands it.
    """
    if message.key is not None:
        admit(message, _receiver(message, root), root)  # before it learns even an old answer
    if message.idem is not None:
        _look_up(message, root)
    receiver = _receiver(message, root)
    try:
        args = [_live(each, root) for each in message.args]
        kw = {name: _live(value, root) for name, value in message.kw.items()}
    except RecursionError:
        raise BadRequest(f"the arguments of {message.send!r} are nested too deeply to be read") from None
    try:
        result = send(receiver, message.send, tuple(args), kw)
        told = plain(result, root.path_of)
    except Missed as exc:
        raise _reified(exc, root) from None
    except (BatosError, LeftTurn):
        raise
    except NotPlain as exc:
        raise MethodError(f"{message.send!r} of {receiver!r} answered what cannot be told: {exc}") from exc
    except (Exception, RecursionError) as exc:
        raise _method_error(exc, receiver, message.send) from exc
    return told


def _reified(exc: Missed, root: Root) -> BaseException:
    """A miss as plain data; only a public, well-formed selector of an object that is kept may become a mission."""
    told = NotUnderstood(str(exc), near=exc.near or None, hint="see what it understands with `selectors`")
    if exc.receiver._p_oid is None or exc.receiver._p_serial == b"\0" * 8:
        return told
    if not permission.may_define(exc.receiver, permission.MISSIONS):
        told.hint = "no mission may define on it; its owner does, or permits it: `permissions_obj permit`"
        return told

    def ref(obj: UvmObject) -> dict[str, str]:
        return {"$oid": oid_text(obj)}

    try:
        args = [encode(each, ref) for each in exc.arguments]
        kw = {name: encode(value, ref) for name, value in exc.keywords.items()}
    except NotPlain:
        return told
    near = [name for name in (exc.near or []) if one_slip(exc.selector, name)]
    told.near = near or exc.near or None
    if near:  # `reverse_x` beside `reversed_x` is one slip away too, and may well be meant
        told.hint = (
            f"if {exc.selector!r} is meant and not {near[0]!r}, say so: send ... --miss mission, "
            'or `"miss": "mission"`'
        )
    miss = Miss(oid_text(exc.receiver), root.path_of(exc.receiver), exc.selector, args, kw)
    return MissedHere(miss, told, slip=bool(near))


def _receiver(message: Message, root: Root) -> UvmObject:
    return root.by_oid(message.to["oid"]) if isinstance(message.to, dict) else root.resolve(message.to)


def _live(value: Any, root: Root) -> Any:
    """An argument as a live value: `{"$ref": path}` and `{"$oid": text}` become objects."""
    if isinstance(value, list):
        return [_live(each, root) for each in value]
    if isinstance(value, dict):
        if len(value) == 1:
            ((tag, inner),) = value.items()
            if tag == "$ref":
                return root.resolve(str(inner))
            if tag == "$oid":
                return root.by_oid(str(inner))
        return {key: _live(each, root) for key, each in value.items()}
    return value


def _method_error(exc: BaseException, receiver: UvmObject, selector: str) -> MethodError:
    """What a method raised, in one sentence, with the line of the method that raised it."""
    line, frame = None, exc.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename.startswith("<method"):
            line = frame.tb_lineno
        frame = frame.tb_next
    if isinstance(exc, RecursionError) and "nested" not in str(exc):
        words = "it calls itself without end"
    elif not briefly(exc.args):
        words = "with more in it than a sentence holds"
    else:
        words = str(exc.args[0]) if isinstance(exc, KeyError) and exc.args else str(exc)
        words = words if len(words) <= LONGEST_WORDS else f"{words[:LONGEST_WORDS]} ..."
    return MethodError(f"{selector!r} of {receiver!r} raised {type(exc).__name__}: {words}", line=line)


def body_digest(message: Message) -> str:
    # Who has a key shares idempotency keys with nobody: the answer may be more than they may ask for.
    by = [message.key] if message.key is not None else []
    return digest(json.dumps([message.to, message.send, message.args, message.kw, *by], sort_keys=True))


def why_of(message: Message) -> str:
    """What a message is for, as its change record tells it: never a value."""
    to = message.to if isinstance(message.to, str) else message.to.get("oid")
    about = message.args[0] if message.send in ABOUT_A_SLOT and message.args else None
    return (
        f"{message.send} {about} to {to}"
        if isinstance(about, str) and about.isidentifier()
        else f"{message.send} to {to}"
    )


def slow(what: str) -> Refused:
    return Refused(
        f"this needs the mind, the embedder or a file, and cannot be {what}",
        rule="slow",
        hint="send it as a message of its own, without `at` and `dry`",
    )


def _look_up(message: Message, root: Root) -> None:
    """Raise `Replayed` if the message's key has an answer, `Conflict` if it was another message's."""
    found = root.connection.root()["idempotency"].get(message.idem)
    if found is None or found["time"] < time.time() - IDEM_SECONDS:
        return
    if not body_digest(message).startswith(found["digest"]):
        raise Conflict(f"the idempotency key {message.idem!r} was used for another message")
    raise Replayed(json.loads(found["result"]))


def remember(message: Message, root: Root, told: Any) -> None:
    """Keep the answer under the message's idempotency key, in the same transaction as its effect."""
    root.connection.root()["idempotency"][message.idem] = {
        "digest": body_digest(message)[:32],  # 128 bits: a slip is found, and a record is small
        "result": json.dumps(told),
        "time": time.time(),
    }
