"""A source in parts: whoever reads them, in whatever order, the timeline is the same, and nothing is read twice."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from salus.errors import InputEmpty
from salus.intake.gathering import Gathering
from salus.intake.ordering import CONTRADICTED, TOLD_AGAIN
from salus.intake.parts import Part, file_parts
from salus.progress import QUIET
from salus.timeline.store import read_codes, read_rejected, read_settings, read_timeline, timeline_digest
from salus.timeline.subjects import subject_number
from salus.workflows.ingest_parts import PartSource, ingest_parts
from tests.words_in_parts import read_words

# id version patient time code value unit known
MONDAY = """
o-1 1 anna 2026-03-01T08:00 LOINC//2823-3 5.9 mmol/L 2026-03-01T09:10
o-2 1 bert 2026-03-01T07:00 LOINC//2823-3 4.1 mmol/L -
o-3 1 anna 2026-02-01T07:00 LOINC//718-7  11  g/dL   -
o-4 1 anna - LOINC//718-7 11 g/dL -
"""
TUESDAY = """
o-1 2 anna 2026-03-01T08:00 LOINC//2823-3 5.6 mmol/L 2026-03-02T10:00
o-2 1 bert 2026-03-01T07:00 LOINC//2823-3 4.1 mmol/L -
o-3 1 anna 2026-02-01T07:00 LOINC//718-7  12  g/dL   -
"""


@pytest.fixture
def days(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "monday.txt").write_text(MONDAY)
    (source / "tuesday.txt").write_text(TUESDAY)
    return source


def ingest(source: Path, to: Path, *names: str):
    parts = file_parts(
        [(name, source / name) for name in names], most_bytes=1 << 20, whole=frozenset({".txt"})
    )
    how = Gathering(reader=read_words, folder=to.with_name(f".{to.name}.parts"))
    return ingest_parts(
        PartSource(kind="words", name="days", where="source", parts=parts), to, how, progress=QUIET
    )


def test_a_correction_stands_beside_what_it_corrects_and_each_is_known_from_its_own_time(days, tmp_path):
    ingest(days, tmp_path / "t", "monday.txt", "tuesday.txt")
    events = read_timeline(tmp_path / "t").filter(
        (pl.col("subject_id") == subject_number("anna")) & (pl.col("code") == "LOINC//2823-3")
    )
    assert events.select("numeric_value", "known_time").rows() == [
        (pytest.approx(5.9), datetime(2026, 3, 1, 9, 10)),
        (pytest.approx(5.6), datetime(2026, 3, 2, 10)),
    ]


def test_the_books_say_what_was_told_again_what_contradicts_and_what_is_assumed(days, tmp_path):
    """Seven lines: one has no time, one says o-3 otherwise; of five kept lines one says o-2 again: four events.

    Of these four two, Bert's and one of Anna's, do not say when they were known.
    """
    books = ingest(days, tmp_path / "t", "monday.txt", "tuesday.txt")
    assert (books.read, books.kept, books.rejected, books.events) == (7, 5, 2, 4)
    assert books.noted["Observation"] == {TOLD_AGAIN: 1}
    assert books.assumed_known_time == 2
    assert Counter(read_rejected(tmp_path / "t")["reason"]) == {"no time": 1, CONTRADICTED: 1}
    assert dict(read_codes(tmp_path / "t").select("code", "unit").rows()) == {
        "LOINC//2823-3": "mmol/L",
        "LOINC//718-7": "g/dL",
    }
    assert read_settings(tmp_path / "t").assumed_known_time == 2


def test_the_order_of_files_changes_no_byte(days, tmp_path):
    ingest(days, tmp_path / "one", "monday.txt", "tuesday.txt")
    ingest(days, tmp_path / "other", "tuesday.txt", "monday.txt")
    assert timeline_digest(tmp_path / "one") == timeline_digest(tmp_path / "other")


def test_an_export_read_again_with_a_later_one_gives_what_both_give(days, tmp_path):
    ingest(days, tmp_path / "once", "monday.txt", "tuesday.txt")
    (days / "again.txt").write_text(MONDAY)
    ingest(days, tmp_path / "twice", "monday.txt", "tuesday.txt", "again.txt")
    assert timeline_digest(tmp_path / "once") == timeline_digest(tmp_path / "twice")


def stop_at_tuesday(part: Part):
    if part.name == "tuesday.txt":
        raise KeyboardInterrupt
    return read_words(part)


def test_a_stopped_run_goes_on_with_the_parts_that_were_not_finished(days, tmp_path):
    """Monday is read before the stop; after it Monday's file may even be gone."""
    to = tmp_path / "t"
    parts = file_parts(
        [(name, days / name) for name in ("monday.txt", "tuesday.txt")],
        most_bytes=1 << 20,
        whole=frozenset({".txt"}),
    )
    source = PartSource(kind="words", name="days", where="source", parts=parts)
    how = Gathering(reader=stop_at_tuesday, folder=tmp_path / "scratch")
    with pytest.raises(KeyboardInterrupt):
        ingest_parts(source, to, how, progress=QUIET)
    assert not to.exists()
    (days / "monday.txt").unlink()
    again = Gathering(reader=read_words, folder=tmp_path / "scratch")
    assert ingest_parts(source, to, again, progress=QUIET).read == 7
    assert not (tmp_path / "scratch").exists()


def test_nothing_kept_says_the_reason_that_is_most_frequent(days, tmp_path):
    (days / "none.txt").write_text("o-4 1 anna - LOINC//718-7 11 g/dL -\n")
    with pytest.raises(InputEmpty, match="no row was kept of 1; most often: no time"):
        ingest(days, tmp_path / "t", "none.txt")


def test_a_key_changes_who_is_who(days, tmp_path):
    """Without the key nobody can make the number of a patient from the id."""
    assert subject_number("anna", b"a key") not in (subject_number("anna"), subject_number("anna", b"other"))
