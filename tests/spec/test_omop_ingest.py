"""What each row of an OMOP database becomes on a timeline, and why some rows do not."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import typer
from typer.testing import CliRunner

from salus.cli.ingest import ingest
from tests.small_omop import ingested, write_tables

MEASUREMENT = (
    "measurement_id,person_id,measurement_concept_id,measurement_date,measurement_datetime,operator_concept_id,"
    "value_as_number,value_as_concept_id,unit_concept_id,range_low,range_high,measurement_source_value,"
    "unit_source_value,value_source_value\n"
)
CONDITION = (
    "condition_occurrence_id,person_id,condition_concept_id,condition_start_date,condition_start_datetime,"
    "condition_end_date,condition_end_datetime,condition_source_value,condition_source_concept_id\n"
)
VISIT = (
    "visit_occurrence_id,person_id,visit_concept_id,visit_start_date,visit_start_datetime,visit_end_date,"
    "visit_end_datetime,visit_source_value,admitted_from_concept_id,discharged_to_concept_id\n"
)
OBSERVATION = (
    "observation_id,person_id,observation_concept_id,observation_date,value_as_number,value_as_string,"
    "value_as_concept_id,observation_source_value\n"
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_potassium_is_a_code_a_value_and_a_ucum_unit(tmp_path):
    """5.9 mmol/L at 08:00: concept 3023103 is LOINC 2823-3, unit concept 8753 is UCUM mmol/L."""
    told = MEASUREMENT + "7,1,3023103,2026-03-01,2026-03-01 08:00:00,0,5.9,0,8753,,,K,mmol,5.9\n"
    found = ingested(write_tables(tmp_path / "omop", measurement=told))
    assert found.rows("subject_id", "time", "code", "numeric_value", "text_value", "unit", "source") == [
        (
            1,
            at("2026-03-01 08:00"),
            "LOINC//2823-3",
            float(pl.Series([5.9], dtype=pl.Float32)[0]),
            None,
            "mmol/L",
            "measurement:7",
        )
    ]
    (code,) = found.codes.filter(pl.col("code") == "LOINC//2823-3").rows(named=True)
    assert (code["description"], code["unit"], code["decimals"]) == ("Serum potassium", "mmol/L", 1)
    assert code["parent_codes"] == ["OMOP//measurement", "OMOP//3023103"]


def test_sex_race_and_birth_are_what_person_says(tmp_path):
    """A day of birth that is not told is the first of the month; race 0 says nothing; sex and race have no time."""
    found = ingested(write_tables(tmp_path / "omop"))
    assert found.events.select("subject_id", "time", "code").rows() == [
        (1, None, "ETHNICITY//Not Hispanic or Latino"),
        (1, None, "RACE//White"),
        (1, None, "SEX//F"),
        (1, at("1950-05-03"), "MEDS_BIRTH"),
        (2, None, "SEX//M"),
        (2, at("1960-07-01"), "MEDS_BIRTH"),
    ]
    assert found.books.tables[0].assumed_times == {"birth": 1}


def test_a_year_alone_is_a_birth_on_the_fifteenth_of_june(tmp_path):
    """So OMOP's own conventions say."""
    person = (
        "person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth,race_concept_id,ethnicity_concept_id\n"
        "1,0,1970,,,0,0\n"
    )
    assert ingested(write_tables(tmp_path / "omop", person=person)).events["time"].to_list() == [
        at("1970-06-15")
    ]


def test_a_visit_begins_and_ends_and_says_from_where_to_where(tmp_path):
    told = VISIT + "4,1,9201,2026-03-01,2026-03-01 08:00:00,2026-03-04,2026-03-04 11:30:00,x,9203,8536\n"
    found = ingested(write_tables(tmp_path / "omop", visit_occurrence=told))
    assert found.rows("time", "code", "source") == [
        (at("2026-03-01 08:00"), "ADMITTED_FROM//Visit//ER", "visit_occurrence:4"),
        (at("2026-03-01 08:00"), "Visit//IP", "visit_occurrence:4"),
        (at("2026-03-04 11:30"), "DISCHARGED_TO//CMS Place of Service//12", "visit_occurrence:4"),
        (at("2026-03-04 11:30"), "END//Visit//IP", "visit_occurrence:4"),
    ]
    assert found.events.filter(pl.col("code") == "END//Visit//IP")["known_time"].to_list() == [
        at("2026-03-04 11:30")
    ]


