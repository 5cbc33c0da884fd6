"""Messages as columns: their segments, the fields of each kind, and which segment each belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import polars as pl

from salus.formats.hl7v2 import WRAPPERS, unescape
from salus.intake.hl7v2_messages import STRAY, Chunk, Counting, Message, NoMessage, chunks_of, messages_in

ROW, LINE, MESSAGE = "row", "line", "message"
"""Number of the segment in its batch, its line in the file, number of its message in the batch."""
SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}\|")
HEADER = "MSH|^~\\&|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """The segments of some messages in order, as ``kind`` (``OBX|``) and ``text``; and what was no message."""

    rows: pl.DataFrame
    troubles: tuple[NoMessage, ...] = ()

    def of(self, kind: str, numbers: Sequence[int]) -> pl.DataFrame:
        """The segments of one kind with the fields named, as ``OBX-3``: the empty text where there is none."""
        rows = self.rows.filter(pl.col("kind") == f"{kind}|")
        shift = 1 if kind == "MSH" else 0
        parts = rows["text"].str.split("|")
        fields = [
            parts.list.get(number - shift, null_on_oob=True).fill_null("").alias(f"{kind}-{number}")
            for number in numbers
        ]
        return rows.select(MESSAGE, ROW, LINE).with_columns(fields)

    def latest(self, kind: str, rows: pl.DataFrame, *, within: Sequence[str] = ("MSH",)) -> pl.Series:
        """For each of ``rows`` the number of the last segment of ``kind`` before it; null where there is none.

        Only segments after the last one of a kind ``within`` count: an OBX of one patient has no OBR of another.
        """
        kinds = self.rows["kind"]
        wanted = kinds == f"{kind}|"
        starts = wanted.arg_true().to_numpy()
        bars = np.append(kinds.is_in([f"{bar}|" for bar in within]).arg_true().to_numpy(), len(kinds))
        if not len(starts):
            return pl.Series([None], dtype=pl.Int64).new_from_index(0, rows.height)
        until = bars[np.searchsorted(bars, starts, side="right")]
        places = rows[ROW].to_numpy()
        number = np.searchsorted(starts, places, side="right") - 1
        found = (number >= 0) & (places < until[number])
        return pl.Series(number, dtype=pl.Int64).set(pl.Series(~found), None)


def segment_batches(stream: BinaryIO) -> Iterator[Segments]:
    """A file's segments, some thousand messages at a time, with what was no message."""
    place = Counting()
    for chunk in chunks_of(stream):
        rows = _standard(chunk, place)
        if rows is not None:
            yield Segments(rows=rows)
            continue
        found = list(messages_in(chunk, place))
        messages = [message for message in found if isinstance(message, Message)]
        troubles = tuple(trouble for trouble in found if isinstance(trouble, NoMessage))
        yield Segments(rows=rows_of(messages), troubles=troubles)


def rows_of(messages: Sequence[Message]) -> pl.DataFrame:
    """Messages taken apart into segments."""
    texts = pl.Series([message.text for message in messages], dtype=pl.String).str.split("\r")
    lines = pl.Series([message.line for message in messages], dtype=pl.Int64)
    parts = pl.DataFrame({LINE: lines, "text": texts})
    parts = parts.with_columns(place=pl.int_ranges(0, pl.col("text").list.len()))
    rows = parts.explode("text", "place", empty_as_null=False)
    return _numbered(rows.select("text", pl.col(LINE) + pl.col("place")))


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    rows = rows.filter(pl.col("text") != "")
    kind = rows["text"].str.slice(0, 4)
    short = kind.str.len_bytes() < 4
    if short.any():
        kind = (kind + "|").zip_with(short, kind)
    number = (kind == "MSH|").cum_sum().cast(pl.Int64) - 1
    row = pl.int_range(rows.height, dtype=pl.Int64, eager=True)
    return rows.with_columns(kind.alias("kind"), number.alias(MESSAGE), row.alias(ROW))


