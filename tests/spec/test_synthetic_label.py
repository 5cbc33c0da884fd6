"""The label "synthetic" goes out with every form and comes in again by every way; it is never half there."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import pytest

from salus.errors import LabelsMixed, TimelinesDiffer
from salus.linkage.joining import joined_settings
from salus.progress import QUIET
from salus.timeline.label import is_synthetic
from salus.timeline.store import read_codes, read_settings, read_timeline, timeline_digest, write_timeline
from salus.trajectory.artefact import load_model
from salus.workflows.complete import CompleteSettings, complete_timeline
from salus.workflows.describe import card_page, describe
from salus.workflows.export_fhir import export_fhir
from salus.workflows.export_tables import export_meds
from salus.workflows.generate import generate
from salus.workflows.ingest_fhir import ingest_fhir
from salus.workflows.pages.markdown import markdown
from salus.workflows.train import TrainChoices, train
from tests.labelled import EVERY_WAY, PLAIN, in_fhir, in_meds, read_in, sent_out, ward_timeline
from tests.small_model import trained_folder
from tests.small_ward import SETTINGS

TEST_DATA = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}
"""The security label that FHIR has for what is no patient's: terminology.hl7.org, v3-ActReason."""


@pytest.mark.parametrize("way", EVERY_WAY)
@pytest.mark.parametrize("synthetic", [True, False])
def test_what_goes_out_comes_in_with_its_label_and_says_what_it_was_made_from(way, synthetic, tmp_path):
    timeline, folder = sent_out(way, tmp_path, synthetic=synthetic)
    again = read_settings(read_in(way, folder, tmp_path / "again"))
    assert again.synthetic is synthetic
    assert again.origins == (timeline_digest(timeline),)


@pytest.mark.parametrize("way", [way for way in EVERY_WAY if way != "csv"])
def test_resources_and_rows_say_it_without_the_mark_beside_them(way, tmp_path):
    """Somebody sends the files alone. A column of a CSV source has no place for it: only its mark can say it."""
    _, folder = sent_out(way, tmp_path, synthetic=True)
    for mark in ("SYNTHETIC.txt", "export.json"):
        (folder / mark).unlink()
    (folder / "metadata" / "dataset.json").unlink(missing_ok=True)
    assert read_settings(read_in(way, folder, tmp_path / "again")).synthetic


@pytest.mark.parametrize("way", EVERY_WAY)
def test_the_mark_beside_names_every_file_by_its_digest(way, tmp_path):
    _, folder = sent_out(way, tmp_path, synthetic=True)
    books = json.loads((folder / "export.json").read_text())
    lying = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {
        "SYNTHETIC.txt",
        "export.json",
    }
    assert books["synthetic"] is True
    assert set(books["digests"]) == lying
    assert "SYNTHETIC DATA" in (folder / "SYNTHETIC.txt").read_text()


def test_every_fhir_resource_carries_the_label(tmp_path):
    _, folder = sent_out("fhir bundles", tmp_path, synthetic=True)
    bundles = [json.loads(path.read_bytes()) for path in sorted((folder / "fhir").iterdir())]
    resources = bundles + [entry["resource"] for bundle in bundles for entry in bundle["entry"]]
    assert len(resources) > 20
    for one in resources:
        (security,) = one["meta"]["security"]
        assert TEST_DATA.items() <= security.items()
        assert one["meta"]["tag"][0]["code"] == "SYNTHETIC"


def test_every_omop_row_carries_the_label(tmp_path):
    """A person in words; measurements and deaths by a type of this site, which the concept table describes."""
    _, folder = sent_out("omop parquet", tmp_path, synthetic=True)
    assert set(pl.read_parquet(folder / "person.parquet")["person_source_value"]) == {"SYNTHETIC"}
    concepts = pl.read_parquet(folder / "concept.parquet").filter(pl.col("domain_id") == "Type Concept")
    assert concepts["concept_name"].to_list() == ["SYNTHETIC: drawn by a model, no real patient"]
    for table in ("measurement", "death"):
        kinds = pl.read_parquet(folder / f"{table}.parquet")[f"{table}_type_concept_id"]
        assert set(kinds) == set(concepts["concept_id"])
    _, real = sent_out("omop parquet", tmp_path / "real", synthetic=False)
    assert set(pl.read_parquet(real / "measurement.parquet")["measurement_type_concept_id"]) == {0}


def test_every_row_of_meds_carries_the_label(tmp_path):
    _, folder = sent_out("meds", tmp_path, synthetic=True)
    assert set(read_timeline(folder)["source"]) == {"synthetic"}
    assert read_settings(folder).name == "SYNTHETIC: invented ward"


def test_going_round_twice_does_not_double_the_label(tmp_path):
    _, folder = sent_out("meds", tmp_path, synthetic=True)
    export_meds(read_in("meds", folder, tmp_path / "again"), tmp_path / "twice")
    assert read_settings(tmp_path / "twice").name == "SYNTHETIC: invented ward"


