"""Schemas: an older image comes along object by object, a newer one is refused, and a user's edits stand."""

from __future__ import annotations

import os
import sys
import tarfile
import time
import types
from pathlib import Path

import pytest
import transaction
from persistent import Persistent
from ZODB import DB
from ZODB.FileStorage import FileStorage

from batos.app import judge_in
from batos.config import Settings
from batos.errors import NotUnderstood
from batos.guardian.policy import compile_method
from batos.image import DATA, LivingImage, schema
from batos.image.schema import Migration, NewerImage, check, find_class, migrate
from batos.mind import personas
from batos.objects import UvmObject, send, use_compiler
from batos.objects.genesis import SCHEMA, child, genesis, offers, ship_method, take
from batos.psm import orchestrator
from batos.psm.states import PROCESS, make_state

WITNESS = Path(__file__).parent / "data" / "schema1.tar.xz"  # made by the last edition of schema 1


@pytest.fixture
def old(tmp_path):
    """The folder of an image that an edition of schema 1 made, and a user then edited."""
    with tarfile.open(WITNESS) as packed:
        packed.extractall(tmp_path / "old", filter="data")
    return tmp_path / "old"


def database(directory):
    directory.mkdir(exist_ok=True)
    storage = FileStorage(str(directory / DATA), blob_dir=str(directory / f"{DATA}.blob"))
    return DB(storage, class_factory=find_class)


def parts(root):
    personas.birth(root)
    orchestrator.birth(root)


def born(root):
    genesis(root, (parts,))


def opened(directory, birth=born):
    """An image opened by this edition, which migrates an older one first."""
    use_compiler(compile_method)
    return LivingImage.open(directory, Settings(), judge_in, birth)


def test_an_image_of_schema_1_opens_with_everything_it_had(old):
    with opened(old) as image:
        with image.turn("look") as root:
            assert root["batos"]["schema"] == SCHEMA == 3 and root["batos"]["series"]
            assert "changes" in root
            assert root.account.balance == 120 and list(root.account.tags) == ["vip"]
            assert dict(root.account.rates) == {"eur": 1.1} and root.till.balance == 5
            assert [each["author"] for each in root.account._method("deposit").versions] == ["ada", "ada"]
            assert len(root["idempotency"]) == 3 and len(root["orchestrator_obj"].missions) == 4
        assert image.run("pay", lambda root: send(root.account, "deposit", (5,))) == 125


def test_versions_written_by_an_older_edition_get_records_of_their_own_and_the_past_is_still_told(old):
    with opened(old) as image:
        told = image.run("look", lambda root: send(root.account, "versions", ("deposit",)))
        with image.turn("look") as root:
            method = root.account._method("deposit")
            data, _ = image.place.storage.load(method._p_oid)
            assert b"self" not in data and len(data) < 300, "the source stands in the record of its version"
            assert method.installed._p_oid is not None and method.installed["version"] == method.current == 2
            oid, then = method._p_oid, image.place.storage.history(method._p_oid, 2)[1]["tid"]
        assert b"self" in image.place.storage.loadSerial(oid, then), "the past keeps the shape it had"
        past = image.run_past(
            then.hex(),
            "look",
            lambda root: send(root.account, "versions", ("deposit",)),
            "user",
            time.monotonic() + 9,
        )
        assert past == told and [each["installed"] for each in told] == [False, True]


def test_the_edits_of_a_user_of_schema_1_stand_and_nothing_is_offered_while_nothing_new_is_shipped(old):
    with opened(old) as image, image.turn("look") as root:
        assert root["alfred_prototype_obj"].codex == "Say it drily, and only once."
        assert '"""Mine."""' in root.psm_prototypes_obj.IDLE._method("_process_synthesis_").source
        assert [each for each in offers(root) if each["object"] == "alfred_prototype_obj"] == []


