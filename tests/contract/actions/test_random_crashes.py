"""Whatever breaks, and whenever: no leg is dialled twice, and no report says what is not so.

Each run draws its faults from a seed: answers that are lost before or after the effect, limits, a ledger that fails,
reports that are refused, owners that die, and owners that do not know that they are dead.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import pytest
from aiohttp import web

from action_bench import Bench, bench, config_for, dial
from actions.config import ReconcilePolicy
from actions.worker import ActionPartition
from cordboard.clock import system_clock
from cordboard.errors import LogError
from cordboard.log.faults import Fault, Operation
from cordboard.log.memory import MemoryLog
from fake_twilio import ROOM, call, conference, participant
from schemas.actions import CreateParticipant, OnDoubt
from schemas.records import ActionOutcome, ActionReport
from schemas.topics import Topic

CALLS = 6
LEGS = 4
PATIENT = ReconcilePolicy(looks_s=(0.02, 0.05, 0.1, 0.2))


class ModelTwilio:
    """Knows labels and calls as Twilio does, and misbehaves by chance. Counts how often each leg was really dialled."""

    def __init__(self, chance: random.Random) -> None:
        self.dialled: Counter[str] = Counter()
        self.first_asked: list[str] = []
        self.sids: dict[str, str] = {}
        self.over = asyncio.Event()
        self._chance = chance

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on a free port and give the base URL."""
        app = web.Application()
        accounts = "/2010-04-01/Accounts/{account}"
        app.router.add_post(accounts + "/Conferences/{room}/Participants.json", self._create)
        app.router.add_get(accounts + "/Conferences/{room}/Participants/{label}.json", self._fetch)
        app.router.add_get(accounts + "/Conferences.json", self._rooms)
        app.router.add_get(accounts + "/Calls.json", self._calls)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        self.over.set()
        await runner.cleanup()

    async def _create(self, request: web.Request) -> web.Response:
        form = await request.post()
        label = str(form["Label"])
        leg = f"{request.match_info['room']}/{label}"
        if leg not in self.first_asked:
            self.first_asked.append(leg)
        fate = self._chance.random()
        if fate < 0.15:
            return _json(429, {"code": 20429, "status": 429}, {"Retry-After": "0"})
        if fate < 0.25:
            return _json(503, {"code": 20503, "status": 503})
        if leg in self.sids:
            return _json(400, {"code": 16026, "status": 400})
        self.dialled[leg] += 1
        self.sids[leg] = f"CA{len(self.sids):032x}"
        if fate < 0.35:
            return _json(500, {"code": 20500, "status": 500})
        if fate < 0.45 and request.transport is not None:
            request.transport.close()
        if fate < 0.55:
            await self.over.wait()
        return _json(201, participant(self.sids[leg], label))

    async def _fetch(self, request: web.Request) -> web.Response:
        for leg, sid in self.sids.items():
            if leg.endswith("/" + request.match_info["label"]):
                return _json(200, participant(sid, request.match_info["label"]))
        return _json(404, {"code": 20404, "status": 404})

    async def _rooms(self, request: web.Request) -> web.Response:
        room = request.query["FriendlyName"]
        there = any(leg.startswith(room + "/") for leg in self.sids)
        return _json(200, {"conferences": [conference(sid=ROOM)] if there else []})

    async def _calls(self, _: web.Request) -> web.Response:
        return _json(200, {"calls": [call(sid, "in-progress") for sid in self.sids.values()]})


def _json(status: int, body: object, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers or {}
    )


def wanted(chance: random.Random) -> list[CreateParticipant]:
    """Legs of several calls, mixed, each with a label of its own; some may be dialled again after a doubt."""
    lanes = [
        [
            dial(
                number,
                f"call-{call_number}",
                leg=f"target-{call_number * LEGS + number + 1}",
                on_doubt=chance.choice([OnDoubt.FAIL, OnDoubt.RETRY]),
                deadline=system_clock() + 30_000,
            )
            for number in range(LEGS)
        ]
        for call_number in range(CALLS)
    ]
    mixed = []
    while any(lanes):
        mixed.append(chance.choice([lane for lane in lanes if lane]).pop(0))
    return mixed


