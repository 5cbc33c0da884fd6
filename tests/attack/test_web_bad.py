"""The workspace when a file is broken, an address is wrong, or somebody tries to get at what is not theirs."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import httpx
import pytest

from salus.web.guard import Guard
from salus.workflows.pages.sheet import read_sheet
from tests.workspace_folder import Seen, Visitor, workspace_folder

CANARY = "987.65"
WARD = "/usecases/ward"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return workspace_folder(tmp_path_factory.mktemp("made"))


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A workspace that a test may break."""
    shutil.copytree(made, tmp_path / "usecases")
    return tmp_path / "usecases"


def words(root: Path, path: str, status: int = 200) -> str:
    answer = Visitor(root).get(path)
    assert answer.status_code == status, path
    return Seen(answer.text).words


# --- broken files: the page says so, and everything else is still there


def test_a_changed_bundle_closes_the_gate_and_loses_nothing_else(root: Path):
    file = root / "ward" / "evidence" / "findings.json"
    file.write_text(file.read_text().replace("0.85", CANARY, 1))
    said = words(root, WARD)
    assert (
        "The gate cannot be asked The evidence cannot be trusted: 'findings.json' was changed or cut short."
        in said
    )
    assert "Measure again with salus appraise" in said
    assert "lower bound ≥ 0.80" in said  # what was asked is still shown
    assert "To have something to test with." in said
    assert CANARY not in said
    assert "SAL-453" in words(root, f"{WARD}/evidence")
    assert "No answer" in words(root, "/")
    assert "Nothing is repaired." in words(root, f"{WARD}/quality")
    assert "The gate cannot be asked." in words(root, f"{WARD}/forecasts")
    for end in ("evidence.json", "gate.json", "evidence/1.json"):
        answer = Visitor(root).get(f"{WARD}/{end}")
        assert answer.status_code == 409
        assert json.loads(answer.text)["error"]["code"] == "SAL-453"
    assert "SAL-453" in words(root, f"{WARD}/evidence/1", status=409)


def test_a_protocol_edited_after_freezing_is_said_to_be_so(root: Path):
    file = root / "ward" / "protocol.yaml"
    file.write_text(file.read_text().replace(">= 0.80", ">= 0.50"))
    said = words(root, WARD)
    assert "The protocol was edited after version 1 was frozen" in said
    assert "Put the frozen text back" in said
    assert "SAL-604" in said
    assert "75 findings" in said  # the evidence itself is whole
    assert "Share of pairs" in words(root, f"{WARD}/evidence")


@pytest.mark.parametrize("content", [b"naam: x\n", b"\xff\xfe\x00", b"", b"- [", b"name: ward\nname: ward\n"])
def test_a_description_that_cannot_be_read_leaves_the_evidence(root: Path, content: bytes):
    (root / "ward" / "usecase.yaml").write_bytes(content)
    assert "The description of this use case cannot be read" in words(root, WARD)
    assert "Its description cannot be read" in words(root, "/")
    assert "Only described yet" in words(root, "/")
    assert "75 in all" in words(root, f"{WARD}/evidence")


def test_evidence_about_another_model_is_refused_and_still_readable(root: Path):
    (root / "ward" / "model" / "model.json").write_text('{"files": {}}')
    assert "SAL-605" in words(root, WARD)
    assert "The gate cannot be asked" in words(root, f"{WARD}/evidence/1")


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"form": 2}', '{"form": 1, "sections": 3}', '{"form": 1, "sections": [{}]}']
)
def test_a_broken_sheet_is_said_to_be_so(root: Path, content: str):
    (root / "ward" / "quality" / "sheet.json").write_text(content)
    said = words(root, f"{WARD}/quality")
    assert "This page cannot be shown" in said
    assert "SAL-703" in said
    assert Visitor(root).get(f"{WARD}/quality/pictures/months.svg").status_code == 404


