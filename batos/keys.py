"""Keys: who may speak to this image over CURVE, and what each may send to whom.

A key is an object of the image under `keys_obj`, in the slot of its name: `public` (its public half),
`may` (a list of "RECEIVER SELECTOR", either of them ``*``), `since` and `last_seen`.  The owner reads and
changes them like any other object; nobody else does, because each has a permission that says so.  The
door asks here at every handshake and every message, so a key that is added or taken back counts at once.

The secrets are no part of the image, of no export and no backup: those of the image (the server's pair,
and the pair by which its owner speaks on this machine) lie in ``DIR/keys/``, mode 0600 in a folder of
mode 0700, the others with those who use them.  The price: an image brought back from a backup elsewhere
makes a new server key, which its clients have to be told; who wants to keep the old one copies the folder.

The receiver ``kernel`` is not among what ``*`` means: what it answers concerns the whole image and is
granted by name.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persistent import Persistent

from batos.config import Settings
from batos.errors import BadRequest, BatosError, Conflict, NoSuchObject, Refused
from batos.image import LivingImage, Root
from batos.message import OWNER, Message
from batos.objects import UvmObject, permission
from batos.objects.dispatch import MISSING, lookup
from batos.objects.genesis import child
from batos.objects.permits import seal
from batos.objects.traits import public as public_name

if TYPE_CHECKING:
    from batos.client import Key

FOLDER = "keys"  # of the image's folder
SEEN_SECONDS = 600.0  # how exact `last_seen` is in the image: not a commit for every message that only reads
ALWAYS = frozenset({"ping", "describe"})  # of the kernel: whoever may connect may ask whether and how
OWNER_ONLY = frozenset({"keys"})  # of the kernel, whatever was granted
RESERVED = permission.RESERVED | {"server", "kernel"}
Z85 = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
MADE_BY = "batos"  # who looks after `last_seen`


class Keys:
    """The keys of one open image; may be asked from any thread."""

    def __init__(self, image: LivingImage, directory: Path):
        self._image = image
        self.folder = directory / FOLDER
        self._lock = threading.Lock()
        self._commits: int | None = None  # of the image when it was read last
        self._names: dict[str, str] = {}  # public key -> name
        self._may: dict[str, list[Any]] = {}
        self._seen: dict[str, float] = {}
        self._kept: dict[str, float] = {}  # when `last_seen` was written last
        self._server: Key | None = None
        self._owner: Key | None = None

    # -- the door ----------------------------------------------------------------------------------

    def ready(self) -> bool:
        """Has the image a server key in its folder?  Read once; `provide` makes one."""
        from batos.client import Key  # zmq: an image that nobody serves has no use for it

        if self._server is None and (self.folder / "server").exists():
            self._server = Key.read(self.folder / "server")
            self._owner = Key.read(self.folder / OWNER)
        return self._server is not None

    def provide(self) -> Key:
        """The server's key pair, made with the owner's where there is none yet."""
        from batos.client import Key

        if not self.ready():
            self.folder.mkdir(mode=0o700, exist_ok=True)
            os.chmod(self.folder, 0o700)
            server = Key.made("server")
            for key in (Key.made(OWNER, server.public), server):  # the server's last: then both are there
                (self.folder / key.name).unlink(missing_ok=True)
                key.write(self.folder / key.name)
            self.ready()
        return self._server

    @property
    def server_public(self) -> str:
        return self._server.public

    @property
    def server_secret(self) -> str:
        return self._server.secret

    def name_of(self, public: str | None) -> str | None:
        """The name of a key, `OWNER` for the owner's own, None for one that is not known."""
        if self._owner is not None and public == self._owner.public:
            return OWNER
        self._look()
        name = self._names.get(public)
        if name is not None:
            self._note_seen(name)
        return name

    def admit(self, message: Message, receiver: UvmObject | None, root: Root | None) -> None:
        """Raise `Refused` unless the key a message came by may send it to `receiver` (None: the kernel)."""
        if receiver is None and message.send in ALWAYS:
            return
        self._look()
        if receiver is not None or message.send not in OWNER_ONLY:
            for to, selector in _grants(self._may.get(message.key)):
                if selector in ("*", message.send) and _is(to, receiver, root):
                    return
        to = "kernel" if receiver is None else (root.path_of(receiver) or str(message.to))
        said = [*(self._may.get(message.key) or ()), f"{to} {message.send}"]
        owner_only = receiver is None and message.send in OWNER_ONLY
        raise Refused(
            f"the key {message.key!r} may not send {message.send!r} to {to}",
            rule="key",
            hint="only the owner does that" if owner_only else
            f"the owner allows it with: send keys_obj.{message.key} put may '{json.dumps(said)}'",
        )  # fmt: skip

    def _look(self) -> None:
        """Read the keys again where something was committed since."""
        with self._lock:
            commits = self._image.commits
            if commits == self._commits and not self._image.place.shared:
                return
            with self._image.past(None) as connection:
                found = dict(_keys(connection.root().get("keys_obj")))
                self._names = {key["public"]: name for name, key in found.items()}
                self._may = {name: list(key.get("may") or ()) for name, key in found.items()}
            self._commits = commits

    def _note_seen(self, name: str) -> None:
        now = time.time()
        self._seen[name] = now
        if now - self._kept.get(name, 0.0) > SEEN_SECONDS:
            self._kept[name] = now

            def keep(root: Root) -> None:
                key = dict(_keys_live(root)).get(name)
                if key is not None:
                    key._p_activate()
                    Persistent.__setattr__(key, "last_seen", now)  # no change anybody made: no record of it

            self._image.submit(f"{name} was here", keep, MADE_BY)

    # -- the verb ----------------------------------------------------------------------------------

    def serve(
        self,
        add: str | None = None,
        public: str | None = None,
        may: list[str] | None = None,
        remove: str | None = None,
        server: bool = False,
    ) -> Any:
        """What the kernel answers to `keys`: the list of keys, or what became of the one named."""
        if add is not None:
            return self._add(add, public, may or [])
        if remove is not None:
            return self._remove(remove)
        if server:
            return {"server_key": self.provide().public, "folder": str(self.folder.absolute())}
        return self.told()

    def told(self) -> list[dict[str, Any]]:
        """Every key as plain data, by name."""
        with self._image.past(None) as connection:
            rows = [
                {
                    "name": name,
                    "may": list(key.get("may") or ()),
                    "since": key.get("since"),
                    "last_seen": max(
                        filter(None, (key.get("last_seen"), self._seen.get(name))), default=None
                    ),
                    "public": key["public"],
                }
                for name, key in _keys(connection.root().get("keys_obj"))
            ]
        return sorted(rows, key=lambda row: row["name"])

    def _add(self, name: str, public: str | None, may: list[str]) -> dict[str, Any]:
        if not isinstance(public, str) or not Z85.fullmatch(public):
            raise BadRequest(f"{public!r} is no public key: it has 40 characters, as `keys --add` prints it")
        for each in may:
            if len(_words(each)) != 2:
                raise BadRequest(
                    f"{each!r} grants nothing: say RECEIVER SELECTOR, such as 'account balance' or 'account *'"
                )
        self.provide()

        def turn(root: Root) -> None:
            keys = child(root, "keys_obj")
            if "_permission" not in keys.__dict__:
                seal(keys)
            _fitting(keys, name)
            taken = next((other for other, key in _keys(keys) if key["public"] == public), None)
            if taken is not None or public == self._owner.public:
                raise Conflict(
                    f"that key is known already, as {taken or OWNER!r}", hint="python -m batos keys"
                )
            key = UvmObject(
                root["genesis_obj"], public=public, may=list(may), since=time.time(), last_seen=None
            )
            key._name = f"keys_obj.{name}"
            root.connection.add(key)
            seal(key)
            setattr(keys, name, key)

        self._image.run(f"keys add {name}", turn, OWNER)
        self._seen.pop(name, None)  # of somebody who was called so before
        self._kept.pop(name, None)
        return {"name": name, "may": list(may), "public": public, "server_key": self._server.public}

    def _remove(self, name: str) -> dict[str, Any]:
        def turn(root: Root) -> str:
            found = dict(_keys_live(root)).get(name)
            if found is None:
                raise NoSuchObject(f"there is no key {name!r}", hint="python -m batos keys")
            delattr(root["keys_obj"], name)
            return found.public

        return {"removed": name, "public": self._image.run(f"keys remove {name}", turn, OWNER)}


