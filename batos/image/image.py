"""The image: one storage, one writer, one turn at a time.  Everything that commits is here.

A turn is one message in one transaction.  Turns run one after another on the image thread, so they
never conflict; those that wait share a commit (group commit) and are answered after it.  Each has an
undo log of its own, by which it is taken back alone if it fails, and which becomes its change record
just before the commit.  A mission has a connection of its own and commits as a turn of its own,
between groups.  What is not about transactions does not belong here: who may say what, and what a
miss means, is decided above and handed in.

Persistent objects never leave a turn: the functions given to `run` and `submit` answer plain data.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import queue
import random
import shutil
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Self

import transaction
from ZODB import DB
from ZODB.Connection import Connection
from ZODB.POSException import ConflictError, POSKeyError
from ZODB.serialize import referencesf
from ZODB.utils import p64

from batos.errors import BadRequest, BatosError, Busy, Conflict, Deadline, Internal, ReadOnly, Refused
from batos.image import changes, schema
from batos.image.backup import backup
from batos.image.changes import Changes, Moments, Said, write
from batos.image.digests import Scrub, scrub
from batos.image.places import Place, open_place
from batos.image.root import MissionRoot, Root
from batos.message import OWNER
from batos.objects import Activation, Method, UvmObject, activated
from batos.objects.containers import KINDS, containers_in
from batos.objects.dispatch import structure_changed
from batos.objects.fuel import Limit, OutOfFuel, spend
from batos.objects.holding import settle
from batos.objects.lookup import LeftTurn
from batos.objects.permission import OWNERS
from batos.objects.undo_log import Entry, UndoLog, noting

logger = logging.getLogger(__name__)

OURS = (UvmObject, Method, *KINDS)  # what an undo log sees
NEW = b"\0" * 8  # the serial of what no transaction has kept yet
GLANCE_SECONDS = 0.002  # a reading may take this long on the thread of whoever asks
UPKEEP = "batos"  # who works when batos looks after itself: records of its own, metrics
CONFLICT_TRIES = 8  # with other processes on one storage
CONFLICT_SECONDS = 0.02
PAST_KEPT = 2_000  # objects that a connection for looking may keep until the next look
CLOSING_SECONDS = 1.0  # left to the turn that runs when the image is closed


class NoGlance(Exception):
    """The image was not idle, or what was tried as a reading changed something or took too long."""


@dataclass(slots=True)
class Done:
    """What a turn came to: its value, the transaction id if it changed anything, and what it would have
    changed if it was a dry run."""

    value: Any
    tid: str | None = None
    changes: list[dict[str, Any]] | None = None


@dataclass(slots=True)
class _Job:
    function: Callable[[Root], Any]
    why: str
    who: str
    mission: str | None
    deadline: float | None
    alone: bool
    ident: str = ""
    dry: bool = False
    keep: Callable[[Root, Any], None] | None = None
    future: Future = field(default_factory=Future)


@dataclass(slots=True)
class TakenBack:
    """The value of a turn that undid or redid: what, and the facts for its own record."""

    told: list[dict[str, Any]]
    facts: dict[str, Any]


@dataclass(slots=True)
class _Turn:
    """A turn that has run and waits for its commit."""

    job: _Job
    value: Any
    log: UndoLog
    entries: list[Entry]  # told as soon as it has run, before the next one changes the same
    changed: bool
    more: bool  # it changed something that no undo log sees: an index, a blob


class LivingImage:
    """An open image.  Made by `open`; a context manager that closes it."""

    def __init__(self, place: Place, db: DB, settings: Any, judge: Callable | None):
        self.place = place
        self.directory = place.directory
        self._db = db
        self._settings = settings
        self._judge = judge
        self._manager = transaction.TransactionManager(explicit=True)
        self._connection = self._begin_connection(self._manager)
        self._lock = threading.RLock()  # held by whoever is in a turn
        self._moments = Moments()
        self._jobs: queue.Queue[_Job | None] = queue.Queue()
        self._taken: list[_Job | None] = []  # out of the queue since the last of them was answered
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
        An image of an older schema is brought to this one's first.  Raises `AlreadyAwake`, `Damaged`,
        `NewerImage`, and of a storage elsewhere `Busy`, `Conflict` and `BadRequest` as `open_place` does.
        """
        place = open_place(Path(directory), settings.storage)
        try:
            db = place.database(cache_size=settings.cache_objects, large_record_size=1 << 26)
            db.classFactory = schema.find_class
            schema.migrate(db)
            image = cls(place, db, settings, judge)
        except BaseException:
            place.close()
            raise
        try:
            image._be_born(birth or (lambda root: None))
        except BaseException:
            image.close()
            raise
        return image

    def _be_born(self, birth: Callable[[Root], None]) -> None:
        for _ in self.place.births():
            try:
                with self.turn("awakening", who=UPKEEP) as root:
                    self.newborn = self.place.newborn(root)
                    birth(root)
                break
            except Conflict:
                continue  # another process gives birth to it at the same moment
        with self.turn("awake", who=UPKEEP) as root:
            self.place.settle(root)

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
            self.place.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info) -> None:
        self.close()

    # -- turns -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def turn(self, why: str, who: str = OWNER) -> Iterator[Root]:
        """One turn on the caller's own thread: commits at the end, rolls back if the block raises."""
        with self._lock:
            root = Root(self._connection)
            log = root.undo_log
            try:
                self._reach(self._manager)
                with activated(Activation(who=who, judge=self._judge)), noting(log):
                    yield root
            except BaseException:
                self._manager.abort()
                raise
            job = _Job(lambda _: None, why, who, None, None, False)
            try:
                self._commit([self._ran(job, None, log, 0)])
            except ConflictError as exc:
                raise self._told(exc) from exc

    def run(self, why: str, function: Callable[[Root], Any], who: str = OWNER) -> Any:
        """`function(root)` in a turn on the image thread; answers its value once it is committed."""
        if threading.current_thread() is self._thread:
            raise RuntimeError(f"{why}: a turn waited for another turn, which would be for ever")
        return self.submit(why, function, who).result().value

    def submit(
        self,
        why: str,
        function: Callable[[Root], Any],
        who: str = OWNER,
        mission: str | None = None,
        deadline: float | None = None,
        alone: bool = False,
        ident: str = "",
        dry: bool = False,
        keep: Callable[[Root, Any], None] | None = None,
    ) -> Future[Done]:
        """Queue a turn; the future gets a `Done` after its commit, or the exception that rolled it back.

        deadline  seconds of `time.monotonic` after which the turn is not begun, and a method in it
                  is ended; `Deadline` then means that nothing was done
        alone     the function commits for itself (a mission), between groups
        ident     the message's id, under which its change record is found
        dry       keep nothing; the `Done` says what would have changed
        keep      `keep(root, value)` writes what is to be kept with the turn's value, just before the commit
        """
        job = _Job(function, why, who, mission, deadline, alone, ident, dry, keep)
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
    def gone(self) -> bool:
        """Did the storage close itself, because a commit or a pack broke off where nobody knows how far?"""
        return not self._closing and getattr(self.place.storage, "closed", False)

    @property
    def waiting(self) -> int:
        """Turns in the queue."""
        return self._jobs.qsize()

    def glance(self, function: Callable[[Root], Any], who: str) -> Any:
        """`function(root)` at once, on the caller's thread, while the image is idle; it must only read.

        Handing a reading to the image thread and its answer back costs more than most readings.  Raises
        `NoGlance`, and nothing was done, where a turn runs or waits, which goes first, or where the
        function changed something or took longer than `GLANCE_SECONDS`; and whatever it raises.
        """
        if self._unfinished() or self._closing or not self._lock.acquire(blocking=False):
            raise NoGlance
        try:
            if self._unfinished() or self._manager._txn is not None:  # the caller's own thread is in a turn
                raise NoGlance
            try:
                self._manager.begin()
                root, end = Root(self._connection), time.monotonic() + GLANCE_SECONDS
                with activated(Activation(who=who, judge=self._judge)), spend(end), noting(root.undo_log):
                    value = function(root)
                if self._connection._registered_objects or len(root.undo_log) or time.monotonic() > end:
                    raise NoGlance
                return value
            except OutOfFuel:
                raise NoGlance from None
            finally:
                self._manager.abort()
        finally:
            self._lock.release()

    def _unfinished(self) -> int:
        """Turns that run or wait; counted from before `submit` returns until they are answered."""
        return self._jobs.unfinished_tasks

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None and not self._closing:
            self._taken = [job]
            with self._lock:
                try:
                    follower = job if job.alone else self._run_group(job)
                    if follower is not None:
                        self._run_alone(follower)
                except BaseException as exc:
                    self._broke(exc)
            for _ in self._taken:
                self._jobs.task_done()
        while True:  # closing: tell whoever came too late
            if job is not None and job.future.set_running_or_notify_cancel():
                job.future.set_exception(
                    Busy("the image went to sleep before this was done", hint="send it again later")
                )
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return

    def _broke(self, exc: BaseException) -> None:
        """A bug of ours on the image thread: who waits is told, and the thread lives on for the others."""
        logger.error("the image thread met a bug", exc_info=exc)
        with contextlib.suppress(Exception):
            self._manager.abort()
        told = Internal(f"{type(exc).__name__}: {exc}; nothing was changed")
        for job in self._taken:
            if job is not None and not job.future.done():
                job.future.set_exception(told)

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
        if not self._begin(job):
            return None
        group: list[_Turn] = []  # who waits for the commit
        follower = None
        for room in range(self._settings.group_size - 1, -1, -1):
            if job.future.set_running_or_notify_cancel():
                turn = self._run_one(job)
                if turn is not None:
                    if turn.changed or group:
                        group.append(turn)
                    else:
                        job.future.set_result(Done(turn.value))  # nothing uncommitted was seen
                    if turn.more:
                        break  # a later turn that failed could not be taken back alone
            if not room:
                break  # before another is taken out of the queue
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            self._taken.append(job)
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

    def _reach(self, manager: transaction.TransactionManager) -> None:
        """Begin a transaction; `Busy` where the storage is out of reach."""
        try:
            manager.begin()
        except Exception as exc:
            raise self._told(exc) from exc

    def _begin(self, job: _Job) -> bool:
        """Begin a transaction; false, and the job is told, where the storage is out of reach."""
        try:
            self._manager.begin()
            return True
        except Exception as exc:  # noqa: BLE001 - told to whoever waits; the thread lives on
            self._manager.abort()
            if job.future.running() or job.future.set_running_or_notify_cancel():
                job.future.set_exception(self._told(exc))
            return False

    def _run_one(self, job: _Job) -> _Turn | None:
        """A turn that ran and waits for its commit, or None once it is answered: it failed, or was a dry run."""
        limit = time.monotonic() + self._settings.turn_seconds
        if job.deadline is not None:
            if time.monotonic() > job.deadline:
                job.future.set_exception(
                    Deadline(f"{job.why}: the time was up before its turn came; nothing was done")
                )
                return None
            limit = min(limit, job.deadline)
        self._limit.at = limit
        root = Root(self._connection)
        log = root.undo_log
        before = len(self._connection._registered_objects)
        try:
            with (
                activated(Activation(who=job.who, mission=job.mission, judge=self._judge)),
                spend(self._limit),
            ):
                with noting(log):
                    value = job.function(root)
                if not job.dry:
                    return self._ran(job, value, log, before)  # what it changed is compared within its time
            told = changes.told_of_dry_run(log, root.path_of, lambda: self._take_back(log, before))
            job.future.set_result(Done(value, changes=told))
            return None
        except OutOfFuel as exc:
            failure: BaseException = Deadline(
                f"{job.why}: it ran past its time and was ended; nothing was changed",
                hint=getattr(exc, "hint", None)
                or "look at the method with `source`; a loop without end is the usual cause",
            )
            self.aborts += 1
        except BaseException as exc:  # noqa: BLE001 - whatever it is belongs to whoever waits
            known = isinstance(exc, ConflictError) or self.gone
            failure = self._told(exc) if known else self.place.told(exc) or exc
            # A miss, slow work done elsewhere and a method's own refusal are ordinary ends, no failed transaction.
            if not isinstance(exc, (LeftTurn, BatosError)):
                self.aborts += 1
        self._take_back(log, before)
        job.future.set_exception(failure)
        return None

    def _ran(self, job: _Job, value: Any, log: UndoLog, before: int) -> _Turn:
        """What a turn did that has run; `before`: objects registered before it."""
        connection = self._connection
        settle(log.objects())
        registered = connection._registered_objects[before:]
        added = connection._added
        new = frozenset(id(obj) for obj in registered if obj._p_oid in added)
        more = any(not isinstance(obj, OURS) or (obj not in log and id(obj) not in new) for obj in registered)
        changed = bool(registered) or len(log) > 0 or job.keep is not None
        return _Turn(job, value, log, log.entries(new), changed, more)

    def _take_back(self, log: UndoLog, before: int) -> None:
        """Undo one turn of the open transaction, and nothing of those before it.

        What it was the first to change or add goes back to what the storage has, as ZODB's own abort
        does it; what an earlier turn of the group had changed already, to its before-image.
        """
        connection = self._connection
        registered = connection._registered_objects
        first = registered[before:]
        connection._registered_objects = first
        try:
            connection._abort()
        finally:
            connection._registered_objects = registered[:before]
        log.rollback({id(obj) for obj in first})

    def _finish_group(self, group: list[_Turn]) -> None:
        """Commit the open transaction and answer everybody in it."""
        try:
            tid = self._commit(group)
        except Exception as exc:  # noqa: BLE001 - told to everybody in the group
            if isinstance(exc, ConflictError) or (len(group) > 1 and not isinstance(exc, (ReadOnly, Busy))):
                self._one_by_one([turn.job for turn in group], exc)
            else:
                for turn in group:
                    turn.job.future.set_exception(exc)
            return
        for turn in group:
            turn.job.future.set_result(Done(turn.value, tid if turn.changed else None))

    def _one_by_one(self, jobs: list[_Job], exc: Exception) -> None:
        """A shared commit failed: run its messages again, each in a transaction of its own.

        On a storage that other processes write to as well, each may meet a conflict again; it is then
        tried a few times more.
        """
        logger.warning(
            "a shared commit failed (%s: %s); its messages run again one by one", type(exc).__name__, exc
        )
        for job in jobs:
            for tried in range(CONFLICT_TRIES):
                if not self._begin(job):
                    break
                turn = self._run_one(job)
                if turn is None:
                    self._manager.abort()
                    break
                try:
                    tid = self._commit([turn])
                except ConflictError as again:
                    if tried + 1 == CONFLICT_TRIES:
                        job.future.set_exception(self._told(again))
                    else:
                        time.sleep(random.uniform(0, CONFLICT_SECONDS * 2**tried))
                except Exception as again:  # noqa: BLE001 - told to whoever waits
                    job.future.set_exception(again)
                    break
                else:
                    job.future.set_result(Done(turn.value, tid))
                    break

    def _commit(self, turns: list[_Turn]) -> str | None:
        """Commit the open transaction with the records of its turns; answers its id in hex, None if
        nothing had changed.

        Raises `ConflictError`, or what went wrong in words where it is known (`BatosError`); the
        transaction is aborted then.
        """
        connection, commit = self._connection, None
        try:
            for turn in turns:
                if turn.job.keep is not None:
                    turn.job.keep(Root(connection), turn.value)
            if not connection._registered_objects and not connection._savepoint_storage:
                self._manager.abort()
                return None
            self.check_space()
            commit = self._record(connection, turns)
            changed = [turn.job for turn in turns if turn.changed]
            describe(self._manager.get(), [(job.why, job.who, job.mission) for job in changed])
            self._manager.commit()
        except Exception as exc:
            self._manager.abort()
            self.aborts += 1
            if isinstance(exc, ConflictError):
                raise
            if not isinstance(exc, self.place.lost) or not self._was_kept(commit):
                raise self._told(exc) from exc
        self.commits += 1
        return self._tid_of(connection, commit)

    def _tid_of(self, connection: Connection, commit: Changes | None) -> str:
        # Of a storage that others write to, the last transaction may be another's.
        return (commit._p_serial if commit is not None else connection._storage.lastTransaction()).hex()

    def _was_kept(self, commit: Changes | None) -> bool:
        """Was a commit kept whose connection broke in the middle?  Raises `Busy` where nobody can say."""
        end = time.monotonic() + self.place.patience
        while commit is not None and time.monotonic() < end:
            try:
                self._manager.begin()
                kept = changes.tree(self._connection.root()).get(self._moments.last)
                found = kept is not None and [m["id"] for m in kept.messages] == [
                    m["id"] for m in commit.messages
                ]
                if found:
                    commit._p_serial = kept._p_serial
                return found
            except self.place.lost:
                time.sleep(0.1)
            finally:
                self._manager.abort()
        raise Busy(
            f"the connection to {self.place.uri} broke in the middle of the commit: whether it was kept is not known",
            hint="look, or send it again with the same --idem key",
        )

    def _record(self, connection: Connection, turns: Iterable[_Turn]) -> Changes | None:
        """Write the change records of turns into the open transaction; batos's own upkeep leaves none."""
        said = []
        for turn in turns:
            job = turn.job
            if turn.entries or (turn.more and job.who != UPKEEP):
                facts = dict(turn.value.facts) if isinstance(turn.value, TakenBack) else {}
                if turn.log.seed is not None:
                    facts["seed"] = turn.log.seed
                said.append(
                    Said(job.ident, job.who, job.why, job.mission, turn.log, turn.entries, turn.more, facts)
                )
        return write(connection.root(), self._moments.next(), said) if said else None

    def _told(self, exc: BaseException) -> BaseException:
        """A failed transaction in words; nothing of it was kept."""
        out_of_reach = self.place.told(exc)
        if out_of_reach is not None:
            return out_of_reach
        if self.gone:
            return Busy(
                "a commit broke off in the middle and the image closed itself; what was acknowledged is safe",
                hint="awaken it again, look whether this was done, and send again",
            )
        if isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT):
            return ReadOnly(
                "the disk is full; nothing was changed",
                hint="free some space on that disk and send it again",
                retryable=True,
            )
        if isinstance(exc, ConflictError):
            return Conflict(
                f"another process changed the same meanwhile, {CONFLICT_TRIES} times; nothing was changed",
                hint="send it again", retryable=True,
            )  # fmt: skip
        if isinstance(exc, OSError):
            return Internal(
                f"the disk refused to keep it: {exc}; nothing was changed",
                hint="see to the disk, and send it again: the image works on as soon as the disk does",
            )
        if isinstance(exc, (TypeError, AttributeError)) or "pickle" in type(exc).__name__.lower():
            return Internal(f"the change could not be kept: {exc}; nothing was changed")
        return exc

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
    def mission_transaction(self) -> Iterator[MissionRoot]:
        """A connection with a manager of its own, begun; closed without a trace unless committed."""
        manager = transaction.TransactionManager(explicit=True)
        connection = self._begin_connection(manager)
        try:
            self._reach(manager)
            root = MissionRoot(connection)
            try:
                with noting(root.undo_log):
                    yield root
            finally:
                with root.busy:  # a commit that has begun ends first, whatever the mission met meanwhile
                    root.ended = True
        finally:
            with contextlib.ExitStack() as ends:
                ends.callback(connection.close)
                if manager._txn is not None:
                    manager.abort()

    def commit_mission(
        self,
        root: MissionRoot,
        why: str,
        who: str,
        mission: str,
        read: Iterable[UvmObject],
        again: Callable[[Root], None],
        seconds: float | None = None,
    ) -> Future[Done]:
        """Commit a mission's transaction as a turn, on the image thread, between groups.

        Where something of `read` (the objects the mission looked at, with their containers) has changed
        since, `again(root)` replays the mission's change on the image as it is now; nobody of this
        process commits in between.  So neither a turn's change nor the mission's is lost, and no write
        skew lies between them.  `seconds` is how long it thought.  The future's value is the transaction id.
        """
        connection, manager = root.connection, root.connection.transaction_manager
        job = _Job(lambda _: None, why, who, mission, None, True, ident=mission)

        for obj in read:
            for each in (obj, *containers_in(*obj._slots.values())):
                if each._p_serial != NEW:
                    connection.readCurrent(each)

        def keep(changed: UndoLog) -> str:
            self.check_space()
            settle(changed.objects())
            record = self._record(connection, [_Turn(job, None, changed, changed.entries(), True, False)])
            describe(manager.get(), [(why, who, mission)], seconds)
            manager.commit()
            return self._tid_of(connection, record)

        def commit() -> str:
            try:
                try:
                    tid = keep(root.undo_log)
                except ConflictError:
                    tid = self._replayed(root, again, keep)
            except Exception as exc:
                manager.abort()
                raise self._told(exc) from exc
            self.commits += 1
            return tid

        def turn(_root: None) -> str:
            with root.busy:
                if root.ended:
                    raise Internal(f"{why}: the mission broke off before its commit; nothing was changed")
                return commit()

        return self.submit(why, turn, who, mission, alone=True)

    def _replayed(self, root: Root, again: Callable[[Root], None], keep: Callable[[UndoLog], str]) -> str:
        manager = root.connection.transaction_manager
        for left in range(CONFLICT_TRIES, 0, -1):
            manager.abort()
            try:
                manager.begin()
                with noting(UndoLog()) as changed:
                    again(root)
                return keep(changed)
            except ConflictError:
                if left == 1:
                    raise

    def _begin_connection(self, manager: transaction.TransactionManager) -> Connection:
        # An explicit manager has no transaction to hand the connection yet, and needs none.
        connection = self._db.open(manager)
        connection.on_invalidated = structure_changed
        return connection

    # -- the past ----------------------------------------------------------------------------------

    def run_past(self, tid: str, why: str, function: Callable[[Root], Any], who: str, deadline: float) -> Any:
        """`function(root)` on the image as it was right after the transaction `tid` (hex), on the caller's
        thread; answers its value.

        Raises `BadRequest` for what is no transaction id, one of the future, or one older than what the
        image keeps, `ReadOnly` if the function changed something, `Deadline` past `deadline` (seconds of
        `time.monotonic`).
        """
        try:
            before = p64(int(tid, 16) + 1)
        except (ValueError, OverflowError, struct.error):
            raise BadRequest(f"{tid!r} is no transaction id", hint="take one from `log` or a reply") from None
        if before > p64(int.from_bytes(self._db.storage.lastTransaction(), "big") + 1):
            raise BadRequest(f"the transaction {tid} has not been yet", hint="take one from `log` or a reply")
        limit = min(deadline, time.monotonic() + self._settings.turn_seconds)
        with self.past(before) as connection:
            try:
                connection.root()["batos"]
            except (KeyError, POSKeyError):
                raise BadRequest(
                    f"the image keeps nothing as old as the transaction {tid}: it was packed, or not born yet",
                    hint="a backup may have it: python -m batos restore DIR --to TID",
                ) from None
            try:
                with activated(Activation(who=who, judge=self._judge)), spend(limit):
                    value = function(Root(connection))
            except OutOfFuel:
                raise Deadline(f"{why}: it ran past its time and was ended") from None
            if connection._registered_objects:
                raise ReadOnly(
                    f"{why} would change something, and the past cannot be changed",
                    hint="send it without `at`",
                )
            return value

    def undo(self, what: str | None, who: str = OWNER) -> dict[str, Any]:
        """Take back a message, a mission or a commit by its id (None: the last change); see `changes.undo`."""
        return self._taken_back(
            f"undo of {what or 'the last change'}", lambda names: changes.undo(names, what), who
        )

    def redo(self, who: str = OWNER) -> dict[str, Any]:
        """Do again what was taken back last."""
        return self._taken_back("redo", changes.redo, who)

    def _taken_back(
        self, why: str, take: Callable[[Any], tuple[list[changes.Record], dict[str, Any]]], who: str
    ) -> Any:
        def turn(root: Root) -> TakenBack:
            records, facts = take(root.connection.root())
            other = next((each.message for each in records if each.message["who"] != who), None)
            if who not in OWNERS and other is not None:
                raise Refused(
                    f"{other['why']!r} was done by {other['who']}, and the key {who!r} takes back or does again only "
                    "what came by it; nothing was changed",
                    rule="key", hint=f"the owner takes it back with: python -m batos undo {other['id']}",
                )  # fmt: skip
            told = [{"message": each.message["id"], "why": each.message["why"]} for each in records]
            return TakenBack(told, facts)

        done = self.submit(why, turn, who).result()
        return {"taken": done.value.told, "tid": done.tid}

    # -- care --------------------------------------------------------------------------------------

    def pack(self, days: float) -> dict[str, Any]:
        """Give back the space of what is not reached any more; the past of `days` is kept, and all change
        records.  Not for the image thread: turns go on meanwhile.

        Raises `ReadOnly` where the disk has no room for it, `Busy` while another pack runs, `Damaged`.
        """
        return self.place.pack(self._db, days)

    def backup(self, directory: Path | str) -> dict[str, Any]:
        """Copy what is committed into `directory`, what came since the last time if a backup is there; see
        `backup.backup`.  Turns go on meanwhile."""
        self.place.only_files("backup")
        return backup(
            self.place.storage, directory, self._settings.backup_generations,
            self._settings.disk_reserve_bytes, beside=self.directory,
        )  # fmt: skip

    def scrub(self) -> Scrub:
        """Read every byte of the image and compare it with its digest; iterate over it for the findings."""
        self.place.only_files("scrub")
        return scrub(self.place.storage)

    def log(self, last: int) -> list[dict[str, Any]]:
        """The newest `last` change records as plain data, oldest first."""

        def told(root: Root) -> list[dict[str, Any]]:
            names = root.connection.root()
            undone = names.get("undone", ())
            return [each.told(undone) for each in islice(changes.newest(names), last)][::-1]

        return self.run("log", told)

    # -- facts -------------------------------------------------------------------------------------

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

    @contextlib.contextmanager
    def past(self, before: bytes | None) -> Iterator[Connection]:
        """A read-only connection to the image as it was just before a transaction (None: as it is)."""
        manager = transaction.TransactionManager()
        connection = self._db.open(manager, before=before)
        try:
            yield connection
        finally:
            manager.abort()
            if connection._cache.cache_non_ghost_count > PAST_KEPT:  # somebody walked over much of the image
                connection.cacheMinimize()
            connection.close()

    def facts(self) -> dict[str, Any]:
        """Sizes and counters, read without a turn."""
        return {
            "directory": str(self.directory),
            **self.place.facts(),
            "cached": self._db.cacheSize(),
            "commits": self.commits,
            "aborts": self.aborts,
            "waiting": self.waiting,
            "free_bytes": shutil.disk_usage(self.directory).free,
        }


def describe(
    current: transaction.Transaction,
    messages: list[tuple[str, str, str | None]],
    seconds: float | None = None,
) -> None:
    """Write into the transaction's metadata what it was for; a shared commit lists its messages."""
    whys = [why for why, _, _ in messages]
    current.note("; ".join(whys[:8]) + (f"; and {len(whys) - 8} more" if len(whys) > 8 else ""))
    current.setUser(messages[0][1] if len({who for _, who, _ in messages}) == 1 else "several")
    missions = [mission for _, _, mission in messages if mission]
    if missions:
        current.setExtendedInfo("mission", missions[0])
    if seconds is not None:
        current.setExtendedInfo("seconds", round(seconds, 3))
