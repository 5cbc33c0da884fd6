"""Nothing is visible before staff could see it: a slow, obvious version referees the fast one."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.cohort.moments import known_at_index
from salus.timeline.columns import EVENT_COLUMNS, fit_columns

ZERO = datetime(2000, 1, 1)
HOUR = st.one_of(st.none(), st.integers(-50, 50).map(lambda hours: ZERO + timedelta(hours=hours)))
ROW = st.fixed_dictionaries({"subject_id": st.integers(1, 4), "time": HOUR, "known_time": HOUR})
MOMENTS = st.dictionaries(st.integers(1, 5), HOUR.filter(lambda moment: moment is not None))


def could_be_seen(row: dict[str, object], moment: datetime) -> bool:
    if row["known_time"] is None:
        return row["time"] is None
    return row["known_time"] <= moment


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(ROW, max_size=25), moments=MOMENTS)
def test_nothing_is_visible_before_it_was_known(rows, moments):
    numbered = [{**row, "code": f"X{number}"} for number, row in enumerate(rows)]
    kinds = {name: EVENT_COLUMNS[name] for name in ("subject_id", "time", "code", "known_time")}
    frame = fit_columns(pl.DataFrame(numbered, schema=kinds), EVENT_COLUMNS, what="events")
    index = pl.DataFrame(
        {"subject_id": list(moments), "prediction_time": list(moments.values())},
        schema={"subject_id": pl.Int64, "prediction_time": pl.Datetime("us")},
    )
    seen = known_at_index(frame, index)["code"].to_list()
    expected = [
        row["code"]
        for row in numbered
        if row["subject_id"] in moments and could_be_seen(row, moments[row["subject_id"]])
    ]
    assert seen == expected
