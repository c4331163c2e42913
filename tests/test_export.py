"""Export and rebuild: the world as text, an equal image from it, and nothing but data on the way.

More hostile exports than the suite has time for: `HOSTILE_EXPORTS=1000 scripts/test tests/test_export.py`.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from BTrees.LOBTree import LOBTree
from BTrees.OOBTree import OOBTree, OOTreeSet
from persistent import Persistent
from ZODB.blob import Blob

from batos.app import Image, birth, judge_in
from batos.config import Settings
from batos.errors import AlreadyAwake, Ambiguous, BatosError, Conflict, NoSuchFile, Refused
from batos.guardian.policy import compile_method
from batos.image import LivingImage
from batos.image.export import export
from batos.image.rebuild import import_
from batos.image.worldtext import MANIFEST, MARK, UNFINISHED
from batos.knowledge import Memory, telling
from batos.knowledge.embedding import LexicalEmbedder
from batos.mind import conception, incarnation
from batos.objects import Dict, List, Method, Set, UvmObject, send, use_compiler
from batos.objects.genesis import genesis
from scripts.hearing import hearing

DEPOSIT = "def deposit(self, n):\n    self.balance += n\n    return self.balance\n"


def small(directory: Path) -> LivingImage:
    """An image with the world's first objects and nothing else."""
    use_compiler(compile_method)
    return LivingImage.open(directory, Settings(image=directory), judge=judge_in, birth=genesis)


def whole(directory: Path) -> Image:
    return Image.open(directory, Settings(image=directory))


def named(root: Any, name: str, **slots: Any) -> UvmObject:
    return send(root["lobby"], "clone", (), {"called": name, **slots})


def again(image: Any, tmp_path: Path, **options: Any) -> tuple[Path, Path, dict[str, Any]]:
    """Export an image, import it, export the import: (first export, second export, the import's report)."""
    one, two = tmp_path / "one", tmp_path / "two"
    export(image, one)
    told = import_(one, tmp_path / "again", judge=judge_in, **options)
    with LivingImage.open(tmp_path / "again", Settings(image=tmp_path / "again"), judge=judge_in) as rebuilt:
        export(rebuilt, two)
    return one, two, told


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_same(one: Path, two: Path) -> None:
    first, second = contents(one), contents(two)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def assert_equal_worlds(one: LivingImage, two: LivingImage) -> int:
    """Walk both images side by side, without the export's code: the same values of the same types, and what is
    one thing in the first is one thing in the second.  Answers how many objects and containers were met."""
    with one.past(None) as first, two.past(None) as second:
        pairs: dict[int, Any] = {}
        backwards: dict[int, Any] = {}
        waiting: list[tuple[Any, Any, str]] = []
        met: list[tuple[Any, Any]] = []  # held, so that an id means one thing

        def meet(a: Any, b: Any, where: str) -> None:
            assert type(a) is type(b), where
            if isinstance(a, Blob):
                assert Path(a.committed()).read_bytes() == Path(b.committed()).read_bytes(), where
            elif isinstance(a, Persistent):
                if id(a) in pairs or id(b) in backwards:
                    assert pairs.get(id(a)) is b and backwards.get(id(b)) is a, f"{where} is another thing"
                    return
                pairs[id(a)], backwards[id(b)] = b, a
                waiting.append((a, b, where))
                met.append((a, b))
            elif isinstance(a, (tuple, list)):
                assert len(a) == len(b), where
                for number, (x, y) in enumerate(zip(a, b, strict=True)):
                    meet(x, y, f"{where}[{number}]")
            elif isinstance(a, dict):
                assert [str(key) for key in a] == [str(key) for key in b], where
                for (x, left), (y, right) in zip(a.items(), b.items(), strict=True):
                    meet(x, y, f"a key of {where}")
                    meet(left, right, f"{where}[{x!r}]")
            elif isinstance(a, (set, frozenset)):
                order = lambda each: (type(each).__name__, repr(each))  # noqa: E731
                meet(sorted(a, key=order), sorted(b, key=order), where)
            else:
                assert a == b or (a != a and b != b), f"{where}: {a!r} is not {b!r}"
                assert isinstance(a, int) or repr(a) == repr(b), where

        for name, obj in first.root().items():
            if isinstance(obj, UvmObject):
                meet(obj, second.root()[name], name)
        while waiting:
            a, b, where = waiting.pop()
            a._p_activate(), b._p_activate()
            if isinstance(a, UvmObject):
                assert a._p_oid == b._p_oid, where
                meet(dict(_ordered(a)), dict(_ordered(b)), where)
                meet([*a._parents()], [*b._parents()], f"the parents of {where}")
                for hidden in ("_name", "_born", "_prototype", "_reflectee"):
                    meet(a.__dict__.get(hidden), b.__dict__.get(hidden), f"{where}.{hidden}")
                meet(dict(a.__dict__.get("_methods", {})), dict(b.__dict__.get("_methods", {})), where)
            elif isinstance(a, Method):
                facts = [
                    (each.selector, each.current, each.primitive, each.versions, dict(each.probation))
                    for each in (a, b)
                ]
                assert facts[0] == facts[1], where
            elif isinstance(a, (List, Dict, Set)):
                meet(a.data, b.data, where)
            elif hasattr(a, "items"):
                meet(list(a.items()), list(b.items()), where)
            elif hasattr(a, "keys"):
                meet(list(a.keys()), list(b.keys()), where)
        return len(pairs)


