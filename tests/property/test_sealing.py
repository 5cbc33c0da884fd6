"""What is sealed comes back whole or not at all, and only with the ring that sealed it."""

from __future__ import annotations

import json
import os
import stat
import sys
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.at_rest.envelope import TAG, is_sealed, read_head, seal, unseal, wrap_again
from salus.at_rest.files import read_private, read_private_parquet, write_private, write_private_parquet
from salus.at_rest.key_ring import (
    ProgramMaster,
    RawMaster,
    hexadecimal_master,
    new_ring,
    open_ring,
    passphrase_master,
    rotated,
    without,
    write_ring,
)
from salus.errors import KeyRingTrouble, SealBroken

RING = new_ring()
CANARY = b"987.65 CANARY"
CHEAP = 1 << 10
"""scrypt's cost in tests that do not ask how dear guessing is."""


@given(st.binary(max_size=200), st.integers(1, 50))
def test_what_is_sealed_comes_back(content: bytes, piece: int):
    assert unseal(seal(content, RING, piece=piece), RING, where="here") == content


@settings(max_examples=300)
@given(st.binary(min_size=1, max_size=60), st.integers(1, 20), st.data())
def test_any_changed_byte_is_noticed(content: bytes, piece: int, data: st.DataObject):
    whole = bytearray(seal(content, RING, piece=piece))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    try:
        assert (
            unseal(bytes(whole), RING, where="here") == content
        )  # white space of the head's JSON may change
    except (SealBroken, KeyRingTrouble):
        return
    assert place < read_head(bytes(whole), where="here")[1]


def test_pieces_cannot_be_cut_off_doubled_or_moved():
    """Four pieces of five bytes with tags of 16 bytes are 21 bytes each."""
    whole = seal(b"aaaaabbbbbcccccddddd", RING, piece=5)
    _, begins = read_head(whole, where="here")
    head, body, size = whole[:begins], whole[begins:], 5 + TAG
    assert len(body) == 4 * 21
    first, second, third, last = (body[place * size : (place + 1) * size] for place in range(4))
    for wrong in (
        first + second + third,
        first,
        b"",
        first + first + second + third + last,
        second + first + third + last,
        first + second + third + last + last,
        first + second + third + last[:-1],
    ):
        with pytest.raises(SealBroken):
            unseal(head + wrong, RING, where="here")
    assert unseal(head + body, RING, where="here") == b"aaaaabbbbbcccccddddd"


def test_pieces_of_another_file_do_not_fit():
    one, other = seal(b"aaaaabbbbb", RING, piece=5), seal(b"cccccddddd", RING, piece=5)
    (_, ends), (_, begins) = read_head(one, where="here"), read_head(other, where="here")
    with pytest.raises(SealBroken):
        unseal(one[:ends] + other[begins:], RING, where="here")


def test_the_same_content_never_looks_the_same_and_never_shows():
    one, other = seal(CANARY, RING), seal(CANARY, RING)
    assert one != other
    assert CANARY not in one
    assert is_sealed(one)
    assert not is_sealed(CANARY)


def test_keys_are_wrapped_as_rfc_3394_says():
    """RFC 3394, section 4.6: 256 bits of key data under a 256-bit key."""
    kek, data = bytes(range(32)), bytes.fromhex("00112233445566778899AABBCCDDEEFF") + bytes(range(16))
    expected = "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"
    assert RawMaster(kek).wrap(data).hex().upper() == expected == aes_key_wrap(kek, data).hex().upper()
    assert RawMaster(kek).unwrap(bytes.fromhex(expected)) == data


def test_a_new_key_seals_what_is_new_and_old_files_are_wrapped_anew():
    old = new_ring(now=datetime(2026, 1, 2, tzinfo=UTC))
    new = rotated(old, now=datetime(2026, 2, 3, tzinfo=UTC))
    whole = seal(CANARY, old)
    assert old.current.startswith("2026-01-02-")
    assert new.current.startswith("2026-02-03-")
    assert unseal(whole, new, where="here") == CANARY
    anew = wrap_again(whole, new, where="here")
    assert anew[read_head(anew, where="here")[1] :] == whole[read_head(whole, where="here")[1] :]
    only = without(new, [old.current])
    assert unseal(anew, only, where="here") == CANARY
    with pytest.raises(KeyRingTrouble, match="not on the key ring"):
        unseal(whole, only, where="here")
    with pytest.raises(KeyRingTrouble, match="current key"):
        without(new, [new.current])


