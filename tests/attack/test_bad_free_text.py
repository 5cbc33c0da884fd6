"""Texts made to break a finder: long, without spaces, without case, in other scripts, with bytes that are no text."""

from __future__ import annotations

import logging
import time

import pytest

from salus.deidentify.key import Key
from salus.deidentify.known_patient import KnownPatient
from salus.deidentify.text.find import find
from salus.deidentify.text.scrub import Scrubber

KEY = Key(bytes(range(32)))
MIA = KnownPatient(number="7", names=("Roelofsen", "Mia"), identifiers=("9876501",), phones=("3405550103",))
LENGTH = 100_000
MOST_SECONDS = 20.0
CANARY = "Zyxwvutsrq"


@pytest.mark.parametrize(
    "piece",
    ["a", "1-", "1", "A ", "Aa ", "a@", "1 Aa ", ":", "(1", "12/", "\n", " ", "Dr. ", "Oak Clinic ", "corner of ",
     "A-", "a.com.", "address ", "March 1 ", "#1", "works for Oak and Oak ", "lives at 1 a b ", "a::",
     "year old a b ", "Roe, Oak of the ", "Mia", "ROE\n", "9876501"],
)  # fmt: skip
def test_no_text_takes_more_than_linear_time(piece: str):
    """Ten times what plain notes of the length need, and still bounded: a rule that is quadratic takes hours."""
    text = (piece * LENGTH)[:LENGTH]
    started = time.process_time()
    find(text, patient=MIA)
    assert time.process_time() - started < MOST_SECONDS


def test_a_note_of_ten_megabytes_is_scrubbed():
    note = "Seen by Dr. Okonkwo on 03/04/2019 for chest pain; MRN 9876501.\n" * 1_000
    small = time.process_time()
    find(note, patient=MIA)
    small = time.process_time() - small
    text = note * 4
    started = time.process_time()
    found = find(text, patient=MIA)
    assert time.process_time() - started < 8 * small + 1
    assert len(found.spans) == 3 * 4_000


@pytest.mark.parametrize(
    "text", ["", " ", "\x00\x01\x7f", "\n\n\n", "\ud83d", "١٢٣٤٥٦٧", "²³¹", "ﬁ", "İ" * 50]
)
def test_empty_and_strange_texts_come_back(text: str):
    assert isinstance(Scrubber(key=KEY).scrub(text, MIA).text, str)


def test_bytes_that_are_no_utf_8_keep_their_place_where_the_caller_decodes_them_so():
    """``surrogateescape`` makes of each wrong byte a sign of its own that is written back unchanged."""
    raw = b"Seen by Dr. Okonkwo \xff\xfe on 03/04/2019."
    done = Scrubber(key=KEY).scrub(raw.decode("utf-8", "surrogateescape"), MIA).text
    assert b"\xff\xfe" in done.encode("utf-8", "surrogateescape")
    assert "Okonkwo" not in done


@pytest.mark.parametrize(
    "text",
    [
        "SEEN BY DR OKONKWO. PATIENT MIA ROELOFSEN MRN 9876501.",
        "seen by dr okonkwo. patient mia roelofsen mrn 9876501.",
        "PatientMiaRoelofsenMRN9876501DrOkonkwo",
        "המטופלת Mia Roelofsen נבדקה על ידי Dr. Okonkwo 9876501",
        "Mia\u00a0Roelofsen seen by Dr.\u00a0Okonkwo, 9876501",
        "Mia\u200b Roelofsen\u200b 9876501",
    ],
)
def test_the_patient_is_hidden_without_case_spaces_or_latin_neighbours(text: str):
    left = Scrubber(key=KEY).scrub(text, MIA).text.lower()
    assert "roelofsen" not in left
    assert "9876501" not in left


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG):
        done = Scrubber(key=KEY).scrub_in_full(
            f"Dr. {CANARY} wrote.", KnownPatient(number="7", names=(CANARY,))
        )
    assert CANARY not in caplog.text
    assert CANARY not in repr(done)
    assert CANARY not in repr(Scrubber(key=KEY))
