"""Large documents: read in by short turns, found in one step, gone on with after any interruption, forgotten."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batos.app import judge_in
from batos.errors import Conflict
from batos.image.export import export
from batos.image.rebuild import import_
from batos.knowledge import Memory, catalog, ingestion, structure, telling  # noqa: F401 - telling: exports
from batos.knowledge.chunking import split
from batos.knowledge.embedding import LexicalEmbedder
from batos.knowledge.reading import read
from batos.knowledge.structure import Standing, stretches
from batos.message import Message
from batos.objects.lookup import send
from tests.test_catalog import file, image, memory, open_image  # noqa: F401 - fixtures

PARTS = 40


@pytest.fixture(autouse=True)
def small_stretches(monkeypatch):
    """A stretch is a page, so that a page or two is a large document."""
    monkeypatch.setattr(structure, "STRETCH", 600)
    monkeypatch.setattr(ingestion, "CHARACTERS_A_TURN", 600)


def book(word: str = "walnut", parts: int = PARTS) -> str:
    return "# Book\n\n" + "".join(
        f"## Part {n}\n\nThe secret of part {n} is the word {word}{n}. Nobody in the mill has ever told it.\n\n"
        for n in range(parts)
    )


class Interrupted(Exception):
    pass


def stop_after(turns: int):
    """A progress that breaks off at its `turns`-th report."""
    left = iter(range(turns))

    def progress(told):
        if next(left, None) is None:
            raise Interrupted

    return progress


def records(image) -> list[object]:
    """Every object that the image's file holds a record of."""

    def look(root):
        jar = root["knowledge_catalog_obj"]._p_jar
        return [jar.get(oid) for oid in storage_oids(jar.db().storage)]

    def storage_oids(storage):
        following = None
        while True:
            oid, _, _, following = storage.record_iternext(following)
            yield oid
            if following is None:
                return

    return image.run("look", look)


def shelf_sizes(image) -> dict[str, int]:
    def look(root):
        shelf = root["knowledge_catalog_obj"]._shelf
        shelf._p_activate()
        sizes = {name: len(tree) for name, tree in shelf.__dict__.items() if hasattr(tree, "__len__")}
        return {**sizes, "blocks": len(shelf.postings.blocks), "words": len(shelf.text.lexicon._wids)}

    return image.run("look", look)


# -- stretches ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [book(), "x" * 5000, "好的天气真不错" * 700, "\r\n" * 3000, "one two. " * 900, "👩‍👩‍👧" * 900],
    ids=repr,
)
def test_stretches_are_the_whole_text_in_order_and_none_is_too_long(text):
    for kind in ("markdown", "text", "chat", "code", "python"):
        spans = list(stretches(text, kind))
        assert "".join(text[a:b] for a, b in spans) == text
        assert all(0 < b - a <= 600 for a, b in spans)
        assert not any(text[a - 1 : a + 1] == "\r\n" for a, _ in spans[1:])


def test_what_stands_across_a_border_goes_along():
    fence = (
        "# Title\n\n## Code\n\nIntroduction.\n\n```\n" + "let walrus = 1\n\n" * 100 + "```\n\nAfterwards.\n"
    )
    standing, units = Standing(), []
    for start, end in stretches(fence, "markdown"):
        units += split(fence[start:end], "markdown", standing=standing)
        standing = Standing.again(standing.told())  # as it is kept between two turns
    assert len(list(stretches(fence, "markdown"))) > 2
    assert {unit.section for unit in units[1:]} == {("Title", "Code")}
    assert [unit.kind for unit in units if unit.kind != "heading"] == [
        "sentence",
        *["code"] * (len(units) - 4),
        "sentence",
    ]


def test_a_large_program_is_parted_between_its_definitions():
    program = (
        "\n\n\n".join(f"def walrus_{n}():\n    '''Sleep {n}.'''\n\n    return {n}" for n in range(60)) + "\n"
    )
    parts = [program[a:b] for a, b in stretches(program, "python")]
    assert len(parts) > 3 and all(part.startswith("def ") for part in parts)


# -- in, by many turns -------------------------------------------------------------------------------------


