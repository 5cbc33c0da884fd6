"""Single patients as timelines: time across, a row for each code, a dot for each fact, REAL or SYNTHETIC on each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from html import escape

import numpy as np
import numpy.typing as npt
import polars as pl

from salus.workflows.pages.drawing import STYLE, WIDTH, Drawn
from salus.workflows.pages.futures_drawing import tick_word, ticks
from salus.workflows.pages.futures_pictures import scale_of
from salus.workflows.pages.sheet import Figure

DOZEN = 12
LEFT, RIGHT, TOP, BELOW, LINE = 152, 10, 44, 36, 13
LETTERS = 24  # of a code's name beside its row
LETTER = 5.6  # mean width of a letter
SHARE_INSIDE = 0.98
"""The time axis holds this share of all rows; the others stand at its ends."""
OWN = """\
text{font:11px "Liberation Sans",Arial,Helvetica,sans-serif;fill:var(--ink)}
.q{fill:var(--quiet)}.w{font-weight:700;font-size:13px}.g{stroke:var(--line)}.a{stroke:var(--quiet)}
.zero{stroke:var(--ink);stroke-dasharray:2 3}.real{fill:var(--first)}.synthetic{fill:var(--second)}
.box{fill:none;stroke-width:1.5}.box.real{stroke:var(--first)}.box.synthetic{stroke:var(--second)}
.plain{fill:none;stroke:var(--ink);stroke-width:1.3}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all pictures share: the codes in their order, real values to rank among, and the time axis in hours."""

    names: dict[str, str]
    roles: dict[str, str]
    ranked: dict[str, npt.NDArray[np.float64]]
    first: float
    last: float

    def x(self, hours: float) -> float:
        """Pixels from the left; a moment outside the axis stands at its end."""
        inside = min(max(hours, self.first), self.last)
        return LEFT + (inside - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)

    def rank(self, code: str, value: float) -> float:
        """The share of real values of this code that are lower, ties half."""
        known = self.ranked.get(code)
        if known is None or not len(known):
            return 0.5
        low, high = np.searchsorted(known, value, "left"), np.searchsorted(known, value, "right")
        return float(low + high) / 2 / len(known)


def choose(events: pl.DataFrame, most: int = DOZEN) -> list[pl.DataFrame]:
    """Every k-th patient in the order of their number of rows: no one chooses by looks."""
    order = events.group_by("subject_id").len().sort("len", "subject_id")["subject_id"]
    taken = min(most, len(order))
    places = [int((number + 0.5) * len(order) / taken) for number in range(taken)]
    return [events.filter(pl.col("subject_id") == order[place]) for place in places]


def since(events: pl.DataFrame, zero: datetime | None) -> pl.DataFrame:
    """Add ``hours`` since time zero; without one since each patient's first dated row that is no birth."""
    dated = pl.when(~pl.col("code").str.starts_with("MEDS_BIRTH")).then(pl.col("time"))
    start = dated.min().over("subject_id") if zero is None else pl.lit(zero)
    return events.select("subject_id", "time", "code", "numeric_value").with_columns(
        hours=(pl.col("time") - start).dt.total_microseconds() / 3.6e9
    )


def ground(shown: list[pl.DataFrame], *, codes: pl.DataFrame, real: pl.DataFrame) -> Ground:
    """The ground for ``shown`` patients; ``real``: all values that dots are ranked among."""
    roles = dict(zip(codes["code"], codes["role"], strict=True))
    rows = pl.concat(shown).filter(
        pl.col("hours").is_not_null()
        & ~pl.col("code").replace_strict(roles, default="event").is_in(["birth", "anchor"])
    )
    spare = (1 - SHARE_INSIDE) / 2
    first, last = (float(rows["hours"].quantile(at) or 0.0) for at in (spare, 1 - spare))
    room = max(0.03 * (last - first), 0.5)
    valued = real.drop_nulls("numeric_value").sort("numeric_value").partition_by("code", as_dict=True)
    return Ground(
        names={str(row["code"]): str(row["description"] or row["code"]) for row in codes.to_dicts()},
        roles=roles,
        ranked={str(code): part["numeric_value"].to_numpy() for (code,), part in valued.items()},
        first=min(first, 0.0) - room,
        last=max(last, 0.0) + room,
    )


