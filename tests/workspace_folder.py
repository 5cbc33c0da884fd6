"""A small folder of use cases for the workspace's tests, with pages that a job would make and pictures beside them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import httpx

from salus.programme.freezing import freeze
from salus.programme.usecase_folder import UseCaseFolder
from salus.web.application import workspace
from salus.workflows.pages.sheet import Check, Figure, Section, Sheet, Table, write_sheet
from tests.small_usecase import FINDING, GOOD, give_evidence, small_usecase

FROZEN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 200" width="360" height="200">'
    "<style>.a{fill:#1f5aa6}.t{fill:#1a1d21;font:13px sans-serif}"
    "@media (prefers-color-scheme:dark){.a{fill:#86b6f4}.t{fill:#e8eaed}}</style>"
    '<rect class="a" x="30" y="60" width="60" height="110"/><rect class="a" x="110" y="20" width="60" height="150"/>'
    '<rect class="a" x="190" y="100" width="60" height="70"/><text class="t" x="30" y="190">an invented picture</text>'
    "</svg>"
)
PATIENTS = 3


def figure(file: str, label: str = "REAL") -> Figure:
    return Figure(
        file=file,
        caption="Rows in each month of follow-up.",
        alternative="Three bars. The second is the highest, the third the lowest.",
        width=360,
        height=200,
        label=label,
    )


def sheet(title: str, label: str = "REAL") -> Sheet:
    """A page with one of everything that a sheet can hold."""
    table = Table(
        name="codes",
        caption="Every code",
        heads=("code", "meaning", "rows", "patients", "missing values", "most often in one hour of a stay"),
        rows=(
            ("LOINC//2823-3", "potassium", "12,345", "1,000", "1.0 %", "3"),
            ("SEX//F", "female", "500", "500", "–", "1"),
        ),
        words_first=2,
    )
    return Sheet(
        title=title,
        lead="What the records hold, and what a person should look at.",
        made="2026-02-01T09:00:00+00:00",
        digest="ab" * 32,
        seed=None,
        sections=(
            Section(
                name="checks",
                heading="Checks",
                words=("Nothing is repaired.",),
                checks=(
                    Check(look=True, text="Two codes are twins."),
                    Check(look=False, text="No value without a unit."),
                ),
            ),
            Section(
                name="pictures",
                heading="Over time",
                mark="These people do not exist." if label == "SYNTHETIC" else "",
                figures=(figure("months.svg", label), figure("years.svg", label), figure("gone.svg", label)),
                tables=(table,),
                folded=(replace(table, name="codes-folded", caption="All codes, folded"),),
                notes=("Groups below five are withheld.",),
            ),
            Section(name="one", heading="One picture", figures=(figure("months.svg", label),)),
        ),
    )


def give_sheets(folder: UseCaseFolder) -> None:
    """Write the pages; each names one picture, gone.svg, that is not there."""
    pictures = {"months.svg": SVG, "years.svg": SVG}
    write_sheet(sheet("Data quality of an invented ward"), folder.quality, pictures=pictures)
    write_sheet(sheet("Synthetic beside real patients", "SYNTHETIC"), folder.comparison, pictures=pictures)
    rows = []
    for number in range(1, PATIENTS + 1):
        title = f"Woman, {50 + number} years"
        write_sheet(sheet(title, "SYNTHETIC"), folder.futures / f"{number:02d}", pictures=pictures)
        risks = [
            {"task": "death", "risk": 0.1234 * number, "lower": 0.1 * number, "upper": 0.15 * number},
            {"task": "discharge", "risk": 0.01, "lower": 0.004, "upper": 0.02},
        ]
        rows.append({"number": number, "title": title, "risks": risks})
    (folder.futures / "futures.json").write_text(json.dumps(rows), encoding="utf-8")


def workspace_folder(root: Path) -> Path:
    """Two use cases beside each other: one with everything, one that was only described."""
    whole = small_usecase(_made(root / "ward"))
    freeze(whole, FROZEN)
    withheld = replace(
        FINDING,
        metric="forecast.intercept",
        value=None,
        lower=None,
        upper=None,
        reason="too few events",
        patients=0,
    )
    by_code = [
        replace(
            FINDING,
            metric="fidelity.code_share",
            population=f"LOINC//{code}",
            events=None,
            comparison="synthetic",
        )
        for code in range(70)
    ]
    give_evidence(whole, [*GOOD, withheld, *by_code])
    give_sheets(whole)
    bare = small_usecase(_made(root / "bare"))
    text = bare.description.read_text(encoding="utf-8")
    bare.description.write_text(
        text.replace("Death on an invented ward", "Only described yet"), encoding="utf-8"
    )
    return root


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Visitor:
    """Asks the pages without a network, as a browser on this machine would."""

    def __init__(self, root: Path, *, clock: Callable[[], datetime] | None = None) -> None:
        self.app = workspace(root, clock=clock) if clock else workspace(root)

    def get(self, path: str, *, method: str = "GET", host: str = "127.0.0.1:8765") -> httpx.Response:
        return asyncio.run(self._ask(path, method, host))

    async def _ask(self, path: str, method: str, host: str) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8765") as client:
            return await client.request(method, path, headers={"host": host})


class Seen(HTMLParser):
    """What a page holds: its links, headings, names of places, pictures, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: list[str] = []
        self.headings: list[int] = []
        self.images: list[dict[str, str | None]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        if given.get("id"):
            self.places.append(str(given["id"]))
        if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self.headings.append(int(tag[1]))
        if tag == "img":
            self.images.append(given)

    def handle_data(self, data: str) -> None:
        self._words.append(data)

    @property
    def words(self) -> str:
        """All text, with single plain spaces."""
        return " ".join("".join(self._words).split())
