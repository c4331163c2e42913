"""Files into text: PDF, mail, conversations, and everything that is broken."""

from __future__ import annotations

import io
import json
import random
import zlib
from pathlib import Path

import pytest

from batos.config import Settings
from batos.image import LivingImage
from batos.knowledge import Memory, catalog
from batos.knowledge.embedding import LexicalEmbedder
from batos.knowledge.extracting import Unreadable, text_of_chat, text_of_pdf
from batos.knowledge.reading import read
from batos.objects.genesis import genesis


@pytest.fixture
def image(tmp_path):
    birth = lambda root: genesis(root, [catalog.catalog])  # noqa: E731
    with LivingImage.open(tmp_path / "image", Settings(), birth=birth) as opened:
        yield opened


@pytest.fixture
def memory(image):
    return Memory(image, LexicalEmbedder())


def pdf(*pages: str, encrypt: str | None = None) -> bytes:
    """A PDF with a line of text a page, written by hand as the format wants it, then through pypdf."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    kids = []
    for text in pages:
        said = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        lines = "".join(f"({line}) Tj T* " for line in said.split("\n"))
        stream = zlib.compress(f"BT /F1 12 Tf 14 TL 72 720 Td {lines}ET".encode("latin-1"))
        kids.append(len(objects) + 1)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R /Resources "
            b"<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>"
            % (len(objects) + 2)
        )
        objects.append(
            b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(stream), stream)
        )
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (
        len(kids),
        b" ".join(b"%d 0 R" % n for n in kids),
    )
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    xref = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        size, xref, size, len(out),
    )  # fmt: skip
    if encrypt is not None:
        import pypdf

        writer = pypdf.PdfWriter(clone_from=io.BytesIO(out))
        writer.encrypt(encrypt, algorithm="RC4-128")
        kept = io.BytesIO()
        writer.write(kept)
        out = kept.getvalue()
    return out


def test_a_pdf_is_read_page_by_page_and_its_citation_opens_the_text_that_is_kept(memory, image, tmp_path):
    path = tmp_path / "paper.pdf"
    path.write_bytes(
        pdf("A walrus can weigh more than a ton.", "Its tusks are teeth that con-\ntinue to grow.")
    )
    assert memory.remember([path])["skipped"] == []
    found = memory.recall("how do tusks continue to grow", why=True)[0]
    kept = image.run("open", lambda root: catalog.text_of(root, str(path)))
    assert "continue to grow" in found["text"] and found["section"] == "Page 2"
    assert kept[found["start"] : found["end"]] == found["text"]


def test_a_pdf_that_cannot_be_read_says_why():
    with pytest.raises(Unreadable, match="encrypted"):
        text_of_pdf(pdf("secret", encrypt="password"))
    with pytest.raises(Unreadable, match="no text"):
        text_of_pdf(pdf(""))
    with pytest.raises(Unreadable, match="broken"):
        text_of_pdf(b"%PDF-1.7 ...")


MAIL = (
    "From: Ann <ann@example.org>\r\nTo: Bob <bob@example.org>\r\nSubject: =?utf-8?q?The_k=C3=A4se?=\r\n"
    "Date: Mon, 01 Jan 2024 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=xx\r\n\r\n"
    "--xx\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>The cheese is in the <b>cellar</b>.</p>\r\n"
    "--xx\r\nContent-Type: application/pdf; name=bill.pdf\r\nContent-Disposition: attachment; filename=bill.pdf\r\n\r\n"
    "JVBERi0=\r\n--xx--\r\n"
)


def test_mail_is_read_with_who_wrote_when_and_what_was_attached(memory, tmp_path):
    (tmp_path / "a.eml").write_bytes(MAIL.encode())
    (tmp_path / "b.mbox").write_bytes(
        b"From ann Mon Jan  1 10:00:00 2024\n" + MAIL.replace("\r\n", "\n").encode()
        + b"\nFrom bob Tue Jan  2 10:00:00 2024\nFrom: Bob <bob@example.org>\nSubject: Re: cheese\n\n>From the cellar, I ate it.\n"
        + b"From now on I shall pay,\nsaid the mouse.\n"
    )  # fmt: skip
    one, both = read(str(tmp_path / "a.eml")), read(str(tmp_path / "b.mbox"))
    assert one.extracted and one.text.startswith("# The käse\n\nFrom: Ann <ann@example.org>\nTo: Bob")
    assert "Attached: bill.pdf" in one.text and "The cheese is in the cellar." in one.text
    assert (
        "# Re: cheese" in both.text
        and "\nFrom the cellar, I ate it.\nFrom now on I shall pay,\nsaid" in both.text
    )
    memory.remember([tmp_path / "b.mbox"])
    assert "I ate it" in memory.recall("who ate from the cellar")[0]["text"]


CHATS = [
    [{"role": "user", "content": "Where is my bike?"}, {"role": "assistant", "content": "In the cellar."}],
    {"name": "Ann", "messages": [{"from": "user", "text": ["Where is ", {"type": "bold", "text": "my bike?"}], "date": "2026-01-02T10:00:00"},
                                 {"from": "assistant", "text": "In the cellar.", "date": "2026-01-02T10:01:00"}]},
    [{"user": "user", "text": "Where is my bike?", "ts": "1700000000.1"}, {"user": "assistant", "text": "In the cellar.", "ts": "1700000001.1"}],
    [{"title": "Bike", "mapping": {
        "r": {"message": None},
        "b": {"message": {"author": {"role": "assistant"}, "content": {"parts": ["In the cellar."]}, "create_time": 2}},
        "a": {"message": {"author": {"role": "user"}, "content": {"parts": ["Where is my bike?"]}, "create_time": 1}},
    }}],
    {"chats": {"list": [{"name": "Ann", "messages": [{"from": "user", "text": "Where is my bike?"}, {"from": "assistant", "text": "In the cellar."}]}]}},
]  # fmt: skip


@pytest.mark.parametrize("chat", CHATS, ids=["llm", "telegram", "slack", "chatgpt", "telegram, all"])
def test_an_exported_conversation_is_read_by_turns(chat, memory, tmp_path):
    path = tmp_path / "talk.json"
    path.write_text(json.dumps(chat))
    told = read(str(path))
    assert (told.kind, told.extracted) == ("chat", True)
    assert "user: Where is my bike?\nassistant: In the cellar.\n" in told.text
    memory.remember([path])
    found = [each["text"] for each in memory.recall("where is the bike", top=2)]
    turns = ["user: Where is my bike?", "assistant: In the cellar."]
    # A title's words count for every turn; the shorter one, which is the answer, then comes first.
    assert found == (turns[::-1] if "Bike" in json.dumps(chat) else turns)


TALKS = {
    "plain": ("Ann: Where is my bike?", "Bob: In the cellar: behind the door.", "Ann: Thanks!", "Bob: Welcome."),
    "iphone": (
        "[12.05.21, 10:31:02] Ann: Where is my bike?", "\u200e[12.05.21, 10:32:02] +49 170 1234567: In the cellar.",
        "[12.05.21, 10:33:02] Ann: Thanks!", "[12.05.21, 10:34:02] +49 170 1234567: Welcome.",
    ),
    "android": (
        "12/05/2021, 10:31 - Ann: Where is my bike?", "12/05/2021, 10:32 - Bob Miller: In the cellar.\nBehind the door.",
        "12/05/2021, 10:33 - Ann: Thanks!", "12/05/2021, 10:33 - Bob Miller: Welcome.",
        *("12/05/2021, 10:34 - Ann: And the keys?", "12/05/2021, 10:35 - Bob Miller: On the hook.") * 4,
    ),
    "american": (
        "5/12/21, 9:31\u202fPM - Ann: Where is my bike?", "5/12/21, 9:32\u202fPM - Bob: In the cellar.",
        "5/12/21, 9:33\u202fPM - Ann: Thanks!", "5/12/21, 9:33\u202fPM - Bob: Welcome.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("turns", TALKS.values(), ids=TALKS)
def test_a_talk_in_plain_text_is_read_by_turns_and_a_question_finds_its_answer(turns, memory, tmp_path):
    path = tmp_path / "talk.txt"
    path.write_text("\n".join(turns) + "\n")
    told = read(str(path))
    assert (told.kind, told.extracted) == ("chat", False)
    memory.remember([path])
    found = memory.recall("where is the bike", top=2)
    assert [each["text"] for each in found] == list(turns[:2])
    assert {told.text[each["start"] : each["end"]] for each in found} == set(turns[:2])


@pytest.mark.parametrize(
    "text",
    [
        "The mill is old.\nIt burnt down in May.\nNobody was hurt: all got out.\nThe end.\n",
        "Title: A\nAuthor: B\nYear: 5\n\n" * 6,
        "From: a\nTo: b\nSubject: c\nDate: d\nCc: e\n",
        "Ann: What I think.\n" * 9,
        "Shopping: milk\nDo not forget the mill\nTODO: paint\nWick is far\n",
    ],
    ids=["prose", "records", "labels", "one alone", "notes"],
)
def test_what_is_no_talk_is_read_as_prose(text, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(text)
    assert read(str(path)).kind == "text"


@pytest.mark.parametrize(
    "data", [{}, [], [1], {"a": {"b": 1}}, [{"name": "x", "value": 3}] * 3, [{"text": "only"}] * 3, None]
)
def test_what_is_no_conversation_is_not_taken_for_one(data):
    assert text_of_chat(data) is None


def test_two_hundred_broken_files_raise_nothing_and_lose_nothing(memory, tmp_path):
    """Whole files of every kind, cut off, with bytes changed, or with another's middle."""
    draw = random.Random(11)
    whole = {
        ".pdf": pdf("A walrus.", "Another one."), ".eml": MAIL.encode(), ".mbox": b"From a b\n" + MAIL.encode(),
        ".json": json.dumps(CHATS[3]).encode(), ".jsonl": b'{"role":"user","content":"a"}\n' * 3,
        ".html": b"<html><body><table><tr><td>one<ul><li>two<pre>x</pre></body></html>", ".py": b"def f():\n    return 1\n",
        ".md": b"# One\n\n- a\n- b\n\n| a | b |\n|---|---|\n", ".txt": "Some text. 漢字.".encode(),
    }  # fmt: skip
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/good.md").write_text("The keeper of the lighthouse is called Ada.")
    for number in range(200):
        ending = draw.choice(list(whole))
        data = bytearray(whole[ending])
        for _ in range(draw.randint(1, 6)):
            at = draw.randrange(len(data) + 1)
            match draw.randrange(4):
                case 0:
                    del data[at:]
                case 1:
                    data[at:at] = draw.randbytes(draw.randint(1, 20))
                case 2:
                    other = whole[draw.choice(list(whole))]
                    data[at : at + 10] = other[len(other) // 3 : len(other) // 2]
                case _ if data:
                    data[at % len(data)] = draw.randrange(256)
            data = data or bytearray(b"x")
        (tmp_path / f"docs/{number}{ending}").write_bytes(bytes(data))
    told = memory.remember([tmp_path / "docs"])
    assert told["documents"] + len(told["skipped"]) == 201
    assert all(each["why"] for each in told["skipped"])
    assert "Ada" in memory.recall("who keeps the lighthouse")[0]["text"]
    for each in memory.recall("walrus", top=20):
        assert Path(each["source"]).exists()
