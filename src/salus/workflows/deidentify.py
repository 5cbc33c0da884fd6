"""De-identify: what a policy lets pass of records is written, with books of every field, a page and facts for gates."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from salus.deidentify import risk
from salus.deidentify.csv_passage import pass_csv
from salus.deidentify.fhir_passage import Advance, pass_fhir
from salus.deidentify.free_text import TextScrubber
from salus.deidentify.hl7v2_passage import pass_hl7v2
from salus.deidentify.image_passage import pass_dicom, read_patients
from salus.deidentify.key import Key
from salus.deidentify.omop_passage import pass_omop
from salus.deidentify.passing import Passing
from salus.deidentify.policy import Policy, RiskAsked, TextHow
from salus.deidentify.read_policy import read_policy
from salus.deidentify.rekeying import Rekeying, rekeying
from salus.deidentify.text.entities import how_it_looks, name_model
from salus.deidentify.text.scrub import Scrubber
from salus.errors import InputEmpty, InputMissing, OutputTaken, PseudonymKeyMissing, RiskTooHigh, UsageProblem
from salus.findings import file_digest, write_bundle
from salus.progress import QUIET, Progress
from salus.timeline.folder import whole_folder
from salus.workflows.deidentify_books import books_of, findings, quasi_table, risk_told
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
    DICOM = "dicom"


Pass = Callable[[Path, Path, Passing, Advance], None]
PASSES: dict[Form, Pass] = {
    Form.FHIR: pass_fhir,
    Form.OMOP: pass_omop,
    Form.HL7V2: pass_hl7v2,
    Form.CSV: pass_csv,
    Form.DICOM: pass_dicom,
}
SUFFIXES = {
    Form.FHIR: (".ndjson", ".jsonl", ".json"),
    Form.HL7V2: (".hl7", ".hl7v2", ".mllp", ".msg", ".er7"),
    Form.CSV: (".csv", ".tsv"),
    Form.DICOM: (".dcm", ".dicom", ".ima"),
}
PREAMBLE, MARK = 128, b"DICM"
"""A DICOM file says so after its first 128 bytes (PS3.10 section 7.1), whatever its name says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What shall be done by which policy under which key. ``form``: None: by the names of the files.

    ``scrubber``: another one than ours for policies that ask for scrubbing.
    ``old_key`` and ``mapping``: write there what each pseudonym was under the old key.
    ``patients``: which id of the records each PatientID of images stands for.
    """

    policy: str
    key: Path | None
    form: Form | None = None
    scrubber: TextScrubber | None = None
    old_key: Path | None = None
    mapping: Path | None = None
    patients: Path | None = None


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
    check_apart(source, to, asked)
    form = asked.form or form_of(source)
    check_named(policy, form)
    check_for_images(asked, form)
    records_of = read_patients(asked.patients) if asked.patients else None
    key, old = Key(secret), Key(read_key(asked.old_key)) if asked.old_key else None
    with whole_folder(to, mark=BOOKS_FILE) as folder, rekeying(old, asked.mapping) as mapping:
        (folder / DATA).mkdir()
        scrubber, looked = _scrubber(policy, key, asked.scrubber)
        run = _Run(policy, key, made.year, form, scrubber, mapping, records_of)
        passing = _passed(source, folder / DATA, run, progress)
        passing.tally.check()
        if not passing.tally.read.total():
            raise InputEmpty(
                f"there is no record in '{source.name}' to de-identify",
                where="salus deidentify IN",
                fix=f"check the path, and that the files are {form.value}; say another form with --as",
            )
        books = _tell(folder, passing, books_of(passing, form=form.value, free_text=looked, made=made), made)
    tally, told = passing.tally, risk_told(passing)
    return Deidentified(
        folder=to,
        books=books,
        read=tally.read.total(),
        written=tally.written.total(),
        left_out=tally.left_out.total(),
        rejected=tally.rejected.total(),
        smallest_group=told[1] if told else None,
    )


def _scrubber(policy: Policy, key: Key, other: TextScrubber | None) -> tuple[TextScrubber | None, str]:
    """Who takes out of texts what identifies, under the records' key and rule for dates; and how it looks."""
    how = policy.rules.free_text
    if how is not TextHow.SCRUB:
        return None, how.value
    if other is not None:
        return other, "scrub: by another scrubber"
    model = name_model()
    return Scrubber(key=key, dates=policy.rules.dates, model=model), f"scrub: {how_it_looks(model)}"


