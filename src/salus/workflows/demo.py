"""The whole road on real records: from a source's files to a report, going on where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from salus.errors import InputMissing
from salus.formats.csv_source import Source
from salus.formats.read_source import read_source
from salus.progress import Progress
from salus.workflows.appraise import Material, appraise
from salus.workflows.examples import Example, find_example
from salus.workflows.export import export
from salus.workflows.fetch import fetch
from salus.workflows.forecast import ForecastResult, ForecastSettings, forecast
from salus.workflows.generate import GenerateResult, generate
from salus.workflows.ingest import ingest, input_folder
from salus.workflows.quality import quality
from salus.workflows.report import report
from salus.workflows.stages import Done, Json, Stage, run_stage
from salus.workflows.summary import summarise
from salus.workflows.train import TrainResult, train


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run, where to write, and the choices that change results. ``inputs``: None: found or fetched."""

    example: str
    folder: Path
    inputs: Path | None = None
    minutes: float = 5.5
    seed: int = 1

    @property
    def timeline(self) -> Path:
        """The real records."""
        return self.folder / "timeline"

    @property
    def model(self) -> Path:
        """The trained model."""
        return self.folder / "model"

    @property
    def synthetic(self) -> Path:
        """The synthetic patients."""
        return self.folder / "synthetic"

    @property
    def risks(self) -> Path:
        """The forecasts for held-out patients."""
        return self.folder / "forecasts" / "held_out.parquet"

    @property
    def findings(self) -> Path:
        """What was measured."""
        return self.folder / "findings.json"


class Road:
    """The stages done so far, by name."""

    def __init__(self, plan: Plan, example: Example, progress: Progress) -> None:
        self.plan, self.example, self.progress = plan, example, progress
        self.done: dict[str, Done] = {}

    def do(self, stage: Stage, work: Callable[[], Json], *, after: Sequence[str] = ()) -> Done:
        """Do one stage, or find that it is done."""
        before = [self.done[name] for name in after if name in self.done]
        self.done[stage.name] = run_stage(self.plan.folder, stage, work, after=before)
        return self.done[stage.name]


def demo(plan: Plan, *, progress: Progress) -> dict[str, Json]:
    """Walk the road and write ``summary.json``; stages that an earlier run finished are not done again."""
    example = find_example(plan.example)
    road = Road(plan, example, progress)
    _read(road)
    _learn(road)
    _show(road)
    summary = summarise(plan.example, plan.seed, list(road.done.values()))
    unfinished = plan.folder / "summary.json.part"
    unfinished.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(plan.folder / "summary.json")
    return summary


def _read(road: Road) -> None:
    """Fetch, ingest, quality."""
    plan, example = road.plan, road.example
    source = read_source(example.source)
    folder = _records(road, source)
    files = tuple(folder / file.name for table in source.tables for file in table.files)

    def read() -> Json:
        books = ingest(example.source, plan.timeline, inputs=folder, progress=road.progress)
        return {
            "books": {"read": books.read, "kept": books.kept, "rejected": books.rejected},
            "patients": {name: books.patients.get(name, 0) for name in ("train", "tuning", "held_out")},
        }

    stage = Stage(
        name="ingest",
        output=plan.timeline,
        code=("formats", "intake", "timeline", "units.py", "workflows/ingest.py"),
        settings={},
        inputs=(example.source, *(file for file in files if file.exists())),
    )
    road.do(stage, read)

    def check() -> Json:
        found = quality(plan.timeline, plan.folder / "quality", progress=road.progress)
        return {"patients": found.patients, "rows": found.rows, "to_look_at": list(found.to_look_at)}

    code = ("timeline", "workflows/pages", "workflows/quality.py")
    stage = Stage(name="quality", output=plan.folder / "quality", code=code, settings={})
    road.do(stage, check, after=["ingest"])


