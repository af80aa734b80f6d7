"""A worker at a desk in front of the local Twilio: asked for one thing after the other, and its reports read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from action_bench import Bench, bench
from actions.config import ActionsConfig, ReconcilePolicy
from actions.transport import Timeouts
from actions.worker import ActionPartition
from cordboard.accounts import Account
from cordboard.clock import system_clock
from emulator import Emulator, EmulatorConfig, serve
from emulator.faults import Effect, Fault
from emulator_bench import ACCOUNT, NUMBER, TARGET, TOKEN, Site
from schemas.actions import (
    Action,
    CreateParticipant,
    LookUp,
    UpdateParticipant,
)
from schemas.records import ActionReport, Observation

ROOM = "room-call-1"


class Desk:
    """A worker in front of a local Twilio, asked for one thing after the other."""

    def __init__(self, at: Bench, worker: ActionPartition, emulator: Emulator, site: Site) -> None:
        self._at = at
        self.worker = worker
        self.emulator = emulator
        self.site = site
        self._count = 0
        self._reported = 0

    def fields(self, **more: object) -> dict[str, object]:
        """What every action has."""
        now = system_clock()
        self._count += 1
        return {
            "id": f"call-1.{self._count}.0",
            "call_id": "call-1",
            "account_sid": ACCOUNT,
            "at": now,
            "deadline": now + 8000,
            **more,
        }

    async def do(self, action: Action) -> ActionReport:
        """Carry it out and return its report."""
        await self._at.do(self.worker, action)
        self._reported += 1
        (*_, report) = await self._at.reports(self._reported)
        assert report.action == action.id
        return report

    async def dial(self, leg: str = "target-1", to: str = TARGET, **more: object) -> ActionReport:
        """Dial a leg into the room."""
        return await self.do(msgspec.convert(self.fields(leg=leg, room=ROOM, to=to, **more), CreateParticipant))

    async def update(self, leg: ActionReport, **more: object) -> ActionReport:
        """Change a participant."""
        assert leg.call_sid is not None
        assert leg.conference_sid is not None
        fields = self.fields(conference_sid=leg.conference_sid, call_sid=leg.call_sid, **more)
        return await self.do(msgspec.convert(fields, UpdateParticipant))

    async def look(self, *call_sids: str) -> Observation:
        """Look at the room."""
        report = await self.do(msgspec.convert(self.fields(room=ROOM, call_sids=call_sids), LookUp))
        assert report.seen is not None
        return report.seen

    async def until_joined(self, *labels: str) -> Observation:
        """Wait until exactly these are connected in the room."""
        async with asyncio.timeout(8):
            while True:
                seen = await self.look()
                if sorted(p.label or "" for p in seen.participants if p.status == "connected") == sorted(labels):
                    return seen

    def break_next(self, effect: Effect, method: str, match: str, times: int = 1) -> None:
        """Let the next requests that match go wrong."""
        self.emulator.world.faults.add(Fault(effect=effect, method=method, match=match, times=times))

    def dialled(self) -> int:
        """How many calls the local Twilio has made for us."""
        return len(self.emulator.world.calls)


@asynccontextmanager
async def at_desk(site: Site, config: EmulatorConfig) -> AsyncIterator[Desk]:
    """A desk in front of a local Twilio with that configuration."""
    async with serve(config) as emulator:
        account = Account(sid=ACCOUNT, auth_tokens=(TOKEN,), number=NUMBER, calls_per_second=0)
        settings = ActionsConfig(
            public_url=site.url,
            accounts=(account,),
            api_url=emulator.url,
            timeouts=Timeouts(total_s=3.0, connect_s=1.0),
            reconcile=ReconcilePolicy(looks_s=(0.05, 0.1, 0.2, 0.3)),
        )
        async with bench(settings) as at:
            worker = await at.take()
            yield Desk(at, worker, emulator, site)
            await worker.release()
        assert emulator.world.crashes == 0
