"""A remote mind: any server that speaks OpenAI's completions thinks for the image.

vLLM, llama.cpp, Ollama and their like: a persona is the model or adapter of that name on the server, or the
model itself where the server has none.  Grammars go along where the server takes them (`mind_grammar`); where it
does not, an answer is cut where it leaves its grammar, so that nobody downstream sees more than the grammar
allows.  One request a row, side by side: such servers batch by themselves.

Broken connections and busy servers are tried again (stamina); after a few failures in a row nobody waits for
the server any more until it had time to come back (pybreaker).  The key comes from `BATOS_MIND_KEY` or the
keyring and from nowhere else; it is never logged and never in the image.

The image keeps its own mind meanwhile: without `mind_url` in the settings it is the one again.
"""

from __future__ import annotations

import json
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from batos import errors
from batos.config import Settings
from batos.mind import network
from batos.mind.engine import Draft, Limits, Stop, Tell, each, stopped_by
from batos.mind.personas import PERSONAS
from batos.mind.primer import CODEX, primer, wants_primer

log = logging.getLogger(__name__)

KEY = "BATOS_MIND_KEY"
ATTEMPTS = 3
FAILURES = 3  # in a row before the server is left alone
REST = 20.0  # seconds it is left alone for
CONNECT = 5.0  # seconds until a server counts as not there
SILENCE = 60.0  # seconds between two tokens
ANSWER = 512  # tokens of an answer in a conversation
TRAINED = "batos-embedded"  # how models that were trained on the dialect are called: they need no primer
# What servers call themselves in `owned_by` of their models -> how they take a grammar.
GRAMMARS = {"vllm": "vllm", "llamacpp": "llama.cpp", "batos": "vllm"}
VOICES = frozenset(slots["expert"] for slots in PERSONAS.values() if slots["expert"])


@dataclass(slots=True)
class _Row:
    """One draft that a server writes."""

    index: int
    body: dict[str, Any]
    grammar: str | None
    text: str = ""
    logprob: float = 0.0
    read: int = 0  # tokens of the prompt, and `count` those of the text, as the server counts them where it does
    count: int = 0
    finish: str | None = None
    failure: Exception | None = None
    events: list[str] = field(default_factory=list)  # text not told yet
    done: threading.Event = field(default_factory=threading.Event)


