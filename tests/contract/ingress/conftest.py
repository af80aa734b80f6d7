"""An ingress on a port of its own over the log in memory."""

from collections.abc import AsyncIterator

import pytest

from cordboard.accounts import Account, Accounts
from cordboard.log.memory import MemoryLog
from ingress.app import IngressConfig
from schemas.policy import Policies, Policy
from signing_twilio import ACCOUNT, PUBLIC_URL, TOKEN, Inboxes, Twilio, calling


@pytest.fixture
def log() -> MemoryLog:
    """A log in memory."""
    return MemoryLog(partitions=4)


@pytest.fixture
def inboxes(log: MemoryLog) -> Inboxes:
    """What the log holds."""
    return Inboxes(log)


@pytest.fixture
def config() -> IngressConfig:
    """One account; one number with a policy of its own; little patience."""
    policies = Policies(by_number={"+15550100": Policy(wait_audio="https://audio.example/wait.mp3", hold_audio="Hold")})
    return IngressConfig(
        public_url=PUBLIC_URL,
        accounts=Accounts([Account(sid=ACCOUNT, auth_tokens=(TOKEN, "next-token"))]),
        policies=policies,
        port=0,
        ack_timeout_s=0.2,
        body_timeout_s=0.2,
    )


@pytest.fixture
async def twilio(config: IngressConfig, log: MemoryLog) -> AsyncIterator[Twilio]:
    """Twilio, calling an ingress that serves."""
    async with calling(config, log) as client:
        yield client
