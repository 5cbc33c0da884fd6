"""Pages that a job made: sheets, their pictures, and the forecasts of a dozen patients."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from salus.errors import SalusError, SheetBroken
from salus.programme.usecase_folder import UseCaseFolder
from salus.web.interval_drawing import Drawing, Measured, Span, draw
from salus.web.standing import attempted
from salus.workflows.pages.sheet import Figure, Sheet
from salus.workflows.pages.words import HELD

FUTURES_FILE = "futures.json"
PICTURE = ".svg"
AGAIN = "make it again with `salus demo`, which keeps what is done already"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A page that a job makes: the end of its address, where it lies, its heading until it is made, its labels.

    ``deeper``: it lies below the page that a tab opens.
    """

    address: str
    folder: Path
    title: str
    labels: tuple[str, ...]
    deeper: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """The risk of one outcome as shown, with its drawing from 0 to 1."""

    text: str
    bounds: str
    drawing: Drawing | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """One patient whose futures were drawn; ``risks`` in the order of the list's outcomes."""

    number: int
    title: str
    risks: tuple[Risk | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecasts:
    """The patients whose futures were drawn, and the outcomes asked for."""

    outcomes: tuple[str, ...]
    patients: tuple[Forecast, ...]


def quality(folder: UseCaseFolder) -> Made:
    """What is odd in the real records."""
    return Made(address="quality", folder=folder.quality, title="Data quality", labels=("REAL",))


def comparison(folder: UseCaseFolder) -> Made:
    """Synthetic beside real patients."""
    return Made(
        address="comparison", folder=folder.comparison, title="Synthetic v real", labels=("REAL", "SYNTHETIC")
    )


def forecast(folder: UseCaseFolder, number: int) -> Made:
    """The futures of one held-out patient."""
    return Made(
        address=f"forecasts/{number}",
        deeper=True,
        folder=folder.futures / f"{number:02d}",
        title=f"Forecast for patient {number}",
        labels=("REAL", "SYNTHETIC"),
    )


def not_made(made: Made, problem: SalusError) -> SalusError:
    """The error of a sheet with a fix that names the command."""
    if isinstance(problem, SheetBroken):
        return SheetBroken(problem.what, where=problem.where, fix=AGAIN)
    return problem


def present(sheet: Sheet, folder: Path) -> frozenset[str]:
    """The pictures of a sheet that lie beside it."""
    return frozenset(
        figure.file for figure in _figures(sheet) if picture_path(sheet, folder, figure.file) is not None
    )


def picture_path(sheet: Sheet, folder: Path, name: str) -> Path | None:
    """Where a picture lies; None unless the sheet names it and it lies in its own folder."""
    if name not in {figure.file for figure in _figures(sheet)}:
        return None
    if Path(name).name != name or Path(name).suffix != PICTURE or "\\" in name:
        return None
    path = folder / name
    inside = path.resolve().parent == folder.resolve()
    return path if inside and path.is_file() else None


def _figures(sheet: Sheet) -> list[Figure]:
    return [figure for section in sheet.sections for figure in section.figures]


def read_forecasts(folder: UseCaseFolder) -> Forecasts | SalusError:
    """The list of patients whose futures were drawn."""
    return attempted(lambda: _forecasts(folder.futures / FUTURES_FILE))


def _forecasts(path: Path) -> Forecasts:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        outcomes = tuple(dict.fromkeys(str(risk["task"]) for row in rows for risk in row["risks"]))
        patients = tuple(_patient(row, outcomes) for row in rows)
    except FileNotFoundError as error:
        raise SheetBroken("no futures have been drawn yet", where=str(path), fix=AGAIN) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SheetBroken(
            f"'{path.name}' is cut short or of another form", where=str(path), fix=AGAIN
        ) from error
    return Forecasts(outcomes=outcomes, patients=patients)


def _patient(row: dict[str, object], outcomes: Sequence[str]) -> Forecast:
    risks = {str(risk["task"]): _risk(risk) for risk in row["risks"]}  # type: ignore[attr-defined]
    return Forecast(
        number=int(str(row["number"])),
        title=str(row["title"]),
        risks=tuple(risks.get(outcome) for outcome in outcomes),
    )


def _risk(risk: dict[str, float | None]) -> Risk:
    value, lower, upper = (risk.get(name) for name in ("risk", "lower", "upper"))
    if value is None or not math.isfinite(float(value)):
        return Risk(text="not estimable", bounds="", drawing=None)
    if lower is None or upper is None:
        return Risk(text=_share(value), bounds="", drawing=draw(Measured(value), Span(0.0, 1.0)))
    return Risk(
        text=_share(value),
        bounds=f"{100 * float(lower):.1f}{HELD}to{HELD}{_share(upper)}",
        drawing=draw(Measured(value, lower, upper), Span(0.0, 1.0)),
    )


def _share(value: float) -> str:
    """A risk in per cent, as fine as the futures that were drawn allow.

    >>> _share(0.1234).replace(HELD, " ")
    '12.3 %'
    """
    return f"{100 * float(value):.1f}{HELD}%"
