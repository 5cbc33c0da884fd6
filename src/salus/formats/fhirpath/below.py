"""What is below a value: its elements, and theirs."""

from __future__ import annotations

from salus.formats.fhirpath.comparing import wrong
from salus.formats.fhirpath.values import Items, members
from salus.formats.r4_elements import elements_of

MOST_BELOW = 200_000


def children(of: Items) -> Items:
    """All elements of some values."""
    return [below for one in of for name in elements_of(one.kind) for below in members(one, name)]


def descendants(of: Items) -> Items:
    """All elements of some values, and theirs, and so on."""
    found: Items = []
    waiting = of
    while waiting:
        waiting = children(waiting)
        found += waiting
        if len(found) > MOST_BELOW:
            raise wrong("too many values")
    return found
