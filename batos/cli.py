"""The command line: verbs to messages, answers to text, errors to sentences and exit codes.

`VERBS` is the whole of it: what stands there is what `--help` prints, what the parser takes and what
runs; a verb that is not built yet is not in the table.  Data goes to stdout, words to stderr.
Everything slow is imported by the verb that needs it, so that `--help` and `send` feel instant.

Flags are parsed here rather than by argparse, because they stand before or after the verb and among
arguments like `-5`, which is a number and no flag.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from batos import __version__, config
from batos.config import Settings
from batos.errors import (
    AlreadyAwake,
    BadRequest,
    BatosError,
    Conflict,
    NobodyAwake,
    NoSuchFile,
    NoSuchObject,
    Refused,
    Usage,
)
from batos.message import PROTOCOL, SERIES, Message, Reply

if TYPE_CHECKING:
    from batos.client import Client

PROGRAM = "python -m batos"
REMARKABLE = 2.0  # seconds a verb works before it says on what


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
        aim = [f"--{name} {self.flags[name]}" for name in ("image", "endpoint", "key") if name in self.flags]
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


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code.  Nothing a user can do wrong ends in a traceback."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - closed by whoever started us: `>&-`
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    given = sys.argv[1:] if argv is None else argv
    end = given.index("--") if "--" in given else len(given)
    # Known before anything is parsed, because a usage error is told in JSON too.
    call = Call(VERBS["awaken"], [], {"json": True} if "--json" in given[:end] else {})
    try:
        code = _run(given, call)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough (`| head`); a second flush at exit would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as exc:
        _say(f"{exc.filename or 'standard output'}: {exc.strerror or exc}")
        _say(f"next: {f'ls -ld {exc.filename}' if exc.filename else 'df -h'}")
        return 1


def _run(given: list[str], call: Call) -> int:
    try:
        _parse(given, call)
        if "help" in call.flags:
            print(_help(call.verb if call.flags["help"] else None))
            return 0
        if "version" in call.flags:
            print(f"batos {__version__} (Series {SERIES}, {PROTOCOL})")
            return 0
        call.settings = config.load(call.flags)
        return call.verb.run(call)
    except BatosError as error:
        return _fail(call, Reply("", error=error))


# -- what was typed ---------------------------------------------------------------------------------


def _parse(given: list[str], call: Call) -> None:
    """Fill `call`.  Raises `Usage`."""
    known = {flag.name: flag for verb in VERBS.values() for flag in verb.flags} | {
        flag.name: flag for flag in COMMON
    }
    words: list[str] = []
    rest = iter(given)
    flags = call.flags
    verb: Verb | None = None
    for word in rest:
        if word == "--":
            words += rest
            break
        if not _is_flag(word):
            if verb is None and not words:
                verb = _verb(word)
            else:
                words.append(word)
            continue
        name, value = _flag_name(word)
        flag = known.get(name)
        if flag is None:
            why = f"there is no flag {word!r} (after `--` it would be an argument)"
            raise _usage(why, verb, near=name, names=known)
        if not flag.value:
            if value is not None:
                raise _usage(f"--{name} takes no value", verb)
            flags[name] = True
            continue
        if value is None:
            value = next(rest, None)
        if value is None:
            raise _usage(f"--{name} wants {flag.value}", verb)
        flags.setdefault(name, []).append(value)
    if verb is None and words:  # `-- send ...`
        verb = _verb(words.pop(0))
    call.args = words
    if "help" in flags:
        flags["help"] = verb is not None
    call.verb = verb or VERBS["awaken"]
    # A name may be a flag of two verbs, and only one of them takes it again and again.
    many = {flag.name for flag in call.verb.flags if flag.many}
    for name, values in flags.items():
        if isinstance(values, list) and name not in many:
            flags[name] = values[-1]
    if "help" in flags or "version" in flags:
        return
    own = {flag.name for flag in call.verb.flags + COMMON}
    for name in flags:
        if name not in own:
            raise _usage(f"{call.verb.name} has no flag {_written(name)}", call.verb)
    if len(words) < call.verb.least or (call.verb.most is not None and len(words) > call.verb.most):
        wanted = f"{PROGRAM} {call.verb.name} {call.verb.words}".rstrip()
        raise _usage(f"{call.verb.name} was given {len(words)} arguments; it reads: {wanted}", call.verb)
    if "timeout" in flags:
        flags["timeout"] = _seconds(flags["timeout"], call.verb)


def _is_flag(word: str) -> bool:
    # `-` is standard input, `-5` and `-.5` are numbers.
    return (
        len(word) > 1
        and word[0] == "-"
        and not (word[1].isdigit() or (word[1] == "." and word[2:3].isdigit()))
    )


def _flag_name(word: str) -> tuple[str, str | None]:
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        return name, value if equals else None
    if word == "-h":
        return "help", None
    return word[1:2], word[2:] or None  # -k NAME=VALUE and -kNAME=VALUE


def _verb(word: str) -> Verb:
    verb = VERBS.get(word)
    if verb is None:
        raise _usage(f"there is no verb {word!r}", None, near=word, names=VERBS)
    return verb


def _seconds(text: str, verb: Verb) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise _usage(f"--timeout wants seconds, more than 0, not {text!r}", verb)
    return seconds


def _written(name: str) -> str:
    return f"-{name}" if len(name) == 1 else f"--{name}"


def _usage(why: str, verb: Verb | None, near: str = "", names: Any = ()) -> Usage:
    if near:
        import difflib

        close = difflib.get_close_matches(near, [str(name) for name in names], 1)
        if close:
            why += f"; did you mean {close[0] if names is VERBS else _written(close[0])}?"
    return Usage(why, hint=f"{PROGRAM} {verb.name} --help" if verb else f"{PROGRAM} --help")


def _help(verb: Verb | None) -> str:
    if verb is not None:
        lines = [f"usage: {PROGRAM} [FLAGS] {verb.name} {verb.words}".rstrip(), "", verb.meaning]
        lines += ["", *_flag_lines(verb.flags)] if verb.flags else []
        lines += ["", "flags, before or after the verb:", *_flag_lines(COMMON)]
        return "\n".join(lines)
    width = max(len(one.name) for one in VERBS.values()) + 2
    return "\n".join(
        [
            f"usage: {PROGRAM} [FLAGS] [VERB] ...",
            "",
            "A living image of prototype objects that learn the messages they do not understand.",
            "",
            "verbs:",
            *(f"  {one.name:{width}}{one.meaning.splitlines()[0]}" for one in VERBS.values()),
            "",
            "flags, before or after the verb; `--` ends them:",
            *_flag_lines(COMMON),
            "",
            "What no flag says, BATOS_IMAGE, BATOS_ENDPOINT, BATOS_KEY, BATOS_TIMEOUT say, then DIR/batos.toml.",
            f"{PROGRAM} VERB --help says more about a verb.",
        ]
    )


def _flag_lines(flags: tuple[Flag, ...]) -> list[str]:
    return [f"  {f'{_written(flag.name)} {flag.value}'.rstrip():22} {flag.meaning}" for flag in flags]


def _value(text: str) -> Any:
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


# -- whom to ask ------------------------------------------------------------------------------------


def _ask(call: Call, to: str | dict[str, str], selector: str, *args: Any, **fields: Any) -> Reply:
    """One message to the image the flags mean: awake through its socket, else asleep where the verb may.

    Raises what went wrong on the way, and the error the image answered with.
    """
    message = Message(to, selector, list(args), timeout=call.timeout, **fields)
    endpoint, patient = _endpoint(call)
    if endpoint is not None:
        try:
            return _told(_awake(endpoint, message, call))
        except NobodyAwake:
            if not patient:
                raise
    from batos.app import asleep

    with asleep(call.settings) as image:
        return _told(image.send(message))


def _told(reply: Reply) -> Reply:
    if reply.error is not None:
        raise reply.error
    return reply


def _awake(endpoint: str, message: Message, call: Call) -> Reply:
    try:
        with _client(endpoint, call) as client:
            return client.call(message)
    except NobodyAwake as error:
        if error.hint.startswith(PROGRAM):
            error.hint = call.command("awaken")  # with the flags that were given
        raise


def _client(endpoint: str, call: Call) -> Client:
    """A client that speaks with the key that was named, else with the owner's own where the image in DIR
    asks for keys, else with none."""
    from batos.client import Client

    key = call.settings.key
    if "key" not in call.flags:
        record = awake_record(call.settings.image)
        if record is not None and record["endpoint"] == endpoint and not (key and "server_key" in record):
            key = str(call.settings.image / "keys" / "owner") if "server_key" in record else ""
    return Client(endpoint, key=key)


def _endpoint(call: Call) -> tuple[str | None, bool]:
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
    """`DIR/awake.json` if the process it names still lives: `{"endpoint", "pid", "since"}`."""
    try:
        record = json.loads((image / "awake.json").read_text())
        endpoint, pid = record["endpoint"], record["pid"]
        os.kill(pid, 0)
    except PermissionError:
        return record  # another user's process lives
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return None  # killed hard, or never written to its end: asleep
    return record if isinstance(endpoint, str) else None


# -- what is said -----------------------------------------------------------------------------------


def _fail(call: Call, reply: Reply) -> int:
    """Tell an error: the sentence, what is near, and the next command; its exit code."""
    error = reply.error
    if call.json:
        print(json.dumps(reply.to_wire() if reply.id else {"error": error.to_wire()}, ensure_ascii=False))
    from batos.repl import sentences

    for words in sentences(error):
        _say(words)
    hint = error.hint or ""
    if "--image" not in hint and "--endpoint" not in hint:
        hint = hint.replace(PROGRAM, call.command("").rstrip())
    command = PROGRAM in hint or (hint and isinstance(error, NoSuchFile))
    if hint and not command:
        _say(f"hint: {hint}")
    _say(f"next: {hint if command else _next(call, error)}")
    return error.exit_code


def _next(call: Call, error: BatosError) -> str:
    """The next command where the error brought none of its own."""
    import shlex

    path = (
        call.args[0]
        if call.args and call.verb.name in ("send", "define", "inspect", "history", "revert")
        else "lobby"
    )
    selector = call.args[1] if len(call.args) > 1 and call.verb.name == "send" else "SELECTOR"
    words = {
        "no_such_object": "inspect lobby",
        "not_understood": f"inspect {path}",
        "ambiguous": f"inspect {path}",
        "wrong_arguments": f"send {path} source {selector}",
        "method_error": f"send {path} source {selector}",
        "refused": f"{call.verb.name} {shlex.join(call.args)}",
        "mission_failed": f"mission {error.mission}" if error.mission else f"define {path} FILE",
        "conflict": f"inspect {path}",
        "deadline": f"--timeout 60 {call.verb.name} {shlex.join(call.args)}".rstrip(),
        "no_mind": f"define {path} FILE",
        "busy": "missions",
        "cancelled": "missions",
        "nobody_awake": "awaken",
        "already_awake": "stop",
        "internal": "doctor",
        "damaged": "doctor",
    }.get(error.code, f"{call.verb.name} --help")
    return call.command(words)


def _say(words: str) -> None:
    """Words to a person, on stderr; what no terminal can show is escaped."""
    text = words.encode("utf-8", "backslashreplace").decode()
    sys.stderr.buffer.write(f"batos: {text}\n".encode(sys.stderr.encoding or "utf-8", "backslashreplace"))
    sys.stderr.flush()


def _print(call: Call, data: Any, readable: Callable[[Any], str] | None = None) -> int:
    """Data to stdout: JSON where asked for, else as a person reads it."""
    print(json.dumps(data, ensure_ascii=False) if call.json else (readable or _readable)(data))
    return 0


def _readable(data: Any) -> str:
    from batos.repl import readable

    return readable(data)


# -- the verbs --------------------------------------------------------------------------------------


def _awaken(call: Call) -> int:
    from batos.app import awaken

    repl = None
    if "no-repl" not in call.flags and sys.stdin.isatty() and sys.stdout.isatty():
        from batos.repl import run as repl
    return awaken(call.settings, repl, call.json)


def _send(call: Call) -> int:
    to, selector, *args = call.args
    message = Message(
        _receiver(to),
        selector,
        [_value(arg) for arg in args],
        _named(call),
        timeout=call.timeout,
        wait="no-wait" not in call.flags,
        miss=call.flags.get("miss"),
        idem=call.flags.get("idem"),
        at=call.flags.get("at"),
        dry="dry" in call.flags,
    )
    endpoint, _ = _endpoint(call)
    reply = _awake(endpoint, message, call)
    if reply.error is not None:
        return _fail(call, reply)
    print(json.dumps(reply.to_wire() if call.json else reply.result, ensure_ascii=False))
    if message.dry and not call.json:
        from batos.repl import changed

        # Beside the result, which a script reads, and not in it.
        for words in changed(reply.changes or []) or ["nothing"]:
            _say(f"would change {words}")
    return 0


def _receiver(text: str) -> Any:
    """A path as it stands, or an object id written `{"oid": "0x1f"}`."""
    return _value(text) if text.startswith("{") else text


def _named(call: Call) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for pair in call.flags.get("k", []):
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise _usage(f"-k wants NAME=VALUE, not {pair!r}", call.verb)
        if name in named:
            raise _usage(f"-k {name} was given twice", call.verb)
        named[name] = _value(value)
    return named


def _define(call: Call) -> int:
    path, file = call.args
    try:
        source = (sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).decode()
    except UnicodeDecodeError as exc:
        raise BadRequest(f"{file} is not UTF-8 text: {exc.reason} at byte {exc.start}") from exc
    except OSError as exc:
        raise _no_file(file, exc) from exc
    try:
        return _print(call, _ask(call, _receiver(path), "define", source).result)
    except Refused as error:
        from batos.repl import pointed

        for words in pointed(source, error):
            _say(words)
        raise


def _repl(call: Call) -> int:
    from batos.repl import run

    endpoint, _ = _endpoint(call)
    with _client(endpoint, call) as client:
        _told(client.call(Message("kernel", "ping", timeout=5.0)))
        record = awake_record(call.settings.image)
        here = record is not None and record["endpoint"] == endpoint
        return run(client, call.settings.image / "repl_history" if here else None)


def _missions(call: Call) -> int:
    return _print(call, _ask(call, "kernel", "missions").result)


def _mission(call: Call) -> int:
    return _print(call, _ask(call, "kernel", "mission", call.args[0]).result)


def _replay(call: Call) -> int:
    told = _ask(call, "kernel", "replay", call.args[0]).result
    _print(call, told)
    if not told["same"]:
        _say(f"mission {told['mission']} came to {told['was']} then and comes to {told['state']} now: {told['why']}")
    return 0 if told["same"] else 1


def _cancel(call: Call) -> int:
    if not _ask(call, "kernel", "cancel", call.args[0]).result:
        raise NoSuchObject(
            f"nothing that runs or waits is called {call.args[0]!r}", hint=call.command("missions")
        )
    return 0


def _ask_mind(call: Call) -> int:
    from batos.repl import answered

    session = {"kw": {"session": call.flags["session"]}} if "session" in call.flags else {}
    reply = _ask(call, "kernel", "ask", " ".join(call.args), **session)
    return _print(call, reply.result, answered)


def _inspect(call: Call) -> int:
    from batos.repl import described

    return _print(call, _ask(call, _receiver(call.args[0]), "describe").result, described)


def _history(call: Call) -> int:
    from batos.repl import past

    return _print(call, _ask(call, "kernel", "history", *call.args).result, past)


def _log(call: Call) -> int:
    from batos.repl import logged

    last = [_value(call.flags["n"])] if "n" in call.flags else []
    if last and (type(last[0]) is not int or last[0] < 1):
        raise _usage(f"-n wants a whole number, 1 or more, not {call.flags['n']!r}", call.verb)
    return _print(call, _ask(call, "kernel", "log", *last).result, logged)


def _undo(call: Call) -> int:
    from batos.repl import taken

    told = _ask(call, "kernel", "undo", *call.args).result
    return _print(call, told, lambda told: taken(told, "taken back"))


def _redo(call: Call) -> int:
    from batos.repl import taken

    return _print(call, _ask(call, "kernel", "redo").result, lambda told: taken(told, "done again"))


def _revert(call: Call) -> int:
    path, selector, *version = call.args
    return _print(call, _ask(call, _receiver(path), "revert", selector, *map(_value, version)).result)


def _remember(call: Call) -> int:
    forget = [_source(source) for source in call.flags.get("forget", [])]
    if not call.args and not forget:
        raise _usage("remember wants a FILE, a folder, or --forget SOURCE", call.verb)
    paths = [arg if arg.startswith("image:") else _existing(arg) for arg in call.args]
    if paths:
        what = paths[0] if len(paths) == 1 else f"{len(paths)} files and folders"
        _say(f"the image reads {what}; a large one takes a while")
    reply = _ask(call, "kernel", "remember", paths, **({"kw": {"forget": forget}} if forget else {}))
    _print(call, reply.result)
    skipped = reply.result.get("skipped", [])
    for one in skipped:
        _say(f"{one['source']} was left out: {one['why']}")
    # A picture somewhere in a folder is no failure; a file that was named and not taken in is one.
    return 1 if any(one["source"] in paths for one in skipped) else 0


def _source(source: str) -> str:
    """What a document is remembered under: an absolute path, or image:PATH for an object of the image."""
    return source if source.startswith("image:") else os.path.abspath(source)


def _recall(call: Call) -> int:
    from batos.repl import passages

    top = _value(call.flags.get("top", "5"))
    if type(top) is not int or top < 1:
        raise _usage(f"--top wants a whole number, 1 or more, not {call.flags['top']!r}", call.verb)
    only: dict[str, Any] = {name: call.flags[name] for name in ("kind", "at") if name in call.flags}
    if "source" in call.flags:
        only["source"] = _source(call.flags["source"])
    if "since" in call.flags:
        from datetime import datetime

        try:
            only["since"] = datetime.fromisoformat(call.flags["since"]).timestamp()
        except ValueError:
            raise _usage(f"--since wants a date such as 2026-05-01, not {call.flags['since']!r}", call.verb) from None
    if "why" in call.flags:
        only["why"] = True
    reply = _ask(call, "kernel", "recall", " ".join(call.args), top, **({"kw": only} if only else {}))
    return _print(call, reply.result, passages)


def _audit(call: Call) -> int:
    reply = _ask(call, "kernel", "audit", **({"kw": {"last": True}} if "last" in call.flags else {}))
    return _print(call, reply.result)


def _incarnate(call: Call) -> int:
    source = call.args[0]
    if Path(source).is_dir():
        source = os.path.abspath(source)
    elif source.startswith(("/", ".", "~")) or "/" not in source:
        raise _no_file(source, FileNotFoundError(2, "no such folder"))
    told = _ask(call, "kernel", "incarnate", source, kw={"look": True}).result
    quantised = f", {told['quantise']} when it is in" if told["quantise"] else ""
    for line in (
        f"{told['name']}: {told['parameters']:,} parameters{quantised}, "
        f"licence {told['licence']}",
        f"{told['files']} files of {told['bytes'] / 1e6:,.1f} MB; {told['disk'] / 1e6:,.1f} MB are written, "
        f"{told['disk_free'] / 1e6:,.0f} MB are free",
        f"its weights take {told['memory'] / 1e6:,.1f} MB of {told['budget'] / 1e6:,.0f} MB {told['device']} "
        f"(profile {told['profile']})",
    ):
        _say(line)
    with _patience(f"{told['name']} becomes part of the image"):
        report = _ask(call, "kernel", "incarnate", source).result
    return _print(call, report)


def _minds(call: Call) -> int:
    wanted = {name: call.flags[name] for name in ("use", "forget") if name in call.flags}
    return _print(call, _ask(call, "kernel", "minds", **({"kw": wanted} if wanted else {})).result)


def _experts(call: Call) -> int:
    asked = [name for name in ("stage", "export", "rename", "remove") if name in call.flags]
    if len(asked) > 1:
        raise _usage(f"experts does one thing at a time, not --{asked[0]} and --{asked[1]}", call.verb)
    if asked and asked[0] != "stage":
        return _one_expert(call, asked[0], call.flags[asked[0]])
    if not asked:
        if call.args:
            raise _usage(f"experts takes a folder only after --stage, not {call.args[0]!r}", call.verb)
        return _print(call, _ask(call, "kernel", "experts").result)
    paths = [_existing(arg) for arg in call.args] or [str(call.settings.staging.absolute())]
    result = _ask(call, "kernel", "stage", paths).result
    _print(call, result)
    for one in result["refused"]:
        _say(f"{one['path']} was refused: {one['reason']}")
    return 1 if result["refused"] else 0


def _one_expert(call: Call, what: str, name: str) -> int:
    """`--export NAME DIR`, `--rename OLD NEW`, `--remove NAME`: the second word is the verb's argument."""
    second = {"export": "DIR", "rename": "NEW"}.get(what)
    if len(call.args) != (1 if second else 0):
        reads = f"--{what} {'OLD' if what == 'rename' else 'NAME'}{f' {second}' if second else ''}"
        raise _usage(f"it reads: {PROGRAM} experts {reads}", call.verb)
    args = [os.path.abspath(call.args[0])] if what == "export" else call.args
    return _print(call, _ask(call, "kernel", f"{what}_expert", name, *args).result)


