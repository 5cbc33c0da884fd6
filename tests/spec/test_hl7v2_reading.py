"""HL7 v2 messages become events: each test writes a message and says which rows come of it."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

from salus.intake.hl7v2 import Hl7v2Read, How, read_hl7v2
from salus.intake.hl7v2_files import files_of
from salus.intake.parts import resource_number
from salus.progress import QUIET
from salus.timeline.subjects import subject_number

HEAD = "MSH|^~\\&|LAB|HOSP|SALUS|HOSP|{said}||{kind}|{control}|P|2.5.1"
PID = "PID|1||0042^^^HOSP^MR||Canary^Carla||19630815|F"
ORDER = "OBR|1|P1|F1|24323-8^Panel^LN|||20260301080000+0000|||||||||||||||20260301091000+0000|||F"
P0042 = subject_number("HOSP|0042")


def message(*segments, kind="ORU^R01", control="1", said="20260301091500+0000"):
    return "\r".join([HEAD.format(kind=kind, control=control, said=said), *segments]) + "\r"


@pytest.fixture
def read(tmp_path):
    """Read texts, each as a file, and give what came of them."""

    def reader(*files, zone="UTC", rows=1_000_000):
        source = tmp_path / f"in-{len(list(tmp_path.iterdir()))}"
        source.mkdir()
        for number, content in enumerate(files):
            raw = content if isinstance(content, bytes) else content.encode()
            (source / f"{number}.hl7").write_bytes(raw)
        scratch = tmp_path / f"scratch-{len(list(tmp_path.iterdir()))}"
        scratch.mkdir()
        return read_hl7v2(files_of(source), scratch, How(zone=zone, rows=rows), progress=QUIET)

    return reader


def events(read: Hl7v2Read) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema={}), *read.events], how="diagonal")


def facts(read: Hl7v2Read) -> pl.DataFrame:
    """The events that are not of PID."""
    return events(read).filter(~pl.col("code").str.contains("^(MEDS_|SEX|RACE|ETHNICITY)"))


def rejected(read: Hl7v2Read) -> list[tuple[int, str, str]]:
    return read.rejected.select("line", "column", "reason").rows()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_potassium_has_the_time_it_was_drawn_and_the_time_it_was_released(read):
    """Drawn 08:00 (OBR-7), released 09:10 (OBR-22), sent 09:15 (MSH-7): known at 09:10."""
    (row,) = facts(read(message(PID, ORDER, "OBX|1|NM|2823-3^Potassium^LN||5.9|mmol/L|3.5-5.1|H|||F"))).rows(
        named=True
    )
    assert row == {
        "subject_id": P0042,
        "time": at("2026-03-01T08:00"),
        "code": "LOINC//2823-3",
        "numeric_value": pytest.approx(5.9, rel=1e-6),
        "text_value": "ref 3.5..5.1 mmol/L",
        "unit": "mmol/L",
        "known_time": at("2026-03-01T09:10"),
        "source": f"ORU/{resource_number('LAB|HOSP|1')}:3",
    }


def test_the_observation_s_own_time_wins_over_its_order_s(read):
    """OBX-14 says 08:20, OBR-7 08:00."""
    obx = "OBX|1|NM|2823-3^K^LN||5.9|mmol/L||||||||20260301082000+0000"
    assert facts(read(message(PID, ORDER, obx.replace("||||||||", "|||||F|||"))))["time"].to_list() == [
        at("2026-03-01T08:20")
    ]


def test_a_time_without_offset_has_its_message_s_offset_else_the_declared_zone(read):
    """08:00 is 07:00 UTC by MSH-7's +0100, and 06:00 UTC in Berlin's summer."""
    obx = "OBX|1|NM|2823-3^K^LN||5.9|mmol/L|||||F|||20260701080000"
    by_message = message(PID, obx, said="20260701091500+0100")
    by_zone = message(PID, obx, said="20260701091500")
    assert facts(read(by_message))["time"].to_list() == [at("2026-07-01T07:00")]
    assert facts(read(by_zone, zone="Europe/Berlin"))["time"].to_list() == [at("2026-07-01T06:00")]


def test_a_correction_is_a_row_of_its_own_with_its_own_known_time(read):
    """5.9 was released 09:10; the correction to 4.9 says the same release, but nobody knew it before 11:00."""
    first = message(PID, ORDER, "OBX|1|NM|2823-3^K^LN||5.9|mmol/L|||||F", control="1")
    second = message(
        PID,
        ORDER,
        "OBX|1|NM|2823-3^K^LN||4.9|mmol/L|||||C",
        control="2",
        said="20260301110000+0000",
    )
    rows = facts(read(first, second)).select(
        "time", "known_time", pl.col("numeric_value").round(1).cast(pl.String)
    )
    assert rows.rows() == [
        (at("2026-03-01T08:00"), at("2026-03-01T09:10"), "5.9"),
        (at("2026-03-01T08:00"), at("2026-03-01T11:00"), "4.9"),
    ]


def test_a_final_result_after_a_preliminary_one_is_a_row_of_its_own(read):
    """Preliminary known 09:00, final known 12:00: two rows, though the value is the same."""
    order = "OBR|1|P1|F1|600-7^Culture^LN|||20260301080000+0000|||||||||||||||{}+0000|||F"
    one = message(PID, order.format("20260301090000"), "OBX|1|ST|600-7^C^LN||growth||||||P", control="1")
    two = message(PID, order.format("20260301120000"), "OBX|1|ST|600-7^C^LN||growth||||||F", control="2")
    assert facts(read(one, two))["known_time"].to_list() == [at("2026-03-01T09:00"), at("2026-03-01T12:00")]


def test_a_result_said_again_is_one_row_known_since_the_first(read):
    """The laboratory sends all results of an order again with each new one."""
    order = ORDER.replace("20260301091000+0000", "")
    obx = "OBX|1|NM|2823-3^K^LN||5.9|mmol/L|||||F"
    one = message(PID, order, obx, control="1", said="20260301091500+0000")
    two = message(PID, order, obx, control="2", said="20260301101500+0000")
    assert facts(read(two, one))["known_time"].to_list() == [at("2026-03-01T09:15")]


@pytest.mark.parametrize(
    ("obx", "number", "text", "code"),
    [
        ("OBX|1|SN|5195-3^HBs^LN||<^5|[IU]/L|||||F", None, "<5", "LOINC//5195-3"),
        ("OBX|1|SN|5195-3^T^LN||^1^:^128||||||F", None, "1:128", "LOINC//5195-3"),
        ("OBX|1|NM|5195-3^T^LN||>100|mg/L|0-10||||F", None, ">100; ref 0..10 mg/L", "LOINC//5195-3"),
        ("OBX|1|CE|883-9^ABO^LN||112144000^A^SCT||||||F", None, None, "LOINC//883-9//SNOMED:112144000"),
        ("OBX|1|TX|1^x^L||a \\T\\ b~second||||||F", None, "a & b\nsecond", "LOCAL//1"),
        ("OBX|1|DT|1^x^L||20260301||||||F", None, "2026-03-01", "LOCAL//1"),
        ("OBX|1|ST|1^x^L||7.5|mg/L|||||F", 7.5, None, "LOCAL//1"),
        ("OBX|1|ST|1^x^L||7.5||||||F", None, "7.5", "LOCAL//1"),
        ("OBX|1|NM|K^Kalium^99LAB^2823-3^Potassium^LN||-3|mmol/L|||||F", -3.0, None, "LOINC//2823-3"),
    ],
)
def test_each_type_of_value_keeps_what_it_says(read, obx, number, text, code):
    (row,) = facts(read(message(PID, ORDER, obx))).rows(named=True)
    assert (row["numeric_value"], row["text_value"], row["code"]) == (number, text, code)


def test_lines_of_a_report_are_one_text(read):
    lines = [
        f"OBX|{number}|TX|18726-0^Report^LN||{text}||||||F" for number, text in enumerate(("No", "growth"), 1)
    ]
    assert facts(read(message(PID, ORDER, *lines)))["text_value"].to_list() == ["No\ngrowth"]


@pytest.mark.parametrize(
    ("obx", "column", "reason"),
    [
        ("OBX|1|NM|2823-3^K^LN||||||||F", "OBX-5", "no value"),
        ("OBX|1|NM|2823-3^K^LN||987.65x|mmol/L|||||F", "OBX-5", "not a number that a 32-bit float can hold"),
        ("OBX|1|NM|^^||5.9|mmol/L|||||F", "OBX-3", "it has no code"),
        (
            "OBX|1|NM|2823-3^K^LN||5.9|mmol/L|||||X",
            "OBX-11",
            "its status says that there is no result to see (OBX-11)",
        ),
        (
            "OBX|1|NM|2823-3^K^LN||5.9|mmol/L|||||F|||201903",
            "OBX-14",
            "the time cannot be read, is told only to the month, or is impossible",
        ),
        (
            "OBX|1|ED|11526-1^Report^LN||^TEXT^XML^A^<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>||||||F",
            "OBX-5",
            "a document is attached or pointed to: it is not opened",
        ),
    ],
)
def test_a_result_that_cannot_be_read_is_rejected_with_its_line_and_field(read, obx, column, reason):
    found = read(message(PID, ORDER, obx))
    assert rejected(found) == [(4, column, reason)]
    assert facts(found).is_empty()


def test_a_deleted_result_is_taken_back_by_a_row_of_its_own(read):
    """What was known stays known until it was taken back."""
    one = message(PID, ORDER, "OBX|1|NM|2823-3^K^LN||5.9|mmol/L|||||F", control="1")
    two = message(
        PID, ORDER, "OBX|1|NM|2823-3^K^LN||5.9|mmol/L|||||W", control="2", said="20260301130000+0000"
    )
    assert facts(read(one, two)).select("code", "known_time").rows() == [
        ("CANCELLED//LOINC//2823-3", at("2026-03-01T13:00")),
        ("LOINC//2823-3", at("2026-03-01T09:10")),
    ]


def test_an_admission_is_cancelled_by_a_row_and_so_is_a_discharge(read):
    """A01 at 08:00, A03 at 18:00, A13 (cancel discharge) told 19:00; another visit's A01 and A11."""
    pv1 = "PV1|1|I|W1^2||||||||||||||||V{v}|||||||||||||||||||||||||{a}|{d}"

    def adt(trigger, control, said, visit="1", admitted="20260301080000", left=""):
        event = f"EVN||{said}"
        segment = pv1.format(v=visit, a=admitted, d=left)
        return message(event, PID, segment, kind=f"ADT^{trigger}", control=control, said=f"{said}+0000")

    found = read(
        adt("A01", "1", "20260301080500"),
        adt("A03", "2", "20260301180500", left="20260301180000"),
        adt("A13", "3", "20260301190000", left="20260301180000"),
        adt("A01", "4", "20260401080500", visit="2", admitted="20260401080000"),
        adt("A11", "5", "20260401093000", visit="2", admitted="20260401080000"),
    )
    assert facts(found).select("time", "code", "known_time").rows() == [
        (at("2026-03-01T08:00"), "VISIT//I", at("2026-03-01T08:05")),
        (at("2026-03-01T18:00"), "CANCELLED//END//VISIT//I", at("2026-03-01T19:00")),
        (at("2026-03-01T18:00"), "END//VISIT//I", at("2026-03-01T18:05")),
        (at("2026-04-01T08:00"), "CANCELLED//VISIT//I", at("2026-04-01T09:30")),
        (at("2026-04-01T08:00"), "VISIT//I", at("2026-04-01T08:05")),
    ]


