"""The house keeps its shape: who may import whom, and what stands in one place only.

Read from the source with `ast`, so that an import inside a function counts too, and nothing has to run.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "batos"

# Imports run downwards only: a part may import those of lower rank, and itself.
RANK = {
    "errors": 0, "heavy": 0,
    "message": 1, "config": 1,
    "objects": 2, "wire": 2, "pages": 2,
    "image": 3, "client": 3,
    "guardian": 4, "mind": 4, "knowledge": 4, "keys": 4,
    "psm": 5, "autotelic": 5,
    "turn": 6, "server": 6, "doctor": 6,
    "kernel": 7,
    "app": 8,
    "repl": 9,
    "cli": 10,
    "__main__": 11,
}  # fmt: skip

PERSISTENT = ("objects.", "image.", "mind.", "knowledge.", "psm.", "autotelic.", "doctor", "keys")
# Who alone may know a library; a place that ends in "." stands for everything in that package.  Storages and
# transactions are the image's alone; blobs, oids and BTrees are values, and the longer name decides.
ONLY = {
    "zmq": ("server", "client."),
    "ZODB": ("image.",),
    "ZODB.blob": PERSISTENT,
    "ZODB.utils": PERSISTENT,
    "ZODB.POSException": PERSISTENT,
    "ZEO": ("image.",),
    "zodburi": ("image.",),
    "relstorage": ("image.",),
    "psycopg2": ("image.",),
    "transaction": ("image.",),
    "persistent": PERSISTENT,
    "BTrees": PERSISTENT,
    "torch": ("mind.", "knowledge.embedding", "autotelic.training"),
    "transformers": ("mind.", "knowledge.embedding", "autotelic.training"),
    "peft": ("mind.", "autotelic.training"),
    "accelerate": ("mind.", "autotelic.training"),
    "bitsandbytes": ("mind.", "autotelic.training"),
    "sentence_transformers": ("knowledge.embedding",),
    "RestrictedPython": ("guardian.transformer",),
    "prompt_toolkit": ("repl",),
    "sympy": ("psm.reflexes.",),
    "pint": ("psm.reflexes.",),
}
# Seconds to import: never at the top of a module.
HEAVY = {
    "torch", "transformers", "peft", "accelerate", "bitsandbytes", "sentence_transformers",
    "sklearn", "scipy", "sympy", "pint",
}  # fmt: skip
# The world of objects, the guardian and the table of states have no outside.
INNER = ("objects.", "guardian.", "psm.machine")
OUTSIDE = {"asyncio", "socket", "zmq", "torch"}

TOP_LEVEL = {
    ".ci", ".gitignore", "README.md", "batos", "image", "lora_staging", "pyproject.toml", "scripts", "tests",
}  # fmt: skip


@dataclass(frozen=True)
class Module:
    name: str  # dotted, below batos: "image.storage"; a package's __init__ is "image.__init__"
    path: Path
    tree: ast.Module

    @property
    def part(self) -> str:
        return self.name.split(".")[0]

    def within(self, places: tuple[str, ...]) -> bool:
        return any(self.name == place or place[-1] == "." and self.name.startswith(place) for place in places)

    def where(self, node: ast.AST) -> str:
        return f"{self.path.relative_to(ROOT)}:{node.lineno}"


def modules() -> list[Module]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found.append(Module(name, path, ast.parse(path.read_text(), str(path))))
    return found


MODULES = modules()
NAMED = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)


def imported(node: ast.AST, module: Module) -> list[str]:
    """The dotted names an import statement asks for; `from batos.x import y` counts as batos.x.y."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = ("batos." + module.name).split(".")[: -node.level]
            base = ".".join([*package, base] if base else package)
        return [f"{base}.{alias.name}" for alias in node.names]
    return []


def imports(module: Module) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(module.tree):
        for name in imported(node, module):
            yield node, name


