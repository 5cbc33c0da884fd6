"""Which resources carry a label of Salus: drawn by a model as a whole patient, or into a real record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec
import numpy as np

from salus.formats.fhir_r4 import COMPLETED as COMPLETED_TAG
from salus.formats.fhir_r4 import SYNTHETIC, TAGS
from salus.intake.fhir_groups import Group
from salus.timeline.label import COMPLETED

MARKED = "with the label synthetic"
"""What the books call resources that carry it."""
TOLD = TAGS.encode()
"""Where these bytes are not, nothing carries a label: most sources are passed over at the speed of memory."""


class _Tag(msgspec.Struct):
    system: str | None = None
    code: str | None = None


class _Meta(msgspec.Struct):
    tag: list[_Tag] = []


class _Labelled(msgspec.Struct):
    meta: _Meta | None = None


_LABELS = msgspec.json.Decoder(_Labelled)


def labels_of(group: Group) -> tuple[int, np.ndarray]:
    """How many resources of a group are synthetic, and which of them were drawn into a real record."""
    found = [_tags(group.raw(number)) for number in range(len(group.resources))]
    completed = np.fromiter((COMPLETED_TAG["code"] in tags for tags in found), bool, len(found))
    return sum(SYNTHETIC["code"] in tags for tags in found), completed


def parted(group: Group, completed: np.ndarray) -> Iterator[tuple[str, Group]]:
    """The recorded and the completed resources of a group, with their type; these go by the name ``completed``."""
    for kind, chosen in ((group.kind, ~completed), (COMPLETED, completed)):
        if chosen.any():
            yield group.kind, _part(group, np.flatnonzero(chosen).tolist(), kind)


def _part(group: Group, chosen: Sequence[int], kind: str) -> Group:
    return replace(
        group,
        kind=kind,
        resources=[group.resources[number] for number in chosen],
        lines=group.lines[chosen],
        content=group.content[chosen],
        raw=lambda number: group.raw(chosen[number]),
        files=group.files if isinstance(group.files, str) else [group.files[number] for number in chosen],
    )


def _tags(raw: bytes) -> frozenset[str]:
    """The codes of our tags on one resource."""
    if TOLD not in raw:
        return frozenset()
    try:
        meta = _LABELS.decode(raw).meta
    except (msgspec.DecodeError, ValueError, RecursionError):
        return frozenset()
    return frozenset(tag.code for tag in (meta.tag if meta else []) if tag.system == TAGS and tag.code)
