"""An invented population as the files of four systems, and the LINK.yaml that names them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path

from benchmarks.linkage_population import Population
from salus.linkage.identity import Identity

GENDERS = {"M": "male", "F": "female"}
TABLE = ("id", "given", "family", "former", "birth_date", "sex", "street", "postcode", "phone")
DECLARED = """\
folder: identities
systems:
  clinic: {as: fhir, identities: clinic.ndjson, timeline: clinic}
  lab: {as: hl7v2, identities: lab.hl7, timeline: lab}
  registry:
    as: table
    numbered: omop
    identities: registry.csv
    columns: {COLUMNS}
    identifiers: {"urn:national": "urn:national", "urn:insurance": "urn:insurance"}
    timeline: registry
  trial:
    as: table
    identities: trial.csv
    columns: {COLUMNS}
    timeline: trial
""".replace("{COLUMNS}", "{" + ", ".join(f"{name}: {name}" for name in TABLE) + "}")


def write_systems(folder: Path, people: Population) -> Path:
    """Write each system's records in its form; gives the LINK.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    held = {name: [one for one in people.records if one.system == name] for name in people.systems}
    with (folder / "clinic.ndjson").open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(_patient(one)) + "\n" for one in held["clinic"])
    with (folder / "lab.hl7").open("w", encoding="utf-8", newline="") as out:
        out.writelines(_message(number, one) for number, one in enumerate(held["lab"]))
    for name in ("registry", "trial"):
        _write_table(folder / f"{name}.csv", held[name])
    path = folder / "link.yaml"
    path.write_text(DECLARED, encoding="utf-8")
    return path


def _patient(one: Identity) -> dict[str, object]:
    names = [{"use": "official", "family": one.family, "given": one.given.split()}]
    names += [{"use": "maiden", "family": one.former}] * bool(one.former)
    told: dict[str, object] = {
        "resourceType": "Patient",
        "id": one.id,
        "name": names,
        "address": [{"line": [one.street], "postalCode": one.postcode}],
        "telecom": [{"system": "phone", "value": one.phone}] * bool(one.phone),
        "identifier": [
            dict(zip(("system", "value"), text.split("|"), strict=True)) for text in one.identifiers
        ],
    }
    if one.sex:
        told["gender"] = GENDERS[one.sex]
    return told | ({"birthDate": one.birth_date.isoformat()} if one.birth_date else {})


def _message(number: int, one: Identity) -> str:
    numbers = [f"{one.id}^^^LAB^PI", *("^^^".join(text.split("|")[::-1]) for text in one.identifiers)]
    names = [f"{one.family}^{'^'.join(one.given.split())}"]
    names += [f"{one.former}^^^^^^M"] * bool(one.former)
    born = f"{one.birth_date:%Y%m%d}" if one.birth_date else ""
    return (
        f"MSH|^~\\&|LAB|HOSP|||20260101120000||ADT^A08|{number}|P|2.5\r"
        f"PID|1||{'~'.join(numbers)}||{'~'.join(names)}||{born}|{one.sex}|||{one.street}^^^^{one.postcode}"
        f"||{one.phone}\r"
    )


def _write_table(path: Path, people: Iterable[Identity]) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow([*TABLE, "urn:national", "urn:insurance"])
        for one in people:
            told = dict(text.split("|") for text in one.identifiers)
            cells = ["" if (value := getattr(one, name)) is None else str(value) for name in TABLE]
            writer.writerow([*cells, told.get("urn:national", ""), told.get("urn:insurance", "")])