def _doctor(call: Call) -> int:
    from batos.repl import checks

    scrub = "scrub" in call.flags
    with _patience("every byte of the image is read" if scrub else "the image is looked over"):
        files = _scrubbed_asleep(call) if scrub else []
        if any(check["state"] == "fail" for check in files):
            found = files
        else:
            found = _ask(call, "kernel", "doctor", *[True] * (scrub and not files)).result + files
    _print(call, found, checks)
    failed = {check["check"] for check in found if check["state"] == "fail"}
    return 9 if "scrub" in failed else 1 if failed else 0


def _scrubbed_asleep(call: Call) -> list[dict[str, Any]]:
    """What a scrub says of the files of a sleeping image; nothing where none sleeps here.

    They are read before it is opened, because a damaged image may not open any more, and opening may mend
    or cut off what should be looked at first.
    """
    endpoint, _ = _endpoint(call)
    if endpoint is not None or not (call.settings.image / "live_image.fs").exists():
        return []
    from batos.doctor import scrub_files

    return scrub_files(call.settings.image)


def _keys(call: Call) -> int:
    chosen = [name for name in ("add", "remove", "make", "server") if name in call.flags]
    if len(chosen) > 1:
        raise _usage(f"keys does one thing at a time, not --{' and --'.join(chosen)}", call.verb)
    for name, fits in (("may", ["add"]), ("public", ["add"]), ("out", ["add", "make"]), ("server-key", ["make"])):
        if name in call.flags and not set(fits) & set(chosen):
            raise _usage(f"--{name} goes with --{' or --'.join(fits)}", call.verb)
    if "make" in chosen:
        return _make_key(call, call.flags["make"])
    if "add" in chosen:
        return _add_key(call, call.flags["add"], call.flags.get("public"))
    if "remove" in chosen:
        told = _ask(call, "kernel", "keys", kw={"remove": call.flags["remove"]}).result
        _say(f"who speaks with the key {told['removed']!r} is refused from now on, in the middle of a session too")
        return _print(call, told)
    if "server" in chosen:
        told = _ask(call, "kernel", "keys", kw={"server": True}).result
        _say(f"a client's key file wants the line: server-key = \"{told['server_key']}\"")
        return _print(call, told)
    found = _ask(call, "kernel", "keys").result
    if not found:
        _say("there is no key: only the owner speaks to this image")
        _say("next: " + call.command("keys --add NAME --may 'RECEIVER SELECTOR'"))
    return _print(call, found)


