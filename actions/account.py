"""One Twilio account as the verbs use it: the library's client, our transport under it, the number that dials."""

from types import TracebackType
from typing import Self

from twilio.rest import Client

from actions.config import ActionsConfig
from actions.transport import Transport
from actions.urls import Urls
from cordboard.accounts import Account

_ANYBODY = "client:cordboard"
_NUMBERLESS = ("client:", "app:", "sip:")

_FOR_LOOKS = 20
"""Connections beyond the door's places: looks at what is in doubt do not go through it."""

_NO_ENVIRONMENT = {"_": ""}
"""Not empty, because an empty one makes the library read `os.environ` (twilio-facts.md 8.2)."""


class TwilioAccount:
    """A session of one account. `async with`, or `close`."""

    def __init__(self, account: Account, config: ActionsConfig) -> None:
        user, password = account.rest_credentials
        self.sid = account.sid
        self.workspace = account.taskrouter_workspace or ""
        self.workflow = account.taskrouter_workflow or ""
        self.urls = Urls(config.public_url)
        self._number = account.number
        self._transport = Transport(config.api_url, config.timeouts, config.concurrency + _FOR_LOOKS)
        self.client = Client(
            user, password, account.sid, http_client=self._transport, environment=dict(_NO_ENVIRONMENT)
        )

    def caller_id(self, wanted: str, to: str) -> str | None:
        """Who calls `to`: the one wanted, else our number; to a browser, an app or SIP anybody may. None for nobody."""
        return wanted or self._number or (_ANYBODY if to.startswith(_NUMBERLESS) else None)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.session.close()

    async def __aenter__(self) -> Self:
        """The account itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()
