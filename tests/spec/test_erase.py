"""Erasure: from every place that a record reached, recorded without naming anybody, and proved or said not to be."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from salus.errors import (
    ErasureError,
    ErasureRecordBroken,
    PatientAmbiguous,
    PatientStillThere,
    PatientUnknown,
    Suspended,
)
from salus.programme.erasures import open_record
from salus.programme.lineage import Sort, find_lineage
from salus.progress import QUIET
from salus.timeline.store import (
    read_codes,
    read_settings,
    read_splits,
    read_timeline,
    timeline_digest,
    write_timeline,
)
from salus.timeline.subjects import subject_number
from salus.timeline.suspension import is_suspended, suspend
from salus.trajectory.artefact import load_model, save_model
from salus.workflows.describe import card_page, describe
from salus.workflows.embed import EmbedSettings, embed
from salus.workflows.erase import Erased, EraseSettings, erase
from salus.workflows.erase_plan import Policy, Wanted
from salus.workflows.export_fhir import export_fhir
from salus.workflows.export_tables import export_meds
from salus.workflows.generate import generate
from salus.workflows.ingest_tables import ingest_meds
from salus.workflows.pages.markdown import markdown
from salus.workflows.train import TrainChoices, train
from tests.labelled import in_fhir, ward_timeline
from tests.small_model import trained_folder
from tests.small_usecase import salus
from tests.small_ward import CODES, SETTINGS, ward

WHO = 31
"""A patient of the ward's training part."""
RARE = "LOINC//98765-4"
"""Something that only this patient had."""


def model_of(timeline: Path, to: Path) -> None:
    """The small model, as if it had learnt from this timeline."""
    made = load_model(trained_folder())
    to.mkdir(parents=True)
    lineage = replace(made.lineage, timeline_digest=timeline_digest(timeline), data_set="invented ward")
    quick = replace(made.settings, minutes=0.05, workers=1)
    save_model(replace(made, lineage=lineage, settings=quick), to)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A timeline with a rare fact of one patient, a model, what it drew, exports, vectors; and what is nobody's."""
    place = tmp_path / "build"
    rare = ward(100).with_columns(
        code=pl.when((pl.col("subject_id") == WHO) & (pl.col("code") == "LOINC//2823-3"))
        .then(pl.lit(RARE))
        .otherwise("code")
    )
    codes = pl.concat(
        [CODES, CODES.filter(pl.col("code") == "LOINC//2823-3").with_columns(code=pl.lit(RARE))]
    )
    write_timeline(place / "timeline", rare, codes=codes, settings=SETTINGS)
    model_of(place / "timeline", place / "model")
    generate(place / "model", place / "drawn", patients=20, progress=QUIET)
    export_fhir(place / "drawn", place / "sent" / "drawn")
    export_meds(place / "timeline", place / "sent" / "real")
    embed(
        place / "model", place / "timeline", to=place / "v.parquet", settings=EmbedSettings(), progress=QUIET
    )
    other = ward_timeline(tmp_path / "elsewhere" / "timeline", synthetic=False, patients=10)
    model_of(other, place / "other-model")
    return place


def run(root: Path, *who: int | str, policy: Policy = Policy.SUSPEND, **more: object) -> Erased:
    wanted = Wanted(patients=tuple(map(str, who)), key=more.pop("key", None), within=more.pop("within", None))
    settings = EraseSettings(roots=(root,), record=root.parent / "erasures", policy=policy, **more)
    return erase(wanted, settings, progress=QUIET)


def actions(told: Erased) -> dict[str, str]:
    return {Path(step["path"]).name: step["action"] for step in told.steps}


def everything(root: Path) -> bytes:
    """Every byte under a folder, names and all."""
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    return b"".join(path.relative_to(root).as_posix().encode() + path.read_bytes() for path in paths)


def says(root: Path, text: str) -> bool:
    """Whether a text is in any file: in plain bytes, or in a column of a packed table."""
    tables = [pl.read_parquet(path) for path in root.rglob("*.parquet")]
    texts = [
        frame[name].drop_nulls()
        for frame in tables
        for name, kind in frame.schema.items()
        if kind == pl.String
    ]
    return text.encode() in everything(root) or any(
        column.str.contains(text, literal=True).any() for column in texts
    )