def _ordered(obj: UvmObject) -> list[tuple[str, Any]]:
    """Data slots in their order, then parents in theirs: the two orders mean something, their mixture does not."""
    return sorted(obj._slots.items(), key=lambda item: item[0].endswith("*"))


def everything(root: Any) -> None:
    """One of each thing that an image can hold."""
    account = named(root, "account", balance=100, tags=["a", "b"], owner=None)
    send(account, "define", (DEPOSIT,))
    send(account, "define", (DEPOSIT.replace("n\n", "n * 1\n", 1),))
    send(account, "define", ("def gone(self):\n    return 1\n",))
    send(account, "forget", ("gone",))
    send(
        account,
        "define",
        ("def marked(self):\n    x = '''\n#~ not a mark\n#~~ nor this\n'''\n    return x\n",),
    )
    send(account, "revert", ("deposit", 1))
    savings = send(account, "clone", (), {"called": "savings", "balance": 5})
    anonymous = send(account, "clone", (), {"balance": 7})  # methods, but no name
    plainly = send(root["genesis_obj"], "clone", (), {"weight": 1.5})  # neither
    account.children = [anonymous, plainly, savings]
    send(savings, "adopt", (plainly,))
    send(savings, "adopt", (root["lobby"],))
    account.gone = "a slot where a method was"

    shared = List([1, 2])
    one = named(root, "one", shared=shared, twice=[shared, shared], tupled=(shared, (shared,)))
    named(root, "two", shared=shared, other=one)
    one.cycle = []
    one.cycle.append(one.cycle)
    one.myself = one
    one.round = {"there": {}}
    one.round["there"]["back"] = one.round
    deep: Any = "the bottom"
    for number in range(100):
        deep = [deep] if number % 2 else {"in": deep}
    one.deep = deep
    one.tuples = ((((1,), ()), [(2, [3])]), frozenset({1, (2, 3)}))

    zurich = datetime.timezone(datetime.timedelta(hours=1), "CET")
    now = datetime.datetime(2026, 3, 1, 12, 30, 5, 250)
    atoms = named(root, "atoms")
    atoms.numbers = [
        0,
        -1,
        True,
        False,
        1.0,
        -0.0,
        0.1,
        1e300,
        float("inf"),
        float("-inf"),
        float("nan"),
        2**70,
    ]
    atoms.huge = -(7**20_000)
    atoms.imaginary = [1j, complex("nan-infj")]
    atoms.exact = [decimal.Decimal("1.10"), decimal.Decimal("NaN"), fractions.Fraction(-1, 3)]
    atoms.texts = [
        "",
        "$ref",
        "ä\u202eö\u2028",
        "\ud800 alone",
        "\x00\x1f\x7f",
        "line\n" * 40,
        "no end\nof line" * 9,
    ]
    atoms.data = [b"", b"\x00\xff", bytes(range(256)) * 40]
    atoms.times = [
        now, now.date(), now.time(), now.replace(tzinfo=datetime.UTC), now.replace(tzinfo=zurich),
        now.replace(month=10, day=25, hour=2, tzinfo=zurich, fold=1), now.replace(fold=1),
        datetime.timedelta(days=999_999_999, microseconds=1), datetime.timedelta(microseconds=-1),
        datetime.time(1, 2, tzinfo=datetime.timezone(-datetime.timedelta(hours=3))), zurich, datetime.UTC,
    ]  # fmt: skip
    atoms.sets = [{1, "a", None, (1, 2), b"x"}, set(), {account, one}]
    atoms.keys = {
        1: "one",
        "1": "text",
        (1, "a"): 2,
        None: 3,
        "$ref": 4,
        1.5: 5,
        account: 6,
    }
    atoms.ref = {"$ref": "account"}
    atoms.empty = [[], {}, (), ""]

    tree = OOBTree({"b": [1], "a": {"x": one}, "c": (shared, {"plain": [1]})})
    forest = LOBTree({number: f"item {number}" for number in range(300)})
    named(root, "trees", tree=tree, same=tree, forest=forest, leaves=OOTreeSet(["x", "y"]), inner=[tree])
    blob = Blob(b"twelve bytes")
    named(root, "files", blob=blob, same=blob, equal=Blob(b"twelve bytes"), none=Blob(b""))

    if "mirrors_obj" in root:
        send(root["mirrors_obj"], "on_", (account,), {"called": "looking_glass"})
    root["lobby"].Account = named(root, "other_account")  # the same file name on some systems
    named(root, "größe", value=1)
    named(root, "con", value=2)
    root["lobby"].alias = account
    one.unnamed = UvmObject()
    one.unnamed._name = "called something"
    odd = Method("odd")
    for source in (
        "def odd(self): return 1",
        "def odd(self):\r\n    return 2\n",
        "\n\ndef odd(self):\n    return 3\n\n",
    ):
        odd.add_version(
            source, "a person", "accepted", mission="m-1", model={"id": "x", "digest": None}, repairs=[]
        )
    odd.probation = {3: {"state": "on", "calls": 2, "failed": 0, "kinds": ["int"], "why": None}}
    named(root, "odd_sources")._install(odd)
    root["orchestrator_obj"].missions["1"] = Dict({"id": "m-1", "send": "deposit", "states": ["IDLE"]})


