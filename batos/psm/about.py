"""What the image's own objects say to a question that names them: read from slots and methods, never sent.

`about_object` answers a question whose wording it knows, exactly; `objects_named` shows the objects a question
speaks of to a mind that is asked instead, with what each of their slots and methods was, so that an answer can be
dropped when one of them changes.
"""

from __future__ import annotations

import json
import re
from typing import Any

from batos.errors import BatosError
from batos.knowledge import itself
from batos.objects import Method, UvmObject
from batos.objects.method import digest
from batos.objects.plain import NotPlain, encode, plain

SHOWN = 2  # objects a mind is shown for one question
SHOWN_TEXT = 2000  # characters of one of them


def answered(
    answer: str, road: str, confidence: float, why: str, sources: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """An answer with the road it came by, how sure it is, why, and what it rests on."""
    return {"answer": answer, "road": road, "confidence": confidence, "why": why, "sources": sources or []}


_NAMED = r"[A-Za-z]\w*(?:\.\w+)*"
_PATH = rf"(?P<path>{_NAMED})"
_SLOT = r"(?P<slot>[A-Za-z][\w ]*?)"
_THE = r"(?:the |my |your |our )?"
_MY = r"(?:the |my )?"
_IS = r"(?:what|who|which)(?: is|'s| are| was)"
_OF = re.compile(
    rf"(?:{_IS}|tell me|show me|give me|how (?:much|high|big|large|long|old) is)? ?(?:the )?"
    rf"(?:{_SLOT} (?:of|in|on|at) {_MY}{_PATH}"
    rf"|{_MY}(?P<path2>{_NAMED})'s (?P<slot2>[A-Za-z][\w ]*?))"
)
_COUNT = re.compile(rf"how many {_SLOT} (?:does|has|are in|are there in|in) {_MY}{_PATH}(?: have)?")
_ALL = re.compile(
    rf"(?:what (?:does|do) {_MY}{_PATH} (?:know|have|contain|hold|understand)"
    rf"|describe {_MY}(?P<path2>{_NAMED})"
    rf"|what can {_MY}(?P<path3>{_NAMED}) do"
    rf"|(?:tell me (?:more |something )?about|what is (?:in |inside )?|show me) {_MY}(?P<path4>{_NAMED}))"
)
_OTHER_OF = re.compile(
    rf"(?:(?:what|which)(?: is|'s)?|show me|tell me) {_THE}{_PATH} (?P<slot>[A-Za-z]\w*)"  # the account balance
    rf"|(?:(?:what|who)(?: is|'s) |show me |tell me )?{_THE}(?P<path3>{_NAMED})\.(?P<slot3>\w+)"
    rf"|(?:what|which) (?P<slot2>[A-Za-z]\w*) (?:is|does|has) "  # what colour is it
    rf"{_THE}(?P<path2>{_NAMED})(?: have)?"
)
# "who owns the shop" asks for a slot that is named after whoever does it.
WHO = {"owns": "owner", "made": "maker", "keeps": "keeper", "holds": "holder", "wrote": "author"}
_OWNS = re.compile(rf"(?:who|whom) (?P<verb>owns|made|keeps|holds|wrote) {_THE}{_PATH}")
_HERE = r"(?:the |this )?(?:lobby|image)"
_OBJECTS = re.compile(
    rf"(?:what|which) (?:objects|things) (?:are there|do you (?:have|know|hold)|exist|are in {_HERE})"
    rf"(?: here| in {_HERE})?"
    r"|what is (?:in|inside) (?:the lobby|this image|the image|here|you)"
    r"|(?:list|show me|show) (?:all )?(?:the |your )?objects"
)
_TEXT = r"(?:the )?(?:source|code|source code|text|definition)"
_SOURCE = re.compile(
    rf"(?:show me |give me |what is |tell me )?{_TEXT} of (?P<slot>\w+) (?:of|in|on) {_THE}{_PATH}"
    rf"|how does (?P<slot2>\w+) (?:of|in|on) {_THE}(?P<path2>{_NAMED}) work"
    rf"|how does {_THE}(?P<path3>{_NAMED})'s (?P<slot3>\w+) work"
)
_WROTE = re.compile(rf"who (?:wrote|made|taught) (?P<slot>\w+) (?:of|to|for|in) (?:the |my )?{_PATH}")


def about_object(root: Any, text: str) -> dict[str, Any] | None:
    """What the image itself says to a question that names one of its objects; None where it names none.

    Only slots are read; nothing is sent.
    """
    text = " ".join(text.strip().rstrip("?. ").split())
    text = text[:1].lower() + text[1:]
    if found := _WROTE.fullmatch(text):
        return _author(root, found["path"], found["slot"])
    if found := _COUNT.fullmatch(text):
        return _slot(root, found["path"], found["slot"], counted=True)
    if _OBJECTS.fullmatch(text):
        return _listed(root)
    if found := _SOURCE.fullmatch(text):
        return _source(root, _first(found, "path"), _first(found, "slot"))
    if (found := _ALL.fullmatch(text)) and (told := _described(root, _first(found, "path"))):
        return told
    if found := _OWNS.fullmatch(text):
        return _slot(root, found["path"], WHO[found["verb"]])
    for pattern in (_OF, _OTHER_OF):
        if (found := pattern.fullmatch(text)) and (
            told := _slot(root, _first(found, "path"), _first(found, "slot"))
        ):
            return told
    return None


def _first(found: re.Match[str], name: str) -> str:
    """What the group `name`, or one of its numbered twins, has found: in the alternatives of one expression a
    name may stand but once, so they are `path`, `path2` and so on."""
    return next(value for key, value in found.groupdict().items() if key.rstrip("234") == name and value)


def _listed(root: Any) -> dict[str, Any]:
    """The objects of the lobby."""
    names = sorted(name for name, value in root["lobby"]._own_slots() if isinstance(value, UvmObject))
    if not names:
        return answered(
            "there are no objects yet; make one with: send lobby clone -k called=NAME",
            "object",
            1.0,
            "read from lobby",
        )
    return answered(
        f"the lobby has {', '.join(names)}",
        "object",
        1.0,
        "read from lobby",
        [{"object": "lobby", "slot": None}],
    )


def _source(root: Any, path: str, selector: str) -> dict[str, Any] | None:
    obj = _object(root, path)
    method = obj._method(selector) if obj is not None else None
    if method is None or method.primitive is not None or not method.source:
        return None
    return answered(
        method.source.strip(),
        "object",
        1.0,
        f"the source of {selector}, read from {path}",
        [{"object": path, "slot": selector}],
    )


def _object(root: Any, path: str) -> UvmObject | None:
    for each in dict.fromkeys((path, path.lower())):
        try:
            return root.resolve(each)
        except BatosError:
            continue
    return None


def _slot(root: Any, path: str, words: str, counted: bool = False) -> dict[str, Any] | None:
    obj = _object(root, path)
    if obj is None:
        return None
    name = words.strip().replace(" ", "_")
    holder = next((each for each in dict.fromkeys((name, name.lower())) if _has(obj, each)), None)
    if holder is None:
        return None
    value = getattr(obj, holder)
    if counted and not isinstance(value, (int, float)):
        try:
            value = len(value)
        except TypeError:
            return None
    try:
        shown = json.dumps(plain(value, root.path_of), ensure_ascii=False)
    except NotPlain:
        return None
    told = answered(
        f"{path}.{holder} is {shown}" if not counted else shown, "object", 1.0, f"read from {path}",
        [{"object": path, "slot": holder}],
    )  # fmt: skip
    if isinstance(value, int) and not isinstance(value, bool):
        told["exact"] = str(value)
    return told


def _has(obj: UvmObject, name: str) -> bool:
    if name.startswith("_"):
        return False
    try:
        value = getattr(obj, name)
    except (AttributeError, BatosError):
        return False
    return not callable(value)


def _described(root: Any, path: str) -> dict[str, Any] | None:
    obj = _object(root, path)
    if obj is None:
        return None
    slots = [name for name, value in obj._own_slots() if not isinstance(value, Method) and name[0] != "_"]
    selectors = [name for name, value in obj._own_slots() if isinstance(value, Method)]
    answer = f"{path} has the slots {', '.join(sorted(slots)) or '(none)'}"
    answer += (
        f" and the methods {', '.join(sorted(selectors))}" if selectors else " and no methods of its own"
    )
    return answered(answer, "object", 1.0, f"read from {path}", [{"object": path, "slot": None}])


def _author(root: Any, path: str, selector: str) -> dict[str, Any] | None:
    obj = _object(root, path)
    method = obj._method(selector) if obj is not None else None
    if method is None:
        return None
    newest = method.told_versions()[-1]
    mission = f" in mission {newest['mission']}" if newest.get("mission") else ""
    return answered(
        f"{selector} of {path} was written by {newest['author']}{mission}", "object", 1.0,
        f"the method keeps who wrote it; see: history {path} {selector}", [{"object": path, "slot": selector}],
    )  # fmt: skip


_NAME = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")


def objects_named(root: Any, text: str) -> list[dict[str, Any]]:
    """The objects that a text names, as passages for a mind: ``{"source", "object", "start", "end", "text", "rests"}``.

    `rests` says what the passage was made of: ``[kind, place, digest]`` of each slot and each method's version.
    """
    told = []
    for path in dict.fromkeys(_NAME.findall(text)):
        obj = _object(root, path) if len(path) > 2 else None
        if obj is None or len(told) == SHOWN:
            continue
        shown = itself.text_of_object(obj, path)[:SHOWN_TEXT]
        rests = []
        for name, value in sorted(obj._own_slots(), key=lambda pair: pair[0]):
            if isinstance(value, Method):
                rests.append(["method", f"{path}.{name}", digest(value.source or "")])
            elif not name.startswith("_"):
                rests.append(["slot", f"{path}.{name}", _digest_of(value)])
        told.append(
            {
                "source": itself.SCHEME + path,
                "object": path,
                "start": 0,
                "end": len(shown),
                "text": shown,
                "rests": rests,
            }
        )
    return told


def _digest_of(value: Any) -> str:
    """A digest of a slot's value; of an object in it that it is that object."""
    try:
        return digest(json.dumps(encode(value, lambda obj: {"$oid": repr(obj._p_oid)}), sort_keys=True))
    except NotPlain:
        return digest(repr(value))