def test_what_is_told_of_a_patient_last_holds(read):
    """A08 corrects the sex and the day of birth, and takes the race back."""
    old = "PID|1||0042^^^HOSP^MR||C||19630815|M||2106-3^White^CDCREC"
    new = 'PID|1||0042^^^HOSP^MR||C||19630816|F||""'
    found = read(
        message(new, kind="ADT^A08", control="2", said="20260302080000+0000"),
        message(old, kind="ADT^A04", control="1", said="20260301080000+0000"),
    )
    assert events(found).select("time", "code").rows() == [(None, "SEX//F"), (at("1963-08-16"), "MEDS_BIRTH")]
    assert found.noted["PID"] == {"told otherwise later": 3}


def test_a_merged_patient_s_events_are_the_survivor_s_whatever_the_order(read):
    """0007 became 0042, and 0042 became 0099: all results are 0099's, also one that came late for 0007."""
    obx = "OBX|1|NM|2823-3^K^LN||{}|mmol/L|||||F|||20260301080000+0000"
    pid = "PID|1||{}^^^HOSP^MR"
    results = [
        message(pid.format(one), obx.format(value), control=one) for one, value in (("0007", 1), ("0042", 2))
    ]
    late = message(pid.format("0007"), obx.format(3), control="9", said="20260401080000+0000")
    merges = [
        message(
            pid.format("0042"), "MRG|0007^^^HOSP^MR", kind="ADT^A40", control="m1", said="20260302080000+0000"
        ),
        message(
            pid.format("0099"), "MRG|0042^^^HOSP^MR", kind="ADT^A40", control="m2", said="20260303080000+0000"
        ),
    ]
    for order in ([*results, late, *merges], [*reversed(merges), late, *results]):
        found = facts(read(*order))
        assert found["subject_id"].unique().to_list() == [subject_number("HOSP|0099")]
        assert sorted(found["numeric_value"]) == [1, 2, 3]


