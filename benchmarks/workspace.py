"""The workspace of a finished demo, page by page: how fast, how heavy, and what a browser finds wrong with it.

`python -m benchmarks.workspace --folder build/demo/cohort --check` ends with 1 where a number is missed. Without Node
and Chromium the rows have no value, which counts as missed.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import urlopen

from benchmarks.blocks import ROOT
from benchmarks.rows import Row, commit, is_met, machine
from benchmarks.tables import table

BROWSER = ROOT / "tests" / "browser"
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/")
MOST_MS, MOST_KB = 200.0, 300.0
SECONDS_TO_START = 60.0


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve ``folder`` as a user would, on a free port; gives the address."""
    command = [sys.executable, "-m", "salus", "serve", str(folder), "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = ADDRESS.search(server.stdout.readline())
            if found is None:
                raise RuntimeError("the workspace did not say where it listens")
            _wait_for(found.group())
            yield found.group()
        finally:
            server.terminate()


def _wait_for(address: str) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            with urlopen(address, timeout=5):
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def look(folder: Path) -> list[dict[str, Any]]:
    """Open every page in a browser at two widths and in two schemes; empty where there is no browser."""
    chromium, node = shutil.which("chromium"), shutil.which("node")
    if chromium is None or node is None or not (BROWSER / "node_modules").is_dir():
        return []
    with served(folder) as address, tempfile.TemporaryDirectory() as to:
        script = [node, "look.mjs", "--url", address, "--chromium", chromium, "--to", to]
        subprocess.run(script, cwd=BROWSER, check=True, stdout=subprocess.DEVNULL)
        views: list[dict[str, Any]] = json.loads((Path(to) / "look.json").read_text(encoding="utf-8"))[
            "pages"
        ]
    return views


def rows(folder: Path, *, seed: int, command: str = "make bench") -> list[Row]:
    """One row a promise of the workspace. ``folder``: a finished demo."""
    began = time.monotonic()
    views = look(folder)
    first = [view for view in views if view["path"] == "/"]
    measured = [
        ("slowest page, server time", _slowest(views), "ms", MOST_MS),
        ("first load without pictures", _most(first, "bytes", 1000), "kB", MOST_KB),
        ("heaviest page without pictures", _most(views, "bytes", 1000), "kB", MOST_KB),
        ("accessibility violations (axe-core)", _count(views, "violations"), "1", 0.0),
        ("console errors", _count(views, "console"), "1", 0.0),
        ("requests that left the host", _count(views, "elsewhere"), "1", 0.0),
        ("pages wider than the screen", _wide(views), "1", 0.0),
    ]
    made = machine()
    seconds = round(time.monotonic() - began, 2)
    return [
        Row(
            name=f"workspace: {name}",
            value=value,
            unit=unit,
            direction="min",
            target=target,
            met=is_met(value, "min", target),
            command=command,
            seed=seed,
            commit=commit(),
            hardware=made,
            seconds=seconds,
        )
        for name, value, unit, target in measured
    ]


def _most(views: list[dict[str, Any]], name: str, each: float = 1.0) -> float | None:
    """The greatest of a number over views; None where a view does not say it."""
    found = [view.get(name) for view in views]
    if not found or any(number is None for number in found):
        return None
    return round(max(float(number) for number in found if number is not None) / each, 1)


def _slowest(views: list[dict[str, Any]]) -> float | None:
    """Of each page the middle of its views (a busy machine delays single ones), of the pages the slowest."""
    pages: dict[str, list[float]] = {}
    for view in views:
        pages.setdefault(view["path"], []).append(
            float(view["timing"] if view["timing"] is not None else "nan")
        )
    return round(max(median(times) for times in pages.values()), 1) if pages else None


def _count(views: list[dict[str, Any]], name: str) -> float | None:
    return float(sum(len(view[name]) for view in views)) if views else None


def _wide(views: list[dict[str, Any]]) -> float | None:
    return float(sum(view["overflow"] > 0 for view in views)) if views else None


def main() -> None:
    """Look, print the rows, and end with 1 where one is missed and that was asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    found = rows(given.folder, seed=0, command="python -m benchmarks.workspace")
    print(table(found))
    sys.exit(given.check and not all(row.met for row in found))


if __name__ == "__main__":
    main()
