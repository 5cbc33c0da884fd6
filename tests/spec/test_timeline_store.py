"""A timeline is a MEDS data set with our columns: whole, sorted, described, or refused."""

import json
import shutil
from datetime import datetime

import polars as pl
import pyarrow.parquet as pq
import pytest
from meds import CodeMetadataSchema, DataSchema, DatasetMetadataSchema, SubjectSplitSchema

from salus.errors import TimelineBroken, TimelineMissing, TimelineNotWritten
from salus.timeline.columns import CODE_COLUMNS, EVENT_COLUMNS
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import (
    read_codes,
    read_rejected,
    read_settings,
    read_splits,
    read_timeline,
    timeline_digest,
    write_timeline,
)
from tests.tiny_source import ingest_tiny

NOON = datetime(2000, 1, 1, 12)
SETTINGS = TimelineSettings(name="three", time_zero=datetime(2000, 1, 1), grain="minute", anchor="A")


def events(*rows):
    """Rows of (subject, time, code, number, split)."""
    columns = ["subject_id", "time", "code", "numeric_value", "split"]
    schema = {name: EVENT_COLUMNS.get(name, pl.String()) for name in columns}
    return pl.DataFrame(rows, schema=schema, orient="row")


def codes(*names):
    return pl.DataFrame({"code": names, "description": names})


THREE = events((1, None, "S", None, "train"), (1, NOON, "A", 5.9, "train"), (2, NOON, "A", None, "held_out"))


@pytest.fixture
def written(tmp_path):
    write_timeline(tmp_path / "t", THREE, codes=codes("S", "A"), settings=SETTINGS)
    return tmp_path / "t"


def test_what_was_written_is_read_back(written):
    read = read_timeline(written)
    assert read.columns == [*EVENT_COLUMNS, "split"]
    assert read["subject_id"].to_list() == [1, 1, 2]
    assert read["time"].to_list() == [None, NOON, NOON]
    assert read["numeric_value"].to_list() == [None, pytest.approx(5.9), None]
    assert read["split"].to_list() == ["train", "train", "held_out"]
    assert read_settings(written) == SETTINGS
    assert read_codes(written).columns == list(CODE_COLUMNS)
    assert dict(read_splits(written).iter_rows()) == {1: "train", 2: "held_out"}
    assert read_rejected(written).is_empty()


def test_one_split_is_read_without_the_column_that_names_it(written):
    assert read_timeline(written, "held_out")["subject_id"].to_list() == [2]
    assert read_timeline(written, "tuning").is_empty()
    assert read_timeline(written, "train").columns == list(EVENT_COLUMNS)


def test_every_file_passes_the_meds_packages_own_check(written):
    for shard in written.glob("data/*/*.parquet"):
        DataSchema.validate(pq.read_table(shard))
    CodeMetadataSchema.validate(pq.read_table(written / "metadata/codes.parquet"))
    SubjectSplitSchema.validate(pq.read_table(written / "metadata/subject_splits.parquet"))
    content = json.loads((written / "metadata/dataset.json").read_text())
    assert content["salus"]["anchor"] == "A"
    assert content["salus"]["time_zero"] == "2000-01-01T00:00:00"
    DatasetMetadataSchema.validate({name: said for name, said in content.items() if name != "salus"})


def test_a_large_split_is_cut_between_patients_never_within_one(tmp_path, monkeypatch):
    monkeypatch.setattr("salus.timeline.store.EVENTS_A_SHARD", 3)
    rows = [(subject, NOON, "A", None, "train") for subject in (1, 1, 2, 2, 3, 3, 3, 3, 4)]
    write_timeline(tmp_path / "t", events(*rows), codes=codes("A"), settings=SETTINGS)
    shards = [
        set(pl.read_parquet(shard)["subject_id"]) for shard in sorted((tmp_path / "t/data/train").iterdir())
    ]
    assert len(shards) > 1
    assert sum(len(shard) for shard in shards) == 4
    assert read_timeline(tmp_path / "t", "train").height == 9


def test_the_same_events_give_the_same_bytes(tmp_path, written):
    write_timeline(tmp_path / "again", THREE, codes=codes("S", "A"), settings=SETTINGS)
    assert timeline_digest(written) == timeline_digest(tmp_path / "again")
    assert (written / "metadata/dataset.json").read_bytes() == (
        tmp_path / "again/metadata/dataset.json"
    ).read_bytes()


def test_an_undescribed_code_is_refused(tmp_path):
    with pytest.raises(TimelineBroken, match="'S'"):
        write_timeline(tmp_path / "t", THREE, codes=codes("A"), settings=SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_a_subject_in_two_splits_is_refused(tmp_path):
    two = events((1, NOON, "A", None, "train"), (1, NOON, "A", None, "held_out"))
    with pytest.raises(TimelineBroken, match="two splits"):
        write_timeline(tmp_path / "t", two, codes=codes("A"), settings=SETTINGS)


@pytest.mark.parametrize(
    "lost", ["metadata/dataset.json", "metadata/codes.parquet", "metadata/subject_splits.parquet", "data"]
)
def test_a_folder_that_lacks_a_part_is_not_a_timeline(written, lost):
    path = written / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(TimelineMissing, match=lost):
        read_timeline(written)


def test_no_folder_at_all(tmp_path):
    for read in (read_timeline, read_settings, read_codes, timeline_digest):
        with pytest.raises(TimelineMissing) as refused:
            read(tmp_path / "nowhere")
        assert "salus ingest" in refused.value.fix


def test_a_shard_cut_short_is_named(written):
    shard = written / "data/train/0000.parquet"
    shard.write_bytes(shard.read_bytes()[:-20])
    with pytest.raises(TimelineBroken, match=r"0000\.parquet"):
        read_timeline(written)


def test_settings_that_are_not_json(written):
    (written / "metadata/dataset.json").write_text('{"dataset_name": ')
    with pytest.raises(TimelineBroken, match=r"dataset\.json"):
        read_settings(written)


def test_an_unknown_split_is_answered_with_the_nearest(written):
    with pytest.raises(TimelineMissing, match="did you mean 'held_out'"):
        read_timeline(written, "heldout")


def test_another_tools_data_set_is_read_with_defaults(written):
    (written / "metadata/dataset.json").write_text('{"dataset_name": "theirs"}')
    assert read_settings(written) == TimelineSettings(name="theirs")


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/to-my-mother.txt").write_text("Dear")
    with pytest.raises(TimelineNotWritten, match="something else"):
        write_timeline(tmp_path / "letters", THREE, codes=codes("S", "A"), settings=SETTINGS)
    assert (tmp_path / "letters/to-my-mother.txt").read_text() == "Dear"


def test_a_timeline_is_replaced_whole(written):
    one = events((7, NOON, "A", None, "tuning"))
    write_timeline(written, one, codes=codes("A"), settings=SETTINGS)
    assert read_timeline(written)["subject_id"].to_list() == [7]
    assert [path.name for path in written.parent.iterdir()] == ["t"]


def test_what_somebody_put_into_a_timeline_s_folder_goes_along_when_it_is_written_anew(tmp_path):
    folder, _ = ingest_tiny(tmp_path)
    (folder / "thesis").mkdir()
    (folder / "thesis" / "chapter.txt").write_text("mine")
    ingest_tiny(tmp_path)
    assert (folder / "thesis" / "chapter.txt").read_text() == "mine"
