"""Numbers that others computed: the field's reference programs agree with ours, digit by digit.

The records are not ours to ship. Those of dcurves come with its package (tests/golden/known_answers.txt), those of
pROC with R's (Debian: r-cran-proc). Where a package is absent its test is skipped and says so.
"""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from salus.evidence.calibration import calibration_line
from salus.evidence.discrimination import auroc, brier, delong_test, delong_variance
from salus.evidence.net_benefit import net_benefit, net_benefit_of_all

ASAH = """
suppressMessages(library(pROC)); data(aSAH)
poor <- as.integer(aSAH$outcome == "Poor"); wfns <- as.integer(as.character(aSAH$wfns))
write.csv(data.frame(poor, wfns, s100b=aSAH$s100b, ndka=aSAH$ndka), stdout(), row.names=FALSE)
"""
TEST = """
suppressMessages(library(pROC)); d <- read.csv(file("stdin")); o <- options(digits=15)
one <- roc(d$outcome, d$one, direction="<", quiet=TRUE); two <- roc(d$outcome, d$two, direction="<", quiet=TRUE)
paired <- roc.test(one, two, method="delong", paired=TRUE)
line <- glm(outcome ~ qlogis(one), binomial, d, control=glm.control(epsilon=1e-14))
write.csv(data.frame(auc=auc(one)[1], variance=var(one, method="delong"), z=unname(paired$statistic),
  p=paired$p.value, intercept=coef(line)[1], slope=coef(line)[2]), stdout(), row.names=FALSE)
"""


def in_r(script: str, text: str = "") -> dict[str, np.ndarray]:
    """Run R on a table given as CSV and read the table it prints; skip where R or pROC is absent."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        pytest.skip("R is absent: install r-cran-proc to compare with pROC")
    done = subprocess.run(
        [rscript, "--vanilla", "-e", script], input=text, capture_output=True, text=True, check=False
    )
    if "no package called" in done.stderr:
        pytest.skip("R's package pROC is absent: install r-cran-proc")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


@pytest.fixture(scope="module")
def asah() -> dict[str, np.ndarray]:
    """113 patients with a subarachnoid haemorrhage (Turck et al. 2010), as pROC ships them."""
    return in_r(ASAH)


@pytest.mark.parametrize(
    ("marker", "value", "lower", "upper"),
    [
        ("s100b", 0.7313686, 0.6301182, 0.8326189),
        ("wfns", 0.8236789, 0.7485349, 0.8988228),
        ("ndka", 0.611958, 0.501245, 0.722671),
    ],
)
def test_proc_on_its_own_patients(asah, marker, value, lower, upper):
    found = float(auroc(asah["poor"], asah[marker])[0])
    half = 1.959963984540054 * np.sqrt(delong_variance(asah["poor"], asah[marker]))
    digits = 5e-8 if marker != "ndka" else 5e-7
    assert [found, found - half, found + half] == pytest.approx([value, lower, upper], abs=digits)


def test_proc_s_paired_delong_test_on_its_own_patients(asah):
    apart, z, p = delong_test(asah["poor"], asah["wfns"], other=asah["s100b"])
    assert apart == pytest.approx(0.8236789 - 0.7313686, abs=1e-7)
    assert z == pytest.approx(2.208984, abs=5e-7)
    assert p == pytest.approx(0.02717578, abs=5e-9)


def invented() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """2,000 outcomes, risks that are too extreme, and a second marker with ties."""
    rng = np.random.default_rng(20260101)
    log_odds = rng.normal(-0.7, 1.6, 2000)
    outcome = (rng.random(2000) < 1 / (1 + np.exp(-(0.65 * log_odds - 0.5)))).astype(float)
    return outcome, 1 / (1 + np.exp(-log_odds)), np.round(log_odds + rng.normal(0, 2, 2000))


def test_r_agrees_on_auroc_delong_and_the_calibration_line_of_invented_patients():
    """Slope and intercept of rms' val.prob are those of this logistic regression on the log odds."""
    outcome, one, two = invented()
    table = "\n".join(
        [
            "outcome,one,two",
            *(f"{o!r},{a!r},{b!r}" for o, a, b in zip(*map(list_of, (outcome, one, two)), strict=True)),
        ]
    )
    judge = {name: float(column[0]) for name, column in in_r(TEST, table).items()}
    apart, z, p = delong_test(outcome, one, other=two)
    slope, intercept = (float(each[0]) for each in calibration_line(outcome, one))
    assert float(auroc(outcome, one)[0]) == pytest.approx(judge["auc"], abs=1e-12)
    assert delong_variance(outcome, one) == pytest.approx(judge["variance"], rel=1e-9)
    assert apart > 0
    assert [z, p] == pytest.approx([judge["z"], judge["p"]], rel=1e-8)
    assert [slope, intercept] == pytest.approx([judge["slope"], judge["intercept"]], abs=1e-9)


def list_of(numbers: np.ndarray) -> list[float]:
    return [float(number) for number in numbers]


def test_scikit_learn_agrees_on_the_calibration_line_to_eight_digits():
    outcome, risk, _ = invented()
    log_odds = np.log(risk / (1 - risk))
    judge = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12).fit(log_odds[:, None], outcome)
    slope, intercept = calibration_line(outcome, risk)
    assert slope[0] == pytest.approx(judge.coef_[0, 0], abs=1e-8)
    assert intercept[0] == pytest.approx(judge.intercept_[0], abs=1e-8)
    assert slope[0] == pytest.approx(0.65, abs=0.1)
    assert brier(outcome, risk)[0] == pytest.approx(np.mean((outcome - risk) ** 2), abs=1e-12)


@pytest.fixture(scope="module")
def biopsies() -> tuple[np.ndarray, np.ndarray]:
    """Cancer or not and its predicted risk in the 750 patients that the package dcurves brings."""
    try:
        path = metadata.distribution("dcurves").locate_file("dcurves/data/df_binary.csv")
    except metadata.PackageNotFoundError:
        pytest.skip("the package dcurves is absent: see tests/golden/known_answers.txt")
    with Path(str(path)).open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    outcome = np.array([float(row["cancer"].lower() == "true") for row in rows])
    return outcome, np.array([float(row["cancerpredmarker"]) for row in rows])


@pytest.mark.parametrize(
    ("threshold", "forecast", "everybody"),
    [
        (0.10, 0.0874074, 0.0444444),
        (0.15, 0.0792157, -0.0117647),
        (0.20, 0.0673333, -0.0750000),
        (0.25, 0.0640000, -0.1466667),
    ],
)
def test_dcurves_on_its_own_patients(biopsies, threshold, forecast, everybody):
    outcome, risk = biopsies
    assert net_benefit(outcome, risk, threshold=threshold)[0] == pytest.approx(forecast, abs=5e-8)
    assert net_benefit_of_all(outcome, threshold=threshold)[0] == pytest.approx(everybody, abs=5e-8)


def test_auroc_of_the_same_patients(biopsies):
    assert auroc(*biopsies)[0] == pytest.approx(0.8606275, abs=5e-8)
