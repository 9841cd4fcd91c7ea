"""What a fresh interpreter has loaded after importing a layer: the rules of the architecture at run time.

import-linter checks the same on the static graph; this also sees imports that are made by name or by a library.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.quality.steps import STEPS

TOP = Path(__file__).resolve().parents[2]
NETWORK = {"httpx", "httpcore", "pynetdicom"}
HEAVY = {"pydicom", "numpy", "textual", "rich"}
"""Not in the small processes: together they would be more memory than the unit's whole allowance."""


def _modules(package: str) -> list[str]:
    """Every module below a package, by its files."""
    root = TOP / package.replace(".", "/")
    paths = sorted(root.rglob("*.py")) if root.is_dir() else [root.with_suffix(".py")]
    names = [".".join(path.relative_to(TOP).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]


def _loaded_after(*modules: str) -> set[str]:
    """Top-level names and our dotted modules that a fresh interpreter has loaded after importing these."""
    code = (
        "import importlib, json, sys\n"
        "for name in json.loads(sys.argv[1]): importlib.import_module(name)\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(modules)], cwd=TOP, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def _of(loaded: set[str], names: set[str]) -> set[str]:
    """Which of ``names`` (packages or modules) are loaded, themselves or a part of them."""
    return {name for name in names if any(m == name or m.startswith(f"{name}.") for m in loaded)}


@pytest.mark.parametrize(
    ("package", "never"),
    [
        (
            "appliance.domain",
            {"appliance.config", "appliance.clock", "appliance.store", "asyncio", "sqlite3", "socket"}
            | NETWORK
            | HEAVY,
        ),
        (
            "sync.core",
            {"appliance.config", "appliance.clock", "appliance.store", "asyncio", "sqlite3", "socket", "sync.adapters"}
            | NETWORK
            | HEAVY,
        ),
        # sqlite-utils takes numpy where it is installed; only the supervisor migrates, so only it pays for that
        ("appliance.store", {"sync", "tui", "central"} | NETWORK | HEAVY - {"numpy"}),
        ("appliance.gatekeeper", {"sync", "tui", "central", "appliance.orthanc"} | NETWORK | HEAVY),
        ("appliance.services", {"tui", "central", "httpx", "httpcore", "sqlite_utils"}),
        ("appliance.health", {"sync", "tui", "central"} | NETWORK | {"textual"}),
        ("sync.adapters", {"appliance.store", "sync.runner", "sqlite_utils", "tui", "central"}),
        ("tui", {"sync", "central", "appliance.orthanc", "appliance.gatekeeper"} | NETWORK),
        ("central", {"appliance.store", "tui", "sync.runner"}),
    ],
)
def test_layer_loads_nothing_it_must_not_know(package: str, never: set[str]) -> None:
    modules = _modules(package)
    assert modules
    assert _of(_loaded_after(*modules), never) == set()


@pytest.mark.parametrize(
    "module",
    [
        "appliance.orthanc.intake",
        "appliance.gatekeeper.__main__",
        "appliance.services.activation",  # in the supervisor
        "appliance.quality.__main__",
        *(step.partition(":")[0] for step in STEPS),  # in the quality process
    ],
)
def test_small_process_loads_nothing_heavy(module: str) -> None:
    assert _of(_loaded_after(module), HEAVY | NETWORK) == set()


def test_plugin_loads_only_the_standard_library_and_our_own_small_modules() -> None:
    for source in _plugin_sources():
        for name in _imported(source):
            top = name.split(".")[0]
            assert top in sys.stdlib_module_names or top in {"appliance", "orthanc"}, f"{source.name} imports {name}"


def _plugin_sources() -> list[Path]:
    """The plugin and every module of ours it imports, directly or not; also imports inside functions count."""
    waiting, seen = [TOP / "appliance" / "orthanc" / "plugin.py"], set()
    while waiting:
        source = waiting.pop()
        if source in seen:
            continue
        seen.add(source)
        for name in _imported(source):
            path = TOP / f"{name.replace('.', '/')}.py"
            if name.startswith("appliance.") and path.exists():
                waiting.append(path)
    return sorted(seen)


def _imported(source: Path) -> set[str]:
    """Dotted names that a file imports, those under ``TYPE_CHECKING`` too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {
                f"{node.module}.{alias.name}" for alias in node.names if node.module.startswith("appliance")
            }
    return found
