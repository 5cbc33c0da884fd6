"""Two arms, without and with an intervention: the same luck in both, so that differences are the intervention's."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from salus.cli import main
from salus.errors import ConditionRefused
from salus.timeline.store import write_timeline
from salus.trajectory.encoding import draw_values
from salus.trajectory.forecasting import Asked, Histories, Question, draw_risks, set_out
from salus.trajectory.interventions import placements_of, read_interventions, set_at_index
from salus.trajectory.keyed import Keyed
from salus.trajectory.network import Network, Size
from salus.trajectory.placing import Plan, advance, unlike_training
from salus.trajectory.reading import read_histories
from salus.trajectory.simulating import Arm, Compared, arm_chances, compare_arms, over_patients, paired
from tests.small_model import trained, trained_folder
from tests.small_ward import CODES, SETTINGS, ZERO, ward

POTASSIUM = "LOINC//2823-3"
VOCABULARY = trained().vocabulary
KNOWN = ward(200).filter(
    (pl.col("split") == "held_out") & (pl.col("time").is_null() | (pl.col("time") <= ZERO))
)
MOMENTS = KNOWN.select("subject_id", prediction_time=pl.lit(ZERO)).unique().sort("subject_id")


def histories(events: pl.DataFrame = KNOWN) -> Histories:
    records = read_histories(events, CODES, SETTINGS, VOCABULARY)
    return Histories(records=records, known_until=np.zeros(records.patients, dtype=np.int64))


def asked(within: int = 30, samples: int = 32) -> Asked:
    return Asked(questions=(Question(name="death", codes=("MEDS_DEATH",), within=within),), samples=samples)


def arms(*written: str) -> tuple[Arm, Arm]:
    read = read_interventions(written, VOCABULARY)
    changed = set_at_index(KNOWN, MOMENTS, interventions=read, vocabulary=VOCABULARY)
    return Arm(histories=histories()), Arm(
        histories=histories(changed), placements=placements_of(read, VOCABULARY)
    )


def compared(*written: str, within: int = 30, network: Network | None = None, samples: int = 32) -> Compared:
    return compare_arms(
        network or trained().network, VOCABULARY, arms=arms(*written), asked=asked(within, samples), seed=5
    )


def facts(arm: Arm, *, days: int = 30, samples: int = 4) -> pl.DataFrame:
    """Every fact of every future up to a day: future, day, code, value."""
    records, rows = arm.histories.records, []
    futures = records.patients * samples
    draws = Keyed(5, rows=futures, fields=VOCABULARY.size)
    with torch.inference_mode():
        sampler, situation, settling = set_out(
            trained().network, VOCABULARY, histories=arm.histories, asked=asked(days, samples), draws=draws
        )
        plan = Plan(arm.placements, VOCABULARY, torch.from_numpy(settling.index))
        silent = torch.from_numpy(settling.index)
        while len(situation.row):
            situation, drawn = advance(sampler, situation, plan, draws=draws, silent_until=silent)
            silent = None
            values = draw_values(drawn.level, drawn.inside, VOCABULARY)
            codes = [VOCABULARY.entries[place].code for place in VOCABULARY.level_code[drawn.level]]
            rows += zip(drawn.row.tolist(), drawn.time.tolist(), codes, values.tolist(), strict=True)
            going = (situation.time.numpy() < days) & ~np.isin(situation.row.numpy(), sampler.dies(drawn))
            situation = situation.of(torch.from_numpy(going).nonzero()[:, 0])
    return pl.DataFrame(rows, schema=["future", "day", "code", "value"], orient="row").filter(
        pl.col("day") <= days
    )


def test_an_intervention_makes_a_moment_of_its_own():
    """On day 7 nobody has a potassium by themselves: all have 4.2 there, and nothing else."""
    seventh = facts(arms(f"{POTASSIUM}=4.2@index+7d")[1]).filter(pl.col("day") == 7)
    assert seventh["future"].n_unique() == seventh.height == 40 * 4
    assert seventh["code"].unique().to_list() == [POTASSIUM]
    assert seventh["value"].to_numpy() == pytest.approx(4.2, abs=1e-3)


def test_an_intervention_joins_the_moment_that_falls_at_its_time_and_is_said_once():
    """Women's potassium of day 10, near 4, is set to 5.9; a future without a moment that day gets one."""
    tenth = facts(arms(f"{POTASSIUM}=5.9@index+10d")[1]).filter(
        (pl.col("day") == 10) & (pl.col("code") == POTASSIUM)
    )
    assert tenth["future"].n_unique() == tenth.height == 40 * 4
    assert tenth["value"].to_numpy() == pytest.approx(5.9, abs=1e-3)