class RemoteMind:
    """The mind of an image on a server; what `Mind` is to a model in this process.

    metrics  as of `Mind`: "generation_ms"
    breaker  keeps the state of the circuit breaker (pybreaker's `CircuitBreakerStorage`); None: this process does
    """

    converses = True
    answer_tokens = ANSWER

    def __init__(
        self, settings: Settings, *, metrics: Callable[..., None] | None = None, breaker: Any = None
    ):
        import pybreaker

        self._url = settings.mind_url.rstrip("/")
        self._wanted = settings.mind_model
        self._takes = settings.mind_grammar
        self._window = settings.mind_window
        self._metrics = metrics or (lambda event, value, **labels: None)
        self._models: dict[str, str] = {}  # upper-case name -> the server's own
        self._model: str | None = None
        self._client: Any = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._breaker = pybreaker.CircuitBreaker(
            FAILURES, REST, exclude=[_not_the_servers_fault], state_storage=breaker
        )
        self.failure: errors.BatosError | None = None

    # the server

    def start_loading(self) -> None:
        """Ask the server who it is, in the background."""
        threading.Thread(target=self._greet, name="mind", daemon=True).start()

    def _greet(self) -> None:
        try:
            self._known()
        except errors.BatosError as exc:
            log.warning("the remote mind does not answer: %s", exc)

    def _known(self) -> str:
        """The model to ask; the server is asked once which it has.  Raises `NoMind`."""
        with self._lock:
            if self._model is not None:
                return self._model
            try:
                with self._breaker.calling():
                    listed = self._models_of_the_server()
            except Exception as exc:
                self.failure = self._told(exc)
                raise self.failure from exc
            self._models = {each["id"].upper(): each["id"] for each in listed}
            model = self._models.get(self._wanted.upper()) if self._wanted else listed[0]["id"]
            if model is None:
                self.failure = errors.NoMind(
                    f"the server at {self._url} has no model {self._wanted!r}; it has "
                    f"{', '.join(sorted(self._models.values())[:5])}",
                    hint="set mind_model in batos.toml",
                )
                raise self.failure
            if self._takes == "auto":
                self._takes = GRAMMARS.get(str(listed[0].get("owned_by", "")), "none")
            self._model, self.failure = model, None
            return model

    def _models_of_the_server(self) -> list[dict[str, Any]]:
        for attempt in network.attempts(network.worth_another, ATTEMPTS, wait_max=2.0):
            with attempt:
                reply = self._http().get(f"{self._url}/models")
                reply.raise_for_status()
        listed = reply.json().get("data") or []
        if not listed:
            raise errors.NoMind(f"the server at {self._url} has no model", hint="let it serve one")
        return listed

    def _http(self) -> Any:
        import httpx2

        if self._client is None:
            key = _key(self._url)
            self._client = httpx2.Client(
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=httpx2.Timeout(SILENCE, connect=CONNECT),
                limits=httpx2.Limits(max_connections=64),
            )
        return self._client

    def _told(self, exc: Exception) -> errors.BatosError:
        """What went wrong between us and the server, in words."""
        import pybreaker

        if isinstance(exc, errors.BatosError):
            return exc
        status = getattr(getattr(exc, "response", None), "status_code", None)
        if status in (401, 403):
            return errors.NoMind(
                f"the server at {self._url} does not accept our key ({status})",
                hint=f"put it into {KEY}, or into the keyring: keyring set batos {self._url}",
            )
        what = (
            "is left alone for a while"
            if isinstance(exc, pybreaker.CircuitBreakerError)
            else "does not answer"
        )
        return errors.NoMind(
            f"the mind at {self._url} {what}: {type(exc).__name__}: {exc}",
            hint="is the server there? Without mind_url in batos.toml the image's own mind thinks",
            retryable=True,
        )

    # what `Mind` answers

    @property
    def state(self) -> str:
        return "ready" if self._model is not None else "failed" if self.failure is not None else "asleep"

    def ready(self, timeout: float | None = None) -> bool:
        """Whether the server answers; asked now."""
        try:
            self._known()
        except errors.BatosError:
            return False
        return True

    def stop(self) -> None:
        """Let waiters go and end the generations there are."""
        self._stopping.set()

    def change(self) -> None:
        """The image went to another mind of its own: nothing to this one."""

    def refresh(self, names: Iterable[str]) -> None:
        """Experts of the image changed: the server has its own."""

    def prefetch(self, names: Iterable[str]) -> None:
        """The server keeps its adapters where it wants."""

    def tier(self, name: str) -> str:
        return "cold"  # the image's experts are not in use

    def activate(self, name: str, deadline: float | None = None) -> bool:
        """Whether the server has a model or adapter of that name."""
        self._known()
        return name.upper() in self._models

    def pin(self, name: str) -> bool:
        """Raises `NoMind`: what is kept in memory is the server's to say."""
        raise errors.NoMind(
            f"the server at {self._url} decides itself which adapters it keeps", hint="python -m batos doctor"
        )

    unpin = pin

    def describe(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "state": self.state,
            "model_id": self._model or self._wanted or None,
            "digest": None,
            "server": self._url,
            "grammar": self._takes,
            "models": sorted(self._models.values()),
            "breaker": self._breaker.current_state,
        }
        return told | ({"failure": str(self.failure)} if self.failure is not None else {})

    def generate(
        self,
        prompts: Sequence[str],
        expert: str | None | Sequence[str | None] = None,
        grammar: str | None | Sequence[str | None] = None,
        limits: Limits = Limits(),
        cancel: Stop | None = None,
        tell: Tell | None = None,
    ) -> list[Draft]:
        """See `Engine.generate`.  The tokens of a draft are empty and its likelihood 0 where the server tells
        none; a prompt over the window is the server's to refuse, whatever `over` says."""
        model = self._known()
        if not prompts:
            return []
        rows = self._rows(prompts, expert, grammar, limits, model)
        started = time.perf_counter()

        def stopped() -> str | None:
            return "cancelled" if self._stopping.is_set() else stopped_by(limits, cancel)

        end = stopped()
        if end is None:
            try:
                with self._breaker.calling():
                    end = self._side_by_side(rows, stopped, tell)
            except Exception as exc:
                raise self._told(exc) from exc
        drafts = [_draft(row, end) for row in rows]
        took = (time.perf_counter() - started) * 1e3
        tokens = sum(row.count for row in rows)
        self._metrics("generation_ms", took, drafts=len(drafts), tokens=tokens)
        return drafts

    def converse(
        self,
        messages: list[dict[str, str]],
        persona: str | None = None,
        seconds: float = 60.0,
        tell: Callable[[str], None] | None = None,
        spent: Callable[[int, int], None] | None = None,
    ) -> str:
        """The next thing said in a conversation of `{"role", "content"}`; where it does not begin with rules of its
        own, a persona's codex goes first.

        tell   told the text as it comes
        spent  told how many tokens were read and how many were written, also of a call that broke
        """
        if persona is not None and persona.upper() in CODEX and messages[0]["role"] != "system":
            messages = [{"role": "system", "content": CODEX[persona.upper()]}, *messages]
        body = {
            "model": self._named(persona, self._known()),
            "messages": messages,
            "max_tokens": ANSWER,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        row = _Row(0, body, None)
        limits = Limits(deadline=time.monotonic() + seconds)
        heard = None if tell is None else lambda _, text: tell(text)
        try:
            with self._breaker.calling():
                self._side_by_side(
                    [row], lambda: stopped_by(limits, self._stopping), heard, "chat/completions"
                )
        except Exception as exc:
            raise self._told(exc) from exc
        finally:
            if spent is not None:
                spent(row.read or sum(len(each["content"].encode()) for each in messages) // 3, row.count)
        return row.text.strip()

    # rows

    def _rows(
        self, prompts: Sequence[str], expert: Any, grammar: Any, limits: Limits, model: str
    ) -> list[_Row]:
        count = len(prompts)
        experts = each("expert", expert, count)
        grammars = each("grammar", grammar, count)
        temperatures = each("temperature", limits.temperature, count)
        seeds = limits.seed
        if seeds is None:
            seeds = [random.getrandbits(31) for _ in prompts]
        elif isinstance(seeds, int):
            seeds = [seeds + place for place in range(count)]
        seeds = each("seed", seeds, count)
        if not all(prompts):
            raise errors.BadRequest("an empty prompt has no next token")
        dialect = all(map(wants_primer, prompts)) and not model.lower().startswith(TRAINED)
        named = next((name.upper() for name in experts if name), None)
        before = primer(named) if dialect else ""
        rows = []
        for place, prompt in enumerate(prompts):
            body = {
                "model": self._named(experts[place], model),
                "prompt": before + prompt,
                "max_tokens": limits.max_tokens,
                "temperature": float(temperatures[place]),
                "top_p": limits.top_p,
                "seed": seeds[place],
                "logprobs": 1,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
            if grammars[place] is not None:
                _compiled(grammars[place])  # one that is none is told here, whatever the server does with it
                if self._takes == "vllm":
                    body["structured_outputs"] = {"grammar": grammars[place]}
                elif self._takes == "llama.cpp":
                    body["grammar"] = grammars[place]
            rows.append(_Row(place, body, grammars[place]))
        return rows

    def _named(self, expert: str | None, model: str) -> str:
        """The server's name for a persona's adapter; the model itself where it has none for a persona."""
        if expert is None:
            return model
        known = self._models.get(expert.upper())
        if known is None and expert.upper() not in VOICES:
            raise errors.NoSuchObject(
                f"the server at {self._url} has no model or adapter {expert.upper()}",
                hint=f"it has {', '.join(sorted(self._models.values())[:5])}",
            )
        return known or model

    def _side_by_side(
        self,
        rows: list[_Row],
        stopped: Callable[[], str | None],
        tell: Tell | None,
        road: str = "completions",
    ) -> str | None:
        """Let the server write all rows; answers why it was stopped, or None.  Raises what a row raised.

        Threads of their own, because a stop is not to wait for a server that says nothing: they end with their
        connection, and what they write then nobody reads.
        """
        for row in rows:
            work = (row, stopped, road)
            threading.Thread(target=self._write, args=work, name="remote mind", daemon=True).start()
        end = None
        while True:
            end = stopped()
            waiting = [row for row in rows if not row.done.is_set()]
            for row in rows:
                while row.events:
                    text = row.events.pop(0)
                    if tell is not None:
                        tell(row.index, text)
            if end is not None or not waiting:
                break
            waiting[0].done.wait(0.01)
        for row in rows:
            if row.failure is not None and end is None:
                raise row.failure
        return end

    def _write(self, row: _Row, stopped: Callable[[], str | None], road: str) -> None:
        def worth_another(exc: Exception) -> bool:
            return stopped() is None and not row.text and network.worth_another(exc)

        try:
            for attempt in network.attempts(worth_another, ATTEMPTS, wait_max=2.0):
                with attempt:
                    self._stream(row, stopped, road)
        except Exception as exc:  # noqa: BLE001 - it is raised again by who waits for the row
            row.failure = exc
        row.done.set()

    def _stream(self, row: _Row, stopped: Callable[[], str | None], road: str) -> None:
        matcher = _compiled(row.grammar) if row.grammar is not None and self._takes == "none" else None
        with self._http().stream("POST", f"{self._url}/{road}", json=row.body) as reply:
            if reply.status_code >= 400:
                reply.read()
                _refused(reply)
            for event in _events(reply.iter_lines()):
                if stopped() is not None:
                    return
                if usage := event.get("usage"):
                    row.read, row.count = usage["prompt_tokens"], usage["completion_tokens"]
                for choice in event.get("choices") or ():
                    self._take(row, choice, matcher)
                    if row.finish is not None and matcher is not None:
                        return  # it left its grammar: the rest is not read
        row.finish = row.finish or "length"

    @staticmethod
    def _take(row: _Row, choice: dict[str, Any], matcher: Any) -> None:
        text = choice.get("text")
        if text is None:
            text = (choice.get("delta") or {}).get("content") or ""
        if matcher is not None and text:
            data = text.encode()
            allowed = matcher.validate_tokens(list(data))
            matcher.consume_tokens(list(data[:allowed]))
            if allowed < len(data):
                text = data[:allowed].decode(errors="ignore")
                row.finish = "stop" if matcher.is_accepting() else "length"
        row.text += text
        if text:
            row.events.append(text)
        told = choice.get("logprobs") or {}
        numbers = [one for one in told.get("token_logprobs") or () if one is not None]
        row.logprob += sum(numbers)
        row.count += len(numbers) or bool(text)
        if choice.get("finish_reason") and row.finish is None:
            row.finish = (
                choice["finish_reason"] if choice["finish_reason"] in ("stop", "length") else "length"
            )


def _draft(row: _Row, end: str | None) -> Draft:
    read = row.read or len(row.body["prompt"].encode()) // 3  # of a server that does not tell
    return Draft(row.text, (), row.logprob, row.finish or end or "length", read=read, written=row.count)


def _events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The data of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    for line in lines:
        if line.startswith("data:"):
            data = line[5:].strip()
            if data == "[DONE]":
                return
            yield json.loads(data)


def _refused(reply: Any) -> None:
    """Raise what a server means by its status."""
    words = reply.text[:500]
    try:
        told = reply.json()
        words = (told.get("error") or {}).get("message") or told.get("message") or words
    except (ValueError, AttributeError):
        pass
    status = reply.status_code
    if status in (400, 413, 422):
        long = any(word in words.lower() for word in ("context", "too long", "maximum", "window"))
        if long:
            raise errors.TooLarge(
                f"the prompt is over the window of the remote mind: {words}",
                hint="ask about a smaller object, or let the server have a larger window",
            )
        raise errors.BadRequest(f"the remote mind does not take the request: {words}")
    if status == 404:
        raise errors.NoSuchObject(f"the remote mind does not have that: {words}", hint="see mind_model")
    reply.raise_for_status()


def _not_the_servers_fault(exc: BaseException) -> bool:
    """What says nothing about whether the server is there."""
    kinds = (errors.BadRequest, errors.TooLarge, errors.NoSuchObject, errors.Cancelled, errors.Deadline)
    return isinstance(exc, kinds)


def _compiled(grammar: str) -> Any:
    """A matcher over bytes, for a server that knows no grammars; `BadRequest` for what is no grammar."""
    import llguidance

    compiled = llguidance.LLMatcher(
        llguidance.LLTokenizer("byte"), llguidance.LLMatcher.grammar_from_lark(grammar), log_level=0
    )
    if compiled.is_error():
        raise errors.BadRequest(f"the grammar does not compile: {compiled.get_error()}")
    return compiled


def _key(url: str) -> str | None:
    """The key for a server, from the environment or the keyring."""
    if os.environ.get(KEY):
        return os.environ[KEY]
    try:
        import keyring

        return keyring.get_password("batos", url)
    except Exception as exc:  # noqa: BLE001 - keyrings fail in as many ways as there are desktops
        log.debug("no keyring: %s", exc)
        return None