def run_on_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported: what stands in functions, or under
    `if TYPE_CHECKING`, does not."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from run_on_import(node.orelse)
            continue
        yield node
        for inner in ("body", "orelse", "finalbody"):
            yield from run_on_import(getattr(node, inner, []))
        for handler in getattr(node, "handlers", []):
            yield from run_on_import(handler.body)


def calls(module: Module) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


@NAMED
def test_imports_run_downwards_only(module: Module):
    if module.name == "__init__":
        assert not [name for _, name in imports(module) if name.startswith("batos.")], "batos itself is lazy"
        return
    assert module.part in RANK, f"{module.name}: the house has no such room; give it a rank here"
    for node, name in imports(module):
        parts = name.split(".")
        if parts[0] != "batos" or parts[1] not in RANK or parts[1] == module.part:
            continue
        assert RANK[parts[1]] < RANK[module.part], f"{module.where(node)} imports {name}, which is no lower"


@NAMED
def test_a_library_is_known_only_where_it_belongs(module: Module):
    for node, name in imports(module):
        first, second, *_ = [*name.split("."), ""]
        places = ONLY.get(f"{first}.{second}", ONLY.get(first))
        assert places is None or module.within(places), f"{module.where(node)} imports {name}"


@NAMED
def test_nothing_heavy_is_imported_at_the_top_of_a_module(module: Module):
    for node in run_on_import(module.tree.body):
        for name in imported(node, module):
            assert name.split(".")[0] not in HEAVY, f"{module.where(node)} imports {name} when it is imported"


@NAMED
def test_objects_guardian_and_state_table_know_nothing_of_the_outside(module: Module):
    if not module.within(INNER):
        return
    for node, name in imports(module):
        assert name.split(".")[0] not in OUTSIDE, f"{module.where(node)} imports {name}"


@NAMED
def test_code_comes_to_life_in_one_place(module: Module):
    if module.name == "guardian.policy":
        return
    for node, function in calls(module):
        name = function.removeprefix("builtins.")
        assert name not in {"compile", "exec", "eval", "__import__"}, f"{module.where(node)} calls {function}"


@NAMED
def test_nobody_asks_for_the_commit_that_is_gone(module: Module):
    for node, function in calls(module):
        if function.endswith(".commit"):
            truth = any(isinstance(given, ast.Constant) and given.value is True for given in node.args)
            assert not truth, f"{module.where(node)}: transactions have no commit(True); take a savepoint"


def test_code_comes_to_life_in_the_guardian_at_all():
    (policy,) = [module for module in MODULES if module.name == "guardian.policy"]
    assert {"compile", "exec"} & {function for _, function in calls(policy)}


@pytest.mark.parametrize("folder", ["batos", "scripts", "tests"])
def test_every_module_says_what_it_owns(folder: str):
    silent = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent


def test_the_face_of_a_client_loads_neither_storage_nor_mind():
    code = "import sys, batos.cli, batos.client; print(*sys.modules)"
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert started.returncode == 0, started.stderr
    assert not {"torch", "transformers", "ZODB", "transaction", "numpy"} & set(started.stdout.split())


def test_the_top_level_of_the_repository_is_as_agreed():
    ask = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: nothing tells what belongs to the repository")
    assert {line.split("/")[0] for line in listed.stdout.splitlines()} == TOP_LEVEL


def test_the_pins_name_versions_and_no_place():
    lines = (ROOT / "scripts/constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins[0] == "torch==2.13.0"
    for pin in pins:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", pin), pin
    assert "://" not in (ROOT / "pyproject.toml").read_text()


def test_the_project_wants_every_package_that_it_imports():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["scale"]]
    wanted = {re.match(r"[\w.-]+", each)[0].lower() for each in asked}
    carriers = packages_distributions()
    for module in MODULES:
        for node, name in imports(module):
            first = name.split(".")[0]
            if first == "batos" or first in sys.stdlib_module_names:
                continue
            carrying = {each.lower() for each in carriers.get(first, [first])}
            assert carrying & wanted, f"{module.where(node)} imports {name}; pyproject.toml does not want it"