def test_up_to_the_intervention_both_arms_are_the_same_to_the_last_value():
    without, having = (facts(arm).sort("future", "day", "code") for arm in arms(f"{POTASSIUM}=5.9@index+12d"))
    assert without.filter(pl.col("day") < 12).equals(having.filter(pl.col("day") < 12))
    assert not without.equals(having)


def test_an_intervention_at_the_index_takes_the_place_of_what_was_measured_there():
    changed = arms(f"{POTASSIUM}=5.9@index")[1].histories.records
    levels = [VOCABULARY.entries[place].code for place in VOCABULARY.level_code[changed.level]]
    assert levels.count(POTASSIUM) == 40
    position = VOCABULARY.index()[POTASSIUM]
    values = draw_values(
        changed.level[VOCABULARY.level_code[changed.level] == position],
        np.full(40, 0.5, np.float32),
        VOCABULARY,
    )
    assert values.min() > 5.5


def test_after_the_horizon_an_intervention_changes_exactly_nothing():
    found = compared(f"{POTASSIUM}=5.9@index+60d")
    assert (found.difference == 0).all()
    assert (found.lower == 0).all()
    assert (found.upper == 0).all()


def deaf() -> Network:
    """A network that hears no fact: every moment comes five days after the last, with chances that never change."""
    network = deepcopy(trained().network)
    with torch.no_grad():
        for deafened in (network.moment.weight, network.drawn.weight, network.comes.weight, network.last.weight,
                         network.since.weight, network.prior.weight, network.context.weight,
                         network.due.weight):  # fmt: skip
            deafened.zero_()
        for weights in network.recurrence.parameters():
            weights.zero_()
        network.next_wait[-1].weight.zero_()
        network.next_wait[-1].bias.fill_(-50.0)
        edges = VOCABULARY.wait_edges.tolist()
        assert 6 in edges, "a wait of five days has a bin of its own"
        network.next_wait[-1].bias[edges.index(5)] = 50.0
    return network


def test_an_intervention_that_nothing_listens_to_changes_exactly_nothing():
    """It joins the moment of day 10, and not one draw of any future comes out otherwise."""
    found = compared(f"{POTASSIUM}=5.9@index+10d", network=deaf())
    assert 0.01 < found.without.risk.mean() < 0.999
    assert (found.difference == 0).all()


def test_common_luck_makes_differences_sharper_than_independent_arms_would():
    """A network that knows nothing draws all sorts of futures: the variance of differences of pairs is a third less."""
    torch.manual_seed(3)
    network = Network(VOCABULARY, Size(width=16)).eval()
    both = arms(f"{POTASSIUM}=5.0@index+10d")
    with torch.inference_mode():
        same, other = (
            [
                arm_chances(network, VOCABULARY, arm=arm, asked=asked(), seed=seed)[:, 0]
                for arm, seed in zip(both, seeds, strict=True)
            ]
            for seeds in ((5, 5), (5, 6))
        )
    together, apart = same[1] - same[0], other[1] - other[0]
    assert together.var() < apart.var() * 2 / 3
    assert abs(together.mean() - apart.mean()) < 4.5 * apart.std() / np.sqrt(len(apart))


def test_the_arm_without_is_the_forecast():
    """Other random numbers, the same risks: they differ by Monte Carlo error only."""
    found = compared(f"{POTASSIUM}=5.0@index+10d", samples=128)
    forecast = draw_risks(
        trained().network, VOCABULARY, histories=histories(), asked=asked(samples=128), seed=9
    )
    error = (forecast.upper - forecast.lower + found.without.upper - found.without.lower) / 3.92
    assert (np.abs(found.without.risk - forecast.risk) < 4.5 * error + 0.02).all()
    assert found.without.risk.mean() == pytest.approx(forecast.risk.mean(), abs=0.02)


def test_a_difference_has_the_error_of_the_mean_of_its_pairs():
    """Differences 0.1, 0.3: mean 0.2, SD 0.1414, standard error 0.1. Two such patients: 0.2 +- 1.96 x 0.0707."""
    mean, error = paired(np.array([[[0.1], [0.3]], [[0.1], [0.3]]], dtype=np.float32))
    np.testing.assert_allclose([mean[0, 0], error[0, 0]], [0.2, 0.1], atol=1e-6)
    found = compared(f"{POTASSIUM}=5.0@index+10d", samples=2)
    whole, low, high = over_patients([found])
    assert whole[0] == pytest.approx(found.difference.mean(), abs=1e-6)
    assert (high[0] - low[0]) / 3.92 == pytest.approx(np.sqrt((found.error**2).sum()) / 40, rel=1e-4)


