"""What is asked of each table, as rows (peers.json) and as the side-by-side tables of the docs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.contestants import CONTESTANTS
from benchmarks.peers.results import FOLDER, Result, looked_up, median_run, results_of
from benchmarks.rows import RESULTS, Row, is_met, read_rows
from benchmarks.tables import number

COMMAND = "make bench-peers"
OURS, ANCHOR = "salus", "mostlyai-engine"
ABSENT = f"Not measured yet: run `{COMMAND}`."
REFERENCES = {"ceiling": "*real patients nobody trained on*", "floor": "*each column shuffled*"}
TITLES = {
    "flat": "First encounters, one row a patient (22 columns)",
    "sequences": "Whole patients, two encounters or more (3 + 19 columns)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One number of a result: where it stands, which way is better, and what was wanted of us."""

    name: str
    path: str
    direction: str
    target: float
    unit: str = "1"


def _utility(name: str, task: str, target: float) -> Asked:
    says = f"train on synthetic, test on real: {name}, AUROC"
    return Asked(name=says, path=f"judged.tstr.{task}.value", direction="max", target=target)


ACCURACY = "mostlyai-qa overall accuracy"
ASKED = {
    "flat": (
        Asked(name=ACCURACY, path="judged.qa.overall", direction="max", target=0.975),
        Asked(name="two-sample AUROC", path="judged.c2st.value", direction="min", target=0.57),
        _utility("readmission within 30 days", "readmitted_30d", 0.630),
        _utility("diabetes drugs given", "diabetes_med", 0.690),
        _utility("stay over 4 days", "stay_over_4", 0.843),
        Asked(name="fit", path="times.fit.cpu_seconds", direction="min", target=186, unit="CPU-s"),
        Asked(name="sampling", path="rows_per_cpu_second", direction="max", target=18_000, unit="rows/CPU-s"),
    ),
    "sequences": (
        Asked(name=ACCURACY, path="judged.qa.overall", direction="max", target=0.960),
        Asked(name="mostlyai-qa coherence", path="judged.qa.coherence", direction="max", target=0.972),
        _utility("readmission after the last encounter", "readmitted_30d_at_last", 0.70),
        Asked(name="fit", path="times.fit.cpu_seconds", direction="min", target=295, unit="CPU-s"),
    ),
}
PRIVATE = {
    ("salus-private", "flat"): (
        _utility("readmission within 30 days", "readmitted_30d", 0.58),
        _utility("stay over 4 days", "stay_over_4", 0.74),
    ),
}
"""What is asked at ε = 3 for a patient, instead of the above."""
STAYS_OURS, STAYS_PEER = "salus-stays", "meds-eic-ar"
STAYS = (
    ("held-out nats a token of MEDS-EIC-AR", "measured.nats_per_token", "min", 1.0, "nats"),
    ("held-out nats a charted fact, values in tenths", "measured.nats_per_fact", "min", 1.0, "nats"),
    ("stays trained", "measured.train_stays_per_cpu_second", "max", 10.0, "stays/CPU-s"),
)
"""What is asked of the ICU stays: name, where it stands, which way is better, how many times the peer's, unit."""
TASKS = {
    "flat": {"readmitted_30d": "readmission", "diabetes_med": "diabetesMed", "stay_over_4": "stay > 4 days"},
    "sequences": {
        "readmitted_30d_at_last": "readmission at last",
        "next_drugs_over_16": "next: drugs > 16",
        "next_stay_over_4": "next: stay > 4 days",
    },
}


def names(kind: str) -> list[str]:
    """Everybody of whom a kind of table is asked, the references last."""
    return [who.name for who in CONTESTANTS if kind in who.kinds] + ["floor", "ceiling"]


def rows(folder: Path = FOLDER) -> list[Row]:
    """Every number asked of a table, ours and everybody else's, judged by the same target."""
    tables = [row for kind in ASKED for name in names(kind) for row in _rows_of(name, kind, folder)]
    return [*tables, *_rows_of_stays(folder)]


def all_rows() -> list[Row]:
    """These rows, then those that other measurements beside peers left as ``benchmarks/results/peers-NAME.json``."""
    others = sorted(path.stem for path in RESULTS.glob("peers-*.json"))
    return [*rows(), *(row for name in others for row in read_rows(name))]


def _rows_of(name: str, kind: str, folder: Path) -> Iterator[Row]:
    found = [_with_rates(result) for result in results_of(name, kind, folder)]
    anchors = [_with_rates(result) for result in results_of(ANCHOR, kind, folder)]
    if not found and name != OURS:
        return
    for asked in PRIVATE.get((name, kind), ASKED[kind]):
        chosen, anchor = median_run(found, asked.path), median_run(anchors, asked.path)
        if chosen is None and name != OURS:
            continue
        beside = looked_up(anchor, asked.path) if anchor and name == OURS else None
        yield _row(f"clinic {kind}, {name}: {asked.name}", asked, chosen or {}, beside=beside)


