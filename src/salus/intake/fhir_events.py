"""The events of a group of resources, and its books: kept or rejected, each rejection with its place and reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from salus.formats.sql_on_fhir.taking import Block, Taken
from salus.intake.fhir_groups import Group
from salus.intake.fhir_rows import (
    KNOWN_STRANGE,
    LEFT_OUT,
    NO_ROW,
    NOT_TOLD,
    REASONS,
    UNIT_STRANGE,
    Memory,
    Rows,
    Verdict,
    rows_of,
)
from salus.intake.fhir_times import LATEST_CODE, NONE
from salus.intake.keyed_hash import hash_key, hash_texts
from salus.intake.parts import PART_COLUMNS, Counted, PartRead, rejection_frame
from salus.units import KNOWN_UNITS


@dataclass(frozen=True, slots=True)
class _Identity:
    """Numbers of resources and of their versions, and when these were stored; ``has_id``: whether each has one."""

    resource: np.ndarray
    version: np.ndarray
    updated: np.ndarray
    has_id: np.ndarray


def events_of(group: Group, taken: Taken, memory: Memory) -> PartRead:
    """Read what a view took of a group of resources."""
    total = len(group.resources)
    blocks, place = [], 0
    for block in taken.blocks:
        blocks.append(rows_of(block, group, memory, place=place))
        place = max(place, int(blocks[-1].place.max(initial=place - 1)) + 1)
    usable = np.ones(total, bool)
    usable[list(taken.refused)] = False
    identity = _identity(taken.blocks, total, memory, group)
    for rows in blocks:
        rows.verdict[~identity.has_id[rows.rows]] = Verdict.NO_ID
        rows.verdict[~usable[rows.rows]] = Verdict.SILENT
    kept = np.zeros(total, bool)
    for rows in blocks:
        kept[rows.rows[rows.verdict == Verdict.EVENT]] = True
    events = _frame(blocks, identity, group, memory)
    reasons = _reasons(blocks, taken, kept)
    rejected = [(group.file(n), int(group.lines[n]), *reasons[n]) for n in np.flatnonzero(~kept).tolist()]
    used = {int(code) for rows in blocks for code in np.unique(rows.code[rows.verdict == 0])}
    return PartRead(
        events=events,
        codes=memory.concepts.codes.of(used),
        rejected=rejection_frame(rejected),
        counted={group.kind: Counted(total, total - len(rejected), len(rejected))},
        noted={group.kind: _noted(blocks, kept, memory)},
    )


def _identity(blocks: Sequence[Block], total: int, memory: Memory, group: Group) -> _Identity:
    ids, key = _of_resources(blocks, "id", total), hash_key(memory.key, group.kind)
    versions, updated = _of_resources(blocks, "version", total), _of_resources(blocks, "updated", total)
    version, stored = np.zeros(total, np.uint64), np.full(total, NONE)
    if any(versions) or any(updated):
        stored = np.fromiter(map(memory.times.__getitem__, updated), np.int64, total)
        told = [f"{v}|{u}" if v or u else None for v, u in zip(versions, updated, strict=True)]
        version = hash_texts(told, key)
    there = np.fromiter((one is not None for one in ids), bool, total)
    return _Identity(hash_texts(ids, key), version, stored, there)


def _of_resources(blocks: Sequence[Block], name: str, total: int) -> list[Any]:
    """A column that is the same in all rows of a resource, once a resource."""
    values: list[Any] = [None] * total
    for block in blocks:
        if name not in block.columns:
            continue
        if block.rows is None:
            return block.columns[name]
        for row, value in zip(block.rows, block.columns[name], strict=True):
            values[row] = value
    return values


def _frame(blocks: Sequence[Rows], identity: _Identity, group: Group, memory: Memory) -> pl.DataFrame:
    """The events of all blocks, with all columns in order and type."""
    there = [np.flatnonzero(rows.verdict == Verdict.EVENT) for rows in blocks]

    def of_all(name: str) -> np.ndarray:
        return np.concatenate([getattr(rows, name)[at] for rows, at in zip(blocks, there, strict=True)])

    of, code = of_all("rows"), of_all("code")
    names = pl.Series(memory.concepts.codes.names, dtype=pl.String)
    units = pl.Series([*memory.units.names, None], dtype=pl.String)  # -1 is the last: none
    patients = pl.Series([*memory.patients.names, None], dtype=pl.String)
    files = [group.files] if isinstance(group.files, str) else [group.files[n] for n in of.tolist()]
    size = len(of)
    columns = {
        "patient": patients.gather(of_all("patient") % len(patients)),
        "time": _moments(of_all("time")),
        "code": names.gather(code) if size else pl.Series([], dtype=pl.String),
        "numeric_value": pl.Series(of_all("number").astype(np.float32), nan_to_null=True),
        "text_value": _texts(blocks, there, size),
        "unit": units.gather(of_all("unit") % len(units)),
        "known_time": _moments(of_all("known")),
        "origin": _alike(group.kind, size),
        "resource": pl.Series(identity.resource[of]),
        "version": pl.Series(identity.version[of]),
        "updated": _moments(identity.updated[of]),
        "content": pl.Series(group.content[of]),
        "place": pl.Series(of_all("place").astype(np.uint32)),
        "file": _alike(files[0], size) if len(files) == 1 else pl.Series(files, dtype=pl.String),
        "line": pl.Series(group.lines[of]),
    }
    return pl.DataFrame(columns, schema=PART_COLUMNS)


def _moments(microseconds: np.ndarray) -> pl.Series:
    """What is not told is null: numpy's own sign for no time is the same number."""
    return pl.Series(np.where(microseconds <= LATEST_CODE, NONE, microseconds).view("datetime64[us]"))


