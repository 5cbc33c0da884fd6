"""One dial for a model's size: what each choice means; the examples keep the settings they were measured with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from salus.cli import main
from salus.timeline.store import write_timeline
from salus.trajectory.artefact import load_model
from salus.trajectory.sizes import Scale, scale_for, settings_for
from salus.trajectory.training import TrainSettings
from tests.small_ward import CODES, SETTINGS, ward

GIVEN = TrainSettings(data="d", seed=7, minutes=3, workers=4)


@pytest.mark.parametrize(
    ("patients", "facts", "dropout", "most_epochs", "share_facts"),
    [
        (12_308, 369_893, 0.40, 12, 2_500),  # cohort: fewer than 400,000 facts
        (
            3_627,
            1_532_214,
            0.38,
            8,
            5_000,
        ),  # icu: 1.94 doublings: 0.40 - 0.019, 12 - 3.9; 7,661 a share are too many
        (40_239, 2_690_190, 0.37, 7, 5_000),  # clinic: 2.75 doublings: 0.40 - 0.028, 12 - 5.5
    ],
)
def test_the_examples_keep_the_settings_their_numbers_were_measured_with(
    patients, facts, dropout, most_epochs, share_facts
):
    """What nobody chose is what it was before there was a dial: width 160, depth 2, rate 0.003."""
    found = settings_for(Scale.AUTO, GIVEN, patients=patients, facts=facts)
    assert found == replace(
        GIVEN, size="medium", dropout=dropout, most_epochs=most_epochs, share_facts=share_facts
    )
    assert (found.width, found.depth, found.rate, found.wait_dropout) == (160, 2, 3e-3, 0.6)


@pytest.mark.parametrize(
    ("patients", "facts", "scale"),
    [
        (1_000, 30_000, Scale.SMALL),
        (1_000, 420_000, Scale.MEDIUM),  # a thousand long stays teach as much as ten thousand short records
        (100_000, 5_000_000, Scale.MEDIUM),
        (100_000, 60_000_000, Scale.MEDIUM),  # many facts of few patients are learnt by heart
        (10_000_000, 1_000_000_000, Scale.LARGE),
    ],
)
def test_auto_goes_by_patients_and_facts(patients, facts, scale):
    assert scale_for(patients, facts) is scale
    assert settings_for(Scale.AUTO, GIVEN, patients=patients, facts=facts) == settings_for(
        scale, GIVEN, patients=patients, facts=facts
    )


def test_larger_means_wider_less_dropped_and_fewer_passes():
    sizes = [
        settings_for(scale, GIVEN, patients=patients, facts=30 * patients)
        for scale, patients in ((Scale.SMALL, 1_000), (Scale.MEDIUM, 100_000), (Scale.LARGE, 10_000_000))
    ]
    for name in ("width", "share_facts"):
        values = [getattr(one, name) for one in sizes]
        assert values == sorted(set(values))
    for name in ("dropout", "most_epochs"):
        values = [getattr(one, name) for one in sizes]
        assert values == sorted(set(values), reverse=True)
    assert {(one.data, one.seed, one.minutes, one.workers) for one in sizes} == {("d", 7, 3, 4)}


def test_a_size_that_is_chosen_is_the_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The ward is small; whoever asks for large gets a network of width 384, and the model says so."""
    write_timeline(tmp_path / "t", ward(60), codes=CODES, settings=SETTINGS)
    for asked, scale, width in (("auto", "small", 96), ("large", "large", 384)):
        with pytest.raises(SystemExit) as end:
            main(
                [
                    "train",
                    str(tmp_path / "t"),
                    "--to",
                    str(tmp_path / asked),
                    "--minutes",
                    "0.01",
                    "--size",
                    asked,
                ]
            )
        assert end.value.code == 0
        model = load_model(tmp_path / asked)
        assert (model.settings.size, model.network.size.width) == (scale, width)
    with pytest.raises(SystemExit) as end:
        main(["train", str(tmp_path / "t"), "--to", str(tmp_path / "m"), "--size", "huge"])
    assert end.value.code == 2
    assert "huge" in capsys.readouterr().err
