"""Orders (ORC with OBR, RXO or RXE), appointments (SCH) and documents (TXA)."""

from __future__ import annotations

import polars as pl

from salus.formats.hl7v2 import DELETED
from salus.formats.hl7v2_codes import APPOINTMENT, CANCELLED, NOTE, ORDER_KINDS, read_coded
from salus.formats.hl7v2_values import as_number, read_value
from salus.intake.hl7v2_facts import (
    NO_CODE,
    NO_PATIENT,
    NO_TIME,
    Check,
    Facts,
    fit,
    judged,
    named,
    nothing,
)
from salus.intake.hl7v2_headers import Setting
from salus.intake.hl7v2_results import NOTED
from salus.intake.hl7v2_segments import MESSAGE, component, distinct, readable

ORDERING = ("ORM", "OMG", "OML", "OMI", "OMP", "OMD", "OMN", "OMS", "RDE", "RDO", "O01", "O11")
"""Messages that order; in the others an OBR stands above results."""
DETAILS = {"OBR": (4, 0, 0), "RXO": (1, 2, 4), "RXE": (2, 3, 5)}
"""Segments that say what is ordered: the fields of its code, its amount and the amount's unit."""
NO_CHANGE = "its ORC-1 orders nothing and changes no order"
TITLES = {"ORDER": "Ordered", "END//ORDER": "Order ended", "CANCELLED//ORDER": "Order cancelled"}
DAY = 86_400_000_000
BOOKED = {
    "S12": "BOOKED",
    "S13": "MOVED",
    "S14": "CHANGED",
    "S15": "CANCELLED",
    "S16": "CANCELLED",
    "S17": "CANCELLED",
    "S26": "MISSED",
}
"""What an event of SIU says of an appointment."""
CANCELS = ("T11",)


def orders_of(setting: Setting, kind: str) -> Facts:
    """Every segment of one kind that says what is ordered, in a message that orders."""
    code, amount, unit = DETAILS[kind]
    rows = setting.segments.of(kind, sorted({code, amount or code, unit or code}))
    types = setting.of_message(rows, "type")
    wanted = types.is_in(list(ORDERING))
    if kind == "RXO":
        wanted &= ~types.is_in(["RDE", "O11"])  # there RXE says what the pharmacy makes of it
    rows = rows.filter(wanted)
    if rows.is_empty():
        return nothing(kind)
    orders = setting.segments.of("ORC", (1, 2, 3, 9))
    place = setting.segments.latest("ORC", rows, within=("MSH", "PID"))
    told = orders.with_columns(setting.utc(orders, "ORC-9").alias("time")).select(
        pl.exclude(MESSAGE, "row", "line").gather(pl.lit(place))
    )
    codes, words = named(rows[f"{kind}-{code}"])
    control = told["ORC-1"].fill_null("")
    what = control.replace_strict(ORDER_KINDS, default=None, return_dtype=pl.String)
    stamped = ~told["ORC-9"].fill_null("").is_in(["", DELETED])
    time = told["time"].zip_with(stamped, setting.of_message(rows, "happened"))
    rows = rows.with_columns(
        setting.patient_of_message(rows),
        codes.alias("code"),
        what.alias("what"),
        time.alias("time"),
        stamped.alias("told"),
        setting.of_message(rows, "said").fill_null(time).alias("known_time"),
        setting.source(rows).alias("source"),
        (told["ORC-2"].fill_null("") + "|" + told["ORC-3"].fill_null("")).hash().alias("same"),
    )
    if amount:
        rows = _with_dose(rows, rows[f"{kind}-{amount}"], rows[f"{kind}-{unit}"])
    checks = [
        Check("PID-3", NO_PATIENT, rows["subject"].is_null()),
        Check("ORC-1", NO_CHANGE, rows["what"].is_null()),
        Check(f"{kind}-{code}", NO_CODE, rows["code"].is_null()),
        Check("ORC-9", NO_TIME, rows["time"].is_null()),
    ]
    passes, rejected = judged(rows, checks)
    facts = fit(rows.filter(passes).with_columns(code=pl.col("what") + "//" + pl.col("code")))
    return Facts(
        kind=kind, read=rows.height, facts=facts, rejected=rejected, words=_words(facts["code"], words)
    )


def _with_dose(rows: pl.DataFrame, amount: pl.Series, unit: pl.Series) -> pl.DataFrame:
    met = distinct(component(amount, 1))
    value = met.mapped(pl.Series([as_number(text) for text in met.texts], dtype=pl.Float32))
    written = readable(component(unit, 1)).replace("", None).set(value.is_null(), None)
    return rows.with_columns(value.alias("numeric_value"), written.alias("unit"))


def _words(codes: pl.Series, words: dict[str, str]) -> dict[str, str]:
    found = {}
    for code in codes.unique().drop_nulls():
        what = next(title for title in sorted(TITLES, reverse=True) if code.startswith(f"{title}//"))
        plain = code.removeprefix(f"{what}//")
        found[code] = f"{TITLES[what]}: {words.get(plain, plain)}"
    return found


