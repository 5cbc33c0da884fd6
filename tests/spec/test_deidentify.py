"""What passes and what does not: all 18 identifiers planted in four formats, one shift a patient, balanced books."""

from __future__ import annotations

import gzip
import json
import re
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from benchmarks import planted_identifiers as planted
from salus.cli import main
from salus.deidentify.free_text import ScrubbedText
from salus.deidentify.key import Key
from salus.deidentify.known_patient import KnownPatient
from salus.deidentify.policy import SHIPPED
from salus.deidentify.read_policy import policy_file, read_policy
from salus.findings import read_bundle
from salus.workflows.deidentify import Asked, Deidentified, Form, deidentify

SECRET = b"0123456789abcdef0123456789abcdef"
MADE = datetime(2026, 1, 5, 12, tzinfo=UTC)
WRITERS = {
    Form.FHIR: planted.write_fhir,
    Form.HL7V2: planted.write_hl7v2,
    Form.OMOP: planted.write_omop,
    Form.CSV: planted.write_csv,
}


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "secret" / "key"
    path.parent.mkdir()
    path.write_bytes(SECRET)
    return path


def policy(tmp_path: Path, name: str) -> str:
    """A shipped policy with the columns of our CSV files added."""
    path = tmp_path / f"{name}.yaml"
    path.write_text(policy_file(name).read_text() + planted.CSV_PART)
    return str(path)


def run(tmp_path: Path, key: Path, form: Form, name: str = "safe-harbor") -> Deidentified:
    source = WRITERS[form](tmp_path / "in")
    asked = Asked(policy=policy(tmp_path, name), key=key)
    return deidentify(source, tmp_path / "out", asked=asked, made=MADE)


def lines(folder: Path) -> list[dict[str, object]]:
    """The resources of the NDJSON file."""
    path = next(folder.glob("data/*.ndjson"))
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_canary_is_planted_in_every_format(tmp_path: Path):
    """Else their absence afterwards would show nothing."""
    for form, write in WRITERS.items():
        found = planted.survivors(write(tmp_path / form.value).parent / form.value)
        assert set(found) == set(planted.CANARIES), form


@pytest.mark.parametrize("form", WRITERS)
def test_no_identifier_survives_safe_harbor(tmp_path: Path, key: Path, form: Form):
    run(tmp_path, key, form)
    assert planted.survivors(tmp_path / "out") == {}


@pytest.mark.parametrize("form", WRITERS)
def test_what_is_said_on_the_way_tells_nobody(tmp_path: Path, key: Path, form: Form, capfd):
    source = WRITERS[form](tmp_path / "in")
    with pytest.raises(SystemExit) as end:
        main(
            [
                "deidentify",
                str(source),
                "--to",
                str(tmp_path / "out"),
                "--key",
                str(key),
                "--policy",
                policy(tmp_path, "safe-harbor"),
            ]
        )
    assert end.value.code == 0
    printed = capfd.readouterr()
    assert "records read" in printed.out
    assert planted.survivors(tmp_path / "out", printed.out, printed.err) == {}


def test_what_is_needed_passes_safe_harbor(tmp_path: Path, key: Path):
    run(tmp_path, key, Form.FHIR)
    patient, stay, potassium, age = lines(tmp_path / "out")
    assert patient["address"] == [{"state": "NH", "postalCode": "000", "country": "US"}]
    assert patient["gender"] == "female" and "birthDate" not in patient  # 95 years in 2026
    assert stay["period"] == {"start": "2019", "end": "2019"}
    assert potassium["valueQuantity"]["value"] == 5.9
    assert potassium["code"] == {"coding": [{"system": "http://loinc.org", "code": "2823-3"}]}
    assert potassium["subject"] == {"reference": f"Patient/{patient['id']}"}
    assert potassium["encounter"] == {"reference": f"Encounter/{stay['id']}"}
    assert age["valueQuantity"] == {"value": 90, "comparator": ">=", "unit": "years", "code": "a"}


