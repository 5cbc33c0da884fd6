"""What ``salus quality`` and ``salus export`` print, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from salus.cli import main
from salus.timeline.store import read_codes
from tests.tiny_source import ingest_tiny


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return ingest_tiny(tmp_path)[0]


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def test_quality_prints_what_to_look_at_and_where_the_page_is(tiny: Path, tmp_path: Path, capsys):
    assert run("quality", tiny, "--to", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "rows of 3 patients" in said
    assert str(tmp_path / "out" / "quality.html") in said


def test_quality_writes_into_the_timelines_folder_when_no_other_is_given(tiny: Path):
    assert run("quality", tiny) == 0
    assert (tiny / "quality.html").exists()
    assert run("quality", tiny) == 0, "and still reads it as a timeline"


def test_quality_gives_all_measures_as_json(tiny: Path, tmp_path: Path, capsys):
    assert run("quality", tiny, "--to", tmp_path / "out", "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["patients"] == 3
    assert {"codes", "periods", "twins", "units", "duplicates", "time_order"} <= set(content)


def test_quality_says_pass_or_fail_and_holds_an_extract_against_another(tiny: Path, tmp_path: Path, capsys):
    """The same extract twice: nothing moved. Its codes of no standard vocabulary fail, unless a file allows them."""
    out = tmp_path / "out"
    assert run("quality", tiny, "--to", out, "--against", tiny) == 0
    assert capsys.readouterr().out.startswith("FAIL: ")
    content = json.loads((out / "quality.json").read_text(encoding="utf-8"))
    assert (content["drift"]["moved"], content["drift"]["fails_more"]) == (0, [])
    ours = tmp_path / "ours.yaml"
    ours.write_text("blocking: [fatal]\n", encoding="utf-8")
    assert run("quality", tiny, "--to", out, "--thresholds", ours) == 0
    assert capsys.readouterr().out.startswith("PASS: ")


def test_quality_refuses_sites_that_no_code_tells(tiny: Path, tmp_path: Path, capsys):
    codes = read_codes(tiny)["code"].to_list()
    begins = sorted({code.partition("//")[0] for code in codes if "//" in code})
    assert run("quality", tiny, "--to", tmp_path / "out", "--site", f"{begins[0]}X") == 2
    assert f"did you mean '{begins[0]}'" in capsys.readouterr().err
    assert run("quality", tiny, "--to", tmp_path / "out", "--site", begins[0]) == 0


def test_export_prints_its_books(tiny: Path, tmp_path: Path, capsys):
    """17 events: 3 entries, 3 births, 3 sexes, 1 weight, 3 ends and 4 rows of labs; all can be said."""
    assert run("export", tiny, "--like", tmp_path / "source.yaml", "--to", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "people.csv: 3 rows" in said
    assert "17 events = 17 written + 0 not expressible" in said


def test_export_gives_its_books_as_json(tiny: Path, tmp_path: Path, capsys):
    assert run("export", tiny, "--like", tmp_path / "source.yaml", "--to", tmp_path / "out", "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["files"] == {"people.csv": 3, "labs.csv": 4}
    assert content["written"] == content["events"] == 17


def test_a_folder_that_is_no_timeline_ends_with_what_where_and_how_to_fix_it(tmp_path: Path, capsys):
    assert run("quality", tmp_path) == 1
    said = capsys.readouterr().err
    assert "[SAL-201]" in said
    assert "where:" in said
    assert "fix:" in said
