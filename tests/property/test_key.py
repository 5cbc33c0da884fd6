"""What hangs on a key: the same again, unlike under another purpose or key, and dates that keep their distances."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.deidentify.key import Key

SECRETS = st.binary(min_size=16, max_size=64)


def test_a_pseudonym_is_hmac_sha256_as_the_rfc_says():
    """RFC 4231, test case 1, is what the standard library computes; the message is length, purpose, text."""
    assert hmac.new(b"\x0b" * 20, b"Hi There", hashlib.sha256).hexdigest().startswith("b0344c61d8db38535ca8")
    key = Key(b"\x0b" * 20)
    assert key.digest("Hi", "There") == hmac.new(b"\x0b" * 20, b"\0\0\0\x02HiThere", hashlib.sha256).digest()


@given(SECRETS, st.text(), st.text())
def test_where_the_purpose_ends_cannot_be_mistaken(secret: bytes, first: str, second: str):
    key = Key(secret)
    if second:
        assert key.digest(first + second[0], second[1:]) != key.digest(first, second)


@given(SECRETS, st.text(), st.integers(1, 800))
def test_a_shift_is_never_none_and_never_further_than_said(secret: bytes, patient: str, most: int):
    shift = Key(secret).date_shift(patient, most_days=most)
    assert 1 <= abs(shift.days) <= most
    assert shift.seconds == 0
    if most >= 7:
        whole_weeks = Key(secret).date_shift(patient, most_days=most, keep_weekday=True)
        assert whole_weeks.days % 7 == 0
        assert 1 <= abs(whole_weeks.days) <= most


def test_all_shifts_occur_and_about_equally_often():
    """With 2 days at most there are four shifts: -2, -1, 1, 2; 4,000 patients give each about 1,000 (sd 27)."""
    key = Key(b"sixteen bytes ..")
    days = [key.date_shift(str(patient), most_days=2).days for patient in range(4_000)]
    assert sorted(set(days)) == [-2, -1, 1, 2]
    assert all(abs(days.count(day) - 1_000) < 5 * 27.4 for day in set(days))


@given(SECRETS, st.text())
def test_numbers_fit_a_signed_column_and_uids_are_uids(secret: bytes, text: str):
    key = Key(secret)
    assert 0 <= key.number("person", text) < 2**63
    uid = key.uid(text)
    assert len(uid) <= 64
    assert not uid.split(".")[-1].startswith("0") or uid.endswith(".0")


def test_a_short_key_is_refused_and_no_key_shows():
    with pytest.raises(ValueError, match="16 bytes or more"):
        Key(b"short")
    assert "CANARY" not in repr(Key(b"CANARY-CANARY-CANARY"))