def test_an_order_is_not_a_result_and_its_end_is_told(read):
    """NW orders, DC ends, CA cancels; RDE's RXE carries the dose."""
    orders = [
        message(
            PID,
            "ORC|NW|P1|||||||20260301100000+0000",
            "OBR|1|P1||24725-4^CT head^LN",
            kind="ORM^O01",
            control="1",
        ),
        message(
            PID,
            "ORC|CA|P1|||||||20260301110000+0000",
            "OBR|1|P1||24725-4^CT head^LN",
            kind="ORM^O01",
            control="2",
        ),
        message(
            PID,
            "ORC|NW|P2|||||||20260301120000+0000",
            "RXE||1191^Aspirin^RXNORM|81||mg",
            kind="RDE^O11",
            control="3",
        ),
        message(
            PID,
            "ORC|DC|P2|||||||20260303120000+0000",
            "RXE||1191^Aspirin^RXNORM",
            kind="RDE^O11",
            control="4",
        ),
    ]
    assert facts(read(*orders)).select("time", "code", "numeric_value", "unit").rows() == [
        (at("2026-03-01T10:00"), "ORDER//LOINC//24725-4", None, None),
        (at("2026-03-01T11:00"), "CANCELLED//ORDER//LOINC//24725-4", None, None),
        (at("2026-03-01T12:00"), "ORDER//RXNORM//1191", 81.0, "mg"),
        (at("2026-03-03T12:00"), "END//ORDER//RXNORM//1191", None, None),
    ]


