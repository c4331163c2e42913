"""Growing old well: what is let go by rule, when a pack pays, and what the bytes of an image are.

`tend` is what the heartbeat calls at night, `ByDay` what it calls in between.  It looks for what is over the
limits of the settings on a connection of its own, and takes it out in turns of a few milliseconds, so that a
message waits for one of them at most.  `explain_disk` says what the bytes in DIR are; `due_pack` says, from
the numbers of a `survey`, whether a pack would pay.

A survey reads the data file once from end to end and needs 20 bytes of memory an object.  An estimate from
counters would cost nothing, but it cannot tell a counter that was written a million times from a million
objects, which is the whole question.

Nothing here decides what a person may look at: what is installed, offered or among the newest stays.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import stat
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from persistent import Persistent
from persistent.TimeStamp import TimeStamp
from ZODB.blob import Blob
from ZODB.Connection import Connection
from ZODB.utils import get_pickle_metadata, p64, u64

from batos.errors import BatosError
from batos.image.digests import BLOBS, DATA, FIRST, RECORD, Broken, Whole, Window, records, whole_at
from batos.image.packing import give_back_memory
from batos.image.schema import current_records
from batos.objects.genesis import newest_shipped
from batos.objects.method import CHAPTER, Chapter, Method, Version

log = logging.getLogger(__name__)

IDEM_SECONDS = 7 * 24 * 3600.0  # the contract's word, and so no setting
DAY = 24 * 3600.0
SLICE = 0.008  # seconds of work in one turn; with its commit under 20 ms
PAUSE = 0.001  # between two turns, and between two stretches of a survey: others have work to do
STRETCH = 0.002  # seconds a survey reads before it pauses
FAR = 1 << 24  # objects are numbered one after another; a number so far ahead is none
TENDER = "batos"  # who lets go: upkeep, which has no change records of its own
METHOD = f"{Method.__module__}.{Method.__name__}"
CHAPTERED = f"c{Chapter.__module__}\n{Chapter.__name__}\n".encode()  # in the record of one with chapters


# -- a survey of the data file -----------------------------------------------------------------------------


@dataclass(slots=True)
class Survey:
    """What stands in a data file, in bytes.

    data      the whole file
    live      records that are an object's newest, by ``module.Class``: [bytes, records]
    past      records that are not: what `at` looks at
    packable  of those, records that were replaced before the history that is kept begins
    frames    transactions' own headers, with their descriptions
    unread    where the file is damaged
    settled   the part of the file that a pack has written
    old       the end of what is older than the history that is kept
    versions  oids of methods that may have more versions than were asked for
    """

    data: int = 0
    live: dict[str, list[int]] = field(default_factory=dict)
    past: int = 0
    packable: int = 0
    frames: int = 0
    unread: int = 0
    settled: int = 0
    old: int = FIRST
    versions: list[bytes] = field(default_factory=list)


def survey(storage: Any, before: float, many_versions: int = 0) -> Survey:
    """Read an open file storage's data file through.  Not on the image thread.

    before         seconds since the epoch: where the history begins that a pack would keep
    many_versions  methods that may have more versions than that are listed; 0: none
    """
    told, limit = Survey(), _tid_at(before)
    # Per object, by its number: size of its newest record, and which class that is of; 0 for none.
    sizes, kinds = array("Q", [0]), array("H", [0])
    names: list[str] = [""]
    numbers: dict[bytes, int] = {}
    many: set[int] = set()
    with storage.reading() as (file, end, _):
        told.data, window, at, pause = end, Window(file.fileno(), end), FIRST, time.monotonic() + STRETCH
        while at < end and (txn := whole_at(window, at)) is not None:
            in_records = 0
            for oid, offset, length in _records(txn):
                number, size = u64(oid), RECORD.size + (length or 8)
                in_records += size
                if number >= len(sizes):
                    if number > len(sizes) + FAR:
                        continue  # no image numbers its objects so: a damaged record, which a scrub tells
                    more = number + 1024 - len(sizes)
                    sizes.frombytes(bytes(sizes.itemsize * more))
                    kinds.frombytes(bytes(kinds.itemsize * more))
                if sizes[number]:
                    told.past += sizes[number]
                    if txn.tid <= limit:
                        told.packable += sizes[number]
                sizes[number] = size
                if length:
                    data = offset + RECORD.size
                    head = txn.view[data : data + min(length, 160)].tobytes()
                    # The names of module and class are the first two lines of a record of our time.
                    key = b"\n".join(head.split(b"\n", 2)[:2])
                    kind = numbers.get(key)
                    if kind is None:
                        kind = _kind_of(txn.view[data : data + length].tobytes(), names)
                        if len(numbers) < 60_000:
                            numbers[key] = kind
                    kinds[number] = kind
                    if many_versions and names[kind] == METHOD:
                        record = txn.view[data : data + length].tobytes()
                        if many_versions < CHAPTER or CHAPTERED in record:
                            many.add(number)
                        else:
                            many.discard(number)
                if time.monotonic() > pause:
                    time.sleep(PAUSE)
                    pause = time.monotonic() + STRETCH
            told.frames += txn.length - in_records
            at = txn.end
            if txn.status == b"p":
                told.settled = at
            if txn.tid <= limit:
                told.old = at
    told.frames += FIRST
    told.unread = end - at
    told.versions = [p64(number) for number in sorted(many) if sizes[number]]
    for number, size in enumerate(sizes):
        if size:
            name = names[kinds[number]]
            both = told.live.setdefault(name, [0, 0])
            both[0] += size
            both[1] += 1
    return told


def _records(txn: Whole) -> Iterator[tuple[bytes, int, int]]:
    """The records of a transaction, as far as they add up; what does not is for a scrub to tell."""
    with contextlib.suppress(Broken):
        yield from records(txn)


def _kind_of(data: bytes, names: list[str]) -> int:
    """The number of a record's class in `names`, where it is added."""
    name = ".".join(get_pickle_metadata(data))
    if name not in names:
        names.append(name)
    return min(names.index(name), 65535)


