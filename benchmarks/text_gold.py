"""Notes and sentences with the places of what identifies in them, and how much of that a finder leaves in the open.

Four measures, as the peers were measured: characters (letters and digits) of identifying spans that are masked; spans
of which nothing is left; texts without any leak; letters and digits outside the spans that are masked all the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.blocks import ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldText:
    """A text with the (start, end, label) of what identifies, and what the patient's record would say."""

    text: str
    spans: tuple[tuple[int, int, str], ...]
    group: str = ""
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Leaks:
    """Counts over many texts."""

    texts: int = 0
    clean: int = 0
    spans: int = 0
    whole: int = 0
    characters: int = 0
    masked: int = 0
    others: int = 0
    others_masked: int = 0

    @property
    def character_recall(self) -> float:
        """Share of identifying letters and digits that are masked."""
        return self.masked / max(self.characters, 1)

    @property
    def span_recall(self) -> float:
        """Share of identifying spans of which nothing is left."""
        return self.whole / max(self.spans, 1)

    @property
    def clean_share(self) -> float:
        """Share of texts without any leak."""
        return self.clean / max(self.texts, 1)

    @property
    def over_masking(self) -> float:
        """Share of the other letters and digits that are masked all the same."""
        return self.others_masked / max(self.others, 1)


Finder = Callable[[GoldText], Iterable[tuple[int, int]]]


def measure(
    texts: Sequence[GoldText], finder: Finder, *, wanted: Callable[[str], bool] | None = None
) -> Leaks:
    """Count what a finder masks and leaves; ``wanted`` limits recall to spans of some labels."""
    leaks = Leaks()
    for gold in texts:
        covered = _covered(len(gold.text), finder(gold))
        identifying = _covered(len(gold.text), [(s, e) for s, e, _ in gold.spans])
        leaks.texts += 1
        without_leak = True
        for start, end, label in gold.spans:
            if wanted is not None and not wanted(label):
                continue
            letters = [i for i in range(start, end) if gold.text[i].isalnum()]
            hidden = sum(covered[i] for i in letters)
            leaks.spans += 1
            leaks.characters += len(letters)
            leaks.masked += hidden
            leaks.whole += hidden == len(letters)
            without_leak &= hidden == len(letters)
        leaks.clean += without_leak
        for i, character in enumerate(gold.text):
            if character.isalnum() and not identifying[i]:
                leaks.others += 1
                leaks.others_masked += covered[i]
    return leaks


def _covered(length: int, spans: Iterable[tuple[int, int]]) -> bytearray:
    covered = bytearray(length)
    for start, end in spans:
        covered[start:end] = b"\1" * (min(end, length) - start)
    return covered


def generated_notes(seed: int, number: int, build: Path, *, profile: str = "en-US") -> list[GoldText]:
    """Notes of one of meddeid's profiles, made by the tool in an environment and a process of its own.

    The tool is AGPL-3.0: it is run, and what it writes is read; nothing of it is imported or kept.
    """
    path = build / f"notes-{profile}-{seed}-{number}.jsonl"
    if not path.exists():
        command = _meddeid(build)
        words = ["generate", "--language-profile", profile, "--count", str(number), "--seed", str(seed)]
        subprocess.run([command, *words, "--output", path], check=True, capture_output=True)
    return [_generated(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def _meddeid(build: Path) -> Path:
    """The tool's own environment, made where it is missing."""
    place = build / "env" / "meddeid"
    if not (place / "bin" / "meddeid-data").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        requirements = ROOT / "benchmarks" / "peers" / "meddeid" / "requirements.txt"
        pip = [place / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, "--no-deps", "-r", requirements], check=True)
    return place / "bin" / "meddeid-data"


def _generated(row: dict[str, object]) -> GoldText:
    metadata = row["metadata"]
    spans = row["spans"]
    assert isinstance(metadata, dict) and isinstance(spans, list)
    return GoldText(
        text=str(row["text"]),
        spans=tuple((s["begin"], s["end"], s["label"]) for s in spans),
        group=str(metadata["document_type"]),
        facts=dict(metadata["patient"]),
    )


def suite(name: str) -> Path:
    """A suite's archive below $SALUS_DATA."""
    return Path(os.environ["SALUS_DATA"]) / "suites" / name


def sentences() -> list[GoldText]:
    """The 1,500 sentences of presidio-research (MIT)."""
    rows = json.loads(_member("presidio-research.tar.xz", "synth_dataset_v2.json")[0])
    return [
        GoldText(
            text=row["full_text"],
            spans=tuple((s["start_position"], s["end_position"], s["entity_type"]) for s in row["spans"]),
            group=str(row["template_id"]),
        )
        for row in rows
    ]


def spanish_cases() -> list[GoldText]:
    """The 500 training cases of MEDDOCAN (CC BY 4.0)."""
    found = []
    for raw in _member("meddocan-train.tar.xz", ".xml"):
        tree = ET.fromstring(raw)
        text = tree.findtext("TEXT") or ""
        tags = tree.find("TAGS")
        spans = tuple((int(t.get("start", 0)), int(t.get("end", 0)), t.get("TYPE", "")) for t in tags or ())
        found.append(GoldText(text=text, spans=spans))
    return found


def _member(archive: str, ending: str) -> list[bytes]:
    with tarfile.open(suite(archive)) as tar:
        members = sorted((m for m in tar if m.isfile() and m.name.endswith(ending)), key=lambda m: m.name)
        return [file.read() for m in members if (file := tar.extractfile(m)) is not None]
