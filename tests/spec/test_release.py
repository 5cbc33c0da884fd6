"""The release desk: judged under a frozen protocol, signed, checkable by anybody; else nothing leaves."""

from __future__ import annotations

import hashlib
import json
import shutil
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from salus.errors import (
    OccupiedFolder,
    ReleaseChanged,
    ReleaseRefused,
    SignatureWrong,
    SigningKeyTrouble,
    TrainingCopied,
)
from salus.programme.gate import Verdict
from salus.programme.lineage import Sort, find_lineage
from salus.programme.read_protocol import read_protocol
from salus.programme.releasing import Handing, release_template
from salus.programme.signing import before_signing, public_pem
from salus.progress import QUIET
from salus.timeline.store import read_codes, read_settings, read_timeline, timeline_digest, write_timeline
from salus.trajectory.artefact import load_model, save_model
from salus.workflows.generate import generate
from salus.workflows.release import ReleaseChoices, Released, release, verify
from tests.small_model import trained_folder
from tests.small_usecase import salus
from tests.small_ward import CODES, SETTINGS, ward

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HANDING = Handing(by="Ada Example, data steward", purpose="teaching", recipient="a course")
CRITERION = (
    "  - {{id: {id}, evidence: privacy, metric: privacy.{metric}, comparison: attack, bound: upper,"
    ' threshold: "<= {limit}", severity: release}}\n'
)
HEAD = """gate: model->production
protocol:
  version: 1
  tier: 2
  test_set: held_out
defaults:
  max_age: P180D
criteria:
"""


def protocol(folder: Path, *, membership: float = 0.99, copies: float = 0.99, frozen: bool = True) -> Path:
    """A protocol in a folder, with limits for the two things that every release is judged by."""
    folder.mkdir(parents=True, exist_ok=True)
    text = HEAD + CRITERION.format(id="member", metric="density_auc", limit=membership)
    text += CRITERION.format(id="copies", metric="copies_risk", limit=copies)
    (folder / "protocol.yaml").write_text(text)
    if frozen:
        told = {"version": 1, "digest": hashlib.sha256(text.encode()).hexdigest()}
        told |= {"frozen_at": datetime(2026, 11, 1, tzinfo=UTC).isoformat()}
        (folder / "protocol.frozen.json").write_text(json.dumps(told))
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real patients, a model of them and what it drew, each saying what it came from."""
    root = tmp_path_factory.mktemp("made")
    write_timeline(root / "real", ward(500), codes=CODES, settings=SETTINGS)
    model = load_model(trained_folder())
    lineage = replace(model.lineage, timeline_digest=timeline_digest(root / "real"))
    (root / "model").mkdir()
    save_model(replace(model, lineage=lineage), root / "model")
    generate(root / "model", root / "drawn", patients=300, seed=1, progress=QUIET)
    return root


def wanted(made: Path, place: Path) -> ReleaseChoices:
    """A release of what was drawn, under a protocol that it passes."""
    key = place / "secret" / "key"
    key.parent.mkdir()
    content = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key.write_bytes(content)
    key.chmod(0o600)
    return ReleaseChoices(
        synthetic=made / "drawn", model=made / "model", real=made / "real",
        protocol=protocol(place / "protocol"), key=key, handing=HANDING, form="fhir",
    )  # fmt: skip


@pytest.fixture
def choices(made: Path, tmp_path: Path) -> ReleaseChoices:
    return wanted(made, tmp_path)


@pytest.fixture(scope="module")
def released_once(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("released")
    assert release(place / "out", wanted(made, place), now=NOW).patients == 300
    return place / "out"


@pytest.fixture
def out(released_once: Path, tmp_path: Path) -> Path:
    """A released folder of one's own."""
    return Path(shutil.copytree(released_once, tmp_path / "out"))


def run(choices: ReleaseChoices, tmp_path: Path) -> Released:
    return release(tmp_path / "out", choices, now=NOW)


def test_what_passes_leaves_with_its_label_and_a_record_that_holds(made: Path, out: Path):
    resources = [
        json.loads(line)
        for path in (out / "data").rglob("*.ndjson")
        for line in path.read_text().splitlines()
    ]
    assert resources and all("synthetic" in json.dumps(one["meta"]["tag"]).lower() for one in resources)
    told = verify(out)
    assert (told["by"], told["purpose"], told["recipient"], told["label"]) == (
        "Ada Example, data steward", "teaching", "a course", "synthetic",
    )  # fmt: skip
    assert told["released"] == {"form": "fhir", "patients": 300, "seed": 20260101}
    assert told["made_from"]["timeline"] == timeline_digest(made / "real")  # type: ignore[index]
    assert told["judged"]["verdict"] == "PASS"  # type: ignore[index]


