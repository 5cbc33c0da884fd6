"""Every column of the OMOP tables that are written, in the order of version 5.4."""

from __future__ import annotations

from salus.formats.omop import CLINICAL, PERSON

VERSION = "5.4"
CDM_SOURCE, CONCEPT, RELATIONSHIP = "cdm_source", "concept", "concept_relationship"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


COLUMNS_5_4: dict[str, tuple[str, ...]] = {
    PERSON: _words(
        "person_id gender_concept_id year_of_birth month_of_birth day_of_birth birth_datetime race_concept_id"
        " ethnicity_concept_id location_id provider_id care_site_id person_source_value gender_source_value"
        " gender_source_concept_id race_source_value race_source_concept_id ethnicity_source_value"
        " ethnicity_source_concept_id"
    ),
    "observation_period": _words(
        "observation_period_id person_id observation_period_start_date observation_period_end_date"
        " period_type_concept_id"
    ),
    "visit_occurrence": _words(
        "visit_occurrence_id person_id visit_concept_id visit_start_date visit_start_datetime visit_end_date"
        " visit_end_datetime visit_type_concept_id provider_id care_site_id visit_source_value"
        " visit_source_concept_id admitted_from_concept_id admitted_from_source_value discharged_to_concept_id"
        " discharged_to_source_value preceding_visit_occurrence_id"
    ),
    "visit_detail": _words(
        "visit_detail_id person_id visit_detail_concept_id visit_detail_start_date visit_detail_start_datetime"
        " visit_detail_end_date visit_detail_end_datetime visit_detail_type_concept_id provider_id care_site_id"
        " visit_detail_source_value visit_detail_source_concept_id admitted_from_concept_id"
        " admitted_from_source_value discharged_to_source_value discharged_to_concept_id"
        " preceding_visit_detail_id parent_visit_detail_id visit_occurrence_id"
    ),
    "condition_occurrence": _words(
        "condition_occurrence_id person_id condition_concept_id condition_start_date condition_start_datetime"
        " condition_end_date condition_end_datetime condition_type_concept_id condition_status_concept_id"
        " stop_reason provider_id visit_occurrence_id visit_detail_id condition_source_value"
        " condition_source_concept_id condition_status_source_value"
    ),
    "drug_exposure": _words(
        "drug_exposure_id person_id drug_concept_id drug_exposure_start_date drug_exposure_start_datetime"
        " drug_exposure_end_date drug_exposure_end_datetime verbatim_end_date drug_type_concept_id stop_reason"
        " refills quantity days_supply sig route_concept_id lot_number provider_id visit_occurrence_id"
        " visit_detail_id drug_source_value drug_source_concept_id route_source_value dose_unit_source_value"
    ),
    "procedure_occurrence": _words(
        "procedure_occurrence_id person_id procedure_concept_id procedure_date procedure_datetime"
        " procedure_end_date procedure_end_datetime procedure_type_concept_id modifier_concept_id quantity"
        " provider_id visit_occurrence_id visit_detail_id procedure_source_value procedure_source_concept_id"
        " modifier_source_value"
    ),
    "device_exposure": _words(
        "device_exposure_id person_id device_concept_id device_exposure_start_date device_exposure_start_datetime"
        " device_exposure_end_date device_exposure_end_datetime device_type_concept_id unique_device_id"
        " production_id quantity provider_id visit_occurrence_id visit_detail_id device_source_value"
        " device_source_concept_id unit_concept_id unit_source_value unit_source_concept_id"
    ),
    "measurement": _words(
        "measurement_id person_id measurement_concept_id measurement_date measurement_datetime measurement_time"
        " measurement_type_concept_id operator_concept_id value_as_number value_as_concept_id unit_concept_id"
        " range_low range_high provider_id visit_occurrence_id visit_detail_id measurement_source_value"
        " measurement_source_concept_id unit_source_value unit_source_concept_id value_source_value"
        " measurement_event_id meas_event_field_concept_id"
    ),
    "observation": _words(
        "observation_id person_id observation_concept_id observation_date observation_datetime"
        " observation_type_concept_id value_as_number value_as_string value_as_concept_id qualifier_concept_id"
        " unit_concept_id provider_id visit_occurrence_id visit_detail_id observation_source_value"
        " observation_source_concept_id unit_source_value qualifier_source_value value_source_value"
        " observation_event_id obs_event_field_concept_id"
    ),
    "note": _words(
        "note_id person_id note_date note_datetime note_type_concept_id note_class_concept_id note_title note_text"
        " encoding_concept_id language_concept_id provider_id visit_occurrence_id visit_detail_id"
        " note_source_value note_event_id note_event_field_concept_id"
    ),
    "death": _words(
        "person_id death_date death_datetime death_type_concept_id cause_concept_id cause_source_value"
        " cause_source_concept_id"
    ),
    CONCEPT: _words(
        "concept_id concept_name domain_id vocabulary_id concept_class_id standard_concept concept_code"
        " valid_start_date valid_end_date invalid_reason"
    ),
    RELATIONSHIP: _words(
        "concept_id_1 concept_id_2 relationship_id valid_start_date valid_end_date invalid_reason"
    ),
    CDM_SOURCE: _words(
        "cdm_source_name cdm_source_abbreviation cdm_holder source_description source_documentation_reference"
        " cdm_etl_reference source_release_date cdm_release_date cdm_version cdm_version_concept_id"
        " vocabulary_version"
    ),
}

NOT_NULL_CONCEPTS = ("_type_concept_id", "gender_concept_id", "race_concept_id", "ethnicity_concept_id")
"""Endings of columns of concepts that 5.4 wants filled: 0 says that nothing is known."""
WHAT = frozenset(table.what.concept for table in CLINICAL) | {"encoding_concept_id", "language_concept_id"}
NUMBERS = ("value_as_number", "range_low", "range_high", "quantity")
WHOLE = ("year_of_birth", "month_of_birth", "day_of_birth", "days_supply", "refills")
DOMAINS = {
    "visit_occurrence": "Visit",
    "visit_detail": "Visit",
    "condition_occurrence": "Condition",
    "drug_exposure": "Drug",
    "procedure_occurrence": "Procedure",
    "device_exposure": "Device",
    "measurement": "Measurement",
    "observation": "Observation",
    "note": "Note",
}
"""Tables and the domain of the concepts that belong in them."""


def sql_type(column: str) -> str:
    """The type of a column.

    >>> sql_type("visit_end_datetime"), sql_type("unit_concept_id"), sql_type("range_low")
    ('TIMESTAMP', 'BIGINT', 'DOUBLE')
    """
    if (column.endswith("_id") and column not in ("unique_device_id", "production_id")) or column in WHOLE:
        texts = ("domain_id", "vocabulary_id", "concept_class_id", "relationship_id")
        return "VARCHAR" if column in texts else "BIGINT"
    if column.startswith("concept_id"):
        return "BIGINT"
    if column.endswith("_datetime"):
        return "TIMESTAMP"
    if column.endswith("_date"):
        return "DATE"
    return "DOUBLE" if column in NUMBERS else "VARCHAR"


def must_be_filled(column: str) -> bool:
    """Whether 0 stands in a column of concepts where nothing is known."""
    return column.endswith(NOT_NULL_CONCEPTS) or column in WHAT
