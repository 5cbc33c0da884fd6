"""What a data steward works from: failing checks, worst first, with where to look; sites; OHDSI's check types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from salus.timeline.quality_facts import MOST_EXAMPLES
from salus.timeline.quality_judging import FAIL, Case, in_words, withheld, work_list
from salus.timeline.quality_kinds import (
    DAYS_AFTER_DEATH,
    DAYS_AROUND_VISIT,
    OHDSI,
    Category,
    Context,
    Handled,
)
from salus.workflows.pages.sheet import Section, Table
from salus.workflows.pages.words import WITHHELD, count, number, share

MOST_CASES = 100
MOST_GROUPS = 4  # of those with fewer than five patients, named in one line
MOST_SITES = 8
WORK = (
    "Each line is one thing to mend, or to understand: what fails fatally first, then what touches most patients, at"
    " the end what touches fewer than five.",
    "“For example” names rows of the source (file or table and number) or of a shard, never what stands in them.",
)
NOTHING = "Every check is within its threshold."
SEVERITY_WORDS = {"fatal": "! fatal", "convention": "! convention", "characterization": "look"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The judged facts, with what is needed to say them: examples, names of codes, what sentences' gaps hold."""

    facts: pl.DataFrame
    examples: pl.DataFrame
    names: Mapping[str, str]
    gaps: Mapping[str, str]
    gate: Mapping[str, object]
    ohdsi: Mapping[str, int] | None = None


def gaps_of(earliest_year: int) -> dict[str, str]:
    """What the gaps of the checks' sentences hold."""
    return {"earliest": str(earliest_year), "grace": str(DAYS_AFTER_DEATH), "visit": str(DAYS_AROUND_VISIT)}


def work_sections(judged: Judged) -> tuple[Section, ...]:
    """The work list, Kahn's categories, the sites and OHDSI's check types."""
    cases = work_list(judged.facts)
    shown = withheld(cases.head(MOST_CASES))
    more = cases.height - shown.height
    words = WORK if cases.height else (NOTHING,)
    rest = (f"{more:,} more stand in quality.json.",) if more > 0 else ()
    work = Section(
        name="work",
        heading="What to work on",
        words=(_gate_words(judged), *words, *rest),
        tables=(_work_table(shown, judged),) if cases.height else (),
    )
    kahn = Section(
        name="kahn",
        heading="Kahn’s categories",
        words=(
            "Verification looks at the record alone; validation holds it against something outside of it.",
        ),
        tables=(_kahn_table(judged.facts),),
        folded=(_ohdsi_table(judged),),
    )
    sites = _site_section(judged)
    return (work, kahn, *((sites,) if sites else ()))


def _gate_words(judged: Judged) -> str:
    failing = judged.gate["failing"]
    counted = failing if isinstance(failing, dict) else {}
    said = ", ".join(f"{amount:,} {name}" for name, amount in counted.items())
    return f"{judged.gate['verdict']}: of {judged.gate['cases']:,} cases these fail: {said}."


def _work_table(cases: pl.DataFrame, judged: Judged) -> Table:
    found = judged.examples.group_by("check", "about", "by", "group", maintain_order=True).agg("position")
    examples: dict[Case, list[str]] = {(row[0], row[1], row[2], row[3]): row[4] for row in found.iter_rows()}
    rows = [
        _work_row(row, examples.get(_case(row), []), judged)
        for row in cases.filter(~pl.col("withheld")).to_dicts()
    ]
    rows += _few_rows(cases.filter("withheld"), examples, judged)
    heads = ("severity", "what fails", "where", "for example", "failing", "allowed", "patients")
    return Table(name="t-work", caption="Worst first", heads=heads, rows=tuple(rows), words_first=4)


def _case(row: Mapping[str, object]) -> Case:
    return (str(row["check"]), str(row["about"]), str(row["by"]), str(row["group"]))


def _work_row(row: Mapping[str, object], positions: list[str], judged: Judged) -> tuple[str, ...]:
    check, about, _, group = _case(row)
    percent, patients = row["percent"], row["failed_patients"]
    told = share(percent / 100 if isinstance(percent, float) else None)
    return (
        SEVERITY_WORDS[str(row["severity"])],
        in_words(check, about, judged.gaps),
        _where(group, judged.names),
        "; ".join(positions[:MOST_EXAMPLES]) or "–",
        f"{told} ({_counted(row['failed'])} of {_counted(row['checked'])})",
        f"{number(float(str(row['threshold'])), '%')}, {row['said_by']}",
        "–" if patients is None else _counted(patients),
    )


