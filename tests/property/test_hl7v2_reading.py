"""Whatever bytes come, reading ends, its books balance, and the fast way says what the slow and obvious one says."""

from __future__ import annotations

import io
import tempfile
from datetime import datetime
from pathlib import Path

import polars as pl
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from salus.formats.hl7v2 import STANDARD, Delimiters, read_delimiters, to_standard, unescape
from salus.formats.hl7v2_values import as_number, read_value
from salus.intake.hl7v2 import How, read_hl7v2
from salus.intake.hl7v2_files import files_of
from salus.intake.hl7v2_messages import Message, messages_of
from salus.intake.hl7v2_once import changed_traits, last_traits, traits_once
from salus.intake.hl7v2_people import TRAIT_COLUMNS
from salus.intake.hl7v2_reception import receive
from salus.intake.hl7v2_segments import segment_batches
from salus.intake.mllp import Framing
from salus.progress import QUIET

PROFILE = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\x0b\x1c", exclude_categories=("Cs",)), max_size=12
)
PIECES = st.sampled_from(
    [
        *(
            "MSH|^~\\&|L|H|||20260301091500+0100||ORU^R01|1|P|2.5\r",
            "PID|1||7^^^H^MR||||19000101|F\r",
            "ORC|NW|1\r",
        ),
        *(
            "OBR|1|1|1|1^x^LN|||20260301080000\r",
            "OBX|1|NM|2^x^LN||5|mg|1-2||||F\r",
            "OBX|1|CE|2^x^LN||^^^\r",
        ),
        *(
            "OBX|2|SN|2^x^LN||<^^^5\r",
            "OBX|3|TX|2^x||\\X41\\~\\.br\\\r",
            "OBX||||||||||||||||\r",
            "OBX\r",
            "MSH\r",
        ),
        *("PV1|1|I||||||||||||||||||||||||||||||||||||||||||0001\r", "EVN||99991231\r", "MRG|7^^^H^MR~8\r"),
        *(
            "DG1|1||^^|||201903\r",
            "TXA|1|^\r",
            "SCH|||||||||||^^^2026\r",
            "RXE||1^x^RXNORM|1e99||mg\r",
            "RXO|1\r",
        ),
        *(
            "\x0b",
            "\x1c\r",
            "\x1c",
            "FHS|^~\\&\r",
            "BTS|7\r",
            "BTS|\r",
            "\n",
            "\r\n",
            "MSH||||||\r",
            "MSH#*~!@#L\r",
            "~",
            "|",
            "^",
        ),
        *(
            "MSH|^~\\&|L|H|||2026||ADT^A40|2|P|2.5\r",
            "MSH|^~\\&|L|H|||||SIU^S12|3\r",
            "MSH|^~\\&|||||||RDE^O11|\r",
        ),
        *(
            "MSH|^~\\&|L|H|||20260301||ADT^A01|4|P|2.5||||||8859/1\r",
            "\xff\xfe",
            "\ufeff",
            "ß",
            '""',
            "\x00",
            "é|",
        ),
    ]
)


def ragged(pieces: list[str]) -> bytes:
    return "".join(pieces).encode("utf-8", "surrogatepass")


@PROFILE
@given(st.lists(PIECES | WORDS, max_size=30).map(ragged) | st.binary(max_size=200))
@example(b"MSH|^~\\&|||||||ORU^R01|1\rPID|1||7\rOBX||||||||||||||||\r")
@example(b"\x0bMSH|^~\\&|\x1c\r\x0b\x1c\r")
@example(b"MSH")
@example(b"MSH|")
@example(b"\xff\xfeM\x00S\x00H\x00")
def test_reading_any_bytes_ends_with_balanced_books(content):
    """No exception, read = kept + rejected, and every rejection is listed."""
    with tempfile.TemporaryDirectory() as folder:
        source, scratch = Path(folder, "in.hl7"), Path(folder, "scratch")
        source.write_bytes(content)
        scratch.mkdir()
        read = read_hl7v2(files_of(source), scratch, How(rows=5), progress=QUIET)
        events = sum(frame.height for frame in read.events)
    assert all(table.read == table.kept + table.rejected for table in read.tables)
    assert read.rejected.height == sum(table.rejected for table in read.tables)
    assert events == sum(table.events for table in read.tables)
    assert receive(content).key


