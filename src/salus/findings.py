"""A finding is one measured fact: what, on whom, how much, how sure, by which method, from which data.

A bundle is a folder of findings with the tables behind them; ``bundle.json`` holds the SHA-256 of every file and of
them all, so that a changed file is noticed and a bundle has a name of its own: its digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path

import polars as pl

from salus.at_rest.files import read_private, sealed, write_private_parquet
from salus.errors import BundleBroken, FindingsFileError, nearest

FINDINGS_FILE, MANIFEST, FORM = "findings.json", "bundle.json", 1


class Grade(StrEnum):
    """How a finding came about, best first."""

    A = "A"  # computed here, can be computed again
    B = "B"  # computed elsewhere, signed
    C = "C"  # attested by a person
    D = "D"  # claimed by a vendor


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric says, and where better lies: "up", "down", or the value that is ideal."""

    meaning: str
    better: str | float


_QUESTIONS: Mapping[str, str] = {
    "singling_univariate": "predicates of one column that fit one patient",
    "singling_multivariate": "predicates of three columns that fit one patient",
    "linkability": "two lists linked through synthetic patients",
    "inference": "secrets told by the nearest synthetic patient, all fields",
    "inference_field": "secrets told by the nearest synthetic patient, one field",
    "copies": "records that are a member's word for word",
    "near_copies": "records nearer to a member than nearly all patients never learnt from",
    "runs": "records sharing a longer stretch with a member than nearly all never learnt from",
}
ATTACKS: Mapping[str, Metric] = {
    **{f"privacy.{name}": Metric(f"share of {words}", "down") for name, words in _QUESTIONS.items()},
    **{
        f"privacy.{name}_risk": Metric(f"{words}: how much the set gave away (0: nothing)", "down")
        for name, words in _QUESTIONS.items()
    },
    **{
        f"privacy.{name}_tpr_{label}": Metric(f"members found by {name} at {alarms} false alarms", "down")
        for name in ("membership", "likelihood", "density", "nearest")
        for label, alarms in (("1pct", "1 %"), ("01pct", "0.1 %"))
    },
    "privacy.membership_group_auc": Metric("membership attack within a group of patients", "down"),
}
"""What `salus attack` measures beside the membership of an average patient."""
METRICS: Mapping[str, Metric] = {
    "fidelity.overall": Metric("closeness to real patients, all parts", "up"),
    "fidelity.marginals": Metric("closeness of how often each code occurs and of its values", "up"),
    "fidelity.marginals_share": Metric("closeness of the share of patients with each code", "up"),
    "fidelity.marginals_rows": Metric("closeness of rows a patient of each code", "up"),
    "fidelity.marginals_values": Metric("closeness of the values of each code", "up"),
    "fidelity.periods": Metric("closeness of rates in each period of follow-up", "up"),
    "fidelity.periods_rates": Metric("closeness of rates in each period of follow-up", "up"),
    "fidelity.dependence": Metric("closeness of what belongs together", "up"),
    "fidelity.dependence_codes": Metric("closeness of correlations between codes", "up"),
    "fidelity.dependence_values": Metric("closeness of correlations between values", "up"),
    "fidelity.dependence_successive": Metric("closeness of correlations of one value with the next", "up"),
    "fidelity.counts": Metric("closeness of how much a patient has", "up"),
    "fidelity.counts_moments": Metric("closeness of the number of moments a patient", "up"),
    "fidelity.counts_facts": Metric("closeness of the number of rows a patient", "up"),
    "fidelity.missingness": Metric("closeness of what is recorded when", "up"),
    "fidelity.missingness_moments": Metric("closeness of the share of moments with each code", "up"),
    "fidelity.missingness_waits": Metric("closeness of the hours between moments", "up"),
    "fidelity.code_share": Metric("share of patients with a code", "up"),
    "fidelity.code_rows": Metric("rows a patient of a code", "up"),
    "fidelity.code_values_alike": Metric("closeness of a code's values", "up"),
    "utility.real_auroc": Metric("AUROC of an outcome model learnt from real patients", "up"),
    "utility.synthetic_auroc": Metric("AUROC of an outcome model learnt from synthetic patients", "up"),
    "utility.auroc_ratio": Metric("AUROC learnt from synthetic over AUROC learnt from real patients", "up"),
    "privacy.membership_auc": Metric("how well the best attack tells who was trained on (0.5: not)", "down"),
    "privacy.likelihood_auc": Metric("membership attack by the likelihood of the record", "down"),
    "privacy.density_auc": Metric("membership attack by the density of synthetic patients", "down"),
    "privacy.nearest_auc": Metric("membership attack by the nearest synthetic patient; sees little", "down"),
    "deidentify.fields_removed_share": Metric("share of values that the policy took out", "up"),
    "deidentify.records_rejected_share": Metric("share of records that could not pass", "down"),
    "deidentify.smallest_group": Metric("smallest group of patients alike in what others may know (k)", "up"),
    "deidentify.prosecutor_risk": Metric(
        "highest risk of being recognised by who knows one is in it", "down"
    ),
    "privacy.empirical_epsilon": Metric("ε that the model gives away at least, shown by an audit", "down"),
    "privacy.canary_auc": Metric("how well canaries trained on are told from those left out", "down"),
    "privacy.reference_auc": Metric("membership attack with reference models (LiRA)", "down"),
    "privacy.reference_tpr_1": Metric("members caught at 1 % false alarms, with reference models", "down"),
    "privacy.reference_tpr_01": Metric("members caught at 0.1 % false alarms, with reference models", "down"),
    **ATTACKS,
    "forecast.auroc": Metric("share of pairs that the forecast tells apart", "up"),
    "forecast.auprc": Metric("average precision of the forecast", "up"),
    "forecast.brier": Metric("mean squared error of the risk", "down"),
    "forecast.slope": Metric("calibration slope", 1.0),
    "forecast.intercept": Metric("calibration intercept", 0.0),
    "forecast.baseline_auroc": Metric("AUROC of the simple model", "up"),
    "forecast.auroc_difference": Metric("AUROC of the forecast minus that of the simple model", "up"),
    "forecast.net_benefit": Metric("net benefit of acting on the risk", "up"),
    "forecast.net_benefit_difference": Metric("net benefit above the better of acting on all or none", "up"),
}
"""Every metric that a finding may carry and a criterion may ask for."""
ABOUT_WHAT: Mapping[str, tuple[str, ...]] = {
    "fidelity": ("timeline", "synthetic"),
    "utility": ("timeline", "synthetic", "task"),
    "privacy": ("timeline", "synthetic", "model"),
    "forecast": ("timeline", "model", "task", "forecast"),
    "deidentify": ("policy", "deidentified"),
}
"""What each kind of finding is measured on and must name where it lies: otherwise it could be about any other."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its confidence bounds; None where it could not be estimated."""

    value: float | None
    lower: float | None = None
    upper: float | None = None

    def as_json(self) -> dict[str, float | None]:
        """Give the three numbers by name."""
        return {"value": self.value, "lower": self.lower, "upper": self.upper}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One measured fact, without any threshold: judging is somebody else's work.

    ``created``: when it was measured, ISO 8601 with zone. ``site``: the data set's name. ``digests``: SHA-256 of what
    was measured, by role (timeline, synthetic, model, task, forecast, policy, deidentified).
    """

    metric: str
    population: str
    value: float | None
    lower: float | None = None
    upper: float | None = None
    level: float = 0.95
    unit: str = "1"
    patients: int
    events: int | None = None
    method: str
    seed: int | None = None
    comparison: str = ""
    reason: str = ""
    grade: Grade = Grade.A
    created: str = ""
    site: str = ""
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def interval(self) -> Interval:
        """The value with its bounds."""
        return Interval(self.value, self.lower, self.upper)

    @property
    def kind(self) -> str:
        """What kind of evidence it is: the first word of its metric."""
        return self.metric.split(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A folder of evidence as read: its findings, what they are about (digest by role), and its own digest."""

    folder: Path
    findings: tuple[Finding, ...]
    subjects: dict[str, str]
    created: str
    digest: str