def _make_key(call: Call, name: str) -> int:
    """A key pair of one's own, made where it will be used: only its public half ever leaves this machine."""
    from batos.client import Key

    pair, file = Key.made(name, call.flags.get("server-key", "")), Path(call.flags.get("out", f"{name}.key"))
    try:
        pair.write(file)
    except FileExistsError:
        raise Conflict(f"{file} is there already", hint=call.command(f"keys --make {name} --out OTHER")) from None
    _say(f"the owner of the image lets you in with: keys --add {name} --public '{pair.public}'")
    if not pair.server:
        _say(f"put into {file} the line that `keys --server` tells there, or make it with --server-key")
    return _print(call, {"name": name, "public": pair.public, "file": str(file.absolute())})


def _add_key(call: Call, name: str, public: str | None) -> int:
    """Let somebody in: the image learns the public key, and the secret goes into a file and nowhere else."""
    from batos.client import Key

    file = Path(call.flags.get("out", f"{name}.key"))
    if public is None and file.exists():
        raise Conflict(f"{file} is there already", hint=call.command(f"keys --add {name} --out OTHER"))
    pair = Key.made(name) if public is None else None
    told = _ask(
        call, "kernel", "keys",
        kw={"add": name, "public": public or pair.public, "may": call.flags.get("may", [])},
    ).result  # fmt: skip
    if pair is not None:
        try:
            replace(pair, server=told["server_key"]).write(file)
        except OSError:
            _ask(call, "kernel", "keys", kw={"remove": name})
            raise
        told = {**told, "file": str(file.absolute())}
        _say(f"whoever has {file} is {name}: hand it over safely, it is nowhere else")
    if not told["may"]:
        _say("it may send nothing yet")
        _say("next: " + call.command(f"send keys_obj.{name} put may '[\"account *\"]'"))
    return _print(call, told)