@PROFILE
@given(st.lists(PIECES, max_size=30).map(ragged))
@example(b"MSH|^~\\&|L|H|||2026||ORU^R01|1|P|2.5\r\x0b")
def test_the_columns_hold_the_segments_that_splitting_gives(content):
    """Slow and obvious: each message is split at carriage returns."""
    slow = [
        (found.line + place, segment)
        for found in messages_of(io.BytesIO(content))
        if isinstance(found, Message)
        for place, segment in enumerate(found.text.split("\r"))
        if segment
    ]
    fast = [
        row
        for batch in segment_batches(io.BytesIO(content))
        for row in batch.rows.select("line", "text").rows()
    ]
    assert fast == slow


@PROFILE
@given(st.lists(st.binary(min_size=1, max_size=30), max_size=20), st.data())
def test_frames_are_the_same_however_the_bytes_are_cut(frames, data):
    content = b"".join(b"\x0b" + frame + b"\x1c\r" for frame in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=10)))
    whole, pieces = Framing(1000), Framing(1000)
    found = [
        frame
        for start, stop in zip([0, *cuts], [*cuts, len(content)], strict=True)
        for frame in pieces.feed(content[start:stop])
    ]
    assert found + pieces.close() == whole.feed(content) + whole.close()


@given(st.floats(allow_nan=True, allow_infinity=True).map(str) | st.decimals().map(str) | WORDS)
def test_a_number_is_read_the_same_way_by_columns_and_by_itself(text):
    """What polars reads as a number of OBX-5 and we do not goes the slow way; both ways agree."""
    assume("~" not in text and "\\" not in text)
    column = pl.Series([text]).cast(pl.Float64, strict=False)[0]
    said = read_value("NM", text)[0]
    if column is not None and abs(column) < 3.4e38:
        assert said.number == column or said.number is None
    if said.number is not None:
        assert said.number == as_number(text.strip())


@given(
    st.permutations("|^~\\&#!*@$").map(lambda letters: "".join(letters[:5])),
    st.text("A|^~\\&#!*@$é", max_size=30),
)
def test_any_delimiters_say_the_same_as_the_standard_ones(letters, text):
    """A text escaped by its sender's delimiters reads the same after they were made standard."""
    used = Delimiters(*letters)
    names = {
        used.field: "F",
        used.component: "S",
        used.repetition: "R",
        used.escape: "E",
        used.subcomponent: "T",
    }
    escaped = "".join(f"{used.escape}{names[one]}{used.escape}" if one in names else one for one in text)
    head = f"MSH{used.field}{''.join(letters[1:])}{used.field}"
    assert read_delimiters(head) == used
    standard = to_standard(f"{head}A\rNTE{used.field}{escaped}", used)
    assert read_delimiters(standard) == STANDARD
    assert unescape(standard.split("NTE|")[1]) == text


TOLD = st.tuples(
    st.sampled_from([1, 2]), st.sampled_from(["SEX//F", "SEX//M", None]), st.integers(0, 4), st.integers(0, 4)
)


@given(st.lists(TOLD, max_size=12), st.integers(0, 12))
def test_what_was_told_of_patients_may_be_put_together_in_any_pieces(told, cut):
    rows = [
        (
            subject,
            "SEX",
            code,
            None,
            datetime(2026, 3, 1 + min(days)),
            datetime(2026, 3, 1 + max(days)),
            str(days[0]),
        )
        for subject, code, *days in told
    ]
    frame = pl.DataFrame(rows, schema=TRAIT_COLUMNS, orient="row")
    pieces = traits_once(pl.concat([traits_once(frame[:cut]), frame[cut:]]))
    assert last_traits(pieces).equals(last_traits(frame))
    assert changed_traits(pieces) == changed_traits(frame)
