"""On no route to a patient does anything synthetic pass, unless a frozen protocol has passed on real records."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from salus.errors import ProposalBlocked, SyntheticLocked
from salus.findings import file_digest
from salus.programme.freezing import freeze
from salus.programme.lock import NO_LEAVE, Leave
from salus.programme.routes import ROUTES, locked_routes
from salus.programme.usecase_folder import UseCaseFolder
from salus.progress import QUIET
from salus.timeline.answers import read_answer_origin
from salus.timeline.store import read_codes, read_settings, read_timeline, timeline_digest, write_timeline
from salus.trajectory.artefact import load_model, save_model
from salus.usecases.contract import Budget, Order, Proposal
from salus.usecases.kinds import open_usecase
from salus.workflows.appraise import Material, appraise
from salus.workflows.complete import CompleteSettings, complete_timeline
from salus.workflows.embed import EmbedSettings, embed
from salus.workflows.forecast import ForecastSettings, forecast
from salus.workflows.futures import futures
from salus.workflows.generate import generate
from salus.workflows.simulate import SimulateSettings, simulate
from tests.labelled import EVERY_WAY, read_in, relabelled, sent_out
from tests.shape.sources import imported, modules
from tests.small_usecase import give_evidence, salus
from tests.ward_usecase import NOW, copy_of, write_words

PLENTY = Budget(seconds=600)
EARLY = """\
gate: model->silent
protocol: {version: 1, tier: 2, test_set: held_out}
defaults: {level: 0.95, min_grade: A, max_age: P180D}
criteria:
  - id: discrimination
    evidence: forecast
    metric: forecast.auroc
    outcomes: [death]
    bound: lower
    threshold: ">= 0.80"
    severity: safety
  - id: privacy
    evidence: privacy
    metric: privacy.membership_auc
    comparison: attack
    bound: upper
    threshold: "<= 0.55"
    severity: release
