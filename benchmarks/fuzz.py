"""`make fuzz`: Atheris looks for bytes that break a reader, guided by which lines they reach; what breaks one is kept.

Each reader runs in a process of its own. A case that breaks it lies in `tests/attack/cases/READER/` afterwards: mend
the reader, keep the case (with nothing of a real patient in it), and the tests replay it for good. First
`pip install 'salus[fuzz]'`.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LONGEST = 4096


def main() -> None:
    """Fuzz all readers, or those named, one after another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("readers", nargs="*", help="default: all")
    parser.add_argument("--seconds", type=int, default=60, help="for each reader")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        _fuzz(given.readers[0], given.seconds)
    readers = importlib.import_module("benchmarks.fuzzed")
    broken = [
        name
        for name in given.readers or readers.READERS
        if not _in_a_process(name, given.seconds, readers.CASES)
    ]
    print(f"{len(broken)} readers broke" + "".join(f"\n  {name}" for name in broken))
    sys.exit(bool(broken))


def _in_a_process(name: str, seconds: int, cases: Path) -> bool:
    words = [sys.executable, "-m", "benchmarks.fuzz", name, "--alone", f"--seconds={seconds}"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    said = done.stdout.splitlines()
    tried = next((line for line in reversed(said) if line.startswith(("Done ", "#"))), "nothing was tried")
    print(f"{name}: {tried.strip()}", flush=True)
    if done.returncode:
        print("\n".join(said[-40:]), f"\nthe case lies in {cases / name}", flush=True)
    return not done.returncode


def _fuzz(name: str, seconds: int) -> None:
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["salus"]):
        readers = importlib.import_module("benchmarks.fuzzed")
    kept = readers.CASES / name
    kept.mkdir(exist_ok=True)
    corpus = Path(tempfile.mkdtemp())
    for case in readers.cases_of(name):
        shutil.copy(case, corpus)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-artifact_prefix={kept}/",
        "-timeout=20",
    ]
    atheris.Setup([sys.argv[0], str(corpus), *options], readers.READERS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
