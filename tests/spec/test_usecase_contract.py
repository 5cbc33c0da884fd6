"""What every kind of use case owes to those who use it. A new kind is found by its folder and must pass all of this.

What only one kind can promise (the rules of its domain) stands in test_usecase_contract_KIND.py beside this file.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

import fhirkit
import polars as pl
import pytest

from salus.errors import KindUnknown, ProposalBlocked, ReasonMissing, SettingsRefused, UseCaseValueError
from salus.programme.read_usecase import read_usecase
from salus.programme.usecase_folder import UseCaseFolder
from salus.usecases.citing import written
from salus.usecases.concerns import check_writable
from salus.usecases.contract import Budget, Order, Proposal, UseCaseKind, Weight
from salus.usecases.kinds import find_kind, kind_names, open_usecase
from salus.usecases.opened import Opened
from salus.usecases.resolving import resolve
from tests.fhir_on_paper import PaperServer
from tests.ward_usecase import EXPIRED, NOW, PROTOCOL, SOURCE, copy_of, write_words

SEED, EIGHT = 5, 8
PLENTY = Budget(seconds=600)
ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.parametrize("kind", kind_names(), scope="module")


@pytest.fixture(scope="module")
def place(kind: str, ward_usecase: UseCaseFolder, tmp_path_factory: pytest.TempPathFactory) -> UseCaseFolder:
    """The ward as a use case of this kind."""
    made = copy_of(ward_usecase, tmp_path_factory.mktemp(kind) / "ward")
    write_words(made, kind=kind)
    return made


@pytest.fixture(scope="module")
def usecase(place: UseCaseFolder) -> UseCaseKind:
    return open_usecase(place, now=NOW)


@pytest.fixture(scope="module")
def proposal(usecase: UseCaseKind) -> Proposal:
    return usecase.propose(EIGHT, seed=SEED, budget=PLENTY)


@pytest.fixture
def other(place: UseCaseFolder, tmp_path: Path) -> UseCaseFolder:
    """A copy that a test may spoil."""
    return copy_of(place, tmp_path / "ward")


def overrides(usecase: UseCaseKind, proposal: Proposal) -> dict[str, str]:
    """A reason for every warning."""
    warned = [one.id for one in usecase.check(proposal) if one.weight is Weight.WARNING]
    return dict.fromkeys(warned, "this is a test")


def written_by(usecase: UseCaseKind, proposal: Proposal):
    return usecase.write(proposal, Order(asked_by="a test", overrides=overrides(usecase, proposal)))


# --- the card -----------------------------------------------------------------------------------------------------


def test_a_kind_is_found_by_its_folder_and_says_in_words_what_it_is(kind):
    folder = ROOT / "src" / "salus" / "usecases" / kind.replace("-", "_")
    assert find_kind(kind).name == kind
    assert find_kind(kind).meaning
    assert (folder / "README.md").read_text().startswith("# ")


def test_a_kind_that_is_not_there_is_refused_with_the_nearest(kind):
    with pytest.raises(KindUnknown, match=f"did you mean '{kind}'"):
        find_kind(kind[:-1])


def test_the_card_says_for_whom_and_not_for_what(usecase, place):
    card = usecase.card
    assert card.card.purpose
    assert card.card.not_for
    assert (card.title, card.tier) == (read_usecase(place.description).title, 2)


# --- needs: missing is unknown, never negative --------------------------------------------------------------------


def test_what_is_needed_is_named_with_its_meaning(usecase):
    needs = usecase.needs()
    assert needs.complete
    assert {"model", "MEDS_BIRTH", "LOINC//2823-3"} <= {one.name for one in needs.given}
    assert {one.name: one.meaning for one in needs.given}["LOINC//2823-3"] == "potassium"


def test_without_its_model_it_abstains_and_says_so(other):
    shutil.rmtree(other.model)
    usecase = open_usecase(other, now=NOW)
    proposal = usecase.propose(EIGHT, seed=SEED, budget=PLENTY)
    assert "model" in {one.name for one in usecase.needs().missing}
    assert (proposal.made, proposal.rows.height) == (0, 0)
    assert "model" in proposal.stopped
    assert "model" in {one.name for one in proposal.missing}
    assert any(one.weight is Weight.BLOCK for one in usecase.check(proposal))


def test_a_required_input_that_nobody_has_is_named_and_not_taken_as_negative(other):
    words = other.description.read_text().replace("required: [MEDS_BIRTH,", "required: [ALLERGY//PENICILLIN,")
    other.description.write_text(words)
    usecase = open_usecase(other, now=NOW)
    missing = {one.name: one for one in usecase.needs().missing}
    assert missing["ALLERGY//PENICILLIN"].reason
    proposal = usecase.propose(EIGHT, seed=SEED, budget=PLENTY)
    assert "ALLERGY//PENICILLIN" in {one.name for one in proposal.missing}
    if "risk" in proposal.rows.columns:
        assert proposal.rows["risk"].null_count() == EIGHT


# --- the baseline -------------------------------------------------------------------------------------------------


def test_the_baseline_answers_and_is_said_first(usecase, proposal):
    baseline = usecase.baseline()
    assert baseline.sentences
    assert usecase.explain(proposal).all_sentences[: len(baseline.sentences)] == baseline.sentences


def test_the_baseline_answers_even_with_no_evidence_and_no_model(other):
    shutil.rmtree(other.evidence)
    shutil.rmtree(other.model)
    assert open_usecase(other, now=NOW).baseline().sentences


# --- proposals ----------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(usecase, proposal):
    again = usecase.propose(EIGHT, seed=SEED, budget=PLENTY)
    assert again.as_bytes() == proposal.as_bytes()
    assert again.digest == proposal.digest
    assert usecase.propose(EIGHT, seed=SEED + 1, budget=PLENTY).digest != proposal.digest


def test_fewer_candidates_are_the_first_of_more(usecase, proposal):
    three = usecase.propose(3, seed=SEED, budget=PLENTY)
    assert three.made == 3
    assert three.rows.equals(proposal.rows.filter(pl.col("candidate") <= 3))


def test_a_proposal_stops_at_its_budget_with_those_so_far_and_says_so(usecase):
    """The clock moves one second a look; 2.5 seconds leave room for two pieces of work, not for three."""
    ticks = count()
    stopped = usecase.propose(100, seed=SEED, budget=Budget(seconds=2.5, clock=lambda: float(next(ticks))))
    whole = usecase.propose(stopped.made, seed=SEED, budget=PLENTY)
    assert 0 < stopped.made < 100
    assert "2.5 seconds were used up" in stopped.stopped
    assert stopped.rows.equals(whole.rows)
    text = " ".join(one.text for one in usecase.explain(stopped).all_sentences)
    assert stopped.stopped in text


def test_without_any_time_nothing_is_proposed_and_nothing_can_be_written(usecase):
    nothing = usecase.propose(EIGHT, seed=SEED, budget=Budget(seconds=0))
    assert (nothing.made, nothing.rows.height) == (0, 0)
    with pytest.raises(ProposalBlocked):
        usecase.write(nothing, Order())


@pytest.mark.parametrize("n", [0, -1])
def test_less_than_one_candidate_cannot_be_asked_for(usecase, n):
    with pytest.raises(SettingsRefused):
        usecase.propose(n, seed=SEED, budget=PLENTY)


ALONE = """
import json, resource, sys, time
from datetime import datetime
from pathlib import Path

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind"):
        raise RuntimeError(f"the network was asked for: {event}")

