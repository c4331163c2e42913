"""What somebody reads whose method is refused: the line, the rule and what to write instead, by every face."""

from __future__ import annotations

import ast
import contextlib
import json
from pathlib import Path

import pytest

from batos import Client
from batos.errors import Refused
from batos.guardian import judge
from batos.guardian.remedies import REMEDIES, remedy
from batos.pages import pointed
from batos.repl import Conversation

GUARDIAN = Path(judge.__code__.co_filename).parent

# rule -> a method that meets it, and the line of it that is wrong
BAD = {
    "syntax": ("def a(self)\n    return 1\n", 1),
    "shape": ("x = 1\n", 1),
    "import": ("def a(self):\n    import os\n    return os.getcwd()\n", 2),
    "class": ("def a(self):\n    class B:\n        pass\n    return 1\n", 2),
    "async": ("async def a(self):\n    return 1\n", 1),
    "generator": ("def a(self):\n    yield 1\n", 2),
    "global": ("def a(self):\n    global x\n    x = 1\n", 2),
    "decorator": ("@property\ndef a(self):\n    return 1\n", 1),
    "dunder": ("def a(self):\n    return self.__class__\n", 2),
    "private-name": ("def a(self):\n    return self._secret\n", 2),
    "frame": ("def a(self, g):\n    return g.gi_frame\n", 2),
    "unknown-name": ("def a(self):\n    return balance\n", 2),
    "power": ("def a(self):\n    return datetime.datetime.now()\n", 2),
    "policy": ("def a(self):\n    try:\n        return 1\n    except* ValueError:\n        return 2\n", 2),
    "match-pattern": ("def a(self, x):\n    match x:\n        case math.pi:\n            return 1\n", 3),
    "too-large": ("def a(self):\n    return " + "+".join(["1"] * 7000) + "\n", None),
    "computed-name": ("def a(self, n):\n    setattr(self, n, 1)\n", 2),
    "covenant-line": ("def a(self):\n    self._p_changed = False\n", 2),
    "endless-loop": ("def a(self):\n    while True:\n        self.balance += 1\n", 2),
    "escape": ("def a(self):\n    return lambda: self.rows.append(1)\n", 2),
    "finally-exit": ("def a(self):\n    try:\n        self.x = 1\n    finally:\n        return 2\n", 5),
    "foreign-slot": ("def a(self, other):\n    other.balance = 1\n", 2),
    "rebinds-self": ("def a(self, other):\n    self = other\n    return self\n", 2),
    "unkeepable": ("def a(self):\n    self.f = lambda: 1\n", 2),
}
FOR_MISSIONS = {
    "selector",
    "unproved",
    "with-exit",
    "no-change",
    "needless-flag",
}  # no plain text meets them alone


def rules():
    """Every rule that the guardian names when it judges a text, read from its source."""
    found = set()
    for path in GUARDIAN.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in ("Finding", "refuse") and isinstance(node.args[0].value, str):
                    found.add(node.args[0].value)
    return found


def test_every_rule_has_a_remedy_and_a_text_here_that_meets_it():
    assert rules() <= set(REMEDIES), rules() - set(REMEDIES)
    assert rules() - FOR_MISSIONS <= set(BAD)
    assert all(sentence[0].islower() and sentence[-1] not in ".;" for sentence in REMEDIES.values())


@pytest.mark.parametrize("rule", BAD)
def test_the_verdict_names_line_rule_and_remedy(rule):
    source, line = BAD[rule]
    error = judge(source).refusal()
    assert (error.rule, error.line) == (rule, line)
    assert error.hint == f"{remedy(rule)}; then `define` it again"
    assert len(str(error)) > 15 and "Traceback" not in str(error)


def test_the_line_is_that_of_the_text_as_it_was_given():
    error = judge("\n\r\n\ndef a(self):\n    import os\n").refusal()
    assert error.line == 5


def test_a_face_points_at_the_line():
    error = Refused("no", line=2)
    assert pointed("def a(self):\n    import os  \n", error) == [
        "   2 |     import os",
        "     |     ^^^^^^^^^",
    ]
    assert pointed("x", Refused("no")) == pointed("x", Refused("no", line=7)) == []


@pytest.fixture(scope="module")
def account(awake):
    with Client(awake.endpoint) as client, contextlib.suppress(Exception):
        client.send("lobby", "clone", called="refused_account", balance=1, rows=[])
    return "refused_account"


@pytest.mark.parametrize("rule", BAD)
def test_the_wire_tells_line_rule_and_remedy(awake, account, rule):
    source, line = BAD[rule]
    with Client(awake.endpoint) as client, pytest.raises(Refused) as told:
        client.send(account, "define", source)
    wire = told.value.to_wire()
    assert (wire["code"], wire["rule"], wire.get("line")) == ("refused", rule, line)
    assert remedy(rule) in wire["hint"]


@pytest.mark.parametrize("rule", BAD)
def test_the_repl_tells_line_rule_and_remedy(awake, account, rule, capsys):
    source, line = BAD[rule]
    lines = iter(source.splitlines())
    with Client(awake.endpoint) as client:
        Conversation(client, lambda _: next(lines, "")).handle(f"define {account}")
    said = capsys.readouterr().err
    assert f"rule {rule}" in said and remedy(rule) in said
    if line is not None:
        assert f"line {line}" in said and "^" in said


@pytest.mark.parametrize("rule", ["syntax", "import", "unknown-name", "too-large"])
def test_the_command_line_tells_line_rule_remedy_and_the_next_command(awake, account, cli, tmp_path, rule):
    source, line = BAD[rule]
    file = tmp_path / "a.py"
    file.write_text("\n\n" + source)
    done = cli("--endpoint", awake.endpoint, "define", account, file)
    assert done.returncode == 1 and done.stdout == ""
    assert f"rule {rule}" in done.stderr and remedy(rule) in done.stderr
    assert f"define {account}" in done.stderr.splitlines()[-1]
    if line is not None:
        shown = source.splitlines()[line - 1]
        assert f"line {line + 2}" in done.stderr and shown in done.stderr and "^^^" in done.stderr
    told = json.loads(cli("--json", "--endpoint", awake.endpoint, "define", account, file).stdout)
    assert told["error"]["rule"] == rule and remedy(rule) in told["error"]["hint"]


def test_nothing_of_it_is_a_traceback(awake, account, cli):
    done = cli(
        "--endpoint",
        awake.endpoint,
        "define",
        account,
        "-",
        stdin="def a(self):\n    return self.__class__\n",
    )
    assert done.stderr.splitlines() == [
        "batos:    2 |     return self.__class__",
        "batos:      |     ^^^^^^^^^^^^^^^^^^^^^",
        "batos: line 2: '__class__': names with two underscores belong to the interpreter (rule dunder)",
        f"batos: hint: {remedy('dunder')}; then `define` it again",
        f"batos: next: python -m batos --endpoint {awake.endpoint} define {account} -",
    ]
    assert done.stdout == ""
