"""Who is one patient in several systems: weights, what speaks against a pair, people's decisions, and undoing."""

from __future__ import annotations

import json
import re
import stat
from datetime import UTC, date, datetime
from math import log2
from pathlib import Path

import pytest

from salus.cli import main
from salus.errors import (
    ColumnMissing,
    IdentitiesExposed,
    IdentitiesMissing,
    InputEmpty,
    InputUnreadable,
    LedgerBroken,
    NoSuchLine,
    ReasonTells,
    SourceKeyError,
    SourceValueError,
    UsageProblem,
)
from salus.intake.fhir_groups import NO_RESOURCE
from salus.linkage.comparing import compare_identities
from salus.linkage.deciding import (
    BETTER,
    CHAIN,
    NO_GIVEN,
    OTHER_GIVEN,
    OTHER_NUMBERS,
    RIVAL,
    TWINS,
    TWO_DIFFER,
    Thresholds,
    judge,
)
from salus.linkage.declaration import System, Way, read_declaration
from salus.linkage.fhir_patient import read_patient
from salus.linkage.hl7v2_pid import read_pid
from salus.linkage.identity import Identity, identity_frame
from salus.linkage.ledger import Act, read_ledger, standing_lines
from salus.linkage.links import compared_pairs, known_of, people_now
from salus.linkage.pairs import Pair, Record, Standing
from salus.linkage.people_table import read_people
from salus.progress import QUIET
from salus.timeline.subjects import subject_number
from salus.workflows.link import Signed, decide, doubtful, link, show, undo
from salus.workflows.link_people import read_system
from tests.shape.sources import ROOT

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIGNED = Signed(by="I. Kaya", reason="confirmed by phone", when=NOW)
CLINIC = """\
nr,given,family,born,sex,zip,street,ssn
1,Anna,Meyer,1980-05-03,F,10115,12 Mill Lane,123456789
2,Jan,Novak,1955-12-11,M,20095,1 High Street,
3,Elif,Yilmaz,1990-01-02,F,30159,7 Park Avenue,555666777
"""
LAB = """\
nr,given,family,born,sex,zip,street,ssn
7,ANNA,Meyer,1980-05-03,F,10115,12 Mill Lane,123-45-6789
8,Jan,Nowak,1955-12-11,M,20095,1 High Street,
9,Jana,Nowak,1955-12-11,F,20095,1 High Street,
10,Elif,Yilmaz,1990-01-02,F,30159,7 Park Avenue,999666555
"""
BUNDLE = b'{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "1"}}]}'
OTHERS = ("Noah", "Emil", "Omar", "Ben", "Finn", "Ida", "Nora", "Lena")
"""So that Anna is no name that everybody has."""
SYSTEM = """\
  {name}:
    identities: {name}.csv
    as: table
    columns: {{id: nr, given: given, family: family, birth_date: born, sex: sex, postcode: zip, street: street}}
    identifiers: {{"urn:ssn": ssn}}
"""


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    """Two systems with seven invented records of perhaps four people."""
    (tmp_path / "clinic.csv").write_text(CLINIC)
    (tmp_path / "lab.csv").write_text(LAB)
    declared = "folder: identities\nsystems:\n" + SYSTEM.format(name="clinic") + SYSTEM.format(name="lab")
    (tmp_path / "link.yaml").write_text(declared)
    return tmp_path / "link.yaml"


def run(path: Path) -> dict[str, int]:
    """Link once; what was added."""
    return link(path, now=NOW, progress=QUIET).added


def record(system: str, subject: int, **told: object) -> Identity:
    """Anna, as a system has her."""
    anna: dict[str, object] = {
        "given": "Anna",
        "family": "Meyer",
        "birth_date": date(1980, 5, 3),
        "sex": "F",
        "street": "12 Mill Lane",
        "postcode": "10115",
    }
    return Identity(system=system, subject=subject, id=str(subject), **{**anna, **told})  # type: ignore[arg-type]


def judged(*people: Identity, limits: Thresholds = Thresholds(doubt=-20)) -> dict[str, tuple[str, str]]:  # noqa: B008
    """How each pair stands, and why."""
    frame = identity_frame(people)
    compared = compared_pairs(compare_identities(frame, at_least=limits.doubt))
    return {
        str(one.compared.pair): (one.standing.value, one.reason)
        for one in judge(compared, {}, known=known_of(frame), limits=limits)
    }


