"""Jars are fetched once, completely or not at all."""

import shutil
from pathlib import Path

import pytest

import kafka_jars as jars

pytestmark = [pytest.mark.kafka, pytest.mark.usefixtures("kafka_jars")]


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let this test fetch into a folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "cordboard"


def test_a_second_fetch_finds_the_first(empty_cache: Path) -> None:
    """What is there is not fetched again."""
    first = jars.fetch_jars()
    (first / "mark").touch()

    assert jars.fetch_jars() == first == empty_cache / f"kafka-{jars.KAFKA_VERSION}" / "lib"
    assert (first / "mark").exists()


def test_a_fetch_that_was_cut_short_is_done_again(empty_cache: Path) -> None:
    """Half a folder is not taken for a whole one."""
    first = jars.fetch_jars()
    count = len(list(first.iterdir()))
    shutil.move(first, first.with_name("lib.partial"))
    next(first.with_name("lib.partial").iterdir()).unlink()

    assert len(list(jars.fetch_jars().iterdir())) == count
    assert empty_cache.is_dir()


def test_a_version_that_does_not_exist_is_told(empty_cache: Path) -> None:
    """Maven's own words reach the reader, and nothing is left that looks like jars."""
    with pytest.raises(jars.KafkaUnavailableError, match=r"kafka_2\.13.*0\.0\.0"):
        jars.fetch_jars("0.0.0")

    assert not (empty_cache / "kafka-0.0.0" / "lib").exists()
