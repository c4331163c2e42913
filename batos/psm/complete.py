"""COMPLETE: the method is installed.  Entry: a passing verdict.  Final: the mission's transaction commits.

`install` runs again, on the image thread, if the receiver has changed meanwhile: what was thought is
replayed on the object as it is now, without a model call.
"""

from __future__ import annotations

from typing import Any

from batos.errors import Conflict
from batos.objects.lookup import MISSING, lookup
from batos.objects.method import primitive
from batos.objects.traits import install
from batos.psm.mission import brief_of, shape_of
from batos.psm.states import Tools, tools

SOURCE = '''def _process_synthesis_(self):
    """Install what was agreed on."""
    return self.install_()
'''


@primitive
def install_(self):
    """Install the method that was agreed on into the mission's receiver."""
    if tools().mission.question is None:
        install_method(tools())
    return "installed"


def experts_of(root: Any, names: list[str]) -> dict[str, str]:
    """The digests of the adapters of these names that the image keeps."""
    kept = root["pLLM_obj"].lora_repository
    return {name: kept[name].sha256 for name in names if name in kept}


def install_method(at: Tools) -> None:
    """Put the agreed method into the receiver, with its provenance.

    Raises `Conflict` where the receiver is no longer the object that was thought about: the message
    is understood by now, or its slots have other names or kinds.
    """
    mission = at.mission
    selector = mission.miss.selector
    if lookup(at.receiver, selector)[1] is not MISSING:
        raise Conflict(f"{at.receiver!r} has learned {selector!r} meanwhile")
    now = brief_of(at.receiver, selector, [], {}, None)
    if shape_of(now) != shape_of(mission.brief):
        raise Conflict(
            f"the slots of {at.receiver!r} have changed while the mission was thinking", retryable=True
        )
    chosen = mission.chosen
    install(
        at.receiver,
        at.verdict,
        author="BRICK",
        kinds=mission.kinds,
        mission=mission.id,
        model=at.model,
        experts=experts_of(at.root, chosen["experts"]),
        voices=chosen["voices"],
        prompts=chosen["prompts"],
        rehearsal=chosen["rehearsal"],
        audit=chosen["audit"],
        doc=chosen["retold"],
        alias=chosen["alias"],
        examples=mission.examples,
    )
