"""The committed results: one small JSON a run, without patients, and the run that stands for several seeds."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.rows import RESULTS

FOLDER = RESULTS / "peers"

Result = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One contestant, one table, one seed."""

    contestant: str
    kind: str
    seed: int

    @property
    def name(self) -> str:
        """The name of its folder, its logs and its result."""
        return f"{self.contestant}-{self.kind}-{self.seed}"


def read_result(run: Run, folder: Path = FOLDER) -> Result | None:
    """What was found, or None where it has not been run."""
    path = folder / f"{run.name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def write_result(run: Run, result: Result, folder: Path = FOLDER) -> Path:
    """Write one result."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{run.name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return path


def results_of(contestant: str, kind: str, folder: Path = FOLDER) -> list[Result]:
    """All seeds of a contestant that were run on a kind of table."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return [result for result in found if (result["contestant"], result["kind"]) == (contestant, kind)]


def looked_up(result: Result, path: str) -> Any:
    """What stands at a dotted path; None where nothing does.

    >>> looked_up({"judged": {"qa": {"overall": 0.97}}}, "judged.qa.overall")
    0.97
    """
    found: Any = result
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def median_run(results: list[Result], path: str) -> Result | None:
    """The run whose number at ``path`` is the median of the seeds (of an even number, the lower of the middle two)."""
    numbered = {place: looked_up(result, path) for place, result in enumerate(results)}
    valued = {place: value for place, value in numbered.items() if value is not None}
    if not valued:
        return None
    middle = statistics.median_low(valued.values())
    return results[next(place for place, value in valued.items() if value == middle)]
