"""A stand-in for the image behind the faces: nested dicts of objects, one thread, delays at will.

It keeps the promises of the real kernel (`submit` never blocks and never raises; `call` waits) and
answers the selectors the faces use, so that the door, the clients, the command line and the REPL
have stories of their own that need no image and no mind.
"""

from __future__ import annotations

import copy
import os
import queue
import threading
import time
from concurrent.futures import Future
from typing import Any

import pytest

from batos import errors
from batos.config import Settings
from batos.message import Message, Reply, TellEvent
from batos.server import Server
from batos.wire import describe

DEPOSIT = "def deposit(self, amount):\n    self.balance = self.balance + amount\n    return self.balance\n"


class FakeImage:
    """Objects are dicts of slots; methods are Python functions of (slots, *args) under `_methods`."""

    def __init__(self) -> None:
        self.lobby: dict[str, Any] = {
            "account": {"balance": 0, "owner": "Ada", "_methods": {"deposit": self._deposit}},
            "shop": {"till": {"coins": [1, 2], "_methods": {}}, "_methods": {}},
        }
        self.heard: list[Message] = []
        self.missions: list[dict[str, Any]] = []
        self.cancelled: list[str] = []
        self.stopped = threading.Event()
        self.listeners: dict[str, TellEvent] = {}  # id of a message -> who hears its events
        self.said: dict[str, Any] = {}  # answers of `kernel SELECTOR` a story wants
        self.slow = 0.0  # seconds `kernel` takes for them
        self.before: dict[str, list[dict[str, Any]]] = {}  # events it tells before the answer to SELECTOR
        self._queue: queue.SimpleQueue[tuple[Message, Future[Reply]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def submit(self, message: Message, tell: TellEvent | None = None) -> Future[Reply]:
        future: Future[Reply] = Future()
        self.heard.append(message)
        if tell is not None:
            self.listeners[message.id] = tell
        if message.send.startswith(("dream_", "sleep")):
            threading.Thread(target=self._run, args=(message, future), daemon=True).start()
        else:
            self._queue.put((message, future))
        return future

    def call(self, message: Message, tell: TellEvent | None = None) -> Reply:
        return self.submit(message, tell).result()

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _live(self) -> None:
        while (item := self._queue.get()) is not None:
            self._run(*item)

    def _run(self, message: Message, future: Future[Reply]) -> None:
        reply = Reply(message.id)
        try:
            if message.to == "kernel":
                reply.result = self._kernel(message)
            else:
                before = copy.deepcopy(self.lobby) if message.dry else None
                reply.result, reply.mission = self._object(message)
                if before is not None:
                    reply.changes = [
                        {"object": {"oid": "0x1f", "path": path}, "slot": slot, "before": was, "after": after}
                        for path, slots in before.items()
                        for slot, was in slots.items()
                        if (after := self.lobby[path][slot]) != was
                    ]
                    self.lobby = before
        except errors.BatosError as error:
            reply.error = error
        except Exception as exc:
            reply.error = errors.MethodError(f"{message.send!r} raised {type(exc).__name__}: {exc}")
        if not future.cancelled():
            future.set_result(reply)

    def _object(self, message: Message) -> tuple[Any, str | None]:
        found = self._find(message.to)
        args, kw = [self._given(value) for value in message.args], message.kw
        own = {name: value for name, value in found.items() if name != "_methods"}
        name = message.send
        if name == "slots":
            return {"own": {key: self._told(key, value) for key, value in own.items()}, "inherited": {}}, None
        if name == "selectors":
            return {
                "own": sorted(found["_methods"]) if "_methods" in found else [],
                "inherited": ["clone"],
            }, None
        if name == "describe":
            methods = [
                {"selector": key, "parameters": ["amount"], "holder": {"oid": "0x1f", "path": message.to},
                 "version": 1, "author": "Ada", "time": 1.0e9}
                for key in found["_methods"]
            ]  # fmt: skip
            traits = {"oid": "0x1", "path": "traits_obj"}
            words = [{"selector": key, "parameters": [], "holder": traits} for key in ("clone", "slots")]
            told = {"own": {key: self._told(key, value) for key, value in own.items()}, "inherited": {}}
            return {"object": {"oid": "0x1f", "path": message.to}, "parents": [traits], "slots": told,
                    "methods": {"own": methods, "inherited": words}, "born": None}, None  # fmt: skip
        if name == "put":
            found[args[0]] = args[1]
            return args[1], None
        if name == "source":
            if args[0] not in found["_methods"]:
                raise errors.NotUnderstood(
                    f"{message.to} has no method {args[0]!r}", near=list(found["_methods"])
                )
            return DEPOSIT, None
        if name == "define":
            if "import" in args[0]:
                raise errors.Refused("`import` is not for methods", line=2, rule="import")
            selector = args[0].split("def ")[1].split("(")[0]
            found["_methods"][selector] = lambda slots, *args, **kw: len(args)
            return {
                "selector": selector,
                "version": 1,
                "verdict": "repaired",
                "repairs": ["flagged the change"],
            }, None
        if name == "revert":
            return {"selector": args[0], "version": args[1] if len(args) > 1 else 1}, None
        if name == "echo":
            return {"args": args, "kw": kw} if kw else (args[0] if len(args) == 1 else args), None
        if name == "recite":  # every word as an event of its own
            for word in args[0].split():
                self.listeners[message.id]({"event": "tokens", "draft": 0, "text": word})
            return len(args[0]), None
        if name == "sleep":
            time.sleep(args[0])
            return "slept", None
        if name.startswith("dream_"):
            return self._mission(message), "m-1"
        if name in found["_methods"]:
            return found["_methods"][name](found, *args, **kw), None
        if name in own:
            if args or kw:
                raise errors.WrongArguments(f"{name!r} is a slot of {message.to} and takes no arguments")
            return self._told(name, own[name]), None
        raise errors.NotUnderstood(f'{message.to} did not understand "{name}"', near=["deposit"])

    def _mission(self, message: Message) -> str:
        mission = {
            "id": f"m-{len(self.missions) + 1}",
            "to": message.to,
            "send": message.send,
            "since": "now",
        }
        self.missions.append(mission)
        for state in ("DECOMPOSING", "DELEGATING", "SYNTHESIZING"):
            mission["state"] = state
            if message.id in self.listeners:
                self.listeners[message.id]({"event": "state", "state": state, "mission": mission["id"]})
            for _ in range(30):
                time.sleep(0.01)
                if message.id in self.cancelled:
                    raise errors.Cancelled("cancelled by its sender")
        mission["state"] = "COMPLETE"
        return "dreamt"

    def _kernel(self, message: Message) -> Any:
        if message.send in self.said:
            time.sleep(self.slow)
            for event in self.before.get(message.send, ()):
                if message.id in self.listeners:
                    self.listeners[message.id](event)
            return self.said[message.send]
        if message.send == "ping":
            return "pong"
        if message.send == "describe":
            return describe(Settings())
        if message.send == "missions":
            return [dict(mission) for mission in self.missions]
        if message.send == "cancel":
            self.cancelled.append(message.args[0])
            return True
        if message.send == "stop":
            self.stopped.set()
            return {"pid": os.getpid(), "image": "image"}
        raise errors.NotUnderstood(f'kernel did not understand "{message.send}"')

    def _find(self, to: str | dict[str, str]) -> dict[str, Any]:
        found: Any = self.lobby
        for name in [] if to == "lobby" else str(to).split("."):
            found = found.get(name) if isinstance(found, dict) else None
            if not isinstance(found, dict):
                raise errors.NoSuchObject(f"there is no object {to!r}", near=sorted(self.lobby))
        return found if "_methods" in found else {**found, "_methods": {}}

    def _given(self, value: Any) -> Any:
        if isinstance(value, dict) and set(value) == {"$ref"}:
            self._find(value["$ref"])
            return {"oid": "0x1f", "path": value["$ref"]}
        return value

    def _told(self, name: str, value: Any) -> Any:
        return {"oid": "0x1f", "path": name} if isinstance(value, dict) and "_methods" in value else value

    @staticmethod
    def _deposit(slots: dict[str, Any], amount: Any) -> Any:
        if isinstance(amount, bool) or not isinstance(amount, int | float):
            raise ValueError("an amount is a number")
        slots["balance"] += amount
        return slots["balance"]


@pytest.fixture
def image():
    """A fake image; a test module takes this and `server` in by importing them."""
    fake = FakeImage()
    yield fake
    fake.close()


@pytest.fixture
def server(image):
    """A real door on the fake image, at a free port."""
    served = Server(image, Settings(endpoint="tcp://127.0.0.1:*"))
    served.start()
    yield served
    served.stop(grace=0.1)
