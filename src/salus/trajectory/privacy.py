"""What is promised of a model that was trained privately, and what the promise cost: a record beside its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UNIT = "one patient, with everything that is recorded of him, added or left out"
COVERS = (
    "the weights",
    "which codes there are and how they share fields",
    "bins of values and of waits",
    "how long records and moments get",
    "what always follows what",
    "the number of patients",
)
PUBLIC = (
    "codes with a declared plausible range or the role of death, and these ranges",
    "units, roles, parents and descriptions of codes; the clock",
    "every setting of the training",
    "the order of magnitude of the number of patients, from which δ follows where it is not given",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """One kind of noisy answer, as the card shows it: ``alone`` is the ε it would have if it were the only one."""

    what: str
    noise: float
    rate: float
    times: int
    alone: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """(ε, δ)-differential privacy of a model, unit and scope in words.

    ``epsilon``: what was spent, at most ``epsilon_asked``. ``delta_codes``: the part of ``delta`` for the chance that
    a code of a single patient shows. ``noise``, ``rate``, ``steps``, ``clip``: of training, in units of one patient's
    longest gradient; ``patients``: a noisy count.
    """

    epsilon: float
    epsilon_asked: float
    delta: float
    delta_codes: float
    accountant: str
    noise: float
    rate: float
    steps: int
    clip: float
    patients: int
    spent: tuple[Spent, ...]
    unit: str = UNIT
    covers: tuple[str, ...] = COVERS
    public: tuple[str, ...] = PUBLIC

    @classmethod
    def read(cls, words: Mapping[str, Any] | None) -> Privacy | None:
        """Read what was written as JSON; None where nothing was promised."""
        if words is None:
            return None
        lists = {name: tuple(words[name]) for name in ("covers", "public")}
        return cls(**{**words, **lists, "spent": tuple(Spent(**one) for one in words["spent"])})
