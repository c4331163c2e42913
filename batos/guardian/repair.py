"""Putting the covenant line where it is missing, in the text as its author wrote it.

Comments and layout stay.  Only where statements share a line is the text spread out first, because a
line must go between them.  The result is a proposal: whoever asks studies it again.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator

from batos.guardian import covenant, trees
from batos.guardian.covenant import Study

Restudy = Callable[[str], Study]

ROUNDS = 3  # repairs settle at once; a text that still does not hold after these is refused


def mended(source: str, found: Study, restudy: Restudy) -> tuple[str, Study, tuple[str, ...]]:
    """(text, its study, sentences): repaired and studied again until the covenant holds, or given up."""
    said: tuple[str, ...] = ()
    for _ in range(ROUNDS):
        if found.holds or found.refused:
            break
        source, sentences = repair(source, found, restudy)
        said += sentences
        found = restudy(source)
    return source, found, said


def repair(source: str, found: Study, restudy: Restudy) -> tuple[str, tuple[str, ...]]:
    """(repaired source, one sentence per repair) for a method whose covenant does not hold.

    `restudy` parses and studies a text: where statements had to be put on lines of their own, the
    line numbers of `found` no longer fit.
    """
    spread = _spread_out(source, found.function)
    if spread != source:
        source, found = spread, restudy(spread)
    lines = source.split("\n")
    flag = f"{found.receiver}.{covenant.FLAG} = True"
    # (after how many lines, order there, line): what follows a statement stands before what precedes the next
    inserts: list[tuple[int, int, str]] = []
    said: list[tuple[int, str]] = []
    body = found.function.body
    if found.unflagged:
        first = body[1] if _is_docstring(body[0]) else body[0]
        at = min([first.lineno, *(each.lineno for each in getattr(first, "decorator_list", []))])
        inserts.append((at - 1, 4, _indent(lines, at) + flag))
        said.append(
            (at, f"line {at}: `{flag}` comes first, so that an exception on the way cannot lose a change")
        )
    name = _free_name(found.function)
    for leaving in found.exits:
        indent = _indent(lines, leaving.lineno)
        if isinstance(leaving, ast.Try):
            last = leaving.finalbody[-1]
            inserts.append((last.end_lineno, 1, _indent(lines, leaving.finalbody[0].lineno) + flag))
            said.append(
                (last.lineno, f"line {last.lineno}: `{flag}` closes the `finally` that changes the object")
            )
        elif leaving in found.changing:
            row = leaving.lineno - 1
            lines[row] = lines[row].replace("return", f"{name} =", 1)
            inserts.append((leaving.end_lineno, 1, indent + flag))
            inserts.append((leaving.end_lineno, 2, f"{indent}return {name}"))
            said.append(
                (
                    leaving.lineno,
                    f"line {leaving.lineno}: the answer is named {name!r}: getting it changes the object",
                )
            )
        else:
            inserts.append((leaving.lineno - 1, 5, indent + flag))
            said.append(
                (
                    leaving.lineno,
                    f"line {leaving.lineno}: `{flag}` stands before this return, after the change",
                )
            )
    if found.open_end:
        last = body[-1]
        inserts.append((last.end_lineno, 3, _indent(lines, body[0].lineno) + flag))
        said.append(
            (last.end_lineno + 1, f"line {last.end_lineno}: `{flag}` is the last line, after the change")
        )
    for at, _, line in sorted(inserts, reverse=True):
        lines.insert(at, line)
    return "\n".join(lines), tuple(sentence for _, sentence in sorted(said))


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _indent(lines: list[str], lineno: int) -> str:
    line = lines[lineno - 1]
    return line[: len(line) - len(line.lstrip())]


def _free_name(function: ast.FunctionDef) -> str:
    taken = {node.id for node in trees.every(function, ast.Name)}
    taken |= {node.arg for node in trees.every(function, ast.arg)}
    numbered = (f"result{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain(("result", "answer"), numbered) if name not in taken)


def _suites(node: ast.AST) -> Iterator[tuple[ast.AST, str, list[ast.stmt]]]:
    """Every block of statements below `node`, with its owner and the field it stands in."""
    for owner in trees.walk(node):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(owner, name, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                yield owner, name, block


def _spread_out(source: str, function: ast.FunctionDef) -> str:
    """The source with every statement on a line of its own."""
    lines = [line.encode() for line in source.split("\n")]  # columns of `ast` count UTF-8 bytes
    cuts: list[tuple[int, int, int, bytes]] = []  # (row, from column, to column, what to put there)
    for owner, name, block in _suites(function):
        first = block[0]
        row = lines[first.lineno - 1]
        on_header = bool(row[: first.col_offset].strip()) and not _is_elif(owner, name, first)
        if on_header:
            header = owner.lineno if name == "body" and hasattr(owner, "lineno") else first.lineno
            if isinstance(owner, ast.match_case):
                header = owner.pattern.lineno
            head = lines[header - 1]
            indent = head[: len(head) - len(head.lstrip())] + b"    "
            start = len(row[: first.col_offset].rstrip())
            cuts.append((first.lineno - 1, start, first.col_offset, b"\n" + indent))
        else:
            indent = row[: len(row) - len(row.lstrip())]
        for before, after in zip(block, block[1:], strict=False):
            if before.end_lineno == after.lineno:
                cuts.append((after.lineno - 1, before.end_col_offset, after.col_offset, b"\n" + indent))
        last = block[-1]
        rest = lines[last.end_lineno - 1][last.end_col_offset :]
        if rest.lstrip().startswith(b";"):
            cuts.append(
                (last.end_lineno - 1, last.end_col_offset, last.end_col_offset + rest.index(b";") + 1, b"")
            )
    for row, start, end, text in sorted(set(cuts), reverse=True):
        lines[row] = lines[row][:start] + text + lines[row][end:]
    return b"\n".join(lines).decode()


def _is_elif(owner: ast.AST, name: str, first: ast.stmt) -> bool:
    return isinstance(owner, ast.If) and name == "orelse" and isinstance(first, ast.If)
