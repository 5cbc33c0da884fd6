"""What is found in a note, what stands in its place, and what a second look is shown."""

from __future__ import annotations

import json
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from salus.deidentify.dates import DateHow, DateRule
from salus.deidentify.key import Key
from salus.deidentify.known_patient import KnownPatient
from salus.deidentify.text.find import find
from salus.deidentify.text.lists import lists
from salus.deidentify.text.scrub import SAFE_HARBOR_KINDS, Form, Scrubber
from salus.deidentify.text.second_look import doubts, read_doubts, reviewed, write_doubts
from salus.deidentify.text.spans import Kind
from salus.deidentify.text.surrogates import age_surrogate
from salus.deidentify.text.written_dates import moved_date, read_date

KEY = Key(bytes(range(32)))
WEEK = timedelta(days=7)
MIA = KnownPatient(
    number="7",
    names=("Roelofsen", "Mia"),
    birth_date="1950-03-01",
    addresses=("12 Elm Street", "Ashford"),
    phones=("(340) 555-0103",),
    emails=("mia.roe@example.com",),
    identifiers=("0353870",),
    sex="female",
)


def masked(text: str, patient: KnownPatient | None = None) -> str:
    """The text with tags in the place of spans."""
    found = find(text, patient=patient) if patient else find(text)
    for span in reversed(found.spans):
        text = f"{text[: span.start]}[{span.kind.name}]{text[span.end :]}"
    return text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Seen on 03/04/2019.", "Seen on [DATE]."),
        ("Seen on 2019-03-04 at noon.", "Seen on [DATE] at noon."),
        ("Seen on March 4th, 2019.", "Seen on [DATE]."),
        ("Seen on the 4th of March 2019.", "Seen on the [DATE]."),
        ("Seen 04-Mar-19.", "Seen [DATE]."),
        ("Surgery in 1996 went well.", "Surgery in [DATE] went well."),
        ("Return on 5/12 for review.", "Return on [DATE] for review."),
        ("A 3/6 systolic murmur, strength 5/5.", "A 3/6 systolic murmur, strength 5/5."),
        ("BP 120/80, HR 72, temp 98.6.", "BP 120/80, HR 72, temp 98.6."),
        ("Platelets 250000 /uL, sodium 140.", "Platelets 250000 /uL, sodium 140."),
        ("Pt is 91, lives alone.", "Pt is [AGE], lives alone."),
        ("Glucose is 91, stable.", "Glucose is 91, stable."),
        ("Truck, plate AZ BKL 4471.", "Truck, plate [NUMBER]."),
        ("She'll call back. It'll do.", "She'll call back. It'll do."),
        ("A 93-year-old woman.", "A [AGE] woman."),
        ("Call (212) 555-0181 today.", "Call [PHONE] today."),
        ("Fax: 212.555.0181", "Fax: [PHONE]"),
        ("Write to j.doe@mail.example.org.", "Write to [EMAIL]."),
        ("See https://portal.example.org/x?y=1 for it.", "See [URL] for it."),
        ("From 192.168.1.20 at noon.", "From [NETWORK] at noon."),
        ("SSN 123-45-6789.", "SSN [NUMBER]."),
        ("MRN: A-1234", "MRN: [NUMBER]"),
        ("Identity confirmed with 05440601.", "Identity confirmed with [NUMBER]."),
        ("She lives at 12 Elm Street, Ashford, KY 41101.", "She lives at [ADDRESS]."),
        ("P.O. Box 77, Ashford", "[ADDRESS]"),
        ("Seen by Dr. Okonkwo.", "Seen by [NAME]."),
        ("Her husband, Ragnar, drove.", "Her husband, [NAME], drove."),
        ("Signed: Ingrid Solberg, RN", "Signed: [NAME], RN"),
        ("Transferred to St. Brannock Hospital.", "Transferred to [ORGANISATION]."),
        ("Sent to the Emergency Department.", "Sent to the Emergency Department."),
        ("He works as a carpenter.", "He works as a [PROFESSION]."),
        ("Has Crohn's disease and Parkinson disease.", "Has Crohn's disease and Parkinson disease."),
        ("Continue Metoprolol and Lisinopril.", "Continue Metoprolol and Lisinopril."),
    ],
)
def test_rules_find_what_identifies_and_leave_what_is_medicine(text: str, wanted: str):
    assert masked(text) == wanted


