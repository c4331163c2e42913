"""The place of an image: its files in DIR, or a storage of another engine, named by a URI.

`open_place` turns the setting `storage` (a zodburi URI) into a `Place`: the ZODB storage and what
differs from engine to engine.  An empty setting, or ``file://FOLDER``, is our own `ImageStorage`, since
zodburi would open a plain FileStorage; ``zeo://HOST:PORT`` is a ZEO server, ``postgresql://USER@HOST/NAME``
RelStorage on PostgreSQL with its history kept.  DIR stays the place of settings, journal, awake.json and
of a cache of blobs, so two processes on one storage have a folder each.

An image is never born silently where one has been: DIR remembers in place.json which image lived in
which storage, and a storage that holds another one, or none, is refused with a sentence.  The price of
sharing is told here too: other processes commit (`shared`), and the storage can be out of reach (`lost`).
To carry an image from one place to another is the business of `moving`.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from transaction.interfaces import TransientError
from zc.lockfile import LockError, LockFile
from ZODB import DB
from ZODB.Connection import Connection
from ZODB.utils import z64

from batos.errors import AlreadyAwake, BadRequest, BatosError, Busy, Damaged
from batos.image import storage as files
from batos.image.digests import sync
from batos.image.packing import pack
from batos.image.roundtrip import Checked

REMEMBERED = "place.json"  # which image lived where; written once it is whole
MOVING = "place.moving"  # names a storage into which an image is being copied: what is there is not whole
LOCK = "awake.lock"  # held by the process that is awake in a DIR whose image is elsewhere
CACHE = "blob_cache"  # local copies of blobs that live in the storage
ALWAYS_READ = ("lobby", "traits_obj", "genesis_obj")  # by nearly every message, to find its way
BIRTHS = 20  # tries, while another process gives birth to the same image
PATIENCE = 5.0  # seconds a storage that went out of reach is waited for


class ImageConnection(Connection):
    """A connection that says when its objects are not what they were: a new transaction shows what somebody
    else has committed, or an abort took changes back; and that stores nothing that would not load again."""

    @staticmethod
    def on_invalidated() -> None:
        """Called then; whoever keeps caches of objects puts a function here."""

    def _abort(self) -> None:
        super()._abort()
        self.on_invalidated()

    def _store_objects(self, writer: Any, transaction: Any) -> None:
        super()._store_objects(Checked(writer), transaction)

    def tpc_abort(self, transaction: Any) -> None:
        super().tpc_abort(transaction)
        self.on_invalidated()

    def newTransaction(self, transaction: Any, sync: bool = True) -> None:  # noqa: N802 - ZODB's name
        # ZODB's own method, which has no place to ask what it invalidated.
        self._readCurrent.clear()
        self._storage.sync(sync)
        try:
            invalidated = self._storage.poll_invalidations()
            if invalidated is None:  # too much has changed to be told
                invalidated = self._cache.cache_data.copy()
            if invalidated:
                self._cache.invalidate(invalidated)
                self.on_invalidated()
        except BaseException:  # it is told once only: whoever uses this connection next would read what was
            self._cache.invalidate(self._cache.cache_data.copy())
            raise


class SharedConnection(ImageConnection):
    """A connection to a storage that other processes commit to: what a transaction that changes something
    has read must still be so when it commits, else it is a conflict and runs again.

    Snapshots alone would let two processes each read what the other writes (write skew).  What was read
    is what was loaded, so a transaction begins with nothing loaded but the few objects that every
    message goes through, which count as read, and with no lookup remembered: a send that found its method
    without loading it would read it unseen.  The price is loading and looking up the others again, from
    the storage's own cache.
    """

    def __init__(self, *args: Any, **kw: Any):
        self._read: dict[bytes, Any] = {}
        super().__init__(*args, **kw)

    def newTransaction(self, transaction: Any, sync: bool = True) -> None:  # noqa: N802
        super().newTransaction(transaction, sync)
        root = self._cache.get(z64)
        names = root.data if root is not None and root._p_changed is not None else {}
        kept = {z64, *(names[name]._p_oid for name in ALWAYS_READ if name in names)}
        self._read = {}
        for oid, obj in self._cache.lru_items():
            if oid in kept:
                self._read[oid] = obj
            else:
                obj._p_deactivate()
        self.on_invalidated()  # what was looked up is read again too: a method, a parent, who holds what

    def setstate(self, obj: Any) -> None:
        super().setstate(obj)
        self._read[obj._p_oid] = obj

    def commit(self, transaction: Any) -> None:
        # What is changed as well is checked by being stored, and may then be merged (a BTree).
        changed = {obj._p_oid for obj in self._registered_objects}
        for oid, obj in self._read.items():
            if oid not in changed and obj._p_jar is self:
                self.readCurrent(obj)
        super().commit(transaction)


class ImageDB(DB):
    klass = ImageConnection


class SharedDB(DB):
    klass = SharedConnection


class Place:
    """An open storage and what differs from one to the other.  Made by `open_place`.

    directory  DIR: settings, journal and awake.json, whatever the storage
    uri        the storage as it may be shown, without a password; for files the folder
    shared     do other processes commit to it?
    lost       exceptions that mean that the storage is out of reach; empty for files
    patience   seconds to wait for one that is
    """

    shared = False
    lost: tuple[type[BaseException], ...] = ()
    patience = PATIENCE

    def __init__(self, directory: Path, uri: str, storage: Any):
        self.directory = directory
        self.uri = uri
        self.storage = storage
        self._in_use: DB | None = None

    def database(self, **arguments: Any) -> DB:
        """The database over the storage, which closes it; `arguments` are those of `ZODB.DB`."""
        self._in_use = (SharedDB if self.shared else ImageDB)(self.storage, **arguments)
        return self._in_use

    def births(self) -> Iterator[int]:
        """Tries to give birth to the image, with a pause between them: another process may do it at the
        same moment, and then this one finds the image born.  Raises `Busy` after the last."""
        for at in range(BIRTHS):
            if at:
                time.sleep(random.uniform(0.0, 0.2))
            yield at
        raise Busy(f"other processes kept changing {self.uri} while it awoke", hint="awaken it again")

    def close(self) -> None:
        """Give up what is held here; a storage that is in use by a database is closed with that."""
        if self._in_use is None:
            self.storage.close()

    def told(self, exc: BaseException) -> BatosError | None:
        """An exception of the storage in words if it means that the storage is out of reach, else None."""
        seen: BaseException | None = exc
        for _ in range(8):  # what a method raised is wrapped
            if seen is None:
                return None
            if isinstance(seen, self.lost):
                why = (str(seen).strip().splitlines() or [type(seen).__name__])[0]
                return Busy(
                    f"the storage {self.uri} is out of reach ({why}); nothing was changed",
                    hint="see that its server runs, and send it again; batos need not be restarted",
                )
            seen = seen.__cause__ or seen.__context__
        return None


class FilePlace(Place):
    """The image in files of a folder: one process at a time."""

    def __init__(self, directory: Path, folder: Path):
        directory.mkdir(parents=True, exist_ok=True)
        super().__init__(directory, str(folder), files.open_storage(folder))
        self.folder = folder
        self._newborn = files.in_birth(folder)

    def newborn(self, root: Any) -> bool:
        """Is the image still to be born?"""
        return self._newborn

    def settle(self, root: Any) -> None:
        """The image is whole: from now on a missing file is damage."""
        if self._newborn:
            files.end_birth(self.folder)

    def facts(self) -> dict[str, Any]:
        """Sizes in bytes, and the number of objects."""
        blobs = self.folder / files.BLOBS
        return {
            "storage": self.uri,
            "data_bytes": self.storage.getSize(),
            "blob_bytes": sum(each.stat().st_size for each in blobs.rglob("*.blob")) if blobs.is_dir() else 0,
            "objects": len(self.storage),
        }

    def pack(self, database: DB, days: float) -> dict[str, Any]:
        return asdict(pack(database, days))

    def only_files(self, verb: str) -> None:
        """This verb works on files; these are."""


class ServedPlace(Place):
    """The image in a storage that a server keeps, and that other processes may have open too."""

    shared = True
    instead: dict[str, str] = {}  # what to use for the verbs that work on files

    def __init__(self, directory: Path, uri: str, make: Callable[[], Any], lost: tuple):
        directory.mkdir(parents=True, exist_ok=True)
        try:
            self._lock = LockFile(str(directory / LOCK))
        except LockError as exc:
            raise AlreadyAwake(
                files.holder(directory), hint="a second process needs a folder of its own: --image OTHER"
            ) from exc
        self.lost = lost
        super().__init__(directory, uri, None)
        try:
            self.storage = self._tried(make)
        except BaseException:
            self._lock.close()
            raise

    def _tried(self, make: Callable[[], Any]) -> Any:
        """What `make()` answers; made again where another process makes the same thing at the same moment."""
        for left in range(BIRTHS, -1, -1):
            try:
                return make()
            except Exception as exc:
                out_of_reach = self.told(exc)
                if out_of_reach is not None:
                    raise out_of_reach from exc
                if not left or not self._raced(exc):
                    raise
                time.sleep(random.uniform(0.0, 0.2))

    def _raced(self, exc: Exception) -> bool:
        return isinstance(exc, TransientError)

    def database(self, **arguments: Any) -> DB:
        """The database over the storage; two processes that both make its first object agree on one."""
        return self._tried(lambda: super(ServedPlace, self).database(**arguments))

    def newborn(self, root: Any) -> bool:
        """Is the image still to be born?  Raises `Damaged` or `BadRequest` where DIR says otherwise."""
        kept = remembered(self.directory)
        born = root["batos"]["born"] if "batos" in root else None
        if born is None and kept is not None:
            raise Damaged(
                f"the storage {self.uri} is empty, but an image was awake in {self.directory}, kept in {kept['storage']}",
                hint="name the storage that holds it, or awaken a new image elsewhere: --image OTHER",
            )
        if born is None and files.exists(self.directory):
            raise BadRequest(
                f"the storage {self.uri} is empty, and {self.directory} holds an image in files",
                hint=f"move it there: scripts/move_image --image {self.directory} {self.uri}",
            )
        if born is not None and kept is not None and kept["born"] != born:
            raise BadRequest(
                f"{self.directory} belongs to another image than the one that {self.uri} holds "
                f"(it was kept in {kept['storage']})",
                hint="give this one a folder of its own: --image OTHER",
            )
        return born is None

    def settle(self, root: Any) -> None:
        """The image is whole: DIR remembers it."""
        kept = {"storage": self.uri, "born": root["batos"]["born"] if "batos" in root else None}
        if kept["born"] is not None and kept != remembered(self.directory):
            remember(self.directory, kept)

    def facts(self) -> dict[str, Any]:
        """Sizes in bytes, and the number of objects, as the server estimates them."""
        cache = self.directory / CACHE
        return {
            "storage": self.uri,
            "data_bytes": self.storage.getSize(),
            "blob_bytes": sum(each.stat().st_size for each in cache.rglob("*.blob")) if cache.is_dir() else 0,
            "objects": len(self.storage),
        }

    def only_files(self, verb: str) -> None:
        """Raise `BadRequest` for a verb that works on files, with what to use instead."""
        raise BadRequest(
            f"{verb} works on an image in files, and this one is kept in {self.uri}",
            hint=self.instead.get(verb, "use the tools of that server"),
        )

    def close(self) -> None:
        super().close()
        self._lock.close()


class ZeoPlace(ServedPlace):
    instead = {
        "backup": "back up the files where the ZEO server keeps them: repozo, and a copy of the blob folder",
        "scrub": "scrub the files where the ZEO server keeps them, while it is stopped",
    }

    def __init__(self, directory: Path, uri: str):
        from ZEO.ClientStorage import ClientStorage  # here: an image in files need not load it
        from ZEO.Exceptions import ClientDisconnected
        from zodburi.resolvers import client_storage_resolver

        parts = urlsplit(uri)
        if not parts.hostname and not parts.path:
            raise BadRequest(f"{uri!r} names no ZEO server", hint="zeo://HOST:PORT, or zeo:///PATH of a socket")
        address = (parts.hostname, parts.port or 9991) if parts.hostname else parts.path
        given, unknown = client_storage_resolver.interpret_kwargs(dict(parse_qsl(parts.query)))
        _refuse(uri, unknown)
        # server_sync: what another process was told to be done is seen by the next message here.
        options = {"blob_dir": str(directory / CACHE), "wait_timeout": int(PATIENCE), "server_sync": True} | given

        super().__init__(directory, shown(uri), lambda: ClientStorage(address, **options), (ClientDisconnected,))


class PostgresPlace(ServedPlace):
    instead = {
        "backup": "pg_dump of its database, which holds the blobs too",
        "scrub": "pg_amcheck, and initdb --data-checksums",
    }

    def __init__(self, directory: Path, uri: str):
        try:
            import psycopg2
            from psycopg2.extensions import make_dsn
            from relstorage.adapters.postgresql import PostgreSQLAdapter
            from relstorage.options import Options
            from relstorage.storage import RelStorage
            from relstorage.storage.interfaces import StorageDisconnectedDuringCommit
            from relstorage.zodburi_resolver import postgresql_resolver
        except ImportError as exc:
            raise BadRequest(
                f"{shown(uri)} needs packages that are not installed ({exc})",
                hint="install them: .venv/bin/python -m pip install -c scripts/constraints.txt RelStorage psycopg2-binary",
            ) from exc
        # The resolver of RelStorage writes host='None' where the URI names no host, and keeps %40 in a
        # password; options are read by it, the server's address by us.
        parts = urlsplit(uri)
        query = dict(parse_qsl(parts.query))
        address = {
            "dbname": unquote(parts.path.lstrip("/")),
            "user": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
            "host": query.pop("host", None) or unquote(parts.hostname or ""),
            "port": parts.port,
            "connect_timeout": query.pop("connect_timeout", "5"),
            "sslmode": query.pop("sslmode", query.pop("ssl_mode", None)),
        }
        if not address["dbname"]:
            raise BadRequest(f"{shown(uri)} names no database", hint="postgresql://USER@HOST:PORT/DATABASE")
        given, unknown = postgresql_resolver.interpret_kwargs(query)
        _refuse(uri, unknown)
        for option in ("keep_history", "shared_blob_dir"):
            if option in given:
                raise BadRequest(f"{shown(uri)}: {option} is not for choice: the past and the blobs are kept there")
        dsn = make_dsn(**{name: value for name, value in address.items() if value})
        options = {"blob_dir": str(directory / CACHE), "name": shown(uri)} | given
        options |= {"keep_history": True, "shared_blob_dir": False}
        self._races = (psycopg2.IntegrityError, psycopg2.ProgrammingError)  # two processes make one table

        def make() -> Any:
            chosen = Options(**options)
            return RelStorage(adapter=PostgreSQLAdapter(dsn=dsn, options=chosen), options=chosen)

        lost = (psycopg2.OperationalError, psycopg2.InterfaceError, StorageDisconnectedDuringCommit)
        super().__init__(directory, shown(uri), make, lost)

    def _raced(self, exc: Exception) -> bool:
        return super()._raced(exc) or isinstance(exc, self._races)


class ServedFiles:
    """The section <image> of a ZEO server's configuration: an image's files, served to other processes."""

    def __init__(self, section: Any):
        self.name = section.getSectionName()
        self.directory = Path(section.directory)

    def open(self) -> Any:
        """The storage; raises what `open_storage` raises."""
        storage = files.open_storage(self.directory)
        files.end_birth(self.directory)  # an image is born by its clients, whose folders remember it
        return storage


SCHEMES: dict[str, Callable[[Path, str], Place]] = {
    "file": lambda directory, uri: FilePlace(directory, folder_of(directory, uri)),
    "zeo": ZeoPlace,
    "postgresql": PostgresPlace,
    "postgres": PostgresPlace,
}


def open_place(directory: Path, uri: str = "") -> Place:
    """Open the storage that `uri` names, by default the files in `directory`.

    Raises `AlreadyAwake`, `Damaged`, `BadRequest` for a URI that means nothing here or is not where the
    image of DIR lives, and `Busy` if its server is out of reach.
    """
    directory = Path(directory)
    if scheme_of(uri) == "file":
        kept = remembered(directory)
        if kept is not None:
            raise BadRequest(
                f"the image of {directory} lives in {kept['storage']}, not in files",
                hint=f'put storage = "{kept["storage"]}" into {directory / "batos.toml"}; '
                f"or, if it is to be forgotten, remove {directory / REMEMBERED}",
            )
    elif (directory / MOVING).exists() and (directory / MOVING).read_text() == shown(uri):
        raise Damaged(
            f"a move of the image into {shown(uri)} was cut short; what is there is not whole",
            hint=f"move it again: scripts/move_image --image {directory} {shown(uri)}",
        )
    return SCHEMES[scheme_of(uri)](directory, uri)


def exists(directory: Path, uri: str = "") -> bool:
    """Has an image been awake in `directory`, with its storage at `uri`?"""
    if scheme_of(uri) == "file":
        return files.exists(folder_of(directory, uri)) or remembered(directory) is not None
    return remembered(directory) is not None


def scheme_of(uri: str) -> str:
    scheme = uri.partition(":")[0] if uri else "file"
    if scheme not in SCHEMES:
        raise BadRequest(
            f"storage = {shown(uri)!r} is no storage that batos knows",
            hint=f"it begins with {', '.join(f'{each}://' for each in SCHEMES)}; empty: files of the image's own folder",
        )
    return scheme


def folder_of(directory: Path, uri: str) -> Path:
    """The folder a ``file://`` URI names: DIR for an empty one."""
    path, _, query = uri.removeprefix("file://").partition("?")
    if query:
        raise BadRequest(f"storage = {uri!r}: files have no options", hint="file://FOLDER")
    return Path(path).parent if Path(path).name == files.DATA else Path(path) if path else directory


def _refuse(uri: str, unknown: dict[str, str]) -> None:
    if unknown:
        raise BadRequest(f"storage = {shown(uri)!r}: there is no option {', '.join(sorted(unknown))}")


def shown(uri: str) -> str:
    """A URI without its password, nor the options that may hold one."""
    before, at, after = uri.partition("?")[0].rpartition("@")
    head, slashes, who = before.partition("://")
    return f"{head}{slashes}{who.partition(':')[0]}{at}{after}" if at else after


def remembered(directory: Path) -> dict[str, Any] | None:
    """What DIR knows of the image that is kept elsewhere: `{"storage", "born"}`."""
    try:
        return json.loads((directory / REMEMBERED).read_text())
    except FileNotFoundError:
        return None
    except ValueError as exc:
        raise Damaged(
            f"{directory / REMEMBERED} cannot be read: {exc}", hint="remove it if you know the storage is right"
        ) from exc


def remember(directory: Path, kept: dict[str, Any]) -> None:
    part = directory / f"{REMEMBERED}.part"
    part.write_text(json.dumps(kept))
    sync(part)
    part.replace(directory / REMEMBERED)
    sync(directory)
