"""A voice tells one author from another within a day and a source, and nothing after that."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from huiyin_chassis.errors import FailedPrecondition
from huiyin_collector.voices import VoiceKeys

NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)  # in Shanghai


def test_the_same_author_has_one_voice_a_day_on_every_replica(tmp_path: Path) -> None:
    voices = VoiceKeys(tmp_path).voices("board", ["甲", "乙", "甲", ""], NOON)
    assert voices[0] == voices[2] != voices[1]
    assert [len(voice) for voice in voices] == [16, 16, 16, 0]
    assert VoiceKeys(tmp_path).voices("board", ["甲"], NOON + timedelta(hours=11)) == voices[:1]


def test_neither_the_next_day_nor_another_source_has_it(tmp_path: Path) -> None:
    keys = VoiceKeys(tmp_path)
    today = keys.voices("board", ["甲"], NOON)
    assert keys.voices("forum", ["甲"], NOON) != today
    assert keys.voices("board", ["甲"], NOON + timedelta(days=1)) != today


def test_replicas_that_start_at_once_agree_on_a_key(tmp_path: Path) -> None:
    found: list[bytes] = []
    ready = threading.Barrier(8)

    def speak() -> None:
        keys = VoiceKeys(tmp_path)
        ready.wait()
        found.extend(keys.voices("board", ["甲"], NOON))

    threads = [threading.Thread(target=speak) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_key_is_its_owners_and_is_destroyed_within_two_days_of_its_first_use(tmp_path: Path) -> None:
    keys = VoiceKeys(tmp_path)
    before = keys.voices("board", ["甲"], NOON)
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert keys.destroy_old(NOON + timedelta(hours=12)) == 0
    assert keys.destroy_old(NOON + timedelta(hours=13)) == 1
    assert list(tmp_path.iterdir()) == []
    assert keys.voices("board", ["甲"], NOON) != before


def test_a_key_is_overwritten_before_its_file_goes(tmp_path: Path) -> None:
    keys = VoiceKeys(tmp_path / "keys")
    keys.voices("board", ["甲"], NOON)
    (path,) = (tmp_path / "keys").iterdir()
    other = tmp_path / "link"
    other.hardlink_to(path)
    keys.destroy_old(NOON + timedelta(days=2))
    assert other.read_bytes() == bytes(32)


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FailedPrecondition, match="HUIYIN_VOICE_KEYS"):
        VoiceKeys(tmp_path / "file" / "keys")
