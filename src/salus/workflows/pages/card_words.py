"""What a model card says in sentences: what the model is for and not for, and what to mind."""

from __future__ import annotations

from salus.trajectory.privacy import Privacy
from salus.trajectory.vocabulary import BIRTH, START, Clock
from salus.workflows.pages.model_card import ModelCard
from salus.workflows.pages.words import count

GROUP_WORDS = {BIRTH: "age", START: "when the record starts"}
SETTING_WORDS = {
    "minutes": "wall time at most, minutes",
    "width": "width of the state and of the fact network",
    "depth": "layers of the fact network",
    "dropout": "share of units dropped in training",
    "wait_dropout": "share of units dropped in the heads of waits",
    "share_facts": "facts in a share of a step",
    "most_epochs": "passes over the training patients at most",
    "rate": "highest learning rate (AdamW)",
    "weight_decay": "weight decay",
    "patience": "checks without a better tuning loss before stopping",
    "checks_per_epoch": "checks a pass",
    "averaging": "share of the running average of the weights that a step keeps",
    "emphasis": "extra weight of what seldom happens, a fact of an average patient",
    "most_gap": "AUROC above which training patients count as learnt by heart",
    "most_emphasis": "extra weight of what seldom happens, at most",
}
LOSS = (
    "Loss: negative log-likelihood in nats a fact (natural logarithm; smaller is better), of codes, values and waits "
    "together. It is that of a continuous distribution of waits, and can be compared only between models of the same "
    "records and codes."
)
USERS = "People who develop or appraise such analyses and can have the evidence measured."
BEFORE_USE = (
    "Before synthetic patients or forecasts are used: salus appraise measures fidelity, utility, privacy attacks and "
    "calibration on held-out patients, and salus gate judges them by a protocol frozen beforehand. This card "
    "replaces neither.",
    "A model knows the care of its time and place. Measure again where either differs.",
)


def purposes(card: ModelCard) -> tuple[str, ...]:
    """What the model is for."""
    clock, name = card.clock, card.lineage.data_set or "the training data"
    times = "of times only the order" if clock.order_only else f"times to the {clock.grain}, {_since(clock)}"
    drawing = (
        f"Draw synthetic patients like those of “{name}”, to develop and test software and analyses where the real "
        "records may not go."
    )
    if card.lineage.synthetic:
        return (drawing,)
    return (
        drawing,
        "Forecast what tends to happen to patients recorded in the same way "
        f"(the same codes; {times}), under the care they got.",
    )


def _since(clock: Clock) -> str:
    return f"counted from {clock.anchor}" if clock.anchor else "counted from the record's own start"


def not_for(card: ModelCard) -> tuple[str, ...]:
    """What the model is not for, as far as its folder tells."""
    hidden = card.protection
    return (
        "Decisions about a single patient. It is not a medical device; no clinical validation is part of this card.",
        "The effect of a treatment: it tells what happens after what, not because of what.",
        *(["How long anything takes: its times are only an order."] if card.clock.order_only else []),
        *([] if card.knows_death else ["Deaths: no code that it knows means one."]),
        *(
            ["Rare things: codes too rare to stand out from the noise are never drawn."]
            if card.privacy
            else []
        ),
        *(
            [
                f"Rare things: codes that fewer than {hidden.least_patients} training patients have were withheld "
                f"({count(hidden.withheld_codes)}) and are never drawn."
            ]
            if hidden.withheld_codes
            else []
        ),
        *(
            [f"Text: the values of {count(hidden.text_values)} rows were not learnt."]
            if hidden.text_values
            else ["Text and images."]
        ),
        f"Longer histories than it has seen: {count(card.vocabulary.longest_record)} moments, "
        f"{count(card.vocabulary.longest_moment)} facts at one moment.",
    )


def groups(card: ModelCard) -> tuple[str, ...]:
    """By what the model can tell patients apart, and what is not known about groups."""
    names = [GROUP_WORDS.get(name, name) for name in card.groups]
    shown = ", ".join(names[:30]) + (f" and {len(names) - 30} more" if len(names) > 30 else "")
    return (
        f"Said of a patient once, without a time: {shown or 'nothing'}.",
        "How well the model does for each group is not known from its folder; salus appraise measures groups of sex "
        "and age where the use case names them.",
    )