def _few_rows(
    cases: pl.DataFrame, examples: Mapping[Case, list[str]], judged: Judged
) -> list[tuple[str, ...]]:
    """One line a check for all its cases of one to four patients, which are not counted aloud."""
    lines: list[tuple[str, ...]] = []
    for (check, about), rows in cases.group_by("check", "about", maintain_order=True):
        told = rows.to_dicts()
        groups = [_where(row["group"], judged.names) for row in told]
        more = f" and {len(groups) - MOST_GROUPS} more" if len(groups) > MOST_GROUPS else ""
        positions = [position for row in told for position in examples.get(_case(row), [])[:1]]
        lines.append(
            (
                SEVERITY_WORDS[told[0]["severity"]],
                in_words(str(check), str(about), judged.gaps),
                "; ".join(groups[:MOST_GROUPS]) + more,
                "; ".join(positions[:MOST_EXAMPLES]) or "–",
                "some",
                f"{number(told[0]['threshold'], '%')}, {told[0]['said_by']}",
                f"{WITHHELD}{' each' if len(told) > 1 else ''}",
            )
        )
    return lines


def _counted(amount: object) -> str:
    return count(amount if isinstance(amount, int) else None)


def _where(group: str, names: Mapping[str, str]) -> str:
    return f"{group}: {names[group]}" if names.get(group) not in (None, group) else group


def _kahn_table(facts: pl.DataFrame) -> Table:
    cases = facts.filter("case")
    rows = []
    for category in (*Category, None):
        cells = [category.value if category else "all"]
        for context in (*Context, None):
            of = cases
            of = of.filter(pl.col("category") == category.value) if category else of
            of = of.filter(pl.col("context") == context.value) if context else of
            failing = of.filter(pl.col("verdict") == FAIL).height
            cells += [f"{of.height - failing:,}", f"{failing:,}"]
            cells.append(share((of.height - failing) / of.height) if of.height else "–")
        rows.append(tuple(cells))
    heads = ["category"]
    for name in (*Context, "both"):
        heads += [f"{name}: pass", "fail", "share that pass"]
    return Table(name="t-kahn", caption="Cases that pass and fail", heads=tuple(heads), rows=tuple(rows))


def _ohdsi_table(judged: Judged) -> Table:
    """All of OHDSI's check types: how many checks theirs are, how many cases ours, and what becomes of each."""
    cases = dict(judged.facts.filter("case").group_by("check").len().iter_rows())
    theirs = judged.ohdsi
    rows = []
    for name, (handled, why) in OHDSI.items():
        measured = cases.get(name, 0)
        nothing = handled is Handled.MEASURED and not measured
        said = "nothing here to check" if nothing else handled.value
        rows.append((name, said, why, count(theirs.get(name, 0)) if theirs else "–", f"{measured:,}"))
    heads = ("check type", "here", "how, or why not", "OHDSI’s checks", "cases here")
    caption = "OHDSI’s 27 check types on this timeline"
    return Table(name="t-ohdsi", caption=caption, heads=heads, rows=tuple(rows), words_first=3)


def _site_section(judged: Judged) -> Section | None:
    """The share that fails each check at each site; none where there is only one."""
    facts = judged.facts.filter(pl.col("by") == "site")
    sites = facts["group"].unique().sort().to_list()
    if len(sites) < 2:
        return None
    most = (
        facts.group_by("group")
        .agg(pl.col("checked").max())
        .sort("checked", "group", descending=[True, False])
    )
    shown = sorted(most["group"].head(MOST_SITES).to_list())
    failing = facts.filter(pl.col("failed") > 0).select("check", "about").unique().sort("check", "about")
    cells = {(row["check"], row["about"], row["group"]): row for row in withheld(facts).to_dicts()}
    rows = [
        (
            in_words(check, about, judged.gaps),
            *(_site_cell(cells.get((check, about, site))) for site in shown),
        )
        for check, about in failing.iter_rows()
    ]
    more = f" The {len(shown)} largest of {len(sites)}." if len(sites) > len(shown) else ""
    caption = f"Share that fails, by site.{more}"
    table = Table(name="t-sites", caption=caption, heads=("check", *shown), rows=tuple(rows))
    return Section(
        name="sites", heading="Sites", words=("! marks a site beyond the threshold.",), tables=(table,)
    )


def _site_cell(row: dict[str, object] | None) -> str:
    if row is None:
        return "–"
    percent = row["percent"]
    if not isinstance(percent, float):
        return WITHHELD
    return f"{'! ' if row['verdict'] == FAIL else ''}{share(percent / 100)}"
