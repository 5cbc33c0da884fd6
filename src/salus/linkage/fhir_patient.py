"""Who a FHIR Patient is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import TypeVar

import msgspec

from salus.linkage.identity import Identity

SEXES = {"male": "M", "female": "F", "other": "O"}
FORMER = ("maiden", "old")
NOT_THEIRS = ("anonymous", "temp", "nickname")


class _Name(msgspec.Struct):
    use: str = ""
    family: str = ""
    given: list[str | None] = []
    text: str = ""


class _Identifier(msgspec.Struct):
    use: str = ""
    system: str = ""
    value: str = ""


class _Point(msgspec.Struct):
    system: str = ""
    use: str = ""
    value: str = ""


class _Address(msgspec.Struct):
    use: str = ""
    line: list[str | None] = []
    postalCode: str = ""


class _Meta(msgspec.Struct):
    lastUpdated: str = ""


class _Patient(msgspec.Struct):
    resourceType: str = ""
    id: str = ""
    meta: _Meta | None = None
    name: list[_Name] = []
    identifier: list[_Identifier] = []
    telecom: list[_Point] = []
    address: list[_Address] = []
    gender: str = ""
    birthDate: str = ""


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw(b"null")


class _Bundle(msgspec.Struct):
    resourceType: str = ""
    entry: list[_Entry] = []


PATIENT, BUNDLE = msgspec.json.Decoder(_Patient), msgspec.json.Decoder(_Bundle)
T = TypeVar("T", _Name, _Address, _Point)
Numbering = Callable[[str], int | None]
Told = tuple[str, Identity]
"""When it was told, as text that sorts by time, and who it is."""


def is_patient(raw: bytes) -> bool:
    """Whether a line may hold a Patient: what surely does not is not parsed."""
    return b'"Patient"' in raw


def read_patient(raw: bytes, system: str, number: Numbering) -> Told | None:
    """A Patient of one line; None: it is another resource. Raises ValueError where it is no JSON or has no id."""
    patient = PATIENT.decode(raw)
    if patient.resourceType != "Patient":
        return None
    subject = number(f"Patient/{patient.id}") if patient.id else None
    if subject is None:
        raise ValueError("a Patient without an id")
    name = _best([one for one in patient.name if one.use not in (*FORMER, *NOT_THEIRS)], "official")
    former = next((one.family for one in patient.name if one.use in FORMER), "")
    address = _best([one for one in patient.address if one.use != "old"], "home")
    phones = [one for one in patient.telecom if one.system == "phone" and one.use != "old"]
    phone = _best(phones, "mobile")
    return (patient.meta.lastUpdated if patient.meta else ""), Identity(
        system=system,
        subject=subject,
        id=patient.id,
        given=" ".join(filter(None, name.given)) if name else "",
        family=name.family if name else "",
        former=former,
        birth_date=whole_day(patient.birthDate),
        sex=SEXES.get(patient.gender, ""),
        street=next(filter(None, address.line), "") if address else "",
        postcode=address.postalCode if address else "",
        phone=phone.value if phone else "",
        identifiers=tuple(
            f"{one.system}|{one.value}"
            for one in patient.identifier
            if one.system and one.value and one.use not in ("temp", "old")
        ),
    )


def bundle_resources(raw: bytes) -> Iterable[bytes]:
    """The resources of a Bundle, or the one resource that it is. Raises ValueError where it is no JSON."""
    bundle = BUNDLE.decode(raw)
    return [bytes(one.resource) for one in bundle.entry] if bundle.resourceType == "Bundle" else [raw]


def whole_day(text: str) -> date | None:
    """A birth date; None where only a year or month is told, for half a date is no evidence.

    >>> whole_day("1983-10-09"), whole_day("1983-10")
    (datetime.date(1983, 10, 9), None)
    """
    try:
        return date.fromisoformat(text[:10]) if len(text) >= 10 else None
    except ValueError:
        return None


def _best(found: list[T], wanted: str) -> T | None:
    return next((one for one in found if one.use == wanted), found[0] if found else None)
