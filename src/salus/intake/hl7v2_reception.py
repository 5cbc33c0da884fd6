"""Whether a message that arrives can be taken, and by what it is known when it comes again."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from salus.formats.hl7v2 import START, field_of
from salus.formats.hl7v2_acks import Header, Outcome, Refusal, read_header
from salus.formats.hl7v2_patient import patient_key
from salus.intake.hl7v2_messages import (
    NO_HEADER,
    NOT_DECODED,
    Message,
    NoMessage,
    read_message,
)

OF_PATIENTS = frozenset(("ADT", "ORU", "OUL", "ORM", "OMG", "OML", "OMP", "RDE", "RAS", "RDS", "MDM", "VXU"))
"""Messages that mean nothing without a patient. An appointment may be anybody's."""
ANSWER = "ACK"
HEAD = 1 << 12
"""Bytes in which a header ends."""
NO_FIELD = "a field that every message needs is empty"
OTHER_VERSION = "the version is not 2.x"
FRAMED_INSIDE = "the byte 0x0B, which begins a frame, stands inside the message"
WITHOUT_PATIENT = "no field names the patient by a number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message as it arrived: its header where it has one, why it is refused, and what it is known by."""

    raw: bytes
    header: Header | None
    refusal: Refusal | None
    key: bytes

    @property
    def is_answer(self) -> bool:
        """Whether it is itself an acknowledgement, which nobody acknowledges."""
        return self.header is not None and self.header.kind == ANSWER


def receive(raw: bytes) -> Received:
    """Judge one message by its bytes."""
    if START in raw:  # it would be taken for the next frame when the journal is read
        return refused(raw, FRAMED_INSIDE)
    found = read_message(raw)
    if isinstance(found, NoMessage):
        return Received(raw=raw, header=_header(raw), refusal=_unreadable(found), key=key_of(raw))
    key = key_of(raw, _identity(found.text))
    return Received(raw=raw, header=_header(raw), refusal=_refusal(found), key=key)


def refused(raw: bytes, reason: str) -> Received:
    """Bytes that are no message, whatever they hold."""
    refusal = Refusal(Outcome.REJECTED, "MSH", reason, 207)
    return Received(raw=raw, header=_header(raw), refusal=refusal, key=key_of(raw))


def _header(raw: bytes) -> Header | None:
    """The header byte for byte, for an answer repeats it in the message's own delimiters and character set."""
    return read_header(raw[:HEAD].lstrip(b"\xef\xbb\xbf \t\r\n").decode("latin-1"))


def key_of(raw: bytes, identity: tuple[str, str, str] | None = None) -> bytes:
    """What a message is known by: its sender, its control id and what it says below its header.

    Sent again it may have a new time in MSH-7; a control id that a sender uses twice for different messages is not
    the same message.
    """
    if identity is None:
        return blake2b(raw, digest_size=16).digest()
    sender, control, body = identity
    return blake2b(f"{sender}\r{control}\r{body}".encode(), digest_size=16).digest()


def _identity(text: str) -> tuple[str, str, str]:
    head, _, body = text.partition("\r")
    return f"{field_of(head, 3)}|{field_of(head, 4)}", field_of(head, 10), body


def _unreadable(found: NoMessage) -> Refusal:
    outcome = Outcome.ERROR if found.reason == NOT_DECODED else Outcome.REJECTED
    number = 100 if found.reason == NO_HEADER else 102
    return Refusal(outcome, found.column, found.reason, number)


def _refusal(message: Message) -> Refusal | None:
    head, *segments = message.text.split("\r")
    for number in (9, 10):
        if not field_of(head, number).strip():
            return Refusal(Outcome.REJECTED, f"MSH-{number}", NO_FIELD, 101)
    version = field_of(head, 12)
    if version and not version.startswith("2"):
        return Refusal(Outcome.REJECTED, "MSH-12", OTHER_VERSION, 203)
    if field_of(head, 9).split("^")[0] in OF_PATIENTS and not any(map(_names_patient, segments)):
        return Refusal(Outcome.ERROR, "PID-3", WITHOUT_PATIENT, 101)
    return None


def _names_patient(segment: str) -> bool:
    if not segment.startswith("PID|"):
        return False
    return patient_key(field_of(segment, 3), field_of(segment, 2), field_of(segment, 4)) is not None
