"""Bad FHIR files: what cannot be read costs itself alone, is counted with its place and reason; no value is told."""

from __future__ import annotations

import gzip
import json
import os
import random
import zlib
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl
import pyarrow as pa
import pytest

from salus.formats.sql_on_fhir.running import ViewRun, rows_of
from salus.formats.sql_on_fhir.taking import ColumnTaker
from salus.formats.sql_on_fhir.view import read_view
from salus.intake.fhir_files import CUT_SHORT, DAMAGED, LIMITS, NOTHING_OF_IT, Limits
from salus.intake.ordering import CONTRADICTED
from salus.progress import QUIET
from salus.timeline.store import read_rejected, read_timeline
from salus.workflows.ingest_fhir import FhirHow, ingest_fhir
from tests.spec.test_fhir_ingest import ANNA, POTASSIUM, bundle

CANARY = "987.65"
"""A value that no message may repeat."""
A_NUMBER = "not as FHIR defines it: a number is expected"
SMALL = Limits(block=1 << 10, line=4 << 10, document=8 << 10, ratio=20, ratio_from=16 << 10)


@dataclass(frozen=True, slots=True)
class Read:
    """What came of some bytes: numbers kept, and of each rejection line, column and reason."""

    numbers: list[float]
    rejected: list[tuple[int, str, str]]
    events: pl.DataFrame


@pytest.fixture
def read(tmp_path):
    """Reads files by their names; the books balance and nothing repeats the canary."""

    def reader(files: dict[str, bytes] | bytes, *, limits: Limits = LIMITS) -> Read:
        source = tmp_path / "export"
        source.mkdir(exist_ok=True)
        for name, content in (files if isinstance(files, dict) else {"o.ndjson": files}).items():
            (source / name).write_bytes(content)
        books = ingest_fhir(source, tmp_path / "t", FhirHow(limits=limits), progress=QUIET)
        rejected = read_rejected(tmp_path / "t")
        assert books.read == books.kept + books.rejected
        assert rejected.height == books.rejected
        assert CANARY not in json.dumps(books.as_json()) + rejected.write_csv()
        events = read_timeline(tmp_path / "t")
        numbers = sorted(events["numeric_value"].drop_nulls().to_list())
        return Read(numbers, sorted(row[1:] for row in rejected.iter_rows()), events)

    return reader


def line(number: float, **changes: object) -> bytes:
    """A potassium of its own id and value."""
    told = {**POTASSIUM, "id": f"k-{number:g}", "valueQuantity": {"value": number, "unit": "mmol/L"}}
    return json.dumps({**told, **changes}, ensure_ascii=False).encode() + b"\n"


ONE, TWO = line(1), line(2)


@pytest.mark.parametrize(
    ("between", "column", "reason"),
    [
        (b'{"resourceType": "Observation", "valueString": "987.65\n', "", "no JSON"),
        (b'{"resourceType": "Observation"} 987.65\n', "", "no JSON"),
        (b"987.65\n", "$", "not as FHIR defines it: an object is expected"),
        (b'["987.65"]\n', "$", "not as FHIR defines it: an object is expected"),
        (b'{"id": "987.65"}\n', "resourceType", "no FHIR resource: it has no resourceType"),
        (
            b'{"resourceType": 987.65}\n',
            "resourceType",
            "not as FHIR defines it: a text is expected",
        ),
        (line(3, valueString="Müller 987.65").decode().encode("latin-1"), "", "not UTF-8"),
        (b'{"resourceType": "Observation", "id": "\xff987.65"}\n', "", "not UTF-8"),
        (b'{"resourceType": "Observation", "id": "\\ud800987.65"}\n', "", "no JSON"),
        (b"\x00\x00\x00\n", "", "no JSON"),
        (b'{"resourceType":"Observation","a":' + b"[" * 99_999 + b"]" * 99_999 + b"}\n", "", "nested too deeply"),
        (line(3, valueQuantity={"value": CANARY}), "valueQuantity.value", A_NUMBER),
        (line(3, status=["final"]), "status", "not as FHIR defines it: a text is expected"),
        (line(3, effectiveDateTime="2026-03-01T08:00:00+99:00"), "time", "no date or time that FHIR knows"),
        (line(3, effectiveDateTime="2026-03-01T25:00:00Z"), "time", "no date or time that FHIR knows"),
        (line(3, effectiveDateTime="-987.65"), "time", "no date or time that FHIR knows"),
    ],
    ids=lambda one: "" if isinstance(one, bytes) else one,
)  # fmt: skip
def test_a_bad_line_in_the_middle_costs_itself_alone(read, between, column, reason):
    found = read(ONE + between + TWO)
    assert found.numbers == [1, 2]
    assert found.rejected == [(2, column, reason)]


