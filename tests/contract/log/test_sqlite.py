"""The journal alone: what its file survives, what it refuses and how it says so, and that it does not grow for ever."""

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cordboard.errors import AppendFailedError, LogInUseError, LogUnavailableError, SettingsError
from cordboard.log.sqlite import SqliteLog
from cordboard.log.sqlite_keeper import KeeperLimits
from log_harness import Notes, entry, eventually, poll_values, polled, read_records, read_values, replay_values
from schemas.topics import Topic

_DAY_MS = 86_400_000

_PUBLISH_FOR_EVER = """
import asyncio, sys
from cordboard.log.port import Entry
from cordboard.log.sqlite import SqliteLog
from schemas.topics import Topic

async def main():
    log = SqliteLog(sys.argv[1], 4)
    async def publisher(name):
        for n in range(1_000_000):
            await log.publish(Topic.INBOX, (Entry(name % 4, b"%d" % name, b"%d" % n),))
            print(name, n, flush=True)
    await asyncio.gather(*(publisher(name) for name in range(20)))

asyncio.run(main())
"""


@asynccontextmanager
async def opened(path: Path, partitions: int = 4, keeping: KeeperLimits | None = None) -> AsyncIterator[SqliteLog]:
    """A journal for as long as the context."""
    log = SqliteLog(path, partitions, keeping=keeping)
    try:
        yield log
    finally:
        await log.aclose()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is; its folder does not exist yet."""
    return tmp_path / "var" / "journal.db"


def copy_with_torn_wal(path: Path, folder: Path) -> Path:
    """A copy of an open journal whose last hundred bytes did not reach the disk."""
    torn = folder / "torn.db"
    torn.write_bytes(path.read_bytes())
    torn.with_name("torn.db-wal").write_bytes(path.with_name(path.name + "-wal").read_bytes()[:-100])
    return torn


async def test_everything_is_there_after_reopening(path: Path) -> None:
    """Records, offsets, committed positions and owner tokens outlive the process."""
    async with opened(path) as log:
        await log.publish(Topic.INBOX, [entry(1, b"a"), entry(1, b"b")])
        old = await log.claim(Topic.STATE, 1, "engine-1")
        await old.append([entry(1, b"state")])
        await log.save_committed("g", Topic.INBOX, {1: 2})

    async with opened(path) as log:
        assert await read_values(log, Topic.INBOX, 1, 2) == [b"a", b"b"]
        await log.publish(Topic.INBOX, (entry(1, b"c"),))
        assert await read_values(log, Topic.INBOX, 1, 1, start=2) == [b"c"]
        assert await log.load_committed("g", Topic.INBOX, 1) == 2
        new = await log.claim(Topic.STATE, 1, "engine-2")
        assert new.token > old.token
        assert await replay_values(new) == [b"state"]


async def test_what_was_acknowledged_survives_kill_9(path: Path) -> None:
    """A process killed in the middle of writing leaves every record that it had been acknowledged, once, in order."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PUBLISH_FOR_EVER, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    acknowledged: set[tuple[bytes, bytes]] = set()
    while len(acknowledged) < 2000:
        name, n = (await process.stdout.readline()).split()
        acknowledged.add((name, n))
    process.send_signal(signal.SIGKILL)
    rest = await process.stdout.read()
    acknowledged |= {(f[0], f[1]) for line in rest.splitlines() if line and len(f := line.split()) == 2}
    await process.wait()

    found: list[tuple[bytes, bytes]] = []
    async with opened(path) as log:
        for partition, bounds in (await log.bounds(Topic.INBOX)).items():
            records = await read_records(log, Topic.INBOX, partition, bounds.end)
            assert [r.offset for r in records] == list(range(bounds.end))
            found.extend((r.key or b"", r.value or b"") for r in records)
    last_line_may_be_cut = {max(acknowledged, key=lambda a: int(a[1]))}
    assert acknowledged - last_line_may_be_cut <= set(found)
    assert len(found) == len(set(found))


async def test_a_second_process_is_refused(path: Path) -> None:
    """Another process on the same journal is told which one holds it, and what to do instead."""
    code = "import sys; from cordboard.log.sqlite import SqliteLog; SqliteLog(sys.argv[1], 4)"
    async with opened(path) as log:
        await log.publish(Topic.INBOX, (entry(0, b"x"),))
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
        )

    assert done.returncode == 1
    assert "LogInUseError" in done.stderr
    assert f"in use by process {os.getpid()}" in done.stderr
    assert "CORDBOARD_LOG" in done.stderr


