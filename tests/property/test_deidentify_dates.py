"""Dates that move: intervals, weekdays and precision stay, in every format alike."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from salus.deidentify.dates import DateHow, DateRule
from salus.deidentify.field_books import Fate
from salus.deidentify.key import Key

DAYS = st.dates(date(1900, 1, 1), date(2100, 12, 31))
IDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)
KEY = Key(b"0123456789abcdef")
MOVE = DateRule(how=DateHow.SHIFT, most_days=365)


@given(IDS, DAYS, DAYS)
def test_intervals_stay_and_no_date_stays(patient: str, one: date, other: date):
    shift = MOVE.shift(KEY, patient)
    moved = [date.fromisoformat(MOVE.iso(day.isoformat(), shift)[0] or "") for day in (one, other)]
    assert moved[0] - moved[1] == one - other
    assert 0 < abs((moved[0] - one).days) <= 365


@given(IDS, DAYS)
def test_whole_weeks_keep_the_weekday(patient: str, day: date):
    rule = DateRule(how=DateHow.SHIFT, most_days=365, keep_weekday=True)
    moved = date.fromisoformat(rule.iso(day.isoformat(), rule.shift(KEY, patient))[0] or "")
    assert moved.weekday() == day.weekday() and moved != day


@given(IDS, DAYS, st.times())
def test_fhir_and_hl7_move_alike_and_the_time_of_day_stays(patient: str, day: date, time):
    shift = MOVE.shift(KEY, patient)
    iso = MOVE.iso(f"{day.isoformat()}T{time:%H:%M:%S}+01:00", shift)[0] or ""
    hl7 = MOVE.hl7(f"{day:%Y%m%d}{time:%H%M%S}+0100", shift)[0] or ""
    assert iso.replace("-", "").replace("T", "").replace(":", "") == hl7
    assert iso[10:] == f"T{time:%H:%M:%S}+01:00"


@given(IDS, DAYS)
def test_a_partial_date_tells_no_more_and_moves_to_within_half_of_what_it_tells(patient: str, day: date):
    shift = MOVE.shift(KEY, patient)
    for told, width in ((day.isoformat()[:7], 31), (day.isoformat()[:4], 366)):
        moved, fate = MOVE.iso(told, shift)
        assert fate is Fate.SHIFTED and moved is not None and len(moved) == len(told)
        exact = (day + (shift or timedelta())).isoformat()
        first = [
            date.fromisoformat((one + "-01-01")[: len("2019-01-01")]) for one in (moved, exact[: len(told)])
        ]
        assert abs(first[0] - first[1]).days <= width


@given(st.text(max_size=30), IDS)
def test_what_is_no_date_never_passes(text: str, patient: str):
    for how in (DateHow.SHIFT, DateHow.YEAR, DateHow.REMOVE):
        rule = DateRule(how=how, most_days=365)
        told = rule.iso(text, rule.shift(KEY, patient))[0]
        assert told is None or told[:4].isdigit()


def test_the_edges_of_time_are_taken_out():
    assert MOVE.iso("9999-12-31", timedelta(days=1)) == (None, Fate.REMOVED)
    assert MOVE.iso("0001-01-01", timedelta(days=-1)) == (None, Fate.REMOVED)
    assert MOVE.iso("2019-02-30", timedelta(days=1)) == (None, Fate.REMOVED)
    assert MOVE.iso("2019-02-28", None) == (None, Fate.REMOVED)
    assert MOVE.iso("٢٠١٩-٠٢-٢٨", timedelta(days=1)) == (None, Fate.REMOVED)
