"""Audit events of this process, while somebody listens.

The interpreter never lets go of an audit hook, and asks it at every `id()`: a hundred of them make weighing,
pickling and importing fifty times slower until the process ends.  So there is one for everybody who listens here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Wanted = Callable[[str, tuple[Any, ...]], bool]

_wanted: Wanted | None = None
_heard: list[str] = []
_hooked = False


@contextmanager
def hearing(wanted: Wanted) -> Iterator[list[str]]:
    """The events that are `wanted`, from now on and in every thread, each in words; one listener at a time."""
    global _wanted, _heard, _hooked
    if not _hooked:
        sys.addaudithook(_hear)
        _hooked = True
    assert _wanted is None, "somebody listens already"
    _wanted, _heard = wanted, []
    try:
        yield _heard
    finally:
        _wanted = None


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _wanted is not None and _wanted(event, arguments):
        _heard.append(f"{event} {arguments!r}")