def _standard(chunk: Chunk, place: Counting) -> pl.DataFrame | None:
    """The segments of a chunk that is as the standard has it, as most are; None where it is not."""
    by_lines = b"\n" in chunk.raw
    raw = chunk.raw.replace(b"\r\n", b"\r").replace(b"\n", b"\r") if by_lines else chunk.raw
    if chunk.trouble or not raw or not raw.isascii():
        return None
    frames = _well_framed(raw) if chunk.framed else 0
    if frames is None:
        return None
    ended = raw.replace(b"\x0b", b"").replace(b"\x1c", b"") if chunk.framed else raw
    if any(stray in ended for stray in STRAY.encode()):
        return None
    texts = pl.Series("text", [ended.decode("ascii")]).str.split("\r").explode(empty_as_null=False)
    lines = pl.int_range(place.line, place.line + len(texts), eager=True)
    rows = _numbered(texts.to_frame().with_columns(lines.alias(LINE)))
    headers = rows["text"].filter(rows["kind"] == "MSH|")
    if headers.is_empty() or rows[MESSAGE][0] < 0 or not headers.str.starts_with(HEADER).all():
        return None
    if (chunk.framed and len(headers) != frames) or not _all_plain(rows["kind"], by_lines):
        return None
    place.line += len(texts) - 1
    place.in_batch += len(headers)
    return rows


def _all_plain(kinds: pl.Series, by_lines: bool) -> bool:
    """Whether no line is a batch's wrapper or an odd header, or perhaps part of a text with line feeds."""
    met = distinct(kinds).texts.to_list()
    odd = [kind for kind in met if kind[:3] in WRAPPERS or (kind[:3] == "MSH" and kind != "MSH|")]
    return not odd and not (by_lines and any(not SEGMENT.fullmatch(kind) for kind in met))


def _well_framed(raw: bytes) -> int | None:
    """How many frames there are; None unless each begins with a standard header and ends where the next begins."""
    letters = np.frombuffer(raw, dtype=np.uint8)
    starts, ends = np.flatnonzero(letters == 0x0B), np.flatnonzero(letters == 0x1C)
    if not 0 < len(starts) == len(ends) or starts[0] or ends[-1] != len(raw) - 2:
        return None
    if not np.array_equal(starts[1:], ends[:-1] + 2) or not (letters[ends + 1] == 0x0D).all():
        return None
    heads = letters[np.minimum(starts[:, None] + np.arange(1, len(HEADER) + 1), len(raw) - 1)]
    return len(starts) if (heads == np.frombuffer(HEADER.encode(), dtype=np.uint8)).all() else None


@dataclass(frozen=True, slots=True)
class Distinct:
    """The distinct texts of a column, in order, and which of them each row holds."""

    texts: pl.Series
    places: pl.Series

    def mapped(self, values: pl.Series) -> pl.Series:
        """For each row the value of its text."""
        return values.gather(self.places)


def distinct(cells: pl.Series) -> Distinct:
    """Tell a column's distinct texts, so that each is read once.

    >>> distinct(pl.Series(["b", "a", "b"])).places.to_list()
    [1, 0, 1]
    """
    coded = cells.cast(pl.Categorical(pl.Categories.random()))
    met = coded.unique()
    order = met.cast(pl.String).arg_sort()
    numbers = met.to_physical().gather(order).to_numpy()
    place_of = np.zeros(int(numbers.max()) + 1 if len(numbers) else 1, dtype=np.uint32)
    place_of[numbers] = np.arange(len(numbers), dtype=np.uint32)
    return Distinct(met.cast(pl.String).gather(order), pl.Series(place_of[coded.to_physical().to_numpy()]))


def component(field: pl.Series, number: int) -> pl.Series:
    """One component of a field's first repetition, the empty text where there is none; escapes stay."""
    first = field.str.split("~").list.get(0, null_on_oob=True)
    return first.str.split("^").list.get(number - 1, null_on_oob=True).fill_null("")


def readable(field: pl.Series) -> pl.Series:
    """The same texts with escapes decoded."""
    escaped = field.filter(field.str.contains("\\", literal=True))
    if escaped.is_empty():
        return field
    distinct = escaped.unique()
    return field.replace(distinct, pl.Series([unescape(text) for text in distinct], dtype=pl.String))