async def test_the_lock_is_free_again_after_closing(path: Path) -> None:
    """Within one process too, a journal is open once at a time."""
    async with opened(path):
        with pytest.raises(LogInUseError):
            SqliteLog(path, 4)
    async with opened(path) as log:
        assert await log.check() is None


async def test_the_number_of_partitions_is_fixed_for_life(path: Path) -> None:
    """A journal opened with another number of partitions is refused with both numbers, and unharmed."""
    async with opened(path, partitions=4) as log:
        await log.publish(Topic.INBOX, (entry(3, b"x"),))
    with pytest.raises(SettingsError, match=r"CORDBOARD_PARTITIONS is 16, but .* was made with 4"):
        SqliteLog(path, 16)
    async with opened(path, partitions=4) as log:
        assert await read_values(log, Topic.INBOX, 3, 1) == [b"x"]


def test_a_foreign_database_is_refused(path: Path) -> None:
    """Somebody else's SQLite file is not touched."""
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(SettingsError, match="not a journal of Cordboard"):
        SqliteLog(path, 4)


async def test_a_file_that_was_never_finished_is_refused(path: Path) -> None:
    """What an earlier version left when it was killed at its first start is named for what it is."""
    async with opened(path):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM meta")
    connection.close()
    with pytest.raises(SettingsError, match="was never finished"):
        SqliteLog(path, 4)


def test_a_damaged_file_is_reported_and_left_alone(path: Path) -> None:
    """What is not an SQLite file any more is an error with a way out, and nothing is overwritten."""
    path.parent.mkdir()
    path.write_bytes(b"not a database at all" * 400)
    with pytest.raises(LogUnavailableError, match="damaged"):
        SqliteLog(path, 4)
    assert path.read_bytes().startswith(b"not a database")


async def test_a_torn_wal_loses_nothing_before_the_tear(path: Path, tmp_path: Path) -> None:
    """A write-ahead log cut in the middle of its last transaction, as by power loss, leaves all earlier ones."""
    async with opened(path) as log:
        for n in range(20):
            await log.publish(Topic.INBOX, (entry(0, b"%d" % n),))
        torn = await asyncio.to_thread(copy_with_torn_wal, path, tmp_path)

    async with opened(torn) as log:
        assert (await log.bounds(Topic.INBOX))[0].end == 19
        assert await read_values(log, Topic.INBOX, 0, 19) == [b"%d" % n for n in range(19)]


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    """A path through a file says what is wrong with it."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(LogUnavailableError, match="cannot be opened"):
        SqliteLog(tmp_path / "file" / "journal.db", 4)


async def test_a_full_disk_is_an_error_until_there_is_room(path: Path) -> None:
    """No room: writers get LogUnavailableError, owners AppendFailedError, `check` the reason; then it goes on."""
    async with opened(path) as log:
        fenced = await log.claim(Topic.STATE, 0, "engine-1")
        await log.publish(Topic.INBOX, (entry(0, b"before"),))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        try:
            with pytest.raises(LogUnavailableError, match=r"disk is full|disk or the file system failed"):
                await log.publish(Topic.INBOX, (entry(0, b"x" * 500_000),))
            with pytest.raises(AppendFailedError):
                await fenced.append([entry(0, b"x" * 500_000)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await log.publish(Topic.INBOX, (entry(0, b"after"),))
        assert await log.check() is None
        assert await read_values(log, Topic.INBOX, 0, 2) == [b"before", b"after"]
        with pytest.raises(AppendFailedError):
            await fenced.append([entry(0, b"the one error rule")])


async def test_check_says_why_it_cannot_write(path: Path) -> None:
    """While writing fails, readiness has the reason, and recovers by itself."""
    async with opened(path) as log:
        await log.publish(Topic.INBOX, (entry(0, b"before"),))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
        try:
            with pytest.raises(LogUnavailableError):
                await log.publish(Topic.INBOX, (entry(0, b"x"),))
            reason = await log.check()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert reason is not None
        assert str(path) in reason
        assert await log.check() is None


async def test_far_behind_readers_are_served_from_the_file(path: Path) -> None:
    """More than memory keeps is still read completely and in order, by readers and by members of a group."""
    async with opened(path) as log:
        for start in range(0, 6000, 500):
            await log.publish(Topic.INBOX, [entry(2, b"%d." % n + b"x" * 1000) for n in range(start, start + 500)])
        assert log.read_hot(Topic.INBOX, 2, 0, 10) is None
        numbers = [int((v or b"").split(b".")[0]) for v in await read_values(log, Topic.INBOX, 2, 6000)]
        assert numbers == list(range(6000))

        notes = Notes()
        async with log.subscribe("g", Topic.INBOX, notes) as sub:
            async with polled(sub):
                await eventually(lambda: 2 in notes.held, "assigned")
            sub.seek(2, 0)
            sub.resume([2])
            values = (await poll_values(sub, 6000))[2]
        assert [int((v or b"").split(b".")[0]) for v in values] == list(range(6000))


class Clock:
    """Milliseconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000

    def __call__(self) -> int:
        """Now."""
        return self.now


