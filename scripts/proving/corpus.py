"""Class code not written by us: the standard library and the installed packages, by import.

A module is taken if it imports without a word; a class if it stands at the top of its module in plain
Python; a method if its text can be cut out of the file.  Nothing is called here.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import pkgutil
import sys
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType

# Importing these does something, needs a display, or takes long and adds nothing.
_NOT = frozenset(
    "antigravity this idlelib turtle turtledemo tkinter test lib2to3 ensurepip venv pydoc_data distutils "
    "__phello__ __hello__ site sitecustomize usercustomize rlcompleter msilib nturl2path ntpath winreg "
    "__main__ pip _pytest setuptools".split()
)
PACKAGES = (
    "networkx rich sortedcontainers jinja2 prompt_toolkit click pygments structlog markdown_it packaging h11 "
    "anyio mpmath persistent transaction ZODB zope.index BTrees tqdm joblib fsspec pluggy filelock idna wcwidth "
    "yaml cronsim attr"
).split()


@dataclass
class Method:
    """One method: its text as the guardian reads it, where it stands in its file, and whose it is."""

    name: str
    text: str
    line: int
    function: FunctionType
    found: Found

    @property
    def place(self) -> str:
        return f"{self.found.name}.{self.name}"


@dataclass
class Found:
    """One class and the methods its own body defines."""

    kind: type
    methods: dict[str, Method] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.kind.__module__}.{self.kind.__qualname__}"


def standard_modules() -> Iterator[str]:
    """Names of the pure-Python modules of the standard library."""
    library = str(Path(contextlib.__file__).parent)
    for found in pkgutil.iter_modules([library]):
        if found.name not in _NOT and not found.name.startswith("_test"):
            yield found.name
            if found.ispkg:
                yield from inner_modules(found.name)


def inner_modules(package: str) -> Iterator[str]:
    """Names of the modules of a package, at every depth, without tests and programs."""
    module = imported(package)
    for found in pkgutil.iter_modules(getattr(module, "__path__", []), package + "."):
        last = found.name.rpartition(".")[2]
        if last in ("tests", "test", "testing", "__main__", "conftest", "benchmarks") or last.startswith(
            "test_"
        ):
            continue
        yield found.name
        if found.ispkg:
            yield from inner_modules(found.name)


def imported(name: str) -> ModuleType | None:
    if name in sys.modules:
        return sys.modules[name]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except (Exception, SystemExit):  # noqa: BLE001 - another system's module, or a missing dependency
        return None


def classes(packages: list[str] | None = None) -> list[Found]:
    """Every class of the corpus, in a fixed order; `packages` names others than the whole corpus."""
    if packages is None:
        names = [*standard_modules(), *(name for each in PACKAGES for name in (each, *inner_modules(each)))]
    else:
        names = [name for each in packages for name in (each, *inner_modules(each))]
    found: dict[type, Found] = {}
    for name in names:
        module = imported(name)
        if module is None or not str(getattr(module, "__file__", None) or "").endswith(".py"):
            continue
        for each in _in_module(module):
            found.setdefault(each.kind, each)
    return list(found.values())


def methods(corpus: list[Found]) -> list[Method]:
    """All methods of the classes, in a fixed order."""
    return [method for found in corpus for method in found.methods.values()]


def _in_module(module: ModuleType) -> Iterator[Found]:
    try:
        text = Path(module.__file__).read_text(encoding="utf-8")
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError):
        return
    lines = text.split("\n")
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        kind = vars(module).get(node.name)
        if not isinstance(kind, type) or kind.__module__ != module.__name__ or kind.__qualname__ != node.name:
            continue
        found = Found(kind)
        for member in node.body:
            function = vars(kind).get(getattr(member, "name", ""))
            if not isinstance(member, ast.FunctionDef) or member.decorator_list:
                continue
            if not isinstance(function, FunctionType) or function.__code__.co_firstlineno != member.lineno:
                continue
            cut = textwrap.dedent("\n".join(lines[member.lineno - 1 : member.end_lineno])) + "\n"
            try:
                ast.parse(cut)
            except SyntaxError:  # a text of several lines that stands further left
                continue
            found.methods[member.name] = Method(member.name, cut, member.lineno, function, found)
        if found.methods:
            yield found
