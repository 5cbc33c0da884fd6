"""Every case that fuzzing kept, seeds and former breakers alike, goes through its reader."""

from __future__ import annotations

import pytest

from benchmarks.fuzzed import READERS, cases_of

ALL = [(name, path) for name in READERS for path in cases_of(name)]


@pytest.mark.parametrize(("name", "path"), ALL, ids=[f"{name}-{path.name}" for name, path in ALL])
def test_a_kept_case_breaks_nothing(name, path):
    READERS[name](path.read_bytes())


@pytest.mark.parametrize("name", READERS)
def test_each_reader_has_a_case_that_it_can_read(name):
    """A fuzzer that begins with nothing finds nothing."""
    assert cases_of(name)
