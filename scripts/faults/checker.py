"""Is a history of transactions strictly serializable?  A checker small enough to be believed.

The method is that of Elle (Kingsbury and Alvaro, VLDB 2020) on Adya's theory of isolation: values are
unique, so what a read saw names who wrote it; lists are only appended to, so the longest read gives the
order of all versions; a register is only ever swapped, so each write names the version before it.  From
that follow the dependencies between transactions:

    ww   B wrote the version after A's        wr   B read A's version
    rw   A read a version, B wrote the next   rt   A was answered before B was sent

No cycle: every order that respects the edges is a serial history that also respects real time.  So that
nobody has to believe the argument, such an order is then *played* on a plain dict and every read of
every transaction compared.  A cycle is named as Adya names it: G0 (only ww), G1c (ww and wr), G-single
(one rw: lost update, read skew), G2 (several rw: write skew); with "-realtime" if only real time closes it.

Outside the graph: G1a (a read of what was refused), G1b (a read of a transaction's intermediate state), a lost
or doubled append, reads of one list that are not prefixes of one another, and a transaction that does not see
itself.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

# One step of a transaction: (what, key, value).
#   ("append", key, unique value)          ("read", key, list it saw)
#   ("swap", key, unique value, value before)   ("look", key, value it saw)
# Registers start as None, lists empty.  In an unanswered transaction what it saw is `UNKNOWN`.
Step = tuple[Any, ...]
UNKNOWN = object()


@dataclass(slots=True, eq=False)
class Transaction:
    """One transaction: its steps, when it was sent and answered, and whether it was."""

    number: int
    steps: list[Step]
    sent: float
    answered: float = math.inf
    outcome: str = "answered"  # "answered", "refused" (nothing was done), "unanswered" (perhaps)
    client: int = 0

    def writes(self) -> Iterable[tuple[str, str, Any]]:
        return (step[:3] for step in self.steps if step[0] in ("append", "swap"))

    def __str__(self) -> str:
        return f"T{self.number} {[tuple(step) for step in self.steps]}"


@dataclass
class Verdict:
    """`anomalies` is empty where the history is strictly serializable; `order` is then the witness."""

    anomalies: list[tuple[str, str]] = field(default_factory=list)  # (its name, what was seen)
    order: list[Transaction] = field(default_factory=list)
    edges: dict[str, int] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.anomalies}


def check(history: list[Transaction]) -> Verdict:
    """The verdict on a history; every value written to one key must be unique."""
    verdict = Verdict()
    found = verdict.anomalies
    history = _without(history, {key for each in history for what, key, *_ in each.steps
                                 if what == "swap" and each.outcome == "unanswered"})  # fmt: skip
    writer: dict[tuple[str, Any], Transaction] = {}
    for each in history:
        for _, key, value in each.writes():
            if (key, value) in writer:
                raise ValueError(f"{value!r} is written to {key} twice: this history cannot be judged")
            writer[key, value] = each
    answered = [each for each in history if each.outcome == "answered"]
    for each in answered:
        _see_itself(each, found)
    orders = _list_orders(answered, writer, found) | _register_orders(history, writer, found)
    # What was not answered happened if somebody saw it; the rest is left out, as if it never had.
    seen = {
        writer[key, value].number
        for key, order in orders.items()
        for value in order
        if (key, value) in writer
    }
    happened = [each for each in history if each.outcome == "answered" or each.number in seen]
    happened = [each for each in happened if each.outcome != "refused"]
    if found:
        return verdict
    graph = _dependencies(happened, orders, writer)
    verdict.edges = {kind: sum(len(to) for to in edges.values()) for kind, edges in graph.items()}
    if not _cycles(happened, graph, found):
        verdict.order = _one_after_another(happened, graph)
        _play(verdict.order, found)
    return verdict


def _without(history: list[Transaction], keys: set[str]) -> list[Transaction]:
    """The history without the registers an unanswered swap touched: nobody knows what it replaced."""
    if not keys:
        return history
    return [replace(each, steps=[step for step in each.steps if step[1] not in keys]) for each in history]


def _see_itself(each: Transaction, found: list[tuple[str, str]]) -> None:
    """A transaction's later steps see its earlier ones, and what it reads twice is the same."""
    lists: dict[str, list[Any]] = {}
    mine: dict[str, list[Any]] = defaultdict(list)  # appended before anything was read
    registers: dict[str, Any] = {}
    for what, key, value, *before in each.steps:
        if what == "append":
            if key in lists:
                lists[key] = [*lists[key], value]
            else:
                mine[key].append(value)
        elif what == "read":
            own = mine[key]
            if value != lists[key] if key in lists else own and value[-len(own) :] != own:
                found.append(("internal", f"{each} did not see in {key} what it had done itself"))
            lists[key] = list(value)
        else:
            saw = before[0] if what == "swap" else value
            if key in registers and registers[key] != saw:
                found.append(("internal", f"{each} saw {saw!r} in {key} after {registers[key]!r}"))
            registers[key] = value


