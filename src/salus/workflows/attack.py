"""Attack a model or a synthetic set in every way we know, and write the findings, a page and the numbers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from salus.errors import SettingsRefused, TrainingCopied, nearest
from salus.evidence.copies import copied, long_runs, near_copies
from salus.evidence.discrimination import Floats
from salus.evidence.fingerprints import fingerprints
from salus.evidence.guesses import Question, answers
from salus.evidence.linking import inference, linkability
from salus.evidence.membership import Membership
from salus.evidence.membership_tail import group_findings, tail_findings, worst_off
from salus.evidence.patient_rows import PatientRows, RowForm, learn_rows, patient_rows
from salus.evidence.row_distances import nearest_apart, place
from salus.evidence.singling_out import singling_out
from salus.evidence.verbatim_runs import longest_runs, write_records
from salus.findings import ABOUT_WHAT, Finding, file_digest, write_bundle
from salus.progress import QUIET, Progress, Step
from salus.timeline.store import read_settings, timeline_digest
from salus.trajectory.artefact import ABOUT
from salus.workflows.attack_material import Material, Target, material
from salus.workflows.membership import Attacked, measure_membership
from salus.workflows.pages.attack_sheet import attack_sheet
from salus.workflows.pages.attack_words import sentences
from salus.workflows.pages.render import one_file
from salus.workflows.stages import Json

EVIDENCE, PAGE_FILE, NUMBERS_FILE = "evidence", "attack.html", "attack.json"
MOST, MOST_TARGETS = 10_000, 4_000
"""Patients a side, and people about whom secrets are guessed: more cost time and narrow intervals little."""
COPIED = 0.05
"""Where surely more than this share of the set are copies, it is no matter of degree: the run ends with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackChoices:
    """What is chosen by whoever attacks: the seed, and which fields the attacker knows (none: all but the secret)."""

    seed: int = 20260101
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackResult:
    """The findings, how long each attack took, what to say of them, and the frames behind the pictures."""

    findings: tuple[Finding, ...]
    seconds: dict[str, float]
    sentences: dict[str, str]
    patients: dict[str, int]
    remarks: tuple[str, ...]
    runs: pl.DataFrame
    distances: pl.DataFrame
    folder: Path | None = None

    def as_json(self) -> dict[str, Json]:
        """The numbers as attack.json holds them."""
        return {
            "sentences": dict(self.sentences),
            "remarks": list(self.remarks),
            "patients": dict(self.patients),
            "seconds": {name: round(spent, 2) for name, spent in self.seconds.items()},
            "findings": [dict(json.loads(json.dumps(asdict(one)))) for one in self.findings],
        }


@dataclass(slots=True)
class _Work:
    """What one run has found so far."""

    held: Material
    choices: AttackChoices
    rows: dict[str, PatientRows]
    findings: list[Finding] = field(default_factory=list)
    tables: dict[str, pl.DataFrame] = field(default_factory=dict)

    def ask(self, *questions: Question) -> None:
        """Add the answers."""
        for question in questions:
            self.findings += answers(question, seed=self.choices.seed)


def attack(
    target: Target, to: Path | None, *, choices: AttackChoices, made: datetime, progress: Progress = QUIET
) -> AttackResult:
    """Run every attack; write bundle, page and numbers ``to``, if given. ``made``: now.

    Raises SettingsRefused (SAL-308: an unknown field), TrainingCopied (SAL-464: after everything is written) and what
    :func:`salus.workflows.attack_material.material` raises.
    """
    with material(target, seed=choices.seed, progress=progress) as held:
        form = learn_rows(held.everyone)
        _check_fields(choices.known, form)
        work = _Work(held=held, choices=choices, rows=_rows(held, form, seed=choices.seed))
        with progress.step("Attacking", total=len(ATTACKS), unit="attacks") as step:
            seconds = dict(_timed(work, step))
        result = _result(work, seconds, made=made)
        if to is not None:
            result = _written(result, work, to, made=made)
    _loud(result, target)
    return result


