"""Pages that a job made: sheets, their pictures, and the forecasts of a dozen patients."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
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
SCALES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
"""Where the scale of risks may end."""
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
    """The risk of one outcome as shown, with its drawing from 0 to the end of the scale."""

    text: str
    bounds: str
    drawing: Drawing | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """One patient whose futures were drawn; ``risks`` in the order of the list's outcomes, None: not asked."""

    number: int
    title: str
    risks: tuple[Risk | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecasts:
    """The patients whose futures were drawn, the outcomes asked for, and the end of the scale of all drawings."""

    outcomes: tuple[str, ...]
    patients: tuple[Forecast, ...]
    scale: str


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
        told = [
            (
                int(str(row["number"])),
                str(row["title"]),
                {str(risk["task"]): _told(risk) for risk in row["risks"]},
            )
            for row in rows
        ]
    except FileNotFoundError as error:
        raise SheetBroken("no futures have been drawn yet", where=str(path), fix=AGAIN) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SheetBroken(
            f"'{path.name}' is cut short or of another form", where=str(path), fix=AGAIN
        ) from error
    outcomes = tuple(dict.fromkeys(outcome for _, _, risks in told for outcome in risks))
    highest = max((max(risk.numbers) for _, _, risks in told for risk in risks.values() if risk), default=0.0)
    end = next((end for end in SCALES if highest <= end), SCALES[-1])
    patients = tuple(
        Forecast(
            number=number,
            title=title,
            risks=tuple(_risk(risks[outcome], end) if outcome in risks else None for outcome in outcomes),
        )
        for number, title, risks in told
    )
    return Forecasts(outcomes=outcomes, patients=patients, scale=f"{100 * end:g}{HELD}%")


def _told(risk: Mapping[str, float | None]) -> Measured | None:
    """A risk as the list has it; None where it could not be estimated."""
    value, lower, upper = (risk.get(name) for name in ("risk", "lower", "upper"))
    if value is None or not math.isfinite(float(value)):
        return None
    if lower is None or upper is None:
        return Measured(float(value))
    return Measured(float(value), float(lower), float(upper))


def _risk(told: Measured | None, end: float) -> Risk:
    if told is None:
        return Risk(text="not estimable", bounds="", drawing=None)
    bounds = ""
    if told.lower is not None and told.upper is not None:
        bounds = f"{100 * told.lower:.1f}{HELD}to{HELD}{_share(told.upper)}"
    return Risk(text=_share(told.value), bounds=bounds, drawing=draw(told, Span(0.0, end)))


def _share(value: float) -> str:
    """A risk in per cent, as fine as the futures that were drawn allow.

    >>> _share(0.1234).replace(HELD, " ")
    '12.3 %'
    """
    return f"{100 * value:.1f}{HELD}%"
