"""The conversation with an image, line by line; how answers look is in `pages`.

It speaks through a *sender*, anything with `call(Message, tell) -> Reply`: a client over a socket, or the
kernel in the terminal that awakened it.  A line is one message, in Python's clothes or Smalltalk's:

    account.deposit(5)      account deposit 5       account.balance      account.balance = 5
    account?                account.deposit??       dry account deposit 5   log   undo   help

Lines are read as literals, never evaluated: whatever happens, happens in the image.  Without a
terminal the same lines come from standard input, data goes to stdout and words to stderr.
"""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from batos.errors import BadRequest, BatosError, Cancelled, NoSuchObject, NotUnderstood, Refused
from batos.message import Message, Reply, TellEvent
from batos.pages import (
    Growing,
    answered,
    changed,
    checks,
    described,
    is_object,
    is_rows,
    logged,
    past,
    pointed,
    readable,
    sentences,
    taken,
)

HELP = """\
account.deposit(5)      send a message; account deposit 5 is the same
account.balance         read a slot, or a method without arguments (nothing new is learned)
account.balance = 5     put a value into a slot; account.friend = shop.owner puts an object
account?                describe an object: its slots, parents and methods
account.deposit??       the source of a method
define account          write a method for account yourself; an empty line ends it
dry account.deposit(5)  try it: what it would answer and change; nothing is kept
at TID account.balance  ask the image as it was right after a transaction; `log` tells their ids
ask what is 17 * 23?    a question in your own words; the next one goes on from it
log, log 100            what changed the image, newest last: when, who and why
history account         who changed which slot and method of it; history account.deposit: one method
undo, undo ID, redo     take the last change back, or that of a message, mission or transaction; do it again
missions, mission ID    what is being thought about
pack, backup DIR, export DIR, doctor, doctor scrub        care
kernel senders deposit  who sends it; kernel implementors deposit, kernel references account
help, quit              this text; leave (also Ctrl-D).  Ctrl-C cancels what is waited for"""

GLANCE = 0.3  # seconds between looks at the mission that is waited for; shorter waits are not remarked on
FRESH = 2.0  # seconds a completion may be old
ENDED = ("COMPLETE", "FAILED", "CANCELLED")
WIDTH = 100  # columns of a table and of a value on one line
# Lines about the image and not to an object in it: how many words may follow.  An object of such a name is
# spoken to in Python's clothes: `log.add(5)`.
WORDS = {
    "help": (0, 0), "quit": (0, 0), "missions": (0, 0), "redo": (0, 0), "pack": (0, 0),
    "ask": (1, 5_000), "mission": (1, 1), "define": (1, 1), "describe": (1, 1), "backup": (1, 1), "export": (1, 1),
    "log": (0, 1), "undo": (0, 1), "doctor": (0, 1), "history": (1, 2),
}  # fmt: skip


class Sender(Protocol):
    def call(self, message: Message, tell: TellEvent | None = None) -> Reply:
        """The whole reply to one message; `tell` hears the events before it."""


# -- reading a line ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """What a line asks for.  `kind`: send source nothing, or one of `WORDS`, whose argument is `to`."""

    kind: str
    to: str = ""
    selector: str = ""
    args: list[Any] = field(default_factory=list)
    kw: dict[str, Any] = field(default_factory=dict)
    miss: str | None = None
    at: str | None = None
    dry: bool = False


def parse(text: str) -> Line:
    """Read one line.  Raises `BadRequest` with a sentence about what it cannot be."""
    text = text.strip()
    if match := _APART.match(text):
        return _apart(match, text)
    if not text or text.startswith("#"):
        return Line("nothing")
    kind, *words = text.split()
    kind = {"?": "help", "exit": "quit"}.get(kind, kind)
    least, most = WORDS.get(kind, (1, 0))
    if least <= len(words) <= most and not words[:1] == ["="]:
        return Line(kind, to=text.removeprefix(kind).strip() if kind == "ask" else " ".join(words))
    if match := re.fullmatch(r"([\w.]+)\s*(\?\??)", text):
        path, marks = match.groups()
        receiver, _, selector = path.rpartition(".")
        if marks == "??" and receiver:
            return Line("source", to=receiver, selector=selector)
        return Line("describe", to=path)
    try:
        tree = _tree(text)
    except _NOT_PYTHON:
        return _spoken(text)
    if len(tree.body) != 1:
        raise BadRequest("one message at a time")
    return _written(tree.body[0])


