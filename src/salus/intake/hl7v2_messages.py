"""The messages of a file: framed as MLLP frames them, wrapped in a batch, or one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from salus.formats.hl7v2 import END, START, WRAPPERS, decoded, read_delimiters, to_standard, with_ends

BLOCK = 3 << 22
"""Bytes read at once."""
LARGEST_MESSAGE = 1 << 24
"""A message of more bytes is no message: a document that somebody attached, or a frame that never ends."""
NO_HEADER = "it does not begin with MSH"
NO_DELIMITERS = "MSH-1 and MSH-2 name no delimiters that can be told apart"
NOT_DECODED = "its bytes are not in the character set of MSH-18 (where it names none: UTF-8)"
CUT_SHORT = "the frame is cut short: its end is missing"
TOO_LARGE = "it is larger than a message may be"
WRONG_COUNT = "the trailer counts other messages than the batch holds"
STRAY = "\x0b\x1c\x00\x1a"
"""What frames and old systems leave behind, and no message holds."""
BLANK = b" \t\r\n\x00\x1a\x0b\x1c"
MARK = b"\xef\xbb\xbf"


class Message(NamedTuple):
    """One message in standard delimiters, its segments parted by carriage returns."""

    line: int
    text: str


class NoMessage(NamedTuple):
    """Bytes that are no message: the line they begin at, the field that is wrong and the reason."""

    line: int
    column: str
    reason: str


Found = Message | NoMessage


class Chunk(NamedTuple):
    """Whole messages as bytes, or bytes that are none and why."""

    raw: bytes
    framed: bool
    trouble: str = ""


def read_message(raw: bytes, line: int = 1) -> Found:
    """One message from its bytes, whatever its delimiters, line ends and character set."""
    text = decoded(raw)
    if text is None:
        return NoMessage(line, "MSH-18", NOT_DECODED)
    text = with_ends(text.lstrip("\ufeff\x0b\x1c\x00\x1a\r\n \t").rstrip(STRAY + "\r\n"))
    if text.startswith("MSH|^~\\&|"):
        return Message(line, text)
    if not text.startswith("MSH"):
        return NoMessage(line, "MSH", NO_HEADER)
    used = read_delimiters(text[:16])
    return Message(line, to_standard(text, used)) if used else NoMessage(line, "MSH-2", NO_DELIMITERS)


def chunks_of(stream: BinaryIO) -> Iterator[Chunk]:
    """The bytes of a file in chunks of whole messages, holding no more than a block and a message."""
    waiting = stream.read(BLOCK)
    if waiting[:2] in (b"\xff\xfe", b"\xfe\xff"):
        waiting = (waiting + stream.read()).decode("utf-16", "replace").encode()
    waiting = waiting.removeprefix(MARK)
    framed = waiting.lstrip(b" \t\r\n")[:1] == START
    while block := stream.read(BLOCK):
        cut = _last_whole(waiting, framed)
        if cut:
            yield Chunk(waiting[:cut], framed)
        waiting = waiting[cut:] + block
        if len(waiting) > LARGEST_MESSAGE + BLOCK and not _last_whole(waiting, framed):
            yield Chunk(waiting, framed, TOO_LARGE)
            waiting = b""
    whole = _last_whole(waiting, framed) if framed else len(waiting)
    yield Chunk(waiting[:whole], framed)
    if waiting[whole:].strip(BLANK):
        yield Chunk(waiting[whole:], framed, CUT_SHORT)


def _last_whole(waiting: bytes, framed: bool) -> int:
    """Where the last message that is surely whole ends."""
    if framed:
        return waiting.rfind(END) + len(END) if END in waiting else 0
    return max(waiting.rfind(b"\rMSH"), waiting.rfind(b"\nMSH")) + 1


@dataclass(slots=True)
class Counting:
    """Where a file is being read: the next line, and the messages since the batch began."""

    line: int = 1
    in_batch: int = 0


def messages_in(chunk: Chunk, place: Counting) -> Iterator[Found]:
    """Each message of a chunk, or why it is none; ``place`` moves on."""
    for raw, trouble in _pieces(chunk):
        body = raw.lstrip(BLANK)
        start = place.line + _ends(raw[: len(raw) - len(body)])
        place.line += _ends(raw)
        if trouble or len(body) > LARGEST_MESSAGE:
            yield NoMessage(start, "MSH", trouble or TOO_LARGE)
        elif body and body[:3].decode("latin-1") not in WRAPPERS:
            place.in_batch += 1
            yield read_message(body, start)
        told = _told_count(body)
        if told is not None and told != place.in_batch:
            yield NoMessage(place.line, "BTS-1", WRONG_COUNT)
        if told is not None:
            place.in_batch = 0


def messages_of(stream: BinaryIO) -> Iterator[Found]:
    """Every message of a file, in order."""
    place = Counting()
    for chunk in chunks_of(stream):
        yield from messages_in(chunk, place)


def _ends(raw: bytes) -> int:
    return raw.count(b"\r") + raw.count(b"\n") - raw.count(b"\r\n")


def _told_count(body: bytes) -> int | None:
    """What a batch trailer says of how many messages there were."""
    for line in body.replace(b"\n", b"\r").split(b"\r") if b"BTS" in body else ():
        if line[:3] == b"BTS":
            told = line.split(line[3:4] or b"|")[1:2]
            return int(told[0]) if told and told[0].isdigit() and len(told[0]) < 10 else None
    return None


def _pieces(chunk: Chunk) -> Iterator[tuple[bytes, str]]:
    """Bytes from the start of one message to that of the next, and what is wrong with them."""
    if chunk.trouble:
        yield chunk.raw, chunk.trouble
    elif chunk.framed:
        for part in chunk.raw.split(END):
            yield from _in_frame(part + b"\r")
    else:
        ended = chunk.raw.replace(b"\r\n", b"\r")
        for part in _parted([ended], b"\r"):
            yield from ((piece, "") for piece in _parted([part], b"\n"))


def _in_frame(part: bytes) -> Iterator[tuple[bytes, str]]:
    """One frame. A start inside it means that what came before was cut short."""
    before, _, frame = part.rpartition(START)
    if before.strip(BLANK):
        yield before, CUT_SHORT
        before = b""
    yield before + frame, ""


def _parted(contents: Iterable[bytes], end: bytes) -> Iterator[bytes]:
    for content in contents:
        *parts, last = content.split(end + b"MSH")
        start = b""
        for part in parts:
            yield start + part + end
            start = b"MSH"
        yield start + last