def test_a_bundle_keeps_its_links(tmp_path: Path, key: Path):
    run(tmp_path, key, Form.FHIR)
    bundle = json.loads(next((tmp_path / "out" / "data").glob("*.json")).read_text())
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    subject = bundle["entry"][2]["resource"]["subject"]["reference"]
    assert urls[0].endswith("/" + subject) and bundle["entry"][0]["request"]["url"] == subject
    assert set(bundle) == {"resourceType", "type", "entry"}


@pytest.mark.parametrize("form", WRITERS)
def test_intervals_stay_and_every_format_moves_alike(tmp_path: Path, key: Path, form: Form):
    """The stay is 7 days from 2019-03-17 in all four; they all begin on the same moved day."""
    shift = Key(SECRET).date_shift(_number(form), most_days=365, keep_weekday=True)
    start, end = (day + shift for day in (date(2019, 3, 17), date(2019, 3, 24)))
    run(tmp_path, key, form, "gdpr-pseudonymisation")
    assert _stay(tmp_path / "out" / "data", form) == (start, end)
    assert (end - start).days == 7 and start.weekday() == date(2019, 3, 17).weekday()


def _number(form: Form) -> str:
    return "9917331" if form is Form.OMOP else planted.ID  # OMOP knows numbers only


def _stay(data: Path, form: Form) -> tuple[date, date]:
    if form is Form.FHIR:
        period = lines(data.parent)[1]["period"]
        return tuple(date.fromisoformat(period[end][:10]) for end in ("start", "end"))
    if form is Form.HL7V2:
        message = next(data.glob("*.hl7")).read_bytes().decode()
        visit = next(one for one in message.split("\r") if one.startswith("PV1")).split("|")
        return tuple(date(int(one[:4]), int(one[4:6]), int(one[6:8])) for one in visit[44:46])
    name, ends = (
        ("visit_occurrence", ("visit_start_date", "visit_end_date"))
        if form is Form.OMOP
        else ("stays", ("admitted", "discharged"))
    )
    row = pl.read_csv(data / f"{name}.csv", infer_schema=False).row(0, named=True)
    return tuple(date.fromisoformat(row[end][:10]) for end in ends)


def test_one_id_moves_by_the_same_days_in_all_four_formats(tmp_path: Path, key: Path):
    """Patient 7, 2019-03-17, told by four systems."""
    places = {form: tmp_path / form.value for form in WRITERS}
    for place in places.values():
        place.mkdir()
    (places[Form.FHIR] / "p.ndjson").write_text(
        '{"resourceType":"Encounter","id":"e","status":"finished","class":{"code":"IMP"},'
        '"subject":{"reference":"Patient/7"},"period":{"start":"2019-03-17","end":"2019-03-24"}}\n' * 2
    )
    (places[Form.HL7V2] / "m.hl7").write_bytes(
        b"MSH|^~\\&|||||2019||ADT^A01|1|P|2.5\rPID|1||7^^^H^MR\rPV1|1|I" + b"|" * 42 + b"20190317|20190324\r"
    )
    (places[Form.OMOP] / "person.csv").write_text("person_id,year_of_birth\n7,1950\n")
    (places[Form.OMOP] / "visit_occurrence.csv").write_text(
        "visit_occurrence_id,person_id,visit_start_date,visit_end_date\n1,7,2019-03-17,2019-03-24\n"
    )
    (places[Form.CSV] / "stays.csv").write_text(
        "mrn,stay,admitted,discharged,potassium\n7,1,2019-03-17,2019-03-24,5.9\n"
    )
    begun = set()
    for form, place in places.items():
        name = policy(tmp_path, "gdpr-pseudonymisation") if form is not Form.CSV else _csv_only(tmp_path)
        deidentify(place, tmp_path / f"out-{form}", asked=Asked(policy=name, key=key, form=form), made=MADE)
        found = tmp_path / f"out-{form}" / "data"
        begun.add(_first_encounter(found) if form is Form.FHIR else _stay(found, form))
    assert len(begun) == 1 and (date(2019, 3, 17), date(2019, 3, 24)) not in begun


