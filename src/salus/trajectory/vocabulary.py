"""What the model can say: fields in drawing order, their levels, value and waiting-time bins, and what is protected.

A **field** is what can be said once at a moment: a number with one code (potassium), a choice among codes that exclude
each other (sex, the drug's dose going up or down), or a mere event. Its **levels** are what may be said: a bin of the
number's values, or one of the codes. A fact is a level; drawing one means drawing first the field, then the level.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from salus.at_rest.files import read_private, write_private
from salus.trajectory.bins import FloatArray, IntArray

FOREVER = 2**60
"""Grains that no record reaches."""
START = "SALUS//START"
"""Pseudo-fact of the static moment: when the record starts, in grains from the anchor (or from time zero)."""
BIRTH = "SALUS//AGE"
"""Pseudo-fact of the static moment: age at the anchor (or at the record's start), in years of 365.25 days."""
GRAIN_SECONDS = {"day": 86_400, "minute": 60, "second": 1}
YEAR_SECONDS = 365.25 * 86_400
UNSAID = "*"
"""Last part of the code that stands for the withheld and unknown codes of a choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeEntry:
    """One code the model can draw: its levels are ``bins`` of values, or the code itself (``bins`` 0).

    ``absent``: its last bin means that no value was recorded. ``unsaid``: it stands for the codes of its field that
    are withheld or unknown; it is read, so that the field is not taken for missing, and never drawn.
    """

    code: str
    static: bool = False
    death: bool = False
    absent: bool = False
    unsaid: bool = False
    bins: int = 0
    decimals: int = 0
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What can be said once at a moment, by the codes from position ``first`` up to ``last`` (not included).

    ``once``: no training patient has it twice. ``seldom``: those who have it have it about once (a first diagnosis, a
    death). ``always``: static, and every patient has it. ``earliest``, ``latest``: grains from the anchor between
    which training records have it. ``repeats``: it may come twice in one moment after all.
    """

    name: str
    first: int
    last: int
    static: bool = False
    once: bool = False
    seldom: bool = False
    always: bool = False
    repeats: bool = False
    death: bool = False
    earliest: int = -FOREVER
    latest: int = FOREVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What is withheld from the model before training, and how much of it there was.

    ``backed_off_facts``: facts whose code was too rare and was replaced by what it is a kind of.
    """

    least_patients: int = 5
    withheld_codes: int = 0
    withheld_facts: int = 0
    backed_off_facts: int = 0
    text_values: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """How the source counts time: the anchor every subject has, time zero, and the resolution (grain).

    ``order_only``: its times say in which order things happened, not when, nor how long it took.
    """

    time_zero: str
    grain: str
    anchor: str | None = None
    follow_up_end: str | None = None
    birth: str | None = None
    order_only: bool = False

    @property
    def grain_seconds(self) -> int:
        """Seconds a grain."""
        return GRAIN_SECONDS[self.grain]

    @property
    def zero(self) -> datetime:
        """Time zero, as the timeline's times are written: without a zone."""
        return datetime.fromisoformat(self.time_zero).replace(tzinfo=None)


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Fields, codes, levels and clock. ``lows``: (levels,); ``inner``: (levels, INNER); ``wait_edges``: (waits + 1,).

    ``sure`` (2, fields + 1): in training, after this field (the last: at the beginning) always came that one, in dated
    and in static moments; -1 where that is not so. ``sure_seen``: how often it was seen.
    No record is drawn beyond what training records reach: ``longest_moment`` facts in a moment, ``longest_record``
    moments, follow-up until ``latest`` (grains). ``tracked``: dated fields that the chart follows. ``round_grains``: an
    hour in grains where waits are told by the patient's rounds (:mod:`salus.trajectory.rounds`), else 0.
    """

    entries: tuple[CodeEntry, ...]
    fields: tuple[Field, ...]
    clock: Clock
    lows: FloatArray
    inner: FloatArray
    wait_edges: IntArray
    sure: IntArray
    sure_seen: IntArray
    longest_moment: int
    longest_record: int
    latest: int
    tracked: int
    round_grains: int = 0
    protection: Protection = field(default_factory=Protection)

    @property
    def size(self) -> int:
        """Number of fields; the index ``size`` itself means: this moment has no further fact."""
        return len(self.fields)

    @property
    def levels(self) -> int:
        """Number of levels; the index ``levels`` itself means: none."""
        return int(self.level_start[-1])

    @cached_property
    def level_start(self) -> IntArray:
        """First level of each code, (codes + 1,)."""
        counts = [max(entry.bins, 1) for entry in self.entries]
        starts: IntArray = np.r_[0, np.cumsum(counts, dtype=np.int64)].astype(np.int64)
        return starts

    @cached_property
    def field_start(self) -> IntArray:
        """First level of each field, (fields + 1,)."""
        starts: IntArray = self.level_start[[one.first for one in self.fields] + [len(self.entries)]]
        return starts

    @cached_property
    def level_code(self) -> IntArray:
        """Position of each level's code, (levels,)."""
        return np.repeat(np.arange(len(self.entries)), np.diff(self.level_start))

    @cached_property
    def level_field(self) -> IntArray:
        """Each level's field, (levels,)."""
        return np.repeat(np.arange(self.size), np.diff(self.field_start))

    @cached_property
    def unsaid(self) -> npt.NDArray[np.bool_]:
        """Levels that are read and never drawn, (levels,)."""
        found: npt.NDArray[np.bool_] = np.asarray([entry.unsaid for entry in self.entries], dtype=bool)[
            self.level_code
        ]
        return found

    @cached_property
    def has_value(self) -> npt.NDArray[np.bool_]:
        """Whether a level stands for a number, (levels,)."""
        bins = np.asarray([entry.bins - int(entry.absent) for entry in self.entries])[self.level_code]
        found: npt.NDArray[np.bool_] = np.arange(self.levels) - self.level_start[self.level_code] < bins
        return found

    @cached_property
    def level_ranks(self) -> FloatArray:
        """Where a level lies and how wide it is among its field's levels in order, (levels, 2), as shares of 1.

        A level without a number beside numbers (none recorded) lies in the middle with no width.
        """
        counts = np.diff(self.field_start)
        real = np.add.reduceat(self.has_value, self.field_start[:-1]) if self.size else counts
        steps = np.where(real > 0, real, counts)[self.level_field]
        place = np.arange(self.levels) - self.field_start[self.level_field]
        ranks = np.stack([place / steps, 1 / steps], axis=1)
        ranks[(real > 0)[self.level_field] & ~self.has_value] = (0.5, 0.0)
        return ranks.astype(np.float32)

    @property
    def statics(self) -> int:
        """Number of static fields; they come first."""
        return sum(one.static for one in self.fields)

    def index(self) -> dict[str, int]:
        """Give each code's position in drawing order."""
        return {entry.code: position for position, entry in enumerate(self.entries)}

    def spans(self) -> tuple[IntArray, IntArray]:
        """Grains between which each field was seen in training."""
        return (
            np.asarray([one.earliest for one in self.fields], dtype=np.int64),
            np.asarray([one.latest for one in self.fields], dtype=np.int64),
        )


def save_vocabulary(vocabulary: Vocabulary, folder: Path) -> None:
    """Write ``vocabulary.json`` (names) and ``vocabulary.safetensors`` (tables)."""
    words = {
        "codes": [asdict(entry) for entry in vocabulary.entries],
        "fields": [asdict(one) for one in vocabulary.fields],
        "clock": asdict(vocabulary.clock),
        "protection": asdict(vocabulary.protection),
        "longest_moment": vocabulary.longest_moment,
        "longest_record": vocabulary.longest_record,
        "latest": vocabulary.latest,
        "tracked": vocabulary.tracked,
        "round_grains": vocabulary.round_grains,
    }
    write_private(folder / "vocabulary.json", json.dumps(words, indent=1).encode())
    tables: dict[str, np.ndarray] = {name: np.ascontiguousarray(getattr(vocabulary, name)) for name in TABLES}
    write_private(folder / "vocabulary.safetensors", save(tables))


TABLES = ("lows", "inner", "wait_edges", "sure", "sure_seen")


def load_vocabulary(folder: Path) -> Vocabulary:
    """Read what :func:`save_vocabulary` wrote."""
    words = json.loads(read_private(folder / "vocabulary.json"))
    tables = load(read_private(folder / "vocabulary.safetensors"))
    return Vocabulary(
        entries=tuple(CodeEntry(**entry) for entry in words["codes"]),
        fields=tuple(Field(**one) for one in words["fields"]),
        clock=Clock(**words["clock"]),
        protection=Protection(**words["protection"]),
        longest_moment=words["longest_moment"],
        longest_record=words["longest_record"],
        latest=words["latest"],
        tracked=words["tracked"],
        round_grains=words.get("round_grains", 0),  # models of before have none, and go on without
        **{name: tables[name] for name in TABLES},
    )
