"""The network, for the two who may use it: the hub's files and a remote mind.

One client library (httpx, which huggingface_hub brings) and one way to try again (stamina), set up here so
that a retry is told to the log and never printed among somebody's data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def attempts(on: Callable[[Exception], bool], most: int, **waits: float) -> Any:
    """`for attempt in attempts(...): with attempt: ...`: again after what `on` says is worth it."""
    import stamina
    from stamina.instrumentation import LoggingOnRetryHook, set_on_retry_hooks

    set_on_retry_hooks([LoggingOnRetryHook])  # its first choice prints to stdout
    return stamina.retry_context(on=on, attempts=most, timeout=None, **waits)


def broken() -> tuple[type[Exception], ...]:
    """What a connection raises that could not be made, or ended before the answer did."""
    import httpx2

    return (httpx2.TransportError,)


def worth_another(exc: Exception) -> bool:
    """What a second attempt may mend: a broken connection, a server that is busy."""
    status = getattr(getattr(exc, "response", None), "status_code", None)
    return isinstance(exc, broken()) or status == 429 or (status or 0) >= 500
