"""``salus listen``: take HL7 v2 messages over MLLP."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.errors import UsageProblem
from salus.intake.mllp_listener import DEFAULT, Limits
from salus.intake.mllp_tls import tls_context
from salus.workflows.listen import Address, Listening
from salus.workflows.listen import listen as run_listen

MEGABYTE = 1_000_000


def listen(
    mllp: Annotated[str, typer.Option(help="Where to listen for messages.", metavar="HOST:PORT")],
    to: Annotated[Path, typer.Option(help="Folder to keep them in; `salus ingest` reads it.")],
    largest: Annotated[
        float, typer.Option(help="Largest message in megabytes; a larger one is refused (AR).", min=0.001)
    ] = DEFAULT.largest / MEGABYTE,
    connections: Annotated[
        int, typer.Option(help="Senders at the same time, at most.", min=1)
    ] = DEFAULT.connections,
    silence: Annotated[
        float, typer.Option(help="Seconds a sender may be silent in the middle of a message.", min=0.01)
    ] = DEFAULT.silence,
    certificate: Annotated[
        Path | None, typer.Option(help="TLS: the listener's certificate, PEM, with those above it.")
    ] = None,
    private_key: Annotated[
        Path | None, typer.Option(help="TLS: its private key, PEM, where that is another file.")
    ] = None,
    senders: Annotated[
        Path | None,
        typer.Option(help="TLS: the authorities of certificates that senders must show; else anybody sends."),
    ] = None,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Take HL7 v2 messages over MLLP; what is acknowledged is on the disk."""
    host, port = _address(mllp)
    address = Address(host, port, _tls(certificate, private_key, senders))
    limits = Limits(largest=int(largest * MEGABYTE), connections=connections, silence=silence)

    def announce(found: Listening) -> None:
        console.result(asdict(found) | {"to": str(to)}, as_json, _lines(found, to))
        sys.stdout.flush()

    counts = run_listen(address, to, limits=limits, announce=announce, tell=_tell)
    _tell(counts)


def _address(written: str) -> tuple[str, int]:
    host, _, port = written.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise UsageProblem(
            f"'{written}' is no address and port",
            where="--mllp",
            fix="write it as 127.0.0.1:2575",
        )
    return host.strip("[]"), int(port)


def _tls(certificate: Path | None, key: Path | None, senders: Path | None) -> ssl.SSLContext | None:
    if certificate is not None:
        return tls_context(certificate, key=key, senders=senders)
    if key is not None or senders is not None:
        raise UsageProblem(
            "TLS wants the listener's own certificate",
            where="--certificate",
            fix="give --certificate FILE beside --private-key and --senders",
        )
    return None


def _lines(found: Listening, to: Path) -> list[str]:
    lines = [f"listening: {found.host} port {found.port}; Ctrl-C stops", f"journal: {to}"]
    if found.known:
        lines.append(f"known from before: {found.known:,} messages; sent again they are not kept twice")
    if found.cut:
        lines.append(f"cut off: {found.cut:,} bytes of a message that was not acknowledged")
    if found.encrypted:
        lines.append(f"TLS: {'senders show certificates' if found.senders_known else 'anybody may send'}")
    if found.is_open and not found.encrypted:
        lines.append(
            "! other machines can send here, in the clear: give --certificate, or fence the port off"
        )
    elif found.is_open and not found.senders_known:
        lines.append(
            "! other machines can send here, whoever they are: give --senders, or fence the port off"
        )
    return lines


def _tell(counts: Mapping[str, int]) -> None:
    """Counts on standard error: never what a message holds."""
    print(", ".join(f"{name} {count:,}" for name, count in counts.items()) or "nothing came", file=sys.stderr)
