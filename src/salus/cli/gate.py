"""``salus gate``: judge a use case's evidence by its protocol."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.programme.case import read_case
from salus.programme.gate import WORST_FIRST, Judged, Judgement, Verdict
from salus.programme.protocol import Bound, Protocol
from salus.programme.usecase_folder import UseCaseFolder

WIDTH, MOST_NAME, VALUE_WIDTH = 80, 36, 22
SHORT = 12
EXIT_CODES = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 2, Verdict.NOT_ESTIMABLE: 2}


def gate(
    folder: Annotated[Path, typer.Argument(help="The use case's folder.", metavar="USECASE_DIR")],
    evidence: Annotated[
        Path | None, typer.Option(help="Another folder of evidence than the use case's own.")
    ] = None,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Judge the evidence by the protocol: exit 0 PASS, 1 FAIL, 2 INCONCLUSIVE or NOT_ESTIMABLE, 3 error."""
    case = read_case(UseCaseFolder(folder), evidence=evidence)
    judgement = case.judge(datetime.now(UTC))
    lines = [] if as_json else list(_lines(case.protocol, judgement))
    console.result(judgement.as_json(), as_json, lines)
    raise typer.Exit(EXIT_CODES[judgement.verdict])


def _lines(protocol: Protocol, judgement: Judgement) -> Iterator[str]:
    """The judgement for a person, worst first, inside 80 columns."""
    name_width = 2 + min(MOST_NAME, max((len(each.criterion.id) for each in judgement.criteria), default=0))
    for verdict in (*WORST_FIRST, Verdict.PASS):
        these = [judged for judged in judgement.criteria if judged.verdict is verdict]
        if these:
            yield f"{verdict}: {len(these)} of {len(judgement.criteria)} criteria"
            yield _columns("  criterion", "value [bounds]", "asked", name_width=name_width)
            for judged in these:
                yield from _row(judged, name_width=name_width)
            yield ""
    needed = [judged for judged in judgement.criteria if judged.further_events is not None]
    if needed:
        yield "Needed next, if the values stay where they are"
        for judged in needed:
            yield from _wrapped(f"{judged.criterion.id}: {_further(judged)}", indent=2)
        yield ""
    yield from _about(protocol, judgement)


def _about(protocol: Protocol, judgement: Judgement) -> Iterator[str]:
    if protocol.not_judged:
        yield "Not judged here"
        for what in protocol.not_judged:
            yield from _wrapped(f"- {what}", indent=2, hanging=2)
        yield ""
    frozen = f"frozen {protocol.frozen_at.date()}" if protocol.frozen_at else "not frozen"
    yield f"protocol  version {judgement.version}, {frozen}, digest {judgement.protocol_digest[:SHORT]}"
    bundle = judgement.bundle_digest
    yield f"evidence  {f'digest {bundle[:SHORT]}' if bundle else 'none yet: measure it with `salus appraise`'}"
    if judgement.exploratory:
        yield from _wrapped(f"EXPLORATORY, so it can open nothing: {judgement.exploratory}")
    yield ""
    yield from _wrapped(f"{judgement.verdict}  {judgement.gate}: {judgement.reason}")


def _row(judged: Judged, *, name_width: int) -> Iterator[str]:
    asked = judged.criterion
    side = "" if asked.bound is Bound.BOTH else f"{asked.bound} "
    value, wanted = _value(judged), f"{side}{asked.threshold.text}"
    row = _columns(f"  {asked.id}", value, wanted, name_width=name_width)
    yield from [row] if len(row) <= WIDTH else [f"  {asked.id}", f"      {value}   {wanted}"]
    if judged.verdict is not Verdict.PASS:
        yield from _wrapped(judged.reason, indent=6)


def _value(judged: Judged) -> str:
    found, figure = judged.finding, judged.criterion.threshold.figure
    if found is None or found.value is None:
        return "-"
    bounds = [figure(bound) for bound in (found.lower, found.upper) if bound is not None]
    return figure(found.value) + (f" [{', '.join(bounds)}]" if bounds else "")


def _columns(name: str, value: str, asked: str, *, name_width: int) -> str:
    return f"{name:<{name_width}}  {value:<{VALUE_WIDTH}}  {asked}"


def _further(judged: Judged) -> str:
    found, events = judged.finding, judged.further_events or 0
    said = f"{events:,} further events"
    if found is None or not found.events:
        return said
    return f"{said}, about {events * found.patients / found.events:,.0f} patients at this rate"


def _wrapped(text: str, *, indent: int = 0, hanging: int = 0) -> list[str]:
    first, later = " " * indent, " " * (indent + hanging)
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False)
