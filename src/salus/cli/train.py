"""``salus train``: learn to generate patients from a timeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salus.cli import console
from salus.errors import PrivacyRefused
from salus.trajectory.devices import Device
from salus.trajectory.learner import SHARES
from salus.trajectory.memorisation import MOST_TOLD_APART
from salus.trajectory.privacy import Privacy
from salus.trajectory.sizes import Scale
from salus.workflows.canaries_file import CANARIES_FILE, AuditChoices
from salus.workflows.train import TrainChoices, TrainResult
from salus.workflows.train import train as train_model
from salus.workflows.train_private import PrivateChoices

PRIVATE_OPTION = Annotated[
    bool,
    typer.Option(
        "--private",
        help="Train with differential privacy of each patient; needs --epsilon.",
    ),
]
EPSILON_OPTION = Annotated[
    float | None, typer.Option(help="Privacy budget ε, all that is learnt included: 1 to 10 are usual.")
]
DELTA_OPTION = Annotated[
    float | None,
    typer.Option(
        help="Chance δ that the promise fails; a tenth of 1 in so many patients or less if left out."
    ),
]


AUDIT_OPTION = Annotated[
    int | None,
    typer.Option(
        help="For an audit, leave out half of N patients by coin: 1,000.",
        metavar="N",
    ),
]


def train(
    folder: Annotated[Path, typer.Argument(help="The timeline's folder.", metavar="DIR")],
    to: Annotated[Path, typer.Option(help="Where to write the model's folder.")],
    minutes: Annotated[float, typer.Option(help="Stop after so many minutes at the latest.")] = 5.5,
    seed: Annotated[int, typer.Option(help="Seed of every random step.", min=0)] = 20260101,
    workers: Annotated[
        int, typer.Option(help="Shares a step is cut into, each for one processor. Part of the result.")
    ] = SHARES,
    size: Annotated[
        Scale,
        typer.Option(
            help="Model and training for about 1,000, 100,000 or 10 million patients; auto: by the data."
        ),
    ] = Scale.AUTO,
    memorisation: Annotated[
        float,
        typer.Option(
            help="Stop when training patients can be told from others by their loss with a higher AUROC; 1: never."
        ),
    ] = MOST_TOLD_APART,
    device: Annotated[
        Device,
        typer.Option(help="Compute on the processor or a graphics card; auto: the card if there is one."),
    ] = Device.AUTO,
    private: PRIVATE_OPTION = False,
    epsilon: EPSILON_OPTION = None,
    delta: DELTA_OPTION = None,
    audit: AUDIT_OPTION = None,
    ray: console.RAY_OPTION = None,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Learn to generate patients from a timeline."""
    choices = TrainChoices(
        minutes=minutes,
        seed=seed,
        workers=workers,
        size=size,
        memorisation=memorisation,
        device=device,
        private=_budget(private, epsilon, delta),
        audit=None if audit is None else AuditChoices(canaries=audit),
    )
    with console.session(as_json) as progress, console.on_cluster(ray):
        result = train_model(folder, to, choices=choices, progress=progress)
    told = _proved(result.privacy) if result.privacy else _measured(result)
    if result.synthetic:
        told.append("SYNTHETIC: it learnt from synthetic patients alone, and says nothing about a real one")
    console.result(result, as_json, [*told, *_auditable(result.canaries), f"model: {result.model}"])


def _budget(private: bool, epsilon: float | None, delta: float | None) -> PrivateChoices | None:
    """What was asked for; ε alone without privacy, or privacy without ε, is a mistake."""
    if private and epsilon is not None:
        return PrivateChoices(epsilon=epsilon, delta=delta)
    if private or epsilon is not None or delta is not None:
        raise PrivacyRefused(
            "private training needs its budget" if private else "a privacy budget without private training",
            where="--epsilon" if private else "--private",
            fix="write --private --epsilon 3, with another number where less or more may be given away",
        )
    return None


def _auditable(canaries: int | None) -> list[str]:
    if canaries is None:
        return []
    return [
        f"for an audit: of {canaries:,} patients a coin left out about half; {CANARIES_FILE} in the model's folder "
        "says whom: take it out before the model goes to anybody else"
    ]


def _measured(result: TrainResult) -> list[str]:
    told = "not measured"
    if result.told_apart is not None:
        told = f"{result.told_apart:.3f} [{result.told_apart_lower:.3f} to {result.told_apart_upper:.3f}]"
    return [
        f"trained on {result.patients:,} patients for {result.seconds:.0f} s ({result.epochs:.1f} epochs, "
        f"{result.facts_per_second:,.0f} facts/s); size: {result.size}; stopped: {result.stopped}",
        f"loss on tuning patients: {result.best_loss:.3f} nats per fact",
        f"training patients told from tuning patients by their loss: AUROC {told}",
        f"learning curve: {result.curve}",
    ]


def _proved(privacy: Privacy) -> list[str]:
    return [
        f"trained on about {privacy.patients:,} patients, {privacy.steps} steps of {privacy.rate:.0%} of them",
        f"differentially private: ε = {privacy.epsilon:.2f} (asked {privacy.epsilon_asked:g}), "
        f"δ = {privacy.delta:.1g}, the unit one patient",
        f"noise {privacy.noise:.2f} times one patient's gradient a step; counted by {privacy.accountant}",
        "no loss is shown: looking at patients would have cost more",
    ]