def mix_fhir(synthetic: Path, real: Path) -> None:
    with (synthetic / "fhir" / "Patient.ndjson").open("ab") as file:
        file.write((real / "fhir" / "Patient.ndjson").read_bytes())


def mix_omop_csv(synthetic: Path, real: Path) -> None:
    rows = (synthetic / "person.csv").read_text().splitlines(keepends=True)
    rows[1] = rows[1].replace("SYNTHETIC", "")
    (synthetic / "person.csv").write_text("".join(rows))


def mix_omop_duckdb(synthetic: Path, real: Path) -> None:
    with duckdb.connect(str(synthetic / "omop.duckdb")) as db:
        db.execute("UPDATE person SET person_source_value = NULL WHERE person_id = 1")


def mix_meds(synthetic: Path, real: Path) -> None:
    rows = read_timeline(synthetic, "train").with_columns(
        source=pl.when(pl.col("subject_id") == 1).then(pl.lit("chart:1")).otherwise("source")
    )
    rows.write_parquet(synthetic / "data" / "train" / "0000.parquet")


def mix_csv(synthetic: Path, real: Path) -> None:
    shutil.copyfile(real / "people.csv", synthetic / "people.csv")
    with (synthetic / "people.csv").open("a") as file:
        file.write("4,70,1,80,100,1\n")


MIXED = {
    "fhir ndjson": mix_fhir,
    "omop csv": mix_omop_csv,
    "omop duckdb": mix_omop_duckdb,
    "meds": mix_meds,
    "csv": mix_csv,
}


@pytest.mark.parametrize("way", MIXED)
def test_synthetic_and_real_in_one_source_are_refused(way, tmp_path):
    """Neither label would be true of all: real patients would pass for drawn ones, or drawn ones be acted on."""
    _, folder = sent_out(way, tmp_path / "a", synthetic=True)
    _, real = sent_out(way, tmp_path / "b", synthetic=False)
    MIXED[way](folder, real)
    with pytest.raises(LabelsMixed) as refused:
        read_in(way, folder, tmp_path / "again")
    assert refused.value.code == "SAL-476"
    assert not (tmp_path / "again").exists()


def test_synthetic_bundles_beside_real_lines_are_refused(tmp_path):
    """Bundles and NDJSON are read in different ways, small files of both together."""
    _, bundles = sent_out("fhir bundles", tmp_path / "a", synthetic=True)
    _, lines = sent_out("fhir ndjson", tmp_path / "b", synthetic=False)
    (tmp_path / "both").mkdir()
    for number, path in enumerate([*(bundles / "fhir").iterdir(), *(lines / "fhir").iterdir()]):
        shutil.copyfile(path, tmp_path / "both" / f"{number}{path.suffix}")
    with pytest.raises(LabelsMixed):
        ingest_fhir(tmp_path / "both", tmp_path / "again", PLAIN, progress=QUIET)


@pytest.mark.parametrize("way", [way for way in EVERY_WAY if way not in ("meds", "csv")])
def test_a_mark_that_contradicts_the_rows_is_refused(way, tmp_path):
    """Somebody puts the mark of a synthetic set beside real patients' files, to pass them on."""
    _, folder = sent_out(way, tmp_path / "a", synthetic=False)
    _, other = sent_out(way, tmp_path / "b", synthetic=True)
    for mark in ("SYNTHETIC.txt", "export.json"):
        shutil.copyfile(other / mark, folder / mark)
    with pytest.raises(LabelsMixed):
        read_in(way, folder, tmp_path / "again")


def test_two_marks_that_contradict_each_other_are_refused(tmp_path):
    _, folder = sent_out("csv", tmp_path, synthetic=True)
    (folder / "SYNTHETIC.txt").unlink()
    with pytest.raises(LabelsMixed):
        read_in("csv", folder, tmp_path / "again")


def test_a_mark_made_by_hand_labels_files_that_cannot_say_it_themselves(tmp_path):
    _, folder = sent_out("csv", tmp_path, synthetic=False)
    (folder / "export.json").unlink()
    (folder / "SYNTHETIC.txt").write_text("drawn by another tool\n")
    assert read_settings(read_in("csv", folder, tmp_path / "again")).synthetic


@pytest.mark.parametrize(
    ("said", "marked", "of", "told"),
    [
        (None, 0, 5, False),
        (None, 5, 5, True),
        (None, 0, 0, False),
        (True, 0, 0, True),
        (False, 0, 5, False),
        (True, 5, 5, True),
        (None, 1, 5, "refused"),
        (True, 4, 5, "refused"),
        (True, 0, 5, "refused"),
        (False, 5, 5, "refused"),
    ],
)
def test_one_rule_for_all_ways(said, marked, of, told):
    if told == "refused":
        with pytest.raises(LabelsMixed):
            is_synthetic(said, marked=marked, of=of, where="here")
    else:
        assert is_synthetic(said, marked=marked, of=of, where="here") is told