def _alike(text: str, size: int) -> pl.Series:
    return pl.Series([text], dtype=pl.String).new_from_index(0, size)


def _texts(blocks: Sequence[Rows], there: Sequence[np.ndarray], size: int) -> pl.Series:
    if not any(rows.text is not None and any(rows.text) for rows in blocks):
        return pl.Series([None], dtype=pl.String).new_from_index(0, size)
    told: list[str | None] = []
    for rows, at in zip(blocks, there, strict=True):
        told += [rows.text[row] for row in at.tolist()] if rows.text is not None else [None] * len(at)
    return pl.Series(told, dtype=pl.String)


def _reasons(blocks: Sequence[Rows], taken: Taken, kept: np.ndarray) -> dict[int, tuple[str, str]]:
    """Of each resource that is not kept the column and the reason: the first that is not silent."""
    found = {number: taken.refused.get(number, ("", NO_ROW)) for number in np.flatnonzero(~kept).tolist()}
    for rows in reversed(blocks):
        for quiet in (True, False):
            for row in np.flatnonzero(~kept[rows.rows] & (rows.verdict > Verdict.SILENT))[::-1].tolist():
                number, verdict = int(rows.rows[row]), Verdict(int(rows.verdict[row]))
                if number not in taken.refused and (verdict in NOT_TOLD) is quiet:
                    found[number] = REASONS[verdict]
    return found


def _noted(blocks: Sequence[Rows], kept: np.ndarray, memory: Memory) -> dict[str, int]:
    """What else there is to tell: rows left out, units that are no UCUM, known times that cannot be read."""
    noted: Counter[str] = Counter()
    strange = np.array([*(name not in KNOWN_UNITS for name in memory.units.names), False])
    for rows in blocks:
        events = rows.verdict == Verdict.EVENT
        noted[UNIT_STRANGE] += int(strange[rows.unit[events]].sum())
        noted[KNOWN_STRANGE] += int(
            ((rows.known[events] <= LATEST_CODE) & (rows.known[events] != NONE)).sum()
        )
        for verdict in np.unique(rows.verdict[kept[rows.rows]]).tolist():
            if verdict and Verdict(verdict) not in NOT_TOLD:
                count = int(((rows.verdict == verdict) & kept[rows.rows]).sum())
                noted[LEFT_OUT.format(REASONS[Verdict(verdict)][1])] += count
    return {name: count for name, count in noted.items() if count}
