"""The official cases of SQL on FHIR v2 and of FHIRPath, run as they are: how many pass, and a report of each case.

The reports have the form that SQL on FHIR asks for (``test_report.json``): of each file, or group, the tests and
whether they passed; a FHIRPath case that a ViewDefinition need not support says so in ``excluded``.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.fhir_xml import resource_of
from salus.errors import ExpressionWrong, SalusError
from salus.formats.fhirpath.evaluating import Around, evaluate
from salus.formats.fhirpath.grammar import parse
from salus.formats.fhirpath.values import Item
from salus.formats.sql_on_fhir.running import ViewRun, rows_of
from salus.formats.sql_on_fhir.taking import ColumnTaker, taker
from salus.formats.sql_on_fhir.view import View, read_view

SQL_ON_FHIR = "suites/sql-on-fhir-v2-tests.tar.xz"
HL7_CASES = "suites/fhir-test-cases.tar.xz"
PATH_CASES = "fhir-test-cases/r4/fhirpath/tests-fhir-r4.xml"
FUNCTIONS = frozenset(
    (
        *("where", "exists", "empty", "extension", "join", "ofType", "first", "not"),
        *("lowBoundary", "highBoundary", "getResourceKey", "getReferenceKey"),
    )
)
"""What https://sql-on-fhir.org says that the FHIRPath of a ViewDefinition may use, experimental functions too."""
OTHER_SIGNS = re.compile(r"(?<![\w%.])(?:xor|implies|div|mod|in|contains|is|as)(?!\w)|[&|~]")
QUOTED = re.compile(r"//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\])*'|`[^`]*`|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
CALLED = re.compile(
    r"(?<!\w)(?!(?<!\.)(?:and|or|xor|implies|div|mod|in|contains|is|as)\b)([A-Za-z_]\w*)\s*\("
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case: the file or group it is of, its name, whether it passed, and why it is not counted, if so."""

    group: str
    name: str
    passed: bool
    excluded: str = ""


def suite(name: str) -> Path | None:
    """An archive below $SALUS_DATA; None where it is not here."""
    path = Path(os.environ.get("SALUS_DATA", "")) / name
    return path if os.environ.get("SALUS_DATA") and path.exists() else None


def report(outcomes: list[Outcome]) -> dict[str, Any]:
    """The outcomes in the form of SQL on FHIR's ``test_report.json``."""
    told: dict[str, Any] = {}
    for one in outcomes:
        excluded = {"excluded": one.excluded} if one.excluded else {}
        told.setdefault(one.group, {"tests": []})["tests"].append(
            {"name": one.name, "result": {"passed": one.passed}, **excluded}
        )
    return told


def sql_on_fhir(archive: Path) -> list[Outcome]:
    """Run every test resource by resource and, where a view can be run so, in columns: it passes if all ways agree."""
    outcomes = []
    with tarfile.open(archive) as files:
        for member in sorted(files.getmembers(), key=lambda one: one.name):
            stream = files.extractfile(member) if "/tests/" in member.name and member.isfile() else None
            if stream is None:
                continue
            content = json.loads(stream.read(), parse_float=Decimal)
            for test in content["tests"]:
                passed = _view_passes(test, content["resources"])
                outcomes.append(Outcome(Path(member.name).name, test["title"], passed))
    return outcomes


def _view_passes(test: dict[str, Any], resources: list[Any]) -> bool:
    try:
        view = read_view(json.loads(json.dumps(test["view"], default=float)))
        ways = [_by_resource(view, resources)]
        if isinstance(taker(view), ColumnTaker):
            ways.append(_in_columns(view, resources))
    except (SalusError, _RefusedHere):
        return bool(test.get("expectError"))
    if test.get("expectError"):
        return False
    wanted = _canonical(test["expect"])
    columns = test.get("expectColumns")
    return all(_canonical(rows) == wanted for rows in ways) and columns in (None, view.names())


class _RefusedHere(Exception):
    """A resource that gives no rows because the view asks of it what it does not have."""


def _by_resource(view: View, resources: list[Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for resource in resources:
        found = rows_of(ViewRun(view), resource)
        if found.refused is not None and found.refused[0] != "where":
            raise _RefusedHere
        if found.refused is not None and "no yes or no" in found.refused[1]:
            raise _RefusedHere
        rows += found.rows
    return rows


def _in_columns(view: View, resources: list[Any]) -> list[dict[str, Any]]:
    way = ColumnTaker(view)
    mine = [one for one in resources if one["resourceType"] == view.resource]
    parsed = [way.decoder.decode(json.dumps(one, default=float)) for one in mine]
    taken = way.take(parsed, {})
    if any(column != "where" for column, _ in taken.refused.values()):
        raise _RefusedHere
    rows = []
    for block in taken.blocks:
        of = list(range(len(parsed))) if block.rows is None else list(block.rows)
        for place, number in enumerate(of):
            if number not in taken.refused:
                rows.append({name: _plain(column[place]) for name, column in block.columns.items()})
    return rows


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return msgspec.json.decode(value) if value else None
    return value


def _canonical(rows: list[dict[str, Any]]) -> list[str]:
    """Rows without their order, whole numbers written one way."""
    return sorted(json.dumps(_numbers(row), sort_keys=True) for row in rows)


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_numbers(one) for one in value]
    if isinstance(value, (float, Decimal)):
        return int(value) if value == int(value) else float(value)
    return value


def fhirpath(archive: Path) -> list[Outcome]:
    """Run the R4 cases; not those of a later FHIRPath, of a type checker (``strict``) or of an input that is absent."""
    with tarfile.open(archive) as files:
        named = {member.name: member for member in files.getmembers()}

        def text(name: str) -> str:
            stream = files.extractfile(named[name])
            assert stream is not None
            return stream.read().decode()

        cases = ElementTree.fromstring(text(PATH_CASES))
        inputs: dict[str, Any] = {}
        outcomes = []
        for group, case in _cases(cases):
            name = case.get("inputfile") or ""
            path = f"fhir-test-cases/r4/{name}"
            if name and path not in named:
                continue
            if name and name not in inputs:
                inputs[name] = _input(name, text(path))
            outcomes.append(_outcome(group, case, inputs.get(name)))
    return outcomes


def _cases(cases: ElementTree.Element) -> Iterator[tuple[str, ElementTree.Element]]:
    for group in cases.iter("group"):
        for case in group.iter("test"):
            if not case.get("version") and not case.get("mode"):
                yield group.get("name") or "", case


def _input(name: str, content: str) -> Any:
    return resource_of(content) if name.endswith(".xml") else json.loads(content)


def _outcome(group: str, case: ElementTree.Element, resource: Any) -> Outcome:
    expression = case.find("expression")
    assert expression is not None
    written = expression.text or ""
    return Outcome(
        group, case.get("name") or "", _path_passes(case, expression, resource), outside_of_views(written)
    )


def outside_of_views(written: str) -> str:
    """What an expression uses that a ViewDefinition need not support; empty: nothing.

    >>> outside_of_views("name.where(use = 'a | b').exists() and (true)"), outside_of_views("'a'.length() is Integer")
    ('', 'length(), is')
    """
    bare = QUOTED.sub(" ", written)
    told = sorted({f"{name}()" for name in CALLED.findall(bare) if name not in FUNCTIONS})
    told += sorted(set(OTHER_SIGNS.findall(bare)))
    return ", ".join(told)


def _path_passes(case: ElementTree.Element, expression: ElementTree.Element, resource: Any) -> bool:
    this = [] if resource is None else [Item(resource, resource["resourceType"])]
    try:
        around = Around(resource=this[0] if this else None)
        found = evaluate(parse(expression.text or ""), this, around)
    except ExpressionWrong:
        return expression.get("invalid") is not None
    if expression.get("invalid") is not None:
        return False
    if case.get("predicate") == "true":
        found = [Item(bool(found) and found[0].value is not False, "boolean")]
    wanted = case.findall("output")
    return len(found) == len(wanted) and all(map(_is_output, found, wanted))


SAME = {"code": "string", "id": "string", "uri": "string", "integer": "integer"}


def _is_output(found: Item, wanted: ElementTree.Element) -> bool:
    written, kind = wanted.text or "", wanted.get("type")
    if kind == "boolean" or isinstance(found.value, bool):
        return found.value is (written == "true") and kind in (None, "boolean")
    if kind in ("integer", "decimal"):
        is_number = isinstance(found.value, (int, Decimal))
        return is_number and Decimal(written) == found.value and kind == found.kind
    if kind == "Quantity":
        amount = found.value if isinstance(found.value, dict) else {}
        number, _, unit = written.partition(" ")
        return str(amount.get("value")) == number and unit.strip("'") in (
            amount.get("unit"),
            amount.get("code"),
        )
    is_moment = found.kind in ("date", "dateTime", "time")
    told = written.removeprefix("@").removeprefix("T") if is_moment else written
    if kind is None and isinstance(found.value, dict):
        return f"{found.value['value']} '{found.value['code']}'" == written
    same = str(found.value).removeprefix("T") == told or str(found.value) == written
    return same and kind in (None, found.kind, SAME.get(found.kind))