@pytest.mark.parametrize(
    "written",
    [
        "ROELOFSEN, MIA", "mia roelofsen", "Roelofson", "Roelofsn", "M. Roelofsen", "M.R.", "Roelofsen's",
        "miaroelofsen50",
        "born 1 March 1950", "born 3/1/50", "dob 01.03.1950", "340-555-0103", "340 555 0103", "3405550103",
        "+1 340.555.0103",
        "035-3870", "MIA.ROE@EXAMPLE.COM", "12 elm street", "12, Elm St", "ashford",
    ],
)  # fmt: skip
def test_the_patient_s_own_identity_is_found_however_it_is_written(written: str):
    left = masked(f"the note says {written} and then more", MIA)
    plain_left = "".join(c for c in left.lower() if c.isalnum())
    for own in ("roelofs", "1950", "550103", "5550103", "3870", "elmst", "ashford"):
        assert own not in plain_left
    assert left.startswith("the note says") and left.endswith("and then more")


def test_a_name_told_once_by_its_title_is_found_again_without_it():
    assert masked("Dr Brunkhorst called. Later Brunkhorst came.") == "[NAME] called. Later [NAME] came."


@pytest.mark.parametrize(
    ("written", "moved"),
    [
        ("2019-03-30", "2019-04-06"), ("03/30/2019", "04/06/2019"), ("3/30/19", "4/6/19"), ("30.3.2019", "6.4.2019"),
        ("30 March 2019", "6 April 2019"), ("MARCH 30, 2019", "APRIL 6, 2019"), ("Mar 30th, 2019", "Apr 6th, 2019"),
        ("December 25", "January 1"), ("2019-03-30T23:15:00", "2019-04-06T23:15:00"),
    ],
)  # fmt: skip
def test_a_date_moves_in_the_form_in_which_it_is_written(written: str, moved: str):
    """A week on, worked out on a calendar; a day of one digit stays one where the writer writes no nought."""
    assert moved_date(written, WEEK) == moved


def test_a_date_that_does_not_exist_is_not_moved():
    assert moved_date("02/30/2019", WEEK) is None
    assert read_date("no date") is None


def test_dates_move_by_the_patient_s_own_shift():
    """The note's dates keep their distance to the record's: both move by what the key says of the patient."""
    rule = DateRule(how=DateHow.SHIFT, most_days=365)
    shift = KEY.date_shift("7", most_days=365)
    text = Scrubber(key=KEY, dates=rule).scrub("Seen 2019-03-30.", MIA).text
    assert text == f"Seen {moved_date('2019-03-30', shift)}."


def test_what_a_policy_says_of_dates_holds_in_texts():
    def scrubbed(how: DateHow) -> str:
        rule = DateRule(how=how, most_days=365 if how is DateHow.SHIFT else 0)
        return Scrubber(key=KEY, dates=rule).scrub("Seen 2019-03-30.", MIA).text

    assert scrubbed(DateHow.KEEP) == "Seen 2019-03-30."
    assert scrubbed(DateHow.YEAR) == "Seen 2019."
    assert scrubbed(DateHow.REMOVE) == "Seen [DATE]."


def test_where_dates_become_years_the_birth_date_becomes_nothing():
    """A year of birth tells an age over 89 (45 CFR 164.514(b)(2)(i)(C))."""
    scrubber = Scrubber(key=KEY, dates=DateRule(how=DateHow.YEAR))
    assert scrubber.scrub("Born 3/1/1950, seen 2019-03-30.", MIA).text == "Born [DATE], seen 2019."


def test_without_a_known_patient_dates_do_not_move_but_go():
    assert Scrubber(key=KEY).scrub("Seen 2019-03-30.").text == "Seen [DATE]."


