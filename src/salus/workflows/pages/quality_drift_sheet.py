"""The part of the quality page about drift: what moved since an earlier extract, and by how much."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from salus.timeline.quality_drift import Drift
from salus.timeline.quality_judging import SMALLEST_GROUP, in_words
from salus.workflows.pages.quality_worklist import Judged
from salus.workflows.pages.sheet import Section, Table
from salus.workflows.pages.words import HELD, WITHHELD, number, share

MOST_CODES = 60
HOW = (
    "A code moved where the share of patients who have it moved by more than the limit, beyond its 95 % interval; its"
    " values moved where their population stability index is above the limit (0: alike; over tenths of the earlier"
    " extract).",
)


def drift_section(drift: Drift, judged: Judged, name: str) -> Section:
    """What moved, worst first; all codes behind a click."""
    moved = drift.codes.filter(pl.col("moved").is_not_null())
    worse = drift.checks.filter(pl.col("moved").is_not_null())
    words = (
        f"Against {name}: {drift.patients_before:,} patients then, {drift.patients:,} now; {drift.rows_before:,} rows"
        f" then, {drift.rows:,} now.",
        f"{moved.height:,} of {drift.codes.height:,} codes moved; {worse.height:,} checks fail more than before.",
        *HOW,
    )
    return Section(
        name="drift",
        heading="Drift",
        words=words,
        tables=(
            _codes_table(moved, judged.names, "t-moved", "Codes that moved"),
            _checks_table(worse, judged),
        ),
        folded=(_codes_table(drift.codes, judged.names, "t-all-moved", "Every code, then and now"),),
    )


def worst_codes(codes: pl.DataFrame) -> pl.DataFrame:
    """The codes by how far they moved: by the share of patients, or by their values."""
    far = pl.max_horizontal(pl.col("difference").abs(), pl.col("stability").fill_null(0).clip(0, 1))
    return codes.sort(far, "code", descending=[True, False])


def _codes_table(codes: pl.DataFrame, names: Mapping[str, str], name: str, caption: str) -> Table:
    shown = worst_codes(codes)
    some = f"{caption}: the first {MOST_CODES} of {shown.height:,}" if shown.height > MOST_CODES else caption
    rows = tuple(
        (
            str(row["code"]),
            names.get(str(row["code"])) or "–",
            str(row["moved"] or "–"),
            _share(row["share_before"], row["patients_before"]),
            _share(row["share"], row["patients"]),
            _difference(row),
            number(row["stability"]),
        )
        for row in shown.head(MOST_CODES).to_dicts()
    )
    heads = (
        "code",
        "meaning",
        "what moved",
        "patients with it then",
        "now",
        "difference, 95 % interval",
        "stability",
    )
    return Table(name=name, caption=some, heads=heads, rows=rows, words_first=3, empty="none")


def _share(value: object, patients: object) -> str:
    few = isinstance(patients, int) and 0 < patients < SMALLEST_GROUP
    return WITHHELD if few or not isinstance(value, float) else share(value)


def _difference(row: dict[str, object]) -> str:
    amounts = (row["patients"], row["patients_before"])
    if any(isinstance(amount, int) and 0 < amount < SMALLEST_GROUP for amount in amounts):
        return WITHHELD
    middle, half = float(str(row["difference"])), float(str(row["half_width"]))
    low, high = 100 * (middle - half), 100 * (middle + half)
    return f"{100 * middle:+.1f} [{low:+.1f}{HELD}to{HELD}{high:+.1f}] points"


def _checks_table(worse: pl.DataFrame, judged: Judged) -> Table:
    few = pl.any_horizontal(
        pl.col(name).is_between(1, SMALLEST_GROUP - 1).fill_null(False)
        for name in ("failed_patients", "failed_patients_before")
    )
    shown = worse.with_columns(few.alias("few")).sort("difference", descending=True)
    rows = tuple(
        (
            in_words(row["check"], row["about"], judged.gaps),
            "everywhere" if row["by"] == "all" else str(row["group"]),
            WITHHELD if row["few"] else share(row["share_before"]),
            WITHHELD if row["few"] else share(row["share"]),
        )
        for row in shown.to_dicts()
    )
    heads = ("check", "where", "failing then", "now")
    return Table(
        name="t-worse",
        caption="Checks that fail more than before",
        heads=heads,
        rows=rows,
        words_first=2,
        empty="none",
    )
