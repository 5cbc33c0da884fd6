"""The number that stands for a patient in a timeline, from the id that a source has."""

from __future__ import annotations

from hashlib import blake2b

import polars as pl


def subject_number(patient: str, key: bytes = b"") -> int:
    """The number that stands for a patient: a keyed hash, so that only who has the key can tell whose it is.

    >>> subject_number("Patient/1") == subject_number("Patient/1", b"secret")
    False
    """
    return int.from_bytes(blake2b(patient.encode(), digest_size=8, key=key[:64]).digest()) >> 1


def subject_numbers(patients: pl.Series, key: bytes) -> pl.Series:
    """The numbers of many patients; each id is hashed once."""
    met = patients.unique()
    if met.is_empty():
        return pl.Series(patients.name, [], dtype=pl.Int64)
    numbers = [None if one is None else subject_number(one, key) for one in met]
    return patients.replace_strict(met, pl.Series(numbers, dtype=pl.Int64), return_dtype=pl.Int64)