def test_an_appointment_is_told_when_it_is_booked_with_the_days_until_it(read):
    """Booked on 1 March 09:15 for 3 March 21:15: two and a half days."""
    sch = "SCH|A1||||||CHK^Check-up^L||||^^^20260303211500+0000"
    (row,) = facts(read(message(sch, PID, kind="SIU^S12"))).rows(named=True)
    assert (row["time"], row["code"], row["numeric_value"], row["unit"]) == (
        at("2026-03-01T09:15"),
        "APPOINTMENT//BOOKED//LOCAL//CHK",
        2.5,
        "d",
    )


def test_a_document_is_a_note_with_its_words(read):
    txa = "TXA|1|DS^Discharge summary|TX|20260301070000+0000||||||||D1"
    (row,) = facts(
        read(
            message(PID, txa, "OBX|1|TX|1^x||Went home.||||||F", "OBX|2|TX|1^x||Well.||||||F", kind="MDM^T02")
        )
    ).rows(named=True)
    assert (row["code"], row["text_value"], row["time"]) == (
        "NOTE//DS",
        "Went home.\nWell.",
        at("2026-03-01T07:00"),
    )


def test_a_diagnosis_told_again_with_every_update_is_one_row(read):
    """DG1-5 is empty, so the diagnosis is of the first message of its visit."""
    segments = (PID, "PV1|1|I|W1||||||||||||||||V1", "DG1|1||J18.9^Pneumonia^I10C")
    updates = [
        message(*segments, kind="ADT^A08", control=str(day), said=f"2026030{day}080000+0000")
        for day in (1, 2, 3)
    ]
    assert facts(read(*reversed(updates))).select("time", "code").rows() == [
        (at("2026-03-01T08:00"), "ICD10CM//J18.9")
    ]


def test_the_same_files_twice_overlapping_and_in_parts_give_the_same_rows(read):
    """Re-reading changes nothing: not the order of files, not the same message in two of them, not small parts."""
    messages = [
        message(
            PID.replace("0042", f"{number:04d}"),
            ORDER,
            *(f"OBX|{place}|NM|{place}-1^x^LN||{number}.{place}|mmol/L|||||F" for place in range(4)),
            control=str(number),
        )
        for number in range(30)
    ]
    once = read("".join(messages))
    again = read("".join(messages[10:]), "".join(messages[:20]), rows=7)
    assert events(once).equals(events(again))
    assert (once.codes, once.units) == (again.codes, again.units)


def test_books_count_every_segment(read):
    """Two OBX of which one is rejected, a Z segment that nobody reads, and a line that is no segment."""
    found = read(
        message(PID, ORDER, "OBX|1|NM|1^x^L||1||||||F", "OBX|2|NM|1^x^L||x||||||F", "ZZZ|1", "what is this")
    )
    books = {table.name: (table.read, table.kept, table.rejected, table.events) for table in found.tables}
    assert books == {"MSH": (2, 1, 1, 0), "OBX": (2, 1, 1, 1), "PID": (1, 1, 0, 2)}
    assert found.noted["segments not read"] == {"ZZZ": 1}
    assert found.noted["messages"] == {"ORU^R01": 1}
    assert rejected(found) == [
        (5, "OBX-5", "not a number that a 32-bit float can hold"),
        (7, "", "the line is no segment"),
    ]
