"""What holds of every text: spans apart, the rest untouched, distances kept, the same again, the patient never left."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salus.deidentify.key import Key
from salus.deidentify.known_patient import KnownPatient
from salus.deidentify.text.find import find
from salus.deidentify.text.identity import is_one_slip_apart
from salus.deidentify.text.scrub import Form, Scrubber
from salus.deidentify.text.written_dates import MONTHS, moved_date, read_date

KEY = Key(bytes(range(32)))
PATIENT = KnownPatient(
    number="7",
    names=("Vandermeulen", "Oriana"),
    birth_date="1961-11-08",
    identifiers=("4471902",),
    phones=("6175550142",),
)
PIECES = st.sampled_from(
    ["Dr. Okonkwo", "seen on", "03/04/2019", "Oriana", "VANDERMEULEN", "MRN 4471902", "617-555-0142",
     "St. Brannock Hospital", "12 Elm Street", "\n", ", ", ": ", "Plan", "pain", "a 93-year-old", "x@y.org",
     "\u05e9\u05dc\u05d5\u05dd", "\x00", "é",
     "Nov 8, 1961", "in 1999", "#", "1-", "McDougall"]
)  # fmt: skip
NOTES = st.lists(st.one_of(PIECES, st.text(max_size=12)), max_size=25).map(" ".join)
WAYS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@WAYS
@given(NOTES)
def test_spans_lie_in_the_text_in_order_and_apart(text: str):
    found = find(text, patient=PATIENT)
    ends = [0]
    for span in found.spans:
        assert ends[-1] <= span.start < span.end <= len(text)
        assert 0 <= span.doubt <= 1
        ends.append(span.end)


@WAYS
@given(NOTES, st.sampled_from(list(Form)))
def test_outside_what_was_replaced_the_text_is_the_same_and_the_run_repeats(text: str, form: Form):
    scrubber = Scrubber(key=KEY, form=form)
    done = scrubber.scrub_in_full(text, PATIENT)
    at, rebuilt = 0, []
    for one in done.replaced:
        rebuilt += [text[at : one.span.start], one.text]
        at = one.span.end
    assert "".join([*rebuilt, text[at:]]) == done.text
    assert scrubber.scrub_in_full(text, PATIENT) == done


@WAYS
@given(NOTES)
def test_the_patient_never_survives(text: str):
    """In no spelling: letters and digits of what is left, whatever stood between them."""
    left = Scrubber(key=KEY).scrub(text, PATIENT).text.lower()
    for own in ("vandermeulen", "oriana", "4471902"):
        assert own not in left
    assert "6175550142" not in "".join(c for c in left if c.isdigit()) or "617-555-0142" not in left


@WAYS
@given(
    st.sampled_from(["Oriana", "Vandermeulen"]),
    st.integers(0, 11),
    st.sampled_from("abcxyz"),
    st.sampled_from(["drop", "swap", "put", "change"]),
)
def test_one_slip_of_the_pen_hides_nobody(name: str, place: int, letter: str, how: str):
    k = place % len(name)
    slipped = {
        "drop": name[:k] + name[k + 1 :],
        "swap": name[:k] + name[k : k + 2][::-1] + name[k + 2 :],
        "put": name[:k] + letter + name[k:],
        "change": name[:k] + letter + name[k + 1 :],
    }[how]
    assert is_one_slip_apart(slipped.lower(), name.lower())
    text = f"Then {slipped.title()} left."
    assert slipped.title() not in Scrubber(key=KEY).scrub(text, PATIENT).text


def distance(first: str, second: str) -> int:
    """Edits between two words, neighbours swapped counting one: the slow and obvious way."""
    rows = {(-1, -1): 0}
    for i in range(len(first)):
        rows[i, -1] = i + 1
    for j in range(len(second)):
        rows[-1, j] = j + 1
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            best = min(rows[i - 1, j] + 1, rows[i, j - 1] + 1, rows[i - 1, j - 1] + (a != b))
            if i and j and a == second[j - 1] and first[i - 1] == b:
                best = min(best, rows[i - 2, j - 2] + 1)
            rows[i, j] = best
    return rows[len(first) - 1, len(second) - 1]


@settings(max_examples=300, deadline=None)
@given(st.text("abc", min_size=1, max_size=6), st.text("abc", min_size=1, max_size=6))
def test_one_slip_is_what_the_slow_count_says(first: str, second: str):
    assert is_one_slip_apart(first, second) == (distance(first, second) <= 1)


FORMS = (
    lambda d: d.isoformat(),
    lambda d: f"{d.month:02}/{d.day:02}/{d.year}",
    lambda d: f"{MONTHS[d.month - 1].title()} {d.day}, {d.year}",
    lambda d: f"{d.day} {MONTHS[d.month - 1][:3].title()} {d.year}",
    lambda d: f"{d.year}{d.month:02}{d.day:02}",
)


@WAYS
@given(st.dates(date(1900, 1, 1), date(2080, 1, 1)), st.integers(-400, 400), st.sampled_from(FORMS))
def test_dates_keep_their_distance(day: date, days: int, form):
    moved = moved_date(form(day), timedelta(days=days))
    assert moved is not None
    read = read_date(moved)
    assert read is not None
    assert read.told - day == timedelta(days=days)
    if day.month != 5:  # "May" is a whole name and a short one
        assert moved == form(day + timedelta(days=days))
