"""A model on its way to who draws from it: a folder on this machine, the model itself to another."""

from __future__ import annotations

from pathlib import Path

from salus.compute.ray_cluster import current_cluster
from salus.trajectory.artefact import Model, load_model


def sent(folder: Path, model: Model) -> Path | Model:
    """What to hand to other processes: on a cluster the model, which other machines do not have in a folder."""
    return folder if current_cluster() is None else model


def received(model: Path | Model) -> Model:
    """The model that was handed over."""
    return load_model(model) if isinstance(model, Path) else model
