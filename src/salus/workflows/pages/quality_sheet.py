"""The quality sheet: the measures of a timeline in words, tables and pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import polars as pl

from salus.timeline.quality import Quality
from salus.timeline.quality_completeness import IN_ORDER
from salus.workflows.pages.comparison import period_name
from salus.workflows.pages.drawing import Drawn
from salus.workflows.pages.pictures import Described, over_periods, share_bars, value_histogram
from salus.workflows.pages.sheet import Check, Section, Sheet, Table
from salus.workflows.pages.words import WITHHELD, count, number, share, shown_unit

MOST_BARS = 60
MOST_HISTOGRAMS = 60
LEFT_AS_IS = "Nothing is repaired. What needs a look stays in the timeline as it came, and is shown here."
TIMES_ARE_ORDER = "Times are only an order: they say what came before what, not when nor how long it took."
PLACES = "Places in the order stand for periods: each patient's first moment, second moment and so on."
BETWEEN = "Between the 1st and the 99th percentile. Bars that stand for fewer than 5 patients are left out."
NOTES = (
    "Counts that concern one to four patients are written “fewer than 5 patients”; outer quantiles of small groups"
    " are not shown. No patient's number or single value appears on this page; rows are named by the line, or the"
    " resource's pseudonym, that they came from.",
    "A range says what is plausible, not what is healthy; its source is named beside it.",
    "Twin codes hold the same number at the same moment (almost) every time: one column was probably copied over"
    " another before the data were published.",
    "Where a source does not say when a fact became known, the time of the fact itself is assumed, and counted here.",
)


def quality_sheet(quality: Quality, head: Sheet, *, assumed_known_time: int) -> tuple[Sheet, dict[str, str]]:
    """The sections under ``head`` and their pictures: file name -> SVG."""
    names = _names(quality)
    named = quality.codes.with_columns(pl.col("code").replace(names).alias("name"))
    bars = share_bars(named.head(MOST_BARS), "codes.svg", caption=_bars_caption(named.height))
    periods, histograms = _period_pictures(quality), _histograms(quality, names)
    sections = (
        Section(
            name="checks", heading="Checks", words=(LEFT_AS_IS,), checks=checks(quality, assumed_known_time)
        ),
        Section(
            name="complete",
            heading="Completeness",
            figures=(bars[0],),
            tables=(_spread_table(quality),),
            folded=(_codes_table(quality),),
        ),
        _over_time(quality, periods),
        Section(
            name="values",
            heading="Values",
            words=(BETWEEN,),
            figures=tuple(figure for figure, _ in histograms),
            tables=(_values_table(quality),),
        ),
        Section(name="details", heading="Details", tables=_details(quality)),
        Section(name="notes", heading="How to read this", notes=NOTES),
    )
    drawn = [bars, *periods, *histograms]
    return replace(head, sections=sections), {figure.file: svg for figure, svg in drawn}


def _over_time(quality: Quality, periods: list[Drawn]) -> Section:
    figures = tuple(figure for figure, _ in periods)
    if quality.order_only:
        return Section(name="time", heading="In order", words=(TIMES_ARE_ORDER, PLACES), figures=figures)
    return Section(name="time", heading="Over time", figures=figures)


def _details(quality: Quality) -> tuple[Table, ...]:
    return (
        _twins_table(quality),
        _range_table(quality),
        _order_table(quality),
        _duplicates_table(quality),
        _units_table(quality),
    )


def _bars_caption(codes: int) -> str:
    shown = f"The {MOST_BARS} most frequent of {codes} codes" if codes > MOST_BARS else "Every code"
    return f"{shown}: share of patients with at least one such row."


def checks(quality: Quality, assumed_known_time: int) -> tuple[Check, ...]:
    """Say in one sentence each what was found, worst kinds first."""
    twins = [f"{row['code']} = {row['twin']}" for row in quality.twins.to_dicts()]
    outside = quality.outside_range.filter(pl.col("withheld") | (pl.col("below") + pl.col("above") > 0))
    repeats = quality.duplicates.filter(pl.col("withheld") | (pl.col("repeats") > 0))
    torn = quality.duplicates.filter(pl.col("contradictions") > 0)
    missing = quality.codes.filter(pl.col("missing_value") > 0)
    known = quality.known_times.row(0, named=True)
    found = [
        Check(
            look=bool(twins),
            text="Twin codes: " + ("; ".join(twins) + " at the same moments." if twins else "none."),
        ),
        Check(look=outside.height > 0, text=f"Values outside their plausible range: {_codes(outside)}."),
        *(
            Check(
                look=row["rows"] != 0, text=f"Rows {row['check']}: {_rows(cast('int | None', row['rows']))}."
            )
            for row in quality.time_order.to_dicts()
        ),
        Check(
            look=repeats.height > 0,
            text=f"Rows that repeat another: {_total(repeats['repeats'])}in {_codes(repeats)}.",
        ),
        Check(look=torn.height > 0, text=f"Moments with contradicting values of one code: {_codes(torn)}."),
        Check(look=quality.units.height > 0, text=f"Several or undeclared units: {_codes(quality.units)}."),
        Check(
            look=missing.height > 0, text=f"Rows without the value their code usually has: {_codes(missing)}."
        ),
        Check(
            look=known["known_before_time"] != 0,
            text=f"Rows known before they happened: {_rows(known['known_before_time'])}.",
        ),
        Check(
            look=assumed_known_time > 0,
            text=f"When a fact was known is assumed for {assumed_known_time:,} of {known['dated']:,} dated rows.",
        ),
    ]
    return tuple(sorted(found, key=lambda check: not check.look))


def _rows(amount: int | None) -> str:
    return f"some, of {WITHHELD}" if amount is None else "none" if amount == 0 else f"{amount:,}"


def _total(amounts: pl.Series) -> str:
    total = int(amounts.sum() or 0)
    return f"{total:,} rows " if total else ""


def _codes(frame: pl.DataFrame) -> str:
    names = frame["code"].unique(maintain_order=True).to_list()
    if not names:
        return "no code"
    many = "1 code" if len(names) == 1 else f"{len(names)} codes"
    return f"{many} ({', '.join(names[:6])}{', …' if len(names) > 6 else ''})"


def _names(quality: Quality) -> dict[str, str]:
    """Readable names: the description where it is short, else the code."""
    return {
        str(row["code"]): str(row["description"])
        for row in quality.codes.to_dicts()
        if row["description"] and len(str(row["description"])) <= 60
    }


def _units(quality: Quality) -> dict[str, str]:
    return {str(row["code"]): shown_unit(row["unit"]) for row in quality.codes.to_dicts()}


def _period_pictures(quality: Quality) -> list[Drawn]:
    periods = quality.periods
    if periods.is_empty():
        return []
    ends = " The first and last hold everything before and after." if periods["open"].any() else ""
    period = "place" if quality.order_only else "period"
    captions = {
        "rows": f"Rows in each {period}.{ends}",
        "patients": f"Patients with a row in each {period}.{ends}",
        "rows_per_patient": f"Rows per patient who has any in the {period}.{ends}",
    }
    since = IN_ORDER if quality.order_only else period_name(periods)
    return [over_periods(periods, column, since=since, caption=said) for column, said in captions.items()]


def _histograms(quality: Quality, names: dict[str, str]) -> list[Drawn]:
    units = _units(quality)
    ranges = {row["code"]: (row["low"], row["high"]) for row in quality.outside_range.to_dicts()}
    common = quality.values.sort("values", "code", descending=[True, False], nulls_last=True)[
        "code"
    ].to_list()
    drawn: list[Drawn] = []
    for code in common[:MOST_HISTOGRAMS]:
        bins = quality.histograms.filter(pl.col("code") == code)
        if bins.height < 2:
            continue
        low, high = ranges.get(code, (None, None))
        of = Described(name=names.get(code, code), unit=units.get(code, ""), low=low, high=high)
        drawn.append(value_histogram(bins, f"values-{len(drawn) + 1:02}.svg", of=of))
    return drawn


def _cells(frame: pl.DataFrame, *columns: str) -> tuple[tuple[str, ...], ...]:
    """Write each row's cells: words as they are, counts and shares and numbers each in their way."""
    return tuple(tuple(_cell(name, row[name]) for name in columns) for row in frame.to_dicts())


