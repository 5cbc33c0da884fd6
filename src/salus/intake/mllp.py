"""The frames of MLLP in a stream of bytes, whatever comes in between: no input and no clock, only bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from salus.formats.hl7v2 import END, START
from salus.intake.hl7v2_messages import CUT_SHORT, TOO_LARGE

OUTSIDE = "bytes outside a frame"
ENDS = re.compile(rb"\x1c(?:\r|\n|(?=\x0b))")
BEGINS = re.compile(rb"\x0b(?=MSH|FHS|BHS)")
KEPT = 1 << 16
"""Bytes that are kept of what is too large to be a message."""
STEP = len(END) + 3


@dataclass(frozen=True, slots=True)
class Frame:
    """What was between a start and an end, or bytes that were no frame and why."""

    raw: bytes
    trouble: str = ""


@dataclass(slots=True)
class Framing:
    """Cuts a stream into frames. A frame larger than ``largest`` is given up, and nothing after it is read."""

    largest: int
    waiting: bytearray = field(default_factory=bytearray)
    inside: bool = False
    searched: int = 0
    given_up: bool = False

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes; give the frames that they end."""
        found: list[Frame] = []
        self.waiting += data
        while not self.given_up and (self._ended(found) if self.inside else self._begun(found)):
            continue
        if len(self.waiting) > self.largest:
            self.given_up = True
            found.append(Frame(bytes(self.waiting[:KEPT]), TOO_LARGE if self.inside else OUTSIDE))
            self.waiting.clear()
        return found

    @property
    def ends_but_for_a_return(self) -> bool:
        """Whether all that is missing is the carriage return after the end, which some senders forget."""
        return self.inside and self.waiting[-1:] == END[:1]

    def close(self) -> list[Frame]:
        """What is left when no more bytes come."""
        if self.ends_but_for_a_return:
            return self.feed(END[1:])
        left, inside = bytes(self.waiting), self.inside
        self.waiting.clear()
        self.inside, self.searched = False, 0
        if not left.strip(b" \t\r\n\x00") and not inside:
            return []
        return [Frame(left[:KEPT], CUT_SHORT if inside else OUTSIDE)]

    def _begun(self, found: list[Frame]) -> bool:
        start = self.waiting.find(START)
        if start < 0:
            if not self.waiting.strip(b" \t\r\n\x00"):
                self.waiting.clear()
            return False
        before = bytes(self.waiting[:start])
        if before.strip(b" \t\r\n\x00"):
            found.append(Frame(before[:KEPT], OUTSIDE))
        del self.waiting[: start + 1]
        self.inside, self.searched = True, 0
        return True

    def _ended(self, found: list[Frame]) -> bool:
        end = ENDS.search(self.waiting, self.searched)
        limit = end.start() if end else len(self.waiting)
        again = BEGINS.search(self.waiting, self.searched, limit)
        if again:
            found.append(Frame(bytes(self.waiting[: again.start()])[:KEPT], CUT_SHORT))
            del self.waiting[: again.end()]
            self.searched = 0
            return True
        if end is None:
            self.searched = max(0, len(self.waiting) - STEP)
            return False
        raw = bytes(self.waiting[: end.start()])
        del self.waiting[: end.end()]
        self.inside, self.searched = False, 0
        found.append(Frame(raw) if len(raw) <= self.largest else Frame(raw[:KEPT], TOO_LARGE))
        return True