sys.addaudithook(watch)
from salus.programme.usecase_folder import UseCaseFolder
from salus.usecases.contract import Budget
from salus.usecases.kinds import open_usecase
folder, now, n, seed = sys.argv[1:]
began = time.monotonic()
usecase = open_usecase(UseCaseFolder(Path(folder)), now=datetime.fromisoformat(now))
proposal = usecase.propose(int(n), seed=int(seed), budget=Budget(seconds=600))
usecase.check(proposal), usecase.explain(proposal), usecase.baseline()
seconds = time.monotonic() - began
status = Path("/proc/self/status")  # the peak of this program alone: getrusage passes on that of its parent
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
if status.exists():
    peak = next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line) / 1024
print(json.dumps({
    "digest": proposal.digest, "seconds": seconds, "megabytes": peak,
    "loaded": sorted({name.split(".")[0] for name in sys.modules}),
}))
"""
LANGUAGE_MODELS = {"transformers", "openai", "anthropic", "llama_cpp", "vllm", "langchain"}


def test_it_runs_without_network_card_or_language_model_in_its_time_and_memory(kind, place, proposal):
    """In a process of its own, where every connection is refused and no graphics card is seen: the same bytes."""
    asked = subprocess.run(
        [sys.executable, "-c", ALONE, str(place.root), NOW.isoformat(), str(EIGHT), str(SEED)],
        capture_output=True,
        text=True,
        check=False,
        env={"CUDA_VISIBLE_DEVICES": "", "PATH": "", "OMP_NUM_THREADS": "1"},
    )
    assert asked.returncode == 0, asked.stderr
    told = json.loads(asked.stdout)
    assert told["digest"] == proposal.digest
    assert not set(told["loaded"]) & LANGUAGE_MODELS
    declared = find_kind(kind)
    assert told["seconds"] <= declared.seconds
    assert told["megabytes"] <= declared.megabytes


# --- explaining ---------------------------------------------------------------------------------------------------


def test_every_number_that_is_shown_leads_to_what_it_comes_from(place, usecase, proposal):
    """Taking every figure out of a sentence leaves no digit; every figure is found again where it says."""
    opened = Opened(place, read_usecase(place.description), now=NOW)
    concerns = [one.sentence for one in usecase.check(proposal)]
    sentences = [*usecase.explain(proposal).all_sentences, *concerns]
    assert sum(len(one.figures) for one in sentences) > 5
    for said in sentences:
        rest = said.text
        for figure in said.figures:
            assert figure.shown in rest
            rest = rest.replace(figure.shown, "", 1)
            assert written(resolve(figure.source, opened, proposal), figure.form) == figure.shown
        assert not re.search(r"\d", rest), said.text


def test_a_number_about_something_else_leads_nowhere(place, usecase, proposal):
    opened = Opened(place, read_usecase(place.description), now=NOW)
    figure = next(one for said in usecase.explain(proposal).all_sentences for one in said.figures)
    with pytest.raises(UseCaseValueError, match="is not here"):
        resolve(replace(figure.source, digest="0" * 64), opened, proposal)
    with pytest.raises(UseCaseValueError, match="is not here"):
        resolve(replace(figure.source, at="nowhere/at/all"), opened, proposal)


def test_where_the_gate_is_not_passed_it_is_said_why(place, proposal):
    late = open_usecase(place, now=EXPIRED)
    withheld = [one.text for one in late.explain(proposal).withheld]
    assert any("NOT_ESTIMABLE" in text for text in withheld)


# --- writing ------------------------------------------------------------------------------------------------------


def test_what_is_written_is_valid_r4(usecase, proposal):
    """By a validator that nobody here wrote; and the validator sees a fault that is put there."""
    sent = json.loads(written_by(usecase, proposal).transaction.as_bytes())
    assert [str(issue) for issue in fhirkit.validate(sent)] == []
    sent["entry"][-1]["resource"].pop("recorded")
    assert fhirkit.validate(sent)


def test_what_is_written_names_its_maker_and_leaves_a_line_of_audit(usecase, proposal):
    entries = [entry["resource"] for entry in written_by(usecase, proposal).transaction.bundle["entry"]]
    device, provenance, audit = entries[-3:]
    written_resources = [f"{one['resourceType']}" for one in entries[:-3]]
    assert device["identifier"][0]["value"] == proposal.digests["model"]
    assert len(provenance["target"]) == len(written_resources)
    sources = {one["what"]["display"]: one["what"]["identifier"]["value"] for one in provenance["entity"]}
    assert sources["proposal"] == proposal.digest
    assert {"model", "evidence", "protocol"} <= set(sources)
    assert audit["agent"][0] == {"name": "a test", "requestor": True}
    assert "this is a test" in json.dumps(audit) or not overrides(usecase, proposal)


def test_the_same_writing_is_the_same_bytes(usecase, proposal):
    first, second = (written_by(usecase, proposal).transaction.as_bytes() for _ in range(2))
    assert first == second


def test_writing_is_undone_exactly(usecase, proposal):
    """Somebody else's resource stays; everything of ours is gone."""
    server = PaperServer()
    server.create({"resourceType": "Patient", "active": True})
    before = server.content()
    sent = written_by(usecase, proposal).transaction
    answer = server.transact(sent.as_bytes())
    assert len(server.held) == len(before) + len(sent.bundle["entry"])
    server.transact(sent.undo(answer).as_bytes())
    assert server.content() == before


