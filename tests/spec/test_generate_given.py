"""``salus generate --given``: only such patients, as the model knows them; the whole command, on the invented ward."""

from __future__ import annotations

import json

import polars as pl
import pytest

from salus.cli import main
from salus.progress import QUIET
from salus.timeline.store import read_settings, read_timeline
from salus.workflows.generate_given import GivenSettings, generate_given
from tests.small_model import trained_folder
from tests.small_ward import ZERO


def drawn(place, *given: str, patients: int = 300, seed: int = 4) -> pl.DataFrame:
    settings = GivenSettings(patients=patients, given=given, seed=seed)
    generate_given(trained_folder(), place, settings=settings, progress=QUIET)
    return read_timeline(place)


def test_given_women_all_are_women_with_potassium_near_4_who_do_not_die(tmp_path):
    events = drawn(tmp_path / "women", "sex=F")
    codes = events.group_by("code").agg(pl.len(), pl.col("numeric_value").mean())
    by_code = {code: (rows, mean) for code, rows, mean in codes.iter_rows()}
    assert by_code["SEX//F"][0] == 300
    assert "SEX//M" not in by_code
    assert by_code["LOINC//2823-3"][1] == pytest.approx(4.0, abs=0.2)
    assert by_code.get("MEDS_DEATH", (0, None))[0] < 30


def test_given_ages_all_lie_in_the_range_and_fill_it(tmp_path):
    """The ward's ages are 40 to 79, evenly: of those from 60 to 69 the mean is 64.5."""
    events = drawn(tmp_path / "aged", "age=60..69")
    birth = events.filter(pl.col("code") == "MEDS_BIRTH")
    born = birth.select(years=(ZERO - pl.col("time")).dt.total_days() / 365.25)["years"]
    assert len(born) == 300
    assert born.round(1).is_between(60, 69).all()
    assert born.mean() == pytest.approx(64.5, abs=0.8)


def test_the_command_says_how_many_are_such_and_what_they_are_worth(tmp_path, capsys):
    """Half of the ward are women: one candidate in two is worth keeping, and sex is drawn first of what matters."""
    with pytest.raises(SystemExit) as ended:
        main(["generate", str(trained_folder()), "--to", str(tmp_path / "out"), "--patients", "50", "--given", "sex=F",
              "--given", "age=60..", "--seed", "3", "--json"])  # fmt: skip
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["given"] == ["sex=F", "age=60.."]
    assert told["drawn"] == 16 * 50
    assert told["chance"] == pytest.approx(0.25, abs=0.08)
    assert 50 < told["effective"] <= 800
    assert "only patients with sex=F, age=60.." in read_settings(tmp_path / "out").splits


def test_the_same_seed_draws_the_same_patients_and_another_seed_others(tmp_path):
    first, again, other = (
        drawn(tmp_path / name, "sex=M", patients=40, seed=seed)
        for name, seed in (("first", 9), ("again", 9), ("other", 10))
    )
    assert first.equals(again)
    assert not first.equals(other)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["sex=F", "sex=M"], "[SAL-310] two conditions on 'sex' exclude each other"),
        (["six=F"], "[SAL-310] the model knows no static 'six' (did you mean 'sex'?)"),
        (["age=90..70"], "[SAL-310] the range 90..70 is empty"),
    ],
)
def test_conflicting_unknown_and_empty_conditions_are_typed_wrongly(tmp_path, capsys, given, says):
    """They exit with 2, say what to write instead, and write nothing."""
    options = [part for one in given for part in ("--given", one)]
    with pytest.raises(SystemExit) as ended:
        main(["generate", str(trained_folder()), "--to", str(tmp_path / "out"), "--patients", "5", *options])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_condition_nobody_meets_is_an_error_and_not_typed_wrongly(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["generate", str(trained_folder()), "--to", str(tmp_path / "out"), "--patients", "5", "--given", "age=no",
              "--given", "SALUS//AGE=no"])  # fmt: skip
    assert ended.value.code == 1
    assert "[SAL-311]" in capsys.readouterr().err