_APART = re.compile(r"(?:(dry)|at\s+((?:0x)?[0-9a-fA-F]{1,16}))\s+(?=[A-Za-z_])")


def _apart(match: re.Match[str], text: str) -> Line:
    """A line that keeps nothing: tried (`dry`), or sent to the past (`at TID`)."""
    line = parse(text[match.end() :])
    if line.kind == "send":
        return replace(line, dry=bool(match[1]), at=match[2])
    if match[2] and line.kind in ("describe", "source"):
        return replace(line, at=match[2])
    what = "tried" if match[1] else "sent to the past"
    raise BadRequest(
        f"only a message can be {what}, not {text[match.end() :][:60]!r}",
        hint="write dry account.deposit(5), or at TID account.balance",
    )


def incomplete(text: str) -> bool:
    """Whether a Python-like line has a bracket or a triple quote still open."""
    text = _APART.sub("", text.lstrip(), count=1)
    if not re.match(r"\s*[\w.]+\s*[(=]", text):
        return False
    try:
        _tree(text)
    except SyntaxError as exc:
        return "never closed" in exc.msg or "triple-quoted" in exc.msg
    except _NOT_PYTHON:
        pass
    return False


_NOT_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError)  # what `ast` says of a hostile line


def _tree(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\\d" is the user's own business
        return ast.parse(text)


def _written(statement: ast.stmt) -> Line:
    """Python's clothes: a call, an attribute, a name, or an assignment to one of them."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        path = _path(statement.targets[0])
        if path is not None:
            receiver, _, name = path.rpartition(".")
            return Line("send", receiver or "lobby", "put", [name, _literal(statement.value)])
    if isinstance(statement, ast.Expr):
        told = statement.value
        if isinstance(told, ast.Call) and (path := _path(told.func)) is not None:
            receiver, _, selector = path.rpartition(".")
            kw = {}
            for keyword in told.keywords:
                if keyword.arg is None:
                    raise BadRequest("arguments by name are written one by one, not as **")
                kw[keyword.arg] = _literal(keyword.value)
            return Line("send", receiver or "lobby", selector, [_literal(arg) for arg in told.args], kw)
        if (path := _path(told)) is not None:
            receiver, _, name = path.rpartition(".")
            # Reading is not asking: a slot that is not there is an error, never a mission.
            return Line("send", receiver, name, miss="error") if receiver else Line("describe", to=path)
    raise BadRequest(
        f"{ast.unparse(statement)[:60]!r} is no message",
        hint="write account.deposit(5), or account deposit 5; help says more",
    )


def _spoken(text: str) -> Line:
    """Smalltalk's clothes: receiver, selector, then values and name=value, with blanks between."""
    words = _words(text)
    if len(words) < 2 or not re.fullmatch(r"[\w.]+", words[0]) or not re.fullmatch(r"\w+:?", words[1]):
        raise BadRequest(
            f"{text[:60]!r} is no message",
            hint="write account.deposit(5), or account deposit 5; help says more",
        )
    args: list[Any] = []
    kw: dict[str, Any] = {}
    for word in words[2:]:
        name, equals, value = word.partition("=")
        if equals and name.isidentifier():
            kw[name] = _value(value)
        else:
            args.append(_value(word))
    return Line("send", words[0], words[1].rstrip(":"), args, kw)


def _words(text: str) -> list[str]:
    """Split at blanks that stand in no quotes and no brackets; quotes stay."""
    words, word, depth, quote = [], "", 0, ""
    for position, char in enumerate(text):
        if quote:
            if char == quote and text[position - 1] != "\\":
                quote = ""
        elif char in "\"'" and (depth or not word or word[-1] == "="):
            quote = char  # an apostrophe inside a word is only that
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char.isspace() and depth <= 0:
            words += [word] if word else []
            word = ""
            continue
        word += char
    if quote:
        raise BadRequest(f"a quotation in {text[:60]!r} never ends")
    return words + ([word] if word else [])


def _value(word: str) -> Any:
    """A value as it is spoken: a literal, or the word itself as text."""
    try:
        (statement,) = _tree(word.strip()).body
    except _NOT_PYTHON:
        return word
    if not isinstance(statement, ast.Expr) or isinstance(statement.value, ast.Attribute):
        return word
    if isinstance(statement.value, ast.Name) and statement.value.id not in _CONSTANTS:
        return word
    try:
        return _literal(statement.value)
    except BadRequest:
        return word  # 3/4, x-y: words


_CONSTANTS = {"true": True, "false": False, "null": None}


def _literal(node: ast.expr) -> Any:
    """A value without evaluating anything; the name or path of an object becomes a reference to it."""
    if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, str | int | float)):
        return node.value
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Dict) and all(isinstance(key, ast.Constant) for key in node.keys):
        return {str(key.value): _literal(value) for key, value in zip(node.keys, node.values, strict=True)}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        number = node.operand.value if isinstance(node.operand, ast.Constant) else None
        if type(number) in (int, float):
            return -number if isinstance(node.op, ast.USub) else number
    if isinstance(node, ast.Name) and node.id in _CONSTANTS:
        return _CONSTANTS[node.id]
    if (path := _path(node)) is not None:
        return {"$ref": path}
    raise BadRequest(f"{ast.unparse(node)[:60]!r} is neither a literal nor the name of an object")


