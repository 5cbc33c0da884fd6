"""Salus on the ICU timeline, measured in the tokens of MEDS-EIC-AR: the same facts, values in tenths, waits as it cuts.

A network that says which of forty bins a value lies in says also in which tenth of the training values it lies: the
chances of the bins are added up, a bin that an edge cuts is shared out by the values it holds. What is finer than a
token of theirs (the end of a stay, when it began) is left as it is, at our cost.
"""

from __future__ import annotations

import json
import shutil
from itertools import pairwise

import numpy as np
import polars as pl
import torch
from torch import Tensor

from benchmarks.peers.contest import Asked, Clock
from salus.progress import QUIET
from salus.timeline.store import read_codes, read_settings, read_timeline
from salus.trajectory.artefact import load_model
from salus.trajectory.batches import PADDING, Batch
from salus.trajectory.bins import INNER
from salus.trajectory.encoding import Records
from salus.trajectory.likelihood import patient_likelihood
from salus.trajectory.network import NEVER, Network, Size
from salus.trajectory.reading import read_histories
from salus.trajectory.rounds import fine_edges
from salus.trajectory.vocabulary import BIRTH, Vocabulary
from salus.workflows.train import TrainChoices, train

STAYS = 500
"""Held-out stays whose likelihood is measured: the first of the split, as of the peer."""
CORES, SPENT = 2, 0.8
"""Training works on so many cores at once; the share of the budget of processor seconds that it may use."""
NO_LIKELIHOOD = 10.0
"""Nats charged for a fact that no training patient could have had: as good as never."""
TENTHS = np.arange(1, 10) / 10
AGES = np.asarray([1, 2, 5, 10, 20, 40], dtype=np.float64)
MINUTE, HOUR, DAY = 1, 60, 1_440
WAITS = np.asarray(
    [0, MINUTE, 5, 10, 30, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR]
    + [days * DAY for days in (1, 2, 4, 7, 14, 30, 60, 120, 365.25)],
    dtype=np.float64,
)
"""Where MEDS-EIC-AR cuts ages (years) and the time between moments (minutes)."""


class InTokens(Network):
    """The network, asked in coarser words. ``tenths``: edges of each code's values."""

    def __init__(self, vocabulary: Vocabulary, size: Size, tenths: dict[str, np.ndarray]) -> None:
        super().__init__(vocabulary, size)
        self.words = [
            torch.from_numpy(_words(vocabulary, first, last, tenths)) for first, last in self.ranges
        ]
        self.wait_words = torch.from_numpy(_wait_words(fine_edges(vocabulary)))

    def _level_loss(self, y: Tensor, batch: Batch) -> Tensor:
        choices, fields = batch.choices, self.by_field()
        counts = [count for _, count in choices.counts]
        rows, targets = (torch.split(part[: choices.number], counts) for part in (y, choices.target))
        losses = []
        for (field, _), row, target in zip(choices.counts, rows, targets, strict=True):
            words = self.words[field]
            chance = self.level_logits(row, *fields[field]).softmax(dim=1) @ words
            loss = -(words[target.clamp(min=0)] * torch.log(chance.clamp(min=1e-12))).sum(dim=1)
            losses.append(torch.where(target == PADDING, 0.0, loss))
        return torch.cat(losses)

    def wait_loss(self, state: Tensor, batch: Batch) -> Tensor:
        """As the network's, but for which of their words a wait seen to its end is."""
        fine = super().wait_loss(state, batch)
        following = self.waits(state, batch.wait_signs)[0]
        seen = -following.gather(1, batch.wait_bin[:, None])[:, 0]
        chance = following.exp() @ self.wait_words
        coarse = -(self.wait_words[batch.wait_bin] * torch.log(chance.clamp(min=1e-12))).sum(dim=1)
        return torch.where((batch.wait_kind == 0) & (seen < -NEVER / 2), fine - seen + coarse, fine)


def _words(vocabulary: Vocabulary, first: int, last: int, tenths: dict[str, np.ndarray]) -> np.ndarray:
    """Of each level of a field the share that each word has: (levels, words). A level without a number is a word."""
    columns: list[np.ndarray] = []
    codes, height = vocabulary.level_code[first:last], last - first
    for code in dict.fromkeys(codes.tolist()):
        entry = vocabulary.entries[code]
        rows = np.flatnonzero((codes == code) & vocabulary.has_value[first:last])
        edges = AGES if entry.code == BIRTH else tenths.get(entry.code)
        if len(rows) and edges is not None:
            below = _below(vocabulary.inner[first + rows], edges - 0.5 * 10.0**-entry.decimals)
            for lower, upper in pairwise([np.zeros(len(rows)), *below.T, np.ones(len(rows))]):
                column = np.zeros(height)
                column[rows] = upper - lower
                columns.append(column)
            rows = np.flatnonzero((codes == code) & ~vocabulary.has_value[first:last])
        else:
            rows = np.flatnonzero(codes == code)
        columns.extend(np.eye(height)[rows])
    return np.stack(columns, axis=1).astype(np.float32)