def test_lineage_finds_what_came_of_what(root):
    found = find_lineage([root])
    sorts = {thing.path.relative_to(root.resolve()).as_posix(): thing.sort for thing in found.things}
    assert sorts == {
        "timeline": Sort.TIMELINE,
        "model": Sort.MODEL,
        "other-model": Sort.MODEL,
        "drawn": Sort.SYNTHETIC,
        "sent/drawn": Sort.EXPORT,
        "sent/real": Sort.EXPORT,
        "v.parquet": Sort.ANSWERS,
    }
    reached = {thing.path.name for thing in found.made_from([timeline_digest(root / "timeline")])}
    assert reached == {"model", "drawn", "real", "v.parquet"}
    assert [thing.path.name for thing in found.orphans()] == ["other-model"]


def test_looking_changes_nothing_and_shows_every_place(root):
    before = everything(root)
    told = run(root, WHO, policy=Policy.RETRAIN, dry_run=True)
    assert [step["action"] for step in told.steps if step["path"].endswith("sent/drawn")] == ["suspend"]
    assert actions(told) | {"drawn": "suspend"} == {
        "timeline": "rewrite without them",
        "model": "suspend, then train again",
        "drawn": "suspend",
        "real": "delete",
        "v.parquet": "delete",
        "other-model": "cannot tell: see to it yourself",
    }
    assert told.untold == 1
    assert everything(root) == before
    assert not (root.parent / "erasures").exists()


def test_suspending_takes_out_of_use_what_learnt_from_the_patient(root):
    told = run(root, WHO)
    rows = read_timeline(root / "timeline")
    assert WHO not in set(rows["subject_id"])
    assert rows["subject_id"].n_unique() == 99
    assert RARE not in set(read_codes(root / "timeline")["code"])
    books = json.loads((root / "timeline" / "books.json").read_text())
    assert books["erased"] == {"patients": 1, "events": 8}
    assert not (root / "v.parquet").exists()
    assert not (root / "sent" / "real").exists()
    for use in (
        lambda: generate(root / "model", root / "x", patients=1, progress=QUIET),
        lambda: read_timeline(root / "drawn"),
        lambda: in_fhir(root / "sent" / "drawn", root / "x"),
        lambda: ingest_meds(root / "drawn", root / "x", progress=QUIET),
    ):
        with pytest.raises(Suspended) as refused:
            use()
        assert refused.value.code == "SAL-478"
    assert list(told.replaced.values()) == [timeline_digest(root / "timeline")]
    assert "SUSPENDED: ERASURE PENDING" in markdown(card_page(describe(root / "model")))


def test_of_the_eight_rows_of_the_patient_none_is_left_anywhere(root):
    """31 is a man: sex, entry, birth, four potassiums of his own code, death. The rare code is the canary."""
    assert says(root, RARE)
    run(root, WHO, policy=Policy.DROP)
    assert not says(root, RARE)
    assert {path.name for path in root.iterdir()} == {"timeline", "other-model", "sent"}


