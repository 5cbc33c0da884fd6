"""The whole road on real records: from a source's files to a report, going on where it was stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from salus.errors import InputMissing
from salus.formats.csv_source import Source
from salus.formats.read_source import read_source
from salus.programme.case import judge_usecase
from salus.programme.usecase_folder import UseCaseFolder
from salus.progress import Progress
from salus.workflows.appraise import Material, appraise
from salus.workflows.compare import compare
from salus.workflows.examples import Example, find_example
from salus.workflows.export import export
from salus.workflows.fetch import fetch
from salus.workflows.forecast import ForecastResult, ForecastSettings, forecast
from salus.workflows.futures import futures
from salus.workflows.generate import GenerateResult, generate
from salus.workflows.ingest import ingest, input_folder
from salus.workflows.quality import quality
from salus.workflows.report import report
from salus.workflows.stages import Done, Json, Stage, run_stage
from salus.workflows.summary import summarise
from salus.workflows.train import TrainChoices, TrainResult, train


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run, where to write, and the choices that change results. ``inputs``: None: found or fetched.

    ``now``: when this runs; evidence carries it as its date.
    """

    example: str
    folder: Path
    now: datetime
    inputs: Path | None = None
    minutes: float = 5.5
    seed: int = 1

    @property
    def at(self) -> UseCaseFolder:
        """The use case's folder: its YAML files are copied there, everything is made there."""
        return UseCaseFolder(self.folder)


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

    def summary(self) -> dict[str, Json]:
        """The numbers so far, with the gate's judgement of this moment."""
        judged = judge_usecase(self.plan.at, now=self.plan.now).as_json()
        gate: Json = json.loads(json.dumps(judged))
        return summarise(self.plan.example, self.plan.seed, list(self.done.values()), gate=gate)


def demo(plan: Plan, *, progress: Progress) -> dict[str, Json]:
    """Walk the road and write ``summary.json``; stages that an earlier run finished are not done again."""
    example = find_example(plan.example)
    road = Road(plan, example, progress)
    _read(road)
    _learn(road)
    _weigh(road)
    _show(road)
    summary = road.summary()
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
        books = ingest(example.source, plan.at.timeline, inputs=folder, progress=road.progress)
        return {
            "books": {"read": books.read, "kept": books.kept, "rejected": books.rejected},
            "patients": {name: books.patients.get(name, 0) for name in ("train", "tuning", "held_out")},
        }

    stage = Stage(
        name="ingest",
        output=plan.at.timeline,
        code=("formats", "intake", "timeline", "units.py", "workflows/ingest.py"),
        settings={},
        inputs=(example.source, *(file for file in files if file.exists())),
    )
    road.do(stage, read)

    def check() -> Json:
        found = quality(plan.at.timeline, plan.at.quality, progress=road.progress)
        return {"patients": found.patients, "rows": found.rows, "to_look_at": list(found.to_look_at)}

    parts = ("quality.py", "quality_knowledge.py", "quality_sample.py")
    code = ("timeline", "formats", "workflows/pages", *(f"workflows/{part}" for part in parts))
    stage = Stage(name="quality", output=plan.at.quality, code=code, settings={})
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
        choices = TrainChoices(minutes=plan.minutes, seed=plan.seed)
        result = train(plan.at.timeline, plan.at.model, choices=choices, progress=progress)
        return told(result)

    settings: dict[str, Json] = {"minutes": plan.minutes, "seed": plan.seed}
    stage = Stage(
        name="train", output=plan.at.model, code=("trajectory", "workflows/train.py"), settings=settings
    )
    road.do(stage, learn, after=["ingest"])
    patients = _count(road.done["ingest"], "train")

    def draw() -> Json:
        result = generate(
            plan.at.model, plan.at.synthetic, patients=patients, seed=plan.seed, progress=progress
        )
        return told(result)

    settings = {"patients": patients, "seed": plan.seed}
    drawing = ("trajectory", "workflows/generate.py")
    stage = Stage(name="generate", output=plan.at.synthetic, code=drawing, settings=settings)
    road.do(stage, draw, after=["train"])
    folder = plan.folder / "synthetic-source"

    def write() -> Json:
        books = export(plan.at.synthetic, folder, like=example.source, progress=progress)
        return {"events": books.events, "written": books.written, "files": dict(books.files)}

    writing = ("outlet", "formats", "workflows/export.py")
    stage = Stage(name="export", output=folder, code=writing, settings={}, inputs=(example.source,))
    road.do(stage, write, after=["generate"])


