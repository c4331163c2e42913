"""The verbs: each turns its words into messages and shows what came back.

Slow modules are imported by the verb that needs them, so that `--help` and `send` feel instant.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from batos.cli.calls import (
    PROGRAM,
    Call,
    Flag,
    Verb,
    argument,
    ask,
    awake_record,
    call_awake,
    checked,
    open_client,
    usage,
    whom,
)
from batos.cli.progress import reading
from batos.cli.telling import fail, patience, readable, say, show
from batos.errors import AlreadyAwake, BadRequest, Conflict, NoSuchFile, NoSuchObject, Refused
from batos.message import Message


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
        [argument(arg) for arg in args],
        _named(call),
        timeout=call.timeout,
        wait="no-wait" not in call.flags,
        miss=call.flags.get("miss"),
        idem=call.flags.get("idem"),
        at=call.flags.get("at"),
        dry="dry" in call.flags,
    )
    endpoint, _ = whom(call)
    reply = call_awake(endpoint, message, call)
    if reply.error is not None:
        return fail(call, reply)
    print(json.dumps(reply.to_wire() if call.json else reply.result, ensure_ascii=False))
    if message.dry and not call.json:
        from batos.pages import changed

        # Beside the result, which a script reads, and not in it.
        for words in changed(reply.changes or []) or ["nothing"]:
            say(f"would change {words}")
    return 0


def _receiver(text: str) -> Any:
    """A path as it stands, or an object id written `{"oid": "0x1f"}`."""
    return argument(text) if text.startswith("{") else text


def _named(call: Call) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for pair in call.flags.get("k", []):
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise usage(f"-k wants NAME=VALUE, not {pair!r}", call.verb)
        if name in named:
            raise usage(f"-k {name} was given twice", call.verb)
        named[name] = argument(value)
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
        return show(call, ask(call, _receiver(path), "define", source).result)
    except Refused as error:
        from batos.pages import pointed

        for words in pointed(source, error):
            say(words)
        raise


def _repl(call: Call) -> int:
    from batos.repl import run

    endpoint, _ = whom(call)
    with open_client(endpoint, call) as client:
        checked(client.call(Message("kernel", "ping", timeout=5.0)))
        record = awake_record(call.settings.image)
        here = record is not None and record["endpoint"] == endpoint
        return run(client, call.settings.image / "repl_history" if here else None)


def _missions(call: Call) -> int:
    return show(call, ask(call, "kernel", "missions").result)


def _mission(call: Call) -> int:
    from batos.psm.report import report

    return show(call, ask(call, "kernel", "mission", call.args[0]).result, report)


def _replay(call: Call) -> int:
    told = ask(call, "kernel", "replay", call.args[0]).result
    show(call, told)
    if not told["same"]:
        say(
            f"mission {told['mission']} came to {told['was']} then and comes to {told['state']} now: {told['why']}"
        )
    return 0 if told["same"] else 1


def _cancel(call: Call) -> int:
    if not ask(call, "kernel", "cancel", call.args[0]).result:
        raise NoSuchObject(
            f"nothing that runs or waits is called {call.args[0]!r}", hint=call.command("missions")
        )
    return 0


def _ask_mind(call: Call) -> int:
    from batos.pages import Growing, answered

    session = {"session": call.flags["session"]} if "session" in call.flags else {}
    if call.json or not sys.stdout.isatty():
        return show(call, ask(call, "kernel", "ask", " ".join(call.args), kw=session).result, answered)
    growing = Growing(sys.stdout)
    message = Message("kernel", "ask", [" ".join(call.args)], session, timeout=call.timeout, stream=True)
    growing.end(checked(call_awake(whom(call)[0], message, call, growing.tell)).result)
    return 0


def _inspect(call: Call) -> int:
    from batos.pages import described

    return show(call, ask(call, _receiver(call.args[0]), "describe").result, described)


def _history(call: Call) -> int:
    from batos.pages import past

    return show(call, ask(call, "kernel", "history", *call.args).result, past)


def _log(call: Call) -> int:
    from batos.pages import logged

    last = [argument(call.flags["n"])] if "n" in call.flags else []
    if last and (type(last[0]) is not int or last[0] < 1):
        raise usage(f"-n wants a whole number, 1 or more, not {call.flags['n']!r}", call.verb)
    return show(call, ask(call, "kernel", "log", *last).result, logged)


def _undo(call: Call) -> int:
    from batos.pages import taken

    told = ask(call, "kernel", "undo", *call.args).result
    return show(call, told, lambda told: taken(told, "taken back"))


def _redo(call: Call) -> int:
    from batos.pages import taken

    return show(call, ask(call, "kernel", "redo").result, lambda told: taken(told, "done again"))


def _revert(call: Call) -> int:
    path, selector, *version = call.args
    return show(call, ask(call, _receiver(path), "revert", selector, *map(argument, version)).result)


def _remember(call: Call) -> int:
    forget = [_source(source) for source in call.flags.get("forget", [])]
    if not call.args and not forget:
        raise usage("remember wants a FILE, a folder, or --forget SOURCE", call.verb)
    paths = [arg if arg.startswith("image:") else _existing(arg) for arg in call.args]
    message = Message(
        "kernel",
        "remember",
        [paths],
        {"forget": forget} if forget else {},
        id=f"remember-{secrets.token_hex(8)}",
        timeout=call.timeout,
        stream=True,
    )
    endpoint = whom(call)[0]
    try:
        with reading(paths) as tell:
            reply = checked(call_awake(endpoint, message, call, tell))
    except KeyboardInterrupt:
        call_awake(endpoint, Message("kernel", "cancel", [message.id]), call)
        say("stopped: what was read is kept, and the same command goes on from there")
        return 130
    show(call, reply.result)
    skipped = reply.result.get("skipped", [])
    for one in skipped:
        say(f"{one['source']} was left out: {one['why']}")
    # A picture somewhere in a folder is no failure; a file that was named and not taken in is one.
    return 1 if any(one["source"] in paths for one in skipped) else 0


def _source(source: str) -> str:
    """What a document is remembered under: an absolute path, or image:PATH for an object of the image."""
    return source if source.startswith("image:") else os.path.abspath(source)


KINDS = ("markdown", "text", "chat", "python", "code")  # of what is remembered


def _recall(call: Call) -> int:
    from batos.pages import passages

    top, tokens = (_count(call, name) for name in ("top", "tokens"))
    only: dict[str, Any] = {
        name: call.flags[name] for name in ("kind", "persona", "at") if name in call.flags
    }
    if "like" in call.flags:
        if call.args or set(only) - {"at"} or tokens:
            raise usage("--like stands alone, with --top and --at at most", call.verb)
        source, _, place = call.flags["like"].rpartition(":")
        source, place = (source, int(place)) if source and place.isdecimal() else (call.flags["like"], 0)
        reply = ask(
            call, "kernel", "alike", _source(source), place, top or 5, **({"kw": only} if only else {})
        )
        return show(call, reply.result, passages)
    if not call.args:
        raise usage("recall wants a QUERY, or --like PATH:OFFSET", call.verb)
    if "kind" in call.flags and call.flags["kind"] not in KINDS:
        raise usage(f"--kind is one of {', '.join(KINDS)}, not {call.flags['kind']!r}", call.verb)
    if "source" in call.flags:
        only["source"] = _source(call.flags["source"])
    only |= {name: _moment(call, name) for name in ("since", "until") if name in call.flags}
    if tokens:
        if top or {"why", "exact"} & set(call.flags):
            raise usage(
                "--tokens says how much is answered; --top, --why and --exact go with passages", call.verb
            )
        reply = ask(call, "kernel", "context_for", " ".join(call.args), tokens, **({"kw": only} if only else {}))
        return show(call, reply.result, passages)
    only |= {name: True for name in ("why", "exact") if name in call.flags}
    reply = ask(call, "kernel", "recall", " ".join(call.args), top or 5, **({"kw": only} if only else {}))
    return show(call, reply.result, passages)


def _count(call: Call, name: str) -> int | None:
    """The whole number above 0 that a flag says; None where it is not there."""
    if name not in call.flags:
        return None
    value = argument(call.flags[name])
    if type(value) is not int or value < 1:
        raise usage(f"--{name} wants a whole number, 1 or more, not {call.flags[name]!r}", call.verb)
    return value


def _moment(call: Call, name: str) -> float:
    """The moment a flag says, in seconds since the epoch; a day that something lasts until is meant whole."""
    from datetime import datetime, timedelta

    said = call.flags[name]
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        raise usage(f"--{name} wants a date such as 2026-05-01, not {said!r}", call.verb) from None
    whole = name == "until" and len(said) <= len("2026-05-01")
    return (moment + timedelta(days=whole)).timestamp()


def _audit(call: Call) -> int:
    reply = ask(call, "kernel", "audit", **({"kw": {"last": True}} if "last" in call.flags else {}))
    return show(call, reply.result)


def _incarnate(call: Call) -> int:
    source = call.args[0]
    if Path(source).is_dir():
        source = os.path.abspath(source)
    elif source.startswith(("/", ".", "~")) or "/" not in source:
        raise _no_file(source, FileNotFoundError(2, "no such folder"))
    told = ask(call, "kernel", "incarnate", source, kw={"look": True}).result
    quantised = f", {told['quantise']} when it is in" if told["quantise"] else ""
    for line in (
        f"{told['name']}: {told['parameters']:,} parameters{quantised}, licence {told['licence']}",
        f"{told['files']} files of {told['bytes'] / 1e6:,.1f} MB; {told['disk'] / 1e6:,.1f} MB are written, "
        f"{told['disk_free'] / 1e6:,.0f} MB are free",
        f"its weights take {told['memory'] / 1e6:,.1f} MB of {told['budget'] / 1e6:,.0f} MB {told['device']} "
        f"(profile {told['profile']})",
    ):
        say(line)
    with patience(f"{told['name']} becomes part of the image"):
        report = ask(call, "kernel", "incarnate", source).result
    return show(call, report)


def _minds(call: Call) -> int:
    wanted = {name: call.flags[name] for name in ("use", "forget") if name in call.flags}
    return show(call, ask(call, "kernel", "minds", **({"kw": wanted} if wanted else {})).result)


def _experts(call: Call) -> int:
    asked = [name for name in ("stage", "export", "rename", "remove") if name in call.flags]
    if len(asked) > 1:
        raise usage(f"experts does one thing at a time, not --{asked[0]} and --{asked[1]}", call.verb)
    if asked and asked[0] != "stage":
        return _one_expert(call, asked[0], call.flags[asked[0]])
    if not asked:
        if call.args:
            raise usage(f"experts takes a folder only after --stage, not {call.args[0]!r}", call.verb)
        return show(call, ask(call, "kernel", "experts").result)
    paths = [_existing(arg) for arg in call.args] or [str(call.settings.staging.absolute())]
    result = ask(call, "kernel", "stage", paths).result
    show(call, result)
    for one in result["refused"]:
        say(f"{one['path']} was refused: {one['reason']}")
    return 1 if result["refused"] else 0


def _one_expert(call: Call, what: str, name: str) -> int:
    """`--export NAME DIR`, `--rename OLD NEW`, `--remove NAME`: the second word is the verb's argument."""
    second = {"export": "DIR", "rename": "NEW"}.get(what)
    if len(call.args) != (1 if second else 0):
        reads = f"--{what} {'OLD' if what == 'rename' else 'NAME'}{f' {second}' if second else ''}"
        raise usage(f"it reads: {PROGRAM} experts {reads}", call.verb)
    args = [os.path.abspath(call.args[0])] if what == "export" else call.args
    return show(call, ask(call, "kernel", f"{what}_expert", name, *args).result)


