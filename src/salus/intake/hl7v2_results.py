"""Results (OBX): numbers, words and answers, with the time of the observation and that of its release."""

from __future__ import annotations

import numpy as np
import polars as pl

from salus.formats.hl7v2 import DELETED, unescape
from salus.formats.hl7v2_codes import (
    CANCELLED,
    STATUS_CANCELLED,
    STATUS_CORRECTED,
    STATUS_KEPT,
)
from salus.formats.hl7v2_values import LARGEST, Said, read_range, read_value
from salus.intake.hl7v2_facts import NO_CODE, NO_PATIENT, NO_TIME, Check, Facts, fit, judged, named
from salus.intake.hl7v2_headers import Setting
from salus.intake.hl7v2_segments import LINE, MESSAGE, ROW, Distinct, distinct
from salus.units import KNOWN_UNITS, SPELLINGS

FIELDS = (2, 3, 4, 5, 6, 7, 11, 14)
ORDER_FIELDS = (2, 3, 7, 22, 25)
OBSERVED = ("ORU", "OUL", "ORF", "MDM")
"""Messages whose OBR-7 is when the specimen was taken; in an order it is when somebody wants it taken."""
LINES = ("TX", "FT")
NOTED = ("TX", "FT", "ST", "")
"""Types of OBX whose words are those of the document above them."""
PAIR = "\x1f"
NOT_RELEASED = "its status says that there is no result to see (OBX-11)"


def results_of(setting: Setting) -> Facts:
    """Every OBX of a batch: facts, or reasons why not. The words of a document are its note's (TXA)."""
    rows = setting.segments.of("OBX", FIELDS)
    read = rows.height
    if (setting.segments.rows["kind"] == "TXA|").any():
        noted = setting.segments.latest("TXA", rows).is_not_null() & rows["OBX-2"].is_in(list(NOTED))
        rows = rows.filter(~noted)
    rows = _with_order(setting, rows)
    number = _numbers(rows)
    names, words = named(rows["OBX-3"])
    rows = rows.with_columns(setting.patient(rows), names.alias("code"), number.alias("number"))
    passes, rejected = judged(rows, _checks(rows))
    back = rows["back"]
    plain = passes & number.is_not_null() & ~back
    made = [rows if plain.all() else rows.filter(plain)]
    if not plain.all():
        made.append(_taken_back(rows.filter(passes & back), words))
        others, refused = _others(rows.filter(passes & number.is_null() & ~back), words)
        made, rejected = [*made, others], pl.concat([rejected, refused])
    facts = pl.concat([_with_texts(part) for part in made if part.height] or [_with_texts(rows.clear())])
    counts = {
        "time assumed": int(facts["assumed"].sum()),
        "known time assumed": int(facts["known_assumed"].sum()),
        "corrected": _having(facts["status"], ("C", "A")),
        "preliminary": _having(facts["status"], ("P",)),
        "taken back": int((passes & back).sum()),
        "bound, not a number": int(facts["bound"].is_not_null().sum()),
        "unit as the source wrote it": int(facts["strange_unit"].sum()),
    }
    told = {name: count for name, count in counts.items() if count}
    return Facts(
        kind="OBX",
        read=read,
        facts=_finished(setting, facts),
        rejected=rejected,
        words=words,
        counts=told,
    )


