"""The five steps of docs/explanation/use-cases.md, done: a folder is all that a new kind of use case needs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import fhirkit
import pytest

from salus import usecases
from salus.errors import KindUnknown, ProposalBlocked
from salus.programme.usecase_folder import UseCaseFolder
from salus.usecases.contract import Budget, Order, UseCaseKind
from salus.usecases.kinds import find_kind, kind_names, open_usecase
from tests.fhir_on_paper import PaperServer
from tests.ward_usecase import EXPIRED, NOW, copy_of, write_words

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "use-cases.md"
PLENTY = Budget(seconds=600)


def blocks() -> list[str]:
    """The pieces of Python on the page, in order."""
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def added(tmp_path: Path) -> Iterator[Path]:
    """The page's kind as a folder beside the others, taken away again."""
    folder = tmp_path / "kinds" / "bed_days"
    folder.mkdir(parents=True)
    (code,) = [block for block in blocks() if "KIND = Kind(" in block]
    (folder / "kind.py").write_text(code)
    (folder / "__init__.py").write_text('"""Bed days."""\n')
    usecases.__path__.append(str(folder.parent))
    yield folder
    usecases.__path__.remove(str(folder.parent))
    for name in [name for name in sys.modules if name.startswith("salus.usecases.bed_days")]:
        del sys.modules[name]


@pytest.fixture
def place(ward_usecase: UseCaseFolder, tmp_path: Path) -> UseCaseFolder:
    made = copy_of(ward_usecase, tmp_path / "ward")
    write_words(made, kind="bed-days")
    return made


def test_the_first_example_of_the_page_runs(ward_usecase, capsys):
    """On the ward instead of the demo."""
    exec(blocks()[0].replace("build/demo/cohort", str(ward_usecase.root)), {})  # our own page
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("How like real patients shuffled columns are")
    assert "8 of 8 synthetic patients were drawn with seed 1" in " ".join(said)


def test_without_its_folder_the_kind_is_not_known(place):
    with pytest.raises(KindUnknown, match="no kind of use case 'bed-days'"):
        open_usecase(place, now=NOW)


def test_the_kind_of_the_page_is_found_by_its_folder_alone(added, place):
    assert kind_names() == ("bed-days", "early-warning", "synthesis")
    assert find_kind("bed-days").meaning == "how long patients stay"
    usecase: UseCaseKind = open_usecase(place, now=NOW)
    proposal = usecase.propose(5, seed=1, budget=PLENTY)
    assert proposal.as_bytes() == usecase.propose(5, seed=1, budget=PLENTY).as_bytes()
    said = [one.text for one in usecase.explain(proposal).all_sentences]
    assert said[0].startswith("Simple rule")
    assert re.fullmatch(r"\d+\.\d days on average", said[-1])
    assert {one.label for one in usecase.score().slices} == {"sex", "age", "ethnicity"}


def test_what_the_kind_of_the_page_writes_is_valid_and_undone_exactly(added, place):
    usecase = open_usecase(place, now=NOW)
    proposal = usecase.propose(5, seed=1, budget=PLENTY)
    sent = usecase.write(proposal, Order()).transaction
    assert fhirkit.validate(json.loads(sent.as_bytes())) == []
    server = PaperServer()
    server.transact(sent.undo(server.transact(sent.as_bytes())).as_bytes())
    assert server.content() == {}
    late = open_usecase(place, now=EXPIRED)
    with pytest.raises(ProposalBlocked):
        late.write(proposal, Order())


def test_a_folder_that_holds_another_kind_is_refused(added):
    text = (added / "kind.py").read_text()
    (added / "kind.py").write_text(text.replace('KIND = Kind(name="bed-days"', 'KIND = Kind(name="beds"'))
    with pytest.raises(KindUnknown, match="holds no kind of that name"):
        find_kind("bed-days")


def test_the_page_names_every_kind_there_is_and_all_eight_questions():
    text = PAGE.read_text()
    for name in kind_names():
        assert f"**{name.replace('-', ' ')}**" in text
    questions = [name for name in vars(UseCaseKind) if not name.startswith("_")]
    assert len(questions) == 8
    assert all(f"| `{name}` |" in text for name in questions)
