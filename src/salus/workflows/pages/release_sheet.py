"""The page of a release: may these synthetic patients leave, to whom, for what, and what was found about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import polars as pl

from salus.findings import METRICS, Finding
from salus.programme.gate import Judged, Judgement, Verdict
from salus.programme.releasing import Handing
from salus.workflows.pages.drawing import ALARM, FIRST, INK, Drawn, figure_of
from salus.workflows.pages.sheet import Section, Sheet, Table
from salus.workflows.pages.words import count, interval

COIN, LEAST, MOST = 0.5, -0.25, 2.0
"""An attack that is blind; and how much of what is allowed the picture shows."""
LABEL = "SYNTHETIC: no row of this is about a person. Not for decisions about any patient."
LIMITS = (
    "Not being caught by these attacks is no proof. Only training with differential privacy gives one.",
    "A signature says who released what, and that nothing was changed since. It does not make the findings better.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the page is about. ``by_name``: whom the model learnt from is known by the data set's name alone."""

    judgement: Judgement
    findings: tuple[Finding, ...]
    sentences: Mapping[str, str]
    patients: int
    seed: int
    digest: str
    not_judged: tuple[str, ...]
    by_name: bool


def release_sheet(told: Told, handing: Handing, *, made: str) -> tuple[Sheet, dict[str, str]]:
    """The page and its pictures, file name -> SVG."""
    judgement = told.judgement
    released = judgement.verdict is Verdict.PASS
    drawn = room_picture(judgement.criteria, "room.svg")
    notes = (*LIMITS, *(f"Not judged: {what}." for what in told.not_judged), *_trust(told))
    sheet = Sheet(
        title="Released: synthetic patients" if released else "Not released: synthetic patients",
        lead=f"{count(told.patients)} synthetic patients. {judgement.verdict}: {judgement.reason}.",
        made=made,
        digest=told.digest,
        seed=told.seed,
        sections=(
            Section(
                name="handing",
                heading="From whom, to whom, for what",
                mark=LABEL,
                tables=(_handing(handing),),
            ),
            Section(
                name="criteria",
                heading="What was asked and what was found",
                figures=(drawn[0],) if drawn else (),
                tables=(_criteria(judgement.criteria),),
            ),
            Section(
                name="attacks",
                heading="The attacks in words",
                words=tuple(f"{name}. {said}" for name, said in told.sentences.items()),
            ),
            Section(name="limits", heading="What this does not say", notes=notes),
        ),
    )
    return sheet, {drawn[0].file: drawn[1]} if drawn else {}


def _trust(told: Told) -> tuple[str, ...]:
    if not told.by_name:
        return ()
    return (
        "Trained privately, the model keeps no digest of whom it learnt from: its data set is known by name.",
    )


def _handing(handing: Handing) -> Table:
    rows = (
        ("released by", handing.by),
        ("to", handing.recipient),
        ("for", handing.purpose),
    )
    return Table(
        name="t-handing",
        caption="Said by people, not checked",
        heads=("what", "is"),
        rows=rows,
        words_first=2,
    )


def _criteria(criteria: Sequence[Judged]) -> Table:
    return Table(
        name="t-criteria",
        caption="A criterion looks at a bound of the interval, not at the value",
        heads=("criterion", "what it is", "verdict", "found", "asked"),
        rows=tuple(
            (
                one.criterion.id,
                METRICS[one.criterion.metric].meaning,
                one.verdict.value if one.verdict is Verdict.PASS else f"{one.verdict.value}: {one.reason}",
                _found(one),
                f"{one.criterion.bound} {one.criterion.threshold.text}",
            )
            for one in criteria
        ),
        words_first=3,
    )


def _found(judged: Judged) -> str:
    """The value with its interval, in as many decimals as tell it from the limit."""
    found, figure = judged.finding, judged.criterion.threshold.figure
    if found is None or found.value is None:
        return interval(None, None, None)
    if found.lower is None or found.upper is None:
        return figure(found.value)
    return f"{figure(found.value)} [{figure(found.lower)} to {figure(found.upper)}]"


def room_used(metric: str, value: float, limit: float) -> float | None:
    """How much of what is allowed a value takes: 0 where nothing is given away, 1 at the limit.

    An attack that is blind has an AUROC of a half; a share or a risk begins at 0, a likeness at 1.

    >>> room_used("privacy.density_auc", 0.525, 0.55)
    0.5
    >>> room_used("privacy.copies_risk", 0.002, 0.001), room_used("fidelity.overall", 0.9, 0.8)
    (2.0, 0.5)
    """
    ideal = COIN if metric.endswith("_auc") else 1.0 if METRICS[metric].better == "up" else 0.0
    if limit == ideal:
        return None
    return round((value - ideal) / (limit - ideal), 6)


def room_picture(criteria: Sequence[Judged], file: str) -> Drawn | None:
    """The interval of each criterion as a share of what it allows: all of it left of the line may leave."""
    rows = [row for one in criteria if (row := _room(one)) is not None]
    if not rows:
        return None
    table = pl.DataFrame(rows)
    order = [str(row["criterion"]) for row in rows]
    across = alt.X(
        "low:Q", title="share of what is allowed", axis=alt.Axis(format="%", tickCount=4),
        scale=alt.Scale(domain=[LEAST, MOST], clamp=True),
    )  # fmt: skip
    down = alt.Y("criterion:N", sort=order, title=None, axis=alt.Axis(labelLimit=160))
    colour = alt.Color("verdict:N", legend=None, scale=alt.Scale(domain=["in", "out"], range=[FIRST, ALARM]))
    bars = alt.Chart(table).mark_rule(size=5).encode(x=across, x2="high:Q", y=down, color=colour)
    shape = alt.Shape(
        "verdict:N", legend=None, scale=alt.Scale(domain=["in", "out"], range=["circle", "diamond"])
    )
    points = (
        alt.Chart(table)
        .mark_point(filled=True, size=60, opacity=1)
        .encode(x="value:Q", y=down, color=colour, shape=shape)
    )
    line = alt.Chart(pl.DataFrame({"at": [1.0]})).mark_rule(color=INK, strokeDash=[4, 3]).encode(x="at:Q")
    said = "; ".join(f"{row['criterion']}: {float(str(row['value'])):.0%} of what is allowed" for row in rows)
    return figure_of(
        bars + points + line,
        file,
        caption="95 % intervals as a share of what the protocol allows: the bound asked for must lie left of the line.",
        alternative=f"{said}.",
        height=26 * len(rows) + 60,
    )


def _room(judged: Judged) -> dict[str, object] | None:
    found, asked = judged.finding, judged.criterion
    limit = asked.threshold.high if asked.threshold.high is not None else asked.threshold.low
    if found is None or found.value is None or found.lower is None or found.upper is None or limit is None:
        return None
    used = [room_used(asked.metric, value, limit) for value in (found.value, found.lower, found.upper)]
    shown = [min(max(one, LEAST), MOST) for one in used if one is not None]
    if len(shown) < len(used):
        return None
    verdict = "in" if judged.verdict is Verdict.PASS else "out"
    value, low, high = shown[0], min(shown), max(shown)
    return {"criterion": asked.id, "value": value, "low": low, "high": high, "verdict": verdict}
