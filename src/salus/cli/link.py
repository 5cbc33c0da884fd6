"""``salus link``: who is one patient in several systems."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.errors import UsageProblem
from salus.linkage.ledger import Line
from salus.linkage.pairs import Standing
from salus.workflows.link import Linked, Signed, decide, doubtful, show, undo
from salus.workflows.link import link as run_link
from salus.workflows.link_join import Joined, join

HEADS = ("field", "agreement", "left", "right")
DECISIONS = {"--accept": Standing.ACCEPTED, "--refuse": Standing.REFUSED}


def link(
    declaration: Annotated[
        Path, typer.Argument(help="The YAML file that names the systems.", metavar="LINK.yaml")
    ],
    waiting: Annotated[
        bool, typer.Option("--doubtful", help="List the pairs that wait for a person.")
    ] = False,
    shown: Annotated[
        int | None, typer.Option("--show", help="Show both records of a ledger line: patients' own values.")
    ] = None,
    accepted: Annotated[int | None, typer.Option("--accept", help="They are one person.")] = None,
    refused: Annotated[int | None, typer.Option("--refuse", help="They are two.")] = None,
    undone: Annotated[
        int | None, typer.Option("--undo", help="Undo a ledger line; it stays in the ledger.")
    ] = None,
    by: Annotated[str, typer.Option(help="Who decides or looks.")] = "",
    reason: Annotated[str, typer.Option(help="Why, without any value of the patient.")] = "",
    to: Annotated[
        Path | None, typer.Option("--join", help="Write the systems' timelines as one into this folder.")
    ] = None,
    processes: Annotated[int, typer.Option(help="How many processors compare.", min=1)] = 1,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Find who is one patient in several systems; without options: read, compare, and keep what is found."""
    numbered = {"--show": shown, "--accept": accepted, "--refuse": refused, "--undo": undone}
    asked = [(name, number) for name, number in numbered.items() if number is not None]
    _check_one([name for name, _ in asked] + ["--doubtful"] * waiting + ["--join"] * (to is not None))
    signed = Signed(by=by, reason=reason, when=datetime.now(UTC))
    if asked:
        _about_line(declaration, asked[0], signed, as_json)
    elif waiting:
        found = doubtful(declaration)
        console.result(found, as_json, _work_list(found))
    elif to is not None:
        with console.session(as_json) as progress:
            joined = join(declaration, to, progress=progress)
        console.result(joined.as_json() | {"timeline": str(to)}, as_json, _joined(joined, to))
    else:
        with console.session(as_json) as progress:
            linked = run_link(declaration, now=signed.when, processes=processes, progress=progress)
        console.result(_plain(linked), as_json, _linked(linked))


def _check_one(asked: list[str]) -> None:
    if len(asked) > 1:
        raise UsageProblem(
            f"{' and '.join(asked)} are two things", where="salus link", fix="ask one at a time"
        )


def _about_line(declaration: Path, asked: tuple[str, int], signed: Signed, as_json: bool) -> None:
    what, number = asked
    if what == "--show":
        heads, rows = HEADS, show(declaration, number, signed=signed)
        payload = [dict(zip(heads, row, strict=True)) for row in rows]
        console.result(payload, as_json, console.table(heads, rows))
    elif what == "--undo":
        _tell(undo(declaration, number, signed=signed), as_json)
    else:
        _tell(decide(declaration, number, DECISIONS[what], signed=signed), as_json)


def _tell(line: Line, as_json: bool) -> None:
    undoes = f" of line {line.undoes}" if line.undoes is not None else ""
    console.result(
        line, as_json, [f"line {line.number}: {line.pair}: {line.act.value}{undoes} by {line.who}"]
    )


def _work_list(found: list[Line]) -> list[str]:
    if not found:
        return ["no pair waits for a person"]
    rows = [[str(line.number), f"{line.weight or 0:.1f}", line.reason, _agreements(line)] for line in found]
    return [
        *console.table(["line", "bits", "why it is doubtful", "what agrees"], rows),
        "decide with --accept LINE or --refuse LINE, each with --by NAME and --reason TEXT; --show LINE to look",
    ]


def _agreements(line: Line) -> str:
    said = [f"{name} {word.value}" for name, word in line.fields.items() if word.value != "not said"]
    return ", ".join(said)


def _plain(linked: Linked) -> dict[str, object]:
    return {
        "systems": {
            one.system: {
                "read": one.read,
                "kept": one.kept,
                "people": len(one.people),
                "rejected": one.rejected,
            }
            for one in linked.read
        },
        "added": linked.added,
        "standing": linked.standing,
        "people_by_records": linked.people,
        "ledger": linked.digest,
    }


def _linked(linked: Linked) -> list[str]:
    rows = [
        [one.system, f"{one.read:,}", f"{len(one.people):,}", f"{sum(one.rejected.values()):,}"]
        for one in linked.read
    ]
    lines = console.table(["system", "records read", "people", "rejected"], rows)
    lines += [
        f"{one.system}: rejected {count:,}: {why}"
        for one in linked.read
        for why, count in one.rejected.items()
    ]
    lines.append(f"pairs: {_counts(linked.standing)}; added now: {_counts(linked.added)}")
    lines.append(
        "people: " + ", ".join(f"{count:,} with {size} records" for size, count in linked.people.items())
    )
    return [*lines, f"ledger: {linked.digest}"]


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())) or "none"


def _joined(joined: Joined, to: Path) -> list[str]:
    rows = [[name, f"{count:,}", f"{joined.kept.get(name, 0):,}"] for name, count in joined.read.items()]
    lines = console.table(["system", "events read", "kept"], rows)
    lines.append(f"{joined.told_again:,} events were told by several systems and are kept once")
    lines += [
        f"{count:,} people have two different {code}" for code, count in joined.disagree.items() if count
    ]
    lines.append(
        "people: " + ", ".join(f"{count:,} with {size} records" for size, count in joined.people.items())
    )
    return [*lines, f"timeline: {to}"]
