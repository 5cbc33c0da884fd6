"""Broken input, one way of being broken at a time: a clear error or a rejection row, never a lost or changed row.

The canary 987.65 is planted wherever a patient's value can stand: it must not come out in an error, a rejection
or the books.
"""

import gzip
import signal
import subprocess
import sys

import polars as pl
import pyarrow as pa
import pytest

from salus.errors import (
    ColumnMissing,
    InputEmpty,
    InputMissing,
    InputUnreadable,
    SourceFileError,
    SourceKeyError,
    SourceValueError,
    TimelineNotWritten,
    UnitUnknown,
)
from salus.progress import QUIET
from salus.timeline.store import read_rejected, read_timeline
from salus.workflows.ingest import ingest
from tests.tiny_source import LABS, PEOPLE, YAML, ingest_tiny, write_tiny

CANARY = "987.65"


def fails(tmp_path, kind, **parts):
    """Ingest must stop with this error, say how to fix it, leave nothing behind and not tell a value."""
    source = write_tiny(tmp_path, **parts)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(kind) as refused:
        ingest(source, tmp_path / "timeline", progress=QUIET)
    assert refused.value.fix and refused.value.where
    assert CANARY not in str(refused.value)
    assert sorted(tmp_path.rglob("*")) == before
    return refused.value


def rejected(tmp_path, **parts):
    """Ingest must go on and list exactly these rejections; gives (file, line, column, reason)."""
    folder, books = ingest_tiny(tmp_path, **parts)
    rows = read_rejected(folder)
    assert books.read == books.kept + books.rejected
    assert books.rejected == rows.height
    assert CANARY not in str(rows.rows()) + (folder / "books.json").read_text()
    kept = set(read_timeline(folder)["source"])
    assert not kept & {f"{file.split('.')[0]}:{line}" for file, line, _, _ in rows.iter_rows()}
    return rows.rows()


# Files


def test_a_missing_file(tmp_path):
    source = write_tiny(tmp_path)
    (tmp_path / "data/labs.csv").unlink()
    with pytest.raises(InputMissing, match=r"labs\.csv"):
        ingest(source, tmp_path / "timeline", progress=QUIET)


def test_a_missing_folder_says_to_fetch(tmp_path):
    source = write_tiny(tmp_path, yaml="fetch: cohort\n" + YAML.replace("input: data", "input: nowhere"))
    with pytest.raises(InputMissing) as refused:
        ingest(source, tmp_path / "timeline", progress=QUIET)
    assert "salus fetch cohort" in refused.value.fix


def test_an_unset_variable_is_named(tmp_path):
    source = write_tiny(tmp_path, yaml=YAML.replace("input: data", "input: $SALUS_NOT_SET/x"))
    with pytest.raises(InputMissing) as refused:
        ingest(source, tmp_path / "timeline", progress=QUIET)
    assert "$SALUS_NOT_SET" in refused.value.fix


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file(tmp_path, content):
    fails(tmp_path, InputEmpty, people=content)


def test_a_header_without_rows(tmp_path):
    fails(tmp_path, InputEmpty, people=PEOPLE.splitlines()[0], labs=LABS.splitlines()[0])


def test_nothing_kept_says_the_commonest_reason(tmp_path):
    error = fails(tmp_path, InputEmpty, people=f"id,age,male,weight,futime,status\nx,1,0,{CANARY},3,0\n")
    assert "not a whole number" in error.what or "not in table people" in error.what


@pytest.mark.parametrize("end", [".gz", ".zst"])
@pytest.mark.parametrize("cut", [10, 40])
def test_a_compressed_file_cut_short(tmp_path, end, cut):
    many = LABS + "".join(f"1,{day},sbp,{CANARY},mmHg\n" for day in range(2000))
    packed = gzip.compress(many.encode())
    if end == ".zst":
        packed = pa.compress(many.encode(), codec="zstd", asbytes=True)
    source = write_tiny(tmp_path, yaml=YAML.replace("[labs.csv]", f"[labs.csv{end}]"))
    (tmp_path / f"data/labs.csv{end}").write_bytes(packed[:-cut])
    with pytest.raises(InputUnreadable, match="cut short"):
        ingest(source, tmp_path / "timeline", progress=QUIET)