def _below(inner: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Share of each bin's values below each edge, (bins, edges), from the quartiles that the bin holds."""
    shares = np.linspace(0, 1, INNER)
    return np.stack(
        [
            np.where(
                edges > quartiles[-1],
                1.0,
                np.where(edges <= quartiles[0], 0.0, np.interp(edges, quartiles, shares)),
            )
            for quartiles in inner.astype(np.float64)
        ]
    )


def _wait_words(edges: np.ndarray) -> np.ndarray:
    """Of each bin of waits the share of its minutes that lies in each word: (bins, words)."""
    low, high = edges[:-1, None].astype(np.float64), edges[1:, None].astype(np.float64)
    starts, ends = WAITS, np.r_[WAITS[1:], np.inf]
    inside = np.clip(np.minimum(high, ends) - np.maximum(low, starts), 0, None)
    found: np.ndarray = (inside / (high - low)).astype(np.float32)
    return found


def measure_stays(request: Asked, clock: Clock) -> None:
    """Train within the budget, then measure; writes measured.json."""
    model = request.folder / "model"
    shutil.rmtree(model, ignore_errors=True)
    minutes = SPENT * request.budget_seconds / CORES / 60
    with clock.phase("fit"):
        choices = TrainChoices(minutes=minutes, seed=request.seed)
        found = train(request.train, model, choices=choices, progress=QUIET)
    clock.notes |= {
        "stopped": found.stopped,
        "epochs": round(found.epochs, 2),
        "best_loss": found.best_loss or 0,
    }
    loaded = load_model(model)
    events, codes = read_timeline(request.train), read_codes(request.train)
    learnt = events.filter(pl.col("split") == "train")
    network = InTokens(loaded.vocabulary, loaded.network.size, tenths_of(learnt))
    network.load_state_dict(loaded.network.state_dict())
    held_out = events.filter(pl.col("split") == "held_out").drop("split")
    first = held_out["subject_id"].unique(maintain_order=True)[:STAYS]
    stays = held_out.filter(pl.col("subject_id").is_in(first.to_list()))
    records = read_histories(stays, codes, read_settings(request.train), loaded.vocabulary)
    ours = patient_likelihood(loaded.network, records, loaded.vocabulary)
    measured = in_their_tokens(network, records, loaded.vocabulary)
    measured["nats_per_fact_in_our_bins"] = sum(ours.a_fact()[part] for part in ("code", "value", "wait"))
    passed = found.patients_per_second * found.seconds
    measured["train_stays_per_cpu_second"] = passed / found.cpu_seconds
    measured["train_facts_per_cpu_second"] = found.facts_per_second * found.seconds / found.cpu_seconds
    text = json.dumps({name: round(value, 6) for name, value in measured.items()}, indent=1) + "\n"
    (request.folder / "measured.json").write_text(text, encoding="utf-8")


def tenths_of(events: pl.DataFrame) -> dict[str, np.ndarray]:
    """Edges between the tenths of each code's values."""
    valued = events.drop_nulls("numeric_value").group_by("code").agg(pl.col("numeric_value"))
    return {
        code: np.unique(np.quantile(np.asarray(values, dtype=np.float64), TENTHS))
        for code, values in valued.iter_rows()
    }


def in_their_tokens(network: InTokens, records: Records, vocabulary: Vocabulary) -> dict[str, float]:
    """Nats of whole stays; a token is a fact, a wait between moments, or the end."""
    found = patient_likelihood(network, records, vocabulary)
    nats = (
        float((found.code + found.value + found.wait).sum(dtype=np.float64))
        + NO_LIKELIHOOD * found.impossible
    )
    pseudo = vocabulary.level_code[records.level]
    names = np.asarray([entry.code.startswith("SALUS//") for entry in vocabulary.entries])
    facts = int((~names[pseudo]).sum())
    tokens = facts + len(records.time)
    return {
        "stays": float(records.patients),
        "nats_per_token": nats / tokens,
        "nats_per_stay": nats / records.patients,
        "nats_per_fact": nats / facts,
        "tokens_per_stay": tokens / records.patients,
        "facts_per_stay": facts / records.patients,
        "impossible_per_stay": found.impossible / records.patients,
    }
