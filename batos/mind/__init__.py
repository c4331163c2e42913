"""The Composite Mind at run time: one base model out of the image, experts beside it, one voice at a time.

`Mind` owns when the mind is loaded and who waits for it.  The model's files are `incarnation`'s, tokens
`engine`'s, residency `memory_manager`'s.  Nothing here may run on the image thread: loading and
activating read the image in turns of their own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

from batos import errors
from batos.config import Settings
from batos.heavy import importing
from batos.mind import incarnation
from batos.mind.engine import Draft, Engine, Limits, TransformersEngine, load_model
from batos.mind.incarnation import EMBEDDED
from batos.mind.memory_manager import ColdExpert, Ledger, MemoryManager, Metrics

__all__ = ["EMBEDDED", "Draft", "Engine", "Limits", "Mind"]

log = logging.getLogger(__name__)


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

    def __init__(self, image: Any, settings: Settings | None = None, *, metrics: Metrics | None = None):
        self._image = image
        self._settings = settings or Settings()
        self._metrics = metrics or (lambda event, value, **labels: None)
        self._engine: TransformersEngine | None = None
        self._failure: errors.BatosError | None = None
        self._thread: threading.Thread | None = None
        self._done = threading.Event()
        self._stopping = threading.Event()
        # What the repository said, so that a swap needs no turn of the image.
        self._cold: dict[str, ColdExpert] = {}

    # loading

    def start_loading(self) -> None:
        """Begin to import torch and to load, once; returns at once."""
        if self._thread is None:
            # A daemon that nobody joins: torch may be seconds from done when the image is told to sleep.
            self._thread = threading.Thread(target=self._load, name="mind", daemon=True)
            self._thread.start()

    def _load(self) -> None:
        started = time.perf_counter()
        try:
            self._engine = self._incarnated()
        except errors.NoMind as exc:
            self._failure = exc
        except errors.BatosError as exc:
            self._failure = errors.NoMind(f"the mind could not be loaded: {exc}", hint=exc.hint)
        except ImportError as exc:
            self._failure = errors.NoMind(
                f"the mind needs a package that is not installed: {exc}", hint="install it: scripts/awaken"
            )
        except Exception as exc:
            if not self._stopping.is_set():
                log.exception("loading the mind failed")
            self._failure = errors.NoMind(
                f"the mind could not be loaded: {type(exc).__name__}: {exc}",
                hint="look at the image: python -m batos doctor",
            )
        else:
            self._metrics("mind_loaded_ms", (time.perf_counter() - started) * 1e3)
        finally:
            self._done.set()

    def _incarnated(self) -> TransformersEngine:
        settings = self._settings
        rank = incarnation.max_rank(self._image)
        # The engine's own first steps import too, so the lock is held until the first forward is done.
        with incarnation.load_folder(self._image) as folder, importing:
            import torch

            cuda = torch.cuda.is_available()
            ledger = Ledger(*((settings.vram_bytes, "VRAM") if cuda else (settings.ram_bytes, "RAM")))
            model, tokenizer = load_model(folder, device="cuda" if cuda else "cpu", ledger=ledger)
            memory = MemoryManager(
                model,
                self._cold_expert,
                slots=settings.hot_slots,
                rank=max(rank, 1),
                warm_bytes=settings.warm_bytes,
                ledger=ledger,
                metrics=self._metrics,
            )
            engine = TransformersEngine(model, tokenizer, memory)
            # What the first forward sets up nobody should wait for in a mission.
            engine.generate([tokenizer.eos_token or "a"], limits=Limits(max_tokens=2))
        return engine

    def _cold_expert(self, name: str) -> ColdExpert | None:
        expert = self._cold.get(name)
        if expert is None and (expert := incarnation.find_expert(self._image, name)) is not None:
            self._cold[name] = expert
        return expert

    def _look_up(self, names: Iterable[str | None]) -> None:
        """Ask the image for these experts now: the memory manager should wait for no turn in its lock."""
        for name in {name.upper() for name in names if name}:
            self._cold_expert(name)

    def ready(self, timeout: float | None = None) -> bool:
        """Wait until loading has ended, well or not; True if there is a mind."""
        self._done.wait(timeout)
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
        while not self._done.wait(0.02 if cancel else 0.2):
            if cancel is not None and cancel.is_set():
                raise errors.Cancelled("cancelled while the mind was still loading")
            if deadline is not None and time.monotonic() >= deadline:
                raise errors.Deadline(
                    "the time was up while the mind was still loading", hint="send it again"
                )
            if self._stopping.is_set():
                raise errors.Cancelled("the image is going to sleep")
        if self._failure is not None:
            raise errors.NoMind(str(self._failure), hint=self._failure.hint)
        return self._engine

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
    ) -> list[Draft]:
        """`Engine.generate`, in the caller's thread, after the load and after whoever came before.

        Raises besides `NoMind`, and `Deadline` or `Cancelled` when these come before it is loaded.
        """
        engine = self._awaited(limits.deadline, cancel)
        self._look_up([expert] if expert is None or isinstance(expert, str) else expert)
        started = time.perf_counter()
        drafts = engine.generate(prompts, expert, grammar, limits, Either(cancel, self._stopping))
        self._metrics(
            "generation_ms",
            (time.perf_counter() - started) * 1e3,
            drafts=len(drafts),
            tokens=sum(len(draft.tokens) for draft in drafts),
        )
        return drafts

    def activate(self, name: str, deadline: float | None = None) -> bool:
        """Make the expert hot; False if there is none of that name."""
        memory = self._awaited(deadline).memory
        self._look_up([name])
        return memory.activate(name)

    def prefetch(self, names: Iterable[str]) -> None:
        """Tell which experts a plan will need; nothing happens before the mind is loaded."""
        if self._engine is not None:
            names = list(names)
            self._look_up(names)
            self._engine.memory.prefetch(names)

    def refresh(self, names: Iterable[str]) -> None:
        """These experts were staged or removed: what is kept of them is dropped."""
        for name in names:
            if self._engine is not None:
                self._engine.memory.forget(name)
            self._cold.pop(name.upper(), None)

    # looking at it

    def tier(self, name: str) -> str:
        """ "hot" or "warm" for an expert that is resident; "cold" for every other."""
        return (self._engine is not None and self._engine.memory.resident(name)) or "cold"

    def describe(self) -> dict[str, Any]:
        """The mind as plain data: state, model, residency, ledger, counters."""
        model_id, digest = incarnation.identity(self._image)
        told: dict[str, Any] = {"state": self.state, "model_id": model_id, "digest": digest}
        if self._failure is not None:
            told["failure"] = str(self._failure)
        if self._engine is not None:
            memory = self._engine.memory
            told |= self._engine.describe()
            told |= {
                "experts": memory.residents(),
                "ledger": memory.ledger(),
                "counters": dict(memory.counters),
            }
        return told
