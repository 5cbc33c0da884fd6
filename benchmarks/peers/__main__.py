"""`make bench-peers`: run every contestant on the same tables, judge all alike, write peers.json and the docs' tables.

A finished run whose tables, code and judges have not changed is not run again; one whose judges alone have changed
is judged again where its synthetic table is still below build/.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.blocks import ROOT, rewrite
from benchmarks.peers import numbers, tables
from benchmarks.peers.contestants import CONTESTANTS, PEERS, Contestant, digest_of
from benchmarks.peers.environments import python_of, run_alone
from benchmarks.peers.reference import write_floor
from benchmarks.peers.results import Result, Run, read_result, write_result
from benchmarks.rows import commit, machine, write_rows
from salus import __version__
from salus.progress import QUIET
from salus.timeline.store import timeline_digest
from salus.workflows.ingest import ingest

PAGE = ROOT / "docs" / "reference" / "benchmarks.md"
ICU, ICU_SOURCE = "icu", ROOT / "examples" / "icu" / "source.yaml"
BUDGET_SECONDS = 1800.0
JUDGING_SECONDS = 3600.0
REFERENCES = ("ceiling", "floor")
SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where tables, environments, runs and logs lie, and how long a fit may take."""

    build: Path
    budget_seconds: float

    def table(self, kind: str, part: str) -> Path:
        """One part of a table; of icu the timeline, which says itself who trains."""
        return self.build / ICU / "timeline" if kind == ICU else self.build / kind / f"{part}.csv"

    def budget(self, who: Contestant) -> float:
        """Seconds a contestant may fit."""
        return who.budget_seconds or self.budget_seconds

    def synthetic(self, run: Run) -> Path:
        """What a run made."""
        return self.build / "runs" / run.name / "synthetic.csv"

    def log(self, run: Run, step: str) -> Path:
        """What a step of a run said."""
        return self.build / "logs" / f"{run.name}.{step}.log"


def inputs(place: Place, kind: str, who: Contestant | None) -> dict[str, str]:
    """What a result depends on; where none of it has changed, the result stands."""
    code = who.digest() if who else digest_of(iter([PEERS / "reference.py"]))
    if kind == ICU:
        return {"tables": timeline_digest(place.table(kind, "train"))[:16], "contestant": code, "judges": ""}
    whole = hashlib.sha256()
    for part in ("train", "holdout", "third"):
        whole.update(place.table(kind, part).read_bytes())
    judges = [*sorted((PEERS / "judges").iterdir()), PEERS / "columns.py"]
    return {"tables": whole.hexdigest()[:16], "contestant": code, "judges": digest_of(iter(judges))}


def contest(place: Place, who: Contestant, run: Run) -> bool:
    """Fit, sample and judge one contestant unless that is done; False where it failed."""
    wanted = inputs(place, run.kind, who)
    if (read_result(run) or {}).get("inputs") == wanted:
        return True
    folder = place.synthetic(run).parent
    made, stamp = folder / ("measured.json" if run.kind == ICU else "synthetic.csv"), folder / "inputs.json"
    made_of = {name: wanted[name] for name in ("tables", "contestant")} | {"budget": place.budget(who)}
    if not (made.exists() and stamp.exists() and json.loads(stamp.read_text(encoding="utf-8")) == made_of):
        print(f"{run.name}: fit and sample …", file=sys.stderr, flush=True)
        if not _make(place, who, run):
            return False
        stamp.write_text(json.dumps(made_of), encoding="utf-8")
    times = json.loads(made.with_name("times.json").read_text(encoding="utf-8"))
    about = {"version": who.version or __version__, "method": who.method, "times": times}
    about |= {"budget_seconds": place.budget(who), "inputs": wanted}
    if run.kind == ICU:
        found = {"measured": json.loads(made.read_text(encoding="utf-8"))}
        return bool(write_result(run, _named(run) | about | found | _made_where()))
    return judged(place, run, made, about=about)


def _make(place: Place, who: Contestant, run: Run) -> bool:
    python = python_of(who.folder, place.build) if who.package else Path(sys.executable)
    words: list[str | Path] = [python, "-m", f"benchmarks.peers.{who.folder}.run", "--kind", run.kind]
    words += ["--train", place.table(run.kind, "train"), "--to", place.synthetic(run).parent]
    words += ["--seed", str(run.seed), "--budget-seconds", str(place.budget(who)), "--method", who.method]
    return run_alone(words, place.log(run, "run"), seconds=4 * place.budget(who) + JUDGING_SECONDS)


