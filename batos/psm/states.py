"""What the states of the machine share: their live prototypes, and the tools a mission works with.

Every state is an object in the image with its name, its persona, its meta-prompt and its process
`_process_synthesis_`; a user may read, define and revert them by messages, and the next mission
thinks with what it finds.  A mission's *cycle* object delegates to the state it is in through
`synthesis_state*`, so a process runs with the cycle as self and reads the state's slots as its own.
What Python must do are primitives of the state; they take the mission from the activation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from batos.errors import Refused
from batos.objects import UvmObject
from batos.objects.genesis import add_primitives, child, ship, ship_method
from batos.objects.lookup import activation, lookup, run
from batos.psm.journal import Journal
from batos.psm.mission import Mission

PROCESS = "_process_synthesis_"


@dataclass(slots=True)
class Tools:
    """What the primitives of a mission work with; handed in by the orchestrator, one set a mission.

    generate   `(prompts, expert, grammar, limits, cancel) -> drafts`: the mind
    rehearse   `(trial, deadline) -> outcomes[draft][call]`: the walled child
    judge      `(source, selector, holder) -> verdict`: the guardian
    model      what the mind is, for provenance
    likeness   `(words, [words]) -> cosines`: how alike selectors read; None where nobody can say
    retrieve   `(question) -> passages`: what the fractal memory knows (`psm.retrieving`)
    reads      whether the mind is told what was found
    child      `(miss, intent) -> mission`: runs a mission that this one needs first; None in a replay
    """

    mission: Mission
    root: Any
    receiver: UvmObject
    generate: Callable
    rehearse: Callable
    judge: Callable
    journal: Journal
    model: dict[str, Any]
    verdict: Any = None
    likeness: Callable[[str, list[str]], list[float] | None] | None = None
    retrieve: Callable[[str], list[dict[str, Any]]] = lambda question: []
    reads: bool = False
    child: Callable[..., Mission] | None = None

    def look_again(self) -> None:
        """Begin the mission's transaction anew, on the image as it is now; nothing may have been changed in it."""
        manager = self.root.connection.transaction_manager
        manager.abort()
        manager.begin()

    def doom(self) -> None:
        """Make a commit of the mission's transaction impossible."""
        self.root.connection.transaction_manager.get().doom()


def tools() -> Tools:
    """The tools of the mission that is running; `Refused` outside one."""
    given = activation().tools
    if given is None:
        raise Refused("this is a step of a mission and has no meaning outside one", rule="outside")
    return given


def process(cycle: UvmObject) -> str:
    """Run the process of the state the cycle is in; answers the event it reports."""
    holder, method = lookup(cycle, PROCESS)
    return run(method, holder, cycle, PROCESS)


def make_state(root: Any, name: str, process_source: str, primitive: str, /, **slots: Any) -> UvmObject:
    """The live prototype of a state, made or completed; a user's edits stand (`genesis.ship`)."""
    prototypes = child(root, "psm_prototypes_obj")
    if name not in prototypes._slots:
        state = UvmObject(root["traits_obj"])
        state._name = f"psm_prototypes_obj.{name}"
        state._born = time.time()
        setattr(prototypes, name, state)
        root.connection.add(state)
    state = prototypes._slots[name]
    for slot, value in {"name": name, **slots}.items():
        ship(state, slot, value)
    add_primitives(state, primitive)
    ship_method(state, PROCESS, process_source)
    return state