def _pack(call: Call) -> int:
    with _patience("the image is packed; messages are answered meanwhile"):
        told = _ask(call, "kernel", "pack").result
    return _print(call, told)


def _backup(call: Call) -> int:
    target = os.path.abspath(call.args[0])  # the image has a current folder of its own
    with _patience(f"the image is copied to {target}"):
        told = _ask(call, "kernel", "backup", target).result
    return _print(call, told)


def _export(call: Call) -> int:
    target = os.path.abspath(call.args[0])
    with _patience(f"the image is written to {target}"):
        told = _ask(call, "kernel", "export", target).result
    return _print(call, told)


def _restore(call: Call) -> int:
    source = _existing(call.args[0])
    _only_asleep(call)
    from batos.app import restore

    with _patience(f"{source} is brought back to {call.settings.image}, and every byte of it compared"):
        told = restore(call.settings, source, call.flags.get("to"))
    return _print(call, told)


def _import(call: Call) -> int:
    source = _existing(call.args[0])
    _only_asleep(call)
    from batos.app import import_image

    with _patience(f"an image is built from {source} in {call.settings.image}"):
        told = import_image(call.settings, source, edited="edited" in call.flags)
    refused = told.get("refused", [])
    _print(call, told, lambda facts: _readable({key: facts[key] for key in facts if key != "refused"}))
    for one in refused:
        where = f"{one['object']} {one['selector']} version {one['version']}"
        _say(f"{where} is kept but not installed: {one['why']} (rule {one['rule']}, line {one['line']})")
    return 1 if refused else 0


