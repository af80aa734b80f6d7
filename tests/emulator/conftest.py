"""A local Twilio with a small customer's server beside it, for every test of the emulator."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from emulator import EmulatorConfig, serve
from emulator_bench import Bench, BenchFactory, Site
from emulator_center import Center
from emulator_openapi import Judge, Recorder, fetch


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """The customer's server: answers with the TwiML it is given and keeps what it gets."""
    async with Site().running() as running:
        yield running


@pytest.fixture(scope="session")
def judge(request: pytest.FixtureRequest) -> Judge | str:
    """Twilio's OpenAPI files, or why they are not at hand."""
    return fetch(Path(request.config.cache.mkdir("twilio-openapi")))


@pytest.fixture
def spec(judge: Judge | str) -> Judge:
    """Twilio's OpenAPI files; without them the test is skipped and says why."""
    if isinstance(judge, str):
        pytest.skip(f"Twilio's OpenAPI files cannot be had: {judge}")
    return judge


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch, judge: Judge | str) -> Iterator[Recorder]:
    """Every REST answer of the test, judged by Twilio's own OpenAPI files where they are at hand."""
    taken = Recorder()
    monkeypatch.setattr("emulator.server.front_door", taken.middleware())
    yield taken
    if isinstance(judge, Judge):
        complaints = [complaint for answer in taken.answers for complaint in judge.complaints(answer)]
        assert not complaints, "\n".join(complaints[:20])


@pytest.fixture
async def start(site: Site, recorder: Recorder) -> AsyncIterator[BenchFactory]:
    """Start local Twilios with a configuration of the test's own."""
    del recorder  # judges what the test's emulators answer, when the test is over
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
