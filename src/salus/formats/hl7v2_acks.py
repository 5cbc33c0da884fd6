"""Acknowledgements of HL7 v2: which a sender asks for (original or enhanced mode), and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from salus.formats.hl7v2 import STANDARD, Delimiters, read_delimiters

NAME = "SALUS"


class Mode(StrEnum):
    """Who is answered: the application in original mode; in enhanced mode first the one who took the message."""

    ORIGINAL = "original"
    ENHANCED = "enhanced"


class Outcome(StrEnum):
    """What became of a message, by the second letter of its acknowledgement."""

    ACCEPTED = "A"
    ERROR = "E"
    REJECTED = "R"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message is not taken: an error to correct or a rejection, with the field and a number of table 0357."""

    outcome: Outcome
    field: str
    reason: str
    number: int


NUMBERS = {
    100: "Segment sequence error",
    101: "Required field missing",
    102: "Data type error",
    200: "Unsupported message type",
    203: "Unsupported version id",
    207: "Application internal error",
}
"""HL7 table 0357."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What an acknowledgement repeats of a message, as it is written there."""

    used: Delimiters = STANDARD
    sender: tuple[str, str] = ("", "")
    receiver: tuple[str, str] = ("", "")
    kind: str = ""
    trigger: str = ""
    control: str = ""
    processing: str = "P"
    version: str = ""
    accept: str = ""
    application: str = ""
    characters: str = ""

    @property
    def mode(self) -> Mode:
        """Enhanced where MSH-15 or MSH-16 says anything."""
        return Mode.ENHANCED if self.accept or self.application else Mode.ORIGINAL


def read_header(text: str) -> Header | None:
    """The header of a message in its own delimiters; None where it has none that can be read.

    >>> read_header("MSH|^~\\\\&|LAB|HOSP|||2026||ORU^R01|7|P|2.5.1|||AL|NE\\rPID|").mode
    <Mode.ENHANCED: 'enhanced'>
    """
    used = read_delimiters(text[:16]) if text.startswith("MSH") else None
    if used is None:
        return None
    fields = text.split("\r", 1)[0].split("\n", 1)[0].split(used.field)
    fields += [""] * (18 - len(fields))
    kind = fields[8].split(used.component) if used.component else [fields[8]]
    return Header(
        used=used,
        sender=(fields[2], fields[3]),
        receiver=(fields[4], fields[5]),
        kind=kind[0],
        trigger=kind[1] if len(kind) > 1 else "",
        control=fields[9],
        processing=fields[10] or "P",
        version=fields[11],
        accept=fields[14].strip(),
        application=fields[15].strip(),
        characters=fields[17],
    )


def _asks(condition: str, outcome: Outcome) -> bool:
    """Whether a condition of table 0155 asks for an answer."""
    good = outcome is Outcome.ACCEPTED
    return condition == "AL" or (condition == "SU" and good) or (condition == "ER" and not good)


def codes_to_send(header: Header, outcome: Outcome) -> tuple[str, ...]:
    """The acknowledgement codes to answer with, in order.

    >>> codes_to_send(Header(), Outcome.ERROR)
    ('AE',)
    >>> codes_to_send(Header(accept="AL", application="NE"), Outcome.ACCEPTED)
    ('CA',)
    >>> codes_to_send(Header(accept="ER", application="AL"), Outcome.ACCEPTED)
    ('AA',)
    """
    if header.mode is Mode.ORIGINAL:
        return (f"A{outcome}",)
    levels = (("C", header.accept), ("A", header.application))
    return tuple(f"{level}{outcome}" for level, condition in levels if _asks(condition, outcome))


def acknowledgement(
    header: Header, code: str, *, refusal: Refusal | None, now: datetime, control: str
) -> str:
    """The message that answers; a reason names a field, never what is in it."""
    used = header.used
    between, inside = used.field, used.component or "^"
    named = "".join((used.component, used.repetition, used.escape, used.subcomponent))
    kind = inside.join(part for part in ("ACK", header.trigger) if part)
    msh = [
        f"MSH{between}{named}",
        *(header.receiver if any(header.receiver) else (NAME, "")),
        *header.sender,
        now.astimezone(UTC).strftime("%Y%m%d%H%M%S+0000"),
        "",
        kind,
        control,
        header.processing,
        header.version or "2.5.1",
        *([""] * 5),
        header.characters,
    ]
    msa = ["MSA", code, header.control]
    segments = [between.join(msh).rstrip(between), between.join([*msa, refusal.reason] if refusal else msa)]
    if refusal:
        place = inside.join(_place(refusal.field))
        number = inside.join((str(refusal.number), NUMBERS[refusal.number], "HL70357"))
        segments.append(between.join(("ERR", "", place, number, "E")))
    return "\r".join(segments) + "\r"


def _place(field: str) -> tuple[str, ...]:
    """ERR-2: segment, its occurrence and the field."""
    segment, _, number = field.partition("-")
    return (segment, "1", number) if number else (segment, "1")
