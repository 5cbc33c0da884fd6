"""What a reference leads to, as a key that a resource of that type has too."""

from __future__ import annotations

import re

RELATIVE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?")


def reference_key(reference: str, kind: str | None = None) -> str | None:
    """The key of what a literal reference names; None where it names nothing, or another type than ``kind``.

    >>> reference_key("Patient/p1"), reference_key("https://x.org/fhir/Patient/p1/_history/2", "Patient")
    ('Patient/p1', 'Patient/p1')
    >>> reference_key("Patient/p1", "Group"), reference_key("#m1")
    (None, None)
    """
    found = RELATIVE.fullmatch(reference)
    if found is None or (kind is not None and found.group(1) != kind):
        return None
    return f"{found.group(1)}/{found.group(2)}"
