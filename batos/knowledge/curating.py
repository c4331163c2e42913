"""Curation: what is remembered, held against what it was read from.

Owned here: what BABS does by night, and what she tells of it (`babs_prototype_obj.curation`).  A file or an
object that became another since is read again, and what was remembered while the embedder was not there gets
its vectors.  What is gone is told and kept: a memory is no mirror, and only `forget` forgets.
"""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from batos.errors import BatosError
from batos.knowledge import catalog, itself
from batos.knowledge.shelf import shelf_in
from batos.objects.undo_log import unrecorded

if TYPE_CHECKING:
    from batos.knowledge import Memory

CURATOR = "babs_prototype_obj"
_TOLD = 100  # sources that a report names of each sort


def curate(memory: Memory, image: Any) -> dict[str, Any]:
    """Read again what changed; answers the report that is kept.

    ``{"time", "documents", "read_again", "gone", "unreadable": [{"source", "why"}], "given_vectors"}``:
    sources, and how many texts that are no files got the vectors they lacked.
    """
    semantic = memory.embedder.semantic
    space = memory.embedder.name if semantic else None
    known = image.run("look what there is to curate", _known)
    report: dict[str, Any] = {"time": time.time(), "documents": len(known), "given_vectors": 0}
    report |= {"read_again": [], "gone": [], "unreadable": []}
    for source, modified, has in known:
        lacks = semantic and has != space
        if not image.run("look whether it is still there", partial(_is_there, source=source)):
            continue  # forgotten meanwhile, and not to be read again
        try:
            if source.startswith(itself.SCHEME) and not source.startswith(itself.MISSIONS):
                if not memory.remember_object(source)["current"]:
                    report["read_again"].append(source)
            elif os.path.isabs(source):
                if not os.path.exists(source):
                    report["gone"].append(source)
                elif lacks or os.stat(source).st_mtime > modified:
                    told = memory.remember([source])
                    report["unreadable"] += told["skipped"]
                    report["read_again"] += [source] * bool(told["documents"])
            elif lacks:
                report["given_vectors"] += _give_vectors(memory, image, source)
        except (BatosError, OSError) as exc:
            report["unreadable"].append({"source": source, "why": str(exc)})
    kept = {name: each[:_TOLD] if isinstance(each, list) else each for name, each in report.items()}
    image.run("keep what the curation found", lambda root: _keep(root, kept))
    return report


def _is_there(root: Any, source: str) -> bool:
    return source in catalog.sources(root, source)


def _known(root: Any) -> list[tuple[str, float, str | None]]:
    """(source, when its file was written, the space of its vectors) of everything that is remembered."""
    shelf = shelf_in(root)
    if shelf is None:
        return []
    found = []
    for source, document in [
        *shelf.documents.items(),
        *((copy, shelf.documents[original]) for copy, original in shelf.copies.items()),
    ]:
        told = document._slots
        found.append((source, told.get("modified") or 0.0, told.get("space")))
    return found


def _give_vectors(memory: Memory, image: Any, source: str) -> bool:
    """Cut and embed a text that is no file once more, as of the time it was told; facts keep their order, so
    they are left as they are."""

    def kept(root: Any) -> tuple[str | None, str, dict[str, Any]]:
        shelf = shelf_in(root)
        told = shelf.documents[shelf.copies.get(source, source)]._slots
        about = {name: told[name] for name in ("persona", "remembered") if told.get(name) is not None}
        return (None if "about" in told else catalog.text_of(root, source)), told["kind"], about

    text, kind, about = image.run("look at a text", kept)
    return text is not None and not memory.remember_text(source, text, kind, **about)["current"]


def _keep(root: Any, report: dict[str, Any] | None) -> None:
    if CURATOR in root:
        with unrecorded():  # a change record would go on naming what is forgotten later
            root[CURATOR].curation = report


def unreport(root: Any, sources: set[str]) -> None:
    """Take the last report out where it names a source that is forgotten."""
    report = root[CURATOR]._slots.get("curation") if CURATOR in root else None
    if report and any(
        (each if isinstance(each, str) else each["source"]) in sources
        for name in ("read_again", "gone", "unreadable")
        for each in report[name]
    ):
        _keep(root, None)
