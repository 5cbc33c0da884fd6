"""A source small enough to work out by hand: three patients, two measured values, one outcome."""

from __future__ import annotations

from pathlib import Path

from salus.intake.books import Books
from salus.progress import QUIET
from salus.workflows.ingest import ingest

YAML = """
name: tiny
input: data
time: {zero: 2000-01-01T00:00:00, grain: day}
anchor: COHORT//ENTRY
patients: people
missing: ["", NA]
splits: {seed: 1, shares: {train: 0.5, tuning: 0.25, held_out: 0.25}}
tables:
  people:
    files: [people.csv]
    row: COHORT//ENTRY
    columns:
      id: {subject: true}
      age: {age: true}
      male: {values: {0: SEX//F, 1: SEX//M}, static: true}
      weight: {code: WEIGHT, missing: [-1]}
      futime: {moment: end, unit: day}
      status: {values: {0: FOLLOW_UP//END, 1: MEDS_DEATH}, at: end}
  labs:
    files: [labs.csv]
    columns:
      id: {subject: true}
      day: {time: day}
      test: {variable: true}
      value: {value: true}
      unit: {unit: true}
    facts:
      sbp: {code: LOINC//8480-6}
      glucose: {code: LOINC//2345-7}
      smoke: {values: {0: SMOKING//0, 1: SMOKING//1}}
codes:
  COHORT//ENTRY: {description: Index date, role: anchor}
  MEDS_BIRTH: {description: Birth, role: birth}
  SEX//F: {description: Female}
  SEX//M: {description: Male}
  WEIGHT: {description: Weight, unit: kg}
  LOINC//8480-6: {description: Systolic pressure, unit: "mm[Hg]"}
  LOINC//2345-7: {description: Glucose, unit: mg/dL}
  SMOKING//0: {description: Not smoking}
  SMOKING//1: {description: Smoking}
  FOLLOW_UP//END: {description: End of follow-up, role: follow_up_end}
  MEDS_DEATH: {description: Death, role: death}
"""

PEOPLE = """id,age,male,weight,futime,status
1,40,0,60.5,1000,0
2,50,1,,30,1
3,60,1,-1,2000,0
"""

LABS = """id,day,test,value,unit
1,-10,sbp,120,mmHg
1,5,glucose,5.0,mmol/L
2,3,smoke,1,
3,0,sbp,140,mm[Hg]
"""


def write_tiny(folder: Path, *, people: str = PEOPLE, labs: str = LABS, yaml: str = YAML) -> Path:
    """Write the source and its files; gives the path of the source.yaml."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "data" / "people.csv").write_text(people, encoding="utf-8")
    (folder / "data" / "labs.csv").write_text(labs, encoding="utf-8")
    (folder / "source.yaml").write_text(yaml, encoding="utf-8")
    return folder / "source.yaml"


def ingest_tiny(folder: Path, **parts: str) -> tuple[Path, Books]:
    """Write and ingest it; gives the timeline's folder and the books."""
    to = folder / "timeline"
    return to, ingest(write_tiny(folder, **parts), to, progress=QUIET)
