"""What the vocabulary says of the concepts that were met: names, codes, and what each is a kind of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from salus.formats.categories import BETWEEN
from salus.formats.omop_codes import Concept
from salus.intake.omop_place import OmopSource, Relation
from salus.intake.sql_cells import as_text, as_whole

MET = "concepts_met"
UPWARDS = ("Maps to", "Is a")
CONCEPT_TEXTS = (
    "concept_name",
    "domain_id",
    "vocabulary_id",
    "concept_class_id",
    "standard_concept",
    "concept_code",
)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Concepts by their ids, and the ids of those directly above each."""

    concepts: Mapping[int, Concept]
    above: Mapping[int, tuple[int, ...]]


def read_vocabulary(source: OmopSource, met: Iterable[int]) -> Vocabulary:
    """Look up the concepts that were met and all that are above them; tables that are not there say nothing."""
    ids = {number for number in met if number}
    links: list[tuple[int, int, int]] = []
    if "concept_relationship" in source.relations:
        links += _related(source, ids)
        ids |= {above for _, above, _ in links}
    if "concept_ancestor" in source.relations:
        ids |= _ancestors(source, ids)
        links += _direct(source, ids)
    above: dict[int, dict[int, None]] = {}
    for low, high, _ in sorted(links, key=lambda link: (link[0], link[2], link[1])):
        above.setdefault(low, {})[high] = None
    return Vocabulary(_concepts(source, ids), {low: tuple(highs) for low, highs in above.items()})


def _meet(source: OmopSource, ids: set[int]) -> None:
    source.db.register("ids_met", pl.DataFrame({"id": sorted(ids)}, schema={"id": pl.Int64}))
    source.db.execute(f"CREATE OR REPLACE TEMP TABLE {MET} AS SELECT id FROM ids_met")
    source.db.unregister("ids_met")


def _related(source: OmopSource, ids: set[int]) -> list[tuple[int, int, int]]:
    """Links to the standard concept (first) and to what a concept is a kind of."""
    _meet(source, ids)
    table = source.relations["concept_relationship"]
    one, two = (as_whole(table.columns, f"concept_id_{side}") for side in (1, 2))
    kind = as_text(table.columns, "relationship_id")
    invalid = as_text(table.columns, "invalid_reason")
    return source.db.execute(
        f"SELECT DISTINCT {one} AS low, {two} AS high, CASE {kind} WHEN '{UPWARDS[0]}' THEN 0 ELSE 1 END"
        f" FROM {table.sql}"
        f" WHERE {kind} IN {UPWARDS} AND {invalid} IS NULL AND low <> high AND low IN (SELECT id FROM {MET})"
    ).fetchall()


def _ancestors(source: OmopSource, ids: set[int]) -> set[int]:
    _meet(source, ids)
    table = source.relations["concept_ancestor"]
    low, high = _ends(table)
    sql = f"SELECT DISTINCT {high} FROM {table.sql} WHERE {low} IN (SELECT id FROM {MET})"
    return {int(row[0]) for row in source.db.execute(sql).fetchall() if row[0] is not None}


def _direct(source: OmopSource, ids: set[int]) -> list[tuple[int, int, int]]:
    """Links of one level between concepts."""
    _meet(source, ids)
    table = source.relations["concept_ancestor"]
    low, high = _ends(table)
    levels = as_whole(table.columns, "min_levels_of_separation")
    sql = f"SELECT DISTINCT {low} AS low, {high} AS high, 2 FROM {table.sql} WHERE {levels} = 1"
    return source.db.execute(f"{sql} AND low IN (SELECT id FROM {MET})").fetchall()


def _ends(table: Relation) -> tuple[str, str]:
    return as_whole(table.columns, "descendant_concept_id"), as_whole(table.columns, "ancestor_concept_id")


def concepts_by_code(source: OmopSource, codes: Iterable[str]) -> dict[str, Concept]:
    """The concepts that codes (``LOINC//2823-3``) name; where several have one code, a standard one."""
    table = source.relations["concept"]
    source.db.register("codes_met", pl.DataFrame({"code": sorted(set(codes))}, schema={"code": pl.String}))
    vocabulary, code = (as_text(table.columns, name) for name in ("vocabulary_id", "concept_code"))
    met = f"{vocabulary} || '{BETWEEN}' || {code} IN (SELECT code FROM codes_met)"
    found = _rows(source, table, met)
    source.db.unregister("codes_met")
    best = sorted(found, key=lambda concept: (concept.standard == "S", -concept.concept_id))
    return {f"{concept.vocabulary}{BETWEEN}{concept.code}": concept for concept in best}


def _concepts(source: OmopSource, ids: set[int]) -> dict[int, Concept]:
    if "concept" not in source.relations:
        return {}
    _meet(source, ids)
    found = _rows(source, source.relations["concept"], f"id IN (SELECT id FROM {MET})")
    return {concept.concept_id: concept for concept in found}


def _rows(source: OmopSource, table: Relation, wanted: str) -> list[Concept]:
    number = as_whole(table.columns, "concept_id")
    texts = ", ".join(f"coalesce({as_text(table.columns, name)}, '')" for name in CONCEPT_TEXTS)
    sql = f"SELECT {number} AS id, {texts} FROM {table.sql} WHERE id IS NOT NULL AND {wanted} ORDER BY ALL"
    return [
        Concept(
            concept_id=row[0],
            name=row[1],
            domain=row[2],
            vocabulary=row[3],
            concept_class=row[4],
            standard=row[5],
            code=row[6],
        )
        for row in source.db.execute(sql).fetchall()
    ]