@pytest.fixture
def full(tmp_path):
    """An image with everything in it, documents too."""
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "harbour.md").write_text(
        "# Harbour\n\nThe harbour master resigned after the storm broke the pier.\n"
    )
    (notes / "bread.html").write_text(
        "<h1>Bread</h1><p>Knead the dough until it is smooth, then let it rise.</p>"
    )
    with whole(tmp_path / "image") as image:
        Memory(image, LexicalEmbedder()).remember([str(notes)])
        with image.turn("everything") as root:
            everything(root)
        yield image


# -- what it reads like --------------------------------------------------------------------------------


def test_an_object_is_a_file_of_slots_and_one_of_python(tmp_path):
    with small(tmp_path / "image") as image:
        with image.turn("an account") as root:
            account = named(root, "account", balance=100, note="one line")
            send(account, "define", (DEPOSIT,))
        told = export(image, tmp_path / "text")
    assert (told["objects"], told["blobs"]) == (4, 0)
    slots = json.loads((tmp_path / "text/objects/account.json").read_text())
    assert slots["slots"] == {"balance": 100, "note": "one line"} and slots["parents"] == {
        "parent*": "traits_obj"
    }
    assert slots["methods"]["deposit"]["versions"][0]["author"] == "owner"
    made: dict[str, Any] = {}
    exec((tmp_path / "text/objects/account.py").read_text(), made)  # it is Python, whatever highlights it
    assert callable(made["deposit"])


def test_two_exports_of_the_same_image_are_the_same_and_the_second_touches_nothing(full, tmp_path):
    export(full, tmp_path / "one")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "one").rglob("*") if path.is_file()}
    time.sleep(0.02)
    assert export(full, tmp_path / "one") == export(full, tmp_path / "two")
    assert_same(tmp_path / "one", tmp_path / "two")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_change_of_one_slot_is_a_change_of_one_line(full, tmp_path):
    export(full, tmp_path / "one")
    before = contents(tmp_path / "one")
    with full.turn("pay in") as root:
        root.account.balance += 1
        root.account.children[1].weight = 2.5
    export(full, tmp_path / "one")
    after = contents(tmp_path / "one")
    changed = {
        name: _lines_changed(before[name], after[name]) for name in after if before[name] != after[name]
    }
    assert before.keys() == after.keys() and len(changed) == 3
    assert changed.pop(MANIFEST) <= 2 and set(changed.values()) == {
        1
    }  # the digest, perhaps the count of bytes


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_carries_an_export_and_shows_what_changed(full, tmp_path):
    def git(*words: str) -> str:
        who = ["-c", "user.name=a person", "-c", "user.email=person@example.org", "-c", "core.autocrlf=true"]
        return subprocess.run(
            ["git", *who, *words], cwd=tmp_path / "text", check=True, capture_output=True
        ).stdout.decode()

    export(full, tmp_path / "text")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one day")
    with full.turn("pay in") as root:
        root.account.balance += 1
    export(full, tmp_path / "text")
    assert re.search(r'^-  "balance": 100,\n\+  "balance": 101,$', git("diff"), re.MULTILINE)
    git("commit", "-qam", "the next day")
    git("checkout", "-q", "HEAD~1")
    import_(tmp_path / "text", tmp_path / "again", judge=judge_in)
    with whole(tmp_path / "again") as rebuilt:
        assert rebuilt.run("look", lambda root: root.account.balance) == 100


def test_a_new_object_before_the_others_renumbers_nobody(full, tmp_path):
    export(full, tmp_path / "one")
    before = contents(tmp_path / "one")
    with full.turn("a first child") as root:
        root.account.children.insert(0, UvmObject(root["genesis_obj"], weight=9))
    export(full, tmp_path / "one")
    after = contents(tmp_path / "one")
    changed = {name for name in before if before[name] != after[name]}
    new = {name for name in after.keys() - before.keys() if "__.json" in name}
    assert len(after) - len(before) == len(new) <= 1
    assert changed - {MANIFEST} <= {"objects/account.json", *(name for name in changed if "__.json" in name)}
    assert sum(_lines_changed(before[name], after[name]) for name in changed) < 20


def _lines_changed(before: bytes, after: bytes) -> int:
    import difflib

    diff = difflib.ndiff(before.decode().splitlines(), after.decode().splitlines())
    return sum(line.startswith("+ ") for line in diff)


# -- there and back ------------------------------------------------------------------------------------


def test_an_image_with_everything_in_it_comes_back_equal_and_its_export_byte_by_byte(full, tmp_path):
    one, two, told = again(full, tmp_path)
    assert told["refused"] == []
    assert_same(one, two)
    with LivingImage.open(tmp_path / "again", Settings(), judge=judge_in) as rebuilt:
        assert assert_equal_worlds(full, rebuilt) > 200