def _path(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := _path(node.value)) is not None:
        return f"{before}.{node.attr}"
    return None


# -- the conversation -------------------------------------------------------------------------------


class Conversation:
    """One REPL: lines in, printed answers out.  `more(prompt)` gives a further line, or None at the end."""

    def __init__(self, sender: Sender, more: Callable[[str], str | None], colours: bool = False):
        self._sender = sender
        self._more = more
        self._colours = colours
        self._known: dict[str, tuple[float, list[str]]] = {}
        self._talk: dict[str, str] = {}  # which conversation `ask` goes on with
        self.failure = 0  # the exit code of the first line that failed

    def handle(self, text: str) -> bool:
        """Do what one line asks; False to leave."""
        try:
            line = parse(text)
            if line.kind == "quit":
                return False
            self._do(line)
        except BatosError as error:
            self.failure = self.failure or error.exit_code
            for words in sentences(error):
                self._say(words)
            if error.hint:
                self._say(f"hint: {error.hint}")
        return True

    def complete(self, text: str) -> tuple[str, list[str]]:
        """The unfinished word at the end of `text`, and what it may become, asked of the live objects."""
        text = _APART.sub("", text.lstrip(), count=1) if _APART.match(text.lstrip()) else text
        word = re.search(r"[\w.]*$", text)[0]
        path, dot, start = word.rpartition(".")
        if dot:
            names = self._understood(path)
        elif spoken := re.match(r"\s*([\w.]+)\s+\w*$", text):
            names = self._understood(spoken[1])
        else:
            names = self._understood("lobby", slots_only=True)
            if word == text.lstrip():
                names = [*names, *WORDS, "at", "dry"]
        return start, sorted({name for name in names if name.startswith(start)})

    def _do(self, line: Line) -> None:
        if line.kind == "help":
            print(HELP)
        elif line.kind == "send":
            self._send(line)
        elif line.kind == "describe":
            print(described(self._describe(line.to, line.at)))
        elif line.kind == "source":
            self._print_source(
                self._result(Message(line.to, "source", [line.selector], miss="error", at=line.at))
            )
        elif line.kind == "define":
            self._define(line.to)
        elif line.kind == "ask":
            self._ask(line.to)
        elif line.kind != "nothing":
            self._care(line.kind, line.to)

    def _care(self, kind: str, word: str) -> None:
        """A word about the image as a whole, which the receiver `kernel` answers."""
        if kind == "history":
            path, _, selector = word.rpartition(".")
            try:
                told = self._kernel(kind, *word.split())
            except NoSuchObject:
                if not path:
                    raise
                told = self._kernel(kind, path, selector)
            print(past(told))
        elif kind == "log":
            if word and not word.isdecimal():
                raise BadRequest(f"log takes how many changes to tell, not {word!r}", hint="log 100")
            print(logged(self._kernel(kind, *([int(word)] if word else []))))
        elif kind in ("undo", "redo"):
            words = "taken back" if kind == "undo" else "done again"
            print(taken(self._kernel(kind, *([word] if word else [])), words))
            self._known.clear()
        elif kind == "doctor":
            if word not in ("", "scrub"):
                raise BadRequest(f"the doctor takes no {word!r}", hint="doctor, or doctor scrub")
            print(checks(self._kernel(kind, *([True] if word else []))))
        elif kind in ("backup", "export"):
            print(readable(self._kernel(kind, os.path.abspath(os.path.expanduser(word)))))
        else:  # missions, mission ID, pack
            print(readable(self._kernel(kind, *([word] if word else []))))

    def _kernel(self, selector: str, *args: Any) -> Any:
        return self._result(Message("kernel", selector, list(args)))

    def _send(self, line: Line) -> None:
        began = time.monotonic()
        message = Message(
            line.to, line.selector, line.args, line.kw,
            id=uuid.uuid4().hex[:16], miss=line.miss, at=line.at, dry=line.dry,
        )  # fmt: skip
        try:
            reply = self._wait(message)
        except NotUnderstood as error:
            if line.miss == "error":
                error.hint = (
                    error.hint or f"{line.to}.{line.selector}() sends it as a message that may be learned"
                )
            raise
        if line.selector == "source" and isinstance(reply.result, str):
            self._print_source(reply.result)
        elif reply.result is not None:
            self._print(reply.result)
        if line.dry:
            print("\n".join(changed(reply.changes or [])) or "nothing would change")
        if reply.mission:
            self._say(
                f"learned {line.to}.{line.selector} in {time.monotonic() - began:.1f} s "
                f"(mission {reply.mission}); {line.to}.{line.selector}?? shows it"
            )
        self._known.clear()  # slots and selectors may be others now

    def _ask(self, question: str) -> None:
        """A question to the image; on a terminal its answer is seen as it grows."""
        message = Message("kernel", "ask", [question], dict(self._talk), id=uuid.uuid4().hex[:16], stream=self._colours)
        growing = Growing(sys.stdout) if self._colours else None
        waiting = True

        def tell(event: dict[str, Any]) -> None:
            if waiting:  # the mind may speak on where nobody waits for it any more
                growing.tell(event)

        try:
            told = dict(self._wait(message, tell if growing else None).result)
        finally:
            waiting = False
        self._talk = {"session": told.pop("session")}
        if growing:
            growing.end(told)
        else:
            print(answered(told))

    def _describe(self, path: str, at: str | None) -> Any:
        try:
            return self._result(Message(path, "describe", at=at))
        except NoSuchObject:
            receiver, _, name = path.rpartition(".")
            if not receiver:
                raise
            return self._result(Message(receiver, "versions", [name], miss="error", at=at))

    def _define(self, path: str) -> None:
        lines = []
        while line := self._more("... "):
            lines.append(line)
        source = "\n".join(lines) + "\n"
        try:
            self._print(self._result(Message(path, "define", [source])))
        except Refused as error:
            for words in pointed(source, error):
                self._say(words)
            raise
        self._known.clear()

    def _result(self, message: Message) -> Any:
        return self._wait(message).result

    def _wait(self, message: Message, tell: TellEvent | None = None) -> Reply:
        """The reply, or the error it holds.  Meanwhile says what the mission is doing; Ctrl-C cancels."""
        answer = _later(self._sender, message, tell)
        told = ""
        try:
            while True:
                try:
                    reply = answer.result(GLANCE)
                    break
                except TimeoutError:
                    if answer.done():  # the sender's own, not our glance's
                        raise
                    told = self._say_what_is_thought(message, told)
        except KeyboardInterrupt:
            reply = self._cancel(message, answer)
        if reply.error is not None:
            raise reply.error
        return reply

    def _say_what_is_thought(self, message: Message, told: str) -> str:
        reply = self._sender.call(Message("kernel", "missions", timeout=1.0))
        for mission in reversed(reply.result or []):
            state = mission.get("state", "")
            if (mission.get("to"), mission.get("send")) == (message.to, message.send) and state not in ENDED:
                now = f"mission {mission.get('id')} for {message.to}.{message.send}: {state}"
                if now != told:
                    self._say(now)
                return now
        return told

    def _cancel(self, message: Message, answer: Future[Reply]) -> Reply:
        try:
            self._sender.call(Message("kernel", "cancel", [message.id], timeout=1.0))
            return answer.result(1.0)
        except (BatosError, TimeoutError, KeyboardInterrupt):
            error = Cancelled("nobody waits for that message any more; the image may still finish it")
            return Reply(message.id, error=error)

    def _understood(self, path: str, slots_only: bool = False) -> list[str]:
        """Names of slots and selectors an object answers to, at most `FRESH` seconds old."""
        at, names = self._known.get(path, (0.0, []))
        if time.monotonic() - at < FRESH and names:
            return names
        names = []
        for question in ("slots",) if slots_only else ("slots", "selectors"):
            try:
                reply = self._sender.call(Message(path, question, timeout=1.0, miss="error"))
            except BatosError:
                continue
            for group in (reply.result or {}).values():
                names += [name for name in group if not name.startswith("_")]
        self._known[path] = time.monotonic(), names
        return names

    def _print(self, value: Any) -> None:
        flat = json.dumps(value, ensure_ascii=False)
        if isinstance(value, str) and "\n" in value:
            print(value)
        elif is_object(value):
            print(readable(value))
        elif len(flat) <= WIDTH:
            print(self._coloured(flat, "json"))
        elif isinstance(value, list) and is_rows(value):
            print(readable(value))
        else:
            print(self._coloured(json.dumps(value, ensure_ascii=False, indent=2), "json"))

    def _print_source(self, source: str) -> None:
        print(self._coloured(source.rstrip("\n"), "python"))

    def _coloured(self, text: str, language: str) -> str:
        if not self._colours:
            return text
        from pygments import highlight
        from pygments.formatters import TerminalFormatter
        from pygments.lexers import JsonLexer, PythonLexer

        return highlight(
            text, PythonLexer() if language == "python" else JsonLexer(), TerminalFormatter()
        ).rstrip("\n")

    @staticmethod
    def _say(words: str) -> None:
        print(words, file=sys.stderr, flush=True)