def test_the_weight_is_the_sum_over_fields_and_the_odds_before():
    """Two records a system, one pair alike in birth date and sex: names apart so that nothing depends on commonness."""
    people = [
        record("a", 1, given="", family="", postcode="", street="", phone="030 1234567"),
        record("b", 2, given="", family="", postcode="", street="", phone="030 1234567"),
    ]
    pairs = compare_identities(identity_frame(people), at_least=-20)
    # one pair of records, half a person in both: odds 0.5 : 0.5, log2 = 0
    expected = log2(0.935 / 0.00004) + log2(0.99 / 0.5) + log2(0.60 / 0.0005)
    assert pairs["weight"].to_list() == [pytest.approx(expected, abs=1e-5)]
    assert pairs["given"].to_list() == ["not said"]


@pytest.mark.parametrize(
    ("told", "field", "agreement"),
    [
        ({"given": "ANNA MARIA"}, "given", "same"),
        ({"given": "Ana"}, "given", "similar"),
        ({"given": "A."}, "given", "in part"),
        ({"given": "Meyer", "family": "Anna"}, "given", "swapped"),
        ({"given": "Meyer", "family": "Anna Maria"}, "given", "swapped"),
        ({"given": "Berta"}, "given", "different"),
        ({"given": ""}, "given", "not said"),
        ({"family": "Méyer"}, "family", "same"),
        ({"family": "Brandt", "former": "Meyer"}, "family", "former"),
        ({"birth_date": date(1980, 3, 5)}, "birth_date", "swapped"),
        ({"birth_date": date(1990, 5, 3)}, "birth_date", "similar"),
        ({"birth_date": date(1980, 5, 21)}, "birth_date", "in part"),
        ({"birth_date": date(1955, 5, 3)}, "birth_date", "different"),
        ({"birth_date": date(1981, 6, 4)}, "birth_date", "different"),
        ({"street": "12 Mill Laine"}, "address", "similar"),
        ({"street": "40 High Street"}, "address", "in part"),
        ({"phone": "+49 30 1234567"}, "phone", "same"),
        ({"phone": "030 1234576"}, "phone", "similar"),
        ({"identifiers": ("urn:ssn|123-45-6789",)}, "identifiers", "same"),
        ({"identifiers": ("urn:ssn|123456780",)}, "identifiers", "similar"),
        ({"identifiers": ("urn:ssn|123456798",)}, "identifiers", "similar"),
        ({"identifiers": ("urn:ssn|987654321",)}, "identifiers", "different"),
        ({"identifiers": ("urn:other|123456789",)}, "identifiers", "not said"),
    ],
)
def test_how_far_two_records_agree(told, field, agreement):
    left = record("a", 1, phone="0049301234567", identifiers=("urn:ssn|123456789",))
    pairs = compare_identities(identity_frame([left, record("b", 2, **told)]), at_least=-40)
    assert pairs[field].to_list() == [agreement]


def test_records_of_one_system_are_never_compared():
    assert not judged(record("a", 1), record("a", 2))


def test_the_same_in_all_is_accepted():
    assert judged(record("a", 1), record("b", 2))["a/1 = b/2"][0] == "accepted"


def test_another_number_of_the_same_authority_goes_to_a_person():
    left, right = record("a", 1, identifiers=("urn:ssn|111",)), record("b", 2, identifiers=("urn:ssn|222",))
    assert judged(left, right)["a/1 = b/2"] == ("doubtful", OTHER_NUMBERS)


def test_a_number_a_digit_apart_is_a_mistake_if_names_and_birth_date_are_the_same():
    """Sisters that were registered one after the other have numbers a digit apart: then a person decides."""
    left, right = {"identifiers": ("urn:ssn|123456789",)}, {"identifiers": ("urn:ssn|123456788",)}
    assert judged(record("a", 1, **left), record("b", 2, **right))["a/1 = b/2"][0] == "accepted"
    found = judged(record("a", 1, **left), record("b", 2, given="Ana", **right))
    assert found["a/1 = b/2"] == ("doubtful", OTHER_NUMBERS)


