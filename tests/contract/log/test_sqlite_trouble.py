"""The journal on bad ground: no room, no right to write, a torn write-ahead log, several who want it at once.

What a test cannot do as it is (mount a small or read-only file system, be an ordinary user) it does in a namespace of
its own (`unshare`), or is skipped where the machine has none.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cordboard.errors import AppendFailedError, LogUnavailableError
from cordboard.log.sqlite import SqliteLog
from log_harness import entry, read_values
from schemas.topics import Topic

_OPEN = "import sys; from cordboard.log.sqlite import SqliteLog; SqliteLog(sys.argv[1], 4)"
_FILL = """
import asyncio, json, sys
from pathlib import Path
from cordboard.errors import LogError
from cordboard.log.port import Entry
from cordboard.log.sqlite import SqliteLog
from schemas.topics import Topic

async def main(folder):
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(500_000))
    told, said = 0, ""
    log = SqliteLog(folder / "journal.db", 4)
    try:
        while not said:
            await log.publish(Topic.INBOX, (Entry(0, b"call", b"%d." % told + b"x" * 3000),))
            told += 1
    except LogError as error:
        said = str(error)
    ballast.unlink()
    well = await log.check()
    await log.publish(Topic.INBOX, (Entry(0, b"call", b"%d." % told),))
    await log.aclose()
    log = SqliteLog(folder / "journal.db", 4)
    end = log.bounds_of(Topic.INBOX, 0).end
    found = [int(r.value.split(b".")[0]) for r in await log.read_range(Topic.INBOX, 0, (0, end), 10_000)]
    await log.aclose()
    print(json.dumps({"told": told, "said": said, "well": well, "found": found}))

asyncio.run(main(Path(sys.argv[1])))
"""
_WAIT_AND_OPEN = """
import sys
from cordboard.errors import LogInUseError
from cordboard.log.sqlite import SqliteLog
print("ready", flush=True)
sys.stdin.readline()
try:
    SqliteLog(sys.argv[1], 4)
except LogInUseError:
    print("refused", flush=True)
else:
    print("opened", flush=True)
sys.stdin.readline()
"""


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteLog]:
    """A journal for as long as the context."""
    log = SqliteLog(path, 4)
    try:
        yield log
    finally:
        await log.aclose()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "journal.db"


def in_namespace(*command: str, mounts: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command as somebody who owns our files and has no other rights; or as one who may mount."""
    unshare = ["unshare", "--user", *(["--map-root-user", "--mount"] if mounts else [])]
    try:
        able = subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        able = False
    if not able:
        pytest.skip("needs user namespaces (unshare)")
    return subprocess.run([*unshare, *command], capture_output=True, text=True, check=False)


async def resize(log: SqliteLog, pages: int) -> None:
    """Let the file have so many pages at most, or as many as it has when that is less: a disk that is full."""
    await log.execute([(f"PRAGMA max_page_count = {pages}", ())])


async def test_a_full_disk_loses_nothing_and_passes(path: Path) -> None:
    """Full: every writer hears it, nothing acknowledged goes, readers read; with room again it goes on by itself."""
    told: list[bytes] = []
    async with opened(path) as log:
        fenced = await log.claim(Topic.STATE, 0, "engine")
        await resize(log, 1)
        with pytest.raises(LogUnavailableError, match=r"the disk is full.*Make room; writing goes on by itself"):
            await _fill(log, told)
        with pytest.raises(AppendFailedError, match="the disk is full"):
            await fenced.append([entry(0, b"x" * 50_000)])
        with pytest.raises(LogUnavailableError, match="the disk is full"):
            await log.publish(Topic.INBOX, (entry(0, b"x" * 50_000),))
        assert await read_values(log, Topic.INBOX, 0, len(told)) == told
        await resize(log, 1_000_000)
        assert await log.check() is None
        again = await log.claim(Topic.STATE, 0, "engine")
        await again.append([entry(0, b"y" * 50_000)])

    async with opened(path) as log:
        assert log.bounds_of(Topic.INBOX, 0).end == len(told)
        assert await read_values(log, Topic.INBOX, 0, len(told)) == told


async def _fill(log: SqliteLog, told: list[bytes]) -> None:
    while True:
        value = b"%d." % len(told) + b"x" * 3000
        await log.publish(Topic.INBOX, (entry(0, value),))
        told.append(value)


