"""Fetch the encounters of Diabetes 130-US hospitals: the publisher's archive becomes a gzipped CSV and its list of ids.

The publisher gives no checksum. What can be checked is: the archive's own check sums, and that the table has the
columns that the example reads. The archive's sha256 is told, so that two people can see whether they have the same.
"""

from __future__ import annotations

import csv
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from salus.errors import FetchFailed
from salus.formats.read_source import read_source
from salus.intake.download import download, sha256_of
from salus.progress import Progress
from salus.workflows.examples import find_example
from salus.workflows.fetch_files import write_whole

PUBLISHER = "https://archive.ics.uci.edu/static/public/296/diabetes+130-us+hospitals+for+years+1999-2008.zip"
TABLE, IDS = "diabetic_data.csv", "IDs_mapping.csv"
LAYOUT = (f"{TABLE}.gz", IDS)
ARCHIVE = "diabetes130.zip"


def is_whole(folder: Path) -> bool:
    """Whether both files of the layout are there."""
    return all((folder / name).is_file() for name in LAYOUT)


def fetch_diabetes130(to: Path, *, url: str, progress: Progress) -> str:
    """Download, check and convert; says how many encounters there are and which archive it was."""
    archive = to / "download" / ARCHIVE
    download(url, archive, checksum=None, progress=progress)
    with progress.step("Converting the encounters"):
        table, ids = _members(archive)
        _check_columns(table, archive)
        write_whole(to / LAYOUT[1], [ids])
        write_whole(to / LAYOUT[0], [table])
    rows = len(table.splitlines()) - 1
    return (
        f"{rows:,} encounters; the publisher gives no checksum, the archive's sha256 is {sha256_of(archive)}"
    )


def _members(archive: Path) -> tuple[bytes, bytes]:
    """Both tables with plain line ends; an archive that is none is removed, so that the next run starts anew."""
    try:
        with zipfile.ZipFile(archive) as packed:
            named = {PurePosixPath(name).name: name for name in packed.namelist()}
            if missing := [name for name in (TABLE, IDS) if name not in named]:
                raise _unusable(archive, f"it does not hold {missing[0]}")
            table, ids = (packed.read(named[name]).replace(b"\r\n", b"\n") for name in (TABLE, IDS))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise _unusable(archive, "it is cut short, damaged or no zip archive") from error
    return table, ids


def _check_columns(table: bytes, archive: Path) -> None:
    """The table must have the columns, in the order, that the example's source.yaml reads."""
    declared = [
        column.name for one in read_source(find_example("clinic").source).tables for column in one.columns
    ]
    header = next(csv.reader([table.split(b"\n", 1)[0].decode("utf-8", "replace")]), [])
    if header != declared:
        raise _unusable(archive, f"{TABLE} has not the {len(declared)} columns that the example reads")


def _unusable(archive: Path, why: str) -> FetchFailed:
    archive.unlink(missing_ok=True)
    return FetchFailed(
        f"what was downloaded is not the publisher's archive: {why}",
        where=str(archive),
        fix="check the address (--url) and run the command again: it was removed and is fetched anew",
    )