def _weigh(road: Road) -> None:
    """Copy the use case's YAML files, forecast, measure the evidence."""
    plan, example, progress = road.plan, road.example, road.progress
    described = tuple(path for path in example.described if path.exists())

    def describe() -> Json:
        for path in described:
            shutil.copyfile(path, plan.folder / path.name)
        return [path.name for path in described]

    stage = Stage(
        name="usecase", output=plan.at.description, code=("programme",), settings={}, inputs=described
    )
    road.do(stage, describe)

    def look_ahead() -> Json:
        plan.at.risks.parent.mkdir(parents=True, exist_ok=True)
        settings = ForecastSettings(task=example.task, seed=plan.seed)
        result = forecast(
            plan.at.model, plan.at.timeline, to=plan.at.risks, settings=settings, progress=progress
        )
        return told(result)

    seed: dict[str, Json] = {"seed": plan.seed}
    stage = Stage(
        name="forecast",
        output=plan.at.risks,
        code=("trajectory", "cohort", "workflows/forecast.py"),
        settings=seed,
        inputs=(example.task,),
    )
    road.do(stage, look_ahead, after=["ingest", "train"])

    def measure() -> Json:
        made = appraise(
            Material.of(plan.at), plan.at.evidence, seed=plan.seed, made=plan.now, progress=progress
        )
        return dict(made.as_json())

    code = ("evidence", "cohort", "findings.py", "workflows/appraise.py", "workflows/membership.py")
    stage = Stage(name="appraise", output=plan.at.evidence, code=code, settings=seed, inputs=described)
    road.do(stage, measure, after=["ingest", "train", "generate", "forecast"])


def _show(road: Road) -> None:
    """Pages: synthetic beside real patients, futures of a dozen patients, and a file to send."""
    plan, progress = road.plan, road.progress

    def lay_side_by_side() -> Json:
        compare(plan.at, progress=progress)
        return None

    drawing = ("workflows/pages", "workflows/compare.py", "workflows/report.py")
    stage = Stage(name="compare", output=plan.at.comparison, code=drawing, settings={})
    road.do(stage, lay_side_by_side, after=["ingest", "train", "generate", "appraise"])

    def look_at_some() -> Json:
        futures(plan.at, seed=plan.seed, progress=progress)
        return None

    code = ("trajectory", "cohort", "workflows/pages", "workflows/futures.py")
    seed: dict[str, Json] = {"seed": plan.seed}
    stage = Stage(name="futures", output=plan.at.futures, code=code, settings=seed)
    road.do(stage, look_at_some, after=["ingest", "train", "forecast", "appraise"])

    def tell() -> Json:
        report(plan.at, summary=road.summary(), made=plan.now, progress=progress)
        return None

    stage = Stage(
        name="report",
        output=plan.folder / "report.html",
        code=(*drawing, "workflows/summary.py", "programme"),
        settings={},
    )
    road.do(stage, tell, after=["usecase", "quality", "train", "generate", "export", "forecast", "compare"])


def told(result: TrainResult | GenerateResult | ForecastResult) -> dict[str, Json]:
    """What a job said, without its paths: they are this machine's own."""
    said = {name: value for name, value in asdict(result).items() if not isinstance(value, Path)}
    plain: dict[str, Json] = json.loads(json.dumps(said))
    return plain


def _count(done: Done, split: str) -> int:
    patients = done.result["patients"] if isinstance(done.result, dict) else {}
    found = patients.get(split, 0) if isinstance(patients, dict) else 0
    return int(found) if isinstance(found, int) else 0
