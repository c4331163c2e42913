"""The verb `keys`: who may speak to the image with a key, and to whom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from batos.cli.calls import Call, Flag, asked, usage, verb
from batos.cli.telling import say, show
from batos.errors import Conflict


@verb(
    "[--add NAME | --remove NAME | --server | --make NAME]",
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
)
def keys(call: Call) -> int:
    """list who may speak with a key, let somebody in, or take a key back

    The owner needs none on the machine itself. What a key may send to whom is a list in the image,
    'RECEIVER SELECTOR', either of them '*'; it is changed with: send keys_obj.NAME put may '[...]'.
    """
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
        told = asked(call, "kernel", "keys", kw={"remove": call.flags["remove"]}).result
        say(
            f"who speaks with the key {told['removed']!r} is refused from now on, in the middle of a session too"
        )
        return show(call, told)
    if "server" in chosen:
        told = asked(call, "kernel", "keys", kw={"server": True}).result
        say(f'a client\'s key file wants the line: server-key = "{told["server_key"]}"')
        return show(call, told)
    found = asked(call, "kernel", "keys").result
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
    told = asked(
        call, "kernel", "keys",
        kw={"add": name, "public": public or pair.public, "may": call.flags.get("may", [])},
    ).result  # fmt: skip
    if pair is not None:
        try:
            replace(pair, server=told["server_key"]).write(file)
        except OSError:
            asked(call, "kernel", "keys", kw={"remove": name})
            raise
        told = {**told, "file": str(file.absolute())}
        say(f"whoever has {file} is {name}: hand it over safely, it is nowhere else")
    if not told["may"]:
        say("it may send nothing yet")
        say("next: " + call.command(f"send keys_obj.{name} put may '[\"account *\"]'"))
    return show(call, told)