def _with_order(setting: Setting, rows: pl.DataFrame) -> pl.DataFrame:
    """Add time, known time, status and what makes two rows tell of the same thing, from the OBR before each."""
    orders = setting.segments.of("OBR", ORDER_FIELDS)
    taken = setting.utc(orders, "OBR-7")
    observed = setting.of_message(orders, "type").is_in(list(OBSERVED))
    orders = orders.with_columns(
        taken.set(~observed, None).alias("taken"),
        setting.utc(orders, "OBR-22").alias("released"),
        (orders["OBR-3"] + PAIR + orders["OBR-2"]).hash().alias("order"),
        (observed & (orders["OBR-7"] != "") & taken.is_null()).alias("unreadable"),
    )
    place = setting.segments.latest("OBR", rows, within=("MSH", "PID", "ORC"))
    taken, released, order, unreadable, overall = (
        orders[name].gather(place) for name in ("taken", "released", "order", "unreadable", "OBR-25")
    )
    own, said = setting.utc(rows, "OBX-14"), setting.of_message(rows, "said")
    empty = rows["OBX-14"].is_in(["", DELETED])
    status = rows["OBX-11"].zip_with(rows["OBX-11"] != "", overall.fill_null(""))
    met = distinct(status)
    later = _among(met, STATUS_CORRECTED) & (released < said)
    known = released.set(later.fill_null(False), None).fill_null(said)
    time = own.zip_with(~empty, taken)
    assumed = empty & time.is_null() & ~unreadable.fill_null(False)
    time = time.zip_with(~assumed, setting.of_message(rows, "happened")) if assumed.any() else time
    sub = rows["OBX-4"]
    same = order.fill_null(0)
    return rows.with_columns(
        time.alias("time"),
        known.fill_null(time).alias("known_time"),
        known.is_null().alias("known_assumed"),
        status.alias("status"),
        _among(met, STATUS_CANCELLED).alias("back"),
        (~_among(met, STATUS_KEPT | STATUS_CANCELLED)).alias("withheld"),
        assumed.alias("assumed"),
        (same ^ sub.hash() if (sub != "").any() else same).alias("same"),
    )


def _among(met: Distinct, texts: frozenset[str]) -> pl.Series:
    """Which rows hold one of some texts."""
    return met.mapped(pl.Series([text in texts for text in met.texts], dtype=pl.Boolean))


def _having(status: pl.Series, texts: tuple[str, ...]) -> int:
    return int(sum((status == text).sum() for text in texts))


def _numbers(rows: pl.DataFrame) -> pl.Series:
    """The numbers that need no second look, as most do not."""
    number = rows["OBX-5"].cast(pl.Float64, strict=False)
    sound = (rows["OBX-2"] == "NM") & number.is_finite() & (number.abs() < LARGEST)
    return number.set(~sound.fill_null(False), None)


def _checks(rows: pl.DataFrame) -> list[Check]:
    return [
        Check("PID-3", NO_PATIENT, rows["subject"].is_null()),
        Check("OBX-3", NO_CODE, rows["code"].is_null()),
        Check("OBX-11", NOT_RELEASED, rows["withheld"]),
        Check("OBX-14", NO_TIME, rows["time"].is_null()),
    ]


def _taken_back(rows: pl.DataFrame, words: dict[str, str]) -> pl.DataFrame:
    """A result that was deleted, or was another patient's: a row of its own says so."""
    taken = rows.with_columns(code=CANCELLED + "//" + pl.col("code"), number=pl.lit(None, dtype=pl.Float64))
    for code in taken["code"].unique():
        words[code] = f"Taken back: {words.get(code.removeprefix(f'{CANCELLED}//'), code)}"
    return taken


