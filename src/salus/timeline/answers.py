"""Files of answers about patients (risks, arms, vectors): Parquet that says itself what it was made from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from salus.at_rest.files import plain_or_clear, replace_parquet

KEY = "salus"
"""Under which a Parquet file's metadata say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOrigin:
    """Which job made a file, from which model and timeline (digests), and what of them is synthetic.

    ``synthetic``: empty where nothing is. ``only_to_measure``: what is in it may be measured and not used.
    """

    job: str
    model: str
    timeline: str
    synthetic: str = ""
    only_to_measure: bool = False

    def as_metadata(self) -> dict[str, str]:
        """As Parquet keeps it."""
        return {KEY: json.dumps(asdict(self), sort_keys=True)}


def what_is_synthetic(*, records: bool, model: bool) -> str:
    """Say what of an answer's origin is synthetic.

    >>> what_is_synthetic(records=False, model=True), what_is_synthetic(records=False, model=False)
    ('a model that learnt from synthetic patients alone', '')
    """
    said = [("synthetic records", records), ("a model that learnt from synthetic patients alone", model)]
    return " and ".join(words for words, is_so in said if is_so)


def write_answers(table: pl.DataFrame, to: Path, origin: AnswerOrigin) -> None:
    """Write the file beside its place, then put it there."""
    replace_parquet(table, to, metadata=origin.as_metadata())


def read_answer_origin(path: Path) -> AnswerOrigin | None:
    """What a file says of its origin; None where it says nothing, or is no such file."""
    try:
        said = json.loads((pq.read_metadata(plain_or_clear(path)).metadata or {})[KEY.encode()])
        return AnswerOrigin(**{one.name: said[one.name] for one in fields(AnswerOrigin)})
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
        return None
