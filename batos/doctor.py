"""The doctor: looks at everything a user depends on and says what is well, what is not, and what to do.

Each check is a function `(system) -> (state, detail)` with a docstring that names it; states are
``ok``, ``warn`` and ``fail``.  A check never changes anything, and one that breaks is itself a finding.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any

from batos import __version__
from batos.mind import incarnation

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

CHECKS: list[Callable[[Any], tuple[str, str]]] = []


def check(function: Callable[[Any], tuple[str, str]]) -> Callable[[Any], tuple[str, str]]:
    """Add a check."""
    CHECKS.append(function)
    return function


def examine(system: Any) -> list[dict[str, str]]:
    """Every check as `{"check", "state", "detail"}`."""
    told = []
    for each in CHECKS:
        name = each.__doc__.split(":")[0].lower()
        try:
            state, detail = each(system)
        except Exception as exc:  # noqa: BLE001 - a broken check is a finding
            state, detail = "fail", f"the check itself broke: {type(exc).__name__}: {exc}"
        told.append({"check": name, "state": state, "detail": detail})
    return told


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
    bad = system.image.run(
        "doctor reads", lambda root: system.image.unreadable(root, OBJECTS_READ), who="doctor"
    )
    if bad:
        return (
            "fail",
            f"{len(bad)} objects cannot be loaded: {', '.join(bad[:5])}; restore a copy of the image",
        )
    return (
        "ok",
        f"{facts['objects']} objects, {facts['data_bytes'] / 1e6:.1f} MB, blobs {facts['blob_bytes'] / 1e6:.1f} MB",
    )


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
    state = system.mind.state
    if state == "failed":
        return "fail", f"{name}: {system.mind.failure}"
    return "ok", f"{name} ({state}), {checked} files verified"


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
def wall(system: Any) -> tuple[str, str]:
    """Wall: what this machine's kernel enforces around generated code."""
    enforced = system.rehearsal.wall
    told = ", ".join(
        f"{name} {'yes' if value is True else value or 'no'}" for name, value in enforced.items()
    )
    if not enforced.get("seccomp"):
        if system.settings.unwalled:
            return "warn", f"no seccomp, and the settings let generated code run all the same: {told}"
        return "fail", f"no seccomp: generated code is refused ({told})"
    return "ok", told


@check
def door(system: Any) -> tuple[str, str]:
    """Door: who may speak."""
    endpoint = system.settings.endpoint
    if endpoint.startswith("tcp"):
        return (
            "ok",
            f"{endpoint}: every user of this machine is the owner; ipc:// in a folder of your own is yours alone",
        )
    return "ok", f"{endpoint}: whoever can open that file is the owner"
