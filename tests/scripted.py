"""A mind that follows a script: what each persona answers is said beforehand, and what it was asked is kept."""

from __future__ import annotations

import json
import threading
from typing import Any

from batos.errors import NoMind
from batos.message import Message
from batos.mind import dialect
from batos.mind.engine import Draft

STEPS = {"plan": dialect.PLAN, "method": dialect.METHOD, "audit": dialect.AUDIT, "retell": dialect.RETELL}


class ScriptedMind:
    """Answers by step (`plan`, `method`, `audit`, `retell`); a list is used up one answer a prompt, a str stays.

    >>> mind = ScriptedMind()
    >>> mind.enqueue(method=["return self.§0", "return 1"])
    """

    state, failure, semantic = "ready", None, True

    def __init__(self):
        self.answers: dict[str, Any] = {
            "plan": plan("change"), "method": "return None", "audit": '{"sound":true,"finding":"it does what it says"}',
            "retell": "it does it",
        }  # fmt: skip
        self.prompts: list[tuple[str, str | None, str]] = []
        self.calls = 0
        self.prefetched: list[str] = []
        self.logprob = 0.0  # of everything it says
        self.gate = threading.Event()  # cleared: thinking waits until it is set
        self.gate.set()
        self.thinking = threading.Event()  # set once somebody thinks
        self.broken: Exception | None = None

    def enqueue(self, **answers: Any) -> None:
        """Say what the steps answer from now on."""
        self.answers |= answers

    def generate(self, prompts, expert, grammar, limits, cancel=None, tell=None):
        self.calls += 1
        self.thinking.set()
        if self.broken is not None:
            raise self.broken
        while not self.gate.wait(0.01):
            if cancel is not None and cancel.is_set():
                return [Draft("", (), 0.0, "cancelled") for _ in prompts]
        experts = expert if isinstance(expert, list) else [expert] * len(prompts)
        drafts = []
        for prompt, name in zip(prompts, experts, strict=True):
            step = max(STEPS, key=lambda each: prompt.rfind(STEPS[each]))
            self.prompts.append((step, name, prompt))
            answer = self.answers[step]
            if isinstance(answer, list):
                answer = answer.pop(0) if answer else ""
            if tell is not None:
                tell(len(drafts), answer)
            drafts.append(Draft(answer, (1,), self.logprob, "stop"))
        return drafts

    def start_loading(self):
        pass

    def stop(self):
        self.broken = NoMind("the image is going to sleep")
        self.gate.set()

    def activate(self, name):
        return name == "BRICK"

    def refresh(self, names):
        pass

    def prefetch(self, names):
        self.prefetched += names

    def tier(self, name):
        return "cold"

    def describe(self):
        return {"model_id": "scripted", "state": "ready"}


def plan(kind, slots=("§0",), args=("amount",), do="do it", answer="the new value", **more):
    """A plan as the mind writes it."""
    return json.dumps(
        {
            "can": True,
            "kind": kind,
            "slots": list(slots),
            "args": list(args),
            "do": do,
            **more,
            "answer": answer,
        }
    )


def sender(system: Any) -> Any:
    """`send(to, selector, *args, **more)` to a system's kernel, answering the reply; what is called like a
    field of a message is one, the rest are the message's keywords."""

    def send(to, selector, *args, **more):
        fields = {name: more.pop(name) for name in list(more) if name in Message.__dataclass_fields__}
        return system.kernel.send(Message(to, selector, list(args), more, **fields))

    return send