def _list_orders(
    answered: list[Transaction], writer: dict[tuple[str, Any], Transaction], found: list[tuple[str, str]]
) -> dict[str, list[Any]]:
    """The order of versions of every list, from its longest read; tells what contradicts it."""
    longest: dict[str, list[Any]] = defaultdict(list)
    reads = [(each, key, value) for each in answered for what, key, value, *_ in each.steps if what == "read"]
    for _, key, value in reads:
        if len(value) > len(longest[key]):
            longest[key] = value
    for each, key, value in reads:
        if value != longest[key][: len(value)]:
            found.append(
                ("incompatible order", f"{each} read {value} of {key}, another read was {longest[key]}")
            )
        if not value:
            continue
        last = writer.get((key, value[-1]))
        if last is not None and last is not each:
            own = [written for what, other, written in last.writes() if what == "append" and other == key]
            if own[-1] != value[-1]:
                found.append(("G1b", f"{each} read the middle of {last}"))
    for key, order in longest.items():
        if len(set(order)) != len(order):
            found.append(("duplicate", f"{key} holds something twice: {order}"))
        for value in order:
            by = writer.get((key, value))
            if by is None:
                found.append(("garbage", f"{key} holds {value!r}, which nobody appended"))
            elif by.outcome == "refused":
                found.append(("G1a", f"{key} holds {value!r} of {by}, which was refused"))
    known: dict[int, float] = {}  # since when it is certain that a transaction happened
    for each in answered:
        known[each.number] = each.answered
    for reader, key, value in reads:
        for by in (writer.get((key, one)) for one in value):
            if by is not None and by.outcome == "unanswered":
                known[by.number] = min(known.get(by.number, math.inf), reader.answered)
    late: dict[str, list[Transaction]] = defaultdict(list)
    for reader, key, _ in reads:
        late[key].append(reader)
    for (key, value), by in writer.items():
        if by.number in known and key in late and value not in set(longest[key]):
            reader = max(late[key], key=lambda each: each.sent)
            if reader.sent > known[by.number]:
                found.append(("lost append", f"{value!r} of {by} is not in {key}, read later by {reader}"))
    return dict(longest)


