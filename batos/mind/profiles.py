"""Profiles: what a machine can carry, chosen by a look at it and overridden by settings.

Four of them, named after the memory of the card: `cpu`, `6gb`, `8gb`, `24gb`.  A profile says how many
bytes the mind may take, how many experts are hot, whether a base is quantised when it is incarnated, and
which model suits it.  The probe asks the driver and the packages' own words without importing torch, so that
`doctor` stays quick; what is missing is told in a sentence, with the next best road.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from typing import Any

from batos.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Profile:
    """vram_bytes is a hard limit, the CUDA context included; 0 where there is no card.  quantise is "nf4" or
    "": what a base in 16 bits becomes when it is incarnated.  mind is a model that suits, by its hub id."""

    name: str
    vram_bytes: float
    ram_bytes: float
    warm_bytes: float
    hot_slots: int
    quantise: str
    mind: str

    @property
    def budget(self) -> tuple[float, str]:
        """What the ledger of the mind is opened with: bytes, and of what."""
        return (self.vram_bytes, "VRAM") if self.vram_bytes else (self.ram_bytes, "RAM")


PROFILES = {
    each.name: each
    for each in (
        # Without a card every byte read per token costs, so a small model in its own width.
        Profile("cpu", 0, 32e9, 20e9, 4, "", "Qwen/Qwen3-0.6B"),
        Profile("6gb", 6.0e9, 32e9, 20e9, 4, "nf4", "Qwen/Qwen3-4B-Instruct-2507"),
        # 5.70 GB of weights and 84 MB an expert of rank 16: eight leave room for 8,000 tokens of context.
        Profile("8gb", 8.0e9, 32e9, 20e9, 8, "nf4", "meta-llama/Meta-Llama-3.1-8B-Instruct"),
        # The same mind unquantised is 16.1 GB.
        Profile("24gb", 24.0e9, 64e9, 40e9, 16, "", "meta-llama/Meta-Llama-3.1-8B-Instruct"),
    )
}


@dataclass(frozen=True, slots=True)
class Machine:
    """What the probe found.  card is "" without one, torch_cuda whether torch was built for it."""

    card: str
    vram_bytes: int
    ram_bytes: int
    torch_cuda: bool
    bitsandbytes: bool


@cache
def probe() -> Machine:
    """The machine as it is, asked once: a card does not come and go."""
    card, vram = _card()
    return Machine(
        card, vram, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), _torch_cuda(), _has("bitsandbytes")
    )  # fmt: skip


def _card() -> tuple[str, int]:
    """(name, bytes) of the first CUDA device, from the driver itself: no torch, no tool in the path."""
    for library in ("libcuda.so.1", "nvcuda.dll"):
        try:
            cuda = ctypes.CDLL(library)
        except OSError:
            continue
        device, size, name = ctypes.c_int(), ctypes.c_size_t(), ctypes.create_string_buffer(100)
        if (
            cuda.cuInit(0) == 0
            and cuda.cuDeviceGet(ctypes.byref(device), 0) == 0
            and cuda.cuDeviceTotalMem_v2(ctypes.byref(size), device) == 0
        ):
            cuda.cuDeviceGetName(name, 100, device)
            return name.value.decode(errors="replace"), size.value
    return "", 0


def _torch_cuda() -> bool:
    try:
        built = metadata.version("torch")
    except metadata.PackageNotFoundError:
        return False
    return not built.endswith("+cpu")


def _has(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def choose(settings: Any, machine: Machine | None = None) -> Profile:
    """The profile of this machine, or the one the settings name, with what they say of their own.

    Raises `BadRequest` for a profile there is not.
    """
    machine = machine or probe()
    if settings.profile != "auto":
        if settings.profile not in PROFILES:
            raise BadRequest(
                f"there is no profile {settings.profile!r}; there are {', '.join(PROFILES)} and auto",
                hint="set profile in batos.toml",
            )
        chosen = PROFILES[settings.profile]
    elif not machine.card or not machine.torch_cuda:
        chosen = PROFILES["cpu"]
    elif machine.vram_bytes < 7.5e9:
        chosen = PROFILES["6gb"]
    else:
        chosen = PROFILES["8gb" if machine.vram_bytes < 20e9 else "24gb"]
    # A fifth of the memory stays everybody else's.
    ram = min(chosen.ram_bytes, 0.8 * machine.ram_bytes)
    wanted = {
        "ram_bytes": settings.ram_bytes or ram,
        "warm_bytes": settings.warm_bytes or min(chosen.warm_bytes, 0.625 * ram),
        "hot_slots": settings.hot_slots or chosen.hot_slots,
    }
    if chosen.vram_bytes:
        wanted["vram_bytes"] = settings.vram_bytes or chosen.vram_bytes
    quantise = {"auto": chosen.quantise, "none": "", "nf4": "nf4"}.get(settings.quantise)
    if quantise is None:
        raise BadRequest(
            f"quantise is auto, none or nf4, not {settings.quantise!r}", hint="set quantise in batos.toml"
        )
    if quantise and not machine.bitsandbytes:
        quantise = ""
    return replace(chosen, **wanted, quantise=quantise)


def remarks(settings: Any, machine: Machine | None = None) -> list[str]:
    """What stands in the way of a better profile, each with the next best road that is taken instead."""
    machine = machine or probe()
    told = []
    if machine.card and not machine.torch_cuda:
        told.append(
            f"there is a {machine.card}, but this torch was built without CUDA, so the mind runs on the CPU; "
            "install a torch with CUDA, then awaken again"
        )
    wanted = PROFILES.get(settings.profile)
    if wanted and wanted.vram_bytes and not (machine.card and machine.torch_cuda):
        told.append(f"profile {wanted.name} wants a card that torch can use; the mind runs on the CPU")
    profile = choose(settings, machine)
    wants_nf4 = settings.quantise == "nf4" or (
        settings.quantise == "auto" and PROFILES[profile.name].quantise
    )
    if wants_nf4 and not machine.bitsandbytes:
        told.append(
            "bitsandbytes is missing, so a base is kept in 16 bits and what does not fit the card is read from "
            "RAM, layer by layer and slower; install it: scripts/awaken"
        )
    return told
