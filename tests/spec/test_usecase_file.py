"""A usecase.yaml says what it is for, for whom, and not for what; what it cannot mean is refused."""

from __future__ import annotations

import pytest

from salus.errors import UseCaseFileError, UseCaseValueError
from salus.programme.read_usecase import read_usecase
from salus.programme.usecase import Band, GroupRule, State
from tests.small_usecase import USECASE_YAML


@pytest.fixture
def read(tmp_path):
    def reader(text: str):
        path = tmp_path / "usecase.yaml"
        path.write_text(text, encoding="utf-8")
        return read_usecase(path)

    return reader


def test_a_use_case_is_read_as_written(read):
    found = read(USECASE_YAML)
    assert (found.name, found.kind, found.state, found.tier) == ("small-ward", "early-warning", State.IDEA, 2)
    assert found.owner is None
    assert found.card.not_for == ("care",)
    assert (found.inputs.required, found.inputs.used) == (("MEDS_BIRTH",), ())
    assert found.groups == (
        GroupRule(label="sex", codes=(("F", "SEX//F"), ("M", "SEX//M"))),
        GroupRule(label="age", cuts=(50, 65)),
    )


def test_ages_are_cut_into_bands_that_leave_nobody_out():
    assert GroupRule(label="age", cuts=(50, 65)).bands == (
        Band(name="under 50", low=None, high=50),
        Band(name="50 to 64", low=50, high=65),
        Band(name="65 or over", low=65, high=None),
    )
    assert GroupRule(label="sex", codes=(("F", "SEX//F"),)).bands == ()


def test_groups_are_optional(read):
    without = USECASE_YAML[: USECASE_YAML.index("groups:")] + "baseline: Nothing.\n"
    assert read(without).groups == ()


REFUSED = {
    "an unknown key": ("baseline:", "base_line: x\nbaseline:", "did you mean 'baseline'?"),
    "an unknown key of the card": ("  not_for:", "  not_four: x\n  not_for:", "did you mean 'not_for'?"),
    "an unknown state": ("state: idea", "state: ideas", "did you mean 'idea'?"),
    "tier 4": ("tier: 2", "tier: 4", "use one of: 1, 2, 3"),
    "a kind that is no word": ("kind: early-warning", "kind: Early warning", "'kind' cannot be"),
    "a name that is no word": ("name: small-ward", "name: ../ward", "'name' cannot be"),
    "no purpose": ("purpose: To have something to test with.", 'purpose: " "', "says nothing"),
    "good for everything": ("not_for: [care]", "not_for: []", "'not_for' is empty"),
    "nothing it is not for": ("  not_for: [care]\n", "", "'not_for' is missing"),
    "no input": ("required: [MEDS_BIRTH]", "required: []", "'required' is empty"),
    "groups without a rule": (
        "    codes: {F: SEX//F, M: SEX//M}",
        "    codes: {}\n    cut_at: [3]",
        "either",
    ),
    "ages that fall": ("[50, 65]", "[65, 50]", "must rise"),
    "ages that stand": ("[50, 65]", "[50, 50]", "must rise"),
    "no age": ("[50, 65]", "[]", "must rise"),
    "half a year": ("[50, 65]", "[50.5]", "whole years"),
    "coded ages": ("cut_at: [50, 65]", "codes: {old: AGE//OLD}", "they are cut, not coded"),
    "cut sexes": ("codes: {F: SEX//F, M: SEX//M}", "cut_at: [50]", "only age can be cut"),
    "one code for two groups": ("M: SEX//M", "M: SEX//F", "two groups of 'sex'"),
}


@pytest.mark.parametrize("way", REFUSED)
def test_a_use_case_that_cannot_be_meant_is_refused(read, way):
    old, new, said = REFUSED[way]
    assert old in USECASE_YAML
    with pytest.raises(UseCaseValueError) as refused:
        read(USECASE_YAML.replace(old, new, 1))
    assert said in str(refused.value)
    assert "csv_source" not in refused.value.fix


def test_a_file_that_is_not_yaml_or_not_there_is_refused(read, tmp_path):
    with pytest.raises(UseCaseFileError):
        read("name: [")
    with pytest.raises(UseCaseFileError):
        read_usecase(tmp_path / "usecases.yaml")
