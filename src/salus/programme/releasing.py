"""May synthetic patients leave? By a frozen protocol that asks for privacy, and where it is known whose they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from salus import __version__
from salus.errors import ReleaseRefused
from salus.programme.freezing import read_frozen_protocol
from salus.programme.gate import Judgement
from salus.programme.lineage import Sort, Thing, find_lineage
from salus.programme.protocol import Bound, Protocol
from salus.programme.usecase_folder import UseCaseFolder

MEMBERSHIP = ("privacy.density_auc", "privacy.nearest_auc")
COPIES = ("privacy.copies", "privacy.copies_risk")
"""One of each is asked for by every protocol of a release, with a bound."""
PREDICATE = "urn:salus:release:1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handing:
    """Who hands synthetic patients to whom, and for what: words of people, which stand in the signed record."""

    by: str
    purpose: str
    recipient: str

    def check(self) -> None:
        """Raise ReleaseRefused (SAL-612) where one is left empty."""
        for name in ("by", "purpose", "recipient"):
            if not getattr(self, name).strip():
                raise ReleaseRefused(
                    f"nobody said '{name}'",
                    where=f"salus release --{name}",
                    fix="say in words who releases it (name and role), for what, and to whom",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Digests of what is released and of what it was made from; ``by_name``: a private model keeps no digest of whom
    it learnt from, so only the name of its data set says that these are they."""

    synthetic: str
    model: str
    timeline: str
    by_name: bool


def release_template() -> str:
    """A protocol to copy and to edit."""
    return (files("salus.programme") / "release-protocol.yaml").read_text(encoding="utf-8")


def read_release_protocol(folder: Path) -> Protocol:
    """The frozen protocol in a folder. Raises ReleaseRefused (SAL-612) where it is not frozen or asks too little."""
    protocol = read_frozen_protocol(UseCaseFolder(folder))
    if not protocol.frozen:
        raise ReleaseRefused(
            "the protocol is not frozen: it could be fitted to what is found",
            where=str(folder),
            fix=f"salus freeze {folder}",
        )
    for metrics, what in (
        (MEMBERSHIP, "whom the model learnt from"),
        (COPIES, "whether real records stand in it"),
    ):
        asked = [one for one in protocol.criteria if one.metric in metrics and one.bound is not Bound.POINT]
        if not asked:
            raise ReleaseRefused(
                f"the protocol does not ask {what}",
                where=str(folder / "protocol.yaml"),
                fix=f"add a criterion with a bound on {' or '.join(metrics)}, as in salus release --print-protocol",
            )
    return protocol


def check_origin(synthetic: Path, model: Path, real: Path) -> Origin:
    """That these synthetic patients were drawn from this model, and that it learnt from these real ones.

    On others every attack would find nothing. Raises ReleaseRefused (SAL-612).
    """
    drawn, learnt, records = _thing(synthetic), _thing(model), _thing(real)
    if drawn is None or drawn.sort is not Sort.SYNTHETIC:
        raise _refused(synthetic, "is no timeline of synthetic patients", "give what `salus generate` wrote")
    if learnt is None or learnt.sort is not Sort.MODEL:
        raise _refused(model, "is no model", "give the model with which they were drawn")
    if records is None or records.sort is not Sort.TIMELINE:
        raise _refused(
            real, "is no timeline of real patients", "give the timeline that the model learnt from"
        )
    if learnt.digest not in drawn.origins:
        raise _refused(model, f"is not the model that '{synthetic.name}' was drawn from", "give that one")
    by_name = learnt.untold and learnt.data_set == records.data_set
    if records.digest not in learnt.origins and not by_name:
        raise _refused(real, f"is not the timeline that '{model.name}' learnt from", "give that one")
    return Origin(synthetic=drawn.digest, model=learnt.digest, timeline=records.digest, by_name=by_name)


def _thing(path: Path) -> Thing | None:
    found = [thing for thing in find_lineage([path]).things if thing.path == path.resolve()]
    return found[0] if found else None


def _refused(path: Path, what: str, fix: str) -> ReleaseRefused:
    return ReleaseRefused(f"'{path.name}' {what}", where=str(path), fix=fix)


def release_record(
    judgement: Judgement, origin: Origin, handing: Handing, *, released: Mapping[str, object], at: datetime
) -> dict[str, object]:
    """What is signed about a release, besides the digests of its files. ``released``: form, patients, seed."""
    return {
        "label": "synthetic",
        "released": dict(released),
        "made_from": {
            "synthetic": origin.synthetic,
            "model": origin.model,
            "timeline": origin.timeline,
            "known_by": "the name of the data set" if origin.by_name else "digest",
        },
        "judged": judgement.as_json(),
        "by": handing.by,
        "purpose": handing.purpose,
        "recipient": handing.recipient,
        "at": at.isoformat(),
        "salus": __version__,
    }


def changed_files(subjects: Sequence[Mapping[str, object]], found: Mapping[str, str]) -> list[str]:
    """Which files differ from those that were signed: changed, gone, or added since.

    >>> changed_files([{"name": "a", "digest": {"sha256": "1"}}], {"a": "2", "b": "3"})
    ['a: changed', 'b: not signed']
    """
    signed = {str(one["name"]): dict(one["digest"])["sha256"] for one in subjects}  # type: ignore[call-overload]
    told = [
        f"{name}: {'changed' if name in found else 'gone'}"
        for name in signed
        if found.get(name) != signed[name]
    ]
    return sorted([*told, *(f"{name}: not signed" for name in found if name not in signed)])
