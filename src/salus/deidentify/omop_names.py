"""The columns of OMOP 5.4 that a policy may name, and what kind each is."""

from __future__ import annotations

from salus.formats.omop_columns import COLUMNS_5_4, sql_type


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


COLUMNS: dict[str, tuple[str, ...]] = {
    **COLUMNS_5_4,
    "location": _words(
        "location_id address_1 address_2 city state zip county location_source_value country_concept_id"
        " country_source_value latitude longitude"
    ),
    "care_site": _words(
        "care_site_id care_site_name place_of_service_concept_id location_id care_site_source_value"
        " place_of_service_source_value"
    ),
    "provider": _words(
        "provider_id provider_name npi dea specialty_concept_id care_site_id year_of_birth gender_concept_id"
        " provider_source_value specialty_source_value specialty_source_concept_id gender_source_value"
        " gender_source_concept_id"
    ),
    "specimen": _words(
        "specimen_id person_id specimen_concept_id specimen_type_concept_id specimen_date specimen_datetime quantity"
        " unit_concept_id anatomic_site_concept_id disease_status_concept_id specimen_source_id specimen_source_value"
        " unit_source_value anatomic_site_source_value disease_status_source_value"
    ),
    "condition_era": _words(
        "condition_era_id person_id condition_concept_id condition_era_start_date condition_era_end_date"
        " condition_occurrence_count"
    ),
    "drug_era": _words(
        "drug_era_id person_id drug_concept_id drug_era_start_date drug_era_end_date drug_exposure_count gap_days"
    ),
    "dose_era": _words(
        "dose_era_id person_id drug_concept_id unit_concept_id dose_value dose_era_start_date dose_era_end_date"
    ),
    "concept_ancestor": _words(
        "ancestor_concept_id descendant_concept_id min_levels_of_separation max_levels_of_separation"
    ),
    "vocabulary": _words(
        "vocabulary_id vocabulary_name vocabulary_reference vocabulary_version vocabulary_concept_id"
    ),
}
"""What a policy may name. The tables it cannot name (cost, payer_plan_period, note_nlp, episode …) stay out."""
NOT_IDS = ("domain_id", "vocabulary_id", "concept_class_id", "relationship_id", "specimen_source_id")
DATES = ("year_of_birth", "month_of_birth", "day_of_birth", "measurement_time", "verbatim_end_date")
SAME = {
    "preceding_visit_occurrence_id": "visit_occurrence_id",
    "preceding_visit_detail_id": "visit_detail_id",
    "parent_visit_detail_id": "visit_detail_id",
}
"""Columns that hold ids of another column."""
PATIENT = "Patient"
"""The kind of a patient's pseudonym in every format."""


def is_id_column(name: str) -> bool:
    """Whether a column names a row of this data set, and not a concept of everybody's.

    >>> is_id_column("visit_occurrence_id"), is_id_column("unit_concept_id"), is_id_column("domain_id")
    (True, False, False)
    """
    return name.endswith("_id") and not name.endswith("concept_id") and name not in NOT_IDS


def id_kind(name: str) -> str:
    """The kind under which a column's ids have their pseudonyms: the same wherever the same ids stand."""
    return PATIENT if name == "person_id" else SAME.get(name, name)


def is_date_column(name: str) -> bool:
    """Whether a column holds a date, a time or a part of one."""
    return sql_type(name) in ("DATE", "TIMESTAMP") or name in DATES