def _tid_at(when: float) -> bytes:
    year, month, day, hour, minute, second, *_ = time.gmtime(max(when, 0.0))
    return TimeStamp(year, month, day, hour, minute, second + max(when, 0.0) % 1).raw()


# -- does a pack pay? ----------------------------------------------------------------------------------------


def due_pack(facts: dict[str, Any], settings: Any) -> str | None:
    """Why a pack pays now, in a sentence, or None.

    facts  data_bytes, packable_bytes (replaced before the history that is kept begins), settled_bytes
           (written by the last pack), old_bytes (the end of what is older than that history), blob_bytes
           (replaced as long ago), free_bytes

    It pays where it frees `pack_share` of the file, and where what is old enough and was never packed is as
    much as the last pack left: then what nobody can reach any more, which no survey sees, is looked for, at a
    price that grows with the file no faster than the file itself did.
    """
    data, free = facts["data_bytes"], facts["free_bytes"]
    if free < data + settings.disk_reserve_bytes:
        return None  # a pack needs room for a copy
    everything = data + facts["blob_bytes"]
    if everything < settings.pack_bytes:
        return None
    freed = facts["packable_bytes"] + facts["blob_bytes"]
    if freed >= settings.pack_share * everything:
        return f"{freed / 1e6:.1f} MB of {everything / 1e6:.1f} MB are of a past that is kept no longer"
    grown, left = facts["old_bytes"] - facts["settled_bytes"], facts["settled_bytes"]
    if grown >= max(left, settings.pack_bytes):
        return f"{grown / 1e6:.1f} MB were written since the last pack, which left {left / 1e6:.1f} MB"
    return None


# -- what the bytes are --------------------------------------------------------------------------------------

# The first prefix that fits a class says what its records are.
SORTS = (
    ("batos.objects.method.", "methods and their versions"),
    ("batos.image.changes.", "change records"),
    ("batos.knowledge.", "documents and their passages"),
    ("zope.index.", "documents and their passages"),
    ("batos.autotelic.", "metrics"),
    ("batos.image.trees.", "indexes: trees of documents, records and metrics"),
    ("BTrees.", "indexes: trees of documents, records and metrics"),
    ("", "objects"),
)


