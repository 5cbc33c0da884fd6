"""A frozen protocol keeps its bytes: an edit shows, the same version cannot be frozen twice, a new version can."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from salus.errors import ProtocolChanged, ProtocolFileError, ProtocolFrozen
from salus.programme.freezing import freeze, read_frozen_protocol
from salus.programme.usecase_folder import UseCaseFolder
from tests.small_usecase import PROTOCOL_YAML

NOON = datetime(2026, 6, 1, 12, 0, 0, 500, tzinfo=UTC)
LATER = NOON + timedelta(days=1)
EASIER = PROTOCOL_YAML.replace(">= 0.80", ">= 0.50")
SECOND = EASIER.replace("version: 1", "version: 2")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "protocol.yaml").write_text(PROTOCOL_YAML, encoding="utf-8")
    return UseCaseFolder(tmp_path)


def test_freezing_writes_version_digest_and_time_and_nothing_else(folder):
    before = folder.protocol.read_bytes()
    freeze(folder, NOON)
    assert json.loads(folder.frozen.read_text()) == {
        "version": 1,
        "digest": hashlib.sha256(PROTOCOL_YAML.encode()).hexdigest(),
        "frozen_at": "2026-06-01T12:00:00+00:00",
    }
    assert folder.protocol.read_bytes() == before
    assert sorted(path.name for path in folder.root.iterdir()) == ["protocol.frozen.json", "protocol.yaml"]
    assert read_frozen_protocol(folder).frozen_at == NOON.replace(microsecond=0)


def test_freezing_again_changes_nothing(folder):
    freeze(folder, NOON)
    before = folder.frozen.read_bytes()
    assert freeze(folder, LATER).frozen_at == NOON.replace(microsecond=0)
    assert folder.frozen.read_bytes() == before


def test_a_time_in_another_zone_is_kept_in_utc(folder):
    assert freeze(folder, datetime.fromisoformat("2026-06-01T14:00:00+02:00")).frozen_at == NOON.replace(
        microsecond=0
    )


def test_what_was_never_frozen_is_not_frozen(folder):
    assert not read_frozen_protocol(folder).frozen


def test_an_edit_after_freezing_shows(folder):
    freeze(folder, NOON)
    folder.protocol.write_text(EASIER, encoding="utf-8")
    with pytest.raises(ProtocolChanged) as refused:
        read_frozen_protocol(folder)
    assert "edited after version 1 was frozen on 2026-06-01" in refused.value.what
    assert "version: 2" in refused.value.fix


def test_even_one_space_is_an_edit(folder):
    freeze(folder, NOON)
    folder.protocol.write_text(PROTOCOL_YAML + " ", encoding="utf-8")
    with pytest.raises(ProtocolChanged):
        read_frozen_protocol(folder)


@pytest.mark.parametrize("text", [EASIER, EASIER.replace("version: 1", "version: 0001")])
def test_the_same_version_is_not_frozen_again_with_another_text(folder, text):
    freeze(folder, NOON)
    before = folder.frozen.read_bytes()
    folder.protocol.write_text(text, encoding="utf-8")
    with pytest.raises(ProtocolFrozen) as refused:
        freeze(folder, LATER)
    assert "version: 2" in refused.value.fix
    assert folder.frozen.read_bytes() == before


def test_a_new_version_is_a_draft_until_it_is_frozen_too(folder):
    freeze(folder, NOON)
    folder.protocol.write_text(SECOND, encoding="utf-8")
    assert not read_frozen_protocol(folder).frozen
    freeze(folder, LATER)
    assert read_frozen_protocol(folder).frozen_at == LATER.replace(microsecond=0)


def test_there_is_no_way_back_to_an_older_version(folder):
    folder.protocol.write_text(SECOND, encoding="utf-8")
    freeze(folder, NOON)
    folder.protocol.write_text(PROTOCOL_YAML, encoding="utf-8")
    with pytest.raises(ProtocolFrozen):
        freeze(folder, LATER)
    with pytest.raises(ProtocolChanged):
        read_frozen_protocol(folder)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"version": 1}', '{"version": 1, "digest": "x", "frozen_at": "2026-06-01T12:00:00"}'],
)
def test_a_broken_note_of_freezing_is_refused(folder, text):
    folder.frozen.write_text(text, encoding="utf-8")
    with pytest.raises(ProtocolFileError, match="cut short"):
        read_frozen_protocol(folder)
