"""Where everything of a use case lies: a folder with its YAML files and what the jobs made from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class UseCaseFolder:
    """Places inside a use case's folder; none of them need exist yet."""

    root: Path

    @property
    def name(self) -> str:
        """The folder's name, which is the use case's name in the workspace."""
        return self.root.resolve().name

    @property
    def description(self) -> Path:
        """What it is for, for whom, and not for what."""
        return self.root / "usecase.yaml"

    @property
    def source(self) -> Path:
        """How its records are read."""
        return self.root / "source.yaml"

    @property
    def task(self) -> Path:
        """What is forecast."""
        return self.root / "task.yaml"

    @property
    def protocol(self) -> Path:
        """What must be shown before it may go on."""
        return self.root / "protocol.yaml"

    @property
    def frozen(self) -> Path:
        """The digest the protocol was frozen with."""
        return self.root / "protocol.frozen.json"

    @property
    def timeline(self) -> Path:
        """The real records."""
        return self.root / "timeline"

    @property
    def quality(self) -> Path:
        """What is odd in the real records: a sheet."""
        return self.root / "quality"

    @property
    def model(self) -> Path:
        """The trained model."""
        return self.root / "model"

    @property
    def synthetic(self) -> Path:
        """The synthetic patients."""
        return self.root / "synthetic"

    @property
    def risks(self) -> Path:
        """The forecasts for held-out patients."""
        return self.root / "forecasts" / "held_out.parquet"

    @property
    def futures(self) -> Path:
        """Sampled futures of a dozen held-out patients, and a sheet for each."""
        return self.root / "futures"

    @property
    def comparison(self) -> Path:
        """Synthetic beside real patients: a sheet."""
        return self.root / "comparison"

    @property
    def evidence(self) -> Path:
        """The bundle of findings."""
        return self.root / "evidence"