def test_a_whole_zst_file_is_read(tmp_path):
    source = write_tiny(tmp_path, yaml=YAML.replace("[labs.csv]", "[labs.csv.zst]"))
    (tmp_path / "data/labs.csv.zst").write_bytes(pa.compress(LABS.encode(), codec="zstd", asbytes=True))
    assert ingest(source, tmp_path / "timeline", progress=QUIET).kept == 7


@pytest.mark.parametrize(
    ("encoding", "said", "command"),
    [
        ("latin-1", "not a UTF-8 table", "iconv -f WINDOWS-1252 -t UTF-8"),
        ("utf-16-le", "is written in UTF-16", "iconv -f UTF-16 -t UTF-8"),
        ("utf-16-be", "is written in UTF-16", "iconv -f UTF-16 -t UTF-8"),
    ],
)
def test_a_file_that_is_not_utf8_is_told_how_to_become_so(tmp_path, encoding, said, command):
    source = write_tiny(tmp_path)
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    content = mark + (PEOPLE + "9,Zoë,,,,\n").encode(encoding)
    (tmp_path / "data" / "people.csv").write_bytes(content)
    with pytest.raises(InputUnreadable, match=said) as error:
        ingest(source, tmp_path / "timeline", progress=QUIET)
    assert command in str(error.value) and "Zo" not in str(error.value)


def test_an_unclosed_quote(tmp_path):
    fails(tmp_path, InputUnreadable, labs=LABS + f'1,3,sbp,"{CANARY},mmHg\n')


# Columns


def test_a_wrong_column_name_is_answered_with_the_nearest(tmp_path):
    error = fails(tmp_path, ColumnMissing, people=PEOPLE.replace("weight", "wieght"))
    assert "'weight'" in error.what and "did you mean 'wieght'" in error.what


def test_an_undeclared_column_is_not_silently_dropped(tmp_path):
    labs = "".join(line + (",note\n" if n == 0 else ",x\n") for n, line in enumerate(LABS.splitlines()))
    assert "'note'" in fails(tmp_path, ColumnMissing, labs=labs).what


def test_two_columns_of_one_name(tmp_path):
    fails(tmp_path, InputUnreadable, labs=LABS.replace("unit", "day", 1))


# Rows


@pytest.mark.parametrize("bad", ["high", "12,0", "1O0", "nan", "inf", "1e60", "--5", " 5"])
def test_a_value_that_is_not_a_number(tmp_path, bad):
    cell = f'"{bad}"' if "," in bad else bad
    rows = rejected(tmp_path, labs=LABS + f"1,4,sbp,{cell},mmHg\n2,4,sbp,{CANARY},mmHg\n")
    assert rows == [("labs.csv", 6, "value", "not a number")]


def test_a_bad_cell_rejects_a_patients_whole_row_and_all_that_hangs_on_it(tmp_path):
    rows = rejected(tmp_path, people=PEOPLE.replace("60.5", f"{CANARY}kg"))
    assert rows == [
        ("labs.csv", 2, "id", "the patient is not in table people, or that row was rejected"),
        ("labs.csv", 3, "id", "the patient is not in table people, or that row was rejected"),
        ("people.csv", 2, "weight", "not a number"),
    ]


def test_a_duplicate_patient(tmp_path):
    rows = rejected(tmp_path, people=PEOPLE + f"2,51,1,{CANARY},31,1\n")
    assert rows == [("people.csv", 5, "id", "the patient is already on line 3 of people.csv")]


def test_a_row_that_repeats_another_in_every_cell(tmp_path):
    row = f"1,4,sbp,{CANARY},mmHg\n"
    rows = rejected(tmp_path, labs=LABS + row + row + row)
    assert rows == [
        ("labs.csv", 7, "", "the same in every cell as line 6 of labs.csv"),
        ("labs.csv", 8, "", "the same in every cell as line 6 of labs.csv"),
    ]