def test_a_second_opening_migrates_nothing_and_writes_nothing(old):
    opened(old).close()
    size = (old / DATA).stat().st_size
    db = database(old)
    assert migrate(db) == []
    db.close()
    opened(old).close()
    assert (old / DATA).stat().st_size == size


def test_a_newer_image_is_refused_with_a_sentence_and_left_as_it_is(tmp_path):
    opened(tmp_path / "image").close()
    with opened(tmp_path / "image") as image, image.turn("as if by a newer batos") as root:
        root["batos"] = root["batos"] | {"schema": SCHEMA + 5}
    before = (tmp_path / "image" / DATA).read_bytes()
    db = database(tmp_path / "image")
    for refusing in (check, migrate):
        with pytest.raises(NewerImage, match=f"schema {SCHEMA + 5}.*up to {SCHEMA}") as caught:
            refusing(db)
    db.close()
    with pytest.raises(NewerImage):
        opened(tmp_path / "image")
    assert caught.value.exit_code == 1 and "restore" in caught.value.hint
    assert (tmp_path / "image" / DATA).read_bytes() == before


# -- object by object --------------------------------------------------------------------------------------


def crowd(directory, n=500):
    """An image of n objects, each with a count."""
    db = database(directory)
    with db.transaction() as connection:
        root = connection.root()
        root["batos"] = {"series": "I", "schema": SCHEMA, "born": 0.0}
        root["crowd"] = {}
        for each in range(n):
            root["crowd"][each] = obj = UvmObject(count=each)
            connection.add(obj)
    db.close()


def step(obj):
    """Counts become texts; one that is a text already has been here."""
    if not isinstance(obj.count, str):
        obj.count = f"{obj.count}"
        obj._seen = obj.__dict__.get("_seen", 0) + 1


UVM = frozenset({"batos.objects.uvm_object.UvmObject"})
TABLE = (Migration(SCHEMA + 1, "counts are texts", UVM, step, lambda names: names.update(told="texts")),)


def counts(directory):
    db = database(directory)
    try:
        with db.transaction() as connection:
            root = connection.root()
            found = [(each.count, each._seen) for each in root["crowd"].values()]
            return root["batos"], root.get("told"), found
    finally:
        db.close()


def test_a_migration_goes_object_by_object_in_batches(tmp_path):
    crowd(tmp_path)
    db = database(tmp_path)
    before = len(list(db.storage.iterator()))
    done = migrate(db, TABLE, SCHEMA + 1, batch=100)
    assert done == [{"to": SCHEMA + 1, "why": "counts are texts", "objects": 500}]
    assert len(list(db.storage.iterator())) - before == 6, "501 records, a hundred a transaction"
    db.close()
    told, texts, found = counts(tmp_path)
    assert told == {"series": "I", "schema": SCHEMA + 1, "born": 0.0} and texts == "texts"
    assert found == [(f"{n}", 1) for n in range(500)]


@pytest.mark.parametrize("calls", [1, 99, 100, 101, 250, 499, 500])
def test_a_migration_killed_at_any_step_goes_on_where_it_was(tmp_path, calls):
    crowd(tmp_path)
    child_ = os.fork()
    if child_ == 0:
        left = calls

        def dying(obj):
            nonlocal left
            step(obj)
            left -= 1
            if not left:
                os._exit(9)

        migrate(database(tmp_path), (Migration(SCHEMA + 1, "x", UVM, dying),), SCHEMA + 1, batch=100)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child_, 0)[1]) == 9
    db = database(tmp_path)
    if calls > 100:
        with pytest.raises(NewerImage):
            check(db)  # half of it is written as no older batos knows it
    (done,) = migrate(db, TABLE, SCHEMA + 1, batch=100)
    db.close()
    assert 400 - calls < done["objects"] <= 501, "what was committed is not done again"
    assert counts(tmp_path)[2] == [(f"{n}", 1) for n in range(500)]