async def test_compaction_keeps_the_newest_of_every_key(path: Path) -> None:
    """After compaction a successor replays the newest record of each key and old tombstones are gone."""
    clock = Clock()
    log = SqliteLog(path, 1, clock=clock, keeping=KeeperLimits(worth_records=1))
    fenced = await log.claim(Topic.STATE, 0, "engine-1")
    for n in range(50):
        await fenced.append([entry(0, b"%d" % n, key=b"call-%d" % (n % 5))])
    await fenced.append([entry(0, None, key=b"call-0")])
    clock.now += 61_000
    await log.keeper.keep()
    assert log.keeper.deleted == 46
    again = await log.claim(Topic.STATE, 0, "engine-2")
    assert await replay_values(again) == [b"46", b"47", b"48", b"49", None]

    clock.now += _DAY_MS + 1
    await again.append([entry(0, b"new", key=b"call-9")])
    clock.now += 61_000
    await log.keeper.keep()
    last = await log.claim(Topic.STATE, 0, "engine-3")
    assert await replay_values(last) == [b"46", b"47", b"48", b"49", b"new"]
    assert last.token == 54
    await log.aclose()


async def test_records_too_young_to_compact_stay(path: Path) -> None:
    """`min.compaction.lag.ms`: what was written within the last minute is not touched."""
    clock = Clock()
    log = SqliteLog(path, 1, clock=clock, keeping=KeeperLimits(worth_records=1))
    fenced = await log.claim(Topic.STATE, 0, "engine-1")
    await fenced.append([entry(0, b"%d" % n) for n in range(3)])
    await log.keeper.keep()

    assert log.keeper.deleted == 0
    await log.aclose()


async def test_retention_deletes_what_is_old_and_read(path: Path) -> None:
    """Records older than the topic's retention go, but not what a group has still to read; offsets are not reused."""
    clock = Clock()
    log = SqliteLog(path, 1, clock=clock)
    await log.publish(Topic.INBOX, [entry(0, b"%d" % n) for n in range(1200)])
    await log.publish(Topic.EVENTS, [entry(0, b"e")])
    await log.save_committed("engine", Topic.INBOX, {0: 1100})
    clock.now += 7 * _DAY_MS + 1
    await log.publish(Topic.EVENTS, [entry(0, b"young")])
    await log.keeper.keep()

    assert (await log.bounds(Topic.INBOX))[0].earliest == 1100
    assert (await log.bounds(Topic.EVENTS))[0].earliest == 1
    await log.save_committed("engine", Topic.INBOX, {0: 1200})
    await log.keeper.keep()
    await log.aclose()

    log = SqliteLog(path, 1, clock=clock)
    bounds = (await log.bounds(Topic.INBOX))[0]
    assert (bounds.earliest, bounds.end) == (1200, 1200)
    await log.publish(Topic.INBOX, [entry(0, b"next")])
    assert [(r.offset, r.value) for r in await read_records(log, Topic.INBOX, 0, 1)] == [(1200, b"next")]
    await log.aclose()


async def test_the_file_is_for_its_owner_only(path: Path) -> None:
    """The journal holds personal data: nobody else may read it."""
    async with opened(path) as log:
        await log.publish(Topic.INBOX, (entry(0, b"x"),))
        assert {os.stat(name).st_mode & 0o077 for name in (path, f"{path}-wal")} == {0}  # noqa: PTH116 not blocking long


async def test_people_can_look_inside(path: Path) -> None:
    """The view `log` shows topic, partition and offset in clear."""
    async with opened(path) as log:
        await log.publish(Topic.EVENTS, [entry(2, b"a"), entry(2, b"b")])
    connection = sqlite3.connect(path)
    rows = connection.execute('SELECT topic, "partition", "offset", value FROM log ORDER BY offset').fetchall()
    connection.close()
    assert rows == [("call.events", 2, 0, b"a"), ("call.events", 2, 1, b"b")]
