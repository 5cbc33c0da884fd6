"""``salus demo``: the whole road on real records."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.web.serving import PORT, serve
from salus.workflows.demo import Plan
from salus.workflows.demo import demo as walk
from salus.workflows.stages import Json


def demo(
    example: Annotated[
        str, typer.Argument(help="cohort, icu or clinic.", metavar="[cohort|icu|clinic]")
    ] = "cohort",
    to: Annotated[
        Path | None, typer.Option(help="Folder for everything.  [default: build/demo/EXAMPLE]")
    ] = None,
    inputs: Annotated[
        Path | None, typer.Option("--input", help="Folder of the records, if they are here.")
    ] = None,
    minutes: Annotated[float, typer.Option(help="Minutes of training at most.", min=0.01)] = 5.5,
    seed: Annotated[int, typer.Option(help="Seed of every random step.", min=0)] = 1,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Do not open the workspace.")] = False,
    port: Annotated[int, typer.Option(help="Port of the workspace, on this machine only.")] = PORT,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Walk the whole road and show where everything is."""
    folder = to or Path("build") / "demo" / example
    plan = Plan(
        example=example, folder=folder, inputs=inputs, minutes=minutes, seed=seed, now=datetime.now(UTC)
    )
    with console.session(as_json) as progress:
        summary = walk(plan, progress=progress)
    console.result(summary, as_json, [*results(summary), "", *places(folder)])
    if not (no_serve or as_json):
        serve(folder, port=port, open_browser=True)


def results(summary: dict[str, Json]) -> list[str]:
    """The closing table: what came out, with intervals and what it stands beside."""
    rows = []
    for task in _rows(summary["utility"]):
        name = f"utility, {task['task']}"
        rows.append(
            [name, _interval(task["synthetic_auroc"]), f"real-trained {_interval(task['real_auroc'])}"]
        )
    for task in _rows(summary["forecast"]):
        name = f"forecast, {task['task']}"
        beside = f"gradient boosting {_interval(task['baseline_auroc'])}"
        rows.append([name, _interval(task["auroc"]), beside])
    fidelity = summary["fidelity"]
    if isinstance(fidelity, dict):
        beside = f"other real patients {_number(fidelity.get('ceiling'))}"
        rows.append(["fidelity", _number(fidelity.get("overall")), beside])
    privacy, gate = summary["privacy"], summary["gate"]
    if isinstance(privacy, dict):
        beside = f"control {_interval(privacy['control'])}"
        rows.append(["membership attack", _interval(privacy["membership_auc"]), beside])
    table = console.table(["AUROC on held-out patients", "value (95 % interval)", "beside it"], rows)
    judged = f"gate: {gate['verdict']}. {gate['reason']}" if isinstance(gate, dict) else ""
    seconds, memory = summary["seconds"], summary["peak_memory_gb"]
    return ["", *table, "", judged, f"{seconds:.0f} s in all, {memory} GB of memory at most"]


def places(folder: Path) -> list[str]:
    """Where each file lies."""
    parts = {
        "use case": "usecase.yaml",
        "evidence": "evidence",
        "report to send": "report.html",
        "numbers": "summary.json",
        "real timeline": "timeline",
        "its quality": "quality/quality.html",
        "model": "model",
        "synthetic patients": "synthetic",
        "as CSV": "synthetic-source",
        "forecasts": "forecasts",
    }
    return console.table(["what", "where"], [[name, str(folder / part)] for name, part in parts.items()])


def _rows(value: Json) -> list[dict[str, Json]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _interval(value: Json) -> str:
    if not isinstance(value, dict):
        return "not estimable"
    if value.get("lower") is None:
        return _number(value.get("value"))
    return f"{_number(value['value'])} ({_number(value['lower'])} to {_number(value['upper'])})"


def _number(value: Json) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "not estimable"
