"""Modules, functions and names stay small and say what they are."""

from __future__ import annotations

import ast
import re

from tests.shape.sources import SALUS, functions, modules

MOST_BY_PLACE = 4
VAGUE = {
    "manager",
    "handler",
    "processor",
    "engine",
    "helper",
    "helpers",
    "utils",
    "common",
    "core",
    "base",
    "misc",
}


def head_noun(name: str) -> str:
    """Last word of a snake_case or CamelCase name: `base_rate` is a rate, `record_base` could hold anything."""
    found = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    return found[-1].lower() if found else ""


def test_a_module_has_fewer_than_400_lines():
    long = {
        name: lines for name in modules() if (lines := len((SALUS / name).read_text().splitlines())) >= 400
    }
    assert not long


def test_a_function_has_at_most_50_lines():
    long = {where: lines for where, node in functions() if (lines := node.end_lineno - node.lineno + 1) > 50}
    assert not long


def test_a_function_takes_at_most_five_arguments_few_of_them_by_place():
    """A command's options are its interface, so command functions are exempt."""
    wrong = []
    for where, node in functions():
        if where.startswith("cli/"):
            continue
        placed = [
            arg.arg for arg in (*node.args.posonlyargs, *node.args.args) if arg.arg not in ("self", "cls")
        ]
        total = len(placed) + len(node.args.kwonlyargs)
        if total > 5:
            wrong.append(f"{where}: {total} arguments")
        elif len(placed) > MOST_BY_PLACE and not node.name.startswith("_"):
            wrong.append(f"{where}: {len(placed)} arguments by place")
    assert not wrong, "\n".join(wrong)


def test_no_name_could_hold_anything():
    named = [(where, node.name) for where, node in functions()]
    for name, tree in modules().items():
        named.append((name, name.removesuffix(".py")))
        named += [(name, node.name) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    vague = [f"{where}: {name}" for where, name in named if head_noun(name) in VAGUE]
    assert not vague, "\n".join(vague)


def test_every_module_says_what_it_is_for():
    silent = [name for name, tree in modules().items() if not ast.get_docstring(tree)]
    assert not silent
