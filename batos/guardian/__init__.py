"""The guardian: what may enter the image.  Deterministic, without a model, one road for everybody.

`judge` combines the restricted language (`policy`), the Persistence Covenant (`covenant`: the paths by
`flow`, the aliases by `aliases`, `calls` and `shapes`) and its repair (`repair`) into one `Verdict`.
Trying methods out in the walled child is `rehearsal`'s business: it needs a process, a verdict does not.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable

from batos.guardian import covenant, policy, trees
from batos.guardian.covenant import Study, nothing_known
from batos.guardian.repair import mended
from batos.guardian.verdict import Finding, Summary, Verdict

__all__ = ["Finding", "Summary", "Verdict", "judge", "summaries_of"]


def judge(
    source: str, selector: str | None = None, summaries: Callable[[str], Summary | None] | None = None
) -> Verdict:
    """The verdict on the source of one method `def selector(self, ...)`.

    `selector` is the name it must have, if any; `summaries` answers what the receiver's other methods
    do (`summaries_of`), None for one that is not known.  Pure and deterministic; never raises for bad
    code.  The text of a passing verdict is its `source`.
    """
    summaries = summaries or nothing_known
    written = policy.normalised(source)
    function, shapeless = policy.parsed(written)
    if function is None:
        return _verdict("refused", None, source, (), [shapeless])
    findings: list[Finding] = []
    if selector is not None and function.name != selector:
        words = f"the method is called {function.name!r}, but {selector!r} was asked for"
        findings.append(Finding("selector", function.lineno, words))
    as_written = covenant.study(function, summaries)
    text, found, said = mended(written, as_written, lambda spread: _studied(spread, summaries))
    # The policy reads what would be installed, and only once; where it refuses, the lines told are those written.
    objections, make = policy.examined(found.function, text)
    if said and _refused(objections):
        objections = policy.read(written)[1] or objections
    findings += objections
    if not _refused(findings):  # of what is not of the language the covenant says nothing
        findings += as_written.findings + [each for each in found.findings if not each.warning]
    if _refused(findings):
        return _verdict("refused", function, source, (), findings)
    if not found.holds:  # no known text comes here; what cannot be proved does not enter
        line, why = found.changes[0]
        unproved = Finding("unproved", line, f"{why}, and no flag could be placed so that it is surely kept")
        return _verdict("refused", function, source, (), [*findings, unproved])
    try:
        make()
    except SyntaxError as exc:  # what only the compiler sees: `break` outside a loop, a parameter named twice
        findings.append(Finding("syntax", exc.lineno or 1, str(exc.msg)))
        return _verdict("refused", function, source, (), findings)
    return _verdict("repaired" if said else "accepted", function, text, said, findings)


ROUNDS = 20  # studies of one method on the way there; what is not settled by then counts as unknown


def summaries_of(source_of: Callable[[str], str | None]) -> Callable[[str], Summary | None]:
    """Summaries of an object's methods from their installed sources, followed to a fixpoint.

    `source_of` answers the source of a selector seen from the object, None where there is none or it
    is not Python text.  Methods that call one another are first taken to change nothing, then studied
    again until nothing is added.
    """
    known: dict[str, Summary | None] = {}
    trees_of: dict[str, ast.FunctionDef] = {}
    callers: dict[str, set[str]] = {}

    def reach(selector: str) -> None:
        """Read the method and all it sends to self, at any depth, and study them, callees first."""
        waiting, found = [selector], []
        while waiting:
            name = waiting.pop()
            if name in known:
                continue
            function = _read(source_of(name))
            known[name] = None if function is None else covenant.NOTHING_YET
            if function is not None:
                trees_of[name] = function
                found.append(name)
                for sent in _sent_to_self(function):
                    callers.setdefault(sent, set()).add(name)
                    waiting.append(sent)
        most = ROUNDS * len(found)
        while found:
            name, most = found.pop(), most - 1
            told = covenant.summarise(trees_of[name], known.get) if most > 0 else None
            if told != known[name]:
                known[name] = told
                found += [each for each in callers.get(name, ()) if each in trees_of and each not in found]

    def summary(selector: str) -> Summary | None:
        if selector not in known:
            reach(selector)
        return known[selector]

    return summary


def _sent_to_self(function: ast.FunctionDef) -> set[str]:
    receiver = covenant.receiver_name(function)
    return {
        node.attr
        for node in trees.walk(function)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == receiver
    }


def _read(source: str | None) -> ast.FunctionDef | None:
    """The tree of an installed source: what is installed was judged before."""
    try:
        body = ast.parse(source).body if source is not None else []
    except (SyntaxError, ValueError):
        return None
    return body[0] if len(body) == 1 and isinstance(body[0], ast.FunctionDef) else None


def _studied(text: str, summaries: Callable[[str], Summary | None]) -> Study:
    """The study of a text that was repaired, which may have grown beyond what is read."""
    function, shapeless = policy.parsed(text)
    if function is None:
        return Study(ast.parse(text).body[0], None, findings=[shapeless])
    return covenant.study(function, summaries)


def _refused(findings: list[Finding]) -> bool:
    return any(not finding.warning for finding in findings)


def _verdict(
    outcome: str,
    function: ast.FunctionDef | None,
    source: str,
    repairs: tuple[str, ...],
    findings: list[Finding],
) -> Verdict:
    if outcome == "refused":  # whoever wrote the text counts its lines from its own beginning
        above = len(source.replace("\r\n", "\n")) - len(source.replace("\r\n", "\n").lstrip("\r\n"))
        findings = [each._replace(line=each.line + above) if each.line else each for each in findings]
    ordered = sorted(set(findings), key=lambda finding: (finding.warning, finding.line or 0, finding.rule))
    return Verdict(
        outcome,
        function.name if function is not None else "",
        policy.parameters(function) if function is not None else (),
        source,
        repairs,
        tuple(ordered),
        hashlib.sha256(source.encode(errors="surrogatepass")).hexdigest(),
    )