def test_the_names_of_version_5_3_mean_the_same(tmp_path):
    head = VISIT.replace("admitted_from_", "admitting_source_").replace("discharged_to_", "discharge_to_")
    row = "4,1,9201,2026-03-01,,2026-03-04,,x,9203,8536\n"
    new = ingested(write_tables(tmp_path / "new", visit_occurrence=VISIT + row))
    old = ingested(write_tables(tmp_path / "old", visit_occurrence=head + row))
    assert old.events.equals(new.events)


def test_a_drug_has_its_days_and_its_end(tmp_path):
    told = (
        "drug_exposure_id,person_id,drug_concept_id,drug_exposure_start_date,drug_exposure_end_date,days_supply\n"
        "5,1,1125315,2026-03-01,2026-03-08,7\n"
    )
    found = ingested(write_tables(tmp_path / "omop", drug_exposure=told))
    assert found.rows("time", "code", "numeric_value", "unit") == [
        (at("2026-03-01"), "RxNorm//161", 7.0, "d"),
        (at("2026-03-08"), "END//RxNorm//161", None, None),
    ]


def test_an_end_that_is_a_mere_day_is_no_earlier_than_the_start_on_that_day(tmp_path):
    """Begun at 14:00, ended that same day, no hour told: not at midnight before."""
    told = CONDITION + "5,1,255848,2026-03-01,2026-03-01 14:00:00,2026-03-01,,,0\n"
    found = ingested(write_tables(tmp_path / "omop", condition_occurrence=told))
    assert found.rows("time", "code") == [
        (at("2026-03-01 14:00"), "END//SNOMED//233604007"),
        (at("2026-03-01 14:00"), "SNOMED//233604007"),
    ]


def test_what_no_concept_says_keeps_the_source_s_word_and_is_counted(tmp_path):
    """Concept 0: the source's concept, else its word; a concept the vocabulary lacks keeps its number."""
    told = CONDITION + (
        "1,1,0,2026-03-01,,,,J18.9,45591453\n2,1,0,2026-03-02,,,,Lungenentz.,0\n3,1,999,2026-03-03,,,,x,0\n"
        "4,1,255848,2026-03-04,,,,J18.9,45591453\n5,1,0,2026-03-05,,,,,0\n"
    )
    found = ingested(write_tables(tmp_path / "omop", condition_occurrence=told))
    assert [code for (code,) in found.rows("code")] == [
        "ICD10CM//J18.9",
        "CONDITION//Lungenentz.",
        "OMOP//999",
        "SNOMED//233604007",
    ]
    assert found.books.noted["condition_occurrence"] == {
        "by a concept not in the vocabulary": 1,
        "by concept": 1,
        "by the source's concept": 1,
        "by the source's word": 1,
    }
    assert found.reasons() == [
        (
            "condition_occurrence",
            5,
            "",
            "neither a concept nor a word of the source that can be part of a code",
        )
    ]


def test_below_the_limit_of_detection_is_not_a_number(tmp_path):
    """Operator 4171756 is <: "<0.5" is kept as a text, because 0.5 was not measured."""
    told = MEASUREMENT + "7,1,3023103,2026-03-01,,4171756,0.5,0,8753,,,,,\n"
    found = ingested(write_tables(tmp_path / "omop", measurement=told))
    assert found.rows("numeric_value", "text_value", "unit") == [(None, "<0.5", "mmol/L")]


def test_a_reference_range_stays_with_its_value(tmp_path):
    told = (
        MEASUREMENT
        + "7,1,3023103,2026-03-01,,0,5,0,8753,3.5,5.1,,,\n8,1,3023103,2026-03-02,,0,5,0,0,,5.1,,mmol,\n"
    )
    found = ingested(write_tables(tmp_path / "omop", measurement=told))
    assert found.rows("numeric_value", "text_value", "unit") == [
        (5.0, "ref 3.5..5.1 mmol/L", "mmol/L"),
        (5.0, "ref ..5.1 mmol", "mmol"),
    ]


