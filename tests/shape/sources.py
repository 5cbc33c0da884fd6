"""The project's own files, read once for the tests of its shape."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SALUS = ROOT / "src" / "salus"


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package by its path below src/salus."""
    return {
        path.relative_to(SALUS).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(SALUS.rglob("*.py"))
    }


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function with where it stands."""
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}:{node.lineno} {node.name}", node


def imported(tree: ast.AST) -> set[str]:
    """Full names of what a module imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@cache
def project_files() -> tuple[Path, ...]:
    """Files that are part of the project: tracked by git, or everything outside build folders without git."""
    asked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if asked.returncode == 0:
        return tuple(path for name in asked.stdout.split("\0") if name and (path := ROOT / name).is_file())
    skipped = {".venv", "build", "dist", "__pycache__", "node_modules"}
    return tuple(p for p in ROOT.rglob("*") if p.is_file() and not skipped & set(p.relative_to(ROOT).parts))