def _rows_of_stays(folder: Path) -> Iterator[Row]:
    """Ours beside the peer that models the same stays: no worse a likelihood, ten times the speed."""
    ours, theirs = results_of(STAYS_OURS, "icu", folder), results_of(STAYS_PEER, "icu", folder)
    for name, path, direction, times, unit in STAYS:
        peer = looked_up(theirs[0], path) if theirs else None
        if peer is not None:
            asked = Asked(name=name, path=path, direction=direction, target=times * peer, unit=unit)
            yield _row(f"icu, salus: {name}", asked, median_run(ours, path) or {}, beside=peer)


def _row(name: str, asked: Asked, result: Result, *, beside: float | None) -> Row:
    value, interval = looked_up(result, asked.path), asked.path.removesuffix(".value")
    has_interval = interval != asked.path
    parts = [part for part in (result.get("times") or {}).values() if "cpu_seconds" in part]
    return Row(
        name=name,
        value=value,
        lower=looked_up(result, f"{interval}.lower") if has_interval else None,
        upper=looked_up(result, f"{interval}.upper") if has_interval else None,
        unit=asked.unit,
        direction=asked.direction,
        target=asked.target,
        met=is_met(value, asked.direction, asked.target),
        baseline=beside,
        command=COMMAND,
        seed=result.get("seed", 0),
        commit=result.get("commit", ""),
        hardware=result.get("hardware", ""),
        seconds=round(sum(part["seconds"] for part in parts), 2),
        cpu_seconds=round(sum(part["cpu_seconds"] for part in parts), 2),
    )


def _with_rates(result: Result) -> Result:
    seconds, made = looked_up(result, "times.sample.cpu_seconds"), looked_up(result, "judged.size.rows")
    return {**result, "rows_per_cpu_second": made / seconds if seconds and made else None}


def side_by_side(folder: Path = FOLDER) -> str:
    """The tables of the docs: everybody who was run, between the floor and the ceiling."""
    parts = [*(_table(kind, folder) for kind in ASKED), _stays(folder)]
    return "\n\n".join(part for part in parts if part) or ABSENT


def _table(kind: str, folder: Path) -> str:
    order = ["ceiling", *names(kind)[:-1]]
    lines = [line for name in order if (line := _line(name, kind, folder))]
    if not lines:
        return ""
    accuracy = "QA accuracy (1 / 2 / 3 columns)" + (", coherence" if kind == "sequences" else "")
    heads = [
        "generator",
        "runs",
        "fit, CPU-s",
        "sampling, CPU-s",
        accuracy,
        "two-sample AUROC (plain LightGBM)",
    ]
    heads += [*TASKS[kind].values(), "QA discriminator", "DCR share"]
    top = [
        f"**{TITLES[kind]}**",
        "",
        "| " + " | ".join(heads) + " |",
        "| " + " | ".join(["---"] * len(heads)) + " |",
    ]
    return "\n".join([*top, *lines])


MEASURED = {
    "nats a token": "nats_per_token",
    "nats a charted fact": "nats_per_fact",
    "nats a stay": "nats_per_stay",
    "stays trained per CPU-s": "train_stays_per_cpu_second",
    "tokens trained per CPU-s": "train_tokens_per_cpu_second",
    "tokens generated per CPU-s": "generated_tokens_per_cpu_second",
}


def _stays(folder: Path) -> str:
    """Who models the ICU stays, by likelihood of held-out stays and speed: nobody there makes whole patients."""
    lines = []
    for who in [who for who in CONTESTANTS if "icu" in who.kinds]:
        if found := results_of(who.name, "icu", folder):
            cells = [f"{who.name} {found[0]['version']}", _shown(found, "times.fit.cpu_seconds")]
            cells += [_shown(found, f"measured.{path}") for path in MEASURED.values()]
            lines.append("| " + " | ".join(cells) + " |")
    heads = ["model of ICU stays", "fit, CPU-s", *MEASURED]
    top = ["| " + " | ".join(heads) + " |", "| " + " | ".join(["---"] * len(heads)) + " |"]
    return "\n".join(["**ICU stays, 48 hours**", "", *top, *lines]) if lines else ""


def _line(name: str, kind: str, folder: Path) -> str:
    found = results_of(name, kind, folder)
    if not found:
        return ""
    says = REFERENCES.get(name) or f"{name} {found[0].get('version') or ''}".strip()
    qa = [f"judged.qa.{part}" for part in ("overall", "univariate", "bivariate", "trivariate")]
    whole, *marginals = (_shown(found, path) for path in qa)
    accuracy = f"{whole} ({' / '.join(marginals)})"
    if kind == "sequences":
        accuracy += f", {_shown(found, 'judged.qa.coherence')}"
    apart = f"{_shown(found, 'judged.c2st.value')} ({_shown(found, 'judged.c2st_plain.value')})"
    cells = [
        says,
        str(len(found)),
        _shown(found, "times.fit.cpu_seconds"),
        _shown(found, "times.sample.cpu_seconds"),
        accuracy,
        apart,
        *[_shown(found, f"judged.tstr.{task}.value") for task in TASKS[kind]],
        _shown(found, "judged.qa.discriminator_auc"),
        _shown(found, "judged.qa.dcr_share"),
    ]
    return "| " + " | ".join(cells) + " |"


def _shown(found: list[Result], path: str) -> str:
    chosen = median_run(found, path)
    return number(looked_up(chosen, path)) if chosen else "–"
