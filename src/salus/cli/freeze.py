"""``salus freeze``: fix a protocol before its evidence is measured."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.programme.freezing import freeze as freeze_protocol
from salus.programme.usecase_folder import UseCaseFolder


def freeze(
    folder: Annotated[Path, typer.Argument(help="The use case's folder.", metavar="USECASE_DIR")],
    as_json: console.JSON_OPTION = False,
) -> None:
    """Write protocol.frozen.json: evidence measured from now on may open the gate, unless the protocol says no."""
    frozen = freeze_protocol(UseCaseFolder(folder), datetime.now(UTC))
    console.result(
        frozen.as_json(),
        as_json,
        [
            f"version {frozen.version} is frozen since {frozen.frozen_at.isoformat()}",
            f"digest {frozen.digest}",
            "Commit protocol.frozen.json beside protocol.yaml. Evidence measured before is exploratory.",
        ],
    )
