"""How what HL7 v2 codes is named on a timeline: coding systems of table 0396, and words of the tables we read."""

from __future__ import annotations

from dataclasses import dataclass

from salus.formats.categories import BETWEEN, is_category
from salus.formats.hl7v2 import DELETED, unescape

SYSTEMS = {
    "LN": "LOINC",
    "LOINC": "LOINC",
    "2.16.840.1.113883.6.1": "LOINC",
    "SCT": "SNOMED",
    "SCT2": "SNOMED",
    "SNM": "SNOMED",
    "SNOMED": "SNOMED",
    "SNOMED-CT": "SNOMED",
    "2.16.840.1.113883.6.96": "SNOMED",
    "RXNORM": "RXNORM",
    "RXN": "RXNORM",
    "2.16.840.1.113883.6.88": "RXNORM",
    "ATC": "ATC",
    "WC": "ATC",
    "NDC": "NDC",
    "CVX": "CVX",
    "I10": "ICD10",
    "ICD10": "ICD10",
    "ICD-10": "ICD10",
    "I10C": "ICD10CM",
    "ICD10CM": "ICD10CM",
    "ICD-10-CM": "ICD10CM",
    "I10P": "ICD10PCS",
    "ICD10PCS": "ICD10PCS",
    "I9": "ICD9CM",
    "I9C": "ICD9CM",
    "I9CDX": "ICD9CM",
    "I9CP": "ICD9Proc",
    "ICD9": "ICD9CM",
    "ICD9CM": "ICD9CM",
    "C4": "CPT4",
    "CPT": "CPT4",
    "CPT4": "CPT4",
    "C5": "CPT5",
    "HCPCS": "HCPCS",
    "HPC": "HCPCS",
    "UCUM": "UCUM",
    "CDCREC": "CDCREC",
}
"""Names that senders give to a coding system, in capitals, and what the system is called on a timeline."""

PREFERRED = (
    "LOINC",
    "SNOMED",
    "RXNORM",
    "ATC",
    "NDC",
    "CVX",
    "ICD10CM",
    "ICD10",
    "ICD9CM",
    "ICD10PCS",
    "ICD9Proc",
    "CPT4",
    "HCPCS",
)
"""Of several codes for one thing the first of these is taken; then any named system; then a local one."""
LOCAL = "LOCAL"
ANSWER = ":"
"""Between system and code of an answer: ``LOINC//38892-6//SNOMED:260348001``."""
CANCELLED, ENDED, ORDERED = "CANCELLED", "END", "ORDER"
NOTE, VISIT, TRANSFER, ALLERGY, APPOINTMENT = "NOTE", "VISIT", "TRANSFER", "ALLERGY", "APPOINTMENT"
DISCHARGED_TO = "DISCHARGED_TO"


@dataclass(frozen=True, slots=True)
class Coding:
    """One code: its system on a timeline, the code itself and its words."""

    system: str
    code: str
    words: str

    @property
    def name(self) -> str:
        """The code as a timeline has it."""
        return f"{self.system}{BETWEEN}{self.code}"


def system_name(written: str) -> str:
    """What a timeline calls a coding system that a message names so.

    >>> [system_name(name) for name in ("LN", "HL70078", "99LAB", "L", "", "Roche//X")]
    ['LOINC', 'HL70078', '99LAB', 'LOCAL', 'LOCAL', 'LOCAL']
    """
    name = unescape(written).strip()
    known = SYSTEMS.get(name.upper())
    if known:
        return known
    return name if name != "L" and is_category(name) and ANSWER not in name else LOCAL


def read_coded(written: str) -> Coding | None:
    """The code to take of a coded element (CE, CWE); None where it has neither code nor word.

    >>> read_coded("K^Potassium^99LAB^2823-3^Potassium SerPl^LN").name
    'LOINC//2823-3'
    >>> read_coded("^Anaemia^").name, read_coded("^^"), read_coded('""')
    ('LOCAL//Anaemia', None, None)
    """
    first = written.split("~", 1)[0]
    if first in ("", DELETED):
        return None
    parts = first.split("^")
    found = [coding for start in (0, 3, 9) if (coding := _coding(parts[start : start + 3]))]
    return min(found, key=_rank) if found else _in_words(parts)


def _coding(parts: list[str]) -> Coding | None:
    code = unescape(parts[0]).strip() if parts else ""
    if not is_category(code):
        return None
    words = unescape(parts[1]).strip() if len(parts) > 1 else ""
    return Coding(system_name(parts[2] if len(parts) > 2 else ""), code, words)


def _in_words(parts: list[str]) -> Coding | None:
    """Without a code its words are one, where they can be."""
    for place in (1, 4, 8):
        words = unescape(parts[place]).strip() if len(parts) > place else ""
        if is_category(words):
            return Coding(LOCAL, words, words)
    return None


def _rank(coding: Coding) -> int:
    if coding.system in PREFERRED:
        return PREFERRED.index(coding.system)
    return len(PREFERRED) + (coding.system == LOCAL)


def answer_name(question: str, answer: Coding) -> str:
    """The code of an answer to a question.

    >>> answer_name("LOINC//38892-6", Coding("SNOMED", "260348001", "++"))
    'LOINC//38892-6//SNOMED:260348001'
    """
    return f"{question}{BETWEEN}{answer.system}{ANSWER}{answer.code}"


STATUS_KEPT = frozenset(("", "F", "C", "P", "A", "B", "S", "U", "V"))
"""OBX-11 of results that staff could see: final, corrected, preliminary, amended, partial."""
STATUS_CANCELLED = frozenset(("D", "W"))
"""OBX-11 that takes a result back: deleted, or sent for the wrong patient."""
STATUS_CORRECTED = frozenset(("C", "A", "D", "W"))
"""OBX-11 of what replaces an earlier result: known no sooner than the message that says so."""

NUMBERS = frozenset(("NM", "SN", "SI"))
CODED = frozenset(("CE", "CWE", "CNE", "CF", "IS", "ID"))
TEXTS = frozenset(("ST", "TX", "FT", "CQ", "NR", "TN", "XTN", "CX", "EI"))
STAMPS = frozenset(("DT", "TM", "TS", "DTM", "DR"))
ATTACHED = frozenset(("ED", "RP"))
"""OBX-2 of documents carried along or pointed to: they are never opened."""

ORDER_KINDS = {
    "": ORDERED,
    "NW": ORDERED,
    "OK": ORDERED,
    "RE": ORDERED,
    "XO": ORDERED,
    "XR": ORDERED,
    "RO": ORDERED,
    "PA": ORDERED,
    "SN": ORDERED,
    "SC": ORDERED,
    "NA": ORDERED,
    "CA": f"{CANCELLED}{BETWEEN}{ORDERED}",
    "CR": f"{CANCELLED}{BETWEEN}{ORDERED}",
    "OC": f"{CANCELLED}{BETWEEN}{ORDERED}",
    "UA": f"{CANCELLED}{BETWEEN}{ORDERED}",
    "DC": f"{ENDED}{BETWEEN}{ORDERED}",
    "DR": f"{ENDED}{BETWEEN}{ORDERED}",
    "OD": f"{ENDED}{BETWEEN}{ORDERED}",
    "DF": f"{ENDED}{BETWEEN}{ORDERED}",
}
"""ORC-1 and what it makes of an order; the others (requests, questions, links) change nothing of the patient's."""

SEXES = {"F": "F", "M": "M", "O": "OTHER", "U": "UNKNOWN", "A": "AMBIGUOUS", "N": "OTHER", "X": "OTHER"}
"""PID-8 by the names used on a timeline."""
