"""What the guardian says about a method: findings, repairs, and whether it may enter the image.

Plain data only; who decides is `covenant` and `policy`, who combines them is `judge` in this package.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from batos.errors import Refused
from batos.guardian.remedies import remedy


class Finding(NamedTuple):
    """One rule meeting one line.  `warning` findings never refuse a method."""

    rule: str
    line: int | None
    message: str
    warning: bool = False

    def __str__(self) -> str:
        return self.message if self.line is None else f"line {self.line}: {self.message}"


class Summary(NamedTuple):
    """What a call of another method of the same object may do, for the analysis of its callers.

    mutates    it may change state reachable from self
    flags      it flags those changes itself, first and last, so its callers need not
    arguments  it may change what it is handed
    assumed    `mutates` is only assumed, because it calls what is not known; `arguments_assumed` likewise
    answers    what it may answer, in the values of `bits`; by default a part of the object
    answers_arguments  it may answer what it was handed, or a part or container of it
    fills      it may put state of the object into what it is handed
    """

    mutates: bool
    flags: bool
    arguments: bool = False
    assumed: bool = False
    arguments_assumed: bool = False
    answers: int = 2
    answers_arguments: bool = True
    fills: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """The guardian's finding about one source text.

    outcome     "accepted", "repaired" or "refused"
    selector    the method's name ("" where there is none to be read)
    parameters  its parameters without the receiver, `*` and `**` kept: ("amount", "*notes")
    source      the text to install: repaired where the outcome says so, as given where refused
    repairs     one sentence per repair
    findings    what was refused, and warnings
    digest      sha256 of `source`, the key of every cache of compiled code
    """

    outcome: str
    selector: str
    parameters: tuple[str, ...]
    source: str
    repairs: tuple[str, ...]
    findings: tuple[Finding, ...]
    digest: str

    @property
    def passed(self) -> bool:
        return self.outcome != "refused"

    @property
    def refusals(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if not finding.warning)

    def __str__(self) -> str:
        """The verdict in words: one line per finding or repair."""
        said = [f"{self.selector or 'the method'} was {self.outcome}"]
        said += [f"  {finding} [{finding.rule}]" for finding in self.findings]
        said += [f"  {sentence}" for sentence in self.repairs]
        return "\n".join(said)

    def to_data(self) -> dict[str, object]:
        """The verdict as it is kept beside a method version."""
        return {
            "outcome": self.outcome,
            "repairs": list(self.repairs),
            "findings": [list(finding) for finding in self.findings],
            "digest": self.digest,
        }

    def refusal(self) -> Refused:
        """The error for whoever asked; meaningful only where the verdict did not pass."""
        first, *more = self.refusals
        also = f" (and {len(more)} more: " + "; ".join(map(str, more[:3])) + ")" if more else ""
        hint = f"{remedy(first.rule)}; then `define` it again"
        return Refused(f"{first}{also}", line=first.line, rule=first.rule, hint=hint)
