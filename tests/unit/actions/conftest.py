"""A recorder in Twilio's place for every test that wants one."""

from collections.abc import AsyncIterator

import pytest

from fake_twilio import FakeTwilio


@pytest.fixture
async def twilio() -> AsyncIterator[FakeTwilio]:
    """A server that records and answers as scripted."""
    async with FakeTwilio() as server:
        yield server
