"""Whether a line of a policy can mean anything: what each format knows of its fields."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from salus.deidentify.omop_names import COLUMNS, is_date_column, is_id_column
from salus.deidentify.policy import Action
from salus.formats.r4_elements import Element, all_types, element, elements_of, is_complex, is_resource

DATE_KINDS = frozenset({"date", "dateTime", "instant"})
TIME_KINDS = DATE_KINDS | {"time"}
TEXT_KINDS = frozenset({"string", "markdown"})
NEVER = frozenset({"xhtml", "base64Binary"})
"""Kinds of values that no action lets pass: nobody can say what is in them."""
SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")
FIELD = re.compile(r"([1-9]\d?)(?:\.([1-9]\d?))?")
FIELDS = {
    "MSH": 25, "EVN": 7, "PID": 40, "PD1": 23, "NK1": 39, "PV1": 54, "PV2": 50, "AL1": 6, "DG1": 26, "PR1": 25,
    "OBR": 55, "OBX": 31, "ORC": 38, "NTE": 9, "MRG": 7, "RXA": 29, "RXE": 45, "RXO": 36, "RXR": 6, "SPM": 35,
    "TXA": 28, "SCH": 28, "TQ1": 14, "IN1": 55, "GT1": 57, "FT1": 44, "RXD": 35, "RXG": 33, "ROL": 14, "MSA": 8,
}  # fmt: skip
"""How many fields the segments have in version 2.8.2, of those checked; others are taken as they are named."""
DATES = {
    "MSH": {7}, "EVN": {2, 3, 6}, "PID": {7, 29, 33}, "PD1": {13, 17, 18, 21}, "PV1": {44, 45}, "DG1": {5, 19},
    "PV2": {8, 9, 14, 17, 26, 29, 33, 46, 48}, "AL1": {6}, "PR1": {5}, "OBR": {6, 7, 8, 14, 22, 36},
    "OBX": {12, 14, 19}, "ORC": {9, 15, 27}, "RXA": {3, 4, 16, 22}, "RXE": {18, 32}, "SPM": {17, 18, 19},
    "TXA": {4, 6, 7, 8}, "TQ1": {7, 8}, "RXD": {3}, "RXG": {3}, "NTE": {6, 7, 8}, "FT1": {4, 5},
}  # fmt: skip
"""Fields that hold a date or a time: they pass as such, or not."""
Z = "Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What is wrong with a line; ``known``: names that would be right instead of ``name``."""

    what: str
    name: str = ""
    known: Collection[str] = ()
    fix: str = ""


def check_fhir(kind: str, name: str, action: Action) -> Complaint | None:
    """Whether a type of R4 has this element, and the action can be done with it; without a name, of the type alone."""
    if not is_complex(kind):
        return Complaint(what=f"the FHIR type '{kind}'", name=kind, known=all_types())
    if kind == "Narrative":
        return _refused("a narrative cannot pass: nobody can say what is in it", "leave it out")
    if not name:
        return None
    found = element(kind, name)
    if found is None:
        return Complaint(what=f"the element '{name}' of {kind}", name=name, known=elements_of(kind))
    allowed = fhir_actions(kind, found)
    if action in allowed:
        return None
    return _refused(
        f"'{action}' is no action for {kind}.{name} ({', '.join(found.kinds)})",
        f"use one of: {', '.join(sorted(allowed))}",
    )


def fhir_actions(kind: str, found: Element) -> frozenset[Action]:
    """What can become of an element, by the kinds of values it may hold."""
    remove = {Action.REMOVE}
    if found.name == "reference" and kind == "Reference":
        return frozenset({Action.REFERENCE, *remove})
    if found.name == "id":
        return frozenset({Action.PSEUDONYM, *remove} if is_resource(kind) else remove)
    if found.is_choice:
        return frozenset({Action.KEEP, Action.DATE, *remove})
    one = found.kinds[0]
    if one in NEVER or one == "Narrative":
        return frozenset(remove)
    if one in TIME_KINDS:
        return frozenset({Action.DATE, *({Action.BIRTH_DATE} if one != "time" else set()), *remove})
    if one in TEXT_KINDS:
        return frozenset({Action.KEEP, Action.TEXT, Action.POSTCODE, Action.PSEUDONYM, *remove})
    if is_complex(one) or one == "Resource":
        return frozenset({Action.KEEP, *remove})
    return frozenset({Action.KEEP, Action.PSEUDONYM, *remove})


