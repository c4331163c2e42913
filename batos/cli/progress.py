"""How far the image is with what it reads: a bar on a terminal, a sentence elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from batos.cli.telling import say
from batos.message import TellEvent


@contextmanager
def reading(paths: Sequence[str]) -> Iterator[TellEvent]:
    """Takes the progress events of `remember`: on a terminal a bar on stderr with the share done, the rate and
    the time that is left, and the file it is at; off one, one sentence at the beginning."""
    if not sys.stderr.isatty():
        if paths:
            what = paths[0] if len(paths) == 1 else f"{len(paths)} files and folders"
            say(f"the image reads {what}; a large one takes a while")
        yield lambda event: None
        return
    from tqdm import tqdm

    with tqdm(unit="B", unit_scale=True, file=sys.stderr, leave=False, dynamic_ncols=True) as bar:

        def tell(event: dict[str, Any]) -> None:
            if event["event"] == "progress":
                bar.total = event["total_bytes"]
                bar.set_description_str(event["told"].rsplit("/", 1)[-1][:30], refresh=False)
                bar.update(event["bytes"] - bar.n)

        yield tell
