"""Pages say whom they are for, their numbers and maps are generated, and nothing private is in them."""

from __future__ import annotations

import inspect
import re

import pytest

from benchmarks.blocks import block
from benchmarks.error_table import error_table
from benchmarks.folder_map import folder_map, layers
from benchmarks.rows import read_rows
from benchmarks.tables import BLOCKS, table
from salus import errors
from tests.shape.sources import ROOT, SALUS, project_files

KINDS = ("tutorial", "how-to", "explanation", "reference")
PAGES_OF_DOCS = sorted(page for kind in KINDS for page in (ROOT / "docs" / kind).glob("*.md"))
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
TEXT = (".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".json", ".cfg", ".html", ".css", "")
ERRORS = sorted(
    {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.SalusError)},
    key=lambda kind: kind.code,
)


def test_the_map_in_the_readme_is_the_one_made_from_the_docstrings():
    """Otherwise run `make docs`."""
    assert block((ROOT / "README.md").read_text(), "map") == folder_map()


def test_the_numbers_in_the_docs_are_those_of_the_last_benchmark():
    """Otherwise run `make docs`."""
    for page, name, rows in BLOCKS:
        assert block(page.read_text(), name) == table(read_rows(rows)).strip(), (page.name, name)


def test_every_error_has_a_code_of_its_own():
    codes = [kind.code for kind in ERRORS]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"SAL-\d{3}", code) for code in codes)


def test_the_table_of_errors_is_the_one_made_from_the_classes():
    """Otherwise run `make docs`."""
    page = (ROOT / "docs" / "reference" / "errors.md").read_text()
    assert block(page, "errors") == error_table()


def test_every_folder_is_in_the_glossary():
    words = (ROOT / "GLOSSARY.md").read_text()
    missing = [name for name in layers() if (SALUS / name).is_dir() and f"**{name}**" not in words]
    assert not missing


@pytest.mark.parametrize("page", PAGES_OF_DOCS, ids=lambda page: page.name)
def test_a_page_states_its_audience_and_its_type(page):
    head = page.read_text().splitlines()[:4]
    assert any(line.startswith("*For ") and f"Type: {page.parent.name}" in line for line in head)


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.name)
def test_a_decision_is_one_page_and_names_its_drawbacks(page):
    text = page.read_text()
    assert "## Drawbacks" in text
    assert len(text.splitlines()) <= 60


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in [path for path in project_files() if path.suffix == ".md"]:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if (
                "://" not in target
                and not target.startswith("mailto:")
                and not (page.parent / target).exists()
            ):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken, "\n".join(broken)


def test_no_file_names_a_folder_of_somebody_s_machine():
    private = re.compile(r"(?<![\w.])/(?:home|root|Users|work)/\w+")
    found = []
    for path in project_files():
        if path.suffix in TEXT and path.name != "LICENSE":
            found += [
                f"{path.relative_to(ROOT)}: {hit}"
                for hit in private.findall(path.read_text(encoding="utf-8"))
            ]
    assert not found, "\n".join(found)


def test_no_data_are_committed():
    """Real records stay outside; only small golden files may be here."""
    heavy = [path for path in project_files() if path.stat().st_size > 300_000]
    records = [
        path for path in project_files() if path.suffix in (".parquet", ".gz", ".zip", ".safetensors", ".pt")
    ]
    assert not heavy + records


def test_the_changelog_says_what_changes_for_patients_and_staff():
    assert "What changes for patients and staff" in (ROOT / "CHANGELOG.md").read_text()
