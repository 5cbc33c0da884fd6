"""OMOP files broken in every way: the broken line is listed, the rest is kept, and no value of a patient is told."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from salus.errors import InputEmpty, InputUnreadable, SalusError
from tests.small_omop import PERSON, ingested, write_tables
from tests.spec.test_omop_ingest import MEASUREMENT

CANARY = "987.65"
GOOD = "{},1,3023103,2026-03-01,2026-03-01 08:00:00,0,5.9,0,8753,,,,,\n"
WIDTH = "the line has not as many cells as the header"


def broken(tmp_path: Path, middle: bytes) -> list[tuple[object, ...]]:
    """Three good rows around something broken: they must be kept; gives what was rejected."""
    folder = write_tables(tmp_path / "omop")
    lines = [MEASUREMENT, GOOD.format(1), middle, GOOD.format(2), GOOD.format(3)]
    content = b"".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    (folder / "measurement.csv").write_bytes(content)
    found = ingested(folder)
    assert [source for (source,) in found.rows("source")] == [f"measurement:{key}" for key in (1, 2, 3)]
    assert CANARY not in str(found.rejected.rows()) + str(found.books.as_json())
    assert found.books.read == found.books.kept + found.books.rejected
    return found.reasons()


@pytest.mark.parametrize(
    ("middle", "reason"),
    [
        (b"9,1,987.65\n", WIDTH),
        (b"9,1,3023103,2026-03-01,,0,987.65,0,0,,,,,,,x\n", WIDTH),
        (
            b'"987.65,1,3023103,2026-03-01,,0,5,0,0,,,,,\n',
            "a quote in the line has no partner, or stands where none can",
        ),
        (
            b'9,1,"98"7.65,2026-03-01,,0,5,0,0,,,,,\n',
            "a quote in the line has no partner, or stands where none can",
        ),
        (b"9,1,3023103,2026-03-01,,0,5,0,0,,,\xff987.65\xfe,,\n", "the line is not UTF-8"),
        (
            b"9,1,3023103,2026-03-01,,0,987.65,0,0,,," + b"x" * 40_000_000 + b",,\n",
            "the line is longer than 16,000,000 bytes",
        ),
    ],
    ids=["short", "long", "open quote", "quote inside", "not UTF-8", "40 MB line"],
)
def test_a_broken_line_is_listed_and_the_rest_is_kept(tmp_path, middle, reason):
    assert [(file, line, why) for file, line, _, why in broken(tmp_path, middle)] == [
        ("measurement.csv", 3, reason)
    ]


def test_two_open_quotes_cost_two_lines(tmp_path):
    folder = write_tables(tmp_path / "omop")
    bad = '9,1,3023103,2026-03-01,,0,5,0,0,,,"987.65,,\n'
    told = MEASUREMENT + GOOD.format(1) + bad + GOOD.format(2) + bad + GOOD.format(3)
    (folder / "measurement.csv").write_text(told)
    assert [line for _, line, _, _ in ingested(folder).reasons()] == [3, 5]


def test_a_date_of_9999_and_a_nul_byte_are_rows_that_cannot_be_kept(tmp_path):
    rows = b"8,1,3023103,9999-12-31,,0,987.65,0,0,,,,,\n9,1,3023103,\x00,,0,987.65,0,0,,,,,\n"
    assert [(line, column) for _, line, column, _ in broken(tmp_path, rows)] == [
        (8, "measurement_date"),
        (9, "measurement_date"),
    ]


def test_a_gzip_that_was_cut_short_stops_and_leaves_nothing(tmp_path):
    folder = write_tables(tmp_path / "omop")
    whole = gzip.compress((MEASUREMENT + "".join(map(GOOD.format, range(20_000)))).encode())
    (folder / "measurement.csv.gz").write_bytes(whole[:-100])
    with pytest.raises(InputUnreadable, match="is cut short") as caught:
        ingested(folder)
    assert CANARY not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["omop"]


def test_what_is_no_parquet_is_refused(tmp_path):
    folder = write_tables(tmp_path / "omop")
    (folder / "measurement.parquet").write_bytes(b"PAR1 987.65 PAR1")
    with pytest.raises(InputUnreadable, match="not Parquet") as caught:
        ingested(folder)
    assert CANARY not in str(caught.value)


def test_parquet_and_csv_of_one_table_are_not_both_read(tmp_path):
    folder = write_tables(tmp_path / "omop", measurement=MEASUREMENT)
    (folder / "measurement.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputUnreadable, match="both as CSV and as Parquet"):
        ingested(folder)


def test_nobody_at_all_is_refused(tmp_path):
    with pytest.raises(InputEmpty, match="no row was kept of 0"):
        ingested(write_tables(tmp_path / "omop", person=PERSON.splitlines()[1] + "\n"))


def test_a_header_with_the_same_column_twice_or_no_header_at_all(tmp_path):
    with pytest.raises(SalusError, match="same name"):
        ingested(
            write_tables(tmp_path / "twice", measurement=MEASUREMENT.replace("person_id", "measurement_id"))
        )
    with pytest.raises(SalusError, match="is empty"):
        ingested(write_tables(tmp_path / "empty", measurement=""))


def test_names_with_quotes_and_semicolons_are_only_names(tmp_path):
    """A folder and a column whose names look like SQL."""
    folder = write_tables(tmp_path / "it's; DROP TABLE person --", measurement=MEASUREMENT + GOOD.format(1))
    text = (folder / "measurement.csv").read_text().replace("value_source_value", "x'; DROP TABLE person; --")
    (folder / "measurement.csv").write_text(text)
    assert len(ingested(folder).rows("code")) == 1


def test_a_concept_above_itself_does_not_go_round_for_ever(tmp_path):
    links = "concept_id_1,concept_id_2,relationship_id,invalid_reason\n255848,4024567,Is a,\n4024567,255848,Is a,\n"
    chain = "".join(f"{number},{number + 1},Is a,\n" for number in range(1000, 6000))
    told = (
        MEASUREMENT + GOOD.format(1).replace("3023103", "255848") + GOOD.format(2).replace("3023103", "1000")
    )
    found = ingested(write_tables(tmp_path / "omop", measurement=told, concept_relationship=links + chain))
    assert len(found.rows("code")) == 2


def test_one_patient_with_a_hundred_thousand_rows_is_one_frame_and_no_trouble(tmp_path):
    folder = write_tables(
        tmp_path / "omop", measurement=MEASUREMENT + "".join(map(GOOD.format, range(100_000)))
    )
    found = ingested(folder)
    assert found.books.kept == 100_002
    assert found.events["subject_id"].is_sorted()
