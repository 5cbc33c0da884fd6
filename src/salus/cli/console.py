"""What a command shows: progress and errors on stderr, results on stdout."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Column

from salus.compute.ray_cluster import ray_cluster
from salus.errors import (
    DiskFull,
    FileTrouble,
    OutOfMemory,
    SalusError,
    SettingsRefused,
    UsageProblem,
    nearest,
    unexpected,
)
from salus.progress import Progress, Step

JSON_OPTION = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
RAY_OPTION = Annotated[
    str | None, typer.Option(help="Work on the Ray cluster whose head is at host:port.", metavar="ADDRESS")
]
PROTOCOL_OPTION = Annotated[
    Path | None,
    typer.Option(
        help="Use case whose frozen protocol the model passed on real records: opens the lock for what is synthetic.",
        metavar="USECASE_DIR",
    ),
]
TO_MEASURE_OPTION = Annotated[
    bool,
    typer.Option(
        "--to-measure",
        help="Only to measure the --protocol's evidence, which is not there yet; never to be used.",
    ),
]
WITHOUT_NOTE = 76
"""Columns that name, bar, count and time may take; the note beside them gets the rest of the screen."""
PLAIN_SECONDS = 10.0
"""Seconds between two plain progress lines where there is no terminal."""


@contextmanager
def on_cluster(address: str | None) -> Iterator[None]:
    """Work on the cluster at ``address``, if one is named, and say how that went on standard error."""
    with ray_cluster(address) as cluster:
        yield
    if cluster is not None:
        print(
            f"worked on {cluster.nodes} nodes with {cluster.processors} processors; processes lost and replaced: "
            f"{cluster.tally.lost}",
            file=sys.stderr,
        )


def guard(call: Callable[[], int], *, error_code: int | None = None) -> int:
    """Run ``call`` and turn whatever goes wrong into a readable message and an exit code.

    ``error_code``: what every error exits with, for a command whose other codes are answers.
    The one place that may catch every exception: anywhere else that would turn a bug into a wrong number.
    """
    failed, mistyped = (1, 2) if error_code is None else (error_code, error_code)
    try:
        return call()
    except (UsageProblem, SettingsRefused) as problem:
        return _complain(problem, mistyped)
    except SalusError as problem:
        return _complain(problem, failed)
    except KeyboardInterrupt:
        return _stopped()
    except BrokenPipeError:
        # The reader of our output has left (for example `salus … | head`); that is no failure of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return failed
    except OSError as problem:
        return _complain(_file_trouble(problem), failed)
    except MemoryError:
        return _complain(
            OutOfMemory(
                "memory ran out", where="this machine", fix="close other programs or use fewer patients"
            ),
            failed,
        )
    except Exception as problem:
        return _complain(_disk_full() if _says_full(problem) else unexpected(problem), failed)


def run_command(
    function: Callable[..., None], name: str, given: Sequence[str], *, help_text: str, example: str
) -> int:
    """Parse ``given`` for one command and call it; 130 when the user stopped it."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command(
        help=help_text,
        epilog=f"Example: {example}",
        context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
    )(function)
    try:
        code = app(args=list(given), prog_name=f"salus {name}", standalone_mode=False)
    except typer.TyperException as problem:
        raise _usage(problem, name) from problem
    except typer.Abort:
        return _stopped()
    return _stopped() if code == 130 else int(code or 0)


def result(payload: object, as_json: bool, lines: Sequence[str] = ()) -> None:
    """Print the result: ``payload`` as JSON, or ``lines`` for a person."""
    if as_json or not lines:
        print(json.dumps(plain(payload), indent=2, ensure_ascii=False))
    else:
        print("\n".join(lines))


def plain(value: object) -> object:
    """Reduce dataclasses, paths and numbers that JSON has no word for to plain JSON values.

    >>> plain({"folder": Path("a"), "value": float("nan")})
    {'folder': 'a', 'value': None}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else str(value)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out text columns with a rule under the heads.

    >>> table(["task", "AUROC"], [["death", "0.81"]])
    ['task   AUROC', '-----  -----', 'death  0.81']
    """
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    laid = [heads, ["-" * width for width in widths], *rows]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in laid
    ]


@contextmanager
def session(as_json: bool = False) -> Iterator[Progress]:
    """Show progress on stderr while the work inside runs: bars on a terminal, plain lines elsewhere."""
    screen = Console(stderr=True)
    if not screen.is_terminal or as_json:
        yield _PlainProgress()
        return
    columns = (
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=8, table_column=Column(min_width=8)),
        TextColumn("{task.fields[count]}", table_column=Column(no_wrap=True)),
        TimeRemainingColumn(
            compact=True, elapsed_when_finished=True, table_column=Column(no_wrap=True, min_width=5)
        ),
        TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True)),
    )
    with RichProgress(*columns, console=screen) as bars:
        yield _Bars(bars, max(screen.width - WITHOUT_NOTE, 0))


