"""What is inside a file that is not text itself: PDF, e-mail, mailboxes and exported conversations.

Owned here: the text of each, with the marks of Markdown for its structure (a page, a message, a day is a
heading).  The text is kept in the image, since an offset into it is no offset into the file.  What cannot be
read is `Unreadable`, with the reason in words.  HTML is `reading`'s, which decodes.
"""

from __future__ import annotations

import email
import email.policy
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

MOST_PAGES = 10_000
MOST_CHARACTERS = 64 * 2**20  # of a PDF's text: a small file can claim to be endless


class Unreadable(Exception):
    """A file that is not taken in; its text is the reason, for people."""


# -- PDF -----------------------------------------------------------------------------------------------


def text_of_pdf(data: bytes) -> str:
    """The text layer of a PDF, a heading for each page."""
    import pypdf
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what is odd in the file is its maker's business
    try:
        reader = pypdf.PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("the PDF is encrypted: save a copy without its password and remember that")
        count = len(reader.pages)
    except Unreadable:
        raise
    except Exception as exc:  # pypdf raises anything on a broken file, KeyError and RecursionError too
        why = (
            "needs a package for its encryption"
            if "cryptography" in str(exc)
            else f"is broken ({_told(exc)})"
        )
        raise Unreadable(f"the PDF {why}: open it and print it to a new PDF, and remember that") from exc
    if count > MOST_PAGES:
        raise Unreadable(f"the PDF has {count} pages: split it, and remember the parts")
    parts, length, broken = [], 0, 0
    for number in range(count):
        try:
            page = (reader.pages[number].extract_text() or "").replace("\x00", "")
        except (PyPdfError, Exception):  # noqa: BLE001 - one page may be broken and the others not
            broken += 1
            continue
        if page.strip():
            parts.append(f"## Page {number + 1}\n\n{_unwrapped(page)}")
            length += len(page)
        if length > MOST_CHARACTERS:
            raise Unreadable(f"the PDF holds more than {MOST_CHARACTERS >> 20} million letters")
    if not parts:
        if broken:
            raise Unreadable("none of the PDF's pages can be read: print it to a new PDF, and remember that")
        raise Unreadable("the PDF has pictures of text but no text: run it through text recognition first")
    return "\n\n".join(parts) + "\n"


_HYPHEN = re.compile(r"(?<=[a-zà-ÿ])-\n(?=[a-zà-ÿ])")


def _unwrapped(page: str) -> str:
    """The lines of a page with the words joined that were parted at a line's end."""
    return _HYPHEN.sub("", "\n".join(line.rstrip() for line in page.splitlines())).strip()


# -- e-mail --------------------------------------------------------------------------------------------


def text_of_email(data: bytes, html: Callable[[str], str]) -> str:
    """A message (.eml): its subject as a heading, who wrote to whom and when, and what; `html` makes text
    of a page."""
    message = email.message_from_bytes(data, policy=email.policy.default)
    text = _told_message(message, html)
    if text is None:
        raise Unreadable("there is no message in it")
    return text


# Before a header: many programs do not mark a body's own line that begins so.
_ENVELOPE = re.compile(rb"(?m)^From [^\r\n]*\r?\n(?=[!-9;-~]+:)")


def text_of_mailbox(data: bytes, html: Callable[[str], str]) -> str:
    """All the messages of an mbox, one after the other."""
    parts = []
    for raw in _ENVELOPE.split(data):
        if raw.strip():
            message = email.message_from_bytes(
                raw.replace(b"\n>From ", b"\nFrom "), policy=email.policy.default
            )
            told = _told_message(message, html)
            if told is not None:
                parts.append(told)
    if not parts:
        raise Unreadable("there is no message in it")
    return "\n".join(parts)


