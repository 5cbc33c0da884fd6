"""Who may import whom, checked without import-linter too: it does not see the lazy table of commands."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import pytest

from benchmarks.folder_map import layers
from salus.cli import COMMANDS, GROUPS, overview
from tests.shape.sources import SALUS, imported, modules

HOMES = {
    "torch": ("trajectory/",),
    "ray": ("compute/ray_cluster.py",),
    "typer": ("cli/",),
    "rich": ("cli/",),
    "lightgbm": ("evidence/",),
    "sklearn": ("evidence/",),
    "altair": ("workflows/",),
    "vl_convert": ("workflows/",),
    "jinja2": ("workflows/", "web/"),
    "splink": ("linkage/",),
    "pydicom": ("deidentify/dicom/",),
    "cryptography": ("at_rest/", "programme/signing.py"),
    "fastapi": ("web/",),
    "starlette": ("web/",),
    "uvicorn": ("web/",),
}
BANNED = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def top(name: str) -> str:
    """First folder or file name below src/salus, without its ending."""
    return name.split("/")[0].removesuffix(".py")


def test_every_folder_has_a_place_in_the_order_of_layers():
    found = {top(name) for name in modules()} - {"__init__", "__main__"}
    assert found <= set(layers())


def test_nothing_imports_from_above():
    order = layers()
    flat = {"progress", "findings", "units", "codes", "clock"}
    wrong = []
    for name, tree in modules().items():
        if name in ("__init__.py", "__main__.py"):
            continue
        own = order.index(top(name))
        for target in {path.split(".")[1] for path in imported(tree) if path.startswith("salus.")}:
            level = order.index(target) if target in order else own
            if level < own and not {target, top(name)} <= flat:
                wrong.append(f"{name} imports salus.{target}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", HOMES)
def test_a_heavy_package_stays_where_it_belongs(package: str):
    users = [
        name for name, tree in modules().items() if package in {path.split(".")[0] for path in imported(tree)}
    ]
    assert all(name.startswith(HOMES[package]) for name in users), users


EDGES = {"compute/ray_cluster.py"}
"""Modules that own an optional extra, and load it where it is first needed."""


def test_no_import_hides_in_a_function_or_behind_type_checking():
    hidden = []
    for name, tree in modules().items():
        if name in EDGES:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and imported(node):
                hidden.append(f"{name}:{node.lineno} {node.name}")
        hidden += [f"{name}: TYPE_CHECKING" for path in imported(tree) if path.endswith("TYPE_CHECKING")]
    assert not hidden, "\n".join(hidden)


def test_nothing_that_runs_code_on_loading_is_used():
    users = [
        name for name, tree in modules().items() if BANNED & {path.split(".")[0] for path in imported(tree)}
    ]
    assert not users


OUTERMOST = {"cli/console.py", "web/guard.py"}


def test_only_the_outermost_catches_take_every_exception():
    """Anywhere else it would turn a bug into a wrong number."""
    wrong = []
    for name, tree in modules().items():
        for node in ast.walk(tree):
            caught = ast.unparse(node.type) if isinstance(node, ast.ExceptHandler) and node.type else "bare"
            is_all = isinstance(node, ast.ExceptHandler) and caught in ("bare", "Exception", "BaseException")
            if is_all and name not in OUTERMOST:
                wrong.append(f"{name}:{node.lineno}")
    assert not wrong


def test_the_table_of_commands_names_one_file_a_command_inside_cli():
    listed = {f"cli/{command.module.removeprefix('salus.cli.')}.py" for command in COMMANDS.values()}
    present = {name for name in modules() if name.startswith("cli/")} - {"cli/__init__.py", "cli/console.py"}
    assert all(command.module.startswith("salus.cli.") for command in COMMANDS.values())
    assert listed == present
    for command in COMMANDS.values():
        tree = modules()[f"cli/{command.module.removeprefix('salus.cli.')}.py"]
        assert command.function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_help_screen_fits_80_by_24():
    lines = overview().splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert {command.group for command in COMMANDS.values()} <= set(GROUPS)


def test_the_help_screen_loads_nothing_heavy():
    """`salus --help` must answer at once: no torch, no polars, no command's own module."""
    script = (
        "import json, sys, contextlib, io\n"
        "from salus.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    try: main(['--help'])\n"
        "    except SystemExit as end: assert end.code == 0\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    asked = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(json.loads(asked.stdout))
    assert not loaded & {"torch", "polars", "pyarrow", "numpy", "lightgbm", "salus.cli.demo"}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_shows_an_example(name: str):
    asked = subprocess.run(
        [sys.executable, "-m", "salus", name, "--help"], capture_output=True, text=True, check=True, cwd=SALUS
    )
    assert f"Example: salus {name} " in asked.stdout
    assert "--json" in asked.stdout
    assert len(asked.stdout.splitlines()) <= 40
