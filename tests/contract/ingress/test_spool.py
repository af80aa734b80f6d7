"""The spool: what is answered while the log is away is kept, in order, within bounds, and is in the log later."""

import asyncio
import sqlite3
from pathlib import Path

import msgspec
import pytest

from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry, RecordTooLargeError
from ingress.app import IngressConfig
from ingress.lane import NotDurableError
from ingress.spool import SpoolLimits
from schemas.records import Webhook
from schemas.routes import Route
from schemas.topics import Topic
from signing_twilio import CALL, CONFERENCE, STATUS, VOICE, Inboxes, Twilio
from spooling import AWAY, PartedLog, Spooling, call_in, calling_spooled, ids, spooling, until, webhook


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the spool is; its folder does not exist yet."""
    return tmp_path / "var" / "spool.db"


async def tell(twilio: Twilio, number: int) -> int:
    """A status callback; its answer's status."""
    return (await twilio.post(Route.STATUS, {**STATUS, "SequenceNumber": str(number)})).status


def numbers(inboxes: Inboxes) -> list[int]:
    """What has arrived, in order."""
    return [int(msgspec.json.decode(r.params)["SequenceNumber"]) for r in inboxes.records if isinstance(r, Webhook)]


# What Twilio sees


async def test_callbacks_are_taken_while_the_log_is_away(config: IngressConfig, log: MemoryLog, path: Path) -> None:
    """Every callback is answered 204, nothing of it is in the log, and all of it is once the log is back, in order."""
    inboxes = Inboxes(log)
    async with spooling(log, path) as made, calling_spooled(config, made) as twilio:
        assert await tell(twilio, 0) == 204
        log.unavailable = AWAY
        assert [await tell(twilio, number) for number in range(1, 20)] == [204] * 19
        assert (numbers(inboxes), made.spool.records) == ([0], 19)
        log.unavailable = None
        await made.until_drained()
        assert [await tell(twilio, number) for number in (20, 21)] == [204, 204]
    assert numbers(inboxes) == list(range(22))


async def test_a_slow_log_is_not_waited_for(config: IngressConfig, log: MemoryLog, path: Path) -> None:
    """What is not acknowledged in time is spooled; should it arrive all the same, the second copy has the same id."""
    opened = asyncio.Event()

    async def slow(*_: object) -> None:
        await opened.wait()

    async with spooling(log, path, patience_s=0.2) as made, calling_spooled(config, made) as twilio:
        log.faults.hook = slow
        assert await tell(twilio, 1) == 204
        opened.set()
        await made.until_drained()
    assert set(numbers(Inboxes(log))) == {1}
    assert len(set(ids(log))) == 1


async def test_what_cannot_be_placed_is_spooled_too(config: IngressConfig, log: MemoryLog, path: Path) -> None:
    """Dead letters have a lane of their own: with their bytes and headers they are there when the log is."""
    log.unavailable = AWAY
    async with spooling(log, path) as made, calling_spooled(config, made) as twilio:
        assert (await twilio.post(Route.CONFERENCE, {**CONFERENCE, "FriendlyName": "theirs"})).status == 204
        log.unavailable = None
        await made.until_drained()
    (dead,) = Inboxes(log).dead
    assert dict(dead.headers)["reason"] == b"no_call"
    assert b"FriendlyName=theirs" in (dead.value or b"")


async def test_a_call_begins_only_in_the_log(config: IngressConfig, log: MemoryLog, path: Path) -> None:
    """TwiML is always answered: a new caller holds the line, a leg of a call that runs enters its room."""
    log.unavailable = AWAY
    async with spooling(log, path) as made, calling_spooled(config, made) as twilio:
        caller = await twilio.post(Route.TWIML, VOICE)
        leg = await twilio.post(f"{Route.JOIN}?call={CALL}&leg=agent-1", {**VOICE, "Direction": "outbound-api"})
        left = await twilio.post(f"{Route.VOICEMAIL}?call={CALL}&leg=customer-1&left=1", {**VOICE, "RecordingUrl": "x"})
        assert made.spool.records == 2
    assert [answer.status for answer in (caller, leg, left)] == [200, 200, 200]
    assert "<Redirect" in caller.text
    assert "<Conference" in leg.text
    assert "<Hangup" in left.text