def _fitting(keys: UvmObject, name: Any) -> None:
    """Raise where `name` cannot be that of a new key."""
    if public_name(name, "a key").lower() in RESERVED or len(name) > 64:
        raise BadRequest(f"{name!r} cannot name a key: batos means something else by it")
    if lookup(keys, name)[1] is not MISSING:
        raise Conflict(
            f"the name {name!r} is taken",
            hint=f"python -m batos keys --remove {name}" if name in keys.__dict__ else "choose another name",
        )


def _keys_live(root: Root) -> Iterator[tuple[str, UvmObject]]:
    if "keys_obj" in root:
        for name, value in root["keys_obj"]._own_slots():
            if isinstance(value, UvmObject) and isinstance(value._slots.get("public"), str):
                yield name, value


def _keys(found: UvmObject | None) -> Iterator[tuple[str, Any]]:
    """(name, its slots) of every key."""
    if found is not None:
        for name, value in found._own_slots():
            if isinstance(value, UvmObject) and isinstance(value._slots.get("public"), str):
                yield name, value._slots


def _words(entry: Any) -> list[str]:
    return entry.split() if isinstance(entry, str) else []


def _grants(may: Any) -> Iterator[tuple[str, str]]:
    """(receiver, selector) of what a key was granted; what is written wrongly grants nothing."""
    for entry in may or ():
        words = _words(entry)
        if len(words) == 2:
            yield words[0], words[1]


