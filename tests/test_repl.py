"""The conversation: how lines are read, what is printed, and that it works in a terminal and without one."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest
from fake_image import image, server  # noqa: F401 - fixtures

from batos.errors import BadRequest
from batos.pages import readable
from batos.repl import HELP, WORDS, Conversation, Line, incomplete, parse, run

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@pytest.fixture
def talk(image, capsys):
    """`talk(line, ...)` -> (stdout, stderr) of a conversation with the image itself, no socket between."""

    def say(*lines):
        given = iter(lines)
        conversation = Conversation(image, lambda _: next(given, None))
        for line in given:
            if not conversation.handle(line):
                break
        told = capsys.readouterr()
        return told.out, told.err

    return say


# -- reading ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "args", "kw"),
    [
        ("account.deposit(5)", [5], {}),
        ("account deposit 5", [5], {}),
        ("account deposit: 5", [5], {}),
        ("  account.deposit( -5 , note = 'for Ada' ) ", [-5], {"note": "for Ada"}),
        ("account deposit -5 note='for Ada'", [-5], {"note": "for Ada"}),
        ('account deposit "5" five [1, 2] {"a b": (3, None)}', ["5", "five", [1, 2], {"a b": [3, None]}], {}),
        ("account.deposit([True, false, null, 1.5, {1: 'x'}])", [[True, False, None, 1.5, {"1": "x"}]], {}),
        ("account.deposit(shop.till, [lobby])", [{"$ref": "shop.till"}, [{"$ref": "lobby"}]], {}),
        ("account deposit true NaN 3/4 a.b it's", [True, "NaN", "3/4", "a.b", "it's"], {}),
        ("account.deposit('''two\nlines''')", ["two\nlines"], {}),
    ],
)
def test_a_message_reads_the_same_in_both_kinds_of_clothes(text, args, kw):
    assert parse(text) == Line("send", "account", "deposit", args, kw)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", Line("nothing")),
        ("# only a remark", Line("nothing")),
        ("help", Line("help")),
        ("exit", Line("quit")),
        ("missions", Line("missions")),
        ("mission m-1", Line("mission", "m-1")),
        ("define account", Line("define", "account")),
        ("account", Line("describe", "account")),
        ("account?", Line("describe", "account")),
        ("shop.till ?", Line("describe", "shop.till")),
        ("account.deposit??", Line("source", "account", "deposit")),
        ("account.balance", Line("send", "account", "balance", miss="error")),
        ("account balance", Line("send", "account", "balance")),
        ("account.balance = 5", Line("send", "account", "put", ["balance", 5])),
        ("account.friend = shop.till", Line("send", "account", "put", ["friend", {"$ref": "shop.till"}])),
        ("price = 5", Line("send", "lobby", "put", ["price", 5])),
        ("clone(called='x')", Line("send", "lobby", "clone", [], {"called": "x"})),
    ],
)
def test_every_form_of_the_help_is_read(text, line):
    assert parse(text) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("ask what is  17 * 23?", Line("ask", "what is  17 * 23?")),
        ("ask.me(5)", Line("send", "ask", "me", [5])),
        ("log", Line("log")),
        ("log 100", Line("log", "100")),
        ("undo", Line("undo")),
        ("undo m-1", Line("undo", "m-1")),
        ("redo", Line("redo")),
        ("history account", Line("history", "account")),
        ("history account deposit", Line("history", "account deposit")),
        ("backup /tmp/b", Line("backup", "/tmp/b")),
        ("doctor scrub", Line("doctor", "scrub")),
        ("dry account.deposit(5)", Line("send", "account", "deposit", [5], dry=True)),
        ("dry account deposit 5", Line("send", "account", "deposit", [5], dry=True)),
        ("dry account.balance = 5", Line("send", "account", "put", ["balance", 5], dry=True)),
        ("at 3fd1 account.balance", Line("send", "account", "balance", miss="error", at="3fd1")),
        ("at 0x3fd1 account?", Line("describe", "account", at="0x3fd1")),
        ("at 3fd1 account.deposit??", Line("source", "account", "deposit", at="3fd1")),
        # objects of these names are spoken to in Python's clothes
        ("log.add(5)", Line("send", "log", "add", [5])),
        ("log = 5", Line("send", "lobby", "put", ["log", 5])),
        ("dry.x()", Line("send", "dry", "x")),
        ("at = 5", Line("send", "lobby", "put", ["at", 5])),
        ("account at 5", Line("send", "account", "at", [5])),
    ],
)
def test_words_about_the_image_are_read_and_take_no_names_from_objects(text, line):
    assert parse(text) == line


@pytest.mark.parametrize("text", ["dry log", "dry account?", "at 3fd1 pack", "dry missions"])
def test_only_a_message_can_be_tried_or_sent_to_the_past(text):
    with pytest.raises(BadRequest, match="only a message"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    ["5", "a + b", "account.balance += 5", "a.b().c()", "a[1]", "f(*x)", "f(**x)", "lambda: 1", "a = b = 1",
     "x; y", "import os", "account.deposit(open('x').read())", "account.deposit(f'{1}')",
     "account.deposit(1 if 2 else 3)", "account.deposit(b'x')", "!", "(", "account -",
     'account deposit "open', "a.b.c(1+2)", "(" * 5000, "-" * 50_000, "[" * 300 + "]" * 300, "\0"],
)  # fmt: skip
def test_what_is_no_message_is_a_sentence_and_nothing_is_ever_evaluated(text):
    with pytest.raises(BadRequest):
        parse(text)


def test_a_line_goes_on_while_a_bracket_or_triple_quote_is_open():
    for text in (
        "account.put('x', [1,",
        "account.define('''def f(self):\n",
        "account.items = {",
        "account.deposit(",
        "dry account.deposit(",
        "at 3fd1 account.count([1,",
    ):
        assert incomplete(text)
    for text in ("account.deposit(5)", "account deposit [1", "it's", "account?", "", "(" * 5000):
        assert not incomplete(text)


# -- talking ----------------------------------------------------------------------------------------


def test_answers_are_printed_and_nothing_for_null(talk):
    out, err = talk(
        "account.deposit(5)", "account balance", "account.owner", "account.echo(null)", "account echo"
    )
    assert out == '5\n5\n"Ada"\n[]\n' and err == ""
    out, _ = talk("account.echo(shop.till)", "account.echo('two\\nlines')")
    assert out == "<shop.till 0x1f>\ntwo\nlines\n"


def test_long_answers_are_tables_or_indented(talk):
    rows = [{"name": "x" * 30, "size": number, "why": "y" * 60} for number in range(3)]
    out, _ = talk(f"account.echo({rows})")
    assert out.splitlines()[0].split() == ["name", "size", "why"] and len(out.splitlines()) == 4
    out, _ = talk(f"account.echo({list(range(60))})")
    assert json.loads(out) == list(range(60)) and out.count("\n") > 50


def test_describe_and_source_show_the_object_and_its_method(talk):
    out, _ = talk("account?", "account.deposit??", "account.source('deposit')")
    assert out.startswith("<account 0x1f>\nparents: <traits_obj 0x1>\nslots:\n  balance: 0\n  owner: Ada\n")
    assert re.search(r"^  deposit\(amount\)  1  +Ada  +2001-09-", out, re.MULTILINE)
    assert "\nmethods of <traits_obj 0x1>: clone slots\n" in out
    assert out.count("    self.balance = self.balance + amount") == 2


def test_putting_and_defining(talk, image):
    out, _ = talk(
        "account.balance = 7",
        "account balance",
        "define account",
        "def f(self):",
        "    return 1",
        "",
        "account f 1 2",
    )
    assert out.startswith("7\n7\n") and '"verdict": "repaired"' in out and out.endswith("2\n")
    assert image.heard[2].args == ["def f(self):\n    return 1\n"]


def test_a_message_is_tried_and_nothing_is_kept(talk):
    tried = "dry account.deposit(5)", "account.balance", "dry account.balance", "dry account.owner = 'Bob'"
    out, _ = talk(*tried)
    assert out.splitlines() == ["5", "account.balance: 0 -> 5", "0", "0", "nothing would change", '"Bob"',
                                'account.owner: "Ada" -> "Bob"']  # fmt: skip


def test_the_past_is_asked_by_the_id_of_a_transaction(talk, image):
    out, err = talk("at 3fd1 account.balance", "at 3fd1 account?")
    assert out.startswith("0\n<account 0x1f>\n") and err == ""
    heard = [(message.send, message.at) for message in image.heard]
    assert heard == [("balance", "3fd1"), ("describe", "3fd1")]


def test_log_undo_redo_and_history_are_words_of_the_conversation(talk, image):
    image.said["log"] = [
        {"message": "a-1", "time": 1.0e9, "tid": "03fd", "who": "Ada", "why": "deposit to account",
         "mission": None, "changes": 1, "undone": False},
        {"message": "a-2", "time": 1.0e9, "tid": "03fe", "who": "BRICK", "why": "deposit to account",
         "mission": "m-1", "changes": 2, "undone": True},
    ]  # fmt: skip
    image.said["undo"] = {"taken": [{"message": "a-1", "why": "deposit to account"}], "tid": "03ff"}
    image.said["redo"] = image.said["undo"]
    image.said["history"] = {
        "versions": [{"selector": "deposit", "version": 1, "author": "Ada", "time": 1.0e9,
                      "verdict": "accepted", "mission": None, "diff": "+def deposit(self):\n+    return 1"}],
        "changes": [{"time": 1.0e9, "who": "Ada", "why": "deposit to account", "mission": None, "tid": "03fd",
                     "slot": "balance", "before": None, "after": 5}],
    }  # fmt: skip
    lines = "log 2", "undo a-1", "undo", "redo", "history account", "history account deposit", "log many"
    out, err = talk(*lines)
    head, first, second, *rest = out.splitlines()
    assert head.split() == ["time", "message", "who", "why", "mission", "changes", "tid"]
    assert first.split()[2:] == ["a-1", "Ada", "deposit", "to", "account", "-", "1", "03fd"]
    assert second.split()[-3:] == ["m-1", "undone", "03fe"]
    assert rest[:3] == ["taken back: deposit to account (message a-1)"] * 2 + [
        "done again: deposit to account (message a-1)"
    ]
    assert re.match(r"deposit version 1: Ada, 2001-09-\S+ \S+, accepted$", rest[3])
    assert rest[4:6] == ["    +def deposit(self):", "    +    return 1"] and "balance: - -> 5" in rest[7]
    assert "log takes how many" in err
    asked = [(message.send, message.args) for message in image.heard]
    assert asked == [("log", [2]), ("undo", ["a-1"]), ("undo", []), ("redo", []), ("history", ["account"]),
                     ("history", ["account", "deposit"])]  # fmt: skip


def test_care_for_the_image_is_taken_in_the_conversation_too(talk, image, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    image.said["pack"] = {"before_bytes": 10, "after_bytes": 5}
    image.said["backup"] = image.said["export"] = {"bytes": 5}
    image.said["doctor"] = [{"check": "disk", "state": "ok", "detail": "5 GB free"}]
    out, err = talk("pack", "backup copies", "export ~/world", "doctor", "doctor scrub", "doctor who")
    assert out.startswith("before_bytes: 10\nafter_bytes: 5\nbytes: 5\nbytes: 5\nok    disk  5 GB free\n")
    assert "the doctor takes no 'who'" in err
    asked = [(message.send, message.args) for message in image.heard]
    assert asked == [("pack", []), ("backup", [str(tmp_path / "copies")]), ("export", ["/home/ada/world"]),
                     ("doctor", []), ("doctor", [True])]  # fmt: skip


def test_the_help_names_every_word():
    words = [word for word in [*WORDS, "at", "dry"] if word != "describe"]  # account? is shorter
    assert all(re.search(rf"(?m)(^|, ){word}\b", HELP) for word in words)


def test_errors_are_words_with_what_is_near_and_the_conversation_goes_on(talk):
    out, err = talk("account.depozit(5)", "nobody.x()", "5 +", "account.balance(1)", "account.owner")
    assert out == '"Ada"\n'
    assert 'account did not understand "depozit"\nnear: deposit\n' in err
    assert "there is no object 'nobody'\nnear: account, shop" in err
    assert "is no message\nhint: write account.deposit(5)" in err and "takes no arguments" in err


def test_reading_a_slot_that_is_not_there_starts_no_mission_and_says_how_to_ask(talk, image):
    _, err = talk("account.nope")
    assert "account.nope() sends it as a message" in err and image.heard[-1].miss == "error"


def test_a_mission_is_told_state_by_state_and_what_was_learned_at_the_end(talk):
    out, err = talk("account.dream_of_money()")
    assert out == '"dreamt"\n'
    assert re.findall(r"mission m-1 for account.dream_of_money: (\w+)", err)[-1] == "SYNTHESIZING"
    assert re.search(r"learned account.dream_of_money in \d\.\d s \(mission m-1\)", err)


ANSWER = {"answer": "In 1931 [1].", "road": "mind", "confidence": 0.8, "why": "its own words", "session": "talk-1",
          "sources": [{"source": "/garden.md", "start": 0, "end": 9, "text": "In 1931"}]}  # fmt: skip


def test_a_question_is_answered_with_what_it_rests_on_and_the_next_one_goes_on_from_it(talk, image):
    image.said["ask"] = ANSWER
    out, _ = talk("ask When was it planted?", "ask and by whom?")
    assert out == "In 1931 [1].\n\nby mind, confidence 0.8: its own words\n  /garden.md:0-9\n" * 2
    assert [(each.args, each.kw) for each in image.heard] == [
        (["When was it planted?"], {}), (["and by whom?"], {"session": "talk-1"}),
    ]  # fmt: skip


def test_on_a_terminal_an_answer_grows_and_falls_silent_once_nobody_waits(image, capsys):
    image.said["ask"] = ANSWER
    image.before["ask"] = [{"event": "draft", "answer": "The pear tree.", "road": "passage"},
                           *({"event": "tokens", "text": text} for text in ("In ", "1931 ", "[1]."))]  # fmt: skip
    conversation = Conversation(image, lambda _: None, colours=True)
    conversation.handle("ask When was it planted?")
    said = capsys.readouterr().out
    assert said.startswith("The pear tree.\n(a first draft, by passage; the mind is asked)\n\nIn 1931 [1].\n\nby mind")
    assert said.count("1931") == 1
    heard = image.listeners[image.heard[-1].id]
    heard({"event": "tokens", "text": "too late"})
    assert capsys.readouterr().out == ""


def test_ctrl_c_cancels_the_waiting_and_not_the_conversation(talk, image):
    def interrupt(message, tell=None):
        if message.send == "missions":
            raise KeyboardInterrupt
        return image_call(message, tell)

    image_call, image.call = image.call, interrupt
    out, err = talk("account.dream_of_money()", "account.owner")
    assert out == '"Ada"\n' and "cancelled by its sender" in err
    assert image.cancelled == [image.heard[0].id]


def test_completion_comes_from_the_live_objects(image):
    complete = Conversation(image, lambda _: None).complete
    assert complete("ac") == ("ac", ["account"])
    assert complete("") == ("", sorted(["account", "shop", *WORDS, "at", "dry"]))
    assert complete("dry ac") == ("ac", ["account"]) and complete("at 3fd1 account.de") == ("de", ["deposit"])
    assert complete("account.") == ("", ["balance", "clone", "deposit", "owner"])
    assert complete("account.de") == ("de", ["deposit"])
    assert complete("account de") == ("de", ["deposit"])
    assert complete("shop.till.c") == ("c", ["clone", "coins"])
    assert complete("account.deposit(sh") == ("sh", ["shop"])
    assert complete("nobody.x") == ("x", [])
    assert all(message.send in ("slots", "selectors") and message.miss == "error" for message in image.heard)


def test_pages_for_people():
    assert readable(None) == "null" and readable([]) == "none" and readable(5) == "5" and readable("") == ""
    assert readable({"a": {"b": [1, "x"]}, "c": []}) == "a:\n  b:\n    - 1\n    - x\nc: none"
    assert readable([{"a": 1}, {"b": "two"}]) == "a  b\n1\n   two"
    assert readable([{"a": 1, "b": "two\nlines"}]) == "- a: 1\n  b:\n    two\n    lines"
    told = readable(
        [{"since": time.mktime((2026, 1, 2, 3, 4, 5, 0, 0, -1)), "seconds": 0.123456789, "why": None}]
    )
    assert told.splitlines()[1].split() == ["2026-01-02", "03:04:05", "0.123457", "-"]


# -- without and with a terminal --------------------------------------------------------------------


def test_plain_lines_from_standard_input_over_the_socket(server):
    lines = (
        "account.deposit(5)\naccount.echo([1,\n2])\nnobody.x()\naccount balance\nquit\naccount.deposit(99)\n"
    )
    command = [sys.executable, "-m", "batos", "--endpoint", server.endpoint, "repl"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "5\n[1, 2]\n5\n" and "no object 'nobody'" in done.stderr
    assert done.returncode == 3  # of the first line that failed


def test_sigint_means_what_it_meant_again_after_the_conversation(image, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert run(image) == 0
    assert signal.getsignal(signal.SIGINT) is before


class Terminal:
    """A program in a pseudo-terminal, to type at and to read from."""

    def __init__(self, command, cwd):
        self.screen = ""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.environ |= {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "PYTHONPATH": ROOT}
            os.execv(command[0], command)

    def type(self, text):
        os.write(self.master, text.encode())

    def until(self, pattern, seconds=15.0):
        """Read until `pattern` has appeared since the last match."""
        deadline = time.monotonic() + seconds
        while not (match := re.search(pattern, self.screen)):
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no {pattern!r} in:\n{self.screen}"
            self.screen += re.sub(
                r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(self.master, 65536).decode(errors="replace")
            )
        self.screen = self.screen[match.end() :]
        return match

    def wait(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.master)
                return os.waitstatus_to_exitcode(status)
            if select.select([self.master], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):
                    self.screen += os.read(self.master, 65536).decode(errors="replace")
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError(f"it did not end:\n{self.screen}")


def test_a_terminal_completes_cancels_remembers_and_leaves(server, image, tmp_path):
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "live_image.fs").write_bytes(b"")
    (folder / "awake.json").write_text(
        json.dumps({"endpoint": server.endpoint, "pid": os.getpid(), "since": ""})
    )
    terminal = Terminal([sys.executable, "-m", "batos", "repl"], tmp_path)
    terminal.until("batos>")
    terminal.type("account.dep\t")
    terminal.until("osit")
    terminal.type("(5)\r")
    terminal.until(r"(?m)^5\s")
    terminal.type("account.deposit??\r")
    terminal.until("self.balance = self.balance")
    terminal.until("batos>")
    terminal.type("account.sleep(9)\r")
    time.sleep(0.6)
    terminal.type("\x03")  # Ctrl-C while it waits
    terminal.until("nobody waits")
    terminal.until("batos>")
    terminal.type("account.echo([1,\r2])\r")  # goes on on the next line
    terminal.until(r"\[1, 2\]")
    terminal.type("\x03")  # Ctrl-C at the prompt: a new line, no more
    terminal.until("batos>")
    terminal.type("\x04")  # Ctrl-D
    assert terminal.wait() == 0
    kept = folder / "repl_history"
    assert "account.deposit(5)" in kept.read_text() and kept.stat().st_mode & 0o077 == 0


def test_a_stop_from_elsewhere_ends_a_conversation_that_waits_for_a_key(tmp_path):
    story = f"""if True:
        import os, signal, sys, threading, time
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        from fake_image import FakeImage
        from batos.repl import run
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())

        def end():
            stop.wait()
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=end, daemon=True).start()
        sys.exit(run(FakeImage(), stop=stop))
    """
    terminal = Terminal([sys.executable, "-c", story], tmp_path)
    terminal.until("batos>")
    terminal.type("account.owner\r")
    terminal.until('"Ada"')
    terminal.until("batos>")
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.wait() == 0
