"""The pages for operators name what is there, and what they say to type works."""

import asyncio
import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import cordboard.metrics  # noqa: F401 - it fills the registry
from checkout import ROOT
from cordboard.log.sqlite import SqliteLog
from log_harness import entry, read_values
from schemas.topics import Topic

OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
BACKUP = re.compile(r"^    (python3 -c .*backup.*)$", re.MULTILINE)


@pytest.mark.parametrize("page", [OPERATIONS, SECURITY])
def test_metrics_are_named_as_they_are(page: str) -> None:
    """Whoever copies a metric's name into an alarm gets one that exists."""
    known = {f"{family.name}_total" if family.type == "counter" else family.name for family in REGISTRY.collect()}
    named = set(re.findall(r"`(cordboard_[a-z_]+)", page))
    assert named
    assert named <= known


@pytest.mark.parametrize("page", [OPERATIONS, SECURITY])
def test_settings_are_named_as_they_are(page: str) -> None:
    """Every setting that is named is in the settings' own page."""
    settings = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(CORDBOARD_[A-Z_]+)", page))
    assert named
    assert {name for name in named if name not in settings} == set()


async def test_a_running_journal_is_backed_up_and_restored(tmp_path: Path) -> None:
    """The command on the page copies a journal that is being written; the copy has what was acknowledged before."""
    log = SqliteLog(tmp_path / "cordboard.db", 2)
    await log.publish(Topic.INBOX, (entry(0, b"before"),))
    (command,) = BACKUP.findall(OPERATIONS)
    copying = await asyncio.create_subprocess_exec("bash", "-c", command, cwd=tmp_path)
    assert await copying.wait() == 0
    await log.publish(Topic.INBOX, (entry(0, b"after"),))
    await log.aclose()

    restored = SqliteLog(tmp_path / "backup.db", 2)
    assert await read_values(restored, Topic.INBOX, 0, 1) == [b"before"]
    assert (await restored.bounds(Topic.INBOX))[0].end == 1
    await restored.aclose()
