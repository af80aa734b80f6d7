"""Action workers under the ownership loop, on every log: each action once at Twilio, in order, through take-overs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from action_bench import Bench, bench, config_for
from actions.config import ActionsConfig
from actions.services import ActionServices
from actions.worker import action_partition_factory
from cordboard.clock import system_clock
from cordboard.log.ownership import Owner, OwnerLimits
from cordboard.log.port import Entry, Log
from fake_twilio import ACCOUNT, CALL_1, FakeTwilio, Reply, call, call_path, participant, participants_path
from schemas.actions import Action, CreateParticipant, HangUp
from schemas.codec import encode
from schemas.records import ActionOutcome
from schemas.topics import Topic, partition_of

LIMITS = OwnerLimits(poll_s=0.05, commit_every_s=0.2, retry_min_s=0.05)
HANG_UP = call_path(CALL_1)


def hang_up(call_id: str, number: int) -> HangUp:
    """The `number`-th action of a call."""
    now = system_clock()
    return HangUp(
        id=f"{call_id}.{number}.0",
        call_id=call_id,
        account_sid=ACCOUNT,
        at=now,
        deadline=now + 20_000,
        leg=f"target-{number + 1}",
        call_sid=CALL_1,
    )


@asynccontextmanager
async def working(log: Log, config: ActionsConfig, name: str) -> AsyncIterator[Owner]:
    """A process of action workers, stopped in order at the end."""
    stop = asyncio.Event()
    async with ActionServices(config) as services:
        owner = Owner(
            log,
            group="actions",
            source=Topic.ACTIONS,
            fenced=Topic.LEDGER,
            factory=action_partition_factory(services, log, system_clock),
            name=name,
            limits=LIMITS,
        )
        task = asyncio.create_task(owner.run(stop))
        try:
            yield owner
        finally:
            stop.set()
            await task


async def want(log: Log, *actions: Action) -> None:
    """Write actions as the engine does: keyed by the call."""
    entries = []
    for action in actions:
        key = action.call_id.encode()
        entries.append(Entry(partition_of(key, log.partitions), key, encode(action)))
    await log.publish(Topic.ACTIONS, entries)


def orders(at_twilio: FakeTwilio) -> int:
    """How many hang-ups Twilio has got."""
    return len(at_twilio.sent("POST", HANG_UP))


async def test_every_action_is_done_once_and_in_order(log: Log, twilio: FakeTwilio) -> None:
    """Many calls at once: each action is at Twilio once, and each call's reports are in the order of its actions."""
    twilio.on("POST", HANG_UP, Reply(200, call(CALL_1)))
    config = config_for(twilio.url)
    wanted = [hang_up(f"call-{number % 8}", number) for number in range(40)]
    async with bench(config, log) as at, working(log, config, "w1"):
        await want(log, *wanted)
        reports = await at.reports(40, 30)
    assert orders(twilio) == 40
    assert {report.outcome for report in reports} == {ActionOutcome.DONE}
    for call_id in {action.call_id for action in wanted}:
        done = await in_inbox_order(at, call_id)
        assert done == [action.id for action in wanted if action.call_id == call_id]


async def in_inbox_order(at: Bench, call_id: str) -> list[str]:
    """The actions reported of one call, as the inbox has them."""
    return [report.action for report in await at.in_order() if report.call_id == call_id]


async def test_a_new_process_repeats_nothing(log: Log, twilio: FakeTwilio) -> None:
    """Stopped and started anew, on the same log: what was done stays done, what comes next is done."""
    twilio.on("POST", HANG_UP, Reply(200, call(CALL_1)))
    config = config_for(twilio.url)
    first = [hang_up(f"call-{number}", 0) for number in range(6)]
    async with bench(config, log) as at:
        async with working(log, config, "w1"):
            await want(log, *first)
            await at.reports(6, 30)
        async with working(log, config, "w2"):
            await want(log, *first, *(hang_up(f"call-{number}", 1) for number in range(6)))
            outcomes = await at.outcomes(12, 30)
    assert orders(twilio) == 12
    assert outcomes == {f"report.call-{number}.{nth}.0.done" for number in range(6) for nth in range(2)}


async def test_a_process_that_dies_while_dialling_dials_nobody_twice(log: Log, twilio: FakeTwilio) -> None:
    """The answer never came and the process ends: the next one looks, finds nothing, and says so."""
    stuck = asyncio.Event()
    path = participants_path("room-call-1")
    twilio.on("POST", path, Reply(201, participant(CALL_1, "target-1"), after=stuck.wait))
    config = config_for(twilio.url)
    now = system_clock()
    dialled = CreateParticipant(
        id="call-1.1.0",
        call_id="call-1",
        account_sid=ACCOUNT,
        at=now,
        deadline=now + 20_000,
        leg="target-1",
        room="room-call-1",
        to="+15551230001",
    )
    twilio.on("GET", f"/2010-04-01/Accounts/{ACCOUNT}/Conferences.json", Reply(200, {"conferences": []}))
    twilio.on("GET", f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json", Reply(200, {"calls": []}))
    async with bench(config, log) as at:
        async with working(log, config, "w1"):
            await want(log, dialled)
            await twilio.arrived(1, 20)
        async with working(log, config, "w2"):
            (report,) = await at.reports(1, 30)
        stuck.set()
    assert (report.outcome, report.reason) == (ActionOutcome.UNKNOWN, "interrupted")
    assert len(twilio.sent("POST", path)) == 1
