"""Messages and replies as plain data: one shape through the wire, the kernel and Python alike.

A `Message` is what somebody sends, a `Reply` what comes back, exactly the fields of the wire
protocol; how they become bytes is `wire`'s business, what they do is the kernel's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from batos.errors import BatosError

SERIES = "VIII"
PROTOCOL = "batos message 1"
OWNER = "owner"  # who speaks where nobody needs a key, or with the key that lies in the image's own folder

# Section 3 of the contract: seconds a sender waits when it does not say.
WAIT_FOR_TURN = 10.0
WAIT_FOR_THOUGHT = 60.0

# Told before the reply, from any thread: `{"event": kind, ...}`, plain data; `wire.EVENTS` lists the kinds.
TellEvent = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    to        a dotted path of slot names, or ``{"oid": "0x1f"}``
    send      the selector
    args, kw  plain data; ``{"$ref": path}`` and ``{"$oid": "0x1f"}`` stand for objects
    timeout   seconds the sender waits; None means the default of its kind
    wait      False: answer ``{"mission": id}`` at once where a mission is needed
    miss      "mission", "error", or None for the default ("mission", unless a near selector
              makes a slip of the keyboard likelier)
    stream    True: events are told before the reply
    who       the speaker, for the change record: `OWNER`, the name of a key, a persona, "heartbeat"
    key       the name of the key it came by, which may send only what it was granted; None: the owner's.
              Neither is a field of the wire: the door says who speaks, never the message
    """

    to: str | dict[str, str]
    send: str
    args: list[Any] = field(default_factory=list)
    kw: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    timeout: float | None = None
    wait: bool = True
    intent: str | None = None
    examples: list[dict[str, Any]] | None = None
    miss: str | None = None
    stream: bool = False
    idem: str | None = None
    at: str | None = None
    dry: bool = False
    who: str = OWNER
    key: str | None = None


@dataclass(slots=True)
class Reply:
    """One answer: `result`, or `error` where it is not None; never both."""

    id: str
    result: Any = None
    error: BatosError | None = None
    tid: str | None = None
    mission: str | None = None
    replayed: bool = False
    changes: list[dict[str, Any]] | None = None

    def to_wire(self) -> dict[str, Any]:
        """The body of the reply frame, optional fields only where they say something."""
        told: dict[str, Any] = {"id": self.id}
        if self.error is not None:
            told["error"] = self.error.to_wire()
        else:
            told["result"] = self.result
        for name in ("tid", "mission", "changes"):
            value = getattr(self, name)
            if value is not None:
                told[name] = value
        if self.replayed:
            told["replayed"] = True
        return told