@pytest.mark.parametrize(
    "content",
    ["", "{}x", '[{"number": 1}]', "[3]", '{"a": 1}', '[{"number": "x", "title": "", "risks": []}]'],
)
def test_a_broken_list_of_forecasts_is_said_to_be_so(root: Path, content: str):
    (root / "ward" / "futures" / "futures.json").write_text(content)
    assert "SAL-703" in words(root, f"{WARD}/forecasts")
    assert Visitor(root).get(f"{WARD}/forecasts/1").status_code == 404


def test_a_risk_that_is_missing_is_not_zero(root: Path):
    rows = [
        {
            "number": 1,
            "title": "one",
            "risks": [{"task": "death", "risk": None, "lower": None, "upper": None}],
        }
    ]
    (root / "ward" / "futures" / "futures.json").write_text(json.dumps(rows))
    assert "one not estimable" in words(root, f"{WARD}/forecasts")


def test_a_missing_picture_leaves_its_words(root: Path):
    (root / "ward" / "quality" / "months.svg").unlink()
    said = words(root, f"{WARD}/quality")
    assert (
        "The picture is missing. The file months.svg does not lie beside its page. It would show: Three bars."
        in said
    )
    assert Visitor(root).get(f"{WARD}/quality/pictures/months.svg").status_code == 404


def test_use_cases_that_vanish_while_it_runs_are_gone(root: Path):
    visitor = Visitor(root)
    shutil.rmtree(root / "ward")
    assert visitor.get(WARD).status_code == 404
    shutil.rmtree(root)
    assert "There is no use case here" in Seen(visitor.get("/").text).words


# --- wrong addresses


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/usecases/wrad", "There is no use case 'wrad' (did you mean 'ward'?)."),
        (f"{WARD}/qualty", "'ward' has no page 'qualty' (did you mean 'quality'?)."),
        (f"{WARD}/forecasts/99", "'ward' has no such page."),
        (f"{WARD}/evidence/0", "There is no finding '0'; they are numbered 1 to 75."),
        (f"{WARD}/evidence/999999999999999999999", "they are numbered 1 to 75"),
        (f"{WARD}/evidence/²", "There is no finding '²'"),
        (
            f"{WARD}/evidence?kind=privac",
            "There are no findings of the kind 'privac' (did you mean 'privacy'?).",
        ),
        (f"{WARD}/evidence?page=99", "There is no page '99' of this list; it has 2."),
        (f"{WARD}/evidence?page=-1", "There is no page '-1'"),
        ("/usecases/bare/evidence/1", "Nothing has been measured yet."),
        ("/admin", "There is no such page."),
    ],
)
def test_a_wrong_address_says_what_is_not_there_and_what_is_near(made: Path, path: str, said: str):
    text = words(made, path, status=404)
    assert said in text
    assert "All use cases" in text


def test_what_the_address_says_is_never_taken_for_a_page(made: Path):
    for path in ("/<script>alert(1)</script>", "/usecases/<img src=x>", f"{WARD}/evidence?kind=<b>x</b>"):
        answer = Visitor(made).get(path)
        assert answer.status_code == 404
        assert not {"<script", "<img src=x", "<b>"} & {
            part for part in ("<script", "<img src=x", "<b>") if part in answer.text
        }


def test_a_use_case_with_a_strange_name_has_an_address(root: Path):
    (root / "ward").rename(root / "ward & <b>one 100%")
    visitor = Visitor(root)
    links = [link for link in Seen(visitor.get("/").text).links if link.startswith("/usecases/ward")]
    assert visitor.get(links[0]).status_code == 200
    assert "<b>one" not in visitor.get(links[0]).text
    assert visitor.get(f"{links[0]}/quality").status_code == 200


