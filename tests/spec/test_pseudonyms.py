"""Pseudonyms of OMOP and MEDS sources: patients and rows whose numbers only the holder of the key can make again."""

from __future__ import annotations

from hashlib import blake2b

import polars as pl
import pytest

from salus.cli import main
from salus.intake.omop_place import OmopPlace
from salus.progress import QUIET
from salus.timeline.store import read_splits, read_timeline, timeline_digest
from salus.workflows.export_tables import export_omop
from salus.workflows.ingest_tables import ingest_meds, ingest_omop
from tests.small_omop import write_tables

KEY, OTHER = b"a key of sixteen and more", b"another key of sixteen"
POTASSIUM = """
measurement_id,person_id,measurement_concept_id,measurement_date,measurement_datetime,value_as_number,unit_concept_id
71,2,3023103,2026-03-01,2026-03-01 08:00:00,5.9,8753
72,1,3023103,2026-03-02,2026-03-02 08:00:00,4.1,8753
73,1,3023103,2026-03-01,2026-03-01 08:00:00,4.0,8753
"""
SAID = ["time", "code", "numeric_value", "text_value", "unit", "known_time"]


def number(person: int, key: bytes) -> int:
    """By hand: the first eight bytes of BLAKE2b with the key over ``person/ID``, without its last bit."""
    return int.from_bytes(blake2b(f"person/{person}".encode(), digest_size=8, key=key).digest()) >> 1


@pytest.fixture
def omop(tmp_path):
    return write_tables(tmp_path / "omop", measurement=POTASSIUM)


def omop_read(omop, to, key: bytes = b"", processes: int = 1) -> pl.DataFrame:
    ingest_omop(OmopPlace(where=str(omop), key=key, processes=processes), to, progress=QUIET)
    return read_timeline(to).sort("subject_id", "time", "code", nulls_last=False)


def meds_set(folder):
    rows = [(1, None, "SEX//F"), (2, None, "SEX//M")]
    (folder / "data").mkdir(parents=True)
    (folder / "metadata").mkdir()
    schema = {"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String}
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / "data" / "0.parquet")
    splits = {"subject_id": [1, 2], "split": ["train", "held_out"]}
    pl.DataFrame(splits).write_parquet(folder / "metadata" / "subject_splits.parquet")
    return folder


def test_with_a_key_the_events_are_the_same_and_the_patients_are_numbers_of_the_key(omop, tmp_path):
    plain, hidden = omop_read(omop, tmp_path / "plain"), omop_read(omop, tmp_path / "hidden", KEY)
    for person in (1, 2):
        one = plain.filter(pl.col("subject_id") == person).select(SAID)
        other = hidden.filter(pl.col("subject_id") == number(person, KEY)).select(SAID)
        assert one.height >= 3  # sex, birth, potassium
        assert one.equals(other)
    assert plain.height == hidden.height


def test_neither_ids_of_patients_nor_of_rows_are_left_and_another_key_gives_other_numbers(omop, tmp_path):
    hidden, other = omop_read(omop, tmp_path / "hidden", KEY), omop_read(omop, tmp_path / "other", OTHER)
    assert not set(hidden["subject_id"]) & {1, 2}
    rows = {source.partition(":")[2] for source in hidden["source"]}
    assert not rows & {"1", "2", "71", "72", "73"}
    assert not set(hidden["subject_id"]) & set(other["subject_id"])
    assert not set(hidden["source"]) & set(other["source"])


def test_what_was_pseudonymised_goes_out_as_omop_and_comes_back(omop, tmp_path):
    hidden = omop_read(omop, tmp_path / "hidden", KEY)
    export_omop(tmp_path / "hidden", tmp_path / "out", form="csv", progress=QUIET)
    assert (
        omop_read(tmp_path / "out", tmp_path / "again")
        .select("subject_id", *SAID)
        .equals(hidden.select("subject_id", *SAID))
    )


def test_the_same_key_gives_the_same_timeline_on_any_number_of_processors(omop, tmp_path):
    digests = set()
    for processes in (1, 2):
        omop_read(omop, tmp_path / str(processes), KEY, processes)
        digests.add(timeline_digest(tmp_path / str(processes)))
    assert len(digests) == 1


def test_the_patients_of_a_meds_data_set_keep_their_splits_under_their_pseudonyms(tmp_path):
    ingest_meds(meds_set(tmp_path / "meds"), tmp_path / "t", key=KEY, progress=QUIET)
    events = read_timeline(tmp_path / "t")
    assert dict(events.select("subject_id", "code").rows()) == {
        number(1, KEY): "SEX//F",
        number(2, KEY): "SEX//M",
    }
    assert dict(read_splits(tmp_path / "t").select("subject_id", "split").rows()) == {
        number(1, KEY): "train",
        number(2, KEY): "held_out",
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--as", "omop", "--ray", "127.0.0.1:1"), "omop is read on one machine"),
        (("--as", "hl7v2", "--processes", "2"), "hl7v2 is read by one process"),
        (("--as", "yaml", "--key", "KEY"), "a source.yaml says itself who the patients are"),
    ],
)
def test_what_a_way_in_cannot_use_is_refused(omop, tmp_path, capsys, options, said):
    with pytest.raises(SystemExit) as stopped:
        main(["ingest", str(omop), "--to", str(tmp_path / "t"), *options])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "t").exists()
