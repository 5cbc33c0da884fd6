"""Private training: noisy sums of clipped gradients of randomly sampled patients, for a number of steps fixed before.

Abadi et al. 2016 (arXiv:1607.00133), the unit being the patient. No tuning patient is looked at: that would cost too.
The noise comes from a generator that the system seeds and nobody keeps: whoever knew it could take it off again.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor

from salus.errors import LossNotFinite
from salus.progress import Progress, Step
from salus.trajectory.batches import make_batch
from salus.trajectory.encoding import Records
from salus.trajectory.likelihood import groups_of
from salus.trajectory.network import Network, Size
from salus.trajectory.privacy import Privacy, Spent
from salus.trajectory.private_accounting import (
    Answer,
    accountant,
    epsilon_of,
    gaussian,
    training_noise,
)
from salus.trajectory.private_batches import patient_losses, tensors_of
from salus.trajectory.private_counts import Noise
from salus.trajectory.private_gradients import PatientGradients, patient_gradients
from salus.trajectory.private_network import Learning, prepare_network
from salus.trajectory.private_vocabulary import SECRET_CODES, Budget, PrivateLessons
from salus.trajectory.recurrence import Recurrence
from salus.trajectory.training import TrainLog, TrainSettings, cpu_seconds_spent

FIXED = "fixed number of steps"
ROUNDING = 1e-3
"""More noise than demanded: what rounding may add to one patient's part."""
MOST_GRADIENTS = 1_000_000
"""Gradients of patients computed in a whole run, at most: of many patients fewer take part in each step."""
SWIFT = 5.0
"""How much faster biases learn: how often something comes shows in everybody, and may lie far from the start."""
EMPHASIS, MOST_EMPHASIS = 0.2, 30.0
"""Extra weight of what seldom happens, for each moment that a record may have; and at most."""
CHUNK_FACTS, CHUNK_PATIENTS = 16_000, 192
"""Patients computed together: their gradients lie in memory one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivatePace:
    """How private training proceeds: all public. ``rate``: a patient's chance to take part in a step."""

    steps: int = 200
    rate: float = 0.075
    clip: float = 1.0
    width: int = 96
    depth: int = 1
    learning_rate: float = 1e-2
    averaging: float = 0.97


def pace_for(lessons: PrivateLessons) -> PrivatePace:
    """How to proceed with so many patients: by what is public, and by noisy counts."""
    usual = PrivatePace()
    return replace(usual, rate=min(usual.rate, MOST_GRADIENTS / (usual.steps * lessons.patients)))


def fit_privately(
    lessons: PrivateLessons, *, settings: TrainSettings, pace: PrivatePace, budget: Budget, progress: Progress
) -> tuple[Network, TrainLog, Privacy]:
    """Train within what the vocabulary left of the budget.

    Raises BudgetTooSmall (SAL-317) or LossNotFinite (SAL-303).
    """
    delta = (1 - SECRET_CODES) * budget.delta
    noise = training_noise(
        lessons.answers, rate=pace.rate, steps=pace.steps, epsilon=budget.epsilon, delta=delta
    )
    torch.manual_seed(settings.seed)
    network = Network(
        lessons.vocabulary, Size(width=pace.width, depth=pace.depth, dropout=0.0, wait_dropout=0.0)
    )
    learning = prepare_network(network.train(), lessons)
    run = _Run(network, lessons, learning, pace=pace, noise=Noise(noise, budget.random))
    with progress.step("Training privately", total=pace.steps, unit="steps") as step:
        run.until_done(step)
    network.load_state_dict(run.average)
    for module in network.modules():
        if isinstance(module, Recurrence):
            module.plain = False
    answers = (
        *lessons.answers,
        Answer(what="training", noise=noise, rate=pace.rate, times=run.log.steps),
    )
    return network.eval(), run.log, _privacy(answers, lessons, pace, budget)


def _privacy(
    answers: tuple[Answer, ...], lessons: PrivateLessons, pace: PrivatePace, budget: Budget
) -> Privacy:
    """What was spent in the end."""
    delta, training = (1 - SECRET_CODES) * budget.delta, answers[-1]
    return Privacy(
        epsilon=epsilon_of(answers, delta=delta),
        epsilon_asked=budget.epsilon,
        delta=budget.delta,
        delta_codes=SECRET_CODES * budget.delta,
        accountant=accountant(),
        noise=training.noise,
        rate=training.rate,
        steps=training.times,
        clip=pace.clip,
        patients=round(lessons.patients),
        spent=tuple(
            Spent(**asdict(one), alone=epsilon_of([one], delta=delta)) for one in answers if one.times
        ),
    )