def _csv_only(tmp_path: Path) -> str:
    path = tmp_path / "own.yaml"
    stays = planted.CSV_PART[planted.CSV_PART.index("  stays:") :]
    path.write_text(policy_file("gdpr-pseudonymisation").read_text() + "\ncsv:\n" + stays)
    return str(path)


def _first_encounter(data: Path) -> tuple[date, date]:
    period = json.loads(next(data.glob("*.ndjson")).read_text().splitlines()[0])["period"]
    return tuple(date.fromisoformat(period[end]) for end in ("start", "end"))


@pytest.mark.parametrize("form", WRITERS)
def test_books_balance_and_say_which_policy_and_key(tmp_path: Path, key: Path, form: Form):
    done = run(tmp_path, key, form)
    books = json.loads((tmp_path / "out" / "deidentified.json").read_text())
    for row in books["records"].values():
        assert row["read"] == row["written"] + row["left_out"] + row["rejected"]
    assert done.read == done.written + done.left_out + done.rejected
    assert books["policy"]["digest"] == read_policy(policy(tmp_path, "safe-harbor")).digest
    assert books["key"] == Key(SECRET).name and SECRET.decode() not in json.dumps(books)
    fates = {fate for row in books["fields"].values() for fate in row}
    assert {"kept", "generalised", "pseudonym", "removed"} <= fates


def test_the_books_count_by_hand(tmp_path: Path, key: Path):
    """One Patient, one line: id and sex pass, the birth date becomes a year, the name of one person goes."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "Patient.ndjson").write_text(
        '{"resourceType":"Patient","id":"1","gender":"male","birthDate":"1990-05-06","name":[{"family":"A"},{"family":"B"}]}\n'
    )
    done = deidentify(
        tmp_path / "in", tmp_path / "out", asked=Asked(policy="safe-harbor", key=key), made=MADE
    )
    assert done.books["fields"] == {
        "Patient.birthDate": {"generalised": 1},
        "Patient.gender": {"kept": 1},
        "Patient.id": {"pseudonym": 1},
        "Patient.name": {"removed": 2},
    }
    assert done.books["files"] == ["Patient.ndjson"]


def test_facts_for_gates(tmp_path: Path, key: Path):
    run(tmp_path, key, Form.FHIR)
    bundle = read_bundle(tmp_path / "out" / "evidence")
    found = {one.metric: one.value for one in bundle.findings}
    assert 0.5 < found["deidentify.fields_removed_share"] < 1
    assert found["deidentify.records_rejected_share"] == 0
    assert set(bundle.subjects) == {"policy", "deidentified"}


def test_a_result_that_names_no_patient_is_rejected(tmp_path: Path, key: Path):
    """Nobody can say by how much its dates move; an organisation is about nobody and would pass without dates."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.ndjson").write_text(
        '{"resourceType":"Observation","id":"1","status":"final","code":{"text":"x"}}\n'
        '{"resourceType":"Observation","id":"2","status":"final","subject":{"reference":"Group/1"}}\n'
        '{"resourceType":"Medication","id":"3","code":{"coding":[{"code":"c"}]}}\n'
    )
    done = deidentify(
        tmp_path / "in", tmp_path / "out", asked=Asked(policy="safe-harbor", key=key), made=MADE
    )
    assert (done.read, done.written, done.rejected) == (3, 1, 2)
    assert done.books["rejected"] == [
        {
            "kind": "Observation",
            "reason": "it names no patient, so nobody can say by how much its dates move",
            "records": 2,
        }
    ]