def _doctor(call: Call) -> int:
    from batos.pages import checks

    scrub = "scrub" in call.flags
    with patience("every byte of the image is read" if scrub else "the image is looked over"):
        files = _scrubbed_asleep(call) if scrub else []
        if any(check["state"] == "fail" for check in files):
            found = files
        else:
            found = ask(call, "kernel", "doctor", *[True] * (scrub and not files)).result + files
    show(call, found, checks)
    failed = {check["check"] for check in found if check["state"] == "fail"}
    return 9 if "scrub" in failed else 1 if failed else 0


def _scrubbed_asleep(call: Call) -> list[dict[str, Any]]:
    """What a scrub says of the files of a sleeping image; nothing where none sleeps here.

    They are read before it is opened, because a damaged image may not open any more, and opening may mend
    or cut off what should be looked at first.
    """
    endpoint, _ = whom(call)
    if endpoint is not None or not (call.settings.image / "live_image.fs").exists():
        return []
    from batos.doctor import scrub_files

    return scrub_files(call.settings.image)


def _keys(call: Call) -> int:
    chosen = [name for name in ("add", "remove", "make", "server") if name in call.flags]
    if len(chosen) > 1:
        raise usage(f"keys does one thing at a time, not --{' and --'.join(chosen)}", call.verb)
    for name, fits in (
        ("may", ["add"]),
        ("public", ["add"]),
        ("out", ["add", "make"]),
        ("server-key", ["make"]),
    ):
        if name in call.flags and not set(fits) & set(chosen):
            raise usage(f"--{name} goes with --{' or --'.join(fits)}", call.verb)
    if "make" in chosen:
        return _make_key(call, call.flags["make"])
    if "add" in chosen:
        return _add_key(call, call.flags["add"], call.flags.get("public"))
    if "remove" in chosen:
        told = ask(call, "kernel", "keys", kw={"remove": call.flags["remove"]}).result
        say(
            f"who speaks with the key {told['removed']!r} is refused from now on, in the middle of a session too"
        )
        return show(call, told)
    if "server" in chosen:
        told = ask(call, "kernel", "keys", kw={"server": True}).result
        say(f'a client\'s key file wants the line: server-key = "{told["server_key"]}"')
        return show(call, told)
    found = ask(call, "kernel", "keys").result
    if not found:
        say("there is no key: only the owner speaks to this image")
        say("next: " + call.command("keys --add NAME --may 'RECEIVER SELECTOR'"))
    return show(call, found)


