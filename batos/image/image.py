"""The image: one storage, one writer, one turn at a time.  Everything that commits is here.

A turn is one message in one transaction.  Turns run one after another on the image thread, so they
never conflict; those that wait share a commit (group commit), each behind a savepoint of its own,
and are answered after it.  A mission has a connection of its own and commits as a turn of its own,
between groups.  What is not about transactions does not belong here: who may say what, and what a
miss means, is decided above and handed in.

Persistent objects never leave a turn: the functions given to `run` and `submit` answer plain data.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import queue
import shutil
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

import transaction
from ZODB import DB
from ZODB.blob import Blob
from ZODB.Connection import Connection
from ZODB.POSException import ConflictError
from ZODB.serialize import referencesf
from ZODB.utils import p64

from batos.errors import BatosError, Busy, Deadline, Internal, NoSuchObject, ReadOnly
from batos.image.storage import BLOBS, end_birth, in_birth, open_storage
from batos.objects import Activation, UvmObject, activated
from batos.objects.fuel import Limit, OutOfFuel, spend
from batos.objects.lookup import LeftTurn

log = logging.getLogger(__name__)

BLOB_CHUNK = 1 << 20
CLOSING_SECONDS = 1.0  # left to the turn that runs when the image is closed


class Root:
    """The names of an image within one turn: the lobby's slots first, then the root's.

    >>> with image.turn("pay in") as root:                                       # doctest: +SKIP
    ...     root.account.deposit(5)
    """

    def __init__(self, connection: Connection):
        self._connection = connection

    def __getitem__(self, name: str) -> Any:
        return self._connection.root()[name]

    def __setitem__(self, name: str, obj: Any) -> None:
        self._connection.root()[name] = obj

    def __contains__(self, name: str) -> bool:
        return name in self._connection.root()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.resolve(name)

    @property
    def connection(self) -> Connection:
        """The connection of this turn, for code that needs oids, blobs or indexes."""
        return self._connection

    def names(self) -> list[str]:
        """The names at the root."""
        return [name for name, value in self._connection.root().items() if isinstance(value, UvmObject)]

    def resolve(self, path: str) -> UvmObject:
        """The object a dotted path of slot names leads to; `NoSuchObject` names the step that fails."""
        names = path.split(".")
        root = self._connection.root()
        lobby = root["lobby"]
        found = lobby._slots.get(names[0], root.get(names[0]))
        if not isinstance(found, UvmObject):
            known = [name for name, value in lobby._slots.items() if isinstance(value, UvmObject)]
            raise NoSuchObject(
                f"there is no object {names[0]!r}",
                near=get_close_matches(names[0], [*known, *self.names()], n=3, cutoff=0.7),
                hint=f"make one: send lobby clone -k called={names[0]}",
            )
        for at, name in enumerate(names[1:], 1):
            holder, found = found, (None if name.startswith("_") else getattr(found, name, None))
            if not isinstance(found, UvmObject):
                raise NoSuchObject(
                    f"{'.'.join(names[:at])} has no object in a slot {name!r}: {holder!r} ends there"
                )
        return found

    def by_oid(self, text: str) -> UvmObject:
        """The object with an oid written as ``0x1f``; `NoSuchObject` if there is none."""
        try:
            obj = self._connection.get(p64(int(text, 16)))
        except (KeyError, ValueError, OverflowError, struct.error) as exc:
            raise NoSuchObject(f"there is no object with the oid {text!r}") from exc
        if not isinstance(obj, UvmObject):
            raise NoSuchObject(f"{text!r} is not an object one can send to")
        return obj

    def path_of(self, obj: Any) -> str | None:
        """The name an object is found by, None if it has none."""
        root = self._connection.root()
        if not isinstance(obj, UvmObject):
            return None
        obj._p_activate()
        name = obj.__dict__.get("_name")
        if name and (root["lobby"]._slots.get(name) is obj or root.get(name) is obj):
            return name
        return next((name for name, value in root["lobby"]._slots.items() if value is obj), None)


@dataclass(slots=True)
class Done:
    """What a turn came to: its value, and the transaction id if it changed anything."""

    value: Any
    tid: str | None = None


@dataclass(slots=True)
class _Job:
    function: Callable[[Root], Any]
    why: str
    who: str
    mission: str | None
    deadline: float | None
    alone: bool
    future: Future = field(default_factory=Future)


class LivingImage:
    """An open image.  Made by `open`; a context manager that closes it."""

    def __init__(self, directory: Path, db: DB, settings: Any, judge: Callable | None):
        self.directory = directory
        self._db = db
        self._settings = settings
        self._judge = judge
        self._manager = transaction.TransactionManager(explicit=True)
        self._connection = self._begin_connection(self._manager)
        self._lock = threading.RLock()  # held by whoever is in a turn
        self._jobs: queue.Queue[_Job | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._limit = Limit(0.0)  # of the turn that runs on the image thread
        self.newborn = False  # was the image born in this opening?
        self.commits = 0
        self.aborts = 0

    # -- opening and closing ---------------------------------------------------------------------

    @classmethod
    def open(
        cls,
        directory: Path | str,
        settings: Any,
        judge: Callable | None = None,
        birth: Callable | None = None,
    ) -> Self:
        """Open the image in `directory`, giving birth to it where there is none.

        `birth(root)` fills a newborn image and runs again at every opening, adding what is missing.
        Raises `AlreadyAwake` and `Damaged`.
        """
        directory = Path(directory)
        storage = open_storage(directory)
        newborn = in_birth(directory)
        try:
            db = DB(storage, cache_size=settings.cache_objects, large_record_size=1 << 26)
            image = cls(directory, db, settings, judge)
            image.newborn = newborn
        except BaseException:
            storage.close()
            raise
        try:
            if birth is not None:
                with image.turn("awakening", who="batos") as root:
                    birth(root)
            if newborn:
                end_birth(directory)
        except BaseException:
            image.close()
            raise
        return image

    def close(self) -> None:
        """Let the running turn end, soon, and close the storage; turns that wait are told.  Safe to call twice."""
        if self._closing:
            return
        self._closing = True
        self._limit.at = min(self._limit.at, time.monotonic() + CLOSING_SECONDS)
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
        with self._lock:
            self._connection.close()
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info) -> None:
        self.close()

    # -- turns -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def turn(self, why: str, who: str = "user") -> Iterator[Root]:
        """One turn on the caller's own thread: commits at the end, rolls back if the block raises."""
        with self._lock:
            self._manager.begin()
            root = Root(self._connection)
            try:
                with activated(Activation(who=who, judge=self._judge)):
                    yield root
            except BaseException:
                self._manager.abort()
                raise
            try:
                self._commit([(why, who, None)])
            except Exception as exc:
                self._manager.abort()
                self.aborts += 1
                raise _told(exc) from exc

    def run(self, why: str, function: Callable[[Root], Any], who: str = "user") -> Any:
        """`function(root)` in a turn on the image thread; answers its value once it is committed."""
        if threading.current_thread() is self._thread:
            raise RuntimeError(f"{why}: a turn waited for another turn, which would be for ever")
        return self.submit(why, function, who).result().value

    def submit(
        self,
        why: str,
        function: Callable[[Root], Any],
        who: str = "user",
        mission: str | None = None,
        deadline: float | None = None,
        alone: bool = False,
    ) -> Future[Done]:
        """Queue a turn; the future gets a `Done` after its commit, or the exception that rolled it back.

        deadline  seconds of `time.monotonic` after which the turn is not begun, and a method in it
                  is ended; `Deadline` then means that nothing was done
        alone     the function commits for itself (a mission), between groups
        """
        job = _Job(function, why, who, mission, deadline, alone)
        if self._closing:
            job.future.set_exception(
                Busy("the image is going to sleep", hint="awaken it again and send again")
            )
            return job.future
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._serve, name="image", daemon=True)
                    self._thread.start()
        self._jobs.put(job)
        return job.future

    @property
    def waiting(self) -> int:
        """Turns in the queue."""
        return self._jobs.qsize()

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None and not self._closing:
            with self._lock:
                if job.alone:
                    self._run_alone(job)
                    continue
                follower = self._run_group(job)
                if follower is not None:
                    self._run_alone(follower)
        while True:  # closing: tell whoever came too late
            if job is not None and job.future.set_running_or_notify_cancel():
                job.future.set_exception(
                    Busy("the image went to sleep before this was done", hint="send it again later")
                )
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return

    def _run_alone(self, job: _Job) -> None:
        if not job.future.set_running_or_notify_cancel():
            return
        try:
            with activated(Activation(who=job.who, mission=job.mission, judge=self._judge)):
                job.future.set_result(Done(job.function(None)))
        except BaseException as exc:  # noqa: BLE001 - whatever it is belongs to whoever waits
            job.future.set_exception(exc)

    def _run_group(self, job: _Job) -> _Job | None:
        """Run waiting turns in one transaction; answers a job that must run alone after it, if one came."""
        self._manager.begin()
        group: list[tuple[_Job, Any, bool]] = []  # who waits for the commit: value, changed anything?
        follower = None
        for _ in range(self._settings.group_size):
            if job.future.set_running_or_notify_cancel():
                try:
                    savepoint = self._manager.savepoint(optimistic=True) if group else None
                except Exception as exc:  # noqa: BLE001 - an earlier turn of the group left what cannot be kept
                    self._one_by_one([*(each for each, _, _ in group), job], exc)
                    return None
                came = self._run_one(job, savepoint)
                if came is not None:
                    value, changed = came
                    if changed or group:
                        group.append((job, value, changed))
                    else:
                        job.future.set_result(Done(value))  # nothing uncommitted was seen
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            if job.alone:
                follower = job
                break
        if group:
            self._finish_group(group)
        else:
            self._manager.abort()
        return follower

    def _run_one(self, job: _Job, savepoint: Any = None) -> tuple[Any, bool] | None:
        """(value, changed anything?) of one turn, or None once its failure is told and rolled back."""
        limit = time.monotonic() + self._settings.turn_seconds
        if job.deadline is not None:
            if time.monotonic() > job.deadline:
                job.future.set_exception(
                    Deadline(f"{job.why}: the time was up before its turn came; nothing was done")
                )
                return None
            limit = min(limit, job.deadline)
        self._limit.at = limit
        try:
            with (
                activated(Activation(who=job.who, mission=job.mission, judge=self._judge)),
                spend(self._limit),
            ):
                value = job.function(Root(self._connection))
            return value, bool(self._connection._registered_objects)
        except OutOfFuel:
            failure: BaseException = Deadline(
                f"{job.why}: it ran past its time and was ended; nothing was changed",
                hint="look at the method with `source`; a loop without end is the usual cause",
            )
            self.aborts += 1
        except BaseException as exc:  # noqa: BLE001 - whatever it is belongs to whoever waits
            failure = exc
            # A miss, slow work done elsewhere and a method's own refusal are ordinary ends, no failed transaction.
            if not isinstance(exc, (LeftTurn, BatosError)):
                self.aborts += 1
        if savepoint is not None:
            savepoint.rollback()
        else:
            self._manager.abort()
            self._manager.begin()
        job.future.set_exception(failure)
        return None

    def _finish_group(self, group: list[tuple[_Job, Any, bool]]) -> None:
        """Commit the open transaction and answer everybody in it."""
        try:
            tid = self._commit([(job.why, job.who, job.mission) for job, _, changed in group if changed])
        except Exception as exc:  # noqa: BLE001 - told to everybody in the group
            if len(group) > 1 and not isinstance(exc, ReadOnly):
                self._one_by_one([job for job, _, _ in group], exc)
                return
            self._manager.abort()
            self.aborts += 1
            for job, _, _ in group:
                job.future.set_exception(_told(exc))
            return
        for job, value, changed in group:
            job.future.set_result(Done(value, tid if changed else None))

    def _one_by_one(self, jobs: list[_Job], exc: Exception) -> None:
        """A shared commit failed: run its messages again, each in a transaction of its own."""
        log.warning(
            "a shared commit failed (%s: %s); its messages run again one by one", type(exc).__name__, exc
        )
        self._manager.abort()
        self.aborts += 1
        for job in jobs:
            self._manager.begin()
            came = self._run_one(job)
            if came is None:
                self._manager.abort()
            elif came[1]:
                self._finish_group([(job, *came)])
            else:
                self._manager.abort()
                job.future.set_result(Done(came[0]))

    def _commit(self, messages: list[tuple[str, str, str | None]]) -> str | None:
        """Commit the open transaction; answers its id in hex, None if nothing had changed."""
        if not self._connection._registered_objects and not self._connection._savepoint_storage:
            self._manager.abort()
            return None
        self.check_space()
        current = self._manager.get()
        describe(current, messages)
        self._manager.commit()
        self.commits += 1
        return self._db.storage.lastTransaction().hex()

    def check_space(self, wanted: int = 0) -> None:
        """Raise `ReadOnly` where `wanted` bytes more would eat into the disk's reserve."""
        free = shutil.disk_usage(self.directory).free
        if free - wanted < self._settings.disk_reserve_bytes:
            raise ReadOnly(
                f"the disk of {self.directory} has {free / 1e6:.0f} MB free, "
                f"less than the reserve of {self._settings.disk_reserve_bytes / 1e6:.0f} MB; nothing was changed",
                hint="free some space on that disk and send it again",
                retryable=True,
            )

    # -- missions ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def mission_transaction(self) -> Iterator[Root]:
        """A connection with a manager of its own, begun; closed without a trace unless committed."""
        manager = transaction.TransactionManager(explicit=True)
        connection = self._begin_connection(manager)
        manager.begin()
        try:
            yield Root(connection)
        finally:
            if manager._txn is not None:
                manager.abort()
            connection.close()

    def commit_mission(
        self,
        root: Root,
        why: str,
        who: str,
        mission: str,
        again: Callable[[Root], None],
    ) -> Future[Done]:
        """Commit a mission's transaction as a turn, on the image thread, between groups.

        Where something it read has changed since, `again(root)` replays the mission's change on the
        image as it is now; nobody else commits in between.  The future's value is the transaction id.
        """
        manager = root.connection.transaction_manager

        def commit(_root: None) -> str:
            self.check_space()
            try:
                describe(manager.get(), [(why, who, mission)])
                manager.commit()
            except ConflictError:
                manager.abort()
                manager.begin()
                try:
                    again(root)
                    describe(manager.get(), [(why, who, mission)])
                    manager.commit()
                except BaseException:
                    manager.abort()
                    raise
            except Exception as exc:
                manager.abort()
                raise _told(exc) from exc
            self.commits += 1
            return self._db.storage.lastTransaction().hex()

        return self.submit(why, commit, who, mission, alone=True)

    def _begin_connection(self, manager: transaction.TransactionManager) -> Connection:
        # An explicit manager has no transaction to hand the connection yet, and needs none.
        return self._db.open(manager)

    # -- blobs and facts ---------------------------------------------------------------------------

    def blob_from(self, path: Path) -> Blob:
        """A new blob with the bytes of a file, streamed; it is kept by the turn that refers to it."""
        self.check_space(path.stat().st_size)
        blob = Blob()
        with open(path, "rb") as source, blob.open("w") as target:
            shutil.copyfileobj(source, target, BLOB_CHUNK)
        return blob

    def unreadable(self, root: Root, most: int) -> list[str]:
        """Oids, with the reason, of records that cannot be loaded, among the first `most` reached from the root."""
        connection, bad, seen, waiting = root.connection, [], set(), [b"\0" * 8]
        while waiting and len(seen) < most:
            oid = waiting.pop()
            if oid in seen:
                continue
            seen.add(oid)
            try:
                data, _ = connection._storage.load(oid)
                connection.get(oid)._p_activate()
                waiting.extend(referencesf(data))
            except Exception as exc:  # noqa: BLE001 - whatever unpickling raises is what is looked for
                bad.append(f"0x{int.from_bytes(oid, 'big'):x} ({type(exc).__name__})")
        return bad

    def revisions(self, oid: bytes, most: int) -> list[dict[str, Any]]:
        """The storage's records of one object's past, newest first; `KeyError` if there is none."""
        return self._db.storage.history(oid, size=most)

    @contextlib.contextmanager
    def past(self, before: bytes | None) -> Iterator[Connection]:
        """A read-only connection to the image as it was just before a transaction (None: as it is)."""
        manager = transaction.TransactionManager()
        connection = self._db.open(manager, before=before)
        try:
            yield connection
        finally:
            manager.abort()
            connection.close()

    def facts(self) -> dict[str, Any]:
        """Sizes and counters, read without a turn."""
        blobs = self.directory / BLOBS
        return {
            "directory": str(self.directory),
            "data_bytes": self._db.storage.getSize(),
            "blob_bytes": sum(each.stat().st_size for each in blobs.rglob("*.blob")) if blobs.is_dir() else 0,
            "objects": len(self._db.storage),
            "cached": self._db.cacheSize(),
            "commits": self.commits,
            "aborts": self.aborts,
            "waiting": self.waiting,
            "free_bytes": shutil.disk_usage(self.directory).free,
        }


def describe(current: transaction.Transaction, messages: list[tuple[str, str, str | None]]) -> None:
    """Write into the transaction's metadata what it was for; a shared commit lists its messages."""
    whys = [why for why, _, _ in messages]
    current.note("; ".join(whys[:8]) + (f"; and {len(whys) - 8} more" if len(whys) > 8 else ""))
    current.setUser(messages[0][1] if len({who for _, who, _ in messages}) == 1 else "several")
    missions = [mission for _, _, mission in messages if mission]
    if missions:
        current.setExtendedInfo("mission", missions[0])


def _told(exc: BaseException) -> BaseException:
    """A failed commit in words; nothing of it was kept."""
    if isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return ReadOnly(
            "the disk is full; nothing was changed",
            hint="free some space on that disk and send it again",
            retryable=True,
        )
    if isinstance(exc, OSError):
        return Internal(f"the disk refused to keep it: {exc}; nothing was changed")
    if isinstance(exc, (TypeError, AttributeError)) or "pickle" in type(exc).__name__.lower():
        return Internal(f"the change could not be kept: {exc}; nothing was changed")
    return exc
