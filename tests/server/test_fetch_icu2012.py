"""Fetching over a local server: resume, a wrong checksum, half a file, and an archive rebuilt from the real records."""

import gzip
import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from salus.errors import ChecksumWrong, FetchFailed
from salus.intake.download import sha256_of
from salus.progress import QUIET
from salus.workflows.fetch import fetch
from salus.workflows.fetch_icu2012 import is_whole
from tests.publisher import Publisher

STAYS = {
    "a": {
        132539: "00:00,RecordID,132539\n00:00,Age,54\n00:07,HR,73\n",
        132540: "00:00,RecordID,132540\n00:00,Age,76\n",
    },
    "b": {142675: "00:00,RecordID,142675\n00:44,pH,7.5\n"},
}
OUTCOMES = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n{},6,1,5,-1,0\n"


def archive(stays, folder):
    """A tar.gz as the publisher makes it: one text file a stay."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for stay, rows in stays.items():
            content = f"Time,Parameter,Value\n{rows}".encode()
            member = tarfile.TarInfo(f"{folder}/{stay}.txt")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def published(archives, outcomes):
    files = {f"set-{letter}.tar.gz": content for letter, content in archives.items()}
    files |= {f"Outcomes-{letter}.txt": text.encode() for letter, text in outcomes.items()}
    sums = "".join(f"{hashlib.sha256(content).hexdigest()} {name}\n" for name, content in files.items())
    return files | {"SHA256SUMS.txt": sums.encode()}


@pytest.fixture
def publisher():
    archives = {
        letter: archive(dict(reversed(stays.items())), f"set-{letter}") for letter, stays in STAYS.items()
    }
    made = Publisher(published(archives, {"a": OUTCOMES.format(132539), "b": OUTCOMES.format(142675)}))
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_the_archives_become_one_csv_a_set(publisher, tmp_path):
    assert fetch("icu2012", tmp_path, url=publisher.url, progress=QUIET).folder == tmp_path
    assert gzip.decompress((tmp_path / "set-a.csv.gz").read_bytes()).decode() == (
        "RecordID,Time,Parameter,Value\n"
        "132539,00:00,RecordID,132539\n132539,00:00,Age,54\n132539,00:07,HR,73\n"
        "132540,00:00,RecordID,132540\n132540,00:00,Age,76\n"
    )
    assert (tmp_path / "outcomes-b.csv").read_text() == OUTCOMES.format(142675)


def test_what_is_there_is_not_fetched_again(publisher, tmp_path, monkeypatch):
    fetch("icu2012", tmp_path, url=publisher.url, progress=QUIET)
    publisher.asked.clear()
    monkeypatch.delenv("SALUS_DATA", raising=False)
    assert fetch("icu2012", tmp_path, progress=QUIET).note == "found, nothing downloaded"
    fetch("icu2012", tmp_path, url=publisher.url, progress=QUIET)
    assert [name for name, _ in publisher.asked] == ["SHA256SUMS.txt"]


def test_the_layout_beside_is_found(publisher, tmp_path, monkeypatch):
    fetch("icu2012", tmp_path / "icu2012", url=publisher.url, progress=QUIET)
    monkeypatch.setenv("SALUS_DATA", str(tmp_path))
    found = fetch("icu2012", tmp_path / "elsewhere", progress=QUIET)
    assert (found.folder, found.note) == (tmp_path / "icu2012", "found, nothing downloaded")
    assert not (tmp_path / "elsewhere").exists()


def test_half_a_file_is_continued_where_it_stopped(publisher, tmp_path):
    publisher.cut["set-a.tar.gz"] = 100
    with pytest.raises(FetchFailed) as refused:
        fetch("icu2012", tmp_path, url=publisher.url, progress=QUIET)
    assert "goes on where it stopped" in refused.value.fix
    assert not is_whole(tmp_path) and not (tmp_path / "download/set-a.tar.gz").exists()
    assert (tmp_path / "download/set-a.tar.gz.part").stat().st_size == 100
    fetch("icu2012", tmp_path, url=publisher.url, progress=QUIET)
    assert ("set-a.tar.gz", "bytes=100-") in publisher.asked
    assert is_whole(tmp_path)


def test_a_server_that_cannot_continue_sends_the_whole_again(publisher, tmp_path):
    publisher.cut["set-a.tar.gz"] = 100
    publisher.continues = False
    with pytest.raises(FetchFailed):
        fetch("icu2012", tmp_path, url=publisher.url, progress=QUIET)
    fetch("icu2012", tmp_path, url=publisher.url, progress=QUIET)
    assert (tmp_path / "download/set-a.tar.gz").read_bytes() == publisher.files["set-a.tar.gz"]


def test_a_download_that_stopped_after_its_last_byte(publisher, tmp_path):
    (tmp_path / "download").mkdir()
    (tmp_path / "download/set-a.tar.gz.part").write_bytes(publisher.files["set-a.tar.gz"])
    fetch("icu2012", tmp_path, url=publisher.url, progress=QUIET)
    assert is_whole(tmp_path)


def test_a_wrong_checksum_is_never_used(publisher, tmp_path):
    right = publisher.files["set-b.tar.gz"]
    publisher.files["set-b.tar.gz"] = right[:-1] + b"x"
    with pytest.raises(ChecksumWrong, match=r"set-b\.tar\.gz"):
        fetch("icu2012", tmp_path, url=publisher.url, progress=QUIET)
    assert not list((tmp_path / "download").glob("set-b*")) and not is_whole(tmp_path)
    publisher.files["set-b.tar.gz"] = right
    fetch("icu2012", tmp_path, url=publisher.url, progress=QUIET)
    assert is_whole(tmp_path)


def test_a_list_without_our_files(publisher, tmp_path):
    publisher.files["SHA256SUMS.txt"] = b"abc README\n"
    with pytest.raises(ChecksumWrong, match=r"set-a\.tar\.gz"):
        fetch("icu2012", tmp_path, url=publisher.url, progress=QUIET)


@pytest.mark.parametrize(
    "content", [b"not an archive", archive({1: "x"}, "set-a")[:60], archive({}, "set-a")]
)
def test_an_archive_that_is_none(publisher, tmp_path, content):
    files = published({"a": content, "b": publisher.files["set-b.tar.gz"]}, {"a": "x\n", "b": "x\n"})
    publisher.files = files
    with pytest.raises(FetchFailed, match="not an archive of stays"):
        fetch("icu2012", tmp_path, url=publisher.url, progress=QUIET)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".gz") or ".partial" in path.name]


def test_no_server_and_no_such_file(publisher, tmp_path):
    with pytest.raises(FetchFailed):
        fetch("icu2012", tmp_path, url="http://127.0.0.1:9/", progress=QUIET)
    with pytest.raises(FetchFailed):
        fetch("icu2012", tmp_path, url="file:///etc/", progress=QUIET)
    del publisher.files["set-a.tar.gz"]
    with pytest.raises(FetchFailed, match="404"):
        fetch("icu2012", tmp_path, url=publisher.url, progress=QUIET)


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(FetchFailed, match="did you mean 'cohort'"):
        fetch("cohrt", tmp_path, progress=QUIET)


def test_the_real_records_survive_the_publishers_form(publisher, tmp_path):
    """Rebuild the archives from $SALUS_DATA/icu2012 (a tenth of each set), fetch them, and compare row by row."""
    data = Path(os.environ.get("SALUS_DATA", "absent")) / "icu2012"
    if not is_whole(data):
        pytest.skip("$SALUS_DATA/icu2012 is not there")
    expected, archives, outcomes = {}, {}, {}
    for letter in ("a", "b"):
        rows = gzip.decompress((data / f"set-{letter}.csv.gz").read_bytes()).decode().splitlines()[1:]
        kept = [row for row in rows if row.split(",", 1)[0].endswith("7")]
        expected[letter] = kept
        stays = {}
        for row in kept:
            stay, rest = row.split(",", 1)
            stays.setdefault(int(stay), []).append(rest + "\n")
        archives[letter] = archive({stay: "".join(lines) for stay, lines in stays.items()}, f"set-{letter}")
        outcomes[letter] = (data / f"outcomes-{letter}.csv").read_text()
    publisher.files = published(archives, outcomes)
    fetch("icu2012", tmp_path, url=publisher.url, progress=QUIET)
    for letter in ("a", "b"):
        rows = gzip.decompress((tmp_path / f"set-{letter}.csv.gz").read_bytes()).decode().splitlines()
        assert rows[1:] == sorted(expected[letter], key=lambda row: int(row.split(",", 1)[0]))
        assert sha256_of(tmp_path / f"outcomes-{letter}.csv") == sha256_of(data / f"outcomes-{letter}.csv")
