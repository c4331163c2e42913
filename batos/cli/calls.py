"""A call: the verb somebody typed with its arguments and flags, and the image it is aimed at.

What every verb needs to know of the line and of whom to ask stands here.  What each does stands with its kind:
`messages`, `past`, `memory`, `mind`, `keys`, `care`; which verbs there are, in `verbs`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from batos.config import Settings
from batos.errors import BadRequest, NobodyAwake, NoSuchFile, Usage
from batos.message import Message, Reply, TellEvent

if TYPE_CHECKING:
    from batos.client import Client

PROGRAM = "python -m batos"


@dataclass(frozen=True, slots=True)
class Flag:
    """`--name VALUE`, or a switch where `value` is empty; `many` may be given again."""

    name: str
    value: str
    meaning: str
    many: bool = False


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb: `words` is its usage, `least` and `most` how many arguments it takes (None: any)."""

    name: str
    words: str
    meaning: str
    run: Callable[[Call], int]
    least: int = 0
    most: int | None = 0
    flags: tuple[Flag, ...] = ()
    asleep: bool = False


def verb(
    words: str = "",
    least: int = 0,
    most: int | None = 0,
    *,
    flags: tuple[Flag, ...] = (),
    asleep: bool = False,
) -> Callable[[Callable[[Call], int]], Verb]:
    """Makes a verb of a function: its name and docstring are the verb's name and help."""

    def made(run: Callable[[Call], int]) -> Verb:
        return Verb(run.__name__.rstrip("_"), words, cleandoc(run.__doc__), run, least, most, flags, asleep)

    return made


@dataclass(slots=True)
class Call:
    """What somebody typed: the verb, its arguments, the flags given, and the settings they make."""

    verb: Verb
    args: list[str]
    flags: dict[str, Any] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)

    @property
    def json(self) -> bool:
        return "json" in self.flags

    @property
    def timeout(self) -> float | None:
        return self.settings.timeout or None

    def command(self, words: str) -> str:
        """The next command to type, aimed at the same image as this one."""
        import shlex

        aim = []
        for name in ("image", "endpoint", "key"):
            if name in self.flags:
                value = self.flags[name]  # a list as long as the line is being read
                value = value[-1] if isinstance(value, list) else value
                aim.append(f"--{name} {shlex.quote(str(value))}")
        return " ".join([PROGRAM, *aim, words])


COMMON = (
    Flag("image", "DIR", "the folder of the image (image/)"),
    Flag("endpoint", "URL", "where it is awake (tcp://127.0.0.1:5555)"),
    Flag("key", "FILE", "the key to speak with, where the image asks for one"),
    Flag("timeout", "SECONDS", "how long to wait for the answer (10; 60 where thinking is waited for)"),
    Flag("json", "", "answers, and errors, as JSON on stdout"),
    Flag("version", "", "print the version"),
    Flag("help", "", "print this, or the help of a verb"),
)


def usage(
    why: str,
    verb: Verb | None,
    near: str = "",
    names: Iterable[str] = (),
    shown: Callable[[str], str] = str,
) -> Usage:
    """What is wrong with the line; `near` is looked for among `names`, in case it was a slip."""
    if near:
        import difflib

        close = difflib.get_close_matches(near, names, 1)
        if close:
            why += f"; did you mean {shown(close[0])}?"
    return Usage(why, hint=f"{PROGRAM} {verb.name} --help" if verb else f"{PROGRAM} --help")


def written(name: str) -> str:
    return f"-{name}" if len(name) == 1 else f"--{name}"


