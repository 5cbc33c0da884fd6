"""The file that says which patients a model's audit trained on and which it left out: secret, so for its owner alone.

It lies in the model's folder, and model.json holds its digest: the coins were tossed before training and cannot be
tossed again afterwards. Whoever has it knows members by name, so it leaves the folder before the model leaves the
house.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from salus.cohort.canaries import Canaries, toss
from salus.errors import AuditBroken, AuditRefused, NotAudited
from salus.evidence.empirical_epsilon import LEAST_CANARIES
from salus.timeline.store import read_codes, read_shards
from salus.trajectory.artefact import Audit, load_model

CANARIES_FILE, FORM = "canaries.json", 1
OWNER_ONLY = 0o600
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditChoices:
    """How many canaries; ``secret``: what their coins hang on, None: drawn by the system, which is how it should be.

    Whoever knows the secret knows the coins: one that is given is for a run that must be repeated, not for patients.
    """

    canaries: int
    secret: bytes | None = None

    def check(self) -> None:
        """Raise AuditRefused (SAL-470) for too few, before anything is read."""
        if self.canaries < LEAST_CANARIES:
            raise AuditRefused(
                f"{self.canaries} canaries are too few to show anything",
                where="--audit",
                fix=f"ask for {LEAST_CANARIES} or more; 1,000 can show an ε of 5",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The coins as they fell, the file's bytes that say so, and what model.json may say of it."""

    canaries: Canaries
    content: bytes

    @property
    def told(self) -> Audit:
        """How many canaries, and the digest of the file: the secret in it keeps the digest from being guessed."""
        return Audit(canaries=len(self.canaries), digest=hashlib.sha256(self.content).hexdigest())

    def write(self, folder: Path) -> None:
        """Write the file for its owner alone, whole or not at all."""
        fresh = folder / f".{CANARIES_FILE}.partial"
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "wb") as file:
            file.write(self.content)
        fresh.replace(folder / CANARIES_FILE)

    def shards(self, timeline: Path, split: str) -> Iterator[pl.DataFrame]:
        """Read a split without those left out."""
        left_out = pl.Series(self.canaries.left_out, dtype=pl.Int64).implode()
        return (
            shard.filter(~pl.col("subject_id").is_in(left_out)) if split == "train" else shard
            for shard in read_shards(timeline, split)
        )


def plan_audit(timeline: Path, asked: AuditChoices, *, draft: Path | None) -> Plan:
    """Toss the coins. ``draft``: the folder of an interrupted run, whose coins are kept if they were for the same.

    Raises AuditRefused (SAL-470).
    """
    asked.check()
    patients = _with_something(timeline)
    secret = asked.secret or _begun(draft) or secrets.token_bytes(SECRET_BYTES)
    canaries = toss(patients, canaries=asked.canaries, secret=secret)
    plan = Plan(canaries=canaries, content=_content(secret, canaries))
    if draft is not None:
        draft.mkdir(parents=True, exist_ok=True)
        plan.write(draft)
    return plan


def read_canaries(model: Path, told: Audit | None) -> Canaries:
    """Read which canaries the model in this folder was trained on.

    Raises NotAudited (SAL-471), or AuditBroken (SAL-472) where the file is not the one written before training.
    """
    path = model / CANARIES_FILE
    if told is None:
        raise NotAudited(
            f"'{model.name}' was not trained for an audit",
            where=str(model),
            fix="train a model with `salus train … --audit 1000`",
        )
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise NotAudited(
            f"'{model.name}' was trained for an audit, but {CANARIES_FILE} is not there: nobody can say on whom",
            where=str(path),
            fix="put the file back that was taken out of the folder, or train again",
        ) from error
    if hashlib.sha256(content).hexdigest() != told.digest:
        raise AuditBroken(
            f"{CANARIES_FILE} is not the file that was written before training",
            where=str(path),
            fix="put the model's own file back, or train again",
        )
    found = json.loads(content)
    return Canaries(included=tuple(found["included"]), left_out=tuple(found["left_out"]))


def left_out_of(model: Path) -> pl.Series:
    """Training patients that this model did not learn from, because an audit left them out; mostly none.

    Raises NotAudited (SAL-471) or AuditBroken (SAL-472) where there was an audit and nobody can say who they are.
    """
    told = load_model(model).audit
    return pl.Series(read_canaries(model, told).left_out if told else (), dtype=pl.Int64).implode()


Shards = Callable[[str], Iterable[pl.DataFrame]]


def shards_of(timeline: Path, plan: Plan | None) -> Shards:
    """How training reads the timeline: a split at a time, without whom the coins left out."""
    return partial(read_shards if plan is None else plan.shards, timeline)


def _with_something(timeline: Path) -> set[int]:
    """Training patients to whom something happened at a known time."""
    nothing = read_codes(timeline).filter(pl.col("role").is_in(["birth", "follow_up_end", "anchor"]))["code"]
    said = pl.col("time").is_not_null() & ~pl.col("code").is_in(nothing.implode())
    found = set[int]()
    for shard in read_shards(timeline, "train"):
        found.update(shard.filter(said)["subject_id"].unique().to_list())
    return found


def _begun(draft: Path | None) -> bytes | None:
    """The secret of an interrupted run, if there is one."""
    path = None if draft is None else draft / CANARIES_FILE
    if path is None or not path.is_file():
        return None
    return bytes.fromhex(json.loads(path.read_bytes())["secret"])


def _content(secret: bytes, canaries: Canaries) -> bytes:
    about = {
        "form": FORM,
        "secret": secret.hex(),
        "included": canaries.included,
        "left_out": canaries.left_out,
    }
    return (json.dumps(about) + "\n").encode()
