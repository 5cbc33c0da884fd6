"""What you type: one small file per command, loaded only when that command is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from salus import __version__
from salus.cli import console
from salus.errors import UnknownCommand, nearest


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command lives, what it does in one line, and one line that shows its use.

    ``error_code``: what its errors exit with, where 1 and 2 are answers. ``seldom``: the help screen only names it,
    because a screen has no room for everything.
    """

    module: str
    function: str
    help: str
    group: str
    example: str
    error_code: int | None = None
    seldom: bool = False


ROWS = 24
"""Of the screen that the help has to fit."""
GROUPS = ("Start here", "The road, step by step", "May we use it?")

COMMANDS: dict[str, Command] = {
    "demo": Command(
        "salus.cli.demo",
        "demo",
        "Walk the whole road on real records and show the results",
        "Start here",
        "salus demo cohort --to build/demo/cohort",
    ),
    "serve": Command(
        "salus.cli.serve",
        "serve",
        "Open the workspace: pages about use cases, on this machine only",
        "Start here",
        "salus serve build/demo",
    ),
    "fetch": Command(
        "salus.cli.fetch",
        "fetch",
        "Get the real records of an example (cohort, icu2012, diabetes130)",
        "Start here",
        "salus fetch cohort --to build/data/cohort",
    ),
    "draft": Command(
        "salus.cli.draft",
        "draft",
        "Guess what the columns of CSV files are, for you to finish",
        "The road, step by step",
        "salus draft my/files --to my/source.yaml",
    ),
    "ingest": Command(
        "salus.cli.ingest",
        "ingest",
        "Read a source's files into a timeline, with balanced books",
        "The road, step by step",
        "salus ingest examples/cohort/source.yaml --input build/data/cohort --to build/timeline",
    ),
    "listen": Command(
        "salus.cli.listen",
        "listen",
        "Take HL7 v2 messages over MLLP and keep them for ingest",
        "The road, step by step",
        "salus listen --mllp 127.0.0.1:2575 --to build/messages",
    ),
    "deidentify": Command(
        "salus.cli.deidentify",
        "deidentify",
        "Write what may pass of records, by a policy you can read and edit",
        "The road, step by step",
        "salus deidentify my/records --to my/released --policy safe-harbor --key my/key",
    ),
    "link": Command(
        "salus.cli.link",
        "link",
        "Find who is one patient in several systems; you decide where unsure",
        "The road, step by step",
        "salus link hospital.yaml --doubtful",
    ),
    "quality": Command(
        "salus.cli.quality",
        "quality",
        "Report what is odd in a timeline: ranges, order, twins, units",
        "The road, step by step",
        "salus quality build/timeline",
    ),
    "train": Command(
        "salus.cli.train",
        "train",
        "Learn to generate patients from a timeline",
        "The road, step by step",
        "salus train build/timeline --to build/model --minutes 5",
    ),
    "describe": Command(
        "salus.cli.describe",
        "describe",
        "Show a model's card: for what, from what, how good, how private",
        "The road, step by step",
        "salus describe build/model --to build/card.html",
        seldom=True,
    ),
    "generate": Command(
        "salus.cli.generate",
        "generate",
        "Draw synthetic patients from a model",
        "The road, step by step",
        "salus generate build/model --patients 1000 --to build/synthetic",
    ),
    "forecast": Command(
        "salus.cli.forecast",
        "forecast",
        "Give each patient's risk, with its interval, from sampled futures",
        "The road, step by step",
        "salus forecast build/model build/timeline --task examples/cohort/task.yaml --to risks.parquet",
    ),
    "complete": Command(
        "salus.cli.complete",
        "complete",
        "Fill what is missing in records, marked as completed",
        "The road, step by step",
        "salus complete build/model build/timeline --fields SEX --to build/completed",
        seldom=True,
    ),
    "simulate": Command(
        "salus.cli.simulate",
        "simulate",
        "Give risks without and with a change, as the model expects: no proof",
        "The road, step by step",
        "salus simulate build/model build/timeline --task examples/cohort/task.yaml "
        "--do LOINC//8480-6=120@index --to arms.parquet",
        seldom=True,
    ),
    "embed": Command(
        "salus.cli.embed",
        "embed",
        "Give each patient a vector as of a moment, for other models",
        "The road, step by step",
        "salus embed build/model --timeline build/timeline --to vectors.parquet",
        seldom=True,
    ),
    "export": Command(
        "salus.cli.export",
        "export",
        "Write a timeline as CSV like its source, FHIR, OMOP or MEDS",
        "The road, step by step",
        "salus export build/synthetic --like examples/cohort/source.yaml --to build/csv",
    ),
    "seal": Command(
        "salus.cli.seal",
        "seal",
        "Encrypt timelines, models and tables where they lie",
        "The road, step by step",
        "salus seal build/timeline",
        seldom=True,
    ),
    "appraise": Command(
        "salus.cli.appraise",
        "appraise",
        "Measure a use case: fidelity, utility, privacy, forecasts",
        "May we use it?",
        "salus appraise build/demo/cohort",
    ),
    "attack": Command(
        "salus.cli.attack",
        "attack",
        "Attack a model or synthetic patients: what do they give away?",
        "May we use it?",
        "salus attack build/model --real build/timeline --to build/attack",
    ),
    "freeze": Command(
        "salus.cli.freeze",
        "freeze",
        "Freeze a protocol before its evidence is measured",
        "May we use it?",
        "salus freeze examples/cohort",
    ),
    "gate": Command(
        "salus.cli.gate",
        "gate",
        "Judge evidence by the protocol: 0 PASS, 1 FAIL, 2 open, 3 error",
        "May we use it?",
        "salus gate build/demo/cohort",
        error_code=3,
    ),
    "release": Command(
        "salus.cli.release",
        "release",
        "Hand out synthetic patients under a frozen protocol, signed, or refuse",
        "May we use it?",
        "salus release SYNTH --model M --real DIR --protocol P --to OUT --key KEY",
        error_code=3,
        seldom=True,
    ),
    "erase": Command(
        "salus.cli.erase",
        "erase",
        "Erase patients from all that their records reached, and prove it",
        "May we use it?",
        "salus erase 1234 --roots build --policy retrain --dry-run",
        seldom=True,
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 could not be done, 2 typed wrongly, 130 stopped."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = COMMANDS.get(given[0]) if given else None
    sys.exit(console.guard(lambda: _dispatch(given), error_code=command.error_code if command else None))


def _dispatch(given: list[str]) -> int:
    name = given[0] if given else "--help"
    if name in ("--help", "-h", "help"):
        print(overview())
        return 0
    if name == "--version":
        print(f"salus {__version__}")
        return 0
    command = COMMANDS.get(name)
    if command is None:
        raise UnknownCommand(
            f"there is no command {name!r}{nearest(name, COMMANDS)}",
            where="salus " + name,
            fix="salus --help lists the commands",
        )
    function = getattr(import_module(command.module), command.function)
    return console.run_command(
        function, name, given[1:], help_text=f"{command.help}.", example=command.example
    )


def overview() -> str:
    """Give the help screen: every command with its one line, inside 80 columns and 24 rows: gaps go where they fit."""
    lines = [
        f"Salus {__version__} learns to generate patients' timelines: evidence for every number.",
        "salus COMMAND --help shows options and an example. Every command takes --json.",
    ]
    groups = [
        (group, [(name, command) for name, command in COMMANDS.items() if command.group == group])
        for group in GROUPS
    ]
    told = [(group, _lines(members)) for group, members in groups]
    gaps = ROWS - len(lines) - sum(1 + len(members) for _, members in told)
    for place, (group, members) in enumerate(told):
        lines += ([""] if place >= len(told) - gaps else []) + [group, *members]
    return "\n".join(lines)


def _lines(members: Sequence[tuple[str, Command]]) -> list[str]:
    """A line a command; those seldom used share the last."""
    seldom = [name for name, command in members if command.seldom]
    lines = [f"  {name:<10} {command.help}" for name, command in members if not command.seldom]
    return lines + ([f"  {'and also':<10} {', '.join(seldom)}"] if seldom else [])
