"""Write what `salus.formats.fhir_validation` ships of FHIR R4: elements, rules, extensions and codes.

The definitions are those of the npm package hl7.fhir.r4.examples 4.0.1 (CC0):
    npm pack hl7.fhir.r4.examples@4.0.1 && tar xzf hl7.fhir.r4.examples-4.0.1.tgz
    python -m benchmarks.r4_rules package
"""

from __future__ import annotations

import argparse
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.blocks import ROOT

FOLDER = ROOT / "src" / "salus" / "formats" / "fhir_validation"
NOTICE = (
    "From the definitions of HL7 FHIR R4 4.0.1 (npm hl7.fhir.r4.examples, CC0-1.0), by benchmarks/r4_rules.py"
)
SYSTEM_TYPE = "http://hl7.org/fhirpath/System."
PLACE = "http://hl7.org/fhir/StructureDefinition/"
CORRECTED = {
    # The rule's words say "more than one"; its expression, a known erratum of R4, says "> 2".
    "que-12": "enableWhen.count() > 1 implies enableBehavior.exists()",
    # The expression asks whether the version is among the guide's: %context is the element, not a variable of it.
    "ig-2": "definition.resource.fhirVersion.all(%resource.fhirVersion contains $this)",
    # Of what is absent nothing is asked: an empty answer is no yes.
    "bdl-8": "fullUrl.empty() or fullUrl.contains('/_history/').not()",
    "ras-2": "probability.empty() or (probability is decimal implies (probability as decimal) <= 100)",
    "ig-1": "resource.groupingId.all(%resource.definition.grouping.id contains $this)",
}
"""Expressions that do not say what the words of their rule say."""
ALSO = {
    f"{PLACE}structuredefinition-fhir-type": ["ElementDefinition.type"],
    f"{PLACE}regex": ["ElementDefinition.type"],
    f"{PLACE}structuredefinition-normative-version": ["Element"],
}
"""Places where R4's own definitions have an extension, beside those that the extension names."""


def types_of(definition: dict[str, Any]) -> dict[str, Any]:
    """A type and its backbone elements, each with its own elements and rules."""
    snapshot = definition["snapshot"]["element"]
    root = snapshot[0]["path"]
    above = str(definition.get("baseDefinition", "")).rsplit("/", 1)[-1]
    source = definition["url"]
    owners: dict[str, Any] = {root: {"above": above, "rules": _rules(snapshot[0], source), "elements": {}}}
    for element in snapshot[1:]:
        path = element["path"]
        owner, _, name = path.rpartition(".")
        if element.get("base", {}).get("path", path).rpartition(".")[0] not in (owner, ""):
            continue
        kinds, rules = _kinds(element), _rules(element, source)
        if kinds in (["BackboneElement"], ["Element"]) and root not in ("Element", "BackboneElement"):
            owners[path] = {"above": kinds[0], "rules": rules, "elements": {}}
            kinds, rules = [path], []
        most = None if element["max"] == "*" else int(element["max"])
        told = {**({"rules": rules} if rules else {}), **_about(element)}
        row = [element["min"], most, kinds, *([told] if told else [])]
        owners[owner]["elements"][name] = row
    return owners


