"""Take what a view asks for from many resources: in columns where that is possible, else resource by resource."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from salus.formats.fhirpath.tree import Literal
from salus.formats.r4_elements import is_complex
from salus.formats.sql_on_fhir.columnar import Frame, Many, Plan, is_nothing, plan
from salus.formats.sql_on_fhir.running import ViewRun, rows_of
from salus.formats.sql_on_fhir.shapes import NO_JSON, NotColumnar, Shape
from salus.formats.sql_on_fhir.view import Column, Select, View


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of a view: the number of each row's resource (None: one row each, in order), and the columns.

    Complex values are JSON as bytes, empty where there is nothing; simple ones are None where there is nothing.
    """

    rows: Sequence[int] | None
    columns: Mapping[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of some resources. ``refused``: column and reason, by the number of the resource."""

    blocks: list[Block]
    refused: dict[int, tuple[str, str]] = field(default_factory=dict)


class Taker(Protocol):
    """Runs one view. ``decoder`` parses a resource, or many with ``decode_lines``, into what ``take`` takes."""

    view: View
    decoder: msgspec.json.Decoder[Any]

    def take(self, resources: Sequence[Any], urls: Mapping[str, str]) -> Taken:
        """Give the rows of these resources; ``urls``: what references inside their Bundle lead to."""
        ...


def taker(view: View) -> Taker:
    """The fastest way to run a view."""
    try:
        return ColumnTaker(view)
    except NotColumnar:
        return GeneralTaker(view)


SEVERAL = "has several values where the view asks for one"
Find = Callable[[Frame], list[Any]]


@dataclass(frozen=True, slots=True)
class _Level:
    """A select, planned: ``each`` gives what its columns are asked of."""

    each: Plan | None
    or_null: bool
    shape: Shape
    columns: tuple[tuple[str, Find], ...]
    below: tuple[_Level, ...]
    union: tuple[_Level, ...]


class ColumnTaker:
    """Runs a view in columns."""

    def __init__(self, view: View) -> None:
        self.view = view
        shape = Shape(view.resource)
        constants = dict(view.constants)
        self.where = [(plan(one.path, shape, constants), one.description) for one in view.where]
        if any(asked.many or asked.kind != "boolean" for asked, _ in self.where):
            raise NotColumnar("a condition that is not one yes or no")
        self.levels = tuple(_level(select, shape, constants) for select in view.selects)
        if sum(map(_multiplies, self.levels)) > 1:
            raise NotColumnar("rows times rows")
        shape.ask("resourceType", "code", False)
        shape.ask("id", "id", False)
        self.decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(shape.struct())

    def take(self, resources: Sequence[Any], urls: Mapping[str, str]) -> Taken:
        """Give the rows of these resources."""
        values, refused = list(resources), dict[int, tuple[str, str]]()
        frame = Frame(values, urls)
        for asked, description in self.where:
            for row, holds in enumerate(asked.find(frame)):
                if holds is not True:
                    refused.setdefault(row, ("where", description))
        blocks = [Block(None, {})]
        for level in self.levels:
            blocks = [joined for one in blocks for joined in _beside(one, _run(level, frame))]
        for row, column in frame.several.items():
            refused.setdefault(row, (column, SEVERAL))
        return Taken(blocks, refused)


def _multiplies(level: _Level) -> bool:
    return level.each is not None or bool(level.union) or any(map(_multiplies, level.below))


def _level(select: Select, shape: Shape, constants: Mapping[str, object]) -> _Level:
    if select.repeat:
        raise NotColumnar("repeat")
    each = plan(select.each, shape, constants) if select.each is not None else None
    inner = shape
    if each is not None:
        if each.shape is None or each.choice:
            raise NotColumnar("forEach of simple values")
        inner = each.shape
    columns = tuple((column.name, _column(column, inner, constants)) for column in select.columns)
    below = tuple(_level(one, inner, constants) for one in select.selects)
    union = tuple(_level(one, inner, constants) for one in select.union)
    if sum(map(_multiplies, below)) + bool(union) > 1:
        raise NotColumnar("rows times rows")
    return _Level(each, select.or_null, inner, columns, below, union)


def _column(column: Column, shape: Shape, constants: Mapping[str, object]) -> Find:
    if column.collection:
        raise NotColumnar("a column of lists")
    if isinstance(column.path, Literal) and isinstance(column.path.value, str):
        text = column.path.value
        return lambda frame: [text] * len(frame.values)
    asked = plan(column.path, shape, constants)
    if asked.choice:
        raise NotColumnar("a choice without ofType()")
    find = _single(asked, column.name) if asked.many else asked.find
    if not is_complex(asked.kind):
        return find
    if asked.shape is None:
        raise NotColumnar("a complex value of no known shape")
    asked.shape.keep_whole()
    return lambda frame: [b"" if one is None or one is NO_JSON else bytes(one) for one in find(frame)]


def _single(asked: Plan, name: str) -> Find:
    def find(frame: Frame) -> list[Any]:
        found: Many = asked.find(frame)
        values: list[Any] = [None] * len(frame.values)
        for row, value in zip(found.rows, found.values, strict=True):
            if values[row] is not None:
                frame.several[row if frame.roots is None else frame.roots[row]] = name
            values[row] = value
        return values

    return find


def _run(level: _Level, frame: Frame) -> list[Block]:
    """The rows of a select; their numbers are those of the frame's rows."""
    rows: list[int] | None = None
    if level.each is not None:
        values, rows = _rows_of_each(level, frame)
        roots = rows if frame.roots is None else [frame.roots[row] for row in rows]
        frame = Frame(values, frame.urls, roots, frame.several)
    blocks = [Block(None, {name: find(frame) for name, find in level.columns})]
    for one in level.below:
        blocks = [joined for block in blocks for joined in _beside(block, _run(one, frame))]
    if level.union:
        branches = [block for one in level.union for block in _run(one, frame)]
        blocks = [joined for block in blocks for joined in _beside(block, branches)]
    if rows is None:
        return blocks
    return [Block(rows if b.rows is None else [rows[row] for row in b.rows], b.columns) for b in blocks]


def _rows_of_each(level: _Level, frame: Frame) -> tuple[list[Any], list[int]]:
    assert level.each is not None
    found = level.each.find(frame)
    if not level.each.many:
        places = [row for row, one in enumerate(found) if not is_nothing(one, level.each.shape)]
        found = Many([found[row] for row in places], places)
    if not level.or_null:
        return found.values, found.rows
    told = set(found.rows)
    nothing = [(row, level.shape.nothing) for row in range(len(frame.values)) if row not in told]
    both = sorted([*zip(found.rows, found.values, strict=True), *nothing], key=lambda pair: pair[0])
    return [value for _, value in both], [row for row, _ in both]


def _beside(left: Block, rights: list[Block]) -> list[Block]:
    """Columns beside columns, of the same rows; at most one side has other rows than its frame."""
    joined = []
    for right in rights:
        if right.rows is None or left.rows is None:
            rows = left.rows if right.rows is None else right.rows
            joined.append(Block(rows, {**_at(left, right.rows), **_at(right, left.rows)}))
        else:
            raise NotColumnar("rows times rows")
    return joined


def _at(block: Block, rows: Sequence[int] | None) -> Mapping[str, list[Any]]:
    if rows is None:
        return block.columns
    return {name: [values[row] for row in rows] for name, values in block.columns.items()}


class GeneralTaker:
    """Runs a view resource by resource, with all of FHIRPath that Salus knows."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder()

    def take(self, resources: Sequence[Any], urls: Mapping[str, str]) -> Taken:
        """Give the rows of these resources."""
        run = ViewRun(self.view, urls)
        names, kept = self.view.names(), list[int]()
        columns: dict[str, list[Any]] = {name: [] for name in names}
        refused: dict[int, tuple[str, str]] = {}
        for number, resource in enumerate(resources):
            found = rows_of(run, resource)
            if found.refused is not None:
                refused[number] = found.refused
                continue
            for row in found.rows:
                kept.append(number)
                for name in names:
                    value = row[name]
                    columns[name].append(
                        msgspec.json.encode(value) if isinstance(value, (dict, list)) else value
                    )
        return Taken([Block(kept, columns)], refused)
