"""Visits (ADT with PV1): admitted, moved, discharged, and what of it was cancelled."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from salus.formats.categories import is_category
from salus.formats.hl7v2 import DELETED, unescape
from salus.formats.hl7v2_codes import CANCELLED, DISCHARGED_TO, ENDED, TRANSFER, VISIT
from salus.intake.hl7v2_facts import NO_PATIENT, NO_TIME, Check, Facts, fit, judged, nothing
from salus.intake.hl7v2_headers import Setting
from salus.intake.hl7v2_segments import component, distinct

FIELDS = (2, 3, 19, 36, 44, 45)
LEAVE = "LEAVE"
CLASSES = {
    "I": "Inpatient",
    "O": "Outpatient",
    "E": "Emergency",
    "P": "Preadmit",
    "R": "Recurring patient",
    "B": "Obstetrics",
    "C": "Commercial account",
    "N": "Not applicable",
    "U": "Unknown",
}
"""HL7 table 0004."""


@dataclass(frozen=True, slots=True)
class Step:
    """What an event of ADT says of a visit, the field of its time, and the field that says of which kind."""

    what: str
    time: str
    kind: str


ADMITTED, ENDS, MOVED = (
    Step(VISIT, "PV1-44", "PV1-2"),
    Step(f"{ENDED}//{VISIT}", "PV1-45", "PV1-2"),
    Step(TRANSFER, "", "PV1-3"),
)
AWAY, BACK = Step(LEAVE, "", "PV1-2"), Step(f"{ENDED}//{LEAVE}", "", "PV1-2")


def _cancelled(step: Step) -> Step:
    return Step(f"{CANCELLED}//{step.what}", step.time, step.kind)


STEPS = {
    "A01": ADMITTED,
    "A04": ADMITTED,
    "A06": Step(VISIT, "", "PV1-2"),
    "A07": Step(VISIT, "", "PV1-2"),
    "A02": MOVED,
    "A03": ENDS,
    "A11": _cancelled(ADMITTED),
    "A12": _cancelled(MOVED),
    "A13": _cancelled(ENDS),
    "A21": AWAY,
    "A22": BACK,
    "A52": _cancelled(AWAY),
    "A53": _cancelled(BACK),
}
"""The events of ADT that change where a patient is. The others update what is known of the patient."""
TITLES = {
    VISIT: "Visit",
    f"{ENDED}//{VISIT}": "End of visit",
    TRANSFER: "Moved to",
    LEAVE: "On leave",
    f"{ENDED}//{LEAVE}": "Back from leave",
}


def visits_of(setting: Setting) -> Facts:
    """Every PV1 of an ADT message that moves its patient, or takes that back."""
    rows = setting.segments.of("PV1", FIELDS)
    step = setting.of_message(rows, "trigger")
    moves = (setting.of_message(rows, "type") == "ADT") & step.is_in(list(STEPS))
    rows = rows.with_columns(step.alias("step")).filter(moves)
    if rows.is_empty():
        return nothing("PV1")
    rows = _with_times(setting, rows)
    rows = rows.with_columns(
        setting.patient_of_message(rows),
        setting.source(rows).alias("source"),
        setting.of_message(rows, "said").fill_null(rows["time"]).alias("known_time"),
        rows["PV1-19"].hash().alias("same"),
        _codes(rows).alias("code"),
    )
    passes, rejected = judged(
        rows,
        [
            Check("PID-3", NO_PATIENT, rows["subject"].is_null()),
            Check("PV1-44/PV1-45", NO_TIME, rows["time"].is_null()),
        ],
    )
    kept = rows.filter(passes)
    left = _discharged(kept)
    facts = pl.concat([fit(kept), fit(left)])
    return Facts(kind="PV1", read=rows.height, facts=facts, rejected=rejected, words=_words(facts["code"]))


def _with_times(setting: Setting, rows: pl.DataFrame) -> pl.DataFrame:
    """The admission's or discharge's own time, where it is told; else when the event was."""
    time, told = setting.of_message(rows, "happened"), pl.Series([False]).new_from_index(0, rows.height)
    for name in ("PV1-44", "PV1-45"):
        wanted = rows["step"].is_in([key for key, step in STEPS.items() if step.time == name])
        said = wanted & ~rows[name].is_in(["", DELETED])
        time, told = setting.utc(rows, name).zip_with(said, time), told | said
    return rows.with_columns(time.alias("time"), told.alias("told"))


def _codes(rows: pl.DataFrame) -> pl.Series:
    what = rows["step"].replace_strict({key: step.what for key, step in STEPS.items()})
    by_place = rows["step"].is_in([key for key, step in STEPS.items() if step.kind == "PV1-3"])
    kind = _word(rows["PV1-3"]).zip_with(by_place, _word(rows["PV1-2"]))
    return what + "//" + kind


def _word(cells: pl.Series) -> pl.Series:
    """The first component as part of a code; U where it cannot be one."""
    met = distinct(component(cells, 1))
    words = [unescape(text).strip() for text in met.texts]
    return met.mapped(pl.Series([word if is_category(word) else "U" for word in words], dtype=pl.String))


def _discharged(rows: pl.DataFrame) -> pl.DataFrame:
    """Where to, of discharges that say so."""
    left = rows.filter((pl.col("step") == "A03") & ~pl.col("PV1-36").is_in(["", DELETED]))
    return left.with_columns(code=pl.lit(f"{DISCHARGED_TO}//") + _word(left["PV1-36"]))


def _words(codes: pl.Series) -> dict[str, str]:
    words = {}
    for code in codes.unique().drop_nulls():
        what, _, kind = code.rpartition("//")
        plain = what.removeprefix(f"{CANCELLED}//")
        title = TITLES.get(plain, "Discharged to")
        named = kind if plain in (TRANSFER, DISCHARGED_TO) else CLASSES.get(kind, kind)
        words[code] = ("Cancelled: " if plain != what else "") + f"{title}: {named}"
    return words
