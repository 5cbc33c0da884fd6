"""What only early warning promises: who else is asked, how patients are called, what nobody knew yet change nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import fhirkit
import polars as pl
import pytest

from salus.errors import AnswerStrange, ProposalBlocked, UseCaseValueError
from salus.programme.usecase_folder import UseCaseFolder
from salus.timeline.store import read_timeline
from salus.usecases.contract import Budget, Order, Proposal, UseCaseKind, Weight
from salus.usecases.kinds import open_usecase
from tests.fhir_on_paper import PaperServer, Refused
from tests.small_ward import ZERO
from tests.ward_usecase import EXPIRED, NOW, TASK, copy_of, write_words

PLENTY = Budget(seconds=600)
SIX = 6


@pytest.fixture(scope="module")
def place(ward_usecase: UseCaseFolder, tmp_path_factory: pytest.TempPathFactory) -> UseCaseFolder:
    made = copy_of(ward_usecase, tmp_path_factory.mktemp("early") / "ward")
    write_words(made, kind="early-warning")
    return made


@pytest.fixture(scope="module")
def record(place: UseCaseFolder) -> pl.DataFrame:
    """Six held-out patients, each with a second potassium in the moment of entry."""
    events = read_timeline(place.timeline, "held_out")
    first = events["subject_id"].unique().sort()[:SIX].to_list()
    events = events.filter(pl.col("subject_id").is_in(first))
    second = events.filter((pl.col("code") == "LOINC//2823-3") & (pl.col("time") == ZERO)).with_columns(
        numeric_value=pl.col("numeric_value") + 0.3
    )
    return pl.concat([events, second])


@pytest.fixture(scope="module")
def ask(place: UseCaseFolder) -> Callable[[pl.DataFrame], dict[int, float | None]]:
    """The risk of each patient of a record."""

    def risks(record: pl.DataFrame) -> dict[int, float | None]:
        usecase = open_usecase(place, now=NOW, record=record)
        rows = usecase.propose(record["subject_id"].n_unique(), seed=3, budget=PLENTY).rows
        return dict(rows.select("subject_id", "risk").iter_rows())

    return risks


@pytest.fixture(scope="module")
def usual(ask, record) -> dict[int, float | None]:
    return ask(record)


def test_risks_differ_between_patients(usual):
    """Or everything below would hold of a constant."""
    assert len(set(usual.values())) == SIX
    assert all(risk is not None and 0 < risk < 1 for risk in usual.values())


# --- what changes nothing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_of_rows_changes_no_risk(ask, record, usual, seed):
    """Rows of one moment have no order; rows of a file neither."""
    assert ask(record.sample(fraction=1.0, shuffle=True, seed=seed)) == usual


def test_what_a_patient_is_called_changes_no_risk(ask, record, usual):
    """Other numbers, and the order turned round."""
    renamed = ask(record.with_columns(subject_id=1_000_000 - pl.col("subject_id")))
    assert {1_000_000 - subject: risk for subject, risk in renamed.items()} == usual


def test_who_else_is_asked_about_changes_no_risk(ask, record, usual):
    for subject in list(usual)[:3]:
        assert ask(record.filter(pl.col("subject_id") == subject)) == {subject: usual[subject]}


def test_what_became_known_after_the_index_changes_no_risk(ask, record, usual):
    """A potassium of 987.65 drawn at entry and released the day after is not known at entry."""
    late = record.filter((pl.col("code") == "LOINC//2823-3") & (pl.col("time") == ZERO)).with_columns(
        numeric_value=pl.lit(987.65, dtype=pl.Float32), known_time=pl.lit(ZERO + timedelta(days=1))
    )
    assert ask(pl.concat([record, late])) == usual


def test_what_happened_after_the_index_changes_no_risk(ask, record, usual):
    assert ask(record.filter(pl.col("time").is_null() | (pl.col("time") <= ZERO))) == usual


# --- what changes it in one direction -----------------------------------------------------------------------------


def test_a_longer_horizon_never_lowers_a_risk(place, record, tmp_path):
    other = copy_of(place, tmp_path / "ward")
    ten = TASK.replace("death_30d", "death_10d").replace("days: 30", "days: 10")
    other.task.write_text(TASK + ten[ten.index("  - name") :])
    rows = open_usecase(other, now=NOW, record=record).propose(SIX, seed=3, budget=PLENTY).rows
    wide = rows.pivot(on="outcome", index="subject_id", values="risk")
    assert (wide["death_10d"] <= wide["death_30d"]).all()
    assert (wide["death_10d"] < wide["death_30d"]).any()


def test_men_of_this_ward_are_at_more_risk_than_women(usual):
    """All men but the young die on day 20; of the women only some of the old do."""
    men = [risk for subject, risk in usual.items() if subject % 2]
    women = [risk for subject, risk in usual.items() if not subject % 2]
    assert sum(men) > sum(women) + 1


# --- unknown is not negative --------------------------------------------------------------------------------------


def test_who_lacks_a_required_input_gets_no_number_and_the_others_theirs(place, ask, record, usual):
    lacking = next(iter(usual))
    births = (pl.col("subject_id") == lacking) & (pl.col("code") == "MEDS_BIRTH")
    fewer = record.filter(~births)
    assert ask(fewer) == {**usual, lacking: None}
    usecase = open_usecase(place, now=NOW, record=fewer)
    (missing,) = usecase.needs().missing
    assert (missing.name, missing.meaning, missing.patients) == ("MEDS_BIRTH", "birth", 1)
    proposal = usecase.propose(SIX, seed=3, budget=PLENTY)
    assert proposal.rows["abstained"].drop_nulls().to_list() == ["not known at the index moment: birth"]
    said = [one.text for one in usecase.explain(proposal).sentences]
    assert "Patient 1, death_30d: no forecast, not known at the index moment: birth" in said


def test_a_required_input_that_comes_too_late_is_unknown(ask, record, usual):
    late = pl.when(pl.col("code") == "MEDS_BIRTH").then(pl.lit(ZERO + timedelta(days=1)))
    assert set(ask(record.with_columns(known_time=late.otherwise("known_time"))).values()) == {None}


def test_who_had_it_already_gets_no_number(place, record, tmp_path):
    other = copy_of(place, tmp_path / "ward")
    other.task.write_text(TASK + "    unless_before: [SEX//M]\n")
    usecase = open_usecase(other, now=NOW, record=record)
    rows = usecase.propose(SIX, seed=3, budget=PLENTY).rows
    abstained = dict(rows.select("subject_id", "abstained").iter_rows())
    assert {why for subject, why in abstained.items() if subject % 2} == {"the patient had it already"}
    assert {why for subject, why in abstained.items() if not subject % 2} == {None}


def test_who_has_no_index_moment_is_counted(place, record):
    gone = record.filter(~((pl.col("subject_id") % 2 == 0) & (pl.col("code") == "WARD//ENTRY")))
    usecase = open_usecase(place, now=NOW, record=gone)
    (missing,) = usecase.needs().missing
    assert (missing.name, missing.patients) == ("WARD//ENTRY", 3)
    proposal = usecase.propose(SIX, seed=3, budget=PLENTY)
    assert (proposal.made, proposal.stopped) == (3, "no more than 3 patients have an index moment")


# --- records unlike those learnt from -----------------------------------------------------------------------------


@pytest.fixture
def strange(place, record) -> tuple[UseCaseKind, Proposal]:
    """The first patient was born in 1850, the second has a code nobody has seen."""
    first, second = sorted(set(record["subject_id"]))[:2]
    old = (pl.col("subject_id") == first) & (pl.col("code") == "MEDS_BIRTH")
    aged = record.with_columns(
        time=pl.when(old).then(pl.lit(datetime(1850, 1, 1))).otherwise("time"),
    ).with_columns(known_time=pl.col("time"))
    unseen = record.filter((pl.col("subject_id") == second) & (pl.col("code") == "WARD//ENTRY")).with_columns(
        code=pl.lit("LOINC//98979-8")
    )
    usecase = open_usecase(place, now=NOW, record=pl.concat([aged, unseen]))
    return usecase, usecase.propose(SIX, seed=3, budget=PLENTY)


def test_a_record_unlike_those_learnt_from_warns_and_is_said_beside_the_number(strange):
    usecase, proposal = strange
    concerns = {one.id: one for one in usecase.check(proposal)}
    assert {one.weight for one in concerns.values()} == {Weight.WARNING}
    assert concerns["age-1"].sentence.text == (
        "Patient 1: at 150 years outside the ages of those the model learnt from"
    )
    assert concerns["codes-2"].sentence.text == (
        "Patient 2: the model has never seen 1 of the record's 5 codes"
    )
    said = [one.text for one in usecase.explain(proposal).sentences]
    assert concerns["age-1"].sentence.text in said


def test_the_reason_for_overriding_stands_in_the_audit_trail(strange):
    usecase, proposal = strange
    reasons = {"age-1": "the birth was typed wrongly", "codes-2": "a new name of an old test"}
    sent = usecase.write(proposal, Order(overrides=reasons, asked_by="Dr Invented")).transaction
    audit = sent.bundle["entry"][-1]["resource"]
    assert [one["valueString"] for one in audit["entity"][0]["detail"]] == [
        "codes-2: a new name of an old test",
        "age-1: the birth was typed wrongly",
    ]


# --- no number where none may be shown ----------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["idea", "model", "silent", "paused"])
def test_in_a_state_before_care_no_number_is_shown(place, record, tmp_path, state):
    other = copy_of(place, tmp_path / "ward")
    write_words(other, kind="early-warning", state=state)
    usecase = open_usecase(other, now=NOW, record=record)
    proposal = usecase.propose(2, seed=3, budget=PLENTY)
    said = usecase.explain(proposal)
    assert [one.text for one in said.withheld] == [
        "No risk is shown",
        f"The use case is in the state {state}",
    ]
    assert said.sentences == ()
    with pytest.raises(ProposalBlocked, match=f"in the state {state}"):
        usecase.write(proposal, Order())


def test_where_the_gate_is_not_passed_no_risk_and_no_simple_risk_is_shown(place, record):
    usecase = open_usecase(place, now=EXPIRED, record=record)
    proposal = usecase.propose(SIX, seed=3, budget=PLENTY)
    text = " ".join(one.text for one in usecase.explain(proposal).all_sentences)
    assert "No risk is shown" in text
    assert "Patient" not in text


def test_the_simple_rule_stands_before_the_forecast(place):
    """Held-out patients have a risk by gradient boosting in the bundle's table."""
    usecase = open_usecase(place, now=NOW)
    said = [one.text for one in usecase.explain(usecase.propose(2, seed=3, budget=PLENTY)).all_sentences]
    simple = next(place for place, text in enumerate(said) if "by the simple rule" in text)
    model = next(place for place, text in enumerate(said) if "Monte Carlo interval" in text)
    assert said[0].startswith("Simple rule: Gradient-boosted trees")
    assert simple < model


