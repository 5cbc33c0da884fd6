"""Pseudonyms of patients and of rows in a database: numbers that only the holder of the key can make again."""

from __future__ import annotations

import duckdb
import numpy as np
import polars as pl

from salus.intake.keyed_hash import hash_key, hash_texts
from salus.timeline.subjects import subject_number, subject_numbers

PSEUDONYMS = "pseudonyms"
PERSON, SUBJECT = "person", "subject"
PEOPLE_A_BATCH = 1 << 18
NAMED = "person/{}"
"""What is hashed of a patient who is a whole number in the source."""


def write_pseudonyms(db: duckdb.DuckDBPyConnection, people: str, key: bytes) -> None:
    """Write the table ``pseudonyms`` (``person``, ``subject``) for the whole numbers that the SQL ``people`` gives.

    The chance that two of ten million patients get one number is about one in 180,000 (n²/2 over 2⁶³).
    """
    db.execute(f"CREATE TABLE people_met AS SELECT DISTINCT {PERSON} FROM ({people})")
    db.execute(f"CREATE TABLE {PSEUDONYMS} ({PERSON} BIGINT, {SUBJECT} BIGINT)")
    reading = db.cursor()
    for batch in reading.sql("FROM people_met").to_arrow_reader(PEOPLE_A_BATCH):
        met = pl.DataFrame(batch)
        numbered = met.with_columns(numbers_of(met[PERSON], key).alias(SUBJECT))
        db.register("numbered", numbered)
        db.execute(f"INSERT INTO {PSEUDONYMS} SELECT {PERSON}, {SUBJECT} FROM numbered")
        db.unregister("numbered")
    reading.close()
    db.execute("DROP TABLE people_met")


def number_of(person: int, key: bytes) -> int:
    """The pseudonym of a patient who is a whole number in the source, such as ``person_id``.

    >>> number_of(7, b"a key of sixteen") == numbers_of(pl.Series([7]), b"a key of sixteen")[0]
    True
    """
    return subject_number(NAMED.format(person), key)


def numbers_of(people: pl.Series, key: bytes) -> pl.Series:
    """The same of many."""
    return subject_numbers(pl.select(pl.format(NAMED, people)).to_series(), key)


def hidden_names(names: pl.Series, key: bytes, *, kind: str) -> pl.Series:
    """Names of rows as keyed numbers of 63 bits (an id in OMOP is signed), which nobody without the key can turn back.

    >>> hidden_names(pl.Series(["7", "8"]), b"a key of sixteen", kind="visit").n_unique()
    2
    """
    numbers: np.ndarray = hash_texts(names.to_list(), hash_key(key, kind))
    return pl.Series(numbers >> np.uint64(1)).cast(pl.String)