def appointments_of(setting: Setting) -> Facts:
    """Every SCH of SIU: told at the time it was said, with the days until the appointment as its number."""
    rows = setting.segments.of("SCH", (1, 2, 7, 8, 11))
    step = setting.of_message(rows, "trigger").replace_strict(BOOKED, default=None, return_dtype=pl.String)
    rows = rows.with_columns(step.alias("step")).filter(step.is_not_null())
    if rows.is_empty():
        return nothing("SCH")
    start = _start(setting, rows)
    happened = setting.of_message(rows, "happened")
    missed = (rows["step"] == "MISSED") & start.is_not_null()
    time = start.zip_with(missed, happened)
    days = (start - happened).dt.total_microseconds().cast(pl.Float64) / DAY
    ahead = rows["step"].is_in(["BOOKED", "MOVED"])
    why = rows["SCH-7"].zip_with(rows["SCH-7"] != "", rows["SCH-8"])
    codes, words = named(why)
    what = (APPOINTMENT + "//" + rows["step"]).rename("what")
    rows = rows.with_columns(
        setting.patient_of_message(rows),
        pl.select(pl.when(pl.lit(codes).is_null()).then(what).otherwise(what + "//" + codes))
        .to_series()
        .alias("code"),
        time.alias("time"),
        missed.alias("told"),
        setting.of_message(rows, "said").fill_null(time).alias("known_time"),
        days.set(~ahead, None).cast(pl.Float32).alias("numeric_value"),
        setting.source(rows).alias("source"),
        (rows["SCH-1"] + "|" + rows["SCH-2"]).hash().alias("same"),
    )
    rows = rows.with_columns(unit=pl.when(pl.col("numeric_value").is_not_null()).then(pl.lit("d")))
    passes, rejected = judged(
        rows,
        [
            Check("PID-3", NO_PATIENT, rows["subject"].is_null()),
            Check("MSH-7", NO_TIME, rows["time"].is_null()),
        ],
    )
    told = {}
    for code in rows["code"].unique():
        _, step_word, *plain = code.split("//", 2)
        title = f"Appointment {step_word.lower()}"
        told[code] = f"{title}: {words.get(plain[0], plain[0])}" if plain else title
    return Facts(kind="SCH", read=rows.height, facts=fit(rows.filter(passes)), rejected=rejected, words=told)


def _start(setting: Setting, rows: pl.DataFrame) -> pl.Series:
    """When the appointment begins: SCH-11, else the first TQ1-7 or AIS-4 of the message."""
    start = setting.utc(rows.with_columns(component(rows["SCH-11"], 4).alias("SCH-11")), "SCH-11")
    for kind, number in (("TQ1", 7), ("AIS", 4)):
        others = setting.segments.of(kind, (number,)).unique(MESSAGE, keep="first", maintain_order=True)
        if others.height and start.null_count():
            told = others.select(MESSAGE, setting.utc(others, f"{kind}-{number}").alias("start"))
            lent = rows.select(MESSAGE).join(told, on=MESSAGE, how="left", maintain_order="left")["start"]
            start = start.zip_with(start.is_not_null(), lent)
    return start


def notes_of(setting: Setting) -> Facts:
    """Every document (TXA) with the words of its message's text OBX; what is attached stays closed."""
    rows = setting.segments.of("TXA", (2, 4, 6, 12, 19))
    if rows.is_empty():
        return nothing("TXA")
    met = distinct(rows["TXA-2"])
    codings = [read_coded(text) for text in met.texts]
    codes = met.mapped(pl.Series([coding.code if coding else "U" for coding in codings], dtype=pl.String))
    cancelled = setting.of_message(rows, "trigger").is_in(list(CANCELS)) | (rows["TXA-19"] == "CA")
    what = pl.Series([f"{CANCELLED}//{NOTE}//", f"{NOTE}//"]).gather((~cancelled).cast(pl.UInt32))
    stamp = rows["TXA-4"].zip_with(~rows["TXA-4"].is_in(["", DELETED]), rows["TXA-6"])
    rows = rows.with_columns(stamp.alias("stamp"))
    told = ~stamp.is_in(["", DELETED])
    time = setting.utc(rows, "stamp").zip_with(told, setting.of_message(rows, "happened"))
    rows = rows.with_columns(
        setting.patient_of_message(rows),
        (what + codes).alias("code"),
        time.alias("time"),
        told.alias("told"),
        setting.of_message(rows, "said").fill_null(time).alias("known_time"),
        setting.source(rows).alias("source"),
        rows["TXA-12"].hash().alias("same"),
        _texts(setting, rows).set(cancelled, None).alias("text_value"),
    )
    passes, rejected = judged(
        rows,
        [
            Check("PID-3", NO_PATIENT, rows["subject"].is_null()),
            Check("TXA-4", NO_TIME, rows["time"].is_null()),
        ],
    )
    words = {f"{NOTE}//{coding.code}": f"Note: {coding.words or coding.code}" for coding in codings if coding}
    words |= {f"{CANCELLED}//{code}": f"Cancelled: {text}" for code, text in words.items()}
    words |= {f"{NOTE}//U": "Note", f"{CANCELLED}//{NOTE}//U": "Cancelled: note"}
    return Facts(kind="TXA", read=rows.height, facts=fit(rows.filter(passes)), rejected=rejected, words=words)


def _texts(setting: Setting, rows: pl.DataFrame) -> pl.Series:
    """The words of each document, line by line."""
    lines = setting.segments.of("OBX", (2, 5)).filter(pl.col("OBX-2").is_in(list(NOTED)))
    lines = lines.filter(pl.col(MESSAGE).is_in(rows[MESSAGE].implode()))
    said = [read_value("TX", text)[0].words or "" for text in lines["OBX-5"]]
    texts = lines.select(MESSAGE, pl.Series("words", said, dtype=pl.String)).group_by(MESSAGE)
    joined = texts.agg(pl.col("words").str.join("\n").str.strip_chars().replace("", None))
    return rows.select(MESSAGE).join(joined, on=MESSAGE, how="left", maintain_order="left")["words"]