def _make_key(call: Call, name: str) -> int:
    """A key pair of one's own, made where it will be used: only its public half ever leaves this machine."""
    from batos.client import Key

    pair, file = Key.made(name, call.flags.get("server-key", "")), Path(call.flags.get("out", f"{name}.key"))
    try:
        pair.write(file)
    except FileExistsError:
        raise Conflict(
            f"{file} is there already", hint=call.command(f"keys --make {name} --out OTHER")
        ) from None
    say(f"the owner of the image lets you in with: keys --add {name} --public '{pair.public}'")
    if not pair.server:
        say(f"put into {file} the line that `keys --server` tells there, or make it with --server-key")
    return show(call, {"name": name, "public": pair.public, "file": str(file.absolute())})


def _add_key(call: Call, name: str, public: str | None) -> int:
    """Let somebody in: the image learns the public key, and the secret goes into a file and nowhere else."""
    from batos.client import Key

    file = Path(call.flags.get("out", f"{name}.key"))
    if public is None and file.exists():
        raise Conflict(f"{file} is there already", hint=call.command(f"keys --add {name} --out OTHER"))
    pair = Key.made(name) if public is None else None
    told = ask(
        call, "kernel", "keys",
        kw={"add": name, "public": public or pair.public, "may": call.flags.get("may", [])},
    ).result  # fmt: skip
    if pair is not None:
        try:
            replace(pair, server=told["server_key"]).write(file)
        except OSError:
            ask(call, "kernel", "keys", kw={"remove": name})
            raise
        told = {**told, "file": str(file.absolute())}
        say(f"whoever has {file} is {name}: hand it over safely, it is nowhere else")
    if not told["may"]:
        say("it may send nothing yet")
        say("next: " + call.command(f"send keys_obj.{name} put may '[\"account *\"]'"))
    return show(call, told)


