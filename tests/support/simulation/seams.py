"""The few places where the simulation takes the place of something real: the socket under twilio-python, and the polls.

Everything else runs as it is. The seams are put in for the time of a run and taken out again.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast
from unittest.mock import patch
from urllib.parse import parse_qsl

import aiohttp
import structlog
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from yarl import URL

from actions import account as account_module
from actions import perform, twilio
from actions.account import TwilioAccount
from actions.effect import Effect
from actions.transport import Timeouts, Transport
from engine import router
from engine.core import calls
from schemas.actions import Action
from simulation import network
from simulation.loop import CURRENT
from simulation.plan import Plan
from simulation.process import Process
from simulation.world import WORLD

_ACTION: ContextVar[str] = ContextVar("simulated_action", default="")
_POLL_S = 60.0
FORGET_AFTER_S = 600


class _NoSession:
    async def close(self) -> None:
        """Nothing to close."""


class SimTransport(Transport):
    """The workers' transport with the simulated network in place of a socket."""

    def __init__(self, api_url: str | None, timeouts: Timeouts, connections: int) -> None:  # noqa: ARG002 as the real one
        AsyncTwilioHttpClient.__init__(self, pool_connections=False)
        self._base = None
        self.session = cast("aiohttp.ClientSession", _NoSession())

    async def _exchanged(self, method: str, target: URL, body: bytes | None, headers: Mapping[str, str]) -> Response:
        process = CURRENT.get()
        assert isinstance(process, Process), "only a simulated process talks to the simulated Twilio"
        fields = {**dict(target.query), **dict(parse_qsl((body or b"").decode(), keep_blank_values=True))}
        if "If-Match" in headers:
            fields["If-Match"] = headers["If-Match"]
        return await network.answered(WORLD.get().network, process, method, target.path, fields, _ACTION.get())


async def _carry_out(account: TwilioAccount, action: Action) -> Effect:
    """Note which action asks, and when it is sent, for Twilio's ledger."""
    token = _ACTION.set(action.id)
    WORLD.get().note_sent(action)
    try:
        return await twilio.carry_out(account, action)
    finally:
        _ACTION.reset(token)


@contextmanager
def scaled(plan: Plan) -> Iterator[None]:
    """In runs that last until calls are forgotten that is a matter of minutes, not of a day."""
    with patch.object(calls, "FORGET_AFTER_MS", FORGET_AFTER_S * 1000 if plan.forgets else calls.FORGET_AFTER_MS):
        yield


@contextmanager
def seams(said: list[dict[str, Any]]) -> Iterator[None]:
    """Put the seams in; what is logged meanwhile is added to `said`."""
    before = structlog.get_config()

    def collect(_: object, __: str, event: Any) -> Any:
        said.append(dict(event))
        if event["event"] == "call.transitioned":
            WORLD.get().trace(
                f"call {event['call_id'][-4:]}: {event['from']} -> {event['to']} by {event['cause'][-60:]}"
            )
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, collect],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        cache_logger_on_first_use=False,
    )
    try:
        with (
            patch.object(account_module, "Transport", SimTransport),
            patch.object(perform, "carry_out", _carry_out),
            patch.object(router, "_POLL_S", _POLL_S),
        ):
            yield
    finally:
        structlog.configure(**before)
