"""What a source is, where it is plain to see: FHIR, OMOP, HL7 v2, MEDS, or a source.yaml."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from salus.formats.fhir_server import is_address, is_server_file
from salus.formats.omop import PERSON
from salus.intake.fhir_files import LINES, find_files, form_of
from salus.intake.hl7v2_files import NAMES as HL7V2_NAMES
from salus.intake.omop import DUCKDB
from salus.intake.omop_postgres import is_postgres

UNMISTAKABLE = tuple(name for name in HL7V2_NAMES if name not in (".txt", ".dat", ".msg"))


class Form(StrEnum):
    """What a source is."""

    YAML = "yaml"
    FHIR = "fhir"
    HL7V2 = "hl7v2"
    OMOP = "omop"
    MEDS = "meds"


def form_seen(source: str) -> Form:
    """Tell by names alone; what is not plain is a source.yaml.

    >>> form_seen("export/Observation.ndjson.gz"), form_seen("postgresql://db/omop"), form_seen("source.yaml")
    (<Form.FHIR: 'fhir'>, <Form.OMOP: 'omop'>, <Form.YAML: 'yaml'>)
    """
    path = Path(source)
    if is_address(source) or is_server_file(path):
        return Form.FHIR
    if is_postgres(source) or path.suffix.lower() in DUCKDB:
        return Form.OMOP
    if path.is_dir():
        return _folder(path)
    if form_of(path) and path.suffix.lower() not in (".yaml", ".yml"):
        return Form.FHIR
    return Form.HL7V2 if path.suffix.lower() in UNMISTAKABLE else Form.YAML


def _folder(folder: Path) -> Form:
    if (folder / "metadata" / "dataset.json").is_file() and (folder / "data").is_dir():
        return Form.MEDS
    names = [path.name.lower() for path in folder.iterdir()]
    if (folder / "journal").is_dir() or any(name.endswith(UNMISTAKABLE) for name in names):
        return Form.HL7V2
    if any(name.startswith(f"{PERSON}.") for name in names):
        return Form.OMOP
    files, _ = find_files(folder)
    has_lines = any(any(mark in name.lower() for mark in LINES) for name, _ in files)
    return (
        Form.FHIR
        if has_lines or (files and not any(name.endswith((".yaml", ".yml")) for name in names))
        else Form.YAML
    )
