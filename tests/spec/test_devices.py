"""On what the network computes: a card if there is one and nobody says otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from salus.errors import SettingsRefused
from salus.progress import QUIET
from salus.trajectory.batches import make_batch
from salus.trajectory.devices import Device, device_for, moved
from salus.trajectory.reading import prepare
from salus.trajectory.training import TrainSettings, fit
from tests.small_ward import CODES, SETTINGS, ward

LESSONS = prepare(ward(60), CODES, SETTINGS)
QUICK = TrainSettings(minutes=2, width=16, depth=1, most_epochs=2, share_facts=100, most_gap=1.0)
CARD = torch.cuda.is_available()


def test_the_processor_can_always_be_asked_for():
    assert device_for(Device.CPU).type == "cpu"


def test_what_nobody_chose_is_the_card_where_there_is_one():
    assert device_for(Device.AUTO).type == ("cuda" if CARD else "cpu")


@pytest.mark.skipif(CARD, reason="this machine has a graphics card")
def test_a_card_that_is_not_there_is_refused_in_words():
    with pytest.raises(SettingsRefused, match="no graphics card"):
        device_for(Device.CUDA)


def test_every_tensor_of_a_batch_is_moved_and_nothing_else_changes():
    """To the device `meta`, which holds shapes and no numbers and is everywhere."""
    batch = make_batch(LESSONS.train.of(np.arange(3)), LESSONS.vocabulary)
    there = moved(batch, torch.device("meta"))
    assert there.level.device.type == there.choices.level.device.type == there.asked.row.device.type == "meta"
    assert there.chart.shape == batch.chart.shape
    assert there.choices.counts == batch.choices.counts
    assert moved(batch, torch.device("cpu")) is batch


@pytest.mark.skipif(not CARD, reason="this machine has no graphics card (CUDA)")
def test_training_on_a_card_gives_a_model_like_that_of_the_processor(tmp_path: Path):
    """The same batches in the same order, with other dropout: losses within a tenth of each other."""
    losses = [
        fit(LESSONS, settings=QUICK, checkpoint=tmp_path / device, progress=QUIET, device=device)[1].best_loss
        for device in (Device.CPU, Device.CUDA)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