def _cell(name: str, value: object) -> str:
    if isinstance(value, str):
        return shown_unit(value) if name == "unit" else value
    if name.startswith("share"):
        return share(cast("float | None", value))
    if isinstance(value, float):
        return number(value)
    if value is None:
        return WITHHELD if name in COUNTED else "–"
    return count(cast("int", value))


COUNTED = ("rows", "patients", "values", "distinct", "below", "above", "repeats", "contradictions", "moments",
           "identical", "missing_value")  # fmt: skip


def _spread_table(quality: Quality) -> Table:
    columns = ("measure", "mean", "p5", "p25", "median", "p75", "p95")
    labels = {
        "rows": "rows",
        "codes": "distinct codes",
        "moments": "distinct moments",
        "days": "days from first to last",
    }
    shown = quality.per_patient.with_columns(pl.col("measure").replace(labels))
    heads = ("each patient", "mean", "5th percentile", "25th", "median", "75th", "95th")
    return Table(
        name="t-spread", caption="How much one patient has", heads=heads, rows=_cells(shown, *columns)
    )


def _codes_table(quality: Quality) -> Table:
    columns = ("code", "description", "unit", "rows", "patients", "share_of_patients", "missing_value")
    heads = ("code", "meaning", "unit", "rows", "patients", "share of patients", "rows without value")
    rows = _cells(quality.codes, *columns)
    return Table(name="t-codes", caption="Every code", heads=heads, rows=rows, words_first=3)