def test_writing_twice_creates_once_and_undoing_the_second_leaves_the_first(usecase, proposal):
    """Only Provenance and AuditEvent, which have no identifier in R4, are written again."""
    server = PaperServer()
    sent = written_by(usecase, proposal).transaction
    server.transact(sent.as_bytes())
    once = server.content()
    answer = server.transact(sent.as_bytes())
    assert len(server.held) == len(once) + 2
    server.transact(sent.undo(answer).as_bytes())
    assert server.content() == once


def test_a_blocked_proposal_cannot_be_written_whatever_is_said(place, proposal):
    late = open_usecase(place, now=EXPIRED)
    every = {one.id: "I know better" for one in late.check(proposal)}
    with pytest.raises(ProposalBlocked, match="NOT_ESTIMABLE") as refused:
        late.write(proposal, Order(overrides=every))
    assert "a block cannot be overridden" in str(refused.value)


def test_a_warning_is_passed_with_a_reason_and_with_nothing_less(usecase, proposal):
    warned = overrides(usecase, proposal)
    for silence in ({}, dict.fromkeys(warned, "  ")):
        if warned:
            with pytest.raises(ReasonMissing, match="was not overridden with a reason"):
                usecase.write(proposal, Order(overrides=silence))
    with pytest.raises(ReasonMissing, match="no warning 'nonesuch'"):
        usecase.write(proposal, Order(overrides={**warned, "nonesuch": "because"}))
    assert check_writable(usecase.check(proposal), warned, where="here") == tuple(
        f"{name}: this is a test" for name in warned
    )


