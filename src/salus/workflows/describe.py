"""Describe: a model folder becomes its card, in figures for programs and as a page for people."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

from salus.errors import SettingsRefused
from salus.timeline.suspension import is_suspended
from salus.trajectory.artefact import ABOUT, load_model
from salus.trajectory.memorisation import Memorised
from salus.trajectory.training import TrainLog
from salus.trajectory.vocabulary import Vocabulary
from salus.workflows.pages.card_sheet import card_sheet
from salus.workflows.pages.markdown import markdown
from salus.workflows.pages.model_card import Cost, Losses, ModelCard, VocabularyCounts
from salus.workflows.pages.render import one_file
from salus.workflows.pages.sheet import Sheet, figures_of

FORMS = (".md", ".html")
WATTS_PER_CORE = 12.0
"""Assumed draw of one busy core where the processor is not measured: the default of the Green Algorithms calculator
(TDP_cpu.csv, "Any"; Lannelongue et al. 2021, doi:10.1002/advs.202100707). Memory and cooling come on top."""
JOULES_PER_KWH = 3.6e6


def describe(folder: Path) -> ModelCard:
    """Read a model's card from its folder alone. Raises what :func:`salus.trajectory.artefact.load_model` raises."""
    model = load_model(folder, although_suspended=True)
    return ModelCard(
        folder=folder.resolve().name,
        digest=model.digest,
        suspended=is_suspended(folder),
        files={ABOUT: model.digest} | model.files,
        lineage=model.lineage,
        clock=model.vocabulary.clock,
        parameters=sum(value.numel() for value in model.network.parameters()),
        vocabulary=_counts(model.vocabulary),
        protection=model.vocabulary.protection,
        groups=tuple(one.name for one in model.vocabulary.fields if one.static),
        knows_death=any(entry.death for entry in model.vocabulary.entries),
        differentially_private=model.privacy is not None,
        privacy=model.privacy,
        audit=model.audit,
        settings=model.settings,
        losses=_losses(model.log),
        memorised_kept=_memorised(model.log.kept()),
        memorised_last=_memorised(model.log.curve[-1] if model.log.curve else {}),
        cost=_cost(model.log),
    )


def card_page(card: ModelCard, *, made: datetime | None = None) -> Sheet:
    """The card as a page, under the sections of Mitchell et al. 2019 (arXiv:1810.03993)."""
    return card_sheet(card, made=made or datetime.now(UTC))


def write_card(folder: Path, card: ModelCard, to: Path, *, made: datetime | None = None) -> None:
    """Write the card of the model in ``folder`` as Markdown or HTML, as the name of ``to`` says.

    Raises SettingsRefused (SAL-308) where it says neither.
    """
    if to.suffix not in FORMS:
        raise SettingsRefused(
            f"a card cannot be written as '{to.suffix or to.name}'",
            where="--to",
            fix="give a name that ends in .html or .md",
        )
    sheet = card_page(card, made=made)
    if to.suffix == ".md":
        text = markdown(sheet)
    else:
        text = one_file(
            sheet, {one.file: (folder / one.file).read_text("utf-8") for one in figures_of(sheet)}
        )
    to.write_text(text, encoding="utf-8")


def _counts(vocabulary: Vocabulary) -> VocabularyCounts:
    return VocabularyCounts(
        fields=vocabulary.size,
        static_fields=vocabulary.statics,
        codes=len(vocabulary.entries),
        numbers=sum(entry.bins > 0 for entry in vocabulary.entries),
        levels=vocabulary.levels,
        longest_moment=vocabulary.longest_moment,
        longest_record=vocabulary.longest_record,
    )


def _losses(log: TrainLog) -> Losses:
    best = log.kept()
    last = log.curve[-1] if log.curve else {}
    return Losses(
        best=log.best_loss if log.curve else None,
        best_epoch=best.get("epoch"),
        code=best.get("code"),
        value=best.get("value"),
        wait=best.get("wait"),
        last_train=last.get("train"),
        last_tuning=last.get("tuning"),
        checks=len(log.curve),
        epochs=log.epochs,
        stopped=log.stopped,
    )


def _memorised(point: dict[str, float]) -> Memorised | None:
    """What a check found; None where an earlier version did not look."""
    if "auroc" not in point:
        return None
    measured = {one.name: point[one.name] for one in fields(Memorised) if one.name != "patients"}
    return Memorised(patients=int(point["patients"]), **measured)


def _cost(log: TrainLog) -> Cost:
    return Cost(
        seconds=log.seconds,
        cpu_seconds=log.cpu_seconds,
        watts_per_core=WATTS_PER_CORE,
        kwh=log.cpu_seconds * WATTS_PER_CORE / JOULES_PER_KWH,
    )