# --- back to the record -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def usecase(place: UseCaseFolder, record: pl.DataFrame) -> UseCaseKind:
    return open_usecase(place, now=NOW, record=record)


@pytest.fixture(scope="module")
def proposal(usecase: UseCaseKind) -> Proposal:
    return usecase.propose(1, seed=3, budget=PLENTY)


def test_a_forecast_becomes_a_risk_assessment_in_percent_with_its_interval(usecase, proposal):
    """R4 wants percentages: 0.8869 is written 88.7, and the interval beside it says %."""
    row = proposal.rows.with_columns(risk=pl.lit(0.8869), lower=pl.lit(0.8101), upper=pl.lit(0.9637))
    fixed = replace(proposal, rows=row.select(proposal.rows.columns))
    subject = row["subject_id"][0]
    sent = usecase.write(fixed, Order(patients={subject: "Patient/12"})).transaction
    risk = sent.bundle["entry"][0]["resource"]
    (prediction,) = risk["prediction"]
    assert (risk["resourceType"], risk["status"]) == ("RiskAssessment", "preliminary")
    assert risk["subject"] == {"reference": "Patient/12"}
    assert risk["occurrenceDateTime"] == "2000-01-01"
    device = next(one for one in sent.bundle["entry"] if one["resource"]["resourceType"] == "Device")
    assert risk["performer"]["reference"] == device["fullUrl"]
    assert prediction["probabilityDecimal"] == 88.7
    interval = prediction["extension"][0]["valueRange"]
    assert (interval["low"]["value"], interval["high"]["value"]) == (81.0, 96.4)
    assert interval["low"]["code"] == "%"
    assert prediction["whenPeriod"] == {"start": "2000-01-01", "end": "2000-01-31"}
    assert prediction["rationale"] == (
        "death_30d: 88.7 % expected over 64 simulated futures (95 % Monte Carlo interval 81 to 96.4 %)"
    )
    assert {one["display"] for one in risk["basis"]} >= {"MEDS_BIRTH", "LOINC//2823-3"}
    assert "any decision about a patient" in risk["note"][0]["text"]


