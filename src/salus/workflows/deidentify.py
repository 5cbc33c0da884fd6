"""De-identify: what a policy lets pass of records is written, with books of every field, a page and facts for gates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import polars as pl

from salus import __version__
from salus.deidentify import risk
from salus.deidentify.csv_passage import pass_csv
from salus.deidentify.fhir_passage import Advance, pass_fhir
from salus.deidentify.field_books import Fate
from salus.deidentify.free_text import TextScrubber
from salus.deidentify.hl7v2_passage import pass_hl7v2
from salus.deidentify.key import Key
from salus.deidentify.omop_passage import pass_omop
from salus.deidentify.passing import Passing
from salus.deidentify.policy import Policy, RiskAsked
from salus.deidentify.read_policy import read_policy
from salus.errors import InputMissing, OutputTaken, PseudonymKeyMissing, RiskTooHigh, UsageProblem
from salus.findings import Finding, file_digest, write_bundle
from salus.progress import QUIET, Progress
from salus.timeline.folder import whole_folder
from salus.workflows.ingest_parts import read_key
from salus.workflows.pages.deidentify_sheet import deidentify_sheet
from salus.workflows.pages.render import one_file

BOOKS_FILE, PAGE_FILE, DATA, EVIDENCE = "deidentified.json", "report.html", "data", "evidence"


class Form(StrEnum):
    """The forms of records that can pass."""

    FHIR = "fhir"
    OMOP = "omop"
    HL7V2 = "hl7v2"
    CSV = "csv"


Pass = Callable[[Path, Path, Passing, Advance], None]
PASSES: dict[Form, Pass] = {
    Form.FHIR: pass_fhir,
    Form.OMOP: pass_omop,
    Form.HL7V2: pass_hl7v2,
    Form.CSV: pass_csv,
}
SUFFIXES = {
    Form.FHIR: (".ndjson", ".jsonl", ".json"),
    Form.HL7V2: (".hl7", ".hl7v2", ".mllp", ".msg", ".er7"),
    Form.CSV: (".csv", ".tsv"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What shall be done by which policy under which key. ``form``: None: by the names of the files."""

    policy: str
    key: Path | None
    form: Form | None = None
    scrubber: TextScrubber | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deidentified:
    """What was done, as it is stored too: records read = written + left out + rejected."""

    folder: Path
    books: dict[str, object]
    read: int
    written: int
    left_out: int
    rejected: int
    smallest_group: int | None


