"""How the image's answers look to a person: pages of objects, their past, passages, errors and checks.

Plain data in, text out; whoever prints it is a face (`cli`, `repl`).
"""

from __future__ import annotations

import json
import time
from typing import Any, TextIO

from batos.errors import BatosError


def readable(value: Any, indent: int = 0) -> str:
    """Plain data as a page: maps as lines, lists of maps as tables, objects by name, text as it is."""
    pad = " " * indent
    if isinstance(value, str):
        return "\n".join(pad + line for line in value.splitlines()) or pad
    if _is_leaf(value):
        return pad + _leaf(value)
    if isinstance(value, list):
        if is_rows(value):
            return _table(value, pad)
        return "\n".join(f"{pad}- {readable(item, indent + 2).lstrip()}" for item in value)
    lines = []
    for name, inner in value.items():
        flat = _is_leaf(inner) or (isinstance(inner, str) and "\n" not in inner)
        lines.append(
            f"{pad}{name}: {_cell(inner, name)}" if flat else f"{pad}{name}:\n{readable(inner, indent + 2)}"
        )
    return "\n".join(lines)


def described(told: Any) -> str:
    """An object as `describe` tells it: what is its own first, what it inherits in a line for each holder."""
    if not isinstance(told, dict) or not {"slots", "methods", "parents"} <= set(told):
        return readable(told)
    lines = [_cell(told.get("object") or {name: told.get(name) for name in ("oid", "path")})]
    lines.append(f"parents: {_cell(told['parents'])}")
    for name, value in told.items():
        if name not in ("object", "oid", "path", "parents", "slots", "methods") and value is not None:
            lines.append(readable({name: value}))
    for group, words in (("own", "slots"), ("inherited", "inherited slots")):
        if told["slots"][group]:
            lines.append(readable({words: told["slots"][group]}))
    if told["methods"]["own"]:
        shown = ("version", "author", "time", "mission", "verdict")
        rows = [
            {"selector": f"{row['selector']}({', '.join(row.get('parameters', []))})"}
            | {name: row[name] for name in shown if name in row}
            for row in told["methods"]["own"]
        ]
        lines.append("methods:\n" + _table(rows, "  "))
        written = [(row["selector"], provenance(row)) for row in told["methods"]["own"]]
        lines += [f"  {selector}: {words}" for selector, words in written if words]
    holders: dict[str, list[str]] = {}
    for row in told["methods"]["inherited"]:
        holders.setdefault(_cell(row.get("holder")), []).append(row["selector"])
    for holder, selectors in holders.items():
        lines.append(f"methods of {holder}: {' '.join(selectors)}")
    return "\n".join(lines)


def provenance(record: dict[str, Any]) -> str:
    """How batos came to a version of a method, in words; nothing of one that a person wrote unrepaired."""
    words = []
    if doc := record.get("doc"):
        words.append(doc.rstrip("."))
    if tried := record.get("rehearsal"):
        alike = (
            f"{tried['agreeing']:g} of {tried['drafts']:g} drafts"
            if "agreeing" in tried
            else tried.get("agreed")
        )
        words.append(f"{alike} did the same in {tried.get('trials')} trials")
    if (model := record.get("model")) and model.get("model_id"):
        words.append(f"mind {model['model_id']} {(model.get('digest') or '')[:8]}".rstrip())
    if experts := record.get("experts"):
        words.append(
            "experts " + ", ".join(f"{name} {(digest or '')[:8]}" for name, digest in experts.items())
        )
    if repairs := record.get("repairs"):
        words.append("repairs: " + "; ".join(repairs))
    if probation := record.get("probation"):
        how = {"on": "on probation", "passed": "passed its probation", "reverted": "taken back"}
        state, failed = probation["state"], f"{probation['failed']} of {probation['calls']} calls failed"
        words.append(f"{how.get(state, state)}: {failed}" if probation["calls"] else how.get(state, state))
    return "; ".join(words)