def test_a_full_file_system_loses_nothing_and_passes(tmp_path: Path) -> None:
    """The same on a real file system of 1 MB that is full: `ENOSPC`, then room again."""
    script = 'mount -t tmpfs -o size=1m none "$1" && exec "$2" -c "$3" "$1"'
    done = in_namespace("sh", "-c", script, "sh", str(tmp_path), sys.executable, _FILL, mounts=True)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert f"journal {tmp_path / 'journal.db'}: the disk is full" in found["said"]
    assert found["well"] is None
    assert found["told"] > 5
    assert [n for n in found["found"] if n < found["told"]] == list(range(found["told"]))


def test_a_read_only_file_is_told(path: Path) -> None:
    """A file without the right to write stops the start with words, and stays as it is."""
    asyncio.run(_used(path))
    before = path.read_bytes()
    path.chmod(0o400)

    done = in_namespace(sys.executable, "-c", _OPEN, str(path))

    assert done.returncode == 1
    assert f"journal {path}: it cannot be written: read-only file, folder or file system" in done.stderr
    assert path.read_bytes() == before


def test_a_read_only_folder_is_told(path: Path) -> None:
    """So does a folder in which nothing can be made."""
    path.parent.chmod(0o500)
    try:
        done = in_namespace(sys.executable, "-c", _OPEN, str(path))
    finally:
        path.parent.chmod(0o700)

    assert done.returncode == 1
    assert "Its folder must be there and writable, or CORDBOARD_LOG must name another one" in done.stderr


def test_a_read_only_file_system_is_told(path: Path) -> None:
    """So does a file system that is mounted to be read, even for root."""
    asyncio.run(_used(path))
    path.with_name("journal.db.lock").unlink()
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && exec "$2" -c "$3" "$4"'

    done = in_namespace("sh", "-c", script, "sh", str(path.parent), sys.executable, _OPEN, str(path), mounts=True)

    assert done.returncode == 1
    assert "Read-only file system" in done.stderr
    assert "LogUnavailableError" in done.stderr


async def _used(path: Path) -> None:
    async with opened(path) as log:
        await log.publish(Topic.INBOX, (entry(0, b"x"),))


async def test_a_torn_write_ahead_log_loses_what_is_torn_and_no_more(path: Path, tmp_path: Path) -> None:
    """Cut or spoilt anywhere, it gives every transaction before that place, none behind it, and can be written on."""
    sizes: list[int] = []
    wal_path = path.with_name("journal.db-wal")
    async with opened(path) as log:
        for n in range(8):
            await log.publish(Topic.INBOX, (entry(0, b"%d" % n + b"x" * 5000 * (n % 3)),))
            sizes.append(wal_path.stat().st_size)
        whole, wal = _content(path), _content(wal_path)
    cuts = sorted({size + around for size in sizes for around in (-4000, -1, 0, 1) if size + around <= len(wal)})

    for cut in cuts:
        kept = sum(size <= cut for size in sizes)
        assert await _found(tmp_path / f"cut-{cut}.db", whole, wal[:cut]) == kept, cut
    for n, size in enumerate(sizes):
        spoilt = wal[: size - 100] + bytes([wal[size - 100] ^ 1]) + wal[size - 99 :]
        assert await _found(tmp_path / f"spoilt-{n}.db", whole, spoilt) == n


async def _found(path: Path, whole: bytes, wal: bytes) -> int:
    """How many records a copy holds; it can be written on."""
    _write(path, whole)
    _write(path.with_name(path.name + "-wal"), wal)
    async with opened(path) as log:
        end = log.bounds_of(Topic.INBOX, 0).end
        values = await read_values(log, Topic.INBOX, 0, end) if end else []
        assert [value and value.split(b"x")[0] for value in values] == [b"%d" % n for n in range(end)]
        await log.publish(Topic.INBOX, (entry(0, b"on"),))
        assert await read_values(log, Topic.INBOX, 0, 1, start=end) == [b"on"]
    return end


def _content(path: Path) -> bytes:
    return path.read_bytes()


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def test_one_of_many_gets_it(path: Path) -> None:
    """Processes that want the same journal at the same time: one opens it, the others are refused."""
    arguments = [sys.executable, "-c", _WAIT_AND_OPEN, str(path)]
    many = [subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        assert [_line(one) for one in many] == ["ready"] * 3
        for one in many:
            _go(one)
        assert sorted(_line(one) for one in many) == ["opened", "refused", "refused"]
    finally:
        for one in many:
            one.communicate()


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