def test_a_byte_order_mark_is_passed_over(read):
    assert read(b"\xef\xbb\xbf" + ONE + TWO).numbers == [1, 2]


def test_lines_may_end_as_on_windows_be_empty_and_lack_the_last_end(read):
    found = read(ONE.replace(b"\n", b"\r\n") + b"\n\r\n" + TWO.rstrip())
    assert (found.numbers, found.rejected) == ([1, 2], [])


def test_a_file_in_utf_16_is_refused_line_by_line(read):
    found = read({"a.ndjson": (ONE + TWO).decode().encode("utf-16"), "b.ndjson": ONE})
    assert found.numbers == [1]
    assert {reason for _, _, reason in found.rejected} <= {"not UTF-8", "no JSON"}


def test_of_a_gzip_that_is_cut_short_what_came_before_is_kept(read):
    chance = random.Random(1)
    lines = [line(number, note=[{"text": chance.randbytes(600).hex()}]) for number in range(1, 41)]
    whole = gzip.compress(b"".join(lines))
    found = read({"o.ndjson.gz": whole[: len(whole) // 2]}, limits=Limits(block=1 << 10))
    assert found.numbers == list(range(1, len(found.numbers) + 1))
    assert 10 <= len(found.numbers) < 40
    assert found.rejected[-1][2] == CUT_SHORT


def test_what_is_no_gzip_is_refused_whole(read):
    found = read({"a.ndjson.gz": ONE, "b.json.gz": json.dumps(POTASSIUM).encode(), "c.ndjson": TWO})
    assert found.numbers == [2]
    assert {(line, reason) for line, _, reason in found.rejected} == {(1, DAMAGED), (1, NOTHING_OF_IT)}


def test_a_gzip_with_a_wrong_byte_is_said_to_be_damaged(read):
    """Its checksum is at its end: what was read before may hold the wrong byte, and the books say so."""
    chance = random.Random(1)
    lines = [line(number, note=[{"text": chance.randbytes(600).hex()}]) for number in range(1, 41)]
    whole = bytearray(gzip.compress(b"".join(lines)))
    whole[len(whole) // 2] ^= 1
    found = read({"o.ndjson.gz": bytes(whole), "p.ndjson": line(99)}, limits=Limits(block=1 << 10))
    assert 99 in found.numbers
    assert DAMAGED in [reason for _, _, reason in found.rejected]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_of_a_zstd_that_is_cut_short_the_rest_is_said_to_be_missing(read, share):
    chance = random.Random(1)
    lines = [line(number, note=[{"text": chance.randbytes(600).hex()}]) for number in range(1, 41)]
    whole = pa.compress(b"".join(lines), codec="zstd", asbytes=True)
    found = read(
        {"o.ndjson.zst": whole[: int(share * len(whole))], "p.ndjson": line(99)}, limits=Limits(block=1 << 10)
    )
    assert 99 in found.numbers
    assert len(found.numbers) < 41
    assert {reason for _, _, reason in found.rejected} & {CUT_SHORT, DAMAGED}


def test_two_contents_under_one_id_and_version_are_one_kept_and_one_rejected(read):
    """Which is kept depends on the contents alone, not on the order of lines."""
    other = line(1, valueQuantity={"value": 7, "unit": "mmol/L"})
    found = read(ONE + other + TWO)
    turned = read(TWO + other + ONE)
    assert len(found.numbers) == 2
    assert found.numbers == turned.numbers
    assert [reason for _, _, reason in found.rejected] == [CONTRADICTED]


def test_a_medicine_that_is_nowhere_is_rejected_and_a_patient_who_is_nowhere_is_kept(read):
    """An export may hold a part of the patients' resources: who they are is another file's business."""
    order = {
        "resourceType": "MedicationRequest",
        "id": "m",
        "status": "active",
        "intent": "order",
        "subject": ANNA,
        "authoredOn": "2026-03-01",
        "medicationReference": {"reference": "Medication/nowhere"},
    }
    found = read(ONE + json.dumps(order).encode() + b"\n")
    assert found.numbers == [1]
    assert found.rejected == [(2, "code", "what it refers to for its code is not in the source, or has none")]


def test_references_in_a_circle_end(read):
    itself = {
        "resourceType": "MedicationRequest",
        "id": "m",
        "status": "active",
        "intent": "order",
        "subject": ANNA,
        "authoredOn": "2026-03-01",
        "medicationReference": {"reference": "#a"},
        "contained": [
            {"resourceType": "Medication", "id": "a", "ingredient": [{"itemReference": {"reference": "#a"}}]}
        ],
    }
    circle = [
        line(number, hasMember=[{"reference": f"Observation/k-{other}"}])
        for number, other in ((1, 2), (2, 1))
    ]
    found = read(b"".join(circle) + json.dumps(itself).encode() + b"\n")
    assert found.numbers == [1, 2]
    assert [row[1:] for row in found.rejected] == [
        ("code", "what it refers to for its code is not in the source, or has none")
    ]


def test_full_urls_that_lead_to_one_another_end(read):
    told = bundle("collection")
    told["entry"][0]["resource"] = {
        **told["entry"][0]["resource"],
        "link": [{"other": {"reference": "urn:uuid:0f1e"}}],
    }
    told["entry"].append({"fullUrl": "urn:uuid:0f1e", "resource": json.loads(ONE)})
    assert 1 in read({"b.json": json.dumps(told).encode()}).numbers


def test_one_line_that_is_too_long_is_passed_over(read):
    huge = line(3, note=[{"text": "x" * 100_000}])
    found = read(ONE + huge + TWO, limits=SMALL)
    assert found.numbers == [1, 2]
    assert found.rejected == [(2, "", "a line longer than 4096 bytes")]


def test_a_last_line_that_is_too_long_and_never_ends_is_passed_over(read):
    found = read(ONE + b"x" * 100_000, limits=SMALL)
    assert (found.numbers, found.rejected) == ([1], [(2, "", "a line longer than 4096 bytes")])


def test_a_document_that_is_too_large_is_refused(read):
    large = json.dumps({**bundle("collection"), "note": "x" * 10_000}).encode()
    found = read({"a.json": large, "b.ndjson": ONE}, limits=SMALL)
    assert found.numbers == [1]
    assert found.rejected == [(1, "", "a document larger than 8192 bytes: export it as NDJSON")]


@pytest.mark.parametrize("name", ["bomb.ndjson.gz", "bomb.json.gz"])
def test_of_a_file_that_unpacks_to_too_much_the_rest_is_not_read(read, name):
    """A megabyte of spaces packs to a thousandth."""
    limits = Limits(block=1 << 10, ratio=20, ratio_from=16 << 10)
    found = read({name: gzip.compress(ONE + b" " * (1 << 20)), "o.ndjson": TWO}, limits=limits)
    assert 2 in found.numbers
    assert [reason for _, _, reason in found.rejected][-1].startswith(
        "the file unpacks to more than 20 times"
    )


def test_a_resource_nested_two_hundred_deep_is_read(read):
    inside: dict[str, object] = {"url": "u", "valueString": "x"}
    for _ in range(200):
        inside = {"url": "u", "extension": [inside]}
    found = read(ONE + line(2, extension=[inside]) + line(3))
    assert (found.numbers, found.rejected) == ([1, 2, 3], [])


def test_one_born_later_is_kept_as_told_and_left_to_the_checks_of_quality(read):
    """An age below zero is for a person to judge: rows before birth are counted by `salus quality`."""
    born = json.dumps({"resourceType": "Patient", "id": "anna", "birthDate": "2030-01-01"}).encode()
    found = read(born + b"\n" + ONE)
    assert (found.numbers, found.rejected) == ([1], [])


def test_names_that_lead_out_of_the_folder_are_not_followed(read, tmp_path):
    (tmp_path / "elsewhere.ndjson").write_bytes(TWO)
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "link.ndjson").symlink_to(tmp_path / "elsewhere.ndjson")
    (tmp_path / "export" / "up").symlink_to(tmp_path)
    found = read(ONE)
    assert found.numbers == [1]


def test_an_id_that_is_a_path_writes_nothing_outside(read, tmp_path):
    before = {path for path in tmp_path.parent.rglob("*") if tmp_path not in path.parents}
    found = read(line(1, id="../../../../out", subject={"reference": "Patient/..%2f..%2fout"}) + TWO)
    assert 2 in found.numbers
    assert "out" not in "".join(found.events["source"])
    assert {path for path in tmp_path.parent.rglob("*") if tmp_path not in path.parents} == before


def test_files_that_are_no_files_are_passed_over(read, tmp_path):
    (tmp_path / "export").mkdir()
    os.mkfifo(tmp_path / "export" / "pipe.ndjson")
    (tmp_path / "export" / "folder.ndjson").mkdir()
    (tmp_path / "export" / "empty.ndjson").write_bytes(b"")
    assert read(ONE).numbers == [1]


def test_the_same_bad_files_give_the_same_bytes_whatever_the_number_of_workers(tmp_path):
    source = tmp_path / "export"
    source.mkdir()
    for number in range(3):
        (source / f"{number}.ndjson").write_bytes(ONE + b"{\n" + line(10 + number) + b"\xff\n")
    for count in (None, 2):
        ingest_fhir(source, tmp_path / f"t{count}", FhirHow(processes=count), progress=QUIET)
    told = [_content(tmp_path / f"t{count}") for count in (None, 2)]
    assert told[0] == told[1]


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_view_that_goes_down_and_down_refuses_what_is_too_deep_and_takes_the_rest():
    """Answers within answers: two are asked for, of the ten thousand that are one inside the other none."""
    view = read_view(
        {
            "resource": "QuestionnaireResponse",
            "select": [{"repeat": ["item"], "column": [{"name": "link", "path": "linkId"}]}],
        }
    )
    inside: dict[str, object] = {"linkId": "x"}
    for _ in range(10_000):
        inside = {"linkId": "x", "item": [inside]}
    deep, flat = (
        {"resourceType": "QuestionnaireResponse", "item": [one]} for one in (inside, {"linkId": "a"})
    )
    assert rows_of(ViewRun(view), deep).refused == ("path", "nested too deeply")
    assert rows_of(ViewRun(view), flat).rows == [{"link": "a"}]


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"status": {"a": 1}}, "a text"),
        ({"valueQuantity": [1]}, "an object"),
        ({"valueBoolean": "true"}, "true or false"),
        ({"valueInteger": True}, "a whole number"),
        ({"valueQuantity": {"value": "987.65"}}, "a number"),
    ],
)
def test_both_ways_to_run_a_view_refuse_a_value_of_another_type(told, wanted):
    """The general way meets what the way in columns has refused while parsing."""
    paths = ("status", "value.ofType(Quantity).value", "value.ofType(boolean)", "value.ofType(integer)")
    columns = [{"name": f"c{number}", "path": path} for number, path in enumerate(paths)]
    view = read_view({"resource": "Observation", "select": [{"column": columns}]})
    found = rows_of(ViewRun(view), {"resourceType": "Observation", **told})
    assert found.refused == ("path", f"not as FHIR defines it: {wanted} is expected")
    with pytest.raises(msgspec.ValidationError):
        ColumnTaker(view).decoder.decode(json.dumps({"resourceType": "Observation", **told}))


