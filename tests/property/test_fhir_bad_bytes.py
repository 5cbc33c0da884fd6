"""Whatever bytes stand between good resources: nothing breaks, the good ones are kept, and the books balance."""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from salus.errors import ExpressionWrong
from salus.formats.fhirpath.evaluating import Around, evaluate
from salus.formats.fhirpath.grammar import parse
from salus.formats.fhirpath.values import Item
from salus.intake.fhir_files import LIMITS, Limits
from salus.intake.fhir_times import LATEST_CODE, Times
from salus.progress import QUIET
from salus.timeline.store import read_rejected, read_timeline
from salus.workflows.ingest_fhir import FhirHow, ingest_fhir
from tests.spec.test_fhir_ingest import PATIENT, POTASSIUM, PRESSURE

SLOW = settings(max_examples=60, deadline=None)
SIZES = st.sampled_from([Limits(block=97, line=5_000), Limits(block=1 << 10), LIMITS])

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(st.sampled_from([*POTASSIUM, *PATIENT, "component"]), below, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def changed(draw) -> bytes:
    """A resource in which some elements are something else."""
    resource = dict(draw(st.sampled_from([POTASSIUM, PRESSURE, PATIENT])))
    for name in draw(st.lists(st.sampled_from(sorted(resource)), max_size=3)):
        resource[name] = draw(anything)
    resource["id"] = "bad"
    return json.dumps(resource).encode()


@st.composite
def damaged(draw) -> bytes:
    """A resource of which some bytes are others, or that is cut."""
    raw = bytearray(json.dumps(draw(st.sampled_from([POTASSIUM, PRESSURE, PATIENT]))).encode())
    for _ in range(draw(st.integers(1, 4))):
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return bytes(raw[: draw(st.integers(0, len(raw)))])


bad = (st.binary(max_size=200) | changed() | damaged()).map(lambda raw: raw.replace(b"\n", b" "))


def good(number: int) -> bytes:
    return json.dumps(
        {**POTASSIUM, "id": f"good-{number}", "valueQuantity": {"value": 1000 + number}}
    ).encode()


def ingested(files: dict[str, bytes], limits: Limits) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The events and the rejections of some files; the books balance."""
    folder = Path(tempfile.mkdtemp())
    try:
        (folder / "export").mkdir()
        for name, content in files.items():
            (folder / "export" / name).write_bytes(content)
        books = ingest_fhir(folder / "export", folder / "t", FhirHow(limits=limits), progress=QUIET)
        rejected = read_rejected(folder / "t")
        assert books.read == books.kept + books.rejected
        assert books.rejected == rejected.height
        return read_timeline(folder / "t"), rejected
    finally:
        shutil.rmtree(folder)


def kept(events: pl.DataFrame, count: int) -> bool:
    numbers = set(events["numeric_value"].drop_nulls().to_list())
    return {1000.0 + number for number in range(count)} <= numbers


@SLOW
@given(between=st.lists(bad, max_size=6), limits=SIZES)
@example(between=[b"[" * 5_000], limits=LIMITS)
@example(between=[b'{"resourceType":"Observation","id":1e999}'], limits=LIMITS)
@example(between=[b"\xef\xbb\xbf", b"\xff\xfe"], limits=Limits(block=97, line=5_000))
def test_good_lines_are_kept_whatever_is_between_them(between, limits):
    lines = [part for number, raw in enumerate(between) for part in (good(number), raw)]
    events, rejected = ingested({"o.ndjson": b"\n".join([*lines, good(len(between))])}, limits)
    assert kept(events, len(between) + 1)
    assert rejected["line"].is_between(1, 2 * len(between) + 1).all()


@SLOW
@given(cut=st.floats(0, 1), flip=st.none() | st.tuples(st.floats(0, 1), st.integers(1, 255)), limits=SIZES)
def test_a_damaged_gzip_keeps_other_files(cut, flip, limits):
    raw = bytearray(gzip.compress(b"\n".join(good(number) for number in range(2, 40))))
    if flip is not None:
        raw[int(flip[0] * (len(raw) - 1))] ^= flip[1]
    files = {"a.ndjson.gz": bytes(raw[: int(cut * len(raw))]), "b.ndjson": good(0) + b"\n" + good(1)}
    events, _ = ingested(files, limits)
    assert kept(events, 2)


@SLOW
@given(
    entries=st.lists(bad, max_size=4), url=st.sampled_from(["urn:uuid:1", "Observation/x", "http://a/b", ""])
)
def test_bundles_of_anything_cost_themselves_alone(entries, url):
    told = b",".join(b'{"fullUrl": %s, "resource": %s}' % (json.dumps(url).encode(), raw) for raw in entries)
    files = {
        "a.json": b'{"resourceType": "Bundle", "entry": [' + told + b"]}",
        "b.ndjson": good(0) + b"\n",
    }
    events, _ = ingested(files, LIMITS)
    assert kept(events, 1)


EXPRESSIONS = (
    "extension('u').value.ofType(string)",
    "birthDate.extension('u').exists()",
    "component.where(code.coding.exists()).value.ofType(Quantity).value",
    "value.ofType(Quantity).value > 5 and value.ofType(Quantity).unit = 'x'",
    "-value.ofType(Quantity)",
    "effective.ofType(dateTime) + 1 month",
    "effective.ofType(dateTime).lowBoundary(6)",
    "value.ofType(Quantity).highBoundary()",
    "subject.getReferenceKey(Patient)",
    "getResourceKey()",
    "issued < @2026-03-01T08:00:00Z",
    "code.coding.code.join(',')",
    "code.coding[0].system & 'x'",
    "status = 'final' or id != 'x'",
    "contained.id | note.text",
    "descendants().count()",
)


@settings(max_examples=150, deadline=None)
@given(resource=changed().map(json.loads), expression=st.sampled_from(EXPRESSIONS))
def test_an_expression_asked_of_anything_answers_or_says_what_is_wrong(resource, expression):
    this = Item(
        resource, resource["resourceType"] if isinstance(resource["resourceType"], str) else "Element"
    )
    with suppress(ExpressionWrong):
        evaluate(parse(expression), [this], Around(resource=this))


@given(st.text(alphabet="0123456789-:TZ+. W", max_size=33))
@example("2026-03-01T08:00:00.123456+14:00")
@example("2024-W01-1T00:00:00Z")
@example("9999-12-31T23:59:59-14:00")
@example("1850-01-01T00:00:00+14:00")
def test_the_quick_way_to_read_a_time_says_what_the_slow_one_says(text):
    """The slow way is asked by a text that the quick one never takes: with one more digit of the second."""
    told = Times()[text]
    if len(text) in (20, 25) and told > LATEST_CODE and text[19:20] in ("Z", "+", "-"):
        assert told == Times()[f"{text[:19]}.0000000{text[19:]}"]
