"""Every YAML snippet of the pages about gates is read, every key is explained, and the output shown is the real one."""

from __future__ import annotations

import re
import textwrap
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from salus.findings import METRICS
from salus.programme.freezing import freeze
from salus.programme.protocol import Bound, Severity
from salus.programme.read_protocol import read_protocol
from salus.programme.read_usecase import read_usecase
from salus.programme.usecase import State
from tests.shape.sources import ROOT
from tests.small_usecase import ATTACK, FINDING, SLOPE, give_evidence, salus, small_usecase

PAGES = {name: ROOT / "docs" / name for name in ("how-to/gate.md", "reference/protocol.md")}
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
AROUND = """\
gate: model->silent
protocol: {version: 1, tier: 2}
defaults: {max_age: P180D}
criteria:
"""


def blocks(page: str, language: str) -> list[tuple[str, str]]:
    found = BLOCK.findall(PAGES[page].read_text(encoding="utf-8"))
    return [(about.strip(), text) for name, about, text in found if name == language]


SNIPPETS = [(page, number, *block) for page in PAGES for number, block in enumerate(blocks(page, "yaml"))]


@pytest.mark.parametrize(
    ("page", "number", "kind", "text"), SNIPPETS, ids=[f"{page} {n} {kind}" for page, n, kind, _ in SNIPPETS]
)
def test_a_snippet_is_what_it_says_it_is(page, number, kind, text, tmp_path):
    path = tmp_path / "snippet.yaml"
    if kind == "criterion":
        text = AROUND + "  -" + textwrap.indent(text, "    ")[3:]
    path.write_text(text, encoding="utf-8")
    if kind == "usecase":
        assert read_usecase(path).groups
    else:
        assert kind in ("protocol", "criterion")
        assert read_protocol(path).criteria


def test_there_are_snippets_of_every_kind():
    assert {kind for _, _, kind, _ in SNIPPETS} == {"protocol", "criterion", "usecase"}


def test_the_reference_explains_every_key_that_is_read(tmp_path):
    """The keys are those that the readers know, found in their source."""
    page = PAGES["reference/protocol.md"].read_text(encoding="utf-8")
    known: set[str] = set()
    for name in ("read_protocol.py", "read_usecase.py"):
        source = (ROOT / "src/salus/programme" / name).read_text(encoding="utf-8")
        known |= set(
            re.findall(r'(?:text|one_of|section|sections|words|items|flag|pairs)\(\s*"(\w+)"', source)
        )
        known |= set(re.findall(r'(?:_word|_sentence|_some|read_count|read_age)\(\w+, "(\w+)"\)', source))
    missing = sorted(key for key in known if not re.search(rf"`(?:\w+\.)?{key}[`.]", page))
    assert not missing
    for words in (Bound, Severity, State):
        assert all(f"`{word.value}`" in page for word in words)


def test_the_reference_lists_every_metric():
    page = PAGES["reference/protocol.md"].read_text(encoding="utf-8")
    block = page.split("<!-- metrics -->")[1].split("<!-- /metrics -->")[0].strip()
    lines = ["| metric | meaning | better |", "| --- | --- | --- |"]
    for name, metric in METRICS.items():
        better = metric.better if isinstance(metric.better, str) else f"{metric.better:g}"
        lines.append(f"| `{name}` | {metric.meaning} | {better} |")
    wanted = "\n".join(lines)
    assert block == wanted, f"put this between the marks:\n{wanted}"


def test_the_output_in_the_how_to_is_the_real_one(tmp_path, capsys):
    folder = small_usecase(tmp_path / "ward")
    freeze(folder, datetime.now(UTC) - timedelta(hours=1))
    give_evidence(folder, [replace(FINDING, lower=0.79), SLOPE, ATTACK])
    salus("gate", folder.root)
    printed = capsys.readouterr().out.splitlines()
    shown = [line for line in printed if not line.startswith(("protocol  ", "evidence  "))]
    ((_, text),) = blocks("how-to/gate.md", "text")
    assert text.split() == " ".join(shown).split()
    assert [line for line in text.splitlines() if line] == [line for line in shown if line]
