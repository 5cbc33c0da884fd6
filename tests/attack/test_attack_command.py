"""`salus attack`: a copy is caught loudly, strangers are not; what would say nothing is refused; no patient leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from salus.cli import main
from salus.errors import (
    HoldoutLeaked,
    NothingToCompare,
    OtherModelTimeline,
    SalusError,
    SettingsRefused,
    TimelineMissing,
    TrainingCopied,
    VocabulariesDisjoint,
)
from salus.findings import METRICS, read_bundle
from salus.timeline.store import write_timeline
from salus.trajectory.artefact import load_model, save_model
from salus.workflows.attack import ATTACKS, EVIDENCE, NUMBERS_FILE, PAGE_FILE, AttackChoices, attack
from salus.workflows.attack_material import Target, material
from salus.workflows.export import export
from tests.small_ward import CODES, SETTINGS, ward

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
MARKED = 987_650_000
WARD = ward(1000).with_columns(pl.col("subject_id") + MARKED)
SYNTHETIC = replace(SETTINGS, synthetic=True)
SOURCE = """\
name: invented-ward
time: {zero: 2000-01-01T00:00:00, grain: day}
anchor: WARD//ENTRY
patients: people
tables:
  people:
    files: [people.csv]
    row: WARD//ENTRY
    columns:
      id: {subject: true}
      age: {age: true}
      male: {values: {0: SEX//F, 1: SEX//M}, static: true}
      until: {moment: end, unit: day}
      how: {values: {0: FOLLOW_UP//END, 1: MEDS_DEATH}, at: end}
  results:
    files: [results.csv]
    columns:
      id: {subject: true}
      day: {time: day}
      potassium: {code: LOINC//2823-3}
codes:
  WARD//ENTRY: {description: entry, role: anchor}
  MEDS_BIRTH: {description: birth, role: birth}
  MEDS_DEATH: {description: death, role: death}
  FOLLOW_UP//END: {description: end, role: follow_up_end}
  SEX//F: {description: female}
  SEX//M: {description: male}
  LOINC//2823-3: {description: potassium, unit: mmol/L}
"""


def of_split(split: str, events: pl.DataFrame = WARD) -> pl.DataFrame:
    return events.filter(pl.col("split") == split)


def put(folder: Path, events: pl.DataFrame, *, real: bool = False) -> Path:
    kept = events if real else events.with_columns(split=pl.lit("train"))
    codes = CODES
    strange = [code for code in kept["code"].unique() if code not in CODES["code"].to_list()]
    if strange:
        more = pl.DataFrame({"code": strange, "role": ["event"] * len(strange)})
        codes = pl.concat([CODES, more], how="diagonal")
    write_timeline(folder, kept, codes=codes, settings=SETTINGS if real else SYNTHETIC)
    return folder


@pytest.fixture(scope="module")
def rooms(tmp_path_factory) -> Path:
    """The real ward, a copy of its training patients, and strangers from the same ward."""
    folder = tmp_path_factory.mktemp("attack")
    put(folder / "real", WARD, real=True)
    put(folder / "copy", of_split("train"))
    put(folder / "strangers", ward(600, seed=55))
    return folder


def run(what: Path, real: Path, to: Path | None = None, **chosen):
    return attack(Target(what=what, real=real), to, choices=AttackChoices(seed=1, **chosen), made=NOW)


@pytest.fixture(scope="module")
def free(rooms):
    """The attack on strangers."""
    return run(rooms / "strangers", rooms / "real", rooms / "free")


def value(found, metric: str, side: str = "attack"):
    (one,) = (one for one in found.findings if one.metric == f"privacy.{metric}" and one.comparison == side)
    return one


RISKS = (
    "singling_univariate_risk",
    "singling_multivariate_risk",
    "linkability_risk",
    "inference_risk",
    "copies_risk",
    "near_copies_risk",
    "runs_risk",
)


@pytest.mark.parametrize("metric", RISKS)
def test_strangers_give_nothing_away(free, metric):
    found = value(free, metric)
    assert found.value is not None or metric.startswith("singling"), found.reason
    assert found.lower is None or found.lower < 0.02


def test_every_attack_has_a_control_and_a_baseline_a_seed_and_a_sentence(free):
    assert set(free.seconds) == set(ATTACKS)
    assert {one.metric for one in free.findings} <= set(METRICS)
    rates = {one.metric for one in free.findings if not one.metric.endswith("_risk")}
    for metric in rates - {"privacy.membership_group_auc"}:
        sides = [one.comparison for one in free.findings if one.metric == metric]
        assert set(sides) == {"attack", "control", "baseline"}, metric
    assert all(one.seed == 1 for one in free.findings)
    assert len(free.sentences) == 8
    assert all(said.startswith(("Of 1,000", "Shown", "Not measured")) for said in free.sentences.values())


def test_the_bundle_can_be_judged_and_names_what_was_measured(free, rooms):
    bundle = read_bundle(rooms / "free" / EVIDENCE)
    assert bundle.findings == free.findings
    assert set(bundle.subjects) == {"timeline", "synthetic"}
    assert all(one.digests == bundle.subjects and one.created == NOW.isoformat() for one in bundle.findings)


def test_a_copy_of_the_training_set_fails_loudly_and_leaves_its_evidence(rooms, tmp_path):
    with pytest.raises(TrainingCopied, match=r"100\.0% of the synthetic patients") as caught:
        run(rooms / "copy", rooms / "real", tmp_path / "out")
    assert "987650" not in str(caught.value)
    numbers = json.loads((tmp_path / "out" / NUMBERS_FILE).read_text())
    found = {(one["metric"], one["comparison"]): one for one in numbers["findings"]}
    for metric, least in (("copies", 0.9), ("near_copies", 0.9), ("inference", 0.2)):
        assert found[f"privacy.{metric}_risk", "attack"]["lower"] > least, metric
    assert found["privacy.nearest_auc", "attack"]["lower"] > 0.9
    page = (tmp_path / "out" / PAGE_FILE).read_text()
    assert "Of 1,000 synthetic records 1,000 are a real one word for word" in page
    assert "! Look" in page


def test_no_identifier_leaves(free, rooms):
    files = [path for path in (rooms / "free").rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {PAGE_FILE, NUMBERS_FILE, "findings.json"}
    for path in files:
        if path.suffix == ".parquet":
            assert "987650" not in pl.read_parquet(path).write_csv()
        else:
            assert "987650" not in path.read_text()


def test_the_same_seed_gives_the_same_numbers(free, rooms):
    again = run(rooms / "strangers", rooms / "real")
    assert again.findings == free.findings


def test_a_model_is_asked_for_patients_and_its_likelihoods(ward_usecase, tmp_path):
    found = run(ward_usecase.model, ward_usecase.timeline, tmp_path / "out")
    assert value(found, "likelihood_auc").value is not None
    assert set(read_bundle(tmp_path / "out" / EVIDENCE).subjects) == {"timeline", "synthetic", "model"}
    assert not any("model was not given" in said for said in found.remarks)


def test_a_model_of_another_timeline_is_refused(ward_usecase, rooms):
    with pytest.raises(OtherModelTimeline, match="did not learn from 'real'"):
        run(ward_usecase.model, rooms / "real")


def test_a_model_that_says_not_what_it_learnt_from_is_attacked_on_trust(ward_usecase, rooms, tmp_path):
    """A model with a proof of privacy holds no digest of its data: the attack cannot check, and says so."""
    model = load_model(ward_usecase.model)
    silent = tmp_path / "silent"
    silent.mkdir()
    save_model(replace(model, lineage=replace(model.lineage, timeline_digest="")), silent)
    with material(Target(what=silent, real=rooms / "real"), seed=1) as held:
        assert held.on_trust
    with material(Target(what=ward_usecase.model, real=ward_usecase.timeline), seed=1) as held:
        assert not held.on_trust


def test_csv_files_are_attacked_as_the_timeline_they_were_written_from(free, rooms, tmp_path):
    like = tmp_path / "source.yaml"
    like.write_text(SOURCE)
    export(rooms / "strangers", tmp_path / "csv", like=like)
    target = Target(what=tmp_path / "csv", real=rooms / "real", like=like)
    found = attack(target, None, choices=AttackChoices(seed=1), made=NOW)
    assert found.patients == free.patients
    assert value(found, "linkability").value == pytest.approx(value(free, "linkability").value, abs=0.05)


def refused(kind: type[SalusError], match: str, *given) -> None:
    with pytest.raises(kind, match=match) as caught:
        run(*given)
    assert "987650" not in str(caught.value)


def test_no_synthetic_patient(rooms, tmp_path):
    empty = put(tmp_path / "empty", WARD.head(0))
    refused(NothingToCompare, "no synthetic patient", empty, rooms / "real")


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_nobody_to_attack_or_to_compare_with(rooms, tmp_path, split):
    half = put(tmp_path / "half", WARD.filter(pl.col("split") != split), real=True)
    refused(NothingToCompare, f"no patient in split {split}", rooms / "strangers", half)


def test_codes_that_no_real_patient_has(rooms, tmp_path):
    foreign = of_split("train").with_columns(code=pl.lit("OTHER//") + pl.col("code"))
    refused(
        VocabulariesDisjoint,
        "every attack would find nothing",
        put(tmp_path / "foreign", foreign),
        rooms / "real",
    )


def test_codes_of_which_some_are_strange_are_counted(rooms, tmp_path):
    """Women's potassium under another name: 6 of their 9 rows, of men's 4 of 7 none: 300 x 6 of 300 x (8 + 6)."""
    women = (pl.col("subject_id") % 2 == 0) & (pl.col("code") == "LOINC//2823-3")
    mixed = ward(600, seed=55).with_columns(
        code=pl.when(women).then(pl.lit("POTASSIUM")).otherwise(pl.col("code"))
    )
    found = run(put(tmp_path / "mixed", mixed), rooms / "real")
    assert any(f"{1 - 6 / 16:.0%} of the synthetic rows" in said for said in found.remarks)


def test_held_out_patients_that_were_trained_on_are_found_by_their_records(rooms, tmp_path):
    again = of_split("train").filter(pl.col("subject_id") <= MARKED + 100)
    again = again.with_columns(pl.col("subject_id") + 5000, split=pl.lit("held_out"))
    leaked = pl.concat([WARD, again])
    refused(
        HoldoutLeaked,
        "100 held-out patients stand among those trained on, word for word",
        rooms / "strangers",
        put(tmp_path / "leaked", leaked, real=True),
    )


def test_a_patient_in_two_splits_of_a_foreign_data_set_is_found_by_number(rooms, tmp_path):
    folder = put(tmp_path / "real", WARD, real=True)
    shard = folder / "data" / "held_out" / "0000.parquet"
    member = of_split("train").filter(pl.col("subject_id") == MARKED + 1).drop("split")
    own = pl.read_parquet(shard)
    pl.concat([member.select(own.columns).cast(dict(own.schema)), own]).write_parquet(shard)
    refused(HoldoutLeaked, "by number", rooms / "strangers", folder)


def test_a_folder_that_is_neither(rooms, tmp_path):
    (tmp_path / "nothing").mkdir()
    refused(TimelineMissing, "neither a model nor a timeline", tmp_path / "nothing", rooms / "real")


def test_a_field_that_nobody_has(rooms):
    with pytest.raises(SettingsRefused, match=r"no field 'SXE'.*did you mean 'SEX'"):
        run(rooms / "strangers", rooms / "real", known=("SXE",))


def test_all_fields_known_leaves_nothing_to_guess(rooms):
    known = ("SEX", "age", "recorded_hours", "moments", "rows", "LOINC//2823-3", "WARD//ENTRY",
             "MEDS_DEATH", "FOLLOW_UP//END")  # fmt: skip
    with pytest.raises(SettingsRefused, match="nothing is left to guess"):
        run(rooms / "strangers", rooms / "real", known=known)


def test_a_few_synthetic_patients_have_no_value_and_say_why(rooms, tmp_path):
    few = put(tmp_path / "few", ward(3, seed=55))
    found = run(few, rooms / "real")
    for metric in ("copies", "near_copies", "runs"):
        one = value(found, metric)
        assert one.value is None
        assert "fewer than 50 guesses" in one.reason


def test_the_command_says_it_in_sentences(rooms, tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main(["attack", str(rooms / "copy"), "--real", str(rooms / "real"), "--to", str(tmp_path / "out")])
    said = capsys.readouterr()
    assert left.value.code == 1
    assert "SAL-464" in said.err
    with pytest.raises(SystemExit) as left:
        main(
            [
                "attack",
                str(rooms / "strangers"),
                "--real",
                str(rooms / "real"),
                "--seed",
                "1",
                "--known",
                "SEX, age",
            ]
        )
    said = capsys.readouterr()
    assert left.value.code == 0
    assert "Linking two lists\n  Of 1,000 guesses" in said.out
    assert "987650" not in said.out + said.err
