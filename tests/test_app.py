"""The app: what is built in which order, what a System survives, and what a Python program can do with an image."""

from __future__ import annotations

import subprocess
import sys

import pytest
from scripted import ScriptedMind, plan

from batos import Image
from batos.app import System, asleep
from batos.config import Settings
from batos.errors import AlreadyAwake, Ambiguous, NobodyAwake
from batos.image import BLOBS
from batos.message import Message
from batos.objects import Method, UvmObject, send
from batos.objects.method import Chapter, Version
from batos.objects.containers import KINDS

QUIET = """
import sys
from pathlib import Path
from batos.app import System
from batos.config import Settings
system = System(Settings(image=Path(sys.argv[1])))
system.incarnate()
print(sorted(name for name in sys.modules if name in ("torch", "transformers", "peft", "sentence_transformers", "zmq")))
system.close()
"""


def test_torch_is_not_there_before_the_awake_line(image_dir):
    done = subprocess.run(
        [sys.executable, "-c", QUIET, str(image_dir)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_a_python_program_works_on_an_image_that_nobody_else_holds(image_dir):
    with Image.open(image_dir) as image:
        with image.turn("open the shop") as root:
            root["lobby"].shop = UvmObject(root["genesis_obj"], till=5)
        with pytest.raises(AlreadyAwake):
            Image.open(image_dir)
        with pytest.raises(ZeroDivisionError), image.turn("spoil it") as root:
            root.shop.till = 1 / 0
        with image.turn("look") as root:
            assert root.shop.till == 5


def test_asleep_never_gives_birth(image_dir):
    with pytest.raises(NobodyAwake), asleep(Settings(image=image_dir)):
        pass
    assert not image_dir.exists()


def test_a_sleeping_image_can_be_looked_at(image_dir):
    Image.open(image_dir).close()
    with asleep(Settings(image=image_dir)) as kernel:
        assert kernel.send(Message("kernel", "ping")).result
        assert kernel.send(Message("lobby", "describe")).result["object"]["path"] == "lobby"


def test_a_part_that_fails_to_stop_does_not_keep_the_others_awake(image_dir, monkeypatch):
    system = System(Settings(image=image_dir), ScriptedMind())
    monkeypatch.setattr(system.metrics, "flush_into", lambda image: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        system.close()
    Image.open(image_dir).close()  # the lock is gone


def test_every_record_of_the_image_is_of_a_known_kind(image_dir):
    mind = ScriptedMind()
    system = System(Settings(image=image_dir), mind)
    try:
        system.incarnate()
        mind.enqueue(plan=plan("change"), method="self.§0 -= ¢0\nreturn self.§0")
        system.kernel.send(
            Message("lobby", "clone", [], {"called": "account", "balance": 1, "tags": [{"a": [1]}]})
        )
        system.kernel.send(Message("account", "withdraw_balance", [1]))

        def classes(root):
            from ZODB.serialize import referencesf

            seen, waiting, found = set(), [b"\0" * 8], {}
            while waiting:
                oid = waiting.pop()
                if oid not in seen:
                    seen.add(oid)
                    data = root.connection._storage.load(oid)[0]
                    kind = type(root.connection.get(oid))
                    found.setdefault(f"{kind.__module__}.{kind.__name__}", max(0, len(data)))
                    waiting.extend(referencesf(data))
            return found

        found = system.image.run("look at everything", classes)
    finally:
        system.close()
    ours = {f"{kind.__module__}.{kind.__name__}" for kind in (UvmObject, Method, Version, Chapter, *KINDS)}
    for kind in found:
        assert kind in ours or kind.startswith(("BTrees.", "ZODB.blob.", "persistent.", "zope.index.", "batos.image.changes.", "batos.image.trees.",
                                                "batos.knowledge.", "batos.autotelic.")), kind  # fmt: skip
    assert max(found.values()) < 1 << 20, "no record above one MiB: assets are blobs"


def test_the_model_is_in_the_image_as_blobs_and_costs_its_file_little(image_dir):
    system = System(Settings(image=image_dir), ScriptedMind())
    try:
        before = system.image.facts()["data_bytes"]
        system.incarnate()
        facts = system.image.facts()
        assert facts["data_bytes"] - before < 64 * 1024
        assert facts["blob_bytes"] > 1_000_000 and (image_dir / BLOBS).is_dir()
        names = [each["name"] for each in system.experts()]
        assert names == sorted(names) and {"ALFRED", "BRICK", "ROBIN"} <= set(names)
        commits = system.image.commits
        system.incarnate()
        assert system.image.commits == commits, "the second time changes nothing"
    finally:
        system.close()


def test_a_method_may_send_what_two_parents_disagree_about(image_dir):
    with Image.open(image_dir) as image, image.turn("make") as root:
        for name in ("left", "right"):
            parent = send(root["lobby"], "clone", (), {"called": name})
            send(parent, "define", (f"def greet(self):\n    return '{name}'\n",))
        child = send(root["lobby"], "clone", (), {"called": "child"})
        for parent in (root.left, root.right):
            send(child, "adopt", (parent,))
        assert send(child, "define", ("def hello(self):\n    return self.greet()\n",))["version"] == 1
        with pytest.raises(Ambiguous):
            send(child, "hello")
