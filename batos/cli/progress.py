"""How far the image is with what takes long, told on stderr: a bar where bytes are counted, sentences elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from batos.cli.telling import patience, say
from batos.message import TellEvent


@contextmanager
def following(begins: str = "") -> Iterator[TellEvent]:
    """Takes the progress events of one message.

    Where they count bytes, a terminal has a bar with the share done, the rate, the time that is left and what it
    is at.  Elsewhere such events are silent, and `begins` is said instead, once.  A sentence without bytes is
    said anywhere.
    """
    if begins and not sys.stderr.isatty():
        say(begins)
    with ExitStack() as bars:
        bar: Any = None

        def tell(event: dict[str, Any]) -> None:
            nonlocal bar
            if event["event"] != "progress":
                return
            if "bytes" not in event:
                if bar is not None:
                    bar.clear()
                say(event["told"])
            elif sys.stderr.isatty():
                at = event["told"].rsplit("/", 1)[-1][:30]
                if bar is None:
                    from tqdm import tqdm

                    bar = bars.enter_context(
                        tqdm(
                            desc=at, initial=event["bytes"], total=event["total_bytes"], unit="B", unit_scale=True,
                            file=sys.stderr, leave=False, dynamic_ncols=True,
                        )
                    )  # fmt: skip
                bar.total = event["total_bytes"]
                bar.set_description_str(at, refresh=False)
                bar.update(event["bytes"] - bar.n)

        yield tell


@contextmanager
def thinking(receiver: str, selector: str) -> Iterator[TellEvent]:
    """Takes the events of one message: where a mission has to learn it first, and that takes longer than a person
    expects, it says so."""
    with ExitStack() as over:
        begun = False

        def tell(event: dict[str, Any]) -> None:
            nonlocal begun
            if event["event"] == "state" and not begun:
                begun = True
                mission = event["mission"]
                over.enter_context(patience(f"mission {mission} teaches {receiver} {selector!r}"))

        yield tell