def check_extension(url: str, action: Action) -> Complaint | None:
    """Whether an extension may be named so."""
    if "://" not in url and not url.startswith("urn:"):
        return _refused(f"'{url}' is no address of an extension", "write its whole URL in quotes")
    return (
        None
        if action is Action.KEEP
        else _refused("an extension is kept, or not named", "write 'keep - why'")
    )


def check_omop(table: str, name: str, action: Action) -> Complaint | None:
    """Whether a table of OMOP 5.4 has this column, and the action can be done with it."""
    if table not in COLUMNS:
        return Complaint(what=f"the OMOP table '{table}'", name=table, known=tuple(COLUMNS))
    if not name:
        return None
    if name not in COLUMNS[table]:
        return Complaint(what=f"the column '{name}' of {table}", name=name, known=COLUMNS[table])
    of_patient = "person_id" in COLUMNS[table]
    if action is Action.REMOVE:
        return None
    if is_id_column(name):
        return (
            None
            if action is Action.PSEUDONYM
            else _refused(f"'{name}' is an id", "write 'pseudonym' or 'remove'")
        )
    if action is Action.PSEUDONYM:
        return _refused(f"'{name}' is no id: a number cannot stand for it", "write another action")
    if is_date_column(name) and of_patient:
        right = {Action.BIRTH_DATE} if "birth" in name else {Action.DATE}
        return (
            None if action in right else _refused(f"'{name}' is a date of a patient", f"write '{min(right)}'")
        )
    return _plain(name, action)


def check_hl7v2(segment: str, number: str, action: Action) -> Complaint | None:
    """Whether a segment can have this field, and the action can be done with it."""
    if not SEGMENT.fullmatch(segment) or (segment not in FIELDS and not segment.startswith(Z)):
        return Complaint(what=f"the segment '{segment}'", name=segment, known=tuple(FIELDS))
    found = FIELD.fullmatch(number)
    if found is None or int(found[1]) > FIELDS.get(segment, 99):
        return _refused(
            f"'{segment}-{number}' is no field of version 2",
            f"{segment} has fields 1 to {FIELDS.get(segment, 99)}; a component is written {segment}-3.1",
        )
    if action in (Action.REFERENCE, Action.AGE) or (
        action is Action.BY_TYPE and (segment, number) != ("OBX", "5")
    ):
        return _refused(f"'{action}' is no action for {segment}-{number}", "write another action")
    if int(found[1]) in DATES.get(segment, ()) and action not in (
        Action.DATE,
        Action.BIRTH_DATE,
        Action.REMOVE,
    ):
        return _refused(f"{segment}-{number} is a date", "write 'date', 'birth_date' or 'remove'")
    return None


def check_csv(name: str, action: Action, *, has_patient: bool) -> Complaint | None:
    """Whether an action can be done with a column of texts."""
    if action is Action.PSEUDONYM:
        return None
    if action is Action.DATE and not has_patient:
        return _refused(f"'{name}' is a date, and nothing says of which patient", "add 'patient: COLUMN'")
    return _plain(name, action)


def _plain(name: str, action: Action) -> Complaint | None:
    if action in (Action.REFERENCE, Action.CODED, Action.BY_TYPE):
        return _refused(f"'{action}' is no action for the column '{name}'", "write another action")
    return None


def _refused(what: str, fix: str) -> Complaint:
    return Complaint(what=what, fix=fix)
