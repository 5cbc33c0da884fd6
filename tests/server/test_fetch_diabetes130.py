"""Fetching the encounters over a local server: resume, a damaged archive, another table, and the real records."""

import gzip
import io
import os
import zipfile
from pathlib import Path

import pytest

from salus.errors import FetchFailed
from salus.intake.download import sha256_of
from salus.progress import QUIET
from salus.workflows.fetch import fetch
from salus.workflows.fetch_diabetes130 import is_whole
from salus.workflows.ingest import ingest
from tests.clinic_encounters import TABLE
from tests.publisher import Publisher

IDS = "admission_type_id,description\n1,Emergency\n"
NAME = "encounters.zip"


def archive(table=TABLE, *, folder="", ids=IDS):
    """A zip as the publisher makes it: two tables, with Windows line ends."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in (("diabetic_data.csv", table), ("IDs_mapping.csv", ids)):
            if text is not None:
                made.writestr(f"{folder}{name}", text.replace("\n", "\r\n"))
    return packed.getvalue()


@pytest.fixture
def publisher():
    made = Publisher({NAME: archive()})
    yield made
    made.server.shutdown()
    made.server.server_close()


def get(publisher, to):
    return fetch("diabetes130", to, url=publisher.url + NAME, progress=QUIET)


def nothing_left(folder):
    return not list(folder.glob("*.csv*")) and not list((folder / "download").glob("*"))


def test_the_archive_becomes_the_layout_that_the_example_reads(publisher, tmp_path):
    fetched = get(publisher, tmp_path / "data")
    assert (fetched.name, fetched.folder) == ("diabetes130", tmp_path / "data")
    assert gzip.decompress((tmp_path / "data/diabetic_data.csv.gz").read_bytes()).decode() == TABLE
    assert (tmp_path / "data/IDs_mapping.csv").read_text() == IDS
    source = Path(__file__).parents[2] / "examples/clinic/source.yaml"
    assert ingest(source, tmp_path / "timeline", inputs=tmp_path / "data", progress=QUIET).kept == 4


def test_the_note_tells_what_was_checked(publisher, tmp_path):
    """Four invented encounters; the sum is that of the archive as it came."""
    note = get(publisher, tmp_path).note
    assert "4 encounters" in note and "the publisher gives no checksum" in note
    assert sha256_of(tmp_path / "download/diabetes130.zip") in note


def test_tables_within_a_folder_of_the_archive_are_found(publisher, tmp_path):
    publisher.files[NAME] = archive(folder="dataset_diabetes/")
    get(publisher, tmp_path)
    assert is_whole(tmp_path)


def test_what_is_there_is_not_fetched_again(publisher, tmp_path, monkeypatch):
    get(publisher, tmp_path)
    publisher.asked.clear()
    monkeypatch.delenv("SALUS_DATA", raising=False)
    assert fetch("clinic", tmp_path, progress=QUIET).note == "found, nothing downloaded"
    get(publisher, tmp_path)  # told to download: the archive is there already
    assert publisher.asked == []


def test_the_layout_beside_is_found(publisher, tmp_path, monkeypatch):
    get(publisher, tmp_path / "diabetes130")
    monkeypatch.setenv("SALUS_DATA", str(tmp_path))
    found = fetch("diabetes130", tmp_path / "elsewhere", progress=QUIET)
    assert (found.folder, found.note) == (tmp_path / "diabetes130", "found, nothing downloaded")


def test_half_a_file_is_continued_where_it_stopped(publisher, tmp_path):
    publisher.cut[NAME] = 100
    with pytest.raises(FetchFailed) as refused:
        get(publisher, tmp_path)
    assert "goes on where it stopped" in refused.value.fix
    assert (tmp_path / "download/diabetes130.zip.part").stat().st_size == 100 and not is_whole(tmp_path)
    get(publisher, tmp_path)
    assert (NAME, "bytes=100-") in publisher.asked
    assert gzip.decompress((tmp_path / "diabetic_data.csv.gz").read_bytes()).decode() == TABLE


def test_two_halves_of_different_archives_are_noticed_and_fetched_anew(publisher, tmp_path):
    """Between the two runs the publisher changed the file: the sum within the archive does not fit."""
    publisher.cut[NAME] = 100
    with pytest.raises(FetchFailed):
        get(publisher, tmp_path)
    publisher.files[NAME] = archive(TABLE.replace("Caucasian", "Hispanic"))
    with pytest.raises(FetchFailed, match="damaged"):
        get(publisher, tmp_path)
    assert nothing_left(tmp_path)
    get(publisher, tmp_path)
    assert is_whole(tmp_path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<html>moved</html>", "no zip archive"),
        (archive()[:-30], "no zip archive"),
        (archive(ids=None), r"does not hold IDs_mapping\.csv"),
        (archive(None), r"does not hold diabetic_data\.csv"),
        (archive(TABLE.replace("weight", "height", 1)), "has not the 50 columns"),
        (archive(TABLE.replace("race,gender", "gender,race", 1)), "has not the 50 columns"),
        (archive(""), "has not the 50 columns"),
    ],
)
def test_something_else_than_the_archive_is_never_used(publisher, tmp_path, content, says):
    publisher.files[NAME] = content
    with pytest.raises(FetchFailed, match=says) as refused:
        get(publisher, tmp_path)
    assert "Caucasian" not in str(refused.value)
    assert nothing_left(tmp_path)


def test_a_damaged_byte_is_noticed(publisher, tmp_path):
    whole = bytearray(archive())
    whole[200] ^= 0xFF
    publisher.files[NAME] = bytes(whole)
    with pytest.raises(FetchFailed, match="damaged"):
        get(publisher, tmp_path)
    assert nothing_left(tmp_path)


def test_the_real_records_survive_the_publishers_form(publisher, tmp_path):
    """Rebuild the archive from $SALUS_DATA/diabetes130, fetch it, and compare byte for byte."""
    data = Path(os.environ.get("SALUS_DATA", "absent")) / "diabetes130"
    if not is_whole(data):
        pytest.skip("$SALUS_DATA/diabetes130 is not there")
    table = gzip.decompress((data / "diabetic_data.csv.gz").read_bytes()).replace(b"\r\n", b"\n")
    ids = (data / "IDs_mapping.csv").read_text()
    publisher.files[NAME] = archive(table.decode(), ids=ids)
    get(publisher, tmp_path)
    assert gzip.decompress((tmp_path / "diabetic_data.csv.gz").read_bytes()) == table
    assert (tmp_path / "IDs_mapping.csv").read_text() == ids
