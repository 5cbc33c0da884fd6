"""Profiles that a resource says it follows: none is looked at here, and each is counted."""

from __future__ import annotations

from typing import Any

from salus.formats.fhir_validation.looking import Look, Place

PROFILES = "profiles"


def check_profiles(look: Look, value: dict[str, Any], _: Place) -> None:
    """Count the profiles that nothing here can judge."""
    told = value.get("profile")
    if isinstance(told, list) and told:
        look.noted.unchecked[PROFILES] += len(told)