def test_only_ages_from_90_on_are_hidden_unless_all_shall_be():
    """45 CFR 164.514(b)(2)(i)(C): ages over 89 become one class."""
    scrubber = Scrubber(key=KEY)
    assert scrubber.scrub("A 89-year-old man.", MIA).text == "A 89-year-old man."
    assert scrubber.scrub("A 92-year-old man.", MIA).text == "A 90+-year-old man."
    assert age_surrogate("ninety-three years old") == "90+ years old"
    assert Scrubber(key=KEY, hide_all_ages=True).scrub("A 45-year-old man.", MIA).text == "A [AGE] man."


def test_tags_say_the_kind_and_the_counts_say_how_many():
    done = Scrubber(key=KEY, form=Form.TAGS).scrub("Dr. Okonkwo saw Mia on 2019-03-30.", MIA)
    assert done.text == "[NAME] saw [NAME] on [DATE]."
    assert done.replaced == {"name": 2, "date": 1}


def test_one_name_has_one_surrogate_for_a_patient_and_another_for_the_next():
    scrubber = Scrubber(key=KEY)
    first = scrubber.scrub("Dr. Okonkwo spoke. Okonkwo left. OKONKWO wrote.", MIA).text
    name = first.split()[1].rstrip(".")
    assert first == f"Dr. {name} spoke. {name} left. {name.upper()} wrote."
    other = KnownPatient(number="8")
    texts = {scrubber.scrub("Dr. Okonkwo spoke.", KnownPatient(number=str(n))).text for n in range(8, 20)}
    assert len(texts) > 6
    assert all("Okonkwo" not in text for text in texts)
    assert scrubber.scrub("Dr. Okonkwo spoke.", other).text in texts


def test_a_given_name_becomes_one_of_the_same_sex():
    """Names of whom more than nine in ten were girls, or boys, in US births."""
    given = lists().given
    for name, sex in (("Jennifer", "f"), ("Christopher", "m"), ("Patricia", "f"), ("Jonathan", "m")):
        new = Scrubber(key=KEY).scrub(f"His friend, {name}, came.", MIA).text.split()[2].rstrip(",").lower()
        assert given[new][0] in (sex, "u")
        assert new != name.lower()


def test_numbers_keep_their_shape_and_social_security_numbers_are_none():
    text = Scrubber(key=KEY).scrub("MRN: AB-12345. SSN 123-45-6789. Call (340) 555-7777.", MIA).text
    record, social, phone = text.split(". ")
    assert len(record) == len("MRN: AB-12345") and record[7] == "-" and record != "MRN: AB-12345"
    assert social.startswith("SSN 900-00-")
    assert phone.startswith("Call (340)") is False and "555-01" in phone


def test_safe_harbor_names_no_professions():
    text = Scrubber(key=KEY, kinds=SAFE_HARBOR_KINDS).scrub("He works as a carpenter.", MIA).text
    assert text == "He works as a carpenter."


def test_a_second_look_shows_what_was_left_first_and_then_what_was_doubtful(tmp_path: Path):
    text = "The scan by Grace showed Rivulet changes; Dr. Okonkwo agreed."
    found = find(text)
    rows = doubts("d1", text, found)
    assert [row.replaced for row in rows] == sorted(row.replaced for row in rows)
    path = tmp_path / "look.jsonl"
    assert write_doubts(path, rows) == len(rows)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(row.number for row in read_doubts(path)) == [row.number for row in rows]
    assert all(json.loads(line)["document"] == "d1" for line in path.read_text().splitlines())
    with pytest.raises(FileExistsError):
        write_doubts(path, rows)


def test_a_reader_s_yes_hides_what_was_left_and_a_no_shows_what_was_hidden():
    text = "Plan with Hope and hope; Zxqvorn rested."
    found = find(text)
    rows = doubts("d1", text, found)
    answers = {row.number: not row.replaced for row in rows}
    after = reviewed(found, rows, answers)
    hidden = {(row.start, row.end) for row in rows if not row.replaced}
    assert {(s.start, s.end) for s in after.spans} == hidden
    assert not after.unsure


def test_every_kind_has_a_word_of_its_own():
    assert len({kind.value for kind in Kind}) == len(Kind)