def test_the_record_names_nobody_and_its_lines_hang_together(root):
    run(root, WHO)
    folder = root.parent / "erasures"
    raw = (folder / "erasures.jsonl").read_text()
    record = open_record(folder, make=False)
    assert [line.act for line in record.lines] == ["begun", "rewritten", "done"]
    assert record.erased() == {record.commitment("invented ward", WHO)}
    told = [json.loads(line) for line in raw.splitlines()]
    assert all(
        str(WHO) not in json.dumps(line["told"].get("steps", [])).replace("/tmp", "").split() for line in told
    )
    assert RARE not in raw
    assert stat.S_IMODE((folder / "erasures.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "erasures.jsonl").stat().st_mode) == 0o600


def edited(lines: list[str]) -> list[str]:
    return [lines[0].replace("suspend", "drop"), *lines[1:]]


@pytest.mark.parametrize(
    "spoil", [edited, lambda lines: lines[1:], lambda lines: [lines[0], "{", *lines[2:]]],
    ids=["changed", "taken away", "cut short"],
)  # fmt: skip
def test_a_broken_chain_is_refused_and_nothing_is_done(root, spoil: Callable[[list[str]], list[str]]):
    run(root, WHO)
    path = root.parent / "erasures" / "erasures.jsonl"
    path.write_text("\n".join(spoil(path.read_text().splitlines())) + "\n")
    before = everything(root)
    with pytest.raises(ErasureRecordBroken):
        run(root, 33)
    assert everything(root) == before


def test_a_record_without_its_key_is_refused(root):
    run(root, WHO)
    (root.parent / "erasures" / "erasures.key").unlink()
    with pytest.raises(ErasureRecordBroken):
        run(root, 33)


def test_once_more_changes_nothing(root):
    run(root, WHO)
    before = everything(root.parent)
    told = run(root, WHO)
    assert (told.erased_before, told.replaced) == (1, {})
    assert everything(root.parent) == before


def test_another_patient_later_is_followed_through_the_timeline_that_was_rewritten(root):
    run(root, WHO)
    assert actions(run(root, 33, policy=Policy.DROP, dry_run=True))["model"] == "delete"


def test_somebody_who_was_never_here_is_refused_without_being_named(root):
    with pytest.raises(PatientUnknown) as refused:
        run(root, 98765)
    assert "98765" not in str(refused.value)


def test_a_folder_that_is_no_timeline_and_one_that_cannot_be_read(root):
    (root / "notes").mkdir()
    (root / "notes" / "a.txt").write_text("nothing")
    (root / "broken" / "metadata").mkdir(parents=True)
    (root / "broken" / "metadata" / "dataset.json").write_text("{")
    told = run(root, WHO, dry_run=True)
    assert actions(told)["broken"] == "cannot tell: see to it yourself"
    assert "notes" not in actions(told)


def test_two_sources_that_number_their_own_patients_are_not_taken_for_one(root):
    ward_timeline(root / "another", synthetic=False, patients=60)
    events = read_timeline(root / "another")
    settings = replace(SETTINGS, name="another hospital", source_digest="another")
    write_timeline(root / "another", events, codes=CODES, settings=settings)
    with pytest.raises(PatientAmbiguous):
        run(root, WHO, dry_run=True)
    told = run(root, WHO, within=root / "another")
    assert actions(told)["another"] == "rewrite without them"
    assert "model" not in actions(told)
    assert WHO in set(read_timeline(root / "timeline")["subject_id"])


def test_who_was_sent_out_and_read_in_again_under_another_number_is_found(root):
    export_fhir(root / "timeline", root / "sent" / "fhir")
    in_fhir(root / "sent" / "fhir", root / "again")
    events = read_timeline(root / "again").height
    told = run(root, WHO)
    assert actions(told)["again"] == "rewrite without them"
    assert read_splits(root / "again").height == 99
    assert events - read_timeline(root / "again").height == 8


def test_under_a_key_that_nobody_gives_it_cannot_be_told(root):
    export_meds(root / "timeline", root / "sent" / "meds")
    ingest_meds(root / "sent" / "meds", root / "hidden", key=b"0123456789abcdef", progress=QUIET)
    assert actions(run(root, WHO, dry_run=True))["hidden"] == "cannot tell: see to it yourself"


def test_a_patient_by_the_id_of_the_source(root, tmp_path):
    key = b"0123456789abcdef"
    numbers = {n: subject_number(f"Patient/{n}", key) for n in range(1, 41)}
    events = (
        ward(40)
        .with_columns(pl.col("subject_id").replace_strict(numbers))
        .sort("subject_id", maintain_order=True)
    )
    write_timeline(root / "keyed", events, codes=CODES, settings=replace(SETTINGS, name="keyed"))
    told = run(root, "7", key=key)
    assert actions(told)["keyed"] == "rewrite without them"
    assert numbers[7] not in set(read_timeline(root / "keyed")["subject_id"])
    with pytest.raises(PatientUnknown):
        run(root, "7", key=b"another key of 16")


def test_a_private_model_may_have_learnt_from_any_timeline_of_its_data_set(root):
    made = load_model(root / "other-model")
    shutil.rmtree(root / "other-model")
    (root / "other-model").mkdir()
    save_model(replace(made, lineage=replace(made.lineage, timeline_digest="")), root / "other-model")
    told = run(root, WHO)
    assert actions(told)["other-model"] == "suspend"
    (why,) = [step["why"] for step in told.steps if step["path"].endswith("other-model")]
    assert "perhaps" in why


def test_the_record_does_not_lie_in_what_is_erased(root):
    wanted = Wanted(patients=(str(WHO),))
    settings = EraseSettings(roots=(root,), record=root / "timeline" / "erasures")
    with pytest.raises(ErasureError):
        erase(wanted, settings, progress=QUIET)


class Stopping:
    """Progress that is stopped, as by Ctrl-C, once so many places are done."""

    def __init__(self, after: int) -> None:
        self.left = after

    @contextmanager
    def step(self, name: str, total: float | None = None, unit: str = "") -> Iterator[Stopping]:
        yield self

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", range(1, 7))
def test_a_run_that_is_stopped_leaves_whole_folders_and_is_carried_to_its_end(root, after):
    """Six places are acted on: stopped after each in turn, what is there can be read whole, and nothing is lost."""
    wanted = Wanted(patients=(str(WHO),))
    settings = EraseSettings(roots=(root,), record=root.parent / "erasures", policy=Policy.DROP)
    with pytest.raises(KeyboardInterrupt):
        erase(wanted, settings, progress=Stopping(after))
    assert read_timeline(root / "timeline")["subject_id"].n_unique() in (99, 100)
    erase(wanted, settings, progress=QUIET)
    assert not says(root, RARE)
    assert not (root / "model").exists()
    record = open_record(root.parent / "erasures", make=False)
    assert record.pending() is None
    assert list(record.now_called().values()) == [timeline_digest(root / "timeline")]


def test_a_stop_between_a_rewritten_timeline_and_its_line_is_caught_up(root):
    """As the machine's power may go: the folder is in its place and the record's last two lines were never written."""
    old = timeline_digest(root / "timeline")
    run(root, WHO)
    path = root.parent / "erasures" / "erasures.jsonl"
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    assert run(root, WHO).erased_before == 1
    record = open_record(root.parent / "erasures", make=False)
    assert record.now_called() == {old: timeline_digest(root / "timeline")}
    assert record.pending() is None


def test_training_again_ends_the_suspension_and_one_patient_proves_nothing(root):
    told = run(root, WHO, policy=Policy.RETRAIN)
    assert not is_suspended(root / "model")
    assert load_model(root / "model").lineage.timeline_digest == timeline_digest(root / "timeline")
    (proof,) = told.proofs.values()
    assert (proof.value, proof.lower, proof.upper) == (None, None, None)
    assert proof.reason.startswith("NOT_ESTIMABLE: 1 erased")
    assert "49 more erased in the same run are needed" in proof.reason
    assert is_suspended(root / "drawn")


def test_a_suspended_model_is_not_trained_on_records_that_still_hold_the_patient(root):
    suspend(root / "model", with_patient=[timeline_digest(root / "timeline")])
    quick = TrainChoices(minutes=0.05, workers=1)
    with pytest.raises(PatientStillThere):
        train(root / "timeline", root / "model", choices=quick, progress=QUIET)


def test_enough_erased_together_are_proved_by_the_attack_with_its_bound(tmp_path):
    """Of 420 patients 60 go. The model that is trained again never saw them: 0.5 lies between the attack's bounds."""
    place = tmp_path / "build"
    write_timeline(place / "timeline", ward(420), codes=CODES, settings=SETTINGS)
    model_of(place / "timeline", place / "model")
    told = run(place, *range(1, 61), policy=Policy.RETRAIN)
    (proof,) = told.proofs.values()
    assert proof.value is not None
    assert proof.lower is not None
    assert proof.upper is not None
    assert proof.lower <= 0.5 <= proof.upper
    assert not [path for path in place.iterdir() if path.name.startswith(".")]
    assert read_settings(place / "timeline").name == "invented ward"


def test_the_command_shows_the_plan_and_acts(root, capsys):
    assert salus("erase", str(WHO), "--roots", root, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "rewrite without them" in said
    assert "nothing was changed" in said
    assert salus("erase", str(WHO), "--roots", root) == 0
    assert "erase there too" in capsys.readouterr().out
    assert salus("erase", "nobody", "--roots", root) == 2
    assert salus("erase", str(WHO), "--roots", root / "nowhere") == 1