def write_bundle(
    folder: Path,
    findings: Sequence[Finding],
    *,
    tables: Mapping[str, pl.DataFrame],
    subjects: Mapping[str, str],
    created: str,
) -> Bundle:
    """Write findings and ``tables`` (name without ending -> frame) into ``folder``, whole or not at all.

    What an earlier bundle left there is replaced.
    """
    fresh = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    earlier = folder.with_name(f".{folder.name}.earlier-{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir(parents=True)
        write_findings(fresh / FINDINGS_FILE, findings)
        for name, frame in tables.items():
            write_private_parquet(frame, fresh / f"{name}.parquet")
        files = {path.name: file_digest(path) for path in sorted(fresh.iterdir())}
        digest = _bundle_digest(files, subjects, created)
        about = {
            "form": FORM,
            "digest": digest,
            "created": created,
            "subjects": dict(subjects),
            "files": files,
        }
        (fresh / MANIFEST).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        # Moved aside and not removed first: whoever is stopped here still has the earlier evidence.
        if folder.exists():
            folder.rename(earlier)
        fresh.rename(folder)
        shutil.rmtree(earlier, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return Bundle(
        folder=folder, findings=tuple(findings), subjects=dict(subjects), created=created, digest=digest
    )


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle and check every file against its digest.

    Raises FindingsFileError (SAL-451) where there is none, BundleBroken (SAL-453) where a file is missing, cut short
    or changed.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise FindingsFileError(
            f"there is no evidence in '{folder.name}': it has no {MANIFEST}",
            where=str(folder),
            fix="measure it with `salus appraise`, or name another folder",
        )
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        files, subjects = dict(about["files"]), dict(about["subjects"])
        created, digest, form = str(about["created"]), str(about["digest"]), about["form"]
    except (ValueError, KeyError, TypeError) as error:
        raise _bundle_broken(f"{MANIFEST} is cut short or of another form", path) from error
    if form != FORM:
        raise _bundle_broken(f"{MANIFEST} has form {form}; this version reads form {FORM}", path)
    for name, wanted in files.items():
        if not (folder / name).is_file():
            raise _bundle_broken(f"'{name}' is missing", folder / name)
        if file_digest(folder / name) != wanted:
            raise _bundle_broken(f"'{name}' was changed or cut short", folder / name)
    if digest != _bundle_digest(files, subjects, created):
        raise _bundle_broken(f"{MANIFEST} itself was changed", path)
    return Bundle(
        folder=folder,
        findings=tuple(read_findings(folder / FINDINGS_FILE)),
        subjects=subjects,
        created=created,
        digest=digest,
    )


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; of a sealed file those of its clear content."""
    if sealed(path):
        return hashlib.sha256(read_private(path)).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_findings(path: Path, findings: Iterable[Finding]) -> None:
    """Write findings as a JSON list, whole or not at all; a value that is not a number is null with its reason."""
    content = json.dumps([asdict(finding) for finding in findings], indent=1, allow_nan=False)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    partial.write_text(content + "\n", encoding="utf-8")
    partial.replace(path)


def read_findings(path: Path) -> list[Finding]:
    """Read what :func:`write_findings` wrote; a field or a metric that means nothing is refused."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FindingsFileError(
            f"there is no '{path.name}'", where=str(path), fix="run the job that measures, then try again"
        ) from error
    except ValueError as error:
        raise _broken("it is not JSON", path) from error
    if not isinstance(content, list):
        raise _broken("it is not a list of findings", path)
    return [_finding(row, f"entry {number}", path) for number, row in enumerate(content)]


def _finding(row: object, place: str, path: Path) -> Finding:
    known = [each.name for each in fields(Finding)]
    if not isinstance(row, dict):
        raise _broken(f"{place} is not a finding", path)
    strange = [name for name in row if name not in known]
    if strange:
        raise _broken(f"{place} has the field '{strange[0]}'{nearest(strange[0], known)}", path)
    if row.get("metric") not in METRICS:
        name = str(row.get("metric"))
        raise _broken(f"{place} has the metric '{name}'{nearest(name, METRICS)}", path)
    if row.get("grade", "A") not in list(Grade):
        raise _broken(f"{place} has the grade '{row['grade']}'; grades are A to D", path)
    try:
        return Finding(**{**row, "grade": Grade(row.get("grade", "A"))})
    except TypeError as error:
        raise _broken(f"{place} lacks a field", path) from error


def _bundle_digest(files: Mapping[str, str], subjects: Mapping[str, str], created: str) -> str:
    whole = {"form": FORM, "files": dict(files), "subjects": dict(subjects), "created": created}
    return hashlib.sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _broken(why: str, path: Path) -> FindingsFileError:
    return FindingsFileError(
        f"'{path.name}' cannot be read: {why}",
        where=str(path),
        fix="measure again: do not edit findings by hand",
    )


def _bundle_broken(why: str, path: Path) -> BundleBroken:
    return BundleBroken(
        f"the evidence cannot be trusted: {why}",
        where=str(path),
        fix="measure again with `salus appraise`, or copy the whole folder again",
    )
