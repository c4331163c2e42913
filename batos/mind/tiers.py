"""The tiers as live objects: what is in VRAM, in RAM and on the disk can be asked by messages.

    memory_manager_obj    activate_expert_(name), pin_expert_(name), unpin_expert_(name), prefetch_(names), tiers()
    vram_manifest_obj     residents(), ledger(): what is hot, and every byte of the mind's budget by what takes it
    ram_cache_obj         residents(), ledger(): what is warm, and how much of it there may be
    nvme_repository_obj   residents(), ledger(): every expert of the mind in use, in their blobs

The numbers belong to the running mind; nothing of them is kept in the image.  `use` says which mind runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from batos import errors
from batos.mind import experts
from batos.objects.genesis import add_primitives, child
from batos.objects.lookup import elsewhere
from batos.objects.method import Method, primitive
from batos.objects.weight import shortly

_running: tuple[Any, Any] | None = None  # the image and the mind that thinks for it


def use(image: Any, mind: Any) -> None:
    """Whom the tiers are asked of, from now on."""
    global _running
    _running = (image, mind)


def birth(root: Any) -> None:
    """The objects of the tiers, with the words to ask them."""
    words = {
        "vram_manifest_obj": {"residents": "hot_residents", "ledger": "hot_ledger"},
        "ram_cache_obj": {"residents": "warm_residents", "ledger": "warm_ledger"},
        "nvme_repository_obj": {"residents": "cold_residents", "ledger": "cold_ledger"},
    }
    for name, selectors in words.items():
        obj = child(root, name)
        for selector, function in selectors.items():
            if obj._method(selector) is None:
                obj._install(Method(selector, primitive=function))
    manager = child(root, "memory_manager_obj")
    add_primitives(manager, "activate_expert_", "tiers", "pin_expert_", "unpin_expert_", "prefetch_")


def _ask(question: Callable[[Any], Any]) -> None:
    if _running is None:
        raise errors.NobodyAwake("this needs the awake image: the mind lives outside its objects")
    elsewhere(lambda: question(_running[1]))


def _told(mind: Any, *path: str) -> Any:
    """A part of what the mind tells of itself, loaded for it if need be."""
    mind.ready()
    told = mind.describe()
    for name in path:
        if name not in told:
            raise errors.NoMind(
                f"this mind ({told.get('model_id')}, {told.get('state')}) keeps no tiers in this process",
                hint="python -m batos doctor",
            )
        told = told[name]
    return told


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise errors.WrongArguments(f"an expert is named by a text, not {shortly(name)}")
    return name


@primitive
def activate_expert_(self, name):
    """Bring an expert into the hot tier; true, or false if there is none of that name."""
    wanted = _name(name)
    _ask(lambda mind: mind.activate(wanted))


@primitive
def tiers(self):
    """Which expert is in which tier, and what a swap has cost."""
    _ask(lambda mind: mind.describe())


@primitive
def pin_expert_(self, name):
    """Bring an expert into the hot tier and keep it there; true, or false if there is none of that name."""
    wanted = _name(name)
    _ask(lambda mind: mind.pin(wanted))


@primitive
def unpin_expert_(self, name):
    """Let an expert be evicted again; true, or false if it was not pinned."""
    wanted = _name(name)
    _ask(lambda mind: mind.unpin(wanted))


@primitive
def prefetch_(self, names):
    """Warm the experts that will be needed, in the background."""
    wanted = [_name(name) for name in names]

    def ask(mind):
        mind.prefetch(wanted)
        return wanted

    _ask(ask)


@primitive
def hot_residents(self):
    """The experts in VRAM (in RAM beside the model where there is none), least recently used first."""
    _ask(lambda mind: _told(mind, "experts", "hot"))


@primitive
def hot_ledger(self):
    """Bytes by what takes them, the budget, what is free, and the tokens of context that still fit."""
    _ask(lambda mind: _told(mind, "ledger"))


@primitive
def warm_residents(self):
    """The experts kept in RAM, least recently used first."""
    _ask(lambda mind: _told(mind, "experts", "warm"))


@primitive
def warm_ledger(self):
    """Bytes of experts in RAM, and how many there may be."""

    def ask(mind):
        told = _told(mind, "ledger")
        return {"used": told["warm_in_use"], "budget": told["warm_budget"]}

    _ask(ask)


@primitive
def cold_residents(self):
    """Every expert of the image, in its blob."""
    elsewhere(lambda: [each["name"] for each in experts.experts(_running[0])])


@primitive
def cold_ledger(self):
    """How many experts there are, and their bytes; no blob is read."""

    def ask():
        listed = experts.experts(_running[0])
        return {"experts": len(listed), "bytes": sum(each["bytes"] for each in listed)}

    elsewhere(ask)