def explain_disk(image: Any, days: float = 0.0) -> list[dict[str, Any]]:
    """What the bytes of an image's folder are, largest first: `{"what", "bytes", "count"}`, with None where
    there is nothing to count.  They add up to the folder.  Reads all of it: not on the image thread.

    days  of history that a pack would keep
    """
    rows: dict[str, list[int | None]] = {}

    def say(what: str, size: int, count: int | None = None) -> None:
        row = rows.setdefault(what, [0, None])
        row[0] += size
        if count is not None:
            row[1] = (row[1] or 0) + count

    storage = image.place.storage
    if hasattr(storage, "reading"):
        found = survey(storage, time.time() - days * DAY)
        for name, (size, count) in found.live.items():
            say(next(sort for prefix, sort in SORTS if name.startswith(prefix)), size, count)
        say("history: what was replaced since, for `at`", found.past - found.packable)
        say("history that the next pack lets go", found.packable)
        say("transactions: who, when, why", found.frames)
        say("damaged: look with doctor --scrub", found.unread)
        folder = Path(storage.getName()).parent
        for owner, size in _blobs(image, folder / BLOBS):
            say(owner, size, 1)
        for each in folder.iterdir():
            if each.name == DATA:
                say("written while this was counted", max(each.stat().st_size - found.data, 0))
            elif each.is_file() and each.name.startswith(DATA):
                say(f"beside the data: {each.name.removeprefix(DATA)}", each.stat().st_size)
    for what, size in _beside(image.directory):
        say(what, size)
    ranked = sorted(rows.items(), key=lambda row: -(row[1][0] or 0))
    return [{"what": what, "bytes": size, "count": count} for what, (size, count) in ranked if size]


def _beside(directory: Path) -> Iterator[tuple[str, int]]:
    """(what it is, bytes) of each file of an image's folder that is neither data nor blob.

    A link takes no room: the mind is loaded through links to its blobs, which go again at any moment.
    """
    for folder, folders, names in os.walk(directory):
        if Path(folder) == directory:
            folders[:] = [each for each in folders if not each.startswith(DATA)]
            names = [each for each in names if not each.startswith(DATA)]
        for name in names:
            path = Path(folder, name)
            inside = path.relative_to(directory).parts[0]
            with contextlib.suppress(FileNotFoundError):
                told = path.lstat()
                if stat.S_ISREG(told.st_mode):
                    yield (
                        "journal" if inside.startswith("metacognition") else f"other: {inside}",
                        told.st_size,
                    )


def _blobs(image: Any, folder: Path) -> Iterator[tuple[str, int]]:
    """(whose it is, bytes) of each blob file."""
    if not folder.is_dir():
        return
    owners: dict[str, str] = {}
    helper = image.place.storage.fshelper
    with image.past(None) as connection:
        for owner, blob in _owned_blobs(connection):
            if blob._p_oid is not None:
                owners[os.path.relpath(helper.getPathForOID(blob._p_oid), helper.base_dir)] = owner
    newest: dict[Path, Path] = {}
    files = [each for each in folder.rglob("*.blob") if each.is_file()]
    for each in files:
        newest[each.parent] = max(newest.get(each.parent, each), each)  # names are tids of one length
    for each in files:
        with contextlib.suppress(FileNotFoundError):  # a pack took it meanwhile
            size = each.stat().st_size
            owner = owners.get(os.path.relpath(each.parent, folder), "blobs of other objects")
            yield owner if newest[each.parent] == each else "blobs of the past", size


def _owned_blobs(connection: Connection) -> Iterator[tuple[str, Blob]]:
    core = connection.root().get("pLLM_obj")
    if core is None:
        return
    for mind in (core, *core._slots.get("minds", {}).values()):  # the one that thinks, and those that rest
        for slot, name, owner in (
            ("files", "blob", "blobs of the mind"),
            ("lora_repository", "model_blob", "blobs of experts"),
        ):
            for proxy in mind._slots.get(slot, {}).values():
                blob = proxy._slots.get(name)
                if isinstance(blob, Blob):
                    yield owner, blob


# -- letting go ----------------------------------------------------------------------------------------------