def test_a_file_name_that_is_no_utf_8_is_read_and_shown_as_it_can_be(tmp_path):
    """Latin-1's ü (0xFC) in a name is no UTF-8: the file is read, its bad line rejected under a name that shows it."""
    folder = tmp_path / "export"
    folder.mkdir()
    name = os.fsdecode(b"m\xfcnster.ndjson")
    try:
        (folder / name).write_text('{"resourceType":"Patient","id":"a","gender":"male"}\n{broken\n')
    except OSError:
        pytest.skip("this disk holds no such name")
    ingest_fhir(folder, tmp_path / "timeline", FhirHow(), progress=QUIET)
    assert read_rejected(tmp_path / "timeline")["file"].to_list() == ["m�nster.ndjson"]
    assert read_timeline(tmp_path / "timeline")["code"].to_list() == ["SEX//M"]


def bundle_of(*entries: object) -> bytes:
    """A Bundle with these entries, whatever they are."""
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": list(entries)}).encode()


ANNA_HERE = {
    "fullUrl": "urn:uuid:anna",
    "resource": {"resourceType": "Patient", "id": "anna", "gender": "female"},
}


@pytest.mark.parametrize(
    ("entry", "column", "reason"),
    [
        (None, "entry", "not as FHIR defines it: an object is expected"),
        ("987.65", "entry", "not as FHIR defines it: an object is expected"),
        ([], "entry", "not as FHIR defines it: an object is expected"),
        ({"fullUrl": 987.65}, "fullUrl", "not as FHIR defines it: a text is expected"),
        ({"resource": "987.65"}, "$", "not as FHIR defines it: an object is expected"),
        ({"resource": None}, "$", "not as FHIR defines it: an object is expected"),
    ],
)
@pytest.mark.parametrize("name", ["b.json", "b.ndjson"])
def test_an_entry_that_is_none_costs_itself_alone(read, name, entry, column, reason):
    """The second of three entries is broken; in a file of lines all entries are of the Bundle's line."""
    whole = bundle_of({"resource": json.loads(ONE)}, entry, {"resource": json.loads(TWO)})
    found = read({name: whole + b"\n"})
    assert found.numbers == [1, 2]
    assert found.rejected == [(2 if name == "b.json" else 1, column, reason)]