def test_decimals_keep_their_digits(tmp_path: Path, key: Path):
    """5.90 was measured to two digits; 5.9 is another statement."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.ndjson").write_text(
        '{"resourceType":"Observation","status":"final","subject":{"reference":"Patient/1"},"valueQuantity":{"value":5.90}}\n'
    )
    deidentify(tmp_path / "in", tmp_path / "out", asked=Asked(policy="safe-harbor", key=key), made=MADE)
    assert '"value":5.90}' in next((tmp_path / "out" / "data").iterdir()).read_text()


def test_another_key_gives_other_pseudonyms_and_the_same_key_the_same_bytes(tmp_path: Path, key: Path):
    source = planted.write_fhir(tmp_path / "in")
    other = tmp_path / "other"
    other.write_bytes(b"another key of 32 bytes, or more")
    bytes_of = {}
    for name, used in (("a", key), ("b", key), ("c", other)):
        deidentify(source, tmp_path / name, asked=Asked(policy="safe-harbor", key=used), made=MADE)
        bytes_of[name] = {path.name: path.read_bytes() for path in (tmp_path / name / "data").iterdir()}
    assert bytes_of["a"] == bytes_of["b"]
    assert not set(bytes_of["a"]) & set(bytes_of["c"])


def test_a_limited_data_set_keeps_dates_and_towns_and_no_name(tmp_path: Path, key: Path):
    run(tmp_path, key, Form.FHIR, "limited-data-set")
    patient, stay, *_ = lines(tmp_path / "out")
    assert patient["birthDate"] == "1931-07-19"
    assert patient["address"] == [
        {"city": "Quokkaville", "state": "NH", "postalCode": "03677", "country": "US"}
    ]
    assert stay["period"]["start"] == "2019-03-17T08:00:00+01:00"
    assert not {"A names", "D phone", "F e-mail", "G social security", "H record"} & set(
        planted.survivors(tmp_path / "out")
    )


def test_who_stands_out_loses_what_others_may_know(tmp_path: Path, key: Path):
    """k = 11 asked: 12 women born 1980 pass as they are; the one man of 1950 takes a whole group with him."""
    people = [("female", "1980-05-05")] * 12 + [("male", "1950-01-01")] + [("male", "1990-01-01")] * 11
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "Patient.ndjson").write_text(
        "".join(
            json.dumps({"resourceType": "Patient", "id": str(number), "gender": sex, "birthDate": born})
            + "\n"
            for number, (sex, born) in enumerate(people)
        )
    )
    done = deidentify(
        tmp_path / "in", tmp_path / "out", asked=Asked(policy="expert-determination", key=key), made=MADE
    )
    risk = done.books["risk"]
    assert (risk["smallest_group_before"], risk["smallest_group"], risk["suppressed_patients"]) == (1, 12, 12)
    assert risk["prosecutor_highest"] == pytest.approx(1 / 12)
    bare = [one for one in lines(tmp_path / "out") if "gender" not in one]
    assert len(bare) == 12 and all("birthDate" not in one for one in bare)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_line_of_a_shipped_policy_says_why(name: str, capfd):
    """Reading one refuses a line without a reason; printing one gives the file itself."""
    assert read_policy(name).does_not_promise
    with pytest.raises(SystemExit) as end:
        main(["deidentify", "--policy", name, "--print"])
    assert end.value.code == 0
    assert capfd.readouterr().out.strip() == policy_file(name).read_text().strip()


def test_packed_files_hold_neither_name_nor_time(tmp_path: Path, key: Path):
    run(tmp_path, key, Form.FHIR)
    packed = next((tmp_path / "out" / "data").glob("*.gz")).read_bytes()
    assert packed[3] == 0 and packed[4:8] == bytes(4)  # RFC 1952: no flag for a name; no time
    assert gzip.decompress(packed).count(b"\n") == 4


def test_who_holds_both_keys_can_tell_which_old_pseudonym_became_which(tmp_path: Path, key: Path):
    source = planted.write_fhir(tmp_path / "in")
    new = tmp_path / "secret" / "new"
    new.write_bytes(b"another key of 32 bytes, or more")
    mapping = tmp_path / "secret" / "mapping.csv"
    asked = Asked(policy="safe-harbor", key=new, old_key=key, mapping=mapping)
    deidentify(source, tmp_path / "out", asked=asked, made=MADE)
    told = {tuple(line.split(",")) for line in mapping.read_text().splitlines()[1:]}
    old, fresh = (Key(one).pseudonym("Patient", planted.ID) for one in (SECRET, new.read_bytes()))
    assert ("Patient", old, fresh) in told
    assert mapping.stat().st_mode & 0o077 == 0
    assert planted.ID not in mapping.read_text() and old not in planted.whole(tmp_path / "out")


class _Blackens:
    """A scrubber that takes out what is known of the patient, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[KnownPatient] = []

    def scrub(self, text: str, patient: KnownPatient) -> ScrubbedText:
        self.told.append(patient)
        for one in (*patient.names, *patient.addresses, *patient.identifiers):
            text = text.replace(one, "X")
        return ScrubbedText(text, {"known": 1})


