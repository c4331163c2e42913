"""batos remembers itself: objects and missions of the image as texts that can be recalled.

Owned here: how an object and the missions of a day or a week are told.  Which ones are remembered, and when,
is decided by whoever has the records (`app`).  The sources begin with ``image:``, where no file's name does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from batos.objects import UvmObject
from batos.objects.method import Method

SCHEME = "image:"
MISSIONS = "image:missions/"
FACTS = "fact:"
# What is remembered under these stands in no file: objects, what a person told, what was learned.
NO_FILES = (SCHEME, "conversation:", FACTS)
_LONGEST = 400  # letters of a slot's value that are told
_FAILED = "FAILED"


def text_of_object(obj: UvmObject, name: str) -> str:
    """An object as a document: what it is a child of, its slots, and its methods with their sources."""
    parents = ", ".join(repr(each).strip("<>") for each in obj._parents())
    lines = [f"# {name}", "", f"{name} is an object of this image, a child of {parents or 'nobody'}.", ""]
    data, methods = [], []
    for slot, value in obj._own_slots():
        if isinstance(value, Method):
            methods.append((slot, value))
        else:
            data.append(f"- {slot}: {_shown(value)}")
    if data:
        lines += ["## Slots", "", *data, ""]
    for selector, method in methods:
        if method.primitive is None:
            version = method.versions[method.current - 1]
            lines += [f"## {selector}", "", f"A method of {name}, written by {version['author']}.", ""]
            lines += ["```python", version["source"].strip("\n"), "```", ""]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    try:
        said = repr(value)
    except Exception:  # noqa: BLE001 - an object's own __repr__ may raise anything
        said = f"a {type(value).__name__}"
    said = " ".join(said.split())
    return said if len(said) <= _LONGEST else said[:_LONGEST] + "..."


def texts_of_missions(records: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """(source, text) of the missions of each day, a line each, and of each week, with what failed most.

    records  of missions, with "id", "to", "send", "state", "since", "seconds", "why"
    """
    days: dict[str, list[dict[str, Any]]] = defaultdict(list)
    weeks: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in sorted(records, key=lambda each: each["since"]):
        when = datetime.fromtimestamp(each["since"], UTC)
        days[when.date().isoformat()].append(each)
        weeks["{}-W{:02}".format(*when.isocalendar())].append(each)
    for day, found in days.items():
        lines = [f"# Missions of {day}", "", *map(_told_mission, found)]
        yield f"{MISSIONS}{day}", "\n".join(lines) + "\n"
    for week, found in weeks.items():
        yield f"{MISSIONS}{week}", _told_week(week, found)


def _told_mission(record: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(record["since"], UTC)
    said = f"- {when:%Y-%m-%d %H:%M} mission {record['id']}: {record['to']} was to learn {record['send']}; "
    took = f"after {float(record.get('seconds') or 0):.1f} seconds"
    if record["state"] == _FAILED:
        return f"{said}it failed {took}: {record.get('why') or 'nobody said why'}"
    return f"{said}it ended {took} as {record['state']}"


def _counted(missions: int) -> str:
    return "was 1 mission" if missions == 1 else f"were {missions} missions"


def _told_week(week: str, found: list[dict[str, Any]]) -> str:
    failed = [each for each in found if each["state"] == _FAILED]
    lines = [
        f"# Missions of the week {week}", "",
        f"In the week {week} there {_counted(len(found))}, and {len(failed)} of them failed.",
    ]  # fmt: skip
    if failed:
        most = Counter(f"{each['send']} of {each['to']}" for each in failed).most_common(5)
        reasons = Counter(str(each.get("why") or "no reason was told") for each in failed).most_common(5)
        # Sentences that say of themselves what they are about: a line above them would be found in their place.
        for said, counted in (("What failed most", most), ("Why missions failed most", reasons)):
            told = "; ".join(f"{what} ({times} time{'s' * (times > 1)})" for what, times in counted)
            lines += ["", f"{said} in the week {week}: {told}."]
    return "\n".join(lines) + "\n"
