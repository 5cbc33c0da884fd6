"""Fit one of SDV's synthesizers with its defaults, with as many epochs (and for PAR patients) as the budget allows."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from sdv.metadata import Metadata
from sdv.sequential import PARSynthesizer
from sdv.single_table import CTGANSynthesizer, GaussianCopulaSynthesizer, TVAESynthesizer

from benchmarks.peers.columns import CONTEXT, COUNTS, PATIENT, SEQUENCES
from benchmarks.peers.contest import FLAT_TEXT, Asked, Clock, asked

NETWORKS = {"ctgan": CTGANSynthesizer, "tvae": TVAESynthesizer}
EPOCHS = {"ctgan": 300, "tvae": 300, "par": 128}
"""SDV's own defaults."""
FEWEST_EPOCHS = 40
"""PAR gets fewer patients rather than fewer epochs than these."""
PROBED = (200, 400)
"""Patients on whom PAR is timed; its cost grows faster than their number."""


def main() -> None:
    """Answer one request."""
    request, clock = asked(("copula", *NETWORKS, "par")), Clock()
    random.seed(request.seed)
    np.random.seed(request.seed)
    torch.manual_seed(request.seed)
    train = pd.read_csv(request.train, dtype=dict.fromkeys(FLAT_TEXT, str), keep_default_na=False)
    if request.method == "copula":
        made = copula(train, clock)
    elif request.method == "par":
        made = par(request, train, clock)
    else:
        made = network(request, train, clock)
    made.to_csv(request.synthetic, index=False)
    clock.write(request.folder)


def metadata(table: pd.DataFrame) -> Metadata:
    """Say what each column is, as the other peers are told."""
    columns = {name: {"sdtype": "numerical" if name in COUNTS else "categorical"} for name in table.columns}
    about = {"columns": columns}
    if PATIENT in columns:
        columns[PATIENT] = {"sdtype": "id"}
        about["sequence_key"] = PATIENT
    return Metadata.load_from_dict({"tables": {"table": about}})


def copula(train: pd.DataFrame, clock: Clock) -> pd.DataFrame:
    """The copula needs no epochs."""
    with clock.phase("fit"):
        model = GaussianCopulaSynthesizer(metadata(train))
        model.fit({"table": train})
    with clock.phase("sample"):
        return model.sample(len(train))["table"]


def network(request: Asked, train: pd.DataFrame, clock: Clock) -> pd.DataFrame:
    """CTGAN or TVAE: time one epoch, then train as many as fit."""

    def fit(epochs: int) -> CTGANSynthesizer | TVAESynthesizer:
        model = NETWORKS[request.method](metadata(train), epochs=epochs)
        model.fit({"table": train})
        return model

    with clock.phase("probe"):
        once, fixed = epoch_seconds(fit)
    epochs = affordable(request.budget_seconds - fixed, once, most=EPOCHS[request.method])
    clock.notes |= {"epochs": epochs, "default_epochs": EPOCHS[request.method]}
    with clock.phase("fit"):
        model = fit(epochs)
    with clock.phase("sample"):
        return model.sample(len(train))["table"]


def par(request: Asked, train: pd.DataFrame, clock: Clock) -> pd.DataFrame:
    """PAR: time it on few patients, then take as many as allow enough epochs."""
    patients = train[PATIENT].unique()

    def fit(epochs: int, number: int) -> PARSynthesizer:
        part = train[train[PATIENT].isin(patients[:number])]
        model = PARSynthesizer(metadata(part), context_columns=list(CONTEXT), epochs=epochs, cuda=False)
        model.fit({"table": part})
        return model

    with clock.phase("probe"):
        few, more = (epoch_seconds(lambda epochs, n=n: fit(epochs, n))[0] for n in PROBED)
    growth = max(1.0, math.log(more / few, PROBED[1] / PROBED[0]))
    number = len(patients)
    while (
        number > PROBED[0] and more * (number / PROBED[1]) ** growth * FEWEST_EPOCHS > request.budget_seconds
    ):
        number //= 2
    once = more * (number / PROBED[1]) ** growth
    epochs = affordable(request.budget_seconds, once, most=EPOCHS["par"])
    clock.notes |= {"epochs": epochs, "default_epochs": EPOCHS["par"], "patients": number}
    clock.notes |= {"epoch_seconds_of_all_patients": round(more * (len(patients) / PROBED[1]) ** growth, 1)}
    with clock.phase("fit"):
        model = fit(epochs, number)
    with clock.phase("sample"):
        return model.sample_sequences(num_sequences=len(patients))["table"][list(SEQUENCES)]


def epoch_seconds(fit: Callable[[int], object]) -> tuple[float, float]:
    """Processor seconds of an epoch and of all that comes before the first, from a fit of one epoch and one of three.

    A first fit is thrown away: what is loaded only once would be counted as an epoch.
    """
    took = []
    for epochs in (1, 1, 3):
        began = time.process_time()
        fit(epochs)
        took.append(time.process_time() - began)
    once = max((took[2] - took[1]) / 2, 1e-3)
    return once, max(took[1] - once, 0.0)


def affordable(seconds: float, once: float, *, most: int) -> int:
    """Epochs that fit, at least one."""
    return max(1, min(most, int(seconds / once)))


if __name__ == "__main__":
    main()