def test_what_no_training_patient_had_so_late_is_counted():
    """No potassium after day 50 in training: set on day 100 it is unlike training for everybody."""
    late, usual = (
        placements_of(read_interventions([f"{POTASSIUM}=5.0@index+{days}d"], VOCABULARY), VOCABULARY)
        for days in (100, 20)
    )
    assert unlike_training(late, VOCABULARY, np.zeros(40, dtype=np.int64)) == 40
    assert unlike_training(usual, VOCABULARY, np.zeros(40, dtype=np.int64)) == 0


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ([], "no intervention is given"),
        (["LOINC//2823=4@index"], "the model knows no dated 'LOINC//2823' (did you mean 'LOINC//2823-3'?)"),
        (["SEX//F@index"], "'SEX//F' is static"),
        (["2823-3@index"], "'2823-3' needs a number"),
        (["2823-3=high@index"], "'2823-3' needs a number"),
        (["2823-3=99@index"], "the model knows no 2823-3 of 99"),
        (["MEDS_DEATH=1@index"], "'MEDS_DEATH' has no number"),
        (["2823-3=4@index+6h"], "falls between two moments: this record counts in days"),
        (["2823-3=4@index-1d"], "'@index-1d' is not a moment"),
        (["2823-3=4@tomorrow"], "'@tomorrow' is not a moment"),
        (["2823-3=4"], "'2823-3=4' is not an intervention"),
        (["2823-3=4@index+1d", "2823-3=5@index+24h"], "two interventions say different things of one field"),
    ],
)  # fmt: skip
def test_what_cannot_be_set_is_refused(written, says):
    with pytest.raises(ConditionRefused) as refused:
        read_interventions(written, VOCABULARY)
    assert refused.value.code == "SAL-310"
    assert says in refused.value.what


def test_where_times_are_only_an_order_there_is_no_day_after_the_index():
    ordered = replace(VOCABULARY, clock=replace(VOCABULARY.clock, order_only=True))
    assert read_interventions(["2823-3=4@index"], ordered)[0].after == 0
    with pytest.raises(ConditionRefused) as refused:
        read_interventions(["2823-3=4@index+1d"], ordered)
    assert "say only an order" in refused.value.what


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The ward's timeline and a task: death within 30 days of entry."""
    events = ward(200)
    write_timeline(tmp_path / "timeline", events, codes=CODES, settings=SETTINGS)
    (tmp_path / "task.yaml").write_text(
        "name: ward\nindex: {code: WARD//ENTRY}\noutcomes:\n"
        "  - {name: death, any_of: [MEDS_DEATH], within: {days: 30}}\n"
    )
    return tmp_path


def run(place: Path, *do: str, to: str = "arms.parquet") -> int:
    options = [part for one in do for part in ("--do", one)]
    with pytest.raises(SystemExit) as ended:
        main(["simulate", str(trained_folder()), str(place / "timeline"), "--task", str(place / "task.yaml"),
              "--to", str(place / to), "--samples", "16", "--json", *options])  # fmt: skip
    return int(ended.value.code or 0)


def test_the_command_gives_both_arms_the_difference_and_says_what_it_is_not(place, capsys):
    assert run(place, f"{POTASSIUM}=5.0@index+10d") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["meaning"] == "what the model expects, not a causal effect, until evidence says otherwise"
    assert told["patients"] == 40
    rows = pl.read_parquet(place / "arms.parquet")
    assert rows.height == 40
    assert rows["meaning"].unique().to_list() == [told["meaning"]]
    assert told["outcomes"][0]["difference"] == pytest.approx(rows["difference"].mean(), abs=1e-5)
    assert (rows["risk_without_lower"] <= rows["risk_without"]).all()
    assert (rows["difference_lower"] <= rows["difference"]).all()


def test_the_same_seed_gives_the_same_bytes(place):
    run(place, f"{POTASSIUM}=5.0@index", to="one.parquet")
    run(place, f"{POTASSIUM}=5.0@index", to="two.parquet")
    assert (place / "one.parquet").read_bytes() == (place / "two.parquet").read_bytes()


def test_an_intervention_that_is_the_outcome_is_refused(place, capsys):
    assert run(place, "MEDS_DEATH@index+3d") == 2
    assert "would be the outcome 'death' itself" in capsys.readouterr().err


def test_help_says_that_it_is_no_causal_effect(capsys):
    with pytest.raises(SystemExit):
        main(["simulate", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "what the model expects, not a causal effect, until evidence says otherwise" in said