def _records(road: Road, source: Source) -> Path:
    """Find the source's files, or fetch them into the demo's folder."""
    try:
        return input_folder(source, road.plan.inputs)
    except InputMissing:
        if road.plan.inputs is not None or not source.fetch:
            raise
    folder = road.plan.folder / "source"

    def get() -> Json:
        fetch(source.fetch, folder, progress=road.progress)
        return None

    code = ("workflows/fetch.py",)
    road.do(Stage(name="fetch", output=folder, code=code, settings={"name": source.fetch}), get)
    return folder


def _learn(road: Road) -> None:
    """Train, generate, export."""
    plan, example, progress = road.plan, road.example, road.progress

    def learn() -> Json:
        result = train(plan.timeline, plan.model, minutes=plan.minutes, seed=plan.seed, progress=progress)
        return told(result)

    settings: dict[str, Json] = {"minutes": plan.minutes, "seed": plan.seed}
    stage = Stage(
        name="train", output=plan.model, code=("trajectory", "workflows/train.py"), settings=settings
    )
    road.do(stage, learn, after=["ingest"])
    patients = _count(road.done["ingest"], "train")

    def draw() -> Json:
        result = generate(plan.model, plan.synthetic, patients=patients, seed=plan.seed, progress=progress)
        return told(result)

    settings = {"patients": patients, "seed": plan.seed}
    drawing = ("trajectory", "workflows/generate.py")
    stage = Stage(name="generate", output=plan.synthetic, code=drawing, settings=settings)
    road.do(stage, draw, after=["train"])
    folder = plan.folder / "synthetic-source"

    def write() -> Json:
        books = export(plan.synthetic, folder, like=example.source, progress=progress)
        return {"events": books.events, "written": books.written, "files": dict(books.files)}

    writing = ("outlet", "formats", "workflows/export.py")
    stage = Stage(name="export", output=folder, code=writing, settings={}, inputs=(example.source,))
    road.do(stage, write, after=["generate"])


def _show(road: Road) -> None:
    """Forecast, appraise, report."""
    plan, example, progress = road.plan, road.example, road.progress

    def look_ahead() -> Json:
        plan.risks.parent.mkdir(parents=True, exist_ok=True)
        settings = ForecastSettings(task=example.task, seed=plan.seed)
        result = forecast(plan.model, plan.timeline, to=plan.risks, settings=settings, progress=progress)
        return told(result)

    seed: dict[str, Json] = {"seed": plan.seed}
    stage = Stage(
        name="forecast",
        output=plan.risks,
        code=("trajectory", "cohort", "workflows/forecast.py"),
        settings=seed,
        inputs=(example.task,),
    )
    road.do(stage, look_ahead, after=["ingest", "train"])

    def weigh() -> Json:
        material = Material(
            timeline=plan.timeline, synthetic=plan.synthetic, task=example.task, forecast=plan.risks
        )
        return dict(appraise(material, plan.folder, seed=plan.seed, progress=progress).as_json())

    stage = Stage(
        name="appraise",
        output=plan.findings,
        code=("evidence", "cohort", "workflows/appraise.py"),
        settings=seed,
        inputs=(example.task,),
    )
    road.do(stage, weigh, after=["ingest", "generate", "forecast"])

    def tell() -> Json:
        numbers = summarise(plan.example, plan.seed, list(road.done.values()))
        report(plan.folder, summary=numbers, task=example.task, progress=progress)
        return None

    stage = Stage(
        name="report",
        output=plan.folder / "report.html",
        code=("workflows/pages", "workflows/report.py", "workflows/summary.py"),
        settings={},
    )
    road.do(stage, tell, after=["quality", "train", "generate", "export", "forecast", "appraise"])


def told(result: TrainResult | GenerateResult | ForecastResult) -> dict[str, Json]:
    """What a job said, without its paths: they are this machine's own."""
    said = {name: value for name, value in asdict(result).items() if not isinstance(value, Path)}
    plain: dict[str, Json] = json.loads(json.dumps(said))
    return plain


def _count(done: Done, split: str) -> int:
    patients = done.result["patients"] if isinstance(done.result, dict) else {}
    found = patients.get(split, 0) if isinstance(patients, dict) else 0
    return int(found) if isinstance(found, int) else 0