def _told_message(message: EmailMessage, html: Callable[[str], str]) -> str | None:
    def header(name: str) -> str:
        try:
            return " ".join(str(message.get(name, "")).split())
        except Exception:  # noqa: BLE001 - a header nobody could parse is no header
            return ""

    bodies, attached = [], []
    for part in message.walk():
        kind = part.get_content_type()
        if part.is_multipart():
            continue
        name = part.get_filename()
        if name or part.get_content_disposition() == "attachment":
            attached.append(str(name or kind))
        elif kind in ("text/plain", "text/html"):
            payload = part.get_payload(decode=True) or b""
            try:
                said = payload.decode(part.get_content_charset() or "utf-8", "replace")
            except LookupError:
                said = payload.decode("utf-8", "replace")
            bodies.append((kind, said.replace("\x00", "").replace("\r\n", "\n").strip()))
    plain = [said for kind, said in bodies if kind == "text/plain" and said]
    said = plain or [html(said).strip() for kind, said in bodies if kind == "text/html"]
    subject = header("Subject")
    if not subject and not any(said):
        return None
    lines = [f"# {subject or 'A message without a subject'}", ""]
    lines += [f"{name}: {header(name)}" for name in ("From", "To", "Cc", "Date") if header(name)]
    lines += [f"Attached: {', '.join(attached)}"] if attached else []
    return "\n".join([*lines, "", *said, ""])


# -- conversations -------------------------------------------------------------------------------------

_AUTHORS = ("author", "role", "from", "sender", "user", "username", "name", "speaker", "from_name", "actor")
_TEXTS = ("text", "content", "body", "message", "value", "parts", "msg")
_TIMES = ("date", "timestamp", "ts", "created_at", "create_time", "time", "timestamp_ms", "sent_at")


def text_of_chat(data: Any) -> str | None:
    """A conversation exported as JSON, a turn a paragraph that begins with its speaker, a heading for each
    day; None where it is something else.

    Understood are lists of messages, alone or under a key, each with somebody who says something (chat
    services and language models call these by a dozen names), and the tree of messages of ChatGPT.
    """
    parts = []
    for title, messages in _conversations(data):
        turns = [turn for turn in map(_turn, messages) if turn is not None]
        if len(turns) < 2 or len(turns) < 0.5 * len(messages):
            continue
        if title:
            parts.append(f"# {title}\n")
        day = None
        for author, said, when in turns:
            if when is not None and when.date() != day:
                day = when.date()
                parts.append(f"## {title + ', ' if title else ''}{day.isoformat()}\n")
            parts.append(f"{author}: {said}")
    return "\n".join(parts) + "\n" if parts else None


def _conversations(data: Any) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(its title, its messages) of each list of messages, at most two levels down."""
    if isinstance(data, list):
        if data and all(isinstance(each, dict) for each in data):
            if any("messages" in each or "mapping" in each for each in data[:3]):
                for each in data:
                    yield from _conversations(each)
            else:
                yield "", data
    elif isinstance(data, dict):
        title = next(
            (str(data[key]) for key in ("title", "name", "channel") if isinstance(data.get(key), str)), ""
        )
        if isinstance(data.get("mapping"), dict):
            nodes = [node.get("message") for node in data["mapping"].values() if isinstance(node, dict)]
            found = [each for each in nodes if isinstance(each, dict) and each.get("content")]
            found.sort(key=lambda each: each.get("create_time") or 0)
            yield title, found
        else:
            for key in ("messages", "conversation", "chat", "turns", "history"):
                value = data.get(key)
                if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
                    yield title, value
                    return
            chats = data.get("chats") or data.get("conversations")
            if isinstance(chats, dict):
                chats = chats.get("list")
            if isinstance(chats, list):
                yield from _conversations(chats)


def _turn(message: dict[str, Any]) -> tuple[str, str, datetime | None] | None:
    author = _first(message, _AUTHORS)
    if isinstance(author, dict):
        author = _first(author, ("name", "username", "role", "display_name"))
    said = _said(_first(message, _TEXTS))
    if not isinstance(author, str) or not author.strip() or not said.strip():
        return None
    author = " ".join(author.replace(":", " ").split())[:36]
    lines = [line.rstrip() for line in said.strip().splitlines()]
    return author, "\n  ".join(lines), _time(_first(message, _TIMES))


def _first(message: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((message[name] for name in names if message.get(name) not in (None, "", [])), None)


def _said(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_said, value))
    if isinstance(value, dict):
        return _said(value.get("text") or value.get("parts") or value.get("content"))
    return ""


def _time(value: Any) -> datetime | None:
    try:
        if isinstance(value, str) and not re.fullmatch(r"\d+(\.\d+)?", value):
            return datetime.fromisoformat(value)
        seconds = float(value)
        return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def parsed_json(text: str, lines: bool) -> Any:
    """JSON, or a list of what stands on the lines; None for what is neither."""
    try:
        if lines:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _told(exc: BaseException) -> str:
    return str(exc).split("\n")[0][:80] or type(exc).__name__
