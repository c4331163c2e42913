"""Methods drawn at random from a grammar of changes, aliases and ways out.

Every drawn value has a kind, so that most of what is drawn runs to its end; every statement stands on a
line of its own, so that a change can be told by its line.  What is drawn covers assignment, unpacking,
augmented assignment, walrus, conditional and boolean expressions, comprehensions, generators, nested
functions, lambdas, bound and unbound methods as values, map and filter, partial and reduce, `get` and
`setdefault`, containers of containers, loops with `else`, `try` in all its forms, `with`, `match`, early
ways out, the author's own flags, and sends to self.

The object it is for has these slots, and understands `get`, `put` and the drawn helpers:

    n: a number    l, h: lists of numbers    s: a set of numbers    rows: a list of dicts
    d, g: dicts of lists    cm: a context manager that notes its uses
"""

from __future__ import annotations

import random
from collections.abc import Callable

FLAG = "self._p_changed = True"
HELPERS = ("help_a", "help_b", "help_c")

Scope = dict[str, str]  # name -> kind


class Writer:
    """Draws one method; `others` are the helpers it may send to."""

    def __init__(self, rng: random.Random, others: tuple[str, ...] = ()):
        self.rng = rng
        self.others = others
        self.made = 0
        self.lines: list[str] = []
        self.left = 0  # statements still to be drawn

    def method(self, selector: str, size: int) -> str:
        self.lines, self.left, self.made = [], size, 0
        scope: Scope = {"v": "num", "w": "list"}
        if self.rng.random() < 0.08:
            self.put(1, FLAG)
        if self.rng.random() < 0.1:  # here, where `v` is what was given: a recursion must end
            self.put(1, "if v > 1:")
            self.put(2, f"self.{selector}(0, {self.of('list', scope)})")
        while self.left > 0:
            self.statement(1, scope, loop=False, inner=False)
        if self.rng.random() < 0.1:
            self.put(1, FLAG)
        if self.rng.random() < 0.4:
            self.put(1, f"return {self.any(scope)}")
        return "\n".join([f"def {selector}(self, v=1, w=()):", *self.lines]) + "\n"

    # -- tools -----------------------------------------------------------------------------------

    def put(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)

    def name(self) -> str:
        """A name for something new; old ones come again, so that aliases meet."""
        self.made += 1
        return f"x{self.made}" if self.rng.random() < 0.6 else self.rng.choice(("a", "b", "c", "e", "v", "w"))

    def known(self, scope: Scope, kind: str) -> list[str]:
        return [name for name, is_kind in scope.items() if is_kind == kind]

    def one(self, *made: str | Callable[[], str]) -> str:
        chosen = self.rng.choice(made)
        return chosen if isinstance(chosen, str) else chosen()

    # -- expressions -----------------------------------------------------------------------------

    def of(self, kind: str, scope: Scope, deep: int = 2) -> str:
        names = self.known(scope, kind)
        if names and self.rng.random() < 0.45:
            return self.rng.choice(names)
        return getattr(self, "a_" + kind)(scope, deep)

    def any(self, scope: Scope) -> str:
        return self.of(self.rng.choice(("num", "list", "rows", "row", "dict", "set", "num")), scope)

    def test(self, scope: Scope) -> str:
        return self.one(
            "v",
            "v > 1",
            "not v",
            lambda: f"{self.of('num', scope, 1)} > {self.rng.randint(0, 3)}",
            lambda: f"len({self.of('list', scope, 1)}) > {self.rng.randint(0, 3)}",
            lambda: f"{self.rng.randint(0, 3)} in {self.of('list', scope, 1)}",
        )

    def a_num(self, scope: Scope, deep: int) -> str:
        if deep <= 0:
            return self.one("self.n", "v", "1", "2")
        return self.one(
            "self.n",
            "v",
            "3",
            "0",
            lambda: f"len({self.of('list', scope, deep - 1)})",
            lambda: f"({self.of('num', scope, deep - 1)} + {self.of('num', scope, deep - 1)})",
            lambda: f"sum({self.of('list', scope, deep - 1)})",
            lambda: f"{self.of('row', scope, deep - 1)}.get('a', 0)",
            lambda: f"{self.of('list', scope, deep - 1)}.count(1)",
            lambda: f"{self.of('list', scope, deep - 1)}.pop()",
            lambda: f"heapq.heappop({self.of('list', scope, deep - 1)})",
            lambda: f"({self.bound(scope, 'num')} := {self.of('num', scope, deep - 1)})",
        )

    def a_list(self, scope: Scope, deep: int) -> str:
        if deep <= 0:
            return self.one("self.l", "self.h", "[]", "[v]", "self.d['k']")
        again = lambda: self.of("list", scope, deep - 1)  # noqa: E731
        return self.one(
            "self.l",
            "self.h",
            "self.l",
            "self.d['k']",
            "self.g['y']",
            "[1, v]",
            "[]",
            "getattr(self, 'l')",
            "self.get('h')",
            "list.copy(self.h)",
            lambda: f"{self.of('dict', scope, deep - 1)}.get('k', {again()})",
            lambda: f"{self.of('dict', scope, deep - 1)}.setdefault('{self.rng.choice('kqy')}', {again()})",
            lambda: f"{self.of('dict', scope, deep - 1)}.pop('k', {again()})",
            lambda: f"dict.setdefault({self.of('dict', scope, deep - 1)}, 'q', {again()})",
            lambda: f"list({again()})",
            lambda: f"{again()}[:]",
            lambda: f"({again()} + {again()})",
            lambda: f"sorted({again()})",
            lambda: f"({again()} if {self.test(scope)} else {again()})",
            lambda: f"({again()} or {again()})",
            lambda: f"({self.bound(scope, 'list')} := {again()})",
            lambda: f"max([{again()}, {again()}], key=len)",
            lambda: f"next(iter([{again()}]))",
            lambda: f"[{again()}, {again()}][{self.rng.randint(0, 1)}]",
            lambda: f"({again()}, {again()})[0]",
            lambda: f"{{'k': {again()}}}['k']",
            lambda: f"[*{again()}]",
            lambda: f"copy.copy({again()})",
            lambda: f"[i for i in {again()}]",
            lambda: f"[i for i in [{again()}]][0]",
            lambda: f"(lambda q: q)({again()})",
            lambda: f"(lambda q={again()}: q)()",
            lambda: f"list(map(lambda q: q, [{again()}]))[0]",
            lambda: f"functools.reduce(lambda p, q: q, [{again()}])",
            lambda: f"list({{'k': {again()}}}.values())[0]",
            lambda: f"next(iter(zip([{again()}], [1])))[0]",
            lambda: f"collections.deque([{again()}])[0]",
            lambda: f"list(itertools.chain([{again()}]))[0]",
            lambda: f"sum([{again()}], [])",
            lambda: f"(lambda: {again()})()",
            lambda: f"({again()} * 1)",
            lambda: f"collections.defaultdict(lambda: {again()})['k']",
            lambda: f"functools.partial(max, {again()}, key=len)({again()})",
            *(
                [lambda: f"self.{self.rng.choice(self.others)}({self.of('num', scope, 0)}, {again()})"]
                if self.others
                else []
            ),
        )

    def a_rows(self, scope: Scope, deep: int) -> str:
        if deep <= 0:
            return self.one("self.rows", "[{'a': v}]")
        again = lambda: self.of("rows", scope, deep - 1)  # noqa: E731
        return self.one(
            "self.rows",
            "self.rows",
            "[{'a': v}, {'a': 0}]",
            lambda: f"sorted({again()}, key=lambda r: r['a'])",
            lambda: f"list({again()})",
            lambda: f"{again()}[:]",
            lambda: f"[r for r in {again()} if r]",
            lambda: f"list(reversed({again()}))",
            lambda: f"[*{again()}]",
            lambda: f"list(filter(None, {again()}))",
            lambda: f"({again()} + {again()})",
            lambda: f"copy.copy({again()})",
            lambda: f"[r for i, r in enumerate({again()})]",
            lambda: f"[{self.of('row', scope, deep - 1)}]",
            lambda: f"[dict(r) for r in {again()}]",
            lambda: f"list(itertools.islice({again()}, 2))",
            lambda: f"heapq.nsmallest(2, {again()}, key=lambda r: r['a'])",
        )

    def a_row(self, scope: Scope, deep: int) -> str:
        if deep <= 0:
            return self.one("self.rows[0]", "{'a': v}", "self.rows[-1]")
        rows = lambda: self.of("rows", scope, deep - 1)  # noqa: E731
        return self.one(
            "self.rows[0]",
            "{'a': v}",
            lambda: f"{rows()}[0]",
            lambda: f"{rows()}.pop()",
            lambda: f"next(iter({rows()}))",
            lambda: f"max({rows()}, key=lambda r: r['a'])",
            lambda: f"min({rows()}, key=lambda r: r['a'])",
            lambda: f"dict({self.of('row', scope, deep - 1)})",
            lambda: f"copy.copy({self.of('row', scope, deep - 1)})",
            lambda: f"[r for r in {rows()}][-1]",
            lambda: f"next(r for r in {rows()})",
            lambda: f"list(map(lambda r: r, {rows()}))[0]",
            lambda: f"{{**{self.of('row', scope, deep - 1)}}}",
            lambda: f"random.choice({rows()})",
        )

    def a_dict(self, scope: Scope, deep: int) -> str:
        if deep <= 0:
            return self.one("self.d", "self.g", "{'k': [1]}")
        return self.one(
            "self.d",
            "self.g",
            "self.d",
            lambda: f"{{'k': {self.of('list', scope, deep - 1)}}}",
            lambda: f"dict({self.of('dict', scope, deep - 1)})",
            lambda: f"{{**{self.of('dict', scope, deep - 1)}}}",
            lambda: f"{{k: x for k, x in {self.of('dict', scope, deep - 1)}.items()}}",
            lambda: f"({self.of('dict', scope, deep - 1)} | {self.of('dict', scope, deep - 1)})",
            lambda: f"{self.of('dict', scope, deep - 1)}.copy()",
            lambda: f"dict(k={self.of('list', scope, deep - 1)})",
            lambda: f"dict(zip(['k'], [{self.of('list', scope, deep - 1)}]))",
        )

    def a_set(self, scope: Scope, deep: int) -> str:
        return self.one(
            "self.s", "self.s", "{1, v}", lambda: f"set({self.of('list', scope, 0)})", "(self.s | {v})"
        )

    def bound(self, scope: Scope, kind: str) -> str:
        """A name a walrus binds; it is used no further, since it may not be reached."""
        self.made += 1
        return f"y{self.made}"

    def callee(self, scope: Scope) -> str:
        """Something that is called with one number."""
        lists = lambda: self.of("list", scope, 1)  # noqa: E731
        known = self.known(scope, "func")
        if known and self.rng.random() < 0.5:
            return self.rng.choice(known)
        return self.one(
            lambda: f"{lists()}.append",
            lambda: f"self.s.{self.rng.choice(('add', 'discard'))}",
            lambda: f"{lists()}.remove",
            lambda: f"(lambda q: {lists()}.append(q))",
            lambda: f"functools.partial({lists()}.insert, 0)",
            lambda: f"(lambda q: {self.of('row', scope, 0)}.update(a=q))",
            "abs",
            "(lambda q: q)",
            lambda: f"{lists()}.count",
            lambda: f"functools.partial(list.append, {lists()})",
            lambda: f"[{lists()}.append][0]",
            lambda: f"{{'f': {lists()}.append}}['f']",
            lambda: f"getattr({lists()}, 'append')",
        )

    # -- statements ------------------------------------------------------------------------------

    def statement(self, depth: int, scope: Scope, loop: bool, inner: bool) -> None:
        self.left -= 1
        rng = self.rng
        if depth < 4 and self.left > 0 and rng.random() < 0.34:
            return rng.choice(
                (
                    self.an_if,
                    self.an_if,
                    self.a_for,
                    self.a_while,
                    self.a_try,
                    self.a_try,
                    self.a_with,
                    self.a_match,
                    self.a_function,
                )
            )(depth, scope, loop, inner)
        if rng.random() < 0.09:
            return self.leave(depth, scope, loop, inner)
        if rng.random() < 0.04 and not inner:
            return self.put(depth, FLAG)
        if rng.random() < 0.006:  # refused, whatever else there is
            return self.put(depth, rng.choice(("self._p_changed = False", "self._p_changed = None")))
        return rng.choice((self.change, self.change, self.bind, self.bind, self.store, self.effect))(
            depth, scope
        )

    def leave(self, depth: int, scope: Scope, loop: bool, inner: bool) -> None:
        ways = [
            f"return {self.any(scope)}",
            "return",
            "raise ValueError('no')",
            f"return {self.of('list', scope, 1)}.pop()",
        ]
        if loop:
            ways += ["break", "continue", "break"]
        if depth == 1 or self.rng.random() < 0.6:
            self.put(depth, f"if {self.test(scope)}:")
            depth += 1
        self.put(depth, self.rng.choice(ways))

    def change(self, depth: int, scope: Scope) -> None:
        """Something that changes a container, which may be state."""
        lists, rows = lambda: self.of("list", scope), lambda: self.of("rows", scope)
        num = lambda: self.of("num", scope, 1)  # noqa: E731
        self.put(
            depth,
            self.one(
                lambda: f"{lists()}.append({num()})",
                lambda: f"{lists()}.extend({self.of('list', scope, 1)})",
                lambda: f"{lists()}.insert(0, {num()})",
                lambda: f"{lists()}.pop()",
                lambda: f"{lists()}.sort(key=lambda q: -q)",
                lambda: f"{lists()}.reverse()",
                lambda: f"{lists()}.clear()",
                lambda: f"{lists()}[0] = {num()}",
                lambda: f"{lists()}[:1] = {self.of('list', scope, 1)}",
                lambda: f"del {lists()}[0]",
                lambda: f"{lists()}[0] += {num()}",
                lambda: f"{self.of('row', scope)}['a'] = {num()}",
                lambda: f"{self.of('row', scope)}['a'] += 1",
                lambda: f"{self.of('row', scope)}.update(a={num()})",
                lambda: f"del {self.of('row', scope)}['a']",
                lambda: f"{rows()}[0]['b'] = {num()}",
                lambda: f"{rows()}.append({self.of('row', scope, 1)})",
                lambda: f"{self.of('dict', scope)}['{self.rng.choice('kq')}'] = {lists()}",
                lambda: f"{self.of('dict', scope)}.popitem()",
                lambda: f"{self.of('dict', scope)}['k'].append({num()})",
                lambda: f"{self.of('dict', scope)}['k'] += [{num()}]",
                lambda: f"{self.of('dict', scope)}.update(k={lists()})",
                lambda: f"{self.of('set', scope)}.add({num()})",
                lambda: f"list.append({lists()}, {num()})",
                lambda: f"dict.update({self.of('row', scope)}, b={num()})",
                lambda: f"heapq.heappush({lists()}, {num()})",
                lambda: f"random.shuffle({lists()})",
                lambda: f"bisect.insort({lists()}, {num()})",
                lambda: f"list.extend({lists()}, ({lists()}.append(i) for i in [1]))",
            ),
        )

    def bind(self, depth: int, scope: Scope) -> None:
        """Something that gives a value a name."""
        rng, kind = self.rng, self.rng.choice(("list", "list", "rows", "row", "dict", "set", "num"))
        name, other = self.name(), self.name()
        form = rng.randrange(11)
        if form < 4:
            self.put(depth, f"{name} = {self.of(kind, scope)}")
        elif form == 4 and name != other:
            second = rng.choice(("list", "row"))
            self.put(depth, f"{name}, {other} = {self.of(kind, scope)}, {self.of(second, scope)}")
            scope[other] = second
        elif form == 5:
            self.put(depth, f"{name} = {other} = {self.of(kind, scope)}")
            scope[other] = kind
        elif form == 6:
            self.put(depth, f"{name} = {self.slot_of(kind)} = {self.of(kind, scope)}")
        elif form == 7:
            kind = "row"
            self.put(depth, f"{name}, *{'z' if name != 'z' else 'y'} = {self.of('rows', scope)}")
        elif form == 8 and (names := self.known(scope, "list")):
            target = rng.choice(names)
            self.put(
                depth,
                f"{target} {rng.choice(('+=', '+=', '*='))} {rng.choice(('[v]', 'list(self.h)', target))}".replace(
                    "*= [v]", "*= 2"
                )
                .replace("*= list(self.h)", "*= 1")
                .replace(f"*= {target}", "*= 2"),
            )
            return
        elif form == 9:
            kind = "lazy"
            self.put(depth, f"{name} = ({self.callee(scope)}(i) for i in [1, 2])")
        else:
            kind = "func"
            self.put(depth, f"{name} = {self.callee(scope)}")
        scope[name] = kind

    def slot_of(self, kind: str) -> str:
        return {
            "list": self.rng.choice(("self.l", "self.d['k']", "self.g['q']", "self.h")),
            "rows": "self.rows",
            "row": "self.rows[0]",
            "dict": self.rng.choice(("self.d", "self.g")),
            "set": "self.s",
            "num": "self.n",
        }[kind]

    def store(self, depth: int, scope: Scope) -> None:
        """Something that puts a value into a slot, or into a container that holds it."""
        kind = self.rng.choice(("list", "list", "rows", "row", "dict", "set", "num"))
        slot = self.slot_of(kind)
        value = self.of(kind, scope)
        self.put(
            depth,
            self.one(
                f"{slot} = {value}",
                f"{slot} = {value}",
                lambda: f"setattr(self, 'l', {self.of('list', scope)})",
                lambda: f"self.put('h', {self.of('list', scope)})",
                lambda: f"self.rows.append({self.of('row', scope)})",
                lambda: f"self.d['k'] = {self.of('list', scope)}",
                lambda: f"self.d.update(q={self.of('list', scope)})",
                lambda: f"self.l += {self.of('list', scope)}",
                "self.n += 1",
                lambda: f"self.g = {{'k': {self.of('list', scope)}, 'y': []}}",
                lambda: f"list(map(self.rows.append, [{self.of('row', scope)}]))",
                lambda: f"self.s |= {{{self.of('num', scope, 1)}}}",
                lambda: f"self.d.setdefault('z', {self.of('list', scope)})",
                lambda: f"list.append(self.rows, {self.of('row', scope)})",
            ),
        )

    def effect(self, depth: int, scope: Scope) -> None:
        """A call for its effect, or something that is consumed."""
        callee, num, lists = self.callee(scope), self.of("num", scope, 1), lambda: self.of("list", scope, 1)
        forms: list[str | Callable[[], str]] = [
            f"{callee}({num})",
            lambda: f"self.stir({num}, {lists()})",
            f"list(map({callee}, [{num}]))",
            f"[{callee}(i) for i in [1, 2]]",
            f"any({callee}(i) for i in [3])",
            f"for i in map({callee}, [1, 2]): pass",
            lambda: f"self.rows.sort(key=lambda r: {lists()}.append(1) or 0)",
            f"9 in ({callee}(i) for i in [1])",
            f"p, q = ({callee}(i) for i in [1, 2])",
            f"sorted([2, 1], key={callee})" if callee != "abs" else "pass",
            f"dict(({callee}(i), i) for i in [1])",
            f"''.join(str({callee}(i)) for i in [1])",
            f"w = [*map({callee}, [4])]",
            lambda: f"box = [({lists()})]; box[0].append({num})".split("; ")[0],
            lambda: f"math.fsum({lists()}.pop() for i in [1])",
        ]
        for lazy in self.known(scope, "lazy"):
            forms += [f"for i in {lazy}: pass", f"any({lazy})", f"list({lazy})"] * 3
        if self.others:
            send = self.rng.choice(self.others)
            forms += [
                lambda: f"self.{send}({self.of('num', scope, 0)}, {lists()})",
                lambda: f"x0 = self.{send}(0)",
                lambda: f"self.{send}(v - 1, {lists()}) if v > 1 else None",
                lambda: f"sorted([1, 2], key=self.{send})",
                lambda: f"list(map(self.{send}, [0]))",
                lambda: f"self.{send}(0, [{lists()}])",
            ]
        line = self.one(*forms)
        self.put(depth, line)
        for name, kind in (("w = ", "any"), ("box = ", "box")):
            if line.startswith(name):
                scope[name[:-3]] = kind
        if line.startswith("p, q"):
            scope.pop("p", None), scope.pop("q", None)
        if line.startswith("box = "):
            self.put(
                depth,
                self.rng.choice(
                    (
                        f"box[0].append({num})",
                        "box[0] += [1]",
                        "box.append(box[0])",
                        f"for each in box: each.append({num})",
                    )
                ),
            )

    # -- blocks ----------------------------------------------------------------------------------

    def block(self, depth: int, scope: Scope, loop: bool, inner: bool, most: int = 3) -> None:
        """Statements of their own; names they bind may not be bound after them, if they are new."""
        inside = dict(scope)
        for _ in range(self.rng.randint(1, most)):
            self.statement(depth, inside, loop, inner)
            if self.left <= 0:
                break
        for name in scope:
            if inside.get(name) != scope[name]:
                scope[name] = "any"  # one of two kinds

    def an_if(self, depth: int, scope: Scope, loop: bool, inner: bool) -> None:
        self.put(depth, f"if {self.test(scope)}:")
        self.block(depth + 1, scope, loop, inner)
        if self.rng.random() < 0.4:
            self.put(depth, "else:")
            self.block(depth + 1, scope, loop, inner)

    def a_for(self, depth: int, scope: Scope, loop: bool, inner: bool) -> None:
        rng, name = self.rng, self.name()
        inside = dict(scope)
        kind, header = rng.choice(
            (
                ("row", f"for {name} in {self.of('rows', scope, 1)}:"),
                ("num", f"for {name} in [1, 2]:"),
                ("list", f"for {name} in {self.of('dict', scope, 1)}.values():"),
                ("row", f"for i, {name} in enumerate({self.of('rows', scope, 1)}):"),
                ("list", f"for k, {name} in {self.of('dict', scope, 1)}.items():"),
                ("num", "for self.n in [4, 5]:"),
                ("list", f"for {name} in [{self.of('list', scope, 1)}, {self.of('list', scope, 1)}]:"),
                ("row", f"for {name}, j in zip({self.of('rows', scope, 1)}, [1, 2]):"),
                ("num", f"for {name} in list({self.of('list', scope, 1)}):"),
            )
        )
        self.put(depth, header)
        if "self.n in" not in header:
            inside[name] = kind
        self.block(depth + 1, inside, True, inner)
        if rng.random() < 0.2:
            self.put(depth, "else:")
            self.block(depth + 1, dict(scope), loop, inner)
        self.forget(scope, name)

    def forget(self, scope: Scope, *names: str) -> None:
        for name in names:
            if name in scope:
                scope[name] = "any"

    def a_while(self, depth: int, scope: Scope, loop: bool, inner: bool) -> None:
        self.made += 1
        count = f"t{self.made}"
        self.put(depth, f"{count} = 0")
        self.put(depth, f"while {count} < 2:")
        self.put(depth + 1, f"{count} += 1")
        self.block(depth + 1, scope, True, inner)

    def a_try(self, depth: int, scope: Scope, loop: bool, inner: bool) -> None:
        form = self.rng.randrange(4)
        self.put(depth, "try:")
        self.block(depth + 1, scope, loop, inner)
        if form != 1:
            self.put(
                depth,
                self.rng.choice(
                    ("except Exception:", "except (ValueError, IndexError):", "except KeyError as exc:")
                ),
            )
            self.block(depth + 1, scope, loop, inner)
            if form == 2:
                self.put(depth, "else:")
                self.block(depth + 1, scope, loop, inner)
        if form in (1, 3):
            self.put(depth, "finally:")
            self.quiet(depth + 1, scope)

    def quiet(self, depth: int, scope: Scope) -> None:
        """A block without ways out: `finally` may not have any."""
        inside = dict(scope)
        self.rng.choice((self.change, self.bind, self.store))(depth, inside)
        for name in scope:
            if inside.get(name) != scope[name]:
                scope[name] = "any"

    def a_with(self, depth: int, scope: Scope, loop: bool, inner: bool) -> None:
        self.put(depth, self.rng.choice(("with self.cm:", "with self.cm as b:")))
        inside = {**scope, "b": "list"} if self.lines[-1].endswith("b:") else scope
        self.block(depth + 1, inside, loop, inner)
        if inside is not scope:
            self.forget(scope, "b")

    def a_match(self, depth: int, scope: Scope, loop: bool, inner: bool) -> None:
        subject = self.rng.choice(("list", "rows", "row", "num"))
        self.put(depth, f"match {self.of(subject, scope)}:")
        cases = {
            "list": [("[q, *r]", {"r": "list"}), ("[]", {}), ("list() as r", {"r": "list"})],
            "rows": [("[r, *_]", {"r": "row"}), ("[{'a': 1}, *r]", {"r": "rows"}), ("r", {"r": "rows"})],
            "row": [("{'a': q, **r}", {"r": "row"}), ("dict() as r", {"r": "row"})],
            "num": [("1 | 2", {}), ("int() as q", {"q": "num"})],
        }[subject]
        for pattern, binds in self.rng.sample(cases, self.rng.randint(1, len(cases))):
            if pattern == "r":
                continue
            self.put(
                depth + 1,
                f"case {pattern}:" if self.rng.random() < 0.7 else f"case {pattern} if {self.test(scope)}:",
            )
            self.block(depth + 2, {**scope, **binds}, loop, inner, 2)
            self.forget(scope, *binds)
        if not self.lines[-1].startswith("    " * (depth + 2)) or self.rng.random() < 0.3:
            self.put(depth + 1, "case _:")
            self.block(depth + 2, dict(scope), loop, inner, 1)

    def a_function(self, depth: int, scope: Scope, loop: bool, inner: bool) -> None:
        self.made += 1
        name = f"f{self.made}"
        inside = {**scope, "p": "list"}
        default = f"={self.of('list', scope, 1)}" if self.rng.random() < 0.3 else "=()"
        self.put(depth, f"def {name}(u, p{default}):")
        self.block(depth + 1, inside, False, True)
        if self.rng.random() < 0.4:
            self.put(depth + 1, f"return {self.of('list', inside, 1)}")
        if self.rng.random() < 0.7:
            self.put(
                depth,
                self.one(
                    f"{name}(v)",
                    lambda: f"{name}(v, {self.of('list', scope, 1)})",
                    lambda: f"e = {name}(v, {self.of('list', scope, 1)})",
                    lambda: f"list(map({name}, [v]))",
                    lambda: f"{name}(p={self.of('list', scope, 1)}, u=1)",
                    lambda: f"{name}(*[1, {self.of('list', scope, 1)}])",
                ),
            )
            if self.lines[-1].strip().startswith("e = "):
                scope["e"] = "list"
        scope[name] = "func"


def drawn(seed: int, number: int) -> dict[str, str]:
    """The methods of one drawn object, by selector: `m`, and up to three helpers."""
    rng = random.Random(f"{seed} {number}")
    helpers = HELPERS[: rng.choice((0, 0, 0, 1, 2, 3))]
    made = {}
    for number, helper in enumerate(helpers):
        made[helper] = Writer(rng, helpers[:number]).method(helper, rng.randint(1, 4))
    made["m"] = Writer(rng, helpers).method("m", rng.randint(2, 12))
    return made