class _Run:
    """One private run: the network, the average of its weights, its optimiser and its log."""

    def __init__(
        self,
        network: Network,
        lessons: PrivateLessons,
        learning: Learning,
        *,
        pace: PrivatePace,
        noise: Noise,
    ) -> None:
        self.network, self.lessons, self.pace, self.random = network, lessons, pace, noise.random
        self.scale = noise.multiplier * pace.clip * (1 + ROUNDING)
        self.learnt = [value for value in network.parameters() if value.requires_grad]
        self.learning, self.mask = learning, torch.cat(learning.alive)
        self.size = len(self.mask)
        self.average = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self.optimiser = torch.optim.Adam(
            [{"params": [value], "swift": SWIFT if value.dim() == 1 else 1.0} for value in self.learnt],
            lr=pace.learning_rate,
            betas=(0.9, 0.98),
        )
        self.log = TrainLog()
        moments = lessons.vocabulary.longest_record
        self.emphasis = min(MOST_EMPHASIS, EMPHASIS * moments)

    def until_done(self, step: Step) -> None:
        """All steps: how many is fixed beforehand, and does not depend on how long they take."""
        began, cpu = time.monotonic(), cpu_seconds_spent()
        self.log.stopped = FIXED
        while self.log.steps < self.pace.steps:
            self._step()
            self.log.steps += 1
            self.log.seconds, self.log.cpu_seconds = time.monotonic() - began, cpu_seconds_spent() - cpu
            step.advance(1, f"step {self.log.steps} of {self.pace.steps}")
        self.log.epochs = self.log.steps * self.pace.rate
        self.log.patients_seen = round(self.log.epochs * self.lessons.patients)

    def _step(self) -> None:
        """Sample patients, add up their clipped gradients, add noise, and take one step of Adam."""
        records, pace = self.lessons.records, self.pace
        sampled = np.flatnonzero(self.random.random(records.patients) < pace.rate)
        total = torch.zeros(self.size)
        for number, group in enumerate(_chunks(records, sampled)):
            total += self._clipped(group, checked=self.log.steps == 0 and number == 0)
        noisy = total + torch.from_numpy(gaussian(self.random, self.size, self.scale)).float() * self.mask
        if not bool(torch.isfinite(noisy).all()):
            raise LossNotFinite(
                f"a gradient is not a number at step {self.log.steps}",
                where="trajectory.private_training",
                fix="look for infinite values in the timeline (`salus quality`)",
            )
        sizes = [value.numel() for value in self.learnt]
        mean = noisy / max(pace.rate * self.lessons.patients, 1.0)
        for value, part in zip(self.learnt, torch.split(mean, sizes), strict=True):
            value.grad = part.view_as(value).clone()
        for held in self.optimiser.param_groups:
            warm = min(1.0, (self.log.steps + 1) / 10)
            held["lr"] = pace.learning_rate * warm * held["swift"] * self._slowing()
        self.optimiser.step()
        keep = min(pace.averaging, (1 + self.log.steps) / (10 + self.log.steps))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.average[name].lerp_(value, 1 - keep)

    def _slowing(self) -> float:
        """Learning rate as a share of the highest: a cosine."""
        return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * self.log.steps / self.pace.steps))

    def _clipped(self, patients: np.ndarray, *, checked: bool) -> Tensor:
        """The sum of the clipped gradients of patients few enough to be computed together."""
        batch = make_batch(
            self.lessons.records.of(patients),
            self.lessons.vocabulary,
        )
        found = patient_gradients(
            self.network,
            lambda: patient_losses(self.network, batch, emphasis=self.emphasis),
            data=tensors_of(batch),
            checked=checked,
        )
        parts = [part * alive for part, alive in zip(found.parts, self.learning.alive, strict=True)]
        found, sums = PatientGradients(parts, found.losses), dict[int, Tensor]()
        for places, share in self.learning.parts:
            some = found.some(places)
            clipped = some.clipped_sum(self.pace.clip * share**0.5)
            sizes = [part.shape[1] for part in some.parts]
            sums |= dict(zip(places, torch.split(clipped, sizes), strict=True))
        return torch.cat([sums[place] for place in range(len(parts))])


def _chunks(records: Records, patients: np.ndarray) -> list[np.ndarray]:
    """Patients of like length together, few enough that a gradient of each fits."""
    if not len(patients):
        return []
    groups = groups_of(records.of(patients), CHUNK_FACTS, seed=None)
    return [
        patients[group[first : first + CHUNK_PATIENTS]]
        for group in groups
        for first in range(0, len(group), CHUNK_PATIENTS)
    ]
