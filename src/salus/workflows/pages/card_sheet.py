"""The model card as a page, under the nine sections of Mitchell et al. 2019 (arXiv:1810.03993)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from salus.timeline.suspension import REASON
from salus.trajectory.privacy import Privacy
from salus.workflows.pages.card_words import (
    BEFORE_USE,
    SETTING_WORDS,
    USERS,
    energy,
    groups,
    metrics,
    network,
    not_for,
    privacy,
    purposes,
)
from salus.workflows.pages.model_card import ModelCard
from salus.workflows.pages.sheet import Figure, Section, Sheet, Table
from salus.workflows.pages.words import count, interval

CURVE = Figure(
    file="learning_curve.svg",
    caption="Loss on training and on tuning patients.",
    alternative="Lines of the loss in nats a fact against minutes, for training and for tuning patients.",
    width=720,
    height=344,
)
LEAD = "What this model is, what it is for, and what is known of it from its own folder."
SYNTHETIC_LEAD = f"SYNTHETIC: this model learnt from synthetic patients alone. {LEAD}"
LEFT_OUT = ("data", "seed")
"""Settings that the head of the page already says."""


def card_sheet(card: ModelCard, *, made: datetime) -> Sheet:
    """Everything the card says, in the order of the paper."""
    name = card.lineage.data_set
    return Sheet(
        title=f"Model card: {name or card.folder}",
        lead=_lead(card),
        made=made.isoformat(),
        digest=card.lineage.timeline_digest or "not kept",
        seed=card.settings.seed,
        sections=(
            _details(card),
            Section(name="use", heading="Intended use", tables=(_uses(card),)),
            Section(name="factors", heading="Factors", words=groups(card)),
            Section(name="metrics", heading="Metrics", words=metrics(card)),
            _evaluation_data(card),
            _training_data(card),
            _analyses(card),
            Section(name="ethics", heading="Ethical considerations", words=(*privacy(card), energy(card))),
            Section(
                name="caveats",
                heading="Caveats and recommendations",
                words=BEFORE_USE,
                tables=(_files(card),),
            ),
        ),
    )


def _details(card: ModelCard) -> Section:
    lineage, hardware = card.lineage, card.lineage.hardware
    machine = ", ".join(
        [
            str(hardware.get("cpu", "not known")),
            f"{hardware.get('cores', '?')} cores",
            f"{hardware.get('memory_gb', '?')} GB",
            str(hardware.get("system", "")),
        ]
    )
    rows = (
        ("folder", card.folder),
        ("trained", lineage.trained or "not recorded"),
        ("version of Salus", lineage.salus),
        ("code, git commit", lineage.commit or "not known"),
        ("version of torch", lineage.torch),
        ("hardware", machine.removesuffix(", ")),
        ("training time", f"{card.cost.seconds:,.0f} s, {card.cost.cpu_seconds:,.0f} CPU-seconds"),
    )
    known = asdict(card.settings)
    settings = tuple(
        (SETTING_WORDS.get(name, name.replace("_", " ")), f"{value:g}" if isinstance(value, float) else str(value))
        for name, value in known.items()
        if name not in LEFT_OUT
    )  # fmt: skip
    return Section(
        name="details",
        heading="Model details",
        words=network(card),
        tables=(_pairs("t-details", "Where it comes from", rows),),
        folded=(_pairs("t-settings", "Every setting", settings),),
    )


def _uses(card: ModelCard) -> Table:
    rows = [("for", text) for text in purposes(card)] + [("users", USERS)]
    rows += [("not for", text) for text in not_for(card)]
    return _pairs("t-uses", "What it is for and not for", tuple(rows))


def _evaluation_data(card: ModelCard) -> Section:
    lineage = card.lineage
    if card.privacy:
        return Section(
            name="evaluation", heading="Evaluation data", words=("None: looking at patients costs privacy.",)
        )
    held_out = "not recorded" if lineage.patients_held_out is None else count(lineage.patients_held_out)
    return Section(
        name="evaluation",
        heading="Evaluation data",
        words=(
            f"{count(lineage.patients_tuning)} tuning patients decided which weights are kept, so that the loss on "
            f"them flatters a little. Held-out patients ({held_out}) were not looked at.",
        ),
    )


def _lead(card: ModelCard) -> str:
    """What a reader must know first."""
    first = SYNTHETIC_LEAD if card.lineage.synthetic else LEAD
    return f"{REASON.upper()}: nobody may use it. {first}" if card.suspended else first


def _training_data(card: ModelCard) -> Section:
    lineage, vocabulary, hidden = card.lineage, card.vocabulary, card.protection
    about = (
        ("data set", lineage.data_set or "not named"),
        (
            "patients",
            "SYNTHETIC alone: drawn by a model" if lineage.synthetic else "real, or not said to be drawn",
        ),
        ("licence", lineage.licence or "not said"),
        ("splits", lineage.splits or "not said"),
    )
    exact = (
        ("patients: training", count(lineage.patients_train)),
        ("patients: tuning", count(lineage.patients_tuning)),
        ("facts: training", _known(lineage.facts_train)),
        ("facts: tuning", _known(lineage.facts_tuning)),
        ("rows after death, set aside", count(lineage.facts_after_death)),
    )
    data = about + (
        (("patients: training, with noise", count(lineage.patients_train)),) if card.privacy else exact
    )
    spoken = (
        ("fields (what can be said once at a moment)", count(vocabulary.fields)),
        ("of these without a time", count(vocabulary.static_fields)),
        ("codes", count(vocabulary.codes)),
        ("of these with numbers", count(vocabulary.numbers)),
        ("levels (bins of values, codes of choices)", count(vocabulary.levels)),
    )
    kept_back = (
        ("least patients a code or an extreme needs", count(hidden.least_patients)),
        ("codes withheld", count(hidden.withheld_codes)),
        ("facts withheld", count(hidden.withheld_facts)),
        ("facts backed off to what their code is a kind of", count(hidden.backed_off_facts)),
        ("text values not learnt", count(hidden.text_values)),
    )
    said = spoken if card.privacy else spoken + kept_back
    return Section(
        name="training",
        heading="Training data",
        tables=(
            _pairs("t-data", "Records", data),
            _pairs("t-vocabulary", "Vocabulary and protection", said, words=1),
        ),
    )


def _analyses(card: ModelCard) -> Section:
    if card.privacy:
        return Section(name="analyses", heading="Quantitative analyses", tables=(_budget(card.privacy),))
    losses = card.losses
    rows = (
        ("tuning patients, weights kept", _nats(losses.best)),
        ("of this: which code", _nats(losses.code)),
        ("of this: which value", _nats(losses.value)),
        ("of this: how long until then", _nats(losses.wait)),
        ("end of the curve: tuning patients", _nats(losses.last_tuning)),
        ("end of the curve: training patients, last step, units dropped", _nats(losses.last_train)),
    )
    return Section(
        name="analyses",
        heading="Quantitative analyses",
        figures=(CURVE,),
        tables=(_pairs("t-losses", "Loss, nats a fact", rows, words=1), _memorised(card)),
    )


def _budget(privacy: Privacy) -> Table:
    """What the budget was spent on."""
    rows = [
        (one.what, f"{one.noise:.2f}", f"{one.rate:.1%}", count(one.times), f"{one.alone:.2f}")
        for one in privacy.spent
    ]
    return Table(
        name="t-budget",
        caption=f"What was asked of patients: ε = {privacy.epsilon:.2f} together, δ = {privacy.delta:.1g}; "
        f"gradients clipped at {privacy.clip:g}",
        heads=(
            "answer",
            "noise, in units of one patient",
            "share of patients in each",
            "times",
            "ε, if it were alone",
        ),
        rows=tuple(rows),
    )


def _memorised(card: ModelCard) -> Table:
    looks = (("weights kept", card.memorised_kept), ("last check", card.memorised_last))
    rows = tuple(
        (
            name,
            count(look.patients),
            interval(look.gap, look.gap_lower, look.gap_upper),
            interval(look.auroc, look.auroc_lower, look.auroc_upper),
        )
        for name, look in looks
        if look
    )
    return Table(
        name="t-memorised",
        caption="Training patients beside tuning patients, with 95 % intervals by patients",
        heads=("at", "training patients", "gap, nats a fact", "told apart, AUROC"),
        rows=rows,
        empty="not measured when this model was trained",
    )


def _files(card: ModelCard) -> Table:
    return _pairs("t-files", "SHA-256 of the files", tuple(card.files.items()))


def _pairs(name: str, caption: str, rows: tuple[tuple[str, str], ...], *, words: int = 2) -> Table:
    return Table(name=name, caption=caption, heads=("what", "is"), rows=rows, words_first=words)


def _known(amount: int | None) -> str:
    return "not recorded" if amount is None else count(amount)


def _nats(value: float | None) -> str:
    return "not recorded" if value is None else f"{value:.3f}"