def _is(to: str, receiver: UvmObject | None, root: Root | None) -> bool:
    """Does the path of a grant mean this receiver?  By identity: an object has many paths, and an oid."""
    if receiver is None:
        return to == "kernel"
    if to in ("*", "kernel"):
        return to == "*"
    try:
        return root.resolve(to) is receiver
    except BatosError:
        return False


# -- where no key is needed --------------------------------------------------------------------------------


def kind_of(endpoint: str) -> str:
    """``file`` (only who may enter its folder), ``loopback`` (every user of this machine) or ``network``.

    Raises `BadRequest` for what is no endpoint one can serve at.
    """
    scheme, _, rest = endpoint.partition("://")
    host, _, port = rest.rpartition(":")
    if scheme == "ipc" and rest and not rest.startswith("@"):  # "@" has no folder: every user may connect
        return "file"
    if scheme == "tcp" and host and (port == "*" or (port.isdecimal() and int(port) < 65_536)):
        if host in ("localhost", "lo"):
            return "loopback"
        with contextlib.suppress(ValueError):
            return "loopback" if ipaddress.ip_address(host.strip("[]")).is_loopback else "network"
        return "network"
    raise BadRequest(
        f"cannot serve at {endpoint!r}: an endpoint is a loopback one such as tcp://127.0.0.1:5555, a file in a "
        "folder of yours such as ipc:///home/ada/batos/door, or, with keys, tcp://ADDRESS:PORT",
        hint="python -m batos --endpoint tcp://127.0.0.1:5555 awaken",
    )


def wants_keys(settings: Settings) -> bool:
    """Is a key asked for at the settings' endpoint?"""
    kind = kind_of(settings.endpoint)
    return kind == "network" or (kind == "loopback" and settings.curve)


def check_folder(endpoint: str) -> None:
    """Raise `BadRequest`, with the fix, where others than its owner may enter the folder of an `ipc://` file."""
    folder = Path(endpoint.removeprefix("ipc://")).parent
    try:
        found = folder.stat()
    except OSError as exc:
        raise BadRequest(
            f"cannot serve at {endpoint}: {folder}: {exc.strerror}", hint=f"mkdir -p -m 700 {folder}"
        ) from exc
    if found.st_uid != os.geteuid():
        raise BadRequest(
            f"cannot serve at {endpoint}: the folder {folder} belongs to another user, who could let anybody in",
            hint="python -m batos --endpoint ipc:///FOLDER/OF/YOURS/door awaken",
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise BadRequest(
            f"cannot serve at {endpoint}: others may enter the folder {folder} "
            f"(mode {stat.S_IMODE(found.st_mode):o}), and whoever reaches the file is the owner",
            hint=f"chmod 700 {folder}",
        )