def test_a_proposal_of_another_model_or_kind_cannot_be_written(usecase, proposal):
    for strange in (
        replace(proposal, digests={**proposal.digests, "model": "0" * 64}),
        replace(proposal, kind="another"),
    ):
        with pytest.raises(ProposalBlocked, match="not made by the model that lies here"):
            usecase.write(strange, Order(overrides=overrides(usecase, strange)))


# --- failing closed -----------------------------------------------------------------------------------------------


def edit_protocol(place: UseCaseFolder) -> None:
    place.protocol.write_text(PROTOCOL.replace(">= 0.30", ">= 0.29"))


def forget_protocol(place: UseCaseFolder) -> None:
    place.protocol.unlink()


def change_licence(place: UseCaseFolder) -> None:
    place.source.write_text(SOURCE.replace("CC0-1.0", "all rights reserved"))


def break_evidence(place: UseCaseFolder) -> None:
    path = place.evidence / "findings.json"
    path.write_text(path.read_text().replace("0.9", "0.99", 1))


def lose_evidence(place: UseCaseFolder) -> None:
    shutil.rmtree(place.evidence)


def change_records(place: UseCaseFolder) -> None:
    shard = next((place.timeline / "data" / "held_out").glob("*.parquet"))
    events = pl.read_parquet(shard)
    events.head(events.height - 1).write_parquet(shard)