def sentences(error: BatosError) -> list[str]:
    """An error in words: what happened and where, what is near, which mission it was."""
    told = str(error)
    place = [f"{name} {value}" for name in ("rule", "line") if (value := getattr(error, name)) is not None]
    place = [words for words in place if words not in told]
    lines = [f"{told} ({', '.join(place)})" if place else told]
    if error.near and not all(repr(name)[1:-1] in told for name in error.near):
        lines.append(f"near: {', '.join(error.near)}")
    if error.mission and error.mission not in told:
        lines.append(f"mission: {error.mission}")
    return lines


def pointed(source: str, error: BatosError) -> list[str]:
    """The line of a text that a refusal is about, with a caret line under it; nothing where it has none."""
    lines = source.splitlines()
    if error.line is None or not 0 < error.line <= len(lines):
        return []
    text = lines[error.line - 1].expandtabs(4).rstrip()
    start = len(text) - len(text.lstrip())
    margin = f"{error.line:4} | "
    return [margin + text, " " * (len(margin) - 2) + "| " + " " * start + "^" * max(1, len(text) - start)]


def passages(found: list[dict[str, Any]]) -> str:
    """Answers of `recall`, best first, each with its score and where it stands."""
    if not found:
        return "nothing is remembered about that"
    return "\n\n".join(
        f"{one['score']:.3f}  {one['source']}:{one['start']}-{one['end']}{_why(one)}\n{readable(one['text'], 4)}"
        for one in found
    )


def _why(one: dict[str, Any]) -> str:
    if "words" not in one:
        return ""
    said = [
        f"words {one['words']:.2f}",
        *([f"meaning {one['meaning']:.2f}"] if one["meaning"] is not None else []),
        *([f"its best sentence {one['sentence']:.2f}"] if "sentence" in one else []),
    ]
    said += [f"under {one['section']}"] if one["section"] else []
    said += [f"also in {', '.join(one['also'])}"] if one["also"] else []
    said += [f"replaced by {one['superseded_by']}"] if one["superseded_by"] else []
    return f"\n    {'; '.join(said)}"


