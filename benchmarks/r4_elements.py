"""Write the table of FHIR R4's elements that `salus.formats` ships, from the official definitions.

The definitions are those of the npm package hl7.fhir.r4.examples 4.0.1 (CC0):
    npm pack hl7.fhir.r4.examples@4.0.1 && tar xzf hl7.fhir.r4.examples-4.0.1.tgz
    python -m benchmarks.r4_elements package
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.blocks import ROOT

TABLE = ROOT / "src" / "salus" / "formats" / "r4_elements.txt"
SYSTEM_TYPE = "http://hl7.org/fhirpath/System."


def lines_of(definition: dict[str, object]) -> list[str]:
    """One line a type or backbone element: its name, what it is derived from, and its own elements."""
    snapshot = definition["snapshot"]["element"]  # type: ignore[index]
    inherited = str(definition.get("baseDefinition", "")).rsplit("/", 1)[-1]
    root = snapshot[0]["path"]
    owners: dict[str, list[str]] = {root: []}
    above = {root: inherited}
    for element in snapshot[1:]:
        path = element["path"]
        owner, _, name = path.rpartition(".")
        if element.get("base", {}).get("path", path).rpartition(".")[0] not in (owner, ""):
            continue
        kinds = _kinds(element, path)
        if kinds in (["BackboneElement"], ["Element"]) and root not in ("Element", "BackboneElement"):
            owners[path], above[path] = [], kinds[0]
            kinds = [path]
        many = "*" if element.get("max") == "*" else ""
        owners.setdefault(owner, []).append(f"{name.removesuffix('[x]')}{many}:{'|'.join(kinds)}")
    return [f"{name}<{above.get(name, '')} {' '.join(told)}".rstrip() for name, told in owners.items()]


def _kinds(element: dict[str, object], path: str) -> list[str]:
    if "contentReference" in element:
        return [str(element["contentReference"]).rpartition("#")[2]]
    kinds = []
    for kind in element.get("type", []):  # type: ignore[attr-defined]
        code = str(kind["code"])
        kinds.append("string" if code.startswith(SYSTEM_TYPE) else code)
    return kinds


def main() -> None:
    """Read a folder of definitions and rewrite the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path)
    lines = []
    for path in sorted(parser.parse_args().package.glob("StructureDefinition-*.json")):
        definition = json.loads(path.read_bytes())
        wanted = definition.get("kind") in ("resource", "complex-type")
        if wanted and definition.get("derivation") != "constraint" and "snapshot" in definition:
            lines += lines_of(definition)
    TABLE.write_text("\n".join(sorted(lines)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
