"""The same two people through FHIR, HL7 v2, OMOP and CSV, with other ids and typing errors, become two people again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from salus.cli import main
from salus.errors import FolderTaken, TimelinesDiffer
from salus.linkage.ledger import Act, read_ledger, standing_lines
from salus.linkage.links import people_now
from salus.progress import QUIET
from salus.timeline.store import read_codes, read_settings, read_splits, read_timeline, timeline_digest
from salus.workflows.link import link
from salus.workflows.link_join import join
from tests.small_omop import write_tables
from tests.tiny_source import write_tiny

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATIENTS = [
    {
        "resourceType": "Patient",
        "id": "anna-in-the-clinic",
        "name": [{"use": "official", "family": "Meyer", "given": ["Anna"]}],
        "gender": "female",
        "birthDate": "1950-05-03",
        "address": [{"line": ["12 Mill Lane"], "postalCode": "10115"}],
        "identifier": [{"system": "urn:ssn", "value": "123-45-6789"}],
    },
    {
        "resourceType": "Patient",
        "id": "jan-in-the-clinic",
        "name": [{"family": "Novak", "given": ["Jan"]}],
        "gender": "male",
        "birthDate": "1960-07-11",
        "telecom": [{"system": "phone", "value": "+49 40 7654321"}],
        "address": [{"line": ["1 High Street"], "postalCode": "20095"}],
    },
]
POTASSIUM = {"coding": [{"system": "http://loinc.org", "code": "2823-3"}]}
OBSERVATIONS = [
    {
        "resourceType": "Observation",
        "id": f"k-{who}",
        "status": "final",
        "code": POTASSIUM,
        "subject": {"reference": f"Patient/{who}"},
        "effectiveDateTime": "2026-01-01T08:00:00Z",
        "issued": "2026-01-01T09:10:00Z",
        "valueQuantity": {
            "value": value,
            "unit": "mmol/L",
            "system": "http://unitsofmeasure.org",
            "code": "mmol/L",
        },
    }
    for who, value in (("anna-in-the-clinic", 4.1), ("jan-in-the-clinic", 5.9))
]
MESSAGE = (
    "MSH|^~\\&|LAB|HOSP|||20260202120000||ORU^R01|{control}|P|2.5\r"
    "PID|1||{number}^^^LAB^PI||{name}||{birth}|{sex}|||{street}||{phone}||||||{ssn}\r"
    "OBR|1|||K^Potassium^L|||20260202080000\r"
    "OBX|1|NM|2823-3^Potassium^LN||{value}|mmol/L|||||F|||20260202080000\r"
)
MESSAGES = MESSAGE.format(
    control=1,
    number=7001,
    name="MEYER^ANA",
    birth="19500503",
    sex="F",
    street="12 Mill Lane^^^^10115",
    phone="",
    ssn="123456789",
    value=4.2,
) + MESSAGE.format(
    control=2,
    number=7002,
    name="Jan^Novak",
    birth="19601107",
    sex="M",
    street="1 High Street^^^^20095",
    phone="040 7654321",
    ssn="",
    value=5.8,
)
MEASUREMENT = """
measurement_id,person_id,measurement_concept_id,measurement_date,measurement_datetime,value_as_number,unit_concept_id
71,1,3023103,2026-03-01,2026-03-01 08:00:00,4.3,8753
72,2,3023103,2026-03-02,2026-03-02 08:00:00,5.7,8753
"""
PEOPLE_OF_OMOP = """person_id,first,last,born,zip,street
1,Anna,Meyer,03.05.1950,10115,12 Mill Lane
2,Jan,Nowak,11.07.1960,20095,1 High Street
"""
DECLARED = """
folder: identities
key: joined.key
systems:
  clinic: {as: fhir, identities: fhir, key: clinic.key, timeline: clinic}
  lab: {as: hl7v2, identities: lab.hl7, authorities: {SS: "urn:ssn"}, timeline: lab}
  registry:
    as: table
    identities: people.csv
    numbered: omop
    key: clinic.key
    columns: {id: person_id, given: first, family: last, birth_date: born, postcode: zip, street: street}
    dates: "%d.%m.%Y"
    timeline: registry
"""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three systems read by their ways in, the first and the last with a key of pseudonyms."""
    folder = tmp_path_factory.mktemp("hospital")
    (folder / "clinic.key").write_bytes(b"a key of sixteen and more")
    (folder / "joined.key").write_bytes(b"another key of sixteen and more")
    (folder / "fhir").mkdir()
    resources = [*PATIENTS, *OBSERVATIONS]
    (folder / "fhir" / "all.ndjson").write_text("".join(json.dumps(one) + "\n" for one in resources))
    (folder / "lab.hl7").write_text(MESSAGES, newline="")
    write_tables(folder / "omop", measurement=MEASUREMENT)
    (folder / "people.csv").write_text(PEOPLE_OF_OMOP)
    (folder / "link.yaml").write_text(DECLARED)
    key = str(folder / "clinic.key")
    for source, form, name, keyed in (
        ("fhir", "fhir", "clinic", ["--key", key]),
        ("lab.hl7", "hl7v2", "lab", []),
        ("omop", "omop", "registry", ["--key", key]),
    ):
        said = ["ingest", str(folder / source), "--as", form, "--to", str(folder / name), *keyed]
        with pytest.raises(SystemExit) as end:
            main(said)
        assert end.value.code == 0
    link(folder / "link.yaml", now=NOW, progress=QUIET)
    return folder