def test_in_production_the_forecast_is_final(place, record, tmp_path):
    other = copy_of(place, tmp_path / "ward")
    write_words(other, kind="early-warning", state="production")
    usecase = open_usecase(other, now=NOW, record=record)
    sent = usecase.write(usecase.propose(1, seed=3, budget=PLENTY), Order()).transaction
    assert sent.bundle["entry"][0]["resource"]["status"] == "final"


def test_a_system_that_takes_only_documents_gets_the_same_in_words(usecase, proposal):
    sent = usecase.write(proposal, Order(form="document")).transaction
    document = sent.bundle["entry"][0]["resource"]
    assert (document["resourceType"], document["docStatus"]) == ("DocumentReference", "preliminary")
    assert "Monte Carlo interval" in document["description"]
    assert fhirkit.validate(json.loads(sent.as_bytes())) == []


def test_an_unknown_form_is_refused_with_the_nearest(usecase, proposal):
    with pytest.raises(UseCaseValueError, match="did you mean 'document'"):
        usecase.write(proposal, Order(form="documents"))


def corrected(usecase: UseCaseKind, proposal: Proposal, server: PaperServer):
    """A forecast on the server, and the transaction that corrects it."""
    held = server.create(
        {
            "resourceType": "RiskAssessment",
            "status": "final",
            "subject": {"reference": "Patient/12"},
            "prediction": [{"probabilityDecimal": 12.0}],
        }
    )
    subject = proposal.rows["subject_id"][0]
    sent = usecase.write(proposal, Order(earlier={f"{subject}/death_30d": held})).transaction
    return held, sent


