"""The Composite Mind at run time: one base model out of the image, experts beside it, one voice at a time.

`Mind` owns when the mind is loaded and who waits for it.  The model's files are `incarnation`'s, tokens
`inprocess`'s, residency `memory_manager`'s.  Nothing here may run on the image thread: loading and
activating read the image in turns of their own.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from batos import errors
from batos.config import Settings
from batos.heavy import importing
from batos.mind import experts, incarnation, profiles
from batos.mind.adapters import ColdExpert
from batos.mind.engine import Closed, Draft, Engine, Limits, Tell, each
from batos.mind.incarnation import EMBEDDED
from batos.mind.inprocess import TransformersEngine
from batos.mind.ledger import Ledger
from batos.mind.memory_manager import MemoryManager, Metrics
from batos.mind.personas import PERSONAS
from batos.mind.prefixes import ImageShelf
from batos.mind.primer import primer, wants_primer
from batos.objects import fuel

__all__ = ["EMBEDDED", "Draft", "Engine", "Limits", "Mind", "mind_of"]

log = logging.getLogger(__name__)
ANSWER = 512  # tokens of an answer in a conversation
IMPORTS = 600_000_000  # bytes that torch and transformers take, about
VOICES = frozenset(slots["expert"] for slots in PERSONAS.values() if slots["expert"])


def mind_of(image: Any, settings: Settings, *, metrics: Metrics | None = None, breaker: Any = None) -> Any:
    """The mind that thinks for the image: a server's where the settings name one, else the image's own.

    breaker  see `RemoteMind`
    """
    if settings.mind_url:
        from batos.mind.remote import RemoteMind

        return RemoteMind(settings, metrics=metrics, breaker=breaker)
    return Mind(image, settings, metrics=metrics)


class Either:
    """An event that is set when one of several is."""

    def __init__(self, *events: threading.Event | None):
        self._events = [event for event in events if event is not None]

    def is_set(self) -> bool:
        return any(event.is_set() for event in self._events)


class Mind:
    """The mind of an image, loaded in the background; an `Engine` that waits until it is there.

    metrics  called as metrics(event, value, **labels): "swap_ms" and "expert_hit" of the memory
             manager, "generation_ms" with drafts and tokens, "mind_loaded_ms"
    """

    answer_tokens = ANSWER

    def __init__(self, image: Any, settings: Settings | None = None, *, metrics: Metrics | None = None):
        self._image = image
        self._settings = settings or Settings()
        self._metrics = metrics or (lambda event, value, **labels: None)
        self._engine: TransformersEngine | None = None
        self._retired: list[TransformersEngine] = []  # of minds the image went away from, not yet let go
        self._failure: errors.BatosError | None = None
        self._thread: threading.Thread | None = None
        self._done = threading.Event()  # of the newest load
        self._stopping = threading.Event()
        self._changing = threading.Lock()
        # What the repository said, so that a swap needs no turn of the image.
        self._cold: dict[str, ColdExpert] = {}

    # loading

    def start_loading(self) -> None:
        """Begin to import torch and to load, once; returns at once."""
        with self._changing:
            if self._thread is None:
                self._begin()

    def change(self) -> None:
        """The image went to another mind: let this one go and load that, if one was loaded or loading.

        Who waits for the mind waits for the new one; a generation that is running ends on the old one.
        """
        with self._changing:
            if self._thread is None:
                return
            if self._engine is not None:
                self._retired.append(self._engine)
            before, self._done = self._done, threading.Event()
            self._engine, self._failure, self._cold = None, None, {}
            self._begin()
            before.set()  # who waited looks again

    def _begin(self) -> None:
        # A daemon that nobody joins: torch may be seconds from done when the image is told to sleep.
        work = (self._done, self._thread)
        self._thread = threading.Thread(target=self._load, args=work, name="mind", daemon=True)
        self._thread.start()

    def _load(self, done: threading.Event, before: threading.Thread | None) -> None:
        started = time.perf_counter()
        if before is not None:
            before.join()
        self._let_go()
        engine: TransformersEngine | None = None
        failure: errors.BatosError | None = None
        try:
            engine = self._incarnated()
        except errors.NoMind as exc:
            failure = exc
        except errors.BatosError as exc:
            failure = errors.NoMind(f"the mind could not be loaded: {exc}", hint=exc.hint)
        except ImportError as exc:
            failure = errors.NoMind(
                f"the mind needs a package that is not installed: {exc}", hint="install it: scripts/awaken"
            )
        except Exception as exc:
            if not self._stopping.is_set():
                log.exception("loading the mind failed")
            failure = errors.NoMind(
                f"the mind could not be loaded: {type(exc).__name__}: {exc}",
                hint="look at the image: python -m batos doctor",
            )
        with self._changing:
            if done is self._done:
                self._engine, self._failure = engine, failure
                done.set()
                if engine is not None:
                    self._metrics("mind_loaded_ms", (time.perf_counter() - started) * 1e3)
            elif engine is not None:  # the image went on to another mind meanwhile
                self._retired.append(engine)

    def _let_go(self) -> None:
        """Free the memory of retired minds, after the generation that still runs on one."""
        with self._changing:
            retired, self._retired = self._retired, []
        for engine in retired:
            engine.close(self._stopping)
        if retired:
            retired.clear()
            engine = None  # noqa: F841 - the last name that holds it
            # Models hold themselves in circles, and what the app froze the collector does not look at.
            gc.unfreeze()
            gc.collect()

    def _incarnated(self) -> TransformersEngine:
        profile = profiles.choose(self._settings)
        rank = incarnation.max_rank(self._image)
        # The engine's own first steps import too, so the lock is held until the first forward is done.
        files = sum(path.stat().st_size for path, _ in incarnation.base_files(self._image).values())
        # A method that runs meanwhile is not to be blamed for what this takes.
        announced = fuel.announced(IMPORTS + 2 * files)
        with announced, incarnation.load_folder(self._image) as folder, importing:
            import torch

            from batos.mind import loading

            cuda = bool(profile.vram_bytes) and torch.cuda.is_available()
            device = "cuda" if cuda else "cpu"
            ledger = Ledger(*(profile.budget if cuda else (profile.ram_bytes, "RAM")))
            spread = loading.plan_spread(folder, profile) if cuda else None
            if cuda:
                loading.cap_device(ledger)
            model, tokenizer = loading.load_model(folder, device=device, ledger=ledger, spread=spread)
            memory = MemoryManager(
                model,
                self._cold_expert,
                slots=profile.hot_slots,
                rank=max(rank, 1),
                warm_bytes=profile.warm_bytes,
                ledger=ledger,
                metrics=self._metrics,
            )
            engine = TransformersEngine(model, tokenizer, memory, ImageShelf(self._image, device))
            # What the first forward sets up nobody should wait for in a mission.
            engine.generate([tokenizer.eos_token or "a"], limits=Limits(max_tokens=2))
        return engine

    def _cold_expert(self, name: str) -> ColdExpert | None:
        expert = self._cold.get(name)
        if expert is None and (expert := experts.find_expert(self._image, name)) is not None:
            self._cold[name] = expert
        return expert

    def _voice(self, name: str | None) -> str | None:
        """The expert to speak with, asked of the image now: the memory manager should wait for no turn in its
        lock.  A persona that has no expert for this mind speaks with the base alone."""
        if not name:
            return None
        known = self._cold_expert(name.upper()) is not None
        return None if not known and name.upper() in VOICES else name.upper()

    def ready(self, timeout: float | None = None) -> bool:
        """Wait until loading has ended, well or not; True if there is a mind."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            done = self._done
            left = None if until is None else max(0.0, until - time.monotonic())
            if not done.wait(left) or done is self._done:
                return self._engine is not None

    @property
    def state(self) -> str:
        """ "asleep", "loading", "ready" or "failed"."""
        if self._engine is not None:
            return "ready"
        if self._failure is not None:
            return "failed"
        return "loading" if self._thread is not None else "asleep"

    @property
    def failure(self) -> errors.BatosError | None:
        """Why there is no mind, if loading has ended without one."""
        return self._failure

    def _awaited(
        self, deadline: float | None = None, cancel: threading.Event | None = None
    ) -> TransformersEngine:
        """The engine, once it is loaded.  Raises `NoMind`, `Deadline`, `Cancelled`."""
        self.start_loading()
        while True:
            with self._changing:
                done, engine, failure = self._done, self._engine, self._failure
            if engine is not None:
                return engine
            if failure is not None:
                raise errors.NoMind(str(failure), hint=failure.hint)
            if done.wait(0.02 if cancel else 0.2):
                continue
            if cancel is not None and cancel.is_set():
                raise errors.Cancelled("cancelled while the mind was still loading")
            if deadline is not None and time.monotonic() >= deadline:
                raise errors.Deadline(
                    "the time was up while the mind was still loading", hint="send it again"
                )
            if self._stopping.is_set():
                raise errors.Cancelled("the image is going to sleep")

    def stop(self) -> None:
        """Let waiters go and end the generation there is; loading is left to itself."""
        self._stopping.set()

    # thinking

    def generate(
        self,
        prompts: Sequence[str],
        expert: str | None | Sequence[str | None] = None,
        grammar: str | None | Sequence[str | None] = None,
        limits: Limits = Limits(),
        cancel: threading.Event | None = None,
        tell: Tell | None = None,
    ) -> list[Draft]:
        """`Engine.generate`, in the caller's thread, after the load and after whoever came before.

        A mind that was not trained on the dialect is told before each prompt in it how to answer.

        Raises besides `NoMind`, and `Deadline` or `Cancelled` when these come before it is loaded.
        """
        while True:
            engine = self._awaited(limits.deadline, cancel)
            voices = [self._voice(name) for name in each("expert", expert, len(prompts))]
            started = time.perf_counter()
            try:
                stop = Either(cancel, self._stopping)
                prefix = self._prefix(engine, prompts, expert)
                drafts = engine.generate(prompts, voices, grammar, limits, stop, tell, prefix)
                break
            except Closed:
                continue  # the image went to another mind between these lines
        self._metrics(
            "generation_ms",
            (time.perf_counter() - started) * 1e3,
            drafts=len(drafts),
            tokens=sum(len(draft.tokens) for draft in drafts),
        )
        return drafts

    def _prefix(self, engine: TransformersEngine, prompts: Sequence[str], expert: Any) -> str:
        """What a mind that never saw batos is told first: one text for the whole batch, the first persona's."""
        if engine.semantic or not prompts or not all(map(wants_primer, prompts)):
            return ""
        named = [name for name in each("expert", expert, len(prompts)) if name]
        text = primer(named[0].upper() if named else None)
        return text if 2 * engine.count(text) < engine.window else ""

    @property
    def converses(self) -> bool:
        """Whether this mind can talk: a chat model that was incarnated, and is loaded."""
        engine = self._engine
        return engine is not None and bool(getattr(engine.tokenizer, "chat_template", None))

    def converse(
        self,
        messages: list[dict[str, str]],
        persona: str | None = None,
        seconds: float = 60.0,
        tell: Callable[[str], None] | None = None,
        spent: Callable[[int, int], None] | None = None,
    ) -> str:
        """The next thing said in a conversation of `{"role", "content"}`, in the model's own chat form; who asks
        puts the persona's codex first.  What does not fit the window is left out of the middle.

        tell   told the text as it comes
        spent  told how many tokens were read and how many were written

        Raises `NoMind` where the mind cannot talk.
        """
        deadline = time.monotonic() + seconds
        engine = self._awaited(deadline)
        if not self.converses:
            raise errors.NoMind(
                f"{incarnation.model_id(self._image)} writes methods and cannot talk",
                hint="a mind that can: python -m batos incarnate DIR_OR_HUB_ID",
            )
        prompt = engine.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        limits = Limits(max_tokens=ANSWER, temperature=0.7, top_p=0.9, deadline=deadline, over="middle")
        heard = None if tell is None else lambda _, text: tell(text)
        (draft,) = self.generate([prompt], persona, None, limits, tell=heard)
        if spent is not None:
            spent(engine.count(prompt) - draft.cut, len(draft.tokens))
        return draft.text.strip()

    def activate(self, name: str, deadline: float | None = None) -> bool:
        """Make the expert hot; False if there is none of that name."""
        memory = self._awaited(deadline).memory
        return self._voice(name) is not None and memory.activate(name)

    def pin(self, name: str) -> bool:
        """Make the expert hot and keep it there until `unpin`; False if there is none of that name."""
        memory = self._awaited().memory
        return self._voice(name) is not None and memory.pin(name)

    def unpin(self, name: str) -> bool:
        """Let the expert be evicted again; False if it was not pinned so."""
        engine = self._engine  # another mind may come meanwhile
        return engine is not None and engine.memory.unpin(name)

    def prefetch(self, names: Iterable[str]) -> None:
        """Tell which experts a plan will need; nothing happens before the mind is loaded."""
        engine = self._engine
        if engine is not None:
            engine.memory.prefetch([voice for name in names if (voice := self._voice(name))])

    def refresh(self, names: Iterable[str]) -> None:
        """These experts were staged, renamed or removed: what is kept of them is dropped."""
        engine = self._engine
        for name in names:
            self._cold.pop(name.upper(), None)
            if engine is not None:
                engine.memory.forget(name)

    # looking at it

    def tier(self, name: str) -> str:
        """ "hot" or "warm" for an expert that is resident; "cold" for every other."""
        engine = self._engine
        return (engine is not None and engine.memory.resident(name)) or "cold"

    def describe(self) -> dict[str, Any]:
        """The mind as plain data: state, model, residency, ledger, counters."""
        model_id, digest = incarnation.identity(self._image)
        told: dict[str, Any] = {"state": self.state, "model_id": model_id, "digest": digest}
        failure, engine = self._failure, self._engine
        if failure is not None:
            told["failure"] = str(failure)
        about = engine.describe() if engine is not None else {}  # nothing of one that was let go just now
        if engine is not None and about:
            memory = engine.memory
            told |= about
            told |= {
                "experts": memory.residents(),
                "ledger": memory.ledger(),
                "counters": dict(memory.counters),
            }
        return told
