"""The orchestrator: runs missions, one transaction each, and remembers what became of them.

A miss comes in as a `Miss`; senders who miss the same selector on the same receiver share one
mission.  Workers run the state machine on a connection of the mission's own; a mission that
completes commits as a turn on the image thread, one that fails dooms its transaction and leaves the
image exactly as it was.  Records and metrics are written afterwards, by a turn of their own.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from BTrees.OOBTree import OOBTree

from batos.errors import (
    BatosError,
    Busy,
    Cancelled,
    Deadline,
    MissionFailed,
    NoMind,
)
from batos.image import LivingImage, Root
from batos.message import OWNER, TellEvent
from batos.mind.engine import Limits
from batos.objects import Activation, List, UvmObject, activated
from batos.objects.fuel import OutOfFuel, spend
from batos.objects.genesis import child
from batos.objects.plain import decode, oid_text
from batos.objects.probation import kinds_of
from batos.objects.snapshot import to_data
from batos.psm import (
    complete,
    decomposing,
    delegating,
    failed,
    idle,
    machine,
    records,
    replay,
    report,
    synthesizing,
    weaving,
)
from batos.psm.budget import Budget, Cost
from batos.psm.journal import Journal
from batos.psm.mission import Miss, Mission, brief_of
from batos.psm.retrieving import Retrieval, unread
from batos.psm.review import Review, be_nice
from batos.psm.states import Tools, make_state, process
from batos.psm.teaching import taught

log = logging.getLogger(__name__)

WORKERS = 2  # one thinks while another rehearses or commits; generation itself is one at a time
DEPTH = 3  # of missions inside a mission
SECONDS = 60.0  # for a mission for words
LOOK = 0.02  # seconds between two looks of a mission that waits for another
STOP_SECONDS = 1.0


def birth(root: Root) -> None:
    """Make the orchestrator and the six states an image lacks."""
    orchestrator = child(root, "orchestrator_obj")
    if "missions" not in orchestrator._slots:
        orchestrator.missions = OOBTree()
    if "paused" not in orchestrator._slots:
        orchestrator.paused = ""
    brick, robin, alfred = (root[f"{name}_prototype_obj"] for name in ("brick", "robin", "alfred"))
    make_state(root, machine.IDLE, idle.SOURCE, "open_", persona=alfred)
    make_state(
        root, machine.DECOMPOSING, decomposing.SOURCE, "plan_",
        persona=brick, meta_prompt=decomposing.META_PROMPT, temperatures=decomposing.TEMPERATURES,
        sure=decomposing.SURE, question_prompt=weaving.DECOMPOSE,
    )  # fmt: skip
    make_state(
        root, machine.DELEGATING, delegating.SOURCE, "draft_",
        persona=brick, others=[], meta_prompt=delegating.META_PROMPT, temperatures=delegating.TEMPERATURES,
    )  # fmt: skip
    make_state(
        root, machine.SYNTHESIZING, synthesizing.SOURCE, "weave_",
        persona=alfred, teller=robin, meta_prompt=synthesizing.META_PROMPT, rounds=synthesizing.ROUNDS,
        weave_prompt=weaving.WEAVE, gate_prompt=weaving.GATE, floor=weaving.FLOOR,
    )  # fmt: skip
    make_state(root, machine.COMPLETE, complete.SOURCE, "install_", persona=alfred)
    make_state(root, machine.FAILED, failed.SOURCE, "doom_", persona=alfred)


class Orchestrator:
    """Runs missions on worker threads of its own.

    generate, rehearse, judge, model, likeness, retrieve   see `psm.states.Tools`
    note                               `(kind, **numbers)`: metrics
    budget                             the ledger that every call of the mind is entered in; None: none is kept
    prefetch                           `(experts)`: told at once which experts a mission will think with next
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
        likeness: Callable[[str, list[str]], list[float] | None] | None = None,
        retrieve: Retrieval | None = None,
        budget: Budget | None = None,
        prefetch: Callable[[list[str]], None] = lambda experts: None,
    ):
        self._image = image
        self._journal = journal
        self._settings = settings
        self._generate = generate
        self._rehearse = rehearse
        self._judge = judge
        self._model = model
        self._note = note
        self._likeness = likeness
        self._retrieve = retrieve
        self._budget = budget
        self._prefetch = prefetch
        self.review = Review(image, settings.pause_on_battery)
        self._queue: queue.Queue[Mission | None] = queue.Queue()
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, str], Mission] = {}
        self._ended: dict[str, Mission] = {}
        self._begun: set[str] = set()  # ids of pending missions that a thread has taken up
        self._waits: dict[str, str] = {}  # tree -> the tree whose mission it waits for
        self._callbacks: dict[str, list[Callable[[Mission], None]]] = {}
        self._hearing: dict[str, list[TellEvent]] = {}  # of a running mission: who listens to it
        self._threads: list[threading.Thread] = []
        self._stopping = False

    # -- opening, looking, cancelling --------------------------------------------------------------

    def open(
        self,
        miss: Miss,
        ended: Callable[[Mission], None],
        intent: str | None,
        examples: list | None,
        sender: str = OWNER,
        tell: TellEvent | None = None,
        after: Mission | None = None,
    ) -> Mission:
        """The mission for a miss, a running one if there is one; `ended(mission)` is called once, on any thread.

        after  the mission that the same message needed before: this one inherits its deadline and its purse
        tell  hears its states, from the one it is in, and the text of its drafts as it is written; who comes
              while a draft is being written hears from the next one on

        Raises `Busy` where too many missions wait.
        """
        with self._lock:
            mission = self._pending.get(miss.key)
            if mission is not None and not mission.cancelled.is_set():
                self._listen(mission, tell)
                self._callbacks[mission.id].append(ended)
                return mission
            if self._stopping or len(self._pending) >= self._settings.missions_waiting:
                raise Busy(f"{len(self._pending)} missions are waiting", hint="send it again in a while")
            deadline = time.monotonic() + self._settings.mission_seconds if after is None else after.deadline
            mission = Mission(miss, deadline, intent, list(examples or ()), sender=sender)
            if after is not None:
                mission.tree, mission.depth = after.tree, after.depth + 1
            while len(self._threads) < WORKERS:
                thread = threading.Thread(
                    target=self._work, name=f"mission-{len(self._threads)}", daemon=True
                )
                thread.start()
                self._threads.append(thread)
            key = miss.key
            self._callbacks[mission.id], self._pending[key] = [ended], mission
        try:  # whatever breaks from here on ends the mission: it is in the tables
            with self._lock:
                self._listen(mission, tell)
            self._note_miss(mission)
            self._queue.put(mission)
        except BaseException as exc:
            self._broke(mission, exc)
            self._end(mission)
        return mission

    def weave(
        self,
        text: str,
        speak: weaving.Speak,
        passages: Sequence[dict[str, Any]] = (),
        turns: Sequence[dict[str, Any]] = (),
        seconds: float = SECONDS,
    ) -> dict[str, Any]:
        """Answer a question by a mission for words, on the caller's thread (`psm.weaving`).

        Answers ``{"mission", "answer", "used", "contradictions", "partials", "marks", "why"}``.  Raises
        `MissionFailed` where no answer passed the gate, and what `speak` raises.
        """
        if self._stopping:
            raise Busy("the image is going to sleep", hint="awaken it and ask again")
        where = "orchestrator_obj"
        oid = self._image.run("who weaves", lambda root: oid_text(root[where]))

        def noted(messages: list[dict[str, str]], expert: str | None) -> str:
            self._check(mission)
            answer = speak(messages, expert)
            self._journal.note(mission.id, "SPOKEN", active_persona=expert, llm_prompt=messages,
                               llm_response_raw=answer)  # fmt: skip
            self._check(mission)
            return answer

        question = weaving.Question(text, noted, list(passages), list(turns))
        mission = Mission(Miss(oid, where, "weave", [text], {}), time.monotonic() + seconds, question=question)
        with self._lock:
            self._pending[mission.key] = mission
            self._begun.add(mission.id)
        self._take_up(mission)
        return weaving.outcome(mission)

    def _note_miss(self, mission: Mission) -> None:
        miss = mission.miss
        self._journal.note(mission.id, "DOES_NOT_UNDERSTAND", to=miss.path or miss.oid, oid=miss.oid,
                           send=miss.selector, args=miss.args, kw=miss.kw, intent=mission.intent, examples=mission.examples,
                           tree=mission.tree, depth=mission.depth)  # fmt: skip

    # -- missions inside missions ------------------------------------------------------------------

    def _child_of(self, parent: Mission) -> Callable[[Miss, str | None], Mission]:
        """Runs the mission that `parent` needs before it can go on; raises what ended it, if it was not learned.

        It runs on the parent's own thread: workers are few, and two that waited for a third would wait for
        ever.  Where another tree's mission for the same miss has begun already it is waited for, unless that
        one waits, by however many others, for this.
        """

        def child(miss: Miss, intent: str | None = None) -> Mission:
            self._check(parent)
            above: Mission | None = parent
            while above is not None:
                if above.miss.key == miss.key:
                    raise MissionFailed(f"{miss.selector!r} needs itself before it can be learned", mission=parent.id)
                above = above.parent
            if parent.depth >= DEPTH:
                raise MissionFailed(
                    f"{miss.selector!r} would be a mission {parent.depth + 1} deep, and {DEPTH} is the most",
                    mission=parent.id,
                )
            done = threading.Event()
            with self._lock:
                found = self._pending.get(miss.key)
                mission = found if found is not None and not found.cancelled.is_set() else None
                begun = mission is not None and mission.id in self._begun
                if mission is None:
                    mission = Mission(miss, parent.deadline, intent, sender=parent.sender, parent=parent,
                                      depth=parent.depth + 1, cancelled=parent.cancelled)  # fmt: skip
                parent.children.append(mission.id)
                if begun:
                    tree: str | None = mission.tree
                    while tree is not None and tree != parent.tree:
                        tree = self._waits.get(tree)
                    if tree == parent.tree:
                        raise MissionFailed(f"missions wait for each other over {miss.selector!r}", mission=parent.id)
                    self._waits[parent.tree] = mission.tree
                    self._callbacks[mission.id].append(lambda _: done.set())
                else:
                    self._callbacks.setdefault(mission.id, [])  # others may come and wait for it
                    self._pending[miss.key] = mission
                    self._begun.add(mission.id)
            if begun:
                try:
                    while not done.wait(LOOK):
                        self._check(parent)
                finally:
                    with self._lock:
                        self._waits.pop(parent.tree, None)
            else:
                self._take_up(mission)
            self._check(parent)
            if mission.error is not None:
                raise mission.error
            self._journal.note(parent.id, "CHILD_LEARNED", child=mission.id, method=mission.product)
            return mission

        return child

    def _listen(self, mission: Mission, tell: TellEvent | None) -> None:
        if tell is not None:
            self._hearing.setdefault(mission.id, []).append(tell)
            self._hear(mission, _state_of(mission), [tell])

    def _hear(self, mission: Mission, event: dict[str, Any], listeners: list[TellEvent] | None = None) -> None:
        """Tell everybody who listens to a mission, or only these of them."""
        for tell in listeners or list(self._hearing.get(mission.id, ())):
            try:
                tell(event)
            except Exception:
                log.exception("whoever listens to mission %s could not be told", mission.id)
                self._hearing[mission.id].remove(tell)

    def find(self, mission_id: str) -> Mission | None:
        """A mission that runs or ended in this process."""
        with self._lock:
            running = next((each for each in self._pending.values() if each.id == mission_id), None)
            return running or self._ended.get(mission_id)

    def forget(self, sources: set[str]) -> None:
        """Take passages of sources that are forgotten out of the missions, kept ones and those of this process."""
        records.forget(self._image, sources)
        with self._lock:
            for mission in (*self._pending.values(), *self._ended.values()):
                unread(mission, sources)

    def running(self) -> list[Mission]:
        """Missions that have not ended, oldest first."""
        with self._lock:
            return list(self._pending.values())

    def cancel(self, mission_id: str) -> bool:
        """End a running mission and tell who waits for it, now; false if there is none of that id, or its
        commit has begun.  Its thread notices at its next step, or its next token, and changes nothing."""
        mission = self.find(mission_id)
        with self._lock:
            if mission is None or mission.state in machine.FINAL or mission.committing:
                return False
            mission.cancelled.set()
            mission.error = _cancelled(mission)
        self._hear(mission, _state_of(mission) | {"state": machine.FAILED})
        self._tell(mission)
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
        """Take missions and run them, one after another; whatever breaks, the next one finds a worker."""
        be_nice(self._settings.mission_nice)
        while (mission := self._queue.get()) is not None:
            with self._lock:
                if mission.id in self._begun or mission.id in self._ended:
                    continue  # a mission that needed it has taken it up, and may have ended it already
                self._begun.add(mission.id)
            self._take_up(mission)

    def _take_up(self, mission: Mission) -> None:
        """Run a mission to its end, whatever that is."""
        try:
            self._run(mission)
        except BaseException as exc:
            self._broke(mission, exc)
        self._end(mission)

    def _end(self, mission: Mission) -> None:
        """All that follows a mission; a step that breaks is tried once more and keeps no other from being
        done, because somebody waits."""
        for step in (self._ascertain, self._conclude, self._let_go, self._tell, self._measure, self.record):
            for _ in range(2):
                try:
                    step(mission)
                    break
                except BaseException:
                    log.exception("the end of mission %s broke", mission.id)

    def _broke(self, mission: Mission, exc: BaseException) -> None:
        self._fail(mission, self._reason(mission, exc))

    def _run(self, mission: Mission) -> None:
        if mission.parent is not None or mission.question is not None:
            self._note_miss(mission)  # of the others it was noted when they were opened
        if mission.cancelled.is_set():
            self._fail(mission, Cancelled(f"mission {mission.id} was cancelled before it began"))
            return
        resting = self.review.resting() if mission.parent is None else None  # a child's parent runs, and goes on
        if resting is not None:
            self._fail(mission, resting)
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
            mission.kinds = kinds_of(args, kw)
            mission.brief = brief_of(receiver, mission.miss.selector, args, kw, mission.miss.path)
            known = [each for each in taught(receiver, mission.miss.selector) if each not in mission.examples]
            mission.examples = known + mission.examples
            mission.brief |= {"intent": mission.intent or mission.brief["facet"], "examples": mission.examples}
            mission.brief |= {"sender": mission.sender, "time": mission.began, "depth": mission.depth}
            read: list[UvmObject] = []
            mission.circle = to_data(receiver, args, kw, reached=read)
            asked = mission.question
            words = None if asked is None else {"passages": asked.passages, "turns": asked.turns}
            self._journal.note(mission.id, "MISSION_BEGINS", circle=mission.circle, words=words)
            at = Tools(
                mission,
                root,
                receiver,
                self._think(mission),
                self._rehearse,
                self._judge,
                self._journal,
                model,
                likeness=self._alike(mission),
                retrieve=self._retrieving(mission),
                reads=self._retrieve is not None and self._retrieve.is_read,
                child=self._child_of(mission),
            )
            try:
                self._step(mission, at)
            except BaseException as exc:
                self._fail(mission, self._reason(mission, exc))
                at.doom()
                return
            if mission.question is not None:
                at.doom()  # words are told, not kept
            elif mission.state == machine.COMPLETE and self._settings.review:
                at.doom()
                self._fail(mission, self.review.propose(at))
            elif mission.state == machine.COMPLETE:
                self._commit(mission, at, read)

    def _step(self, mission: Mission, at: Tools) -> None:
        """Run the machine to its end, in the mission's own transaction."""
        cycle = UvmObject()  # never added to the connection, and nothing reaches it: it is not kept
        cycle.mission_brief = mission.miss.selector
        cycle.target = at.receiver
        prototypes = at.root["psm_prototypes_obj"]
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
                self._hear(mission, _state_of(mission) | report.came_to(mission, before))
                if before == machine.DECOMPOSING:
                    self._prefetch(experts_ahead(prototypes, mission))
                at.journal.note(mission.id, "STATE_TRANSITION", current_state=before, transition_to=mission.state,
                                   outcome=event, seconds=round(time.monotonic() - began, 6))  # fmt: skip
        if mission.state == machine.FAILED:
            mission.error = MissionFailed(
                f"{mission.miss.path or mission.miss.oid} could not learn {mission.miss.selector!r}: {mission.why}",
                mission=mission.id,
                hint=f"write it yourself: python -m batos define {mission.miss.path or mission.miss.oid} FILE",
            )

    def _check(self, mission: Mission) -> None:
        if mission.cancelled.is_set():
            raise _cancelled(mission)
        if mission.remaining() < 0:
            raise Deadline(f"mission {mission.id} ran out of time; nothing was changed", mission=mission.id)

    def _think(self, mission: Mission) -> Callable:
        """`generate` with the mission's journal and cancellation around it."""

        def generate(prompts: list[str], expert: Any, grammar: Any, limits: Limits) -> list[Any]:
            self._check(mission)
            self._journal.note(mission.id, "LLM_CALL_START", current_state=mission.state, active_persona=expert,
                               llm_prompt=list(dict.fromkeys(prompts)), temperature=limits.temperature)  # fmt: skip
            began = time.monotonic()
            with self._spending(mission, prompts, limits) as spent:
                heard = {}
                if mission.id in self._hearing:
                    heard["tell"] = lambda draft, text: self._hear(
                        mission, {"event": "tokens", "mission": mission.id, "draft": draft, "text": text}
                    )
                drafts = self._generate(prompts, expert, grammar, limits, mission.cancelled, **heard)
                read = sum(draft.read for draft in drafts)
                written = sum(draft.written or len(draft.tokens) for draft in drafts)
                spent.tokens, spent.seconds = read + written, time.monotonic() - began
                if self._budget is not None:
                    spent.usd = self._budget.price.of(read, written)
                mission.spend(spent)
            self._journal.note(mission.id, "LLM_CALL_END", current_state=mission.state, active_persona=expert,
                               llm_response_raw=[draft.text for draft in drafts],
                               logprob=[round(draft.logprob, 6) for draft in drafts],
                               finish=[draft.finish for draft in drafts],
                               seconds=round(time.monotonic() - began, 6))  # fmt: skip
            self._check(mission)
            return drafts

        return generate

    def _spending(self, mission: Mission, prompts: list[str], limits: Limits) -> Any:
        """What a call may cost at most, reserved; raises `Refused` where the budget has not so much."""
        if self._budget is None:
            return contextlib.nullcontext(Cost())
        most = self._budget.price.most(
            prompts, limits.max_tokens, self._settings.mind_window, mission.remaining()
        )
        return self._budget.spending(most, mission.tree)

    def _alike(self, mission: Mission) -> Callable[[str, list[str]], list[float] | None] | None:
        """`likeness` with the mission's journal around it."""
        if self._likeness is None:
            return None

        def alike(words: str, others: list[str]) -> list[float] | None:
            cosines = self._likeness(words, others)
            self._journal.note(mission.id, "LIKENESS", words=words, others=others, cosines=cosines)
            return cosines

        return alike

    def _retrieving(self, mission: Mission) -> Callable[[str], list[dict[str, Any]]]:
        """`retrieve` with the mission's journal around it."""

        def retrieve(question: str) -> list[dict[str, Any]]:
            passages = self._retrieve(question) if self._retrieve is not None else []
            if passages:
                self._journal.note(mission.id, "RETRIEVED", question=question, passages=passages,
                                   read=self._retrieve.is_read)  # fmt: skip
            return passages

        return retrieve

    def replay(self, mission_id: str) -> dict[str, Any]:
        """Run an ended mission again from the journal, without the mind, and keep nothing of it (`replay.again`)."""
        recording = replay.recording(mission_id, self._journal.events(mission_id))
        return replay.again(self._image, recording, self._settings.mission_seconds, self._step, self._rehearse,
                            self._judge, self._model())  # fmt: skip

    def _commit(self, mission: Mission, at: Tools, read: list[UvmObject]) -> None:
        why = f"learned {mission.miss.selector}"
        with self._lock:  # from here on a cancel comes too late
            if mission.cancelled.is_set():
                self._fail(mission, _cancelled(mission))
                return
            mission.committing = True

        def again(root: Root) -> None:
            at.receiver = root.by_oid(mission.miss.oid)
            complete.install_method(at)

        try:
            took = time.time() - mission.began
            self._image.commit_mission(at.root, why, "BRICK", mission.id, read, again, took).result()
        except BaseException as exc:
            mission.state = machine.FAILED
            self._fail(mission, self._reason(mission, exc))

    def _fail(self, mission: Mission, error: BaseException) -> None:
        before, mission.state = mission.state, machine.FAILED
        mission.error = error
        mission.why = str(error)
        if before != machine.FAILED:
            self._hear(mission, _state_of(mission))

    def _reason(self, mission: Mission, exc: BaseException) -> BaseException:
        """What waiters are told of an exception that ended a mission."""
        if isinstance(exc, (NoMind, Cancelled, Deadline)):
            return exc
        if isinstance(exc, OutOfFuel):
            return Deadline(f"mission {mission.id} ran out of time; nothing was changed", mission=mission.id)
        if isinstance(exc, BatosError):
            return MissionFailed(
                f"{mission.miss.path or mission.miss.oid} could not learn {mission.miss.selector!r}: {exc}",
                mission=mission.id, hint=exc.hint, line=exc.line, rule=exc.rule,
            )  # fmt: skip
        log.error("mission %s broke", mission.id, exc_info=exc)
        return MissionFailed(
            f"the mission for {mission.miss.selector!r} broke: {type(exc).__name__}: {exc}; nothing was changed",
            mission=mission.id,
        )

    # -- how it ends ---------------------------------------------------------------------------------

    def _ascertain(self, mission: Mission) -> None:
        """A mission that broke at its commit or later may have been kept: the image knows."""
        if mission.error is not None and mission.committing:
            told = self._image.run("was it learned?", lambda root: records.learned(root, mission), who="batos")
            if told:
                mission.error, mission.state, mission.why = None, machine.COMPLETE, told

    def _conclude(self, mission: Mission) -> None:
        mission.seconds = time.time() - mission.began
        if isinstance(mission.error, BatosError) and mission.error.mission is None:
            mission.error.mission = mission.id
        self._journal.note(mission.id, "FINAL_OUTCOME", final_outcome=mission.state, why=mission.why,
                           seconds=round(mission.seconds, 6), method=mission.product)  # fmt: skip

    def _let_go(self, mission: Mission) -> None:
        """From here on the same miss opens another mission."""
        with self._lock:
            self._ended[mission.id] = mission
            self._begun.discard(mission.id)
            if self._pending.get(mission.key) is mission:  # a cancelled one may have a successor
                del self._pending[mission.key]
            while len(self._ended) > records.KEPT:
                del self._ended[next(iter(self._ended))]

    def _tell(self, mission: Mission) -> None:
        """Call everybody back, each once: a message that was told twice would run twice."""
        waiting = self._callbacks.get(mission.id, [])
        while waiting:
            try:
                waiting.pop(0)(mission)
            except Exception:
                log.exception("whoever waited for mission %s could not be told", mission.id)
        self._callbacks.pop(mission.id, None)
        self._hearing.pop(mission.id, None)

    def _measure(self, mission: Mission) -> None:
        self._note(
            "psm_cycle_durations", ms=(mission.seconds or 0.0) * 1000, outcome=mission.state.lower(),
            selector=mission.miss.selector, mission=mission.id,
        )  # fmt: skip
        for each in mission.question.partials if mission.question is not None else ():
            if each["answer"] and each["came"] != "reflex":
                self._note("facets", facet=each["facet"], came=each["came"], mission=mission.id)

    def facet_answered(self, selector: str, written: bool) -> None:
        """Count that a facet answered a message, which had to be `written` for it first or was there."""
        self._note("facets", facet=selector, came="written" if written else "reused")

    def record(self, mission: Mission) -> None:
        """Keep the mission's record in the image, and what it spent, by a turn of its own."""
        records.keep(self._image, mission, self._budget.take(mission.tree) if self._budget is not None else None)


def _cancelled(mission: Mission) -> Cancelled:
    return Cancelled(f"mission {mission.id} was cancelled; nothing was changed", mission=mission.id)


def experts_ahead(prototypes: UvmObject, mission: Mission) -> list[str]:
    """The experts that a mission with a plan will think with, in the order of its states, each once: those of the
    personas that stand in the slots of the states ahead."""
    states = [] if mission.state in machine.FINAL else [machine.DELEGATING, machine.SYNTHESIZING]
    slots = [slot for state in states for slot in prototypes._slots[state]._slots.values()]
    slots += [each for slot in slots if isinstance(slot, List) for each in slot]
    named = [slot._slots.get("expert") for slot in slots if isinstance(slot, UvmObject)]
    return [expert for expert in dict.fromkeys(named) if isinstance(expert, str) and expert]


def _state_of(mission: Mission) -> dict[str, Any]:
    return {"event": "state", "state": mission.state, "mission": mission.id}