def test_a_ring_opens_with_its_passphrase_only(tmp_path):
    path = tmp_path / "ring.json"
    write_ring(RING, path, passphrase_master("four words nobody joins", cost=CHEAP))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "four words" not in path.read_text()
    for key in RING.keys.values():
        assert key.hex() not in path.read_text()
    salt = json.loads(path.read_text())["master"]["salt"]
    again = passphrase_master("four words nobody joins", salt=b64decode(salt), cost=CHEAP)
    assert open_ring(path, again).keys == RING.keys
    with pytest.raises(KeyRingTrouble, match="not the one"):
        open_ring(path, passphrase_master("four words nobody join", salt=b64decode(salt), cost=CHEAP))
    with pytest.raises(KeyRingTrouble, match="fewer than 12"):
        passphrase_master("short")


def test_a_ring_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "ring.json"
    write_ring(RING, path, hexadecimal_master("ab" * 32))
    path.chmod(0o640)
    with pytest.raises(KeyRingTrouble, match="by others"):
        open_ring(path, hexadecimal_master("ab" * 32))


@pytest.mark.parametrize("text", ["", "{}", '{"form": 1}', "[1]", '{"form": 1, "current": "a", "keys": {}}'])
def test_a_broken_ring_says_so(tmp_path, text):
    path = tmp_path / "ring.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeyRingTrouble, match="no key ring"):
        open_ring(path, hexadecimal_master("ab" * 32))


PROGRAM = """
import base64, sys
content = base64.b64decode(sys.stdin.read())
turned = bytes(byte ^ 0x5A for byte in content)
print(base64.b64encode(turned).decode())
"""


def test_a_program_may_hold_the_master(tmp_path):
    """Stands for an HSM's client: this one flips bits, which is enough to see that it is asked."""
    script = tmp_path / "hsm.py"
    script.write_text(PROGRAM)
    master = ProgramMaster((sys.executable, str(script)))
    path = tmp_path / "ring.json"
    write_ring(RING, path, master)
    assert open_ring(path, master).keys == RING.keys
    with pytest.raises(KeyRingTrouble, match="could not unwrap"):
        open_ring(path, ProgramMaster((sys.executable, "-c", "raise SystemExit(3)")))


@pytest.fixture
def ring_file(tmp_path, monkeypatch) -> Path:
    """A ring that the environment names."""
    path = tmp_path / "ring.json"
    write_ring(RING, path, hexadecimal_master("cd" * 32))
    monkeypatch.setenv("SALUS_KEY_RING", str(path))
    monkeypatch.setenv("SALUS_MASTER_KEY", "cd" * 32)
    return path


def test_files_are_sealed_where_a_ring_is_configured(tmp_path, ring_file, monkeypatch):
    frame = pl.DataFrame({"subject_id": [1], "numeric_value": [987.65]})
    write_private(tmp_path / "note", CANARY)
    write_private_parquet(frame, tmp_path / "rows.parquet")
    assert CANARY not in (tmp_path / "note").read_bytes()
    assert stat.S_IMODE((tmp_path / "note").stat().st_mode) == 0o600
    assert read_private(tmp_path / "note") == CANARY
    assert read_private_parquet(tmp_path / "rows.parquet").equals(frame)
    monkeypatch.delenv("SALUS_KEY_RING")
    with pytest.raises(KeyRingTrouble, match="is sealed, and no key ring"):
        read_private(tmp_path / "note")
    write_private(tmp_path / "plain", CANARY)
    assert (tmp_path / "plain").read_bytes() == CANARY == read_private(tmp_path / "plain")


def test_a_ring_that_nothing_opens_is_an_error_and_never_plain_text(tmp_path, ring_file, monkeypatch):
    monkeypatch.delenv("SALUS_MASTER_KEY")
    with pytest.raises(KeyRingTrouble, match="nothing opens it"):
        write_private(tmp_path / "note", CANARY)
    assert not (tmp_path / "note").exists()


def test_a_configured_ring_that_is_not_there_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("SALUS_KEY_RING", str(tmp_path / "nowhere"))
    with pytest.raises(KeyRingTrouble, match="missing or no key ring"):
        write_private(tmp_path / "note", CANARY)


def test_two_files_of_one_name_are_not_mixed_up_after_a_rotation(tmp_path, ring_file):
    write_private(tmp_path / "note", b"first")
    write_ring(rotated(RING), ring_file, hexadecimal_master("cd" * 32))
    os.utime(ring_file, ns=(1, 1))
    assert read_private(tmp_path / "note") == b"first"
    write_private(tmp_path / "note", b"second")
    assert read_private(tmp_path / "note") == b"second"
    assert read_head((tmp_path / "note").read_bytes(), where="here")[0].key != RING.current
