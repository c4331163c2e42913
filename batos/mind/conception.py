"""Conception: a folder or a hub's model becomes the mind of an image, one stage after the other.

    look       size, licence, room and budget, before the first byte is fetched or copied
    fetch      a hub's files come to a folder beside the image, resumed after a kill, each verified
    examine    the model is really built, so that what will not load never gets in
    quantise   where the profile wants four bits: once, and before any forward
    ingest     a verified blob for each file, and one transaction that makes them the mind

A kill before the last transaction leaves the image as it was, and what was fetched; a kill after it, the new
mind.  The mind that ships with the package comes in without the first stages (`ensure_embedded`).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from batos import errors
from batos.config import Settings
from batos.heavy import importing
from batos.message import OWNER
from batos.mind import experts, hub, incarnation, loading, profiles


def look(image: Any, source: str, settings: Settings) -> dict[str, Any]:
    """What `source`, a folder or a hub id, is and takes: `loading.survey`, `disk`, `disk_free`, `revision`.

    Raises `NoSuchFile`, `BadRequest`, `Refused`, `TooLarge` or `ReadOnly`, each with its reason.
    """
    profile = profiles.choose(settings)
    if Path(source).is_dir():
        told = loading.survey(source, profile) | {"revision": ""}
        wanted = told["memory"] if told["quantise"] else told["bytes"]
    else:
        found = _on_the_hub(source)
        told = {
            "name": found.hub_id,
            "origin": found.hub_id,
            "revision": found.revision,
            "licence": found.licence or "not told",
            "architecture": "",
            "parameters": found.parameters or found.bytes // 2,
            "files": len(found.files),
            "bytes": found.bytes,
            "quantise": profile.quantise,
        }
        numbers = told["parameters"]
        told |= loading.fitted(int(numbers * loading.NF4_BYTES) if profile.quantise else found.bytes, profile)
        # What is fetched becomes the blobs; quantising writes its own files beside it.
        here = hub.here(found, image.directory / incarnation.WORK)
        wanted = found.bytes - here + (told["memory"] if profile.quantise else 0)
    image.check_space(wanted)
    return told | {"disk": int(wanted), "disk_free": shutil.disk_usage(image.directory).free}


def _on_the_hub(source: str) -> hub.Found:
    if not hub.is_hub_id(source) or Path(source).exists():
        raise errors.NoSuchFile(
            f"{source} is no folder of a model, and no hub id (OWNER/NAME)",
            hint="python -m batos incarnate DIR_OR_HUB_ID",
        )
    return hub.look(source)


def conceive(
    image: Any,
    source: str,
    settings: Settings,
    who: str = OWNER,
    tell: hub.Tell = lambda words, **at: None,
) -> dict[str, Any]:
    """Make `source`, a folder or a hub id, the mind of the image; what `ingest_model` answers.

    tell is told what is going on (`hub.Tell`).  Raises what `look`, `fetch`, `examine` and `ingest_model`
    raise; the image is as it was then.
    """
    told = look(image, source, settings)
    fetched = None
    if Path(source).is_dir():
        folder = Path(source)
    else:
        found = _on_the_hub(source)
        tell(f"{found.bytes / 1e6:.0f} MB of {found.hub_id} are fetched")
        folder = fetched = hub.fetch(found, image.directory / incarnation.WORK, tell)
        told |= {
            key: loading.survey(folder, profiles.choose(settings))[key] for key in ("quantise", "memory")
        }
    tell("the model is built once, to see that it is whole")
    with importing:
        shapes = loading.examine(folder)["shapes"]
    with incarnation.workshop(image) as place:
        if told["quantise"]:
            tell("it is quantised to 4 bits, once and for all")
            with importing:
                folder = loading.quantised(folder, place / "nf4")
        tell("its files become blobs of the image")
        licence = _licence(told, folder)  # while the folder is there
        report = incarnation.ingest_model(
            image, folder, told["name"], told["origin"], licence, who,
            revision=told["revision"], shapes=shapes, ours=fetched is not None or bool(told["quantise"]),
        )  # fmt: skip
    if fetched is not None:
        shutil.rmtree(fetched, ignore_errors=True)
    return report | {"licence": licence, "revision": told["revision"]}


def ensure_embedded(image: Any, folder: Path = incarnation.EMBEDDED) -> list[Any]:
    """Give an image without a mind the embedded one, and its experts by the road of `lora_staging`.

    Does nothing where there is a mind; what a kill interrupted is completed.
    """

    def state(root: Any) -> tuple[str | None, bool]:
        mind = root["pLLM_obj"]
        return mind.model_id, mind._slots.get("embedded_staged", False)

    name, staged = image.run("is there a mind?", state)
    if name not in (None, incarnation.EMBEDDED_NAME) or staged or not (folder / "base" / "config.json").is_file():
        return []
    if name is None:
        base, licence = folder / "base", "as the package"
        incarnation.ingest_model(
            image, base, incarnation.EMBEDDED_NAME, "made by this project", licence, incarnation.BATOS
        )
    reports = []
    if (folder / "experts").is_dir():
        reports = experts.stage_experts(image, [folder / "experts"], incarnation.BATOS)

    def done(root: Any) -> None:
        root["pLLM_obj"].embedded_staged = True

    image.run("the embedded mind is whole", done, incarnation.BATOS)
    return reports


def _licence(told: dict[str, Any], folder: Path) -> str:
    known = told["licence"]
    return known if known != "not told" else incarnation.licence_of(folder)
