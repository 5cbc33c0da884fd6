"""Columns of tables through a policy: one batch of rows at a time, whole columns at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from salus.deidentify.field_books import Fate
from salus.deidentify.passing import Fated, Passing, Whose
from salus.deidentify.policy import Action

Cells = Callable[[str, Whose], Fated]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnPlan:
    """What becomes of one column. ``kind``: of its pseudonyms. ``as_number``: they are numbers, not names."""

    name: str
    place: str
    action: Action
    kind: str = ""
    as_number: bool = False


class ColumnPassage:
    """Lets columns of texts pass. Every cell is text, or null where the table says nothing."""

    def __init__(self, passing: Passing) -> None:
        self.passing = passing
        self._cells: Mapping[Action, Cells] = {
            Action.DATE: lambda text, whose: _day_or_time(passing, text, whose),
            Action.BIRTH_DATE: passing.birth_date,
            Action.AGE: lambda text, whose: passing.age(text),
            Action.POSTCODE: passing.postcode,
            Action.TEXT: passing.text,
        }

    def column(self, cells: pl.Series, owners: pl.Series, plan: ColumnPlan) -> pl.Series:
        """One column as it may pass; ``owners``: whose each row is."""
        there = cells.len() - cells.null_count()
        if plan.action is Action.REMOVE:
            self.passing.books.add(plan.place, Fate.REMOVED, there)
            return pl.Series(cells.name, [None] * cells.len(), dtype=pl.String)
        if plan.action is Action.KEEP:
            self.passing.books.add(plan.place, Fate.KEPT, there)
            return cells
        if plan.action is Action.PSEUDONYM:
            self.passing.books.add(plan.place, Fate.PSEUDONYM, there)
            return self._pseudonyms(cells, plan)
        return self._each(cells, owners, plan)

    def _pseudonyms(self, cells: pl.Series, plan: ColumnPlan) -> pl.Series:
        met = cells.drop_nulls().unique().to_list()
        passing = self.passing
        told = [
            str(passing.number(plan.kind, one)) if plan.as_number else passing.pseudonym(plan.kind, one)
            for one in met
        ]
        return cells.replace_strict(met, told, return_dtype=pl.String, default=None) if met else cells

    def _each(self, cells: pl.Series, owners: pl.Series, plan: ColumnPlan) -> pl.Series:
        """Cells that say the same of the same patient become the same: each is worked out once."""
        pairs = pl.DataFrame({"cell": cells, "owner": owners})
        counted = pairs.drop_nulls("cell").group_by("cell", "owner").len()
        work, told = self._cells[plan.action], list[str | None]()
        for cell, owner, count in counted.iter_rows():
            passed, fate = work(cell, self.passing.whose(owner or ""))
            told.append(passed)
            self.passing.books.add(plan.place, fate, count)
        found = counted.with_columns(pl.Series("told", told, dtype=pl.String))
        joined = pairs.join(found, on=["cell", "owner"], how="left", nulls_equal=True, maintain_order="left")
        return joined["told"].alias(cells.name)


def _day_or_time(passing: Passing, text: str, whose: Whose) -> Fated:
    """A date as tables write it: ISO, or the same without marks; a time of day alone."""
    if ":" in text[:6]:
        return passing.time_of_day(text)
    rule = passing.policy.rules.dates
    return rule.hl7(text, whose.shift) if text[:8].isdigit() else rule.iso(text, whose.shift)