def _timed(work: _Work, step: Step) -> Iterator[tuple[str, float]]:
    for name, attacked in ATTACKS.items():
        began = time.monotonic()
        attacked(work)
        step.advance(note=name)
        yield name, time.monotonic() - began


def _membership(work: _Work) -> None:
    held, seed = work.held, work.choices.seed
    about = Attacked(timeline=held.real, synthetic=held.synthetic, model=held.model, most=MOST)
    found: Membership = measure_membership(about, seed=seed)
    work.findings += [*found.findings, *tail_findings(found, seed=seed)]
    work.findings += group_findings(found, worst_off(held.everyone), seed=seed)
    work.tables["membership"] = found.scores


def _singling_out(work: _Work) -> None:
    rows = work.rows
    work.ask(*singling_out(rows["synthetic"], rows["members"], rows["others"], seed=work.choices.seed))


def _linkability(work: _Work) -> None:
    rows, seed = work.rows, work.choices.seed
    work.ask(
        linkability(
            rows["synthetic"],
            _some(rows["members"], MOST_TARGETS, seed),
            _some(rows["others"], MOST_TARGETS, seed),
            known=work.choices.known or every_other(rows["members"].fields),
            seed=seed,
        )
    )


def _inference(work: _Work) -> None:
    rows, seed = work.rows, work.choices.seed
    others = rows["others"]
    targets = _some(others, MOST_TARGETS, seed)
    spare = rows["tuning"] if len(rows["tuning"]) else others
    work.ask(
        *inference(
            rows["synthetic"],
            _some(rows["members"], MOST_TARGETS, seed),
            targets,
            known=work.choices.known,
            reference=spare,
        )
    )


def _copies(work: _Work) -> None:
    held, rows, seed = work.held, work.rows, work.choices.seed
    marks = [fingerprints(events) for events in (held.invented, held.members, held.others)]
    work.ask(copied(marks[0], marks[1], marks[2]))
    members = rows["members"]
    there = place(_some(members, MOST, seed), members)
    synthetic, control = (
        nearest_apart(place(_some(rows[name], MOST, seed), members), there)
        for name in ("synthetic", "others")
    )
    work.ask(near_copies(synthetic, control, members=len(there)))
    work.tables["distances"] = _beside(synthetic, control)


def _runs(work: _Work) -> None:
    held = work.held
    members, invented, others = write_records([held.members, held.invented, held.others])
    synthetic, control = (longest_runs(each, members).astype(float) for each in (invented, others))
    work.ask(long_runs(synthetic, control, members=len(members)))
    work.tables["runs"] = _beside(synthetic, control)


ATTACKS: dict[str, Callable[[_Work], None]] = {
    "membership": _membership,
    "singling out": _singling_out,
    "linkability": _linkability,
    "inference": _inference,
    "copies": _copies,
    "runs": _runs,
}


def every_other(fields: tuple[str, ...]) -> tuple[str, ...]:
    """Deal fields out to two lists; these are the first list's.

    >>> every_other(("a", "a", "b", "c"))
    ('a', 'c')
    """
    return tuple(dict.fromkeys(fields))[::2]


def _check_fields(known: tuple[str, ...], form: RowForm) -> None:
    for name in known:
        if name not in form.fields:
            raise SettingsRefused(
                f"there is no field '{name}'{nearest(name, form.fields)}",
                where="--known",
                fix=f"choose among: {', '.join(form.fields)}",
            )
    if known and set(known) == set(form.fields):
        raise SettingsRefused(
            "all fields are known: nothing is left to guess", where="--known", fix="leave one out at least"
        )


def _rows(held: Material, form: RowForm, *, seed: int) -> dict[str, PatientRows]:
    groups = {
        "synthetic": held.invented,
        "members": held.members,
        "tuning": held.tuning,
        "others": held.others,
    }
    laid = {name: patient_rows(events, form) for name, events in groups.items()}
    return {**laid, "synthetic": _some(laid["synthetic"], MOST, seed)}


