"""How numbers are written on a page: with their unit, and never a blank where something is missing."""

from __future__ import annotations

import re
from math import isfinite

WITHHELD = "fewer than 5 patients"
NOT_COMPUTED = "not computed"
HELD = "\N{NO-BREAK SPACE}"


def count(amount: int | float | None) -> str:
    """Write a count; None stands for a withheld small group.

    >>> count(17549), count(None)
    ('17,549', 'fewer than 5 patients')
    """
    return WITHHELD if amount is None else f"{amount:,.0f}"


def number(value: float | None, unit: str | None = None, missing: str = "–") -> str:
    """Write a number to four significant figures, with its unit.

    The space before the unit does not break a line.

    >>> number(13682.0, "mm[Hg]").split("\N{NO-BREAK SPACE}"), number(0.12345), number(None)
    (['13,680', 'mm[Hg]'], '0.1235', '–')
    """
    if value is None or not isfinite(value):
        return missing
    shown = f"{float(f'{value:.4g}'):,.10g}"
    return f"{shown}{HELD}{unit}" if unit and unit != "1" else shown


def shown_unit(unit: object) -> str:
    """A UCUM unit as people write it: an annotation without its braces.

    >>> shown_unit("{score}"), shown_unit("mm[Hg]"), shown_unit(None)
    ('score', 'mm[Hg]', '')
    """
    return re.sub(r"^\{(.*)\}$", r"\1", str(unit or ""))


def share(value: float | None) -> str:
    """Write a share as a percentage.

    >>> share(0.4265).split(HELD)
    ['42.6', '%']
    """
    return WITHHELD if value is None else f"{100 * value:.1f}{HELD}%"


def interval(value: float | None, lower: float | None, upper: float | None, digits: int = 3) -> str:
    """Write a value with its 95 % interval.

    >>> interval(0.812, 0.79, 0.83).replace(HELD, " ")
    '0.812 [0.790 to 0.830]'
    """
    if value is None or not isfinite(value):
        return NOT_COMPUTED
    if lower is None or upper is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} [{lower:.{digits}f}{HELD}to{HELD}{upper:.{digits}f}]"