async def test_a_full_spool_puts_off(config: IngressConfig, log: MemoryLog, path: Path) -> None:
    """Beyond its bounds it is as without one: 503 and come again; and it takes records again once there is room."""
    log.unavailable = AWAY
    async with spooling(log, path, SpoolLimits(max_records=3)) as made, calling_spooled(config, made) as twilio:
        assert [await tell(twilio, number) for number in range(5)] == [204, 204, 204, 503, 503]
        assert "full" in str(await made.recorder.check())
        log.unavailable = None
        await made.until_drained()
        log.unavailable = AWAY
        assert await tell(twilio, 5) == 204
        assert await made.recorder.check() is None
    assert numbers(Inboxes(log)) == [0, 1, 2]


async def test_bytes_are_a_bound_too(log: MemoryLog, path: Path) -> None:
    """Few large records fill it as well."""
    log.unavailable = AWAY
    async with spooling(log, path, SpoolLimits(max_bytes=300)) as made:
        await made.recorder.record(webhook(0))
        with pytest.raises(NotDurableError, match="full"):
            await asyncio.gather(*(made.recorder.record(webhook(number)) for number in range(1, 10)))
        assert 0 < made.spool.size <= 300


async def test_without_log_and_disk_twilio_comes_again(config: IngressConfig, log: MemoryLog, path: Path) -> None:
    """A disk that fails is told, refuses what it cannot hold, and is used again when it works."""
    log.unavailable = AWAY
    async with spooling(log, path) as made, calling_spooled(config, made) as twilio:
        made.disk.full = True
        assert await tell(twilio, 1) == 503
        assert "disk is full" in str(await made.recorder.check())
        made.disk.full = False
        assert await tell(twilio, 2) == 204
        assert await made.recorder.check() is None
        log.unavailable = None
        await made.until_drained()
        made.disk.full = True
        assert await tell(twilio, 3) == 204
    assert numbers(Inboxes(log)) == [2, 3]


# What it promises


async def test_an_answer_means_on_the_disk(config: IngressConfig, log: MemoryLog, path: Path) -> None:
    """Nobody is answered before the transaction has ended, and who comes meanwhile shares the next one."""
    log.unavailable = AWAY
    async with spooling(log, path) as made, calling_spooled(config, made) as twilio:
        made.disk.writes.clear()
        answers = [asyncio.create_task(tell(twilio, number)) for number in range(10)]
        await until(lambda: made.spool.records == 10)
        assert not any(answer.done() for answer in answers)
        made.disk.writes.set()
        assert await asyncio.gather(*answers) == [204] * 10
        assert made.disk.commits < 10


async def test_nothing_overtakes_what_is_spooled(log: MemoryLog, path: Path) -> None:
    """What is answered after a spooled record is in the log after it, also while the spool is being drained."""
    gate = asyncio.Event()
    async with spooling(log, path) as made:
        log.unavailable = AWAY
        for number in range(5):
            await made.recorder.record(webhook(number))

        async def hold(*_: object) -> None:
            await gate.wait()

        log.faults.hook, log.unavailable = hold, None
        waiting = [asyncio.create_task(made.recorder.record(webhook(number))) for number in range(5, 9)]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*waiting)
        await made.recorder.record(webhook(9))
        await made.until_drained()
    seen = ids(log)
    assert [seen.index(f"{CALL}-{number}") for number in range(5)] == sorted(range(5))
    assert max(seen.index(f"{CALL}-{number}") for number in range(5)) < seen.index(f"{CALL}-9")


async def test_a_busy_lane_comes_back(log: MemoryLog, path: Path) -> None:
    """With new records at every moment the spool is empty all the same in the end, and out of the way."""
    async with spooling(log, path) as made:
        log.unavailable = AWAY
        await made.recorder.record(webhook(0))
        done = asyncio.Event()

        async def busy(name: int) -> None:
            number = 0
            while not done.is_set():
                number += 1
                await made.recorder.record(webhook(number, f"CA{name:032x}"))

        callers = [asyncio.create_task(busy(name)) for name in range(20)]
        await until(lambda: made.spool.records > 100)
        log.unavailable = None
        await until(lambda: made.recorder.is_straight)
        commits = made.disk.commits
        before = len(ids(log))
        await until(lambda: len(ids(log)) > before + 200)
        assert made.disk.commits == commits
        done.set()
        await asyncio.gather(*callers)
        await made.until_drained()
    for name in range(20):
        mine = [int(one.rpartition("-")[2]) for one in dict.fromkeys(ids(log)) if one.startswith(f"CA{name:032x}-")]
        assert mine == sorted(mine)


