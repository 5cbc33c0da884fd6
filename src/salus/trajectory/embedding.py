"""A vector for each patient: what the model makes of a history, for whatever else learns from it."""

from __future__ import annotations

import numpy as np
import torch

from salus.trajectory.bins import FloatArray
from salus.trajectory.draws import InTurn
from salus.trajectory.encoding import Records
from salus.trajectory.likelihood import Pieces
from salus.trajectory.network import Network
from salus.trajectory.sampling import Sampler
from salus.trajectory.vocabulary import Vocabulary

TOGETHER = 20_000
"""Facts read together: bounds memory, changes nothing."""


def embed_histories(network: Network, vocabulary: Vocabulary, records: Records) -> FloatArray:
    """The state after each patient's last moment, (patients, 2 width): what waits and facts to come are drawn from."""
    found = np.zeros((records.patients, len(network.start)), dtype=np.float32)
    with torch.inference_mode():
        sampler = Sampler(network.eval(), vocabulary, draws=InTurn(0))
        pieces = Pieces(records, TOGETHER)
        for group, piece in zip(pieces.groups, pieces, strict=True):
            found[group] = sampler.from_history(piece).state.numpy()
    return found
