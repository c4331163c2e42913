"""Kin: methods the receiver already has that may mean what a new selector means.

A miss for ``spend_balance`` on an object that understands ``withdraw_balance`` needs no new method if the
two mean the same.  Likeness of the words finds candidates; whether one *is* meant is settled by
behaviour: a draft for the new selector has to do in rehearsal exactly what the known method does.  Then
an alias is kept, one line that sends the known selector, so that a later version of the method counts
for both names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from batos.objects import Method, UvmObject
from batos.objects.lookup import visible

# Cosine of two selectors' words by all-MiniLM.  Of 3,000 pairs of the curriculum's own wordings for one operation more
# than 95 % lie above it, of pairs for different operations about three quarters; behaviour tells those apart.
ALIKE = 0.5
MOST = 3  # rehearsed beside the drafts
KEPT = 10_000  # vectors of selectors


@dataclass(frozen=True, slots=True)
class Kin:
    """One candidate: `source` is the alias for the missed selector."""

    selector: str
    likeness: float
    source: str


class Likeness:
    """How alike words are, by the embedder of the fractal memory, which is not waited for."""

    def __init__(self, memory: Any):
        self._memory = memory
        self._vectors: dict[str, Any] = {}

    def __call__(self, words: str, others: list[str]) -> list[float] | None:
        """The cosine of `words` with each of `others`; None while no embedder of meanings is loaded."""
        embedder = self._memory.embedder
        if not embedder.semantic or not embedder.loaded:
            return None
        new = [each for each in dict.fromkeys([words, *others]) if each not in self._vectors]
        if len(self._vectors) > KEPT:
            self._vectors.clear()
            new = list(dict.fromkeys([words, *others]))
        if new:
            self._vectors |= zip(new, embedder.encode(new), strict=True)
        return [float(self._vectors[each] @ self._vectors[words]) for each in others]


def kin(receiver: UvmObject, selector: str, args: int, kw: list[str], likeness: Likeness | None) -> list[Kin]:
    """The receiver's methods whose words are like the missed selector's and which take such arguments,
    most alike first; with two arguments in either order.  Empty where nobody can say what is alike."""
    if likeness is None or kw:
        return []
    known = {
        value.selector: value
        for _, name, value in visible(receiver)
        if isinstance(value, Method) and value.primitive is None and name[0] != "_" and _takes(value, args)
        and not (value.installed or {}).get("alias")  # it leads to one that is here as well
    }
    if not known:
        return []
    names = sorted(known)
    shares = likeness(_words(selector), [_words(each) for each in names])
    if shares is None:
        return []
    near = sorted(zip(shares, names, strict=True), reverse=True)[:MOST]
    found = []
    for share, name in near:
        if share < ALIKE:
            continue
        given = [f"a{n}" for n in range(args)]
        for order in [given] + [given[::-1]] * (args == 2):
            source = f"def {selector}({', '.join(['self', *given])}):\n    return self.{name}({', '.join(order)})\n"
            found.append(Kin(name, round(float(share), 3), source))
    return found


def _takes(method: Method, args: int) -> bool:
    """Can it be sent with so many arguments and no keywords?"""
    signature = method.signature()
    return len(signature) == args and not any(each.startswith("*") for each in signature)


def _words(selector: str) -> str:
    return " ".join(selector.strip("_").split("_"))
