"""What a source with rows in order only, and a fact that becomes known later, must and must not say."""

from __future__ import annotations

from salus.formats.csv_source import ROWS_APART, Source, Table, Use
from salus.formats.strict_yaml import Section


def check_later(table: Table, section: Section) -> None:
    """A later fact needs a row with a time to be later than."""
    for fact in table.facts + table.column_facts:
        if not fact.later:
            continue
        if table.is_long or not table.column(Use.TIME):
            raise section.wrong(f"'{fact.name}' is 'later' than a row that has no time", "add a time column")
        if fact.static or fact.age or fact.at:
            raise section.wrong(
                f"'{fact.name}' is 'later' and has a time of its own", "keep one of: later, at, static, age"
            )
        if table.column(Use.KNOWN_TIME):
            raise section.wrong(
                f"'{fact.name}' is 'later', but table '{table.name}' says when its rows were known",
                "keep one of: later, known_time",
            )
        if table.order and fact.later >= ROWS_APART:
            raise section.wrong(
                f"'{fact.name}' would not lie before the next row",
                "write 'later: 1': rows lie two grains apart",
            )


def check_rows_in_order(table: Table, section: Section) -> None:
    """Rows that are only in order can tell no length of time, and nothing that is true at all times."""
    if not table.order:
        if table.first_row_code:
            raise section.wrong(
                f"table '{table.name}' has no order of rows, so none is its first",
                "add a column {time: order}",
            )
        return
    if table.is_long:
        raise section.wrong(f"table '{table.name}' is long: its rows cannot be 'time: order'")
    if table.moments or table.column(Use.KNOWN_TIME):
        raise section.wrong(
            f"table '{table.name}' has 'time: order' and tells other times too",
            "keep one: an order has no distances",
        )
    for fact in table.column_facts:
        if fact.static or fact.age:
            raise section.wrong(
                f"'{fact.name}' belongs to the patient, and a patient may have many rows in '{table.name}'",
                "leave out 'static' or 'age': it is then said at each row",
            )
    if table.first_row_code and not table.row_code:
        raise section.wrong(f"table '{table.name}' says what its first rows are, not the others", "add 'row'")


def check_order(source: Source, top: Section) -> None:
    """Where one table's rows are only in order, no other table's times can be set beside them."""
    timed = [table.name for table in source.tables if table.column(Use.TIME)]
    if source.order_only and len(timed) > 1:
        raise top.wrong(
            f"the rows of one table are only in order, so the times of '{timed[0]}' and '{timed[1]}' cannot be "
            "set beside each other",
            "keep one table with a time column",
        )