def test_a_sister_at_the_same_address_is_refused():
    """Given name and birth date differ: name, address and phone are the family's."""
    sister = record("b", 2, given="Clara", birth_date=date(1983, 9, 21), phone="030 1234567")
    assert judged(record("a", 1, phone="030 1234567"), sister)["a/1 = b/2"] == ("refused", TWO_DIFFER)


def test_a_twin_is_doubtful_where_the_other_twin_is_not_there_and_refused_where_she_is():
    """Name of the family, birth date, sex and address are shared; only the given name tells twins apart."""
    anna, berta = record("a", 1), record("b", 3, given="Berta")
    assert judged(anna, berta)["a/1 = b/3"][0] == "doubtful"
    others = [
        record("a", 10 + n, given=name, family=name, postcode="", street="", birth_date=None)
        for n, name in enumerate(OTHERS)
    ]
    both = judged(anna, record("b", 2), berta, *others)
    assert both == {
        "a/1 = b/2": ("accepted", both["a/1 = b/2"][1]),
        "a/1 = b/3": ("refused", BETTER),
    }


@pytest.mark.parametrize("given", ["", "Baby Girl", "unknown"])
def test_without_a_given_name_a_person_decides_unless_a_number_is_shared(given):
    """Two newborn twins called Baby are the same in everything else."""
    baby = {"given": given, "phone": "030 1234567"}
    assert judged(record("a", 1, **baby), record("b", 2, **baby))["a/1 = b/2"] == ("doubtful", NO_GIVEN)
    baby |= {"identifiers": ("urn:ssn|111",)}
    assert judged(record("a", 1, **baby), record("b", 2, **baby))["a/1 = b/2"][0] == "accepted"


def test_a_name_a_letter_apart_is_a_mistake_only_where_no_twin_is_known():
    """Ana is Anna; but where b has both an Ana and a Clara of that family and day, Ana may be a third."""
    assert judged(record("a", 1), record("b", 2, given="Ana"))["a/1 = b/2"][0] == "accepted"
    found = judged(record("a", 1), record("b", 2, given="Ana"), record("b", 3, given="Clara"))
    assert found["a/1 = b/2"][0] == "doubtful"
    assert TWINS in found["a/1 = b/2"][1]


def test_a_number_and_the_birth_date_vouch_for_a_name_that_was_changed():
    number = {"identifiers": ("urn:ssn|111",)}
    found = judged(record("a", 1, **number), record("b", 2, given="Berta", **number))
    assert found["a/1 = b/2"][0] == "accepted"


def test_two_records_that_fit_nearly_as_well_both_go_to_a_person():
    found = judged(record("a", 1), record("b", 2), record("b", 3))
    assert found == {"a/1 = b/2": ("doubtful", RIVAL), "a/1 = b/3": ("doubtful", RIVAL)}


def test_a_chain_that_ends_in_a_contradiction_goes_to_a_person():
    """a and c bear different numbers; b bears none and fits both: the weaker link of b is not made."""
    first = record("a", 1, identifiers=("urn:ssn|111",), phone="030 1234567")
    middle = record("b", 2, phone="030 1234567")
    last = record("c", 3, identifiers=("urn:ssn|222",))
    found = judged(first, middle, last)
    assert found["a/1 = b/2"][0] == "accepted"
    assert found["b/2 = c/3"] == ("doubtful", CHAIN)
    assert found["a/1 = c/3"] == ("doubtful", OTHER_NUMBERS)


def test_a_run_links_waits_and_does_not_repeat_itself(hospital):
    """Anna is sure; Jan has a near namesake of the other sex; Elif has two numbers."""
    assert run(hospital) == {"accepted": 1, "doubtful": 3}
    lines = {str(line.pair): line.act for line in read_ledger(hospital.parent / "identities")}
    assert lines == {
        "clinic/1 = lab/7": Act.ACCEPTED,
        "clinic/2 = lab/8": Act.DOUBTED,
        "clinic/2 = lab/9": Act.DOUBTED,
        "clinic/3 = lab/10": Act.DOUBTED,
    }
    assert run(hospital) == {}


