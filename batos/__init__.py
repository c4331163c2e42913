"""batos: a living image of prototype objects that learn the messages they do not understand."""

from __future__ import annotations

__version__ = "8.0.0"
__all__ = ["AsyncClient", "Client", "Image", "UvmObject", "__version__"]

_HOMES = {
    "AsyncClient": "batos.client",
    "Client": "batos.client",
    "Image": "batos.app",
    "UvmObject": "batos.objects",
}


def __getattr__(name: str):
    # Lazy, because a command line client must not pay for ZODB and an image not for zmq.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'batos' has no attribute {name!r}")