def test_a_newborn_image_with_the_embedded_mind_comes_back_equal(tmp_path):
    with whole(tmp_path / "image") as image:
        conception.ensure_embedded(image)
        one, two, told = again(image, tmp_path)
        assert_same(one, two)
        assert told["blobs"] > 3
        with whole(tmp_path / "again") as rebuilt:  # what its awakening adds is nothing of the world
            export(rebuilt, tmp_path / "three")
            assert incarnation.identity(rebuilt) == incarnation.identity(image)
            assert all(damage is None for _, damage in incarnation.scrub(rebuilt))
        assert_same(one, tmp_path / "three")


def test_recall_gives_the_same_answers_after_an_import(full, tmp_path):
    asked = ["who resigned after the storm", "dough", "nothing like it"]
    answers = [Memory(full, LexicalEmbedder()).recall(each) for each in asked]
    assert answers[0] and answers[1]
    export(full, tmp_path / "text")
    import_(tmp_path / "text", tmp_path / "again", judge=judge_in)
    with whole(tmp_path / "again") as rebuilt:
        memory = Memory(rebuilt, LexicalEmbedder())
        assert [memory.recall(each) for each in asked] == answers
        memory.forget(answers[0][0]["source"])  # the rebuilt index is a living one
        assert memory.recall(asked[0]) != answers[0]


def test_methods_of_an_import_run_and_keep_their_past(full, tmp_path):
    export(full, tmp_path / "text")
    import_(tmp_path / "text", tmp_path / "again", judge=judge_in)
    with whole(tmp_path / "again") as rebuilt, rebuilt.turn("pay in") as root:
        assert send(root.account, "deposit", (5,)) == 105
        assert send(root.account, "revert", ("deposit", 2)) == 2
        assert [each["author"] for each in send(root.account, "versions", ("deposit",))] == ["owner", "owner"]
        assert send(root.savings, "deposit", (1,)) == 6
        assert root.one.shared is root.two.shared and root.one.cycle[0] is root.one.cycle


def test_methods_that_clones_share_are_told_once_and_shared_again(tmp_path):
    with small(tmp_path / "image") as image:
        with image.turn("a crowd") as root:
            account = named(root, "account", balance=100)
            send(account, "define", (DEPOSIT,))
            named(root, "crowd", many=[send(account, "clone", (), {"balance": n}) for n in range(50)])
            send(root.crowd.many[7], "forget", ("deposit",))
            root.crowd.many[7].deposit = "a slot in its place"
        one, two, told = again(image, tmp_path)
    assert_same(one, two)
    assert [str(path.name) for path in one.rglob("*.py")] == ["account.py"]
    with small(tmp_path / "again") as rebuilt, rebuilt.turn("one of them learns") as root:
        first, *others = root.crowd.many
        send(first, "define", ("def deposit(self, n):\n    return 'mine'\n",))
        assert (send(first, "deposit", (1,)), send(others[1], "deposit", (1,))) == ("mine", 3)
        assert others[6].deposit == "a slot in its place"


def test_a_method_whose_parents_disagree_comes_back_too(tmp_path):
    with small(tmp_path / "image") as image:
        with image.turn("a family") as root:
            child, left, right = (named(root, name) for name in ("child", "left", "right"))
            for parent in (left, right):
                send(parent, "define", ("def helped(self):\n    return 1\n",))
                send(child, "adopt", (parent,))
            send(child, "disown", (right,))
            send(child, "define", ("def asked(self):\n    return self.helped() + 1\n",))
            send(child, "adopt", (right,))
        export(image, tmp_path / "text")
    assert import_(tmp_path / "text", tmp_path / "again", judge=judge_in)["refused"] == []
    with small(tmp_path / "again") as rebuilt, rebuilt.turn("make peace") as root:
        with pytest.raises(Ambiguous):
            send(root.child, "asked")
        send(root.child, "disown", (root.right,))
        assert send(root.child, "asked") == 2


def test_what_a_client_knows_by_its_oid_is_still_there(full, tmp_path):
    oid = full.run("look", lambda root: f"0x{int.from_bytes(root.account.children[1]._p_oid, 'big'):x}")
    export(full, tmp_path / "text")
    import_(tmp_path / "text", tmp_path / "again", judge=judge_in)
    with small(tmp_path / "again") as rebuilt:
        assert rebuilt.run("look", lambda root: root.by_oid(oid).weight) == 1.5
        with rebuilt.turn("new ones") as root:  # and nothing new takes an oid that is taken
            for number in range(100):
                named(root, f"new_{number}", items=[number])
        export(rebuilt, tmp_path / "later")
        before, after = contents(tmp_path / "text"), contents(tmp_path / "later")
        assert before["objects/account.json"] == after["objects/account.json"]


def test_an_attribute_that_nobody_says_how_to_tell_is_no_silent_loss(tmp_path):
    with small(tmp_path / "image") as image:
        with image.turn("a part of the future") as root:
            root["genesis_obj"]._index = [1, 2, 3]
        with pytest.raises(Refused, match=r"'_index' of genesis_obj"):
            export(image, tmp_path / "text")


# -- while the image lives -----------------------------------------------------------------------------


