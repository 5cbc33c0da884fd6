"""`salus ingest --as hl7v2`: messages from files, and from what `salus listen` took, become one timeline."""

from __future__ import annotations

import asyncio
import gzip
import os
import zipfile
from pathlib import Path

import pytest

from benchmarks.mllp_sender import send, start_listener
from salus.cli import main
from salus.intake.hl7v2 import How
from salus.progress import QUIET
from salus.timeline.store import read_rejected, read_timeline, timeline_digest
from salus.workflows.ingest_hl7v2 import ingest_hl7v2
from tests.spec.test_hl7v2_reading import ORDER, PID, message

POTASSIUM = "OBX|1|NM|2823-3^Potassium^LN||{}|mmol/L|3.5-5.1|H|||F"


def results(count: int) -> list[str]:
    return [
        message(PID, ORDER, POTASSIUM.format(number), control=str(number)) for number in range(1, count + 1)
    ]


def ingest(source: Path, to: Path, **how):
    return ingest_hl7v2(source, to, How(**how), progress=QUIET)


def test_what_a_listener_took_and_the_same_messages_as_files_are_one_timeline(tmp_path):
    """Ten messages over MLLP, of which three come twice; the same ten in two overlapping files, one compressed."""
    messages = results(10)
    listener = start_listener(tmp_path / "taken")
    asyncio.run(send(listener.port, messages + messages[:3]))
    listener.stop()
    files = tmp_path / "files"
    files.mkdir()
    (files / "a.hl7").write_text("".join(messages[4:]), newline="")
    (files / "b.hl7.gz").write_bytes(gzip.compress("".join(reversed(messages[:7])).encode()))
    books = ingest(tmp_path / "taken", tmp_path / "one")
    ingest(files, tmp_path / "two")
    assert books.noted["messages"] == {"ORU^R01": 10}
    assert read_timeline(tmp_path / "one").height == 10 + 2, "ten results, a birth and a sex"
    assert timeline_digest(tmp_path / "one") == timeline_digest(tmp_path / "two")


def test_a_key_makes_other_numbers_and_without_it_none_can_be_told(tmp_path):
    (tmp_path / "a.hl7").write_text(results(1)[0], newline="")
    ingest(tmp_path / "a.hl7", tmp_path / "plain")
    ingest(tmp_path / "a.hl7", tmp_path / "keyed", key=b"secret")
    plain, keyed = (read_timeline(tmp_path / name) for name in ("plain", "keyed"))
    assert not set(plain["subject_id"]) & set(keyed["subject_id"])
    assert not set(plain["source"]) & set(keyed["source"])


def test_the_key_that_is_typed_is_the_one_that_is_used(tmp_path):
    (tmp_path / "a.hl7").write_text(results(1)[0], newline="")
    (tmp_path / "key").write_bytes(b"0123456789abcdef\n")
    ingest(tmp_path / "a.hl7", tmp_path / "told", key=b"0123456789abcdef")
    typed = ["ingest", str(tmp_path / "a.hl7"), "--as", "hl7v2", "--to", str(tmp_path / "typed")]
    with pytest.raises(SystemExit) as end:
        main([*typed, "--key", str(tmp_path / "key")])
    assert end.value.code == 0
    assert timeline_digest(tmp_path / "typed") == timeline_digest(tmp_path / "told")


def test_no_name_number_or_value_of_a_patient_is_in_books_or_rejections(tmp_path):
    """Canaries: the name Canary, the number 0042, the value 987.65, the control id C-4711."""
    bad = message(PID, ORDER, "OBX|1|NM|2823-3^K^LN||987.65?|mmol/L|||||F", control="C-4711")
    (tmp_path / "a.hl7").write_text(results(1)[0] + bad, newline="")
    ingest(tmp_path / "a.hl7", tmp_path / "timeline")
    said = (tmp_path / "timeline" / "books.json").read_text() + str(
        read_rejected(tmp_path / "timeline").to_dicts()
    )
    assert not [canary for canary in ("Canary", "0042", "987.65", "C-4711") if canary in said]
    assert read_rejected(tmp_path / "timeline").height == 1


def test_the_samples_nobody_here_wrote_are_read_to_the_last_message(tmp_path):
    """139 messages of 60 kinds, one a file: all are read, and every segment is kept or rejected with a reason."""
    archive = Path(os.environ.get("SALUS_DATA", "")) / "suites" / "hl7v2_samples.zip"
    if not archive.is_file():
        pytest.skip("the sample messages are not here: set SALUS_DATA")
    with zipfile.ZipFile(archive) as samples:
        samples.extractall(tmp_path / "samples")
    books = ingest(tmp_path / "samples", tmp_path / "timeline")
    assert sum(books.noted["messages"].values()) == 139
    assert {table.name: table.rejected for table in books.tables}["MSH"] == 0
    assert set(books.reasons) <= {
        "a document is attached or pointed to: it is not opened",
        "it has no code",
        "its status says that there is no result to see (OBX-11)",
        "no value",
        "the time cannot be read, is told only to the month, or is impossible",
    }
