"""Who may import whom: the house's layers, held by reading every module's imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BASE = frozenset({"errors", "files", "git", "home", "hooksfile", "lock", "nouns", "settings"})
ROOMS = frozenset({"agents", "context", "memory", "orchestrator", "verifier"})
ABOVE = {
    "installer": BASE,
    "steps": BASE | {"context"},
    "gateway": BASE | {"agents", "steps"},
    "training": BASE | {"memory", "orchestrator", "steps"},
    "loop": BASE | ROOMS | {"gateway", "steps"},
    "bench": BASE | ROOMS,
    "report": BASE | {"memory", "orchestrator"},
    "sessions": BASE | ROOMS | {"loop"},
    "cli": BASE
    | ROOMS
    | {"bench", "gateway", "installer", "loop", "report", "sessions", "steps", "training"},
    "__main__": BASE | {"cli"},
}
HEAVY = {
    "docker",
    "fastembed",
    "genai_prices",
    "httpx2",
    "jinja2",
    "junitparser",
    "llama_cpp",
    "matplotlib",
    "numpy",
    "onnxruntime",
    "plotext",
    "rich",
    "scipy",
    "sklearn",
    "sqlite_utils",
    "sqlite_vec",
    "tokenizers",
    "tree_sitter",
    "uvicorn",
    "yaml",
}
MADE_OF_IT = {"acr.memory.schema": "sqlite_utils"}
"""Modules that declare things with a heavy package's decorators; imported late themselves."""
NOT_AT_START = ("docker", "fastembed", "llama_cpp", "numpy", "onnxruntime")
MODULES = sorted((ROOT / "acr").rglob("*.py"))
FOR_TRAINING = {"gguf", "safetensors", "torch"}
"""Packages of the extra `train`; nothing that users run imports them."""


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Absolute names of all that is imported below `tree`, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            parts = above if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _imported(path: Path) -> set[str]:
    package = _name(path) if path.name == "__init__.py" else _name(path).rpartition(".")[0]
    return set(_imports(ast.parse(path.read_bytes()), package))


def _at_import(path: Path) -> set[str]:
    """Names that are imported as soon as the module at `path` is."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if lazy or typing:
            node.body = [ast.Pass()]  # type: ignore[attr-defined]  # both have a body
    return set(_imports(tree, _name(path).rpartition(".")[0]))


def _room(name: str) -> str:
    """`memory` of acr.memory.store; empty for the package itself."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def _allowed(module: str) -> frozenset[str]:
    room = _room(module)
    if module.startswith("acr.orchestrator.voters"):
        return BASE | {"orchestrator", "memory"}
    if room in ROOMS:
        return BASE | {room}
    if room in BASE:
        return BASE
    return ABOVE[room] | {room}


def _breaks(module: str, path: Path) -> set[str]:
    rooms = {_room(n) for n in _imported(path) if n.split(".")[0] == "acr"} - {"__version__"}
    return rooms - _allowed(module)


def test_modules_import_only_what_lies_below_them() -> None:
    broken = {_name(p): _breaks(_name(p), p) for p in MODULES if _name(p) != "acr"}
    assert not {module: rooms for module, rooms in broken.items() if rooms}


def test_importing_the_package_runs_nothing() -> None:
    assert _imported(ROOT / "acr" / "__init__.py") <= {"__future__.annotations"}


def test_heavy_packages_are_imported_where_they_are_used() -> None:
    early = {_name(p): _at_import(p) for p in MODULES}
    found = {
        module: heavy
        for module, names in early.items()
        if (heavy := {n.partition(".")[0] for n in names} & HEAVY - {MADE_OF_IT.get(module)})
        or (heavy := {n for n in names for late in MADE_OF_IT if n.startswith(late)})
    }
    assert not found


def test_one_module_imports_llama() -> None:
    users = [_name(p) for p in MODULES if any(n.startswith("llama_cpp") for n in _imported(p))]
    assert users in ([], ["acr.orchestrator.llama"])


def test_only_training_needs_what_training_needs() -> None:
    users = {_name(p) for p in MODULES if FOR_TRAINING & {n.split(".")[0] for n in _imported(p)}}
    assert {name.rpartition(".")[0] for name in users} == {"acr.training"}


def test_scripts_that_agents_execute_need_nothing_but_python() -> None:
    for path in (ROOT / "hooks").glob("*.py"):
        own = {"acr"} if path.name == "post_run.py" else set()
        needed = {name.partition(".")[0] for name in _imported(path)}
        assert needed <= sys.stdlib_module_names | own, path.name


@pytest.mark.parametrize("start", ["import acr", "from acr.__main__ import main; main()"])
def test_starting_imports_nothing_heavy(start: str) -> None:
    code = (
        f"import sys; sys.argv = ['acr', '--version']; {start}\n"
        f"print('loaded:', *sorted(set(sys.modules) & set({NOT_AT_START})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_deciding_needs_no_fastembed() -> None:
    """Its import takes longer than a whole decision with the shipped model."""
    code = (
        "import sys; from acr.cli.main import run; code = run(['route', '--json', 'fix it'])\n"
        "sys.exit(code or ('fastembed' in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def test_an_import_that_breaks_the_rule_is_found() -> None:
    tree = ast.parse("def f():\n  from . import store\n  from acr.agents import get")
    assert set(_imports(tree, "acr.memory")) == {"acr.memory.store", "acr.agents.get"}
    assert "agents" not in _allowed("acr.memory.vectors")
    assert "memory" not in _allowed("acr.orchestrator.policy")
    assert "memory" in _allowed("acr.orchestrator.voters.own")