"""
ONLY_LIKE = EARLY[: EARLY.index("  - id: discrimination")] + EARLY[EARLY.index("  - id: privacy") :]
"""A protocol that asks nothing about forecasts."""


def learnt_from_synthetic(place: UseCaseFolder) -> None:
    """The model of the folder as if it had learnt from synthetic patients alone."""
    made = load_model(place.model)
    shutil.rmtree(place.model)
    place.model.mkdir()
    save_model(replace(made, lineage=replace(made.lineage, synthetic=True)), place.model)


def with_synthetic_records(place: UseCaseFolder) -> None:
    relabelled(place.timeline, place.root / "other", synthetic=True)
    shutil.rmtree(place.timeline)
    (place.root / "other").rename(place.timeline)


SORTS: dict[str, Callable[[UseCaseFolder], None]] = {
    "records": with_synthetic_records,
    "model": learnt_from_synthetic,
}


@pytest.fixture
def place(ward_usecase: UseCaseFolder, tmp_path: Path) -> UseCaseFolder:
    """The ward for early warning, in supervised use; its protocol is frozen and nothing was measured."""
    made = copy_of(ward_usecase, tmp_path / "ward")
    write_words(made, kind="early-warning", protocol=EARLY)
    shutil.rmtree(made.evidence)
    return made


def do_forecast(place: UseCaseFolder, leave: Leave = NO_LEAVE) -> None:
    settings = ForecastSettings(task=place.task, samples=2, leave=leave)
    forecast(place.model, place.timeline, to=place.root / "risks.parquet", settings=settings, progress=QUIET)


def do_simulate(place: UseCaseFolder, leave: Leave = NO_LEAVE) -> None:
    doing = ("LOINC//2823-3=4@index",)
    settings = SimulateSettings(task=place.task, interventions=doing, samples=2, leave=leave)
    simulate(place.model, place.timeline, to=place.root / "arms.parquet", settings=settings, progress=QUIET)


def do_futures(place: UseCaseFolder) -> None:
    shutil.rmtree(place.futures, ignore_errors=True)
    futures(place, patients=1, samples=2, seed=1, progress=QUIET)


def do_complete(place: UseCaseFolder) -> None:
    settings = CompleteSettings(fields="SEX")
    complete_timeline(
        place.model, place.timeline, to=place.root / "completed", settings=settings, progress=QUIET
    )


def do_propose(place: UseCaseFolder) -> None:
    open_usecase(place, now=datetime.now(UTC)).propose(2, seed=1, budget=PLENTY)


def do_write(place: UseCaseFolder) -> None:
    """A proposal made before, or elsewhere, is not written either."""
    usecase = open_usecase(place, now=datetime.now(UTC))
    rows = pl.DataFrame({"candidate": [1], "risk": [0.5], "age": [60.0], "codes": [3], "strange": [0]})
    made = Proposal(
        kind="early-warning", asked=1, made=1, seed=1, rows=rows,
        digests={"model": load_model(place.model).digest, "record": timeline_digest(place.timeline)},
    )  # fmt: skip
    usecase.write(made, Order())


def do_synthesis_write(place: UseCaseFolder) -> None:
    write_words(place, kind="synthesis", protocol=EARLY)
    usecase = open_usecase(place, now=datetime.now(UTC))
    made = usecase.propose(60, seed=1, budget=PLENTY)
    usecase.write(made, Order())


DOING: dict[str, Callable[[UseCaseFolder], None]] = {
    "forecast": do_forecast,
    "simulate": do_simulate,
    "futures": do_futures,
    "complete": do_complete,
    "early-warning propose": do_propose,
    "early-warning write": do_write,
    "synthesis write": do_synthesis_write,
}


def test_every_locked_route_is_tried_here():
    assert set(DOING) == set(locked_routes())


def test_every_module_that_could_say_something_about_a_patient_is_in_the_table():
    """Whoever loads a model, asks the networks about a patient or makes a transaction is on a route."""
    of_interest = (
        "salus.trajectory.artefact.load_model",
        "salus.trajectory.forecasting.draw_risks",
        "salus.trajectory.futures.draw_futures",
        "salus.trajectory.simulating.compare_arms",
        "salus.trajectory.completing.complete",
        "salus.outlet.fhir_transaction.transaction",
    )
    users = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 0
        for alias in node.names
        if f"{node.module}.{alias.name}" in of_interest
    }
    users |= {name for name, tree in modules().items() if "salus.trajectory.artefact" in imported(tree)} & {
        name for name in modules() if "import salus.trajectory.artefact" in ast.unparse(modules()[name])
    }
    inside = {name for name in users if name.startswith("trajectory/")} - {"trajectory/sending.py"}
    assert users - inside <= {route.module for route in ROUTES}
    assert {route.module for route in ROUTES} <= set(modules())


def test_every_open_route_says_why():
    assert all(bool(route.refuses) != bool(route.why_open) for route in ROUTES)


@pytest.mark.parametrize(("name", "sort"), [(route.name, sort) for route in ROUTES for sort in route.refuses])
def test_what_is_synthetic_is_refused_on_every_route(name, sort, place):
    SORTS[sort](place)
    with pytest.raises((SyntheticLocked, ProposalBlocked)) as refused:
        DOING[name](place)
    assert "synthetic" in str(refused.value)


@pytest.mark.parametrize("way", EVERY_WAY)
def test_a_set_that_came_back_from_any_form_is_still_refused(way, place, tmp_path):
    _, folder = sent_out(way, tmp_path / "sent", synthetic=True)
    shutil.rmtree(place.timeline)
    read_in(way, folder, place.timeline)
    for name in ("forecast", "simulate", "futures", "early-warning propose", "early-warning write"):
        with pytest.raises((SyntheticLocked, ProposalBlocked)) as refused:
            DOING[name](place)
        assert "synthetic" in str(refused.value), name


def passed(place: UseCaseFolder) -> None:
    """Evidence about what lies here that passes."""
    give_evidence(place)


@pytest.mark.parametrize("name", ["forecast", "simulate", "futures", "complete", "early-warning propose"])
def test_real_records_and_models_meet_no_lock(name, place):
    DOING[name](place)


@pytest.mark.parametrize("name", ["futures", "early-warning propose"])
def test_a_use_case_s_own_protocol_that_passed_on_real_records_opens_its_lock(name, place):
    learnt_from_synthetic(place)
    passed(place)
    DOING[name](place)


@pytest.mark.parametrize(("doing", "made"), [(do_forecast, "risks.parquet"), (do_simulate, "arms.parquet")])
def test_a_protocol_that_passed_on_real_records_opens_the_lock_and_the_file_keeps_the_label(
    doing, made, place
):
    learnt_from_synthetic(place)
    passed(place)
    doing(place, Leave(usecase=place.root))
    told = read_answer_origin(place.root / made)
    assert told is not None
    assert told.synthetic == "a model that learnt from synthetic patients alone"
    assert (told.model, told.only_to_measure) == (file_digest(place.model / "model.json"), False)


def test_synthetic_records_pass_where_the_model_has_passed_on_real_ones(place, tmp_path):
    passed(place)
    drawn = relabelled(place.timeline, tmp_path / "drawn", synthetic=True)
    settings = ForecastSettings(task=place.task, samples=2, leave=Leave(usecase=place.root))
    found = forecast(place.model, drawn, to=tmp_path / "r.parquet", settings=settings, progress=QUIET)
    assert found.synthetic == "synthetic records"


def refused_leave(place: UseCaseFolder, leave: Leave | None = None) -> str:
    with pytest.raises(SyntheticLocked) as refused:
        do_forecast(place, leave or Leave(usecase=place.root))
    assert refused.value.code == "SAL-477"
    return refused.value.what


def test_evidence_on_synthetic_records_opens_nothing(place):
    with_synthetic_records(place)
    learnt_from_synthetic(place)
    passed(place)
    assert "measured on synthetic records" in refused_leave(place)


def test_evidence_that_failed_or_is_missing_opens_nothing(place):
    learnt_from_synthetic(place)
    assert "answers NOT_ESTIMABLE" in refused_leave(place)


def test_a_protocol_that_was_never_frozen_opens_nothing(place):
    learnt_from_synthetic(place)
    passed(place)
    place.frozen.unlink()
    assert "exploratory" in refused_leave(place)


def test_a_protocol_that_asks_nothing_about_forecasts_opens_nothing(place):
    write_words(place, kind="early-warning", protocol=ONLY_LIKE)
    learnt_from_synthetic(place)
    passed(place)
    assert "no criterion that passed is about the forecast" in refused_leave(place)


def test_another_model_s_evidence_opens_nothing(place, tmp_path):
    learnt_from_synthetic(place)
    passed(place)
    other = copy_of(place, tmp_path / "other")
    made = load_model(other.model)
    shutil.rmtree(other.model)
    other.model.mkdir()
    save_model(replace(made, lineage=replace(made.lineage, data_set="another")), other.model)
    assert "about another model" in refused_leave(other, Leave(usecase=place.root))


def test_a_crack_to_measure_with_and_what_comes_of_it_says_so(place):
    """Otherwise no evidence on real patients could ever be measured."""
    learnt_from_synthetic(place)
    do_forecast(place, Leave(usecase=place.root, only_to_measure=True))
    told = read_answer_origin(place.root / "risks.parquet")
    assert told is not None
    assert told.only_to_measure


def test_no_crack_without_a_frozen_protocol_or_for_synthetic_records(place):
    leave = Leave(usecase=place.root, only_to_measure=True)
    learnt_from_synthetic(place)
    place.frozen.unlink()
    assert "not frozen" in refused_leave(place, leave)
    freeze(place, NOW)
    with_synthetic_records(place)
    assert "no evidence about real patients" in refused_leave(place, leave)


def test_learning_drawing_comparing_and_embedding_go_on(place, tmp_path):
    learnt_from_synthetic(place)
    generate(place.model, tmp_path / "drawn", patients=20, progress=QUIET)
    told = embed(
        place.model, tmp_path / "drawn", to=tmp_path / "v.parquet", settings=EmbedSettings(), progress=QUIET
    )
    both = "synthetic records and a model that learnt from synthetic patients alone"
    origin = read_answer_origin(tmp_path / "v.parquet")
    assert origin is not None
    assert told.synthetic == origin.synthetic == both
    place.risks.unlink()
    appraise(Material.of(place), tmp_path / "evidence", seed=1, made=NOW)
    assert (tmp_path / "evidence").is_dir()


def test_a_synthetic_timeline_is_completed_and_stays_synthetic(place, tmp_path):
    with_synthetic_records(place)
    rows = read_timeline(place.timeline).filter(
        ~((pl.col("subject_id") == 1) & pl.col("code").str.starts_with("SEX//"))
    )
    codes, settings = read_codes(place.timeline), read_settings(place.timeline)
    write_timeline(tmp_path / "gaps", rows, codes=codes, settings=settings)
    fill = CompleteSettings(fields="SEX")
    complete_timeline(place.model, tmp_path / "gaps", to=tmp_path / "out", settings=fill, progress=QUIET)
    assert read_settings(tmp_path / "out").synthetic


def test_rows_given_to_a_use_case_that_say_they_were_drawn_are_refused(place, tmp_path):
    generate(place.model, tmp_path / "drawn", patients=20, progress=QUIET)
    usecase = open_usecase(place, now=NOW, record=read_timeline(tmp_path / "drawn", "train"))
    with pytest.raises(SyntheticLocked):
        usecase.propose(2, seed=1, budget=PLENTY)


def test_the_command_says_what_is_locked_and_how_it_opens(place, capsys):
    learnt_from_synthetic(place)
    typed = ("forecast", place.model, place.timeline, "--task", place.task, "--samples", "2")
    assert salus(*typed, "--to", place.root / "r.parquet") == 1
    said = capsys.readouterr().err
    assert "[SAL-477]" in said
    assert "--protocol" in said
    assert not (place.root / "r.parquet").exists()
    passed(place)
    assert salus(*typed, "--to", place.root / "r.parquet", "--protocol", place.root) == 0
    assert "SYNTHETIC: made from a model that learnt from synthetic" in capsys.readouterr().out