def test_an_export_tells_one_moment_while_messages_go_on_and_none_waits_long(tmp_path):
    with small(tmp_path / "image") as image:
        with image.turn("two accounts") as root:
            for name in ("left", "right"):
                named(root, name, balance=500)
            named(root, "crowd", many=[UvmObject(number=number) for number in range(3_000)])
        ended, waited = threading.Event(), []

        def move(root: Any) -> None:
            root.left.balance -= 1
            root.right.balance += 1

        def busy() -> None:
            while not ended.is_set():
                began = time.monotonic()
                image.run("move", move)
                waited.append(time.monotonic() - began)

        worker = threading.Thread(target=busy)
        worker.start()
        try:
            for number in range(3):
                export(image, tmp_path / f"text{number}")
        finally:
            ended.set()
            worker.join()
        for number in range(3):
            balances = [
                json.loads((tmp_path / f"text{number}/objects/{name}.json").read_text())["slots"]["balance"]
                for name in ("left", "right")
            ]
            assert sum(balances) == 1000
        assert len(waited) > 10 and sorted(waited)[len(waited) // 2] < 0.25


def test_an_export_over_an_earlier_one_removes_what_is_gone(full, tmp_path):
    export(full, tmp_path / "text")
    with full.turn("forget") as root:
        send(root["lobby"], "forget", ("files",))
        send(root["lobby"], "forget", ("trees",))
    export(full, tmp_path / "text")
    export(full, tmp_path / "fresh")
    assert_same(tmp_path / "text", tmp_path / "fresh")


def test_a_folder_with_a_file_of_somebody_else_is_left_alone(tmp_path):
    with small(tmp_path / "image") as image:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine/thesis.txt").write_text("years of work")
        with pytest.raises(Refused, match=r"thesis\.txt"):
            export(image, tmp_path / "mine")
        assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
        (tmp_path / "other").mkdir()
        (tmp_path / "other/manifest.json").write_text('{"name": "of a program of mine"}')
        with pytest.raises(Refused, match=r"manifest\.json"):
            export(image, tmp_path / "other")
        export(image, tmp_path / "text")
        (tmp_path / "text/objects/notes.txt").write_text("mine")
        with pytest.raises(Refused, match=r"notes\.txt"):
            export(image, tmp_path / "text")
        (tmp_path / "text/objects/notes.txt").unlink()
        (tmp_path / "text/.git").mkdir()
        (tmp_path / "text/.git/config").write_text("git's own")
        (tmp_path / "text/README.md").write_text("why this image is here")
        export(image, tmp_path / "text")
        assert (tmp_path / "text/.git/config").exists() and (tmp_path / "text/README.md").exists()
        import_(tmp_path / "text", tmp_path / "again", judge=judge_in)


def test_a_link_in_the_folder_is_never_written_through(tmp_path):
    with small(tmp_path / "image") as image:
        export(image, tmp_path / "text")
        shutil.rmtree(tmp_path / "text/objects")
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "text/objects").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(Refused, match="is a link"):
            export(image, tmp_path / "text")
        assert not any((tmp_path / "elsewhere").iterdir())


def test_a_slot_that_has_no_form_as_text_is_named(tmp_path):
    from BTrees.Length import Length

    with small(tmp_path / "image") as image:
        with image.turn("strange") as root:
            named(root, "odd", length=Length(3))
        with pytest.raises(Refused, match=r"'length' of odd"):
            export(image, tmp_path / "text")


def _export_slowly(image: str, text: str) -> None:
    with small(Path(image)) as opened:
        export(opened, Path(text))


@pytest.mark.parametrize("after", [0.0, 0.02, 0.1])
def test_an_export_that_is_killed_is_no_export_and_the_next_one_completes_it(tmp_path, after):
    with small(tmp_path / "image") as image, image.turn("many") as root:
        for number in range(300):
            send(
                named(root, f"thing_{number}", n=number),
                "define",
                (f"def f(self):\n    return {number}\n",),
            )
    child = multiprocessing.get_context("fork").Process(
        target=_export_slowly, args=(str(tmp_path / "image"), str(tmp_path / "text"))
    )
    child.start()
    while child.is_alive() and not (tmp_path / "text" / UNFINISHED).exists():
        time.sleep(0.001)
    time.sleep(after)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    if child.exitcode == -signal.SIGKILL and (tmp_path / "text" / UNFINISHED).exists():
        with pytest.raises(Refused, match="cut short"):
            import_(tmp_path / "text", tmp_path / "again", judge=judge_in)
    with small(tmp_path / "image") as image:
        export(image, tmp_path / "text")
        export(image, tmp_path / "fresh")
    assert_same(tmp_path / "text", tmp_path / "fresh")


@pytest.mark.parametrize("step", [0, 1])
def test_cut_short_at_the_first_file_it_is_completed_too(tmp_path, monkeypatch, step):
    class Killed(BaseException):
        pass

    def write_half(path, text):
        path.write_bytes(text.encode()[:1])
        raise Killed

    def never(*_):
        raise Killed

    with small(tmp_path / "image") as image:
        with monkeypatch.context() as cut, pytest.raises(Killed):
            cut.setattr(*((Path, "write_text", write_half), (os, "replace", never))[step])
            export(image, tmp_path / "text")
        export(image, tmp_path / "text")
        export(image, tmp_path / "fresh")
    assert_same(tmp_path / "text", tmp_path / "fresh")


