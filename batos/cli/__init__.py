"""The command line: verbs to messages, answers to text, errors to sentences and exit codes.

`verbs.VERBS` is the whole of it: what stands there is what `--help` prints, what the parser takes and
what runs; a verb that is not built yet is not in the table.

Flags are parsed here rather than by argparse, because they stand before or after the verb and among
arguments like `-5`, which is a number and no flag.
"""

from __future__ import annotations

import os
import sys

from batos import __version__, config
from batos.cli.calls import COMMON, PROGRAM, Call, Flag, Verb, usage, written
from batos.cli.telling import fail, say
from batos.cli.verbs import VERBS
from batos.errors import BatosError
from batos.message import PROTOCOL, SERIES, Reply


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
        say(f"{exc.filename or 'standard output'}: {exc.strerror or exc}")
        say(f"next: {f'ls -ld {exc.filename}' if exc.filename else 'df -h'}")
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
        return fail(call, Reply("", error=error))


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
            raise usage(why, verb, near=name, names=known, shown=written)
        if not flag.value:
            if value is not None:
                raise usage(f"--{name} takes no value", verb)
            flags[name] = True
            continue
        if value is None:
            value = next(rest, None)
        if value is None:
            raise usage(f"--{name} wants {flag.value}", verb)
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
            raise usage(f"{call.verb.name} has no flag {written(name)}", call.verb)
    if len(words) < call.verb.least or (call.verb.most is not None and len(words) > call.verb.most):
        wanted = f"{PROGRAM} {call.verb.name} {call.verb.words}".rstrip()
        raise usage(f"{call.verb.name} was given {len(words)} arguments; it reads: {wanted}", call.verb)
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
        raise usage(f"there is no verb {word!r}", None, near=word, names=VERBS)
    return verb


def _seconds(text: str, verb: Verb) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise usage(f"--timeout wants seconds, more than 0, not {text!r}", verb)
    return seconds


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
    return [f"  {f'{written(flag.name)} {flag.value}'.rstrip():22} {flag.meaning}" for flag in flags]
