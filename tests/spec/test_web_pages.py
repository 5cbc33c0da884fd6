"""The workspace, page by page, as somebody reads it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from salus.errors import NothingToServe
from salus.findings import read_bundle
from salus.programme.usecase_folder import UseCaseFolder
from salus.web.interval_drawing import Measured, Span, draw
from salus.web.library import check_library, find_usecases
from tests.workspace_folder import PATIENTS, Seen, Visitor, workspace_folder

MOST_MILLISECONDS, MOST_BYTES = 200.0, 300_000


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return workspace_folder(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def visitor(root: Path) -> Visitor:
    return Visitor(root)


def read(visitor: Visitor, path: str) -> Seen:
    answer = visitor.get(path)
    assert answer.status_code == 200, path
    return Seen(answer.text)


def every_page(visitor: Visitor) -> dict[str, Seen]:
    """Every page that links lead to from the first one."""
    found: dict[str, Seen] = {}
    waiting = ["/"]
    while waiting:
        path = waiting.pop()
        if path in found or path.endswith(".json"):
            continue
        found[path] = read(visitor, path)
        waiting += [link.split("#")[0] or path for link in found[path].links]
    return found


@pytest.fixture(scope="module")
def pages(visitor: Visitor) -> dict[str, Seen]:
    return every_page(visitor)


# --- what is where


def test_the_first_page_shows_each_use_case_with_its_state_verdict_and_date(visitor: Visitor):
    words = read(visitor, "/").words
    assert "Death on an invented ward Early warning · state: idea · ward" in words
    assert "PASS gate model → silent" in words
    assert f"Evidence measured {datetime.now(UTC):%Y-%m-%d}" in words
    assert "NOT ESTIMABLE" in words  # the other one, of which nothing was measured
    assert "Evidence: none yet" in words


def test_a_folder_of_one_use_case_shows_that_one(root: Path):
    assert list(find_usecases(root / "ward")) == ["ward"]
    assert list(find_usecases(root)) == ["bare", "ward"]


def test_a_folder_without_a_use_case_says_what_to_do(tmp_path: Path):
    with pytest.raises(NothingToServe, match="holds no use case") as refused:
        check_library(tmp_path)
    assert "salus demo" in refused.value.fix
    with pytest.raises(NothingToServe, match="is no folder"):
        check_library(tmp_path / "gone")


def test_every_link_leads_somewhere(visitor: Visitor, pages: dict[str, Seen]):
    for path, seen in pages.items():
        for link in seen.links:
            target, _, place = link.partition("#")
            if target.endswith(".json"):
                assert visitor.get(target).status_code == 200, f"{path} -> {link}"
            elif place:
                assert place in (pages[target] if target else seen).places, f"{path} -> {link}"
            else:
                assert target in pages, f"{path} -> {link}"


def test_all_kinds_of_page_were_reached(pages: dict[str, Seen]):
    for end in ("", "/quality", "/comparison", "/forecasts", "/forecasts/1", "/evidence", "/evidence/1"):
        assert f"/usecases/ward{end}" in pages
    assert sum(path.startswith("/usecases/ward/forecasts/") for path in pages) == PATIENTS
    assert sum(bool(re.fullmatch(r"/usecases/ward/evidence/\d+", path)) for path in pages) == 75


# --- the use case and its gate


def test_the_page_of_a_use_case_says_what_it_is_for_and_not_for(visitor: Visitor):
    words = read(visitor, "/usecases/ward").words
    for part in (
        "To have something to test with.",
        "For whom",
        "Not for",
        "care",
        "Everything about it is invented.",
    ):
        assert part in words
    assert "Nobody yet. Without an owner no gate can be signed." in words
    assert "Everybody's risk is the same." in words


def test_the_road_says_where_the_use_case_stands(visitor: Visitor):
    steps = [
        given
        for tag, given in read(visitor, "/usecases/ward").tags
        if tag == "li" and "aria-current" in given
    ]
    assert [given["class"] for given in steps] == ["here"]
    assert "Idea it is here" in read(visitor, "/usecases/ward").words


def test_a_criterion_shows_value_bounds_threshold_verdict_and_reason(visitor: Visitor):
    words = read(visitor, "/usecases/ward").words
    assert (
        "Share of pairs that the forecast tells apart death, held-out patients discrimination-death PASS "
        "0.850 0.810 to 0.890 0.80 2,000 patients, 200 events lower bound ≥ 0.80 Safety: a patient may come to harm "
        "The lower bound 0.810 clears ≥ 0.80." in words
    )


def test_the_number_of_a_criterion_links_to_the_finding_it_rests_on(root: Path, visitor: Visitor):
    findings = read_bundle(root / "ward" / "evidence").findings
    number = 1 + [finding.metric for finding in findings].index("forecast.slope")
    seen = read(visitor, "/usecases/ward")
    links = [
        given
        for tag, given in seen.tags
        if tag == "a" and "1.000: finding" in (given.get("aria-label") or "")
    ]
    assert [given["href"] for given in links] == [f"/usecases/ward/evidence/{number}"]
    assert (
        "slope-death: the bounds 0.900 and 1.100 both lie in [0.8, 1.25]"
        in read(visitor, str(links[0]["href"])).words
    )


def test_a_verdict_is_a_shape_and_a_word(visitor: Visitor):
    """Nothing is said by colour alone."""
    text = visitor.get("/usecases/ward").text
    row = text[text.index('id="criterion-slope-death"') :]
    assert row.index("sign-pass") < row.index("<span>PASS</span>") < row.index("</tr>")


def test_a_protocol_that_is_not_frozen_is_said_to_open_nothing(visitor: Visitor):
    words = read(visitor, "/usecases/bare").words
    assert "Exploratory: this can open nothing. Version 1 of the protocol is not frozen" in words
    assert "forecast.auroc was not measured." in words


def test_evidence_expires_while_the_workspace_runs(root: Path):
    """The same files, read a year later: the gate is judged at the time of each request."""
    late = Visitor(root, clock=lambda: datetime(2099, 1, 1, tzinfo=UTC))
    assert "It expired on" in late.get("/usecases/ward").text
    assert "NOT ESTIMABLE" in read(late, "/").words


def test_what_is_measured_again_is_shown_at_once(tmp_path: Path):
    root = workspace_folder(tmp_path)
    visitor = Visitor(root)
    assert "Evidence measured" in visitor.get("/").text
    for path in (root / "ward" / "evidence").iterdir():
        path.unlink()
    assert "Evidence measured" not in visitor.get("/").text


# --- drawings


def test_a_drawing_puts_everything_where_it_belongs():
    """From 0 to 1 over 220 pixels with 8 free at both ends, a quarter is at 8 + 204 / 4 = 59."""
    drawn = draw(Measured(0.5, 0.25, 0.75), Span(0.0, 1.0), low=(0.25, "0.25"))
    assert (drawn.value, drawn.lower, drawn.upper) == (110.0, 59.0, 161.0)
    assert drawn.passes == (59.0, 161.0)
    assert [(limit.at, limit.side) for limit in drawn.limits] == [(59.0, 1)]


def test_what_passes_below_a_limit_is_left_of_it():
    drawn = draw(Measured(0.5), Span(0.0, 1.0), high=(0.75, "0.75"))
    assert drawn.passes == (0.0, 161.0)
    assert (drawn.lower, drawn.upper, drawn.limits[0].side) == (None, None, -1)


def test_two_labels_do_not_lie_over_each_other():
    drawn = draw(Measured(0.5), Span(0.0, 1.0), low=(0.49, "0.490"), high=(0.51, "0.510"))
    first, second = drawn.limits
    assert second.label_at - first.label_at > 5 * 6.6


# --- sheets


@pytest.mark.parametrize("end", ["quality", "comparison", "forecasts/2"])
def test_a_sheet_shows_words_tables_checks_and_pictures(visitor: Visitor, end: str):
    seen = read(visitor, f"/usecases/ward/{end}")
    for part in (
        "Nothing is repaired.",
        "! Look Two codes are twins.",
        "In order",
        "12,345",
        "Groups below five are withheld.",
    ):
        assert part in seen.words
    pictures = [image for image in seen.images if "/pictures/" in str(image["src"])]
    assert {image["src"] for image in pictures} == {
        f"/usecases/ward/{end}/pictures/months.svg",
        f"/usecases/ward/{end}/pictures/years.svg",
    }
    for image in pictures:
        assert (image["width"], image["height"], image["loading"]) == ("360", "200", "lazy")
        assert str(image["alt"]).startswith("Three bars.")
        assert visitor.get(str(image["src"])).headers["content-type"] == "image/svg+xml"


def test_real_and_synthetic_are_labelled(visitor: Visitor):
    assert "REAL Rows in each month" in read(visitor, "/usecases/ward/quality").words
    assert "SYNTHETIC" not in read(visitor, "/usecases/ward/quality").words
    for end in ("comparison", "forecasts/1", "forecasts"):
        assert "SYNTHETIC" in read(visitor, f"/usecases/ward/{end}").words


def test_a_page_that_was_not_made_says_how_to_make_it(visitor: Visitor):
    for end in ("quality", "comparison", "forecasts"):
        words = read(visitor, f"/usecases/bare/{end}").words
        assert "There is nothing to show yet" in words
        assert "salus demo" in words


@pytest.mark.parametrize("end", ["forecasts", "forecasts/1"])
def test_a_forecast_says_not_for_clinical_use_and_how_the_gate_stands(visitor: Visitor, end: str):
    words = read(visitor, f"/usecases/ward/{end}").words
    assert "Not for clinical use. No number here may decide about a patient." in words
    assert "The gate from model to silent says: PASS (nobody has signed yet)" in words


def test_a_risk_stands_with_its_interval(visitor: Visitor):
    words = read(visitor, "/usecases/ward/forecasts").words
    assert "Woman, 51 years 12.3 % 10.0 to 15.0 % 1.0 % 0.4 to 2.0 %" in words


# --- evidence


def test_findings_can_be_narrowed_by_kind(visitor: Visitor):
    words = read(visitor, "/usecases/ward/evidence").words
    assert "All 75 Privacy 2 Forecasts 3 Fidelity of each code 70" in words
    assert "Findings, page 1 of 2 (75 in all)" in words
    assert "2 findings" in read(visitor, "/usecases/ward/evidence?kind=privacy").words


def test_a_finding_says_everything_it_holds(visitor: Visitor):
    words = read(visitor, "/usecases/ward/evidence/1").words
    for part in (
        "0.850 0.810 to 0.890 95 % interval",
        "On whom death, held-out patients",
        "Patients 2,000",
        "Events 200",
        "Better higher is better",
        "Method invented",
        "Grade A: computed here, can be computed again",
        "Seed none",
        "How it was judged PASS discrimination-death: the lower bound 0.810 clears ≥ 0.80.",
    ):
        assert part in words, part


def test_a_finding_without_a_value_says_why(root: Path, visitor: Visitor):
    findings = read_bundle(root / "ward" / "evidence").findings
    number = 1 + [finding.metric for finding in findings].index("forecast.intercept")
    words = read(visitor, f"/usecases/ward/evidence/{number}").words
    assert "not estimable Too few events" in words
    assert "Patients fewer than 5" in words
    assert "No criterion of the protocol asks for it." in words


def test_the_raw_bundle_finding_and_judgement_are_json(root: Path, visitor: Visitor):
    bundle = read_bundle(root / "ward" / "evidence")
    whole = json.loads(visitor.get("/usecases/ward/evidence.json").text)
    assert whole["digest"] == bundle.digest
    assert len(whole["findings"]) == len(bundle.findings)
    one = json.loads(visitor.get("/usecases/ward/evidence/1.json").text)
    assert (one["metric"], one["value"], one["grade"]) == ("forecast.auroc", 0.85, "A")
    gate = json.loads(visitor.get("/usecases/ward/gate.json").text)
    assert (gate["verdict"], gate["bundle"]) == ("PASS", bundle.digest)


# --- every page


def test_every_page_is_built_as_a_page_should_be(pages: dict[str, Seen]):
    for path, seen in pages.items():
        tags = [tag for tag, _ in seen.tags]
        assert seen.headings[0] == 1, path
        assert seen.headings.count(1) == 1, path
        assert all(
            after - before <= 1 for before, after in zip(seen.headings, seen.headings[1:], strict=False)
        ), path
        assert [tags.count(each) for each in ("main", "header", "footer", "title")] == [
            1,
            1,
            1,
            2 if False else 1,
        ], path
        assert seen.links[0] == "#content", path
        assert tags.count("table") == tags.count("caption"), path
        assert len(seen.places) == len(set(seen.places)), path
        assert all("alt" in image for image in seen.images), path
        assert not {"script", "iframe", "form", "object"} & set(tags), path
        inline = [
            given
            for _, given in seen.tags
            if "style" in given or any(name.startswith("on") for name in given)
        ]
        assert not inline, path
        assert "Not for clinical use" in seen.words, path


def test_every_page_answers_soon_and_is_small(visitor: Visitor, pages: dict[str, Seen]):
    for path in pages:
        answer = visitor.get(path)
        said = re.fullmatch(r"total;dur=([\d.]+)", answer.headers["server-timing"])
        assert said and float(said[1]) < MOST_MILLISECONDS, path
        assert len(answer.content) + len(visitor.get("/static/style.css").content) < MOST_BYTES, path


def test_every_answer_tells_the_browser_what_to_refuse(visitor: Visitor, pages: dict[str, Seen]):
    for path in [*pages, "/usecases/nobody", "/usecases/ward/gate.json", "/static/mark.svg"]:
        headers = visitor.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "no-referrer", path
        if not path.startswith("/static"):
            assert "unsafe" not in headers["content-security-policy"], path
            assert headers["cache-control"] == "no-store", path


def test_the_style_sheet_is_kept_under_the_name_of_its_version(visitor: Visitor):
    link = next(
        given["href"]
        for tag, given in read(visitor, "/").tags
        if tag == "link" and given["rel"] == "stylesheet"
    )
    assert "immutable" in visitor.get(str(link)).headers["cache-control"]
    assert visitor.get("/static/style.css?v=older").headers["cache-control"] == "no-cache"


def test_a_question_for_the_heads_only_is_answered(visitor: Visitor):
    answer = visitor.get("/usecases/ward", method="HEAD")
    assert answer.status_code == 200


def test_serving_loads_nothing_heavy():
    """The workspace starts at once: no torch, no drawing library, no gradient boosting."""
    script = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from salus.web.serving import serve\n"
        "from salus.web.application import workspace\n"
        "workspace(Path('nowhere'))\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    asked = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(json.loads(asked.stdout))
    assert not loaded & {"torch", "altair", "vl_convert", "lightgbm", "sklearn", "scipy"}


def test_the_invented_ward_as_trained_and_measured_is_shown(ward_usecase: UseCaseFolder):
    """A whole use case, from records to evidence, as the other tests share it."""
    visitor = Visitor(ward_usecase.root, clock=lambda: datetime(2026, 3, 1, 9, tzinfo=UTC))
    seen = read(visitor, f"/usecases/{ward_usecase.name}")
    for name in ("fidelity-overall", "privacy-likelihood", "discrimination-death_30d"):
        assert f"criterion-{name}" in seen.places
    for path in every_page(visitor):
        assert float(visitor.get(path).headers["server-timing"].split("=")[1]) < MOST_MILLISECONDS, path
