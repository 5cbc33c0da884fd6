"""A protocol is read strictly: what nobody could measure, meet or mean is refused with what would work."""

from __future__ import annotations

import hashlib

import pytest

from salus.errors import MetricUnknown, ProtocolFileError, ProtocolValueError
from salus.findings import Grade
from salus.formats.strict_yaml import Section
from salus.programme.protocol import Bound, Severity
from salus.programme.read_limits import read_age, read_threshold
from salus.programme.read_protocol import read_protocol
from tests.drawn import rows
from tests.small_usecase import PROTOCOL_YAML

ONE = """\
gate: model->silent
protocol: {version: 3, tier: 3}
exploratory: >-
  The test set
  was looked at.
defaults: {max_age: P180D, min_grade: B}
criteria:
  - id: discrimination
    evidence: forecast
    metric: forecast.auroc
    thresholds: {death: ">= 0.80", stroke: ">= 0.70"}
    groups: [sex F, age 50 to 64]
    bound: lower
    level: 0.9
    min_events: 100
    severity: safety
  - id: attack
    evidence: privacy
    metric: privacy.membership_auc
    bound: upper
    threshold: "<=   0.55"
    max_age: P1Y
    min_grade: A
    severity: release
stop_rules:
  - {metric: serious_incident, bound: point, threshold: ">= 1", action: suspend}
signoff: {quorum: 2, roles: [clinical_lead, statistician, privacy], author_excluded: true}
not_judged: [any other hospital]
"""


@pytest.fixture
def read(tmp_path):
    def reader(text: str):
        path = tmp_path / "protocol.yaml"
        path.write_text(text, encoding="utf-8")
        return read_protocol(path)

    return reader


def test_a_protocol_is_read_as_written(read):
    protocol = read(ONE)
    assert (protocol.gate, protocol.version, protocol.tier, protocol.test_set) == (
        "model->silent",
        3,
        3,
        "held_out",
    )
    assert protocol.exploratory == "The test set was looked at."
    assert not protocol.frozen
    assert protocol.digest == hashlib.sha256(ONE.encode()).hexdigest()
    assert protocol.sign_off.roles == ("clinical_lead", "statistician", "privacy")
    assert protocol.stop_rules[0].action == "suspend"
    assert protocol.not_judged == ("any other hospital",)


def test_one_entry_stands_for_each_outcome_and_group(read):
    *each, attack = read(ONE).criteria
    assert [(one.id, one.population, one.threshold.low) for one in each] == [
        ("discrimination-death-sex-F", "held_out: death; sex F", 0.8),
        ("discrimination-death-age-50-to-64", "held_out: death; age 50 to 64", 0.8),
        ("discrimination-stroke-sex-F", "held_out: stroke; sex F", 0.7),
        ("discrimination-stroke-age-50-to-64", "held_out: stroke; age 50 to 64", 0.7),
    ]
    assert {(one.bound, one.level, one.min_events, one.min_grade, one.max_age.days) for one in each} == {
        (Bound.LOWER, 0.9, 100, Grade.B, 180)
    }
    assert (attack.population, attack.threshold.text, attack.max_age.months) == ("", "<= 0.55", 12)
    assert (attack.level, attack.min_grade, attack.severity) == (0.95, Grade.A, Severity.RELEASE)


THRESHOLDS = """
    text              | low  | high | strict
    >= 0.85           | 0.85 |      | no
    <= 0.55           |      | 0.55 | no
    > 0               | 0    |      | yes
    < 1               |      | 1    | yes
    >=-.03            | -.03 |      | no
    in [0.8, 1.25]    | 0.8  | 1.25 | no
    in [-0.25,+0.25]  | -.25 | .25  | no
"""


def section(**content) -> Section:
    return Section(content, file="test")


@pytest.mark.parametrize("row", rows(THRESHOLDS), ids=lambda row: row["text"])
def test_thresholds_are_read(row):
    found = read_threshold(section(), row["text"])
    limits = tuple(float(row[name]) if name in row else None for name in ("low", "high"))
    assert (found.low, found.high, found.strict) == (*limits, row["strict"] == "yes")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0.85",
        "=> 0.85",
        "== 1",
        "≥ 0.85",
        ">= 85 %",
        "in [1, 1]",
        "in [2, 1]",
        ">= nan",
        ">= 1e9",
        ">= x",
    ],
)
def test_thresholds_that_cannot_be_read_are_refused_with_examples(read, text):
    with pytest.raises(ProtocolValueError) as refused:
        read(PROTOCOL_YAML.replace(">= 0.80", text))
    assert '">= 0.85", "<= 0.55"' in refused.value.fix


AGES = """
    text  | months | days
    P180D | 0      | 180
    P26W  | 0      | 182
    P6M   | 6      | 0
    P1Y   | 12     | 0
    P1Y6M | 18     | 0
"""


@pytest.mark.parametrize("row", rows(AGES), ids=lambda row: row["text"])
def test_ages_are_read(row):
    found = read_age(section(max_age=row["text"]), "max_age")
    assert (found.months, found.days) == (int(row["months"]), int(row["days"]))


@pytest.mark.parametrize("text", ["180 days", "180", "P", "P0D", "PT24H", "-P1D", "P6m", "P1D1Y", "P999Y"])
def test_ages_that_cannot_be_read_are_refused_with_examples(read, text):
    with pytest.raises(ProtocolValueError) as refused:
        read(PROTOCOL_YAML.replace("P180D", text))
    assert "P180D" in refused.value.fix


