"""The tables of the OMOP common data model 5.3 and 5.4 that hold a patient's history, and which column means what."""

from __future__ import annotations

from dataclasses import dataclass

SAME_IN_5_3 = {
    "admitted_from_concept_id": "admitting_source_concept_id",
    "admitted_from_source_value": "admitting_source_value",
    "discharged_to_concept_id": "discharge_to_concept_id",
    "discharged_to_source_value": "discharge_to_source_value",
}
"""Columns of 5.4 and what 5.3 calls them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """Columns that say one thing in codes: the standard concept, the source's concept, the source's own word."""

    concept: str
    source_concept: str = ""
    source_value: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns there are."""
        return tuple(name for name in (self.concept, self.source_concept, self.source_value) if name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """Columns that say what was found: a number with its unit, a text, or an answer that is a concept.

    ``source_text``: the finding as the source wrote it, which counts where there is no number.
    """

    number: str = ""
    text: str = ""
    source_text: str = ""
    answer: str = ""
    unit: str = ""
    unit_source: str = ""
    operator: str = ""
    low: str = ""
    high: str = ""
    fixed_unit: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns there are."""
        names = (self.number, self.text, self.source_text, self.answer, self.unit, self.unit_source)
        return tuple(name for name in (*names, self.operator, self.low, self.high) if name)


@dataclass(frozen=True, slots=True, kw_only=True)
class OmopTable:
    """One table: its key, when its rows begin and end, and what they say.

    ``starts`` and ``ends``: the column of the date, and the one of the date with its time, which wins.
    ``prefix``: before the source's own word where there is no concept. ``before``: before every code of the table.
    """

    name: str
    key: str
    starts: tuple[str, str]
    ends: tuple[str, str] = ("", "")
    what: Coded
    value: Value = Value()
    at_start: Coded | None = None
    at_end: Coded | None = None
    prefix: str
    before: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read, by its name in 5.4."""
        more = [part.columns for part in (self.at_start, self.at_end) if part]
        dates = tuple(name for name in (*self.starts, *self.ends) if name)
        named = ("person_id", self.key, *dates, *self.what.columns, *self.value.columns, *sum(more, ()))
        return tuple(dict.fromkeys(named))

    @property
    def required(self) -> tuple[str, ...]:
        """Columns without which the table cannot be read."""
        return tuple(dict.fromkeys(("person_id", self.key, self.starts[0], self.what.concept)))


def _dated(stem: str) -> tuple[str, str]:
    return f"{stem}_date", f"{stem}_datetime"


def _coded(stem: str) -> Coded:
    return Coded(
        concept=f"{stem}_concept_id",
        source_concept=f"{stem}_source_concept_id",
        source_value=f"{stem}_source_value",
    )


def _place(stem: str) -> Coded:
    return Coded(concept=f"{stem}_concept_id", source_value=f"{stem}_source_value")


PERSON = "person"
PERSON_KEY = "person_id"
PERIOD = "observation_period"
DEATH_TABLE = "death"

VISIT = OmopTable(
    name="visit_occurrence",
    key="visit_occurrence_id",
    starts=_dated("visit_start"),
    ends=_dated("visit_end"),
    what=_coded("visit"),
    at_start=_place("admitted_from"),
    at_end=_place("discharged_to"),
    prefix="VISIT",
)
VISIT_DETAIL = OmopTable(
    name="visit_detail",
    key="visit_detail_id",
    starts=_dated("visit_detail_start"),
    ends=_dated("visit_detail_end"),
    what=_coded("visit_detail"),
    prefix="VISIT",
    before="VISIT_DETAIL",
)
CONDITION = OmopTable(
    name="condition_occurrence",
    key="condition_occurrence_id",
    starts=_dated("condition_start"),
    ends=_dated("condition_end"),
    what=_coded("condition"),
    prefix="CONDITION",
)
DRUG = OmopTable(
    name="drug_exposure",
    key="drug_exposure_id",
    starts=_dated("drug_exposure_start"),
    ends=_dated("drug_exposure_end"),
    what=_coded("drug"),
    value=Value(number="days_supply", fixed_unit="d"),
    prefix="DRUG",
)
PROCEDURE = OmopTable(
    name="procedure_occurrence",
    key="procedure_occurrence_id",
    starts=_dated("procedure"),
    ends=_dated("procedure_end"),
    what=_coded("procedure"),
    prefix="PROCEDURE",
)
DEVICE = OmopTable(
    name="device_exposure",
    key="device_exposure_id",
    starts=_dated("device_exposure_start"),
    ends=_dated("device_exposure_end"),
    what=_coded("device"),
    prefix="DEVICE",
)
MEASUREMENT = OmopTable(
    name="measurement",
    key="measurement_id",
    starts=_dated("measurement"),
    what=_coded("measurement"),
    value=Value(
        number="value_as_number",
        source_text="value_source_value",
        answer="value_as_concept_id",
        unit="unit_concept_id",
        unit_source="unit_source_value",
        operator="operator_concept_id",
        low="range_low",
        high="range_high",
    ),
    prefix="MEASUREMENT",
)
OBSERVATION = OmopTable(
    name="observation",
    key="observation_id",
    starts=_dated("observation"),
    what=_coded("observation"),
    value=Value(
        number="value_as_number",
        text="value_as_string",
        source_text="value_source_value",
        answer="value_as_concept_id",
        unit="unit_concept_id",
        unit_source="unit_source_value",
    ),
    prefix="OBSERVATION",
)
NOTE = OmopTable(
    name="note",
    key="note_id",
    starts=_dated("note"),
    what=Coded(
        concept="note_class_concept_id", source_concept="note_type_concept_id", source_value="note_title"
    ),
    value=Value(text="note_text"),
    prefix="NOTE",
)
DEATH = OmopTable(
    name=DEATH_TABLE,
    key=PERSON_KEY,
    starts=_dated("death"),
    what=Coded(
        concept="cause_concept_id",
        source_concept="cause_source_concept_id",
        source_value="cause_source_value",
    ),
    prefix="CONDITION",
    before="CAUSE_OF_DEATH",
)
OBSERVATION_PERIOD = OmopTable(
    name=PERIOD,
    key="observation_period_id",
    starts=("observation_period_start_date", ""),
    ends=("observation_period_end_date", ""),
    what=Coded(concept="period_type_concept_id"),
    prefix="OBSERVATION_PERIOD",
)

CLINICAL = (
    VISIT,
    VISIT_DETAIL,
    CONDITION,
    DRUG,
    PROCEDURE,
    DEVICE,
    MEASUREMENT,
    OBSERVATION,
    NOTE,
    DEATH,
    OBSERVATION_PERIOD,
)
"""The tables read besides ``person``, in the order of the books."""

BIRTH_COLUMNS = ("year_of_birth", "month_of_birth", "day_of_birth", "birth_datetime")
TRAITS = {"SEX": _coded("gender"), "RACE": _coded("race"), "ETHNICITY": _coded("ethnicity")}
"""What ``person`` says for good: the code's prefix, and its columns."""

PERSON_LABEL = "person_source_value"
"""Whether a person is synthetic; what else it says is an id of the source, and is kept nowhere."""
PERSON_COLUMNS = (
    PERSON_KEY,
    *BIRTH_COLUMNS,
    *sum((part.columns for part in TRAITS.values()), ()),
    PERSON_LABEL,
)
PERSON_REQUIRED = (PERSON_KEY, "year_of_birth", *(part.concept for part in TRAITS.values()))

VOCABULARY = ("concept", "concept_ancestor", "concept_relationship")
DESCRIPTIVE = ("cdm_source", "vocabulary", "domain", "concept_class", "relationship", "concept_synonym")
DERIVED = ("condition_era", "drug_era", "dose_era", "cohort", "cohort_definition", "episode", "episode_event")
ELSEWHERE = (
    "care_site",
    "cost",
    "drug_strength",
    "fact_relationship",
    "location",
    "metadata",
    "note_nlp",
    "payer_plan_period",
    "provider",
    "source_to_concept_map",
    "specimen",
)
ALL_TABLES = (
    PERSON,
    *(table.name for table in CLINICAL),
    *VOCABULARY,
    *DESCRIPTIVE,
    *DERIVED,
    *ELSEWHERE,
)
"""Every table of 5.4: a file or a table of another name is none of ours."""
