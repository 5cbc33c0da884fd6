"""A few patients as OMOP tables, written as CSV: each test adds the rows that it is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from salus.intake.books import Books
from salus.intake.omop_place import OmopPlace
from salus.progress import QUIET
from salus.timeline.store import read_codes, read_rejected, read_timeline
from salus.workflows.ingest_tables import ingest_omop

PERSON = """
person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth,birth_datetime,race_concept_id,ethnicity_concept_id
1,8532,1950,5,3,,8527,38003564
2,8507,1960,7,,,0,0
"""
CONCEPT = """
concept_id,concept_name,domain_id,vocabulary_id,concept_class_id,standard_concept,concept_code
3023103,Serum potassium,Measurement,LOINC,Lab Test,S,2823-3
8753,millimole per liter,Unit,UCUM,Unit,S,mmol/L
9201,Inpatient Visit,Visit,Visit,Visit,S,IP
9203,Emergency Room Visit,Visit,Visit,Visit,S,ER
8536,Home,Visit,CMS Place of Service,Visit,S,12
255848,Pneumonia,Condition,SNOMED,Disorder,S,233604007
4024567,Disorder of lung,Condition,SNOMED,Disorder,S,19829001
45591453,"Pneumonia, unspecified organism",Condition,ICD10CM,4-char billing code,,J18.9
1125315,acetaminophen,Drug,RxNorm,Ingredient,S,161
4041306,Tobacco use,Observation,SNOMED,Observable Entity,S,229819007
4298794,Smoker,Observation,SNOMED,Clinical Finding,S,77176002
"""


@dataclass(frozen=True, slots=True)
class Ingested:
    """A timeline and its books."""

    books: Books
    events: pl.DataFrame
    codes: pl.DataFrame
    rejected: pl.DataFrame

    def rows(self, *columns: str) -> list[tuple[object, ...]]:
        """The events of all tables but ``person``, in order."""
        others = self.events.filter(~pl.col("source").str.starts_with("person:"))
        return others.select(columns).rows()

    def reasons(self) -> list[tuple[object, ...]]:
        """What was rejected and why, in order."""
        return self.rejected.select("file", "line", "column", "reason").sort("file", "line").rows()


def write_tables(folder: Path, **tables: str) -> Path:
    """Write CSV files; ``person`` and ``concept`` are there unless given."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"person": PERSON, "concept": CONCEPT, **tables}.items():
        (folder / f"{name}.csv").write_text(text.lstrip("\n"), encoding="utf-8")
    return folder


def ingested(folder: Path, *, zone: str = "UTC") -> Ingested:
    """Read a source into a timeline beside it."""
    return ingested_from(OmopPlace(where=str(folder), zone=zone), folder.parent / f"{folder.name}-timeline")


def ingested_from(place: OmopPlace, to: Path) -> Ingested:
    """Read any source into the timeline ``to``."""
    books = ingest_omop(place, to, progress=QUIET)
    events = read_timeline(to).drop("split").sort("subject_id", "time", "code", "source", nulls_last=False)
    return Ingested(books, events, read_codes(to), read_rejected(to))
