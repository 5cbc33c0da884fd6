"""``salus ingest`` and ``salus fetch`` as they are typed."""

import json

import pytest

from salus.cli import main
from tests.tiny_source import LABS, write_tiny


def run(capsys, *words):
    """Exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return left.value.code, said.out, said.err


def test_ingest_prints_its_books(tmp_path, capsys):
    code, out, _ = run(capsys, "ingest", write_tiny(tmp_path), "--to", tmp_path / "timeline")
    assert code == 0
    assert "rows read" in out and "patients:" in out


def test_a_table_without_rows_is_told(tmp_path, capsys):
    source = write_tiny(tmp_path, labs=LABS.splitlines()[0] + "\n")
    code, out, _ = run(capsys, "ingest", source, "--to", tmp_path / "timeline")
    assert code == 0
    assert "! labs: a header and no rows" in out


def test_ingest_prints_json(tmp_path, capsys):
    code, out, _ = run(capsys, "ingest", write_tiny(tmp_path), "--to", tmp_path / "timeline", "--json")
    said = json.loads(out)
    assert code == 0
    assert (said["read"], said["kept"], said["rejected"]) == (7, 7, 0)


def test_input_wins_over_the_source(tmp_path, capsys):
    source = write_tiny(tmp_path)
    (tmp_path / "data").rename(tmp_path / "other")
    code, _, err = run(capsys, "ingest", source, "--to", tmp_path / "timeline")
    assert code == 1 and "[SAL-104]" in err
    assert run(capsys, "ingest", source, "--input", tmp_path / "other", "--to", tmp_path / "timeline")[0] == 0


@pytest.mark.parametrize("words", [["ingest", "nowhere.yaml", "--to", "x"], ["fetch", "cohrt", "--to", "x"]])
def test_failures_say_what_where_and_how_to_fix(capsys, words):
    code, out, err = run(capsys, *words)
    assert code == 1 and out == ""
    assert "[SAL-1" in err and "where:" in err and "fix:" in err
    assert "Traceback" not in err