def test_a_correction_replaces_the_version_that_was_read_and_is_undone_to_it(usecase, proposal):
    server = PaperServer()
    held, sent = corrected(usecase, proposal, server)
    before = server.content()
    answer = server.transact(sent.as_bytes())
    now = server.held[f"RiskAssessment/{held['id']}"]
    assert (now["status"], now["meta"]["versionId"]) == ("corrected", "2")
    server.transact(sent.undo(answer).as_bytes())
    assert server.content() == before


def test_a_correction_of_what_somebody_changed_meanwhile_is_refused_whole(usecase, proposal):
    server = PaperServer()
    held, sent = corrected(usecase, proposal, server)
    server.held[f"RiskAssessment/{held['id']}"]["meta"]["versionId"] = "7"
    before = server.content()
    with pytest.raises(Refused):
        server.transact(sent.as_bytes())
    assert server.content() == before


def test_undoing_does_not_touch_what_somebody_changed_since(usecase, proposal):
    server = PaperServer()
    held, sent = corrected(usecase, proposal, server)
    answer = server.transact(sent.as_bytes())
    server.held[f"RiskAssessment/{held['id']}"]["meta"]["versionId"] = "3"
    with pytest.raises(Refused):
        server.transact(sent.undo(answer).as_bytes())


def test_only_a_resource_of_the_same_kind_can_be_corrected(usecase, proposal):
    subject = proposal.rows["subject_id"][0]
    strange = {"resourceType": "Observation", "id": "1"}
    with pytest.raises(AnswerStrange, match="no RiskAssessment with an id"):
        usecase.write(proposal, Order(earlier={f"{subject}/death_30d": strange}))
