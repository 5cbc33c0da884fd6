"""What holds for a whole message: who sent it, when, of which kind, and the patients it tells of."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from salus.formats.hl7v2_patient import patient_key
from salus.intake.hl7v2_segments import LINE, MESSAGE, ROW, Segments, component, distinct, readable
from salus.intake.hl7v2_times import in_utc, own_offset
from salus.intake.parts import resource_number
from salus.timeline.subjects import subject_number

PATIENT_KINDS = ("PID", "MSH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What each segment of a batch can ask: its message's header, its patient, and the zone of bare times.

    ``messages`` has a row a message: ``sender``, ``control``, ``type``, ``trigger``, ``offset`` (minutes), ``said``
    (when it was sent) and ``happened`` (when what it tells of was). ``patients`` has a row a PID, with its ``subject``.
    """

    segments: Segments
    messages: pl.DataFrame
    patients: pl.DataFrame
    zone: str
    key: bytes = b""

    def of_message(self, rows: pl.DataFrame, name: str) -> pl.Series:
        """A column of ``messages`` for each of ``rows``."""
        return self.messages[name].gather(rows[MESSAGE]).rename(name)

    def patient(self, rows: pl.DataFrame) -> pl.Series:
        """The number of each row's patient; null where its message has told none yet."""
        place = self.segments.latest("PID", rows)
        return self.patients["subject"].gather(place).rename("subject")

    def patient_of_message(self, rows: pl.DataFrame) -> pl.Series:
        """The number of the last patient before each row, or the message's first where none is before it."""
        before = self.patient(rows)
        if not before.null_count():
            return before
        first = self.patients.unique(MESSAGE, keep="first", maintain_order=True)
        lent = rows.select(MESSAGE).join(first, on=MESSAGE, how="left", maintain_order="left")["subject"]
        return before.zip_with(before.is_not_null(), lent).rename("subject")

    def visit(self, rows: pl.DataFrame) -> pl.Series:
        """What tells each row's visit from others (PV1-19), 0 where none is told."""
        visits = self.segments.of("PV1", (19,))
        place = self.segments.latest("PV1", rows)
        return visits["PV1-19"].hash().gather(place).fill_null(0)

    def source(self, rows: pl.DataFrame) -> pl.Series:
        """Where each row comes from: type and number of the message, and place of the segment in it."""
        place = rows[ROW] - self.messages[ROW].gather(rows[MESSAGE])
        return self.of_message(rows, "named") + place.cast(pl.String)

    def utc(self, rows: pl.DataFrame, name: str) -> pl.Series:
        """A column of times, in UTC by their own offset, their message's, or the zone."""
        return in_utc(rows[name], self.of_message(rows, "offset"), zone=self.zone).rename(name)


def setting_of(segments: Segments, *, zone: str, key: bytes = b"") -> Setting:
    """Read the headers of a batch; with ``key`` numbers stand for patients and messages."""
    head = segments.of("MSH", (3, 4, 7, 9, 10))
    offset = own_offset(head["MSH-7"])
    sent = in_utc(head["MSH-7"], offset, zone=zone)
    messages = head.select(
        MESSAGE,
        ROW,
        (_part(head["MSH-3"], 1) + "|" + _part(head["MSH-4"], 1)).alias("sender"),
        readable(head["MSH-10"]).alias("control"),
        _part(head["MSH-9"], 1).alias("type"),
        _part(head["MSH-9"], 2).alias("trigger"),
        offset.alias("offset"),
    ).with_columns(
        sent.alias("said"),
    )
    messages = messages.with_columns(_names(messages, key).alias("named"))
    recorded, occurred = _events(segments, messages, zone)
    said = messages["said"].zip_with(messages["said"].is_not_null(), recorded)
    happened = occurred.zip_with(occurred.is_not_null(), recorded)
    happened = happened.zip_with(happened.is_not_null(), said)
    messages = messages.with_columns(said.alias("said"), happened.alias("happened"))
    return Setting(
        segments=segments, messages=messages, patients=_patients(segments, key), zone=zone, key=key
    )


def _names(messages: pl.DataFrame, key: bytes) -> pl.Series:
    """What a message is called in the source column: its kind, and a number that does not tell its sender and id."""
    told = zip(messages["type"], messages["sender"], messages["control"], strict=True)
    names = [f"{kind}/{resource_number(f'{sender}|{control}', key)}:" for kind, sender, control in told]
    return pl.Series(names, dtype=pl.String)


def _part(cells: pl.Series, number: int) -> pl.Series:
    met = distinct(cells)
    return met.mapped(component(met.texts, number))


def _events(segments: Segments, messages: pl.DataFrame, zone: str) -> tuple[pl.Series, pl.Series]:
    """When each message's event was recorded and occurred (EVN-2, EVN-6)."""
    rows = segments.of("EVN", (2, 6)).unique(MESSAGE, keep="first", maintain_order=True)
    if rows.is_empty():
        none = messages["said"].clear(messages.height)
        return none, none
    offsets = messages["offset"].gather(rows[MESSAGE])
    read = rows.select(
        MESSAGE,
        in_utc(rows["EVN-2"], offsets, zone=zone).alias("recorded"),
        in_utc(rows["EVN-6"], offsets, zone=zone).alias("occurred"),
    )
    told = messages.select(MESSAGE).join(read, on=MESSAGE, how="left", maintain_order="left")
    return told["recorded"], told["occurred"]


def _patients(segments: Segments, key: bytes) -> pl.DataFrame:
    rows = segments.of("PID", (2, 3, 4))
    fields = zip(rows["PID-3"], rows["PID-2"], rows["PID-4"], strict=True)
    keys = [patient_key(*one) for one in fields]
    numbers = [subject_number(one, key) if one else None for one in keys]
    return rows.select(MESSAGE, ROW, LINE, pl.Series("subject", numbers, dtype=pl.Int64))