async def test_a_partition_without_a_leader_is_alone(path: Path) -> None:
    """Where partitions fail one by one, the others neither wait nor go through the spool."""
    log = PartedLog()
    first, second = call_in(0), call_in(1)
    async with spooling(log, path) as made:
        log.away = {0}
        for number in range(3):
            await made.recorder.record(webhook(number, first))
            await made.recorder.record(webhook(number, second))
        assert ids(log) == [f"{second}-{number}" for number in range(3)]
        assert set(made.spool.held) == {0}
        log.away = set()
        await made.until_drained()
    assert [r for r in ids(log) if r.startswith(first)] == [f"{first}-{number}" for number in range(3)]


async def test_a_restart_drains_what_was_left(log: MemoryLog, path: Path) -> None:
    """The next process takes over what the last one has answered, before anything new of those calls."""
    log.unavailable = AWAY
    async with spooling(log, path) as made:
        for number in range(3):
            await made.recorder.record(webhook(number))
    async with spooling(log, path) as made:
        assert made.spool.records == 3
        await made.recorder.record(webhook(3))
        log.unavailable = None
        await made.recorder.record(webhook(4))
        await made.until_drained()
    assert ids(log) == [f"{CALL}-{number}" for number in range(5)]


async def test_a_crash_before_the_removal_repeats(log: MemoryLog, path: Path) -> None:
    """What the log has and the disk too is published again, under the same ids; while the process lives it is not."""
    log.unavailable = AWAY
    async with spooling(log, path) as made:
        for number in range(3):
            await made.recorder.record(webhook(number))
        made.disk.cannot_delete, log.unavailable = True, None
        await until(lambda: made.recorder.is_straight)
        log.unavailable = AWAY
        await made.recorder.record(webhook(3))
        log.unavailable = None
        await until(lambda: made.recorder.is_straight)
        assert ids(log) == [f"{CALL}-{number}" for number in range(4)]
        assert made.spool.records == 4
    async with spooling(log, path) as made:
        await made.until_drained()
    assert ids(log) == [f"{CALL}-{number}" for number in range(4)] * 2


async def test_what_the_log_never_takes_is_kept_aside(log: MemoryLog, path: Path) -> None:
    """One record that is too large for the log stops neither the others nor is it thrown away."""
    log.unavailable = AWAY
    async with spooling(log, path) as made:
        for number in range(3):
            await made.recorder.record(webhook(number))
        publish = log.publish

        async def picky(topic: Topic, entries: list[Entry]) -> None:
            if any(f'"{CALL}-1"'.encode() in (entry.value or b"") for entry in entries):
                raise RecordTooLargeError("too large")
            await publish(topic, entries)

        log.publish, log.unavailable = picky, None  # type: ignore[method-assign, assignment]
        await made.until_drained()
        assert made.spool.refused == 1
    assert ids(log) == [f"{CALL}-0", f"{CALL}-2"]
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT key, reason FROM refused").fetchall() == [(CALL.encode(), "too large")]
    connection.close()


async def test_commands_are_told_and_do_not_overtake(log: MemoryLog, path: Path) -> None:
    """Who can send again is told that the log is away; once it is back a command waits for what is spooled."""
    log.unavailable = AWAY
    async with spooling(log, path) as made:
        await made.recorder.record(webhook(0))
        with pytest.raises(NotDurableError):
            await made.recorder.record(webhook(1), may_wait=False)
        log.unavailable = None
        await made.until_drained()
        await made.recorder.record(webhook(2), may_wait=False)
    assert ids(log) == [f"{CALL}-0", f"{CALL}-2"]


async def test_an_empty_spool_is_small_and_tells_nothing(log: MemoryLog, path: Path) -> None:
    """Once drained, the file has given its room back, and who calls whom is not in it any more."""
    log.unavailable = AWAY
    async with spooling(log, path) as made:
        for number in range(2000):
            _ = made.spool.append(0, [Entry(0, CALL.encode(), b"+15550177 %d" % number)])
        await made.recorder.record(webhook(0))
        log.unavailable = None
        await made.until_drained()
    left = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert len(left) < 100_000
    assert b"+15550177" not in left


def test_a_fault_in_draining_is_not_swallowed(path: Path) -> None:
    """What nobody expected ends the process that watches, instead of leaving the spool to itself."""

    async def broken() -> None:
        log = MemoryLog(1)
        log.unavailable = AWAY
        made = Spooling(log, path)
        try:
            await made.recorder.record(webhook(0))

            async def oldest(*_: object) -> None:
                raise KeyError("ours")

            made.spool.oldest = oldest  # type: ignore[method-assign, assignment]
            await made.recorder.run(asyncio.Event())
        finally:
            await made.spool.close()

    with pytest.raises(KeyError, match="ours"):
        asyncio.run(broken())