def _register_orders(
    history: list[Transaction], writer: dict[tuple[str, Any], Transaction], found: list[tuple[str, str]]
) -> dict[str, list[Any]]:
    """The order of versions of every register: each swap names the version before its own."""
    after: dict[str, dict[Any, Any]] = defaultdict(dict)
    looked: list[tuple[Transaction, str, Any]] = []
    for each in history:
        if each.outcome != "answered":
            continue
        last: dict[str, Any] = {}
        for what, key, value, *before in each.steps:
            if what == "swap":
                saw = before[0]
                if saw in after[key]:
                    first = after[key][saw]
                    found.append(("lost update", f"{first!r} and {value!r} both replaced {saw!r} in {key}"))
                after[key][saw] = value
                looked.append((each, key, saw))
                last[key] = value
            elif what == "look":
                looked.append((each, key, value))
    for each, key, value in looked:
        if value is None:
            continue
        by = writer.get((key, value))
        if by is None:
            found.append(("garbage", f"{each} saw {value!r} in {key}, which nobody put there"))
        elif by.outcome == "refused":
            found.append(("G1a", f"{each} saw {value!r} in {key} of {by}, which was refused"))
        elif by is not each:
            own = [written for what, other, written in by.writes() if what == "swap" and other == key]
            if own[-1] != value:
                found.append(("G1b", f"{each} saw the middle of {by}"))
    orders = {}
    for key, chain in after.items():
        order: list[Any] = []
        while (value := chain.get(order[-1] if order else None)) is not None and len(order) < len(chain):
            order.append(value)
        if len(order) < len(chain):
            found.append(("incompatible order", f"the swaps of {key} form no chain: {chain}"))
        orders[key] = order
    return orders


def _dependencies(
    happened: list[Transaction], orders: dict[str, list[Any]], writer: dict[tuple[str, Any], Transaction]
) -> dict[str, dict[int, set[int]]]:
    """The edges ww, wr, rw and rt between the numbers of transactions; rt goes over moments, negative numbers."""
    graph: dict[str, dict[int, set[int]]] = {kind: defaultdict(set) for kind in ("ww", "wr", "rw", "rt")}
    place = {(key, value): at for key, order in orders.items() for at, value in enumerate(order)}

    def edge(kind: str, one: Transaction, other: Transaction) -> None:
        if one is not other:
            graph[kind][one.number].add(other.number)

    unread: dict[str, list[Transaction]] = defaultdict(list)  # appended after all that was ever read
    for each in happened:
        for what, key, value in each.writes():
            if what == "append" and (key, value) not in place:
                unread[key].append(each)
    for key, order in orders.items():
        for value, following in pairwise(order):
            edge("ww", writer[key, value], writer[key, following])
        for each in unread[key] if order else ():
            edge("ww", writer[key, order[-1]], each)
    for each in happened:
        if each.outcome != "answered":
            continue
        for what, key, value, *before in each.steps:
            if what == "append":
                continue
            saw = before[0] if what == "swap" else value[-1] if what == "read" and value else value
            saw = None if saw == [] else saw
            if saw is not None:
                edge("wr", writer[key, saw], each)
            following = place[key, saw] + 1 if saw is not None else 0
            order = orders.get(key, [])
            for other in [writer[key, order[following]]] if following < len(order) else unread[key]:
                edge("rw", each, other)
    # Real time with a moment for each answer: T -> its moment -> later moments; the last moment before U -> U.
    moments = sorted((each for each in happened if each.answered < math.inf), key=lambda each: each.answered)
    for at, each in enumerate(moments, 1):
        graph["rt"][each.number].add(-at)
        if at > 1:
            graph["rt"][-(at - 1)].add(-at)
    at = 0
    for each in sorted(happened, key=lambda each: each.sent):
        while at < len(moments) and moments[at].answered < each.sent:
            at += 1
        if at:
            graph["rt"][-at].add(each.number)
    return graph


