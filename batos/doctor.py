"""The doctor: looks at everything a user depends on and says what is well, what is not, and what to do.

Each check is a function `(system) -> (state, detail)`, or a list of such pairs, with a docstring that
names it; states are ``ok``, ``warn`` and ``fail``.  A check never changes anything, and one that breaks is
itself a finding.  Checks read on a connection of their own: messages are answered meanwhile.
"""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from batos import __version__
from batos.errors import WrongArguments
from batos.image import Root, digests, retention
from batos.image.backup import last_backup
from batos.keys import kind_of, wants_keys
from batos.mind import incarnation, profiles
from batos.objects.genesis import SCHEMA, offers

OBJECTS_READ = 20_000  # more are sampled, so that the check ends in seconds
PACKAGES = (
    "ZODB",
    "persistent",
    "torch",
    "transformers",
    "peft",
    "llguidance",
    "sentence-transformers",
    "pyzmq",
)

SAID = 10  # findings of a scrub that are told one by one
USES = 6  # uses of the disk that are told, the largest first
BACKUP_DAYS = 7.0  # a backup older than that is remarked on

CHECKS: list[Callable[[Any], Any]] = []


def check(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Add a check."""
    CHECKS.append(function)
    return function


def examine(system: Any, scrub: bool = False) -> list[dict[str, str]]:
    """Every check as `{"check", "state", "detail"}`; `scrub`: also one that reads every byte of the image.

    Raises `BadRequest` where the image is not kept in files, and its server has to be asked for a scrub.
    """
    if not isinstance(scrub, bool):
        raise WrongArguments(f"doctor takes scrub, true or false, not {scrub!r}")
    if scrub:
        system.image.place.only_files("scrub")  # before minutes are spent on the rest
    told = [row for each in CHECKS for row in _rows(each, system)]
    return told + (_rows(scrubbed, system) if scrub else [])


def _rows(each: Callable[[Any], Any], system: Any) -> list[dict[str, str]]:
    name = each.__doc__.split(":")[0].lower()
    try:
        found = each(system)
    except Exception as exc:  # noqa: BLE001 - a broken check is a finding
        found = "fail", f"the check itself broke: {type(exc).__name__}: {exc}"
    rows = [found] if isinstance(found, tuple) else found
    return [{"check": name, "state": state, "detail": detail} for state, detail in rows]


@check
def versions(system: Any) -> tuple[str, str]:
    """Versions: batos, Python and the packages it stands on."""
    found, missing = [f"batos {__version__}", f"Python {platform.python_version()}"], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return "fail", f"missing: {', '.join(missing)}; install with scripts/awaken"
    return ("ok" if sys.version_info >= (3, 11) else "fail"), ", ".join(found)


@check
def image(system: Any) -> tuple[str, str]:
    """Image: every record can be loaded (the first ones of a large image)."""
    facts = system.image.facts()
    with system.image.past(None) as connection:
        bad = system.image.unreadable(Root(connection), OBJECTS_READ)
    if bad:
        return (
            "fail",
            f"{len(bad)} objects cannot be loaded: {', '.join(bad[:5])}; "
            "bring a backup back beside it: python -m batos --image OTHER restore BACKUP",
        )
    return (
        "ok",
        f"{facts['objects']} objects, {facts['data_bytes'] / 1e6:.1f} MB, blobs {facts['blob_bytes'] / 1e6:.1f} MB",
    )


@check
def storage(system: Any) -> list[tuple[str, str]]:
    """Storage: where the image is kept, and what was noticed when it was opened."""
    place = system.image.place
    if place.shared:
        return [("ok", f"{place.uri}, shared with other processes; its server keeps its backups")]
    noticed = place.storage.damage
    return [("warn", f"{words}; `doctor --scrub` looks at every byte") for words in noticed] or [
        ("ok", f"files in {place.uri}, one process at a time; every transaction and blob has its digest")
    ]


@check
def schema(system: Any) -> tuple[str, str]:
    """Schema: the form in which objects are written."""
    with system.image.past(None) as connection:
        number = connection.root()["batos"]["schema"]
    if number != SCHEMA:  # a shared image, which a newer batos is bringing to its own schema
        return "warn", f"{number}, and this batos writes {SCHEMA}: awaken it with the newer batos alone"
    return "ok", f"{number}, the one this batos writes"


@check
def usage(system: Any) -> list[tuple[str, str]]:
    """Disk use: what the bytes of the image's folder are, the largest first."""
    found = retention.explain_disk(system.image, system.settings.history_days)
    told = [("ok", _use(each)) for each in found[:USES]]
    rest = sum(each["bytes"] for each in found[USES:])
    return told + ([("ok", f"{_megabytes(rest)}  {len(found) - USES} other things")] if rest else [])


def _use(each: dict[str, Any]) -> str:
    count = "" if each["count"] is None else f" ({each['count']:,})"
    return f"{_megabytes(each['bytes'])}  {each['what']}{count}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:9.2f} MB"


def scrubbed(system: Any) -> list[tuple[str, str]]:
    """Scrub: every byte of the image against the digest it was written with."""
    return _scrubbed(system.image.scrub())


def scrub_files(directory: Path) -> list[dict[str, str]]:
    """The same of the files of an image that sleeps in `directory`, which are not opened as an image."""

    def scrubbed(directory: Path) -> list[tuple[str, str]]:
        """Scrub: the files of an image that sleeps."""
        return _scrubbed(digests.scrub(directory))

    return _rows(scrubbed, directory)


def _scrubbed(run: digests.Scrub) -> list[tuple[str, str]]:
    findings = list(run)
    told = [("fail", str(each)) for each in findings[:SAID]]
    if len(findings) > SAID:
        told.append(("fail", f"and {len(findings) - SAID} more"))
    read = (
        f"{run.transactions:,} transactions and {run.blobs:,} blobs, {run.bytes / 1e6:.1f} MB "
        f"in {run.seconds:.1f} s"
    )
    notes = [("ok", each) for each in run.notes]
    return [*told, *notes, ("fail" if findings else "ok", f"{len(findings)} findings in {read}")]


@check
def backups(system: Any) -> tuple[str, str]:
    """Backup: when the last one was made."""
    if system.image.place.shared:
        return "ok", "its server keeps them"
    told = last_backup(system.settings.image)
    if told is None:
        return "warn", "there is none yet: python -m batos backup DIR"
    days = (time.time() - told["time"]) / 86_400
    where = f"{told['directory']}, up to the transaction {told['to_tid']}, {days:.1f} days ago"
    lacking = [f"{told[name]} blobs {name}" for name in ("damaged", "missing") if told[name]]
    if lacking or days > BACKUP_DAYS:
        again = f"again: python -m batos backup {told['directory']}"
        return "warn", "; ".join([where, *lacking, again])
    return "ok", where


@check
def shipped(system: Any) -> tuple[str, str]:
    """Shipped texts: newer ones than those you edited."""
    with system.image.past(None) as connection:
        found = offers(Root(connection))
        told = ", ".join(f"{each['object']} {each['slot']}" for each in found)
    if not found:
        return "ok", "what batos ships is as this edition ships it, or as you want it"
    return "warn", f"newer ones wait: {told}; take one with: python -m batos send kernel take OBJECT SLOT"


@check
def disk(system: Any) -> tuple[str, str]:
    """Disk: room for what comes."""
    free = shutil.disk_usage(system.settings.image).free
    reserve = system.settings.disk_reserve_bytes
    if free < reserve:
        return (
            "fail",
            f"{free / 1e6:.0f} MB free, less than the reserve of {reserve / 1e6:.0f} MB: nothing can be changed",
        )
    if free < 10 * reserve:
        return "warn", f"only {free / 1e6:.0f} MB free"
    return "ok", f"{free / 1e9:.1f} GB free"


@check
def journal(system: Any) -> tuple[str, str]:
    """Journal: failures can be remembered."""
    path = system.journal.path
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        return "fail", f"{path} cannot be written"
    return "ok", f"{path}, {path.stat().st_size / 1e6:.2f} MB" if path.exists() else f"{path}, not begun"


@check
def mind(system: Any) -> tuple[str, str]:
    """Mind: the model's blobs are what was ingested."""
    name = incarnation.model_id(system.image)
    if name is None:
        return "fail", "the image has no mind; awaken it once"
    damaged, checked = [], 0
    for _, damage in incarnation.scrub(system.image):
        checked += 1
        if damage is not None:
            damaged.append(f"{damage}; {damage.hint}")
    if damaged:
        return "fail", " ".join(damaged[:3])
    told = f"{name}, {checked} files verified"
    if system.settings.mind_url:
        told = f"{system.settings.mind_url} thinks ({told}, rests)"
        system.mind.ready()
    state = system.mind.state
    if state == "failed":
        return "fail", f"{told}: {system.mind.failure}"
    return "ok", f"{told} ({state})"


@check
def profile(system: Any) -> list[tuple[str, str]]:
    """Profile: what the mind may take of this machine, and what stands in the way of more."""
    machine, chosen = profiles.probe(), profiles.choose(system.settings)
    budget, device = chosen.budget
    how = "chosen by a look at the machine" if system.settings.profile == "auto" else "as the settings say"
    card = f"{machine.card}, {machine.vram_bytes / 1e9:.1f} GB" if machine.card else "no card"
    told = (
        f"{chosen.name} ({how}): {budget / 1e9:.1f} GB {device} for the mind, {chosen.hot_slots} experts hot, "
        f"{chosen.warm_bytes / 1e9:.1f} GB of them warm; {card}, {machine.ram_bytes / 1e9:.1f} GB RAM; a model that "
        f"suits it: {chosen.mind}"
    )
    return [("ok", told)] + [("warn", words) for words in profiles.remarks(system.settings)]


@check
def experts(system: Any) -> tuple[str, str]:
    """Experts: the personas' adapters."""
    found = system.experts()
    if not found:
        return "warn", "no experts in the image; stage some: python -m batos experts --stage PATH"
    return "ok", ", ".join(f"{each['name']} ({each['tier']})" for each in found)


@check
def embedder(system: Any) -> tuple[str, str]:
    """Embedder: how the fractal memory compares meanings."""
    found = system.memory.embedder
    if not found.semantic:
        return "warn", f"{found.name}: words only, because the package with the sentence model is missing"
    return "ok", f"{found.name} ({'loaded' if found.loaded else 'not loaded yet'})"


@check
def wall(system: Any) -> list[tuple[str, str]]:
    """Wall: what this machine enforces around generated code, found by trying."""
    held = system.rehearsal.wall
    allowed = system.settings.unwalled
    told = []
    if held["tier"] == "portable":
        told.append(
            ("warn" if allowed else "fail", "separate interpreters under limits, no wall: "
             + ("the settings let generated code run all the same" if allowed else
                "generated code is refused, unless batos.toml says `unwalled = true`"))
        )  # fmt: skip
        told.append(
            ("warn", "not held by this tier: files, network, and signals to processes of the same user; the "
             "restricted language and an audit hook stand before them, and no kernel behind"),
        )  # fmt: skip
    elif held["seccomp"]:
        told.append(("ok", "seccomp: a trial computes and answers; no other system call passes, as root too"))
    else:
        then = "the settings let generated code run all the same" if allowed else "generated code is refused"
        told.append(("warn" if allowed else "fail", f"no seccomp in this kernel: {then}"))
    if held["tier"] == "kernel":
        told.append(
            ("ok", f"Landlock, {held['landlock']}: no files, and where this kernel's can, no TCP, no signals")
            if held["landlock"]
            else ("warn", "no Landlock in this kernel: seccomp alone keeps files and network away")
        )
    told.append(
        ("ok", "limits of CPU time, memory, processes and files hold")
        if held["rlimits"]
        else ("warn", "limits of memory are not held on this system: a trial is ended by its deadline alone")
    )
    told.append(
        ("warn", "batos is root and may not change users here, so trials are root; run it as another user")
        if held["user"] == "root"
        else ("ok", f"trials run as {held['user'] if held['user'] == 'nobody' else 'the user of batos'}")
    )
    return told


@check
def door(system: Any) -> tuple[str, str]:
    """Door: who may speak."""
    endpoint = system.settings.endpoint
    kind = kind_of(endpoint)
    if kind == "file":
        return "ok", f"{endpoint}: whoever may enter its folder, which is its owner's alone, is the owner"
    if wants_keys(system.settings):
        if not system.keys.ready():
            return "fail", f"{endpoint} asks for keys and there is no server key: python -m batos keys --server"
        return "ok", f"{endpoint}: only who has a key, and the owner by the one in {system.keys.folder}"
    others = strangers()
    told = (
        f"{endpoint}: plain TCP on the loopback interface; no network reaches it, but every user and program of "
        f"this machine may speak, and whoever speaks is the owner"
    )
    advice = (
        "serve a file instead, which is yours alone (--endpoint ipc:///FOLDER/OF/YOURS/batos), or ask for keys "
        "(`curve = true` in batos.toml)"
    )
    if others:
        return "warn", f"{told}; {len(others)} other users can log in here: {advice}"
    return "ok", f"{told}; nobody else can log in here now; on a machine with other users {advice}"


@check
def folder(system: Any) -> list[tuple[str, str]]:
    """Folder: who else may read the image's files and its secrets."""
    told = []
    directory = system.settings.image
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & 0o077 and strangers():
        told.append(("warn", f"{directory} has mode {mode:o}, others may look in: chmod 700 {directory}"))
    else:
        told.append(("ok", f"{directory} has mode {mode:o}"))
    secrets = system.keys.folder
    for path in [secrets, *secrets.glob("*")] if secrets.is_dir() else []:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            told.append(("fail", f"{path} has mode {mode:o}, and whoever reads it is the owner: chmod go= {path}"))
    return told


@check
def keys(system: Any) -> list[tuple[str, str]]:
    """Keys: who has one, what it may, and when it spoke last."""
    told = []
    for key in system.keys.told():
        seen = key["last_seen"]
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(seen)) if seen else "never"
        may = ", ".join(map(str, key["may"])) or "nothing"
        everything = any(entry.split()[:1] == ["*"] for entry in key["may"] if isinstance(entry, str))
        told.append(("warn" if everything else "ok", f"{key['name']}: may {may}; spoke last {when}"))
    return told or [("ok", "none: only the owner speaks")]


def strangers() -> set[int]:
    """The other users of this machine who can log in; nobody where that cannot be known."""
    try:
        import pwd
    except ImportError:  # not a Unix
        return set()
    shells = ("nologin", "false", "sync", "halt", "shutdown")
    found = (user for user in pwd.getpwall() if 1000 <= user.pw_uid < 65_000)
    return {user.pw_uid for user in found if Path(user.pw_shell).name not in shells} - {os.geteuid()}