REFUSED = {
    "nothing": (PROTOCOL_YAML, "", "the file must be a list of"),
    "no criteria": (PROTOCOL_YAML.split("criteria:")[1], " []\n", "no criterion"),
    "an unknown key": ("min_events: 100", "min_event: 100", "did you mean 'min_events'?"),
    "an unknown key of the head": ("tier: 2,", "tier: 2, tear: 3,", "did you mean 'tier'?"),
    "frozen in the file": ("tier: 2,", "tier: 2, frozen: true,", "'frozen' is not said here"),
    "no version": ("version: 1, ", "", "needs a version"),
    "half a version": ("version: 1", "version: 1.5", "whole number"),
    "a version that is a word": ("version: 1", "version: first", "must be a number"),
    "tier 4": ("tier: 2", "tier: 4", "'tier' cannot be '4'"),
    "an unknown gate": ("model->silent", "model->quiet", "names 'quiet', which is no state"),
    "a gate without an arrow": ("model->silent", "silent", "'gate' cannot be 'silent'"),
    "evidence of another kind": (
        "evidence: forecast",
        "evidence: privacy",
        "is evidence of the kind 'forecast'",
    ),
    "an unknown bound": ("bound: lower", "bound: lowest", "did you mean 'lower'?"),
    "a bound that says nothing about at least": ("bound: lower", "bound: upper", "does not fit"),
    "a bound that says half about between": ("bound: both", "bound: lower", "does not fit"),
    "a threshold that asks for the worse": (
        'bound: upper\n    threshold: "<= 0.55"',
        'bound: lower\n    threshold: ">= 0.55"',
        "asks for the worse: lower is better for privacy.membership_auc",
    ),
    "a slope that may not be 1": ("in [0.8, 1.25]", "in [1.1, 1.25]", "shuts out 1"),
    "a threshold without quotes": ('">= 0.80"', "[0.8]", "'threshold' must be a text"),
    "no threshold": ('    threshold: ">= 0.80"\n', "", "'threshold' is missing"),
    "two thresholds": ("outcomes: [death]", 'thresholds: {death: ">= 0.8"}', "contradict each other"),
    "two populations": ("outcomes: [death]", "outcomes: [death]\n    population: all", "twice"),
    "no outcome": ("outcomes: [death]", "outcomes: []", "names no outcome"),
    "groups of nobody": ("comparison: attack", "groups: [sex F]", "'groups' of which population?"),
    "two of one name": ("id: slope", "id: discrimination", "two criteria are called 'discrimination-death'"),
    "a name with a space": ("id: slope", "id: the slope", "'id' cannot be 'the slope'"),
    "no severity": ("    severity: release\n", "", "'severity' is missing"),
    "an unknown severity": ("severity: release", "severity: high", "use one of: safety, release, value"),
    "an unknown grade": ("min_grade: A", "min_grade: E", "use one of: A, B, C, D"),
    "a level of 95": ("level: 0.95", "level: 95", "between 0.5 and 1"),
    "a number of events below zero": ("min_events: 100", "min_events: -1", "0 or more"),
    "evidence that never expires": (", max_age: P180D", "", "how old may the evidence be?"),
    "safety on a claim at tier 3": ("tier: 2,", "tier: 3,", "cannot rest on evidence of grade C"),
    "nobody signs": (
        "severity: release\n",
        "severity: release\nsignoff: {quorum: 1, roles: []}\n",
        "the quorum",
    ),
    "an unknown action": (
        "severity: release\n",
        "severity: release\nstop_rules: [{metric: x, bound: point, threshold: '> 1', action: stop}]\n",
        "'action' cannot be 'stop'",
    ),
}


@pytest.mark.parametrize("way", REFUSED)
def test_a_protocol_that_cannot_be_meant_is_refused(read, way):
    old, new, said = REFUSED[way]
    text = PROTOCOL_YAML.replace("min_grade: A", "min_grade: C") if "tier 3" in way else PROTOCOL_YAML
    assert old in text
    with pytest.raises(ProtocolValueError) as refused:
        read(text.replace(old, new, 1))
    assert said in str(refused.value)
    assert "csv_source" not in refused.value.fix


@pytest.mark.parametrize(
    ("metric", "near"),
    [
        ("forecast.aurocc", "forecast.auroc"),
        ("forecast.calibration_slope", None),
        ("auroc", "forecast.auroc"),
    ],
)
def test_a_metric_that_nobody_measures_is_refused_with_the_nearest(read, metric, near):
    with pytest.raises(MetricUnknown) as refused:
        read(PROTOCOL_YAML.replace("metric: forecast.auroc", f"metric: {metric}"))
    assert f"nobody measures '{metric}'" in refused.value.what
    assert near is None or f"did you mean '{near}'?" in refused.value.what
    assert "forecast.slope" in refused.value.fix
    assert refused.value.where == "protocol.yaml, criteria[0]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gate: [", "not valid YAML"),
        (PROTOCOL_YAML.replace('">= 0.80"', ">= 0.80"), "put thresholds in quotes"),
        (
            PROTOCOL_YAML.replace("min_events: 100", "min_events: 100\n    min_events: 1"),
            "'min_events' twice",
        ),
    ],
)
def test_a_file_that_is_not_yaml_is_refused(read, text, said):
    with pytest.raises(ProtocolFileError) as refused:
        read(text)
    assert said in str(refused.value)


def test_a_protocol_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ProtocolFileError, match=r"no file 'protocol\.yaml'"):
        read_protocol(tmp_path / "protocol.yaml")