def test_an_answer_is_part_of_the_code_and_a_text_is_a_text(tmp_path):
    told = OBSERVATION + (
        "1,1,4041306,2026-03-01,,,4298794,\n2,1,4041306,2026-03-02,20,,0,\n3,1,4041306,2026-03-03,,since youth,0,\n"
    )
    found = ingested(write_tables(tmp_path / "omop", observation=told))
    assert found.rows("code", "numeric_value", "text_value") == [
        ("SNOMED//229819007//SNOMED:77176002", None, None),
        ("SNOMED//229819007", 20.0, None),
        ("SNOMED//229819007", None, "since youth"),
    ]
    names = dict(found.codes.select("code", "description").iter_rows())
    assert names["SNOMED//229819007//SNOMED:77176002"] == "Tobacco use: Smoker"


def test_death_and_its_cause(tmp_path):
    told = "person_id,death_date,death_datetime,cause_concept_id\n1,2026-03-01,,255848\n2,2026-03-02,,0\n"
    found = ingested(write_tables(tmp_path / "omop", death=told))
    assert found.rows("subject_id", "time", "code") == [
        (1, at("2026-03-01"), "CAUSE_OF_DEATH//SNOMED//233604007"),
        (1, at("2026-03-01"), "MEDS_DEATH"),
        (2, at("2026-03-02"), "MEDS_DEATH"),
    ]
    assert dict(found.codes.select("code", "role").iter_rows())["MEDS_DEATH"] == "death"


def test_notes_devices_procedures_details_and_periods(tmp_path):
    tables = {
        "note": "note_id,person_id,note_date,note_class_concept_id,note_title,note_text\n"
        "1,1,2026-03-01,0,Letter,Dear all\n",
        "device_exposure": "device_exposure_id,person_id,device_concept_id,device_exposure_start_date\n"
        "1,1,77,2026-03-02\n",
        "procedure_occurrence": "procedure_occurrence_id,person_id,procedure_concept_id,procedure_date,"
        "procedure_end_date\n"
        "1,1,78,2026-03-03,2026-03-03\n",
        "visit_detail": "visit_detail_id,person_id,visit_detail_concept_id,visit_detail_start_date\n"
        "1,1,9203,2026-03-04\n",
        "observation_period": "observation_period_id,person_id,observation_period_start_date,"
        "observation_period_end_date,period_type_concept_id\n1,1,2026-01-01,2026-12-31,0\n",
    }
    found = ingested(write_tables(tmp_path / "omop", **tables))
    assert found.rows("time", "code", "text_value") == [
        (at("2026-01-01"), "OBSERVATION_PERIOD", None),
        (at("2026-03-01"), "NOTE//Letter", "Dear all"),
        (at("2026-03-02"), "OMOP//77", None),
        (at("2026-03-03"), "END//OMOP//78", None),
        (at("2026-03-03"), "OMOP//78", None),
        (at("2026-03-04"), "VISIT_DETAIL//Visit//ER", None),
        (at("2026-12-31"), "END//OBSERVATION_PERIOD", None),
    ]
    roles = dict(found.codes.select("code", "role").iter_rows())
    assert roles["END//OBSERVATION_PERIOD"] == "follow_up_end"


def test_a_code_is_a_kind_of_what_the_vocabulary_puts_above_it(tmp_path):
    """First what a source's code maps to, then what it is a kind of, one level up, and so on upwards."""
    told = CONDITION + "1,1,0,2026-03-01,,,,J18.9,45591453\n"
    found = ingested(
        write_tables(
            tmp_path / "omop",
            condition_occurrence=told,
            concept_relationship="concept_id_1,concept_id_2,relationship_id,invalid_reason\n"
            "45591453,255848,Maps to,\n255848,255848,Maps to,\n45591453,4024567,Is a,D\n",
            concept_ancestor="ancestor_concept_id,descendant_concept_id,min_levels_of_separation,max_levels_of_separation\n"
            "255848,255848,0,0\n4024567,255848,1,2\n",
        )
    )
    above = dict(found.codes.select("code", "parent_codes").iter_rows())
    assert above["ICD10CM//J18.9"] == ["SNOMED//233604007", "OMOP//condition_occurrence", "OMOP//45591453"]
    assert above["SNOMED//233604007"] == ["SNOMED//19829001", "OMOP//255848"]
    assert above["SNOMED//19829001"] == ["OMOP//4024567"]


