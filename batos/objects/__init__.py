"""The world: prototype objects, their containers and methods, and how messages find them."""

from __future__ import annotations

from batos.objects import probation  # noqa: F401 - tells dispatch how a method on probation is called
from batos.objects.containers import Dict, List, Set, keep, kind_of
from batos.objects.lookup import Activation, Missed, activated, activation, send
from batos.objects.method import Method, use_compiler
from batos.objects.uvm_object import UvmObject

__all__ = [
    "Activation", "Dict", "List", "Method", "Missed", "Set", "UvmObject",
    "activated", "activation", "keep", "kind_of", "send", "use_compiler",
]  # fmt: skip