def suspend(place: UseCaseFolder) -> None:
    place.description.write_text(
        place.description.read_text().replace("state: supervised", "state: suspended")
    )


def raise_the_bar(place: UseCaseFolder) -> None:
    write_words(
        place,
        kind=read_usecase(place.description).kind,
        protocol=PROTOCOL.replace('threshold: ">= 0.30"', 'threshold: ">= 0.999"'),
    )


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (edit_protocol, "edited after version 1 was frozen"),
        (forget_protocol, "protocol.yaml"),
        (change_licence, "the licence of the records changed"),
        (break_evidence, "was changed or cut short"),
        (lose_evidence, "NOT_ESTIMABLE"),
        (change_records, "is about another timeline"),
        (suspend, "suspended"),
        (raise_the_bar, "FAIL|INCONCLUSIVE"),
    ],
)
def test_whatever_is_wrong_closes_it(other, proposal, spoil, why):
    spoil(other)
    usecase = open_usecase(other, now=NOW)
    with pytest.raises(ProposalBlocked, match=why):
        usecase.write(proposal, Order(overrides=overrides(usecase, proposal)))
    assert usecase.explain(proposal).withheld
    assert usecase.baseline().sentences


def test_evidence_closes_it_on_the_day_it_expires_and_not_before(place, proposal):
    """Measured on 1 February 2026 and good for 180 days: 31 July is the last day."""
    for day, open_then in ((NOW.replace(month=7, day=31), True), (NOW.replace(month=8, day=1), False)):
        concerns = open_usecase(place, now=day).check(proposal)
        assert ("gate" not in {one.id for one in concerns}) == open_then


def test_what_is_refused_names_no_patient(place, proposal):
    late = open_usecase(place, now=EXPIRED)
    with pytest.raises(ProposalBlocked) as refused:
        late.write(proposal, Order())
    numbers = {str(one) for one in proposal.rows["subject_id"].unique() if one > 100}
    assert not numbers & set(re.findall(r"\d+", str(refused.value)))


# --- scores -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def score(usecase: UseCaseKind):
    return usecase.score()


def test_every_score_has_an_interval_or_a_reason_and_somewhere_a_baseline_beside(score):
    assert score.entries
    for one in (entry.finding for entry in score.entries):
        assert (one.lower is not None and one.upper is not None) or one.reason, one.metric
    assert any(entry.baseline is not None for entry in score.entries)


def test_every_group_is_reported_with_numbers_or_with_a_reason(score):
    said = {(one.label, one.group) for one in score.slices}
    assert {("sex", "F"), ("sex", "M"), ("age", "65 or over")} <= said
    for one in (finding for part in score.slices for finding in part.findings):
        assert one.value is not None or one.reason
    assert any(finding.value is not None for part in score.slices for finding in part.findings)


def test_what_the_records_do_not_hold_is_said_and_not_left_out(score):
    (unknown,) = [one for one in score.slices if one.label == "ethnicity"]
    assert [one.value for one in unknown.findings] == [None]
    assert unknown.findings[0].reason == "ethnicity is not recorded in these records"


def test_without_evidence_no_group_is_passed_over(other):
    shutil.rmtree(other.evidence)
    score = open_usecase(other, now=NOW).score()
    assert not score.entries
    assert {one.label for one in score.slices} == {"sex", "age", "ethnicity"}
    assert all(finding.reason for part in score.slices for finding in part.findings)


# --- rules of the domain ------------------------------------------------------------------------------------------


def test_the_rules_of_its_own_domain_are_tested(kind):
    """What must stay the same, or grow, when the question changes: each kind writes its own."""
    rules = Path(__file__).with_name(f"test_usecase_contract_{kind.replace('-', '_')}.py")
    assert rules.is_file()
    assert rules.read_text().count("def test_") >= 3