def test_what_a_person_decides_stands_and_settles_the_rest(hospital):
    run(hospital)
    jan = next(line for line in doubtful(hospital) if line.pair.right == Record("lab", 8))
    decide(hospital, jan.number, Standing.ACCEPTED, signed=SIGNED)
    run(hospital)
    folder = hospital.parent / "identities"
    standing = standing_lines(read_ledger(folder))
    accepted = standing[Pair(Record("clinic", 2), Record("lab", 8))]
    assert (accepted.act, accepted.who, accepted.reason) == (Act.ACCEPTED, "I. Kaya", "confirmed by phone")
    assert people_now(read_ledger(folder)).members(Record("lab", 8)) == [
        Record("clinic", 2),
        Record("lab", 8),
    ]


def test_a_link_undone_is_as_if_never_made_and_is_not_made_again_by_itself(hospital):
    run(hospital)
    folder = hospital.parent / "identities"
    undone = undo(hospital, 1, signed=SIGNED)
    assert people_now(read_ledger(folder)).members(Record("lab", 7)) == [Record("lab", 7)]
    assert run(hospital) == {"doubtful": 1}
    assert people_now(read_ledger(folder)).members(Record("lab", 7)) == [Record("lab", 7)]
    undo(hospital, len(read_ledger(folder)), signed=SIGNED)
    undo(hospital, undone.number, signed=SIGNED)
    assert len(people_now(read_ledger(folder)).members(Record("lab", 7))) == 2


def test_a_link_lasts_until_something_speaks_against_it_and_then_a_person_decides(hospital):
    """Anna moves and weighs less: still one person. Her given name changes in one system: a person decides."""
    run(hospital)
    clinic = hospital.parent / "clinic.csv"
    clinic.write_text(CLINIC.replace("12 Mill Lane,123456789", "40 Far Road,").replace("10115", "99999"))
    assert run(hospital) == {}
    clinic.write_text(CLINIC.replace("1,Anna", "1,Berta").replace("123456789", ""))
    assert run(hospital) == {"doubtful": 1}
    line = read_ledger(hospital.parent / "identities")[-1]
    assert (str(line.pair), line.act, line.reason) == ("clinic/1 = lab/7", Act.DOUBTED, OTHER_GIVEN)


def test_a_pair_that_no_longer_agrees_is_dropped_where_it_waited_and_waits_where_it_was_linked(hospital):
    """All of lab become other people."""
    run(hospital)
    (hospital.parent / "lab.csv").write_text(
        "nr,given,family,born,sex,zip,street,ssn\n"
        + "".join(f"{n},Omar{n},Haddad{n},200{n % 10}-10-1{n % 10},M,8033{n % 10},,\n" for n in (7, 8, 9, 10))
    )
    assert run(hospital) == {"doubtful": 1, "refused": 3}
    assert run(hospital) == {}


def test_two_that_a_person_told_apart_are_not_joined_through_a_third(tmp_path):
    """a = b and b = c are accepted; a person says a and c are two."""
    text = "nr,given,family,born,sex,zip,street,ssn\n1,Anna,Meyer,1980-05-03,F,10115,12 Mill Lane,\n"
    declared = "folder: identities\nsystems:\n"
    for name in "abc":
        (tmp_path / f"{name}.csv").write_text(text)
        declared += SYSTEM.format(name=name)
    path = tmp_path / "link.yaml"
    path.write_text(declared)
    assert run(path) == {"accepted": 3}
    lines = read_ledger(tmp_path / "identities")
    apart = next(line for line in lines if line.pair == Pair(Record("a", 1), Record("c", 1)))
    decide(path, apart.number, Standing.REFUSED, signed=SIGNED)
    groups = people_now(read_ledger(tmp_path / "identities"))
    assert Record("c", 1) not in groups.members(Record("a", 1))


def test_looking_shows_values_and_is_written_down(hospital):
    run(hospital)
    rows = {row[0]: row[1:] for row in show(hospital, 2, signed=SIGNED)}
    assert rows["family"] == ("similar", "Novak", "Nowak")
    last = read_ledger(hospital.parent / "identities")[-1]
    assert (last.act, last.who) == (Act.SHOWN, "I. Kaya")


