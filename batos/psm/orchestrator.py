"""The orchestrator: runs missions, one transaction each, and remembers what became of them.

A miss comes in as a `Miss`; senders who miss the same selector on the same receiver share one
mission.  Workers run the state machine on a connection of the mission's own; a mission that
completes commits as a turn on the image thread, one that fails dooms its transaction and leaves the
image exactly as it was.  Records and metrics are written afterwards, by a turn of their own.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from BTrees.OOBTree import OOBTree

from batos.errors import BatosError, Busy, Cancelled, Conflict, Deadline, MissionFailed, NoMind
from batos.image import LivingImage, Root
from batos.mind.engine import Limits
from batos.objects import Activation, Dict, UvmObject, activated
from batos.objects.fuel import OutOfFuel, spend
from batos.objects.genesis import child
from batos.objects.plain import decode
from batos.objects.snapshot import to_data
from batos.psm import complete, decomposing, delegating, failed, idle, machine, synthesizing
from batos.psm.journal import Journal
from batos.psm.mission import Miss, Mission, brief_of
from batos.psm.states import Tools, make_state, process

log = logging.getLogger(__name__)

WORKERS = 2  # one thinks while another rehearses or commits; generation itself is one at a time
RECORDS_KEPT = 1000
STOP_SECONDS = 1.0


def birth(root: Root) -> None:
    """Make the orchestrator and the six states an image lacks."""
    orchestrator = child(root, "orchestrator_obj")
    if "missions" not in orchestrator._slots:
        orchestrator.missions = OOBTree()
    brick, robin, alfred = (root[f"{name}_prototype_obj"] for name in ("brick", "robin", "alfred"))
    make_state(root, machine.IDLE, idle.SOURCE, "open_", persona=alfred)
    make_state(
        root, machine.DECOMPOSING, decomposing.SOURCE, "plan_",
        persona=brick, meta_prompt=decomposing.META_PROMPT, temperatures=decomposing.TEMPERATURES, sure=decomposing.SURE,
    )  # fmt: skip
    make_state(
        root, machine.DELEGATING, delegating.SOURCE, "draft_",
        persona=brick, meta_prompt=delegating.META_PROMPT, temperatures=delegating.TEMPERATURES,
    )  # fmt: skip
    make_state(
        root, machine.SYNTHESIZING, synthesizing.SOURCE, "weave_",
        persona=alfred, teller=robin, meta_prompt=synthesizing.META_PROMPT, rounds=synthesizing.ROUNDS,
    )  # fmt: skip
    make_state(root, machine.COMPLETE, complete.SOURCE, "install_", persona=alfred)
    make_state(root, machine.FAILED, failed.SOURCE, "doom_", persona=alfred)


class Orchestrator:
    """Runs missions on worker threads of its own.

    generate, rehearse, judge, model   see `psm.states.Tools`
    note                               `(kind, **numbers)`: metrics
    """

    def __init__(
        self,
        image: LivingImage,
        journal: Journal,
        settings: Any,
        generate: Callable,
        rehearse: Callable,
        judge: Callable,
        model: Callable[[], dict[str, Any]],
        note: Callable[..., None],
    ):
        self._image = image
        self._journal = journal
        self._settings = settings
        self._generate = generate
        self._rehearse = rehearse
        self._judge = judge
        self._model = model
        self._note = note
        self._queue: queue.Queue[Mission | None] = queue.Queue()
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, str], Mission] = {}
        self._ended: dict[str, Mission] = {}
        self._callbacks: dict[str, list[Callable[[Mission], None]]] = {}
        self._threads: list[threading.Thread] = []
        self._stopping = False

    # -- opening, looking, cancelling --------------------------------------------------------------

    def open(
        self,
        miss: Miss,
        ended: Callable[[Mission], None],
        intent: str | None,
        examples: list | None,
    ) -> Mission:
        """The mission for a miss, a running one if there is one; `ended(mission)` is called once, on any thread.

        Raises `Busy` where too many missions wait.
        """
        with self._lock:
            mission = self._pending.get(miss.key)
            if mission is not None and not mission.cancelled.is_set():
                self._callbacks[mission.id].append(ended)
                return mission
            if self._stopping or len(self._pending) >= self._settings.missions_waiting:
                raise Busy(f"{len(self._pending)} missions are waiting", hint="send it again in a while")
            deadline = time.monotonic() + self._settings.mission_seconds
            mission = Mission(miss, deadline, intent, list(examples or ()))
            self._pending[miss.key] = mission
            self._callbacks[mission.id] = [ended]
            if not self._threads:
                self._threads = [
                    threading.Thread(target=self._work, name=f"mission-{n}", daemon=True)
                    for n in range(WORKERS)
                ]
                for thread in self._threads:
                    thread.start()
        self._journal.note(mission.id, "DOES_NOT_UNDERSTAND", to=miss.path or miss.oid, send=miss.selector,
                           args=miss.args, kw=miss.kw, intent=intent, examples=examples)  # fmt: skip
        self._queue.put(mission)
        return mission

    def find(self, mission_id: str) -> Mission | None:
        """A mission that runs or ended in this process."""
        with self._lock:
            running = next((each for each in self._pending.values() if each.id == mission_id), None)
            return running or self._ended.get(mission_id)

    def running(self) -> list[Mission]:
        """Missions that have not ended, oldest first."""
        with self._lock:
            return list(self._pending.values())

    def cancel(self, mission_id: str) -> bool:
        """End a running mission; false if there is none of that id."""
        mission = self.find(mission_id)
        if mission is None or mission.state in machine.FINAL:
            return False
        mission.cancelled.set()
        return True

    def stop(self) -> None:
        """Take no more missions and cancel those that run; their waiters are told."""
        self._stopping = True
        for mission in self.running():
            mission.cancelled.set()
        for _ in self._threads:
            self._queue.put(None)
        end = time.monotonic() + STOP_SECONDS
        for thread in self._threads:  # one inside a long forward is left to die with the process
            thread.join(max(0.0, end - time.monotonic()))

    # -- one mission -------------------------------------------------------------------------------

    def _work(self) -> None:
        while (mission := self._queue.get()) is not None:
            try:
                self._run(mission)
            except BaseException as exc:
                log.exception("mission %s broke", mission.id)
                mission.error = exc
                mission.state = machine.FAILED
            self._end(mission)

    def _run(self, mission: Mission) -> None:
        if mission.cancelled.is_set():
            self._fail(mission, Cancelled(f"mission {mission.id} was cancelled before it began"))
            return
        # Asked now and not when it is installed: a replay runs on the image thread, which must wait for no turn.
        model = self._model()
        with self._image.mission_transaction() as root:
            try:
                receiver = root.by_oid(mission.miss.oid)
            except BatosError as exc:
                self._fail(mission, exc)
                return

            def deref(tag: dict[str, Any]) -> Any:
                return root.by_oid(tag["$oid"]) if "$oid" in tag else None

            args = [decode(each, deref) for each in mission.miss.args]
            kw = {name: decode(value, deref) for name, value in mission.miss.kw.items()}
            mission.brief = brief_of(receiver, mission.miss.selector, args, kw, mission.miss.path)
            mission.brief |= {"intent": mission.intent, "examples": mission.examples}
            read: list[UvmObject] = []
            mission.circle = to_data(receiver, args, kw, reached=read)
            at = Tools(
                mission,
                root,
                receiver,
                self._think(mission),
                self._rehearse,
                self._judge,
                self._journal,
                model,
            )
            cycle = UvmObject()  # never added to the connection, and nothing reaches it: it is not kept
            cycle.mission_brief = mission.miss.selector
            cycle.target = receiver
            try:
                self._step(mission, cycle, at, root)
            except BaseException as exc:  # noqa: BLE001 - whatever broke, the thought is erased
                self._fail(mission, self._reason(mission, exc))
                at.doom()
                return
            if mission.state == machine.COMPLETE:
                self._commit(mission, at, read)

    def _step(self, mission: Mission, cycle: UvmObject, at: Tools, root: Root) -> None:
        """Run the machine to its end, in the mission's own transaction."""
        prototypes = root["psm_prototypes_obj"]
        given = Activation(who=mission.sender, mission=mission.id, judge=self._judge, tools=at)
        with activated(given), spend(mission.deadline):
            while True:
                setattr(cycle, "synthesis_state*", prototypes._slots[mission.state])
                began = time.monotonic()
                self._check(mission)
                event = process(cycle)
                mission.history.append(
                    {"state": mission.state, "event": event, "seconds": time.monotonic() - began}
                )
                if mission.state in machine.FINAL:
                    break
                before, mission.state = mission.state, machine.after(mission.state, event)
                self._note("psm_transitions", mission=mission.id, old=before, new=mission.state)
                self._journal.note(mission.id, "STATE_TRANSITION", current_state=before, transition_to=mission.state,
                                   outcome=event, seconds=round(time.monotonic() - began, 6))  # fmt: skip
        if mission.state == machine.FAILED:
            mission.error = MissionFailed(
                f"{mission.miss.path or mission.miss.oid} could not learn {mission.miss.selector!r}: {mission.why}",
                mission=mission.id,
                hint=f"write it yourself: python -m batos define {mission.miss.path or mission.miss.oid} FILE",
            )

    def _check(self, mission: Mission) -> None:
        if mission.cancelled.is_set():
            raise Cancelled(f"mission {mission.id} was cancelled; nothing was changed", mission=mission.id)
        if mission.remaining() < 0:
            raise Deadline(f"mission {mission.id} ran out of time; nothing was changed", mission=mission.id)

    def _think(self, mission: Mission) -> Callable:
        """`generate` with the mission's journal and cancellation around it."""

        def generate(prompts: list[str], expert: Any, grammar: Any, limits: Limits) -> list[Any]:
            self._check(mission)
            self._journal.note(mission.id, "LLM_CALL_START", current_state=mission.state, active_persona=expert,
                               llm_prompt=list(dict.fromkeys(prompts)), temperature=limits.temperature)  # fmt: skip
            began = time.monotonic()
            drafts = self._generate(prompts, expert, grammar, limits, mission.cancelled)
            self._journal.note(mission.id, "LLM_CALL_END", current_state=mission.state, active_persona=expert,
                               llm_response_raw=[draft.text for draft in drafts],
                               logprob=[round(draft.logprob, 3) for draft in drafts],
                               seconds=round(time.monotonic() - began, 6))  # fmt: skip
            self._check(mission)
            return drafts

        return generate

    def _commit(self, mission: Mission, at: Tools, read: list[UvmObject]) -> None:
        why = f"learned {mission.miss.selector}"

        def again(root: Root) -> None:
            at.receiver = root.by_oid(mission.miss.oid)
            complete.install_method(at)

        try:
            took = time.time() - mission.began
            self._image.commit_mission(at.root, why, "BRICK", mission.id, read, again, took).result()
        except BaseException as exc:  # noqa: BLE001 - nothing was committed, whatever it was
            mission.state = machine.FAILED
            self._fail(mission, self._reason(mission, exc))

    def _fail(self, mission: Mission, error: BaseException) -> None:
        mission.state = machine.FAILED
        mission.error = error
        mission.why = str(error)

    def _reason(self, mission: Mission, exc: BaseException) -> BaseException:
        """What waiters are told of an exception that ended a mission."""
        if isinstance(exc, (NoMind, Cancelled, Deadline)):
            return exc
        if isinstance(exc, OutOfFuel):
            return Deadline(f"mission {mission.id} ran out of time; nothing was changed", mission=mission.id)
        if isinstance(exc, (BatosError, Conflict)):
            return MissionFailed(
                f"{mission.miss.path or mission.miss.oid} could not learn {mission.miss.selector!r}: {exc}",
                mission=mission.id, hint=exc.hint, line=exc.line, rule=exc.rule,
            )  # fmt: skip
        log.error("mission %s broke", mission.id, exc_info=exc)
        return MissionFailed(
            f"the mission for {mission.miss.selector!r} broke: {type(exc).__name__}: {exc}; nothing was changed",
            mission=mission.id,
        )

    def _end(self, mission: Mission) -> None:
        mission.seconds = time.time() - mission.began
        if isinstance(mission.error, BatosError) and mission.error.mission is None:
            mission.error.mission = mission.id
        self._journal.note(mission.id, "FINAL_OUTCOME", final_outcome=mission.state, why=mission.why,
                           seconds=round(mission.seconds, 6), method=(mission.chosen or {}).get("source"))  # fmt: skip
        with self._lock:
            if self._pending.get(mission.miss.key) is mission:  # a cancelled one may have a successor
                del self._pending[mission.miss.key]
            self._ended[mission.id] = mission
            while len(self._ended) > RECORDS_KEPT:
                del self._ended[next(iter(self._ended))]
            callbacks = self._callbacks.pop(mission.id, [])
        self._note(
            "psm_cycle_durations", ms=mission.seconds * 1000, outcome=mission.state.lower(),
            selector=mission.miss.selector, mission=mission.id,
        )  # fmt: skip
        for callback in callbacks:
            try:
                callback(mission)
            except Exception:
                log.exception("whoever waited for mission %s could not be told", mission.id)
        self.record(mission)

    def record(self, mission: Mission) -> None:
        """Keep the mission's record in the image, by a turn of its own; the oldest ones go."""
        told = mission.told()

        def write(root: Root) -> None:
            records = root["orchestrator_obj"].missions
            records[f"{mission.began:017.6f}-{mission.id}"] = Dict(
                {name: told[name] for name in ("id", "to", "send", "state", "since", "seconds", "sender", "plan",
                                               "rounds", "method", "why", "states", "answer")}
            )  # fmt: skip
            while len(records) > RECORDS_KEPT:
                del records[records.minKey()]

        self._image.submit(f"record of mission {mission.id}", write, who="batos")


def recorded(root: Root, mission_id: str | None = None) -> list[dict[str, Any]]:
    """Records kept in the image, oldest first; only that of `mission_id` if given."""
    records = root["orchestrator_obj"].missions
    return [dict(each) for each in records.values() if mission_id is None or each["id"] == mission_id]
