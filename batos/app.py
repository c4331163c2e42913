"""The app: builds the parts in order, starts them, stops them.

Order matters and is kept here alone: the walled child before storage, sockets and threads; the image
before whoever reads it; the socket before the awake line; torch after it.  Stopping goes the other
way.  `System` is an image with its kernel, awake or asleep; `awaken` serves one until it is told to
stop; `Image` is the same image for a Python program of one's own.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Self

from batos import __version__, doctor, turn
from batos.autotelic import Clock, Heartbeat, Metrics, audits, metrics
from batos.config import Settings
from batos.errors import Ambiguous, BatosError, NobodyAwake, NoSuchObject, WrongArguments
from batos.guardian import judge, summaries_of
from batos.guardian.policy import compile_method
from batos.guardian.probation import Probation
from batos.guardian.rehearsal import Rehearsal
from batos.image import AWAKE, LivingImage, Root, backup
from batos.image.export import export
from batos.image.history import changes
from batos.image.lease import Lease
from batos.image.places import exists, open_place
from batos.image.rebuild import import_
from batos.image.retention import ByDay, tend
from batos.kernel import Kernel
from batos.keys import Keys
from batos.knowledge import Memory, catalog, curating, embedder, itself, telling  # noqa: F401 - says how the shelf is told in an export
from batos.message import SERIES
from batos.mind import conception, experts, incarnation, mind_of, personas, tiers
from batos.objects import Method, UvmObject, use_compiler
from batos.objects.caps import caps, use_world
from batos.objects.genesis import add_primitives, genesis, offers, take
from batos.objects.lookup import elsewhere, lookup
from batos.objects.method import primitive
from batos.objects.mirrors import mirrors
from batos.objects.permits import permissions
from batos.objects.plain import plain
from batos.objects.traits import method_of
from batos.objects.undo_log import unrecorded
from batos.psm import budget, conversations, orchestrator, retrieving, steady
from batos.psm.asking import Asking
from batos.psm.budget import Budget, Price
from batos.psm.journal import Journal, about
from batos.psm.kin import Likeness
from batos.psm.records import recorded
from batos.psm.speaking import Speaking
from batos.psm.teaching import held_to_examples

log = logging.getLogger(__name__)

QUERIES = ("senders", "implementors", "references", "why_kept")
PROGRAM = "python -m batos"
SWITCH_SECONDS = (
    0.001  # the door waits for the interpreter this long, not Python's 5 ms, while a group is worked on
)
STOP_SECONDS = 2.0  # for what is in flight; the rest of the five a stop may take is for missions and closing


def judge_in(source: str, selector: str | None, holder: UvmObject) -> Any:
    """The guardian's verdict on source for `holder`, whose other methods are followed."""

    def source_of(name: str) -> str | None:
        try:
            _, found = lookup(holder, name)
        except Ambiguous:
            return None  # that send will fail, whatever the method that is judged does
        return found.source if isinstance(found, Method) and found.primitive is None else None

    return judge(source, selector, summaries_of(source_of))


def birth(root: Root) -> None:
    """Everything a newborn image holds, and whatever an older one lacks."""
    genesis(
        root,
        (
            incarnation.birth,
            personas.birth,
            tiers.birth,
            orchestrator.birth,
            conversations.birth,
            steady.birth,
            budget.birth,
            catalog.catalog,
            metrics.system_metrics,
            audits.alfred_part,
            turn.birth,
            mirrors,
            permissions,
            caps,
            primitives_birth,
        ),
    )


class Image(LivingImage):
    """A living image for a Python program: nobody else may be awake on it.

    >>> with Image.open("image") as image:                                       # doctest: +SKIP
    ...     with image.turn("open the shop") as root:
    ...         root.shop.open_door()
    """

    @classmethod
    def open(  # type: ignore[override]
        cls, directory: Path | str = "image", settings: Settings | None = None, judge: Callable = judge_in
    ) -> Self:
        """Open the image in `directory`, giving birth to it where there is none."""
        use_compiler(compile_method)
        return super().open(directory, settings or Settings(image=Path(directory)), judge, birth)