def deidentify(
    source: Path, to: Path, *, asked: Asked, made: datetime, progress: Progress = QUIET
) -> Deidentified:
    """Write what may pass of ``source`` into the new folder ``to``, whole or not at all."""
    policy, secret = read_policy(asked.policy), read_key(asked.key)
    if not secret or asked.key is None:
        raise PseudonymKeyMissing(
            "pseudonyms and date shifts hang on a key, and none was given",
            where="salus deidentify",
            fix="make one with `openssl rand -hex 32 > key`, keep it apart from the data, and give --key key",
        )
    check_apart(source, to, asked.key)
    form = asked.form or form_of(source)
    check_named(policy, form)
    size = sum(path.stat().st_size for path in _files(source))
    with whole_folder(to, mark=BOOKS_FILE) as folder:
        (folder / DATA).mkdir()
        passing = _passed(
            source, folder / DATA, _Run(policy, Key(secret), made.year, form, asked.scrubber), size, progress
        )
        passing.tally.check()
        books = _books(passing, form, made)
        (folder / BOOKS_FILE).write_text(
            json.dumps(books, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        digest = _digest(folder / DATA)
        sheet = deidentify_sheet(books, passing.tally.sample, made=made.isoformat(), digest=digest)
        (folder / PAGE_FILE).write_text(one_file(sheet, {}), encoding="utf-8")
        subjects = {"policy": policy.digest, "deidentified": digest}
        write_bundle(
            folder / EVIDENCE,
            findings(passing, subjects, made.isoformat()),
            tables={},
            subjects=subjects,
            created=made.isoformat(),
        )
    tally, told = passing.tally, _risk_told(passing)
    return Deidentified(
        folder=to,
        books=books,
        read=tally.read.total(),
        written=tally.written.total(),
        left_out=tally.left_out.total(),
        rejected=tally.rejected.total(),
        smallest_group=told[1] if told else None,
    )


@dataclass(frozen=True, slots=True)
class _Run:
    policy: Policy
    key: Key
    year: int
    form: Form
    scrubber: TextScrubber | None

    def passing(self) -> Passing:
        """A fresh pass with empty books."""
        return Passing(self.policy, self.key, as_of_year=self.year, scrubber=self.scrubber)


def _passed(source: Path, data: Path, run: _Run, size: int, progress: Progress) -> Passing:
    """Pass everything; where a group of patients alike is too small, once more without what makes them stand out."""
    passing = run.passing()
    with progress.step("De-identifying", total=size, unit="bytes") as step:
        PASSES[run.form](source, data, passing, step.advance)
    asked = run.policy.risk
    if asked is None or not asked.suppress or not passing.quasi:
        return passing
    suppressed = too_few_alike(passing, asked)
    if not suppressed:
        return passing
    for path in data.iterdir():
        path.unlink()
    again = run.passing()
    again.suppressed = suppressed
    with progress.step("Taking out who stands out", total=size, unit="bytes") as step:
        PASSES[run.form](source, data, again, step.advance)
    reached = risk.smallest_group(quasi_table(again, asked), asked.quasi_identifiers)
    if reached < asked.k:
        raise RiskTooHigh(
            f"groups of {asked.k} patients alike cannot be reached: there are {len(again.quasi)} patients",
            where=f"policy '{run.policy.name}', risk",
            fix="take a smaller k, or more patients",
        )
    return again


def too_few_alike(passing: Passing, asked: RiskAsked) -> frozenset[str]:
    """The patients whose group is too small."""
    marked = risk.to_suppress(quasi_table(passing, asked), asked.quasi_identifiers, asked.k)
    return frozenset(number for number, gone in zip(passing.quasi, marked, strict=True) if gone)


def quasi_table(passing: Passing, asked: RiskAsked, *, before: bool = False) -> pl.DataFrame:
    """What passed (or what the source said) of each patient that others may know: a row a patient."""
    rows = passing.quasi_before if before else passing.quasi
    return pl.DataFrame(
        {name: [row.get(name) for row in rows.values()] for name in asked.quasi_identifiers},
        schema=dict.fromkeys(asked.quasi_identifiers, pl.String),
    )


def check_apart(source: Path, to: Path, key: Path) -> None:
    """Refuse an output that is there, and input, output and key that lie inside each other (SAL-175)."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise OutputTaken(
            f"'{to.name}' holds something already, and nothing is overwritten",
            where="salus deidentify --to",
            fix="name a new folder",
        )
    if not source.exists():
        raise InputMissing(
            "there is no such file or folder to de-identify",
            where="salus deidentify IN",
            fix="check the path",
        )
    places = {"input": source.resolve(), "output": to.resolve(), "key": key.resolve()}
    for inner, outer in (("output", "input"), ("input", "output"), ("key", "output"), ("key", "input")):
        if places[inner].is_relative_to(places[outer]):
            raise OutputTaken(
                f"the {inner} lies inside the {outer}",
                where="salus deidentify",
                fix="keep input, output and key in folders of their own",
            )


def check_named(policy: Policy, form: Form) -> None:
    """Refuse a policy that says nothing of this form: nothing at all would pass."""
    if not getattr(policy, form.value):
        raise UsageProblem(
            f"the policy '{policy.name}' says nothing of {form.value}",
            where="salus deidentify --policy",
            fix=f"copy it (--print), add a part '{form.value}:', and name that file",
        )


def form_of(source: Path) -> Form:
    """The form that the names of the files tell. Raises UsageProblem (SAL-502) where they tell none or several."""
    names = [path.name.lower().removesuffix(".gz").removesuffix(".zst") for path in _files(source)]
    if any(name.split(".")[0] == "person" and name.endswith((".csv", ".parquet")) for name in names):
        return Form.OMOP
    found = [form for form, ends in SUFFIXES.items() if any(name.endswith(ends) for name in names)]
    if len(found) == 1:
        return found[0]
    raise UsageProblem(
        "which form the files have is not clear from their names",
        where="salus deidentify IN",
        fix="say it with --as fhir|omop|hl7v2|csv",
    )


def _files(source: Path) -> Sequence[Path]:
    return [source] if source.is_file() else [path for path in sorted(source.rglob("*")) if path.is_file()]


def _digest(data: Path) -> str:
    """One digest of all files, whatever else lies beside them."""
    told = [f"{path.name} {file_digest(path)}" for path in sorted(data.iterdir())]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def _books(passing: Passing, form: Form, made: datetime) -> dict[str, object]:
    policy, tally, told = passing.policy, passing.tally, _risk_told(passing)
    kinds = sorted({*tally.read, *tally.written, *tally.left_out, *(kind for kind, _ in tally.rejected)})
    return {
        "form": 1,
        "made": made.isoformat(),
        "salus": __version__,
        "policy": {
            name: getattr(policy, name)
            for name in ("name", "title", "version", "basis", "does_not_promise", "digest")
        },
        "key": passing.key.name,
        "ages_as_of": passing.as_of_year,
        "records_as": form.value,
        "records": {
            kind: {
                "read": tally.read[kind],
                "written": tally.written[kind],
                "left_out": tally.left_out[kind],
                "rejected": sum(count for (of, _), count in tally.rejected.items() if of == kind),
            }
            for kind in kinds
            if tally.read[kind]
        },
        "rejected": [
            {"kind": kind, "reason": reason, "records": count}
            for (kind, reason), count in sorted(tally.rejected.items())
        ],
        "rejected_at": [
            {"file": file, "line": line, "reason": reason} for file, line, reason in tally.places
        ],
        "fields": passing.books.as_json(),
        "files": sorted(tally.files),
        "risk": told[0] if told else None,
    }


def _risk_told(passing: Passing) -> tuple[dict[str, object], int] | None:
    asked = passing.policy.risk
    if asked is None or not passing.quasi:
        return None
    table, named = quasi_table(passing, asked), asked.quasi_identifiers
    before = quasi_table(passing, asked, before=True)
    k, found = risk.smallest_group(table, named), risk.prosecutor(table, named, asked.threshold)
    told: dict[str, object] = {
        "quasi_identifiers": list(named),
        "patients": table.height,
        "k_asked": asked.k,
        "smallest_group": k,
        "smallest_group_before": risk.smallest_group(before, named),
        "suppressed_patients": len(passing.suppressed),
        "threshold": asked.threshold,
        "prosecutor_highest": found.highest,
        "prosecutor_average": found.average,
        "prosecutor_above_threshold": found.above,
        "information_lost": {name: risk.information_lost(before[name], table[name]) for name in named},
    }
    return told, k


def findings(passing: Passing, digests: dict[str, str], created: str) -> list[Finding]:
    """Facts for gates, without thresholds."""
    counts, tally = passing.books.counts, passing.tally
    removed = sum(count for (_, fate), count in counts.items() if fate is Fate.REMOVED)
    met, read, patients = passing.books.met, tally.read.total(), len(passing.quasi)

    def finding(metric: str, value: float | None, method: str, reason: str = "") -> Finding:
        return Finding(
            metric=metric,
            population="all patients of the source",
            value=value,
            patients=patients,
            events=read,
            method=method,
            reason=reason,
            created=created,
            digests=digests,
        )

    found = [
        finding(
            "deidentify.fields_removed_share",
            removed / met if met else None,
            "values removed over values met",
        ),
        finding(
            "deidentify.records_rejected_share",
            tally.rejected.total() / read if read else None,
            "records rejected over records read",
        ),
    ]
    told, asked = _risk_told(passing), passing.policy.risk
    if told and asked:
        method = "groups alike in " + ", ".join(asked.quasi_identifiers)
        found.append(finding("deidentify.smallest_group", float(told[1]), method))
        found.append(
            finding(
                "deidentify.prosecutor_risk", 1 / told[1] if told[1] else None, f"1 / smallest of {method}"
            )
        )
    return found
