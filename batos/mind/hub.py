"""The hub: a model's files are fetched from a Hugging Face hub, resumed after a kill, and checked.

`look` asks what a repository holds (revision, licence, sizes, digests) and fetches nothing; `fetch` brings
the files to a folder of this one revision beside the image, where an interrupted run goes on at the byte
where it stood: huggingface_hub itself no longer resumes across runs (FACTS).  Every file is compared with the
hub's own digest before it counts: sha256 for large files, git's blob id for the others.

`HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE` mean what they mean everywhere.  Nothing here runs when a mind
is loaded.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

from batos import errors
from batos.mind import network
from batos.mind.incarnation import CHUNK, MODEL_FILES

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(@[\w./-]+)?")
SHARDS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
ATTEMPTS = 6  # of one file, each from where the one before it ended
# Told what is going on, in a sentence; while a file comes its name, with `bytes` and `total_bytes` of the whole.
Tell = Callable[..., None]
STEP = 4 * 2**20  # bytes between two of those


@dataclass(frozen=True, slots=True)
class File:
    """A file of a repository: its digest is a sha256, or git's blob id where the hub keeps no other."""

    name: str
    bytes: int
    digest: str
    kind: str  # "sha256", "git" or "" where the hub tells none


@dataclass(frozen=True, slots=True)
class Found:
    """A repository at one commit, and the files of it that make a model."""

    hub_id: str
    revision: str
    licence: str
    parameters: int
    files: tuple[File, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def is_hub_id(text: str) -> bool:
    """Whether it reads like OWNER/NAME, perhaps with @REVISION.

    >>> is_hub_id("Qwen/Qwen3-0.6B"), is_hub_id("./models/mine"), is_hub_id("a/b/c")
    (True, False, False)
    """
    return HUB_ID.fullmatch(text) is not None


def look(hub_id: str) -> Found:
    """What the hub tells of a model; raises `NoSuchFile` (no such model) and `Refused` with the reason."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name, _, wanted = hub_id.partition("@")
    endpoint = _endpoint()
    try:
        info = HfApi(endpoint=endpoint).model_info(
            name, revision=wanted or None, files_metadata=True, timeout=20
        )
    except GatedRepoError as exc:
        raise errors.Refused(
            f"{name} is gated: its owner wants you to accept a licence first",
            hint=f"accept it at {endpoint}/{name}, put a token into HF_TOKEN, then incarnate it again",
        ) from exc
    except (RepositoryNotFoundError, RevisionNotFoundError) as exc:
        raise errors.NoSuchFile(
            f"there is no folder {hub_id} here, and no such model at {endpoint}",
            hint="python -m batos incarnate DIR_OR_HUB_ID; a private model wants HF_TOKEN",
        ) from exc
    except OfflineModeIsEnabled as exc:
        raise errors.Refused(
            f"{hub_id} would have to be fetched, and HF_HUB_OFFLINE is set",
            hint="unset HF_HUB_OFFLINE, or give a folder: python -m batos incarnate DIR",
        ) from exc
    except (HfHubHTTPError, *network.broken()) as exc:
        raise errors.Refused(
            f"the hub at {endpoint} cannot be asked for {hub_id}: {type(exc).__name__}: {exc}",
            hint="is the network there? A folder works without: python -m batos incarnate DIR",
        ) from exc
    siblings = {each.rfilename: each for each in info.siblings or ()}
    weights = {name for name in siblings if SHARDS.fullmatch(name)}
    if not weights or "config.json" not in siblings:
        raise errors.Refused(
            f"{hub_id} holds no model in safetensors with a config.json; pickled weights are never loaded"
        )
    kept = [
        each
        for name, each in sorted(siblings.items())
        if name in weights or ("/" not in name and not name.endswith(".safetensors") and _wanted(name))
    ]
    card = getattr(info, "card_data", None)
    told = getattr(info, "safetensors", None)
    return Found(
        name,
        info.sha or wanted or "main",
        str(getattr(card, "license", None) or (card or {}).get("license") or ""),
        int(getattr(told, "total", 0) or 0),
        tuple(_file(each) for each in kept),
    )


def _wanted(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in MODEL_FILES)


def _file(sibling: Any) -> File:
    if sibling.lfs:
        return File(sibling.rfilename, sibling.lfs.size, sibling.lfs.sha256, "sha256")
    return File(sibling.rfilename, sibling.size or 0, sibling.blob_id or "", "git" if sibling.blob_id else "")


def fetch(found: Found, beside: Path, tell: Tell = lambda words, **at: None) -> Path:
    """The files in a folder of their own under `beside`, each verified; goes on where an earlier run ended.

    The folder stays until the caller removes it.  Raises `Refused` naming the file where the hub does not
    answer, answers something else, or the bytes are not what it promised.
    """
    folder = _folder(found, beside)
    folder.mkdir(parents=True, exist_ok=True)
    done = 0
    for file in found.files:
        target = folder / file.name
        if not target.exists():
            at = partial(_at, tell, file.name, done, found.bytes)
            _fetch_file(found, file, target, at)
        done += file.bytes
        tell(f"{file.name}: {done / 1e6:.1f} of {found.bytes / 1e6:.1f} MB are here and verified")
    return folder


def _at(tell: Tell, name: str, before: int, total: int, here: int) -> None:
    tell(name, bytes=before + here, total_bytes=total)


def here(found: Found, beside: Path) -> int:
    """Bytes of it that earlier runs have fetched already."""
    folder = _folder(found, beside)
    names = [name for file in found.files for name in (file.name, f"{file.name}.part")]
    return sum((folder / name).stat().st_size for name in names if (folder / name).exists())


def _folder(found: Found, beside: Path) -> Path:
    return beside / f"{found.hub_id.replace('/', '--')}@{found.revision[:12]}"


def _fetch_file(found: Found, file: File, target: Path, came: Callable[[int], None]) -> None:
    """`came` is told how many bytes of the file are here."""
    part = target.with_name(target.name + ".part")
    try:
        for attempt in network.attempts(_worth_another, ATTEMPTS, wait_max=20.0):
            with attempt:
                _append(found, file, part, came)
    except (OSError, ValueError, *network.broken()) as exc:
        raise errors.Refused(
            f"{file.name} of {found.hub_id} could not be fetched: {type(exc).__name__}: {exc}; what is here "
            f"of it is kept",
            hint=f"go on later: python -m batos incarnate {found.hub_id}",
        ) from exc
    told = _digest(part, file)
    if told != file.digest:
        part.unlink()
        raise errors.Refused(
            f"{file.name} of {found.hub_id} is damaged: its digest is {told[:12]}, the hub promised "
            f"{file.digest[:12]}; nothing was changed",
            hint=f"fetch it again: python -m batos incarnate {found.hub_id}",
        )
    with open(part, "rb") as stream:
        os.fsync(stream.fileno())
    os.replace(part, target)


class _Unfinished(OSError):
    """The connection ended before the file did."""


def _append(found: Found, file: File, part: Path, came: Callable[[int], None]) -> None:
    """Go on with `part` until it is as long as the hub says."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    have = part.stat().st_size if part.exists() else 0
    if have > file.bytes:  # of a file that was another one
        part.unlink()
        have = 0
    if have == file.bytes and part.exists():
        return
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}  # the bytes themselves: they are counted
    if have:
        headers["Range"] = f"bytes={have}-"
    url = hf_hub_url(found.hub_id, file.name, revision=found.revision, endpoint=_endpoint())
    with get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=30) as reply:
        hf_raise_for_status(reply)
        # A server that does not know ranges answers 200 and begins at the beginning.
        with open(part, "ab" if reply.status_code == 206 else "wb") as stream:
            told = stream.tell()
            for chunk in reply.iter_raw():  # as it comes: what came before a break is kept
                stream.write(chunk)
                if stream.tell() >= told + STEP:
                    told = stream.tell()
                    came(told)
    got = part.stat().st_size
    if got < file.bytes:
        raise _Unfinished(f"{got} of {file.bytes} bytes came")


def _worth_another(exc: Exception) -> bool:
    return isinstance(exc, _Unfinished) or network.worth_another(exc)


def _digest(part: Path, file: File) -> str:
    if not file.kind:
        return file.digest  # the hub promised nothing
    with open(part, "rb") as stream:
        if file.kind == "sha256":
            return hashlib.file_digest(stream, "sha256").hexdigest()
        # Git's name of a file: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
        sure = hashlib.sha1(f"blob {part.stat().st_size}\0".encode())  # noqa: S324
        while chunk := stream.read(CHUNK):
            sure.update(chunk)
        return sure.hexdigest()


def _endpoint() -> str:
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")