def test_a_synthetic_and_a_real_timeline_are_not_joined():
    with pytest.raises(TimelinesDiffer):
        joined_settings({"lab": SETTINGS, "ward": replace(SETTINGS, synthetic=True)})
    both = joined_settings({name: replace(SETTINGS, synthetic=True) for name in ("lab", "ward")})
    assert both.synthetic


def test_the_tag_of_another_system_is_no_label(tmp_path):
    """Hospitals have test patients (HTEST) among their real ones, and words of their own."""
    _, folder = sent_out("fhir ndjson", tmp_path, synthetic=False)
    path = folder / "fhir" / "Patient.ndjson"
    people = [json.loads(line) for line in path.read_text().splitlines()]
    people[0]["meta"] = {"tag": [{"system": "urn:other", "code": "SYNTHETIC"}], "security": [TEST_DATA]}
    path.write_text("".join(json.dumps(one) + "\n" for one in people))
    assert not read_settings(read_in("fhir ndjson", folder, tmp_path / "again")).synthetic


@pytest.fixture(scope="module")
def completed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real ward of whom every fourth patient's sex was not recorded, completed."""
    place = tmp_path_factory.mktemp("completed")
    ward = ward_timeline(place / "ward", synthetic=False, patients=40)
    unsaid = (pl.col("subject_id") % 4 == 0) & pl.col("code").str.starts_with("SEX//")
    rows = read_timeline(ward).filter(~unsaid)
    write_timeline(place / "gaps", rows, codes=read_codes(ward), settings=read_settings(ward))
    complete_timeline(
        trained_folder(),
        place / "gaps",
        to=place / "out",
        settings=CompleteSettings(fields="SEX"),
        progress=QUIET,
    )
    return place / "out"


def drawn_into(folder: Path) -> int:
    return int(read_timeline(folder).select(pl.col("source").str.starts_with("completed").sum()).item())


def test_a_completed_timeline_is_real_and_says_from_what_it_was_made(completed):
    told = read_settings(completed)
    assert (told.synthetic, drawn_into(completed)) == (False, 10)
    assert told.origins == (timeline_digest(completed.parent / "gaps"), load_model(trained_folder()).digest)


@pytest.mark.parametrize("form", ["ndjson", "bundles"])
def test_completed_facts_keep_their_label_through_fhir(completed, form, tmp_path):
    export_fhir(completed, tmp_path / "out", form=form)
    in_fhir(tmp_path / "out", tmp_path / "again")
    assert drawn_into(tmp_path / "again") == 10
    assert not read_settings(tmp_path / "again").synthetic
    export_fhir(tmp_path / "again", tmp_path / "twice", form=form)
    in_fhir(tmp_path / "twice", tmp_path / "third")
    assert drawn_into(tmp_path / "third") == 10


def test_completed_facts_keep_their_label_through_meds(completed, tmp_path):
    export_meds(completed, tmp_path / "out")
    in_meds(tmp_path / "out", tmp_path / "again")
    assert drawn_into(tmp_path / "again") == 10


def test_an_export_counts_completed_facts_and_says_so(completed, tmp_path):
    assert export_fhir(completed, tmp_path / "out").completed == 10
    assert "COMPLETED: 10 events were not recorded" in (tmp_path / "out" / "ABOUT.txt").read_text()


def test_a_model_of_synthetic_patients_is_labelled_and_its_card_says_so(tmp_path):
    drawn = tmp_path / "drawn"
    generate(trained_folder(), drawn, patients=120, progress=QUIET)
    everyone = read_timeline(drawn).with_columns(
        split=pl.when(pl.col("subject_id") % 4 == 0).then(pl.lit("tuning")).otherwise(pl.lit("train"))
    )
    write_timeline(tmp_path / "split", everyone, codes=read_codes(drawn), settings=read_settings(drawn))
    quick = TrainChoices(minutes=0.05, workers=1)
    result = train(tmp_path / "split", tmp_path / "model", choices=quick, progress=QUIET)
    assert result.synthetic
    assert load_model(tmp_path / "model").lineage.synthetic
    page = markdown(card_page(describe(tmp_path / "model")))
    assert "SYNTHETIC: this model learnt from synthetic patients alone" in page
    assert "Forecast what tends to happen" not in page
    assert "SYNTHETIC" not in markdown(card_page(describe(trained_folder())))


def test_drawn_patients_name_their_model(tmp_path):
    generate(trained_folder(), tmp_path / "drawn", patients=5, progress=QUIET)
    told = read_settings(tmp_path / "drawn")
    assert told.origins == (load_model(trained_folder()).digest,)
