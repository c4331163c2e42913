"""The kernel: send(Message) -> Reply.  Who waits for what, until when, and what a miss becomes.

A few verbs: `submit`, `send`, `stop`.  A message is a turn on the image thread; a miss is handed to
the orchestrator and the message is sent again when its mission has ended; what is slow (the mind,
the embedder, a file) runs on a helper thread and enters a turn only to read or to store.  Every
message gets exactly one reply, at the latest at its deadline, and a message answered with `deadline`
is never run afterwards.

What the receiver `kernel` answers stands in one table, `Kernel.services`, which the app completes.
"""

from __future__ import annotations

import json
import keyword
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from batos.errors import (
    BadRequest,
    BatosError,
    Busy,
    Cancelled,
    Conflict,
    Deadline,
    Internal,
    MethodError,
    NoMind,
    NoSuchObject,
    NotUnderstood,
    Refused,
    WrongArguments,
)  # fmt: skip
from batos.image import Done, LivingImage, NoGlance, Root
from batos.message import OWNER, WAIT_FOR_THOUGHT, WAIT_FOR_TURN, Message, Reply, TellEvent
from batos.mind.personas import FACET, Thought, hearing
from batos.objects import UvmObject
from batos.objects.lookup import Elsewhere, LeftTurn, activation
from batos.objects.plain import plain
from batos.objects.probation import Seen
from batos.psm.machine import FAILED
from batos.psm.mission import Mission
from batos.psm.orchestrator import Orchestrator
from batos.psm.records import recorded
from batos.psm.teaching import REMEMBERED, Teaching
from batos.turn import Admit, MissedHere, Replayed, body_digest, perform, remember, slow, why_of

log = logging.getLogger(__name__)

MAX_SELECTOR = 200  # characters; a longer one would be thought about for a minute before it is refused
THOUGHTS_A_MESSAGE = 8  # questions of its methods to the mind
MISSIONS_A_MESSAGE = 8  # a message that misses more often than this goes round in circles
READS_KNOWN = 4096  # messages remembered as reading
LOOK = 0.05  # seconds between two looks at the deadlines; what has begun is ended by its fuel, to the millisecond
RECORDED = frozenset({"undo", "redo"})  # services that change objects: the record says for whom
TELLING = frozenset({"ask", "incarnate"})  # services with a `tell`, for what they have to say before they answer
STOPPED_BY_TELLING = frozenset({"remember"})  # whose `tell` ends them where nobody waits for them any more
WAITING_FOR_MODELS = frozenset({"ask", "recall", "context_for", "learn"})  # the embedder may still be loading
UNLIMITED = frozenset(
    {"remember", "curate", "audit", "incarnate", "stage", "export_expert", "pack", "backup", "export", "doctor"}
)  # verbs that may take long


@dataclass(slots=True, eq=False)
class _Waiter:
    """One message on its way, and who waits for its reply."""

    message: Message
    future: Future
    began: float
    deadline: float
    missions: list[str] = field(default_factory=list)
    heard: dict[str, str] = field(default_factory=dict)  # what the mind has answered its methods
    tell: TellEvent | None = None  # hears what comes before the reply
    turn: Future | None = None  # its turn while one is queued or running
    detached: bool = False  # the sender has its answer (`wait: false`); the message still runs
    answered: bool = False

    @property
    def thought_deadline(self) -> float:
        """The deadline once a mission is waited for: a longer default, the sender's own word if given."""
        return self.began + (self.message.timeout if self.message.timeout is not None else WAIT_FOR_THOUGHT)


def _tell_while_waited_for(waiter: _Waiter, event: dict[str, Any]) -> None:
    if waiter.answered and not waiter.detached:
        raise Cancelled("nobody waits for this any more")
    if waiter.tell is not None:
        waiter.tell(event)


