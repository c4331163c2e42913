"""What a payload is: the body of a method that tries to reach what no method may reach.

A family is written as one text: `## name` begins a payload, the lines after it are the body of
`def m(self, path, port, pid, won)`, Python like any other, which is judged as it stands by the policy
and run as plain Python behind the wall.  It has got through if what it answers, raises or writes holds
the text of the file at `path` or the word `won` (which it answers once its attempt succeeded without an
error), or if a canary was touched.  Three words stand for tails that many share:

    !builtins EXPR    EXPR is a namespace with the built-ins: read the file
    !module EXPR      EXPR is a module, or its namespace, from which `os` can be had: one of four ends
    !function EXPR    EXPR is a function with `__globals__`: read the file

`{U+202E}` stands for that character, which would otherwise hide in our own text.
"""

from __future__ import annotations

import importlib
import re
import textwrap
from dataclasses import dataclass

PARAMETERS = "self, path, port, pid, won"

_ENDS = (
    "return o.read(o.open(path, 0), 100)",
    "o.kill(pid, 9)\nreturn won",
    "o.mkdir(path + '.made')\nreturn won",
    "o.posix_spawn('/bin/touch', ['touch', path + '.touched'], {})\nreturn won",
)


@dataclass(frozen=True, slots=True)
class Payload:
    """One attempt.

    real     it does get through where neither policy nor wall stands
    outside  `won` says that it reached the machine; else only that it left the language, which no wall minds
    """

    family: str
    name: str
    body: str
    real: bool = True
    outside: bool = False

    @property
    def source(self) -> str:
        return f"def m({PARAMETERS}):\n{textwrap.indent(self.body, '    ')}\n"

    def __str__(self) -> str:
        return f"{self.family}: {self.name}"


def family(called: str, text: str, outside: bool = False) -> list[Payload]:
    """The payloads of a family's text.  A name that ends in `?` is of one that may not get through anyway:
    a bomb, or what only this or that kernel, user or version of Python would allow."""
    made = []
    text = re.sub(r"\{U\+([0-9A-F]{4})\}", lambda code: chr(int(code[1], 16)), text)
    for number, chunk in enumerate(text.split("\n## ")[1:]):
        name, _, body = chunk.partition("\n")
        lines = "\n".join(_spelt(line, number) for line in body.rstrip().split("\n"))
        made.append(Payload(called, name.rstrip("?"), lines.strip("\n"), not name.endswith("?"), outside))
    return made


def _spelt(line: str, number: int) -> str:
    word, _, expression = line.partition(" ")
    if word == "!builtins":
        return (
            f"b = {expression}\nb = b if isinstance(b, dict) else b.__dict__\nreturn b['open'](path).read()"
        )
    if word == "!function":
        return (
            f"b = ({expression}).__globals__['__builtins__']\nb = b if isinstance(b, dict) else b.__dict__\n"
            "return b['open'](path).read()"
        )
    if word == "!module":
        return (
            f"o = {expression}\no = o if isinstance(o, dict) else o.__dict__\n"
            "o = o if 'posix_spawn' in o else o.get('os') or o.get('_os')\n"
            f"o = o if not isinstance(o, dict) else o['sys'].modules['os']\n{_ENDS[number % len(_ENDS)]}"
        )
    return line


FAMILIES = (
    "subclass_walks frames generators formats descriptors names exceptions metaclasses pickles look_alikes "
    "handed_out poison bombs nested forks files sockets processes protocol"
).split()


def every() -> list[Payload]:
    """All payloads, family by family."""
    modules = (importlib.import_module(f"scripts.escapes.families.{name}") for name in FAMILIES)
    return [payload for module in modules for payload in module.PAYLOADS]