def _about(element: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    targets = [
        target.removeprefix(PLACE)
        for kind in element.get("type", [])
        for target in kind.get("targetProfile", [])
    ]
    if targets and not {"Resource", "Any"} & set(targets):
        told["targets"] = sorted(set(targets))
    binding = element.get("binding", {})
    if binding.get("strength") == "required" and "valueSet" in binding:
        told["codes"] = binding["valueSet"].partition("|")[0]
    return told


def _kinds(element: dict[str, Any]) -> list[str]:
    if "contentReference" in element:
        return [str(element["contentReference"]).rpartition("#")[2]]
    if element["path"].endswith(".id") and element.get("base", {}).get("path") == "Resource.id":
        return ["id"]  # the definition says "string"; the text of Resource says id
    return [_kind(kind) for kind in element.get("type", [])]


def _kind(told: dict[str, Any]) -> str:
    """The name of a type; FHIRPath's own types say in an extension which of FHIR's they stand for."""
    if not told["code"].startswith(SYSTEM_TYPE):
        return str(told["code"])
    return next((str(one["valueUrl"]) for one in told.get("extension", []) if "valueUrl" in one), "string")


def _rules(element: dict[str, Any], source: str) -> list[str]:
    """The names of an element's own invariants; some keys, such as inv-1, are those of several."""
    return [
        f"{one['key']} {element['path']}"
        for one in element.get("constraint", [])
        if one.get("source", source) == source and "expression" in one
    ]


def rules_of(definition: dict[str, Any]) -> dict[str, list[str]]:
    """The invariants of a type: key, how grave, expression and words, by their names."""
    return {
        f"{one['key']} {element['path']}": [
            one["key"],
            one["severity"],
            CORRECTED.get(one["key"], one["expression"]),
            one["human"],
        ]
        for element in definition["snapshot"]["element"]
        for one in element.get("constraint", [])
        if one.get("source", definition["url"]) == definition["url"] and "expression" in one
    }


def extension_of(definition: dict[str, Any]) -> dict[str, Any]:
    """Where an extension may stand, of which types its value is, and the extensions that it is made of."""
    kinds: list[str] = []
    parts = []
    for element in definition["snapshot"]["element"]:
        if element["path"] == "Extension.value[x]" and element.get("max") != "0":
            kinds = sorted({str(kind["code"]) for kind in element.get("type", [])})
        if element["path"] == "Extension.extension.url" and "fixedUri" in element:
            parts.append(element["fixedUri"])
    places = [one["expression"] for one in definition.get("context", []) if one["type"] == "element"]
    whole = all(one["type"] == "element" for one in definition.get("context", []))
    places += ALSO.get(definition["url"], [])
    return {"places": places if whole else [], "kinds": kinds, "parts": parts}


def codes_of(system: dict[str, Any]) -> dict[str, list[str]]:
    """The codes of a system with the words that may be shown for each."""

    def every(concepts: list[dict[str, Any]]) -> Iterator[tuple[str, list[str]]]:
        for one in concepts:
            told = [one.get("display", ""), *(other["value"] for other in one.get("designation", []))]
            yield one["code"], [text for text in told if text]
            yield from every(one.get("concept", []))

    return dict(every(system.get("concept", [])))


def value_set(definition: dict[str, Any], known: dict[str, Any], sets: dict[str, Any]) -> list[Any] | None:
    """Pairs of system and codes (None: all of the system); None: it cannot be listed from what ships."""
    found: list[Any] = []
    for one in definition["compose"]["include"]:
        if "filter" in one or ("system" not in one and "valueSet" not in one):
            return None
        for other in one.get("valueSet", []):
            inner = value_set(sets[other.partition("|")[0]], known, sets)
            if inner is None:
                return None
            found += inner
        if "concept" in one:
            found.append([one["system"], [concept["code"] for concept in one["concept"]]])
        elif "system" in one:
            if one["system"] not in known:
                return None
            found.append([one["system"], None])
    return found


def _lines(name: str, told: dict[str, Any]) -> None:
    rows = [json.dumps({"notice": NOTICE})]
    rows += [json.dumps([key, told[key]], ensure_ascii=False, separators=(",", ":")) for key in sorted(told)]
    raw = ("\n".join(rows) + "\n").encode()
    (FOLDER / name).write_bytes(lzma.compress(raw, preset=9) if name.endswith(".xz") else raw)


def main() -> None:
    """Read a folder of definitions and rewrite the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path)
    package = parser.parse_args().package
    types: dict[str, Any] = {}
    rules: dict[str, Any] = {}
    extensions: dict[str, Any] = {}
    for path in sorted(package.glob("StructureDefinition-*.json")):
        definition = json.loads(path.read_bytes())
        if "snapshot" not in definition:
            continue
        if definition.get("derivation") != "constraint" and definition["kind"] in (
            "resource",
            "complex-type",
        ):
            types |= types_of(definition)
            rules |= rules_of(definition)
        elif definition["type"] == "Extension":
            extensions[definition["url"]] = extension_of(definition)
    searches = [json.loads(path.read_bytes()) for path in sorted(package.glob("SearchParameter-*.json"))]
    systems: dict[str, Any] = {}
    for path in sorted(package.glob("CodeSystem-*.json")):
        system = json.loads(path.read_bytes())
        if system["content"] == "complete":
            told = {"codes": codes_of(system), "version": system.get("version", "")}
            told |= {} if system.get("caseSensitive", True) else {"any_case": True}
            systems[system["url"].partition("|")[0]] = told
    definitions = [json.loads(path.read_bytes()) for path in sorted(package.glob("ValueSet-*.json"))]
    sets = {one["url"]: one for one in definitions}
    bound = {about["codes"] for one in types.values() for about in _abouts(one) if "codes" in about}
    listed = {url: value_set(sets[url], systems, sets) for url in sorted(bound & set(sets))}
    _lines("r4_types.jsonl", types)
    _lines("r4_rules.jsonl", rules)
    _lines("r4_searches.jsonl", {one["url"]: [one["type"], one.get("base", [])] for one in searches})
    _lines("r4_extensions.jsonl", extensions)
    _lines("r4_code_systems.jsonl.xz", systems)
    _lines("r4_value_sets.jsonl", {url: pairs for url, pairs in listed.items() if pairs is not None})


def _abouts(one: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for row in one["elements"].values():
        if len(row) > 3:
            yield row[3]


if __name__ == "__main__":
    main()
