"""A use case's folder, opened at a moment: what lies in it, read once and checked, for any kind to answer from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import polars as pl

from salus.errors import ModelError, SalusError
from salus.findings import Bundle, file_digest, read_bundle
from salus.formats.read_source import read_source
from salus.programme.case import Case, check_subjects, read_case
from salus.programme.gate import Judgement
from salus.programme.usecase import UseCase
from salus.programme.usecase_folder import UseCaseFolder
from salus.timeline.columns import EVENT_COLUMNS, fit_columns
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import read_codes, read_settings, read_timeline, timeline_digest
from salus.trajectory.artefact import Model, load_model
from salus.usecases.contract import CardOfUse, UseCaseKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """May it be used? ``trouble`` says why nobody can tell; only a judgement without trouble says anything."""

    judgement: Judgement | None
    trouble: str


class Opened:
    """What lies in the folder. Whatever cannot be trusted is not there: a broken bundle is no bundle."""

    def __init__(
        self, folder: UseCaseFolder, usecase: UseCase, *, now: datetime, record: pl.DataFrame | None = None
    ) -> None:
        self.folder, self.usecase, self.now, self.record = folder, usecase, now, record

    @property
    def card(self) -> CardOfUse:
        """What usecase.yaml says of it."""
        return CardOfUse(
            title=self.usecase.title,
            card=self.usecase.card,
            state=self.usecase.state,
            tier=self.usecase.tier,
        )

    @cached_property
    def _case(self) -> Case | str:
        """Protocol and evidence, found whole and about what lies here; or why they are not."""
        try:
            return read_case(self.folder)
        except SalusError as error:
            return error.what

    @cached_property
    def standing(self) -> Standing:
        """What the gate says now. Anything wrong with protocol or evidence is trouble, and trouble opens nothing."""
        if isinstance(self._case, str):
            return Standing(judgement=None, trouble=self._case)
        return Standing(judgement=self._case.judge(self.now), trouble=self._licence_trouble())

    @cached_property
    def bundle(self) -> Bundle | None:
        """The evidence, if it is whole and about what lies here; a protocol in trouble does not spoil it."""
        if isinstance(self._case, Case):
            return self._case.bundle
        try:
            bundle = read_bundle(self.folder.evidence)
            check_subjects(self.folder, bundle)
        except SalusError:
            return None
        return bundle

    @cached_property
    def model(self) -> Model | None:
        """The model, if it is whole."""
        try:
            return load_model(self.folder.model)
        except ModelError:
            return None

    @cached_property
    def codes(self) -> pl.DataFrame:
        """What is known of each code of the records."""
        return read_codes(self.folder.timeline)

    @cached_property
    def settings(self) -> TimelineSettings:
        """What the records say of themselves."""
        return read_settings(self.folder.timeline)

    @cached_property
    def events(self) -> pl.DataFrame:
        """The events of those to answer for: the record that was given, or the held-out patients."""
        if self.record is not None:
            return fit_columns(self.record, EVENT_COLUMNS, what="events")
        return read_timeline(self.folder.timeline, "held_out")

    @cached_property
    def timeline_digest(self) -> str:
        """By which the records of those to answer for are known."""
        if self.record is not None:
            return hashlib.sha256(self.record.write_csv().encode()).hexdigest()
        return self.real_digest

    @cached_property
    def real_digest(self) -> str:
        """By which the records of the folder are known, whoever is answered for."""
        return timeline_digest(self.folder.timeline)

    def digest_of(self, name: str) -> str:
        """SHA-256 of a file of the folder; empty where there is none."""
        path = self.folder.root / name
        return file_digest(path) if path.is_file() else ""

    def describe(self, code: str) -> str:
        """What a code means, or the code itself where nobody says."""
        found = self.codes.filter(pl.col("code") == code)["description"].to_list()
        return str(found[0]) if found and found[0] else code

    def _licence_trouble(self) -> str:
        """The records were read under one licence; where the source now says another, nobody knows what holds."""
        if not self.folder.source.is_file():
            return ""
        said, held = read_source(self.folder.source).licence, self.settings.licence
        if said == held:
            return ""
        return (
            f"the licence of the records changed since they were read: source.yaml says '{said or 'nothing'}', "
            f"the timeline '{held or 'nothing'}'"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of use case. ``seconds`` and ``megabytes``: what a proposal of eight candidates takes at most.

    Measured with the small model of the tests on one processor core; the contract's tests hold it to that.
    """

    name: str
    meaning: str
    seconds: float
    megabytes: float
    open: Callable[[Opened], UseCaseKind]
