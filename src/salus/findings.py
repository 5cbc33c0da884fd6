"""A finding is one measured fact: what, on whom, how much, how sure, by which method, from which data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its confidence bounds; None where it could not be estimated."""

    value: float | None
    lower: float | None = None
    upper: float | None = None

    def as_json(self) -> dict[str, float | None]:
        """Give the three numbers by name."""
        return {"value": self.value, "lower": self.lower, "upper": self.upper}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One measured fact, without any threshold: judging is somebody else's work."""

    metric: str
    population: str
    value: float | None
    lower: float | None = None
    upper: float | None = None
    level: float = 0.95
    unit: str = "1"
    patients: int
    events: int | None = None
    method: str
    seed: int | None = None
    comparison: str = ""
    reason: str = ""
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def interval(self) -> Interval:
        """The value with its bounds."""
        return Interval(self.value, self.lower, self.upper)