def _tell(folder: Path, passing: Passing, books: dict[str, object], made: datetime) -> dict[str, object]:
    """Write the books, the page and the facts beside the data."""
    digest = _digest(folder / DATA)
    (folder / BOOKS_FILE).write_text(json.dumps(books, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sheet = deidentify_sheet(books, passing.tally.sample, made=made.isoformat(), digest=digest)
    (folder / PAGE_FILE).write_text(one_file(sheet, {}), encoding="utf-8")
    subjects = {"policy": passing.policy.digest, "deidentified": digest}
    found = findings(passing, subjects, made.isoformat())
    write_bundle(folder / EVIDENCE, found, tables={}, subjects=subjects, created=made.isoformat())
    return books


@dataclass(frozen=True, slots=True)
class _Run:
    policy: Policy
    key: Key
    year: int
    form: Form
    scrubber: TextScrubber | None
    rekeying: Rekeying | None
    records_of: Mapping[str, str] | None

    def passing(self) -> Passing:
        """A fresh pass with empty books."""
        passing = Passing(
            self.policy, self.key, as_of_year=self.year, scrubber=self.scrubber, rekeying=self.rekeying
        )
        passing.records_of = self.records_of
        return passing


def _passed(source: Path, data: Path, run: _Run, progress: Progress) -> Passing:
    """Pass everything; where a group of patients alike is too small, once more without what makes them stand out."""
    passing, size = run.passing(), sum(path.stat().st_size for path in _files(source))
    with progress.step("De-identifying", total=size, unit="bytes") as step:
        PASSES[run.form](source, data, passing, step.advance)
    asked = run.policy.risk
    if asked is None or not asked.suppress or not passing.quasi:
        return passing
    suppressed = too_few_alike(passing, asked)
    if not suppressed:
        return passing
    shutil.rmtree(data)
    data.mkdir()
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


def check_apart(source: Path, to: Path, asked: Asked) -> None:
    """Refuse an output that is there, and input, output and keys that lie inside each other (SAL-175)."""
    taken = to.exists() and (not to.is_dir() or any(to.iterdir()))
    if taken or (asked.mapping is not None and asked.mapping.exists()):
        raise OutputTaken(
            f"'{to.name if taken else 'the mapping'}' holds something already, and nothing is overwritten",
            where="salus deidentify --to",
            fix="name a new folder, and a new file for a mapping",
        )
    if not source.exists():
        raise InputMissing(
            "there is no such file or folder to de-identify",
            where="salus deidentify IN",
            fix="check the path",
        )
    if (asked.mapping is None) != (asked.old_key is None):
        raise UsageProblem(
            "a mapping needs the old key, and the old key a place for the mapping",
            where="salus deidentify",
            fix="give both --old-key FILE and --mapping FILE, or neither",
        )
    data = {"input": source.resolve(), "output": to.resolve()}
    secret = {"key": asked.key, "old key": asked.old_key, "mapping": asked.mapping}
    inner = data | {name: path.resolve() for name, path in secret.items() if path is not None}
    for name, path in inner.items():
        for outer, folder in data.items():
            if name != outer and path.is_relative_to(folder):
                raise OutputTaken(
                    f"the {name} lies inside the {outer}",
                    where="salus deidentify",
                    fix="keep input, output and keys in folders of their own",
                )


def check_named(policy: Policy, form: Form) -> None:
    """Refuse a policy that says nothing of this form: nothing at all would pass."""
    if not getattr(policy, form.value):
        raise UsageProblem(
            f"the policy '{policy.name}' says nothing of {form.value}",
            where="salus deidentify --policy",
            fix=f"copy it (--print), add a part '{form.value}:', and name that file",
        )


def check_for_images(asked: Asked, form: Form) -> None:
    """Refuse what means something for images alone, or for all but images (SAL-502)."""
    if asked.patients is not None and form is not Form.DICOM:
        raise UsageProblem(
            "a list of PatientIDs is for images, and these are none",
            where="salus deidentify --patients",
            fix="leave --patients out, or name a folder of DICOM files",
        )
    if asked.mapping is not None and form is Form.DICOM:
        raise UsageProblem(
            "no mapping is made of images: their numbers are UIDs that the key alone makes",
            where="salus deidentify --mapping",
            fix="leave --old-key and --mapping out",
        )


def form_of(source: Path) -> Form:
    """The form that the names of the files tell. Raises UsageProblem (SAL-502) where they tell none or several."""
    names = [path.name.lower().removesuffix(".gz").removesuffix(".zst") for path in _files(source)]
    if any(name.split(".")[0] == "person" and name.endswith((".csv", ".parquet")) for name in names):
        return Form.OMOP
    found = [form for form, ends in SUFFIXES.items() if any(name.endswith(ends) for name in names)]
    if not found and any(_is_image(path) for path in _files(source)):
        return Form.DICOM
    if len(found) == 1:
        return found[0]
    raise UsageProblem(
        "which form the files have is not clear from their names",
        where="salus deidentify IN",
        fix="say it with --as fhir|omop|hl7v2|csv|dicom",
    )


def _is_image(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(PREAMBLE + len(MARK))[PREAMBLE:] == MARK


def _files(source: Path) -> Sequence[Path]:
    return [source] if source.is_file() else [path for path in sorted(source.rglob("*")) if path.is_file()]


def _digest(data: Path) -> str:
    """One digest of all files, whatever else lies beside them."""
    files = sorted(path for path in data.rglob("*") if path.is_file())
    told = [f"{path.relative_to(data).as_posix()} {file_digest(path)}" for path in files]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