# -- what an import refuses ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A small export with one of most kinds of files."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / "note.md").write_text("# Harbour\n\nThe harbour master resigned after the storm.\n")
    with whole(folder / "image") as image:
        Memory(image, LexicalEmbedder()).remember([str(folder / "note.md")])
        with image.turn("some") as root:
            account = named(root, "account", balance=100, tags=["a", "b"], when=datetime.date(2026, 1, 1))
            send(account, "define", (DEPOSIT,))
            account.shared = List([1])
            account.twice = [account.shared, (1, {2}), {3: b"x"}]
            account.child = send(account, "clone")
            account.tree = OOBTree({"a": [account], "b": 2})
            account.plain = UvmObject(root["genesis_obj"], text="line\n" * 30, long=b"0" * 5000)
            account.file = Blob(b"a blob")
        export(image, folder / "text")
    return folder / "text"


@pytest.fixture
def text(exported, tmp_path):
    """A copy of it to be spoilt."""
    return Path(shutil.copytree(exported, tmp_path / "text"))


def refusal(text: Path, directory: Path, **options: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        import_(text, directory, judge=judge_in, **options)
    assert not (directory / "live_image.fs").exists() and not (directory / "import.part").exists()
    return caught.value


def edit(file: Path, old: str, new: str) -> None:
    before = file.read_text()
    assert old in before
    file.write_text(before.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("objects/account.json", '"balance": 100', '"balance": 1e', "account.json.*column"),
        ("objects/account.json", '"balance": 100', '"balance": NaN', "NaN"),
        (
            "objects/account.json",
            '"balance": 100',
            '"balance": 1, "balance": 2',
            "'balance' stands there twice",
        ),
        ("objects/account.json", '"balance": 100', '"balance": {"$ref": "nobody"}', "slots.balance.*nobody"),
        ("objects/account.json", '"balance": 100', '"balance": {"$ref": "../../etc"}', "slots.balance"),
        ("objects/account.json", '"balance": 100', '"balance": {"$pickle": "gASV"}', "slots.balance.*pickle"),
        (
            "objects/account.json",
            '"balance": 100',
            '"balance": {"$blob": "../../../etc/passwd"}',
            "no sha256",
        ),
        ("objects/account.json", '"balance": 100', '"balance": {"$date": "yesterday"}', "slots.balance"),
        ("objects/account.json", '"balance": 100', '"balance": {"$fraction": "1e999999999"}', "no fraction"),
        (
            "objects/account.json",
            '"balance": 100',
            '"balance": {"$zone": "../../../etc/passwd"}',
            "slots.balance",
        ),
        ("objects/account.json", '"balance": 100', '"balance": {"$dict": [[[], 1]]}', "slots.balance"),
        (
            "objects/account.json",
            '"balance": 100',
            '"balance": ' + "[" * 3000 + "]" * 3000,
            "too deep|recursion",
        ),
        ("objects/account.json", '"balance": 100', '"_p_jar": 100', "slots._p_jar"),
        ("objects/account.json", '"balance": 100', '"define": 100', "define"),
        ("objects/account.json", '"balance": 100', '"deposit": 100', "deposit"),
        ("objects/account.json", '"slots"', '"__class__"', "__class__"),
        ("objects/account.json", '"traits_obj"', '"no_traits"', r"parents.parent\*.*no_traits"),
        ("objects/account.json", '"oid": "0x', '"oid": "0', "oid"),
        ("objects/account.json", '"oid": "0x', '"oid": "0xfffffffffffff', "oid"),
        ("objects/account.json", '"installed": 1', '"installed": 2', "methods.deposit"),
        ("objects/account.py", "self.balance += n", "self.balance += 2 * n", "digest"),
        ("objects/account.py", MARK + "deposit", MARK + "withdraw", "deposit"),
        ("objects/traits_obj.json", '"primitive": "clone"', '"primitive": "os.system"', "os.system"),
        ("root.json", '"lobby": "lobby"', '"lobby": "0x1234567"', "root.json"),
        ("root.json", '"schema": ', '"schema": 99', "newer"),
        (MANIFEST, '"format": 1', '"format": 2', "newer"),
        (MANIFEST, '"digest": "', '"digest": "0', "not those"),
    ],
)
def test_what_is_not_as_an_export_writes_it_is_refused_by_file_and_field(
    text, tmp_path, name, old, new, says
):
    edit(text / name, old, new)
    assert re.search(says, str(refusal(text, tmp_path / "again")))


def test_an_edit_is_noticed_and_taken_where_it_is_meant(text, tmp_path):
    edit(text / "objects/account.json", '"balance": 100', '"balance": 777')
    edit(text / "objects/account.py", "balance += n", "balance += 2 * n")
    assert "deposit" in str(refusal(text, tmp_path / "again"))
    assert import_(text, tmp_path / "again", judge=judge_in, edited=True)["refused"] == []
    with whole(tmp_path / "again") as image, image.turn("pay in") as root:
        assert send(root.account, "deposit", (1,)) == 779
        assert send(root.account, "versions", ("deposit",))[0]["author"] == "import"


