"""What a structured record says of who the patient is: a note about them is searched for exactly that first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

from salus.formats.hl7v2 import field_of, unescape
from salus.formats.hl7v2_patient import patient_key


@dataclass(frozen=True, slots=True)
class KnownPatient:
    """What identifies one patient, as the record writes it; it shows in no representation of the object.

    ``number`` is the patient's own id as the policy says: what ``Key.date_shift`` is given, so that a date in a note
    moves by the same days as the record. Every other text is one thing as written: a given name or a family name,
    a street line, a town, a postcode. ``birth_date`` is ISO and may be partial ("1950-03"); empty: not known.
    """

    number: str = field(default="", repr=False)
    names: tuple[str, ...] = field(default=(), repr=False)
    birth_date: str = field(default="", repr=False)
    addresses: tuple[str, ...] = field(default=(), repr=False)
    phones: tuple[str, ...] = field(default=(), repr=False)
    emails: tuple[str, ...] = field(default=(), repr=False)
    identifiers: tuple[str, ...] = field(default=(), repr=False)
    sex: str = field(default="", repr=False)

    def joined(self, other: KnownPatient) -> KnownPatient:
        """What two records of one patient say together; the first one's sex, birth date and number hold.

        >>> both = KnownPatient(names=("Mia",)).joined(KnownPatient(names=("Mia", "Roe"), sex="female"))
        >>> both.names, both.sex
        (('Mia', 'Roe'), 'female')
        """
        told: dict[str, str | tuple[str, ...]] = {}
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            told[each.name] = once((*mine, *theirs)) if isinstance(mine, tuple) else mine or theirs
        return KnownPatient(**told)  # type: ignore[arg-type]


NOBODY = KnownPatient()
"""Nothing is known of whom a text is about."""


def once(texts: Iterable[object]) -> tuple[str, ...]:
    """Texts that are not empty, each once, in their order."""
    cleaned = (text.strip() for text in texts if isinstance(text, str))
    return tuple(dict.fromkeys(text for text in cleaned if text))


def known_fhir_patient(resource: Mapping[str, object]) -> KnownPatient:
    """What a FHIR Patient says of who they are.

    >>> known_fhir_patient({"id": "7", "name": [{"family": "Roe", "given": ["Mia"]}], "gender": "female"}).names
    ('Roe', 'Mia')
    """
    names, telecoms = _parts(resource, "name"), _parts(resource, "telecom")
    people = [
        part for one in _parts(resource, "contact") for part in _parts({"name": [one.get("name")]}, "name")
    ]
    return KnownPatient(
        number=_text(resource.get("id")),
        names=once(text for one in (*names, *people) for text in _texts(one, ("family", "given", "text"))),
        birth_date=_text(resource.get("birthDate")),
        addresses=once(
            text
            for one in _parts(resource, "address")
            for text in _texts(one, ("line", "city", "district", "postalCode"))
        ),
        phones=once(
            one.get("value")
            for one in telecoms
            if one.get("system") in ("phone", "fax", "sms", "pager", None)
        ),
        emails=once(one.get("value") for one in telecoms if one.get("system") in ("email", "url")),
        identifiers=once((resource.get("id"), *(one.get("value") for one in _parts(resource, "identifier")))),
        sex=_text(resource.get("gender")),
    )


def known_pid(pid: str) -> KnownPatient:
    """What a PID segment in standard delimiters says of who they are.

    >>> known_pid("PID|1||7^^^HOSP^MR||ROE^MIA||19500301|F|||1 High St^^Ash^^12345").addresses
    ('1 High St', 'Ash', '12345')
    """
    key = patient_key(field_of(pid, 3), field_of(pid, 2), field_of(pid, 4))
    numbers = (
        *_first(pid, 2),
        *_first(pid, 3),
        *_first(pid, 4),
        *_first(pid, 18),
        *_first(pid, 19),
        *_first(pid, 20),
    )
    born, told = field_of(pid, 7), (4, 6, 8)
    parts = [born[start:end] for start, end in zip((0, *told), told, strict=False) if born[start:end]]
    contacts = [part for number in (13, 14) for one in _components(pid, number) for part in one]
    return KnownPatient(
        number=key.rpartition("|")[2] if key else "",
        names=once(part for number in (5, 6, 9) for one in _components(pid, number) for part in one[:3]),
        birth_date="-".join(parts) if born[:4].isdigit() else "",
        addresses=once(
            part for one in _components(pid, 11) for place, part in enumerate(one) if place in (0, 1, 2, 4, 8)
        ),
        phones=once(part for part in contacts if sum(map(str.isdigit, part)) >= 5),
        emails=once(part for part in contacts if "@" in part),
        identifiers=once(numbers),
        sex=field_of(pid, 8),
    )


def known_row(row: Mapping[str, object], roles: Mapping[str, str]) -> KnownPatient:
    """What the cells of a table say of who they are; ``roles``: columns by name, address, phone, email, identifier …

    >>> known_row({"fam": "Roe", "id": 7}, {"fam": "name", "id": "number"}).names
    ('Roe',)
    """
    told: dict[str, list[str]] = {}
    for column, role in roles.items():
        cell = row.get(column)
        if cell is not None and str(cell).strip():
            told.setdefault(role, []).append(str(cell))
    return KnownPatient(
        number=next(iter(told.get("number", ())), ""),
        names=once(told.get("name", ())),
        birth_date=next(iter(told.get("birth_date", ())), "")[:10],
        addresses=once(told.get("address", ())),
        phones=once(told.get("phone", ())),
        emails=once(told.get("email", ())),
        identifiers=once((*told.get("number", ()), *told.get("identifier", ()))),
        sex=next(iter(told.get("sex", ())), ""),
    )


OMOP_PERSON = {
    "person_id": "number",
    "person_source_value": "identifier",
    "birth_datetime": "birth_date",
    "gender_source_value": "sex",
    "address_1": "address",
    "address_2": "address",
    "city": "address",
    "county": "address",
    "zip": "address",
}
"""What the columns of ``person`` and of its ``location`` say of who somebody is."""


def _parts(resource: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    told = resource.get(name)
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _texts(one: Mapping[str, object], names: tuple[str, ...]) -> list[object]:
    found: list[object] = []
    for name in names:
        told = one.get(name)
        found += told if isinstance(told, list) else [told]
    return found


def _text(told: object) -> str:
    return told if isinstance(told, str) else ""


def _components(segment: str, number: int) -> list[list[str]]:
    """The repetitions of a field, each taken apart into its components and their parts."""
    return [
        [unescape(part) for component in one.split("^") for part in component.split("&")[:1]]
        for one in field_of(segment, number).split("~")
        if one
    ]


def _first(segment: str, number: int) -> list[str]:
    return [one[0] for one in _components(segment, number) if one]
