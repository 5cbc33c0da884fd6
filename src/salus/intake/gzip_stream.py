"""A gzip file as a stream that gives all it can before it says that it is cut short."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

from isal import igzip_lib, isal_zlib

PIECE = 1 << 18
BROKEN: tuple[type[Exception], ...] = (EOFError, igzip_lib.IsalError)  # type: ignore[assignment]
GZIP = 16 + zlib.MAX_WBITS


class GzipStream(io.RawIOBase):
    """Reads one gzip member after another (RFC 1952, 2.2).

    Raises EOFError where the file ends inside a member, and isal_zlib's error where it is damaged, but only once what
    was unpacked before has been given.
    """

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb", buffering=0)
        self.member = isal_zlib.decompressobj(wbits=GZIP)
        self.packed, self.began = b"", False
        self.trouble: Exception | None = None

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, into: object) -> int:
        """Unpack up to as many bytes as ``into`` holds; 0 at the end."""
        with memoryview(into) as whole, whole.cast("B") as view:  # type: ignore[arg-type]
            filled = self._fill(view)
        if not filled and self.trouble is not None:
            raise self.trouble
        return filled

    def _fill(self, view: memoryview) -> int:
        filled = 0
        while filled < len(view) and self.trouble is None:
            try:
                some = self._some(len(view) - filled)
            except BROKEN as error:
                self.trouble = error
                break
            if not some:
                break
            view[filled : filled + len(some)] = some
            filled += len(some)
        return filled

    def _some(self, most: int) -> bytes:
        """The next bytes, at least one; none at the end."""
        while True:
            if self.member.eof:
                self.packed = self.member.unused_data
                self.member, self.began = isal_zlib.decompressobj(wbits=GZIP), False
            elif self.began and not self.packed:  # what is unpacked already may wait inside
                if held := bytes(self.member.decompress(b"", most)):
                    return held
                if self.member.eof:
                    continue
            if not self._more():
                return b""
            self.began = True
            some = bytes(self.member.decompress(self.packed, most))
            self.packed = self.member.unconsumed_tail
            if some:
                return some

    def _more(self) -> bool:
        """See that there are packed bytes; between members zeros are passed over. Raises EOFError inside a member."""
        while True:
            if not self.began:
                self.packed = self.packed.lstrip(b"\0")
            if self.packed:
                return True
            self.packed = self.file.read(PIECE) or b""
            if not self.packed:
                if self.began:
                    raise EOFError("the file is truncated inside a gzip member")
                return False

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()
        super().close()