def reference(place: Place, run: Run) -> bool:
    """Judge the floor or the ceiling."""
    wanted = inputs(place, run.kind, None)
    if (read_result(run) or {}).get("inputs") == wanted:
        return True
    made: Path | None = place.table(run.kind, "third")
    says = "patients of neither half"
    if run.contestant == "floor":
        made = write_floor(place.table(run.kind, "train"), place.synthetic(run), kind=run.kind, seed=run.seed)
        says = "every column of the training table in an order of its own"
    elif _patients(place.table(run.kind, "third")) < _patients(place.table(run.kind, "train")) // 2:
        made, says = (
            None,
            "too few patients are left over: the training patients, and what mostlyai-qa expects",
        )
    return judged(place, run, made, about={"version": None, "method": says, "times": {}, "inputs": wanted})


def _patients(table: Path) -> int:
    with table.open(encoding="utf-8") as lines:
        return sum(1 for _ in lines) - 1


def judged(place: Place, run: Run, made: Path | None, *, about: Result) -> bool:
    """Judge one table and write its result; without a table, the ceiling."""
    print(f"{run.name}: judge …", file=sys.stderr, flush=True)
    found = place.build / "judged" / f"{run.name}.json"
    words: list[str | Path] = [python_of("judges", place.build), "-m", "benchmarks.peers.judges.judge"]
    words += ["--kind", run.kind, "--to", found]
    for part in ("train", "holdout"):
        words += [f"--{part}", place.table(run.kind, part)]
    words += ["--synthetic", made] if made else []
    if not run_alone(words, place.log(run, "judge"), seconds=JUDGING_SECONDS):
        return False
    said = json.loads(found.read_text(encoding="utf-8"))
    result = {
        **_named(run),
        **about,
        "judged": {name: said[name] for name in ("size", "qa", "tstr", "c2st", "c2st_plain")},
        "judges": said["judges"],
        "judged_in": said["judged_in"],
        **_made_where(),
    }
    write_result(run, result)
    return True


def _named(run: Run) -> Result:
    return {"contestant": run.contestant, "kind": run.kind, "seed": run.seed}


def _made_where() -> Result:
    return {
        "commit": commit(),
        "hardware": machine(),
    }


def write_numbers() -> Path:
    """Write peers.json and the tables of the docs from the committed results."""
    rewrite(PAGE, "peers", numbers.side_by_side())
    return write_rows("peers", numbers.all_rows())


def main() -> None:
    """Run what is asked, then write the numbers of all results there are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("SALUS_DATA"), help="default: $SALUS_DATA"
    )
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "bench-peers")
    parser.add_argument(
        "--only", nargs="*", help="contestants, floor, ceiling (default: all; none: only write)"
    )
    parser.add_argument("--kinds", nargs="*", default=[*numbers.ASKED, ICU])
    parser.add_argument("--seeds", nargs="*", type=int, help="default: each contestant's own")
    parser.add_argument("--budget-seconds", type=float, default=BUDGET_SECONDS)
    given = parser.parse_args()
    if given.only == []:
        print(json.dumps({"file": str(write_numbers().relative_to(ROOT)), "failed": []}))
        return
    if given.data is None or not (given.data / tables.SOURCE).exists():
        parser.error(f"no {tables.SOURCE} below --data or $SALUS_DATA")
    place = Place(build=given.build.resolve(), budget_seconds=given.budget_seconds)
    wanted = _wanted(given.only, given.kinds, given.seeds)
    _prepare(given.data, place, kinds={run.kind for _, run in wanted})
    failed = []
    for who, run in wanted:
        done = contest(place, who, run) if who else reference(place, run)
        failed += [] if done else [run.name]
    path = write_numbers()
    print(json.dumps({"file": str(path.relative_to(ROOT)), "failed": failed}))
    if failed:
        print(f"the logs of what failed are in {place.build / 'logs'}", file=sys.stderr)
        sys.exit(1)


def _prepare(data: Path, place: Place, *, kinds: set[str]) -> None:
    """Make the tables, and the stays' timeline where it is needed and not there."""
    if kinds - {ICU}:
        tables.prepare(data / tables.SOURCE, place.build)
    timeline = place.table(ICU, "train")
    if ICU in kinds and not timeline.exists():
        ingest(ICU_SOURCE, timeline, inputs=data / "icu2012", progress=QUIET)


def _wanted(
    only: list[str] | None, kinds: list[str], seeds: list[int] | None
) -> list[tuple[Contestant | None, Run]]:
    """The runs asked for: references first, then each contestant's seeds."""
    chosen: list[tuple[Contestant | None, Run]] = []
    for kind in kinds:
        for name in REFERENCES if kind in numbers.ASKED else ():
            if only is None or name in only:
                chosen.append((None, Run(contestant=name, kind=kind, seed=SEED)))
        for who in CONTESTANTS:
            if kind in who.kinds and (only is None or who.name in only):
                for seed in seeds or who.seeds:
                    chosen.append((who, Run(contestant=who.name, kind=kind, seed=seed)))
    return chosen


if __name__ == "__main__":
    main()
