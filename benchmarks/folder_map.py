"""The folder map in the README, made from each folder's own docstring. Run: `make docs`."""

from __future__ import annotations

import ast
import tomllib

from benchmarks.blocks import ROOT, rewrite


def layers() -> list[str]:
    """Folders from top to bottom, as import-linter enforces them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    rows = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [name.strip(" ()") for row in rows for name in row.replace("|", ":").split(":")]


def folder_map() -> str:
    """Draw the map: one line a folder that exists, its role being the first line of its docstring."""
    lines = ["```text", "src/salus/"]
    for name in layers():
        folder = ROOT / "src" / "salus" / name
        module = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
        if module.exists():
            role = (ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or "").splitlines()[0]
            shown = f"{name}/" if folder.is_dir() else f"{name}.py"
            lines.append(f"  {shown:<14} {role}")
    return "\n".join([*lines, "```"])


if __name__ == "__main__":
    rewrite(ROOT / "README.md", "map", folder_map())