def potassium(timeline: Path) -> dict[int, list[float]]:
    """Each person's potassium values in order of time."""
    rows = read_timeline(timeline).filter(pl.col("code") == "LOINC//2823-3").sort("subject_id", "time")
    return {
        int(str(person)): [round(value, 1) for value in values]
        for person, values in rows.group_by("subject_id").agg("numeric_value").iter_rows()
    }


def test_each_record_finds_the_others_whatever_its_id(hospital):
    """Ana for Anna, Nowak for Novak, given name for family name, day for month: three records a person."""
    lines = read_ledger(hospital / "identities")
    assert {line.act for line in standing_lines(lines).values()} == {Act.ACCEPTED}
    groups = people_now(lines)
    assert {len(groups.members(one)) for line in lines for one in line.pair} == {3}


def test_the_joined_timeline_is_that_of_two_people(hospital):
    joined = join(hospital / "link.yaml", hospital / "joined", progress=QUIET)
    assert joined.people == {3: 2}
    assert sorted(potassium(hospital / "joined").values()) == [[4.1, 4.2, 4.3], [5.9, 5.8, 5.7]]
    assert read_splits(hospital / "joined").height == 2


def test_every_event_is_kept_or_was_told_by_another_system(hospital):
    """Books balance, and what a result says and when it was known survives."""
    books = join(hospital / "link.yaml", hospital / "joined", progress=QUIET).as_json()
    events = read_timeline(hospital / "joined")
    assert books["read"] == sum(
        read_timeline(hospital / name).height for name in ("clinic", "lab", "registry")
    )
    assert books["read"] == events.height + books["told_by_several_systems"]
    first = events.filter(pl.col("code") == "LOINC//2823-3", pl.col("source").str.starts_with("clinic:"))
    assert set(first["known_time"]) == {datetime(2026, 1, 1, 9, 10)}
    assert json.loads((hospital / "joined" / "books.json").read_text()) == books


def test_the_join_is_the_same_again_to_the_byte(hospital):
    join(hospital / "link.yaml", hospital / "once", progress=QUIET)
    join(hospital / "link.yaml", hospital / "twice", progress=QUIET)
    assert timeline_digest(hospital / "once") == timeline_digest(hospital / "twice")


def test_nothing_of_who_they_are_is_outside_their_file(hospital):
    """Names, streets, phones, numbers and ids as told, in no file but the identities."""
    join(hospital / "link.yaml", hospital / "joined", progress=QUIET)
    told = ("meyer", "novak", "nowak", "mill lane", "high street", "7654321", "123456789", "123-45-6789")
    told += ("anna-in-the-clinic", "jan-in-the-clinic", "7001", "7002", "10115", "20095")
    written = (hospital / "identities" / "ledger.jsonl").read_text().lower()
    for table in (read_timeline(hospital / "joined"), read_codes(hospital / "joined")):
        written += table.write_json().lower()
    written += (hospital / "joined" / "metadata" / "dataset.json").read_text().lower()
    assert not [one for one in told if one in written]
    assert "1950-05-03" not in (hospital / "identities" / "ledger.jsonl").read_text()


def test_a_system_s_own_timeline_is_not_replaced(hospital):
    with pytest.raises(FolderTaken):
        join(hospital / "link.yaml", hospital / "lab", progress=QUIET)


def test_timelines_that_count_from_another_zero_are_not_joined(hospital, tmp_path):
    """The days of a trial since its own beginning are no dates of a clinic."""
    with pytest.raises(SystemExit):
        main(["ingest", str(write_tiny(tmp_path)), "--to", str(hospital / "tiny")])
    assert read_settings(hospital / "tiny").time_zero is not None
    told = (hospital / "link.yaml").read_text().replace("timeline: registry", "timeline: tiny")
    (hospital / "other.yaml").write_text(told)
    with pytest.raises(TimelinesDiffer):
        join(hospital / "other.yaml", hospital / "joined", progress=QUIET)


def test_the_command_says_counts_and_no_names(hospital, capsys):
    for asked in (["--doubtful"], [], ["--join", str(hospital / "joined")], ["--json"]):
        with pytest.raises(SystemExit) as end:
            main(["link", str(hospital / "link.yaml"), *asked])
        assert end.value.code == 0
    said = "".join(capsys.readouterr()).lower()
    assert "2 with 3 records" in said
    assert not [one for one in ("meyer", "novak", "mill", "7001", "1950") if one in said]