def test_several_schemas_are_taken_one_after_another(tmp_path):
    crowd(tmp_path, 10)
    order = []
    table = tuple(Migration(SCHEMA + n, "x", root=lambda names, n=n: order.append(n)) for n in (3, 1, 2))
    db = database(tmp_path)
    assert [each["to"] for each in migrate(db, table, SCHEMA + 3)] == [SCHEMA + 1, SCHEMA + 2, SCHEMA + 3]
    db.close()
    assert order == [1, 2, 3]


def test_the_table_leads_from_the_first_schema_to_this_one():
    assert [each.to for each in schema.MIGRATIONS] == list(range(2, SCHEMA + 1))


class Moved(Persistent):
    """Stands for a class that once lived in another module."""


def test_a_record_that_names_a_class_where_it_once_lived_finds_it_where_it_lives_now(tmp_path, monkeypatch):
    then = types.ModuleType("batos.long_ago")
    then.Moved = Moved
    monkeypatch.setitem(sys.modules, "batos.long_ago", then)
    monkeypatch.setattr(Moved, "__module__", "batos.long_ago")
    db = database(tmp_path)
    with db.transaction() as connection:
        connection.root()["it"] = it = Moved()
        it.kept = [1, 2]
    db.close()
    monkeypatch.undo()
    monkeypatch.setitem(schema.ALIASES, ("batos.long_ago", "Moved"), (__name__, "Moved"))
    db = database(tmp_path)
    manager = transaction.TransactionManager()
    it = db.open(manager).root()["it"]
    assert type(it) is Moved and it.kept == [1, 2]
    it.kept = [3]
    manager.commit()
    assert b"long_ago" not in db.storage.load(it._p_oid)[0], "written with its new name from now on"
    db.close()


# -- what a newer edition ships ----------------------------------------------------------------------------

OLD = '''def _process_synthesis_(self):
    """As it was shipped."""
    return self.open_()
'''
NEW = OLD.replace("As it was shipped", "Shipped again")
MINE = OLD.replace("As it was shipped", "Mine")


def edition(codex, source):
    """The birth of an edition that ships this codex and this process."""

    def birth(root):
        genesis(root)
        child(root, "alfred_prototype_obj", codex=codex, audits=[])
        make_state(root, "IDLE", source, "open_", persona=root["alfred_prototype_obj"])

    return birth


def shown(image):
    def look(root):
        method = root.psm_prototypes_obj.IDLE._method("_process_synthesis_")
        authors = [each["author"] for each in method.versions]
        return root["alfred_prototype_obj"].codex, method.source, authors, offers(root)

    return image.run("look", look)


def test_a_text_nobody_edited_follows_the_newer_edition(tmp_path):
    opened(tmp_path / "i", edition("one", OLD)).close()
    with opened(tmp_path / "i", edition("two", NEW)) as image:
        codex, source, authors, offered = shown(image)
        assert codex == "two" and "Shipped again" in source and authors == ["batos", "batos"] and not offered


def test_an_edited_text_stays_and_the_newer_one_waits_beside_it_until_it_is_taken(tmp_path):
    with opened(tmp_path / "i", edition("one", OLD)) as image, image.turn("edit", who="ada") as root:
        root["alfred_prototype_obj"].codex = "mine"
        root["alfred_prototype_obj"].audits.append("kept")
        send(root.psm_prototypes_obj.IDLE, "define", (MINE,))
    for _ in range(2):  # the second opening offers nothing twice
        with opened(tmp_path / "i", edition("two", NEW)) as image:
            codex, source, authors, offered = shown(image)
            assert codex == "mine" and "Mine" in source and authors == ["batos", "ada", "batos"]
            assert offered == [
                {"object": "alfred_prototype_obj", "slot": "codex", "shipped": "two", "current": "mine"},
                {"object": "psm_prototypes_obj.IDLE", "slot": f"{PROCESS}()", "shipped": 3, "current": 2},
            ]
    with opened(tmp_path / "i", edition("two", NEW)) as image:
        assert image.run("take", lambda root: take(root, "alfred_prototype_obj", "codex"))["shipped"] == "two"
        image.run("take", lambda root: take(root, "psm_prototypes_obj.IDLE", "_process_synthesis_"))
        codex, source, authors, offered = shown(image)
        assert codex == "two" and "Shipped again" in source and len(authors) == 3 and not offered
        assert image.run("look", lambda root: list(root["alfred_prototype_obj"].audits)) == ["kept"]
        with pytest.raises(NotUnderstood, match="no newer 'codex'"):
            image.run("take", lambda root: take(root, "alfred_prototype_obj", "codex"))
    with opened(tmp_path / "i", edition("three", NEW)) as image:
        assert shown(image)[0] == "three", "what was taken is as shipped again"


