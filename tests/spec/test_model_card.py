"""`salus describe`: the card says what the model's folder knows, in figures, on the terminal, and as a file to send."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from salus.cli import main
from salus.errors import ModelBroken, OtherTimeline, SettingsRefused
from salus.progress import QUIET
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import read_settings, timeline_digest, write_timeline
from salus.trajectory.artefact import load_model
from salus.trajectory.reading import read_histories
from salus.workflows.code_version import code_commit
from salus.workflows.describe import card_page, describe, write_card
from salus.workflows.generate import generate
from salus.workflows.train import TrainChoices, train
from tests.small_ward import CODES, SETTINGS, ward

MADE = datetime(2026, 3, 1, 8, tzinfo=UTC)
MITCHELL = (
    "Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data",
    "Quantitative analyses", "Ethical considerations", "Caveats and recommendations",
)  # fmt: skip
NAMED = TimelineSettings(
    name="invented ward <b>",
    licence="CC0",
    time_zero=SETTINGS.time_zero,
    grain="day",
    anchor="WARD//ENTRY",
    splits="by number",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the ward; four patients have a code that is withheld because fewer than five have it."""
    folder, events = tmp_path_factory.mktemp("made"), ward(60)
    rare = events.filter(pl.col("code") == "WARD//ENTRY", pl.col("subject_id") <= 4)
    events = pl.concat([events, rare.with_columns(code=pl.lit("RARE//X"))]).sort("subject_id", "time")
    described = CODES.filter(pl.col("code") == "SEX//F").with_columns(code=pl.lit("RARE//X"))
    write_timeline(folder / "timeline", events, codes=pl.concat([CODES, described]), settings=NAMED)
    train(folder / "timeline", folder / "model", choices=TrainChoices(minutes=0.02, seed=1), progress=QUIET)
    return folder


def test_the_card_counts_patients_facts_and_what_can_be_said(made: Path):
    """Of 60 patients 36 train, 12 tune, 12 are held out.

    A woman has 9 facts (start, age, sex, 6 potassium), a man 8 (4 potassium and death): 18 x 9 + 18 x 8 = 306, and
    6 x 9 + 6 x 8 = 102. Fields: start, age, sex, potassium, death; sex has two codes.
    """
    card = describe(made / "model")
    lineage = card.lineage
    assert (lineage.patients_train, lineage.patients_tuning, lineage.patients_held_out) == (36, 12, 12)
    assert (lineage.facts_train, lineage.facts_tuning) == (306, 102)
    assert (card.vocabulary.fields, card.vocabulary.static_fields, card.vocabulary.codes) == (5, 3, 6)
    assert (card.protection.withheld_codes, card.protection.withheld_facts) == (1, 4)
    assert (lineage.data_set, lineage.licence, lineage.splits) == ("invented ward <b>", "CC0", "by number")
    assert lineage.timeline_digest == timeline_digest(made / "timeline")


def test_the_loss_of_the_weights_kept_is_the_sum_of_its_parts(made: Path):
    losses = describe(made / "model").losses
    assert losses.code is not None and losses.value is not None and losses.wait is not None
    assert losses.best == pytest.approx(losses.code + losses.value + losses.wait)


def test_the_card_says_how_well_training_patients_are_told_from_tuning_patients(made: Path, tmp_path: Path):
    """12 tuning patients, so 12 training patients beside them; a model from before that check says so."""
    look = describe(made / "model").memorised_kept
    assert look is not None and look.patients == 12
    assert 0 <= look.auroc_lower <= look.auroc <= look.auroc_upper <= 1
    assert look.gap_lower < look.gap < look.gap_upper
    folder = shutil.copytree(made / "model", tmp_path / "model")
    about = json.loads((folder / "model.json").read_text())
    del about["log"]["curve"][0]["auroc"]
    (folder / "model.json").write_text(json.dumps(about | {"log": about["log"] | {"best_step": 1}}))
    assert describe(folder).memorised_kept is None


def test_records_in_order_only_give_a_model_and_synthetic_patients_in_order_only(tmp_path: Path):
    """What the times do not say about real patients they cannot say about invented ones; the card warns."""
    settings = replace(NAMED, order_only=True)
    write_timeline(tmp_path / "t", ward(60), codes=CODES, settings=settings)
    train(tmp_path / "t", tmp_path / "m", choices=TrainChoices(minutes=0.02, seed=1), progress=QUIET)
    generate(tmp_path / "m", tmp_path / "s", patients=5, seed=1, progress=QUIET)
    assert read_settings(tmp_path / "s").order_only
    page = card_page(describe(tmp_path / "m"), made=MADE)
    assert any("How long anything takes" in text for _, text in page.sections[1].tables[0].rows)
    assert any("of times only the order" in text for _, text in page.sections[1].tables[0].rows)
    vocabulary = load_model(tmp_path / "m").vocabulary
    assert read_histories(ward(5), CODES, settings, vocabulary).patients == 5
    with pytest.raises(OtherTimeline, match="only an order"):
        read_histories(ward(5), CODES, NAMED, vocabulary)


