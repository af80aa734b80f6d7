"""A local Twilio with a small customer's server beside it, for every test of the emulator."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest

from emulator import EmulatorConfig, serve
from emulator_bench import Bench, BenchFactory, Site
from emulator_center import Center


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """The customer's server: answers with the TwiML it is given and keeps what it gets."""
    async with Site().running() as running:
        yield running


@pytest.fixture
async def start(site: Site) -> AsyncIterator[BenchFactory]:
    """Start local Twilios with a configuration of the test's own."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        benches: list[Bench] = []

        async def begin(config: EmulatorConfig) -> Bench:
            emulator = await stack.enter_async_context(serve(config))
            benches.append(Bench(emulator, site, session))
            return benches[-1]

        yield begin
        for bench in benches:
            assert bench.emulator.world.crashes == 0, "a task of the emulator crashed"


@pytest.fixture
async def bench(start: BenchFactory) -> Bench:
    """A local Twilio with quick people and short sounds."""
    return await start(Bench.config())


@pytest.fixture
async def center(start: BenchFactory) -> Center:
    """A contact centre with two workers, alice for sales and bob for billing."""
    return Center(await start(Center.config()))