def test_a_verdict_in_the_text_is_not_believed(text, tmp_path):
    source = text / "objects/account.py"
    edit(source, "self.balance += n", "import os; os.system('touch ' + n)")
    told = import_(text, tmp_path / "again", judge=judge_in, edited=True)
    assert [(each["object"], each["selector"], each["rule"]) for each in told["refused"]] == [
        ("account", "deposit", told["refused"][0]["rule"])
    ]
    with whole(tmp_path / "again") as image, image.turn("pay in") as root:
        assert not send(root.account, "responds_to", ("deposit",))
        assert send(root.account, "versions", ("deposit",))[0]["verdict"] == "refused"


def test_a_method_without_its_flags_is_repaired_on_its_way_in(text, tmp_path):
    edit(text / "objects/account.py", "    self._p_changed = True\n", "")
    edit(text / "objects/account.py", "self.balance += n", "self.tags.append(n)")
    import_(text, tmp_path / "again", judge=judge_in, edited=True)
    with whole(tmp_path / "again") as image, image.turn("look") as root:
        assert [each["author"] for each in send(root.account, "versions", ("deposit",))] == [
            "import",
            "import",
        ]
        assert "_p_changed" in send(root.account, "source", ("deposit",))


@pytest.mark.parametrize(
    "how", ["cut", "empty", "missing", "link", "foreign", "of nobody", "not text", "a pipe"]
)
def test_a_file_that_is_cut_missing_or_no_file_is_named(text, tmp_path, how):
    file = text / "objects/account.json"
    if how == "cut":
        file.write_bytes(file.read_bytes()[:100])
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "not text":
        file.write_bytes(file.read_bytes().replace(b"100", b"\xff\xfe"))
    elif how == "foreign":
        (text / "objects/account.pickle").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    elif how == "of nobody":
        (text / "objects/no_account.py").write_text(f"{MARK}deposit\ndef deposit(self): pass\n")
    else:
        file.unlink()
        if how == "link":
            file.symlink_to("/etc/passwd")
        elif how == "a pipe":
            os.mkfifo(file)
    assert "account" in str(refusal(text, tmp_path / "again"))


def test_a_blob_with_other_bytes_is_refused(text, tmp_path):
    (blob,) = (
        path for path in (text / "blobs").rglob("*") if path.is_file() and path.read_bytes() == b"a blob"
    )
    blob.write_bytes(b"a blot")
    assert blob.name in str(refusal(text, tmp_path / "again", edited=True))


def test_an_image_that_is_there_is_refused_asleep_or_awake(text, tmp_path):
    import_(text, tmp_path / "again", judge=judge_in)
    before = (tmp_path / "again/live_image.fs").read_bytes()
    with pytest.raises(Conflict, match="already"):
        import_(text, tmp_path / "again", judge=judge_in)
    with whole(tmp_path / "again"), pytest.raises(AlreadyAwake):
        import_(text, tmp_path / "again", judge=judge_in)
    assert (tmp_path / "again/live_image.fs").read_bytes()[: len(before)] == before
    with pytest.raises(NoSuchFile):
        import_(tmp_path / "nothing", tmp_path / "other", judge=judge_in)


def test_an_import_keeps_the_settings_beside_it_and_completes_one_that_was_killed(text, tmp_path):
    directory = tmp_path / "again"
    (directory / "import.part").mkdir(parents=True)
    (directory / "import.part/live_image.fs").write_bytes(b"half of it")
    (directory / "live_image.fs.blob/0x00").mkdir(parents=True)
    (directory / "batos.toml").write_text("group_size = 8\n")
    import_(text, directory, judge=judge_in)
    assert (directory / "batos.toml").exists() and not (directory / "import.part").exists()
    with whole(directory) as image:
        assert image.run("look", lambda root: root.account.file.open("r").read()) == b"a blob"


def _import_slowly(text: str, directory: str) -> None:
    import_(Path(text), Path(directory), judge=judge_in)


@pytest.mark.parametrize("after", [0.005, 0.02, 0.04, 0.08])
def test_an_import_that_is_killed_leaves_no_image_or_a_whole_one(exported, tmp_path, after):
    directory = tmp_path / "again"
    child = multiprocessing.get_context("fork").Process(
        target=_import_slowly, args=(str(exported), str(directory))
    )
    child.start()
    while child.is_alive() and not directory.exists():
        time.sleep(0.001)
    time.sleep(after)
    child.kill()
    child.join()
    if not (directory / "live_image.fs").exists():
        import_(exported, directory, judge=judge_in)
    with whole(directory) as image:
        export(image, tmp_path / "out")
    assert_same(exported, tmp_path / "out")


# -- hostile exports -----------------------------------------------------------------------------------

