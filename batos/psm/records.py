"""Records: what an image keeps of its missions, written by turns of their own after each has ended.

A record is the mission told as plain data, under the time it began, so the oldest goes first; what a source said
is taken out of them with the source.  Whether a mission that broke at its commit was kept is asked here, too: the
image knows.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from batos.image import LivingImage, Root
from batos.objects import Dict
from batos.objects.undo_log import unrecorded
from batos.psm import report
from batos.psm.mission import Mission
from batos.psm.retrieving import cited, uncite

KEPT = 1000
FIELDS = (
    "id", "to", "send", "state", "since", "seconds", "sender", "plan", "plans", "proposed", "rounds", "method",
    "why", "states", "answer", "answers", "cost", "confidence", "parent", "children", "words",
)  # fmt: skip
# Of the brief: what was sent.  What the object was then, its history tells.
ASKED = ("args", "kw", "intent", "examples")


def keep(image: LivingImage, mission: Mission, spent: Callable[[Root], None] | None) -> None:
    """Write a mission's record, and by `spent` what it cost, without waiting for it; the oldest records go."""
    told = mission.told()
    asked = {name: told["brief"].get(name) for name in ASKED} if mission.question is None else {}
    asked = json.loads(json.dumps(asked, default=repr))  # an argument may have been an object

    def write(root: Root) -> None:
        if spent is not None:
            spent(root)
        kept = root["orchestrator_obj"].missions
        kept[f"{mission.began:017.6f}-{mission.id}"] = Dict(
            {name: told[name] for name in FIELDS}
            | {"proposals": report.proposals(told), "passages": cited(told["passages"]), "brief": asked}
        )
        while len(kept) > KEPT:
            del kept[kept.minKey()]

    image.submit(f"record of mission {mission.id}", write, who="batos")


def recorded(root: Root, mission_id: str | None = None) -> list[dict[str, Any]]:
    """Records kept in the image, oldest first; only that of `mission_id` if given."""
    kept = root["orchestrator_obj"].missions
    return [dict(each) for each in kept.values() if mission_id is None or each["id"] == mission_id]


def forget(image: LivingImage, sources: set[str]) -> None:
    """Take the passages of sources out of every record."""

    def unsay(root: Root) -> None:
        with unrecorded():  # a change record would keep what is taken out
            uncite(root, sources)

    image.run("forget where it was cited", unsay)


def learned(root: Root, mission: Mission) -> str | None:
    """How the mission's method stands in its receiver, None where it does not."""
    method = root.by_oid(mission.miss.oid)._method(mission.miss.selector)
    installed = method.installed if method is not None else None
    kept = installed is not None and installed.get("mission") == mission.id
    return mission.why or "it was kept" if kept else None
