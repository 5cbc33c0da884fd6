"""Freeze a protocol before its evidence is measured, and notice when it was edited afterwards.

``protocol.frozen.json`` beside the protocol holds its version, the SHA-256 of its bytes, and when it was frozen. It is
the only place that says so. Who can write the folder can write this file too: it shows slips, not fraud.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from salus.errors import ProtocolChanged, ProtocolFileError, ProtocolFrozen
from salus.programme.protocol import Protocol
from salus.programme.read_protocol import read_protocol
from salus.programme.usecase_folder import UseCaseFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """Which version was frozen, as which bytes, and when."""

    version: int
    digest: str
    frozen_at: datetime

    def as_json(self) -> dict[str, str | int]:
        """What protocol.frozen.json holds."""
        return {
            "version": self.version,
            "digest": self.digest,
            "frozen_at": self.frozen_at.isoformat(),
        }


def freeze(folder: UseCaseFolder, now: datetime) -> Freeze:
    """Freeze the protocol as it stands. What is frozen already with the same bytes keeps its time.

    Raises ProtocolFrozen (SAL-606) where this version or a later one is frozen with other bytes.
    """
    protocol, before = read_protocol(folder.protocol), read_freeze(folder)
    if before is not None and before.digest == protocol.digest:
        return before
    if before is not None and protocol.version <= before.version:
        raise ProtocolFrozen(
            f"version {before.version} was frozen on {before.frozen_at.date()} and reads differently",
            where=str(folder.protocol),
            fix=f"write 'version: {before.version + 1}' into it, then freeze again",
        )
    made = Freeze(
        version=protocol.version,
        digest=protocol.digest,
        frozen_at=now.astimezone(UTC).replace(microsecond=0),
    )
    partial = folder.frozen.with_name(f".{folder.frozen.name}.partial-{os.getpid()}")
    partial.write_text(json.dumps(made.as_json(), indent=1) + "\n", encoding="utf-8")
    partial.replace(folder.frozen)
    return made


def read_freeze(folder: UseCaseFolder) -> Freeze | None:
    """Read protocol.frozen.json; None where there is none."""
    try:
        content = json.loads(folder.frozen.read_text(encoding="utf-8"))
        found = Freeze(
            version=int(content["version"]),
            digest=str(content["digest"]),
            frozen_at=datetime.fromisoformat(content["frozen_at"]),
        )
        if found.frozen_at.tzinfo is None:
            raise ValueError("a time without its zone")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ProtocolFileError(
            f"'{folder.frozen.name}' is cut short or of another form",
            where=str(folder.frozen),
            fix="restore it as it was committed, or remove it and freeze again with `salus freeze`",
        ) from error
    return found


def check_frozen(folder: UseCaseFolder, protocol: Protocol) -> Protocol:
    """Give the protocol with the time it was frozen at; None there where this version is not frozen yet.

    Raises ProtocolChanged (SAL-604) where it reads differently from what was frozen and its version was not raised.
    """
    frozen = read_freeze(folder)
    if frozen is None or protocol.version > frozen.version:
        return replace(protocol, frozen_at=None)
    if frozen.digest != protocol.digest or frozen.version != protocol.version:
        raise ProtocolChanged(
            f"the protocol was edited after version {frozen.version} was frozen on {frozen.frozen_at.date()} "
            f"(frozen {frozen.digest[:12]}, now {protocol.digest[:12]})",
            where=str(folder.protocol),
            fix=f"put the frozen text back, or write 'version: {frozen.version + 1}' and freeze it anew",
        )
    return replace(protocol, frozen_at=frozen.frozen_at)


def read_frozen_protocol(folder: UseCaseFolder) -> Protocol:
    """Read a use case's protocol and see whether it is the one that was frozen."""
    return check_frozen(folder, read_protocol(folder.protocol))