def test_the_record_is_a_statement_over_every_file_that_others_can_check(
    choices: ReleaseChoices, tmp_path: Path
):
    """By the rules of DSSE and in-toto, with nothing of ours but the public key."""
    run(choices, tmp_path)
    out = tmp_path / "out"
    envelope = json.loads((out / "release.dsse.json").read_bytes())
    payload = b64decode(envelope["payload"])
    signed = b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(payload), payload)
    load_pem_public_key((out / "release.pub").read_bytes()).verify(
        b64decode(envelope["signatures"][0]["sig"]), signed
    )
    statement = json.loads(payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    for subject in statement["subject"]:
        content = (out / subject["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == subject["digest"]["sha256"]
    named = {subject["name"] for subject in statement["subject"]}
    there = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert there - named == {"release.dsse.json", "release.pub"}


def test_the_bytes_before_signing_are_those_of_the_standard():
    """The example of the DSSE specification, section 'Test vectors'."""
    assert before_signing(b"hello world", "http://example.com/HelloWorld") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@pytest.mark.parametrize("spoilt", ["changed", "gone", "added", "page"])
def test_a_file_that_is_not_as_it_was_signed_is_named(out: Path, spoilt: str):
    path = next((out / "data").rglob("*.ndjson"))
    name = path.relative_to(out).as_posix()
    if spoilt == "changed":
        path.write_text(path.read_text() + "\n")
        said = f"{name}: changed"
    elif spoilt == "gone":
        path.unlink()
        said = f"{name}: gone"
    elif spoilt == "added":
        (out / "data" / "new.csv").touch()
        said = "data/new.csv: not signed"
    else:
        (out / "release.html").write_text("all is well")
        said = "release.html: changed"
    with pytest.raises(ReleaseChanged) as error:
        verify(out)
    assert said in str(error.value)


def test_a_record_that_was_changed_or_is_of_another_key(out: Path, tmp_path: Path):
    other = tmp_path / "other.pub"
    other.write_bytes(public_pem(Ed25519PrivateKey.generate().public_key()))
    with pytest.raises(SignatureWrong):
        verify(out, public=other)
    record = out / "release.dsse.json"
    told = json.loads(record.read_bytes())
    told["payload"] = told["payload"][:-8] + "AAAA" + told["payload"][-4:]
    record.write_text(json.dumps(told))
    with pytest.raises(SignatureWrong):
        verify(out)
    record.write_text("{")
    with pytest.raises(SignatureWrong, match="cut short"):
        verify(out)
    record.unlink()
    with pytest.raises(SignatureWrong, match="no signed record"):
        verify(out)


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [
        ({"membership": 0.05}, Verdict.FAIL),  # its lower bound lies above
        ({"copies": 0.0}, Verdict.INCONCLUSIVE),  # no copy was found, and the interval reaches above nought
    ],
)
def test_what_does_not_pass_does_not_leave(
    choices: ReleaseChoices, tmp_path: Path, limits: dict[str, float], verdict: Verdict
):
    wanted = replace(choices, protocol=protocol(tmp_path / "other", **limits))
    done = run(wanted, tmp_path)
    assert done.judgement.verdict is verdict
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"evidence", "judged.json", "release.html"}
    page = (tmp_path / "out" / "release.html").read_text()
    assert "Not released" in page and verdict.value in page
    with pytest.raises(SignatureWrong):
        verify(tmp_path / "out")


def test_real_patients_under_a_false_label_end_loudly(choices: ReleaseChoices, made: Path, tmp_path: Path):
    real = read_timeline(made / "real", "train")
    origin = read_settings(made / "drawn")
    copied = tmp_path / "copied"
    events = real.with_columns(pl.lit("train").alias("split"))
    write_timeline(copied, events, codes=read_codes(made / "real"), settings=origin)
    with pytest.raises(TrainingCopied):
        run(replace(choices, synthetic=copied), tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_protocol_that_is_open_or_asks_too_little_is_refused(choices: ReleaseChoices, tmp_path: Path):
    with pytest.raises(ReleaseRefused, match="not frozen"):
        run(replace(choices, protocol=protocol(tmp_path / "open", frozen=False)), tmp_path)
    for left_out, said in (
        ("density_auc", "whom the model learnt from"),
        ("copies_risk", "real records stand"),
    ):
        folder = protocol(tmp_path / left_out)
        kept = [line for line in (folder / "protocol.yaml").read_text().splitlines() if left_out not in line]
        text = "\n".join(kept) + "\n"
        (folder / "protocol.yaml").write_text(text)
        frozen = json.loads((folder / "protocol.frozen.json").read_text())
        frozen["digest"] = hashlib.sha256(text.encode()).hexdigest()
        (folder / "protocol.frozen.json").write_text(json.dumps(frozen))
        with pytest.raises(ReleaseRefused, match=said):
            run(replace(choices, protocol=folder), tmp_path)
    assert not (tmp_path / "out").exists()


def test_what_did_not_come_from_there_is_refused(choices: ReleaseChoices, made: Path, tmp_path: Path):
    """Attacked with patients it never learnt from, every set looks safe."""
    write_timeline(tmp_path / "others", ward(60), codes=CODES, settings=SETTINGS)
    other = load_model(trained_folder())
    (tmp_path / "model").mkdir()
    lineage = replace(other.lineage, timeline_digest=timeline_digest(made / "real"), data_set="x")
    save_model(replace(other, lineage=lineage), tmp_path / "model")
    for wrong, said in (
        ({"real": tmp_path / "others"}, "is not the timeline"),
        ({"model": tmp_path / "model"}, "is not the model"),
        ({"synthetic": made / "real"}, "no timeline of synthetic"),
        ({"model": made / "drawn"}, "is no model"),
        ({"real": made / "drawn"}, "no timeline of real"),
    ):
        with pytest.raises(ReleaseRefused, match=said):
            run(replace(choices, **wrong), tmp_path)


def test_who_to_whom_and_for_what_must_be_said(choices: ReleaseChoices, tmp_path: Path):
    for name in ("by", "purpose", "recipient"):
        with pytest.raises(ReleaseRefused, match=name):
            run(replace(choices, handing=replace(HANDING, **{name: " "})), tmp_path)


def test_keys_that_cannot_be_used(choices: ReleaseChoices, tmp_path: Path):
    choices.key.chmod(0o644)
    with pytest.raises(SigningKeyTrouble, match="read by others"):
        run(choices, tmp_path)
    choices.key.chmod(0o600)
    choices.key.write_text("no key")
    with pytest.raises(SigningKeyTrouble, match="no private key"):
        run(choices, tmp_path)
    choices.key.unlink()
    with pytest.raises(SigningKeyTrouble, match="cannot be read"):
        run(choices, tmp_path)


def test_nothing_is_overwritten(choices: ReleaseChoices, tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(OccupiedFolder):
        run(choices, tmp_path)


def test_lineage_knows_what_was_released(made: Path, out: Path):
    """So that erasing a patient finds it."""
    reached = find_lineage([made, out]).made_from([timeline_digest(made / "real")])
    assert {thing.path.name for thing in reached if thing.sort is Sort.EXPORT} == {"data"}


def test_the_protocol_to_copy_is_one_that_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert salus("release", "--print-protocol") == 0
    (tmp_path / "protocol.yaml").write_text(capsys.readouterr().out)
    assert (tmp_path / "protocol.yaml").read_text().strip() == release_template().strip()
    assert len(read_protocol(tmp_path / "protocol.yaml").criteria) == 11


def test_the_command_says_the_verdict_by_its_exit_code(
    choices: ReleaseChoices, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["release", choices.synthetic, "--model", choices.model, "--real", choices.real]
    words += ["--key", choices.key, "--by", "Ada", "--purpose", "teaching", "--recipient", "a course"]
    failing = protocol(tmp_path / "failing", membership=0.05)
    assert salus(*words, "--protocol", choices.protocol, "--to", tmp_path / "out") == 0
    assert "released: 300 synthetic patients" in capsys.readouterr().out
    assert salus(*words, "--protocol", failing, "--to", tmp_path / "no") == 1
    assert "NOT released: FAIL" in capsys.readouterr().out
    assert salus("release", tmp_path / "out", "--verify") == 0
    assert "every file is as it was signed" in capsys.readouterr().out
    assert salus("release", tmp_path / "out") == 3
