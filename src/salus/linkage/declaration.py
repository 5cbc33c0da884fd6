"""A LINK.yaml: which systems hold the patients, where each says who they are, and where that is kept.

.. code-block:: yaml

    folder: identities            # private; never inside a timeline
    systems:
      clinic:
        identities: export        # FHIR: files with Patients
        as: fhir
        key: pseudonyms.key       # the key that `salus ingest` was given
        timeline: build/clinic
      lab:
        identities: messages      # HL7 v2: files with PID segments
        as: hl7v2
        authorities: {SS: "http://hl7.org/fhir/sid/us-ssn"}
        timeline: build/lab
      trial:
        identities: people.csv    # CSV or Parquet: a row a patient
        as: table
        numbered: omop            # how the timeline numbers patients: yaml, omop, meds
        columns: {id: person_id, given: first, family: last, birth_date: born}
        identifiers: {"http://hl7.org/fhir/sid/us-ssn": ssn}
        dates: "%d.%m.%Y"
        sexes: {w: F, m: M}
        timeline: build/trial
    thresholds: {accept: 7, doubt: 0, margin: 6}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from salus.formats.strict_yaml import Section, read_section
from salus.linkage.deciding import THRESHOLDS, Thresholds

FIX = "correct it; the keys are explained in docs/how-to/link.md"
COLUMNS = ("id", "given", "family", "former", "birth_date", "sex", "street", "postcode", "phone")


class Way(StrEnum):
    """In what form a system says who its patients are."""

    FHIR = "fhir"
    HL7V2 = "hl7v2"
    TABLE = "table"


class Numbered(StrEnum):
    """How the timeline of a table's system numbers its patients."""

    YAML = "yaml"
    OMOP = "omop"
    MEDS = "meds"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One system. ``authorities``: other names for those who gave identifiers, so that all systems use one."""

    name: str
    identities: Path
    way: Way
    numbered: Numbered = Numbered.YAML
    key: Path | None = None
    timeline: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    identifiers: Mapping[str, str] = field(default_factory=dict)
    authorities: Mapping[str, str] = field(default_factory=dict)
    dates: str = "%Y-%m-%d"
    sexes: Mapping[str, str] = field(default_factory=dict)
    separator: str = ","


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What a LINK.yaml says. ``key``: of the numbers of people in the joined timeline."""

    path: Path
    folder: Path
    systems: tuple[System, ...]
    key: Path | None = None
    limits: Thresholds = THRESHOLDS


def read_declaration(path: Path) -> Declaration:
    """Read a LINK.yaml; paths in it are relative to it. Raises SourceFileError and its kin (SAL-101 to 103)."""
    top = read_section(path)
    near = path.parent
    systems = tuple(_system(name, section, near) for name, section in top.sections("systems"))
    told = Declaration(
        path=path,
        folder=near / top.text("folder"),
        systems=systems,
        key=near / top.text("key") if top.has("key") else None,
        limits=_limits(top),
    )
    top.done()
    if len(systems) < 2:
        raise top.wrong("'systems' names fewer than two", FIX)
    return told


def _limits(top: Section) -> Thresholds:
    if not top.has("thresholds"):
        return THRESHOLDS
    told = top.section("thresholds")
    given = {name: told.number(name) for name in ("accept", "doubt", "margin")}
    told.done()
    limits = Thresholds(**{name: value for name, value in given.items() if value is not None})
    if limits.doubt > limits.accept or limits.margin < 0:
        raise told.wrong("'doubt' must not be above 'accept', nor 'margin' below 0", FIX)
    return limits


def _system(name: str, told: Section, near: Path) -> System:
    way = Way(told.one_of("as", [one.value for one in Way]))
    system = System(
        name=name,
        identities=near / told.text("identities"),
        way=way,
        numbered=Numbered(told.one_of("numbered", [one.value for one in Numbered], Numbered.YAML.value)),
        key=near / told.text("key") if told.has("key") else None,
        timeline=near / told.text("timeline") if told.has("timeline") else None,
        columns=_columns(told),
        identifiers=dict(told.pairs("identifiers")),
        authorities=dict(told.pairs("authorities")),
        dates=told.text("dates", "%Y-%m-%d"),
        sexes=dict(told.pairs("sexes")),
        separator=told.text("separator", ","),
    )
    told.done()
    if "/" in name or "=" in name or not name.strip():
        raise told.wrong("a system's name may hold no / and no =", FIX)
    if (way == Way.TABLE) != bool(system.columns):
        raise told.wrong("'columns' belongs to a table, and a table needs it", FIX)
    if len(system.separator) != 1:
        raise told.wrong("'separator' must be one sign", FIX)
    wrong = sorted(set(system.sexes.values()) - {"M", "F", "O"})
    if wrong:
        raise told.wrong("'sexes' must turn cells into M, F or O", FIX)
    return system


def _columns(told: Section) -> Mapping[str, str]:
    if not told.has("columns"):
        return {}
    inner = told.section("columns")
    found = {name: inner.text(name) for name in COLUMNS if inner.has(name)}
    inner.done()
    if "id" not in found:
        raise inner.wrong("'id' is missing: the column with the patient's number", FIX)
    return found