def test_a_large_document_is_found_whole_or_not_at_all(memory, image, tmp_path):
    path, seen = file(tmp_path, "book.md", book()), []

    def progress(told):
        found = memory.recall("what is the secret of part 3?")
        seen.append((bool(found), told["bytes"], told["total_bytes"], image.commits))

    told = memory.remember([path], progress)
    assert (told["documents"], told["skipped"]) == (1, [])
    assert [found for found, *_ in seen] == [False] * (len(seen) - 1) + [True]
    done = [each[1] for each in seen]
    assert done == sorted(done) and done[-1] == seen[-1][2] == path.stat().st_size
    assert seen[-1][3] - seen[0][3] >= 5  # short turns, between which others have theirs
    found = memory.recall("what is the secret of part 33?", why=True)[0]
    assert "walnut33" in found["text"] and found["section"] == "Book > Part 33"
    assert path.read_text()[found["start"] : found["end"]] == found["text"]
    assert memory.remember([path])["unchanged"] == 1


def test_the_passages_of_a_large_document_are_those_of_a_small_one(memory, image, tmp_path, monkeypatch):
    memory.remember([file(tmp_path, "book.md", book())])
    monkeypatch.setattr(ingestion, "CHARACTERS_A_TURN", 10**6)
    memory.remember_text("/whole.md", book() + "\n")

    def passages(root, source):
        document = root["knowledge_catalog_obj"]._shelf.documents[source]
        chunks = root["knowledge_catalog_obj"]._shelf.chunks
        found = [chunks[document._first + n] for n in range(document.chunks)]
        assert [each.previous for each in found[1:]] == found[:-1]
        return [
            (each.start, each.end, each.text, each._slots.get("section"), each.position) for each in found
        ]

    def titles(root, source):
        levels = [root["knowledge_catalog_obj"]._shelf.documents[source]]
        names = []
        for _ in range(2):
            levels = [
                below for each in levels for below in root.send(each, "zoom_in") if "title" in below._slots
            ]
            names.append([each.title for each in levels])
        return names

    one, other = (
        image.run("look", lambda root, s=s: passages(root, s))
        for s in (str(tmp_path / "book.md"), "/whole.md")
    )
    assert one == other and len(one) == PARTS


@pytest.mark.parametrize("turns", [1, 2, 5])
def test_reading_that_was_broken_off_goes_on_where_it_was(memory, image, tmp_path, turns, monkeypatch):
    path = file(tmp_path, "book.md", book())
    with pytest.raises(Interrupted):
        memory.remember([path], stop_after(2 * turns))
    assert memory.recall("what is the secret of part 0?") == [] and image.run("look", catalog.sources) == []
    assert image.run("look", catalog.unfinished) == [str(path)]
    begun, cut = shelf_sizes(image)["chunks"], []
    whole = Memory._cut
    monkeypatch.setattr(
        Memory, "_cut", lambda self, documents, *rest: cut.append(documents) or whole(self, documents, *rest)
    )
    assert memory.remember([path])["documents"] == 1
    assert (
        begun and len(cut) == len(list(stretches(book(), "markdown"))) - turns
    )  # nothing is read a second time
    for n in (0, 17, PARTS - 1):
        assert f"walnut{n}." in memory.recall(f"secret of part {n} walnut{n}")[0]["text"]
    assert shelf_sizes(image)["chunks"] == PARTS and image.run("look", catalog.unfinished) == []


def test_an_extracted_text_is_kept_by_stretches_and_a_citation_opens_a_part_of_it(memory, image, tmp_path):
    """A page of many stretches, broken off once: no turn has to write the whole."""
    body = "".join(f"<h2>Part {n}</h2><p>The secret of part {n} is walnut{n}.</p>" for n in range(PARTS))
    path = file(tmp_path, "book.html", f"<html><body>{body}</body></html>")
    with pytest.raises(Interrupted):
        memory.remember([path], stop_after(8))
    memory.remember([path])
    whole = read(str(path)).text

    def look(root):
        kept = catalog._document(catalog.shelf_in(root), str(path)).__dict__["_extracted"]
        return (
            str(kept),
            [kept.between(a, a + 900) for a in (0, 599, 1500, len(whole) - 5)],
            len(kept._packed),
        )

    kept, parts, first = image.run("look", look)
    assert kept == whole and parts == [whole[a : a + 900] for a in (0, 599, 1500, len(whole) - 5)]
    assert len(whole) > 1800 and first < 500
    found = memory.recall("secret of part 33 walnut33")[0]
    place = (str(path), found["start"], found["end"])
    opened = image.run("open", lambda root: send(root["knowledge_catalog_obj"], "text_of", place))
    assert opened == found["text"]
    memory.forget(path)
    image.pack(0)
    assert b"KeptText" not in (tmp_path / "image" / "live_image.fs").read_bytes()


