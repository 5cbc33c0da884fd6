"""Judge a use case: is its protocol the frozen one, is its evidence whole and about what lies here, does it suffice?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from salus.errors import ModelBroken, OtherSubject, ProtocolValueError, UseCaseFileError
from salus.findings import ABOUT_WHAT, Bundle, file_digest, read_bundle
from salus.programme.freezing import read_frozen_protocol
from salus.programme.gate import Judgement, judge
from salus.programme.protocol import Protocol
from salus.programme.read_usecase import read_usecase
from salus.programme.usecase_folder import UseCaseFolder
from salus.timeline.store import timeline_digest
from salus.timeline.suspension import check_in_use

MODEL_FILE = "model.json"
SHORT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is judged: a protocol as frozen, and evidence that was found whole; None where there is none yet."""

    protocol: Protocol
    bundle: Bundle | None

    def judge(self, now: datetime) -> Judgement:
        """Judge the evidence by the protocol; ``now`` decides what has expired."""
        if self.bundle is None:
            return judge(self.protocol, (), now=now)
        return judge(self.protocol, self.bundle.findings, now=now, bundle_digest=self.bundle.digest)


def judge_usecase(folder: UseCaseFolder, *, now: datetime, evidence: Path | None = None) -> Judgement:
    """Judge the use case by its own protocol. ``evidence``: another bundle than the one in its folder.

    Without any evidence every criterion is NOT_ESTIMABLE. What cannot be trusted is an error: a protocol edited after
    freezing (SAL-604), a broken bundle (SAL-453), evidence about something else than what lies here (SAL-605).
    """
    return read_case(folder, evidence=evidence).judge(now)


def read_case(folder: UseCaseFolder, *, evidence: Path | None = None) -> Case:
    """Read and check everything that a judgement rests on but the time."""
    protocol = usecase_protocol(folder)
    if evidence is None and not _holds_anything(folder.evidence):
        return Case(protocol=protocol, bundle=None)
    bundle = read_bundle(evidence or folder.evidence)
    check_subjects(folder, bundle)
    return Case(protocol=protocol, bundle=bundle)


def usecase_protocol(folder: UseCaseFolder) -> Protocol:
    """Read a use case and its protocol, and see that both speak of the same tier."""
    check_usecase(folder)
    usecase, protocol = read_usecase(folder.description), read_frozen_protocol(folder)
    if protocol.tier != usecase.tier:
        raise ProtocolValueError(
            f"the protocol is for tier {protocol.tier}, the use case is of tier {usecase.tier}",
            where=str(folder.protocol),
            fix="write the protocol for the use case's tier, or correct usecase.yaml",
        )
    return protocol


def check_usecase(folder: UseCaseFolder) -> None:
    """Refuse a folder that is not a use case (SAL-651)."""
    if not folder.description.is_file():
        raise UseCaseFileError(
            f"'{folder.name}' is not a use case: it has no {folder.description.name}",
            where=str(folder.root),
            fix="name a folder that holds one, such as examples/cohort or build/demo/cohort",
        )


def check_subjects(folder: UseCaseFolder, bundle: Bundle) -> None:
    """Refuse evidence that was measured on anything else than what now lies in the folder (SAL-605)."""
    present = _Present(folder)
    present.compare(bundle.subjects, "the evidence")
    for finding in bundle.findings:
        who = f"the finding {finding.metric} ({finding.population})"
        present.compare(finding.digests, who)
        present.named(finding.kind, {**bundle.subjects, **finding.digests}, who)


class _Present:
    """The digests of what lies in a use case's folder now, each computed once."""

    def __init__(self, folder: UseCaseFolder) -> None:
        self._folder = folder
        self._places: Mapping[str, tuple[Path, Callable[[Path], str]]] = {
            "timeline": (folder.timeline, timeline_digest),
            "synthetic": (folder.synthetic, timeline_digest),
            "model": (folder.model / MODEL_FILE, _model_digest),
            "task": (folder.task, file_digest),
            "forecast": (folder.risks, file_digest),
            "usecase": (folder.description, file_digest),
        }
        self._known: dict[str, str] = {}

    def compare(self, digests: Mapping[str, str], who: str) -> None:
        """Refuse the first role whose digest is not that of what lies here."""
        for role, wanted in digests.items():
            if role not in self._places:
                raise self._other(f"{who} is about '{role}', which a use case does not hold")
            path, digest_of = self._places[role]
            if not path.exists():
                raise self._other(
                    f"{who} was measured on a {role} that is no longer here: there is no "
                    f"'{path.relative_to(self._folder.root)}'"
                )
            if role not in self._known:
                self._known[role] = digest_of(path)
            if self._known[role] != wanted:
                raise self._other(
                    f"{who} is about another {role}: measured on {wanted[:SHORT]}, "
                    f"here lies {self._known[role][:SHORT]}"
                )

    def named(self, kind: str, digests: Mapping[str, str], who: str) -> None:
        """Refuse what does not say on which of the things that lie here it was measured."""
        for role in ABOUT_WHAT.get(kind, ()):
            if role not in digests and self._places[role][0].exists():
                raise self._other(f"{who} does not say on which {role} it was measured")

    def _other(self, what: str) -> OtherSubject:
        return OtherSubject(
            what,
            where=str(self._folder.root),
            fix="measure again with `salus appraise`, or put back what the evidence was measured on",
        )


def _model_digest(path: Path) -> str:
    """The digest of model.json, which lists those of the other files: they must be as it says, and in use."""
    check_in_use(path.parent)
    try:
        files = dict(json.loads(path.read_text(encoding="utf-8"))["files"])
        whole = all(file_digest(path.parent / name) == digest for name, digest in files.items())
    except (ValueError, KeyError, TypeError, FileNotFoundError):
        whole = False
    if not whole:
        raise ModelBroken(
            "a file of the model is missing, cut short or changed since the model was saved",
            where=str(path.parent),
            fix="copy the whole model folder again, or train it again with `salus train`",
        )
    return file_digest(path)


def _holds_anything(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())
