"""Run a view on one resource: the general way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from salus.errors import ExpressionWrong
from salus.formats.fhirpath.evaluating import Around, evaluate
from salus.formats.fhirpath.tree import Node
from salus.formats.fhirpath.values import Item, Items
from salus.formats.sql_on_fhir.view import Column, Select, View

MOST_ROWS = 100_000
SEVERAL = "has several values where the view asks for one"
TOO_DEEP = "nested too deeply"
NOT_BOOLEAN = "gives no yes or no"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ViewRun:
    """A view, and what references lead to."""

    view: View
    urls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RowsFound:
    """The rows of one resource; ``refused``: (column, reason) where it has none because of something."""

    rows: list[Row]
    refused: tuple[str, str] | None = None


class _Refused(Exception):
    """The resource does not give what a column asks."""


def rows_of(run: ViewRun, resource: Mapping[str, Any]) -> RowsFound:
    """Give a resource's rows. A resource of another type has none."""
    if resource.get("resourceType") != run.view.resource:
        return RowsFound([])
    this = Item(resource, run.view.resource)
    around = Around(constants={**run.view.constants, "rowIndex": 0}, urls=run.urls, resource=this)
    try:
        for condition in run.view.where:
            found = evaluate(condition.path, [this], around)
            if found and not isinstance(found[0].value, bool):
                return RowsFound([], ("where", NOT_BOOLEAN))
            if not found or found[0].value is not True:
                return RowsFound([], ("where", condition.description))
        rows: list[Row] = [{}]
        for select in run.view.selects:
            rows = _product(rows, _select(select, [this], around))
    except _Refused as refused:
        return RowsFound([], (str(refused.args[0]), str(refused.args[1])))
    except RecursionError:
        return RowsFound([], ("path", TOO_DEEP))
    except ExpressionWrong as error:
        return RowsFound([], ("path", error.what))
    return RowsFound(rows)


def _product(left: list[Row], right: list[Row]) -> list[Row]:
    if len(left) * len(right) > MOST_ROWS:
        raise _Refused("select", "gives too many rows")
    return [{**one, **other} for one in left for other in right]


def _select(select: Select, this: Items, around: Around) -> list[Row]:
    if select.repeat:
        contexts = _repeated(select.repeat, this, around)
    elif select.each is not None:
        contexts = evaluate(select.each, this, around)
    else:
        return _rows(select, this, around)
    rows = []
    for number, context in enumerate(contexts):
        inner = replace(around, constants={**around.constants, "rowIndex": number})
        rows += _rows(select, [context], inner)
    if not contexts and select.or_null:
        return _rows(select, [], replace(around, constants={**around.constants, "rowIndex": 0}))
    return rows


def _repeated(paths: tuple[Node, ...], this: Items, around: Around) -> Items:
    found: Items = []
    for path in paths:
        for one in evaluate(path, this, around):
            found.append(one)
            found += _repeated(paths, [one], around)
            if len(found) > MOST_ROWS:
                raise _Refused("repeat", "gives too many rows")
    return found


def _rows(select: Select, this: Items, around: Around) -> list[Row]:
    rows: list[Row] = [{column.name: _value(column, this, around) for column in select.columns}]
    for below in select.selects:
        rows = _product(rows, _select(below, this, around))
    if select.union:
        rows = _product(rows, [row for one in select.union for row in _select(one, this, around)])
    return rows


def _value(column: Column, this: Items, around: Around) -> Any:
    found = evaluate(column.path, this, around)
    if column.collection:
        return [_plain(one) for one in found]
    if len(found) > 1:
        raise _Refused(column.name, SEVERAL)
    return _plain(found[0]) if found else None


def _plain(one: Item) -> Any:
    if isinstance(one.value, Decimal):
        return int(one.value) if one.value == one.value.to_integral_value() else float(one.value)
    return one.value