def run(sender: Sender, history: Path | None = None, stop: threading.Event | None = None) -> int:
    """Talk until Ctrl-D, `quit` or the end of input.  Answers 0; without a terminal, the exit code of the
    first line that failed.

    On the main thread SIGINT means "cancel this message" while it runs, whatever it meant before; once
    `stop` is set it ends the conversation, also one that waits for a key.
    """
    with _interruptible():
        if sys.stdin.isatty() and sys.stdout.isatty():
            _talk(sender, history, stop or threading.Event())
            return 0
        lines = iter(sys.stdin)
        conversation = Conversation(sender, lambda _: next(lines, "").rstrip("\n"))
        text = ""
        for line in lines:
            text += line
            if not incomplete(text):
                if not conversation.handle(text):
                    break
                text = ""
        sys.stdout.flush()
        return conversation.failure


def _talk(sender: Sender, history: Path | None, stop: threading.Event) -> None:
    """The terminal: editing, history, completion, colours."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.application import get_app
    from prompt_toolkit.completion import Completer, Completion, ThreadedCompleter
    from prompt_toolkit.document import Document
    from prompt_toolkit.filters import Condition
    from prompt_toolkit.history import FileHistory, InMemoryHistory
    from prompt_toolkit.lexers import PygmentsLexer
    from prompt_toolkit.patch_stdout import patch_stdout
    from pygments.lexers import PythonLexer

    class Live(Completer):
        def get_completions(self, document: Document, event: Any) -> Iterator[Completion]:
            start, names = conversation.complete(document.text_before_cursor)
            for name in names:
                yield Completion(name, start_position=-len(start))

    def more(prompt: str) -> str | None:
        return further.prompt(prompt)

    conversation = Conversation(sender, more, colours=True)
    further: PromptSession[str] = PromptSession(lexer=PygmentsLexer(PythonLexer))
    session: PromptSession[str] = PromptSession(
        history=FileHistory(str(history)) if _writable(history) else InMemoryHistory(),
        completer=ThreadedCompleter(Live()),  # the image may take its time; typing goes on
        complete_while_typing=False,  # a question per key press would keep the image busy for nothing
        lexer=PygmentsLexer(PythonLexer),
        multiline=Condition(lambda: incomplete(get_app().current_buffer.text)),
    )
    print("help says how; Ctrl-D leaves", file=sys.stderr)
    while not stop.is_set():
        try:
            with patch_stdout():  # what the image logs meanwhile appears above the line
                text = session.prompt("batos> ")
            if not conversation.handle(text):
                return
        except KeyboardInterrupt:
            continue
        except EOFError:
            return


def _later(sender: Sender, message: Message, tell: TellEvent | None) -> Future[Reply]:
    """The reply, while this thread is free to look around; a daemon, so that leaving never waits for it."""
    answer: Future[Reply] = Future()

    def ask() -> None:
        try:
            answer.set_result(sender.call(message, tell))
        except BaseException as exc:
            answer.set_exception(exc)

    threading.Thread(target=ask, name="batos-repl-message", daemon=True).start()
    return answer


@contextmanager
def _interruptible() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)


def _writable(history: Path | None) -> bool:
    try:
        if history is not None:
            history.touch(mode=0o600)  # what was typed is its owner's business
            return True
    except OSError:
        pass
    return False
