"""FHIR R4 validation: HL7's own validator cases, the official examples, and the speed over ordinary NDJSON.

Which cases: version 4.0 or 4.0.1, JSON, in the archive, with an outcome of HL7's Java validator; none that needs more
than R4 itself (a profile, a package, supporting files, a logical model or an expression to match), and none run with a
setting that adds or takes away a check (BEYOND, SETTINGS). These are 143: 96 that the Java validator finds an error in,
and 47 that it does not. Half of them (by a digest of the name) were not looked at while the rules were first written.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.intake_fhir import COUNTED, PATIENTS, Measured, Spent, best, row_of, run, write_export
from benchmarks.intake_suites import HL7_CASES, suite
from benchmarks.rows import RESULTS, Row
from salus.formats.fhir_validation.quick import QuickWay

VALIDATOR = "fhir-test-cases/validator/"
BEYOND = frozenset(("profile", "profiles", "packages", "supporting", "supporting5", "logical", "matchetype"))
SETTINGS = frozenset(
    ("for-publication", "noHtmlInMarkdown", "allow-comments", "r5-bundle-relative-reference-policy")
)
EXAMPLES = "hl7.fhir.r4.examples@4.0.1"
REPORT = "fhir-validator-r4.json"
SPEED = """
import json, os, resource, sys
from collections import Counter
from pathlib import Path
from salus.formats.fhir_validation.quick import QuickWay
size = int(sys.argv[3])
way = QuickWay()
""" + COUNTED.format(
    work="""
events, counted = 0, Counter()
for path in sorted(Path(sys.argv[1]).iterdir()):
    unjudged = []
    with path.open("rb") as lines:
        for line in lines:
            events += not way.issues(line, unjudged)
    counted.update(unjudged)
"""
)
INGEST = """
import json, os, resource, sys
from pathlib import Path
from salus.intake.fhir_validated import Validation
from salus.progress import QUIET
from salus.workflows.ingest_fhir import FhirHow, ingest_fhir
size = int(sys.argv[3])
""" + COUNTED.format(
    work="""
how = FhirHow(validation=Validation.COUNT)
events = ingest_fhir(Path(sys.argv[1]), Path(sys.argv[2]), how, progress=QUIET).events
"""
)


@dataclass(frozen=True, slots=True)
class Case:
    """One case: whether HL7's validator finds an error, the rules that ours finds broken, and of which half it is."""

    name: str
    is_bad: bool
    rules: tuple[str, ...]
    looked_at: bool

    @property
    def is_found(self) -> bool:
        """Whether ours finds an error."""
        return bool(self.rules)


def cases(archive: Path) -> list[Case]:
    """Run all cases."""
    way, found = QuickWay(), []
    with tarfile.open(archive) as files:
        named = {member.name: member for member in files.getmembers()}

        def content(name: str) -> bytes | None:
            stream = files.extractfile(named[name]) if name in named else None
            return stream.read() if stream is not None else None

        for told, raw, outcome in _chosen(content):
            issues = way.validate(raw).issues
            rules = sorted({one.rule for one in issues if one.severity == "error"})
            is_bad = any(one["severity"] in ("error", "fatal") for one in outcome.get("issue", []))
            looked_at = sha256(told["name"].encode()).digest()[0] % 2 == 0
            found.append(Case(told["name"], is_bad, tuple(rules), looked_at))
    return found


def _chosen(content: Callable[[str], bytes | None]) -> Iterator[tuple[Any, bytes, Any]]:
    for told in json.loads(content(f"{VALIDATOR}manifest.json") or b"{}")["test-cases"]:
        version, java = str(told.get("version", "")), told.get("java")
        if not told["file"].endswith(".json") or not version.startswith("4.0"):
            continue
        if BEYOND & told.keys() or SETTINGS & told.keys() or told.get("validateContains") == "IGNORE":
            continue
        raw = content(VALIDATOR + told["file"])
        stored = content(f"{VALIDATOR}outcomes/{java}") if isinstance(java, str) else None
        outcome = json.loads(stored) if stored else java
        if raw is not None and isinstance(outcome, dict):
            yield told, raw, outcome