def test_two_values_at_the_same_moment_are_both_kept(tmp_path):
    assert rejected(tmp_path, labs=LABS + "1,-10,sbp,121,mmHg\n") == []


def test_an_unknown_unit(tmp_path):
    rows = rejected(tmp_path, labs=LABS + f"1,4,sbp,{CANARY},furlong\n1,4,glucose,{CANARY},mm[Hg]\n")
    reason = "the unit is not known or does not convert to the code's"
    assert rows == [("labs.csv", 6, "unit", reason), ("labs.csv", 7, "unit", reason)]


def test_a_unit_in_the_wrong_case_is_not_taken_for_another(tmp_path):
    """UCUM is case-sensitive: MG/DL is no unit."""
    assert len(rejected(tmp_path, labs=LABS + "1,4,glucose,90,MG/DL\n")) == 1


def test_an_unknown_variable_is_not_told(tmp_path):
    rows = rejected(tmp_path, labs=LABS + f"1,4,{CANARY},120,mmHg\n")
    assert rows == [("labs.csv", 6, "test", "no fact is declared for this variable in the source.yaml")]


def test_a_value_outside_its_categories(tmp_path):
    rows = rejected(tmp_path, labs=LABS + f"1,4,smoke,{CANARY},\n")
    assert rows == [("labs.csv", 6, "value", "not one of the values declared for this variable")]


def test_a_category_may_be_written_as_a_decimal(tmp_path):
    assert rejected(tmp_path, labs=LABS + "1,4,smoke,1.0,\n") == []


@pytest.mark.parametrize("bad", ["", "soon", "1e9", "nan"])
def test_an_impossible_time(tmp_path, bad):
    rows = rejected(tmp_path, labs=LABS + f"1,{bad},sbp,{CANARY},mmHg\n")
    assert rows == [("labs.csv", 6, "day", "the time cannot be read or is impossible")]


def test_times_out_of_order_are_sorted(tmp_path):
    folder, _ = ingest_tiny(tmp_path, labs=LABS + "1,-3000,sbp,118,mmHg\n")
    times = read_timeline(folder).filter(pl.col("subject_id") == 1)["time"]
    assert times.drop_nulls().is_sorted()


def test_an_impossible_age(tmp_path):
    rows = rejected(tmp_path, people=PEOPLE.replace("2,50", "2,-50"))
    assert ("people.csv", 3, "age", "an age must be from 0 to 150 years") in rows


def test_a_patient_nobody_listed(tmp_path):
    rows = rejected(tmp_path, labs=LABS + f"99,4,sbp,{CANARY},mmHg\n")
    assert rows == [("labs.csv", 6, "id", "the patient is not in table people, or that row was rejected")]


def test_a_value_that_is_not_recorded_is_a_rejection_not_a_zero(tmp_path):
    assert rejected(tmp_path, labs=LABS + "1,4,sbp,,mmHg\n") == [("labs.csv", 6, "value", "not recorded")]


@pytest.mark.parametrize("line", [f"1,4,sbp,{CANARY}", f"1,4,sbp,{CANARY},mmHg,more"])
def test_a_line_with_too_few_or_too_many_cells(tmp_path, line):
    rows = rejected(tmp_path, labs=LABS + f"{line}\n\n1,5,sbp,121,mmHg\n")
    assert rows == [("labs.csv", 6, "", "the line has not as many cells as the header")]


def test_implausible_values_are_kept_for_the_quality_report(tmp_path):
    folder, books = ingest_tiny(tmp_path, labs=LABS + "1,4,sbp,13682,mmHg\n")
    assert books.rejected == 0
    assert read_timeline(folder)["numeric_value"].max() == 13682


# The source.yaml


def test_a_source_that_is_not_there(tmp_path):
    with pytest.raises(SourceFileError):
        ingest(tmp_path / "source.yaml", tmp_path / "timeline", progress=QUIET)