def tend(
    image: Any,
    settings: Any,
    journal: Any = None,
    now: float | None = None,
    packed: Callable[[float], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Let go what is over the limits, then pack if that pays.  From the heartbeat's thread, not the image's.

    packed  `packed(days)` packs; by default the image does

    Answers how much went: `{"idempotency", "changes", "missions", "versions"}` as numbers, `"journal"` in
    bytes, `"pack"`: why and what, or None.  What fails is told under `"failed"`, and the rest is done.
    """
    now = time.time() if now is None else now
    told: dict[str, Any] = {"failed": {}}
    storage = image.place.storage
    changes, missions = now - settings.changes_days * DAY, now - settings.missions_days * DAY
    history, kept = now - settings.history_days * DAY, settings.versions_kept
    found = survey(storage, history, kept) if hasattr(storage, "reading") else None
    for name, step in (
        ("idempotency", partial(_forget_keys, image, now - IDEM_SECONDS)),
        ("changes", partial(_forget_changes, image, changes, settings.changes_kept)),
        ("missions", partial(_forget_missions, image, missions, settings.missions_kept)),
        ("versions", partial(_forget_versions, image, found, kept)),
        ("journal", partial(_rotate, journal, settings, now)),
        ("pack", partial(_pack_if_due, image, settings, found, history, packed or image.pack)),
    ):
        try:
            told[name] = step()
        except (BatosError, OSError) as exc:
            log.warning("tending %s failed: %s", name, exc)
            told["failed"][name] = str(exc)
    give_back_memory()
    return told


class ByDay:
    """What cannot wait for the night: change records beyond their number, a quarter of it at a time.

    Call it every minute or so, from the heartbeat's thread.  A busy day would leave the night millions.
    """

    def __init__(self, image: Any, settings: Any):
        self._image = image
        self._settings = settings
        self._looked = image.commits  # when it was looked for last; no commit has more than one

    def __call__(self) -> int:
        """Let go what is over; answers how many."""
        if self._image.commits - self._looked < self._settings.changes_kept / 4:
            return 0
        self._looked = self._image.commits
        before = time.time() - self._settings.changes_days * DAY
        try:
            return _forget_changes(self._image, before, self._settings.changes_kept)
        except (BatosError, OSError) as exc:
            log.warning("tending changes failed: %s", exc)
            return 0


def _in_turns(image: Any, why: str, things: Sequence[Any], let_go: Callable[[Any, Any], None]) -> int:
    """`let_go(root, thing)` for each thing, in turns of a few milliseconds; answers how many there were."""
    at = 0

    def some(root: Any) -> int:
        # Begins at `at` whenever it is run: a turn may be run again.
        done, end = at, time.monotonic() + SLICE
        while done < len(things) and (done == at or time.monotonic() < end):
            let_go(root, things[done])
            done += 1
        return done

    while at < len(things):
        at = image.run(why, some, TENDER)
        time.sleep(PAUSE)
    return len(things)


@contextlib.contextmanager
def _looking(image: Any) -> Iterator[Any]:
    """The root of the image as it is now, on a connection of its own."""
    with image.past(None) as connection:
        yield connection.root()


def _keys(tree: Any, *bounds: Any) -> Iterator[Any]:
    """The keys of a tree, patiently, and without keeping what was read."""
    pause = time.monotonic() + STRETCH
    for key in tree.keys(*bounds):
        yield key
        if time.monotonic() > pause:
            tree._p_jar.cacheMinimize()
            time.sleep(PAUSE)
            pause = time.monotonic() + STRETCH


def _forget_keys(image: Any, before: float) -> int:
    with _looking(image) as names:
        records = names.get("idempotency")
        old = [] if records is None else [key for key in _keys(records) if records[key]["time"] < before]

    def let_go(root: Any, key: str) -> None:
        records = root.connection.root()["idempotency"]
        if key in records and records[key]["time"] < before:
            del records[key]

    return _in_turns(image, "idempotency records that are old enough", old, let_go)


def _forget_changes(image: Any, before: float, kept: int) -> int:
    with _looking(image) as names:
        tree = names.get("changes")
        if not tree:
            return 0
        moments = list(_keys(tree))
    by_age = int(before * 1_000_000) << 10  # see `changes.Moments`
    over = max(len(moments) - kept, 0)
    old = moments[:over] + [each for each in moments[over:] if each < by_age]

    def let_go(root: Any, moment: int) -> None:
        names = root.connection.root()
        names["changes"].pop(moment, None)
        for place in list(names["undone"].keys((moment, 0), (moment + 1, 0))) if "undone" in names else ():
            names["undone"].remove(place)

    return _in_turns(image, "change records that are old enough", old, let_go)


def _forget_missions(image: Any, before: float, kept: int) -> int:
    with _looking(image) as names:
        if "orchestrator_obj" not in names:
            return 0
        records = names["orchestrator_obj"].missions
        keys = list(_keys(records))
    over = max(len(keys) - kept, 0)
    old = keys[:over] + [each for each in keys[over:] if float(each.split("-")[0]) < before]

    def let_go(root: Any, key: str) -> None:
        root["orchestrator_obj"].missions.pop(key, None)

    return _in_turns(image, "missions that are old enough", old, let_go)


def _forget_versions(image: Any, found: Survey | None, kept: int) -> int:
    """The oldest versions of methods: never the installed one, never what batos shipped last."""
    if found is not None:
        methods = found.versions
    else:  # a storage that is no file: its methods are looked up one by one
        everything = current_records(image.place.storage)
        methods = [oid for oid, data in everything if ".".join(get_pickle_metadata(data)) == METHOD]
    with image.past(None) as connection:
        over = []
        for oid in methods:
            with contextlib.suppress(KeyError):  # nobody can reach it, and a pack took it
                method = connection.get(oid)
                if len(method.versions) > len(_versions_kept(method, kept)):
                    over.append((oid, len(method.versions)))
            connection.cacheGC()
    gone = 0

    def let_go(root: Any, which: tuple[bytes, int]) -> None:
        nonlocal gone
        method = root.connection.get(which[0])
        newest = _versions_kept(method, kept)
        gone += len(method.versions) - len(newest)
        method.keep_versions(newest, noted=False)  # else it would live on in a before-image
        left = {each["version"] for each in newest}
        if not left.issuperset(method.probation):
            kept_facts = {number: told for number, told in method.probation.items() if number in left}
            Persistent.__setattr__(method, "probation", kept_facts)

    _in_turns(image, "versions of methods beyond the limit", over, let_go)
    return gone


def _versions_kept(method: Method, kept: int) -> tuple[Version, ...]:
    newest = {each["version"] for each in method.versions[-kept:]} | {method.current, newest_shipped(method)}
    return tuple(each for each in method.versions if each["version"] in newest)


def _rotate(journal: Any, settings: Any, now: float) -> int:
    if journal is None:
        return 0
    return journal.rotate(settings.journal_bytes, now - settings.journal_days * DAY)


def _pack_if_due(
    image: Any,
    settings: Any,
    found: Survey | None,
    before: float,
    packed: Callable[[float], dict[str, Any]],
) -> dict[str, Any] | None:
    if found is None:
        return None  # whoever keeps that storage packs it
    why = due_pack(pack_facts(image, found, before), settings)
    if why is None:
        return None
    log.info("the image is packed: %s", why)
    return {"why": why, **packed(settings.history_days)}


def pack_facts(image: Any, found: Survey, before: float) -> dict[str, Any]:
    """The numbers `due_pack` judges, from a survey with the same `before`."""
    return {
        "data_bytes": found.data,
        "packable_bytes": found.packable,
        "settled_bytes": found.settled,
        "old_bytes": found.old,
        "blob_bytes": _old_blob_bytes(Path(image.place.storage.getName()).parent / BLOBS, _tid_at(before)),
        "free_bytes": shutil.disk_usage(image.directory).free,
    }


def _old_blob_bytes(folder: Path, limit: bytes) -> int:
    """Bytes of blob files that were replaced before the history that is kept begins."""
    if not folder.is_dir():
        return 0
    of_object: dict[Path, list[Path]] = {}
    for each in folder.rglob("*.blob"):
        of_object.setdefault(each.parent, []).append(each)
    old = 0
    for files in of_object.values():
        files.sort()
        for each, replaced_by in pairwise(files):
            if bytes.fromhex(replaced_by.stem.removeprefix("0x")) <= limit:
                with contextlib.suppress(FileNotFoundError):
                    old += each.stat().st_size
    return old