def metrics(card: ModelCard) -> tuple[str, ...]:
    """What the numbers on the card mean."""
    if card.privacy:
        return (
            "ε: whatever anybody concludes from this model becomes at most e^ε times as likely, or as unlikely, by one "
            "patient having taken part or not; δ bounds the chance that this fails.",
            "No loss was measured: looking at patients would have taken from the budget.",
        )
    return (
        LOSS,
        "Learnt by heart: the mean loss of tuning patients less that of a sample of training patients, and the chance "
        "that the loss of a tuning patient is the higher one of the two (AUROC; 0.5 tells nothing). Training stops "
        f"when the lower bound of that chance passes {card.settings.most_gap:g}.",
    )


def network(card: ModelCard) -> tuple[str, ...]:
    """What was trained, and how, in sentences."""
    settings, ended = card.settings, card.losses
    if card.privacy:
        return (
            f"A recurrence over moments and a small network for the facts of a moment, of width {settings.width}: "
            f"{count(card.parameters)} parameters.",
            f"Trained for {count(card.privacy.steps)} steps, each with a random {card.privacy.rate:.1%} of the "
            "patients; every patient's gradient was clipped and noise added to the sum. Kept are the averaged weights.",
        )
    return (
        f"A recurrence over moments and a small network for the facts of a moment, of width {settings.width}: "
        f"{count(card.parameters)} parameters.",
        f"Trained for {ended.epochs:.1f} of at most {settings.most_epochs} passes over the training patients and at "
        f"most {settings.minutes:g} minutes; stopped: {ended.stopped or 'not said'}. Kept are the averaged weights "
        f"that were best on tuning patients{_after(ended.best_epoch)}.",
        f"{settings.dropout:.0%} of units dropped in training, {settings.wait_dropout:.0%} in the heads of waits; "
        f"seed {settings.seed}.",
    )


def _after(epoch: float | None) -> str:
    return "" if epoch is None else f" (after {epoch:.1f} passes)"


def privacy(card: ModelCard) -> tuple[str, ...]:
    """How the patients behind the model are protected, and how far."""
    hidden, least = card.protection, card.protection.least_patients
    if card.privacy:
        return (*_proved(card.privacy), *_audited(card))
    return (
        *_audited(card),
        f"Protected before training: codes that fewer than {least} patients have count as what they are a kind of "
        f"({count(hidden.backed_off_facts)} facts) or are withheld ({count(hidden.withheld_codes)} codes, "
        f"{count(hidden.withheld_facts)} facts); no value is drawn beyond what at least {least} patients reach.",
        "Not differentially private: protection rests on these rules and on measured attacks, not on a proof.",
        "The folder holds learnt numbers and the names of codes, no records. Until its evidence says otherwise, treat "
        "it as the personal data it was learnt from.",
    )


def _proved(privacy: Privacy) -> tuple[str, ...]:
    return (
        f"Differentially private: ε = {privacy.epsilon:.2f} at δ = {privacy.delta:.1g} (asked for: "
        f"{privacy.epsilon_asked:g}), counted by {privacy.accountant}. The unit is {privacy.unit}.",
        f"The ε covers {', '.join(privacy.covers)}. Taken as public: {'; '.join(privacy.public)}.",
        "It does not cover what is measured later with the records themselves (salus appraise), nor how long training "
        "took. A second model of the same patients adds its own ε.",
        "The folder holds learnt numbers, no records, no exact count and no digest of the data.",
    )


def _audited(card: ModelCard) -> tuple[str, ...]:
    """That a coin left some patients out, and what must not leave the house with the model."""
    if card.audit is None:
        return ()
    return (
        f"Trained for an audit: of {count(card.audit.canaries)} training patients about half were left out, each by a "
        "fair coin, so that it can be measured what the model gives away of those it learnt from. canaries.json in "
        "the folder (not part of the model) says who they are; take it out before anybody else gets the model.",
    )


def energy(card: ModelCard) -> str:
    """The energy estimate with what it assumes."""
    return (
        f"Energy: about {card.cost.kwh:.2g} kWh, from {count(card.cost.cpu_seconds)} CPU-seconds at an assumed "
        f"{card.cost.watts_per_core:g} W a busy core (default of the Green Algorithms calculator for a processor that "
        "was not measured, doi:10.1002/advs.202100707; memory and cooling not counted)."
    )