class Growing:
    """An answer of `ask` on a terminal, as it grows: the first draft, then the words of the mind as they come.

    `tell` takes the events of the message, `end` its answer.
    """

    def __init__(self, out: TextIO):
        self._out = out
        self._said = ""  # of the mind, since it began or began anew

    def tell(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "draft":
            self._write(f"{event['answer']}\n(a first draft, by {event['road']}; the mind is asked)\n")
        elif kind == "again":
            self._write(f"\n(that cannot stand: {event['why']})\n")
            self._said = ""
        elif kind == "tokens":
            self._write(event["text"] if self._said else "\n" + event["text"].lstrip())
            self._said += event["text"]

    def end(self, told: dict[str, Any]) -> None:
        if self._said.strip() == told["answer"]:
            self._write("\n\n" + basis(told) + "\n")
        else:
            self._write(("\n" if self._said else "") + answered(told) + "\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def answered(told: dict[str, Any]) -> str:
    """An answer of `ask`, with the way it came by and what it rests on."""
    return f"{told['answer']}\n\n{basis(told)}"


def basis(told: dict[str, Any]) -> str:
    """The way an answer came by, and what it rests on."""
    lines = [f"by {told['road']}, confidence {told['confidence']:g}: {told['why']}"]
    for one in told["sources"]:
        if "object" in one:
            lines.append(f"  {one['object']}" + (f".{one['slot']}" if one["slot"] else ""))
        else:
            lines.append(f"  {one['source']}:{one['start']}-{one['end']}")
    if "degraded" in told:
        lines.append(f"the mind did not answer this: {told['degraded']}")
    if "session" in told:
        lines.append(f"go on with: --session {told['session']}")
    return "\n".join(lines)


def logged(rows: list[dict[str, Any]]) -> str:
    """The image's past, a line for each message that changed something, newest last."""
    if not rows:
        return "nothing has changed yet"
    told = []
    for row in rows:
        names = ("time", "message", "who", "why", "mission", "changes", "tid")
        known = {name: row.get(name) for name in names}
        known["changes"] = "undone" if row.get("undone") else known["changes"]
        told.append(known | {name: cell for name, cell in row.items() if name not in (*known, "undone")})
    return _table(told, "")


def changed(changes: list[dict[str, Any]]) -> list[str]:
    """`account.balance: 100 -> 70` for each change."""
    return [f"{_place(one)}: {_side(one.get('before'))} -> {_side(one.get('after'))}" for one in changes]


def past(told: Any) -> str:
    """What `history` tells: the versions of methods with their diffs, then who changed which slot when."""
    if not isinstance(told, dict) or not {"versions", "changes"} <= set(told):
        return readable(told)
    lines = []
    for version in told["versions"]:
        facts = [version.get(name) for name in ("author", "time", "verdict", "mission")]
        words = [_cell(fact, "time") for fact in facts if fact is not None]
        lines.append(f"{version.get('selector')} version {version.get('version')}: {', '.join(words)}")
        if words := provenance(version):
            lines.append(readable(words, 2))
        if text := version.get("diff") or version.get("source"):
            lines.append(readable(text, 4))
    rows = []
    for one in told["changes"]:
        about = {name: one.get(name) for name in ("time", "who", "why", "mission", "tid")}
        (change,) = changed([one | {"object": None}])
        rows.append({"time": about.pop("time"), "who": about.pop("who"), "change": change, **about})
    if rows:
        lines.append(_table(rows, ""))
    return "\n".join(lines) or "nothing has changed yet"


def taken(told: Any, words: str) -> str:
    """What `undo` took back, or `redo` did again, a line for each message."""
    if not isinstance(told, dict) or "taken" not in told:
        return readable(told)
    return "\n".join(f"{words}: {one.get('why')} (message {one.get('message')})" for one in told["taken"])


def _place(change: dict[str, Any]) -> str:
    obj, slot = change.get("object"), change.get("slot")
    name = (obj.get("path") or obj.get("oid")) if isinstance(obj, dict) else obj
    return ".".join(str(part) for part in (name, slot) if part is not None)


def _side(value: Any) -> str:
    if value is None:
        return "-"
    return _short(_leaf(value) if is_object(value) else json.dumps(value, ensure_ascii=False))


def checks(found: list[dict[str, Any]]) -> str:
    """The doctor's findings, one line each."""
    width = max((len(one["check"]) for one in found), default=0)
    return "\n".join(f"{one['state']:4}  {one['check']:{width}}  {one['detail']}".rstrip() for one in found)


def is_rows(value: list[Any]) -> bool:
    """Whether a list reads well as a table: maps all of it, and nothing of several lines in them."""
    return all(
        isinstance(item, dict)
        and not _is_leaf(item)
        and not any(isinstance(cell, str) and "\n" in cell for cell in item.values())
        for item in value
    )


def _table(rows: list[dict[str, Any]], pad: str) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_short(_cell(row[name], name)) if name in row else "" for name in names] for row in rows]
    widths = [max(len(name), *(len(row[column]) for row in cells)) for column, name in enumerate(names)]
    lines = [names, *cells]
    return "\n".join(
        (pad + "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True))).rstrip()
        for line in lines
    )


def is_object(value: Any) -> bool:
    """Does plain data stand for an object of the image?"""
    return isinstance(value, dict) and set(value) == {"oid", "path"}


def _is_leaf(value: Any) -> bool:
    return not value or not isinstance(value, dict | list | str) or is_object(value)


def _leaf(value: Any) -> str:
    if is_object(value):
        return f"<{value['path'] or 'an object'} {value['oid']}>"
    if isinstance(value, dict | list):
        return "none"
    return json.dumps(value, ensure_ascii=False)


_MOMENTS = ("since", "time", "born")  # names under which a number is seconds since 1970


def _cell(value: Any, name: str = "") -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "-"
    if isinstance(value, float):
        return (
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value)) if name in _MOMENTS else f"{value:.6g}"
        )
    if isinstance(value, list) and all(map(is_object, value)):
        return " ".join(map(_leaf, value)) or "none"
    return _leaf(value) if _is_leaf(value) else json.dumps(value, ensure_ascii=False)


def _short(text: str, width: int = 48) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else f"{text[: width - 3]}..."
