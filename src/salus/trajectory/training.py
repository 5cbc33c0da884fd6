"""Training: shuffled batches of about equal facts, averaged weights, early stopping on tuning patients, resume."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil
import torch

from salus.compute.ray_cluster import cpu_seconds_elsewhere, current_cluster
from salus.errors import LearntByHeart, LossNotFinite
from salus.progress import Progress, Step
from salus.trajectory.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from salus.trajectory.devices import Device, device_for, device_of
from salus.trajectory.encoding import Records
from salus.trajectory.gradients import GradientPool
from salus.trajectory.learner import SHARES, Share
from salus.trajectory.likelihood import groups_of
from salus.trajectory.memorisation import MOST_TOLD_APART, Memorised, memorised, sample_beside
from salus.trajectory.network import Network, Size
from salus.trajectory.places import cores_here
from salus.trajectory.reading import Lessons
from salus.trajectory.shelf import Shelf

BY_HEART = "learns patients by heart"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """Everything that decides a training run. ``minutes``: wall time at most; ``data``: digest of the timeline.

    ``size``: the scale these were chosen for, where they were (see :mod:`salus.trajectory.sizes`). ``share_facts``:
    facts in one of the shares of a step; ``averaging``: how much of the running average of the weights a step keeps;
    ``patience``: checks without a better tuning loss before stopping. ``emphasis``: extra weight of the question
    which of the things that seldom happen comes now, for each fact an average patient has, up to ``most_emphasis``.
    ``most_gap``: training stops when a patient's loss alone tells training from tuning patients with an AUROC that is
    surely (lower 95 % bound) above it. ``workers``: shares a step is cut into, so that as many can work at the same
    time.
    """

    data: str = ""
    size: str = ""
    seed: int = 20260101
    minutes: float = 5.5
    width: int = 160
    depth: int = 2
    dropout: float = 0.4
    wait_dropout: float = 0.6
    share_facts: int = 2_500
    most_epochs: int = 12
    rate: float = 3e-3
    weight_decay: float = 0.1
    patience: int = 6
    checks_per_epoch: int = 1
    averaging: float = 0.995
    emphasis: float = 0.2
    most_emphasis: float = 30.0
    most_gap: float = MOST_TOLD_APART
    workers: int = SHARES


@dataclass(slots=True, kw_only=True)
class TrainLog:
    """What happened: losses in nats per fact at each check; seconds over all sittings of an interrupted run.

    ``at``: epoch, window and step to go on with. ``best_loss`` belongs to the weights kept: those with the best
    ``best_aim`` (loss with the emphasis) on tuning.
    """

    steps: int = 0
    epochs: float = 0.0
    patients_seen: int = 0
    facts_seen: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    best_aim: float = math.inf
    best_loss: float = math.inf
    best_step: int = 0
    stopped: str = ""
    at: list[int] = field(default_factory=lambda: [0, 0, 0])
    curve: list[dict[str, float]] = field(default_factory=list)

    def kept(self) -> dict[str, float]:
        """What the check of the weights kept measured; empty where there was none."""
        return next((point for point in self.curve if point["step"] == self.best_step), {})


def fit(
    lessons: Lessons,
    *,
    settings: TrainSettings,
    checkpoint: Path,
    progress: Progress,
    device: Device = Device.CPU,
) -> tuple[Network, TrainLog]:
    """Train until the minutes or epochs are used up or tuning loss stops falling; give the best averaged weights.

    Training patients that are known too much better than tuning patients (``most_gap``) end it too. Resumes from
    ``checkpoint`` where it holds a run of the same settings. Raises LossNotFinite (SAL-303), or LearntByHeart (SAL-314)
    when the first check already finds that.
    """
    torch.manual_seed(settings.seed)
    vocabulary = lessons.vocabulary
    size = Size(
        width=settings.width,
        depth=settings.depth,
        dropout=settings.dropout,
        wait_dropout=settings.wait_dropout,
    )
    # A cluster's members compute on their processors, wherever the card is.
    network = Network(vocabulary, size).to(device_for(Device.CPU if current_cluster() else device))
    optimiser = torch.optim.AdamW(
        network.parameters(),
        lr=settings.rate,
        weight_decay=settings.weight_decay,
        betas=(0.9, 0.98),
        fused=True,
    )
    run = _Run(network, optimiser, settings, TrainLog())
    run.emphasis = min(
        settings.most_emphasis, settings.emphasis * lessons.train.facts / lessons.train.patients
    )
    shelf = lessons.train if isinstance(lessons.train, Shelf) else Shelf.of(lessons.train)
    run.resume(checkpoint)
    with (
        progress.step("Training", total=settings.minutes * 60, unit="s") as step,
        GradientPool(network, vocabulary, cores=cores_here(), shares=settings.workers) as pool,
    ):
        step.advance(run.log.seconds, run.note())
        run.until_done(pool, Looks(shelf, lessons.tuning, settings), checkpoint=checkpoint, step=step)
    network.load_state_dict(run.best)
    return network.cpu().eval(), run.log


class Place(NamedTuple):
    """Where training stands: a step of a window of an epoch, and how many there are."""

    epoch: int
    window: int
    windows: int
    step: int
    steps: int

    @property
    def epochs(self) -> float:
        """Passes done after this step."""
        return self.epoch + (self.window + (self.step + 1) / self.steps) / self.windows

    def looks(self, an_epoch: int) -> bool:
        """Whether to look at tuning patients after this step: ``an_epoch`` times an epoch, and at its end."""
        last = self.step + 1 == self.steps
        if self.windows > 1 and an_epoch < self.windows:
            return last and (
                self.window + 1 == self.windows or (self.window + 1) % (self.windows // an_epoch) == 0
            )
        return last or (self.step + 1) % max(1, self.steps * self.windows // an_epoch) == 0


class Looks:
    """Whom training learns from, and whom it looks at: tuning patients, and some training patients beside them."""

    def __init__(self, shelf: Shelf, tuning: Records, settings: TrainSettings) -> None:
        self.shelf, self.tuning = shelf, tuning
        self.beside = sample_beside(shelf.sample, tuning, seed=settings.seed)


class _Run:
    """One training run: the network, its running average, its optimiser and its log."""

    def __init__(
        self, network: Network, optimiser: torch.optim.AdamW, settings: TrainSettings, log: TrainLog
    ) -> None:
        self.network, self.optimiser, self.settings, self.log = network, optimiser, settings, log
        self.average = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self.best = {name: value.clone() for name, value in self.average.items()}
        self.recent, self.emphasis = 0.0, 0.0

    def resume(self, folder: Path) -> None:
        """Continue where an interrupted run of the same settings left off."""
        found = load_checkpoint(folder, asdict(self.settings))
        if found is None:
            return
        self.network.load_state_dict(found.weights)
        device = device_of(self.network)
        self.average, self.best = (
            {name: value.to(device) for name, value in held.items()} for held in (found.average, found.best)
        )
        self.optimiser.load_state_dict(found.optimiser_state(self.optimiser))
        self.log = TrainLog(**found.log)

    def until_done(self, pool: GradientPool, looks: Looks, *, checkpoint: Path, step: Step) -> None:
        """Go on, step by step, checking and saving on the way."""
        wall, cpu = time.monotonic(), cpu_seconds_spent()
        for place, shares in self._plan(looks.shelf):
            if self._finished():
                break
            self._learn(pool, shares)
            self.log.epochs = place.epochs
            self.log.at = [place.epoch, place.window, place.step + 1]
            if place.looks(self.settings.checks_per_epoch):
                self._check(looks, pool)
                self._save(checkpoint)
            now, used = time.monotonic(), cpu_seconds_spent()
            self.log.seconds += now - wall
            self.log.cpu_seconds += used - cpu
            step.advance(now - wall, self.note())
            wall, cpu = now, used
        if not self.log.curve or self.log.curve[-1]["step"] < self.log.steps:
            self._check(looks, pool)
        self.log.stopped = self.log.stopped or "epochs"
        self._save(checkpoint)

    def _plan(self, shelf: Shelf) -> Iterator[tuple[Place, list[Share]]]:
        """Every step still to do with its shares; the order depends on seed and epoch only."""
        seed, extra, workers = self.settings.seed, self.emphasis, self.settings.workers
        first_epoch, first_window, done = self.log.at
        for epoch in range(first_epoch, self.settings.most_epochs):
            for window in range(first_window, shelf.windows):
                records = shelf.window(window, seed=seed + epoch)
                groups = groups_of(records, self.settings.share_facts, seed=seed + epoch)
                count = -(-len(groups) // workers)
                for index in range(done, count):
                    number = ((epoch * shelf.windows + window) * count + index) * workers
                    place = Place(epoch, window, shelf.windows, index, count)
                    part = groups[index * workers : (index + 1) * workers]
                    yield (
                        place,
                        [Share(records.of(group), seed + number + i, extra) for i, group in enumerate(part)],
                    )
                del records
                done = 0
            first_window = 0

    def _learn(self, pool: GradientPool, shares: list[Share]) -> None:
        """One step of gradient descent and one of weight averaging."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate * self._warmth()
        parts = pool.step(shares)
        loss = parts["code"] + parts["value"] + parts["wait"]
        if not math.isfinite(loss):
            raise LossNotFinite(
                f"the loss is not a number at step {self.log.steps}",
                where="trajectory.training",
                fix="look for infinite values in the timeline (`salus quality`), or train with a smaller rate",
            )
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        keep = min(self.settings.averaging, (1 + self.log.steps) / (10 + self.log.steps))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.average[name].lerp_(value, 1 - keep)
        self.recent = loss
        self.log.steps += 1
        self.log.patients_seen += sum(share.records.patients for share in shares)
        self.log.facts_seen += int(parts["facts"])

    def _warmth(self) -> float:
        """Learning rate as a share: a short warm-up, then a cosine over epochs or minutes, whichever runs out first."""
        settings = self.settings
        used = max(self.log.epochs / settings.most_epochs, self.log.seconds / (settings.minutes * 60))
        return min(1.0, (self.log.steps + 1) / 50) * (
            0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(used, 1.0)))
        )

    def _check(self, looks: Looks, pool: GradientPool) -> None:
        """Measure the averaged weights on tuning patients, and beside them on training patients; keep the best."""
        held = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.average)
        facts = 4 * self.settings.share_facts
        told = pool.likelihood(looks.tuning, batch_facts=facts)
        known = pool.likelihood(looks.beside, batch_facts=facts)
        self.network.load_state_dict(held)
        parts, found = told.a_fact(), memorised(told.each_a_fact(), known.each_a_fact())
        loss = parts["code"] + parts["value"] + parts["wait"]
        aim = loss + self.emphasis * parts["seldom"]
        point = {"step": self.log.steps, "epoch": self.log.epochs, "seconds": self.log.seconds}
        self.log.curve.append(
            point | {"train": self.recent, "tuning": loss, "aim": aim} | parts | asdict(found)
        )
        if found.auroc_lower > self.settings.most_gap:
            self._stop_by_heart(found)
        elif aim < self.log.best_aim:
            self.log.best_aim, self.log.best_loss, self.log.best_step = aim, loss, self.log.steps
            self.best = {name: value.clone() for name, value in self.average.items()}

    def _stop_by_heart(self, found: Memorised) -> None:
        """Go back to the weights of an earlier check; where there is none, there is nothing to keep."""
        if not self.log.best_step:
            raise LearntByHeart(
                "the first check already tells training from tuning patients: "
                f"AUROC {found.auroc:.2f}, at least {found.auroc_lower:.2f}; bound {self.settings.most_gap:g}",
                where="trajectory.training",
                fix="draw the splits at random (source.yaml), so that tuning patients are like training patients; "
                "if they are, train on more patients",
            )
        self.log.stopped = BY_HEART

    def _finished(self) -> bool:
        """Whether it has stopped, time is up or the tuning loss has not fallen for ``patience`` checks."""
        if self.log.stopped:
            return True
        if self.log.seconds >= self.settings.minutes * 60:
            self.log.stopped = "minutes"
        behind = [point for point in self.log.curve if point["step"] > self.log.best_step]
        if len(behind) >= self.settings.patience:
            self.log.stopped = "tuning loss no longer falls"
        return bool(self.log.stopped)

    def _save(self, folder: Path) -> None:
        save_checkpoint(
            folder,
            Checkpoint(
                weights=self.network.state_dict(),
                average=self.average,
                best=self.best,
                optimiser=Checkpoint.of_optimiser(self.optimiser),
                log=asdict(self.log),
            ),
            asdict(self.settings),
        )

    def note(self) -> str:
        """The live line: recent loss, best tuning loss, epochs."""
        best = "" if math.isinf(self.log.best_loss) else f", best on tuning {self.log.best_loss:.3f}"
        return f"epoch {self.log.epochs:.1f}, loss {self.recent:.3f} nats/fact{best}"


def cpu_seconds_spent() -> float:
    """Processor seconds of this process, of its living children (the training processes) and of a cluster's."""
    here = psutil.Process()
    spent = [process.cpu_times() for process in (here, *here.children(recursive=True))]
    return float(sum(times.user + times.system for times in spent)) + cpu_seconds_elsewhere()
