"""Outcomes dated by whole days are placed where they cannot be seen too early, and every such step is counted."""

from datetime import datetime, timedelta

import polars as pl

from salus.progress import QUIET
from salus.timeline.store import read_timeline
from salus.workflows.ingest import ingest

YAML = """
name: stays
input: .
time: {zero: 2000-01-01T00:00:00, grain: minute}
tables:
  outcomes:
    files: [outcomes.csv]
    columns:
      stay: {subject: true}
      score: {code: SCORE, missing: [-1], at: end}
      days: {moment: end, unit: day, missing: [-1], earliest: "48:02", otherwise: "48:01"}
      survival: {moment: later, unit: day, missing_below: 0, after: end, code: MEDS_DEATH, unless: {died: 1}}
      died: {values: {0: HOME, 1: MEDS_DEATH}, at: end}
codes:
  SCORE: {description: Score, unit: "{score}"}
  HOME: {description: Discharge}
  MEDS_DEATH: {description: Death, role: death}
"""
OUTCOMES = """stay,score,days,survival,died
1,6,5,-1,0
2,8,2,-1,0
3,8,-1,-1,0
4,-1,9,7,1
5,8,4,100,0
6,8,10,0,0
7,8,4,-23,0
"""
ZERO = datetime(2000, 1, 1)


def at(days=0, minutes=0):
    return ZERO + timedelta(days=days, minutes=minutes)


def test_outcomes_by_hand(tmp_path):
    (tmp_path / "source.yaml").write_text(YAML)
    (tmp_path / "outcomes.csv").write_text(OUTCOMES)
    books = ingest(tmp_path / "source.yaml", tmp_path / "timeline", progress=QUIET)
    rows = read_timeline(tmp_path / "timeline").filter(pl.col("code") != "SCORE").sort("subject_id", "time")
    assert rows.select("subject_id", "time", "code").rows() == [
        (1, at(5), "HOME"),
        (2, at(2, 2), "HOME"),  # two days would be 48:00: moved to 48:02
        (3, at(2, 1), "HOME"),  # length not recorded: assumed 48:01
        (4, at(9), "MEDS_DEATH"),  # died in hospital: the stay's last day, whatever survival says
        (5, at(4), "HOME"),
        (5, at(100), "MEDS_DEATH"),
        (6, at(10), "HOME"),
        (6, at(10, 1), "MEDS_DEATH"),  # dead before discharge by the columns: a minute after it
        (7, at(4), "HOME"),  # -23 days is no date of death
    ]
    table = books.tables[0]
    assert table.moved_times == {"days": 1, "survival": 1}
    assert table.assumed_times == {"days": 1}
    assert table.not_recorded == {"score": 1, "days": 1, "survival": 4}


def test_scores_are_as_late_as_the_outcome(tmp_path):
    """A score of the whole stay must not be visible at 48 hours."""
    (tmp_path / "source.yaml").write_text(YAML)
    (tmp_path / "outcomes.csv").write_text(OUTCOMES)
    ingest(tmp_path / "source.yaml", tmp_path / "timeline", progress=QUIET)
    assert read_timeline(tmp_path / "timeline")["known_time"].min() > at(2)