@pytest.mark.parametrize("form", WRITERS)
def test_a_policy_that_has_texts_scrubbed(tmp_path: Path, key: Path, form: Form):
    """Of the canaries in texts only a bare latitude may stay: with no word beside it, it is any number."""
    name = policy(tmp_path, "safe-harbor")
    text = Path(name).read_text().replace("free_text: remove", "free_text: scrub")
    Path(name).write_text(text.replace("      born:", "      name: remove - a name\n      born:"))
    asked = Asked(policy=name, key=key, form=form)
    done = deidentify(WRITERS[form](tmp_path / "in"), tmp_path / "out", asked=asked, made=MADE)
    assert any("scrubbed" in row for row in done.books["fields"].values())
    assert str(done.books["free_text"]).startswith("scrub: rules and lists")
    assert "rules and lists" in (tmp_path / "out" / "report.html").read_text()
    assert planted.survivors(tmp_path / "out") in ({}, {"B places": ["41.40338"]})


@pytest.mark.parametrize("form", WRITERS)
def test_a_scrubber_is_told_who_the_patient_is(tmp_path: Path, key: Path, form: Form):
    """The name from the structured record stands in the text, and is taken out."""
    name = policy(tmp_path, "safe-harbor")
    text = Path(name).read_text().replace("free_text: remove", "free_text: scrub")
    Path(name).write_text(text.replace("      born:", "      name: remove - a name\n      born:"))
    scrubber = _Blackens()
    asked = Asked(policy=name, key=key, form=form, scrubber=scrubber)
    done = deidentify(WRITERS[form](tmp_path / "in"), tmp_path / "out", asked=asked, made=MADE)
    about = {one.number for one in scrubber.told} - {""}
    assert about == {_number(form)}
    assert any("scrubbed" in row for row in done.books["fields"].values())
    left = planted.whole(tmp_path / "out" / "data")
    assert "X" in re.findall(r"\w+", left)
    known = "Quillfeather" if form is not Form.OMOP else "Zephyrgasse"  # OMOP has places, and no names
    assert known not in left


def test_parquet_stays_parquet_with_its_types(tmp_path: Path, key: Path):
    (tmp_path / "in").mkdir()
    pl.DataFrame(
        {"person_id": [7], "year_of_birth": [1950], "person_source_value": ["Quillfeather"]}
    ).write_parquet(tmp_path / "in" / "person.parquet")
    moments = [datetime(2019, 3, 17, 8), datetime(2019, 3, 24, 9, 30)]
    visits = {
        "visit_occurrence_id": [1],
        "person_id": [7],
        "visit_start_date": [moments[0].date()],
        "visit_start_datetime": [moments[0]],
        "visit_end_datetime": [moments[1]],
    }
    pl.DataFrame(visits).write_parquet(tmp_path / "in" / "visit_occurrence.parquet")
    pl.DataFrame(visits).clear().write_parquet(tmp_path / "in" / "visit_detail.parquet")
    deidentify(
        tmp_path / "in", tmp_path / "out", asked=Asked(policy="gdpr-pseudonymisation", key=key), made=MADE
    )
    shift = Key(SECRET).date_shift("7", most_days=365, keep_weekday=True)
    row = pl.read_parquet(tmp_path / "out" / "data" / "visit_occurrence.parquet").row(0, named=True)
    assert row["person_id"] == Key(SECRET).number("Patient", "7")
    assert row["visit_start_date"] == moments[0].date() + shift
    assert [row["visit_start_datetime"], row["visit_end_datetime"]] == [one + shift for one in moments]
    assert "Quillfeather" not in pl.read_parquet(tmp_path / "out" / "data" / "person.parquet").columns
    assert pl.read_parquet(tmp_path / "out" / "data" / "visit_detail.parquet").is_empty()
