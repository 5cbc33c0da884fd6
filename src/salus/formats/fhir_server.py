"""Where a FHIR server is and how it is asked: an address alone, or a small YAML file beside the key.

    fhir: https://hospital.example/fhir     # the base address
    key: client-key.pem                     # SMART Backend Services: the private key, EC P-384 or RSA …
    client: salus-research                  # … and the client's name, as the server knows it
    scope: system/*.read                    # what is asked for (left out: system/*.read)
    token: FHIR_TOKEN                       # instead of a key: the environment variable that holds a bearer token
    take: export                            # or pages; left out: export, and pages where the server has none
    types: [Patient, Observation]           # left out: those that the views read
    group: cohort-7                         # export the patients of this Group only
    since: 2024-01-01T00:00:00Z             # left out: everything at first, later what is new since the last time

Keys and tokens stand in files and variables of their own, never in this one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from salus.errors import SourceValueError
from salus.formats.strict_yaml import Section, read_section

WAYS = ("either", "export", "pages")
SCOPE = "system/*.read"


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirServer:
    """A server as described. ``base`` has no slash at its end; ``key`` is None where a token or nothing opens it."""

    base: str
    key: Path | None = None
    client: str = ""
    scope: str = SCOPE
    token_variable: str = ""
    take: str = "either"
    types: tuple[str, ...] = ()
    group: str = ""
    since: str = ""


def is_address(source: str) -> bool:
    """Whether a source is the address of a server.

    >>> is_address("https://hospital.example/fhir"), is_address("exports/2024")
    (True, False)
    """
    return urlsplit(source).scheme in ("http", "https")


def is_server_file(path: Path) -> bool:
    """Whether a YAML file describes a server (it has the key ``fhir``)."""
    if path.suffix.lower() not in (".yaml", ".yml") or not path.is_file():
        return False
    return any(
        line.startswith("fhir:") for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
    )


def read_server(source: str) -> FhirServer:
    """Read an address, or a YAML file. Raises SourceValueError (SAL-103)."""
    if is_address(source):
        return FhirServer(base=_address(source))
    path = Path(source)
    top = read_section(path)
    key, since = top.text("key", ""), top.text("since", "")
    server = FhirServer(
        base=_address(top.text("fhir")),
        key=(path.parent / os.path.expandvars(key)) if key else None,
        client=top.text("client", ""),
        scope=top.text("scope", SCOPE),
        token_variable=top.text("token", ""),
        take=top.one_of("take", WAYS, "either"),
        types=top.words("types"),
        group=top.text("group", ""),
        since=_instant(since, top) if since else "",
    )
    top.done()
    if bool(server.key) != bool(server.client):
        raise _wrong(top, "'key' and 'client' belong together", "name both, or neither")
    if server.key and server.token_variable:
        raise _wrong(top, "there is a key and a token", "name one of them")
    if server.group and server.take == "pages":
        raise _wrong(top, "a group is exported, not searched for", "write 'take: export'")
    return server


def _address(address: str) -> str:
    parts = urlsplit(address)
    if parts.username or parts.password:
        raise SourceValueError(
            "the address holds a name or password",
            where=parts.hostname or "the address",
            fix="name an environment variable with a bearer token in a YAML file: token: FHIR_TOKEN",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise SourceValueError(
            "this is no base address of a FHIR server",
            where=parts.hostname or "the address",
            fix="write it as https://hospital.example/fhir",
        )
    return address.rstrip("/")


def _instant(written: str, top: Section) -> str:
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise _wrong(top, "'since' is no instant with a zone", "write it as 2024-01-01T00:00:00Z")
    return found.isoformat()


def _wrong(top: Section, what: str, fix: str) -> SourceValueError:
    return top.wrong(what, fix)
