"""An interrupted training run on disk: safetensors and JSON, replaced whole, never half-written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

Weights = dict[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Weights, their average, the best average so far, Adam's moments, and the log."""

    weights: Weights
    average: Weights
    best: Weights
    optimiser: Weights
    log: dict[str, Any]

    @staticmethod
    def of_optimiser(optimiser: torch.optim.Optimizer) -> Weights:
        """Flatten the optimiser's tensors: ``number.name``."""
        state = optimiser.state_dict()["state"]
        return {f"{number}.{name}": value for number, held in state.items() for name, value in held.items()}

    def optimiser_state(self, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
        """Put the flattened tensors back in the form that ``load_state_dict`` takes."""
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in self.optimiser.items():
            number, name = key.split(".", 1)
            state.setdefault(int(number), {})[name] = value
        return {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}


def save_checkpoint(folder: Path, checkpoint: Checkpoint, settings: dict[str, Any]) -> None:
    """Write the checkpoint beside the old one, then put it in its place."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"weights": checkpoint.weights, "average": checkpoint.average, "best": checkpoint.best}
    tensors = {
        f"{part}/{name}": value.contiguous() for part, held in parts.items() for name, value in held.items()
    }
    tensors |= {f"optimiser/{name}": value for name, value in checkpoint.optimiser.items()}
    about = json.dumps({"settings": settings, "log": checkpoint.log})
    fresh = folder / "checkpoint.new"
    save_file({name: value.clone() for name, value in tensors.items()}, fresh, metadata={"about": about})
    fresh.replace(folder / "checkpoint.safetensors")


def load_checkpoint(folder: Path, settings: dict[str, Any]) -> Checkpoint | None:
    """Read a checkpoint of exactly these settings; None where there is none (another run's is left alone)."""
    path = folder / "checkpoint.safetensors"
    if not path.is_file():
        return None
    with path.open("rb") as file:
        head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    about = json.loads(head["__metadata__"]["about"])
    if about["settings"] != settings:
        return None
    tensors = load_file(path)
    parts: dict[str, Weights] = {"weights": {}, "average": {}, "best": {}, "optimiser": {}}
    for key, value in tensors.items():
        part, name = key.split("/", 1)
        parts[part][name] = value
    return Checkpoint(**parts, log=about["log"])
