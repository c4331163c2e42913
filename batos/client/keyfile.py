"""A key to speak with: a CURVE key pair in a file of its owner's alone.

CURVE is Bernstein's elliptic curve, as ZeroMQ's RFC 26 uses it; the file is a certificate as ZeroMQ's own tools
write them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import zmq

from batos.errors import BadRequest, NoSuchFile, Refused

_KEY_LINE = re.compile(r'^\s*([a-z-]+)\s*=\s*"(.*)"\s*$', re.MULTILINE)
_KEY_FILE = """\
# A key to speak to a batos image with.  Whoever has this file is {name}: keep it to yourself.
metadata
    name = "{name}"
    server-key = "{server}"
curve
    public-key = "{public}"
    secret-key = "{secret}"
"""


@dataclass(frozen=True, slots=True)
class Key:
    """A CURVE key pair, and the public key of the image it speaks to ("" where that is not known).

    Its file is readable by its owner alone.
    """

    name: str
    public: str
    secret: str
    server: str = ""

    @classmethod
    def made(cls, name: str, server: str = "") -> Self:
        """A new key pair."""
        public, secret = zmq.curve_keypair()
        return cls(name, public.decode(), secret.decode(), server)

    @classmethod
    def read(cls, file: str | Path) -> Self:
        """The key in a file.  Raises `NoSuchFile`, and `Refused` where others can read it too."""
        path = Path(file).expanduser()
        try:
            text, mode = path.read_text(), path.stat().st_mode
        except (OSError, UnicodeDecodeError) as exc:
            why = exc.strerror.lower() if isinstance(exc, OSError) and exc.strerror else str(exc)
            raise NoSuchFile(f"the key {file} cannot be read: {why}", hint=f"ls -l {file}") from exc
        if os.name == "posix" and mode & 0o077:
            raise Refused(
                f"the key {file} can be read by others (mode {mode & 0o777:o}), so it proves nothing",
                rule="key", hint=f"chmod 600 {file}; if somebody may have read it, have a new one made",
            )  # fmt: skip
        told = dict(_KEY_LINE.findall(text))
        if len(told.get("public-key", "")) != 40 or len(told.get("secret-key", "")) != 40:
            raise BadRequest(
                f"{file} is no key file: it wants a public-key and a secret-key of 40 characters each",
                hint="have one made by the image's owner: python -m batos keys --add NAME",
            )
        return cls(told.get("name", ""), told["public-key"], told["secret-key"], told.get("server-key", ""))

    def write(self, file: str | Path) -> None:
        """Write a new file of mode 0600; `FileExistsError` where there is one."""
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w") as out:
            out.write(
                _KEY_FILE.format(name=self.name, server=self.server, public=self.public, secret=self.secret)
            )

    def __repr__(self) -> str:  # never the secret
        return f"<key {self.name} {self.public}>"


def key_of(key: Key | str | Path | None) -> Key | None:
    """The key to speak with, from what a client was given or the environment says."""
    key = key or os.environ.get("BATOS_KEY")
    if not key:
        return None
    found = key if isinstance(key, Key) else Key.read(key)
    if not found.server:
        raise BadRequest(
            f"the key {found.name or key} does not say which image it is for",
            hint='put the line `server-key = "..."` into it, as `python -m batos keys --server` tells it '
            "where the image is",
        )
    return found
