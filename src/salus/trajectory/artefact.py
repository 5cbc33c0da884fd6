"""A trained model as a folder: safetensors and JSON with a digest each. Loading reads numbers and runs no code.

model.json               what it is: settings, losses, lineage, and the SHA-256 of every other file
weights.safetensors      the network
vocabulary.json          codes, clock, protection
vocabulary.safetensors   value and waiting-time bins
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save

from salus.at_rest.files import read_private, write_private
from salus.errors import ModelBroken, ModelMissing, ModelOtherVersion
from salus.findings import file_digest
from salus.timeline.suspension import check_in_use
from salus.trajectory.network import Network, Size
from salus.trajectory.privacy import Privacy
from salus.trajectory.training import TrainLog, TrainSettings
from salus.trajectory.vocabulary import Vocabulary, load_vocabulary, save_vocabulary

FORMAT = 4
"""Raised whenever a model of an earlier form can no longer be read."""
ABOUT = "model.json"
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where a model comes from.

    ``commit``: git commit of the code, where it is known; ``trained``: when training ended, ISO 8601 with zone.
    ``synthetic``: it learnt from synthetic patients alone.
    """

    salus: str
    torch: str
    timeline_digest: str
    data_set: str
    splits: str
    patients_train: int
    patients_tuning: int
    facts_after_death: int
    hardware: dict[str, str | int | float]
    commit: str = ""
    trained: str = ""
    licence: str = ""
    patients_held_out: int | None = None
    facts_train: int | None = None
    facts_tuning: int | None = None
    synthetic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """That a model was trained for an audit: how many patients coins decided about, and the digest of their file."""

    canaries: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A network with its vocabulary, settings, training log and lineage; ``privacy``: what is proved, where it is.

    ``audit``: where it was trained for one.

    ``digest`` of model.json and of the other ``files``: known once the model has been on disk.
    """

    network: Network
    vocabulary: Vocabulary
    settings: TrainSettings
    log: TrainLog
    lineage: Lineage
    codes: list[dict[str, object]]
    privacy: Privacy | None = None
    audit: Audit | None = None
    digest: str = ""
    files: dict[str, str] = field(default_factory=dict)


def save_model(model: Model, folder: Path) -> None:
    """Write the model's files into an existing, empty folder."""
    save_vocabulary(model.vocabulary, folder)
    weights = {name: value.contiguous() for name, value in model.network.state_dict().items()}
    write_private(folder / WEIGHTS, save(weights))
    files = {
        path.name: file_digest(path)
        for path in sorted(folder.iterdir())
        if path.suffix in {".json", ".safetensors"}
    }
    about = {
        "format": FORMAT,
        "size": asdict(model.network.size),
        "settings": asdict(model.settings),
        "log": asdict(model.log),
        "lineage": asdict(model.lineage),
        "codes": model.codes,
        "privacy": None if model.privacy is None else asdict(model.privacy),
        "audit": None if model.audit is None else asdict(model.audit),
        "files": files,
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=1))


def load_model(folder: Path, *, although_suspended: bool = False) -> Model:
    """Read a model folder.

    Raises ModelMissing (SAL-301), ModelBroken (SAL-302: a file is missing, cut short or changed) or
    ModelOtherVersion (SAL-304); Suspended (SAL-478) where a patient is to be erased from it, unless it is only shown.
    """
    about = _read_about(folder)
    if not although_suspended:
        check_in_use(folder)
    for name, digest in about["files"].items():
        path = folder / name
        if not path.is_file() or file_digest(path) != digest:
            raise ModelBroken(
                f"'{name}' is missing, cut short or changed since the model was saved",
                where=str(folder),
                fix="copy the whole model folder again, or train it again with `salus train`",
            )
    try:
        vocabulary = load_vocabulary(folder)
        network = Network(vocabulary, Size(**about["size"]))
        network.load_state_dict(load(read_private(folder / WEIGHTS)))
        return Model(
            network=network.eval(),
            vocabulary=vocabulary,
            settings=TrainSettings(**about["settings"]),
            log=TrainLog(**about["log"]),
            lineage=Lineage(**about["lineage"]),
            codes=about["codes"],
            privacy=Privacy.read(about.get("privacy")),
            audit=Audit(**about["audit"]) if about.get("audit") else None,
            digest=file_digest(folder / ABOUT),
            files=about["files"],
        )
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelBroken(
            "the model's files do not fit together",
            where=str(folder),
            fix="train it again with `salus train`",
        ) from error


def _read_about(folder: Path):  # type: ignore[no-untyped-def]
    path = folder / ABOUT
    if not path.is_file():
        raise ModelMissing(
            f"'{folder.name}' is not a model folder: it has no {ABOUT}",
            where=str(folder),
            fix="give the folder that `salus train … --to MODEL` wrote",
        )
    try:
        about = json.loads(path.read_text())
        form = about["format"]
        about["files"]["vocabulary.json"], about["files"][WEIGHTS]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ModelBroken(
            f"{ABOUT} is cut short or not a model's", where=str(path), fix="train it again with `salus train`"
        ) from error
    if form != FORMAT:
        raise ModelOtherVersion(
            f"the model has form {form}; this version of Salus reads form {FORMAT}",
            where=str(path),
            fix="train it again with this version, or use the version that wrote it",
        )
    return about