def test_local_clocks_become_utc_and_an_hour_shown_twice_cannot_be_told(tmp_path):
    """Berlin, 2026: 08:00 in March is 07:00 UTC; 02:30 on 25 October came twice; 02:30 on 29 March never came."""
    told = MEASUREMENT + "".join(
        f"{number},1,3023103,{day[:10]},{day},0,5,0,0,,,,,\n"
        for number, day in enumerate(
            [
                "2026-03-01 08:00:00",
                "2026-10-25 02:30:00",
                "2026-03-29 02:30:00",
                "2026-07-01 08:00:00+04:00",
            ],
            start=1,
        )
    )
    found = ingested(write_tables(tmp_path / "omop", measurement=told), zone="Europe/Berlin")
    assert [time for (time,) in found.rows("time")] == [at("2026-03-01 07:00"), at("2026-07-01 04:00")]
    assert [line for _, line, _, _ in found.reasons()] == [2, 3]


def test_each_way_in_which_a_row_cannot_be_kept(tmp_path):
    told = CONDITION + (
        "1,1,255848,2026-03-05,,2026-03-04,,,0\n"  # end before start
        "2,9,255848,2026-03-05,,,,,0\n"  # nobody of table person
        "3,1,255848,0001-01-01,,,,,0\n"
        "4,1,255848,2026-03-05,,9999-12-31,,,0\n"
        "5,1,255848,2026-03,,,,,0\n"  # not a day
        "6,x,255848,2026-03-05,,,,,0\n"
        "7.5,1,255848,2026-03-05,,,,,0\n"
        "8,1,255848,2026-02-30,,,,,0\n"  # no such day
        "9,1,255848,2026-03-05,2026-03-05 25:00,,,,0\n"  # no such hour
        "10,1,255848,2026-03-05,,2026-03-06,,,0\n"
        "10,1,255848,2026-03-05,,2026-03-06,,,0\n"
        "11,1,255848,2026-03-05,,soon,,,0\n"
    )
    value = (
        MEASUREMENT + "1,1,3023103,2026-03-01,,0,987.65x,0,0,,,,,\n2,1,3023103,2026-03-01,,0,1e39,0,0,,,,,\n"
    )
    found = ingested(write_tables(tmp_path / "omop", condition_occurrence=told, measurement=value))
    table, start, end = "condition_occurrence", "condition_start_date", "condition_end_date"
    no_time, no_end = "the time cannot be read or is impossible", "the end cannot be read or is impossible"
    assert found.rejected.sort("file", "line", nulls_last=True).rows() == [
        (table, 1, end, "the end is before the start"),
        (table, 2, "person_id", "the patient is not in table person, or that row was rejected"),
        (table, 3, start, no_time),
        (table, 4, end, no_end),
        (table, 5, start, no_time),
        (table, 6, "person_id", "the patient's id is not a whole number"),
        (table, 8, start, no_time),
        (table, 9, start, no_time),
        (table, 10, "condition_occurrence_id", "the id is that of another row"),
        (table, 11, end, no_end),
        (table, None, "condition_occurrence_id", "the row's id is not a whole number"),
        ("measurement", 1, "value_as_number", "not a number that a 32-bit float can hold"),
        ("measurement", 2, "value_as_number", "not a number that a 32-bit float can hold"),
    ]
    (books,) = (table for table in found.books.tables if table.name == "condition_occurrence")
    assert (books.read, books.kept, books.rejected, books.events) == (12, 1, 11, 2)


def test_tables_that_are_not_read_are_counted(tmp_path):
    found = ingested(
        write_tables(tmp_path / "omop", drug_era="drug_era_id\n1\n2\n", cost="cost_id\n", lab="id\n1\n")
    )
    assert found.books.noted["not read"] == {"cost": 0, "drug_era": 2}
    assert found.books.noted["no table of OMOP"] == {"lab.csv": 1}


def test_the_command_tells_the_books(tmp_path):
    app = typer.Typer()
    app.command()(ingest)
    told = CONDITION + "1,1,0,2026-03-01,,,,word,0\n"
    folder = write_tables(tmp_path / "omop", condition_occurrence=told)
    said = CliRunner().invoke(app, [str(folder), "--as", "omop", "--to", str(tmp_path / "timeline")])
    assert said.exit_code == 0
    assert "condition_occurrence: 1 by the source's word" in said.stdout
    assert "person: 1 " not in said.stdout
