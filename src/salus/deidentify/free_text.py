"""What a policy's ``free_text: scrub`` asks for: somebody who takes out of a text what identifies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from salus.deidentify.known_patient import KnownPatient


@dataclass(frozen=True, slots=True)
class ScrubbedText:
    """A text with surrogates in it, and how many of each kind (name, date, place …) were put there."""

    text: str = field(repr=False)
    replaced: Mapping[str, int]


class TextScrubber(Protocol):
    """Takes out of a text what identifies the patient or anybody else."""

    def scrub(self, text: str, patient: KnownPatient) -> ScrubbedText:
        """The text with surrogates in the place of what identifies; dates move by the patient's own shift."""
        ...