def _some(rows: PatientRows, most: int, seed: int) -> PatientRows:
    if len(rows) <= most:
        return rows
    return rows.of(np.sort(np.random.default_rng(seed).permutation(len(rows))[:most]))


def _beside(synthetic: Floats, control: Floats) -> pl.DataFrame:
    """Values of both groups, sorted: no row tells whose it is."""
    who = ["synthetic"] * len(synthetic) + ["never learnt from"] * len(control)
    values = np.concatenate([np.sort(synthetic), np.sort(control)])
    return pl.DataFrame({"who": who, "value": values}, schema={"who": pl.String, "value": pl.Float64})


def _result(work: _Work, seconds: dict[str, float], *, made: datetime) -> AttackResult:
    held = work.held
    subjects = _subjects(held)
    site = read_settings(held.real).name
    roles = {role: subjects[role] for role in ABOUT_WHAT["privacy"] if role in subjects}
    found = tuple(replace(one, digests=roles, created=made.isoformat(), site=site) for one in work.findings)
    return AttackResult(
        findings=found,
        seconds=seconds,
        sentences=sentences(found),
        patients={name: len(rows) for name, rows in work.rows.items()},
        remarks=_remarks(held),
        runs=work.tables["runs"],
        distances=work.tables["distances"],
    )


def _remarks(held: Material) -> tuple[str, ...]:
    said = []
    if held.known_share < 1:
        said.append(
            f"{held.known_share:.0%} of the synthetic rows have a code that a real patient has; the others cannot"
            " be told from noise by any attack."
        )
    if held.leak.leaked:
        said.append(
            "Some held-out records stand word for word among those trained on, no more often than training records have"
            " twins: they weaken the control a little."
        )
    if held.on_trust:
        said.append(
            "Nothing says that these real patients are those it was learnt from: were they others, every attack would"
            " find nothing."
        )
    if held.model is None:
        said.append("The model was not given: nothing was asked of the likelihood of records under it.")
    return tuple(said)


def _subjects(held: Material) -> dict[str, str]:
    subjects = {"timeline": timeline_digest(held.real), "synthetic": timeline_digest(held.synthetic)}
    if held.model is not None:
        subjects["model"] = file_digest(held.model / ABOUT)
    return subjects


def _written(result: AttackResult, work: _Work, to: Path, *, made: datetime) -> AttackResult:
    to.mkdir(parents=True, exist_ok=True)
    subjects = _subjects(work.held)
    write_bundle(
        to / EVIDENCE, result.findings, tables=work.tables, subjects=subjects, created=made.isoformat()
    )
    sheet, pictures = attack_sheet(
        result.findings,
        {"runs": result.runs, "distances": result.distances},
        remarks=result.remarks,
        about=(made.isoformat(), subjects["synthetic"], work.choices.seed),
    )
    for name, text in (
        (PAGE_FILE, one_file(sheet, pictures)),
        (NUMBERS_FILE, json.dumps(result.as_json(), indent=1, ensure_ascii=False) + "\n"),
    ):
        partial = to / f".{name}.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(to / name)
    return replace(result, folder=to)


def _loud(result: AttackResult, target: Target) -> None:
    """Copies of training patients are a fault of whatever made the set, not a matter of degree."""
    copies = {one.metric: one for one in result.findings if one.comparison == "attack"}
    share, added = copies["privacy.copies"], copies["privacy.copies_risk"]
    if (added.lower or 0.0) > COPIED and share.value is not None:
        kept = "" if result.folder is None else f"; the findings are in {result.folder}"
        raise TrainingCopied(
            f"{share.value:.1%} of the synthetic patients are patients the model learnt from, word for word",
            where=str(target.what),
            fix=f"release nothing of it, and look at what made it: no model of Salus copies records{kept}",
        )
