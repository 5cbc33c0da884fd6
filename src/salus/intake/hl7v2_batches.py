"""One batch of messages: the facts of every kind of segment, and what else was met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from salus.intake.hl7v2_care import KINDS, care_of
from salus.intake.hl7v2_facts import REJECTED, Facts
from salus.intake.hl7v2_headers import setting_of
from salus.intake.hl7v2_orders import DETAILS, ORDERING, appointments_of, notes_of, orders_of
from salus.intake.hl7v2_people import People, people_of
from salus.intake.hl7v2_results import results_of
from salus.intake.hl7v2_segments import SEGMENT, Distinct, Segments, distinct
from salus.intake.hl7v2_visits import visits_of

CARE = {kind.name for kind in KINDS}
READ = {"MSH", "EVN", "PID", "PV1", "MRG", "OBR", "OBX", "ORC", "SCH", "TXA", "TQ1", "AIS", *DETAILS, *CARE}
"""Kinds of segments that are read, at least in some messages; the others are counted."""
NO_SEGMENT = "the line is no segment"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRead:
    """All that came of a batch."""

    messages: int
    facts: tuple[Facts, ...]
    people: People
    troubles: pl.DataFrame
    noted: Mapping[str, Mapping[str, int]]


def read_batch(segments: Segments, *, zone: str, key: bytes = b"") -> BatchRead:
    """Read every segment of a batch."""
    met = distinct(segments.rows["kind"])
    counted = np.bincount(met.places, minlength=len(met.texts)).tolist()
    kinds = {kind.removesuffix("|"): count for kind, count in zip(met.texts, counted, strict=True)}
    setting = setting_of(segments, zone=zone, key=key)
    types = set(setting.messages["type"].unique())
    facts = [results_of(setting), *(care_of(setting, kind) for kind in KINDS if kind.name in kinds)]
    if "ORC" in kinds and types & set(ORDERING):
        facts += [orders_of(setting, kind) for kind in DETAILS if kind in kinds]
    facts += [visits_of(setting)] if "PV1" in kinds and "ADT" in types else []
    facts += [appointments_of(setting)] if "SCH" in kinds else []
    facts += [notes_of(setting)] if "TXA" in kinds else []
    named = setting.messages.group_by("type", "trigger").len()
    return BatchRead(
        messages=setting.messages.height,
        facts=tuple(facts),
        people=people_of(setting),
        troubles=_troubles(segments, met),
        noted={
            "messages": {f"{kind}^{trigger}": count for kind, trigger, count in named.iter_rows()},
            "segments not read": {
                kind: count for kind, count in kinds.items() if kind not in READ and SEGMENT.match(f"{kind}|")
            },
        },
    )


def _troubles(segments: Segments, kinds: Distinct) -> pl.DataFrame:
    """What was no message, and lines inside messages that are no segments."""
    found = [(trouble.line, trouble.column, trouble.reason) for trouble in segments.troubles]
    odd = [kind for kind in kinds.texts if not SEGMENT.fullmatch(kind)]
    if odd:
        rows = segments.rows.filter(pl.col("kind").is_in(odd))
        found += [(line, "", NO_SEGMENT) for line in rows["line"]]
    return pl.DataFrame(found, schema=REJECTED, orient="row")
