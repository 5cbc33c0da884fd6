"""Do the attacks find what is there, nothing where nothing is, and in time? On the cohort, without any model.

A copy of 10,000 training patients must be caught by every attack, other real patients of the same county by none, and
each attack must end within five minutes on 10,000 synthetic against 10,000 real patients.
Run: `python -m benchmarks.privacy_attacks --timeline DIR`, a timeline of the cohort; made where it is not there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.blocks import ROOT
from benchmarks.rows import Row, commit, is_met, machine
from salus.errors import HoldoutLeaked, TrainingCopied, VocabulariesDisjoint
from salus.findings import Finding, read_bundle
from salus.progress import QUIET
from salus.timeline.store import read_codes, read_settings, read_timeline, write_timeline
from salus.workflows.attack import EVIDENCE, NUMBERS_FILE, AttackChoices, attack
from salus.workflows.attack_material import Target
from salus.workflows.fetch import fetch
from salus.workflows.ingest import ingest

COMMAND = "make bench-privacy"
SEED = 1
SYNTHETIC, LIMIT_SECONDS = 10_000, 300.0
CAUGHT = 0.5
RISKS = (
    "singling_univariate",
    "singling_multivariate",
    "linkability",
    "inference",
    "copies",
    "near_copies",
    "runs",
)
FOLDER = ROOT / "build" / "bench" / "privacy_attacks"


def rows(folder: Path = FOLDER, timeline: Path | None = None) -> list[Row]:
    """Seconds of each attack, what it finds in a copy and in strangers, and what is refused."""
    real = timeline or _cohort(folder)
    copy, strangers, rest = _populations(real, folder)
    made = []
    seconds, found, loud = _attacked(copy, real, folder / "found-copy")
    made += [_seconds(name, spent) for name, spent in seconds.items()]
    made.append(_truth("a copy of the training set ends with SAL-464", loud))
    made += [_caught(found, f"privacy.{name}_risk", CAUGHT) for name in RISKS]
    made += [_caught(found, f"privacy.{name}_auc", 0.5) for name in ("density", "nearest")]
    _, found, loud = _attacked(strangers, rest, folder / "found-strangers")
    made.append(_truth("other patients of the county end without SAL-464", not loud))
    made += [_free(found, f"privacy.{name}_risk", 0.0) for name in RISKS]
    made += [_free(found, f"privacy.{name}_auc", 0.5) for name in ("density", "nearest")]
    return [*made, *_refusals(real, copy, folder)]


def _cohort(folder: Path) -> Path:
    """The cohort as a timeline, fetched and read where it is not there yet."""
    timeline = folder / "timeline"
    if not timeline.exists():
        fetch("cohort", folder / "cohort", progress=QUIET)
        source = ROOT / "examples" / "cohort" / "source.yaml"
        ingest(source, timeline, inputs=folder / "cohort", progress=QUIET)
    return timeline


def _populations(real: Path, folder: Path) -> tuple[Path, Path, Path]:
    """10,000 training patients; half of them as strangers; and the timeline without that half."""
    events = read_timeline(real)
    train = events.filter(pl.col("split") == "train")
    people = np.random.default_rng(SEED).permutation(train["subject_id"].unique().sort().to_numpy())
    half = people[: len(people) // 2].tolist()
    copy = train.filter(pl.col("subject_id").is_in(people[:SYNTHETIC].tolist()))
    strangers = train.filter(pl.col("subject_id").is_in(half))
    rest = events.filter(~pl.col("subject_id").is_in(half))
    return (
        _put(folder / "copy", copy, real, synthetic=True),
        _put(folder / "strangers", strangers, real, synthetic=True),
        _put(folder / "rest", rest, real, synthetic=False),
    )


def _put(folder: Path, events: pl.DataFrame, like: Path, *, synthetic: bool) -> Path:
    settings = replace(read_settings(like), synthetic=synthetic)
    write_timeline(folder, events, codes=read_codes(like), settings=settings)
    return folder


def _attacked(what: Path, real: Path, to: Path) -> tuple[dict[str, float], Sequence[Finding], bool]:
    """Seconds by attack, the findings, and whether it ended with the error about copies."""
    loud = False
    try:
        attack(Target(what=what, real=real), to, choices=AttackChoices(seed=SEED), made=datetime.now(UTC))
    except TrainingCopied:
        loud = True
    numbers = json.loads((to / NUMBERS_FILE).read_text(encoding="utf-8"))
    return dict(numbers["seconds"]), read_bundle(to / EVIDENCE).findings, loud


def _refusals(real: Path, copy: Path, folder: Path) -> list[Row]:
    """A hold-out that was trained on, and codes nobody has."""
    events = read_timeline(real)
    again = events.filter(pl.col("split") == "train")
    some = again["subject_id"].unique().sort().head(100).to_list()
    more = int(events["subject_id"].max() or 0)  # type: ignore[arg-type]
    leaked = again.filter(pl.col("subject_id").is_in(some)).with_columns(
        pl.col("subject_id") + more, split=pl.lit("held_out")
    )
    foreign = read_timeline(copy).with_columns(code=pl.lit("OTHER//") + pl.col("code"))
    codes = read_codes(copy).with_columns(code=pl.lit("OTHER//") + pl.col("code"))
    settings = replace(read_settings(copy), synthetic=True, anchor=None)
    write_timeline(folder / "foreign", foreign, codes=codes, settings=settings)
    held = _put(folder / "leaked", pl.concat([events, leaked]), real, synthetic=False)
    return [
        _truth("100 training patients among the held out are refused", _refused(copy, held, HoldoutLeaked)),
        _truth(
            "codes that no real patient has are refused",
            _refused(folder / "foreign", real, VocabulariesDisjoint),
        ),
    ]


def _refused(what: Path, real: Path, kind: type[Exception]) -> bool:
    try:
        attack(Target(what=what, real=real), None, choices=AttackChoices(seed=SEED), made=datetime.now(UTC))
    except kind:
        return True
    return False


def _one(found: Sequence[Finding], metric: str) -> Finding:
    return next(one for one in found if one.metric == metric and one.comparison == "attack")


def _caught(found: Sequence[Finding], metric: str, least: float) -> Row:
    one = _one(found, metric)
    name = f"attacks: {metric} of a copy of 10,000 training patients, lower bound"
    return _row(name, one, ("max", least), bound=one.lower)


def _free(found: Sequence[Finding], metric: str, most: float) -> Row:
    one = _one(found, metric)
    name = f"attacks: {metric} of other patients of the county, lower bound (nothing to find)"
    return _row(name, one, ("min", most), bound=one.lower)


def _row(name: str, one: Finding, wanted: tuple[str, float], *, bound: float | None) -> Row:
    direction, target = wanted
    return Row(
        name=name,
        value=one.value,
        lower=one.lower,
        upper=one.upper,
        unit="1",
        direction=direction,
        target=target,
        met=is_met(bound, direction, target),
        command=COMMAND,
        seed=SEED,
        commit=commit(),
        hardware=machine(),
        seconds=0.0,
    )


def _seconds(name: str, spent: float) -> Row:
    return Row(
        name=f"attacks: {name}, seconds on 10,000 synthetic and 12,308 real patients",
        value=spent,
        unit="s",
        direction="min",
        target=LIMIT_SECONDS,
        met=is_met(spent, "min", LIMIT_SECONDS),
        command=COMMAND,
        seed=SEED,
        commit=commit(),
        hardware=machine(),
        seconds=spent,
    )


def _truth(name: str, so: bool) -> Row:
    return Row(
        name=f"attacks: {name}",
        value=float(so),
        unit="1",
        direction="max",
        target=1.0,
        met=so,
        command=COMMAND,
        seed=SEED,
        commit=commit(),
        hardware=machine(),
        seconds=0.0,
    )


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timeline", type=Path, default=None, help="a timeline of the cohort")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where populations and findings lie")
    given = parser.parse_args()
    began = time.monotonic()
    json.dump([asdict(row) for row in rows(given.folder, given.timeline)], sys.stdout, indent=1)
    print(f"\n{time.monotonic() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