@pytest.mark.parametrize(
    ("old", "new", "kind", "says"),
    [
        ("name: tiny", "name: [tiny", SourceFileError, "not valid YAML"),
        ("subject: true", "subjct: true", SourceKeyError, "did you mean 'subject'"),
        ("grain: day", "grain: dya", SourceValueError, "did you mean 'day'"),
        ("{time: day}", "{time: dya}", SourceValueError, "did you mean 'day'"),
        ("{code: WEIGHT,", "{code: WIEGHT,", SourceValueError, "did you mean 'WEIGHT'"),
        ("at: end", "at: ende", SourceValueError, "did you mean 'end'"),
        ("patients: people", "patients: poeple", SourceValueError, "did you mean 'people'"),
        ("anchor: COHORT//ENTRY", "anchor: COHORT//ENTY", SourceValueError, "did you mean 'COHORT//ENTRY'"),
        ("train: 0.5", "train: 0.9", SourceValueError, "sum to 1"),
        ("unit: kg}", "unit: kg, low: 3}", SourceValueError, "has no source"),
        ("unit: kg}", "unit: KGG}", UnitUnknown, "no unit 'KGG'"),
        ("zero: 2000-01-01T00:00:00, ", "", SourceValueError, "no time zero"),
        ("files: [labs.csv]", "files: []", SourceValueError, "names no file"),
        ("role: anchor", "role: anker", SourceValueError, "did you mean 'anchor'"),
        ("{value: true}", "{unit: true}", SourceValueError, "two columns of use 'unit'"),
        ("status: {values", "status: {ignor", SourceKeyError, "did you mean 'ignore'"),
    ],
)
def test_a_source_with_a_mistake(tmp_path, old, new, kind, says):
    assert old in YAML
    error = fails(tmp_path, kind, yaml=YAML.replace(old, new))
    assert says in error.what


# The disk

FULL = """
import resource, signal, sys
from pathlib import Path
from salus.progress import QUIET
from salus.workflows.ingest import ingest
from salus.errors import SalusError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    ingest(Path(sys.argv[1]), Path(sys.argv[2]), progress=QUIET)
except SalusError as error:
    print(error)
    sys.exit(9)
"""


@pytest.mark.parametrize("room", [0, 100, 700, 2500])
def test_a_full_disk(tmp_path, room):
    """No file may grow beyond ``room`` bytes: the write fails in the middle, and the old timeline stays."""
    folder, _ = ingest_tiny(tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    source = tmp_path / "source.yaml"
    ran = subprocess.run(
        [sys.executable, "-c", FULL, str(source), str(folder), str(room)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 9, ran.stderr
    assert "SAL-203" in ran.stdout and "Traceback" not in ran.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_folder_that_may_not_be_written(tmp_path):
    source = write_tiny(tmp_path)
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(TimelineNotWritten):
        ingest(source, tmp_path / "file" / "timeline", progress=QUIET)


def test_an_interruption_leaves_nothing_half_valid(tmp_path, monkeypatch):
    source = write_tiny(tmp_path)

    def stop(self, *_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.write_text", stop)
    with pytest.raises(KeyboardInterrupt):
        ingest(source, tmp_path / "timeline", progress=QUIET)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "source.yaml"]


def test_a_killed_write_never_leaves_a_timeline_under_its_name(tmp_path):
    source = write_tiny(tmp_path)
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nimport salus.workflows.ingest as job\n"
        "from salus.progress import QUIET\n"
        "Path.write_text = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"job.ingest(Path({str(source)!r}), Path({str(tmp_path / 'timeline')!r}), progress=QUIET)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=False)
    assert ran.returncode == -signal.SIGKILL
    assert not (tmp_path / "timeline").exists()
    assert ingest(source, tmp_path / "timeline", progress=QUIET).kept == 7


def test_a_place_that_is_taken_is_refused_before_anything_is_read(tmp_path):
    source = write_tiny(tmp_path)
    (tmp_path / "data/labs.csv").unlink()
    with pytest.raises(TimelineNotWritten, match="something else"):
        ingest(source, tmp_path / "data", progress=QUIET)
    assert (tmp_path / "data/people.csv").read_text() == PEOPLE
