"""The verbs there are, in the order in which `--help` tells them; each stands with its kind."""

from __future__ import annotations

from batos.cli import care, keys, memory, messages, mind, past
from batos.cli.calls import Verb

VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        care.awaken,
        messages.send, messages.define, messages.repl,
        messages.missions, messages.mission, messages.replay, messages.cancel, messages.ask,
        past.inspect, past.history, past.log, past.revert, past.undo, past.redo,
        memory.remember, memory.recall,
        mind.audit, mind.incarnate, mind.minds, mind.experts,
        care.doctor, keys.keys, care.pack, care.backup, care.restore, care.export, care.import_, care.stop,
    )
}  # fmt: skip
