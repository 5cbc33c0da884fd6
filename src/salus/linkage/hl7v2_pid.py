"""Who the PID segment of an HL7 v2 message is about."""

from __future__ import annotations

from datetime import date

from salus.formats.hl7v2 import DELETED, field_of, unescape
from salus.formats.hl7v2_patient import patient_key
from salus.linkage.fhir_patient import Numbering, Told
from salus.linkage.identity import Identity

SOCIAL_SECURITY = "SS"
"""The authority of the number in PID-19, and of numbers in PID-3 that name their type and nobody who gave them."""
MAIDEN = ("M", "MAIDEN")
OF_A_VISIT = ("VN", "AN")


def read_pid(message: str, system: str, number: Numbering) -> Told | None:
    """Who a message is about, and when it was said; None: it has no PID. Raises ValueError where PID names nobody."""
    segments = message.split("\r")
    pid = next((one for one in segments if one.startswith("PID|")), None)
    if pid is None:
        return None
    key = patient_key(field_of(pid, 3), field_of(pid, 2), field_of(pid, 4))
    subject = number(key) if key else None
    if key is None or subject is None:
        raise ValueError("a PID without a patient's number")
    names = [one.split("^") for one in _said(pid, 5).split("~") if one]
    born = [one for one in names if _part(one, 6) in MAIDEN]
    name = next((one for one in names if one not in born), [])
    address = _said(pid, 11).split("~")[0].split("^")
    phone = (_said(pid, 13) or _said(pid, 14)).split("~")[0].split("^")
    return field_of(segments[0], 7), Identity(
        system=system,
        subject=subject,
        id=key.rpartition("|")[2],
        given=" ".join(filter(None, (_part(name, 1), _part(name, 2)))),
        family=_part(name, 0).split("&")[0],
        former=_part(born[0], 0).split("&")[0] if born else "",
        birth_date=_day(_said(pid, 7)),
        sex=_said(pid, 8) if _said(pid, 8) in ("M", "F", "O") else "",
        street=_part(address, 0).split("&")[0],
        postcode=_part(address, 4),
        phone=_part(phone, 0) or "".join((_part(phone, 5), _part(phone, 6))),
        identifiers=_identifiers(pid),
    )


def _said(pid: str, place: int) -> str:
    text = field_of(pid, place)
    return "" if text == DELETED else text


def _part(parts: list[str], place: int) -> str:
    return unescape(parts[place]).strip() if place < len(parts) else ""


def _identifiers(pid: str) -> tuple[str, ...]:
    found = []
    for one in _said(pid, 3).split("~"):
        parts = one.split("^")
        authority = next((part for part in _part(parts, 3).split("&") if part), _part(parts, 4))
        if _part(parts, 0) and authority and _part(parts, 4) not in OF_A_VISIT:
            found.append(f"{authority}|{_part(parts, 0)}")
    if number := _said(pid, 19).split("^")[0].strip():
        found.append(f"{SOCIAL_SECURITY}|{number}")
    return tuple(dict.fromkeys(found))


def _day(text: str) -> date | None:
    """A day as 19831009…; None where less is told.

    >>> _day("198310091230"), _day("1983")
    (datetime.date(1983, 10, 9), None)
    """
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8])) if text[:8].isdigit() else None
    except ValueError:
        return None
