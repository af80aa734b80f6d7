"""The file of the spool: whose it is, what it refuses, and whose records are in which lane."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from cordboard.errors import LogInUseError, LogUnavailableError, SettingsError
from cordboard.log.memory import MemoryLog
from ingress.spool_file import SpoolFile
from schemas.topics import Topic, partition_of
from spooling import AWAY, PartedLog, call_in, ids, spooling, webhook


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the spool is; its folder does not exist yet."""
    return tmp_path / "var" / "spool.db"


async def test_one_process_has_the_file(log: MemoryLog, path: Path) -> None:
    """A second one is told which process holds it and what to do."""
    load = "import sys; from pathlib import Path; from ingress.spool_file import SpoolFile"
    code = f"{load}; SpoolFile(Path(sys.argv[1]), 1, len)"
    async with spooling(log, path):
        with pytest.raises(LogInUseError, match="each process of the ingress needs its own"):
            SpoolFile(path, 1, len)
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert "LogInUseError" in done.stderr
    assert "CORDBOARD_SPOOL" in done.stderr


def test_another_database_is_refused(path: Path) -> None:
    """Somebody else's file is not touched."""
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(SettingsError, match="not a spool of Cordboard"):
        SpoolFile(path, 1, len)


def test_a_damaged_file_is_told(path: Path) -> None:
    """What is no database stops the start with a word on what to do; nothing is changed."""
    path.parent.mkdir()
    path.write_bytes(b"x" * 4096)
    with pytest.raises(LogUnavailableError, match=r"spool .* is damaged or not an SQLite file"):
        SpoolFile(path, 1, len)
    assert path.read_bytes() == b"x" * 4096


async def test_what_was_left_is_sorted_anew_for_another_log(path: Path) -> None:
    """Other partitions, as after a move to Kafka: every record goes where its call is now, in order."""
    journal = MemoryLog(4)
    journal.unavailable = AWAY
    calls = [call_in(partition) for partition in range(4)]
    async with spooling(journal, path) as made:
        for number in range(3):
            for call in calls:
                await made.recorder.record(webhook(number, call))
        assert set(made.spool.held) == {0}
    kafka = PartedLog(8)
    async with spooling(kafka, path) as made:
        assert sum(held.records for held in made.spool.held.values()) == 12
        await made.until_drained()
    for call in calls:
        assert [r for r in ids(kafka) if r.startswith(call)] == [f"{call}-{number}" for number in range(3)]
        partition = partition_of(call.encode(), 8)
        assert len([r for r in kafka.records(Topic.INBOX, partition) if r.key == call.encode()]) == 3
