"""The columns of the two tables, and which of them count something; every peer and every judge reads them here."""

from __future__ import annotations

CONTEXT = ("race", "gender", "age")
"""Said once of a patient."""
EVENTS = (
    "admission_type_id",
    "discharge_disposition_id",
    "admission_source_id",
    "time_in_hospital",
    "medical_specialty",
    "num_lab_procedures",
    "num_procedures",
    "num_medications",
    "number_outpatient",
    "number_emergency",
    "number_inpatient",
    "diag_1",
    "number_diagnoses",
    "A1Cresult",
    "metformin",
    "insulin",
    "change",
    "diabetesMed",
    "readmitted",
)
"""Said of every encounter."""
COUNTS = (
    "time_in_hospital",
    "num_lab_procedures",
    "num_procedures",
    "num_medications",
    "number_outpatient",
    "number_emergency",
    "number_inpatient",
    "number_diagnoses",
)
"""Whole numbers. All other columns are categories; the identifiers of places and dispositions too."""
PATIENT = "patient"
"""Which rows of the sequences belong together: a number of no meaning, given after the shuffle."""
FLAT = (*CONTEXT, *EVENTS)
SEQUENCES = (PATIENT, *FLAT)
KINDS = {"flat": FLAT, "sequences": SEQUENCES}
