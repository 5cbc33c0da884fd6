"""The same tables as CSV, Parquet, DuckDB or another kind of CSV make the same timeline."""

from __future__ import annotations

import gzip
from pathlib import Path

import duckdb
import pytest

from salus.errors import ColumnMissing, InputMissing, InputUnreadable
from salus.intake.omop_place import OmopPlace
from tests.small_omop import CONCEPT, PERSON, Ingested, ingested, ingested_from, write_tables
from tests.spec.test_omop_ingest import CONDITION, MEASUREMENT, OBSERVATION, VISIT

TABLES = {
    "measurement": MEASUREMENT
    + "7,1,3023103,2026-03-01,2026-03-01 08:00:00,4171756,5.9,0,8753,3.5,5.1,K,mmol,5.9\n"
    + "8,2,3023103,2026-03-02,,0,,4298794,0,,,K,,positive\n",
    "visit_occurrence": VISIT + "4,1,9201,2026-03-01,2026-03-01 08:00:00,2026-03-04,,x,9203,8536\n",
    "condition_occurrence": CONDITION
    + "1,1,0,2026-03-01,,2026-03-02,,J18.9,45591453\n2,2,0,2026-03-01,,,,word,0\n",
    "concept_relationship": "concept_id_1,concept_id_2,relationship_id,invalid_reason\n"
    "45591453,255848,Maps to,\n255848,45591453,Mapped from,\n",
    "concept_ancestor": "ancestor_concept_id,descendant_concept_id,min_levels_of_separation,max_levels_of_separation\n"
    "255848,255848,0,0\n4024567,255848,1,2\n8536,4024567,1,1\n8536,255848,2,2\n",
    "observation": OBSERVATION + '1,1,4041306,2026-03-03,,"since, youth",0,\n',
}


@pytest.fixture
def as_csv(tmp_path: Path) -> Path:
    return write_tables(tmp_path / "csv", **TABLES)


@pytest.fixture
def expected(as_csv: Path) -> Ingested:
    return ingested(as_csv)


def load(db: duckdb.DuckDBPyConnection, folder: Path, schema: str = "main") -> None:
    """Bring the CSV files into a database, typed as DuckDB guesses."""
    for path in sorted(folder.glob("*.csv")):
        db.execute(f"CREATE TABLE {schema}.{path.stem} AS SELECT * FROM read_csv('{path}')")


def same(one: Ingested, other: Ingested) -> bool:
    return (
        one.events.equals(other.events)
        and one.codes.equals(other.codes)
        and one.books.as_json() == other.books.as_json()
    )


def test_parquet(as_csv, expected, tmp_path):
    folder = tmp_path / "parquet"
    folder.mkdir()
    with duckdb.connect() as db:
        load(db, as_csv)
        for name in (*TABLES, "person", "concept"):
            db.execute(f"COPY {name} TO '{folder / name}.parquet'")
    assert same(ingested(folder), expected)


def test_parquet_in_parts_in_a_folder_of_the_table_s_name(as_csv, expected, tmp_path):
    folder = tmp_path / "parts"
    with duckdb.connect() as db:
        load(db, as_csv)
        for name in (*TABLES, "person", "concept"):
            (folder / name).mkdir(parents=True)
            for part in (0, 1):
                db.execute(
                    f"COPY (SELECT * FROM (SELECT *, row_number() OVER () AS n FROM {name}) WHERE n % 2 = {part})"
                    f" TO '{folder / name}/part-{part}.parquet'"
                )
    assert same(ingested(folder), expected)


def test_a_duckdb_file(as_csv, expected, tmp_path):
    path = tmp_path / "hospital.duckdb"
    with duckdb.connect(str(path)) as db:
        load(db, as_csv)
    assert same(ingested_from(OmopPlace(where=str(path)), tmp_path / "timeline"), expected)


def test_two_schemas_with_a_person_want_a_name(as_csv, expected, tmp_path):
    path = tmp_path / "hospital.duckdb"
    with duckdb.connect(str(path)) as db:
        load(db, as_csv)
        db.execute("CREATE SCHEMA cdm")
        load(db, as_csv, "cdm")
    with pytest.raises(InputMissing, match="2 tables named 'person'"):
        ingested_from(OmopPlace(where=str(path)), tmp_path / "timeline")
    told = OmopPlace(where=str(path), schema="cdm")
    assert same(ingested_from(told, tmp_path / "timeline"), expected)


def test_tabs_capital_names_crlf_a_byte_order_mark_and_gzip(as_csv, expected, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    for path in sorted(as_csv.glob("*.csv")):
        text = path.read_text()
        if path.stem not in ("observation", "concept"):
            text = text.replace(",", "\t")
        content = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
        (folder / f"{path.stem.upper()}.csv.gz").write_bytes(gzip.compress(content))
    assert same(ingested(folder), expected)


def test_a_vocabulary_in_tabs_has_quotes_as_letters(tmp_path):
    """Athena writes CONCEPT.csv so: a name may hold a single quote mark."""
    concept = CONCEPT.replace('"Pneumonia, unspecified organism"', 'Pneumonia 3"').replace(",", "\t")
    told = CONDITION + "1,1,0,2026-03-01,,,,J18.9,45591453\n"
    found = ingested(write_tables(tmp_path / "omop", concept=concept, condition_occurrence=told))
    assert 'Pneumonia 3"' in found.codes["description"].to_list()


def test_without_a_vocabulary_concepts_keep_their_numbers(tmp_path):
    folder = write_tables(tmp_path / "omop", **TABLES)
    (folder / "concept.csv").unlink()
    found = ingested(folder)
    assert "OMOP//3023103" in found.events["code"].to_list()
    assert found.books.noted["measurement"]["by a concept not in the vocabulary"] == 2


def test_what_is_no_omop_source_is_refused(tmp_path):
    with pytest.raises(InputMissing, match="there is no file or folder 'nothing'"):
        ingested_from(OmopPlace(where=str(tmp_path / "nothing")), tmp_path / "timeline")
    (tmp_path / "letter.txt").touch()
    with pytest.raises(InputMissing, match="is no OMOP source"):
        ingested_from(OmopPlace(where=str(tmp_path / "letter.txt")), tmp_path / "timeline")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputMissing, match="no table 'person'"):
        ingested_from(OmopPlace(where=str(tmp_path / "empty")), tmp_path / "timeline")
    lame = PERSON.replace("year_of_birth", "born")
    with pytest.raises(ColumnMissing, match="'person' has no column 'year_of_birth'"):
        ingested(write_tables(tmp_path / "lame", person=lame))
    (tmp_path / "text.duckdb").write_text("no database")
    with pytest.raises(InputUnreadable, match="is no DuckDB file"):
        ingested_from(OmopPlace(where=str(tmp_path / "text.duckdb")), tmp_path / "timeline")
    assert not (tmp_path / "timeline").exists()


def test_a_misspelt_column_is_answered_with_the_one_that_is_there(tmp_path):
    misspelt = PERSON.replace("year_of_birth", "year_of_birt")
    with pytest.raises(ColumnMissing, match=r"did you mean 'year_of_birt'\?"):
        ingested(write_tables(tmp_path / "cdm", person=misspelt))
