"""Bad files of messages: what is no message costs itself alone, and says where and why."""

from __future__ import annotations

import gzip

import pytest

from salus.errors import InputEmpty, InputMissing
from salus.intake.hl7v2 import BROKEN_FILE, How, read_hl7v2
from salus.intake.hl7v2_files import files_of
from salus.intake.hl7v2_messages import BLOCK, LARGEST_MESSAGE
from salus.intake.hl7v2_reception import FRAMED_INSIDE, receive
from salus.progress import QUIET
from tests.spec.test_hl7v2_reading import ORDER, PID, message

OBX = "OBX|1|NM|2823-3^K^LN||{}|mmol/L|||||F"
GOOD = [message(PID, ORDER, OBX.format(number), control=str(number)).encode() for number in (1, 2)]


@pytest.fixture
def read(tmp_path):
    def reader(content: bytes, name: str = "in.hl7"):
        (tmp_path / name).write_bytes(content)
        (tmp_path / "scratch").mkdir()
        found = read_hl7v2(files_of(tmp_path / name), tmp_path / "scratch", How(), progress=QUIET)
        values = [value for frame in found.events for value in frame["numeric_value"].drop_nulls()]
        return sorted(values), found.rejected.select("line", "column", "reason").rows()

    return reader


@pytest.mark.parametrize(
    ("content", "rejected"),
    [
        (GOOD[0] + GOOD[1], []),
        (b"\xef\xbb\xbf" + GOOD[0] + GOOD[1], []),
        ((GOOD[0] + GOOD[1]).replace(b"\r", b"\r\n"), []),
        ((GOOD[0] + GOOD[1]).decode().encode("utf-16"), []),
        (b"\x0b" + GOOD[0] + b"\x1c\r\x0b" + GOOD[1] + b"\x1c\r", []),
        (b"FHS|^~\\&|LAB\rBHS|^~\\&|LAB\r" + GOOD[0] + GOOD[1] + b"BTS|2\rFTS|1\r", []),
        (
            b"FHS|^~\\&|LAB\rBHS|^~\\&|LAB\r" + GOOD[0] + GOOD[1] + b"BTS|3\rFTS|1\r",
            [(13, "BTS-1", "the trailer counts other messages than the batch holds")],
        ),
        (b"hello\r" + GOOD[0] + GOOD[1], [(1, "MSH", "it does not begin with MSH")]),
        (
            b"\x0b" + GOOD[0] + b"\x1c\r\x0b" + GOOD[1] + b"\x1c\r\x0bMSH|^~\\&|LAB",
            [(11, "MSH", "the frame is cut short: its end is missing")],
        ),
        (
            GOOD[0] + b"MSH|^~\\&|L|H|||2026||ORU^R01|3|P|2.5\rNTE|1||\xff\xfe\r" + GOOD[1],
            [(5, "MSH-18", "its bytes are not in the character set of MSH-18 (where it names none: UTF-8)")],
        ),
    ],
    ids=[
        "plain",
        "bom",
        "crlf",
        "utf16",
        "framed",
        "batch",
        "batch count",
        "preface",
        "cut short",
        "encoding",
    ],
)
def test_good_messages_around_a_bad_one_are_read(read, content, rejected):
    assert read(content) == ([1.0, 2.0], rejected)


def test_a_line_that_never_ends_costs_its_own_message_alone(read):
    """More than is held at once: it is given up, and the message after it is read."""
    values, rejected = read(GOOD[0] + b"MSH|" + b"x" * (LARGEST_MESSAGE + 3 * BLOCK) + b"\r" + GOOD[1])
    assert values == [1.0, 2.0]
    assert {reason for *_, reason in rejected} <= {
        "it is larger than a message may be",
        "it does not begin with MSH",
    }


def test_names_that_nobody_can_read_are_refused(tmp_path, read):
    with pytest.raises(InputMissing):
        files_of(tmp_path / "nowhere")
    with pytest.raises(InputEmpty):
        files_of(tmp_path)
    _, rejected = read(gzip.compress(GOOD[0] * 100)[:-20], name="in.hl7.gz")
    assert (0, "", BROKEN_FILE) in rejected


@pytest.mark.parametrize("born", ["00010101", "99991231", "19", "2030", "abc", "20260230"])
def test_an_impossible_birth_is_none_and_the_sex_stays(read, tmp_path, born):
    """Year 1 and 9999, half a year, a birth after it was told, no date at all."""
    content = message(f"PID|1||7^^^H^MR||||{born}|F", kind="ADT^A08").encode()
    (tmp_path / "a.hl7").write_bytes(content)
    (tmp_path / "parts").mkdir()
    found = read_hl7v2(files_of(tmp_path / "a.hl7"), tmp_path / "parts", How(), progress=QUIET)
    assert [code for frame in found.events for code in frame["code"]] == ["SEX//F"]
    assert sum(count for name, count in found.noted["PID"].items() if name.startswith("birth")) == 1


def test_a_packed_file_cut_short_costs_itself_alone(tmp_path):
    """Of two files one is cut in half: the other is read, and the cut one is one rejection with its name."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.hl7.gz").write_bytes(gzip.compress(GOOD[0] * 50)[:60])
    (folder / "b.hl7").write_bytes(GOOD[1])
    (tmp_path / "scratch").mkdir()
    found = read_hl7v2(files_of(folder), tmp_path / "scratch", How(), progress=QUIET)
    assert ("a.hl7.gz", 0, "", BROKEN_FILE) in found.rejected.rows()
    assert 2.0 in [value for frame in found.events for value in frame["numeric_value"].drop_nulls()]


def test_a_message_that_holds_the_byte_of_a_frame_is_refused_and_not_acknowledged():
    """The journal is read by frames: what it could not give back must not be taken."""
    received = receive(GOOD[0].replace(b"|mmol/L", b"|mm\x0bol/L"))
    assert received.refusal is not None
    assert received.refusal.reason == FRAMED_INSIDE
    assert receive(GOOD[0]).refusal is None