def _others(rows: pl.DataFrame, words: dict[str, str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Values that are no plain numbers: each way of writing one is read once."""
    rows = _joined_lines(rows).with_columns(has_unit=pl.col("OBX-6") != "")
    keys = ["OBX-2", "OBX-5", "has_unit"]
    distinct = rows.select(keys).unique(maintain_order=True)
    said = [read_value(kind, value, has_unit=unit) for kind, value, unit in distinct.iter_rows()]
    told = distinct.with_columns(
        pl.Series("said", [[_row(one) for one in all_] for all_ in said], dtype=SAID)
    )
    found = rows.join(told, on=keys, how="left", maintain_order="left").explode("said").unnest("said")
    refused = found.filter(pl.col("reason").is_not_null())
    rejected = refused.filter(~refused[ROW].is_in(found.filter(pl.col("reason").is_null())[ROW].implode()))
    rejected = rejected.unique(ROW, keep="first", maintain_order=True).select(
        line=LINE, column=pl.lit("OBX-5"), reason="reason"
    )
    kept = found.filter(pl.col("reason").is_null())
    return _with_answers(kept, words), rejected


SAID = pl.List(
    pl.Struct(
        {
            "value": pl.Float64,
            "bound": pl.String,
            "said": pl.String,
            "answer": pl.String,
            "answer_words": pl.String,
            "reason": pl.String,
        }
    )
)


def _row(said: Said) -> dict[str, object]:
    answer = said.answer
    return {
        "value": said.number,
        "bound": said.bound,
        "said": said.words,
        "answer": f"{answer.system}:{answer.code}" if answer else None,
        "answer_words": (answer.words or answer.code) if answer else None,
        "reason": said.reason,
    }


def _with_answers(rows: pl.DataFrame, words: dict[str, str]) -> pl.DataFrame:
    """An answer is part of the code."""
    answers = rows.select("code", "answer", "answer_words").drop_nulls("answer").unique(["code", "answer"])
    for code, answer, text in answers.sort("code", "answer", "answer_words").iter_rows():
        words[f"{code}//{answer}"] = f"{words.get(code, code)}: {text}"
    answered = pl.when(pl.col("answer").is_not_null()).then(pl.col("code") + "//" + pl.col("answer"))
    return rows.with_columns(code=answered.otherwise("code"), number="value").drop(
        "value", "answer", "answer_words", "reason", "has_unit"
    )


def _joined_lines(rows: pl.DataFrame) -> pl.DataFrame:
    """Lines of one text that come as an OBX each become one, as its repetitions would be."""
    if not rows["OBX-2"].is_in(list(LINES)).any():
        return rows
    follows = (
        pl.col("OBX-2").is_in(list(LINES))
        & (pl.col(ROW) == pl.col(ROW).shift() + 1)
        & pl.all_horizontal(
            pl.col(name) == pl.col(name).shift() for name in ("OBX-2", "OBX-3", "OBX-4", MESSAGE, "status")
        )
    )
    text = (~follows.fill_null(False)).cum_sum().alias("text")
    kept = [pl.col(name).first() for name in rows.columns if name != "OBX-5"]
    return rows.group_by(text, maintain_order=True).agg(*kept, pl.col("OBX-5").str.join("~")).drop("text")


def _with_texts(rows: pl.DataFrame) -> pl.DataFrame:
    """Add the unit, and as text what stands beside a number: a bound, and the reference range."""
    absent = [name for name in ("bound", "said") if name not in rows.columns]
    rows = rows.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in absent)
    valued = rows["number"].is_not_null() | rows["bound"].is_not_null()
    written, spans = distinct(rows["OBX-6"]), distinct(rows["OBX-7"])
    pairs = written.places.cast(pl.UInt64) * len(spans.texts) + spans.places
    met, place = np.unique(pairs.to_numpy(), return_inverse=True)
    beside = [
        _beside(written.texts[pair // len(spans.texts)], spans.texts[pair % len(spans.texts)])
        for pair in met.tolist()
    ]
    names = [unit for unit, _ in beside]
    unit = pl.Series(names, dtype=pl.String).gather(place)
    strange = pl.Series([name is not None and name not in KNOWN_UNITS for name in names], dtype=pl.Boolean)
    span = pl.Series([span for _, span in beside], dtype=pl.String).gather(place)
    if not valued.all():
        unit, span = unit.set(~valued, None), span.set(~valued, None)
    text = span
    if len(absent) < 2:
        parts = pl.concat_str([rows["bound"], span, rows["said"]], separator="; ", ignore_nulls=True)
        text = rows.select(parts.replace("", None)).to_series()
    return rows.select(
        *PLACES,
        "subject",
        "time",
        "known_time",
        "code",
        pl.col("number").alias("numeric_value"),
        text.alias("text_value"),
        unit.alias("unit"),
        (strange.gather(place) & unit.is_not_null()).alias("strange_unit"),
        "same",
        "status",
        "bound",
        "assumed",
        "known_assumed",
    )


def _beside(unit: str, span: str) -> tuple[str | None, str | None]:
    """The unit in UCUM where that is known, else as written; the reference range in words."""
    written = unescape(unit.split("~", 1)[0].split("^", 1)[0]).strip()
    ucum = SPELLINGS.get(written, written) if written != DELETED else ""
    low, high = read_range(span)
    told = f"ref {low or ''}..{high or ''}" + (f" {ucum}" if ucum else "") if low or high else None
    return ucum or None, told


def _finished(setting: Setting, rows: pl.DataFrame) -> pl.DataFrame:
    return fit(rows.with_columns(setting.source(rows).alias("source"), ~rows["assumed"].alias("told")))


PLACES = (MESSAGE, ROW, LINE)