def argument(text: str) -> Any:
    """An argument: JSON, or the text itself where it is not JSON (NaN and Infinity are not)."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError:
        return text
    except _NotJson:
        return text
    except (ValueError, RecursionError) as exc:  # a number of more than 4,300 digits, a tower of brackets
        raise BadRequest(
            f"{text[:40]!r}... cannot be read: {exc}", hint="quote it twice to send it as text"
        ) from exc


class _NotJson(Exception):
    pass


def _no_constant(name: str) -> NoReturn:
    raise _NotJson(name)


def receiver(text: str) -> Any:
    """A path as it stands, or an object id written `{"oid": "0x1f"}`."""
    return argument(text) if text.startswith("{") else text


def existing(file: str) -> str:
    """The absolute path of a file or folder that is there; raises `NoSuchFile`."""
    path = Path(file)
    if not path.exists():
        raise no_file(file, FileNotFoundError(2, "no such file or folder"))
    return os.path.abspath(path)


def no_file(file: str, exc: OSError) -> NoSuchFile:
    return NoSuchFile(
        f"{file} cannot be read: {(exc.strerror or str(exc)).lower()}", hint=f"ls {Path(file).parent}"
    )


# -- whom to ask ------------------------------------------------------------------------------------


def asked(
    call: Call,
    to: str | dict[str, str],
    selector: str,
    *args: Any,
    tell: TellEvent | None = None,
    **fields: Any,
) -> Reply:
    """One message to the image the flags mean: awake through its socket, else asleep where the verb may.

    Raises what went wrong on the way, and the error the image answered with; `tell` hears what comes before.
    """
    message = Message(to, selector, list(args), timeout=call.timeout, stream=tell is not None, **fields)
    endpoint, patient = whom(call)
    if endpoint is not None:
        try:
            return checked(call_awake(endpoint, message, call, tell))
        except NobodyAwake:
            if not patient:
                raise
    from batos.app import asleep

    with asleep(call.settings) as image:
        return checked(image.send(message, tell))


def checked(reply: Reply) -> Reply:
    """The reply, or raised what it says went wrong."""
    if reply.error is not None:
        raise reply.error
    return reply


def call_awake(endpoint: str, message: Message, call: Call, tell: TellEvent | None = None) -> Reply:
    try:
        with open_client(endpoint, call) as client:
            return client.call(message, tell)
    except NobodyAwake as error:
        if error.hint.startswith(PROGRAM):
            error.hint = call.command("awaken")  # with the flags that were given
        raise


def open_client(endpoint: str, call: Call) -> Client:
    """A client that speaks with the key that was named, else with the owner's own where the image in DIR
    asks for keys, else with none."""
    from batos.client import Client

    key = call.settings.key
    if "key" not in call.flags:
        record = awake_record(call.settings.image)
        if record is not None and record["endpoint"] == endpoint and not (key and "server_key" in record):
            key = str(call.settings.image / "keys" / "owner") if "server_key" in record else ""
    return Client(endpoint, key=key)


def whom(call: Call) -> tuple[str | None, bool]:
    """Where to ask, None for the sleeping image itself; and whether that image is the second choice.

    An endpoint from flag or environment is meant as it stands.  Otherwise an image in DIR, or one
    that was named, is asked alone: where its `awake.json` says, or asleep; never a stranger at the
    default endpoint.
    """
    if "endpoint" in call.flags or "BATOS_ENDPOINT" in os.environ:
        return call.settings.endpoint, False
    image = call.settings.image
    record = awake_record(image)
    here = record is not None or bool(call.settings.storage)
    here = here or any((image / name).exists() for name in ("live_image.fs", "place.json"))
    if not (here or "image" in call.flags or "BATOS_IMAGE" in os.environ):
        return call.settings.endpoint, False
    asleep = call.verb.asleep and here
    if record is not None:
        return record["endpoint"], asleep
    if asleep:
        return None, True
    what = f"the image in {image} is asleep" if here else f"there is no image in {image}"
    raise NobodyAwake(what, hint=call.command("awaken"))


def awake_record(image: Path) -> dict[str, Any] | None:
    """`DIR/awake.json` if the process it names still lives: `{"endpoint", "pid", "since"}`, and
    "server_key" where a key is asked for."""
    try:
        record = json.loads((image / "awake.json").read_text())
        endpoint, pid = record["endpoint"], record["pid"]
        os.kill(pid, 0)
    except PermissionError:
        return record  # another user's process lives
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return None  # killed hard, or never written to its end: asleep
    return record if isinstance(endpoint, str) else None
