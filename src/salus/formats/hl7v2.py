"""The shape of an HL7 v2 message: delimiters, escapes, character sets, and what a batch is wrapped in."""

from __future__ import annotations

import re
from dataclasses import dataclass

SEGMENT_END = "\r"
START, END = b"\x0b", b"\x1c\r"
"""What MLLP puts before and after a message."""
WRAPPERS = ("FHS", "BHS", "BTS", "FTS")
"""Segments around the messages of a batch file."""
DELETED = '""'
"""A field that says: what was told before no longer holds. An empty field says nothing."""


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The characters that take a message apart, as MSH-1 and MSH-2 name them; empty where there is none."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"


STANDARD = Delimiters()
LETTERS = {"field": "F", "component": "S", "repetition": "R", "escape": "E", "subcomponent": "T"}
"""The letter that stands for each delimiter between two escape characters."""


def read_delimiters(head: str) -> Delimiters | None:
    r"""The delimiters named at the start of a message; None where they cannot be.

    >>> read_delimiters("MSH#*~!@#LAB").component
    '*'
    >>> read_delimiters("MSH||~||LAB") is None
    True
    """
    if len(head) < 5 or head[:3] not in ("MSH", *WRAPPERS):
        return None
    field = head[3]
    named = head[4:].partition(field)[0].split(SEGMENT_END)[0]
    used = field + named[:4]
    if not 1 <= len(named) <= 5 or len(set(used)) < len(used) or any(map(_cannot_delimit, used)):
        return None
    return Delimiters(*used, *[""] * (5 - len(used)))


def _cannot_delimit(character: str) -> bool:
    return character.isalnum() or character.isspace() or not character.isprintable()


def to_standard(text: str, used: Delimiters) -> str:
    r"""The same message with the standard delimiters; its own characters that are such are escaped.

    >>> to_standard("MSH#^~!&#A|B#C!F!D", read_delimiters("MSH#^~!&#"))
    'MSH|^~\\&|A\\F\\B|C#D'
    """
    if used == STANDARD:
        return text
    meant: dict[str, str] = {letter: getattr(used, name) for name, letter in LETTERS.items()}
    plain: dict[str, str] = {getattr(STANDARD, name): f"\\{letter}\\" for name, letter in LETTERS.items()}
    turned = plain | {getattr(used, name): getattr(STANDARD, name) for name in LETTERS if getattr(used, name)}
    single = "".join(map(re.escape, turned))
    escape = re.escape(used.escape)
    pattern = rf"{escape}([FSRET]){escape}|[{single}]" if used.escape else rf"()[{single}]"

    def standard(found: re.Match[str]) -> str:
        """What an escape means, or a single character, in standard delimiters."""
        character = meant.get(found.group(1) or "")
        return turned[found.group(0)] if character is None else plain.get(character, character)

    start = 4 + len(text[4:].partition(used.field)[0].split(SEGMENT_END)[0])
    return "MSH|^~\\&" + re.sub(pattern, standard, text[start:])


ESCAPED = re.compile(r"\\([A-Z.][^\\\r]{0,200})\\|\\([FSRETHN])\\")
BREAKS = ("br", "sp", "ce", "sk", "in", "ti", "fi", "nf")
STANDS_FOR = {"F": "|", "S": "^", "R": "~", "E": "\\", "T": "&", "H": "", "N": "", "P": "#"}


def unescape(text: str) -> str:
    r"""A text as a person reads it; an escape that means nothing stays as it is written.

    >>> unescape(r"5 \T\ 6\.br\next, C:\temp\x, \X41\ ")
    '5 & 6\nnext, C:\\temp\\x, A '
    """
    return ESCAPED.sub(_meant, text) if "\\" in text else text


def _meant(found: re.Match[str]) -> str:
    said = found.group(1) or found.group(2)
    if said in STANDS_FOR:
        return STANDS_FOR[said]
    if said[0] == "." and said[1:3] in BREAKS:
        return "\n" if said[1:3] in ("br", "sp", "ce") else " " if said[1:3] == "sk" else ""
    if said[0] == "X":
        return _hexadecimal(said[1:]) or found.group(0)
    return found.group(0)


def _hexadecimal(digits: str) -> str:
    """What the bytes say; empty where they say nothing that can be read."""
    try:
        said = bytes.fromhex(digits).decode()
    except ValueError:
        return ""
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in said)


CHARACTER_SETS = {
    "": "utf-8",
    "ASCII": "utf-8",
    "ISO IR6": "utf-8",
    **{f"8859/{part}": f"iso8859-{part}" for part in (*range(1, 12), 13, 14, 15, 16)},
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UNICODE UTF-16": "utf-16",
    "UNICODE UTF-32": "utf-32",
    "ISO IR14": "shift_jis",
    "ISO IR87": "iso2022_jp",
    "ISO IR159": "iso2022_jp_1",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
}
"""Codecs of HL7 table 0211. Plain ASCII is part of UTF-8, which many send under its name."""


def character_set(message: bytes) -> str | None:
    """The codec that MSH-18 names; None where it names none of table 0211.

    >>> character_set(b"MSH|^~" + b"|" * 16 + b"8859/1|")
    'iso8859-1'
    """
    head = message.split(b"\r", 1)[0].split(b"\n", 1)[0]
    fields = head.split(head[3:4], 18) if len(head) > 3 else []
    named = fields[17] if len(fields) > 17 else b""
    first = named.split(fields[1][1:2], 1)[0] if named and len(fields[1]) > 1 else named
    return CHARACTER_SETS.get(first.decode("ascii", "replace").strip().upper())


def decoded(message: bytes) -> str | None:
    """A message's text by MSH-18, or by the mark before it; None where its bytes cannot be read so."""
    for mark, codec in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if message.startswith(mark):
            return _text(message, codec)
    for start, codec in ((b"M\0S\0H\0", "utf-16-le"), (b"\0M\0S\0H", "utf-16-be")):
        if message.startswith(start):
            return _text(message, codec)
    if message.isascii():
        return message.decode("ascii")
    codec_named = character_set(message)
    return _text(message, codec_named) if codec_named else None


def _text(message: bytes, codec: str) -> str | None:
    try:
        return message.decode(codec)
    except (UnicodeDecodeError, UnicodeError):
        return None


def with_ends(text: str) -> str:
    r"""The message with one carriage return after each segment, as the standard has it.

    A line feed ends a segment only where another begins after it; else it is part of a text.

    >>> with_ends("MSH|\nPID|"), with_ends("MSH|\r\nPID|"), with_ends("MSH|\rNTE|a\nb\r")
    ('MSH|\rPID|', 'MSH|\rPID|', 'MSH|\rNTE|a\\.br\\b\r')
    """
    if "\n" not in text:
        return text
    ended = re.sub(rf"\n+(?=[A-Z][A-Z0-9]{{2}}{re.escape(text[3:4])})", "\r", text.replace("\r\n", "\r"))
    return ended.replace("\n", "\\.br\\")


def field_of(segment: str, number: int) -> str:
    """One field of a segment in standard delimiters, the empty text where it has none; MSH counts its separator.

    >>> field_of("MSH|^~|LAB|HOSP", 3), field_of("PID|1||P7", 3), field_of("PID|1", 30)
    ('LAB', 'P7', '')
    """
    parts = segment.split("|", number + 1)
    place = number - 1 if segment.startswith("MSH") else number
    return parts[place] if len(parts) > place else ""
