"""Words in the names of columns that tell what a column is for, in small letters. They are data: add your own here."""

from __future__ import annotations

PATIENT = ("patient", "subject", "person", "pat", "subjectid", "patientid", "recordid", "mrn", "member")
IDENTIFYING = (
    "name",
    "surname",
    "firstname",
    "lastname",
    "forename",
    "phone",
    "telephone",
    "email",
    "address",
    "street",
    "zip",
    "postcode",
    "ssn",
    "insurance",
    "passport",
    "nhs",
)
DRAWN = (
    "time",
    "date",
    "taken",
    "drawn",
    "collected",
    "charttime",
    "effective",
    "start",
    "admission",
    "admit",
    "visit",
)
RELEASED = (
    "released",
    "reported",
    "issued",
    "result",
    "available",
    "verified",
    "stored",
    "storetime",
    "recorded",
    "entered",
)
OUTCOMES = (
    "death",
    "died",
    "dead",
    "deceased",
    "survival",
    "survived",
    "mortality",
    "outcome",
    "discharge",
    "readmitted",
    "readmission",
    "stay",
    "los",
    "status",
)
BIRTH = ("birth", "dob", "born", "birthdate", "birthday")
AGE = ("age",)
VARIABLE = (
    "variable",
    "parameter",
    "test",
    "item",
    "code",
    "measurement",
    "observation",
    "analyte",
    "lab",
    "concept",
    "name",
)
VALUE = ("value", "val", "result", "valuenum", "amount", "reading")
UNIT = ("unit", "units", "uom", "valueuom")
LATER = {
    "day": "day",
    "days": "day",
    "hour": "hour",
    "hours": "hour",
    "hr": "hour",
    "minute": "minute",
    "minutes": "minute",
    "min": "minute",
    "second": "second",
    "seconds": "second",
}
"""Units of a column that counts from time zero."""
UNITS_IN_NAMES = {
    "kg": "kg",
    "cm": "cm",
    "mmhg": "mm[Hg]",
    "bpm": "/min",
    "pct": "%",
    "percent": "%",
    "mmol": "mmol/L",
    "mgdl": "mg/dL",
    "celsius": "Cel",
    "degc": "Cel",
}
"""What a part of a name says of the unit (UCUM)."""