def _cycles(
    happened: list[Transaction], graph: dict[str, dict[int, set[int]]], found: list[tuple[str, str]]
) -> bool:
    """Name the weakest isolation that a cycle breaks; true if there is any cycle."""
    told = {each.number: each for each in happened}
    for extra in ((), ("rt",)):
        for name, kinds in (("G0", ("ww",)), ("G1c", ("ww", "wr")), ("G2", ("ww", "wr", "rw"))):
            edges = _union(graph, (*kinds, *extra))
            for component in _components(edges):
                inside = set(component)
                cycle, label = None, name
                if name == "G2":  # one rw edge closed by others alone is the graver kind
                    plain = _union(graph, ("ww", "wr", *extra))
                    for one in component:
                        for other in graph["rw"].get(one, ()):
                            back = _path(plain, other, one, inside) if other in inside else None
                            if back:
                                cycle, label = [one, *back], "G-single"
                                break
                        if cycle:
                            break
                cycle = cycle or _any_cycle(edges, component[0], inside)
                names = " -> ".join(_hop(graph, a, b, told) for a, b in pairwise(cycle))
                found.append((label + ("-realtime" if extra else ""), f"{told.get(cycle[0], '')}: {names}"))
            if found:
                return True
    return False


def _hop(graph: dict[str, dict[int, set[int]]], one: int, other: int, told: dict[int, Transaction]) -> str:
    kinds = "/".join(kind for kind, edges in graph.items() if other in edges.get(one, ()))
    return f"{kinds} {told.get(other, 'later')}"


def _union(graph: dict[str, dict[int, set[int]]], kinds: Iterable[str]) -> dict[int, set[int]]:
    edges: dict[int, set[int]] = defaultdict(set)
    for kind in kinds:
        for one, others in graph[kind].items():
            edges[one] |= others
    return edges


def _components(edges: dict[int, set[int]]) -> list[list[int]]:
    """Strongly connected components with a cycle in them (Tarjan, without recursion)."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    components = []
    for root in list(edges):
        if root in index:
            continue
        work = [(root, iter(edges.get(root, ())))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, others = work[-1]
            for other in others:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(edges.get(other, ()))))
                    break
                if other in on_stack:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        component.append(member)
                        if member == node:
                            break
                    if len(component) > 1:
                        components.append(component)
    return components


def _path(edges: dict[int, set[int]], start: int, end: int, inside: set[int]) -> list[int] | None:
    """The shortest way from start to end, both included."""
    came: dict[int, int | None] = {start: None}
    waiting = deque([start])
    while waiting:
        node = waiting.popleft()
        if node == end:
            way = []
            while node is not None:
                way.append(node)
                node = came[node]
            return way[::-1]
        for other in edges.get(node, ()):
            if other in inside and other not in came:
                came[other] = node
                waiting.append(other)
    return None


def _any_cycle(edges: dict[int, set[int]], start: int, inside: set[int]) -> list[int]:
    ways = [_path(edges, other, start, inside) for other in edges[start] if other in inside]
    return [start, *min((way for way in ways if way), key=len)]


def _one_after_another(
    happened: list[Transaction], graph: dict[str, dict[int, set[int]]]
) -> list[Transaction]:
    """An order that respects every edge; there is one where there is no cycle."""
    edges = _union(graph, graph)
    before: dict[int, int] = defaultdict(int)
    for others in edges.values():
        for other in others:
            before[other] += 1
    told = {each.number: each for each in happened}
    ready = deque(node for node in [*told, *(n for n in edges if n < 0)] if not before[node])
    order = []
    while ready:
        node = ready.popleft()
        if node in told:
            order.append(told[node])
        for other in edges.get(node, ()):
            before[other] -= 1
            if not before[other]:
                ready.append(other)
    return order


def _play(order: list[Transaction], found: list[tuple[str, str]]) -> None:
    """Run the transactions one after another on plain lists and registers; every read must come out as it did."""
    lists: dict[str, list[Any]] = defaultdict(list)
    registers: dict[str, Any] = defaultdict(lambda: None)
    for each in order:
        for what, key, value, *before in each.steps:
            if what == "append":
                lists[key].append(value)
                continue
            if what == "swap":
                saw, registers[key] = registers[key], value
                value = before[0]
            else:
                saw = list(lists[key]) if what == "read" else registers[key]
            if value is not UNKNOWN and saw != value and each.outcome == "answered":
                found.append(
                    ("no serial order", f"{each} saw {value!r} of {key}; one after another it is {saw!r}")
                )
                return