def test_what_is_private_is_the_owner_s_alone(hospital):
    run(hospital)
    folder = hospital.parent / "identities"
    for name, mode in ((".", 0o700), ("identities.parquet", 0o600), ("ledger.jsonl", 0o600)):
        assert stat.S_IMODE((folder / name).stat().st_mode) == mode
    assert (folder / ".gitignore").read_text() == "*\n"
    folder.chmod(0o755)
    with pytest.raises(IdentitiesExposed):
        run(hospital)


def test_identities_never_lie_inside_a_timeline(hospital, tmp_path):
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "dataset.json").write_text("{}")
    with pytest.raises(IdentitiesExposed):
        run(hospital)


@pytest.mark.parametrize(
    "reason", ["", "  ", "both are ANNA", "born 03.05.1980", "same 123 456 789", "lives in mill lane"]
)
def test_a_reason_that_is_empty_or_names_a_value_is_refused(hospital, reason):
    run(hospital)
    with pytest.raises(ReasonTells) as caught:
        undo(hospital, 1, signed=Signed(by="I. Kaya", reason=reason, when=NOW))
    assert "ANNA" not in str(caught.value)
    assert len(read_ledger(hospital.parent / "identities")) == 4


def test_nobody_decides_without_a_name(hospital):
    run(hospital)
    with pytest.raises(UsageProblem):
        decide(hospital, 2, Standing.ACCEPTED, signed=Signed(by=" ", reason="sure", when=NOW))


@pytest.mark.parametrize("number", [0, -1, 99])
def test_a_line_that_is_not_there(hospital, number):
    run(hospital)
    with pytest.raises(NoSuchLine):
        decide(hospital, number, Standing.ACCEPTED, signed=SIGNED)


def test_a_line_cannot_be_undone_twice(hospital):
    run(hospital)
    undo(hospital, 1, signed=SIGNED)
    with pytest.raises(NoSuchLine):
        undo(hospital, 1, signed=SIGNED)


@pytest.mark.parametrize("change", ["edit", "remove", "garble"])
def test_a_ledger_that_was_changed_is_noticed(hospital, change):
    run(hospital)
    path = hospital.parent / "identities" / "ledger.jsonl"
    lines = path.read_text().splitlines()
    if change == "edit":
        told = json.loads(lines[1])
        lines[1] = json.dumps({**told, "act": "accepted"})
    elif change == "remove":
        del lines[1]
    else:
        lines[1] = lines[1][:40]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(LedgerBroken):
        doubtful(hospital)


def test_a_declaration_is_read_strictly(hospital):
    text = hospital.read_text()
    for wrong, error in (
        (text.replace("as: table", "as: tables"), SourceValueError),
        (text + "key_file: x\n", SourceKeyError),
        (text.split("  lab:")[0], SourceValueError),
        (text.replace("id: nr, ", ""), SourceValueError),
        (text + "thresholds: {accept: 1, doubt: 2}\n", SourceValueError),
    ):
        hospital.write_text(wrong)
        with pytest.raises(error):
            read_declaration(hospital)
    hospital.write_text(text.replace("family: family", "family: surname"))
    with pytest.raises(ColumnMissing):
        run(hospital)


def test_rows_without_a_number_are_counted(hospital):
    path = hospital.parent / "lab.csv"
    path.write_text(LAB + ",Nobody,Nobody,,,,,\nx,Nobody,Nobody,,,,,\n")
    lab = link(hospital, now=NOW, progress=QUIET).read[1]
    assert (lab.read, lab.kept, sum(lab.rejected.values())) == (6, 4, 2)