def test_energy_is_processor_seconds_times_the_stated_watts(made: Path, tmp_path: Path):
    """3,000 CPU-seconds at 12 W are 36,000 J, a hundredth of a kilowatt hour."""
    folder = shutil.copytree(made / "model", tmp_path / "model")
    about = json.loads((folder / "model.json").read_text())
    about["log"]["cpu_seconds"] = 3000.0
    (folder / "model.json").write_text(json.dumps(about))
    card = describe(folder)
    assert card.cost.kwh == pytest.approx(0.01)
    page = card_page(card, made=MADE)
    said = " ".join(text for section in page.sections for text in section.words)
    assert "about 0.01 kWh, from 3,000 CPU-seconds at an assumed 12 W" in said


def test_every_file_but_the_picture_has_its_digest_on_the_card(made: Path):
    files = set(describe(made / "model").files)
    assert files == {path.name for path in (made / "model").iterdir()} - {"learning_curve.svg"}


def test_the_page_has_the_sections_of_the_paper(made: Path):
    page = card_page(describe(made / "model"), made=MADE)
    assert tuple(section.heading for section in page.sections) == MITCHELL


def test_what_the_model_is_not_for_follows_from_the_model(made: Path):
    """It knows death and one rare code was withheld: the card says the second and not that it knows no death."""
    page = card_page(describe(made / "model"), made=MADE)
    uses = dict.fromkeys(f"{kind}: {text}" for kind, text in page.sections[1].tables[0].rows)
    assert any(text.startswith("not for: Rare things") and "(1)" in text for text in uses)
    assert any(text.startswith("not for: The effect of a treatment") for text in uses)
    assert not any("Deaths" in text for text in uses)


def test_a_card_as_a_file_shows_the_data_s_words_as_words(made: Path, tmp_path: Path):
    """The data set's name holds a tag: in HTML and in Markdown it stays a text. HTML brings its picture along."""
    card = describe(made / "model")
    for name in ("card.html", "card.md"):
        write_card(made / "model", card, tmp_path / name, made=MADE)
    html, words = (tmp_path / "card.html").read_text(), (tmp_path / "card.md").read_text()
    assert "invented ward &lt;b&gt;" in html and "<b>" not in html
    assert "data:image/svg+xml" in html and 'src="http' not in html
    assert r"# Model card: invented ward \<b\>" in words.splitlines()
    assert [line.removeprefix("## ") for line in words.splitlines() if line.startswith("## ")] == [*MITCHELL]


def test_another_ending_is_refused(made: Path, tmp_path: Path):
    with pytest.raises(SettingsRefused, match=r"'\.pdf'"):
        write_card(made / "model", describe(made / "model"), tmp_path / "card.pdf")
    assert not (tmp_path / "card.pdf").exists()


def test_the_card_of_a_changed_model_is_refused(made: Path, tmp_path: Path):
    """A card must not vouch for weights that are not those the model was saved with."""
    folder = shutil.copytree(made / "model", tmp_path / "model")
    weights = bytearray((folder / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(bytes(weights))
    with pytest.raises(ModelBroken, match=r"weights\.safetensors"):
        describe(folder)


def test_on_a_terminal_no_line_is_wider_than_80(made: Path):
    asked = subprocess.run(
        [sys.executable, "-m", "salus", "describe", str(made / "model")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Not differentially private" in asked.stdout
    assert max(map(len, asked.stdout.splitlines())) <= 80
    assert asked.stderr == ""


def test_as_json_the_card_is_figures(made: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        main(["describe", str(made / "model"), "--json"])
    assert end.value.code == 0
    card = json.loads(capsys.readouterr().out)
    assert card["lineage"]["patients_train"] == 36
    assert card["differentially_private"] is False


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-C", str(folder), *words],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_the_commit_is_that_of_these_very_files(tmp_path: Path):
    """A package that git does not track has no commit, even inside a checkout; an edited one is marked."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert code_commit(package) == ""
    git(tmp_path, "init", "-q")
    assert code_commit(package) == ""
    git(tmp_path, "add", "package")
    git(tmp_path, "commit", "-q", "-m", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert code_commit(package) == head
    (package / "__init__.py").write_text("x = 1\n")
    assert code_commit(package) == f"{head} with changes"
