"""A finding is one measured fact: what, on whom, how much, how sure, by which method, from which data."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from salus.errors import FindingsFileError, nearest


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its confidence bounds; None where it could not be estimated."""

    value: float | None
    lower: float | None = None
    upper: float | None = None

    def as_json(self) -> dict[str, float | None]:
        """Give the three numbers by name."""
        return {"value": self.value, "lower": self.lower, "upper": self.upper}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One measured fact, without any threshold: judging is somebody else's work."""

    metric: str
    population: str
    value: float | None
    lower: float | None = None
    upper: float | None = None
    level: float = 0.95
    unit: str = "1"
    patients: int
    events: int | None = None
    method: str
    seed: int | None = None
    comparison: str = ""
    reason: str = ""
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def interval(self) -> Interval:
        """The value with its bounds."""
        return Interval(self.value, self.lower, self.upper)


def write_findings(path: Path, findings: Iterable[Finding]) -> None:
    """Write findings as a JSON list, whole or not at all; a value that is not a number is null with its reason."""
    content = json.dumps([asdict(finding) for finding in findings], indent=1, allow_nan=False)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    partial.write_text(content + "\n", encoding="utf-8")
    partial.replace(path)


def read_findings(path: Path) -> list[Finding]:
    """Read what :func:`write_findings` wrote; a field that means nothing is refused."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FindingsFileError(
            f"there is no '{path.name}'", where=str(path), fix="run the job that measures, then try again"
        ) from error
    except ValueError as error:
        raise _broken("it is not JSON", path) from error
    if not isinstance(content, list):
        raise _broken("it is not a list of findings", path)
    known = [each.name for each in fields(Finding)]
    found = []
    for number, row in enumerate(content):
        if not isinstance(row, dict):
            raise _broken(f"entry {number} is not a finding", path)
        strange = [name for name in row if name not in known]
        if strange:
            raise _broken(f"entry {number} has the field '{strange[0]}'{nearest(strange[0], known)}", path)
        try:
            found.append(Finding(**row))
        except TypeError as error:
            raise _broken(f"entry {number} lacks a field", path) from error
    return found


def _broken(why: str, path: Path) -> FindingsFileError:
    return FindingsFileError(
        f"'{path.name}' cannot be read: {why}",
        where=str(path),
        fix="measure again: do not edit findings by hand",
    )