GADGETS = [
    {"$object": "os.system", "args": ["touch canary"]}, {"$reduce": ["os.system", ["touch canary"]]},
    {"py/object/apply": "os.system"}, {"__reduce__": ["os", "system"]}, {"$pickle": "Y29zCnN5c3RlbQo="},
    {"$ref": "os.system"}, {"$ref": "0x0"}, {"$ref": "0x1"}, {"$ref": None}, {"$plain": {"$ref": "0x1"}}, {"$tuple": 3},
    {"$set": [[1]]}, {"$dict": [[1]]}, {"$text": [1]}, {"$bytes": "*"}, {"$long": "00"}, {"$blob": {"a": 1}},
    {"$int": "1" * 9000}, {"$decimal": "x"}, {"$at": [1, 2, 3]}, {"$complex": ["a", "b"]},
    {"$timedelta": [1e308, 0, 0]},
    "!!python/object/apply:os.system ['touch canary']", "__import__('os').system('touch canary')", "../../canary",
    "\x00", "\ud800", "_p_jar", "__class__", "parent*", "define", "clone", "lobby", "0x1", "os.system", "", None, True,
    -1, 2**80, 1e308, [], {}, [[[[]]]], {"": {}}, {"$": 1},
]  # fmt: skip
SOURCES = [
    "import os\nos.system('touch canary')\n", "def deposit(self):\n    __import__('os').system('touch canary')\n",
    "def deposit(self, n=__import__('os').system('touch canary')):\n    return n\n",
    "@__import__('os').system\ndef deposit(self):\n    pass\n", "def deposit(self):\n    return self.__class__\n",
    MARK + "deposit\n", MARK + "define\ndef define(self): pass\n", "#~~~\n", "(" * 5000, "def deposit(self): pass",
]  # fmt: skip


def spoil(data: Any, chance: random.Random) -> Any:
    """JSON data with one place in it replaced, renamed, removed or doubled."""
    places: list[tuple[Any, Any]] = []
    waiting = [data]
    while waiting:
        each = waiting.pop()
        for key in each if isinstance(each, dict) else range(len(each)):
            places.append((each, key))
            if isinstance(each[key], (dict, list)):
                waiting.append(each[key])
    if not places:
        return chance.choice(GADGETS)
    holder, key = chance.choice(places)
    what = chance.random()
    if what < 0.6:
        holder[key] = chance.choice(GADGETS)
    elif what < 0.75 and isinstance(holder, dict):
        new = chance.choice([each for each in GADGETS if isinstance(each, str)])
        holder[new] = holder.pop(key)
    elif what < 0.9:
        del holder[key]
    else:
        other, place = chance.choice(places)
        holder[key] = (
            json.loads(json.dumps(other[place])) if place in other or isinstance(other, list) else None
        )
    return data


def is_json(file: Path) -> bool:
    data = file.read_bytes()
    try:
        for part in data.splitlines() if file.suffix == ".jsonl" else [data]:
            json.loads(part)
    except (ValueError, RecursionError):
        return False
    return True


def mutate(text: Path, chance: random.Random) -> None:
    names = sorted(path for path in text.rglob("*") if path.is_file() and "blobs" not in path.parts)
    file = chance.choice(names)
    data = file.read_bytes()
    what = chance.random()
    if file.suffix == ".py" and what < 0.7:
        at = chance.randrange(len(data))
        file.write_bytes(data[:at] + chance.choice(SOURCES).encode() + data[at:])
    elif what < 0.15 and data:
        at = chance.randrange(len(data))
        file.write_bytes(data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :])
    elif what < 0.2:
        file.write_bytes(data[: chance.randrange(len(data) + 1)])
    elif what < 0.25:
        file.rename(file.with_name(chance.choice(names).name))
    elif not is_json(file):
        file.write_bytes(data + b"}")
    elif file.suffix == ".jsonl":
        lines = [json.loads(line) for line in data.decode().splitlines()]
        file.write_text("".join(json.dumps(line) + "\n" for line in spoil(lines, chance) or []))
    elif file.suffix == ".json":
        file.write_text(json.dumps(spoil(json.loads(data), chance)))


assert telling  # what it registers is used
FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "subprocess.Popen",
    "socket.connect",
    "ctypes.dlopen",
)


def runs_something(event: str, args: tuple) -> bool:
    return event in FORBIDDEN or (event == "pickle.find_class" and args[0] in ("os", "posix"))


def test_hostile_exports_run_nothing_and_end_in_a_sentence_or_a_sound_image(exported, tmp_path, monkeypatch):
    chance, made = random.Random(20261121), 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: None
    )  # nobody cuts the power here, and it is half of the time
    rounds = int(os.environ.get("HOSTILE_EXPORTS", "150"))
    for number in range(rounds):
        text = Path(shutil.copytree(exported, tmp_path / f"text{number}"))
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            mutate(text, chance)
        with hearing(runs_something) as ran:
            try:
                import_(text, tmp_path / f"image{number}", judge=judge_in, birth=birth, edited=True)
            except BatosError as exc:
                assert str(exc) and exc.hint, number
            else:
                made += 1
                with whole(tmp_path / f"image{number}") as image:
                    export(image, tmp_path / f"out{number}")
        assert ran == [] and not (tmp_path / "canary").exists(), number
        for name in ("text", "image", "out"):
            shutil.rmtree(tmp_path / f"{name}{number}", ignore_errors=True)
    assert rounds // 20 < made < rounds
