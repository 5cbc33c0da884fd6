"""What a timeline says of itself beside its rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineSettings:
    """The ``salus`` block of ``metadata/dataset.json``, with the data set's name and licence.

    ``order_only``: the times say in which order things happened, not when, nor how long it took. ``synthetic``: a model
    drew every row. ``origins``: digests of the timelines and models that it was made from.
    """

    name: str = ""
    licence: str = ""
    time_zero: datetime | None = None
    grain: str = "second"
    order_only: bool = False
    zone: str = "UTC"
    anchor: str | None = None
    synthetic: bool = False
    assumed_known_time: int = 0
    source_digest: str = ""
    splits: str = ""
    origins: tuple[str, ...] = ()

    def as_json(self) -> dict[str, str | int | bool | list[str] | None]:
        """The block as it is stored."""
        return {
            "time_zero": self.time_zero.isoformat() if self.time_zero else None,
            "grain": self.grain,
            "order_only": self.order_only,
            "zone": self.zone,
            "anchor": self.anchor,
            "synthetic": self.synthetic,
            "assumed_known_time": self.assumed_known_time,
            "source_digest": self.source_digest,
            "splits": self.splits,
            "origins": list(self.origins),
        }


def settings_from_json(content: dict[str, object]) -> TimelineSettings:
    """Read a whole ``dataset.json``; another tool's data set has no ``salus`` block: defaults."""
    block = content.get("salus")
    said: dict[str, object] = block if isinstance(block, dict) else {}
    zero = said.get("time_zero")
    anchor = said.get("anchor")
    counted, origins = said.get("assumed_known_time"), said.get("origins")
    return TimelineSettings(
        name=str(content.get("dataset_name") or ""),
        licence=str(content.get("license") or ""),
        time_zero=datetime.fromisoformat(str(zero)) if zero else None,
        grain=str(said.get("grain") or "second"),
        order_only=bool(said.get("order_only")),
        zone=str(said.get("zone") or "UTC"),
        anchor=str(anchor) if anchor else None,
        synthetic=bool(said.get("synthetic")),
        assumed_known_time=counted if isinstance(counted, int) else 0,
        source_digest=str(said.get("source_digest") or ""),
        splits=str(said.get("splits") or ""),
        origins=tuple(map(str, origins)) if isinstance(origins, list) else (),
    )