@pytest.mark.parametrize("entry", [{"a": 1}, "987.65", 5])
def test_a_bundle_whose_entries_are_no_list_is_rejected_and_not_passed_over(read, entry):
    bad = json.dumps({"resourceType": "Bundle", "entry": entry}).encode()
    found = read({"bad.json": bad, "o.ndjson": ONE})
    assert found.rejected == [(1, "entry", "not as FHIR defines it: a list is expected")]
    assert found.numbers == [1]


def test_bundles_may_be_the_lines_of_a_file(read):
    """Two Bundles, each a line, give what two files of them give, also where a medication stands in the first."""
    first, second = bundle_of({"resource": json.loads(ONE)}), bundle_of({"resource": json.loads(TWO)})
    assert read({"lines.ndjson": first + b"\n" + second + b"\n"}).numbers == [1, 2]


def test_bundles_in_lines_whose_full_urls_clash_are_not_mixed_up(read):
    """Both call their patient urn:uuid:anna and mean two: the second Bundle is refused rather than given to Anna."""
    other = {
        "fullUrl": "urn:uuid:anna",
        "resource": {"resourceType": "Patient", "id": "other", "gender": "male"},
    }
    lines = [
        bundle_of(ANNA_HERE, {"resource": json.loads(ONE)}),
        bundle_of(other, {"resource": json.loads(TWO)}),
    ]
    found = read({"lines.ndjson": b"\n".join(lines) + b"\n"})
    assert [(place, column) for place, column, _ in found.rejected] == [(2, "entry")]
    assert found.numbers == [1]