def test_what_was_taken_can_be_undone_and_then_waits_again(tmp_path):
    with opened(tmp_path / "i", edition("one", OLD)) as image, image.turn("edit", who="ada") as root:
        root["alfred_prototype_obj"].codex = "mine"
    with opened(tmp_path / "i", edition("two", OLD)) as image:
        image.submit("take", lambda root: take(root, "alfred_prototype_obj", "codex"), who="ada").result()
        assert shown(image)[0] == "two" and not shown(image)[3]
        image.undo(None)
        assert shown(image)[0] == "mine" and shown(image)[3][0]["shipped"] == "two"


def test_a_text_edited_after_it_came_is_nobodys_offer(tmp_path):
    opened(tmp_path / "i", edition("one", OLD)).close()
    with opened(tmp_path / "i", edition("two", NEW)) as image:
        image.run("edit", lambda root: setattr(root["alfred_prototype_obj"], "codex", "mine"), who="ada")
        assert not shown(image)[3]


def test_a_version_somebody_went_back_to_is_an_edit(tmp_path):
    opened(tmp_path / "i", edition("one", OLD)).close()
    with opened(tmp_path / "i", edition("one", NEW)) as image, image.turn("back", who="ada") as root:
        send(root.psm_prototypes_obj.IDLE, "revert", ("_process_synthesis_",))
    with opened(tmp_path / "i", edition("one", MINE)) as image:
        _, source, authors, offered = shown(image)
        assert "As it was shipped" in source and len(authors) == 3 and offered[0]["shipped"] == 3


def test_a_method_somebody_forgot_stays_forgotten(tmp_path):
    def greeting(words):
        def birth(root):
            edition("one", OLD)(root)
            ship_method(root["alfred_prototype_obj"], "greet", f"def greet(self):\n    return '{words}'\n")

        return birth

    with opened(tmp_path / "i", greeting("Sir")) as image:
        assert image.run("greet", lambda root: send(root["alfred_prototype_obj"], "greet")) == "Sir"
        image.run("forget", lambda root: send(root["alfred_prototype_obj"], "forget", ("greet",)), who="ada")
    with opened(tmp_path / "i", greeting("Madam")) as image, image.turn("look") as root:
        method = root["alfred_prototype_obj"]._method("greet")
        assert method.current is None and len(method.versions) == 2
        assert offers(root)[0] == {
            "object": "alfred_prototype_obj", "slot": "greet()", "shipped": 2, "current": None,
        }  # fmt: skip


def test_a_newer_edition_of_what_a_user_of_schema_1_left_alone_is_installed(old):
    def birth(root):
        genesis(root, (parts,))
        child(root, "brick_prototype_obj", codex="Newer words.")
        child(root, "alfred_prototype_obj", codex="Newer words too.")

    with opened(old, birth) as image, image.turn("look") as root:
        assert root["brick_prototype_obj"].codex == "Newer words."
        assert root["alfred_prototype_obj"].codex == "Say it drily, and only once."
        assert ("alfred_prototype_obj", "codex") in [(each["object"], each["slot"]) for each in offers(root)]
