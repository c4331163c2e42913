"""Mirrors: to look at an object and change it without sending it anything (Bracha and Ungar 2004).

An object may have a slot `slots` or a method `describe` of its own, and then says what it likes.  A
mirror answers the words of section 4 of the contract about its *reflectee*, beneath whatever the
reflectee understands.  Mirrors are made by `mirrors_obj`, and by nobody else: reflection is a
capability, given to whoever is handed that object.  A clone of a mirror reflects nothing, nor does
one in a rehearsal.  A mirror is not kept unless somebody keeps it, or it is made with a name.
"""

from __future__ import annotations

from typing import Any

from batos.errors import NotUnderstood, Refused, WrongArguments
from batos.objects.dispatch import MISSING, lookup
from batos.objects.genesis import child
from batos.objects.method import PRIMITIVES, Method, primitive
from batos.objects.traits import bind, lobby_of
from batos.objects.uvm_object import UvmObject
from batos.objects.weight import shortly

# The words a mirror takes over from traits_obj, said about the reflectee.
REFLECTED = (
    "slots", "selectors", "parents", "describe", "get", "put", "forget", "define", "source", "versions",
    "revert", "responds_to", "adopt", "disown",
)  # fmt: skip


def reflectee_of(mirror: UvmObject) -> UvmObject:
    """What a mirror shows; `Refused` where it shows nothing."""
    mirror._p_activate()
    shown = mirror.__dict__.get("_reflectee")
    if shown is None:
        raise Refused(
            "this mirror reflects nothing: only `mirrors_obj on_` makes one that does", rule="capability"
        )
    return shown


def _reflected(word: str) -> str:
    """Register the primitive `mirror_WORD`; answers its name."""
    reached = PRIMITIVES[word]

    def reflected(self: UvmObject, *args: Any, **kw: Any) -> Any:
        try:
            return reached(reflectee_of(self), *args, **kw)
        except TypeError as exc:
            if exc.__traceback__ is not None and exc.__traceback__.tb_next is None:
                raise WrongArguments(f"{word!r} of a mirror: {exc}") from exc
            raise

    reflected.__name__ = f"mirror_{word}"
    reflected.__wrapped__ = reached  # its signature and source are those of the word itself
    return primitive(reflected).__name__


@primitive
def mirror_reflectee(self):
    """The object that is shown."""
    return reflectee_of(self)


@primitive
def mirror_holder_of(self, name):
    """The object whose slot or method `name` the reflectee would answer with."""
    holder, found = lookup(reflectee_of(self), name)
    if found is MISSING:
        raise NotUnderstood(
            f"{reflectee_of(self)!r} has no slot {shortly(name)}", hint="see what there is with `slots`"
        )
    return holder


@primitive
def mirror_on_(self, obj, called=None):
    """A mirror that shows `obj`; with `called`, also bound to that name in the lobby, which keeps it."""
    if not isinstance(obj, UvmObject):
        raise WrongArguments("a mirror shows an object; a value can be looked at as it is")
    mirror = UvmObject(self.mirror)
    mirror._reflectee = obj
    if called is not None:
        lobby = lobby_of(self)
        if lobby is None:
            raise Refused("a rehearsal has no lobby to name things in", rule="outside")
        self._p_jar.add(mirror)
        bind(lobby, called, mirror)
    return mirror


MIRROR = {word: _reflected(word) for word in REFLECTED} | {
    "reflectee": "mirror_reflectee",
    "holder_of": "mirror_holder_of",
}


def mirrors(root: Any) -> None:
    """The part of genesis that makes `mirrors_obj`, or adds what it lacks."""
    maker = child(root, "mirrors_obj")
    if "mirror" not in maker._slots:
        prototype = UvmObject(root["traits_obj"])
        prototype._name = "mirrors_obj.mirror"
        root.connection.add(prototype)
        maker.mirror = prototype
    for obj, words in ((maker, {"on_": "mirror_on_"}), (maker.mirror, MIRROR)):
        for selector, name in words.items():
            if obj._method(selector) is None:
                obj._install(Method(selector, name))