def test_what_a_job_wrote_is_words_and_never_code(root: Path):
    sheet = root / "ward" / "quality" / "sheet.json"
    sheet.write_text(sheet.read_text().replace("Nothing is repaired.", "<script>alert(1)</script>"))
    text = Visitor(root).get(f"{WARD}/quality").text
    assert "<script" not in text
    assert "&lt;script&gt;" in text


# --- what is not a page's


@pytest.mark.parametrize(
    "end",
    [
        "quality/pictures/sheet.json",
        "quality/pictures/..%2fusecase.yaml",
        "quality/pictures/..%2f..%2fbare%2fusecase.yaml",
        "quality/pictures/../usecase.yaml",
        "quality/pictures/%2e%2e/usecase.yaml",
        "quality/pictures/..%5cusecase.yaml",
        "quality/pictures/months.svg%00.json",
        "quality/pictures/",
        "forecasts/..%2fquality/pictures/months.svg",
        "forecasts/01/pictures/months.svg",
        "usecase.yaml",
        "timeline/books.json",
        "model/weights.safetensors",
    ],
)
def test_nothing_but_pages_and_their_pictures_is_given_out(made: Path, end: str):
    assert Visitor(made).get(f"{WARD}/{end}").status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/static/..%2fapplication.py", "/static/frame.html.j2", "/usecases/..%2f..%2fetc"],
)
def test_no_other_file_is_given_out(made: Path, path: str):
    assert Visitor(made).get(path).status_code == 404


@pytest.mark.parametrize(
    "named", ["../usecase.yaml", "../../outside.svg", "/etc/passwd", "link.svg", "sheet.json"]
)
def test_a_sheet_cannot_name_a_file_outside_its_folder(root: Path, named: str):
    """Whoever writes a sheet decides which pictures it has; they must be pictures, and its own."""
    (root.parent / "outside.svg").write_text("<svg/>")
    (root / "ward" / "quality" / "link.svg").symlink_to(root.parent / "outside.svg")
    path = root / "ward" / "quality" / "sheet.json"
    path.write_text(path.read_text().replace("months.svg", named))
    assert named in {
        figure.file for section in read_sheet(path.parent).sections for figure in section.figures
    }
    assert "The picture is missing." in words(root, f"{WARD}/quality")
    quoted = named.replace("/", "%2f")
    assert Visitor(root).get(f"{WARD}/quality/pictures/{quoted}").status_code == 404


def test_a_picture_can_run_and_load_nothing(made: Path):
    policy = Visitor(made).get(f"{WARD}/quality/pictures/months.svg").headers["content-security-policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; sandbox"


@pytest.mark.parametrize(
    "host",
    ["salus.example", "127.0.0.1.example", "localhost.example:80", "10.0.0.1", "", "127.0.0.1:80@x", "[::2]"],
)
def test_another_host_s_name_is_refused(made: Path, host: str):
    """A page of another site that points its own name at this machine gets nothing."""
    answer = Visitor(made).get("/", host=host)
    assert answer.status_code == 400
    assert "Death on an invented ward" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost", "LOCALHOST:1", "[::1]:8765"])
def test_the_names_of_this_machine_are_answered(made: Path, host: str):
    assert Visitor(made).get("/", host=host).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "STRANGE"])
def test_nothing_can_be_sent(made: Path, method: str):
    answer = Visitor(made).get(WARD, method=method)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_an_error_nobody_expected_shows_its_kind_and_place_only():
    """Its message could carry a patient's value."""

    async def broken(scope: object, receive: object, send: object) -> None:
        raise KeyError(f"potassium {CANARY}")

    said: list[str] = []
    app = Guard(broken, say=said.append)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get("/usecases/ward")

    answer = asyncio.run(ask())
    assert answer.status_code == 500
    assert "SAL-599" in answer.text
    assert "KeyError" in answer.text
    assert CANARY not in answer.text + "".join(said)
    assert "potassium" not in answer.text + "".join(said)
    assert "/usecases" not in "".join(said)
    assert answer.headers["cache-control"] == "no-store"