def test_a_fhir_patient_is_read():
    """The official name, not the nickname; the maiden name as former; the new address; numbers that hold."""
    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "meta": {"lastUpdated": "2026-01-01T00:00:00Z"},
        "identifier": [
            {"system": "urn:ssn", "value": "123-45-6789"},
            {"system": "urn:old", "value": "1", "use": "old"},
            {"value": "no authority"},
        ],
        "name": [
            {"use": "nickname", "given": ["Annie"]},
            {"use": "maiden", "family": "Brandt"},
            {"use": "official", "family": "Meyer", "given": ["Anna", "Maria"]},
        ],
        "telecom": [{"system": "email", "value": "a@b"}, {"system": "phone", "value": "030 1234567"}],
        "gender": "female",
        "birthDate": "1980-05-03",
        "address": [{"use": "old", "postalCode": "1"}, {"line": ["12 Mill Lane"], "postalCode": "10115"}],
    }
    when, anna = read_patient(json.dumps(patient).encode(), "clinic", subject_number) or ("", None)
    assert when == "2026-01-01T00:00:00Z"
    assert anna == record(
        "clinic",
        subject_number("Patient/p1"),
        given="Anna Maria",
        former="Brandt",
        phone="030 1234567",
        identifiers=("urn:ssn|123-45-6789",),
    ).__class__(**{**{name: getattr(anna, name) for name in anna.__slots__}, "id": "p1"})
    assert read_patient(b'{"resourceType": "Observation", "id": "o"}', "clinic", subject_number) is None
    with pytest.raises(ValueError, match="without an id"):
        read_patient(b'{"resourceType": "Patient"}', "clinic", subject_number)


def test_a_pid_segment_is_read():
    message = (
        "MSH|^~\\&|LAB|HOSP|||20260101120000||ADT^A08|1|P|2.5\r"
        "PID|1||0042^^^HOSP^MR~77^^^^VN||Meyer^Anna^Maria~Brandt^Anna^^^^^M||19800503|F|||12 Mill Lane^^Berlin^^10115"
        "||030 1234567||||||123456789\r"
    )
    when, anna = read_pid(message, "lab", subject_number) or ("", None)
    assert when == "20260101120000"
    assert anna == Identity(
        system="lab",
        subject=subject_number("HOSP|0042"),
        id="0042",
        given="Anna Maria",
        family="Meyer",
        former="Brandt",
        birth_date=date(1980, 5, 3),
        sex="F",
        street="12 Mill Lane",
        postcode="10115",
        phone="030 1234567",
        identifiers=("HOSP|0042", "SS|123456789"),
    )


def test_a_patient_who_was_merged_is_the_survivor(tmp_path):
    """A40: number 1 became number 2; the timeline goes on as 2, and so do the identities."""
    pid = "PID|1||{0}^^^LAB^PI||Meyer^{1}||19800503|F\r"
    first = "MSH|^~\\&|L|H|||20260101||ADT^A08|1|P|2.5\r" + pid.format(1, "Ana")
    merge = "MSH|^~\\&|L|H|||20260102||ADT^A40|2|P|2.5\r" + pid.format(2, "Anna") + "MRG|1^^^LAB^PI\r"
    (tmp_path / "lab.hl7").write_text(first + merge, newline="")
    lab = System(name="lab", identities=tmp_path / "lab.hl7", way=Way.HL7V2)
    read = read_system(lab, progress=QUIET)
    assert [(one.subject, one.given) for one in read.people] == [(subject_number("LAB|2"), "Anna")]
    assert (read.read, read.kept) == (2, 2)


def test_an_empty_document_is_refused_for_the_reason_that_the_way_in_gives(tmp_path):
    (tmp_path / "a.json").write_bytes(BUNDLE)
    (tmp_path / "b.json").write_bytes(b"")
    read = read_system(System(name="a", identities=tmp_path, way=Way.FHIR), progress=QUIET)
    assert (read.kept, read.rejected) == (1, {NO_RESOURCE: 1})