class _Bars:
    """Progress drawn as bars on a terminal."""

    def __init__(self, bars: RichProgress, room: int) -> None:
        self._bars, self._room = bars, room

    @contextmanager
    def step(self, name: str, total: float | None = None, unit: str = "") -> Iterator[Step]:
        """Draw one bar until the stage ends."""
        task = self._bars.add_task(name, total=total, count="", note="")
        bar = _Bar(self._bars, task, describing=(total, unit), room=self._room)
        yield bar
        bar.finish()


class _Bar:
    def __init__(
        self, bars: RichProgress, task: TaskID, *, describing: tuple[float | None, str], room: int
    ) -> None:
        self._bars, self._task, self._room = bars, task, room
        self._total, self._unit = describing
        self._done, self._start, self._note = 0.0, time.monotonic(), ""

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Move the bar on."""
        self._done += amount
        count = describe(self._done, self._total, self._unit, time.monotonic() - self._start)
        self._note = note[: self._room] or self._note
        self._bars.update(self._task, advance=amount, count=count, note=self._note)

    def finish(self) -> None:
        """Fill the bar: the stage is over, whatever the guess of its size was."""
        total = self._total if self._total is not None else max(self._done, 1.0)
        self._bars.update(self._task, total=total, completed=total)


class _PlainProgress:
    """Progress as plain lines, for logs."""

    @contextmanager
    def step(self, name: str, total: float | None = None, unit: str = "") -> Iterator[Step]:
        """Say when a stage starts and ends, and now and then how far it is."""
        start = time.monotonic()
        print(f"{name} …", file=sys.stderr, flush=True)
        line = _PlainStep(name, total, unit)
        yield line
        print(f"{name}: done in {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)


class _PlainStep:
    def __init__(self, name: str, total: float | None, unit: str) -> None:
        self._name, self._total, self._unit = name, total, unit
        self._done, self._start = 0.0, time.monotonic()
        self._said = self._start

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Print a line when the last one is old enough."""
        self._done += amount
        now = time.monotonic()
        if now - self._said >= PLAIN_SECONDS:
            self._said = now
            words = describe(self._done, self._total, self._unit, now - self._start)
            left = _left(self._done, self._total, now - self._start)
            print("  ".join(filter(None, [f"{self._name}:", words, left, note])), file=sys.stderr, flush=True)


def describe(done: float, total: float | None, unit: str, seconds: float) -> str:
    """Say how much is done and how fast.

    >>> describe(1000, 4000, "rows", 2.0)
    '1,000 of 4,000 rows, 500/s'
    """
    amount = f"{done:,.0f}" if total is None else f"{done:,.0f} of {total:,.0f}"
    rate = done / seconds if seconds > 0 else 0.0
    return f"{amount} {unit}".rstrip() + (
        f", {rate:,.0f}/s" if rate >= 1 and unit not in ("s", "seconds") else ""
    )


def _left(done: float, total: float | None, seconds: float) -> str:
    if total is None or done <= 0:
        return ""
    return f"{max(total - done, 0) / done * seconds:.0f} s left"


def _usage(problem: typer.TyperException, name: str) -> UsageProblem:
    wrong, known = getattr(problem, "option_name", None), _options_of(problem)
    said = _with_nearest(problem.format_message().rstrip(".").replace("Value error, ", ""))
    if wrong and known:
        said = f"there is no option {wrong}{nearest(wrong, known)}"
    return UsageProblem(
        said, where=f"salus {name}", fix=f"salus {name} --help shows the options and an example"
    )


def _with_nearest(said: str) -> str:
    """Add the nearest choice to "'x' is not one of 'a', 'b'"."""
    found = re.search(r"'([^']*)' is not one of (.+)$", said)
    return said + nearest(found[1], re.findall(r"'([^']*)'", found[2])) if found else said


def _options_of(problem: typer.TyperException) -> list[str]:
    context = getattr(problem, "ctx", None)
    parameters = context.command.params if context is not None else []
    return [option for parameter in parameters for option in parameter.opts if option.startswith("--")]


def _file_trouble(problem: OSError) -> SalusError:
    path = Path(problem.filename).name if isinstance(problem.filename, str) else "the output folder"
    if problem.errno in (errno.ENOSPC, errno.EDQUOT) or _says_full(problem):
        return _disk_full(path)
    reason = (problem.strerror or str(problem) or type(problem).__name__).lower()
    return FileTrouble(
        reason, where=path, fix="check that the path exists and that you may read and write it"
    )


def _says_full(problem: Exception) -> bool:
    # Polars, Arrow and safetensors wrap the system's error in types of their own, without its number.
    return "No space left on device" in str(problem)


def _disk_full(where: str = "the output folder") -> DiskFull:
    return DiskFull(
        "the disk is full",
        where=where,
        fix="free some space (df -h shows how much there is), then run the same command again to resume",
    )


def _complain(problem: SalusError, code: int) -> int:
    print(str(problem), file=sys.stderr)
    return code


def _stopped() -> int:
    print("stopped; run the same command again to resume", file=sys.stderr)
    return 130
