"""A partition of actions on a log, in front of a Twilio: what the tests of the workers drive."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec

from actions.config import ActionsConfig, ReconcilePolicy
from actions.services import ActionServices
from actions.transport import Timeouts
from actions.worker import ActionPartition
from cordboard.accounts import Account
from cordboard.clock import system_clock
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry, Log, Record
from fake_twilio import ACCOUNT, CALL_1, TOKEN
from schemas.actions import Action, CreateParticipant, HangUp
from schemas.codec import decode_inbox, encode
from schemas.records import ActionReport
from schemas.topics import Topic

PARTITION = 0
NUMBER = "+15551230000"
PUBLIC_URL = "https://cordboard.example.test"
QUICK = ReconcilePolicy(looks_s=(0.01, 0.02, 0.03, 0.05))


def config_for(api_url: str, *, concurrency: int = 100, total_s: float = 5.0, queue: int = 1000) -> ActionsConfig:
    """Settings with short times, one account and no pacing."""
    account = Account(sid=ACCOUNT, auth_tokens=(TOKEN,), number=NUMBER, calls_per_second=0)
    return ActionsConfig(
        public_url=PUBLIC_URL,
        accounts=(account,),
        api_url=api_url,
        timeouts=Timeouts(total_s=total_s, connect_s=1.0),
        reconcile=QUICK,
        concurrency=concurrency,
        queue=queue,
        release_s=0.5,
    )


def dial(number: int = 1, call_id: str = "call-1", **changes: object) -> CreateParticipant:
    """A creation of `target-{number}` in that call, with a deadline ten seconds from now."""
    now = system_clock()
    action = CreateParticipant(
        id=f"{call_id}.{number}.0",
        call_id=call_id,
        account_sid=ACCOUNT,
        at=now,
        deadline=now + 10_000,
        leg=f"target-{number}",
        room=f"room-{call_id}",
        to="+15551230001",
    )
    return msgspec.structs.replace(action, **changes)


def hang_up(number: int, call_id: str = "call-1", sid: str = CALL_1, deadline_ms: int = 10_000) -> HangUp:
    """Hang a call up: the action may begin for `deadline_ms` from now."""
    now = system_clock()
    return HangUp(
        id=f"{call_id}.{number}.0",
        call_id=call_id,
        account_sid=ACCOUNT,
        at=now,
        deadline=now + deadline_ms,
        call_sid=sid,
    )


class Bench:
    """One partition under test, fed by hand as the ownership loop would."""

    def __init__(self, log: Log, services: ActionServices) -> None:
        self.log = log
        self._services = services

    async def take(self, owner: str = "worker", monotonic: Callable[[], float] = time.monotonic) -> ActionPartition:
        """Claim the ledger and restore a new owner of the partition."""
        fenced = await self.log.claim(Topic.LEDGER, PARTITION, owner)
        partition = ActionPartition(PARTITION, self._services, self.log, system_clock, monotonic=monotonic)
        await partition.restore(fenced)
        return partition

    async def want(self, *actions: Action) -> None:
        """Write actions as the engine does."""
        entries = [Entry(PARTITION, action.call_id.encode(), encode(action)) for action in actions]
        await self.log.publish(Topic.ACTIONS, entries)

    async def feed(self, partition: ActionPartition, start: int = 0) -> None:
        """Hand over everything from offset `start` on."""
        await partition.handle(await self.records(Topic.ACTIONS, start))

    async def do(self, partition: ActionPartition, *actions: Action) -> None:
        """Write actions and hand over just these."""
        start = (await self.log.bounds(Topic.ACTIONS))[PARTITION].end
        await self.want(*actions)
        await self.feed(partition, start)

    async def reports(self, count: int, within_s: float = 8.0) -> list[ActionReport]:
        """The reports in the inbox, once there are `count` of them."""
        async with asyncio.timeout(within_s):
            while len(found := await self.in_order()) < count:
                await asyncio.sleep(0.002)
        return sorted(found, key=lambda report: report.at)

    async def records(self, topic: Topic, start: int = 0, partition: int = PARTITION) -> Sequence[Record]:
        """Everything in a partition from `start` on."""
        end = (await self.log.bounds(topic))[partition].end
        found: list[Record] = []
        async with self.log.reader(topic, {partition: start}) as reader:
            while not found or found[-1].offset + 1 < end:
                if start >= end:
                    break
                found.extend(await reader.poll(0.2))
        return found

    async def outcomes(self, count: int, within_s: float = 8.0) -> set[str]:
        """The ids of the reports in the inbox, once there are `count` different ones; a repeated report counts once."""
        async with asyncio.timeout(within_s):
            while len(found := {report.id for report in await self.in_order()}) < count:
                await asyncio.sleep(0.002)
        return found

    async def in_order(self) -> list[ActionReport]:
        """The reports in the inbox, those of one call in their order there."""
        found: list[ActionReport] = []
        for partition, bounds in (await self.log.bounds(Topic.INBOX)).items():
            if bounds.end:
                for record in await self.records(Topic.INBOX, 0, partition):
                    inbox = decode_inbox(record.value or b"")
                    assert isinstance(inbox, ActionReport)
                    found.append(inbox)
        return found


@asynccontextmanager
async def bench(config: ActionsConfig, log: Log | None = None) -> AsyncIterator[Bench]:
    """A bench over the in-memory log, or the one given."""
    async with ActionServices(config) as services:
        yield Bench(log or MemoryLog(partitions=2, clock=system_clock), services)