def test_a_text_that_changed_before_it_was_all_there_begins_anew_and_leaves_nothing(memory, image, tmp_path):
    path = file(tmp_path, "book.md", book("walnut"))
    with pytest.raises(Interrupted):
        memory.remember([path], stop_after(8))
    file(tmp_path, "book.md", book("hazel"))
    assert memory.remember([path])["documents"] == 1
    memory._sweep()
    assert shelf_sizes(image)["chunks"] == PARTS and shelf_sizes(image)["aside"] == 0
    assert memory.recall("walnut3") == [] and memory.recall("hazel3")


def test_the_old_edition_answers_until_the_new_one_is_all_there(memory, image, tmp_path):
    path, seen = file(tmp_path, "book.md", book("walnut")), []
    memory.remember([path])
    file(tmp_path, "book.md", book("hazel"))
    told = memory.remember(
        [path], lambda told: seen.append((bool(memory.recall("walnut3")), bool(memory.recall("hazel3"))))
    )
    assert told["replaced"] == 1
    assert set(seen[:-1]) == {(True, False)} and seen[-1] == (False, True)
    assert shelf_sizes(image)["chunks"] == PARTS


def test_two_who_read_in_the_same_document_are_not_in_each_others_way(image, tmp_path):
    text = book()
    one, other = Memory(image, LexicalEmbedder()), Memory(image, LexicalEmbedder())
    path = file(tmp_path, "book.md", text)
    with pytest.raises(Interrupted):
        one.remember([path], stop_after(6))
    assert other.remember([path])["documents"] == 1
    with pytest.raises(KeyError):
        image.run("late", lambda root: catalog.add_passages(root, str(path), (0, 9), text[:9], [], None, ""))
    with pytest.raises(Interrupted):
        one.remember([file(tmp_path, "other.md", book("hazel"))], stop_after(6))
    with pytest.raises(Conflict, match="read in by somebody else"):
        image.run(
            "again",
            lambda root: catalog.add_passages(
                root, str(tmp_path / "other.md"), (0, 9), text[:9], [], None, ""
            ),
        )


# -- out, by many turns ------------------------------------------------------------------------------------


def test_a_large_document_is_forgotten_at_once_and_taken_out_by_short_turns(
    memory, image, tmp_path, monkeypatch
):
    monkeypatch.setattr(catalog, "BLOCKS_A_SWEEP", 1)
    monkeypatch.setattr(catalog, "ROWS", 8)
    kept = file(
        tmp_path, "kept.md", "# Kept\n\nThe mill stands at the brook, and nobody has told it walnut7.\n"
    )
    path = file(tmp_path, "book.md", book())
    memory.remember([path, kept])
    swept = []

    def sweep(root):
        swept.append((bool(memory_of(root)), catalog.sweep(root)))
        return swept[-1][1]

    def memory_of(root):
        return catalog.sources(root, str(path))

    monkeypatch.setattr(
        memory, "_sweep", lambda: [None for _ in iter(lambda: image.run("sweep", sweep), False)]
    )
    assert memory.forget(path)["chunks"] == PARTS
    assert len(swept) > 3 and not any(there for there, _ in swept)
    left = shelf_sizes(image)
    assert left["chunks"] == left["blocks"] == left["documents"] == 1 and left["aside"] == 0
    words = image.run("look", lambda root: set(root["knowledge_catalog_obj"]._shelf.text.lexicon.words()))
    assert "walnut7" in words and "walnut8" not in words
    assert memory.recall("walnut7")[0]["source"] == str(kept)


def test_a_word_of_a_document_that_is_being_read_in_is_not_forgotten_with_another(memory, image, tmp_path):
    small = file(tmp_path, "small.md", "The word walnut2 is here, too.")
    memory.remember([small])
    path = file(tmp_path, "book.md", book())
    with pytest.raises(Interrupted):
        memory.remember([path], stop_after(8))
    memory.forget(small)
    memory.remember([path])
    assert "walnut2." in memory.recall("walnut2")[0]["text"]


def test_what_was_begun_is_forgotten_too(memory, image, tmp_path):
    path = file(tmp_path, "docs/book.md", book())
    with pytest.raises(Interrupted):
        memory.remember([path], stop_after(8))
    assert memory.forget(tmp_path / "docs")["sources"] == [str(path)]
    assert not any(shelf_sizes(image).values())


def test_what_is_only_begun_is_not_imported_again(memory, image, tmp_path):
    memory.remember([file(tmp_path, "kept.md", "The mill stands at the brook.")])
    with pytest.raises(Interrupted):
        memory.remember([file(tmp_path, "book.md", book())], stop_after(8))
    export(image, tmp_path / "export")
    import_(tmp_path / "export", tmp_path / "again", judge=judge_in)
    with open_image(tmp_path / "again") as again:
        assert shelf_sizes(again)["chunks"] == shelf_sizes(again)["documents"] == 1
        assert shelf_sizes(again)["aside"] == 0 and Memory(again, LexicalEmbedder()).recall(
            "mill at the brook"
        )