def _pack(call: Call) -> int:
    with patience("the image is packed; messages are answered meanwhile"):
        told = ask(call, "kernel", "pack").result
    return show(call, told)


def _backup(call: Call) -> int:
    target = os.path.abspath(call.args[0])  # the image has a current folder of its own
    with patience(f"the image is copied to {target}"):
        told = ask(call, "kernel", "backup", target).result
    return show(call, told)


def _export(call: Call) -> int:
    target = os.path.abspath(call.args[0])
    with patience(f"the image is written to {target}"):
        told = ask(call, "kernel", "export", target).result
    return show(call, told)


def _restore(call: Call) -> int:
    source = _existing(call.args[0])
    _only_asleep(call)
    from batos.app import restore

    with patience(f"{source} is brought back to {call.settings.image}, and every byte of it compared"):
        told = restore(call.settings, source, call.flags.get("to"))
    return show(call, told)


def _import(call: Call) -> int:
    source = _existing(call.args[0])
    _only_asleep(call)
    from batos.app import import_image

    with patience(f"an image is built from {source} in {call.settings.image}"):
        told = import_image(call.settings, source, edited="edited" in call.flags)
    refused = told.get("refused", [])
    show(call, told, lambda facts: readable({key: facts[key] for key in facts if key != "refused"}))
    for one in refused:
        where = f"{one['object']} {one['selector']} version {one['version']}"
        say(f"{where} is kept but not installed: {one['why']} (rule {one['rule']}, line {one['line']})")
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


def _stop(call: Call) -> int:
    endpoint, _ = whom(call)
    result = checked(call_awake(endpoint, Message("kernel", "stop", timeout=call.timeout), call)).result
    pid = result.get("pid") if isinstance(result, dict) else None
    deadline = time.monotonic() + 6.0  # the image promises five
    while isinstance(pid, int) and time.monotonic() < deadline and _alive(pid):
        time.sleep(0.02)
    if isinstance(pid, int) and _alive(pid):
        say(f"the image was told to sleep, but its process {pid} still runs")
        return 1
    return show(call, result) if call.json else 0


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
        Verb(
            "cancel", "ID", "end a mission, or a message that waits; nothing is changed by it", _cancel, 1, 1
        ),
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
            "[QUERY]",
            "search the fractal memory",
            _recall,
            0,
            None,
            flags=(
                Flag("top", "N", "how many passages (5)"),
                Flag("source", "PATH", "only from this file, or from files under this folder"),
                Flag("kind", "KIND", "only markdown (also HTML, PDF and mail), text, chat, python or code"),
                Flag("persona", "NAME", "only what this persona remembered"),
                Flag("since", "DATE", "only what was remembered since"),
                Flag("until", "DATE", "only what was remembered until then"),
                Flag("at", "TID", "what was known right after this transaction"),
                Flag("why", "", "also what made each an answer"),
                Flag("exact", "", "only the sentences that answer, and only those near the best"),
                Flag("tokens", "N", "the best text for so many tokens, passages that touch joined to one"),
                Flag("like", "PATH:OFFSET", "passages like the one that stands there, instead of QUERY"),
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