def report(found: list[Case]) -> dict[str, Any]:
    """All cases, with what was missed and what was called wrong by mistake."""

    def part(chosen: list[Case]) -> dict[str, int]:
        bad, good = [one for one in chosen if one.is_bad], [one for one in chosen if not one.is_bad]
        return {
            "bad": len(bad),
            "detected": sum(one.is_found for one in bad),
            "good": len(good),
            "false_alarms": sum(one.is_found for one in good),
        }

    return {
        "all": part(found),
        "looked_at_first": part([one for one in found if one.looked_at]),
        "other_half": part([one for one in found if not one.looked_at]),
        "missed": [one.name for one in found if one.is_bad and not one.is_found],
        "false_alarms": [one.name for one in found if not one.is_bad and one.is_found],
        "cases": {one.name: {"bad": one.is_bad, "rules": list(one.rules)} for one in found},
    }


def examples(folder: Path, say: Callable[[str], None]) -> float | None:
    """The share of the official examples in which an error is found; None where npm cannot give them."""
    if shutil.which("npm") is None:
        say("the official examples were not validated: there is no npm here")
        return None
    pack = ["npm", "pack", EXAMPLES, "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(pack, cwd=folder, check=False, stdout=subprocess.DEVNULL)
    archive = next(folder.glob("*.tgz"), None)
    if done.returncode or archive is None:
        say("the official examples were not validated: npm did not give them")
        return None
    way, count, flagged = QuickWay(), 0, []
    with tarfile.open(archive) as files:
        for member in files:
            stream = files.extractfile(member) if member.name.endswith(".json") else None
            if stream is None or member.name.count("/") != 1 or member.name == "package/package.json":
                continue
            count += 1
            if any(one.severity == "error" for one in way.validate(stream.read()).issues):
                flagged.append(Path(member.name).name)
    say(f"official examples: an error in {len(flagged)} of {count}")
    return len(flagged) / count


def rows(*, say: Callable[[str], None] = print) -> list[Row]:
    """Every number that was asked of validation."""
    archive, patients = suite(HL7_CASES), suite(PATIENTS)
    found = cases(archive) if archive else []
    if found:
        told = report(found)
        path = RESULTS / "suites" / REPORT
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        say(f"HL7's validator cases: {told['all']}")
    with tempfile.TemporaryDirectory() as name:
        flagged = examples(Path(name), say)
        spent = _speeds(patients, Path(name), say) if patients else (None, None)
    bad, good = [one for one in found if one.is_bad], [one for one in found if not one.is_bad]
    measured = [
        _share("fhir_validation_bad_cases_detected", bad, "max", (0.85, 0.35)),
        _share("fhir_validation_false_alarms", good, "min", (0.05, 0.04)),
        Measured(
            name="fhir_validation_official_examples_flagged",
            value=flagged,
            unit="1",
            direction="min",
            target=0.01,
            baseline=0.003,
        ),
        _speed("fhir_validation_mb_per_cpu_second", spent[0], 30.0, 68.0),
        _speed("fhir_validation_in_ingest_mb_per_cpu_second", spent[1], 30.0, None),
    ]
    return [row_of(one) for one in measured]


def _speeds(archive: Path, folder: Path, say: Callable[[str], None]) -> tuple[Spent, Spent]:
    write_export(archive, folder / "export")
    alone = best(SPEED, folder / "export", folder, "validated")
    ingested = run(INGEST, folder / "export", folder / "timeline")
    say(f"validation: {alone.speed:.0f} MB per CPU-second, with ingest {ingested.speed:.0f}")
    return alone, ingested


def _share(name: str, found: list[Case], direction: str, wanted: tuple[float, float]) -> Measured:
    share = sum(one.is_found for one in found) / len(found) if found else None
    target, baseline = wanted
    return Measured(name=name, value=share, unit="1", direction=direction, target=target, baseline=baseline)


def _speed(name: str, spent: Spent | None, target: float, baseline: float | None) -> Measured:
    return Measured(
        name=name,
        value=spent.speed if spent else None,
        unit="MB/CPU-s",
        direction="max",
        target=target,
        baseline=baseline,
        spent=spent,
    )