# -- killed ------------------------------------------------------------------------------------------------

PROGRAM = """
import json, os, sys
from tests.test_catalog import *
from batos.knowledge import structure
structure.STRETCH = ingestion.CHARACTERS_A_TURN = 600
memory = Memory(open_image(Path(sys.argv[1])), LexicalEmbedder())
def progress(told):
    print(json.dumps([told["documents"], told["bytes"]]), flush=True)
memory.remember([sys.argv[2]], progress)
print("done", flush=True)
"""


def test_a_kill_at_any_moment_loses_nothing_that_was_reported(tmp_path):
    """Three large documents among seven small ones."""
    parts = {str(n): 40 if n % 3 == 1 else 3 for n in range(10)}
    for n, many in parts.items():
        file(tmp_path, f"docs/{n}.md", book(f"walnut{n}x", many))
    begun, last = 0, [0, 0]
    for attempt in range(40):
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "image"), str(tmp_path / "docs")],
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent,
        ) as process:  # fmt: skip
            told = []
            for line in process.stdout:
                told.append(line)
                if len(told) == 3 + 5 * attempt:  # somewhere behind the report: cutting, storing, syncing
                    time.sleep(0.003 * (attempt % 4))
                    process.send_signal(signal.SIGKILL)
                    break
            ended = "done\n" in told or "done\n" in process.stdout.read()
        if ended:
            break
        begun += 1
        last = json.loads(told[-1])
        with open_image(tmp_path / "image") as image:
            sources = image.run("look", catalog.sources)
            assert len(sources) >= last[0] and (len(sources) < 10 or attempt > 1)
            for source in sources:
                n = Path(source).stem
                found = Memory(image, LexicalEmbedder()).recall(f"walnut{n}x{parts[n] - 1}")
                assert found and found[0]["source"] == source
    assert ended and begun >= 2
    with open_image(tmp_path / "image") as image:
        assert len(image.run("look", catalog.sources)) == 10
        assert shelf_sizes(image)["chunks"] == 3 * 40 + 7 * 3 and shelf_sizes(image)["aside"] == 0


# -- nothing is left ---------------------------------------------------------------------------------------


def test_what_is_forgotten_and_packed_is_in_no_file_of_the_image(system, tmp_path):
    """Asked, answered, cited, tried again under a key, changed, undone: then no byte of it is left."""
    secrets = ("xylographer", "zymurgist", "quillfeather", "lanternjack", "wickfield")
    page = file(
        tmp_path,
        "docs/page.html",
        "<html><body><h1>Mill</h1><p>The quillfeather sleeps in the mill.</p></body></html>",
    )
    path = tmp_path / "docs/gone.md"

    def send(selector, *args, to="kernel", idem=None, **kw):
        reply = system.kernel.send(Message(to, selector, list(args), kw, idem=idem))
        assert reply.error is None, reply.error
        return reply.result

    for secret in secrets[:2]:
        file(tmp_path, "docs/gone.md", book() + f"## Keys\n\nThe keeper of the keys is called {secret}.\n")
        send("remember", [str(tmp_path / "docs")])
        session = send("ask", "Who is the keeper of the keys called?")
        assert secret in session["answer"]
        send("ask", "Is that so?", session=session["session"])
        assert secret in send("recall", "keeper of the keys", idem=f"key {secret}")[0]["text"]
        send("search_", "keeper of the keys", to="knowledge_catalog_obj")
        send("put", "note", "something else", to="lobby")
        send("undo")
    assert "quillfeather" in send("recall", "who sleeps in the mill?")[0]["text"]
    for lighter in secrets[3:]:  # the second takes the place of the first
        send("learn", f"The lamps are lit by {lighter}.", "lamps")
    assert "wickfield" in send("recall", "who lights the lamps?")[0]["text"]

    def left() -> list[tuple[str, str]]:
        words = [word.encode() for word in (*secrets, path.name, page.name)]
        return [
            (word.decode(), each.name)
            for each in sorted((tmp_path / "image").rglob("*"))
            if each.is_file()
            for data in [each.read_bytes()]
            for word in words
            if word in data
        ]

    assert {word for word, _ in left()} >= set(secrets[:2])
    send("remember", forget=[str(tmp_path / "docs"), "fact:lamps"])
    send("pack")
    assert left() == []
    kept = [type(each).__name__ for each in records(system.image)]
    assert "KeptText" not in kept and "Block" not in kept and "Shelf" in kept
