"""Fetch the Challenge 2012 stays: the publisher's archives become one gzipped CSV a set and a CSV of outcomes."""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from salus.errors import ChecksumWrong, FetchFailed
from salus.intake.download import download, read_text
from salus.progress import Progress
from salus.workflows.fetch_files import write_whole

PUBLISHER = "https://physionet.org/files/challenge-2012/1.0.0/"
CHECKSUMS = "SHA256SUMS.txt"
SETS = ("a", "b")
LAYOUT = ("set-a.csv.gz", "set-b.csv.gz", "outcomes-a.csv", "outcomes-b.csv")
STAY_HEADER = "Time,Parameter,Value"


def is_whole(folder: Path) -> bool:
    """Whether all four files of the layout are there."""
    return all((folder / name).is_file() for name in LAYOUT)


def fetch_icu2012(to: Path, *, url: str, progress: Progress) -> str:
    """Download, verify and convert both sets; finished files are not fetched again. Says what was checked."""
    base = url if url.endswith("/") else url + "/"
    known = _checksums(base)
    kept = to / "download"
    for letter in SETS:
        for name in (f"set-{letter}.tar.gz", f"Outcomes-{letter}.txt"):
            download(base + name, kept / name, checksum=known[name], progress=progress)
    for letter in SETS:
        archive = kept / f"set-{letter}.tar.gz"
        with progress.step(f"Converting set {letter.upper()}"):
            write_whole(to / f"set-{letter}.csv.gz", _stays_as_csv(archive))
            write_whole(to / f"outcomes-{letter}.csv", [(kept / f"Outcomes-{letter}.txt").read_bytes()])
    return "checked against the publisher's list of checksums"


def _checksums(base: str) -> dict[str, str]:
    """The publisher's own list of sha256 sums."""
    lines = (line.split() for line in read_text(base + CHECKSUMS).splitlines())
    known = {
        pair[1].removeprefix("./").removeprefix("*"): pair[0].lower() for pair in lines if len(pair) == 2
    }
    for name in (
        f"{kind}-{letter}.{end}" for letter in SETS for kind, end in (("set", "tar.gz"), ("Outcomes", "txt"))
    ):
        if name not in known:
            raise ChecksumWrong(
                f"the publisher's list has no checksum of '{name}'",
                where=base + CHECKSUMS,
                fix="check the address (--url)",
            )
    return known


def _stays_as_csv(archive: Path) -> Iterator[bytes]:
    """One text a stay, with the stay's id before each line, in order of id."""
    yield f"RecordID,{STAY_HEADER}\n".encode()
    try:
        with tarfile.open(archive) as tar:
            stays = {
                int(found[1]): member
                for member in tar.getmembers()
                if member.isfile() and (found := re.search(r"(?:^|/)(\d+)\.txt$", member.name))
            }
            if not stays:
                raise _not_stays(archive, "it holds no stay")
            for stay in sorted(stays):
                file = tar.extractfile(stays[stay])
                header, _, rows = (file.read().decode() if file else "").replace("\r\n", "\n").partition("\n")
                if header != STAY_HEADER:
                    raise _not_stays(archive, f"a stay does not begin with '{STAY_HEADER}'")
                lines = rows.rstrip("\n")
                yield (
                    f"{stay},{lines}\n".replace("\n", f"\n{stay},").removesuffix(f"{stay},").encode()
                    if lines
                    else b""
                )
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise _not_stays(archive, "it is cut short or no archive") from error


def _not_stays(archive: Path, why: str) -> FetchFailed:
    return FetchFailed(
        f"'{archive.name}' is not an archive of stays: {why}",
        where=str(archive),
        fix="delete it and run the command again",
    )
