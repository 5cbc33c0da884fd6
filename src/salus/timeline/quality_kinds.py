"""What is checked on a timeline, in Kahn's categories, and what of OHDSI's check types is checked how.

Names are those of OHDSI's DataQualityDashboard where it has the check. Thresholds stand elsewhere (quality_judging).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Category(StrEnum):
    """Kahn's categories: is the form right, is it there, can it be true."""

    CONFORMANCE = "conformance"
    COMPLETENESS = "completeness"
    PLAUSIBILITY = "plausibility"


class Context(StrEnum):
    """Verification looks at the record alone; validation holds it against something outside of it."""

    VERIFICATION = "verification"
    VALIDATION = "validation"


class Severity(StrEnum):
    """How bad a failed check is, in OHDSI's words, worst first."""

    FATAL = "fatal"
    CONVENTION = "convention"
    CHARACTERIZATION = "characterization"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of check. ``about``: what of a row; ``counts``: rows, patients or codes; ``work``: what a worker mends.

    ``work`` is "code" where each code is a case of its own, "part" where, as at OHDSI, each part of the source is.
    """

    name: str
    about: str
    category: Category
    context: Context
    severity: Severity
    words: str
    counts: str = "rows"
    work: str = "code"


_C, _L, _P = Category.CONFORMANCE, Category.COMPLETENESS, Category.PLAUSIBILITY
_VER, _VAL = Context.VERIFICATION, Context.VALIDATION
_FATAL, _CONV, _CHAR = Severity.FATAL, Severity.CONVENTION, Severity.CHARACTERIZATION


def _kind(
    name: str, about: str, where: tuple[Category, Context, Severity], words: str, *, of: str = "rows part"
) -> Kind:
    counts, work = of.split()
    category, context, severity = where
    return Kind(
        name=name,
        about=about,
        category=category,
        context=context,
        severity=severity,
        words=words,
        counts=counts,
        work=work,
    )


KINDS: tuple[Kind, ...] = (
    _kind("isRequired", "code", (_C, _VAL, _FATAL), "Rows without a code"),
    _kind("isPrimaryKey", "row", (_C, _VER, _FATAL), "Rows equal to an earlier one in every column"),
    _kind("isForeignKey", "code", (_C, _VER, _FATAL), "Rows whose code is not described"),
    _kind(
        "declaredUnit",
        "unit",
        (_C, _VER, _CONV),
        "Values in another unit than the declared one",
        of="rows code",
    ),
    _kind(
        "measurePersonCompleteness", "part", (_L, _VAL, _CONV), "Patients without any row", of="patients part"
    ),
    _kind(
        "measureValueCompleteness",
        "value",
        (_L, _VER, _CHAR),
        "Rows without the value their code has",
        of="rows code",
    ),
    _kind(
        "standardConceptRecordCompleteness",
        "code",
        (_L, _VER, _CONV),
        "Rows whose code is of no standard vocabulary",
    ),
    _kind(
        "sourceValueCompleteness",
        "code",
        (_L, _VER, _CONV),
        "Codes that are of no standard vocabulary",
        of="codes part",
    ),
    _kind(
        "plausibleValueLow", "value", (_P, _VER, _CHAR), "Values below the plausible range", of="rows code"
    ),
    _kind(
        "plausibleValueHigh", "value", (_P, _VER, _CHAR), "Values above the plausible range", of="rows code"
    ),
    _kind("plausibleValueLow", "time", (_P, _VER, _CHAR), "Rows before {earliest}"),
    _kind("plausibleValueHigh", "time", (_P, _VER, _CHAR), "Rows in the future"),
    _kind("plausibleAfterBirth", "time", (_P, _VER, _CHAR), "Rows before birth"),
    _kind("plausibleBeforeDeath", "time", (_P, _VER, _CHAR), "Rows more than {grace} days after death"),
    _kind("plausibleStartBeforeEnd", "time", (_P, _VER, _CHAR), "Ends before their start"),
    _kind("withinVisitDates", "time", (_P, _VER, _CHAR), "Rows more than {visit} days from any visit"),
    _kind(
        "measureObservationPeriodOverlap",
        "time",
        (_P, _VER, _FATAL),
        "Patients whose observation periods overlap or touch",
        of="patients part",
    ),
    _kind("knownAfterItHappened", "known_time", (_P, _VER, _CONV), "Rows known before they happened"),
    _kind("saidOnce", "row", (_P, _VER, _CHAR), "Rows that say what another row of the source says"),
    _kind(
        "oneValueAMoment",
        "value",
        (_P, _VER, _CHAR),
        "Rows that contradict another of the same moment",
        of="rows code",
    ),
    _kind(
        "plausibleGender",
        "sex",
        (_P, _VAL, _CHAR),
        "Rows of patients who cannot have it, by sex",
        of="rows code",
    ),
    _kind(
        "plausibleGenderUseDescendants",
        "sex",
        (_P, _VAL, _CHAR),
        "Rows of patients who cannot have it, by sex (kinds of it)",
        of="rows code",
    ),
    _kind(
        "plausibleUnitConceptIds",
        "unit",
        (_P, _VER, _CHAR),
        "Values in a unit that cannot be, or without one",
        of="rows code",
    ),
)

STANDARD = (
    "SNOMED", "LOINC", "RxNorm", "RxNorm Extension", "CVX", "ICDO3", "HCPCS", "CPT4", "ICD10PCS", "ICD9Proc",
    "OMOP Extension", "OMOP Genomic", "Cancer Modifier", "UCUM",
)  # fmt: skip
"""Vocabularies whose concepts OHDSI calls standard: what a site's own codes are mapped to."""
DAYS_AFTER_DEATH = 60
"""As in OHDSI's check: registration of what was done before death takes that long."""
DAYS_AROUND_VISIT = 7
"""As in OHDSI's check: a week on either side."""