class Kernel:
    """Answers messages for one awake image.

    count_calls  told what a message saw of methods on probation; answers a sentence if one is taken back
    """

    def __init__(
        self,
        image: LivingImage,
        orchestrator: Orchestrator,
        settings: Any,
        count_calls: Callable[[Iterable[Seen]], str | None],
    ):
        self._image = image
        self._count_calls = count_calls
        self._orchestrator = orchestrator
        self._settings = settings
        self._lock = threading.Lock()
        self._waiting: dict[int, _Waiter] = {}
        self._somebody_waits = threading.Event()
        self._reads: dict[tuple[str, str], bool] = {}  # (to, send) -> did it only read, the last time?
        self._running_keys: dict[str, list[_Waiter]] = {}
        self._last: deque[tuple[Message, Reply]] = deque(maxlen=REMEMBERED)
        self._stopping = False
        self._count = 0
        self.since = time.time()
        self.errors: dict[str, int] = {}
        teaching = Teaching(image, self.send, self._last)
        self.services: dict[str, Callable[..., Any]] = {
            "ping": lambda: "pong",
            "missions": self._missions,
            "mission": self._mission,
            "cancel": self.cancel,
            "replay": orchestrator.replay,
            **{name: getattr(orchestrator.review, name) for name in ("accept", "pause", "resume")},
            "stats": self.stats,
            "log": self._log,
            "undo": self._undo,
            "wrong": teaching.wrong,
            "examples": teaching.examples,
            "unteach": teaching.unteach,
            "redo": self._image.redo,
        }
        self._quick = {"ping", "stats", "cancel", "describe", "stop"}
        # What a message by a key may do; the app hands in who knows the keys.  Nothing, before it does.
        self.admit: Admit = _admit_nobody
        # What answers a method that asks the mind; the app hands in the mind's (`psm.speaking.Speaking`).
        self.speak: Callable[..., tuple[str, Any]] = _speaks_nobody
        threading.Thread(target=self._watch, name="deadlines", daemon=True).start()

    # -- the door ----------------------------------------------------------------------------------

    def submit(self, message: Message, tell: TellEvent | None = None) -> Future[Reply]:
        """Begin a message; the future gets its reply.  Never blocks, never raises.

        tell  hears the events that come before the reply, on whichever thread they happen; it should be quick
        """
        reply = self._glanced(message)
        if reply is not None:
            future: Future[Reply] = Future()
            future.set_result(reply)
            return future
        now = time.monotonic()
        limit = message.timeout if message.timeout is not None else WAIT_FOR_TURN
        if message.to == "kernel" and message.send in UNLIMITED:
            # Once begun they cannot be undone, and `deadline` must mean that nothing was done.
            limit = float("inf")
        elif message.to == "kernel" and message.send in WAITING_FOR_MODELS and message.timeout is None:
            limit = WAIT_FOR_THOUGHT
        waiter = _Waiter(message, Future(), now, now + limit, tell=tell)
        self._count += 1
        try:
            self._begin(waiter)
        except BatosError as exc:
            self._fail(waiter, exc)
        except Exception as exc:
            log.exception("message %s could not be begun", message.id)
            self._fail(waiter, Internal(f"{type(exc).__name__}: {exc}"))
        return waiter.future

    def send(self, message: Message, tell: TellEvent | None = None) -> Reply:
        """Send and wait; answers the reply, an error among its fields."""
        return self.submit(message, tell).result()

    call = send

    def stop(self, grace: float = 3.0) -> None:
        """Take no new messages, let what is in flight end within `grace` seconds, answer everybody."""
        self._stopping = True
        self._orchestrator.stop()
        end = time.monotonic() + grace
        while self._waiting and time.monotonic() < end:
            time.sleep(0.01)
        for waiter in list(self._waiting.values()):  # one whose turn has begun is answered when that ends
            self._give_up(
                waiter,
                Cancelled("the image went to sleep before this was answered", hint="send it again later"),
            )
        self._somebody_waits.set()

    def _begin(self, waiter: _Waiter) -> None:
        message = waiter.message
        if self._stopping:
            raise Busy("the image is going to sleep", hint="awaken it and send again")
        if len(self._waiting) >= self._settings.max_waiting:
            raise Busy(f"{len(self._waiting)} messages are waiting", hint="send it again in a while")
        if not message.send.isidentifier() or keyword.iskeyword(message.send) or len(message.send) > MAX_SELECTOR:
            raise BadRequest(
                f"{message.send[:MAX_SELECTOR]!r} is not a selector: use letters, digits and '_', no digit first, "
                f"{MAX_SELECTOR} characters at most"
            )
        with self._lock:
            self._waiting[id(waiter)] = waiter
        if not self._somebody_waits.is_set():
            self._somebody_waits.set()
        if message.to == "kernel":
            self._serve(waiter)
        elif message.at is not None:
            self._begin_elsewhere(waiter, partial(self._perform_past, waiter))
        elif message.idem is not None:
            self._once(waiter)
        else:
            self._turn(waiter)

    # -- a glance ----------------------------------------------------------------------------------

    def _glanced(self, message: Message) -> Reply | None:
        """The answer to a message that only reads, without a hand-off to the image thread while that is idle.

        None where it goes the ordinary road: it is not known to read, the image is busy, or it did not
        come to an answer (an error, a miss), which is then told there.
        """
        if (
            not self._reads.get((message.to, message.send) if type(message.to) is str else None)
            or message.idem is not None or message.at is not None or message.dry or self._stopping
        ):  # fmt: skip
            return None
        try:
            told, seen = self._image.glance(
                lambda root: (perform(message, root, self.admit), activation().seen), message.who
            )
            self._watched(seen)
        except NoGlance:
            if not self._image.waiting:
                self._reads.pop((message.to, message.send), None)
            return None
        except Exception:  # noqa: BLE001 - the ordinary road tells it
            return None
        self._count += 1
        reply = Reply(message.id, told)
        self._last.append((message, reply))
        return reply

    def _notice(self, message: Message, done: Done) -> None:
        """Remember whether a message only read, the last time it ran."""
        if type(message.to) is str and not message.dry and not self._image.place.shared:
            if len(self._reads) > READS_KNOWN:
                self._reads.clear()
            self._reads[message.to, message.send] = done.tid is None

    # -- a turn ------------------------------------------------------------------------------------

    def _turn(self, waiter: _Waiter) -> None:
        message = waiter.message
        why = why_of(message)
        with self._lock:
            if waiter.answered:
                return
            waiter.turn = self._image.submit(
                why, partial(self._perform_watched, message, waiter.heard), message.who, deadline=waiter.deadline,
                ident=message.id, dry=message.dry, keep=partial(remember, message) if message.idem else None,
            )  # fmt: skip
        waiter.turn.add_done_callback(partial(self._turned, waiter))

    def _perform_watched(self, message: Message, heard: dict[str, str], root: Root) -> Any:
        """`perform`; what it saw of methods on probation is counted, and told if one is taken back."""
        try:
            with hearing(heard):
                told = perform(message, root, self.admit)
        except LeftTurn:
            raise
        except BaseException as exc:
            words = self._watched(activation().seen)
            if words is not None:
                exc.hint = words
            raise
        self._watched(activation().seen)
        return told

    def _watched(self, seen: dict[int, Any] | None) -> str | None:
        return self._count_calls(seen.values()) if seen else None

    def _perform_past(self, waiter: _Waiter) -> Any:
        """A message to the image as it was, on a thread of its own: nobody who lives now waits for it."""
        message = waiter.message
        why = f"{message.send} to the past"
        try:
            return self._image.run_past(
                message.at, why, partial(perform, message, admit=self.admit), message.who, waiter.deadline
            )
        except MissedHere as exc:
            raise exc.told from None
        except (Elsewhere, Thought):
            raise slow("sent to the past") from None

    def _turned(self, waiter: _Waiter, future: Future[Done]) -> None:
        """A turn has ended (called on the image thread): reply, or open a mission."""
        if future.cancelled():
            return  # whoever cancelled it has answered
        waiter.turn = None
        exc = future.exception()
        if exc is None:
            done = future.result()
            self._notice(waiter.message, done)
            self._answer(waiter, Reply(waiter.message.id, done.value, tid=done.tid, changes=done.changes))
        elif isinstance(exc, MissedHere):
            self._missed(waiter, exc)
        elif isinstance(exc, Replayed):
            self._answer(waiter, Reply(waiter.message.id, exc.result, replayed=True))
        elif isinstance(exc, (Elsewhere, Thought)) and waiter.message.dry:
            self._fail(waiter, slow("kept apart from what it would change"))
        elif isinstance(exc, Thought):
            self._wait_longer(waiter)
            threading.Thread(target=self._asked, args=(waiter, exc), name="elsewhere", daemon=True).start()
        elif isinstance(exc, Elsewhere):
            self._wait_longer(waiter)
            self._begin_elsewhere(waiter, exc.work)
        elif isinstance(exc, BatosError):
            self._fail(waiter, exc)
        else:
            log.error("a turn broke: %s", waiter.message.send, exc_info=exc)
            self._fail(waiter, Internal(f"{type(exc).__name__}: {exc}; nothing was changed"))

    def _asked(self, waiter: _Waiter, thought: Thought) -> None:
        """A method asks the mind: ask it, outside the turn, and send the message again with the answer."""
        try:
            if len(waiter.heard) >= THOUGHTS_A_MESSAGE:
                raise MethodError(f"{waiter.message.send!r} asks the mind more than {THOUGHTS_A_MESSAGE} times")
            seconds = max(0.0, waiter.deadline - time.monotonic())
            first = not waiter.heard
            waiter.heard[thought.key], _ = self.speak(thought.messages, thought.expert, waiter.message.id, seconds)
            if first and waiter.message.send.endswith(FACET):
                self._orchestrator.facet_answered(waiter.message.send, bool(waiter.missions))
            self._turn(waiter)
        except Exception as exc:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            self._fail(waiter, exc)

    def _begin_elsewhere(self, waiter: _Waiter, work: Callable[[], Any]) -> None:
        # Daemons, because a document that takes minutes to read must not keep a sleeping image's process alive.
        threading.Thread(
            target=self._do_elsewhere, args=(waiter, work), name="elsewhere", daemon=True
        ).start()

    def _do_elsewhere(self, waiter: _Waiter, work: Callable[[], Any]) -> None:
        try:
            self._answer(waiter, Reply(waiter.message.id, plain(work())))
        except BatosError as exc:
            self._fail(waiter, exc)
        except TypeError as exc:
            if exc.__traceback__ is not None and exc.__traceback__.tb_next is None:
                self._fail(waiter, WrongArguments(f"{waiter.message.send}: {exc}"))
            else:
                self._broke(waiter, exc)
        except Exception as exc:  # noqa: BLE001 - a bug of ours is told as one
            self._broke(waiter, exc)

    def _broke(self, waiter: _Waiter, exc: Exception) -> None:
        log.error("%s to %s broke", waiter.message.send, waiter.message.to, exc_info=exc)
        self._fail(waiter, Internal(f"{type(exc).__name__}: {exc}"))

    # -- misses ------------------------------------------------------------------------------------

    def _missed(self, waiter: _Waiter, missed: MissedHere) -> None:
        message = waiter.message
        slip = message.miss is None and missed.slip
        if message.dry or message.miss == "error" or slip or not self._settings.missions:
            self._fail(waiter, missed.told)
            return
        if len(waiter.missions) >= MISSIONS_A_MESSAGE:
            told = missed.told
            told.hint = f"{MISSIONS_A_MESSAGE} missions ran for this one message; it goes round in circles"
            self._fail(waiter, told)
            return
        try:
            mission = self._orchestrator.open(
                missed.miss,
                partial(self._learned, waiter),
                message.intent if not waiter.missions else None,
                message.examples if not waiter.missions else None,
                message.who,
                waiter.tell,
                self._orchestrator.find(waiter.missions[-1]) if waiter.missions else None,
            )
        except Exception as exc:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            self._fail(waiter, exc)
            return
        waiter.missions.append(mission.id)
        self._wait_longer(waiter)
        if not message.wait and not waiter.detached:
            waiter.detached = True
            self._reply(waiter, Reply(message.id, {"mission": mission.id}, mission=mission.id))

    def _learned(self, waiter: _Waiter, mission: Mission) -> None:
        """A mission this message waited for has ended: send the message again, or tell why not."""
        if mission.error is not None:
            self._fail(waiter, mission.error)
            return
        try:
            self._turn(waiter)
        except Exception as exc:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            self._fail(waiter, exc)

    # -- replies and deadlines ---------------------------------------------------------------------

    def _answer(self, waiter: _Waiter, reply: Reply) -> None:
        with self._lock:
            if not self._claim(waiter):
                return
        self._deliver(waiter, reply)

    def _claim(self, waiter: _Waiter) -> bool:
        """Take the right to answer, with the lock held; false if it was taken before."""
        if waiter.answered:
            return False
        waiter.answered = True
        self._waiting.pop(id(waiter), None)
        return True

    def _deliver(self, waiter: _Waiter, reply: Reply) -> None:
        if waiter.missions:
            reply.mission = waiter.missions[-1]
        if waiter.message.idem is not None:
            self._once_done(waiter, reply)
        if waiter.detached:
            mission = self._orchestrator.find(waiter.missions[-1])
            if mission is not None:
                mission.answer = mission.answers[str(waiter.message.id)] = reply.to_wire()
                self._orchestrator.record(mission)
            return
        message = waiter.message
        if reply.error is None and message.to != "kernel" and message.at is None and not message.dry:
            self._last.append((message, reply))
        self._reply(waiter, reply)

    def _reply(self, waiter: _Waiter, reply: Reply) -> None:
        if reply.error is not None:
            self.errors[reply.error.code] = self.errors.get(reply.error.code, 0) + 1
        if not waiter.future.done():
            waiter.future.set_result(reply)

    def _fail(self, waiter: _Waiter, error: BaseException) -> None:
        told = error if isinstance(error, BatosError) else Internal(f"{type(error).__name__}: {error}")
        self._answer(waiter, Reply(waiter.message.id, error=told))

    def _wait_longer(self, waiter: _Waiter) -> None:
        """The mind or the embedder is waited for, which has a longer default than a turn."""
        waiter.deadline = waiter.thought_deadline

    def _watch(self) -> None:
        """Look at everybody who waits, twenty times a second while anybody does."""
        while self._waiting or not self._stopping:
            if not self._waiting:
                self._somebody_waits.clear()
                if not self._waiting:
                    self._somebody_waits.wait(1.0)
            time.sleep(LOOK)
            now = time.monotonic()
            for waiter in list(self._waiting.values()):
                if waiter.deadline <= now:
                    mission = waiter.missions[-1] if waiter.missions else None
                    self._give_up(
                        waiter,
                        Deadline(
                            f"{waiter.message.send!r} had no answer within its time; nothing was done"
                            + (f", but mission {mission} goes on" if mission else ""),
                            mission=mission,
                            hint=f"look at it with: python -m batos mission {mission}" if mission else None,
                        ),
                    )

    def _give_up(self, waiter: _Waiter, error: BatosError) -> bool:
        """Answer `error` and never run the message; false if its turn has begun, whose answer is the true one."""
        with self._lock:
            if waiter.turn is not None and not waiter.turn.cancel():
                return False
            if not self._claim(waiter):
                return False
        self._deliver(waiter, Reply(waiter.message.id, error=error))
        return True

    def cancel(self, what: str) -> bool:
        """Cancel a mission by its id, or a waiting message by its own; false if there is none."""
        if self._orchestrator.cancel(what):
            return True
        for waiter in list(self._waiting.values()):
            if waiter.message.id == what and waiter.message.send != "cancel":
                return self._give_up(waiter, Cancelled(f"message {what} was cancelled; nothing was done"))
        return False

    # -- idempotency -------------------------------------------------------------------------------

    def _once(self, waiter: _Waiter) -> None:
        """Run a message with an idempotency key, or let it wait for the same message that runs."""
        key, wanted = waiter.message.idem, body_digest(waiter.message)
        with self._lock:
            running = self._running_keys.get(key)
            if running is not None:
                if body_digest(running[0].message) != wanted:
                    raise Conflict(f"the idempotency key {key!r} is running with another message")
                running.append(waiter)
                return
            self._running_keys[key] = [waiter]
        self._turn(waiter)

    def _once_done(self, waiter: _Waiter, reply: Reply) -> None:
        with self._lock:
            waiting = self._running_keys.get(waiter.message.idem, [])
            if not waiting or waiting[0] is not waiter:
                return
            del self._running_keys[waiter.message.idem]
        for other in waiting[1:]:
            same = Reply(other.message.id, reply.result, reply.error, replayed=reply.error is None)
            self._answer(other, same)

    # -- the receiver `kernel` ---------------------------------------------------------------------

    def _serve(self, waiter: _Waiter) -> None:
        message = waiter.message
        if message.key is not None:
            self.admit(message, None, None)
        service = self.services.get(message.send)
        if service is None:
            raise NotUnderstood(
                f"kernel did not understand {message.send!r}",
                hint=f"it answers {', '.join(sorted(self.services))}",
            )
        by: dict[str, Any] = {"who": message.who} if message.send in RECORDED else {}
        if message.send in STOPPED_BY_TELLING:
            by["tell"] = partial(_tell_while_waited_for, waiter)
        elif waiter.tell is not None and message.send in TELLING:
            by["tell"] = waiter.tell
        work = partial(service, *message.args, **{**message.kw, **by})
        if message.send in self._quick:
            self._do_elsewhere(waiter, work)
        else:
            self._begin_elsewhere(waiter, work)

    def stats(self) -> dict[str, Any]:
        """Counters of this awakening."""
        return {
            "since": self.since,
            "messages": self._count,
            "waiting": len(self._waiting),
            "missions_running": len(self._orchestrator.running()),
            "errors": dict(self.errors),
            "commits": self._image.commits,
            "aborts": self._image.aborts,
        }

    def _log(self, last: int = 50) -> list[dict[str, Any]]:
        """The image's past as a list of thoughts: what changed it, and the missions that came to nothing."""
        if not isinstance(last, int) or isinstance(last, bool) or last < 1:
            raise WrongArguments(f"log takes how many of the last changes to tell, not {last!r}")
        told = self._image.log(last)
        since = told[0]["time"] if len(told) == last else 0.0
        failed = [
            {
                "message": each["id"], "time": each["since"], "tid": None, "who": each.get("sender"),
                "why": f"{each['send']} to {each['to']} was not learned: {each['why']}", "mission": each["id"],
                "changes": 0, "undone": False,
            }
            for each in self._image.run("missions", lambda root: _plain_records(root))
            if each["state"] == FAILED and each["since"] >= since
        ]  # fmt: skip
        return sorted([*told, *failed], key=lambda each: each["time"])[-last:]

    def _undo(self, what: str | None = None, who: str = OWNER) -> dict[str, Any]:
        if what is not None and not isinstance(what, str):
            raise WrongArguments(f"undo takes the id of a message, a mission or a transaction, not {what!r}")
        return self._image.undo(what, who)

    def _missions(self) -> list[dict[str, Any]]:
        running = {each.id: each.headline() for each in self._orchestrator.running()}
        kept = {each["id"]: each for each in self._image.run("missions", lambda root: _plain_records(root))}
        wanted = ("id", "to", "send", "state", "since", "seconds", "why")
        return [
            {name: each.get(name) for name in wanted} for key, each in kept.items() if key not in running
        ] + list(running.values())

    def _mission(self, mission_id: str) -> dict[str, Any]:
        mission = self._orchestrator.find(mission_id)
        if mission is not None:
            return json.loads(json.dumps(mission.told(), default=repr))
        kept = self._image.run("mission", lambda root: _plain_records(root, mission_id))
        if not kept:
            raise NoSuchObject(
                f"there is no mission {mission_id!r}", hint="list them with: python -m batos missions"
            )
        return kept[-1]


def _plain_records(root: Root, mission_id: str | None = None) -> list[dict[str, Any]]:
    return plain(recorded(root, mission_id))


def _admit_nobody(message: Message, receiver: UvmObject | None, root: Root | None) -> None:
    raise Refused(f"nobody here knows what the key {message.key!r} may do", rule="key")


def _speaks_nobody(*_: Any) -> tuple[str, Any]:
    raise NoMind("nobody here has a mind that talks", hint="awaken the image: python -m batos awaken")
