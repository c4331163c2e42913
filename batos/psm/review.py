"""A person's word over thought: methods that wait to be accepted, and thought that rests.

In `review` mode a mission installs nothing: what it agreed on is proposed and waits here until somebody accepts
it or the image goes to sleep.  Thought is paused by a person's word, which outlives a restart, or by a machine
that runs on its battery; missions that run go on, and new ones are told why they must wait.  Where it shall go on
but disturb nobody, its threads are nice.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from batos.errors import Busy, MissionFailed, NoSuchObject
from batos.image import LivingImage, Root
from batos.psm import complete
from batos.psm.states import Tools

PROPOSALS_KEPT = 100
SUPPLIES = Path("/sys/class/power_supply")  # Linux's


class Review:
    """What one awake image has proposed, and whether it may think.

    rests  on a machine that runs on its battery?
    """

    def __init__(self, image: LivingImage, rests: bool):
        self._image = image
        self._rests = rests
        self._proposed: dict[str, Tools] = {}

    def propose(self, at: Tools) -> MissionFailed:
        """Keep what a mission agreed on until somebody accepts it; answers what whoever waits is told."""
        mission = at.mission
        self._proposed[mission.id] = replace(at, root=None, receiver=None)
        while len(self._proposed) > PROPOSALS_KEPT:
            del self._proposed[next(iter(self._proposed))]
        where = mission.miss.path or mission.miss.oid
        return MissionFailed(
            f"a method {mission.miss.selector!r} is proposed for {where} and waits for your word; "
            "nothing was changed",
            mission=mission.id,
            hint=f"look at it with: python -m batos mission {mission.id}; "
            f"take it with: send kernel accept {mission.id}",
        )

    def accept(self, mission_id: str) -> dict[str, Any]:
        """Install what a mission proposed; answers ``{"to", "send", "source"}``.

        Raises `NoSuchObject` where nothing of that id is proposed, `Conflict` where the object has changed.
        """
        at = self._proposed.get(mission_id)
        if at is None:
            raise NoSuchObject(
                f"no mission {mission_id!r} has proposed anything since the image awoke",
                hint="send the message again, or see what there was: python -m batos missions",
            )
        mission = at.mission

        def install(root: Root) -> None:
            at.root, at.receiver = root, root.by_oid(mission.miss.oid)
            complete.install_method(at)

        self._image.run(f"accepted {mission.miss.selector}", install)
        self._proposed.pop(mission_id, None)
        return {
            "to": mission.miss.path or mission.miss.oid,
            "send": mission.miss.selector,
            "source": at.verdict.source,
        }

    def pause(self, why: str = "somebody wished it") -> None:
        """Open no missions until `resume`, also after a restart; those that run go on."""
        self._image.run("pause thought", lambda root: setattr(root["orchestrator_obj"], "paused", str(why)))

    def resume(self) -> None:
        """Think again."""
        self._image.run("resume thought", lambda root: setattr(root["orchestrator_obj"], "paused", ""))

    def resting(self) -> Busy | None:
        """What whoever wants a thought is told while none may begin; None while one may."""
        why = self._image.run("look whether thought is paused", lambda root: root["orchestrator_obj"].paused)
        if why:
            return Busy(f"thought is paused: {why}", hint="go on with: send kernel resume")
        if self._rests and on_battery(SUPPLIES):
            return Busy(
                "thought is paused: this machine runs on its battery",
                hint="plug it in, or take pause_on_battery out of batos.toml",
            )
        return None


def be_nice(level: int) -> None:
    """Let the calling thread, and those it begins, give way to whatever else the machine does.

    level  of 1 to 19, as `nice` has it; 0 changes nothing.  Only Linux knows the niceness of a single thread.
    """
    thread = threading.get_native_id()
    if sys.platform == "linux" and level > os.getpriority(os.PRIO_PROCESS, thread):
        os.setpriority(os.PRIO_PROCESS, thread, level)


def on_battery(supplies: Path) -> bool:
    """Is there a mains supply, and none that is plugged in?  By Linux's sysfs; False where nobody can say."""
    plugged = []
    for each in supplies.glob("*"):
        with contextlib.suppress(OSError):
            if (each / "type").read_text().strip() in ("Mains", "USB") and (each / "online").exists():
                plugged.append((each / "online").read_text().strip() == "1")
    return bool(plugged) and not any(plugged)