# -- primitives that need the running system -----------------------------------------------------------

_system: System | None = None


def _running() -> System:
    if _system is None:
        raise NobodyAwake("this needs the awake image: the mind and the memory live outside its objects")
    return _system


@primitive
def index_document_(self, path):
    """Read a file or folder into the fractal memory."""
    if not isinstance(path, str):
        raise WrongArguments("index_document_ takes the path of a file or folder, as a text")
    elsewhere(lambda: _running().memory.remember([path]))


@primitive
def self_audit(self):
    """ALFRED's Cognitive Efficiency Audit, now."""
    elsewhere(lambda: _running().audit())


def primitives_birth(root: Root) -> None:
    """Give the named objects of the design what Python must do for them."""
    add_primitives(root["knowledge_catalog_obj"], "index_document_")
    add_primitives(root["alfred_prototype_obj"], "self_audit")


# -- the running system ---------------------------------------------------------------------------------


class System:
    """An open image with everything around it; `kernel` answers its messages.

    mind  stands in for the image's own mind: tests hand in one that follows a script
    """

    def __init__(self, settings: Settings, mind: Any = None):
        global _system
        self.settings = settings
        use_world()
        self.rehearsal = Rehearsal.start(settings.unwalled, settings.portable_rehearsal)
        try:
            self.image = Image.open(settings.image, settings, self._judged_with_examples)
        except BaseException:
            self.rehearsal.stop()
            raise
        self.metrics = Metrics()
        self._tallied: dict[str, int] = {}
        self._expert_hits: Counter[str] = Counter()
        self.journal = Journal(settings.image)
        self.mind = mind or mind_of(
            self.image, settings, metrics=self._mind_metrics, breaker=steady.KeptBreaker(self.image)
        )
        tiers.use(self.image, self.mind)
        self.memory = Memory(self.image, embedder())
        self.budget = Budget(
            self.image, price=Price(settings.mind_usd_read, settings.mind_usd_written) if settings.mind_url else Price()
        )
        self.missions = orchestrator.Orchestrator(
            self.image, self.journal, settings,
            generate=self.mind.generate, rehearse=self.rehearsal.run, judge=self._judged, model=self._model,
            note=self.metrics.note, likeness=Likeness(self.memory),
            retrieve=retrieving.Retrieval(self.image, self.memory, self.mind, settings.mind_window),
            budget=self.budget, prefetch=self.mind.prefetch,
        )  # fmt: skip
        self.probation = Probation(
            self.image, settings.probation_calls, settings.probation_error_rate, self._probation_ended
        )
        self.kernel = Kernel(self.image, self.missions, settings, self.probation.take)
        self.keys = Keys(self.image, settings.image)
        self.kernel.admit = self.keys.admit
        self.kernel.speak = Speaking(
            self.mind, self.budget, self.journal.note, settings.mind_window, self.missions.review.resting
        )
        self.kernel.services |= {
            "history": self._history,
            "remember": self._remember,
            "recall": self.memory.recall,
            "context_for": self.memory.context,
            "alike": self.memory.alike,
            "learn": self.memory.learn,
            "curate": self.curate,
            "budget": self.budget.told,
            "context": self._context,
            "performance": self._performance,
            "ask": Asking(
                self.image, self.memory, self.mind, self.budget, self.missions.weave,
                note=self.journal.note, metric=self.metrics.note, window=settings.mind_window,
                resting=self.missions.review.resting,
            ).ask,
            "audit": self._audit,
            "experts": self.experts,
            "stage": self.stage,
            "export_expert": partial(experts.export_expert, self.image),
            "rename_expert": self._rename_expert,
            "remove_expert": self._remove_expert,
            "expert_versions": partial(experts.expert_versions, self.image),
            "revert_expert": self._revert_expert,
            "incarnate": self._incarnate,
            "minds": self._minds,
            "doctor": partial(doctor.examine, self),
            "pack": self._pack,
            "backup": self._backup,
            "export": self._export,
            **{name: partial(self._query, name) for name in QUERIES},
            "keys": self.keys.serve,
            "offers": self._offers,
            "take": self._take,
        }
        _system = self

    def close(self, measured: bool = True) -> None:
        """Stop the parts, the last one started first; one that fails to stop does not keep the others awake.
        What was measured is kept, unless `measured` says that it is nothing."""
        global _system
        # An ExitStack runs in the reverse of this order, whatever any of them raises.
        with contextlib.ExitStack() as parts:
            parts.callback(self.rehearsal.stop)
            parts.callback(self.journal.close)
            parts.callback(self.image.close)
            if measured:
                parts.callback(self._keep_metrics)
                parts.callback(self.probation.keep)
            parts.callback(self.kernel.stop, STOP_SECONDS)
            parts.callback(self.mind.stop)
        _system = None

    def _keep_metrics(self) -> None:
        self._tally()
        with contextlib.suppress(BatosError):
            self.metrics.flush_into(self.image)

    def incarnate(self) -> None:
        """Make sure the image has a mind, and take in the experts that wait in the staging folder."""
        incarnation.tidy(self.image)
        conception.ensure_embedded(self.image)
        if incarnation.model_id(self.image) is None:
            return  # a checkout whose mind is not trained yet
        if self.settings.staging.is_dir() and any(each.is_dir() for each in self.settings.staging.iterdir()):
            for staged in experts.stage_experts(self.image, [self.settings.staging]):
                if staged.outcome == "refused":
                    print(f"batos: {staged.path} was not taken in: {staged.reason}", file=sys.stderr)

    def load(self) -> None:
        """Load the mind, then the embedder: a mission waits for the one, recall can do without the other.

        What they import stays for good, half a million objects.  It is taken out of the garbage collector's
        sight, which would walk them all every few thousand messages with the interpreter held.
        """
        self.mind.start_loading()
        self.mind.ready()
        gc.freeze()
        with contextlib.suppress(RuntimeError):  # told where it is asked
            self.memory.embedder.wait()
        gc.freeze()

    # -- what the receiver `kernel` answers ----------------------------------------------------------

    def _history(self, path: str, selector: str | None = None) -> dict[str, Any]:
        def versions(root: Root) -> list[dict[str, Any]]:
            obj = root.resolve(path)
            if selector is not None:
                return plain(
                    [{"selector": selector, **each} for each in method_of(obj, selector).told_versions()]
                )
            obj._p_activate()  # forgotten methods have a past too
            methods = [each for each in obj.__dict__.get("_methods", {}).values() if each.primitive is None]
            told = [{"selector": m.selector, **each} for m in methods for each in m.told_versions()]
            return plain(sorted(told, key=lambda each: each["time"]))

        told = {"versions": self.image.run(f"history of {path}", versions), "changes": []}
        if selector is None:
            for commit in reversed(changes(self.image, path)):
                about = {name: commit[name] for name in ("time", "who", "why", "tid", "mission")}
                told["changes"] += [{**about, **each} for each in commit["changes"]]
        return told

    def _remember(
        self,
        paths: list[str] | None = None,
        forget: list[str] | None = None,
        tell: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        def progress(told: dict[str, Any]) -> None:
            if tell is not None:
                done = {name: told[name] for name in ("bytes", "total_bytes")}
                tell({"event": "progress", "told": told["source"], **done})

        files = [each for each in paths or [] if not each.startswith(itself.SCHEME)]
        told = self.memory.remember(files, progress) if files else {}
        for each in paths or []:
            if each.rstrip("/") == itself.MISSIONS.rstrip("/"):
                told.setdefault("image", []).append(self._remember_missions())
            elif each.startswith(itself.SCHEME):
                told.setdefault("image", []).append(self.memory.remember_object(each))
        if forget:
            gone = [self.memory.forget(source) for source in forget]
            told |= {"forgotten": gone}
            sources = {source for each in gone for source in each["sources"]}

            def unanswer(root: Root) -> None:
                with unrecorded():  # a change record would keep what is taken out
                    conversations.unanswer(root, sources)
                    curating.unreport(root, sources)

            self.image.run("forget what was answered from it", unanswer)
            self.missions.forget(sources)
            self.image.run("forget its past", catalog.forget_past)
            # What is forgotten is not to be read in the journal either.
            named = [each if each.startswith(itself.NO_FILES) else os.path.abspath(each) for each in forget]
            self.journal.redact(about(*named))
        return told

    def _remember_missions(self) -> dict[str, Any]:
        """What the missions of each day and week came to, so that it can be recalled."""
        records = self.image.run("the missions' records", lambda root: plain(recorded(root)))
        return self.memory.remember_missions(records)

    def _context(self, ident: str) -> list[dict[str, Any]]:
        """What a mind was shown and what it said, for an answer of `ask` or a mission, oldest first."""
        events = self.journal.events(str(ident))
        said = [each for each in events if each["event_type"].startswith(("LLM_CALL", "SPOKEN"))]
        if not said:
            raise NoSuchObject(
                f"no mind was asked anything for {ident!r}", hint="ids stand in answers of ask --json, and in: missions"
            )
        return said

    def _performance(self, hours: float = 24.0) -> dict[str, dict[str, dict[str, Any]]]:
        """How the roads of `ask` and the missions did, from what `system_metrics_obj` keeps."""
        self._keep_metrics()
        return self.image.run("performance", lambda root: metrics.performance(root, time.time() - 3600 * hours))

    def audit(self) -> dict[str, Any]:
        """ALFRED's self-audit, now; answers the report it keeps."""
        self._tally()
        return audits.perform(self.image, self.settings, self.metrics)

    def curate(self) -> dict[str, Any]:
        """BABS holds what is remembered against what it was read from; answers the report she keeps."""
        self._remember_missions()
        return curating.curate(self.memory, self.image)

    def night(self) -> dict[str, Any]:
        """What the heartbeat does: the audit and the curation, then what is over the limits of the settings is
        let go."""
        report = self.audit()
        with contextlib.suppress(BatosError):
            self.curate()
        tend(self.image, self.settings, self.journal, packed=lambda _days: self._pack())
        return report

    def _tally(self) -> None:
        """Hand the image's counts since the last time to the metrics."""
        for kind, count in (
            ("transaction_commits", self.image.commits),
            ("transaction_aborts", self.image.aborts),
        ):
            self.metrics.tally(kind, count - self._tallied.get(kind, 0))
            self._tallied[kind] = count
        hits, self._expert_hits = self._expert_hits, Counter()
        for tier, count in hits.items():
            self.metrics.note("expert_hits", tier=tier, count=count)
        ledger = self.mind.describe().get("ledger")
        if ledger:
            self.metrics.note("vram", used=ledger["budget"] - ledger["free"], budget=ledger["budget"])

    def _audit(self, last: bool = False) -> dict[str, Any] | None:
        return self.image.run("the last audit", audits.last) if last else self.audit()

    def experts(self) -> list[dict[str, Any]]:
        """The experts of the image, with the tier each is in."""
        return experts.experts(self.image, self.mind)

    def stage(self, paths: list[str] | None = None) -> dict[str, Any]:
        """Take adapters in, by default those of the staging folder."""
        staged = experts.stage_experts(
            self.image, [Path(each) for each in paths or [self.settings.staging]]
        )
        self.mind.refresh([each.name for each in staged if each.outcome in ("ingested", "replaced")])
        return {
            "staged": [each.name for each in staged if each.outcome != "refused"],
            "refused": [
                {"path": str(each.path), "reason": each.reason}
                for each in staged
                if each.outcome == "refused"
            ],
        }

    def _rename_expert(self, old: str, new: str) -> dict[str, str]:
        experts.rename_expert(self.image, old, new)
        self.mind.refresh([old, new])
        return {"name": new.upper(), "was": old.upper()}

    def _remove_expert(self, name: str) -> dict[str, str]:
        experts.remove_expert(self.image, name)
        self.mind.refresh([name])
        return {"removed": name.upper()}

    def _revert_expert(self, name: str, version: int | None = None) -> int:
        """Put an earlier version of an expert in its place again; the number of it."""
        number = experts.revert_expert(self.image, name, version)
        self.mind.refresh([name])
        return number

    def _incarnate(
        self, source: str, look: bool = False, tell: Callable[[dict[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """Make a folder's or a hub's model the mind; `look`: only say what that takes."""
        if look:
            return conception.look(self.image, source, self.settings)
        report = conception.conceive(
            self.image, source, self.settings,
            tell=lambda words, **at: None if tell is None else tell({"event": "progress", "told": words, **at}),
        )  # fmt: skip
        self.mind.change()
        return report

    def _minds(self, use: str | None = None, forget: str | None = None) -> list[dict[str, Any]]:
        """The minds of the image, after going to one or forgetting one."""
        if use is not None and incarnation.use(self.image, use):
            self.mind.change()
        if forget is not None:
            incarnation.forget(self.image, forget)
        return incarnation.minds(self.image)

    def _pack(self) -> dict[str, Any]:
        """Give back the space of what is not reached any more; the past stays as far as the settings say, and
        none from before a document was forgotten."""
        forgotten = self.image.run("when something was forgotten", catalog.forgotten)
        return self.image.pack(min(self.settings.history_days, max(0.0, time.time() - forgotten) / 86_400))

    def _backup(self, directory: str) -> dict[str, Any]:
        return self.image.backup(directory)

    def _export(self, directory: str) -> dict[str, Any]:
        return export(self.image, directory)

    def _query(self, name: str, *args: str) -> list[dict[str, Any]]:
        from batos.image import references  # numpy: who never asks does not wait for it at every awakening

        return getattr(references, name)(self.image, *args)

    def _offers(self) -> list[dict[str, Any]]:
        """Texts that this edition ships newer than those a user has edited."""
        return self.image.run("offers", lambda root: plain(offers(root)))

    def _take(self, path: str, slot: str) -> Any:
        """Put such a text in the place of the user's own."""
        return self.image.run(f"take {slot} of {path}", lambda root: plain(take(root, path, slot)))

    # -- what the parts are handed -------------------------------------------------------------------

    def _judged(self, source: str, selector: str, holder: UvmObject) -> Any:
        verdict = judge_in(source, selector, holder)
        rule = verdict.refusal().rule if not verdict.passed else None
        self.metrics.note("guardian_verdicts", verdict=verdict.outcome, rule=rule, selector=selector)
        return verdict

    def _probation_ended(self, outcome: str, **facts: Any) -> None:
        self.metrics.note("probations", outcome=outcome, **facts)
        self.journal.note(facts.pop("mission"), "PROBATION_ENDED", outcome=outcome, **facts)

    def _judged_with_examples(self, source: str, selector: str | None, holder: UvmObject) -> Any:
        return held_to_examples(judge_in(source, selector, holder), holder, self.rehearsal.run)

    def _model(self) -> dict[str, Any]:
        if self.settings.mind_url:
            return {"model_id": self.mind.describe()["model_id"], "digest": None}
        model_id, weights = incarnation.identity(self.image)
        return {"model_id": model_id, "digest": weights}

    def _mind_metrics(self, event: str, value: float, **labels: Any) -> None:
        if event == "swap_ms":
            self.metrics.note("lora_swap_latencies", ms=value, **labels)
        elif event == "expert_hit":
            self._expert_hits[labels["tier"]] += 1


def restore(settings: Settings, source: str, moment: str | None = None) -> dict[str, Any]:
    """Bring an image back into the settings' folder from a backup; see `backup.restore` for answer and errors.

    Raises `AlreadyAwake` where an image is awake there.
    """
    _nobody_awake(settings)
    return backup.restore(source, settings.image, moment, settings.disk_reserve_bytes)


def import_image(settings: Settings, source: str, edited: bool = False) -> dict[str, Any]:
    """Make an image in the settings' folder of an export; see `rebuild.import_` for answer and errors."""
    _nobody_awake(settings)
    use_compiler(compile_method)
    return import_(source, settings.image, judge=judge_in, birth=birth, edited=edited)


def _nobody_awake(settings: Settings) -> None:
    if (settings.image / AWAKE).exists() and exists(settings.image):
        open_place(settings.image, settings.storage).close()  # raises `AlreadyAwake` if a process serves it


@contextlib.contextmanager
def asleep(settings: Settings) -> Iterator[Kernel]:
    """The kernel of a sleeping image, without door and heartbeat, for verbs that only look.

    Raises `NobodyAwake` where there is no image, `AlreadyAwake` where another process holds it.
    """
    if not exists(settings.image, settings.storage):
        raise NobodyAwake(
            f"there is no image in {settings.image}, awake or asleep",
            hint=f"give birth to one: python -m batos --image {settings.image}",
        )
    _log_to_stderr(settings)
    system = System(settings)
    try:
        yield system.kernel
    finally:
        system.close(measured=False)


def awaken(settings: Settings, talk: Callable[..., Any] | None = None, json_line: bool = False) -> int:
    """Open the image and serve it until it is told to stop, or until `talk(kernel, history=path, stop=event)`,
    a REPL in this terminal, returns; answers the exit code."""
    from batos.server import Server

    _log_to_stderr(settings)
    system = System(settings)
    server, heartbeat = None, None
    told = settings.image / AWAKE
    try:
        system.incarnate()
        server = Server(system.kernel, settings, system.keys if system.keys.ready() else None)
        server.start()
        stop = threading.Event()
        system.kernel.services["stop"] = lambda: (
            stop.set() or {"pid": os.getpid(), "image": str(settings.image)}
        )
        system.kernel.services["describe"] = partial(_describe, settings)
        system.kernel.services["stats"] = lambda: {**system.kernel.stats(), "door": server.stats()}
        sys.setswitchinterval(SWITCH_SECONDS)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        keys = {"server_key": server.server_key} if server.server_key else {}
        here = server.endpoint.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
        _write_whole(told, {"endpoint": here, "pid": os.getpid(), "since": _now(), **keys})
        _say_awake(system, server.endpoint, json_line)
        threading.Thread(target=system.load, name="loading", daemon=True).start()
        if settings.heartbeat:
            lease = Lease(system.image) if system.image.place.shared else None
            by_day = ByDay(system.image, settings)
            heartbeat = Heartbeat(Clock(), system.image, system.night, settings, lease, by_day)
            heartbeat.start()
        if talk is not None:
            talk(system.kernel, history=settings.image / "repl_history", stop=stop)
        else:
            while not stop.wait(1.0) and not system.image.gone:
                pass
        if system.image.gone:  # better no process than one that can answer nothing
            print(
                "batos: a commit or a pack broke off in the middle and the image closed itself; what was "
                f"acknowledged is safe\nbatos: next: {PROGRAM} --image {settings.image} awaken",
                file=sys.stderr,
            )
            return 1
        return 0
    finally:
        if server is not None:
            server.refuse("the image is going to sleep")
        if heartbeat is not None:
            heartbeat.stop()
        system.close()
        if server is not None:
            server.stop()
        with contextlib.suppress(FileNotFoundError):
            told.unlink()


def _describe(settings: Settings) -> dict[str, Any]:
    from batos import wire

    return {"series": SERIES, "version": __version__, **wire.describe(settings)}


def _log_to_stderr(settings: Settings) -> None:
    level = settings.log_level.upper()
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    # FileStorage warns of an index that is behind after every kill, and then simply reads on from there.
    logging.getLogger("ZODB.FileStorage").setLevel(logging.ERROR)


def _say_awake(system: System, endpoint: str, json_line: bool) -> None:
    mind = system.settings.mind_url or incarnation.model_id(system.image) or "none"
    if json_line:
        line = {
            "event": "awake", "endpoint": endpoint, "image": str(system.settings.image), "mind": mind,
            "born": system.image.newborn, "pid": os.getpid(),
        }  # fmt: skip
        print(json.dumps(line), flush=True)
    else:
        how = "born" if system.image.newborn else "awake"
        print(f"batos {__version__} is {how}: {system.settings.image} at {endpoint}, mind {mind}", flush=True)


def _write_whole(path: Path, data: dict[str, Any]) -> None:
    """Write a small file so that a reader finds all of it or none."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(data) + "\n")
    os.replace(part, path)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