class Handled(StrEnum):
    """What becomes of one of OHDSI's check types."""

    MEASURED = "measured"
    BY_CONSTRUCTION = "kept by construction"
    ELSEWHERE = "counted under another"
    NOT_HERE = "makes no sense on a timeline"


OHDSI: dict[str, tuple[Handled, str]] = {
    "cdmTable": (
        Handled.BY_CONSTRUCTION,
        "a folder that lacks one of a timeline's files is refused (SAL-201)",
    ),
    "cdmField": (Handled.BY_CONSTRUCTION, "a shard without subject, time or code is refused (SAL-202)"),
    "cdmDatatype": (
        Handled.BY_CONSTRUCTION,
        "each column has one type; what does not fit is refused (SAL-202)",
    ),
    "isRequired": (Handled.MEASURED, "rows without a code; patient and time are demanded by the form"),
    "isPrimaryKey": (
        Handled.MEASURED,
        "rows equal in every column, source and id included; told by two ids: saidOnce",
    ),
    "isForeignKey": (Handled.MEASURED, "rows whose code codes.parquet does not describe"),
    "fkDomain": (Handled.NOT_HERE, "a timeline keeps what a concept is a kind of, not its domain"),
    "fkClass": (Handled.NOT_HERE, "asked only of eras and drug strengths, which are not read"),
    "isStandardValidConcept": (
        Handled.ELSEWHERE,
        "standardConceptRecordCompleteness: whether a concept is still valid is not kept",
    ),
    "measurePersonCompleteness": (Handled.MEASURED, "patients without any row of a part of the source"),
    "measureConditionEraCompleteness": (
        Handled.NOT_HERE,
        "eras are derived; a timeline holds what was recorded",
    ),
    "measureObservationPeriodOverlap": (Handled.MEASURED, "pairs of OBSERVATION_PERIOD and its end"),
    "measureValueCompleteness": (Handled.MEASURED, "rows without a value where their code has one elsewhere"),
    "standardConceptRecordCompleteness": (Handled.MEASURED, "rows whose code is of no standard vocabulary"),
    "sourceConceptRecordCompleteness": (
        Handled.NOT_HERE,
        "a row has one code: the source's concept does not stand beside the standard one",
    ),
    "sourceValueCompleteness": (Handled.MEASURED, "distinct codes that are of no standard vocabulary"),
    "plausibleValueLow": (
        Handled.MEASURED,
        "values by the range in codes.parquet; times by the earliest date",
    ),
    "plausibleValueHigh": (Handled.MEASURED, "values by the range in codes.parquet; times by today"),
    "plausibleTemporalAfter": (Handled.ELSEWHERE, "plausibleAfterBirth and plausibleStartBeforeEnd"),
    "plausibleDuringLife": (Handled.ELSEWHERE, "plausibleBeforeDeath: the same rows"),
    "withinVisitDates": (
        Handled.MEASURED,
        "to which visit a row belongs is not kept: rows far from every visit of the patient",
    ),
    "plausibleAfterBirth": (Handled.MEASURED, "rows before the patient's birth"),
    "plausibleBeforeDeath": (Handled.MEASURED, "rows more than 60 days after the patient's death"),
    "plausibleStartBeforeEnd": (
        Handled.MEASURED,
        "END// rows before the row of the same source that began it",
    ),
    "plausibleGender": (Handled.MEASURED, "needs --checks, and concept ids from OMOP or --vocabulary"),
    "plausibleGenderUseDescendants": (Handled.MEASURED, "as above, with all that codes.parquet puts below"),
    "plausibleUnitConceptIds": (Handled.MEASURED, "needs --checks, and --vocabulary for the units' ids"),
}
"""All 27 check types of OHDSI's DataQualityDashboard 2.8."""


def kind_of(name: str, about: str) -> Kind:
    """The kind with this name about this.

    >>> kind_of("plausibleValueLow", "time").category.value
    'plausibility'
    """
    return next(kind for kind in KINDS if (kind.name, kind.about) == (name, about))