def _only_asleep(call: Call) -> None:
    """Raise `AlreadyAwake` where somebody serves the image; who else holds it is told by its storage."""
    record = awake_record(call.settings.image)
    if record is not None:
        raise AlreadyAwake(
            f"the image {call.settings.image} is awake: process {record['pid']} serves it "
            f"at {record['endpoint']} since {record.get('since')}",
            hint=call.command("stop"),
        )


@contextmanager
def _patience(words: str) -> Iterator[None]:
    """Say what is going on where it takes longer than a person expects."""
    import threading

    timer = threading.Timer(REMARKABLE, _say, [f"{words}; that takes a while"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _stop(call: Call) -> int:
    endpoint, _ = _endpoint(call)
    result = _told(_awake(endpoint, Message("kernel", "stop", timeout=call.timeout), call)).result
    pid = result.get("pid") if isinstance(result, dict) else None
    deadline = time.monotonic() + 6.0  # the image promises five
    while isinstance(pid, int) and time.monotonic() < deadline and _alive(pid):
        time.sleep(0.02)
    if isinstance(pid, int) and _alive(pid):
        _say(f"the image was told to sleep, but its process {pid} still runs")
        return 1
    return _print(call, result) if call.json else 0


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # Ended, but its parent has not looked yet: done as far as anybody waits for it.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True


def _existing(file: str) -> str:
    path = Path(file)
    if not path.exists():
        raise _no_file(file, FileNotFoundError(2, "no such file or folder"))
    return os.path.abspath(path)


def _no_file(file: str, exc: OSError) -> NoSuchFile:
    return NoSuchFile(
        f"{file} cannot be read: {(exc.strerror or str(exc)).lower()}", hint=f"ls {Path(file).parent}"
    )


VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "awaken",
            "",
            "open the image or give birth to it, and serve it (the verb when none is given)",
            _awaken,
            flags=(Flag("no-repl", "", "only serve, also on a terminal"),),
        ),
        Verb(
            "send",
            "RECEIVER SELECTOR [ARG ...] [-k NAME=VALUE ...]",
            "send one message; print its result as JSON\n\n"
            "ARG and VALUE are JSON, or plain text where they are not JSON.",
            _send,
            2,
            None,
            flags=(
                Flag("k", "NAME=VALUE", "an argument by name", many=True),
                Flag("miss", "mission|error", "what becomes of a message nobody understands"),
                Flag("no-wait", "", "where a mission is needed, answer its id and do not wait"),
                Flag("idem", "KEY", "run at most once under this key, however often it is sent"),
                Flag("at", "TID", "ask the image as it was right after a transaction; log tells their ids"),
                Flag("dry", "", "try it: say what it would answer and change, and keep nothing"),
            ),
        ),
        Verb(
            "define",
            "PATH FILE",
            "install the method in FILE (-: standard input) through the guardian",
            _define,
            2,
            2,
        ),
        Verb("repl", "", "talk to the image line by line", _repl),
        Verb("missions", "", "list the missions: what is being thought about, and what was", _missions),
        Verb("mission", "ID", "one mission: its plan, drafts, verdict and answer", _mission, 1, 1),
        Verb(
            "replay",
            "ID",
            "run a mission again from the journal, without the mind; nothing of it is kept\n\n"
            "Exit 0: it came to the same end with the same method.",
            _replay,
            1,
            1,
        ),
        Verb("cancel", "ID", "end a mission, or a message that waits; nothing is changed by it", _cancel, 1, 1),
        Verb(
            "ask",
            "TEXT",
            "a question to the Composite Mind\n\n"
            "Arithmetic, algebra, units, dates and simple logic are answered exactly, questions about objects\n"
            "from the objects, others from what is remembered, with the place it stands. What is told and asks\n"
            "nothing is remembered.",
            _ask_mind,
            1,
            None,
            flags=(Flag("session", "NAME", "go on with the conversation of that name"),),
        ),
        Verb(
            "inspect",
            "PATH",
            "an object: its slots, parents and methods, and who wrote them",
            _inspect,
            1,
            1,
            asleep=True,
        ),
        Verb(
            "history",
            "PATH [SELECTOR]",
            "the versions of its methods, and who changed which of its slots when and why",
            _history,
            1,
            2,
            asleep=True,
        ),
        Verb(
            "log",
            "",
            "what changed the image, newest last: when, who and why",
            _log,
            flags=(Flag("n", "N", "how many of the newest (50)"),),
            asleep=True,
        ),
        Verb(
            "revert",
            "PATH SELECTOR [VERSION]",
            "put the version before back, or the one named",
            _revert,
            2,
            3,
        ),
        Verb(
            "undo",
            "[MESSAGE_OR_MISSION]",
            "take back the last change, or what a message or a mission changed\n\n"
            "Its id stands in log; a transaction's is taken too, where it held one message. What others\n"
            "did since stays; where they changed the same again, nothing is taken back.",
            _undo,
            0,
            1,
        ),
        Verb("redo", "", "do again what was taken back last", _redo),
        Verb(
            "remember",
            "FILE ...",
            "put documents or folders into the fractal memory\n\n"
            "Text, Markdown, HTML, PDF, source code, mail (.eml, .mbox), exported conversations (.json); and of\n"
            "the image itself: image:PATH for an object, image:missions for what its missions came to.",
            _remember,
            0,
            None,
            flags=(Flag("forget", "SOURCE", "take a document out again", many=True),),
        ),
        Verb(
            "recall",
            "QUERY",
            "search the fractal memory",
            _recall,
            1,
            None,
            flags=(
                Flag("top", "N", "how many passages (5)"),
                Flag("source", "PATH", "only from this file, or from files under this folder"),
                Flag("kind", "KIND", "only markdown, text, chat, python or code"),
                Flag("since", "DATE", "only what was remembered since"),
                Flag("at", "TID", "what was known right after this transaction"),
                Flag("why", "", "also what made each an answer"),
            ),
            asleep=True,
        ),
        Verb(
            "audit",
            "",
            "ALFRED looks the image over now, and reports",
            _audit,
            flags=(Flag("last", "", "the last report instead"),),
        ),
        Verb(
            "incarnate",
            "DIR_OR_HUB_ID",
            "make a model the mind: a folder of Hugging Face files, or OWNER/NAME of a hub\n\n"
            "Size, licence, room and budget are told first. The mind before stays in the image:\n"
            "minds --use NAME goes back to it.",
            _incarnate,
            1,
            1,
            asleep=True,
        ),
        Verb(
            "minds",
            "",
            "list the minds of the image, go to another, or forget one",
            _minds,
            flags=(
                Flag("use", "NAME", "go to that mind"),
                Flag("forget", "NAME", "let that mind and its experts go"),
            ),
            asleep=True,
        ),
        Verb(
            "experts",
            "[--stage [PATH ...]]",
            "list the experts, take adapters in, or give one out, another name or away",
            _experts,
            0,
            None,
            flags=(
                Flag("stage", "", "take in the adapters at PATH (lora_staging/ of the current directory)"),
                Flag("export", "NAME", "write it to DIR/NAME/ as peft and vLLM load it: --export NAME DIR"),
                Flag("rename", "OLD", "give it another name: --rename OLD NEW"),
                Flag("remove", "NAME", "take it out of the image"),
            ),
            asleep=True,
        ),
        Verb(
            "doctor",
            "",
            "check the image and the machine under it; exit 1 if something fails",
            _doctor,
            flags=(Flag("scrub", "", "read every byte of the image and compare it with its digest"),),
            asleep=True,
        ),
        Verb(
            "keys",
            "[--add NAME | --remove NAME | --server | --make NAME]",
            "list who may speak with a key, let somebody in, or take a key back\n\n"
            "The owner needs none on the machine itself. What a key may send to whom is a list in the image,\n"
            "'RECEIVER SELECTOR', either of them '*'; it is changed with: send keys_obj.NAME put may '[...]'.",
            _keys,
            flags=(
                Flag("add", "NAME", "make a key for somebody, its secret in a file of mode 0600"),
                Flag("may", "'RECEIVER SELECTOR'", "what it may send to whom", many=True),
                Flag("out", "FILE", "where the secret goes (NAME.key)"),
                Flag("public", "KEY", "take in a key that somebody made, by its public half"),
                Flag("remove", "NAME", "take a key back, at once"),
                Flag("server", "", "the image's own public key, which every client has to know"),
                Flag("make", "NAME", "make a key pair here, for an image elsewhere"),
                Flag("server-key", "KEY", "the public key of that image"),
            ),
            asleep=True,
        ),
        Verb("pack", "", "give back the room that old states of objects take", _pack, asleep=True),
        Verb(
            "backup",
            "DIR",
            "copy the image into DIR, awake or asleep; the next time only what came since",
            _backup,
            1,
            1,
            asleep=True,
        ),
        Verb(
            "restore",
            "DIR",
            "bring an image back from the backup in DIR, verified, into an empty folder",
            _restore,
            1,
            1,
            flags=(Flag("to", "MOMENT", "as it was then: a transaction id, or a time: 2026-01-31T18:30"),),
        ),
        Verb(
            "export",
            "DIR",
            "write the world into DIR as text that people read and git compares",
            _export,
            1,
            1,
            asleep=True,
        ),
        Verb(
            "import",
            "DIR",
            "build an image from exported text, as data only, in an empty folder",
            _import,
            1,
            1,
            flags=(Flag("edited", "", "the text was changed by hand: its digests do not count"),),
        ),
        Verb("stop", "", "let the image go to sleep", _stop),
    )
}