@pytest.mark.parametrize("name", ["o.ndjson", "o.json"])
def test_a_type_that_is_none_of_r4_is_not_repeated(read, name):
    """Whatever stands there, a name say, it is rejected by its place and never told."""
    found = read({name: json.dumps({"resourceType": f"Jane {CANARY}"}).encode() + b"\n", "two.ndjson": TWO})
    assert found.rejected == [(1, "resourceType", "no FHIR resource: its resourceType is none of R4")]


def test_files_of_other_kinds_are_counted_by_how_their_names_end(tmp_path):
    source = tmp_path / "export"
    source.mkdir()
    for name in ("o.ndjson", "a.xml", "b.xml", "README", "smith.1980-01-01", ".hidden.json"):
        (source / name).write_bytes(ONE)
    books = ingest_fhir(source, tmp_path / "t", FhirHow(), progress=QUIET)
    assert books.noted["other files"] == {
        "not read: .xml": 2,
        "not read: no known ending": 2,
        "not read: hidden": 1,
    }


def test_a_packed_document_cut_short_says_that_nothing_of_it_is_read(read):
    packed = gzip.compress(bundle_of({"resource": json.loads(ONE)}) + os.urandom(5_000))
    found = read({"b.json.gz": packed[: len(packed) // 2], "two.ndjson": TWO})
    assert found.rejected == [(1, "", "the file is cut short or damaged: nothing of it can be read")]


def test_a_packed_file_cut_short_gives_every_whole_line_before_the_cut(read):
    """Of 200 lines whose packed file is cut in half, those that unpack whole are kept, and the cut is one rejection."""
    chance = random.Random(2)
    lines = [line(number, note=[{"text": chance.randbytes(60).hex()}]) for number in range(1, 201)]
    packed = gzip.compress(b"".join(lines))
    half = zlib.decompressobj(wbits=31).decompress(packed[: len(packed) // 2])
    whole = half.count(b"\n")
    assert 50 < whole < 150
    found = read({"o.ndjson.gz": packed[: len(packed) // 2]})
    assert found.numbers == list(range(1, whole + 1))
    assert [(column, reason) for _, column, reason in found.rejected] == [("", CUT_SHORT)]