@pytest.mark.parametrize(
    ("name", "way", "raw", "kept", "rejected"),
    [
        ("p.ndjson", Way.FHIR, b'{"resourceType": "Patient", "id": "1"}\n{"resourceType": "Patient"', 1, 1),
        ("p.ndjson", Way.FHIR, b'{"resourceType": "Patient", "id": "1", "name": "no list"}\n', 0, 1),
        ("p.ndjson", Way.FHIR, b'\xff\xfe"Patient"\n{"resourceType": "Patient", "id": "1"}\n', 1, 1),
        (
            "p.json",
            Way.FHIR,
            b'{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Pat',
            0,
            1,
        ),
        (
            "p.json",
            Way.FHIR,
            BUNDLE,
            1,
            0,
        ),
        ("m.hl7", Way.HL7V2, b"MSH|^~\\&|||||20260101||ADT^A08|1|P|2.5\rPID|1||||Meyer^Anna\r", 0, 1),
        ("p.json", Way.FHIR, b"\xef\xbb\xbf" + BUNDLE, 1, 0),
        ("p.ndjson", Way.FHIR, b'\xef\xbb\xbf{"resourceType": "Patient", "id": "1"}\n', 1, 0),
        ("p.json", Way.FHIR, b'{"resourceType": "Patient", "id": "1"}\n{"resourceType": "Patient"}\n', 1, 1),
        ("p.json", Way.FHIR, b"", 0, 1),
        ("p.json", Way.FHIR, b'{"resourceType": "Patient", "name": ' + b"[" * 200_000, 0, 1),
        ("m.hl7", Way.HL7V2, b"no message at all", 0, 1),
    ],
)
def test_what_cannot_be_read_is_counted_and_the_rest_kept(tmp_path, name, way, raw, kept, rejected):
    path = tmp_path / name
    path.write_bytes(raw)
    system = System(name="a", identities=path, way=way)
    if not kept:
        with pytest.raises(InputEmpty) as caught:
            read_system(system, progress=QUIET)
        assert f"{rejected} records" in str(caught.value)
        assert "Meyer" not in str(caught.value)
        return
    read = read_system(system, progress=QUIET)
    assert (read.kept, sum(read.rejected.values())) == (kept, rejected)


@pytest.mark.parametrize(
    ("name", "raw"), [("p.csv", b"nr,given\n\xff\xfe\n"), ("p.csv", b""), ("p.parquet", b"PAR1")]
)
def test_a_table_that_is_none_is_refused(tmp_path, name, raw):
    (tmp_path / name).write_bytes(raw)
    with pytest.raises((InputUnreadable, ColumnMissing)):
        read_system(
            System(name="a", identities=tmp_path / name, way=Way.TABLE, columns={"id": "no"}), progress=QUIET
        )


def test_a_table_as_a_spreadsheet_writes_it_is_read(hospital):
    """A mark before the first column, semicolons, carriage returns, spaces around cells."""
    raw = "\ufeff" + LAB.replace(",", ";").replace("ANNA;", " ANNA ;").replace("\n", "\r\n")
    (hospital.parent / "lab.csv").write_text(raw, newline="")
    text = hospital.read_text()
    hospital.write_text(text + '    separator: ";"\n')
    assert run(hospital) == {"accepted": 1, "doubtful": 3}


def test_identities_that_were_cut_short_are_refused_and_read_again(hospital):
    run(hospital)
    path = hospital.parent / "identities" / "identities.parquet"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(IdentitiesMissing):
        show(hospital, 1, signed=SIGNED)
    path.unlink()
    assert run(hospital) == {}


def test_what_the_how_to_shows_is_what_comes(tmp_path, capsys, monkeypatch):
    """Its three files, and the work list that it prints; and not a name of anybody in the ledger."""
    page = (ROOT / "docs" / "how-to" / "link.md").read_text(encoding="utf-8")
    files = re.findall(r"^`([\w.]+)`\n\n```\w+\n(.*?)```", page, re.DOTALL | re.MULTILINE)
    assert [name for name, _ in files] == ["clinic.csv", "lab.csv", "link.yaml"]
    for name, text in files:
        (tmp_path / name).write_text(text)
    assert run(tmp_path / "link.yaml") == {"accepted": 4, "doubtful": 1}
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["link", "link.yaml", "--doubtful"])
    assert f"```text\n{capsys.readouterr().out}```" in page
    ledger = (tmp_path / "identities" / "ledger.jsonl").read_text().lower()
    assert not [
        name for name in ("anna", "novak", "haddad", "elif", "mill", "10115", "1980") if name in ledger
    ]


def test_a_form_of_dates_that_reads_none_is_refused(tmp_path):
    """Without this every birth date would be missing, and nobody would be told."""
    (tmp_path / "people.csv").write_text("id,born\n1,03.05.1980\n2,11.12.1955\n")
    system = System(
        name="clinic",
        way=Way.TABLE,
        identities=tmp_path / "people.csv",
        columns={"id": "id", "birth_date": "born"},
        dates="%Y-%m-%d",
    )
    with pytest.raises(InputUnreadable, match="is written as"):
        list(read_people(system, int))