class Ward:
    """Owners that come, die and haunt, until every action has a report."""

    def __init__(self, at: Bench, log: MemoryLog, chance: random.Random) -> None:
        self._at = at
        self._log = log
        self._chance = chance
        self._zombies: list[ActionPartition] = []

    async def until_reported(self, count: int) -> list[ActionReport]:
        """Let one owner follow the other until `count` actions have been reported."""
        calm_after = 6
        async with asyncio.timeout(40):
            for reign in range(100):
                if reign < calm_after:
                    self._spoil()
                reports = await self._reign(count, lasting=reign >= calm_after)
                if len({report.action for report in reports}) == count:
                    break
        for zombie in self._zombies:
            await zombie.release()
        return await self._at.in_order()

    def _spoil(self) -> None:
        nth, written = self._chance.randint(1, 8), self._chance.random() < 0.5
        self._log.faults.add(
            self._chance.choice(
                [
                    Fault(Operation.APPEND, Topic.LEDGER, nth=nth, written=written),
                    Fault(Operation.PUBLISH, Topic.INBOX, nth=nth, written=written),
                ]
            )
        )

    async def _reign(self, count: int, *, lasting: bool) -> list[ActionReport]:
        owner = await self._at.take()
        watching = asyncio.create_task(owner.watch())
        feeding = asyncio.create_task(self._at.feed(owner, owner.covered() or 0))
        limit = asyncio.get_running_loop().time() + (30 if lasting else self._chance.uniform(0.02, 0.3))
        reports = await self._at.in_order()
        while asyncio.get_running_loop().time() < limit and not watching.done():
            if len({report.action for report in reports}) == count:
                break
            await asyncio.sleep(0.01)
            reports = await self._at.in_order()
        for task in (watching, feeding):
            task.cancel()
        for ended in await asyncio.gather(watching, feeding, return_exceptions=True):
            assert ended is None or isinstance(ended, (LogError, asyncio.CancelledError))
        if not lasting and self._chance.random() < 0.4:
            self._zombies.append(owner)  # it goes on working and does not know that it is dead
        else:
            await owner.release()
        return reports


@pytest.mark.parametrize("seed", range(12))
async def test_no_leg_is_dialled_twice_and_no_report_lies(seed: int) -> None:
    """Through any mixture of faults: at most one dial per leg, one outcome per action, and the outcome is true."""
    chance = random.Random(seed)  # noqa: S311 - the same faults for the same seed
    model, log = ModelTwilio(chance), MemoryLog(partitions=1, clock=system_clock)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(model.serving())
        config = msgspec.structs.replace(config_for(url, total_s=0.3), reconcile=PATIENT, release_s=0.05)
        at = await stack.enter_async_context(bench(config, log))
        actions = wanted(chance)
        await at.want(*actions)
        reports = await Ward(at, log, chance).until_reported(len(actions))
    assert max(model.dialled.values()) == 1
    outcomes = {report.action: report.outcome for report in reports}
    assert len({report.id for report in reports}) == len(actions) == len(outcomes)
    for action in actions:
        dialled, outcome = model.dialled[f"{action.room}/{action.leg}"], outcomes[action.id]
        assert (dialled, outcome) in {
            (1, ActionOutcome.DONE),
            (0, ActionOutcome.UNKNOWN),
            (1, ActionOutcome.UNKNOWN),
            (0, ActionOutcome.EXPIRED),
        }
    for call_number in range(CALLS):
        legs = [f"{action.room}/{action.leg}" for action in actions if action.call_id == f"call-{call_number}"]
        assert [leg for leg in model.first_asked if leg in legs] == [leg for leg in legs if leg in model.first_asked]