def _values_table(quality: Quality) -> Table:
    described = quality.codes.select("code", "description", "unit")
    shown = quality.values.join(described, on="code", how="left", maintain_order="left")
    columns = ("code", "description", "unit", "values", "p1", "p5", "median", "p95", "p99")
    heads = ("code", "meaning", "unit", "values", "1st percentile", "5th", "median", "95th", "99th")
    rows = _cells(shown, *columns)
    return Table(name="t-values", caption="Values of each code", heads=heads, rows=rows, words_first=3)


def _twins_table(quality: Quality) -> Table:
    columns = ("code", "twin", "moments", "identical", "share", "patients")
    heads = ("code", "twin", "shared moments", "identical", "share identical", "patients")
    caption = "Twin codes: the same number at the same moment"
    return Table(
        name="t-twins", caption=caption, heads=heads, rows=_cells(quality.twins, *columns), words_first=2
    )


def _range_table(quality: Quality) -> Table:
    units = _units(quality)
    rows = tuple(
        (
            str(row["code"]),
            f"{number(row['low'])} to {number(row['high'])} {units.get(str(row['code']), '')}".strip(),
            str(row["range_source"] or "not said"),
            count(row["values"]),
            WITHHELD if row["withheld"] else count(row["below"]),
            WITHHELD if row["withheld"] else count(row["above"]),
        )
        for row in quality.outside_range.to_dicts()
    )
    heads = ("code", "plausible range", "source of the range", "values", "below", "above")
    return Table(
        name="t-range",
        caption="Values outside their plausible range",
        heads=heads,
        rows=rows,
        words_first=3,
        empty="No code declares a plausible range.",
    )


def _order_table(quality: Quality) -> Table:
    shown = quality.time_order.with_columns(("rows " + pl.col("check")).alias("check"))
    heads = ("order of time", "rows", "patients", "patients with such a bound")
    rows = _cells(shown, "check", "rows", "patients", "bounded_patients")
    return Table(name="t-order", caption="Rows where none can be", heads=heads, rows=rows)


def _duplicates_table(quality: Quality) -> Table:
    heads = ("code", "repeated rows", "moments with contradicting values", "patients")
    rows = _cells(quality.duplicates, "code", "repeats", "contradictions", "patients")
    return Table(name="t-duplicates", caption="Repeats and contradictions", heads=heads, rows=rows)


def _units_table(quality: Quality) -> Table:
    heads = ("code", "unit in the rows", "unit declared", "rows", "patients")
    rows = _cells(quality.units, "code", "unit", "declared", "rows", "patients")
    return Table(name="t-units", caption="Unit conflicts", heads=heads, rows=rows, words_first=3)