def timeline_picture(mine: pl.DataFrame, on: Ground, *, label: str, number: int) -> Drawn:
    """One patient; ``label``: REAL or SYNTHETIC; ``number``: a running number, no one's id."""
    dated = mine.filter(
        pl.col("hours").is_not_null()
        & ~pl.col("code").replace_strict(on.roles, default="event").is_in(["birth", "anchor"])
    )
    order = _order(dated, on)
    height = TOP + LINE * max(len(order), 1) + BELOW
    kind = label.lower()
    who, start = _who(mine, on), 96 if label == "SYNTHETIC" else 54
    heading = _cut(f"patient {number}: {who}", int((WIDTH - 8 - start) / LETTER))
    parts = [
        f'<rect class="box {kind}" x="1" y="1" width="{WIDTH - 2}" height="{height - 2}" rx="6"/>',
        f'<text class="w {kind}" x="10" y="19">{label}</text>',
        f'<text x="{start}" y="19">{escape(heading)}</text>',
        *_key(kind),
        *_axis(on, height),
    ]
    outside = 0
    for place, code in enumerate(order):
        row = dated.filter(pl.col("code") == code)
        parts += _row(row, on, place=place, kind=kind)
        outside += row.filter((pl.col("hours") < on.first) | (pl.col("hours") > on.last)).height
    of = "1 code" if len(order) == 1 else f"{len(order)} codes"
    said = f"{label} patient {number}, {who}: {dated.height} dated rows of {of}{_span(dated)}."
    beyond = f" {outside} {'row' if outside == 1 else 'rows'} outside the axis." if outside else ""
    figure = Figure(
        file=f"patient-{kind}-{number:02}.svg",
        caption=f"patient {number}.{beyond}",
        alternative=said,
        width=WIDTH,
        height=height,
        label=label,
    )
    return figure, _whole(parts, height, said)


def _order(dated: pl.DataFrame, on: Ground) -> list[str]:
    """The recorded codes in the order of the code list; those it lacks come last."""
    recorded = set(dated["code"])
    return [code for code in on.names if code in recorded] + sorted(recorded - set(on.names))


def _who(mine: pl.DataFrame, on: Ground) -> str:
    """What is always true of the patient, and the age at time zero in whole years."""
    fixed = [
        on.names.get(str(code), str(code))
        for code in mine.filter(pl.col("hours").is_null())["code"].unique(maintain_order=True)
    ]
    born = mine.filter(pl.col("code").replace_strict(on.roles, default="event") == "birth")[
        "hours"
    ].drop_nulls()
    age = [f"{-float(born[0]) / 8766:.0f} years"] if len(born) else []
    return ", ".join([*age, *fixed]) or "nothing fixed is known"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip(" ,;") + "…"


def _key(kind: str) -> list[str]:
    y = 35

    def told(x: int, words: str) -> str:
        return f'<text class="q" x="{x}" y="{y}">{words}</text>'

    return [
        f'<circle class="{kind}" cx="14" cy="{y - 4}" r="1.8" opacity=".45"/>' + told(20, "low"),
        f'<circle class="{kind}" cx="50" cy="{y - 4}" r="4.2"/>' + told(58, "high among real values"),
        f'<circle class="plain" cx="190" cy="{y - 4}" r="3"/>' + told(198, "no value"),
        told(250, "‹ › off the axis"),
    ]


def _axis(on: Ground, height: int) -> list[str]:
    unit, size = scale_of(on.last - on.first)
    base = height - BELOW
    drawn = [f'<line class="a" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>']
    for value in ticks(on.first / size, on.last / size, 5):
        x = f"{on.x(value * size):.1f}"
        drawn.append(
            f'<line class="g" x1="{x}" x2="{x}" y1="{TOP}" y2="{base}"/>'
            f'<text class="q" x="{x}" y="{base + 14}" text-anchor="middle">{tick_word(value)}</text>'
        )
    zero, middle = f"{on.x(0):.1f}", (LEFT + WIDTH - RIGHT) / 2
    drawn.append(f'<line class="zero" x1="{zero}" x2="{zero}" y1="{TOP}" y2="{base}"/>')
    drawn.append(
        f'<text class="q" x="{middle}" y="{height - 8}" text-anchor="middle">{unit} from time zero</text>'
    )
    return drawn


def _row(row: pl.DataFrame, on: Ground, *, place: int, kind: str) -> list[str]:
    y = TOP + LINE * place + LINE / 2 + 1
    code = str(row["code"][0])
    name = on.names.get(code, code)
    shown = _cut(name, LETTERS)
    drawn = [
        f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(shown)}</text>',
        f'<line class="g" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" opacity=".5"/>',
    ]
    for hours, value in row.select("hours", "numeric_value").iter_rows():
        x = f"{on.x(hours):.1f}"
        if hours < on.first or hours > on.last:
            drawn.append(
                f'<text x="{x}" y="{y + 4:.1f}" text-anchor="middle">{"‹" if hours < 0 else "›"}</text>'
            )
        elif value is None:
            drawn.append(f'<circle class="plain" cx="{x}" cy="{y:.1f}" r="3"/>')
        else:
            rank = on.rank(code, value)
            size, shade = 1.8 + 2.4 * rank, 0.45 + 0.5 * rank
            drawn.append(
                f'<circle class="{kind}" cx="{x}" cy="{y:.1f}" r="{size:.1f}" opacity="{shade:.2f}"/>'
            )
    return drawn


def _span(dated: pl.DataFrame) -> str:
    if dated.is_empty():
        return ""
    first, last = (float(dated["hours"].sort()[place]) for place in (0, -1))
    unit, size = scale_of(last - first)
    return f", from {tick_word(round(first / size, 1))} to {tick_word(round(last / size, 1))} {unit}"


def _whole(parts: list[str], height: int, said: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img" aria-label="{escape(said)}">\n<style>{STYLE}{OWN}</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )
